"""Methods whose targets replace the labels'."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from skgdpd.distillers import (
    PLD,
    GeneralisedDistillation,
    GroundTruthMixing,
    Hinton,
    SelfTeacher,
    SeriesObjective,
)
from skgdpd.distillers.targets import (
    RIDGE_PENALTY,
    best_label_share,
    left_out_predictions,
    ranking_loss,
)
from skgdpd.nets.student import SeriesOutput

SEEDS = st.integers(0, 10**6)


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def labels(seed, n, n_classes):
    return torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))


def cross_entropy(logits, y):
    return torch.nn.functional.cross_entropy(logits, y, reduction="none")


# PLD


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_of_two_classes_the_ranking_loss_is_the_weighted_cross_entropy(seed):
    student, teacher = normal(seed, 2, 7, 2)
    y = labels(seed, 7, 2)
    sure = torch.softmax(teacher, -1).gather(1, y[:, None])[:, 0]
    expected = (sure * cross_entropy(student, y)).mean()
    torch.testing.assert_close(ranking_loss(student, teacher, y, 1.0), expected)


def test_the_ranking_loss_is_the_likelihood_of_choosing_class_after_class():
    student, teacher = normal(0, 2, 1, 4)
    y = torch.tensor([int(teacher.argsort(-1)[0, 1])])  # the last but one
    rest = [c for c in teacher[0].argsort(descending=True).tolist() if c != y]
    q = torch.softmax(teacher[0] / 2, -1)
    left, expected = list(range(4)), 0.0
    for choice in [int(y), *rest]:
        expected -= q[choice] * torch.log_softmax(student[0][left], 0)[left.index(choice)]
        left.remove(choice)
    torch.testing.assert_close(ranking_loss(student, teacher, y, 2.0), expected)


def test_a_sure_teacher_leaves_the_labels_cross_entropy():
    rows, output = make_rows(), make_output()
    y = rows.tensors["y"]
    batch = rows.tensors | {"teacher_logits": 1e3 * torch.nn.functional.one_hot(y, 3).double()}
    torch.testing.assert_close(PLD().loss(output, batch), cross_entropy(output.logits, y).mean())


# One loss, two sources


def objective_terms(distiller, rows, epoch=0):
    objective = SeriesObjective(prepared(distiller, rows))
    return objective.terms(make_student(), rows.tensors, make_step(epoch))


@pytest.mark.parametrize("distiller", [PLD(), GroundTruthMixing(), GeneralisedDistillation(1.0)])
def test_targets_that_replace_the_labels_leave_no_cross_entropy_beside(distiller):
    assert set(objective_terms(distiller, make_rows())) == {type(distiller).__name__.lower()}


@pytest.mark.parametrize("imitation", [0.0, 0.3])
def test_the_labels_have_what_the_imitation_leaves(imitation):
    rows = make_rows()
    terms = objective_terms(GeneralisedDistillation(imitation), rows)
    ce = cross_entropy(make_student()(rows.tensors["x"]).logits, rows.tensors["y"]).mean()
    torch.testing.assert_close(terms["ce"], (1 - imitation) * ce)
    assert ("generaliseddistillation" in terms) == (imitation > 0)


def test_at_temperature_one_the_teachers_part_is_hintons():
    rows, output = make_rows(), make_output()
    found = GeneralisedDistillation(temperature=1.0).loss(output, rows.tensors)
    torch.testing.assert_close(found, Hinton(temperature=1.0).loss(output, rows.tensors))


def test_mixing_only_labels_is_cross_entropy_and_none_is_hintons():
    rows = make_rows()
    logits = make_student()(rows.tensors["x"]).logits
    found = objective_terms(GroundTruthMixing(1.0), rows)["groundtruthmixing"]
    torch.testing.assert_close(found, cross_entropy(logits, rows.tensors["y"]).mean())
    found = objective_terms(GroundTruthMixing(0.0), rows)["groundtruthmixing"]
    expected = Hinton(temperature=1.0).loss(SeriesOutput(logits, logits), rows.tensors)
    torch.testing.assert_close(found, expected)


def test_the_gradient_is_that_of_the_mixture():
    rows, output = make_rows(), make_output()
    distillation = prepared(GroundTruthMixing(0.25), rows)
    loss = distillation.terms(make_student(), output, rows.tensors, make_step())
    (gradient,) = torch.autograd.grad(loss["groundtruthmixing"], output.logits)
    one_hot = torch.nn.functional.one_hot(rows.tensors["y"], 3)
    mixture = 0.25 * one_hot + 0.75 * torch.softmax(rows.tensors["teacher_logits"], -1)
    expected = (torch.softmax(output.logits, -1) - mixture) / 8
    torch.testing.assert_close(gradient, expected.detach())


# The closed-form share


def test_left_out_predictions_are_those_of_refitted_models():
    x, targets = normal(0, 12, 3), normal(1, 12, 2)
    centred = x - x.mean(0)
    penalty = float(RIDGE_PENALTY * centred.square().mean() * 12)
    expected = cross_val_predict(Ridge(penalty), centred, targets, cv=LeaveOneOut())
    np.testing.assert_allclose(left_out_predictions(x, targets), expected)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_no_share_has_a_smaller_left_out_error(seed):
    x, y = normal(seed, 20, 3), torch.eye(3, dtype=torch.float64)[labels(seed, 20, 3)]
    guesses = torch.softmax(normal(seed + 1, 20, 3) + y, -1)
    best = best_label_share(x, y, guesses)
    errors = {
        a: (left_out_predictions(x, a * y + (1 - a) * guesses) - y).square().sum().item()
        for a in (best, *np.linspace(0, 1, 11))
    }
    assert 0 <= best <= 1
    assert errors[best] <= min(errors.values()) + 1e-9


def test_a_teacher_that_says_the_labels_leaves_the_labels():
    y = torch.eye(3, dtype=torch.float64)[labels(0, 20, 3)]
    assert best_label_share(normal(0, 20, 3), y, y) == 1.0


def test_the_better_a_teacher_knows_the_chances_the_less_do_labels_count():
    # With so many features, a fit to labels learns their noise, too.
    x = normal(0, 200, 60)
    eye = torch.eye(2, dtype=torch.float64)
    likely = (x[:, 0] > 0).long()
    y = torch.where(normal(1, 200) > 0.8, 1 - likely, likely)
    chances = 0.6 * eye[likely] + 0.2
    right, none, wrong = (
        best_label_share(x, eye[y], guesses)
        for guesses in (chances, torch.full_like(chances, 0.5), 1 - chances)
    )
    assert right < none < wrong
    assert right < 0.3


def test_the_share_is_chosen_from_the_features_that_batches_showed():
    rows = make_rows(20)
    distillation = prepared(GroundTruthMixing(), rows)
    student, output = make_student(), make_output(20)
    distillation.start_epoch(student, rows, make_step(0))
    assert distillation.share == 0.5
    distillation.terms(student, output, rows.tensors, make_step(0))
    distillation.start_epoch(student, rows, make_step(1))
    one_hot = torch.nn.functional.one_hot(rows.tensors["y"], 3)
    guesses = torch.softmax(rows.tensors["teacher_logits"], -1)
    expected = best_label_share(output.features.detach(), one_hot, guesses)
    assert distillation.share.item() == pytest.approx(expected)


# The student as its own teacher


def test_the_students_own_predictions_are_the_targets_from_the_second_stage_on():
    rows, student = make_rows(), make_student()
    distillation = prepared(SelfTeacher(first_stage=0.5, temperature=2.0), rows)
    assert distillation.warmup_epochs == 5
    for epoch in range(5):
        distillation.start_epoch(student, rows, make_step(epoch))
        assert distillation.terms(student, make_output(), rows.tensors, make_step(epoch)) == {}
    distillation.start_epoch(student, rows, make_step(5))
    assert student.training
    own = student(rows.tensors["x"])
    found = distillation.terms(student, own, rows.tensors, make_step(5))["selfteacher"]
    assert abs(found.item()) < 1e-12
    # And they stay, whatever the student learns later.
    with torch.no_grad():
        student.head.weight.mul_(2)
    distillation.start_epoch(student, rows, make_step(6))
    output = make_output()
    expected = Hinton(temperature=2.0).loss(
        output, rows.tensors | {"teacher_logits": own.logits.detach()}
    )
    found = distillation.terms(student, output, rows.tensors, make_step(6))["selfteacher"]
    torch.testing.assert_close(found, expected)
