"""Measure why GenDD with the paper's condition loses, and what mends it.

    python benchmarks/generated_features.py FOLDER CBF Coffee ... --store FILE --seeds 3

No test part is read. One third of each training part is scored, and the rest is used for the fit,
as in ``prior_use.py``. In the setting ``unlabelled``, half of the rest is given without labels.
The program writes a line of JSON for each result, and a second run continues from there. It prints

- the student's log loss on its own training series, both as fitted and left out, and on the scored
  series;
- scores of the student alone and of forms of the generator, less those of the student;
- scores of each change of the default, less those of the default.

Differences have their standard error over data sets. A p-value is that of Wilcoxon's test over
data sets, adjusted by Holm's method for the number of forms of its table.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from left_out_pairs import turned
from prior_use import (
    SETTINGS,
    Division,
    Scores,
    divide,
    paired_gains,
    read_store,
    with_settings,
)
from skgdpd import GenDDClassifier, GeneratorOptions, PrefixClassifier
from skgdpd._estimators.distilled import DistilledPrefixClassifier
from skgdpd._fitting.cross_fitting import N_FOLDS, fold_numbers
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.benchmarking.statistics import holm, paired_test
from skgdpd.datasets import load_file
from skgdpd.distillers import DistillationContext, GenDD
from skgdpd.distillers.base import PredictorContext
from skgdpd.distillers.gendd import GenDDDistillation
from skgdpd.distillers.generator import (
    LEFT_OUT_LR,
    FeatureGenerator,
    as_condition,
    train_generator,
)
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Batch, Rows
from skgdpd.training.fitting import isolated_random_state
from skgdpd.training.progress import SILENT

Array = NDArray[Any]
Outputs = tuple[Array, Array]
CPU = torch.device("cpu")

METRICS = ("auc_prc", "average_precision", "accuracy", "log_loss")
TITLES = ("AUC-PRC", "average precision", "accuracy", "log loss")
STUDENT, DEFAULT, PAPER, MEMORY = "student alone", "default", "features", "memory"
LOGISTIC = "logistic model"
FEW_STEPS = "an eighth of the steps"

CONDITION_NOISE = 0.5
"""Standard deviation of the noise of conditions, which have about unit scale."""

NETWORK_DROPOUT = 0.2
"""Probability with which a hidden unit of the generator's network is left out."""

HELD_OUT = 0.25
"""Share of the labelled series whose log loss decides when the generator's training stops."""

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
"""Shares of the generator's training after which it may stop."""

OPTIONS: dict[str, dict[str, Any]] = {
    "labels": {"label_share": 1.0},
    "no labels": {"label_share": 0.0},
    "no contraction": {"contraction": 0.0},
    "condition withheld": {"condition_dropout": 0.5},
}
"""Changed options of the generator, by the name of a form."""

DRAWS: dict[str, dict[str, Any]] = {
    "5 draws of 64 steps": {"n_draws": 5, "n_steps": 64, "student_share": 0.0},
    "draws alone": {"student_share": 0.0},
}
"""Changes of a prediction, by name."""

GUIDANCE: dict[str, dict[str, Any]] = {
    "guidance 0.5": {"guidance": 0.5},
    "guidance 2": {"guidance": 2.0},
}


class RecordingDistillation(GenDDDistillation):
    """Distillation that keeps the data of its generator's training instead of training it.

    Attributes
    ----------
    preparing : DistillationContext
        Data before the student's training.
    predicting : PredictorContext
        Data after the student's training.
    """

    preparing: DistillationContext
    predicting: PredictorContext

    def predictor(self, student: SeriesNet, context: PredictorContext) -> None:
        """Keep the context, so that the student's own head predicts."""
        self.predicting = replace(context, progress=SILENT)


class Recording(GenDD):
    """GenDD whose fit ends before the training of the generator."""

    def prepare(self, context: DistillationContext) -> RecordingDistillation:
        """Keep the context."""
        own = super().prepare(context)
        found = RecordingDistillation(self, own.diffusion, own.encoder, own.centroids, own.head)
        found.preparing = context
        return found


class NoisyConditions(GenDDDistillation):
    """Distillation whose generator learns from conditions with Gaussian noise."""

    def loss(self, condition: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the loss for noisy conditions."""
        noise = torch.randn(condition.shape, dtype=condition.dtype, generator=generator)
        return super().loss(condition + CONDITION_NOISE * noise, batch, generator)


def with_dropout(distillation: GenDDDistillation) -> GenDDDistillation:
    """Return the distillation, with dropout in each block of the generator's network."""
    for block in distillation.diffusion.denoiser.blocks:
        outer: Any = block.outer
        block.outer = nn.Sequential(nn.Dropout(NETWORK_DROPOUT), outer)
    return distillation


@dataclass
class Fit:
    """Student and teacher of one fit, from which several generators learn.

    Attributes
    ----------
    data : Division
        Divided training part.
    student : str
        Backbone of student and teacher.
    seed : int
        Seed of the fit.
    """

    data: Division
    student: str
    seed: int

    def __post_init__(self) -> None:
        """Fit the student and the teacher."""
        clf = with_settings(DistilledPrefixClassifier, self.student, self.seed, None)
        self.clf = clf.set_params(distiller=Recording())
        self.clf.fit(self.data.X, self.data.y, self.data.pool)
        recorded = self.clf.distillation_
        self.preparing, self.predicting = recorded.preparing, recorded.predicting
        self.classes = self.clf.classes_
        panel, network = self.clf._read(self.data.X_scored)
        self.outputs = network.run_panel(panel)

    @cached_property
    def pairs(self) -> Rows:
        """Rows from which the default generator learns."""
        known = self.preparing.rows.tensors
        names = ("teacher_features", "y", "target")
        kept = {name: known[name] for name in names if name in known}
        left_out = torch.from_numpy(self.predicting.left_out()).to(kept["teacher_features"])
        return Rows(**kept, left_out=left_out, condition=as_condition(left_out))

    def distillation(self, **options: Any) -> GenDDDistillation:
        """Return a distillation with changed options, before the training of its generator.

        The initial weights of the network are those of :class:`~skgdpd.GenDDClassifier` with the
        same seed.

        Parameters
        ----------
        **options : object
            Changed options of :class:`~skgdpd.GeneratorOptions`.

        Returns
        -------
        GenDDDistillation
        """
        with isolated_random_state(self.predicting.seeds("distiller"), CPU):
            return GenDD(generator=GeneratorOptions(**options)).prepare(self.preparing)

    def trained(
        self,
        distillation: GenDDDistillation,
        pairs: Rows | None = None,
        visit: Callable[[nn.Module], None] | None = None,
    ) -> FeatureGenerator:
        """Train the generator of a distillation, and return the predictor with the defaults.

        Parameters
        ----------
        distillation : GenDDDistillation
            Distillation of this fit.
        pairs : Rows, optional
            Rows from which the generator learns; by default those of the default.
        visit : callable, optional
            Function that receives the generator after each of :data:`SHARES`.

        Returns
        -------
        FeatureGenerator
        """
        rows = self.pairs if pairs is None else pairs
        shares = () if visit is None else SHARES
        history = train_generator(
            distillation, rows, "auto", LEFT_OUT_LR, self.predicting, visit, shares
        )
        assert distillation.head is not None
        default = GenDDClassifier()
        return FeatureGenerator(
            distillation.diffusion,
            distillation.encoder,
            distillation.head,
            self.predicting.seeds("draws"),
            default.n_posterior_samples,
            default.n_sampling_steps,
            default.guidance,
            distillation.distiller.options.condition,
            default.student_share,
            history,
        )

    @cached_property
    def stages(self) -> list[FeatureGenerator]:
        """Default generator after each of :data:`SHARES`; the last one is the default."""
        return self.snapshots(self.pairs)

    def snapshots(self, pairs: Rows) -> list[FeatureGenerator]:
        """Return the generator that learns from pairs, after each of :data:`SHARES`."""
        seen: list[Any] = []
        last = self.trained(self.distillation(), pairs, lambda m: seen.append(copy.deepcopy(m)))
        return [*(replace(last, diffusion=diffusion.eval()) for diffusion in seen[:-1]), last]

    @cached_property
    def folds(self) -> tuple[Array, list[Any]]:
        """Fold number of each row, and a student that was fitted without each fold."""
        y = self.preparing.rows.tensors["y"].numpy()
        logits = self.preparing.rows.tensors["teacher_logits"].numpy()
        numbers = fold_numbers(np.where(y >= 0, y, logits.argmax(1)), N_FOLDS, self.seed)
        n, pool = len(self.data.y), self.data.pool
        students = []
        for k in range(N_FOLDS):
            own = numbers[:n] != k
            if pool is None:
                clf = with_settings(PrefixClassifier, self.student, self.seed, None)
                clf.fit(self.data.X[own], self.data.y[own])
            else:
                clf = with_settings(GenDDClassifier, self.student, self.seed, None)
                clf.set_params(deploy="student_head")
                clf.fit(self.data.X[own], self.data.y[own], pool[numbers[n:] != k])
            students.append(clf)
        return numbers, students

    def left_out_proba(self) -> Array:
        """Return probabilities of labelled series by students that were fitted without them."""
        numbers, students = self.folds
        n = len(self.data.y)
        proba = np.zeros((n, len(self.classes)))
        for k, clf in enumerate(students):
            columns = np.searchsorted(self.classes, clf.classes_)
            out = numbers[:n] == k
            if out.any():
                proba[np.ix_(out, columns)] = clf.predict_proba(self.data.X[out])
        return proba

    def left_out_features(self) -> Tensor:
        """Return features of all rows by students that were fitted without them.

        The features of each student are turned to those of the final student, on the series of
        both; see :func:`~left_out_pairs.turned`.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        X, pool = self.data.X, self.data.pool
        every = X if pool is None else np.concatenate([X, pool])
        numbers, students = self.folds
        by_fold = np.stack([clf.embed(every) for clf in students])
        found = turned(by_fold, numbers, self.clf.embed(every))
        return torch.from_numpy(found).to(self.pairs.tensors["teacher_features"])


def of_paper(fit: Fit) -> tuple[FeatureGenerator, Outputs]:
    """Return the generator of the paper's condition, and the outputs of the student beside it."""
    clf = with_settings(GenDDClassifier, fit.student, fit.seed, None)
    clf.set_params(generator=GeneratorOptions(condition="features"))
    clf.fit(fit.data.X, fit.data.y, fit.data.pool)
    panel, network = clf._read(fit.data.X_scored)
    return clf._generator(), network.run_panel(panel)


def with_options(fit: Fit, **options: Any) -> FeatureGenerator:
    """Return a generator with changed options."""
    return fit.trained(fit.distillation(**options))


def noisy(fit: Fit) -> FeatureGenerator:
    """Return a generator that has learned from noisy conditions."""
    d = fit.distillation()
    return fit.trained(NoisyConditions(d.distiller, d.diffusion, d.encoder, d.centroids, d.head))


def early_stopped(fit: Fit) -> FeatureGenerator:
    """Return the default generator after the number of steps with the least left-out log loss.

    A quarter of the labelled series is left out of another training, and answered by draws and
    left-out student, as in a prediction. The training of all series stops after the share of the
    steps with the least log loss of these answers.

    Parameters
    ----------
    fit : Fit
        Fitted student and teacher.

    Returns
    -------
    FeatureGenerator
    """
    known = fit.pairs.tensors
    labelled = np.flatnonzero(known["y"].numpy() >= 0)
    _, held_out = stratified_split(known["y"].numpy()[labelled], HELD_OUT, fit.seed)
    if not len(held_out):
        return fit.stages[-1]
    valid = torch.from_numpy(labelled[held_out])
    train = torch.ones(len(fit.pairs), dtype=torch.bool)
    train[valid] = False
    kept = {name: t[train] for name, t in known.items() if name != "index"}
    logits = known["left_out"][valid].double().clamp(min=1e-12).log().numpy()
    y = known["y"][valid].numpy()
    losses = []
    for generator in fit.snapshots(Rows(**kept)):
        proba = generator.probabilities(np.empty((len(y), 0)), logits, CPU)
        losses.append(-np.log(proba[np.arange(len(y)), y].clip(1e-7)).mean())
    return fit.stages[int(np.argmin(losses))]


def cross_fitted(fit: Fit) -> FeatureGenerator:
    """Return a generator whose conditions are features by students fitted without the series."""
    kept = {name: t for name, t in fit.pairs.tensors.items() if name != "index"}
    pairs = Rows(**{**kept, "condition": fit.left_out_features()})
    return fit.trained(fit.distillation(condition="features"), pairs)


GENERATORS: dict[str, Callable[[Fit], FeatureGenerator]] = {
    DEFAULT: lambda fit: fit.stages[-1],
    **{name: partial(with_options, **given) for name, given in OPTIONS.items()},
    "condition noise": noisy,
    "network dropout": lambda fit: fit.trained(with_dropout(fit.distillation())),
    "early stopping": early_stopped,
    "cross-fitted features": cross_fitted,
}
"""Functions that train a generator beside the student of a fit, by the name of a form."""

TRAINED = (DEFAULT, PAPER, *(name for name in GENERATORS if name != DEFAULT))
"""Forms that need a training of their own."""

WITH_DRAWS = (DEFAULT, PAPER, "labels", "no labels", "no contraction")
"""Forms of which draws alone are scored, too."""

CAUSES = [f"{name}{own}" for name in WITH_DRAWS for own in (*(f", {d}" for d in DRAWS), "")]
"""Rows of the first table."""

CHANGES = [
    STUDENT,
    *(name for name in TRAINED if name != DEFAULT),
    FEW_STEPS,
    *(f"{DEFAULT}, {own}" for own in DRAWS),
    *GUIDANCE,
    "votes",
    "mean draw",
    "nearest centre",
    LOGISTIC,
]
"""Rows of the second table."""


def of_draws(fit: Fit, generator: FeatureGenerator) -> dict[str, Array]:
    """Return answers in which the teacher's classifier is used otherwise, by name.

    Parameters
    ----------
    fit : Fit
        Fit with the scored series.
    generator : FeatureGenerator
        Default generator.

    Returns
    -------
    dict of str to ndarray of shape (n, n_classes)
        "votes" counts the most probable class of each draw. "mean draw" classifies the mean of the
        draws. "nearest centre" counts the class whose centre is nearest to a draw, without the
        teacher's classifier. The student has its share of each.
    """
    features, logits = fit.outputs
    drawn = torch.from_numpy(generator.draw(features, logits, CPU))
    centres = fit.distillation().centroids.double()
    own = torch.softmax(torch.from_numpy(fit.outputs[1]).double(), -1)
    with torch.inference_mode():
        votes = generator.head(drawn).argmax(-1)
        mean = torch.softmax(generator.head(drawn.mean(1)), -1)
        nearest = torch.cdist(drawn.flatten(0, 1), centres).argmin(-1).unflatten(0, votes.shape)
        shares = {
            "votes": _shares(votes, own.shape[1]),
            "mean draw": mean,
            "nearest centre": _shares(nearest, own.shape[1]),
        }
        return {n: torch.lerp(p, own, generator.student_share).numpy() for n, p in shares.items()}


def _shares(classes: Tensor, n_classes: int) -> Tensor:
    return nn.functional.one_hot(classes, n_classes).double().mean(1)


def logistic(fit: Fit) -> Array:
    """Return answers in which a logistic model of the condition takes the generator's place."""
    known = fit.pairs.tensors
    labelled = known["y"] >= 0
    model = LogisticRegression().fit(known["condition"][labelled], known["y"][labelled])
    own = torch.softmax(torch.from_numpy(fit.outputs[1]).double(), -1)
    proba = np.zeros(own.shape)
    proba[:, model.classes_] = model.predict_proba(as_condition(own).numpy())
    return (proba + own.numpy()) / 2


def run(fit: Fit, name: str) -> dict[str, dict[str, float]]:
    """Train a generator, and score its forms.

    Parameters
    ----------
    fit : Fit
        Fitted student and teacher.
    name : str
        One of :data:`TRAINED`.

    Returns
    -------
    dict of str to dict
        Scores by form. With the default there are also those of the student alone, of changed
        predictions, and :func:`memory`.
    """
    generator, outputs = of_paper(fit) if name == PAPER else (GENERATORS[name](fit), fit.outputs)
    forms = {name: generator}
    if name in WITH_DRAWS:
        forms |= {f"{name}, {own}": replace(generator, **how) for own, how in DRAWS.items()}
    if name == DEFAULT:
        forms |= {own: replace(generator, **how) for own, how in GUIDANCE.items()}
        forms[FEW_STEPS] = fit.stages[SHARES.index(1 / 8)]
    features, logits = outputs
    answers = {own: form.probabilities(features, logits, CPU) for own, form in forms.items()}
    if name == DEFAULT:
        answers |= of_draws(fit, generator)
        answers |= {LOGISTIC: logistic(fit), STUDENT: fit.clf.predict_proba(fit.data.X_scored)}
    found = {}
    for own, proba in answers.items():
        every = score(fit.data.y_scored, proba, fit.classes)
        found[own] = {metric: float(every[metric]) for metric in METRICS}
    return {**found, MEMORY: memory(fit, found[STUDENT])} if name == DEFAULT else found


def memory(fit: Fit, scored: dict[str, float]) -> dict[str, float]:
    """Return log losses of the student by series: "training", the same "left_out", and "scored".

    Parameters
    ----------
    fit : Fit
        Fitted student.
    scored : dict of str to float
        Scores of the student.

    Returns
    -------
    dict of str to float
    """
    X, y = fit.data.X, fit.data.y
    losses = {}
    for name, proba in (
        ("training", fit.clf.predict_proba(X)),
        ("left_out", fit.left_out_proba()),
    ):
        losses[name] = float(score(y, proba, fit.classes)["log_loss"])
    return {**losses, "scored": scored["log_loss"]}


def collect(
    folder: Path, cells: list[tuple[str, str, str, int]], names: list[str], store: Path
) -> None:
    """Run what a store lacks, and add a line for each result.

    Parameters
    ----------
    folder : Path
        Folder of data sets.
    cells : list of (str, str, str, int)
        Data set, setting, student and seed.
    names : list of str
        Names in :data:`TRAINED`.
    store : Path
        File of JSON lines.
    """
    known = read_store(store)
    for cell in cells:
        name, setting, student, seed = cell
        lacking = [own for own in names if (name, setting, student, own, seed) not in known]
        if not lacking:
            continue
        (path,) = folder.glob(f"{name}.*")
        fit = Fit(divide(load_file(path), setting, seed), student, seed)
        for own in lacking:
            where = {"set": name, "setting": setting, "student": student, "seed": seed}
            lines = [
                json.dumps({**where, "variant": form, "scores": scores})
                for form, scores in run(fit, own).items()
            ]
            with store.open("a") as file:
                file.write("\n".join(lines) + "\n")
        print(*cell, flush=True)


def memory_line(known: Scores, setting: str) -> str:
    """Return the means of :func:`memory` over data sets, as a sentence."""
    own = [(k[0], v) for k, v in known.items() if k[1] == setting and k[3] == MEMORY]
    sets = sorted({name for name, _ in own})
    means = {
        part: np.mean([np.mean([v[part] for n, v in own if n == name]) for name in sets])
        for part in ("training", "left_out", "scored")
    }
    return (
        f"log loss of the student: training series {means['training']:.3f}, the same left out "
        f"{means['left_out']:.3f}, other series {means['scored']:.3f}"
    )


def table(
    known: Scores, setting: str, student: str, variants: list[str], against: str
) -> list[str]:
    """Return the lines of a table of variants, less one of them.

    Parameters
    ----------
    known : dict
        Scores of a store.
    setting : str
        Setting of the rows.
    student : str
        Student of the rows.
    variants : list of str
        Names of the rows after that of ``against``. Rows without scores are left out.
    against : str
        Variant from which differences are taken.

    Returns
    -------
    list of str
        Lines of Markdown. Means are over the data sets, differences over the data sets and seeds
        that both variants have. A p-value is shown if it is less than 0.1.
    """
    there = {k[3] for k in known if k[1:3] == (setting, student)}
    rows = [v for v in variants if v in there]
    gains = {
        (v, m): paired_gains(known, setting, [student], v, m, against)
        for v in rows
        for m in METRICS
    }
    p_values: dict[tuple[str, str], float] = {}
    for m in METRICS:
        tested = np.array([paired_test(gains[v, m], np.zeros_like(gains[v, m])) for v in rows])
        p_values |= {(v, m): p for v, p in zip(rows, holm(tested), strict=True)}
    lines = [
        f"| form | fits | {' / '.join(TITLES)} | {' | '.join(TITLES)} |",
        "|---" * (3 + len(METRICS)) + "|",
    ]
    for v in (against, *rows):
        own = {k: s for k, s in known.items() if (*k[1:3], k[3]) == (setting, student, v)}
        sets = sorted({k[0] for k in own})
        means = [
            np.mean([np.mean([s[m] for k, s in own.items() if k[0] == name]) for name in sets])
            for m in METRICS
        ]
        cells = [v, str(len(own)), " / ".join(f"{mean:.3f}" for mean in means)]
        for m in METRICS:
            if v == against:
                cells.append("")
                continue
            p = p_values[v, m]
            cells.append(with_error(gains[v, m]) + (f" (p {p:.2g})" if p < 0.1 else ""))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def of_forms(variants: list[str], forms: list[str]) -> list[str]:
    """Return the variants that need no training of a form that is not among ``forms``."""
    trained = {v: v.split(",")[0] for v in variants}
    return [v for v, form in trained.items() if form in forms or form not in TRAINED]


def with_error(gains: Array) -> str:
    """Return the mean of gains with its standard error over data sets, as text."""
    error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
    return f"{gains.mean():+.3f} ± {error:.3f}"


def main() -> None:
    """Score what the store lacks, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--store", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--student", default="mixed")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=["labels"])
    parser.add_argument(
        "--forms", nargs="+", choices=TRAINED, default=list(TRAINED), help="forms that are trained"
    )
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = [
        (name, setting, options.student, seed)
        for seed, setting, name in product(range(options.seeds), options.settings, options.sets)
    ]
    collect(options.folder, cells, options.forms, options.store)
    known = {
        k: v
        for k, v in read_store(options.store).items()
        if k[0] in options.sets and k[2] == options.student and k[4] < options.seeds
    }
    for setting in options.settings:
        print(f"\n{setting}: {memory_line(known, setting)}\n")
        for variants, against in ((CAUSES, STUDENT), (CHANGES, DEFAULT)):
            asked = of_forms(variants, options.forms)
            print(*table(known, setting, options.student, asked, against), "", sep="\n")


if __name__ == "__main__":
    main()
