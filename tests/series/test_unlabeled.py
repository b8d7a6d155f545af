"""Unlabelled series, marked in y."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    LabeledFolds,
    PrefixClassifier,
    PrefixTruncator,
)
from skgdpd._series import storage
from skgdpd._series.panel import check_panel, join, read_panel
from skgdpd._series.unlabeled import refuse_marked, split_marked
from skgdpd.datasets import make_bumps

SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, "earliness": 0.5}
HIDDEN = np.arange(60) % 3 == 0


def hide(y, marker):
    hidden = np.array(y, dtype=object)
    hidden[HIDDEN] = marker
    return hidden


def yes(y):
    return (y == "yes") + 0


@pytest.mark.parametrize("mark", [-1, "-1"])
def test_minus_one_beside_two_classes_is_named_as_a_class(mark):
    X, y = make_bumps(60, random_state=0)
    y = np.where(HIDDEN, mark, np.unique(y, return_inverse=True)[1].astype(type(mark)))
    with pytest.warns(UserWarning, match=f"{mark!r} in y is taken as a class.*unlabeled={mark!r}"):
        clf = DistilledPrefixClassifier(**SMALL).fit(X, y)
    assert len(clf.classes_) == 3


def test_an_empty_string_among_labels_is_named_as_a_class():
    X, y = make_bumps(20, 20, random_state=0)
    y = np.where(np.arange(20) < 4, "", y.astype(str))
    closed = PrefixClassifier("rocket", max_epochs=0, random_state=0)
    with pytest.warns(UserWarning, match=r"'' in y is taken as a class.*leave these series out"):
        closed.fit(X, y)
    with pytest.warns(UserWarning, match=r"'' in y is taken as a class.*unlabeled=''"):
        DistilledPrefixClassifier(**SMALL).fit(X, y)


def test_the_warning_of_a_column_of_labels_shows_the_users_line():
    X, y = make_bumps(20, 20, random_state=0)
    with pytest.warns(DataConversionWarning, match="column-vector y") as caught:
        PrefixClassifier("rocket", max_epochs=0, random_state=0).fit(X, y[:, None])
    assert [warning.filename for warning in caught] == [__file__]


def test_labels_beside_unlabelled_series_are_refused():
    X, y = make_bumps(20, 20, random_state=0)
    with pytest.raises(ValueError, match="X_unlabeled is a tuple of series and labels; give the"):
        DistilledPrefixClassifier(**SMALL).fit(X, y, X_unlabeled=(X, y))


@pytest.mark.filterwarnings("error")
def test_minus_one_needs_no_warning_where_it_is_plain():
    X, y = make_bumps(60, random_state=0)
    y = np.unique(y, return_inverse=True)[1]
    three = np.where(HIDDEN, -1, y)
    DistilledPrefixClassifier(**SMALL).fit(X, np.where(y, 1, -1))
    DistilledPrefixClassifier(**SMALL, unlabeled=-1).fit(X, three)
    DistilledPrefixClassifier(**SMALL).fit(X, three, X_unlabeled=X[:4])
    PrefixClassifier(**SMALL).fit(X, three)


MARKS = {
    "None": (None, lambda y: hide(y, None)),
    "None in a list": (None, lambda y: hide(y, None).tolist()),
    "None beside numbers": (None, lambda y: hide(yes(y), None)),
    "NaN": (None, lambda y: np.where(HIDDEN, np.nan, y == "yes")),
    "NaN beside strings": (None, lambda y: hide(y, np.nan)),
    "Series with NA": (None, lambda y: pd.Series(hide(y, pd.NA))),
    "Series of strings": (None, lambda y: pd.Series(hide(y, None)).astype("string")),
    "Series of integers": (None, lambda y: pd.Series(hide(yes(y), pd.NA)).astype("Int64")),
    "Series of booleans": (None, lambda y: pd.Series(hide(y == "yes", pd.NA)).astype("boolean")),
    "categorical": (None, lambda y: pd.Series(hide(y, None)).astype("category")),
    "string": ("?", lambda y: np.where(HIDDEN, "?", y)),
    "number": (-1, lambda y: np.where(HIDDEN, -1, yes(y))),
    "objects": ("?", lambda y: hide(y, "?")),
    "number among strings": (-1, lambda y: hide(y, -1).tolist()),
    "named NaN": (np.nan, lambda y: hide(y, None)),
    "named and missing": ("?", lambda y: np.where(np.arange(60) % 6, hide(y, "?"), None)),
}


@pytest.mark.parametrize("marker, make", MARKS.values(), ids=MARKS)  # noqa: PT006
def test_marked_series_are_the_same_as_those_given_apart(bumps, marker, make):
    X, y = bumps
    marked = DistilledPrefixClassifier(unlabeled=marker, **SMALL).fit(X, make(y))
    labels = split_marked(make(y), marker)[0]
    apart = DistilledPrefixClassifier(**SMALL).fit(X[~HIDDEN], labels, X_unlabeled=X[HIDDEN])
    np.testing.assert_array_equal(marked.predict_proba(X), apart.predict_proba(X))
    assert marked.classes_.tolist() == apart.classes_.tolist()
    assert len(marked.classes_) == 2
    assert marked.history_.n_unlabeled == 20
    assert marked.history_.n_labeled + marked.history_.n_validation == 40


def test_both_ways_add_up(bumps):
    X, y = bumps
    y = np.where(HIDDEN, "?", y)
    clf = DistilledPrefixClassifier(unlabeled="?", **SMALL).fit(X, y, X_unlabeled=X[:7])
    assert clf.history_.n_unlabeled == 27


def test_whole_series_for_the_teacher_pair_with_marked_rows_too(bumps):
    X, y = bumps
    y = np.where(HIDDEN, "?", y)
    clf = GDPDClassifier(unlabeled="?", prior=DiffusionFeaturePrior(max_epochs=2), **SMALL)
    prefixes = X[:, :, :20]
    given = clone(clf).fit(prefixes, y, X_teacher=X)
    cut = clone(clf).set_params(earliness=20).fit(X, y)
    np.testing.assert_array_equal(given.predict_proba(prefixes), cut.predict_proba(prefixes))
    assert given.history_.n_unlabeled == 20


def test_weights_of_marked_series_have_no_effect(bumps):
    X, y = bumps
    y = np.where(HIDDEN, "?", y)
    weight = np.linspace(0.5, 2, 60)
    clf = DistilledPrefixClassifier(unlabeled="?", **SMALL)
    a = clone(clf).fit(X, y, sample_weight=weight)
    b = clone(clf).fit(X, y, sample_weight=np.where(HIDDEN, 100, weight))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_without_a_marked_row_nothing_changes(bumps):
    X, y = bumps
    plain = DistilledPrefixClassifier(**SMALL).fit(X, y)
    ready = DistilledPrefixClassifier(unlabeled="?", **SMALL).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), ready.predict_proba(X))
    assert ready.history_.n_unlabeled == 0


def test_minus_one_is_a_class_unless_it_is_the_marker(bumps):
    X, y = bumps
    y = np.where(y == "yes", 1, -1)
    assert DistilledPrefixClassifier(**SMALL).fit(X, y).classes_.tolist() == [-1, 1]
    with pytest.raises(ValueError, match="y has 1 class"):
        DistilledPrefixClassifier(unlabeled=-1, **SMALL).fit(X, y)


def test_marked_series_may_be_longer_than_the_others(bumps):
    X, y = bumps
    ragged = [x if hidden else x[:, :30] for x, hidden in zip(X, HIDDEN, strict=True)]
    clf = DistilledPrefixClassifier(unlabeled="?", **SMALL)
    clf.fit(ragged, np.where(HIDDEN, "?", y))
    assert (clf.n_timepoints_in_, clf.prefix_length_) == (40, 20)
    assert np.isfinite(clf.predict_proba(X)).all()
    apart = DistilledPrefixClassifier(**SMALL)
    known = [x[:, : 30 - i % 2] for i, x in enumerate(X[~HIDDEN])]
    apart.fit(known, y[~HIDDEN], X_unlabeled=X[HIDDEN])
    assert (apart.n_timepoints_in_, apart.prefix_length_) == (40, 20)


@pytest.mark.parametrize(
    ("marker", "labels", "words"),
    [
        (-1, ["a"] * 60, r"unlabeled=-1 is a int, but y holds values such as 'a'"),
        ("?", [0, 1] * 30, r"unlabeled='\?' is a str, but y holds values such as 0"),
        ("?", ["?"] * 60, r"all 60 values of y are missing labels \(.*unlabeled='\?'\)"),
        (None, [None, np.nan] * 30, "all 60 values of y are missing labels;"),
        ([0, 1], [0, 1] * 30, "must be one value of y"),
        ("?", ["?"] * 59 + ["a"], "y has 1 class"),
        (None, [None] * 59 + ["a"], "y has 1 class"),
        ("?", ["a", "b"] * 20, "X has 60 series and y 40 labels"),
        (None, ["a", 1] * 30, r"y holds labels of several types, 'a' and 1 among them"),
    ],
    ids=str,
)
def test_errors_say_what_is_wrong(bumps, marker, labels, words):
    clf = DistilledPrefixClassifier(unlabeled=marker, **SMALL)
    with pytest.raises((ValueError, TypeError), match=words):
        clf.fit(bumps[0], labels)


def test_through_a_pipeline_and_a_search(bumps):
    X, y = bumps
    y = np.where(HIDDEN, "?", y)
    clf = DistilledPrefixClassifier(unlabeled="?", **SMALL)
    pipe = make_pipeline(FunctionTransformer(), clf).fit(X, y)
    alone = clone(clf).fit(X, y)
    np.testing.assert_array_equal(pipe.predict_proba(X), alone.predict_proba(X))
    cut = make_pipeline(PrefixTruncator(0.5), clone(clf).set_params(earliness=1.0)).fit(X, y)
    assert cut[-1].history_.n_unlabeled == 20
    search = GridSearchCV(clf, {"lr": [1e-3, 1e-2]}, cv=LabeledFolds(2, unlabeled="?"))
    search.fit(X, y)
    assert search.best_estimator_.history_.n_unlabeled == 20
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_every_fold_learns_from_all_marked_series(bumps):
    X, y = bumps
    y = np.where(HIDDEN, -1, (y == "yes") + 0)
    scores = cross_val_score(
        DistilledPrefixClassifier(unlabeled=-1, **SMALL), X, y, cv=LabeledFolds(4, unlabeled=-1)
    )
    assert scores.shape == (4,)
    for train, test in LabeledFolds(4, unlabeled=-1).split(X, y):
        assert (y[test] >= 0).all()
        assert (y[train] == -1).sum() == 20
        assert set(train) | set(test) == set(range(60))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**31 - 1))
def test_each_labelled_row_is_tested_once_and_never_trained_on_then(n_folds, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(["a", "b", "?"], [8, 11, 7]))
    folds = LabeledFolds(n_folds, unlabeled="?")
    tested = []
    for train, test in folds.split(y, y):
        assert not set(train) & set(test)
        assert len(train) + len(test) == len(y)
        tested.extend(test)
    assert sorted(tested) == np.flatnonzero(y != "?").tolist()
    assert folds.get_n_splits(y, y) == folds.get_n_splits() == n_folds


def test_groups_of_labelled_rows_stay_together():
    y = np.array(["a", "b", "?"] * 8)
    groups = np.arange(24) // 6
    for train, test in LabeledFolds(GroupKFold(2), unlabeled="?").split(y, y, groups):
        labelled = train[y[train] != "?"]
        assert not set(groups[labelled]) & set(groups[test])


def test_folds_need_labels():
    with pytest.raises(ValueError, match="needs y"):
        next(LabeledFolds(2, unlabeled=-1).split(np.zeros((4, 1)), None))


# Labels and missing ones

VALUES = {
    "f": st.floats(-5, 5),
    "i": st.integers(-5, 5),
    "U": st.sampled_from(["no", "yes", "perhaps"]),
    "b": st.booleans(),
}
MISSING = [None, np.nan, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]


@given(st.data())
def test_labels_keep_order_value_and_type(data):
    kind = data.draw(st.sampled_from(sorted(VALUES)))
    labels = data.draw(st.lists(VALUES[kind], min_size=1, max_size=9))
    values = list(labels)
    for _ in range(data.draw(st.integers(0, 4))):
        values.insert(data.draw(st.integers(0, len(values))), data.draw(st.sampled_from(MISSING)))
    as_array = np.empty(len(values), dtype=object)
    as_array[:] = values
    for y in (values, as_array, pd.Series(as_array)):
        found, mask = split_marked(y)
        assert found.tolist() == labels
        assert found.dtype.kind == kind
        assert mask.sum() == len(values) - len(labels)
        assert [v for v, m in zip(values, mask, strict=True) if not m] == labels
        if mask.any():
            with pytest.raises(ValueError, match=f"{mask.sum()} of {len(values)}, the first in"):
                refuse_marked(y)
        else:
            assert refuse_marked(y).tolist() == labels


def test_dates_may_be_missing():
    y = np.array(["2020-01-01", "NaT", "2021-01-01"], dtype="datetime64[D]")
    labels, mask = split_marked(y)
    assert mask.tolist() == [False, True, False]
    assert labels.tolist() == y[[0, 2]].tolist()


def test_no_label_is_taken_for_a_missing_one():
    for y in (["", "nan", "None"], [0, -1, np.inf], [False, True, False]):
        assert not split_marked(y)[1].any()


# Classifiers without a teacher


@pytest.mark.parametrize("kind", ["None", "NaN", "Series with NA", "Series of integers"])
def test_a_classifier_without_a_teacher_refuses_them(bumps, kind):
    X, y = bumps[0], MARKS[kind][1](bumps[1])
    words = r"y has missing labels: 20 of 60, the first in row 0; .*labelled series only"
    with pytest.raises(ValueError, match=f"{words}.*choose a classifier with a teacher"):
        PrefixClassifier(**SMALL).fit(X, y)
    for clf in (PrefixClassifier(**SMALL), DistilledPrefixClassifier(**SMALL)):
        with pytest.raises(ValueError, match=words):
            clf.partial_fit(X, y, classes=["no", "yes"])


# Scores


class Fixed(DistilledPrefixClassifier):
    """A classifier that trains nothing, and refuses and scores as the others do."""

    def fit(self, X, y):
        labels, mask = split_marked(y, self.unlabeled)
        self.classes_ = np.unique(labels)
        self.n_unlabeled_ = int(mask.sum())
        return self

    def predict(self, X):
        return self.classes_[(np.asarray(X)[:, 0, 5] > 0).astype(int)]

    def predict_proba(self, X):
        return np.eye(2)[(np.asarray(X)[:, 0, 5] > 0).astype(int)]


SCORINGS = [None, "accuracy", "balanced_accuracy", "roc_auc", "neg_log_loss"]
OBJECTS_OF_NUMBERS = ["None beside numbers"]


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize("scoring", SCORINGS)
def test_labelled_rows_are_scored_alone(bumps, kind, scoring):
    X, y = bumps
    marker, mark = MARKS[kind]
    given, clf = mark(y), Fixed(unlabeled=marker)
    plain = split_marked(given, marker)[0]
    how = {"scoring": scoring, "error_score": "raise"}
    folds = LabeledFolds(3, unlabeled=marker)
    if kind in OBJECTS_OF_NUMBERS and scoring is not None:
        with pytest.raises(ValueError, match=r"unknown|Unknown"):
            cross_validate(clf, X, given, cv=folds, **how)
        return
    found = cross_validate(clf, X, given, cv=folds, return_estimator=True, **how)
    expected = cross_val_score(Fixed(), X[~HIDDEN], plain, cv=3, **how)
    np.testing.assert_array_equal(found["test_score"], expected)
    assert [fitted.n_unlabeled_ for fitted in found["estimator"]] == [20] * 3
    search = GridSearchCV(clf, {"lr": [1e-3]}, cv=folds, **how).fit(X, given)
    assert search.best_score_ == pytest.approx(expected.mean())


CAST = pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
"""scikit-learn casts labels to integers before it finds NaN among them."""


@CAST
@pytest.mark.parametrize("kind", MARKS)
def test_marked_rows_are_never_scored(bumps, kind):
    X, y = bumps
    marker, mark = MARKS[kind]
    y = mark(y)
    clf = Fixed(unlabeled=marker).fit(X, y)
    with pytest.raises(ValueError, match=r"y has missing labels.*: 20 of 60.*LabeledFolds\("):
        clf.score(X, y)
    for cv in (KFold(3), StratifiedKFold(3), 3):
        with pytest.raises((ValueError, TypeError)):
            cross_val_score(clf, X, y, cv=cv, error_score="raise")
    labelled = np.flatnonzero(~HIDDEN)
    only = y.iloc[labelled] if hasattr(y, "iloc") else [y[i] for i in labelled]
    assert 0 <= clf.score(X[labelled], only) <= 1


@CAST
@pytest.mark.parametrize("kind", [kind for kind, (marker, _) in MARKS.items() if marker is None])
def test_scikit_learns_own_scorers_refuse_missing_labels(bumps, kind):
    X, y = bumps[0], MARKS[kind][1](bumps[1])
    with pytest.raises((ValueError, TypeError)):
        cross_val_score(Fixed(), X, y, cv=KFold(3), scoring="accuracy", error_score="raise")


def test_the_error_names_the_folds_to_use(bumps):
    X, y = bumps
    clf = Fixed(unlabeled="?").fit(X, y)
    with pytest.raises(ValueError, match=r"by cv=LabeledFolds\(unlabeled='\?'\)"):
        clf.score(X, np.where(HIDDEN, "?", y))
    with pytest.raises(ValueError, match=r"by cv=LabeledFolds\(\)"):
        Fixed().fit(X, y).score(X, hide(y, None))


def test_out_of_fold_predictions_need_labelled_series(bumps):
    X, y = bumps
    with pytest.raises(ValueError, match="only works for partitions"):
        cross_val_predict(Fixed(), X, hide(y, None), cv=LabeledFolds(3))


def test_folds_take_pairs_of_indices_that_can_be_read_once(bumps):
    X, y = bumps
    pairs = ((np.arange(20, 40), np.arange(20)) for _ in range(1))
    folds = LabeledFolds(pairs)
    for _ in range(2):
        (train, test), *more = folds.split(X, hide(y, None))
        assert not more
        assert test.tolist() == np.flatnonzero(~HIDDEN)[:20].tolist()
        assert len(train) == 40
    assert folds.get_n_splits() == 1
    assert repr(LabeledFolds(3, unlabeled="?")) == "LabeledFolds(cv=3, unlabeled='?')"


@pytest.mark.parametrize(
    ("cv", "text"),
    [
        (1, "cv: .*n_splits=1"),
        ([], "cv=.* has no folds"),
        ([([0, 1], [99])], r"cv: rows must be from 0 to 39, got 99 to 99"),
        ([([], [1])], r"cv: \[\] is not a list of row numbers"),
        ([(["a"], [1])], r"cv: \['a'\] is not a list of row numbers"),
    ],
)
def test_folds_that_are_none_are_refused_by_name(bumps, cv, text):
    X, y = bumps
    with pytest.raises(ValueError, match=text):
        next(LabeledFolds(cv).split(X, hide(y, None)))


def test_groups_are_routed_to_the_folds(bumps):
    X, y = bumps
    groups = np.arange(60) // 15
    with config_context(enable_metadata_routing=True):
        cross_validate(
            Fixed(),
            X,
            hide(y, None),
            cv=LabeledFolds(GroupKFold(4)),
            params={"groups": groups},
            error_score="raise",
        )


# Series in a file


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 2**16)
    monkeypatch.setattr(storage, "CHUNK_BYTES", 2**16)


def mapped(path, n, n_timepoints=500):
    shape = (n, 1, n_timepoints)
    X = np.lib.format.open_memmap(path / f"{n}.npy", mode="w+", dtype="f4", shape=shape)
    X[:] = np.random.default_rng(0).normal(size=shape)
    X.flush()
    return np.load(path / f"{n}.npy", mmap_mode="r")


def peak_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("small_memory")
def test_marked_rows_of_a_file_are_not_copied(tmp_path):
    def rearrange(X, more):
        panel = check_panel(read_panel(X))
        y = np.where(np.arange(len(X)) % 3, 1.0, np.nan)
        _, mask = split_marked(y)
        labelled, others = panel.take(np.flatnonzero(~mask)), panel.take(np.flatnonzero(mask))
        everything = join(others, check_panel(read_panel(more)))
        again = join(labelled, everything).take(np.random.default_rng(0).permutation(len(X)))
        return sum(len(part) for _, part in again.chunks())

    few, many = mapped(tmp_path, 250), mapped(tmp_path, 2000)
    assert rearrange(few, few[:50]) == 250
    peaks = [peak_of(lambda X=X: rearrange(X, X[:50])) for X in (few, many)]
    assert peaks[1] < peaks[0] + 0.1 * many.nbytes


def test_rows_of_a_memory_mapped_array_are_not_read(tmp_path):
    X = mapped(tmp_path, 2000)
    index = np.random.default_rng(0).permutation(2000)
    assert peak_of(lambda: read_panel(X).take(index)) < 0.02 * X.nbytes
    taken = read_panel(X).take(index).take(np.arange(7)[::-1])
    np.testing.assert_array_equal(np.asarray(taken.values), X[index[:7][::-1]])


@pytest.mark.usefixtures("small_memory")
def test_a_fit_on_a_file_with_marked_rows_copies_no_series(tmp_path):
    clf = DistilledPrefixClassifier(**{**SMALL, "earliness": 10, "max_epochs": 1}, unlabeled=-1)

    def fit(X):
        y = np.arange(len(X)) % 3 - 1
        return clone(clf).fit(X, y)

    few, many = mapped(tmp_path, 60, 400), mapped(tmp_path, 480, 400)
    in_memory = fit(np.array(few))
    np.testing.assert_allclose(
        fit(few).predict_proba(few), in_memory.predict_proba(few), atol=1e-4
    )
    peaks = [peak_of(lambda X=X: fit(X)) for X in (few, many)]
    assert peaks[1] < peaks[0] + 0.2 * many.nbytes
