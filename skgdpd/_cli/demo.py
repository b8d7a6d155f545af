"""Demonstration of unlabelled series, of answers to a stream, and of a user's own file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._early.classifier import EarlyClassifier
from .._estimators.gdpd import GDPDClassifier
from .._estimators.prefix import PrefixClassifier
from .._runtime.extras import require
from .._series.split import stratified_split
from .._series.unlabeled import split_marked
from ..datasets import TrainTest, load_file, load_gunpoint, load_italy_power_demand
from ..metrics import average_cost, macro_auc_prc, top1_agreement
from ..plotting import DecisionDisplay, EarlinessDisplay, HistoryDisplay
from ..training import Progress
from .series_files import Columns, is_table, read_series

SEED = 0
CURVE = (0.1, 0.2, 0.3, 0.45, 0.6)
"""Shares of the series in the plot, in addition to those of the table."""
FEW = 20
"""Number of labelled series that are used with the unlabelled series. It is small, as in
applications where labels are expensive. Unlabelled series helped at both shares of the table on
validation series, which are not scored here."""
UNLABELLED_CURVE = (0.2, 0.3, 0.4, 0.5, 0.6)
UNLABELLED_TABLE = (0.3, 0.4)
MOMENTS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0]
"""Moments at which a series of a stream may be answered, as shares of the series."""
DELAY_COST = 0.3
LABELS_ONLY = "All series have labels here, and then a teacher seldom adds anything. It pays with \
unlabelled series: fit --unlabeled FILE."
N_STREAMED = 6


@dataclass
class Row:
    """Row of the table of scores.

    Attributes
    ----------
    earliness : float
        Seen share of the series.
    name : str
        Name of the model.
    accuracy : float
        Accuracy on the test series.
    auc_prc : float
        Area under the precision-recall curve, averaged over classes.
    agreement : float
        Share of test series for which model and teacher predict the same class.
    seconds : float
        Seconds of the fit, without the fit of the teacher.
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


def run_demo(
    data: str | None, columns: Columns, earliness: Sequence[float], folder: str, verbose: bool
) -> str:
    """Run the demonstration.

    Parameters
    ----------
    data : str or None
        Path of a file of series. None means ItalyPowerDemand with unlabelled series, and a stream
        of GunPoint.
    columns : Columns
        Meanings of the columns of a table.
    earliness : sequence of float
        Shares of the series that the models see. Only for a file.
    folder : str
        Folder for the plots, which is created if it does not exist.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    str
        Report to print: tables of scores, paths of the plots, and commands to try next.
    """
    require("matplotlib", "plot", "for the demonstration's pictures")
    own = None if data is None else _read_own(data, columns)
    report = Report(Path(folder))
    report.folder.mkdir(parents=True, exist_ok=True)
    levels = sorted({*earliness, *CURVE})
    n_units = 7 * len(UNLABELLED_CURVE) + 1 if own is None else 3 * len(levels) + 1
    with (
        tempfile.TemporaryDirectory() as memory,
        Progress(n_units + 3, verbose) as progress,
    ):
        if own is None or data is None:
            _with_unlabelled(load_italy_power_demand(), memory, report, progress)
            name, own = "GunPoint", load_gunpoint()
        else:
            name = Path(data).stem
            _compare(name, own, earliness, levels, memory, report, progress)
        _stream(name, own, report, progress)
    report.lines += [
        "",
        f"All scores are of test series, of one seed ({SEED}). Agreement is the share of test "
        "series for which",
        "model and teacher predict the same class.",
        *([] if data is None else [LABELS_ONLY]),
        *_next(data, columns),
    ]
    return "\n".join(report.lines).lstrip()


def _read_own(data: str, columns: Columns) -> TrainTest:
    """Read a user's file; half of the series of a table become the test part."""
    if not is_table(data, columns):
        if given := columns.given():
            raise ValueError(f"{given[0]} is for .csv, .tsv and .parquet files, not for {data}")
        return load_file(data)
    series = read_series(data, columns)
    assert series.y is not None
    missing = split_marked(series.y, None)[1]
    if missing.any():
        raise ValueError(
            f"{missing.sum()} of {len(missing)} series of {data} have no label; the demonstration "
            f"needs a label for each, and fit takes series without"
        )
    fitted, scored = _part_of(series.y, 0.5)
    return TrainTest(series.X[fitted], series.y[fitted], series.X[scored], series.y[scored])


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
    """Return the seconds of a fit without those of the teacher, which has its own row."""
    return sum(seconds for stage, seconds in model.fit_seconds_.items() if stage != "teacher")


def _with_unlabelled(parts: TrainTest, memory: str, report: Report, progress: Progress) -> None:
    """Compare models of few labelled series, with and without many unlabelled ones."""
    name, plain, taught = "ItalyPowerDemand", "labels only, no teacher", "GDPD, unlabelled series"
    few = _part_of(parts.y, FEW / len(parts.y))[1]
    scored, given = _part_of(parts.y_test, 0.5)
    test = TrainTest(parts.X[few], parts.y[few], parts.X_test[scored], parts.y_test[scored])
    unlabelled = parts.X_test[given]
    rows: list[Row] = []
    curves: dict[str, list[float]] = {plain: [], taught: []}
    teacher_row = None
    for level in UNLABELLED_CURVE:
        progress.stage(f"{name}, {level:.0%} seen")
        base = PrefixClassifier(earliness=level, random_state=SEED).fit(test.X, test.y)
        progress.advance(1)
        gdpd = GDPDClassifier(earliness=level, memory=memory, random_state=SEED)
        gdpd.fit(test.X, test.y, unlabelled)
        progress.advance(6 + (teacher_row is None))
        teacher_proba = gdpd.teacher_.predict_proba(test.X_test)
        if teacher_row is None:
            seconds = gdpd.fit_seconds_["teacher"]
            teacher_row = _row(1.0, "teacher", teacher_proba, teacher_proba, gdpd, test, seconds)
        for label, model in ((plain, base), (taught, gdpd)):
            proba = model.predict_proba(test.X_test)
            row = _row(level, label, proba, teacher_proba, model, test, _own_seconds(model))
            curves[label].append(row.accuracy)
            if level in UNLABELLED_TABLE:
                rows.append(row)
    assert teacher_row is not None
    report.table(
        f"{name}: {len(test.X)} labelled series, {len(unlabelled)} without a label, "
        f"{len(test.X_test)} to predict",
        [teacher_row, *rows],
    )
    teacher = ("teacher, whole series", teacher_row.accuracy)
    display = EarlinessDisplay.from_results(UNLABELLED_CURVE, curves, reference=teacher)
    display.ax_.set_title(
        f"{name}: {len(test.X)} labelled and {len(unlabelled)} unlabelled series"
    )
    report.picture("accuracy against the part seen", display, "unlabelled-series.png")


def _part_of(y: NDArray[Any], share: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows outside and inside of a random share, which is equal for each class."""
    return stratified_split(np.unique(y, return_inverse=True)[1], share, SEED)


def _stream(name: str, parts: TrainTest, report: Report, progress: Progress) -> None:
    """Answer series whose points arrive one by one, and draw the decision on one series."""
    progress.stage(f"{name}, a stream")
    classifier = PrefixClassifier(earliness=MOMENTS, random_state=SEED)
    early = EarlyClassifier(classifier, delay_cost=DELAY_COST, random_state=SEED)
    early.fit(parts.X, parts.y)
    progress.advance(2)
    shown = np.random.default_rng(SEED).permutation(len(parts.X_test))[:N_STREAMED].tolist()
    report.lines += [
        "",
        f"{name} as a stream: {len(shown)} series, a point of each at a time; waiting to the end "
        f"costs {DELAY_COST:g}, an error 1",
        f"{'points':>6}  {'series':>6}  {'answer':>10}  {'probability':>11}  {'true class':>10}",
    ]
    there: NDArray[Any] = np.asarray(np.isfinite(parts.X_test).all(1))
    session = early.start(shown)
    answers = []
    for t in range(there.shape[1]):
        answers += session.push({i: parts.X_test[i, :, t : t + 1] for i in shown if there[i, t]})
    answered = {answer.id for answer in answers}
    answers += [session.close(i) for i in shown if i not in answered]
    for answer in answers:
        number: Any = answer.id
        report.lines.append(
            f"{answer.n_seen:>6}  {number:>6}  {answer.label!s:>10}  "
            f"{max(answer.probabilities):>11.2f}  {parts.y_test[number]!s:>10}"
        )
    found = early.decide(parts.X_test, parts.y_test)
    assert found.cost is not None
    at_end, whole = early.classifier_.predict(parts.X_test), early.n_timepoints_in_
    own = np.minimum(there.sum(1), whole)
    waited = average_cost(parts.y_test, at_end, own, whole, delay_cost=DELAY_COST)
    report.lines += [
        f"all {len(found)} series: accuracy {(found.labels == parts.y_test).mean():.3f} after "
        f"{found.share_seen.mean():.0%} of the points on average, mean cost "
        f"{found.cost.mean():.3f};",
        f"waiting to the end: accuracy {(at_end == parts.y_test).mean():.3f}, mean cost "
        f"{waited:.3f}",
    ]
    row = int(np.argsort(found.n_seen, kind="stable")[len(found) // 2])
    display = DecisionDisplay.from_estimator(early, parts.X_test[row], parts.y_test[row])
    report.picture(f"the decision on series {row}", display, "decision.png")
    progress.advance(1)


def _next(data: str | None, columns: Columns) -> list[str]:
    """Return commands to try next, as they must be typed in the working folder."""
    program = _program()
    train = "mine_TRAIN.ts" if data is None else data
    suffix, options = Path(train).suffix, columns.typed()
    if options:
        options = f" {options}"
    demo = [f"  {program} demo --data {train}"] if data is None else []
    return [
        "",
        "Next, with your own labelled series (.ts, .tsv, .npz, .csv or .parquet); mine_TEST and "
        "new stand for files of other series:",
        *demo,
        f"  {program} fit {train}{options} --out early.zip --earliness 0.2 0.4 0.6 0.8 1.0 "
        "--delay-cost 0.3",
        f"  {program} evaluate early.zip mine_TEST{suffix}{options} --report report.html",
        f"  {program} predict early.zip new{suffix}{options} --out predictions.csv",
        f"  {program} stream early.zip < points.jsonl",
        f"{program} fit --help says how unlabelled series and tables with named columns are read.",
    ]


def _program() -> str:
    """Return the shortest name of this program that works in the working folder."""
    if Path(sys.argv[0]).name == "skgdpd":
        return "skgdpd"
    python = Path(sys.executable)
    if shutil.which("python") == str(python):
        return "python -m skgdpd"
    if python.is_relative_to(Path.cwd()):
        return f"{python.relative_to(Path.cwd())} -m skgdpd"
    return f"{python} -m skgdpd"


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
