"""Distillers with other parameters than their defaults, as methods of a benchmark."""

from __future__ import annotations

from typing import Any

from ..distillers import TIP, Distiller, Hinton

VARIANTS: dict[str, tuple[type[Distiller], dict[str, Any]]] = {
    "hinton-reverse": (Hinton, {"divergence": "reverse"}),
    "hinton-js": (Hinton, {"divergence": "js"}),
    "hinton-skewed": (Hinton, {"divergence": "skewed"}),
    "hinton-skewed-reverse": (Hinton, {"divergence": "skewed-reverse"}),
    "tip-unsure": (TIP, {"region": "unsure"}),
    "tip-overconfident": (TIP, {"region": "overconfident"}),
}
"""Classes of distillers and their settings by name.

- ``hinton-reverse``, ``hinton-js``, ``hinton-skewed``, ``hinton-skewed-reverse``: Hinton's
  distillation with another divergence.
- ``tip-unsure``, ``tip-overconfident``: TIP that weighs one kind of series only.
"""
