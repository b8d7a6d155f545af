"""
Fewer sensors at prediction time
================================

In knowledge distillation, a student may see fewer channels than its teacher. In this example, a
cheap device lacks sensors that the training data have. The teacher sees all sensors.
"""

# %%
# Data
# ----
# BasicMotions has three accelerations and three rotation rates of a smart watch. The student sees
# only the accelerations, for one second of ten. Half of the series have a label. None marks the
# unlabelled series.
import matplotlib.pyplot as plt
import numpy as np

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd.datasets import load_basic_motions
from skgdpd.distillers import Hinton

X, y, X_test, y_test = load_basic_motions()
X_all, y_all = X, [label if i % 2 == 0 else None for i, label in enumerate(y)]
X, y = X[::2], y[::2]


def partial(X):
    return X[:, :3, :10]


# %%
# Two views of the same series
# ----------------------------
# ``X`` is what the student sees. ``X_teacher`` has the same series, row by row, as the teacher
# sees them: here all sensors for the whole time. ``predict`` takes series of the same form as
# ``X``.
scores: dict[str, list[float]] = {}
for seed in range(5):
    alone = PrefixClassifier("rocket", earliness=1.0, random_state=seed)
    taught = DistilledPrefixClassifier(
        Hinton(), teacher="rocket", student="rocket", random_state=seed
    )
    whole = PrefixClassifier("rocket", earliness=1.0, random_state=seed).fit(X, y)
    alone.fit(partial(X), y)
    scores.setdefault("no teacher", []).append(alone.score(partial(X_test), y_test))
    taught.fit(partial(X), y, X_teacher=X)
    scores.setdefault("teacher", []).append(taught.score(partial(X_test), y_test))
    taught.fit(partial(X_all), y_all, X_teacher=X_all)
    scores.setdefault("teacher, unlabelled series", []).append(
        taught.score(partial(X_test), y_test)
    )
    scores.setdefault("all sensors, whole series", []).append(whole.score(X_test, y_test))

# %%
# Accuracy
# --------
# Each dot is a seed, and each bar is a mean. With the twenty labels alone, the teacher adds
# nothing. With its pseudo-labels for the twenty unlabelled series, the accuracy is higher. A
# network that sees everything makes no error, so the student's errors come from the missing
# sensors and the missing time.
fig, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
for row, (name, values) in enumerate(scores.items()):
    ax.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.6)
    ax.plot(np.mean(values), row, "|", color="black", markersize=18)
    print(f"{name:26} {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}")
ax.set(xlabel="accuracy", yticks=range(len(scores)), xlim=(None, 1.02))
ax.set_yticklabels(scores)
ax.invert_yaxis()
