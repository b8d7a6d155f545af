"""Compare the students of a grid that are trained together with the same students trained alone.

    python benchmarks/search_differences.py

The grid has 3 x 2 candidates on five folds of GunPoint's training part. Students and teacher are
``lstm1-8``, and all other settings are the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from skgdpd import GDPDClassifier, SharedGridSearchCV
from skgdpd.datasets import load_gunpoint

GRID = {"lambda_kd": [0.1, 1.0, 10.0], "warmup_epochs": [0.5, 0.6]}
N_FOLDS, SEED = 5, 0


def largest_differences(
    together: Sequence[Mapping[str, ArrayLike]],
    alone: Sequence[Mapping[str, ArrayLike]],
    term: str,
    first: int,
    last: int,
) -> list[float]:
    """Return the largest difference of each student's loss term over some epochs.

    Parameters
    ----------
    together, alone : sequence of mapping of str to array-like of shape (n_epochs,)
        Training histories of the students.
    term : str
        Name of the loss term.
    first, last : int
        The epochs are ``first`` to ``last - 1``.

    Returns
    -------
    list of float
        The largest absolute difference of each student.
    """
    return [
        float(np.abs(np.subtract(one[term], other[term]))[first:last].max())
        for one, other in zip(together, alone, strict=True)
    ]


def difference_table(max_epochs: int) -> str:
    """Fit the grid twice and compare the histories and the scores.

    Parameters
    ----------
    max_epochs : int
        Number of epochs.

    Returns
    -------
    str
        A Markdown table of the differences of the loss of labels, and a sentence on the scores.
    """
    X, y = load_gunpoint()[:2]
    clf = GDPDClassifier("lstm1-8", student="lstm1-8", max_epochs=max_epochs, random_state=SEED)
    searches = [
        SharedGridSearchCV(clf, GRID, cv=N_FOLDS, refit=False, together=how).fit(X, y)
        for how in (True, False)
    ]
    together, alone = ([h for row in search.histories_ for h in row] for search in searches)
    n_warmup = round(min(GRID["warmup_epochs"]) * max_epochs)
    lines = ["| epochs | median | 90 % | largest |", "|---|---|---|---|"]
    for name, first, last in (("warm-up", 0, n_warmup), ("all", 0, max_epochs)):
        found = largest_differences(together, alone, "ce", first, last)
        quantiles = " | ".join(f"{q:.0e}" for q in np.quantile(found, [0.5, 0.9, 1.0]))
        lines.append(f"| {name} | {quantiles} |")
    scores = [
        np.concatenate([search.cv_results_[f"split{i}_test_score"] for i in range(N_FOLDS)])
        for search in searches
    ]
    n_other = int((scores[0] != scores[1]).sum())
    return "\n".join([*lines, "", f"{n_other} of {len(scores[0])} scores differ"])


if __name__ == "__main__":
    print(difference_table(60))
