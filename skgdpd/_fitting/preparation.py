"""Three steps of fitting a network: prepare it, train it and finish it.

:func:`prepare` makes a network ready to be trained on labels. Classifiers with a teacher use
:func:`new_network` and :class:`Preparation` instead. :func:`train` trains a prepared network, and
:func:`finish` returns the network that predicts. The steps are separate so that a grid search can
prepare many networks, train them together, and finish each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray

from .. import training
from .._runtime.memory import with_memory_errors
from .._runtime.random import Seeds
from .._series.panel import Panel
from .._series.views import EarlinessOf, MissingValues, Normalization, Normalizer, PrefixView
from ..distillers.base import SeriesObjective
from ..nets import has_moment_maps, has_point_state, make_backbone, starts_fitted, takes_lengths
from ..nets.heads import HeadMaker, LinearHead
from ..nets.registry import BackboneSpec
from ..nets.student import SeriesNet
from ..training import History, Progress, Rows, TrainingConfig
from ..training.batches import MomentRows
from ..training.checkpoint import Checkpoints
from ..training.fitting import isolated_random_state
from ..training.progress import SILENT
from .network import SeriesNetwork, check_network
from .rows import add_fixed_part, fit_fixed_part, fit_moment_maps, make_rows

SELECTION_START = 0.5
"""Share of the epochs, counted from the first, whose weights are never kept.

On a validation part with few series, an untrained network may have the least loss by chance; see
docs/choosing.md."""


@dataclass(frozen=True)
class NetworkPlan:
    """Settings of the fit of one network.

    The result of the fit depends on nothing but these settings, the data and the seeds.

    Attributes
    ----------
    spec : str, torch.nn.Module or callable
        Backbone of the network.
    role : {"student", "teacher"}
        Name of the parameter that gave ``spec``, for errors.
    config : TrainingConfig
        Optimiser, schedule and length of the training.
    device : str
        Device of the training.
    earliness : float, int or transformer
        Part of a series that is the network's input.
    normalize : {"train", "prefix"} or None
        Normalisation of the input.
    resample_length : int or None
        Number of time points to which the input is resampled; None keeps its length.
    earliness_of : {"longest", "own"}
        Length to which a fraction ``earliness`` refers.
    missing_values : {"error", "interpolate", "mask"}
        Treatment of gaps.
    predict_batch_size : int
        Number of series in one batch of a prediction.
    ragged : bool or None
        Whether series of any length are allowed; None allows them if the training series differ
        in length.
    any_length : bool
        Whether series may be shorter than all training series and than the part. Such series
        count as complete.
    kept_epochs : tuple of int
        Epochs before the last, in ascending order, whose networks are kept, too.
    """

    spec: BackboneSpec
    role: str
    config: TrainingConfig
    device: str
    earliness: Any = 1.0
    normalize: Normalization | None = "train"
    resample_length: int | None = None
    earliness_of: EarlinessOf = "longest"
    missing_values: MissingValues = "error"
    predict_batch_size: int = 1024
    ragged: bool | None = None
    any_length: bool = False
    kept_epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class NetworkData:
    """Labelled series from which a network learns.

    Attributes
    ----------
    panel : Panel
        All series. Lengths are taken from all of them, and values from the rows below only.
    y : ndarray of shape (n,)
        Class numbers; those of other rows are ignored.
    weight : ndarray of shape (n,) or None
        Weights of the cross-entropy, with a mean of 1 over the training rows; None if all are 1.
    train, valid : ndarray of int
        Rows of the training part and of the validation part.
    n_classes : int
        Number of classes.
    """

    panel: Panel
    y: NDArray[np.int64]
    weight: NDArray[np.float32] | None
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    n_classes: int


class FixedFit(Protocol):
    """Function that fits the fixed part of a network; see :func:`~.rows.fit_fixed_part`."""

    def __call__(
        self, module: SeriesNet, rows: Rows, seed: int
    ) -> tuple[Rows, NDArray[np.float64] | None]: ...


@dataclass
class Preparation:
    """Network that is ready to be trained, with everything that its training depends on.

    Attributes
    ----------
    view : PrefixView
        Fitted view that makes the network's input.
    module : SeriesNet
        Network whose fixed part is fitted, on the rows' device.
    rows : Rows
        Training rows.
    objective : SeriesObjective
        Loss to minimise, on the rows' device.
    config : TrainingConfig
        Optimiser, schedule and length of the training.
    seeds : Seeds
        Seeds of the training by name.
    role : {"student", "teacher"}
        Name of the trained network in errors.
    valid_rows : Rows or None
        Validation rows; None if there is no validation part.
    predict_batch_size : int
        Number of series in one batch of a prediction.
    n_labeled, n_unlabeled : int
        Number of labelled and number of unlabelled training series.
    left_out : ndarray of shape (n, n_moments, n_classes) or None
        Probabilities of the training rows, by classifiers that were fitted without them; None if
        they are not known in closed form.
    """

    view: PrefixView
    module: SeriesNet
    rows: Rows
    objective: SeriesObjective
    config: TrainingConfig
    seeds: Seeds
    role: str = "student"
    valid_rows: Rows | None = None
    predict_batch_size: int = 1024
    n_labeled: int = 0
    n_unlabeled: int = 0
    left_out: NDArray[np.float64] | None = None
    warmup_epochs: int = field(init=False)

    def __post_init__(self) -> None:
        distillation = self.objective.distillation
        self.warmup_epochs = 0 if distillation is None else distillation.warmup_epochs

    @property
    def device(self) -> torch.device:
        """Device on which the network is trained."""
        return self.rows.device

    @property
    def first_selected_epoch(self) -> int:
        """First epoch whose weights may be kept."""
        return max(round(SELECTION_START * self.config.max_epochs), self.warmup_epochs)

    def network(self, module: SeriesNet) -> SeriesNetwork:
        """Return a network that predicts with the given module."""
        return SeriesNetwork(self.view, module, self.device, self.predict_batch_size)

    def described(self, history: History) -> History:
        """Return the history with the numbers of series and of warm-up epochs filled in."""
        history.warmup_epochs = self.warmup_epochs
        history.n_labeled, history.n_unlabeled = self.n_labeled, self.n_unlabeled
        return history


def new_network(
    plan: NetworkPlan, data: NetworkData, make_head: HeadMaker = LinearHead
) -> tuple[PrefixView, SeriesNet]:
    """Return a network with initial weights, and the fitted view that makes its input.

    The initial weights are drawn from torch's global generator, so calls must be within
    :func:`~skgdpd.training.fitting.isolated_random_state`.

    Parameters
    ----------
    plan : NetworkPlan
        Settings of the network.
    data : NetworkData
        Series to which the view is fitted.
    make_head : callable, default=LinearHead
        Function that makes the head of the network.

    Returns
    -------
    view : PrefixView
        Fitted view.
    module : SeriesNet
        Network on the plan's device.

    Raises
    ------
    ValueError
        If the backbone can't be made, or can't take series of unequal length.
    """
    every = isinstance(plan.earliness, str)
    is_made = not isinstance(plan.spec, torch.nn.Module)
    view = PrefixView(
        plan.earliness,
        Normalizer(plan.normalize),
        plan.resample_length,
        earliness_of=plan.earliness_of,
        missing_values=plan.missing_values,
        ragged=plan.ragged,
        clock=is_made and not starts_fitted(plan.spec),
        any_length=plan.any_length or plan.role == "teacher",
    ).fit(data.panel, data.train)
    backbone = make_backbone(
        plan.spec, view.n_channels_, view.n_out_, plan.role, view.time_points_
    )
    if every and not has_point_state(backbone):
        raise ValueError(
            f"earliness={plan.earliness!r} needs a {plan.role} with a state per point, such as "
            f"'lstm1-8' or 'tcn'; {plan.spec!r} has none, so give it a list of moments"
        )
    if view.ragged_ and plan.resample_length is None and not takes_lengths(backbone):
        raise ValueError(
            f"{plan.role}={plan.spec!r} can't learn from series of unequal length: its "
            f"forward has no parameter lengths. Set series__resample_length, or choose "
            f"another {plan.role}"
        )
    module = SeriesNet(backbone, data.n_classes, plan.config.precision, make_head)
    return view, module.to(plan.device)


def validation_rows(
    view: PrefixView, module: SeriesNet, data: NetworkData, device: torch.device
) -> Rows | None:
    """Return the rows of the validation part.

    Parameters
    ----------
    view : PrefixView
        Fitted view.
    module : SeriesNet
        Network whose fixed part is fitted.
    data : NetworkData
        Series and labels.
    device : torch.device
        Device of the rows.

    Returns
    -------
    Rows or None
        Validation rows; None if the validation part is empty.
    """
    if not len(data.valid):
        return None
    weight = None if data.weight is None else data.weight[data.valid]
    rows = make_rows(view, data.panel.take(data.valid), y=data.y[data.valid], weight=weight)
    return add_fixed_part(module, rows.to(device))


@with_memory_errors
def prepare(
    plan: NetworkPlan,
    data: NetworkData,
    seeds: Seeds,
    weights_seed: int,
    fit_fixed: FixedFit = fit_fixed_part,
) -> Preparation:
    """Make a network ready to be trained on labels alone.

    Parameters
    ----------
    plan : NetworkPlan
        Settings of the network.
    data : NetworkData
        Series and labels.
    seeds : Seeds
        Seeds by name.
    weights_seed : int
        Seed of the initial weights.
    fit_fixed : callable, default=fit_fixed_part
        Function that fits the fixed part of the network.

    Returns
    -------
    Preparation
        Network that is ready to be trained.
    """
    device = torch.device(plan.device)
    weight = None if data.weight is None else data.weight[data.train]
    left_out = None
    config = plan.config
    with isolated_random_state(weights_seed, device):
        view, module = new_network(plan, data)
        rows = make_rows(view, data.panel.take(data.train), y=data.y[data.train], weight=weight)
        rows = rows.to(device)
        if isinstance(rows, MomentRows) and has_moment_maps(module.backbone):
            rows, left_out = fit_moment_maps(module, rows, seeds("fixed"), trains=False)
            # On labels alone, further training has not been better than the closed form.
            config = replace(config, max_epochs=0)
        else:
            rows, _ = fit_fixed(module, rows, seeds("fixed"))
    return Preparation(
        view=view,
        module=module,
        rows=rows,
        objective=SeriesObjective().to(device),
        config=config,
        seeds=seeds,
        role=plan.role,
        valid_rows=validation_rows(view, module, data, device) if config.max_epochs else None,
        predict_batch_size=plan.predict_batch_size,
        n_labeled=len(data.train),
        left_out=left_out,
    )


@with_memory_errors
def train(
    preparation: Preparation,
    *,
    progress: Progress = SILENT,
    memory: Memory | None = None,
    checkpoints: Checkpoints | None = None,
    visit: Callable[[SeriesNet], None] | None = None,
    visited_epochs: Sequence[int] = (),
) -> History:
    """Train a prepared network in place.

    Parameters
    ----------
    preparation : Preparation
        Network and rows.
    progress : Progress, optional
        Progress bar, advanced by one unit in each epoch.
    memory : joblib.Memory, optional
        Cache of warm-ups that several trainings share.
    checkpoints : Checkpoints, optional
        Store of unfinished trainings.
    visit : callable, optional
        Function that receives the network after each of ``visited_epochs``; see
        :func:`~skgdpd.training.train`.
    visited_epochs : sequence of int, default=()
        Numbers of epochs in ascending order.

    Returns
    -------
    History
        Loss terms by epoch.

    Raises
    ------
    FloatingPointError
        If the training diverges.
    """
    seeds = preparation.seeds
    if not preparation.config.max_epochs:
        return preparation.described(History({}, best_epoch=None, n_validation=0))
    with isolated_random_state(seeds("training"), preparation.device):
        history = training.train(
            preparation.module,
            preparation.objective,
            preparation.rows,
            preparation.config,
            valid_rows=preparation.valid_rows,
            shuffle_seed=seeds("shuffle"),
            noise_seed=seeds("noise"),
            first_selected_epoch=preparation.first_selected_epoch,
            progress=progress,
            role=preparation.role,
            memory=memory,
            checkpoints=checkpoints,
            visit=cast(Any, visit),
            visited_epochs=visited_epochs,
        )
    return preparation.described(history)


@with_memory_errors
def finish(preparation: Preparation) -> SeriesNetwork:
    """Return the network that predicts, after the training.

    Parameters
    ----------
    preparation : Preparation
        Preparation that was trained. Its module is used, not copied.

    Returns
    -------
    SeriesNetwork
        Network that is ready to predict.

    Raises
    ------
    FloatingPointError
        If the trained network gives outputs that are not finite.
    """
    check_network(preparation.module, preparation.rows, preparation.config, preparation.role)
    preparation.module.fold()
    return preparation.network(preparation.module)
