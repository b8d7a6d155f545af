"""Cells and the store of their records."""

import json
import multiprocessing
import random
import warnings

import pytest

from skgdpd.benchmarking.cells import Cell, make_cells
from skgdpd.benchmarking.store import Record, Store


def record(cell, loss=0.5, auc=0.9, error=None):
    metrics = {"auc_prc": auc, "accuracy": 0.8}
    candidate = {
        "params": {"lambda_kd": 1.0},
        "valid_loss": loss,
        "n_parameters": 10,
        "metrics": metrics,
        "seconds": {"fit": 1.5},
    }
    return Record(cell, [] if error else [candidate], error, {"skgdpd": "0"})


CELL = Cell("GunPoint", "gdpd:inception", 0.2)


def test_cells_are_all_combinations_and_their_keys_differ():
    cells = make_cells(
        ["a", "b"], ["base", "gdpd"], [0.2, 0.4], ["train", "prefix"], ["labels", "share:0.5"], 3
    )
    assert len(cells) == len(set(cells)) == len({cell.key for cell in cells}) == 96
    # Those of one teacher stand together.
    assert len({(c.data, c.seed, c.normalize, c.setting) for c in cells[:4]}) == 1


def test_keys_are_file_names_whatever_the_method():
    long = Cell("sktime:gunpoint", "some.package." + "x" * 200 + "/..", 0.2)
    assert set(long.key) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
    )
    assert len(long.key) < 150
    assert long.key != Cell("sktime:gunpoint", "some.package." + "x" * 200 + "/...", 0.2).key


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"earliness": 0}, r"earliness=0; it must be in \(0, 1\]"),
        ({"normalize": "all"}, "normalize='all'; allowed are train, prefix and none"),
        ({"setting": "share:1.5"}, "setting='share:1.5'; allowed are labels, unlabelled, ceiling"),
        ({"setting": "lables"}, "setting='lables'; allowed are"),
        ({"protocol": "mine"}, "protocol='mine'; allowed are default, paper, reference"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Cell(**{"data": "a", "method": "base", "earliness": 0.2, **change})


def test_what_is_written_is_read_back(tmp_path):
    store = Store(tmp_path / "store")
    assert list(store) == []
    cells = make_cells(["a"], ["base", "gdpd"], [0.2], ["train"], ["labels"], 2)
    for cell in cells:
        store.write(record(cell))
    assert {r.cell for r in Store(tmp_path / "store")} == set(cells)
    assert next(iter(store)).candidates == record(CELL).candidates


def test_packed_records_are_one_sorted_file_and_later_ones_win(tmp_path):
    store = Store(tmp_path)
    cells = make_cells(["b", "a"], ["gdpd", "base"], [0.2], ["train"], ["labels"], 2)
    for cell in cells:
        store.write(record(cell, auc=0.1))
    assert store.pack() == 8
    assert [p.name for p in tmp_path.glob("**/*") if p.is_file()] == ["records.jsonl"]
    assert [r.cell for r in store] == sorted(cells)
    store.write(record(cells[0], auc=0.7))
    by_cell = {r.cell: r.chosen()["metrics"]["auc_prc"] for r in store}
    assert len(by_cell) == 8
    assert by_cell[cells[0]] == 0.7
    text = (tmp_path / "records.jsonl").read_text()
    store.write(record(cells[0], auc=0.1))
    store.pack()
    assert (tmp_path / "records.jsonl").read_text() == text


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("harm", ["cut", "altered", "other format", "no json"])
def test_a_harmed_record_is_left_out_with_a_warning(tmp_path, packed, harm):
    store = Store(tmp_path)
    other = Cell("Other", "base", 0.2)
    store.write(record(CELL))
    store.write(record(other))
    if packed:
        store.pack()
        path = tmp_path / "records.jsonl"
    else:
        path = tmp_path / "cells" / f"{CELL.key}.json"
    line, *rest = path.read_text().splitlines()
    bad = {
        "cut": line[: len(line) // 2],
        "altered": line.replace("0.9", "1.0"),
        "other format": json.dumps({**json.loads(line), "format": 99}),
        "no json": "nothing",
    }[harm]
    path.write_text("\n".join([bad, *rest]))
    with pytest.warns(UserWarning, match="is not a complete record and is left out"):
        found = [r.cell for r in store]
    assert found == [other]


def test_a_store_survives_any_byte(tmp_path):
    store = Store(tmp_path)
    cells = make_cells(["a", "b"], ["base", "gdpd"], [0.2], ["train"], ["labels"], 3)
    for cell in cells:
        store.write(record(cell))
    store.pack()
    records = {r.cell: r for r in store}
    path = tmp_path / "records.jsonl"
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(1000):
        harmed = bytearray(content)
        harmed[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(harmed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = {r.cell: r for r in store}
        assert len(found) >= len(cells) - 2  # a harmed end of a line takes two of them
        assert all(records[cell] == r for cell, r in found.items())


def test_a_failed_write_leaves_the_old_record_whole(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(record(CELL, auc=0.25))

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("skgdpd._runtime.atomic.Path.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        store.write(record(CELL, auc=0.75))
    assert [r.chosen()["metrics"]["auc_prc"] for r in store] == [0.25]
    assert not list(tmp_path.glob("**/*.part"))


def write_many(folder, start):
    store = Store(folder)
    for i in range(start, start + 20):
        store.write(record(Cell("a", "base", 0.2, seed=i % 25)))


def test_processes_may_write_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, 10 * i)) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert {r.cell.seed for r in Store(tmp_path)} == set(range(25))


def test_the_candidate_that_counts_is_chosen_on_validation_unless_told_otherwise():
    candidates = [
        {"valid_loss": loss, "metrics": {"auc_prc": auc}, "params": {"k": k}}
        for k, (loss, auc) in enumerate([(0.5, 0.99), (0.3, 0.7), (0.3, 0.8)])
    ]
    found = Record(CELL, candidates)
    assert found.chosen()["params"] == {"k": 1}
    assert found.chosen("test")["params"] == {"k": 0}
    alone = Record(CELL, [{**candidates[0], "valid_loss": None}])
    assert alone.chosen() == alone.candidates[0]
