"""Diffusion prior of features, as an estimator."""

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
from sklearn.utils import assert_all_finite, check_scalar
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .._fitting.prior_model import (
    PRIOR_CONSTRAINTS,
    FeatureHead,
    PriorSettings,
    fit_prior_model,
    measured,
)
from .._persistence import Saveable
from .._runtime.arguments import about
from .._runtime.device import resolve_device
from .._runtime.doc_links import LinksToDocs
from .._runtime.parameters import PlainNumbers
from .._runtime.random import RandomState, Seeds
from .._runtime.worker_config import CarriesConfig, in_worker_settings
from .._series.unlabeled import refuse_marked
from ..diffusion import (
    DegradationName,
    DenoiserName,
    DynamicsName,
    LatentFlow,
    MixtureDenoiser,
    PosteriorSampler,
    PriorEncoderName,
    make_posterior_sampler,
    mixture_log_density,
)
from ..diffusion.schedule import ScheduleName
from ..training import Progress
from ..training.progress import SILENT
from .scoring import accuracy

Floats = NDArray[np.float64]

SAMPLE_STEPS = 100
"""Number of denoiser evaluations for a draw from the prior, where quality comes before speed."""


class DiffusionFeaturePrior(
    CarriesConfig,
    LinksToDocs,
    Saveable,
    PlainNumbers,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseEstimator,
):
    r"""Generative model of features that restores degraded features.

    The prior learns the distribution of features :math:`z`, such as the features of a teacher, by
    denoising diffusion or by a flow. From pairs of features and degraded features :math:`y`, it
    learns the degradation :math:`y = A z + b + n`, :math:`n \sim N(0, R)`. It then draws features
    from their posterior given degraded features, and classifies degraded features by an average
    over these draws.

    Parameters
    ----------
    denoiser : {"film", "bottleneck", "gmm"}, default="film"
        Model of the features. ``"film"`` is a residual perceptron with layer normalisation,
        modulated by the noise level. ``"bottleneck"`` is the network of the authors' program, with
        batch normalisation. ``"gmm"`` is a Gaussian for each class instead of a diffusion model;
        its fit, draws and density are in closed form.
    dynamics : {"diffusion", "flow", "flow-map", "mean-flow", "shortcut"}, default="diffusion"
        Process that turns noise into features. ``"diffusion"`` is the paper's. The others are
        flows, with a network of the size of ``"film"``, for draws in few steps: ``"flow"`` by flow
        matching, ``"flow-map"`` by Lagrangian self-distillation, ``"mean-flow"`` by average
        velocities, ``"shortcut"`` by long steps that lead where two short ones do. They run from
        noise at time 0 to data at time 1, so ``schedule`` and ``n_diffusion_steps`` have no
        effect on them. With degradations other than
        ``"linear-gaussian"`` and ``"matched-noise"``, noise and features are paired by optimal
        transport within each batch. A flow can be combined with ``denoiser="film"`` only.
    encoder : {"identity", "pca", "autoencoder"}, default="identity"
        Latent representation in which the prior works: the standardised features, whitened
        principal components, or the codes of the paper's autoencoder. Draws are returned as
        features with ``"identity"`` and as codes otherwise.
    n_latent : int, default=None
        Width d of the latent. None keeps the number of features with ``"identity"`` and
        ``"autoencoder"``. With ``"pca"`` it keeps the components that explain 99 % of the
        variance. In :class:`GDPDClassifier`, None with ``"autoencoder"`` is the number of the
        student's features, as in the paper.
    schedule : {"linear", "cosine"}, default="linear"
        Noise schedule. ``"linear"`` is the paper's, with betas from 1e-4 to 0.02.
    n_diffusion_steps : int, default=1000
        Number T of noise levels of the schedule. 1000 was best in the paper.
    n_sampling_steps : int, default=5
        Number of denoiser evaluations for a posterior draw; the paper uses 5. ``sample`` uses
        this number, too, with all flows but ``"flow"``.
    degradation : str, default="linear-gaussian"
        Model of how a draw depends on the degraded feature. ``"linear-gaussian"`` draws from the
        posterior under A, b and R. ``"matched-noise"`` starts a diffusion at the noise level, or a
        flow at the time, that corresponds to A, b and R. ``"none"`` draws from the prior.
        ``"learned-alpha"`` is the paper's. It is learned with a student's loss, so only
        :class:`GDPDClassifier` can use it.
    measurement_noise : float, default=0.1
        Standard deviation of the noise in degraded features, in the units of Z, from 1e-100 to
        1e100. It is used if ``fit`` is given no pairs; A is then the identity and b is zero.
    n_posterior_samples : int, default=16
        Number J of draws that ``transform`` and ``predict_proba`` average.
    max_epochs : int or "auto", default="auto"
        Number of passes over the features. "auto" makes about 2000 optimisation steps (500 for
        ``"learned-alpha"``), but at least 20 passes; see docs/prior.md.
    batch_size : int, default=64
        Number of features in an optimisation step.
    n_noise_levels : int, default=4
        Number of random noise levels per feature and step. More levels make the gradient less
        noisy. The authors' program uses 1.
    lr : float, default=1e-3
        Learning rate at the peak of the one-cycle schedule.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds of the fit and of draws. With an int, every call gives the same draws.
    device : str, default="auto"
        Device of the fit. ``"auto"`` is CUDA if it is available, else the CPU.
    verbose : int, default=0
        Verbosity. 0 shows nothing, 1 a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in ascending order. It exists only if ``fit`` was given labels.
    n_features_in_ : int
        Width dT of the features.
    n_latent_ : int
        Width d of the latent.
    encoder_ : AffineEncoder
        Map from features to codes, and back.
    latent_ : LatentDiffusion or LatentFlow
        Fitted model of the codes: denoiser and schedule, or the network of the flow.
    measurement_ : LinearGaussian
        Map A, offset b and noise covariance R of degraded features, given codes.
    history_ : History
        Loss terms by epoch; empty for ``"gmm"``.

    References
    ----------
    GDPD, arXiv 2605.11414, ICLR 2026 (the prior, ``"learned-alpha"``, the autoencoder).
    A. Tong et al., TMLR 2024 (``"flow"`` with optimal transport). N. Boffi et al., arXiv
    2505.18825 (``"flow-map"``). Z. Geng et al., arXiv 2505.13447 (``"mean-flow"``). K. Frans et
    al., ICLR 2025 (``"shortcut"``).

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
        dynamics: DynamicsName = "diffusion",
        encoder: PriorEncoderName = "identity",
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
        self.dynamics = dynamics
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
        resolve_device(self.device)
        if self.encoder == "identity" and self.n_latent is not None:
            raise ValueError(
                f"n_latent={self.n_latent!r} with encoder='identity', which keeps all features; "
                "leave n_latent None, or choose encoder 'pca' or 'autoencoder'"
            )
        if self.dynamics != "diffusion" and self.denoiser != "film":
            raise ValueError(
                f"denoiser={self.denoiser!r} with dynamics={self.dynamics!r}, a flow, which has a "
                f"network of its own; leave denoiser 'film', or choose dynamics 'diffusion'"
            )

    @in_worker_settings
    def fit(
        self,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        Z_short: ArrayLike | None = None,
        *,
        progress: Progress = SILENT,
    ) -> DiffusionFeaturePrior:
        """Learn the distribution of features and, if pairs are given, their degradation.

        Parameters
        ----------
        Z : array-like of shape (n_samples, dT)
            Features, for instance those of a teacher.
        y : array-like of shape (n_samples,), optional
            Labels. Without labels, ``predict_proba`` is not available, and ``denoiser="gmm"`` is
            a single Gaussian.
        Z_short : array-like of shape (n_samples, dS), optional
            Degraded features of the same samples, for instance those of a student.
        progress : Progress, optional
            Progress bar, which the fit advances by one unit in total. The default is a bar of the
            prior itself.

        Returns
        -------
        DiffusionFeaturePrior
            The estimator itself.

        Raises
        ------
        ValueError
            If an array is invalid, if Z and ``Z_short`` differ in length, or if ``Z_short`` is
            given with ``degradation="learned-alpha"``.
        FloatingPointError
            If the training diverges, so that a loss term is not finite.
        """
        self._validate_params()
        device = resolve_device(self.device)
        if self.degradation == "learned-alpha" and Z_short is not None:
            raise ValueError(
                "degradation='learned-alpha' is learned with a student's loss, not from pairs; "
                "leave Z_short out, or choose 'linear-gaussian' or 'matched-noise'"
            )
        features = self._checked(Z, "Z", reset=True)
        for name in ("classes_", "_head"):
            if hasattr(self, name):
                delattr(self, name)
        labels = None if y is None else self._encode_labels(y, len(features))
        pairs: Floats | None = None
        if Z_short is not None:
            pairs = checked_features(Z_short, "Z_short")
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
            self.encoder_, self.latent_, self.history_ = fit_prior_model(
                torch.tensor(features), labels, settings, device, seeds, shown
            )
        self.n_latent_ = self.latent_.n_features
        codes = self.encoder_.encode(torch.tensor(features)).numpy()
        self.measurement_ = measured(self.encoder_, codes, pairs, self.measurement_noise)
        if labels is not None and len(self.classes_) > 1:
            self._head = FeatureHead().fit(self._shown(codes), labels)
        return self

    def _encode_labels(self, y: ArrayLike, n: int) -> NDArray[np.int64]:
        labels = refuse_marked(y, reason="the prior learns labels of all features or of none")
        if len(labels) != n:
            raise ValueError(f"Z has {n} rows and y {len(labels)} labels; they must be as many")
        with about("y"):
            assert_all_finite(labels, input_name="y")
            check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int64)

    def _checked(self, Z: ArrayLike, name: str, reset: bool = False) -> Floats:
        """Return checked features; unless ``reset``, they must have the width of the fit."""
        features = checked_features(Z, name)
        with about(name):
            validate_data(self, Z, reset=reset, skip_check_array=True)
        return features

    @property
    def _n_features_out(self) -> int:
        return self.n_latent_

    def encode(self, Z: ArrayLike) -> Floats:
        """Return the codes of features.

        Parameters
        ----------
        Z : array-like of shape (n, dT)
            Features that are not degraded.

        Returns
        -------
        ndarray of shape (n, d)
            Codes.
        """
        check_is_fitted(self)
        return self.encoder_.encode(torch.tensor(self._checked(Z, "Z"))).numpy()

    def _shown(self, codes: Floats) -> Floats:
        """Return codes as public results: decoded to features with ``encoder="identity"``."""
        decoded = self.encoder == "identity"
        return self.encoder_.decode(torch.as_tensor(codes)).numpy() if decoded else codes

    def sample(self, n_samples: int = 1) -> Floats:
        """Draw features from the prior.

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
        _check_count(n_samples)
        few = isinstance(self.latent_, LatentFlow) and self.latent_.dynamics != "flow"
        n_steps = self.n_sampling_steps if few else SAMPLE_STEPS
        prior = make_posterior_sampler("none", self.latent_, n_steps, 1)
        draws = prior.draw(torch.zeros(n_samples, 1, dtype=torch.float64), 1, self._generator())
        return self._shown(draws[0].numpy())

    def posterior_sample(self, Z_short: ArrayLike, n_samples: int | None = None) -> Floats:
        """Draw features from their posterior, given degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.
        n_samples : int, optional
            Number J of draws per row; None means ``n_posterior_samples``.

        Returns
        -------
        ndarray of shape (n, J, d)
            Features with ``encoder="identity"``, else codes.

        Raises
        ------
        ValueError
            If ``degradation="learned-alpha"``, which only :class:`GDPDClassifier` can use.
        """
        n_samples = self.n_posterior_samples if n_samples is None else n_samples
        _check_count(n_samples)
        return self._draw(self._check_degraded(Z_short), n_samples, shared_noise=False)

    def transform(self, Z_short: ArrayLike) -> Floats:
        """Return the posterior mean of features, given degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n, d)
            Mean of ``n_posterior_samples`` draws: features with ``encoder="identity"``, else
            codes.

        Raises
        ------
        ValueError
            If ``degradation="learned-alpha"``, which only :class:`GDPDClassifier` can use.
        """
        draws = self._draw(self._check_degraded(Z_short), self.n_posterior_samples, True)
        return draws.mean(1)

    def predict_proba(self, Z_short: ArrayLike) -> Floats:
        """Return the class probabilities of degraded features, averaged over J posterior draws.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Probabilities from a logistic regression that ``fit`` trained on its features.

        Raises
        ------
        AttributeError
            If the prior was fitted without labels.
        ValueError
            If ``degradation="learned-alpha"``, which only :class:`GDPDClassifier` can use.
        """
        degraded = self._check_degraded(Z_short)
        if not hasattr(self, "classes_"):
            raise AttributeError("the prior was fitted without labels; give y to fit")
        if len(self.classes_) == 1:
            return np.ones((len(degraded), 1))
        draws = self._draw(degraded, self.n_posterior_samples, shared_noise=True)
        flat = self._head.predict_proba(draws.reshape(-1, draws.shape[2]))
        return flat.reshape(*draws.shape[:2], -1).mean(1)

    def predict(self, Z_short: ArrayLike) -> NDArray[Any]:
        """Return the predicted labels of degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.

        Returns
        -------
        ndarray of shape (n,)
            Label of the most probable class of each row.
        """
        proba = self.predict_proba(Z_short)
        return self.classes_[proba.argmax(1)]

    def score(
        self, Z_short: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy on degraded features.

        Parameters
        ----------
        Z_short : array-like of shape (n, dS)
            Degraded features.
        y : array-like of shape (n,)
            True labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the features.

        Returns
        -------
        float
            Share of correctly classified rows, weighted by ``sample_weight``.

        Raises
        ------
        ValueError
            If a label is missing.
        """
        labels = refuse_marked(y, reason="only labelled features can be scored")
        return accuracy(labels, self.predict(Z_short), sample_weight)

    def score_samples(self, Z: ArrayLike) -> Floats:
        """Return the log-density of features, or a lower bound on it.

        Parameters
        ----------
        Z : array-like of shape (n, dT)
            Features that are not degraded.

        Returns
        -------
        ndarray of shape (n,)
            Log-density in nats, of features with ``encoder="identity"`` and of codes otherwise.
            It is exact for ``denoiser="gmm"``. For flows, the velocities are integrated in 50
            steps, whatever the number of steps of a draw. For other models it is the variational
            bound of the diffusion model over all T noise levels, estimated with one draw of noise
            per level.
        """
        check_is_fitted(self)
        codes = self.encode(Z)
        if isinstance(self.latent_, LatentFlow):
            density = self.latent_.log_density(torch.as_tensor(codes)).numpy()
        elif isinstance(self.latent_.denoiser, MixtureDenoiser):
            density = mixture_log_density(codes, *self.latent_.denoiser.parts())
        else:
            bound = self.latent_.log_density_bound(torch.as_tensor(codes), self._generator())
            density = bound.numpy()
        if self.encoder == "identity":
            density = density + torch.linalg.slogdet(self.encoder_.W)[1].item()
        return density

    def _check_degraded(self, Z_short: ArrayLike) -> Floats:
        check_is_fitted(self)
        degraded: Floats
        if not self._paired:
            return self._checked(Z_short, "Z_short")
        degraded = checked_features(Z_short, "Z_short")
        if degraded.shape[1] != self.measurement_.A.shape[0]:
            raise ValueError(
                f"Z_short has {degraded.shape[1]} features; the degraded features in fit had "
                f"{self.measurement_.A.shape[0]}"
            )
        return degraded

    def _draw(self, Z_short: Floats, n_samples: int, shared_noise: bool) -> Floats:
        if self.degradation == "learned-alpha":
            raise ValueError(
                "degradation='learned-alpha' is learned with a student's loss inside "
                "GDPDClassifier; alone, use 'linear-gaussian', 'matched-noise' or 'none'"
            )
        degradation = self.make_posterior_sampler(Z_short.shape[1])
        draws = degradation.draw(torch.tensor(Z_short), n_samples, self._generator(), shared_noise)
        return self._shown(draws.transpose(0, 1).numpy())

    def make_posterior_sampler(self, n_short: int) -> PosteriorSampler:
        """Return a sampler of restored features, for instance for a custom loss.

        Parameters
        ----------
        n_short : int
            Width dS of the degraded features.

        Returns
        -------
        PosteriorSampler
            Sampler. It is calibrated to ``measurement_`` if the degradation needs a calibration.
        """
        check_is_fitted(self)
        made = make_posterior_sampler(
            self.degradation, self.latent_, self.n_sampling_steps, n_short
        )
        if made.needs_measurement:
            made.calibrate(self.measurement_)
        return made

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self._draw_seed)


def _check_count(n_samples: Any) -> None:
    if isinstance(n_samples, bool | np.bool_):
        raise TypeError(f"n_samples={n_samples!r} must be an int, not True or False")
    check_scalar(n_samples, "n_samples", Integral, min_val=1)


def checked_features(Z: ArrayLike, name: str) -> Floats:
    """Return features as an array of double precision.

    Parameters
    ----------
    Z : array-like of shape (n, n_features)
        Features.
    name : str
        Name of the argument in errors.

    Returns
    -------
    ndarray of shape (n, n_features)

    Raises
    ------
    TypeError or ValueError
        If Z is not a two-dimensional array of numbers that are finite in single precision.
    """
    if np.ma.isMaskedArray(Z):
        raise ValueError(f"{name} has a mask, which is not read; leave such features out")
    with about(name):
        one_axis = not hasattr(Z, "nnz") and np.asarray(Z).ndim == 1
    if one_axis:
        # scikit-learn's checks of estimators expect the words "Reshape your data".
        raise ValueError(
            f"{name} has one dimension; it must be (n_samples, n_features). Reshape your data: "
            f"{name}.reshape(1, -1) has the features of one sample"
        )
    with about(name), np.errstate(over="ignore", invalid="ignore"):
        # torch takes no array that is reversed.
        features: Floats = check_array(Z, dtype=np.float64, order="C", input_name=name)
    largest = np.abs(features).max()
    if largest > np.finfo(np.float32).max:
        raise ValueError(f"{name} has {largest:.4g}, which is too large for single precision")
    return features
