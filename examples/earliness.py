"""
Accuracy against the part seen
==============================

How much of a series does it take? One classifier for each part gives the answer, and the
answer depends on what is done to the values first.
"""

# %%
# ``rocket`` is a fixed transform with a linear layer on top: fitted in a tenth of a second, so
# that six parts, three seeds and two normalisations are soon done.
from sklearn.dummy import DummyClassifier

from skgdpd import PrefixClassifier
from skgdpd.datasets import load_gunpoint
from skgdpd.plotting import EarlinessDisplay

X, y, X_test, y_test = load_gunpoint()
levels = [0.1, 0.2, 0.3, 0.4, 0.5, 1.0]


def accuracies(normalize):
    return [
        [
            PrefixClassifier("rocket", earliness=part, normalize=normalize, random_state=seed)
            .fit(X, y)
            .score(X_test, y_test)
            for seed in range(3)
        ]
        for part in levels
    ]


scores = {
    "values as the archive has them": accuracies("train"),
    "each first part normalised by itself": accuracies("prefix"),
}
guess = DummyClassifier().fit(X, y).score(X_test, y_test)
display = EarlinessDisplay.from_results(levels, scores, reference=("always the same", guess))
display.ax_.set_title("GunPoint: mean and range of three seeds")

# %%
# After half of the series the two agree. Before, the upper line is the better one, and to be
# taken with care: the archive gave every *whole* series mean 0 and deviation 1, so that the level
# of the first points hints at what follows. A live system does not have that hint. The lower
# line can be had live, but it has lost the true level as well. What you would see on values that
# nobody normalised lies where neither line shows it;
# :ref:`the next question <sphx_glr_auto_examples_look_ahead.py>` is how large the hint can be.
for name, table in scores.items():
    print(name, {part: round(sum(row) / 3, 3) for part, row in zip(levels, table, strict=True)})
