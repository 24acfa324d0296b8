"""Spoken replies: the text-to-speech models of transformers, VITS (MMS-TTS among them) and SpeechT5.

    Condition {"input_ids": int64 (N, L), "attention_mask": (N, L)} --model, item by item--> N sounds

What these models take for text is tokens, which are discrete: no gradient reaches what would make them, so they go with
text bridges alone (`is_differentiable`). Each item is spoken alone and without its padding, so it does not depend on its
batch; random numbers inside the models are drawn from the item's generator.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, StepCallback
from anygen.generators.transformers_folder import TransformersGenerator, to_audio
from anygen.media.types import Audio

IDS, MASK = "input_ids", "attention_mask"
SPEAKER_FILE = "speaker.safetensors"
"""Ours, in a SpeechT5 folder: the tensor `speaker`, float32 (speaker_embedding_dim,)."""
VOCODER_FOLDER = "vocoder"


class SeededNoise(TorchFunctionMode):
    """Within it, this thread's `torch.randn`, `randn_like` and `bernoulli` draw from one generator.

    VITS draws its noise and SpeechT5 its dropout (which stays on, Shen et al. 2018, section 2.3) from the global state,
    and take no generator.
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.randn:
            device = kwargs.pop("device", None) or "cpu"
            return func(*args, **kwargs, generator=self.generator, device=self.generator.device).to(device)
        if func is torch.randn_like:
            like = args[0]
            noise = torch.randn(like.shape, generator=self.generator, device=self.generator.device, dtype=like.dtype)
            return noise.to(like.device)
        if func is torch.bernoulli:
            given, p = args[0], kwargs.get("p")
            chance = given if p is None else torch.full(given.shape, p)
            drawn = torch.rand(given.shape, generator=self.generator, device=self.generator.device)
            return (drawn.to(given.device) < chance.to(given.device)).to(given.dtype)
        return func(*args, **kwargs)


class SpeechGenerator(TransformersGenerator):
    """What the two classes share; a leaf says how one item is spoken."""

    is_differentiable = False
    is_voice = True

    def __init__(self, model: Any, tokenizer: Any, **settings: int | float):
        super().__init__(**settings)
        self.model, self.tokenizer = model, tokenizer
        self.requires_grad_(False).eval()

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        return {IDS: (self.values["num_tokens"],), MASK: (self.values["num_tokens"],)}

    def encode_text(self, captions: Sequence[str]) -> Condition:
        """Captions as token ids. Raises AnyGenError("context_length_exceeded") rather than leave words unsaid."""
        length = self.values["num_tokens"]
        ids = torch.zeros(len(captions), length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, caption in enumerate(captions):
            found = self.tokenizer(caption)["input_ids"] if caption.strip() else []
            if len(found) > length:
                detail = f"found {len(found)} tokens to speak; expected at most {length}: shorten the text or set num_tokens"
                raise AnyGenError("context_length_exceeded", detail)
            ids[row, : len(found)], mask[row, : len(found)] = torch.tensor(found, dtype=torch.long), 1
        return Condition({IDS: ids.to(self.device), MASK: mask.to(self.device)})

    @torch.no_grad()
    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list[Audio]:
        """As the contract; there is no guidance, so `negative` is of no effect. A step is one item spoken."""
        given, sounds = self.check_call(condition, generators, parameters), []
        for row, generator in enumerate(generators):
            ids = condition[IDS][row][condition[MASK][row].bool()][None].to(self.device)
            if not ids.numel():
                raise AnyGenError("nothing_to_answer", "found a caption without anything to speak; expected words")
            with SeededNoise(generator):
                samples = self.speak(ids, given)
            sounds.append(to_audio(samples, sampling_rate=self.model.config.sampling_rate if self.rate is None else self.rate))
            if callback:
                callback(row + 1, len(generators))
        return sounds

    rate: int | None = None
    """Hz where a vocoder has it and not the model."""

    @abstractmethod
    def speak(self, ids: Tensor, given: Mapping[str, Any]) -> Tensor:
        """Tokens (1, T) of one item -> samples (S,)."""

    def encode_media(self, media: Sequence) -> Tensor:
        """There are no latents; raises AnyGenError("modality_not_supported")."""
        raise self.not_trainable()

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        """There is none; raises AnyGenError("modality_not_supported")."""
        raise self.not_trainable()

    def not_trainable(self) -> AnyGenError:
        """Why no bridge can be trained onto this generator."""
        detail = f"{type(self).__name__} takes token ids, through which no gradient flows; expected a text bridge"
        return AnyGenError("modality_not_supported", detail)


class VitsGenerator(SpeechGenerator):
    """`VitsModel` (Kim et al. 2021).

    Settings: `speaking_rate` (1 as trained), `noise_scale`, `noise_scale_duration` and, fixed with the generator, `num_tokens`
    (L) and `speaker` (the number of a voice, of a model that has several; -1 for none).
    """

    def __init__(self, model: Any, tokenizer: Any, **settings: int | float):
        super().__init__(model, tokenizer, **settings)
        config = model.config
        for name in ("speaking_rate", "noise_scale", "noise_scale_duration"):
            self.values[name] = settings.get(name, getattr(config, name))
        most = config.num_speakers - 1 if config.num_speakers > 1 else -1
        if not -1 <= self.values["speaker"] <= most:
            raise AnyGenError("invalid_parameter", f"speaker: found {self.values['speaker']}; expected from -1 (none) to {most}")
        if getattr(tokenizer, "phonemize", False):
            check_phonemizer()

    @classmethod
    def known_settings(cls) -> dict[str, int | float]:
        return {"speaking_rate": 1.0, "noise_scale": 0.667, "noise_scale_duration": 0.8, "num_tokens": 512, "speaker": -1}

    @classmethod
    def from_folder(cls, folder: Path, *, settings: Mapping[str, int | float], **loading: Any) -> VitsGenerator:
        from transformers import VitsModel, VitsTokenizer

        model = VitsModel.from_pretrained(folder, use_safetensors=True, **loading)
        return cls(model, VitsTokenizer.from_pretrained(folder), **settings)

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return {name: self.values[name] for name in ("speaking_rate", "noise_scale", "noise_scale_duration")}

    def speak(self, ids: Tensor, given: Mapping[str, Any]) -> Tensor:
        if given["speaking_rate"] <= 0:
            raise AnyGenError("invalid_parameter", f"speaking_rate: found {given['speaking_rate']}; expected above 0")
        self.model.noise_scale, self.model.noise_scale_duration = given["noise_scale"], given["noise_scale_duration"]
        speaker = {} if self.values["speaker"] < 0 else {"speaker_id": self.values["speaker"]}
        output = self.model(input_ids=ids, speaking_rate=given["speaking_rate"], **speaker)
        return output.waveform[0, : int(output.sequence_lengths[0])]


class SpeechT5Generator(SpeechGenerator):
    """`SpeechT5ForTextToSpeech` (Ao et al. 2022) with its HiFi-GAN and one voice.

    Args:
        model, tokenizer: the published ones, e.g. of a `SpeechT5Processor`.
        vocoder: `SpeechT5HifiGan`, whose published weights are a repository of their own.
        speaker: float32 (speaker_embedding_dim,), the x-vector of a voice.
        settings: `threshold` (of the stop probability), `maxlenratio` (most frames for a token), `num_tokens` (L).

    The published weights are pickled: load them in Python, make this and `save_pretrained` it.
    """

    def __init__(self, model: Any, tokenizer: Any, *, vocoder: Any, speaker: Tensor, **settings: int | float):
        super().__init__(model, tokenizer, **settings)
        self.vocoder = vocoder.requires_grad_(False).eval()
        if tuple(speaker.shape) != (model.config.speaker_embedding_dim,):
            detail = f"speaker: found the shape {tuple(speaker.shape)}; expected ({model.config.speaker_embedding_dim},)"
            raise AnyGenError("invalid_parameter", detail)
        self.register_buffer("speaker", speaker.float())
        self.rate = vocoder.config.sampling_rate

    @classmethod
    def known_settings(cls) -> dict[str, int | float]:
        return {"threshold": 0.5, "maxlenratio": 20.0, "num_tokens": 512}

    @classmethod
    def from_folder(cls, folder: Path, *, settings: Mapping[str, int | float], **loading: Any) -> SpeechT5Generator:
        from safetensors.torch import load_file
        from transformers import AutoTokenizer, SpeechT5ForTextToSpeech, SpeechT5HifiGan

        for name in (SPEAKER_FILE, VOCODER_FOLDER):
            if not (folder / name).exists():
                detail = f"{folder / name} is missing: published folders have no voice and no vocoder; make a SpeechT5Generator"
                raise AnyGenError("model_load_error", f"{detail} of model, tokenizer, vocoder= and speaker=, and save that")
        model = SpeechT5ForTextToSpeech.from_pretrained(folder, use_safetensors=True, **loading)
        vocoder = SpeechT5HifiGan.from_pretrained(folder / VOCODER_FOLDER, use_safetensors=True, **loading)
        speaker = load_file(folder / SPEAKER_FILE)["speaker"]
        return cls(model, AutoTokenizer.from_pretrained(folder), vocoder=vocoder, speaker=speaker, **settings)

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return {name: self.values[name] for name in ("threshold", "maxlenratio")}

    def speak(self, ids: Tensor, given: Mapping[str, Any]) -> Tensor:
        speaker = self.speaker[None].to(self.model.dtype)
        return self.model.generate_speech(ids, speaker, attention_mask=torch.ones_like(ids), vocoder=self.vocoder, **given)

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """As of every class, with the vocoder and the voice."""
        from safetensors.torch import save_file

        super().save_pretrained(folder)
        self.vocoder.save_pretrained(Path(folder) / VOCODER_FOLDER)
        save_file({"speaker": self.speaker.float().cpu().contiguous()}, Path(folder) / SPEAKER_FILE)


def check_phonemizer() -> None:
    """Refuse at once what could not read its captions later."""
    from importlib.util import find_spec

    if find_spec("phonemizer") is None:
        raise AnyGenError("model_load_error", "this tokenizer writes phonemes: pip install phonemizer, and install espeak-ng")
