"""Checks that raise an error if training has diverged."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn


def check_terms(
    terms: Mapping[str, float], role: str, epoch: int, lr: float, weight_decay: float
) -> None:
    """Raise an error if a loss term of an epoch is not finite.

    Parameters
    ----------
    terms : dict of str to float
        Loss terms of the epoch by name.
    role : str
        Name of the trained network for the error, such as "student".
    epoch : int
        Number of the epoch, counted from 0.
    lr, weight_decay : float
        Learning rate and weight decay, for the error.

    Raises
    ------
    FloatingPointError
        If a term is infinite or NaN.
    """
    bad = {name: value for name, value in terms.items() if not math.isfinite(value)}
    if not bad:
        return
    if len(bad) > 1:
        bad.pop("loss", None)  # the sum of the others
    shown = ", ".join(f"{name!r} is {value}" for name, value in bad.items())
    raise FloatingPointError(
        f"the training of the {role} diverged in epoch {epoch + 1}: its loss term {shown}. "
        f"{_advice(lr, weight_decay)}"
    )


def check_trained(
    module: nn.Module, outputs: torch.Tensor, role: str, lr: float, weight_decay: float
) -> None:
    """Raise an error if the weights or outputs of a trained module are not finite.

    Parameters
    ----------
    module : torch.nn.Module
        Module after its training.
    outputs : Tensor
        Outputs of the module for some rows.
    role : str
        Name of the trained network for the error.
    lr, weight_decay : float
        Learning rate and weight decay, for the error.

    Raises
    ------
    FloatingPointError
        If a weight or an output is infinite or NaN.
    """
    for what, finite in (
        ("outputs", bool(outputs.isfinite().all())),
        ("weights", all_finite(module)),
    ):
        if not finite:
            raise FloatingPointError(
                f"the training of the {role} diverged by its last epoch: its {what} are not "
                f"finite. {_advice(lr, weight_decay)}"
            )


def all_finite(module: nn.Module) -> bool:
    """Return whether all parameters of a module are finite."""
    return all(bool(parameter.isfinite().all()) for parameter in module.parameters())


def _advice(lr: float, weight_decay: float) -> str:
    return (
        f"Lower the learning rate (lr={lr:g}), the weight decay ({weight_decay:g}) or the weight "
        f"of a term (such as lambda_kd), or leave out extreme values; a network of your own may "
        f"give such numbers by itself"
    )
