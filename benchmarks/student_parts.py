"""Compare parts of a default student on thirds of training parts, one by one and together.

    python benchmarks/student_parts.py fill --data FOLDER --store FOLDER_OF_RESULTS
    python benchmarks/student_parts.py table --store FOLDER_OF_RESULTS

``fill`` fits each part to two thirds of a training part at one moment, and keeps its logits of the
series: left-out ones of those that were fitted, and those of the other third. What is in the store
is not computed again. No test part is read. ``table`` joins parts by several rules, which read
left-out logits alone, and prints the means over data sets with the standard error of the
difference to the first row.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from skgdpd import PrefixClassifier
from skgdpd.metrics import macro_auc_prc
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

Logits = tuple[Tensor, Tensor]
"""Left-out logits of the fitted series, and logits of the others."""


def main() -> None:
    """Print a table, or fill the store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("fill", "table"))
    parser.add_argument("--data", type=Path, help="folder of data sets, NAME.npz")
    parser.add_argument("--store", type=Path, required=True, help="folder of the results")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1], help="thirds to score")
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
        if path.exists():
            continue
        start = time.process_time()
        t = max(round(share * x.shape[2]), 2)
        found = logits_of_parts(x[:, :, :t], y, fit, test, normalize, fold)
        arrays: dict[str, Any] = {"y_fit": y[fit], "y_test": y[test], **found}
        np.savez(path.with_suffix(".part.npz"), **arrays)
        path.with_suffix(".part.npz").rename(path)
        print(path.stem, f"{time.process_time() - start:.1f} s", flush=True)


def _without_gaps(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Let gaps take the last value, and the first gap the first value."""
    x = x.copy()
    for t in range(1, x.shape[2]):
        x[:, :, t] = np.where(np.isnan(x[:, :, t]), x[:, :, t - 1], x[:, :, t])
    for t in range(x.shape[2] - 2, -1, -1):
        x[:, :, t] = np.where(np.isnan(x[:, :, t]), x[:, :, t + 1], x[:, :, t])
    return x


def logits_of_parts(
    x: NDArray[np.float32],
    y: NDArray[Any],
    fit: NDArray[Any],
    test: NDArray[Any],
    normalize: str,
    seed: int,
) -> dict[str, NDArray[Any]]:
    """Fit all parts at one moment.

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

    Returns
    -------
    dict of str to ndarray
        Left-out logits and logits of each part, and processor seconds of its fit.
    """
    axes = (0, 2) if normalize == "train" else (2,)
    base = x[fit] if normalize == "train" else x
    wide = base.astype(np.float64)
    centre, scale = wide.mean(axes, keepdims=True), wide.std(axes, keepdims=True)
    scale = np.where(scale > 1e-6 * (np.abs(centre) + 1e-12), scale, 1)
    series = torch.from_numpy(((x - centre) / scale).astype(np.float32))
    own, others = series[fit], series[test]
    target = torch.from_numpy((y[fit][:, None] == np.unique(y)).astype(np.float32))
    n_channels, t = x.shape[1:]
    found: dict[str, NDArray[Any]] = {}
    seconds: dict[str, float] = {}

    def keep(name: str, part: Callable[[], Logits], before: float = 0.0) -> None:
        start = time.process_time()
        left_out, logits = part()
        seconds[name] = before + time.process_time() - start
        found[f"{name}|left_out"], found[f"{name}|logits"] = left_out.numpy(), logits.numpy()

    features: dict[str, tuple[Tensor, Tensor]] = {}
    made: dict[str, float] = {}
    makers: dict[str, Callable[[], Any]] = {
        "rocket": lambda: MiniRocket(n_channels, t).fit(own, None, seed),
        "hydra": lambda: PrefixHydra(n_channels, t, [t]).fit(own, seed + 1),
        "shapelets": lambda: PrefixShapelets(n_channels, t, [t]).fit(own, seed + 2),
        "quantiles": lambda: IntervalQuantiles(n_channels, t),
    }
    for name, make in makers.items():
        start = time.process_time()
        transform = make()
        with torch.no_grad():
            fitted = transform(own)
            made[name] = time.process_time() - start
            features[name] = fitted, transform(others)
    fitted, rest = features["quantiles"]
    features["quantiles"] = without_rounding(fitted, own), rest
    for name in ("rocket", "hydra", "shapelets"):
        keep(name, lambda name=name: _ridge([features[name]], target), made[name])  # type: ignore[misc]
    joined = {
        "rocket+hydra": ("rocket", "hydra"),
        "rocket+hydra+shapelets": ("rocket", "hydra", "shapelets"),
    }
    for name, families in joined.items():
        given = [features[family] for family in families]
        keep(name, lambda given=given: _ridge(given, target), sum(made[f] for f in families))  # type: ignore[misc]
    for name, families in {
        "quant": ("quantiles",),
        "rist": ("quantiles", "shapelets"),
    }.items():
        given = [features[family] for family in families]
        keep(
            name, lambda given=given: _forest(given, target, seed), sum(made[f] for f in families)
        )  # type: ignore[misc]
    keep("default", lambda: _default(x, y, fit, test, normalize, seed))
    return {**found, "seconds": np.array(list(seconds.items()))}


def _ridge(features: Sequence[tuple[Tensor, Tensor]], target: Tensor) -> Logits:
    """Fit one ridge regression to families of features, each of which has the same variance."""
    spans = [span(own) for own, _ in features]
    share = len(spans) ** -0.5
    own = torch.cat([share * found.coordinates for found in spans], 1)
    others = torch.cat(
        [
            share * (part.double() - found.mean) @ found.basis
            for found, (_, part) in zip(spans, features, strict=True)
        ],
        1,
    )
    head = ridge(own, target)
    return head.scale * head.left_out, head.scale * (others @ head.weight + head.bias)


def _forest(features: Sequence[tuple[Tensor, Tensor]], target: Tensor, seed: int) -> Logits:
    forest = Forest(200)
    own = torch.cat([part for part, _ in features], 1)
    left_out = log_odds(forest.fit(own, target, None, seed)).double()
    others = log_odds(forest(torch.cat([part for _, part in features], 1))).double()
    scale, _ = likeliest_scale(left_out, target)
    return scale * left_out, scale * others


def _default(
    x: NDArray[np.float32],
    y: NDArray[Any],
    fit: NDArray[Any],
    test: NDArray[Any],
    normalize: Any,
    seed: int,
) -> Logits:
    clf = PrefixClassifier("rocket-quant", earliness=1.0, normalize=normalize, random_state=seed)
    clf.fit(x[fit], y[fit])
    logits = torch.from_numpy(clf.predict_proba(x[test])).double().clamp(min=1e-7).log()
    return torch.zeros(len(fit), logits.shape[1]).double(), logits


# Rules that join parts


Rule = Callable[[Sequence[Logits], Tensor], Tensor]


def mean_of_probabilities(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return logits of the mean of the parts' probabilities."""
    return torch.stack([logits.softmax(1) for _, logits in parts]).mean(0).clamp(min=1e-7).log()


def mean_of_logits(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return the mean of the parts' logits, at the scale that left-out ones want."""
    scale, _ = likeliest_scale(torch.stack([own for own, _ in parts]).mean(0), target)
    return scale * torch.stack([logits for _, logits in parts]).mean(0)


def weighed(parts: Sequence[Logits], target: Tensor) -> Tensor:
    """Return logits whose weights, multiples of a quarter or so, have the least left-out loss."""
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
ALONE = ("default rocket hydra shapelets rocket+hydra rocket+hydra+shapelets quant rist").split()
TOGETHER = (
    ("rocket", "quant"),
    ("rocket+hydra+shapelets", "quant"),
    ("rocket", "hydra", "quant"),
    ("rocket", "hydra", "rist"),
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
    found: dict[str, dict[tuple[str, str], list[list[float]]]] = {}
    seconds: dict[str, list[float]] = {}
    for path in sorted(store.glob("*.npz")):
        if path.name.endswith(".part.npz"):
            continue
        name, _, kind, share = path.stem.rsplit("-", 3)
        with np.load(path) as data:
            arrays = dict(data)
        for part, cost in arrays["seconds"]:
            seconds.setdefault(part, []).append(float(cost))
        for method, scores in _scores_of_all(arrays).items():
            found.setdefault(method, {}).setdefault((kind, f"{name} {share}"), []).append(scores)
    kinds: tuple[str | None, ...] = ("train", "prefix", None)
    for kind in kinds:
        print(f"\n{kind or 'both'}\n\n| method | AUC-PRC | accuracy | log loss | gain | s |")
        print("|---" * 6 + "|")
        first: dict[str, NDArray[Any]] = {}
        for method, cells in found.items():
            by_set: dict[str, list[list[float]]] = {}
            for (own, key), rows in cells.items():
                if kind in (own, None):
                    by_set.setdefault(key.split()[0], []).extend(rows)
            means = np.array([np.mean(rows, 0) for rows in by_set.values()])
            first.setdefault("", means)
            gain = means - first[""]
            error = gain.std(0, ddof=1) / len(gain) ** 0.5
            shown = " | ".join(
                f"{100 * g:+.2f} ± {100 * e:.2f}" for g, e in zip(gain.mean(0), error, strict=True)
            )
            cost = np.mean(seconds[method]) if method in seconds else np.nan
            print(
                f"| {method} | "
                + " | ".join(f"{v:.4f}" for v in means.mean(0))
                + f" | {shown} | {cost:.2f} |"
            )


def _scores_of_all(arrays: dict[str, NDArray[Any]]) -> dict[str, list[float]]:
    y_fit, y = arrays["y_fit"], arrays["y_test"]
    classes = np.unique(y_fit)
    target = torch.from_numpy((y_fit[:, None] == classes).astype(np.float64))
    parts = {
        name: (
            torch.from_numpy(arrays[f"{name}|left_out"]),
            torch.from_numpy(arrays[f"{name}|logits"]),
        )
        for name in ALONE
        if f"{name}|logits" in arrays
    }
    found = {name: _scores(y, logits, classes) for name, (_, logits) in parts.items()}
    for group in TOGETHER:
        if not all(name in parts for name in group):
            continue
        for rule, join in RULES.items():
            logits = join([parts[name] for name in group], target)
            found[f"{rule}: {', '.join(group)}"] = _scores(y, logits, classes)
    return found


def _scores(y: NDArray[Any], logits: Tensor, classes: NDArray[Any]) -> list[float]:
    chances = logits.softmax(1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class may be missing in a third.
        return [
            float(macro_auc_prc(y, chances, classes=classes)),
            float(accuracy_score(y, classes[chances.argmax(1)])),
            float(log_loss(y, chances.clip(1e-7), labels=classes)),
        ]


if __name__ == "__main__":
    main()
