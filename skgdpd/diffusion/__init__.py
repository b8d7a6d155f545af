"""Diffusion models of features: schedules, denoisers, samplers and posterior samplers.

A :class:`NoiseSchedule` sets how much noise is added to a feature at each time step. A denoiser
learns to predict that noise. A :class:`Sampler` runs the denoiser from pure noise back to clean
features, which draws from the prior. A :class:`PosteriorSampler` conditions the draw on the
feature of a prefix, which turns the prior into a posterior.
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
from .latent import LatentDiffusion
from .measurement import LinearGaussian, LinearMeasurement
from .mixture import MixturePosterior, fit_mixture, mixture_log_density
from .names import DegradationName, DenoiserName, make_denoiser, make_posterior_sampler
from .posterior import (
    LearnedAlpha,
    LinearGaussianPosterior,
    MatchedNoise,
    NoObservation,
    PosteriorSampler,
)
from .sampler import DDIM, Ancestral, Renoise, Sampler
from .schedule import NoiseSchedule

__all__ = [
    "DDIM",
    "AffineEncoder",
    "Ancestral",
    "AutoEncoder",
    "BottleneckDenoiser",
    "ConditionalDiffusion",
    "DegradationName",
    "DenoiserName",
    "FiLMDenoiser",
    "LatentDiffusion",
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
    "fit_mixture",
    "gaussian_denoiser",
    "make_denoiser",
    "make_posterior_sampler",
    "mixture_log_density",
    "principal_encoder",
    "standardising_encoder",
]
