"""The page of related methods names what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

import skgdpd
from skgdpd import diffusion, distillers, metrics, stopping
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.early.cells import MODELS
from skgdpd.benchmarking.kinds import CONTROLS, DISTILLERS
from skgdpd.benchmarking.methods import check_method
from skgdpd.diffusion import DegradationName, DenoiserName, DynamicsName
from skgdpd.nets import available_backbones
from skgdpd.stopping import RULES

PAGE = Path(__file__).parents[1] / "docs" / "related.md"
NAMES = {
    name: getattr(module, name)
    for module in (diffusion, distillers, metrics, stopping, skgdpd)
    for name in (getattr(module, "__all__", None) or vars(module))
}
BACKBONES = set(available_backbones())
HEADER = ["method", "source", "here", "remark"]
SAID = ("not yet", "no", "dotted name")
"""What the column says where there is no name."""
MENTION = re.compile(r"(?:(kind|model|backbone|rule) )?`([^`]+)`")


def rows():
    """Rows of the page's tables of methods, a list of cells each."""
    found, header = [], None
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if header is None:
            header = cells
        elif header == HEADER and set(line) - set("|- "):
            found.append(cells)
    return found


ROWS = rows()
MENTIONS = sorted({m for row in ROWS for m in MENTION.findall(row[2])})
MENTIONED = {text for _, text in MENTIONS}


def test_each_row_has_a_method_a_source_and_one_answer():
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == len(HEADER), row
        method, source, here, remark = row
        assert method, row
        assert source, row
        if here in SAID:
            assert remark, "say why, or what is missing"
        else:
            assert not MENTION.sub("", here).strip(", "), here


def test_no_method_is_listed_twice():
    methods = [row[0] for row in ROWS]
    assert len(set(methods)) == len(methods)


@pytest.mark.parametrize(("category", "text"), MENTIONS)
def test_what_a_row_names_exists(category, text):
    if category == "kind":
        check_method(Cell("CBF", text, 0.2))
    elif category:
        known = {"model": MODELS, "backbone": BACKBONES, "rule": RULES}[category]
        assert text in known
    else:
        made = eval(text, dict(NAMES))
        if "(" in text:
            made._validate_params()


def test_nothing_that_is_here_is_forgotten():
    classes = {kind.make.__name__ for kind in DISTILLERS.values()}
    quoted = set(re.findall(r'"([^"]+)"', " ".join(MENTIONED)))
    assert classes <= MENTIONED
    assert set(RULES) | {rule.__name__ for rule in RULES.values()} <= MENTIONED
    assert BACKBONES <= MENTIONED
    assert set(CONTROLS) <= MENTIONED
    assert set(get_args(DegradationName)) <= quoted
    assert set(get_args(DenoiserName)) - {"film"} <= quoted
    assert set(get_args(DynamicsName)) - {"diffusion"} <= quoted
