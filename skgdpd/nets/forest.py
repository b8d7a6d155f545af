"""A forest of extremely randomised trees as tensors: fitted by scikit-learn, evaluated by torch.

So it predicts on any device, is exported, and is saved as numbers.

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
"""Numbers of leaves' values held at once."""
LOWEST = float(np.finfo(np.float32).min)
"""A leaf's threshold. Not infinity: numbers in a state are finite."""


class Forest(nn.Module):
    """Trees on bootstrap samples, so that what they say of training rows can be honest.

    Trees are regressions on class probabilities, so that soft targets and weights are possible;
    of one-hot targets their criterion is Gini's.

    Parameters
    ----------
    n_trees : int, default=200
        Trees.
    max_features : float, default=0.1
        Share of the features that a split chooses from.

    Attributes
    ----------
    feature, threshold, right, leaf : Tensor of shape (n_nodes,)
        Of each node: the feature that is compared, the largest value that goes to the next node,
        the node that others go to, and, for leaves, the row in ``value``. Leaves lead to
        themselves.
    root : Tensor of shape (n_trees,)
        Where each tree begins.
    value : Tensor of shape (n_leaves, n_classes)
        Class probabilities.
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
        """Width of the output."""
        return self.value.shape[1]

    def fit(self, x: Tensor, target: Tensor, weight: Tensor | None, seed: int) -> Tensor:
        """Grow the trees.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
            Single precision.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            What each row counts.
        seed : int
            Of the draws.

        Returns
        -------
        Tensor of shape (n, n_classes)
            What the trees that have not seen a row make of it, in the mean.
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
        # A row that is in every sample, if there is one, is given what all trees say.
        unseen |= ~unseen.any(1, keepdim=True)
        return self._means(x, unseen)

    def _take(self, trees: list[Any], n_classes: int) -> None:
        """Nodes of all trees in a row; scikit-learn puts a node's left child right behind it."""
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
        """Comparisons from a root to the leaf that is farthest from it."""
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
        """Class probabilities ``(n, n_classes)`` of rows ``(n, n_features)``."""
        return self.value[self._leaves(x)].mean(1)

    def _leaves(self, x: Tensor) -> Tensor:
        """Rows of ``value``, ``(n, n_trees)``."""
        nodes = self.root.long().expand(x.shape[0], -1)
        for _ in range(self.n_levels):
            seen = x.gather(1, _at(self.feature, nodes).long())
            goes_left = seen <= _at(self.threshold, nodes)
            nodes = torch.where(goes_left, nodes + 1, _at(self.right, nodes).long())
        return _at(self.leaf, nodes).long()

    def _means(self, x: Tensor, counted: Tensor) -> Tensor:
        """Of the trees that count, ``(n, n_trees)``, for each row."""
        size = max(LEAVES_AT_ONCE // (self.n_trees * self.n_classes), 1)
        found = []
        for part, own in zip(x.split(size), counted.split(size), strict=True):
            share = own.to(self.value) / own.sum(1, keepdim=True)
            found.append((self.value[self._leaves(part)] * share[:, :, None]).sum(1))
        return torch.cat(found)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # How large trees are is known from the data alone.
        for name, own in self.named_buffers():
            if (given := state_dict.get(prefix + name)) is not None:
                setattr(self, name, own.new_empty(given.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.n_levels = self._count_levels()


def _at(table: Tensor, nodes: Tensor) -> Tensor:
    """``table[nodes]``, as an operation that graphs of other runtimes have too."""
    return F.embedding(nodes, table[:, None])[:, :, 0]


def _rounded_down(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest single precision numbers that are no larger: as many of these lie below."""
    nearest = numbers.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > numbers, lower, nearest)
