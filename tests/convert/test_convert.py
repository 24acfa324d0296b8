"""Whole conversions: the folder loads, computes what the original formula does, and says what became of every tensor."""

import json
from dataclasses import replace

import pytest
import synthetic_checkpoints as synthetic
import tiny_pipelines
import torch
from PIL import Image
from safetensors.torch import load_file

from anygen import AnyGenModel, AnyGenPipeline
from anygen.cli import main
from anygen.convert.convert import FrozenParts, convert_checkpoint
from anygen.encoders.encoder import config_from_dict, read_json
from anygen.encoders.imagebind_config import ImageBindConfig, PatchTrunkConfig
from anygen.encoders.imagebind_encoder import ImageBindEncoder, ImageBindEncoderConfig
from anygen.errors import AnyGenError
from anygen.inspection.inventory import read_inventory
from anygen.model import AnyGenConfig


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """The frozen LLM, an ImageBind encoder and three generators on disk, tiny."""
    folder = tmp_path_factory.mktemp("frozen")
    torch.manual_seed(0)
    synthetic.save_llm(folder / "llm")
    small = {"width": 8, "num_layers": 1, "num_heads": 2}
    sizes = ImageBindConfig(
        joint_dim=synthetic.ENCODER,
        vision=PatchTrunkConfig(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), **small),
        audio=PatchTrunkConfig(input_size=(1, 128, 204), kernel=(64, 64), stride=(64, 64), **small),
    )
    ImageBindEncoder(ImageBindEncoderConfig(model=sizes)).save_pretrained(folder / "encoder")
    (image_length, image_width), (video_length, video_width), (_, audio_width) = synthetic.TARGETS.values()
    pipelines = {
        "image": tiny_pipelines.stable_diffusion(width=image_width, length=image_length),
        "video": tiny_pipelines.text_to_video(width=video_width, length=video_length),
        "audio": tiny_pipelines.audio_ldm(width=audio_width),
    }
    for modality, pipeline in pipelines.items():
        pipeline.save_pretrained(folder / modality)
    generators = {modality: str(folder / modality) for modality in pipelines}
    return FrozenParts(llm=str(folder / "llm"), encoder=str(folder / "encoder"), generators=generators)


def test_legacy_from_a_reply_to_the_condition(frozen, tmp_path):
    """LLM states at the run of signal tokens -> condition, in the converted model and as the original computes them."""
    (tmp_path / "source").mkdir()
    state = synthetic.write_legacy(tmp_path / "source")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=frozen, allow_pickle=True)
    model = AnyGenModel.from_pretrained(tmp_path / "out")
    reply = {"role": "assistant", "content": [{"type": kind, "caption": "a"} for kind in ("image", "video", "audio")]}
    inputs = model.collate([[{"role": "user", "content": "draw a cat"}, reply]])
    with torch.no_grad():
        output = model(inputs)
    for run, suffix in zip(inputs.runs, ("", "_video", "_audio"), strict=True):
        modality = run.part.type
        assert run.length == {"image": 4, "video": 24, "audio": 8}[modality]
        prefix = f"gen_text_hidden_fcs{suffix}.0."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        place = slice(run.start, run.start + run.length)
        ids = inputs.input_ids[0, place]
        embeddings = state["llama_model.base_model.model.model.embed_tokens.weight"][ids]
        with torch.no_grad():
            expected = synthetic.mapper(own, ("fc", "model"), output.hidden_states[:, place], embeddings[None])
            found = model.project_runs(output, [run])["prompt_embeds"]
        assert torch.allclose(found, expected.reshape(found.shape), atol=1e-4) and expected.std() > 0.1
    features = torch.randn(1, 1, synthetic.ENCODER)
    for modality in ("image", "video", "audio"):
        expected = features @ state["llama_proj.weight"].T + state["llama_proj.bias"]
        assert torch.allclose(model.input_projectors[modality](features), expected, atol=1e-5)
    assert model.encoders["image"].config.read == "cls" and model.encoders["image"].num_tokens("image") == 1


def test_imagebinds_published_file_becomes_the_encoder(frozen, tmp_path, monkeypatch):
    """`--encoder imagebind.pth` from the command line to a picture in the LLM's row; at a tiny size, which is all that changes."""
    (tmp_path / "source").mkdir()
    state = synthetic.write_legacy(tmp_path / "source")
    encoder = ImageBindEncoder.from_pretrained(frozen.encoder)
    torch.save(encoder.model.state_dict(), tmp_path / "imagebind.pth")
    monkeypatch.setattr("anygen.convert.write.imagebind_huge", lambda: encoder.config.model)
    command = ["convert", str(tmp_path / "source"), "--llm", frozen.llm, "--encoder", str(tmp_path / "imagebind.pth")]
    command += [word for modality, place in frozen.generators.items() for word in (f"--{modality}-model", place)]
    assert main([*command, "--out", str(tmp_path / "refused")]) == 1  # both are pickles
    assert not (tmp_path / "refused").exists()
    assert main([*command, "--out", str(tmp_path / "out"), "--allow-pickle"]) == 0
    model = AnyGenModel.from_pretrained(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out/encoder").glob("*.safetensors")] == ["model.safetensors"]
    assert "CC-BY-NC-SA" in model.encoders["image"].config.licence and model.encoders["image"].config.read == "cls"
    found, expected = model.encoders["image"].model.state_dict(), encoder.model.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    pixels = model.encoders["image"].preprocess("image", [Image.new("RGB", (20, 30), "red")])
    with torch.no_grad():
        tokens = model.encoders["image"]("image", pixels)
        projected = model.input_projectors["image"](tokens)
    assert torch.allclose(projected, tokens @ state["llama_proj.weight"].T + state["llama_proj.bias"], atol=1e-5)
    assert tokens.shape == (1, 1, synthetic.ENCODER) and tokens.std() > 0
    wide = replace(encoder.config.model, joint_dim=synthetic.ENCODER + 1)
    monkeypatch.setattr("anygen.convert.write.imagebind_huge", lambda: wide)
    with pytest.raises(AnyGenError, match=f"gives {synthetic.ENCODER + 1}; the input projector .* takes {synthetic.ENCODER}"):
        parts = replace(frozen, encoder=str(tmp_path / "imagebind.pth"))
        convert_checkpoint(tmp_path / "source", tmp_path / "wide", frozen=parts, allow_pickle=True)


def test_legacy_prompt_is_the_documented_one(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=frozen, allow_pickle=True)
    model = AnyGenModel.from_pretrained(tmp_path / "out")
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Yes"}]
    prompt = model.backbone.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert prompt == "<s>### Human: Hi\n### Assistant: Ho\n### Human: Yes\n### Assistant:"
    assert len(model.config.backbone.stop_ids) == 2


def test_info_tells_a_converted_folder(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=frozen, allow_pickle=True)
    found = read_inventory(tmp_path / "out")
    parts = {part.name: part for part in found.parts}
    assert found.kind == "anygen" and not found.mismatches
    assert parts["encoder"].source == frozen.encoder and parts["encoder"].num_parameters > 0
    assert parts["generators/image/unet"].source == frozen.generators["image"]
    sentences = [joint.sentence for joint in found.joints]
    assert "encoder gives 12; input_projectors/image takes 12" in sentences
    assert "output_projectors/audio gives 6; conditions.audio.prompt_embeds takes 6" in sentences
    assert "conditions.video.prompt_embeds gives 14; generators/video/unet takes 14" in sentences
    parts = FrozenParts(llm=frozen.llm, encoder=frozen.encoder)
    convert_checkpoint(tmp_path / "source", tmp_path / "published", frozen=parts, allow_pickle=True)
    image = {part.name: part for part in read_inventory(tmp_path / "published").parts}["generators/image"]
    assert image.source == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert image.licence == "creativeml-openrail-m" and image.num_parameters == 0


def test_the_folder_answers_with_every_medium(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=frozen, allow_pickle=True)
    pipe = AnyGenPipeline.from_pretrained(tmp_path / "out")
    few = {"num_inference_steps": 1}
    out = pipe("draw a cat", modalities=["image", "video", "audio"], image=few, video=few, audio=few, max_new_tokens=60, seed=0)
    assert [part.type for part in out.parts if part.type != "text"] == ["image", "video", "audio"]


def test_a_generator_of_another_width_is_refused_at_load_with_both_shapes(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    tiny_pipelines.stable_diffusion(width=16, length=7).save_pretrained(tmp_path / "wide")
    generators = frozen.generators | {"image": str(tmp_path / "wide")}
    parts = FrozenParts(llm=frozen.llm, encoder=frozen.encoder, generators=generators)
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=parts, allow_pickle=True)
    (joint,) = read_inventory(tmp_path / "out").mismatches
    assert joint.sentence == "conditions.image.prompt_embeds gives 10; generators/image/unet takes 16"
    with pytest.raises(AnyGenError, match=r"conditions.image: found .*\(7, 10\).*; the generator takes .*\(7, 16\)"):
        AnyGenModel.from_pretrained(tmp_path / "out")


def test_new_layout_keeps_separators_in_its_runs(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    files = synthetic.write_new(tmp_path / "source", projector="mlp")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=frozen, allow_pickle=True)
    model = AnyGenModel.from_pretrained(tmp_path / "out")
    reply = {"role": "assistant", "content": [{"type": "image", "caption": "a"}, {"type": "audio", "caption": "a"}]}
    inputs = model.collate([[{"role": "user", "content": "draw a cat"}, reply]])
    assert [run.length for run in inputs.runs] == [7, 15]
    run = inputs.runs[0]
    ids = inputs.input_ids[0, run.start : run.start + 7]
    pieces = model.backbone.tokenizer.convert_ids_to_tokens(ids.tolist())
    assert pieces[::2] == ["<image_00>", "<image_01>", "<image_02>", "<image_03>"] and set(pieces[1::2]) == {"\u2581\u2581"}
    with torch.no_grad():
        output = model(inputs)
        own = {
            key.removeprefix("model.mm_output_img_projector."): value
            for key, value in files["mm_output_projector.bin"].items()
            if "_img_" in key
        }
        rows = files["non_lora_trainables.bin"]["base_model.model.model.embed_tokens.weight"][ids]
        states = output.hidden_states[:, run.start : run.start + 7]
        expected = synthetic.mapper(own, ("in_fc", "out_fc"), states, rows[None])
        assert torch.allclose(model.project_runs(output, [run])["prompt_embeds"], expected, atol=1e-4)
    assert model.encoders["image"].config.read == "patches"


def test_gill_makes_four_embeddings_of_a_picture(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    state = synthetic.write_gill(tmp_path / "source")
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=FrozenParts(llm=frozen.llm), allow_pickle=True)
    config = config_from_dict(AnyGenConfig, read_json(tmp_path / "out" / "config.json"), where="config.json")
    assert list(config.input_projectors) == list(config.signals) == ["image"] and len(config.signals["image"]) == 8
    tensors = load_file(tmp_path / "out" / "projectors.safetensors")
    assert torch.equal(tensors["input_projectors.image.proj.weight"], state["model.visual_embeddings.weight"])
    encoder = json.loads((tmp_path / "out" / "encoder" / "encoder.json").read_text())
    assert (encoder["source"], encoder["read"]) == ("openai/clip-vit-large-patch14", "pooled")


def test_gill_reads_a_picture_as_the_original_and_answers_with_one(frozen, tmp_path):
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    (tmp_path / "source").mkdir()
    state = synthetic.write_gill(tmp_path / "source")
    sizes = {"hidden_size": synthetic.ENCODER, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    clip = CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=16, patch_size=8)).eval()
    clip.save_pretrained(tmp_path / "clip")
    processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor.save_pretrained(tmp_path / "clip")
    generators = {"image": frozen.generators["image"]}
    parts = FrozenParts(llm=frozen.llm, encoder=str(tmp_path / "clip"), generators=generators)
    convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=parts, allow_pickle=True)
    sentences = [joint.sentence for joint in read_inventory(tmp_path / "out").joints]
    assert sentences[:2] == ["encoder gives 12; input_projectors/image takes 12", "input_projectors/image gives 32; llm takes 32"]
    pipe = AnyGenPipeline.from_pretrained(tmp_path / "out")
    picture = Image.effect_noise((16, 16), 80).convert("RGB")
    encoder = pipe.model.encoders["image"]
    with torch.no_grad():
        pooled = clip(**processor(picture, return_tensors="pt")).pooler_output
        expected = pooled @ state["model.visual_embeddings.weight"].T + state["model.visual_embeddings.bias"]
        found = pipe.model.input_projectors["image"](encoder("image", encoder.preprocess("image", [picture])))
    assert torch.allclose(found, expected.reshape(1, 4, synthetic.LLM), atol=1e-4)
    question = [{"type": "image", "image": picture}, {"type": "text", "text": "draw it"}]
    messages = [{"role": "user", "content": question}]
    out = pipe(messages, modalities=["image"], image={"num_inference_steps": 1}, max_new_tokens=30, seed=0)
    assert [part.type for part in out.parts if part.type != "text"] == ["image"]


def test_the_record_names_every_tensor_and_the_card_the_licences(frozen, tmp_path):
    (tmp_path / "source").mkdir()
    state = synthetic.write_gill(tmp_path / "source")
    done = convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=FrozenParts(llm=frozen.llm), allow_pickle=True)
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert {line["key"] for line in record["tensors"]} == set(state)
    ignored = {line["key"]: line["reason"] for line in record["tensors"] if line["reason"]}
    assert set(ignored) == {key for key in state if "ret_text" in key or "visual_fc" in key or "logit_scale" in key}
    assert sum(done.ignored.values()) == len(ignored) == 5
    assert "Apache-2.0" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"encoder": None}, "pass --encoder with ImageBind's published file imagebind_huge.pth"),
        ({"llm": None}, "pass --llm"),
    ],
)
def test_a_part_that_is_not_there_is_asked_for_and_nothing_is_left_behind(change, named, frozen, tmp_path):
    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    parts = FrozenParts(**({"llm": frozen.llm, "encoder": frozen.encoder} | change))
    with pytest.raises(AnyGenError, match=named):
        convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=parts, allow_pickle=True)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_in_use_and_a_folder_of_no_layout_are_refused(frozen, tmp_path):
    with pytest.raises(AnyGenError, match="found no published layout; expected one of nextgpt-legacy: pytorch_model.pt"):
        convert_checkpoint(tmp_path, tmp_path / "out", frozen=frozen)
    with pytest.raises(AnyGenError, match="is not an empty folder") as raised:
        convert_checkpoint(tmp_path, tmp_path.parent, frozen=frozen)
    assert raised.value.code == "path_not_allowed"


def test_an_llm_of_another_width_is_refused_with_both_numbers(frozen, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    (tmp_path / "source").mkdir()
    synthetic.write_legacy(tmp_path / "source")
    config = LlamaConfig(vocab_size=90, hidden_size=48, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llm")
    parts = FrozenParts(llm=str(tmp_path / "llm"), encoder=frozen.encoder)
    with pytest.raises(AnyGenError, match="made for an LLM of width 32; LlamaForCausalLM has 48"):
        convert_checkpoint(tmp_path / "source", tmp_path / "out", frozen=parts, allow_pickle=True)
