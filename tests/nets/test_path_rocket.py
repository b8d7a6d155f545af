"""Features, forests and maps of several moments."""

import numpy as np
import pytest
import torch

from skgdpd.nets import PathRocket, Prefixes, has_moment_maps, make_backbone
from skgdpd.nets.forest import Forest
from skgdpd.nets.moment_forests import MomentForests
from skgdpd.nets.prefixes import cut
from skgdpd.nets.quantiles import IntervalQuantiles

MOMENTS = (3, 8, 20, 30)
ALL = ("rocket", "hydra", "shapelets")
KINDS = {
    "rocket": {},
    "families": {"families": ALL},
    "forests": {"n_trees": 10},
    "all": {"families": ALL, "n_trees": 10},
}


def series(n=40, n_channels=1, seed=0):
    """Series of two classes that differ in level."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, n_channels, 30)).cumsum(2) / 3 + y[:, None, None]
    return torch.from_numpy(x.astype(np.float32)), torch.eye(2, dtype=torch.float64)[y]


def fitted(kind, n_channels=1, trains=False):
    x, target = series(n_channels=n_channels)
    backbone = PathRocket(n_channels, 30, MOMENTS, **KINDS[kind])
    return backbone, backbone.fit_moments(cut(x, MOMENTS), target, None, 0, trains)


@pytest.fixture(scope="module", params=KINDS)
def made(request):
    return fitted(request.param)


def logits(start, features):
    return features.double() @ start.weight.T + start.bias


# One pass, a cut series and a state give the same bits


def test_one_pass_is_a_pass_for_each_moment(made):
    backbone, _ = made
    x, _ = series(seed=1)
    path = backbone.features_at(x, MOMENTS)
    for m, t in enumerate(MOMENTS):
        assert torch.equal(path[:, m], backbone(x[:, :, :t], moment=m))


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_reads_each_point_once(kind, n_channels):
    backbone, _ = fitted(kind, n_channels)
    x, _ = series(seed=1, n_channels=n_channels)
    path = backbone.features_at(x, MOMENTS)
    state, n_read = backbone.start(len(x)), 0
    for m, t in enumerate(MOMENTS):
        assert torch.equal(backbone.advance(state, x[:, :, :t], n_read, m), path[:, m])
        n_read = t


def test_a_series_does_not_depend_on_others(made):
    backbone, _ = made
    x, _ = series(seed=1)
    path = backbone.features_at(x, MOMENTS)
    for rows in (slice(0, 1), slice(3, 10), slice(0, 17)):
        assert torch.equal(backbone.features_at(x[rows], MOMENTS), path[rows])


def test_a_series_that_ended_is_as_at_its_end(made):
    backbone, _ = made
    x, _ = series(seed=1)
    lengths = torch.full((40,), 30)
    lengths[5] = 11
    x[5, :, 11:] = 0
    ended = backbone.features_at(x, MOMENTS, lengths)
    assert torch.equal(ended[5, 2], backbone(x[5:6, :, :11], moment=2)[0])
    assert torch.equal(ended[5, 1], backbone(x[5:6, :, :8], moment=1)[0])


# The closed form


def test_left_out_logits_are_honest():
    """With labels that mean nothing, left-out logits are no better than chance."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(200, 1, 30)).astype(np.float32))
    y = rng.integers(2, size=200)
    backbone = PathRocket(1, 30, MOMENTS, **KINDS["all"])
    target = torch.eye(2, dtype=torch.float64)[y]
    start = backbone.fit_moments(cut(x, MOMENTS), target, None, 0, False)
    right = (start.left_out.argmax(2) == torch.from_numpy(y)[:, None]).double().mean(0)
    assert ((right - 0.5).abs() < 0.12).all()


@pytest.mark.parametrize("kind", KINDS)
def test_maps_that_are_trained_start_at_the_closed_form(kind):
    plain, start = fitted(kind)
    trained, trained_start = fitted(kind, trains=True)
    x, _ = series()
    fixed = trained_start.fixed
    for m, t in enumerate(MOMENTS):
        inputs = trained(x[:, :, :t], None, fixed[:, m], m)
        if "n_trees" not in KINDS[kind]:  # training rows have left-out log-odds
            assert inputs.detach() == pytest.approx(
                trained(x[:, :, :t], moment=m).detach(), abs=1e-4
            )
        new, _ = series(seed=2)
        expected = logits(start, plain(new[:, :, :t], moment=m))
        found = logits(trained_start, trained(new[:, :, :t], moment=m))
        assert found.detach() == pytest.approx(expected.detach(), abs=1e-3)


def test_folding_changes_no_output():
    backbone, _ = fitted("all", trains=True)
    x, _ = series(seed=1)
    before = backbone.features_at(x, MOMENTS)
    backbone.fold()
    assert backbone.basis is None
    assert backbone.features_at(x, MOMENTS).detach() == pytest.approx(before.detach(), abs=1e-4)
    backbone.fold()


def test_prefixes_need_not_be_nested():
    """Where each prefix has a normalisation of its own, moments are told apart."""
    x, target = series()
    own = tuple(x[:, :, :t] - x[:, :, :t].mean(2, keepdim=True) for t in MOMENTS)
    prefixes = Prefixes(MOMENTS, own, None, False)
    for kind in KINDS.values():
        backbone = PathRocket(1, 30, MOMENTS, **kind)
        start = backbone.fit_moments(prefixes, target, None, 0, False)
        assert start.left_out.isfinite().all()


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_any_number_of_classes(n_classes):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(42, 1, 30)).astype(np.float32))
    y = np.arange(42) % n_classes
    backbone = PathRocket(1, 30, MOMENTS, n_features=4)
    target = torch.eye(n_classes, dtype=torch.float64)[y]
    start = backbone.fit_moments(cut(x, MOMENTS), target, None, 0, False)
    assert start.weight.shape == (n_classes, 4)
    assert start.left_out.shape == (42, 4, n_classes)


def test_one_direction_of_all_logits_is_enough_for_two_classes():
    backbone, _ = fitted("rocket")
    assert backbone.maps.shape[2] == 4  # all but the first column are zero
    assert not backbone.maps[:, :, 1:].any()


def test_names_stand_for_it_at_several_moments():
    for name in ("rocket", "rocket-quant", "mixed"):
        assert has_moment_maps(make_backbone(name, 1, 30, time_points=MOMENTS))
        assert not has_moment_maps(make_backbone(name, 1, 30))


def test_a_state_dict_restores_it():
    backbone, _ = fitted("all")
    other = PathRocket(1, 30, MOMENTS, **KINDS["all"])
    other.load_state_dict(backbone.state_dict())
    x, _ = series(seed=1)
    assert torch.equal(other.features_at(x, MOMENTS), backbone.features_at(x, MOMENTS))


# Forests


def test_the_compiled_trees_are_the_others():
    torch.manual_seed(0)
    x = torch.randn(80, 20)
    forest = Forest(15)
    forest.fit(x, torch.eye(3, dtype=torch.float64)[torch.arange(80) % 3], None, 0)
    new = torch.randn(50, 20)
    assert torch.equal(forest._leaves(new), forest._leaves(new.double().float()))
    plain = forest._leaves(new.to(torch.float64))  # double precision goes the way of torch
    assert torch.equal(forest._leaves(new), plain)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("length", [2, 3, 7, 50, 200])
def test_the_compiled_quantiles_are_the_others(length, n_channels):
    torch.manual_seed(0)
    x = torch.randn(6, n_channels, length)
    plain, compiled = (IntervalQuantiles(n_channels, length, e) for e in ("torch", "numba"))
    assert compiled(x) == pytest.approx(plain(x), abs=1e-6)


def test_forests_leave_rows_out():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(100, 1, 30)).astype(np.float32))
    y = torch.from_numpy(rng.integers(2, size=100))
    forests = MomentForests(1, MOMENTS, 30)
    left_out = forests.fit(cut(x, MOMENTS), torch.eye(2, dtype=torch.float64)[y], None, 0)
    fitted = torch.stack([forests(x[:, :, :t], None, m) for m, t in enumerate(MOMENTS)], 1)
    assert ((left_out.argmax(2) == y[:, None]).double().mean(0) - 0.5).abs().max() < 0.2
    assert (fitted.argmax(2) == y[:, None]).double().mean() > 0.9
