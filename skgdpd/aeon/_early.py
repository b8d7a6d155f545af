"""An adapter that makes an aeon early classifier of an ``EarlyClassifier``."""

from __future__ import annotations

from typing import Any

from aeon.classification.early_classification import BaseEarlyClassifier

from .._adapters.capabilities import CHANNELS, GAPS, RAGGED, capabilities_of
from .._adapters.early import ReadsByParts, cheap_settings
from .._adapters.labels import without_marks
from .._series.unlabeled import marker_of


class AeonEarlyClassifier(ReadsByParts, BaseEarlyClassifier):
    """An aeon early classifier that wraps an :class:`~skgdpd.EarlyClassifier`.

    It stands beside aeon's ``TEASER`` in the same loop: ``predict`` reads the first parts of
    series, and ``update_predict`` longer parts of those that have no decision yet. Each point is
    read once. Answers are those of ``EarlyClassifier.decide`` on the whole series, to the bit,
    however they are cut.

    Parameters
    ----------
    estimator : EarlyClassifier
        Estimator, which is cloned before its fit. Its parameters are reached as
        ``estimator__delay_cost``.

    Attributes
    ----------
    estimator_ : EarlyClassifier
        Fitted clone.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_classes_ : int
        Number of classes.
    state_info : ndarray of int of shape (n, 4) or None
        State of the series of the latest call. The columns are those of ``TEASER``: number of the
        latest moment, or of that of the decision; whether there is a decision; number of the
        class; time points at that moment. None before the first prediction, and after
        ``reset_state_info()``.

    Notes
    -----
    - ``predict`` and ``predict_proba`` begin with new series; ``update_predict`` and
      ``update_predict_proba`` go on. They take the series without a decision, in their order,
      with all points so far. Another number of series and changed points are refused.
    - Labels and probabilities without a decision are -1, as a string among labels that are
      strings. Where a class has the label -1, only the decisions tell the two apart.
    - Parts need not end at moments of the classifier. Series that have not reached the first
      moment have no decision.
    - Decisions are forced at the last moment. A series that is shorter has none until then, as it
      may go on. ``score`` takes series as whole, and forces an answer at their end.
    - ``score`` leaves ``state_info`` as it is.
    - Tags of an instance follow the classifier inside: missing values, series of unequal length
      and several channels are allowed where they are for it.

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
            Whole series, in any of aeon's forms.
        y : ndarray or pandas.Series of shape (n_samples,)
            Labels. Where the classifier has a teacher, some may be missing.

        Returns
        -------
        AeonEarlyClassifier
            The estimator itself.

        Raises
        ------
        TypeError
            If ``estimator`` is no :class:`~skgdpd.EarlyClassifier`.
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
        """Return cheap settings for aeon's checks, all seeded."""
        return cheap_settings()
