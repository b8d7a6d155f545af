"""Thresholds, costs and intervals in the scores of the command line."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from skgdpd._cli.intervals import wilson
from skgdpd._cli.score_text import as_text
from skgdpd._cli.scores import Answers, ScoreOptions, class_scores, few_series, overall_scores
from skgdpd._cli.thresholds import RECALLS, alarms_of, threshold_table

CLASSES = np.array(["no", "yes"])


@pytest.fixture
def scored():
    """Labels and answers of 60 series, of which 15 are of the class yes."""
    rng = np.random.default_rng(0)
    y = np.repeat(["no", "yes"], [45, 15])
    proba = rng.beta(2 + 2 * (y == "yes"), 4)
    return y, answers_of(proba)


def answers_of(proba, threshold=0.5, **more):
    labels = CLASSES[(proba >= threshold).astype(int)]
    return Answers(
        labels, np.stack([1 - proba, proba], 1), CLASSES, np.full(len(proba), 12), 40, **more
    )


@pytest.mark.parametrize(("part", "whole"), [(0, 8), (8, 8), (3, 8), (50, 100)])
def test_an_interval_holds_the_shares_that_the_score_test_keeps(part, whole):
    """Wilson's interval is where the test of a share by its own variance does not refuse it."""
    z = 1.959963984540054
    for bound in wilson(part, whole):
        distance = abs(part / whole - bound)
        if 0 < bound < 1:
            assert distance == pytest.approx(z * np.sqrt(bound * (1 - bound) / whole), abs=1e-7)
        else:
            assert distance < 1e-12
    low, high = wilson(part, whole)
    assert 0 <= low <= part / whole + 1e-12
    assert part / whole - 1e-12 <= high <= 1
    assert high - low > 0


def test_a_row_of_a_threshold_is_what_that_threshold_gives(scored):
    y, answers = scored
    proba = answers.proba[:, 1]
    head, *rows = threshold_table(
        alarms_of(y, answers, ScoreOptions()), ScoreOptions(("yes", 0.37))
    )
    assert head == ("threshold", "recall", "precision", "false positive rate")
    assert "0.37" in [row[0] for row in rows]
    for least in RECALLS:
        assert min(float(row[1]) for row in rows if float(row[1]) >= least) < least + 0.1
    plain = threshold_table(alarms_of(y, answers, ScoreOptions()), ScoreOptions())
    half = next(row for row in plain if row[0] == "0.5")
    rows.append(half)
    for threshold, recall, precision, false in rows:
        named = np.where(proba >= float(threshold), "yes", "no")
        kwargs = {"pos_label": "yes", "zero_division": np.nan}
        assert float(recall) == pytest.approx(recall_score(y, named, **kwargs), abs=6e-5)
        if (named == "yes").any():
            assert float(precision) == pytest.approx(precision_score(y, named, **kwargs), abs=6e-5)
        assert float(false) == pytest.approx((named[y == "no"] == "yes").mean(), abs=6e-5)
    # The class's own scores are those of the threshold at a half.
    own = class_scores(y, answers)[2]
    assert (own[2], own[4], own[5]) == half[1:]


def test_costs_are_those_of_the_errors(scored):
    y, answers = scored
    options = ScoreOptions(costs={"yes": 20.0})
    wrong = answers.labels != y
    expected = (20 * (wrong & (y == "yes")) + (wrong & (y == "no"))).mean()
    assert dict(overall_scores(y, answers, options))["cost of errors"] == f"{expected:.4f}"
    alarms = alarms_of(y, answers, options)
    head, *rows = threshold_table(alarms, options)
    assert head[-1] == "cost of errors"
    assert next(row for row in rows if row[0] == "0.5")[-1] == f"{expected:.4f}"
    assert "cost of errors" not in dict(overall_scores(y, answers))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (ScoreOptions(), "yes"),  # the rarer class
        (ScoreOptions(costs={"no": 3.0}), "no"),
        (ScoreOptions(("no", 0.3), {"yes": 3.0}), "no"),
    ],
)
def test_thresholds_are_of_the_class_that_matters(scored, options, name):
    y, answers = scored
    alarms = alarms_of(y, answers, options)
    assert alarms.name == name
    np.testing.assert_array_equal(alarms.own, y == name)
    assert alarms.missed == options.cost_of(name)


def test_a_rule_and_several_classes_have_no_thresholds(scored):
    y, answers = scored
    early = answers_of(answers.proba[:, 1], forced=np.zeros(len(y), dtype=bool))
    assert alarms_of(y, early, ScoreOptions()) is None
    three = Answers(
        np.array(["a", "b"]),
        np.full((2, 3), 1 / 3),
        np.array(["a", "b", "c"]),
        np.array([3, 3]),
        9,
    )
    assert alarms_of(np.array(["a", "b"]), three, ScoreOptions()) is None


def test_few_series_of_a_class_are_remarked(scored):
    y, answers = scored
    (words,) = few_series(y, answers)
    assert "15 series of class yes" in words
    assert words in as_text(y, answers)
    assert not few_series(np.repeat(y, 2), answers_of(np.repeat(answers.proba[:, 1], 2)))


def own_rows(proba, y, options=None):
    options = ScoreOptions() if options is None else options
    head, *rows = threshold_table(alarms_of(y, answers_of(proba), options), options)
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "place",
    [
        lambda p: 0.0009 * p,  # a rare class
        lambda p: 1 - 0.0009 * p,
        lambda p: 0.3 + 1e-5 * p,  # all close together
        lambda p: 1e-9 * (1 + 1e-3 * p),
    ],
)
def test_distinct_recalls_have_distinct_thresholds(place, dtype):
    rng = np.random.default_rng(1)
    y = np.repeat(["no", "yes"], [475, 25])
    proba = place(rng.permutation(500) / 500).astype(dtype)
    own = proba[y == "yes"]
    rows = own_rows(proba, y)
    assert len({row["threshold"] for row in rows}) == len(rows)
    recalls = {float(row["recall"]) for row in rows}
    for least in RECALLS:
        # A share of the class's 25 series, the least that reaches the recall.
        assert np.ceil(25 * least - 1e-9) / 25 in recalls
    for row in rows:
        # What is printed is what --threshold takes.
        found = (own >= float(row["threshold"])).mean()
        assert float(row["recall"]) == pytest.approx(found, abs=6e-5)


def test_few_digits_are_shown_where_they_suffice():
    y = np.repeat(["no", "yes"], [3, 2])
    proba = np.array([0.1, 0.2, 0.3, 0.00012345678, 0.87654321])
    shown = {row["threshold"] for row in own_rows(proba, y)}
    assert shown == {"0.000123", "0.5", "0.876"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["no", "yes"])
def test_the_row_of_a_half_is_what_the_model_answers_at_a_tie(name, dtype):
    """The model answers the first class; the recall of all has a threshold below the tie."""
    y = np.array(["no", "no", "no", "yes", "yes"])
    proba = np.array([0.1, 0.5, 0.8, 0.5, 0.9], dtype=dtype)
    both = np.stack([1 - proba, proba], 1)
    labels = CLASSES[both.argmax(1)]
    answers = Answers(labels, both, CLASSES, np.full(5, 12), 40)
    options = ScoreOptions(costs={name: 3.0})
    _, *rows = threshold_table(alarms_of(y, answers, options), options)
    half = next(row for row in rows if row[0] == "0.5")
    own = next(row for row in class_scores(y, answers)[1:] if row[0] == name)
    assert half[1:4] == (own[2], own[4], own[5])
    assert half[4] == dict(overall_scores(y, answers, options))["cost of errors"]
    if name == "yes":
        assert half[1] == "0.5000"
        assert [row[1] for row in rows if float(row[0]) < 0.5] == ["1.0000"]


def test_a_threshold_of_a_half_that_is_given_counts_ties():
    y = np.array(["no", "yes", "yes"])
    options = ScoreOptions(("yes", 0.5))
    rows = own_rows(np.array([0.1, 0.5, 0.9]), y, options)
    assert next(row["recall"] for row in rows if row["threshold"] == "0.5") == "1.0000"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_are_the_counts_of_each_threshold(dtype):
    rng = np.random.default_rng(2)
    y = np.repeat(["no", "yes"], [45, 15])
    proba = (rng.integers(0, 20, 60) / 30).astype(dtype)  # with ties
    alarms = alarms_of(y, answers_of(proba), ScoreOptions())
    thresholds, found, false = alarms.steps()
    np.testing.assert_array_equal(thresholds, np.unique([0, *proba.astype(float), 1]))
    for threshold, *counts in zip(thresholds, found, false, strict=True):
        named = proba >= dtype(threshold)
        assert counts == [(named & (y == "yes")).sum(), (named & (y == "no")).sum()]


def test_a_picture_of_thresholds_counts_no_series_anew_for_each(monkeypatch, scored):
    pytest.importorskip("matplotlib")
    from skgdpd._cli import report

    y, answers = scored
    alarms = alarms_of(y, answers, ScoreOptions())
    monkeypatch.delattr(type(alarms), "counts")
    assert "<img" in report._threshold_picture(alarms, 0.5)
