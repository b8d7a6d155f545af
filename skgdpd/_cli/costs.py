"""Costs by which answers are scored, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scores import Answers, ScoreOptions, error_costs


def cost_words(answers: Answers, options: ScoreOptions) -> list[str]:
    """Return sentences that say which costs the scores go by.

    Parameters
    ----------
    answers : Answers
        Answers to series.
    options : ScoreOptions
        Costs that are given.

    Returns
    -------
    list of str
        Cost of errors, and that of waiting for a model with a rule. Empty without costs.
    """
    costs = error_costs(answers, options)
    if costs is None:
        return []
    labels = [str(label) for label in answers.classes.tolist()]
    if answers.cost is None or answers.moments is None:
        return [f"Costs of errors (--cost): {_errors(costs, labels)}."]
    own = answers.cost.misclassification
    if options.costs:
        lines = [
            f"Costs of errors (--cost): {_errors(costs, labels)}. The predictions use the model's "
            f"costs: {_errors(own, labels)}."
        ]
    else:
        lines = [f"Costs of errors (of the model): {_errors(own, labels)}."]
    last, whole = int(answers.moments.time_points[-1]), answers.n_timepoints
    end = f"to the end, {whole} points" if last == whole else f"to point {last} of {whole}"
    lines.append(f"Cost of waiting {end} (of the model): {answers.cost.delay[-1]:.4g}.")
    return lines


def _errors(costs: NDArray[np.float64], labels: list[str]) -> str:
    """Return in words what an error on each class costs."""
    off = costs[~np.eye(len(labels), dtype=bool)]
    words = [
        f"{cost:.4g} for a right answer to {label}"
        for label, cost in zip(labels, np.diag(costs), strict=True)
        if cost
    ]
    if len(off) and (off == off[0]).all():
        return ", ".join([f"{off[0]:.4g} each", *words])
    own = [_on(costs, row, labels) for row in range(len(labels))]
    return ", ".join([*own, *words])


def _on(costs: NDArray[np.float64], row: int, labels: list[str]) -> str:
    """Return in words what an error on one class costs."""
    by_cost: dict[Any, list[str]] = {}
    for place, label in enumerate(labels):
        if place != row:
            by_cost.setdefault(float(costs[row, place]), []).append(label)
    if len(by_cost) == 1:
        return f"{next(iter(by_cost)):.4g} on {labels[row]}"
    parts = [f"{cost:.4g} if answered {' or '.join(names)}" for cost, names in by_cost.items()]
    return f"on {labels[row]} {', '.join(parts)}"
