"""What a fitted rule looks at in one series, and where it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .accuracy_gap import AccuracyGap
from .calimera import Calimera
from .costs import Floats, risks
from .ecec import ECEC
from .economy import Economy
from .fixed import FixedTime
from .paths import last_moments, top_two
from .rule import Rule
from .stopping_rule import StoppingRule
from .teaser import Teaser
from .threshold import ProbabilityThreshold

Interval = tuple[float, float]
Seen = tuple[Floats, list[list[Interval]]]

EVERYWHERE: Interval = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Watched:
    """Quantity by which a rule decides on a series, at each moment.

    Attributes
    ----------
    what : str
        Name of the quantity.
    values : ndarray of shape (n_reached,)
        Its value at each moment that the series reaches.
    answers_in : list of list of (float, float)
        Intervals of the quantity in which the rule answers, at each of these moments.
    """

    what: str
    values: Floats
    answers_in: list[list[Interval]]


def watched(rule: Rule, path: Floats) -> Watched:
    """Return what a fitted rule looks at in one series, and where it answers.

    Parameters
    ----------
    rule : rule
        Fitted rule, one of this package.
    path : ndarray of shape (n_moments, n_classes)
        Class probabilities of the series; NaN after its own end.

    Returns
    -------
    Watched

    Raises
    ------
    TypeError
        If the rule is of another class.
    """
    kind = next((kind for kind in KINDS if isinstance(rule, kind)), None)
    if kind is None:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise TypeError(
            f"rule={rule!r} is a rule of your own, and what it looks at is not known; allowed are "
            f"{known}"
        )
    what, look = KINDS[kind]
    values, answers_in = look(rule, path[: int(last_moments(path[None])[0]) + 1])
    return Watched(what, np.asarray(values, dtype=np.float64), answers_in)


def _fixed(rule: Any, path: Floats) -> Seen:
    return np.arange(len(path), dtype=np.float64), [[(rule.moment_, np.inf)] for _ in path]


def _threshold(rule: Any, path: Floats) -> Seen:
    own = risks(path, rule.misclassification_)
    return own, [[(-np.inf, rule.largest_risk_)] for _ in path]


def _economy(rule: Any, path: Floats) -> Seen:
    own = risks(path, rule.misclassification_)
    return own, [
        _joined(np.concatenate([[-np.inf], edges, [np.inf]]), stops)
        for edges, stops in zip(rule.edges_, rule.stops_[: len(path)], strict=False)
    ]


def _joined(ends: Floats, stops: Sequence[Any]) -> list[Interval]:
    """Return the groups that are answered as intervals, neighbours in one."""
    found: list[Interval] = []
    for low, high, answers in zip(ends[:-1], ends[1:], stops, strict=True):
        if not answers or low == high:
            continue
        if found and found[-1][1] == low:
            low = found.pop()[0]
        found.append((float(low), float(high)))
    return found


def _calimera(rule: Any, path: Floats) -> Seen:
    values, answers_in = np.zeros(len(path)), []
    for m, probabilities in enumerate(path):
        waits = m < rule.n_waiting_
        if waits:
            values[m] = rule._change(m, probabilities[None])[0]
        answers_in.append([(0.0, np.inf) if waits else EVERYWHERE])
    return values, answers_in


def _stopping_rule(rule: Any, path: Floats) -> Seen:
    largest, margin = top_two(path)
    g1, g2, g3 = rule.gamma_
    values = g1 * largest + g2 * margin + g3 * rule.shares_[: len(path)]
    return values, [[(0.0, np.inf)] for _ in path]


def _ecec(rule: Any, path: Floats) -> Seen:
    state = rule.start(1)
    values = [rule._evidence(state, m, p[None])[0] for m, p in enumerate(path)]
    return np.array(values), [[(rule.threshold_, np.inf)] for _ in path]


def _teaser(rule: Any, path: Floats) -> Seen:
    state = rule.start(1)
    values = np.zeros(len(path))
    for m, probabilities in enumerate(path):
        rule._step(state, m, probabilities[None])
        values[m] = state[0, 1]
    return values, [[(rule.streak_, np.inf)] for _ in path]


def _accuracy_gap(rule: Any, path: Floats) -> Seen:
    least = rule.thresholds_[: len(path)]
    return top_two(path)[0], [[(t, np.inf)] if np.isfinite(t) else [] for t in least]


KINDS: dict[type[Rule], tuple[str, Any]] = {
    FixedTime: ("index of the moment", _fixed),
    ProbabilityThreshold: ("expected cost of an error", _threshold),
    Economy: ("expected cost of an error", _economy),
    Calimera: ("predicted change of the cost by waiting", _calimera),
    StoppingRule: ("weighted sum of probability, margin and time", _stopping_rule),
    ECEC: ("confirmation by the predictions so far", _ecec),
    Teaser: ("accepted predictions in a row", _teaser),
    AccuracyGap: ("largest probability", _accuracy_gap),
}
"""Name of the quantity of each rule, and the function that computes it."""
