"""Model files: JSON and safetensors, in one zip file or in a folder.

Neither format can run code. ``model.json`` describes the model, and contains a checksum of itself
and a checksum of the tensors, which are in a second file. In a folder, the tensor file is named
after its checksum. A new model is therefore complete as soon as ``model.json`` is replaced, which
the operating system does atomically.
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
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .._runtime.atomic import replace_file
from .._runtime.plain_files import NotAPlainFileError, read_plain

FORMAT = "skgdpd model"
FORMAT_VERSION = 1
"""Version of the format. It increases when older versions of the package can't read new files."""

HEADER = "model.json"
SESSION = "early-session"
"""Kind of the file of a session, which is no model."""
TENSORS = re.compile(r"tensors(-[0-9a-f]{16})?\.safetensors")
WIDEST = 1 << 20
"""Largest size of a dimension of a tensor without values."""
# A constant, so that the same model gives the same bytes.
TIME = (1980, 1, 1, 0, 0, 0)

ATTEMPTS = 2
"""Number of attempts to read a folder, because another process may be saving into it."""
ENCRYPTED = 0x1
"""Flag of encrypted members of zip files."""

Read = Callable[[str], bytes]


class ModelFileError(ValueError):
    """Error for a file that can't be loaded as a model or a session of this package.

    The file may come from another program or a newer version, may be truncated, damaged or
    modified, or may not be a regular file. The message names the reason.
    """


def check_target(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return the path of a new model, and whether it is a folder.

    Parameters
    ----------
    path : str or path
        Name of the model. It is a folder if a folder of this name exists or if the name ends in a
        separator, otherwise a zip file.

    Returns
    -------
    target : Path
        File or folder, with links resolved.
    is_folder : bool
        Whether the model is a folder.

    Raises
    ------
    FileNotFoundError
        If the folder to write into does not exist.
    FileExistsError
        If the folder contains files that are not part of a model.
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
        Content of ``model.json``: numbers, strings, and lists and dicts of them.
    tensors : dict of str to Tensor
        Tensors by name.

    Raises
    ------
    FileNotFoundError, FileExistsError
        For the reasons of :func:`check_target`.
    OSError
        If the file can't be written. The old model is then unchanged, and no part of the new
        model is left.
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
    """Read a model file that was written by :func:`write_model`.

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
    ModelFileError
        If the file is not a model file, has a newer format, is truncated or was modified, or if
        it is a link or a special file such as a device.
    """
    target = Path(path)
    if not os.path.lexists(target):
        raise FileNotFoundError(f"there is no model file {path}; give the path of a saved model")
    try:
        if target.is_dir() and not target.is_symlink():
            return _read_folder(path, target)
        content = read_plain(target)
    except NotAPlainFileError as error:
        raise ModelFileError(str(error)) from error
    return _read_zip(path, content)


def _read_folder(path: Any, folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not os.path.lexists(folder / HEADER):
        raise ModelFileError(f"{path} is not a model of skgdpd: the folder has no {HEADER}")
    for attempt in range(1, ATTEMPTS + 1):
        header = read_plain(folder / HEADER)
        try:
            return _read(path, partial(_member, folder, header))
        except ModelFileError:
            # The old tensors are removed as soon as the header is that of the new ones.
            if attempt == ATTEMPTS or read_plain(folder / HEADER) == header:
                raise
    raise AssertionError("unreachable")


def _member(folder: Path, header: bytes, name: str) -> bytes:
    return header if name == HEADER else read_plain(folder / name)


def _read_zip(path: Any, content: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # zipfile has a dozen errors for damaged files
        raise ModelFileError(_what_else(path, content)) from error
    with archive:
        names = archive.namelist()
        if HEADER not in names:
            raise ModelFileError(f"{path} is not a model of skgdpd: the zip file has no {HEADER}")
        if len(set(names)) < len(names):
            raise ModelFileError(f"{path} is damaged or was altered: it has a member twice")
        for member in archive.infolist():
            _check_member(path, member, len(content))
        return _read(path, archive.read)


def _check_member(path: Any, member: zipfile.ZipInfo, size: int) -> None:
    """Raise an error for a member that :func:`write_model` can't have written."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ModelFileError(
            f"{path} was packed again: skgdpd's own model files are not compressed. "
            f"Unpack it, and open the folder"
        )
    if member.flag_bits & ENCRYPTED:
        raise ModelFileError(
            f"{path} was encrypted: skgdpd's own model files are not. Unpack it, and open the "
            f"folder"
        )
    if member.compress_size != member.file_size or member.file_size > size:
        raise ModelFileError(
            f"{path} is damaged or was altered: {member.filename} claims {member.file_size} "
            f"bytes, and the file has {size}"
        )


def _read(path: Any, read: Read) -> tuple[dict[str, Any], dict[str, Tensor]]:
    damaged = f"{path} is damaged or was altered"
    header = _read_header(path, _read_member(path, read, HEADER), damaged)
    described = header.get("tensors")
    described = described if isinstance(described, dict) else {}
    name = described.get("file")
    if not isinstance(name, str):
        raise ModelFileError(f"{damaged}: the tensors are missing")
    if not TENSORS.fullmatch(name):
        raise ModelFileError(f"{damaged}: {name!r} is not the name of a file with tensors")
    content = _read_member(path, read, name)
    if _digest(content) != described.get("sha256"):
        raise ModelFileError(f"{damaged}: the checksum of the tensors does not match")
    try:
        tensors = load_tensors(content)
    except MemoryError:
        raise
    except Exception as error:  # of unknown types and of shapes beyond the content, too
        raise ModelFileError(f"{damaged}: the tensors can't be read: {error}") from error
    for key, tensor in tensors.items():
        # Without values, as those of a session without series, a tensor may claim any width.
        if max(tensor.shape, default=0) > max(len(content), WIDEST):
            raise ModelFileError(f"{damaged}: {key} claims the shape {tuple(tensor.shape)}")
    return header, tensors


def _read_member(path: Any, read: Read, name: str) -> bytes:
    damaged = f"{path} is damaged or was altered"
    try:
        return read(name)
    except NotAPlainFileError as error:
        raise ModelFileError(f"{damaged}: {error}") from error
    except (FileNotFoundError, KeyError) as error:
        what = "the tensors are missing" if name != HEADER else f"{HEADER} is missing"
        raise ModelFileError(f"{damaged}: {what}") from error
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile has a dozen errors for damaged members
        raise ModelFileError(f"{path} is cut off or damaged: {name} can't be read") from error


def _read_header(path: Any, content: bytes, damaged: str) -> dict[str, Any]:
    try:
        header = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{damaged}: {HEADER} can't be read") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} is not a model of skgdpd: its {HEADER} is of another program"
        )
    version = header.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        versions = header.get("versions")
        writer = versions.get("skgdpd") if isinstance(versions, dict) else None
        raise ModelFileError(
            f"{path} has format {version}, of skgdpd {writer or 'in a newer version'}; this "
            f"version reads formats up to {FORMAT_VERSION}. Update skgdpd to open it"
        )
    checksum = header.pop("checksum", None)
    if checksum != _checksum(header):
        raise ModelFileError(f"{damaged}: the checksum of {HEADER} does not match")
    return header


def _what_else(path: Any, content: bytes) -> str:
    """Return an error message for a file that is not a complete zip file."""
    if content.startswith(b"PK\x03\x04"):
        return f"{path} is cut off or damaged"
    message = f"{path} is not a model of skgdpd"
    if content.startswith(b"\x80"):
        message += (
            "; it looks like a pickle. joblib.load or pickle.load open those, and run whatever "
            "code is in them: only for files from someone you trust"
        )
    return message


def _write_folder(folder: Path, name: str, content: bytes, text: bytes) -> None:
    had_folder, had_tensors = folder.exists(), (folder / name).exists()
    folder.mkdir(exist_ok=True)
    try:
        replace_file(folder / name, content)
        replace_file(folder / HEADER, text)
    except BaseException:
        with suppress(OSError):
            if not had_tensors:
                (folder / name).unlink(missing_ok=True)
            if not had_folder:
                folder.rmdir()
        raise
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
    """Return a contiguous copy on the CPU, as the format requires."""
    return tensor.detach().cpu().contiguous().clone()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum(header: dict[str, Any]) -> str:
    return _digest(json.dumps(header, sort_keys=True).encode())
