"""The optimisation loop: it lowers a loss, a resumed run is the unbroken one, and a start is where it begins."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from anygen.nano.training.loop import START_FILE, LoopConfig, fit, python_random


def problem(seed=0):
    """A linear model and its loss on random data of the step."""
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)

    def loss_of_step(generator):
        x = torch.randn(8, 3, generator=generator)
        return {"loss": (model(x) - x.sum(dim=1, keepdim=True)).pow(2).mean()}

    return model, loss_of_step


CONFIG = LoopConfig(steps=60, learning_rate=0.1, warmup_steps=5, log_every=20, checkpoint_minutes=0.0)


def test_it_lowers_the_loss_and_logs_every_few_steps(tmp_path):
    model, loss_of_step = problem()
    assert fit(model, loss_of_step, CONFIG, folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[-1]["loss"] < 0.05 * lines[0]["loss"]


def test_a_resumed_run_ends_where_the_unbroken_one_does(tmp_path):
    whole, loss_of_step = problem()
    fit(whole, loss_of_step, CONFIG, folder=tmp_path / "whole")
    broken, loss_of_step = problem()
    assert not fit(broken, loss_of_step, CONFIG, folder=tmp_path / "broken", minutes=0.0)
    again, loss_of_step = problem(seed=7)
    assert fit(again, loss_of_step, CONFIG, folder=tmp_path / "broken")
    assert torch.equal(whole.weight, again.weight)


def test_the_average_is_what_a_run_ends_with(tmp_path):
    from dataclasses import replace

    model, loss_of_step = problem()
    fit(model, loss_of_step, replace(CONFIG, ema_decay=0.9), folder=tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert torch.equal(model.weight, state["average"]["weight"])
    assert not torch.equal(state["average"]["weight"], state["module"]["weight"])


def test_a_new_run_begins_with_its_start(tmp_path):
    save_file({"weight": torch.full((1, 3), 5.0)}, tmp_path / START_FILE)
    model, _ = problem()
    fit(model, lambda generator: {"loss": 0 * model.weight.sum()}, CONFIG, folder=tmp_path)
    assert model.weight.mean().item() == pytest.approx(5.0, rel=0.1)  # weight decay takes a little


def test_a_start_with_unknown_tensors_is_refused(tmp_path):
    save_file({"weights": torch.zeros(1)}, tmp_path / START_FILE)
    model, loss_of_step = problem()
    with pytest.raises(ValueError, match="weights.*Linear has not"):
        fit(model, loss_of_step, CONFIG, folder=tmp_path)


def test_nothing_to_train_is_refused(tmp_path):
    model, loss_of_step = problem()
    with pytest.raises(ValueError, match="nothing to train"):
        fit(model.requires_grad_(False), loss_of_step, CONFIG, folder=tmp_path)


def test_a_step_that_is_not_finite_is_skipped(tmp_path):
    model, _ = problem()
    before = model.weight.clone()
    fit(model, lambda generator: {"loss": model.weight.sum() * float("nan")}, CONFIG, folder=tmp_path)
    assert torch.equal(model.weight, before)


def test_the_schedule_warms_up_and_falls_to_a_hundredth():
    assert CONFIG.rate(0) == pytest.approx(0.02)
    assert CONFIG.rate(5) == pytest.approx(0.1)
    assert CONFIG.rate(60) == pytest.approx(0.001)


def test_python_random_follows_the_generator():
    draws = [python_random(torch.Generator().manual_seed(seed)).random() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
