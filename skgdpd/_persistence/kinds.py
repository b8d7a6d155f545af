"""The classes that model files may hold, but for estimators, which register themselves."""

from __future__ import annotations

from typing import Any

import torch

from .._device import resolve_device
from .._ensemble import EnsembleTeacher
from .._generator import FeatureGenerator
from .._network import SeriesNetwork
from .._prior_model import FeatureHead
from .._teacher import NetworkTeacher, TeacherPlan
from .._views import Normalizer, View
from ..diffusion import (
    AffineCode,
    BottleneckDenoiser,
    ConditionalDiffusion,
    FiLMDenoiser,
    LatentDiffusion,
    LinearGaussian,
    MixtureDenoiser,
    NoiseSchedule,
    make_denoiser,
)
from ..nets import make_backbone
from ..nets.heads import NAMES, head_maker
from ..nets.student import StudentNet
from ..training import History, TrainingConfig, isolated_random_state
from .codec import Reader, register

CPU = torch.device("cpu")
DENOISERS = {FiLMDenoiser: "film", BottleneckDenoiser: "bottleneck", MixtureDenoiser: "gmm"}
HEAD = ("coef_", "intercept_", "classes_", "n_features_in_", "n_iter_")


def _take_network(network: SeriesNetwork) -> dict[str, Any]:
    module, view = network.module, network.view
    return {
        "view": view,
        "batch_size": network.batch_size,
        "device": network.device,
        "backbone": module.backbone.registered_name,
        "n_channels": view.n_channels_,
        "n_timepoints": view.n_out_,
        "n_classes": module.head.out_features,
        "head": {"name": NAMES[type(module.head)], **module.head.settings},
        "module": dict(module.state_dict()),
    }


def _make_network(state: dict[str, Any], reader: Reader) -> SeriesNetwork:
    spec = state["backbone"]
    if spec is None:
        spec, reader.used_student = reader.student, True
        if spec is None:
            raise ValueError(
                "its network is one of your own, of which it holds the weights only; give "
                "load(path, student=...) what the classifier had as student"
            )
    with isolated_random_state(0, CPU):
        backbone = make_backbone(spec, state["n_channels"], state["n_timepoints"])
        # Files of before there were several heads don't name any.
        head = head_maker(**state.get("head", {"name": "linear"}))
        module = StudentNet(backbone, state["n_classes"], make_head=head)
    module.load_state_dict(state["module"])
    try:
        device = resolve_device(state["device"])
    except ValueError:
        device = CPU
    return SeriesNetwork(state["view"], module.to(device), device, state["batch_size"])


def _take_latent(latent: LatentDiffusion) -> dict[str, Any]:
    schedule = latent.schedule
    return {
        "denoiser": DENOISERS[type(latent.denoiser)],
        "schedule": schedule.name,
        "n_steps": schedule.n_steps,
        "n_features": latent.n_features,
        "module": dict(latent.state_dict()),
    }


def _make_latent(state: dict[str, Any], reader: Reader) -> LatentDiffusion:
    schedule = NoiseSchedule(state["schedule"], state["n_steps"])
    width, weights = state["n_features"], state["module"]
    denoiser: torch.nn.Module
    with isolated_random_state(0, CPU):
        if state["denoiser"] == "gmm":
            n = len(weights["denoiser.log_weights"])
            covariances = torch.eye(width).repeat(n, 1, 1)
            denoiser = MixtureDenoiser(torch.ones(n), torch.zeros(n, width), covariances, schedule)
        else:
            denoiser = make_denoiser(state["denoiser"], width, schedule)
    latent = LatentDiffusion(denoiser, schedule, width).double().eval()
    latent.load_state_dict(weights)
    return latent.requires_grad_(False)


def _make_code(state: dict[str, Any], reader: Reader) -> AffineCode:
    return AffineCode(**state).eval()


def _take_diffusion(diffusion: ConditionalDiffusion) -> dict[str, Any]:
    return {"settings": diffusion.settings, "module": dict(diffusion.state_dict())}


def _make_diffusion(state: dict[str, Any], reader: Reader) -> ConditionalDiffusion:
    with isolated_random_state(0, CPU):
        diffusion = ConditionalDiffusion(**state["settings"])
    diffusion.load_state_dict(state["module"])
    return diffusion.eval().requires_grad_(False)


def _take_linear(linear: torch.nn.Linear) -> dict[str, Any]:
    return dict(linear.state_dict())


def _make_linear(state: dict[str, Any], reader: Reader) -> torch.nn.Linear:
    weight = state["weight"]
    with isolated_random_state(0, CPU):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    linear.load_state_dict(state)
    return linear.requires_grad_(False)


def _take_head(head: FeatureHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in HEAD}


def _make_head(state: dict[str, Any], reader: Reader) -> FeatureHead:
    head = FeatureHead()
    for name in HEAD:
        setattr(head, name, state[name])
    return head


for cls in (
    EnsembleTeacher, FeatureGenerator, History, LinearGaussian, NetworkTeacher, Normalizer,
    TeacherPlan, TrainingConfig, View,
):  # fmt: skip
    register(cls)
register(SeriesNetwork, _take_network, _make_network)
register(LatentDiffusion, _take_latent, _make_latent)
register(ConditionalDiffusion, _take_diffusion, _make_diffusion)
register(torch.nn.Linear, _take_linear, _make_linear)
register(AffineCode, lambda code: dict(code.state_dict()), _make_code)
register(FeatureHead, _take_head, _make_head)
