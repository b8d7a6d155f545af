"""Costs: their forms, their errors, and the answers that they ask for."""

import numpy as np
import pytest
from early_paths import gaussian_paths, ragged, random_errors, setting
from hypothesis import given
from hypothesis import strategies as st

from skgdpd.stopping import DecisionCost, decision_cost

CLASSES = ["failure", "fine", "wear"]
POINTS = [25, 50, 100]


def read(delay=0.0, errors=None, classes=CLASSES):
    return decision_cost(delay, errors, POINTS, 100, classes)


def test_a_number_a_callable_and_an_array_say_the_same():
    expected = [0.5, 1.0, 2.0]
    np.testing.assert_array_equal(read(2).delay, expected)
    np.testing.assert_array_equal(read(np.float32(2)).delay, expected)
    np.testing.assert_array_equal(read(lambda share: 2 * share).delay, expected)
    np.testing.assert_array_equal(read(expected).delay, expected)


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        (-1, "not negative"),
        (np.inf, "finite"),
        (np.nan, "finite"),
        ([0, 1], r"shape \(2,\).*shape \(3,\)"),
        ([0, 2, 1], r"must not fall.*\[0.0, 2.0, 1.0\]"),
        (lambda share: -share, "not negative"),
        (lambda share: "much", r"\(0.25\) is 'much'"),
        (True, "shape"),
        ("long", "numbers"),
    ],
)
def test_delays_that_are_refused(delay, words):
    with pytest.raises(ValueError, match=rf"(?s)delay_cost.*{words}"):
        read(delay)


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (np.ones((2, 2)), r"shape \(2, 2\).*must be \(3, 3\)"),
        (-np.ones((3, 3)), "-1.0 for true 'failure' and predicted 'failure'"),
        (np.full((3, 3), np.nan), "finite"),
        ({"failed": 2}, r"'failed'.*\['failure', 'fine', 'wear'\]"),
        ({"failure": {"good": 2}}, "'good'"),
        ({"failure": "a lot"}, r"\['failure'\] is 'a lot'"),
        ({"failure": {"fine": None}}, r"\['failure'\]\['fine'\] is None"),
        ({"failure": -3}, "-3.0 for true 'failure' and predicted 'fine'"),
        ("high", "='high' must be a dict of costs by class"),
        (True, "=True must be a dict"),
        (dict.fromkeys(CLASSES, 0), "gives no error a cost above .*'failure': 0.0"),
        (np.full((3, 3), 2), "gives no error a cost above that of the right answer"),
        (np.eye(3), "is 1.0 for the right answer 'failure', and less, 0.0, for the error 'fine'"),
        ({"wear": {"wear": 1.5}}, "is 1.5 for the right answer 'wear'"),
        ([[0, 1, 1], [2, 2, 1], [1, 1, 0]], "is 2.0 for the right answer 'fine'"),
    ],
)
def test_errors_that_are_refused(errors, words):
    with pytest.raises(ValueError, match=rf"(?s)misclassification_cost.*{words}"):
        read(errors=errors)


@pytest.mark.parametrize("points", [[], [0, 1], [2, 2], [3, 2], [50, 101], [0.5, 1.0], 3])
def test_time_points_that_are_refused(points):
    with pytest.raises(ValueError, match="time_points"):
        decision_cost(1, None, points, 100, CLASSES)


def test_a_dict_is_the_matrix_that_it_names():
    of_dict = read(errors={"failure": 20, "wear": {"fine": 3, "wear": 0.5}})
    matrix = [[0, 20, 20], [1, 0, 1], [1, 3, 0.5]]
    np.testing.assert_array_equal(of_dict.misclassification, matrix)
    np.testing.assert_array_equal(read(errors=matrix).misclassification, matrix)
    np.testing.assert_array_equal(read(errors={}).misclassification, read().misclassification)


def test_labels_that_are_numbers():
    cost = read(errors={7: 2}, classes=np.array([-1, 3, 7]))
    np.testing.assert_array_equal(cost.misclassification, [[0, 1, 1], [1, 0, 1], [2, 2, 0]])


def test_a_right_answer_may_cost_as_much_as_an_error():
    matrix = [[0, 0, 1], [1, 1, 1], [1, 1, 0]]
    np.testing.assert_array_equal(read(errors=matrix).misclassification, matrix)
    assert not read(errors={"failure": 0}).misclassification[0].any()


def test_a_matrix_is_copied():
    matrix = 2 - np.eye(3)
    cost = read(errors=matrix)
    matrix[:] = 0
    assert cost.misclassification.all()


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_with_equal_errors_the_label_is_the_most_probable(seed, n_classes):
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=50)
    cost = decision_cost(1, None, POINTS, 100, range(n_classes))
    np.testing.assert_array_equal(cost.labels(probabilities), probabilities.argmax(1))


def test_probabilities_that_differ_in_the_last_digit_are_no_tie():
    above = np.nextafter(0.3, 1)
    assert read().labels(np.array([0.3, 1 - 0.3 - above, above])) == 1
    assert read().labels(np.array([0.3, 0.3, above])) == 2


def test_the_first_of_equal_labels():
    np.testing.assert_array_equal(read().labels(np.array([[1, 1, 1], [0, 1, 1]]) / 2), [0, 1])


@given(st.integers(0, 2**31))
def test_labels_have_the_least_expected_cost(seed):
    rng = np.random.default_rng(seed)
    cost = read(errors=random_errors(rng, 5))
    probabilities = rng.dirichlet(np.ones(3), size=40)
    each = probabilities @ cost.misclassification
    chosen = each[np.arange(40), cost.labels(probabilities)]
    np.testing.assert_allclose(chosen, each.min(1))
    np.testing.assert_allclose(cost.expected(probabilities), each.min(1))


def test_a_dear_miss_makes_the_alarm_early():
    """A miss that costs 20 alarms is avoided from a probability of 1/21 on."""
    cost = decision_cost(0, {1: 20}, POINTS, 100, [0, 1])
    p = np.array([1 / 21 - 1e-6, 1 / 21 + 1e-6])
    np.testing.assert_array_equal(cost.labels(np.column_stack([1 - p, p])), [0, 1])


def test_costs_of_answers_written_out():
    path = np.array([[[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], [[0.6, 0.4], [0.7, 0.3], [np.nan] * 2]])
    cost = decision_cost(1, [[0, 5], [2, 0]], POINTS, 100, [0, 1])
    # 0.9: expected costs 0.2 and 4.5; 0.2: 1.6 and 1; 0.4: 1.2 and 2; 0.6, 0.7: 0.8, 0.6.
    y = np.array([1, 0])
    found = cost.of_answers(path, y)
    np.testing.assert_allclose(found, [[2.25, 0.5, 3], [0.25, 0.5, np.nan]])
    assert cost.floor(path, y) == pytest.approx((0.5 + 0.25) / 2)
    assert cost.floor(path, y, np.array([3, 1])) == pytest.approx((3 * 0.5 + 0.25) / 4)
    assert cost.average(path, y, np.array([2, 1])) == pytest.approx((3 + 0.5) / 2)
    assert cost.average(path, y, np.array([2, 1]), np.array([1, 3])) == pytest.approx(
        (3 + 1.5) / 4
    )


def test_an_answer_after_the_end_is_refused():
    path, y = gaussian_paths(20)
    path = ragged(path)
    cost, _ = setting()
    with pytest.raises(ValueError, match="after the end"):
        cost.average(path, y, np.full(20, 5))


@given(st.integers(0, 2**31))
def test_no_moments_cost_less_than_the_floor(seed):
    path, y = gaussian_paths(30, seed=seed)
    cost, _ = setting(errors=random_errors(np.random.default_rng(seed), 3))
    moments = np.random.default_rng(seed).integers(6, size=30)
    assert cost.average(path, y, moments) >= cost.floor(path, y)


def test_a_row_is_labelled_alike_alone_and_among_others():
    rng = np.random.default_rng(0)
    cost = DecisionCost(np.zeros(1), rng.uniform(size=(7, 7)))
    probabilities = rng.dirichlet(np.ones(7), size=100)
    one_by_one = [cost.expected(row[None])[0] for row in probabilities]
    np.testing.assert_array_equal(cost.expected(probabilities), one_by_one)
