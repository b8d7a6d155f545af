"""TEASER's machines and streaks, and ECEC's confidence, each written out."""

import numpy as np
import pytest
from early_paths import gaussian_paths, ragged, setting
from sklearn.svm import OneClassSVM

from skgdpd._early.teaser import _count, _first_streaks
from skgdpd.stopping import ECEC, Teaser

A, B, N = "A", "B", None
"""An accepted answer of either class, and a rejection."""


@pytest.mark.parametrize(
    ("answers", "length", "moment"),
    [
        ([A, A, A, A, A], 1, 0),
        ([A, A, A, A, A], 3, 2),
        ([A, N, A, A, A], 2, 3),  # A rejection ends the streak.
        ([A, N, A, N, A], 2, 4),  # So does it here; the end decides.
        ([N, A, B, B, A], 2, 3),  # Another class begins a new one.
        ([A, B, A, B, A], 2, 4),
        ([N, N, N, N, N], 1, 4),
        ([N, N, N, N, A], 1, 4),
    ],
)
def test_streaks(answers, length, moment):
    accepted = np.array([[a is not N for a in answers]])
    labels = np.array([[0 if a == A else 1 for a in answers]])
    assert _first_streaks(accepted, labels, np.array([4]), length) == moment


def test_a_rejection_between_equal_answers_starts_from_nothing():
    state = np.zeros((1, 2))
    counts = []
    for accepted in (True, True, False, True):
        _count(state, np.array([accepted]), np.array([0]))
        counts.append(state[0, 1])
    assert counts == [1, 2, 0, 1]


def test_a_streak_does_not_go_on_after_the_end():
    accepted, labels = np.ones((1, 5), dtype=bool), np.zeros((1, 5), dtype=int)
    assert _first_streaks(accepted, labels, np.array([1]), 4) == 1


def test_machines_are_those_of_scikit_learn():
    path, y = gaussian_paths(300)
    cost, how = setting()
    rule = Teaser().fit(path, y, cost, **how)
    new, _ = gaussian_paths(200, seed=1)
    for m in range(6):
        right = path[:, m].argmax(1) == y
        ordered = np.sort(path[:, m], axis=1)
        x = np.column_stack([path[:, m], ordered[:, -1] - ordered[:, -2]])[right]
        svm = OneClassSVM(nu=0.05, gamma=rule.gammas_[m]).fit(x)
        ordered = np.sort(new[:, m], axis=1)
        z = np.column_stack([new[:, m], ordered[:, -1] - ordered[:, -2]])
        inside = svm.decision_function(z)
        state = rule.start(200)
        rule.step(state, m, new[:, m])
        far = np.abs(inside) > 0.02
        assert far.mean() > 0.8
        np.testing.assert_array_equal((state[:, 1] == 1)[far], (inside > 0)[far])


def test_where_nothing_is_right_nothing_is_accepted():
    path = np.tile([0.8, 0.2], (30, 4, 1))
    cost, how = setting(n_moments=4, n_classes=2)
    rule = Teaser().fit(path, np.ones(30, dtype=int), cost, **how)
    moment, forced = rule.decide(path)
    assert (moment == 3).all()
    assert forced.all()


def test_the_streak_is_the_best_of_five():
    """Answers of the first moments are all accepted, and wrong half the time."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    said = np.where(np.arange(6) < 2, rng.integers(2, size=(400, 6)), y[:, None])
    path = np.stack([1 - 0.6 * said - 0.2, 0.6 * said + 0.2], 2)
    cost, how = setting(n_classes=2, delay=0.6)
    rule = Teaser().fit(path, y, cost, **how)
    means = []
    for length in range(1, 6):
        rule.streak_ = length
        means.append(cost.average(path, y, rule.decide(path).moment))
    rule.fit(path, y, cost, **how)
    assert rule.streak_ == 1 + np.argmin(means)
    assert rule.streak_ > 1


def test_confidence_written_out():
    path, y = gaussian_paths(80)
    path = ragged(path)
    weight = np.random.default_rng(0).integers(1, 4, size=80).astype(float)
    errors = np.array([[0, 2, 1], [1, 0, 1], [5, 1, 0.0]])
    cost, how = setting(errors=errors)
    rule = ECEC().fit(path, y, cost, **how, sample_weight=weight)
    labels, share = cost.labels(path), weight / weight.mean()

    def reliability(m, said, true):
        of = [i for i in range(80) if labels[i, m] == said and not np.isnan(path[i, m, 0])]
        right = [i for i in of if y[i] == true]
        return (share[right].sum() + 1 / 3) / (share[of].sum() + 1)

    for i in range(80):
        expected = None
        for m in range((~np.isnan(path[i, :, 0])).sum()):
            now = labels[i, m]
            doubt = np.prod([1 - reliability(k, labels[i, k], now) for k in range(m + 1)])
            if expected is None and -np.log(doubt) >= rule.threshold_ - 1e-9:
                expected = m
        moment, forced = (part[0] for part in rule.decide(path[i : i + 1]))
        assert forced == (expected is None)
        assert forced or moment == expected
