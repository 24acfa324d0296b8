"""Media found instead of made: nano's own encoder over things of its world, folders that change, and compositions."""

import json
import os

import pytest
import torch
from PIL import Image

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.media.save import save_media
from anygen.nano.world.image import render_image
from anygen.nano.world.scene import Scene
from anygen.nano.world.sound import render_audio
from anygen.retrieval import MediaIndex, RetrievalGenerator, Retrieve, build_index

THINGS = {"bell": "red", "cat": "black", "boat": "blue", "tree": "green"}


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Four pictures and two sounds, and files that are none."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "deep").mkdir()
    for thing, color in THINGS.items():
        image = Image.fromarray(render_image(Scene(thing=thing, color=color, background="white"), 0))
        save_media(image, folder / "deep" / f"{thing}.png")
    for thing in ("bell", "cat"):
        save_media(render_audio(Scene(thing=thing, color=THINGS[thing]), 0), folder / f"{thing}.wav")
    (folder / "notes.txt").write_text("no medium")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    (folder / ".hidden.png").write_bytes((folder / "deep" / "cat.png").read_bytes())
    os.symlink(folder / "deep" / "cat.png", folder / "link.png")
    return folder


@pytest.fixture(scope="module")
def index(media, tmp_path_factory):
    built, folder = build_index(media, batch_size=3), tmp_path_factory.mktemp("index")
    assert sorted(built.skipped) == ["broken.png", "notes.txt"]
    built.index.save(folder)
    return folder


@pytest.fixture(scope="module")
def finder(index):
    return RetrievalGenerator(index, modality="image")


def test_what_is_asked_for_is_found(finder, index):
    captions = [f"a {color} {thing} on white" for thing, color in THINGS.items()]
    condition = finder.encode_text(captions)
    found = [match.item.path for match in finder.find(condition)]
    assert found == [f"deep/{thing}.png" for thing in THINGS]
    images = finder.generate(condition, generators=[torch.Generator()] * 4)
    assert all(image.size == (64, 64) for image in images)
    alone = finder.generate(condition.select([2]), generators=[torch.Generator()])
    assert alone[0].tobytes() == images[2].tobytes()
    sounds = RetrievalGenerator(index, modality="audio", encoder=finder.encoder)
    assert sounds.find(sounds.encode_text(["the sound of a bell"]))[0].item.path == "bell.wav"


def test_an_index_is_the_same_after_loading_and_whatever_the_batch_size(media, index):
    first, again = MediaIndex.load(index), build_index(media, batch_size=16).index
    assert first.items == again.items and torch.allclose(first.embeddings, again.embeddings, atol=1e-5)
    assert [item.path for item in first.items] == sorted(item.path for item in first.items) and len(first.items) == 6
    assert first.stale_items() == []


def test_an_index_without_such_media_or_of_another_encoder_is_refused(index, finder, toy_model):
    with pytest.raises(AnyGenError, match="found audio, image in it; expected video"):
        RetrievalGenerator(index, modality="video", encoder=finder.encoder)
    with pytest.raises(AnyGenError, match=r"embeddings of width \d+; the encoder's joint space has 12"):
        RetrievalGenerator(index, modality="image", encoder=toy_model.encoders["image"])
    changed = MediaIndex.load(index)
    state = {name: tensor.clone() for name, tensor in finder.encoder.state_dict().items()}
    with torch.no_grad():
        next(finder.encoder.parameters()).add_(1.0)
    with pytest.raises(AnyGenError, match="built with the encoder"):
        changed.check_encoder(finder.encoder)
    finder.encoder.load_state_dict(state)
    changed.check_encoder(finder.encoder)


def copy_of(index, media, tmp_path):
    """An index of a copy of the media, for tests that change them."""
    import shutil

    shutil.copytree(media, tmp_path / "media", symlinks=True)
    shutil.copytree(index, tmp_path / "index")
    path = tmp_path / "index" / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"folder": "../media"}))
    return tmp_path / "index"


def test_files_that_have_changed_or_are_gone(index, media, finder, tmp_path):
    copy = MediaIndex.load(copy_of(index, media, tmp_path))
    items = {item.path: item for item in copy.items}
    (tmp_path / "media/deep/bell.png").write_bytes((tmp_path / "media/deep/cat.png").read_bytes())
    (tmp_path / "media/bell.wav").unlink()
    assert [item.path for item in copy.stale_items()] == ["bell.wav", "deep/bell.png"]
    with pytest.raises(AnyGenError, match="index_stale.*has changed"):
        copy.open(items["deep/bell.png"])
    with pytest.raises(AnyGenError, match="index_stale.*is gone"):
        copy.open(items["bell.wav"])
    assert copy.open(items["deep/cat.png"]).size == (64, 64)
    (tmp_path / "secret.png").write_bytes((tmp_path / "media/deep/cat.png").read_bytes())
    (tmp_path / "media/deep/tree.png").unlink()
    os.symlink(tmp_path / "secret.png", tmp_path / "media/deep/tree.png")
    with pytest.raises(AnyGenError, match="path_not_allowed.*leads out"):
        copy.open(items["deep/tree.png"])


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../b", "", "a\\b"])
def test_paths_that_lead_out_are_refused_when_the_index_is_read(index, media, tmp_path, path):
    copy = copy_of(index, media, tmp_path)
    lines = (copy / "items.jsonl").read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {"path": path})
    (copy / "items.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(AnyGenError, match="model_load_error.*items.jsonl:1.*below the folder"):
        MediaIndex.load(copy)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("index.json", lambda text: text.replace("fingerprint", "finger"), "unknown keys"),
        ("index.json", lambda text: text.replace('"format_version": 1', '"format_version": 9'), "format_version is 9"),
        ("items.jsonl", lambda text: text.replace('"modality"', '"kind"'), "unknown keys"),
        ("items.jsonl", lambda text: text.splitlines()[0] + "\n", "for 1 items"),
        ("items.jsonl", lambda text: text[:50], "anygen index wrote"),
    ],
)
def test_an_index_is_read_strictly(index, media, tmp_path, file, change, message):
    copy = copy_of(index, media, tmp_path)
    (copy / file).write_text(change((copy / file).read_text()))
    with pytest.raises(AnyGenError, match=f"model_load_error.*{message}"):
        MediaIndex.load(copy)


def test_what_is_not_near_is_made(index, toy_model):
    maker = toy_model.generators["image"]
    both = RetrievalGenerator(index, modality="image", otherwise=maker, min_similarity=0.5)
    condition = both.encode_text(["a red bell on white", "a phone ringing at night"])
    near = [match.similarity for match in both.find(condition)]
    assert near[0] > near[1]
    both.min_similarity = sum(near) / 2
    assert set(both.condition_spec) == {"prompt_embeds", "retrieval_embedding"}
    seeds = [torch.Generator().manual_seed(n) for n in (1, 2)]
    found, made = both.generate(condition, generators=seeds, num_inference_steps=1)
    (alone,) = maker.generate(
        maker.encode_text(["a phone ringing at night"]),
        generators=[torch.Generator().manual_seed(2)],
        num_inference_steps=1,
    )
    assert found.size == (64, 64) and made.tobytes() == alone.tobytes()
    with pytest.raises(AnyGenError, match="expected both or neither"):
        RetrievalGenerator(index, modality="image", otherwise=maker)


def test_in_a_composition_saved_and_loaded(index, toy_model_maker, tmp_path):
    model = toy_model_maker()
    model.backbone.llm.config.max_position_embeddings = 4096
    retrieve = {"audio": Retrieve(index=index, min_similarity=-1.0)}
    pipe = AnyGenPipeline.compose(
        llm=model.backbone, image=f"index:{index}", audio=model.generators["audio"], retrieve=retrieve
    )
    out = pipe("a bell", modalities=["image", "audio"], seed=0)
    (match,) = pipe.generators["image"].find(out.parts[0].signal.condition)
    assert out.images[0].tobytes() == MediaIndex.load(index).open(match.item).tobytes() and len(out.audios) == 1
    pipe.save_pretrained(tmp_path)
    again = AnyGenPipeline.from_pretrained(tmp_path)("a bell", modalities=["image", "audio"], seed=0)
    assert again.images[0].tobytes() == out.images[0].tobytes()
    assert (again.audios[0].waveform == out.audios[0].waveform).all()


def test_the_command(media, tmp_path, capsys):
    from anygen.cli import main

    assert main(["index", str(media), "--out", str(tmp_path / "index"), "--only", "audio", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["items"] == {"audio": 2} and told["skipped"] == 6
    assert main(["index", str(media), "--out", str(tmp_path / "index"), "--check"]) == 0
    assert main(["index", str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 1
    (tmp_path / "empty").mkdir()
    assert main(["index", str(tmp_path / "empty"), "--out", str(tmp_path / "x")]) == 3 and not (tmp_path / "x").exists()
