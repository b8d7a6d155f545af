"""Adapter that gives a sktime transformer the interface of a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from sktime.transformations.base import BaseTransformer

from .._runtime.doc_links import LinksToDocs
from .._series.panel import as_frames, own_lengths, read_panel


class SklearnTransformer(LinksToDocs, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer that wraps a sktime transformer of panels.

    Transformers of sktime fail in the pipelines and searches of scikit-learn 1.9. This adapter
    takes and returns series in the format that the classifiers of this package take.

    Parameters
    ----------
    transformer : sktime transformer
        Transformer of panels, or of single series. It is cloned before it is fitted. Names of its
        parameters begin with ``transformer__``.

    Attributes
    ----------
    transformer_ : sktime transformer
        Fitted clone.
    n_features_in_ : int
        Number of channels of 3-D input, or of time points of 2-D input.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktime.transformations.truncation import TruncationTransformer
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.sktime import SklearnTransformer
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> first = SklearnTransformer(TruncationTransformer(upper=12))
    >>> first.fit_transform(X).shape
    (60, 1, 12)
    >>> clf = PrefixClassifier("fcn", earliness=1.0, max_epochs=10, random_state=0)
    >>> pipeline = make_pipeline(first, clf).fit(X, y)
    >>> pipeline.set_params(sklearntransformer__transformer__upper=8)[:1].fit_transform(X).shape
    (60, 1, 8)
    """

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # sktime's own tag is False for many that take missing values, truncation among them.
        tags.input_tags.allow_nan = True
        if isinstance(self.transformer, BaseTransformer):
            tags.target_tags.required = self.transformer.get_tag("requires_y")
        return tags

    def fit(self, X: Any, y: ArrayLike | None = None) -> SklearnTransformer:
        """Fit the sktime transformer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series, in any format that the classifiers take. A 2-D array has one channel.
        y : array-like of shape (n_samples,), optional
            Labels. They are passed only to transformers that need them.

        Returns
        -------
        SklearnTransformer
            The estimator itself.

        Raises
        ------
        TypeError
            If ``transformer`` isn't an instance of a sktime transformer.
        ValueError
            If the transformer needs labels and ``y`` is None.
        """
        if not isinstance(self.transformer, BaseTransformer):
            raise TypeError(
                f"transformer={self.transformer!r} must be an instance of a sktime transformer"
            )
        series, _ = self._read(X, reset=True)
        fitted = clone(self.transformer)
        if fitted.get_tag("requires_y"):
            if y is None:
                raise ValueError(f"transformer={self.transformer!r} requires y to be passed")
            fitted.fit(series, np.asarray(y))
        else:
            fitted.fit(series)
        self.transformer_ = fitted
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Transform series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series, as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_channels_out, n_timepoints_out) or (n_samples, n_features)
            Transformed series, with shorter series filled up with NaN. The result is
            two-dimensional if X is two-dimensional and the result has one channel, or if the
            transformer returns numbers instead of series (output type "Primitives" of sktime).
        """
        check_is_fitted(self)
        series, flat = self._read(X, reset=False)
        new = self.transformer_.transform(series)
        if self.transformer_.get_tag("scitype:transform-output") == "Primitives":
            return np.asarray(new)
        values = read_panel(new, "the transformed X").values
        return values[:, 0] if flat and values.shape[1] == 1 else values

    def _read(self, X: Any, reset: bool) -> tuple[Any, bool]:
        """Return series in a format that sktime reads correctly, and whether X is 2-D."""
        panel = read_panel(X)
        # A 2-D table must keep its number of columns, a panel its number of channels.
        validate_data(self, X if panel.flat else panel.values, reset=reset, skip_check_array=True)
        values = panel.values
        if (own_lengths(np.isnan(values)) < panel.n_timepoints).any():
            return as_frames(values), panel.flat
        return values, panel.flat
