"""Reading of series from files in the formats of the UCR and UEA archives.

This module has its own reader of ``.ts`` files, because its errors name the line of the file,
unlike the errors of sktime's reader.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._runtime.plain_files import open_plain, read_plain

Series = NDArray[np.float32]
Labels = NDArray[Any]
Floats = NDArray[np.floating[Any]]

NPY = b"\x93NUMPY"
"""First bytes of an ``.npy`` file."""
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Readers of array headers, by the version of numpy's format."""
MOST_UNPACKED = 1100
"""Maximum ratio of the unpacked to the packed size of a member; deflate reaches at most 1032."""
SHORT = 4096
"""Size in bytes up to which the ratio of a member is not checked."""
PADDED = 2**26
"""Number of values of a panel above which its amount of padding is checked."""
MOST_PADDED = 1000
"""Maximum number of values of a panel for each value in the file."""
NAMES_OF_LABELS = {"class", "classes", "class_label", "label", "labels", "target", "y"}
"""Names in a header that mark the label column."""


def read_file(path: Path, *, labelled: bool = True) -> list[NDArray[Any]]:
    """Read a ``.ts``, ``.tsv`` or ``.npz`` file.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether to raise an error for files without labels.

    Returns
    -------
    list of ndarray
        Series and labels. If the file has a training and a test part, the series and labels of
        the test part follow. If there are no labels, only the series.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the path is a device or a pipe.
    ValueError
        If the file is empty, malformed or in another format.
    """
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    with open_plain(path, follow_links=True) as file:
        if not file.read(1):
            raise ValueError(f"{path} is empty")
    match path.suffix:
        case ".ts":
            return read_ts(path, labelled)
        case ".tsv":
            return list(read_tsv(path))
        case ".npz":
            return read_npz(path, labelled)
    named = path.suffix in (".csv", ".parquet")
    raise ValueError(
        f"{path} is not a .ts, .tsv or .npz file; these are what can be read"
        + (" here, and files with named columns by skgdpd.datasets.load_table" if named else "")
    )


def read_npz(path: Path, labelled: bool = True) -> list[NDArray[Any]]:
    """Read ``X_train, y_train, X_test, y_test``, or ``X, y``, or ``X``, from an ``.npz`` file.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether to raise an error for files without labels.

    Returns
    -------
    list of ndarray
        The arrays, in this order.

    Raises
    ------
    ValueError
        If the file is not an ``.npz`` file, has other arrays or shapes, or has pickled objects.
    """
    arrays = read_members(path, ("X_train", "y_train", "X_test", "y_test", "X", "y"))
    if not labelled and "X" in arrays and "y" not in arrays:
        arrays["y"] = np.zeros(arrays["X"].shape[:1])
        return read_arrays(path, arrays)[:1]
    return read_arrays(path, arrays)


def read_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return series ``(n, c, t)`` and labels from the arrays of an ``.npz`` file."""
    for names in (("X_train", "y_train", "X_test", "y_test"), ("X", "y")):
        if set(names) <= set(arrays):
            break
    else:
        raise ValueError(
            f"{path} has the arrays {sorted(arrays)}; it needs X_train, y_train, X_test and "
            f"y_test, or X and y"
        )
    parts = [arrays[name] for name in names]
    for series, labels in zip(parts[::2], parts[1::2], strict=True):
        numeric = series.dtype.kind in "biuf" and series.ndim in (2, 3)
        of_labels = labels.dtype.kind in "biufU" and labels.shape == series.shape[:1]
        if not numeric or not of_labels or not series.size:
            raise ValueError(
                f"{path} has series of shape {series.shape} and type {series.dtype}, and labels "
                f"of shape {labels.shape} and type {labels.dtype}; they must be numbers "
                f"(n, channels, time), and numbers or texts (n,)"
            )
        if labels.dtype.kind == "U" and (labels == "").any():
            number = int(np.flatnonzero(labels == "")[0])
            raise ValueError(f"{path}: series {number} has an empty label")
    for i in range(0, len(parts), 2):
        parts[i] = _single(parts[i][:, None] if parts[i].ndim == 2 else parts[i], str(path))
    return parts


def read_members(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of an ``.npz`` file, after a check that their sizes fit the file.

    Parameters
    ----------
    path : Path
        Path of the file.
    names : sequence of str
        Names of the arrays to read.

    Returns
    -------
    dict of str to ndarray
        All arrays of the file by name. Arrays with other names are not read; their values are
        None.

    Raises
    ------
    ValueError
        If the file is not an ``.npz`` file, is damaged, or has pickled objects.
    """
    arrays: dict[str, Any] = {}
    with open_plain(path, follow_links=True) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    name = member.filename.removesuffix(".npy")
                    if name in arrays:
                        raise ValueError(f"it has {name} twice")
                    arrays[name] = _array(archive, member) if name in names else None
        except zipfile.BadZipFile as error:
            kind = "an .npy file of another name" if _begins(file, NPY) else str(error)
            raise ValueError(f"{path} can't be read as an .npz file: {kind}") from error
        except Exception as error:  # zipfile, zlib and numpy have a dozen for damaged files
            advice = "; save labels by y.astype(str)" if "pickle" in str(error) else ""
            raise ValueError(f"{path} can't be read as an .npz file: {error}{advice}") from error
    return arrays


def _begins(file: BinaryIO, start: bytes) -> bool:
    file.seek(0)
    return file.read(len(start)) == start


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read an array, after a check that its header claims no more data than the member has."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed as numpy never does")
    if member.file_size > MOST_UNPACKED * member.compress_size + SHORT:
        raise ValueError(f"{member.filename} claims {member.file_size} bytes, which is impossible")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"{member.filename} is of version {version} of numpy's format")
        shape, _, dtype = HEADERS[version](file)
        claimed = math.prod(shape) * dtype.itemsize
        held = member.file_size - file.tell()
        # numpy refuses pickled objects itself.
        if not dtype.hasobject and (min(shape, default=0) < 0 or claimed != held):
            raise ValueError(
                f"{member.filename} claims the shape {shape} of {dtype}, and has {held} bytes"
            )
    with archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def read_tsv(path: Path) -> tuple[Series, Labels]:
    """Read a ``.tsv`` file with one series in each line, its label first.

    Parameters
    ----------
    path : Path
        Path of the file.

    Returns
    -------
    series : ndarray of shape (n, 1, t)
        Series.
    labels : ndarray of shape (n,)
        Labels.

    Raises
    ------
    ValueError
        If a line has no tab, or an entry that is not a number. The error names the line.
    """
    lines = [
        (number, line.split("\t")) for number, line in enumerate(_lines(path), 1) if line.strip()
    ]
    if not lines:
        raise ValueError(f"{path} has no line with a series")
    for number, fields in lines:
        if len(fields) < 2:
            raise ValueError(f"{path}, line {number}: no tab, so no values after the label")
    labels = [_label(fields[0], path, number) for number, fields in lines]
    series = [_numbers(fields[1:], path, number) for number, fields in lines]
    if _is_header(labels, series[0]):
        raise ValueError(
            f"{path}, line {lines[0][0]}: {labels[0]!r} and {len(series[0])} ascending or "
            f"unlabelled values look like a header, which would become a series; "
            f"remove the line, or name the column of labels (load_table, --label)"
        )
    panel = _panel([[v] for v in series], [n for n, _ in lines], path, ragged=False)
    return panel, np.array(labels)


def _is_header(labels: list[str], first: Floats) -> bool:
    """Return whether the first line is a header, not a label and a series.

    The line is a header in any of these cases. Its label is a string, and all other labels are
    numbers. Its label is a common name of a label column. Its label is unique, and its values
    ascend evenly, as times or column numbers do. It consists of the numbers of all columns from 0
    on, as pandas writes them.
    """
    label, others = labels[0], labels[1:]
    if label == "0" and np.array_equal(first, np.arange(1, len(first) + 1)) and len(first) > 1:
        return True
    if label in others:
        return False
    if others and not _is_number(label) and all(map(_is_number, others)):
        return True
    if label.lower() in NAMES_OF_LABELS:
        return True
    steps = np.diff(first)
    even = len(steps) > 1 and bool(steps[0] > 0) and np.allclose(steps, steps[0], rtol=1e-3)
    return bool(others) and even


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_ts(path: Path, labelled: bool = True) -> list[NDArray[Any]]:
    """Read a ``.ts`` file, in which colons separate channels and the label comes last.

    Shorter series are filled up with NaN at the end. With ``@classLabel false``, there are no
    labels.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether to raise an error for files without labels.

    Returns
    -------
    list of ndarray
        Series ``(n, c, t)`` and labels ``(n,)``; only the series if there are no labels.

    Raises
    ------
    ValueError
        If there is no ``@data`` line, if labels are required and missing, if there are time
        stamps, or if a line is malformed. The error names the line.
    """
    lines = _lines(path)
    header = [line.strip().lower() for line in lines]
    if "@data" not in header:
        raise ValueError(f"{path} has no @data line; is it a .ts file?")
    start = header.index("@data")
    if any(line.split()[:2] == ["@timestamps", "true"] for line in header[:start]):
        raise ValueError(f"{path} has time stamps; series must be sampled evenly, without them")
    without = any(line.split()[:2] == ["@classlabel", "false"] for line in header[:start])
    if without and labelled:
        raise ValueError(f"{path} has no class labels (@classLabel false), which are needed here")
    series, labels, numbers = [], [], []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.strip().split(":")
        *channels, label = [*fields, ""] if without else fields
        if not channels:
            raise ValueError(f"{path}, line {number}: no colon, so no label after the values")
        series.append([_numbers(channel.split(","), path, number) for channel in channels])
        labels.append(label if without else _label(label, path, number))
        numbers.append(number)
    if not series:
        raise ValueError(f"{path} has no series after @data")
    equal = any(line.split()[:2] == ["@equallength", "true"] for line in header[:start])
    panel = _panel(series, numbers, path, ragged=not equal)
    return [panel] if without else [panel, np.array(labels)]


def _lines(path: Path) -> list[str]:
    content = read_plain(path, follow_links=True)
    # Comments in the archives have letters of other encodings.
    return content.decode("utf-8-sig", errors="replace").splitlines()


def _label(text: str, path: Path, line: int) -> str:
    label = text.strip()
    if not label:
        raise ValueError(f"{path}, line {line}: no label")
    if "\ufffd" in label or "\0" in label:
        raise ValueError(f"{path}, line {line}: the label {label!r} is not text in UTF-8")
    return label


def _numbers(fields: list[str], path: Path, line: int) -> Floats:
    try:
        values = np.array(["nan" if f.strip() == "?" else float(f) for f in fields], float)
        if any("_" in field for field in fields):
            raise ValueError("an underscore in a number")
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
    return _single(values, f"{path}, line {line}")


def _single(values: NDArray[Any], where: str) -> Series:
    """Return values in single precision; raise an error if a value is too large for it."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    if np.isinf(single).any():
        value = values[np.isinf(single)][0]
        raise ValueError(f"{where}: {value} is beyond single precision, which series are read in")
    return single


def check_padding(name: str, n: int, n_channels: int, n_timepoints: int, n_points: int) -> None:
    """Raise an error if padding to the longest series would need much memory for few values.

    Parameters
    ----------
    name : str
        Name of the source of the series, for the error.
    n, n_channels, n_timepoints : int
        Shape of the padded series.
    n_points : int
        Number of points without padding.

    Raises
    ------
    ValueError
        If the padded series would be large and consist almost entirely of padding.
    """
    size = n * n_channels * n_timepoints
    if size > PADDED and size > MOST_PADDED * n_points:
        raise ValueError(
            f"{name}: {n} series, padded to the {n_timepoints} points of the longest, would "
            f"be {4 * size} bytes, most of it padding; cut or leave out the longest"
        )


def _panel(series: list[list[Floats]], lines: list[int], path: Path, *, ragged: bool) -> Series:
    n_channels = len(series[0])
    first = len(series[0][0])
    longest = max(len(channels[0]) for channels in series)
    there = sum(len(channels[0]) for channels in series)
    check_padding(str(path), len(series), n_channels, longest, there)
    panel = np.full((len(series), n_channels, longest), np.nan, dtype=np.float32)
    for row, channels, line in zip(panel, series, lines, strict=True):
        lengths = [len(channel) for channel in channels]
        if len(lengths) != n_channels:
            raise ValueError(
                f"{path}, line {line}: {len(lengths)} channels, in line {lines[0]} {n_channels}; "
                f"all series must have equally many"
            )
        if len(set(lengths)) != 1:
            raise ValueError(
                f"{path}, line {line}: channels of {lengths} values; all channels of a series "
                f"must have equally many"
            )
        if lengths[0] != first and not ragged:
            raise ValueError(
                f"{path}, line {line}: {lengths[0]} values, in line {lines[0]} {first}; all must "
                f"have equally many (pad with NaN, or write a .ts file without @equalLength true)"
            )
        row[:, : lengths[0]] = channels
    return panel
