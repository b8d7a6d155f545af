"""GDPD whose draws are classified by the teacher's head."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contexts import make_context, make_output, make_rows, make_step, make_student, prepared

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GDPD

WHOLE = DiffusionFeaturePrior(denoiser="gmm", encoder="identity", degradation="linear-gaussian")
LEARNED = DiffusionFeaturePrior(denoiser="gmm", encoder="pca", degradation="learned-alpha")


def by_teacher(prior=LEARNED, **settings):
    return GDPD(prior, warmup_epochs=0, classified_by="teacher", **settings)


def test_codes_of_the_teachers_features_have_the_teachers_own_loss():
    rows = make_rows(32)
    distillation = prepared(by_teacher(WHOLE), rows)
    features, head = rows.tensors["teacher_features"], distillation.head
    own = F.cross_entropy(F.linear(features, head.weight, head.bias), rows.tensors["y"])
    # Standardised features lose nothing, so that decoded codes are the features.
    codes = torch.as_tensor(distillation.prior.encode(features))
    found = distillation.compare(make_student(), codes[None], rows.tensors)
    torch.testing.assert_close(found, own)


def test_the_students_head_gets_no_gradient_and_its_features_do():
    rows, output = make_rows(), make_output()
    student = make_student()
    distillation = prepared(by_teacher(), rows)
    terms = distillation.terms(student, output, rows.tensors, make_step())
    assert set(terms) == {"gdpd"}
    terms["gdpd"].backward()
    assert output.features.grad.abs().max() > 0
    assert all(p.grad is None for p in student.head.parameters())
    assert not any(p.requires_grad for p in distillation.head.parameters())


def test_soft_targets_that_are_labels_are_labels():
    plain = make_rows()
    y = plain.tensors["y"]
    soft = make_rows(target=torch.eye(3, dtype=torch.float64)[y])
    losses = [
        prepared(by_teacher(n_posterior_samples=2), rows).terms(
            make_student(), make_output(), rows.tensors, make_step()
        )["gdpd"]
        for rows in (plain, soft)
    ]
    torch.testing.assert_close(*losses)


def test_a_context_without_a_head_is_refused_before_the_prior_is_fitted(monkeypatch):
    monkeypatch.setattr(DiffusionFeaturePrior, "fit", None)
    context = dataclasses.replace(make_context(make_rows()), teacher_head=None)
    with pytest.raises(ValueError, match=r"classified_by='teacher'.*allowed is 'student'"):
        by_teacher().prepare(context)


def test_a_classifier_learns_with_it_and_repeats_itself():
    X, y = make_bumps(n_samples=40, random_state=0)
    pool, _ = make_bumps(n_samples=10, random_state=1)
    prior = DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha", max_epochs=3)
    clf = DistilledPrefixClassifier(
        GDPD(prior, classified_by="teacher"), student="fcn24", max_epochs=4, random_state=0
    )
    found = [clf.fit(X, y, pool).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert np.isfinite(clf.history_["gdpd"][2:]).all()
