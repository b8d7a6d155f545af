"""Hinton's loss: a scaled divergence of softened probabilities, and the distiller around it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Memory
from scipy.stats import entropy
from sklearn.base import clone
from torch import nn

from skgdpd import DistilledPrefixClassifier
from skgdpd.distillers import DistillationContext, Hinton, SeriesObjective
from skgdpd.distillers.logits import hinton_loss
from skgdpd.metrics import predictive_kl
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Progress, Rows, Step

SEEDS = st.integers(0, 10**6)
TEMPERATURES = st.sampled_from([0.5, 1.0, 2.0, 4.0, 20.0])


def pair(seed, n=7, n_classes=4):
    """Student's and teacher's logits."""
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, n, n_classes, generator=generator, dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(SEEDS, TEMPERATURES, st.integers(1, 9))
def test_the_loss_is_scipys_divergence_times_the_squared_temperature(seed, temperature, n):
    student, teacher = pair(seed, n)
    p_student, p_teacher = (torch.softmax(x / temperature, -1).numpy() for x in (student, teacher))
    expected = temperature**2 * entropy(p_teacher, p_student, axis=1).mean()
    loss = hinton_loss(student, teacher, temperature).item()
    assert loss == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_at_temperature_one_it_is_the_metric_of_agreement(seed):
    student, teacher = pair(seed)
    p_student, p_teacher = (torch.softmax(x, -1).numpy() for x in (student, teacher))
    expected = predictive_kl(p_teacher, p_student)
    assert hinton_loss(student, teacher, 1.0).item() == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(SEEDS, TEMPERATURES)
def test_the_loss_is_zero_at_equality_and_positive_elsewhere(seed, temperature):
    student, teacher = pair(seed)
    assert abs(hinton_loss(teacher, teacher, temperature).item()) < 1e-12
    assert hinton_loss(student, teacher, temperature).item() > 0


@settings(deadline=None, max_examples=30)
@given(SEEDS, TEMPERATURES, st.floats(-50, 50), st.floats(-50, 50))
def test_constants_added_to_logits_change_nothing(seed, temperature, a, b):
    student, teacher = pair(seed)
    expected = hinton_loss(student, teacher, temperature)
    rows = torch.arange(len(student), dtype=torch.float64)[:, None]
    shifted = hinton_loss(student + a * rows, teacher + b, temperature)
    torch.testing.assert_close(shifted, expected)


@settings(deadline=None, max_examples=30)
@given(SEEDS, TEMPERATURES)
def test_the_gradient_is_the_difference_of_probabilities_times_the_temperature(seed, temperature):
    student, teacher = pair(seed)
    student.requires_grad_()
    hinton_loss(student, teacher, temperature).backward()
    difference = torch.softmax(student / temperature, -1) - torch.softmax(
        teacher / temperature, -1
    )
    torch.testing.assert_close(student.grad, temperature * difference.detach() / len(student))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradients_are_those_of_finite_differences(temperature):
    student, teacher = pair(0)
    weight = torch.rand(7, dtype=torch.float64)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda logits: hinton_loss(logits, teacher, temperature, weight), student
    )


def test_the_teacher_gets_no_gradient():
    student, teacher = pair(0)
    teacher.requires_grad_()
    student.requires_grad_()
    hinton_loss(student, teacher, 2.0).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_at_high_temperature_it_is_the_squared_distance_of_centred_logits():
    # Section 2.1 of the paper: T² KL -> mean over rows of |s - t|² / (2 C), both centred.
    student, teacher = pair(0)
    difference = student - teacher
    centred = difference - difference.mean(1, keepdims=True)
    expected = centred.square().mean(1).mean() / 2
    torch.testing.assert_close(hinton_loss(student, teacher, 1e4), expected, rtol=1e-3, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_weights_are_those_of_rows_in_a_mean_over_all(seed):
    student, teacher = pair(seed)
    weight = torch.rand(7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    each = torch.stack(
        [hinton_loss(student[i : i + 1], teacher[i : i + 1], 2.0) for i in range(7)]
    )
    torch.testing.assert_close(hinton_loss(student, teacher, 2.0, weight), (weight * each).mean())
    torch.testing.assert_close(
        hinton_loss(student, teacher, 2.0, torch.ones(7, dtype=torch.float64)), each.mean()
    )
    assert hinton_loss(student, teacher, 2.0, torch.zeros(7, dtype=torch.float64)) == 0


def test_extreme_logits_stay_finite():
    student = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = hinton_loss(student, torch.tensor([[-1e4, 1e4], [-1e4, 1e4]]), 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


# The distiller


def make_student(n_classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Flatten(), nn.Linear(10, 5))
        backbone.n_features = 5
        return SeriesNet(backbone, n_classes)


def make_context(n=12, seed=0, **more):
    generator = torch.Generator().manual_seed(seed)
    rows = Rows(
        x=torch.randn(n, 2, 5, generator=generator),
        y=torch.randint(3, (n,), generator=generator),
        teacher_features=torch.randn(n, 6, generator=generator),
        teacher_logits=torch.randn(n, 3, generator=generator),
        **more,
    )
    return DistillationContext(rows, 5, 3, 10, 0, Memory(None), Progress(1, visible=False))


STEP = Step(epoch=0, generator=torch.Generator())


@pytest.mark.parametrize("n", [1, 12])
def test_the_term_is_the_weighted_loss_beside_the_cross_entropy(n):
    context, student = make_context(n), make_student()
    batch = context.rows.tensors
    objective = SeriesObjective(Hinton(lambda_kd=0.7, temperature=3.0).prepare(context))
    terms = objective.terms(student, batch, STEP)
    logits = student(batch["x"]).logits
    assert set(terms) == {"ce", "hinton"}
    torch.testing.assert_close(
        terms["hinton"], 0.7 * hinton_loss(logits, batch["teacher_logits"], 3.0)
    )
    torch.testing.assert_close(terms["ce"], nn.functional.cross_entropy(logits, batch["y"]))


def test_a_weight_of_zero_leaves_the_term_out():
    context = make_context()
    objective = SeriesObjective(Hinton(lambda_kd=0.0).prepare(context))
    assert set(objective.terms(make_student(), context.rows.tensors, STEP)) == {"ce"}


def test_rows_weigh_in_the_term_by_their_target_weight_alone():
    weight, target_weight = torch.rand(12), torch.rand(12)
    context = make_context(weight=weight, target_weight=target_weight)
    student, batch = make_student(), context.rows.tensors
    objective = SeriesObjective(Hinton(1.0, 2.0).prepare(context))
    expected = hinton_loss(student(batch["x"]).logits, batch["teacher_logits"], 2.0, target_weight)
    torch.testing.assert_close(objective.terms(student, batch, STEP)["hinton"], expected)


def test_no_parameter_but_the_students_is_trained():
    assert not list(Hinton().prepare(make_context()).parameters())


def test_a_student_taught_by_logits_alone_comes_to_agree_with_its_teacher():
    # Eight series of ten numbers: a linear student can meet any logits.
    context, student = make_context(n=8), make_student()
    batch = context.rows.tensors
    distillation = Hinton(temperature=2.0).prepare(context)
    step = torch.optim.LBFGS(student.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        step.zero_grad()
        loss = distillation.terms(student, student(batch["x"]), batch, STEP)["hinton"]
        loss.backward()
        return loss

    before = closure().item()
    step.step(closure)
    assert closure().item() < 1e-4 * before
    agreed = torch.softmax(student(batch["x"]).logits, -1)
    torch.testing.assert_close(
        agreed, torch.softmax(batch["teacher_logits"], -1), atol=0.02, rtol=0
    )


def test_parameters_are_cloned_and_searched_as_everywhere():
    distiller = Hinton(0.3, temperature=2.0)
    expected = {"lambda_kd": 0.3, "temperature": 2.0, "divergence": "forward", "skew": 0.9}
    assert clone(distiller).get_params() == expected
    clf = DistilledPrefixClassifier(Hinton()).set_params(distiller__temperature=9.0)
    assert clf.distiller.temperature == 9.0


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("lambda_kd", -1.0),
        ("skew", 0.0),
        ("skew", 1.5),
        ("divergence", "skew"),
    ],
)
def test_bad_parameters_are_refused_by_name_when_fitting(name, bad, bumps):
    clf = DistilledPrefixClassifier(
        Hinton(**{name: bad}), student="lstm1-8", max_epochs=1, random_state=0
    )
    with pytest.raises(ValueError, match=f"{name}.*{bad}"):
        clf.fit(*bumps)


def test_a_classifier_records_the_term_it_was_trained_with(bumps):
    clf = DistilledPrefixClassifier(
        Hinton(lambda_kd=0.5), student="lstm1-8", max_epochs=2, random_state=0
    ).fit(*bumps)
    assert set(clf.history_) == {"ce", "hinton", "loss", "valid_loss"}
    np.testing.assert_allclose(
        clf.history_["loss"], clf.history_["ce"] + clf.history_["hinton"], rtol=1e-5
    )
    assert clf.history_.warmup_epochs == 0
