"""FitNets: first the teacher's features, then the labels."""

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.base import clone
from torch import nn

from skgdpd import DistilledPrefixClassifier
from skgdpd.distillers import DistillationContext, FitNets, SeriesObjective
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Progress, Rows, Step, TrainingConfig, train

N_STUDENT, N_TEACHER, N_CLASSES = 5, 6, 3


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def student():
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(10, N_STUDENT))
    backbone.n_features = N_STUDENT
    return SeriesNet(backbone, N_CLASSES)


@pytest.fixture
def context():
    rows = Rows(
        x=torch.randn(12, 2, 5),
        y=torch.arange(12) % N_CLASSES,
        teacher_features=torch.randn(12, N_TEACHER),
        teacher_logits=torch.randn(12, N_CLASSES),
    )
    return DistillationContext(
        rows, N_STUDENT, N_CLASSES, 10, 0, Memory(None), Progress(1, visible=False)
    )


def step(epoch):
    return Step(epoch=epoch, generator=torch.Generator())


def test_stages_have_one_term_each(student, context):
    objective = SeriesObjective(FitNets(first_stage=0.3).prepare(context))
    names = [set(objective.terms(student, context.rows.tensors, step(e))) for e in range(10)]
    assert names == [{"fitnets"}] * 3 + [{"ce"}] * 7


@pytest.mark.parametrize(
    ("first_stage", "n_epochs"), [(0.0, 0), (0.5, 5), (0.3, 3), (0.29, 3), (0.99, 9)]
)
def test_the_first_stage_is_a_share_of_the_epochs_in_which_none_is_selected(
    first_stage, n_epochs, context
):
    # And one is left for the labels, without which the head would learn nothing.
    assert FitNets(first_stage=first_stage).prepare(context).warmup_epochs == n_epochs


def test_the_term_is_the_weighted_mean_squared_error_of_a_linear_guess(student, context):
    distillation = FitNets(lambda_kd=0.7).prepare(context)
    batch = context.rows.tensors
    output = student(batch["x"])
    guess = output.features @ distillation.regressor.weight.T
    expected = 0.7 * nn.functional.mse_loss(guess, batch["teacher_features"])
    terms = distillation.terms(student, output, batch, step(0))
    torch.testing.assert_close(terms["fitnets"], expected)


def test_the_term_is_zero_at_a_perfect_regressor(student, context):
    distillation = FitNets().prepare(context)
    batch = dict(context.rows.tensors)
    output = student(batch["x"])
    with torch.no_grad():
        batch["teacher_features"] = distillation.regressor(output.features)
    term = distillation.terms(student, output, batch, step(0))["fitnets"]
    assert term == 0
    term.backward()
    assert (distillation.regressor.weight.grad == 0).all()


def test_the_least_error_is_that_of_least_squares(student, context):
    distillation = FitNets().prepare(context)
    batch = context.rows.tensors
    output = student(batch["x"])
    features = output.features.detach()
    solution = torch.linalg.lstsq(features, batch["teacher_features"]).solution
    with torch.no_grad():
        distillation.regressor.weight.copy_(solution.T)
    term = distillation.terms(student, output, batch, step(0))["fitnets"]
    term.backward()
    torch.testing.assert_close(
        distillation.regressor.weight.grad, torch.zeros(N_TEACHER, N_STUDENT), atol=1e-6, rtol=0
    )
    residual = features @ solution - batch["teacher_features"]
    torch.testing.assert_close(term.detach(), residual.square().mean())


def test_gradients_reach_the_features_but_not_the_head_and_not_the_teacher(student, context):
    distillation = FitNets().prepare(context)
    batch = dict(context.rows.tensors)
    batch["teacher_features"].requires_grad_()
    output = student(batch["x"])
    output.features.retain_grad()
    distillation.terms(student, output, batch, step(0))["fitnets"].backward()
    residual = distillation.regressor(output.features) - batch["teacher_features"]
    by_hand = 2 * residual @ distillation.regressor.weight / residual.numel()
    torch.testing.assert_close(output.features.grad, by_hand.detach())
    assert (student.backbone[1].weight.grad != 0).any()
    assert student.head.weight.grad is None


def test_the_regressor_has_the_widths_of_both_and_no_bias(context):
    (weight,) = FitNets().prepare(context).parameters()
    assert weight.shape == (N_TEACHER, N_STUDENT)


def test_training_fits_features_first_and_the_head_only_then(student, context):
    heads = []

    class Spy(SeriesObjective):
        def start_epoch(self, module, rows, step):
            heads.append(module.head.weight.detach().clone())
            super().start_epoch(module, rows, step)

    distillation = FitNets(first_stage=0.5).prepare(context)
    before = distillation.regressor.weight.detach().clone()
    config = TrainingConfig(10, 4, 0.05, 0.0, "adam", "constant")
    history = train(student, Spy(distillation), context.rows, config, first_selected_epoch=5)
    assert set(history) == {"fitnets", "ce", "loss"}
    assert (history["ce"][:5] == 0).all()
    assert (history["fitnets"][5:] == 0).all()
    assert history["fitnets"][4] < history["fitnets"][0]
    assert history["ce"][9] < history["ce"][5]
    np.testing.assert_allclose(history["loss"], history["ce"] + history["fitnets"], rtol=1e-6)
    assert not torch.equal(distillation.regressor.weight, before)
    for head in heads[:6]:
        assert torch.equal(head, heads[0])
    assert not torch.equal(heads[6], heads[0])


def test_a_classifier_never_keeps_the_weights_of_the_first_stage(bumps):
    clf = DistilledPrefixClassifier(
        FitNets(), student="lstm1-8", max_epochs=6, random_state=0
    ).fit(*bumps)
    assert clf.history_.warmup_epochs == 3
    assert clf.history_.best_epoch == 3 + np.argmin(clf.history_["valid_loss"][3:])


def test_a_classifier_learns_from_labels_even_in_the_shortest_training(bumps):
    clf = DistilledPrefixClassifier(
        FitNets(), student="lstm1-8", max_epochs=1, random_state=0
    ).fit(*bumps)
    assert (clf.history_["ce"] > 0).all()


@pytest.mark.parametrize(
    ("name", "bad"), [("first_stage", 1.5), ("first_stage", -0.1), ("lambda_kd", -1.0)]
)
def test_bad_parameters_are_refused_by_name_when_fitting(name, bad, bumps):
    clf = DistilledPrefixClassifier(
        FitNets(**{name: bad}), student="lstm1-8", max_epochs=2, random_state=0
    )
    with pytest.raises(ValueError, match=f"{name}.*{bad}"):
        clf.fit(*bumps)


def test_a_first_stage_that_leaves_no_epoch_for_labels_is_refused(bumps):
    # The head would never be trained.
    clf = DistilledPrefixClassifier(
        FitNets(first_stage=1.0), student="lstm1-8", max_epochs=2, random_state=0
    )
    with pytest.raises(ValueError, match="first_stage"):
        clf.fit(*bumps)


def test_parameters_are_cloned_and_searched_as_everywhere():
    assert clone(FitNets(0.3, 0.2)).get_params() == {"lambda_kd": 0.3, "first_stage": 0.2}
    clf = DistilledPrefixClassifier(FitNets()).set_params(distiller__first_stage=0.1)
    assert clf.distiller.first_stage == 0.1
