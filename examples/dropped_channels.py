"""
Dropped channels as partial input
=================================

Seeing only the beginning is one way to see less. Another: a cheap device lacks sensors that
were there when the data were recorded. The teacher sees all of them.
"""

# %%
# BasicMotions has three accelerations and three rotation rates of a watch. The student will have
# the accelerations only, and these for one second of ten. Half of the series have a label; None
# marks the others.
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
# ``X`` is what the student sees, of any kind. ``X_teacher`` are the same series, row by row, as
# the teacher has them: here all sensors for the whole time. What ``fit`` is given as ``X`` is
# what ``predict`` will be given.
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
    scores.setdefault("taught", []).append(taught.score(partial(X_test), y_test))
    taught.fit(partial(X_all), y_all, X_teacher=X_all)
    scores.setdefault("with unlabelled series", []).append(taught.score(partial(X_test), y_test))
    scores.setdefault("all of it", []).append(whole.score(X_test, y_test))

# %%
# A dot is a seed. With the twenty labels alone the teacher adds little. Its predictions for the
# twenty unlabelled series add more. A network that sees everything makes no mistake, so what the
# student lacks is in the sensors and the time.
fig, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
for row, (name, values) in enumerate(scores.items()):
    ax.plot(values, [row] * len(values), "o", color="#0072B2", alpha=0.6)
    ax.plot(np.mean(values), row, "|", color="black", markersize=18)
    print(f"{name:24} {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}")
ax.set(xlabel="accuracy", yticks=range(len(scores)), xlim=(None, 1.02))
ax.set_yticklabels(scores)
ax.invert_yaxis()
