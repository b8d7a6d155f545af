"""Weights of classes: what is rare and made heavy is found more often, by every backbone."""

import numpy as np
import pytest
from sklearn.base import clone

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.nets import available_backbones, starts_fitted

N, RARE = 400, 20
PARAMS = {"earliness": 0.5, "max_epochs": 10, "batch_size": 16}
"""Enough for the slowest of them, ``resnet``, to tell series that it was not fitted on."""
MORE = {"lstm2-32": {"max_epochs": 40, "lr": 3e-3}}
"""With less it answers the same of all series, whether they are weighted or not."""
BRIEF = {"rocket", "mixed", "lstm1-8"}
"""Those that are tested whenever tests are; the others take longer."""
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


def imbalanced(seed):
    """Series of which one in twenty is a failure, and begins almost as others do."""
    X, y = make_bumps(2 * N, 40, noise=0.3, random_state=seed)
    rows = np.r_[np.flatnonzero(y == 0)[: N - RARE], np.flatnonzero(y == 1)[:RARE]]
    return X[rows], np.array(["fine", "failure"])[y[rows]]


@pytest.fixture(scope="module")
def test_part():
    X, y = make_bumps(400, 40, noise=0.3, random_state=99)
    return X, np.array(["fine", "failure"])[y]


def recall(clf, test_part, label="failure"):
    X, y = test_part
    return (clf.predict(X[y == label]) == label).mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "name",
    [
        name if name in BRIEF else pytest.param(name, marks=pytest.mark.slow)
        for name in available_backbones()
    ],
)
def test_a_rare_class_is_found_more_often_when_classes_are_balanced(name, seed, test_part):
    X, y = imbalanced(seed)
    plain = PrefixClassifier(name, **{**PARAMS, **MORE.get(name, {})}, random_state=seed)
    balanced = clone(plain).set_params(class_weight="balanced").fit(X, y)
    plain.fit(X, y)
    before, after = recall(plain, test_part), recall(balanced, test_part)
    assert after > before or after == 1
    if starts_fitted(name):  # not by answering nothing else
        others = recall(plain, test_part, "fine"), recall(balanced, test_part, "fine")
        assert after - before > others[0] - others[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_heavy_class_gets_larger_probabilities_from_the_start_on(seed, test_part):
    X, y = imbalanced(seed)
    plain = PrefixClassifier(earliness=0.5, max_epochs=1, lr=1e-9, random_state=seed)
    heavy = clone(plain).set_params(class_weight={"fine": 1, "failure": 20})
    (before, _), (after, _) = (
        clf.fit(X, y).predict_proba(test_part[0][test_part[1] == "failure"]).mean(0)
        for clf in (plain, heavy)
    )
    assert after > before + 0.2


@pytest.mark.parametrize("given", [1.0, 3.0, 0.1])
def test_equal_weights_of_series_are_no_weights_where_some_have_no_label(given):
    X, y = make_bumps(40, 20, random_state=0)
    y = y.astype(object)
    y[: len(y) // 2] = None
    clf = DistilledPrefixClassifier(student="lstm1-8", max_epochs=2, random_state=0)
    plain = clone(clf).fit(X, y).predict_proba(X)
    weighted = clone(clf).fit(X, y, sample_weight=np.full(40, given)).predict_proba(X)
    np.testing.assert_array_equal(weighted, plain)
