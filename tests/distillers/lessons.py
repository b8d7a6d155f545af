"""Small students, teachers and batches for the tests of distillers."""

import torch
from joblib import Memory
from torch import nn

from skgdpd.distillers import Lesson, MapShapes
from skgdpd.nets.student import StudentNet, StudentOutput
from skgdpd.training import Progress, Rows, Step

N_STUDENT, N_TEACHER = 5, 6
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
        **more,
    )


def make_lesson(rows, max_epochs=10):
    n_classes = rows.tensors["teacher_logits"].shape[1]
    progress = Progress(1, visible=False)
    return Lesson(
        rows, N_STUDENT, n_classes, max_epochs, 0, Memory(None), progress, map_shapes=MAPS
    )


def make_output(n=8, n_classes=3, seed=1):
    """Features, logits and activations over time that take gradients."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.randn((n, *shape), generator=generator, dtype=torch.float64)
        for shape in ((N_STUDENT,), (n_classes,), (MAPS.n_student_maps, MAPS.n_student_steps))
    ]
    return StudentOutput(*(part.requires_grad_() for part in parts))


class Flat(nn.Sequential):
    """A linear layer on all of a series, with activations over time beside it."""

    n_features = N_STUDENT

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(10, N_STUDENT))

    def maps(self, x):
        return torch.cat([x, -x], 1)

    def features_from_maps(self, maps):
        return self(maps[:, :2])


def make_student(n_classes=3, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StudentNet(Flat(), n_classes).to(dtype)


def make_step(epoch=0, seed=0):
    return Step(epoch=epoch, generator=torch.Generator().manual_seed(seed))


def prepared(distiller, rows, max_epochs=10):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return distiller.prepare(make_lesson(rows, max_epochs)).double()
