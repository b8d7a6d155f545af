"""Cells of a benchmark: runs of one method on one data set in one setting."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROTOCOLS = ("default", "paper", "reference")
SETTINGS = ("labels", "unlabelled", "ceiling")


@dataclass(frozen=True, order=True)
class Cell:
    """Run of one method on one data set, in one setting and with one seed.

    Attributes
    ----------
    data : str
        Name of the data set.
    method : str
        Name of the method; see :func:`~skgdpd.benchmarking.methods.make_method`.
    earliness : float
        The fraction of each series that is observed, in (0, 1].
    normalize : {"train", "prefix", "none"}
        Whether series are normalised by statistics of the training part, by statistics of each
        prefix, or not at all.
    setting : str
        The series used for training and for scores. ``"labels"``: training uses the training
        part, and the test part is scored. ``"unlabelled"``: training also uses half of the test
        part as whole unlabelled series, and the other half is scored. ``"ceiling"``: the same, but
        this half has its labels. ``"unlabelled:100"``, ``"ceiling:100"``: training uses only 100
        series of this half. ``"share:0.2"``: 20 % of the training part have labels, and the rest
        are unlabelled.
    seed : int
        Seed of all random draws: validation part, weights, batches, noise, halves.
    protocol : {"default", "paper", "reference"}
        The parameters: defaults of the package, those of the GDPD paper, or those of the program
        of its authors.
    search : bool
        Whether the parameter of the method is chosen among three values on the validation part.
        If False, it has its default value.
    """

    data: str
    method: str
    earliness: float
    normalize: str = "train"
    setting: str = "labels"
    seed: int = 0
    protocol: str = "default"
    search: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.earliness <= 1:
            raise ValueError(f"earliness={self.earliness}; it must be in (0, 1]")
        if self.normalize not in ("train", "prefix", "none"):
            raise ValueError(f"normalize={self.normalize!r}; allowed are train, prefix and none")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol={self.protocol!r}; allowed are {', '.join(PROTOCOLS)}")
        if not (self.setting in SETTINGS or self.n_teaching or 0 < self.labeled_share < 1):
            raise ValueError(
                f"setting={self.setting!r}; allowed are {', '.join(SETTINGS)}, unlabelled:N and "
                f"ceiling:N with N series, and share:F with F between 0 and 1"
            )

    @property
    def n_teaching(self) -> int | None:
        """Number of test series used for training; None if the setting does not name a number."""
        match = re.fullmatch(r"(?:unlabelled|ceiling):([1-9]\d*)", self.setting)
        return int(match[1]) if match else None

    @property
    def labeled_share(self) -> float:
        """Fraction of the training series that keep their labels; 0 for an unknown setting."""
        match = re.fullmatch(r"share:(0?\.\d+)", self.setting)
        return float(match[1]) if match else float(self.setting in SETTINGS)

    @property
    def key(self) -> str:
        """File name of the record of the cell, which is unique to the cell."""
        text = "--".join(str(value) for value in asdict(self).values())
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', text)[:120]}--{digest}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def make_cells(
    data: Sequence[str],
    methods: Sequence[str],
    earliness: Sequence[float],
    normalize: Sequence[str],
    settings: Sequence[str],
    seeds: int,
    protocol: str = "default",
    search: bool = False,
) -> list[Cell]:
    """Combine all values, ordered so that cells with the same teacher are consecutive.

    Parameters
    ----------
    data, methods, earliness, normalize, settings : sequence
        The values of the fields of :class:`Cell`. A value that is given twice counts once.
    seeds : int
        Number of seeds: 0, 1, and so on.
    protocol : {"default", "paper", "reference"}, default="default"
        The parameters of all cells.
    search : bool, default=False
        Whether all cells choose the parameter of their method.

    Returns
    -------
    list of Cell

    Raises
    ------
    ValueError
        If one of the values is not allowed.
    """
    cells = [
        Cell(name, method, part, norm, setting, seed, protocol, search)
        for seed, name, norm, setting, part, method in itertools.product(
            range(seeds), data, normalize, settings, earliness, methods
        )
    ]
    return list(dict.fromkeys(cells))
