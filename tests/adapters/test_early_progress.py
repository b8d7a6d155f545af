"""Answers to parts of series, one longer than the other, as sktime and aeon ask for them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skgdpd import EarlyClassifier, PrefixClassifier, SeriesOptions
from skgdpd._adapters.early import Progress, fitted_clone, scores
from skgdpd._series.panel import as_frames
from skgdpd.datasets import make_bumps
from skgdpd.metrics import earliness, harmonic_mean

MOMENTS = [0.2, 0.5, 0.75, 1.0]
KINDS = {
    "paths": PrefixClassifier("rocket", earliness=MOMENTS, random_state=0),
    "state": PrefixClassifier("lstm1-8", earliness=MOMENTS, max_epochs=30, random_state=0),
}


@pytest.fixture(scope="module")
def series():
    X, y = make_bumps(90, 40, noise=0.8, random_state=0)
    return X, np.array(["no", "yes"])[y]


@pytest.fixture(scope="module")
def fitted(series):
    X, y = series
    made = {"rule": "threshold", "cv": 2, "random_state": 0}
    return {
        kind: EarlyClassifier(classifier, **made).fit(X[:60], y[:60])
        for kind, classifier in KINDS.items()
    }


def answers_in_parts(early, X, lengths):
    """Give ever longer parts of the series that have no answer; return labels and points seen."""
    labels = np.full(len(X), None, dtype=object)
    proba = np.full((len(X), len(early.classes_)), np.nan)
    n_seen = np.zeros(len(X), dtype=int)
    waiting = np.arange(len(X))
    progress = None
    for length in lengths:
        if not len(waiting):
            break
        part = X[waiting, :, :length]
        if progress is None:
            progress = Progress(early, part)
        else:
            progress.go_on(part)
        found, decided = progress.labels()
        own, same = progress.probabilities()
        state = progress.state_info()
        np.testing.assert_array_equal(decided, same)
        np.testing.assert_array_equal(decided, state[:, 1] == 1)
        assert (found[~decided] == "-1").all()
        assert (own[~decided] == -1).all()
        done = waiting[decided]
        labels[done], proba[done], n_seen[done] = found[decided], own[decided], state[decided, 3]
        np.testing.assert_array_equal(early.classes_[state[decided, 2]], found[decided])
        waiting = waiting[~decided]
    return labels, proba, n_seen, waiting


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(lengths=st.sets(st.integers(1, 39)))
def test_parts_are_answered_as_the_whole(fitted, series, kind, lengths):
    early, X = fitted[kind], series[0][60:]
    whole = early.decide(X)
    labels, proba, n_seen, waiting = answers_in_parts(early, X, [*sorted(lengths), 40])
    assert not len(waiting)
    np.testing.assert_array_equal(labels, whole.labels)
    np.testing.assert_array_equal(proba, whole.probabilities)
    np.testing.assert_array_equal(n_seen, whole.n_seen)


def test_nothing_is_decided_before_the_first_moment(fitted, series):
    early, X = fitted["paths"], series[0][60:]
    progress = Progress(early, X[:, :, :7])
    assert not progress.labels()[1].any()
    np.testing.assert_array_equal(progress.state_info(), [[-1, 0, -1, 0]] * 30)
    progress.go_on(X[:, :, :8])
    assert (progress.state_info()[:, [0, 3]] == [0, 8]).all()


def test_series_that_may_go_on_are_not_forced(fitted, series):
    """A short one waits, among long ones too; the last moment forces an answer."""
    early, X = fitted["paths"], series[0][60:].copy()
    waits = np.flatnonzero(early.decide(X).n_seen > 8)[0]
    X[waits, :, 15:] = np.nan
    frames = as_frames(X)
    progress = Progress(early, frames)
    decided = progress.labels()[1]
    assert not decided[waits]
    assert decided.sum() == 29
    progress.go_on(series[0][60:][[waits]])
    assert progress.labels()[1].all()


def test_other_rows_and_changed_beginnings_are_refused(fitted, series):
    early, X = fitted["paths"], series[0][60:]
    progress = Progress(early, X[:, :, :30])
    waiting = np.flatnonzero(~progress.labels()[1])
    assert 1 < len(waiting) < 30
    with pytest.raises(ValueError, match=f"X has 30 series, but {len(waiting)} have no decision"):
        progress.go_on(X)
    with pytest.raises(ValueError, match="X has another beginning than before, series 0"):
        progress.go_on(X[waiting[::-1]])
    with pytest.raises(ValueError, match="5 time points, series 0, of which 30 have been"):
        progress.go_on(X[waiting, :, :5])
    # What was refused has left no trace.
    progress.go_on(X[waiting])
    np.testing.assert_array_equal(progress.labels()[0], early.decide(X[waiting]).labels)


def test_the_callers_array_may_be_used_again(fitted, series):
    early, X = fitted["state"], series[0][60:]
    part = X[:, :, :30].copy()
    progress = Progress(early, part)
    part[:] = 0
    waiting = ~progress.labels()[1]
    progress.go_on(X[waiting])
    np.testing.assert_array_equal(progress.labels()[0], early.decide(X[waiting]).labels)


def test_the_same_points_again_change_nothing(fitted, series):
    early, X = fitted["paths"], series[0][60:]
    progress = Progress(early, X[:, :, :30])
    waiting = ~progress.labels()[1]
    before = progress.state_info()[waiting]
    progress.go_on(X[waiting, :, :30])
    np.testing.assert_array_equal(progress.state_info(), before)


def test_a_stored_copy_goes_on_alike(fitted, series):
    early, X = fitted["state"], series[0][60:]
    progress = Progress(early, X[:, :, :30])
    copy = pickle.loads(pickle.dumps(progress))
    waiting = ~progress.labels()[1]
    for each in (progress, copy):
        each.go_on(X[waiting])
    np.testing.assert_array_equal(progress.probabilities()[0], copy.probabilities()[0])


def test_gaps_at_the_end_of_a_part(series):
    """A gap may be the end of a series or not; it is not taken for one."""
    X, y = series
    X = X.copy()
    X[:, :, 6:10] = np.nan
    masked = SeriesOptions(missing_values="mask")
    classifier = PrefixClassifier(
        "lstm1-8", earliness=MOMENTS, max_epochs=2, series=masked, random_state=0
    )
    early = EarlyClassifier(classifier, rule="threshold", cv=2, random_state=0)
    early.fit(X[:60], y[:60])
    whole = early.decide(X[60:])
    labels, proba, n_seen, _ = answers_in_parts(early, X[60:], [5, 8, 9, 10, 20, 40])
    np.testing.assert_array_equal(labels, whole.labels)
    np.testing.assert_array_equal(proba, whole.probabilities)
    np.testing.assert_array_equal(n_seen, whole.n_seen)


@pytest.mark.parametrize("labels", [[0, 1], [True, False], [-3, 5], ["a", "b"]])
def test_labels_without_a_decision(series, labels):
    X, y = series
    y = np.asarray(labels, dtype=np.uint8 if labels == [0, 1] else None)[(y == "yes").astype(int)]
    early = EarlyClassifier(KINDS["paths"], rule="threshold", random_state=0).fit(X, y)
    found, decided = Progress(early, X[:, :, :2]).labels()
    assert not decided.any()
    assert set(found.tolist()) == {"-1" if isinstance(labels[0], str) else -1}


def test_scores_are_those_of_the_answers(fitted, series):
    early, X, y = fitted["paths"], series[0][60:], series[1][60:]
    mean, accuracy, seen = scores(early, X, y)
    answers = early.decide(X)
    assert accuracy == (answers.labels == y).mean()
    assert seen == earliness(answers.n_seen, 40)
    assert mean == harmonic_mean(accuracy, seen)


def test_a_clone_is_fitted(series):
    X, y = series
    early = EarlyClassifier(KINDS["paths"], rule="threshold", random_state=0)
    assert fitted_clone(early, X, y).classes_.tolist() == ["no", "yes"]
    assert not hasattr(early, "classes_")
    made = r"PrefixClassifier\(earliness=\[0.25, 0.5, 1.0\]\)\) makes one"
    with pytest.raises(TypeError, match=rf"must be an EarlyClassifier; EarlyClassifier\({made}"):
        fitted_clone(KINDS["paths"], X, y)
    with pytest.raises(TypeError, match=r"LogisticRegression\(...\), earliness=\[0.25"):
        fitted_clone(LogisticRegression(), X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_series_that_can_t_be_read_are_errors_about_X(series, fitted, kind):
    X, _ = series
    early = fitted[kind]
    broken = X.astype(float)
    broken[3, 0, 2] = np.inf
    with pytest.raises(ValueError, match=r"^X contains infinity .* in series 3, channel 0"):
        Progress(early, broken)
    with pytest.raises(ValueError, match=r"^X has 2 channels"):
        Progress(early, np.concatenate([X, X], 1))
    progress = Progress(early, X[:, :, :2])
    gap = X.astype(float)
    gap[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match=r"^X contains NaN"):
        progress.go_on(gap)
    progress.go_on(X)
    np.testing.assert_array_equal(progress.labels()[0], early.predict(X))
