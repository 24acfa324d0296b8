"""Tiny random pipelines of every family that the contract is tested on, and how each is called when it is tested.

`FAMILIES`: name -> (function that builds the pipeline, settings of its generator: sizes that are small enough).
"""

from __future__ import annotations

import diffusers
import transformers
from tiny_text import (
    clap, clap_text_config, clip, gemma2, hifi_gan, picture_vae, qwen2_5_vl, qwen3, roberta_tokenizer, t5, t5_tokenizer,
    tokenizer, wan_vae,
)  # fmt: skip

UNET = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8}
BLOCKS = {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")}
PLAIN_VAE = {"use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1, "scaling_factor": 0.7}


def ddim(**more):
    return diffusers.DDIMScheduler(clip_sample=False, **more)


def flow(**more):
    return diffusers.FlowMatchEulerDiscreteScheduler(**more)


def stable_diffusion(prediction_type: str = "epsilon"):
    unet = diffusers.UNet2DConditionModel(cross_attention_dim=16, attention_head_dim=2, **UNET, **BLOCKS)
    return diffusers.StableDiffusionPipeline(
        vae=picture_vae(), unet=unet, text_encoder=clip(), tokenizer=tokenizer(), safety_checker=None,
        scheduler=ddim(prediction_type=prediction_type), feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_2():
    return stable_diffusion("v_prediction")


def stable_diffusion_xl():
    unet = diffusers.UNet2DConditionModel(
        cross_attention_dim=32, attention_head_dim=2, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=16 + 6 * 4, use_linear_projection=True, **UNET, **BLOCKS,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=picture_vae(), unet=unet, text_encoder=clip(), text_encoder_2=clip(transformers.CLIPTextModelWithProjection),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), scheduler=diffusers.EulerDiscreteScheduler(), add_watermarker=False,
    )  # fmt: skip


def stable_diffusion_3():
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=32, caption_projection_dim=16, pooled_projection_dim=32,
    )  # fmt: skip
    read = transformers.CLIPTextModelWithProjection
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer, vae=picture_vae(**PLAIN_VAE), text_encoder=clip(read), text_encoder_2=clip(read),
        text_encoder_3=t5(width=32), tokenizer=tokenizer(), tokenizer_2=tokenizer(), tokenizer_3=tokenizer(),
        scheduler=flow(shift=3.0),
    )  # fmt: skip


def flux():
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return diffusers.FluxPipeline(
        transformer=transformer, vae=picture_vae(1, **PLAIN_VAE), text_encoder=clip(), text_encoder_2=t5(width=32),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), scheduler=flow(use_dynamic_shifting=True),
    )  # fmt: skip


def sana():
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8, sample_size=32,
    )  # fmt: skip
    blocks = ("ResBlock", "EfficientViTBlock")
    vae = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=blocks, decoder_block_types=blocks,
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)), encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        downsample_block_type="conv", upsample_block_type="interpolate", decoder_norm_types="rms_norm",
        decoder_act_fns="silu", scaling_factor=0.41407,
    )  # fmt: skip
    return diffusers.SanaPipeline(
        tokenizer=tokenizer(300), text_encoder=gemma2(), vae=vae, transformer=transformer, scheduler=flow(shift=7.0)
    )


def pixart_sigma():
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, caption_channels=32,
        in_channels=4, cross_attention_dim=16, out_channels=8, attention_bias=True, norm_elementwise_affine=False,
    )  # fmt: skip
    return diffusers.PixArtSigmaPipeline(
        tokenizer=tokenizer(), text_encoder=t5(width=32), vae=picture_vae(), transformer=transformer, scheduler=ddim()
    )


def qwen_image():
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=4, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.1, 1.2, 1.3, 1.4],
    )  # fmt: skip
    return diffusers.QwenImagePipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=vae, text_encoder=qwen2_5_vl(), tokenizer=tokenizer(),
        transformer=transformer,
    )  # fmt: skip


def z_image():
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, rope_theta=256.0, axes_dims=[8, 4, 4], axes_lens=[1024, 32, 32],
    )  # fmt: skip
    return diffusers.ZImagePipeline(
        scheduler=flow(shift=3.0), vae=picture_vae(**PLAIN_VAE), text_encoder=qwen3(), tokenizer=tokenizer(),
        transformer=transformer,
    )  # fmt: skip


def text_to_video():
    unet = diffusers.UNet3DConditionModel(
        cross_attention_dim=16, attention_head_dim=4, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), **UNET,
    )  # fmt: skip
    return diffusers.TextToVideoSDPipeline(
        vae=picture_vae(), unet=unet, text_encoder=clip(), tokenizer=tokenizer(), scheduler=ddim()
    )


def cogvideox():
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, time_embed_dim=2, text_embed_dim=32,
        num_layers=1, sample_width=4, sample_height=4, sample_frames=9, patch_size=2, temporal_compression_ratio=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        temporal_compression_ratio=4,
    )  # fmt: skip
    return diffusers.CogVideoXPipeline(
        tokenizer=tokenizer(), text_encoder=t5(width=32), vae=vae, transformer=transformer,
        scheduler=ddim(prediction_type="v_prediction"),
    )  # fmt: skip


def ltx():
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=2, attention_head_dim=8,
        cross_attention_dim=16, num_layers=1, caption_channels=32,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1), patch_size=1, patch_size_t=1,
        spatio_temporal_scaling=(True, True, False, False), decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1,) * 4,
        timestep_conditioning=False, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    return diffusers.LTXPipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=vae, text_encoder=t5(width=32), tokenizer=tokenizer(128),
        transformer=transformer,
    )  # fmt: skip


def wan():
    transformer = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32,
        freq_dim=16, ffn_dim=24, num_layers=1, cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip
    reader = t5(width=32, kind=transformers.UMT5EncoderModel, config=transformers.UMT5Config)
    return diffusers.WanPipeline(
        transformer=transformer, vae=wan_vae(), text_encoder=reader, tokenizer=tokenizer(),
        scheduler=diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    )  # fmt: skip


def sana_video():
    transformer = diffusers.SanaVideoTransformer3DModel(
        in_channels=16, out_channels=16, num_attention_heads=2, attention_head_dim=12, num_layers=1,
        num_cross_attention_heads=2, cross_attention_head_dim=12, cross_attention_dim=24, caption_channels=8, sample_size=8,
        patch_size=(1, 2, 2), norm_elementwise_affine=False, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip
    scheduler = diffusers.DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0)
    return diffusers.SanaVideoPipeline(
        tokenizer=tokenizer(300), text_encoder=gemma2(), vae=wan_vae(), transformer=transformer, scheduler=scheduler
    )


def mel_unet():
    return diffusers.UNet2DConditionModel(
        cross_attention_dim=(8, 16), attention_head_dim=2, class_embed_type="simple_projection",
        class_embeddings_concat=True, projection_class_embeddings_input_dim=16, **UNET, **BLOCKS,
    )  # fmt: skip


def audio_ldm():
    return diffusers.AudioLDMPipeline(
        vae=picture_vae(in_channels=1, out_channels=1), unet=mel_unet(), tokenizer=tokenizer(), scheduler=ddim(),
        text_encoder=transformers.ClapTextModelWithProjection(clap_text_config()), vocoder=hifi_gan(),
    )  # fmt: skip


def audio_ldm_2():
    unet = diffusers.AudioLDM2UNet2DConditionModel(
        cross_attention_dim=((None, 16, 32), (None, 16, 32)), attention_head_dim=2, in_channels=4, out_channels=4, **UNET, **BLOCKS
    )
    language_model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_embd=16, n_head=2, n_layer=1, n_positions=99, vocab_size=32, bos_token_id=0, eos_token_id=1
        )  # fmt: skip
    )
    language_model.config.max_new_tokens = 8
    projection = diffusers.AudioLDM2ProjectionModel(text_encoder_dim=16, text_encoder_1_dim=32, langauge_model_dim=16)
    return diffusers.AudioLDM2Pipeline(
        vae=picture_vae(in_channels=1, out_channels=1), text_encoder=clap(), text_encoder_2=t5(width=32),
        projection_model=projection, language_model=language_model, tokenizer=roberta_tokenizer(), tokenizer_2=t5_tokenizer(),
        feature_extractor=transformers.ClapFeatureExtractor(), unet=unet, scheduler=ddim(), vocoder=hifi_gan(),
    )  # fmt: skip


def music_ldm():
    return diffusers.MusicLDMPipeline(
        vae=picture_vae(in_channels=1, out_channels=1), unet=mel_unet(), text_encoder=clap(), tokenizer=tokenizer(),
        feature_extractor=transformers.ClapFeatureExtractor(), scheduler=ddim(), vocoder=hifi_gan(),
    )  # fmt: skip


def stable_audio():
    transformer = diffusers.StableAudioDiTModel(
        sample_size=8, in_channels=4, num_layers=1, attention_head_dim=8, num_key_value_attention_heads=1, out_channels=4,
        cross_attention_dim=16, time_proj_dim=8, global_states_input_dim=32, cross_attention_input_dim=16,
        num_attention_heads=2,
    )  # fmt: skip
    vae = diffusers.AutoencoderOobleck(
        encoder_hidden_size=8, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=4, audio_channels=2,
        channel_multiples=[2, 4], sampling_rate=16000,
    )  # fmt: skip
    projection = diffusers.StableAudioProjectionModel(text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=32)
    return diffusers.StableAudioPipeline(
        vae=vae, text_encoder=t5(), projection_model=projection, tokenizer=tokenizer(), transformer=transformer,
        scheduler=diffusers.EDMDPMSolverMultistepScheduler(solver_order=2, prediction_type="v_prediction"),
    )  # fmt: skip


FAMILIES = {
    "StableDiffusion 1": (stable_diffusion, {}),
    "StableDiffusion 2": (stable_diffusion_2, {}),
    "StableDiffusionXL": (stable_diffusion_xl, {}),
    "StableDiffusion3": (stable_diffusion_3, {}),
    "Flux": (flux, {"height": 16, "width": 16}),
    "Sana": (sana, {"height": 32, "width": 32}),
    "PixArtSigma": (pixart_sigma, {}),
    "QwenImage": (qwen_image, {"height": 32, "width": 32}),
    "ZImage": (z_image, {"height": 32, "width": 32}),
    "TextToVideoSD": (text_to_video, {"num_frames": 3}),
    "CogVideoX": (cogvideox, {}),
    "LTX": (ltx, {"height": 32, "width": 32, "num_frames": 9}),
    "Wan": (wan, {"height": 16, "width": 16, "num_frames": 9}),
    "SanaVideo": (sana_video, {"height": 32, "width": 32, "num_frames": 9}),
    "AudioLDM": (audio_ldm, {}),
    "AudioLDM2": (audio_ldm_2, {}),
    "MusicLDM": (music_ldm, {}),
    "StableAudio": (stable_audio, {}),
}

UNBINNED = {"use_resolution_binning": False}
BARE_ARGUMENTS = {
    "Sana": UNBINNED,
    "PixArtSigma": UNBINNED,
    "SanaVideo": UNBINNED,
    "QwenImage": {"negative_prompt": ["", ""]},
}
"""What the bare pipeline is given beside the settings: sizes as asked for, and Qwen guides only where there is a negative."""
