"""Tiny vision-language models with random weights, saved in the layout of the hub, each with its real processor."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_llms import ATTENTION, DECODERS, ENCODER_DECODERS, GROUPED, build_tokenizer
from tokenizers import processors
from transformers import (
    AddedToken,
    BertTokenizerFast,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    IdeficsProcessor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5OmniConfig,
    Qwen2_5OmniForConditionalGeneration,
    Qwen2_5OmniProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    WhisperFeatureExtractor,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil
from transformers.models.idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from anygen.backbones.stills import stills_only

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] | upper }}: {% for c in m['content'] %}{% if c['type'] == 'image' %}MARK"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}"
)
SEEING = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8)


QUERYING = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, cross_attention_frequency=1)
NUM_QUERIES = 3


def tokenizer_with(tokens: list[str], **settings):
    tokenizer = build_tokenizer(**settings)
    tokenizer.add_tokens([AddedToken(token, special=True) for token in tokens], special_tokens=True)
    return tokenizer


def save_llava(folder: Path) -> Path:
    tokenizer = tokenizer_with(["<image>"])
    reader = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor = LlavaProcessor(
        reader, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("MARK", "<image>\n"),
    )  # fmt: skip
    seeing = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8
    )
    speaking = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=256, **GROUPED)
    config = LlavaConfig(
        vision_config=seeing, text_config=speaking, image_token_index=tokenizer.convert_tokens_to_ids("<image>")
    )
    return _save(LlavaForConditionalGeneration, config, processor, folder)


def qwen_processor(kind: type):
    """A processor of Qwen's, its tokenizer, and the ids that configurations of its models name."""
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = tokenizer_with(marks)
    processor = stills_only(kind)(
        Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=64, max_pixels=1024), tokenizer, None,
        chat_template=TEMPLATE.replace("MARK", "<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return processor, tokenizer, dict(zip(names, tokenizer.convert_tokens_to_ids(marks), strict=True))


def save_qwen(folder: Path) -> Path:
    processor, tokenizer, ids = qwen_processor(Qwen2_5_VLProcessor)
    config = Qwen2_5_VLConfig(
        vision_config=dict(depth=2, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=4,
                           spatial_merge_size=2, window_size=16, fullatt_block_indexes=[1]),
        text_config=dict(vocab_size=len(tokenizer), max_position_embeddings=256, hidden_size=32, intermediate_size=48,
                         num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, bos_token_id=0, eos_token_id=2,
                         rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}),
        **ids,
    )  # fmt: skip
    return _save(Qwen2_5_VLForConditionalGeneration, config, processor, folder)


def save_smolvlm(folder: Path) -> Path:
    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>"]
    tokenizer = tokenizer_with(marks)
    edge = {"longest_edge": 16}
    reader = Idefics3ImageProcessorPil(size=edge, max_image_size=edge, do_image_splitting=False)
    processor = Idefics3Processor(reader, tokenizer, image_seq_len=1, chat_template=TEMPLATE.replace("MARK", "<image>"))
    config = Idefics3Config(
        vision_config=SEEING,
        text_config=dict(model_type="llama", vocab_size=len(tokenizer), max_position_embeddings=256, pad_token_id=1,
                         **GROUPED),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=1,
    )  # fmt: skip
    return _save(Idefics3ForConditionalGeneration, config, processor, folder)


def save_qwen3(folder: Path) -> Path:
    processor, tokenizer, ids = qwen_processor(Qwen3VLProcessor)
    config = Qwen3VLConfig(
        vision_config=dict(depth=2, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=4,
                           spatial_merge_size=2, num_position_embeddings=16, deepstack_visual_indexes=[0]),
        text_config=dict(vocab_size=len(tokenizer), max_position_embeddings=256, bos_token_id=0, eos_token_id=2, **GROUPED,
                         rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}),
        **ids,
    )  # fmt: skip
    return _save(Qwen3VLForConditionalGeneration, config, processor, folder)


def save_gemma3(folder: Path) -> Path:
    marks = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = tokenizer_with(marks)
    names = dict(zip(("boi_token", "eoi_token", "image_token"), marks, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=names,
    )  # fmt: skip
    begin, end, image = tokenizer.convert_tokens_to_ids(marks)
    reader = Gemma3ImageProcessorPil(size={"height": 16, "width": 16})
    processor = Gemma3Processor(reader, tokenizer, image_seq_length=4, chat_template=TEMPLATE.replace("MARK", marks[0]))
    config = Gemma3Config(
        vision_config=SEEING | dict(patch_size=4),
        text_config=dict(vocab_size=len(tokenizer), max_position_embeddings=256, sliding_window=64, query_pre_attn_scalar=8,
                         **GROUPED),
        boi_token_index=begin, eoi_token_index=end, image_token_index=image, mm_tokens_per_image=4,
    )  # fmt: skip
    return _save(Gemma3ForConditionalGeneration, config, processor, folder)


def save_omni(folder: Path) -> Path:
    """All of Qwen2.5-Omni, with the parts that speak, of which anygen loads the thinker."""
    names = {f"{kind}_token": f"<|{kind.upper()}|>" for kind in ("image", "audio", "video")}
    names |= {f"{kind}_token": f"<|{kind}|>" for kind in ("vision_bos", "vision_eos", "audio_bos", "audio_eos")}
    tokenizer = tokenizer_with(list(names.values()))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=names,
    )  # fmt: skip
    image, audio, video, *ends = tokenizer.convert_tokens_to_ids(list(names.values()))
    template = TEMPLATE.replace("MARK", "<|vision_bos|><|IMAGE|><|vision_eos|>").replace(
        "{% else %}", "{% elif c['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}"
    )
    reader = Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=64, max_pixels=1024)
    hearer = WhisperFeatureExtractor(feature_size=16, sampling_rate=16_000, chunk_length=1)
    processor = stills_only(Qwen2_5OmniProcessor)(reader, None, hearer, tokenizer, chat_template=template)
    seeing = dict(depth=2, hidden_size=16, intermediate_size=24, num_heads=2, out_hidden_size=32, patch_size=4,
                  spatial_merge_size=2, window_size=16, fullatt_block_indexes=[1])  # fmt: skip
    hearing = dict(num_mel_bins=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, d_model=16,
                   max_source_positions=100, n_window=10, output_dim=32)  # fmt: skip
    thinking = dict(max_position_embeddings=256, **ATTENTION, num_key_value_heads=2, **_ids_of(tokenizer),
                    rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]})  # fmt: skip
    thinker = dict(
        audio_config=hearing, vision_config=seeing, text_config=thinking,
        image_token_index=image, audio_token_index=audio, video_token_index=video,
        **dict(zip(("vision_start_token_id", "vision_end_token_id", "audio_start_token_id", "audio_end_token_id"), ends, strict=True)),
    )  # fmt: skip
    talker = dict(vocab_size=40, embedding_size=32, head_dim=8, num_key_value_heads=2, **ATTENTION)
    drawing = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8, emb_dim=8, num_embeds=40, mel_dim=8,
                   enc_emb_dim=8, enc_dim=8, enc_channels=[8, 8, 8, 8, 24], enc_attention_channels=8, enc_se_channels=8,
                   look_ahead_layers=[0], look_backward_layers=[0])  # fmt: skip
    speaker = dict(dit_config=drawing, bigvgan_config=dict(mel_dim=8, upsample_initial_channel=64))
    config = Qwen2_5OmniConfig(thinker_config=thinker, talker_config=talker, token2wav_config=speaker)
    return _save(Qwen2_5OmniForConditionalGeneration, config, processor, folder)


def save_blip2(folder: Path) -> Path:
    """Over OPT, whose tokenizer begins every text with its first token."""
    tokenizer = tokenizer_with(["<image>"], adds_bos=True)
    speaking = dict(model_type="opt", **DECODERS["OPT"] | dict(word_embed_proj_dim=32, max_position_embeddings=1024), **_ids_of(tokenizer))
    reader = BlipImageProcessorPil(size={"height": 16, "width": 16})
    processor = Blip2Processor(reader, tokenizer, num_query_tokens=NUM_QUERIES)
    return _save(Blip2ForConditionalGeneration, Blip2Config(**_blip(tokenizer, speaking)), processor, folder)


def save_blip2_over_t5(folder: Path) -> Path:
    """Over Flan-T5, whose tokenizer ends every text with its end token."""
    tokenizer = tokenizer_with(["<image>"])
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    speaking = dict(model_type="t5", **ENCODER_DECODERS["T5 1.1"], **_ids_of(tokenizer))
    speaking["decoder_start_token_id"] = tokenizer.pad_token_id
    reader = BlipImageProcessorPil(size={"height": 16, "width": 16})
    processor = Blip2Processor(reader, tokenizer, num_query_tokens=NUM_QUERIES)
    return _save(Blip2ForConditionalGeneration, Blip2Config(**_blip(tokenizer, speaking)), processor, folder)


def save_instructblip(folder: Path) -> Path:
    """Over Vicuna, with BERT's kind of tokenizer for the Q-Former."""
    tokenizer = tokenizer_with(["<image>"], adds_bos=True)
    speaking = dict(model_type="llama", max_position_embeddings=256, **GROUPED, **_ids_of(tokenizer))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "is", "it", "and", "these", "which", "one", "hi", "?", ","]
    asking = BertTokenizerFast(vocab={word: index for index, word in enumerate(words)})
    reader = BlipImageProcessorPil(size={"height": 16, "width": 16})
    processor = InstructBlipProcessor(reader, tokenizer, asking, num_query_tokens=NUM_QUERIES)
    config = InstructBlipConfig(**_blip(tokenizer, speaking, vocab_size=len(words), max_position_embeddings=16))
    return _save(InstructBlipForConditionalGeneration, config, processor, folder)


def save_idefics(folder: Path, *, use_resampler: bool = True) -> Path:
    """Three tokens beyond the vocabulary, in matrices of their own, and gates that are open: they begin as 0."""
    marks = ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    tokenizer = tokenizer_with(marks)
    processor = IdeficsProcessor(IdeficsImageProcessorPil(image_size=16), tokenizer)
    ids = _ids_of(tokenizer) | {"vocab_size": len(tokenizer) - len(marks), "additional_vocab_size": len(marks)}
    latents = dict(use_resampler=use_resampler, resampler_n_latents=3, resampler_depth=1, resampler_n_heads=2, resampler_head_dim=4)
    seeing = {name: size for name, size in SEEING.items() if name != "hidden_size"} | {"embed_dim": 16}
    config = IdeficsConfig(
        **ATTENTION, **ids, vision_config=seeing, perceiver_config=latents, use_resampler=use_resampler, max_position_embeddings=1024,
        alpha_initializer="ones",
    )  # fmt: skip
    return _save(IdeficsForVisionText2Text, config, processor, folder)


def _ids_of(tokenizer) -> dict[str, int]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {"vocab_size": len(tokenizer)} | {name: getattr(tokenizer, name) for name in names}


def _blip(tokenizer, speaking: dict, **querying: int) -> dict:
    """Settings that the configurations of BLIP-2 and InstructBLIP share."""
    return dict(
        vision_config=SEEING, qformer_config=QUERYING | querying, text_config=speaking, num_query_tokens=NUM_QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip


def _save(kind, config, processor, folder: Path) -> Path:
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2 or parameter.ndim == 3 and not parameter.any():  # a Q-Former's queries begin as 0
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


SEERS = {
    "LLaVA": save_llava,
    "Qwen2.5-VL": save_qwen,
    "Qwen3-VL": save_qwen3,
    "SmolVLM": save_smolvlm,
    "Gemma 3": save_gemma3,
    "Qwen2.5-Omni": save_omni,
    "BLIP-2": save_blip2,
    "BLIP-2 over T5": save_blip2_over_t5,
    "InstructBLIP": save_instructblip,
    "IDEFICS": save_idefics,
}
