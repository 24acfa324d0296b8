"""ImageBind as published: every key and shape of its state dict, its preprocessing step by step, its checkpoint file."""

import logging
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hub_snapshots import clip_tokenizer
from PIL import Image
from toy_encoders import media_of, toy_imagebind

from anygen.encoders import load_encoder
from anygen.encoders.fbank import kaldi_fbank
from anygen.encoders.imagebind import ImageBind
from anygen.encoders.imagebind_config import ImageBindConfig, PatchTrunkConfig, TextTrunkConfig, imagebind_huge
from anygen.encoders.imagebind_encoder import LICENCE, ImageBindEncoder, ImageBindEncoderConfig
from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Key -> shape of `imagebind_huge.pth`, written from its description and not from our modules.

    A trunk: width, blocks, whether attention has an extra key and value, number of tokens with CLS.
    """
    trunks = {
        "vision": (1280, 32, False, 257), "text": (1024, 24, False, 77), "audio": (768, 12, True, 229),
        "depth": (384, 12, True, 197), "thermal": (768, 12, True, 197), "imu": (512, 6, True, 251),
    }  # fmt: skip
    stems = {
        "vision": ("rgbt_stem.proj.1", (3, 2, 14, 14)), "audio": ("rgbt_stem.proj", (1, 16, 16)),
        "depth": ("depth_stem.proj", (1, 16, 16)), "thermal": ("rgbt_stem.proj", (1, 16, 16)), "imu": ("imu_stem.proj", (48,)),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(prefix: str, width: int) -> None:
        shapes.update({f"{prefix}.weight": (width,), f"{prefix}.bias": (width,)})

    for name, (width, blocks, has_extra, tokens) in trunks.items():
        start = f"modality_preprocessors.{name}"
        position = "pos_embed" if name in ("text", "imu") else "pos_embedding_helper.pos_embed"
        shapes[f"{start}.{position}"] = (1, tokens, width)
        if name == "text":
            shapes |= {f"{start}.mask": (77, 77), f"{start}.token_embedding.weight": (49408, width)}
        else:
            stem, kernel = stems[name]
            shapes |= {f"{start}.cls_token": (1, 1, width), f"{start}.{stem}.weight": (width, *kernel)}
            if name != "vision":
                norm(f"{start}.{stem.split('.')[0]}.norm_layer", width)
        if name == "vision":
            norm("modality_trunks.vision.pre_transformer_layer.0", width)
        for block in range(blocks):
            at = f"modality_trunks.{name}.blocks.{block}"
            shapes |= {f"{at}.attn.in_proj_weight": (3 * width, width), f"{at}.attn.in_proj_bias": (3 * width,)}
            shapes |= {f"{at}.attn.bias_{part}": (1, 1, width) for part in "kv" if has_extra}
            for layer, (rows, columns) in {
                "attn.out_proj": (width, width), "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width),
            }.items():  # fmt: skip
                shapes |= {f"{at}.{layer}.weight": (rows, columns), f"{at}.{layer}.bias": (rows,)}
            norm(f"{at}.norm_1", width)
            norm(f"{at}.norm_2", width)
        head = "modality_heads.text.proj" if name == "text" else f"modality_heads.{name}"
        norm(f"{head}.0", width)
        shapes[f"{head}.{ {'text': 1, 'imu': 3}.get(name, 2) }.weight"] = (1024, width)
        if name != "vision":
            shapes[f"modality_postprocessors.{name}.1.log_logit_scale"] = ()
    return shapes


def test_the_published_state_dict_fits_key_by_key_and_shape_by_shape():
    shapes = published_shapes()
    assert len(shapes) == 1311
    with torch.device("meta"):
        model = ImageBind(imagebind_huge())
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == shapes
    model.load_state_dict(state, assign=True)  # strict


# Preprocessing


SIZE = 32


def picture_encoder(**changes) -> ImageBindEncoder:
    """The published settings on a trunk of small pictures."""
    small = dict(width=16, num_layers=1, num_heads=2)
    config = ImageBindConfig(
        joint_dim=8,
        vision=PatchTrunkConfig(input_size=(3, 2, SIZE, SIZE), kernel=(2, 8, 8), stride=(2, 8, 8), **small),
        audio=PatchTrunkConfig(input_size=(1, 128, 204), kernel=(16, 16), stride=(10, 10), **small),
        text=TextTrunkConfig(context_length=8, vocab_size=56, width=16, num_layers=1, num_heads=2),
    )
    return ImageBindEncoder(ImageBindEncoderConfig(model=config), **changes)


def normalised(pixels: np.ndarray) -> torch.Tensor:
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return torch.from_numpy((pixels - np.array(mean)) / np.array(std)).float()


@pytest.mark.parametrize("width, height", [(90, 41), (41, 90), (50, 50), (33, 32), (20, 17)])
def test_a_picture_is_scaled_by_its_short_side_and_cropped_in_the_middle(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    short = min(width, height)
    scaled = Image.fromarray(pixels).resize((SIZE * width // short, SIZE * height // short), Image.Resampling.BICUBIC)
    left, top = round((scaled.width - SIZE) / 2), round((scaled.height - SIZE) / 2)
    cropped = np.asarray(scaled.crop((left, top, left + SIZE, top + SIZE)))
    found = picture_encoder().preprocess("image", [Image.fromarray(pixels)])[0]
    torch.testing.assert_close(found, normalised(cropped / 255).permute(2, 0, 1), atol=1e-6, rtol=1e-6)


def test_a_film_is_five_clips_of_two_seconds_in_three_crops_scaled_bilinearly():
    frames = np.random.default_rng(0).integers(0, 256, (60, 40, 67, 3), dtype=np.uint8)
    found = picture_encoder().preprocess("video", [Video(frames=frames, fps=10.0)])[0]
    assert found.shape == (15, 3, 2, SIZE, SIZE)
    wide = math.floor(67 / 40 * SIZE)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    scaled = F.interpolate(pixels, size=(SIZE, wide), mode="bilinear", align_corners=False)
    for clip, start in enumerate((0, 10, 20, 30, 40)):  # evenly from 0 to 4 s, 20 frames each, the first and the last
        for crop, left in enumerate((0, math.ceil((wide - SIZE) / 2), wide - SIZE)):
            expected = scaled[[start, start + 19], :, :, left : left + SIZE].permute(0, 2, 3, 1).numpy()
            expected = normalised(expected).permute(3, 0, 1, 2)
            torch.testing.assert_close(found[3 * clip + crop], expected, atol=1e-5, rtol=1e-5)


def test_a_sound_is_three_clips_of_two_seconds_without_their_mean_filled_up_after_analysis():
    waveform = np.random.default_rng(0).uniform(-0.5, 0.7, 5 * 16_000).astype(np.float32)
    found = picture_encoder().preprocess("audio", [Audio(waveform=waveform, sampling_rate=16_000)])[0]
    assert found.shape == (3, 1, 128, 204)
    for clip, start in enumerate((0, 24_000, 48_000)):
        samples = torch.from_numpy(waveform[start : start + 32_000])
        mel = kaldi_fbank(samples - samples.mean(), sampling_rate=16_000, num_mel_bins=128, frame_shift=160)
        assert mel.shape == (128, 198)
        torch.testing.assert_close(found[clip, 0], (F.pad(mel, (0, 6)) + 4.268) / 9.138)


def test_words_are_clips_and_special_tokens_that_they_spell_are_left_out(tmp_path):
    tokenizer = clip_tokenizer(tmp_path)
    encoder = picture_encoder(tokenizer=tokenizer)
    bell = tokenizer("bell", add_special_tokens=False)["input_ids"]
    ids = encoder.preprocess("text", ["Bell <|endoftext|> bell"])[0].tolist()
    assert ids == [54, *bell, *bell, 55] + [0] * (6 - 2 * len(bell))


@torch.no_grad()
def test_depth_and_thermal_are_cropped_planes_and_imu_is_brought_to_its_steps():
    encoder = toy_imagebind(senses=True)
    disparity = np.random.default_rng(0).uniform(0, 3, (24, 40)).astype(np.float32)
    plane = encoder.preprocess("depth", [disparity])[0, 0]
    torch.testing.assert_close(plane, torch.from_numpy(disparity[:, 8:32]))
    assert torch.equal(encoder.preprocess("depth", [Image.fromarray(disparity)])[0, 0], plane)
    warm = Image.new("RGB", (24, 24), (200, 200, 200))
    torch.testing.assert_close(encoder.preprocess("thermal", [warm]), torch.full((1, 1, 24, 24), 200 / 255))
    recording = np.stack([np.arange(40.0), np.ones(40)])
    assert torch.equal(encoder.preprocess("imu", [recording])[0], torch.from_numpy(recording).float())
    twice = encoder.preprocess("imu", [np.repeat(recording, 2, axis=1)])[0]
    torch.testing.assert_close(twice, torch.from_numpy(recording).float())
    vector = encoder.embed("imu", encoder.preprocess("imu", media_of("imu")))
    raw = encoder.model({"imu": encoder.preprocess("imu", media_of("imu"))})["imu"]
    torch.testing.assert_close(vector, F.normalize(raw, dim=-1))


@pytest.mark.parametrize(
    "modality, medium, message",
    [
        ("depth", np.zeros((3, 3), np.uint8), r"depth is uint8 \(3, 3\); expected a numpy array of floats, 2 axes"),
        ("depth", Image.new("RGB", (3, 3)), "mode RGB; expected disparity"),
        ("depth", np.full((3, 3), np.nan), "not finite"),
        ("imu", np.zeros((6, 9)), r"shape \(6, 9\); expected \(2, S\)"),
        ("imu", [1.0], "imu is list"),
    ],
)
def test_senses_that_are_something_else_are_refused(modality, medium, message):
    with pytest.raises(AnyGenError, match=message):
        toy_imagebind(senses=True).preprocess(modality, [medium])


# The file


@torch.no_grad()
def test_a_published_file_loads_with_its_licence_and_is_saved_as_safetensors(tmp_path, caplog):
    original = toy_imagebind(senses=True)
    config = ImageBindEncoderConfig(model=original.config.model, licence=LICENCE)
    torch.save(original.model.state_dict(), tmp_path / "imagebind_toy.pth")
    with pytest.raises(AnyGenError, match="imagebind_toy.pth: a pickle; pass allow_pickle=True"):
        ImageBindEncoder.from_checkpoint(tmp_path / "imagebind_toy.pth", config=config)
    with caplog.at_level(logging.WARNING):
        encoder = ImageBindEncoder.from_checkpoint(
            tmp_path / "imagebind_toy.pth", config=config, tokenizer=original.tokenizer, allow_pickle=True
        )
    assert caplog.text.count("CC-BY-NC-SA 4.0") == 1 and not encoder.training
    for name, tensor in original.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], tensor), name
    encoder.save_pretrained(tmp_path / "saved")
    assert sorted(path.suffix for path in (tmp_path / "saved").glob("model.*")) == [".safetensors"]
    with caplog.at_level(logging.WARNING):
        loaded = load_encoder(tmp_path / "saved")
    assert caplog.text.count("CC-BY-NC-SA 4.0") == 2 and loaded.config == config
    again = ImageBindEncoder.from_checkpoint(rename(tmp_path / "saved" / "model.safetensors"), config=config)
    assert torch.equal(again.embed("imu", torch.ones(1, 2, 40)), encoder.embed("imu", torch.ones(1, 2, 40)))


def rename(path):
    """The weights of our folder by the published keys."""
    from safetensors.torch import load_file, save_file

    target = path.with_name("published.safetensors")
    save_file({key.removeprefix("model."): tensor for key, tensor in load_file(path).items()}, target)
    return target


def test_a_file_of_another_model_is_named_with_what_does_not_fit(tmp_path):
    original = toy_imagebind()
    torch.save({"weird": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint at all")
    config = ImageBindEncoderConfig(model=original.config.model)
    for name, message in (("other.pth", 'other.pth.*Unexpected key.*"weird"'), ("broken.pth", "broken.pth")):
        with pytest.raises(AnyGenError, match=f"(?s)model_load_error.*{message}"):
            ImageBindEncoder.from_checkpoint(tmp_path / name, config=config, allow_pickle=True)


def test_the_published_size_is_the_default_and_says_its_licence(tmp_path):
    with pytest.raises(AnyGenError, match="(?s)Missing key.*modality_trunks.vision.blocks.31"):
        torch.save({}, tmp_path / "empty.pth")
        ImageBindEncoder.from_checkpoint(tmp_path / "empty.pth", allow_pickle=True)
