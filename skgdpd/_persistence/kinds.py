"""The kinds of distillers, and of the objects that estimators consist of.

The kinds of the estimators themselves are registered in ``skgdpd/_estimators/kinds.py``.
"""

from __future__ import annotations

from functools import partial

import torch

from .. import distillers
from .._fitting.network import SeriesNetwork
from .._fitting.prior_model import FeatureHead
from .._series.truncation import MIN_LENGTH, PrefixTruncator
from .._series.views import Normalizer, PrefixView
from .._teachers.ensemble import EnsembleTeacher
from .._teachers.teacher import NetworkTeacher
from ..diffusion import (
    AffineEncoder,
    BottleneckDenoiser,
    ConditionalDiffusion,
    FiLMDenoiser,
    LatentDiffusion,
    LatentFlow,
    LinearGaussian,
    MixtureDenoiser,
    NoiseSchedule,
    make_denoiser,
)
from ..distillers.generator import FeatureGenerator
from ..nets import make_backbone
from ..nets.heads import NAMES, head_maker
from ..nets.student import SeriesNet
from ..training import History
from ..training.fitting import isolated_random_state
from ..training.state import TrainingState
from .claims import (
    check_claims,
    check_classifier,
    check_outline,
    check_size,
    check_types,
    check_view,
    check_weights,
)
from .registry import Opening, State, register, register_estimator

CPU = torch.device("cpu")
MAX_DRAWS = 10_000
"""Maximum number of draws of a generator in a file, because each draw takes time and memory."""
DENOISERS = {FiLMDenoiser: "film", BottleneckDenoiser: "bottleneck", MixtureDenoiser: "gmm"}
GENERATOR_SETTINGS = (
    "n_features",
    "n_condition",
    "token_width",
    "hidden",
    "depth",
    "schedule",
    "n_diffusion_steps",
    "prediction",
    "normalize_condition",
)
DISTILLERS = {
    "at-distiller": distillers.AT,
    "checkpoint-curriculum-distiller": distillers.CheckpointCurriculum,
    "dho-distiller": distillers.DHO,
    "diffkd-distiller": distillers.DiffKD,
    "dist-distiller": distillers.DIST,
    "distribution-matching-distiller": distillers.DistributionMatching,
    "dkd-distiller": distillers.DKD,
    "entropy-temperature-distiller": distillers.EntropyTemperature,
    "earliness-curriculum-distiller": distillers.EarlinessCurriculum,
    "fitnets-distiller": distillers.FitNets,
    "gdpd-distiller": distillers.GDPD,
    "gendd-distiller": distillers.GenDD,
    "generalised-distiller": distillers.GeneralisedDistillation,
    "ground-truth-mixing-distiller": distillers.GroundTruthMixing,
    "group-reweighting-distiller": distillers.GroupReweighting,
    "hinton-distiller": distillers.Hinton,
    "influence-weights-distiller": distillers.InfluenceWeights,
    "lelp-distiller": distillers.LELP,
    "paced-distiller": distillers.PACED,
    "pkt-distiller": distillers.PKT,
    "pld-distiller": distillers.PLD,
    "private-targets-distiller": distillers.PrivateTargets,
    "privileged-self-teacher-distiller": distillers.PrivilegedSelfTeacher,
    "recursive-anchoring-distiller": distillers.RecursiveAnchoring,
    "rkd-distiller": distillers.RKD,
    "sample-routing-distiller": distillers.SampleRouting,
    "self-teacher-distiller": distillers.SelfTeacher,
    "soft-dtw-distiller": distillers.SoftDTW,
    "tekap-distiller": distillers.TeKAP,
    "tip-distiller": distillers.TIP,
    "trust-region-distiller": distillers.TrustRegion,
    "ttm-distiller": distillers.TTM,
    "vid-distiller": distillers.VID,
    "wttm-distiller": distillers.WTTM,
}


def _make_view(state: State, opening: Opening) -> PrefixView:
    view = PrefixView.__new__(PrefixView)
    # Files of older versions have one moment.
    one = {
        "time_points_": (state["n_seen_"],),
        "clock": False,
        "clock_": False,
        "any_length": False,
        "shortest_": MIN_LENGTH,
    }
    for name, value in {**one, **state}.items():
        setattr(view, name, value)
    check_view(view)
    return view


def _take_network(network: SeriesNetwork) -> State:
    module = network.module
    return {
        "view": network.view,
        "batch_size": network.batch_size,
        "backbone": module.backbone.registered_name,
        "n_classes": module.head.out_features,
        "head": NAMES[type(module.head)],
        "head_settings": module.head.settings,
        "precision": module.precision,
        "weights": dict(module.state_dict()),
    }


def _make_network(state: State, opening: Opening) -> SeriesNetwork:
    view, spec = state["view"], state["backbone"]
    if spec is None:
        spec, opening.used_student = opening.student, True
        if spec is None:
            raise ValueError(
                "its network is one of your own, of which it holds the weights only; give "
                "load(path, student=...) what the classifier had as student"
            )
    weights, n_classes = state["weights"], state["n_classes"]
    check_weights(weights)
    check_size("n_classes", n_classes)
    check_size("batch_size", state["batch_size"])
    # The width is that of the head's weights: to measure it is to run the network.
    n_features = next(
        tensor.shape[1]
        for name, tensor in weights.items()
        if name.startswith("head.") and tensor.ndim == 2
    )
    make_head = head_maker(state["head"], **state["head_settings"])
    parts = {name: tensor for name, tensor in weights.items() if name.startswith("head.")}
    check_outline(partial(make_head, n_features, n_classes), parts)

    def make() -> SeriesNet:
        backbone = make_backbone(
            spec,
            view.n_channels_,
            view.n_out_,
            time_points=view.time_points_,
            n_features=n_features,
        )
        return SeriesNet(backbone, n_classes, state["precision"], make_head)

    with isolated_random_state(0, CPU):
        check_outline(make, weights)
        module = make()
    check_types(module, weights)
    module.load_state_dict(weights)
    device = opening.device
    return SeriesNetwork(view, module.to(device), device, state["batch_size"])


def _take_latent(latent: LatentDiffusion) -> State:
    schedule = latent.schedule
    return {
        "denoiser": DENOISERS[type(latent.denoiser)],
        "schedule": schedule.name,
        "n_steps": schedule.n_steps,
        "n_features": latent.n_features,
        "weights": dict(latent.state_dict()),
    }


def _make_latent(state: State, opening: Opening) -> LatentDiffusion:
    width, weights = state["n_features"], state["weights"]
    check_weights(weights)
    check_claims(
        state,
        {"n_steps": weights["schedule.alpha_bar"].numel(), "n_features": weights["mean"].numel()},
    )
    if weights["covariance"].shape != (width, width):
        raise ValueError(f"the covariance of {width} features is not a matrix of that width")
    schedule = NoiseSchedule(state["schedule"], state["n_steps"])
    denoiser: torch.nn.Module
    with isolated_random_state(0, CPU):
        if state["denoiser"] == "gmm":
            n = weights["denoiser.log_weights"].numel()
            if not n or weights["denoiser.axes"].shape != (n, width, width):
                raise ValueError(f"its mixture has no {n} components of width {width}")
            covariances = torch.eye(width).repeat(n, 1, 1)
            denoiser = MixtureDenoiser(torch.ones(n), torch.zeros(n, width), covariances, schedule)
        else:
            make = partial(make_denoiser, state["denoiser"], width, schedule)
            check_outline(make, weights)
            denoiser = make()
    latent = LatentDiffusion(denoiser, schedule, width).double().eval()
    check_types(latent, weights)
    latent.load_state_dict(weights)
    return latent.requires_grad_(False)


def _take_flow(latent: LatentFlow) -> State:
    return {
        "dynamics": latent.dynamics,
        "n_features": latent.n_features,
        "coupled": latent.coupled,
        "weights": dict(latent.state_dict()),
    }


def _make_flow(state: State, opening: Opening) -> LatentFlow:
    width, weights = state["n_features"], state["weights"]
    check_weights(weights)
    check_claims(state, {"n_features": weights["mean"].numel()})
    with isolated_random_state(0, CPU):
        make = partial(LatentFlow, state["dynamics"], width, bool(state["coupled"]))
        check_outline(make, weights)
        latent = make().double().eval()
    check_types(latent, weights)
    latent.load_state_dict(weights)
    return latent.requires_grad_(False)


def _take_diffusion(diffusion: ConditionalDiffusion) -> State:
    settings = {name: diffusion.settings[name] for name in GENERATOR_SETTINGS}
    return {**settings, "weights": dict(diffusion.state_dict())}


def _make_diffusion(state: State, opening: Opening) -> ConditionalDiffusion:
    weights = state["weights"]
    check_weights(weights)
    check_claims(state, {"n_diffusion_steps": weights["schedule.alpha_bar"].numel()})
    check_size("depth", state["depth"], most=len(weights))
    make = partial(ConditionalDiffusion, **{name: state[name] for name in GENERATOR_SETTINGS})
    with isolated_random_state(0, CPU):
        check_outline(make, weights)
        diffusion = make()
    check_types(diffusion, weights)
    diffusion.load_state_dict(weights)
    return diffusion.eval().requires_grad_(False)


def _make_generator(state: State, opening: Opening) -> FeatureGenerator:
    diffusion, encoder = state["diffusion"], state["encoder"]
    check_size("n_draws", state["n_draws"], most=MAX_DRAWS)
    check_size("n_steps", state["n_steps"])
    if encoder.V.shape[1] != diffusion.n_features or state["head"].in_features != len(encoder.m):
        raise ValueError("its generator, encoder and head are of different widths")
    return FeatureGenerator(**state)


def _make_encoder(state: State, opening: Opening) -> AffineEncoder:
    check_weights(state)
    shapes = [tuple(state[name].shape) for name in ("W", "c", "V", "m")]
    (d, *_), (whole, *_) = shapes[1], shapes[3]
    if shapes != [(d, whole), (d,), (whole, d), (whole,)]:
        raise ValueError(f"the parts of its encoder have the shapes {shapes}")
    return AffineEncoder(**state).eval()


def _make_linear(state: State, opening: Opening) -> torch.nn.Linear:
    weight = state["weight"]
    check_weights(state)
    if weight.ndim != 2 or state["bias"].shape != weight.shape[:1]:
        raise ValueError(f"weights of shape {tuple(weight.shape)} don't fit their biases")
    with isolated_random_state(0, CPU):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    linear.load_state_dict(state)
    return linear.requires_grad_(False)


# Views of series, and records of a fit.
register(
    "prefix-view",
    PrefixView,
    required=(
        "earliness",
        "normalizer",
        "resample_length",
        "earliness_of",
        "missing_values",
        "ragged",
        "ragged_",
        "n_whole_",
        "n_seen_",
        "n_out_",
        "n_channels_",
        "transformer_",
    ),
    optional=("time_points_", "clock", "clock_", "any_length", "shortest_"),
    make=_make_view,
)
register(
    "normalizer",
    Normalizer,
    required=("how", "count", "running_mean", "sum_of_squares"),
    optional=("mean_", "scale_"),
    attributes={"count": "_count", "running_mean": "_mean", "sum_of_squares": "_square"},
)
register_estimator(
    "prefix-truncator", PrefixTruncator, optional=("n_features_in_", "feature_names_in_")
)
register(
    "history",
    History,
    required=(
        "terms",
        "warmup_epochs",
        "best_epoch",
        "n_labeled",
        "n_unlabeled",
        "n_validation",
    ),
)

# Networks.
register(
    "series-network",
    SeriesNetwork,
    required=(
        "view",
        "batch_size",
        "backbone",
        "n_classes",
        "head",
        "head_settings",
        "precision",
        "weights",
    ),
    take=_take_network,
    make=_make_network,
)
register(
    "linear-layer",
    torch.nn.Linear,
    required=("weight", "bias"),
    take=lambda linear: dict(linear.state_dict()),
    make=_make_linear,
)

# Teachers.
register(
    "network-teacher",
    NetworkTeacher,
    required=("classes_", "network_", "history_"),
    check=check_classifier,
)
register(
    "ensemble-teacher",
    EnsembleTeacher,
    required=("members_", "weights_", "classes_", "means_", "scales_"),
)

# Priors and generators of features.
register(
    "affine-encoder",
    AffineEncoder,
    required=("W", "c", "V", "m"),
    take=lambda encoder: dict(encoder.state_dict()),
    make=_make_encoder,
)
register(
    "latent-diffusion",
    LatentDiffusion,
    required=("denoiser", "schedule", "n_steps", "n_features", "weights"),
    take=_take_latent,
    make=_make_latent,
)
register(
    "latent-flow",
    LatentFlow,
    required=("dynamics", "n_features", "coupled", "weights"),
    take=_take_flow,
    make=_make_flow,
)
register("linear-gaussian", LinearGaussian, required=("A", "b", "R"))
register_estimator(
    "feature-head",
    FeatureHead,
    required=("coef_", "intercept_", "classes_", "n_features_in_", "n_iter_"),
)
register(
    "conditional-diffusion",
    ConditionalDiffusion,
    required=(*GENERATOR_SETTINGS, "weights"),
    take=_take_diffusion,
    make=_make_diffusion,
)
register(
    "feature-generator",
    FeatureGenerator,
    required=(
        "diffusion",
        "encoder",
        "head",
        "seed",
        "n_draws",
        "n_steps",
        "guidance",
        "condition",
        "student_share",
        "history",
    ),
    make=_make_generator,
)
register("training-state", TrainingState, required=("tensors", "facts"))
register_estimator("generator-options", distillers.GeneratorOptions)

for name, distiller in DISTILLERS.items():
    register_estimator(name, distiller)
