"""Timings: tables of the right form, and options that reach them."""

import importlib
from pathlib import Path

import pytest
import torch

import saving
import timings
import training_steps

PROGRAMS = sorted(path.stem for path in Path(timings.__file__).parent.glob("*.py"))


def cells(table):
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return rows[0], rows[2:]


def test_a_step_s_table_on_a_cpu():
    titles, ((name, *numbers),) = cells(training_steps.training_step_table(["lstm1-8"], 1, "cpu"))
    assert len(titles) == 5
    assert name == "`lstm1-8`"
    assert len(numbers) == 4
    assert all(float(number) > 0 for number in numbers)


def test_the_table_of_saved_students():
    titles, ((name, *numbers),) = cells(saving.saving_table(["lstm1-8"], 1))
    assert len(titles) == 4
    assert name == "`lstm1-8`"
    assert all(float(number) > 0 for number in numbers)


def test_a_step_s_table_on_cuda(monkeypatch):
    monkeypatch.setattr(
        training_steps, "compare_step", lambda *_: training_steps.StepTimes(0.512, 1.04, 4.2)
    )
    titles, ((_, *numbers),) = cells(training_steps.training_step_table(["fcn"], 1, "cuda"))
    assert titles[1:4] == ["plain, labels (ms)", "eager", "graph faster"]
    assert numbers == ["0.512", "1.04", "4.20"] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_step_is_timed_on_cuda():
    step = training_steps.compare_step("lstm1-8", True, 2, torch.device("cuda"))
    assert step.plain > 0
    assert step.faster > 0


def test_the_device_reaches_the_parts_that_have_one(monkeypatch):
    given = {}
    for name in ("training_step_table", "thread_table"):
        monkeypatch.setattr(timings, name, lambda *args, name=name: given.update({name: args}))
    timings.main(["run", "step", "threads", "--device", "cuda:1"])
    assert given["training_step_table"][-1] == "cuda:1"
    assert len(given["thread_table"]) == 2
    with pytest.raises(ValueError, match="no command \\['nonsense'\\]"):
        timings.main(["run", "nonsense"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_can_be_imported_and_says_what_it_does(name):
    assert importlib.import_module(name).__doc__
