"""An adapter that makes a sktime early classifier of an ``EarlyClassifier``."""

from __future__ import annotations

from typing import Any

import numpy as np
from sktime.classification.early_classification import BaseEarlyClassifier

from .._adapters.early import ReadsByParts, cheap_settings
from .._adapters.labels import without_marks
from .._series.unlabeled import marker_of
from ._classifier import tags_of


class SktimeEarlyClassifier(ReadsByParts, BaseEarlyClassifier):
    """A sktime early classifier that wraps an :class:`~skgdpd.EarlyClassifier`.

    It stands beside sktime's ``TEASER`` in the same loop: ``predict`` reads the first parts of
    series, and ``update_predict`` longer parts of those that have no decision yet. Each point is
    read once. Answers are those of ``EarlyClassifier.decide`` on the whole series, to the bit,
    however they are cut.

    Parameters
    ----------
    estimator : EarlyClassifier
        Estimator, which is cloned before its fit. Its parameters are reached as
        ``estimator__delay_cost`` or, where no other has the same name, as ``delay_cost``.

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
        State of the series of the latest call. The columns are those of ``TEASER``: number of the
        latest moment, or of that of the decision; whether there is a decision; number of the
        class; time points at that moment. None before the first prediction, and after
        ``reset_state_info()``.

    Notes
    -----
    - ``predict`` and ``predict_proba`` begin with new series; ``update_predict`` and
      ``update_predict_proba`` go on. They take the series without a decision, in their order,
      with all points so far. Another number of series and changed points are refused.
    - Labels and probabilities without a decision are -1, and say nothing. Among labels that are
      strings, the -1 is a string. Where a class has the label -1, only the decisions tell the two
      apart.
    - Parts need not end at moments of the classifier. Series that have not reached the first
      moment have no decision.
    - Decisions are forced at the last moment. A series that is shorter has none until then, as it
      may go on. ``score`` takes series as whole, and forces an answer at their end.
    - ``score`` leaves ``state_info`` as it is.
    - Tags of an instance follow the classifier inside, as those of
      :class:`~skgdpd.sktime.SktimeClassifier`.
    - Four of sktime's checks want predictions to be one array, or to leave no state. They are
      left out by the tag ``tests:skip_by_name``, as for ``TEASER``. One more fails for series of
      unequal length, because it takes the rows of a frame for series.

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
        """Set parameters, and return to the state before a fit.

        Parameters
        ----------
        **params
            Values by name; parameters of the wrapped estimator as ``estimator__...``.

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
            Whole series, in any of sktime's forms.
        y : ndarray or pandas.Series of shape (n_samples,)
            Labels. Where the classifier has a teacher, some may be missing.

        Returns
        -------
        SktimeEarlyClassifier
            The estimator itself.

        Raises
        ------
        TypeError
            If ``estimator`` is no :class:`~skgdpd.EarlyClassifier`.
        ValueError
            If there is one class only.
        """
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
        """Return cheap settings for sktime's checks, all seeded.

        Parameters
        ----------
        parameter_set : str, default="default"
            Ignored.

        Returns
        -------
        list of dict
            A trained network, a student in closed form, and clones of another classifier.
        """
        return cheap_settings()
