"""Backbones: networks that map ``(n, c, t)`` series to ``(n, n_features)`` features."""

from .layers import ConvolutionalBackbone
from .mixed import Mixed
from .path_rocket import PathRocket
from .prefixes import Prefixes
from .protocols import (
    Backbone,
    ClosedFormStart,
    FixedFeatures,
    MomentMaps,
    MomentStart,
    MomentState,
    OneProjection,
    PathFeatures,
    PointState,
    TakesLengths,
    TimeMaps,
    has_fixed_features,
    has_maps,
    has_moment_maps,
    has_path_features,
    has_point_state,
    map_state,
    takes_lengths,
)
from .registry import available_backbones, make_backbone, register_backbone, starts_fitted
from .rocket import Hybrid, Rocket
from .rocket_quant import RocketQuant

__all__ = [
    "Backbone",
    "ClosedFormStart",
    "ConvolutionalBackbone",
    "FixedFeatures",
    "Hybrid",
    "Mixed",
    "MomentMaps",
    "MomentStart",
    "MomentState",
    "OneProjection",
    "PathFeatures",
    "PathRocket",
    "PointState",
    "Prefixes",
    "Rocket",
    "RocketQuant",
    "TakesLengths",
    "TimeMaps",
    "available_backbones",
    "has_fixed_features",
    "has_maps",
    "has_moment_maps",
    "has_path_features",
    "has_point_state",
    "make_backbone",
    "map_state",
    "register_backbone",
    "starts_fitted",
    "takes_lengths",
]
