"""How often nano names its world's things in drawings, photographs, animations and recordings that it did not draw.

    python benchmarks/real_input.py FOLDER [--model nano] [--things 80] [--others 20]

FOLDER holds `concepts.jsonl`, one object a line: `concept`, `slug`, `names`, and `images`, `videos`, `audios`, each a list of
{"file": path in FOLDER}. Files of things of nano's world are asked about and scored, those of other things only asked
about: nothing may fail. The same files each time; words are decoded greedily.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from pathlib import Path

from anygen import AnyGenError, AnyGenPipeline
from anygen.nano.world.scene import SOUNDING_THINGS, THINGS
from anygen.nano.world.words import NOUNS

KINDS = {"image": "images", "video": "videos", "audio": "audios"}
QUESTION = {"type": "text", "text": "what is this?"}
WORDS = {thing: {thing, *(word for forms in NOUNS[thing] for word in forms)} for thing in THINGS}
"""Thing -> its names, singular and plural."""


def files_of(folder: Path) -> dict[str, list[tuple[str | None, Path]]]:
    """Modality -> (thing of nano's world, or None; file)."""
    files = defaultdict(list)
    for line in (folder / "concepts.jsonl").read_text(encoding="utf-8").splitlines():
        concept = json.loads(line)
        called = {name.lower() for name in (concept["concept"], concept["slug"].replace("-", " "), *concept["names"])}
        thing = next((thing for thing, words in WORDS.items() if words & called), None)
        for modality, kind in KINDS.items():
            known = thing if modality != "audio" or thing in SOUNDING_THINGS else None
            files[modality] += [(known, folder / medium["file"]) for medium in concept.get(kind, ())]
    return files


def main() -> None:
    """Ask, score, print a line a modality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--things", type=int, default=80, help="files a modality that show things of nano's world, at most")
    parser.add_argument("--others", type=int, default=20, help="files a modality that do not, at most")
    arguments = parser.parse_args()
    pipe, rng = AnyGenPipeline.from_pretrained(arguments.model), random.Random(0)
    for modality, files in files_of(arguments.folder).items():
        of_world = [file for file in files if file[0]]
        others = [file for file in files if not file[0]]
        chosen = rng.sample(of_world, min(len(of_world), arguments.things))
        chosen += rng.sample(others, min(len(others), arguments.others))
        named, scored, failed, slowest = 0, 0, 0, 0.0
        for thing, file in chosen:
            started = time.perf_counter()
            try:
                content = [{"type": modality, modality: str(file)}, QUESTION]
                reply = pipe([{"role": "user", "content": content}], modalities=["text"], seed=0)
            except AnyGenError as error:
                failed += 1
                print(f"{file}: {error}")
                continue
            slowest = max(slowest, time.perf_counter() - started)
            scored += thing is not None
            named += thing is not None and any(word in reply.text for word in WORDS[thing])
        print(f"{modality:6} named {named} of {scored}; {len(chosen)} asked, {failed} failed, slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
