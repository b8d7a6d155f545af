"""Settings of a training that depend on what is trained."""

import numpy as np
import pytest
import torch

from skgdpd import DistilledPrefixClassifier, GenDDClassifier, PrefixClassifier
from skgdpd.distillers import Hinton
from skgdpd.nets import make_backbone
from skgdpd.nets.student import SeriesNet
from skgdpd.training import TrainingConfig
from skgdpd.training.fitting import resolve_epochs

SMALL = {"max_epochs": 3, "random_state": 0, "earliness": 0.5, "device": "cpu"}


class WithRate(torch.nn.Module):
    suitable_lr = 0.25


@pytest.mark.parametrize(
    ("lr", "module", "expected"),
    [
        ("auto", torch.nn.Linear(1, 1), 1e-3),
        ("auto", WithRate(), 0.25),
        ("auto", SeriesNet(make_backbone("rocket-quant", 1, 12), 2), 3e-4),
        ("auto", SeriesNet(make_backbone("rocket", 1, 12), 2), 1e-3),
        ("auto", SeriesNet(make_backbone("lstm1-8", 1, 12), 2), 0.03),
        ("auto", SeriesNet(make_backbone("lstm2-32", 1, 12), 2), 0.01),
        ("auto", SeriesNet(make_backbone("lstm", 1, 12), 2), 1e-3),
        ("auto", SeriesNet(make_backbone("fcn24", 1, 12), 2), 3e-3),
        ("auto", SeriesNet(make_backbone("fcn", 1, 12), 2), 1e-3),
        (0.5, WithRate(), 0.5),
    ],
)
def test_the_automatic_rate_suits_the_backbone(lr, module, expected):
    assert TrainingConfig(max_epochs=1, lr=lr).for_network(module).rate == expected


@pytest.mark.parametrize(
    ("student", "lr"), [("rocket-quant", 3e-4), ("lstm1-8", 0.03), ("fcn24", 3e-3)]
)
def test_classifiers_take_the_automatic_rate(student, lr, bumps):
    X, y = bumps
    found, expected = (
        PrefixClassifier(student, **more, **SMALL).fit(X, y).predict_proba(X)
        for more in ({}, {"lr": lr})
    )
    np.testing.assert_array_equal(found, expected)


def test_a_teacher_has_the_rate_that_suits_itself(bumps):
    X, y = bumps
    kinds = {"student": "lstm1-8", "teacher": "rocket-quant"}
    found, expected, other = (
        DistilledPrefixClassifier(Hinton(), **kinds, **more, **SMALL)
        .fit(X, y)
        .teacher_.predict_proba(X)
        for more in ({}, {"lr": 3e-4}, {"lr": 1e-3})
    )
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - other).max() > 1e-9


@pytest.mark.slow
def test_what_is_trained_after_the_student_has_the_usual_rate(bumps):
    X, y = bumps
    found, expected = (
        GenDDClassifier(student="lstm", **more, **SMALL).fit(X, y).predict_proba(X)
        for more in ({}, {"lr": 1e-3})
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("lr", [0.0, -1.0, "slow"])
def test_other_rates_are_refused_by_name(lr, bumps):
    with pytest.raises(ValueError, match="'lr'"):
        PrefixClassifier("lstm1-8", lr=lr).fit(*bumps)


@pytest.mark.parametrize(
    ("max_epochs", "n_rows", "expected"), [(7, 100, 7), ("auto", 100, 50), ("auto", 10_000, 5)]
)
def test_automatic_epochs_take_so_many_steps(max_epochs, n_rows, expected):
    assert resolve_epochs(max_epochs, n_rows, 10, n_steps=500, at_least=5) == expected
