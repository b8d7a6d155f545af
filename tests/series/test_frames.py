"""Frames of pandas are matched by ids and names, and sorted by time."""

import numpy as np
import pytest

from skgdpd import (
    DistilledPrefixClassifier,
    EarlyClassifier,
    LuPTSClassifier,
    PrefixClassifier,
    SharedGridSearchCV,
    check_unlabeled,
    load,
)
from skgdpd._series.panel import read_panel
from skgdpd.datasets import make_bumps

pd = pytest.importorskip("pandas")

IDS = [f"p{i}" for i in range(12)]
SMALL = {"max_epochs": 1, "random_state": 0}
VALUES, LABELS = make_bumps(12, 20, n_channels=2, random_state=0)
VALUES = VALUES.astype(np.float64)


def long(values=VALUES, ids=IDS, names=("a", "b"), times=None):
    times = range(values.shape[2]) if times is None else times
    frames = [pd.DataFrame(x.T, columns=list(names), index=times) for x in values]
    return pd.concat(dict(zip(ids, frames, strict=True)))


def labels(ids=IDS):
    return pd.Series(LABELS, index=ids)


def fitted(X, y, **more):
    return PrefixClassifier("lstm1-8", **SMALL).fit(X, y, **more)


@pytest.fixture(scope="module")
def expected():
    return fitted(VALUES, LABELS).predict_proba(VALUES)


# Time


@pytest.mark.parametrize(
    "times",
    [
        None,
        pd.date_range("2026-01-01", periods=20, freq="h"),
        pd.timedelta_range("0s", periods=20),
        [f"{i:02d}" for i in range(20)],
        np.linspace(-1, 1, 20),
    ],
    ids=["number", "date", "timedelta", "text", "float"],
)
def test_rows_are_sorted_by_time(times):
    frame = long(times=times)
    shuffled = frame.sample(frac=1, random_state=0)
    order = [IDS.index(id_) for id_ in shuffled.index.get_level_values(0).unique()]
    np.testing.assert_array_equal(read_panel(frame).values, VALUES)
    np.testing.assert_array_equal(read_panel(shuffled).values, VALUES[order])


def test_series_of_unequal_length_are_sorted_too():
    frame = long()
    frame = frame[[int(id_[1:]) < 5 or t < 11 for id_, t in frame.index]]
    values = read_panel(frame.sample(frac=1, random_state=1).sort_index(level=0)).values
    assert np.isnan(values).any()
    order = sorted(range(12), key=lambda i: IDS[i])
    np.testing.assert_array_equal(values[:, :, :11], VALUES[order][:, :, :11])


def test_a_time_twice_is_refused():
    frame = long()
    with pytest.raises(ValueError, match=r"X has the time .*3.* of series 'p0' twice"):
        fitted(pd.concat([frame, frame.iloc[3:4]]), labels())


@pytest.mark.parametrize("level", [0, 1])
def test_a_missing_id_or_time_is_refused(level):
    frame = long().reset_index()
    frame.iloc[5, level] = None
    with pytest.raises(ValueError, match=f"X has no {['id', 'time'][level]} in row 5"):
        read_panel(frame.set_index(["level_0", "level_1"]))


def test_times_that_can_not_be_compared_are_refused():
    frame = long(times=[*range(19), "end"])
    with pytest.raises(ValueError, match="X has times that can't be put in order"):
        read_panel(frame)


# Ids


def test_labels_and_weights_are_matched_by_id(expected):
    shuffled = labels().sample(frac=1, random_state=0)
    clf = fitted(long(), shuffled)
    np.testing.assert_array_equal(clf.predict_proba(long()), expected)
    assert clf.score(long(), shuffled) == clf.score(VALUES, LABELS)
    weight = pd.Series(np.arange(1.0, 13), index=IDS)
    one = fitted(long(), labels(), sample_weight=weight.sample(frac=1, random_state=1))
    other = fitted(VALUES, LABELS, sample_weight=weight.to_numpy())
    np.testing.assert_array_equal(one.predict_proba(VALUES), other.predict_proba(VALUES))
    assert one.score(long(), shuffled, weight[::-1]) == pytest.approx(
        one.score(VALUES, LABELS, weight.to_numpy())
    )


def test_series_in_any_order_meet_their_labels(expected):
    order = np.random.default_rng(0).permutation(12)
    frame = long(VALUES[order], [IDS[i] for i in order])
    one, other = fitted(frame, labels()), fitted(VALUES[order], LABELS[order])
    np.testing.assert_array_equal(one.predict_proba(frame), other.predict_proba(VALUES[order]))


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_labels_without_an_index_are_in_the_order_of_appearance(kind, expected):
    np.testing.assert_array_equal(fitted(long(), kind(LABELS)).predict_proba(VALUES), expected)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (pd.Series(LABELS), "lacks .'p0', 'p1'"),
        (labels().iloc[1:], "lacks .'p0'"),
        (pd.concat([labels(), pd.Series([0], index=["p99"])]), "has .'p99'. besides"),
        (pd.concat([labels(), labels().iloc[:1]]), "names some twice"),
    ],
    ids=["default index", "one less", "one more", "twice"],
)
def test_an_index_that_does_not_match_is_refused(y, match):
    with pytest.raises(ValueError, match=f"y is matched with X by its index, which {match}"):
        fitted(long(), y)
    clf = fitted(long(), labels())
    with pytest.raises(ValueError, match="y is matched with X by its index"):
        clf.score(long(), y)


def test_a_frame_of_rows_is_read_by_place():
    wide = pd.DataFrame(VALUES[:, 0])
    y = pd.Series(LABELS, index=range(11, -1, -1))
    one, other = fitted(wide, y), fitted(VALUES[:, 0], LABELS)
    first = VALUES[:, 0]
    np.testing.assert_array_equal(one.predict_proba(first), other.predict_proba(first))


@pytest.mark.parametrize("name", ["label", "y", "Class", "target", "id"])
def test_a_column_named_as_labels_or_ids_is_no_time_point(name):
    wide = pd.DataFrame(VALUES[:, 0]).assign(**{name: range(12)})
    with pytest.raises(ValueError, match=f"X has a column {name!r}, which looks like"):
        read_panel(wide)
    assert read_panel(wide.drop(columns=name)).n_timepoints == 20
    assert read_panel(long(names=("a", "y"))).n_channels == 2


@pytest.mark.parametrize("kind", [object, "str", "string", "category"])
def test_a_column_of_texts_is_no_time_point(kind):
    texts = pd.Series(["1", "2"] * 6).astype(kind)
    wide = pd.DataFrame(VALUES[:, 0]).assign(condition=texts)
    with pytest.raises(ValueError, match="column 'condition' of X holds"):
        read_panel(wide)
    with pytest.raises(ValueError, match="X holds texts, such as '1'"):
        read_panel(wide.astype({"condition": object}).to_numpy())


def test_a_long_frame_without_its_index_is_told_how_to_get_it():
    flat = long().reset_index(drop=True)
    search = SharedGridSearchCV(PrefixClassifier("lstm1-8", **SMALL), {"lr": [0.01]}, cv=2)
    for fit in (fitted, EarlyClassifier().fit, LuPTSClassifier().fit, search.fit):
        with pytest.raises(ValueError, match=r"240 series and y 12 labels; .*index it by series"):
            fit(flat, LABELS)
    with pytest.raises(ValueError, match=r"12 series and y 11 labels; they must be equally many$"):
        fitted(VALUES, LABELS[:11])


def test_columns_of_numbers_are_time_points_whatever_holds_them():
    wide = pd.DataFrame(VALUES[:, 0].round()).astype({0: object, 1: "Int64", 2: "float32"})
    np.testing.assert_array_equal(read_panel(wide).values[:, 0], VALUES[:, 0].round())


def test_the_teachers_series_are_matched_by_id():
    clf = DistilledPrefixClassifier(student="lstm1-8", **SMALL)
    order = np.random.default_rng(0).permutation(12)
    frame = long(VALUES[order] + 1, [IDS[i] for i in order])
    one = clf.fit(long(), labels(), X_teacher=frame).predict_proba(VALUES)
    other = clf.fit(VALUES, LABELS, X_teacher=VALUES + 1).predict_proba(VALUES)
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="X_teacher is matched with X by its index"):
        clf.fit(long(), labels(), X_teacher=long(ids=[f"q{i}" for i in range(12)]))


def test_the_teachers_series_of_an_early_classifier_are_matched_by_id():
    early = EarlyClassifier(
        DistilledPrefixClassifier(student="lstm1-8", earliness=[0.5, 1.0], **SMALL),
        rule="fixed", cv=2, random_state=0,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(12)
    frame = long(VALUES[order] + 1, [IDS[i] for i in order])
    one = early.fit(long(), labels(), X_teacher=frame).left_out_path_
    other = early.fit(VALUES, LABELS, X_teacher=VALUES + 1).left_out_path_
    np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="X_teacher is matched with X by its index"):
        early.fit(long(), labels(), X_teacher=long(ids=[f"q{i}" for i in range(12)]))
    with pytest.raises(ValueError, match="X has 12 series and X_teacher 24"):
        early.fit(VALUES, LABELS, X_teacher=np.concatenate([VALUES, VALUES]))


def test_chunks_are_matched_by_id(expected):
    y = labels().sample(frac=1, random_state=0)
    one = PrefixClassifier("lstm1-8", **SMALL).partial_fit(long(), y, classes=[0, 1])
    other = PrefixClassifier("lstm1-8", **SMALL).partial_fit(VALUES, LABELS, classes=[0, 1])
    np.testing.assert_array_equal(one.predict_proba(VALUES), other.predict_proba(VALUES))


def test_callbacks_are_given_series_and_their_labels():
    callback = pytest.importorskip("sklearn.callback")
    y = labels().astype(float)
    y.iloc[:2] = np.nan
    scores = []
    for X, own in ((long(), y.sample(frac=1, random_state=0)), (VALUES, y.to_numpy())):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        clf = DistilledPrefixClassifier(student="lstm1-8", **SMALL)
        clf.set_callbacks(monitor).fit(X, own)
        scores.append(monitor.get_logs().data_as_pandas["accuracy"].tolist())
    assert scores[0] == scores[1]


def test_the_early_classifier_matches_too():
    y = labels().sample(frac=1, random_state=0)
    groups = pd.Series(np.arange(12) // 2, index=IDS)

    def make():
        model = PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0)
        return EarlyClassifier(model, rule="fixed", cv=2, random_state=0)

    one = make().fit(long(), y, groups=groups[::-1])
    other = make().fit(VALUES, LABELS, groups=groups.to_numpy())
    assert one.score(long(), y) == other.score(VALUES, LABELS)
    np.testing.assert_array_equal(one.decide(long(), y).cost, other.decide(VALUES, LABELS).cost)
    with pytest.raises(ValueError, match=r"X has the columns \['b', 'a'\]"):
        one.decide(long()[["b", "a"]])


# Channels


def test_other_columns_are_refused(tmp_path):
    clf = fitted(long(), labels())
    assert clf.feature_names_in_.tolist() == ["a", "b"]
    clf.save(tmp_path / "model")
    for model in (clf, load(tmp_path / "model")):
        with pytest.raises(ValueError, match=r"\['b', 'a'\], but .* same in another order"):
            model.predict(long()[["b", "a"]])
        with pytest.raises(ValueError, match=r"X has the columns \['a', 'c'\]"):
            model.predict_proba(long(names=("a", "c")))
        nested = pd.DataFrame({"b": list(VALUES[:, 1]), "a": list(VALUES[:, 0])})
        with pytest.raises(ValueError, match=r"X has the columns \['b', 'a'\]"):
            model.embed(nested)


def test_names_are_compared_only_where_both_have_some(expected):
    named, plain = fitted(long(), labels()), fitted(VALUES, LABELS)
    without = long(names=(0, 1))
    for clf, X in ((named, VALUES), (named, without), (plain, long())):
        np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_frames_of_a_list_have_the_same_columns():
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in VALUES]
    clf = fitted(frames, LABELS)
    assert clf.feature_names_in_.tolist() == ["a", "b"]
    mixed = [*frames[:3], frames[3][["b", "a"]], *frames[4:]]
    with pytest.raises(ValueError, match=r"series 3 of X has the columns \['b', 'a'\]"):
        fitted(mixed, LABELS)


def test_columns_of_unlabelled_series_are_compared():
    clf = DistilledPrefixClassifier(student="lstm1-8", **SMALL)
    other = long(VALUES + 0.1, [f"u{i}" for i in range(12)])
    with pytest.raises(ValueError, match=r"X_unlabeled has the columns \['b', 'a'\]"):
        clf.fit(long(), labels(), X_unlabeled=other[["b", "a"]])
    with pytest.raises(ValueError, match=r"X_unlabeled has the columns \['b', 'a'\]"):
        check_unlabeled(clf, long(), labels(), other[["b", "a"]])


@pytest.mark.parametrize("earliness", [0.5, [0.5, 1.0]], ids=str)
def test_names_of_time_points_are_compared(earliness):
    wide = pd.DataFrame(VALUES[:, 0], columns=[f"t{i}" for i in range(20)])
    clf = PrefixClassifier("rocket", earliness=earliness, random_state=0).fit(wide, LABELS)
    expected = clf.predict_proba(wide.iloc[:, :10])
    assert expected.shape == (12, 2)
    if earliness == 0.5:
        np.testing.assert_array_equal(clf.predict_proba(wide), expected)
    with pytest.raises(ValueError, match=r"X has the columns .* same in another order"):
        clf.predict_proba(wide.iloc[:, 9::-1])
    with pytest.raises(ValueError, match="X has the columns"):
        clf.predict_proba(wide.iloc[:, 10:])
