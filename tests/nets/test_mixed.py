"""Backbones of several families of features and a forest."""

from functools import partial

import numpy as np
import pytest
import torch

from skgdpd import PrefixClassifier
from skgdpd.nets import Mixed
from skgdpd.nets.closed_form import LinearStart, likeliest_scale, ridge, span
from skgdpd.nets.joined_features import FAMILIES, JoinedFeatures
from skgdpd.nets.joined_graph import JoinedGraph
from skgdpd.nets.prefixes import cut
from skgdpd.nets.rocket_quant import weighings
from skgdpd.nets.several_families import averaged, family_spans

TINY = partial(Mixed, n_features=12, n_trees=20)


def series(n=24, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def labels(n=24, k=3):
    return torch.nn.functional.one_hot(torch.arange(n) % k, k).double()


# The mean of several classifiers


def test_one_family_alone_is_its_ridge_regression():
    x = series()[:, 0].double() + 2 * labels() @ torch.randn(3, 40).double()
    found = span(x)
    alone = ridge(found.coordinates, labels())
    mean = averaged(found.coordinates, [found.basis.shape[1]], labels(), None)
    np.testing.assert_allclose(
        mean.scale * (found.coordinates @ mean.weight + mean.bias),
        alone.scale * (found.coordinates @ alone.weight + alone.bias),
        atol=1e-9,
    )


def test_families_that_are_equal_change_nothing():
    x = series()[:, 0].double()
    coordinates = span(x).coordinates
    r = coordinates.shape[1]
    one = averaged(coordinates, [r], labels(), None)
    both = averaged(torch.cat([coordinates, coordinates], 1), [r, r], labels(), None)
    np.testing.assert_allclose(both.scale * both.left_out, one.scale * one.left_out, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_left_out_logits_are_those_of_all_but_the_row_up_to_scales(weighted):
    torch.manual_seed(0)
    parts = [torch.randn(20, 3).double(), torch.randn(20, 4).double()]
    target = labels(20, 2)
    weight = torch.rand(20) + 0.2 if weighted else None
    full = averaged(torch.cat(parts, 1), [3, 4], target, weight)
    kept = torch.arange(20) != 7
    scores = []
    for part in parts:
        chosen = ridge(part, target, weight)
        x, t = part.clone(), 2 * target - 1
        w = torch.ones(20) if weight is None else weight
        w = (w / w.sum() * 20).double()
        # The penalty is that of all rows, and so is the scale of the weights.
        rows, own = x[kept], w[kept]
        centre = (own[:, None] * rows).sum(0) / own.sum()
        mean = (own[:, None] * t[kept]).sum(0) / own.sum()
        gram = (rows - centre).T @ (own[:, None] * (rows - centre))
        slope = torch.linalg.solve(
            gram + chosen.penalty * torch.eye(part.shape[1]).double(),
            (rows - centre).T @ (own[:, None] * (t[kept] - mean)),
        )
        scores.append(chosen.scale * ((x[7] - centre) @ slope + mean))
    np.testing.assert_allclose(full.left_out[7], sum(scores) / 2, atol=1e-7)


def test_a_permutation_of_classes_permutes_the_logits():
    x = series()[:, 0].double()
    order = [2, 0, 1]
    coordinates = span(x).coordinates
    r = [coordinates.shape[1]]
    one = averaged(coordinates, r, labels(), None)
    other = averaged(coordinates, r, labels()[:, order], None)
    np.testing.assert_allclose(other.left_out, one.left_out[:, order], atol=1e-9)
    assert other.scale == one.scale


def test_one_matrix_has_the_coordinates_of_all_families():
    x = series(c=2).flatten(1)
    found, coordinates = family_spans(x, [30, 50], 10)
    np.testing.assert_allclose((x - found.mean) @ found.basis, found.of(x), atol=1e-8)
    np.testing.assert_allclose(coordinates, found.of(x), atol=1e-8)
    np.testing.assert_allclose(found.single().of(x), found.of(x), atol=1e-4)


# The backbone


def fitted(x, target, lengths=None, weight=None):
    backbone = TINY(x.shape[1], x.shape[2])
    return backbone, backbone.fit_fixed(x, lengths, target.float(), weight, 0)


def test_the_start_is_the_mean_of_the_families_weighed_with_the_forest():
    x = series()
    x[:, 0, 5] += torch.arange(24) % 3
    backbone, head = fitted(x, labels())
    odds = head.fixed[:, -3:].double()
    scores, left_out = [], []
    for own in backbone.transform(x).split(backbone.transform.widths, 1):
        found = span(own)
        start = ridge(found.coordinates, labels())
        scores.append(start.scale * (found.coordinates @ start.weight + start.bias))
        left_out.append(start.scale * start.left_out)
    linear = LinearStart(
        torch.zeros(0, 3).double(), torch.zeros(3).double(), 1.0, torch.stack(left_out).mean(0)
    )
    linear = linear._replace(scale=likeliest_scale(linear.left_out, labels())[0])
    best = min(weighings(linear, odds, labels(), None), key=lambda one: one.loss)
    mean = torch.stack(scores).mean(0)
    expected = best.scale * (best.rocket * mean + best.forest * odds)
    with torch.no_grad():
        own = backbone.projection(head.fixed).double() @ head.weight.T + head.bias
    np.testing.assert_allclose(own.softmax(1), expected.softmax(1), atol=1e-3)


def test_fixed_features_are_those_of_new_rows_but_for_the_forest_s():
    x = series()
    backbone, head = fitted(x, labels())
    again = backbone.featurize(x)
    np.testing.assert_allclose(again[:, :-3], head.fixed[:, :-3], atol=1e-4)


def test_folding_changes_no_output():
    x, new = series(), series(seed=1)
    backbone, _ = fitted(x, labels())
    before = backbone(new).detach()
    backbone.fold()
    np.testing.assert_allclose(backbone(new).detach(), before, atol=1e-3)
    assert backbone.basis is None


def test_padding_changes_nothing():
    x = series(t=40)
    lengths = torch.tensor([40, 25, 9, 3] * 6)
    for own, length in zip(x, lengths, strict=True):
        own[:, length:] = 0
    backbone, _ = fitted(x, labels(), lengths)
    backbone.fold()
    for length in (25, 3):
        rows = lengths == length
        alone = backbone(x[rows], lengths[rows]).detach()
        np.testing.assert_array_equal(alone, backbone(x, lengths).detach()[rows])


@pytest.mark.parametrize("t", [2, 3, 8])
def test_the_shortest_series_are_classified(t):
    X = series(20, t=t).double().numpy()
    y = np.arange(20) % 2
    X[y == 1] += 3
    clf = PrefixClassifier(TINY, earliness=1.0, normalize="train", random_state=0).fit(X, y)
    assert clf.score(X, y) == 1


def test_seeds_decide_the_bits(bumps):
    X, y = bumps
    clf = PrefixClassifier(TINY, earliness=0.5, max_epochs=2, random_state=3)
    one, two = clf.fit(X, y).predict_proba(X), clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(one, two)
    other = clf.set_params(random_state=4).fit(X, y).predict_proba(X)
    assert (one != other).any()


# Its graph


@pytest.mark.parametrize("family", [*FAMILIES, "all"])
@pytest.mark.parametrize(("c", "t"), [(1, 40), (1, 2), (3, 17), (12, 30)])
def test_graphs_compute_the_features(family, c, t):
    names = list(FAMILIES) if family == "all" else [family]
    x = series(c=c, t=t)
    features = JoinedFeatures(c, t, [t], names).fit(cut(x, (t,)), 0)
    new = series(c=c, t=t, seed=1)
    new[3] = 2.5  # a constant series, of which all outputs are rounding errors
    new[4] = 0
    found = JoinedGraph(features, t)(new)
    np.testing.assert_allclose(found, features(new), atol=2e-6)


@pytest.mark.parametrize("t", [5, 12, 30])
def test_graphs_of_an_early_moment_compute_the_features_then(t):
    x = series(t=30)
    features = JoinedFeatures(1, 30, [5, 12, 30], FAMILIES).fit(cut(x, (5, 12, 30)), 0)
    found = JoinedGraph(features, t)(x[:, :, :t])
    np.testing.assert_allclose(found, features(x[:, :, :t]), atol=2e-6)


def test_graphs_of_rocket_count_no_output_that_equals_its_bias():
    x = series(c=2).round()
    features = JoinedFeatures(2, 40, [40], ["rocket"]).fit(cut(x, (40,)), 0)
    biases = features.parts[0].biases
    biases.round_()  # whole numbers, as all outputs are
    found = JoinedGraph(features, 40)(x)
    np.testing.assert_array_equal(found, features(x))
    biases -= 0.5
    assert (JoinedGraph(features, 40)(x) > found).any()
