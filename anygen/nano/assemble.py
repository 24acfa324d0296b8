"""Joins nano's trained components into one `AnyGenModel`, and a finished model into the package's weights.

What each component exported in the work folder -> pipelines, encoder, LLM -> AnyGenModel (bridges still untrained).
"""

from __future__ import annotations

import json
from pathlib import Path

import diffusers
from transformers import CLIPTextModel

from anygen.bridges import SignalSpec
from anygen.encoders import load_encoder
from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder
from anygen.generators.diffusion import AudioGenerator, ImageGenerator, VideoGenerator
from anygen.generators.generator import Generator
from anygen.generators.unet_3d import TextPooledUNet3D
from anygen.generators.vocoder import GriffinLimVocoder
from anygen.backbones import Backbone, BackboneConfig
from anygen.media.types import MEDIA
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.architecture import CAPTION_TOKENS, TEXT_DIM, VIDEO_FPS, VIDEO_FRAMES, build_scheduler
from anygen.projectors import InputProjectorConfig, OutputProjectorConfig

NUM_INFERENCE_STEPS = {"image": 8, "video": 8, "audio": 8}
"""Denoising steps that are used when the user gives no number."""
GUIDANCE_FILE = "sampling/guidance.json"
"""Where the recipe's step "sampling" leaves the guidance scales that it chose; 2 before that."""
OUTPUT_PROJECTOR = OutputProjectorConfig(hidden_dim=128, num_layers=2, num_heads=4, feedforward_dim=512)


def assemble(work: Path, *, with_generators: bool = True) -> AnyGenModel:
    """The model of everything that `work` holds; every component must have been exported.

    Without generators it can be trained on the text loss, but not be saved whole.
    """
    generators = build_generators(work) if with_generators else None
    encoder = load_encoder(work / "encoder" / "export")
    reading = BackboneConfig(lowercase_users=True)
    backbone = Backbone.from_pretrained(work / "llm" / "export", config=reading)
    config = AnyGenConfig(
        backbone=reading,
        signals={modality: _signal(backbone, modality) for modality in MEDIA},
        input_projectors={modality: InputProjectorConfig(type="transformer") for modality in MEDIA},
        output_projectors={modality: OUTPUT_PROJECTOR for modality in MEDIA},
        conditions={modality: {"prompt_embeds": (CAPTION_TOKENS, TEXT_DIM)} for modality in MEDIA},
        guidance_null="bridge",
    )
    encoders = {modality: encoder for modality in MEDIA}
    return AnyGenModel(config, encoders=encoders, backbone=backbone, generators=generators).eval()


def build_generators(work: Path) -> dict[str, Generator]:
    """The three pipelines out of the exports of autoencoders, caption encoder and denoisers.

    They share one caption encoder.
    """
    tokenizer = nano_tokenizer.load(work / "tokenizer")
    tokenizer.model_max_length = CAPTION_TOKENS
    text_encoder = CLIPTextModel.from_pretrained(work / "caption-encoder" / "export")

    def parts(modality: str, unet_class: type) -> dict:
        unet = unet_class.from_pretrained(work / f"denoiser-{modality}" / "export" / "unet")
        if modality == "image":  # whose decoder has learnt from its denoiser
            vae = DetailAutoencoder.from_pretrained(work / "decoder-image" / "export")
        else:
            vae = PatchAutoencoder.from_pretrained(work / f"autoencoder-{modality}" / "export")
        return dict(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=build_scheduler())

    drawing = diffusers.StableDiffusionPipeline(
        **parts("image", diffusers.UNet2DConditionModel),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    film = diffusers.TextToVideoSDPipeline(**parts("video", TextPooledUNet3D))
    sound = AudioLatentDiffusionPipeline(**parts("audio", diffusers.UNet2DConditionModel), vocoder=GriffinLimVocoder())
    path = work / GUIDANCE_FILE
    guidance = json.loads(path.read_text(encoding="utf-8"))["chosen"] if path.exists() else dict.fromkeys(MEDIA, 2.0)
    sampling = {m: {"num_inference_steps": NUM_INFERENCE_STEPS[m], "guidance_scale": guidance[m]} for m in MEDIA}
    return {
        "image": ImageGenerator(drawing, **sampling["image"]),
        "video": VideoGenerator(film, num_frames=VIDEO_FRAMES, fps=VIDEO_FPS, **sampling["video"]),
        "audio": AudioGenerator(sound, **sampling["audio"]),
    }


def _signal(backbone: Backbone, modality: str) -> SignalSpec:
    tokens = nano_tokenizer.signal_tokens(modality)
    return SignalSpec(tokens=tuple(tokens), ids=tuple(backbone.special_ids(tokens)))
