"""The encoder contract over every member of `ENCODERS` and every family of transformers."""

import math

import numpy as np
import pytest
import torch
from hub_snapshots import SNAPSHOTS
from PIL import Image
from toy_encoders import media_of, toy_imagebind

from anygen.encoders import ENCODERS, FAMILIES, load_encoder
from anygen.encoders.concat_encoder import ConcatEncoder, ConcatEncoderConfig
from anygen.encoders.transformers_encoder import TransformersEncoderConfig
from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video


def imagebind(**changes):
    return lambda folder: toy_imagebind(**changes)


def snapshot(family: str, **settings):
    def load(folder):
        return load_encoder(SNAPSHOTS[family](folder), config=TransformersEncoderConfig(**settings))

    return load


def concat(*families: str, settings: dict | None = None, **changes):
    def build(folder):
        members = {family: snapshot(family, **(settings or {}))(folder / family) for family in families}
        return ConcatEncoder(members, ConcatEncoderConfig(**changes)).eval()

    return build


VARIANTS = {
    "imagebind-cls-joint": imagebind(),
    "imagebind-patches-joint": imagebind(read="patches"),
    "imagebind-grid-trunk": imagebind(read="grid", features="trunk"),
    "imagebind-crops": imagebind(fit="crop", num_crops=3, video_clip_seconds=2.0, audio_fill="frames"),
    "imagebind-senses-grid": imagebind(senses=True, read="grid", features="trunk"),
    "imagebind-senses-patches": imagebind(senses=True, read="patches"),
    **{f"transformers-{family}": snapshot(family, audio_seconds=1.0) for family in SNAPSHOTS},
    "concat-prismatic": concat("dinov2", "siglip", settings={"layer": -2, "num_frames": 2}),
    "concat-tokens": concat("clip", "siglip2", axis="tokens", settings={"num_frames": 2}),
    "concat-pool": concat("clip", "videomae", axis="channels", resize="pool", grids={"video": (2, 1, 2)}),
    "transformers-clip-llava": snapshot("clip", layer=-2, num_frames=3),
    "transformers-clip-pooled": snapshot("clip", read="pooled"),
    "transformers-siglip2-pooled": snapshot("siglip2", read="pooled"),
    "transformers-dinov2_with_registers-all": snapshot("dinov2_with_registers", read="all", layer=1),
    "transformers-clap-stage": snapshot("clap", layer=0, num_audio_clips=2),
    "transformers-whisper-pooled": snapshot("whisper", read="pooled", layer=-2, num_audio_clips=3),
}


def test_every_encoder_type_and_family_is_under_contract():
    assert {name.split("-")[0] for name in VARIANTS} == set(ENCODERS)
    assert set(FAMILIES) <= set(SNAPSHOTS)


@pytest.fixture(params=VARIANTS, scope="module")
def encoder(request, tmp_path_factory):
    return VARIANTS[request.param](tmp_path_factory.mktemp("snapshot"))


@torch.no_grad()
def test_tokens_are_as_declared_and_finite(encoder):
    for modality in encoder.modalities:
        tokens = encoder(modality, encoder.preprocess(modality, media_of(modality)))
        assert tokens.shape == (3, encoder.num_tokens(modality), encoder.width(modality))
        assert math.prod(encoder.grid(modality)) == encoder.num_tokens(modality)
        assert tokens.isfinite().all()
        assert (tokens[0] - tokens[1]).abs().max() > 1e-3, "different media give different tokens"


@torch.no_grad()
def test_an_item_of_a_batch_equals_the_item_alone(encoder):
    for modality in encoder.modalities:
        media = media_of(modality)
        batch = encoder.preprocess(modality, media)
        for i, medium in enumerate(media):
            alone = encoder.preprocess(modality, [medium])
            assert torch.equal(alone[0], batch[i])
            torch.testing.assert_close(encoder(modality, alone)[0], encoder(modality, batch)[i], atol=1e-5, rtol=0)
            if encoder.joint_dim:
                pair = encoder.embed(modality, alone)[0], encoder.embed(modality, batch)[i]
                torch.testing.assert_close(*pair, atol=1e-5, rtol=0)


@torch.no_grad()
def test_embeddings_have_unit_length_or_are_refused(encoder):
    for modality in encoder.modalities:
        inputs = encoder.preprocess(modality, media_of(modality))
        if encoder.joint_dim is None:
            with pytest.raises(AnyGenError, match="modality_not_supported.* space that media and text share"):
                encoder.embed(modality, inputs)
        else:
            vectors = encoder.embed(modality, inputs)
            assert vectors.shape == (3, encoder.joint_dim)
            torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))


@torch.no_grad()
def test_save_and_load_is_bit_equal(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    loaded = load_encoder(tmp_path)
    assert loaded.config == encoder.config and not loaded.training and loaded.modalities == encoder.modalities
    for modality in encoder.modalities:
        inputs = encoder.preprocess(modality, media_of(modality))
        assert torch.equal(loaded.preprocess(modality, media_of(modality)), inputs)
        assert torch.equal(loaded(modality, inputs), encoder(modality, inputs))


ODD = {
    "image": [Image.new("RGB", size, (9, 99, 199)) for size in ((1, 1), (3, 3), (1, 3000), (3000, 1))],
    "video": [
        Video(frames=np.full((*shape, 3), 7, np.uint8), fps=0.1) for shape in ((1, 1, 1), (3, 3, 3), (2, 1, 900))
    ],
    "audio": [
        Audio(waveform=np.zeros(n, np.float32), sampling_rate=rate) for n, rate in ((1, 8_000), (0, 8_000), (9, 96_000))
    ],
}


@torch.no_grad()
def test_media_of_odd_shapes_give_finite_tokens(encoder):
    for modality in set(encoder.modalities) & set(ODD):
        assert encoder(modality, encoder.preprocess(modality, ODD[modality])).isfinite().all()


def test_an_unknown_modality_is_refused(encoder):
    with pytest.raises(AnyGenError, match=f"modality 'smell'; this {encoder.encoder_type} encoder reads"):
        encoder.preprocess("smell", [None])
