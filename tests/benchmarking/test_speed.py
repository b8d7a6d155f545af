"""Timings: tables of the right form, and options that reach them."""

import argparse

import pytest
import torch

from skgdpd.benchmarking import speed
from skgdpd.benchmarking.timing_commands import _run_all, add_timings


def cells(table):
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return rows[0], rows[2:]


def test_a_step_s_table_on_a_cpu():
    titles, ((name, *numbers),) = cells(speed.training_step_table(["lstm1-8"], 1, "cpu"))
    assert len(titles) == 5
    assert name == "`lstm1-8`"
    assert len(numbers) == 4
    assert all(float(number) > 0 for number in numbers)


def test_a_step_s_table_on_cuda(monkeypatch):
    monkeypatch.setattr(speed, "compare_step", lambda *_: speed.StepTimes(0.512, 1.04, 4.2))
    titles, ((_, *numbers),) = cells(speed.training_step_table(["fcn"], 1, "cuda"))
    assert titles[1:4] == ["plain, labels (ms)", "eager", "graph faster"]
    assert numbers == ["0.512", "1.04", "4.20"] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_step_is_timed_on_cuda():
    step = speed.compare_step("lstm1-8", True, 2, torch.device("cuda"))
    assert step.plain > 0
    assert step.faster > 0


def test_the_device_reaches_the_parts_that_have_one():
    seen = {}
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_timings(commands)
    for name in ("step", "threads"):
        commands.choices[name].set_defaults(run=lambda o, name=name: seen.update({name: vars(o)}))
    options = parser.parse_args(["speed", "step", "threads", "--device", "cuda:1"])
    options.run(options)
    assert seen["step"]["device"] == "cuda:1"
    assert "device" not in seen["threads"]
    with pytest.raises(ValueError, match="no part \\['nonsense'\\]"):
        _run_all(commands, ["nonsense"], ["step"], "cpu")
