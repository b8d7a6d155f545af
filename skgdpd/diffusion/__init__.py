"""Diffusion over features: schedule, denoiser, sampler, and the measurement model.

Noise is added to features by a :class:`NoiseSchedule`; a denoiser learns to tell it from the
feature; a sampler walks from noise back to features; a degradation says how a short view's
feature steers that walk, which turns the prior into a posterior.
"""

from .code import AffineCode, AutoEncoder, CodeName, principal_code, standardising_code
from .conditional import ConditionalDiffusion
from .degradation import (
    Degradation,
    LearnedAlpha,
    LinearGaussianPosterior,
    MatchedNoise,
    NoObservation,
)
from .denoiser import BottleneckDenoiser, FiLMDenoiser, MixtureDenoiser, gaussian_denoiser
from .latent import LatentDiffusion
from .measurement import LinearGaussian, LinearMeasurement
from .mixture import MixturePosterior, fit_mixture, mixture_log_density
from .names import DegradationName, DenoiserName, make_degradation, make_denoiser
from .sampler import DDIM, Ancestral, Renoise, Sampler
from .schedule import NoiseSchedule

__all__ = [
    "DDIM",
    "AffineCode",
    "Ancestral",
    "AutoEncoder",
    "BottleneckDenoiser",
    "CodeName",
    "ConditionalDiffusion",
    "Degradation",
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
    "Renoise",
    "Sampler",
    "fit_mixture",
    "gaussian_denoiser",
    "make_degradation",
    "make_denoiser",
    "mixture_log_density",
    "principal_code",
    "standardising_code",
]
