"""Synthetic checkpoints in the published layouts, tiny and random, written from their documented key tables alone.

Nothing here imports anygen: it is the other side of the comparison. NExT-GPT's tables: its first code base
(NExT-GPT-Lagacy/code/model) and its second one; GILL's: gill/models.py and layers.py. `mapper` is the original formula
in stock torch modules.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

HIDDEN, ENCODER, LLM, HEADS, LAYERS, FEEDFORWARD = 16, 12, 32, 4, 2, 24
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:?!'-<>/[]"
LEGACY_TOKENS = ["<Img>", "</Img>"] + [f"[{kind}{i}]" for kind, n in (("IMG", 4), ("VID", 24), ("AUD", 8)) for i in range(n)]
NEW_TOKENS = [f"<{kind}_{i:02d}>" for kind, n in (("image", 4), ("video", 24), ("audio", 8)) for i in range(n)]
TARGETS = {"image": (7, 10), "video": (7, 14), "audio": (1, 6)}
"""Modality -> queries and width of the condition."""


def llama_tokenizer(added: list[str]):
    """A SentencePiece-like tokenizer of a few dozen pieces, in which ### is one piece after a space and two after a newline."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<s>", "</s>", "<0x0A>", "\u2581", "\u2581\u2581", "#", "##", "\u2581##", "\u2581###", *LETTERS]
    merges = [("\u2581", "\u2581"), ("#", "#"), ("\u2581", "##"), ("\u2581##", "#")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.add_tokens([AddedToken(token) for token in added])
    return fast


def save_tokenizer(folder: Path, added: list[str]) -> dict[str, int]:
    """Write the tokenizer with added_tokens.json beside it, as transformers 4 did; returns the added ids."""
    tokenizer = llama_tokenizer(added)
    tokenizer.save_pretrained(folder)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in added}
    (folder / "added_tokens.json").write_text(json.dumps(ids))
    return ids


def num_base_tokens() -> int:
    """Rows of the LLM before anything was added."""
    return len(llama_tokenizer([]))


def save_llm(folder: Path, *, rows: int | None = None) -> None:
    """The frozen base: a Llama as transformers writes it, with its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    rows = rows or num_base_tokens()
    config = LlamaConfig(
        vocab_size=rows, hidden_size=LLM, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    llama_tokenizer([]).save_pretrained(folder)


def transformer(layers: int = LAYERS) -> nn.Transformer:
    return nn.Transformer(
        batch_first=True, norm_first=True, d_model=HIDDEN, nhead=HEADS, num_encoder_layers=layers,
        num_decoder_layers=layers, dim_feedforward=FEEDFORWARD, dropout=0.0,
    )  # fmt: skip


def mapper_state(names: tuple[str, str], *, queries: int, width: int) -> dict[str, Tensor]:
    """The tensors of one output projector; `names` are those of its first and last linear layers."""
    first, last = names
    modules = {first: nn.Linear(LLM, HIDDEN), "tfm": transformer(), last: nn.Linear(HIDDEN, width)}
    state = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    state = {key: value + 0.05 * torch.randn_like(value) for key, value in state.items()}  # norms and biases too
    return state | {"query_embs": torch.randn(1, queries, HIDDEN)}


def mapper(state: dict[str, Tensor], names: tuple[str, str], states: Tensor, embeddings: Tensor) -> Tensor:
    """The original formula: out(tfm(src=in(h + e), tgt=queries))."""
    first, last = names
    module = transformer().eval()
    module.load_state_dict({key.removeprefix("tfm."): value for key, value in state.items() if key.startswith("tfm.")})
    source = nn.functional.linear(states + embeddings, state[f"{first}.weight"], state[f"{first}.bias"])
    answer = module(source, state["query_embs"].repeat(len(source), 1, 1))
    return nn.functional.linear(answer, state[f"{last}.weight"], state[f"{last}.bias"])


def lora_state(rank: int = 3, *, prefix: str, suffix: str) -> dict[str, Tensor]:
    """LoRA of the attention of both layers."""
    state = {}
    for layer in range(2):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            place = f"{prefix}model.layers.{layer}.self_attn.{name}"
            state[f"{place}.lora_A{suffix}.weight"] = torch.randn(rank, LLM) * 0.2
            state[f"{place}.lora_B{suffix}.weight"] = torch.randn(LLM, rank) * 0.2
    return state


def write_legacy(folder: Path, *, added: list[str] | None = None, rows: int | None = None) -> dict[str, Tensor]:
    """NExT-GPT's first code base after its last stage: one pytorch_model.pt beside the tokenizer."""
    torch.manual_seed(1)
    added = added or LEGACY_TOKENS
    save_tokenizer(folder, added)
    rows = rows or num_base_tokens() + len(added)
    state = {"llama_proj.weight": torch.randn(LLM, ENCODER), "llama_proj.bias": torch.randn(LLM)}
    for modality, suffix in (("image", ""), ("video", "_video"), ("audio", "_audio")):
        queries, width = TARGETS[modality]
        tensors = mapper_state(("fc", "model"), queries=queries, width=width)
        state |= {f"gen_text_hidden_fcs{suffix}.0.{key}": value for key, value in tensors.items()}
    state |= lora_state(prefix="llama_model.base_model.model.", suffix=".default")
    state["llama_model.base_model.model.model.embed_tokens.weight"] = torch.randn(rows, LLM)
    state["llama_model.base_model.model.lm_head.weight"] = torch.randn(rows, LLM)
    torch.save({key: nn.Parameter(value) for key, value in state.items()}, folder / "pytorch_model.pt")
    return state


def write_new(folder: Path, *, projector: str = "linear") -> dict[str, dict[str, Tensor]]:
    """NExT-GPT's second code base: the files of its three stages side by side; returns the state of each file."""
    torch.manual_seed(2)
    save_tokenizer(folder, NEW_TOKENS)
    rows = num_base_tokens() + len(NEW_TOKENS)

    def matrices(prefix: str = "") -> dict[str, Tensor]:
        return {
            f"{prefix}model.embed_tokens.weight": torch.randn(rows, LLM),
            f"{prefix}lm_head.weight": torch.randn(rows, LLM),
        }

    shapes = {"": (LLM, ENCODER)} if projector == "linear" else {"0.": (LLM, ENCODER), "2.": (LLM, LLM)}
    first = {f"model.mm_input_projector.{at}weight": torch.randn(shape) for at, shape in shapes.items()}
    first |= {f"model.mm_input_projector.{at}bias": torch.randn(LLM) for at in shapes}
    second = {}
    for modality, name in (("image", "img"), ("video", "vid"), ("audio", "aud")):
        queries, width = TARGETS[modality]
        tensors = mapper_state(("in_fc", "out_fc"), queries=queries, width=width)
        second |= {f"model.mm_output_{name}_projector.{key}": value for key, value in tensors.items()}
    third = {f"base_model.model.{key}": value + 1 for key, value in first.items()}  # trained further
    files = {
        "mm_input_projector.bin": first | matrices(),
        "mm_output_projector.bin": second | matrices(),
        "non_lora_trainables.bin": third | matrices("base_model.model."),
        "adapter_model.bin": lora_state(rank=5, prefix="base_model.model.", suffix=""),
    }
    for name, state in files.items():
        torch.save(state, folder / name)
    adapter = {"r": 5, "lora_alpha": 10, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"], "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    config = {
        "model_type": "nextgpt_llama", "hidden_size": LLM, "multimodal_input_tower": "imagebind_huge",
        "mm_input_projector_type": projector, "mm_hidden_size": ENCODER, "layer_idx": -1,
        "image_decoder": "stabilityai/stable-diffusion-2", "video_decoder": "cerspense/zeroscope_v2_576w",
        "audio_decoder": "cvssp/audioldm",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return files


def write_gill(folder: Path) -> dict[str, Tensor]:
    """GILL: trained parts alone, and the eight rows of its tokens; keys of the retrieval head among them."""
    torch.manual_seed(3)
    state = {"visual_embeddings.weight": torch.randn(4 * LLM, ENCODER), "visual_embeddings.bias": torch.randn(4 * LLM)}
    tensors = mapper_state(("fc", "model"), queries=7, width=10)
    state |= {f"gen_text_hidden_fcs.0.{key}": value for key, value in tensors.items()}
    state |= {"ret_text_hidden_fcs.0.model.weight": torch.randn(8, LLM), "ret_text_hidden_fcs.0.model.bias": torch.randn(8)}
    state |= {"visual_fc.weight": torch.randn(8, ENCODER), "visual_fc.bias": torch.randn(8), "logit_scale": torch.tensor(2.0)}
    state |= {"input_embeddings.weight": torch.randn(8, LLM)}
    state = {f"model.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state, "epoch": 1}, folder / "pretrained_ckpt.pth.tar")
    arguments = {"opt_version": "facebook/opt-6.7b", "visual_encoder": "openai/clip-vit-large-patch14", "num_tokens": 8}
    (folder / "model_args.json").write_text(json.dumps(arguments))
    return state


def write_merged(folder: Path) -> dict[str, Tensor]:
    """NExT-GPT's second code base merged: the LLM's own layers, projectors and the frozen ImageBind in shards."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    files = write_new(folder)
    for name in files:
        (folder / name).unlink()
    (folder / "adapter_config.json").unlink()
    rows = num_base_tokens() + len(NEW_TOKENS)
    shape = {"vocab_size": rows, "hidden_size": LLM, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(4)
    llm = LlamaForCausalLM(LlamaConfig(**shape, initializer_range=0.3))
    state = {key: value.clone() for key, value in llm.state_dict().items()}
    state |= {key: value for name in ("mm_input_projector.bin", "mm_output_projector.bin") for key, value in files[name].items() if "mm_" in key}
    state["model.multimodal_tower.multimodal_tower.modality_heads.vision.2.weight"] = torch.randn(ENCODER, 8)
    keys = sorted(state)
    for number, part in enumerate((keys[::2], keys[1::2]), start=1):
        save_file({key: state[key].contiguous() for key in part}, folder / f"model-{number:05d}-of-00002.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | shape))
    return state
