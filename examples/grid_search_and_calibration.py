"""
Grid search and calibration
===========================

Choosing the weight of the distillation without looking at the test part, and then asking whether
"80 % sure" means right in eight cases of ten.
"""

# %%
# ``GDPDSearchCV`` is scikit-learn's ``GridSearchCV`` with the same results, but it fits each
# teacher and prior once and trains small students of one fold side by side.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skgdpd import GDPDClassifier, GDPDSearchCV
from skgdpd.datasets import load_italy_power_demand
from skgdpd.metrics import expected_calibration_error

X, y, rest, y_rest = load_italy_power_demand()
X_held, X_test, y_held, y_test = train_test_split(
    rest, y_rest, train_size=100, stratify=y_rest, random_state=0
)
search = GDPDSearchCV(
    GDPDClassifier(student="lstm1-8", earliness=0.5, lr=1e-2, random_state=0),
    {"lambda_kd": [0.1, 1, 10], "warmup_epochs": [0.4, 0.6]},
    cv=2,
    scoring="neg_log_loss",
).fit(X, y)
for score, candidate in zip(
    search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True
):
    print(f"{candidate}: {score:.3f}")
print("chosen:", search.best_params_)

# %%
# The score of the winner on its own folds is flattered by having been chosen; the test part's is
# not.
print(
    f"on the folds: {search.best_score_:.3f}, on the test part {search.score(X_test, y_test):.3f}"
)

# %%
# A hundred further labelled days serve to calibrate, wrapped around the classifier as it is.
calibrated = CalibratedClassifierCV(FrozenEstimator(search.best_estimator_), method="sigmoid")
calibrated.fit(X_held, y_held)


def reliability(ax, model, name, **style):
    proba = model.predict_proba(X_test)
    sure, right = proba.max(1), model.classes_[proba.argmax(1)] == y_test
    bins = np.digitize(sure, np.linspace(0.5, 1, 6)[1:-1])
    points = [(sure[bins == b].mean(), right[bins == b].mean()) for b in np.unique(bins)]
    error = expected_calibration_error(y_test, proba)
    loss = log_loss(y_test, proba)
    ax.plot(*np.transpose(points), label=f"{name}, error {error:.3f}", **style)
    print(f"{name}: accuracy {right.mean():.3f}, error {error:.3f}, log loss {loss:.3f}")


fig, ax = plt.subplots(figsize=(5, 4.2), layout="constrained")
ax.plot([0.5, 1], [0.5, 1], ":", color="0.4", label="ideal")
reliability(ax, search, "as trained", color="#0072B2", marker="o")
reliability(ax, calibrated, "calibrated", color="#D55E00", marker="s", linestyle="--")
ax.set(xlabel="how sure it was", ylabel="how often it was right")
ax.legend(frameon=False)
