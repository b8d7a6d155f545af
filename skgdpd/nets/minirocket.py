"""MiniRocket: fixed convolutions of a series, and the fraction of outputs above a bias.

There are 84 kernels at exponentially spaced dilations. A kernel has nine taps, three of weight 2
and six of weight -1. The biases are quantiles of the kernels' outputs on training series. A
feature is the proportion of positive values (PPV): the fraction of outputs above a bias. Counts of
time points are exact in single precision. Apart from the comparison with the bias, a feature
therefore does not depend on the batch, the device or the order of summation.

Two engines give the same features: torch for any device, and the compiled engine of sktime for
CPUs. The compiled engine is faster, but it takes time to load, and longer if numba has not
compiled it yet.

Source: A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
transform for time series classification", KDD 2021, arXiv 2012.08791.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Engine = Literal["auto", "torch", "numba"]

N_TAPS = 9
HEAVY_TAPS = np.array(list(combinations(range(N_TAPS), 3)))
"""Taps of weight 2 of each of the 84 kernels, ``(84, 3)``."""
N_KERNELS = len(HEAVY_TAPS)
MAX_CHANNELS = 9
"""Maximum number of channels that a kernel sums."""
NUMBA_PAYS = 4e9
"""Number of comparisons above which "auto" chooses the engine of sktime: it then saves more time
than it needs for loading."""
CHUNK = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Number of outputs held at once, by type of device; on a CPU they fit its cache."""
AT_ONCE = 1 << 18
"""Maximum number of comparisons in one operation. More are made bias by bias to save memory."""


def fit_dilations(
    n_timepoints: int, n_features: int, max_dilations: int
) -> tuple[list[int], list[int]]:
    """Choose the dilations, and the number of biases of each kernel at each dilation.

    Parameters
    ----------
    n_timepoints : int
        Length of the series, at least 9.
    n_features : int
        Number of features; rounded down to a multiple of 84.
    max_dilations : int
        Maximum number of different dilations.

    Returns
    -------
    dilations : list of int
        Dilations in ascending order.
    n_biases : list of int
        Number of biases of each kernel at each dilation.
    """
    per_kernel = max(n_features // N_KERNELS, 1)
    n_draws = min(per_kernel, max_dilations)
    longest = np.log2((n_timepoints - 1) / (N_TAPS - 1))
    spaced = np.logspace(0, longest, n_draws, base=2).astype(int)
    dilations, counts = np.unique(spaced, return_counts=True)
    counts = (counts * (per_kernel / n_draws)).astype(int)
    rest = per_kernel - counts.sum()
    counts += rest // len(counts)
    counts[: rest % len(counts)] += 1
    return dilations.tolist(), counts.tolist()


def check_channels(channels: Tensor, n_channels: int) -> None:
    """Raise an error for channels that series don't have.

    Compiled code reads these channels without a check of its own.

    Parameters
    ----------
    channels : Tensor of shape (..., n_slots)
        Indices of channels; ``n_channels`` means an empty slot. The first slot must not be empty.
    n_channels : int
        Number of channels of the series.

    Raises
    ------
    ValueError
        If an index is out of range.
    """
    if channels.is_meta or not channels.numel():
        return
    first = channels[..., 0]
    if channels.min() < 0 or channels.max() > n_channels or first.max() >= n_channels:
        raise ValueError(f"features read channels beyond the {n_channels} that series have")


def draw_channels(
    n_channels: int, shape: Sequence[int], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the channels that each kernel sums.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    shape : sequence of int
        Shape of the result; its last element is the number of slots, at most ``n_channels``.
    rng : numpy.random.Generator
        Source of the random draws.

    Returns
    -------
    ndarray
        Indices of channels; ``n_channels`` means an empty slot.
    """
    n_slots = shape[-1]
    drawn = np.full(shape, n_channels)
    for row in drawn.reshape(-1, n_slots):
        # Two to a uniform power: few channels are more frequent than many.
        size = int(2 ** rng.uniform(0, np.log2(n_slots + 1)))
        row[:size] = rng.choice(n_channels, size, replace=False)
    return drawn


def quantile_levels(n: int) -> NDArray[np.float64]:
    """Return ``n`` levels between 0 and 1: the fractional parts of multiples of the golden ratio.

    Parameters
    ----------
    n : int
        Number of levels.

    Returns
    -------
    ndarray of shape (n,)
    """
    golden = (np.sqrt(5) + 1) / 2
    return (np.arange(1, n + 1) * golden) % 1


class MiniRocket(nn.Module):
    """The MiniRocket transform as a torch module without trained parameters.

    Series shorter than nine points are padded with zeros at the end. Zero is the mean of a
    normalised series.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the longest series. The dilations depend on the
        number of time points.
    n_features : int, default=9996
        Number of features; rounded down to a multiple of 84. The default follows the authors.
    max_dilations : int, default=32
        Maximum number of different dilations. The default follows the authors.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the features. ``"numba"`` is the compiled engine of sktime, on a CPU.
        ``"auto"`` chooses it if it is installed and there is enough work to make up for the time
        to load it.

    Attributes
    ----------
    biases : Tensor of shape (n_features,)
        Biases, ordered by dilation, then kernel, then bias; zero before ``fit``.
    channels : Tensor of shape (n_dilations, 84, n_slots)
        Indices of the channels that each kernel sums; ``n_channels`` means an empty slot.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_features: int = 9996,
        max_dilations: int = 32,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.engine = engine
        self.dilations, self.n_biases = fit_dilations(
            max(n_timepoints, N_TAPS), n_features, max_dilations
        )
        self.n_features = N_KERNELS * sum(self.n_biases)
        slots = 1 if n_channels == 1 else min(n_channels, MAX_CHANNELS)
        shape = (len(self.dilations), N_KERNELS, slots)
        self.biases: Tensor
        self.channels: Tensor
        self.heavy: Tensor
        self.register_buffer("biases", torch.zeros(self.n_features))
        self.register_buffer("channels", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("heavy", torch.from_numpy(HEAVY_TAPS.T.copy()), persistent=False)

    def fit(self, x: Tensor, lengths: Tensor | None, seed: int) -> MiniRocket:
        """Draw the channels, and compute biases from training series.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Lengths of the series without padding; None if all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        MiniRocket
            The transform itself.
        """
        rng = np.random.default_rng(seed)
        drawn_channels = draw_channels(self.n_channels, self.channels.shape, rng)
        self.channels.copy_(torch.from_numpy(drawn_channels))
        n_biases = np.array(self.n_biases)
        quantiles = quantile_levels(self.n_features)
        biases = np.empty(self.n_features, dtype=np.float32)
        start = 0
        for i, (dilation, count) in enumerate(zip(self.dilations, n_biases, strict=True)):
            drawn = torch.from_numpy(rng.integers(len(x), size=N_KERNELS)).to(x.device)
            for output in self._own_outputs(x, lengths, drawn, i, dilation):
                stop = start + count
                biases[start:stop] = np.quantile(output, quantiles[start:stop])
                start = stop
        self.biases.copy_(torch.from_numpy(biases))
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        check_channels(self.channels, self.n_channels)

    def _own_outputs(
        self, x: Tensor, lengths: Tensor | None, drawn: Tensor, i: int, dilation: int
    ) -> list[NDArray[np.float32]]:
        """Return the output of each kernel on the series that was drawn for it."""
        own = x.new_full((N_KERNELS,), x.shape[2]) if lengths is None else lengths[drawn]
        outputs: dict[int, NDArray[np.float32]] = {}
        for length in own.unique().tolist():
            kernels = torch.nonzero(own == length)[:, 0]
            series = _long_enough(x[drawn[kernels], :, : int(length)])
            base, tripled = _taps(series, dilation)
            numbers = kernels.cpu().numpy()
            heavy = HEAVY_TAPS[numbers]
            total = torch.zeros_like(series[:, 0])
            for used, own_channels in self._slots(i, numbers):
                output = base[used, own_channels]
                for j in range(3):
                    output = output + tripled[used, own_channels, heavy[used, j]]
                total[used] += output
            outputs.update(zip(kernels.tolist(), total.cpu().numpy(), strict=True))
        return [outputs[kernel] for kernel in range(N_KERNELS)]

    @torch.no_grad()
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series ``(n, n_channels, n_timepoints)`` to features ``(n, n_features)``.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding. Padding does not affect the features. None if
            all series have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n, n_features)
            Features.
        """
        if lengths is None:
            return self._features(_long_enough(x))
        features = x.new_empty(len(x), self.n_features)
        for length in lengths.unique().tolist():
            rows = lengths == length
            features[rows] = self._features(_long_enough(x[rows, :, :length]))
        return features

    def _features(self, x: Tensor) -> Tensor:
        if self._takes_numba(x):
            return torch.from_numpy(self._in_numba(x.contiguous().numpy()))
        budget = CHUNK.get(x.device.type, CHUNK["cpu"])
        size = max(budget // (N_KERNELS * x.shape[2]), 1)
        return torch.cat([self._in_torch(part) for part in x.split(size)])

    def _in_torch(self, x: Tensor) -> Tensor:
        parts = []
        for biases, i, dilation in self._biases_by_dilation():
            taps = _taps(x, dilation)
            out = x.new_empty(len(x), *biases.shape)
            for kernels, whole in _paddings(i):
                output = self._convolve(taps, i, kernels)
                margin = 4 * dilation
                # A series that is too short for outputs without padding is padded nevertheless.
                if not whole and x.shape[2] > 2 * margin:
                    output = output[:, :, margin:-margin].contiguous()
                out[:, kernels] = _counts_above(output, biases[kernels]) / output.shape[2]
            parts.append(out.flatten(1))
        return torch.cat(parts, 1)

    def _biases_by_dilation(self) -> Iterator[tuple[Tensor, int, int]]:
        parts = self.biases.split([N_KERNELS * count for count in self.n_biases])
        for i, (part, dilation) in enumerate(zip(parts, self.dilations, strict=True)):
            yield part.view(N_KERNELS, -1), i, dilation

    def _convolve(self, taps: tuple[Tensor, Tensor], i: int, kernels: slice) -> Tensor:
        """Return the zero-padded outputs ``(n, n_kernels, t)`` of kernels at a dilation."""
        base, tripled = taps
        if self.n_channels == 1:
            terms = tripled[:, 0]
            first, second, third = (terms.index_select(1, tap) for tap in self.heavy[:, kernels])
            return base + first + second + third
        numbers = np.arange(N_KERNELS)[kernels]
        heavy = HEAVY_TAPS[numbers]
        total = base.new_zeros(len(base), len(numbers), base.shape[2])
        for used, own in self._slots(i, numbers):
            output = base[:, own]
            for j in range(3):
                output = output + tripled[:, own, heavy[used, j]]
            total[:, used] += output
        return total

    def _slots(
        self, i: int, kernels: NDArray[Any]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield, for each slot, the kernels that use the slot and the channels that they add."""
        for slot in self.channels[i].cpu().numpy()[kernels].T:
            used = np.flatnonzero(slot < self.n_channels)
            yield used, slot[used]

    def _takes_numba(self, x: Tensor) -> bool:
        if self.engine == "torch" or x.device.type != "cpu":
            return False
        short = any(x.shape[2] <= 8 * dilation for dilation in self.dilations)
        if short:  # sktime's engine for series of equal length can't take them
            return False
        if self.engine == "numba":
            return True
        work = float(len(x)) * x.shape[2] * self.n_features
        return work > NUMBA_PAYS and all(map(importlib.util.find_spec, ("numba", "sktime")))

    def _in_numba(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        from .numba_engine import transform

        dilations = np.array(self.dilations, dtype=np.int32)
        n_biases = np.array(self.n_biases, dtype=np.int32)
        biases = self.biases.numpy()
        if self.n_channels == 1:
            return transform(x, (dilations, n_biases, biases))
        used = self.channels.flatten(0, 1) < self.n_channels
        per_kernel = used.sum(1).to(torch.int32).numpy()
        channels = self.channels.flatten(0, 1)[used].to(torch.int32).numpy()
        return transform(x, (per_kernel, channels, dilations, n_biases, biases))


def _counts_above(output: Tensor, biases: Tensor) -> Tensor:
    """Count the values of each output ``(n, k, t)`` that exceed each of its biases ``(k, q)``."""
    n, k, n_timepoints = output.shape
    ones = output.new_ones(n_timepoints)
    if output.numel() * biases.shape[1] <= AT_ONCE:
        above = output.new_empty(n, k, biases.shape[1], n_timepoints)
        return torch.gt(output[:, :, None], biases[:, :, None], out=above) @ ones
    counts = output.new_empty(n, k, biases.shape[1])
    above = torch.empty_like(output)
    for q, bias in enumerate(biases.unbind(1)):
        torch.gt(output, bias[:, None], out=above)
        counts[:, :, q] = above @ ones
    return counts


def _paddings(i: int) -> tuple[tuple[slice, bool], ...]:
    """Return the kernels whose padded outputs are counted at a dilation, and the others."""
    return (slice(i % 2, None, 2), True), (slice(1 - i % 2, None, 2), False)


def _taps(x: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    """Return the negative sum of the nine taps of ``(n, c, t)`` series, and each tap times 3."""
    n_timepoints = x.shape[2]
    padded = F.pad(x, (4 * dilation, 4 * dilation))
    starts = torch.arange(N_TAPS, device=x.device) * dilation
    index = starts[:, None] + torch.arange(n_timepoints, device=x.device)
    taps = padded.index_select(2, index.flatten()).unflatten(2, (N_TAPS, n_timepoints))
    # The order of summation is that of sktime's engine, so that both round alike.
    base = -x
    for j in (0, 1, 2, 3, 5, 6, 7, 8):
        base = base - taps[:, :, j]
    return base, taps + taps + taps


def _long_enough(x: Tensor) -> Tensor:
    """Pad series with zeros to at least nine points."""
    return x if x.shape[2] >= N_TAPS else F.pad(x, (0, N_TAPS - x.shape[2]))
