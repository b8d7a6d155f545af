"""Compare ways in which GDPD can use its prior, on thirds of training parts.

    python benchmarks/prior_use.py FOLDER CBF Coffee ... --store FILE --students fcn24

No test part is read. One third of each training part is scored. In the setting ``labels``, the
other two thirds are labelled. In the setting ``unlabelled``, half of the other two thirds are
given without labels. The program writes a line of JSON for each fit, and prints tables. A second
run continues from there. Several processes may fill one store if each has different students.
Gains are differences from Hinton's distillation of the same series, or from the variant of
``--against``. Their standard errors are over data sets.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from conditional_prior import ConditionalDistillation, ConditionalPrior
from left_out_pairs import LeftOutDistillation, LeftOutPairs, fold_features
from skgdpd import (
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
)
from skgdpd._estimators.distilled import DistilledPrefixClassifier
from skgdpd._estimators.gdpd import default_prior
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.statistics import holm, paired_test
from skgdpd.datasets import TrainTest, load_file
from skgdpd.diffusion import FlowName
from skgdpd.diffusion.sampler import NoiseSource
from skgdpd.distillers import GDPD, DistillationContext, Distiller, Hinton
from skgdpd.distillers.gdpd import GDPDDistillation, TeacherClassified, fitted_prior
from skgdpd.metrics import macro_auc_prc
from skgdpd.nets.student import SeriesOutput
from skgdpd.training import Rows

EARLINESS = 0.2
SETTINGS = ("labels", "unlabelled")
SHOWN = ("auc_prc", "accuracy", "log_loss")
RESTORED = ", restored"
"""Ending of the name of a variant that predicts from posterior draws."""
N_RESTORED = 32
"""Number of draws of such a prediction."""
SMALLEST = 1e-7
"""Smallest probability in the log loss, that of the benchmark."""
LEFT_OUT = {"training__teacher_folds": 5}
EXACT = default_prior(denoiser="gmm", degradation="linear-gaussian")


class FittedPrior(FrozenEstimator):
    """Fitted prior whose ``fit`` does nothing, for a distiller that would fit it."""

    def fit(self, X: Any, y: Any = None, **settings: Any) -> FittedPrior:
        """Return the prior itself."""
        return self


def with_prior(distiller: GDPD, prior: Any, context: DistillationContext) -> GDPDDistillation:
    """Return the distillation of GDPD with a fitted prior."""
    settings = {**distiller.get_params(deep=False), "prior": FittedPrior(prior)}
    return GDPD(**settings).prepare(replace(context, memory=Memory(None)))


class LabelledPrior(GDPD):
    """GDPD whose prior is fitted on the teacher's features of the labelled series alone."""

    def prepare(self, context: DistillationContext) -> GDPDDistillation:
        """Fit the prior on the labelled rows, and go on as GDPD does."""
        features, y = (context.rows.tensors[name] for name in ("teacher_features", "y"))
        labelled = replace(context, rows=Rows(teacher_features=features[y >= 0]))
        return with_prior(self, fitted_prior(self.prior, labelled), context)


class SharedPrior(GDPD):
    """GDPD whose prior is fitted once for several degradations, which takes most of the time.

    The fit of a diffusion does not depend on them, but for ``"learned-alpha"``.
    """

    def prepare(self, context: DistillationContext) -> GDPDDistillation:
        """Fit the prior as that of one degradation, and go on with its own."""
        degradation = self.prior.degradation
        common = clone(self.prior).set_params(degradation="linear-gaussian")
        prior = fitted_prior(common, context).set_params(degradation=degradation)
        return with_prior(self, prior, context)


def taught_by(distiller: Distiller) -> tuple[Any, dict[str, Any]]:
    """Return the classifier with a distiller, for :data:`VARIANTS`."""
    return DistilledPrefixClassifier, {"distiller": distiller}


def in_one_step(dynamics: FlowName) -> tuple[Any, dict[str, Any]]:
    """Return GDPD whose draws take one step of a flow, for :data:`VARIANTS`."""
    return GDPDClassifier, {"prior": default_prior(dynamics=dynamics, n_sampling_steps=1)}


CONDITIONAL_LEFT_OUT = "conditional-left-out"

VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "none": (PrefixClassifier, {}),
    "hinton": taught_by(Hinton()),
    "hinton-2": taught_by(Hinton(temperature=2.0)),
    "gdpd": (GDPDClassifier, {}),
    "gdpd-alone": (GDPDClassifier, {"hinton_weight": 0.0}),
    "labelled-prior": taught_by(LabelledPrior(default_prior())),
    "linear-gaussian": taught_by(SharedPrior(default_prior(degradation="linear-gaussian"))),
    "linear-gaussian-left-out": taught_by(
        LeftOutPairs(default_prior(degradation="linear-gaussian"))
    ),
    "exact-linear-gaussian": (GDPDClassifier, {"prior": EXACT}),
    "matched-noise": taught_by(SharedPrior(default_prior(degradation="matched-noise"))),
    "gmm": (GDPDClassifier, {"prior": default_prior(denoiser="gmm")}),
    "flow-map": in_one_step("flow-map"),
    "mean-flow": in_one_step("mean-flow"),
    "shortcut": in_one_step("shortcut"),
    "unconditional": taught_by(SharedPrior(default_prior(degradation="none"))),
    "conditional": taught_by(ConditionalPrior()),
    CONDITIONAL_LEFT_OUT: taught_by(ConditionalPrior()),
    "hinton-left-out": (DistilledPrefixClassifier, {"distiller": Hinton(), **LEFT_OUT}),
    "gdpd-left-out": (GDPDClassifier, {"hinton_weight": 1.0, **LEFT_OUT}),
    "teacher-head": taught_by(GDPD(default_prior(), classified_by="teacher")),
    "exact-teacher-head": taught_by(GDPD(EXACT, classified_by="teacher")),
}
"""Classifiers and their settings by name.

All of GDPD, and the conditional priors, have Hinton's term of temperature 2 where there are
unlabelled series. gdpd-alone never has it, and gdpd-left-out always. "left-out" are logits of
labelled series by teachers that were fitted without them. "exact" has a Gaussian of each class for
a prior, whose posterior is known in closed form. labelled-prior is gdpd with a prior of the
labelled series alone. "conditional" draws from a network of pairs, given the student's feature;
conditional-left-out draws from GenDD's, which has learned from left-out predictions, given the
student's prediction. In the last two the teacher's head classifies the draws. flow-map, mean-flow
and shortcut are gdpd with one step of a flow in place of five steps of a diffusion.
"""

SAME = {("labels", "labelled-prior"), ("labels", "gdpd-alone")}
"""Settings and variants that are not run, because they are "gdpd"."""
WITHOUT_DRAWS = {"none", "hinton", "hinton-2", "hinton-left-out"}

Array = NDArray[Any]
Key = tuple[str, str, str, str, int]
Scores = dict[Key, dict[str, float]]
PValues = dict[tuple[str, str], float]


class Division(NamedTuple):
    """Divided training part.

    Attributes
    ----------
    X, y : ndarray
        Labelled series and their labels.
    pool : ndarray or None
        Series without labels, if the setting has any.
    X_scored, y_scored : ndarray
        Series and labels on which a classifier is scored.
    """

    X: Array
    y: Array
    pool: Array | None
    X_scored: Array
    y_scored: Array


def divide(parts: TrainTest, setting: str, seed: int) -> Division:
    """Divide a training part.

    Parameters
    ----------
    parts : TrainTest
        Data set, of which the test part is not read.
    setting : {"labels", "unlabelled"}
        Whether half of the series that are not scored keep no label.
    seed : int
        Seed of the division. The series that are scored are the same in both settings.

    Returns
    -------
    Division
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    rest, scored = stratified_split(codes, 1 / 3, seed + 100)
    pool = None
    if setting == "unlabelled":
        kept, hidden = stratified_split(codes[rest], 0.5, seed + 200)
        rest, pool = rest[kept], parts.X[rest[hidden]]
    return Division(parts.X[rest], parts.y[rest], pool, parts.X[scored], parts.y[scored])


def scores(y: Array, proba: Array, classes: Array) -> dict[str, float]:
    """Return macro AUC-PRC, accuracy and log loss of probabilities ``(n, n_classes)``."""
    own = proba[np.arange(len(y)), np.searchsorted(classes, y)]
    return {
        "auc_prc": float(macro_auc_prc(y, proba, classes)),
        "accuracy": float((classes[proba.argmax(1)] == y).mean()),
        "log_loss": float(-np.log(np.clip(own, SMALLEST, 1)).mean()),
    }


@torch.no_grad()
def restored_proba(clf: Any, X: Array) -> Array:
    """Return the posterior predictive of a student that was taught by draws.

    Parameters
    ----------
    clf : GDPDClassifier or DistilledPrefixClassifier
        Fitted classifier with GDPD or a conditional prior.
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Mean over draws of the probabilities of restored features, instead of those of the
        student's own feature.
    """
    panel, network = clf._read(X)
    z_short, logits = map(torch.from_numpy, network.run_panel(panel))
    student, distillation = network.module, clf.distillation_.eval()
    noise = torch.Generator().manual_seed(0)
    if isinstance(distillation, ConditionalDistillation):
        condition = distillation.condition(SeriesOutput(z_short, logits))
        source = NoiseSource(noise, N_RESTORED, shared=True)
        restored = distillation.classify(student, condition, source)
    else:
        draws = distillation.degradation.draw(z_short, N_RESTORED, noise, shared_noise=True)
        if isinstance(distillation, TeacherClassified):
            restored = distillation.head(distillation.decoder.decode(draws))
        else:
            projected = distillation.projection(draws.flatten(0, 1))
            restored = student.head(projected).unflatten(0, draws.shape[:2])
    return restored.double().softmax(-1).mean(0).numpy()


def run_one(
    parts: TrainTest,
    setting: str,
    student: str,
    variant: str,
    seed: int,
    memory: str | None,
    restore: bool = False,
) -> dict[str, dict[str, float]]:
    """Fit a variant and score it.

    Parameters
    ----------
    parts : TrainTest
        Data set.
    setting : {"labels", "unlabelled"}
        See :func:`divide`.
    student : str
        Backbone of student and teacher.
    variant : str
        One of :data:`VARIANTS`.
    seed : int
        Seed of the division and of the classifier.
    memory : str or None
        Folder of a cache of teachers and priors.
    restore : bool, default=False
        Whether the draws also predict.

    Returns
    -------
    dict of str to dict
        Scores and CPU seconds of the variant, and with ``restore`` also scores of its restored
        features. The seconds do not include teachers and priors that come from the cache.
    """
    cls, params = VARIANTS[variant]
    data = divide(parts, setting, seed)
    start = time.process_time()
    clf = with_settings(cls, student, seed, memory).set_params(**params)
    if isinstance(params.get("distiller"), GDPD | ConditionalPrior):
        # As GDPDClassifier decides.
        clf.set_params(distiller__hinton_weight=float(data.pool is not None))
    if variant == CONDITIONAL_LEFT_OUT:
        # Its draws are not moved to centres of classes, since GDPD's are not.
        generating = with_settings(GenDDClassifier, student, seed, memory)
        generating.set_params(generator=GeneratorOptions(contraction=0.0))
        generating.fit(data.X, data.y, data.pool)
        clf.set_params(distiller__generator=generating.predictor_)
    if isinstance(params.get("distiller"), LeftOutPairs):
        # The student's terms are those of the other variant before its warm-up ends.
        alone = Hinton(lambda_kd=float(data.pool is not None), temperature=2.0)
        warm = with_settings(DistilledPrefixClassifier, student, seed, memory)
        warm.set_params(distiller=alone)
        clf.set_params(distiller__folds=fold_features(warm, data.X, data.y, data.pool, seed))
    if cls is PrefixClassifier:
        clf.fit(data.X, data.y)
    else:
        clf.fit(data.X, data.y, data.pool)
    seconds = round(time.process_time() - start, 3)
    own = scores(data.y_scored, clf.predict_proba(data.X_scored), clf.classes_)
    found = {variant: {**own, "cpu_seconds": seconds}}
    distillation = getattr(clf, "distillation_", None)
    if isinstance(distillation, LeftOutDistillation):
        found[variant] |= distillation.noise()
    if restore:
        proba = restored_proba(clf, data.X_scored)
        found[variant + RESTORED] = scores(data.y_scored, proba, clf.classes_)
    return found


def with_settings(cls: Any, student: str, seed: int, memory: str | None) -> Any:
    """Return a classifier with the settings that all variants have in common."""
    clf = cls(student=student, earliness=EARLINESS, random_state=seed, device="cpu")
    if cls is not PrefixClassifier:
        clf.set_params(memory=memory)
    return clf.set_params(series__missing_values="interpolate", series__short_series="ended")


def read_store(store: Path) -> Scores:
    """Return the scores of a store by set, setting, student, variant and seed."""
    lines = store.read_text().splitlines() if store.exists() else []
    records = [json.loads(line) for line in lines]
    return {
        (r["set"], r["setting"], r["student"], r["variant"], r["seed"]): r["scores"]
        for r in records
    }


def wanted(setting: str, variants: list[str], restored: list[str]) -> dict[str, list[str]]:
    """Return the names of the results that each variant needs in a setting.

    Parameters
    ----------
    setting : {"labels", "unlabelled"}
        See :func:`divide`.
    variants : list of str
        Names in :data:`VARIANTS` of the compared variants.
    restored : list of str
        Names of the variants whose draws also predict.

    Returns
    -------
    dict of str to list of str
    """
    return {
        v: [v, v + RESTORED] if v in restored else [v]
        for v in variants
        if (setting, v) not in SAME
    }


def collect(
    folder: Path,
    cases: Iterable[tuple[str, str, str, int]],
    variants: list[str],
    restored: list[str],
    store: Path,
) -> None:
    """Run what a store lacks, and add a line for each result."""
    known = read_store(store)
    for name, setting, student, seed in cases:
        needed = wanted(setting, variants, restored)
        lacking = {
            v: new
            for v, names in needed.items()
            if (new := [w for w in names if (name, setting, student, w, seed) not in known])
        }
        if not lacking:
            continue
        (path,) = folder.glob(f"{name}.*")
        parts = load_file(path)
        for variant, new in lacking.items():
            memory, restore = str(store.with_suffix(".memory")), variant in restored
            try:
                found = run_one(parts, setting, student, variant, seed, memory, restore)
            except (ValueError, FloatingPointError, torch.linalg.LinAlgError) as error:
                # A class may be too small for a variant, or a training may diverge.
                print(f"{name}, {setting}, {student}, {variant}: {error}", flush=True)
                continue
            where = {"set": name, "setting": setting, "student": student, "seed": seed}
            with store.open("a") as file:
                for own in new:
                    record = {**where, "variant": own, "scores": found[own]}
                    file.write(json.dumps(record) + "\n")


def paired_gains(
    known: Scores,
    setting: str,
    students: Iterable[str],
    variant: str,
    score: str,
    against: str = "hinton",
) -> Array:
    """Return a variant's score less that of another, for each set.

    Parameters
    ----------
    known : dict
        Scores of :func:`read_store`.
    setting : {"labels", "unlabelled"}
        See :func:`divide`.
    students : iterable of str
        Students over which a set's gains are averaged.
    variant : str
        Variant that is compared.
    score : str
        Name of the score.
    against : str, default="hinton"
        Variant that it is compared with.

    Returns
    -------
    ndarray of shape (n_sets,)
        Mean gains over seeds, and then over students, for each set. Only seeds, students and sets
        with scores of both variants count.
    """
    gains: dict[str, dict[str, list[float]]] = {}
    for (name, own_setting, student, own, seed), values in known.items():
        if own_setting != setting or own != variant or student not in students:
            continue
        other = known.get((name, setting, student, against, seed))
        if other is not None:
            of_set = gains.setdefault(name, {})
            of_set.setdefault(student, []).append(values[score] - other[score])
    return np.array([np.mean([np.mean(g) for g in own.values()]) for own in gains.values()])


def ordered(known: Scores, setting: str, students: Iterable[str]) -> list[str]:
    """Return the variants of which there are scores, in the order of :data:`VARIANTS`."""
    there = {k[3] for k in known if k[1] == setting and k[2] in students}
    return [w for v in VARIANTS for w in (v, v + RESTORED) if w in there]


def with_error(gains: Array) -> str:
    """Return the mean of gains with its standard error over data sets, as text."""
    if not len(gains):
        return ""
    error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
    return f"{gains.mean():+.4f} ± {error:.4f}"


def adjusted_p(known: Scores, setting: str, students: Iterable[str], against: str) -> PValues:
    """Return p-values of gains in each score, adjusted for the number of variants.

    Parameters
    ----------
    known : dict
        Scores of :func:`read_store`.
    setting : str
        What is compared.
    students : iterable of str
        Students over which a set's gains are averaged.
    against : str
        Variant with which the others are compared.

    Returns
    -------
    dict of (str, str) to float
        By variant and score: Wilcoxon's test over data sets, with Holm's adjustment over the
        variants, for each score by itself.
    """
    variants = [v for v in ordered(known, setting, students) if v != against]
    found: PValues = {}
    for score in SHOWN:
        gains = {v: paired_gains(known, setting, students, v, score, against) for v in variants}
        tested = {v: paired_test(g, np.zeros_like(g)) for v, g in gains.items() if len(g)}
        adjusted = holm(np.array(list(tested.values())))
        found |= {(v, score): float(p) for v, p in zip(tested, adjusted, strict=True)}
    return found


def table(known: Scores, setting: str, students: list[str], against: str = "hinton") -> str:
    """Return a table of all variants of a setting, over one or several students, as Markdown."""
    titles = [f"{s} | less {against}'s | p" for s in ("AUC-PRC", "accuracy", "log loss")]
    lines = [
        f"\n{', '.join(students)}, {setting}:\n",
        f"| variant | sets | fits | {' | '.join(titles)} | CPU s |",
        "|---" * (4 + 3 * len(titles)) + "|",
    ]
    p_values = adjusted_p(known, setting, students, against)
    for variant in ordered(known, setting, students):
        own = {
            k: v
            for k, v in known.items()
            if (k[1], k[3]) == (setting, variant) and k[2] in students
        }
        cells = [variant, str(len({k[0] for k in own})), str(len(own))]
        for score in SHOWN:
            gains = paired_gains(known, setting, students, variant, score, against)
            p = p_values.get((variant, score))
            cells.append(f"{np.mean([v[score] for v in own.values()]):.4f}")
            cells.append("" if variant == against else with_error(gains))
            cells.append("" if p is None else f"{p:.3f}")
        seconds = [v["cpu_seconds"] for v in own.values() if "cpu_seconds" in v]
        cells.append(f"{np.mean(seconds):.1f}" if seconds else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def noise_table(known: Scores, setting: str, students: list[str]) -> str:
    """Return a table of the noise of the measured degradation by kinds of pairs, as Markdown.

    Parameters
    ----------
    known : dict
        Scores of :func:`read_store`.
    setting : {"labels", "unlabelled"}
        See :func:`divide`.
    students : list of str
        Students of the rows.

    Returns
    -------
    str
        Medians, and in brackets the smallest and the largest value, of the numbers of
        :meth:`~left_out_pairs.LeftOutDistillation.noise`. It is empty if no record has them.
    """
    there = {k: v for k, v in known.items() if k[1] == setting and k[2] in students}
    own = [v for v in there.values() if "noise_own" in v]
    if not own:
        return ""
    lines = [
        f"\nNoise of {len(own)} fits, {', '.join(students)}, {setting}:\n",
        "| pairs | noise, share of the variance | variance, share of the student's |",
        "|---|---|---|",
    ]
    for pairs in ("own", "turned", "left_out"):
        cells = []
        for name in ("noise", "variance"):
            found = np.array([v[f"{name}_{pairs}"] for v in own])
            cells.append(f"{np.median(found):.2f} ({found.min():.2f} to {found.max():.2f})")
        lines.append(f"| {pairs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what the store lacks, and print a table of each student and one of all together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--store", type=Path, default=Path.home() / "skgdpd-prior-use.jsonl")
    parser.add_argument(
        "--students", nargs="+", default=["mixed", "fcn24", "lstm2-32", "inception"]
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--restored",
        nargs="+",
        choices=[v for v in VARIANTS if v not in WITHOUT_DRAWS],
        default=[],
        help="variants whose draws also predict",
    )
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--against",
        choices=VARIANTS,
        default="hinton",
        help="variant that gains are compared with",
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = product(range(options.seeds), options.sets, options.settings, options.students)
    ordered_cases = ((name, setting, student, seed) for seed, name, setting, student in cases)
    collect(options.folder, ordered_cases, options.variants, options.restored, options.store)
    shown = {
        w
        for setting in SETTINGS
        for names in wanted(setting, options.variants, options.restored).values()
        for w in names
    }
    known = {
        k: v
        for k, v in read_store(options.store).items()
        if k[0] in options.sets and k[3] in shown and k[4] < options.seeds
    }
    for setting in options.settings:
        for student in options.students:
            print(table(known, setting, [student], options.against))
            print(noise_table(known, setting, [student]))
        if len(options.students) > 1:
            print(table(known, setting, options.students, options.against))


if __name__ == "__main__":
    main()
