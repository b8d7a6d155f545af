"""Compare priors of few steps with diffusion, by the quality of their draws and their time.

    python benchmarks/few_steps.py draws --features 8 32 --folder docs/results/few-steps
    python benchmarks/few_steps.py training --students mixed fcn24 lstm2-32

``draws`` fits each prior to features of a known mixture of Gaussians. It prints the sliced
Wasserstein-2 distance of draws from new features, for 1 to 16 evaluations of the network, and the
time of a draw. It appends the distances of each prior to ``draws.jsonl`` in the folder, and the
times to ``times.jsonl``, and does not measure them again. ``training`` prints the time of GDPD's
training steps with five steps of a diffusion and with one step of a flow map, and of training
steps on labels alone. ``prior_use.py`` compares the students of these priors.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ratios import alternate
from skgdpd import DiffusionFeaturePrior
from skgdpd._estimators.gdpd import default_prior
from skgdpd._runtime.extras import require
from skgdpd.diffusion import (
    DDIM,
    Ancestral,
    DegradationName,
    FiLMDenoiser,
    FlowName,
    LatentDiffusion,
    LatentFlow,
    MixtureDenoiser,
    NoiseSchedule,
)
from skgdpd.diffusion.sampler import NoiseSource
from skgdpd.plotting.style import COLORS, MARKERS
from training_steps import N_STEPS, QUICKLY_FITTED, package_program

Floats = NDArray[np.float64]
Draw = Callable[[Tensor, int], Tensor]
"""Function from noise ``(n, d)`` and a number of steps to draws ``(n, d)``."""
Row = dict[str, Any]
"""Record of a prior: its results on one mixture, or its times in features of one width."""

STEPS = (1, 2, 4, 5, 8, 16)
N_KNOWN, N_DRAWN, N_COMPONENTS = 1000, 4000, 5
FLOWS: dict[str, tuple[FlowName, DegradationName]] = {
    "flow": ("flow", "linear-gaussian"),
    "flow, coupled": ("flow", "none"),
    "flow map": ("flow-map", "linear-gaussian"),
    "flow map, coupled": ("flow-map", "none"),
    "MeanFlow": ("mean-flow", "linear-gaussian"),
    "MeanFlow, coupled": ("mean-flow", "none"),
    "shortcut": ("shortcut", "linear-gaussian"),
    "shortcut, coupled": ("shortcut", "none"),
}
"""Dynamics and degradation by name. The degradation decides if noise and features are coupled."""
CONTROLS = ("other fresh features", "the known features again", "one Gaussian")
CHAINS = ("DDIM, the exact denoiser", "DDIM", "ancestral")
SHOWN = {
    "DDIM": "diffusion, DDIM",
    "ancestral": "diffusion, ancestral sampling",
    "flow": "flow",
    "flow map": "flow map",
    "MeanFlow": "MeanFlow",
    "shortcut": "shortcut model",
}
"""Priors of the picture, and their names in its legend. Each has one colour."""
COUPLED = ", coupled"
"""Ending of the name of a prior with optimal transport, which the picture shows dashed."""
TICKS, TIME_TICKS = (0.04, 0.08, 0.15, 0.3, 0.6), (2, 4, 8, 16, 32, 64)
TIMED = (1, 5)
"""Numbers of steps whose times the tables have."""


class Result(NamedTuple):
    """Results of one prior in features of one width.

    Attributes
    ----------
    distances : ndarray of shape (n_mixtures, n_steps)
        Sliced Wasserstein-2 distances for the numbers of steps in :data:`STEPS`.
    fits : ndarray of shape (n_mixtures,)
        Processor seconds of the fits.
    times : ndarray of shape (n_rounds, n_steps)
        Processor microseconds of a draw for each number of steps. Controls have no round.
    """

    distances: Floats
    fits: Floats
    times: Floats


class Mixture:
    """Mixture of Gaussians of unequal shares, with means and covariances at random.

    Parameters
    ----------
    d : int
        Width of the features.
    seed : int
        Seed of the shares, means and covariances.
    """

    def __init__(self, d: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.weights = rng.dirichlet(np.full(N_COMPONENTS, 5.0))
        self.means = 2 * rng.normal(size=(N_COMPONENTS, d))
        roots = rng.normal(size=(N_COMPONENTS, d, d)) / np.sqrt(d)
        self.covariances = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(d)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw features ``(n, d)``."""
        chosen = rng.choice(N_COMPONENTS, size=n, p=self.weights)
        roots = np.linalg.cholesky(self.covariances)
        noise = rng.normal(size=(n, self.means.shape[1]))
        return self.means[chosen] + np.einsum("nij,nj->ni", roots[chosen], noise)


def sliced_wasserstein(a: Floats, b: Floats, seed: int = 0) -> float:
    """Return the root mean square Wasserstein-2 distance of projections on random lines.

    Parameters
    ----------
    a, b : ndarray of shape (n, d)
        Samples of equal size. On a line, optimal transport pairs sorted numbers.
    seed : int, default=0
        Seed of the 200 lines.

    Returns
    -------
    float
    """
    lines = np.random.default_rng(seed).normal(size=(a.shape[1], 200))
    lines /= np.linalg.norm(lines, axis=0)
    return float(np.sqrt(np.square(np.sort(a @ lines, 0) - np.sort(b @ lines, 0)).mean()))


def chain_of(kind: type[DDIM], denoiser: torch.nn.Module, schedule: NoiseSchedule) -> Draw:
    """Return the draws of a diffusion sampler."""

    def draw(noise: Tensor, n_steps: int) -> Tensor:
        source = NoiseSource(torch.Generator().manual_seed(0))
        return kind(schedule, n_steps).run(denoiser, noise, source)

    return draw


def flow_of(latent: LatentFlow) -> Draw:
    """Return the draws of a flow."""
    return lambda noise, n_steps: latent.transport(noise, torch.zeros(1, 1), n_steps)


def untrained_draws(d: int) -> dict[str, Draw]:
    """Return draws of untrained networks by name of the prior, which take as long as trained."""
    schedule, mixture = NoiseSchedule(), Mixture(d, 0)
    weights, means, covariances = map(
        torch.tensor, (mixture.weights, mixture.means, mixture.covariances)
    )
    exact = MixtureDenoiser(weights, means, covariances, schedule).float()
    network = FiLMDenoiser(d, schedule)
    return {
        "DDIM, the exact denoiser": chain_of(DDIM, exact, schedule),
        "DDIM": chain_of(DDIM, network, schedule),
        "ancestral": chain_of(Ancestral, network, schedule),
        **{name: flow_of(LatentFlow(dynamics, d)) for name, (dynamics, _) in FLOWS.items()},
    }


def exact_denoiser(mixture: Mixture, prior: DiffusionFeaturePrior) -> MixtureDenoiser:
    """Return the denoiser of the true distribution, in the coordinates of a fitted prior."""
    W, c = prior.encoder_.W.numpy(), prior.encoder_.c.numpy()
    latent: Any = prior.latent_
    return MixtureDenoiser(
        torch.tensor(mixture.weights),
        torch.tensor(mixture.means @ W.T + c),
        torch.tensor(W @ mixture.covariances @ W.T),
        latent.schedule,
    ).float()


def fit_each(
    mixture: Mixture, Z: Floats, known: Collection[str], settings: dict[str, Any]
) -> Iterator[tuple[str, Draw, float]]:
    """Fit the priors one after the other.

    Parameters
    ----------
    mixture : Mixture
        Distribution of the features.
    Z : ndarray of shape (n, d)
        Features to fit.
    known : collection of str
        Names that are left out.
    settings : dict
        Parameters of all priors.

    Yields
    ------
    name : str
        Name of the prior.
    draw : callable
        Function for draws.
    seconds : float
        Processor seconds of the fit.
    """
    if not {"DDIM, the exact denoiser", "DDIM", "ancestral"} <= set(known):
        start = time.process_time()
        prior = DiffusionFeaturePrior(**settings).fit(Z)
        seconds, latent = time.process_time() - start, cast(LatentDiffusion, prior.latent_).float()
        exact = exact_denoiser(mixture, prior)
        yield "DDIM, the exact denoiser", chain_of(DDIM, exact, latent.schedule), 0.0
        yield "DDIM", chain_of(DDIM, latent.denoiser, latent.schedule), seconds
        yield "ancestral", chain_of(Ancestral, latent.denoiser, latent.schedule), seconds
    for name, (dynamics, degradation) in FLOWS.items():
        if name not in known:
            start = time.process_time()
            prior = DiffusionFeaturePrior(dynamics=dynamics, degradation=degradation, **settings)
            prior.fit(Z)
            seconds = time.process_time() - start
            yield name, flow_of(cast(LatentFlow, prior.latent_).float()), seconds


def controls(Z: Floats, other: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return control samples ``(N_DRAWN, d)`` by name, which no prior drew, standardised."""
    scale, mean = Z.std(0), Z.mean(0)
    normal = rng.multivariate_normal(np.zeros(Z.shape[1]), np.cov(((Z - mean) / scale).T), N_DRAWN)
    again = Z[rng.integers(len(Z), size=N_DRAWN)]
    return {
        "other fresh features": (other - mean) / scale,
        "the known features again": (again - mean) / scale,
        "one Gaussian": normal,
    }


def measure_draws(d: int, seed: int, max_epochs: int, known: Collection[str]) -> Iterator[Row]:
    """Measure the distances of each prior on one mixture.

    Parameters
    ----------
    d : int
        Width of the features.
    seed : int
        Seed of mixture, features and fits.
    max_epochs : int
        Number of epochs of each fit, of 16 steps.
    known : collection of str
        Names of priors that are left out.

    Yields
    ------
    dict
        Width, seed and name, the distance for each number of steps, and the processor seconds of
        the fit.
    """
    mixture, rng = Mixture(d, seed), np.random.default_rng(seed + 1000)
    Z, truth, other = (mixture.draw(n, rng) for n in (N_KNOWN, N_DRAWN, N_DRAWN))
    noise = torch.as_tensor(rng.normal(size=(N_DRAWN, d))).float()
    codes = (truth - Z.mean(0)) / Z.std(0)
    own: Row = {"features": d, "seed": seed, "epochs": max_epochs}
    for name, sample in controls(Z, other, rng).items():
        if name not in known:
            distances = [sliced_wasserstein(sample, codes)] * len(STEPS)
            yield {**own, "prior": name, "distances": distances, "fit": 0.0}
    settings: dict[str, Any] = {"random_state": seed, "device": "cpu", "max_epochs": max_epochs}
    for name, draw, seconds in fit_each(mixture, Z, known, settings):
        with torch.no_grad():
            drawn = [draw(noise, n_steps).double().numpy() for n_steps in STEPS]
        distances = [sliced_wasserstein(sample, codes) for sample in drawn]
        yield {**own, "prior": name, "distances": distances, "fit": seconds}


def compare_draws(d: int, seeds: Sequence[int], max_epochs: int, records: Path) -> list[Row]:
    """Measure the results that the records lack, and return all records.

    Parameters
    ----------
    d : int
        Width of the features.
    seeds : sequence of int
        Seeds of mixtures, features and fits.
    max_epochs : int
        Number of epochs of each fit, of 16 steps.
    records : Path
        File of the rows of :func:`measure_draws`, one a line. New rows are appended.

    Returns
    -------
    list of dict
        Rows of this width, these seeds and this number of epochs.
    """
    wanted: list[Row] = [{"features": d, "seed": seed, "epochs": max_epochs} for seed in seeds]
    for key in wanted:
        known = {row["prior"] for row in read(records, [key])}
        append(records, measure_draws(d, key["seed"], max_epochs, known))
    return read(records, wanted)


def measure_times(d: int, n_rounds: int) -> Iterator[Row]:
    """Time draws of all priors, which take turns.

    Parameters
    ----------
    d : int
        Width of the features.
    n_rounds : int
        Number of rounds. Each prior draws once a round with each number of steps.

    Yields
    ------
    dict
        Width and name, and the processor microseconds of a draw, for each round and number of
        steps.
    """
    noise = torch.randn(N_DRAWN, d, generator=torch.Generator().manual_seed(0))
    draws = untrained_draws(d)
    programs = [partial(draw, noise, n_steps) for draw, n_steps in product(draws.values(), STEPS)]
    with torch.no_grad():
        seconds = alternate(programs, n_rounds, time.process_time, n_warm=1)
    times = 1e6 * np.array(seconds).reshape(len(draws), len(STEPS), n_rounds) / N_DRAWN
    for name, own in zip(draws, times, strict=True):
        yield {"features": d, "prior": name, "microseconds": own.T.round(4).tolist()}


def compare_times(d: int, n_rounds: int, records: Path) -> list[Row]:
    """Return the records of times of a width, which are measured if there are none.

    Parameters
    ----------
    d : int
        Width of the features.
    n_rounds : int
        Number of rounds of :func:`measure_times`.
    records : Path
        File of its rows, one a line. New rows are appended.

    Returns
    -------
    list of dict
    """
    if not read(records, [{"features": d}]):
        append(records, list(measure_times(d, n_rounds)))
    return read(records, [{"features": d}])


def append(records: Path, rows: Iterable[Row]) -> None:
    """Append rows to a file, each as soon as it is there."""
    for row in rows:
        with records.open("a") as file:
            print(json.dumps(row), file=file)


def read(records: Path, wanted: Sequence[Row]) -> list[Row]:
    """Return the rows that have all the values of a wanted one; none if there is no file."""
    rows = map(json.loads, records.read_text().splitlines() if records.exists() else [])
    return [row for row in rows if any(key.items() <= row.items() for key in wanted)]


def by_prior(rows: Sequence[Row], times: Sequence[Row]) -> dict[str, Result]:
    """Return the results of each prior by name, from rows of draws and of times."""
    rounds = {row["prior"]: row["microseconds"] for row in times}
    found = {}
    for name in (*CONTROLS, *CHAINS, *FLOWS):
        own = [row for row in rows if row["prior"] == name]
        distances, fits = ([row[key] for row in own] for key in ("distances", "fit"))
        of_draws = np.reshape(rounds.get(name, []), (-1, len(STEPS)))
        found[name] = Result(np.array(distances), np.array(fits), of_draws)
    return found


def print_draws(d: int, found: dict[str, Result]) -> None:
    """Print a table of means over seeds, with the range of one step, and of median times."""
    titles = [*map(str, STEPS), "range of 1", *(f"µs, {n}" for n in TIMED), "seconds of a fit"]
    print(f"| {d} features | {' | '.join(titles)} |")
    print("|" + "---|" * (len(titles) + 1))
    for name, (distances, fits, times) in found.items():
        cells = [f"{value:.3f}" for value in distances.mean(0)]
        cells.append(f"{distances[:, 0].min():.3f} to {distances[:, 0].max():.3f}")
        places = [STEPS.index(n) for n in TIMED]
        cells += [f"{v:.1f}" for v in np.median(times[:, places], 0)] if len(times) else ["", ""]
        cells.append(f"{fits.mean():.1f}" if fits.any() else "")
        print(f"| {name} | {' | '.join(cells)} |")


def draw_picture(found: dict[int, dict[str, Result]], folder: Path) -> None:
    """Draw distances against steps and against times, a row of panels for each width."""
    pyplot = require("matplotlib.pyplot", "plot", "to draw")
    figure = pyplot.figure(figsize=(10.4, 1.4 + 4.3 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 2, sharex="col", sharey=True, squeeze=False)
    for (of_steps, of_times), (d, own) in zip(panels, found.items(), strict=True):
        draw_lines(of_steps, of_times, own)
        floor = own["other fresh features"].distances[:, 0]
        for ax in (of_steps, of_times):
            ax.axhline(floor.mean(), color="gray", lw=1, label="two samples of fresh features")
            ax.axhspan(floor.min(), floor.max(), color="gray", alpha=0.2, lw=0)
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
            ax.set_title(f"{d} features")
        of_steps.set_xticks(STEPS, list(map(str, STEPS)))
        of_times.set_xticks(TIME_TICKS, list(map(str, TIME_TICKS)))
        of_steps.set_yticks(TICKS, list(map(str, TICKS)))
        for ax in (of_steps, of_times):
            ax.minorticks_off()
        of_steps.set_ylabel("sliced Wasserstein-2 distance")
    of_steps.set_xlabel("steps of a draw")
    of_times.set_xlabel("processor microseconds of a draw")
    handles, labels = of_steps.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3)
    n = len(next(iter(found.values()))["DDIM"].distances)
    figure.suptitle(
        f"Draws and fresh features (lines: means of {n} mixtures, and median times; "
        "bars: ranges, and quartiles of times)"
    )
    figure.savefig(folder / "steps.png", dpi=110)


def draw_lines(of_steps: Any, of_times: Any, own: dict[str, Result]) -> None:
    """Draw a line of each prior, with the range of its distances and quartiles of its times.

    Parameters
    ----------
    of_steps, of_times : matplotlib Axes
        Panels against the number of steps and against the time of a draw.
    own : dict of str to Result
        Results by name of the prior.
    """
    names = [name for name in own if name.removesuffix(COUPLED) in SHOWN]
    for i, name in enumerate(names):
        alone = name.removesuffix(COUPLED)
        coupled, kind = name != alone, list(SHOWN).index(alone)
        style = {
            "label": SHOWN[alone] + ", optimal transport" * coupled,
            "color": COLORS[kind],
            "marker": MARKERS[kind],
            "markersize": 5,
            "linestyle": "--" if coupled else "-",
            "markerfacecolor": "white" if coupled else COLORS[kind],
            "elinewidth": 1,
        }
        distances, _, times = own[name]
        mean = distances.mean(0)
        ranges = mean - distances.min(0), distances.max(0) - mean
        # Side by side, as bars of several lines at one place hide each other.
        places = np.array(STEPS) * 1.02 ** (i - (len(names) - 1) / 2)
        of_steps.errorbar(places, mean, ranges, **style)
        low, middle, high = np.quantile(times, [0.25, 0.5, 0.75], axis=0)
        of_times.errorbar(middle, mean, ranges, (middle - low, high - middle), **style)


def training_table(students: Sequence[str], n_rounds: int) -> str:
    """Time training steps of GDPD with two priors and of labels alone, which take turns.

    Parameters
    ----------
    students : sequence of str
        Names of the students' backbones.
    n_rounds : int
        Number of rounds. Each of the three programs makes eight steps a round.

    Returns
    -------
    str
        Table in Markdown: the processor milliseconds of a step, and the ratios of times of the
        same round. Figures are medians with quartiles.
    """
    diffusion = default_prior(**QUICKLY_FITTED)
    flow_map = default_prior(dynamics="flow-map", n_sampling_steps=1, **QUICKLY_FITTED)
    titles = ["DDIM, 5 steps (ms)", "flow map, 1 step (ms)", "labels only (ms)"]
    titles += ["flow map / DDIM", "labels / DDIM", "added by flow map / by DDIM"]
    lines = [f"| student | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for student in students:
        programs = [
            package_program(student, prior, torch.device("cpu"), graph=False)
            for prior in (diffusion, flow_map, None)
        ]
        seconds = alternate(programs, n_rounds, time.process_time, n_warm=2)
        five, one, none = times = 1e3 * np.array(seconds) / N_STEPS
        ratios = [one / five, none / five, (one - none) / (five - none)]
        cells = [with_quartiles(t, 1) for t in times] + [with_quartiles(r, 2) for r in ratios]
        lines.append(f"| `{student}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_quartiles(values: Floats, digits: int) -> str:
    """Return the median of numbers and their quartiles, as text."""
    low, middle, high = (f"{v:.{digits}f}" for v in np.quantile(values, [0.25, 0.5, 0.75]))
    return f"{middle} ({low} to {high})"


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["draws", "training"])
    parser.add_argument("--features", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60, help="epochs of 16 steps (default: 60)")
    parser.add_argument("--students", nargs="+", default=["mixed", "fcn24", "lstm2-32"])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of times (default: 7)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("few-steps"),
        help="folder for records and picture of the draws (default: few-steps)",
    )
    options = parser.parse_args()
    if options.what == "training":
        print(training_table(options.students, options.rounds))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    records, times, found = options.folder / "draws.jsonl", options.folder / "times.jsonl", {}
    for d in options.features:
        rows = compare_draws(d, options.seeds, options.epochs, records)
        found[d] = by_prior(rows, compare_times(d, options.rounds, times))
        print_draws(d, found[d])
    draw_picture(found, options.folder)


if __name__ == "__main__":
    main()
