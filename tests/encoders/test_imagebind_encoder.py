"""What is ImageBind's own behind the encoder contract."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toy_encoders import WORDS, media_of, toy_imagebind

from anygen.encoders import load_encoder
from anygen.errors import AnyGenError
from anygen.media.types import Audio


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    encoder = toy_imagebind()
    encoder.save_pretrained(tmp_path, dtype=torch.float16)
    loaded = load_encoder(tmp_path)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder_type": "clip"}, "encoder_type is 'clip'.*expected an encoder_type of imagebind"),
        ({"colour": 1}, r"config.json: unknown keys \['colour'\]"),
        ({"read": "all"}, "read='all'; expected one of cls, patches, grid"),
        ({"model": {"joint_dim": 4, "vision": {"size": 1}}}, r"config.json: model: vision: unknown keys \['size'\]"),
    ],
)
def test_a_wrong_config_names_file_and_key(tmp_path, change, message):
    toy_imagebind().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AnyGenError, match=message):
        load_encoder(tmp_path)


def test_missing_weights_are_named(tmp_path):
    toy_imagebind().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(AnyGenError, match="model.safetensors"):
        load_encoder(tmp_path)


def test_text_without_a_tokenizer_is_refused():
    encoder = toy_imagebind()
    encoder.tokenizer = None
    with pytest.raises(AnyGenError, match="tokenizer"):
        encoder.preprocess("text", ["a"])


def test_end_of_text_survives_truncation():
    ids = toy_imagebind().preprocess("text", ["red " * 30, "red"])
    start, end = len(WORDS), len(WORDS) + 1
    assert ids.tolist() == [[start, 1, 1, 1, 1, 1, 1, end], [start, 1, end, 0, 0, 0, 0, 0]]


@torch.no_grad()
def test_grid_is_cls_and_the_mean_of_each_cell_clip_by_clip():
    encoder = toy_imagebind(read="grid", features="trunk", image_grid=(2, 2), video_grid=(1, 2))
    head = encoder.model.modality_heads["vision"]
    image = encoder.preprocess("image", media_of("image"))
    trunk = head.normalise(encoder.model.encode("vision", image), image)
    tokens = encoder("image", image)
    torch.testing.assert_close(tokens[:, 0], trunk[:, 0])
    cells = trunk[:, 1:].unflatten(1, (4, 4))
    torch.testing.assert_close(tokens[:, 2], cells[:, :2, 2:].mean(dim=(1, 2)))

    video = encoder.preprocess("video", media_of("video"))
    second_clip = video[:, 1]
    trunk = head.normalise(encoder.model.encode("vision", second_clip), second_clip)
    torch.testing.assert_close(encoder("video", video)[:, 3], trunk[:, 0])
    assert encoder.num_tokens("video") == 3 * 3


@torch.no_grad()
def test_joint_cls_is_the_mean_of_the_clips_unit_vectors():
    encoder = toy_imagebind()
    audio = encoder.preprocess("audio", media_of("audio"))
    each = torch.stack([F.normalize(encoder.model({"audio": audio[:, i]})["audio"], dim=-1) for i in range(2)])
    torch.testing.assert_close(encoder("audio", audio)[:, 0], each.mean(dim=0))
    torch.testing.assert_close(encoder.embed("audio", audio), F.normalize(each.mean(dim=0), dim=-1))


def test_short_sound_is_filled_up_with_silence_or_with_frames():
    short = Audio(waveform=np.full(8_000, 0.1, np.float32), sampling_rate=16_000)
    silence, frames = (
        toy_imagebind(audio_fill=fill).preprocess("audio", [short])[0, 0, 0] for fill in ("silence", "frames")
    )
    mean, std = toy_imagebind().config.audio_mean, toy_imagebind().config.audio_std
    torch.testing.assert_close(frames[:, -1], torch.full((32,), -mean / std))
    assert (silence[:, -1] < frames[:, -1] - 1).all()
