"""Compare one model of many moments with a separate model of each, in accuracy and fitting time.

    python benchmarks/prefix_forests.py FOLDER RESULTS.json --sets CBF GunPoint
    python benchmarks/prefix_forests.py FOLDER RESULTS.json --table

Models are fitted on two thirds of the training part of a data set, ``FOLDER/NAME.npz`` with arrays
``X_train`` and ``y_train``, and scored on the other third; no test part is read. Results are kept,
and what is there already isn't run again. Times are processor seconds of one thread.

``separate`` is the default ``PrefixClassifier`` at each moment. ``ridge`` has a ridge regression
per moment on features of one pass. Others add a forest. ``joint`` is one forest for all moments,
``joint-200-4`` with 200 trees and four moments in a sample. ``each-50`` has 50 trees per moment on
quantiles of intervals of the prefix. The share of the forest is chosen by left-out predictions of
each moment (``own``), of it and its neighbours (``near``), or of all moments (``all``).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from skgdpd import PrefixClassifier
from skgdpd.metrics import macro_auc_prc
from skgdpd.nets import prefix_forest
from skgdpd.nets.closed_form import LinearStart, likeliest_scale, ridge, span
from skgdpd.nets.moment_forests import MomentForests
from skgdpd.nets.prefix_forest import PrefixForest
from skgdpd.nets.prefix_rocket import PrefixRocket
from skgdpd.nets.rocket_quant import LEAST_PROBABILITY, SHARES

MOMENTS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SETS = (
    "BasicMotions",
    "CBF",
    "ECG200",
    "ECGFiveDays",
    "Epilepsy",
    "GunPoint",
    "ItalyPowerDemand",
    "NATOPS",
    "Plane",
    "PowerCons",
    "RacketSports",
    "SyntheticControl",
    "Trace",
    "TwoLeadECG",
)
Blend = Literal["own", "near", "all"]
BLENDS: tuple[Blend, ...] = ("own", "near", "all")
Prefixes = list[Tensor]
"""Normalised prefixes of all series at each moment."""


def main() -> None:
    """Run what the command line names, or print the table of what there is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of data sets")
    parser.add_argument("results", type=Path, help="file of results")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1], help="of three")
    parser.add_argument("--models", nargs="+", default=["separate", "ridge", "joint", "each-50"])
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--n-moments", type=int, help="equidistant moments instead of the seven")
    parser.add_argument("--table", action="store_true", help="print the table and run nothing")
    options = parser.parse_args()
    if options.table:
        print_table(json.loads(options.results.read_text()))
        return
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # A class may be missing in a fold.
    for name in options.sets:
        with np.load(options.folder / f"{name}.npz", allow_pickle=False) as data:
            x, y = data["X_train"].astype(np.float32), data["y_train"]
        shares = (
            np.arange(1, options.n_moments + 1) / options.n_moments
            if options.n_moments
            else MOMENTS
        )
        moments = [max(round(share * x.shape[2]), 2) for share in shares]
        if len(set(moments)) < len(moments):
            moments = sorted(set(moments))
        folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(x, y))
        for fold in options.folds:
            for normalize in options.normalize:
                key = f"{name} {fold} {normalize} {len(shares)}"
                run_cell(
                    options.results, key, x, y, folds[fold], normalize, moments, options.models
                )


def run_cell(
    results: Path,
    key: str,
    x: NDArray[np.float32],
    y: NDArray[Any],
    fold: tuple[NDArray[Any], NDArray[Any]],
    normalize: Literal["train", "prefix"],
    moments: list[int],
    models: list[str],
) -> None:
    """Fit and score models on one division of one set, and keep the results.

    Parameters
    ----------
    results : pathlib.Path
        File of results.
    key : str
        Name of the cell.
    x, y : ndarray
        Series and labels.
    fold : tuple of ndarray
        Rows to fit and to score.
    normalize : {"train", "prefix"}
        How series are normalised.
    moments : list of int
        Lengths of the prefixes.
    models : list of str
        Names of the models.
    """
    done = json.loads(results.read_text()) if results.exists() else {}
    cell = done.setdefault(key, {})
    fit, test = fold
    classes, codes = np.unique(y, return_inverse=True)
    own: OnePass | None = None
    for model in models:
        if any(name.split("+")[0] == model for name in cell):
            continue
        if model == "separate":
            found = {model: separate(x, y, fold, normalize, moments)}
        else:
            if own is None:
                own = OnePass(x, codes, fit, normalize, moments)
            found = own.run(model, test)
        for name, (chances, seconds, extra) in found.items():
            scores = [_scores(codes[test], one, len(classes)) for one in chances]
            cell[name] = {"scores": scores, "seconds": seconds, **extra}
        results.write_text(json.dumps(done))
    print(key, {name: round(value["seconds"], 2) for name, value in cell.items()}, flush=True)


def separate(
    x: NDArray[np.float32],
    y: NDArray[Any],
    fold: tuple[NDArray[Any], NDArray[Any]],
    normalize: Literal["train", "prefix"],
    moments: list[int],
) -> tuple[list[NDArray[Any]], float, dict[str, Any]]:
    """Fit the default classifier at each moment.

    Parameters
    ----------
    x, y : ndarray
        Series and labels.
    fold : tuple of ndarray
        Rows to fit and to score.
    normalize : {"train", "prefix"}
        How series are normalised.
    moments : list of int
        Lengths of the prefixes.

    Returns
    -------
    chances : list of ndarray
        Class probabilities of the rows to score, at each moment.
    seconds : float
        Time of the fits.
    extra : dict
        Nothing.
    """
    fit, test = fold
    chances = []
    seconds = 0.0
    for t in moments:
        clf = PrefixClassifier(earliness=t, normalize=normalize, random_state=0)
        start = time.process_time()
        clf.fit(x[fit], y[fit])
        seconds += time.process_time() - start
        chances.append(clf.predict_proba(x[test]))
    return chances, seconds, {}


class OnePass:
    """Ridge regressions of one pass, and what forests add to them.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    codes : ndarray of shape (n,)
        Numbers of their classes.
    fit : ndarray
        Rows to fit.
    normalize : {"train", "prefix"}
        How series are normalised.
    moments : list of int
        Lengths of the prefixes.
    """

    def __init__(
        self,
        x: NDArray[np.float32],
        codes: NDArray[np.int64],
        fit: NDArray[Any],
        normalize: Literal["train", "prefix"],
        moments: list[int],
    ) -> None:
        series = torch.from_numpy(x)
        self.moments = moments
        self.fit = torch.from_numpy(fit)
        if normalize == "train":
            centre = series[fit].mean((0, 2), keepdim=True)
            series = (series - centre) / series[fit].std((0, 2), keepdim=True).clamp(min=1e-8)
            self.series: Tensor | None = series
            self.prefixes = [series[:, :, :t] for t in moments]
        else:
            self.series = None
            self.prefixes = [_normalised(series[:, :, :t]) for t in moments]
        self.target = torch.eye(int(codes.max()) + 1)[codes[fit]]
        start = time.process_time()
        whole = self.prefixes[-1] if self.series is None else self.series
        self.rocket = PrefixRocket(x.shape[1], x.shape[2], moments).fit(whole[self.fit], 0)
        self.spans, self.starts = [], []
        for features in self._rocket_features(self.fit):
            self.spans.append(span(features))
            self.starts.append(ridge(self.spans[-1].coordinates, self.target))
        self.seconds = time.process_time() - start

    def _rocket_features(self, rows: Tensor) -> list[Tensor]:
        if self.series is not None:
            path = torch.cat(list(self.rocket.path(self.series[rows])))
            return list(path.unbind(1))
        return [self.rocket.transform(prefix[rows].contiguous()) for prefix in self.prefixes]

    def run(
        self, model: str, test: NDArray[Any]
    ) -> dict[str, tuple[list[Any], float, dict[str, Any]]]:
        """Fit a model and predict.

        Parameters
        ----------
        model : str
            ``"ridge"``, ``"joint"``, ``"joint-TREES-MOMENTS"`` or ``"each-TREES"``.
        test : ndarray
            Rows of which class probabilities are returned.

        Returns
        -------
        dict
            Class probabilities at each moment, seconds and more, by name of the model and blend.
        """
        found: dict[str, tuple[list[Any], float, dict[str, Any]]] = {}
        rows = torch.from_numpy(test)
        scores = [
            (features.double() - own.mean) @ own.basis @ start.weight + start.bias
            for features, own, start in zip(
                self._rocket_features(rows), self.spans, self.starts, strict=True
            )
        ]
        if model == "ridge":
            chances = [
                torch.softmax(start.scale * own, 1).numpy()
                for start, own in zip(self.starts, scores, strict=True)
            ]
            return {model: (chances, self.seconds, {})}
        begin = time.process_time()
        left_out, predict, size = self._forest(model)
        seconds = time.process_time() - begin
        predicted = predict(rows)
        found[f"{model}+alone"] = list(predicted.unbind(1)), seconds, {"bytes": size}
        for blend in BLENDS:
            begin = time.process_time()
            weights = blended(self.starts, log_odds(left_out), self.target, blend)
            total = self.seconds + seconds + time.process_time() - begin
            odds = log_odds(predicted)
            chances = [
                torch.softmax(rocket * own + forest * odds[:, m], 1).numpy()
                for m, (own, (rocket, forest, _)) in enumerate(zip(scores, weights, strict=True))
            ]
            shares = [share for *_, share in weights]
            found[f"{model}+{blend}"] = (chances, total, {"shares": shares})
        return found

    def _forest(self, model: str) -> tuple[Tensor, Callable[[Tensor], Tensor], int]:
        """Return left-out probabilities, what predicts those of rows, and bytes of the state."""
        kind, *numbers = model.split("-")
        shape = self.prefixes[-1].shape[1:]
        if kind == "joint":
            n_trees = int(numbers[0]) if numbers else prefix_forest.N_TREES
            joint = PrefixForest(shape[0], shape[1], self.moments, n_trees)
            usual = prefix_forest.MOMENTS_PER_TREE, prefix_forest.ROWS_PER_TREE
            try:
                if len(numbers) > 1:
                    prefix_forest.MOMENTS_PER_TREE, prefix_forest.ROWS_PER_TREE = (
                        int(numbers[1]),
                        0,
                    )
                left_out = joint.fit(self._seen(self.fit), self.target, None, 0)
            finally:
                prefix_forest.MOMENTS_PER_TREE, prefix_forest.ROWS_PER_TREE = usual
            return left_out, lambda rows: joint.path(self._seen(rows)), _n_bytes(joint)
        each = MomentForests(shape[0], shape[1], self.moments, int(numbers[0]))
        left_out = each.fit(self._seen(self.fit), self.target, None, 0)
        return left_out, lambda rows: each.path(self._seen(rows)), _n_bytes(each)

    def _seen(self, rows: Tensor) -> Tensor | Prefixes:
        if self.series is not None:
            return self.series[rows]
        return [prefix[rows] for prefix in self.prefixes]


def log_odds(chances: Tensor) -> Tensor:
    """Return log-probabilities, centred over the classes, in double precision.

    Parameters
    ----------
    chances : Tensor of shape (..., n_classes)
        Probabilities.

    Returns
    -------
    Tensor of the same shape
    """
    logs = (chances.double() + LEAST_PROBABILITY).log()
    return logs - logs.mean(-1, keepdim=True)


def blended(
    starts: list[LinearStart], odds: Tensor, target: Tensor, blend: Blend
) -> list[tuple[float, float, float]]:
    """Weigh ridge and forest at each moment by left-out predictions.

    Parameters
    ----------
    starts : list of LinearStart
        Ridge regression of each moment.
    odds : Tensor of shape (n, n_moments, n_classes)
        Left-out log-odds of the forest.
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    blend : {"own", "near", "all"}
        Whose losses choose the share.

    Returns
    -------
    list of (float, float, float)
        Factors of the scores of the ridge and of the log-odds of the forest, and its share.
    """
    losses = np.empty((len(starts), len(SHARES)))
    factors: list[list[tuple[float, float, float]]] = []
    for m, start in enumerate(starts):
        own_scale, _ = likeliest_scale(odds[:, m], target)
        factors.append([])
        for k, share in enumerate(SHARES):
            rocket, forest = (1 - share) * start.scale, share * own_scale
            logits = rocket * start.left_out + forest * odds[:, m]
            scale, losses[m, k] = likeliest_scale(logits, target)
            factors[-1].append((scale * rocket, scale * forest, share))
    if blend == "near":
        wide = np.pad(losses, ((1, 1), (0, 0)), "edge")
        losses = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4
    elif blend == "all":
        losses[:] = losses.mean(0)
    return [own[int(loss.argmin())] for own, loss in zip(factors, losses, strict=True)]


def _normalised(x: Tensor) -> Tensor:
    scale = x.std(2, keepdim=True, correction=0).clamp(min=1e-4)
    return (x - x.mean(2, keepdim=True)) / scale


def _n_bytes(module: torch.nn.Module) -> int:
    return sum(own.numel() * own.element_size() for own in module.state_dict().values())


def _scores(codes: NDArray[np.int64], chances: Any, n_classes: int) -> list[float]:
    """Return AUC-PRC, accuracy and log loss."""
    chances = np.clip(np.asarray(chances, dtype=float), 1e-7, 1)
    chances /= chances.sum(1, keepdims=True)
    return [
        float(macro_auc_prc(codes, chances, np.arange(n_classes))),
        float((chances.argmax(1) == codes).mean()),
        float(-np.log(chances[np.arange(len(codes)), codes]).mean()),
    ]


def print_table(done: dict[str, dict[str, Any]]) -> None:
    """Print differences from separate models, as means over cells, and ratios of times.

    Parameters
    ----------
    done : dict
        Results by cell and model.
    """
    done = {key: own for key, own in done.items() if "separate" in own and len(own) > 1}
    for kind in sorted({" ".join(key.split()[2:]) for key in done}, reverse=True):
        cells = [own for key, own in done.items() if key.split()[2:] == kind.split()]
        names = [name for name in cells[0] if all(name in own for own in cells)]
        lengths = {len(own["separate"]["scores"]) for own in cells}
        cells = [own for own in cells if len(own["separate"]["scores"]) == max(lengths)]
        base = np.array([own["separate"]["scores"] for own in cells])
        seconds = sum(own["separate"]["seconds"] for own in cells)
        print(f"\n{kind} moments, {len(cells)} divisions; separate: {seconds:.0f} s, AUC-PRC")
        print((100 * base[:, :, 0].mean(0)).round(1), "log loss", base[:, :, 2].mean().round(3))
        print("| model | AUC-PRC at each moment | mean ± s.e. | accuracy | log loss | time |")
        for name in names:
            gain = np.array([own[name]["scores"] for own in cells]) - base
            gain[:, :, :2] *= 100
            mean = gain.mean(1)
            error = mean[:, 0].std() / len(mean) ** 0.5
            cost = sum(own[name]["seconds"] for own in cells) / seconds
            print(
                f"| {name} | "
                + " ".join(f"{value:+.1f}" for value in gain[:, :, 0].mean(0))
                + f" | {mean[:, 0].mean():+.2f} ± {error:.2f} | {mean[:, 1].mean():+.2f} "
                f"| {mean[:, 2].mean():+.3f} | {cost:.2f} |"
            )


if __name__ == "__main__":
    main()
