"""The whole recipe in miniature: one call, from an empty folder to a model that answers, and the same again after stops."""

from dataclasses import replace

import pytest

from anygen.nano.training import alignment, autoencoders, caption_encoder, decoder, denoisers, encoder, llm, run, sampling
from anygen.nano.training.encoder import TrainingPlan
from anygen.nano.training.run import steps, train

COUNT = 160
"""Media of a pool: enough that most dialogues find theirs."""


@pytest.fixture
def miniature(monkeypatch):
    """The recipe with two optimiser steps where it has thousands, and pools of a few media."""
    short = {"steps": 2, "warmup_steps": 1}
    monkeypatch.setattr(caption_encoder, "LOOP", replace(caption_encoder.LOOP, **short))
    monkeypatch.setattr(decoder, "LOOP", replace(decoder.LOOP, **short))
    monkeypatch.setattr(run, "LLM_LOOP", replace(llm.LOOP, **short))
    for module in (autoencoders, denoisers, alignment):
        monkeypatch.setattr(module, "LOOPS", {name: replace(loop, **short) for name, loop in module.LOOPS.items()})
    monkeypatch.setattr(run, "TrainingPlan", lambda: TrainingPlan(sparse_steps=2, whole_steps=2))
    monkeypatch.setattr(encoder, "BATCH", {"image": 4, "video": 4, "audio": 4})
    monkeypatch.setattr(alignment, "BATCH_SIZE", 4)
    monkeypatch.setattr(run, "POOLS", {m: replace(pool, count=COUNT) for m, pool in run.POOLS.items()})
    monkeypatch.setattr(sampling, "NUM_SCENES", dict.fromkeys(sampling.NUM_SCENES, 2))
    monkeypatch.setattr(sampling, "SCALES", (2.0,))


@pytest.mark.slow
def test_one_call_from_nothing_makes_a_model_that_answers(miniature, tmp_path):
    from anygen import AnyGenPipeline

    train(work_dir=tmp_path, minutes=0)  # stops in the first step that counts minutes
    assert not (tmp_path / "export").exists()
    train(work_dir=tmp_path)
    for name, step in steps().items():
        assert (tmp_path / step.result).exists(), name
    made = AnyGenPipeline.from_pretrained(tmp_path / "export")
    few = {modality: {"num_inference_steps": 2} for modality in ("image", "video", "audio")}
    reply = made("A RED BELL", modalities=["image", "video", "audio"], seed=0, **few)
    assert [part.type for part in reply.parts if part.type != "text"] == ["image", "video", "audio"]
    assert made.model.backbone.config.lowercase_users
