"""Reading of series from files in the formats of the UCR and UEA archives.

``.ts`` files have a reader of their own here, because its errors name the line of the file, unlike
those of sktime's reader.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float32]
Labels = NDArray[Any]


def read_file(path: Path, *, labelled: bool = True) -> list[NDArray[Any]]:
    """Read a ``.ts``, ``.tsv`` or ``.npz`` file.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether series without labels are refused.

    Returns
    -------
    list of ndarray
        Series and labels. If the file has a training and a test part, series and labels of the
        test part follow. Series alone if there are no labels.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, of another format, or malformed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    match path.suffix:
        case ".ts":
            return read_ts(path, labelled)
        case ".tsv":
            return list(read_tsv(path))
        case ".npz":
            return read_npz(path, labelled)
    raise ValueError(f"{path} is no .ts, .tsv or .npz file; these are what can be read")


def read_npz(path: Path, labelled: bool = True) -> list[NDArray[Any]]:
    """Read ``X_train, y_train, X_test, y_test``, or ``X, y``, or ``X``, from an ``.npz`` file.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether series without labels are refused.

    Returns
    -------
    list of ndarray
        The arrays, in this order.

    Raises
    ------
    ValueError
        If it is no ``.npz`` file, or has other arrays or shapes, or has pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read as an .npz file: {error}") from error
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
        if not numeric or labels.shape != series.shape[:1] or not len(series):
            raise ValueError(
                f"{path} has series of shape {series.shape} and type {series.dtype}, and labels "
                f"of shape {labels.shape}; they must be numbers (n, channels, time), and (n,)"
            )
    for i in range(0, len(parts), 2):
        parts[i] = (parts[i][:, None] if parts[i].ndim == 2 else parts[i]).astype(np.float32)
    return parts


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
        If a line has no tab, or an entry that is no number; the error names the line.
    """
    text = path.read_text("utf-8-sig", errors="replace")
    lines = [
        (number, line.split("\t"))
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    if not lines:
        raise ValueError(f"{path} has no line with a series")
    for number, fields in lines:
        if len(fields) < 2:
            raise ValueError(f"{path}, line {number}: no tab, so no values after the label")
    series = [_numbers(fields[1:], path, number) for number, fields in lines]
    labels = np.array([fields[0].strip() for _, fields in lines])
    panel = _panel([[v] for v in series], [n for n, _ in lines], path, ragged=False)
    return panel, labels


def read_ts(path: Path, labelled: bool = True) -> list[NDArray[Any]]:
    """Read a ``.ts`` file, in which colons separate channels and the label comes last.

    Series of unequal length end in NaN. With ``@classLabel false`` there are no labels.

    Parameters
    ----------
    path : Path
        Path of the file.
    labelled : bool, default=True
        Whether series without labels are refused.

    Returns
    -------
    list of ndarray
        Series ``(n, c, t)`` and labels ``(n,)``; series alone if there are no labels.

    Raises
    ------
    ValueError
        If there is no ``@data`` line, if labels are required and missing, if there are time
        stamps, or if a line is malformed; the error names the line.
    """
    lines = path.read_text("utf-8-sig", errors="replace").splitlines()
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
        labels.append(label.strip())
        numbers.append(number)
    if not series:
        raise ValueError(f"{path} has no series after @data")
    equal = any(line.split()[:2] == ["@equallength", "true"] for line in header[:start])
    panel = _panel(series, numbers, path, ragged=not equal)
    return [panel] if without else [panel, np.array(labels)]


def _numbers(fields: list[str], path: Path, line: int) -> list[float]:
    try:
        return [float("nan") if field.strip() == "?" else float(field) for field in fields]
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error


def _panel(
    series: list[list[list[float]]], lines: list[int], path: Path, *, ragged: bool
) -> Series:
    n_channels = len(series[0])
    first = len(series[0][0])
    longest = max(len(channels[0]) for channels in series)
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
