"""On CUDA: steps that are captured train what steps that are not train, and no step waits."""

import gc
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from trainings import DISTILLERS, linear, make_rows, make_student, outcome, prior, searched

from skgdpd import GDPDClassifier, PrefixClassifier, config_context
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GDPD, Hinton
from skgdpd.nets import available_backbones
from skgdpd.training import capture, graphs
from skgdpd.training.net import TermNet

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")

CUDA = torch.device("cuda")
LONG = {"n": 24, "max_epochs": 6, "device": CUDA}
GDPD_AFTER_WARMUP = GDPD(prior(), warmup_epochs=2)


@pytest.fixture
def captured(monkeypatch):
    """Numbers of captures of all trainings of a test."""
    found = []
    original = TermNet.close_graphs

    def close(self):
        found.append(0 if self.graphs_ is None else self.graphs_.n_captured)
        original(self)

    monkeypatch.setattr(TermNet, "close_graphs", close)
    return found


def assert_close(a, b, rtol=1e-3, atol=1e-4):
    for name in ("loss", "valid_loss"):
        np.testing.assert_allclose(a[1][name], b[1][name], rtol=rtol, atol=atol)
    assert torch.isfinite(torch.cat([t.flatten().float() for t in a[0].values()])).all()


@pytest.mark.parametrize("taught", [False, True], ids=["labels", "gdpd"])
@pytest.mark.parametrize("backbone", available_backbones())
def test_captured_steps_give_the_same_losses(captured, backbone, taught):
    changes = {**LONG, "distiller": GDPD_AFTER_WARMUP if taught else None}
    plain = outcome(False, backbone, **changes)
    captured.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replayed = outcome(True, backbone, **changes)
    assert captured[-1] == (2 if taught else 1)
    assert_close(plain, replayed)


@pytest.mark.parametrize("name", DISTILLERS)
def test_every_distiller_is_captured(captured, name):
    changes = {**LONG, "distiller": DISTILLERS[name], "student": linear}
    plain = outcome(False, **changes)
    captured.clear()
    assert_close(plain, outcome(True, **changes))
    assert captured[-1] > 0


@pytest.mark.parametrize("degradation", ["linear-gaussian", "matched-noise", "none"])
def test_measured_degradations(captured, degradation):
    distiller = GDPD(prior(degradation), warmup_epochs=2, recalibrate_every=2)
    changes = {**LONG, "max_epochs": 10, "distiller": distiller, "student": linear}
    assert_close(outcome(False, **changes), outcome(True, **changes))
    assert captured[-1] > 0


@pytest.mark.parametrize("backbone", ["inception", "lstm"])
def test_ragged_series(captured, backbone):
    changes = {**LONG, "lengths": True}
    assert_close(outcome(False, backbone, **changes), outcome(True, backbone, **changes))
    assert captured[-1] == 1


def test_dropout_draws_what_it_would_have_drawn(captured):
    changes = {**LONG, "student": lambda: linear(torch.nn.Dropout(0.5))}
    assert_close(outcome(False, **changes), outcome(True, **changes))
    assert captured[-1] == 1


def test_half_precision(captured):
    changes = {**LONG, "student": lambda: make_student("fcn", make_rows(), precision="bf16")}
    assert_close(outcome(False, **changes), outcome(True, **changes), rtol=0.05, atol=0.01)
    assert captured[-1] == 1


@pytest.mark.parametrize("setting", [False, "auto"])
def test_the_same_seed_gives_the_same_losses(setting):
    changes = {**LONG, "distiller": GDPD_AFTER_WARMUP}
    first, second = (outcome(setting, "lstm2-32", **changes) for _ in range(2))
    assert_close(first, second, rtol=1e-4, atol=1e-5)


# Waiting


@contextmanager
def waiting_forbidden():
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@pytest.fixture
def no_waits(monkeypatch):
    """Steps of each epoch but the first may not wait for the device, nor may replays."""
    original = TermNet._run_steps

    def run(self):
        captures = self.graphs_ is not None and self.epoch_ < 5
        if self.epoch_ == 0 or captures:
            return original(self)
        with waiting_forbidden():
            return original(self)

    monkeypatch.setattr(TermNet, "_run_steps", run)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("setting", [False, "auto"])
@pytest.mark.parametrize("backbone", available_backbones())
def test_no_step_of_a_backbone_waits_for_the_device(no_waits, backbone, setting):
    changes = {**LONG, "max_epochs": 8, "distiller": GDPD_AFTER_WARMUP}
    outcome(setting, backbone, **changes)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", DISTILLERS)
def test_no_step_of_a_distiller_waits_for_the_device(no_waits, name):
    outcome(False, **{**LONG, "distiller": DISTILLERS[name], "student": linear})


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("student", ["lstm1-8", "fcn"])
def test_no_step_of_many_students_waits_for_the_device(monkeypatch, student):
    from skgdpd._model_selection.batched.students import BatchedStudents

    original = BatchedStudents._step

    def step(self, rows):
        if self.n_steps < 3:
            return original(self, rows)
        with waiting_forbidden():
            return original(self, rows)

    monkeypatch.setattr(BatchedStudents, "_step", step)
    searched(False, student, {"lambda_kd": [0.5, 1.0]}, device="cuda", hinton_weight=0.5)


# What can't be captured


class Waiting(Hinton):
    """A loss that waits for the device."""

    def loss(self, output, batch):
        factor = 1.0 if float(output.logits.detach().sum()) > 1e9 else 2.0
        return factor * super().loss(output, batch)


@pytest.mark.parametrize("blind", [False, True], ids=["noticed before", "capture breaks off"])
def test_a_step_that_waits_runs_as_it_is(monkeypatch, captured, blind):
    @contextmanager
    def unwatched(self):
        yield []

    # Dropout, for a capture that breaks off must leave generators usable.
    changes = {**LONG, "student": lambda: linear(torch.nn.Dropout(0.5)), "distiller": Waiting()}
    plain = outcome(False, **changes)
    if blind:
        monkeypatch.setattr(capture.CudaRecorder, "watching", unwatched)
    with pytest.warns(UserWarning, match="not captured in a CUDA graph"):
        other = outcome(True, **changes)
    assert captured[-1] == 0
    assert_close(plain, other)
    assert_close(outcome(False, **LONG), outcome("auto", **LONG))


def test_an_interrupted_capture_leaves_cuda_usable(monkeypatch):
    def interrupt(self, terms, n_rows):
        if torch.cuda.is_current_stream_capturing():
            raise KeyboardInterrupt
        return original(self, terms, n_rows)

    original = graphs.StepGraphs.add
    monkeypatch.setattr(graphs.StepGraphs, "add", interrupt)
    stream = torch.cuda.current_stream()
    with pytest.raises(KeyboardInterrupt):
        outcome("auto", student=lambda: linear(torch.nn.Dropout(0.5)), **LONG)
    monkeypatch.undo()
    assert torch.cuda.current_stream() == stream
    torch.rand(3, device=CUDA)
    assert_close(outcome(False, **LONG), outcome("auto", **LONG))


# Whole fits


@pytest.mark.parametrize("student", ["lstm1-8", "fcn"])
def test_students_trained_together(student):
    grid = {"lambda_kd": [0.0, 1.0, 3.0], "warmup_epochs": [2, 4]}
    plain = searched(False, student, grid, device="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replayed = searched(True, student, grid, device="cuda")
    for ours, theirs in zip(replayed.histories_, plain.histories_, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("student", ["fcn", "lstm2-32", "rocket"])
def test_a_fit_captures_teacher_prior_and_student(captured, student):
    X, y = make_bumps(60, 20, noise=0.3, random_state=0)
    clf = GDPDClassifier(
        "fcn", student=student, max_epochs=12, batch_size=16, random_state=0, device="cuda"
    )
    clf.fit(X, y)
    assert len(captured) == 3
    assert min(captured) > 0
    assert clf.score(X, y) > 0.5


def test_memory_is_given_back():
    X, y = make_bumps(200, 50, noise=0.3, random_state=0)

    def fitted():
        PrefixClassifier("inception", max_epochs=6, random_state=0, device="cuda").fit(X, y)
        gc.collect()
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()

    with config_context(cuda_graphs=True):
        first = fitted()
        assert fitted() <= first + 2**20
