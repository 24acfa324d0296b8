"""The ImageBind module: the published layout, the published numbers, and torch's own attention as a witness."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from anygen.encoders.imagebind import Attention, ImageBind, PatchStem
from anygen.encoders.imagebind_config import (
    ImageBindConfig,
    ImuTrunkConfig,
    PatchTrunkConfig,
    TextTrunkConfig,
    TrunkConfig,
    imagebind_huge,
)

ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "seed_oracles.safetensors"


@pytest.fixture(scope="module")
def huge() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return ImageBind(imagebind_huge()).state_dict()


def test_huge_has_the_published_number_of_keys_in_each_trunk(huge):
    assert len(huge) == 1311
    assert Counter(key.split(".")[1] for key in huge) == {
        "vision": 392, "text": 295, "audio": 177, "depth": 177, "thermal": 177, "imu": 93,
    }  # fmt: skip


def test_huge_has_the_published_number_of_parameters():
    with torch.device("meta"):
        model = ImageBind(imagebind_huge())
    counts = Counter()
    for name, parameter in model.named_parameters():
        counts[name.split(".")[1]] += parameter.numel()
    millions = {trunk: round(count / 1e6, 1) for trunk, count in counts.items()}
    assert millions == {"vision": 632.8, "text": 354.0, "audio": 86.2, "depth": 21.9, "thermal": 86.2, "imu": 19.6}
    assert round(sum(counts.values()) / 1e6, 1) == 1200.8


@pytest.mark.parametrize(
    "key, shape",
    [
        ("modality_preprocessors.vision.cls_token", (1, 1, 1280)),
        ("modality_preprocessors.vision.rgbt_stem.proj.1.weight", (1280, 3, 2, 14, 14)),
        ("modality_preprocessors.vision.pos_embedding_helper.pos_embed", (1, 257, 1280)),
        ("modality_preprocessors.text.pos_embed", (1, 77, 1024)),
        ("modality_preprocessors.text.mask", (77, 77)),
        ("modality_preprocessors.text.token_embedding.weight", (49408, 1024)),
        ("modality_preprocessors.audio.rgbt_stem.proj.weight", (768, 1, 16, 16)),
        ("modality_preprocessors.audio.rgbt_stem.norm_layer.bias", (768,)),
        ("modality_preprocessors.audio.pos_embedding_helper.pos_embed", (1, 229, 768)),
        ("modality_preprocessors.depth.depth_stem.proj.weight", (384, 1, 16, 16)),
        ("modality_preprocessors.thermal.rgbt_stem.proj.weight", (768, 1, 16, 16)),
        ("modality_preprocessors.imu.imu_stem.proj.weight", (512, 48)),
        ("modality_preprocessors.imu.pos_embed", (1, 251, 512)),
        ("modality_trunks.vision.pre_transformer_layer.0.weight", (1280,)),
        ("modality_trunks.vision.blocks.31.attn.in_proj_weight", (3840, 1280)),
        ("modality_trunks.text.blocks.23.mlp.fc1.weight", (4096, 1024)),
        ("modality_trunks.audio.blocks.11.attn.bias_k", (1, 1, 768)),
        ("modality_trunks.imu.blocks.5.attn.bias_v", (1, 1, 512)),
        ("modality_heads.vision.2.weight", (1024, 1280)),
        ("modality_heads.text.proj.1.weight", (1024, 1024)),
        ("modality_heads.depth.0.weight", (384,)),
        ("modality_heads.imu.3.weight", (1024, 512)),
        ("modality_postprocessors.text.1.log_logit_scale", ()),
        ("modality_postprocessors.imu.1.log_logit_scale", ()),
    ],
)
def test_huge_has_the_published_shapes(huge, key, shape):
    assert tuple(huge[key].shape) == shape


@pytest.mark.skipif(not ORACLES.exists(), reason="the oracle vectors lie beside the repository, not in it")
def test_outputs_equal_the_official_implementation():
    with safe_open(ORACLES, "pt") as file:
        prefix = "imagebind_vision_audio/"
        oracle = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}
    small = dict(width=16, num_layers=2, num_heads=2)
    published = imagebind_huge()
    config = ImageBindConfig(
        joint_dim=8, vision=replace(published.vision, **small), audio=replace(published.audio, **small)
    )
    model = ImageBind(config).eval()
    model.load_state_dict({k.removeprefix("weight/"): v for k, v in oracle.items() if k.startswith("weight/")})
    with torch.no_grad():
        outputs = model({"vision": oracle["input/vision"], "audio": oracle["input/audio"]})
    for trunk, output in outputs.items():
        torch.testing.assert_close(output, oracle[f"output/{trunk}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("bias_kv, causal", [(False, False), (True, False), (False, True)])
def test_attention_equals_multihead_attention(bias_kv, causal):
    torch.manual_seed(0)
    witness = nn.MultiheadAttention(24, 3, add_bias_kv=bias_kv, batch_first=True).eval()
    attention = Attention(TrunkConfig(width=24, num_layers=1, num_heads=3, bias_kv=bias_kv))
    attention.load_state_dict(witness.state_dict())
    mask = torch.full((5, 5), float("-inf")).triu(1) if causal else None
    x = torch.randn(2, 5, 24)
    torch.testing.assert_close(attention(x, mask), witness(x, x, x, attn_mask=mask, need_weights=False)[0])


def toy(**trunks) -> ImageBind:
    torch.manual_seed(0)
    return ImageBind(ImageBindConfig(joint_dim=8, **trunks)).eval()


SMALL = dict(width=16, num_layers=2, num_heads=2)


def test_a_picture_is_a_film_that_stands_still():
    vision = PatchTrunkConfig(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), **SMALL)
    model, picture = toy(vision=vision), torch.randn(2, 3, 16, 16)
    film = picture[:, None, :, None].expand(-1, 1, -1, 2, -1, -1)
    torch.testing.assert_close(model({"vision": picture})["vision"], model({"vision": film})["vision"])


def test_scaled_clips_are_averaged_and_not_normalised_again():
    audio = PatchTrunkConfig(input_size=(1, 16, 16), kernel=(8, 8), stride=(8, 8), logit_scale=20.0, **SMALL)
    model, clips = toy(audio=audio), torch.randn(2, 3, 1, 16, 16)
    each = torch.stack([model({"audio": clips[:, i]})["audio"] for i in range(3)])
    torch.testing.assert_close(each.norm(dim=-1), torch.full((3, 2), 20.0))
    torch.testing.assert_close(model({"audio": clips})["audio"], each.mean(dim=0))


def test_text_is_read_at_the_highest_id_and_later_tokens_do_not_matter():
    text = TextTrunkConfig(context_length=6, vocab_size=10, logit_scale=150.0, **SMALL)
    model = toy(text=text)
    output = model({"text": torch.tensor([[8, 3, 9, 0, 0, 0], [8, 3, 9, 5, 4, 1], [8, 4, 9, 0, 0, 0]])})["text"]
    torch.testing.assert_close(output[0], output[1])
    assert (output[0] - output[2]).abs().max() > 0.1
    torch.testing.assert_close(output.norm(dim=-1), torch.full((3,), 100.0))  # the scale never exceeds 100


def test_imu_windows_hold_all_channels_of_their_steps():
    imu = ImuTrunkConfig(channels=2, steps=8, window=4, head_dropout=0.5, **SMALL)
    model = toy(imu=imu)
    stem = model.modality_preprocessors["imu"].imu_stem
    recording = torch.arange(16.0).view(1, 2, 8)
    window = torch.tensor([4.0, 5, 6, 7, 12, 13, 14, 15])
    expected = stem.norm_layer(stem.proj(window)) + model.modality_preprocessors["imu"].pos_embed[0, 2]
    torch.testing.assert_close(model.modality_preprocessors["imu"](recording)[0, 2], expected)
    assert model({"imu": recording})["imu"].shape == (1, 8)


def test_drop_path_skips_whole_items_in_training_only():
    trunk = PatchTrunkConfig(
        input_size=(1, 8, 8), kernel=(8, 8), stride=(8, 8), width=16, num_layers=2, num_heads=2, drop_path=0.5
    )
    block = toy(thermal=trunk).modality_trunks["thermal"].blocks[1]
    x = torch.randn(64, 2, 16)
    plain = block._drop(x)
    assert plain is x
    dropped = block.train()._drop(x)
    skipped = (dropped == 0).all(dim=-1).all(dim=-1)
    assert 10 < skipped.sum() < 54
    torch.testing.assert_close(dropped[~skipped], 2 * x[~skipped])


def test_a_wrong_input_size_is_named():
    vision = PatchTrunkConfig(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), **SMALL)
    with pytest.raises(ValueError, match=r"\(2, 3, 2, 8, 16\).*expected \(B, 3, 2, 16, 16\)"):
        toy(vision=vision)({"vision": torch.randn(2, 3, 8, 16)})


def test_config_names_both_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="width=10 is not divisible by num_heads=3"):
        TrunkConfig(width=10, num_layers=1, num_heads=3)
    with pytest.raises(ValueError, match=r"patches of 4x4 pixels.*found kernel=\(2, 8, 8\)"):
        PatchTrunkConfig(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), stem_widths=(8, 8), **SMALL)


def test_a_stem_of_several_convolutions_makes_as_many_patches_and_sees_both_frames():
    size = dict(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), **SMALL)
    stem = PatchStem(PatchTrunkConfig(stem_widths=(8, 8, 16), **size)).eval()
    film = torch.randn(2, 3, 2, 16, 16)
    patches = stem(film)
    assert patches.shape == PatchStem(PatchTrunkConfig(**size))(film).shape == (2, 4, SMALL["width"])
    for frame in (0, 1):
        changed = film.clone()
        changed[:, :, frame] += 1
        assert not torch.allclose(stem(changed), patches, atol=1e-3)
