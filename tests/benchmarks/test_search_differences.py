"""Differences between students trained together and alone are differences of their histories."""

import pytest

import search_differences
from search_differences import difference_table, largest_differences


def test_the_largest_difference_is_that_of_the_epochs_asked_for():
    together = [{"ce": [1.0, 0.5, 0.25]}, {"ce": [1.0, 1.0, 1.0]}]
    alone = [{"ce": [1.0, 0.75, 1.25]}, {"ce": [1.0, 1.0, 1.0]}]
    assert largest_differences(together, alone, "ce", 0, 3) == [1.0, 0.0]
    assert largest_differences(together, alone, "ce", 0, 2) == [0.25, 0.0]


@pytest.mark.slow
def test_a_short_training_differs_by_rounding(monkeypatch):
    pytest.importorskip("sktime")
    monkeypatch.setattr(search_differences, "GRID", {"lambda_kd": [1.0], "warmup_epochs": [0.5]})
    monkeypatch.setattr(search_differences, "N_FOLDS", 2)
    *_, warmup, both, _, scores = difference_table(2).splitlines()
    assert warmup.startswith("| warm-up | ")
    assert float(both.split(" | ")[-1].strip(" |")) < 1e-4
    assert scores == "0 of 2 scores differ"
