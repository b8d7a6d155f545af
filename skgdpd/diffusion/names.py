"""Denoisers and degradations by name."""

from __future__ import annotations

from typing import Literal, get_args

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
    """Make a learned denoiser of fresh weights.

    Parameters
    ----------
    name : {"film", "bottleneck"}
        Which.
    n_features : int
        Width d of the features.
    schedule : NoiseSchedule
        Noise level of each time step.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If there is none of that name.
    """
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

    Returns
    -------
    Degradation

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name == "learned-alpha":
        return LearnedAlpha(latent, n_steps, n_short)
    if name == "matched-noise":
        return MatchedNoise(latent, n_steps)
    if name not in ("linear-gaussian", "none"):
        names = ", ".join(get_args(DegradationName))
        raise ValueError(f"unknown degradation {name!r}; the names are {names}")
    exact = isinstance(latent.denoiser, MixtureDenoiser)
    posterior = (MixturePosterior if exact else LinearGaussianPosterior)(latent, n_steps)
    return NoObservation(posterior) if name == "none" else posterior
