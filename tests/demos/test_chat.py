"""The chat over nano: through gradio's client where a page is needed, through its handlers where one is not."""

import http.server
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from gradio_client import handle_file

from anygen.cli import main
from anygen.demos.account import account_for, account_page
from anygen.demos.chat import Chat
from anygen.demos.conversation import Conversation
from anygen.demos.desk import Desk
from anygen.errors import PUBLIC_TEXT, AnyGenError
from anygen.media.load import load_media

FEW_STEPS = {f"{modality}_num_inference_steps": 2 for modality in ("image", "video", "audio")}
SETTINGS = {"seed": 0, "seed_kind": "fixed", "temperature": 0.0, "top_p": 1.0, "max_new_tokens": 60}
GUIDANCE = {f"{modality}_guidance_scale": 3.0 for modality in ("image", "video", "audio")}
SIZES = {f"{modality}_{side}": size for modality, size in (("image", 128), ("video", 64)) for side in ("height", "width")}
SIZES |= {"video_num_frames": 8}
GIVEN = SETTINGS | GUIDANCE | FEW_STEPS | SIZES


def ask(client, text="", files=(), **settings):
    """One turn through the API -> the messages of the whole chat."""
    message = {"text": text, "files": [handle_file(str(path)) for path in files]}
    return client.predict(message=message, api_name="/chat", **FEW_STEPS | settings)[0]


def roles(messages) -> list[str]:
    return [message["role"] for message in messages]


def files_of(messages) -> list[Path]:
    parts = [part for message in messages for part in message["content"]]
    return [Path(part["file"]) for part in parts if part["type"] == "file"]


def texts_of(messages) -> str:
    return " ".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")


class Listening(Desk):
    """The real desk, which also writes down what the pipeline is asked."""

    def __init__(self, pipeline):
        super().__init__(pipeline)
        self.heard = []

    def stream(self, messages, **settings):
        self.heard.append((list(messages), settings))
        yield from super().stream(messages, **settings)


@pytest.fixture
def chat(nano, tmp_path):
    return Chat(Listening(nano), folder=str(tmp_path))


def last(pages):
    *_, page = pages
    return page[0]


def say(chat, conversation, text, chosen=("text",), **given):
    return last(chat.send(conversation, {"text": text, "files": []}, list(chosen), **GIVEN | given))


# Through the API


def test_media_come_in_the_order_they_were_said_and_can_be_downloaded(chat_page, connect, picture):
    messages = ask(connect(chat_page), "a large red bell", [picture], answer_with=["audio", "image", "video"])
    assert roles(messages)[:2] == ["user", "user"] and set(roles(messages)[2:]) == {"assistant"}
    *_, image, video, audio = files_of(messages)
    assert (image.suffix, video.suffix, audio.suffix) == (".png", ".mp4", ".wav")
    assert load_media("image", image).size == (128, 128)
    assert len(load_media("video", video).frames) == 8 and load_media("audio", audio).duration > 2


def test_each_client_has_a_conversation_of_its_own(chat_page, connect):
    ada, ben = connect(chat_page), connect(chat_page)
    ask(ada, "my name is Ada", answer_with=["text"])
    replies = {}

    def ask_more(name, client, text):
        replies[name] = ask(client, text, answer_with=["text"])

    both = [threading.Thread(target=ask_more, args=asked) for asked in (("ada", ada, "more"), ("ben", ben, "hi"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert roles(replies["ada"]).count("user") == 2 and "Ada" in texts_of(replies["ada"])
    assert roles(replies["ben"]).count("user") == 1 and "Ada" not in texts_of(replies["ben"])


def test_a_file_that_is_none_is_refused_with_the_fixed_sentence(chat_page, connect, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x00\x01 this is no picture")
    client = connect(chat_page)
    said = texts_of(ask(client, "what is this?", [tmp_path / "bad.png"]))
    assert PUBLIC_TEXT["media_unreadable"] in said and str(tmp_path) not in said
    assert roles(ask(client, "hello", answer_with=["text"])).count("user") == 2, "the next turn is as good as any"


def test_a_path_of_the_server_is_no_upload(chat_page, connect):
    secret = {"path": str(Path(__file__).resolve()), "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(Exception) as caught:
        connect(chat_page).predict(message={"text": "a", "files": [secret]}, api_name="/chat")
    assert "Traceback" not in str(caught.value) and "test_chat" not in str(caught.value)


def test_an_address_is_not_fetched(chat_page, connect):
    hits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_error(404)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for address in (f"http://127.0.0.1:{server.server_port}/a.png", "https://example.com/a.png"):
            file = {"path": address, "meta": {"_type": "gradio.FileData"}}
            with pytest.raises(Exception, match=r"may be read"):
                connect(chat_page).predict(message={"text": "a", "files": [file]}, api_name="/chat")
    finally:
        server.shutdown()
    assert hits == []


def test_parameters_have_bounds(chat_page, connect):
    client = connect(chat_page)
    with pytest.raises(Exception, match="maximum|greater"):
        ask(client, "a bell", image_num_inference_steps=100_000)
    with pytest.raises(Exception, match="not in the list"):
        ask(client, "a bell", answer_with=["smell"])


def test_a_stopped_reply_leaves_the_pipeline_free(chat_page, connect):
    client = connect(chat_page)
    settings = FEW_STEPS | {"image_num_inference_steps": 100}
    job = client.submit(message={"text": "a bell", "files": []}, answer_with=["image"], api_name="/chat", **settings)
    while not job.outputs():
        pass
    job.cancel()
    messages = ask(connect(chat_page), "hello", answer_with=["text"])
    assert roles(messages).count("user") == 1 and roles(messages)[-1] == "assistant"


def test_the_page_is_closed_to_everything_else(chat_page):
    config = chat_page.config
    assert chat_page.server_name == "127.0.0.1" and not chat_page.share and chat_page.allowed_paths == []
    assert chat_page.max_file_size == 64 * 2**20 and not chat_page.show_error and not chat_page.enable_monitoring
    assert config["analytics_enabled"] is False and chat_page.api_open is False
    ours = [each["api_name"] for each in config["dependencies"] if each["api_visibility"] == "public"]
    assert ours == ["chat"]


# The handlers


def test_the_next_turn_knows_what_was_said(chat):
    conversation = say(chat, Conversation(), "a red car", ["image"])
    conversation = say(chat, conversation, "now make it blue", ["image"])
    (first, _), (second, _) = chat.desk.heard
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[0] == first[0] and second[2]["content"] == [{"type": "text", "text": "now make it blue"}]
    assert "image" in [part["type"] for part in second[1]["content"]]
    assert len(conversation.paths) == 2 and all(Path(path).exists() for path in conversation.paths)


def test_settings_reach_the_pipeline(chat):
    given = {"audio_num_inference_steps": 3, "audio_guidance_scale": 1.5, "seed": 5}
    conversation = say(chat, Conversation(), "a bell", ["audio"], **given)
    ((_, settings),) = chat.desk.heard
    assert settings["modalities"] == ["audio"] and settings["seed"] == 5
    assert settings["audio"] == {"num_inference_steps": 3, "guidance_scale": 1.5}
    assert conversation.last.output.seed == 5
    fresh = say(chat, Conversation(), "a bell", ["text"], seed_kind="fresh")
    assert chat.desk.heard[-1][1]["seed"] is None and fresh.last.output.seed >= 0


def test_files_are_numbered_through_the_conversation_and_the_panel_waits(chat):
    conversation = say(chat, say(chat, Conversation(), "a bell", ["image"]), "a drum", ["image"])
    assert [Path(path).name for path in conversation.paths] == ["image-1.png", "image-2.png"]
    pages = chat.send(conversation, {"text": "a cat", "files": []}, ["text"], **GIVEN)
    assert "in the making" in next(pages)[2] and "in the making" not in last_panel(pages)


def test_a_size_far_beyond_the_models_own_is_refused_with_the_rule(chat):
    huge = {"image_height": 2048, "image_width": 2048}
    pages = list(chat.send(Conversation(), {"text": "a bell", "files": []}, ["image"], **GIVEN | huge))
    assert pages[-1][0].last.error.code == "invalid_parameter" and not chat.desk.heard
    assert "at most 16 times as much as height 128, width 128" in pages[-1][1][-1]["content"]


def test_regenerate_gives_another_medium_in_the_same_place(chat):
    once = say(chat, Conversation(), "a bell", ["image"])
    again = last(chat.regenerate(once, ["image"], **GIVEN))
    assert len(again.exchanges) == 1 and again.last.output.seed == 1 and again.last.attempt == 1
    assert again.paths != once.paths and Path(again.paths[0]).read_bytes() != Path(once.paths[0]).read_bytes()
    assert last(chat.regenerate(Conversation(), ["image"], **GIVEN)).exchanges == ()


def test_edit_forgets_what_came_after_and_undo_fills_the_box(chat):
    conversation = say(chat, say(chat, Conversation(), "hello"), "what can you do?")
    edited = last(chat.edit(conversation, 0, "good day", ["text"], **GIVEN))
    assert [exchange.text for exchange in edited.exchanges] == ["good day"] and len(chat.desk.heard[-1][0]) == 1
    for position, text in ((99, "x"), (0, "  ")):
        assert last(chat.edit(conversation, position, text, ["text"], **GIVEN)) is conversation
    undone, messages, _, _, box = chat.undo(conversation)
    assert len(undone.exchanges) == 1 and box["value"]["text"] == "what can you do?"
    assert messages == undone.shown and chat.undo(Conversation())[0].exchanges == ()


def test_clear_deletes_the_files(chat):
    conversation = say(chat, Conversation(), "a bell", ["image"])
    (path,) = conversation.paths
    assert chat.clear(conversation)[0].exchanges == () and not Path(path).exists()


def test_the_panel_says_what_happened(chat, nano):
    *_, page = chat.send(Conversation(), {"text": "a large red bell", "files": []}, ["image", "audio"], **GIVEN)
    panel = page[2]
    for modality in ("image", "audio"):
        for token in nano.model.config.signals[modality].tokens:
            assert token.replace("<", "&lt;").replace(">", "&gt;") in panel
        assert type(nano.generators[modality]).__name__ in panel
    assert "steps 2" in panel and "seed 0" in panel and "s in all" in panel
    assert panel.count("cosine with the generator") + panel.count("nothing was said about it") == 2
    words_only = last_panel(chat.send(Conversation(), {"text": "hello", "files": []}, ["text"], **GIVEN))
    assert "no generator ran" in words_only


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_panel_says_whose_words_a_medium_is_compared_with(nano, is_shared):
    output = nano("a bell", modalities=["image"], image={"num_inference_steps": 2}, seed=0)
    account = replace(account_for(nano, output)[0], caption="a <bell>", cosine=0.5, cosine_empty=0.1, is_shared=is_shared)
    panel = account_page([account], output)
    assert ("said for the medium before it" in panel) == is_shared
    assert "a &lt;bell&gt;" in panel and "0.500" in panel and "0.100" in panel


def last_panel(pages):
    *_, page = pages
    return page[2]


def test_progress_is_shown_step_by_step(chat):
    given = GIVEN | {"video_num_inference_steps": 6}
    pages = list(chat.send(Conversation(), {"text": "a bell", "files": []}, ["video"], **given))
    shown = [json.dumps(page[1], default=str) for page in pages]
    assert any("waiting" in each for each in shown) and any("of 6" in each for each in shown) and ".mp4" in shown[-1]
    assert "of 6" not in shown[-1]


def test_signal_tokens_of_a_visitor_are_words(chat):
    conversation = say(chat, Conversation(), "<image_0><image_1> hello", ["text"])
    assert conversation.paths == [] and conversation.last.error is None


def test_too_much_is_refused_and_kept_in_the_box(chat):
    text = "x" * 1_000_000
    *_, page = chat.send(Conversation(), {"text": text, "files": []}, ["text"], **GIVEN)
    assert page[0].last.error.code == "context_length_exceeded" and page[0].messages == []
    assert len(page[4]["value"]["text"]) == 20_000 and not chat.desk.heard
    *_, page = chat.send(page[0], {"text": "word " * 3_000, "files": []}, ["text"], **GIVEN)
    assert page[0].last.error.code == "context_length_exceeded" and "512" in page[1][-1]["content"]


def test_what_nobody_foresaw_is_an_internal_error(chat, monkeypatch, caplog):
    conversation = say(chat, Conversation(), "hello")

    def broken(*arguments, **settings):
        raise RuntimeError("secret of the machine")

    monkeypatch.setattr(chat.desk, "stream", broken)
    failed = say(chat, conversation, "hello")
    assert failed.last.error.code == "internal_error" and "secret" not in json.dumps(failed.shown)
    assert failed.messages == conversation.messages and "secret" in caplog.text
    monkeypatch.undo()
    assert say(chat, failed, "hello").last.error is None


def test_one_visitor_at_a_time(nano):
    desk, inside, most = Desk(nano), [], []

    def visit():
        messages, settings = [{"role": "user", "content": "a bell"}], {"image": {"num_inference_steps": 2}}
        for _ in desk.stream(messages, modalities=["image"], **settings):
            pass

    answer = nano.answer

    def counted(*arguments, **settings):
        inside.append(1)
        most.append(len(inside))
        try:
            return answer(*arguments, **settings)
        finally:
            inside.pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nano, "answer", counted)
        visitors = [threading.Thread(target=visit) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
    assert most == [1, 1, 1]


def test_a_visitor_who_leaves_frees_the_desk(nano):
    desk = Desk(nano)
    for _ in desk.stream([{"role": "user", "content": "a bell"}], modalities=["image"]):
        break
    assert not desk.lock.locked()
    with pytest.raises(AnyGenError):
        list(desk.stream([{"role": "user", "content": "a bell"}], modalities=["smell"]))
    assert not desk.lock.locked()


def test_a_turn_that_was_stopped_says_so(chat):
    pages = chat.send(Conversation(), {"text": "a bell", "files": []}, ["image"], **GIVEN)
    opened = next(pages)[0]
    pages.close()
    stopped = chat.stopped(opened)
    assert PUBLIC_TEXT["cancelled"] in stopped[1][-1]["content"] and opened.messages == []
    assert replace(opened, exchanges=()).shown == [] and not chat.desk.lock.locked()


def test_an_unknown_app_is_a_usage_error(capsys):
    assert main(["demo", "--app", "smell"]) == 2
    assert "chat, grid" in capsys.readouterr().err
