"""Reference: every public name is listed, and docstrings agree with signatures and each other.

``make lint`` checks the structure of docstrings one by one. Here is what it can't say.
"""

import ast
import importlib
import inspect
import re
import tomllib
from dataclasses import is_dataclass
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate
from sklearn.base import BaseEstimator
from sklearn.utils._testing import assert_docstring_consistency

import skgdpd
from skgdpd.distillers import Distiller

PACKAGE = Path(skgdpd.__file__).parent
ROOT = PACKAGE.parent
REFERENCE = sorted((ROOT / "docs" / "api").glob("*.rst"))
FOR_USERS = [
    "skgdpd", "skgdpd.datasets", "skgdpd.metrics", "skgdpd.plotting", "skgdpd.testing",
    "skgdpd.sktime", "skgdpd.stopping",
]  # fmt: skip
NEEDS_AEON = "skgdpd.aeon"
"""A package that the tests' own environment can't import."""

if find_spec("aeon"):
    FOR_USERS.append(NEEDS_AEON)
FOR_AUTHORS = ["skgdpd.distillers", "skgdpd.diffusion", "skgdpd.nets", "skgdpd.training"]
"""For those who write methods of their own, whose small methods may say all in a sentence."""


def public_names(package):
    module = importlib.import_module(package)
    own = [
        name
        for name, member in vars(module).items()
        if getattr(member, "__module__", None) == package and not name.startswith("_")
        if callable(member)
    ]
    names = getattr(module, "__all__", own)
    return {f"{package}.{name}": getattr(module, name) for name in names if name != "__version__"}


PUBLIC = {
    name: member
    for package in FOR_USERS + FOR_AUTHORS
    for name, member in public_names(package).items()
}
ESTIMATORS = [
    member
    for member in public_names("skgdpd").values()
    if inspect.isclass(member) and issubclass(member, BaseEstimator)
]
CLASSIFIERS = [
    skgdpd.PrefixClassifier,
    skgdpd.DistilledPrefixClassifier,
    skgdpd.GDPDClassifier,
    skgdpd.GenDDClassifier,
]
METHOD = ("lambda_kd", "n_posterior_samples")
"""Parameters that mean something else in each method."""

DISTILLERS = [
    member
    for member in public_names("skgdpd.distillers").values()
    if inspect.isclass(member) and issubclass(member, Distiller)
]


def names_in_reference():
    found = []
    for page in REFERENCE:
        module = None
        for line in page.read_text().splitlines():
            if line.startswith(".. currentmodule::"):
                module = line.split()[-1]
            elif match := re.fullmatch(r"   (\w+)|\.\. py:data:: (\w+)", line):
                if page.name != "index.rst":
                    found.append(f"{module}.{match[1] or match[2]}")
    return found


def described(member, section="Parameters"):
    """Types of a section's entries by name."""
    entries = NumpyDocString(inspect.getdoc(member))[section]
    return {name: entry.type for entry in entries for name in entry.name.split(", ")}


def defaults(function):
    """Defaults of a function's parameters by name."""
    parameters = list(inspect.signature(function).parameters.values())
    return {p.name: p.default for p in parameters if p.name not in ("self", "cls")}


def test_the_reference_has_every_public_name_once():
    listed = names_in_reference()
    assert len(listed) == len(set(listed))
    if NEEDS_AEON not in FOR_USERS:
        assert f"{NEEDS_AEON}.AeonEarlyClassifier" in listed
        listed = [name for name in listed if not name.startswith(NEEDS_AEON)]
    assert set(listed) == set(PUBLIC)
    assert len(PUBLIC) > 100


def test_every_public_package_is_one_that_the_reference_covers():
    packages = {f"skgdpd.{p.parent.name}" for p in PACKAGE.glob("[!_]*/__init__.py")}
    modules = {f"skgdpd.{p.stem}" for p in PACKAGE.glob("[!_]*.py")}
    covered = {*FOR_USERS, *FOR_AUTHORS, NEEDS_AEON} - {"skgdpd"}
    assert packages | modules == covered | {"skgdpd.benchmarking"}


def test_type_checkers_are_told():
    assert (PACKAGE / "py.typed").is_file()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py.typed" in data["package-data"]["skgdpd"]


def validated():
    """Public functions, classes and methods whose docstrings have all their sections."""
    for name, member in PUBLIC.items():
        if inspect.isfunction(member):
            yield name, member
        elif inspect.isclass(member):
            # Protocols get an __init__ from typing.
            is_protocol = getattr(member, "_is_protocol", False)
            if "__init__" in vars(member) and not is_dataclass(member) and not is_protocol:
                yield name, member.__init__
            if name.rpartition(".")[0] in FOR_USERS:
                for method, function in inspect.getmembers(member, inspect.isfunction):
                    if not method.startswith("_") and function.__module__.startswith("skgdpd"):
                        yield f"{name}.{method}", function


def test_parameters_and_results_are_described():
    faults = []
    for name, function in validated():
        # Functions of nothing may say in a sentence what they return.
        checks = {"PR01", "PR02", "PR03", "PR04", "PR07"} | (
            {"RT01"} if defaults(function) else set()
        )
        faults += [f"{name}: {text}" for code, text in validate(name)["errors"] if code in checks]
    assert not faults


def test_a_dataclasss_fields_are_its_docstrings_attributes():
    classes = {name: member for name, member in PUBLIC.items() if is_dataclass(member)}
    assert classes
    for name, member in classes.items():
        assert list(described(member, "Attributes")) == list(member.__dataclass_fields__), name


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.__name__)
def test_an_estimator_has_an_example_and_checks_every_parameter(estimator):
    assert NumpyDocString(inspect.getdoc(estimator))["Examples"]
    assert set(estimator._parameter_constraints) == set(defaults(estimator))


@pytest.mark.parametrize("estimator", [*ESTIMATORS, *DISTILLERS], ids=lambda e: e.__name__)
def test_defaults_are_those_of_the_docstring(estimator):
    kinds = described(estimator)
    for name, default in defaults(estimator).items():
        text = kinds[name].partition("default=")[2]
        if default is inspect.Parameter.empty:
            assert not text, name
        elif text == "np.nan":
            assert np.isnan(default), name
        else:
            assert ast.literal_eval(text) == default, name


def documented_alike(a, b, exclude=()):
    """Assert that two docstrings have the same text for the entries that they share."""
    for section, kind in (("Parameters", "params"), ("Attributes", "attrs")):
        shared = sorted(set(described(a, section)) & set(described(b, section)) - set(exclude))
        if shared:
            assert_docstring_consistency([a, b], **{f"include_{kind}": shared})


@pytest.mark.parametrize(("a", "b"), combinations(CLASSIFIERS, 2), ids=lambda c: c.__name__)
def test_classifiers_say_the_same_of_the_parameters_that_they_share(a, b):
    documented_alike(a, b, exclude=METHOD)


@pytest.mark.parametrize(("a", "b"), combinations(CLASSIFIERS[1:], 2), ids=lambda c: c.__name__)
def test_fits_with_unlabelled_series_say_the_same_of_what_they_take(a, b):
    def named(cls):
        def fit():
            pass

        fit.__doc__, fit.__name__ = cls.fit.__doc__, f"{cls.__name__}.fit"
        return fit

    documented_alike(named(a), named(b))
