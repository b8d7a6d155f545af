"""Small students, teachers and batches for the tests of distillers."""

from weakref import WeakKeyDictionary

import torch
from joblib import Memory
from torch import nn

from skgdpd.distillers import DistillationContext, MapShapes
from skgdpd.nets.heads import LinearHead
from skgdpd.nets.student import SeriesNet, SeriesOutput
from skgdpd.training import Progress, Rows, Step

N_STUDENT, N_TEACHER = 5, 6
PREPARED_BY = WeakKeyDictionary()
MAPS = MapShapes(n_student_maps=4, n_student_steps=5, n_teacher_steps=7, share=5 / 7)


def make_rows(n=8, n_classes=3, seed=0, n_teacher=N_TEACHER, **more):
    """Rows in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return Rows(
        x=normal(n, 2, 5),
        y=torch.randint(n_classes, (n,), generator=generator),
        teacher_features=normal(n, n_teacher),
        teacher_logits=2 * normal(n, n_classes),
        teacher_attention=normal(n, MAPS.n_student_steps).square(),
        teacher_steps=normal(n, MAPS.n_teacher_steps, 3),
        teacher_n_steps=torch.full((n,), MAPS.n_teacher_steps),
        x_whole=normal(n, 2, 5),
        **more,
    )


def make_context(rows, max_epochs=10, known_head=True):
    n_classes = rows.tensors["teacher_logits"].shape[1]
    progress = Progress(1, visible=False)
    n_teacher = rows.tensors["teacher_features"].shape[1]

    def teacher_head():
        head = nn.Linear(n_teacher, n_classes, dtype=torch.float64)
        values = torch.randn(n_classes, n_teacher, generator=torch.Generator().manual_seed(4))
        head.weight.data.copy_(values)
        return head

    head = teacher_head if known_head else None
    return DistillationContext(
        rows, N_STUDENT, n_classes, max_epochs, 0, Memory(None), progress, head, map_shapes=MAPS
    )


def make_output(n=8, n_classes=3, seed=1):
    """Features, logits and activations over time that take gradients."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.randn((n, *shape), generator=generator, dtype=torch.float64)
        for shape in ((N_STUDENT,), (n_classes,), (MAPS.n_student_maps, MAPS.n_student_steps))
    ]
    return SeriesOutput(*(part.requires_grad_() for part in parts))


class Flat(nn.Sequential):
    """A linear layer on all of a series, with activations over time beside it."""

    n_features = N_STUDENT

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(10, N_STUDENT))

    def maps(self, x):
        return torch.cat([x, -x], 1)

    def features_from_maps(self, maps):
        return self(maps[:, :2])


def make_student(n_classes=3, dtype=torch.float64, distiller=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make_head = LinearHead if distiller is None else distiller.make_head
        return SeriesNet(Flat(), n_classes, make_head=make_head).to(dtype)


def make_step(epoch=0, seed=0):
    return Step(epoch=epoch, generator=torch.Generator().manual_seed(seed))


def prepared(distiller, rows, max_epochs=10):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        distillation = distiller.prepare(make_context(rows, max_epochs)).double()
    PREPARED_BY[distillation] = distiller
    return distillation


def student_of(distillation, n_classes=3):
    """A student with the head that its distiller needs."""
    return make_student(n_classes, distiller=PREPARED_BY.get(distillation))
