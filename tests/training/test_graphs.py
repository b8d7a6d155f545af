"""Steps that are captured and replayed train what steps that are not would have trained."""

import gc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tapes import TapeRecorder
from torch import nn
from trainings import (
    CPU,
    DISTILLERS,
    assert_same,
    linear,
    make_objective,
    make_rows,
    make_student,
    outcome,
    prior,
    searched,
)

import training_steps
from skgdpd import (
    DiffusionFeaturePrior,
    GDPDClassifier,
    PrefixClassifier,
    TrainingOptions,
    config_context,
)
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GDPD, Distillation, Hinton, SeriesObjective, TeKAP
from skgdpd.nets import available_backbones
from skgdpd.training import TrainingConfig, graphs, train
from skgdpd.training.batches import RowBatches, StreamedRows
from skgdpd.training.capture import WARM_UP, NotCapturable
from skgdpd.training.fitting import isolated_random_state
from skgdpd.training.graphs import refusal
from skgdpd.training.net import TermNet


@pytest.fixture
def recorder(monkeypatch):
    """Recording on the CPU, for those steps that a test asks for."""
    tapes = TapeRecorder()
    monkeypatch.setattr(graphs, "recorder_for", lambda device: tapes)
    return tapes


@pytest.fixture
def opened(monkeypatch):
    """The graphs of all trainings of a test, None where there were none."""
    found = []
    original = TermNet.begin

    def begin(self, X):
        original(self, X)
        found.append(self.graphs_)

    monkeypatch.setattr(TermNet, "begin", begin)
    return found


# Equal to eager


@pytest.mark.parametrize("backbone", available_backbones())
def test_every_backbone_learns_the_same(recorder, backbone):
    changes = {"n": 24, "max_epochs": 5}
    assert_same(outcome(False, backbone, **changes), outcome("auto", backbone, **changes))
    assert recorder.n_records == 2  # the step and the validation
    assert recorder.n_replays == 14


def test_each_chunk_of_partial_fit_is_captured_anew(recorder):
    X, y = make_bumps(40, 20, random_state=0)

    def after_two_chunks(setting):
        clf = PrefixClassifier("lstm1-8", batch_size=8, random_state=0)
        with config_context(cuda_graphs=setting):
            for _ in range(2):
                clf.partial_fit(X, y, classes=[0, 1])
        return clf.predict_proba(X)

    np.testing.assert_array_equal(after_two_chunks(False), after_two_chunks("auto"))
    assert recorder.n_records == 2
    assert recorder.n_replays == 4  # of five steps of a chunk, three are not captured


def test_batches_of_two_sizes(recorder):
    assert_same(outcome(False, n=22), outcome("auto", n=22))
    assert recorder.n_records == 3


@pytest.mark.parametrize("backbone", ["fcn", "inception", "lstm1-8"])
def test_ragged_series_too(recorder, backbone):
    changes = {"n": 24, "max_epochs": 5, "lengths": True}
    assert_same(outcome(False, backbone, **changes), outcome("auto", backbone, **changes))
    assert recorder.n_records == 2


@pytest.mark.parametrize("name", DISTILLERS)
def test_every_distiller_teaches_the_same(recorder, name):
    changes = {"distiller": DISTILLERS[name], "n": 24, "max_epochs": 6, "student": linear}
    plain = outcome(False, **changes)
    assert_same(plain, outcome(True, **changes))
    assert recorder.n_records in (2, 3, 4)  # one phase to three, and the validation


@pytest.mark.parametrize(
    ("degradation", "settings"),
    [
        ("learned-alpha", {}),
        ("linear-gaussian", {}),
        ("matched-noise", {}),
        ("none", {}),
        ("linear-gaussian", {"denoiser": "gmm"}),
    ],
)
def test_gdpd_before_and_after_its_warmup(recorder, degradation, settings):
    distiller = GDPD(
        prior(degradation, **settings), warmup_epochs=2, recalibrate_every=3, hinton_weight=0.5
    )
    changes = {"distiller": distiller, "n": 24, "max_epochs": 9, "student": linear}
    assert_same(outcome(False, **changes), outcome("auto", **changes))
    assert recorder.n_records >= 3  # before and after, and the validation


@pytest.mark.parametrize(
    "changes",
    [
        {"prior_trainable": True},
        {"n_posterior_samples": 3, "objective": "logmeanexp"},
        {"lambda_kd": 0.0},
        {"warmup_epochs": 0},
    ],
    ids=str,
)
def test_gdpd_in_other_settings(recorder, changes):
    distiller = GDPD(**{"prior": prior(), "warmup_epochs": 2, **changes})
    changes = {"distiller": distiller, "n": 24, "student": linear}
    assert_same(outcome(False, **changes), outcome("auto", **changes))
    assert recorder.n_replays > 0


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant", "halving-per-batch"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_rates_that_change_in_each_step(recorder, schedule, optimizer):
    changes = {"lr_schedule": schedule, "optimizer": optimizer, "averaging_epochs": 0}
    changes |= {"n": 24, "student": linear}
    assert_same(outcome(False, **changes), outcome("auto", **changes))
    assert recorder.n_replays > 0


def test_dropout_draws_what_it_would_have_drawn(recorder):
    def student():
        return linear(nn.ReLU(), nn.Dropout(0.4))

    assert_same(outcome(False, student=student), outcome("auto", student=student))
    assert recorder.n_replays > 0


def test_half_precision(recorder):
    def student():
        return make_student("fcn", make_rows(), precision="bf16")

    assert_same(outcome(False, student=student), outcome("auto", student=student))
    assert recorder.n_replays > 0


def test_early_stopping(recorder):
    changes = {"max_epochs": 40, "patience": 2, "lr": 0.1}
    plain, replayed = outcome(False, **changes), outcome("auto", **changes)
    assert len(plain[1]["loss"]) < 40
    assert_same(plain, replayed)


@pytest.mark.parametrize("degradation", ["learned-alpha", "linear-gaussian"])
def test_a_whole_fit(recorder, opened, degradation, tmp_path):
    X, y = make_bumps(60, 20, noise=0.3, random_state=0)
    probabilities = []
    for setting in (False, "auto"):
        clf = GDPDClassifier(
            "fcn",
            student="lstm1-8",
            prior=DiffusionFeaturePrior(degradation=degradation, max_epochs=4),
            max_epochs=8,
            random_state=0,
            training=TrainingOptions(checkpoint_dir=tmp_path / str(setting)),
        )
        with config_context(cuda_graphs=setting):
            probabilities.append(clf.fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(*probabilities)
    teacher, prior_, student = opened[3:]
    assert opened[:3] == [None] * 3
    assert min(g.n_captured for g in (teacher, prior_, student)) > 0


# What is captured, and when


def test_each_size_and_each_phase_is_captured_once(recorder, opened):
    outcome("auto", n=24, max_epochs=WARM_UP)  # three batches of eight
    assert opened[-1].n_captured == 1
    assert opened[-1].reason is None
    outcome("auto", n=22, max_epochs=WARM_UP + 1)  # one of eight, two of seven
    assert opened[-1].n_captured == 2
    distiller = GDPD(prior(), warmup_epochs=3)
    outcome("auto", distiller=distiller, n=24, max_epochs=8)
    assert opened[-1].n_captured == 2
    outcome("auto", n=24, max_epochs=WARM_UP, batch_size=24)
    assert opened[-1].n_captured == 0


def test_a_measured_noise_level_that_moves_is_another_phase():
    student = make_student("fcn", make_rows())
    distiller = GDPD(prior("matched-noise"), warmup_epochs=0, recalibrate_every=1)
    objective = make_objective(distiller, student, make_rows(), 4)
    degradation = objective.distillation.degradation
    phases = set()
    for scale in (0.1, 10.0):
        measurement = objective.distillation._measurement.fit(
            scale * np.random.default_rng(0).normal(size=(22, 128))
            + objective.distillation._measurement.left[:, :1]
        )
        degradation.calibrate(replace(measurement, R=measurement.R * scale**4))
        phases.add(degradation.phase())
    assert len(phases) == 2


def test_measured_constants_stay_where_they_are():
    student = make_student("fcn", make_rows())
    objective = make_objective(GDPD(prior("linear-gaussian")), student, make_rows(), 4)
    distillation = objective.distillation
    rng = np.random.default_rng(0)
    places = []
    for _ in range(2):
        features = rng.normal(size=(22, student.head.in_features))
        distillation.degradation.calibrate(distillation._measurement.fit(features))
        places.append({n: b.data_ptr() for n, b in distillation.degradation.named_buffers()})
    assert len(places[0]) == 5
    assert places[0] == places[1]


def test_graphs_hold_nothing_after_the_training(recorder, opened):
    outcome("auto")
    (found,) = opened
    assert not found._kinds
    assert found.sums is None
    assert all(p.grad is None for p in found.parameters)


@pytest.fixture
def no_collector():
    """Only what nobody refers to is freed: memory on a device does not make the collector run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_graphs_are_freed_at_once(recorder, no_collector):
    outcome("auto", n=24, distiller=GDPD(prior(), warmup_epochs=2), student=linear)
    assert len(recorder.tapes) == 3
    assert [tape() for tape in recorder.tapes] == [None] * 3


def test_graphs_of_many_students_are_freed_at_once(recorder, no_collector):
    grid = {"lambda_kd": [0.5, 1.0], "warmup_epochs": [3]}
    searched("auto", "lstm1-8", grid, training__early_stopping=4, max_epochs=10)
    assert len(recorder.tapes) > 3
    assert not any(tape() for tape in recorder.tapes)


# Where nothing is captured


def reason(module=None, rows=None, batches=None, objective=None):
    rows = make_rows() if rows is None else rows
    modules = [make_student("fcn", rows) if module is None else module]
    modules.append(SeriesObjective() if objective is None else objective)
    return refusal(modules, rows, RowBatches(rows, 8) if batches is None else batches)


class Own(nn.Module):
    def forward(self, x):
        return x.flatten(1)


def test_nothing_speaks_against_what_is_known():
    for name in available_backbones():
        assert reason(make_student(name, make_rows())) is None


def test_layers_of_ones_own_have_to_be_asked_for():
    assert "Own is a layer of your own" in reason(nn.Sequential(Own()))
    with config_context(cuda_graphs=True):
        assert reason(nn.Sequential(Own())) is None


def test_dropout_within_recurrent_layers():
    assert "dropout within LSTM" in reason(nn.LSTM(2, 3, 2, dropout=0.1))
    assert "dropout within GRU" in reason(nn.GRU(2, 3, 2, dropout=0.1))
    assert reason(nn.LSTM(2, 3, 2)) is None


@pytest.mark.parametrize(
    "hook",
    [
        lambda m: m.register_forward_hook(lambda *_: None),
        lambda m: m.register_forward_pre_hook(lambda *_: None),
        lambda m: m.register_full_backward_hook(lambda *_: None),
        lambda m: m.register_full_backward_pre_hook(lambda *_: None),
        lambda m: m.weight.register_hook(lambda _: None),
        lambda m: m.weight.register_post_accumulate_grad_hook(lambda _: None),
    ],
)
def test_hooks(hook):
    module = nn.Linear(2, 2)
    assert reason(module) is None
    handle = hook(module)
    assert "hooks" in reason(module)
    handle.remove()
    assert reason(module) is None


def test_rows_that_are_read_for_each_batch():
    rows = StreamedRows(lambda index: {"x": torch.zeros(len(index), 1, 12)}, y=torch.zeros(22))
    assert "don't fit into memory" in reason(nn.Linear(2, 2), rows)


def test_batches_of_another_kind():
    assert "list" in reason(batches=[{}])


def test_autocast_around_the_training():
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in reason()
    assert reason() is None


def test_processes_that_share_batches(monkeypatch):
    monkeypatch.setattr(graphs, "is_shared", lambda: True)
    assert "shared among processes" in reason()


class Counting(Distillation):
    """A term that changes with each call, which nothing but Python knows."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def terms(self, student, output, batch, step):
        self.n += 1
        return {"counting": self.n * output.features.square().mean()}


class Declared(Counting):
    """It says what it depends on, and so is recorded with the number of its first calls."""

    def phase(self, step):
        return ()


class Inherits(Declared):
    """What the class above says is not said of this one."""


def trained(setting, distillation):
    student = make_student("fcn", make_rows())
    config = TrainingConfig(max_epochs=4, batch_size=8)
    with config_context(cuda_graphs=setting), isolated_random_state(0, CPU):
        return train(student, SeriesObjective(distillation), make_rows(), config)["loss"]


@pytest.mark.parametrize("kind", [Counting, Inherits])
def test_a_distillation_that_declares_nothing_is_never_captured(recorder, opened, kind):
    plain = trained(False, kind())
    np.testing.assert_array_equal(trained("auto", kind()), plain)
    assert opened[-1] is None
    with pytest.warns(UserWarning, match="does not declare"):
        np.testing.assert_array_equal(trained(True, kind()), plain)
    assert recorder.n_records == 0


def test_a_distillation_that_declares_its_phase_is_captured(recorder, opened):
    trained("auto", Declared())
    assert recorder.n_records > 0
    assert opened[-1].reason is None


class Doubled(Hinton):
    """A loss of one's own that is the same in each step."""

    def loss(self, output, batch):
        return 2 * super().loss(output, batch)


def test_a_loss_of_ones_own_has_to_be_asked_for(recorder, opened):
    changes = {"distiller": Doubled(), "n": 24}
    plain = outcome(False, **changes)
    assert_same(plain, outcome("auto", **changes))
    assert recorder.n_records == 0
    assert_same(plain, outcome(True, **changes))
    assert recorder.n_records > 0


class Waiting(Hinton):
    """A loss that waits for the device."""

    def loss(self, output, batch):
        factor = 1.0 if float(output.logits.detach().sum()) > 1e9 else 2.0
        return factor * super().loss(output, batch)


@pytest.mark.parametrize("blind", [False, True])
def test_steps_that_wait_for_the_device(monkeypatch, opened, blind):
    recorder = TapeRecorder(blind)
    monkeypatch.setattr(graphs, "recorder_for", lambda device: recorder)
    plain = outcome(False, distiller=Waiting())
    with pytest.warns(UserWarning, match="not captured in a CUDA graph.*_local_scalar_dense"):
        other = outcome(True, distiller=Waiting())
    assert_same(plain, other)
    assert opened[-1].n_captured == 0


class FailsLater(TapeRecorder):
    """Records once, and then no more."""

    def record(self, function, generators):
        if self.n_records:
            raise NotCapturable("out of memory")
        return super().record(function, generators)


def test_a_later_capture_that_fails_ends_all(monkeypatch, opened):
    plain = outcome(False, distiller=TeKAP(), student=linear)
    recorder = FailsLater()
    monkeypatch.setattr(graphs, "recorder_for", lambda device: recorder)
    with pytest.warns(UserWarning, match="out of memory"):
        assert_same(plain, outcome("auto", distiller=TeKAP(), student=linear))
    assert recorder.n_replays > 0
    assert opened[-1].reason == "out of memory"

    plain = searched(False, "lstm1-8", {"lambda_kd": [1.0, 2.0]}, max_epochs=10, batch_size=15)
    recorder = FailsLater()
    with pytest.warns(UserWarning, match="out of memory"):
        other = searched(
            "auto", "lstm1-8", {"lambda_kd": [1.0, 2.0]}, max_epochs=10, batch_size=15
        )
    for ours, theirs in zip(other.histories_, plain.histories_, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-6)


def test_the_benchmark_s_program_is_captured(recorder):
    program = training_steps.package_program("lstm1-8", None, CPU, True)
    for _ in range(2):
        program()
    assert recorder.n_records == 1
    assert recorder.n_replays > 0


@pytest.mark.parametrize(
    ("distiller", "expected"), [(None, "none on cpu"), (Hinton(), "none on cpu")]
)
def test_asking_for_a_graph_where_there_is_none_says_why(distiller, expected):
    with pytest.warns(UserWarning, match=expected):
        outcome(True, distiller=distiller)


def test_on_a_cpu_nothing_is_tried(opened):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome("auto")
    assert opened == [None]


def test_the_switch(recorder, opened):
    outcome(False)
    assert opened == [None]
    with config_context(cuda_graphs=False):
        outcome("auto")
        assert opened[-1] is not None
    outcome("auto")
    assert recorder.n_records > 0


@pytest.mark.parametrize("setting", ["on", 1, 1.5, "True"])
def test_the_switch_has_three_positions(setting):
    with (
        pytest.raises(ValueError, match="cuda_graphs must be 'auto', True or False"),
        config_context(cuda_graphs=setting),
    ):
        pass


# Many students at once


@pytest.mark.parametrize("student", ["lstm1-8", pytest.param("fcn", marks=pytest.mark.slow)])
@pytest.mark.parametrize("degradation", ["learned-alpha", "linear-gaussian"])
def test_students_trained_together(recorder, student, degradation):
    grid = {"lambda_kd": [0.0, 1.0, 3.0], "warmup_epochs": [2, 5]}
    settings = {
        "prior": DiffusionFeaturePrior(encoder="pca", degradation=degradation, max_epochs=2),
        "hinton_weight": 0.5,
    }
    plain = searched(False, student, grid, **settings)
    before = recorder.n_replays
    replayed = searched("auto", student, grid, **settings)
    assert recorder.n_replays > before
    for ours, theirs in zip(replayed.histories_, plain.histories_, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert list(a) == list(b)
            for name in a:
                np.testing.assert_allclose(a[name], b[name], rtol=1e-6, err_msg=name)


def test_students_that_leave_early(recorder):
    grid = {"lr": [1e-3, 0.3], "lambda_kd": [0.0, 1.0], "warmup_epochs": [3]}
    settings = {"training__early_stopping": 2, "max_epochs": 16}
    plain = searched(False, "lstm1-8", grid, **settings)
    replayed = searched("auto", "lstm1-8", grid, **settings)
    lengths = {h.n_epochs for histories in plain.histories_ for h in histories}
    assert len(lengths) > 1
    for ours, theirs in zip(replayed.histories_, plain.histories_, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-6)
