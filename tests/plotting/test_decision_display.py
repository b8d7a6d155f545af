"""DecisionDisplay: what is drawn is the path, and what comes after the answer is pale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from skgdpd import EarlyClassifier
from skgdpd.plotting import DecisionDisplay

PATH = np.array([[0.5, 0.5], [0.3, 0.7], [0.1, 0.9], [0.2, 0.8]])
TIMES = [5, 10, 20, 40]


def steps(display):
    """Dark and pale lines of each class."""
    drawn = [line for line in display.ax_.lines if line.get_drawstyle() == "steps-post"]
    dark = [line for line in drawn if line.get_alpha() is None]
    pale = [line for line in drawn if line.get_alpha() is not None]
    return dark, pale


def star(display):
    (found,) = [line for line in display.ax_.lines if line.get_marker() == "*"]
    return found


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_answer_parts_what_counts_from_what_does_not():
    display = DecisionDisplay.from_predictions(
        PATH, 2, time_points=TIMES, n_timepoints=50, classes=["fine", "bad"], y="fine"
    )
    dark, pale = steps(display)
    for k, (before, after) in enumerate(zip(dark, pale, strict=True)):
        np.testing.assert_array_equal(before.get_xdata(), TIMES[:3])
        np.testing.assert_array_equal(before.get_ydata(), PATH[:3, k])
        np.testing.assert_array_equal(after.get_xdata(), TIMES[2:])
        np.testing.assert_array_equal(after.get_ydata(), PATH[2:, k])
        assert before.get_color() == after.get_color()
    assert star(display).get_xydata().tolist() == [[20, 0.9]]
    assert (display.label_, display.share_seen_) == ("bad", 0.4)
    assert display.ax_.get_title() == "bad after 20 of 50 points (40 %)"
    assert legend(display) == ["fine (true)", "bad", "answer: bad"]


def test_a_forced_answer_and_a_label_by_cost_are_told():
    display = DecisionDisplay.from_predictions(
        PATH, 3, time_points=TIMES, classes=["fine", "bad"], label="fine", forced=True
    )
    assert display.ax_.get_title() == "fine after 40 of 40 points (100 %), forced by the end"
    assert star(display).get_xydata().tolist() == [[40, 0.2]]
    assert legend(display) == ["fine", "bad", "answer: fine"]


@given(st.integers(0, 50), st.integers(1, 8), st.integers(1, 9), st.data())
def test_all_that_was_seen_is_drawn_once_and_nothing_after_the_end(seed, n, n_classes, data):
    n_reached = data.draw(st.integers(1, n))
    moment = data.draw(st.integers(0, n_reached - 1))
    path = np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=n)
    path[n_reached:] = np.nan
    times = np.arange(2, 2 * n + 1, 2)
    display = DecisionDisplay(path, moment, time_points=times).plot(Figure().subplots())
    dark, pale = steps(display)
    assert len(dark) == len(pale) == n_classes
    for k, (before, after) in enumerate(zip(dark, pale, strict=True)):
        joined = np.concatenate([before.get_ydata(), after.get_ydata()[1:]])
        np.testing.assert_array_equal(joined, path[:n_reached, k])
        assert before.get_xdata()[-1] == after.get_xdata()[0] == times[moment]
    assert star(display).get_ydata()[0] == path[moment].max()


def test_the_classifier_is_followed(bumps, early):
    X, y = bumps
    answers, paths = early.decide(X), early.predict_proba_path(X)
    for i in (0, 1, 7):
        display = DecisionDisplay.from_estimator(early, X[i], y[i])
        assert display.label_ == answers.labels[i]
        assert display.share_seen_ == answers.share_seen[i]
        assert display.forced == answers.forced[i]
        np.testing.assert_array_equal(display.path, paths[i])
        assert f"{y[i]} (true)" in legend(display)


def test_an_answer_that_costs_less_is_not_always_the_most_probable(bumps):
    X, y = bumps
    early = EarlyClassifier(
        rule="fixed", earliness=[0.1, 1.0], delay_cost=50.0, random_state=0,
        misclassification_cost={"yes": 1000},
    ).fit(X, y)  # fmt: skip
    i = int(np.flatnonzero(y == "no")[early.predict_proba(X[y == "no"])[:, 0].argmax()])
    display = DecisionDisplay.from_estimator(early, X[i])
    assert display.label_ == early.predict(X)[i] == "yes"
    assert star(display).get_ydata()[0] == early.predict_proba(X)[i, 1] < 0.5


def test_one_series_in_any_form_is_the_same(bumps, early):
    X, _ = bumps
    forms = [X[3], X[3, 0], X[3:4], X[3].tolist()]
    paths = [DecisionDisplay.from_estimator(early, form).path for form in forms]
    for path in paths[1:]:
        np.testing.assert_array_equal(path, paths[0])


def test_a_series_that_ended_is_drawn_to_its_end(bumps, early):
    X, _ = bumps
    cut = int(early.time_points_[1]) + 1
    display = DecisionDisplay.from_estimator(early, X[0, :, :cut])
    drawn = np.concatenate([line.get_xdata() for lines in steps(display) for line in lines])
    assert drawn.max() <= cut
    assert display.forced == early.decide(X[:1, :, :cut]).forced[0]


@pytest.mark.parametrize(
    ("path", "moment", "options", "message"),
    [
        (PATH[None], 0, {}, r"path has shape \(1, 4, 2\); for one series"),
        (2 * PATH, 0, {}, "path must have probabilities"),
        ("abc", 0, {}, "path must be an array of numbers"),
        ([[0.5, 0.5], [1.0]], 0, {}, "path must be an array of numbers"),
        (PATH, True, {}, "moment=True must be the index of a moment"),
        (PATH, -1, {}, "moment=-1 must be the index of a moment"),
        (PATH, 1.0, {}, "moment=1.0 must be the index of a moment"),
        (PATH, 0, {"time_points": None}, "time_points must be a list of whole numbers, got None"),
        (PATH, 0, {"time_points": list("abcd")}, "time_points must be a list of whole numbers"),
        (PATH, 0, {"time_points": [[5], [10, 20], [30], [40]]}, "time_points must be a list"),
        (PATH, 0, {"n_timepoints": "40"}, "n_timepoints='40' must be a whole number"),
        (PATH, 0, {"n_timepoints": np.nan}, "n_timepoints=nan must be a whole number"),
        (PATH, 0, {"forced": "no"}, "forced='no' must be True or False"),
        (PATH, 0, {"classes": [["a"], ["b", "c"]]}, "classes=.* must be a list of labels"),
        (PATH, 0, {"label": {0}}, r"label=\{0\} must be one of the classes"),
        (PATH, 0, {"y": [0, 1]}, r"y=\[0, 1\] must be one of the classes"),
        (PATH, 4, {}, "moment=4 must be from 0 to 3"),
        (
            np.where(np.arange(4)[:, None] > 1, np.nan, PATH),
            2,
            {},
            "moment=2 must be from 0 to 1, the last one that the series reaches",
        ),
        (PATH, 0, {"time_points": [5, 10]}, "time_points has 2 entries for .*; its path has 4"),
        (PATH, 0, {"time_points": []}, "time_points must be a list of whole numbers"),
        (PATH, 0, {"n_timepoints": 30}, "must ascend from 1 at least to n_timepoints=30"),
        (PATH, 0, {"classes": ["a", "b", "c"]}, "the probabilities have 2 columns"),
        (PATH, 0, {"classes": ["a", "a"]}, "2 distinct labels"),
        (PATH, 0, {"label": 7}, r"label=7 must be one of the classes, \[0, 1\]"),
        (PATH, 0, {"y": "?"}, r"y='\?' must be one of the classes"),
    ],
)
def test_bad_input_is_refused_before_anything_is_drawn(path, moment, options, message):
    with pytest.raises(ValueError, match=message):
        DecisionDisplay.from_predictions(path, moment, **{"time_points": TIMES, **options})
    assert not plt.get_fignums()


def test_classifiers_without_a_rule_and_several_series_are_refused(bumps, base, early):
    X, _ = bumps
    with pytest.raises(TypeError, match="PrefixClassifier has no rule of when to answer"):
        DecisionDisplay.from_estimator(base, X[0])
    with pytest.raises(NotFittedError):
        DecisionDisplay.from_estimator(EarlyClassifier(), X[0])
    with pytest.raises(ValueError, match=r"x has shape \(60, 1, 40\); one series has"):
        DecisionDisplay.from_estimator(early, X)
    for x in ([], [[1, 2], [3]], "abc", [["a", "b"]], None):
        with pytest.raises(ValueError, match=r"^x "):
            DecisionDisplay.from_estimator(early, x)
    with pytest.raises(TypeError, match="ax='here' must be axes of matplotlib"):
        DecisionDisplay.from_estimator(early, X[0], ax="here")
    with pytest.raises(ValueError, match="y='perhaps' must be one of the classes"):
        DecisionDisplay.from_estimator(early, X[0], "perhaps")
    assert not plt.get_fignums()
