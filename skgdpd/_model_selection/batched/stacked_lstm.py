"""Layers of M networks of one shape, computed together along a leading axis of members.

In small networks, the launch of a kernel takes more time than its computation. Joint computation
needs one launch for all members instead of one for each member.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...nets.layers import FeatureBatchNorm
from ...nets.lstm import LSTM


class StackedLinear(nn.Module):
    """M linear layers, from ``(M, n, d_in)``, or a common ``(n, d_in)``, to ``(M, n, d_out)``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        weight = torch.stack([layer.weight.detach().T for layer in layers])
        bias = torch.stack([layer.bias.detach() for layer in layers])
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias.unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            x = x.expand(len(self.weight), -1, -1)
        return torch.baddbmm(self.bias, x, self.weight)


class StackedAffine(nn.Module):
    """M batch normalisations in evaluation mode, which use running statistics."""

    scale: Tensor
    shift: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        scales, shifts = [], []
        for layer in layers:
            assert layer.running_mean is not None
            assert layer.running_var is not None
            scale = layer.weight.detach() * torch.rsqrt(layer.running_var + layer.eps)
            scales.append(scale)
            shifts.append(layer.bias.detach() - layer.running_mean * scale)
        self.register_buffer("scale", torch.stack(scales).unsqueeze(1))
        self.register_buffer("shift", torch.stack(shifts).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


class StackedEmbedding(nn.Module):
    """M embeddings, from common indices ``(n,)`` to ``(M, n, d)``."""

    weight: Tensor

    def __init__(self, layers: Sequence[nn.Embedding]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.stack([layer.weight.detach() for layer in layers]))

    def forward(self, index: Tensor) -> Tensor:
        return self.weight.index_select(1, index)


_STACKED: Mapping[type[nn.Module], Any] = {
    nn.Linear: StackedLinear,
    FeatureBatchNorm: StackedAffine,
    nn.Embedding: StackedEmbedding,
}


def stack_frozen(modules: Sequence[nn.Module]) -> nn.Module | None:
    """Return one module that maps ``(M, n, d)`` like M modules of one shape.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        Modules in evaluation mode, whose constants are copied. Layers whose weights differ must be
        linear layers, embeddings, or batch normalisations of features.

    Returns
    -------
    torch.nn.Module or None
        Stacked module; None if a layer has no stacked form.
    """
    if len(modules) == 1:
        return modules[0]
    first = modules[0]
    if type(first) in _STACKED:
        return _STACKED[type(first)](modules)
    own = [[*m.parameters(recurse=False), *m.buffers(recurse=False)] for m in modules]
    if any(not torch.equal(a, b) for other in own[1:] for a, b in zip(own[0], other, strict=True)):
        return None
    stacked = copy.copy(first)
    stacked._modules = dict(first._modules)
    for name in first._modules:
        child = stack_frozen([getattr(m, name) for m in modules])
        if child is None:
            return None
        stacked._modules[name] = child
    return stacked


class _LSTMLayer(torch.autograd.Function):
    """One layer of M LSTMs, with forward and backward passes over time for all of them at once.

    The axis of units comes before the axis of rows, ``(M, units, n)``, so that each gate is one
    block of memory. The order of the gates is input, forget, output, candidate, so that one call
    computes the three sigmoids. State, input and the constant 1 are concatenated, so that weights
    and bias form one matrix.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, last_only: bool) -> Tensor:
        n_times, m, c, n = x.shape
        h = weight.shape[1] // 4
        joint = x.new_empty(n_times + 1, m, h + c + 1, n)
        joint[:-1, :, h:-1] = x
        joint[:, :, -1].fill_(1)
        joint[0, :, :h].zero_()
        gates = x.new_empty(n_times, m, 4 * h, n)
        cells = x.new_empty(2, n_times, m, h, n)
        whole, sigmoids = gates.unbind(0), gates[:, :, : 3 * h].unbind(0)
        i, f, o, g = (gates[:, :, k * h : (k + 1) * h].unbind(0) for k in range(4))
        cell, squashed = cells[0].unbind(0), cells[1].unbind(0)
        seen, states = joint.unbind(0), joint[:, :, :h].unbind(0)
        for t in range(n_times):
            torch.bmm(weight, seen[t], out=whole[t])
            sigmoids[t].sigmoid_()
            g[t].tanh_()
            torch.mul(i[t], g[t], out=cell[t])
            if t:
                cell[t].addcmul_(f[t], cell[t - 1])
            torch.tanh(cell[t], out=squashed[t])
            torch.mul(o[t], squashed[t], out=states[t + 1])
        ctx.save_for_backward(weight, joint, gates, cells)
        ctx.last_only = last_only
        return states[-1].clone() if last_only else joint[1:, :, :h].contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, joint, gates, cells = ctx.saved_tensors
        n_times, m, _, n = gates.shape
        h = weight.shape[1] // 4
        i, f, o, g = (gates[:, :, k * h : (k + 1) * h].unbind(0) for k in range(4))
        sigmoids = gates[:, :, : 3 * h].unbind(0)
        cell, squashed, seen = cells[0].unbind(0), cells[1].unbind(0), joint.unbind(0)
        grads = None if ctx.last_only else grad.unbind(0)
        change = grad.new_empty(m, 4 * h, n)
        d_sigmoids = change[:, : 3 * h]
        d_i, d_f, d_o, d_g = (change[:, k * h : (k + 1) * h] for k in range(4))
        d_weight = torch.zeros_like(weight)
        needs_x = ctx.needs_input_grad[0]
        back = weight[:, :, : -1 if needs_x else h].transpose(1, 2)
        d_joint = grad.new_empty(n_times, m, back.shape[1], n)
        d_seen, d_states = d_joint.unbind(0), d_joint[:, :, :h].unbind(0)
        d_state = grad if grads is None else grads[-1]
        d_cell: Tensor | None = None
        aten = torch.ops.aten
        for t in range(n_times - 1, -1, -1):
            through = aten.tanh_backward(d_state * o[t], squashed[t])
            d_cell = through if d_cell is None else d_cell.add_(through)
            torch.mul(d_cell, g[t], out=d_i)
            if t:
                torch.mul(d_cell, cell[t - 1], out=d_f)
            else:
                d_f.zero_()
            torch.mul(d_state, squashed[t], out=d_o)
            aten.sigmoid_backward.grad_input(d_sigmoids, sigmoids[t], grad_input=d_sigmoids)
            aten.tanh_backward.grad_input(d_cell * i[t], g[t], grad_input=d_g)
            d_weight.baddbmm_(change, seen[t].transpose(1, 2))
            torch.bmm(back, change, out=d_seen[t])
            if t:
                d_cell.mul_(f[t])
                d_state = d_states[t] if grads is None else d_states[t] + grads[t - 1]
        return d_joint[:, :, h:] if needs_x else None, d_weight, None


def stacked_lstm(
    template: LSTM, weights: Mapping[str, Tensor], x: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """Return the features of M LSTM networks, each for its own batch.

    Parameters
    ----------
    template : LSTM
        One of the networks; only its shape matters.
    weights : mapping of str to Tensor of shape (M, ...)
        Parameters of the networks by name.
    x : Tensor of shape (M, n, c, t)
        Series.
    lengths : Tensor of shape (M, n), optional
        Length of each series without padding. By default, all have t points.

    Returns
    -------
    Tensor of shape (M, n, n_features)
        Features.
    """
    h, n_layers = template.lstm.hidden_size, template.lstm.num_layers
    # torch's order is input, forget, candidate, output.
    gates = torch.arange(4 * h, device=x.device).view(4, h)
    order = torch.cat([gates[:2], gates[3:], gates[2:3]]).flatten()
    flow = x.permute(3, 0, 2, 1)
    for k in range(n_layers):
        w_in, w_state, b_in, b_state = (
            weights[f"lstm.{name}_l{k}"].index_select(1, order)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        last_only = k == n_layers - 1 and lengths is None
        weight = torch.cat([w_state, w_in, (b_in + b_state).unsqueeze(2)], 2)
        flow = _LSTMLayer.apply(flow, weight, last_only)
    if lengths is None:
        return flow.transpose(1, 2)
    index = (lengths - 1)[None, :, None, :].expand(1, -1, h, -1)
    return flow.gather(0, index)[0].transpose(1, 2)
