"""Rows of probabilities."""

import numpy as np
import pytest

from skgdpd._runtime.distributions import check_distributions, checked_answers

CLASSES = np.array(["a", "b", "c"])


def good(n=4):
    return np.random.default_rng(0).dirichlet(np.ones(3), n)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, list])
def test_distributions_come_back_in_double_precision(dtype):
    given = good().tolist() if dtype is list else good().astype(dtype)
    found = checked_answers(given, 4, CLASSES, "it")
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, good(), atol=1e-3)


@pytest.mark.parametrize(
    "row",
    [[0, 0, 0], [-0.5, 1, 0.5], [0.5, 0.5, 0.5], [np.nan, 0.5, 0.5], [np.inf, 0, 0], [1.01, 0, 0]],
    ids=str,
)
def test_a_row_that_is_no_distribution_is_named(row):
    rows = good()
    rows[2] = row
    with pytest.raises(ValueError, match=r"it must have probabilities .* row 2 of 4 is"):
        check_distributions(rows, "it")


@pytest.mark.parametrize("shape", [(4,), (4, 2), (3, 3), (5, 3), (4, 3, 1), ()], ids=str)
def test_another_shape_is_named(shape):
    with pytest.raises(ValueError, match="predict_proba of it gave the shape"):
        checked_answers(np.full(shape, 1 / 3), 4, CLASSES, "it")


@pytest.mark.parametrize("answers", ["text", None, [["a", "b", "c"]] * 4, {"a": 1}], ids=str)
def test_what_is_no_array_of_numbers_is_named(answers):
    with pytest.raises(ValueError, match="predict_proba of it gave"):
        checked_answers(answers, 4, CLASSES, "it")
