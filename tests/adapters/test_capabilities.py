"""Capabilities that adapters declare hold in a fit, and denied ones don't."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skgdpd import EarlyClassifier, GDPDClassifier, PrefixClassifier, SeriesOptions
from skgdpd._adapters.capabilities import capabilities_of
from skgdpd.nets import make_backbone

MOMENTS = [5, 10, 20]
SMALL = {"earliness": MOMENTS, "max_epochs": 1, "random_state": 0}


class Blind(torch.nn.Module):
    """Convolution that takes no lengths."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv1d(1, 4, 3, padding=1)

    def forward(self, x):
        return self.layer(x).mean(2)


def ragged(X):
    return [x[:, : 25 + i % 9] for i, x in enumerate(X)]


STUDENTS = [
    ("rocket-quant", True),
    ("rocket", True),
    ("lstm1-8", True),
    ("fcn", True),
    (make_backbone("rocket", 1, 20, time_points=MOMENTS), True),
    (make_backbone("rocket-quant", 1, 20, time_points=MOMENTS), True),
    (make_backbone("lstm1-8", 1, 20), True),
    (Blind(), False),
]


@pytest.mark.parametrize(("student", "claimed"), STUDENTS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("earliness", [MOMENTS, np.array(MOMENTS), tuple(MOMENTS), [0.2, 0.5]])
def test_series_of_unequal_length_at_many_moments(bumps, student, claimed, earliness):
    X, y = bumps
    clf = PrefixClassifier(student, **{**SMALL, "earliness": earliness})
    for estimator in (clf, EarlyClassifier(clf), FrozenEstimator(clf)):
        assert capabilities_of(estimator).unequal_length is claimed
    if not isinstance(earliness, list) or earliness != MOMENTS:
        return
    if claimed:
        assert clf.fit(ragged(X), y).predict_proba_path(ragged(X)).shape == (60, 3, 2)
    else:
        with pytest.raises(ValueError, match="unequal length"):
            clf.fit(ragged(X), y)


@pytest.mark.parametrize(
    ("classifier", "claimed"),
    [
        (None, True),
        (PrefixClassifier("rocket", earliness=MOMENTS), True),
        (GDPDClassifier(student="lstm1-8", teacher=LogisticRegression(), **SMALL), False),
        (LogisticRegression(), False),
    ],
    ids=lambda c: type(c).__name__,
)
def test_early_classifiers_and_unequal_length(bumps, classifier, claimed):
    X, y = bumps
    times = None if hasattr(classifier, "earliness") else MOMENTS
    early = EarlyClassifier(classifier, earliness=times, rule="threshold", cv=2, random_state=0)
    assert capabilities_of(early).unequal_length is claimed
    if claimed:
        assert len(early.fit(ragged(X), y).decide(ragged(X))) == 60


def test_missing_values_and_weights():
    masked = PrefixClassifier(series=SeriesOptions(missing_values="mask"), earliness=MOMENTS)
    assert capabilities_of(EarlyClassifier(masked)).missing_values
    assert not capabilities_of(EarlyClassifier()).missing_values
    assert not capabilities_of(EarlyClassifier(LogisticRegression())).missing_values
    assert capabilities_of(EarlyClassifier()).class_weight
    assert not capabilities_of(EarlyClassifier(LogisticRegression())).class_weight
    assert capabilities_of(EarlyClassifier()).multivariate


@pytest.mark.parametrize(
    ("early", "expected"),
    [
        (EarlyClassifier(random_state=0), True),
        (EarlyClassifier(), False),
        (EarlyClassifier(PrefixClassifier(earliness=MOMENTS), random_state=0), False),
        (EarlyClassifier(PrefixClassifier(**SMALL), random_state=0), True),
        (EarlyClassifier(PrefixClassifier(**SMALL)), False),
        (PrefixClassifier(**SMALL), True),
        (LogisticRegression(random_state=0), False),
    ],
)
def test_randomness(early, expected):
    assert capabilities_of(early).deterministic is expected


@pytest.mark.parametrize("estimator", [None, 3, PrefixClassifier, "rocket"])
def test_what_is_no_classifier_is_refused_by_name(estimator):
    with pytest.raises(TypeError, match=r"^estimator=.* must be a classifier"):
        capabilities_of(estimator)
