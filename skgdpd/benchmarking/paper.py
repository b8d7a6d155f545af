"""Tables of the GDPD paper next to results of this package."""

from __future__ import annotations

from .store import Store
from .tables import Results, markdown

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


def paper_table(store: Store, protocol: str, selection: str) -> str:
    """Make a table of AUC-PRC by the paper's protocol, next to the published figures.

    Parameters
    ----------
    store : Store
        Records of ``run --protocol PROTOCOL``.
    protocol : {"paper", "reference"}
        The parameters of the paper, or those of the program of its authors.
    selection : {"validation", "test"}
        The part on which lambda_KD is chosen. The published figures were chosen on the test part.

    Returns
    -------
    str
        A Markdown table in percent, with the mean ± standard deviation over seeds, and the
        published figures in brackets. With one seed, there is no deviation.
    """
    records = [record for record in store if record.cell.protocol == protocol]
    found = Results.from_records(records, selection)
    by_method = {
        method: next((n for n in found.methods if n.split(":")[0].split(",")[0] == method), None)
        for method in METHODS
    }
    rows = [["data", *METHODS]]
    for data, published in PUBLISHED.items():
        cells = []
        for (_, name), figure in zip(by_method.items(), published, strict=True):
            problems = [p for p in (found.scores[name] if name else {}) if p[0] == data]
            if name is None or not problems:
                cells.append(f"- ({figure:.1f})")
                continue
            values = 100 * found.values(name, problems[0], "auc_prc")
            spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.1f}{spread} ({figure:.1f})")
        rows.append([data, *cells])
    honest = (
        "lambda_KD chosen on the validation part"
        if selection == "validation"
        else "lambda_KD chosen on the TEST part, as the published figures were: optimistic"
    )
    return f"AUC-PRC in percent, published in brackets; {honest}.\n\n{markdown(rows)}"
