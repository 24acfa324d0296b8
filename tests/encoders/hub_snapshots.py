"""Tiny checkpoints with random weights in the layouts that the hub has, one function a family."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4)
WORDS = ("<s>", "<pad>", "</s>", "<unk>", "a", "red", "bell", "on", "grass", "the", "sound", "of")


def save(folder: Path, model, *parts) -> Path:
    """The model with weights large enough that different media give different tokens, and its processors."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.15)
    model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


def word_tokenizer():
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def clip_tokenizer(folder: Path):
    """CLIP's own class over bytes, from the two files that its repositories have."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocab = [*letters, *(letter + "</w>" for letter in letters), "be", "bel", "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}))
    (folder / "merges.txt").write_text("#version: 0.2\nb e\nbe l\n")
    return CLIPTokenizer.from_pretrained(folder)


def clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    tokenizer = clip_tokenizer(folder)
    text = dict(
        SMALL, vocab_size=len(tokenizer), max_position_embeddings=12, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, projection_dim=24,
    )  # fmt: skip
    config = CLIPConfig(
        text_config=CLIPTextConfig(**text).to_dict(),
        vision_config=CLIPVisionConfig(**SMALL, image_size=16, patch_size=4, projection_dim=24).to_dict(),
        projection_dim=24,
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return save(folder, CLIPModel(config), processor, tokenizer)


def clip_vision_model(folder: Path) -> Path:
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    model = CLIPVisionModel(CLIPVisionConfig(**SMALL, image_size=16, patch_size=4))
    return save(folder, model, CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}))


def siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipTextConfig, SiglipVisionConfig

    text = SiglipTextConfig(**SMALL, vocab_size=len(WORDS), max_position_embeddings=10, pad_token_id=1)
    vision = SiglipVisionConfig(**SMALL, image_size=16, patch_size=4)
    model = SiglipModel(SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    return save(folder, model, SiglipImageProcessorPil(size={"height": 16, "width": 16}), word_tokenizer())


def siglip_vision_model(folder: Path, *, vision_use_head: bool = True) -> Path:
    from transformers import SiglipImageProcessorPil, SiglipVisionConfig, SiglipVisionModel

    model = SiglipVisionModel(SiglipVisionConfig(**SMALL, image_size=16, patch_size=4, vision_use_head=vision_use_head))
    return save(folder, model, SiglipImageProcessorPil(size={"height": 16, "width": 16}))


def siglip2(folder: Path) -> Path:
    from transformers import (
        Siglip2Config,
        Siglip2ImageProcessorPil,
        Siglip2Model,
        Siglip2TextConfig,
        Siglip2VisionConfig,
    )

    text = Siglip2TextConfig(**SMALL, vocab_size=len(WORDS), max_position_embeddings=10, pad_token_id=1)
    vision = Siglip2VisionConfig(**SMALL, num_patches=16, patch_size=4)
    model = Siglip2Model(Siglip2Config(text_config=text.to_dict(), vision_config=vision.to_dict()))
    return save(folder, model, Siglip2ImageProcessorPil(patch_size=4, max_num_patches=16), word_tokenizer())


def dinov2(folder: Path) -> Path:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    model = Dinov2Model(
        Dinov2Config(**SMALL, image_size=24, patch_size=4, mlp_ratio=2)
    )  # trained at another size than read
    return save(folder, model, BitImageProcessorPil(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16}))


def dinov2_with_registers(folder: Path) -> Path:
    from transformers import BitImageProcessorPil, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    config = Dinov2WithRegistersConfig(**SMALL, image_size=16, patch_size=4, mlp_ratio=2, num_register_tokens=3)
    processor = BitImageProcessorPil(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16})
    return save(folder, Dinov2WithRegistersModel(config), processor)


def videomae(folder: Path) -> Path:
    """As published: the model of pretraining, whose encoder has keys of its own prefix."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEImageProcessorPil

    config = VideoMAEConfig(
        **SMALL, image_size=16, patch_size=8, num_frames=4, decoder_hidden_size=16, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    processor = VideoMAEImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return save(folder, VideoMAEForPreTraining(config), processor)


def clap(folder: Path, *, fusion: bool = False) -> Path:
    from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapTextConfig

    audio = ClapAudioConfig(
        spec_size=32, num_mel_bins=16, window_size=2, patch_size=4, patch_stride=[4, 4], patch_embeds_hidden_size=16,
        depths=[1, 1], num_attention_heads=[2, 2], hidden_size=32, enable_fusion=fusion, projection_dim=24,
        fusion_type="aff_2d" if fusion else None, aff_block_r=2,
    )  # fmt: skip
    text = ClapTextConfig(
        **SMALL, vocab_size=len(WORDS), max_position_embeddings=20, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        projection_dim=24,
    )  # fmt: skip
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24)
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=8_000, max_length_s=1, hop_length=256, fft_window_size=512, frequency_max=4_000,
        truncation="fusion" if fusion else "rand_trunc",
    )  # fmt: skip
    return save(folder, ClapModel(config), extractor, word_tokenizer())


def clap_fusion(folder: Path) -> Path:
    return clap(folder, fusion=True)


def whisper(folder: Path) -> Path:
    """As published: encoder and decoder, with the head of generation."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    config = WhisperConfig(
        d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=1,
        decoder_attention_heads=4, decoder_ffn_dim=48, vocab_size=20, num_mel_bins=16, max_source_positions=50,
        max_target_positions=8, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=0,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    return save(folder, WhisperForConditionalGeneration(config), extractor)


def hubert(folder: Path, *, large: bool = False) -> Path:
    """`large`: layer norms, a stable transformer and an attention mask, as from HuBERT large on."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    config = HubertConfig(
        **SMALL, conv_dim=(16, 16), conv_kernel=(10, 4), conv_stride=(80, 4), num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, num_feat_extract_layers=2, conv_bias=large,
        feat_extract_norm="layer" if large else "group", do_stable_layer_norm=large,
    )  # fmt: skip
    return save(folder, HubertModel(config), Wav2Vec2FeatureExtractor(return_attention_mask=large, do_normalize=True))


def hubert_large(folder: Path) -> Path:
    return hubert(folder, large=True)


SNAPSHOTS = {
    write.__name__: write
    for write in (
        clip, clip_vision_model, siglip, siglip_vision_model, siglip2, dinov2, dinov2_with_registers, videomae, clap,
        clap_fusion, whisper, hubert, hubert_large,
    )
}  # fmt: skip
