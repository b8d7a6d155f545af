"""Early classification of time series (ECTS), with semi-supervised knowledge distillation.

Classifiers predict from the first part of a series. Stopping rules decide when enough has been
seen. Unlabelled series get pseudo-labels from a teacher of whole series.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import diffusion, distillers, metrics, nets, training
    from ._public import *

__all__ = [
    "DiffusionFeaturePrior",
    "DistilledPrefixClassifier",
    "EarlyClassifier",
    "EarlyDecisions",
    "EarlySession",
    "GDPDClassifier",
    "GenDDClassifier",
    "GeneratorOptions",
    "LabeledFolds",
    "LuPTSClassifier",
    "ModelFileError",
    "PrefixClassifier",
    "PrefixTruncator",
    "SeriesOptions",
    "SharedGridSearchCV",
    "StreamDecision",
    "TrainingOptions",
    "UnlabeledCheck",
    "WindowImportance",
    "__version__",
    "check_unlabeled",
    "config_context",
    "get_config",
    "load",
    "paper_parameters",
    "save",
    "set_config",
    "window_importance",
]


_PARTS = ("diffusion", "distillers", "metrics", "nets", "training")
"""Public modules that ``import skgdpd`` makes available as attributes."""


if not TYPE_CHECKING:  # which would take every name for a public one

    def __getattr__(name: str) -> Any:
        """Import a public module, or all public names, at the first access."""
        # Python imports this module before ``python -m skgdpd`` begins. Torch takes seconds, in
        # which the program has to answer an interrupt.
        if name in _PARTS:
            return import_module(f".{name}", __name__)
        if name in __all__:
            public = import_module("._public", __name__)
            globals().update({each: getattr(public, each) for each in public.__all__})
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the module, including those that are not imported yet."""
    return sorted({*globals(), *__all__, *_PARTS})
