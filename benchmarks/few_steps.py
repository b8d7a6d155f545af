"""Compare priors of few steps with diffusion, by the quality of their draws and their time.

    python benchmarks/few_steps.py draws --features 8 32 --folder docs/results/few-steps
    python benchmarks/few_steps.py students --seeds 0 1 2

``draws`` fits each prior to features of a known mixture of Gaussians. It prints the sliced
Wasserstein-2 distance of draws from new features, for 1 to 16 evaluations of the network. The
results of each prior are appended to ``draws.jsonl`` in the folder, and are not measured again.
``students`` prints the scores of GunPoint students that each prior taught, the seconds of their
fits, and the milliseconds of a restoration of 64 features with its gradient.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skgdpd import DiffusionFeaturePrior, GDPDClassifier
from skgdpd._estimators.gdpd import default_prior
from skgdpd._runtime.extras import require
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import load_gunpoint
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
    make_posterior_sampler,
)
from skgdpd.diffusion.sampler import NoiseSource
from skgdpd.plotting.style import marked_style

Floats = NDArray[np.float64]
Draw = Callable[[Tensor, int], Tensor]
"""Function from noise ``(n, d)`` and a number of steps to draws ``(n, d)``."""
Row = dict[str, Any]
"""Results of one prior on one mixture."""

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
    "DDIM": "diffusion (DDIM)",
    "flow, coupled": "flow, optimal transport",
    "flow map": "flow map",
    "flow map, coupled": "flow map, optimal transport",
    "MeanFlow": "MeanFlow",
    "shortcut": "shortcut model",
    "shortcut, coupled": "shortcut model, optimal transport",
}
"""Priors of the picture, and their names in its legend."""
TICKS = (0.04, 0.08, 0.15, 0.3, 0.6)


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
    """Measure distances and times of each prior on one mixture.

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
        Width, seed and name, the distance for each number of steps, the microseconds of a draw in
        one step and the processor seconds of the fit.
    """
    mixture, rng = Mixture(d, seed), np.random.default_rng(seed + 1000)
    Z, truth, other = (mixture.draw(n, rng) for n in (N_KNOWN, N_DRAWN, N_DRAWN))
    noise = torch.as_tensor(rng.normal(size=(N_DRAWN, d))).float()
    codes = (truth - Z.mean(0)) / Z.std(0)
    own: Row = {"features": d, "seed": seed, "epochs": max_epochs}
    for name, sample in controls(Z, other, rng).items():
        if name not in known:
            distances = [sliced_wasserstein(sample, codes)] * len(STEPS)
            yield {**own, "prior": name, "distances": distances, "step": 0.0, "fit": 0.0}
    settings: dict[str, Any] = {"random_state": seed, "device": "cpu", "max_epochs": max_epochs}
    for name, draw, seconds in fit_each(mixture, Z, known, settings):
        with torch.no_grad():
            drawn = [draw(noise, n_steps).double().numpy() for n_steps in STEPS]
            start = time.process_time()
            draw(noise, 4)
            taken = 1e6 * (time.process_time() - start) / 4 / N_DRAWN
        distances = [sliced_wasserstein(sample, codes) for sample in drawn]
        yield {**own, "prior": name, "distances": distances, "step": taken, "fit": seconds}


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
    wanted = [(d, seed, max_epochs) for seed in seeds]
    for key in wanted:
        known = {row["prior"] for row in read(records, [key])}
        for row in measure_draws(d, key[1], max_epochs, known):
            with records.open("a") as file:
                print(json.dumps(row), file=file)
    return read(records, wanted)


def read(records: Path, wanted: Sequence[tuple[int, int, int]]) -> list[Row]:
    """Return the rows of given widths, seeds and epochs; none if the file does not exist."""
    rows = map(json.loads, records.read_text().splitlines() if records.exists() else [])
    return [row for row in rows if (row["features"], row["seed"], row["epochs"]) in wanted]


def by_prior(rows: Sequence[Row]) -> dict[str, Floats]:
    """Return for each prior the distances, time of a step and time of the fit, a row a seed."""
    found: dict[str, list[list[float]]] = {name: [] for name in (*CONTROLS, *CHAINS, *FLOWS)}
    for row in rows:
        found[row["prior"]].append([*row["distances"], row["step"], row["fit"]])
    return {name: np.array(of_seeds) for name, of_seeds in found.items()}


def print_draws(d: int, found: dict[str, Floats]) -> None:
    """Print a table of means over seeds, with the range of one step."""
    steps = " | ".join(map(str, STEPS))
    print(f"| {d} features | {steps} | range of 1 | microseconds a step | seconds of a fit |")
    print("|" + "---|" * (len(STEPS) + 4))
    for name, rows in found.items():
        *distances, taken, seconds = rows.mean(0)
        cells = [f"{value:.3f}" for value in distances]
        cells.append(f"{rows[:, 0].min():.3f} to {rows[:, 0].max():.3f}")
        cells += [f"{value:.1f}" if value else "" for value in (taken, seconds)]
        print(f"| {name} | {' | '.join(cells)} |")


def draw_picture(found: dict[int, dict[str, Floats]], folder: Path) -> None:
    """Draw distances against steps, with their range over seeds, for each number of features."""
    pyplot = require("matplotlib.pyplot", "plot", "to draw")
    figure = pyplot.figure(figsize=(5.2 * len(found), 6.4), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)
    for ax, (d, own) in zip(axes[0], found.items(), strict=True):
        for i, (name, label) in enumerate(SHOWN.items()):
            distances = own[name][:, : len(STEPS)]
            mean = distances.mean(0)
            ranges = mean - distances.min(0), distances.max(0) - mean
            # Side by side, as bars of several lines at one place hide each other.
            places = np.array(STEPS) * 1.03 ** (i - (len(SHOWN) - 1) / 2)
            ax.errorbar(places, mean, ranges, label=label, elinewidth=1, **marked_style(i))
        floor = own["other fresh features"][:, 0]
        ax.axhline(floor.mean(), color="gray", linewidth=1, label="two samples of fresh features")
        ax.axhspan(floor.min(), floor.max(), color="gray", alpha=0.2, lw=0)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(STEPS, list(map(str, STEPS)))
        ax.set_yticks(TICKS, list(map(str, TICKS)))
        ax.minorticks_off()
        ax.set_xlabel("steps of a draw")
        ax.set_title(f"{d} features")
    axes[0, 0].set_ylabel("sliced Wasserstein-2 distance")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3)
    n = len(next(iter(found.values()))["DDIM"])
    figure.suptitle(f"Draws and fresh features (line: mean of {n} mixtures; bars: their range)")
    figure.savefig(folder / "steps.png", dpi=110)


def time_restorations() -> None:
    """Print processor milliseconds of untrained priors' draws and gradients."""
    d, schedule = 24, NoiseSchedule()
    diffusion = LatentDiffusion(FiLMDenoiser(d, schedule), schedule, d).requires_grad_(False)
    flow = LatentFlow("flow-map", d).requires_grad_(False)
    y = torch.ones(64, d, requires_grad=True)
    latents: list[tuple[str, Any, int]] = [("diffusion", diffusion, 5), ("flow map", flow, 1)]
    for name, latent, n_steps in latents:
        sampler = make_posterior_sampler("learned-alpha", latent, n_steps, d)
        taken = []
        for _ in range(100):
            start = time.process_time()
            sampler.draw(y).square().sum().backward()
            taken.append(time.process_time() - start)
        print(f"{name}, steps {n_steps}: {1e3 * np.median(taken):.1f} ms")


def compare_students(seeds: Sequence[int]) -> None:
    """Print means and ranges over seeds of GunPoint's scores, and mean seconds of the fits."""
    X, y, X_test, y_test = load_gunpoint()
    priors = {
        "diffusion, 5 steps": {},
        "flow map, 1 step": {"dynamics": "flow-map", "n_sampling_steps": 1},
        "MeanFlow, 1 step": {"dynamics": "mean-flow", "n_sampling_steps": 1},
        "shortcut, 1 step": {"dynamics": "shortcut", "n_sampling_steps": 1},
    }
    print("| prior | AUC-PRC | accuracy | log loss | seconds of the student | of the prior |")
    print("|---|---|---|---|---|---|")
    for name, settings in priors.items():
        rows = []
        for seed in seeds:
            clf = GDPDClassifier(
                "rocket", student="fcn24", prior=default_prior(**settings), random_state=seed
            ).fit(X, y)
            scores = score(y_test, clf.predict_proba(X_test), clf.classes_)
            rows.append([scores[key] for key in ("auc_prc", "accuracy", "log_loss")])
            rows[-1] += [clf.fit_seconds_[key] for key in ("student", "preparation")]
        *of_scores, student, preparation = np.transpose(rows)
        cells = [f"{np.mean(v):.3f} ({np.min(v):.3f} to {np.max(v):.3f})" for v in of_scores]
        cells += [f"{np.mean(seconds):.1f}" for seconds in (student, preparation)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["draws", "students"])
    parser.add_argument("--features", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60, help="epochs of 16 steps (default: 60)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("few-steps"),
        help="folder for records and picture of the draws (default: few-steps)",
    )
    options = parser.parse_args()
    if options.what == "students":
        time_restorations()
        compare_students(options.seeds)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    records, found = options.folder / "draws.jsonl", {}
    for d in options.features:
        found[d] = by_prior(compare_draws(d, options.seeds, options.epochs, records))
        print_draws(d, found[d])
    draw_picture(found, options.folder)


if __name__ == "__main__":
    main()
