"""Teachers of scikit-learn that take a row for each series."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgdpd import DistilledPrefixClassifier

SMALL = {"student": "lstm1-8", "max_epochs": 1, "random_state": 0, "earliness": 0.5}
X = np.random.default_rng(0).normal(size=(24, 2, 8))
y = np.arange(24) % 2
X[:, 1, 5] += 2 * y
ROWS = X.reshape(24, 16)


def taught(teacher):
    return DistilledPrefixClassifier(teacher=teacher, **SMALL).fit(X, y).teacher_


@pytest.mark.parametrize(
    "teacher", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_a_classifier_of_tables_is_given_a_row_for_each_series(teacher):
    fitted = teacher.fit(ROWS, y)
    for given in (FrozenEstimator(fitted), [FrozenEstimator(fitted)]):
        proba = taught(given).predict_proba(X)
        np.testing.assert_allclose(proba, fitted.predict_proba(ROWS), atol=1e-6)
    assert taught(teacher).predict_proba(X).shape == (24, 2)


def test_features_of_a_pipeline_of_tables_are_those_of_its_rows():
    scaler = StandardScaler().fit(ROWS)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, y)
    features = taught(FrozenEstimator(fitted)).embed(X)
    np.testing.assert_allclose(features, scaler.transform(ROWS), rtol=1e-5)


def flatten(X):
    assert X.ndim == 3
    return X.reshape(len(X), -1)


class Panels(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        assert np.ndim(X) == 3
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        assert np.ndim(X) == 3
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    "teacher",
    [
        Panels(),
        make_pipeline(FunctionTransformer(flatten), LogisticRegression()),
        CalibratedClassifierCV(Panels(), cv=2),
    ],
)
def test_others_are_given_series(teacher):
    assert taught(teacher).predict_proba(X).shape == (24, 2)


def test_series_of_unequal_length_are_no_table():
    series = [x[:, : 8 - i % 2] for i, x in enumerate(X)]
    clf = DistilledPrefixClassifier(teacher=RandomForestClassifier(3), **SMALL)
    with pytest.raises(ValueError, match=r"teacher=RandomForest.*tables only.*unequal length"):
        clf.fit(series, y)
