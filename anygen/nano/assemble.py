"""Joins nano's trained components into one `AnyGenModel`, and a finished model into the package's weights.

What each component exported in the work folder -> pipelines, encoder, LLM -> AnyGenModel (bridges still untrained).
"""

from __future__ import annotations

from pathlib import Path

import diffusers
from transformers import CLIPTextModel

from anygen.bridges import SignalSpec
from anygen.encoders import load_encoder
from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
from anygen.generators.autoencoder import PatchAutoencoder
from anygen.generators.diffusion import AudioGenerator, ImageGenerator, VideoGenerator
from anygen.generators.generator import Generator
from anygen.generators.vocoder import GriffinLimVocoder
from anygen.llm import Backbone, BackboneConfig
from anygen.media.types import MEDIA
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.architecture import CAPTION_TOKENS, build_scheduler
from anygen.projectors import InputProjectorConfig, OutputProjectorConfig

SAMPLING = {
    "image": {"num_inference_steps": 20, "guidance_scale": 3.0},
    "video": {"num_inference_steps": 16, "guidance_scale": 3.0},
    "audio": {"num_inference_steps": 20, "guidance_scale": 3.0},
}
"""Sampling parameters that are used when the user gives none."""
OUTPUT_PROJECTOR = OutputProjectorConfig(hidden_dim=128, num_layers=2, num_heads=4, feedforward_dim=512)


def assemble(work: Path) -> AnyGenModel:
    """The model of everything that `work` holds; every component must have been exported."""
    generators = {modality: build_generator(modality, work) for modality in MEDIA}
    generators["video"].pipeline.register_modules(vae=generators["image"].pipeline.vae)
    generators["video"].modules_of_pipeline["vae"] = generators["image"].pipeline.vae
    encoder = load_encoder(work / "encoder" / "export")
    backbone = Backbone.from_pretrained(work / "llm" / "export")
    config = AnyGenConfig(
        backbone=BackboneConfig(),
        signals={modality: _signal(backbone, modality) for modality in MEDIA},
        input_projectors={modality: InputProjectorConfig(type="linear") for modality in MEDIA},
        output_projectors={modality: OUTPUT_PROJECTOR for modality in MEDIA},
        conditions={modality: generators[modality].condition_spec for modality in MEDIA},
        guidance_null="bridge",
    )
    encoders = {modality: encoder for modality in MEDIA}
    return AnyGenModel(config, encoders=encoders, backbone=backbone, generators=generators).eval()


def build_generator(modality: str, work: Path) -> Generator:
    """The pipeline of a modality out of the exports of its autoencoder and its denoiser."""
    export = work / f"denoiser-{modality}" / "export"
    tokenizer = nano_tokenizer.load(work / "tokenizer")
    tokenizer.model_max_length = CAPTION_TOKENS
    source = "audio" if modality == "audio" else "image"
    parts = dict(
        vae=PatchAutoencoder.from_pretrained(work / f"autoencoder-{source}" / "export"),
        text_encoder=CLIPTextModel.from_pretrained(export / "text_encoder"),
        tokenizer=tokenizer,
        scheduler=build_scheduler(),
    )
    sampling = SAMPLING[modality]
    if modality == "audio":
        unet = diffusers.UNet2DConditionModel.from_pretrained(export / "unet")
        pipeline = AudioLatentDiffusionPipeline(**parts, unet=unet, vocoder=GriffinLimVocoder())
        return AudioGenerator(pipeline, **sampling)
    if modality == "video":
        unet = diffusers.UNet3DConditionModel.from_pretrained(export / "unet")
        return VideoGenerator(diffusers.TextToVideoSDPipeline(**parts, unet=unet), **sampling)
    unet = diffusers.UNet2DConditionModel.from_pretrained(export / "unet")
    pipeline = diffusers.StableDiffusionPipeline(
        **parts, unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    return ImageGenerator(pipeline, **sampling)


def _signal(backbone: Backbone, modality: str) -> SignalSpec:
    tokens = nano_tokenizer.signal_tokens(modality)
    return SignalSpec(tokens=tuple(tokens), ids=tuple(backbone.special_ids(tokens)))
