"""What all displays have in common."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError

from skgdpd import GDPDClassifier, PrefixClassifier, WindowImportance, plotting
from skgdpd.plotting import (
    CostDisplay,
    CriticalDifferenceDisplay,
    DecisionDisplay,
    EarlinessDisplay,
    FeatureSpaceDisplay,
    HistoryDisplay,
    ImportanceDisplay,
    PathDisplay,
    PosteriorDisplay,
    ReliabilityDisplay,
    RuleDisplay,
)
from skgdpd.stopping import ProbabilityThreshold, decision_cost
from skgdpd.training import History

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(20, 3))
DRAWS = RNG.normal(size=(20, 6, 3))
PROBA = RNG.dirichlet([1, 1], size=20)
LABELS = np.arange(20) % 2

PATHS = RNG.dirichlet([1, 1], size=(20, 3))
MOMENTS = RNG.integers(3, size=(2, 20))
TIMES = [10, 20, 30]
RULE = ProbabilityThreshold().fit(
    PATHS, LABELS, decision_cost(0.2, None, TIMES, 30, [0, 1]), time_points=TIMES, n_timepoints=30
)

DRAWN = {
    CostDisplay: lambda **kw: CostDisplay.from_predictions(
        {"a": PATHS}, {"a": MOMENTS}, LABELS, delay_costs=[0.1, 0.5], time_points=TIMES, **kw
    ),
    CriticalDifferenceDisplay: lambda **kw: CriticalDifferenceDisplay.from_results(
        ["a", "b"], [1.2, 1.8], **kw
    ),
    DecisionDisplay: lambda **kw: DecisionDisplay.from_predictions(
        PATHS[0], 1, time_points=TIMES, **kw
    ),
    EarlinessDisplay: lambda **kw: EarlinessDisplay.from_results(
        [0.1, 0.5], {"a": [0.5, 0.8]}, **kw
    ),
    FeatureSpaceDisplay: lambda **kw: FeatureSpaceDisplay.from_features(
        FEATURES, FEATURES, DRAWS, LABELS, **kw
    ),
    HistoryDisplay: lambda **kw: HistoryDisplay(History({"ce": np.array([1.0, 0.5])})).plot(**kw),
    ImportanceDisplay: lambda **kw: ImportanceDisplay(
        WindowImportance(RNG.normal(size=(3, 4, 5)), np.arange(5), 0.9, ("a", "b", "c"))
    ).plot(**kw),
    PathDisplay: lambda **kw: PathDisplay.from_predictions(PATHS, LABELS, time_points=TIMES, **kw),
    PosteriorDisplay: lambda **kw: PosteriorDisplay.from_draws(
        [0.2, 0.4], DRAWS[:2], FEATURES, FEATURES[0], **kw
    ),
    ReliabilityDisplay: lambda **kw: ReliabilityDisplay.from_predictions(
        LABELS, {"a": PROBA}, **kw
    ),
    RuleDisplay: lambda **kw: RuleDisplay.from_predictions(
        RULE, PATHS[0], time_points=TIMES, **kw
    ),
}


def test_all_displays_are_here():
    assert {cls.__name__ for cls in DRAWN} == set(plotting.__all__)


@pytest.mark.parametrize("cls", DRAWN, ids=lambda cls: cls.__name__)
def test_a_display_draws_where_it_is_told_and_again(cls):
    _, (left, right) = plt.subplots(1, 2, layout="constrained")
    display = DRAWN[cls](ax=right)
    assert isinstance(display, cls)
    assert display.ax_ is right
    assert display.figure_ is right.figure
    assert not left.lines
    assert len(plt.get_fignums()) == 1
    assert display.plot() is display
    assert display.ax_ is not right
    assert display.figure_ is display.ax_.figure
    for picture in (display.figure_, right.figure):
        picture.canvas.draw()


@pytest.mark.parametrize("cls", DRAWN, ids=lambda cls: cls.__name__)
def test_a_display_opens_one_figure_at_most(cls):
    display = DRAWN[cls]()
    assert plt.get_fignums() == [display.figure_.number]


@pytest.mark.parametrize("cls", DRAWN, ids=lambda cls: cls.__name__)
def test_own_settings_are_honoured(cls):
    with matplotlib.rc_context({"font.size": 17.0, "axes.facecolor": "lightyellow"}):
        display = DRAWN[cls]()
        assert display.ax_.get_facecolor() == matplotlib.colors.to_rgba("lightyellow")


def styles(ax):
    return [
        (line.get_linestyle(), line.get_marker(), line.get_fillstyle())
        for line in ax.lines
        if not line.get_label().startswith("_")
    ]


def test_lines_differ_in_more_than_colour(gdpd):
    names = [f"method {i}" for i in range(7)]
    drawn = [
        HistoryDisplay.from_estimator(gdpd),
        EarlinessDisplay.from_results([0.1, 0.5], {name: [0.5, 0.8] for name in names}),
        DecisionDisplay.from_predictions(np.eye(7)[:2], 0, time_points=[10, 20]),
        PathDisplay.from_predictions(dict.fromkeys(names, PATHS), LABELS, time_points=TIMES),
        CostDisplay.from_predictions(
            {name: PATHS[:, : i + 1] for i, name in enumerate(names[:3])},
            dict.fromkeys(names[:3], np.zeros((2, 20), int)),
            LABELS,
            delay_costs=[0.1, 0.5],
            time_points={name: TIMES[: i + 1] for i, name in enumerate(names[:3])},
        ),
        DRAWN[ImportanceDisplay](),
        ReliabilityDisplay.from_predictions(LABELS, dict.fromkeys(names, PROBA)),
    ]
    for display in drawn:
        looks = styles(display.ax_)
        assert len(looks) >= 3
        assert len(set(looks)) == len(looks)
    bars = drawn[-1].counts_ax_.containers
    assert len({bar.patches[0].get_hatch() for bar in bars}) == 7


@pytest.mark.parametrize(
    "draw",
    [
        lambda clf, X, y: HistoryDisplay.from_estimator(clf),
        lambda clf, X, y: FeatureSpaceDisplay.from_estimator(clf, X, y),
        lambda clf, X, y: PosteriorDisplay.from_estimators([clf], X),
        lambda clf, X, y: ImportanceDisplay.from_estimator(clf, X, y),
        lambda clf, X, y: ReliabilityDisplay.from_estimators({"a": clf}, X, y),
        lambda clf, X, y: EarlinessDisplay.from_estimators({"a": [clf]}, X, y),
    ],
)
def test_unfitted_estimators_are_refused(bumps, draw):
    for clf in (GDPDClassifier(), PrefixClassifier()):
        with pytest.raises(NotFittedError):
            draw(clf, *bumps)
    assert not plt.get_fignums()


def test_displays_need_no_screen_and_change_no_settings():
    code = """
import matplotlib
before = matplotlib.rcParams.copy()  # dict() would choose a backend
from skgdpd.plotting import EarlinessDisplay
from matplotlib.figure import Figure
ax = Figure().subplots()
EarlinessDisplay.from_results([0.1, 0.5], {"a": [0.5, 0.8]}, ax=ax)
import sys
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams.copy() == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
