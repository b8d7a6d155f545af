"""What holds for every distiller."""

import re
import warnings

import numpy as np
import pytest
import torch
from contexts import make_output, make_rows, make_step, prepared, student_of
from sklearn.base import clone

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier, distillers, load
from skgdpd.benchmarking import kinds
from skgdpd.distillers import SeriesObjective
from skgdpd.nets.student import SeriesOutput

PRIOR = DiffusionFeaturePrior(denoiser="gmm", encoder="pca", degradation="learned-alpha")

WITH_PRIOR = {"gdpd", "diffkd"}
WITHOUT_PAIRS = {"distributionmatching"}
"""Which have a prior, and match no series with itself."""
ASLEEP = {"gendd"}
"""Whose network starts with zeros, so that nothing is learned from it in the first step."""
DISTILLERS = {
    name: kind.make(PRIOR, warmup_epochs=0) if name in WITH_PRIOR else kind.make()
    for name, kind in kinds.DISTILLERS.items()
    if name not in WITHOUT_PAIRS
} | {name: kinds.DISTILLERS[name].make(PRIOR) for name in WITHOUT_PAIRS}
# From the first epoch: its guesses are then those of a student that has learned nothing.
DISTILLERS["selfteacher"].set_params(first_stage=0.01)
PURE = sorted(set(DISTILLERS) - WITH_PRIOR - WITHOUT_PAIRS - ASLEEP)
"""Whose loss is a function of the batch, but for noise from the step's generator."""

SHIFT_BLIND = ["hinton", "dkd", "dist", "ttm", "wttm"]


def with_batch(rows, **changes):
    return {**rows.tensors, **changes}


def loss_of(distillation, output, batch, step=None):
    step = make_step() if step is None else step
    student = student_of(distillation, output.logits.shape[1])
    terms = distillation.terms(student, output, batch, step)
    assert terms
    return sum(terms.values())


def gradients(distillation, output, batch):
    loss = loss_of(distillation, output, batch)
    found = torch.autograd.grad(loss, output, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(output, found, strict=True)]


@pytest.fixture(params=PURE)
def name(request):
    return request.param


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 8])
def test_the_loss_and_its_gradients_are_finite_and_something_is_learned(name, n, n_classes):
    rows = make_rows(n, n_classes)
    output = make_output(n, n_classes)
    found = gradients(prepared(DISTILLERS[name], rows), output, rows.tensors)
    assert all(torch.isfinite(g).all() for g in found)
    if n == 8:
        assert any((g.abs() > 1e-9).any() for g in found)


def test_gradients_are_those_of_finite_differences(name):
    if name in ("paced", "tip"):
        pytest.skip("its weights follow the logits, and are constants for the gradient")
    rows = make_rows(4)
    distillation = prepared(DISTILLERS[name], rows)

    def loss(*parts):
        return loss_of(distillation, SeriesOutput(*parts), rows.tensors)

    assert torch.autograd.gradcheck(loss, tuple(make_output(4)))


def test_the_teacher_gets_no_gradient(name):
    rows = make_rows()
    distillation = prepared(DISTILLERS[name], rows)
    batch = dict(rows.tensors)
    known = ("teacher_features", "teacher_logits", "teacher_attention", "teacher_steps")
    for key in known:
        batch[key] = batch[key].clone().requires_grad_()
    loss_of(distillation, make_output(), batch).backward()
    assert all(batch[key].grad is None for key in known)


def test_identical_rows_have_finite_gradients(name):
    rows = make_rows()
    output = make_output()
    same = SeriesOutput(*(x.detach()[[0] * 8].requires_grad_() for x in output))
    for batch in (
        dict(rows.tensors),
        {k: v[:1].expand(v.shape).clone() for k, v in rows.tensors.items() if k != "index"}
        | {"index": rows.tensors["index"]},
    ):
        for some in (same, output):
            found = gradients(prepared(DISTILLERS[name], rows), some, batch)
            assert all(torch.isfinite(g).all() for g in found)
            assert all(g.abs().max() < 1e6 for g in found)


def test_features_and_logits_of_zero_have_finite_gradients(name):
    rows = make_rows()
    zero = SeriesOutput(*(torch.zeros_like(x).requires_grad_() for x in make_output()))
    found = gradients(prepared(DISTILLERS[name], rows), zero, rows.tensors)
    assert all(torch.isfinite(g).all() for g in found)


def test_a_class_that_is_absent_from_the_batch_is_no_problem(name):
    rows = make_rows()
    batch = with_batch(rows, y=torch.zeros(8, dtype=torch.long))
    found = gradients(prepared(DISTILLERS[name], rows), make_output(), batch)
    assert all(torch.isfinite(g).all() for g in found)


def test_the_order_of_rows_does_not_matter(name):
    if name == "tekap":
        pytest.skip("its noise comes row by row")
    weight = torch.rand(8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.5
    rows = make_rows(target_weight=weight)
    output, order = make_output(), torch.randperm(8, generator=torch.Generator().manual_seed(3))
    shuffled = SeriesOutput(*(part[order] for part in output))
    torch.testing.assert_close(
        loss_of(prepared(DISTILLERS[name], rows), shuffled, rows.select(order)),
        loss_of(prepared(DISTILLERS[name], rows), output, rows.tensors),
    )


def test_weights_of_one_are_no_weights(name):
    plain, ones = make_rows(), make_rows(target_weight=torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(
        loss_of(prepared(DISTILLERS[name], ones), make_output(), ones.tensors),
        loss_of(prepared(DISTILLERS[name], plain), make_output(), plain.tensors),
    )


def test_the_loss_is_proportional_to_a_common_weight(name):
    # So a batch of light rows counts little.
    plain = make_rows()
    half = make_rows(target_weight=torch.full((8,), 0.5, dtype=torch.float64))
    torch.testing.assert_close(
        2 * loss_of(prepared(DISTILLERS[name], half), make_output(), half.tensors),
        loss_of(prepared(DISTILLERS[name], plain), make_output(), plain.tensors),
    )


def test_a_row_without_weight_teaches_nothing(name):
    weight = torch.ones(8, dtype=torch.float64)
    weight[2] = 0
    rows = make_rows(target_weight=weight)
    for gradient in gradients(prepared(DISTILLERS[name], rows), make_output(), rows.tensors):
        assert (gradient[2].abs() < 1e-12).all()


def test_rows_without_a_label_teach_too(name):
    rows = make_rows()
    logits = rows.tensors["teacher_logits"]
    y = rows.tensors["y"].clone()
    y[4:] = -1
    target = torch.nn.functional.one_hot(y.clamp(min=0), 3).to(logits)
    target[4:] = torch.softmax(logits[4:], -1)
    batch = with_batch(
        rows, y=y, target=target, weight=torch.tensor([1.0] * 4 + [0.0] * 4, dtype=logits.dtype)
    )
    output = make_output()
    distillation = prepared(DISTILLERS[name], rows)
    found = gradients(distillation, output, batch)
    assert all(torch.isfinite(g).all() for g in found)
    assert any((g[4:].abs() > 1e-9).any() for g in found)
    # And the labels' term skips them.
    student = student_of(distillation)
    terms = SeriesObjective(distillation).terms(student, batch, make_step(epoch=9))
    if "ce" in terms:
        part = {key: value[:4] for key, value in batch.items()}
        labelled = SeriesObjective(distillation).terms(student, part, make_step(epoch=9))
        torch.testing.assert_close(terms["ce"], labelled["ce"])


def test_the_term_bears_the_methods_name_and_is_proportional_to_lambda(name):
    if "lambda_kd" not in DISTILLERS[name].get_params():
        pytest.skip("no lambda")
    rows = make_rows()
    losses = []
    for lambda_kd in (0.5, 1.5):
        distillation = prepared(clone(DISTILLERS[name]).set_params(lambda_kd=lambda_kd), rows)
        terms = distillation.terms(
            student_of(distillation), make_output(), rows.tensors, make_step()
        )
        assert set(terms) == {name}
        losses.append(terms[name])
    torch.testing.assert_close(3 * losses[0], losses[1])


@pytest.mark.parametrize("name", SHIFT_BLIND)
def test_constants_added_to_logits_change_nothing(name):
    rows = make_rows()
    output = make_output()
    shift = torch.arange(8, dtype=torch.float64)[:, None]
    batch = with_batch(rows, teacher_logits=rows.tensors["teacher_logits"] - 3 * shift)
    distillation = prepared(DISTILLERS[name], rows)
    torch.testing.assert_close(
        loss_of(distillation, SeriesOutput(output.features, output.logits + shift), batch),
        loss_of(distillation, output, rows.tensors),
    )


@pytest.mark.parametrize("name", ["hinton", "dkd", "dist", "rkd", "pkt"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_loss_is_zero_at_equality_and_positive_elsewhere(name, n_classes):
    output = make_output(n_classes=n_classes)
    rows = make_rows(n_classes=n_classes)
    distillation = prepared(DISTILLERS[name], rows)
    equal = with_batch(
        rows,
        teacher_features=output.features.detach(),
        teacher_logits=output.logits.detach(),
    )
    assert abs(loss_of(distillation, output, equal).item()) < 1e-10
    assert all((g.abs() < 1e-8).all() for g in gradients(distillation, output, equal))
    assert loss_of(distillation, output, rows.tensors) > 1e-4


def test_parameters_are_cloned_checked_and_searched(name):
    distiller = DISTILLERS[name]
    params = distiller.get_params(deep=False)
    assert clone(distiller).get_params(deep=False).keys() == params.keys()
    assert set(distiller._parameter_constraints) == set(params)
    distiller._validate_params()
    clf = DistilledPrefixClassifier(clone(distiller))
    assert {f"distiller__{key}" for key in params} <= set(clf.get_params())
    for key, value in params.items():
        if isinstance(value, float):
            bad = clone(distiller).set_params(**{key: -1.0})
            with pytest.raises(ValueError, match=f"{key}.*-1.0"):
                bad._validate_params()


@pytest.mark.parametrize("value", [1e-4, 1e4, 1e200])
def test_temperatures_at_which_losses_are_rounding_errors_are_refused(name, value):
    for key in DISTILLERS[name].get_params(deep=False):
        if key.endswith("temperature"):
            bad = clone(DISTILLERS[name]).set_params(**{key: value})
            with pytest.raises(
                ValueError, match=rf"{key}.*range \[0.001, 1000.0\].*{re.escape(str(value))}"
            ):
                bad._validate_params()
    if name == "entropytemperature":
        with pytest.raises(ValueError, match=r"slope=1e\+200 gives temperatures up to 4e\+200"):
            clone(DISTILLERS[name]).set_params(slope=1e200)._validate_params()


def test_every_distiller_is_exported():
    assert {type(d).__name__ for d in DISTILLERS.values()} <= set(distillers.__all__)


@pytest.mark.parametrize("name", sorted(DISTILLERS))
def test_a_classifier_learns_with_it_from_labels_and_without_and_is_saved(name, bumps, tmp_path):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        clone(DISTILLERS[name]), student="lstm1-8", max_epochs=2, random_state=0, device="cpu"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X[:30], y[:30], X_unlabeled=X[30:40])
    assert np.isfinite(clf.predict_proba(X)).all()
    assert name in clf.history_.terms
    assert np.isfinite(clf.history_[name]).all()
    clf.save(tmp_path / "model.zip")
    opened = load(tmp_path / "model.zip")
    assert repr(opened.distiller) == repr(clf.distiller)
    np.testing.assert_array_equal(opened.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("name", sorted(DISTILLERS))
def test_a_stream_may_have_chunks_of_any_size(name, bumps):
    X, y = bumps
    distiller = clone(DISTILLERS[name])
    if name == "gendd":  # its default has no term for labelled series; see test_gendd
        distiller.set_params(generator__condition="features")
    clf = DistilledPrefixClassifier(
        distiller, student="lstm1-8", max_epochs=2, random_state=0, device="cpu"
    )
    clf.partial_fit(X[:20], y[:20], classes=np.unique(y))
    before = clf.predict_proba(X)
    for rows in (slice(0, 60), slice(20, 30)):
        clf.partial_fit(X[rows], y[rows])
    assert np.isfinite(clf.predict_proba(X)).all()
    assert not np.array_equal(clf.predict_proba(X), before)
    assert np.isfinite(clf.history_[name]).all()
