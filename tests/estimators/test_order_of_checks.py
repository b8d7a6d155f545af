"""What can be refused is refused before anything is trained."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixTruncator,
)
from skgdpd.distillers import GDPD, PACED, TeKAP


class Late(ClassifierMixin, BaseEstimator):
    """A teacher whose fit is the end of the test."""

    def fit(self, X, y):
        raise AssertionError("the teacher was fitted first")

    def predict_proba(self, X):
        raise NotImplementedError


class NoLengths(torch.nn.Module):
    def forward(self, x):
        return x.mean(2)


class Wrong(torch.nn.Module):
    def forward(self, x):
        return x


def refused(bumps, words, clf, X=None):
    own, y = bumps
    with pytest.raises(ValueError, match=words):
        clf.fit(own if X is None else X, y)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"earliness": 41}, "earliness=41 leaves 41 time points of 40"),
        ({"earliness": PrefixTruncator(99)}, "earliness=99 keeps 99 time points"),
        ({"student": "fnc"}, "student: unknown backbone 'fnc'; the names are"),
        ({"student": Wrong()}, r"student: Wrong must map \(n, 1, 12\) to"),
        ({"prior": DiffusionFeaturePrior("flow")}, "'denoiser' parameter"),
        ({"prior": DiffusionFeaturePrior(n_latent=3)}, "n_latent=3 with encoder='identity'"),
    ],
)
def test_of_gdpd(bumps, params, words):
    refused(bumps, words, GDPDClassifier(Late(), **{"student": "fcn", **params}))


def test_of_a_student_that_takes_no_lengths(bumps):
    ragged = [x[:, : 20 + i % 20] for i, x in enumerate(bumps[0])]
    refused(bumps, "series of unequal length", GDPDClassifier(Late(), student=NoLengths()), ragged)


@pytest.mark.parametrize(
    "distiller",
    [
        GDPD(DiffusionFeaturePrior("flow")),
        TeKAP(GDPD(DiffusionFeaturePrior("flow"))),
        PACED(GDPD(DiffusionFeaturePrior("flow"))),
    ],
    ids=lambda distiller: type(distiller).__name__,
)
def test_of_what_is_inside_a_distiller(bumps, distiller):
    refused(bumps, "'denoiser' parameter", DistilledPrefixClassifier(distiller, teacher=Late()))


def test_the_teacher_is_asked_for_where_nothing_is_wrong(bumps):
    X, y = bumps
    with pytest.raises(AssertionError, match="fitted first"):
        GDPDClassifier(Late(), student="fcn").fit(X, np.asarray(y))
