"""Our classifiers as sktime's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import has_fit_parameter
from sktime.classification.base import BaseClassifier
from torch import nn

from .._base import BasePrefixClassifier
from .._gdpd import GDPDClassifier
from .._panel import Recordings, read_panel
from .._prefix import DistilledPrefixClassifier, PrefixClassifier
from .._prior import DiffusionFeaturePrior
from ..nets import takes_lengths

FOREIGN_STATE = ("_parent_callback_ctx", "_skl_callbacks", "_skl_callbacks_to_teardown")
"""What scikit-learn 1.9 keeps on a sub-estimator during a fit, and wants to find after it."""


class SktimeClassifier(BaseClassifier):
    """A classifier of prefixes as a sktime classifier.

    The wrapped classifier is cloned, and fitted on ``(n_samples, n_channels, n_timepoints)``
    arrays made of whatever panel sktime is given; shorter series end in NaN there. It also works
    inside scikit-learn, which other sktime classifiers do not from scikit-learn 1.9 on.

    Parameters
    ----------
    estimator : classifier
        :class:`~skgdpd.PrefixClassifier`, :class:`~skgdpd.DistilledPrefixClassifier`,
        :class:`~skgdpd.GDPDClassifier`, or a scikit-learn classifier of 3-D arrays with
        ``predict_proba`` made of them, a search, say. Its parameters are reached as
        ``estimator__lr`` or, where no other has the same name, as ``lr``.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone. There is none after a fit on a single class, which sktime answers itself.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_classes_ : int
        Their number.
    fit_time_ : int
        Milliseconds that the fit took.

    Notes
    -----
    The tags of an instance follow the wrapped classifier:

    - ``capability:missing_values`` says whether its ``missing`` is not ``"error"``. sktime counts
      NaN at the end of a series as missing, too, and refuses it otherwise: give it series of
      unequal length as a list of frames, multi-indexed or nested.
    - ``capability:unequal_length`` says whether student, teacher and ``earliness`` can take such
      series, or are given resampled ones. Of names and callables it is believed until they make
      their network, which then is asked; of foreign scikit-learn classifiers it is denied.
    - ``capability:class_weight`` says whether it has a ``class_weight``.
    - ``property:randomness`` is ``"deterministic"`` if its ``random_state`` is an int, else
      ``"stochastic"``. ``capability:random_state`` is about a parameter of the adapter itself, and
      False.
    - ``capability:multithreading`` is about a parameter ``n_jobs``, and False.

    - ``capability:multivariate`` is denied if a teacher from sktime denies it.

    Of anything but the three classifiers above, whatever cannot be known is denied, but for
    several channels, which are in the form of what it is given.

    sktime's ``fit`` has room for labelled series only. Whole series without a label are a setting
    of the instance, which its clones inherit: ``set_config(X_unlabeled=X)``, in any form that
    ``fit`` takes. Benchmarks, pipelines and searches hand all of them to every fit. They are
    copied with every clone and saved with the model; ``set_config(X_unlabeled=None)`` takes them
    out.

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

    With series that nobody has labelled:

    >>> from skgdpd import DistilledPrefixClassifier
    >>> taught = DistilledPrefixClassifier(student="lstm1-8", max_epochs=2, random_state=0)
    >>> clf = SktimeClassifier(taught).set_config(X_unlabeled=X[20:]).fit(X[:20], y[:20])
    >>> clf.estimator_.history_.n_unlabeled
    40
    """

    # What some instance can; each sets its own.
    _tags = {
        "authors": "the skgdpd developers",
        "maintainers": "the skgdpd developers",
        # The first is what every other form is made into.
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

    _config = {"X_unlabeled": None}
    _config_doc = {
        "X_unlabeled": """
        X_unlabeled : panel or None, default=None
            whole series without a label that the wrapped classifier learns from, too
        """
    }

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()
        self._set_own_tags()

    def _set_own_tags(self) -> None:
        estimator = self.estimator
        ours = isinstance(estimator, BasePrefixClassifier)
        seeded = ours and isinstance(estimator.random_state, (int, np.integer))
        self.set_tags(
            **{
                "capability:missing_values": ours and estimator.missing != "error",
                "capability:unequal_length": _takes_ragged(estimator),
                "capability:multivariate": _takes_channels(estimator),
                "capability:class_weight": ours,
                "property:randomness": "deterministic" if seeded else "stochastic",
            }
        )

    def __sklearn_tags__(self) -> Tags:
        return get_tags(self.estimator)

    def __sklearn_clone__(self) -> SktimeClassifier:
        # scikit-learn's own way would leave the settings behind.
        copy = self.clone()
        if "_skl_callbacks" in vars(self):
            copy._skl_callbacks = self._skl_callbacks
        return copy

    def reset(self) -> SktimeClassifier:
        """Forget the fit, but not what scikit-learn keeps here while it goes on."""
        kept = {name: vars(self)[name] for name in FOREIGN_STATE if name in vars(self)}
        super().reset()
        for name, value in kept.items():
            setattr(self, name, value)
        return self

    def set_params(self, **params: Any) -> SktimeClassifier:
        """Set parameters, and forget the fit.

        Parameters
        ----------
        **params
            By name, those of the wrapped classifier as ``estimator__...``.

        Returns
        -------
        SktimeClassifier
            Itself.
        """
        super().set_params(**params)
        # sktime sets those of components last, when the tags have been set already.
        self._set_own_tags()
        return self

    def _fit(self, X: Any, y: NDArray[Any]) -> SktimeClassifier:
        more = self._unlabeled()
        self.estimator_ = clone(self.estimator).fit(read_panel(X).values, y, **more)
        return self

    def _unlabeled(self) -> dict[str, Recordings]:
        pool = self.get_config()["X_unlabeled"]
        if pool is None:
            return {}
        estimator = self.estimator
        if isinstance(estimator, BasePrefixClassifier) and not has_fit_parameter(
            estimator, "X_unlabeled"
        ):
            raise ValueError(
                f"X_unlabeled is set, but {type(estimator).__name__} learns from labelled series "
                f"only; allowed are classifiers with a teacher, or X_unlabeled=None"
            )
        return {"X_unlabeled": pool if isinstance(pool, Recordings) else Recordings(pool)}

    def _predict(self, X: Any) -> NDArray[Any]:
        return self.estimator_.predict(read_panel(X).values)

    def _predict_proba(self, X: Any) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(read_panel(X).values)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap settings for sktime's checks, all seeded, so that no check is left out.

        Parameters
        ----------
        parameter_set : str, default="default"
            Not looked at.

        Returns
        -------
        list of dict
            One for each of the three classifiers.
        """
        small: dict[str, Any] = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
        prior = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
        return [
            {"estimator": PrefixClassifier(**small, earliness=0.5)},
            {"estimator": DistilledPrefixClassifier(**small, earliness=6, missing="mask")},
            {"estimator": GDPDClassifier(**small, earliness=0.7, prior=prior)},
        ]


def _takes_ragged(part: Any, resampled: bool = False) -> bool:
    """Whether a classifier, or a part of one, takes series of unequal length, as far as known."""
    if isinstance(part, FrozenEstimator):
        part = part.estimator
    if isinstance(part, BasePrefixClassifier):
        resampled = part.resample_length is not None
        parts = [part.student, part.earliness, getattr(part, "teacher", None)]
        return all(_takes_ragged(p, resampled) for p in parts)
    if isinstance(part, nn.Module):
        return resampled or takes_lengths(part)
    if hasattr(part, "get_tag"):
        return part.get_tag("capability:unequal_length")
    # What is left are names, callables and numbers; scikit-learn knows no such series.
    return not hasattr(part, "predict_proba")


def _takes_channels(part: Any) -> bool:
    """Whether a classifier takes several channels, as far as known."""
    if isinstance(part, FrozenEstimator):
        part = part.estimator
    if isinstance(part, BasePrefixClassifier):
        return _takes_channels(getattr(part, "teacher", None))
    return part.get_tag("capability:multivariate") if hasattr(part, "get_tag") else True
