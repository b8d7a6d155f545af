"""Rows, and an epoch's batches of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.training import Rows
from skgdpd.training.batches import RowBatches, StreamedRows
from skgdpd.training.fitting import resolve_batch_size


def make_rows(n, device="cpu"):
    return Rows(x=torch.arange(n, dtype=torch.float32)[:, None] * 10, y=torch.arange(n) % 3).to(
        torch.device(device)
    )


def shuffled(rows, batch_size, seed=0):
    return RowBatches(rows, batch_size, torch.Generator().manual_seed(seed))


# Rows


def test_rows_keep_their_tensors_together_and_number_them():
    rows = make_rows(5)
    assert len(rows) == rows.n_rows == 5
    assert rows.tensors["index"].tolist() == [0, 1, 2, 3, 4]
    batch = rows.select(torch.tensor([3, 0, 3]))
    assert batch["index"].tolist() == [3, 0, 3]
    assert batch["x"][:, 0].tolist() == [30, 0, 30]
    assert batch["y"].tolist() == [0, 0, 0]


def test_tensors_of_unequal_lengths_are_refused_with_their_lengths():
    with pytest.raises(ValueError, match=r"equally many rows, got \{'x': 3, 'y': 4\}"):
        Rows(x=torch.zeros(3), y=torch.zeros(4))


def test_rows_move_with_everything(device):
    rows = make_rows(4, device)
    assert rows.device.type == device
    assert {tensor.device.type for tensor in rows.tensors.values()} == {device}
    assert rows.tensors["index"].tolist() == [0, 1, 2, 3]


# Batches


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 80),
    batch_size=st.integers(1, 90),
    seed=st.integers(0, 99),
    order=st.booleans(),
)
def test_every_row_comes_once_an_epoch_in_batches_of_nearly_equal_size(n, batch_size, seed, order):
    rows = make_rows(n)
    batches = RowBatches(rows, batch_size) if order else shuffled(rows, batch_size, seed)
    for _ in range(2):
        parts = list(batches)
        assert len(parts) == len(batches) == -(-n // batch_size)
        sizes = {len(part["index"]) for part in parts}
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
        index = torch.cat([part["index"] for part in parts])
        assert sorted(index.tolist()) == list(range(n))
        for part in parts:
            # Tensors stay aligned.
            torch.testing.assert_close(part["x"][:, 0], part["index"] * 10.0)
            torch.testing.assert_close(part["y"], part["index"] % 3)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 300), batch_size=st.integers(2, 64))
def test_no_epoch_ends_with_a_lonely_row(n, batch_size):
    # But three rows in pairs can't be split otherwise.
    sizes = [len(batch["index"]) for batch in shuffled(make_rows(n), batch_size)]
    assert min(sizes) >= 2 or (batch_size == 2 and n % 2)


def test_the_order_is_seeded_and_another_in_each_epoch(device):
    rows = make_rows(20, device)

    def epochs(seed):
        batches = shuffled(rows, 6, seed)
        return [torch.cat([b["index"] for b in batches]).tolist() for _ in range(3)]

    assert epochs(1) == epochs(1)
    assert epochs(1) != epochs(2)
    assert len({tuple(epoch) for epoch in epochs(1)}) == 3
    # The same on every device.
    batches = shuffled(make_rows(20), 6, 1)
    assert epochs(1)[0] == torch.cat([b["index"] for b in batches]).tolist()


def test_shuffling_leaves_torchs_global_state_alone():
    before = torch.get_rng_state()
    list(shuffled(make_rows(20), 6))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_order_is_kept():
    index = torch.cat([batch["index"] for batch in RowBatches(make_rows(11), 4)])
    assert index.tolist() == list(range(11))


@pytest.mark.parametrize("batch_size", [7, 8, 1000])
def test_a_single_batch_is_all_rows_as_they_are(batch_size):
    rows = make_rows(7)
    (batch,) = shuffled(rows, batch_size)
    assert batch["index"].tolist() == list(range(7))
    # No copy is made.
    assert batch["x"].data_ptr() == rows.tensors["x"].data_ptr()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10_000), st.integers(1, 500))
def test_an_automatic_batch_is_a_tenth_within_bounds_and_a_number_is_itself(n, batch_size):
    auto = resolve_batch_size("auto", n)
    assert 16 <= auto <= 64
    assert auto == n // 10 or (n < 160 and auto == 16) or (n >= 640 and auto == 64)
    assert resolve_batch_size(batch_size, n) == batch_size


@pytest.mark.parametrize(("n", "size"), [(11, 4), (11, 11), (12, 4)])
def test_numbers_are_those_of_the_batches(n, size):
    def batches():
        return RowBatches(make_rows(n), size, torch.Generator().manual_seed(1))

    by_batch = [batch["index"] for batch in batches()]
    for ours, theirs in zip(batches().numbers(), by_batch, strict=True):
        assert torch.equal(ours, theirs)


def test_rows_that_are_read_want_their_numbers_on_the_host():
    asked = []

    def fetch(index):
        asked.append(index)
        return {"x": torch.from_numpy(index).float()}

    rows = StreamedRows(fetch, y=torch.arange(5, device="meta"))
    assert rows.device.type == "meta"
    for numbers in RowBatches(rows, 2).numbers():
        assert numbers.device.type == "cpu"
        batch = rows.select(numbers)
        assert {tensor.device.type for tensor in batch.values()} == {"meta"}
    assert [len(index) for index in asked] == [2, 2, 1]
