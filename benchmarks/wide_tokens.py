"""Compare wide features that are generated in tokens with those generated as one token.

    python benchmarks/wide_tokens.py --store wide.jsonl --seeds 3

The true distribution of the features is known. A feature is the centre of its class plus noise.
Half of the noise is common to all coordinates. The condition of a series is the true probability
of each class. GenDD's generator learns from 640 pairs of condition and feature. It then draws
features for 100 new conditions. The program prints

- the expected accuracy and log loss of a classifier's mean answer to the draws, over the classes;
- the share of draws that are near a centre, as all true features are after contraction;
- the sliced Wasserstein distance of the draws from true features of the same conditions;
- the seconds of the training and of the draws.

The first row of each width has true features in place of draws. Spreads are standard deviations
over seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from torch import Tensor, nn

from skgdpd import GeneratorOptions
from skgdpd._runtime.random import Seeds
from skgdpd.distillers import DistillationContext, GenDD
from skgdpd.distillers.base import PredictorContext
from skgdpd.training import Progress, Rows, TrainingConfig

N_CLASSES = 5
N_TRAIN = 640
N_TEST = 100
N_DRAWS = 16
BATCH = 64
"""Number of series in a step of the generator's training, which has a tenth of N_TRAIN."""

N_COMMON = 16
"""Number of noise sources that all coordinates of a feature have in common."""

N_DIRECTIONS = 200
"""Number of directions of the sliced distance."""

LOGIT = 4.0
"""Logit of a class at its centre, which leaves the classifier a probability of 0.93 there."""

TRUE = "true features"
MEASURES = ("accuracy", "log_loss", "near", "distance", "fit_seconds", "draw_seconds")


class World:
    """Conditions, classes and features of one width, and the classifier of the features.

    Parameters
    ----------
    width : int
        Number of coordinates of a feature.
    seed : int
        Seed of centres and of the common noise.
    """

    def __init__(self, width: int, seed: int) -> None:
        self.rng = np.random.default_rng([width, seed])
        self.centres = self.rng.normal(size=(N_CLASSES, width))
        self.mixing = self.rng.normal(size=(N_COMMON, width)) / np.sqrt(2 * N_COMMON)
        self.head = nn.Linear(width, N_CLASSES)
        with torch.no_grad():
            weight = LOGIT * self.centres / np.square(self.centres).sum(1, keepdims=True)
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.zero_()

    def conditions(self, n: int) -> NDArray[Any]:
        """Return the true class probabilities of n series: some sure, some not."""
        logits = 3 * self.rng.normal(size=(n, N_CLASSES))
        p = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(p / p.sum(1, keepdims=True))

    def classes(self, p: NDArray[Any]) -> NDArray[np.int64]:
        """Draw a class for each row of probabilities."""
        u = self.rng.uniform(size=(len(p), 1))
        return (p.cumsum(1) < u).sum(1).clip(max=N_CLASSES - 1)

    def features(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """Draw a feature for each class number; each coordinate has variance 1 in a class."""
        own = np.sqrt(0.5) * self.rng.normal(size=(len(y), self.centres.shape[1]))
        common = self.rng.normal(size=(len(y), N_COMMON)) @ self.mixing
        return (self.centres[y] + own + common).astype(np.float32)


def main() -> None:
    """Run what the store lacks, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024, 2048])
    parser.add_argument("--tokens", nargs="+", default=["split", "one"], choices=["split", "one"])
    parser.add_argument("--predictions", nargs="+", default=["v"], choices=["v", "eps"])
    parser.add_argument("--contractions", type=float, nargs="+", default=[0.9])
    parser.add_argument("--hidden", type=int, nargs="+", default=[128])
    parser.add_argument("--levels", type=int, default=4, help="n_noise_levels of the generator")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    lines = options.store.read_text().splitlines() if options.store.exists() else []
    known = {tuple(line["cell"]): line["found"] for line in map(json.loads, lines)}
    forms: list[tuple[Any, ...]] = list(
        product(
            options.widths,
            options.tokens,
            options.predictions,
            options.contractions,
            options.hidden,
            [options.levels],
            [options.steps],
        )
    )
    for seed, form in product(range(options.seeds), forms):
        cell: tuple[Any, ...] = (*form, seed)
        if cell not in known:
            known[cell] = run(*cell)
            with options.store.open("a") as file:
                file.write(json.dumps({"cell": cell, "found": known[cell]}) + "\n")
            print(*cell, flush=True)
    report({form: [known[(*form, seed)] for seed in range(options.seeds)] for form in forms})


def run(
    width: int,
    tokens: str,
    prediction: str,
    contraction: float,
    hidden: int,
    levels: int,
    steps: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Train a generator, and compare its draws with true features.

    Parameters
    ----------
    width : int
        Number of coordinates of a feature.
    tokens : {"split", "one"}
        Tokens of 64 coordinates, or one token of all.
    prediction : {"v", "eps"}
        Target of the network.
    contraction : float
        Share of the way by which features are moved to the centre of their class.
    hidden : int
        Width of the network.
    levels : int
        Number of noise levels of each pair in a step.
    steps : int
        Number of steps of the training.
    seed : int
        Seed of the data and of the training.

    Returns
    -------
    dict of str to dict
        Measures by name: of the draws under "draws", of true features under "true features".
    """
    world = World(width, seed)
    p = world.conditions(N_TRAIN)
    y = world.classes(p)
    z = world.features(y)
    shape: dict[str, Any] = {"joint": True} if tokens == "one" else {"token_width": 64}
    options = GeneratorOptions(
        label_share=1.0,
        contraction=contraction,
        encoder="identity",
        hidden=hidden,
        n_noise_levels=levels,
        prediction=prediction,  # type: ignore[arg-type]
        max_epochs=max(round(steps * BATCH / N_TRAIN), 1),
        **shape,
    )
    start = time.process_time()
    generator, encoder, centroids = _fitted(options, world.head, p, y, z, seed)
    fit_seconds = time.process_time() - start
    new = world.conditions(N_TEST)
    start = time.process_time()
    # The generator reads probabilities from logits.
    draws = generator.draw(np.empty((N_TEST, 0)), np.log(new), torch.device("cpu"))
    draw_seconds = time.process_time() - start

    def true_features() -> NDArray[Any]:
        drawn = world.classes(np.repeat(new, N_DRAWS, 0))
        moved = (1 - contraction) * world.features(drawn) + contraction * centroids[drawn]
        return moved.reshape(N_TEST, N_DRAWS, width)

    first, second = true_features(), true_features()
    found = {}
    for name, features in (("draws", draws), (TRUE, first)):
        found[name] = {
            **_answers(world.head, features, new),
            "near": _near(features, centroids, second),
            "distance": sliced_distance(encoder(features), encoder(second), seed),
        }
    found["draws"] |= {"fit_seconds": fit_seconds, "draw_seconds": draw_seconds}
    return found


def _fitted(
    options: GeneratorOptions,
    head: nn.Linear,
    p: NDArray[Any],
    y: NDArray[Any],
    z: NDArray[Any],
    seed: int,
) -> tuple[Any, Any, NDArray[Any]]:
    """Return the trained generator, its encoder as a function, and the classes' centres."""
    rows = Rows(
        x=torch.zeros(len(y), 1, 2),
        y=torch.from_numpy(y),
        teacher_features=torch.from_numpy(z),
        teacher_logits=head(torch.from_numpy(z)).detach(),
    )
    seeds, progress = Seeds(seed), Progress(1, visible=False)
    distiller = GenDD(generator=options, n_posterior_samples=N_DRAWS)
    torch.manual_seed(seed)
    distillation = distiller.prepare(
        DistillationContext(
            rows=rows,
            n_student_features=1,
            n_classes=N_CLASSES,
            max_epochs=1,
            seed=seed,
            memory=Memory(None),
            progress=progress,
            teacher_head=lambda: head,
        )
    )
    context = PredictorContext(
        rows=rows,
        config=TrainingConfig(max_epochs=1, batch_size=BATCH, lr=1e-3),
        seeds=seeds,
        progress=progress,
        units=1.0,
        left_out=lambda: p,
    )
    student: Any = None  # a generator that is told predictions asks nothing of it
    generator = distillation.predictor(student, context)

    def encoder(features: NDArray[Any]) -> Tensor:
        flat = torch.from_numpy(features).to(torch.float32).flatten(0, 1)
        return distillation.encoder.encode(flat)

    return generator, encoder, distillation.centroids.numpy()


def _answers(head: nn.Linear, features: NDArray[Any], p: NDArray[Any]) -> dict[str, float]:
    """Return expected accuracy and log loss of the mean answer to features of each condition."""
    with torch.no_grad():
        logits = head(torch.from_numpy(features).to(torch.float32))
        q = torch.softmax(logits.double(), -1).mean(1).numpy()
    right = p[np.arange(len(p)), q.argmax(1)]
    return {
        "accuracy": float(right.mean()),
        "log_loss": float(-(p * np.log(q.clip(1e-12))).sum(1).mean()),
    }


def _near(features: NDArray[Any], centres: NDArray[Any], true: NDArray[Any]) -> float:
    """Return the share of features that are nearer to a centre than any mixture of two classes."""
    some_centres = torch.from_numpy(centres.astype(np.float64))
    gap = torch.pdist(some_centres).amin()

    def nearest(some: NDArray[Any]) -> NDArray[Any]:
        flat = torch.from_numpy(some.reshape(-1, some.shape[-1]).astype(np.float64))
        return torch.cdist(flat, some_centres).amin(1).numpy()

    limit = np.quantile(nearest(true), 0.99) + float(gap) / 4
    return float((nearest(features) <= limit).mean())


def sliced_distance(one: Tensor, other: Tensor, seed: int) -> float:
    """Return the sliced Wasserstein-2 distance of two samples of equal size.

    Parameters
    ----------
    one, other : Tensor of shape (n, d)
        Samples.
    seed : int
        Seed of the directions.

    Returns
    -------
    float
        Root of the mean squared distance of sorted projections, over random directions.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(one.shape[1], N_DIRECTIONS, generator=generator)
    directions = directions / directions.norm(dim=0)
    gaps = (one @ directions).sort(0).values - (other @ directions).sort(0).values
    return float(gaps.square().mean().sqrt())


def report(found: dict[tuple[Any, ...], list[dict[str, dict[str, float]]]]) -> None:
    """Print a row for each variant, and one for true features of each width and contraction.

    Parameters
    ----------
    found : dict of tuple to list of dict
        Results of :func:`run` by variant, with one result for each seed.
    """
    shown = set()
    for form, results in found.items():
        width, tokens, prediction, contraction, hidden, levels, _ = form
        if (width, contraction) not in shown:
            shown.add((width, contraction))
            _row(f"{width}, s = {contraction:g}, {TRUE}", [one[TRUE] for one in results])
        name = f"{width}, s = {contraction:g}, {tokens}, {prediction}, {hidden}, {levels}"
        _row(name, [one["draws"] for one in results])


def _row(name: str, results: list[dict[str, float]]) -> None:
    cells = []
    for measure in MEASURES:
        values = [one[measure] for one in results if measure in one]
        cells.append(mean_and_spread(values, digits=1 if measure.endswith("seconds") else 3))
    print(f"| {name} | {' | '.join(cells)} |")


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Return the mean of values over seeds with their standard deviation.

    Parameters
    ----------
    values : sequence of float
        One value for each seed. Without values, the text is empty.
    digits : int
        Number of decimal places.

    Returns
    -------
    str
        A single value has no deviation.
    """
    if not values:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
