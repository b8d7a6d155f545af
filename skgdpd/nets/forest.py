"""A forest of extremely randomised trees as tensors: fitted by scikit-learn, evaluated by torch.

As tensors, it can predict on any device, be exported, and be saved as numbers.

Source: P. Geurts, D. Ernst, L. Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from torch import Tensor, nn

LEAVES_AT_ONCE = 1 << 22
"""Number of leaves' values that are held in memory at once."""
LOWEST = float(np.finfo(np.float32).min)
"""Threshold of a leaf: not infinity, because numbers in a state must be finite."""


class Forest(nn.Module):
    """Extremely randomised trees on bootstrap samples.

    Each row is missing from the samples of some trees, whose predictions for it are out of sample.
    The trees are regressions of class probabilities, which allows soft targets and weights; for
    one-hot targets their criterion is Gini's.

    Parameters
    ----------
    n_trees : int, default=200
        Number of trees.
    max_features : float, default=0.1
        Share of the features from which a split is chosen.

    Attributes
    ----------
    feature, threshold, right, leaf : Tensor of shape (n_nodes,)
        One entry for each node: the feature that is compared; the largest value that leads to
        the next node; the node to which larger values lead; and, for leaves, the row in
        ``value``. Leaves lead to themselves.
    root : Tensor of shape (n_trees,)
        First node of each tree.
    value : Tensor of shape (n_leaves, n_classes)
        Class probabilities of each leaf.
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

    @property
    def n_classes(self) -> int:
        """Number of classes, the width of the output."""
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
            Weight of each row; None where all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Out-of-sample probabilities of each row: the mean over the trees whose sample does not
            have it.
        """
        grown = ExtraTreesRegressor(
            self.n_trees, max_features=self.max_features, bootstrap=True, random_state=seed
        ).fit(
            x.cpu().numpy(),
            target.double().cpu().numpy(),
            None if weight is None else weight.double().cpu().numpy(),
        )
        self._take([tree.tree_ for tree in grown.estimators_], target.shape[1])
        unseen = torch.ones(len(x), self.n_trees, dtype=torch.bool, device=x.device)
        for number, rows in enumerate(grown.estimators_samples_):
            unseen[torch.from_numpy(np.unique(rows)).to(x.device), number] = False
        # A row that is in every sample, if there is one, gets the mean of all trees.
        unseen |= ~unseen.any(1, keepdim=True)
        return self._means(x, unseen)

    def _take(self, trees: list[Any], n_classes: int) -> None:
        """Lay the nodes of all trees end to end; a left child directly follows its node."""
        sizes = np.array([tree.node_count for tree in trees])
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        is_leaf = np.concatenate([tree.children_left for tree in trees]) < 0
        right = np.concatenate([tree.children_right for tree in trees]) + np.repeat(root, sizes)
        own = np.arange(len(right))
        feature = np.concatenate([tree.feature for tree in trees])
        threshold = _rounded_down(np.concatenate([tree.threshold for tree in trees]))
        value = np.concatenate([tree.value.reshape(-1, n_classes) for tree in trees])
        found = {
            "feature": np.where(is_leaf, 0, feature).astype(np.int32),
            "threshold": np.where(is_leaf, LOWEST, threshold).astype(np.float32),
            "right": np.where(is_leaf, own, right).astype(np.int32),
            "leaf": np.where(is_leaf, np.cumsum(is_leaf) - 1, 0).astype(np.int32),
            "root": root.astype(np.int32),
            "value": value[is_leaf].astype(np.float32),
        }
        for name, array in found.items():
            setattr(self, name, torch.from_numpy(array).to(self.value.device))
        self.n_levels = self._count_levels()

    def _count_levels(self) -> int:
        """Count the comparisons from a root to the leaf that is farthest from it."""
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
        return self.value[self._leaves(x)].mean(1)

    def _leaves(self, x: Tensor) -> Tensor:
        """Return the rows of ``value`` that apply, ``(n, n_trees)``."""
        nodes = self.root.long().expand(x.shape[0], -1)
        for _ in range(self.n_levels):
            seen = x.gather(1, _at(self.feature, nodes).long())
            goes_left = seen <= _at(self.threshold, nodes)
            nodes = torch.where(goes_left, nodes + 1, _at(self.right, nodes).long())
        return _at(self.leaf, nodes).long()

    def _means(self, x: Tensor, counted: Tensor) -> Tensor:
        """Average, for each row, the trees that are ``counted``, ``(n, n_trees)``."""
        size = max(LEAVES_AT_ONCE // (self.n_trees * self.n_classes), 1)
        found = []
        for part, own in zip(x.split(size), counted.split(size), strict=True):
            share = own.to(self.value) / own.sum(1, keepdim=True)
            found.append((self.value[self._leaves(part)] * share[:, :, None]).sum(1))
        return torch.cat(found)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The sizes of the trees depend on the data they were grown on.
        for name, own in self.named_buffers():
            if (given := state_dict.get(prefix + name)) is not None:
                setattr(self, name, own.new_empty(given.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.n_levels = self._count_levels()


def _at(table: Tensor, nodes: Tensor) -> Tensor:
    """Return ``table[nodes]``, by an operation that graphs of other runtimes have too."""
    return F.embedding(nodes, table[:, None])[:, :, 0]


def _rounded_down(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round down to single precision; comparisons with such numbers come out the same."""
    nearest = numbers.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > numbers, lower, nearest)
