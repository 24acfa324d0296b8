"""MusicGen and AudioGen of an installed audiocraft: token models, led by the states of a text conditioner, a T5.

    Condition {"states": (N, L, D), "states_mask": (N, L)} --LM--> codes (N, K, F) --EnCodec or diffusion--> sound

Its cross-attention has no mask: zeros behind a caption are attended to, so that in audiocraft the sound of a caption
depends on the longest one of its batch. Here items with equally many states run together, without padding: each is what
audiocraft makes of its caption alone. audiocraft draws tokens from the global state; here they are drawn with one
generator an item, and are those that audiocraft draws after `torch.manual_seed` of the same seed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.audiocraft_folder import (
    CODEC,
    LANGUAGE,
    Part,
    audiocraft_errors,
    make_decoder,
    make_model,
    read_bands,
    read_parts,
    write_parts,
)
from anygen.generators.generator import Condition, StepCallback
from anygen.generators.musicgen import drawn
from anygen.generators.speech import SeededNoise
from anygen.generators.transformers_folder import SETTINGS_FILE, TransformersGenerator, to_audio
from anygen.media.sampling import resample
from anygen.media.types import Audio

STATES, MASK = "states", "states_mask"
UNKNOWN = -1
"""A code that is not there yet."""


class AudiocraftGenerator(TransformersGenerator):
    """`audiocraft.models.MusicGen` or `AudioGen` behind the `Generator` contract; latents are codes, int64 (N, K, F).

    It has settings and a folder as those of transformers have.

    Args:
        model: the model; what its `set_generation_params` set is not looked at.
        decoder: a `MultiBandDiffusion` over the model's codec, which then decodes item by item.
        configs: configuration of each part as YAML, which is written with the weights; without it nothing can be saved.
        settings: `audio_length_in_s` (audiocraft's duration), `guidance_scale` (cfg_coef), `temperature` (0: the
            likeliest), `top_k` (0: all); and `num_text_states`, L: the states of captions are cut there.

    Raises:
        AnyGenError("model_load_error"): a model with other conditioners than one of text (melodies), or a decoder for
            another number of channels.
    """

    def __init__(
        self, model: Any, *, decoder: Any = None, configs: Mapping[str, str] | None = None, **settings: int | float
    ):
        super().__init__(**settings)
        self.model, self.decoder, self.configs = model, decoder, configs
        self.language, self.codec = model.lm, model.compression_model
        names = list(self.language.condition_provider.conditioners)
        if len(names) != 1 or names != self.language.condition_provider.text_conditions:
            detail = (
                f"found a model with the conditioners {', '.join(names)}; expected one of text alone, and no melody"
            )
            raise AnyGenError("model_load_error", detail)
        if decoder is not None and self.codec.channels != 1:
            detail = f"multi_band_diffusion: found a model of {self.codec.channels} channels; expected 1"
            raise AnyGenError("model_load_error", detail)
        self.text_name = names[0]
        # Modules that audiocraft holds outside of modules, so that they move with the rest.
        self.text_encoder = self.conditioner.t5 if hasattr(self.conditioner, "t5") else None
        processes = decoder.DPs if decoder is not None else []
        self.bands = nn.ModuleList(part for each in processes for part in (each.model, each.schedule.sample_processor))
        self.values["audio_length_in_s"] = settings.get("audio_length_in_s", min(10.0, float(model.max_duration)))
        self.requires_grad_(False).eval()

    @classmethod
    def known_settings(cls) -> dict[str, int | float]:
        return {
            "audio_length_in_s": 10.0,
            "guidance_scale": 3.0,
            "temperature": 1.0,
            "top_k": 250,
            "num_text_states": 64,
        }

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        settings: Mapping[str, int | float],
        dtype: torch.dtype = torch.float32,
        allow_pickle: bool = False,
        multi_band_diffusion: str | None = None,
    ) -> AudiocraftGenerator:
        """Read a folder in audiocraft's layout or in ours.

        Args:
            settings: as of the class.
            dtype: of the language model; its T5 and its codec stay in float32, as audiocraft has them.
            allow_pickle: whether audiocraft's files are read, with `weights_only=True`.
            multi_band_diffusion: a file, folder or repository of MultiBandDiffusion's weights, pickled as well.
        """
        if multi_band_diffusion and not allow_pickle:
            detail = f"multi_band_diffusion: {multi_band_diffusion} is pickled; where you trust its origin, allow it"
            raise AnyGenError("model_load_error", f"{detail}: allow_pickle=True")
        parts = read_parts(folder, allow_pickle=allow_pickle)
        with audiocraft_errors(folder):
            if multi_band_diffusion:
                parts = {name: parts[name] for name in (LANGUAGE, CODEC)} | read_bands(multi_band_diffusion)
            model = make_model(parts, name=str(folder))
            bands = {name: part for name, part in parts.items() if name not in (LANGUAGE, CODEC)}
            decoder = make_decoder(bands, codec=model.compression_model) if bands else None
        configs = {name: part.config for name, part in parts.items()}
        generator = cls(model, decoder=decoder, configs=configs, **settings)
        generator.language.to(dtype)
        return generator

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write it in our layout, safetensors that are loaded without leave to read pickles."""
        if self.configs is None:
            detail = "found a model of audiocraft without its configurations; expected one loaded from a folder"
            raise AnyGenError("model_load_error", detail)
        weights = {LANGUAGE: self.language.state_dict()}
        # A stereo model's codec is wrapped, and one that is published apart is referred to.
        if "pretrained" not in self.configs[CODEC]:
            weights[CODEC] = (self.codec.model if hasattr(self.codec, "model") else self.codec).state_dict()
        for number, (network, processor) in enumerate(zip(self.bands[::2], self.bands[1::2], strict=True)):
            tensors = nn.ModuleDict({"model": network, "processor": processor}).state_dict()
            weights[f"band_{number}"] = tensors
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_parts({name: Part(config=c, weights=weights.get(name, {})) for name, c in self.configs.items()}, folder)
        (folder / SETTINGS_FILE).write_text(json.dumps(self.settings) + "\n", encoding="utf-8")

    @property
    def conditioner(self) -> nn.Module:
        """audiocraft's `TextConditioner`."""
        return self.language.condition_provider.conditioners[self.text_name]

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        length = self.values["num_text_states"]
        return {STATES: (length, self.conditioner.output_dim), MASK: (length,)}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return {name: value for name, value in self.values.items() if name != "num_text_states"}

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Condition:
        """What audiocraft's conditioner gives, in the width of the language model; zeros for an empty caption."""
        length = self.values["num_text_states"]
        self.conditioner.device = self.device  # where a T5Conditioner puts its tokens
        found, counts = self.conditioner(self.conditioner.tokenize(list(captions)))
        missing = max(0, length - found.shape[1])
        states = F.pad(found[:, :length], (0, 0, 0, missing))
        return Condition({STATES: states, MASK: F.pad(counts[:, :length], (0, missing)).long()})

    # Sampling

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
        """As the contract; `negative` is nothing at all by default, as the model was trained to be left without text.

        Where a negative has another length than its condition, the shorter of the two is filled up with zeros, as
        audiocraft does within a batch.
        """
        given = self.check_call(condition, generators, parameters)
        frames = self.num_frames(given["audio_length_in_s"])
        led, bare = [condition], []
        if given["guidance_scale"] != 1:
            bare = [negative if negative is not None else self.null_condition(len(condition))]
        groups = defaultdict(list)
        for row, length in enumerate(torch.stack([used_states(each) for each in led + bare]).amax(dim=0).tolist()):
            groups[length].append(row)
        codes: dict[int, Tensor] = {}
        for number, (length, rows) in enumerate(groups.items()):
            states = torch.cat([self.states_of(each.select(rows), length) for each in led + bare])

            def report(step: int, steps: int, number: int = number) -> None:
                if callback:
                    callback(number * steps + step, len(groups) * steps)

            found = self.sample(states, [generators[row] for row in rows], frames=frames, given=given, report=report)
            codes |= dict(zip(rows, found, strict=True))
        sounds = self.to_sound(torch.stack([codes[row] for row in range(len(codes))]), generators)
        return [to_audio(sound, sampling_rate=self.codec.sample_rate) for sound in sounds]

    def num_frames(self, seconds: float) -> int:
        """F of a sound. Raises AnyGenError("invalid_parameter") outside of what the model was trained to make."""
        frames, most = int(seconds * self.codec.frame_rate), float(self.model.max_duration)
        if not (seconds <= most and frames >= 1):
            expected = f"from one frame, {1 / self.codec.frame_rate:g}, to {most:g}"
            raise AnyGenError("invalid_parameter", f"audio_length_in_s: found {seconds}; expected {expected}")
        return frames

    def states_of(self, condition: Condition, length: int) -> Tensor:
        """(N, length, D): the states of a condition, zeros where its mask is 0, in the language model's precision."""
        states = condition[STATES].to(self.device, next(self.language.parameters()).dtype)
        return (states * condition[MASK].to(states)[..., None])[:, :length]

    def condition_tensors(self, states: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """States (N, T, D) as audiocraft's language model takes them."""
        return {self.text_name: (states, torch.ones_like(states[..., 0]))}

    def sample(
        self,
        states: Tensor,
        generators: Sequence[torch.Generator],
        *,
        frames: int,
        given: Mapping,
        report: StepCallback,
    ) -> Tensor:
        """Codes (N, K, F) for states (N, T, D), or (2 N, T, D) with what guidance leads away from behind.

        `LMModel.generate` of audiocraft, which takes captions and no states, and draws from the global state.
        """
        language, count = self.language, len(generators)
        pattern = language.pattern_provider.get_pattern(frames)
        blank = torch.full((count, language.num_codebooks, frames), UNKNOWN, dtype=torch.long, device=states.device)
        sequence, _, due = pattern.build_pattern_sequence(blank, language.special_token_id)  # (N, K, S), (K, S)
        first, end, before = pattern.get_first_step_with_timesteps(0), sequence.shape[-1], 0
        tensors = self.condition_tensors(states)
        with language.streaming():
            for step in range(first, end):
                ids = sequence[..., before:step].repeat(len(states) // count, 1, 1)
                logits = language(ids, conditions=[], condition_tensors=tensors)[:, :, -1].float()
                if len(states) > count:
                    led, bare = logits.chunk(2)
                    logits = bare + given["guidance_scale"] * (led - bare)
                tokens = drawn(logits, generators, given["temperature"], given["top_k"])
                sequence[..., step] = torch.where(due[:, step], tokens, language.special_token_id)
                before = step
                report(1 + step - first, end - first)
        codes, _, _ = pattern.revert_pattern_sequence(sequence, special_token=UNKNOWN)
        return codes[..., :frames]

    def to_sound(self, codes: Tensor, generators: Sequence[torch.Generator]) -> Sequence[Tensor]:
        """Codes (N, K, F) -> N times samples (channels, S)."""
        if self.decoder is None:
            return self.codec.decode(codes, None)
        self.decoder.device = self.device
        for process in self.decoder.DPs:
            process.schedule.betas = process.schedule.betas.to(self.device)
        sounds = []
        for row, generator in enumerate(generators):  # alone: loudness is matched over the whole batch
            with SeededNoise(generator):
                sounds.append(self.decoder.tokens_to_wav(codes[row : row + 1])[0])
        return sounds

    # Training

    @torch.no_grad()
    def encode_media(self, media: Sequence[Audio]) -> Tensor:
        """Sounds -> codes (N, K, F), cut or filled up with silence to the default length."""
        rate = self.codec.sample_rate
        samples = np.zeros((len(media), 1, round(self.values["audio_length_in_s"] * rate)), dtype=np.float32)
        for row, audio in enumerate(media):
            waveform = resample(audio, rate).waveform[: samples.shape[-1]]
            samples[row, 0, : len(waveform)] = waveform
        given = torch.from_numpy(samples).to(self.device).expand(-1, self.codec.channels, -1)
        codes, scale = self.codec.encode(given)
        if scale is not None:
            raise AnyGenError(
                "model_load_error", "the codec scales sounds beside its codes; expected renormalize false"
            )
        return codes

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        """Cross-entropy of codes (N, K, F) given those before them, the mean over codebooks as audiocraft has it.

        Nothing is drawn.
        """
        codes, length = latents.to(self.device), int(used_states(condition).max())
        tensors = self.condition_tensors(self.states_of(condition, length))
        output = self.language.compute_predictions(codes, conditions=[], condition_tensors=tensors)
        books = zip(output.logits.unbind(1), codes.unbind(1), output.mask.unbind(1), strict=True)
        return torch.stack([F.cross_entropy(logits[due].float(), target[due]) for logits, target, due in books]).mean()


def used_states(condition: Condition) -> Tensor:
    """(N,): how many states there are up to the last that counts, and 1 where none does."""
    mask = condition[MASK].cpu()
    places = torch.arange(1, mask.shape[1] + 1)
    return (places * (mask > 0)).amax(dim=1).clamp(min=1)
