"""Codes: the coordinates in which a prior sees features.

A diffusion's noise has unit variance in every direction, so features are brought to about that
scale. Every code is affine and has an affine inverse or pseudo-inverse, whatever way it was found.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..nets.layers import FeatureBatchNorm

CodeName = Literal["identity", "pca", "autoencoder"]


class AffineCode(nn.Module):
    """An encoder ``u = W z + c`` and its decoder ``z = V u + m``.

    Parameters
    ----------
    W : Tensor of shape (d, dT)
        Encoder.
    c : Tensor of shape (d,)
        Its offset.
    V : Tensor of shape (dT, d)
        Decoder.
    m : Tensor of shape (dT,)
        Its offset.
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
        """Features ``(n, dT)`` to codes ``(n, d)``."""
        if z.shape[-1] != self.W.shape[1]:
            raise ValueError(
                f"features have width {z.shape[-1]}; this code is of width {self.W.shape[1]}"
            )
        return z @ self.W.T + self.c

    def decode(self, u: Tensor) -> Tensor:
        """Codes ``(..., d)`` to features ``(..., dT)``."""
        return u @ self.V.T + self.m


def standardising_code(z: Tensor) -> AffineCode:
    """Each feature to mean 0 and variance 1, all kept; constant features keep their scale.

    Parameters
    ----------
    z : Tensor of shape (n, dT)
        Features.

    Returns
    -------
    AffineCode
    """
    mean, scale = z.mean(0), z.std(0, correction=0)
    scale = torch.where(scale > 1e-6 * scale.max().clamp(min=1e-12), scale, 1.0)
    return AffineCode(torch.diag(1 / scale), -mean / scale, torch.diag(scale), mean)


def principal_code(z: Tensor, n_codes: int | None, kept_variance: float = 0.99) -> AffineCode:
    """Whitened principal components.

    Parameters
    ----------
    z : Tensor of shape (n, dT)
        Features.
    n_codes : int, optional
        Number of components d, at most the features' rank; by default as many as keep
        ``kept_variance`` of the variance.
    kept_variance : float, default=0.99
        Share of the variance kept where ``n_codes`` is None.

    Returns
    -------
    AffineCode
    """
    mean = z.mean(0)
    _, scale, axes = torch.linalg.svd((z - mean).double(), full_matrices=False)
    power = scale.square()
    rank = max(int((scale > 1e-7 * scale[0].clamp(min=1e-12)).sum()), 1)
    if n_codes is None:
        share = power.cumsum(0) / power.sum().clamp(min=1e-12)
        n_codes = int((share < kept_variance).sum()) + 1
    n_codes = min(n_codes, rank)
    spread = (scale[:n_codes] / len(z) ** 0.5).clamp(min=1e-12)
    axes = axes[:n_codes]
    W, V = axes / spread[:, None], axes.T * spread
    return AffineCode(W.to(z), -(W @ mean.double()).to(z), V.to(z), mean)


class AutoEncoder(nn.Module):
    """The paper's encoder, linear and batch-normalised, with a linear decoder.

    Parameters
    ----------
    n_features : int
        Width dT of the teacher's features.
    n_codes : int
        Width d of the code.
    """

    def __init__(self, n_features: int, n_codes: int) -> None:
        super().__init__()
        self.enter = nn.Linear(n_features, n_codes)
        self.norm = FeatureBatchNorm(n_codes)
        self.leave = nn.Linear(n_codes, n_features)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes ``(n, d)`` and reconstructions ``(n, dT)``."""
        u = self.norm(self.enter(z))
        return u, self.leave(u)

    def as_code(self, offset: Tensor, scale: Tensor) -> AffineCode:
        """The trained autoencoder, applied to ``(z - offset) / scale``, as one affine code.

        The batch normalisation is folded in with its running statistics.
        """
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            W = gain[:, None] * self.enter.weight / scale
            c = gain * (self.enter.bias - norm.running_mean) + norm.bias - W @ offset
            V, m = self.leave.weight * scale, self.leave.bias * scale + offset
            return AffineCode(W, c, V.clone(), m)
