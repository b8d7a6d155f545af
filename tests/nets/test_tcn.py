"""What is true of the causal network alone, and that every part of the package takes it."""

import numpy as np
import pytest
import torch
from torch import nn

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
)
from skgdpd.distillers import AT, SoftDTW
from skgdpd.nets import make_backbone
from skgdpd.nets.tcn import TCN, CausalConv1d, pool_up_to

SMALL = {"student": "tcn", "max_epochs": 3, "random_state": 0}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


# The network


@pytest.mark.parametrize("dilation", [1, 3, 50])
@pytest.mark.parametrize("kernel_size", [1, 2, 5])
def test_a_causal_convolution_is_its_definition(kernel_size, dilation):
    layer, x = CausalConv1d(2, 3, kernel_size, dilation).double(), torch.randn(4, 2, 9).double()
    expected = torch.zeros(4, 3, 9).double()
    for t in range(9):
        for tap in range(kernel_size):
            source = t - (kernel_size - 1 - tap) * dilation
            if source >= 0:
                expected[:, :, t] += x[:, :, source] @ layer.weight[:, :, tap].T
    found = layer(x.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(found, expected)
    assert layer.n_past == (kernel_size - 1) * dilation


def reference(net, x):
    """Features in evaluation mode, written with plain functions on ``(n, c, t)`` series."""

    def normalised(x, norm):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return (x - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None]

    for i, block in enumerate(net.blocks):
        out = x
        for j, (layer, norm) in enumerate(zip(block.convolutions, block.norms, strict=True)):
            before = 2**i * (layer.weight.shape[2] - 1)
            padded = nn.functional.pad(out, (before, 0))
            out = normalised(nn.functional.conv1d(padded, layer.weight, dilation=2**i), norm)
            out = out.relu() if j == 0 else out
        if block.shortcuts:
            x = normalised(block.shortcuts[0].weight[:, :, 0] @ x, block.shortcut_norms[0])
        x = (out + x).relu()
    return torch.cat([x.mean(2), x.amax(2)], 1)


def test_features_are_mean_and_maximum_of_a_residual_network():
    net, x = TCN(3, 30, width=8).double(), torch.randn(5, 3, 30).double()
    net.train()(2 * x - 1)
    net.eval()
    with torch.no_grad():
        torch.testing.assert_close(net(x), reference(net, x))


@pytest.mark.parametrize(
    ("n_timepoints", "n_blocks"),
    [(1, 1), (2, 1), (5, 1), (6, 2), (13, 2), (14, 3), (29, 3), (253, 6), (254, 6), (9999, 6)],
)
def test_the_last_output_depends_on_the_first_point(n_timepoints, n_blocks):
    net = make_backbone("tcn", 1, n_timepoints).double()
    assert len(net.blocks) == n_blocks
    t = min(n_timepoints, 260)
    x = torch.randn(1, 1, t).double().requires_grad_()
    net.eval().maps(x)[..., -1].sum().backward()
    reach = 1 + 4 * (2**n_blocks - 1)
    depends = x.grad[0, 0] != 0
    assert depends[-min(reach, t) :].any()
    assert not depends[: max(t - reach, 0)].any()
    # Some filter that is not rectified away reaches as far as it can.
    assert n_timepoints > reach or depends[0] or t < 3


def test_its_size_is_below_that_of_fcn():
    def count(name, n_timepoints):
        return sum(p.numel() for p in make_backbone(name, 1, n_timepoints).parameters())

    assert count("tcn", 1000) < 150_000 < count("fcn", 1000)
    assert count("tcn", 20) < 70_000


@pytest.mark.parametrize("training", [True, False])
def test_padding_is_neither_pooled_nor_part_of_the_statistics(training):
    net = TCN(2, 12, width=4).train(training)
    other = TCN(2, 12, width=4).train(training)
    other.load_state_dict(net.state_dict())
    x, lengths = torch.randn(3, 2, 12), torch.tensor([12, 4, 1])
    spoilt = torch.where(torch.arange(12) < lengths[:, None, None], x, 1e4)
    torch.testing.assert_close(net(x, lengths), other(spoilt, lengths))
    for key, value in net.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value)


def test_pools_by_hand():
    maps = torch.tensor([[[1.0, 4.0, -2.0, 5.0]], [[-3.0, -1.0, -2.0, -6.0]]])
    lengths = torch.tensor([4, 2])
    expected = {
        None: [[[1, 1], [1, 4], [2, 5]], [[-3, -3], [-2, -1], [-3, -1]]],
        lengths: [[[1, 1], [1, 4], [2, 5]], [[-3, -3], [-2, -1], [-2, -1]]],
    }
    for own, pooled in expected.items():
        assert pool_up_to(maps, [1, 3, 4], own).tolist() == pooled
        assert pool_up_to(maps, [4], own)[:, 0].tolist() == [p[-1] for p in pooled]
        every = pool_up_to(maps, range(1, 5), own)
        torch.testing.assert_close(every[:, [0, 2, 3]], torch.tensor(pooled).float())


# In the package


def test_a_classifier_learns_and_is_saved(bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier("tcn", earliness=0.6, max_epochs=25, random_state=0).fit(X, y)
    assert clf.score(X, y) > 0.9
    clf.save(tmp_path / "model")
    again = skgdpd.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_ragged_series_are_classified(bumps):
    X, y = bumps
    ragged = [x[:, : 20 + i % 20] for i, x in enumerate(X)]
    clf = PrefixClassifier(**SMALL).fit(ragged, y)
    assert np.isfinite(clf.predict_proba(ragged)).all()


def test_it_is_student_and_teacher_with_a_prior(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(max_epochs=2)
    clf = GDPDClassifier("tcn", prior=prior, **SMALL).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("distiller", [AT(), SoftDTW()], ids=repr)
@pytest.mark.parametrize("teacher", ["tcn", "fcn24"])
def test_its_activations_are_compared_over_time(distiller, teacher, bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(distiller, teacher=teacher, **SMALL).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("time_points", [[3, 7, 12], list(range(1, 13))], ids=len)
def test_a_graph_of_many_moments_can_be_exported(time_points, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")

    class Path(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = TCN(2, 12, width=4)

        def forward(self, x):
            return self.net.features_at(x, time_points)

    module, x = Path().eval(), torch.randn(4, 2, 12)
    torch.onnx.export(module, (x,), tmp_path / "path.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "path.onnx")
    (name,) = [node.name for node in session.get_inputs()]
    (found,) = session.run(None, {name: x.numpy()})
    np.testing.assert_allclose(found, module(x).detach(), rtol=1e-5, atol=1e-5)
