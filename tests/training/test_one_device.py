"""Steps on an accelerator bring nothing over from the host, and ask it for nothing.

Torch's meta device stands in for one: it is another device than the CPU, and has no numbers.
"""

import pytest
import torch
from tapes import what_waits, where
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from trainings import DISTILLERS, linear, make_objective, make_rows, make_student, prior

from skgdpd.distillers import GDPD
from skgdpd.nets import available_backbones
from skgdpd.training import Rows, Step
from skgdpd.training.net import sum_terms

META = torch.device("meta")


class Visits(TorchDispatchMode):
    """Operators that look at the CPU's tensors as well as at the device's."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        leaves = [t for t in tree_flatten((args, kwargs, out))[0] if isinstance(t, torch.Tensor)]
        if len({t.device for t in leaves}) > 1 or what_waits(func, args):
            self.found.append(f"{func} {where()}")
        return out


def moved(module):
    """On the device, with what hangs on it but is no part of it."""
    for part in module.modules():
        latent = getattr(part, "latent", None)
        if isinstance(latent, torch.nn.Module):
            latent.to(META)
    return module.to(META)


def visits(student, objective, rows, epoch):
    student, objective = moved(student), moved(objective)
    tensors = {k: v.to(META) for k, v in rows.tensors.items() if k != "index"}
    rows = Rows(**tensors)
    index = torch.zeros(5, dtype=torch.int64, device=META)
    step = Step(epoch, None)
    with Visits() as mode:
        for _ in range(2):
            sum_terms(objective.terms(student, rows.select(index), step)).backward()
    return mode.found


def test_visits_are_noticed():
    x, y = torch.zeros(3, device=META), torch.zeros(3)
    with Visits() as mode:
        x[torch.tensor([0, 2])]
        y.to(META)
        torch.tensor([1.0], device=META)
        x + 1
        x.sum()
        torch.full((1,), 3, device=META)
    assert len(mode.found) == 3


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize(
    "backbone",
    [b for b in available_backbones() if not b.startswith(("rocket", "mixed", "hybrid"))],
)
def test_students(backbone, lengths):
    rows = make_rows(lengths=lengths)
    student = make_student(backbone, rows)
    assert visits(student, make_objective(None, student, rows, 1), rows, 0) == []


@pytest.mark.parametrize("name", DISTILLERS)
@pytest.mark.parametrize("epoch", [0, 9])
def test_distillers(name, epoch):
    rows, student = make_rows(), linear()
    objective = make_objective(DISTILLERS[name], student, rows, 10)
    assert visits(student, objective, rows, epoch) == []


@pytest.mark.parametrize(
    "degradation", ["learned-alpha", "linear-gaussian", "matched-noise", "none"]
)
@pytest.mark.parametrize("denoiser", ["film", "bottleneck", "gmm"])
def test_draws_from_priors(degradation, denoiser):
    rows, student = make_rows(), linear()
    distiller = GDPD(prior(degradation, denoiser=denoiser), warmup_epochs=0)
    objective = make_objective(distiller, student, rows, 4)
    objective.start_epoch(student, rows, Step(0, torch.Generator()))
    assert visits(student, objective, rows, 1) == []
