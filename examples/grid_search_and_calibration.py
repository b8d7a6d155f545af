"""
Grid search and calibration
===========================

Choosing the weight of the distillation without looking at the test part, and then asking whether
"80 % sure" means right in eight cases of ten.
"""

# %%
# ``SharedGridSearchCV`` is scikit-learn's ``GridSearchCV`` with the same results, but it fits each
# teacher and prior once and trains small students of one fold side by side.
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skgdpd import GDPDClassifier, SharedGridSearchCV
from skgdpd.datasets import load_italy_power_demand
from skgdpd.metrics import expected_calibration_error
from skgdpd.plotting import ReliabilityDisplay

X, y, rest, y_rest = load_italy_power_demand()
X_held, X_test, y_held, y_test = train_test_split(
    rest, y_rest, train_size=100, stratify=y_rest, random_state=0
)
search = SharedGridSearchCV(
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

# %%
# Each point stands for the test series of which the classifier was about equally sure, as many as
# the bar above it says. On the diagonal it was right as often as it thought, below less often.
models = {"as trained": search, "calibrated": calibrated}
ReliabilityDisplay.from_estimators(models, X_test, y_test)
for name, model in models.items():
    proba = model.predict_proba(X_test)
    error, loss = expected_calibration_error(y_test, proba), log_loss(y_test, proba)
    accuracy = (model.classes_[proba.argmax(1)] == y_test).mean()
    print(f"{name}: accuracy {accuracy:.3f}, error {error:.3f}, log loss {loss:.3f}")
