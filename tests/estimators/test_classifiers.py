"""What every classifier of prefixes keeps, whatever it is taught by."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sktime.datatypes import convert_to

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    TrainingOptions,
)
from skgdpd.distillers import FitNets, Hinton

SMALL = {"student": "fcn", "max_epochs": 4, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=5)

CLASSIFIERS = [
    PrefixClassifier(**SMALL),
    DistilledPrefixClassifier(**SMALL),
    DistilledPrefixClassifier(FitNets(), **SMALL),
    GDPDClassifier(**SMALL, prior=PRIOR),
    GDPDClassifier(**SMALL, prior=clone(PRIOR).set_params(degradation="learned-alpha")),
    GenDDClassifier(**SMALL, generator=GeneratorOptions(max_epochs=5), n_sampling_steps=4),
]


def name_of(classifier):
    return type(classifier).__name__ + str(getattr(classifier, "distiller", ""))


@pytest.fixture(scope="module", params=CLASSIFIERS, ids=name_of)
def fitted(request, gunpoint):
    return clone(request.param).fit(gunpoint.X, gunpoint.y)


def outputs(classifier, X):
    return classifier.predict(X), classifier.predict_proba(X), classifier.embed(X)


def assert_same_bits(some, others):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("future", ["random", "nan", "huge", "none"])
def test_predictions_are_bit_equal_whatever_stands_after_the_prefix(fitted, gunpoint, future):
    X = gunpoint.X_test[:20].astype(np.float64)
    other = X.copy()
    after = other[:, :, fitted.prefix_length_ :]
    after[...] = {
        "random": np.random.default_rng(0).normal(size=after.shape),
        "nan": np.nan,
        "huge": 1e30,
        "none": 0,
    }[future]
    if future == "none":
        other = other[:, :, : fitted.prefix_length_]
    assert_same_bits(outputs(fitted, X), outputs(fitted, other))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(fitted, gunpoint):
    X = gunpoint.X_test[:20]
    again = clone(fitted).fit(gunpoint.X, gunpoint.y)
    assert_same_bits(outputs(fitted, X), outputs(again, X))
    other = clone(fitted).set_params(random_state=1).fit(gunpoint.X, gunpoint.y)
    assert not np.array_equal(fitted.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_predict_the_same_bits(fitted, gunpoint, copier):
    X = gunpoint.X_test[:20]
    assert_same_bits(outputs(fitted, X), outputs(copier(fitted), X))
    assert copier(clone(fitted)).get_params().keys() == fitted.get_params().keys()


def test_rows_are_probabilities_and_predict_takes_the_largest(fitted, gunpoint):
    proba = fitted.predict_proba(gunpoint.X_test)
    assert proba.shape == (150, 2)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-12)
    assert (proba >= 0).all()
    np.testing.assert_array_equal(
        fitted.predict(gunpoint.X_test), fitted.classes_[proba.argmax(1)]
    )


def test_attributes_after_fit(fitted):
    assert fitted.classes_.tolist() == ["1", "2"]
    assert (fitted.n_features_in_, fitted.n_timepoints_in_, fitted.prefix_length_) == (1, 150, 45)
    assert isinstance(fitted.module_, torch.nn.Module)
    assert fitted.history_.n_epochs == 4
    assert fitted.history_.n_labeled == 40
    assert fitted.history_.n_validation == 10
    assert fitted.fit_seconds_["student"] > 0


def test_the_record_holds_every_term_and_they_sum_to_the_loss(fitted):
    history = fitted.history_
    terms = [name for name in history if name != "loss" and not name.startswith("valid_")]
    np.testing.assert_allclose(sum(history[name] for name in terms), history["loss"], rtol=1e-5)
    assert history["valid_loss"].shape == (4,)
    best = history.best_epoch
    assert best >= history.warmup_epochs
    assert history["valid_loss"][best] == history["valid_loss"][history.warmup_epochs :].min()


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_every_form_of_panel_gives_the_same_model(classifier, gunpoint):
    X, y = gunpoint.X[:20].astype(np.float64), gunpoint.y[:20]
    classifier = clone(classifier).set_params(max_epochs=2)
    expected = clone(classifier).fit(X, y).predict_proba(X)
    forms = {
        "2-D": X[:, 0],
        "list": list(X),
        "Fortran": np.asfortranarray(X),
        **{kind: convert_to(X, kind) for kind in ("pd-multiindex", "df-list", "nested_univ")},
    }
    for form in forms.values():
        other = clone(classifier).fit(form, y)
        np.testing.assert_array_equal(other.predict_proba(form), expected)


@pytest.mark.parametrize(
    "labels", [[0, 1], [True, False], ["a", "b"], [2.0, 7.0], [-1, 1]], ids=str
)
def test_labels_of_any_type_come_back(bumps, labels):
    X, y = bumps
    y = np.where(y == "yes", labels[1], labels[0])
    clf = PrefixClassifier(**SMALL).fit(X, y)
    assert clf.predict(X).dtype == y.dtype
    assert set(clf.predict(X)) <= set(labels)
    assert clf.classes_.tolist() == sorted(labels)


def test_unfitted_classifiers_say_so(gunpoint):
    for classifier in CLASSIFIERS:
        for method in ("predict", "predict_proba", "embed"):
            with pytest.raises(NotFittedError):
                getattr(clone(classifier), method)(gunpoint.X)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"earliness": 0.0}, "earliness"),
        ({"earliness": 1.2}, "earliness"),
        ({"earliness": 1}, r"and 150 \(1.0 is the whole series\)"),
        ({"earliness": 151}, "earliness=151 leaves 151 time points of 150"),
        ({"student": "transformer"}, "unknown backbone 'transformer'; the names are fcn"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"lr": -1.0}, "'lr' parameter"),
        (
            {"training__validation_fraction": 1.0},
            "'validation_fraction' parameter of TrainingOptions",
        ),
        ({"normalize": "test"}, "normalize"),
        ({"device": "toaster"}, "device='toaster'"),
        ({"batch_size": "big"}, "batch_size"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_parameters_are_named_before_training(params, words, gunpoint):
    with pytest.raises(ValueError, match=words):
        PrefixClassifier().set_params(**{**SMALL, **params}).fit(gunpoint.X, gunpoint.y)


def test_bad_data_is_named_before_training(gunpoint):
    X, y = gunpoint.X, gunpoint.y
    clf = PrefixClassifier(**SMALL)
    gap = X.copy()
    gap[3, 0, 77] = np.nan
    with pytest.raises(
        ValueError, match="X contains NaN: 1 of 7500 values, the first in series 3"
    ):
        clf.fit(gap, y)
    with pytest.raises(ValueError, match="X contains infinity"):
        clf.fit(np.where(np.isnan(gap), np.inf, gap), y)
    with pytest.raises(ValueError, match="y has 1 class"):
        clf.fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="1 time point"):
        clf.fit(X[:, :, :1], y)
    with pytest.raises(ValueError, match="0 sample"):
        clf.fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="50 series and y 49 labels"):
        clf.fit(X, y[:-1])
    clf.fit(X, y)
    with pytest.raises(ValueError, match="X has 2 channels, but PrefixClassifier is expecting 1"):
        clf.predict(X.repeat(2, 1))
    with pytest.raises(ValueError, match=r"44 time points.* 45"):
        clf.predict(X[:, :, :44])
    with pytest.raises(ValueError, match="series of 0 time points, series 0, and NaN after them"):
        clf.predict(np.full_like(X, np.nan))


def test_multivariate_series_and_many_classes(basic_motions):
    X, y = basic_motions.X, basic_motions.y
    clf = GDPDClassifier(**SMALL, prior=PRIOR).fit(X, y)
    assert clf.n_features_in_ == 6
    assert clf.predict_proba(basic_motions.X_test).shape == (40, 4)


def test_any_module_or_callable_is_a_student(bumps):
    X, y = bumps
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5), torch.nn.ReLU())
    before = copy.deepcopy(module.state_dict())
    clf = PrefixClassifier(**{**SMALL, "student": module}).fit(X, y)
    assert clf.embed(X).shape == (60, 5)
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, before[name])
    assert torch.equal(clone(clf).student[1].weight, module[1].weight)
    made = PrefixClassifier(
        **{
            **SMALL,
            "student": lambda c, t: torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(c * t, 3)
            ),
        }
    )
    assert made.fit(X, y).embed(X).shape == (60, 3)


def test_class_weight_moves_decisions_to_the_heavy_class(bumps):
    X, y = bumps
    rng = np.random.default_rng(0)
    y = rng.permutation(y)  # nothing to learn: only the weights decide
    shares = []
    for weight in (0.05, 1.0, 20.0):
        clf = PrefixClassifier(
            "lstm1-8",
            max_epochs=20,
            lr=0.01,
            class_weight={"no": 1.0, "yes": weight},
            random_state=0,
        ).fit(X, y)
        shares.append(clf.predict_proba(X)[:, 1].mean())
    assert shares[0] < 0.25 < shares[1] < 0.75 < shares[2]


def test_doubling_all_sample_weights_changes_nothing(bumps):
    X, y = bumps
    plain = PrefixClassifier(**SMALL).fit(X, y, sample_weight=np.ones(len(X)))
    double = PrefixClassifier(**SMALL).fit(X, y, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_array_equal(plain.predict_proba(X), double.predict_proba(X))


def test_early_stopping_ends_after_its_patience(bumps):
    X, y = bumps
    clf = PrefixClassifier(
        "fcn", max_epochs=100, training=TrainingOptions(early_stopping=3), lr=0.1, random_state=0
    )
    history = clf.fit(X, y).history_
    assert history.n_epochs < 100
    assert history.n_epochs - 1 - history.best_epoch == 3


def test_without_a_validation_part_the_last_weights_are_kept(bumps):
    X, y = bumps
    clf = PrefixClassifier(**SMALL, training=TrainingOptions(validation_fraction=0.0)).fit(X, y)
    assert clf.history_.best_epoch is None
    assert "valid_loss" not in clf.history_
    assert clf.history_.n_labeled == len(X)


def test_training_on_another_device_leaves_nothing_behind(device, bumps):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, prior=PRIOR, device=device).fit(X, y)
    for tensor in [*clf.module_.parameters(), *clf.module_.buffers()]:
        assert tensor.device.type == device
    for tensor in [*clf.distillation_.parameters(), *clf.distillation_.buffers()]:
        assert tensor.device.type == "cpu"
    opened = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(opened.predict_proba(X), clf.predict_proba(X), atol=1e-6)


def test_prediction_in_chunks_is_prediction_at_once(bumps):
    X, y = bumps
    clf = PrefixClassifier(**SMALL).fit(X, y)
    whole = clf.predict_proba(X)
    clf.set_params(series__predict_batch_size=7)
    np.testing.assert_allclose(clf.predict_proba(X), whole, atol=1e-6)


def test_a_teacher_may_see_more_but_not_all(bumps):
    X, y = bumps
    teacher = PrefixClassifier("lstm1-8", earliness=0.6, max_epochs=2, random_state=0)
    clf = DistilledPrefixClassifier(
        Hinton(), teacher=teacher, student="lstm1-8", earliness=0.2, max_epochs=2, random_state=0
    ).set_params(teacher__earliness=0.5)
    clf.fit(X, y)
    changed = X.copy()
    changed[:, :, X.shape[2] // 2 :] = 7.0
    np.testing.assert_array_equal(
        clf.teacher_.predict_proba(X), clf.teacher_.predict_proba(changed)
    )
    found = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.fit(changed, y).predict_proba(X), found)
