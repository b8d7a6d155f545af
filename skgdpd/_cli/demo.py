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
SEEDS = (0, 1, 2)
"""Seeds of the comparison. Each has other labelled series."""
CURVE = (0.2, 0.4, 0.6)
"""Shares of the series in the plot of a file, in addition to those of the table."""
FEW = 20
"""Number of labelled series that are used with the unlabelled series. It is small, as in
applications where labels are expensive. Unlabelled series helped at both shares of the table on
validation series, which are not scored here."""
UNLABELLED_CURVE = (0.2, 0.3, 0.4, 0.6)
UNLABELLED_TABLE = (0.3, 0.4)
PLAIN, TAUGHT, BOUND = "labels only", "GDPD, unlabelled series", "all labels"
MOMENTS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0]
"""Moments at which a series of a stream may be answered, as shares of the series."""
DELAY_COST = 0.3
HIDDEN = (
    "If all your series have labels, fit on all of them; a teacher then seldom adds anything. It "
    "pays with\nfurther series that nobody has labelled: fit --unlabeled FILE."
)
N_STREAMED = 6


@dataclass
class Problem:
    """Few labelled series, series whose labels the models do not get, and series to predict.

    Attributes
    ----------
    parts : TrainTest
        Labelled series, and series to predict.
    unlabelled : ndarray of shape (n, n_channels, n_timepoints)
        Series without their labels.
    bound : tuple of two ndarray or None
        All series of the fit with all labels, for a model to compare with, if labels are hidden
        for the demonstration.
    """

    parts: TrainTest
    unlabelled: NDArray[Any]
    bound: tuple[NDArray[Any], NDArray[Any]] | None = None


@dataclass
class Row:
    """Row of the table of scores.

    Attributes
    ----------
    earliness : float
        Seen share of the series.
    name : str
        Name of the model.
    scores : list of tuple of three floats
        Accuracy on the test series, area under the precision-recall curve averaged over classes,
        and the share of test series for which model and teacher predict the same class. A tuple
        for each seed.
    seconds : list of float
        Seconds of each fit, without the fit of the teacher.
    """

    earliness: float
    name: str
    scores: list[tuple[float, float, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    HEAD = (
        f"{'seen':>5}  {'model':<24}{'accuracy':>15}{'AUC-PRC':>15}{'agreement':>11}{'seconds':>9}"
    )

    @property
    def accuracies(self) -> list[float]:
        """Accuracy of each seed."""
        return [accuracy for accuracy, _, _ in self.scores]

    def __str__(self) -> str:
        mean, spread = np.mean(self.scores, 0), np.std(self.scores, 0, ddof=1)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:2], spread[:2], strict=True)]
        return (
            f"{self.earliness:>5.0%}  {self.name:<24}{cells[0]:>15}{cells[1]:>15}"
            f"{mean[2]:>11.3f}{np.mean(self.seconds):>9.1f}"
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
    if own is None:
        levels, earliness = list(UNLABELLED_CURVE), UNLABELLED_TABLE
    n_units = len(SEEDS) * (8 * len(levels) + 1)
    with (
        tempfile.TemporaryDirectory() as memory,
        Progress(n_units + 3, verbose) as progress,
    ):
        if own is None or data is None:
            name, parts = "ItalyPowerDemand", load_italy_power_demand()
            problems = [_bundled(parts, seed) for seed in SEEDS]
            picture = "unlabelled-series.png"
        else:
            name = Path(data).stem
            problems = [_hidden(own, seed) for seed in SEEDS]
            picture = f"{name.lower()}-earliness.png"
            report.lines.append(_what_is_hidden(name, problems[0]))
        shown = _compare(name, problems, levels, earliness, picture, memory, report, progress)
        if own is None:
            name, own = "GunPoint", load_gunpoint()
        else:
            history = HistoryDisplay.from_estimator(shown)
            history.ax_.set_title(f"{name}: GDPD at {max(earliness):.0%} seen")
            report.picture("training history", history, f"{name.lower()}-history.png")
        _stream(name, own, report, progress)
    report.lines += [
        "",
        f"All scores are of test series. Comparisons have mean ± standard deviation of seeds "
        f"{SEEDS[0]} to {SEEDS[-1]}, each with other",
        f"labelled series; bands in the picture are the range. The stream is of seed {SEED}. "
        "Agreement is the share of",
        "test series for which model and teacher predict the same class.",
        *([] if data is None else [HIDDEN]),
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
    fitted, scored = _part_of(series.y, 0.5, SEED)
    return TrainTest(series.X[fitted], series.y[fitted], series.X[scored], series.y[scored])


def _bundled(parts: TrainTest, seed: int) -> Problem:
    """Return few labelled series, half of the test part without labels, and the other half."""
    few = _part_of(parts.y, FEW / len(parts.y), seed)[1]
    scored, given = _part_of(parts.y_test, 0.5, SEED)
    test = TrainTest(parts.X[few], parts.y[few], parts.X_test[scored], parts.y_test[scored])
    return Problem(test, parts.X_test[given])


def _hidden(parts: TrainTest, seed: int) -> Problem:
    """Hide most labels of a user's file: a quarter of them stays, or 20 of at least 40."""
    kept = min(max(0.25, FEW / len(parts.y)), 0.5)
    shown, hidden = _part_of(parts.y, 1 - kept, seed)
    if not len(hidden):
        raise ValueError(
            f"--data has {len(parts.y)} series for the fit, too few to hide labels of some; the "
            f"demonstration needs more than one series of a class"
        )
    few = TrainTest(parts.X[shown], parts.y[shown], parts.X_test, parts.y_test)
    return Problem(few, parts.X[hidden], (parts.X, parts.y))


def _what_is_hidden(name: str, problem: Problem) -> str:
    """Say in words that labels of a user's file are hidden, and from which models."""
    few, hidden = len(problem.parts.y), len(problem.unlabelled)
    return (
        f"{name}: all {few + hidden} series of the fit have labels. For this demonstration alone, "
        f"the labels of {hidden} are hidden,\nchosen at random within each class, as if nobody "
        f'had labelled them. "{PLAIN}" is fitted on the other {few},\n"{TAUGHT}" also on the '
        f'{hidden} without their labels, and "{BOUND}" on all with their labels.'
    )


def _compare(
    name: str,
    problems: Sequence[Problem],
    levels: Sequence[float],
    tabled: Sequence[float],
    picture: str,
    memory: str,
    report: Report,
    progress: Progress,
) -> GDPDClassifier:
    """Compare models of few labelled series, with and without many unlabelled ones.

    The classifier of the first seed at the largest share of the table is returned.
    """
    teacher = Row(1.0, "teacher, few labels")
    names = [PLAIN, TAUGHT, *([BOUND] if problems[0].bound else [])]
    rows = {(level, label): Row(level, label) for level in levels for label in names}
    kept = []
    for seed, problem in zip(SEEDS, problems, strict=True):
        parts = problem.parts
        for level in levels:
            progress.stage(f"{name}, {level:.0%} seen, seed {seed}")
            base = PrefixClassifier(earliness=level, random_state=seed).fit(parts.X, parts.y)
            models: list[tuple[str, Any]] = [(PLAIN, base)]
            progress.advance(1)
            gdpd = GDPDClassifier(earliness=level, memory=memory, random_state=seed)
            gdpd.fit(parts.X, parts.y, problem.unlabelled)
            models.append((TAUGHT, gdpd))
            progress.advance(6 + (level == levels[0]))
            if problem.bound is not None:
                bound = PrefixClassifier(earliness=level, random_state=seed).fit(*problem.bound)
                models.append((BOUND, bound))
            progress.advance(1)
            teacher_proba = gdpd.teacher_.predict_proba(parts.X_test)
            if level == levels[0]:
                _score(teacher, teacher_proba, teacher_proba, gdpd, parts)
                teacher.seconds.append(gdpd.fit_seconds_["teacher"])
            for label, model in models:
                row = rows[level, label]
                _score(row, model.predict_proba(parts.X_test), teacher_proba, model, parts)
                row.seconds.append(_own_seconds(model))
            if level == max(tabled):
                kept.append(gdpd)
    few, unlabelled = len(problems[0].parts.y), len(problems[0].unlabelled)
    report.table(
        f"{name}: {few} labelled series, {unlabelled} without a label, "
        f"{len(problems[0].parts.y_test)} to predict",
        [teacher, *(row for row in rows.values() if row.earliness in tabled)],
    )
    curves = {label: [rows[level, label].accuracies for level in levels] for label in names}
    report.lines.append(_gain(curves[PLAIN], curves[TAUGHT]))
    reference = ("teacher, whole series", float(np.mean(teacher.accuracies)))
    display = EarlinessDisplay.from_results(levels, curves, reference=reference)
    kind = "unlabelled series" if problems[0].bound is None else "series with hidden labels"
    display.ax_.set_title(f"{name}: {few} labelled series, {unlabelled} {kind}")
    report.picture("accuracy against the part seen", display, picture)
    return kept[0]


def _gain(plain: list[list[float]], taught: list[list[float]]) -> str:
    """Say by how much unlabelled series change the accuracy, over all shares of the plot."""
    gains = (np.asarray(taught) - np.asarray(plain)).mean(0)
    return (
        f"unlabelled series change the accuracy by {gains.mean():+.3f}, the mean of the picture's "
        f"{len(plain)} parts ({gains.min():+.3f} to {gains.max():+.3f} by seed)"
    )


def _own_seconds(model: Any) -> float:
    """Return the seconds of a fit without those of the teacher, which has its own row."""
    return float(
        sum(seconds for stage, seconds in model.fit_seconds_.items() if stage != "teacher")
    )


def _part_of(y: NDArray[Any], share: float, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows outside and inside of a random share, which is equal for each class."""
    return stratified_split(np.unique(y, return_inverse=True)[1], share, seed)


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


def _score(
    row: Row, proba: NDArray[Any], teacher_proba: NDArray[Any], model: Any, parts: TrainTest
) -> None:
    """Add the scores of a seed to a row."""
    classes = model.classes_
    row.scores.append(
        (
            float((classes[proba.argmax(1)] == parts.y_test).mean()),
            macro_auc_prc(parts.y_test, proba, classes),
            top1_agreement(teacher_proba, proba),
        )
    )
