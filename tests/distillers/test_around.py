"""Distillers around another: what they add, and what they come down to without it."""

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier, GeneratorOptions, load
from skgdpd._series.panel import read_panel
from skgdpd.distillers import (
    DKD,
    GDPD,
    PACED,
    RKD,
    VID,
    CheckpointCurriculum,
    DiffKD,
    EarlinessCurriculum,
    FitNets,
    GenDD,
    Hinton,
    PrivateTargets,
    RecursiveAnchoring,
    TeKAP,
)
from skgdpd.distillers.around import frontier_weight
from skgdpd.distillers.generator import FeatureGenerator
from skgdpd.distillers.logits import hinton_loss

MEASURED = DiffusionFeaturePrior(denoiser="gmm", encoder="pca", degradation="linear-gaussian")
POWERS = st.sampled_from([0.0, 0.5, 1.0, 2.0])
INNER = [None, DKD(), RKD(), VID(), FitNets()]
AROUND = [
    TeKAP,
    PACED,
    CheckpointCurriculum,
    RecursiveAnchoring,
    PrivateTargets,
    EarlinessCurriculum,
]


def terms(distiller, rows, output=None, epoch=0, seed=0):
    output = make_output() if output is None else output
    distillation = prepared(distiller, rows)
    return distillation.terms(make_student(), output, rows.tensors, make_step(epoch, seed))


@pytest.mark.parametrize("inner", INNER, ids=str)
@pytest.mark.parametrize(
    "around",
    [
        lambda inner: TeKAP(inner, n_teachers=0),
        lambda inner: TeKAP(inner, noise=0.0),
        lambda inner: PACED(inner, alpha=0.0, beta=0.0),
        lambda inner: CheckpointCurriculum(inner, n_states=1),
        lambda inner: RecursiveAnchoring(inner, n_generations=1),
        lambda inner: RecursiveAnchoring(inner, anchor=1.0),
    ],
    ids=["no copies", "no noise", "no powers", "one state", "one generation", "all anchor"],
)
def test_without_what_it_adds_the_loss_is_the_other_methods(around, inner):
    rows = make_rows()
    (expected,) = terms(Hinton() if inner is None else inner, rows).values()
    (found,) = terms(around(inner), rows).values()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cls", AROUND)
def test_the_others_schedule_is_kept(cls):
    rows = make_rows()
    distillation = prepared(cls(FitNets(first_stage=0.3)), rows)
    assert distillation.warmup_epochs == 3
    assert [distillation.label_weight(make_step(e)) for e in (2, 3)] == [0.0, 1.0]
    assert terms(cls(FitNets(first_stage=0.3)), rows, epoch=3) == {}


@pytest.mark.parametrize("cls", AROUND)
def test_the_others_parameters_are_trained_searched_and_checked(cls, bumps):
    assert len(list(prepared(cls(VID()), make_rows()).parameters())) == 5
    clf = DistilledPrefixClassifier(cls(Hinton()), student="lstm1-8", max_epochs=2)
    clf.set_params(distiller__distiller__temperature=-2.0)
    with pytest.raises(ValueError, match=r"temperature.*-2\.0"):
        clf.fit(*bumps)


@pytest.mark.parametrize("cls", AROUND)
def test_the_others_predictor_predicts(cls, bumps, tmp_path):
    X, y = bumps
    inner = GenDD(generator=GeneratorOptions(hidden=8, max_epochs=3), n_sampling_steps=2)
    small = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
    clf = DistilledPrefixClassifier(cls(inner), **small).fit(X, y)
    assert isinstance(clf.predictor_, FeatureGenerator)
    assert clf.predictor_.history.n_epochs == 3
    assert "generator" in clf.fit_seconds_
    outputs = clf.network_.run_panel(read_panel(X))
    expected = clf.predictor_.probabilities(*outputs, torch.device("cpu"))
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    clf.save(tmp_path / "model.zip")
    np.testing.assert_array_equal(load(tmp_path / "model.zip").predict_proba(X), expected)
    clf.set_params(distiller__distiller__deploy="student_head").fit(X, y)
    assert clf.predictor_ is None
    assert "generator" not in clf.fit_seconds_


def test_the_given_distiller_is_left_alone():
    inner = Hinton()
    distillation = prepared(TeKAP(inner), make_rows())
    assert distillation.inner.distiller is not inner


@pytest.mark.parametrize("cls", AROUND)
def test_a_stream_is_not_taken_for_the_first_rows(cls):
    rows = make_rows()
    distillation = prepared(cls(GDPD(MEASURED, warmup_epochs=0)), rows)
    assert distillation.calibrating
    distillation.start_epoch(make_student(), rows, make_step())
    seen = distillation.inner.seen.clone()
    distillation.calibrating = False
    assert not distillation.inner.calibrating
    chunk, step = make_rows(20, seed=1), make_step(1)
    distillation.start_epoch(make_student(), chunk, step)
    distillation.terms(make_student(), make_output(20), chunk.tensors, step)
    assert torch.equal(distillation.inner.seen, seen)


# TeKAP


def test_copies_are_the_teacher_and_noise_of_its_spread():
    rows = make_rows(4000, n_teacher=3)
    distillation = prepared(TeKAP(noise=0.25), rows)
    changed = distillation._perturbed(rows.tensors, make_step())
    for name in ("teacher_features", "teacher_logits"):
        known = rows.tensors[name]
        noise = (changed[name] - 0.75 * known) / 0.25
        np.testing.assert_allclose(noise.std(0), known.std(0), rtol=0.1)
        np.testing.assert_allclose(noise.mean(0), 0, atol=0.15)
    assert torch.equal(changed["y"], rows.tensors["y"])


def test_noise_comes_from_the_steps_generator():
    rows = make_rows()
    state = torch.get_rng_state()
    first, again, other = (terms(TeKAP(), rows, seed=seed)["tekap"] for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert torch.equal(torch.get_rng_state(), state)


# PACED


@settings(deadline=None, max_examples=20)
@given(POWERS, POWERS)
def test_the_weight_is_one_at_the_frontier_and_less_elsewhere(alpha, beta):
    p = torch.linspace(0, 1, 101, dtype=torch.float64)
    weight = frontier_weight(p, alpha, beta)
    assert (weight >= 0).all()
    assert (weight <= 1 + 1e-12).all()
    if alpha + beta:
        top = torch.tensor([alpha / (alpha + beta)], dtype=torch.float64)
        torch.testing.assert_close(frontier_weight(top, alpha, beta), torch.ones_like(top))
    else:
        assert (weight == 1).all()
    if alpha:
        assert weight[0] == 0
    if beta:
        assert weight[-1] == 0


def test_rows_count_by_the_last_probability_without_momentum():
    rows, output = make_rows(), make_output()
    found = terms(PACED(momentum=0.0), rows, output)["paced"]
    p = torch.softmax(output.logits, -1)[range(8), rows.tensors["y"]]
    expected = hinton_loss(
        output.logits, rows.tensors["teacher_logits"], 4.0, (4 * p * (1 - p)).detach()
    )
    torch.testing.assert_close(found, expected)


def test_competence_is_a_running_mean_of_the_rows_that_were_seen():
    rows, output = make_rows(), make_output(4)
    distillation = prepared(PACED(momentum=0.5), rows)
    part = rows.select(torch.tensor([1, 3, 5, 7]))
    p = torch.softmax(output.logits.detach(), -1)[range(4), part["y"]]
    expected = torch.full((8,), 1 / 3, dtype=torch.float64)
    for _ in range(3):
        distillation.terms(make_student(), output, part, make_step())
        expected[1::2] = (expected[1::2] + p) / 2
        torch.testing.assert_close(distillation.competence, expected)


def test_series_of_a_stream_count_by_their_one_probability():
    distillation = prepared(PACED(momentum=0.9), make_rows())
    distillation.calibrating = False
    chunk, output = make_rows(20, seed=1), make_output(20)
    (found,) = distillation.terms(make_student(), output, chunk.tensors, make_step()).values()
    (expected,) = terms(PACED(momentum=0.0), chunk, output).values()
    torch.testing.assert_close(found, expected)
    assert (distillation.competence == 1 / 3).all()


def test_without_a_label_competence_is_in_the_teachers_choice():
    rows, output = make_rows(), make_output()
    unlabelled = make_rows()
    unlabelled.tensors["y"] = torch.full((8,), -1)
    rows.tensors["y"] = rows.tensors["teacher_logits"].argmax(-1)
    torch.testing.assert_close(
        terms(PACED(), unlabelled, output)["paced"], terms(PACED(), rows, output)["paced"]
    )


# DiffKD

PRIOR = DiffusionFeaturePrior(denoiser="gmm", encoder="pca", degradation="learned-alpha")


def test_diffkd_is_the_squared_error_of_draws_and_zero_where_they_are_the_codes():
    rows = make_rows()
    weight = torch.arange(8, dtype=torch.float64)
    distillation = prepared(DiffKD(PRIOR), rows)
    codes = distillation.codes
    draws = torch.randn(2, *codes.shape, dtype=torch.float64)
    batch = {**rows.tensors, "target_weight": weight}
    found = distillation.compare(make_student(), draws, batch)
    expected = ((draws - codes) ** 2 * weight[:, None]).mean()
    torch.testing.assert_close(found, expected)
    equal = distillation.compare(make_student(), codes.repeat(2, 1, 1), batch)
    assert equal == 0


def test_diffkd_encodes_the_series_of_a_stream():
    distillation = prepared(DiffKD(PRIOR), make_rows())
    distillation.calibrating = False
    chunk = make_rows(20, seed=1)
    codes = torch.as_tensor(distillation.prior.encode(chunk.tensors["teacher_features"]))
    draws = codes.to(distillation.codes)[None]
    assert distillation.compare(make_student(), draws, chunk.tensors) == 0


def test_diffkd_trains_no_prior_and_its_gradients_reach_the_features():
    rows, output = make_rows(), make_output()
    distillation = prepared(DiffKD(PRIOR, lambda_kd=0.5), rows)
    found = distillation.terms(make_student(), output, rows.tensors, make_step())
    assert set(found) == {"diffkd"}
    assert torch.autograd.grad(found["diffkd"], output.features)[0].abs().max() > 0
    names = {name for name, _ in distillation.named_parameters()}
    assert all(name.startswith("degradation.") for name in names)
