"""Captions name what is there, parse back to it where canonical, and repeat with their seed."""

import random
from dataclasses import replace

import pytest

from anygen.nano.world import words
from anygen.nano.world.captions import canonical_caption, caption, has_place, with_article
from anygen.nano.world.scene import COLORS, SOUNDING_THINGS, THINGS, Scene, sample_scene, sample_tone

NUM_SCENES = 400


def scenes(modality, seed=0):
    rng = random.Random(seed)
    for _ in range(NUM_SCENES):
        yield sample_scene(rng, sounding=modality == "audio", lone=modality == "video")


def value_of(text, rows):
    """The one key of `rows` whose canonical words end or begin in `text`; the longest where one holds another."""
    found = [key for key, row in rows.items() if f" {row[0]} " in f" {text} "]
    return max(found, key=lambda key: len(rows[key][0])) if found else None


@pytest.mark.parametrize("modality", ["image", "video"])
def test_every_caption_names_thing_and_colour(modality):
    rng = random.Random(1)
    for scene in scenes(modality):
        text = caption(scene, modality, rng)
        assert any(noun in text for forms in words.NOUNS[scene.thing] for noun in forms), text
        assert any(color in text for color in words.COLOR_WORDS[scene.color]), text
        if modality == "video":
            said = words.MOTION_WORDS[scene.motion] + (scene.motion,)
            assert any(motion in text for motion in said), text
        if scene.companion is not None:
            assert any(forms[0] in text for forms in words.NOUNS[scene.companion.thing]), text


def test_captions_are_lower_case_words_without_stop_or_double_space():
    rng = random.Random(2)
    for modality in ("image", "video", "audio"):
        for scene in scenes(modality):
            text = caption(scene, modality, rng)
            assert text == text.lower().strip() and "  " not in text and not text.endswith((".", ",")), text
            assert text.isascii()


def test_canonical_picture_parses_back_to_its_scene():
    singular = {thing: (forms[0][0],) for thing, forms in words.NOUNS.items()}
    plural = {thing: (forms[0][1],) for thing, forms in words.NOUNS.items()}
    for scene in scenes("image", seed=3):
        text = canonical_caption(scene, "image")
        subject, _, other = text.partition(f" {scene.companion.relation} ") if scene.companion else (text, "", "")
        nouns = singular if scene.count == 1 else plural
        assert value_of(subject, nouns) == scene.thing
        assert value_of(subject.split(" on ")[0], {color: (color,) for color in COLORS}) == scene.color
        assert value_of(subject, words.SIZE_WORDS) == scene.size
        assert value_of(text, words.BACKGROUND_WORDS) == scene.background
        assert text.split()[0] in (("a", "an") if scene.count == 1 else words.COUNT_WORDS[scene.count])
        assert value_of(text, words.PLACE_WORDS) == (scene.place if has_place(scene, "image") else None)
        if scene.companion is not None:
            assert other.startswith(with_article(f"{scene.companion.color} {singular[scene.companion.thing][0]}"))


def test_canonical_film_names_its_motion_and_a_place_only_where_it_shows():
    for scene in scenes("video", seed=4):
        text = canonical_caption(scene, "video")
        assert value_of(text, words.MOTION_WORDS) == scene.motion
        expected = None if scene.motion.startswith("moves") or scene.motion == "bounces" else scene.place
        assert value_of(text, words.PLACE_WORDS) == expected


def test_canonical_examples():
    bell = Scene(thing="bell", color="red", background="grass")
    assert canonical_caption(bell, "image") == "a large red bell on grass in the center"
    assert canonical_caption(bell, "video") == "a large red bell staying still on grass in the center"
    assert canonical_caption(bell, "audio") == "the sound of a bell"
    car = Scene(thing="car", color="blue", size="small", background="night", motion="moves left")
    assert canonical_caption(car, "video") == "a small blue car moving left at night"
    assert canonical_caption(replace(car, count=2), "image") == "two small blue cars at night"


def test_canonical_captions_of_different_sounds_differ():
    rng = random.Random(5)
    tones = {sample_tone(rng) for _ in range(500)}
    things = [Scene(thing=thing, color="red") for thing in SOUNDING_THINGS]
    heard = things + [replace(things[0], tone=tone) for tone in tones]
    assert len({canonical_caption(scene, "audio") for scene in heard}) == len(SOUNDING_THINGS) + 18


def test_many_wordings_of_one_scene_and_the_same_ones_for_the_same_seed():
    scene = Scene(thing="dog", color="brown", background="grass", place="left")
    wordings = [caption(scene, "image", random.Random(seed)) for seed in range(300)]
    assert wordings == [caption(scene, "image", random.Random(seed)) for seed in range(300)]
    assert len(set(wordings)) > 150


def test_every_thing_colour_and_sound_has_words_and_no_noun_stands_for_two_things():
    assert set(words.NOUNS) == set(THINGS)
    assert set(words.COLOR_WORDS) == set(COLORS)
    assert set(words.SOUND_WORDS) == set(SOUNDING_THINGS)
    for rows in (words.NOUNS, words.COLOR_WORDS, words.BACKGROUND_WORDS, words.PLACE_WORDS, words.MOTION_WORDS):
        flat = [word for row in rows.values() for word in set(row)]
        assert len(flat) == len(set(flat))


def test_a_silent_thing_has_no_sound_caption():
    with pytest.raises(ValueError, match="makes no sound"):
        canonical_caption(Scene(thing="apple", color="red"), "audio")
    with pytest.raises(ValueError, match="one of image, video, audio"):
        caption(Scene(thing="apple", color="red"), "text", random.Random(0))
