"""Checks of the conventions of estimators: parameters, copies, repeated fits, seeds, input."""

from __future__ import annotations

import contextlib
import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .state import kept
from .subject import Subject, quiet


def check_input_is_not_written_to(subject: Subject) -> None:
    """``fit`` and ``predict`` leave X and y unchanged."""
    X, y = subject.X.copy(), subject.y.copy()
    fitted = subject.fit(X, y)
    assert np.array_equal(X, subject.X), "fit writes to X"
    assert np.array_equal(y, subject.y), "fit writes to y"
    subject.predict(fitted, X)
    subject.answer(fitted, X)
    assert np.array_equal(X, subject.X), "predict writes to X"


def check_fit_keeps_parameters(subject: Subject) -> None:
    """``fit`` replaces or changes no constructor parameter."""
    estimator = subject.fresh()
    subject.need(not isinstance(estimator, Pipeline), "scikit-learn's pipelines fit their steps")
    before = estimator.get_params(deep=False)
    shown = {name: repr(value) for name, value in before.items()}
    subject.refit(estimator)
    after = estimator.get_params(deep=False)
    changed = [
        name
        for name in before
        if after.get(name) is not before[name] or repr(after[name]) != shown[name]
    ]
    assert not changed, f"fit changes the parameters {changed}"


def check_parameters_are_stored_as_given(subject: Subject) -> None:
    """The constructor stores its arguments as given, and ``get_params`` returns them."""
    given = subject.fresh().get_params(deep=False)
    made = type(subject.estimator)(**given).get_params(deep=False)
    assert made.keys() == given.keys(), f"get_params returns {sorted(made)}, not {sorted(given)}"
    changed = [name for name in given if made[name] is not given[name]]
    for name in given:
        anything = object()
        # The constructors of sktime may validate their arguments and refuse this one.
        with quiet(), contextlib.suppress(Exception):
            other = type(subject.estimator)(**{**given, name: anything})
            if other.get_params(deep=False)[name] is not anything:
                changed.append(name)
    assert not changed, f"the constructor changes the parameters {changed}"


def check_set_params(subject: Subject) -> None:
    """``set_params`` with the values of ``get_params`` changes nothing and returns ``self``."""
    estimator = subject.fresh()
    before = estimator.get_params(deep=False)
    assert estimator.set_params(**before) is estimator, "set_params returns something else"
    after = estimator.get_params(deep=False)
    changed = [name for name in before if after.get(name) is not before[name]]
    assert not changed, f"set_params changes the parameters {changed}"


def check_clone(subject: Subject) -> None:
    """A clone of a fitted classifier is unfitted; after a fit it gives the same predictions."""
    fitted = subject.fit()
    other = clone(fitted)
    # Constructors of some libraries set attributes of such names to placeholders.
    own = vars(subject.fresh())
    learned = [name for name in vars(other) if name.endswith("_") and name not in own]
    assert not learned, f"a clone has the fitted attributes {learned}"
    subject.same_fit(subject.answer(subject.refit(other)), subject.answer(fitted), "a clone")


def check_fit_twice(subject: Subject) -> None:
    """A second fit on the same series gives the same predictions as the first."""
    estimator = subject.fit()
    told = subject.answer(estimator)
    subject.same_fit(subject.answer(subject.refit(estimator)), told, "fitted twice")


def check_refit_forgets(subject: Subject) -> None:
    """A fit on series of other length and labels doesn't affect the next fit."""
    told = subject.answer(subject.fit())
    first, second = np.unique(subject.y)[:2]
    rows = np.isin(subject.y, [first, second])
    other = subject.X[rows][..., : -(subject.n_timepoints // 5)] * 3 + 1
    estimator = subject.fit(other.copy(), np.where(subject.y[rows] == first, "m", "n"))
    found = subject.answer(subject.refit(estimator))
    subject.same_fit(found, told, "after a fit on other series")


def check_same_seed_same_answers(subject: Subject) -> None:
    """Two fits with the same seed, or of an estimator without seed, give the same predictions."""
    told = subject.answer(subject.fit())
    subject.same(subject.answer(subject.fit()), told, "two fits with the same seed")


def check_global_seeds_have_no_influence(subject: Subject) -> None:
    """Seeds of the global random generators don't affect an estimator with a seed of its own."""
    answers = []
    with kept("generators"):
        for seed in (0, 1):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
            torch.manual_seed(seed)
            answers.append(subject.answer(subject.fit()))
    subject.same_fit(answers[1], answers[0], "other global seeds")


def check_pickle(subject: Subject) -> None:
    """A fitted classifier can be pickled, and the copy gives the same predictions."""
    _check_copy(subject, lambda fitted: pickle.loads(pickle.dumps(fitted)), "pickled")


def check_deepcopy(subject: Subject) -> None:
    """A deep copy of a fitted classifier gives the same predictions."""
    _check_copy(subject, copy.deepcopy, "copied")


def _check_copy(subject: Subject, copier: Callable[[Any], Any], what: str) -> None:
    fitted = subject.fit()
    told = subject.answer(fitted)
    with quiet():
        other = copier(fitted)
    assert other is not fitted, f"{what}, the classifier is still the same object"
    subject.same(subject.answer(other), told, what)
