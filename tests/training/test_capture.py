"""Functions that run a few times, are recorded, and replayed from then on."""

import copy

import pytest
import torch
from tapes import TapeRecorder
from torch import nn

from skgdpd.training.capture import WARM_UP, NotCapturable, Replayed


def walk(generator=None):
    """A function that changes its state and draws noise, and its state."""
    state = torch.zeros(3)

    def function():
        state.add_(torch.randn(3, generator=generator)).mul_(2)
        return state.square().sum()

    return function, state


@pytest.mark.parametrize("own", [False, True])
def test_replays_go_on_from_the_calls_before(own):
    outcomes = []
    for recorded in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            generator = torch.Generator().manual_seed(2) if own else None
            function, state = walk(generator)
            if recorded:
                generators = [generator] if own else []
                function = Replayed(function, TapeRecorder(), generators)
            results = [function().clone() for _ in range(WARM_UP + 4)]
            outcomes.append((results, state))
    assert outcomes[0][0] == outcomes[1][0]
    assert torch.equal(outcomes[0][1], outcomes[1][1])


def test_recording_does_nothing_by_itself():
    recorder = TapeRecorder()
    generator = torch.Generator().manual_seed(0)
    function, state = walk(generator)
    before = generator.get_state()
    replay = recorder.record(function, [generator])
    assert torch.equal(state, torch.zeros(3))
    assert torch.equal(generator.get_state(), before)
    replay()
    assert state.abs().min() > 0
    assert not torch.equal(generator.get_state(), before)


def test_replays_run_no_python():
    calls = []

    def function():
        calls.append(1)
        return torch.ones(())

    replayed = Replayed(function, TapeRecorder())
    for i in range(WARM_UP + 5):
        assert replayed.recorded == (i > WARM_UP)
        replayed()
    assert len(calls) == WARM_UP + 1
    assert replayed.recorder.n_replays == 5


def test_the_stand_in_replays_backward_passes_and_running_statistics():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nets = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())]
    nets.append(copy.deepcopy(nets[0]))
    x = torch.arange(15.0).view(5, 3).sin()
    outcomes = []
    for net, recorded in zip(nets, (False, True), strict=True):

        def function(net=net):
            net.zero_grad(set_to_none=True)
            loss = net(x).square().sum()
            loss.backward()
            return loss.detach()

        replayed = Replayed(function, TapeRecorder())
        with torch.random.fork_rng():
            torch.manual_seed(3)
            call = replayed if recorded else function
            losses = [call().clone() for _ in range(WARM_UP + 3)]
        gradients = [p.grad for p in net.parameters()]
        outcomes.append([*losses, *gradients, *net.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_what_waits_is_not_recorded():
    state = torch.zeros(())

    def function():
        state.add_(1)
        return float(state)

    recorder = TapeRecorder()
    replayed = Replayed(function, recorder)
    assert [replayed() for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert not replayed.recorded
    assert recorder.n_records == 0
    assert "waits for the device" in replayed.reason
    assert "_local_scalar_dense" in replayed.reason


def test_a_recording_that_fails_changes_nothing():
    state = torch.zeros(())

    def function():
        state.add_(1)
        return state[state > 0].sum().clone()

    replayed = Replayed(function, TapeRecorder(blind=True))
    assert [float(replayed()) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert "not permitted" in replayed.reason


def test_other_errors_of_the_function_reach_the_caller():
    class Refuses(TapeRecorder):
        def record(self, function, generators):
            raise NotCapturable("no room")

    def function():
        raise ZeroDivisionError

    replayed = Replayed(function, Refuses())
    with pytest.raises(ZeroDivisionError):
        replayed()
    replayed = Replayed(lambda: 1, Refuses())
    assert [replayed() for _ in range(5)] == [1] * 5
    assert replayed.reason == "no room"
