"""Pipelines of a truncation and a classifier of whole series."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import make_pipeline

from .._runtime.extras import require
from .._series.truncation import PrefixTruncator


def on_prefix(classifier: Any, length: int) -> Any:
    """Turn a classifier of whole series into an early classifier, by truncating its input.

    Parameters
    ----------
    classifier : classifier
        Unfitted classifier of scikit-learn, sktime or aeon.
    length : int
        Number of time points that are kept.

    Returns
    -------
    classifier
        Pipeline of truncation and classifier. For a sktime classifier, it is a sktime pipeline
        with a ``TruncationTransformer``. Such a pipeline accepts whole series only and doesn't
        store the length of its prefix, so that the checks need ``prefix_length``. For other
        classifiers, it is a scikit-learn pipeline with a :class:`~skgdpd.PrefixTruncator`.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skgdpd.testing import on_prefix
    >>> on_prefix(KNeighborsClassifier(), 12).steps[0]
    ('prefixtruncator', PrefixTruncator(earliness=12))
    """
    if any(base.__module__.startswith("sktime.") for base in type(classifier).__mro__):
        truncation = require("sktime.transformations.truncation", "sktime", "for its classifiers")
        return truncation.TruncationTransformer(upper=length) * classifier
    return make_pipeline(PrefixTruncator(length), classifier)
