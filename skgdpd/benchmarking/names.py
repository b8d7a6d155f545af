"""Names of methods, settings and normalisations in plots."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .methods import available_distillers

KINDS = {
    "base": "no teacher",
    "gdpd": "GDPD",
    "gendd": "GenDD",
    "gendd-head": "GenDD, own head",
    "gendd-draws": "GenDD, draws alone",
    "gendd-paper": "GenDD, the paper's condition",
    "gendd-unsupervised": "GenDD, labels for the teacher alone",
    "hinton-reverse": "Hinton, reverse KL",
    "hinton-js": "Hinton, Jensen-Shannon",
    "hinton-skewed": "Hinton, skewed KL",
    "hinton-skewed-reverse": "Hinton, skewed reverse KL",
    "tip-unsure": "TIP, unsure series",
    "tip-overconfident": "TIP, overconfident series",
    "hinton-chosen": "Hinton, teacher chosen by validation",
    "lupts": "LuPTS",
    "lupts-direct": "LuPTS without its chain",
    "lupts-rocket": "LuPTS on MiniRocket features",
    "lupts-rocket-direct": "LuPTS on MiniRocket features without its chain",
}
COMPETITORS = {
    "minirocket": "MiniRocket + ridge",
    "logistic": "logistic regression",
    "extra-trees": "extra trees",
    "label-spreading": "label spreading",
}
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
    distillers = {name: cls.__name__ for name, cls in available_distillers().items()}
    words = {**distillers, **COMPETITORS, **KINDS}.get(
        kind, re.sub(r"^(\w+\.)+|Classifier$", "", kind)
    )
    if len(backbones) == 2 and backbones[0] != backbones[1]:
        words += f" by {backbones[1]}"
    return ", ".join([*backbones[:1], words]) + suffix
