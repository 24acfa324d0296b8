"""Draws docs/gallery.png: what a model really answers to a list of prompts, as the README shows it.

    python benchmarks/gallery.py [--model nano] [--seed 0] [--out docs/gallery.png]

Above pictures with their prompts, then films as strips of frames, then sounds as log-mel spectrograms (time to the right,
pitch upwards). Nothing is picked by hand: the first output for each prompt and the one seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from anygen import AnyGenPipeline
from anygen.generators.mel import MelConfig, mel_spectrogram

PICTURES = (
    "a large red bell on grass", "a small blue car on white", "a large yellow star at night", "a green cat in the sky",
    "a large pink triangle on black", "an orange fish on gray", "a large purple house on grass", "a brown dog on white",
    "a large white moon at night", "a small red boat in the sky", "a large blue bird on gray", "a yellow flower on grass",
)  # fmt: skip
FILMS = ("a red ball moving left on grass", "a large blue rocket moving up at night", "a yellow star spinning on black")
SOUNDS = ("the sound of a bell", "the sound of a dog", "the sound of an ambulance", "a high rising tone")
CELL, GAP, TEXT = 160, 10, 18
INK, PAPER = (40, 40, 48), (255, 255, 255)


def spectrogram(waveform: np.ndarray) -> Image.Image:
    """Samples (S,) at 16 kHz -> their log-mel spectrogram in dark blue to yellow."""
    mel = mel_spectrogram(torch.from_numpy(waveform)[None], MelConfig())[0].numpy().T[::-1]
    level = np.clip((mel + 1) / 2, 0, 1)[..., None]
    dark, bright = np.array([16, 18, 56]), np.array([255, 226, 92])
    return Image.fromarray((dark + (bright - dark) * level**1.5).astype(np.uint8))


def labelled(picture: Image.Image, words: str, width: int) -> Image.Image:
    """A picture scaled to a width, and to no more than a height of CELL, over its prompt."""
    height = min(CELL, round(picture.height * width / picture.width))
    cell = Image.new("RGB", (width, height + TEXT), PAPER)
    cell.paste(picture.resize((width, height), Image.Resampling.LANCZOS))
    ImageDraw.Draw(cell).text((2, height + 2), words, fill=INK, font_size=11)
    return cell


def stack(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of cells, left aligned, with a gap around each."""
    width = max(sum(cell.width + GAP for cell in row) for row in rows) + GAP
    heights = [max(cell.height for cell in row) + GAP for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + GAP), PAPER)
    y = GAP
    for row, height in zip(rows, heights, strict=True):
        x = GAP
        for cell in row:
            sheet.paste(cell, (x, y))
            x += cell.width + GAP
        y += height
    return sheet


def main() -> None:
    """Ask, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/gallery.png"))
    arguments = parser.parse_args()
    pipe = AnyGenPipeline.from_pretrained(arguments.model)

    def answers(prompts: tuple[str, ...], modality: str) -> list:
        return pipe(list(prompts), modalities=[modality], seed=arguments.seed)

    pictures = [
        labelled(out.images[0], words, CELL) for words, out in zip(PICTURES, answers(PICTURES, "image"), strict=True)
    ]
    films = [
        labelled(Image.fromarray(np.concatenate(list(out.videos[0].frames), axis=1)), words, 8 * CELL * 3 // 4)
        for words, out in zip(FILMS, answers(FILMS, "video"), strict=True)
    ]
    sounds = [
        labelled(spectrogram(out.audios[0].waveform), words, 3 * CELL // 2)
        for words, out in zip(SOUNDS, answers(SOUNDS, "audio"), strict=True)
    ]
    rows = [pictures[:6], pictures[6:], *([film] for film in films), sounds]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    stack(rows).save(arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
