"""Parameters in groups: flat names where they are set every day, two or three objects else."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
    TrainingOptions,
)
from skgdpd._fitting.network import SeriesNetwork
from skgdpd._runtime.fingerprint import fingerprint
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GenDD

SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
CLASSIFIERS = [
    PrefixClassifier(**SMALL),
    DistilledPrefixClassifier(**SMALL),
    GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=2)),
    GenDDClassifier(**SMALL, generator=GeneratorOptions(max_epochs=2), n_sampling_steps=4),
]
GROUPS = {"training": TrainingOptions, "series": SeriesOptions}
ESTIMATORS = [
    cls
    for cls in map(vars(skgdpd).get, skgdpd.__all__)
    if isinstance(cls, type) and issubclass(cls, BaseEstimator)
]


def name_of(value):
    return value.__name__ if isinstance(value, type) else type(value).__name__


@pytest.fixture(scope="module", params=CLASSIFIERS, ids=name_of)
def fitted(request, bumps):
    return clone(request.param).fit(*bumps)


# Shape


@pytest.mark.parametrize("cls", ESTIMATORS, ids=name_of)
def test_no_constructor_has_more_than_22_parameters(cls):
    assert len(inspect.signature(cls).parameters) <= 22


@pytest.mark.parametrize("cls", ESTIMATORS, ids=name_of)
def test_no_estimator_inherits_from_more_than_seven_classes_of_ours(cls):
    ours = [base for base in cls.__mro__ if base.__module__.split(".")[0] == "skgdpd"]
    # An empty class stands in for scikit-learn's before 1.9.
    assert len([base for base in ours if base.__name__ != "CallbackSupportMixin"]) <= 7


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_every_parameter_has_its_constraint(classifier):
    for estimator in (classifier, TrainingOptions(), SeriesOptions(), GeneratorOptions()):
        assert set(estimator.get_params(deep=False)) == set(estimator._parameter_constraints)


# Groups


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_listed_and_none_is_none(classifier, group):
    params = classifier.get_params(deep=True)
    assert params[group] is None
    assert classifier.get_params(deep=False)[group] is None
    for name, value in GROUPS[group]().get_params().items():
        assert params[f"{group}__{name}"] == value


def test_a_generator_s_options_are_a_group_too():
    clf = GenDDClassifier()
    for name, value in GeneratorOptions().get_params().items():
        assert clf.get_params()[f"generator__{name}"] == value
    clf.set_params(generator__depth=1, training__precision="bf16")
    assert clf.generator.depth == 1
    assert clf.training.precision == "bf16"
    assert clf.series is None


def test_an_object_given_to_two_is_changed_in_neither():
    options = TrainingOptions(early_stopping=3)
    one, other = PrefixClassifier(training=options), PrefixClassifier(training=options)
    one.set_params(training__weight_decay=0.5)
    assert one.training.weight_decay == 0.5
    assert one.training.early_stopping == 3
    assert other.training is options
    assert options.weight_decay == 1e-2
    first = one.training
    one.set_params(training__weight_decay=0.7)
    assert first.weight_decay == 0.5, "one that was handed out stays, too"


def test_parameters_without_effect_are_named():
    X, y = make_bumps(20, 20, random_state=0)
    clf = PrefixClassifier("rocket", max_epochs=0, earliness=0.5, lr=0.1, random_state=0)
    clf.set_params(training__weight_decay=0.5)
    named = r"lr=0.1, training__weight_decay=0.5 has no effect with max_epochs=0"
    with pytest.warns(UserWarning, match=named) as caught:
        clf.fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("error")
def test_parameters_with_an_effect_are_not_named():
    X, y = make_bumps(20, 20, random_state=0)
    more = {"earliness": 0.5, "class_weight": "balanced", "random_state": 0}
    PrefixClassifier("rocket", max_epochs=0, **more).fit(X, y)
    PrefixClassifier("rocket", max_epochs=1, lr=0.1, **more).fit(X, y)


def test_an_unknown_student_is_named_whatever_its_epochs():
    X, y = make_bumps(20, 20, random_state=0)
    for n in (0, 1):
        with pytest.raises(ValueError, match="student: unknown backbone 'rockett'"):
            PrefixClassifier("rockett", max_epochs=n).fit(X, y)


def test_defaults_of_two_are_not_one_object():
    one, other = PrefixClassifier(), PrefixClassifier()
    one.set_params(training__weight_decay=0.5, series__resample_length=9)
    assert other.training is None
    assert other.get_params()["training__weight_decay"] == 1e-2
    assert PrefixClassifier().get_params()["series__resample_length"] is None


def test_a_group_and_its_member_may_be_set_at_once():
    options = SeriesOptions(resample_length=20)
    clf = PrefixClassifier().set_params(
        series__missing_values="mask", series=options, training__early_stopping=2, training=None
    )
    assert clf.series.get_params() == {
        **SeriesOptions().get_params(),
        "resample_length": 20,
        "missing_values": "mask",
    }
    assert options.missing_values == "error"
    assert clf.training.early_stopping == 2
    assert clf.set_params(training=None).training is None


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_clones_have_objects_of_their_own(classifier):
    clf = clone(classifier).set_params(training__weight_decay=0.5)
    for copied in (clone(clf), pickle.loads(pickle.dumps(clf))):
        assert copied.training is not clf.training
        assert repr(copied.get_params()) == repr(clf.get_params())
    kept = clone(clf)
    clf.training.weight_decay = 0.9
    assert kept.training.weight_decay == 0.5


def test_groups_are_reached_through_pipelines():
    options = TrainingOptions()
    clf = PrefixClassifier(training=options)
    pipe = make_pipeline(PrefixTruncator(), clf)
    assert pipe.get_params()["prefixclassifier__series__missing_values"] == "error"
    pipe.set_params(prefixclassifier__training__weight_decay=0.5)
    assert clf.training.weight_decay == 0.5
    assert options.weight_decay == 1e-2
    teacher = GDPDClassifier(PrefixClassifier())
    teacher.set_params(teacher__training__weight_decay=0.25)
    assert teacher.teacher.training.weight_decay == 0.25


def test_a_distiller_s_generator_is_a_parameter_object():
    distiller = GenDD(generator=GeneratorOptions(depth=1))
    clf = DistilledPrefixClassifier(distiller).set_params(distiller__generator__depth=2)
    assert clf.distiller.options.depth == 2


def test_representations_show_what_was_set():
    clf = PrefixClassifier("fcn", training=TrainingOptions(weight_decay=0.5))
    assert repr(clf) == (
        "PrefixClassifier(student='fcn', training=TrainingOptions(weight_decay=0.5))"
    )
    picture = estimator_html_repr(clf)
    assert "weight_decay" in picture
    assert "TrainingOptions" in picture
    assert "PrefixClassifier" in estimator_html_repr(PrefixClassifier())


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"training__weight_decay": -1},
            r"'weight_decay' parameter of TrainingOptions must be a float in the range "
            r"\[0.0, inf\). Got -1",
        ),
        (
            {"training__optimizer": "sgd"},
            r"'optimizer' parameter of TrainingOptions must be a str among .*'adam'.* Got 'sgd'",
        ),
        ({"training__checkpoint_dir": 3}, "'checkpoint_dir' parameter of TrainingOptions"),
        (
            {"series__missing_values": "drop"},
            r"'missing_values' parameter of SeriesOptions must be .*'mask'.* Got 'drop'",
        ),
        ({"series__predict_batch_size": 0}, r"'predict_batch_size'.*\[1, inf\). Got 0"),
        (
            {"training": {"weight_decay": 1}},
            r"'training' parameter of PrefixClassifier must be an instance of "
            r"'skgdpd.*TrainingOptions' or None. Got \{'weight_decay': 1\}",
        ),
        ({"series": TrainingOptions()}, "'series' parameter of PrefixClassifier must be an inst"),
        ({"training": TrainingOptions}, "'training' parameter of PrefixClassifier must be an ins"),
    ],
    ids=str,
)
def test_bad_values_are_named(bumps, params, words):
    with pytest.raises(ValueError, match=words):
        PrefixClassifier(**SMALL).set_params(**params).fit(*bumps)


@pytest.mark.parametrize(
    "classifier",
    [
        GenDDClassifier(**SMALL, generator=GeneratorOptions(contraction=2)),
        DistilledPrefixClassifier(GenDD(generator=GeneratorOptions(contraction=2)), **SMALL),
    ],
    ids=name_of,
)
def test_bad_values_of_a_generator_are_named(bumps, classifier):
    with pytest.raises(ValueError, match=r"'contraction' parameter of GeneratorOptions.* Got 2"):
        classifier.fit(*bumps)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weight_decay", "Invalid parameter 'weight_decay' for estimator PrefixClassifier"),
        ("training__weight", "Invalid parameter 'weight' for estimator TrainingOptions"),
        ("groups__weight", "Invalid parameter 'groups' for estimator PrefixClassifier"),
    ],
)
def test_unknown_names_are_refused(name, words):
    clf = PrefixClassifier()
    with pytest.raises(ValueError, match=words):
        clf.set_params(**{name: 1})


@pytest.mark.parametrize("value", [{"weight_decay": 1}, TrainingOptions, SeriesOptions()])
def test_members_of_something_else_are_not_set(value):
    clf = PrefixClassifier(training=value)
    with pytest.raises(ValueError, match=r"training=.* must be a TrainingOptions or None"):
        clf.set_params(training__weight_decay=0.5)


# Predictions


def test_predictions_change_no_state(fitted, bumps):
    X, y = bumps
    before, names = fingerprint(vars(fitted)), set(vars(fitted))
    for ask in (fitted.predict, fitted.predict_proba, fitted.embed):
        ask(X)
    fitted.score(X, y)
    assert set(vars(fitted)) == names
    assert fingerprint(vars(fitted)) == before


def test_the_batch_size_of_predictions_may_be_set_after_the_fit(fitted, bumps, monkeypatch):
    X, _ = bumps
    clf = clone(fitted)
    vars(clf).update({k: v for k, v in vars(fitted).items() if k not in clf.get_params(False)})
    whole = clf.predict_proba(X)
    network = clf.network_
    sizes = []
    original = SeriesNetwork._start

    def start(self, values, fields):
        sizes.append(len(values))
        return original(self, values, fields)

    monkeypatch.setattr(SeriesNetwork, "_start", start)
    clf.set_params(series__predict_batch_size=7)
    np.testing.assert_allclose(clf.predict_proba(X), whole, atol=1e-6)
    assert sizes == [7] * 8 + [4]
    assert clf.network_ is network
    assert network.batch_size == 1024
    with pytest.raises(NotFittedError):
        clone(clf).predict(X)


def test_a_predictor_s_settings_may_be_changed_after_the_fit(bumps):
    X, y = bumps
    clf = clone(CLASSIFIERS[-1]).fit(X, y)
    before = fingerprint(vars(clf)["predictor_"].diffusion), clf.predictor_.n_draws
    assert clf.sample_features(X[:3]).shape[:2] == (3, 32)
    clf.set_params(n_posterior_samples=2)
    assert clf.sample_features(X[:3]).shape[:2] == (3, 2)
    own_head = clf.set_params(deploy="student_head").predict_proba(X)
    assert not np.array_equal(own_head, clf.set_params(deploy="sampled").predict_proba(X))
    assert (fingerprint(clf.predictor_.diffusion), clf.predictor_.n_draws) == before
    with pytest.raises(ValueError, match=r"'n_posterior_samples'.* Got 0"):
        clf.set_params(n_posterior_samples=0).predict(X)


def test_what_predicts_by_draws_is_not_exported_as_its_student(bumps, tmp_path):
    X, y = bumps
    distiller = GenDD(generator=GeneratorOptions(max_epochs=2), n_sampling_steps=4)
    clf = DistilledPrefixClassifier(distiller, **SMALL).fit(X, y)
    with pytest.raises(ValueError, match="predicts by a FeatureGenerator can't be exported"):
        clf.export_onnx(tmp_path / "model.onnx")
    with pytest.raises(NotFittedError):
        clone(clf).export_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
