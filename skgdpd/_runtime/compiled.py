"""Functions that are compiled by numba, with a cache on disk.

Compiled code is stored beside the bytecode of the function's module, or in the folder that
``NUMBA_CACHE_DIR`` names, and nowhere else. Numba's own cache has three drawbacks: it also uses a
folder of the user, it fails on damaged files, and different kinds of processors that share a
folder read each other's code. In this module, each file contains a digest of its content, and its
name contains a digest of everything that affects the code. If a file is damaged, missing or not
readable, the function is compiled again. If a file can't be written, the next process compiles
the function again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import inspect
import os
import pickle
import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

_lock = threading.RLock()
SUFFIX = ".nbc"
"""Suffix of files with compiled code."""


def compiled(
    function: Callable[..., Any], signature: Any, modules: Sequence[ModuleType] = ()
) -> Callable[..., Any]:
    """Compile a function for one signature, or load its compiled code.

    Parameters
    ----------
    function : callable
        Function of a module.
    signature : numba.core.typing.Signature
        Types of its parameters and its result.
    modules : sequence of module, default=()
        Other modules whose code or constants become part of the compiled function.

    Returns
    -------
    callable
        The compiled function. It releases the global interpreter lock.
    """
    import numba

    with _lock, _no_collections():
        dispatcher = numba.njit(nogil=True)(function)
        with contextlib.suppress(Exception):  # Another version of numba may have none of this.
            dispatcher._cache = _cache(function, modules)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Pause the garbage collector, which would take much time and find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def cache_folder(path: str) -> Path:
    """Return the folder for the compiled code of a module.

    Parameters
    ----------
    path : str
        Path of the module's source.

    Returns
    -------
    pathlib.Path
        The folder, which need not exist.
    """
    import numba

    told = numba.config.CACHE_DIR
    if told:
        return Path(told) / hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]
    return Path(importlib.util.cache_from_source(path)).parent


def _cache(function: Callable[..., Any], modules: Sequence[ModuleType]) -> Any:
    import numba
    from numba.core.caching import _Cache
    from numba.core.compiler import CompileResult

    source = inspect.getfile(function)
    sources = [source, *(inspect.getfile(module) for module in modules)]
    content = b"".join(Path(path).read_bytes() for path in sources)
    folder = cache_folder(source)

    class FileCache(_Cache):
        """Cache with numba's interface and one file for each function and kind of processor."""

        cache_path = str(folder)

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                target_context.refresh()
                data = _path(sig, target_context).read_bytes()
                if data[:32] != hashlib.sha256(data[32:]).digest():
                    return None
                return CompileResult._rebuild(target_context, *pickle.loads(data[32:]))
            except Exception:
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            with contextlib.suppress(Exception):
                path = _path(sig, data.target_context)
                _write(path, pickle.dumps(data._reduce(), protocol=4))

        def enable(self) -> None:
            """Do nothing, because numba never disables this cache."""

        def disable(self) -> None:
            """Do nothing."""

        def flush(self) -> None:
            """Do nothing, because files of newer sources replace those of older ones."""

    def _path(sig: Any, target_context: Any) -> Path:
        magic = map(str, target_context.codegen().magic_tuple())
        machine = (platform.python_version(), numba.__version__, str(sig), *magic)
        first = hashlib.sha256(repr(machine).encode()).hexdigest()[:12]
        second = hashlib.sha256(content).hexdigest()[:12]
        name = f"{Path(source).stem}.{function.__name__}.{first}.{second}{SUFFIX}"
        return folder / name

    return FileCache()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.tmp")  # Others may write, too.
    try:
        own.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(own, path)
    except BaseException:
        with contextlib.suppress(OSError):
            own.unlink()
        raise
    # Of the same function on the same kind of processor, from older sources.
    for other in path.parent.glob(f"{path.name.rsplit('.', 2)[0]}.*{SUFFIX}"):
        if other != path:
            with contextlib.suppress(OSError):
                other.unlink()
