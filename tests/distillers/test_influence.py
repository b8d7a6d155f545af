"""Influence functions, against models that are fitted anew, and weights that are made of them."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import DistilledPrefixClassifier
from skgdpd.distillers import DHO, DKD, LELP, PACED, FitNets, Hinton, InfluenceWeights
from skgdpd.distillers.influence import (
    conjugate_gradients,
    influences,
    mean_curvature,
    split_in_halves,
    weights_of_influences,
)
from skgdpd.distillers.own_outputs import own_outputs
from skgdpd.training.net import sum_terms

SEEDS = st.integers(0, 10**6)
D, C, PENALTY = 4, 3, 0.05


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cross_entropies(weights, inputs, targets):
    return -(targets * torch.log_softmax(inputs @ weights, 1)).sum(1)


def refitted(inputs, targets, sizes, start=None):
    """Minimum of the weighted mean cross-entropy with a ridge penalty, by Newton's steps."""
    weights = torch.zeros(D, C, dtype=torch.float64) if start is None else start
    for _ in range(30):
        p = torch.softmax(inputs @ weights, 1)
        gradient = inputs.T @ (sizes[:, None] * (p - targets)) / len(inputs) + PENALTY * weights
        if gradient.abs().max() < 1e-13:
            return weights
        of_rows = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        curvature = torch.einsum("n,nd,ne,nij->diej", sizes, inputs, inputs, of_rows)
        hessian = curvature.reshape(D * C, D * C) / len(inputs) + PENALTY * torch.eye(D * C)
        weights = weights - torch.linalg.solve(hessian, gradient.flatten()).view(D, C)
    raise AssertionError("no minimum was found")


class Problem:
    """A logistic regression on soft targets, and labels of other rows that judge it."""

    def __init__(self, n, seed=0):
        truth = normal(D, C, seed=seed + 1)
        self.inputs = torch.cat([normal(n, D - 1, seed=seed), torch.ones(n, 1)], 1)
        noise = normal(n, C, seed=seed + 2)
        self.targets = torch.softmax(2 * self.inputs @ truth + noise, 1)
        self.others = torch.cat([normal(50, D - 1, seed=seed + 3), torch.ones(50, 1)], 1)
        labels = (self.others @ truth + normal(50, C, seed=seed + 4)).argmax(1)
        self.labels = torch.nn.functional.one_hot(labels, C).double()
        self.fitted = refitted(self.inputs, self.targets, torch.ones(n, dtype=torch.float64))

    def judgement(self, weights):
        return cross_entropies(weights, self.others, self.labels).mean()

    def influences(self):
        gradient = torch.autograd.functional.jacobian(self.judgement, self.fitted)
        p = torch.softmax(self.inputs @ self.fitted, 1)
        return influences(self.inputs, p, self.targets, gradient, PENALTY)

    def change(self, row, size):
        """Change of the loss when one row has another weight than 1."""
        sizes = torch.ones(len(self.inputs), dtype=torch.float64)
        sizes[row] = size
        weights = refitted(self.inputs, self.targets, sizes, self.fitted)
        return (self.judgement(weights) - self.judgement(self.fitted)).item()


def test_influence_is_the_derivative_of_the_loss_by_a_rows_weight():
    problem = Problem(20)
    found = problem.influences() / 20
    for row in range(0, 20, 4):
        step = 1e-4
        expected = (problem.change(row, 1 + step) - problem.change(row, 1 - step)) / (2 * step)
        assert found[row].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_influence_foretells_what_leaving_a_row_out_does():
    problem = Problem(100)
    rows = range(0, 100, 5)
    foretold = -problem.influences()[::5].numpy() / 100
    left_out = np.array([problem.change(row, 0.0) for row in rows])
    assert np.corrcoef(foretold, left_out)[0, 1] > 0.99
    error = np.abs(foretold - left_out).max()
    assert error < 0.15 * np.abs(left_out).max()
    # To first order: the error of a change ten times smaller is a hundred times smaller.
    partly = np.array([problem.change(row, 0.9) for row in rows])
    assert np.abs(foretold / 10 - partly).max() < 0.02 * error


@settings(deadline=None, max_examples=5)
@given(SEEDS)
def test_the_curvature_is_the_hessian_of_the_mean_cross_entropy(seed):
    inputs, vector, weights = normal(9, D, seed=seed), normal(D, C), normal(D, C, seed=seed + 1)
    targets = torch.softmax(normal(9, C, seed=seed + 2), 1)
    hessian = torch.autograd.functional.hessian(
        lambda flat: cross_entropies(flat.view(D, C), inputs, targets).mean(), weights.flatten()
    )
    p = torch.softmax(inputs @ weights, 1)
    found = mean_curvature(inputs, p, vector)
    torch.testing.assert_close(found.flatten(), hessian @ vector.flatten())


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(1, 12))
def test_conjugate_gradients_solve(seed, n):
    factor, right = normal(n, n, seed=seed), normal(n, seed=seed + 1)
    matrix = factor @ factor.T + 0.1 * torch.eye(n)
    found = conjugate_gradients(lambda x: matrix @ x, right)
    torch.testing.assert_close(matrix @ found, right, atol=1e-6, rtol=1e-6)
    zero = torch.zeros_like(right)
    assert torch.equal(conjugate_gradients(lambda x: matrix @ x, zero), zero)


# Weights


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_weights_fall_with_the_influence_and_are_one_on_average(values, strength):
    influence = torch.tensor(values, dtype=torch.float64)
    weights = weights_of_influences(influence, strength)
    assert torch.isfinite(weights).all()
    assert (weights >= 0).all()
    order = influence.argsort()
    assert (weights[order].diff() <= 1e-9).all()
    if strength == 0 or influence.std(correction=0) < 1e-12:
        assert (weights == 1).all()
    elif weights.any():
        assert weights.mean().item() == pytest.approx(1)
        # No unit of the influence matters.
        torch.testing.assert_close(weights_of_influences(7 * influence, strength), weights)


def test_weights_by_hand():
    # With the spread 1: 1 + 1 and 1 - 1, over their mean.
    found = weights_of_influences(torch.tensor([-1.0, 1.0]), 1.0)
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0]))
    found = weights_of_influences(torch.tensor([-1.0, 1.0]), 0.5)
    torch.testing.assert_close(found, torch.tensor([1.5, 0.5]))
    # Where each series does harm, none teaches.
    assert (weights_of_influences(torch.tensor([5.0, 5.5]), 1.0) == 0).all()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(-1, 3), min_size=1, max_size=30), SEEDS)
def test_each_class_is_split_evenly(labels, seed):
    y = torch.tensor(labels)
    half = split_in_halves(y, seed)
    assert ((half == 0) | (half == 1)).all()
    for label in y.unique():
        of_class = half[y == label]
        assert abs(2 * of_class.sum() - len(of_class)) <= 1
    assert torch.equal(split_in_halves(y, seed), half)


# The distiller


def refreshed(distiller, rows, student, epoch):
    distillation = prepared(distiller, rows)
    distillation.start_epoch(student, rows, make_step(epoch))
    return distillation


def by_hand(rows, student, half, damping):
    """Influences by explicit matrices: each half is judged by the labels of the other."""
    output = own_outputs(student, rows)
    x = torch.cat([output.features, torch.ones(len(rows), 1)], 1)
    p, t = (torch.softmax(z, 1) for z in (output.logits, rows.tensors["teacher_logits"]))
    y = rows.tensors["y"]
    label = torch.nn.functional.one_hot(y.clamp(min=0), p.shape[1])
    hessian = sum(
        torch.kron(xi[:, None] * xi, pi.diag() - pi[:, None] * pi)
        for xi, pi in zip(x, p, strict=True)
    ) / len(rows)
    hessian = hessian + damping * hessian.diagonal().mean() * torch.eye(len(hessian))
    found = torch.zeros(len(rows), dtype=torch.float64)
    for i in range(len(rows)):
        judges = (half != half[i]) & (y >= 0)
        gradient = (x[judges].T @ (p - label)[judges]).flatten() / judges.sum()
        own = torch.kron(x[i], p[i] - t[i])
        found[i] = -gradient @ torch.linalg.solve(hessian, own)
    return found


def test_influences_are_those_of_each_half_on_the_labels_of_the_other():
    rows, student = make_rows(30), make_student()
    rows.tensors["y"][::4] = -1
    rows.tensors["weight"] = (rows.tensors["y"] >= 0).double()
    distillation = refreshed(InfluenceWeights(damping=0.1), rows, student, 5)
    expected = by_hand(rows, student, distillation.halves, 0.1)
    found = distillation.influence(own_outputs(student, rows), rows)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(distillation.weights, weights_of_influences(expected, 1.0))


def test_a_series_without_a_label_is_judged_but_judges_nothing():
    rows, student = make_rows(30), make_student()
    rows.tensors["y"][::4] = -1
    distillation = prepared(InfluenceWeights(), rows)
    output = own_outputs(student, rows)
    found = distillation.influence(output, rows)
    assert (found[::4] != 0).all()
    rows.tensors["y"][:] = -1
    assert (distillation.influence(output, rows) == 0).all()


def test_the_weights_change_every_few_epochs_from_the_warmup_on():
    rows, student = make_rows(), make_student()
    distiller = InfluenceWeights(FitNets(first_stage=0.2), refresh_every=3)
    distillation = prepared(distiller, rows)
    changes, before = [], distillation.weights.clone()
    for epoch in range(12):
        distillation.start_epoch(student, rows, make_step(epoch))
        with torch.no_grad():
            student.head.weight.mul_(1.1)
        if not torch.equal(distillation.weights, before):
            changes.append(epoch)
        before = distillation.weights.clone()
    assert changes == [5, 8, 11]


@pytest.mark.parametrize("inner", [Hinton(temperature=2.0), DKD()], ids=repr)
def test_the_loss_is_the_other_methods_with_these_weights(inner):
    rows, student, output = make_rows(), make_student(), make_output()
    distillation = refreshed(InfluenceWeights(inner, lambda_kd=0.5), rows, student, 5)
    assert len(distillation.weights.unique()) > 1
    weighted = make_rows(target_weight=distillation.weights)
    expected = prepared(inner, weighted).terms(student, output, weighted.tensors, make_step())
    found = distillation.terms(student, output, rows.tensors, make_step())
    torch.testing.assert_close(sum_terms(found), 0.5 * sum_terms(expected))


def test_without_strength_it_is_the_other_distiller():
    rows, student, output = make_rows(), make_student(), make_output()
    distillation = refreshed(InfluenceWeights(strength=0.0), rows, student, 5)
    (found,) = distillation.terms(student, output, rows.tensors, make_step()).values()
    (expected,) = prepared(Hinton(), rows).terms(student, output, rows.tensors, None).values()
    torch.testing.assert_close(found, expected)


def test_a_series_about_which_the_teacher_is_wrong_counts_less():
    # A student that has learned the labels of most series, by their features.
    rows, student = make_rows(200), make_student()
    x, y = own_outputs(student, rows).features, rows.tensors["y"]
    truth = x @ normal(5, 3, seed=7)
    y.copy_(truth.argmax(1))
    student.head.start_from(0.5 * normal(5, 3, seed=7).T, torch.zeros(3))
    wrong = torch.arange(200) % 5 == 0
    teacher = torch.where(wrong, (y + 1) % 3, y)
    rows.tensors["teacher_logits"].copy_(4 * torch.nn.functional.one_hot(teacher, 3))
    weights = refreshed(InfluenceWeights(), rows, student, 5).weights
    assert weights[wrong].mean() < 0.3 * weights[~wrong].mean()


def test_series_of_a_stream_count_alike():
    rows, student = make_rows(), make_student()
    distillation = refreshed(InfluenceWeights(), rows, student, 5)
    kept = distillation.weights.clone()
    distillation.calibrating = False
    chunk, output = make_rows(20, seed=1), make_output(20)
    distillation.start_epoch(student, chunk, make_step(10))
    (found,) = distillation.terms(student, output, chunk.tensors, make_step(10)).values()
    (expected,) = prepared(Hinton(), chunk).terms(student, output, chunk.tensors, None).values()
    torch.testing.assert_close(found, expected)
    assert torch.equal(distillation.weights, kept)


@pytest.mark.parametrize("inner", [DHO(), LELP(), PACED(LELP())], ids=repr)
def test_heads_that_are_not_linear_are_refused_before_a_training(inner, bumps):
    clf = DistilledPrefixClassifier(InfluenceWeights(inner), student="lstm1-8")
    with pytest.raises(ValueError, match=r"distiller=.*Head.*one linear layer"):
        clf.fit(*bumps)


def test_the_check_of_the_head_draws_nothing():
    state = torch.get_rng_state()
    InfluenceWeights(Hinton())._validate_params()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("earliness", [0.3, [0.2, 0.5]], ids=str)
def test_a_training_weighs_its_training_series_alone(earliness, bumps):
    X, y = bumps
    distiller = InfluenceWeights(refresh_every=2)
    clf = DistilledPrefixClassifier(
        distiller, student="lstm1-8", earliness=earliness, max_epochs=5, random_state=0
    ).fit(X[:40], y[:40], X_unlabeled=X[40:50])
    weights = clf.distillation_.weights
    assert len(weights) < 50
    assert len(weights.unique()) > 2
    assert weights.mean().item() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_a_series_that_nothing_judges_keeps_its_weight():
    rows, student = make_rows(1), make_student()
    assert (refreshed(InfluenceWeights(), rows, student, 5).weights == 1).all()
    two = refreshed(InfluenceWeights(), make_rows(2), student, 5).weights
    assert torch.isfinite(two).all()
