"""Encoders: affine maps from teacher features to the latent codes that a prior models.

The noise of a diffusion has unit variance in every direction, so codes should have about the same
scale. Each encoder is affine. Its decoder is affine, too: the inverse of the encoder, or an
approximation of the inverse.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..nets.layers import FeatureBatchNorm
from .measurement import ROUNDING

PriorEncoderName = Literal["identity", "pca", "autoencoder"]


class AffineEncoder(nn.Module):
    """Affine encoder ``u = W z + c`` with its decoder ``z = V u + m``.

    Parameters
    ----------
    W : Tensor of shape (d, dT)
        Matrix of the encoder.
    c : Tensor of shape (d,)
        Offset of the encoder.
    V : Tensor of shape (dT, d)
        Matrix of the decoder.
    m : Tensor of shape (dT,)
        Offset of the decoder.
    """

    W: Tensor
    c: Tensor
    V: Tensor
    m: Tensor

    def __init__(self, W: Tensor, c: Tensor, V: Tensor, m: Tensor) -> None:
        super().__init__()
        self.register_buffer("W", W)
        self.register_buffer("c", c)
        self.register_buffer("V", V)
        self.register_buffer("m", m)

    def encode(self, z: Tensor) -> Tensor:
        """Encode features ``(n, dT)`` as codes ``(n, d)``."""
        if z.shape[-1] != self.W.shape[1]:
            raise ValueError(
                f"features have width {z.shape[-1]}; the encoder expects width {self.W.shape[1]}"
            )
        return z @ self.W.T + self.c

    def decode(self, u: Tensor) -> Tensor:
        """Decode codes ``(..., d)`` to features ``(..., dT)``."""
        return u @ self.V.T + self.m


def standardising_encoder(z: Tensor) -> AffineEncoder:
    """Make an encoder that scales each feature to mean 0 and variance 1.

    All features are kept. A constant feature is centred and keeps its scale.

    Parameters
    ----------
    z : Tensor of shape (n, dT)
        Features.

    Returns
    -------
    AffineEncoder
    """
    mean, scale = z.mean(0), z.std(0, correction=0)
    scale = torch.where(scale > 1e-6 * scale.max(), scale, 1.0)
    return AffineEncoder(torch.diag(1 / scale), -mean / scale, torch.diag(scale), mean)


def principal_encoder(
    z: Tensor, n_codes: int | None, kept_variance: float = 0.99
) -> AffineEncoder:
    """Make an encoder that maps features to whitened principal components.

    Parameters
    ----------
    z : Tensor of shape (n, dT)
        Features.
    n_codes : int, optional
        Number d of components, at most the rank of the features. By default it is the smallest
        number that keeps the share ``kept_variance`` of the variance.
    kept_variance : float, default=0.99
        Share of the variance that is kept if ``n_codes`` is None.

    Returns
    -------
    AffineEncoder
    """
    mean = z.mean(0)
    _, scale, axes = torch.linalg.svd((z - mean).double(), full_matrices=False)
    power = scale.square()
    rank = max(int((scale > 1e-7 * scale[0]).sum()), 1)
    if n_codes is None:
        share = power.cumsum(0) / torch.where(power.sum() > 0, power.sum(), 1.0)
        n_codes = int((share < kept_variance).sum()) + 1
    n_codes = min(n_codes, rank)
    spread = scale[:n_codes] / len(z) ** 0.5
    rounding = ROUNDING * z.abs().max().double()
    spread = torch.where(spread > rounding, spread, torch.where(rounding > 0, rounding, 1.0))
    axes = axes[:n_codes]
    W, V = axes / spread[:, None], axes.T * spread
    return AffineEncoder(W.to(z), -(W @ mean.double()).to(z), V.to(z), mean)


class AutoEncoder(nn.Module):
    """Autoencoder of the paper: a linear, batch-normalised encoder and a linear decoder.

    Parameters
    ----------
    n_features : int
        Width dT of the teacher's features.
    n_codes : int
        Width d of the codes.

    References
    ----------
    GDPD, arXiv 2605.11414.
    """

    def __init__(self, n_features: int, n_codes: int) -> None:
        super().__init__()
        self.enter = nn.Linear(n_features, n_codes)
        self.norm = FeatureBatchNorm(n_codes)
        self.leave = nn.Linear(n_codes, n_features)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes ``(n, d)`` and reconstructions ``(n, dT)`` of features ``(n, dT)``."""
        u = self.norm(self.enter(z))
        return u, self.leave(u)

    def as_encoder(self, offset: Tensor, scale: Tensor) -> AffineEncoder:
        """Return the trained autoencoder as an affine encoder of features without standardisation.

        The batch normalisation is folded in with its running statistics.

        Parameters
        ----------
        offset, scale : Tensor of shape (dT,)
            Constants of the standardisation ``(z - offset) / scale`` that the autoencoder was
            trained on.

        Returns
        -------
        AffineEncoder
        """
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            W = gain[:, None] * self.enter.weight / scale
            c = gain * (self.enter.bias - norm.running_mean) + norm.bias - W @ offset
            V, m = self.leave.weight * scale, self.leave.bias * scale + offset
            return AffineEncoder(W, c, V.clone(), m)
