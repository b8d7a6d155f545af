"""Tables of the GDPD paper next to results of this package."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .cells import Cell
from .store import Store
from .tables import markdown

PUBLISHED_STUDENT = "lstm3-100"
"""Student and teacher of the published figures."""

METHODS = ("base", "hinton", "fitnets", "gdpd")

PUBLISHED = {
    "CBF": (64.08, 69.24, 68.44, 68.96),
    "Coffee": (90.76, 98.88, 91.07, 99.34),
    "ECG200": (66.08, 76.88, 79.81, 80.19),
    "ECGFiveDays": (56.78, 57.19, 56.32, 57.70),
    "GunPoint": (77.38, 75.18, 81.38, 84.80),
}
"""AUC-PRC in percent at e = 0.2, with LSTMs as student and teacher: Base, Base-KD, FitNets, GDPD.

Source: GDPD, arXiv 2605.11414, Table 20.
"""


def paper_table(store: Store, cells: Sequence[Cell], selection: str) -> str:
    """Make a table of AUC-PRC by the paper's protocol, next to the published figures.

    Parameters
    ----------
    store : Store
        Records of the cells. Records of other cells are left out.
    cells : sequence of Cell
        Cells of one student in one protocol. The table has a row for each of their data sets.
    selection : {"validation", "test"}
        The part on which the weight of a method is chosen. The published figures were chosen on
        the test part.

    Returns
    -------
    str
        A Markdown table in percent, with the mean ± standard deviation over seeds. The published
        figures are in brackets if the student is that of the publication. With one seed, there is
        no deviation.
    """
    asked, found = set(cells), defaultdict(list)
    for record in store:
        if record.cell in asked and record.error is None:
            figure = 100 * record.chosen(selection)["metrics"]["auc_prc"]
            found[record.cell.data, record.cell.method.split(":")[0]].append(figure)
    students = {cell.method.partition(":")[2] for cell in cells}
    comparable = students == {PUBLISHED_STUDENT}
    rows = [["data", *METHODS]]
    for data in dict.fromkeys(cell.data for cell in cells):
        published = PUBLISHED[data] if comparable and data in PUBLISHED else [None] * len(METHODS)
        figures = zip((found[data, method] for method in METHODS), published, strict=True)
        rows.append([data, *(_figure(ours, theirs) for ours, theirs in figures)])
    brackets = (
        "published in brackets"
        if comparable
        else f"student and teacher {', '.join(sorted(students))}; the published figures of "
        f"{PUBLISHED_STUDENT} do not compare with these"
    )
    honest = (
        "weights chosen on the validation part"
        if selection == "validation"
        else "weights chosen on the TEST part, as for the published figures: optimistic"
    )
    return f"AUC-PRC in percent, {brackets}; {honest}.\n\n{markdown(rows)}"


def _figure(ours: Sequence[float], theirs: float | None) -> str:
    spread = f" ± {np.std(ours):.1f}" if len(ours) > 1 else ""
    own = f"{np.mean(ours):.1f}{spread}" if ours else "-"
    return own if theirs is None else f"{own} ({theirs:.1f})"
