"""Adapter that gives a classifier of prefixes the interface of a sktime classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import Tags, get_tags
from sktime.classification.base import BaseClassifier

from .._adapters.capabilities import CHANNELS, GAPS, RAGGED, capabilities_of
from .._adapters.labels import without_marks
from .._estimators.distilled import DistilledPrefixClassifier
from .._estimators.gdpd import GDPDClassifier
from .._estimators.gendd import GenDDClassifier
from .._estimators.options import SeriesOptions
from .._estimators.prefix import PrefixClassifier
from .._estimators.prior import DiffusionFeaturePrior
from .._series.frames import aligned
from .._series.panel import own_lengths, read_panel
from .._series.unlabeled import marker_of, refuse_marked
from ..distillers import GeneratorOptions

FOREIGN_STATE = ("_parent_callback_ctx", "_skl_callbacks", "_skl_callbacks_to_teardown")
"""Attributes that scikit-learn 1.9 sets on a nested estimator and reads after its fit."""


class SktimeClassifier(BaseClassifier):
    """A sktime classifier that wraps a classifier of prefixes.

    A clone of the wrapped classifier is fitted. Panels in any format of sktime are converted to
    ``(n_samples, n_channels, n_timepoints)`` arrays, in which shorter series are filled up with
    NaN. The adapter also works inside scikit-learn 1.9 or later, unlike other sktime classifiers.

    Parameters
    ----------
    estimator : classifier
        :class:`~skgdpd.PrefixClassifier`, :class:`~skgdpd.DistilledPrefixClassifier`,
        :class:`~skgdpd.GDPDClassifier`, :class:`~skgdpd.GenDDClassifier`, or a scikit-learn
        classifier of 3-D arrays with ``predict_proba``, such as a search over one of these. Its
        parameters are available under names such as ``estimator__lr``, or ``lr`` if this name is
        unambiguous.

    Attributes
    ----------
    estimator_ : classifier
        Fitted clone. It doesn't exist after a fit on a single class, because sktime then makes
        the predictions itself.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_classes_ : int
        Number of classes.
    fit_time_ : int
        Duration of the fit in milliseconds.

    Notes
    -----
    The tags of an instance follow the wrapped classifier:

    - ``capability:missing_values`` is True if the classifier allows missing values. sktime also
      counts NaN at the end of a series as missing values. To avoid this, pass series of unequal
      length as a list of frames, a multi-indexed frame or a nested frame.
    - ``capability:unequal_length`` is True if student, teacher and ``earliness`` support series
      of unequal length, or get resampled series. Networks given by name or as callables are
      assumed to support them until they are made and checked. Classifiers of scikit-learn are
      assumed not to support them.
    - ``capability:multivariate`` is False if a teacher from sktime has this tag set to False.
    - ``capability:class_weight`` is True if the classifier has a parameter ``class_weight``.
    - ``property:randomness`` is ``"deterministic"`` if the ``random_state`` of the classifier is
      an int, else ``"stochastic"``. ``capability:random_state`` refers to a parameter of the
      adapter itself, and is False.
    - ``capability:multithreading`` refers to a parameter ``n_jobs``, and is False.

    For classifiers other than the four above, ``capability:multivariate`` is True and the other
    capabilities are False.

    Missing labels in y mark unlabelled series, as for the wrapped classifier. The pipelines and
    searches of sktime sort y first. They support NaN among numbers, and a value that
    ``unlabeled=`` names, such as ``"?"`` or ``-1``. They don't support None among strings. Their
    own ``classes_`` contain the value that marks unlabelled series.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.sktime import SktimeClassifier
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> prefix = PrefixClassifier("lstm1-8", earliness=0.5, max_epochs=2, random_state=0)
    >>> clf = SktimeClassifier(prefix).fit(X, y)
    >>> clf.predict_proba(X).shape
    (60, 2)
    >>> clf.estimator_.prefix_length_, clf.get_tag("capability:missing_values")
    (30, False)

    With unlabelled series:

    >>> from skgdpd import DistilledPrefixClassifier
    >>> taught = DistilledPrefixClassifier(student="lstm1-8", max_epochs=2, random_state=0)
    >>> y = y.astype(object)
    >>> y[20:] = None
    >>> clf = SktimeClassifier(taught).fit(X, y)
    >>> clf.estimator_.history_.n_unlabeled, clf.n_classes_
    (40, 2)
    """

    # Capabilities of the class are those of its most capable instance.
    _tags = {
        "authors": "the skgdpd developers",
        "maintainers": "the skgdpd developers",
        # Other forms are converted to the first.
        "X_inner_mtype": ["pd-multiindex", "numpy3D", "df-list", "nested_univ"],
        "y_inner_mtype": "numpy1D",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "capability:predict_proba": True,
        "capability:class_weight": True,
        "capability:categorical_in_X": False,
        "capability:multithreading": False,
        "capability:random_state": False,
        "property:randomness": "stochastic",
    }

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()
        self._set_own_tags()

    def _set_own_tags(self) -> None:
        self.set_tags(**tags_of(self.estimator))

    def __sklearn_tags__(self) -> Tags:
        return get_tags(self.estimator)

    def reset(self) -> SktimeClassifier:
        """Reset the estimator to the unfitted state.

        Returns
        -------
        SktimeClassifier
            The estimator itself.
        """
        kept = {name: vars(self)[name] for name in FOREIGN_STATE if name in vars(self)}
        super().reset()
        for name, value in kept.items():
            setattr(self, name, value)
        return self

    def set_params(self, **params: Any) -> SktimeClassifier:
        """Set parameters, and reset the estimator to the unfitted state.

        Parameters
        ----------
        **params
            Values by name. Names of parameters of the wrapped classifier begin with
            ``estimator__``.

        Returns
        -------
        SktimeClassifier
            The estimator itself.
        """
        super().set_params(**params)
        # sktime sets parameters of components after the tags have been set by __init__.
        self._set_own_tags()
        return self

    def fit(self, X: Any, y: Any) -> SktimeClassifier:
        """Fit the wrapped classifier.

        Parameters
        ----------
        X : panel
            Whole series, in any format of sktime.
        y : ndarray or pandas.Series of shape (n_samples,)
            Labels. A missing label, or the value of the wrapped classifier's ``unlabeled``, marks
            an unlabelled series. A pandas Series is matched with a multi-indexed frame by its
            index.

        Returns
        -------
        SktimeClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If y is a pandas Series and its index does not have each id of a multi-indexed frame
            exactly once.
        """
        refuse_padded(X, self)
        y = aligned(X, y, "y")
        filled = without_marks(y, marker_of(self.estimator))
        if filled is not None:
            # sktime's reset, with which its fit begins, keeps names with "__" in them.
            self._marked__y, y = y, filled
        try:
            return super().fit(X, y)
        finally:
            self.__dict__.pop("_marked__y", None)

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy on labelled series.

        Parameters
        ----------
        X : panel
            Series, in any format of sktime.
        y : array-like of shape (n_samples,)
            Labels, none of them missing. A pandas Series is matched with X as in :meth:`fit`.

        Returns
        -------
        float
            Fraction of series that are classified correctly.
        """
        labels = refuse_marked(aligned(X, y, "y"), marker_of(self.estimator))
        return super().score(X, labels)

    def _fit(self, X: Any, y: NDArray[Any]) -> SktimeClassifier:
        y = getattr(self, "_marked__y", y)
        self.estimator_ = clone(self.estimator).fit(read_panel(X).values, y)
        # sktime has counted a value that marks unlabelled series as a class.
        self.classes_ = self.estimator_.classes_
        self.n_classes_ = len(self.classes_)
        self._class_dictionary = {label: i for i, label in enumerate(self.classes_)}
        return self

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(read_panel(X).values)

    def _predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(read_panel(X).values)

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
            One setting for each of the four classifiers.
        """
        small: dict[str, Any] = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
        prior = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
        masked, short = SeriesOptions(missing_values="mask"), GeneratorOptions(max_epochs=2)
        return [
            {"estimator": PrefixClassifier(**small, earliness=0.5)},
            {"estimator": DistilledPrefixClassifier(**small, earliness=6, series=masked)},
            {"estimator": GDPDClassifier(**small, earliness=0.7, prior=prior)},
            {"estimator": GenDDClassifier(**small, n_sampling_steps=4, generator=short)},
        ]


def refuse_padded(X: Any, clf: SktimeClassifier) -> None:
    """Say how to give series that end in NaN, which sktime would take for missing values."""
    is_array = isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype.kind == "f"
    if not is_array or clf.get_tag(GAPS) or not clf.get_tag(RAGGED):
        return
    short = np.flatnonzero(own_lengths(np.isnan(X)) < X.shape[2])
    if len(short):
        raise ValueError(
            f"{type(clf).__name__} cannot handle missing values, as which sktime counts NaN in an "
            f"array, and series {short[0]} of X ends in NaN; if it is shorter, give series of "
            f"unequal length as frames (a list of them, multi-indexed or nested)"
        )


def tags_of(estimator: Any) -> dict[str, Any]:
    """Return the tags of sktime that depend on the wrapped classifier."""
    own = capabilities_of(estimator)
    return {
        GAPS: own.missing_values,
        RAGGED: own.unequal_length,
        CHANNELS: own.multivariate,
        "capability:class_weight": own.class_weight,
        "property:randomness": "deterministic" if own.deterministic else "stochastic",
    }
