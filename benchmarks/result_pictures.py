"""Draw the pictures and print the tables of the pages on unlabelled series and small students.

The pages are ``docs/results/unlabelled-series.md`` and ``docs/results/small-students.md``.

    python benchmarks/result_pictures.py docs/results/rocket --data FOLDER

The program reads the records of ``python -m skgdpd.benchmarking run``. It measures the
milliseconds of the prediction of one series.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from skgdpd import PrefixClassifier
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.methods import make_method
from skgdpd.benchmarking.store import Record, Store
from skgdpd.datasets import load_file
from skgdpd.plotting.style import COLORS, draw_band, marked_style, new_axes

COUNTS = (10, 30, 100, 300)
OF_COUNTS = ("CBF", "ECGFiveDays", "ItalyPowerDemand", "MoteStrain", "TwoLeadECG")
OF_TEACHERS = (*OF_COUNTS, "FaceFour", "GunPoint", "Plane")
OF_STUDENTS = (*OF_TEACHERS, "ECG200", "PowerCons", "RacketSports", "Trace")
STUDENTS = {
    "lstm1-8": ("base:lstm1-8", "hinton:lstm1-8:rocket"),
    "lstm2-32": ("base:lstm2-32", "hinton:lstm2-32:rocket"),
    "fcn24": ("base:fcn24", "hinton:fcn24:rocket"),
    "fcn": ("base:fcn", "hinton:fcn:rocket"),
    "rocket": ("base:rocket", "hinton:rocket"),
}
DRAWN = {
    "lstm": "LSTM, 3 layers of 100",
    "lstm1-8": "LSTM, 1 layer of 8",
    "lstm2-32": "LSTM, 2 layers of 32",
    "fcn24": "FCN, 24 channels wide",
    "fcn": "FCN, 128 channels wide",
    "rocket": "random convolutions",
}
"""Backbones' names in pictures."""


class Scores:
    """Metrics by method, setting and data set, at 20 % seen and normalised by the training part.

    Parameters
    ----------
    records : sequence of Record
        Records of a store; others than these are left out.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._found: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        self._seeds: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for record in records:
            cell = record.cell
            if record.error or (cell.earliness, cell.normalize) != (0.2, "train"):
                continue
            self._found[cell.method, cell.setting, cell.data].append(record.chosen())
            self._seeds[cell.method, cell.setting, cell.data].append(cell.seed)

    def mean(self, method: str, setting: str, data: str, metric: str = "auc_prc") -> float:
        """Return a metric's mean over seeds.

        Parameters
        ----------
        method, setting, data, metric : str
            The names in a record.

        Returns
        -------
        float
            NaN without a record.
        """
        found = self._found[method, setting, data]
        return float(np.mean([c["metrics"][metric] for c in found])) if found else np.nan

    def over(self, sets: Sequence[str], method: str, setting: str, **kwargs: str) -> float:
        """Return a metric's mean over data sets and seeds.

        Parameters
        ----------
        sets : sequence of str
            Names of the data sets.
        method, setting : str
            The names in a record.
        **kwargs : str
            The metric; see :meth:`mean`.

        Returns
        -------
        float
        """
        return float(np.mean([self.mean(method, setting, data, **kwargs) for data in sets]))

    def by_seed(self, sets: Sequence[str], method: str, setting: str) -> NDArray[Any]:
        """Return the mean AUC-PRC over data sets for each seed.

        Parameters
        ----------
        sets : sequence of str
            Names of the data sets.
        method, setting : str
            The names in a record.

        Returns
        -------
        ndarray of shape (n_seeds,)
            Only of seeds with a record of each data set.
        """
        scores: dict[int, list[float]] = defaultdict(list)
        for data in sets:
            key = method, setting, data
            for seed, found in zip(self._seeds[key], self._found[key], strict=True):
                scores[seed].append(found["metrics"]["auc_prc"])
        return np.array([np.mean(v) for v in scores.values() if len(v) == len(sets)])

    def n_parameters(self, method: str) -> int:
        """Return the number of weights of a network for one channel and two classes."""
        return int(self._found[method, "unlabelled", "GunPoint"][0]["n_parameters"])


def main() -> None:
    """Draw the pictures and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path, help="folder of records, and of the pictures")
    parser.add_argument("--data", type=Path, required=True, help="folder with GunPoint.npz")
    options = parser.parse_args()
    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    scores = Scores(list(Store(options.store)))
    pictures = {
        "number-of-unlabelled-series": how_many(scores),
        "teachers": weak_teachers(scores),
        "small-students": small_students(scores, options.data),
    }
    for name, ax in pictures.items():
        ax.figure.savefig(options.store / f"{name}.png", dpi=110)


def how_many(scores: Scores) -> Any:
    """Draw AUC-PRC against the number of unlabelled series, with the range of the seeds."""
    ax = new_axes()
    print("| unlabelled series | 0 | " + " | ".join(map(str, COUNTS)) + " | all |")
    print("|---" * (len(COUNTS) + 3) + "|")
    none = scores.over(OF_COUNTS, "base:rocket", "unlabelled")
    rows = [("teacher, unlabelled series", "hinton:rocket", "unlabelled"),
            ("with their true labels", "base:rocket", "ceiling")]  # fmt: skip
    for i, (label, method, setting) in enumerate(rows):
        settings = [*(f"{setting}:{n}" for n in COUNTS), setting]
        values = [none, *(scores.over(OF_COUNTS, method, s) for s in settings)]
        seeds = [scores.by_seed(OF_COUNTS, method, s) for s in settings]
        seeds.insert(0, scores.by_seed(OF_COUNTS, "base:rocket", "unlabelled"))
        style = marked_style(i)
        ax.plot(range(len(values)), values, label=label, **style)
        lows, highs = [np.array([f(s) for s in seeds]) for f in (np.min, np.max)]
        draw_band(ax, range(len(values)), lows, highs, style)
        print(f"| {label} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    ax.set(
        xticks=range(len(COUNTS) + 2),
        xticklabels=["none", *COUNTS, "all\n(430 to 626)"],
        xlabel="number of unlabelled series",
        ylabel="AUC-PRC",
    )
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def weak_teachers(scores: Scores) -> Any:
    """Draw the gain by unlabelled series against the teacher's lead over its student."""
    ax = new_axes()
    teachers = {
        "rocket": "hinton:rocket",
        **{t: f"hinton:rocket:{t}" for t in ("fcn", "lstm", "lstm1-8")},
    }
    print("\n| teacher | its accuracy | AUC-PRC of the student | gain | worse on |")
    print("|---|---|---|---|---|")
    for i, (name, method) in enumerate(teachers.items()):
        base = np.array([scores.mean("base:rocket", "unlabelled", d) for d in OF_TEACHERS])
        own = np.array(
            [scores.mean("base:rocket", "unlabelled", d, "accuracy") for d in OF_TEACHERS]
        )
        taught = np.array([scores.mean(method, "unlabelled", d) for d in OF_TEACHERS])
        known = np.array(
            [scores.mean(method, "unlabelled", d, "teacher_accuracy") for d in OF_TEACHERS]
        )
        style = {**marked_style(i), "linestyle": "none"}
        ax.plot(
            100 * (known - own), 100 * (taught - base), label=f"teacher: {DRAWN[name]}", **style
        )
        gain, n_worse = 100 * (taught - base).mean(), (taught < base - 1e-9).sum()
        print(
            f"| `{name}` | {known.mean():.3f} | {taught.mean():.3f} | {gain:+.1f} | "
            f"{n_worse} of {len(base)} |"
        )
    x = 100 * (
        scores.mean("hinton:rocket", "unlabelled:300", "FaceAll", "teacher_accuracy")
        - scores.mean("base:rocket", "unlabelled", "FaceAll", "accuracy")
    )
    y = 100 * (
        scores.mean("hinton:rocket", "unlabelled:300", "FaceAll")
        - scores.mean("base:rocket", "unlabelled", "FaceAll")
    )
    ax.annotate("FaceAll", (x, y), (8, -3), textcoords="offset points", fontsize="small")
    ax.plot(x, y, "*", color="black", markersize=11)
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(
        xlabel="accuracy of the teacher on whole new series,\n"
        "less the student's of labels only (points)",
        ylabel="gain by unlabelled series (points of AUC-PRC)",
    )
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    return ax


def small_students(scores: Scores, folder: Path) -> Any:
    """Draw AUC-PRC, with its deviation over seeds, against the time of one series."""
    ax = new_axes()
    parts = load_file(folder / "GunPoint.npz")
    prefix = parts.X_test[:, :, : int(0.2 * parts.X.shape[2])]
    columns = "student|parameters|ms for one series|as ONNX|labels only|taught|true labels"
    print(f"\n| {' | '.join(columns.split('|'))} |")
    print("|---|---|---|---|---|---|---|")
    for i, (name, (base, taught)) in enumerate(STUDENTS.items()):
        clf = PrefixClassifier(name, earliness=0.2, max_epochs=1, random_state=0)
        milliseconds = one_series(clf.fit(parts.X, parts.y).predict_proba, prefix)
        exported = one_series(as_onnx(clf), prefix.astype(np.float32))
        low, high, top = (
            scores.over(OF_STUDENTS, method, setting)
            for method, setting in [
                (base, "unlabelled"),
                (taught, "unlabelled"),
                (base, "ceiling"),
            ]
        )
        n = scores.n_parameters(base)
        color = COLORS[i]
        ax.annotate(
            "",
            (milliseconds, high),
            (milliseconds, low),
            arrowprops={"arrowstyle": "->", "color": color},
        )
        for mean, method, fill in ((low, base, "white"), (high, taught, color)):
            spread = scores.by_seed(OF_STUDENTS, method, "unlabelled").std(ddof=1)
            ax.errorbar(milliseconds, mean, spread, fmt="o", color=color, markerfacecolor=fill)
        last = name == "rocket"
        ax.annotate(
            f"{DRAWN[name].replace(', ', chr(10))}\n{n:,} weights",
            (milliseconds, low if last else (low + high) / 2),
            (-8 if last else 7, 0),
            textcoords="offset points",
            fontsize="small",
            ha="right" if last else "left",
            va="center",
        )
        print(
            f"| `{name}` | {n:,} | {milliseconds:.2f} | {exported:.2f} | "
            f"{low:.3f} | {high:.3f} | {top:.3f} |"
        )
    ((_, plain),) = make_method(Cell("GunPoint", "minirocket", 0.2), None, "cpu")
    plain.fit(parts.X, parts.y, None)
    milliseconds = one_series(plain.predict_proba, parts.X_test)
    value = scores.over(OF_STUDENTS, "minirocket", "unlabelled")
    ax.plot(milliseconds, value, "s", color="black")
    ax.annotate(
        "MiniRocket + ridge",
        (milliseconds, value),
        (-8, -4),
        textcoords="offset points",
        fontsize="small",
        ha="right",
    )
    print(f"| MiniRocket + ridge | | {milliseconds:.2f} | | {value:.3f} | | |")
    ax.plot([], [], "o", color="0.4", markerfacecolor="white", label="labels only")
    ax.plot([], [], "o", color="0.4", label="teacher, unlabelled series")
    ax.set(
        xscale="log", xlabel="milliseconds for one series, one thread", ylabel="AUC-PRC, 20 % seen"
    )
    for set_formatter in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
        set_formatter("{x:g}")
    ax.legend(fontsize="small", loc="lower right")
    ax.grid(alpha=0.3)
    return ax


def as_onnx(clf: PrefixClassifier) -> Callable[[NDArray[Any]], Any]:
    """Return a function that predicts by ONNX Runtime with one thread."""
    with tempfile.TemporaryDirectory() as folder:
        clf.export_onnx(f"{folder}/model.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options)
    return lambda X: session.run(None, {"prefix": X})


def one_series(predict: Callable[[NDArray[Any]], Any], X: NDArray[Any]) -> float:
    """Return the median milliseconds of a prediction of one series.

    Parameters
    ----------
    predict : callable
        The function that is timed.
    X : ndarray of shape (n, c, t)
        At least 60 series.

    Returns
    -------
    float
    """
    times = []
    for i in range(60):
        start = time.perf_counter()
        predict(X[i : i + 1])
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times[10:])


if __name__ == "__main__":
    main()
