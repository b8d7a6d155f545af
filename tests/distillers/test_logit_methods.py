"""Methods that compare logits: what each comes down to in cases that can be worked out."""

import math

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.distillers import DIST, DKD, EntropyTemperature, Hinton
from skgdpd.distillers.decoupled import correlation, decoupled_loss, relational_loss
from skgdpd.distillers.logits import entropy_share, hinton_loss, transformed_teacher_loss
from skgdpd.distillers.rows import divergence, row_shares
from skgdpd.nets.student import SeriesOutput

SEEDS = st.integers(0, 10**6)


def pair(seed, n=7, n_classes=4):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, n, n_classes, generator=generator, dtype=torch.float64)


def labels(seed, n=7, n_classes=4):
    return torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))


# Divergences


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_reverse_is_forward_with_the_two_exchanged(seed):
    p, q = torch.log_softmax(pair(seed), -1)
    torch.testing.assert_close(divergence(p, q, "reverse"), divergence(q, p, "forward"))


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_jensen_and_shannons_is_symmetric_bounded_and_made_of_entropies(seed):
    p, q = torch.log_softmax(5 * pair(seed), -1)
    found = divergence(p, q, "js")
    torch.testing.assert_close(found, divergence(q, p, "js"))
    assert (found >= -1e-12).all()
    assert (found <= math.log(2) + 1e-12).all()

    def entropy(x):
        return torch.special.entr(x).sum(-1)

    expected = entropy((p.exp() + q.exp()) / 2) - (entropy(p.exp()) + entropy(q.exp())) / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["forward", "reverse", "js", "skewed", "skewed-reverse"])
def test_divergences_of_certainties_are_finite_with_finite_gradients(name):
    student = torch.tensor([[2e3, -2e3], [-2e3, 2e3]], requires_grad=True)
    loss = hinton_loss(student, torch.tensor([[-2e3, 2e3], [-2e3, 2e3]]), 1.0, None, name)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(student.grad).all()


SKEWED = {"skewed": "forward", "skewed-reverse": "reverse"}
SKEWS = st.floats(0.01, 0.99)


@settings(deadline=None, max_examples=20)
@given(SEEDS, SKEWS, st.sampled_from([1.0, 4.0]))
def test_skewed_divergences_are_those_from_the_mixture(seed, skew, temperature):
    student, teacher = pair(seed)
    p, q = (torch.softmax(x / temperature, -1) for x in (teacher, student))
    expected = {
        "skewed": (p * (p / ((1 - skew) * p + skew * q)).log()).sum(-1).mean(),
        "skewed-reverse": (q * (q / ((1 - skew) * q + skew * p)).log()).sum(-1).mean(),
    }
    for name, value in expected.items():
        found = hinton_loss(student, teacher, temperature, None, name, skew)
        torch.testing.assert_close(found, temperature**2 * value)
        output = SeriesOutput(student, student)
        distiller = Hinton(temperature=temperature, divergence=name, skew=skew)
        assert distiller.loss(output, {"teacher_logits": teacher}) == found


@pytest.mark.parametrize(("name", "plain"), SKEWED.items())
def test_a_skew_of_one_is_the_plain_divergence_and_the_limit(name, plain):
    p, q = torch.log_softmax(pair(0), -1)
    expected = divergence(p, q, plain)
    assert torch.equal(divergence(p, q, name, 1.0), expected)
    torch.testing.assert_close(divergence(p, q, name, 1 - 1e-9), expected)
    assert (divergence(p, q, name, 1e-9).abs() < 1e-6).all()


@settings(deadline=None, max_examples=20)
@given(SEEDS, SKEWS, st.sampled_from(sorted(SKEWED)))
def test_skewed_divergences_are_bounded_even_by_certainties(seed, skew, name):
    p, q = torch.log_softmax(50 * pair(seed), -1)
    found = divergence(p, q, name, skew)
    assert (found >= -1e-12).all()
    assert (found <= -math.log1p(-skew) + 1e-12).all()
    # A divergence is convex in its second distribution.
    assert (found <= skew * divergence(p, q, SKEWED[name]) + 1e-12).all()


@pytest.mark.parametrize("name", sorted(SKEWED))
def test_gradients_of_skewed_divergences_are_those_of_finite_differences(name):
    student, teacher = pair(0)
    student.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda logits: hinton_loss(logits, teacher, 2.0, None, name, 0.7), student
    )


def test_all_divergences_agree_near_equality():
    # To second order each is half the same quadratic form; Jensen and Shannon's a quarter of it.
    (student, teacher) = pair(0)
    student = teacher + 1e-4 * student
    forward, reverse, js = (
        hinton_loss(student, teacher, 2.0, None, name) for name in ("forward", "reverse", "js")
    )
    torch.testing.assert_close(forward, reverse, rtol=1e-2, atol=0)
    torch.testing.assert_close(forward, 4 * js, rtol=1e-2, atol=0)
    for name in SKEWED:
        skewed = hinton_loss(student, teacher, 2.0, None, name, 0.8)
        torch.testing.assert_close(0.8**2 * forward, skewed, rtol=1e-2, atol=0)


# A temperature for each series


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.sampled_from([0.0, 0.5, 3.0]))
def test_each_series_has_the_temperature_of_its_teachers_entropy(seed, slope):
    student, teacher = pair(seed)
    p = torch.softmax(teacher, -1)
    temperature = 2 * (1 + slope * -(p * p.log()).sum(-1) / math.log(4))
    each = [
        hinton_loss(s[None], t[None], T.item())
        for s, t, T in zip(student, teacher, temperature, strict=True)
    ]
    distiller = EntropyTemperature(temperature=2.0, slope=slope)
    found = distiller.loss(SeriesOutput(student, student), {"teacher_logits": teacher})
    torch.testing.assert_close(found, torch.stack(each).mean())
    if not slope:
        torch.testing.assert_close(found, hinton_loss(student, teacher, 2.0))


def test_temperatures_reach_from_certainty_to_ignorance():
    student, _ = pair(0, n=3)
    certain = 1e3 * torch.nn.functional.one_hot(torch.tensor([2, 0, 1]), 4).double()
    for teacher, factor in ((certain, 1.0), (torch.ones_like(student), 2.5)):
        distiller = EntropyTemperature(temperature=3.0, slope=1.5)
        found = distiller.loss(SeriesOutput(student, student), {"teacher_logits": teacher})
        torch.testing.assert_close(found, hinton_loss(student, teacher, 3.0 * factor))


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 5))
def test_the_share_of_entropy_is_that_of_the_uniform_distribution(seed, n_classes):
    logits, _ = pair(seed, n_classes=n_classes)
    share = entropy_share(logits)
    assert ((share >= 0) & (share <= 1)).all()
    uniform = entropy_share(torch.zeros_like(logits))
    torch.testing.assert_close(uniform, torch.full_like(uniform, float(n_classes > 1)))
    assert (entropy_share(1e4 * logits) <= share + 1e-12).all()


# DKD


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.sampled_from([1.0, 4.0]))
def test_hintons_loss_is_the_decoupled_one_with_beta_what_the_teacher_leaves(seed, temperature):
    student, teacher = pair(seed)
    y = labels(seed)
    left = 1 - torch.softmax(teacher / temperature, -1).gather(1, y[:, None])[:, 0]
    each = [
        decoupled_loss(student[i : i + 1], teacher[i : i + 1], y[i : i + 1], 1, b, temperature)
        for i, b in enumerate(left)
    ]
    expected = hinton_loss(student, teacher, temperature)
    torch.testing.assert_close(torch.stack(each).mean(), expected)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_of_two_classes_the_decoupled_loss_is_hintons_whatever_beta(seed):
    student, teacher = pair(seed, n_classes=2)
    y = labels(seed, n_classes=2)
    expected = hinton_loss(student, teacher, 4.0)
    for beta in (0.0, 8.0):
        torch.testing.assert_close(decoupled_loss(student, teacher, y, 1, beta, 4.0), expected)


def test_the_part_of_the_wrong_classes_does_not_see_the_right_one():
    student, teacher = pair(0)
    y = labels(0)
    expected = decoupled_loss(student, teacher, y, 0, 1, 2.0)
    moved = student.scatter_add(1, y[:, None], torch.rand(7, 1, dtype=torch.float64))
    torch.testing.assert_close(decoupled_loss(moved, teacher, y, 0, 1, 2.0), expected)


def test_without_a_label_the_teachers_choice_is_the_right_class():
    rows = make_rows()
    batch = dict(rows.tensors)
    choice = batch["teacher_logits"].argmax(-1)
    output = make_output()
    torch.testing.assert_close(
        DKD().loss(output, batch | {"y": torch.full((8,), -1)}),
        DKD().loss(output, batch | {"y": choice}),
    )


# DIST


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_correlations_are_numpys(seed):
    a, b = pair(seed)
    by_row = correlation(a, b, row_shares(4, None, a), 1)
    by_column = correlation(a, b, row_shares(7, None, a)[:, None], 0)
    for found, (x, y) in ((by_row, (a, b)), (by_column, (a.T, b.T))):
        expected = [np.corrcoef(u, v)[0, 1] for u, v in zip(x, y, strict=True)]
        np.testing.assert_allclose(found, expected)


def test_integer_weights_are_repeated_rows():
    student, teacher = pair(0)
    weight = torch.tensor([1, 2, 3, 1, 1, 2, 4], dtype=torch.float64)
    times = weight.long()
    found = relational_loss(student, teacher, 1, 1, 1.0, weight / weight.mean())
    repeated = (x.repeat_interleave(times, 0) for x in (student, teacher))
    torch.testing.assert_close(found, relational_loss(*repeated, 1, 1, 1.0))


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_within_rows_of_two_classes_only_the_sign_is_left_and_no_gradient(seed):
    student, teacher = pair(seed, n_classes=2)
    student.requires_grad_()
    loss = relational_loss(student, teacher, 1, 0, 1.0)
    disagree = (student.argmax(-1) != teacher.argmax(-1)).double().mean()
    torch.testing.assert_close(loss.detach(), 2 * disagree)
    (gradient,) = torch.autograd.grad(loss, student)
    assert (gradient.abs() < 1e-6).all()
    # But series still teach each other's order.
    loss = relational_loss(student, teacher, 0, 1, 1.0)
    assert torch.autograd.grad(loss, student)[0].abs().max() > 1e-6


def test_a_single_series_has_no_order_among_series():
    output, rows = make_output(1), make_rows(1)
    both, rows_only = (DIST(inter=inter).loss(output, rows.tensors).item() for inter in (1.0, 0.0))
    assert rows_only == 1.0
    assert both != rows_only


# TTM


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.floats(0.05, 1.0))
def test_the_transformed_loss_is_zero_where_student_logits_are_gamma_times_the_teachers(
    seed, gamma
):
    teacher = pair(seed)[0]
    assert abs(transformed_teacher_loss(gamma * teacher + 3, teacher, gamma).item()) < 1e-12
    assert transformed_teacher_loss(teacher, teacher, gamma) > 0 or gamma > 0.999


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_at_gamma_one_both_transformed_losses_are_hintons(seed):
    student, teacher = pair(seed)
    expected = hinton_loss(student, teacher, 1.0)
    for by_power_sum in (False, True):
        found = transformed_teacher_loss(student, teacher, 1.0, None, by_power_sum)
        torch.testing.assert_close(found, expected)


def test_the_power_sum_is_one_for_a_sure_teacher_and_largest_for_an_unsure_one():
    student = pair(0, n=2)[0]
    teacher = torch.tensor([[1e4, 0, 0, 0], [0.0, 0, 0, 0]], dtype=torch.float64)
    for i, expected in enumerate((1.0, 4**0.9)):
        row = student[i : i + 1], teacher[i : i + 1], 0.1
        ratio = transformed_teacher_loss(*row, None, True) / transformed_teacher_loss(*row)
        assert ratio.item() == pytest.approx(expected)
