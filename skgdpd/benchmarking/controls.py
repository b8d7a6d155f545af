"""Controls: methods without the component to which their gain is attributed.

Their results are in ``docs/results/controls.md``.
"""

from __future__ import annotations

from typing import Any

from .._estimators.distilled import DistilledPrefixClassifier
from .._estimators.gdpd import GDPDClassifier, default_prior
from ..distillers import Hinton

LONG = 4
"""Factor of the number of epochs with which Hinton's distillation takes as long as GDPD."""


# Only a fit makes a prior. One epoch at this rate leaves it as it was initialised.
_UNTRAINED: dict[str, Any] = {"max_epochs": 1, "lr": 1e-12}

CONTROLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gdpd-alone": (GDPDClassifier, {"hinton_weight": 0.0}),
    "gdpd-gmm": (GDPDClassifier, {"prior": default_prior(denoiser="gmm")}),
    "gdpd-unconditional": (GDPDClassifier, {"prior": default_prior(degradation="none")}),
    "gdpd-untrained": (GDPDClassifier, {"prior": default_prior(**_UNTRAINED)}),
    "gdpd-mlp": (
        GDPDClassifier,
        {"prior": default_prior(**_UNTRAINED, n_sampling_steps=1), "prior_trainable": True},
    ),
    "start": (DistilledPrefixClassifier, {"distiller": Hinton(), **_UNTRAINED}),
    "hinton-long": (
        DistilledPrefixClassifier,
        {"distiller": Hinton(), "max_epochs": LONG * GDPDClassifier().max_epochs},
    ),
}
"""Classifiers and their settings by name.

- ``gdpd-alone``: GDPD without Hinton's term.
- ``gdpd-gmm``: GDPD with a Gaussian mixture as its prior.
- ``gdpd-unconditional``: GDPD with draws that do not depend on the student's features.
- ``gdpd-untrained``: GDPD with a prior that was not fitted to the teacher's features.
- ``gdpd-mlp``: GDPD with a network of the denoiser's size, which is applied once. It starts from
  random weights and learns from the student's loss.
- ``start``: the untrained start of a ``rocket``: the classifier that is fitted in closed form to
  the labels, and to the teacher's outputs for unlabelled series.
- ``hinton-long``: Hinton's distillation with as much time as GDPD.
"""
