"""A forest of extremely randomised trees as tensors: fitted by scikit-learn, evaluated by torch.

Because the trees are tensors, the forest can predict on any device, be exported, and be saved
without pickle.

Source: P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor
from torch import Tensor, nn

from .causal import takes_numba
from .closed_form import drawn_rows

TREES_AT_ONCE = 10
"""Number of trees in one job of a thread."""
LEAVES_AT_ONCE = 1 << 22
"""Maximum number of leaf values that are held in memory at once."""
LOWEST = float(np.finfo(np.float32).min)
"""Threshold of a leaf. It is not infinity, because numbers in a state must be finite."""
TOLERANCE = 1e-4
"""Largest deviation of a sum of probabilities from 1 that counts as rounding."""
LEAST_MASS = float(np.finfo(np.float32).tiny)
"""Lower bound of the sums by which votes are divided."""


class Forest(nn.Module):
    """Extremely randomised trees on bootstrap samples.

    Each row is missing from the bootstrap samples of some trees. The predictions of these trees
    for the row are out of sample. The trees are regressions of class probabilities, which allows
    soft targets and weights. For one-hot targets, their splitting criterion equals the Gini
    impurity.

    Weights don't affect the bootstrap draws, so that a heavy row is out of sample as often as any
    other. They affect the choice of splits and the votes: a leaf votes with the mean weight of its
    rows, and the votes for a series are divided by their sum.

    Parameters
    ----------
    n_trees : int, default=200
        Number of trees.
    max_features : float, default=0.1
        Fraction of the features that are candidates for each split, in (0, 1].

    Attributes
    ----------
    feature, threshold, right, leaf : Tensor of shape (n_nodes,)
        Description of each node: the index of the compared feature; the largest value that leads
        to the left child, which is the next node; the index of the right child; and, for leaves,
        the row in ``value``. The right child of a leaf is the leaf itself.
    root : Tensor of shape (n_trees,)
        Index of the root of each tree.
    value : Tensor of shape (n_leaves, n_classes)
        Class probabilities of each leaf, multiplied by the mean weight of its rows. The weights
        of the training rows have a mean of 1.
    is_weighted : bool
        Whether leaves vote with different weights.
    n_read : int
        Minimum number of features that a row must have.
    """

    feature: Tensor
    threshold: Tensor
    right: Tensor
    leaf: Tensor
    root: Tensor
    value: Tensor

    def __init__(self, n_trees: int = 200, max_features: float = 0.1) -> None:
        super().__init__()
        self.n_trees = n_trees
        self.max_features = max_features
        self.register_buffer("feature", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("threshold", torch.full((1,), LOWEST))
        self.register_buffer("right", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("leaf", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("root", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("value", torch.zeros(1, 1))
        self.n_levels = 0
        self.n_read = 1
        self.is_weighted = False

    @property
    def n_classes(self) -> int:
        """Number of classes, which is the number of outputs."""
        return self.value.shape[1]

    def fit(self, x: Tensor, target: Tensor, weight: Tensor | None, seed: int) -> Tensor:
        """Grow the trees.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Training rows, in single precision.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each row, not all zero; None if all are equal. Rows of weight zero are
            left out of all trees.
        seed : int
            Seed of all random draws.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Out-of-sample probabilities of each row, from the trees whose samples don't contain
            the row. A row that is in every sample gets the weighted class frequencies of the
            other rows, or equal probabilities if no other row has positive weight.
        """
        known = np.arange(len(x)) if weight is None else weight.cpu().numpy().nonzero()[0]
        rows = np.ascontiguousarray(x.cpu().numpy()[known])
        own_target = target.double().cpu().numpy()[known]
        own_weight = np.ones(len(known))
        if weight is not None:
            own_weight = weight.double().cpu().numpy()[known]
            own_weight *= len(known) / own_weight.sum()
        seeds = tree_seeds(self.n_trees, seed)
        samples = bootstrap_samples(len(known), seeds)
        self.grow(rows, own_target, None if weight is None else own_weight, samples, seeds)
        unseen = np.ones((len(x), self.n_trees), dtype=bool)
        unseen[known] = np.stack(samples, 1) == 0
        found = self.means(x, torch.from_numpy(unseen).to(x.device))
        if len(always := np.flatnonzero(~unseen.any(1))):
            shares = shares_of_others(own_target, own_weight, np.isin(known, always))
            found[always] = torch.from_numpy(shares).to(found)
        return found

    def grow(
        self,
        rows: NDArray[np.float32],
        target: NDArray[np.float64],
        weight: NDArray[np.float64] | None,
        samples: Sequence[NDArray[np.int64]],
        seeds: NDArray[np.int64],
    ) -> None:
        """Grow one tree on each sample.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)
            Training rows.
        target : ndarray of shape (n, n_classes)
            Class probabilities.
        weight : ndarray of shape (n,) or None
            Weight of each row, positive and with a mean of 1; None if all are equal.
        samples : sequence of n_trees ndarrays of shape (n,)
            Number of copies of each row in the bootstrap sample of each tree.
        seeds : ndarray of shape (n_trees,)
            Seed of each tree.
        """
        own_weight = np.ones(len(rows)) if weight is None else weight
        # One thread, unless joblib is configured otherwise: growing holds no interpreter lock.
        grown = Parallel(prefer="threads")(
            delayed(_grow)(
                rows,
                target,
                [own_weight * sample for sample in samples[first : first + TREES_AT_ONCE]],
                self.max_features,
                seeds[first : first + TREES_AT_ONCE],
            )
            for first in range(0, self.n_trees, TREES_AT_ONCE)
        )
        trees = [tree for some in grown for tree in some]
        masses = None
        if weight is not None:
            leaves = [tree.apply(rows) for tree in trees]
            masses = [_mean_weights(*own, weight) for own in zip(leaves, samples, strict=True)]
        self._take(trees, masses, target.shape[1])

    def _take(
        self, trees: list[Any], masses: list[NDArray[np.float64]] | None, n_classes: int
    ) -> None:
        """Concatenate the nodes of all trees; a left child directly follows its parent."""
        sizes = np.array([tree.node_count for tree in trees])
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        is_leaf = np.concatenate([tree.children_left for tree in trees]) < 0
        right = np.concatenate([tree.children_right for tree in trees]) + np.repeat(root, sizes)
        own = np.arange(len(right))
        feature = np.concatenate([tree.feature for tree in trees])
        threshold = _rounded_down(np.concatenate([tree.threshold for tree in trees]))
        value = np.concatenate([tree.value.reshape(-1, n_classes) for tree in trees])[is_leaf]
        if masses is not None:
            value *= np.concatenate(masses)[:, None]
        found = {
            "feature": np.where(is_leaf, 0, feature).astype(np.int32),
            "threshold": np.where(is_leaf, LOWEST, threshold).astype(np.float32),
            "right": np.where(is_leaf, own, right).astype(np.int32),
            "leaf": np.where(is_leaf, np.cumsum(is_leaf) - 1, 0).astype(np.int32),
            "root": root.astype(np.int32),
            "value": value.astype(np.float32),
        }
        for name, array in found.items():
            setattr(self, name, torch.from_numpy(array).to(self.value.device))
        self._derive()

    def _derive(self) -> None:
        """Set the attributes that are derived from the buffers."""
        self.n_levels = self._count_levels()
        self.n_read = int(self.feature.max()) + 1
        self.is_weighted = bool((self.value.sum(1) - 1).abs().max() > TOLERANCE)

    def _count_levels(self) -> int:
        """Return the depth of the deepest tree, as a number of comparisons."""
        right = self.right.cpu().long()
        nodes, levels = self.root.cpu().long(), 0
        while True:
            nodes = nodes[right[nodes] != nodes]
            if not len(nodes):
                return levels
            nodes = torch.cat([nodes + 1, right[nodes]])
            levels += 1

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Map rows ``(n, n_features)`` to class probabilities ``(n, n_classes)``."""
        return self._normalised(self.value[self._leaves(x)].mean(1))

    def _leaves(self, x: Tensor) -> Tensor:
        """Return the row of ``value`` for each row and tree, ``(n, n_trees)``."""
        if x.shape[1] < self.n_read:
            raise ValueError(f"a forest reads {self.n_read} features, and got {x.shape[1]}")
        if takes_numba("auto", x, "forest_numba"):
            from . import forest_numba

            known = (self.feature, self.threshold, self.right, self.leaf, self.root)
            arrays = [tensor.numpy() for tensor in known]
            return torch.from_numpy(forest_numba.leaves(x.detach().numpy(), *arrays))
        nodes = self.root.long().expand(x.shape[0], -1)
        for _ in range(self.n_levels):
            seen = x.gather(1, _at(self.feature, nodes).long())
            goes_left = seen <= _at(self.threshold, nodes)
            nodes = torch.where(goes_left, nodes + 1, _at(self.right, nodes).long())
        return _at(self.leaf, nodes).long()

    def means(self, x: Tensor, counted: Tensor) -> Tensor:
        """Average, for each row, the predictions of some of the trees.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Rows.
        counted : Tensor of shape (n, n_trees)
            Mask of the trees that are averaged for each row.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Class probabilities; zero for a row without any tree.
        """
        size = max(LEAVES_AT_ONCE // (self.n_trees * self.n_classes), 1)
        found = []
        for part, own in zip(x.split(size), counted.split(size), strict=True):
            share = own.to(self.value) / own.sum(1, keepdim=True).clamp(min=1)
            found.append((self.value[self._leaves(part)] * share[:, :, None]).sum(1))
        return self._normalised(torch.cat(found))

    def _normalised(self, mean: Tensor) -> Tensor:
        if not self.is_weighted:
            return mean
        return mean / mean.sum(1, keepdim=True).clamp(min=LEAST_MASS)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The sizes of the trees depend on the data they were grown on.
        for name, own in self.named_buffers():
            if (given := state_dict.get(prefix + name)) is not None:
                setattr(self, name, own.new_empty(given.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
        if not self.right.is_meta:
            self._check_trees()
            self._derive()

    def _check_trees(self) -> None:
        """Raise an error for nodes that don't form trees, because compiled code doesn't check."""
        nodes = (self.feature, self.threshold, self.right, self.leaf)
        n = len(self.right)
        right, root = self.right.cpu().long(), self.root.cpu().long()
        own = torch.arange(n)
        inner = right != own
        if any(part.shape != (n,) for part in nodes) or root.ndim != 1 or self.value.ndim != 2:
            raise ValueError("the nodes of a forest have parts of different sizes")
        # Every node but the roots is the child of one node before it.
        children = torch.cat([own[inner] + 1, right[inner], root])
        forward = bool((right[inner] > own[inner] + 1).all())
        if not forward or not torch.equal(children.sort().values, own):
            raise ValueError("the nodes of a forest make no trees")
        leaves = self.leaf.cpu().long()
        if not len(leaves) or leaves.min() < 0 or leaves.max() >= len(self.value):
            raise ValueError(f"a forest has leaves beyond its {len(self.value)}")
        if self.feature.min() < 0:
            raise ValueError("a forest reads features with numbers below 0")


def tree_seeds(n_trees: int, seed: int) -> NDArray[np.int64]:
    """Return the seed of each tree of a forest, as scikit-learn draws them."""
    return np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=n_trees)


def rows_to_grow(target: Tensor, weight: Tensor | None, most: int, seed: int) -> Tensor:
    """Return the indices of the rows on which trees are grown.

    Parameters
    ----------
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    weight : Tensor of shape (n,) or None
        Weight of each row; rows of weight zero are left out.
    most : int
        Maximum number of rows.
    seed : int
        Seed of the draw, which is made if there are more rows.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    known = torch.arange(len(target)) if weight is None else weight.cpu().nonzero()[:, 0]
    drawn = drawn_rows(len(known), most // 2, seed)
    return (known if drawn is None else known[drawn]).to(target.device)


def bootstrap_samples(n: int, seeds: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the number of copies of each of ``n`` rows in each bootstrap sample.

    All rows are equally likely, whatever their weights. The forests of scikit-learn draw by weight
    from version 1.9 on, so that heavy rows would be in every sample.

    Parameters
    ----------
    n : int
        Number of rows.
    seeds : ndarray of shape (n_samples,)
        Seed of each draw.

    Returns
    -------
    list of n_samples ndarrays of shape (n,)
    """
    return [np.bincount(random.randint(0, n, n), minlength=n) for random in _generators(seeds)]


def _generators(seeds: NDArray[np.int64]) -> Iterator[np.random.RandomState]:
    """Yield one generator, reseeded for each seed, because new generators are slow to make."""
    random = np.random.RandomState()
    for seed in seeds:
        random.seed(seed)
        yield random


def _grow(
    rows: NDArray[np.float32],
    target: NDArray[np.float64],
    weights: Sequence[NDArray[np.float64]],
    max_features: float,
    seeds: NDArray[np.int64],
) -> list[Any]:
    """Grow trees one after another, each on the rows with positive weight."""
    trees = []
    with config_context(skip_parameter_validation=True):  # they are ours
        for weight, random in zip(weights, _generators(seeds), strict=True):
            grown = ExtraTreeRegressor(max_features=max_features, random_state=random)
            trees.append(grown.fit(rows, target, weight, check_input=False).tree_)
    return trees


def _mean_weights(
    leaves: NDArray[np.int64], sample: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean weight of the sampled rows in each leaf, in the order of the nodes."""
    n_rows = np.bincount(leaves, sample)
    is_leaf = n_rows > 0
    return np.bincount(leaves, weight * sample)[is_leaf] / n_rows[is_leaf]


def shares_of_others(
    target: NDArray[np.float64], weight: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the weighted class frequencies of all other rows, for each chosen row.

    Parameters
    ----------
    target : ndarray of shape (n, n_classes)
        Class probabilities.
    weight : ndarray of shape (n,)
        Weights.
    chosen : ndarray of shape (n,)
        Mask of the chosen rows.

    Returns
    -------
    ndarray of shape (n_chosen, n_classes)
        Frequencies; equal for all classes if no other row has positive weight.
    """
    masses = weight[:, None] * target
    others = masses.sum(0) - masses[chosen]
    total = others.sum(1, keepdims=True)
    even = np.full_like(others, 1 / target.shape[1])
    return np.divide(others, total, out=even, where=total > 1e-9 * weight.sum())


def _at(table: Tensor, nodes: Tensor) -> Tensor:
    """Return ``table[nodes]``, by an operation that other runtimes of exported graphs have."""
    return F.embedding(nodes, table[:, None])[:, :, 0]


def _rounded_down(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round down to single precision, which keeps the result of ``x <= number`` for floats."""
    nearest = numbers.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > numbers, lower, nearest)
