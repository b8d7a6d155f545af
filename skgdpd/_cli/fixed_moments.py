"""What one moment for all series would have given, beside what a stopping rule gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._early.classifier import EarlyClassifier
from .._early.selection import RULES
from ..plotting.cost_curves import training_of
from ..stopping import FixedTime
from .intervals import mean_interval, mean_interval_of
from .scores import Answers, Paid, ScoreOptions, error_costs, numbers_of, paid_for

ALL_ALIKE = "all series cost the same"
"""Why a cell of the table of moments has no value."""
MOST_ROWS = 20
"""Most moments in the table. As many are the default of an early classifier."""


@dataclass(frozen=True)
class RuleFacts:
    """What is known of a fitted stopping rule.

    Attributes
    ----------
    name : str
        Name of its class.
    compared : tuple of str
        Names of the classes of rules that were compared by their costs on training series. Empty
        if the rule was given.
    fixed : int
        Index of the moment that :class:`~skgdpd.stopping.FixedTime` takes by the training series.
    """

    name: str
    compared: tuple[str, ...]
    fixed: int

    @property
    def words(self) -> str:
        """Name of the rule, and how it was chosen, as a sentence."""
        words = f"Stopping rule: {self.name}."
        if self.compared:
            words += f" It cost the least on the training series, of {', '.join(self.compared)}."
        return words


@dataclass(frozen=True, eq=False)
class FixedMoment:
    """Answers to all series at one moment; series that end before it have their last one.

    Attributes
    ----------
    n_points : int
        Number of time points at the moment.
    right : ndarray of bool of shape (n,)
        Whether the answers are right.
    share_seen : ndarray of shape (n,)
        Share of a whole series that was seen.
    paid : Paid or None
        Costs of the answers; None without costs.
    """

    n_points: int
    right: NDArray[np.bool_]
    share_seen: NDArray[np.float64]
    paid: Paid | None


def rule_facts(model: Any) -> RuleFacts | None:
    """Return what is known of a model's stopping rule; None for a model without one."""
    if not isinstance(model, EarlyClassifier):
        return None
    fixed = FixedTime().fit(cost=model.cost_, **training_of(model, "model"))
    compared = tuple(RULES[name].__name__ for name in model.rule_table_)
    return RuleFacts(type(model.rule_).__name__, compared, fixed.moment_)


def fixed_moments(y: NDArray[Any], answers: Answers, options: ScoreOptions) -> list[FixedMoment]:
    """Return what each moment would have given, if all series were answered at it.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.
    options : ScoreOptions
        Costs that are given.

    Returns
    -------
    list of FixedMoment
        Empty for a model of one moment.
    """
    moments = answers.moments
    if moments is None:
        return []
    true, rows = numbers_of(y, answers), np.arange(len(y))
    costs = error_costs(answers, options)
    found = []
    for index, n_points in enumerate(moments.time_points.tolist()):
        at = np.minimum(index, moments.last)
        numbers = moments.numbers[rows, at]
        paid = None
        if costs is not None:
            waiting = None if answers.cost is None else answers.cost.delay[at]
            paid = Paid(costs[true, numbers], waiting)
        share = moments.time_points[at] / answers.n_timepoints
        found.append(FixedMoment(n_points, numbers == true, share, paid))
    return found


def moment_table(
    fixed: list[FixedMoment],
    y: NDArray[Any],
    answers: Answers,
    options: ScoreOptions,
    rule: RuleFacts | None,
) -> list[tuple[str, ...]]:
    """Return a table of fixed moments, with a head, and the stopping rule in its last row.

    Parameters
    ----------
    fixed : list of FixedMoment
        What each moment would have given; empty for a model of one moment.
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.
    options : ScoreOptions
        Costs that are given.
    rule : RuleFacts or None
        What is known of the rule; None for a model without one.

    Returns
    -------
    list of tuple of str
        Rows of moment, accuracy, mean part seen, and costs if there are any, with the interval of
        their mean. Empty for a model of one moment.
    """
    if not fixed:
        return []
    head = ["answer at", "accuracy", "part seen"]
    if fixed[0].paid is not None:
        waiting = fixed[0].paid.waiting is not None
        head += ["cost of errors", *(["cost of waiting", "mean cost"] if waiting else []), "95 %"]
    rows = [tuple(head)]
    for index in _shown(fixed, rule):
        own = fixed[index]
        chosen = " *" if rule is not None and index == rule.fixed else ""
        rows.append(_row(f"{own.n_points} points{chosen}", own.right, own.share_seen, own.paid))
    if rule is not None:
        share = answers.n_seen / answers.n_timepoints
        paid = paid_for(y, answers, options)
        rows.append(_row("stopping rule", answers.labels == y, share, paid))
    return rows


def moment_words(
    fixed: list[FixedMoment],
    y: NDArray[Any],
    answers: Answers,
    options: ScoreOptions,
    rule: RuleFacts | None,
) -> list[str]:
    """Return sentences on the table of moments, and whether the rule is better than a moment.

    Parameters
    ----------
    fixed : list of FixedMoment
        What each moment would have given; empty for a model of one moment.
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.
    options : ScoreOptions
        Costs that are given.
    rule : RuleFacts or None
        What is known of the rule; None for a model without one.

    Returns
    -------
    list of str
    """
    if not fixed:
        return []
    words = []
    if len(fixed) > MOST_ROWS:
        words.append(f"The table has {len(_shown(fixed, rule))} of the {len(fixed)} moments.")
    assert answers.moments is not None
    ended = int((answers.moments.last < len(fixed) - 1).sum())
    if ended:
        words.append(
            f"{ended} of {len(y)} series end before the last moment; they count with the latest "
            "one that they reach."
        )
    paid = paid_for(y, answers, options)
    if rule is not None and paid is not None:
        words += _compared(paid.total, fixed, rule)
    return words


def _compared(own: NDArray[np.float64], fixed: list[FixedMoment], rule: RuleFacts) -> list[str]:
    """Return sentences that compare the costs of a rule with those of fixed moments."""
    totals = [moment.paid.total for moment in fixed if moment.paid is not None]
    best = int(np.argmin([total.mean() for total in totals]))
    chosen, cost = totals[rule.fixed], own.mean()
    gap = cost - chosen.mean()
    verdict = "is worse than" if gap > 0 else "is better than" if gap < 0 else "costs as much as"
    words = [
        f"The stopping rule {verdict} a fixed moment on these series. It costs {cost:.4f}. The "
        f"moment of the least cost on the training series, {fixed[rule.fixed].n_points} points "
        f"(*), costs {chosen.mean():.4f} for all series.{_difference(own - chosen)}"
    ]
    if totals[best].mean() >= cost:
        words.append("No fixed moment costs less than the rule on these series.")
    elif best != rule.fixed:
        words.append(
            f"The stopping rule is worse than the best fixed moment on these series, "
            f"{fixed[best].n_points} points, which costs {totals[best].mean():.4f}."
            f"{_difference(own - totals[best])} This moment was found on the series that are "
            "scored, so its cost is lower here than on others."
        )
    return words


def _difference(costs: NDArray[np.float64]) -> str:
    """Return a sentence on the differences of costs; none if there are none."""
    low, high = mean_interval(costs)
    if not costs.any() or np.isnan(low):
        return ""
    doubt = ", which may be chance" if low <= 0 <= high else ""
    return f" The difference is {costs.mean():.4f} (95 %: {low:.4f} to {high:.4f}){doubt}."


def _shown(fixed: list[FixedMoment], rule: RuleFacts | None) -> list[int]:
    """Return the moments of the table: all, or some between the first and the last."""
    if len(fixed) <= MOST_ROWS:
        return list(range(len(fixed)))
    places = {round(float(place)) for place in np.linspace(0, len(fixed) - 1, MOST_ROWS)}
    if rule is not None:
        costs = [moment.paid.total.mean() for moment in fixed if moment.paid is not None]
        places |= {rule.fixed, int(np.argmin(costs))}
    return sorted(places)


def _row(
    name: str, right: NDArray[np.bool_], share: NDArray[np.float64], paid: Paid | None
) -> tuple[str, ...]:
    cells = [name, f"{right.mean():.4f}", f"{100 * share.mean():.1f} %"]
    if paid is not None:
        cells.append(f"{paid.errors.mean():.4f}")
        if paid.waiting is not None:
            cells += [f"{paid.waiting.mean():.4f}", f"{paid.total.mean():.4f}"]
        cells.append(mean_interval_of(paid.total))
    return tuple(cells)
