"""
Grid search and calibration
===========================

This example chooses the weight of the distillation by cross-validation, without the test part. It
then calibrates the classifier: of its predictions with probability 80 %, eight in ten are right.
"""

# %%
# Grid search
# -----------
# ``SharedGridSearchCV`` is scikit-learn's ``GridSearchCV`` with the same results. It is faster,
# because it fits each teacher and prior once and trains small students of one fold together.
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
# The score of the chosen candidate on its own folds is optimistic, because it was chosen by that
# score. The score on the test part is not.
print(
    f"on the folds: {search.best_score_:.3f}, on the test part {search.score(X_test, y_test):.3f}"
)

# %%
# Calibration
# -----------
# A hundred further labelled days calibrate the classifier, which is not fitted again.
calibrated = CalibratedClassifierCV(FrozenEstimator(search.best_estimator_), method="sigmoid")
calibrated.fit(X_held, y_held)

# %%
# Each point stands for the test series to which the classifier gave about the same probability.
# The bar above it is their number. On the diagonal the classifier was right as often as its
# probability says. Below the diagonal it was right less often.
models = {"not calibrated": search, "calibrated": calibrated}
display = ReliabilityDisplay.from_estimators(models, X_test, y_test)
for name, model in models.items():
    proba = model.predict_proba(X_test)
    error, loss = expected_calibration_error(y_test, proba), log_loss(y_test, proba)
    accuracy = (model.classes_[proba.argmax(1)] == y_test).mean()
    print(f"{name}: accuracy {accuracy:.3f}, error {error:.3f}, log loss {loss:.3f}")
