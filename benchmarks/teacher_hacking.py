"""Measure teacher hacking: students that approach a teacher and move away from the truth.

    python benchmarks/teacher_hacking.py STORE.jsonl --seeds 0 1 2 --picture FOLDER

The true class probabilities of the series are known (``AutoregressiveClasses``). A teacher learns
whole series from a few labels. Students learn the first part of the series from the teacher, with
the labelled series alone and with unlabelled series. They are measured after chosen epochs, at
equal distances in the logarithm of the steps. New series give the student's distance from the
truth. They also give its distance from the teacher's mean answer over all continuations of a first
part. The generator of GenDD is finished after the student's training only. Its draws are therefore
measured after trainings of fewer steps, from the same seed. The store has a JSON record a line for
each run, so an interrupted run can be continued. With ``--report``, nothing is trained.
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
from skgdpd.datasets import AutoregressiveClasses
from skgdpd.distillers import FitNets, Hinton
from skgdpd.metrics import predictive_kl
from skgdpd.plotting.style import marked_style

Floats = NDArray[np.float64]

N_TIMEPOINTS, N_SEEN, N_LABELLED, N_TEST, N_COMPLETIONS = 40, 16, 100, 500, 64
N_UNLABELLED = (0, 300, 2000)
N_STEPS, N_PRIOR_STEPS, BATCH = 600, 400, 32
NETWORK = "fcn24"
N_LENGTHS, LEAST_LENGTH = 3, 20
"""Number of trainings after which draws of GenDD are measured, and steps of the shortest."""
FAMILIES = {
    "no teacher, Hinton, FitNets": ("no teacher", "Hinton", "FitNets"),
    "GDPD": ("GDPD, 1 draw", "GDPD, 8 draws", "GDPD and Hinton"),
    "GenDD (paper)": ("GenDD (paper), head",),
    "GenDD": ("GenDD, head",),
}
"""Methods in the rows of the picture."""
METHODS = tuple(method for family in FAMILIES.values() for method in family)
ANSWERS: dict[str, dict[str, dict[str, float]]] = {
    "GenDD (paper), head": {
        "GenDD (paper), 1 draw": {"n_posterior_samples": 1},
        "GenDD (paper), 8 draws": {"n_posterior_samples": 8},
    },
    "GenDD, head": {
        "GenDD, 1 draw": {"n_posterior_samples": 1, "student_share": 0.0},
        "GenDD, 8 draws": {"n_posterior_samples": 8, "student_share": 0.0},
        "GenDD, 32 draws and head": {"n_posterior_samples": 32, "student_share": 0.5},
    },
}
"""Further predictions of a method, from draws, with their parameters."""


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
    if method == "GenDD, head":
        return GenDDClassifier(**taught)
    if method == "GenDD (paper), head":
        # The generator is trained with the student, and the draws alone answer.
        generator = GeneratorOptions(condition="features")
        return GenDDClassifier(
            generator=generator, n_sampling_steps=16, student_share=0.0, **taught
        )
    # Hinton's loss is there by default with unlabelled series. Without it, the draws teach alone.
    hinton_weight = 1.0 if method == "GDPD and Hinton" else 0.0
    n_draws = 8 if method == "GDPD, 8 draws" else 1
    n_epochs = max(round(N_PRIOR_STEPS * 64 / n_known), 1)  # of batches of 64
    prior = default_prior(max_epochs=n_epochs)
    return GDPDClassifier(
        prior=prior, n_posterior_samples=n_draws, hinton_weight=hinton_weight, **taught
    )


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


def draw_lengths(steps: int, max_epochs: int) -> list[int]:
    """Return numbers of epochs after which draws are measured.

    Parameters
    ----------
    steps : int
        Steps of an epoch.
    max_epochs : int
        Epochs of the longest training.

    Returns
    -------
    list of int
        At most ``N_LENGTHS`` numbers, at equal distances in the logarithm; the last one is
        ``max_epochs``.
    """
    first = min(max(LEAST_LENGTH / steps, 1), max_epochs)
    return np.unique(np.geomspace(first, max_epochs, N_LENGTHS).round().astype(int)).tolist()


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
        ``rows`` of steps and the three distances of :class:`Distances`, ``answers`` with rows of
        steps and the two distances of :func:`measure` for each of the method's ``ANSWERS``, and
        processor ``seconds``.
    """
    more = world.unlabelled[:n_unlabelled]
    known = np.concatenate([world.X, more])
    steps = int(np.ceil(len(known) / BATCH))
    max_epochs = max(round(n_steps / steps), 2)
    chosen = np.unique(np.geomspace(1, max_epochs, 18).round().astype(int))
    heard = Distances(world, known, chosen.tolist())
    start = time.process_time()
    student = fit_student(world, method, more, seed, max_epochs, heard)
    answers: dict[str, list[list[float]]] = {name: [] for name in ANSWERS.get(method, {})}
    for n_epochs in draw_lengths(steps, max_epochs) if answers else ():
        whole = n_epochs == max_epochs
        own = student if whole else fit_student(world, method, more, seed, n_epochs)
        for name, settings in ANSWERS[method].items():
            distances = measure(world, own.set_params(**settings))
            answers[name].append([n_epochs * steps, *distances])
    return {
        "rows": [[epoch * steps, *distances] for epoch, *distances in heard.rows],
        "answers": answers,
        "seconds": time.process_time() - start,
    }


def fit_student(
    world: World,
    method: str,
    more: NDArray[np.float32],
    seed: int,
    max_epochs: int,
    heard: Distances | None = None,
) -> Any:
    """Return a student that was fitted for a number of epochs.

    Parameters
    ----------
    world : World
        Labelled series and teacher.
    method : str
        One of ``METHODS``.
    more : ndarray of shape (n_unlabelled, 1, n_timepoints)
        Unlabelled series.
    seed : int
        Seed of the student.
    max_epochs : int
        Number of epochs.
    heard : Distances, optional
        Callback that measures the student.

    Returns
    -------
    classifier
    """
    # The weights of each epoch are measured as they are: neither chosen nor averaged.
    plain = TrainingOptions(lr_schedule="constant", weight_averaging=0.0, validation_fraction=0.0)
    student = make_student(method, world.teacher, len(world.X) + len(more)).set_params(
        earliness=N_SEEN,
        max_epochs=max_epochs,
        batch_size=BATCH,
        training=plain,
        random_state=seed,
        device="cpu",
    )
    if heard is not None:
        student.set_callbacks(heard)
    return student.fit(world.X, world.y, **({"X_unlabeled": more} if len(more) else {}))


def summary(rows: Sequence[Sequence[float]], n_last: int = 3) -> Floats:
    """Return the distances of a student at its best moment and at the end of its training.

    Parameters
    ----------
    rows : sequence of (steps, ..., true)
        Measurements in the order of the training: the steps, distances from the teacher, and the
        distance from the truth.
    n_last : int, default=3
        Number of measurements whose mean is the end.

    Returns
    -------
    ndarray of shape (2 * n_columns - 1,)
        The row with the least distance from the truth, and the distances at the end.
    """
    table = np.array(rows, dtype=float)
    return np.concatenate([table[table[:, -1].argmin()], table[-n_last:, 1:].mean(0)])


def left_truth(rows: Sequence[Sequence[float]], column: int, n_last: int = 3) -> bool:
    """Return whether a student ends nearer to the teacher and farther from the truth than before.

    Parameters
    ----------
    rows : sequence of (steps, ..., true)
        Measurements in the order of the training.
    column : int
        Column of the distance from the teacher.
    n_last : int, default=3
        Number of measurements whose mean is the end.

    Returns
    -------
    bool
        True if it is so of the end and of the moment with the least distance from the truth.
    """
    best, end = np.split(summary(rows, n_last), [len(rows[0])])
    return bool(end[column - 1] < best[column] and end[-1] > best[-1])


def is_hacking(rows: Sequence[Sequence[float]], column: int, n_last: int = 3) -> bool:
    """Return whether a student moved from the truth to the teacher after its best moment.

    A best moment among the measurements of the end has nothing after it, so the answer is no.

    Parameters
    ----------
    rows : sequence of (steps, ..., true)
        Measurements in the order of the training.
    column : int
        Column of the distance from the teacher.
    n_last : int, default=3
        Number of measurements whose mean is the end.

    Returns
    -------
    bool
    """
    early = summary(rows, n_last)[0] < rows[-n_last:][0][0]
    return bool(early) and left_truth(rows, column, n_last)


class Found(NamedTuple):
    """Records of a store.

    Attributes
    ----------
    facts : dict
        Accuracy and distances of the teacher, by seed.
    runs : dict
        What :func:`run` found, by seed, number of unlabelled series and method.
    """

    facts: dict[int, dict[str, float]]
    runs: dict[tuple[int, int, str], dict[str, Any]]


def read_store(store: Path) -> Found:
    """Return the records of a store; none if there is no file."""
    found = Found({}, {})
    for line in store.read_text().splitlines() if store.exists() else ():
        record = json.loads(line)
        seed = record.pop("seed")
        if "facts" in record:
            found.facts[seed] = record["facts"]
        else:
            found.runs[seed, record.pop("unlabelled"), record.pop("method")] = record
    return found


def append(store: Path, record: dict[str, Any]) -> None:
    """Append a record to a store."""
    with store.open("a") as file:
        file.write(json.dumps(record) + "\n")


def asked_runs(seeds: Sequence[int]) -> list[tuple[int, int, str]]:
    """Return seed, number of unlabelled series and method of all runs."""
    return [
        (seed, n, method)
        for method in METHODS
        for seed in seeds
        for n in N_UNLABELLED
        if not (n and method == "no teacher")
    ]


def report(found: Found, seeds: Sequence[int]) -> None:
    """Print the teacher's facts and a table of students, as means ± deviations over seeds.

    Parameters
    ----------
    found : Found
        Records of the store.
    seeds : sequence of int
        Seeds to report.
    """

    def spread(values: Sequence[float]) -> str:
        mean = f"{np.mean(values):.2f}"
        return f"{mean} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else mean

    def print_row(name: str, lines: Sequence[Any], columns: Sequence[int], n_last: int) -> None:
        table = np.array([summary(rows, n_last) for rows in lines])
        best, end = np.split(table[:, 1:], 2, 1)
        blank = [""] * (2 - len(columns))
        cells = [str(n), name, f"{np.median(table[:, 0]):.0f}"]
        for half in (best, end):
            cells += blank + [spread(values) for values in half.T.tolist()]
        counts = [sum(is_hacking(rows, c, n_last) for rows in lines) for c in columns]
        cells += blank + [f"{count} of {len(lines)}" for count in counts]
        print(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))

    for name in found.facts[seeds[0]]:
        print(f"{name}: {spread([found.facts[seed][name] for seed in seeds])}")
    heads = "steps | known | teacher | truth | known | teacher | truth | known | fresh"
    print(f"\n| unlabelled | method | {heads} |\n" + "|---" * 11 + "|")
    for n in N_UNLABELLED:
        for method in METHODS:
            for name, lines in _lines(found, seeds, n, [method]).items():
                few = f" ({len(lines)} of {len(seeds)} seeds)" if len(lines) < len(seeds) else ""
                if name == method:
                    print_row(name + few, lines, (1, 2), 3)
                else:
                    # Each measurement has a training and a generator of its own.
                    print_row(name + few, lines, (1,), 1)
    asked = [found.runs[key] for key in asked_runs(seeds) if key in found.runs]
    late = [
        any(left_truth(own["rows"], c) and not is_hacking(own["rows"], c) for c in (1, 2))
        for own in asked
    ]
    print(f"\n{sum(late)} of {len(late)} trainings would be hacking but for a late best moment")
    seconds = sum(own["seconds"] for own in asked)
    print(f"{seconds / 60:.1f} processor minutes of students")


def draw_picture(found: Found, seeds: Sequence[int], folder: Path) -> None:
    """Draw the distances against steps, a row for each family; means over seeds, with ranges.

    Parameters
    ----------
    found : Found
        Records of the store.
    seeds : sequence of int
        Seeds to draw.
    folder : path
        Folder of the picture, ``curves.png``.
    """
    from matplotlib import pyplot as plt

    teacher = np.mean([found.facts[s]["teacher to truth, first part"] for s in seeds])
    shape = len(FAMILIES), len(N_UNLABELLED)
    fig, axes = plt.subplots(
        *shape, figsize=(10, 13), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for row, methods in zip(axes, FAMILIES.values(), strict=True):
        names = [name for own in methods for name in (own, *ANSWERS.get(own, ()))]
        for ax, n in zip(row, N_UNLABELLED, strict=True):
            for name, lines in _lines(found, seeds, n, methods).items():
                steps, *known, near, far = np.mean(lines, 0).T
                style = marked_style(names.index(name))
                del style["linestyle"]
                marked = [-1] if known else None  # draws are marked at each measurement
                ax.plot(steps, far, "-", label=name, markevery=marked, **style)
                ax.plot(steps, near, "--", markevery=marked, **style)
                ends = (end(lines, 0).T[-1] for end in (np.min, np.max))
                ax.fill_between(steps, *ends, color=style["color"], alpha=0.12, linewidth=0)
                if known:
                    ax.plot(steps, known[0], ":", color=style["color"], linewidth=1)
            ax.axhline(teacher, color="gray", linewidth=0.8)
            ax.set(xscale="log", yscale="log", xlim=(3, N_STEPS * 1.2), ylim=(0.02, 4.5))
            ax.set_xticks(*_ticks(4, 20, 100, 500))
            ax.set_yticks(*_ticks(0.03, 0.1, 0.2, 0.5, 1, 2))
            ax.minorticks_off()
        row[0].set_ylabel("distance")
        # The last column has room for the legend, and the first one has every method.
        row[-1].legend(*row[0].get_legend_handles_labels(), loc="upper left", frameon=False)
    for ax, n in zip(axes[0], N_UNLABELLED, strict=True):
        ax.set_title(f"{n} unlabelled series")
    for ax in axes[-1]:
        ax.set_xlabel("steps")
    kinds: dict[str, dict[str, Any]] = {
        "from the truth": {"linestyle": "-"},
        "from the teacher": {"linestyle": "--"},
        "from the teacher, known series": {"linestyle": ":"},
        "the teacher, from the truth": {"linestyle": "-", "color": "gray", "linewidth": 0.8},
    }
    handles = [plt.Line2D([], [], **{"color": "black", **kind}) for kind in kinds.values()]
    fig.legend(handles, list(kinds), loc="outside upper center", ncols=4, frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    fig.savefig(folder / "curves.png", dpi=100)
    plt.close(fig)


def _lines(
    found: Found, seeds: Sequence[int], n: int, methods: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the measurements of each stored seed, by method and further answer."""
    lines: dict[str, list[Any]] = {}
    for method in methods:
        for own in [found.runs[key] for seed in seeds if (key := (seed, n, method)) in found.runs]:
            for name, rows in {method: own["rows"], **own["answers"]}.items():
                lines.setdefault(name, []).append(rows)
    return lines


def _ticks(*values: float) -> tuple[tuple[float, ...], list[str]]:
    """Return the places and labels of ticks."""
    return values, [f"{value:g}" for value in values]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing in the store, print the table, and draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path, help="JSON Lines file of results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=N_STEPS, help="steps of a student")
    parser.add_argument("--report", action="store_true", help="report the store, train nothing")
    parser.add_argument("--picture", type=Path, help="folder for the picture")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = read_store(options.store)
    for seed, n, method in () if options.report else asked_runs(options.seeds):
        if (seed, n, method) in found.runs:
            continue
        world = make_world(seed)
        if seed not in found.facts:
            append(options.store, {"seed": seed, "facts": world.facts})
            found.facts[seed] = world.facts
        own = run(world, method, n, seed, options.steps)
        append(options.store, {"seed": seed, "unlabelled": n, "method": method, **own})
        found.runs[seed, n, method] = own
        print(f"{seed} {n} {method}: {own['seconds']:.1f} s", flush=True)
    report(found, options.seeds)
    if options.picture is not None:
        draw_picture(found, options.seeds, options.picture)


if __name__ == "__main__":
    main()
