"""Taking nano apart: every step of the recipe finds its start, and training goes on from the shipped weights."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from anygen.errors import AnyGenError
from anygen.model import AnyGenModel
from anygen.nano.architecture import build_unet
from anygen.nano.training.caption_encoder import LOOP, load_reader, train_caption_encoder
from anygen.nano.training.loop import START_FILE, LoopConfig, fit
from anygen.nano.training.run import steps
from anygen.nano.training.warm_start import take_apart


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """nano and the work folder that it was taken apart into."""
    model, work = AnyGenModel.from_pretrained("nano"), tmp_path_factory.mktemp("work")
    take_apart(model, work, keep=["autoencoder-audio", "denoiser-audio"])
    return model, work


def test_a_denoiser_begins_with_the_shipped_weights(apart, tmp_path):
    model, work = apart
    unet = build_unet("audio")
    folder = work / "denoiser-audio"
    fit(unet, lambda generator: {"loss": 0 * unet.conv_in.weight.sum()}, LoopConfig(steps=1, weight_decay=0.0), folder=folder)
    assert torch.equal(unet.conv_out.weight, model.generators["audio"].pipeline.unet.conv_out.weight)


def test_every_component_has_its_start(apart):
    _, work = apart
    for name in ("llm", "encoder/whole", "denoiser-image", "denoiser-video", "stage-input_projectors", "stage-output_projectors"):
        assert load_file(work / name / START_FILE)
    for name in ("tokenizer/tokenizer.json", "encoder/tokenizer/tokenizer.json"):
        assert (work / name).exists()
    for modality in ("image", "video", "audio"):
        assert (work / f"autoencoder-{modality}" / "linear" / "config.json").exists()


def test_kept_parts_are_in_place_as_finished(apart):
    model, work = apart
    for name in ("autoencoder-audio", "denoiser-audio"):
        assert (work / steps()[name].result).exists()
    for name in ("autoencoder-image", "denoiser-image", "llm", "encoder"):
        assert not (work / steps()[name].result).exists()
    kept = load_file(work / "denoiser-audio" / "export" / "unet" / "diffusion_pytorch_model.safetensors")
    for name, tensor in model.generators["audio"].pipeline.unet.state_dict().items():
        assert torch.equal(kept[name], tensor), name


def test_only_results_of_steps_can_be_kept(apart, tmp_path):
    with pytest.raises(AnyGenError, match="--keep stage1; expected some of encoder, llm"):
        take_apart(apart[0], tmp_path, keep=["stage1"])


def test_the_caption_encoder_stays_while_its_reader_is_trained_anew(apart):
    model, work = apart
    assert train_caption_encoder(work, loop=replace(LOOP, steps=3))
    shipped = model.generators["image"].encode_text(["a large red bell on grass"])
    logits = load_reader(work)(shipped)
    assert logits["color"].shape == (1, 10)
    kept = load_file(work / "caption-encoder" / "export" / "model.safetensors")
    for name, tensor in model.generators["image"].pipeline.text_encoder.state_dict().items():
        assert torch.equal(kept[name], tensor), name
