"""The backbone of a rocket beside a forest, and the classifiers built on it."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skgdpd import GDPDClassifier, PrefixClassifier, SeriesOptions, TrainingOptions, load
from skgdpd.datasets import make_bumps
from skgdpd.nets import Rocket, RocketQuant, make_backbone, starts_fitted
from skgdpd.nets.closed_form import likeliest_scale, ridge
from skgdpd.nets.rocket_quant import log_odds, weighed

TINY = partial(RocketQuant, n_features=12, n_fixed=420, n_trees=20)
SMALL = {"student": TINY, "max_epochs": 3, "random_state": 0, "earliness": 0.5}


def series(n=24, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def fitted(x, y, lengths=None, weight=None, **settings):
    backbone = TINY(x.shape[1], x.shape[2], **settings)
    target = torch.nn.functional.one_hot(y).float()
    return backbone, backbone.fit_fixed(x, lengths, target, weight, 0), target


def test_weights_are_of_the_size_of_a_rocket_s(bumps):
    X, y = bumps
    params = {"earliness": 0.5, "max_epochs": 1, "random_state": 0}
    of = [
        PrefixClassifier(name, **params).fit(X, y).module_.backbone.projection.weight.abs().max()
        for name in ("rocket", "rocket-quant")
    ]
    assert of[1] < 10 * of[0]


def logits(backbone, head, x, fixed=None):
    return (backbone(x, None, fixed) @ head.weight.float().T + head.bias.float()).detach()


# where it starts


def test_the_start_is_a_weighted_mean_of_both_and_no_less_likely_than_either():
    x, y = series(), torch.arange(24) % 3
    x[:, 0, 5] += y
    backbone, head, target = fitted(x, y)
    rank = backbone.basis.shape[1]
    coordinates, odds = head.fixed.double().split([rank, 3], 1)
    rocket = ridge(coordinates, target)
    found = weighed(rocket, odds, target, None)
    expected = found.scale * (head.fixed.double() @ found.weight + found.bias)
    np.testing.assert_allclose(logits(backbone, head, x, head.fixed), expected, atol=1e-3)
    _, joint = likeliest_scale(found.left_out, target)
    for alone in (rocket.left_out, odds):
        assert joint <= likeliest_scale(alone, target)[1]


@pytest.mark.parametrize("good", ["rocket", "forest"])
def test_the_one_that_knows_counts(good):
    y = torch.arange(90) % 3
    target = torch.nn.functional.one_hot(y, 3)
    noise, clear = series(90, 1, 3)[:, 0].double(), 0.3 * series(90, 1, 3, 1)[:, 0] + 2 * target
    coordinates, odds = (clear.double(), noise) if good == "rocket" else (noise, clear.double())
    odds = odds - odds.mean(1, keepdim=True)
    start = weighed(ridge(coordinates - coordinates.mean(0), target), odds, target, None)
    of_rocket, of_forest = (part.abs().max() for part in start.weight.split(3))
    assert (of_rocket > of_forest) == (good == "rocket")
    assert (start.left_out.argmax(1) == y).double().mean() > 0.9


def test_a_training_row_is_represented_by_trees_that_do_not_know_its_label():
    x, y = series(), torch.arange(24) % 3
    other = y.clone()
    other[4] = 2
    (one, before, _), (two, after, _) = fitted(x, y), fitted(x, other)
    np.testing.assert_array_equal(before.fixed[4, -3:], after.fixed[4, -3:])
    assert not torch.equal(before.fixed[:, -3:], after.fixed[:, -3:])
    # As a new series it is seen by all trees, most of which do.
    assert not torch.equal(one.featurize(x)[4, -3:], two.featurize(x)[4, -3:])


def test_log_probabilities_are_finite_and_in_order():
    proba = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    odds = log_odds(proba)
    assert torch.isfinite(odds).all()
    np.testing.assert_allclose(odds.sum(1), 0, atol=1e-5)
    np.testing.assert_array_equal(odds.argsort(stable=True), proba.argsort(stable=True))


def test_differences_that_are_rounding_split_no_tree():
    x = series(30)
    x = ((x - x.mean(2, keepdim=True)) / x.std(2, keepdim=True, correction=0)).float()
    y = torch.arange(30) % 2
    backbone, _, _ = fitted(x, y, n_trees=60)
    features = backbone.quantiles(x)
    used = backbone.forest.feature[backbone.forest.threshold > -torch.inf].unique().long()
    spread = features.amax(0) - features.amin(0)
    assert (spread <= 1e-5 * x.abs().max()).any(), "the sum of a normalised series is rounding"
    assert (spread[used] > 1e-5 * x.abs().max()).all()


def test_more_rows_than_trees_are_grown_on(monkeypatch):
    monkeypatch.setattr("skgdpd.nets.rocket_quant.MAX_ROWS", 20)
    x, y = series(70), torch.arange(70) % 2
    x[:, 0, 3] += 3 * y
    backbone, head, _ = fitted(x, y, weight=torch.ones(70))
    assert len(backbone.forest.leaf) <= 20 * (2 * 20 - 1)
    assert head.fixed.shape[0] == 70
    assert (head.fixed[:, -2:].argmax(1) == y).float().mean() > 0.6


def test_folding_and_loading_change_nothing():
    x, y = series(), torch.arange(24) % 4
    backbone, _, _ = fitted(x, y)
    other = series(9, seed=1)
    before = backbone(other).detach()
    backbone.fold()
    backbone.fold()
    np.testing.assert_allclose(backbone(other).detach(), before, atol=1e-4)
    fresh = TINY(1, 40)
    fresh.load_state_dict(backbone.state_dict())
    for same in (fresh, copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        np.testing.assert_array_equal(same(other).detach(), backbone(other).detach())


def test_channels_lengths_and_company_are_no_matter():
    x, y = series(24, 3, 30), torch.arange(24) % 2
    lengths = torch.tensor([30, 4, 12, 30, 9, 21] * 4)
    x = x * (torch.arange(30) < lengths[:, None, None])
    backbone, _, _ = fitted(x, y, lengths)
    backbone.fold()
    together = backbone(x, lengths).detach()
    for i in (0, 1, 5):
        alone = backbone(x[i : i + 1, :, : int(lengths[i])]).detach()
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


@pytest.mark.parametrize("n_rows", [70, 15])
def test_series_of_no_weight_are_in_no_tree_and_are_represented(monkeypatch, n_rows):
    monkeypatch.setattr("skgdpd.nets.rocket_quant.MAX_ROWS", 20)
    x, y = series(n_rows), torch.arange(n_rows) % 2
    weight = (torch.arange(n_rows) < 12).float()
    weight[5] = 30
    other = y.clone()
    other[12:] = 1 - y[12:]
    (one, before, _), (two, after, _) = (fitted(x, own, weight=weight) for own in (y, other))
    np.testing.assert_array_equal(before.fixed[:, -2:], after.fixed[:, -2:])
    np.testing.assert_array_equal(one.forest.value, two.forest.value)
    assert torch.isfinite(before.fixed).all()


# the classifiers


def test_by_name():
    backbone = make_backbone("rocket-quant", 2, 30)
    assert backbone.n_features == 128
    assert starts_fitted("rocket-quant")
    assert isinstance(backbone, Rocket)


def test_it_learns_from_where_values_lie_at_once():
    # No convolution without padding sees a level, and a forest does.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1, 30)), np.arange(200) % 4
    X[:, 0, :15] += np.array([0, 1, 2, 4])[y][:, None]
    params = {"earliness": 0.5, "random_state": 0, "max_epochs": 5}
    train, test = slice(0, 100), slice(100, None)
    scores = [
        PrefixClassifier(student, **params).fit(X[train], y[train]).score(X[test], y[test])
        for student in ("rocket", "rocket-quant")
    ]
    assert scores[1] > scores[0]
    assert scores[1] > 0.85


def test_the_same_seed_gives_the_same_bits_and_files_and_pickles_predict_alike(bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier(**{**SMALL, "student": "rocket-quant"}).fit(X, y)
    expected = clf.predict_proba(X)
    clf.save(tmp_path / "model")
    for same in (
        clone(clf).fit(X, y),
        pickle.loads(pickle.dumps(clf)),
        load(tmp_path / "model"),
        copy.deepcopy(clf),
    ):
        np.testing.assert_array_equal(same.predict_proba(X), expected)
        np.testing.assert_array_equal(same.embed(X), clf.embed(X))
    other = clone(clf).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.embed(X), clf.embed(X))
    for n in (1, 2, 7):
        np.testing.assert_allclose(clf.predict_proba(X[:n]), expected[:n], atol=1e-6)


def test_the_future_has_no_influence(bumps):
    X, y = bumps
    other = X.copy()
    other[:, :, 20:] = np.random.default_rng(0).normal(size=(60, 1, 20))
    fits = [PrefixClassifier(**SMALL).fit(values, y) for values in (X, other)]
    expected = fits[0].predict_proba(X)
    for fit in fits:
        for values in (X, other, X[:, :, :20]):
            np.testing.assert_array_equal(fit.predict_proba(values), expected)


@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_ragged_series_with_gaps_and_short_prefixes(basic_motions, missing):
    X, y = basic_motions.X[:, :, :60].copy(), basic_motions.y
    for i, row in enumerate(X):
        row[:, 60 - i :] = np.nan
    X[3, 2, 4] = np.nan
    clf = PrefixClassifier(**SMALL, series=SeriesOptions(missing_values=missing)).fit(X, y)
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    assert clf.score(X, y) > 0.7
    np.testing.assert_allclose(clf.predict_proba(X[3:4]), proba[3:4], atol=1e-5)


def test_two_points_one_series_and_weights(bumps):
    X, y = bumps
    for earliness in (2, 4):
        clf = PrefixClassifier(**{**SMALL, "earliness": earliness}).fit(X, y)
        assert np.isfinite(clf.predict_proba(X[:1])).all()
    params = {**SMALL, "max_epochs": 1, "lr": 1e-9, "earliness": 4}
    plain = PrefixClassifier(**params).fit(X, y).predict_proba(X)[:, 1].mean()
    heavy = PrefixClassifier(class_weight={"no": 1, "yes": 20}, **params).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > plain + 0.1


def test_as_student_and_as_teacher_and_with_unlabelled_series(bumps):
    X, y = bumps
    clf = GDPDClassifier(TINY, **SMALL).fit(X[:30], y[:30], X_unlabeled=X[30:])
    assert clf.score(X, y) > 0.8
    assert clf.teacher_.embed(X).shape == (60, 12)


def test_streams_are_refused_and_no_series_is_kept_for_validation(bumps):
    X, y = bumps
    clf = PrefixClassifier("rocket-quant", max_epochs=1, random_state=0)
    with pytest.raises(AttributeError, match="partial_fit"):
        clf.partial_fit(X, y)
    assert clf.fit(X, y).history_.n_validation == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"earliness": 0.6},
        {"earliness": 3, "normalize": "prefix"},
        {"class_weight": {0: 1, 1: 9, 2: 0.5}},
    ],
)
def test_an_exported_graph_says_the_same_of_training_series_too(how, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    X, y = rng.normal(5, 1, (40, 3, 30)), np.arange(40) % 3
    X[:, 1, 4] += y
    clf = PrefixClassifier(**{**SMALL, **how}).fit(X, y)
    clf.export_onnx(tmp_path / "model.onnx")
    graph = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 40):
        some = X[:n, :, : clf.prefix_length_].astype(np.float32)
        (found,) = graph.run(["probabilities"], {"prefix": some})
        np.testing.assert_allclose(found, clf.predict_proba(some), rtol=0, atol=1e-5)


def test_averaging_leaves_the_forest_as_it_was():
    X, y = make_bumps(40, 30, random_state=0)
    clf = PrefixClassifier(
        "rocket-quant",
        max_epochs=3,
        training=TrainingOptions(weight_averaging=2.0),
        random_state=0,
    )
    state = clf.fit(X, y).module_.state_dict()
    assert all(tensor.isfinite().all() for tensor in state.values() if tensor.is_floating_point())
