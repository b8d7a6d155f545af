"""Rows of one matrix are trained as modules are."""

import numpy as np
import pytest
import torch
from torch import nn

from skgdpd import PrefixClassifier
from skgdpd._model_selection.batched import groups
from skgdpd._model_selection.batched.groups import batch_key
from skgdpd._model_selection.batched.runs import (
    BatchedAdam,
    BestRows,
    RowAverages,
    StackedState,
    bind,
    learning_rates,
    run_of,
)
from skgdpd.training import Progress, TrainingConfig
from skgdpd.training.averaging import WeightAverage
from skgdpd.training.fitting import _scheduler


@pytest.mark.parametrize("decoupled", [True, False])
def test_adam_of_each_row_is_adam(decoupled):
    torch.manual_seed(0)
    lr, decay = torch.tensor([[1e-2], [1e-3], [3e-2]]), torch.tensor([[0.0], [0.1], [1.0]])
    rows = torch.randn(3, 7)
    separate = [nn.Parameter(row.clone()) for row in rows]
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizers = [
        kind([p], lr=float(a), weight_decay=float(w))
        for p, a, w in zip(separate, lr, decay, strict=True)
    ]
    ours = BatchedAdam(rows, decay, decoupled)
    for step in range(5):
        gradient = torch.randn(3, 7)
        beta1 = 0.85 + 0.02 * step
        active = 3 if step > 2 else 2  # the third begins later
        for p, g, optimizer in list(zip(separate, gradient, optimizers, strict=True))[:active]:
            p.grad = g.clone()
            optimizer.param_groups[0]["betas"] = (beta1, 0.999)
            optimizer.step()
        ours.step(rows[:active], gradient[:active], lr[:active], beta1)
    torch.testing.assert_close(rows, torch.stack([p.detach() for p in separate]))


@pytest.mark.parametrize(
    "schedule", ["one-cycle", "cosine", "constant", "halving", "halving-per-batch"]
)
@pytest.mark.parametrize("lr", [1.0, 1e-3])
def test_rates_are_the_scheduler_s(schedule, lr):
    config = TrainingConfig(40, lr=lr, lr_schedule=schedule)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=lr)
    make, per = _scheduler(config, 3)
    scheduler = make(optimizer) if make else None
    expected = []
    for step in range(120):
        group = optimizer.param_groups[0]
        expected.append((group["lr"], group["betas"][0]))
        optimizer.step()
        if scheduler and (per == "batch" or step % 3 == 2):
            scheduler.step()
    rates = [(share * lr, beta) for share, beta in learning_rates(config, 3)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_averages_of_rows_are_those_of_modules():
    module = nn.Linear(2, 1)
    average = WeightAverage(module, 3)
    names = [name for name, _ in module.named_parameters()]
    state = StackedState([module, module], names, [])
    ours = RowAverages(state.values, 3)
    for step in range(6):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(step**2)
        average.update()
        ours.update(StackedState([module, module], names, []).values)
    expected = StackedState([average.module, average.module], names, []).values
    torch.testing.assert_close(ours.values, expected)


def test_a_bound_module_sees_its_row_and_adds_its_gradients_there():
    modules = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2)]
    names = [name for name, _ in modules[0].named_parameters()]
    state = StackedState(modules, names, ["1.running_mean", "1.running_var"])
    gradient = torch.zeros_like(state.parameters)
    for i, module in enumerate(modules):
        bind(module, state, state.values[i], gradient[i])
    before = state.values.clone()
    modules[1](torch.randn(5, 2) + 3).square().sum().backward()
    assert torch.equal(before[0], state.values[0])
    assert not torch.equal(before[1], state.values[1]), "running statistics"
    assert gradient[0].abs().sum() == 0
    expected = torch.cat([p.grad.flatten() for p in modules[1].parameters()])
    assert torch.equal(gradient[1], expected)


def test_best_rows_are_each_row_s_own():
    best = BestRows([0, 1])
    for epoch, losses in enumerate(([1.0, 0.0], [2.0, 5.0], [0.5, 7.0])):
        best.update(epoch, np.array(losses), torch.full((2, 1), float(epoch)))
    assert best.epochs.tolist() == [2, 1]
    assert best.values.flatten().tolist() == [2.0, 1.0]
    assert best.patience_over(3, 2).tolist() == [False, True]


def test_an_option_that_batches_do_not_know_keeps_students_apart(monkeypatch, bumps):
    clf = PrefixClassifier("lstm1-8", max_epochs=2, random_state=0)
    data = clf._read_fit(*bumps)
    run = run_of(clf._prepare(data, Progress(1, visible=False)).student)
    assert batch_key(run) is not None
    monkeypatch.setattr(groups, "COMPUTED", groups.COMPUTED - {"weight_decay"})
    assert batch_key(run) is None
