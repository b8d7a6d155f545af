"""Base class and helpers of causal features, which are computed for all prefixes in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .minirocket import Engine, draw_channels

LANES = 16
"""Number of groups or shapelets that are computed together in one vector of floats."""
LARGEST = 1 << 15
"""Largest absolute value that Hydra adds to a sum for one output, in units."""
BLOCK_BYTES = 5 << 19
"""Size in bytes of the features that :meth:`CausalFeatures.path` makes at once. Larger blocks
don't fit the processor's cache, and writing them would take longer than computing them."""


def check_time_points(time_points: Sequence[int], n_timepoints: int) -> list[int]:
    """Return prefix lengths as a list, after a check that they ascend within the series.

    Parameters
    ----------
    time_points : sequence of int
        Lengths of the prefixes, from 1 to ``n_timepoints``.
    n_timepoints : int
        Length of the longest series.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If there are no lengths, if they don't ascend, or if one is out of range.
    """
    points = [int(t) for t in time_points]
    rising = all(a < b for a, b in pairwise(points))
    if not points or not rising or points[0] < 1:
        raise ValueError(f"time_points must be positive and ascending, got {time_points!r}")
    if points[-1] > n_timepoints:
        raise ValueError(f"time_points end at {time_points[-1]}, series at {n_timepoints}")
    return points


def block_size(n_features: int, n_moments: int) -> int:
    """Return the number of series whose features at all moments fill one block.

    Parameters
    ----------
    n_features, n_moments : int
        Numbers of features and of moments.

    Returns
    -------
    int
        Number of series, at least 1; see :data:`BLOCK_BYTES`.
    """
    return max(BLOCK_BYTES // (4 * n_features * max(n_moments, 1)), 1)


def at_moments(
    features: Callable[[Tensor], Tensor], x: Tensor, n_features: int, n_moments: int
) -> Tensor:
    """Compute features of series at several moments, in blocks that stay in the cache.

    Parameters
    ----------
    features : callable
        Function from series to features ``(n_moments, n, n_features)``.
    x : Tensor of shape (n, n_channels, t)
        Series.
    n_features, n_moments : int
        Numbers of features and of moments.

    Returns
    -------
    Tensor of shape (n_moments, n, n_features)
    """
    size = block_size(n_features, n_moments)
    if len(x) <= size:
        return features(x)
    found = x.new_empty(n_moments, len(x), n_features)
    for start, part in zip(range(0, len(x), size), x.split(size), strict=True):
        found[:, start : start + len(part)] = features(part)
    return found


class CausalFeatures(nn.Module):
    """Base class of transforms that compute the features of all prefixes in one pass.

    A subclass implements ``_engine(x, moments)``, which returns a function from series to
    features ``(n_moments, n, n_features)``.

    Attributes
    ----------
    time_points : list of int
        Lengths of the prefixes.
    n_features : int
        Number of features.
    """

    time_points: list[int]
    n_features: int

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of series; see :meth:`transform`."""
        return self.transform(x)

    @torch.no_grad()
    def transform(self, x: Tensor) -> Tensor:
        """Return the features of series after their last point.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series or prefixes.

        Returns
        -------
        Tensor of shape (n, n_features)
            Features at the last point.
        """
        return self._engine(x, [x.shape[2]])(x)[0]

    @torch.no_grad()
    def at(self, x: Tensor, time_points: Sequence[int]) -> Tensor:
        """Return the features of series at several moments.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series.
        time_points : sequence of int
            The moments, as prefix lengths in ascending order, at most ``t``.

        Returns
        -------
        Tensor of shape (n_moments, n, n_features)
        """
        moments = [int(t) for t in time_points]
        x = x[:, :, : moments[-1]].contiguous()
        return at_moments(self._engine(x, moments), x, self.n_features, len(moments))

    @torch.no_grad()
    def path(self, x: Tensor, block: int | None = None) -> Iterator[Tensor]:
        """Yield the features at each moment, block by block of series.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series. They may end before the last moment.
        block : int, optional
            Number of series in a block. By default, it is chosen by :func:`block_size`.

        Yields
        ------
        Tensor of shape (n_block, n_moments, n_features)
            Features at those moments of ``time_points`` that are not after the end of the
            series. The features ``[:, m]`` of one moment are contiguous in memory.
        """
        reached = [t for t in self.time_points if t <= x.shape[2]]
        features = self._engine(x, reached)
        for part in x.split(block or block_size(self.n_features, len(reached))):
            yield features(part).transpose(0, 1)

    def _engine(self, x: Tensor, moments: list[int]) -> Callable[[Tensor], Tensor]:
        raise NotImplementedError


def channel_slots(shape: Sequence[int], n_channels: int, rng: np.random.Generator) -> Tensor:
    """Draw the channels that are summed, in ascending order.

    Parameters
    ----------
    shape : sequence of int
        Shape of the result; its last element is the number of slots.
    n_channels : int
        Number of channels of the series.
    rng : numpy.random.Generator
        Source of the random draws.

    Returns
    -------
    Tensor
        Indices of channels; ``n_channels`` means an empty slot.
    """
    if n_channels == 1:
        return torch.zeros(*shape, dtype=torch.int64)
    return torch.from_numpy(np.sort(draw_channels(n_channels, shape, rng), axis=-1))


def sum_of_channels(x: Tensor, slots: Tensor) -> Tensor:
    """Sum channels slot by slot, in the order of the slots.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, t)
        Series.
    slots : Tensor of shape (n_sums, n_slots)
        Indices of channels; ``n_channels`` means an empty slot.

    Returns
    -------
    Tensor of shape (n, n_sums, t)
    """
    if slots.shape[1] == 1:
        return x[:, slots[:, 0]]
    x = torch.cat([x, torch.zeros_like(x[:, :1])], 1)
    total = x[:, slots[:, 0]]
    for slot in slots.unbind(1)[1:]:
        total = total + x[:, slot]
    return total


def takes_numba(engine: Engine, x: Tensor, module: str) -> bool:
    """Return whether the compiled engine is to compute the features of these series.

    Parameters
    ----------
    engine : {"auto", "torch", "numba"}
        The requested engine.
    x : Tensor
        Series.
    module : str
        Name of the module of ``skgdpd.nets`` that holds the compiled engine.

    Returns
    -------
    bool
    """
    if engine == "torch" or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return engine == "numba" or (not torch.compiler.is_exporting() and has_module(module))


@cache
def has_module(name: str) -> bool:
    """Return whether a compiled engine of ``skgdpd.nets`` can be imported.

    Parameters
    ----------
    name : str
        Name of its module.

    Returns
    -------
    bool
        False if numba is not installed, or doesn't support the installed numpy.
    """
    try:
        import_module(f".{name}", __package__)
    except ImportError:
        return False
    return True


def on_threads(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    work: Callable[[], tuple[Any, ...]],
    n: int,
    most: int,
) -> None:
    """Call a function for all series, on as many threads as torch may use.

    The threads are plain Python threads. Numba's own threads would change the number of threads
    that OpenMP gives torch.

    Parameters
    ----------
    function : callable
        Function that releases the global interpreter lock. Its last parameters are working
        arrays, the index of the first series, and the index after the last series.
    arguments : tuple
        The other arguments.
    work : callable
        Function that allocates the working arrays. Each thread calls it once. Compiled functions
        don't allocate their own arrays, because that code takes long to compile.
    n : int
        Number of series.
    most : int
        Maximum number of threads; more would not be faster.
    """
    n_threads = min(torch.get_num_threads(), n, most)
    if n_threads < 2:
        function(*arguments, *work(), 0, n)
        return
    bounds = [n * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        calls = [pool.submit(function, *arguments, *work(), *rows) for rows in pairwise(bounds)]
        for call in calls:
            call.result()


def exact_root(x: Tensor) -> Tensor:
    """Return correctly rounded square roots, equal to those of a compiled engine.

    Square roots of torch on a CPU are not always correctly rounded.

    Parameters
    ----------
    x : Tensor
        Numbers that are not negative.

    Returns
    -------
    Tensor
    """
    if x.device.type == "cpu" and not torch.compiler.is_exporting():
        return torch.from_numpy(np.sqrt(x.numpy()))
    return x.sqrt()
