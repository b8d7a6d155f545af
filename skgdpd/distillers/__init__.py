"""Distillers: what a student learns from a teacher, one class a method."""

from .base import Distillation, Distiller, Lesson, StudentObjective
from .features import FitNets
from .gdpd import GDPD
from .logits import Hinton

__all__ = [
    "GDPD",
    "Distillation",
    "Distiller",
    "FitNets",
    "Hinton",
    "Lesson",
    "StudentObjective",
]
