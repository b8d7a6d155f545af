"""Learning from chunks."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    TrainingOptions,
)
from skgdpd.datasets import make_bumps
from skgdpd.distillers import AT, FitNets, SoftDTW

QUICK = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, "earliness": 0.5}
PRIOR = DiffusionFeaturePrior(degradation="linear-gaussian", max_epochs=2)
TAUGHT = [
    GDPDClassifier(**QUICK),
    GDPDClassifier(prior=PRIOR, warmup_epochs=0, **QUICK),
    DistilledPrefixClassifier(**QUICK),
    DistilledPrefixClassifier(FitNets(), **QUICK),
    DistilledPrefixClassifier(AT(), **QUICK),
    DistilledPrefixClassifier(SoftDTW(), **QUICK),
    GenDDClassifier(generator=GeneratorOptions(max_epochs=2), n_sampling_steps=4, **QUICK),
]
CLASSIFIERS = [PrefixClassifier(**QUICK), *TAUGHT]


def chunks(n=4, size=60):
    for i in range(n):
        X, y = make_bumps(size, 40, noise=0.3, random_state=i)
        yield X, np.array(["no", "yes"])[y]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
def test_each_call_goes_on_where_the_last_ended(classifier):
    clf = clone(classifier)
    for i, (X, y) in enumerate(chunks()):
        if i == 2:
            clf = pickle.loads(pickle.dumps(clf))
        assert clf.partial_fit(X, y, classes=["no", "yes"] if i == 0 else None) is clf
    other = clone(classifier)
    for i, (X, y) in enumerate(chunks()):
        other.partial_fit(X, y, classes=["no", "yes"])
        if i == 1:
            other = copy.deepcopy(other)
    assert (clf.predict_proba(X) == other.predict_proba(X)).all()
    first = 1 if isinstance(clf, PrefixClassifier) else 2
    assert clf.history_.n_epochs == first + 3
    assert not clf.module_.training


def test_many_chunks_are_learned_from():
    clf = PrefixClassifier("fcn", earliness=0.8, random_state=0)
    for X, y in chunks(10):
        clf.partial_fit(X, y, classes=["no", "yes"])
    X, y = next(iter(chunks(1, 200)))
    assert clf.score(X, y) > 0.9
    assert clf.history_["loss"][-1] < clf.history_["loss"][0]
    assert clf.history_.n_labeled == 600


def test_statistics_are_of_all_chunks():
    X, y = make_bumps(60, 40, random_state=0)
    X[30:] += 100
    clf = PrefixClassifier(**QUICK)
    for part in (slice(0, 30), slice(30, 60)):
        clf.partial_fit(X[part], y[part], classes=[0, 1])
    whole = PrefixClassifier(**QUICK).partial_fit(X, y, classes=[0, 1])
    found, expected = (c.network_.view.normalizer for c in (clf, whole))
    np.testing.assert_allclose(found.mean_, expected.mean_, rtol=1e-5)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=1e-5)


def test_a_class_may_come_later_without_a_teacher_only():
    X, y = next(chunks(1))
    clf = PrefixClassifier(**QUICK).partial_fit(X[y == "no"], y[y == "no"], classes=["no", "yes"])
    assert clf.predict_proba(X).shape == (60, 2)
    with pytest.raises(ValueError, match=r"first chunk has no series of the classes \['yes'\]"):
        GDPDClassifier(**QUICK).partial_fit(X[y == "no"], y[y == "no"], classes=["no", "yes"])


@pytest.mark.parametrize("classifier", TAUGHT, ids=repr)
def test_teacher_and_prior_stay_as_they_were_fitted(classifier):
    stream = list(chunks())
    clf = clone(classifier).fit(*stream[0])
    asked = clf.teacher_.predict_proba(stream[0][0])
    student = clf.predict_proba(stream[0][0])
    clf.partial_fit(*stream[1])
    assert (clf.teacher_.predict_proba(stream[0][0]) == asked).all()
    assert not np.array_equal(clf.predict_proba(stream[0][0]), student)


def test_weights_of_classes_and_of_series_are_one_thing():
    X, y = next(chunks(1, 40))
    heavy = PrefixClassifier(**QUICK, class_weight={"no": 0.0})
    heavy.partial_fit(X, y, ["no", "yes"])
    twin = PrefixClassifier(**QUICK)
    twin.partial_fit(X, y, ["no", "yes"], sample_weight=(y == "yes").astype(float))
    assert (heavy.predict_proba(X) == twin.predict_proba(X)).all()


def test_what_is_wrong_with_a_chunk_is_said():
    X, y = next(chunks(1))
    clf = PrefixClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        GDPDClassifier(**QUICK).partial_fit(X, y)
    clf.partial_fit(X, y, classes=["no", "yes"])
    with pytest.raises(ValueError, match="not the same as on last call"):
        clf.partial_fit(X, y, classes=["no", "perhaps"])
    with pytest.raises(ValueError, match=r"y has the labels \['perhaps'\]"):
        clf.partial_fit(X, np.full(60, "perhaps"))
    with pytest.raises(ValueError, match="X has 60 series and y 3 labels"):
        clf.partial_fit(X, y[:3])
    with pytest.raises(ValueError, match="X has 2 channels"):
        clf.partial_fit(np.repeat(X, 2, 1), y)
    with pytest.raises(ValueError, match="class_weight='balanced' can't be known"):
        clf.set_params(class_weight="balanced").partial_fit(X, y)
    taught = GDPDClassifier(prior=PRIOR, **QUICK)
    with pytest.raises(ValueError, match=r"y has the labels \['perhaps'\]"):
        taught.partial_fit(X, np.where(np.arange(60) < 9, "perhaps", y), classes=["no", "yes"])
    with pytest.raises(ValueError, match="class_weight='balanced' can't be known"):
        clone(taught).set_params(class_weight="balanced").partial_fit(X, y, ["no", "yes"])
    taught.fit(X, y)
    with pytest.raises(ValueError, match="the teacher needs whole ones, of 40"):
        taught.partial_fit(X[:, :, :20], y)
    taught.fit(X[:, :, :20], y, X_teacher=X)
    with pytest.raises(ValueError, match="fit was given X_teacher, which partial_fit can't take"):
        taught.partial_fit(X[:, :, :20], y)


@pytest.mark.parametrize("kind", [PrefixClassifier, GDPDClassifier])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_series_without_a_label_are_no_chunk(kind, missing):
    X, y = next(chunks(1))
    marked = np.where(np.arange(60) < 9, missing, y.astype(object))
    clf = kind(**QUICK)
    with pytest.raises(ValueError, match="y has missing labels: 9 of 60"):
        clf.partial_fit(X, marked, classes=["no", "yes"])


def test_a_first_chunk_that_fails_is_no_first_chunk(monkeypatch):
    X, y = next(chunks(1))
    clf = PrefixClassifier(**QUICK)
    with pytest.raises(ValueError, match="equally many"):
        clf.partial_fit(X, y[:3], classes=["no", "yes"])
    with monkeypatch.context() as patch:
        patch.setattr("skgdpd._estimators.incremental.train_on_chunk", interrupt)
        with pytest.raises(KeyboardInterrupt):
            clf.partial_fit(X, y, classes=["no", "yes"])
    with pytest.raises(NotFittedError):
        clf.predict(X)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X, y)
    clf.partial_fit(X, y, classes=["maybe", "no", "yes"])
    other = PrefixClassifier(**QUICK).partial_fit(X, y, classes=["maybe", "no", "yes"])
    assert (clf.predict_proba(X) == other.predict_proba(X)).all()


def interrupt(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("include", [(), ("teacher",)])
def test_what_files_do_not_hold_is_said(tmp_path, include):
    (X, y), (other, labels) = chunks(2)
    clf = GDPDClassifier(prior=PRIOR, **QUICK).fit(X, y)
    clf.save(tmp_path / "model", include=include)
    opened = skgdpd.load(tmp_path / "model")
    with pytest.raises(ValueError, match=r"GDPDClassifier was opened from a file.*fit it anew"):
        opened.partial_fit(other, labels)
    assert (opened.predict_proba(X) == clf.predict_proba(X)).all()
    assert opened.fit(X, y).partial_fit(other, labels) is opened


def test_fit_starts_anew():
    (X, y), (other, labels) = chunks(2)
    clf = PrefixClassifier(**QUICK).partial_fit(other, labels, classes=["no", "yes"])
    fresh = PrefixClassifier(**QUICK).fit(X, y)
    assert (clf.fit(X, y).predict_proba(X) == fresh.predict_proba(X)).all()
    clf.partial_fit(other, labels)
    fresh.partial_fit(other, labels)
    assert (clf.predict_proba(X) == fresh.predict_proba(X)).all()


@pytest.mark.parametrize(
    "kind", [PrefixClassifier, pytest.param(GDPDClassifier, marks=pytest.mark.slow)]
)
def test_half_precision_trains_like_single(kind):
    X, y = next(chunks(1))
    clf = kind(
        student="fcn",
        earliness=0.8,
        max_epochs=10,
        training=TrainingOptions(precision="bf16"),
        random_state=0,
    )
    clf.fit(X, y)
    assert all(p.dtype == torch.float32 for p in clf.module_.parameters())
    single = clone(clf).set_params(training__precision="float32").fit(X, y)
    assert not np.array_equal(clf.predict_proba(X), single.predict_proba(X))
    np.testing.assert_allclose(clf.history_["ce"], single.history_["ce"], rtol=0.2, atol=0.02)
    again = clf.module_.precision, clf.predict_proba(X)
    assert again[0] == "bf16"
    clf.module_.precision = "float32"
    assert (clf.predict_proba(X) == again[1]).all()
    with pytest.raises(ValueError, match="precision"):
        clone(clf).set_params(training__precision="fp8").fit(X, y)


@pytest.mark.parametrize("clf", [PrefixClassifier(), GDPDClassifier(student="hybrid")], ids=repr)
def test_students_that_need_all_series_at_once_have_no_partial_fit(clf):
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        _ = clf.partial_fit
    assert "choose another for partial_fit, such as 'fcn'" in str(caught.value.__cause__)
    assert hasattr(clf.set_params(student="fcn"), "partial_fit")


def test_a_chunk_is_learned_at_its_own_rate():
    X, y = make_bumps(60, 30, random_state=0)
    clf = PrefixClassifier(
        "lstm1-8",
        normalize=None,
        random_state=0,
        training=TrainingOptions(weight_averaging=0.0),
    )
    clf.partial_fit(X[:30], y[:30], classes=np.unique(y))
    before = clf.predict_proba(X)
    clf.set_params(lr=1e-30).partial_fit(X[30:], y[30:])
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.set_params(lr=0.01).partial_fit(X[30:], y[30:])
    assert not np.array_equal(clf.predict_proba(X), before)
