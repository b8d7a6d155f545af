"""The stratified split: every row once, every class on the training side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd._series.split import stratified_split

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)
FRACTIONS = st.floats(0, 1, exclude_max=True)


@settings(deadline=None, max_examples=100)
@given(LABELS, FRACTIONS, st.integers(0, 2**31 - 1))
def test_every_row_is_on_one_side_in_ascending_order(y, fraction, seed):
    train, valid = stratified_split(y, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(len(y)))
    for part in (train, valid):
        assert (np.diff(part) > 0).all()
        assert part.dtype.kind == "i"


@settings(deadline=None, max_examples=100)
@given(LABELS, FRACTIONS, st.integers(0, 2**31 - 1))
def test_each_class_gives_the_nearest_number_but_keeps_one_for_training(y, fraction, seed):
    train, valid = stratified_split(y, fraction, seed)
    for label in np.unique(y):
        n = (y == label).sum()
        n_valid = (y[valid] == label).sum()
        assert (y[train] == label).sum() >= 1
        if n_valid < n - 1:
            assert abs(n_valid - fraction * n) <= 0.5
        else:
            assert n_valid <= fraction * n + 0.5


@settings(deadline=None, max_examples=50)
@given(LABELS, FRACTIONS, st.integers(0, 2**31 - 1))
def test_the_same_seed_gives_the_same_split(y, fraction, seed):
    one, other = stratified_split(y, fraction, seed), stratified_split(y, fraction, seed)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_seeds_matter():
    y = np.repeat([0, 1], 50)
    splits = {tuple(stratified_split(y, 0.2, seed)[1]) for seed in range(20)}
    assert len(splits) == 20


def test_no_fraction_keeps_everything_for_training():
    train, valid = stratified_split(np.array([0, 1, 0, 1]), 0.0, 0)
    np.testing.assert_array_equal(train, np.arange(4))
    assert len(valid) == 0


def test_classes_of_one_series_are_never_refused_and_stay_in_training():
    train, valid = stratified_split(np.arange(6), 0.9, 0)
    np.testing.assert_array_equal(train, np.arange(6))
    assert len(valid) == 0


def test_every_row_is_as_likely_as_another_to_be_held_out():
    y = np.repeat([0, 1], [20, 10])
    n_draws = 2000
    counts = np.zeros(len(y))
    for seed in range(n_draws):
        counts[stratified_split(y, 0.2, seed)[1]] += 1
    # Binomial with p = 0.2; five standard errors.
    assert np.abs(counts / n_draws - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / n_draws)


@pytest.mark.parametrize("labels", [[7, 7, 3, 3], [-1, -1, 5, 5]])
def test_labels_need_not_be_consecutive(labels):
    y = np.array(labels)
    train, valid = stratified_split(y, 0.5, 0)
    np.testing.assert_array_equal(np.sort(y[train]), np.unique(y))
    np.testing.assert_array_equal(np.sort(y[valid]), np.unique(y))
