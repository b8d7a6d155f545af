"""Demonstration of the gain by a teacher, on bundled data or on a file of the user's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._estimators.gdpd import GDPDClassifier
from .._estimators.prefix import PrefixClassifier
from .._runtime.extras import require
from .._series.split import stratified_split
from ..datasets import TrainTest, load_file, load_gunpoint, load_italy_power_demand
from ..metrics import macro_auc_prc, top1_agreement
from ..plotting import EarlinessDisplay, HistoryDisplay
from ..training import Progress

SEED = 0
CURVE = (0.1, 0.2, 0.3, 0.45, 0.6)
"""Fractions of the series in the plot, besides those of the table."""


@dataclass
class Row:
    """Row of the table of scores.

    Attributes
    ----------
    earliness : float
        Fraction of the series that is seen.
    name : str
        Name of the model.
    accuracy : float
        Accuracy on the test series.
    auc_prc : float
        Area under the precision-recall curve, averaged over classes.
    agreement : float
        Share of test series for which model and teacher predict the same class.
    seconds : float
        Time of the fit, without the teacher's.
    """

    earliness: float
    name: str
    accuracy: float
    auc_prc: float
    agreement: float
    seconds: float

    HEAD = (
        f"{'seen':>5}  {'model':<34}{'accuracy':>9}{'AUC-PRC':>9}{'agreement':>11}{'seconds':>9}"
    )

    def __str__(self) -> str:
        return (
            f"{self.earliness:>5.0%}  {self.name:<34}{self.accuracy:>9.3f}{self.auc_prc:>9.3f}"
            f"{self.agreement:>11.3f}{self.seconds:>9.1f}"
        )


@dataclass
class Report:
    """Results of the demonstration so far.

    Attributes
    ----------
    folder : Path
        Folder for the plots.
    lines : list of str
        Lines to print at the end.
    """

    folder: Path
    lines: list[str] = field(default_factory=list)

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Add a table of scores to the report."""
        self.lines += ["", title, Row.HEAD, *(str(row) for row in rows)]

    def picture(self, what: str, display: Any, name: str) -> None:
        """Save a plot, and add its path to the report."""
        path = self.folder / name
        display.figure_.savefig(path, dpi=120)
        require("matplotlib.pyplot", "plot", "to draw").close(display.figure_)
        self.lines.append(f"{what}: {path}")


def run_demo(data: str | None, earliness: Sequence[float], folder: str, verbose: bool) -> str:
    """Run the demonstration.

    Parameters
    ----------
    data : str or None
        Path of a file of series; None is GunPoint and ItalyPowerDemand.
    earliness : sequence of float
        Fractions of the series that are seen.
    folder : str
        Folder for the plots, which is made if it doesn't exist.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    str
        Report to print: tables of scores and paths of the plots.
    """
    require("matplotlib", "plot", "for the demonstration's pictures")
    name = "GunPoint" if data is None else Path(data).stem
    parts = load_gunpoint() if data is None else load_file(data)
    report = Report(Path(folder))
    report.folder.mkdir(parents=True, exist_ok=True)
    levels = sorted({*earliness, *CURVE})
    with (
        tempfile.TemporaryDirectory() as memory,
        Progress(3 * len(levels) + 1 + (9 if data is None else 0), verbose) as progress,
    ):
        _compare(name, parts, earliness, levels, memory, report, progress)
        if data is None:
            _with_unlabelled(load_italy_power_demand(), report, progress)
    return "\n".join(report.lines).lstrip()


def _compare(
    name: str,
    parts: TrainTest,
    earliness: Sequence[float],
    levels: Sequence[float],
    memory: str,
    report: Report,
    progress: Progress,
) -> None:
    rows: list[Row] = []
    curves: dict[str, list[float]] = {"PrefixClassifier (no teacher)": [], "GDPDClassifier": []}
    teacher_row, shown = None, None
    for level in levels:
        base = PrefixClassifier(earliness=level, random_state=SEED)
        gdpd = GDPDClassifier(earliness=level, memory=memory, random_state=SEED)
        progress.stage(f"{name}, {level:.0%} seen")
        gdpd.fit(parts.X, parts.y)
        progress.advance(2 + (teacher_row is None))
        base.fit(parts.X, parts.y)
        progress.advance(1)
        teacher_proba = gdpd.teacher_.predict_proba(parts.X_test)
        if teacher_row is None:
            seconds = gdpd.fit_seconds_["teacher"]
            teacher_row = _row(1.0, "teacher", teacher_proba, teacher_proba, gdpd, parts, seconds)
        for label, model in zip(curves, (base, gdpd), strict=True):
            proba = model.predict_proba(parts.X_test)
            row = _row(level, label, proba, teacher_proba, model, parts, _own_seconds(model))
            curves[label].append(row.accuracy)
            if level in earliness:
                rows.append(row)
        if level == max(earliness):
            shown = gdpd
    assert teacher_row is not None
    n, n_test = len(parts.X), len(parts.X_test)
    report.table(f"{name}: {n} labelled series, {n_test} to predict", [teacher_row, *rows])
    teacher = ("teacher, whole series", teacher_row.accuracy)
    display = EarlinessDisplay.from_results(levels, curves, reference=teacher)
    display.ax_.set_title(f"{name}: accuracy against the part seen")
    stem = name.lower()
    report.picture("accuracy against the part seen", display, f"{stem}-earliness.png")
    history = HistoryDisplay.from_estimator(shown)
    history.ax_.set_title(f"{name}: GDPD at {max(earliness):.0%} seen")
    report.picture("training history", history, f"{stem}-history.png")


def _own_seconds(model: Any) -> float:
    """Return the seconds of a fit without its teacher, which has a row of its own."""
    return sum(seconds for stage, seconds in model.fit_seconds_.items() if stage != "teacher")


def _with_unlabelled(parts: TrainTest, report: Report, progress: Progress) -> None:
    level = 0.4
    numbers = np.unique(parts.y_test, return_inverse=True)[1]
    scored, given = stratified_split(numbers, 0.5, SEED)
    test = TrainTest(parts.X, parts.y, parts.X_test[scored], parts.y_test[scored])
    unlabelled = parts.X_test[given]
    models: list[tuple[str, Any, dict[str, Any], int]] = [
        ("PrefixClassifier (no teacher)", PrefixClassifier(), {}, 1),
        ("GDPDClassifier", GDPDClassifier(), {}, 2),
        ("GDPDClassifier with unlabelled", GDPDClassifier(), {"X_unlabeled": unlabelled}, 6),
    ]
    rows, probas = [], []
    for name, model, extra, units in models:
        progress.stage(f"ItalyPowerDemand, {name}")
        model.set_params(earliness=level, random_state=SEED).fit(test.X, test.y, **extra)
        probas.append(model.predict_proba(test.X_test))
        progress.advance(units)
    teacher_model = models[-1][1]
    teacher_proba = teacher_model.teacher_.predict_proba(test.X_test)
    seconds = teacher_model.fit_seconds_["teacher"]
    rows.append(_row(1.0, "teacher", teacher_proba, teacher_proba, teacher_model, test, seconds))
    for (name, model, _, _), proba in zip(models, probas, strict=True):
        rows.append(_row(level, name, proba, teacher_proba, model, test, _own_seconds(model)))
    report.table(
        f"ItalyPowerDemand: {len(test.X)} labelled series, {len(unlabelled)} without "
        f"a label, {len(test.X_test)} to predict",
        rows,
    )


def _row(
    level: float,
    name: str,
    proba: NDArray[Any],
    teacher_proba: NDArray[Any],
    model: Any,
    parts: TrainTest,
    seconds: float,
) -> Row:
    classes = model.classes_
    return Row(
        level,
        name,
        float((classes[proba.argmax(1)] == parts.y_test).mean()),
        macro_auc_prc(parts.y_test, proba, classes),
        top1_agreement(teacher_proba, proba),
        seconds,
    )
