"""Series that may have ended or not: what is shorter than all that was learned from is refused."""

import numpy as np
import pytest

from skgdpd import (
    DistilledPrefixClassifier,
    EarlyClassifier,
    PrefixClassifier,
    SeriesOptions,
    load,
)
from skgdpd.datasets import make_bumps

X, y = make_bumps(16, 30, random_state=0)
LENGTHS = np.random.default_rng(0).permutation(np.arange(15, 31))
RAGGED = [x[:, :n] for x, n in zip(X, LENGTHS, strict=True)]
SMALL = {"max_epochs": 1, "random_state": 0}


def cut(n, form):
    if form == "list":
        return [x[:, :n] for x in X[:3]]
    if form == "array":
        return X[:3, :, :n]
    return np.where(np.arange(30) < n, X[:3], np.nan)


@pytest.mark.parametrize("student", ["fcn24", "lstm1-8", "rocket"])
@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({}, 9),  # the length of the prefix
        ({"earliness": 0.8}, 15),  # that of the shortest training series
        ({"earliness": 1.0}, 15),
        ({"earliness": 20}, 15),
        ({"series": SeriesOptions(earliness_of="own")}, 9),
        ({"series": SeriesOptions(resample_length=8)}, 9),
        ({"series": SeriesOptions(missing_values="mask")}, 9),
        ({"normalize": "prefix"}, 9),
    ],
    ids=str,
)
def test_a_series_shorter_than_all_training_series_is_refused(student, options, least):
    clf = PrefixClassifier(student, **{**SMALL, **options}).fit(RAGGED, y)
    for n in (1, 2, least - 1):
        for form in ("list", "array", "padded"):
            for method in (clf.predict, clf.predict_proba, clf.embed):
                with pytest.raises(ValueError, match=f"X has a series of {n} time point.*{least}"):
                    method(cut(n, form))
    for n in (least, 30):
        found = [clf.predict_proba(cut(n, form)) for form in ("list", "array", "padded")]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("student", ["fcn24", "lstm1-8", "rocket"])
def test_a_short_series_is_read_where_all_series_are_whole(student, tmp_path):
    clf = PrefixClassifier(student, **SMALL, series=SeriesOptions(short_series="ended"))
    clf.fit(RAGGED, y).save(tmp_path / "clf.zip")
    for n in (2, 5, 8):
        found = [clf.predict_proba(cut(n, form)) for form in ("list", "array", "padded")]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        again = load(tmp_path / "clf.zip").predict_proba(cut(n, "list"))
        np.testing.assert_array_equal(found[0], again)
    with pytest.raises(ValueError, match="'short_series' parameter"):
        PrefixClassifier(series=SeriesOptions(short_series="yes")).fit(RAGGED, y)


def test_one_short_series_among_others_is_named():
    clf = PrefixClassifier("lstm1-8", **SMALL).fit(RAGGED, y)
    with pytest.raises(ValueError, match="X has a series of 4 time points, series 5; no training"):
        clf.predict([*RAGGED[:5], X[5, :, :4], *RAGGED[6:]])


def test_the_least_length_is_part_of_a_model_file(tmp_path):
    clf = PrefixClassifier("lstm1-8", **SMALL).fit(RAGGED, y)
    clf.save(tmp_path / "model")
    with pytest.raises(ValueError, match="Give 9 at least"):
        load(tmp_path / "model").predict(X[:2, :, :5])


def test_the_teacher_is_asked_about_series_of_any_length():
    clf = DistilledPrefixClassifier(student="lstm1-8", **SMALL)
    short = [x[:, :5] for x in X]
    clf.fit(RAGGED, y, X_unlabeled=short)
    assert clf.teacher_.predict_proba(short).shape == (16, 2)
    # The unlabelled series count among the training series.
    assert clf.predict_proba(short).shape == (16, 2)
    with pytest.raises(ValueError, match="Give 5 at least"):
        clf.predict_proba(X[:, :, :4])


@pytest.mark.parametrize("student", ["lstm1-8", "rocket"])
def test_with_many_moments_nothing_is_answered_before_the_first(student):
    clf = PrefixClassifier(student, earliness=[0.2, 0.5, 1.0], **SMALL).fit(RAGGED, y)
    early = EarlyClassifier(clf, rule="fixed", cv=2, random_state=0).fit(RAGGED, y)
    for n in (1, 2, 5):
        for form in ("list", "array", "padded"):
            for method in (
                clf.predict,
                clf.predict_proba,
                clf.predict_proba_path,
                clf.embed,
                early.predict,
                early.decide,
                early.predict_proba_path,
            ):
                with pytest.raises(ValueError, match=f"X has a series of {n} time points.*from 6"):
                    method(cut(n, form))
    assert clf.predict_proba(cut(6, "list")).shape == (3, 2)
    session = early.start(["a"])
    assert session.push({"a": X[0, :, :5]}) == []
    assert np.isnan(session.probabilities).all()
    with pytest.raises(ValueError, match="5 points, and there is no answer before 6"):
        session.close("a")


def test_series_of_one_length_stay_as_they_were():
    clf = PrefixClassifier("lstm1-8", **SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"series of 5 time points.* first 9 and takes no fewer"):
        clf.predict(X[:, :, :5])
    with pytest.raises(
        ValueError, match=r"a series of 8 time points, series 1, and NaN after.* 9"
    ):
        clf.predict([X[0], X[1, :, :8], X[2]])
