"""
Accuracy against earliness
==========================

In early classification, accuracy rises with the part of the series that is seen. This example
measures how fast. One classifier is fitted for each part. The result depends on the normalisation.
"""

# %%
# The student ``rocket`` is a fixed transform with a linear layer on top. It is fitted in a tenth
# of a second, so that six parts, three seeds and two normalisations are feasible.
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
display = EarlinessDisplay.from_results(levels, scores, reference=("most frequent class", guess))
display.ax_.set_title("GunPoint: mean and range of three seeds")

# %%
# After half of the series, the two lines agree. Before, the upper line contains look-ahead: the
# archive gave every *whole* series mean 0 and deviation 1, so the level of the first points
# depends on later points. A live system does not have this information. The lower line is possible
# in a live system, but it has lost the true level as well. Neither line shows the accuracy on
# values as they were measured.
#
# :ref:`Look-ahead in normalised archives <sphx_glr_auto_examples_look_ahead.py>` measures how
# large the effect can be.
for name, table in scores.items():
    print(name, {part: round(sum(row) / 3, 3) for part, row in zip(levels, table, strict=True)})
