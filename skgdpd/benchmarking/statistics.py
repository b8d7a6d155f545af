"""Statistical tests of differences between methods."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t, wilcoxon

Floats = NDArray[np.float64]


def holm(p_values: Floats) -> Floats:
    """Adjust p-values for multiple tests by Holm's method.

    Parameters
    ----------
    p_values : ndarray of shape (m,)
        The unadjusted p-values.

    Returns
    -------
    ndarray of shape (m,)
        The adjusted p-values. No p-value decreases, and their order is preserved.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics, 1979.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def wins_draws_losses(a: Floats, b: Floats, tie: float = 5e-4) -> tuple[int, int, int]:
    """Count the problems on which the first method is better, equal, and worse.

    Parameters
    ----------
    a, b : ndarray of shape (n,)
        Scores on the same problems; higher is better.
    tie : float, default=5e-4
        Differences up to this size are draws. The default is half of the third decimal, which is
        the rounding error of tables.

    Returns
    -------
    wins, draws, losses : int
        Numbers of problems.
    """
    gap = np.asarray(a) - np.asarray(b)
    return int((gap > tie).sum()), int((np.abs(gap) <= tie).sum()), int((gap < -tie).sum())


def paired_test(a: Floats, b: Floats) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test.

    Parameters
    ----------
    a, b : ndarray of shape (n,)
        Scores on the same problems.

    Returns
    -------
    float
        The p-value; 1 if all pairs are equal.
    """
    gap = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if not gap.any():
        return 1.0
    return float(wilcoxon(gap, zero_method="zsplit").pvalue)


def mean_ratio(a: Floats, b: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """Return the geometric mean of ratios of paired values, with a confidence interval.

    Parameters
    ----------
    a, b : ndarray of shape (n,)
        Positive values on the same problems.
    level : float, default=0.95
        Confidence level. The interval follows from Student's t distribution of the logarithms of
        the ratios.

    Returns
    -------
    ratio, low, high : float
        The mean of a / b, and the ends of the interval. With fewer than two problems, the ends
        are NaN.

    Examples
    --------
    >>> ratio, low, high = mean_ratio(np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 3.0]))
    >>> round(ratio, 3), low < ratio < high
    (1.0, True)
    """
    logs = np.log(np.asarray(a, dtype=np.float64) / np.asarray(b, dtype=np.float64))
    n = len(logs)
    half = float(t.ppf((1 + level) / 2, n - 1) * logs.std(ddof=1) / n**0.5) if n > 1 else np.nan
    mean = float(logs.mean())
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


@dataclass(frozen=True)
class Comparison:
    """Ranks of several methods over the same problems.

    Attributes
    ----------
    names : list of str
        The methods, best first.
    ranks : ndarray of shape (k,)
        The mean rank of each method. Rank 1 is the best. Ties get their mean rank.
    p_values : dict of (str, str) to float
        The p-value of each pair of methods, with the better method first. It comes from
        Wilcoxon's test with Holm's adjustment.
    groups : list of list of str
        The maximal groups of consecutive methods in which no pair differs significantly.
    n_problems : int
        Number of problems.
    """

    names: list[str]
    ranks: Floats
    p_values: dict[tuple[str, str], float]
    groups: list[list[str]]
    n_problems: int


def compare(scores: dict[str, Floats], level: float = 0.05) -> Comparison:
    """Rank methods and test the difference of each pair.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n,)
        The scores of each method on the same n problems; higher is better.
    level : float, default=0.05
        The significance level. Two methods differ if their p-value is below it.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If there are fewer than two methods, or no problems.

    References
    ----------
    J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006;
    A. Benavoli et al., "Should we really use post-hoc tests based on mean-ranks?", JMLR 2016.
    """
    if len(scores) < 2 or not len(next(iter(scores.values()))):
        raise ValueError("a comparison needs two methods and one problem at least")
    given = list(scores)
    table = np.stack([np.asarray(scores[name], dtype=np.float64) for name in given], 1)
    ranks = rankdata(-table, axis=1).mean(0)
    order = np.argsort(ranks, kind="stable")
    names = [given[i] for i in order]
    pairs = list(combinations(names, 2))
    raw = np.array([paired_test(scores[a], scores[b]) for a, b in pairs])
    p_values = {pair: float(p) for pair, p in zip(pairs, holm(raw), strict=True)}
    runs = [
        (i, j)
        for i, j in combinations(range(len(names)), 2)
        if all(p_values[pair] >= level for pair in combinations(names[i : j + 1], 2))
    ]
    longest = [
        (i, j)
        for i, j in runs
        if not any((a <= i and j <= b) and (a, b) != (i, j) for a, b in runs)
    ]
    groups = [names[i : j + 1] for i, j in longest]
    return Comparison(names, ranks[order], p_values, groups, len(table))
