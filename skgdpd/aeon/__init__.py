"""An adapter for aeon.

aeon's pipelines and ensembles take this package's classifiers as they are. Its early classifiers
have a convention of their own, which :class:`AeonEarlyClassifier` follows around an
:class:`~skgdpd.EarlyClassifier`.

This module needs aeon (extra ``aeon``); the rest of the package does not.
"""

from .._runtime.extras import require

require("aeon", "aeon", "for skgdpd.aeon")  # first, for its message

from ._early import AeonEarlyClassifier  # noqa: E402

__all__ = ["AeonEarlyClassifier"]
