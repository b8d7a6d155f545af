"""Convolutions over time, each computed by the algorithm that is fastest for its shape.

Three algorithms give the same result up to rounding: the convolution of torch; a matrix product,
for kernels of one tap; and a product of spectra (:mod:`~skgdpd.nets.frequency`). Their speed
depends on the shape; see docs/convolutions.md for measurements.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .._runtime.config import ConvolutionMethod, setting
from .frequency import cheapest_plan, convolve_spectra

FEWER_MULTIPLICATIONS = 0.6
"""Fraction of the multiplications of the direct algorithm below which spectra are faster.

At equal counts spectra are slower, because their matrices are small; see docs/convolutions.md."""

MIN_POINTS = 512
"""Smallest number of points in a batch for which a matrix product is faster for one tap."""


def same_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve images of height one over time and keep their length.

    Parameters
    ----------
    x : Tensor of shape (n, n_in, 1, t)
        Series in channels-last memory.
    weight : Tensor of shape (n_out, n_in, n_taps)
        Kernels. Series are padded with ``(n_taps - 1) // 2`` zeros before and ``n_taps // 2``
        zeros after.
    bias : Tensor of shape (n_out,) or None
        Bias that is added at each point; None means no bias.

    Returns
    -------
    Tensor of shape (n, n_out, 1, t)
    """
    n_taps = weight.shape[-1]
    before, after = (n_taps - 1) // 2, n_taps // 2
    # Taps that only ever meet padding change nothing.
    reach = x.shape[-1] - 1
    first, last = max(before - reach, 0), max(after - reach, 0)
    weight = weight[..., first : n_taps - last]
    before, after = before - first, after - last
    # Compilers can't look into context variables.
    compiled = torch.compiler.is_compiling()
    method = "direct" if compiled else setting("convolution_method")
    if method == "auto":
        method = "direct" if _left_to_torch(x) else fastest_method(*_sizes(x, weight), before)
    if method == "direct":
        return _direct(x, weight, bias, before, after)
    series = x.squeeze(2).transpose(1, 2)
    if weight.shape[-1] == 1:
        out = F.linear(series, weight.squeeze(2), bias)
    else:
        plan = cheapest_plan(*_sizes(x, weight), before)
        out = convolve_spectra(series, weight, before, plan)
        out = out if bias is None else out + bias
    return out.transpose(1, 2).unsqueeze(2)


@lru_cache(maxsize=1024)
def fastest_method(
    n: int, n_in: int, n_out: int, n_timepoints: int, n_taps: int, before: int
) -> ConvolutionMethod:
    """Return the algorithm that is expected to be the fastest on a CPU.

    Parameters
    ----------
    n : int
        Number of series in a batch.
    n_in, n_out : int
        Numbers of input and output channels.
    n_timepoints : int
        Length of the series.
    n_taps : int
        Length of the kernels.
    before : int
        Number of taps before the current point.

    Returns
    -------
    {"direct", "frequency"}
        For kernels of one tap, ``"frequency"`` means the matrix product.
    """
    if n_taps == 1:
        return "frequency" if n * n_timepoints >= MIN_POINTS else "direct"
    after = n_taps - 1 - before
    missed = sum(max(0, side - i) for side in (before, after) for i in range(n_timepoints))
    direct = n * n_in * n_out * (n_timepoints * n_taps - missed)
    plan = cheapest_plan(n, n_in, n_out, n_timepoints, n_taps, before)
    few = plan.multiplications < FEWER_MULTIPLICATIONS * direct
    return "frequency" if few else "direct"


def _sizes(x: Tensor, weight: Tensor) -> tuple[int, int, int, int, int]:
    return len(x), x.shape[1], weight.shape[0], x.shape[-1], weight.shape[-1]


def _left_to_torch(x: Tensor) -> bool:
    return (
        x.device.type != "cpu"
        or x.dtype not in (torch.float32, torch.float64)
        or torch.is_autocast_enabled("cpu")
        or torch.jit.is_tracing()
    )


def _direct(x: Tensor, weight: Tensor, bias: Tensor | None, before: int, after: int) -> Tensor:
    weight = weight.unsqueeze(2)
    if before == after:
        return F.conv2d(x, weight, bias, padding=(0, before))
    return F.conv2d(F.pad(x, (before, after)), weight, bias)
