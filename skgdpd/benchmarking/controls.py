"""Controls: what is left of a method's gain without the part that is said to make it.

``docs/results/controls.md`` says what they showed.
"""

from __future__ import annotations

from typing import Any

from .._gdpd import GDPDClassifier, default_prior
from .._prefix import DistilledPrefixClassifier
from ..distillers import Hinton

LONG = 4
"""How many times as many epochs of Hinton's distillation take about as long as GDPD."""


# One epoch at a rate that moves nothing: as initialised, for a prior is made by fitting it.
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
"""By name: GDPD without Hinton's term; with a Gaussian mixture for its prior; with draws that
don't look at the student's features; with a prior that knows nothing of the teacher; with a
network of the denoiser's size that learns from the student's loss in one pass; the classifier
that a ``rocket`` starts from, fitted to labels and to what the teacher says of recordings, and no
training; and Hinton's distillation given GDPD's time."""
