"""Dialogues about nano's world: what the LLM is trained and examined on.

`sample_dialogue` draws a task from `TASKS` and lets its function speak. A dialogue is turns of parts; media are given
by their scenes, so the trainer decides what to render. The assistant always names what it makes by its canonical
caption before it makes it, and refuses in words what the world does not hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from anygen.nano.world import crossings, edits, questions, refusals, requests, several, smalltalk
from anygen.nano.world.scene import SPLITS, Scene
from anygen.nano.world.turns import Dialogue, DialoguePart, DialogueTurn, Speaker

__all__ = ["TASKS", "TASK_WEIGHTS", "Dialogue", "DialoguePart", "DialogueTurn", "sample_conversation", "sample_dialogue"]

TASKS: dict[str, Callable[[Speaker], tuple[DialogueTurn, ...]]] = {
    "describe image": questions.describe_image,
    "describe video": questions.describe_video,
    "describe audio": questions.describe_audio,
    "questions": questions.ask_questions,
    "questions about sound": questions.ask_about_sound,
    "is there": questions.is_there,
    "compare": crossings.compare,
    "draw": requests.draw,
    "film": requests.film,
    "play": requests.play,
    "bare caption": requests.bare_caption,
    "forced media": requests.forced_media,
    "several media": several.several_media,
    "edits": edits.edits,
    "image to audio": crossings.image_to_audio,
    "image to video": crossings.image_to_video,
    "video to image": crossings.video_to_image,
    "video to audio": crossings.video_to_audio,
    "audio to image": crossings.audio_to_image,
    "audio to video": crossings.audio_to_video,
    "change medium": crossings.change_medium,
    "about the world": smalltalk.about_the_world,
    "small talk": smalltalk.small_talk,
    "refuse": refusals.refuse,
    "refuse silent": refusals.refuse_silent,
}

TASK_WEIGHTS = {
    "describe image": 2, "describe video": 2, "describe audio": 1.5, "questions": 2.5, "questions about sound": 1,
    "is there": 2.5, "compare": 2, "draw": 2, "film": 2, "play": 1.5, "bare caption": 2, "forced media": 0.7,
    "several media": 4, "edits": 3, "image to audio": 1, "image to video": 1, "video to image": 0.8,
    "video to audio": 0.6, "audio to image": 1.2, "audio to video": 0.8, "change medium": 1.3, "about the world": 1.2,
    "small talk": 1, "refuse": 2.6, "refuse silent": 0.8,
}  # fmt: skip
"""How often each task is drawn, relative to the others."""


def sample_dialogue(
    rng: random.Random,
    split: str = "train",
    task: str | None = None,
    sample: Callable[[str], Scene] | None = None,
) -> Dialogue:
    """Draw a dialogue of a task (one by `TASK_WEIGHTS` where none is given); the same `rng` state gives the same one.

    `split` is that of the scenes; "test" also says half of its requests in wordings that "train" never uses.
    `sample(modality)` gives the scenes of media where given, such as those of a pool of rendered media; scenes that
    follow from another one (an edit, an attribute at its default) are made anew.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(SPLITS)}")
    if task is None:
        task = rng.choices(tuple(TASK_WEIGHTS), weights=tuple(TASK_WEIGHTS.values()))[0]
    if task not in TASKS:
        raise ValueError(f"task={task!r} is not one of {', '.join(TASKS)}")
    return Dialogue(task=task, turns=tuple(TASKS[task](Speaker(rng, split=split, sample=sample))))


def sample_conversation(rng: random.Random, draw: Callable[[], Dialogue], *, changes: float = 0.3) -> Dialogue:
    """A dialogue from `draw`, before it with the chance of `changes` another one, and again: people change the subject.

    Without this a model takes every request for an edit of the last one. The task is that of the last dialogue.
    """
    dialogue = draw()
    while rng.random() < changes:
        dialogue = Dialogue(task=dialogue.task, turns=draw().turns + dialogue.turns)
    return dialogue
