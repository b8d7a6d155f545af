"""
Distillation with unlabelled series
===================================

Semi-supervised early classification: a teacher that sees whole series is more accurate than its
student, which sees their first part. With labels only, the student gains little from the teacher.
With unlabelled series, the teacher predicts pseudo-labels, and the student gains more.
"""

# %%
# Data
# ----
# ItalyPowerDemand has the power demand of winter and summer days. The student sees the first ten
# hours of a day. There are 67 labelled days. Of the 1029 others, one half serves as unlabelled
# series, and the other half is scored.
import tempfile

import matplotlib.pyplot as plt
import numpy as np

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
)
from skgdpd.datasets import load_italy_power_demand
from skgdpd.distillers import Hinton

X, y, rest, y_rest = load_italy_power_demand()
X_unlabeled, X_test, y_test = rest[::2], rest[1::2], y_rest[1::2]

# %%
# Methods
# -------
# The student is the smallest of the networks, an LSTM of eight units. The teacher is a far better
# classifier, ``rocket`` on whole days. ``memory`` keeps it for all students that share it. The
# prior is the default one, trained for a shorter time.
folder = tempfile.TemporaryDirectory()
settings = {"student": "lstm1-8", "earliness": 0.4}
taught = {**settings, "teacher": "rocket", "memory": folder.name}
prior = DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha", max_epochs=100)
contest = {
    "no teacher": (PrefixClassifier(**settings), {}),
    "Hinton": (DistilledPrefixClassifier(Hinton(), **taught), {}),
    "GDPD": (GDPDClassifier(prior=prior, **taught), {}),
    "Hinton, unlabelled series": (
        DistilledPrefixClassifier(Hinton(), **taught),
        {"X_unlabeled": X_unlabeled},
    ),
    "GDPD, unlabelled series": (
        GDPDClassifier(prior=prior, **taught),
        {"X_unlabeled": X_unlabeled},
    ),
}
scores = {
    name: [
        clf.set_params(random_state=seed).fit(X, y, **more).score(X_test, y_test)
        for seed in range(3)
    ]
    for name, (clf, more) in contest.items()
}
whole_days = PrefixClassifier("rocket", earliness=1.0, random_state=0).fit(X, y)
teacher = whole_days.score(X_test, y_test)
folder.cleanup()

# %%
# Accuracy
# --------
# Each dot is a seed, and each bar is a mean. The dotted line is the teacher on whole days.
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for row, (name, values) in enumerate(scores.items()):
    ax.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.7)
    ax.plot(np.mean(values), row, "|", color="black", markersize=18)
    print(f"{name:25} {np.mean(values):.3f}")
ax.axvline(teacher, color="0.4", linestyle=":")
ax.annotate("teacher, whole days", (teacher, 0), (-6, 0), textcoords="offset points", ha="right")
ax.set(xlabel="accuracy on the first 40 % of a day", yticks=range(len(scores)))
ax.set_yticklabels(scores)
ax.invert_yaxis()

# %%
# There are three seeds of one small set. The distance between the groups is meaningful, and the
# order within a group is not. :doc:`The results page </results/main-job>` has the default
# networks.
