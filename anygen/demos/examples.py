"""One example of each kind of request, for a visitor who does not know what to say; media are drawn and sounded by code.

Pictures, films and sounds are those of nano's world (`anygen/nano/world`), rendered when the page is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SEED = 7


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request that the page offers."""

    title: str
    text: str
    files: tuple[str, ...] = ()


def example_requests(folder: Path) -> list[Example]:
    """The examples of the chat, in the order in which the page shows them; their media are written to `folder`."""
    picture, film, sound = example_media(folder)
    return [
        Example(title="Draw", text="a large red bell on grass"),
        Example(title="Film", text="make a video of a green train moving left"),
        Example(title="Play", text="play the sound of a dog"),
        Example(title="Picture to words", text="what is this?", files=(picture,)),
        Example(title="Film to words", text="what happens in this video?", files=(film,)),
        Example(title="Sound to picture", text="draw what you hear", files=(sound,)),
        Example(title="Picture to sound", text="what does this sound like?", files=(picture,)),
        Example(title="Several media", text="show me a picture, a video and the sound of a drum"),
    ]


def example_media(folder: Path) -> tuple[str, str, str]:
    """A picture, a film and a sound, written to `folder`; their paths."""
    from PIL import Image

    from anygen.media.save import save_media
    from anygen.nano.world.image import render_image
    from anygen.nano.world.scene import Scene
    from anygen.nano.world.sound import render_audio
    from anygen.nano.world.video import render_video

    cat = Scene(thing="cat", color="orange", background="grass")
    boat = Scene(thing="boat", color="brown", background="sky", motion="moves right")
    media = {
        "picture.png": Image.fromarray(render_image(cat, SEED)),
        "film.mp4": render_video(boat, SEED),
        "sound.wav": render_audio(Scene(thing="bird", color="blue"), SEED),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(str(save_media(medium, folder / name)) for name, medium in media.items())
