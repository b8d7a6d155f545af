"""Early classifiers in aeon, beside its own."""

import importlib
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier

MOMENTS = [10, 20, 40]


def test_without_aeon_the_error_names_the_command(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("skgdpd.aeon")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aeon", None)
    with pytest.raises(ImportError, match=r"pip install 'skgdpd\[aeon\]'"):
        importlib.import_module("skgdpd.aeon")


@pytest.fixture
def adapter():
    pytest.importorskip("aeon")
    return importlib.import_module("skgdpd.aeon").AeonEarlyClassifier


@pytest.fixture
def early():
    closed = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    return EarlyClassifier(closed, rule="threshold", random_state=0)


# aeon 1.6 under numpy and numba; none of it ours.
pytestmark = pytest.mark.filterwarnings("default")


def test_aeons_whole_suite_of_checks(adapter):
    """One check wants predictions to leave no state; aeon leaves it out for its own, too."""
    from aeon.testing.estimator_checking import check_estimator

    found = check_estimator(adapter, raise_exceptions=False, verbose=False)
    missed = [name for name, result in found.items() if result != "PASSED"]
    assert {name.partition("(")[0] for name in missed} <= {"check_non_state_changing_method"}
    assert len(found) >= 40


def in_loop(clf, X, lengths):
    """The loop of aeon's guide: labels, and points seen."""
    labels, n_seen = np.full(len(X), None, dtype=object), np.zeros(len(X), dtype=int)
    waiting, call = np.arange(len(X)), clf.predict
    for length in lengths:
        found, decided = call(X[waiting, :, :length])
        assert clf.get_state_info().shape == (len(waiting), 4)
        labels[waiting[decided]] = found[decided]
        n_seen[waiting[decided]] = clf.get_state_info()[decided, 3]
        waiting, call = waiting[~decided], clf.update_predict
        if not len(waiting):
            break
    return labels, n_seen


def test_the_loop_gives_the_answers_of_the_whole_series(bumps, early, adapter):
    X, y = bumps
    clf = adapter(early).fit(X[:40], y[:40])
    whole = early.fit(X[:40], y[:40]).decide(X[40:])
    for lengths in (MOMENTS, [5, 13, 39, 40], [40]):
        labels, n_seen = in_loop(clf, X[40:], lengths)
        np.testing.assert_array_equal(labels, whole.labels)
        np.testing.assert_array_equal(n_seen, whole.n_seen)


def test_beside_teaser_in_the_same_loop(bumps, early, adapter):
    from aeon.classification.early_classification import TEASER

    X, y = bumps
    each = PrefixClassifier("rocket", earliness=1.0, random_state=0)
    teaser = TEASER(each, classification_points=MOMENTS, random_state=0)
    for clf in (adapter(early), teaser):
        clf.fit(X[:40], y[:40])
        labels, n_seen = in_loop(clf, X[40:], MOMENTS)
        assert set(labels) <= {"no", "yes"}
        mean, accuracy, seen = clf.score(X[40:], y[40:])
        assert accuracy == pytest.approx((labels == y[40:]).mean())
        assert seen == pytest.approx(n_seen.mean() / 40)
        assert mean == pytest.approx(2 * accuracy * (1 - seen) / (accuracy + 1 - seen))


def test_undecided_series_and_a_reset(bumps, early, adapter):
    X, y = bumps
    clf = adapter(early).fit(X, y)
    labels, decided = clf.predict(X[:, :, :5])
    proba, _ = clf.predict_proba(X[:, :, :5])
    assert not decided.any()
    assert set(labels) == {"-1"}
    assert (proba == -1).all()
    with pytest.raises(ValueError, match="X has 5 series, but 60 have no decision yet"):
        clf.update_predict(X[:5])
    clf.reset_state_info()
    proba, decided = clf.update_predict_proba(X[:5])
    assert decided.all()
    np.testing.assert_array_equal(proba, clf.estimator_.predict_proba(X[:5]))


def test_series_of_unequal_length(bumps, early, adapter):
    X, y = bumps
    series = [x[:, : 33 if i % 3 == 0 else 40].astype(float) for i, x in enumerate(X)]
    clf = adapter(early).fit(series, y)
    whole = early.fit(series, y).decide(series)
    assert clf.score(series, y)[1] == (whole.labels == y).mean()
    decided = clf.predict(series)[1]
    np.testing.assert_array_equal(decided, ~(whole.forced & (np.arange(60) % 3 == 0)))
    rows = EarlyClassifier(LogisticRegression(), earliness=MOMENTS)
    with pytest.raises(ValueError, match="unequal length"):
        adapter(rows).fit(series, y)


def test_parameters_tags_and_labels(bumps, early, adapter):
    X, y = bumps
    clf = adapter(early)
    assert not clf.get_tag("capability:missing_values")
    masked = clone(early).set_params(classifier__series__missing_values="mask")
    assert adapter(masked).get_tag("capability:missing_values")
    assert clf.set_params(estimator__delay_cost=0.5).estimator.delay_cost == 0.5
    taught = DistilledPrefixClassifier(
        teacher="lstm1-8", student="rocket", earliness=MOMENTS, max_epochs=2, random_state=0
    )
    marked = y.astype(object)
    marked[30:] = None
    clf = adapter(EarlyClassifier(taught, rule="threshold", cv=2, random_state=0)).fit(X, marked)
    assert clf.classes_.tolist() == ["no", "yes"]
    assert clf.estimator_.classifier_.history_.n_unlabeled == 30
    with pytest.raises(TypeError, match="must be an EarlyClassifier"):
        adapter(PrefixClassifier()).fit(X, y)


def test_aeons_classifiers_in_an_early_classifier(bumps, adapter):
    from aeon.classification.interval_based import TimeSeriesForestClassifier

    X, y = bumps
    forest = TimeSeriesForestClassifier(n_estimators=3, random_state=0)
    early = EarlyClassifier(forest, earliness=MOMENTS, rule="threshold", cv=2, random_state=0)
    clf = adapter(early).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X)[0], early.fit(X, y).predict(X))
