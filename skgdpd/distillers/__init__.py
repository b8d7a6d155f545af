"""Distillers: what a student learns from a teacher, one class a method."""

from .around import PACED, TeKAP
from .base import Distillation, Distiller, Lesson, StudentObjective
from .decoupled import DIST, DKD
from .dho import DHO
from .diffkd import DiffKD
from .features import VID, FitNets
from .gdpd import GDPD
from .gendd import GenDD
from .lelp import LELP
from .logits import TTM, WTTM, Hinton
from .maps import AT, SoftDTW
from .relations import PKT, RKD
from .rows import RowDistiller
from .self_teacher import SelfTeacher
from .targets import PLD, GeneralisedDistillation, GroundTruthMixing
from .time_steps import MapShapes, TeacherMaps

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
    "TTM",
    "VID",
    "WTTM",
    "DiffKD",
    "Distillation",
    "Distiller",
    "FitNets",
    "GenDD",
    "GeneralisedDistillation",
    "GroundTruthMixing",
    "Hinton",
    "Lesson",
    "MapShapes",
    "RowDistiller",
    "SelfTeacher",
    "SoftDTW",
    "StudentObjective",
    "TeKAP",
    "TeacherMaps",
]
