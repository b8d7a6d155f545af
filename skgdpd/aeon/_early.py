"""Adapter that gives an ``EarlyClassifier`` the interface of an aeon early classifier."""

from __future__ import annotations

from typing import Any

from aeon.classification.early_classification import BaseEarlyClassifier

from .._adapters.capabilities import CHANNELS, GAPS, RAGGED, capabilities_of
from .._adapters.early import ReadsByParts, cheap_settings
from .._adapters.labels import without_marks
from .._series.unlabeled import marker_of


class AeonEarlyClassifier(ReadsByParts, BaseEarlyClassifier):
    """An aeon early classifier that wraps an :class:`~skgdpd.EarlyClassifier`.

    It can replace aeon's ``TEASER`` in the same loop: ``predict`` reads prefixes of series, and
    ``update_predict`` reads longer prefixes of the series without a decision. Each point is read
    only once. Decisions are bit for bit equal to those of ``EarlyClassifier.decide`` on the whole
    series, however the series are divided.

    Parameters
    ----------
    estimator : EarlyClassifier
        Estimator, which is cloned before it is fitted. Its parameters are available under names
        such as ``estimator__delay_cost``.

    Attributes
    ----------
    estimator_ : EarlyClassifier
        Fitted clone.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_classes_ : int
        Number of classes.
    state_info : ndarray of int of shape (n, 4) or None
        State of the series of the latest call, with the same columns as for ``TEASER``. The
        columns are the index of the latest moment, or of the moment of the decision; whether
        there is a decision; the index of the class; and the number of time points at this moment.
        None before the first prediction, and after ``reset_state_info()``.

    Notes
    -----
    - ``predict`` and ``predict_proba`` start with new series. ``update_predict`` and
      ``update_predict_proba`` continue: they take the series without a decision, in the same
      order, with all points so far. A different number of series, or changed points, raise an
      error.
    - Labels and probabilities without a decision are -1, or ``"-1"`` if labels are strings. If a
      class has the label -1, only the array of decisions distinguishes the two cases.
    - Prefixes need not end at moments of the classifier. Series that have not reached the first
      moment have no decision.
    - A decision is forced at the last moment. A series that ends earlier gets no forced decision,
      because it may continue. ``score`` treats series as complete, and forces a decision at their
      end.
    - ``score`` does not change ``state_info``.
    - The tags of an instance follow the wrapped classifier: missing values, series of unequal
      length and several channels are allowed if the wrapped classifier allows them.

    Examples
    --------
    >>> from skgdpd import EarlyClassifier
    >>> from skgdpd.aeon import AeonEarlyClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=80, random_state=0)
    >>> early = EarlyClassifier(earliness=[0.2, 0.5, 1.0], random_state=0)
    >>> clf = AeonEarlyClassifier(early).fit(X[:60], y[:60])
    >>> labels, decided = clf.predict(X[60:, :, :12])
    >>> waiting = X[60:][~decided]
    >>> labels, decided = clf.update_predict(waiting)
    >>> bool(decided.all())
    True
    """

    # Capabilities of the class are those of its most capable instance.
    _tags = {
        "X_inner_type": ["np-list", "numpy3D"],
        CHANNELS: True,
        RAGGED: True,
        GAPS: True,
    }

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()
        own = capabilities_of(estimator)
        self.set_tags(
            **{
                GAPS: own.missing_values,
                RAGGED: own.unequal_length,
                CHANNELS: own.multivariate,
                "non_deterministic": not own.deterministic,
            }
        )

    def fit(self, X: Any, y: Any) -> AeonEarlyClassifier:
        """Fit the wrapped estimator.

        Parameters
        ----------
        X : collection
            Whole series, in any format of aeon.
        y : ndarray or pandas.Series of shape (n_samples,)
            Labels. Some may be missing if the classifier has a teacher.

        Returns
        -------
        AeonEarlyClassifier
            The estimator itself.

        Raises
        ------
        TypeError
            If ``estimator`` is not an :class:`~skgdpd.EarlyClassifier`.
        """
        filled = without_marks(y, marker_of(self.estimator))
        if filled is not None:
            # aeon's reset, with which its fit begins, keeps names with "__" in them.
            self._marked__y, y = y, filled
        try:
            return super().fit(X, y)
        finally:
            self.__dict__.pop("_marked__y", None)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return fast settings for aeon's checks, all with a fixed seed."""
        return cheap_settings()
