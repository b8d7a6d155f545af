"""What a fit and a prediction leave as they found it."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from states import global_state

from skgdpd import (
    DiffusionFeaturePrior,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
    load,
)

SMALL = {"student": "fcn", "max_epochs": 3, "random_state": 0}


def test_global_state_is_left_as_found(bumps, tmp_path, monkeypatch, promise):
    X, y = bumps
    monkeypatch.chdir(tmp_path)
    importlib.import_module("torch._dynamo")  # the first optimizer does; sympy adds a filter
    before = global_state()
    clf = GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=3))
    classifier = PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0)
    early = EarlyClassifier(classifier, random_state=0)

    def generate():
        generating = GenDDClassifier(
            **SMALL,
            generator=GeneratorOptions(max_epochs=2),
            n_sampling_steps=4,
            training=TrainingOptions(checkpoint_dir=tmp_path),
        ).fit(X, y)
        generating.predict(X)
        generating.sample_features(X)

    def stream():
        session = early.start(len(X))
        session.push(X[:, :, :25])
        session.save(tmp_path / "session")
        early.resume(tmp_path / "session").push(X[:, :, 25:])

    def draw():
        clf.prior_.sample(3)
        clf.prior_.posterior_sample(clf.teacher_.embed(X))

    def learn_from_chunks():
        PrefixClassifier(**SMALL).partial_fit(X, y, classes=["no", "yes"]).partial_fit(X, y)

    calls = {
        "fit": lambda: clf.fit(X, y),
        "predict": lambda: clf.predict(X),
        "embed": lambda: clf.embed(X),
        "draws from a prior": draw,
        "fit of a generator with checkpoints": generate,
        "partial_fit": learn_from_chunks,
        "a search": lambda: SharedGridSearchCV(clf, {"lambda_kd": [0.1, 1.0]}, cv=2).fit(X, y),
        "fit of an early classifier": lambda: early.fit(X, y),
        "decide": lambda: early.decide(X),
        "save": lambda: clf.save(tmp_path / "model"),
        "load": lambda: load(tmp_path / "model"),
        "a session, saved and resumed": stream,
    }
    for name, call in calls.items():
        call()
        after = global_state()
        assert {key for key in before if before[key] != after[key]} == set(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "session"]
    promise(
        "With numbers as seeds, fits, predictions, searches, files and sessions leave the process "
        "as they found it: states of random numbers, threads, flags and types of torch, warning "
        "filters, signal handlers, environment, working folder.",
        "kinds of calls",
        {"left all of it as found": len(calls)},
    )


def test_results_do_not_depend_on_the_global_state(bumps):
    X, y = bumps
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
        results.append(PrefixClassifier(**SMALL).fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(*results)


def test_parameters_are_stored_as_given_and_not_changed_by_fit(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(encoder="pca", max_epochs=3)
    clf = GDPDClassifier(**SMALL, prior=prior)
    before = clf.get_params()
    clf.fit(X, y)
    after = clf.get_params()
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert not hasattr(prior, "latent_")


def test_input_is_not_written_to(bumps):
    X, y = bumps
    X = X.copy()
    X.setflags(write=False)
    kept = X.copy()
    clf = PrefixClassifier(**SMALL).fit(X, y)
    clf.predict(X)
    np.testing.assert_array_equal(X, kept)


@pytest.mark.parametrize("where", ["fit", "search"])
def test_an_interrupt_reaches_the_caller(bumps, where):
    X, y = bumps

    class Interrupting(torch.nn.Module):
        n_features = 2

        def forward(self, x):
            if self.training:
                raise KeyboardInterrupt
            return x[:, 0, :2]

    clf = PrefixClassifier(**{**SMALL, "student": lambda c, t: Interrupting()})
    if where == "search":
        clf = GridSearchCV(clf, {"lr": [0.1, 0.01]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)


def test_silence_unless_asked(bumps, capfd):
    X, y = bumps
    PrefixClassifier(**SMALL).fit(X, y)
    assert capfd.readouterr() == ("", "")
    clf = GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=3))
    clf.set_params(verbose=1).fit(X, y)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err
    assert "student" in err
    assert "loss" in err


def test_a_fit_can_be_repeated_on_the_same_object(bumps):
    X, y = bumps
    clf = PrefixClassifier(**SMALL).fit(X, y)
    first = clf.predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)


def failing(n_channels, n_timepoints):
    raise RuntimeError("no network")


@pytest.mark.parametrize(
    "clf",
    [
        PrefixClassifier(**SMALL),
        GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=3)),
    ],
    ids=lambda clf: type(clf).__name__,
)
def test_a_fit_that_fails_leaves_nothing_to_predict_with(bumps, clf):
    X, y = bumps
    clf = clone(clf).set_params(max_epochs=2)
    first = clf.fit(X, y).predict_proba(X)
    for _ in range(2):
        with pytest.raises(ValueError, match="no network"):
            clf.set_params(student=failing).fit(X[:, :, ::2], np.where(y == "yes", "c", "b"))
        for ask in (clf.predict, clf.predict_proba, clf.embed):
            with pytest.raises(NotFittedError):
                ask(X)
    clf.set_params(student="fcn")
    streamed = clone(clf).partial_fit(X, y, classes=["no", "yes"])
    clf.partial_fit(X, y, classes=["no", "yes"])  # begins anew
    np.testing.assert_array_equal(clf.predict_proba(X), streamed.predict_proba(X))
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)


def test_a_random_state_object_is_drawn_from(bumps):
    X, y = bumps
    clf = PrefixClassifier(**SMALL)
    seeds = np.random.RandomState(3), np.random.RandomState(3)
    a, b = (clone(clf).set_params(random_state=seed).fit(X, y) for seed in seeds)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


@pytest.mark.parametrize("missing", ["sktime", "matplotlib"])
def test_import_and_fit_without_optional_packages(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
import skgdpd
from skgdpd.datasets import make_bumps
X, y = make_bumps(20, random_state=0)
clf = skgdpd.PrefixClassifier("fcn", max_epochs=1).fit(X, y)
assert clf.predict(X).shape == (20,)
try:
    if {missing!r} == "sktime":
        skgdpd.datasets.load_gunpoint()
    else:
        from skgdpd.plotting import HistoryDisplay
        HistoryDisplay.from_estimator(clf)
except ImportError as error:
    assert "pip install 'skgdpd[" in str(error), error
else:
    raise AssertionError("no error")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_brings_only_what_it_needs():
    code = """
import sys
import skgdpd
heavy = {"sktime", "matplotlib", "dask", "ray", "onnx", "numba", "aeon"}
print(sorted(heavy & {name.split(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
