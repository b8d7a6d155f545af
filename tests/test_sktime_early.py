"""Early classifiers in sktime, beside its own."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sktime.classification.early_classification import TEASER
from sktime.classification.interval_based import TimeSeriesForestClassifier
from sktime.datatypes import convert_to
from sktime.utils.estimator_checks import _get_test_names_for_obj, check_estimator

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier
from skgdpd._series.panel import as_frames
from skgdpd.sktime import SktimeClassifier, SktimeEarlyClassifier

MOMENTS = [10, 20, 40]
NEEDS_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="TEASER needs numba")
UNSUITED = {
    "test_non_state_changing_method_contract",
    "test_fit_idempotent",
    "test_persistence_via_pickle",
    "test_save_estimators_to_file",
}
"""Checks that want predictions to be one array, or to leave no state."""


@pytest.fixture
def early():
    closed = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    return EarlyClassifier(closed, rule="threshold", random_state=0)


# sktime's own suite of checks


def checked(estimator, **which):
    """What does not pass of sktime's checks, by name, and the number of all."""
    found = check_estimator(estimator, raise_exceptions=False, verbose=False, **which)
    return {name for name, result in found.items() if result != "PASSED"}, len(found)


def test_no_more_checks_are_left_out_than_for_teaser():
    own = set(SktimeEarlyClassifier.get_class_tag("tests:skip_by_name"))
    assert own == UNSUITED
    theirs = TEASER.get_class_tag("tests:skip_by_name")
    assert theirs is None or set(theirs) > UNSUITED  # sktime 1.0 leaves them out elsewhere


@pytest.mark.filterwarnings("ignore::Warning")  # of sktime's own scenarios
def test_sktimes_checks_of_objects():
    setting = SktimeEarlyClassifier.get_test_params()[2]
    missed, n = checked(
        SktimeEarlyClassifier(**setting),
        tests_to_run=[
            "test_constructor",
            "test_set_params",
            "test_set_params_sklearn",
            "test_valid_object_tags",
            "test_get_test_params",
            "test_fit_updates_state",
            "test_classifier_output",
        ],
    )
    assert not missed
    assert n >= 6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # of sktime's own scenarios
def test_sktimes_whole_suite_of_checks():
    every = set(_get_test_names_for_obj(SktimeEarlyClassifier))
    missed, n = checked(SktimeEarlyClassifier, tests_to_run=sorted(every - UNSUITED))
    # That check takes the rows of a frame of unequal series for series.
    assert {name.partition("[")[0] for name in missed} <= {"test_classifier_output"}
    assert all("UnequalLength" in name for name in missed)
    assert n >= 200


# Answers


def in_loop(clf, X, lengths):
    """The loop of sktime's guide: labels, and points seen."""
    labels, n_seen = np.full(len(X), None, dtype=object), np.zeros(len(X), dtype=int)
    waiting, clf_call = np.arange(len(X)), clf.predict
    for length in lengths:
        found, decided = clf_call(X[waiting, :, :length])
        assert clf.get_state_info().shape == (len(waiting), 4)
        labels[waiting[decided]] = found[decided]
        n_seen[waiting[decided]] = clf.get_state_info()[decided, 3]
        waiting, clf_call = waiting[~decided], clf.update_predict
        if not len(waiting):
            break
    return labels, n_seen


def test_the_loop_gives_the_answers_of_the_whole_series(bumps, early):
    X, y = bumps
    clf = SktimeEarlyClassifier(early).fit(X[:40], y[:40])
    whole = early.fit(X[:40], y[:40]).decide(X[40:])
    for lengths in (MOMENTS, [5, 13, 39, 40], [40]):
        labels, n_seen = in_loop(clf, X[40:], lengths)
        np.testing.assert_array_equal(labels, whole.labels)
        np.testing.assert_array_equal(n_seen, whole.n_seen)


@NEEDS_NUMBA
def test_beside_teaser_in_the_same_loop(bumps, early):
    X, y = bumps
    each = SktimeClassifier(PrefixClassifier("rocket", earliness=1.0, random_state=0))
    made = {"classification_points": MOMENTS, "random_state": 0}
    for clf in (
        SktimeEarlyClassifier(early),
        TEASER(each, **made),
    ):
        clf.fit(X[:40], y[:40])
        labels, n_seen = in_loop(clf, X[40:], MOMENTS)
        assert set(labels) <= {"no", "yes"}
        assert set(n_seen) <= set(MOMENTS)
        mean, accuracy, seen = clf.score(X[40:], y[40:])
        assert accuracy == pytest.approx((labels == y[40:]).mean())
        assert seen == pytest.approx(n_seen.mean() / 40)
        assert mean == pytest.approx(2 * accuracy * (1 - seen) / (accuracy + 1 - seen))


def test_the_convention_of_undecided_series(bumps, early):
    """What sktime's own early classifiers return, ours returns in the same types."""
    X, y = bumps
    clf = SktimeEarlyClassifier(early).fit(X, y)
    labels, decided = clf.predict(X[:, :, :5])
    proba, same = clf.predict_proba(X[:, :, :5])
    assert not decided.any()
    assert not same.any()
    assert decided.dtype == bool
    assert set(labels) == {"-1"}
    assert (proba == -1).all()
    numbers = SktimeEarlyClassifier(early).fit(X, (y == "yes").astype(int))
    assert set(numbers.predict(X[:, :, :5])[0]) == {-1}


def test_a_reset_begins_with_new_series(bumps, early):
    X, y = bumps
    clf = SktimeEarlyClassifier(early).fit(X, y)
    assert clf.get_state_info() is None
    clf.predict(X[:9])
    with pytest.raises(ValueError, match="X has 5 series, but 0 have no decision yet"):
        clf.update_predict(X[:5])
    clf.reset_state_info()
    proba, decided = clf.update_predict_proba(X[:5])
    assert decided.all()
    np.testing.assert_array_equal(proba, clf.estimator_.predict_proba(X[:5]))
    # A score leaves the series in progress alone.
    before = clf.get_state_info()
    clf.score(X, y)
    np.testing.assert_array_equal(clf.get_state_info(), before)


@pytest.mark.parametrize("mtype", ["pd-multiindex", "df-list", "nested_univ"])
def test_forms_of_panels(bumps, early, mtype):
    X, y = bumps
    clf = SktimeEarlyClassifier(early).fit(convert_to(X, mtype), y)
    whole = early.fit(X, y).decide(X)
    np.testing.assert_array_equal(clf.predict(convert_to(X, mtype))[0], whole.labels)


def test_series_of_unequal_length(bumps, early):
    X, y = bumps
    X = X.astype(float)
    X[::3, :, 33:] = np.nan
    clf = SktimeEarlyClassifier(early).fit(as_frames(X), y)
    assert clf.get_tag("capability:unequal_length")
    decided = clf.predict(as_frames(X))[1]
    whole = early.fit(X, y).decide(X)
    np.testing.assert_array_equal(decided, ~(whole.forced & np.isnan(X[:, 0, -1])))
    assert clf.score(as_frames(X), y)[1] == (whole.labels == y).mean()
    denied = SktimeEarlyClassifier(EarlyClassifier(LogisticRegression(), earliness=MOMENTS))
    assert not denied.get_tag("capability:unequal_length")
    with pytest.raises(ValueError, match="cannot handle unequal length"):
        denied.fit(as_frames(X), y)


# Parameters, tags and labels


def test_parameters_and_tags_follow_the_classifier(early):
    clf = SktimeEarlyClassifier(early)
    assert clf.get_tag("property:randomness") == "deterministic"
    assert not clf.get_tag("capability:missing_values")
    clf.set_params(estimator__classifier__series__missing_values="mask", delay_cost=0.5)
    assert clf.estimator.delay_cost == 0.5
    assert clf.get_tag("capability:missing_values")
    assert clf.clone().get_tag("capability:missing_values")
    clf.set_params(estimator__classifier__random_state=None)
    assert clf.get_tag("property:randomness") == "stochastic"


def test_unlabelled_series(bumps):
    X, y = bumps
    taught = DistilledPrefixClassifier(
        teacher="lstm1-8", student="rocket", earliness=MOMENTS, max_epochs=2, random_state=0
    )
    marked = y.astype(object)
    marked[30:] = None
    early = EarlyClassifier(taught, rule="threshold", cv=2, random_state=0)
    clf = SktimeEarlyClassifier(early).fit(X, marked)
    assert clf.classes_.tolist() == ["no", "yes"]
    assert clf.estimator_.classifier_.history_.n_unlabeled == 30
    with pytest.raises(ValueError, match="missing labels"):
        clf.score(X, marked)


def test_a_class_may_be_minus_one(bumps):
    """-1 also stands for series without a decision; the decisions tell the two apart."""
    X, y = bumps[0], np.where(bumps[1] == "yes", 1, -1)
    inside = EarlyClassifier(LogisticRegression(), earliness=MOMENTS, cv=2, random_state=0)
    whole = inside.fit(X, y).decide(X)
    clf = SktimeEarlyClassifier(inside).fit(X, y)
    labels, decided = clf.predict(X[:, :, :20])
    assert np.array_equal(decided, whole.n_seen <= 20)
    assert np.array_equal(labels[decided], whole.labels[decided])
    assert (labels[~decided] == -1).all()
    assert np.isin([-1, 1], labels[decided]).all()


def test_what_is_refused(bumps, early):
    X, y = bumps
    with pytest.raises(TypeError, match="must be an EarlyClassifier"):
        SktimeEarlyClassifier(PrefixClassifier()).fit(X, y)
    alone = SktimeEarlyClassifier(early)
    with pytest.raises(ValueError, match="y has one class, 'no'"):
        alone.fit(X, np.full(60, "no"))
    assert not alone.is_fitted


def test_sktimes_classifiers_in_an_early_classifier(bumps):
    X, y = bumps
    forest = TimeSeriesForestClassifier(n_estimators=3, random_state=0)
    early = EarlyClassifier(forest, earliness=MOMENTS, rule="threshold", cv=2, random_state=0)
    clf = SktimeEarlyClassifier(early).fit(X, y)
    assert not clf.get_tag("capability:unequal_length")
    np.testing.assert_array_equal(clf.predict(X)[0], early.fit(X, y).predict(X))


def test_as_a_plain_classifier(bumps, early):
    """Labels alone, for sktime's pipelines and benchmarks."""
    X, y = bumps
    clf = SktimeClassifier(early)
    assert clf.get_tag("capability:unequal_length")
    np.testing.assert_array_equal(clf.fit(X, y).predict(X), early.fit(X, y).predict(X))


def test_labels_with_an_index_are_those_of_their_series(bumps, early):
    X, y = bumps
    frame = convert_to(X, "pd-multiindex")
    ids = frame.index.get_level_values(0).unique()
    shuffled = pd.Series(y, index=ids).sample(frac=1, random_state=0)
    clf = SktimeEarlyClassifier(early).fit(frame, shuffled)
    assert clf.score(frame, shuffled) == SktimeEarlyClassifier(early).fit(X, y).score(X, y)
    with pytest.raises(ValueError, match="y is matched with X by its index, which lacks"):
        clf.fit(frame, shuffled.rename(lambda i: i + 100))
