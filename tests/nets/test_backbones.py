"""Every backbone: sizes, shortest series, single series, independence of rows, ragged series."""

import pytest
import torch
from torch import nn

from skgdpd.nets import (
    available_backbones,
    has_maps,
    make_backbone,
    starts_fitted,
    takes_lengths,
)
from skgdpd.nets.inception import InceptionTime
from skgdpd.nets.lstm import LSTM
from skgdpd.nets.resnet import FCN, ResNet
from skgdpd.nets.student import SeriesNet

# Those whose parameters are all trained; the others have tests of their own.
NAMES = [name for name in available_backbones() if not starts_fitted(name)]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def backbone_of(name, n_channels=2, n_timepoints=12, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_backbone(name, n_channels, n_timepoints)


def trained_a_little(name, n_channels=2, n_timepoints=12, seed=0):
    """With running statistics and norms that are not the neutral ones of the start."""
    backbone = backbone_of(name, n_channels, n_timepoints, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        for _ in range(3):
            backbone.train()(torch.randn(8, n_channels, n_timepoints, generator=generator) - 1)
    return backbone


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("lengths", [None, [12, 5, 2]])
@pytest.mark.parametrize("name", NAMES)
def test_features_are_made_of_activations_over_time(name, lengths, training):
    x = torch.randn(3, 2, 12)
    own = () if lengths is None else (torch.tensor(lengths),)
    backbone = trained_a_little(name).train(training)
    assert has_maps(backbone)
    maps = backbone.maps(x, *own)
    # Each activation of the causal network is pooled in two ways.
    assert maps.shape == (3, backbone.n_features // (2 if name == "tcn" else 1), 12)
    assert torch.equal(backbone.features_from_maps(maps, *own), backbone(x, *own))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_a_student_that_shows_its_activations_says_the_same(name, precision):
    net = SeriesNet(backbone_of(name), 3, precision)
    x, lengths = torch.randn(4, 2, 12), torch.tensor([12, 9, 4, 2])
    plain, shown = net(x, lengths), net(x, lengths, with_maps=True)
    assert plain.maps is None
    assert torch.equal(plain.logits, shown.logits)
    assert torch.equal(plain.features, shown.features)
    assert shown.maps.dtype == torch.float32
    assert shown.maps.shape[::2] == (4, 12)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        ("lstm3-100", 203_002),
        ("lstm2-32", 12_994),
        ("lstm1-8", 370),
        ("inception55-32", 244_610),
        ("resnet32-64", 504_002),
    ],
)
def test_the_papers_networks_have_the_papers_parameter_counts(name, n_parameters):
    assert count(SeriesNet(backbone_of(name, n_channels=1), n_classes=2)) == n_parameters


def convolution(n_in, n_out, kernel_size):
    return n_in * n_out * kernel_size


def test_inception_time_has_the_parameters_of_its_paper():
    # Six modules: bottleneck 32 (none for one channel), branches of 39, 19 and 9, the pooled
    # branch, batch norms; two shortcuts.
    def module(c_in):
        narrow = 1 if c_in == 1 else 32
        bottleneck = 0 if c_in == 1 else convolution(c_in, 32, 1)
        branches = sum(convolution(narrow, 32, k) for k in (39, 19, 9))
        return bottleneck + branches + convolution(c_in, 32, 1) + 2 * 128

    for c in (1, 3):
        shortcuts = convolution(c, 128, 1) + convolution(128, 128, 1) + 2 * 2 * 128
        assert count(InceptionTime(c)) == module(c) + 5 * module(128) + shortcuts


def test_fcn_and_resnet_have_the_parameters_of_their_paper():
    def stack(c_in, widths, kernel_sizes=(8, 5, 3)):
        inputs = (c_in, *widths[:-1])
        return sum(
            convolution(i, o, k) + 2 * o
            for i, o, k in zip(inputs, widths, kernel_sizes, strict=True)
        )

    assert count(FCN(3)) == stack(3, (128, 256, 128))
    assert count(backbone_of("fcn24", 3)) == stack(3, (24, 48, 24)) < 13_000
    blocks = stack(3, (64,) * 3) + stack(64, (128,) * 3) + stack(128, (128,) * 3)
    shortcuts = convolution(3, 64, 1) + convolution(64, 128, 1) + 2 * (64 + 128 + 128)
    assert count(ResNet(3)) == blocks + shortcuts


@pytest.mark.parametrize("name", NAMES)
def test_the_feature_width_is_what_comes_out(name):
    backbone = backbone_of(name).eval()
    features = backbone(torch.randn(3, 2, 12))
    assert features.shape == (3, backbone.n_features)
    net = SeriesNet(backbone, n_classes=4)
    output = net(torch.randn(3, 2, 12))
    assert output.features.shape == (3, backbone.n_features)
    torch.testing.assert_close(output.logits, net.head(output.features))
    assert output.logits.shape == (3, 4)


@pytest.mark.parametrize("name", NAMES)
def test_every_length_from_2_and_any_number_of_channels_work(name):
    for n_timepoints in range(2, 11):
        for n_channels in range(1, 7) if n_timepoints in (2, 3, 10) else (1, 6):
            backbone = backbone_of(name, n_channels, n_timepoints)
            x = torch.randn(3, n_channels, n_timepoints)
            for training in (True, False):
                features = backbone.train(training)(x)
                assert features.shape == (3, backbone.n_features)
                assert torch.isfinite(features).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_timepoints", [2, 5, 60])
def test_a_batch_of_one_works_in_training_and_in_prediction(name, n_timepoints):
    net = SeriesNet(backbone_of(name, 2, n_timepoints), 2)
    x = torch.randn(1, 2, n_timepoints)
    net.train()(x).logits.sum().backward()
    for name, parameter in net.named_parameters():
        if "unused" not in name:
            assert torch.isfinite(parameter.grad).all()
    assert torch.isfinite(net.eval()(x).logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_that_is_used_gets_a_gradient(name):
    net = SeriesNet(backbone_of(name), 3)
    (net.train()(torch.randn(5, 2, 12)).logits ** 2).sum().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None]
    # The paper's program makes norms that it never applies; they are part of its count.
    assert all("unused_norm" in n for n in without)
    assert bool(without) == (name == "inception55-32")


@pytest.mark.parametrize("name", NAMES)
def test_in_prediction_a_series_does_not_depend_on_the_others(name):
    backbone = trained_a_little(name).eval()
    x = torch.randn(9, 2, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = backbone(x)
        for part in (slice(0, 1), slice(3, 5), slice(2, 9)):
            torch.testing.assert_close(backbone(x[part]), together[part], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(backbone(x.flip(0)).flip(0), together, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_predicting_changes_nothing_in_the_network(name):
    backbone = trained_a_little(name).eval()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    x = torch.randn(4, 2, 12)
    with torch.no_grad():
        first = backbone(x)
        torch.testing.assert_close(backbone(x), first, rtol=0, atol=0)
    for k, v in backbone.state_dict().items():
        torch.testing.assert_close(v, before[k], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights(name):
    for a, b in zip(
        backbone_of(name, seed=3).parameters(), backbone_of(name, seed=3).parameters(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    weights = [
        torch.cat([p.detach().ravel() for p in backbone_of(name, seed=s).parameters()])
        for s in (3, 4)
    ]
    assert not torch.equal(*weights)


# Ragged series


@pytest.mark.parametrize("name", NAMES)
def test_every_registered_backbone_takes_lengths(name):
    assert takes_lengths(backbone_of(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_features_of_a_padded_series_are_those_of_the_series(name, sign):
    backbone = trained_a_little(name).eval()
    lengths = torch.tensor([12, 2, 5, 11])
    x = torch.randn(4, 2, 12, generator=torch.Generator().manual_seed(1))
    # All positive, and all negative: padding with zero must be neither a maximum nor a minimum.
    x = sign * (x.abs() + 0.5) * (torch.arange(12) < lengths[:, None])[:, None]
    with torch.no_grad():
        padded = backbone(x, lengths)
        for i, length in enumerate(lengths.tolist()):
            alone = backbone(x[i : i + 1, :, :length])
            torch.testing.assert_close(padded[i : i + 1], alone, rtol=1e-5, atol=1e-5)
        more = nn.functional.pad(x, (0, 9))
        torch.testing.assert_close(backbone(more, lengths), padded, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_full_lengths_change_nothing(name, training):
    x = torch.randn(5, 2, 12)
    with torch.no_grad():
        with_lengths = trained_a_little(name).train(training)(x, torch.full((5,), 12))
        without = trained_a_little(name).train(training)(x)
    torch.testing.assert_close(with_lengths, without, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_more_padding_changes_nothing_in_training_either(name):
    lengths = torch.tensor([12, 3, 7, 9, 2])
    x = torch.randn(5, 2, 12) * (torch.arange(12) < lengths[:, None])[:, None]
    one, other = trained_a_little(name).train(), trained_a_little(name).train()
    out, padded = one(x, lengths), other(nn.functional.pad(x, (0, 6)), lengths)
    torch.testing.assert_close(padded, out, rtol=1e-4, atol=1e-4)
    out.square().sum().backward()
    padded.square().sum().backward()
    for (parameter, p), q in zip(one.named_parameters(), other.parameters(), strict=True):
        if "unused" not in parameter:
            scale = p.grad.abs().max().item()
            torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-4 * max(scale, 1.0))


# LSTM


def test_lstms_feature_is_the_output_at_each_series_last_point():
    lstm = LSTM(2, hidden_size=5, n_layers=2)
    lengths = torch.tensor([7, 1, 4])
    x = torch.randn(3, 2, 7)
    outputs = lstm.lstm(x.transpose(1, 2))[0]
    features = lstm(x, lengths)
    for i, length in enumerate(lengths):
        torch.testing.assert_close(features[i], outputs[i, length - 1], rtol=0, atol=0)
    torch.testing.assert_close(lstm(x), outputs[:, -1], rtol=0, atol=0)
    packed = nn.utils.rnn.pack_padded_sequence(
        x.transpose(1, 2), lengths, batch_first=True, enforce_sorted=False
    )
    torch.testing.assert_close(features, lstm.lstm(packed)[1][0][-1])


def test_an_lstm_never_uses_what_stands_in_the_padding():
    lstm = LSTM(2)
    lengths = torch.tensor([3, 6])
    x = torch.randn(2, 2, 6)
    spoilt = x.clone()
    spoilt[0, :, 3:] = 1e6
    torch.testing.assert_close(lstm(spoilt, lengths), lstm(x, lengths), rtol=0, atol=0)


def test_an_lstm_that_remembers_starts_with_forget_bias_one_and_orthogonal_gates():
    hidden = 6
    for remember in (True, False):
        lstm = LSTM(2, hidden, 2, remember=remember).lstm
        for layer in range(2):
            forget = slice(hidden, 2 * hidden)
            bias = getattr(lstm, f"bias_ih_l{layer}")[forget]
            recurrent = getattr(lstm, f"weight_hh_l{layer}")
            squares = [gate @ gate.T for gate in recurrent.chunk(4)]
            orthogonal = all(
                torch.allclose(square, torch.eye(hidden), atol=1e-5) for square in squares
            )
            assert orthogonal == remember
            assert bool((bias == 1).all()) == remember
