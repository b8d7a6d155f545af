"""Series of unequal length, missing values, and privileged whole series."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sktime.datasets import load_japanese_vowels
from sktime.transformations.truncation import TruncationTransformer

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    SeriesOptions,
)
from skgdpd._series.panel import as_list, read_panel
from skgdpd._series.views import Normalizer, PrefixView, interpolate

SMALL = {"student": "fcn", "max_epochs": 3, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=3)
BACKBONES = ["fcn", "inception", "resnet", "lstm", "lstm1-8", "inception55-32", "resnet32-64"]


@pytest.fixture(scope="module")
def vowels():
    """JapaneseVowels, 12 channels, 7 to 29 points, in sktime's nested form."""
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    return X.iloc[::4], np.asarray(y)[::4]


@pytest.fixture(scope="module")
def ragged_bumps():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    lengths = rng.integers(12, 31, size=40)
    X = [rng.normal(size=(2, n)) + np.where(k, 1.0, -1.0) for n, k in zip(lengths, y, strict=True)]
    return X, y


def padded(series, more=0):
    values = read_panel(series).values
    return np.pad(values, ((0, 0), (0, 0), (0, more)), constant_values=np.nan)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_padding_further_changes_no_bit(ragged_bumps, backbone):
    X, y = ragged_bumps
    clf = PrefixClassifier(**{**SMALL, "student": backbone, "max_epochs": 2}, earliness=0.6)
    fits = [clone(clf).fit(form, y) for form in (X, padded(X), padded(X, 9))]
    expected = fits[0].predict_proba(X), fits[0].embed(X)
    assert not np.allclose(expected[0], expected[0][0])
    for fit in fits:
        for form in (X, padded(X), padded(X, 5)):
            np.testing.assert_array_equal(fit.predict_proba(form), expected[0])
            np.testing.assert_array_equal(fit.embed(form), expected[1])
        assert fit.n_timepoints_in_ == max(x.shape[1] for x in X)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_no_series_changes_anothers_prediction(ragged_bumps, backbone):
    X, y = ragged_bumps
    clf = PrefixClassifier(**{**SMALL, "student": backbone, "max_epochs": 1}).fit(X, y)
    together = clf.predict_proba(X)
    alone = np.concatenate([clf.predict_proba([x]) for x in X])
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_the_future_of_ragged_series_has_no_influence(ragged_bumps):
    X, y = ragged_bumps
    clf = GDPDClassifier(**SMALL, prior=PRIOR, earliness=0.4).fit(X, y)
    k = clf.prefix_length_
    assert k == 12
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba([x[:, :k] for x in X]), expected)
    for future in (np.nan, 1e30, 0.0):
        other = padded(X)
        other[:, :, k:] = future
        np.testing.assert_array_equal(clf.predict_proba(other), expected)


def test_a_fraction_is_of_the_longest_or_of_each_series_own_length(ragged_bumps):
    X, _ = ragged_bumps
    panel = read_panel(X)
    longest = max(x.shape[1] for x in X)
    k = int(0.6 * longest + 1e-9)
    seen = PrefixView(0.6, Normalizer(None), None).fit(panel)(panel)
    assert seen.lengths.tolist() == [min(k, x.shape[1]) for x in X]
    own = PrefixView(0.6, Normalizer(None), None, earliness_of="own").fit(panel)(panel)
    assert own.lengths.tolist() == [int(0.6 * x.shape[1] + 1e-9) for x in X]
    for x, values, n in zip(X, own.values, own.lengths, strict=True):
        np.testing.assert_array_equal(values[:, :n], x[:, :n].astype(np.float32))
        assert (values[:, n:] == 0).all()


@pytest.mark.parametrize("earliness_of", ["own", "longest"])
def test_japanese_vowels(vowels, earliness_of):
    X, y = vowels
    clf = GDPDClassifier(
        "lstm",
        **{**SMALL, "max_epochs": 8},
        prior=PRIOR,
        earliness=0.6,
        series=SeriesOptions(earliness_of=earliness_of),
    ).fit(X, y)
    assert clf.n_features_in_ == 12
    proba = clf.predict_proba(X)
    assert proba.shape == (68, 9)
    assert clf.score(X, y) > 0.5  # nine classes
    np.testing.assert_array_equal(clf.predict_proba(read_panel(X).values), proba)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), proba)


def test_gesture_pebble(archive):
    parts = archive("GesturePebbleZ1")
    X, y = parts.X[::2], parts.y[::2]
    assert np.isnan(X).any()
    clf = PrefixClassifier("fcn", earliness=0.3, max_epochs=8, random_state=0).fit(X, y)
    lengths = (~np.isnan(parts.X_test[:, 0])).sum(1)
    rows = np.flatnonzero(lengths >= (~np.isnan(X[:, 0])).sum(1).min())[:60]
    few = parts.X_test[rows]
    assert clf.score(few, parts.y_test[rows]) > 0.4  # six classes
    with pytest.raises(ValueError, match="can't be told whether it has ended"):
        clf.predict(parts.X_test[[lengths.argmin()]])
    np.testing.assert_array_equal(clf.predict_proba(as_list(few)), clf.predict_proba(few))


def test_resampling_makes_ragged_series_regular(ragged_bumps):
    X, y = ragged_bumps
    student = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool1d(5), torch.nn.Flatten(), torch.nn.Linear(2 * 5, 4)
    )
    clf = PrefixClassifier(student, max_epochs=2, random_state=0)
    with pytest.raises(ValueError, match=r"unequal length: its forward has no parameter lengths"):
        clf.fit(X, y)
    clf.set_params(series__resample_length=10).fit(X, y)
    assert clf.embed(X).shape == (40, 4)
    with pytest.raises(ValueError, match=r"teacher=Sequential[\s\S]* unequal length"):
        GDPDClassifier(student, **SMALL, prior=PRIOR).fit(X, y)


def test_a_ragged_pool_teaches_too(ragged_bumps):
    X, y = ragged_bumps
    clf = GDPDClassifier(**SMALL, prior=PRIOR).fit(X[:20], y[:20], X_unlabeled=X[20:])
    assert clf.history_.n_unlabeled == 20
    assert np.isfinite(clf.history_["loss"]).all()


def test_classifiers_as_teachers_get_a_list_of_their_series(ragged_bumps):
    X, y = ragged_bumps
    kinds = []

    class MeanTeacher(LogisticRegression):
        def fit(self, X, y):
            kinds.append(type(X))
            return super().fit(np.stack([x.mean(1) for x in X]), y)

        def predict_proba(self, X):
            return super().predict_proba(np.stack([x.mean(1) for x in X]))

    clf = DistilledPrefixClassifier(teacher=MeanTeacher(), **SMALL).fit(X, y)
    assert kinds == [list]
    assert clf.teacher_.embed(X).shape == (40, 2)


def test_a_sktime_transformer_cuts_ragged_series(ragged_bumps):
    X, y = ragged_bumps
    clf = PrefixClassifier(**SMALL, earliness=TruncationTransformer(upper=9)).fit(X, y)
    same = clone(clf).set_params(earliness=9).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))


def test_lists_go_through_cross_validation(ragged_bumps):
    X, y = ragged_bumps
    scores = cross_val_score(PrefixClassifier(**SMALL), X, y, cv=2)
    assert np.isfinite(scores).all()


# Missing values


def holes(X, share=0.2, seed=0):
    X = np.array(X, dtype=np.float64)
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    X[..., -1] = 0.5  # the series go on to their end
    return X


def test_interpolation_is_exact_for_straight_lines_and_level_at_the_ends():
    line = np.arange(8, dtype=np.float32).reshape(1, 1, 8).repeat(2, 0)
    gappy = line.copy()
    gappy[0, 0, [2, 3, 5]] = np.nan
    gappy[1, 0, [0, 1, 7]] = np.nan
    filled = interpolate(gappy, None)
    np.testing.assert_array_equal(filled[0], line[0])
    np.testing.assert_array_equal(filled[1, 0], [2, 2, 2, 3, 4, 5, 6, 6])
    ended = interpolate(gappy, np.array([8, 7]))
    assert np.isnan(ended[1, 0, 7])


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
@pytest.mark.parametrize("backbone", ["fcn", "lstm"])
def test_missing_values_are_taken_if_asked(bumps, missing, backbone):
    X, y = bumps
    X = holes(X)
    X[:, :, 19] = 0.5  # the prefixes alone are no shorter, either
    clf = GDPDClassifier(**{**SMALL, "student": backbone}, prior=PRIOR, earliness=0.5)
    with pytest.raises(ValueError, match="set series__missing_values='interpolate' or 'mask'"):
        clf.fit(X, y)
    clf.set_params(series__missing_values=missing).fit(X, y)
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    other = X.copy()
    other[:, :, clf.prefix_length_ :] = np.nan
    np.testing.assert_array_equal(clf.predict_proba(other), proba)
    first = next(p for p in clf.module_.parameters() if p.ndim >= 2)
    assert first.shape[1] == (2 if missing == "mask" else 1)


def test_interpolated_gaps_of_straight_lines_change_nothing(bumps):
    _, y = bumps
    X = np.arange(40.0) * np.linspace(0.5, 2, 60)[:, None, None]
    gappy = X.copy()
    gappy[3, 0, 5:8] = np.nan
    clf = PrefixClassifier(**SMALL, series=SeriesOptions(missing_values="interpolate"))
    fits = [clone(clf).fit(form, y) for form in (X, gappy)]
    np.testing.assert_allclose(*(f.predict_proba(X) for f in fits), atol=1e-5)


def test_a_channel_without_any_value_is_taken_as_average(basic_motions):
    X, y = basic_motions.X.astype(float), basic_motions.y
    X[0, 2] = np.nan
    for missing in ("interpolate", "mask"):
        clf = PrefixClassifier(**SMALL, series=SeriesOptions(missing_values=missing)).fit(X, y)
        assert np.isfinite(clf.predict_proba(X)).all()


def test_missing_and_ragged_together(ragged_bumps):
    X, y = ragged_bumps
    X = [x.copy() for x in X]
    X[0][0, 2], X[1][1, 0] = np.nan, np.nan
    for missing in ("interpolate", "mask"):
        clf = PrefixClassifier(**SMALL, series=SeriesOptions(missing_values=missing)).fit(X, y)
        np.testing.assert_array_equal(clf.predict_proba(padded(X, 4)), clf.predict_proba(X))


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_dodger_loop_game(archive, missing):
    parts = archive("DodgerLoopGame")
    assert np.isnan(parts.X).any()
    clf = PrefixClassifier(
        **SMALL, earliness=0.8, series=SeriesOptions(missing_values=missing)
    ).fit(parts.X, parts.y)
    proba = clf.predict_proba(parts.X_test)
    assert np.isfinite(proba).all()
    with pytest.raises(ValueError, match="X contains NaN"):
        clone(clf).set_params(series__missing_values="error").fit(parts.X, parts.y)


@pytest.mark.slow
def test_dodger_loop_game_is_learned(archive):
    parts = archive("DodgerLoopGame")
    clf = PrefixClassifier(earliness=1.0, series=SeriesOptions(missing_values="mask"))
    scores = [
        clf.set_params(random_state=seed).fit(parts.X, parts.y).score(parts.X_test, parts.y_test)
        for seed in range(2)
    ]
    assert np.mean(scores) > 0.7


# Privileged whole series


@pytest.mark.parametrize("normalize", ["train", "prefix", None])
def test_prefixes_with_whole_series_beside_are_earliness(gunpoint, normalize):
    X, y = gunpoint.X, gunpoint.y
    clf = GDPDClassifier(**SMALL, prior=PRIOR, normalize=normalize, earliness=0.3)
    cut = clone(clf).fit(X, y)
    given = clone(clf).fit(X[:, :, :45], y, X_teacher=X)
    prefixes = gunpoint.X_test[:, :, :45]
    np.testing.assert_array_equal(given.predict_proba(prefixes), cut.predict_proba(prefixes))
    np.testing.assert_array_equal(given.embed(prefixes), cut.embed(prefixes))
    assert given.n_timepoints_in_ == given.prefix_length_ == 45


def test_dropped_channels_and_lower_rates_are_views_too(basic_motions):
    X, y = basic_motions.X, basic_motions.y
    for view in (X[:, :2], X[:, :, ::4], np.where(np.arange(100) < 30, 0, X)):
        clf = GDPDClassifier(**SMALL, prior=PRIOR).fit(view, y, X_teacher=X)
        assert clf.predict_proba(view).shape == (40, 4)
        assert clf.n_channels_in_ == view.shape[1]
        assert clf.teacher_.predict_proba(X).shape == (40, 4)


def test_the_teacher_sees_what_the_student_does_not(basic_motions):
    """With noise as the student's view, a teacher of X_teacher still knows the classes."""
    X, y = basic_motions.X, basic_motions.y
    noise = np.random.default_rng(0).normal(size=(40, 1, 20))
    clf = GDPDClassifier(**{**SMALL, "max_epochs": 20}, prior=PRIOR).fit(noise, y, X_teacher=X)
    teacher = clf.classes_[clf.teacher_.predict_proba(basic_motions.X_test).argmax(1)]
    assert (teacher == basic_motions.y_test).mean() > 0.8


def test_unlabelled_series_of_which_the_teacher_has_more_are_marked(bumps):
    X, y = bumps
    few, rest = slice(0, 30), slice(30, 60)
    clf = GDPDClassifier(**SMALL, prior=PRIOR, earliness=0.3)
    marked = y.astype(object)
    marked[rest] = None
    given = clone(clf).fit(X[:, :, :12], marked, X_teacher=X)
    assert (given.history_.n_labeled, given.history_.n_unlabeled) == (24, 30)
    cut = clone(clf).fit(X[few], y[few], X_unlabeled=X[rest])
    np.testing.assert_array_equal(
        given.predict_proba(X[:, :, :12]), cut.predict_proba(X[:, :, :12])
    )
    for wrong, words in [
        ({"X_teacher": X[:5]}, "X has 30 series and X_teacher 5; they are pairs"),
        (
            {"X_teacher": X[few], "X_unlabeled": X[rest, :, :12]},
            "append the unlabelled series to both, and mark their rows in y",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            clone(clf).fit(X[few, :, :12], y[few], **wrong)
