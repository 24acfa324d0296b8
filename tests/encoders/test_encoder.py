"""The encoder contract over every member of `ENCODERS`, and what is ImageBind's own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from anygen.encoders import ENCODERS, load_encoder
from anygen.encoders.imagebind_config import ImageBindConfig, PatchTrunkConfig, TextTrunkConfig
from anygen.encoders.imagebind_encoder import ImageBindEncoder, ImageBindEncoderConfig
from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video

WORDS = ("a", "red", "bell", "on", "grass", "the", "sound", "of")


def toy_imagebind(**changes) -> ImageBindEncoder:
    torch.manual_seed(0)
    small = dict(width=16, num_layers=2, num_heads=2, bias_kv=True)
    config = ImageBindEncoderConfig(
        model=ImageBindConfig(
            joint_dim=12,
            vision=PatchTrunkConfig(input_size=(3, 2, 32, 32), kernel=(2, 8, 8), stride=(2, 8, 8), **small),
            text=TextTrunkConfig(context_length=8, vocab_size=len(WORDS) + 2, width=16, num_layers=2, num_heads=2),
            audio=PatchTrunkConfig(input_size=(1, 32, 64), kernel=(8, 8), stride=(8, 8), **(small | dict(width=20))),
        ),
        fit="pad", num_crops=1, num_video_clips=3, video_clip_seconds=None, num_audio_clips=2,
        audio_clip_samples=16_528, audio_frame_shift=256, audio_fill="silence",
    )  # fmt: skip
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = ImageBindEncoder(replace(config, **changes), tokenizer=PreTrainedTokenizerFast(tokenizer_object=words))
    with torch.no_grad():  # larger than the initial weights, so that items differ
        for name, parameter in encoder.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return encoder.eval()


VARIANTS = {
    "imagebind-cls-joint": lambda: toy_imagebind(),
    "imagebind-patches-joint": lambda: toy_imagebind(read="patches"),
    "imagebind-grid-trunk": lambda: toy_imagebind(read="grid", features="trunk"),
    "imagebind-crops": lambda: toy_imagebind(fit="crop", num_crops=3, video_clip_seconds=2.0, audio_fill="frames"),
}


def test_every_encoder_type_is_under_contract():
    assert {name.split("-")[0] for name in VARIANTS} == set(ENCODERS)


@pytest.fixture(params=VARIANTS, scope="module")
def encoder(request):
    return VARIANTS[request.param]()


def media_of(modality: str) -> list:
    """Three media of one modality, none of the size that the encoder works at."""
    rng = np.random.default_rng(0)
    if modality == "text":
        return ["a red bell", "the sound of a bell on red grass a a a a a", ""]
    if modality == "image":
        shapes = ((32, 32), (5, 90), (71, 33))
        return [Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    if modality == "video":
        shapes = ((8, 32, 32), (1, 40, 20), (31, 20, 44))
        return [Video(frames=rng.integers(0, 256, (*s, 3), dtype=np.uint8), fps=4.0) for s in shapes]
    lengths = ((16_000, 16_000), (100, 16_000), (70_000, 44_100))
    return [Audio(waveform=rng.uniform(-0.5, 0.5, n).astype(np.float32), sampling_rate=rate) for n, rate in lengths]


MODALITIES = ("text", "image", "video", "audio")


@pytest.mark.parametrize("modality", MODALITIES)
@torch.no_grad()
def test_tokens_are_as_declared_and_finite(encoder, modality):
    tokens = encoder(modality, encoder.preprocess(modality, media_of(modality)))
    assert tokens.shape == (3, encoder.num_tokens(modality), encoder.width(modality))
    assert tokens.isfinite().all()
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3, "different media give different tokens"


@pytest.mark.parametrize("modality", MODALITIES)
@torch.no_grad()
def test_an_item_of_a_batch_equals_the_item_alone(encoder, modality):
    media = media_of(modality)
    batch = encoder.preprocess(modality, media)
    for i, medium in enumerate(media):
        alone = encoder.preprocess(modality, [medium])
        assert torch.equal(alone[0], batch[i])
        torch.testing.assert_close(encoder(modality, alone)[0], encoder(modality, batch)[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(encoder.embed(modality, alone)[0], encoder.embed(modality, batch)[i], atol=1e-5, rtol=0)


@pytest.mark.parametrize("modality", MODALITIES)
@torch.no_grad()
def test_embeddings_have_unit_length(encoder, modality):
    vectors = encoder.embed(modality, encoder.preprocess(modality, media_of(modality)))
    assert vectors.shape == (3, 12)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))


@torch.no_grad()
def test_save_and_load_is_bit_equal(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    loaded = load_encoder(tmp_path)
    assert loaded.config == encoder.config and not loaded.training
    for modality in encoder.modalities:
        inputs = encoder.preprocess(modality, media_of(modality))
        assert torch.equal(loaded.preprocess(modality, media_of(modality)), inputs)
        assert torch.equal(loaded(modality, inputs), encoder(modality, inputs))


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    encoder = toy_imagebind()
    encoder.save_pretrained(tmp_path, dtype=torch.float16)
    loaded = load_encoder(tmp_path)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder_type": "clip"}, "encoder_type is 'clip'; expected one of imagebind"),
        ({"colour": 1}, r"config.json: unknown keys \['colour'\]"),
        ({"read": "all"}, "read='all'; expected one of cls, patches, grid"),
        ({"model": {"joint_dim": 4, "vision": {"size": 1}}}, r"config.json: model: vision: unknown keys \['size'\]"),
    ],
)
def test_a_wrong_config_names_file_and_key(tmp_path, change, message):
    toy_imagebind().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AnyGenError, match=message):
        load_encoder(tmp_path)


def test_missing_weights_are_named(tmp_path):
    toy_imagebind().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(AnyGenError, match="model.safetensors"):
        load_encoder(tmp_path)


def test_an_unknown_modality_is_refused():
    with pytest.raises(AnyGenError, match="modality 'smell'; this imagebind encoder reads text, image, video, audio"):
        toy_imagebind().preprocess("smell", [None])


def test_text_without_a_tokenizer_is_refused():
    encoder = toy_imagebind()
    encoder.tokenizer = None
    with pytest.raises(AnyGenError, match="tokenizer"):
        encoder.preprocess("text", ["a"])


def test_end_of_text_survives_truncation():
    ids = toy_imagebind().preprocess("text", ["red " * 30, "red"])
    start, end = len(WORDS), len(WORDS) + 1
    assert ids.tolist() == [[start, 1, 1, 1, 1, 1, 1, end], [start, 1, end, 0, 0, 0, 0, 0]]


@torch.no_grad()
def test_grid_is_cls_and_the_mean_of_each_cell_clip_by_clip():
    encoder = toy_imagebind(read="grid", features="trunk", image_grid=(2, 2), video_grid=(1, 2))
    head = encoder.model.modality_heads["vision"]
    image = encoder.preprocess("image", media_of("image"))
    trunk = head.normalise(encoder.model.encode("vision", image), image)
    tokens = encoder("image", image)
    torch.testing.assert_close(tokens[:, 0], trunk[:, 0])
    cells = trunk[:, 1:].unflatten(1, (4, 4))
    torch.testing.assert_close(tokens[:, 2], cells[:, :2, 2:].mean(dim=(1, 2)))

    video = encoder.preprocess("video", media_of("video"))
    second_clip = video[:, 1]
    trunk = head.normalise(encoder.model.encode("vision", second_clip), second_clip)
    torch.testing.assert_close(encoder("video", video)[:, 3], trunk[:, 0])
    assert encoder.num_tokens("video") == 3 * 3


@torch.no_grad()
def test_joint_cls_is_the_mean_of_the_clips_unit_vectors():
    encoder = toy_imagebind()
    audio = encoder.preprocess("audio", media_of("audio"))
    each = torch.stack([F.normalize(encoder.model({"audio": audio[:, i]})["audio"], dim=-1) for i in range(2)])
    torch.testing.assert_close(encoder("audio", audio)[:, 0], each.mean(dim=0))
    torch.testing.assert_close(encoder.embed("audio", audio), F.normalize(each.mean(dim=0), dim=-1))


def test_short_sound_is_filled_up_with_silence_or_with_frames():
    short = Audio(waveform=np.full(8_000, 0.1, np.float32), sampling_rate=16_000)
    silence, frames = (toy_imagebind(audio_fill=fill).preprocess("audio", [short])[0, 0, 0] for fill in ("silence", "frames"))
    mean, std = toy_imagebind().config.audio_mean, toy_imagebind().config.audio_std
    torch.testing.assert_close(frames[:, -1], torch.full((32,), -mean / std))
    assert (silence[:, -1] < frames[:, -1] - 1).all()
