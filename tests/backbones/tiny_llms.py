"""Tiny LLMs of many families with random weights, saved in the layout of the hub, each with a real tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from anygen.backbones import Backbone, BackboneConfig
from anygen.bridges import BridgeConfig, SignalSpec
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.projectors import OutputProjectorConfig

TEXTS = ["a large red bell on grass", "the sound of a bell", "here is a small cat", "User: draw it Assistant: Here:"]
UNMARKED = BackboneConfig(media_start="", media_end="")
SPEC = {"prompt_embeds": (5, 7)}

ATTENTION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
GROUPED = ATTENTION | dict(num_key_value_heads=2, head_dim=8)
DECODERS = {
    "Llama": GROUPED | dict(max_position_embeddings=256),
    "Qwen2": ATTENTION | dict(num_key_value_heads=2, max_position_embeddings=256),
    "Qwen3": GROUPED | dict(max_position_embeddings=256),
    "Mistral": GROUPED | dict(max_position_embeddings=256, sliding_window=8),
    "OPT": dict(hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256, word_embed_proj_dim=16),
    "GPT2": dict(n_embd=32, n_layer=2, n_head=4, n_positions=256),
    "GPTJ": dict(n_embd=32, n_layer=2, n_head=4, n_positions=256, rotary_dim=4),
    "Gemma": GROUPED | dict(max_position_embeddings=256),
    "Gemma2": GROUPED | dict(max_position_embeddings=256, sliding_window=8, query_pre_attn_scalar=8),
    "Phi": ATTENTION | dict(max_position_embeddings=256),
    "Phi3": ATTENTION | dict(max_position_embeddings=256),
    "Cohere": ATTENTION | dict(max_position_embeddings=256),
}  # fmt: skip
RECURRENT = {
    "Mamba": dict(hidden_size=32, state_size=4, num_hidden_layers=2),
    "FalconMamba": dict(hidden_size=32, state_size=4, num_hidden_layers=2),
    "Mamba2": dict(hidden_size=32, state_size=8, num_hidden_layers=2, num_heads=8, head_dim=8, n_groups=1),
    "Jamba": GROUPED | dict(attn_layer_period=2, attn_layer_offset=1, num_experts=2, mamba_d_state=4, use_mamba_kernels=False),
}
T5 = dict(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
ENCODER_DECODERS = {
    "T5": T5,
    "T5 1.1": T5 | dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "Bart": dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                 encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=256, forced_bos_token_id=None),
    "Bart that begins": dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
                             decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=256),
}  # fmt: skip
FAMILIES = DECODERS | RECURRENT | ENCODER_DECODERS


def build_tokenizer(*, bos: str | None = "<s>", pad: str | None = "<pad>", adds_bos: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-2's, with the special tokens asked for and an end token."""
    specials = [token for token in (bos, pad, "</s>", "<unk>") if token]
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=330, special_tokens=specials, initial_alphabet=alphabet))
    if adds_bos:
        words.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, words.token_to_id(bos))])
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token=bos, pad_token=pad, eos_token="</s>", unk_token="<unk>")


def save_llm(family: str, folder: Path, *, tokenizer: PreTrainedTokenizerFast | None = None, seed: int = 0) -> Path:
    """A snapshot of one family as the hub has it: config.json, model.safetensors, tokenizer files."""
    tokenizer = build_tokenizer() if tokenizer is None else tokenizer
    name = family.split()[0]
    ids = dict(vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    if family in ENCODER_DECODERS:
        ids["decoder_start_token_id"] = tokenizer.pad_token_id
    if family == "Bart that begins":
        ids["forced_bos_token_id"] = tokenizer.bos_token_id
    config = getattr(transformers, f"{name}Config")(**FAMILIES[family] | ids)
    kinds = {"GPT2": "GPT2LMHeadModel"}
    kind = f"{name}ForConditionalGeneration" if family in ENCODER_DECODERS else kinds.get(name, f"{name}ForCausalLM")
    torch.manual_seed(seed)
    llm = getattr(transformers, kind)(config)
    with torch.no_grad():
        for parameter_name, parameter in llm.named_parameters():
            if parameter.ndim == 2 and "A_log" not in parameter_name:
                parameter.normal_(std=0.3)  # larger than at the start of training, so that tokens differ
        if "final_logits_bias" in dict(llm.named_buffers()):
            llm.final_logits_bias.normal_()
    llm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_model(
    folder: Path, *, counts: dict[str, int] | None = None, bridge: str = "signal", generators: dict | None = None
) -> AnyGenModel:
    """An LLM from its folder with untrained bridges, to generators where there are some."""
    backbone = Backbone.from_pretrained(folder, config=UNMARKED)
    signals, num_queries = {}, 0
    for modality, count in (counts or {"image": 4, "audio": 3}).items():
        tokens = [f"<{modality}_{index}>" for index in range(count)]
        if bridge == "query":
            ids = (*backbone.add_tokens(tokens[:1]), *(-1 - num_queries - index for index in range(count - 1)))
            num_queries += count - 1
        else:
            ids = tuple(backbone.add_tokens(tokens))
        signals[modality] = SignalSpec(tokens=tuple(tokens), ids=ids)
    small = OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)
    config = AnyGenConfig(
        backbone=UNMARKED,
        signals=signals,
        output_projectors=dict.fromkeys(signals, small),
        conditions={m: generators[m].condition_spec if generators else SPEC for m in signals},
        bridges={} if bridge == "signal" else dict.fromkeys(signals, BridgeConfig(type=bridge)),
    )
    return AnyGenModel(config, encoders={}, backbone=backbone, generators=generators).eval()
