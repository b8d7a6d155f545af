"""Methods that compare features: what they are blind to, and what they come down to."""

import math

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import norm

from skgdpd.distillers import PKT, RKD, VID
from skgdpd.distillers.features import gaussian_loss
from skgdpd.distillers.relations import (
    angle_cosines,
    relational_geometry_loss,
    relative_distances,
    similarity_loss,
)
from skgdpd.nets.student import SeriesOutput

SEEDS = st.integers(0, 10**6)


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rotation(seed, width):
    return torch.linalg.qr(normal(seed, width, width)).Q


@pytest.mark.parametrize("distiller", [RKD(), PKT()], ids=["rkd", "pkt"])
def test_rotated_and_scaled_features_are_the_same(distiller):
    rows, output = make_rows(), make_output()
    expected = distiller.loss(output, rows.tensors)
    turned = SeriesOutput(3 * output.features @ rotation(0, 5), output.logits)
    batch = rows.tensors | {
        "teacher_features": rows.tensors["teacher_features"] @ rotation(1, 6) / 7
    }
    torch.testing.assert_close(distiller.loss(turned, batch), expected)


def test_shifted_features_are_the_same_to_rkd_and_not_to_pkt():
    rows, output = make_rows(), make_output()
    shifted = SeriesOutput(output.features + 5, output.logits)
    torch.testing.assert_close(RKD().loss(shifted, rows.tensors), RKD().loss(output, rows.tensors))
    assert abs(PKT().loss(shifted, rows.tensors) - PKT().loss(output, rows.tensors)) > 1e-3


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_relative_distances_are_scipys_over_their_mean(seed):
    x = normal(seed, 6, 3)
    expected = cdist(x, x)
    expected = expected / expected[~np.eye(6, dtype=bool)].mean()
    found = relative_distances(x, torch.full((6,), 1 / 6, dtype=torch.float64))
    np.testing.assert_allclose(found, expected)


def test_angles_of_a_right_triangle():
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    cosines = angle_cosines(x)
    assert cosines[0, 1, 2].item() == pytest.approx(0)
    assert cosines[1, 0, 2].item() == pytest.approx(3 / 5)
    assert cosines[2, 0, 1].item() == pytest.approx(4 / 5)


def test_wide_teacher_features_are_compared_in_fewer_dimensions_without_loss():
    student, teacher = normal(0, 7, 5), normal(1, 7, 3)
    embedding = torch.linalg.qr(normal(2, 40, 3)).Q
    torch.testing.assert_close(
        relational_geometry_loss(student, teacher @ embedding.T, 25, 50),
        relational_geometry_loss(student, teacher, 25, 50),
    )


def test_wide_teacher_features_far_from_zero_keep_their_distances_in_single_precision():
    student, teacher = normal(0, 7, 5), normal(1, 7, 40)
    expected = relational_geometry_loss(student, teacher, 25, 50)
    found = relational_geometry_loss(student.float(), (teacher + 1000).float(), 25, 50)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=0)


def test_one_series_has_no_relations():
    for distiller in (RKD(), PKT()):
        assert distiller.loss(make_output(1), make_rows(1).tensors).item() == pytest.approx(0)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_similarities_are_those_worked_out_row_by_row(seed):
    student, teacher = normal(seed, 5, 3), normal(seed + 1, 5, 4)

    def shares(x):
        x = x / x.norm(dim=1, keepdim=True)
        kernel = (x @ x.T + 1) / 2
        return kernel / kernel.sum(1, keepdim=True)

    p, q = shares(teacher), shares(student)
    torch.testing.assert_close(
        similarity_loss(student, teacher), (p * (p / q).log()).sum(1).mean()
    )


# VID


def test_the_gaussian_loss_is_scipys_but_for_the_constant():
    guess, target, variance = normal(0, 4, 3), normal(1, 4, 3), normal(2, 3).exp()
    expected = -norm.logpdf(target, guess, variance.sqrt()).mean() - math.log(2 * math.pi) / 2
    assert gaussian_loss(guess, target, variance).item() == pytest.approx(expected)


def test_the_best_variance_of_a_channel_is_its_mean_squared_error():
    guess, target = normal(0, 50, 3), normal(1, 50, 3)
    variance = (guess - target).square().mean(0).requires_grad_()
    (gradient,) = torch.autograd.grad(gaussian_loss(guess, target, variance), variance)
    assert (gradient.abs() < 1e-12).all()


@pytest.mark.parametrize("initial", [1e-3, 1.0, 5.0, 1000.0])
def test_training_starts_from_the_given_variance(initial):
    rows, output = make_rows(), make_output()
    distillation = prepared(VID(initial_variance=initial), rows)
    found = distillation.terms(make_student(), output, rows.tensors, make_step())["vid"]
    guess = distillation.regressor(output.features)
    variance = torch.full((6,), initial + 1e-5, dtype=torch.float64)
    expected = gaussian_loss(guess, rows.tensors["teacher_features"], variance)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
