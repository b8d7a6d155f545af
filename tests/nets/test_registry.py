"""Backbones by name, as modules, and as callables."""

import pytest
import torch
from torch import nn

from skgdpd.nets import available_backbones, make_backbone, register_backbone, takes_lengths
from skgdpd.nets.registry import _BACKBONES


@pytest.fixture(autouse=True)
def same_registry():
    before = dict(_BACKBONES)
    yield
    _BACKBONES.clear()
    _BACKBONES.update(before)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Flat(nn.Module):
    """A user's module that knows nothing of n_features."""

    def __init__(self, n_inputs, width=5):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(n_inputs, width), nn.BatchNorm1d(width)
        )

    def forward(self, x):
        return self.layers(x)


def test_names_are_sorted_and_all_can_be_made():
    names = available_backbones()
    assert names == sorted(names)
    assert {"inception", "resnet", "fcn", "lstm"} <= set(names)
    for name in names:
        assert isinstance(make_backbone(name, 2, 10), nn.Module)


@pytest.mark.parametrize("name", ["incption", "", "LSTM"])
def test_an_unknown_name_is_refused_with_the_names(name):
    with pytest.raises(ValueError, match=f"unknown backbone {name!r}; the names are") as error:
        make_backbone(name, 1, 10)
    for known in available_backbones():
        assert known in str(error.value)


@pytest.mark.parametrize("name", ["fcn", "lstm1-8"])
def test_each_call_makes_a_fresh_network(name):
    one, other = make_backbone(name, 1, 10), make_backbone(name, 1, 10)
    assert not {p.data_ptr() for p in one.parameters()} & {
        p.data_ptr() for p in other.parameters()
    }
    assert not any(
        torch.equal(a, b)
        for a, b in zip(one.parameters(), other.parameters(), strict=True)
        if a.ndim > 1
    )


def test_a_users_module_is_copied_and_not_modified():
    module = Flat(20)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    attributes = set(vars(module))
    backbone = make_backbone(module, 2, 10)
    assert backbone is not module
    assert backbone.n_features == 5
    # From its present weights ...
    for k, v in backbone.state_dict().items():
        torch.testing.assert_close(v, before[k], rtol=0, atol=0)
    # ... and training the copy leaves it alone.
    backbone(torch.randn(4, 2, 10)).sum().backward()
    with torch.no_grad():
        for p in backbone.parameters():
            p += 1
    for k, v in module.state_dict().items():
        torch.testing.assert_close(v, before[k], rtol=0, atol=0)
    assert all(p.grad is None for p in module.parameters())
    assert set(vars(module)) == attributes
    assert module.training


@pytest.mark.parametrize("training", [True, False])
def test_looking_for_the_width_changes_neither_mode_nor_statistics(training):
    module = Flat(20).train(training)
    backbone = make_backbone(module, 2, 10)
    assert backbone.training == training
    assert backbone.layers[2].num_batches_tracked == 0


def test_a_callable_is_told_the_shape_of_the_series():
    told = []

    def factory(n_channels, n_timepoints):
        told.append((n_channels, n_timepoints))
        return Flat(n_channels * n_timepoints, width=3)

    assert make_backbone(factory, 2, 7).n_features == 3
    assert told == [(2, 7)]
    # A class is a callable too.
    assert make_backbone(lambda c, t: nn.Flatten(), 2, 7).n_features == 14


def test_a_module_that_is_not_yet_materialised_is_taken():
    module = nn.Sequential(nn.Flatten(), nn.LazyLinear(6))
    assert make_backbone(module, 2, 7).n_features == 6


def test_a_callable_that_returns_no_module_is_refused():
    with pytest.raises(ValueError, match="returned int, not a torch module"):
        make_backbone(lambda c, t: 3, 1, 10)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Identity(), r"\(2, 3, 10\)"),
        (nn.Linear(10, 4), r"\(2, 3, 4\)"),
        (nn.Flatten(0), r"\(60,\)"),
        (nn.Flatten(0, 1), r"\(6, 10\)"),
        (nn.LSTM(10, 4), "tuple"),
    ],
)
def test_an_output_of_another_shape_is_refused_with_both_shapes(module, shape):
    with pytest.raises(
        ValueError,
        match=rf"must map \(n, 3, 10\) to \(n, n_features\); for n = 2 it gave .*{shape}",
    ):
        make_backbone(module, 3, 10)


def test_a_module_for_other_series_is_refused_with_the_shape_and_the_reason():
    with pytest.raises(
        ValueError,
        match=r"Flat can't read series of 2 channels and 9 time points: .*mat1 and mat2",
    ):
        make_backbone(Flat(20), 2, 9)


class Boastful(Flat):
    """Says that it is wider than it is, as a module may whose n_features counts inputs."""

    n_features = 20


@pytest.mark.parametrize("spec", [Boastful(20), lambda c, t: Boastful(c * t)])
def test_a_width_that_is_not_what_comes_out_is_refused_or_put_right(spec):
    try:
        backbone = make_backbone(spec, 2, 10)
    except ValueError as error:
        assert "n_features" in str(error)  # noqa: PT017
    else:
        assert backbone.n_features == backbone.eval()(torch.randn(2, 2, 10)).shape[1]


def test_a_registered_name_is_understood():
    register_backbone("flat", lambda c, t: Flat(c * t))
    assert "flat" in available_backbones()
    assert make_backbone("flat", 2, 7).n_features == 5


@pytest.mark.parametrize("name", ["fcn", "lstm3-100"])
def test_a_taken_name_is_refused(name):
    before = _BACKBONES[name]
    with pytest.raises(ValueError, match=f"a backbone named {name!r} exists already"):
        register_backbone(name, lambda c, t: Flat(c * t))
    assert _BACKBONES[name] is before


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="factory must be callable, got 3"):
        register_backbone("three", 3)
    assert "three" not in available_backbones()


def test_a_module_takes_lengths_if_its_forward_has_the_parameter():
    class Ragged(Flat):
        def forward(self, x, lengths=None):
            return super().forward(x)

    assert takes_lengths(Ragged(20))
    assert not takes_lengths(Flat(20))
