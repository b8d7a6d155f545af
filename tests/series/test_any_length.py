"""Predictions from series of any length: what comes after the prefix is not looked at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import (
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    LuPTSClassifier,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
)
from skgdpd.datasets import make_bumps

N_POINTS, N_SEEN = 30, 9
X, y = make_bumps(16, N_POINTS, random_state=0)
LONGER = np.concatenate([X, np.full_like(X, 1e9)], 2)
QUICK = {"max_epochs": 1, "random_state": 0}
GENERATOR = GeneratorOptions(max_epochs=1, depth=1, hidden=8, n_diffusion_steps=10)
MAKERS = {
    "fcn": lambda: PrefixClassifier("fcn24", **QUICK),
    "lstm": lambda: PrefixClassifier("lstm1-8", normalize="prefix", **QUICK),
    "rocket": lambda: PrefixClassifier(
        "rocket", series=SeriesOptions(resample_length=12), **QUICK
    ),
    "mask": lambda: PrefixClassifier(
        "lstm1-8", series=SeriesOptions(missing_values="mask"), **QUICK
    ),
    "gaps": lambda: PrefixClassifier(
        "lstm1-8", series=SeriesOptions(missing_values="interpolate"), **QUICK
    ),
    "taught": lambda: DistilledPrefixClassifier(teacher="fcn24", student="lstm1-8", **QUICK),
    "gdpd": lambda: GDPDClassifier("lstm1-8", student="lstm1-8", **QUICK),
    "gendd": lambda: GenDDClassifier(
        "lstm1-8", student="lstm1-8", generator=GENERATOR, n_sampling_steps=2, **QUICK
    ),
    "lupts": lambda: LuPTSClassifier(random_state=0),
}


@pytest.fixture(scope="module")
def fitted():
    """Function that returns a fitted classifier by its name, and its probabilities."""
    made = {}

    def get(name, flat=False):
        if (name, flat) not in made:
            series = X[:, 0] if flat else X
            clf = MAKERS[name]().fit(series, y)
            made[name, flat] = clf, clf.predict_proba(series)
        return made[name, flat]

    return get


@pytest.mark.parametrize("name", MAKERS)
@settings(deadline=None, max_examples=12)
@given(length=st.integers(N_SEEN, 2 * N_POINTS))
def test_every_length_from_the_prefix_on_gives_the_same_bits(fitted, name, length):
    clf, proba = fitted(name)
    assert clf.prefix_length_ == N_SEEN
    np.testing.assert_array_equal(clf.predict_proba(LONGER[:, :, :length]), proba)
    np.testing.assert_array_equal(clf.predict(list(LONGER[:, :, :length])), clf.predict(X))


@settings(deadline=None, max_examples=12)
@given(length=st.integers(N_SEEN, N_POINTS))
def test_tables_of_one_channel_have_any_length_too(fitted, length):
    clf, proba = fitted("rocket", flat=True)
    np.testing.assert_array_equal(clf.predict_proba(LONGER[:, 0, :length]), proba)


@pytest.mark.parametrize("name", MAKERS)
def test_series_of_different_lengths_are_taken_together(fitted, name):
    clf, proba = fitted(name)
    lengths = np.random.default_rng(0).integers(N_SEEN, 2 * N_POINTS, len(X))
    mixed = [x[:, :length] for x, length in zip(LONGER, lengths, strict=True)]
    np.testing.assert_array_equal(clf.predict_proba(mixed), proba)


def test_the_shares_of_gunpoint(gunpoint):
    X, y, X_test, _ = gunpoint
    clf = PrefixClassifier("rocket", earliness=0.3, random_state=0).fit(X, y)
    more = np.concatenate([X_test, X_test], 2)
    expected = clf.predict_proba(X_test)
    for n in (45, 60, 149, 200):
        np.testing.assert_array_equal(clf.predict_proba(more[:, :, :n]), expected)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("length", [1, N_SEEN - 1])
def test_shorter_series_are_refused_by_name(fitted, name, length):
    clf, _ = fitted(name)
    for method in (clf.predict, clf.predict_proba, clf.predict_log_proba):
        with pytest.raises(ValueError, match=f"X has series of {length} time points.*{N_SEEN}"):
            method(X[:, :, :length])


def test_a_shorter_table_is_refused_by_name(fitted):
    clf, _ = fitted("rocket", flat=True)
    with pytest.raises(ValueError, match=f"X has 8 features, .* the first {N_SEEN}"):
        clf.predict(X[:, 0, :8])


def test_a_table_that_may_be_transposed_is_refused(fitted):
    clf, proba = fitted("rocket", flat=True)
    with pytest.raises(ValueError, match=r"X has 60 features, .*arrays of three dimensions"):
        clf.predict(LONGER[:, 0])
    np.testing.assert_array_equal(clf.predict_proba(LONGER), proba)


def test_a_transformer_takes_whole_series_or_its_own_output():
    clf = PrefixClassifier("lstm1-8", earliness=PrefixTruncator(0.3), **QUICK).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), clf.predict_proba(X[:, :, :N_SEEN]))
    for length in (N_SEEN - 1, N_SEEN + 1, N_POINTS + 1):
        with pytest.raises(ValueError, match=f"series of {length} time points.*transformer"):
            clf.predict(LONGER[:, :, :length])


@pytest.mark.parametrize("name", MAKERS)
def test_log_probabilities_are_the_logarithms_of_probabilities(fitted, name):
    clf, proba = fitted(name)
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba, rtol=1e-12)


def test_log_probabilities_of_answers_at_their_own_moments():
    clf = PrefixClassifier("rocket", earliness=[0.3, 1.0], random_state=0)
    early = EarlyClassifier(clf, rule="fixed", cv=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(np.exp(early.predict_log_proba(X)), early.predict_proba(X))


def test_the_logarithm_of_no_probability_is_minus_infinity():
    class Certain(PrefixClassifier):
        def predict_proba(self, X):
            return np.array([[1.0, 0.0]])

    np.testing.assert_array_equal(Certain().predict_log_proba(X[:1]), [[0.0, -np.inf]])
