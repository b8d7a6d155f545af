"""Inputs of every kind: accepted with distributions, or refused by the name of an argument."""

import re
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from small_fits import FITS, PRIOR, X, Y

from skgdpd import DiffusionFeaturePrior, PrefixClassifier

N_POINTS = X.shape[2]
TYPES = [
    "f4", "f8", "f8", "f8", ">f4", ">f8", "f2", "longdouble", "i1", "i8", ">i4", "u8", "bool",
    "c16", "M8[s]", "m8[s]", "U8", "S8", "O",
]  # fmt: skip
LAYOUTS = [
    "plain", "plain", "plain", "fortran", "reversed", "strided", "read-only", "broadcast",
    "masked", "mask of nothing", "list", "tuple", "list of arrays", "ragged", "flat", "frame",
    "long frame", "nested frame", "object of arrays", "tensor", "four axes", "one axis", "scalar",
    "text", "none", "dict", "iterator", "function",
]  # fmt: skip
VALUES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "like those of the fit": lambda rng, shape: rng.normal(size=shape) + X.mean(),
    "constant": lambda rng, shape: np.full(shape, 3.0),
    "zeros": lambda rng, shape: np.zeros(shape),
    "large": lambda rng, shape: 1e10 * rng.normal(size=shape),
    "huge": lambda rng, shape: 1e30 * rng.normal(size=shape),
    "beyond single precision": lambda rng, shape: 1e300 * rng.normal(size=shape),
    "tiny": lambda rng, shape: 1e-30 * rng.normal(size=shape),
    "subnormal": lambda rng, shape: 1e-310 * rng.normal(size=shape),
    "an offset": lambda rng, shape: 1e8 + rng.normal(size=shape),
    "one outlier": lambda rng, shape: np.where(rng.random(shape) < 0.01, 1e20, 0.5),
    "one infinity": lambda rng, shape: np.where(rng.random(shape) < 0.02, np.inf, 1.0),
    "gaps": lambda rng, shape: np.where(rng.random(shape) < 0.1, np.nan, rng.normal(size=shape)),
    "nothing": lambda rng, shape: np.full(shape, np.nan),
}
LABELS = {
    "numbers": lambda n: np.arange(n) % 2,
    "texts": lambda n: np.array(["no", "yes"])[np.arange(n) % 2],
    "truths": lambda n: np.arange(n) % 2 == 0,
    "whole floats": lambda n: (np.arange(n) % 2).astype(float),
    "floats": lambda n: np.linspace(0.1, 0.9, n) ** 2,
    "three classes": lambda n: np.arange(n) % 3,
    "a class each": lambda n: np.arange(n),
    "one class": lambda n: np.zeros(n, int),
    "objects": lambda n: np.array([("no", "yes")[i % 2] for i in range(n)], dtype=object),
    "mixed": lambda n: np.array([("no", 1)[i % 2] for i in range(n)], dtype=object),
    "some are None": lambda n: np.array([("no", "yes", None)[i % 3] for i in range(n)], object),
    "some are NaN": lambda n: np.where(np.arange(n) % 3 == 0, np.nan, np.arange(n) % 2),
    "infinite": lambda n: np.where(np.arange(n) % 3 == 0, np.inf, np.arange(n) % 2),
    "bytes": lambda n: np.array([b"no", b"yes"])[np.arange(n) % 2],
    "times": lambda n: np.array(["2020-01-01", "2021-01-01"], "M8[D]")[np.arange(n) % 2],
    "large numbers": lambda n: np.array([2**63, 0], np.uint64)[np.arange(n) % 2],
    "big-endian": lambda n: (np.arange(n) % 2).astype(">i8"),
    "a column": lambda n: (np.arange(n) % 2)[:, None],
    "two columns": lambda n: np.eye(2, dtype=int)[np.arange(n) % 2],
    "too few": lambda n: np.arange(max(n - 1, 0)) % 2,
    "too many": lambda n: np.arange(n + 1) % 2,
    "list": lambda n: [("no", "yes")[i % 2] for i in range(n)],
    "series": lambda n: pd.Series([("no", "yes")[i % 2] for i in range(n)]),
    "category": lambda n: pd.Categorical([("no", "yes")[i % 2] for i in range(n)]),
    "masked": lambda n: np.ma.masked_array(np.arange(n) % 2, np.arange(n) % 5 == 0),
    "tensor": lambda n: torch.arange(n) % 2,
    "none": lambda n: None,
    "text": lambda n: "yes",
    "sets": lambda n: np.array([frozenset([i % 2]) for i in range(n)], dtype=object),
}
NAMES = re.compile(r"\b(X|y|Z|Z_short)\b")


def arranged(values, layout, rng):
    """Return values of shape (n, channels, points) in another form."""
    n, n_channels, n_points = values.shape
    match layout:
        case "fortran":
            return np.asfortranarray(values)
        case "reversed":
            return np.ascontiguousarray(values[::-1, :, ::-1])[::-1, :, ::-1]
        case "strided":
            return np.repeat(values, 2, axis=2)[:, :, ::2]
        case "read-only":
            values = values.copy()
            values.flags.writeable = False
            return values
        case "broadcast":
            return np.broadcast_to(values[:1], values.shape) if n else values
        case "masked":
            return np.ma.masked_array(values, rng.random(values.shape) < 0.1)
        case "mask of nothing":
            return np.ma.masked_array(values)
        case "list":
            return values.tolist()
        case "tuple":
            return tuple(values)
        case "list of arrays":
            return list(values)
        case "ragged":
            return [row[:, : max(n_points - i % 5, 0)] for i, row in enumerate(values)]
        case "flat":
            return values.reshape(n, n_channels * n_points)
        case "frame":
            return pd.DataFrame(values.reshape(n, n_channels * n_points))
        case "long frame":
            index = pd.MultiIndex.from_product([range(n), range(n_points)])
            rows = values.transpose(0, 2, 1).reshape(n * n_points, n_channels)
            return pd.DataFrame(rows, index)
        case "nested frame":
            cells = [[pd.Series(channel) for channel in row] for row in values]
            return pd.DataFrame(cells)
        case "object of arrays":
            rows = np.empty(n, dtype=object)
            for i, row in enumerate(values):
                rows[i] = row
            return rows
        case "tensor":
            numbers = values.dtype.kind in "fiub" and values.dtype.isnative
            return torch.from_numpy(values.astype("f4") if numbers else np.ones((n, 1, 3)))
        case "four axes":
            return values[None]
        case "one axis":
            return values.reshape(-1)
        case "scalar":
            return 3.0
        case "text":
            return "series"
        case "none":
            return None
        case "dict":
            return {"X": values}
        case "iterator":
            return iter(values)
        case "function":
            return len
    return values


def cast(values, name):
    """Return values of another type, as far as they can be; what is lost is not the question."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if np.dtype(name).kind in "iumM":
            values = np.nan_to_num(values, posinf=100, neginf=-100).clip(-100, 100).astype(int)
        return values.astype(name)


@st.composite
def inputs(draw, n, n_points):
    """Return the description of an input, which is usual but for one thing, or odd in several."""
    odd = draw(st.sampled_from(["type", "layout", "values", "size", "labels", "several"]))

    def choose(what, choices, usual):
        return draw(st.sampled_from(choices)) if odd in (what, "several") else usual

    return {
        "seed": draw(st.integers(0, 99)),
        "n": choose("size", [0, 1, 2, 3, n], n),
        "n_channels": choose("size", [1, 1, 0, 2], 1),
        "n_points": choose("size", [0, 1, 2, 3, n_points // 2, n_points, 10 * n_points], n_points),
        "values": choose("values", sorted(VALUES), "normal"),
        "type": choose("type", TYPES, "f8"),
        "layout": choose("layout", LAYOUTS, "plain"),
        "labels": choose("labels", sorted(LABELS), "numbers"),
    }


def made(told):
    """Return series or features, and labels, by their description."""
    rng = np.random.default_rng(told["seed"])
    shape = told["n"], told["n_channels"], told["n_points"]
    values = cast(VALUES[told["values"]](rng, shape), told["type"])
    return arranged(values, told["layout"], rng), LABELS[told["labels"]](told["n"])


def is_distribution(proba):
    assert np.isfinite(proba).all()
    assert proba.min(initial=0) >= 0
    np.testing.assert_allclose(proba.sum(-1), 1, atol=1e-6)


def fit_classifier(model):
    def call(series, labels):
        is_distribution(clone(model).fit(series, labels).predict_proba(X))

    return call


def predict(model):
    model = clone(model).fit(X, Y)

    def call(series, labels):
        is_distribution(model.predict_proba(series))

    return call


def decide(model):
    model = clone(model).fit(X, Y)

    def call(series, labels):
        is_distribution(model.decide(series).probabilities)

    return call


def table(series):
    """Return features of series, where they have the three axes of series."""
    if isinstance(series, np.ndarray) and series.ndim == 3:
        return series.reshape(len(series), series.shape[1] * series.shape[2])
    return series


def fit_prior(model):
    def call(series, labels):
        prior = clone(model).fit(table(series))
        assert np.isfinite(prior.sample(3)).all()

    return call


def transform(model):
    model = clone(model).fit(X[:, 0], Y)

    def call(series, labels):
        assert np.isfinite(model.transform(table(series))).all()
        is_distribution(model.predict_proba(table(series)))

    return call


DEFAULT = PrefixClassifier(random_state=0)
SMALL_PRIOR = DiffusionFeaturePrior(n_diffusion_steps=20, max_epochs=2, random_state=0)
CALLS = {
    "PrefixClassifier.fit": (fit_classifier, DEFAULT, 200),
    "PrefixClassifier.predict_proba": (predict, DEFAULT, 800),
    "GDPDClassifier.fit": (fit_classifier, FITS["gdpd"], 200),
    "GDPDClassifier.predict_proba": (predict, FITS["gdpd"], 800),
    "EarlyClassifier.fit": (fit_classifier, FITS["early"], 200),
    "EarlyClassifier.decide": (decide, FITS["early"], 800),
    "DiffusionFeaturePrior.fit": (fit_prior, SMALL_PRIOR, 200),
    "DiffusionFeaturePrior.transform": (transform, PRIOR, 800),
}


def outcome(call, told):
    """Call with an input; return what happened, of which nothing but two things is allowed."""
    series, labels = made(told)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # scikit-learn's words on labels are meant for the user, and its checks expect one of them.
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        try:
            call(series, labels)
        except (ValueError, TypeError) as error:
            assert NAMES.search(str(error)), f"no argument is named: {error!r}"  # noqa: PT017
            return "refused"
    return "answered"


def outcomes_of(call, n, always_the_same):
    """Call with so many inputs; return how many were answered and refused."""
    found = Counter({"answered": 0, "refused": 0})

    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        derandomize=always_the_same,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(len(X), N_POINTS))
    def try_it(told):
        found[outcome(call, told)] += 1

    try_it()
    return found


@pytest.mark.parametrize("how", ["few", pytest.param("many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CALLS)
def test_any_input_is_answered_or_refused_by_name(promise, name, how):
    make_call, model, n = CALLS[name]
    call = make_call(model)
    few = how == "few"
    found = outcomes_of(call, n // 50 if few else n, always_the_same=few)
    promise(
        "Whatever is given as series, features or labels is answered with finite distributions, "
        "or refused with a ValueError or TypeError that names the argument; nothing warns but "
        "scikit-learn of labels that may not be classes, or stand in a column.",
        "inputs, of all types, byte orders, layouts, frames and extremes",
        found,
    )
