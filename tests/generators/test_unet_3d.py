"""The 3-D UNet that hears the pooled caption: grown from a 2-D UNet it is that UNet, frame by frame."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from anygen.generators.unet_3d import POOLING_HEADS, TextPooledUNet3D
from anygen.nano.training.denoisers import grow_from_image

SHAPE = dict(
    sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1, cross_attention_dim=16,
    norm_num_groups=4,
)  # fmt: skip


@pytest.fixture
def unets(tmp_path):
    """A 2-D UNet with random weights, and a 3-D one grown from it."""
    torch.manual_seed(0)
    flat = UNet2DConditionModel(
        **SHAPE, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, use_linear_projection=True, addition_embed_type="text",
        addition_embed_type_num_heads=POOLING_HEADS,
    )  # fmt: skip
    flat.save_pretrained(tmp_path / "unet")
    deep = TextPooledUNet3D(
        **SHAPE, down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"), up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
        attention_head_dim=8,
    )  # fmt: skip
    grow_from_image(deep, tmp_path)
    return flat.eval(), deep.eval()


@torch.no_grad()
def test_grown_it_predicts_each_frame_as_the_picture_it_was_grown_from(unets):
    flat, deep = unets
    film, text, steps = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 6, 16), torch.tensor([3, 700])
    frames = deep(film, steps, text).sample
    for index in range(3):
        assert torch.allclose(frames[:, :, index], flat(film[:, :, index], steps, text).sample, atol=1e-4)


@torch.no_grad()
def test_the_whole_caption_reaches_every_block(unets):
    _, deep = unets
    film, steps = torch.randn(1, 4, 3, 8, 8), torch.tensor([500])
    emb = deep.time_embedding(torch.zeros(1, 16), torch.randn(1, 6, 16))
    other = deep.time_embedding(torch.zeros(1, 16), torch.randn(1, 6, 16))
    assert (emb - other).abs().max() > 0.1
    assert deep(film, steps, torch.randn(1, 6, 16)).sample.isfinite().all()


def test_saved_and_loaded_it_is_bit_equal(unets, tmp_path):
    _, deep = unets
    deep.save_pretrained(tmp_path / "deep")
    again = TextPooledUNet3D.from_pretrained(tmp_path / "deep")
    assert again.config.block_out_channels == [16, 32]
    for name, tensor in deep.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
