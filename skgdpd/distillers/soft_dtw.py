"""Soft dynamic time warping, and a divergence made of it whose end is open.

Two sequences are aligned by a path of pairs of steps, each pair one further on either axis or on
both. A path costs the sum of its pairs' costs; soft-DTW is the soft minimum over all paths,
``-gamma log sum exp(-cost / gamma)``, which is DTW for gamma towards 0 (arXiv 1703.01541).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FAR = 1e10
"""Cost of what is outside of the table, in units of gamma; infinity makes NaN of differences."""


class _SoftDTW(torch.autograd.Function):
    """See :func:`soft_dtw_table`.

    Antidiagonals ``d = i + j`` are rows here, since all on one are computed at once, with ``i``
    along them: ``(p + q - 1, n, p)``.
    """

    @staticmethod
    def forward(ctx: Any, cost: Tensor, gamma: float) -> Tensor:
        n, p, q = cost.shape
        n_diagonals = p + q - 1
        i = torch.arange(p, device=cost.device)
        j = torch.arange(n_diagonals, device=cost.device)[:, None] - i
        place = (i * q + j.clamp(0, q - 1)).flatten()
        skewed = cost.flatten(1).index_select(1, place).view(n, n_diagonals, p).transpose(0, 1)
        # In units of -gamma, soft minima are sums of exponentials.
        steps = skewed.div(-gamma).masked_fill_(((j < 0) | (j >= q))[:, None], -FAR)
        # Two diagonals before the first, and one cell before each: there paths begin.
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
        # Shares of a cell's soft minimum; as they sum to 1, no path is lost to rounding.
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
    """Antidiagonals ``(p + q - 1, n, p)`` as a table ``(n, p, q)``."""
    n, p = diagonals.shape[1:]
    i = torch.arange(p, device=diagonals.device)[:, None]
    j = torch.arange(q, device=diagonals.device)
    place = ((i + j) * p + i).flatten()
    return diagonals.transpose(0, 1).reshape(n, -1).index_select(1, place).view(n, p, q)


def _skewed(table: Tensor) -> Tensor:
    """A table ``(n, p, q)`` as antidiagonals ``(p + q - 1, n, p)``, 0 outside."""
    n, p, q = table.shape
    # Rows that are p longer, less one number each, move by one to the right from row to row.
    wide = F.pad(table, (0, p)).flatten(1)[:, : p * (p + q - 1)]
    return wide.view(n, p, p + q - 1).permute(2, 0, 1)


def soft_dtw_table(cost: Tensor, gamma: float) -> Tensor:
    """Soft-DTW of every beginning of one sequence with every beginning of another.

    Parameters
    ----------
    cost : Tensor of shape (n, p, q)
        Cost of each pair of steps, of n pairs of sequences.
    gamma : float
        Softness, in units of the cost; above 0.

    Returns
    -------
    Tensor of shape (n, p, q)
        At ``(i, j)``, the soft minimum over the paths from the first pair to that one. Its
        gradient is analytic, and is not differentiable itself.
    """
    return _SoftDTW.apply(cost, gamma)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances of steps ``(n, p, c)`` and ``(n, q, c)``, mean over channels."""
    squares = x.square().sum(-1)[:, :, None] + y.square().sum(-1)[:, None]
    return torch.baddbmm(squares, x, y.transpose(1, 2), alpha=-2) / x.shape[-1]


def open_end_divergence(
    x: Tensor,
    y: Tensor,
    gamma: float,
    n_x: Tensor | None = None,
    n_y: Tensor | None = None,
) -> Tensor:
    """How far a sequence is from that beginning of another to which it comes nearest.

    Soft-DTW of a sequence with itself is below 0, the more so the longer it is, and is not least
    at equality. The divergence ``S(x, y) = D(x, y) - (D(x, x) + D(y, y)) / 2`` is 0 there. With
    an open end, each beginning of y is a sequence of its own, with its own ``D(y, y)``: the result
    is the least of ``S(x, y_1 ... y_j)`` over j. It is 0 where x is a beginning of y, as with
    ordinary ends where x is y. A soft minimum over the ends would be below 0 there, and one ``D(y,
    y)`` for all of them would favour long paths for their many detours.

    Parameters
    ----------
    x : Tensor of shape (n, p, c)
        Sequences, of which all steps are used.
    y : Tensor of shape (n, q, c)
        Sequences that may go on.
    gamma : float
        Softness, in units of the mean squared difference of channels.
    n_x, n_y : Tensor of shape (n,), optional
        How many steps there are; what stands beyond has no influence. All by default.

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
