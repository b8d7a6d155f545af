"""Distillers: methods of knowledge distillation, one class each."""

from .around import PACED, TeKAP
from .base import (
    Distillation,
    DistillationContext,
    Distiller,
    Predictor,
    PredictorContext,
    SeriesObjective,
)
from .curriculum import CheckpointCurriculum, EarlinessCurriculum, RecursiveAnchoring
from .decoupled import DIST, DKD
from .dho import DHO
from .diffkd import DiffKD
from .features import VID, FitNets
from .gdpd import GDPD
from .gendd import GenDD, GeneratorOptions
from .influence import InfluenceWeights
from .lelp import LELP
from .logits import TTM, WTTM, EntropyTemperature, Hinton
from .maps import AT, SoftDTW
from .matching import DistributionMatching
from .private import PrivateTargets
from .relations import PKT, RKD
from .rows import RowDistiller
from .self_teacher import PrivilegedSelfTeacher, SelfTeacher
from .targets import PLD, GeneralisedDistillation, GroundTruthMixing
from .time_steps import MapShapes, TeacherMaps
from .trust_region import TrustRegion
from .weights import TIP, GroupReweighting, SampleRouting

__all__ = [
    "AT",
    "DHO",
    "DIST",
    "DKD",
    "GDPD",
    "LELP",
    "PACED",
    "PKT",
    "PLD",
    "RKD",
    "TIP",
    "TTM",
    "VID",
    "WTTM",
    "CheckpointCurriculum",
    "DiffKD",
    "Distillation",
    "DistillationContext",
    "Distiller",
    "DistributionMatching",
    "EarlinessCurriculum",
    "EntropyTemperature",
    "FitNets",
    "GenDD",
    "GeneralisedDistillation",
    "GeneratorOptions",
    "GroundTruthMixing",
    "GroupReweighting",
    "Hinton",
    "InfluenceWeights",
    "MapShapes",
    "Predictor",
    "PredictorContext",
    "PrivateTargets",
    "PrivilegedSelfTeacher",
    "RecursiveAnchoring",
    "RowDistiller",
    "SampleRouting",
    "SelfTeacher",
    "SeriesObjective",
    "SoftDTW",
    "TeKAP",
    "TeacherMaps",
    "TrustRegion",
]
