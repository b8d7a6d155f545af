"""Denoisers and degradations by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

from .degradation import (
    Degradation,
    LearnedAlpha,
    LinearGaussianPosterior,
    MatchedNoise,
    NoObservation,
)
from .denoiser import BottleneckDenoiser, FiLMDenoiser, MixtureDenoiser
from .latent import LatentDiffusion
from .mixture import MixturePosterior
from .schedule import NoiseSchedule

DegradationName = Literal["learned-alpha", "linear-gaussian", "matched-noise", "none"]
DenoiserName = Literal["film", "bottleneck", "gmm"]


def make_denoiser(name: DenoiserName, n_features: int, schedule: NoiseSchedule) -> nn.Module:
    """Make a learned denoiser, ``"film"`` or ``"bottleneck"``, of fresh weights."""
    kinds = {"film": FiLMDenoiser, "bottleneck": BottleneckDenoiser}
    if name not in kinds:
        raise ValueError(f"unknown learned denoiser {name!r}; the names are {', '.join(kinds)}")
    return kinds[name](n_features, schedule)


def make_degradation(
    name: DegradationName, latent: LatentDiffusion, n_steps: int, n_short: int
) -> Degradation:
    """Make a degradation by name; see the module's head for the names' meaning.

    Parameters
    ----------
    name : {"learned-alpha", "linear-gaussian", "matched-noise", "none"}
        Which.
    latent : LatentDiffusion
        The prior.
    n_steps : int
        Evaluations of the denoiser for one draw.
    n_short : int
        Width dS of the student features.
    """
    if name == "learned-alpha":
        return LearnedAlpha(latent, n_steps, n_short)
    exact = isinstance(latent.denoiser, MixtureDenoiser)
    kinds: dict[str, type[Degradation]] = {
        "linear-gaussian": MixturePosterior if exact else LinearGaussianPosterior,
        "matched-noise": MatchedNoise,
        "none": NoObservation,
    }
    if name not in kinds:
        names = ", ".join(["learned-alpha", *kinds])
        raise ValueError(f"unknown degradation {name!r}; the names are {names}")
    return kinds[name](latent, n_steps)
