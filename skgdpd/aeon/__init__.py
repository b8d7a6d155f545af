"""Adapter for aeon.

The pipelines and ensembles of aeon accept the classifiers of this package without an adapter. The
early classifiers of aeon have a different interface. :class:`AeonEarlyClassifier` wraps an
:class:`~skgdpd.EarlyClassifier` in this interface.

This module needs aeon (extra ``aeon``); the rest of the package does not.
"""

from .._runtime.extras import require

require("aeon", "aeon", "for skgdpd.aeon")  # first, for its message

from ._early import AeonEarlyClassifier  # noqa: E402

__all__ = ["AeonEarlyClassifier"]
