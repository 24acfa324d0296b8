"""Tiny random pipelines of the diffusers classes that presets name, in the layout that the hub has them in."""

from __future__ import annotations

from pathlib import Path

import diffusers as d
import transformers as t
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["<s>", "</s>", "<unk>", "<pad>", *"a large small red bell cat on grass the sound of in storm lighthouse .".split()]
NO_CHECKER = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
UNET = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8}
BLOCKS = {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")}


def tokenizer(length: int = 12) -> t.PreTrainedTokenizerFast:
    """Words between a start and an end, padded by the pipelines."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return t.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=length, **names)


def clip_config(width: int = 16, **more) -> t.CLIPTextConfig:
    return t.CLIPTextConfig(
        vocab_size=len(WORDS), hidden_size=width, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=12, bos_token_id=0, eos_token_id=1, pad_token_id=3, projection_dim=width, **more,
    )  # fmt: skip


def t5(kind: type, config: type, width: int = 16):
    return kind(config(vocab_size=len(WORDS), d_model=width, d_ff=24, d_kv=8, num_heads=2, num_layers=2, pad_token_id=3))


def vae(channels: int = 4, **more) -> d.AutoencoderKL:
    return d.AutoencoderKL(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip


def stable_diffusion(*, width: int = 16, length: int = 12):
    unet = d.UNet2DConditionModel(cross_attention_dim=width, attention_head_dim=2, **UNET, **BLOCKS)
    text, scheduler = t.CLIPTextModel(clip_config(width)), d.DDIMScheduler(clip_sample=False)
    return d.StableDiffusionPipeline(
        vae=vae(), unet=unet, text_encoder=text, tokenizer=tokenizer(length), scheduler=scheduler, **NO_CHECKER
    )


def stable_diffusion_xl():
    unet = d.UNet2DConditionModel(
        cross_attention_dim=32, attention_head_dim=2, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=16 + 6 * 4, use_linear_projection=True, **UNET, **BLOCKS,
    )  # fmt: skip
    return d.StableDiffusionXLPipeline(
        vae=vae(), unet=unet, text_encoder=t.CLIPTextModel(clip_config()), tokenizer=tokenizer(), tokenizer_2=tokenizer(),
        text_encoder_2=t.CLIPTextModelWithProjection(clip_config()), scheduler=d.EulerDiscreteScheduler(),
    )  # fmt: skip


def text_to_video(*, width: int = 16, length: int = 12):
    unet = d.UNet3DConditionModel(
        cross_attention_dim=width, attention_head_dim=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        sample_size=8, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    text, scheduler = t.CLIPTextModel(clip_config(width)), d.DDIMScheduler(clip_sample=False)
    return d.TextToVideoSDPipeline(vae=vae(), unet=unet, text_encoder=text, tokenizer=tokenizer(length), scheduler=scheduler)


def audio_ldm(*, width: int = 16):
    unet = d.UNet2DConditionModel(
        cross_attention_dim=(8, 16), attention_head_dim=2, class_embed_type="simple_projection", class_embeddings_concat=True,
        projection_class_embeddings_input_dim=width, in_channels=4, out_channels=4, **UNET, **BLOCKS,
    )  # fmt: skip
    text = t.ClapTextModelWithProjection(
        t.ClapTextConfig(
            vocab_size=len(WORDS), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            projection_dim=width, pad_token_id=3, max_position_embeddings=20, type_vocab_size=1,
        )
    )  # fmt: skip
    vocoder = t.SpeechT5HifiGan(
        t.SpeechT5HifiGanConfig(
            model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[2, 2],
            upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]], normalize_before=False,
        )
    )  # fmt: skip
    return d.AudioLDMPipeline(
        vae=vae(in_channels=1, out_channels=1), unet=unet, text_encoder=text, tokenizer=tokenizer(),
        scheduler=d.DDIMScheduler(clip_sample=False), vocoder=vocoder,
    )  # fmt: skip


def flux():
    transformer = d.FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8), guidance_embeds=False,
    )  # fmt: skip
    return d.FluxPipeline(
        transformer=transformer, vae=vae(1, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0, scaling_factor=1.0),
        text_encoder=t.CLIPTextModel(clip_config()), text_encoder_2=t5(t.T5EncoderModel, t.T5Config),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def wan():
    transformer = d.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=16,
        freq_dim=16, ffn_dim=24, num_layers=1, cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip
    autoencoder = d.AutoencoderKLWan(base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True])
    return d.WanPipeline(
        transformer=transformer, vae=autoencoder, text_encoder=t5(t.UMT5EncoderModel, t.UMT5Config), tokenizer=tokenizer(),
        scheduler=d.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    )  # fmt: skip


def stable_audio():
    transformer = d.StableAudioDiTModel(
        sample_size=8, in_channels=4, num_layers=1, attention_head_dim=8, num_key_value_attention_heads=1,
        out_channels=4, cross_attention_dim=16, time_proj_dim=8, global_states_input_dim=32, cross_attention_input_dim=16,
        num_attention_heads=2,
    )  # fmt: skip
    autoencoder = d.AutoencoderOobleck(
        encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=4, audio_channels=2,
        channel_multiples=[2, 4], sampling_rate=16_000,
    )  # fmt: skip
    projection = d.pipelines.stable_audio.modeling_stable_audio.StableAudioProjectionModel(
        text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=32
    )
    return d.StableAudioPipeline(
        vae=autoencoder, text_encoder=t5(t.T5EncoderModel, t.T5Config), projection_model=projection, tokenizer=tokenizer(),
        transformer=transformer, scheduler=d.EDMDPMSolverMultistepScheduler(solver_order=2, prediction_type="v_prediction"),
    )  # fmt: skip


PIPELINES = {
    "StableDiffusionPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion_xl,
    "TextToVideoSDPipeline": text_to_video,
    "AudioLDMPipeline": audio_ldm,
    "FluxPipeline": flux,
    "WanPipeline": wan,
    "StableAudioPipeline": stable_audio,
}


def save_pipeline(class_name: str, folder: Path) -> None:
    """Write a tiny pipeline of a class."""
    PIPELINES[class_name]().save_pretrained(folder)
