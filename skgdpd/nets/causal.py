"""What the causal features of all prefixes have in common."""

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
"""Number of groups or shapelets that are computed together: a vector of single precision."""
LARGEST = 1 << 15
"""Largest absolute value of an output that Hydra adds to a sum, in units."""
BLOCK_BYTES = 5 << 19
"""Size of the features that a path makes at once. Larger ones leave the processor's cache, and to
write them then takes longer than to compute them."""


def check_time_points(time_points: Sequence[int], n_timepoints: int) -> list[int]:
    """Return lengths of prefixes, which must ascend from 1 or more to no more than the series'.

    Parameters
    ----------
    time_points : sequence of int
        Lengths of the prefixes.
    n_timepoints : int
        Length of the longest series.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If they are none, don't ascend, or leave the series.
    """
    points = [int(t) for t in time_points]
    rising = all(a < b for a, b in pairwise(points))
    if not points or not rising or points[0] < 1:
        raise ValueError(f"time_points must be positive and ascending, got {time_points!r}")
    if points[-1] > n_timepoints:
        raise ValueError(f"time_points end at {time_points[-1]}, series at {n_timepoints}")
    return points


def block_size(n_features: int, n_moments: int) -> int:
    """Return the number of series whose features at all moments have about 2.5 MB.

    Parameters
    ----------
    n_features, n_moments : int
        Numbers of features and of moments.

    Returns
    -------
    int
        At least 1.
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
    """Base of features of all prefixes of a series, which are computed in one pass.

    A subclass writes ``_engine(x, moments)``, which returns a function from series to features
    ``(n_moments, n, n_features)``.

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
            Series, or their first ``t`` points.

        Returns
        -------
        Tensor of shape (n, n_features)
            Shares between 0 and 1.
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
            The moments: ascending numbers of points, ``t`` at most.

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
            Number of series in a block; by default so many that a block has 2.5 MB.

        Yields
        ------
        Tensor of shape (n_block, n_moments, n_features)
            Features at those of ``time_points`` that the series reach. Those of one moment,
            ``[:, m]``, are contiguous in memory.
        """
        reached = [t for t in self.time_points if t <= x.shape[2]]
        features = self._engine(x, reached)
        for part in x.split(block or block_size(self.n_features, len(reached))):
            yield features(part).transpose(0, 1)

    def _engine(self, x: Tensor, moments: list[int]) -> Callable[[Tensor], Tensor]:
        raise NotImplementedError


def channel_slots(shape: Sequence[int], n_channels: int, rng: np.random.Generator) -> Tensor:
    """Draw the channels that are summed, ascending.

    Parameters
    ----------
    shape : sequence of int
        Shape of the result; the last number is that of slots.
    n_channels : int
        Number of channels of the series.
    rng : numpy.random.Generator
        Source of the random draws.

    Returns
    -------
    Tensor
        Numbers of channels; ``n_channels`` stands for an empty slot.
    """
    if n_channels == 1:
        return torch.zeros(*shape, dtype=torch.int64)
    return torch.from_numpy(np.sort(draw_channels(n_channels, shape, rng), axis=-1))


def sum_of_channels(x: Tensor, slots: Tensor) -> Tensor:
    """Add channels up, slot by slot in their order.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, t)
        Series.
    slots : Tensor of shape (n_sums, n_slots)
        Numbers of channels; ``n_channels`` stands for an empty slot.

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
    """Return whether the compiled engine computes the features of such series.

    Parameters
    ----------
    engine : {"auto", "torch", "numba"}
        The engine that was asked for.
    x : Tensor
        Series.
    module : str
        Name of the module in this room that holds the compiled engine.

    Returns
    -------
    bool
    """
    if engine == "torch" or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return engine == "numba" or (not torch.compiler.is_exporting() and has_module(module))


@cache
def has_module(name: str) -> bool:
    """Return whether a compiled engine of this room can be imported.

    Parameters
    ----------
    name : str
        Name of its module.

    Returns
    -------
    bool
        False where numba is not installed, or not made for the installed numpy.
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

    These are plain threads: numba's own, once started, would change how many OpenMP gives torch.

    Parameters
    ----------
    function : callable
        Function that releases the global interpreter lock. Its last parameters are arrays to work
        with, the first series, and the one to stop at.
    arguments : tuple
        The other arguments.
    work : callable
        Function that makes the arrays to work with, which each thread has for itself. Compiled
        functions don't make their own, since that code takes long to compile.
    n : int
        Number of series.
    most : int
        Number of threads that pay.
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
    """Return square roots that are the nearest numbers, as a compiled engine's are.

    Torch's roots on a CPU are not always.

    Parameters
    ----------
    x : Tensor
        Numbers from 0 on.

    Returns
    -------
    Tensor
    """
    if x.device.type == "cpu" and not torch.compiler.is_exporting():
        return torch.from_numpy(np.sqrt(x.numpy()))
    return x.sqrt()
