"""Model files: JSON and safetensors, in one zip file or in a folder.

Nothing in either can run code. ``model.json`` describes the model and holds a checksum of itself
and one of the tensors, which are in the other file. In a folder the tensors' file is named after
its checksum. A new model is therefore complete as soon as ``model.json`` is replaced, which the
operating system does in one step.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .._runtime.atomic import replace_file

FORMAT = "skgdpd model"
FORMAT_VERSION = 1
"""Version of the format, raised when older versions of the package can't read new files."""

HEADER = "model.json"
TENSORS = re.compile(r"tensors(-[0-9a-f]{16})?\.safetensors")
# A constant, so that the same model gives the same bytes.
TIME = (1980, 1, 1, 0, 0, 0)

Read = Callable[[str], bytes]


def check_target(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return the place of a new model, and whether that is a folder.

    Parameters
    ----------
    path : str or path
        Name of the model. It is a folder if there is a folder of this name or the name ends in a
        separator, else a zip file.

    Returns
    -------
    target : Path
        File or folder, with links resolved.
    is_folder : bool
        True for a folder.

    Raises
    ------
    FileNotFoundError
        If the folder to write into does not exist.
    FileExistsError
        If the folder has files that belong to no model.
    """
    target = Path(os.path.realpath(path))
    in_folder = target.is_dir() or os.fspath(path).endswith(("/", os.sep))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {target.parent} to write {target.name} into; make it first"
        )
    if target.is_dir() and any(target.iterdir()) and not (target / HEADER).is_file():
        raise FileExistsError(f"{target} holds something else than a model; name a new folder")
    return target, in_folder


def write_model(path: str | os.PathLike[str], header: dict[str, Any], tensors: Any) -> None:
    """Write a model file.

    Parameters
    ----------
    path : str or path
        File or folder; see :func:`check_target`.
    header : dict
        Content of ``model.json``: numbers, strings, lists and dicts of these.
    tensors : dict of str to Tensor
        Tensors by name.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If :func:`check_target` raises it.
    """
    target, in_folder = check_target(path)
    content = save_tensors({name: _compact(tensor) for name, tensor in tensors.items()})
    digest = _digest(content)
    name = f"tensors-{digest[:16]}.safetensors" if in_folder else "tensors.safetensors"
    shapes = {key: list(tensor.shape) for key, tensor in tensors.items()}
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **header,
        "tensors": {"file": name, "sha256": digest, "shapes": shapes},
    }
    header["checksum"] = _checksum(header)
    text = json.dumps(header, indent=1, allow_nan=False).encode()
    if in_folder:
        _write_folder(target, name, content, text)
    else:
        replace_file(target, _zipped({HEADER: text, name: content}))


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a model file that :func:`write_model` wrote.

    Parameters
    ----------
    path : str or path
        File or folder.

    Returns
    -------
    header : dict
        Content of ``model.json``.
    tensors : dict of str to Tensor
        Tensors by name, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If it is no model file, of a newer format, cut off, or altered.
    """
    target = Path(path)
    if target.is_dir():
        if not (target / HEADER).is_file():
            raise ValueError(f"{path} is no model of skgdpd: the folder has no {HEADER}")
        return _read(path, lambda name: (target / name).read_bytes())
    if not target.is_file():
        raise FileNotFoundError(f"there is no model file {path}; give the path that save wrote")
    content = target.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if HEADER not in archive.namelist():
                raise ValueError(f"{path} is no model of skgdpd: the zip file has no {HEADER}")
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError(
                    f"{path} was packed again: skgdpd's own model files are not compressed. "
                    f"Unpack it, and open the folder"
                )
            return _read(path, archive.read)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(_what_else(path, content)) from error


def _read(path: Any, read: Read) -> tuple[dict[str, Any], dict[str, Tensor]]:
    damaged = f"{path} is damaged or was altered"
    try:
        header = json.loads(read(HEADER))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{damaged}: {HEADER} can't be read") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path} is no model of skgdpd: its {HEADER} is of another program")
    version = header.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        versions = header.get("versions")
        writer = versions.get("skgdpd") if isinstance(versions, dict) else None
        raise ValueError(
            f"{path} has format {version}, of skgdpd {writer or 'in a newer version'}; this "
            f"version reads formats up to {FORMAT_VERSION}. Update skgdpd to open it"
        )
    checksum = header.pop("checksum", None)
    if checksum != _checksum(header):
        raise ValueError(f"{damaged}: the checksum of {HEADER} does not match")
    try:
        name, digest = header["tensors"]["file"], header["tensors"]["sha256"]
        if not TENSORS.fullmatch(name):
            raise ValueError(f"{damaged}: {name!r} is no name of a file with tensors")
        content = read(name)
    except (KeyError, TypeError, FileNotFoundError) as error:
        raise ValueError(f"{damaged}: the tensors are missing") from error
    if _digest(content) != digest:
        raise ValueError(f"{damaged}: the checksum of the tensors does not match")
    try:
        return header, load_tensors(content)
    except SafetensorError as error:
        raise ValueError(f"{damaged}: {error}") from error


def _what_else(path: Any, content: bytes) -> str:
    """Return a message that describes a file that is no complete zip file."""
    if content.startswith(b"PK\x03\x04"):
        return f"{path} is cut off or damaged"
    message = f"{path} is no model of skgdpd"
    if content.startswith(b"\x80"):
        message += (
            "; it looks like a pickle. joblib.load or pickle.load open those, and run whatever "
            "code is in them: only for files from someone you trust"
        )
    return message


def _write_folder(folder: Path, name: str, content: bytes, text: bytes) -> None:
    folder.mkdir(exist_ok=True)
    replace_file(folder / name, content)
    replace_file(folder / HEADER, text)
    for file in folder.iterdir():
        if TENSORS.fullmatch(file.name) and file.name != name:
            with suppress(OSError):
                file.unlink()


def _zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, TIME), content)
    return buffer.getvalue()


def _compact(tensor: Tensor) -> Tensor:
    """Return a contiguous copy on the CPU: the format has no shared or strided memory."""
    return tensor.detach().cpu().contiguous().clone()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum(header: dict[str, Any]) -> str:
    return _digest(json.dumps(header, sort_keys=True).encode())
