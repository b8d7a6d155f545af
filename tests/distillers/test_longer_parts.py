"""Distillers whose students are given longer parts of series in training."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd import DistilledPrefixClassifier, PrefixTruncator, SeriesOptions
from skgdpd._fitting.longer import longer_views, view_of
from skgdpd._series.panel import Panel
from skgdpd._series.views import Normalizer, PrefixView
from skgdpd.distillers import (
    AT,
    PACED,
    EarlinessCurriculum,
    Hinton,
    PrivilegedSelfTeacher,
    SeriesObjective,
)
from skgdpd.distillers.rows import of_part

SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, "device": "cpu"}


def fitted_view(X, earliness=0.5, how="train", **more):
    return PrefixView(earliness, Normalizer(how), None, **more).fit(Panel(X.astype("f4")))


@pytest.mark.parametrize("how", ["train", "prefix", None])
def test_a_part_is_what_a_view_of_that_part_shows(bumps, how):
    X = bumps[0].astype(np.float32)
    view = fitted_view(X, how=how)
    for n_points in (view.n_seen_, view.n_seen_ + 3, view.n_whole_):
        found = longer_views({"part": n_points}, view, Panel(X))
        assert set(found) == {"x_part"}
        own = fitted_view(X, earliness=n_points, how=how)
        own.normalizer = view.normalizer
        np.testing.assert_array_equal(found["x_part"], own(Panel(X)).values)
    assert view_of(view, view.n_whole_).normalizer is view.normalizer


def test_parts_of_series_that_differ_in_length_have_lengths(bumps):
    X = bumps[0].astype(np.float32).copy()
    X[3, :, 12:] = np.nan
    view = fitted_view(X)
    found = longer_views({"whole": view.n_whole_}, view, Panel(X))
    assert found["lengths_whole"][3] == 12
    assert found["lengths_whole"].max() == view.n_whole_
    assert (found["x_whole"][3, :, 12:] == 0).all()


def test_the_loss_is_that_of_both_answers():
    rows, output, student = make_rows(), make_output(), make_student()
    distillation = prepared(PrivilegedSelfTeacher(0.5, temperature=2.0), rows)
    whole = student(rows.tensors["x_whole"]).logits
    expected = nn.functional.cross_entropy(whole, rows.tensors["y"])
    expected = expected + Hinton(temperature=2.0).loss(output, {"teacher_logits": whole})
    (found,) = distillation.terms(student, output, rows.tensors, make_step()).values()
    torch.testing.assert_close(found, 0.5 * expected)


def test_no_gradient_flows_through_the_teachers_side():
    rows, output, student = make_rows(), make_output(), make_student()
    # Without labels nothing but the divergence is left.
    rows.tensors["y"] = torch.full((8,), -1)
    distillation = prepared(PrivilegedSelfTeacher(), rows)
    (loss,) = distillation.terms(student, output, rows.tensors, make_step()).values()
    loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in student.parameters())
    assert output.logits.grad.abs().max() > 0


def test_a_part_takes_its_own_lengths():
    batch = {"x": 1, "lengths": 2, "x_whole": 3, "lengths_whole": 4, "y": 5}
    assert of_part(batch, "whole") == {**batch, "x": 3, "lengths": 4}


@pytest.mark.parametrize("student", ["lstm1-8", "fcn24", "tcn", "inception"])
def test_networks_of_any_length_learn_from_whole_series(bumps, student):
    X, y = bumps
    params = {**SMALL, "student": student, "teacher": "lstm1-8"}
    clf = DistilledPrefixClassifier(PrivilegedSelfTeacher(), **params).fit(X, y)
    plain = DistilledPrefixClassifier(PrivilegedSelfTeacher(0.0), **params).fit(X, y)
    assert not np.array_equal(clf.predict_proba(X), plain.predict_proba(X))
    # And predict from first parts.
    n_seen = clf.network_.view.n_seen_
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(X[:, :, :n_seen]))


def test_series_of_unequal_length_and_resampled_ones_too(bumps):
    X, y = bumps[0].copy(), bumps[1]
    X[::3, :, 14:] = np.nan
    for options in (SeriesOptions(), SeriesOptions(resample_length=10)):
        clf = DistilledPrefixClassifier(PrivilegedSelfTeacher(), series=options, **SMALL)
        assert np.isfinite(clf.fit(X, y).predict_proba(X)).all()


class OneLength(nn.Module):
    """A network for the length that it is made for."""

    def __init__(self, n_channels, n_timepoints):
        super().__init__()
        self.layer = nn.Linear(n_channels * n_timepoints, 4)

    def forward(self, x):
        return self.layer(x.flatten(1))


@pytest.mark.parametrize("student", ["mixed", "rocket", OneLength], ids=str)
@pytest.mark.parametrize(
    "method", [PrivilegedSelfTeacher(), PACED(EarlinessCurriculum())], ids=str
)
def test_students_of_one_length_are_refused_by_name(bumps, method, student):
    clf = DistilledPrefixClassifier(method, **{**SMALL, "student": student, "teacher": "lstm1-8"})
    with pytest.raises(ValueError, match=r"student=.*takes one length; allowed are.*'lstm1-8'"):
        clf.fit(*bumps)


def test_a_module_of_one_length_learns_from_resampled_series(bumps):
    options = SeriesOptions(resample_length=10)
    params = {**SMALL, "student": OneLength, "teacher": "lstm1-8", "series": options}
    clf = DistilledPrefixClassifier(PrivilegedSelfTeacher(), **params).fit(*bumps)
    assert np.isfinite(clf.predict_proba(bumps[0])).all()


@pytest.mark.parametrize(
    ("earliness", "text"),
    [([0.3, 0.6], "teaches at one moment"), (PrefixTruncator(0.5), "a share or a number")],
    ids=["several", "transformer"],
)
def test_parts_that_have_no_longer_ones_are_refused(bumps, earliness, text):
    clf = DistilledPrefixClassifier(PrivilegedSelfTeacher(), earliness=earliness, **SMALL)
    with pytest.raises(ValueError, match=text):
        clf.fit(*bumps)


# The curriculum of prefixes


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 50), st.integers(0, 50), st.integers(1, 8), st.integers(1, 40))
def test_parts_shrink_evenly_from_the_whole_to_the_own(n_seen, more, n_stages, max_epochs):
    distiller = EarlinessCurriculum(n_stages=n_stages)
    parts = distiller.longer_parts(n_seen, n_seen + more)
    lengths = [parts.get(f"stage{k}", n_seen) for k in range(n_stages)]
    assert lengths[-1] == n_seen
    assert lengths[0] == (n_seen + more if n_stages > 1 else n_seen)
    assert np.ptp(np.diff(lengths)) <= 1 if n_stages > 1 else True
    distillation = prepared(distiller, make_rows(), max_epochs)
    stages = [distillation.stage(make_step(epoch)) for epoch in range(max_epochs)]
    assert stages[-1] == n_stages - 1
    if max_epochs >= n_stages:
        assert stages[0] == 0
        sizes = np.bincount(stages, minlength=n_stages)
        assert np.ptp(sizes) <= 1
    assert (np.diff(stages) <= 1).all()


def test_each_stage_shows_its_part():
    rows = make_rows(
        x_stage0=make_rows(seed=5).tensors["x"], x_stage1=make_rows(seed=6).tensors["x"]
    )
    distillation = prepared(EarlinessCurriculum(Hinton(), n_stages=3), rows, max_epochs=6)
    student = make_student()
    for epoch, name in enumerate(["x_stage0"] * 2 + ["x_stage1"] * 2 + ["x"] * 2):
        step = make_step(epoch)
        found = SeriesObjective(distillation).terms(student, rows.tensors, step)
        output = student(rows.tensors[name])
        ce = nn.functional.cross_entropy(output.logits, rows.tensors["y"])
        torch.testing.assert_close(found["ce"], ce)
        expected = Hinton().loss(output, rows.tensors)
        torch.testing.assert_close(found["earlinesscurriculum"], expected)
        assert distillation.phase(step)[0] == epoch // 2
    distillation.calibrating = False
    assert distillation.stage(make_step(0)) == 2


def test_the_curriculum_changes_what_is_learned_and_one_stage_does_not(bumps):
    X, y = bumps
    params = {**SMALL, "max_epochs": 3}
    plain, one, three = (
        DistilledPrefixClassifier(distiller, **params).fit(X, y).predict_proba(X)
        for distiller in (Hinton(), EarlinessCurriculum(n_stages=1), EarlinessCurriculum())
    )
    np.testing.assert_allclose(one, plain, atol=1e-6)
    assert np.abs(three - plain).max() > 1e-4


def test_both_methods_go_together(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(EarlinessCurriculum(PrivilegedSelfTeacher()), **SMALL)
    assert np.isfinite(clf.fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    ("inner", "text"),
    [(AT(), "activations over time"), (PACED(EarlinessCurriculum()), "one of its own")],
    ids=str,
)
def test_what_the_curriculum_can_t_wrap_is_refused(bumps, inner, text):
    clf = DistilledPrefixClassifier(
        EarlinessCurriculum(inner), **{**SMALL, "student": "fcn24", "teacher": "fcn24"}
    )
    with pytest.raises(ValueError, match=text):
        clf.fit(*bumps)
