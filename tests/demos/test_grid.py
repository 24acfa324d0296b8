"""The grid over nano, through gradio's client: words and every medium out of one input of any kind."""

from gradio_client import handle_file

from anygen.errors import PUBLIC_TEXT
from anygen.media.load import load_media


def test_one_input_of_any_kind_is_told_in_every_medium(grid_page, connect, sound):
    client = connect(grid_page)
    for text, files in (("a large red bell", []), ("", [handle_file(str(sound))])):
        status, words, image, video, audio = client.predict(message={"text": text, "files": files}, seed=3, api_name="/make")
        assert "seed 3" in status and words
        assert load_media("image", image).size == (128, 128) and load_media("audio", audio).duration > 2
        assert len(load_media("video", video["video"] if isinstance(video, dict) else video).frames) == 8


def test_nothing_is_refused_with_the_fixed_sentence(grid_page, connect):
    status, words, *media = connect(grid_page).predict(message={"text": "", "files": []}, seed=0, api_name="/make")
    assert PUBLIC_TEXT["invalid_request"] in status and not words and media == [None, None, None]
