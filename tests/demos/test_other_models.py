"""The pages and the server follow the model: here one that reads and makes pictures alone, loaded from its folder."""

import pytest


@pytest.fixture(scope="module")
def pages(pictures_alone, cache_of_the_pages):
    from anygen.demos.chat import build_chat
    from anygen.demos.grid import build_grid

    return {"chat": build_chat(pictures_alone), "grid": build_grid(pictures_alone)}


def components(page, kind: str) -> list:
    return [block for block in page.blocks.values() if type(block).__name__ == kind]


def test_toggles_and_parameters_are_those_of_the_model(pages):
    (toggles,) = components(pages["chat"], "CheckboxGroup")
    assert [name for _, name in toggles.choices] == ["auto", "text", "image"]
    titles = [accordion.label for accordion in components(pages["chat"], "Accordion")]
    assert "Image" in titles and not {"Video", "Audio"} & set(titles)


@pytest.mark.parametrize("page", ["chat", "grid"])
def test_the_box_takes_what_the_model_reads(pages, page):
    (box,) = components(pages[page], "MultimodalTextbox")
    assert box.sources == ["upload"] and box.file_types == ["image"]


def test_examples_are_those_that_the_model_can_answer(pages):
    (chatbot,) = components(pages["chat"], "Chatbot")
    assert [example["text"] for example in chatbot.examples] == ["a large red bell on grass", "what is this?"]
    buttons = [button.value for button in components(pages["grid"], "Button")]
    assert "A picture" in buttons and not {"A film", "A sound"} & set(buttons)


def test_all_eight_examples_where_the_model_does_everything(tmp_path):
    from anygen.demos.examples import example_requests
    from anygen.media.types import MEDIA

    assert len(example_requests(tmp_path, reads=MEDIA, makes=MEDIA)) == 8
    assert [example.title for example in example_requests(tmp_path, reads=(), makes=())] == []


def test_both_pages_answer(pictures_alone, serve, connect, picture):
    from gradio_client import handle_file

    from anygen.media.load import load_media

    message = {"text": "a cat", "files": [handle_file(str(picture))]}
    settings = {"answer_with": ["image"], "image_num_inference_steps": 2, "max_new_tokens": 16}
    messages = connect(serve(pictures_alone, "chat")).predict(message=message, api_name="/chat", **settings)[0]
    files = [part["file"] for part in messages[-1]["content"] if part["type"] == "file"]
    assert len(files) == 1 and load_media("image", files[0]).size == (16, 16)
    said = connect(serve(pictures_alone, "grid")).predict(message={"text": "a cat", "files": []}, seed=0, api_name="/make")
    assert load_media("image", said[-1]).size == (16, 16) and len(said) == 3
