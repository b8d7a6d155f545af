"""
Early activity recognition with several channels
================================================

BasicMotions has six channels of a smart watch: three accelerations and three rotation rates. Each
series is ten seconds of standing, walking, running or playing badminton. This example of early
classification measures how early the activity can be recognised.
"""

# %%
# Data
# ----
# There are forty labelled series of 100 points, and forty series to predict. The first second is
# grey.
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
fig.suptitle("accelerations (solid) and rotation rates (dashed)")
fig.supxlabel("time point, tenths of a second")

# %%
# Accuracy by the part seen
# -------------------------
# Several channels need no setting. Arrays have the shape ``(n_samples, n_channels,
# n_timepoints)``. Each line is the mean of three seeds, and the band is their range.
levels = [0.04, 0.06, 0.1, 0.15, 0.2, 0.3]
seeds = range(3)
students = {"MiniRocket student": "rocket", "LSTM student": "lstm1-8"}
models = {
    (name, part, seed): PrefixClassifier(student, earliness=part, random_state=seed).fit(X, y)
    for name, student in students.items()
    for part in levels
    for seed in seeds
}
scores = {
    name: [[models[name, part, seed].score(X_test, y_test) for seed in seeds] for part in levels]
    for name in students
}
display = EarlinessDisplay.from_results(levels, scores)

# %%
# Confusion of activities
# -----------------------
# Two seconds are enough for the MiniRocket student. The small LSTM, trained on forty series, needs
# far more. One test series is 2.5 points of accuracy. The confusion matrices show the MiniRocket
# student of the first seed after 0.6 seconds and after two.
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, part in zip(axes, [0.06, 0.2], strict=True):
    ConfusionMatrixDisplay.from_estimator(
        models["MiniRocket student", part, 0], X_test, y_test, ax=ax, cmap="Greys", colorbar=False
    )
    ax.set_title(f"first {part:.0%}")
    ax.tick_params(axis="x", rotation=30)
