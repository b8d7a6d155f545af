"""
Early classification with and without a teacher
===============================================

This example is early classification of time series (ECTS): it classifies the movement of a hand
that draws a gun or points, from the first 30 % of a series. It compares a student that learns from
labels only with a student that has a teacher of whole series (knowledge distillation).
"""

# %%
# Data
# ----
# There are fifty labelled series of 150 points, and 150 series to predict.
import matplotlib.pyplot as plt

from skgdpd import GDPDClassifier, PrefixClassifier
from skgdpd.datasets import load_gunpoint
from skgdpd.plotting import HistoryDisplay

X, y, X_test, y_test = load_gunpoint()
fig, ax = plt.subplots(layout="constrained")
for label, style, color, word in [("1", "-", "#0072B2", "gun"), ("2", "--", "#D55E00", "point")]:
    lines = ax.plot(X[y == label][:6, 0].T, style, color=color, alpha=0.7)
    lines[0].set_label(word)
ax.axvspan(0, 45, color="0.92")
ax.set(xlabel="time point", ylabel="height", title="The first 30 % in grey")
ax.legend(frameon=False)

# %%
# Fit
# ---
# A classifier is fitted on whole series, and sees only their first part. The student ``fcn`` is
# a small network, chosen here for its training history. The default, ``mixed``, is more accurate.
base = PrefixClassifier("fcn", earliness=0.3, random_state=0).fit(X, y)
taught = GDPDClassifier(student="fcn", earliness=0.3, random_state=0).fit(X, y)
print("points looked at:", taught.prefix_length_)
print(f"no teacher: {base.score(X_test, y_test):.3f}")
print(f"GDPD:       {taught.score(X_test, y_test):.3f}")

# %%
# With one split, one seed and 150 series, a difference of two or three points is chance. With
# labels only, a teacher seldom adds more than that. :ref:`Distillation with unlabelled series
# <sphx_glr_auto_examples_what_the_teacher_adds.py>` shows where it adds more.
#
# Predict
# -------
# The first 45 points are enough. Points after them have no effect on the prediction.
whole = taught.predict_proba(X_test)
first = taught.predict_proba(X_test[:, :, : taught.prefix_length_])
print("the same:", (whole == first).all())

# %%
# Training history
# ----------------
# The training begins with a warm-up on labels. After it, the loss has the term of the restored
# features, too.
display = HistoryDisplay.from_estimator(taught)
