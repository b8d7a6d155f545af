"""Students with other heads than a linear one, and the distillers that need them."""

import numpy as np
import pytest
import torch
from contexts import (
    N_STUDENT,
    make_output,
    make_rows,
    make_step,
    prepared,
    student_of,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skgdpd import DistilledPrefixClassifier, PrefixClassifier, TrainingOptions, load
from skgdpd.distillers import DHO, LELP, PACED, Hinton, SeriesObjective, TeKAP
from skgdpd.distillers.dho import choose_mixture
from skgdpd.distillers.lelp import subclass_directions
from skgdpd.nets.heads import HEADS, DualHead, SubclassHead, head_maker, mixed
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Rows

HEADED = [DHO(), LELP(), LELP(n_subclasses=1), PACED(LELP(n_subclasses=3)), TeKAP(DHO())]
SMALL = {"student": "lstm1-8", "max_epochs": 3, "random_state": 0, "device": "cpu"}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_can_start_from_a_linear_classifier(name):
    head = head_maker(name)(5, 3).double()
    weight, bias, features = normal(3, 5), normal(3, seed=1), normal(7, 5, seed=2)
    head.start_from(weight, bias)
    expected = torch.log_softmax(features @ weight.T + bias, -1)
    torch.testing.assert_close(torch.log_softmax(head(features), -1), expected)
    again = head_maker(name, **head.settings)(5, 3)
    assert again.settings == head.settings
    assert (head.in_features, head.out_features) == (5, 3)


def test_a_classs_probability_is_the_sum_of_its_subclasses():
    head = SubclassHead(5, 3, 4).double()
    features = normal(7, 5)
    joint = torch.softmax(head.scores(features).flatten(1), -1).unflatten(1, (3, 4))
    torch.testing.assert_close(torch.softmax(head(features), -1), joint.sum(-1))


@given(st.floats(0, 1), st.floats(0.1, 10))
def test_a_mixture_of_probabilities_is_one(share, temperature):
    labels, teacher = normal(4, 3), normal(4, 3, seed=1)
    pair = torch.tensor(share, dtype=torch.float64), torch.tensor(temperature)
    found = mixed(labels, teacher, *pair).exp()
    expected = (1 - share) * torch.softmax(labels, -1)
    expected = expected + share * torch.softmax(teacher / pair[1], -1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(-1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_gradients_of_a_mixture_are_finite_at_its_ends(share):
    head = DualHead(5, 3).double()
    head.share.fill_(share)
    head(normal(7, 5)).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


# LELP


def hidden_from(head, directions):
    """How much the differences of logits change along directions."""
    weight = head.weight.detach()
    return ((weight - weight.mean(0)) @ directions.flatten(0, 1).T).abs().max()


def test_subclasses_differ_where_the_classifier_sees_nothing():
    z, classes = normal(40, 6), torch.arange(40) % 3
    head = nn.Linear(6, 3, dtype=torch.float64)
    weight, mean = subclass_directions(z, classes, head, 2)
    assert hidden_from(head, weight) < 1e-9
    for number in range(3):
        seen = (z[classes == number] - mean[number]) @ weight[number].T
        torch.testing.assert_close(seen.mean(0), torch.zeros(2, dtype=torch.float64))
        # Principal components: uncorrelated, of variance 1, the first of the largest spread.
        covariance = seen.T @ seen / len(seen)
        torch.testing.assert_close(covariance, torch.eye(2, dtype=torch.float64))
        lengths = 1 / weight[number].norm(dim=1)
        assert lengths[0] >= lengths[1]


def test_a_known_division_of_a_class_is_found():
    # Two groups a class, at a distance along the third axis; the classifier looks at the first.
    classes, group = torch.arange(80) % 2, torch.arange(80) // 2 % 2
    z = 0.01 * normal(80, 3)
    z[:, 0] += 4.0 * classes
    z[:, 2] += 3.0 * group
    head = nn.Linear(3, 2, dtype=torch.float64)
    head.weight.data.copy_(torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]]))
    weight, mean = subclass_directions(z, classes, head, 1)
    for number in range(2):
        seen = ((z - mean[number]) @ weight[number, 0])[classes == number]
        own = group[classes == number]
        assert (seen[own == 0].max() < seen[own == 1].min()) or (
            seen[own == 1].max() < seen[own == 0].min()
        )


@pytest.mark.parametrize("n", [0, 1])
def test_classes_without_a_spread_have_no_subclasses(n):
    z = normal(8, 4)
    classes = torch.zeros(8, dtype=torch.long)
    classes[:n] = 1
    weight, _ = subclass_directions(z, classes, nn.Linear(4, 2, dtype=torch.float64), 2)
    assert (weight[1] == 0).all()
    # Where the classifier uses all there is, nothing is left either.
    weight, _ = subclass_directions(z[:, :1], classes, nn.Linear(1, 2, dtype=torch.float64), 2)
    assert (weight == 0).all()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_teachers_subclasses_sum_to_its_classes(temperature):
    rows = make_rows(12)
    distillation = prepared(LELP(n_subclasses=3, temperature=temperature), rows)
    joint = torch.softmax(distillation.subclass_logits(rows.tensors), -1).unflatten(1, (3, 3))
    expected = torch.softmax(rows.tensors["teacher_logits"], -1)
    torch.testing.assert_close(joint.sum(-1), expected)
    flat = prepared(LELP(n_subclasses=3, contrast=0.0), rows)
    joint = torch.softmax(flat.subclass_logits(rows.tensors), -1).unflatten(1, (3, 3))
    torch.testing.assert_close(joint, expected[:, :, None].expand(-1, -1, 3) / 3)


def test_lelp_is_zero_for_a_student_that_says_what_the_teacher_does():
    rows = make_rows(4)
    distillation = prepared(LELP(), rows)
    student = student_of(distillation)
    # A linear map of four rows' features can say anything.
    features = torch.eye(N_STUDENT, dtype=torch.float64)[:4]
    student.head.start_from(torch.zeros(3, N_STUDENT), torch.zeros(3))
    with torch.no_grad():
        student.head.linear.bias.zero_()
        student.head.linear.weight[:, :4] = distillation.subclass_logits(rows.tensors).T
    output = make_output(4)._replace(features=features)
    (loss,) = distillation.terms(student, output, rows.tensors, make_step()).values()
    assert abs(loss.item()) < 1e-9
    with torch.no_grad():
        student.head.linear.weight[0] += 1.0
    (loss,) = distillation.terms(student, output, rows.tensors, make_step()).values()
    assert loss.item() > 1e-4


def test_one_subclass_is_hintons_distillation():
    rows, output = make_rows(), make_output()
    lelp = prepared(LELP(n_subclasses=1, temperature=2.0), rows)
    student = student_of(lelp)
    logits = student.head(output.features)
    hinton = prepared(Hinton(temperature=2.0), rows)
    expected = hinton.terms(student, output._replace(logits=logits), rows.tensors, make_step())
    found = lelp.terms(student, output, rows.tensors, make_step())
    torch.testing.assert_close(found["lelp"], expected["hinton"])


# DHO


def test_labels_and_teacher_have_a_classifier_each():
    rows = make_rows()
    distillation = prepared(DHO(), rows)
    student = student_of(distillation)
    terms = SeriesObjective(distillation).terms(student, rows.tensors, make_step())
    head = student.head
    for name, own, other in (
        ("ce", head.for_labels, head.for_teacher),
        ("dho", head.for_teacher, head.for_labels),
    ):
        found = torch.autograd.grad(
            terms[name], [own.weight, other.weight], retain_graph=True, allow_unused=True
        )
        assert found[0].abs().max() > 0
        assert found[1] is None


def labelled(n=200):
    """Features that are logits already, and labels drawn from their probabilities."""
    features = 2 * normal(n, 3)
    y = torch.multinomial(
        torch.softmax(features, -1), 1, generator=torch.Generator().manual_seed(1)
    )
    return features, y[:, 0]


@pytest.mark.parametrize("right", ["labels", "teacher", "teacher, too sure"])
def test_the_mixture_is_chosen_by_the_validation_series(right):
    features, y = labelled()
    backbone = nn.Identity()
    backbone.n_features = 3
    student = SeriesNet(backbone, 3, make_head=DualHead).double()
    head = student.head
    scale = 4.0 if right == "teacher, too sure" else 1.0
    with torch.no_grad():
        for linear in (head.for_labels, head.for_teacher):
            linear.weight.zero_()
            linear.bias.zero_()
        known = head.for_labels if right == "labels" else head.for_teacher
        known.weight.copy_(scale * torch.eye(3))
    choose_mixture(student, Rows(x=features, y=y))
    assert head.share.item() == pytest.approx(0.0 if right == "labels" else 1.0, abs=0.11)
    if right != "labels":
        assert head.temperature.item() == scale


def test_share_is_what_is_asked_for_or_chosen_or_half(bumps):
    X, y = bumps
    for share, fraction, expected in ((0.25, 0.2, {0.25}), ("validation", 0.0, {0.5})):
        clf = DistilledPrefixClassifier(
            DHO(share=share), training=TrainingOptions(validation_fraction=fraction), **SMALL
        )
        assert {round(clf.fit(X, y).module_.head.share.item(), 6)} == expected
    with pytest.raises(ValueError, match="share"):
        DistilledPrefixClassifier(DHO(share=1.5), **SMALL).fit(X, y)


# both, in classifiers


@pytest.mark.parametrize("distiller", HEADED, ids=repr)
def test_classifiers_are_saved_with_their_heads_and_fit_to_the_same_bits(
    distiller, bumps, tmp_path
):
    X, y = bumps
    clf = DistilledPrefixClassifier(distiller, **SMALL).fit(X, y, X_unlabeled=X[:5])
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    clf.save(tmp_path / "model.zip")
    np.testing.assert_array_equal(load(tmp_path / "model.zip").predict_proba(X), proba)
    head = type(clf.module_.head)
    assert type(load(tmp_path / "model.zip").module_.head) is head is not nn.Linear
    again = DistilledPrefixClassifier(distiller, **SMALL).fit(X, y, X_unlabeled=X[:5])
    np.testing.assert_array_equal(again.predict_proba(X), proba)


@pytest.mark.parametrize("distiller", HEADED[:2], ids=repr)
def test_a_rocket_starts_from_its_ridge_regression_whatever_its_head(distiller, bumps):
    X, y = bumps
    params = SMALL | {"student": "rocket", "max_epochs": 1, "lr": 1e-12}
    params |= {"training": TrainingOptions(weight_decay=0.0)}
    clf = DistilledPrefixClassifier(distiller, **params).fit(X, y)
    plain = PrefixClassifier(**params).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def test_streams_go_on_with_the_same_head(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(LELP(), **SMALL)
    clf.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
    assert isinstance(clf.module_.head, SubclassHead)
    assert np.isfinite(clf.predict_proba(X)).all()
