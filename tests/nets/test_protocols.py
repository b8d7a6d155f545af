"""What backbones offer, how it is found out, and that it is found out in one place."""

import ast
import copy
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedKFold
from torch import nn

import skgdpd
from skgdpd import DiffusionFeaturePrior, GDPDClassifier, SharedGridSearchCV
from skgdpd.nets import (
    ClosedFormStart,
    FixedFeatures,
    Hybrid,
    Mixed,
    OneProjection,
    Rocket,
    RocketQuant,
    TakesLengths,
    TimeMaps,
    has_fixed_features,
    has_maps,
    make_backbone,
    starts_fitted,
)
from skgdpd.nets.closed_form import ridge
from skgdpd.nets.fixed import copy_trained, fixed_buffers, statistics
from skgdpd.nets.layers import ConvolutionalBackbone
from skgdpd.nets.lstm import LSTM
from skgdpd.nets.protocols import needs_fixed_only, suitable_lr, trains_one_projection
from skgdpd.nets.student import SeriesNet

ROOT = Path(skgdpd.__file__).parent


class Moments(nn.Module):
    """Fixed features of a user's own: nothing is inherited."""

    fixed_is_all = True
    settings = ()

    def __init__(self, n_channels, n_timepoints):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * n_channels))
        self.register_buffer("other", torch.zeros(1))
        self.projection = nn.Linear(2 * n_channels, 2 * n_channels)

    def fit_fixed(self, x, lengths, target, weight, seed):
        self.mean.copy_(torch.cat([x.mean(2), x.std(2)], 1).mean(0))
        fixed = self.featurize(x)
        start = ridge(fixed.double(), target, weight)
        nn.init.eye_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        weight, bias = start.scale * start.weight.T, start.scale * start.bias
        return ClosedFormStart(weight, bias, fixed, start.left_out_logits)

    def featurize(self, x, lengths=None):
        return torch.cat([x.mean(2), x.std(2)], 1) - self.mean

    def forward(self, x, lengths=None, fixed=None):
        return self.projection(self.featurize(x) if fixed is None else fixed)

    def fold(self):
        pass


class Projected(Moments):
    trains_one_projection = True

    def fixed_buffers(self):
        return [self.mean]


class Squared(Rocket):
    """More than a projection."""

    def forward(self, x, lengths=None, fixed=None):
        return super().forward(x, lengths, fixed).square()


@pytest.mark.parametrize(
    ("protocol", "classes"),
    [
        (TakesLengths, [ConvolutionalBackbone, LSTM, Rocket, RocketQuant, Mixed, Hybrid]),
        (TimeMaps, [ConvolutionalBackbone, LSTM]),
        (FixedFeatures, [Rocket, RocketQuant, Mixed, Hybrid]),
        (OneProjection, [Rocket, RocketQuant, Mixed]),
    ],
)
def test_the_package_s_backbones_have_what_the_protocols_describe(protocol, classes):
    members = {
        name: member
        for base in (protocol, *protocol.__mro__)
        if getattr(base, "_is_protocol", False)
        for name, member in vars(base).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property))
    }
    assert members
    for cls in classes:
        for name, member in members.items():
            assert hasattr(cls, name), name
            if inspect.isfunction(member):
                expected = list(inspect.signature(member).parameters)
                assert list(inspect.signature(getattr(cls, name)).parameters)[: len(expected)] == (
                    expected
                )


def test_what_is_fixed_is_found_in_classes_and_modules_alike():
    for backbone in (Rocket, Rocket(1, 9), Moments, Moments(1, 9)):
        assert has_fixed_features(backbone)
    assert starts_fitted(Moments)
    assert not has_fixed_features(nn.Flatten())


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [(["fold"], "fold"), (["featurize", "fold"], "featurize and fold")],
)
def test_half_of_a_fixed_part_is_refused(left_out, missing):
    class Half(Moments):
        pass

    for name in left_out:
        setattr(Half, name, None)
    with pytest.raises(TypeError, match=f"Half has the method fit_fixed, but not {missing};"):
        has_fixed_features(Half(1, 9))


def test_a_layer_may_serve_as_maps():
    backbone = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten())
    assert not has_maps(backbone)
    backbone.maps = nn.Conv1d(1, 4, 3)
    backbone.features_from_maps = nn.Flatten()
    assert has_maps(backbone)


def test_a_rate_and_what_is_all_are_optional():
    plain = nn.Flatten()
    assert suitable_lr(plain, 0.125) == 0.125
    assert suitable_lr(make_backbone("rocket-quant", 1, 12), 0.125) == 3e-4
    assert not needs_fixed_only(plain)
    assert needs_fixed_only(Moments(1, 9))
    assert not needs_fixed_only(Hybrid(1, 9))


def test_one_projection_is_declared_and_not_inherited_by_another_forward():
    assert trains_one_projection(Rocket(1, 9))
    assert trains_one_projection(RocketQuant(1, 9))
    assert trains_one_projection(Mixed(1, 9))
    assert trains_one_projection(Projected(1, 9))
    for other in (Squared(1, 9), Hybrid(1, 9), Moments(1, 9), nn.Flatten()):
        assert not trains_one_projection(other)


def test_buffers_are_fixed_where_a_part_says_so():
    net = SeriesNet(make_backbone(Hybrid, 1, 12), 2)
    ours = {id(buffer) for buffer in net.backbone.rocket.buffers()}
    assert {id(buffer) for buffer in fixed_buffers(net)} == ours
    assert all(name.startswith("backbone.inception.") for name in statistics(net))
    assert list(statistics(Projected(1, 9))) == ["other"]
    assert list(statistics(Moments(1, 9))) == ["mean", "other"]


def test_a_copy_shares_what_is_fixed_and_nothing_else():
    net = SeriesNet(make_backbone(Projected, 1, 12), 2)
    copied = copy_trained(net)
    assert copied.backbone.mean is net.backbone.mean
    assert copied.backbone.other is not net.backbone.other
    assert copied.head.weight is not net.head.weight
    assert copy.deepcopy(net).backbone.mean is not net.backbone.mean


def test_a_users_projections_are_trained_together_to_what_they_are_alone(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(max_epochs=2)
    base = GDPDClassifier(
        "lstm1-8", student=Projected, prior=prior, earliness=0.5, max_epochs=4, random_state=0
    )
    grid = {"lambda_kd": [0.3, 3.0]}
    found = [
        SharedGridSearchCV(
            base, grid, cv=StratifiedKFold(2), together=together, scoring="neg_log_loss"
        ).fit(X, y)
        for together in (True, False)
    ]
    assert [search.n_together_ for search in found] == [4, 0]
    scores = [search.cv_results_["mean_test_score"] for search in found]
    np.testing.assert_allclose(*scores, atol=1e-5)


HOOKS = {
    "fit_fixed",
    "featurize",
    "fold",
    "fixed_is_all",
    "fixed_buffers",
    "trains_one_projection",
    "suitable_lr",
    "maps",
    "features_from_maps",
    "registered_name",
    "lengths",
    "start",
    "step",
}


def test_nothing_else_searches_a_backbone_for_methods():
    found = []
    for path in ROOT.rglob("*.py"):
        if path.name == "protocols.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            words = {getattr(argument, "value", None) for argument in node.args}
            if node.func.id in ("hasattr", "getattr") and words & HOOKS:
                found.append(f"{path}:{node.lineno}")
            kinds = {getattr(argument, "id", None) for argument in node.args}
            if node.func.id == "isinstance" and kinds & {
                "Rocket",
                "RocketQuant",
                "Mixed",
                "Hybrid",
            }:
                found.append(f"{path}:{node.lineno}")
    assert not found
