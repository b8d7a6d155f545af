"""Small students, teachers and batches for the tests of distillers."""

from weakref import WeakKeyDictionary

import torch
from joblib import Memory
from torch import nn

from skgdpd.distillers import Lesson
from skgdpd.nets.heads import LinearHead
from skgdpd.nets.student import StudentNet, StudentOutput
from skgdpd.training import Progress, Rows, Step

N_STUDENT, N_TEACHER = 5, 6
PREPARED_BY = WeakKeyDictionary()


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
        **more,
    )


def make_lesson(rows, max_epochs=10, known_head=True):
    n_classes = rows.tensors["teacher_logits"].shape[1]
    progress = Progress(1, visible=False)
    n_teacher = rows.tensors["teacher_features"].shape[1]

    def teacher_head():
        head = nn.Linear(n_teacher, n_classes, dtype=torch.float64)
        values = torch.randn(n_classes, n_teacher, generator=torch.Generator().manual_seed(4))
        head.weight.data.copy_(values)
        return head

    head = teacher_head if known_head else None
    return Lesson(rows, N_STUDENT, n_classes, max_epochs, 0, Memory(None), progress, head)


def make_output(n=8, n_classes=3, seed=1):
    """Features and logits that take gradients."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.randn((n, width), generator=generator, dtype=torch.float64)
        for width in (N_STUDENT, n_classes)
    ]
    return StudentOutput(*(part.requires_grad_() for part in parts))


def make_student(n_classes=3, dtype=torch.float64, distiller=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Flatten(), nn.Linear(10, N_STUDENT))
        backbone.n_features = N_STUDENT
        make_head = LinearHead if distiller is None else distiller.make_head
        return StudentNet(backbone, n_classes, make_head=make_head).to(dtype)


def make_step(epoch=0, seed=0):
    return Step(epoch=epoch, generator=torch.Generator().manual_seed(seed))


def prepared(distiller, rows, max_epochs=10):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        distillation = distiller.prepare(make_lesson(rows, max_epochs)).double()
    PREPARED_BY[distillation] = distiller
    return distillation


def student_of(distillation, n_classes=3):
    """A student with the head that its distiller needs."""
    return make_student(n_classes, distiller=PREPARED_BY.get(distillation))
