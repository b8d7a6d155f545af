"""Two groups of parameters that are rarely set, and the constraints of all others."""

from __future__ import annotations

import os
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from .._runtime.doc_links import LinksToDocs
from .._runtime.parameters import PlainNumbers
from .._series.truncation import MIN_LENGTH, parts_of
from .._series.views import EarlinessOf, MissingValues
from ..nets.student import Precision
from ..training import TrainingConfig
from ..training.fitting import LearningRateSchedule

EVERYDAY: dict[str, list[Any] | str] = {
    "student": [str, torch.nn.Module, callable],
    "teacher": "no_validation",  # check_teacher validates it, with better messages
    "unlabeled": "no_validation",  # any value that y may hold
    "memory": [str, os.PathLike, HasMethods(["cache"]), None],
    "earliness": [
        Interval(Real, 0, 1, closed="right"),
        Interval(Integral, MIN_LENGTH, None, closed="left"),
        HasMethods(["fit", "transform"]),
        "array-like",
        StrOptions({"every"}),
    ],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "normalize": [StrOptions({"train", "prefix"}), None],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "verbose": ["verbose"],
}
"""Constraints of the parameters that several classifiers share, by name."""


class TrainingOptions(LinksToDocs, PlainNumbers, BaseEstimator):
    """Options of the optimisation that are rarely changed.

    A classifier takes them as its parameter ``training``. ``set_params`` and searches reach one
    option under a name such as ``training__weight_decay``.

    Parameters
    ----------
    weight_decay : float, default=1e-2
        Weight decay. It is decoupled with ``"adamw"``, and an L2 penalty with ``"adam"``.
    optimizer : {"adamw", "adam"}, default="adamw"
        Optimiser. AdamW does not scale the weight decay by the adaptive step sizes. The GDPD paper
        uses Adam.
    lr_schedule : {"one-cycle", "cosine", "constant", "halving", "halving-per-batch"}, \
default="one-cycle"
        Schedule of the learning rate. ``"one-cycle"`` needs the fewest epochs. ``"halving"``
        halves the rate at epochs 25, 30 and 35, as in the GDPD paper. ``"halving-per-batch"``
        halves it at batches 25, 30 and 35, as in the authors' program.
    weight_averaging : float, default=5.0
        Time constant, in epochs, of an exponential moving average of the weights. Validation and
        prediction use the average, because it varies less than the last weights. 0 uses the last
        weights.
    validation_fraction : float or "auto", default="auto"
        Share of each class that is held out to choose the best epoch. Epochs in the first half of
        the training or in a warm-up are never chosen. With 0, no series are held out, and the last
        epoch is kept. "auto" is 0.2, except for backbones that start from a classifier in closed
        form. There it is 0 unless ``early_stopping`` is set, because these backbones gain more
        from the additional series than from a choice of the epoch. See docs/choosing.md.
    early_stopping : int, default=None
        Number of epochs without a lower validation loss after which the training stops. None runs
        all epochs, so that the one-cycle schedule reaches its end.
    precision : {"float32", "bf16"}, default="float32"
        Number format of the forward pass in training. ``"bf16"`` is bfloat16, with weights and
        losses in single precision. It is faster on CUDA and on CPUs with bfloat16 units, and
        slower elsewhere; see docs/performance.md.
    checkpoint_dir : str or path, default=None
        Folder in which unfinished trainings are stored about every ten seconds. If the process is
        killed, the same ``fit`` (same data, same parameters, an int as ``random_state``) continues
        from there. On a CPU, its result is equal to the last bit to that of an uninterrupted fit.
        A successful fit removes its files. Several fits may share a folder, and two processes may
        run the same fit. If a file is damaged or belongs to another training, the fit warns,
        renames the file with the ending ``.unusable``, and starts that training from the
        beginning. None stores nothing.
    teacher_folds : int, default=None
        Number K of additional copies of the teacher, each fitted without one K-th of the labelled
        series. For a labelled series, the student then learns from the logits of the copy that has
        not seen it, because a teacher is overconfident on its own training series. The teacher
        itself still gives the features and activations of all series, and the logits of unlabelled
        series, because features of separately trained networks are not comparable. The fit takes
        the time of K more teachers. A number is refused by classifiers without a teacher, for
        teachers inside a ``FrozenEstimator``, for methods that learn from the teacher's states
        during its training, and for data with a single series of a class. None uses the teacher's
        own logits for all series.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier, TrainingOptions
    >>> clf = PrefixClassifier("fcn", training=TrainingOptions(early_stopping=10))
    >>> clf.set_params(training__weight_decay=0.1).training
    TrainingOptions(early_stopping=10, weight_decay=0.1)
    """

    _parameter_constraints = {
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions({"adamw", "adam"})],
        "lr_schedule": [
            StrOptions({"one-cycle", "cosine", "constant", "halving", "halving-per-batch"})
        ],
        "weight_averaging": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "early_stopping": [Interval(Integral, 1, None, closed="left"), None],
        "precision": [StrOptions({"float32", "bf16"})],
        "checkpoint_dir": [str, os.PathLike, None],
        "teacher_folds": [Interval(Integral, 2, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        weight_decay: float = 1e-2,
        optimizer: Literal["adamw", "adam"] = "adamw",
        lr_schedule: LearningRateSchedule = "one-cycle",
        weight_averaging: float = 5.0,
        validation_fraction: float | str = "auto",
        early_stopping: int | None = None,
        precision: Precision = "float32",
        checkpoint_dir: str | os.PathLike[str] | None = None,
        teacher_folds: int | None = None,
    ) -> None:
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.weight_averaging = weight_averaging
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.precision = precision
        self.checkpoint_dir = checkpoint_dir
        self.teacher_folds = teacher_folds

    def _validate_params(self) -> None:
        super()._validate_params()
        if isinstance(self.checkpoint_dir, str) and not self.checkpoint_dir:
            raise ValueError("checkpoint_dir='' names no folder; give the name of one, or None")
        if self.early_stopping is not None and not self.validation_fraction:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} needs a validation part, of which "
                f"validation_fraction={self.validation_fraction!r} leaves none; set it above 0, "
                f"or early_stopping=None"
            )


class SeriesOptions(LinksToDocs, PlainNumbers, BaseEstimator):
    """Options for reading series that are rarely changed.

    A classifier takes them as its parameter ``series``. ``set_params`` and searches reach one
    option under a name such as ``series__missing_values``.

    Parameters
    ----------
    resample_length : int, default=None
        Number of time points to which the prefix is resampled by linear interpolation, at most
        the length of the whole series. None keeps the length of the prefix, from which the network
        can learn how much time has passed.
    earliness_of : {"longest", "own"}, default="longest"
        Length to which a fraction ``earliness`` refers if series differ in length. ``"longest"``
        is the length of the longest training series, so that all series are cut at the same time
        point. ``"own"`` is the length of each series, which must then be known at prediction.
    missing_values : {"error", "interpolate", "mask"}, default="error"
        Treatment of NaN before the end of a series. ``"error"`` refuses NaN, because it is often a
        mistake. ``"interpolate"`` interpolates linearly between the neighbouring values.
        ``"mask"`` replaces NaN by zero and adds, for each channel, a mask channel that is 1 where
        a value is present. Trailing NaN in all channels marks the end of a series, not a gap.
    short_series : {"refuse", "ended"}, default="refuse"
        Treatment, at prediction, of a series that is shorter than the prefix and than all training
        series, after a fit on series of unequal length. ``"refuse"`` raises an error, because such
        a series may have ended, or its next points may not have arrived yet. ``"ended"`` treats
        every series as complete. After a fit on series of one length, ``"ended"`` fills the points
        that a series lacks before the end of the prefix as gaps. It then needs
        ``missing_values="interpolate"`` or ``"mask"``.
    predict_batch_size : int, default=1024
        Number of series in one batch of a prediction, which bounds the memory use.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier, SeriesOptions
    >>> clf = PrefixClassifier("fcn", series=SeriesOptions(missing_values="mask"))
    >>> clf.get_params()["series__missing_values"]
    'mask'
    """

    _parameter_constraints = {
        "resample_length": [Interval(Integral, MIN_LENGTH, None, closed="left"), None],
        "earliness_of": [StrOptions({"longest", "own"})],
        "missing_values": [StrOptions({"error", "interpolate", "mask"})],
        "short_series": [StrOptions({"refuse", "ended"})],
        "predict_batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        resample_length: int | None = None,
        earliness_of: EarlinessOf = "longest",
        missing_values: MissingValues = "error",
        short_series: Literal["refuse", "ended"] = "refuse",
        predict_batch_size: int = 1024,
    ) -> None:
        self.resample_length = resample_length
        self.earliness_of = earliness_of
        self.missing_values = missing_values
        self.short_series = short_series
        self.predict_batch_size = predict_batch_size


def has_several(earliness: Any) -> bool:
    """Return whether ``earliness`` is "every" or a list of several parts."""
    parts = parts_of(earliness)
    return isinstance(earliness, str) if parts is None else len(parts) != 1


def check_moments(earliness: Any, series: SeriesOptions) -> None:
    """Check ``earliness``, and refuse options that have no meaning at several moments.

    Parameters
    ----------
    earliness : object
        Parameter of a classifier. A single number, "every" and a transformer are not checked.
    series : SeriesOptions
        Options of the classifier.

    Raises
    ------
    ValueError
        If ``earliness`` is a set or a dict, if the list is not ascending or mixes shares and
        numbers, or if an option is set that has no meaning at several moments.
    """
    parts = parts_of(earliness)
    is_one = isinstance(earliness, Real | str) or hasattr(earliness, "fit")
    if not is_one and not (parts and _ascend(parts)):
        raise ValueError(
            f"earliness={earliness!r} must be an ascending list, either of shares in (0, 1], such "
            f"as [0.1, 0.5, 1.0], or of numbers of time points from {MIN_LENGTH} on"
        )
    if not has_several(earliness):
        return
    for name, value, allowed in (
        ("earliness_of", series.earliness_of, "longest"),
        ("resample_length", series.resample_length, None),
    ):
        if value != allowed:
            raise ValueError(
                f"series__{name}={value!r} can't be used with several moments, earliness="
                f"{earliness!r}; set it to {allowed!r}"
            )


def _ascend(parts: list[Any]) -> bool:
    """Return whether parts are ascending shares, or ascending numbers of time points."""
    are_shares = all(isinstance(p, Real) and not isinstance(p, Integral) for p in parts)
    are_numbers = all(isinstance(p, Integral) and not isinstance(p, bool) for p in parts)
    in_range = (are_shares and all(0 < p <= 1 for p in parts)) or (
        are_numbers and all(p >= MIN_LENGTH for p in parts)
    )
    return in_range and all(a < b for a, b in pairwise(parts))


def training_config(estimator: Any) -> TrainingConfig:
    """Return the training configuration of an estimator's networks.

    Parameters
    ----------
    estimator : classifier
        Classifier of prefixes with valid parameters.

    Returns
    -------
    TrainingConfig
        Optimiser, schedule and length of the training.
    """
    options = estimator.training or TrainingOptions()
    return TrainingConfig(
        max_epochs=estimator.max_epochs,
        batch_size=estimator.batch_size,
        lr=estimator.lr,
        weight_decay=options.weight_decay,
        optimizer=options.optimizer,
        lr_schedule=options.lr_schedule,
        averaging_epochs=options.weight_averaging,
        patience=options.early_stopping,
        precision=options.precision,
    )
