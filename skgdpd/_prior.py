"""The diffusion prior over features, as an estimator of its own."""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_scalar
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ._device import resolve_device
from ._docs import LinksToDocs
from ._persistence import Saveable
from ._prior_model import (
    PRIOR_CONSTRAINTS,
    FeatureHead,
    PriorSettings,
    fit_prior_model,
    measured,
)
from ._random import RandomState, Seeds
from ._threads import one_thread_in_workers
from .diffusion import (
    CodeName,
    Degradation,
    DegradationName,
    DenoiserName,
    MixtureDenoiser,
    make_degradation,
    mixture_log_density,
)
from .diffusion.schedule import ScheduleName
from .training import SILENT, Progress

Floats = NDArray[np.float64]

SAMPLE_STEPS = 100
"""Evaluations of the denoiser for a draw from the prior: nobody waits for these."""


class DiffusionFeaturePrior(
    LinksToDocs,
    Saveable,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseEstimator,
):
    r"""Generative model of features that restores degraded ones.

    Learns the distribution of (teacher) features by denoising diffusion and, from pairs, how
    another view's features :math:`y` depend on them, :math:`y = A z + b + n`,
    :math:`n \sim N(0, R)`. Then draws plausible features for degraded ones, and classifies them
    by averaging over draws.

    Parameters
    ----------
    denoiser : {"film", "bottleneck", "gmm"}, default="film"
        ``"film"``: residual perceptron with layer normalisation, modulated by the noise level.
        ``"bottleneck"``: the reference's, batch-normalised. ``"gmm"``: no diffusion but one
        Gaussian a class, with everything in closed form.
    encoder : {"identity", "pca", "autoencoder"}, default="identity"
        Coordinates of the latent: the features themselves (standardised inside), whitened
        principal components, or the paper's autoencoder. Draws are features with
        ``"identity"``, codes otherwise.
    n_latent : int, default=None
        Width d of the latent. None is all features for ``"identity"`` and ``"autoencoder"``, and
        as many components as keep 99 % of the variance for ``"pca"``.
    schedule : {"linear", "cosine"}, default="linear"
        Noise schedule; the paper's is linear, betas 1e-4 to 0.02.
    n_diffusion_steps : int, default=1000
        Steps T of the schedule; 1000 did best in the paper's ablation.
    n_sampling_steps : int, default=5
        Evaluations of the denoiser for one posterior draw; the paper's chain has 5.
    degradation : str, default="linear-gaussian"
        How a degraded feature steers the draw. ``"linear-gaussian"``: the posterior of the
        measured model. ``"matched-noise"``: start the chain at the measured noise level.
        ``"none"``: ignore it. ``"learned-alpha"``, the paper's, is learned with a student's loss
        and so only inside ``GDPDClassifier``.
    measurement_noise : float, default=0.1
        Standard deviation of the noise that degraded features are taken to have when ``fit`` is
        given no pairs, in the units of Z; A then is the identity.
    n_posterior_samples : int, default=16
        Draws J that ``transform`` and ``predict_proba`` average over.
    max_epochs : int or "auto", default="auto"
        Passes over the features. ``"auto"``: 20, or 2000 steps (``"learned-alpha"``: 500) if more.
    batch_size : int, default=64
        Features a step.
    n_noise_levels : int, default=4
        Fresh noise levels for each feature and step; the reference has 1.
    lr : float, default=1e-3
        Peak of the one-cycle learning rate.
    random_state : int, RandomState instance or None, default=None
        Seeds the fit, and draws: the same int gives the same draws in each call.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, if ``fit`` had any.
    n_features_in_ : int
        Width dT of the features.
    n_latent_ : int
        Width d of the latent.
    code_ : AffineCode
        Encoder and decoder.
    latent_ : LatentDiffusion
        Denoiser, schedule and moments of the codes.
    measurement_ : LinearGaussian
        A, b and R, from codes to degraded features.
    history_ : History
        Loss terms by epoch; empty for ``"gmm"``.

    References
    ----------
    GDPD, arXiv 2605.11414, ICLR 2026 (the prior, ``"learned-alpha"``, the autoencoder).

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd import DiffusionFeaturePrior
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["down", "up"], 50)
    >>> Z = rng.normal(size=(100, 3)) + np.where(y == "up", 2, -2)[:, None]
    >>> prior = DiffusionFeaturePrior(
    ...     denoiser="gmm", measurement_noise=1.0, random_state=0).fit(Z, y)
    >>> noisy = Z + rng.normal(size=Z.shape)
    >>> bool(prior.score(noisy, y) > 0.9)
    True
    >>> prior.posterior_sample(noisy, n_samples=7).shape
    (100, 7, 3)
    """

    _parameter_constraints = PRIOR_CONSTRAINTS

    def __init__(
        self,
        denoiser: DenoiserName = "film",
        *,
        encoder: CodeName = "identity",
        n_latent: int | None = None,
        schedule: ScheduleName = "linear",
        n_diffusion_steps: int = 1000,
        n_sampling_steps: int = 5,
        degradation: DegradationName = "linear-gaussian",
        measurement_noise: float = 0.1,
        n_posterior_samples: int = 16,
        max_epochs: int | str = "auto",
        batch_size: int = 64,
        n_noise_levels: int = 4,
        lr: float = 1e-3,
        random_state: RandomState = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
    ) -> None:
        self.denoiser = denoiser
        self.encoder = encoder
        self.n_latent = n_latent
        self.schedule = schedule
        self.n_diffusion_steps = n_diffusion_steps
        self.n_sampling_steps = n_sampling_steps
        self.degradation = degradation
        self.measurement_noise = measurement_noise
        self.n_posterior_samples = n_posterior_samples
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.n_noise_levels = n_noise_levels
        self.lr = lr
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _validate_params(self) -> None:
        super()._validate_params()
        if self.encoder == "identity" and self.n_latent is not None:
            raise ValueError(
                f"n_latent={self.n_latent!r} with encoder='identity', which keeps all features; "
                "leave n_latent None, or choose encoder 'pca' or 'autoencoder'"
            )

    @one_thread_in_workers()
    def fit(
        self,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        Z_short: ArrayLike | None = None,
        *,
        progress: Progress = SILENT,
    ) -> DiffusionFeaturePrior:
        """Learn the distribution of features and, from pairs, their degradation.

        Parameters
        ----------
        Z : array-like of shape (n_samples, dT)
            Features, of a teacher for instance.
        y : array-like of shape (n_samples,), optional
            Labels. Without them there is no ``predict_proba``, and ``denoiser="gmm"`` is a single
            Gaussian.
        Z_short : array-like of shape (n_samples, dS), optional
            The degraded features of the same samples, of a student for instance.
        progress : Progress, optional
            A bar to advance, by one in all, in place of an own one.

        Returns
        -------
        DiffusionFeaturePrior
            Itself.
        """
        self._validate_params()
        device = resolve_device(self.device)
        if self.degradation == "learned-alpha" and Z_short is not None:
            raise ValueError(
                "degradation='learned-alpha' is learned with a student's loss, not from pairs; "
                "leave Z_short out, or choose 'linear-gaussian' or 'matched-noise'"
            )
        features: Floats = validate_data(self, Z, dtype=np.float64)
        for name in ("classes_", "_head"):
            if hasattr(self, name):
                delattr(self, name)
        labels = None if y is None else self._encode_labels(Z, y)
        pairs: Floats | None = None
        if Z_short is not None:
            pairs = check_array(Z_short, dtype=np.float64, input_name="Z_short")
            if len(pairs) != len(features):
                raise ValueError(
                    f"Z_short has {len(pairs)} samples and Z {len(features)}; give both of each"
                )
        self._paired = pairs is not None
        seeds = Seeds(self.random_state)
        self._draw_seed = seeds("draws")
        settings = PriorSettings(
            **{field.name: getattr(self, field.name) for field in fields(PriorSettings)}
        )
        visible = bool(self.verbose) and progress is SILENT
        with Progress(1, visible) as own:
            shown = own if progress is SILENT else progress
            self.code_, self.latent_, self.history_ = fit_prior_model(
                torch.tensor(features), labels, settings, device, seeds, shown
            )
        self.n_latent_ = self.latent_.n_features
        codes = self.encode(features)
        self.measurement_ = measured(self.code_, codes, pairs, self.measurement_noise)
        if labels is not None and len(self.classes_) > 1:
            self._head = FeatureHead().fit(self._shown(codes), labels)
        return self

    def _encode_labels(self, Z: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        _, y = validate_data(self, Z, y, dtype=np.float64, reset=False)
        check_classification_targets(y)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        return labels.astype(np.int64)

    @property
    def _n_features_out(self) -> int:
        return self.n_latent_

    def encode(self, Z: ArrayLike) -> Floats:
        """Encode features.

        Parameters
        ----------
        Z : array-like of shape (n, dT)
            Features, not degraded.

        Returns
        -------
        ndarray of shape (n, d)
        """
        check_is_fitted(self)
        return self.code_.encode(torch.tensor(np.asarray(Z, dtype=np.float64))).numpy()

    def _shown(self, codes: Floats) -> Floats:
        """Codes as users see them: features again where the code is the features."""
        decoded = self.encoder == "identity"
        return self.code_.decode(torch.as_tensor(codes)).numpy() if decoded else codes

    def sample(self, n_samples: int = 1) -> Floats:
        """Draw from the prior.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.

        Returns
        -------
        ndarray of shape (n_samples, d)
            Features with ``encoder="identity"``, else codes.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        prior = make_degradation("none", self.latent_, SAMPLE_STEPS, 1)
        draws = prior.draw(torch.zeros(n_samples, 1, dtype=torch.float64), 1, self._generator())
        return self._shown(draws[0].numpy())

    def posterior_sample(self, Z_short: ArrayLike, n_samples: int | None = None) -> Floats:
        """Draw features that degraded ones may have come from.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.
        n_samples : int, optional
            Draws J for each; by default ``n_posterior_samples``.

        Returns
        -------
        ndarray of shape (n, J, d)
            Features with ``encoder="identity"``, else codes.
        """
        n_samples = self.n_posterior_samples if n_samples is None else n_samples
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        return self._draw(self._check_degraded(Z_short), n_samples, shared_noise=False)

    def transform(self, Z_short: ArrayLike) -> Floats:
        """Posterior mean of degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n, d)
            Mean of ``n_posterior_samples`` draws; features with ``encoder="identity"``, else
            codes.
        """
        draws = self._draw(self._check_degraded(Z_short), self.n_posterior_samples, True)
        return draws.mean(1)

    def predict_proba(self, Z_short: ArrayLike) -> Floats:
        """Posterior predictive: class probabilities averaged over J draws.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n, n_classes)
            The head is a logistic regression on the features that ``fit`` saw.
        """
        degraded = self._check_degraded(Z_short)
        if not hasattr(self, "classes_"):
            raise AttributeError("fit had no labels; give it y for classes to predict")
        if len(self.classes_) == 1:
            return np.ones((len(degraded), 1))
        draws = self._draw(degraded, self.n_posterior_samples, shared_noise=True)
        flat = self._head.predict_proba(draws.reshape(-1, draws.shape[2]))
        return flat.reshape(*draws.shape[:2], -1).mean(1)

    def predict(self, Z_short: ArrayLike) -> NDArray[Any]:
        """Most probable classes of degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n,)
        """
        proba = self.predict_proba(Z_short)
        return self.classes_[proba.argmax(1)]

    def score_samples(self, Z: ArrayLike) -> Floats:
        """Log-density of features, or a lower bound of it.

        Parameters
        ----------
        Z : array-like of shape (n, dT)
            Features, not degraded.

        Returns
        -------
        ndarray of shape (n,)
            Exact for ``denoiser="gmm"``, else the diffusion's variational bound over all T
            steps, with one noise draw each. In nats; of features with ``encoder="identity"``,
            else of codes.
        """
        check_is_fitted(self)
        codes = self.encode(validate_data(self, Z, dtype=np.float64, reset=False))
        if isinstance(self.latent_.denoiser, MixtureDenoiser):
            density = mixture_log_density(codes, *self.latent_.denoiser.parts())
        else:
            bound = self.latent_.log_density_bound(torch.as_tensor(codes), self._generator())
            density = bound.numpy()
        if self.encoder == "identity":
            density = density + torch.linalg.slogdet(self.code_.W)[1].item()
        return density

    def _check_degraded(self, Z_short: ArrayLike) -> Floats:
        check_is_fitted(self)
        if not self._paired:
            return validate_data(self, Z_short, dtype=np.float64, reset=False)
        degraded: Floats = check_array(Z_short, dtype=np.float64, input_name="Z_short")
        if degraded.shape[1] != self.measurement_.A.shape[0]:
            raise ValueError(
                f"Z_short has {degraded.shape[1]} features; the degraded features that fit saw "
                f"had {self.measurement_.A.shape[0]}"
            )
        return degraded

    def _draw(self, Z_short: Floats, n_samples: int, shared_noise: bool) -> Floats:
        if self.degradation == "learned-alpha":
            raise ValueError(
                "degradation='learned-alpha' is learned with a student's loss inside "
                "GDPDClassifier; alone, use 'linear-gaussian', 'matched-noise' or 'none'"
            )
        degradation = self.make_degradation(Z_short.shape[1])
        draws = degradation.draw(torch.tensor(Z_short), n_samples, self._generator(), shared_noise)
        return self._shown(draws.transpose(0, 1).numpy())

    def make_degradation(self, n_short: int) -> Degradation:
        """Make what draws restored features, for one's own loss for instance.

        Parameters
        ----------
        n_short : int
            Width dS of the degraded features.

        Returns
        -------
        Degradation
        """
        check_is_fitted(self)
        made = make_degradation(self.degradation, self.latent_, self.n_sampling_steps, n_short)
        if made.needs_measurement:
            made.calibrate(self.measurement_)
        return made

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self._draw_seed)
