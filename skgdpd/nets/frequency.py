"""Convolution as a product of spectra, with Fourier transforms as matrix products.

By the convolution theorem, a convolution over time is a product at each frequency. The networks
of this package have few channels and long kernels; a product of spectra then needs fewer
multiplications. The Fourier transforms are products with a table of cosines and sines. For a few
hundred points, this is faster than a fast Fourier transform, which has to rearrange numbers.

The module consists of differentiable torch operations, so that gradients of any order and
``torch.func`` work.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TILES = (64, 96, 128, 192, 256)
"""Output lengths of the pieces into which long series may be cut.

Shorter pieces need fewer multiplications, but moving the data costs more than that saves."""

WRITING = 8
"""Cost of writing and reading one number of a kernel's spectrum, in multiplications."""


class Shape(NamedTuple):
    """Lengths of one circular convolution.

    Attributes
    ----------
    n_in : int
        Number of input points.
    n_out : int
        Number of output points.
    n_taps : int
        Length of the kernel.
    before : int
        Number of taps before the current point.
    """

    n_in: int
    n_out: int
    n_taps: int
    before: int

    @property
    def period(self) -> int:
        """Shortest even period for which no output point wraps around."""
        after = self.n_taps - 1 - self.before
        unwrapped = self.n_in + max(self.before, after + self.n_out - self.n_in)
        return unwrapped + unwrapped % 2

    @property
    def n_frequencies(self) -> int:
        """Number of frequencies of a real signal with this period."""
        return self.period // 2 + 1

    def multiplications(self, n_rows: int, n_in_channels: int, n_out_channels: int) -> int:
        """Return the number of real multiplications for a convolution of ``n_rows`` rows."""
        transforms = 2 * (self.n_in * n_in_channels + self.n_out * n_out_channels)
        a_row = self.n_frequencies * (transforms + 4 * n_in_channels * n_out_channels)
        kernels = 4 * self.n_frequencies * n_in_channels * n_out_channels
        return n_rows * a_row + (self.n_taps + WRITING) * kernels


class Plan(NamedTuple):
    """Division of series into pieces for :func:`convolve_spectra`.

    Attributes
    ----------
    n_tiles : int
        Number of pieces of each series; 1 means the whole series.
    shape : Shape
        Lengths of the convolution of each piece.
    multiplications : int
        Number of multiplications for all series.
    """

    n_tiles: int
    shape: Shape
    multiplications: int


@lru_cache(maxsize=1024)
def cheapest_plan(
    n_series: int, n_in: int, n_out: int, n_timepoints: int, n_taps: int, before: int
) -> Plan:
    """Return the plan with the fewest multiplications: whole series, or a length in ``TILES``."""
    shapes = [(1, Shape(n_timepoints, n_timepoints, n_taps, before))]
    for tile in TILES:
        if n_taps - 1 <= tile < n_timepoints:
            shapes.append((-(-n_timepoints // tile), Shape(tile + n_taps - 1, tile, n_taps, 0)))
    plans = [
        Plan(n_tiles, shape, shape.multiplications(n_series * n_tiles, n_in, n_out))
        for n_tiles, shape in shapes
    ]
    return min(plans, key=lambda plan: plan.multiplications)


@lru_cache(maxsize=64)
def transforms(
    shape: Shape, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tables of cosines and sines for transforms of signals, kernels and spectra.

    Parameters
    ----------
    shape : Shape
        Lengths of the convolution, with ``f`` frequencies.
    dtype : torch.dtype
        Precision of the tables. Angles are computed in double precision.
    device : torch.device
        Device of the tables.

    Returns
    -------
    forward : Tensor of shape (2 * f, n_in)
        Matrix from a signal to its spectrum, ``(f, 2)`` flattened: real part, imaginary part.
    kernel : Tensor of shape (4 * f, n_taps)
        Matrix from a kernel to the factors of spectra, ``(2, f, 2)`` flattened. For the real and
        the imaginary part of the product, these are the factors of the real and the imaginary
        part of the spectrum.
    inverse : Tensor of shape (n_out, 2 * f)
        Matrix from a spectrum, ``(2, f)`` flattened, to its signal.
    """
    # Tensors made within inference mode could never be used in training.
    with torch.inference_mode(False), torch.no_grad():
        period, n_frequencies = shape.period, shape.n_frequencies

        def waves(points: Tensor) -> tuple[Tensor, Tensor]:
            # Whole periods are dropped while numbers are integers, so that no digit is lost.
            phase = torch.outer(torch.arange(n_frequencies), points) % period
            angle = phase.double() * (2 * math.pi / period)
            return torch.cos(angle), torch.sin(angle)

        cos, sin = waves(torch.arange(shape.n_in))
        forward = torch.stack([cos, -sin], 1)
        cos, sin = waves(shape.before - torch.arange(shape.n_taps))
        kernel = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)])
        cos, sin = waves(torch.arange(shape.n_out))
        # All frequencies but the first and the last stand for a pair.
        share = torch.full((n_frequencies, 1), 2.0 / period, dtype=torch.float64)
        share[[0, -1]] = 1.0 / period
        inverse = torch.stack([cos * share, -sin * share])
        first, second, last = (
            table.flatten(0, -2).to(device, dtype).contiguous()
            for table in (forward, kernel, inverse)
        )
        return first, second, last.t().contiguous()


def convolve_spectra(x: Tensor, weight: Tensor, before: int, plan: Plan) -> Tensor:
    """Convolve series over time and keep their length.

    Parameters
    ----------
    x : Tensor of shape (n_series, n_timepoints, n_in)
        Series, contiguous in this order.
    weight : Tensor of shape (n_out, n_in, n_taps)
        Kernels, as in :func:`torch.nn.functional.conv1d`.
    before : int
        Number of zeros before the series. The number of zeros after it follows from the length.
    plan : Plan
        Plan from :func:`cheapest_plan`.

    Returns
    -------
    Tensor of shape (n_series, n_timepoints, n_out)
    """
    n, n_timepoints, n_in = x.shape
    n_out, _, n_taps = weight.shape
    if plan.n_tiles > 1:
        x = _tiles(x, plan, before)
    shape, rows = plan.shape, len(x)
    n_frequencies = shape.n_frequencies
    forward, kernel, inverse = transforms(shape, x.dtype, x.device)
    spectrum = torch.bmm(forward.expand(rows, -1, -1), x)
    by_frequency = spectrum.reshape(rows, n_frequencies, 2 * n_in).transpose(0, 1)
    kernels = kernel @ weight.permute(2, 1, 0).reshape(n_taps, n_in * n_out)
    product = torch.stack(
        [
            torch.bmm(by_frequency, part).transpose(0, 1)
            for part in kernels.reshape(2, n_frequencies, 2 * n_in, n_out).unbind()
        ],
        1,
    ).reshape(rows, 2 * n_frequencies, n_out)
    out = torch.bmm(inverse.expand(rows, -1, -1), product)
    if plan.n_tiles == 1:
        return out
    return out.reshape(n, plan.n_tiles * shape.n_out, n_out)[:, :n_timepoints]


def _tiles(x: Tensor, plan: Plan, before: int) -> Tensor:
    """Cut padded series into overlapping pieces ``(n_series * n_tiles, n_in, channels)``."""
    n, n_timepoints, n_channels = x.shape
    tile, overlap = plan.shape.n_out, plan.shape.n_taps - 1
    behind = (plan.n_tiles + 1) * tile - n_timepoints - before
    blocks = F.pad(x, (0, 0, before, behind)).reshape(n, plan.n_tiles + 1, tile, n_channels)
    pieces = torch.cat([blocks[:, :-1], blocks[:, 1:, :overlap]], 2)
    return pieces.reshape(n * plan.n_tiles, tile + overlap, n_channels)
