"""The chat page: one conversation with a multimodal box, replies that stream, and a panel that says how they came about.

    box, toggles, panel -> `Chat.answer` -> `Desk.stream` -> messages of the page, one a part, in the order they are said

`Chat` is what the page does and knows nothing of one visitor: every handler takes the session's `Conversation` and
gives the next one. `build_chat` is the page.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from anygen.demos.appearance import header
from anygen.demos.conversation import Conversation, Exchange, ShownPart
from anygen.demos.desk import Desk, as_public, forget_folder, new_folder
from anygen.demos.examples import example_requests
from anygen.demos.guarded_box import guarded_box, media_read
from anygen.demos.reply import LABELS, ReplyInMaking
from anygen.demos.settings import modality_toggles, parameter_controls, read_settings
from anygen.demos.uploads import read_turn
from anygen.errors import AnyGenError
from anygen.stream import Finished, GenerationStep

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline

NO_ACCOUNT = '<div class="account"><p class="quiet">Signal tokens, generators and timings of the newest reply.</p></div>'
IN_THE_MAKING = '<div class="account"><p class="quiet">The reply is in the making.</p></div>'
EMPTY = {"text": "", "files": []}
SECONDS_BETWEEN_STEPS = 0.05
"""Denoising steps that follow each other more quickly than this are not all shown."""
SESSION_SECONDS = 6 * 3600
"""After this long without a word a session is forgotten, and its files deleted."""

Page = tuple[Any, Any, Any, Any, Any]
"""What a handler gives: conversation, messages, panel, files, box."""


class Chat:
    """What the page does.

    Args:
        desk: the pipeline.
        folder: where sessions keep their files.
    """

    def __init__(self, desk: Desk, *, folder: str):
        self.desk = desk
        self.folder = folder

    def send(
        self, conversation: Conversation, message: dict[str, Any] | None, answer_with: list[str], **settings: Any
    ) -> Iterator[Page]:
        """Answer a new turn; one that cannot be read stays in the box."""
        message = message or {}
        text, files = message.get("text") or "", message.get("files") or []
        try:
            opened = conversation.with_exchange(Exchange(asked=read_turn(text, files)))
        except Exception as error:
            asked = (ShownPart(type="text", text=text[:200]),) if text else ()
            refused = Exchange(asked=asked, error=as_public(error))
            kept = conversation.exchanges if conversation.has_room else conversation.exchanges[:-1]
            yield self.page(replace(conversation, exchanges=(*kept, refused)), box={"text": text[:20_000], "files": files})
            return
        yield from self.answer(opened, answer_with, settings)

    def regenerate(self, conversation: Conversation, answer_with: list[str], **settings: Any) -> Iterator[Page]:
        """Answer the last turn again; a fixed seed counts up."""
        if conversation.last is None or not conversation.last.asked:
            yield self.page(conversation)
            return
        again = conversation.last.again()
        settings["seed"] = (settings["seed"] or 0) + again.attempt
        yield from self.answer(conversation.before(-1).with_exchange(again), answer_with, settings)

    def edit(
        self, conversation: Conversation, position: int, text: str, answer_with: list[str], **settings: Any
    ) -> Iterator[Page]:
        """Answer other words in the place of those in message number `position`; what came after them is forgotten."""
        try:
            index = conversation.exchange_at(position)
            changed = conversation.exchanges[index].asking(text)
            read_turn(text, [])
        except AnyGenError:
            yield self.page(conversation)
            return
        yield from self.answer(conversation.before(index).with_exchange(changed), answer_with, settings)

    def undo(self, conversation: Conversation) -> Page:
        """Take the last turn back into the box."""
        last = conversation.last
        if last is None:
            return self.page(conversation)
        box = {"text": last.text, "files": [part.path for part in last.asked if part.path]}
        return self.page(conversation.before(-1), box=box, panel=NO_ACCOUNT)

    def clear(self, conversation: Conversation) -> Page:
        """Forget everything."""
        forget_folder(conversation.folder)
        return self.page(Conversation(), panel=NO_ACCOUNT, box=EMPTY)

    def stopped(self, conversation: Conversation) -> Page:
        """Show the turn that was stopped as such."""
        return self.page(conversation, panel=NO_ACCOUNT)

    def answer(self, opened: Conversation, answer_with: list[str], given: dict[str, Any]) -> Iterator[Page]:
        """Answer the last exchange of `opened`, showing the reply as it comes."""
        before, exchange = opened.before(-1), opened.last
        folder = opened.folder or new_folder(self.folder)
        opened = replace(opened, folder=folder)
        asked = [*before.shown, *exchange.asked_messages]
        yield (opened, asked, IN_THE_MAKING, gr.skip(), gr.update(value=EMPTY, submit_btn=False, stop_btn=True))
        try:
            settings = read_settings(self.desk.pipeline, answer_with, given)
            reply, shown_at = ReplyInMaking(folder=Path(new_folder(folder)), num_before=before.num_made), 0.0
            for event in self.desk.stream([*before.messages, exchange.question], **settings):
                if isinstance(event, Finished):
                    output = event.output
                    break
                reply.hear(event)
                if isinstance(event, GenerationStep) and time.monotonic() < shown_at + SECONDS_BETWEEN_STEPS:
                    continue
                shown_at = time.monotonic()
                yield (gr.skip(), [*asked, *reply.messages], gr.skip(), gr.skip(), gr.skip())
            done, panel = replace(exchange, reply=reply.finished, output=output), self.desk.account(output)
        except Exception as error:
            done, panel = replace(exchange, error=as_public(error)), NO_ACCOUNT
        yield self.page(replace(opened, exchanges=(*before.exchanges, done)), panel=panel)

    def page(self, conversation: Conversation, *, panel: Any = None, box: Any = None) -> Page:
        """The whole page for a conversation."""
        files = gr.update(value=conversation.paths or None, visible=bool(conversation.paths))
        return (
            conversation,
            conversation.shown,
            gr.skip() if panel is None else panel,
            files,
            gr.update(submit_btn=True, stop_btn=False, **({} if box is None else {"value": box})),
        )


def build_chat(pipeline: AnyGenPipeline) -> gr.Blocks:
    """The page; `anygen.demos.launch` serves it."""
    with gr.Blocks(title="anygen chat", analytics_enabled=False, delete_cache=(600, SESSION_SECONDS)) as page:
        gr.HTML(header("chat", pipeline.name), elem_id="header", padding=False)
        session = gr.State(Conversation(), time_to_live=SESSION_SECONDS, delete_callback=_forget)
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=7, min_width=340):
                chatbot, examples = _chatbot(pipeline)
                answer_with = modality_toggles(pipeline)
                box = guarded_box(media_read(pipeline), placeholder=_invitation(pipeline), autofocus=True)
            with gr.Column(scale=3, min_width=300, elem_id="side"):
                with gr.Accordion("What happened", open=True):
                    panel = gr.HTML(NO_ACCOUNT, padding=False, elem_id="what-happened")
                with gr.Accordion("Parameters", open=False):
                    controls = parameter_controls(pipeline)
                files = gr.File(label="Download", file_count="multiple", visible=False, elem_id="files", interactive=False)
        parts = {"session": session, "chatbot": chatbot, "panel": panel, "files": files, "box": box}
        chat = Chat(Desk(pipeline), folder=chatbot.GRADIO_CACHE)
        _connect(chat, parts, answer_with, controls, examples)
    return page


def _invitation(pipeline: AnyGenPipeline) -> str:
    """What stands in the empty box."""
    return "Say something, or add files" if media_read(pipeline) else "Say something"


def _chatbot(pipeline: AnyGenPipeline) -> tuple[gr.Chatbot, list]:
    """The chat with those examples that the model can answer."""
    folder = Path(new_folder(gr.utils.get_upload_folder()))
    examples = example_requests(folder, reads=media_read(pipeline), makes=pipeline.generators)
    answers = ", ".join(LABELS[modality].lower() for modality in ("text", *pipeline.generators))
    offered = [
        {"text": example.text, "display_text": example.text, "files": list(example.files)} for example in examples
    ]
    chatbot = gr.Chatbot(
        elem_id="chat",
        height="calc(100dvh - 296px)",
        min_height=340,
        show_label=False,
        buttons=["copy"],
        editable="user",
        examples=offered,
        placeholder=f"**{_invitation(pipeline)}.**<br>Answers can hold: {answers}.",
        layout="bubble",
    )
    return chatbot, examples


def _connect(
    chat: Chat, parts: dict[str, Any], answer_with: gr.CheckboxGroup, controls: dict[str, Any], examples: list
) -> None:
    """Tie the page's events to what it does; one visitor at a time uses the pipeline."""
    session, chatbot, box = parts["session"], parts["chatbot"], parts["box"]
    outputs = list(parts.values())
    private = {"api_visibility": "private", "show_progress": "hidden"}
    answering = {"outputs": outputs, "inputs_kwargs": controls, "concurrency_limit": 1, "concurrency_id": "pipeline"}

    def on_edit(conversation: Conversation, chosen: list[str], change: gr.EditData, **settings: Any) -> Iterator[Page]:
        position = change.index if isinstance(change.index, int) else change.index[0]
        yield from chat.edit(conversation, position, str(change.value), chosen, **settings)

    def on_example(conversation: Conversation, chosen: list[str], choice: gr.SelectData, **settings: Any) -> Iterator[Page]:
        example = examples[choice.index]  # ours, whatever the page sent back
        yield from chat.send(conversation, {"text": example.text, "files": list(example.files)}, chosen, **settings)

    running = [
        box.submit(chat.send, [session, box, answer_with], api_name="chat", show_progress="hidden", **answering),
        chatbot.retry(chat.regenerate, [session, answer_with], **answering, **private),
        chatbot.edit(on_edit, [session, answer_with], **answering, **private),
        chatbot.example_select(on_example, [session, answer_with], **answering, **private),
    ]
    box.stop(chat.stopped, session, outputs, cancels=running, queue=False, **private)
    chatbot.undo(chat.undo, session, outputs, queue=False, **private)
    chatbot.clear(chat.clear, session, outputs, queue=False, **private)


def _forget(conversation: Conversation) -> None:
    forget_folder(conversation.folder)
