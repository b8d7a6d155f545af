"""Compare priors of few steps with diffusion: how near draws are to features, and their time.

    python benchmarks/few_steps.py draws --features 8 32 --picture docs/results/few-steps
    python benchmarks/few_steps.py students --seeds 0 1 2

``draws`` fits each prior to features of a known mixture of Gaussians and prints, for 1 to 16
evaluations of the network, the sliced Wasserstein-2 distance of draws from fresh features.
``students`` prints the scores of GunPoint's students that each prior taught, their seconds, and
the milliseconds of a restoration of 64 features with its gradient.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skgdpd import DiffusionFeaturePrior, GDPDClassifier
from skgdpd._estimators.gdpd import default_prior
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
from skgdpd.plotting.style import marked_style, new_axes

Floats = NDArray[np.float64]
Draw = Callable[[Tensor, int], Tensor]
"""Function from noise ``(n, d)`` and a number of steps to draws ``(n, d)``."""

STEPS = (1, 2, 4, 5, 8, 16)
N_KNOWN, N_DRAWN, N_COMPONENTS = 1000, 4000, 5
FLOWS: dict[str, tuple[FlowName, DegradationName]] = {
    "flow": ("flow", "linear-gaussian"),
    "flow, coupled": ("flow", "none"),
    "flow map": ("flow-map", "linear-gaussian"),
    "flow map, coupled": ("flow-map", "none"),
    "MeanFlow": ("mean-flow", "linear-gaussian"),
    "MeanFlow, coupled": ("mean-flow", "none"),
}
"""Dynamics and degradation; the latter decides whether noise and features are coupled."""


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
    """Return the Wasserstein-2 distance of projections on random lines, a root mean square.

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


def fit_all(
    mixture: Mixture, Z: Floats, truth: Floats, seed: int, max_epochs: int
) -> dict[str, Any]:
    """Fit each prior.

    Parameters
    ----------
    mixture : Mixture
        Distribution of the features.
    Z : ndarray of shape (n, d)
        Features to fit.
    truth : ndarray of shape (N_DRAWN, d)
        Fresh features.
    seed : int
        Seed of the fits.
    max_epochs : int
        Number of epochs of each fit, of 16 steps.

    Returns
    -------
    dict
        For each name, a function for draws, the seconds of the fit, and the fresh features in the
        coordinates of the draws.
    """
    found: dict[str, Any] = {}
    settings: Any = {"random_state": seed, "device": "cpu", "max_epochs": max_epochs}
    start = time.process_time()
    prior = DiffusionFeaturePrior(**settings).fit(Z)
    seconds, codes = time.process_time() - start, prior.encode(truth)
    latent: Any = prior.latent_.float()
    W, c = prior.encoder_.W.numpy(), prior.encoder_.c.numpy()
    exact = MixtureDenoiser(
        torch.tensor(mixture.weights),
        torch.tensor(mixture.means @ W.T + c),
        torch.tensor(W @ mixture.covariances @ W.T),
        latent.schedule,
    ).float()
    found["DDIM, exact denoiser"] = chain_of(DDIM, exact, latent.schedule), 0.0, codes
    for name, kind in {"DDIM": DDIM, "ancestral": Ancestral}.items():
        found[name] = chain_of(kind, latent.denoiser, latent.schedule), seconds, codes
    for name, (dynamics, degradation) in FLOWS.items():
        start = time.process_time()
        prior = DiffusionFeaturePrior(dynamics=dynamics, degradation=degradation, **settings)
        prior.fit(Z)
        latent = prior.latent_.float()
        found[name] = flow_of(latent), time.process_time() - start, codes
    return found


def compare_draws(d: int, seeds: Sequence[int], max_epochs: int) -> dict[str, Floats]:
    """Measure distances and times for each prior.

    Parameters
    ----------
    d : int
        Width of the features.
    seeds : sequence of int
        Seeds of mixtures, features and fits.
    max_epochs : int
        Number of epochs of each fit, of 16 steps.

    Returns
    -------
    dict of str to ndarray
        For each name and seed the distances by number of steps, the microseconds of a draw in one
        step, and the seconds of the fit.
    """
    found: dict[str, list[list[float]]] = {}
    for seed in seeds:
        mixture, rng = Mixture(d, seed), np.random.default_rng(seed + 1000)
        Z, truth, other = (mixture.draw(n, rng) for n in (N_KNOWN, N_DRAWN, N_DRAWN))
        noise = torch.as_tensor(rng.normal(size=(N_DRAWN, d))).float()
        priors = fit_all(mixture, Z, truth, seed, max_epochs)
        codes = next(iter(priors.values()))[2]
        scale, mean = Z.std(0), Z.mean(0)
        normal = rng.multivariate_normal(np.zeros(d), np.cov(((Z - mean) / scale).T), N_DRAWN)
        again = Z[rng.integers(len(Z), size=N_DRAWN)]
        for name, sample in {
            "fresh features": (other - mean) / scale,
            "the known features again": (again - mean) / scale,
            "one Gaussian": normal,
        }.items():
            row = [sliced_wasserstein(sample, codes)] * len(STEPS)
            found.setdefault(name, []).append([*row, 0.0, 0.0])
        for name, (draw, seconds, _) in priors.items():
            row = []
            with torch.no_grad():
                for n_steps in STEPS:
                    row.append(sliced_wasserstein(draw(noise, n_steps).double().numpy(), codes))
                start = time.process_time()
                draw(noise, 4)
                taken = (time.process_time() - start) / 4 / N_DRAWN
            found.setdefault(name, []).append([*row, 1e6 * taken, seconds])
    return {name: np.array(rows) for name, rows in found.items()}


def print_draws(d: int, found: dict[str, Floats]) -> None:
    """Print a table of means over seeds."""
    steps = " | ".join(map(str, STEPS))
    print(f"| {d} features | {steps} | microseconds a step | seconds of a fit |")
    print("|" + "---|" * (len(STEPS) + 3))
    for name, rows in found.items():
        *distances, taken, seconds = rows.mean(0)
        cells = [f"{value:.3f}" for value in distances]
        times = [f"{taken:.1f}" if taken else "", f"{seconds:.1f}" if seconds else ""]
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(times)} |")


def draw_picture(found: dict[int, dict[str, Floats]], folder: Path) -> None:
    """Draw distances against steps, of the largest number of features."""
    d = max(found)
    ax = new_axes(figsize=(7.6, 4.0))
    lines = ["DDIM", "ancestral", "flow, coupled", "flow map", "flow map, coupled", "MeanFlow"]
    for i, name in enumerate(lines):
        ax.plot(STEPS, found[d][name].mean(0)[: len(STEPS)], label=name, **marked_style(i))
    floor = found[d]["fresh features"].mean(0)[0]
    ax.axhline(floor, color="gray", linewidth=1, label="fresh features")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(STEPS, list(map(str, STEPS)))
    ticks = (0.04, 0.08, 0.15, 0.3, 0.6)
    ax.set_yticks(ticks, list(map(str, ticks)))
    ax.minorticks_off()
    ax.set_xlabel("steps of a draw")
    ax.set_ylabel("sliced Wasserstein-2 distance")
    ax.set_title(f"Draws of {d} features")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    folder.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(folder / "steps.png", dpi=110)


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
    """Print scores of students on GunPoint, and processor seconds of prior and student."""
    X, y, X_test, y_test = load_gunpoint()
    priors = {
        "diffusion, 5 steps": {},
        "flow map, 1 step": {"dynamics": "flow-map", "n_sampling_steps": 1},
        "MeanFlow, 1 step": {"dynamics": "mean-flow", "n_sampling_steps": 1},
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
        means = np.mean(rows, 0)
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in means) + " |", flush=True)


def main() -> None:
    """Run one of the two comparisons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["draws", "students"])
    parser.add_argument("--features", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=60, help="epochs of 16 steps (default: 60)")
    parser.add_argument("--picture", type=Path, help="folder for the picture")
    options = parser.parse_args()
    if options.what == "students":
        time_restorations()
        compare_students(options.seeds)
        return
    found = {}
    for d in options.features:
        found[d] = compare_draws(d, options.seeds, options.epochs)
        print_draws(d, found[d])
    if options.picture is not None:
        draw_picture(found, options.picture)


if __name__ == "__main__":
    main()
