"""What predictions depend on: nothing of the future, of other series, or of other threads."""

import threading

import numpy as np
import pytest

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.nets import available_backbones

X, Y = make_bumps(24, 24, noise=0.5, random_state=0)
NEW, _ = make_bumps(40, 24, noise=0.8, random_state=1)
MOMENTS = [0.25, 0.5, 1.0]
FEW = ["lstm1-8", "fcn24", "rocket", "rocket-quant", "tcn"]
ONE_MOMENT = {"hybrid"}
BACKBONES = [
    name if name in FEW else pytest.param(name, marks=pytest.mark.slow)
    for name in available_backbones()
]
LATER = [np.nan, 1e9, -3.0]
TOLERANCE = 1e-6
"""Largest difference of two probabilities that were computed beside other series."""


def fitted(name, moments, normalize="train"):
    earliness = MOMENTS if moments else 0.5
    clf = PrefixClassifier(
        name, earliness=earliness, normalize=normalize, max_epochs=2, random_state=0
    )
    return clf.fit(X, Y)


def futures(series, length, how):
    """Yield the series with other futures after ``length`` points, without any, and longer.

    Where later moments are answered too, values of the future must be finite; where one moment is
    answered, series may not be longer than those of the fit.
    """
    for value in LATER if how == "to all moments" else [*LATER, np.inf, 1e30]:
        changed = series.copy()
        changed[:, :, length:] = value
        yield changed
    yield np.concatenate([series[:, :, :length], NEW[::-1, :, : 24 - length]], 2)
    yield series[:, :, :length]
    if how == "to all moments":
        yield np.concatenate([series, np.ones((len(series), 1, 7))], 2)


@pytest.mark.parametrize("normalize", ["train", "prefix"])
@pytest.mark.parametrize("name", BACKBONES)
def test_nothing_of_the_future_changes_an_answer(promise, name, normalize):
    n = 0
    clf = fitted(name, False, normalize)
    told = clf.predict_proba(NEW)
    for changed in futures(NEW, clf.prefix_length_, "to one moment"):
        np.testing.assert_array_equal(clf.predict_proba(changed), told)
        n += 1
    if name not in ONE_MOMENT:
        clf = fitted(name, True, normalize)
        path = clf.predict_proba_path(NEW)
        for m, length in enumerate(clf.time_points_):
            for changed in futures(NEW, length, "to all moments"):
                found = clf.predict_proba_path(changed)[:, : m + 1]
                np.testing.assert_array_equal(found, path[:, : m + 1])
                n += 1
    promise(
        "Points after a moment change no bit of the probabilities at it: other values, NaN, more "
        "of them, or none.",
        f"futures of {len(NEW)} series, of all backbones",
        {"without effect": n},
    )


@pytest.mark.parametrize("name", BACKBONES)
def test_a_series_is_answered_as_if_it_were_alone(promise, name):
    rng = np.random.default_rng(0)
    n, largest = 0, 0.0
    for moments in [False] if name in ONE_MOMENT else [False, True]:
        clf = fitted(name, moments)
        ask = clf.predict_proba_path if moments else clf.predict_proba
        told = ask(NEW)
        for size in (1, 2, 7, 31):
            for _ in range(5):
                rows = rng.choice(len(NEW), size, replace=False)
                found = ask(NEW[rows])
                np.testing.assert_allclose(found, told[rows], rtol=0, atol=TOLERANCE)
                largest = max(largest, float(np.abs(found - told[rows]).max()))
                n += 1
    assert largest <= TOLERANCE
    promise(
        f"The probabilities of a series do not depend on the series beside it, up to "
        f"{TOLERANCE:g}: sums of single precision are taken in another order.",
        "batches, of all backbones",
        {"within that": n},
    )


def together(n_threads, task):
    """Run a task in threads that begin at once; return its results by number."""
    found, barrier = {}, threading.Barrier(n_threads)

    def run(number):
        barrier.wait()
        found[number] = task(number)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == n_threads
    return found


@pytest.mark.parametrize("name", BACKBONES)
def test_threads_that_predict_at_once_get_the_answers_of_one(promise, name):
    clf = fitted(name, False)
    told = clf.predict_proba(NEW)
    found = together(32, lambda number: [clf.predict_proba(NEW) for _ in range(3)])
    for answers in found.values():
        for answer in answers:
            np.testing.assert_array_equal(answer, told)
    promise(
        "Threads that predict with one classifier at the same time get the bits that one thread "
        "gets.",
        "predictions in 32 threads, of all backbones",
        {"equal": 32 * 3},
    )


def test_sessions_in_threads_give_the_answers_of_arrays(promise):
    classifier = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    early = EarlyClassifier(classifier, cv=2, random_state=0).fit(X, Y)
    told = early.decide(NEW)

    def stream(number):
        session = early.start(len(NEW))
        for t in range(0, 24, 1 + number % 5):
            session.push(NEW[:, :, t : t + 1 + number % 5])
        return session.labels, session.n_seen, session.probabilities

    for labels, n_seen, probabilities in together(32, stream).values():
        np.testing.assert_array_equal(labels, told.labels)
        np.testing.assert_array_equal(n_seen, told.n_seen)
        np.testing.assert_array_equal(probabilities, told.probabilities)
    promise(
        "Sessions of one early classifier in several threads, one session a thread, do not "
        "disturb each other.",
        "sessions at once",
        {"with the answers of `decide`": 32},
    )
