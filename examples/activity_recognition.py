"""
What is the wearer of this watch doing?
=======================================

Several channels at once: BasicMotions has a watch's three accelerations and three rotation
rates, ten seconds of standing, walking, running or playing badminton. How soon can one tell?
"""

# %%
# Forty labelled series of 100 points, and forty to predict.
import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from skgdpd import PrefixClassifier
from skgdpd.datasets import load_basic_motions
from skgdpd.plotting import EarlinessDisplay

X, y, X_test, y_test = load_basic_motions()
fig, axes = plt.subplots(2, 2, sharex=True, layout="constrained")
for ax, activity in zip(axes.flat, sorted(set(y)), strict=True):
    series = X[y == activity][0]
    ax.plot(series[:3].T, color="#0072B2", linewidth=1)
    ax.plot(series[3:].T, color="#D55E00", linewidth=1, linestyle="--")
    ax.set_title(activity, fontsize="medium")
    ax.axvspan(0, 10, color="0.92")
fig.suptitle("accelerations (lines) and rotation rates (dashes); the first second in grey")
fig.supxlabel("time point, tenths of a second")

# %%
# Channels need no setting: arrays of shape ``(n_samples, n_channels, n_timepoints)`` go in.
levels = [0.04, 0.06, 0.1, 0.15, 0.2, 0.3]
students = ["rocket", "lstm"]
models = {
    (student, part): PrefixClassifier(student, earliness=part, random_state=0).fit(X, y)
    for student in students
    for part in levels
}
scores = {
    student: [models[student, part].score(X_test, y_test) for part in levels]
    for student in students
}
EarlinessDisplay.from_results(levels, scores)

# %%
# Two seconds are enough for ``rocket``; the small LSTM, trained on forty series, needs far more.
# One test series is 2.5 points. Which activities are taken for each other after half a second,
# and after two?
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, part in zip(axes, [0.06, 0.2], strict=True):
    ConfusionMatrixDisplay.from_estimator(
        models["rocket", part], X_test, y_test, ax=ax, cmap="Greys", colorbar=False
    )
    ax.set_title(f"rocket, first {part:.0%}")
    ax.tick_params(axis="x", rotation=30)
