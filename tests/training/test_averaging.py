"""Averages of weights."""

import torch
from torch import nn

from skgdpd.nets import make_backbone
from skgdpd.training.averaging import WeightAverage


def weights_over_time(n):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, generator=generator)


def averaged(path, n_steps):
    module = nn.Module()
    module.weight = nn.Parameter(torch.full((3,), 1e6))  # a start that must leave no trace
    module.register_buffer("count", torch.tensor(0))
    average = WeightAverage(module, n_steps)
    for weights in path:
        with torch.no_grad():
            module.weight.copy_(weights)
        average.update()
    return average.module


def test_the_first_steps_are_averaged_evenly():
    path = weights_over_time(6)
    torch.testing.assert_close(averaged(path, 100).weight, path.mean(0))


def test_later_steps_decay_exponentially():
    path = weights_over_time(50)
    expected = path[:4].mean(0)
    for weights in path[4:]:
        expected = expected + (weights - expected) / 4
    torch.testing.assert_close(averaged(path, 4).weight, expected)


def test_a_constant_stays_and_a_horizon_of_one_is_the_last():
    path = weights_over_time(9)
    torch.testing.assert_close(averaged(path[:1].repeat(9, 1), 3).weight, path[0])
    torch.testing.assert_close(averaged(path, 1).weight, path[-1])


def test_the_copy_has_no_gradient_and_evaluates():
    module = averaged(weights_over_time(2), 5)
    assert not module.weight.requires_grad
    assert not module.training


def test_what_no_training_changes_is_shared_and_not_averaged():
    torch.manual_seed(0)
    backbone = make_backbone("rocket", 1, 20)
    x = torch.randn(12, 1, 20)
    backbone.fit_fixed(x, None, torch.eye(3).repeat(4, 1), None, 0)
    module = nn.ModuleDict({"backbone": backbone, "norm": nn.BatchNorm1d(2)})
    average = WeightAverage(module, 3)
    found = dict(average.module.named_buffers())
    own = {name for name, value in module.named_buffers() if found[name] is not value}
    assert own == {f"norm.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")}
    with torch.no_grad():
        for changed in (backbone.projection.bias, module["norm"].running_mean):
            changed.fill_(5.0)
    average.update()
    assert (average.module["backbone"].projection.bias == 5).all()
    assert (average.module["norm"].running_mean == 5).all()
    assert average.module["backbone"].basis is backbone.basis
