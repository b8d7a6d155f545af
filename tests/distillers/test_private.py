"""Noisy answers of a teacher, and what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator

from skgdpd import DistilledPrefixClassifier, GeneratorOptions, PrefixClassifier
from skgdpd.distillers import (
    AT,
    PACED,
    RKD,
    CheckpointCurriculum,
    FitNets,
    GenDD,
    Hinton,
    PrivateTargets,
)
from skgdpd.distillers.private import clipped, gaussian_delta, gaussian_epsilon

SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, "device": "cpu"}
RATIOS = st.floats(0.05, 8)


class Told(Hinton):
    """Notes the rows that it learns from."""

    rows = []

    def prepare(self, context):
        self.rows.append(context.rows.tensors)
        return super().prepare(context)


def rows_told(clf, X, y, **more):
    Told.rows.clear()
    clf.fit(X, y, **more)
    return Told.rows[0]


@pytest.mark.parametrize(("epsilon", "ratio"), [(0.1, 0.5), (1.0, 1.0), (3.0, 2.0), (0.0, 4.0)])
def test_delta_is_the_integral_that_defines_privacy(epsilon, ratio):
    # Two answers are normal with means that are `ratio` apart, in units of the noise.
    def excess(x):
        return max(norm.pdf(x - ratio) - math.exp(epsilon) * norm.pdf(x), 0)

    edge = epsilon / ratio + ratio / 2  # where the excess begins
    expected, _ = quad(excess, edge, edge + 40)
    assert gaussian_delta(epsilon, ratio) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e-9, 0.9), RATIOS)
def test_epsilon_is_the_least_that_has_this_delta(delta, ratio):
    epsilon = gaussian_epsilon(delta, ratio)
    assert epsilon >= 0
    if epsilon:
        assert gaussian_delta(epsilon, ratio) == pytest.approx(delta, rel=1e-5)
    else:
        assert gaussian_delta(0.0, ratio) <= delta
    # It is never worse than the classical calibration, where that holds.
    classical = ratio * math.sqrt(2 * math.log(1.25 / delta))
    if classical < 1:
        assert epsilon <= classical


@settings(deadline=None, max_examples=20)
@given(RATIOS, st.integers(2, 30))
def test_privacy_composes_and_depends_on_the_ratio_alone(ratio, n):
    distiller = PrivateTargets(clip=ratio / 2, noise=1.0)
    scaled = PrivateTargets(clip=5 * ratio / 2, noise=5.0)
    assert scaled.epsilon(1e-5) == pytest.approx(distiller.epsilon(1e-5))
    assert distiller.epsilon(1e-5) == pytest.approx(gaussian_epsilon(1e-5, ratio))
    # n answers together are one with n times the squared ratio, and cost less than n times one.
    together = distiller.epsilon(1e-5, n_answers=n)
    assert together == pytest.approx(gaussian_epsilon(1e-5, ratio * math.sqrt(n)))
    assert together > distiller.epsilon(1e-5)
    assert PrivateTargets(clip=ratio / 2, noise=2.0).epsilon(1e-5) < distiller.epsilon(1e-5)


@pytest.mark.parametrize(("delta", "n"), [(0.0, 1), (1.0, 1), (1e-5, 0)])
def test_promises_that_make_no_sense_are_refused(delta, n):
    with pytest.raises(ValueError, match=r"delta=|n_answers="):
        PrivateTargets().epsilon(delta, n)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=2, max_size=2),
    st.floats(0.1, 10),
)
def test_two_answers_differ_by_twice_the_clip_at_most(logits, clip):
    first, second = clipped(np.array(logits), clip)
    assert np.linalg.norm(first - second) <= 2 * clip * (1 + 1e-9)
    # Shorter ones keep their probabilities.
    small = np.array([[0.01, -0.02, 0.03]])
    np.testing.assert_allclose(clipped(small, 0.1), small - small.mean(), atol=1e-12)


def test_answers_have_the_noise_that_is_stated_and_come_from_the_seed():
    logits = np.tile([[3.0, -3.0]], (4000, 1))
    distiller = PrivateTargets(clip=1.0, noise=0.5)
    told = distiller.teacher_answers(logits, lambda: 1)
    noise = told - clipped(logits, 1.0)
    np.testing.assert_allclose(noise.std(0), 0.5, rtol=0.05)
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.03)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.06
    np.testing.assert_array_equal(told, distiller.teacher_answers(logits, lambda: 1))
    assert not np.array_equal(told, distiller.teacher_answers(logits, lambda: 2))


@pytest.mark.parametrize("around", [lambda d: d, PACED], ids=["plain", "PACED"])
@pytest.mark.parametrize("student", ["lstm1-8", "rocket"])
def test_nothing_else_of_the_teacher_is_told(bumps, around, student):
    X, labels = bumps[0], (bumps[1] == "yes").astype(int)
    teacher = PrefixClassifier("fcn24", max_epochs=1, random_state=0).fit(X, labels)
    clf = DistilledPrefixClassifier(
        around(PrivateTargets(Told(), clip=1.0, noise=2.0)),
        teacher=FrozenEstimator(teacher),
        class_weight={0: 2.0},
        **{**SMALL, "student": student},
    )
    rows = rows_told(clf, X[:30], labels[:30], X_unlabeled=X[30:40])
    answers = rows["teacher_logits"].numpy()
    np.testing.assert_array_equal(rows["teacher_features"], answers)
    unlabelled = answers[-10:]
    noise = unlabelled - clipped(np.log(clf.teacher_.predict_proba(X[30:40])), 1.0)
    assert 1.2 < noise.std() < 2.8
    # Soft targets of series without a label, and their weights, are made of the same answers.
    guesses = np.exp(unlabelled) / np.exp(unlabelled).sum(1, keepdims=True)
    np.testing.assert_allclose(rows["target"][-10:], guesses, rtol=1e-5)
    scale = rows["target_weight"][-10:].numpy() / (guesses @ [2.0, 1.0])
    np.testing.assert_allclose(scale, scale[0], rtol=1e-5)


def test_each_chunk_of_a_stream_has_noise_of_its_own(bumps, monkeypatch):
    X, y = bumps
    seeds = []
    own = PrivateTargets.teacher_answers

    def noted(self, logits, seed):
        seeds.append(seed())
        return own(self, logits, seed)

    monkeypatch.setattr(PrivateTargets, "teacher_answers", noted)
    clf = DistilledPrefixClassifier(PrivateTargets(), **SMALL)
    for part in (slice(20), slice(20, 40), slice(20, 40)):
        clf.partial_fit(X[part], y[part], classes=np.unique(y))
    assert len(set(seeds)) == len(seeds) == 3


@pytest.mark.parametrize(
    "inner",
    [
        FitNets(),
        RKD(),
        CheckpointCurriculum(n_states=2),
        GenDD(generator=GeneratorOptions(hidden=8, max_epochs=2), n_sampling_steps=2),
    ],
    ids=lambda d: type(d).__name__,
)
def test_methods_of_features_learn_from_the_answers(bumps, inner):
    X, y = bumps
    clf = DistilledPrefixClassifier(PrivateTargets(inner), **SMALL).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.teacher_.predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize(
    ("inner", "text"),
    [(AT(), r"activations over time"), (PACED(PrivateTargets()), "PrivateTargets in PrivateT")],
    ids=str,
)
def test_what_would_tell_more_is_refused(bumps, inner, text):
    with pytest.raises(ValueError, match=text):
        DistilledPrefixClassifier(PrivateTargets(inner), **SMALL).fit(*bumps)
