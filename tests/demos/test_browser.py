"""The pages in a real Chromium, without a screen: words, an upload, pictures, films that play, sounds that play.

Driven by Playwright over the chromium of the system (Debian: `apt-get install chromium`); skipped where there is none.
"""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="found no chromium; on Debian: apt-get install chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream"]
FLAGS += ["--use-fake-ui-for-media-stream"]  # a microphone that beeps
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 180_000
"""Milliseconds that a reply may take on a busy machine."""

KEEP_PLAYERS = """
window.players = [];
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { window.players.push(this); return play.call(this); };
"""
"""Run in a page before its own scripts: the chat's sounds play in elements that are in no document."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """A function that opens a page as a visitor of its own; at the end, nothing went wrong in any of them."""
    faults, contexts = [], []

    def visitor(page, viewport=DESKTOP):
        contexts.append(browser.new_context(viewport=viewport, permissions=["microphone"]))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(PATIENCE)
        tab.add_init_script(KEEP_PLAYERS)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda request: faults.append(request.url) if is_foreign(request.url) else None)
        tab.goto(page.local_url)
        tab.wait_for_selector("#box textarea")
        return tab

    yield visitor
    for context in contexts:
        context.close()
    assert faults == []


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "http://localhost:", "data:", "blob:"))


def shows(tab, selector, count=1):
    """Wait until the page holds so many of something; media come a moment after the words around them."""
    playwright.expect(tab.locator(selector)).to_have_count(count, timeout=PATIENCE)


def size_of_picture(tab, selector):
    """(width, height) of a picture's own pixels, once it is loaded: its element is there before its bytes are."""
    tab.wait_for_function("selector => document.querySelector(selector)?.naturalWidth > 0", arg=selector)
    image = tab.locator(selector).first
    return tuple(image.evaluate("image => [image.naturalWidth, image.naturalHeight]"))


def choose(tab, *modalities):
    for name in modalities:
        tab.click(f"#answer-with label:has(input[name={name}])")
        tab.wait_for_selector(f"#answer-with label.selected:has(input[name={name}])")


@contextmanager
def answered(tab):
    """What is said in the block is answered to the end: the panel tells of another reply than before."""
    panel = "document.querySelector('#what-happened').innerText"
    before = tab.evaluate(panel)
    yield
    tab.wait_for_function(f"before => ![before, ''].includes({panel}) && !{panel}.includes('in the making')", arg=before)
    tab.wait_for_selector("#box .submit-button")


def say(tab, text):
    with answered(tab):
        tab.fill("#box textarea", text)
        tab.press("#box textarea", "Enter")


def test_upload_and_receive_a_picture_a_playing_film_and_a_playing_sound(visit, chat_page, picture):
    tab = visit(chat_page)
    choose(tab, "image", "video", "audio")
    tab.set_input_files("#box input[type=file]", str(picture))
    tab.wait_for_selector("#box .thumbnail-item img, #box .thumbnail-image")
    say(tab, "what is this? make a video of it")

    shows(tab, "#chat .user img")
    assert "make a video" in tab.inner_text("#chat")
    made = tab.locator("#chat .bot img").first
    assert size_of_picture(tab, "#chat .bot img") == (128, 128)
    assert made.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    assert made.bounding_box()["width"] == 256

    tab.locator("#chat .bot video").first.evaluate("video => { video.muted = true; return video.play() }")
    tab.wait_for_function("document.querySelector('#chat .bot video').currentTime > 0.3")
    tab.click("#chat .bot .minimal-audio-player button.play-btn")
    tab.wait_for_function("window.players.some(each => each.tagName === 'AUDIO' && each.currentTime > 0.3)")

    order = tab.evaluate(
        "[...document.querySelectorAll('#chat .bot img, #chat .bot video, #chat .bot .minimal-audio-player')]"
        ".map(each => each.tagName)"
    )
    assert order == ["IMG", "VIDEO", "DIV"]
    for token in ("<image_0>", "<video_0>", "<audio_0>"):
        assert token in tab.inner_text("#what-happened")
    with tab.expect_download() as download:
        tab.click("#files a.download-link >> nth=0")
    assert download.value.suggested_filename == "image-1.png"


def test_two_visitors_at_once_and_a_reload(visit, chat_page):
    ada, ben = visit(chat_page), visit(chat_page)
    for tab in (ada, ben):
        choose(tab, "image")
    with answered(ada), answered(ben):
        for tab, text in ((ada, "a bell, says Ada"), (ben, "a drum, says Ben")):
            tab.fill("#box textarea", text)
            tab.press("#box textarea", "Enter")
    for tab, name in ((ada, "Ada"), (ben, "Ben")):
        playwright.expect(tab.locator("#chat")).to_contain_text(f"says {name}", timeout=PATIENCE)
    assert "Ada" in ada.inner_text("#chat") and "Ben" not in ada.inner_text("#chat")
    assert "Ben" in ben.inner_text("#chat") and "Ada" not in ben.inner_text("#chat")
    for tab in (ada, ben):
        shows(tab, "#chat .bot img")
    ada.reload()
    ada.wait_for_selector("#chat .example")
    assert "Ada" not in ada.inner_text("#chat")
    choose(ada, "text")
    say(ada, "hello again")
    playwright.expect(ada.locator("#chat")).to_contain_text("hello again", timeout=PATIENCE)
    shows(ada, "#chat .bot img", 0)


def test_regenerate_edit_and_undo(visit, chat_page):
    tab = visit(chat_page)
    choose(tab, "image")
    say(tab, "a red bell")
    before = tab.get_attribute("#chat .bot img", "src")
    with answered(tab):
        tab.click("#chat button[aria-label=Retry]")
    shows(tab, "#chat .bot img")
    tab.wait_for_function("before => (document.querySelector('#chat .bot img')?.src ?? before) !== before", arg=before)
    with answered(tab):
        tab.click("#chat button[aria-label=Edit]")
        tab.fill("#chat textarea", "a blue drum")
        tab.click("#chat button[aria-label=Submit]")
    tab.wait_for_selector("#chat .user:has-text('a blue drum')")
    assert "bell" not in tab.inner_text("#chat .user")
    tab.click("#chat button[aria-label=Undo]")
    tab.wait_for_selector("#chat .example")
    tab.wait_for_function("document.querySelector('#box textarea').value === 'a blue drum'")


def test_the_model_decides_unless_told(visit, chat_page):
    tab = visit(chat_page)
    chosen = "[...document.querySelectorAll('#answer-with label.selected')].map(label => label.innerText.trim())"
    assert tab.evaluate(chosen) == ["Auto"]
    choose(tab, "image", "audio")
    tab.wait_for_function(f"{chosen}.join() === 'Image,Audio'")
    choose(tab, "auto")
    tab.wait_for_function(f"{chosen}.join() === 'Auto'")


def test_an_example_and_the_microphone(visit, chat_page):
    tab = visit(chat_page)
    with answered(tab):
        tab.click("#chat .example:has-text('what happens in this video?')")
    shows(tab, "#chat .user video")
    assert tab.inner_text("#chat .bot").strip()
    for button in ("Record audio", "Start recording"):
        tab.click(f"#box button[aria-label='{button}']")
    tab.wait_for_timeout(1500)
    for button in ("Stop recording", "Attach audio"):
        tab.click(f"#box button[aria-label='{button}']")
    tab.wait_for_selector("#box .thumbnail-item")
    choose(tab, "text")
    say(tab, "what do you hear?")
    shows(tab, "#chat .user .minimal-audio-player")
    shows(tab, "#chat .fault", 0)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_sticks_out(visit, chat_page, grid_page, viewport):
    for page in (chat_page, grid_page):
        tab = visit(page, viewport)
        assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        box = tab.locator("#box .submit-button").bounding_box()
        assert box["x"] + box["width"] <= viewport["width"] and box["y"] + box["height"] <= viewport["height"]


def test_the_grid_tells_a_sentence_in_every_medium(visit, grid_page):
    tab = visit(grid_page)
    tab.click("text=A sentence")
    tab.wait_for_function("document.querySelector('#box textarea').value !== ''")
    tab.press("#box textarea", "Enter")
    tab.wait_for_function("document.querySelector('#status').innerText.includes('seed 0')")
    assert size_of_picture(tab, "#cells img") == (128, 128)
    tab.wait_for_function("document.querySelector('#cells video').currentTime > 0.3")
    assert tab.input_value("#cells textarea")
    tab.click("#cells button[aria-label=Play]")
    tab.wait_for_function("window.players.some(each => each.tagName === 'AUDIO' && each.currentTime > 0.3)")
