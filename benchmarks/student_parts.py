"""Compare the parts of a default student on thirds of training parts, alone and combined.

    python benchmarks/student_parts.py fill --data FOLDER --store FOLDER_OF_RESULTS
    python benchmarks/student_parts.py table --store FOLDER_OF_RESULTS

No test part is read. ``fill`` fits each part to two thirds of a training part at one moment. It
keeps the left-out logits of these two thirds, and the logits of the other third. Results in the
store are not computed again. ``table`` combines parts by several rules, which use only left-out
logits. It prints the means over data sets, with the standard error of the difference to the first
row.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from prefix_families import scores_of
from skgdpd import PrefixClassifier
from skgdpd._series.views import last_values
from skgdpd.nets.closed_form import likeliest_scale, ridge, span
from skgdpd.nets.forest import Forest
from skgdpd.nets.minirocket import MiniRocket
from skgdpd.nets.prefix_hydra import PrefixHydra
from skgdpd.nets.prefix_shapelets import PrefixShapelets
from skgdpd.nets.quantiles import IntervalQuantiles, without_rounding
from skgdpd.nets.rocket_quant import log_odds

SHARES = (0.2, 0.5, 0.1, 0.3, 1.0)
SETS = (
    "BasicMotions CBF Coffee ECG200 ECG5000 ECGFiveDays Epilepsy FaceAll FaceFour GesturePebbleZ1 "
    "GunPoint ItalyPowerDemand JapaneseVowels MoteStrain NATOPS Plane PowerCons RacketSports "
    "SwedishLeaf SyntheticControl Trace TwoLeadECG Wafer DodgerLoopGame"
).split()
MOST = 300
"""Number of training series of which thirds are taken, at most."""

STUDENTS: dict[str, dict[str, Any]] = {
    "default": {"student": "rocket-quant"},
    "mixed": {"student": "mixed"},
    "mixed, not trained": {"student": "mixed", "max_epochs": 0},
}
"""Whole students. The first one is what the others are compared with."""
LINEAR = ("rocket", "hydra", "shapelets", "rocket+hydra", "rocket+hydra+shapelets")
"""Ridge regressions of one family or of several joined ones."""
FORESTS = {"quant": ("quantiles",), "rist": ("quantiles", "shapelets")}
"""Forests by name, with their families."""
ALONE = (*STUDENTS, *LINEAR, *FORESTS)

Logits = tuple[Tensor, Tensor]
"""Left-out logits of the fitted series, and logits of the others."""


def main() -> None:
    """Print a table, or fill the store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("fill", "table"))
    parser.add_argument("--data", type=Path, help="folder of data sets, NAME.npz")
    parser.add_argument("--store", type=Path, required=True, help="folder of the results")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="thirds to score")
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "table":
        print_tables(options.store)
        return
    options.store.mkdir(parents=True, exist_ok=True)
    for fold in options.folds:
        for name in options.sets:
            for kind in options.normalize:
                fill(options.store, options.data, name, fold, kind)


def fill(store: Path, folder: Path, name: str, fold: int, normalize: str) -> None:
    """Add the logits of one division of one data set to the store, a file for each moment.

    Parameters
    ----------
    store, folder : pathlib.Path
        Folders of the results and of the data sets.
    name : str
        Name of the data set.
    fold : int
        Number of the third that is scored.
    normalize : {"train", "prefix"}
        How series are normalised.
    """
    with np.load(folder / f"{name}.npz", allow_pickle=False) as data:
        x, y = data["X_train"], data["y_train"]
    x = _without_gaps(x)
    if len(x) > MOST:
        drawn = np.random.default_rng(0).permutation(len(x))[:MOST]
        x, y = x[drawn], y[drawn]
        frequent = np.isin(y, [label for label in np.unique(y) if (y == label).sum() > 2])
        x, y = x[frequent], y[frequent]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit, test = list(StratifiedKFold(3, shuffle=True, random_state=0).split(x, y))[fold]
    for share in SHARES:
        path = store / f"{name}-{fold}-{normalize}-{share}.npz"
        known: dict[str, Any] = {}
        if path.exists():
            with np.load(path) as data:
                known = dict(data)
        if all(f"{part}|logits" in known for part in ALONE):
            continue
        start = time.process_time()
        t = max(round(share * x.shape[2]), 2)
        found = logits_of_parts(x[:, :, :t], y, fit, test, normalize, fold, known)
        arrays: dict[str, Any] = {**known, "y_fit": y[fit], "y_test": y[test], **found}
        np.savez(path.with_suffix(".part.npz"), **arrays)
        path.with_suffix(".part.npz").rename(path)
        print(path.stem, f"{time.process_time() - start:.1f} s", flush=True)


def _without_gaps(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill gaps with the value before them, and a gap at the start with the first value."""
    backwards = last_values(last_values(x, None)[:, :, ::-1], None)
    return backwards[:, :, ::-1].copy()


def logits_of_parts(
    x: NDArray[np.float32],
    y: NDArray[Any],
    fit: NDArray[Any],
    test: NDArray[Any],
    normalize: str,
    seed: int,
    known: Container[str],
) -> dict[str, NDArray[Any]]:
    """Fit the parts at one moment.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, t)
        Prefixes.
    y : ndarray of shape (n,)
        Their labels.
    fit, test : ndarray
        Rows that are fitted, and rows that are scored.
    normalize : {"train", "prefix"}
        How series are normalised.
    seed : int
        Seed of the parts.
    known : container of str
        Names of arrays that need not be computed.

    Returns
    -------
    dict of str to ndarray
        For each part, its logits, left-out logits if it has such, and processor seconds of its
        fit and predictions.
    """
    found: dict[str, NDArray[Any]] = {}

    def keep(name: str, fitted: Callable[[], tuple[Tensor | None, Tensor]]) -> None:
        if f"{name}|logits" in known:
            return
        start = time.process_time()
        left_out, logits = fitted()
        found[f"{name}|seconds"] = np.array(time.process_time() - start)
        found[f"{name}|logits"] = logits.numpy()
        if left_out is not None:
            found[f"{name}|left_out"] = left_out.numpy()

    series = _normalised(x, fit, normalize)
    families = Families(series[fit], series[test], seed)
    target = torch.from_numpy((y[fit][:, None] == np.unique(y)).astype(np.float32))
    for name in LINEAR:
        keep(name, partial(_ridge, families, name.split("+"), target))
    for name, parts in FORESTS.items():
        keep(name, partial(_forest, families, parts, target, seed))
    for name, params in STUDENTS.items():
        keep(name, partial(_student, x, y, fit, test, normalize, seed, params))
    return found


def _normalised(x: NDArray[np.float32], fit: NDArray[Any], normalize: str) -> Tensor:
    wide = x.astype(np.float64)
    base, axes = (wide[fit], (0, 2)) if normalize == "train" else (wide, (2,))
    centre, scale = base.mean(axes, keepdims=True), base.std(axes, keepdims=True)
    scale = np.where(scale > 1e-6 * (np.abs(centre) + 1e-12), scale, 1)
    return torch.from_numpy(((wide - centre) / scale).astype(np.float32))


class Families:
    """Features of fitted series and of others, computed when they are first needed.

    Parameters
    ----------
    own, others : Tensor of shape (n, n_channels, t)
        Series to which transforms are fitted, and others.
    seed : int
        Seed of the transforms.
    """

    def __init__(self, own: Tensor, others: Tensor, seed: int) -> None:
        self.own, self.others, self.seed = own, others, seed
        self.made: dict[str, tuple[Tensor, Tensor]] = {}

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        if name not in self.made:
            transform = self._fitted(name)
            with torch.no_grad():
                fitted, others = transform(self.own), transform(self.others)
            if name == "quantiles":
                fitted = without_rounding(fitted, self.own)
            self.made[name] = fitted, others
        return self.made[name]

    def _fitted(self, name: str) -> Any:
        c, t = self.own.shape[1:]
        if name == "rocket":
            return MiniRocket(c, t).fit(self.own, None, self.seed)
        if name == "hydra":
            return PrefixHydra(c, t, [t]).fit(self.own, self.seed + 1)
        if name == "shapelets":
            return PrefixShapelets(c, t, [t]).fit(self.own, self.seed + 2)
        return IntervalQuantiles(c, t)


def _ridge(families: Families, names: Sequence[str], target: Tensor) -> Logits:
    """Fit one ridge regression to families of features, each of which has the same variance."""
    given = [families[name] for name in names]
    spans = [span(own) for own, _ in given]
    share = len(spans) ** -0.5
    own = torch.cat([share * found.coordinates for found in spans], 1)
    parts = [
        share * (part.double() - found.mean) @ found.basis
        for found, (_, part) in zip(spans, given, strict=True)
    ]
    head = ridge(own, target)
    scores = torch.cat(parts, 1) @ head.weight + head.bias
    return head.scale * head.left_out, head.scale * scores


def _forest(families: Families, names: Sequence[str], target: Tensor, seed: int) -> Logits:
    forest = Forest(200)
    own = torch.cat([families[name][0] for name in names], 1)
    left_out = log_odds(forest.fit(own, target, None, seed)).double()
    others = torch.cat([families[name][1] for name in names], 1)
    scale, _ = likeliest_scale(left_out, target)
    return scale * left_out, scale * log_odds(forest(others)).double()


def _student(
    x: NDArray[np.float32],
    y: NDArray[Any],
    fit: NDArray[Any],
    test: NDArray[Any],
    normalize: Any,
    seed: int,
    params: dict[str, Any],
) -> tuple[None, Tensor]:
    clf = PrefixClassifier(earliness=1.0, normalize=normalize, random_state=seed, **params)
    clf.fit(x[fit], y[fit])
    return None, torch.from_numpy(clf.predict_proba(x[test])).double().clamp(min=1e-7).log()


Rule = Callable[[Sequence[Logits], Tensor], Tensor]


def mean_of_probabilities(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return logits of the mean of the parts' probabilities."""
    return torch.stack([logits.softmax(1) for _, logits in parts]).mean(0).clamp(min=1e-7).log()


def mean_of_logits(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return the mean of the parts' logits, at the scale that is best for left-out logits."""
    scale, _ = likeliest_scale(torch.stack([own for own, _ in parts]).mean(0), target)
    return scale * torch.stack([logits for _, logits in parts]).mean(0)


def weighed(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return a scaled weighted mean of logits, whose weights have the least left-out loss."""
    n = len(parts)
    all_shares = torch.tensor(_compositions(8 if n == 2 else 4, n), dtype=torch.float64)
    all_shares /= all_shares[0].sum()
    left_out = torch.stack([own for own, _ in parts])
    found = [likeliest_scale(torch.tensordot(own, left_out, 1), target) for own in all_shares]
    best = min(range(len(found)), key=lambda i: found[i][1])
    logits = torch.stack([logits for _, logits in parts])
    return found[best][0] * torch.tensordot(all_shares[best], logits, 1)


def _compositions(total: int, n: int) -> list[tuple[int, ...]]:
    if n == 1:
        return [(total,)]
    return [(k, *rest) for k in range(total + 1) for rest in _compositions(total - k, n - 1)]


RULES: dict[str, Rule] = {
    "mean of probabilities": mean_of_probabilities,
    "mean of logits": mean_of_logits,
    "weighed": weighed,
}
TOGETHER = (
    ("rocket", "quant"),
    ("rocket+hydra+shapelets", "quant"),
    ("rocket", "hydra", "quant"),
    ("rocket", "hydra", "shapelets"),
    ("rocket", "hydra", "shapelets", "quant"),
    ("rocket", "hydra", "shapelets", "rist"),
)


def print_tables(store: Path) -> None:
    """Print a table for each normalisation, and one for both.

    Parameters
    ----------
    store : pathlib.Path
        Folder of the results.
    """
    found: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    seconds: dict[str, list[float]] = {}
    for path in sorted(store.glob("*.npz")):
        if path.name.endswith(".part.npz"):
            continue
        name, _, kind, _ = path.stem.rsplit("-", 3)
        with np.load(path) as data:
            arrays = dict(data)
        for part in ALONE:
            if f"{part}|seconds" in arrays:
                seconds.setdefault(part, []).append(float(arrays[f"{part}|seconds"]))
        for method, scores in _scores_of_all(arrays).items():
            for own in (kind, "both"):
                found.setdefault(own, {}).setdefault(method, {}).setdefault(name, []).append(
                    scores
                )
    for kind, methods in found.items():
        print(f"\n{kind}\n\n| method | AUC-PRC | accuracy | log loss | gain in points | s |")
        print("|---" * 6 + "|")
        first = np.array([np.mean(rows, 0) for rows in methods["default"].values()])
        for method, by_set in methods.items():
            means = np.array([np.mean(rows, 0) for rows in by_set.values()])
            gain = 100 * (means - first)
            errors = gain.std(0, ddof=1) / len(gain) ** 0.5
            shown = ", ".join(
                f"{g:+.2f} ± {e:.2f}" for g, e in zip(gain.mean(0), errors, strict=True)
            )
            cells = [f"{v:.4f}" for v in means.mean(0)]
            cost = f"{np.mean(seconds[method]):.2f}" if method in seconds else ""
            print(f"| {method} | " + " | ".join([*cells, shown, cost]) + " |")


def _scores_of_all(arrays: dict[str, NDArray[Any]]) -> dict[str, list[float]]:
    y_fit, y = arrays["y_fit"], arrays["y_test"]
    classes = np.unique(y_fit)
    target = torch.from_numpy((y_fit[:, None] == classes).astype(np.float64))
    logits = {name: torch.from_numpy(arrays[f"{name}|logits"]) for name in ALONE}
    found = {name: _scores(y, own, classes) for name, own in logits.items()}
    for group in TOGETHER:
        parts = [(torch.from_numpy(arrays[f"{name}|left_out"]), logits[name]) for name in group]
        for rule, join in RULES.items():
            found[f"{rule}: {', '.join(group)}"] = _scores(y, join(parts, target), classes)
    return found


def _scores(y: NDArray[Any], logits: Tensor, classes: NDArray[Any]) -> list[float]:
    return scores_of(y, logits.softmax(1).numpy(), classes)


if __name__ == "__main__":
    main()
