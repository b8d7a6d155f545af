"""The trust region: where its anchor comes from, and what it adds to another distiller."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from scipy.stats import entropy

from skgdpd import DistilledPrefixClassifier
from skgdpd.distillers import DKD, FitNets, Hinton, TrustRegion
from skgdpd.distillers.own_outputs import own_outputs
from skgdpd.nets.prefixes import Prefixes
from skgdpd.training.batches import MomentRows

SMALL = {"student": "lstm1-8", "random_state": 0, "device": "cpu"}


def moved(student):
    """Change a student in place."""
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.3 * torch.arange(parameter.numel()).view_as(parameter).cos())
    return student


def divergence(was, now):
    p, q = (torch.softmax(x.detach(), -1).numpy() for x in (was, now))
    return torch.as_tensor(entropy(p, q, axis=1))


@pytest.mark.parametrize("inner", [Hinton(), DKD()], ids=repr)
def test_the_divergence_from_the_anchor_is_added_after_the_first_stage(inner):
    weight = torch.rand(8, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    rows, student = make_rows(target_weight=weight), make_student()
    distillation = prepared(TrustRegion(inner, 0.5, beta=3.0, first_stage=0.3), rows)
    assert distillation.warmup_epochs == 3
    was = student.read(rows.tensors).logits
    for epoch in range(6):
        distillation.start_epoch(student, rows, make_step(epoch))
        moved(student)
        output = student.read(rows.tensors)
        (found,) = distillation.terms(student, output, rows.tensors, make_step(epoch)).values()
        plain = prepared(inner, rows).terms(student, output, rows.tensors, make_step(epoch))
        (expected,) = (0.5 * loss for loss in plain.values())
        if epoch < 3:
            was = output.logits
        else:
            expected = expected + 3 * (weight * divergence(was, output.logits)).mean()
        torch.testing.assert_close(found, expected)


def test_a_student_at_its_anchor_is_pulled_nowhere():
    rows, student = make_rows(), make_student()
    distillation = prepared(TrustRegion(lambda_kd=0.0), rows)
    distillation.start_epoch(student, rows, make_step(5))
    output = student.read(rows.tensors)
    loss = distillation.terms(student, output, rows.tensors, make_step(5))["trustregion"]
    assert abs(loss.item()) < 1e-12
    gradients = torch.autograd.grad(loss, list(student.parameters()))
    assert all((g.abs() < 1e-12).all() for g in gradients)


def test_gradients_after_the_first_stage_are_those_of_finite_differences():
    rows, output = make_rows(4), make_output(4)
    distillation = prepared(TrustRegion(), rows)
    distillation.start_epoch(make_student(), rows, make_step(5))

    def loss(logits):
        changed = output._replace(logits=logits)
        return distillation.terms(None, changed, rows.tensors, make_step(5))["trustregion"]

    assert torch.autograd.gradcheck(loss, output.logits)


def test_without_beta_it_is_the_other_distiller():
    rows, student, output = make_rows(), make_student(), make_output()
    distillation = prepared(TrustRegion(DKD(), beta=0.0), rows)
    distillation.start_epoch(student, rows, make_step(5))
    (found,) = distillation.terms(student, output, rows.tensors, make_step(5)).values()
    (expected,) = prepared(DKD(), rows).terms(student, output, rows.tensors, make_step(5)).values()
    assert found == expected


def test_the_anchor_is_taken_after_the_others_warmup():
    distillation = prepared(TrustRegion(FitNets(first_stage=0.7), first_stage=0.3), make_rows())
    assert distillation.warmup_epochs == 7
    # Its terms end there, and the trust region begins.
    rows, student = make_rows(), make_student()
    distillation.start_epoch(student, rows, make_step(7))
    terms = distillation.terms(student, make_output(), rows.tensors, make_step(7))
    assert terms["trustregion"] > 0


@pytest.mark.parametrize(("max_epochs", "stage"), [(1, 0), (2, 1), (10, 1), (300, 3)])
def test_one_epoch_at_least_is_before_the_anchor_and_one_after(max_epochs, stage):
    distillation = prepared(TrustRegion(first_stage=0.01), make_rows(), max_epochs)
    assert distillation.warmup_epochs == stage
    late = prepared(TrustRegion(first_stage=0.99), make_rows(), max_epochs)
    assert late.warmup_epochs <= max_epochs - 1


def test_each_chunk_of_a_stream_has_the_student_before_it_as_anchor():
    rows, student = make_rows(), make_student()
    distillation = prepared(TrustRegion(lambda_kd=0.0), rows)
    distillation.start_epoch(student, rows, make_step(5))
    kept = distillation.anchor.clone()
    distillation.calibrating = False
    for n in (20, 3):
        chunk = make_rows(n, seed=n)
        distillation.start_epoch(student, chunk, make_step(10))
        was = student.read(chunk.tensors).logits
        moved(student)
        output = student.read(chunk.tensors)
        (found,) = distillation.terms(student, output, chunk.tensors, make_step(10)).values()
        expected = divergence(was, output.logits).mean().item()
        assert found.item() == pytest.approx(expected)
    assert torch.equal(distillation.anchor, kept)


def test_the_outputs_of_all_rows_are_those_of_prediction_and_change_no_mode():
    student = make_student()
    student.backbone.append(torch.nn.Dropout(0.5))
    student.train()
    rows = make_rows(2500)
    output = own_outputs(student, rows)
    assert student.training
    student.eval()
    expected = student.read(rows.tensors)
    torch.testing.assert_close(output.logits, expected.logits)
    torch.testing.assert_close(output.features, expected.features)
    assert not output.logits.requires_grad


def test_each_moment_has_its_own_anchor():
    tensors = {k: v for k, v in make_rows().tensors.items() if k not in ("x", "index")}
    x = make_rows().tensors["x"]
    rows = MomentRows(Prefixes((3, 5), (0.5 * x, x), None, False), **tensors)
    student = make_student()
    distillation = prepared(TrustRegion(lambda_kd=0.0), rows)
    distillation.start_epoch(student, rows, make_step(5))
    before = [student.read(rows.select(torch.arange(8), m)).logits for m in (0, 1)]
    moved(student)
    for m, index in ((0, torch.tensor([3, 1])), (1, torch.arange(8))):
        batch = rows.select(index, m)
        output = student.read(batch)
        (found,) = distillation.terms(student, output, batch, make_step(5)).values()
        expected = divergence(before[m][index], output.logits).mean().item()
        assert found.item() == pytest.approx(expected)


def test_one_model_of_several_moments_is_trained(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        TrustRegion(), earliness=[0.2, 0.5], max_epochs=4, **SMALL
    ).fit(X, y)
    assert (clf.history_["trustregion"] > 0).all()
    assert np.isfinite(clf.predict_proba(X[:, :, :20])).all()


def test_a_strong_region_keeps_the_student_near_its_anchor(bumps):
    X, y = bumps

    def trained(beta):
        distiller = TrustRegion(lambda_kd=0.0, beta=beta)
        clf = DistilledPrefixClassifier(distiller, max_epochs=8, lr=0.02, **SMALL).fit(X, y)
        assert (clf.history_["trustregion"][:4] == 0).all()
        return clf.distillation_.anchor, clf.history_["trustregion"][-1] / beta

    free, bound = trained(0.01), trained(100.0)
    # Both are one training until the anchor is taken.
    assert torch.equal(free[0], bound[0])
    assert bound[1] < free[1] / 10
