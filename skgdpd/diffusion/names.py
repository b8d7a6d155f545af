"""Names of denoisers and posterior samplers, and the functions that create them."""

from __future__ import annotations

from typing import Literal, cast, get_args

from torch import nn

from .denoiser import BottleneckDenoiser, FiLMDenoiser, MixtureDenoiser
from .flow_posterior import FlowLinearGaussianPosterior, FlowMatchedNoise, FlowNoObservation
from .latent import LatentDiffusion
from .latent_flow import LatentFlow
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
DynamicsName = Literal["diffusion", "flow", "flow-map", "mean-flow", "shortcut"]
NEEDS_INDEPENDENT_NOISE = ("linear-gaussian", "matched-noise")
"""Degradations that treat a feature on a flow's way as a noisy measurement of its end."""


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
    latent: LatentDiffusion | LatentFlow,
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
        prior is a Gaussian mixture), :class:`MatchedNoise` or :class:`NoObservation`. Flows have
        :class:`FlowLinearGaussianPosterior`, :class:`FlowMatchedNoise` and
        :class:`FlowNoObservation`.
    latent : LatentDiffusion or LatentFlow
        Prior over teacher features.
    n_steps : int
        Number of evaluations of the denoiser for one draw.
    n_short : int
        Width dS of the student features; only ``"learned-alpha"`` needs it.
    like : PosteriorSampler, optional
        Sampler of another moment. ``"learned-alpha"`` shares weights with it; others ignore it.

    Returns
    -------
    PosteriorSampler

    Raises
    ------
    ValueError
        If the name is unknown, or if the degradation needs a flow that was trained with
        independent noise and ``latent`` was not.
    """
    if name not in get_args(DegradationName):
        names = ", ".join(get_args(DegradationName))
        raise ValueError(f"unknown degradation {name!r}; the names are {names}")
    if name == "learned-alpha":
        return LearnedAlpha(latent, n_steps, n_short, cast("LearnedAlpha | None", like))
    if isinstance(latent, LatentFlow):
        return _flow_sampler(name, latent, n_steps)
    if name == "matched-noise":
        return MatchedNoise(latent, n_steps)
    exact = isinstance(latent.denoiser, MixtureDenoiser)
    posterior = (MixturePosterior if exact else LinearGaussianPosterior)(latent, n_steps)
    return NoObservation(posterior) if name == "none" else posterior


def _flow_sampler(name: DegradationName, latent: LatentFlow, n_steps: int) -> PosteriorSampler:
    if latent.coupled and name in NEEDS_INDEPENDENT_NOISE:
        raise ValueError(
            f"degradation={name!r} needs a flow that was fitted for it, with noise independent of "
            f"the features; fit the prior anew with this degradation, or choose 'none'"
        )
    if name == "matched-noise":
        return FlowMatchedNoise(latent, n_steps)
    if name == "linear-gaussian":
        return FlowLinearGaussianPosterior(latent, n_steps)
    return FlowNoObservation(latent, n_steps)
