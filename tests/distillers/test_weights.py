"""Distillers around another that weigh its series: which weights, and what follows from them."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from skgdpd import DistilledPrefixClassifier
from skgdpd.distillers import DKD, RKD, TIP, FitNets, GroupReweighting, Hinton, SampleRouting
from skgdpd.distillers.logits import hinton_loss
from skgdpd.distillers.weights import weights_of_gaps
from skgdpd.nets.student import SeriesOutput

SEEDS = st.integers(0, 10**6)
WEIGHING = [SampleRouting, TIP, GroupReweighting]


def weights(distiller, output, batch, rows=None):
    rows = make_rows(len(batch["y"])) if rows is None else rows
    return prepared(distiller, rows).row_weights(output, batch)


def terms(distiller, rows, output, epoch=0):
    distillation = prepared(distiller, rows)
    return distillation.terms(make_student(), output, rows.tensors, make_step(epoch))


# All of them


@pytest.mark.parametrize("inner", [Hinton(temperature=2.0), DKD(), RKD()], ids=repr)
@pytest.mark.parametrize("cls", WEIGHING)
def test_the_loss_is_the_other_methods_with_these_weights(cls, inner):
    more = torch.rand(8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    rows, output = make_rows(target_weight=more), make_output()
    weight = weights(cls(inner), output, rows.tensors)
    weighted = make_rows(target_weight=weight * more)
    (expected,) = terms(inner, weighted, output).values()
    (found,) = terms(cls(inner, lambda_kd=0.5), rows, output).values()
    torch.testing.assert_close(found, 0.5 * expected)
    assert terms(cls(inner, lambda_kd=0.0), rows, output) == {}


@pytest.mark.parametrize("cls", WEIGHING)
def test_no_gradient_flows_into_the_weights(cls):
    rows, output = make_rows(), make_output()
    assert not weights(cls(), output, rows.tensors).requires_grad


@pytest.mark.parametrize("cls", WEIGHING)
def test_the_others_schedule_is_kept(cls):
    rows, inner = make_rows(), FitNets(first_stage=0.3)
    distillation = prepared(cls(inner), rows)
    assert distillation.warmup_epochs == 3
    assert [distillation.label_weight(make_step(e)) for e in (2, 3)] == [0.0, 1.0]
    assert terms(cls(inner), rows, make_output(), epoch=3) == {}


@pytest.mark.parametrize("cls", WEIGHING)
def test_one_model_of_several_moments_is_trained(cls, bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        cls(), student="lstm1-8", earliness=[0.2, 0.5], max_epochs=3, random_state=0, device="cpu"
    ).fit(X, y)
    assert (clf.history_[cls.__name__.lower()] > 0).all()
    assert np.isfinite(clf.predict_proba(X[:, :, :20])).all()


# SampleRouting


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.sampled_from([0.1, 1.0, 5.0]))
def test_a_labelled_series_is_taught_where_the_student_is_wrong(seed, tau):
    rows, output = make_rows(seed=seed), make_output(seed=seed + 1)
    p = torch.softmax(rows.tensors["teacher_logits"], -1).numpy()
    right = output.logits.argmax(-1) == rows.tensors["y"]
    found = weights(SampleRouting(tau=tau), output, rows.tensors)
    expected = np.where(right, 0.0, np.exp(-entropy(p, axis=1) / tau))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_series_without_a_label_is_taught_even_where_the_student_agrees_with_the_teacher():
    rows = make_rows()
    batch = {**rows.tensors, "y": torch.full((8,), -1)}
    teacher = batch["teacher_logits"]
    output = SeriesOutput(make_output().features, teacher.clone())
    found = weights(SampleRouting(tau=2.0), output, batch)
    p = torch.softmax(teacher, -1).numpy()
    np.testing.assert_allclose(found, np.exp(-entropy(p, axis=1) / 2), rtol=1e-9)


def test_a_student_that_is_right_everywhere_is_left_to_its_labels():
    rows = make_rows()
    logits = torch.nn.functional.one_hot(rows.tensors["y"], 3).double().requires_grad_()
    (loss,) = terms(SampleRouting(), rows, SeriesOutput(make_output().features, logits)).values()
    assert loss == 0
    assert (torch.autograd.grad(loss, logits)[0] == 0).all()


def test_with_a_large_tau_the_wrong_series_count_alike():
    rows, output = make_rows(), make_output()
    wrong = (output.logits.argmax(-1) != rows.tensors["y"]).double()
    (found,) = terms(SampleRouting(tau=1e12), rows, output).values()
    expected = hinton_loss(output.logits, rows.tensors["teacher_logits"], 4.0, wrong)
    torch.testing.assert_close(found, expected)


def test_a_teacher_that_knows_nothing_has_the_weight_of_one_class():
    rows = make_rows()
    batch = {**rows.tensors, "y": torch.full((8,), -1), "teacher_logits": torch.zeros(8, 3)}
    found = weights(SampleRouting(), make_output(), batch)
    torch.testing.assert_close(found, torch.full_like(found, 1 / 3))


# TIP


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_weights_are_the_students_entropy_and_its_gap_to_the_teacher_where_it_is_sure(seed):
    rows, output = make_rows(seed=seed), make_output(seed=seed + 1)
    logits = (output.logits.detach(), rows.tensors["teacher_logits"])
    student, teacher = (torch.softmax(x, -1).numpy() for x in logits)
    h = entropy(student, axis=1) / np.log(3)
    d = 1 - np.exp(-entropy(teacher, student, axis=1))
    by_region = {"unsure": h, "overconfident": (1 - h) * d, "either": h + d - h * d}
    for region, expected in by_region.items():
        found = weights(TIP(region=region), output, rows.tensors)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert ((found >= 0) & (found <= 1)).all()


def test_the_four_corners():
    # Students that are sure and right, sure and wrong, and unsure with either teacher.
    sure, other, none = [60.0, 0, 0], [0, 60.0, 0], [0.0, 0, 0]
    student, teacher = (
        torch.tensor(x, dtype=torch.float64)
        for x in ([sure, sure, none, none], [sure, other, sure, none])
    )
    batch = {**make_rows(4).tensors, "teacher_logits": teacher}
    output = SeriesOutput(make_output(4).features, student)
    for region, expected in {
        "unsure": [0, 0, 1, 1],
        "overconfident": [0, 1, 0, 0],
        "either": [0, 1, 1, 1],
    }.items():
        found = weights(TIP(region=region), output, batch)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_labels_do_not_matter_to_tip():
    rows, output = make_rows(), make_output()
    batch = {**rows.tensors, "y": torch.full((8,), -1)}
    assert torch.equal(weights(TIP(), output, batch), weights(TIP(), output, rows.tensors))


# GroupReweighting


def losses(logits, y):
    return torch.nn.functional.cross_entropy(logits.detach(), y, reduction="none")


def gaps_of(output, rows):
    """Mean gap of each class, by a loop."""
    y, weight = rows.tensors["y"], rows.tensors["target_weight"]
    each = losses(output.logits, y) - losses(rows.tensors["teacher_logits"], y)
    gaps = [(each * weight)[y == c].sum() / weight[y == c].sum() for c in range(3)]
    return torch.stack(gaps)


def weighted_rows(n=60, seed=0):
    weight = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    rows = make_rows(n, seed=seed, target_weight=weight)
    # A teacher that is mostly right.
    rows.tensors["teacher_logits"] += 5 * torch.nn.functional.one_hot(rows.tensors["y"], 3)
    return rows


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_classes_count_by_the_running_gap_of_the_epochs_before(momentum):
    rows = weighted_rows()
    y, size = rows.tensors["y"], rows.tensors["target_weight"]
    distillation = prepared(GroupReweighting(momentum=momentum), rows)
    running, student = None, make_student()
    for epoch in range(4):
        distillation.start_epoch(student, rows, make_step(epoch))
        output = make_output(60, seed=epoch)
        found = torch.cat(
            [
                distillation.row_weights(
                    SeriesOutput(output.features[i], output.logits[i]), rows.select(i)
                )
                for i in torch.arange(60).split(25)
            ]
        )
        if running is None:
            assert (found == 1).all()
        else:
            torch.testing.assert_close(found / found[0], (running / running[y[0]])[y])
        # On average over the series, the weights of one change nothing.
        torch.testing.assert_close((size * found).sum(), size.sum())
        new = gaps_of(output, rows)
        running = new if running is None else momentum * running + (1 - momentum) * new
        assert (running > 0).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-2, 2), min_size=2, max_size=5), SEEDS)
def test_weights_are_those_of_positive_gaps_and_one_on_average(gaps, seed):
    shares = torch.rand(len(gaps), generator=torch.Generator().manual_seed(seed)).double() + 0.1
    shares, gaps = shares / shares.sum(), torch.tensor(gaps, dtype=torch.float64)
    weights = weights_of_gaps(gaps, shares)
    assert (weights >= 0).all()
    assert (shares * weights).sum().item() == pytest.approx(1)
    if gaps.max() > 1e-6:
        assert (weights[gaps <= 0] == 0).all()
        torch.testing.assert_close(weights_of_gaps(3 * gaps, shares), weights)


def test_classes_count_alike_where_the_student_is_nowhere_behind():
    shares = torch.tensor([0.2, 0.8])
    assert (weights_of_gaps(torch.tensor([-1.0, 0.0]), shares) == 1).all()
    rows, student = weighted_rows(), make_student()
    distillation = prepared(GroupReweighting(), rows)
    better = torch.nn.functional.one_hot(rows.tensors["y"], 3) * 30.0
    output = SeriesOutput(make_output(60).features, better.double())
    distillation.row_weights(output, rows.tensors)
    distillation.start_epoch(student, rows, make_step(1))
    assert (distillation.class_weights == 1).all()


def test_a_class_that_an_epoch_does_not_show_keeps_its_gap():
    rows = weighted_rows()
    distillation = prepared(GroupReweighting(momentum=0.0), rows)
    distillation.row_weights(make_output(60), rows.tensors)
    distillation.start_epoch(make_student(), rows, make_step(1))
    before = distillation.gaps.clone()
    index = (rows.tensors["y"] == 1).nonzero()[:, 0]
    output = make_output(len(index), seed=4)
    distillation.row_weights(output, rows.select(index))
    distillation.start_epoch(make_student(), rows, make_step(2))
    assert torch.equal(distillation.gaps[[0, 2]], before[[0, 2]])
    assert distillation.gaps[1] != before[1]


def test_an_unlabelled_series_counts_in_the_teachers_class():
    rows = make_rows()
    teacher = make_rows()
    rows.tensors["y"] = torch.full((8,), -1)
    teacher.tensors["y"] = teacher.tensors["teacher_logits"].argmax(-1)
    found = []
    for one in (rows, teacher):
        distillation = prepared(GroupReweighting(), one)
        distillation.row_weights(make_output(), one.tensors)
        distillation.start_epoch(make_student(), one, make_step(1))
        found.append(distillation.class_weights)
    assert torch.equal(*found)
