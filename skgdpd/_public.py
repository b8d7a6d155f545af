"""Public names of the package, which are imported together."""

from ._early.classifier import EarlyClassifier, EarlyDecisions
from ._early.session import EarlySession, StreamDecision
from ._estimators.distilled import DistilledPrefixClassifier
from ._estimators.gdpd import GDPDClassifier
from ._estimators.gendd import GenDDClassifier
from ._estimators.lupts import LuPTSClassifier
from ._estimators.options import SeriesOptions, TrainingOptions
from ._estimators.paper import paper_parameters
from ._estimators.prefix import PrefixClassifier
from ._estimators.prior import DiffusionFeaturePrior
from ._model_selection.folds import LabeledFolds
from ._model_selection.grid import SharedGridSearchCV
from ._model_selection.importance import WindowImportance, window_importance
from ._model_selection.unlabeled_check import UnlabeledCheck, check_unlabeled
from ._persistence import ModelFileError, load, save
from ._runtime.config import config_context, get_config, set_config
from ._series.truncation import PrefixTruncator
from .distillers import GeneratorOptions

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
    "check_unlabeled",
    "config_context",
    "get_config",
    "load",
    "paper_parameters",
    "save",
    "set_config",
    "window_importance",
]
