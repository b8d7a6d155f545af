"""What ``skgdpd.training`` offers to authors of distillers."""

import inspect
from pathlib import Path

import pytest

import skgdpd
from skgdpd import training

PAGE = Path(skgdpd.__file__).parents[1] / "docs" / "api" / "training.rst"


def test_nothing_else_is_in_sight():
    names = {
        name
        for name, value in vars(training).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert names == set(training.__all__)


@pytest.mark.skipif(not PAGE.is_file(), reason="an installed package has no pages")
@pytest.mark.parametrize("name", training.__all__)
def test_it_is_in_the_reference(name):
    lines = [line.strip() for line in PAGE.read_text().splitlines()]
    assert name in lines or f".. py:data:: {name}" in lines
