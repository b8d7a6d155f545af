"""RuleDisplay: the answer is where the line first is in the shaded region."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from sklearn.exceptions import NotFittedError

from skgdpd import EarlyClassifier
from skgdpd.plotting import RuleDisplay
from skgdpd.stopping import RULES, ProbabilityThreshold, Rule, Watched, decision_cost

TIMES = [5, 10, 20, 40]
CLASSES = ["ill", "well"]


def cost(errors=None):
    return decision_cost(0.3, errors, TIMES, 40, CLASSES)


def paths(n, seed):
    """Probabilities that become surer, and the classes of the series."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    logits = np.cumsum(rng.normal(2 * y[:, None] - 1, 1.5, size=(n, 4)), axis=1)
    p = 1 / (1 + np.exp(-logits))
    return np.stack([1 - p, p], axis=2), y


def fitted(name, errors=None):
    path, y = paths(400, 0)
    return RULES[name]().fit(path, y, cost(errors), time_points=TIMES, n_timepoints=40)


def test_the_expected_cost_is_drawn_against_the_threshold():
    rule = fitted("threshold", {"ill": 10})
    path = [[0.3, 0.7], [0.08, 0.92], [0.01, 0.99], [0.0, 1.0]]
    rule.largest_risk_ = 0.3
    display = RuleDisplay.from_predictions(rule, path, time_points=TIMES)
    # Not 1 less the largest probability: to answer "well" at 0.92 risks 0.08 times 10.
    np.testing.assert_allclose(display.values_, [0.7, 0.8, 0.1, 0.0])
    assert display.answers_in_ == [[(-np.inf, 0.3)]] * 4
    assert (display.moment_, display.forced_) == (2, False)
    dark, pale = display.ax_.lines[:2]
    np.testing.assert_array_equal(dark.get_xdata(), TIMES[:3])
    np.testing.assert_allclose(dark.get_ydata(), [0.7, 0.8, 0.1])
    np.testing.assert_array_equal(pale.get_xdata(), TIMES[2:])
    shaded = [c for c in display.ax_.collections if isinstance(c, PolyCollection)]
    tops = [c.get_paths()[0].vertices[:, 1].max() for c in shaded if c.get_paths()]
    assert tops == pytest.approx([0.3] * 4)
    assert display.ax_.get_title() == "ProbabilityThreshold: answer after 20 of 40 points"


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("errors", [None, {"ill": 5}], ids=["equal", "unequal"])
def test_a_rule_answers_where_its_quantity_is_in_the_region(name, errors):
    rule = fitted(name, errors)
    for path in paths(25, 1)[0]:
        display = RuleDisplay(rule, path, time_points=TIMES)
        inside = [
            any(low <= value <= high for low, high in own)
            for value, own in zip(display.values_, display.answers_in_, strict=True)
        ]
        moments, forced = rule.decide(path[None])
        assert display.moment_ == moments[0]
        assert display.forced_ == forced[0] == (not any(inside))
        assert forced[0] or inside.index(True) == moments[0]


def test_a_series_that_ended_is_drawn_to_its_end():
    path = paths(1, 2)[0][0]
    path[2:] = np.nan
    display = RuleDisplay(fitted("economy"), path, time_points=TIMES).plot()
    assert len(display.values_) == len(display.answers_in_) == 2
    assert max(line.get_xdata()[-1] for line in display.ax_.lines[:2]) <= 10


def test_the_classifier_is_followed(bumps, early):
    X, _ = bumps
    answers = early.decide(X[:3])
    for i in range(3):
        display = RuleDisplay.from_estimator(early, X[i])
        assert early.time_points_[display.moment_] == answers.n_seen[i]
        assert display.ax_.get_ylabel() == display.what_
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert texts == ["region of answers", f"answer: {answers.labels[i]}"]


def test_a_rule_of_ones_own_says_what_it_looks_at():
    class Half(Rule):
        def _fit(self, data):
            self.least_ = 0.9

        def _step(self, state, moment, probabilities):
            return probabilities[:, 0] >= self.least_

        def _watch(self, path):
            return Watched("first class", path[:, 0], [[(self.least_, np.inf)] for _ in path])

    path, y = paths(20, 0)
    own = Half().fit(path, y, cost(), time_points=TIMES, n_timepoints=40)
    ended = np.array([[0.2, 0.8], [0.95, 0.05], [np.nan, np.nan], [np.nan, np.nan]])
    what, values, answers_in = own.watch(ended)
    assert (what, values.tolist(), answers_in) == (
        "first class",
        [0.2, 0.95],
        [[(0.9, np.inf)]] * 2,
    )
    display = RuleDisplay(own, ended, time_points=TIMES)
    assert (display.what_, display.moment_, display.forced_) == ("first class", 1, False)


def test_what_is_no_rule_or_no_path_is_refused(bumps, early):
    class Own(Rule):
        def _fit(self, data):
            self.none_ = 0.0

        def _step(self, state, moment, probabilities):
            return np.ones(len(state), dtype=bool)

    path, y = paths(20, 0)
    own = Own().fit(path, y, cost(), time_points=TIMES, n_timepoints=40)
    with pytest.raises(TypeError, match=r"Own does not say what it watches; define .*_watch"):
        RuleDisplay(own, path[0], time_points=TIMES)
    with pytest.raises(TypeError, match="rule='fixed' must be a fitted rule"):
        RuleDisplay("fixed", path[0], time_points=TIMES)
    with pytest.raises(NotFittedError):
        RuleDisplay(ProbabilityThreshold(), path[0], time_points=TIMES)
    with pytest.raises(NotFittedError):
        RuleDisplay.from_estimator(EarlyClassifier(), bumps[0][0])
    with pytest.raises(ValueError, match=r"path has shape \(20, 4, 2\); for one series"):
        RuleDisplay(fitted("fixed"), path, time_points=TIMES)
    with pytest.raises(ValueError, match=r"x has shape \(60, 1, 40\); one series has"):
        RuleDisplay.from_estimator(early, bumps[0])
    assert not plt.get_fignums()
