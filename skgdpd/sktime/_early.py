"""Adapter that gives an ``EarlyClassifier`` the interface of a sktime early classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sktime.classification.early_classification import BaseEarlyClassifier

from .._adapters.early import ReadsByParts, cheap_settings
from .._adapters.labels import without_marks
from .._series.frames import aligned
from .._series.unlabeled import marker_of
from ._classifier import tags_of


class SktimeEarlyClassifier(ReadsByParts, BaseEarlyClassifier):
    """A sktime early classifier that wraps an :class:`~skgdpd.EarlyClassifier`.

    It can replace sktime's ``TEASER`` in the same loop: ``predict`` reads prefixes of series, and
    ``update_predict`` reads longer prefixes of the series without a decision. Each point is read
    only once. Decisions are bit for bit equal to those of ``EarlyClassifier.decide`` on the whole
    series, however the series are divided.

    Parameters
    ----------
    estimator : EarlyClassifier
        Estimator, which is cloned before it is fitted. Its parameters are available under names
        such as ``estimator__delay_cost``, or ``delay_cost`` if this name is unambiguous.

    Attributes
    ----------
    estimator_ : EarlyClassifier
        Fitted clone.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_classes_ : int
        Number of classes.
    fit_time_ : int
        Duration of the fit in milliseconds.
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
    - Where there is no decision, label and probabilities are -1 (``"-1"`` if labels are strings)
      and mean nothing. If a class has the label -1, only the array of decisions distinguishes the
      two cases.
    - Prefixes need not end at moments of the classifier. Series that have not reached the first
      moment have no decision.
    - A decision is forced at the last moment. A series that ends earlier gets no forced decision,
      because it may continue. ``score`` treats series as complete, and forces a decision at their
      end.
    - ``score`` does not change ``state_info``.
    - The tags of an instance follow the wrapped classifier, as for
      :class:`~skgdpd.sktime.SktimeClassifier`.
    - Four checks of sktime require that predictions are one array, or that they leave no state.
      The tag ``tests:skip_by_name`` skips them, as for ``TEASER``. Another check fails for series
      of unequal length, because it mistakes the rows of a frame for series.

    Examples
    --------
    >>> from skgdpd import EarlyClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.sktime import SktimeEarlyClassifier
    >>> X, y = make_bumps(n_samples=80, random_state=0)
    >>> early = EarlyClassifier(earliness=[0.2, 0.5, 1.0], random_state=0)
    >>> clf = SktimeEarlyClassifier(early).fit(X[:60], y[:60])
    >>> labels, decided = clf.predict(X[60:, :, :12])
    >>> waiting = X[60:][~decided]
    >>> labels, decided = clf.update_predict(waiting)
    >>> bool(decided.all())
    True
    """

    # Capabilities of the class are those of its most capable instance.
    _tags = {
        "authors": "the skgdpd developers",
        "maintainers": "the skgdpd developers",
        "X_inner_mtype": ["pd-multiindex", "numpy3D", "df-list", "nested_univ"],
        "y_inner_mtype": "numpy1D",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "capability:class_weight": True,
        "capability:categorical_in_X": False,
        "capability:multithreading": False,
        "capability:random_state": False,
        "property:randomness": "stochastic",
        "tests:skip_by_name": [
            "test_non_state_changing_method_contract",  # predictions leave a state
            # These compare outputs as one array; here they are two.
            "test_fit_idempotent",
            "test_persistence_via_pickle",
            "test_save_estimators_to_file",
        ],
    }

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()
        self.set_tags(**tags_of(estimator))

    def set_params(self, **params: Any) -> SktimeEarlyClassifier:
        """Set parameters, and reset the estimator to the unfitted state.

        Parameters
        ----------
        **params
            Values by name. Names of parameters of the wrapped estimator begin with
            ``estimator__``.

        Returns
        -------
        SktimeEarlyClassifier
            The estimator itself.
        """
        super().set_params(**params)
        # sktime sets parameters of components after the tags have been set by __init__.
        self.set_tags(**tags_of(self.estimator))
        return self

    def fit(self, X: Any, y: Any) -> SktimeEarlyClassifier:
        """Fit the wrapped estimator.

        Parameters
        ----------
        X : panel
            Whole series, in any format of sktime.
        y : ndarray or pandas.Series of shape (n_samples,)
            Labels. Some may be missing if the classifier has a teacher. A pandas Series is
            matched with a multi-indexed frame by its index.

        Returns
        -------
        SktimeEarlyClassifier
            The estimator itself.

        Raises
        ------
        TypeError
            If ``estimator`` is not an :class:`~skgdpd.EarlyClassifier`.
        ValueError
            If the labels have only one class, or if y is a pandas Series and its index does not
            have each id of a multi-indexed frame exactly once.
        """
        y = aligned(X, y, "y")
        filled = without_marks(y, marker_of(self.estimator))
        known = np.unique(y if filled is None else filled)
        if len(known) == 1:
            # sktime leaves such a fit out, and its early classifiers then fail in predict.
            raise ValueError(
                f"y has one class, {known.tolist()[0]!r}; a classifier needs two at least"
            )
        if filled is not None:
            # sktime's reset, with which its fit begins, keeps names with "__" in them.
            self._marked__y, y = y, filled
        try:
            return super().fit(X, y)
        finally:
            self.__dict__.pop("_marked__y", None)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return fast settings for sktime's checks, all with a fixed seed.

        Parameters
        ----------
        parameter_set : str, default="default"
            Ignored.

        Returns
        -------
        list of dict
            Settings for a trained network, for a student in closed form, and for clones of
            another classifier.
        """
        return cheap_settings()
