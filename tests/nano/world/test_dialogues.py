"""Dialogues: every task speaks, splits hold, what the assistant says agrees with what it makes."""

import random
import re
from collections import Counter

import pytest

from anygen.evaluation.edges import OUTSIDE, read_edges
from anygen.nano.world import crossings, edits, questions, refusals, requests, several, smalltalk, unknown
from anygen.nano.world.captions import canonical_caption
from anygen.nano.world.dialogues import TASK_WEIGHTS, TASKS, sample_dialogue
from anygen.nano.world.scene import INVISIBLE_PAIRS, THINGS, Scene, held_out_pairs, is_held_out, sample_scene
from anygen.nano.world.synonyms import OTHER_WORDS, reworded
from anygen.nano.world.turns import PADDING, Speaker, Wordings, defaults
from anygen.nano.world.words import NOUNS

PER_TASK = 60
SILENT_TASKS = ("describe image", "questions", "is there", "compare", "about the world", "small talk", "refuse")


def dialogues(task, split="train", seed=0):
    rng = random.Random(seed)
    return [sample_dialogue(rng, split, task) for _ in range(PER_TASK)]


def all_wordings():
    """Every `Wordings` of the dialogue files, by where it stands."""
    for module in (requests, several, edits, crossings, questions, smalltalk, refusals):
        for name, value in vars(module).items():
            if isinstance(value, Wordings):
                yield f"{module.__name__}.{name}", value
            elif isinstance(value, dict):
                for key, row in value.items():
                    if isinstance(row, Wordings):
                        yield f"{module.__name__}.{name}[{key!r}]", row


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_every_task_speaks_in_turns_that_end_with_the_assistant(task, split):
    for dialogue in dialogues(task, split):
        assert dialogue.task == task
        roles = [turn.role for turn in dialogue.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        for turn in dialogue.turns:
            for index, part in enumerate(turn.parts):
                if part.type == "text":
                    behind_a_medium = turn.role == "assistant" and index > 0
                    assert part.text.startswith(" ") == behind_a_medium
                    assert part.text.strip() and part.text.rstrip() == part.text and "  " not in part.text
                    assert not set("{}[]|") & set(part.text), part.text
                else:
                    assert part.caption == canonical_caption(part.scene, part.type)


@pytest.mark.parametrize("task", TASKS)
def test_training_holds_no_held_out_pair(task):
    for dialogue in dialogues(task):
        for turn in dialogue.turns:
            assert all(not held_out_pairs(part.scene) for part in turn.media)


def test_the_assistant_names_what_it_makes_right_before_it():
    for task in set(TASKS) - {"forced media"}:
        for dialogue in dialogues(task):
            for turn in dialogue.turns[1::2]:
                for before, part in zip(turn.parts, turn.parts[1:], strict=False):
                    if part.type != "text":
                        assert before.text.endswith(f"{part.caption}.")


def test_media_of_a_reply_come_in_one_order():
    for task in ("forced media", "several media"):
        for dialogue in dialogues(task):
            types = [part.type for part in dialogue.turns[-1].media]
            assert types and types == sorted(types, key=("image", "video", "audio").index)
            assert len(set(types)) == len(types)


def test_forced_media_meets_every_subset():
    rng = random.Random(0)
    found = Counter(
        tuple(part.type for part in sample_dialogue(rng, "train", "forced media").turns[-1].media) for _ in range(400)
    )
    assert len(found) == 7


@pytest.mark.parametrize(
    ("task", "user", "assistant"),
    [
        ("draw", [], ["image"]),
        ("film", [], ["video"]),
        ("play", [], ["audio"]),
        ("audio to image", ["audio"], ["image"]),
        ("audio to video", ["audio"], ["video"]),
        ("image to audio", ["image"], ["audio"]),
        ("image to video", ["image"], ["video"]),
        ("video to image", ["video"], ["image"]),
        ("video to audio", ["video"], ["audio"]),
        ("describe audio", ["audio"], []),
    ],
)
def test_media_in_and_out(task, user, assistant):
    for dialogue in dialogues(task):
        asked, said = dialogue.turns
        assert [part.type for part in asked.media] == user
        refused = "no sound" in said.text or "no looks" in said.text
        assert [part.type for part in said.media] == ([] if refused else assistant)


@pytest.mark.parametrize("task", SILENT_TASKS)
def test_answers_in_words_make_no_media(task):
    assert all(not turn.media for dialogue in dialogues(task) for turn in dialogue.turns[1::2])


def test_what_is_asked_for_is_there_half_of_the_time():
    rng, there = random.Random(3), []
    while len(there) < 600:
        asked, said = sample_dialogue(rng, "held_out", "is there").turns[:2]
        if said.text.startswith("It is "):
            there.append(said.text.split()[-1].rstrip(".") in asked.text.lower())
    assert 0.4 < sum(there) / len(there) < 0.6


def test_the_same_and_not_the_same_are_balanced():
    rng = random.Random(3)
    replies = [sample_dialogue(rng, "train", "compare").turns[1].text for _ in range(600)]
    same, other = (sum(reply.endswith(f"so they are {words}.") for reply in replies) for words in ("the same", "not the same"))
    assert same + other > 400 and 0.4 < same / (same + other) < 0.6


def test_answers_are_true():
    for dialogue in dialogues("questions"):
        scene = dialogue.turns[0].media[0].scene
        for turn in dialogue.turns[1::2]:
            if "background" in turn.text:
                assert scene.background in turn.text
            elif turn.text.startswith("There are two things"):
                assert scene.companion.thing in turn.text.replace("rain cloud", "rain")
            elif turn.text.startswith("There are three"):
                assert scene.count == 3


def test_what_is_not_said_is_at_its_default():
    speaker = Speaker(random.Random(0))
    scene = Scene(thing="dog", color="blue", size="small", place="left", background="grass", motion="spins")
    plain = speaker.plain(scene, said=("background",))
    assert (plain.color, plain.size, plain.place, plain.background) == ("brown", "large", "center", "grass")
    for thing in THINGS:
        color, background = defaults(thing)["color"], defaults(thing)["background"]
        assert not is_held_out(thing, color) and not is_held_out(thing, background)
        assert (color, background) not in INVISIBLE_PAIRS


def test_scenes_come_from_the_trainer_where_it_gives_them():
    pool = [sample_scene(random.Random(seed), "train", sounding=True, lone=True) for seed in range(40)]
    rng, asked = random.Random(0), []

    def sample(modality):
        asked.append(modality)
        return rng.choice(pool)

    for task in ("describe image", "describe video", "describe audio", "image to audio", "draw"):
        dialogue = sample_dialogue(rng, "train", task, sample)
        for part in dialogue.turns[0].media:
            assert part.scene in pool
    assert set(asked) == {"image", "video", "audio"}


@pytest.mark.parametrize(("name", "wordings"), tuple(all_wordings()))
def test_wordings_of_the_test_split_are_never_said_in_training(name, wordings):
    train, test = set(wordings.expansions("train")), set(wordings.expansions("test"))
    assert test and not train & test, name


def test_there_are_hundreds_of_wordings_in_training():
    assert sum(len(set(wordings.expansions("train"))) for _, wordings in all_wordings()) > 1000


def test_the_same_seed_gives_the_same_dialogue_and_weights_name_every_task():
    assert set(TASK_WEIGHTS) == set(TASKS)
    for seed in range(30):
        assert sample_dialogue(random.Random(seed)) == sample_dialogue(random.Random(seed))
    assert len({sample_dialogue(random.Random(seed)).turns[0].text for seed in range(300)}) > 270


def test_unknown_task_and_split_are_refused():
    with pytest.raises(ValueError, match="task='paint' is not one of describe image"):
        sample_dialogue(random.Random(0), task="paint")
    with pytest.raises(ValueError, match="split='validation'"):
        sample_dialogue(random.Random(0), "validation")


def test_what_training_composes_is_nothing_that_the_test_says():
    speaker = Speaker(random.Random(0))
    assert {"film, draw and play {x}", "draw {x} and then make a film of it"} <= several.UNHEARD
    composed = {several.do_several(speaker, modalities) for modalities in several.SEVERAL_VERBS for _ in range(2000)}
    composed = {each.replace("{a_video}", "a film") for each in composed}
    assert len(composed) > 1000 and not any(unheard in each for each in composed for unheard in several.UNHEARD)
    everything = set()
    for template in several.EVERYTHING:
        for _ in range(200):
            slots = {"whole": several.name_the_whole(speaker), "verb": speaker.rng.choice(several.WHOLE_VERBS)}
            everything.add(template.format(x="{x}", **slots))
    assert len(everything) > 2000 and not any(unheard in each for each in everything for unheard in several.UNHEARD)
    said = " ".join(sample_dialogue(speaker.rng, "train", "several media").turns[0].text.lower() for _ in range(4000))
    assert "let me have" not in said and "all you can make" not in said
    assert not {"do", "me"} & set(PADDING)  # "do draw a bell", "for me a picture": the test's


def test_what_is_refused_in_training_is_much_and_nothing_that_the_evaluation_asks():
    rng = random.Random(0)
    said = {sample_dialogue(rng, "train", "refuse").turns[0].text.lower().strip(" .?!") for _ in range(4000)}
    assert len(said) > 3000
    assert not said & {edge.words.lower().strip(" .?!") for edge in read_edges()}


def test_no_thing_of_the_world_is_unknown():
    known = {noun for thing in THINGS for pair in NOUNS[thing] for noun in pair}
    unknown_things = unknown.UNKNOWN_THINGS + unknown.UNKNOWN_THINGS_OF_TEST + unknown.MORE_UNKNOWN_THINGS
    assert len(unknown_things) == len(set(unknown_things)) and not known & set(unknown_things)


def test_a_third_of_what_the_edges_ask_from_outside_the_world_is_named_in_no_training():
    named = {thing.lower() for thing in unknown.UNKNOWN_THINGS + unknown.MORE_UNKNOWN_THINGS}
    asked = [" ".join(re.findall(r"[a-z]+", edge.words.lower())) for edge in read_edges() if edge.kind == OUTSIDE]
    strange = [words for words in asked if not any(re.search(rf"\b{re.escape(thing)}s?\b", words) for thing in named)]
    assert len(asked) == 60 and len(strange) >= 20


@pytest.mark.parametrize("template", unknown.MORE_UNKNOWN_REQUESTS + unknown.MORE_UNKNOWN_DOINGS)
def test_templates_of_the_unknown_are_filled(template):
    speaker = Speaker(random.Random(0))
    for _ in range(5):
        assert not set("{}[]|") & set(refusals.filled(speaker, template))


def test_other_words_are_said_in_training_alone_and_are_none_of_the_unknown():
    unknown_things = set(unknown.UNKNOWN_THINGS + unknown.UNKNOWN_THINGS_OF_TEST + unknown.MORE_UNKNOWN_THINGS)
    others = {word for words in OTHER_WORDS.values() for word in words}
    assert not others & unknown_things and not others & set(NOUNS)
    assert all(reworded(word, random.Random(0)) == word for word in ("draw", "on black paper", "a doorbell"))
    assert len({reworded("a red bell on grass", random.Random(seed)) for seed in range(200)}) > 30
    assert reworded("an apple", random.Random(1)) in {"an apple", "a ripe apple", "a juicy apple"}
    rng = random.Random(0)
    said = " ".join(sample_dialogue(rng, "train", "film").turns[0].text.lower() for _ in range(3000))
    unsaid = " ".join(sample_dialogue(rng, "test", "film").turns[0].text.lower() for _ in range(3000))
    rare = {"enormous", "itty-bitty", "ruby", "in the very middle"}
    assert all(word in said for word in rare) and not any(word in unsaid for word in rare)
