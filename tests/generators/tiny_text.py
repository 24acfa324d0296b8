"""Tiny random text encoders, tokenizers and autoencoders that the tiny pipelines of the families are built of."""

from __future__ import annotations

import diffusers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("<s>", "</s>", "<unk>", "<pad>", *"a large small red blue bell cat on grass the sound of in storm with sea .".split())
IDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 3, "vocab_size": 32}
CHAT = "{% for message in messages %}{{ message.role + ' ' + message.content + ' ' }}{% endfor %}"


def tokenizer(length: int = 12):
    """Words between a start and an end, with a chat template."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "padding_side": "right"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=length, chat_template=CHAT, **names
    )


def roberta_tokenizer():
    """RoBERTa's, by which AudioLDM 2 knows that CLAP reads; letters for lack of merges."""
    letters = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", *"abcdefghijklmnopqrst"]
    return transformers.RobertaTokenizer(
        vocab={letter: index for index, letter in enumerate(letters)}, merges=[], model_max_length=12
    )


def t5_tokenizer():
    """T5's, by which AudioLDM 2 knows that T5 reads."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *"abcdefghijklmnopqrst"]
    scores = [(piece, -float(index)) for index, piece in enumerate(pieces)]
    return transformers.T5Tokenizer(vocab=scores, extra_ids=0, model_max_length=40)


def clip(kind=transformers.CLIPTextModel, *, width: int = 16):
    """CLIP's text model, with or without projection."""
    config = transformers.CLIPTextConfig(
        hidden_size=width, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=12,
        projection_dim=width, **IDS,
    )  # fmt: skip
    return kind(config)


def t5(*, width: int = 16, kind=transformers.T5EncoderModel, config=transformers.T5Config):
    """T5's encoder, or UMT5's."""
    return kind(
        config(vocab_size=32, d_model=width, d_ff=24, d_kv=8, num_heads=2, num_layers=1, pad_token_id=3)
    )


def gemma2(*, width: int = 8):
    """Gemma 2 without its head, as Sana reads with it."""
    config = transformers.Gemma2Config(
        hidden_size=width, head_dim=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1024, attn_implementation="eager", **IDS,
    )  # fmt: skip
    return transformers.Gemma2Model(config)


def qwen3(*, width: int = 16):
    """Qwen 3 without its head, as Z-Image reads with it."""
    config = transformers.Qwen3Config(
        hidden_size=width, head_dim=8, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1024, **IDS,
    )  # fmt: skip
    return transformers.Qwen3Model(config)


def qwen2_5_vl(*, width: int = 16):
    """Qwen 2.5 VL, as Qwen-Image reads with it."""
    text = {
        "hidden_size": width, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}, **IDS,
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "out_hidden_size": width,
        "patch_size": 8, "window_size": 32, "fullatt_block_indexes": [0],
    }  # fmt: skip
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def clap_text_config() -> transformers.ClapTextConfig:
    """CLAP's text branch."""
    return transformers.ClapTextConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, projection_dim=16,
        max_position_embeddings=20, type_vocab_size=1, **IDS,
    )  # fmt: skip


def clap():
    """CLAP whole."""
    hearing = transformers.ClapAudioConfig(
        spec_size=64, window_size=4, num_mel_bins=64, intermediate_size=24, depths=[1, 1], num_attention_heads=[2, 2],
        num_hidden_layers=2, hidden_size=192, projection_dim=16, patch_size=2, patch_stride=2, patch_embed_input_channels=4,
        patch_embeds_hidden_size=96,
    )  # fmt: skip
    config = transformers.ClapConfig(
        text_config=clap_text_config().to_dict(), audio_config=hearing.to_dict(), projection_dim=16
    )
    return transformers.ClapModel(config)


def hifi_gan():
    """A vocoder of 8 mels that makes 64 samples of a frame, loud enough for differences to be heard."""
    config = transformers.SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[8, 8],
        upsample_kernel_sizes=[16, 16], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]], normalize_before=False,
        initializer_range=0.3,
    )  # fmt: skip
    return transformers.SpeechT5HifiGan(config)


def picture_vae(channels: int = 4, **more):
    """`AutoencoderKL` that halves the sides."""
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def wan_vae():
    """Wan's autoencoder of films: sides over 8, time over 4."""
    return diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
