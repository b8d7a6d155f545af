"""What a benchmark is made of: one method on one data set in one setting."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROTOCOLS = ("default", "paper", "reference")
SETTINGS = ("labels", "recordings", "ceiling")


@dataclass(frozen=True, order=True)
class Cell:
    """One cell of a benchmark.

    Attributes
    ----------
    data : str
        Name of the data set.
    method : str
        See :func:`~skgdpd.benchmarking.methods.make_method`.
    earliness : float
        Part seen.
    normalize : {"train", "prefix", "none"}
        By statistics of the training part, of each prefix itself, or not at all.
    setting : str
        ``"labels"``: the training part teaches, the test part is scored. ``"recordings"``: half
        of the test part teaches, too, as whole series without labels, and the other half is
        scored. ``"ceiling"``: that half comes with its labels. ``"recordings:100"``,
        ``"ceiling:100"``: only 100 series of that half. ``"share:0.2"``: only 20 % of the
        training part has labels, the rest are recordings.
    seed : int
        Of everything that is drawn: the validation part, weights, batches, noise, halves.
    protocol : {"default", "paper", "reference"}
        The package's parameters, the GDPD paper's, or those of its authors' program.
    search : bool
        Whether the method's parameter is chosen among three values on the validation part, or
        has its default.
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
        if not (self.setting in SETTINGS or self.n_recordings or 0 < self.labeled_share < 1):
            raise ValueError(
                f"setting={self.setting!r}; allowed are {', '.join(SETTINGS)}, recordings:N and "
                f"ceiling:N with N series, and share:F with F between 0 and 1"
            )

    @property
    def n_recordings(self) -> int | None:
        """How many recordings; None for as many as there are, or none."""
        match = re.fullmatch(r"(?:recordings|ceiling):([1-9]\d*)", self.setting)
        return int(match[1]) if match else None

    @property
    def labeled_share(self) -> float:
        """Part of the training series that keep their labels; 0 if that makes no sense."""
        match = re.fullmatch(r"share:(0?\.\d+)", self.setting)
        return float(match[1]) if match else float(self.setting in SETTINGS)

    @property
    def key(self) -> str:
        """A name fit for a file, and of this cell only."""
        text = "--".join(str(value) for value in asdict(self).values())
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', text)[:120]}--{digest}"

    def to_dict(self) -> dict[str, Any]:
        """Its fields."""
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
    """All combinations, ordered so that cells of one teacher follow each other.

    Raises
    ------
    ValueError
        If one of the values is not allowed.
    """
    return [
        Cell(name, method, part, norm, setting, seed, protocol, search)
        for seed, name, norm, setting, part, method in itertools.product(
            range(seeds), data, normalize, settings, earliness, methods
        )
    ]
