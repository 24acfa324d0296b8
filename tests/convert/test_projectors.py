"""Published projectors: every value where it belongs, the same output as the original formula, faults refused by name."""

import pytest
import synthetic_checkpoints as synthetic
import torch

from anygen.convert.account import Account, read_account
from anygen.convert.layouts import LAYOUTS, detect_layout, place_of
from anygen.convert.projectors import convert_input_projector, convert_output_projector
from anygen.errors import AnyGenError
from anygen.projectors import OutputProjectorConfig, build_output_projector

WRITERS = {"nextgpt-legacy": synthetic.write_legacy, "nextgpt": synthetic.write_new, "gill": synthetic.write_gill}


def read(folder, *, allow_pickle=True):
    return read_account(folder, layout=detect_layout(folder), allow_pickle=allow_pickle)


def rewrite(folder, change):
    """Apply `change` to the state of the legacy file."""
    path = folder / "pytorch_model.pt"
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_tensor_is_accounted_for(name, tmp_path):
    written = WRITERS[name](tmp_path)
    assert detect_layout(tmp_path).name == name
    account = read(tmp_path)
    files = written if name == "nextgpt" else {next(iter(detect_layout(tmp_path).files)): written}
    expected = {(file, key) for file, state in files.items() for key in state}
    assert {(line.file, line.key) for line in account.lines} == expected and len(account.lines) == len(expected)
    assert all(line.reason for line in account.lines if line.place == "ignored")
    used = [line for line in account.lines if line.place != "ignored"]
    for line in used:
        role, _, place = line.place.partition("/")
        assert torch.equal(account.tensors[role][place], files[line.file][line.key])
    assert sum(len(tensors) for tensors in account.tensors.values()) == len(used)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_projector_computes_the_original_formula(name, tmp_path):
    written = WRITERS[name](tmp_path)
    account = read(tmp_path)
    names = ("in_fc", "out_fc") if name == "nextgpt" else ("fc", "model")
    prefixes = {
        "nextgpt-legacy": {"image": "gen_text_hidden_fcs.0.", "video": "gen_text_hidden_fcs_video.0.", "audio": "gen_text_hidden_fcs_audio.0."},
        "nextgpt": {m: f"model.mm_output_{m[:3] if m != 'image' else 'img'}_projector." for m in ("image", "video", "audio")},
        "gill": {"image": "model.gen_text_hidden_fcs.0."},
    }  # fmt: skip
    state = written["mm_output_projector.bin"] if name == "nextgpt" else written
    for modality, prefix in prefixes[name].items():
        part = convert_output_projector(account, modality)
        queries, width = synthetic.TARGETS[modality]
        assert part.condition_spec == {"prompt_embeds": (width,) if queries == 1 else (queries, width)}
        module = build_output_projector(part.config, in_dim=part.in_dim, condition_spec=part.condition_spec).eval()
        module.load_state_dict(part.state)
        states, embeddings = torch.randn(2, 2, 5, synthetic.LLM)
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        with torch.no_grad():
            found = module(states, embeddings)["prompt_embeds"]
            expected = synthetic.mapper(own, names, states, embeddings).reshape(found.shape)
        assert torch.allclose(found, expected, atol=1e-5) and expected.std() > 0.1


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_input_projector_keeps_its_values(kind, tmp_path):
    files = synthetic.write_new(tmp_path, projector=kind)
    part = convert_input_projector(read(tmp_path))
    assert part.config.type == kind and (part.in_dim, part.out_dim) == (synthetic.ENCODER, synthetic.LLM)
    trained = files["non_lora_trainables.bin"]
    for name, tensor in part.state.items():
        assert torch.equal(tensor, trained[f"base_model.model.model.mm_input_projector.{name.removeprefix('proj.')}"])


def test_pickles_are_refused_without_leave(tmp_path):
    synthetic.write_legacy(tmp_path)
    with pytest.raises(AnyGenError, match="pytorch_model.pt is a pickle.*--allow-pickle"):
        read(tmp_path, allow_pickle=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("gen_text_hidden_fcs.0.fc.weight"), r"image: missing are \['gen_text_hidden_fcs.0.fc.weight'\]"),
        (lambda s: s.pop("gen_text_hidden_fcs_video.0.query_embs"), r"missing are \['gen_text_hidden_fcs_video.0.query_embs'\]"),
        (
            lambda s: s.pop("gen_text_hidden_fcs_audio.0.tfm.decoder.norm.weight"),
            r"audio: missing are \['gen_text_hidden_fcs_audio.0.tfm.decoder.norm.weight'\]",
        ),
        (
            lambda s: s.update({"gen_text_hidden_fcs.0.model.bias": torch.zeros(11)}),
            r"gen_text_hidden_fcs.0.model.bias has shape \(11,\); expected \(10,\)",
        ),
        (
            lambda s: s.update({"gen_text_hidden_fcs.0.tfm.extra": torch.zeros(1)}),
            r"\['gen_text_hidden_fcs.0.tfm.extra'\] have no place",
        ),
        (lambda s: s.update({"qformer.layer": torch.zeros(1)}), "found the tensor qformer.layer, which the layout"),
        (lambda s: s["llama_proj.bias"].data.fill_(float("nan")), "pytorch_model.pt: llama_proj.bias holds NaN"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_it_has_in_the_source(change, named, tmp_path):
    synthetic.write_legacy(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(AnyGenError, match=named) as raised:
        account = read(tmp_path)
        for modality in ("image", "video", "audio"):
            convert_output_projector(account, modality)
    assert raised.value.code == "model_load_error"


def test_a_later_stage_replaces_an_earlier_one_and_is_listed(tmp_path):
    synthetic.write_new(tmp_path)
    account = read(tmp_path)
    replaced = {(line.file, line.key): line.reason for line in account.lines if line.place == "ignored"}
    assert replaced["mm_input_projector.bin", "lm_head.weight"] == "mm_output_projector.bin holds a later one"
    assert replaced["mm_output_projector.bin", "lm_head.weight"] == "non_lora_trainables.bin holds a later one"
    assert ("non_lora_trainables.bin", "base_model.model.lm_head.weight") not in replaced


@pytest.mark.parametrize(
    ("queries", "width", "millions"), [(77, 768, 31.96), (77, 1024, 32.09), (1, 512, 31.79)], ids=["SD 1.5", "SD 2", "AudioLDM"]
)
def test_published_sizes_have_the_published_number_of_parameters(queries, width, millions):
    with torch.device("meta"):
        sizes = {"d_model": 512, "nhead": 4, "num_encoder_layers": 4, "num_decoder_layers": 4, "dim_feedforward": 2048}
        modules = {"fc": torch.nn.Linear(4096, 512), "tfm": torch.nn.Transformer(**sizes), "model": torch.nn.Linear(512, width)}
        state = {f"{n}.{key}": tensor for n, module in modules.items() for key, tensor in module.state_dict().items()}
        state["query_embs"] = torch.empty(1, queries, 512)
    account = Account()
    for key, tensor in state.items():
        place = place_of(f"gen_text_hidden_fcs.0.{key}", LAYOUTS["nextgpt-legacy"])
        account.tensors.setdefault(place.role, {})[place.name] = tensor
    part = convert_output_projector(account, "image")
    assert part.config == OutputProjectorConfig() and part.in_dim == 4096
    assert round(sum(tensor.numel() for tensor in part.state.values()) / 1e6, 2) == millions
