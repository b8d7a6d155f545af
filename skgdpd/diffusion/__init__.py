"""Diffusion models of features: schedules, denoisers, samplers and posterior samplers.

A :class:`NoiseSchedule` sets how much noise is added to a feature at each time step. A denoiser
learns to predict that noise. A :class:`Sampler` runs the denoiser from pure noise back to clean
features, which draws from the prior. A :class:`PosteriorSampler` conditions the draw on the
feature of a prefix, which turns the prior into a posterior. A :class:`LatentFlow` is another
prior, which moves noise to features in few steps.
"""

from .conditional import ConditionalDiffusion
from .denoiser import BottleneckDenoiser, FiLMDenoiser, MixtureDenoiser, gaussian_denoiser
from .encoder import (
    AffineEncoder,
    AutoEncoder,
    PriorEncoderName,
    principal_encoder,
    standardising_encoder,
)
from .flow import FlowNetwork, couple, flow_matching_loss
from .flow_map import flow_map_loss
from .flow_posterior import FlowLinearGaussianPosterior, FlowMatchedNoise, FlowNoObservation
from .latent import LatentDiffusion
from .latent_flow import FlowName, LatentFlow
from .mean_flow import mean_flow_loss
from .measurement import LinearGaussian, LinearMeasurement
from .mixture import MixturePosterior, fit_mixture, mixture_log_density
from .names import (
    DegradationName,
    DenoiserName,
    DynamicsName,
    make_denoiser,
    make_posterior_sampler,
)
from .posterior import (
    LearnedAlpha,
    LinearGaussianPosterior,
    MatchedNoise,
    NoObservation,
    PosteriorSampler,
)
from .sampler import DDIM, Ancestral, Renoise, Sampler
from .schedule import NoiseSchedule
from .shortcut import shortcut_loss

__all__ = [
    "DDIM",
    "AffineEncoder",
    "Ancestral",
    "AutoEncoder",
    "BottleneckDenoiser",
    "ConditionalDiffusion",
    "DegradationName",
    "DenoiserName",
    "DynamicsName",
    "FiLMDenoiser",
    "FlowLinearGaussianPosterior",
    "FlowMatchedNoise",
    "FlowName",
    "FlowNetwork",
    "FlowNoObservation",
    "LatentDiffusion",
    "LatentFlow",
    "LearnedAlpha",
    "LinearGaussian",
    "LinearGaussianPosterior",
    "LinearMeasurement",
    "MatchedNoise",
    "MixtureDenoiser",
    "MixturePosterior",
    "NoObservation",
    "NoiseSchedule",
    "PosteriorSampler",
    "PriorEncoderName",
    "Renoise",
    "Sampler",
    "couple",
    "fit_mixture",
    "flow_map_loss",
    "flow_matching_loss",
    "gaussian_denoiser",
    "make_denoiser",
    "make_posterior_sampler",
    "mean_flow_loss",
    "mixture_log_density",
    "principal_encoder",
    "shortcut_loss",
    "standardising_encoder",
]
