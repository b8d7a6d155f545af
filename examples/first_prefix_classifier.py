"""
A first prefix classifier
=========================

Does the hand draw a gun, or does it point? GunPoint records its height; the question is how
early one can tell. We fit a student that learns from first parts alone, and one that a teacher
of whole series helps.
"""

# %%
# Fifty labelled series of 150 points, and 150 to predict.
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
# A classifier is fitted on whole series and looks at their first part only. ``fcn`` is a small
# network, here for its history; the default, ``mixed``, is more accurate.
base = PrefixClassifier("fcn", earliness=0.3, random_state=0).fit(X, y)
taught = GDPDClassifier(student="fcn", earliness=0.3, random_state=0).fit(X, y)
print("points looked at:", taught.prefix_length_)
print(f"no teacher: {base.score(X_test, y_test):.3f}")
print(f"GDPD:       {taught.score(X_test, y_test):.3f}")

# %%
# One split, one seed, 150 series: a difference of two or three points is chance. With labels
# alone a teacher seldom adds more than that; :ref:`where it does
# <sphx_glr_auto_examples_what_the_teacher_adds.py>` is another story.
#
# To predict, the first 45 points are enough. What stands after them has no influence, not even
# on a single bit.
whole = taught.predict_proba(X_test)
first = taught.predict_proba(X_test[:, :, : taught.prefix_length_])
print("the same:", (whole == first).all())

# %%
# What happened in the training: a warm-up on labels, then restored features join.
HistoryDisplay.from_estimator(taught)
