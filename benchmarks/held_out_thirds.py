r"""Compare default settings on held-out thirds of training parts.

    python benchmarks/held_out_thirds.py FOLDER CBF Coffee ... --student rocket \
        --earliness 0.2 --set training__validation_fraction=0 lr=1e-4

No test part is read. The program prints macro AUC-PRC, accuracy and log loss of the student and of
MiniRocket with ridge regression, for each data set and as means.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any, Literal

import numpy as np

from skgdpd import PrefixClassifier, SeriesOptions
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.evaluation import score
from skgdpd.benchmarking.methods import make_method
from skgdpd.datasets import TrainTest, load_file

SHOWN = ("auc_prc", "accuracy", "log_loss")


def main() -> None:
    """Print the scores on each data set and their means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--student", default="rocket")
    parser.add_argument("--earliness", nargs="+", type=float, default=[0.2])
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the student"
    )
    options = parser.parse_args()
    params = {k: ast.literal_eval(v) for k, _, v in (text.partition("=") for text in options.set)}
    means = []
    for name in options.sets:
        (path,) = options.folder.glob(f"{name}.*")
        parts = load_file(path)
        rows = [
            compare(parts, earliness, normalize, seed, options.student, params)
            for earliness in options.earliness
            for normalize in options.normalize
            for seed in range(options.seeds)
        ]
        means.append(np.mean(rows, 0))
        print(name, *(f"{value:.3f}" for value in means[-1].ravel()), flush=True)
    ours, theirs = np.mean(means, 0)
    gain = np.array([own[0] - other[0] for own, other in means])
    print(f"\n{', '.join(SHOWN)}: {options.student} {ours.round(3)}, MiniRocket {theirs.round(3)}")
    print(f"AUC-PRC: {gain.mean():+.4f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.4f} over sets")


def compare(
    parts: TrainTest,
    earliness: float,
    normalize: Literal["train", "prefix"],
    seed: int,
    student: str,
    params: dict[str, Any],
) -> list[list[float]]:
    """Score a student and MiniRocket on a third that neither was fitted on.

    Parameters
    ----------
    parts : TrainTest
        The data set, of which the training part is divided.
    earliness : float
        The part of each series that the classifiers see.
    normalize : {"train", "prefix"}
        How series are normalised.
    seed : int
        Seed of the division and of the classifiers.
    student : str
        Name of the student's backbone.
    params : dict
        Further parameters of the student.

    Returns
    -------
    list of list of float
        Macro AUC-PRC, accuracy and log loss, of the student first.
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(codes, 0.33, seed + 100)
    X, y = parts.X[train], parts.y[train]
    clf = PrefixClassifier(
        student,
        earliness=earliness,
        normalize=normalize,
        series=SeriesOptions(missing_values="interpolate"),
        random_state=seed,
    )
    clf.set_params(**params).fit(X, y)
    cell = Cell("", "minirocket", earliness, normalize, seed=seed)
    ((_, plain),) = make_method(cell, None, "cpu")
    plain.fit(X, y, None)
    found = []
    for model, classes in ((clf, clf.classes_), (plain, plain.classes)):
        scores = score(parts.y[held_out], model.predict_proba(parts.X[held_out]), classes)
        found.append([scores[name] for name in SHOWN])
    return found


if __name__ == "__main__":
    main()
