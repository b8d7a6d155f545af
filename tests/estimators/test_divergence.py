"""Trainings that diverge stop at once, and whatever is fitted answers by distributions only."""

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from torch import nn

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GenDD, GeneratorOptions, Hinton
from skgdpd.distillers.generator import GeneratorObjective

SMALL = {"student": "fcn24", "max_epochs": 2, "random_state": 0}
LSTM = {"student": "lstm1-8", "max_epochs": 3, "random_state": 0}
PRIOR = DiffusionFeaturePrior(degradation="learned-alpha", max_epochs=2)


@pytest.fixture(scope="module")
def data():
    return make_bumps(24, 20, random_state=0)


class Own(nn.Module):
    """Network whose features are scaled: by NaN, it is of no use."""

    n_features = 3

    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x, lengths=None):
        return self.weight * x[:, 0, :3] * self.scale


def of_nan(n_channels, n_timepoints):
    return Own(float("nan"))


def is_distribution(proba):
    return (proba >= 0).all() and np.allclose(proba.sum(-1), 1)


# Fits


@pytest.mark.parametrize(
    ("clf", "match"),
    [
        (PrefixClassifier(lr=1e12, **SMALL), r"student diverged in epoch \d.*lr=1e\+12"),
        (
            PrefixClassifier(training=TrainingOptions(weight_decay=1e30), **SMALL),
            r"student diverged in epoch \d.*weight decay \(1e\+30\)",
        ),
        (
            PrefixClassifier(
                training=TrainingOptions(weight_decay=1e30, validation_fraction=0),
                **{**SMALL, "max_epochs": 1},
            ),
            "student diverged by its last epoch: its outputs are not finite",
        ),
        (PrefixClassifier(of_nan, max_epochs=2), "student diverged in epoch 1.*'ce' is nan"),
        (
            PrefixClassifier(earliness=[0.3, 1.0], lr=1e30, **SMALL),
            r"student diverged in epoch \d",
        ),
        (
            DistilledPrefixClassifier(lr=1e6, teacher="fcn24", **{**SMALL, "student": "rocket"}),
            r"teacher diverged.*lr=1e\+06",
        ),
        (
            DistilledPrefixClassifier(teacher=["fcn24", "fcn24"], lr=1e30, **SMALL),
            "teacher diverged",
        ),
        (
            DistilledPrefixClassifier(Hinton(lambda_kd=1e300), teacher="lstm1-8", **SMALL),
            r"student diverged in epoch \d.*hinton.*lambda_kd",
        ),
        (
            GDPDClassifier("lstm1-8", lambda_kd=1e300, prior=PRIOR, **SMALL),
            r"student diverged in epoch \d.*lambda_kd",
        ),
        (
            GDPDClassifier("lstm1-8", prior=DiffusionFeaturePrior(lr=1e30), **SMALL),
            r"prior diverged in epoch \d.*'diffusion' is.*lr=1e\+30",
        ),
        (
            GDPDClassifier(of_nan, prior=PRIOR, **SMALL),
            "teacher diverged in epoch 1.*'ce' is nan",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_training_that_diverges_is_an_error(clf, match, data):
    with pytest.raises(FloatingPointError, match=match):
        clf.fit(*data)
    assert not hasattr(clf, "network_")
    assert not hasattr(clf, "history_")


def test_a_generator_that_diverges_is_named(data, monkeypatch):
    def broken(self, module, batch, step):
        return {"gendd": next(module.parameters()).sum() * np.nan}

    monkeypatch.setattr(GeneratorObjective, "terms", broken)
    clf = DistilledPrefixClassifier(
        GenDD(generator=GeneratorOptions(max_epochs=1)), teacher="lstm1-8", **LSTM
    )
    with pytest.raises(FloatingPointError, match="generator diverged in epoch 1"):
        clf.fit(*data)


@pytest.mark.parametrize("name", ["film", "bottleneck"])
def test_a_prior_that_diverges_is_an_error(name, data):
    prior = DiffusionFeaturePrior(name, lr=1e30, max_epochs=3, random_state=0)
    with pytest.raises(FloatingPointError, match=r"prior diverged.*lr=1e\+30"):
        prior.fit(data[0][:, 0])


def test_a_diverged_teacher_is_never_cached(data, tmp_path):
    memory = Memory(tmp_path, verbose=0)
    clf = DistilledPrefixClassifier(teacher="fcn24", lr=1e30, memory=memory, **SMALL)
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="teacher diverged"):
            clf.fit(*data)
    assert clf.set_params(lr=1e-3).fit(*data).predict_proba(data[0]).shape == (24, 2)


def test_an_earlier_fit_does_not_answer_for_a_diverged_one(data):
    clf = PrefixClassifier(**SMALL).fit(*data)
    with pytest.raises(FloatingPointError):
        clf.set_params(lr=1e30).fit(*data)
    assert not hasattr(clf, "network_")


@pytest.mark.parametrize(
    "make",
    [
        lambda: PrefixClassifier(**LSTM),
        lambda: DistilledPrefixClassifier(teacher="lstm1-8", **LSTM),
    ],
)
def test_a_chunk_that_diverges_leaves_the_classifier_as_it_was(make, data):
    X, y = data
    clf = make().partial_fit(X, y, classes=[0, 1])
    before, mean = clf.predict_proba(X), clf.network_.view.normalizer.mean_.copy()
    with pytest.raises(FloatingPointError, match="student on this chunk diverged"):
        clf.partial_fit(X + 1, y, sample_weight=np.full(24, 3e38))
    np.testing.assert_array_equal(clf.network_.view.normalizer.mean_, mean)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


# Searches


def test_a_search_of_scikit_learn_scores_what_diverged_as_an_error(data):
    search = GridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3, 1e30]}, cv=2)
    with (
        pytest.warns(FitFailedWarning, match="diverged"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(*data)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert search.best_params_ == {"lr": 1e-3}


@pytest.mark.parametrize(
    ("clf", "grid", "bad"),
    [
        (PrefixClassifier(**LSTM), {"lr": [1e-3, 1e38, 1e-2, 3e-2, 2e-3]}, [1]),
        (
            GDPDClassifier("lstm1-8", prior=PRIOR, warmup_epochs=1, **LSTM),
            {"lambda_kd": [0.1, 1e300, 1.0, 10.0]},
            [1],
        ),
        (
            PrefixClassifier(training=TrainingOptions(early_stopping=1), **LSTM),
            {"lr": [1e38, 1e-3, 1e-2, 3e-2]},
            [0],
        ),
        (
            PrefixClassifier(training=TrainingOptions(validation_fraction=0), **LSTM),
            {"lr": [1e-3, 1e-2, 3e-2, 1e38]},
            [3],
        ),
    ],
    ids=["lr", "lambda_kd", "early stopping", "no validation"],
)
def test_students_trained_together_with_one_that_diverges_go_on(clf, grid, bad, data):
    def scores(together):
        search = SharedGridSearchCV(
            clf, grid, cv=2, scoring="neg_log_loss", refit=False, together=together
        )
        with (
            pytest.warns(FitFailedWarning, match="student diverged"),
            pytest.warns(UserWarning, match="non-finite"),
        ):
            search.fit(*data)
        n = len(search.cv_results_["params"])
        assert search.n_together_ == (2 * n if together else 0)
        return search

    one, other = scores(True), scores(False)
    found, alone = (s.cv_results_["mean_test_score"] for s in (one, other))
    assert np.flatnonzero(np.isnan(found)).tolist() == bad
    np.testing.assert_allclose(found, alone, rtol=1e-3)
    with pytest.raises(FloatingPointError, match="student diverged"):
        SharedGridSearchCV(clf, grid, cv=2, error_score="raise", together=True).fit(*data)


# Series that single precision can't carry


@pytest.mark.parametrize("normalize", ["train", None])
@pytest.mark.parametrize("student", ["fcn24", "rocket", "lstm1-8"])
def test_series_beyond_single_precision_are_refused(normalize, student, data):
    X, y = data[0].astype(float), data[1]
    clf = PrefixClassifier(student, max_epochs=1, normalize=normalize, random_state=0).fit(X, y)
    for scale in (1e20, 1e38):
        with pytest.raises(ValueError, match=r"X has a value of .* in series 3, channel 0"):
            clf.predict_proba(np.where(np.arange(24)[:, None, None] == 3, X * scale / 9, X))
    assert is_distribution(clf.predict_proba(X * 1e6))


def test_a_scale_that_nothing_takes_away_is_refused_before_training(data):
    X, y = data
    with pytest.raises(ValueError, match=r"X has a value .*normalize=None.*normalize='train'"):
        PrefixClassifier(normalize=None, **SMALL).fit(X * 1e20, y)
    assert is_distribution(PrefixClassifier(**SMALL).fit(X * 1e20, y).predict_proba(X * 1e20))


@pytest.mark.parametrize("scale", [1e20, 1e37])
def test_unlabelled_series_beyond_single_precision_are_refused(scale, data):
    X, y = data
    clf = GDPDClassifier("lstm1-8", prior=PRIOR, **LSTM)
    with pytest.raises(ValueError, match=r"X has a value .*in series 24"):
        clf.fit(X, y, X_unlabeled=X * scale)
    marked = np.where(np.arange(24) < 20, y, np.nan)
    far = np.where(np.arange(24)[:, None, None] == 22, X * scale, X)
    with pytest.raises(ValueError, match=r"X has a value .*in series 22"):
        clf.fit(far, marked)


def test_a_session_names_the_series_that_it_can_not_read(data):
    X, y = data
    early = EarlyClassifier(PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0), cv=2)
    session = early.fit(X, y).start(["a", "b"])
    with pytest.raises(
        ValueError, match=r"points of id 'b', here series 0, can't be read: .*1e\+30"
    ):
        session.push({"b": np.full((1, 10), 1e30)})
    assert session.n_seen.tolist() == [0, 0]


@pytest.mark.parametrize("several", [False, True])
def test_weights_that_are_not_finite_answer_nothing(several, data):
    X, y = data
    clf = PrefixClassifier(earliness=[0.3, 1.0] if several else 0.3, **LSTM).fit(X, y)
    with torch.no_grad():
        clf.module_.head.weight.fill_(float("nan"))
    for method in (clf.predict, clf.predict_proba, clf.predict_proba_path):
        with pytest.raises(FloatingPointError, match="weights that are not finite"):
            method(X)


@pytest.mark.parametrize("several", [False, True])
def test_an_output_that_is_not_finite_names_its_series(several, data):
    X, y = data
    student = Own(1.0)
    earliness = [0.3, 1.0] if several else 0.3
    clf = PrefixClassifier(student, earliness=earliness, max_epochs=1, random_state=0).fit(X, y)
    clf.module_.backbone.scale = float("nan")
    for method in (clf.predict, clf.predict_proba, clf.predict_proba_path):
        with pytest.raises(ValueError, match="X has a series, series 0, for which"):
            method(X)


@pytest.mark.parametrize("argument", ["Z", "Z_short"])
def test_a_prior_refuses_features_beyond_single_precision(argument, data):
    Z = data[0][:, 0].astype(float)
    fit = {"Z": Z, "Z_short": Z[:, :5]}
    fit[argument] = fit[argument] * 1e150
    with pytest.raises(ValueError, match=rf"{argument} has \S+, which is too large for single"):
        DiffusionFeaturePrior("gmm").fit(**fit)
    prior = DiffusionFeaturePrior("gmm", n_diffusion_steps=10).fit(Z)
    with pytest.raises(ValueError, match=r"Z_short has \S+, which is too large for single"):
        prior.transform(Z * 1e150)


# A signal on a large offset


@pytest.mark.parametrize("offset", [1e8, 1e9, 1e11])
@pytest.mark.parametrize("normalize", ["train", "prefix", None])
def test_a_signal_that_single_precision_loses_is_refused(offset, normalize, data):
    X, y = data[0].astype(np.float64), data[1]
    clf = PrefixClassifier(normalize=normalize, **LSTM)
    for far in (X + offset, X - offset, list(X + offset)):
        with pytest.raises(ValueError, match=r"X has values up to 1.* in channel 0.*offset"):
            clf.fit(far, y)
    whole = np.round(100 * X).astype(np.int64)
    with pytest.raises(ValueError, match="X has values up to"):
        clf.fit(whole + int(1000 * offset), y)


@pytest.mark.parametrize("argument", ["X_unlabeled", "X_teacher"])
def test_a_lost_signal_of_other_series_is_refused(argument, data):
    X, y = data[0].astype(np.float64), data[1]
    clf = DistilledPrefixClassifier(teacher="lstm1-8", **LSTM)
    with pytest.raises(ValueError, match=f"{argument} has values up to"):
        clf.fit(X, y, **{argument: X + 1e9})


def test_what_single_precision_keeps_is_as_without_an_offset(data):
    X, y = data[0].astype(np.float64), data[1]
    clf = PrefixClassifier(normalize="prefix", **LSTM).fit(X, y)
    assert np.abs(clf.predict_proba(X + 1e3) - clf.predict_proba(X)).max() < 1e-3
    with pytest.raises(ValueError, match=r"X has values up to 1e.08 in series 0, channel 0"):
        clf.predict_proba(X + 1e8)
    # A flat beginning is no lost signal, nor are two points that happen to be close.
    flat = X.copy()
    flat[:, :, :5] = 1e3 + 1e-6 * np.arange(5)
    assert is_distribution(clf.predict_proba(flat))


def test_constant_channels_and_float32_are_no_lost_signal(data):
    X, y = data[0].astype(np.float64), data[1]
    constant = np.concatenate([X, np.full_like(X, 1e9).cumsum(0)], 1)
    assert is_distribution(PrefixClassifier(**LSTM).fit(constant, y).predict_proba(constant))
    single = (X + 1e9).astype(np.float32)
    for given in (single, single.astype(np.float64)):
        assert is_distribution(PrefixClassifier(**LSTM).fit(given, y).predict_proba(given))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e10, 1e30])
@pytest.mark.parametrize("lr", [1e-3, 1e3, 1e9])
def test_every_answer_is_a_distribution_or_an_error(scale, lr, data):
    X, y = data
    clf = PrefixClassifier("fcn24", lr=lr, max_epochs=1, random_state=0)
    try:
        proba = clf.fit(X * scale, y).predict_proba(X * scale)
    except (FloatingPointError, ValueError) as error:
        proba, message = None, str(error)
    assert is_distribution(proba) if proba is not None else "diverged" in message


def test_a_student_of_gendd_that_diverges_is_named(data):
    with pytest.raises(FloatingPointError, match="diverged in epoch"):
        GenDDClassifier("lstm1-8", lr=1e30, **SMALL).fit(*data)
