"""The second page: one input of any kind, told in words, a picture, a film and a sound side by side.

    box -> `Grid.make` -> one call of the pipeline with every medium that it makes -> a cell each, as they are ready
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from anygen.demos.appearance import header
from anygen.demos.chat import SESSION_SECONDS
from anygen.demos.conversation import error_note
from anygen.demos.desk import Desk, as_public, forget_folder, new_folder
from anygen.demos.examples import example_media
from anygen.demos.guarded_box import guarded_box, media_read
from anygen.demos.reply import LABELS, Pending, ReplyInMaking
from anygen.demos.uploads import read_turn
from anygen.stream import Finished

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline


class Grid:
    """What the page does. Handlers yield (session's folder, status, words, one medium for each modality).

    Args:
        desk: the pipeline.
        folder: where sessions keep their files.
    """

    def __init__(self, desk: Desk, *, folder: str):
        self.desk = desk
        self.folder = folder
        self.modalities = tuple(desk.pipeline.generators)

    def make(self, session: str, message: dict[str, Any] | None, seed: float | None) -> Iterator[tuple]:
        """Tell what was said or shown in every medium."""
        message = message or {}
        folder = session or new_folder(self.folder)
        nothing = [None] * len(self.modalities)
        yield (folder, "", "", *nothing)
        try:
            asked = read_turn(message.get("text"), message.get("files") or [])
            question = {"role": "user", "content": [part.part for part in asked]}
            reply = ReplyInMaking(folder=Path(new_folder(folder)))
            for event in self.desk.stream([question], modalities=list(self.modalities), seed=seed):
                if isinstance(event, Finished):
                    output = event.output
                    break
                reply.hear(event)
                yield (gr.skip(), self.status(reply), self.words(reply), *self.media(reply))
            status = f'<p class="quiet">seed {output.seed} &middot; {output.timings["total"]:.2f} s</p>'
            yield (gr.skip(), status, output.text, *self.media(reply))
        except Exception as error:
            yield (gr.skip(), error_note(as_public(error)), "", *nothing)

    def status(self, reply: ReplyInMaking) -> str:
        """Bars of what is not there yet, as HTML."""
        return "".join(part.content for part in reply.parts if isinstance(part, Pending))

    def words(self, reply: ReplyInMaking) -> str:
        """All that was said so far."""
        return " ".join(part.text.strip() for part in reply.parts if part.type == "text")

    def media(self, reply: ReplyInMaking) -> list[str | None]:
        """The file of each modality, None while there is none."""
        made = {part.type: part.path for part in reply.parts if part.type != "text" and not isinstance(part, Pending)}
        return [made.get(modality) for modality in self.modalities]


def build_grid(pipeline: AnyGenPipeline) -> gr.Blocks:
    """The page; `anygen.demos.launch` serves it."""
    with gr.Blocks(title="anygen grid", analytics_enabled=False, delete_cache=(600, SESSION_SECONDS)) as page:
        gr.HTML(header("grid", pipeline.name), elem_id="header", padding=False)
        session = gr.State("", time_to_live=SESSION_SECONDS, delete_callback=forget_folder)
        with gr.Row(equal_height=True):
            reads = media_read(pipeline)
            box = guarded_box(reads, placeholder="Say or show something", scale=8, min_width=300)
            seed = gr.Number(0, label="Seed", precision=0, scale=1, min_width=100)
        with gr.Row(elem_id="examples"):
            _examples(box, reads)
        status = gr.HTML(padding=False, elem_id="status", min_height=30)
        with gr.Row(elem_id="cells"):
            words = gr.Textbox(label="Text", lines=9, interactive=False, buttons=["copy"], elem_classes=["cell"])
            cells = [_cell(modality) for modality in pipeline.generators]
        grid = Grid(Desk(pipeline), folder=box.GRADIO_CACHE)
        box.submit(
            grid.make,
            [session, box, seed],
            [session, status, words, *cells],
            api_name="make",
            show_progress="hidden",
            concurrency_limit=1,
            concurrency_id="pipeline",
        )
    return page


def _cell(modality: str) -> gr.components.Component:
    """Where the medium of one modality is shown."""
    look = {"label": LABELS[modality], "elem_classes": ["cell"], "interactive": False, "buttons": ["download"]}
    if modality == "image":
        return gr.Image(type="filepath", format="png", height=290, **look)
    if modality == "video":
        return gr.Video(loop=True, autoplay=True, height=290, **look)
    return gr.Audio(type="filepath", **look)


def _examples(box: gr.MultimodalTextbox, reads: tuple[str, ...]) -> None:
    """Buttons that fill the box: a sentence, and of a picture, a film and a sound what the model reads."""
    shown = example_media(Path(new_folder(gr.utils.get_upload_folder())))
    titles = {"image": "A picture", "video": "A film", "audio": "A sound"}
    offered = {"A sentence": {"text": "a large red bell on grass", "files": []}}
    offered |= {title: {"text": "", "files": [shown[modality]]} for modality, title in titles.items() if modality in reads}
    for title, value in offered.items():
        button = gr.Button(title, size="sm", min_width=80)
        button.click(lambda value=value: value, None, box, queue=False, api_visibility="private", show_progress="hidden")
