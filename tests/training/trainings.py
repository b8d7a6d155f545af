"""Small trainings for the tests of what happens to their steps."""

from functools import partial

import numpy as np
import torch
from joblib import Memory
from torch import nn

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, SharedGridSearchCV, config_context
from skgdpd._fitting.rows import add_fixed_part, fit_fixed_part
from skgdpd.benchmarking import kinds
from skgdpd.datasets import make_bumps
from skgdpd.distillers import DistillationContext, MapShapes, SeriesObjective
from skgdpd.nets import make_backbone
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Progress, Rows, TrainingConfig, train
from skgdpd.training.fitting import isolated_random_state

CPU = torch.device("cpu")
N_CLASSES = 3
MAPS = MapShapes(n_student_maps=4, n_student_steps=12, n_teacher_steps=20, share=0.6)


def make_rows(n=22, n_timepoints=12, seed=0, n_teacher=6, lengths=False):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    more = {}
    if lengths:
        more["lengths"] = torch.randint(3, n_timepoints + 1, (n,), generator=generator)
    return Rows(
        x=normal(n, 1, n_timepoints),
        y=torch.arange(n) % N_CLASSES,
        teacher_features=normal(n, n_teacher),
        teacher_logits=2 * normal(n, N_CLASSES),
        teacher_attention=normal(n, n_timepoints).square(),
        teacher_steps=normal(n, MAPS.n_teacher_steps, 5),
        teacher_n_steps=torch.arange(n) % MAPS.n_teacher_steps + 1,
        x_whole=normal(n, 1, n_timepoints),
        x_stage0=normal(n, 1, n_timepoints),
        x_stage1=normal(n, 1, n_timepoints),
        **more,
    )


def make_student(backbone, rows, **settings):
    with isolated_random_state(0, CPU):
        net = SeriesNet(make_backbone(backbone, 1, rows.shape[-1]), N_CLASSES, **settings)
        return net


def products(layer, x):
    return x * layer.weight[: MAPS.n_student_maps]


def features_of_products(backbone, maps):
    return backbone((maps / backbone[1].weight[: MAPS.n_student_maps])[:, :1])


def linear(*more):
    with isolated_random_state(0, CPU):
        backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), *more)
        # Not methods: graphs take layers of torch without a promise, but none of one's own.
        backbone.maps = partial(products, backbone[1])
        backbone.features_from_maps = partial(features_of_products, backbone)
        return SeriesNet(make_backbone(backbone, 1, 12), N_CLASSES)


def prior(degradation="learned-alpha", **settings):
    return DiffusionFeaturePrior(
        encoder="pca",
        n_latent=4,
        degradation=degradation,
        max_epochs=1,
        random_state=0,
        **settings,
    )


SETTINGS = {
    "gdpd": {"prior": prior(), "warmup_epochs": 2},
    "diffkd": {"prior": prior(), "warmup_epochs": 2},
    "distributionmatching": {"prior": prior()},
}
DISTILLERS = {name: kind.make(**SETTINGS.get(name, {})) for name, kind in kinds.DISTILLERS.items()}


def make_objective(distiller, student, rows, max_epochs):
    """What the student, which is given the head for it, is trained for."""
    if distiller is None:
        return SeriesObjective().to(rows.device)
    with isolated_random_state(0, CPU):
        student.head = distiller.make_head(student.head.in_features, N_CLASSES).to(rows.device)
    n_student = student.head.in_features
    progress = Progress(1, visible=False)
    n_teacher = rows.tensors["teacher_features"].shape[1]
    head = partial(nn.Linear, n_teacher, N_CLASSES)
    context = DistillationContext(
        rows, n_student, N_CLASSES, max_epochs, 0, Memory(None), progress, head, map_shapes=MAPS
    )
    with isolated_random_state(0, rows.device):
        return SeriesObjective(distiller.prepare(context)).to(rows.device)


def outcome(
    setting,
    backbone="fcn",
    distiller=None,
    n=22,
    lengths=False,
    student=None,
    device=CPU,
    **changes,
):
    """Weights, the objective's tensors, and losses of a training."""
    rows = make_rows(n, lengths=lengths).to(device)
    valid = make_rows(9, seed=1, lengths=lengths).to(device)
    settings = {"max_epochs": 6, "batch_size": 8, "averaging_epochs": 0.5, "lr": 0.01, **changes}
    config = TrainingConfig(**settings)
    net = (make_student(backbone, rows) if student is None else student()).to(device)
    with isolated_random_state(0, device):
        (rows, _), valid = fit_fixed_part(net, rows, 0), add_fixed_part(net, valid)
    objective = make_objective(distiller, net, rows, config.max_epochs)
    with config_context(cuda_graphs=setting), isolated_random_state(1, device):
        history = train(net, objective, rows, config, valid_rows=valid, shuffle_seed=2)
    tensors = {**net.state_dict(), **objective.state_dict()}
    return tensors, {**history, "best": np.array(history.best_epoch)}


def assert_same(a, b):
    assert a[0].keys() == b[0].keys()
    for name in a[0]:
        assert torch.equal(a[0][name], b[0][name]), name
    assert a[1].keys() == b[1].keys()
    for name in a[1]:
        np.testing.assert_array_equal(a[1][name], b[1][name], err_msg=name)


def searched(setting, student, grid, **settings):
    X, y = make_bumps(50, 20, noise=0.3, random_state=0)
    classifier = GDPDClassifier(
        "lstm1-8",
        student=student,
        **{
            "prior": DiffusionFeaturePrior(degradation="learned-alpha", max_epochs=2),
            "max_epochs": 8,
            "batch_size": 20,
            "random_state": 0,
        },
    ).set_params(**settings)
    search = SharedGridSearchCV(classifier, grid, cv=2, refit=False, together=True)
    with config_context(cuda_graphs=setting):
        search.fit(X, y)
    assert search.n_together_ > 0
    return search
