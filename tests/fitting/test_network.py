"""Prediction batch by batch, with results fetched when they are made or later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skgdpd import PrefixClassifier, SeriesOptions
from skgdpd._fitting import network as _network
from skgdpd._fitting.network import behind


@given(n=st.integers(0, 9), lag=st.integers(0, 4))
def test_nothing_is_lost_and_little_is_kept_back(n, lag):
    made = []

    def items():
        for i in range(n):
            made.append(i)
            yield i

    seen = []
    for i in behind(items(), lag):
        assert len(made) == min(i + 1 + lag, n)
        seen.append(i)
    assert seen == list(range(n))


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("lag", [1, 3])
def test_results_fetched_later_are_the_same(monkeypatch, bumps, lag, ragged):
    X, y = bumps
    if ragged:
        X = [x[:, : 20 + i % 21] for i, x in enumerate(X)]
    clf = PrefixClassifier(
        "fcn",
        max_epochs=2,
        series=SeriesOptions(predict_batch_size=7),
        random_state=0,
        device="cpu",
    ).fit(X, y)
    expected = clf.predict_proba(X)
    monkeypatch.setattr(_network, "behind", lambda items, n: behind(items, lag))
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
