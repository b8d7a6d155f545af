"""Each measure against its definition written out, its limits, and what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import log_loss, roc_auc_score

from skgdpd.metrics import (
    average_cost,
    earliness,
    expected_calibration_error,
    harmonic_mean,
    macro_auc_prc,
    macro_average_precision,
    predictive_kl,
    top1_agreement,
)
from skgdpd.stopping import decision_cost

RANKING = [macro_auc_prc, macro_average_precision]
WITH_LABELS = [*RANKING, expected_calibration_error]


def random_case(seed, n=60, n_classes=3, decimals=None):
    """Labels, all classes among them, and probabilities; rounded ones have ties."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)])
    proba = rng.dirichlet(np.ones(n_classes), size=n)
    proba[np.arange(n), y] += rng.uniform(0, 0.7, size=n)
    proba /= proba.sum(1, keepdims=True)
    return y, proba if decimals is None else proba.round(decimals)


def curve(is_class, score):
    """Precision and recall when everything from a threshold on is taken, highest first."""
    points = []
    for threshold in sorted(set(score), reverse=True):
        taken = score >= threshold
        right = (taken & is_class).sum()
        points.append((right / taken.sum(), right / is_class.sum()))
    return points


def auc_prc_by_trapezoids(y, proba):
    areas = []
    for k in np.unique(y):
        precision_before, recall_before, area = 1.0, 0.0, 0.0
        for precision, recall in curve(y == k, proba[:, k]):
            area += (recall - recall_before) * (precision + precision_before) / 2
            precision_before, recall_before = precision, recall
        areas.append(area)
    return np.mean(areas)


def average_precision_by_sum(y, proba):
    scores = []
    for k in np.unique(y):
        recall_before, total = 0.0, 0.0
        for precision, recall in curve(y == k, proba[:, k]):
            total += (recall - recall_before) * precision
            recall_before = recall
        scores.append(total)
    return np.mean(scores)


def ece_by_loop(y, proba, n_bins):
    total = 0.0
    for b in range(n_bins):
        rows = [
            i
            for i in range(len(y))
            if b / n_bins <= proba[i].max() < (b + 1) / n_bins
            or (b == n_bins - 1 and proba[i].max() == 1)
        ]
        if rows:
            accuracy = np.mean([proba[i].argmax() == y[i] for i in rows])
            confidence = np.mean([proba[i].max() for i in rows])
            total += len(rows) / len(y) * abs(accuracy - confidence)
    return total


# Definitions


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=5))
def test_one_answer_for_all_is_worth_more_by_trapezoids(sizes):
    y = np.repeat(np.arange(len(sizes)), sizes)
    same = np.full((len(y), len(sizes)), 1 / len(sizes))
    share = np.bincount(y) / len(y)
    assert macro_average_precision(y, same) == pytest.approx(share.mean())
    assert macro_auc_prc(y, same) == pytest.approx((1 + share).mean() / 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([None, 1]))
def test_auc_prc_is_the_area_by_trapezoids_over_all_thresholds(seed, n_classes, decimals):
    y, proba = random_case(seed, 40, n_classes, decimals)
    assert macro_auc_prc(y, proba) == pytest.approx(auc_prc_by_trapezoids(y, proba), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([None, 1]))
def test_average_precision_is_the_sum_of_precision_over_steps_of_recall(seed, n_classes, decimals):
    y, proba = random_case(seed, 40, n_classes, decimals)
    expected = average_precision_by_sum(y, proba)
    assert macro_average_precision(y, proba) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([1, 2, 10, 15, 37]))
def test_calibration_error_is_the_weighted_gap_of_the_bins(seed, n_classes, n_bins):
    y, proba = random_case(seed, 40, n_classes)
    value = expected_calibration_error(y, proba, n_bins=n_bins)
    assert value == pytest.approx(ece_by_loop(y, proba, n_bins), abs=1e-12)


def test_calibration_error_has_15_bins_unless_told():
    y, proba = random_case(0, 300)
    assert expected_calibration_error(y, proba) == expected_calibration_error(y, proba, n_bins=15)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_predictive_kl_is_the_mean_of_scipys(seed, n_classes):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(n_classes), size=(2, 20))
    assert predictive_kl(p, q) == pytest.approx(entropy(p, q, axis=1).mean(), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_kl_from_the_labels_is_the_log_loss(seed):
    y, proba = random_case(seed)
    assert predictive_kl(np.eye(3)[y], proba) == pytest.approx(log_loss(y, proba))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_agreement_with_the_labels_is_the_accuracy(seed, n_classes):
    y, proba = random_case(seed, 40, n_classes)
    accuracy = np.mean([np.argmax(row) == label for row, label in zip(proba, y, strict=True)])
    assert top1_agreement(proba, np.eye(n_classes)[y]) == pytest.approx(accuracy)


# Limits


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_a_perfect_model_reaches_the_best_value_of_everything(n_classes):
    y = np.arange(5 * n_classes) % n_classes
    proba = np.eye(n_classes)[y]
    for metric in RANKING:
        assert metric(y, proba) == 1.0
    assert expected_calibration_error(y, proba) == 0.0
    assert predictive_kl(proba, proba) == 0.0
    assert top1_agreement(proba, proba) == 1.0


@pytest.mark.parametrize("metric", RANKING)
def test_a_perfect_ranking_is_enough(metric):
    y, proba = random_case(0)
    shy = np.full_like(proba, 0.3)
    shy[np.arange(len(y)), y] += 0.1
    assert metric(y, shy) == 1.0


def test_a_model_that_says_the_same_of_all_has_the_class_shares():
    # One threshold: precision is the share of the class at recall 1.
    y = np.repeat([0, 1, 2], [10, 20, 30])
    proba = np.full((60, 3), 1 / 3)
    shares = np.array([1 / 6, 2 / 6, 3 / 6])
    assert macro_average_precision(y, proba) == pytest.approx(shares.mean())
    assert macro_auc_prc(y, proba) == pytest.approx(((1 + shares) / 2).mean())


@pytest.mark.parametrize("metric", RANKING)
def test_a_random_ranking_comes_to_the_class_share(metric):
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=20_000) < 0.3).astype(int)
    proba = rng.dirichlet([1, 1], size=len(y))
    assert metric(y, proba) == pytest.approx(0.5, abs=0.02)


def test_the_worst_ranking_has_the_precision_of_last_places():
    # Every series of the class comes after all 25 others: the i-th has precision i / (25 + i).
    y = np.repeat([0, 1], 25)
    score = np.linspace(1, 0, 50)
    proba = np.stack([1 - score, score], 1)
    last_places = np.arange(1, 26)
    expected = np.mean(last_places / (25 + last_places))
    assert macro_average_precision(y, proba) == pytest.approx(expected)
    assert macro_auc_prc(y, proba) < expected < 0.5


def test_a_calibrated_model_has_next_to_no_calibration_error():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1, 1, 1], size=100_000)
    y = (rng.uniform(size=(len(proba), 1)) > proba.cumsum(1)).sum(1)
    assert expected_calibration_error(y, proba, classes=[0, 1, 2]) < 0.01


def test_a_model_that_is_sure_and_wrong_has_calibration_error_one():
    y = np.array([0, 1, 0, 1])
    assert expected_calibration_error(y, np.eye(2)[1 - y]) == 1.0


def test_a_model_that_is_sure_and_half_right_has_calibration_error_one_half():
    y = np.array([0, 1, 0, 1])
    assert expected_calibration_error(y, np.eye(2)[[0, 0, 0, 0]]) == 0.5


def test_kl_is_finite_where_the_student_has_a_zero_and_grows_as_the_floor_falls():
    teacher, student = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    by_hand = 0.5 * np.log(0.5) + 0.5 * (np.log(0.5) - np.log(1e-12))
    assert predictive_kl(teacher, student) == pytest.approx(by_hand)
    assert predictive_kl(teacher, student, eps=1e-3) < by_hand


def test_a_zero_of_the_teacher_counts_nothing():
    teacher, student = np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])
    assert predictive_kl(teacher, student) == pytest.approx(np.log(4))


# What holds of all


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_values_are_in_their_range(seed, n_classes):
    y, proba = random_case(seed, 30, n_classes)
    other = random_case(seed + 1, 30, n_classes)[1]
    for metric in WITH_LABELS:
        assert 0 <= metric(y, proba) <= 1
        assert isinstance(metric(y, proba), float)
    assert 0 <= top1_agreement(proba, other) <= 1
    assert predictive_kl(proba, other) >= 0
    assert predictive_kl(proba, proba) == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.permutations(range(60)))
def test_the_order_of_series_does_not_matter(seed, order):
    y, proba = random_case(seed)
    for metric in WITH_LABELS:
        assert metric(y[order], proba[order]) == pytest.approx(metric(y, proba), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.permutations(["walk", "run", "sit"]))
def test_names_of_classes_do_not_matter(seed, names):
    y, proba = random_case(seed)
    names = np.array(names)
    in_order = np.argsort(names)
    for metric in WITH_LABELS:
        expected = metric(y, proba)
        # By default columns are in the order of the sorted names.
        assert metric(names[y], proba[:, in_order]) == pytest.approx(expected, abs=1e-12)
        # With classes=, in any order that it tells.
        assert metric(names[y], proba, classes=names) == pytest.approx(expected, abs=1e-12)
        assert metric(y, proba[:, ::-1], classes=[2, 1, 0]) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 2.0, 7.0]))
def test_only_the_ranking_matters_for_two_classes(seed, power):
    y, proba = random_case(seed, n_classes=2)
    sharper = proba**power / (proba**power).sum(1, keepdims=True)
    for metric in RANKING:
        assert metric(y, sharper) == pytest.approx(metric(y, proba), abs=1e-9)


@pytest.mark.parametrize("metric", RANKING)
def test_classes_that_do_not_occur_are_left_out(metric):
    y, proba = random_case(0, n_classes=2)
    absent = np.random.default_rng(1).uniform(size=(len(y), 1))
    wide = np.concatenate([proba, absent], 1)
    assert metric(y, wide, classes=[0, 1, 2]) == pytest.approx(metric(y, proba))


def test_a_better_model_has_better_values():
    y, _ = random_case(0, n=400)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, 3))
    values = {name: [] for name in ("auc-prc", "ap", "roc")}
    for strength in (0.0, 0.5, 1.0, 2.0, 4.0):
        logits = noise + strength * np.eye(3)[y]
        proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        values["auc-prc"].append(macro_auc_prc(y, proba))
        values["ap"].append(macro_average_precision(y, proba))
        values["roc"].append(roc_auc_score(y, proba, multi_class="ovr"))
    for rising in values.values():
        assert rising == sorted(rising)


def test_agreement_takes_logits_and_does_not_care_for_scale():
    rng = np.random.default_rng(0)
    logits, other = rng.normal(size=(2, 50, 4))
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert top1_agreement(logits, other) == top1_agreement(proba, 3 * other + 1)
    assert top1_agreement(logits, other) == top1_agreement(other, logits)


# Errors


@pytest.mark.parametrize("metric", WITH_LABELS)
def test_probabilities_of_another_shape_are_refused_with_both_shapes(metric):
    y = np.array([0, 1, 1])
    message = r"proba has shape \(3, 3\); with 3 labels and 2 classes \(\[0, 1\]\) it must be "
    with pytest.raises(ValueError, match=message + r"\(3, 2\)\. Give classes="):
        metric(y, np.full((3, 3), 1 / 3))
    with pytest.raises(ValueError, match=r"proba has shape \(2, 2\)"):
        metric(y, np.full((2, 2), 1 / 2))
    with pytest.raises(ValueError, match=r"proba has shape \(3,\)"):
        metric(y, np.full(3, 1 / 2))


@pytest.mark.parametrize("metric", WITH_LABELS)
def test_labels_that_are_no_classes_are_refused_by_name(metric):
    with pytest.raises(ValueError, match=r"y_true has labels that aren't in classes: \['b'\]"):
        metric(["a", "b"], np.full((2, 2), 0.5), classes=["a", "c"])


@pytest.mark.parametrize("metric", [top1_agreement, predictive_kl])
def test_two_models_of_unlike_shapes_are_refused_with_both_shapes(metric):
    with pytest.raises(ValueError, match=r"has shape \(3, 2\) and \w+ \(3, 4\); both"):
        metric(np.full((3, 2), 0.5), np.full((3, 4), 0.25))
    with pytest.raises(ValueError, match=r"has shape \(3,\) and \w+ \(3,\); both"):
        metric(np.zeros(3), np.zeros(3))


# Earliness, harmonic mean, cost


def test_earliness_is_the_mean_share_seen():
    assert earliness([10, 30], 40) == pytest.approx(0.5)
    assert earliness([10, 10], [10, 40]) == pytest.approx(0.625)
    assert earliness([10, 30], 40, [1, 3]) == pytest.approx((10 + 90) / 160)


@pytest.mark.parametrize(
    ("n_seen", "whole", "words"),
    [
        ([0, 1], 4, "is 0 of 4 in row 0"),
        ([1, 5], 4, "is 5 of 4 in row 1"),
        ([1, 5], [4, 4], "is 5 of 4 in row 1"),
        ([np.nan, 1], 4, "in row 0"),
        ([1, 2], [4], r"shape \(2,\) and n_timepoints \(1,\)"),
        ([], 4, r"shape \(0,\)"),
        (3, 4, r"shape \(\)"),
    ],
)
def test_numbers_of_points_that_are_refused(n_seen, whole, words):
    with pytest.raises(ValueError, match=words):
        earliness(n_seen, whole)


@pytest.mark.parametrize("weight", [[1], [1, -1], [0, 0], [np.nan, 1], [np.inf, 1]])
def test_weights_that_are_refused(weight):
    with pytest.raises(ValueError, match="sample_weight"):
        earliness([1, 2], 4, weight)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_harmonic_mean_lies_between_and_is_symmetric(accuracy, seen):
    score = harmonic_mean(accuracy, seen)
    assert min(accuracy, 1 - seen) - 1e-12 <= score <= max(accuracy, 1 - seen) + 1e-12
    assert score == pytest.approx(harmonic_mean(1 - seen, 1 - accuracy))


def test_the_harmonic_mean_written_out():
    assert harmonic_mean(0.8, 0.8) == pytest.approx(1 / ((1 / 0.8 + 1 / 0.2) / 2))
    assert harmonic_mean(0, 1) == 0
    for values, name in (((1.2, 0), "accuracy"), ((0, -0.1), "earliness"), ((np.nan, 0), "acc")):
        with pytest.raises(ValueError, match=name):
            harmonic_mean(*values)


COST_CASE = (["b", "a", "a"], ["b", "b", "a"], [10, 20, 40], 40)


def test_the_mean_cost_written_out():
    assert average_cost(*COST_CASE, delay_cost=2) == pytest.approx((0.5 + 1 + 1 + 2) / 3)
    matrix = [[0, 7], [3, 1]]
    expected = (1 + 7 + 0) / 3
    found = average_cost(*COST_CASE, delay_cost=0, misclassification_cost=matrix)
    assert found == pytest.approx(expected)
    turned = average_cost(
        *COST_CASE, delay_cost=0, misclassification_cost=[[1, 3], [7, 0]], classes=["b", "a"]
    )
    assert turned == pytest.approx(expected)
    found = average_cost(*COST_CASE, delay_cost=np.square, sample_weight=[0, 1, 0])
    assert found == pytest.approx(1 + 0.25)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_the_survey_s_weights_are_a_unit_of_cost(alpha):
    found = alpha * average_cost(*COST_CASE, delay_cost=(1 - alpha) / alpha)
    assert found == pytest.approx(alpha / 3 + (1 - alpha) * earliness(*COST_CASE[2:]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delay_cost": np.nan}, "finite"),
        ({"delay_cost": lambda shares: 1 / (shares - shares)}, "finite"),
        ({"delay_cost": lambda shares: shares.sum()}, r"shape \(\)"),
        ({"misclassification_cost": np.ones((3, 3))}, r"must be \(2, 2\)"),
        ({"misclassification_cost": np.ones((2, 2)), "classes": ["a", "c"]}, r"y_true.*\['b'\]"),
        ({"misclassification_cost": [[0]], "classes": ["a"]}, "labels"),
    ],
)
def test_costs_that_are_refused(change, words):
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=words):
        average_cost(*COST_CASE, **{"delay_cost": 1, **change})


def test_shapes_that_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\), \(2,\) and \(3,\)"):
        average_cost(["a"] * 3, ["a"] * 2, [1, 1, 1], 4, delay_cost=1)


@given(st.integers(0, 2**31))
def test_the_mean_cost_is_that_of_the_rules_costs(seed):
    rng = np.random.default_rng(seed)
    path = rng.dirichlet(np.ones(3), size=(20, 4))
    y, moments = rng.integers(3, size=20), rng.integers(4, size=20)
    y[:3] = range(3)
    matrix = rng.uniform(0, 2, size=(3, 3))
    np.fill_diagonal(matrix, matrix.min(1))
    cost = decision_cost(0.3, matrix, [5, 10, 15, 20], 20, range(3))
    predicted = cost.labels(path[np.arange(20), moments])
    seen = 5 * (moments + 1)
    found = average_cost(y, predicted, seen, 20, delay_cost=0.3, misclassification_cost=matrix)
    assert found == pytest.approx(cost.average(path, y, moments))


@pytest.mark.parametrize("missing", [None, np.nan], ids=str)
@pytest.mark.parametrize("measure", WITH_LABELS, ids=lambda f: f.__name__)
def test_missing_labels_are_never_scored(measure, missing):
    proba = np.full((4, 2), 0.5)
    with pytest.raises(ValueError, match="y_true has missing labels: 1 of 4, the first in row 2"):
        measure([0, 1, missing, 1], proba, [0, 1])
    with pytest.raises(ValueError, match="y_true has missing labels"):
        average_cost([0, 1, missing, 1], [0, 1, 1, 1], [5] * 4, 10, delay_cost=0)
    with pytest.raises(ValueError, match="proba has 1 values that are not finite"):
        measure([0, 1, 0, 1], np.where(np.arange(8).reshape(4, 2) == 5, np.nan, proba), [0, 1])


def test_a_cost_of_which_errors_are_cheaper_is_refused():
    how = {"delay_cost": 0, "misclassification_cost": np.eye(2), "classes": ["a", "b"]}
    with pytest.raises(ValueError, match=r"'a'.* is larger for the right answer"):
        average_cost(["a"], ["a"], [5], 10, **how)
