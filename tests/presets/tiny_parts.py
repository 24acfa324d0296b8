"""Tiny random snapshots of the classes that presets name, in the layout that the hub has them in.

One function a class; a preset that names a class without one fails its test.
"""

from __future__ import annotations

import json
from pathlib import Path

from anygen.nano.tokenizer import train_tokenizer

TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}


def tokenizer():
    """A byte-level tokenizer with a chat template, trained on three sentences."""
    return train_tokenizer(["a large red bell on grass", "the sound of a bell", "here is a small cat"], vocab_size=400)


def _ids() -> dict[str, int]:
    own = tokenizer()
    return {"vocab_size": len(own), "bos_token_id": own.bos_token_id, "eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id}


def qwen3():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**TEXT, **_ids(), head_dim=8, tie_word_embeddings=True, max_position_embeddings=512))


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**TEXT, **_ids(), max_position_embeddings=512))


def idefics3():
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    speaking = seeing_processor().tokenizer
    text = {"model_type": "llama", **TEXT, **_ids(), "vocab_size": len(speaking), "max_position_embeddings": 1024}
    image = speaking.convert_tokens_to_ids("<image>")
    return Idefics3ForConditionalGeneration(
        Idefics3Config(vision_config=VISION, text_config=text, image_token_id=image, scale_factor=2, pad_token_id=0)
    )


def seeing_processor():
    """SmolVLM's processor at a size of 16 pixels: one token a picture, since 2 x 2 patches become one."""
    from tokenizers import AddedToken
    from transformers import Idefics3Processor
    from transformers.models.idefics3 import Idefics3ImageProcessorPil

    words = tokenizer()
    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    words.add_tokens([AddedToken(mark, special=True) for mark in marks], special_tokens=True)
    template = (
        "<s>{% for m in messages %}{{ m['role'] | capitalize }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image>"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}Assistant: {% endif %}"
    )
    reader = Idefics3ImageProcessorPil(size={"longest_edge": 16}, max_image_size={"longest_edge": 16}, do_image_splitting=False)
    return Idefics3Processor(reader, words, image_seq_len=1, chat_template=template)


LLMS = {
    "Qwen3ForCausalLM": qwen3,
    "LlamaForCausalLM": llama,
    "Idefics3ForConditionalGeneration": idefics3,
}


SEERS = {
    "LlavaForConditionalGeneration": "LLaVA",
    "Qwen2_5_VLForConditionalGeneration": "Qwen2.5-VL",
    "Blip2ForConditionalGeneration": "BLIP-2",
    "IdeficsForVisionText2Text": "IDEFICS",
}
"""Classes whose snapshots, with processors, are those of `tests/backbones/tiny_seers.py`."""


def save_llm(class_name: str, folder: Path) -> None:
    """Write a tiny LLM of a class with its tokenizer."""
    if class_name in SEERS:
        import tiny_seers

        tiny_seers.SEERS[SEERS[class_name]](folder)
        config = json.loads((folder / "config.json").read_text())
        config.get("text_config", config)["max_position_embeddings"] = 1024  # room for the instructions of a text bridge
        (folder / "config.json").write_text(json.dumps(config))
        return
    LLMS[class_name]().save_pretrained(folder)
    (seeing_processor() if class_name == "Idefics3ForConditionalGeneration" else tokenizer()).save_pretrained(folder)
