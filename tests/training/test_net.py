"""Training: the plain torch loop, and what is promised beside it."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd import config_context
from skgdpd.training import (
    Objective,
    Progress,
    Rows,
    TrainingConfig,
    soft_cross_entropy,
    train,
    weighted_cross_entropy,
)
from skgdpd.training.batches import RowBatches
from skgdpd.training.fitting import isolated_random_state
from skgdpd.training.net import TermNet, sum_terms

CPU = torch.device("cpu")


def make_rows(n=23, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    target = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.3
    return Rows(x=x, target=target + 0.1 * torch.randn(n, 1, generator=generator))


def linear(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(4, 1)


class Regression(Objective):
    """Squared error with a trained offset of its own, and a penalty from the third epoch on."""

    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(0.5))

    def terms(self, module, batch, step):
        error = module(batch["x"]) + self.offset - batch["target"]
        terms = {"mse": error.square().mean()}
        if step.epoch >= 2:
            terms["penalty"] = 0.1 * module.weight.abs().sum()
        return terms

    def validation_terms(self, module, batch):
        error = module(batch["x"]) + self.offset - batch["target"]
        return {"loss": error.square().mean(), "bias": error.mean()}


class Plain(Objective):
    """Squared error."""

    def terms(self, module, batch, step):
        return {"mse": (module(batch["x"]) - batch["target"]).square().mean()}


class Script(Regression):
    """Validation losses that are given, one an epoch; keeps the weights that each belongs to."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.weights = []
        self.modes = []

    def start_epoch(self, module, rows, step):
        self.epoch = step.epoch

    def terms(self, module, batch, step):
        self.modes.append(module.training)
        return super().terms(module, batch, step)

    def validation_terms(self, module, batch):
        self.modes.append(module.training)
        assert not torch.is_grad_enabled()
        self.weights.append(copy.deepcopy(module.state_dict()))
        return {"loss": torch.tensor(self.losses[self.epoch])}


CONSTANT = TrainingConfig(max_epochs=4, batch_size=5, lr=0.05, lr_schedule="constant")


# The plain loop


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("batch_size", [5, 23])
def test_training_gives_the_bits_of_a_plain_torch_loop(optimizer, batch_size):
    rows = make_rows()
    ours, objective = linear(), Regression()
    config = TrainingConfig(4, batch_size, 0.05, 0.1, optimizer, "constant")
    history = train(ours, objective, rows, config, shuffle_seed=3)

    theirs, offset = linear(), torch.tensor(0.5, requires_grad=True)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    step = kind(
        [*theirs.parameters(), offset],
        lr=0.05,
        weight_decay=0.1,
        fused=True,
    )
    batches = RowBatches(rows, batch_size, torch.Generator().manual_seed(3))
    losses = np.zeros(4)
    for epoch in range(4):
        for batch in batches:
            loss = (theirs(batch["x"]) + offset - batch["target"]).square().mean()
            if epoch >= 2:
                loss = loss + 0.1 * theirs.weight.abs().sum()
            step.zero_grad()
            loss.backward()
            step.step()
            losses[epoch] += loss.item() * len(batch["x"]) / len(rows)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert torch.equal(objective.offset, offset)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)


def test_the_loss_is_the_sum_of_its_terms_and_a_term_that_is_off_is_zero():
    history = train(linear(), Regression(), make_rows(), CONSTANT)
    assert set(history) == {"mse", "penalty", "loss"}
    np.testing.assert_allclose(history["loss"], history["mse"] + history["penalty"], rtol=1e-6)
    assert (history["penalty"][:2] == 0).all()
    assert (history["penalty"][2:] > 0).all()
    assert history.n_epochs == 4


def test_terms_are_summed_once_each():
    values = {f"term {i}": torch.tensor(2.0**i) for i in range(5)}
    assert sum_terms(values) == 31


def test_the_module_is_trained_in_place_and_left_in_prediction_mode():
    module = linear()
    before = module.weight.detach().clone()
    weight = module.weight
    train(module, Regression(), make_rows(), CONSTANT)
    assert module.weight is weight
    assert not torch.equal(module.weight, before)
    assert not module.training


def test_frozen_parameters_stay_as_they_are():
    module = linear()
    module.weight.requires_grad_(False)
    before = module.weight.clone()
    train(module, Regression(), make_rows(), CONSTANT)
    assert torch.equal(module.weight, before)


def test_more_training_finds_least_squares():
    rows = make_rows(200)
    module, objective = linear(), Regression()
    config = TrainingConfig(500, 200, 0.1, 0.0, "adam", "one-cycle")

    class Plain(Regression):
        def terms(self, module, batch, step):
            return {"mse": (module(batch["x"]) - batch["target"]).square().mean()}

    train(module, Plain(), rows, config)
    x, target = rows.tensors["x"], rows.tensors["target"]
    design = torch.cat([x, torch.ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(design, target).solution[:, 0]
    torch.testing.assert_close(module.weight[0].detach(), solution[:4], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(module.bias.detach(), solution[4:], atol=1e-3, rtol=1e-3)
    assert objective.offset == 0.5


# Seeds


class Noisy(Regression):
    def terms(self, module, batch, step):
        noise = torch.randn(len(batch["x"]), 4, generator=step.generator)
        return {"mse": (module(batch["x"] + noise) - batch["target"]).square().mean()}


def test_order_and_noise_are_seeded_each_by_itself():
    def run(**seeds):
        return train(linear(), Noisy(), make_rows(), CONSTANT, **seeds)["loss"]

    np.testing.assert_array_equal(run(), run())
    assert not np.array_equal(run(shuffle_seed=1), run())
    assert not np.array_equal(run(noise_seed=1), run())


def test_global_generators_are_neither_used_nor_changed():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = train(linear(), Noisy(), make_rows(), CONSTANT)["loss"]
        torch.manual_seed(2)
        torch_state, numpy_state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
        second = train(linear(), Noisy(), make_rows(), CONSTANT)["loss"]
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert str(np.random.get_state()) == numpy_state  # noqa: NPY002
    np.testing.assert_array_equal(first, second)


def test_an_isolated_block_is_seeded_and_leaves_no_trace():
    before = torch.get_rng_state()
    with isolated_random_state(5, CPU):
        one = torch.randn(3)
    with isolated_random_state(5, CPU):
        other = torch.randn(3)
    with isolated_random_state(6, CPU):
        third = torch.randn(3)
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
    assert torch.equal(torch.get_rng_state(), before)


# Interrupts and errors


@pytest.mark.parametrize("where", ["terms", "validation_terms", "start_epoch"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
def test_what_is_raised_inside_an_objective_reaches_the_caller(where, error):
    class Raises(Regression):
        def __init__(self):
            super().__init__()
            self.n_calls = 0

    def raise_later(self, *args):
        self.n_calls += 1
        if self.n_calls > 2:
            raise error("now")
        return getattr(Regression, where)(self, *args)

    setattr(Raises, where, raise_later)
    with pytest.raises(error, match="now"):
        train(linear(), Raises(), make_rows(), CONSTANT, valid_rows=make_rows(7, 1))


def test_an_interrupt_closes_an_isolated_block():
    class Interrupted(Regression):
        def terms(self, module, batch, step):
            raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), isolated_random_state(0, CPU):
        train(linear(), Interrupted(), make_rows(), CONSTANT)
    assert torch.equal(torch.get_rng_state(), before)


# The best epoch


def test_the_best_weights_are_restored():
    valid = make_rows(50, 1)
    module, objective = linear(), Regression()
    # A rate at which the loss goes up and down.
    config = TrainingConfig(30, 5, 1.0, 0.0, "adam", "constant")

    class FixedOffset(Regression):
        def __init__(self):
            super().__init__()
            self.offset.requires_grad_(False)

    objective = FixedOffset()
    history = train(module, objective, make_rows(), config, valid_rows=valid)
    assert history.best_epoch == np.argmin(history["valid_loss"])
    assert history.best_epoch < 29
    with torch.no_grad():
        final = objective.validation_terms(module, valid.tensors)["loss"].item()
    assert final == history["valid_loss"].min()
    assert history.n_validation == 50
    assert set(history) >= {"valid_loss", "valid_bias"}


@pytest.mark.parametrize(
    ("losses", "first", "best"),
    [
        ([3.0, 1.0, 2.0, 1.0], 0, 1),  # the first of equals
        ([0.0, 3.0, 2.0, 4.0], 1, 2),  # a warm-up does not compete
        ([4.0, 3.0, 2.0, 1.0], 0, 3),
        ([1.0, 2.0, 3.0, 4.0], 0, 0),
    ],
)
def test_the_weights_kept_are_those_of_the_lowest_validation_loss(losses, first, best):
    module, objective = linear(), Script(losses)
    history = train(
        module,
        objective,
        make_rows(),
        CONSTANT,
        valid_rows=make_rows(6),
        first_selected_epoch=first,
    )
    assert history.best_epoch == best
    assert history.best_epoch >= first
    np.testing.assert_allclose(history["valid_loss"], losses)
    for name, value in objective.weights[best].items():
        assert torch.equal(module.state_dict()[name], value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_a_validation_loss_that_is_not_finite_stops_at_once(bad):
    module, objective = linear(), Script([3.0, bad, 1.0, 1.0])
    words = f"student diverged in epoch 2: its loss term 'valid_loss' is {bad}"
    with pytest.raises(FloatingPointError, match=words):
        train(module, objective, make_rows(), CONSTANT, valid_rows=make_rows(6), role="student")
    assert len(objective.weights) == 2


class Breaks(Regression):
    """Regression of which one term is not finite, from one epoch on."""

    def __init__(self, bad, epoch):
        super().__init__()
        self.bad, self.epoch = bad, epoch

    def terms(self, module, batch, step):
        terms = super().terms(module, batch, step)
        scale = self.bad if step.epoch >= self.epoch else 1.0
        return {**terms, "extra": terms["mse"].detach() * scale}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=str)
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_loss_term_that_is_not_finite_stops_at_once(bad, epoch):
    seen = []

    class Seen(Progress):
        def end_epoch(self, *args):
            seen.append(args)
            return super().end_epoch(*args)

    with pytest.raises(FloatingPointError) as caught:
        train(
            linear(),
            Breaks(bad, epoch),
            make_rows(),
            CONSTANT,
            role="prior",
            progress=Seen(4, False),
        )
    message = str(caught.value)
    assert f"prior diverged in epoch {epoch + 1}: its loss term 'extra' is {bad}." in message
    assert "lr=0.05" in message
    assert "weight decay (0.01)" in message
    assert len(seen) == epoch


def test_the_loss_of_each_epoch_is_all_that_is_looked_at(monkeypatch):
    looked = []
    monkeypatch.setattr(
        "skgdpd.training.net.check_terms", lambda terms, *_: looked.append(set(terms))
    )
    train(linear(), Regression(), make_rows(), CONSTANT)
    assert looked == [{"mse", "loss"}] * 2 + [{"mse", "penalty", "loss"}] * 2


def test_without_validation_rows_the_last_weights_stay():
    one, other = linear(), linear()
    history = train(one, Regression(), make_rows(), CONSTANT)
    assert history.best_epoch is None
    assert history.n_validation == 0
    assert not any(name.startswith("valid") for name in history)
    # The same training, its validation always better, keeps the last weights as well.
    train(other, Script([4.0, 3.0, 2.0, 1.0]), make_rows(), CONSTANT, valid_rows=make_rows(6))
    assert torch.equal(one.weight, other.weight)


def test_modules_are_in_training_mode_for_batches_and_not_for_validation():
    objective = Script([1.0] * 4)
    train(linear(), objective, make_rows(), CONSTANT, valid_rows=make_rows(6))
    assert objective.modes == ([True] * 5 + [False]) * 4


# Early stopping


@pytest.mark.parametrize(
    ("losses", "patience", "first", "n_epochs"),
    [
        ([1.0] + [2.0] * 20, 3, 0, 4),
        ([5.0, 4.0, 3.0, 2.0] + [9.0] * 20, 2, 0, 6),
        ([3.0, 4.0, 2.0, 4.0, 4.0, 1.0] + [9.0] * 20, 3, 0, 9),
        ([1.0] + [2.0] * 20, 3, 4, 8),  # patience begins after the warm-up
        ([3.0 - 0.1 * i for i in range(12)], 1, 0, 12),  # always better: to the end
    ],
)
def test_training_stops_after_so_many_epochs_without_a_better_one(
    losses, patience, first, n_epochs
):
    config = TrainingConfig(12, 5, 0.05, lr_schedule="constant", patience=patience)
    module, objective = linear(), Script(losses)
    history = train(
        module,
        objective,
        make_rows(),
        config,
        valid_rows=make_rows(6),
        first_selected_epoch=first,
    )
    assert history.n_epochs == n_epochs
    assert len(objective.weights) == n_epochs
    assert history.best_epoch == first + int(np.argmin(losses[first:n_epochs]))
    assert torch.equal(module.weight, objective.weights[history.best_epoch]["weight"])


def test_patience_without_validation_rows_stops_nothing():
    config = TrainingConfig(6, 5, 0.05, lr_schedule="constant", patience=1)
    assert train(linear(), Regression(), make_rows(), config).n_epochs == 6


# Progress


class Recorder(Progress):
    def __init__(self):
        super().__init__(0, visible=False)
        self.told = []

    def advance(self, units, values=None):
        super().advance(units, values)
        self.told.append(dict(values or {}))


def test_progress_is_told_of_each_epoch_with_its_terms():
    progress = Recorder()
    history = train(linear(), Regression(), make_rows(), CONSTANT, progress=progress)
    assert progress.done == 4
    assert [told["epoch"] for told in progress.told] == [1, 2, 3, 4]
    for name in ("mse", "loss"):
        np.testing.assert_allclose([told[name] for told in progress.told], history[name])
    assert "penalty" not in progress.told[0]


def test_progress_counts_in_the_units_that_it_is_told():
    progress = Recorder()
    train(linear(), Regression(), make_rows(), CONSTANT, progress=progress, progress_units=0.25)
    assert progress.done == 1


def test_progress_counts_the_epoch_in_which_training_stopped():
    config = TrainingConfig(9, 5, 0.05, lr_schedule="constant", patience=2)
    progress = Recorder()
    history = train(
        linear(),
        Script([1.0] + [2.0] * 9),
        make_rows(),
        config,
        valid_rows=make_rows(6),
        progress=progress,
    )
    assert progress.done == history.n_epochs == 3


def test_training_prints_nothing(capfd):
    train(linear(), Regression(), make_rows(), CONSTANT, valid_rows=make_rows(6))
    assert capfd.readouterr() == ("", "")


def test_fused_adam_can_be_turned_off():
    rows, weights, plain = make_rows(), {}, linear()
    for enabled in (False, True):
        module = linear()
        with config_context(fused_adam=enabled):
            train(module, Plain(), rows, CONSTANT)
        weights[enabled] = module.weight
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.05, weight_decay=1e-2)
    shuffle = torch.Generator().manual_seed(0)
    for _ in range(4):
        for batch in RowBatches(rows, 5, shuffle):
            optimizer.zero_grad()
            (plain(batch["x"]) - batch["target"]).square().mean().backward()
            optimizer.step()
    assert torch.equal(weights[False], plain.weight)
    torch.testing.assert_close(weights[True], weights[False])


# Learning rates


def learning_rates(monkeypatch, schedule, max_epochs, n_batches, lr=0.02):
    """The rate of every step, ``(max_epochs, n_batches)``."""
    rates = []
    plain = TermNet.train_step

    def spy(net, batch, **params):
        rates.append(net.optimizer_.param_groups[0]["lr"])
        return plain(net, batch, **params)

    monkeypatch.setattr(TermNet, "train_step", spy)
    config = TrainingConfig(max_epochs, 2, lr, lr_schedule=schedule)
    train(linear(), Regression(), make_rows(2 * n_batches), config)
    return np.array(rates).reshape(max_epochs, n_batches)


def test_a_constant_rate_is_constant(monkeypatch):
    assert (learning_rates(monkeypatch, "constant", 5, 3) == 0.02).all()


def test_a_cosine_falls_from_the_rate_to_nearly_zero(monkeypatch):
    rates = learning_rates(monkeypatch, "cosine", 10, 4).ravel()
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(40) / 40)), atol=1e-9)


def test_one_cycle_rises_to_the_rate_and_falls_to_nearly_zero(monkeypatch):
    rates = learning_rates(monkeypatch, "one-cycle", 10, 4).ravel()
    peak = int(rates.argmax())
    assert rates[peak] == pytest.approx(0.02)
    assert peak == 0.3 * 40 - 1  # torch's share of the rise
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[0] == pytest.approx(0.02 / 25)
    assert rates[-1] < 1e-3 * rates[0]


def test_halving_halves_at_epochs_25_30_and_35(monkeypatch):
    rates = learning_rates(monkeypatch, "halving", 40, 2)
    expected = 0.02 * 0.5 ** np.searchsorted([25, 30, 35], np.arange(40), side="right")
    np.testing.assert_allclose(rates, np.repeat(expected[:, None], 2, 1))


def test_halving_per_batch_halves_at_batches_25_30_and_35(monkeypatch):
    rates = learning_rates(monkeypatch, "halving-per-batch", 10, 4).ravel()
    expected = 0.02 * 0.5 ** np.searchsorted([25, 30, 35], np.arange(40), side="right")
    np.testing.assert_allclose(rates, expected)


@pytest.mark.parametrize(
    "schedule", ["one-cycle", "cosine", "constant", "halving", "halving-per-batch"]
)
@pytest.mark.parametrize(("max_epochs", "n_batches"), [(1, 1), (1, 2), (2, 1), (3, 1), (7, 3)])
def test_every_schedule_works_for_the_shortest_trainings(
    schedule, max_epochs, n_batches, monkeypatch
):
    rates = learning_rates(monkeypatch, schedule, max_epochs, n_batches)
    assert np.isfinite(rates).all()
    assert (rates > 0).all()
    assert (rates <= 0.02 * (1 + 1e-9)).all()


# Cross-entropies


def logits_and_labels(seed, n=9, n_classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    y = torch.randint(n_classes, (n,), generator=generator)
    weight = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1
    return logits, y, weight


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_weights_of_one_are_no_weights(seed):
    logits, y, weight = logits_and_labels(seed)
    ones = torch.ones_like(weight)
    plain = F.cross_entropy(logits, y)
    torch.testing.assert_close(weighted_cross_entropy(logits, y), plain)
    torch.testing.assert_close(weighted_cross_entropy(logits, y, ones), plain)
    targets = F.one_hot(y, 4).double()
    torch.testing.assert_close(soft_cross_entropy(logits, targets), plain)
    torch.testing.assert_close(soft_cross_entropy(logits, targets, ones), plain)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_a_weight_of_two_counts_as_two_rows(seed):
    logits, y, _ = logits_and_labels(seed)
    weight = torch.ones(9, dtype=torch.float64)
    weight[3] = 2
    twice = torch.cat([torch.arange(9), torch.tensor([3])])
    expected = F.cross_entropy(logits[twice], y[twice])
    torch.testing.assert_close(weighted_cross_entropy(logits, y, weight) * 9 / 10, expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_rows_without_a_label_count_nothing_and_get_no_gradient(seed, n_unlabeled):
    logits, y, weight = logits_and_labels(seed)
    logits.requires_grad_()
    y[:n_unlabeled], weight[:n_unlabeled] = -1, 0
    loss = weighted_cross_entropy(logits, y, weight)
    loss.backward()
    assert (logits.grad[:n_unlabeled] == 0).all()
    if n_unlabeled < 9:
        rest = slice(n_unlabeled, None)
        expected = weighted_cross_entropy(logits[rest], y[rest], weight[rest])
        torch.testing.assert_close(loss, expected)
    else:
        assert loss == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_soft_targets_are_a_mixture_of_labels(seed):
    logits, y, weight = logits_and_labels(seed)
    other = (y + 1) % 4
    mixed = 0.7 * F.one_hot(y, 4).double() + 0.3 * F.one_hot(other, 4).double()
    expected = 0.7 * F.cross_entropy(logits, y, reduction="none") + 0.3 * F.cross_entropy(
        logits, other, reduction="none"
    )
    torch.testing.assert_close(
        soft_cross_entropy(logits, mixed, weight), (expected * weight).mean()
    )


def test_soft_cross_entropy_is_least_at_its_targets():
    logits, _, _ = logits_and_labels(0)
    targets = torch.softmax(logits, -1)
    entropy = -(targets * targets.log()).sum(-1).mean()
    torch.testing.assert_close(soft_cross_entropy(logits, targets), entropy)
    logits = logits.requires_grad_()
    soft_cross_entropy(logits, targets).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits))
