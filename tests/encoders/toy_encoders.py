"""A small ImageBind with random weights, and media of every kind that no encoder works at the size of."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from anygen.encoders.imagebind_config import ImageBindConfig, ImuTrunkConfig, PatchTrunkConfig, TextTrunkConfig
from anygen.encoders.imagebind_encoder import ImageBindEncoder, ImageBindEncoderConfig
from anygen.media.types import Audio, Video

WORDS = ("a", "red", "bell", "on", "grass", "the", "sound", "of")


def toy_imagebind(*, senses: bool = False, **changes) -> ImageBindEncoder:
    """`senses`: with the trunks of depth, thermal and IMU."""
    torch.manual_seed(0)
    small = dict(width=16, num_layers=2, num_heads=2, bias_kv=True)
    config = ImageBindEncoderConfig(
        model=ImageBindConfig(
            joint_dim=12,
            vision=PatchTrunkConfig(input_size=(3, 2, 32, 32), kernel=(2, 8, 8), stride=(2, 8, 8), **small),
            text=TextTrunkConfig(context_length=8, vocab_size=len(WORDS) + 2, width=16, num_layers=2, num_heads=2),
            audio=PatchTrunkConfig(input_size=(1, 32, 64), kernel=(8, 8), stride=(8, 8), **(small | dict(width=20))),
        ),
        fit="pad", num_crops=1, num_video_clips=3, video_clip_seconds=None, num_audio_clips=2,
        audio_clip_samples=16_528, audio_frame_shift=256, audio_fill="silence",
    )  # fmt: skip
    if senses:
        plane = PatchTrunkConfig(input_size=(1, 24, 24), kernel=(8, 8), stride=(8, 8), **small)
        imu = ImuTrunkConfig(channels=2, steps=40, window=8, head_dropout=0.5, **small)
        config = replace(config, model=replace(config.model, depth=plane, thermal=plane, imu=imu))
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = ImageBindEncoder(replace(config, **changes), tokenizer=PreTrainedTokenizerFast(tokenizer_object=words))
    with torch.no_grad():  # larger than the initial weights, so that items differ
        for name, parameter in encoder.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return encoder.eval()


def media_of(modality: str) -> list:
    """Three media of one modality, none of the size that the encoder works at."""
    rng = np.random.default_rng(0)
    if modality == "text":
        return ["a red bell", "the sound of a bell on red grass a a a a a", ""]
    if modality == "image":
        shapes = ((32, 32), (5, 90), (71, 33))
        return [Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    if modality == "video":
        shapes = ((8, 32, 32), (1, 40, 20), (31, 20, 44))
        return [Video(frames=rng.integers(0, 256, (*s, 3), dtype=np.uint8), fps=4.0) for s in shapes]
    if modality == "depth":
        return [rng.uniform(0, 1, shape).astype(np.float32) for shape in ((32, 32), (5, 90), (71, 33))]
    if modality == "thermal":
        return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in ((32, 32), (5, 90), (71, 33))]
    if modality == "imu":
        return [rng.normal(size=(2, steps)) for steps in (40, 1, 333)]
    lengths = ((16_000, 16_000), (100, 16_000), (70_000, 44_100))
    return [Audio(waveform=rng.uniform(-0.5, 0.5, n).astype(np.float32), sampling_rate=rate) for n, rate in lengths]
