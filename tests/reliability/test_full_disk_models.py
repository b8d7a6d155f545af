"""A disk that is full, or a file that may not grow, at each write of a file."""

import contextlib
import errno
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from small_fits import FITS, NEW, X, Y

from skgdpd import PrefixClassifier, load

if sys.platform == "win32":
    pytest.skip("Windows has no limit of file sizes", allow_module_level=True)

import resource

PROMISE = (
    "A model file, an ONNX graph or a session that can't be written whole, because the disk is full "
    "or the file may not grow, gives an OSError; the file from before is whole, and no part of the "
    "new one is left."
)


@contextlib.contextmanager
def files_of_at_most(size):
    """Let no file of this process grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def full_disk(monkeypatch, moment, nth):
    """Let the ``nth`` call of one function of the system find a full disk."""
    owner, name = {"write": (io, "open"), "sync": (os, "fsync"), "replace": (Path, "replace")}[
        moment
    ]
    original, calls = getattr(owner, name), []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) > nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        yield


@pytest.fixture(scope="module")
def savers():
    """Functions that write a file, by what they write, and what shows that it is whole."""
    network = PrefixClassifier("lstm1-8", max_epochs=1, random_state=0).fit(X, Y)
    early = FITS["early"].fit(X, Y)
    session = early.start(["a", "b"])
    session.push({"a": X[0, :, :6], "b": X[1, :, :13]})

    def opens_as(model):
        told = model.predict_proba(NEW)
        return lambda path: np.testing.assert_array_equal(load(path).predict_proba(NEW), told)

    def goes_on(path):
        assert early.resume(path).ids == ["a", "b"]

    def is_a_graph(path):
        onnx = pytest.importorskip("onnx")
        onnx.checker.check_model(onnx.load(path))

    return {
        "model": (network.save, opens_as(network)),
        "folder": (network.save, opens_as(network)),
        "early": (early.save, opens_as(early)),
        "session": (session.save, goes_on),
        "graph": (network.export_onnx, is_a_graph),
    }


KINDS = ["model", "folder", "early", "session", "graph"]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def place(tmp_path, kind):
    path = tmp_path / "saved"
    if kind == "folder":
        path.mkdir(exist_ok=True)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_may_not_grow_is_not_there(tmp_path, savers, promise, kind):
    save, is_whole = savers[kind]
    path = place(tmp_path, kind)
    save(path)
    is_whole(path)
    whole = contents(tmp_path)
    longest = max(map(len, whole.values()))
    empty = tmp_path / "new"
    limits = [0, 1, longest // 2, longest - 1]
    for limit in limits:
        with files_of_at_most(limit), pytest.raises(OSError, match="File too large"):
            save(path)
        assert contents(tmp_path) == whole
        with files_of_at_most(limit), pytest.raises(OSError, match="File too large"):
            save(empty)
        assert contents(tmp_path) == whole
    is_whole(path)
    promise(PROMISE, "writes", {"refused, with nothing left": 2 * len(limits)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", ["write", "sync", "replace"])
def test_a_disk_that_is_full_changes_nothing(
    tmp_path, savers, promise, monkeypatch, kind, moment
):
    save, is_whole = savers[kind]
    path = place(tmp_path, kind)
    save(path)
    whole = contents(tmp_path)
    n = 0
    for nth in range(2 if kind == "folder" else 1):
        with full_disk(monkeypatch, moment, nth), pytest.raises(OSError, match="No space left"):
            save(path)
        assert contents(tmp_path) == whole
        n += 1
    is_whole(path)
    promise(PROMISE, "writes", {"refused, with nothing left": n})
