"""Soft dynamic time warping (soft-DTW), and a soft-DTW divergence with an open end.

Two sequences are aligned by a path of pairs of steps. From each pair to the next, the step
advances by one in one sequence or in both. The cost of a path is the sum of its pairs' costs.
Soft-DTW is the soft minimum over all paths, ``-gamma log sum exp(-cost / gamma)``, which tends to
DTW as gamma tends to 0 (arXiv 1703.01541).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FAR = 1e10
"""Cost outside of the table, in units of gamma; infinite costs would give NaN differences."""


class _SoftDTW(torch.autograd.Function):
    """Differentiable function behind :func:`soft_dtw_table`.

    The cells of an antidiagonal ``d = i + j`` are computed at once. Tables are therefore stored
    by antidiagonal, with the shape ``(p + q - 1, n, p)`` and ``i`` along the last dimension.
    """

    @staticmethod
    def forward(ctx: Any, cost: Tensor, gamma: float) -> Tensor:
        n, p, q = cost.shape
        n_diagonals = p + q - 1
        i = torch.arange(p, device=cost.device)
        j = torch.arange(n_diagonals, device=cost.device)[:, None] - i
        place = (i * q + j.clamp(0, q - 1)).flatten()
        skewed = cost.flatten(1).index_select(1, place).view(n, n_diagonals, p).transpose(0, 1)
        # In units of -gamma, a soft minimum is a logarithm of a sum of exponentials.
        steps = skewed.div(-gamma).masked_fill_(((j < 0) | (j >= q))[:, None], -FAR)
        # Paths begin in two additional antidiagonals, and in one additional cell of each.
        table = cost.new_full((n_diagonals + 2, n, p + 1), -FAR)
        table[0, :, 0].zero_()
        before, after = table[:, :, :-1].unbind(0), table[:, :, 1:].unbind(0)
        for d, step in enumerate(steps.unbind(0)):
            ways = torch.logaddexp(before[d], before[d + 1]).logaddexp(after[d + 1])
            torch.add(step, ways, out=after[d + 2])
        ctx.save_for_backward(steps, table)
        return _straight(table[2:, :, 1:], q).mul_(-gamma)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        steps, table = ctx.saved_tensors
        n_diagonals, n, p = steps.shape
        inside = steps > -FAR / 2
        ways = torch.stack([table[:-2, :, :-1], table[1:-1, :, :-1], table[1:-1, :, 1:]])
        # Shares of a cell's soft minimum. They sum to 1, so rounding loses no path.
        shares = F.pad(ways.softmax(0).mul_(inside), (0, 1))
        by_both, by_i = (share[:, :, 1:].unbind(0) for share in shares[:2])
        by_j = shares[2, :, :, :-1].unbind(0)
        found = grad.new_zeros(n_diagonals, n, p + 1)
        found[:, :, :-1] = _skewed(grad)
        own, next_own = found[:, :, :-1].unbind(0), found[:, :, 1:].unbind(0)
        for d in range(n_diagonals - 2, -1, -1):
            own[d].addcmul_(own[d + 1], by_j[d + 1]).addcmul_(next_own[d + 1], by_i[d + 1])
            if d + 2 < n_diagonals:
                own[d].addcmul_(next_own[d + 2], by_both[d + 2])
        return _straight(found[:, :, :-1], n_diagonals - p + 1), None


def _straight(diagonals: Tensor, q: int) -> Tensor:
    """Convert antidiagonals ``(p + q - 1, n, p)`` to a table ``(n, p, q)``."""
    n, p = diagonals.shape[1:]
    i = torch.arange(p, device=diagonals.device)[:, None]
    j = torch.arange(q, device=diagonals.device)
    place = ((i + j) * p + i).flatten()
    return diagonals.transpose(0, 1).reshape(n, -1).index_select(1, place).view(n, p, q)


def _skewed(table: Tensor) -> Tensor:
    """Convert a table ``(n, p, q)`` to antidiagonals ``(p + q - 1, n, p)``, 0 outside."""
    n, p, q = table.shape
    # Rows are padded by p and read with a length one smaller, which shifts each by one more.
    wide = F.pad(table, (0, p)).flatten(1)[:, : p * (p + q - 1)]
    return wide.view(n, p, p + q - 1).permute(2, 0, 1)


def soft_dtw_table(cost: Tensor, gamma: float) -> Tensor:
    """Compute soft-DTW between all beginnings of one sequence and all beginnings of another.

    Parameters
    ----------
    cost : Tensor of shape (n, p, q)
        Cost of each pair of steps, for n pairs of sequences.
    gamma : float
        Softness of the minimum, in units of the cost; positive.

    Returns
    -------
    Tensor of shape (n, p, q)
        Table whose entry ``(i, j)`` is the soft minimum over the paths from the first pair to
        pair ``(i, j)``. The gradient is analytic and can't be differentiated again.
    """
    return _SoftDTW.apply(cost, gamma)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return mean squared differences ``(n, p, q)`` of steps ``(n, p, c)`` and ``(n, q, c)``."""
    squares = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None]
    return torch.baddbmm(squares, x, y.transpose(1, 2), alpha=-2) / x.shape[-1]


def open_end_divergence(
    x: Tensor,
    y: Tensor,
    gamma: float,
    n_x: Tensor | None = None,
    n_y: Tensor | None = None,
) -> Tensor:
    """Return the soft-DTW divergence of a sequence from the nearest beginning of another.

    Soft-DTW of a sequence with itself is negative, decreases with its length, and is not the
    minimum over all sequences. The divergence ``S(x, y) = D(x, y) - (D(x, x) + D(y, y)) / 2`` is
    0 for equal sequences. With an open end, each beginning of y is treated as a separate sequence
    with its own ``D(y, y)``. The result is the minimum of ``S(x, y_1 ... y_j)`` over j, which is 0
    if x is a beginning of y. A soft minimum over j would be negative there. A common ``D(y, y)``
    for all j would favour long paths, which have many detours.

    Parameters
    ----------
    x : Tensor of shape (n, p, c)
        Sequences that are aligned with all of their steps.
    y : Tensor of shape (n, q, c)
        Sequences that are aligned with one of their beginnings.
    gamma : float
        Softness of the minimum over paths, in units of the mean squared difference of channels.
    n_x, n_y : Tensor of shape (n,), optional
        Number of valid steps of each sequence; later steps have no influence. By default all are
        valid.

    Returns
    -------
    Tensor of shape (n,)
    """
    n, p, q = len(x), x.shape[1], y.shape[1]
    across, own_x, own_y = (
        soft_dtw_table(squared_distances(a, b), gamma) for a, b in ((x, y), (x, x), (y, y))
    )
    last = (torch.full((n,), p, device=x.device) if n_x is None else n_x)[:, None] - 1
    across = across.gather(1, last[:, :, None].expand(-1, -1, q))[:, 0]
    ends = across - own_y.diagonal(dim1=1, dim2=2) / 2
    if n_y is not None:
        ends = torch.where(torch.arange(q, device=x.device) < n_y[:, None], ends, FAR)
    return ends.amin(1) - own_x.diagonal(dim1=1, dim2=2).gather(1, last)[:, 0] / 2
