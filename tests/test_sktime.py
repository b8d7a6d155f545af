"""Classifiers in sktime, sktime's transformers in scikit-learn, and folds that stay in order."""

import importlib
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator
from sktime.benchmarking.classification import ClassificationBenchmark
from sktime.classification.base import BaseClassifier
from sktime.classification.compose import ClassifierPipeline
from sktime.classification.dummy import DummyClassifier
from sktime.classification.early_classification import (
    TEASER,
    ProbabilityThresholdEarlyClassifier,
)
from sktime.classification.interval_based import TimeSeriesForestClassifier
from sktime.classification.model_evaluation import evaluate
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datasets import load_japanese_vowels
from sktime.datatypes import convert_to
from sktime.transformations.base import BaseTransformer
from sktime.transformations.exponent import ExponentTransformer
from sktime.transformations.padder import PaddingTransformer
from sktime.transformations.summarize import SummaryTransformer
from sktime.transformations.truncation import TruncationTransformer
from sktime.utils.estimator_checks import _get_test_names_for_obj, check_estimator

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    LabeledFolds,
    PrefixClassifier,
    PrefixTruncator,
    save,
)
from skgdpd._series.panel import as_frames
from skgdpd.datasets import make_bumps
from skgdpd.sktime import SklearnTransformer, SktimeClassifier, SortedSplitter

GUIDE = Path(__file__).parents[1] / "docs" / "sktime.md"
SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
NEEDS_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="TEASER needs numba")
sklearn_version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


@pytest.fixture
def base():
    return PrefixClassifier(**SMALL)


@pytest.fixture
def gdpd():
    return GDPDClassifier(**SMALL, prior=clone(PRIOR))


@pytest.fixture(scope="module")
def vowels():
    """JapaneseVowels, 12 channels, 7 to 29 points, in sktime's nested form."""
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    return X.iloc[::4], np.asarray(y)[::4]


@pytest.fixture(scope="module")
def whole_gunpoint(gunpoint):
    """Training and test part in one, and the fold of each series."""
    X = np.concatenate([gunpoint.X, gunpoint.X_test[:50]])
    y = np.concatenate([gunpoint.y, gunpoint.y_test[:50]])
    return X, y, np.repeat([-1, 0], [50, 50])


def test_without_sktime_the_error_names_the_command(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("skgdpd.sktime")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sktime", None)
    with pytest.raises(ImportError, match=r"pip install 'skgdpd\[sktime\]'"):
        importlib.import_module("skgdpd.sktime")


# sktime's own suite of checks

CHECKED = {type(p["estimator"]).__name__: p for p in SktimeClassifier.get_test_params()}


def checked(estimator, **which):
    """What sktime's checks say, by name; theirs may warn of what they do themselves."""
    return check_estimator(estimator, raise_exceptions=False, verbose=False, **which)


def not_passed(results):
    return {name: result for name, result in results.items() if result != "PASSED"}


def names_of(results):
    return {name.partition("[")[0] for name in results}


def test_one_setting_of_each_classifier_is_checked():
    assert set(CHECKED) == {
        "PrefixClassifier",
        "DistilledPrefixClassifier",
        "GDPDClassifier",
        "GenDDClassifier",
    }
    assert len(SktimeClassifier.create_test_instances_and_names()[0]) == 4


def test_no_tag_turns_sktimes_checks_off():
    for params in CHECKED.values():
        clf = SktimeClassifier(**params)
        assert not clf.get_tag("tests:skip_all")
        assert not clf.get_tag("tests:skip_by_name")
        assert clf.get_tag("property:randomness") == "deterministic"
        assert clf.get_tag("capability:predict_proba")
        assert clf.get_tag("capability:class_weight")
        assert clf.get_tag("capability:multivariate")


@pytest.mark.filterwarnings("ignore::Warning:sktime", "ignore::UserWarning:skbase")
def test_sktimes_checks_of_objects():
    """Those that fit nothing, or little; the slow test has all."""
    results = checked(
        SktimeClassifier(**CHECKED["PrefixClassifier"]),
        tests_to_run=[
            "test_constructor",
            "test_clone",
            "test_set_params",
            "test_get_params",
            "test_set_params_sklearn",
            "test_valid_estimator_tags",
            "test_get_test_params",
            "test_fit_updates_state",
            "test_multioutput",
            "test_class_weight",
        ],
    )
    assert not not_passed(results)
    assert len(results) >= 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # of sktime's own scenarios
def test_sktimes_whole_suite_of_checks():
    results = checked(SktimeClassifier)
    assert not not_passed(results)
    assert names_of(results) == set(_get_test_names_for_obj(SktimeClassifier))
    assert len(results) >= 337
    for number in range(4):
        assert sum(f"SktimeClassifier-{number}" in name for name in results) >= 80


@pytest.mark.parametrize("freeze", [FrozenEstimator, lambda fitted: fitted])
def test_a_classifier_of_sktimes_as_teacher(bumps, gdpd, freeze):
    X, y = bumps
    teacher = SktimeClassifier(PrefixClassifier(**SMALL, earliness=1.0)).fit(X, y)
    taught = gdpd.set_params(teacher=freeze(teacher)).fit(X, y)
    proba = taught.teacher_.predict_proba(X)
    np.testing.assert_allclose(taught.teacher_.embed(X), np.log(proba.clip(1e-6)), atol=1e-5)


# The adapter predicts what the wrapped classifier predicts


@pytest.mark.parametrize(
    "estimator",
    [
        PrefixClassifier(**SMALL),
        DistilledPrefixClassifier(**SMALL),
        GDPDClassifier(**SMALL, prior=PRIOR),
        GenDDClassifier(**SMALL, generator=GeneratorOptions(max_epochs=2), n_sampling_steps=4),
    ],
    ids=lambda e: type(e).__name__,
)
def test_the_adapter_changes_no_prediction(bumps, estimator):
    X, y = bumps
    alone = clone(estimator).fit(X, y)
    for mtype in ("numpy3D", "pd-multiindex", "df-list", "nested_univ"):
        clf = SktimeClassifier(estimator).fit(convert_to(X, mtype), y)
        assert not hasattr(estimator, "classes_")
        seen = convert_to(X[:9], mtype)
        np.testing.assert_array_equal(clf.predict_proba(seen), alone.predict_proba(X[:9]))
        np.testing.assert_array_equal(clf.predict(seen), alone.predict(X[:9]))
        np.testing.assert_array_equal(clf.classes_, alone.classes_)


def test_prediction_from_prefixes(bumps, base):
    X, y = bumps
    clf = SktimeClassifier(base.set_params(earliness=0.5)).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X[:, :, :20]), clf.predict_proba(X))


def test_parameters_are_reached_by_their_long_and_short_names(base):
    clf = SktimeClassifier(base)
    clf.set_params(estimator__lr=0.5)
    assert clf.get_params()["estimator__lr"] == 0.5
    assert clf.set_params(lr=0.25).estimator.lr == 0.25
    with pytest.raises(ValueError, match="learning_rate"):
        clf.set_params(learning_rate=1)


def test_a_bad_parameter_is_refused_by_name(bumps):
    with pytest.raises(ValueError, match="'earliness' parameter"):
        SktimeClassifier(PrefixClassifier(earliness=1.5)).fit(*bumps)


def test_a_search_of_scikit_learns_inside(bumps, base):
    X, y = bumps
    search = GridSearchCV(base, {"earliness": [0.2, 0.5]}, cv=2, error_score="raise")
    clf = SktimeClassifier(search).fit(X, y)
    assert clf.estimator_.best_params_["earliness"] in (0.2, 0.5)
    assert clf.predict_proba(X).shape == (60, 2)


# Tags


def gap(X):
    X = X.copy()
    X[3, 0, 5] = np.nan
    return X


def both_ways(X, y, clf, tag, claimed):
    """A claim must hold in a fit and a prediction, a denial must be refused by name."""
    assert clf.get_tag(tag) is claimed
    if claimed:
        proba = clf.fit(X, y).predict_proba(X)
        assert proba.shape == (len(y), len(np.unique(y)))
        np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
    else:
        word = tag.removeprefix("capability:").replace("_", " ")
        with pytest.raises(ValueError, match=f"cannot handle {word}"):
            clf.fit(X, y)


@pytest.mark.parametrize(
    ("missing", "claimed"), [("error", False), ("interpolate", True), ("mask", True)]
)
def test_missing_values(bumps, gdpd, missing, claimed):
    X, y = bumps
    clf = SktimeClassifier(gdpd.set_params(series__missing_values=missing))
    both_ways(gap(X), y, clf, "capability:missing_values", claimed)


def test_tags_follow_the_parameters(bumps):
    X, y = bumps
    clf = SktimeClassifier(PrefixClassifier(**SMALL))
    assert not clf.get_tag("capability:missing_values")
    clf.set_params(estimator__series__missing_values="mask")
    assert clf.get_tag("capability:missing_values")
    assert clf.clone().get_tag("capability:missing_values")
    # Behind the adapter's back, until the next fit.
    clf.estimator.set_params(series__missing_values="error")
    both_ways(X, y, clf.fit(X, y), "capability:multivariate", True)
    both_ways(gap(X), y, clf, "capability:missing_values", False)
    clf.set_params(estimator__random_state=None)
    assert clf.get_tag("property:randomness") == "stochastic"


FLAT = TimeSeriesForestClassifier(n_estimators=2, random_state=0)


@pytest.mark.parametrize(
    ("params", "claimed"),
    [
        ({}, True),
        ({"student": "lstm1-8"}, True),
        ({"earliness": TruncationTransformer(upper=6)}, True),
        ({"earliness": PrefixTruncator(0.3)}, True),
        ({"series__earliness_of": "own"}, True),
        ({"teacher": "lstm1-8"}, True),
        ({"teacher": FLAT}, False),
        ({"teacher": LogisticRegression()}, False),
        ({"teacher": FrozenEstimator(LogisticRegression())}, False),
        ({"teacher": SktimeClassifier(PrefixClassifier(**SMALL))}, True),
        ({"teacher": PrefixClassifier(**SMALL, earliness=1.0)}, True),
        ({"teacher": DummyClassifier()}, True),
    ],
    ids=str,
)
def test_unequal_length(bumps, gdpd, params, claimed):
    X, y = bumps
    X = [x[:, : 25 + i % 9] for i, x in enumerate(X)]
    clf = SktimeClassifier(gdpd.set_params(**params))
    frames = [pd.DataFrame(x.T) for x in X]
    tag = "capability:unequal_length"
    assert clf.get_tag(tag) is claimed
    if claimed:
        assert clf.fit(frames, y).predict(frames).shape == (60,)
        alone = clone(clf.estimator).fit(X, y)
        np.testing.assert_array_equal(clf.predict_proba(frames), alone.predict_proba(X))
    else:
        with pytest.raises(ValueError, match="cannot handle unequal length series"):
            clf.fit(frames, y)


def flat_student(n_channels, n_timepoints):
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_channels * n_timepoints, 3))


def test_unequal_length_of_modules(bumps):
    X, y = bumps
    frames = [pd.DataFrame(x[:, : 25 + i % 9].T) for i, x in enumerate(X)]
    clf = SktimeClassifier(PrefixClassifier(flat_student(1, 10), max_epochs=1))
    assert not clf.get_tag("capability:unequal_length")
    with pytest.raises(ValueError, match="cannot handle unequal length series"):
        clf.fit(frames, y)
    clf.set_params(estimator__series__resample_length=10)
    assert clf.get_tag("capability:unequal_length")
    assert clf.fit(frames, y).predict(frames).shape == (60,)
    # What a callable makes is known only then.
    clf = SktimeClassifier(PrefixClassifier(flat_student, max_epochs=1))
    assert clf.get_tag("capability:unequal_length")
    with pytest.raises(ValueError, match="unequal length: its forward has no parameter lengths"):
        clf.fit(frames, y)


@pytest.mark.parametrize("mtype", ["nested_univ", "pd-multiindex", "df-list"])
def test_real_series_of_unequal_length(vowels, base, mtype):
    X, y = vowels
    clf = SktimeClassifier(base.set_params(earliness=0.5))
    panel = convert_to(X, mtype)
    np.testing.assert_array_equal(
        clf.fit(panel, y).predict_proba(panel), base.fit(X, y).predict_proba(X)
    )


def test_nan_at_the_end_counts_as_missing_for_sktime(bumps, base):
    X, y = bumps
    padded = X.copy()
    padded[::2, :, 30:] = np.nan
    both_ways(padded, y, SktimeClassifier(base), "capability:missing_values", False)
    with pytest.raises(ValueError, match="give series of unequal length as frames"):
        SktimeClassifier(base).fit(padded, y)
    as_list = SktimeClassifier(base).fit(as_frames(padded), y)
    np.testing.assert_array_equal(
        as_list.predict_proba(as_frames(padded)), base.fit(padded, y).predict_proba(padded)
    )


@pytest.mark.parametrize(
    ("teacher", "claimed"),
    [(None, True), (DummyClassifier(), True), (FLAT, False), (FrozenEstimator(FLAT), False)],
    ids=str,
)
def test_several_channels(basic_motions, gdpd, teacher, claimed):
    X, y = basic_motions.X[:, :, ::4], basic_motions.y
    clf = SktimeClassifier(gdpd.set_params(teacher=teacher))
    assert clf.get_tag("capability:multivariate") is claimed
    if claimed:
        assert clf.fit(X, y).predict_proba(X).shape == (40, 4)
    else:
        with pytest.raises(ValueError, match="cannot handle multivariate series"):
            clf.fit(X, y)


def test_saving_sends_to_the_classifier_inside(bumps, base, tmp_path):
    clf = SktimeClassifier(base).fit(*bumps)
    with pytest.raises(ValueError, match=r"save its estimator_.*or take its own save\(path\)"):
        save(clf, tmp_path / "model")
    save(clf.estimator_, tmp_path / "model")


def test_class_weight(bumps, base):
    X, y = bumps
    clf = SktimeClassifier(base)
    assert clf.get_tag("capability:class_weight")
    even = clf.fit(X, y).predict_proba(X)[:, 1]
    clf.set_params(estimator__class_weight={"no": 1, "yes": 50})
    assert clf.fit(X, y).predict_proba(X)[:, 1].mean() > even.mean()
    other = SktimeClassifier(GridSearchCV(LogisticRegression(), {"C": [1, 2]}))
    assert not other.get_tag("capability:class_weight")


# In sktime's tools

ONE_FOLD = pytest.mark.filterwarnings(
    "ignore:Degrees of freedom:RuntimeWarning", "ignore:invalid value:RuntimeWarning"
)
"""The benchmark takes the deviation over folds, even over one."""


@ONE_FOLD
def test_benchmark_with_the_archives_split(whole_gunpoint, base):
    X, y, fold = whole_gunpoint
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator(SktimeClassifier(base), "prefix")
    benchmark.add_task((X, y), PredefinedSplit(fold), [accuracy_score], task_id="gunpoint")
    result = benchmark.run(None)
    expected = clone(base).fit(X[fold < 0], y[fold < 0]).score(X[fold == 0], y[fold == 0])
    assert float(result.filter(like="accuracy_score_mean").iloc[0, 0]) == expected


def test_evaluate(bumps, base, gdpd):
    X, y = bumps
    for estimator in (base, gdpd):
        result = evaluate(SktimeClassifier(estimator), cv=KFold(2), X=X, y=y, error_score="raise")
        expected = cross_val_score(estimator, X, y, cv=KFold(2), error_score="raise")
        np.testing.assert_array_equal(result["test_accuracy_score"], expected)


def test_a_pipeline_of_sktimes(gunpoint, base):
    X, y = gunpoint.X, gunpoint.y
    clf = SktimeClassifier(base.set_params(earliness=1.0))
    pipe = TruncationTransformer(upper=45) * clf
    assert isinstance(pipe, ClassifierPipeline)
    alone = clone(base).set_params(earliness=45).fit(X, y)
    np.testing.assert_array_equal(
        pipe.fit(X, y).predict_proba(gunpoint.X_test), alone.predict_proba(gunpoint.X_test)
    )


def test_without_the_adapter_sktime_lays_channels_in_one_row():
    X, y = make_bumps(20, 12, n_channels=3, random_state=0)
    last = PrefixClassifier("rocket", earliness=1.0, max_epochs=0, random_state=0)
    seen = (TruncationTransformer(upper=4) * last).fit(X, y).classifier_
    assert (seen.n_channels_in_, seen.n_timepoints_in_) == (1, 12), "the page says so"


def test_a_search_of_sktimes(bumps, base):
    X, y = bumps
    base.set_params(earliness=TruncationTransformer(upper=12))
    grid = {"estimator__earliness__upper": [8, 16]}
    search = TSCGridSearchCV(
        SktimeClassifier(base), grid, cv=SortedSplitter(2, y), error_score="raise"
    ).fit(X, y)
    expected = GridSearchCV(base, {"earliness__upper": [8, 16]}, cv=StratifiedKFold(2)).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert search.best_params_["estimator__earliness__upper"] in (8, 16)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


@NEEDS_NUMBA
def test_teaser(bumps, base):
    X, y = bumps
    early = TEASER(
        SktimeClassifier(base.set_params(earliness=1.0)),
        classification_points=[10, 20, 40],
        random_state=0,
    ).fit(X, y)
    for fitted, point in zip(early._estimators, (10, 20, 40), strict=True):
        assert fitted.estimator_.prefix_length_ == point
    labels, decided = early.predict(X)
    assert set(labels[decided]) <= {"no", "yes"}
    assert len({e.estimator.random_state for e in early._estimators}) == 3  # TEASER's seeds


def test_probability_threshold(bumps, base):
    X, y = bumps
    early = ProbabilityThresholdEarlyClassifier(
        estimator=SktimeClassifier(base.set_params(earliness=1.0)),
        classification_points=[10, 40],
        probability_threshold=0.6,
        random_state=0,
    ).fit(X, y)
    proba = early.predict_proba(X[:, :, :10])
    seed = early._estimators[0].estimator.random_state
    alone = clone(base).set_params(random_state=seed).fit(X[:, :, :10], y)
    np.testing.assert_array_equal(proba, alone.predict_proba(X[:, :, :10]))
    safe, _ = early.decide_prediction_safety(X[:, :, :10], proba, None)
    np.testing.assert_array_equal(safe, proba.max(1) >= 0.6)


# The adapter inside scikit-learn


def test_the_adapter_inside_scikit_learn(bumps, base):
    X, y = bumps
    clf = SktimeClassifier(base)
    assert get_tags(clf).estimator_type == "classifier"
    found = cross_val_predict(clf, X, y, cv=2, method="predict_proba")
    np.testing.assert_array_equal(
        found, cross_val_predict(base, X, y, cv=2, method="predict_proba")
    )
    pipe = make_pipeline(PrefixTruncator(0.5), SktimeClassifier(clone(base)))
    grid = {"sktimeclassifier__estimator__earliness": [0.5, 1.0]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_[-1].estimator_.prefix_length_ in (10, 20)


def test_reset_keeps_what_scikit_learn_put_there(bumps, base):
    clf = SktimeClassifier(base)
    clf._parent_callback_ctx, clf._skl_callbacks = object(), [object()]
    kept = clf._parent_callback_ctx, clf._skl_callbacks
    clf.fit(*bumps)
    assert (clf._parent_callback_ctx, clf._skl_callbacks) == kept
    if sklearn_version >= (1, 9):  # whose clone keeps them
        assert clone(clf)._skl_callbacks is kept[1]
    assert not hasattr(clone(clf), "_parent_callback_ctx")


class Count:
    """A callback of scikit-learn's, the least that it takes for one."""

    max_propagation_depth = None

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, **kwargs):
        self.seen.append(type(estimator).__name__)

    def on_fit_task_end(self, estimator, context, **kwargs):
        return False


def truncated_pipe(base, classifier=None):
    cut = SklearnTransformer(TruncationTransformer(upper=45))
    return make_pipeline(cut, classifier or clone(base).set_params(earliness=1.0))


@pytest.mark.filterwarnings("ignore:The estimator .* does not support callbacks:UserWarning")
@pytest.mark.skipif(sklearn_version < (1, 9), reason="scikit-learn has no callbacks before 1.9")
def test_callbacks_of_scikit_learn(bumps, base):
    X, y = bumps
    last = SktimeClassifier(base.set_params(earliness=1.0))
    search = GridSearchCV(truncated_pipe(base, last), {"sktimeclassifier__lr": [1e-3, 1e-2]}, cv=2)
    counter = Count()
    search.set_callbacks(counter).fit(X, y)
    assert (counter.seen[0], counter.seen[-1]) == ("setup", "teardown")
    assert counter.seen.count("setup") == 1
    assert "GridSearchCV" in counter.seen


@pytest.mark.skipif(sklearn_version < (1, 9), reason="scikit-learn has no callbacks before 1.9")
def test_sktimes_own_transformer_still_needs_the_wrapper(bumps, base):
    """Once this fails, the wrapper and the guide can say less."""
    with pytest.raises(AttributeError, match="_parent_callback_ctx"):
        make_pipeline(TruncationTransformer(upper=12), base).fit(*bumps)


# sktime's transformers inside scikit-learn


WRAPPER_CHECKS = list(estimator_checks_generator(SklearnTransformer(ExponentTransformer())))


@pytest.mark.parametrize(
    ("estimator", "check"),
    WRAPPER_CHECKS,
    ids=lambda part: getattr(getattr(part, "func", None), "__name__", "wrapped"),
)
def test_scikit_learns_checks_of_the_wrapper(estimator, check):
    check(estimator)


def test_scikit_learns_checks_of_the_wrapper_are_all_there():
    assert len(WRAPPER_CHECKS) >= 40


def test_truncation_in_a_pipeline_of_scikit_learns(gunpoint, base):
    pipe = truncated_pipe(base).fit(gunpoint.X, gunpoint.y)
    alone = clone(base).set_params(earliness=45).fit(gunpoint.X, gunpoint.y)
    np.testing.assert_array_equal(
        pipe.predict_proba(gunpoint.X_test), alone.predict_proba(gunpoint.X_test)
    )


def test_a_pipeline_of_both_can_still_teach_from_whole_series(gunpoint, gdpd):
    X, y = gunpoint.X, gunpoint.y
    pipe = truncated_pipe(gdpd).fit(X, y, gdpdclassifier__X_teacher=X)
    alone = clone(gdpd).set_params(earliness=45).fit(X, y)
    np.testing.assert_array_equal(
        pipe.predict_proba(gunpoint.X_test), alone.predict_proba(gunpoint.X_test)
    )


def test_a_grid_over_a_wrapped_transformer(bumps, base):
    X, y = bumps
    pipe = truncated_pipe(base)
    grid = {"sklearntransformer__transformer__upper": [8, 16]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise", refit=False).fit(X, y)
    lengths = GridSearchCV(base, {"earliness": [8, 16]}, cv=2, refit=False).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], lengths.cv_results_["mean_test_score"]
    )


def test_a_grid_over_a_transformer_as_earliness(gunpoint, gdpd):
    gdpd.set_params(earliness=TruncationTransformer(upper=45))
    search = GridSearchCV(gdpd, {"earliness__upper": [30, 45]}, cv=2, error_score="raise")
    search.fit(gunpoint.X, gunpoint.y)
    assert search.best_estimator_.prefix_length_ == search.best_params_["earliness__upper"]
    assert search.best_estimator_.teacher_.network_.view.n_seen_ == 150


def test_padding_in_a_pipeline_of_scikit_learns(vowels, base):
    X, y = vowels
    first = SklearnTransformer(PaddingTransformer())
    padded = first.fit_transform(X)
    assert padded.shape == (68, 12, 24)
    assert np.isfinite(padded).all()
    assert first.transform(X.iloc[:3]).shape == (3, 12, 24)
    pipe = make_pipeline(first, base.set_params(earliness=0.5)).fit(X, y)
    alone = clone(base).fit(padded, y)
    np.testing.assert_array_equal(pipe.predict_proba(X), alone.predict_proba(padded))


def test_series_of_unequal_length_keep_their_ends(vowels):
    X, _ = vowels
    cut = SklearnTransformer(TruncationTransformer(lower=0, upper=7)).fit_transform(X)
    assert cut.shape == (68, 12, 7)
    kept = SklearnTransformer(ExponentTransformer(power=2)).fit_transform(X)
    assert kept.shape == (68, 12, 24)
    lengths = np.array([len(cell) for cell in X.iloc[:, 0]])
    np.testing.assert_array_equal(np.isfinite(kept[:, 0]).sum(1), lengths)


def test_gaps_pass_through_to_a_classifier_that_takes_them(bumps, base):
    X, y = gap(bumps[0]), bumps[1]
    pipe = make_pipeline(
        SklearnTransformer(TruncationTransformer(upper=12)),
        base.set_params(earliness=1.0, series__missing_values="mask"),
    ).fit(X, y)
    alone = clone(base).set_params(earliness=12).fit(X, y)
    np.testing.assert_array_equal(pipe.predict_proba(X), alone.predict_proba(X))


def test_a_wrapped_transformer_keeps_the_form(bumps):
    X, y = bumps
    square = SklearnTransformer(ExponentTransformer(power=2, offset=0))
    np.testing.assert_allclose(square.fit_transform(X), X**2, rtol=1e-6)
    np.testing.assert_allclose(square.fit_transform(X[:, 0]), X[:, 0] ** 2, rtol=1e-6)
    with pytest.raises(ValueError, match="39 features"):
        square.transform(X[:, 0, :39])
    with pytest.raises(ValueError, match="2 features"):
        square.fit(X).transform(np.concatenate([X, X], 1))
    numbers = SklearnTransformer(SummaryTransformer(("mean", "max"), quantiles=None))
    np.testing.assert_allclose(
        numbers.fit_transform(X), np.stack([X[:, 0].mean(1), X[:, 0].max(1)], 1), rtol=1e-5
    )
    pipe = make_pipeline(numbers, LogisticRegression()).fit(X, y)
    assert pipe.score(X, y) > 0.5


def test_only_transformers_of_sktimes_are_wrapped(bumps):
    for wrong in (PrefixTruncator(), TruncationTransformer, None):
        with pytest.raises(TypeError, match=r"transformer=.* must be an instance of a sktime"):
            SklearnTransformer(wrong).fit(*bumps)


class TimesClasses(BaseTransformer):
    """Multiplies series by the number of classes that it was shown."""

    _tags = {
        "scitype:transform-input": "Series",
        "scitype:instancewise": False,
        "scitype:transform-labels": "Primitives",
        "X_inner_mtype": "numpy3D",
        "y_inner_mtype": "numpy1D",
        "fit_is_empty": False,
        "requires_y": True,
    }

    def _fit(self, X, y=None):
        self.n_ = len(np.unique(y))
        return self

    def _transform(self, X, y=None):
        return X * self.n_


def test_a_transformer_that_needs_labels_gets_them(bumps):
    X, y = bumps
    wrapped = SklearnTransformer(TimesClasses())
    assert get_tags(wrapped).target_tags.required
    np.testing.assert_array_equal(wrapped.fit(X, y).transform(X), 2 * X)
    np.testing.assert_array_equal(wrapped.fit(X, np.arange(60) % 3).transform(X), 3 * X)
    with pytest.raises(ValueError, match="requires y to be passed"):
        wrapped.fit(X)


# Unlabelled series, marked in y

HIDDEN = np.arange(60) % 3 > 0


def as_objects(y, marker):
    y = np.array(y, dtype=object)
    y[HIDDEN] = marker
    return y


def numbers(y):
    return (y == "yes") + 0


MARKS = {
    "None": (None, lambda y: as_objects(y, None)),
    "Series of objects": (None, lambda y: pd.Series(as_objects(y, None))),
    "Series of strings": (None, lambda y: pd.Series(as_objects(y, None)).astype("string")),
    "NaN": (None, lambda y: np.where(HIDDEN, np.nan, numbers(y))),
    "string": ("?", lambda y: np.where(HIDDEN, "?", y)),
    "number": (-1, lambda y: np.where(HIDDEN, -1, numbers(y))),
}


@pytest.mark.parametrize("marker, mark", MARKS.values(), ids=MARKS)  # noqa: PT006
def test_marked_series_reach_the_wrapped_classifier(bumps, gdpd, marker, mark):
    X, y = bumps[0], mark(bumps[1])
    gdpd.set_params(unlabeled=marker)
    alone = clone(gdpd).fit(X, y)
    clf = SktimeClassifier(gdpd)
    for given in (clf, clf.clone(), clone(clf), clf.reset()):
        given.fit(X, y)
        assert given.estimator_.history_.n_unlabeled == 40
        np.testing.assert_array_equal(given.predict_proba(X), alone.predict_proba(X))
        np.testing.assert_array_equal(given.predict(X), alone.predict(X))
        np.testing.assert_array_equal(given.classes_, alone.classes_)
        assert given.n_classes_ == 2
        assert given._class_dictionary == {label: i for i, label in enumerate(alone.classes_)}
        assert "_marked__y" not in vars(given)
    frames = SktimeClassifier(gdpd).fit(convert_to(X, "pd-multiindex"), y)
    np.testing.assert_array_equal(frames.predict_proba(X), alone.predict_proba(X))
    clf.set_params(estimator__unlabeled=None).fit(X, bumps[1])
    assert clf.estimator_.history_.n_unlabeled == 0


def test_a_class_that_is_named_as_the_mark_leaves_one_class(bumps):
    """sktime would make a classifier that always gives the other class."""
    X, y = bumps[0], np.where(bumps[1] == "yes", 1, -1)
    taught = DistilledPrefixClassifier(student="lstm1-8", max_epochs=1, unlabeled=-1)
    for clf in (taught, SktimeClassifier(taught)):
        with pytest.raises(ValueError, match=r"y has (one|1) class.*1.*needs two"):
            clf.fit(X, y)
    clf = SktimeClassifier(taught.set_params(unlabeled=None, random_state=0)).fit(X, y)
    assert clf.classes_.tolist() == [-1, 1]
    assert clf.estimator_.history_.n_unlabeled == 0


@pytest.mark.parametrize("kind", ["NaN", "string", "number"])
def test_marked_series_in_sktimes_tools(bumps, gdpd, kind):
    marker, mark = MARKS[kind]
    X, y = bumps[0], mark(bumps[1])
    gdpd.set_params(unlabeled=marker)
    folds = LabeledFolds(2, unlabeled=marker)
    expected = cross_val_score(gdpd, X, y, cv=folds, error_score="raise")
    clf, cv = SktimeClassifier(gdpd), SortedSplitter(folds, y)
    result = evaluate(clf, cv=cv, X=X, y=y, error_score="raise")
    np.testing.assert_array_equal(result["test_accuracy_score"], expected)
    search = TSCGridSearchCV(clf, {"lambda_kd": [1.0]}, cv=cv, error_score="raise").fit(X, y)
    assert search.best_score_ == pytest.approx(expected.mean())
    assert set(search.predict(X)) <= set(clone(gdpd).fit(X, y).classes_)
    benchmark = ClassificationBenchmark()
    benchmark.add_estimator(clf, "gdpd")
    benchmark.add_task((X, y), cv, [accuracy_score], task_id="bumps")
    means = benchmark.run(None).filter(like="accuracy_score_mean").to_numpy()
    assert means == pytest.approx(expected.mean())
    inside = (ExponentTransformer(power=1) * clf).fit(X, y)
    assert inside.classifier_.estimator_.history_.n_unlabeled == 40
    assert inside.predict_proba(X).shape == (60, 2)


@pytest.mark.parametrize("kind", ["None", "string"])
def test_marked_series_through_searches_inside_and_outside(bumps, gdpd, kind):
    marker, mark = MARKS[kind]
    X, y = bumps[0], mark(bumps[1])
    gdpd.set_params(unlabeled=marker)
    how = {"cv": LabeledFolds(2, unlabeled=marker), "error_score": "raise"}
    inside = SktimeClassifier(GridSearchCV(gdpd, {"lambda_kd": [1.0]}, **how)).fit(X, y)
    assert inside.estimator_.best_estimator_.history_.n_unlabeled == 40
    outside = GridSearchCV(SktimeClassifier(gdpd), {"lambda_kd": [1.0]}, **how).fit(X, y)
    assert outside.best_score_ == inside.estimator_.best_score_
    for clf in (inside, outside):
        assert clf.classes_.tolist() == ["no", "yes"]
        with pytest.raises(ValueError, match=r"y has missing labels.* 40 of 60.*LabeledFolds"):
            clf.score(X, y)
        assert 0 <= clf.score(X, bumps[1]) <= 1


def test_without_a_teacher_marked_series_are_refused(bumps, base):
    X, y = bumps
    with pytest.raises(ValueError, match="PrefixClassifier learns from labelled series only"):
        SktimeClassifier(base).fit(X, as_objects(y, None))


def test_one_class_among_the_labels_is_refused(bumps, gdpd):
    X, y = bumps
    with pytest.raises(ValueError, match="y has one class, 'yes', beside 15 of 30 labels"):
        SktimeClassifier(gdpd).fit(X[y == "yes"], np.array(["yes", None] * 15, dtype=object))


# Order


class Sign(BaseClassifier):
    """Never wrong about series whose sign is their label."""

    _tags = {"X_inner_mtype": "numpy3D", "capability:predict_proba": True}

    def _fit(self, X, y):
        return self

    def _predict(self, X):
        return (X.mean((1, 2)) > 0).astype(int)


@pytest.fixture(scope="module")
def signs():
    y = np.random.default_rng(0).integers(0, 2, 40)
    return np.where(y, 1.0, -1.0)[:, None, None] * np.ones((1, 1, 5)), y


def accuracies(X, y, cv):
    return evaluate(Sign(), cv=cv, X=X, y=y, error_score="raise")["test_accuracy_score"]


UNSORTED = ShuffleSplit(3, test_size=0.4, random_state=0)


def test_evaluate_still_pairs_series_with_others_labels(signs):
    """Once this fails, SortedSplitter and the guide's warning can go."""
    assert (accuracies(*signs, UNSORTED) < 0.9).all()


def test_the_documented_splitters_are_safe(signs):
    X, y = signs
    safe = [
        3,
        KFold(3),
        KFold(3, shuffle=True, random_state=0),
        PredefinedSplit(np.arange(40) % 2 - 1),
        SortedSplitter(UNSORTED),
        SortedSplitter(3, y),
        SortedSplitter(StratifiedKFold(3, shuffle=True, random_state=0), y),
        SortedSplitter([(np.arange(39, 19, -1), np.arange(19, -1, -1))]),
    ]
    for cv in safe:
        np.testing.assert_array_equal(accuracies(X, y, cv), 1)


def test_stratified_folds_need_the_labels(signs):
    X, y = signs
    with pytest.raises((TypeError, ValueError)):
        accuracies(X, y, StratifiedKFold(3))


def test_sorted_folds_are_the_same_folds(signs):
    X, y = signs
    for cv in (UNSORTED, StratifiedKFold(4, shuffle=True, random_state=1)):
        splitter = SortedSplitter(cv, y)
        assert splitter.get_n_splits(X) == cv.get_n_splits(X, y)
        for mine, theirs in zip(splitter.split(X), cv.split(X, y), strict=True):
            for part, other in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(part, np.sort(other))


def test_sorted_groups(signs):
    from sklearn.model_selection import GroupKFold

    X, y = signs
    groups = np.arange(40) % 5
    for train, test in SortedSplitter(GroupKFold(5), groups=groups).split(X):
        assert len(set(groups[test])) == 1
        assert not set(groups[test]) & set(groups[train])
    assert (accuracies(X, y, SortedSplitter(GroupKFold(5), groups=groups)) == 1).all()


def test_a_bootstrap_is_refused(signs):
    X, y = signs
    twice = [(np.array([0, 0, 1]), np.array([2, 3]))]
    with pytest.raises(ValueError, match="more than once into the training part of fold 0"):
        accuracies(X, y, SortedSplitter(twice))


# The guide


@ONE_FOLD
def test_the_guides_recipes_run(tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 6
    monkeypatch.chdir(tmp_path)
    names = {"PRIOR": PRIOR}
    for block in blocks:
        if "TEASER" in block and find_spec("numba") is None:
            continue
        small = block.replace('GDPDClassifier(student="fcn"', "GDPDClassifier(prior=PRIOR")
        small = small.replace("max_epochs=20", 'student="lstm1-8", max_epochs=2')
        small = small.replace('PrefixClassifier("fcn"', "PrefixClassifier(")
        exec(compile(small.replace("(, ", "("), str(GUIDE), "exec"), names)
    assert names["clf"].estimator_.history_.n_unlabeled == 20


@pytest.fixture
def mixed_up(bumps):
    """A panel as a multi-indexed frame, and its labels by id in another order."""
    X, y = bumps
    frame = convert_to(X, "pd-multiindex")
    ids = frame.index.get_level_values(0).unique()
    return frame, y, pd.Series(y, index=ids).sample(frac=1, random_state=0)


def test_labels_with_an_index_are_those_of_their_series(base, mixed_up):
    frame, y, shuffled = mixed_up
    by_position = SktimeClassifier(base).fit(frame, y)
    by_index = SktimeClassifier(base).fit(frame, shuffled)
    np.testing.assert_array_equal(by_index.predict_proba(frame), by_position.predict_proba(frame))
    assert by_index.score(frame, shuffled) == by_position.score(frame, y)


def test_labels_of_other_ids_are_refused(base, mixed_up):
    frame, y, shuffled = mixed_up
    with pytest.raises(ValueError, match="y is matched with X by its index, which lacks"):
        SktimeClassifier(base).fit(frame, shuffled.rename(lambda i: i + 100))
    with pytest.raises(ValueError, match="y is matched with X by its index, which lacks"):
        SktimeClassifier(base).fit(frame, y).score(frame, shuffled.rename(lambda i: i + 100))
