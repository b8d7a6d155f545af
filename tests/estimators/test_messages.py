"""Mistakes that users make, and what they are told: the name, the value, what to do."""

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    PrefixTruncator,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd.distillers import RowDistiller
from skgdpd.metrics import expected_calibration_error, predictive_kl, top1_agreement

SMALL = {"student": "fcn", "max_epochs": 1, "random_state": 0}


def no_network(n_channels, n_timepoints):
    raise TypeError("one argument too few")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"class_weight": {"no": -1.0}},
            r"class_weight={'no': -1.0} has the weight -1.0; .* must not be negative",
        ),
        ({"class_weight": {"no": float("nan")}}, "has the weight nan; weights must be finite"),
        ({"class_weight": {"no": None}}, "has the weight None; weights must be finite numbers"),
        ({"class_weight": {"no": "1"}}, "has the weight '1'; weights must be finite numbers"),
        (
            {"class_weight": {"maybe": 2.0}},
            r"class_weight={'maybe': 2.0} names \['maybe'\], .* the classes are \['no', 'yes'\]",
        ),
        ({"class_weight": {"no": 0, "yes": 0}}, "^class_weight leaves every series .* without"),
        (
            {"training__early_stopping": 2, "training__validation_fraction": 0},
            "early_stopping=2 needs a validation part.* set it above 0, or early_stopping=None",
        ),
        (
            {"student": no_network},
            r"student: <function no_network .* can't make a network for 1 channels and 12 time "
            r"points: one argument too few",
        ),
    ],
)
def test_parameters(bumps, params, words):
    with pytest.raises(ValueError, match=words):
        PrefixClassifier().set_params(**{**SMALL, **params}).fit(*bumps)


def test_a_search_may_try_what_another_parameter_forbids(bumps):
    """A candidate that can't be is an error of that candidate."""
    grid = {"training__validation_fraction": [0.2, 0]}
    estimator = PrefixClassifier(**SMALL, training=TrainingOptions(early_stopping=2))
    with pytest.warns(FitFailedWarning, match="early_stopping=2 needs a validation part"):
        search = SharedGridSearchCV(estimator, grid, cv=2, error_score=0.0).fit(*bumps)
    assert search.best_params_ == {"training__validation_fraction": 0.2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X: None, "X is None; allowed are a 3-D array"),
        (lambda X: "GunPoint.ts", "X='GunPoint.ts' is a name; open files with skgdpd.datasets"),
        (
            lambda X: X.transpose(0, 2, 1),
            r"X has series of 1 time point.* 40 channels; .*\(n_samples, n_channels, n_timepoints",
        ),
    ],
)
def test_series(bumps, change, words):
    X, y = bumps
    with pytest.raises(ValueError, match=words):
        PrefixClassifier(**SMALL).fit(change(X), y)


def test_labels(bumps):
    X, y = bumps
    with pytest.raises(ValueError, match="holds values such as 'no'; it must be a value"):
        GDPDClassifier(**SMALL, unlabeled=-1).fit(X, y)
    with pytest.raises(ValueError, match="such as 0; it must be a value that y can hold"):
        GDPDClassifier(**SMALL, unlabeled="?").fit(X, (y == "yes").astype(int))
    clf = PrefixClassifier(**SMALL)
    with pytest.raises(ValueError, match=r"\['yes'\], .*name all labels that will ever come in"):
        clf.partial_fit(X, y, classes=["no"])
    frozen = LogisticRegression().fit(X[:, 0], y)
    frozen.classes_ = np.array(["no", "maybe"])
    from sklearn.frozen import FrozenEstimator
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    flat = FunctionTransformer(np.squeeze, kw_args={"axis": 1})
    teacher = FrozenEstimator(make_pipeline(flat, frozen))
    with pytest.raises(ValueError, match=r"classes \['yes'\].* give one that knows all of y's"):
        GDPDClassifier(teacher, **SMALL).fit(X, y)


def test_metrics():
    with pytest.raises(ValueError, match=r"aren't in classes: \[2\]; classes is \[0, 1\]"):
        expected_calibration_error([0, 2], [[1, 0]] * 2, classes=[0, 1])
    with pytest.raises(ValueError, match="n_bins == 0, must be >= 1"):
        expected_calibration_error([0, 1], [[1, 0]] * 2, n_bins=0)
    with pytest.raises(ValueError, match=r"teacher has shape \(1, 2\) and student \(1, 3\)"):
        predictive_kl([[1, 0]], [[1, 0, 0]])
    with pytest.raises(ValueError, match=r"proba has shape \(2,\) and other \(2,\); both must"):
        top1_agreement([1, 0], [1, 0])


def test_others(bumps, tmp_path):
    X, _ = bumps
    with pytest.raises(ValueError, match=r"earliness=99 keeps 99 .* the 40 .* give 40 at most"):
        PrefixTruncator(99).fit_transform(X)
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*; give the path of"):
        skgdpd.load(tmp_path / "none")
    Z = np.random.default_rng(0).normal(size=(20, 3))
    prior = DiffusionFeaturePrior("gmm", random_state=0).fit(Z)
    with pytest.raises(ValueError, match=r"Z: X has 2 features, but .* is expecting 3"):
        prior.encode(Z[:, :2])


class _PerRow(RowDistiller):
    def __init__(self, lambda_kd=1.0):
        self.lambda_kd = lambda_kd

    def loss(self, output, batch):
        return output.logits.square().mean(1)


class _Misspelt(_PerRow):
    def loss(self, output, batch):
        return batch["teacher_logit"].mean()


@pytest.mark.parametrize(
    ("distiller", "error", "words"),
    [
        (_PerRow(), ValueError, r"_PerRow\.loss returned \(\d+,\); it must return a tensor of"),
        (
            _Misspelt(),
            KeyError,
            r"_Misspelt\.loss asks for .*teacher_logit.*; the batch has .*teacher_logits",
        ),
        (_PerRow, TypeError, r"distiller=_PerRow is a class; give an instance: _PerRow\(\)"),
        ("hinton", TypeError, r"distiller='hinton' is a text; give an instance .* Hinton\(\)"),
    ],
)
def test_mistakes_of_a_distiller_of_ones_own_are_named(distiller, error, words, bumps):
    clf = DistilledPrefixClassifier(distiller, student="lstm1-8", max_epochs=1, random_state=0)
    with pytest.raises(error, match=words):
        clf.fit(*bumps)


@pytest.mark.parametrize("unlabelled", [False, True])
def test_exchanged_axes_are_suspected(unlabelled):
    X = np.random.default_rng(0).normal(size=(12, 40, 3))
    y = np.arange(12) % 2
    params = {"X_unlabeled": X} if unlabelled else {}
    clf = (GDPDClassifier if unlabelled else PrefixClassifier)(**SMALL)
    with pytest.warns(UserWarning, match=r"^X has series of 40 channels and 3 time points; "):
        clf.fit(X, y, **params)
    exchanged = X.transpose(0, 2, 1)
    clf.fit(exchanged, y)
    with pytest.warns(UserWarning, match="40 channels"):
        clf.fit(X, y)
