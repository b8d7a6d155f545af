"""Time backbones that read a series point by point.

    OMP_NUM_THREADS=1 python benchmarks/point_states.py

The program prints a Markdown table with

- the microseconds for a point of one series, early and late in the series;
- the microseconds for a point of many series that are read together, divided by their number;
- the size of the state of a series;
- the microseconds for a pass over a whole prefix, which a state makes unnecessary.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from skgdpd.nets import (
    PointState,
    available_backbones,
    has_point_state,
    make_backbone,
    map_state,
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "backbones", nargs="*", help="names of backbones (default: all that have states)"
    )
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--length", type=int, default=500, help="points of a whole series")
    parser.add_argument("--together", type=int, default=1000, help="series that are read together")
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = {
        name: make_backbone(name, options.channels, options.length).eval()
        for name in options.backbones or available_backbones()
    }
    last, together = options.length, options.together
    print(
        f"| backbone | one series, first points (µs) | after {last} points (µs) "
        f"| {together} series, a point of one (µs) | state of a series (kB) "
        f"| pass over {last} points (µs) |\n|{'---|' * 6}"
    )
    for name, backbone in made.items():
        if has_point_state(backbone):
            print(row(name, backbone, options), flush=True)


def row(name: str, backbone: nn.Module, options: argparse.Namespace) -> str:
    """Measure one backbone.

    Parameters
    ----------
    name : str
        Its name.
    backbone : torch.nn.Module
        A backbone with states.
    options : argparse.Namespace
        The program's options.

    Returns
    -------
    str
        A row of the table.
    """
    stepper = cast(PointState[Any], backbone)
    series = torch.randn(1, options.channels, options.length)
    points = torch.randn(options.together, options.channels, 1)
    with torch.inference_mode():
        state, features = stepper.start(1), None
        early = time_of_a_point(stepper, state, points[:1], options.repeats)
        for point in series.split(1, 2):
            state, features = stepper.step(state, point)
        torch.testing.assert_close(features, backbone(series), rtol=1e-5, atol=1e-5)
        late = time_of_a_point(stepper, state, points[:1], options.repeats)
        many = map_state(lambda rows: rows.repeat(options.together, *[1] * (rows.ndim - 1)), state)
        together = time_of_a_point(stepper, many, points, max(options.repeats // 5, 5))
        whole = median_time(lambda: backbone(series), max(options.repeats // 5, 5))
    figures = f"{early:.0f} | {late:.0f} | {together / options.together:.2f}"
    return f"| `{name}` | {figures} | {size(state) / 1000:.1f} | {whole:.0f} |"


def time_of_a_point(
    stepper: PointState[Any], state: object, points: Tensor, repeats: int
) -> float:
    """Return the median time of a step in a stream, in microseconds.

    Parameters
    ----------
    stepper : PointState
        The backbone.
    state : object
        State from which the stream goes on.
    points : Tensor of shape (n, n_channels, 1)
        A point of each series, which is read again and again.
    repeats : int
        Number of steps.

    Returns
    -------
    float
    """

    def advance() -> None:
        nonlocal state
        state, _ = stepper.step(state, points)

    return median_time(advance, repeats)


def median_time(program: Callable[[], object], repeats: int) -> float:
    """Return the median of a program's processor times, in microseconds.

    Parameters
    ----------
    program : callable
        The program.
    repeats : int
        How often it runs, after some runs that don't count.

    Returns
    -------
    float
    """
    times = []
    for _ in range(repeats + 3):
        start = time.process_time()
        program()
        times.append(time.process_time() - start)
    return 1e6 * statistics.median(times[3:])


def size(state: object) -> int:
    """Return the bytes of a state's tensors."""
    sizes: list[int] = []

    def count(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    map_state(count, state)
    return sum(sizes)


if __name__ == "__main__":
    main()
