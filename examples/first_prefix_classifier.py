"""
A first prefix classifier
=========================

Does the hand draw a gun, or does it point? GunPoint records its height; the question is how
early one can tell. We compare a student that learns from first parts alone with one that a
teacher of whole series helps.
"""

# %%
# Fifty labelled series of 150 points, and 150 to predict.
import matplotlib.pyplot as plt

from skgdpd import GDPDClassifier, PrefixClassifier
from skgdpd.datasets import load_gunpoint
from skgdpd.plotting import EarlinessDisplay, HistoryDisplay

X, y, X_test, y_test = load_gunpoint()
fig, ax = plt.subplots(layout="constrained")
for label, style in [("1", "-"), ("2", "--")]:
    ax.plot(X[y == label][:6, 0].T, style, color="C0" if label == "1" else "C1", alpha=0.7)
ax.axvspan(0, 45, color="0.92")
ax.set(xlabel="time point", ylabel="height", title="The first 30 % in grey")

# %%
# The classifier is fitted on whole series and looks at their first part only. ``memory`` keeps
# the teacher, which is the same for every part seen.
levels = [0.2, 0.3, 0.5]
scores = {"no teacher": [], "GDPD": []}
for earliness in levels:
    base = PrefixClassifier(earliness=earliness, random_state=0).fit(X, y)
    gdpd = GDPDClassifier(earliness=earliness, random_state=0, memory="cache").fit(X, y)
    scores["no teacher"].append(base.score(X_test, y_test))
    scores["GDPD"].append(gdpd.score(X_test, y_test))

# %%
# One split and one seed: differences of two or three points are chance.
EarlinessDisplay.from_results(levels, scores)

# %%
# What happened in the last training: the warm-up on labels, then restored features join.
HistoryDisplay.from_estimator(gdpd)
