"""One example of each kind of request, for a visitor who does not know what to say; media are drawn and sounded by code.

Pictures, films and sounds are those of nano's world (`anygen/nano/world`), rendered when the page is built.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

SEED = 7


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request that the page offers."""

    title: str
    text: str
    files: tuple[str, ...] = ()
    reads: str = "text"
    """The kind of its files."""
    makes: tuple[str, ...] = ()
    """The media that the reply should hold."""


def example_requests(folder: Path, *, reads: Collection[str], makes: Collection[str]) -> list[Example]:
    """The examples of the chat, in the order in which the page shows them; their media are written to `folder`.

    `reads` and `makes` are the media that the model takes and generates: what it cannot do is not offered.
    """
    shown = example_media(folder)
    picture, film, sound = shown["image"], shown["video"], shown["audio"]
    examples = [
        Example(title="Draw", text="a large red bell on grass", makes=("image",)),
        Example(title="Film", text="make a video of a green train moving left", makes=("video",)),
        Example(title="Play", text="play the sound of a dog", makes=("audio",)),
        Example(title="Picture to words", text="what is this?", files=(picture,), reads="image"),
        Example(title="Film to words", text="what happens in this video?", files=(film,), reads="video"),
        Example(title="Sound to picture", text="draw what you hear", files=(sound,), reads="audio", makes=("image",)),
        Example(
            title="Picture to sound",
            text="what does this sound like?",
            files=(picture,),
            reads="image",
            makes=("audio",),
        ),
        Example(
            title="Several media",
            text="show me a picture, a video and the sound of a drum",
            makes=("image", "video", "audio"),
        ),
    ]
    return [each for each in examples if each.reads in ("text", *reads) and set(each.makes) <= set(makes)]


def example_media(folder: Path) -> dict[str, str]:
    """A picture, a film and a sound, written to `folder`; modality -> path."""
    from PIL import Image

    from anygen.media.save import save_media
    from anygen.nano.world.image import render_image
    from anygen.nano.world.scene import Scene
    from anygen.nano.world.sound import render_audio
    from anygen.nano.world.video import render_video

    cat = Scene(thing="cat", color="orange", background="grass")
    boat = Scene(thing="boat", color="brown", background="sky", motion="moves right")
    media = {
        "image": Image.fromarray(render_image(cat, SEED)),
        "video": render_video(boat, SEED),
        "audio": render_audio(Scene(thing="bird", color="blue"), SEED),
    }
    names = {"image": "picture.png", "video": "film.mp4", "audio": "sound.wav"}
    folder.mkdir(parents=True, exist_ok=True)
    return {modality: str(save_media(medium, folder / names[modality])) for modality, medium in media.items()}
