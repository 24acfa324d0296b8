"""What a folder holds, against the models that were saved into it."""

import json
import shutil

import pytest
import synthetic_checkpoints as synthetic
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tiny_audio import musicgen, speecht5, vits
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.inspection.inventory import read_inventory


def count(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def pipeline(*, text_width: int = 16, taken: int = 16) -> StableDiffusionPipeline:
    blocks = {"block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1}
    text = CLIPTextConfig(
        vocab_size=60, hidden_size=text_width, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, projection_dim=8
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, cross_attention_dim=taken, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **blocks,
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, **blocks
    )
    return StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=CLIPTextModel(text), tokenizer=None, scheduler=DDIMScheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def test_a_diffusers_folder(tmp_path):
    pipe = pipeline()
    pipe.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: openrail++\n---\n")
    found = read_inventory(tmp_path)
    assert found.kind == "diffusers"
    assert {part.name: part.num_parameters for part in found.parts} == {
        name: count(pipe.components[name]) for name in ("vae", "unet", "text_encoder")
    }
    assert {part.class_name for part in found.parts} == {"AutoencoderKL", "UNet2DConditionModel", "CLIPTextModel"}
    assert {part.licence for part in found.parts} == {"openrail++"}
    (joint,) = found.joints
    assert joint.sentence == "text_encoder gives 16; unet takes 16" and joint.fits
    assert found.memory_gb["int4"] == found.num_parameters / 2 / 1e9


def test_variants_and_pickles_beside_safetensors_are_not_counted_twice(tmp_path):
    pipe = pipeline()
    pipe.save_pretrained(tmp_path)
    pipe.unet.save_pretrained(tmp_path / "unet", variant="fp16")
    torch.save(pipe.unet.state_dict(), tmp_path / "unet" / "diffusion_pytorch_model.bin")
    parts = {part.name: part for part in read_inventory(tmp_path).parts}
    assert parts["unet"].num_parameters == count(pipe.unet)
    for path in (tmp_path / "unet").glob("*.safetensors"):
        path.unlink()
    assert {p.name: p.num_parameters for p in read_inventory(tmp_path).parts}["unet"] == count(pipe.unet)


def test_a_mismatch_has_both_numbers_and_both_names(tmp_path):
    pipeline(text_width=12, taken=16).save_pretrained(tmp_path)
    (joint,) = read_inventory(tmp_path).mismatches
    assert joint.sentence == "text_encoder gives 12; unet takes 16"


def test_a_language_model_in_shards(tmp_path):
    config = LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    llm = LlamaForCausalLM(config)
    llm.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    (part,) = read_inventory(tmp_path).parts
    assert part.class_name == "LlamaForCausalLM" and part.num_parameters == count(llm)


def test_a_vision_language_model_by_its_towers(tmp_path):
    vision = {"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 16, "patch_size": 8, "projection_dim": 8}  # fmt: skip
    text = {"model_type": "llama", "vocab_size": 50, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2}  # fmt: skip
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text))
    model.save_pretrained(tmp_path)
    found = read_inventory(tmp_path)
    assert found.num_parameters == count(model)
    sizes = {part.name: part.num_parameters for part in found.parts}
    assert sizes["multi_modal_projector"] == count(model.model.multi_modal_projector)
    assert sizes["vision_tower"] == count(model.model.vision_tower)
    assert [joint.sentence for joint in found.joints] == [
        "vision gives 16; multi_modal_projector takes 16",
        "multi_modal_projector gives 24; text takes 24",
    ]
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_config"]["hidden_size"] = 20
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert [j.sentence for j in read_inventory(tmp_path).mismatches] == ["vision gives 20; multi_modal_projector takes 16"]


def test_anygens_own_folder_and_its_joints(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path)
    found = read_inventory(tmp_path)
    assert found.kind == "anygen" and not found.mismatches
    widths = {(joint.left, joint.right): joint.left_width for joint in found.joints}
    model, taken = toy_model, toy_model.config.conditions["image"]["prompt_embeds"][-1]
    assert widths["encoder", "input_projectors/video"] == model.encoders["video"].width("video")
    assert widths["input_projectors/audio", "llm"] == widths["llm", "output_projectors/image"] == model.backbone.width
    assert widths["output_projectors/video", "conditions.video.prompt_embeds"] == taken
    assert len(found.joints) == 3 * 2 + 3 * 3
    config = json.loads((tmp_path / "generators" / "image" / "unet" / "config.json").read_text())
    config["cross_attention_dim"] = 48
    (tmp_path / "generators" / "image" / "unet" / "config.json").write_text(json.dumps(config))
    (joint,) = read_inventory(tmp_path).mismatches
    assert joint.sentence == f"conditions.image.prompt_embeds gives {taken}; generators/image/unet takes 48"


WRITERS = {"nextgpt-legacy": synthetic.write_legacy, "nextgpt": synthetic.write_new, "gill": synthetic.write_gill}


@pytest.mark.parametrize("name", WRITERS)
def test_a_published_checkpoint_is_read_without_its_pickle(name, tmp_path):
    written = WRITERS[name](tmp_path)
    found = read_inventory(tmp_path)
    assert found.kind == name
    states = written.values() if name == "nextgpt" else [written]
    parts = {part.name: part for part in found.parts}
    total = sum(tensor.numel() for state in states for tensor in state.values())
    assert found.num_parameters == total if name != "nextgpt" else found.num_parameters < total  # stages replace one another
    licence = "MIT" if name == "gill" else "CC-BY-NC-SA 4.0"
    assert parts["encoder"].licence == licence and parts["output_projector.image"].training == "trained"
    target = "stabilityai/stable-diffusion-2" if name == "nextgpt" else "stable-diffusion-v1-5/stable-diffusion-v1-5"
    width = 1024 if name == "nextgpt" else 768
    sentences = [joint.sentence for joint in found.mismatches]
    assert f"output_projector.image gives 10; {target} takes {width}" in sentences
    fitting = [joint.sentence for joint in found.joints if joint.fits]
    assert fitting[0] == "input_projector gives 32; llm takes 32"


def test_keys_that_no_table_has_are_a_part_of_their_own(tmp_path):
    state = synthetic.write_legacy(tmp_path)
    torch.save(state | {"extra.weight": torch.zeros(3)}, tmp_path / "pytorch_model.pt")
    parts = {part.name: part for part in read_inventory(tmp_path).parts}
    assert parts["unknown"].num_parameters == 3 and parts["unknown"].class_name == "no key of this layout"


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"colour": "red"}')
    with pytest.raises(AnyGenError, match="expected a model folder of anygen, diffusers or transformers"):
        read_inventory(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(AnyGenError, match="config.json: found list"):
        read_inventory(tmp_path)


def test_an_llm_that_is_referred_to_and_the_rows_added_to_it(toy_model, tmp_path):
    """As `checkpoint.save_backbone` writes it: reference.json, and the rows beside the projectors."""
    toy_model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "llm").rename(tmp_path / "llm")
    (tmp_path / "model" / "llm").mkdir()
    reference = {"source": str(tmp_path / "llm"), "added_tokens": ["<image_0>"]}
    (tmp_path / "model" / "llm" / "reference.json").write_text(json.dumps(reference))
    path = tmp_path / "model" / "projectors.safetensors"
    save_file(load_file(path) | {"llm.embedding": torch.zeros(4, 8), "llm.head": torch.zeros(4, 8), "queries.image": torch.zeros(3, 8)}, path)
    found = read_inventory(tmp_path / "model")
    parts = {part.name: part for part in found.parts}
    assert parts["llm"].source == str(tmp_path / "llm") and parts["llm"].class_name == "LlamaForCausalLM"
    assert parts["llm"].num_parameters == count(toy_model.backbone.llm) and parts["llm"].training == "frozen"
    assert parts["llm/added rows"].num_parameters == 64 and parts["queries"].num_parameters == 24
    assert not found.mismatches and ("input_projectors/image", "llm") in {(j.left, j.right) for j in found.joints}
    (tmp_path / "llm").rename(tmp_path / "gone")
    gone = {part.name: part for part in read_inventory(tmp_path / "model").parts}["llm"]
    assert gone.num_parameters == 0 and gone.source == str(tmp_path / "llm")


def test_an_llm_that_another_program_serves(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "llm")
    (tmp_path / "llm").mkdir()
    endpoint = {"base_url": "http://127.0.0.1:8000/v1", "model": "qwen"}
    (tmp_path / "llm" / "remote.json").write_text(json.dumps({"endpoint": endpoint}))
    found = read_inventory(tmp_path)
    part = next(part for part in found.parts if part.name == "llm")
    assert (part.source, part.num_parameters) == ("http://127.0.0.1:8000/v1#qwen", 0)
    assert not any("llm" in (joint.left, joint.right) for joint in found.joints)


@pytest.mark.parametrize("make", [vits, speecht5, musicgen])
def test_generators_of_transformers_in_the_folder(toy_model_maker, tmp_path, make):
    generator = make() if make is musicgen else make(tmp_path)
    llm = toy_model_maker().backbone
    llm.llm.config.max_position_embeddings = 4096
    AnyGenPipeline.compose(llm=llm, audio=generator).save_pretrained(tmp_path / "model")
    parts = [part for part in read_inventory(tmp_path / "model").parts if part.name.startswith("generators/audio")]
    stored = {id(each): each for each in generator.parameters()}
    assert sum(part.num_parameters for part in parts) >= sum(each.numel() for each in stored.values())
    assert parts[0].class_name == type(generator.model).__name__ and parts[0].training == "frozen"
    assert [part.name for part in parts[1:]] == (["generators/audio/vocoder"] if make is speecht5 else [])


def test_a_generator_that_another_program_serves(toy_model_maker, tmp_path):
    llm = toy_model_maker().backbone
    llm.llm.config.max_position_embeddings = 4096
    pipe = AnyGenPipeline.compose(llm=llm, audio="openai:http://127.0.0.1:8000/v1#voice")
    pipe.save_pretrained(tmp_path / "model")
    (part,) = [part for part in read_inventory(tmp_path / "model").parts if part.name == "generators/audio"]
    assert (part.source, part.num_parameters) == ("http://127.0.0.1:8000/v1#voice", 0)


def test_several_encoders_and_whose_is_whose(toy_model, tmp_path):
    """As `save_encoders` writes them: pictures and films share one, sounds have another."""
    toy_model.save_pretrained(tmp_path)
    (tmp_path / "encoder").rename(tmp_path / "one")
    for modality in ("image", "audio"):
        shutil.copytree(tmp_path / "one", tmp_path / "encoder" / modality)
    (tmp_path / "encoder" / "encoders.json").write_text(json.dumps({"image": "image", "video": "image", "audio": "audio"}))
    found = read_inventory(tmp_path)
    assert [part.name for part in found.parts if part.name.startswith("encoder")] == ["encoder/audio", "encoder/image"]
    width = toy_model.encoders["video"].width("video")
    assert any(j.right == "input_projectors/video" and j.left_width == width for j in found.joints) and not found.mismatches
