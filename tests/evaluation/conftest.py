"""What the tests of the evaluation share: an oracle that answers every request rightly, and briefly trained judges."""

import pytest
from PIL import Image

from anygen.evaluation.judge_training import JudgeTrainingConfig, train_judge
from anygen.evaluation.judges import load_judges
from anygen.media.types import MEDIA
from anygen.nano.world.captions import canonical_caption
from anygen.nano.world.image import render_image
from anygen.nano.world.sound import render_audio
from anygen.nano.world.video import render_video
from anygen.outputs import AnyGenOutput, OutputPart


@pytest.fixture(scope="session")
def judges_folder(tmp_path_factory):
    """A folder of judges that have seen little: they know backgrounds well enough, and not much else."""
    folder = tmp_path_factory.mktemp("judges")
    for kind in ("image", "audio"):
        train_judge(folder, JudgeTrainingConfig(kind=kind, num_scenes=160, num_epochs=6, batch_size=16, num_fresh=80))
    return folder


@pytest.fixture(scope="session")
def judges(judges_folder):
    return load_judges(judges_folder)


@pytest.fixture(scope="session")
def oracle():
    """A responder that renders and says what was expected, in each turn."""

    def respond(cell, requests, seeds):
        return [_right_replies(cell, request, seed) for request, seed in zip(requests, seeds, strict=True)]

    return respond


def _right_replies(cell, request, seed) -> list[AnyGenOutput]:
    if request.before is None:
        return [_right_reply(cell, request, seed)]
    made = OutputPart(type=cell.reply, media=_render(request.before.scene, cell.reply, seed))
    return [AnyGenOutput(parts=(made,), seed=seed), _right_reply(cell, request, seed)]


def _right_reply(cell, request, seed) -> AnyGenOutput:
    if cell.reply == "text":
        shown = [part["type"] for part in request.content if part["type"] in MEDIA]
        text = f"This is {canonical_caption(request.scene, shown[0])}." if shown else request.expected["answer"]
        return AnyGenOutput(parts=(OutputPart(type="text", text=text),), seed=seed)
    modalities = request.expected["media"].split("+") if cell.reply == "choice" else [cell.reply]
    parts = tuple(OutputPart(type=modality, media=_render(request.scene, modality, seed)) for modality in modalities)
    return AnyGenOutput(parts=(OutputPart(type="text", text="Here it is."), *parts), seed=seed)


def _render(scene, modality, seed):
    if modality == "image":
        return Image.fromarray(render_image(scene, seed))
    return {"video": render_video, "audio": render_audio}[modality](scene, seed)
