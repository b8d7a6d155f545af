"""Stacked layers do what their members do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd._model_selection.batched.stacked_lstm import stack_frozen, stacked_lstm
from skgdpd.diffusion import BottleneckDenoiser, FiLMDenoiser, NoiseSchedule
from skgdpd.nets.lstm import LSTM


@given(
    n_members=st.integers(1, 4),
    n=st.integers(1, 5),
    n_channels=st.integers(1, 3),
    n_times=st.integers(1, 6),
    hidden=st.integers(1, 5),
    n_layers=st.integers(1, 3),
    ragged=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_lstms_and_their_gradients(n_members, n, n_channels, n_times, hidden, n_layers, ragged):
    torch.manual_seed(0)
    members = [LSTM(n_channels, hidden, n_layers).double() for _ in range(n_members)]
    x = torch.randn(n_members, n, n_channels, n_times, dtype=torch.float64)
    lengths = torch.randint(1, n_times + 1, (n_members, n)) if ragged else None
    alone = torch.stack(
        [m(x[i], None if lengths is None else lengths[i]) for i, m in enumerate(members)]
    )
    weights = {
        name: torch.stack([dict(m.named_parameters())[name].detach() for m in members])
        for name, _ in members[0].named_parameters()
    }
    for value in weights.values():
        value.requires_grad_()
    together = stacked_lstm(members[0], weights, x, lengths)
    torch.testing.assert_close(together, alone)
    direction = torch.randn_like(alone)
    (alone * direction).sum().backward()
    (together * direction).sum().backward()
    for name, value in weights.items():
        for i, member in enumerate(members):
            torch.testing.assert_close(value.grad[i], dict(member.named_parameters())[name].grad)


def test_the_gradient_of_stacked_lstms_is_their_derivative():
    torch.manual_seed(1)
    template = LSTM(2, 3, 2).double()
    names = [name for name, _ in template.named_parameters()]
    values = [p.detach().repeat(2, *[1] * p.ndim).requires_grad_() for p in template.parameters()]
    x = torch.randn(2, 2, 2, 4, dtype=torch.float64)

    def features(*values):
        return stacked_lstm(template, dict(zip(names, values, strict=True)), x)

    assert torch.autograd.gradcheck(features, values)


@pytest.mark.parametrize("kind", [FiLMDenoiser, BottleneckDenoiser])
def test_denoisers(kind):
    torch.manual_seed(0)
    schedule = NoiseSchedule()
    members = [kind(6, schedule) for _ in range(3)]
    for member in members:
        member(torch.randn(9, 6), torch.randint(1000, (9,)))  # running statistics
        for parameter in member.parameters():
            nn.init.normal_(parameter, std=0.3)
        member.eval()
    x, t = torch.randn(3, 5, 6), torch.tensor([300])
    alone = torch.stack([m(rows, t.expand(5)) for m, rows in zip(members, x, strict=True)])
    torch.testing.assert_close(stack_frozen(members)(x, t), alone, rtol=1e-4, atol=1e-5)


def test_layers_that_it_does_not_know_are_refused():
    members = [nn.Sequential(nn.Conv1d(1, 1, 1)) for _ in range(2)]
    assert stack_frozen(members) is None


def test_a_stack_of_one_is_itself():
    member = nn.Linear(2, 2)
    assert stack_frozen([member]) is member
