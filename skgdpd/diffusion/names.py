"""Names of denoisers and posterior samplers, and the functions that make them."""

from __future__ import annotations

from typing import Literal, cast, get_args

from torch import nn

from .denoiser import BottleneckDenoiser, FiLMDenoiser, MixtureDenoiser
from .latent import LatentDiffusion
from .mixture import MixturePosterior
from .posterior import (
    LearnedAlpha,
    LinearGaussianPosterior,
    MatchedNoise,
    NoObservation,
    PosteriorSampler,
)
from .schedule import NoiseSchedule

DegradationName = Literal["learned-alpha", "linear-gaussian", "matched-noise", "none"]
DenoiserName = Literal["film", "bottleneck", "gmm"]


def make_denoiser(name: DenoiserName, n_features: int, schedule: NoiseSchedule) -> nn.Module:
    """Make a denoiser with new, random weights.

    Parameters
    ----------
    name : {"film", "bottleneck"}
        Architecture: :class:`FiLMDenoiser` or :class:`BottleneckDenoiser`.
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
        If the name is unknown.
    """
    kinds = {"film": FiLMDenoiser, "bottleneck": BottleneckDenoiser}
    if name not in kinds:
        raise ValueError(f"unknown learned denoiser {name!r}; the names are {', '.join(kinds)}")
    return kinds[name](n_features, schedule)


def make_posterior_sampler(
    name: DegradationName,
    latent: LatentDiffusion,
    n_steps: int,
    n_short: int,
    like: PosteriorSampler | None = None,
) -> PosteriorSampler:
    """Make a posterior sampler by the name of its degradation.

    Parameters
    ----------
    name : {"learned-alpha", "linear-gaussian", "matched-noise", "none"}
        Model of how a student feature arises from a teacher feature:
        :class:`LearnedAlpha`, :class:`LinearGaussianPosterior` (:class:`MixturePosterior` if the
        prior is a Gaussian mixture), :class:`MatchedNoise` or :class:`NoObservation`.
    latent : LatentDiffusion
        Prior over teacher features.
    n_steps : int
        Number of evaluations of the denoiser for one draw.
    n_short : int
        Width dS of the student features; only ``"learned-alpha"`` needs it.
    like : PosteriorSampler, optional
        Sampler of another moment; only that of ``"learned-alpha"`` shares weights with it.

    Returns
    -------
    PosteriorSampler

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name == "learned-alpha":
        return LearnedAlpha(latent, n_steps, n_short, cast("LearnedAlpha | None", like))
    if name == "matched-noise":
        return MatchedNoise(latent, n_steps)
    if name not in ("linear-gaussian", "none"):
        names = ", ".join(get_args(DegradationName))
        raise ValueError(f"unknown degradation {name!r}; the names are {names}")
    exact = isinstance(latent.denoiser, MixtureDenoiser)
    posterior = (MixturePosterior if exact else LinearGaussianPosterior)(latent, n_steps)
    return NoObservation(posterior) if name == "none" else posterior
