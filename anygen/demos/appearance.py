"""How the pages look: theme, style sheet, and the few lines that run in the page.

Fonts are those of the visitor's system and a content policy keeps media to this server, so a page fetches nothing from
anywhere else.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

import gradio as gr

HEAD = """
<meta http-equiv="Content-Security-Policy"
      content="img-src 'self' data: blob:; media-src 'self' data: blob:; frame-src 'none'; object-src 'none'">
<script>
// Pictures and films of few pixels are shown enlarged (page.css), each pixel a square.
const markSmall = ({target}) => {
  const width = target.naturalWidth || target.videoWidth;
  if (target.matches?.("img, video")) target.toggleAttribute("data-small", width > 0 && width <= 160);
};
document.addEventListener("load", markSmall, true);
document.addEventListener("loadedmetadata", markSmall, true);
</script>
"""

SUBTITLES = {
    "chat": "Any mix of text, images, video and audio in, any mix of them out.",
    "grid": "One sentence, picture, film or sound, told in every medium.",
}


def theme() -> gr.themes.Base:
    """A quiet theme: neutral greys, one blue."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="lg",
        font=["ui-sans-serif", "system-ui", "Segoe UI", "Helvetica", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        block_shadow="none",
        button_large_radius="*radius_lg",
    )


def style_sheet() -> str:
    """The style sheet of all pages."""
    return files("anygen.demos").joinpath("page.css").read_text(encoding="utf-8")


def header(page: str, model: str) -> str:
    """The line above a page, as HTML."""
    return f'<h1>anygen <small>{escape(model)}</small></h1><p>{SUBTITLES[page]}</p>'
