"""Compare corrections of a teacher for class shares that differ in the unlabelled series.

    python benchmarks/class_shares.py FOLDER CBF Coffee ... --answers ANSWERS --store FILE

Only training parts are used, and no test part is read. Each training part is divided into labelled
series (3 or 8 of each class, or a third) and unlabelled series, whose labels the program knows.
The default teacher is fitted to the labelled series. Its answers are computed once, and kept in
ANSWERS with a file for each case. A second run continues from there. The answers for labelled
series come from cross-fitting. Those for unlabelled series are computed with and without added
noise. The corrections are then compared on subsets of the unlabelled series with equal and with
different class shares.
"""

from __future__ import annotations

import argparse
import json
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import StratifiedKFold

from share_estimates import (
    as_far_as_agreed,
    calibrate,
    calibrated,
    confusion_counts,
    confusion_shares,
    interval_end,
    likeliest_shares,
    p_certainty,
    p_distribution,
    p_likelihood_ratio,
    p_shares,
    share_bias,
)
from share_rules import print_rules
from skgdpd import PrefixClassifier, SeriesOptions
from skgdpd._runtime.atomic import replace_file
from skgdpd.datasets import TrainTest, load_file, make_bumps

SIZES = (3, 8, 0)
"""Numbers of labelled series of each class; 0 is a third of the training part."""
MAX_LABELLED = 30
MAX_UNLABELLED = 600
NOISES = (0.0, 0.2, 0.5)
"""Standard deviations of the added noise, as shares of that of all values."""
GENERATED = {"bumps-1": 1.0, "bumps-2": 2.0, "bumps-3": 3.0}
"""Generated sets, and the noise of each."""

MIN_UNLABELLED = 8
"""Smallest number of unlabelled series that are tried."""
PRIOR_WEIGHTS = (0.0, 0.3, 1.0)

Array = NDArray[Any]


class Answers(NamedTuple):
    """Probabilities of a teacher and of its cross-fitted copies.

    Attributes
    ----------
    left_out : ndarray of shape (n, n_classes)
        Probabilities of labelled series, by copies fitted without them; NaN for series that are
        the only one of their class.
    y : ndarray of shape (n,)
        Class numbers of the labelled series.
    fold : ndarray of shape (n,)
        Number of the copy that was fitted without the series; -1 for series that are the only one
        of their class.
    truth : ndarray of shape (m,)
        Class numbers of the unlabelled series.
    unlabelled : ndarray of shape (n_noises, m, n_classes)
        The teacher's probabilities of unlabelled series, with each noise.
    by_copy : ndarray of shape (n_folds, n_noises, m, n_classes)
        Probabilities of each copy for unlabelled series, with each noise.
    """

    left_out: Array
    y: Array
    fold: Array
    truth: Array
    unlabelled: Array
    by_copy: Array


def divide(codes: Array, size: int, seed: int) -> tuple[Array, Array]:
    """Return the labelled and the unlabelled rows.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class numbers.
    size : int
        Number of labelled series of each class, at most half of the class. 0 means a third of each
        class.
    seed : int
        Seed of the division.

    Returns
    -------
    labelled, unlabelled : ndarray of int
    """
    rng = np.random.default_rng(seed)
    labelled, unlabelled = [], []
    for code in np.unique(codes):
        own = rng.permutation(np.flatnonzero(codes == code))
        n = min(size, len(own) // 2) if size else min(round(len(own) / 3), MAX_LABELLED)
        labelled.append(own[: max(n, 1)])
        unlabelled.append(own[max(n, 1) :])
    rest = rng.permutation(np.concatenate(unlabelled))[:MAX_UNLABELLED]
    return np.concatenate(labelled), rest


def teacher(X: Array, y: Array) -> PrefixClassifier:
    """Return the default teacher: the default student's architecture on whole series."""
    series = SeriesOptions(missing_values="interpolate")
    return PrefixClassifier(earliness=1.0, series=series, random_state=0).fit(X, y)


def ask(X: Array, codes: Array, size: int, seed: int) -> Answers:
    """Fit a teacher and its cross-fitted copies, and compute their answers.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series of a training part.
    codes : ndarray of shape (n,)
        Class numbers.
    size : int
        Number of labelled series of each class; see :func:`divide`.
    seed : int
        Seed of the division and of the noise.

    Returns
    -------
    Answers
    """
    labelled, rest = divide(codes, size, seed)
    y = codes[labelled]
    noise = np.random.default_rng(seed).normal(0, np.nanstd(X), X[rest].shape)
    series = [(X[rest] + scale * noise).astype(np.float32) for scale in NOISES]

    def answers(model: PrefixClassifier) -> Array:
        return np.stack([model.predict_proba(part) for part in series]).astype(np.float32)

    left_out, fold = np.full((len(y), codes.max() + 1), np.nan), np.full(len(y), -1)
    by_copy = []
    counts = np.bincount(y)
    if counts.max() > 1:
        several = np.flatnonzero(counts[y] > 1)
        n_folds = min(5, int(counts[counts > 1].min()))
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        for i, (_, held) in enumerate(folds.split(several, y[several])):
            held = several[held]
            kept = np.setdiff1d(np.arange(len(y)), held)
            copy = teacher(X[labelled[kept]], y[kept])
            left_out[held], fold[held] = copy.predict_proba(X[labelled[held]]), i
            by_copy.append(answers(copy))
    whole = answers(teacher(X[labelled], y))
    copies = np.stack(by_copy) if by_copy else np.zeros((0, *whole.shape))
    return Answers(left_out, y, fold, codes[rest], whole, copies)


def training_part(name: str, folder: Path) -> tuple[Array, Array]:
    """Return series and class numbers of a training part, or of a generated set."""
    if name in GENERATED:
        X, y = make_bumps(800, noise=GENERATED[name], random_state=0)
    else:
        parts: TrainTest = load_file(folder / f"{name}.npz")
        X, y = parts.X, parts.y
    return X, np.unique(y, return_inverse=True)[1]


def collect(folder: Path, names: list[str], answers: Path, seeds: int) -> None:
    """Write the answers of all cases that have none yet."""
    answers.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for name in names:
            for size in SIZES:
                path = answers / f"{name}_{size}_{seed}.npz"
                if path.exists():
                    continue
                X, codes = training_part(name, folder)
                found = ask(X, codes, size, seed)
                part = path.with_suffix(".part.npz")
                np.savez(part, **found._asdict())
                part.rename(path)
                accuracy = (found.unlabelled[0].argmax(1) == found.truth).mean()
                print(name, size, seed, len(found.y), len(found.truth), f"{accuracy:.3f}")


def subsets(truth: Array, rng: np.random.Generator, few: bool) -> list[tuple[str, Array]]:
    """Return names of kinds and rows of subsets of the unlabelled series.

    Parameters
    ----------
    truth : ndarray of shape (m,)
        Class numbers of the unlabelled series.
    rng : numpy.random.Generator
        Source of the draws.
    few : bool
        Whether to leave out shares that are drawn from a Dirichlet distribution.

    Returns
    -------
    list of (str, ndarray of int)
        ``"as they are"``, twice; ``"80/20"`` and ``"95/5"``, where a random half of the classes
        is thinned out to a quarter and to a 19th; ``"Dirichlet"``, with shares drawn from all.
    """
    m, counts = len(truth), np.bincount(truth)

    def taken(wanted: Array) -> Array:
        parts = [
            rng.permutation(np.flatnonzero(truth == k))[:n] for k, n in enumerate(wanted.tolist())
        ]
        return np.concatenate(parts)

    found = [("as they are", np.arange(m)), ("as they are", rng.permutation(m)[: m // 2])]
    for _ in range(2 if few else 4):
        for kind, rare in (("80/20", 0.2), ("95/5", 0.05)):
            thinned = rng.permutation(len(counts))[max(1, len(counts) // 2) :]
            wanted = counts.copy()
            mean = counts[thinned] * rare / (1 - rare)
            wanted[thinned] = np.floor(mean + rng.random(len(thinned)))
            found.append((kind, taken(wanted)))
        if not few:
            wanted = np.round(rng.dirichlet(np.ones(len(counts))) * m / 2).astype(int)
            found.append(("Dirichlet", taken(np.minimum(wanted, counts))))
    return [(kind, rows) for kind, rows in found if len(rows) >= MIN_UNLABELLED]


def measure(answers: Answers, seed: int) -> list[dict[str, Any]]:
    """Return the gain of each estimate on each subset, and the figures for the guards.

    Parameters
    ----------
    answers : Answers
        A case's answers.
    seed : int
        Seed of the subsets.

    Returns
    -------
    list of dict
        A record for each subset. ``gains`` has a pair for each estimate: points of accuracy, and
        the share of predicted classes that it changes.
    """
    known = np.isfinite(answers.left_out).all(1)
    if not known.any():
        return []
    n_classes = answers.left_out.shape[1]
    shares = np.bincount(answers.y, minlength=n_classes) / len(answers.y)
    own, y = logits_of(answers.left_out[known]), answers.y[known]
    tempered, biased = calibrate(own, y, biased=False), calibrate(own, y)
    left_out = own.argmax(1)
    confusions = confusion_counts(left_out, y, n_classes)
    certainty = softmax(own, 1).max(1)
    records = []
    for level, scale in enumerate(NOISES):
        rng = np.random.default_rng([seed, level])
        logits, copies = logits_of(answers.unlabelled[level]), logits_of(answers.by_copy[:, level])
        for kind, rows in subsets(answers.truth, rng, few=scale > 0):
            z, truth = logits[rows], answers.truth[rows]
            counts = np.bincount(z.argmax(1), minlength=n_classes)
            proba = calibrated(z, biased)
            found = {"true shares": np.bincount(truth, minlength=n_classes) / len(truth)}
            found["em, temperature"] = likeliest_shares(calibrated(z, tempered), shares)
            each = [calibrated(one[rows], biased) for one in copies]
            for weight in PRIOR_WEIGHTS:
                found[f"em, biases, {weight:g}"] = likeliest_shares(proba, shares, weight)
                found[f"confusions, {weight:g}"] = confusion_shares(
                    confusions, counts, shares, weight
                )
                several = np.array([likeliest_shares(p, shares, weight) for p in each])
                found[f"copies, {weight:g}"] = several.mean(0)
                found[f"agreed, {weight:g}"] = as_far_as_agreed(several, shares)
            found["interval"] = interval_end(confusions, counts, shares)
            corrected = {
                name: z + share_bias(shares, own_shares, tempered.scale)
                for name, own_shares in found.items()
            }
            raw = likeliest_shares(softmax(z, 1), shares)
            corrected["em"] = z + share_bias(shares, raw)
            before, there = z.argmax(1), softmax(copies[:, rows], -1).max(-1).mean(0)
            accuracy = (before == truth).mean()
            gains = {}
            for name, other in corrected.items():
                after = other.argmax(1)
                gain = 100 * ((after == truth).mean() - accuracy)
                gains[name] = (round(float(gain), 4), round(float((after != before).mean()), 4))
            records.append(
                {
                    "kind": kind,
                    "noise": scale,
                    "m": len(rows),
                    "accuracy": float(accuracy),
                    "left_out": float((left_out == y).mean()),
                    "disagreement": float((copies[:, rows].argmax(-1) != before).mean()),
                    "p_shares": p_shares(np.bincount(left_out, minlength=n_classes), counts),
                    "p_ratio": p_likelihood_ratio(proba, shares, found["em, biases, 0"]),
                    "p_certainty": p_certainty(there, certainty),
                    "p_distribution": p_distribution(there, certainty),
                    "gains": gains,
                }
            )
    return records


def logits_of(proba: Array) -> Array:
    """Return the logarithms of probabilities, of the same shape, none below that of 1e-9."""
    return np.log(np.maximum(proba, 1e-9))


def compare(answers: Path, names: list[str], seeds: int, store: Path) -> list[dict[str, Any]]:
    """Measure the cases that the store lacks, and return the records of all of them."""
    kept: dict[str, list[dict[str, Any]]] = json.loads(store.read_text()) if store.exists() else {}
    for name, size, seed in product(names, SIZES, range(seeds)):
        key = f"{name}_{size}_{seed}"
        if key not in kept and (path := answers / f"{key}.npz").exists():
            with np.load(path) as file:
                kept[key] = measure(Answers(**file), seed)
            replace_file(store, json.dumps(kept).encode())
    return [
        {"set": key.rsplit("_", 2)[0], "seed": int(key.rsplit("_", 1)[1]), **record}
        for key, own in kept.items()
        for record in own
    ]


def main() -> None:
    """Collect answers, compare corrections and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz files")
    parser.add_argument("sets", nargs="+", help="names of data sets, or bumps-1, bumps-2, bumps-3")
    parser.add_argument("--answers", type=Path, required=True, help="folder of answers")
    parser.add_argument("--store", type=Path, required=True, help="file of results")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    collect(options.folder, options.sets, options.answers, options.seeds)
    records = compare(options.answers, options.sets, options.seeds, options.store)
    for least in (MIN_UNLABELLED, 40):
        print(f"\nAt least {least} unlabelled series:", end=" ")
        print_rules([r for r in records if r["m"] >= least])


if __name__ == "__main__":
    main()
