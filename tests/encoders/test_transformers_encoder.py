"""Encoders out of transformers against transformers itself: the same folder, read the way its own documentation reads it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from hub_snapshots import SMALL, SNAPSHOTS
from PIL import Image
from toy_encoders import media_of

from anygen.encoders import load_encoder
from anygen.encoders.transformers_encoder import TransformersEncoder, TransformersEncoderConfig
from anygen.encoders.transformers_inputs import shorten
from anygen.errors import AnyGenError
from anygen.media.sampling import resample, sample_frames
from anygen.media.types import Audio


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A family's snapshot, written once."""
    written = {}

    def folder(family: str) -> Path:
        if family not in written:
            written[family] = SNAPSHOTS[family](tmp_path_factory.mktemp(family))
        return written[family]

    return folder


def load(folder: Path, **settings) -> TransformersEncoder:
    return load_encoder(folder, config=TransformersEncoderConfig(**settings))


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def encode(encoder, modality, media):
    return encoder(modality, encoder.preprocess(modality, media))


PICTURE_CLASSES = {
    "clip": "CLIPModel", "siglip": "SiglipModel", "siglip2": "Siglip2Model", "clip_vision_model": "CLIPVisionModel",
    "dinov2": "Dinov2Model", "dinov2_with_registers": "Dinov2WithRegistersModel",
}  # fmt: skip


@pytest.mark.parametrize("family", PICTURE_CLASSES)
@torch.no_grad()
def test_pictures_and_frames_are_read_as_transformers_reads_them(folder_of, family):
    model = getattr(transformers, PICTURE_CLASSES[family]).from_pretrained(folder_of(family)).eval()
    tower = model.vision_model if family in ("clip", "siglip", "siglip2") else model
    processor = transformers.AutoImageProcessor.from_pretrained(folder_of(family), backend="pil")
    pictures = [Image.fromarray(pixels) for pixels in media_of("video")[0].frames[[1, 4, 6]]]
    output = tower(**processor(pictures, return_tensors="pt"), output_hidden_states=True)
    prefix = {"clip": 1, "clip_vision_model": 1, "dinov2": 1, "dinov2_with_registers": 4}.get(family, 0)

    last = encode(load(folder_of(family)), "image", pictures)
    close(last, output.last_hidden_state[:, prefix:])
    close(encode(load(folder_of(family), read="all"), "image", pictures), output.last_hidden_state)
    close(encode(load(folder_of(family), layer=-2), "image", pictures), output.hidden_states[-2][:, prefix:])
    close(encode(load(folder_of(family), read="pooled"), "image", pictures)[:, 0], output.pooler_output)
    film = encode(load(folder_of(family), num_frames=3), "video", media_of("video")[:1])
    close(film[0], last.flatten(0, 1))  # frames 1, 4 and 6 are the middles of three parts of eight


@torch.no_grad()
def test_clip_is_read_as_llava_reads_it(folder_of):
    vision = transformers.CLIPVisionConfig(**SMALL, image_size=16, patch_size=4)
    text = transformers.LlamaConfig(**(SMALL | dict(hidden_size=40)), vocab_size=20)
    config = transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_index=19)
    llava = transformers.LlavaModel(config).eval()
    encoder = load(folder_of("clip_vision_model"), layer=config.vision_feature_layer)
    llava.vision_tower.load_state_dict(encoder.model.state_dict())
    pixels = encoder.preprocess("image", media_of("image"))
    features = llava.get_image_features(pixels[:, 0], return_dict=True).pooler_output
    close(llava.multi_modal_projector(encoder("image", pixels)), torch.stack(list(features)))


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
@torch.no_grad()
def test_joint_vectors_of_pictures_and_texts_are_transformers_own(folder_of, family):
    model = getattr(transformers, PICTURE_CLASSES[family]).from_pretrained(folder_of(family)).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder_of(family), backend="pil")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder_of(family))
    padding = True if family == "clip" else "max_length"
    texts = tokenizer(media_of("text"), truncation=True, max_length=10, return_tensors="pt", padding=padding)
    names = ("input_ids", "attention_mask") if family == "clip" else ("input_ids",)  # SigLIP reads its padding as text
    texts = {name: texts[name] for name in names}
    output = model(**processor(media_of("image"), return_tensors="pt"), **texts)
    encoder = load(folder_of(family))
    vectors = {m: encoder.embed(m, encoder.preprocess(m, media_of(m))) for m in ("image", "text", "video")}
    close(vectors["image"], output.image_embeds)
    short = [0, 2]  # the text in the middle was cut at another length
    close(vectors["text"][short], output.text_embeds[short])
    frames = [Image.fromarray(frame) for frame in sample_frames(media_of("video")[2], 8)]
    each = encoder.embed("image", encoder.preprocess("image", frames))
    close(vectors["video"][2], F.normalize(each.mean(dim=0), dim=0))


@torch.no_grad()
def test_without_a_pooling_head_pooled_is_the_mean(tmp_path):
    encoder = load(SNAPSHOTS["siglip_vision_model"](tmp_path, vision_use_head=False), read="pooled")
    tokens = encode(load(tmp_path), "image", media_of("image"))
    close(encode(encoder, "image", media_of("image"))[:, 0], tokens.mean(dim=1))


@torch.no_grad()
def test_naflex_pictures_come_to_one_grid_whatever_their_proportions(folder_of):
    encoder = load(folder_of("siglip2"))
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 80, 3), dtype=np.uint8))
    pixels = encoder.preprocess("image", [wide])
    assert pixels[0, 0, 0, :2].tolist() == [2, 8]  # 16 patches in the proportions of the picture
    model, given = encoder.model.vision_model, encoder.processor(wide, return_tensors="pt")
    grid = model(**given).last_hidden_state[0].T.reshape(1, -1, 2, 8)
    expected = F.interpolate(grid, size=(4, 4), mode="bilinear", antialias=True)[0].flatten(1).T
    close(encoder("image", pixels)[0], expected)


@torch.no_grad()
def test_films_are_read_as_transformers_reads_them(folder_of):
    model = transformers.VideoMAEModel.from_pretrained(folder_of("videomae")).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder_of("videomae"), backend="pil")
    films = [list(sample_frames(film, 4)) for film in media_of("video")]
    output = model(processor(films, return_tensors="pt")["pixel_values"], output_hidden_states=True)
    close(encode(load(folder_of("videomae")), "video", media_of("video")), output.last_hidden_state)
    close(encode(load(folder_of("videomae"), layer=1), "video", media_of("video")), output.hidden_states[1])
    mean = encode(load(folder_of("videomae"), read="pooled"), "video", media_of("video"))
    close(mean[:, 0], output.last_hidden_state.mean(dim=1))


@torch.no_grad()
def test_whisper_reads_the_start_of_a_long_sound_and_clips_of_all_of_it(folder_of):
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder_of("whisper")).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder_of("whisper"))
    waveform = resample(media_of("audio")[2], 16_000).waveform
    assert len(waveform) > 16_000

    def states(samples):
        features = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"]
        return model.model.encoder(features, output_hidden_states=True)

    close(encode(load(folder_of("whisper")), "audio", media_of("audio")[2:])[0], states(waveform).last_hidden_state[0])
    two = encode(load(folder_of("whisper"), num_audio_clips=2, layer=-2), "audio", media_of("audio")[2:])[0]
    ends = [states(waveform[:16_000]), states(waveform[-16_000:])]
    close(two, torch.cat([end.hidden_states[-2][0] for end in ends]))


@pytest.mark.parametrize("family, masked", [("hubert", False), ("hubert_large", True)])
@torch.no_grad()
def test_hubert_masks_silence_only_where_it_was_trained_so(folder_of, family, masked):
    model = transformers.HubertModel.from_pretrained(folder_of(family)).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder_of(family))
    sound = Audio(waveform=media_of("audio")[0].waveform[:9_000], sampling_rate=16_000)
    given = extractor(sound.waveform, sampling_rate=16_000, return_tensors="pt")  # brought to mean 0 and variance 1
    given = {name: F.pad(values, (0, 3_000)) for name, values in given.items()}
    assert ("attention_mask" in given) == masked
    encoder = load(folder_of(family), audio_seconds=0.75)
    tokens = encode(encoder, "audio", [sound])
    close(tokens, model(**given).last_hidden_state)
    assert encoder.num_tokens("audio") == model._get_feat_extract_output_lengths(12_000)


@pytest.mark.parametrize("family", ["clap", "clap_fusion"])
@torch.no_grad()
def test_clap_reads_short_sounds_and_texts_as_transformers_does(folder_of, family):
    model = transformers.ClapModel.from_pretrained(folder_of(family)).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder_of(family))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder_of(family))
    encoder = load(folder_of(family))
    sound = Audio(waveform=media_of("audio")[0].waveform[:3_000], sampling_rate=8_000)
    given = extractor(sound.waveform, sampling_rate=8_000, return_tensors="pt")
    texts = tokenizer(media_of("text"), padding=True, truncation=True, max_length=18, return_tensors="pt")
    output = model(**given, input_ids=texts["input_ids"], attention_mask=texts["attention_mask"])
    close(encoder.embed("audio", encoder.preprocess("audio", [sound])), output.audio_embeds)
    close(encoder.embed("text", encoder.preprocess("text", media_of("text"))), output.text_embeds)
    states = model.audio_model(**given).last_hidden_state  # (1, D, bands, times)
    close(encode(encoder, "audio", [sound])[0], states[0].flatten(1).T)
    close(encode(load(folder_of(family), read="pooled"), "audio", [sound])[0, 0], states[0].flatten(1).mean(dim=1))


def test_clap_fusion_takes_the_middles_of_the_thirds_and_the_same_each_time(folder_of):
    encoder = load(folder_of("clap_fusion"))
    sound = media_of("audio")[2]
    features = encoder.preprocess("audio", [sound])
    assert torch.equal(encoder.preprocess("audio", [sound]), features)
    extractor, samples = encoder.processor, resample(sound, 8_000).waveform
    whole = extractor(samples, sampling_rate=8_000, max_length=len(samples), return_tensors="pt")["input_features"][
        0, 0
    ]
    room = len(whole) - 32
    for crop, start in zip(features[0, 0, 1:], (room // 6, room // 2, room * 5 // 6)):
        close(crop, whole[start : start + 32].float())
    shrunk = F.interpolate(whole[None, None].float(), size=(32, 16), mode="bilinear")[0, 0]
    close(features[0, 0, 0], shrunk)


def test_ends_of_long_strips_are_cut_off_before_a_crop_and_nothing_else():
    assert shorten(Image.new("RGB", (100, 30))).size == (100, 30)
    strip = Image.new("RGB", (1000, 10), "red")
    strip.paste("blue", (480, 0, 520, 10))
    assert shorten(strip).size == (40, 10) and (np.asarray(shorten(strip)) == (0, 0, 255)).all()


@torch.no_grad()
def test_a_frozen_encoder_stays_in_evaluation_mode(folder_of):
    encoder = load(folder_of("hubert"), audio_seconds=1.0)
    inputs = encoder.preprocess("audio", media_of("audio"))
    expected = encoder("audio", inputs)
    encoder.requires_grad_(False)
    outer = torch.nn.ModuleDict({"audio": encoder}).train()
    assert outer.training and not encoder.model.training
    assert torch.equal(encoder("audio", inputs), expected)
    assert encoder.requires_grad_(True).train().model.training


@torch.no_grad()
def test_half_precision_in_memory_and_on_disk(folder_of, tmp_path):
    encoder = load_encoder(folder_of("clip"), dtype=torch.bfloat16)
    assert encode(encoder, "image", media_of("image")).dtype == torch.bfloat16
    for family in ("clip", "clap"):  # CLAP counts batches in whole numbers
        load(folder_of(family)).save_pretrained(tmp_path / family, dtype=torch.float16)
        loaded = load_encoder(tmp_path / family).state_dict()
        for name, tensor in load(folder_of(family)).state_dict().items():
            half = tensor.half().float() if tensor.is_floating_point() else tensor
            assert torch.equal(loaded[name], half) and loaded[name].dtype == half.dtype, name


def test_what_is_saved_is_a_folder_that_transformers_reads(folder_of, tmp_path):
    load(folder_of("siglip"), layer=-2).save_pretrained(tmp_path)
    model = transformers.AutoModel.from_pretrained(tmp_path)
    assert isinstance(model, transformers.SiglipModel)
    assert load_encoder(tmp_path).config.layer == -2
    assert load_encoder(tmp_path, config=TransformersEncoderConfig()).config.layer == -1


def hub_cache(tmp_path: Path, folder: Path, monkeypatch) -> str:
    """`folder` as the hub's cache holds a repository; the commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--clip"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / commit).symlink_to(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return commit


def test_a_reference_is_the_repository_at_its_commit_with_the_settings(folder_of, tmp_path, monkeypatch):
    commit = hub_cache(tmp_path / "hub", folder_of("clip"), monkeypatch)
    encoder = load("someone/clip", layer=-2)
    encoder.save_reference(tmp_path / "encoder")
    assert [path.name for path in (tmp_path / "encoder").iterdir()] == ["encoder.json"]
    assert json.loads((tmp_path / "encoder" / "encoder.json").read_text())["source"] == f"someone/clip@{commit}"
    loaded = load_encoder(tmp_path / "encoder")
    assert loaded.config == encoder.config and loaded.source == encoder.source == f"someone/clip@{commit}"
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_only_what_came_from_the_hub_can_be_referred_to(folder_of, tmp_path):
    with pytest.raises(AnyGenError, match="did not come from a repository of the hub; use save_pretrained"):
        load(folder_of("clip")).save_reference(tmp_path)


def edited(folder: Path, target: Path, name: str, **changes) -> Path:
    """A copy of a snapshot with some values of one JSON file changed."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    (target / name).write_text(json.dumps(json.loads((target / name).read_text()) | changes))
    return target


@pytest.mark.parametrize(
    "family, name, changes, message",
    [
        ("clip", "config.json", {"model_type": "bert"}, "model_type 'bert'; expected an encoder_type of .* or a model_type of clip"),
        ("clip", "preprocessor_config.json", {"do_center_crop": False}, "gives pictures of different shapes"),
        ("clip", "preprocessor_config.json", {"crop_size": {"height": 12, "width": 12}}, r"\(12, 12\) pixels; expected \(16, 16\)"),
        ("dinov2", "preprocessor_config.json", {"crop_size": {"height": 15, "width": 15}}, r"\(15, 15\) pixels; expected multiples of 4"),
        ("videomae", "preprocessor_config.json", {"crop_size": {"height": 8, "width": 8}}, r"\(8, 8\) pixels; expected \(16, 16\)"),
        ("whisper", "preprocessor_config.json", {"chunk_length": 2, "n_samples": 32_000, "nb_max_frames": 200}, "200 frames; config.json expects 100"),
    ],
)  # fmt: skip
def test_parts_of_a_folder_that_do_not_fit_are_named(folder_of, tmp_path, family, name, changes, message):
    with pytest.raises(AnyGenError, match=message):
        load_encoder(edited(folder_of(family), tmp_path / "edited", name, **changes))


def test_a_layer_that_the_model_does_not_have_is_refused(folder_of):
    with pytest.raises(AnyGenError, match="layer=-5; this model has 3 blocks: -4 to 3"):
        load(folder_of("clip"), layer=-5)


def test_missing_tensors_and_settings_are_named(folder_of, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = edited(folder_of("hubert"), tmp_path / "edited", "config.json")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layers.2.attention.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        AnyGenError, match="1 tensors of HubertModel are missing, such as encoder.layers.2.attention.q_proj"
    ):
        load_encoder(folder)
    (folder / "encoder.json").write_text(json.dumps({"encoder_type": "transformers", "colour": 1}))
    with pytest.raises(AnyGenError, match=r"encoder.json: unknown keys \['colour'\]"):
        load_encoder(folder)
    with pytest.raises(ValueError, match="read='some'; expected one of patches, pooled, all"):
        TransformersEncoderConfig(read="some")


@torch.no_grad()
def test_pickled_weights_are_read_only_when_asked(folder_of, tmp_path):
    folder = edited(folder_of("dinov2"), tmp_path / "edited", "config.json")
    torch.save(load(folder).model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(AnyGenError, match="model_load_error.*model.safetensors"):
        load_encoder(folder)
    encoder = TransformersEncoder.from_pretrained(folder, allow_pickle=True)
    for name, tensor in load(folder_of("dinov2")).state_dict().items():
        assert torch.equal(encoder.state_dict()[name], tensor), name
