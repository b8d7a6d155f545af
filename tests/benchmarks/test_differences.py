"""The table of differences from a reference."""

import numpy as np
import pytest

from differences import in_words, table


def scores(shift, n_sets=12):
    rng = np.random.default_rng(0)
    return {
        (f"set{d}", seed): rng.normal(0.5, 0.1, 3) + np.asarray(shift)
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
    assert in_words("minirocket") == "minirocket"
