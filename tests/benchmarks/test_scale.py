"""Benchmarks of prediction and of growing data run, and the growth of memory is measured."""

import numpy as np
import pytest

from prediction import prediction_table
from ratios import alternate
from scale import MemoryWatch, measure_fit, scale_table, write_series


def test_written_series_can_be_told_apart(tmp_path):
    X = np.load(write_series(tmp_path / "X.npy", 40), mmap_mode="r")
    assert X.shape == (40, 1, 100)
    means = np.array([X[k::4].mean(0)[0] for k in range(4)])
    times = np.arange(100) / 10
    for k, mean in enumerate(means):
        fits = [np.corrcoef(mean, np.sin(times * (1 + other)))[0, 1] for other in range(4)]
        assert np.argmax(fits) == k


def test_a_watch_sees_memory_that_is_given_back():
    with MemoryWatch() as watch:
        np.ones(50_000_000 // 8).sum()
        block = np.ones(200_000_000 // 8)
        del block
    with MemoryWatch() as idle:
        pass
    assert watch.growth["RssAnon"] > 150
    assert idle.growth["RssAnon"] < 50


@pytest.mark.parametrize("method", ["prefix", "stream", "gdpd"])
def test_a_fit_is_measured(method, tmp_path):
    found = measure_fit(method, str(write_series(tmp_path / "X.npy", 100)), 1)
    assert 0 < found["cpu"]
    assert found["stages"]["student"] <= found["seconds"]


@pytest.mark.slow
def test_tables_have_a_row_a_run(tmp_path):
    table = scale_table([50, 100], ["prefix", "stream"], 1, str(tmp_path))
    assert table.count("\n") == 5
    assert not list(tmp_path.iterdir())
    assert prediction_table(["lstm1-8"], 5, "cpu").count("\n") == 2


def test_programs_take_turns():
    calls = []
    times = alternate([lambda: calls.append("a"), lambda: calls.append("b")], 4)
    assert "".join(calls) == "ab" * 7
    assert [len(t) for t in times] == [4, 4]
