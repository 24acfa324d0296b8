"""Trains the judges on fresh renders: scenes in, `<kind>.safetensors` and `<kind>.json` (with accuracies) out.

The renders' seeds begin with the word "judge", so no judge has seen what nano was trained on or is asked about. Colour,
blur and noise are shaken a little at each step, so that a judge is fair to media that a generator painted and not only
to clean renders. Accuracy is counted on renders that the training did not draw, without any shaking.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anygen.evaluation.judges import JUDGED, Judge, JudgeConfig, JudgeKind, Judges, image_pixels, load_judges, log_mels
from anygen.nano.world.image import render_image
from anygen.nano.world.scene import Scene, sample_scene, sample_tone
from anygen.nano.world.sound import render_audio
from anygen.nano.world.video import render_video

logger = logging.getLogger(__name__)

UNLABELLED = -100
"""Target of an attribute that a render does not have (a film's place, a thing's tone height); costs nothing."""

Labels = dict[str, Tensor]

SHIPPED_JUDGES = Path(__file__).parent / "judge_weights"
"""The judges that `anygen eval` asks unless another folder is named: what the defaults below trained."""

UNREADABLE_MOTIONS = ("blinks", "spins")
"""Motions with frames that show nothing, or a thing from its edge: nobody could name it from such a frame alone."""


@dataclass(frozen=True, kw_only=True)
class JudgeTrainingConfig:
    """How one judge is trained. The defaults take some fifteen minutes of one CPU core, and made `SHIPPED_JUDGES`."""

    kind: JudgeKind
    num_scenes: int = 20_000
    """scenes that are rendered once and kept in memory, 50 kB each"""
    num_epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 3e-3
    num_fresh: int = 2_000
    """scenes on which the accuracy is counted"""
    seed: int = 0

    def __post_init__(self):
        if self.kind not in JUDGED:
            raise ValueError(f"kind={self.kind!r} is no judge; one of {', '.join(JUDGED)}")


def prepare_judges(folder: str | os.PathLike) -> Judges:
    """The judges of a folder; those that are not there yet are trained first and kept there."""
    for kind in JUDGED:
        if not (Path(folder) / f"{kind}.json").exists():
            train_judge(folder, JudgeTrainingConfig(kind=kind))
    return load_judges(folder)


def train_judge(folder: str | os.PathLike, config: JudgeTrainingConfig) -> dict[str, float]:
    """Train one judge and write it; returns its accuracies.

    After each epoch `<kind>.partial.pt` is written, from which an interrupted training goes on.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    judge = Judge(JudgeConfig(kind=config.kind)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=config.learning_rate, weight_decay=0.02)
    inputs, labels = render_examples(config.kind, config.num_scenes, purpose=f"train {config.seed}")
    num_steps = config.num_epochs * -(-len(inputs) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=num_steps)
    partial = folder / f"{config.kind}.partial.pt"
    first_epoch = _restore(partial, judge, optimizer, schedule)
    logger.info("%s judge: %d examples, %d steps", config.kind, len(inputs), num_steps)

    for epoch in range(first_epoch, config.num_epochs):
        judge.train()
        torch.manual_seed(config.seed * 1_000 + epoch)  # a resumed run shakes and shuffles as an unbroken one
        for indices in torch.randperm(len(inputs)).split(config.batch_size):
            x = SHAKE[config.kind](inputs[indices]).contiguous(memory_format=torch.channels_last)
            logits = judge(x)
            loss = sum(_loss(logits[name], labels[name][indices]) for name in logits)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        logger.info("%s judge: epoch %d of %d, loss %.3f", config.kind, epoch + 1, config.num_epochs, loss.item())
        states = {"judge": judge, "optimizer": optimizer, "schedule": schedule}
        torch.save({"epoch": epoch + 1, **{name: part.state_dict() for name, part in states.items()}}, partial)

    accuracy = fresh_accuracy(judge.eval(), config.num_fresh)
    logger.info("%s judge on %d fresh renders: %s", config.kind, config.num_fresh, accuracy)
    judge.save(folder, accuracy=accuracy)
    partial.unlink()
    return accuracy


def fresh_accuracy(judge: Judge, num_scenes: int) -> dict[str, float]:
    """Share of right answers per attribute on renders that no training drew."""
    inputs, labels = render_examples(judge.config.kind, num_scenes, purpose="fresh")
    accuracy = {}
    for name, probabilities in judge.probabilities(inputs).items():
        known = labels[name] != UNLABELLED
        accuracy[name] = (probabilities.argmax(-1) == labels[name])[known].float().mean().item()
    return accuracy


def render_examples(kind: JudgeKind, num_scenes: int, *, purpose: str) -> tuple[Tensor, Labels]:
    """Render scenes: inputs of the judge (N, C, H, W), and attribute -> index of its value (N,).

    `purpose` names the stream of seeds. Every split is drawn from: a judge knows held-out pairs as well as others.
    """
    rngs = [random.Random(f"judge {kind} {purpose} {index}") for index in range(num_scenes)]
    examples = [example for rng in rngs for example in EXAMPLES[kind](rng)]
    media = [medium for medium, _ in examples]
    values = {name: {value: index for index, value in enumerate(all_)} for name, all_ in JUDGED[kind].items()}
    labels = {
        name: torch.tensor([index.get(label.get(name), UNLABELLED) for _, label in examples])
        for name, index in values.items()
    }
    read = {"image": image_pixels, "audio": log_mels}[kind]
    parts = [read(media[start : start + 500]) for start in range(0, len(media), 500)]  # spectra take room while they are made
    return torch.cat(parts), labels


def _image_examples(rng: random.Random) -> Iterator[tuple[Image.Image, dict]]:
    """A picture, or one time in six four frames of a film; always of equal things, never of a pair."""
    if rng.random() < 1 / 6:
        scene = sample_scene(rng, _any_split(rng), lone=True)
        while scene.motion in UNREADABLE_MOTIONS:
            scene = sample_scene(rng, _any_split(rng), lone=True)
        frames = render_video(scene, rng).frames
        for index in sorted(rng.sample(range(len(frames)), 4)):
            yield Image.fromarray(frames[index]), _look(scene)
    else:
        scene = sample_scene(rng, _any_split(rng), lone=rng.random() < 0.8)
        while scene.companion is not None:
            scene = sample_scene(rng, _any_split(rng))
        place = {"place": scene.place} if scene.count == 1 else {}
        yield Image.fromarray(render_image(scene, rng)), _look(scene) | place | {"count": scene.count}


def _look(scene: Scene) -> dict:
    return {"thing": scene.thing, "background": scene.background, "color": scene.color}


def _audio_examples(rng: random.Random) -> Iterator[tuple]:
    """A thing's own sound, or one time in four a tone."""
    scene = sample_scene(rng, "train", sounding=True, lone=True)
    if rng.random() < 1 / 4:
        tone = sample_tone(rng)
        scene = Scene(thing=scene.thing, color=scene.color, tone=tone)
        yield render_audio(scene, rng), {"sound": "tone", "height": tone.height, "contour": tone.contour}
    else:
        yield render_audio(scene, rng), {"sound": scene.thing}


def _any_split(rng: random.Random) -> str:
    return rng.choices(("train", "held_out"), weights=(3, 1))[0]


def _shake_images(x: Tensor) -> Tensor:
    """Each picture (N, 3, 64, 64) a little brighter or darker, softer, blotched and noisier, by amounts of its own."""
    amount = torch.rand(5, len(x), 1, 1, 1)
    soft = F.interpolate(F.avg_pool2d(x, 2), size=x.shape[-2:], mode="bilinear")
    blotches = F.interpolate(torch.randn(len(x), 3, 8, 8), size=x.shape[-2:], mode="bilinear")
    x = torch.lerp(x, soft, amount[0]) * (0.9 + 0.2 * amount[1]) + 0.1 * (amount[2] - 0.5)
    return (x + 0.04 * amount[3] * blotches + 0.05 * amount[4] * torch.randn_like(x)).clamp(0, 1)


def _shake_mels(x: Tensor) -> Tensor:
    """Each log-mel (N, 1, 64, 128) of another level, softer and noisier, by amounts of its own."""
    amount = torch.rand(3, len(x), 1, 1, 1)
    soft = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return torch.lerp(x, soft, amount[0]) + 0.3 * (amount[1] - 0.5) + 0.15 * amount[2] * torch.randn_like(x)


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    if (target == UNLABELLED).all():
        return logits.sum() * 0.0
    return F.cross_entropy(logits, target, ignore_index=UNLABELLED, label_smoothing=0.05)


def _restore(partial: Path, judge: Judge, optimizer, schedule) -> int:
    """Load an interrupted run; returns the epoch to go on with."""
    if not partial.exists():
        return 0
    state = torch.load(partial, weights_only=True)
    judge.load_state_dict(state["judge"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return state["epoch"]


EXAMPLES = {"image": _image_examples, "audio": _audio_examples}
SHAKE = {"image": _shake_images, "audio": _shake_mels}
