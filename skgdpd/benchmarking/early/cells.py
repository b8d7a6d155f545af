"""Cells of the comparison: runs of one model on one data set."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

MODELS = ("ours", "clones", "aeon-teaser", "aeon-threshold", "labels-third", "unlabeled-third")
"""Models by name; see :func:`~skgdpd.benchmarking.early.models.fit_model`."""

SETS = (
    "Coffee",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "FaceFour",
    "ECG200",
    "Trace",
    "Plane",
    "CBF",
    "TwoLeadECG",
    "MoteStrain",
    "ECGFiveDays",
    "DodgerLoopGame",
    "RacketSports",
    "PowerCons",
    "Epilepsy",
    "NATOPS",
    "SyntheticControl",
    "JapaneseVowels",
    "GesturePebbleZ1",
    "SwedishLeaf",
    "FaceAll",
    "ECG5000",
    "Wafer",
)
"""The data sets of the results pages, in ascending order of size."""


@dataclass(frozen=True, order=True)
class EarlyCell:
    """Run of one model on one data set with one seed.

    Attributes
    ----------
    data : str
        Name of the data set.
    model : str
        One of :data:`MODELS`.
    normalize : {"train", "prefix"}
        Whether series are normalised by statistics of the training part or of each prefix.
    seed : int
        Seed of all random draws.
    """

    data: str
    model: str
    normalize: str = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model={self.model!r}; allowed are {', '.join(MODELS)}")
        if self.normalize not in ("train", "prefix"):
            raise ValueError(f"normalize={self.normalize!r}; allowed are train and prefix")

    @property
    def key(self) -> str:
        """Stem of the names of the cell's files."""
        name = self.data.replace(":", "_").replace("/", "_")
        return f"{name}--{self.model}--{self.normalize}--{self.seed}"


def make_early_cells(
    data: Sequence[str], models: Sequence[str], normalize: Sequence[str], seeds: Sequence[int]
) -> list[EarlyCell]:
    """Combine all values; the last data set comes last for all seeds.

    Parameters
    ----------
    data, models, normalize : sequence of str
        Values of the fields of :class:`EarlyCell`. A value that is given twice counts once.
    seeds : sequence of int
        The seeds.

    Returns
    -------
    list of EarlyCell

    Raises
    ------
    ValueError
        If one of the values is not allowed.
    """
    cells = [
        EarlyCell(name, model, how, seed)
        for seed, name, how, model in itertools.product(seeds, data, normalize, models)
    ]
    return list(dict.fromkeys(cells))
