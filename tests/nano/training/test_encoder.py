"""Training of nano's encoder on a handful of rendered media: the pieces by value, and that a few steps help."""

import random

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from anygen.media.types import Video
from anygen.nano.tokenizer import train_tokenizer
from anygen.nano.training import encoder as training
from anygen.nano.training.encoder_probe import measure, ridge_scores
from anygen.nano.training.phrases import FAMILIES_OF, attribute, phrase_families
from anygen.nano.training.pools import Pool
from anygen.nano.world.scene import Companion, Scene, Tone, sample_scene


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([word for table in phrase_families().values() for row in table.values() for word in row], vocab_size=700)


@pytest.fixture(scope="module")
def media(tokenizer, tmp_path_factory):
    folder, encoder = tmp_path_factory.mktemp("pools"), training.build_encoder(tokenizer)
    counts = {"image": 24, "video": 4, "audio": 12}
    return {m: training.load_media(Pool(modality=m, count=count, seed=5), folder, encoder) for m, count in counts.items()}


def test_every_attribute_that_shows_has_a_phrase():
    families = phrase_families()
    rng = random.Random(0)
    for modality, shown in FAMILIES_OF.items():
        for _ in range(200):
            scene = sample_scene(rng, sounding=modality == "audio", lone=modality != "image")
            for family in shown:
                value = attribute(scene, modality, family)
                assert value is None or families[family][value]


def test_attributes_that_do_not_show_are_none():
    pair = Scene(thing="cat", color="red", companion=Companion(thing="dog", color="blue", relation="above"))
    assert attribute(pair, "image", "place") is None
    assert attribute(pair, "image", "companion") == "dog" and attribute(pair, "image", "companion color") == "blue"
    moving = Scene(thing="cat", color="red", place="left", motion="moves up")
    assert attribute(moving, "image", "place") == "left" and attribute(moving, "video", "place") is None
    tone = Scene(thing="cat", color="red", tone=Tone(height="low", contour="rising"))
    assert [attribute(tone, "audio", family) for family in FAMILIES_OF["audio"]] == [None, "tone", "low", "rising"]


def test_wordings_of_a_family_are_all_different():
    for family, table in phrase_families().items():
        canonical = [row[0] for row in table.values()]
        assert len(set(canonical)) == len(canonical), family


def test_training_inputs_are_those_of_preprocess(media, tokenizer):
    encoder, some = training.build_encoder(tokenizer), torch.tensor([3, 0])
    images = [Image.fromarray(media["image"].stored[i]) for i in some]
    torch.testing.assert_close(media["image"].inputs(some), encoder.preprocess("image", images))
    films = [Video(frames=media["video"].stored[i], fps=4.0) for i in some]
    torch.testing.assert_close(media["video"].inputs(some), encoder.preprocess("video", films))


def test_colorless_inputs_are_grey_and_the_others_as_they_were(media):
    some, colorless = torch.tensor([1, 2]), torch.tensor([True, False])
    for modality in ("image", "video"):
        plain, mixed = media[modality].inputs(some), media[modality].inputs(some, colorless=colorless)
        torch.testing.assert_close(mixed[1], plain[1])
        shape = (3, *[1] * (mixed[0].ndim - (1 if modality == "image" else 2)))
        mean, std = (torch.tensor(v).view(shape) for v in (training.NANO_ENCODER.pixel_mean, training.NANO_ENCODER.pixel_std))
        red, green, blue = (mixed[0] * std + mean).unbind(-3 if modality == "image" else -4)
        torch.testing.assert_close(red, green, atol=1e-5, rtol=0)
        torch.testing.assert_close(green, blue, atol=1e-5, rtol=0)


def test_heads_read_the_tokens_that_the_language_model_gets(media, tokenizer):
    encoder = training.build_encoder(tokenizer).eval()
    inputs = {m: pool.inputs(torch.arange(3)) for m, pool in media.items()}
    with torch.no_grad():
        _, _, tokens = training.embed_batch(encoder, inputs, None)
        for modality, read in tokens.items():
            torch.testing.assert_close(read, encoder(modality, inputs[modality]), atol=1e-5, rtol=0)
        logits = training.ReadEncoder(encoder).read("video", tokens["video"])
    assert {family: values.shape[1] for family, values in logits.items()} == {
        family: len(phrase_families()[family]) for family in FAMILIES_OF["video"]
    }


def test_colorless_media_ask_for_no_color(media, tokenizer, monkeypatch):
    module = training.ReadEncoder(training.build_encoder(tokenizer).eval())
    monkeypatch.setattr(training, "COLORLESS", 0.5)
    with torch.no_grad():
        losses = training.contrastive_losses(module, media, torch.Generator().manual_seed(3), kept_patches=None)
    assert {"image read thing", "video read motion", "image thing"} <= set(losses)
    monkeypatch.setattr(training, "COLORED_FAMILIES", ())
    with torch.no_grad():
        told = training.contrastive_losses(module, media, torch.Generator().manual_seed(3), kept_patches=None)
    assert losses["image read thing"] == told["image read thing"]
    assert losses["image read color"] != told["image read color"]


def test_info_nce_is_the_mean_of_both_directions():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = -(F.log_softmax(logits, 1).diagonal().mean())
    columns = -(F.log_softmax(logits, 0).diagonal().mean())
    torch.testing.assert_close(training.info_nce(logits), (rows + columns) / 2)


def test_bound_sounds_count_every_picture_of_their_thing_and_skip_tones():
    vectors = {"audio": torch.eye(3)[:2], "image": torch.eye(3)}
    things = {"audio": torch.tensor([4, -1]), "image": torch.tensor([4, 7, 4])}
    expected = -torch.tensor([1.0, 0.0, 0.0]).log_softmax(0)[[0, 2]].mean()
    torch.testing.assert_close(training.bind_sounds(torch.tensor(1.0), vectors, things), expected)


def test_kept_patches_are_different_ones_and_hold_what_happens():
    frames = torch.zeros(2, 3, 2, 64, 64)
    frames[:, :, 1, 8:16, 24:32] = 2.0  # appears in the second frame: patch 1 * 8 + 3
    kept = training.eventful_patches(frames, 64, 24)
    assert all(len(set(row.tolist())) == 24 and 11 in row for row in kept)


def test_all_patches_kept_is_the_whole_picture(media, tokenizer):
    encoder = training.build_encoder(tokenizer).eval()
    inputs = {m: pool.inputs(torch.arange(3)) for m, pool in media.items()}
    with torch.no_grad():
        (kept, _, _), (whole, patches, _) = (training.embed_batch(encoder, inputs, some) for some in (64, None))
        assert patches["image"].shape == (3, 64, 128) and patches["video"].shape == (3, 4 * 64, 128)
        for modality, views in whole.items():
            for same, view in zip(kept[modality], views, strict=True):
                torch.testing.assert_close(same, view, atol=1e-5, rtol=0)
            torch.testing.assert_close(encoder.embed(modality, inputs[modality]), views[0], atol=1e-5, rtol=0)


def test_mimetic_attention_is_near_the_identity(tokenizer):
    encoder = training.build_encoder(tokenizer)
    training.initialise(encoder)
    attention = encoder.model.modality_trunks["vision"].blocks[0].attn
    query, key, value = attention.in_proj_weight.detach().chunk(3)
    assert (query[:32].T @ key[:32]).trace() > 5
    passed_on = attention.out_proj.weight.detach() @ value
    assert passed_on.diagonal().mean() == pytest.approx(-0.4, abs=0.05)


def test_ridge_reads_a_linear_attribute():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 10, generator=generator)
    labels = features[:, :3].argmax(dim=-1)
    right = ridge_scores(features[:300], labels[:300], features[300:]).argmax(dim=-1) == labels[300:]
    assert right.float().mean() > 0.85
    wide = torch.cat([features, torch.randn(400, 400, generator=generator) * 1e-3], dim=1)
    assert ridge_scores(wide[:300], labels[:300], wide[300:]).shape == (100, 3)


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_and_a_run_resumes(media, tokenizer, tmp_path):
    torch.manual_seed(0)
    encoder = training.build_encoder(tokenizer)
    plan = training.TrainingPlan(sparse_steps=30, whole_steps=2)
    module = training.ReadEncoder(encoder)
    before = training.contrastive_losses(module, media, torch.Generator().manual_seed(9), kept_patches=None)["loss"]
    assert not training.train_encoder(media, encoder, folder=tmp_path, plan=plan, minutes=0.0)
    assert training.train_encoder(media, encoder, folder=tmp_path, plan=plan)
    after = training.contrastive_losses(module, media, torch.Generator().manual_seed(9), kept_patches=None)["loss"]
    assert after < 0.8 * before
    figures = measure(encoder, media, media, probe_items=12)
    assert set(figures) == {f"{m} {family}" for m, families in FAMILIES_OF.items() for family in families}


def test_what_is_not_known_yet_counts_more():
    known, unknown = torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    both, labels = torch.cat([known, unknown]), torch.tensor([0, 0])
    plain = F.cross_entropy(both, labels)
    found = training.hard_cross_entropy(both, labels)
    assert plain < found < F.cross_entropy(unknown, labels[:1]) * 1.0001
    ignored = training.hard_cross_entropy(torch.cat([both, unknown]), torch.tensor([0, 0, -1]))
    assert torch.equal(ignored, found) and not training.hard_cross_entropy(known, labels[:1]).isnan()
