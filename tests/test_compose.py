"""Compositions of parts in the hub's own layouts: built, used, saved as references, loaded; and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from anygen import AnyGenPipeline
from anygen.backbones import build_backbone
from anygen.errors import AnyGenError
from anygen.generators.loading import LoadOptions
from anygen.model import AnyGenModel
from anygen.projectors import OutputProjectorConfig

sys.path.insert(0, str(Path(__file__).parent / "generators"))
from tiny_audio import speecht5, vits  # noqa: E402  (in the folder of the generators' tests)

SMALL = OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)


@pytest.fixture(scope="module")
def parts(toy_model_maker, tmp_path_factory):
    """A toy LLM and a toy StableDiffusionPipeline, each as `save_pretrained` of its library writes it."""
    model, folder = toy_model_maker(), tmp_path_factory.mktemp("parts")
    model.backbone.llm.config.max_position_embeddings = 4096
    model.backbone.llm.save_pretrained(folder / "llm")
    model.backbone.tokenizer.save_pretrained(folder / "llm")
    model.generators["image"].pipeline.save_pretrained(folder / "image")
    return folder


def test_captions_need_no_training(parts):
    pipe = AnyGenPipeline.compose(llm=parts / "llm", image=str(parts / "image"))
    out = pipe("a bell", modalities=["image"], seed=0, image={"num_inference_steps": 2})
    assert out.images[0].size == (16, 16) or out.images[0].size[0] > 0
    assert [part.type for part in out.parts] == ["image"] and out.parts[0].signal.caption


@pytest.mark.parametrize("bridge", ["text", "signal", "query", "blend"])
def test_a_composition_is_saved_as_references_and_loads_the_same(parts, tmp_path, bridge):
    torch.manual_seed(1)
    pipe = AnyGenPipeline.compose(llm=parts / "llm", image=parts / "image", bridge=bridge, output_projector=SMALL)
    settings = {"modalities": ["image"], "seed": 0, "image": {"num_inference_steps": 2}, "max_new_tokens": 60}
    before = pipe("a bell", **settings)
    pipe.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model/llm/reference.json").read_text())["source"] == str((parts / "llm").resolve())
    assert not list((tmp_path / "model/llm").glob("*.safetensors"))
    assert not list((tmp_path / "model/generators").rglob("*.safetensors"))
    again = AnyGenPipeline.from_pretrained(tmp_path / "model")
    after = again("a bell", **settings)
    assert before.images[0].tobytes() == after.images[0].tobytes()
    assert before.text == after.text


def test_lazy_generators_come_when_used_and_are_saved_so(parts, tmp_path):
    options = {"image": LoadOptions(dtype="bfloat16"), "video": LoadOptions(dtype="float32")}
    pipe = AnyGenPipeline.compose(
        llm=parts / "llm", image=parts / "image", video=parts / "image", llm_options={"dtype": torch.bfloat16},
        generator_options=options, max_loaded=1,
    )  # fmt: skip
    assert not any(generator.is_loaded for generator in pipe.generators.values())
    pipe.save_pretrained(tmp_path)
    again = AnyGenPipeline.from_pretrained(tmp_path)
    assert again.model.backbone.llm.dtype == torch.bfloat16
    assert not any(generator.is_loaded for generator in again.generators.values())
    assert {modality: each.load_options for modality, each in again.generators.items()} == options


def test_a_lazy_composition_answers_as_one_that_is_not(parts, tmp_path):
    settings = {"modalities": ["image"], "seed": 0, "image": {"num_inference_steps": 1}, "max_new_tokens": 60}
    given = {"llm": parts / "llm", "image": parts / "image", "bridge": "signal", "output_projector": SMALL}
    eager, lazy = AnyGenPipeline.compose(**given), AnyGenPipeline.compose(**given, max_loaded=1)
    for part in ("bridges", "backbone"):
        getattr(lazy.model, part).load_state_dict(getattr(eager.model, part).state_dict())
    lazy.save_pretrained(tmp_path)
    again = AnyGenPipeline.from_pretrained(tmp_path)
    assert not again.generators["image"].is_loaded, "the recorded header was not enough"
    pictures = [pipe("a bell", **settings).images[0].tobytes() for pipe in (eager, lazy, again)]
    assert pictures[0] == pictures[1] == pictures[2]


def test_an_llm_that_was_adapted_is_saved_whole(parts, tmp_path):
    pipe = AnyGenPipeline.compose(llm=parts / "llm", image=parts / "image", bridge="signal", output_projector=SMALL)
    pipe.model.backbone.add_lora(rank=2, alpha=4)
    pipe.save_pretrained(tmp_path)
    assert (tmp_path / "llm/model.safetensors").exists() and not (tmp_path / "llm/reference.json").exists()


def test_a_generator_of_another_width_is_refused_with_both_numbers(parts, tmp_path):
    pipe = AnyGenPipeline.compose(llm=parts / "llm", image=parts / "image", bridge="signal", output_projector=SMALL)
    pipe.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["conditions"]["image"]["prompt_embeds"] = [6, 1024]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(AnyGenError, match=r"conditions.image: found .*1024.* takes .*16"):
        AnyGenPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "an LLM alone"),
        ({"picture": "x"}, "found picture; expected some of image, video, audio, llm"),
        ({"image": "x", "bridge": "magic"}, "found 'magic'; expected one of signal, query, blend, text"),
        ({"image": "x", "bridge": {"audio": "text"}}, "found audio, for which no generator is given"),
        ({"image": "x", "max_loaded": 0}, "max_loaded: found 0; expected a whole number of at least 1"),
        ({"image": "x", "bridge": "signal", "num_signal_tokens": {"image": 0}}, r"num_signal_tokens\['image'\]"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(settings, message):
    with pytest.raises(AnyGenError, match=message):
        AnyGenPipeline.compose(llm="nobody/nothing", **settings)


def test_a_tokenizer_without_template_and_padding_is_given_plain_ones(toy_model_maker):
    model = toy_model_maker()
    tokenizer = model.backbone.tokenizer
    tokenizer.chat_template, tokenizer.pad_token = None, None
    backbone = build_backbone(model.backbone.llm, tokenizer, config=model.backbone.config)
    assert backbone.pad_id == backbone.end_id
    opening, closing = backbone.template_ids((("user", 1),), add_generation_prompt=True)
    assert backbone.tokenizer.decode(opening) == "User: " and backbone.tokenizer.decode(closing).endswith(
        "\nAssistant: "
    )


def test_an_encoder_is_referred_to_and_the_llm_is_told_what_the_user_wants(parts, toy_model_maker, tmp_path):
    toy_model_maker().encoders["image"].save_pretrained(tmp_path / "encoder")
    settings = {"encoders": {"image": tmp_path / "encoder"}, "instructions": "Media: {elements} Nothing else."}
    pipe = AnyGenPipeline.compose(llm=parts / "llm", image=parts / "image", **settings)
    assert pipe.name == f"{parts / 'llm'} + {parts / 'image'}"
    pipe.save_pretrained(tmp_path / "model")
    assert not list((tmp_path / "model/encoder").rglob("*.safetensors"))
    again = AnyGenPipeline.from_pretrained(tmp_path / "model")
    asked = [
        {
            "role": "user",
            "content": [{"type": "image", "image": Image.new("RGB", (8, 8))}, {"type": "text", "text": "again"}],
        }
    ]
    steps = {"modalities": ["image"], "seed": 0, "image": {"num_inference_steps": 1}}
    first, second = pipe(asked, **steps), again(asked, **steps)
    assert first.images[0].tobytes() == second.images[0].tobytes()
    told = again.model.backbone.decode_text(again.model.write_script("go", add_generation_prompt=True).ids)
    assert "Media: For a picture write <image>what it shows</image>. Nothing else." in told
    with pytest.raises(AnyGenError, match="found no {elements}"):
        AnyGenPipeline.compose(llm=parts / "llm", image=parts / "image", instructions="Draw!")


@pytest.mark.parametrize("bridge", ["signal", "query", "blend"])
@pytest.mark.parametrize("maker", [vits, speecht5])
def test_a_learned_bridge_onto_tokens_of_speech_is_refused(parts, tmp_path, maker, bridge):
    """Whether the generator is given, referred to, or comes when it is used."""
    speaker = maker(tmp_path)
    speaker.save_pretrained(tmp_path / "speaker")
    told = f"found {bridge}; no gradient reaches what {type(speaker).__name__} reads: expected text"
    for audio, more in ((speaker, {}), (tmp_path / "speaker", {}), (tmp_path / "speaker", {"max_loaded": 1})):
        with pytest.raises(AnyGenError, match=told) as raised:
            AnyGenPipeline.compose(llm=parts / "llm", audio=audio, bridge=bridge, output_projector=SMALL, **more)
        assert raised.value.code == "invalid_parameter"


def test_a_model_is_not_built_with_a_learned_bridge_onto_speech(toy_model_maker, tmp_path):
    model, speaker = toy_model_maker(), vits(tmp_path)
    with pytest.raises(AnyGenError, match="model_load_error.*bridges.audio: found a signal bridge; .*VitsGenerator"):
        AnyGenModel(model.config, encoders=model.encoders, backbone=model.backbone, generators={"audio": speaker})


def test_folders_may_be_moved_together(parts, tmp_path):
    shutil.copytree(parts, tmp_path / "all")
    pipe = AnyGenPipeline.compose(llm=tmp_path / "all/llm", image=tmp_path / "all/image")
    pipe.save_pretrained(tmp_path / "all/model")
    for path, key in (("llm/reference.json", "../../llm"), ("generators/config.json", "../../image")):
        file = tmp_path / "all/model" / path
        found = json.loads(file.read_text())
        (found if "source" in found else found["image"])["source"] = key
        file.write_text(json.dumps(found))
    (tmp_path / "all").rename(tmp_path / "moved")
    again = AnyGenPipeline.from_pretrained(tmp_path / "moved/model")
    assert again("a bell", modalities=["image"], seed=0, image={"num_inference_steps": 1}).images
