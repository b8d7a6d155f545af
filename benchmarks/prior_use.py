r"""Compare ways in which GDPD may use what its prior knows, on thirds of training parts.

    python benchmarks/prior_use.py FOLDER CBF Coffee ... --store FILE --students fcn24

No test part is read. A third of each training part is scored. The rest is labelled, or half of it
is labelled and the other half given without labels. The program keeps a line of JSON for each fit
and prints tables; a second run continues where the first ended. Gains are paired with Hinton's
distillation of the same series, and their standard errors are over data sets.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier
from skgdpd._estimators.distilled import DistilledPrefixClassifier
from skgdpd._estimators.gdpd import default_prior
from skgdpd._series.split import stratified_split
from skgdpd.datasets import TrainTest, load_file
from skgdpd.distillers import GDPD, Hinton
from skgdpd.distillers.gdpd import GDPDDistillation, TeacherClassified
from skgdpd.metrics import macro_auc_prc

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


def by_teacher(prior: DiffusionFeaturePrior) -> tuple[Any, dict[str, Any]]:
    """Return GDPD whose draws are classified by the teacher's head, for :data:`VARIANTS`."""
    return DistilledPrefixClassifier, {"distiller": GDPD(prior, classified_by="teacher")}


VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "none": (PrefixClassifier, {}),
    "hinton": (DistilledPrefixClassifier, {"distiller": Hinton()}),
    "gdpd": (GDPDClassifier, {}),
    "gdpd-alone": (GDPDClassifier, {"hinton_weight": 0.0}),
    "linear-gaussian": (GDPDClassifier, {"prior": default_prior(degradation="linear-gaussian")}),
    "exact-linear-gaussian": (GDPDClassifier, {"prior": EXACT}),
    "matched-noise": (GDPDClassifier, {"prior": default_prior(degradation="matched-noise")}),
    "gmm": (GDPDClassifier, {"prior": default_prior(denoiser="gmm")}),
    "unconditional": (GDPDClassifier, {"prior": default_prior(degradation="none")}),
    "hinton-left-out": (DistilledPrefixClassifier, {"distiller": Hinton(), **LEFT_OUT}),
    "gdpd-left-out": (GDPDClassifier, {"hinton_weight": 1.0, **LEFT_OUT}),
    "teacher-head": by_teacher(default_prior()),
    "exact-teacher-head": by_teacher(EXACT),
}
"""Classifiers and their settings by name.

All of GDPD but gdpd-alone have Hinton's term where there are unlabelled series, and gdpd-left-out
always. "left-out" are logits of labelled series by teachers that were fitted without them. "exact"
has a Gaussian of each class for a prior, whose posterior is known in closed form. In the last two
the teacher's head classifies the draws.
"""

Array = NDArray[Any]
Key = tuple[str, str, str, str, int]


class Division(NamedTuple):
    """A training part that is divided.

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
    """Return the posterior predictive of a student of GDPD.

    Parameters
    ----------
    clf : GDPDClassifier or DistilledPrefixClassifier with GDPD
        Fitted classifier.
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Mean over draws of the probabilities of restored features, instead of those of the
        student's own feature.
    """
    panel, network = clf._read(X)
    z_short = torch.from_numpy(network.run_panel(panel)[0])
    head = network.module.head
    distillation = cast(GDPDDistillation, clf.distillation_.eval())
    draws = distillation.degradation.draw(
        z_short, N_RESTORED, torch.Generator().manual_seed(0), shared_noise=True
    )
    if isinstance(distillation, TeacherClassified):
        logits = distillation.head(distillation.decoder.decode(draws))
    else:
        restored = distillation.projection(draws.flatten(0, 1))
        logits = head(restored).unflatten(0, draws.shape[:2])
    return logits.double().softmax(-1).mean(0).numpy()


def run_one(
    parts: TrainTest, setting: str, student: str, variant: str, seed: int, memory: str | None
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

    Returns
    -------
    dict of str to dict
        Scores and seconds of the variant, and scores of its restored features if it has some.
    """
    cls, params = VARIANTS[variant]
    data = divide(parts, setting, seed)
    clf = cls(student=student, earliness=EARLINESS, random_state=seed, device="cpu")
    clf.set_params(**{"series__missing_values": "interpolate", "series__short_series": "ended"})
    clf.set_params(**params)
    if isinstance(params.get("distiller"), GDPD):
        # As GDPDClassifier decides.
        clf.set_params(distiller__hinton_weight=float(data.pool is not None))
    start = time.perf_counter()
    if cls is PrefixClassifier:
        clf.fit(data.X, data.y)
    else:
        clf.set_params(memory=memory).fit(data.X, data.y, data.pool)
    seconds = round(time.perf_counter() - start, 3)
    own = scores(data.y_scored, clf.predict_proba(data.X_scored), clf.classes_)
    found = {variant: {**own, "seconds": seconds}}
    if hasattr(getattr(clf, "distillation_", None), "degradation"):
        proba = restored_proba(clf, data.X_scored)
        found[variant + RESTORED] = scores(data.y_scored, proba, clf.classes_)
    return found


def read_store(store: Path) -> dict[Key, dict[str, float]]:
    """Return the scores of a store by set, setting, student, variant and seed."""
    lines = store.read_text().splitlines() if store.exists() else []
    records = [json.loads(line) for line in lines]
    return {
        (r["set"], r["setting"], r["student"], r["variant"], r["seed"]): r["scores"]
        for r in records
    }


def collect(
    folder: Path, cases: Iterable[tuple[str, str, str, int]], variants: list[str], store: Path
) -> None:
    """Run what a store lacks, and add a line for each result."""
    known = read_store(store)
    for name, setting, student, seed in cases:
        lacking = [v for v in variants if (name, setting, student, v, seed) not in known]
        if not lacking:
            continue
        (path,) = folder.glob(f"{name}.*")
        parts = load_file(path)
        for variant in lacking:
            memory = str(store.with_suffix(".memory"))
            try:
                found = run_one(parts, setting, student, variant, seed, memory)
            except ValueError as error:  # a class may be too small for a variant
                print(f"{name}, {setting}, {student}, {variant}: {error}", flush=True)
                continue
            with store.open("a") as file:
                for own, values in found.items():
                    record = {
                        "set": name,
                        "setting": setting,
                        "student": student,
                        "variant": own,
                        "seed": seed,
                        "scores": values,
                    }
                    file.write(json.dumps(record) + "\n")


def paired_gains(
    known: dict[Key, dict[str, float]], setting: str, student: str, variant: str, score: str
) -> Array:
    """Return a variant's score less that of Hinton's distillation, for each set.

    Parameters
    ----------
    known : dict
        Scores of :func:`read_store`.
    setting, student, variant : str
        What is compared.
    score : str
        Name of the score.

    Returns
    -------
    ndarray of shape (n_sets,)
        Means over the seeds that both have, of the sets that both have.
    """
    by_set: dict[str, list[float]] = {}
    for (name, *where, seed), values in known.items():
        if where != [setting, student, variant]:
            continue
        other = known.get((name, setting, student, "hinton", seed))
        if other is not None:
            by_set.setdefault(name, []).append(values[score] - other[score])
    return np.array([np.mean(values) for values in by_set.values()])


def table(known: dict[Key, dict[str, float]], setting: str, student: str) -> str:
    """Return a table of all variants of a setting and a student, as Markdown."""
    there = {k[3] for k in known if k[1:3] == (setting, student)}
    variants = [w for v in VARIANTS for w in (v, v + RESTORED) if w in there]
    titles = [f"{s} | less Hinton's" for s in ("AUC-PRC", "accuracy", "log loss")]
    lines = [
        f"\n{student}, {setting}:\n",
        f"| variant | sets | {' | '.join(titles)} |",
        "|---" * (2 + 2 * len(titles)) + "|",
    ]
    for variant in variants:
        cells = []
        for score in SHOWN:
            own = [v[score] for k, v in known.items() if k[1:4] == (setting, student, variant)]
            gains = paired_gains(known, setting, student, variant, score)
            spread = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
            gain = "" if variant == "hinton" else f"{gains.mean():+.4f} ± {spread:.4f}"
            cells.append(f"{np.mean(own):.4f} | {gain if len(gains) else ''}")
        n_sets = len({k[0] for k in known if k[1:4] == (setting, student, variant)})
        lines.append(f"| {variant} | {n_sets} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what the store lacks, and print a table for each setting and student."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="files' stems")
    parser.add_argument("--store", type=Path, default=Path.home() / "skgdpd-prior-use.jsonl")
    parser.add_argument("--students", nargs="+", default=["rocket", "fcn24", "lstm2-32"])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = product(options.sets, options.settings, options.students, range(options.seeds))
    collect(options.folder, cases, options.variants, options.store)
    known = {
        k: v
        for k, v in read_store(options.store).items()
        if k[0] in options.sets and k[3].removesuffix(RESTORED) in options.variants
    }
    for setting, student in product(options.settings, options.students):
        print(table(known, setting, student))


if __name__ == "__main__":
    main()
