"""Measure teacher hacking: students that approach a teacher and move away from the truth.

    python benchmarks/teacher_hacking.py STORE.json --seeds 0 1 2 --picture FOLDER

The true class probabilities of the series are known (``AutoregressiveClasses``). A teacher learns
whole series from a few labels. Students learn the first part of the series from the teacher, with
the labelled series alone and with unlabelled series. They are measured after chosen epochs, at
equal distances in the logarithm of the steps. New series give the student's distance from the
truth. They also give its distance from the teacher's mean answer over all continuations of a first
part. The store, a JSON file, keeps each run, so an interrupted run can be continued.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from skgdpd import (
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    TrainingOptions,
)
from skgdpd._estimators.gdpd import default_prior
from skgdpd._runtime.atomic import replace_file
from skgdpd.datasets import AutoregressiveClasses
from skgdpd.distillers import FitNets, Hinton
from skgdpd.metrics import predictive_kl
from skgdpd.plotting.style import line_style

Floats = NDArray[np.float64]

N_TIMEPOINTS, N_SEEN, N_LABELLED, N_TEST, N_COMPLETIONS = 40, 16, 100, 500, 64
N_UNLABELLED = (0, 300, 2000)
N_STEPS, N_PRIOR_STEPS, BATCH = 600, 400, 32
NETWORK = "fcn24"
MANY = 8
"""Number of features that GenDD draws for a prediction, in place of one."""
METHODS = ("no teacher", "Hinton", "FitNets", "GDPD, 1 draw", "GDPD, 8 draws", "GenDD's head")
SAMPLED = {f"GenDD, {n} draw{'s' * (n > 1)}": n for n in (1, MANY)}
"""Predictions from GenDD's draws, which can be made after the training only."""


class World(NamedTuple):
    """Series, a teacher, and the two distributions to which students are compared.

    Attributes
    ----------
    X, y : ndarray
        Labelled whole series.
    unlabelled : ndarray
        Whole series without labels.
    teacher : PrefixClassifier
        Classifier of whole series, fitted on the labelled ones.
    prefixes : ndarray of shape (n_test, 1, n_seen)
        First parts of fresh series.
    truth : ndarray of shape (n_test, n_classes)
        True probabilities given the first part.
    taught : ndarray of shape (n_test, n_classes)
        The teacher's mean probabilities over continuations of the first part.
    facts : dict of str to float
        Accuracy and distances of the teacher.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    unlabelled: NDArray[np.float32]
    teacher: PrefixClassifier
    prefixes: NDArray[np.float32]
    truth: Floats
    taught: Floats
    facts: dict[str, float]


def make_classes() -> AutoregressiveClasses:
    """Return three classes, waves that differ in phase and in frequency, with correlated noise."""
    time = np.linspace(0, 1, N_TIMEPOINTS)
    waves = [(1.0, 0.0), (1.0, 0.15), (1.3, 0.0)]
    means = [np.sin(2 * np.pi * (frequency * time + phase)) for frequency, phase in waves]
    return AutoregressiveClasses(means, [0.7] * 3, scale=0.5)


@cache
def make_world(seed: int, n_labelled: int = N_LABELLED, n_test: int = N_TEST) -> World:
    """Draw series, fit a teacher, and compute the true and the taught probabilities.

    Parameters
    ----------
    seed : int
        Seed of the series and of the teacher.
    n_labelled, n_test : int
        Numbers of labelled and of fresh series.

    Returns
    -------
    World
    """
    classes = make_classes()
    rng = np.random.RandomState(seed)
    X, y = classes.sample(n_labelled, rng)
    unlabelled, _ = classes.sample(max(N_UNLABELLED), rng)
    fresh, labels = classes.sample(n_test, rng)
    teacher = PrefixClassifier(NETWORK, earliness=1.0, random_state=seed, device="cpu").fit(X, y)
    prefixes = fresh[:, :, :N_SEEN]
    completed, _ = classes.complete(np.repeat(prefixes, N_COMPLETIONS, 0), rng)
    said = teacher.predict_proba(completed).reshape(n_test, N_COMPLETIONS, -1)
    taught, known = said.mean(1), classes.predict_proba(fresh)
    truth, whole = known[:, N_SEEN - 1], known[:, -1]
    base = np.tile(classes.shares, (n_test, 1))
    facts = {
        "accuracy of the teacher, whole series": teacher.score(fresh, labels),
        "accuracy of the truth, whole series": float((whole.argmax(1) == labels).mean()),
        "accuracy of the truth, first part": float((truth.argmax(1) == labels).mean()),
        "teacher to truth, whole series": predictive_kl(whole, teacher.predict_proba(fresh)),
        "teacher to truth, first part": predictive_kl(truth, taught),
        "class shares to truth, first part": predictive_kl(truth, base),
        "class shares to teacher, first part": predictive_kl(taught, base),
    }
    return World(X, y, unlabelled, teacher, prefixes, truth, taught, facts)


def make_student(method: str, teacher: PrefixClassifier, n_known: int) -> Any:
    """Return an unfitted classifier of first parts by one of ``METHODS``."""
    if method == "no teacher":
        return PrefixClassifier(NETWORK)
    taught: dict[str, Any] = {"teacher": FrozenEstimator(teacher), "student": NETWORK}
    if method in ("Hinton", "FitNets"):
        distiller = Hinton() if method == "Hinton" else FitNets()
        return DistilledPrefixClassifier(distiller, **taught)
    if method == "GenDD's head":
        # The paper's form: the generator is trained with the student, and the draws alone answer.
        generator = GeneratorOptions(condition="features")
        return GenDDClassifier(
            generator=generator, n_sampling_steps=16, student_share=0.0, **taught
        )
    # Without Hinton's loss, which is there by default with unlabelled series, the draws teach.
    n_draws = 8 if method == "GDPD, 8 draws" else 1
    n_epochs = max(round(N_PRIOR_STEPS * 64 / n_known), 1)  # of batches of 64
    prior = default_prior(max_epochs=n_epochs)
    return GDPDClassifier(prior=prior, n_posterior_samples=n_draws, hinton_weight=0.0, **taught)


class Distances:
    """Callback that measures a student after chosen epochs.

    Parameters
    ----------
    world : World
        Fresh series, and what they are compared with.
    known : ndarray of shape (n, 1, n_timepoints)
        Whole series that the student learns from.
    epochs : sequence of int
        Epochs after which to measure, from 1.

    Attributes
    ----------
    rows : list of list of float
        Epoch, distance from the teacher's answers for the known series themselves, distance from
        the teacher on fresh series, and distance from the truth on fresh series.
    """

    def __init__(self, world: World, known: NDArray[np.float32], epochs: Sequence[int]) -> None:
        self.world, self.epochs = world, set(epochs)
        self.first_parts = known[:, :, :N_SEEN]
        self.answers = world.teacher.predict_proba(known)
        self.rows: list[list[float]] = []

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing before the fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing after the fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing before a task."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> None:
        """Measure the student if this was one of its chosen epochs."""
        epoch = context.task_id + 1
        if context.task_name == "epoch" and epoch in self.epochs and fitted_estimator is not None:
            seen = fitted_estimator.predict_proba(self.first_parts)
            distances = measure(self.world, fitted_estimator)
            self.rows.append([epoch, predictive_kl(self.answers, seen), *distances])


def measure(world: World, student: Any) -> list[float]:
    """Return a student's distances from the teacher and from the truth, on fresh series."""
    proba = student.predict_proba(world.prefixes)
    return [predictive_kl(world.taught, proba), predictive_kl(world.truth, proba)]


def run(
    world: World, method: str, n_unlabelled: int, seed: int, n_steps: int = N_STEPS
) -> dict[str, Any]:
    """Train a student, and measure its distances during the training.

    Parameters
    ----------
    world : World
        Series and teacher.
    method : str
        One of ``METHODS``.
    n_unlabelled : int
        Number of unlabelled series.
    seed : int
        Seed of the student.
    n_steps : int
        Number of optimisation steps, the same for all, rounded to whole epochs.

    Returns
    -------
    dict
        ``rows`` of steps and the three distances of :class:`Distances`, ``sampled`` distances
        of predictions from draws by their number, and processor ``seconds``.
    """
    more = world.unlabelled[:n_unlabelled]
    known = np.concatenate([world.X, more])
    steps = int(np.ceil(len(known) / BATCH))
    max_epochs = max(round(n_steps / steps), 2)
    chosen = np.unique(np.geomspace(1, max_epochs, 18).round().astype(int))
    heard = Distances(world, known, chosen.tolist())
    # The weights of each epoch are measured as they are: neither chosen nor averaged.
    plain = TrainingOptions(lr_schedule="constant", weight_averaging=0.0, validation_fraction=0.0)
    student = make_student(method, world.teacher, len(known)).set_params(
        earliness=N_SEEN,
        max_epochs=max_epochs,
        batch_size=BATCH,
        training=plain,
        random_state=seed,
        device="cpu",
    )
    student.set_callbacks(heard)
    start = time.process_time()
    student.fit(world.X, world.y, **({"X_unlabeled": more} if n_unlabelled else {}))
    sampled = {}
    if isinstance(student, GenDDClassifier):
        for name, n_draws in SAMPLED.items():
            sampled[name] = measure(world, student.set_params(n_posterior_samples=n_draws))
    return {
        "rows": [[epoch * steps, *distances] for epoch, *distances in heard.rows],
        "sampled": sampled,
        "seconds": time.process_time() - start,
    }


def summary(rows: Sequence[Sequence[float]]) -> Floats:
    """Return the distances of a student at its best moment and at the end of its training.

    Parameters
    ----------
    rows : sequence of (steps, known, proxy, true)
        Measurements in the order of the training.

    Returns
    -------
    ndarray of shape (7,)
        Steps until the true distance is least; there the distances from the teacher's answers for
        known series, from the teacher and from the truth; and the means of these three over the
        last three measurements.
    """
    table = np.array(rows, dtype=float)
    best = table[table[:, 3].argmin()]
    return np.concatenate([best, table[-3:, 1:].mean(0)])


def is_hacking(rows: Sequence[Sequence[float]], column: int) -> bool:
    """Return whether a student moved from the truth to the teacher after its best moment.

    A best moment among the last three measurements has nothing after it, so the answer is no.

    Parameters
    ----------
    rows : sequence of (steps, known, proxy, true)
        Measurements in the order of the training.
    column : {1, 2}
        Distance from the teacher: 1 on known series, 2 on fresh ones.

    Returns
    -------
    bool
    """
    found = summary(rows)
    nearer, farther = found[column + 3] < found[column], found[6] > found[3]
    return bool(nearer and farther and found[0] < rows[-3][0])


def asked_runs(seeds: Sequence[int]) -> list[tuple[int, int, str]]:
    """Return seed, number of unlabelled series and method of all runs."""
    return [
        (seed, n, method)
        for seed in seeds
        for n in N_UNLABELLED
        for method in METHODS
        if not (n and method == "no teacher")
    ]


def report(found: dict[str, Any], seeds: Sequence[int]) -> None:
    """Print the teacher's facts and a table of students, as means ± deviations over seeds.

    Parameters
    ----------
    found : dict
        Content of the store.
    seeds : sequence of int
        Seeds to report.
    """

    def spread(values: Sequence[float]) -> str:
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        return f"{np.mean(values):.2f} ± {deviation:.2f}"

    for name in found[f"{seeds[0]} teacher"]:
        print(f"{name}: {spread([found[f'{seed} teacher'][name] for seed in seeds])}")
    heads = "steps | known | teacher | truth | known | teacher | truth | known | fresh"
    print(f"\n| unlabelled | method | {heads} |\n" + "|---" * 11 + "|")
    for n in N_UNLABELLED:
        for method in METHODS:
            if n and method == "no teacher":
                continue
            runs = [found[f"{seed} {n} {method}"] for seed in seeds]
            table = np.array([summary(own["rows"]) for own in runs])
            hacking = [sum(is_hacking(own["rows"], c) for own in runs) for c in (1, 2)]
            cells = [f"{np.median(table[:, 0]):.0f}", *map(spread, table[:, 1:].T.tolist())]
            cells += [f"{count} of {len(runs)}" for count in hacking]
            print(f"| {n} | {method} | {' | '.join(cells)} |")
            for name in runs[0]["sampled"]:
                pairs = np.array([own["sampled"][name] for own in runs]).T.tolist()
                ends = " | ".join(map(spread, pairs))
                print(f"| {n} | {name} | | | | | | {ends} | | |")
    seconds = sum(own.get("seconds", 0.0) for own in found.values())
    print(f"\n{seconds / 60:.1f} processor minutes of students")


def draw_picture(found: dict[str, Any], seeds: Sequence[int], folder: Path) -> None:
    """Draw truth against teacher, and both against steps; means over seeds.

    Parameters
    ----------
    found : dict
        Content of the store.
    seeds : sequence of int
        Seeds to draw.
    folder : path
        Folder of the picture, ``curves.png``.
    """
    from matplotlib import pyplot as plt

    teacher = np.mean([found[f"{s} teacher"]["teacher to truth, first part"] for s in seeds])
    fig, axes = plt.subplots(
        3, len(N_UNLABELLED), figsize=(10, 9.6), sharey="row", layout="constrained"
    )
    for column, n in enumerate(N_UNLABELLED):
        path, truth, proxy = axes[:, column]
        for i, method in enumerate(METHODS):
            if n and method == "no teacher":
                continue
            runs = [found[f"{seed} {n} {method}"] for seed in seeds]
            steps, known, near, far = np.mean([own["rows"] for own in runs], 0).T
            style = line_style(i)
            path.plot(near, far, label=method, **style)
            path.plot(near[-1], far[-1], "o", color=style["color"], markersize=5)
            truth.plot(steps, far, **style)
            proxy.plot(steps, near, **style)
            proxy.plot(steps, known, **{**style, "alpha": 0.4, "linewidth": 0.9})
            for marker, name in zip("^*", runs[0]["sampled"], strict=False):
                end = np.mean([own["sampled"][name] for own in runs], 0)
                path.plot(*end, marker, color=style["color"], markersize=9, label=name)
        path.set(title=f"{n} unlabelled series", xlabel="distance from the teacher")
        for ax in (path, truth):
            ax.axhline(teacher, color="gray", linewidth=1, label="the teacher itself")
        for ax in (truth, proxy):
            ax.set(xscale="log", xlabel="steps", xlim=(3, N_STEPS * 1.2))
            ax.set_xticks(*_ticks(4, 20, 100, 500))
        path.set(xscale="log", xlim=(0.02, 3))
        path.set_xticks(*_ticks(0.03, 0.1, 0.3, 1))
        for ax in (path, truth, proxy):
            ax.set_yscale("log")
            ax.set_yticks(*_ticks(0.03, 0.1, 0.2, 0.3, 0.5, 1))
            ax.set_ylim(0.03 if ax is proxy else 0.12, 2)
            ax.minorticks_off()
    for ax, label in zip(axes[:, 0], ("the truth", "the truth", "the teacher"), strict=True):
        ax.set_ylabel(f"distance from {label}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    fig.savefig(folder / "curves.png", dpi=100)
    plt.close(fig)


def _ticks(*values: float) -> tuple[tuple[float, ...], list[str]]:
    """Return the places and labels of ticks."""
    return values, [f"{value:g}" for value in values]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing in the store, print the table, and draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path, help="JSON file of results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=N_STEPS, help="steps of a student")
    parser.add_argument("--picture", type=Path, help="folder for the picture")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = json.loads(options.store.read_text()) if options.store.exists() else {}
    for seed, n, method in asked_runs(options.seeds):
        key = f"{seed} {n} {method}"
        if key in found:
            continue
        world = make_world(seed)
        found[f"{seed} teacher"] = world.facts
        found[key] = run(world, method, n, seed, options.steps)
        replace_file(options.store, json.dumps(found, indent=0).encode())
        print(f"{key}: {found[key]['seconds']:.1f} s", flush=True)
    report(found, options.seeds)
    if options.picture is not None:
        draw_picture(found, options.seeds, options.picture)


if __name__ == "__main__":
    main()
