"""Reports of ``evaluate``, laid out by a browser at the widths of a phone and of two screens."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from skgdpd._cli.main import main
from skgdpd._cli.page import document, table
from skgdpd.datasets import make_bumps

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PROGRAM = Path(__file__).parents[2] / "docs" / "check_pages.py"
QUICK = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def look():
    spec = importlib.util.spec_from_file_location("check_pages", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *paths: module.look(BROWSER, list(paths), paths[0].parent)


def test_no_part_of_a_report_is_cut_off(look, tmp_path):
    pytest.importorskip("matplotlib")
    X, y = make_bumps(40, 40, random_state=0)
    data, names = str(tmp_path / "data.npz"), np.array(["finger pointed", "gun drawn"])
    np.savez(data, X=X, y=names[np.unique(y, return_inverse=True)[1]])
    pages = []
    for name, options in {
        "early": ["--earliness", "0.3", "0.6", "1.0", "--delay-cost", "0.4"],
        "one-moment": ["--earliness", "0.3"],
    }.items():
        model, page = str(tmp_path / f"{name}.zip"), tmp_path / f"{name}.html"
        assert main(["fit", data, "--out", model, *QUICK, *options]) == 0
        assert main(["evaluate", model, data, "--report", str(page)]) == 0
        pages.append(page)
    assert look(*pages) == []


def test_a_table_that_is_too_wide_is_found_unless_it_scrolls(look, tmp_path):
    wide = table([tuple(f"column{i}" for i in range(60)), ("1",) * 60])
    page, cut = tmp_path / "page.html", tmp_path / "cut.html"
    page.write_text(document("wide", [wide]))
    cut.write_text(document("wide", [wide.replace('class="table"', 'style="overflow: hidden"')]))
    faults = look(page, cut)
    assert len(faults) >= 3
    assert all(fault.startswith("cut.html") and "cut off" in fault for fault in faults)
