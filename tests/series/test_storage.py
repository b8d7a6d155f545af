"""Series that stay in their file: the same results, without reading them whole."""

import os
import pickle
import tempfile
import tracemalloc

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import skgdpd._series.storage as storage
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    SeriesOptions,
)
from skgdpd._series.panel import Panel, check_panel, join
from skgdpd._series.storage import StoredSeries
from skgdpd._series.views import Normalizer, PrefixView
from skgdpd._teachers import teacher

QUICK = {"student": "lstm1-8", "max_epochs": 3, "random_state": 0}


@pytest.fixture
def large(monkeypatch):
    """Everything counts as large, and is read a few series at a time."""
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(storage, "CHUNK_BYTES", 7 * 40 * 4)


@pytest.fixture
def stored_bumps(bumps, tmp_path):
    X, y = bumps
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    return np.load(tmp_path / "X.npy", mmap_mode="r"), y


def series(n, c=2, t=9):
    return np.random.default_rng(n).normal(size=(n, c, t)).astype(np.float32)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=3), st.data())
def test_stored_series_read_as_the_array_that_they_stand_for(sizes, data):
    arrays = [series(n, t=5 + i) for i, n in enumerate(sizes)]
    width = data.draw(st.integers(2, 7))
    stored = StoredSeries(*arrays)[:, :, :width]
    ends = [((0, 0), (0, 0), (0, 9 - a.shape[2])) for a in arrays]
    whole = np.concatenate(
        [np.pad(a, end, constant_values=np.nan) for a, end in zip(arrays, ends, strict=True)]
    )
    whole = whole[:, :, : min(width, 4 + len(sizes))]
    assert stored.shape == whole.shape
    np.testing.assert_array_equal(np.asarray(stored), whole)
    rows = st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=9)
    index = np.array(data.draw(rows), dtype=int)
    np.testing.assert_array_equal(stored[index], whole[index])
    np.testing.assert_array_equal(stored[1:4], whole[1:4])
    taken = stored.take(index)
    np.testing.assert_array_equal(np.asarray(taken), whole[index])
    np.testing.assert_array_equal(np.asarray(taken[:, :, :3]), whole[index, :, :3])
    again = np.array(data.draw(st.lists(st.integers(0, len(index) - 1), max_size=9)), dtype=int)
    np.testing.assert_array_equal(np.asarray(taken.take(again)), whole[index][again])
    assert np.concatenate([c for _, c in stored.chunks()]).shape == whole.shape
    # Stored series may be sources of others, and stay cut.
    both = StoredSeries(taken, series(3, t=9))
    assert both.shape == (len(index) + 3, 2, 9)
    np.testing.assert_array_equal(both[: len(index)][:, :, : whole.shape[2]], whole[index])
    assert np.isnan(both[: len(index)][:, :, whole.shape[2] :]).all()
    order = np.array(data.draw(st.permutations(range(len(both)))))
    np.testing.assert_array_equal(np.asarray(both.take(order)), np.asarray(both)[order])


def test_two_dimensions_are_one_channel_and_only_the_end_can_be_cut():
    stored = StoredSeries(series(4)[:, 0])
    assert stored.shape == (4, 1, 9)
    assert stored[np.array([3, 1])].shape == (2, 1, 9)
    assert stored.size == 36
    with pytest.raises(IndexError, match="first points only"):
        stored[:, :, 2:]
    with pytest.raises(IndexError, match="first points only"):
        stored[:2, :, :3]


def test_hashes_depend_on_content_alone(tmp_path):
    X = series(20)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    hashes = [
        joblib.hash(stored)
        for stored in [
            StoredSeries(X),
            StoredSeries(mapped),
            StoredSeries(mapped, order=np.arange(20)),
            StoredSeries(X + 1),
        ]
    ]
    assert len(set(hashes[:3])) == 1
    assert hashes[3] != hashes[0]
    assert isinstance(pickle.loads(pickle.dumps(StoredSeries(X))), bytes)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.floats(-1e4, 1e4))
def test_statistics_of_parts_are_those_of_all(sizes, offset):
    parts = [series(n) + np.float32(offset) for n in sizes]
    for part in parts:
        part[0, 0, 0] = np.nan
    merged = Normalizer("train").fit(parts[0])
    for part in parts[1:]:
        merged.update(part)
    whole = Normalizer("train").fit(np.concatenate(parts))
    np.testing.assert_allclose(merged.mean_, whole.mean_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(merged.scale_, whole.scale_, rtol=1e-5)


@pytest.mark.usefixtures("large")
def test_what_is_wrong_is_found_wherever_it_is():
    X = series(30)
    X[23, 1, 4] = np.inf
    with pytest.raises(ValueError, match="the first in series 23, channel 1, at time point 4"):
        check_panel(Panel(X), "X")
    X[23, 1, 4] = np.nan
    with pytest.raises(ValueError, match=r"NaN.* the first in series 23, channel 1"):
        check_panel(Panel(X), "X")
    X[23, :, 4:] = np.nan
    checked = check_panel(Panel(X), "X")
    assert checked.stored
    assert checked.ragged
    assert PrefixView(1.0, Normalizer("train"), None).fit(checked).ragged_
    X[:, :, 5:] = np.nan
    assert check_panel(Panel(X), "X").n_timepoints == 5


def test_large_and_small_go_the_same_way(large, bumps, stored_bumps):
    X, y = bumps
    clf = PrefixClassifier(**QUICK).fit(stored_bumps[0], y)
    in_memory = PrefixClassifier(**QUICK).fit(X.astype(np.float32), y)
    assert (clf.predict_proba(X) == in_memory.predict_proba(X)).all()
    storage.RESIDENT_BYTES = 2**28
    small = PrefixClassifier(**QUICK).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), small.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(clf.history_["loss"], small.history_["loss"], rtol=1e-5)


@pytest.mark.usefixtures("large")
def test_views_that_fit_are_made_once(stored_bumps, bumps, monkeypatch):
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 48 * 12 * 4)
    clf = PrefixClassifier(**QUICK).fit(*stored_bumps)
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 0)
    streamed = PrefixClassifier(**QUICK).fit(*stored_bumps)
    assert (clf.predict_proba(bumps[0]) == streamed.predict_proba(bumps[0])).all()


@pytest.mark.parametrize("student", ["mixed", "rocket", "hybrid"])
def test_fixed_features_of_large_series_are_refused(large, stored_bumps, student):
    X, y = stored_bumps
    words = r"has fixed features.* more than 256 MiB; choose one .*such as 'fcn' or 'lstm1-8'"
    with pytest.raises(ValueError, match=words):
        PrefixClassifier(student, max_epochs=1, random_state=0).fit(X, y)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("degradation", ["learned-alpha", "linear-gaussian"])
def test_a_teacher_of_stored_series(stored_bumps, tmp_path, monkeypatch, degradation):
    X, y = stored_bumps
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    os.mkdir(tmp_path / "scratch")
    prior = DiffusionFeaturePrior(degradation=degradation, max_epochs=2)
    clf = GDPDClassifier(prior=prior, warmup_epochs=0, **QUICK)
    clf.fit(X[:40], y[:40], X[40:])
    assert clf.history_.n_unlabeled == 20
    # torch makes a folder of its own there, at its first import of a compiler.
    assert not list((tmp_path / "scratch").glob("skgdpd-*"))
    found = clf.predict_proba(X)
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 2**28)
    clf.fit(X[:40], y[:40], X[40:])
    np.testing.assert_allclose(clf.predict_proba(X), found, atol=1e-4)


@pytest.mark.usefixtures("large")
def test_a_cache_knows_stored_series_again(stored_bumps, tmp_path):
    clf = GDPDClassifier(memory=tmp_path / "cache", **QUICK)
    first = clf.fit(*stored_bumps).predict_proba(stored_bumps[0])

    def fail(*args):
        raise AssertionError("the teacher was to come from the cache")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher, "fit_network_teacher", fail)
        assert (clf.fit(*stored_bumps).predict_proba(stored_bumps[0]) == first).all()
    assert not list((tmp_path / "cache").glob("skgdpd-*"))


@pytest.mark.slow
def test_what_is_large_together_is_not_copied(bumps, monkeypatch):
    X, y = bumps
    X = X.astype(np.float32)
    marked = y.astype(object)
    marked[40:] = None
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 50 * 40 * 4)
    joined = join(Panel(X[:40]), Panel(X[40:]))
    assert joined.stored
    np.testing.assert_array_equal(joined.values[:], X)
    clfs = [
        GDPDClassifier(**QUICK).fit(X[:40], y[:40], X[40:]),
        GDPDClassifier(**QUICK).fit(X, marked),
    ]
    np.testing.assert_array_equal(*(clf.predict_proba(X) for clf in clfs))


def test_a_fit_holds_series_without_a_label_twice_at_most():
    """Joined with the others, and in the teacher's order; its features and views are small."""

    def small(n_channels, n_timepoints):
        return nn.Sequential(nn.AdaptiveAvgPool1d(2), nn.Flatten())

    X, y, pool = series(200, 1, 10_000), np.arange(200) % 2, series(600, 1, 10_000)
    params = {"student": small, "earliness": 0.05, "max_epochs": 1, "device": "cpu"}
    clf = DistilledPrefixClassifier(random_state=0, **params)
    clf.set_params(series__predict_batch_size=20).fit(X[:20], y[:20])
    tracemalloc.start()
    try:
        clf.fit(X, y, X_unlabeled=pool)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.8 * (X.nbytes + pool.nbytes)


@pytest.mark.usefixtures("large")
def test_series_of_unequal_length_in_a_file(bumps, tmp_path):
    X, y = bumps
    X = X.astype(np.float32)
    X[::2, :, 9:] = np.nan
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    clf = PrefixClassifier(**QUICK).fit(stored, y)
    monkeypatched = clf.predict_proba(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "RESIDENT_BYTES", 2**28)
        small = PrefixClassifier(**QUICK).fit(X, y)
    np.testing.assert_allclose(monkeypatched, small.predict_proba(X), atol=1e-5)


def test_zarr_arrays(bumps, tmp_path):
    zarr = pytest.importorskip("zarr")
    X, y = bumps
    group = zarr.create_array(
        str(tmp_path / "X.zarr"), shape=X.shape, dtype="f4", chunks=(8, 1, 40)
    )
    group[:] = X
    clf = PrefixClassifier(**QUICK).fit(group, y)
    other = PrefixClassifier(**QUICK).fit(X.astype(np.float32), y)
    assert (clf.predict_proba(group) == other.predict_proba(X)).all()


class Lazy:
    """What a zarr array can do, as far as it is used."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.oindex = self
        self.n_read = 0

    def __getitem__(self, key):
        rows = key[0]
        if isinstance(rows, np.ndarray):
            assert (np.diff(rows) > 0).all(), "ascending, each once"
        part = self.values[key]
        self.n_read = max(self.n_read, len(part))
        return part


Lazy.__module__ = "zarr.core"


@pytest.mark.parametrize("is_large", [False, True])
def test_arrays_that_read_what_is_indexed(is_large, bumps, monkeypatch):
    X, y = bumps
    lazy = Lazy(X.astype(np.float32))
    if is_large:
        monkeypatch.setattr(storage, "RESIDENT_BYTES", 0)
        monkeypatch.setattr(storage, "CHUNK_BYTES", 20 * 160)
    clf = PrefixClassifier(**QUICK, series=SeriesOptions(predict_batch_size=7)).fit(lazy, y)
    if is_large:
        assert lazy.n_read <= 20
    other = PrefixClassifier(**QUICK).fit(X.astype(np.float32), y)
    np.testing.assert_array_equal(clf.predict(lazy), other.predict(X))
    lazy.n_read = 0
    clf.predict_proba(lazy)
    assert lazy.n_read == 7


def test_prediction_is_bounded_by_its_batch(bumps):
    X, y = bumps
    clf = PrefixClassifier(**QUICK).fit(X, y)
    whole = clf.predict_proba(X), clf.embed(X)
    sizes = []
    clf.module_.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    clf.set_params(series__predict_batch_size=25)
    np.testing.assert_allclose(clf.predict_proba(X), whole[0], atol=1e-6)
    assert sizes == [25, 25, 10]
    np.testing.assert_allclose(clf.embed(X), whole[1], atol=1e-6)
    bad = X.copy()
    bad[33, 0, 2] = np.nan
    with pytest.raises(ValueError, match="of series 25 to 49, the first in series 33"):
        clf.predict(bad)
    assert torch.is_inference_mode_enabled() is False
