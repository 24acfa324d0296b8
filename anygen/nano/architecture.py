"""The sizes of nano's generators: which classes they are made of and how large, in one place.

    image   StableDiffusionPipeline:  caption -> CLIP text states (24, 128) -> UNet on (32, 8, 8) -> pixels 128x128
    video   TextToVideoSDPipeline:    8 frames of (20, 8, 8) -> pixels 64x64, a 3-D UNet grown from the image UNet
    audio   AudioLatentDiffusionPipeline: UNet on (8, 16, 8) -> log-mel (128 frames, 64 bins) -> vocoder -> 2.048 s

One caption encoder, which reads nano's one tokenizer, serves all three; it is trained first and stays frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel, UniPCMultistepScheduler
    from transformers import CLIPTextModel, PreTrainedTokenizerBase

    from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder
    from anygen.generators.unet_3d import TextPooledUNet3D

CAPTION_TOKENS = 24
"""Length to which captions are padded; the longest canonical caption has 18 tokens."""
TEXT_DIM = 128
DRAWN_SIZE = 128
"""Side in pixels of the pictures that nano draws; it sees pictures, and makes films, of half of that."""
IMAGE_LATENTS = (32, 8, 8)
FRAME_LATENTS = (20, 8, 8)
"""Latents of a film's frame: the coarse channels of a picture's."""
VIDEO_FRAMES = 8
VIDEO_FPS = 4.0
AUDIO_LATENTS = (8, 16, 8)
"""Latents of 128 mel frames times 64 bins, downsampled by 8."""

UNET_BLOCKS = {"image": (96, 112), "video": (96, 112), "audio": (64, 112)}
"""Channels at full and at half latent resolution; attention runs at half resolution only."""
HEAD_DIM = 16


def build_autoencoder(modality: str) -> PatchAutoencoder | DetailAutoencoder:
    """The autoencoder of pictures, of the frames of films or of log-mel spectrograms, untrained."""
    from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder

    if modality == "image":
        return DetailAutoencoder(latent_channels=IMAGE_LATENTS[0], coarse_channels=FRAME_LATENTS[0])
    if modality == "video":
        return PatchAutoencoder(latent_channels=FRAME_LATENTS[0], block_out_channels=(64, 64, 64, 128))
    return PatchAutoencoder(in_channels=1, latent_channels=AUDIO_LATENTS[0], block_out_channels=(48, 48, 48, 80))


def build_text_encoder(tokenizer: PreTrainedTokenizerBase) -> CLIPTextModel:
    """A caption encoder (two layers of width 128) for nano's tokenizer, untrained."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_DIM,
        intermediate_size=4 * TEXT_DIM,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CAPTION_TOKENS,
        projection_dim=TEXT_DIM,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModel(config)


def build_unet(modality: str) -> UNet2DConditionModel | TextPooledUNet3D:
    """The denoiser of a modality, untrained; image and video differ by the temporal layers and the channels of latents.

    The caption reaches the residual blocks pooled, beside the time step, and the attention at half resolution in full.
    """
    from diffusers import UNet2DConditionModel

    from anygen.generators.unet_3d import POOLING_HEADS, TextPooledUNet3D

    channels = UNET_BLOCKS[modality]
    latent_channels = {"image": IMAGE_LATENTS, "video": FRAME_LATENTS, "audio": AUDIO_LATENTS}[modality][0]
    shared = dict(
        sample_size=AUDIO_LATENTS[1:] if modality == "audio" else 8,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=channels,
        layers_per_block=1,
        cross_attention_dim=TEXT_DIM,
        norm_num_groups=16,
    )
    if modality == "video":  # the 3-D class reads `attention_head_dim` as what it says, the 2-D class as a head count
        return TextPooledUNet3D(
            down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"),
            up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
            attention_head_dim=HEAD_DIM,
            **shared,
        )
    return UNet2DConditionModel(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=channels[-1] // HEAD_DIM,
        use_linear_projection=True,
        addition_embed_type="text",
        addition_embed_type_num_heads=POOLING_HEADS,
        **shared,
    )


def build_scheduler() -> UniPCMultistepScheduler:
    """v-prediction with zero terminal signal-to-noise ratio (Lin et al. 2024), so that black and white backgrounds
    can be reached; steps of second order (UniPC, Zhao et al. 2023), of which few suffice."""
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
