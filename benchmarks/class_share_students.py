"""Score students whose teacher's answers on unlabelled series are corrected for class shares.

    python benchmarks/class_share_students.py FOLDER ECG5000 SwedishLeaf ... --answers ANSWERS

Only training parts are used, with eight labelled series of each class. They are divided as by
``class_shares.py``, whose answers must be in ANSWERS. A random half of the classes is reduced to
20 % or 5 % of the unlabelled series. Half of the remaining unlabelled series are given to the
student without labels, and the other half is scored. The student is the default
:class:`~skgdpd.DistilledPrefixClassifier`.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from class_shares import Answers, divide, logits_of, subsets, training_part
from share_estimates import (
    calibrate,
    calibrated,
    likeliest_shares,
    p_distribution,
    p_shares,
    share_bias,
)
from skgdpd import DistilledPrefixClassifier, SeriesOptions
from skgdpd.benchmarking.evaluation import score

SIZE = 8
SHOWN = ("accuracy", "auc_prc")
SERIES = SeriesOptions(missing_values="interpolate")

Array = NDArray[Any]


class Corrected(DistilledPrefixClassifier):
    """Classifier that adds biases to its teacher's logits on unlabelled series."""

    bias: Any = 0.0

    def _teach(self, data: Any, *others: Any) -> Any:
        outputs = super()._teach(data, *others)
        logits = outputs.logits.copy()
        logits[len(data.train) :] += np.asarray(self.bias, dtype=logits.dtype)
        return replace(outputs, logits=logits)


def biases(answers: Answers, rows: Array) -> dict[str, Array | None]:
    """Return the biases of each correction; None where the guards refuse it.

    Parameters
    ----------
    answers : Answers
        A case's answers.
    rows : ndarray of int
        The unlabelled series that are given.

    Returns
    -------
    dict of str to ndarray of shape (n_classes,) or None
        Biases by name of the correction.
    """
    n_classes = answers.left_out.shape[1]
    shares = np.bincount(answers.y, minlength=n_classes) / len(answers.y)
    known = np.isfinite(answers.left_out).all(1)
    own, y = logits_of(answers.left_out[known]), answers.y[known]
    given = logits_of(answers.unlabelled[0][rows])
    copies = logits_of(answers.by_copy[:, 0][:, rows])
    tempered = calibrate(own, y, biased=False).scale
    estimate = likeliest_shares(calibrated(given, calibrate(own, y)), shares, prior_weight=1)
    guarded = share_bias(shares, estimate, tempered)
    before, left_out = given.argmax(1), own.argmax(1)
    counts = [np.bincount(part, minlength=n_classes) for part in (left_out, before)]
    certainty = softmax(copies, -1).max(-1).mean(0)
    is_trusted = (
        p_shares(*counts) < 0.05
        and p_distribution(certainty, softmax(own, 1).max(1)) > 0.1
        and (copies.argmax(-1) != before).mean() <= (left_out != y).mean()
        and ((given + guarded).argmax(1) != before).mean() <= 0.1
    )
    truth = np.bincount(answers.truth[rows], minlength=n_classes) / len(rows)
    return {
        "em": share_bias(shares, likeliest_shares(softmax(given, 1), shares)),
        "unguarded": guarded,
        "guarded": guarded if is_trusted else None,
        "true shares": share_bias(shares, truth, tempered),
    }


def compare(
    X: Array,
    codes: Array,
    labelled: Array,
    given: Array,
    scored: Array,
    answers: Answers,
    seed: int,
) -> Array:
    """Score the students of one case.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series of the training part.
    codes : ndarray of shape (n,)
        Their class numbers.
    labelled : ndarray of int
        Rows of the labelled series.
    given, scored : ndarray of int
        Numbers, among the unlabelled series, of those given without labels and those scored.
    answers : Answers
        The case's answers.
    seed : int
        Seed of the case and of the students.

    Returns
    -------
    ndarray of shape (5, 2)
        Accuracy and macro AUC-PRC in per cent, without a correction and with each.
    """
    rest = divide(codes, SIZE, seed)[1]

    def scores(bias: Any) -> list[float]:
        clf = Corrected(random_state=seed, series=SERIES)
        clf.bias = bias
        clf.fit(X[labelled], codes[labelled], X_unlabeled=X[rest[given]])
        proba = clf.predict_proba(X[rest[scored]])
        found = score(codes[rest[scored]], proba, clf.classes_)
        return [100 * found[key] for key in SHOWN]

    plain = scores(0.0)
    each = biases(answers, given).values()
    return np.array([plain, *(plain if bias is None else scores(bias) for bias in each)])


def main() -> None:
    """Print a row of scores for each case, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz files")
    parser.add_argument("sets", nargs="+", help="names of data sets, or bumps-1, bumps-2, bumps-3")
    parser.add_argument("--answers", type=Path, required=True, help="folder of answers")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| set | kind | plain | em | unguarded | guarded | true shares |")
    print("|---|---|---|---|---|---|---|")
    means = []
    for name in options.sets:
        X, codes = training_part(name, options.folder)
        for seed in range(options.seeds):
            with np.load(options.answers / f"{name}_{SIZE}_{seed}.npz") as file:
                answers = Answers(**file)
            labelled = divide(codes, SIZE, seed)[0]
            rng = np.random.default_rng(seed)
            for kind, rows in subsets(answers.truth, rng, few=True)[2:4]:
                given, scored = np.array_split(rng.permutation(rows), 2)
                found = compare(X, codes, labelled, given, scored, answers, seed)
                means.append(found)
                print(f"| {name} | {kind} | {cells(found)} |", flush=True)
    print(f"| mean of {len(means)} | | {cells(np.mean(means, 0))} |")


def cells(scores: Array) -> str:
    """Return cells of a table: accuracy and AUC-PRC of each student."""
    return " | ".join(f"{accuracy:.1f} / {auc:.1f}" for accuracy, auc in scores)


if __name__ == "__main__":
    main()
