"""Encoders of several families and input projectors of several kinds inside one model: what the LLM reads is theirs."""

import json

import pytest
import torch
from hub_snapshots import SNAPSHOTS
from toy_encoders import media_of

from anygen.encoders import load_encoder, load_encoders, save_encoders
from anygen.encoders.concat_encoder import ConcatEncoder
from anygen.encoders.transformers_encoder import TransformersEncoderConfig
from anygen.errors import AnyGenError
from anygen.backbones import build_backbone
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.projectors import InputProjectorConfig

PROJECTORS = {
    "image": InputProjectorConfig(type="qformer", num_queries=3),
    "video": InputProjectorConfig(type="pixel_shuffle"),
    "audio": InputProjectorConfig(type="perceiver", num_queries=5),
}
NUM_EMBEDDINGS = {"image": 3, "video": 2 * 2 * 2, "audio": 5}


@pytest.fixture(scope="module")
def parts(tmp_path_factory, toy_model):
    folder = tmp_path_factory.mktemp("parts")
    config = TransformersEncoderConfig(num_frames=2)
    clip, dinov2, whisper = (
        load_encoder(SNAPSHOTS[name](folder / name), config=config) for name in ("clip", "dinov2", "whisper")
    )
    encoders = {"image": clip, "video": ConcatEncoder({"clip": clip, "dinov2": dinov2}), "audio": whisper}
    return encoders, build_backbone(toy_model.backbone.llm, toy_model.backbone.tokenizer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_each_medium_is_encoded_projected_and_put_where_it_stood(parts, dtype):
    encoders, backbone = parts
    torch.manual_seed(0)
    model = AnyGenModel(AnyGenConfig(input_projectors=PROJECTORS), encoders=encoders, backbone=backbone).eval()
    model.encoders.to(dtype)
    content = [{"type": modality, modality: media_of(modality)[0]} for modality in PROJECTORS]
    conversation = [{"role": "user", "content": [*content, {"type": "text", "text": "a bell"}]}]
    inputs = model.collate([conversation], add_generation_prompt=True)
    embeddings = model.embed(inputs)
    assert {slot.part.type: slot.length for slot in inputs.slots} == NUM_EMBEDDINGS
    for slot in inputs.slots:
        modality, encoder = slot.part.type, encoders[slot.part.type]
        tokens = encoder(modality, encoder.preprocess(modality, media_of(modality)[:1]))
        assert tokens.dtype == dtype
        expected = model.input_projectors[modality](tokens.float())[0]
        torch.testing.assert_close(embeddings[0, slot.start : slot.start + slot.length], expected)
    model.encoders.to(torch.float32)


@torch.no_grad()
def test_a_model_with_several_encoders_is_saved_and_loaded_whole(parts, tmp_path):
    encoders, backbone = parts
    torch.manual_seed(0)
    projectors = PROJECTORS | {"video": InputProjectorConfig(type="average_pool")}
    encoders = encoders | {"video": encoders["image"]}
    model = AnyGenModel(AnyGenConfig(input_projectors=projectors), encoders=encoders, backbone=backbone).eval()
    model.save_pretrained(tmp_path)
    loaded = AnyGenModel.from_pretrained(tmp_path)
    assert loaded.encoders["image"] is loaded.encoders["video"]
    content = [{"type": modality, modality: media_of(modality)[2]} for modality in projectors]
    batch = [[{"role": "user", "content": content}]]
    found, expected = (each.embed(each.collate(batch, add_generation_prompt=True)) for each in (loaded, model))
    assert torch.equal(found, expected)


def test_one_encoder_for_all_has_the_folder_and_several_have_one_each(parts, tmp_path, monkeypatch):
    encoders, _ = parts
    clip, whisper = encoders["image"], encoders["audio"]
    save_encoders({"image": clip, "video": clip}, tmp_path / "one")
    assert (tmp_path / "one" / "encoder.json").exists() and not (tmp_path / "one" / "encoders.json").exists()
    one = load_encoders(tmp_path / "one", modalities=["image", "video"])
    assert one["image"] is one["video"] and one["image"].config == clip.config

    save_encoders({"image": clip, "video": clip, "audio": whisper}, tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["audio", "encoders.json", "image"]
    two = load_encoders(tmp_path / "two", modalities=["audio", "image", "video"])
    assert two["image"] is two["video"] and two["audio"].model.config.model_type == "whisper"
    assert set(load_encoders(tmp_path / "two", modalities=["video"])) == {"video"}
    assert load_encoders(tmp_path / "none", modalities=[]) == {}

    monkeypatch.setattr(whisper, "source", str(tmp_path / "two" / "audio"))  # a folder may be referred to as well
    save_encoders({"image": clip, "audio": whisper}, tmp_path / "referred")
    assert [path.name for path in (tmp_path / "referred" / "audio").iterdir()] == ["encoder.json"]
    referred = load_encoders(tmp_path / "referred", modalities=["audio"])["audio"]
    assert referred.source == whisper.source and referred.config == whisper.config


@pytest.mark.parametrize("places", [{"image": "../image"}, {"audio": "audio"}])
def test_encoders_that_are_elsewhere_or_missing_are_refused(tmp_path, places):
    (tmp_path / "encoders.json").write_text(json.dumps(places))
    with pytest.raises(AnyGenError, match="encoders.json: found .* does not fit"):
        load_encoders(tmp_path, modalities=["image"])
