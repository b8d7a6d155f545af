"""AccuracyGap: its promise by simulation, and its parts by hand."""

import numpy as np
import pytest
from early_paths import gaussian_paths, ragged, setting
from scipy.stats import binom, binomtest

from skgdpd.stopping import AccuracyGap


class Population:
    """Many series, of which the gap up to each moment is counted."""

    def __init__(self, path, y):
        rows = np.arange(len(y))
        self.last = (~np.isnan(path[:, :, 0])).sum(1) - 1
        right = path.argmax(2) == y[:, None]
        self.lost = right[rows, self.last][:, None] & ~right
        self.largest = path.max(2)
        self.moments = np.arange(path.shape[1])

    def answered(self, rule):
        stops = (self.largest >= rule.thresholds_) | (self.moments == self.last[:, None])
        return stops.argmax(1)

    def gaps(self, rule):
        """Share of losses among those answered by each moment; 0 where there are none."""
        moment = self.answered(rule)
        lost = self.lost[np.arange(len(moment)), moment]
        counts = np.bincount(moment, minlength=len(self.moments)).cumsum()
        return np.bincount(moment, lost, len(self.moments)).cumsum() / np.maximum(counts, 1)


@pytest.mark.parametrize(
    ("max_gap", "delta", "ends"),
    [(0.1, 0.1, False), pytest.param(0.15, 0.2, True, marks=pytest.mark.slow)],
)
def test_the_promise_is_kept(max_gap, delta, ends):
    """In 500 draws of series, the largest gap in the population is too large in delta at most."""
    new, truth = gaussian_paths(20_000, seed=10**6, shift=0.6)
    new = ragged(new) if ends else new
    population = Population(new, truth)
    cost, how = setting()
    broken, early = 0, []
    for seed in range(500):
        path, y = gaussian_paths(400, seed=seed, shift=0.6)
        path = ragged(path, seed) if ends else path
        rule = AccuracyGap(max_gap, delta, random_state=seed).fit(path, y, cost, **how)
        broken += population.gaps(rule).max() > max_gap
        early.append(np.isfinite(rule.thresholds_[:-1]).any())
    np.testing.assert_array_equal(rule.decide(new).moment, population.answered(rule))
    # Refused if so many broken promises had a chance of 1 in 1000 at delta.
    assert binomtest(broken, 500, delta, alternative="greater").pvalue > 1e-3
    assert np.mean(early) > 0.5, "a rule that always waits keeps any promise"


def test_thresholds_at_the_edge_pass_as_often_as_the_test_allows(monkeypatch):
    """Whatever is chosen: answering at once has the largest gap allowed, and passes by chance."""
    monkeypatch.setattr(AccuracyGap, "_chosen", lambda self, data: np.zeros(2))
    cost, how = setting(n_moments=2, n_classes=2)
    rng = np.random.default_rng(0)
    passed = 0
    for seed in range(1000):
        y = (rng.random(300) < 0.1).astype(int)  # One in ten is taken for the other at first.
        right = np.where((y == 1)[:, None], [0.1, 0.9], [0.9, 0.1])
        path = np.stack([np.tile([0.9, 0.1], (300, 1)), right], 1)
        rule = AccuracyGap(0.1, 0.1, random_state=seed).fit(path, y, cost, **how)
        passed += np.isfinite(rule.thresholds_[0])
    most = np.arange(150)[binom.cdf(np.arange(150), 150, 0.1) <= 0.1].max()
    expected = binom.cdf(most, 150, 0.1)
    assert binomtest(passed, 1000, expected).pvalue > 1e-3


def test_too_few_series_are_refused():
    path, y = gaussian_paths(117)
    cost, how = setting()
    with pytest.raises(ValueError, match=r"has 58 of 117 .* needs 59"):
        AccuracyGap().fit(path, y, cost, **how)
    path, y = gaussian_paths(118)
    assert AccuracyGap().fit(path, y, cost, **how).n_calibration_ == 59


def test_plain_series_are_answered_at_once():
    """All are right from the first moment on, with one probability."""
    path = np.tile([0.9, 0.1], (200, 6, 1))
    cost, how = setting(n_classes=2)
    rule = AccuracyGap().fit(path, np.zeros(200, dtype=int), cost, **how)
    assert not rule.decide(path).moment.any()


def test_series_that_are_right_at_the_end_only_wait():
    path = np.tile([0.9, 0.1], (400, 6, 1))
    path[:, 5] = [0.1, 0.9]
    cost, how = setting(n_classes=2)
    with pytest.warns(UserWarning, match=r"no moment before the last one passed .* max_gap=0.05"):
        rule = AccuracyGap().fit(path, np.ones(400, dtype=int), cost, **how)
    assert (rule.decide(path).moment == 5).all()
    assert np.isinf(rule.thresholds_[:-1]).all()


def test_errors_that_stay_are_no_gap():
    path = np.tile([0.9, 0.1], (400, 6, 1))
    cost, how = setting(n_classes=2)
    rule = AccuracyGap().fit(path, np.ones(400, dtype=int), cost, **how)
    assert not rule.decide(path).moment.any()


def test_one_series_of_each_group_tests():
    path, y = gaussian_paths(600)
    cost, how = setting()
    rule = AccuracyGap(calibration_fraction=0.5)
    rule.fit(path, y, cost, **how, groups=np.arange(600) // 4)
    assert rule.n_calibration_ == 75
    with pytest.raises(ValueError, match="50 of 100"):
        rule.fit(path, y, cost, **how, groups=np.arange(600) // 6)


def test_costs_of_waiting_have_no_effect():
    path, y = gaussian_paths(400)
    thresholds = [
        AccuracyGap().fit(path, y, cost, **how).thresholds_
        for cost, how in (setting(delay=0), setting(delay=9))
    ]
    np.testing.assert_array_equal(*thresholds)


def test_more_is_lost_where_more_may_be():
    path, y = gaussian_paths(4000, n_moments=12, shift=0.4)
    cost, how = setting(n_moments=12)
    moments = [
        AccuracyGap(gap).fit(path, y, cost, **how).decide(path).moment.mean()
        for gap in (0.02, 0.1, 0.3)
    ]
    assert moments[0] > moments[1] > moments[2]
