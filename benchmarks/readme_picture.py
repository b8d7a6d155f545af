"""Draw the picture of the first page: ``python benchmarks/readme_picture.py FILE.png``."""

import argparse

import matplotlib
import numpy as np
from sklearn.metrics import accuracy_score

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import load_gunpoint
from skgdpd.plotting import EarlinessDisplay

PARTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def main() -> None:
    """Fit every classifier with every seed, print their scores and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    matplotlib.use("agg")
    X, y, X_test, y_test = load_gunpoint()
    seeds = range(options.seeds)

    fixed = np.array(
        [
            [
                PrefixClassifier(earliness=part, random_state=s).fit(X, y).score(X_test, y_test)
                for s in seeds
            ]
            for part in PARTS
        ]
    )
    early = []
    for seed in seeds:
        clf = EarlyClassifier(delay_cost=1.0, random_state=seed).fit(X, y)
        answers = clf.decide(X_test)
        early.append((answers.share_seen.mean(), accuracy_score(y_test, answers.labels)))
    seen, accuracy = np.array(early).T

    for part, scores in zip(PARTS, fixed, strict=True):
        print(f"{part:.2f} seen: {scores.mean():.3f}, {scores.min():.3f} to {scores.max():.3f}")
    print(f"own moment: {seen.round(3)} seen, accuracy {accuracy.round(3)}")

    display = EarlinessDisplay.from_results(
        PARTS, {"PrefixClassifier, mean and range of seeds": fixed}
    )
    display.ax_.plot(
        100 * seen,
        accuracy,
        "D",
        color="#d55e00",
        label="EarlyClassifier, each seed",
    )
    display.ax_.set_title(f"GunPoint, {len(X_test)} test series, {options.seeds} seeds")
    display.ax_.legend(loc="lower right", fontsize="medium")
    display.figure_.set_size_inches(5, 3.4)  # text of a readable size on a telephone
    display.figure_.savefig(options.picture, dpi=140, bbox_inches="tight")


if __name__ == "__main__":
    main()
