"""Fits go on when the disk is full."""

import contextlib
import errno
import sys
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier, TrainingOptions
from skgdpd._runtime import caching
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.store import Record, Store
from skgdpd.datasets import make_bumps
from skgdpd.training import checkpoint

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")

X, y = make_bumps(40, 30, noise=0.3, random_state=0)
PROMISE = (
    "A fit whose cache (`memory=`) or checkpoints can't be written because the disk is full warns "
    "and goes on to the same bits."
)


@contextlib.contextmanager
def room_for(n_bytes):
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def parts(folder):
    return [p.name for p in folder.rglob("*") if p.name.endswith(".part")]


@pytest.mark.parametrize("n_bytes", [0, 100, 4000])
def test_a_fit_goes_on_without_its_cache(tmp_path, promise, n_bytes):
    clf = GDPDClassifier(
        "lstm1-8", prior=DiffusionFeaturePrior(encoder="pca", max_epochs=2), max_epochs=2,
        random_state=0,
    )  # fmt: skip
    own = clone(clf).fit(X, y)
    memory = tmp_path / "memory"
    with warnings.catch_warnings(record=True) as said, room_for(n_bytes):
        warnings.simplefilter("always")
        fit = clone(clf).set_params(memory=memory).fit(X, y)
    words = [str(w.message) for w in said]
    assert any("can't be written" in w or "Unable to cache to disk" in w for w in words), words
    np.testing.assert_array_equal(fit.predict_proba(X), own.predict_proba(X))
    for path in memory.rglob("output.pkl"):
        joblib.load(path)  # joblib names a result so when it is whole, and reads no other file
    again = clone(clf).set_params(memory=memory).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), own.predict_proba(X))
    promise(PROMISE, "fits", {"kept the promise": 1})


def test_a_disk_without_room_for_a_folder_keeps_nothing(monkeypatch):
    def full(memory):
        raise OSError(errno.ENOSPC, "No space left on device", memory)

    monkeypatch.setattr(caching, "check_memory", full)
    with pytest.warns(UserWarning, match="memory='there' can't be written .*; the fit goes on"):
        cache = caching.private_cache("there")
    assert cache.location is None


def test_an_error_of_the_function_is_its_own(tmp_path):
    cache = caching.private_cache(None)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        caching.call_cached(cache, open, "nowhere")


@pytest.mark.parametrize("n_bytes", [0, 100, 4000])
def test_a_fit_goes_on_without_checkpoints(tmp_path, promise, monkeypatch, n_bytes):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    clf = PrefixClassifier("lstm1-8", max_epochs=3, random_state=0)
    own = clone(clf).fit(X, y)
    clf.set_params(training=TrainingOptions(checkpoint_dir=tmp_path))
    with pytest.warns(UserWarning, match="no checkpoint could be written"), room_for(n_bytes):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), own.predict_proba(X))
    assert list(tmp_path.iterdir()) == []
    promise(PROMISE, "fits", {"kept the promise": 1})


def test_a_store_keeps_its_old_records(tmp_path):
    store = Store(tmp_path)
    store.write(Record(Cell("a", "base", 0.2), [], "an error", {}))
    with room_for(50):
        with pytest.raises(OSError, match="too large"):
            store.write(Record(Cell("b", "base", 0.2), [], "an error", {}))
        with pytest.raises(OSError, match="too large"):
            store.pack()
    assert [record.cell.data for record in store] == ["a"]
    assert parts(tmp_path) == []
