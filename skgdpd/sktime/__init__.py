"""Adapters between sktime and scikit-learn, and a splitter that is safe in sktime.

An adapter is named after the interface that it provides. :class:`SktimeClassifier` wraps a
classifier of this package for the benchmarks, pipelines, searches and early classifiers of sktime.
:class:`SktimeEarlyClassifier` wraps an :class:`~skgdpd.EarlyClassifier` in the interface of
sktime's early classifiers. :class:`SklearnTransformer` wraps a transformer of sktime for the
pipelines and searches of scikit-learn. :class:`SortedSplitter` keeps sktime's ``evaluate`` from
pairing series with the labels of other series.

This module needs sktime (extra ``sktime``); the rest of the package does not.
"""

from .._runtime.extras import require

require("sktime", "sktime", "for skgdpd.sktime")  # first, for its message

from ._classifier import SktimeClassifier  # noqa: E402
from ._early import SktimeEarlyClassifier  # noqa: E402
from ._splitter import SortedSplitter  # noqa: E402
from ._transformer import SklearnTransformer  # noqa: E402

__all__ = ["SklearnTransformer", "SktimeClassifier", "SktimeEarlyClassifier", "SortedSplitter"]
