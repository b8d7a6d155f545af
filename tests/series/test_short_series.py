"""Series that may have ended or not: what is shorter than all that was learned from is refused."""

import numpy as np
import pytest

from skgdpd import (
    DistilledPrefixClassifier,
    EarlyClassifier,
    PrefixClassifier,
    PrefixTruncator,
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
    given = [*RAGGED[:5], X[5, :, :4], *RAGGED[6:]]
    words = "X has a series of 4 time points, series 5; no training"
    with pytest.raises(ValueError, match=words) as told:
        clf.predict(given)
    # After the fit, the option has no effect.
    assert "set series__short_series='ended' before the fit" in str(told.value)
    with pytest.raises(ValueError, match=words):
        clf.set_params(series__short_series="ended").predict(given)
    assert len(clf.fit(RAGGED, y).predict(given)) == len(given)


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


GAPS = ["interpolate", "mask"]
OF_ONE_LENGTH = {"student": "lstm1-8", "earliness": 0.5, **SMALL}


def answers(clf, series):
    """Return probabilities of a series alone, padded, in an array and in a list with longer ones.

    None stands for a refusal.
    """
    n = series.shape[1]
    longer = np.pad(series, ((0, 0), (0, 50 - n)), constant_values=np.nan)
    forms = [
        series[None],
        longer[None, :, :30],
        longer[None],
        np.stack([longer[:, :30], X[0]]),
        [series],
        [series, X[0]],
        [series, np.concatenate([X[0], X[1]], 1)],
    ]
    found = []
    for form in forms:
        try:
            found.append(clf.predict_proba(form)[0])
        except ValueError:
            found.append(None)
    return found


@pytest.mark.parametrize("missing", ["error", *GAPS])
@pytest.mark.parametrize("n", [1, 2, 10, 14, 15, 16, 29, 30])
def test_an_answer_does_not_depend_on_the_lengths_of_other_series(missing, n):
    """All series of the fit have 30 points, and the prefix has 15."""
    clf = PrefixClassifier(**OF_ONE_LENGTH, series=SeriesOptions(missing_values=missing))
    found = answers(clf.fit(X, y), X[3, :, :n])
    if n < clf.prefix_length_:
        assert found == [None] * len(found)
    else:
        expected = clf.predict_proba(X[3:4]).repeat(len(found), 0)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("missing", GAPS)
def test_gaps_before_later_values_stay_gaps(missing):
    clf = PrefixClassifier(**OF_ONE_LENGTH, series=SeriesOptions(missing_values=missing))
    clf.fit(X, y)
    gap = X[3, :, :22].copy()
    gap[:, 10:20] = np.nan
    found = answers(clf, gap)
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found, np.repeat(found[:1], len(found), 0), rtol=1e-6)
    # One channel tells that a series goes on, though another one has no more values.
    two = np.concatenate([X, X], 1)
    half = two.copy()
    half[:, 1, 10:] = np.nan
    two_channels = PrefixClassifier(**OF_ONE_LENGTH, series=SeriesOptions(missing_values=missing))
    assert np.isfinite(two_channels.fit(two, y).predict_proba(half)).all()
    # Nothing follows the last point of the prefix, which is missing.
    gap[:, 14:] = np.nan
    assert answers(clf, gap[:, :15]) == [None] * len(found)


@pytest.mark.parametrize("missing", GAPS)
def test_a_series_that_ends_before_the_prefix_is_named_with_ways_out(missing):
    series = SeriesOptions(missing_values=missing, predict_batch_size=2)
    clf = PrefixClassifier(**OF_ONE_LENGTH, series=series).fit(X, y)
    for method in (clf.predict, clf.predict_proba, clf.embed):
        with pytest.raises(ValueError, match="X has a series of 8 time points, series 5") as told:
            method([*X[:5], X[5, :, :8], X[6, :, :9], *X[7:]])
        assert "ends before the prefix of 15" in str(told.value)
        assert "list" in str(told.value)
        assert "series__short_series='ended'" in str(told.value)


@pytest.mark.parametrize("missing", GAPS)
@pytest.mark.parametrize("n", [2, 10, 14])
def test_a_series_that_has_ended_is_answered_in_every_form(missing, n):
    series = SeriesOptions(missing_values=missing, short_series="ended")
    clf = PrefixClassifier(**OF_ONE_LENGTH, series=series).fit(X, y)
    found = answers(clf, X[3, :, :n])
    assert np.isfinite(found[0]).all()
    np.testing.assert_allclose(found, np.repeat(found[:1], len(found), 0), rtol=1e-6)


@pytest.mark.parametrize("missing", GAPS)
def test_the_output_of_a_transformer_is_not_filled_after_a_series_end(missing):
    clf = PrefixClassifier(
        **{**OF_ONE_LENGTH, "earliness": PrefixTruncator(0.5)},
        series=SeriesOptions(missing_values=missing),
    )
    clf.fit(X, y)
    assert answers(clf, X[3, :, :10]) == [None] * 7


@pytest.mark.parametrize("missing", GAPS)
def test_chunks_and_teachers_take_series_that_end_before_the_prefix(missing):
    short = X.copy()
    short[::2, :, 10:] = np.nan
    options = {**OF_ONE_LENGTH, "series": SeriesOptions(missing_values=missing)}
    for clf in (
        PrefixClassifier(**options),
        DistilledPrefixClassifier(**options, teacher="lstm1-8"),
    ):
        clf.fit(X, y).partial_fit(short, y)
        with pytest.raises(ValueError, match="series of 10 time points, series 0"):
            clf.predict(short)
