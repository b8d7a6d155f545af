"""Distillers whose targets move up in stages of the training."""

import numpy as np
import pytest
import torch
from contexts import make_context, make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skgdpd import DistilledPrefixClassifier, TrainingOptions
from skgdpd.distillers import (
    AT,
    PACED,
    RKD,
    CheckpointCurriculum,
    Hinton,
    RecursiveAnchoring,
    SelfTeacher,
    TeKAP,
)
from skgdpd.distillers.curriculum import anchored, stage_ends
from skgdpd.distillers.rows import kl_divergence

SMALL = {"student": "lstm1-8", "random_state": 0, "device": "cpu"}


class Noting(CheckpointCurriculum):
    """Notes what it is given."""

    contexts = []

    def prepare(self, context):
        self.contexts.append(context)
        return super().prepare(context)


def noted(X, y, **params):
    """The context of a fit, and the classifier."""
    Noting.contexts.clear()
    training = TrainingOptions(lr_schedule="constant")
    clf = DistilledPrefixClassifier(Noting(n_states=2), training=training, **SMALL, **params)
    clf.fit(X, y)
    return Noting.contexts[0], clf


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 80))
def test_stages_are_equal_up_to_rounding_and_end_with_the_training(n_stages, max_epochs):
    ends = stage_ends(n_stages, max_epochs)
    assert len(ends) == min(n_stages, max_epochs)
    assert ends[-1] == max_epochs
    lengths = np.diff([0, *ends])
    assert lengths.min() > 0
    assert np.ptp(lengths) <= 2


def distillation_of(rows, earlier, inner=None):
    context = make_context(rows)
    context.earlier_outputs.update(earlier)
    return CheckpointCurriculum(inner).prepare(context).double()


@pytest.mark.parametrize("inner", [None, RKD()], ids=str)
def test_each_stage_is_taught_by_the_state_of_its_end(inner):
    rows, output = make_rows(), make_output()
    others = {end: make_rows(seed=end).tensors for end in (3, 7)}
    earlier = {k: (t["teacher_features"], t["teacher_logits"]) for k, t in others.items()}
    distillation = distillation_of(rows, earlier, inner)
    teachers = {0: 3, 2: 3, 3: 7, 6: 7, 7: None, 9: None}
    for epoch, end in teachers.items():
        step = make_step(epoch)
        distillation.start_epoch(make_student(), rows, step)
        (found,) = distillation.terms(make_student(), output, rows.tensors, step).values()
        outputs = rows.tensors if end is None else others[end]
        names = ("teacher_features", "teacher_logits")
        batch = {**rows.tensors, **{name: outputs[name] for name in names}}
        expected = (Hinton() if inner is None else inner).loss(output, batch)
        torch.testing.assert_close(found, expected)


def test_rows_of_a_batch_have_their_own_targets():
    rows, other, output = make_rows(), make_rows(seed=3).tensors, make_output(3)
    earlier = {5: (other["teacher_features"], other["teacher_logits"])}
    distillation = distillation_of(rows, earlier)
    distillation.start_epoch(make_student(), rows, make_step())
    index = torch.tensor([6, 1, 4])
    (found,) = distillation.terms(make_student(), output, rows.select(index), make_step()).values()
    expected = Hinton().loss(output, {"teacher_logits": other["teacher_logits"][index]})
    torch.testing.assert_close(found, expected)


def test_a_stream_is_taught_by_the_fitted_teacher():
    rows, other = make_rows(), make_rows(seed=3).tensors
    earlier = {5: (other["teacher_features"], other["teacher_logits"])}
    distillation = distillation_of(rows, earlier)
    distillation.calibrating = False
    chunk, output = make_rows(20, seed=1), make_output(20)
    distillation.start_epoch(make_student(), chunk, make_step(0))
    (found,) = distillation.terms(make_student(), output, chunk.tensors, make_step()).values()
    torch.testing.assert_close(found, Hinton().loss(output, chunk.tensors))


def test_states_are_those_of_a_teacher_that_was_trained_as_long(bumps):
    X, y = bumps
    long, clf = noted(X, y, max_epochs=4)
    (end,) = long.earlier_outputs
    assert end == 2
    short, _ = noted(X, y, max_epochs=2)
    features, logits = long.earlier_outputs[2]
    np.testing.assert_array_equal(logits, short.rows.tensors["teacher_logits"])
    np.testing.assert_array_equal(features, short.rows.tensors["teacher_features"])
    assert not np.array_equal(logits, long.rows.tensors["teacher_logits"])
    # The fitted teacher is what it is without the states.
    plain = DistilledPrefixClassifier(
        Hinton(), training=TrainingOptions(lr_schedule="constant"), max_epochs=4, **SMALL
    ).fit(X, y)
    np.testing.assert_array_equal(clf.teacher_.embed(X), plain.teacher_.embed(X))
    assert clf.distillation_._earlier == {}


def test_averaged_weights_are_states_too(bumps):
    X, y = bumps
    options = TrainingOptions(weight_averaging=2.0, lr_schedule="constant")
    Noting.contexts.clear()
    for max_epochs in (4, 2):
        DistilledPrefixClassifier(
            Noting(n_states=2), max_epochs=max_epochs, training=options, **SMALL
        ).fit(X, y)
    long, short = Noting.contexts
    np.testing.assert_array_equal(long.earlier_outputs[2][1], short.rows.tensors["teacher_logits"])


def test_a_cached_teacher_brings_its_states(bumps, tmp_path):
    X, y = bumps
    params = {"max_epochs": 4, "memory": str(tmp_path / "cache")}
    plain = DistilledPrefixClassifier(Hinton(), **params, **SMALL).fit(X, y)
    first, again = (
        DistilledPrefixClassifier(CheckpointCurriculum(), **params, **SMALL).fit(X, y)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("teacher", [LogisticRegression(), ["fcn", "lstm1-8"]], ids=str)
@pytest.mark.parametrize("around", [lambda d: d, PACED], ids=["plain", "PACED"])
def test_a_teacher_without_states_is_refused_by_name(bumps, teacher, around):
    clf = DistilledPrefixClassifier(around(CheckpointCurriculum()), teacher=teacher, **SMALL)
    with pytest.raises(ValueError, match=r"CheckpointCurriculum\(.*states.*teacher=.*'fcn'"):
        clf.fit(*bumps)


@pytest.mark.parametrize(
    ("distiller", "text"),
    [
        (CheckpointCurriculum(AT()), r"activations over time.*AT\(\)"),
        (TeKAP(CheckpointCurriculum()), "put TeKAP inside"),
        (TeKAP(PACED(CheckpointCurriculum())), "put TeKAP inside"),
        (RecursiveAnchoring(CheckpointCurriculum()), "put RecursiveAnchoring inside"),
        (CheckpointCurriculum(CheckpointCurriculum()), "put CheckpointCurriculum inside"),
    ],
    ids=str,
)
def test_what_would_have_no_effect_is_refused(bumps, distiller, text):
    with pytest.raises(ValueError, match=text):
        DistilledPrefixClassifier(distiller, **SMALL).fit(*bumps)


# Generations

LOGITS = st.lists(st.floats(-8, 8), min_size=3, max_size=3)


@settings(deadline=None, max_examples=40)
@given(LOGITS, LOGITS, st.floats(0, 1))
def test_targets_are_a_mixture_that_is_nearer_to_the_teacher(teacher, own, share):
    teacher, own = (torch.tensor([z], dtype=torch.float64) for z in (teacher, own))
    shares = torch.tensor([share, 1 - share], dtype=torch.float64)
    targets = anchored(teacher, own, shares.log())
    t, p = torch.softmax(teacher, -1), torch.softmax(own, -1)
    torch.testing.assert_close(targets.exp(), share * t + (1 - share) * p)
    moved = kl_divergence(t.log(), targets)
    assert moved <= (1 - share) * kl_divergence(t.log(), p.log()) + 1e-9


def test_each_generation_learns_from_the_one_before_and_from_the_teacher():
    rows, student = make_rows(), make_student()
    distillation = prepared(RecursiveAnchoring(n_generations=2, anchor=0.25), rows)
    output = make_output()

    def found(epoch):
        step = make_step(epoch)
        distillation.start_epoch(student, rows, step)
        return distillation.terms(student, output, rows.tensors, step)["recursiveanchoring"]

    for epoch in range(5):
        torch.testing.assert_close(found(epoch), Hinton().loss(output, rows.tensors))
    own = student(rows.tensors["x"]).logits.detach()
    mixture = 0.25 * torch.softmax(rows.tensors["teacher_logits"], -1)
    mixture = mixture + 0.75 * torch.softmax(own, -1)
    expected = Hinton().loss(output, {"teacher_logits": mixture.log()})
    torch.testing.assert_close(found(5), expected)
    # And they stay, whatever the student learns later.
    with torch.no_grad():
        student.head.weight.mul_(2)
    torch.testing.assert_close(found(6), expected)
    assert student.training


def test_without_an_anchor_the_second_generation_is_its_own_teacher():
    rows, student, output = make_rows(), make_student(), make_output()
    losses = []
    for distiller in (
        RecursiveAnchoring(Hinton(), n_generations=2, anchor=0.0),
        SelfTeacher(first_stage=0.5),
    ):
        distillation = prepared(distiller, rows)
        distillation.start_epoch(student, rows, make_step(5))
        losses += distillation.terms(student, output, rows.tensors, make_step(5)).values()
    torch.testing.assert_close(*losses)


def test_in_a_stream_the_student_before_the_chunk_is_the_predecessor():
    student, chunk, output = make_student(), make_rows(20, seed=1), make_output(20)
    distillation = prepared(RecursiveAnchoring(n_generations=2, anchor=0.0), make_rows())
    distillation.start_epoch(student, make_rows(), make_step(5))
    distillation.calibrating = False
    distillation.start_epoch(student, chunk, make_step(10))
    (found,) = distillation.terms(student, output, chunk.tensors, make_step(10)).values()
    own = student(chunk.tensors["x"]).logits
    torch.testing.assert_close(found, Hinton().loss(output, {"teacher_logits": own}))
