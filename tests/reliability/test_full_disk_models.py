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
    "A model file, an ONNX graph or a session that can't be written whole, because the disk is "
    "full or the file may not grow, gives an OSError that names it; the file from before is "
    "whole, and no part of the new one is left."
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
    """Functions by what they write: one of the old file, of the new one, and of its test."""
    old = PrefixClassifier("lstm1-8", max_epochs=1, random_state=0).fit(X, Y)
    new = PrefixClassifier("lstm1-8", max_epochs=1, random_state=1).fit(X, Y)
    early = FITS["early"].fit(X, Y)
    session, later = early.start(["a", "b"]), early.start(["a", "b", "c"])
    session.push({"a": X[0, :, :6], "b": X[1, :, :13]})
    told = old.predict_proba(NEW)

    def is_old(path):
        np.testing.assert_array_equal(load(path).predict_proba(NEW), told)

    def is_session(path):
        assert early.resume(path).ids == ["a", "b"]

    def is_graph(path):
        onnx = pytest.importorskip("onnx")
        onnx.checker.check_model(onnx.load(path))

    return {
        "file": (old.save, new.save, is_old),
        "folder": (old.save, new.save, is_old),
        "session": (session.save, later.save, is_session),
        "graph": (old.export_onnx, new.export_onnx, is_graph),
    }


KINDS = ["file", "folder", "session", pytest.param("graph", marks=pytest.mark.slow)]


def state(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def save_old(tmp_path, kind, save):
    """Write the old file or folder; return its path, and what is in there."""
    path = tmp_path / "saved"
    if kind == "folder":
        path.mkdir()
    save(path)
    return path, state(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_may_not_grow_is_not_there(tmp_path, savers, promise, kind):
    save, save_new, is_whole = savers[kind]
    path, before = save_old(tmp_path, kind, save)
    # A file may be some bytes shorter than another of its kind, as its losses have fewer digits.
    with_new = tmp_path.parent / f"{tmp_path.name}-new"
    with_new.mkdir()
    _, files = save_old(with_new, kind, save_new)
    longest = max(len(content) for content in files.values() if content is not None)
    another = f"{tmp_path / 'another'}{os.sep if kind == 'folder' else ''}"
    limits = [longest // 2] if kind == "graph" else [0, 1, longest // 2, longest - 1]
    for limit in limits:
        for place in (path, another):
            with files_of_at_most(limit), pytest.raises(OSError, match="File too large") as told:
                save_new(place)
            assert str(tmp_path) in str(told.value)
            assert state(tmp_path) == before
    is_whole(path)
    promise(PROMISE, "writes", {"refused, with nothing left": 2 * len(limits)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", ["write", "sync", "replace"])
def test_a_disk_that_is_full_changes_nothing(tmp_path, savers, promise, monkeypatch, kind, moment):
    save, save_new, is_whole = savers[kind]
    path, before = save_old(tmp_path, kind, save)
    places = [path, f"{tmp_path / 'another'}{os.sep}"] if kind == "folder" else [path]
    n = 0
    for place in places:
        for nth in range(2 if kind == "folder" else 1):
            with (
                full_disk(monkeypatch, moment, nth),
                pytest.raises(OSError, match="No space left") as told,
            ):
                save_new(place)
            assert str(tmp_path) in str(told.value)
            assert state(tmp_path) == before
            n += 1
    is_whole(path)
    promise(PROMISE, "writes", {"refused, with nothing left": n})
