"""Early classification of time series, taught by a whole-series teacher (GDPD)."""

from ._gdpd import GDPDClassifier
from ._gendd import GenDDClassifier
from ._panel import Recordings
from ._paper import paper_parameters
from ._persistence import load
from ._prefix import DistilledPrefixClassifier, PrefixClassifier
from ._prior import DiffusionFeaturePrior
from ._recordings import RecordingsCheck, check_recordings
from ._search import GDPDSearchCV
from ._truncation import PrefixTruncator
from ._unlabeled import LabeledFolds
from ._version import __version__

__all__ = [
    "DiffusionFeaturePrior",
    "DistilledPrefixClassifier",
    "GDPDClassifier",
    "GDPDSearchCV",
    "GenDDClassifier",
    "LabeledFolds",
    "PrefixClassifier",
    "PrefixTruncator",
    "Recordings",
    "RecordingsCheck",
    "__version__",
    "check_recordings",
    "load",
    "paper_parameters",
]
