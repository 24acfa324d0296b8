"""Words are read as they are meant: every wording of the world names its scene, a list of everything names nothing."""

import random

import pytest

from anygen.evaluation.answers import named, says
from anygen.nano.world.captions import canonical_caption, caption
from anygen.nano.world.scene import COLORS, THINGS, Scene, sample_scene, sample_tone


@pytest.mark.parametrize(
    "text, attribute, value",
    [
        ("This is a large red bell on grass in the center.", "thing", "bell"),
        ("This is a large red bell on green grass in the center.", "color", "red"),
        ("A white cat on a black background, at the top.", "color", "white"),
        ("A white cat on a black background, at the top.", "background", "black"),
        ("The background is the sky.", "background", "sky"),
        ("It moves left.", "motion", "moves left"),
        ("A small blue car sliding to the left at night", "motion", "moves left"),
        ("It is on the left.", "place", "left"),
        ("an ambulance car", "thing", "ambulance"),
        ("This is the sound of rain.", "sound", "rain"),
        ("a ship's horn", "sound", "boat"),
        ("This is a high rising tone.", "contour", "rising"),
        ("fast beeps at a low pitch", "contour", "fast beeps"),
        ("a deep wobbling sound", "sound", "tone"),
        ("There are three apples.", "count", 3),
    ],
)
def test_readings(text, attribute, value):
    assert named(text)[attribute] == {value}
    assert says(text, attribute, value)


def test_naming_several_values_is_not_right():
    assert not says("It is a bell or a drum.", "thing", "bell")
    assert not says(f"I know {', '.join(THINGS)}.", "thing", "bell")
    assert not says("It is carmine and has a belly.", "thing", "car")


def test_nothing_named_is_nothing_found():
    assert not any(named("Sorry, that is beyond me.").values())


@pytest.mark.parametrize("modality", ["image", "video", "audio"])
def test_every_wording_names_its_scene(modality):
    for index in range(400):
        rng = random.Random(f"answers {modality} {index}")
        scene = sample_scene(rng, "test", sounding=modality == "audio", lone=True)
        if modality == "audio" and index % 3 == 0:
            scene = Scene(thing=scene.thing, color=scene.color, tone=sample_tone(rng))
        expected = {"thing": scene.thing, "color": scene.color}
        if modality == "video":
            expected["motion"] = scene.motion
        if modality == "audio":
            expected = {"sound": "tone"} | vars(scene.tone) if scene.tone else {"sound": scene.thing}
        for words in (canonical_caption(scene, modality), caption(scene, modality, rng)):
            for attribute, value in expected.items():
                assert says(words, attribute, value), (words, attribute, named(words).get(attribute))


def test_other_scenes_are_told_apart():
    rng = random.Random("answers apart")
    scenes = [sample_scene(rng, "test", lone=True) for _ in range(300)]
    wrong = [says(canonical_caption(scene, "image"), "color", other.color) for scene, other in zip(scenes, scenes[1:])]
    assert sum(wrong) / len(wrong) < 2 / len(COLORS)
