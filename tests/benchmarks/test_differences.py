"""The table of differences from a reference."""

import numpy as np
import pytest

from differences import Problem, in_words, read_scores, row_names, table
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.store import Record, Store


def scores(shift, n_sets=12):
    rng = np.random.default_rng(0)
    return {
        Problem(f"set{d}", seed, 0.2, "train"): rng.normal(0.5, 0.1, 3) + np.asarray(shift)
        for d in range(n_sets)
        for seed in range(2)
    }


def test_differences_are_paired_and_corrected_for_their_number():
    found = {"base": scores([0, 0, 0]), "gdpd": scores([0.01, 0, -0.02]), "tip": scores([0, 0, 0])}
    lines = table(found, "base", ["tip", "gdpd"])
    assert lines[0] == "12 sets, 2 seeds"
    assert lines[4].startswith("| no teacher | ")
    # Twelve gaps of one sign have p = 2 / 2**12, and the first of two tests counts twice.
    assert lines[5].startswith("| `GDPDClassifier()` | ")
    assert "+0.010 ± 0.000 (p 0.00098) | +0.000 ± 0.000 | -0.020 ± 0.000 (p 0.00098) |" in lines[5]
    assert lines[6].startswith("| `TIP()` | ")
    assert "+0.000 ± 0.000 | +0.000 ± 0.000 | +0.000 ± 0.000 |" in lines[6]


def test_the_reference_is_no_row_of_its_own():
    found = {"base": scores([0, 0, 0]), "gdpd": scores([0.01, 0, -0.02])}
    lines = table(found, "base", ["gdpd"])
    assert table(found, "base", ["base", "gdpd"]) == lines
    assert "(p 0.00049)" in lines[5]  # no correction for a row of zeros


def test_a_method_that_lacks_records_is_refused():
    with pytest.raises(ValueError, match="tip lacks 2 of 24 records"):
        table({"base": scores([0, 0, 0]), "tip": scores([0, 0, 0], 11)}, "base", ["tip"])


def test_an_unknown_reference_is_refused():
    with pytest.raises(ValueError, match=r"no records of the reference 'bose'; .* base, tip with"):
        table({"base": scores([0, 0, 0]), "tip": scores([0, 0, 0])}, "bose", ["tip"])
    with pytest.raises(ValueError, match="there are records of no method"):
        table({}, "base", ["tip"])


def test_methods_are_written_as_in_python():
    assert in_words("hinton:mixed:mixed") == "`Hinton()`"
    assert in_words("tip-unsure:mixed:mixed") == '`TIP(region="unsure")`'
    assert in_words("lupts") == "`LuPTSClassifier()`"
    assert in_words("minirocket") == "MiniRocket + ridge"
    assert in_words("aeon.x.QUANT") == "aeon.x.QUANT"


def test_rows_of_one_kind_are_told_apart_by_their_networks():
    names = row_names(["base:fcn", "hinton:fcn:fcn", "hinton:fcn:rocket"])
    assert list(names.values()) == [
        "no teacher",
        "`Hinton()`, student `fcn`, teacher `fcn`",
        "`Hinton()`, student `fcn`, teacher `rocket`",
    ]


def written(store, method, auc, **kwargs):
    metrics = {"auc_prc": auc, "accuracy": auc, "log_loss": 1 - auc}
    cell = Cell("a", method, kwargs.pop("earliness", 0.2), **kwargs)
    store.write(Record(cell, [{"params": {}, "metrics": metrics}]))


def test_parts_and_normalisations_are_means_within_a_set(tmp_path):
    store = Store(tmp_path)
    for method, gain in [("base", 0.0), ("gdpd", 0.1)]:
        for earliness, level in [(0.1, 0.3), (0.2, 0.5), (0.3, 0.7), (0.5, 0.9)]:
            own = gain * (earliness == 0.3)
            written(store, method, level + own, earliness=earliness)
            written(store, method, level + own, earliness=earliness, normalize="prefix")
            written(store, method, 0.0, earliness=earliness, setting="unlabelled")
    options = {"setting": "labels", "sets": None, "n_seeds": 3}
    one = read_scores(tmp_path, **options)
    assert list(one["base"]) == [Problem("a", 0, 0.2, "train")]
    several = read_scores(
        tmp_path, **options, earliness=[0.1, 0.2, 0.3, 0.5], normalize=["train", "prefix"]
    )
    assert len(several["gdpd"]) == 8
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        lines = table(several, "base", ["gdpd"])
    assert lines[4].startswith("| no teacher | 0.600 / 0.600 / 0.400 |")
    assert "| +0.025 ±" in lines[5]
