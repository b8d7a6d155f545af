"""All that is public is annotated and described."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import skgdpd

MODULES = (
    "skgdpd",
    "skgdpd.datasets",
    "skgdpd.diffusion",
    "skgdpd.distillers",
    "skgdpd.metrics",
    "skgdpd.nets",
    "skgdpd.plotting",
    "skgdpd.sktime",
    "skgdpd.testing",
    "skgdpd.training",
)

WORKSHOPS = ("skgdpd.diffusion.", "skgdpd.distillers.", "skgdpd.nets.", "skgdpd.training.")
"""For those who write methods of their own; the rest is for everyone."""


def public_names(module):
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]
    return getattr(module, "__all__", own)


def functions():
    """Public functions, classes' constructors, and methods that are defined here."""
    seen = set()
    for path in MODULES:
        module = importlib.import_module(path)
        for name in public_names(module):
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield f"{path}.{name}", value, value.__doc__
            elif inspect.isclass(value) and value not in seen:
                seen.add(value)
                for cls in value.__mro__:
                    if not cls.__module__.startswith("skgdpd"):
                        continue
                    for method, found in vars(cls).items():
                        found = getattr(found, "__func__", getattr(found, "fget", found))
                        if method == "__init__" and cls is value and inspect.isfunction(found):
                            yield f"{path}.{name}", found, value.__doc__
                        elif not method.startswith("_") and inspect.isfunction(found):
                            yield (
                                f"{path}.{name}.{method}",
                                found,
                                inspect.getdoc(getattr(value, method)),
                            )


FUNCTIONS = {name: (function, doc) for name, function, doc in functions()}


def parameters(function):
    return [
        p
        for p in inspect.signature(function).parameters.values()
        if p.name not in ("self", "cls") and not p.name.startswith("_")
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_annotated(name):
    function, _ = FUNCTIONS[name]
    bare = [p.name for p in parameters(function) if p.annotation is p.empty]
    assert not bare
    assert "return" in inspect.unwrap(function).__annotations__


def sections(doc):
    """Lines of a docstring's sections, by their headings."""
    parts = re.split(r"^ *(\w[\w ]*)\n *-{3,}\n", inspect.cleandoc(doc), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def gives_something(function):
    annotation = inspect.unwrap(function).__annotations__["return"]
    # The latter are context managers; dataclasses' constructors have None itself.
    return annotation not in (None, "None", "Iterator[None]")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_are_described(name):
    function, doc = FUNCTIONS[name]
    assert doc, "no docstring"
    words = [p.name for p in parameters(function)]
    # Methods of the workshop may say all in a sentence; what users call has its sections.
    workshop = name.startswith(WORKSHOPS) and name.rpartition(".")[0] not in MODULES
    if not words or (workshop and len(words) <= 4 and "\n" not in doc.strip()):
        return
    found = sections(doc)
    if workshop and "Parameters" not in found:
        assert not found, "sections, but not of parameters"
        return
    # Dataclasses are made of their attributes.
    described = found.get("Parameters", "") + found.get("Attributes", "")
    missing = [word for word in words if not re.search(rf"^.*\b{word}\b", described, re.MULTILINE)]
    assert not missing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_described(name):
    function, doc = FUNCTIONS[name]
    is_method = "." in function.__qualname__
    if not gives_something(function) or (is_method and name.startswith(WORKSHOPS)):
        return
    found = sections(doc)
    # Properties and functions of nothing say it in a sentence.
    assert not parameters(function) or {"Returns", "Yields"} & set(found)


def test_the_walk_finds_what_it_should():
    for name in ("skgdpd.load", "skgdpd.GDPDClassifier.fit", "skgdpd.metrics.predictive_kl"):
        assert name in FUNCTIONS
    assert len(FUNCTIONS) > 300


def test_type_checkers_are_told():
    package = Path(skgdpd.__file__).parent
    assert (package / "py.typed").is_file()
    project = package.parent / "pyproject.toml"
    if project.is_file():  # not where the package is installed
        data = tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]
        assert "py.typed" in data["skgdpd"]
