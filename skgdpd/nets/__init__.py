"""Backbones: networks that turn ``(n, c, t)`` series into ``(n, n_features)`` features."""

from .convolution import convolution_method
from .layers import Backbone
from .registry import (
    available_backbones,
    has_maps,
    make_backbone,
    register_backbone,
    starts_fitted,
    takes_lengths,
)
from .rocket import Hybrid, Rocket
from .rocket_quant import RocketQuant

__all__ = [
    "Backbone",
    "Hybrid",
    "Rocket",
    "RocketQuant",
    "available_backbones",
    "convolution_method",
    "has_maps",
    "make_backbone",
    "register_backbone",
    "starts_fitted",
    "takes_lengths",
]
