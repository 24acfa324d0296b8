"""MusicGen and AudioGen of transformers: a decoder of audio tokens that is led by the states of a T5.

    Condition {"encoder_hidden_states": (N, L, D), "attention_mask": (N, L)} --decoder--> codes (N, K, F) --EnCodec--> sound

Copet et al. 2023, sections 2.1 and 2.2: of F frames, each of K codebooks is delayed by one step more than the one before,
so that a frame takes K steps and a sound F + K - 1. Stereo checkpoints delay left and right together. Tokens are drawn
here, with one generator an item, so that an item does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, StepCallback
from anygen.generators.transformers_folder import TransformersGenerator, to_audio
from anygen.media.sampling import resample
from anygen.media.types import Audio

STATES, MASK = "encoder_hidden_states", "attention_mask"


class MusicgenGenerator(TransformersGenerator):
    """`MusicgenForConditionalGeneration` behind the `Generator` contract; its latents are codes, int64 (N, K, F).

    Args:
        model: the model; its EnCodec is the codec.
        tokenizer: of its T5.
        settings: `audio_length_in_s`, `guidance_scale`, `temperature` (0: the likeliest), `top_k`; and
            `num_text_states`, L: captions are cut there.
    """

    def __init__(self, model: Any, tokenizer: Any, **settings: int | float):
        super().__init__(**settings)
        self.model, self.tokenizer = model, tokenizer
        self.requires_grad_(False).eval()

    @classmethod
    def known_settings(cls) -> dict[str, int | float]:
        return {"audio_length_in_s": 10.0, "guidance_scale": 3.0, "temperature": 1.0, "top_k": 250, "num_text_states": 64}

    @classmethod
    def from_folder(cls, folder: Path, *, settings: Mapping[str, int | float], **loading: Any) -> MusicgenGenerator:
        from transformers import AutoTokenizer, MusicgenForConditionalGeneration

        model = MusicgenForConditionalGeneration.from_pretrained(folder, use_safetensors=True, **loading)
        return cls(model, AutoTokenizer.from_pretrained(folder), **settings)

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        length = self.values["num_text_states"]
        return {STATES: (length, self.model.config.text_encoder.hidden_size), MASK: (length,)}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return {name: value for name, value in self.values.items() if name != "num_text_states"}

    @property
    def sampling_rate(self) -> int:
        """Hz of what EnCodec gives."""
        return self.model.config.audio_encoder.sampling_rate

    @property
    def num_channels(self) -> int:
        """1, or 2 where even codebooks are the left and odd ones the right."""
        return self.model.config.decoder.audio_channels

    @property
    def delays(self) -> Tensor:
        """(K,): steps that each codebook is behind the first."""
        return torch.arange(self.model.decoder.num_codebooks, device=self.device) // self.num_channels

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Condition:
        length = self.values["num_text_states"]
        given = self.tokenizer(list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        mask = given["attention_mask"].to(self.device)
        states = self.model.text_encoder(input_ids=given["input_ids"].to(self.device), attention_mask=mask)[0]
        return Condition({STATES: states * mask[..., None].to(states.dtype), MASK: mask})

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
        """As the contract; `negative` is nothing at all by default, as the model was trained to be left without text."""
        given = self.check_call(condition, generators, parameters)
        frames = self.num_frames(given["audio_length_in_s"])
        is_guided = given["guidance_scale"] > 1
        if is_guided:
            condition = Condition.cat([condition, negative if negative is not None else self.null_condition(len(condition))])
        codes = self.empty(len(generators), frames)
        num_steps, cache = codes.shape[-1] - 1, None
        for step in range(num_steps):
            ids = codes[:, :, step : step + 1]
            output = self.decode(torch.cat([ids, ids]) if is_guided else ids, condition, cache=cache, use_cache=True)
            cache, logits = output.cache, self.logits_of(output)[:, :, -1]
            if is_guided:
                led, bare = logits.chunk(2)
                logits = bare + given["guidance_scale"] * (led - bare)
            due = (self.delays <= step) & (step < self.delays + frames)
            codes[:, due, step + 1] = drawn(logits, generators, given["temperature"], given["top_k"])[:, due]
            if callback:
                callback(step + 1, num_steps)
        return [to_audio(sound, sampling_rate=self.sampling_rate) for sound in self.to_sound(self.undelayed(codes, frames))]

    def num_frames(self, seconds: float) -> int:
        """F of a sound. Raises AnyGenError("invalid_parameter") outside of what the model can make."""
        rate = self.model.config.audio_encoder.frame_rate
        frames, most = round(seconds * rate), self.model.config.decoder.max_position_embeddings - int(self.delays[-1])
        if not 1 <= frames <= most:
            detail = f"audio_length_in_s: found {seconds}, {frames} frames; expected from 1 to {most} frames, {rate} a second"
            raise AnyGenError("invalid_parameter", detail)
        return frames

    def decode(self, ids: Tensor, condition: Condition, **more: Any):
        """One pass of the decoder over tokens (N, K, T), with the condition in place of the text encoder."""
        from transformers.modeling_outputs import BaseModelOutput

        states = condition[STATES].to(self.device, self.model.dtype)
        return self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=condition[MASK].to(self.device).long(),
            decoder_input_ids=ids.reshape(-1, ids.shape[-1]),
            **more,
        )

    def logits_of(self, output) -> Tensor:
        """float32 (N, K, T, V)."""
        return output.logits.unflatten(0, (-1, self.model.decoder.num_codebooks)).float()

    def empty(self, batch_size: int, frames: int) -> Tensor:
        """(N, K, 1 + F + the longest delay) of padding, whose first column starts the decoder."""
        shape = (batch_size, len(self.delays), 1 + frames + int(self.delays[-1]))
        return torch.full(shape, self.model.config.decoder.pad_token_id, dtype=torch.long, device=self.device)

    def delayed(self, codes: Tensor) -> Tensor:
        """Codes (N, K, F) as the decoder reads them."""
        frames, found = codes.shape[-1], self.empty(len(codes), codes.shape[-1])
        for book, delay in enumerate(self.delays.tolist()):
            found[:, book, 1 + delay : 1 + delay + frames] = codes[:, book]
        return found

    def undelayed(self, codes: Tensor, frames: int) -> Tensor:
        """The inverse: (N, K, F)."""
        return torch.stack([codes[:, k, 1 + d : 1 + d + frames] for k, d in enumerate(self.delays.tolist())], dim=1)

    def to_sound(self, codes: Tensor) -> Tensor:
        """Codes (N, K, F) -> samples (N, channels, S)."""
        sides = [codes[:, side :: self.num_channels] for side in range(self.num_channels)]
        scales = [None] * len(codes)
        return torch.cat([self.model.audio_encoder.decode(s[None], audio_scales=scales).audio_values for s in sides], dim=1)

    # Training

    @torch.no_grad()
    def encode_media(self, media: Sequence[Audio]) -> Tensor:
        """Sounds -> codes (N, K, F), cut or filled up with silence to the default length."""
        length = round(self.values["audio_length_in_s"] * self.sampling_rate)
        samples = np.zeros((len(media), 1, length), dtype=np.float32)
        for row, audio in enumerate(media):
            waveform = resample(audio, self.sampling_rate).waveform[:length]
            samples[row, 0, : len(waveform)] = waveform
        given = torch.from_numpy(samples).to(self.device, self.model.dtype)
        channels = self.model.config.audio_encoder.audio_channels
        found = self.model.audio_encoder.encode(given.repeat(1, channels, 1)).audio_codes
        if len(found) != 1:
            raise AnyGenError("model_load_error", f"the codec cuts sounds in {len(found)} chunks; expected chunk_length_s null")
        return found[0].repeat_interleave(self.num_channels, dim=1)  # a mono sound is the same on both sides

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        """Cross-entropy of codes (N, K, F) given those before them, over all codebooks; nothing is drawn."""
        ids = self.delayed(latents.to(self.device))
        logits, target = self.logits_of(self.decode(ids[..., :-1], condition)), ids[..., 1:]
        return F.cross_entropy(logits.flatten(0, 2), target.flatten(), ignore_index=self.model.config.decoder.pad_token_id)


def drawn(logits: Tensor, generators: Sequence[torch.Generator], temperature: float, top_k: int) -> Tensor:
    """One token each of logits (N, K, V), each item's with its own generator: (N, K).

    Temperature 0 takes the likeliest, `top_k` 0 any. A draw goes over all of V, as in transformers and audiocraft: a seed
    gives the tokens that it gives there.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    chances = (logits / temperature).softmax(dim=-1)
    if 0 < top_k < logits.shape[-1]:
        chances = chances * (chances >= chances.topk(int(top_k), dim=-1).values[..., -1:])
    rows = [
        torch.multinomial(chance.to(generator.device), 1, generator=generator).to(logits.device)
        for chance, generator in zip(chances, generators, strict=True)
    ]
    return torch.stack(rows)[..., 0]
