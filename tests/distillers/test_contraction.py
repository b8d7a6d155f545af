"""GenDD's loss: contraction, mixtures, rows without a label, and what reaches the student."""

import numpy as np
import pytest
import torch
from contexts import make_context, make_output, make_rows, make_step, make_student, prepared
from sklearn.base import clone
from torch import nn

from skgdpd import GeneratorOptions
from skgdpd.distillers import GenDD, SeriesObjective
from skgdpd.distillers.gendd import class_means, contract, with_lengths_of

SMALL = GenDD(generator=GeneratorOptions(condition="features", hidden=16, depth=1))


def awake(distillation):
    """The distillation with a network that no longer answers zero."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in distillation.diffusion.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return distillation


def gendd(lambda_kd=1.0, **options):
    """A small distiller with some of the generator's options."""
    params = {f"generator__{name}": value for name, value in options.items()}
    return clone(SMALL).set_params(lambda_kd=lambda_kd, **params)


def distillation_of(rows, **params):
    return awake(prepared(gendd(**params), rows))


def loss_of(distillation, output, batch, seed=0):
    terms = distillation.terms(make_student(), output, batch, make_step(seed=seed))
    assert set(terms) == {"gendd"}
    return terms["gendd"]


# Contraction


def test_contraction_goes_from_the_feature_to_the_centre_of_its_class():
    rows = make_rows(9)
    z, y = rows.tensors["teacher_features"], rows.tensors["y"]
    centres = class_means(z, y, 3)
    assert contract(z, y, centres, 0.0) is z
    torch.testing.assert_close(contract(z, y, centres, 1.0), centres[y])
    torch.testing.assert_close(contract(z, y, centres, 0.9), 0.1 * z + 0.9 * centres[y])
    # Class means stay where they are, and spreads shrink by 1 - s.
    moved = contract(z, y, centres, 0.7)
    torch.testing.assert_close(class_means(moved, y, 3), centres)
    torch.testing.assert_close(moved - centres[y], 0.3 * (z - centres[y]))


def test_features_without_a_label_stay_where_they_are():
    rows = make_rows(9)
    z, y = rows.tensors["teacher_features"], rows.tensors["y"].clone()
    centres = class_means(z, y, 3)
    y[::2] = -1
    moved = contract(z, y, centres + 1, 0.9)
    assert torch.equal(moved[::2], z[::2])
    assert not torch.isclose(moved[1::2], z[1::2]).all(1).any()


def test_centres_are_means_and_a_class_without_rows_has_the_mean_of_all():
    z, y = torch.randn(6, 4), torch.tensor([0, 0, 2, 2, 2, -1])
    found = class_means(z, y, 3)
    torch.testing.assert_close(found[0], z[:2].mean(0))
    torch.testing.assert_close(found[1], z.mean(0))
    torch.testing.assert_close(found[2], z[2:5].mean(0))


def test_classifiers_rows_are_brought_to_the_length_of_features():
    z, y = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 1, 1])
    weights = torch.randn(2, 4)
    found = with_lengths_of(weights, z, y)
    torch.testing.assert_close(found, with_lengths_of(100 * weights, z, y))
    torch.testing.assert_close(found.norm(dim=1)[0], z[:2].norm(dim=1).mean())
    torch.testing.assert_close(
        nn.functional.cosine_similarity(found, weights), torch.ones(2), rtol=0, atol=1e-6
    )


def test_no_contraction_asks_for_no_labels():
    rows = make_rows()
    distillation = distillation_of(rows, contraction=0.0)
    without = {**rows.tensors, "y": torch.full((8,), -1)}
    one, two = (loss_of(distillation, make_output(), b) for b in (rows.tensors, without))
    assert torch.equal(one, two)


def test_full_contraction_learns_nothing_of_a_series_but_its_class():
    rows = make_rows()
    distillation = distillation_of(rows, contraction=1.0)
    other = {
        **rows.tensors,
        "teacher_features": torch.zeros_like(rows.tensors["teacher_features"]),
    }
    one, two = (loss_of(distillation, make_output(), b) for b in (rows.tensors, other))
    torch.testing.assert_close(one, two)
    # Its bounds leave no room but around the centres.
    centres = distillation.encoder.encode(distillation.centroids)
    torch.testing.assert_close(distillation.diffusion.low, centres.amin(0) - 1)
    torch.testing.assert_close(distillation.diffusion.high, centres.amax(0) + 1)


# The loss


@pytest.mark.parametrize("n_teacher", [1, 6, 70, 130])
def test_a_fresh_network_has_a_loss_of_about_one(n_teacher):
    rows = make_rows(64, n_teacher=n_teacher)
    distillation = prepared(gendd(n_noise_levels=64), rows)
    loss = loss_of(distillation, make_output(64), rows.tensors)
    assert abs(loss.item() - 1) < 0.1


def test_what_is_generated_has_unit_variance():
    rows = make_rows(50)
    for contraction in (0.0, 0.9):
        distillation = distillation_of(rows, contraction=contraction)
        target = contract(
            rows.tensors["teacher_features"],
            rows.tensors["y"],
            distillation.centroids,
            contraction,
        )
        codes = distillation.encoder.encode(target)
        torch.testing.assert_close(codes.std(0, correction=0), torch.ones(6).to(codes))
        torch.testing.assert_close(distillation.encoder.decode(codes), target)


def test_the_gradient_reaches_the_student_and_the_network_but_not_the_teacher():
    rows = make_rows()
    distillation = distillation_of(rows)
    batch = dict(rows.tensors)
    batch["teacher_features"] = batch["teacher_features"].clone().requires_grad_()
    output = make_output()
    loss_of(distillation, output, batch).backward()
    assert output.features.grad.abs().sum() > 0
    assert output.logits.grad is None
    trained = [p.grad for p in distillation.diffusion.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in trained)


def test_the_gradient_reaches_the_backbone():
    rows = make_rows()
    student = make_student()
    objective = SeriesObjective(distillation_of(rows))
    for parameter in student.head.parameters():
        parameter.requires_grad_(False)
    terms = objective.terms(student, rows.tensors, make_step())
    assert list(terms) == ["ce", "gendd"]
    terms["gendd"].backward()
    assert student.backbone[1].weight.grad.abs().sum() > 0


def test_gradients_are_those_of_finite_differences():
    rows = make_rows(4)
    distillation = distillation_of(rows)

    def loss(features):
        output = make_output(4)._replace(features=features)
        return loss_of(distillation, output, rows.tensors)

    assert torch.autograd.gradcheck(loss, (make_output(4).features,))


@pytest.mark.parametrize("mixup", [False, True])
def test_weights_weigh(mixup):
    def loss(**weights):
        rows = make_rows(**weights)
        return loss_of(distillation_of(rows, mixup=mixup), make_output(), rows.tensors)

    ones = torch.ones(8, dtype=torch.float64)
    torch.testing.assert_close(loss(), loss(target_weight=ones))
    torch.testing.assert_close(loss(), 2 * loss(target_weight=ones / 2))
    assert loss(target_weight=0 * ones) == 0


def test_a_row_without_weight_teaches_nothing():
    weight = torch.ones(8, dtype=torch.float64)
    weight[2] = 0
    rows = make_rows(target_weight=weight)
    output = make_output()
    loss_of(distillation_of(rows), output, rows.tensors).backward()
    assert (output.features.grad[2] == 0).all()
    assert (output.features.grad[[0, 1, 3]] != 0).any(1).all()


def test_mixtures_of_a_series_with_itself_are_the_series():
    rows = make_rows()
    one = {k: v[:1].expand(v.shape).clone() for k, v in rows.tensors.items() if k != "index"} | {
        "index": rows.tensors["index"]
    }
    output = make_output()
    same = output._replace(features=output.features.detach()[:1].repeat(8, 1))
    losses = [
        distillation_of(rows, mixup=mixup, n_noise_levels=4000)
        .loss(same.features, one, torch.Generator().manual_seed(0))
        .item()
        for mixup in (False, True)
    ]
    np.testing.assert_allclose(*losses, rtol=0.05)


def test_the_term_is_proportional_to_lambda_and_gone_without():
    rows = make_rows()
    one, three = (
        loss_of(distillation_of(rows, lambda_kd=value), make_output(), rows.tensors)
        for value in (1.0, 3.0)
    )
    torch.testing.assert_close(3 * one, three)
    nothing = distillation_of(rows, lambda_kd=0.0)
    assert nothing.terms(make_student(), make_output(), rows.tensors, make_step()) == {}


# What is refused, and what is chosen


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"token_width": 4}, "token_width=4 doesn't divide the 6 .*allowed are 1, 2, 3, 6"),
        ({"token_width": 3, "joint": True}, "token_width=3 with joint=True"),
        ({"centroid": "classifier_weight"}, "centroid='classifier_weight' needs a teacher's"),
    ],
)
def test_what_can_not_be_is_named(params, words):
    with pytest.raises(ValueError, match=words):
        gendd(**params).prepare(make_context(make_rows(), known_head=False))


@pytest.mark.parametrize(
    ("params", "width"),
    [({}, 64), ({"joint": True}, 192), ({"token_width": 48}, 48)],
)
def test_widths_of_tokens(params, width):
    distillation = prepared(gendd(**params), make_rows(n_teacher=192))
    assert distillation.diffusion.settings["token_width"] == width


def test_very_wide_features_are_generated_by_components():
    rows = make_rows(30, n_teacher=1100)
    widths = {
        encoder: prepared(gendd(encoder=encoder), rows).diffusion.n_features
        for encoder in ("auto", "identity", "pca")
    }
    assert widths["identity"] == 1100
    assert widths["auto"] == widths["pca"] <= 29
    assert prepared(SMALL, make_rows(30, n_teacher=1024)).diffusion.n_features == 1024


@pytest.mark.parametrize("condition", ["features", "predictions"])
def test_without_labels_the_classes_are_the_teachers(condition):
    rows = make_rows(50)
    z, guess = rows.tensors["teacher_features"], rows.tensors["teacher_logits"].argmax(-1)
    rows.tensors["y"] = torch.full((50,), -1)
    distillation = prepared(gendd(condition=condition, labels="teacher"), rows)
    torch.testing.assert_close(distillation.centroids, class_means(z, guess, 3))
    # What is generated is standardised: with the student's features nothing is contracted.
    moved = contract(z, guess, distillation.centroids, 0.9)
    codes = distillation.encoder.encode(z if condition == "features" else moved)
    torch.testing.assert_close(codes.std(0, correction=0), torch.ones(6).to(codes))
