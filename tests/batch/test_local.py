"""The local engine's bookkeeping with a quick stand-in for the model: deaths, retries, order of work, memory.

What answers here is not the model but a small function in the same processes; `test_run.py` has the real one.
"""

import os
import signal
from functools import partial

import numpy as np
import pytest

from anygen.batch.items import BatchItem
from anygen.batch.local import LocalEngine
from anygen.batch.processes import Pool
from anygen.batch.work import Chunk, EngineSettings
from anygen.errors import AnyGenError
from anygen.media.types import Audio
from anygen.outputs import AnyGenOutput, OutputPart


class Echo:
    """Answers with the prompt; "poison" kills the process, "fragile" only where it is not alone, "broken" is no sound."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, asked):
        prompts = [item.prompt for item, _ in asked]
        with open(self.folder / "calls", "a") as file:
            file.write(f"{len(asked)}\n")
        if "poison" in prompts or ("fragile" in prompts and len(prompts) > 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return [self.answer(prompt) for prompt in prompts]

    def answer(self, prompt):
        if prompt == "bad":
            return AnyGenError("out_of_memory", "too much")
        parts = [OutputPart(type="text", text=prompt)]
        if prompt in ("sound", "broken"):
            waveform = np.full(100, np.nan if prompt == "broken" else 0.1, np.float32)
            parts.append(OutputPart(type="audio", media=Audio(waveform=waveform, sampling_rate=8000)))
        return AnyGenOutput(parts=tuple(parts), seed=0, provenance={"model": "echo"})


@pytest.fixture
def answer(tmp_path):
    def answer(prompts, *, batch_size=4, workers=1, wanted=None):
        items = [
            prompt if isinstance(prompt, BatchItem) else BatchItem(id=str(index), messages=prompt)
            for index, prompt in enumerate(prompts)
        ]
        names = frozenset(item.name for item in items if wanted is None or item.id in wanted)
        pieces = [items[i : i + batch_size] for i in range(0, len(items), batch_size)]
        chunks = (Chunk(items=piece, wanted=names & {item.name for item in piece}) for piece in pieces)
        settings = EngineSettings(model="", seed=0, batch_size=batch_size, workers=workers, folder=tmp_path)
        engine = LocalEngine(settings)
        engine.models = Pool([partial(Echo, tmp_path)] * workers, name="echo", log_file=tmp_path / "run.log")
        ended = list(engine.run(chunks))
        assert len({each.item.id for each in ended}) == len(ended)
        return {each.item.id: each.outcome for each in ended}

    return answer


def code(outcome) -> str | None:
    return outcome.code if isinstance(outcome, AnyGenError) else None


def test_every_wanted_item_ends_once(answer, tmp_path):
    ended = answer(["a", "sound", "bad", "d", "broken", "f"])
    assert {id: code(outcome) for id, outcome in ended.items()} == {
        "0": None, "1": None, "2": "out_of_memory", "3": None, "4": "generation_not_finite", "5": None,
    }  # fmt: skip
    assert ended["0"].text == "a" and ended["1"].parts[1]["path"].startswith("media/")
    assert (tmp_path / ended["1"].parts[1]["path"]).exists()
    assert not list(tmp_path.rglob("*.part"))


def test_an_item_that_kills_its_process_ends_alone(answer, tmp_path):
    ended = answer(["a", "poison", "c", "d", "e", "fragile", "g"])
    assert {id for id, outcome in ended.items() if code(outcome)} == {"1"} and code(ended["1"]) == "worker_died"
    calls = [int(line) for line in (tmp_path / "calls").read_text().split()]
    assert calls[:2] == [4, 4] and calls.count(1) == 4 + 3  # twice whole, then one by one


def test_an_item_whose_medium_is_bad_does_not_reach_the_model(answer, tmp_path):
    shown = [{"role": "user", "content": [{"type": "image", "image": b"\0" * 99}, {"type": "text", "text": "x"}]}]
    only_bad = [BatchItem(id=id, messages=shown) for id in ("p", "q")]
    ended = answer([BatchItem(id="o", messages=[5]), *only_bad, BatchItem(id="r", messages=shown), "a", "b"])
    assert [code(ended[id]) for id in "opqr"] == ["invalid_request", *["media_unreadable"] * 3]
    assert ended["4"].text == "a" and (tmp_path / "calls").read_text().split() == ["2"]


def test_a_chunk_is_answered_whole_and_only_what_is_missing_is_written(answer, tmp_path):
    ended = answer(["sound", "sound", "a"], wanted={"1"})
    assert list(ended) == ["1"] and (tmp_path / "calls").read_text().split() == ["3"]
    assert len(list((tmp_path / "media").rglob("*.wav"))) == 1


def test_a_disk_that_is_full_ends_the_run(answer, tmp_path):
    (tmp_path / "media").write_text("in the way")
    with pytest.raises(AnyGenError) as raised:
        answer(["a", "sound"])
    assert raised.value.code == "storage_error"


def test_chunks_are_read_as_they_are_needed(tmp_path):
    """Of a thousand chunks no more than a few are held at once."""
    read, ended = [], []

    def chunks():
        for number in range(1000):
            read.append(number)
            item = BatchItem(id=str(number), messages="x")
            yield Chunk(items=[item], wanted=frozenset([item.name]))

    engine = LocalEngine(EngineSettings(model="", seed=0, batch_size=1, workers=1, folder=tmp_path))
    engine.models = Pool([partial(Echo, tmp_path)], name="echo", log_file=tmp_path / "run.log")
    for each in engine.run(chunks()):
        ended.append(each)
        assert len(read) - len(ended) <= 2
    assert len(ended) == 1000
