"""Tokens and widths of published checkpoints, declared and given: their configs, on a device that holds no numbers."""

import pytest
import torch
import transformers
from toy_encoders import media_of
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from anygen.encoders.transformers_encoder import TransformersEncoder, TransformersEncoderConfig


def clip_large():
    vision = transformers.CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
    )
    model = transformers.CLIPVisionModel(vision)
    return model, transformers.CLIPImageProcessorPil(), {"layer": -2}


def siglip_so400m():
    vision = transformers.SiglipVisionConfig(
        hidden_size=1152,
        intermediate_size=4304,
        num_hidden_layers=27,
        num_attention_heads=16,
        patch_size=14,
        image_size=384,
    )
    processor = transformers.SiglipImageProcessorPil(size={"height": 384, "width": 384})
    return transformers.SiglipVisionModel(vision), processor, {}


def dinov2_large():
    config = transformers.Dinov2Config(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, patch_size=14, image_size=518
    )
    processor = transformers.BitImageProcessorPil(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    return transformers.Dinov2Model(config), processor, {}


def videomae_base():
    return transformers.VideoMAEModel(transformers.VideoMAEConfig()), transformers.VideoMAEImageProcessorPil(), {}


def clap_unfused():
    model = transformers.ClapModel(transformers.ClapConfig())
    return model, transformers.ClapFeatureExtractor(truncation="rand_trunc"), {}


def whisper_large_v3():
    config = transformers.WhisperConfig(
        d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120, num_mel_bins=128
    )
    return WhisperEncoder(config), transformers.WhisperFeatureExtractor(feature_size=128), {}


def hubert_large():
    config = transformers.HubertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, conv_bias=True,
        feat_extract_norm="layer", do_stable_layer_norm=True,
    )  # fmt: skip
    return transformers.HubertModel(config), transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False), {}


PUBLISHED = {  # build, modality -> (grid, width)
    "clip-vit-large-patch14": (clip_large, "image", (16, 16), 1024),
    "siglip-so400m-patch14-384": (siglip_so400m, "image", (27, 27), 1152),
    "dinov2-large": (dinov2_large, "image", (16, 16), 1024),
    "videomae-base": (videomae_base, "video", (8, 14, 14), 768),
    "clap-htsat-unfused": (clap_unfused, "audio", (2, 32), 768),
    "whisper-large-v3": (whisper_large_v3, "audio", (1500,), 1280),
    "hubert-large, 10 s": (hubert_large, "audio", (499,), 1024),
}


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_published_sizes(name):
    build, modality, grid, width = PUBLISHED[name]
    with torch.device("meta"):
        model, processor, settings = build()
    encoder = TransformersEncoder(model.eval(), processor=processor, config=TransformersEncoderConfig(**settings))
    assert (encoder.grid(modality), encoder.width(modality)) == (grid, width)
    tokens = encoder(modality, encoder.preprocess(modality, media_of(modality)[:1]).to("meta"))
    assert tokens.shape == (1, encoder.num_tokens(modality), width)
