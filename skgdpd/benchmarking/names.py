"""Names of methods, settings and normalisations in plots."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .kinds import KINDS

NORMALISED = {
    "train": "normalised by the training part",
    "prefix": "each prefix normalised by itself",
    "none": "not normalised",
}
SETTINGS = {
    "labels": "labels only",
    "unlabelled": "unlabelled series",
    "ceiling": "true labels of the unlabelled series",
    "share": "labelled share",
}


def drawn_names(methods: Sequence[str]) -> dict[str, str]:
    """Return the names of methods in plots, in words unless two methods would get equal names."""
    drawn = {name: _words(name) for name in methods}
    counts = Counter(drawn.values())
    return {name: words if counts[words] == 1 else name for name, words in drawn.items()}


def drawn_setting(setting: str) -> str:
    """Return the name of a setting in plots, such as "unlabelled series: 100"."""
    kind, *number = setting.split(":")
    return ": ".join([SETTINGS[kind], *number])


def _words(method: str) -> str:
    """Return the name of a method in words: "rocket, Hinton by fcn" for "hinton:rocket:fcn"."""
    end = re.search(r"(, searched)?( \(\w+\))?$", method)
    suffix = end[0] if end else ""
    kind, *backbones = method.removesuffix(suffix).split(":")
    words = KINDS[kind].words if kind in KINDS else re.sub(r"^(\w+\.)+|Classifier$", "", kind)
    if len(backbones) == 2 and backbones[0] != backbones[1]:
        words += f" by {backbones[1]}"
    return ", ".join([*backbones[:1], words]) + suffix
