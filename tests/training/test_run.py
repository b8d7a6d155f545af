"""A training left and taken up again is the same training."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd.distillers import SeriesObjective
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Rows, TrainingConfig, train
from skgdpd.training.fitting import isolated_random_state
from skgdpd.training.run import TrainingRun
from skgdpd.training.state import TrainingState

N_EPOCHS = 6


class Noisy(SeriesObjective):
    """Draws from the objective's generator, as distillations do, and has weights of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def terms(self, module, batch, step):
        terms = super().terms(module, batch, step)
        noise = torch.randn(4, generator=step.generator).mean()
        return {**terms, "noise": 0.1 * self.scale * noise * module.head.bias.sum()}


class Interrupt(Exception):
    pass


def small_net(seed=0):
    torch.manual_seed(seed)
    backbone = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU()
    )
    backbone.n_features = 8
    return SeriesNet(backbone, 3)


def rows(n=24, seed=0):
    made = torch.Generator().manual_seed(seed)
    return Rows(x=torch.randn(n, 1, 12, generator=made), y=torch.arange(n) % 3)


class Keeper:
    """In the place of checkpoints: keeps states in memory, and stops where it is told to."""

    def __init__(self, stop=None, state=None):
        self.stop, self.state = stop, state

    def follow(self, run, key):
        if self.state is not None:
            run.restore(TrainingState.from_bytes(self.state))
        run.after_epoch = self.after

    def after(self, run):
        if run.epoch == self.stop:
            self.state = run.state().to_bytes()
            raise Interrupt


def trained(config, keeper=None, **kwargs):
    with isolated_random_state(0, torch.device("cpu")):
        module, objective = small_net(), Noisy()
        history = train(
            module,
            objective,
            rows(),
            config,
            valid_rows=rows(9, seed=1),
            shuffle_seed=1,
            noise_seed=2,
            checkpoints=keeper,
            **kwargs,
        )
    return module.state_dict() | objective.state_dict(), history


def assert_same(one, two):
    for name, tensor in one[0].items():
        assert torch.equal(tensor, two[0][name]), name
    assert one[1].best_epoch == two[1].best_epoch
    assert list(one[1]) == list(two[1])
    for name in one[1]:
        np.testing.assert_array_equal(one[1][name], two[1][name])


SCHEDULES = ["one-cycle", "cosine", "constant", "halving", "halving-per-batch"]
CHOICES = [
    {"lr_schedule": schedule, "optimizer": optimizer, "averaging_epochs": averaging}
    for (schedule, optimizer), averaging in zip(
        itertools.product(SCHEDULES, ["adamw", "adam"]), itertools.cycle([0.0, 2.0, 1.5])
    )
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(map(str, c.values())))
def test_a_training_in_two_parts_is_the_training(choice):
    config = TrainingConfig(max_epochs=N_EPOCHS, batch_size=8, lr=0.01, **choice)
    whole = trained(config)
    for stop in (1, 3, N_EPOCHS):
        keeper = Keeper(stop)
        with pytest.raises(Interrupt):
            trained(config, keeper)
        assert_same(whole, trained(config, Keeper(state=keeper.state)))


@settings(max_examples=15, deadline=None)
@given(
    stops=st.sets(st.integers(1, 11)),
    patience=st.integers(1, 3),
    first=st.integers(0, 5),
    lr=st.sampled_from([1e-3, 1e-1]),
)
def test_any_number_of_parts_with_early_stopping(stops, patience, first, lr):
    config = TrainingConfig(
        max_epochs=12, batch_size=8, lr=np.float64(lr), averaging_epochs=1.0, patience=patience
    )
    whole = trained(config, first_selected_epoch=first)
    state = None
    for stop in sorted(stops):
        keeper = Keeper(stop, state)
        if stop <= whole[1].n_epochs:
            with pytest.raises(Interrupt):
                trained(config, keeper, first_selected_epoch=first)
            state = keeper.state
    assert_same(whole, trained(config, Keeper(state=state), first_selected_epoch=first))


def test_a_training_that_has_stopped_does_not_start_again():
    config = TrainingConfig(max_epochs=40, batch_size=8, lr=0.3, patience=1)
    whole = trained(config)
    n_epochs = whole[1].n_epochs
    assert n_epochs < 40
    keeper = Keeper(n_epochs)
    with pytest.raises(Interrupt):
        trained(config, keeper)
    assert_same(whole, trained(config, Keeper(state=keeper.state)))


def test_a_state_is_a_value(monkeypatch):
    """Going on from a state leaves it as it was, so that others can go on from it too."""
    state = None

    def after(run, advance=TrainingRun.advance):
        nonlocal state
        advance(run, 2)
        state = run.state()
        before = {name: tensor.clone() for name, tensor in state.tensors.items()}
        advance(run, 4)
        run.restore(state)
        advance(run, 5)
        assert before.keys() == state.tensors.keys()
        for name, tensor in before.items():
            assert torch.equal(tensor, state.tensors[name]), name
            assert tensor.stride() == state.tensors[name].stride()

    monkeypatch.setattr(TrainingRun, "advance", lambda run, n_epochs: after(run))
    trained(TrainingConfig(max_epochs=N_EPOCHS, batch_size=8, averaging_epochs=2.0))
    assert state.facts["epoch"] == 2


def test_strides_and_values_survive_bytes():
    weight = torch.randn(4, 3, 5).transpose(1, 2)
    state = TrainingState({"a.w": weight}, {"pair": (1, 2.5), "none": None, "inf": float("inf")})
    back = TrainingState.from_bytes(state.to_bytes())
    assert back.facts == state.facts
    assert torch.equal(back.tensors["a.w"], weight)
    assert back.tensors["a.w"].stride() == weight.stride()
    assert back.part("a")["w"].data_ptr() != back.tensors["a.w"].data_ptr()


def test_code_in_a_state_is_not_run():
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    content = TrainingState({}, {"evil": Evil()}).to_bytes()
    with pytest.raises(Exception, match="weights_only"):
        TrainingState.from_bytes(content)
