"""Backbones that read a series point by point, and those with features of many moments."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd.nets import (
    available_backbones,
    has_path_features,
    has_point_state,
    make_backbone,
    map_state,
)
from skgdpd.nets.lstm import LSTM
from skgdpd.nets.tcn import TCN

LENGTH, N_CHANNELS = 40, 2

NETWORKS = {
    "lstm": lambda: LSTM(N_CHANNELS),
    "lstm3-100": lambda: LSTM(N_CHANNELS, 100, 3, remember=False),
    "lstm2-32": lambda: LSTM(N_CHANNELS, 32, 2, remember=False),
    "lstm1-8": lambda: LSTM(N_CHANNELS, 8, 1, remember=False),
    "tcn": lambda: TCN(N_CHANNELS, LENGTH),
    "tcn of one block": lambda: TCN(N_CHANNELS, 3, width=8),
    "tcn without a shortcut": lambda: TCN(N_CHANNELS, 12, width=N_CHANNELS),
    "tcn of single convolutions": lambda: TCN(N_CHANNELS, LENGTH, 8, 4, n_convolutions=1),
}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad(), torch.random.fork_rng():
        yield


def fitted(name, seed=0):
    """A network whose weights and running statistics are not those of the start."""
    torch.manual_seed(seed)
    net = NETWORKS[name]()
    for parameter in net.parameters():
        if parameter.ndim == 1:
            parameter += 0.3 * torch.randn(parameter.shape)
    net.train()(torch.randn(8, N_CHANNELS, LENGTH) - 1)
    return net.eval()


@pytest.fixture(scope="module")
def networks():
    with torch.no_grad(), torch.random.fork_rng():
        return {name: fitted(name) for name in NETWORKS}


def some_series(n=3, length=LENGTH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, N_CHANNELS, length, generator=generator).cumsum(2) / 3


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=2e-6)


def read(net, x, sizes, state=None):
    """Features after each of several steps, and the last state."""
    state = net.start(len(x)) if state is None else state
    features = []
    for points in x.split(sizes, 2):
        state, now = net.step(state, points)
        features.append(now)
    return torch.stack(features, 1), state


def tensors_of(state):
    found = []
    map_state(lambda tensor: found.append(tensor) or tensor, state)
    return found


def test_which_backbones_have_these_methods():
    offers = {name: make_backbone(name, 1, 20) for name in available_backbones()}
    causal = {"lstm", "lstm3-100", "lstm2-32", "lstm1-8", "tcn"}
    assert causal <= {name for name, net in offers.items() if has_point_state(net)}
    assert causal <= {name for name, net in offers.items() if has_path_features(net)}
    assert not has_point_state(offers["fcn"])
    assert not has_path_features(offers["fcn"])
    assert not has_point_state(nn.Flatten())


# Many moments at once


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("time_points", [[1], [40], [17], [1, 2, 3, 40], [5, 6, 20], "every"])
def test_features_at_moments_are_those_of_the_prefixes(name, time_points, networks):
    net, x = networks[name], some_series()
    time_points = range(1, LENGTH + 1) if time_points == "every" else time_points
    path = net.features_at(x, time_points)
    assert path.shape == (3, len(time_points), net(x).shape[1])
    for i, end in enumerate(time_points):
        assert_close(path[:, i], net(x[..., :end]))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("end", [1, 9, LENGTH])
def test_a_list_of_one_moment_has_the_bits_of_forward(name, end, networks):
    net, x = networks[name], some_series()
    assert torch.equal(net.features_at(x, [end])[:, 0], net(x[..., :end]))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("time_points", [[4, 9, 25, 40], range(1, LENGTH + 1)], ids=len)
def test_no_feature_depends_on_a_later_point_to_the_last_bit(name, time_points, networks):
    net, x = networks[name], some_series()
    path = net.features_at(x, time_points)
    for changed in (1, 4, 5, 9, 24, 39):
        other = x.clone()
        other[..., changed:] = 1e3 * torch.randn_like(other[..., changed:])
        before = [i for i, end in enumerate(time_points) if end <= changed]
        assert torch.equal(net.features_at(other, time_points)[:, before], path[:, before])
        after = [i for i, end in enumerate(time_points) if end > changed]
        assert not torch.equal(net.features_at(other, time_points)[:, after], path[:, after])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("time_points", [[4, 9, 25, 40], range(1, LENGTH + 1)], ids=len)
def test_moments_beyond_a_series_end_have_the_features_at_its_end(name, time_points, networks):
    net, lengths = networks[name], torch.tensor([40, 7, 1, 25])
    x = some_series(4) - 3
    x[torch.arange(LENGTH).expand(4, 1, -1).expand_as(x) >= lengths[:, None, None]] = 0
    path = net.features_at(x, time_points, lengths)
    for row, length in enumerate(lengths.tolist()):
        for i, end in enumerate(time_points):
            alone = net(x[row : row + 1, :, : min(end, length)])
            assert_close(path[row, i], alone[0])
    assert_close(
        net.features_at(x, time_points, torch.full((4,), 40)), net.features_at(x, time_points)
    )


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("lengths", [None, [40, 9, 22]])
@pytest.mark.parametrize("time_points", [[6, 22, 40], range(1, 13)], ids=len)
def test_all_moments_train_the_network_at_once(name, lengths, time_points):
    x, lengths = some_series(), None if lengths is None else torch.tensor(lengths)
    net = fitted(name)
    with torch.enable_grad():
        net.features_at(x, time_points, lengths).square().sum().backward()
        found = [p.grad.clone() for p in net.parameters()]
        net.zero_grad()
        for end in time_points:
            own = None if lengths is None else lengths.clamp(max=end)
            net(x[..., :end], own).square().sum().backward()
    for parameter, grad in zip(net.parameters(), found, strict=True):
        scale = parameter.grad.abs().max().item()
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-3, atol=1e-4 * max(scale, 1))


# Point by point


@pytest.mark.parametrize("name", NETWORKS)
def test_each_point_gives_the_features_of_the_prefix(name, networks):
    net, x = networks[name], some_series()
    features, _ = read(net, x, 1)
    for i in range(LENGTH):
        assert_close(features[:, i], net(x[..., : i + 1]))


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_any_division_into_steps_gives_the_same(name, sizes, seed, networks):
    with torch.no_grad():
        net, x = networks[name], some_series(2, sum(sizes), seed)
        features, state = read(net, x, sizes)
        ends = torch.tensor(sizes).cumsum(0).tolist()
        assert_close(features, net.features_at(x, ends))
        _, whole = read(net, x, sum(sizes))
        for found, expected in zip(tensors_of(state), tensors_of(whole), strict=True):
            assert found.shape == expected.shape
            # Sums grow with the series, and so does their rounding.
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("k", [1, 3, 40])
def test_a_state_can_be_continued_twice(name, k, networks):
    net, x = networks[name], some_series()
    _, state = read(net, x, 7)
    before = [tensor.clone() for tensor in tensors_of(state)]
    first = net.step(state, x[..., :k])[1]
    other = net.step(state, -x[..., :k])[1]
    assert not torch.equal(first, other)
    assert all(map(torch.equal, tensors_of(state), before))
    assert torch.equal(net.step(state, x[..., :k])[1], first)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("k", [1, 5])
def test_the_memory_of_the_points_may_be_reused(name, k, networks):
    net, x = networks[name], some_series()
    kept, _ = read(net, x, k)
    points, state, features = torch.empty(3, N_CHANNELS, k), net.start(3), []
    for now in x.split(k, 2):
        state, one = net.step(state, points.copy_(now))
        features.append(one)
    assert torch.equal(torch.stack(features, 1), kept)


def size_of(state):
    """Bytes of the memory that a state keeps alive."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
                for t in tensors_of(state)}.values())  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("k", [1, 7, 1000])
def test_a_state_does_not_grow(name, k, networks):
    net, state, sizes = networks[name], networks[name].start(2), []
    for _ in range(max(600 // k, 3)):
        state, features = net.step(state, torch.randn(2, N_CHANNELS, k))
        sizes.append(size_of(state))
    assert max(sizes[len(sizes) // 2 :]) <= max(sizes[: len(sizes) // 2 + 1])
    assert sizes[-1] < 300_000
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_series_are_taken_out_of_states_and_join_others(name, networks):
    net, x = networks[name], some_series(4)
    _, ahead = read(net, x[:3, :, :23], 1)
    _, behind = read(net, x[3:, :, :5], 2)
    rest = map_state(lambda rows: rows[[0, 2]], ahead)
    joined = map_state(lambda *rows: torch.cat(rows), rest, behind)
    points = some_series(3, 2, seed=9)
    for k in (1, 2):
        features = net.step(joined, points[..., :k])[1]
        for i, (row, end) in enumerate([(0, 23), (2, 23), (3, 5)]):
            prefix = torch.cat([x[row, :, :end], points[i, :, :k]], 1)[None]
            assert_close(features[i], net(prefix)[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_series_do_not_depend_on_each_other(name, networks):
    net, x = networks[name], some_series(5)
    together, _ = read(net, x, 1)
    assert_close(read(net, x[2:3], 1)[0], together[2:3])
    assert read(net, x[:0], 1)[0].shape == (0, LENGTH, together.shape[-1])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_can_be_stored(name, networks):
    net, x = networks[name], some_series()
    _, state = read(net, x, 3)
    again = pickle.loads(pickle.dumps(state))
    assert type(again) is type(state)
    assert torch.equal(net.step(again, x[..., :1])[1], net.step(state, x[..., :1])[1])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("k", [1, 4])
def test_a_step_changes_nothing_in_the_network(name, k):
    net, x = fitted(name), some_series()
    before = copy.deepcopy(net.state_dict())
    features = net.step(net.start(3), x[..., :k])[1]
    net.train()
    torch.testing.assert_close(net.step(net.start(3), x[..., :k])[1], features)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_is_of_the_type_of_the_weights(name):
    net, x = fitted(name).double(), some_series().double()
    features, _ = read(net, x, 1)
    assert features.dtype == torch.float64
    torch.testing.assert_close(features[:, -1], net(x), rtol=1e-12, atol=1e-12)
    assert net.start(2, device="meta")[0][0].device.type == "meta"


def test_a_long_stream_keeps_its_precision():
    net = TCN(1, 8, width=4).eval()
    x = torch.randn(1, 1, 50_000, generator=torch.Generator().manual_seed(0)) + 100
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.running_var.fill_(100.0)
    mean = net.maps(x).double().mean(2)
    _, state = read(net, x[..., :-1], 97)
    features = net.step(state, x[..., -1:])[1]
    torch.testing.assert_close(features[:, :4].double(), mean, rtol=1e-6, atol=1e-6)


def test_states_of_other_forms_are_mapped_too():
    pair = (torch.zeros(2), (torch.ones(2),))
    assert map_state(lambda a, b: a + b, pair, pair)[1][0].tolist() == [2, 2]
    assert map_state(torch.exp, torch.zeros(1)).tolist() == [1]
