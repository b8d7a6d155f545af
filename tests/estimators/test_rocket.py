"""MiniRocket features, and the backbones that are built on them."""

import inspect
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    SeriesOptions,
    TrainingOptions,
)
from skgdpd._runtime.random import Seeds
from skgdpd._series.split import stratified_split
from skgdpd.datasets import make_bumps
from skgdpd.nets import ClosedFormStart, Hybrid, Rocket, RocketQuant, make_backbone, starts_fitted
from skgdpd.nets.closed_form import PENALTIES, ridge, span
from skgdpd.nets.minirocket import HEAVY_TAPS, N_KERNELS, MiniRocket, _taps, fit_dilations

TINY = partial(Rocket, n_features=12, n_fixed=420)
SMALL = {"student": TINY, "max_epochs": 4, "random_state": 0, "earliness": 0.5}


def series(n=12, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


# the transform


@pytest.mark.parametrize(("c", "t"), [(1, 9), (1, 64), (3, 30), (12, 41)])
def test_equal_to_sktimes_with_the_same_parameters(c, t):
    rocket = pytest.importorskip("sktime.transformations.rocket")
    pytest.importorskip("numba")
    x = series(c=c, t=t)
    theirs = rocket.MiniRocket if c == 1 else rocket.MiniRocketMultivariate
    threads, state = torch.get_num_threads(), np.random.get_state()  # noqa: NPY002
    theirs = theirs(num_kernels=1000, random_state=3).fit(x.numpy())
    expected = theirs.transform(x.numpy()).to_numpy()
    np.random.set_state(state)  # noqa: NPY002 - sktime leaves it seeded
    torch.set_num_threads(threads)
    ours = MiniRocket(c, t, 1000, engine="torch")
    *combinations, dilations, counts, biases = theirs.parameters
    assert ours.dilations == dilations.tolist()
    assert ours.n_biases == counts.tolist()
    ours.biases.copy_(torch.from_numpy(biases))
    if combinations:
        sizes, flat = combinations
        channels = torch.full((len(sizes), ours.channels.shape[2]), c)
        ends = np.cumsum(sizes)
        for row, size, end in zip(channels, sizes, ends, strict=True):
            row[:size] = torch.from_numpy(flat[end - size : end])
        ours.channels.copy_(channels.view_as(ours.channels))
    np.testing.assert_allclose(ours(x).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("c", "t"), [(1, 50), (4, 33)])
def test_both_engines_give_the_same_and_leave_threads_and_generators_alone(c, t):
    pytest.importorskip("numba")
    pytest.importorskip("sktime")
    x = series(c=c, t=t)
    transform = MiniRocket(c, t, 840, engine="torch").fit(x, None, 0)
    expected = transform(x)
    transform.engine = "numba"
    before = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    threads = torch.get_num_threads()
    np.testing.assert_allclose(transform(x), expected, atol=1e-6)
    import numba

    numba_threads = numba.get_num_threads()
    transform(x)
    assert numba.get_num_threads() == numba_threads
    torch.set_num_threads(threads)
    transform(x)
    assert torch.get_num_threads() == threads
    after = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    assert after == before


def test_numba_leaves_torch_its_threads_in_a_fresh_process():
    pytest.importorskip("numba")
    pytest.importorskip("sktime")
    code = """
import torch
torch.set_num_threads(1)
from skgdpd.nets.minirocket import MiniRocket
x = torch.randn(4, 1, 20)
transform = MiniRocket(1, 20, 84, engine="numba").fit(x, None, 0)
transform(x)
print(torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stdout + done.stderr


def test_without_sktime_auto_is_torch_and_numba_says_what_is_missing():
    code = """
import sys
sys.modules["numba"] = sys.modules["sktime"] = None
import torch
from skgdpd.nets import minirocket
minirocket.NUMBA_PAYS = 0
x = torch.randn(4, 1, 20)
transform = minirocket.MiniRocket(1, 20, 84).fit(x, None, 0)
assert transform(x).shape == (4, 84)
transform.engine = "numba"
try:
    transform(x)
except ImportError as error:
    assert "pip install 'skgdpd[sktime]'" in str(error), error
else:
    raise AssertionError("no error")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_output_is_a_convolution_with_the_kernel():
    x = series(3, 1, 30)
    transform = MiniRocket(1, 30, 84)
    for kernel in (0, 17, 83):
        weight = -torch.ones(9)
        weight[torch.from_numpy(HEAVY_TAPS[kernel])] = 2
        expected = torch.nn.functional.conv1d(x, weight.view(1, 1, 9), padding=8, dilation=2)
        output = transform._convolve(_taps(x, 2), 0, slice(kernel, kernel + 1))
        np.testing.assert_allclose(output, expected, atol=1e-5)


def test_of_the_series_that_biases_come_from_the_proportion_above_is_known():
    # A bias is the q-quantile of an output, so 1 - q of that output lies above it.
    x = series(1, 1, 200)
    transform = MiniRocket(1, 200, 84 * 5).fit(x, None, 0)
    features = transform(x)[0].numpy()
    quantiles = np.arange(1, transform.n_features + 1) * (np.sqrt(5) + 1) / 2 % 1
    start = 0
    for i, count in enumerate(transform.n_biases):
        part = slice(start, start + N_KERNELS * count)
        own = (1 - quantiles[part] - features[part]).reshape(N_KERNELS, count)
        assert np.abs(own[i % 2 :: 2]).max() <= 1 / 199 + 1e-6
        start = part.stop


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.integers(0, 1000))
def test_kernels_sum_to_zero_so_that_without_padding_the_level_is_no_matter(level, seed):
    x = (series(4, 1, 60, seed) * 64).round() / 64
    level = round(level)
    transform = MiniRocket(1, 60, 84 * 6).fit(x, None, seed)
    plain, raised = transform(x), transform(x + level)
    start = 0
    for i, count in enumerate(transform.n_biases):
        part = slice(start, start + N_KERNELS * count)
        for features in (plain, raised):
            assert ((features >= 0) & (features <= 1)).all()
        a, b = (f[:, part].view(4, N_KERNELS, count)[:, 1 - i % 2 :: 2] for f in (plain, raised))
        # Quantiles between two values may be rounded to either side of a tie.
        assert ((a - b).abs() > 1e-6).float().mean() < 0.02
        start = part.stop


@settings(max_examples=40, deadline=None)
@given(st.integers(9, 3000), st.integers(84, 20_000), st.integers(1, 40))
def test_dilations_fit_into_the_series_and_features_are_as_many_as_wanted(t, n, most):
    dilations, counts = fit_dilations(t, n, most)
    assert sum(counts) == n // 84
    assert 8 * max(dilations) <= t - 1
    assert len(dilations) == len(set(dilations)) <= most
    assert min(dilations) >= 1
    assert min(counts) >= 1


@pytest.mark.parametrize("c", [1, 3])
def test_series_of_unequal_length_are_convolved_each_within_its_own(c):
    x = series(6, c, 50)
    lengths = torch.tensor([50, 4, 20, 50, 9, 31])
    x = x * (torch.arange(50) < lengths[:, None, None])
    transform = MiniRocket(c, 50, 840).fit(x, lengths, 0)
    together = transform(x, lengths)
    for i, length in enumerate(lengths):
        alone = transform(x[i : i + 1, :, : int(length)])
        np.testing.assert_array_equal(together[i], alone[0])
    longer = torch.cat([x, torch.full((6, c, 7), 9.0)], 2)
    np.testing.assert_array_equal(transform(longer, lengths), together)


def test_fewer_than_nine_points_are_extended_by_zeros():
    x = series(5, 2, 4)
    transform = MiniRocket(2, 4, 168).fit(x, None, 0)
    longer = torch.cat([x, torch.zeros(5, 2, 5)], 2)
    np.testing.assert_array_equal(transform(x), transform(longer))


def test_features_are_the_same_bits_alone_in_company_and_in_chunks(monkeypatch):
    x = series(30, 3, 25)
    transform = MiniRocket(3, 25, 840, engine="torch").fit(x, None, 0)
    whole = transform(x)
    np.testing.assert_array_equal(transform(x[7:8]), whole[7:8])
    monkeypatch.setitem(sys.modules[MiniRocket.__module__].CHUNK, "cpu", 1)
    np.testing.assert_array_equal(transform(x), whole)


def test_the_seed_decides():
    x = series(c=4)
    a, b, other = (MiniRocket(4, 40, 840).fit(x, None, seed)(x) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, other)


# the start in closed form


def test_coordinates_keep_all_distances_between_training_rows():
    features = series(9, 1, 200)[:, 0]
    found = span(features)
    assert found.coordinates.shape == (9, 8)
    standard = torch.from_numpy(StandardScaler().fit_transform(features.double()))
    expected = torch.cdist(standard, standard) / 200**0.5
    got = torch.cdist(found.coordinates, found.coordinates)
    # One distance loses half of its digits: that of a row from itself.
    np.testing.assert_allclose(got.square(), expected.square(), atol=1e-9)
    weight = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    centred = features.double() - found.mean
    np.testing.assert_allclose(centred @ found.basis, found.coordinates, atol=1e-9)
    np.testing.assert_allclose(found.of_features(weight), found.basis @ weight, atol=1e-9)


def test_many_rows_give_as_many_directions_as_allowed():
    features = series(60, 1, 100)[:, 0]
    found = span(features, max_rank=10)
    assert found.coordinates.shape == (60, 10)
    assert found.basis.shape == (100, 10)


def test_constant_features_do_no_harm():
    features = torch.cat([torch.ones(6, 3), series(6, 1, 5)[:, 0]], 1)
    found = span(features)
    assert torch.isfinite(found.basis).all()
    for n in (1, 4):
        np.testing.assert_array_equal(span(torch.ones(n, 3)).coordinates, np.zeros((n, 1)))
        rocket, head = fitted_rocket(torch.ones(n, 1, 12), torch.arange(n) % 2)
        assert torch.isfinite(rocket(torch.randn(2, 1, 12)) @ head.weight.float().T).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_is_ridge(weighted):
    x = series(30, 1, 6)[:, 0].double()
    y = (x[:, 0] + 0.3 * x[:, 1] > 0).long() + (x[:, 2] > 1).long()
    target = torch.nn.functional.one_hot(y, 3).double()
    weight = torch.linspace(0.2, 2, 30) if weighted else None
    start = ridge(x, target, weight)
    x, target = x.numpy(), target.numpy()
    w = np.ones(30) if weight is None else (weight / weight.mean()).numpy()
    expected = Ridge(start.penalty).fit(x, 2 * target - 1, sample_weight=w)
    scores = x @ start.weight.numpy() + start.bias.numpy()
    np.testing.assert_allclose(scores, expected.predict(x), atol=1e-5)
    errors = []
    for penalty in PENALTIES:
        left_out = [
            Ridge(float(penalty))
            .fit(np.delete(x, i, 0), np.delete(2 * target - 1, i, 0), np.delete(w, i))
            .predict(x[i : i + 1])[0]
            for i in range(30)
        ]
        errors.append(((left_out - (2 * target - 1)) ** 2 * w[:, None]).mean())
    assert errors[int((PENALTIES == start.penalty).nonzero())] <= min(errors) * 1.01


def test_the_scale_is_small_where_nothing_can_be_known_and_finite_where_all_is():
    x = series(40, 1, 3)[:, 0].double()
    unknown = torch.nn.functional.one_hot(torch.arange(40) % 2, 2)
    known = torch.nn.functional.one_hot((x[:, 0] > 0).long(), 2)
    assert ridge(x, unknown).scale < ridge(x * 100, known).scale < 31


# the backbones


def fitted_rocket(x, y, **kwargs):
    rocket = Rocket(x.shape[1], x.shape[2], **{"n_features": 10, "n_fixed": 420, **kwargs})
    target = torch.nn.functional.one_hot(y, max(2, int(y.max()) + 1)).float()
    head = rocket.fit_fixed(x, None, target, None, 0)
    return rocket, head


def test_the_start_is_the_ridge_classifier():
    x, y = series(20), torch.arange(20) % 3
    rocket, head = fitted_rocket(x, y)
    coordinates = rocket.featurize(x)
    start = ridge(coordinates.double(), torch.nn.functional.one_hot(y))
    logits = rocket(x) @ head.weight.float().T + head.bias.float()
    expected = start.scale * (coordinates.double() @ start.weight + start.bias)
    np.testing.assert_allclose(logits.detach(), expected, atol=1e-3)
    np.testing.assert_allclose(rocket(x).detach().std(0, correction=0)[:3], 1, atol=1e-3)


@pytest.mark.parametrize("n_features", [1, 2, 10, 40])
def test_any_width_will_do(n_features):
    x, y = series(20), torch.arange(20) % 4
    rocket, head = fitted_rocket(x, y, n_features=n_features)
    assert rocket(x).shape == (20, n_features)
    assert head.weight.shape == (4, n_features)
    assert torch.isfinite(rocket(x)).all()


def test_folding_changes_nothing_but_the_number_of_weights():
    x, y = series(20), torch.arange(20) % 2
    rocket, _ = fitted_rocket(x, y)
    rank = rocket.featurize(x).shape[1]
    assert rank <= 19
    assert sum(p.numel() for p in rocket.parameters()) == rank * 10 + 10
    other = series(8, seed=1)
    before = rocket(other).detach()
    rocket.fold()
    rocket.fold()
    assert sum(p.numel() for p in rocket.parameters()) == 420 * 10 + 10
    np.testing.assert_allclose(rocket(other).detach(), before, atol=1e-4)
    fresh = Rocket(1, 40, n_features=10, n_fixed=420)
    fresh.load_state_dict(rocket.state_dict())
    np.testing.assert_array_equal(fresh(other).detach(), rocket(other).detach())


@pytest.mark.parametrize("name", ["rocket", "hybrid"])
def test_by_name(name):
    backbone = make_backbone(name, 2, 30)
    assert backbone.n_features == {"rocket": 128, "hybrid": 256}[name]


@pytest.mark.parametrize("own", [None, torch.arange(20, 50)], ids=["equal", "ragged"])
def test_features_of_many_series_are_never_held_all_at_once(own, monkeypatch):
    monkeypatch.setattr("skgdpd.nets.rocket.AT_ONCE", 7)
    seen = []
    original = MiniRocket.forward

    def counting(self, x, lengths=None):
        seen.append(len(x))
        return original(self, x, lengths)

    monkeypatch.setattr(MiniRocket, "forward", counting)
    x, target = series(30, t=50), torch.eye(2)[torch.arange(30) % 2]
    rocket = Rocket(1, 50, n_features=10, n_fixed=420, max_rank=5)
    head = rocket.fit_fixed(x, own, target, None, 0)
    coordinates = rocket.featurize(x, own)
    assert max(seen) == 10
    expected = (original(rocket.transform, x, own) - rocket.mean) @ rocket.basis
    np.testing.assert_allclose(coordinates, expected, atol=1e-4)
    # The start is that of ridge regression on the coordinates of all.
    start = ridge(expected.double(), target)
    logits = start.scale * (expected.double() @ start.weight + start.bias)
    found = rocket(x, own) @ head.weight.float().T + head.bias.float()
    np.testing.assert_allclose(found.detach(), logits, atol=1e-2)


def test_fixed_features_are_computed_once(bumps, monkeypatch):
    X, y = bumps
    rows = []
    original = MiniRocket.forward

    def counting(self, x, lengths=None):
        rows.append(len(x))
        return original(self, x, lengths)

    monkeypatch.setattr(MiniRocket, "forward", counting)
    PrefixClassifier(**SMALL, training=TrainingOptions(validation_fraction=0.2)).fit(X, y)
    probe, *fit = rows
    assert probe == 2
    assert fit == [48, 12]  # the training part, and the validation part


def test_what_is_fixed_is_fitted_on_the_training_part_only(bumps):
    X, y = bumps
    clf = PrefixClassifier(
        **{**SMALL, "normalize": None}, training=TrainingOptions(validation_fraction=0.2)
    )
    codes = np.unique(y, return_inverse=True)[1]
    train, valid = stratified_split(codes, 0.2, Seeds(0)("split"))
    other = X.copy()
    other[valid] = other[valid] * 3 + 1
    a, b = (clf.fit(values, y).module_.backbone for values in (X, other))
    np.testing.assert_array_equal(a.transform.biases, b.transform.biases)
    np.testing.assert_array_equal(a.mean, b.mean)
    other = X.copy()
    other[train] = other[train] * 3 + 1
    c = clf.fit(other, y).module_.backbone
    assert not np.array_equal(a.transform.biases, c.transform.biases)


class Levels(torch.nn.Module):
    """A user's backbone: fixed features by the contract, and no word on whether they are all."""

    n_features = 2

    def __init__(self, n_channels, n_timepoints):
        super().__init__()
        self.projection = torch.nn.Linear(2 * n_channels, 2)
        self.folded = False

    def fit_fixed(self, x, lengths, target, weight, seed):
        fixed = self.featurize(x, lengths)
        return ClosedFormStart(torch.eye(2), torch.zeros(2), fixed, torch.zeros_like(target))

    def featurize(self, x, lengths=None):
        return torch.cat([x.mean(2), x.std(2)], 1)

    def forward(self, x, lengths=None, fixed=None):
        return self.projection(self.featurize(x) if fixed is None else fixed)

    def fold(self):
        self.folded = True


def test_a_users_backbone_with_a_fixed_part_needs_no_more_than_the_contract(bumps):
    X, y = bumps
    clf = PrefixClassifier(Levels, max_epochs=4, random_state=0).fit(X, y)
    assert clf.module_.backbone.folded
    assert clf.predict_proba(X).shape == (len(X), 2)
    taught = GDPDClassifier(student=Levels, teacher="lstm1-8", max_epochs=4, random_state=0)
    assert taught.fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize("student", [TINY, Hybrid], ids=["rocket", "hybrid"])
def test_the_future_has_no_influence_on_fit_or_prediction(bumps, student):
    X, y = bumps
    other = X.copy()
    other[:, :, 20:] = np.random.default_rng(0).normal(size=(60, 1, 20))
    params = {**SMALL, "student": student, "max_epochs": 2}
    fits = [PrefixClassifier(**params).fit(values, y) for values in (X, other)]
    expected = fits[0].predict_proba(X)
    for fit in fits:
        for values in (X, other, X[:, :, :20]):
            np.testing.assert_array_equal(fit.predict_proba(values), expected)


def test_predictions_are_the_same_for_some_as_for_all(bumps):
    X, y = bumps
    clf = PrefixClassifier(**{**SMALL, "student": "rocket"}).fit(X, y)
    whole = clf.predict_proba(X)
    np.testing.assert_allclose(clf.predict_proba(X[5:9]), whole[5:9], atol=1e-6)
    np.testing.assert_array_equal(clf.predict_proba(X), whole)
    small = clf.set_params(series__predict_batch_size=7).fit(X, y)
    np.testing.assert_allclose(small.predict_proba(X), whole, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_pickles_predict_alike(bumps):
    X, y = bumps
    a, b = (PrefixClassifier(**SMALL).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(a)).embed(X), a.embed(X))
    other = PrefixClassifier(**{**SMALL, "random_state": 1}).fit(X, y)
    assert not np.array_equal(other.embed(X), a.embed(X))


@pytest.mark.parametrize("teacher", [None, "lstm1-8"])
def test_as_student_and_as_teacher(bumps, teacher):
    X, y = bumps
    clf = GDPDClassifier(teacher, prior=DiffusionFeaturePrior(max_epochs=3), **SMALL).fit(X, y)
    assert clf.score(X, y) > 0.8
    assert clf.teacher_.embed(X).shape == (60, 12 if teacher is None else 8)
    taught = DistilledPrefixClassifier(teacher=TINY, **{**SMALL, "student": "lstm1-8"})
    assert taught.fit(X, y).teacher_.predict_proba(X).shape == (60, 2)


def test_the_teachers_fixed_part_sees_whole_series(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(**SMALL).fit(X, y)
    other = X.copy()
    other[:, :, 20:] *= 2
    again = DistilledPrefixClassifier(**SMALL).fit(other, y)
    of_teachers = [c.teacher_.network_.module.backbone.mean for c in (clf, again)]
    of_students = [c.module_.backbone.mean for c in (clf, again)]
    assert not np.array_equal(*of_teachers)
    np.testing.assert_array_equal(*of_students)


def test_the_start_learns_from_what_the_teacher_says_of_unlabelled_series():
    # The label shows in the first part only by a shape that two labels can't tell from noise.
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    X = rng.normal(size=(240, 1, 40))
    X[:, 0, 5] += 3 * y
    X[:, 0, 30:] += 4 * y[:, None]
    params = {**SMALL, "max_epochs": 1, "lr": 1e-9}
    params |= {"training": TrainingOptions(validation_fraction=0.0)}
    few, pool, test = slice(0, 10), slice(10, 140), slice(140, None)
    alone = DistilledPrefixClassifier(**params).fit(X[few], y[few])
    taught = DistilledPrefixClassifier(**params).fit(X[few], y[few], X_unlabeled=X[pool])
    assert taught.score(X[test], y[test]) > alone.score(X[test], y[test]) + 0.1


@pytest.mark.parametrize("student", [TINY, Hybrid], ids=["rocket", "hybrid"])
@pytest.mark.parametrize("missing", ["interpolate", "mask"])
def test_ragged_series_with_gaps_and_short_prefixes(basic_motions, student, missing):
    X, y = basic_motions.X[:, :, :60].copy(), basic_motions.y
    for i, row in enumerate(X):
        row[:, 60 - i :] = np.nan
    X[3, 2, 4] = np.nan
    clf = PrefixClassifier(
        student,
        earliness=0.5,
        max_epochs=2,
        series=SeriesOptions(missing_values=missing),
        random_state=0,
    )
    proba = clf.fit(X, y).predict_proba(X)
    assert np.isfinite(proba).all()
    assert clf.score(X, y) > 0.7
    np.testing.assert_allclose(clf.predict_proba(X[3:4]), proba[3:4], atol=1e-5)


def test_two_points_are_enough(bumps):
    X, y = bumps
    clf = PrefixClassifier(**{**SMALL, "earliness": 2}).fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_class_and_sample_weights_count_from_the_start(bumps):
    X, y = bumps
    params = {**SMALL, "max_epochs": 1, "lr": 1e-9, "earliness": 4}
    plain = PrefixClassifier(**params).fit(X, y).predict_proba(X)[:, 1].mean()
    heavy = PrefixClassifier(class_weight={"no": 1, "yes": 20}, **params).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > plain + 0.1


@pytest.mark.parametrize("normalize", ["train", "prefix"])
def test_as_good_as_ridge_on_the_same_features(gunpoint, normalize):
    d = gunpoint
    clf = PrefixClassifier("rocket", earliness=0.5, normalize=normalize, random_state=0)
    clf.fit(d.X, d.y)
    view = clf.network_.view
    codes = np.unique(d.y, return_inverse=True)[1]
    train, _ = stratified_split(codes, 0.2, Seeds(0)("split"))
    from skgdpd._series.panel import Panel

    transform = clf.module_.backbone.transform
    a, b = (
        transform(torch.from_numpy(view(Panel(values)).values)).numpy()
        for values in (d.X[train], d.X_test)
    )
    baseline = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    assert clf.score(d.X_test, d.y_test) > baseline.fit(a, d.y[train]).score(b, d.y_test) - 0.03


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_cuda_gives_the_same_features_and_model(bumps):
    X, y = bumps
    x = series(c=3)
    transform = MiniRocket(3, 40, 840).fit(x, None, 0)
    expected = transform(x)
    np.testing.assert_allclose(transform.cuda()(x.cuda()).cpu(), expected, atol=1e-6)
    clf = PrefixClassifier(**SMALL, device="cuda").fit(X, y)
    on_cpu = PrefixClassifier(**SMALL, device="cpu").fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), on_cpu.predict_proba(X), atol=0.05)


strict = {"xfail_strict": True} if "xfail_strict" in inspect.signature(
    parametrize_with_checks
).parameters else {}  # fmt: skip


@pytest.mark.slow
@parametrize_with_checks(
    [
        PrefixClassifier(student, earliness=1.0, max_epochs=12, batch_size=8)
        for student in (TINY, partial(RocketQuant, n_features=12, n_fixed=420, n_trees=20))
    ],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "training in mini-batches"
    },
    **strict,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("student", "more", "fraction"),
    [
        (TINY, {}, 0.0),
        (TINY, {"training__early_stopping": 2}, 0.2),
        ("lstm1-8", {}, 0.2),
    ],
    ids=["closed form", "it stops early", "from nothing"],
)
def test_validation_series_are_set_apart_where_an_epoch_is_chosen(student, more, fraction, bumps):
    X, y = bumps
    clf = PrefixClassifier(**{**SMALL, "student": student}).set_params(**more)
    found = clone(clf).fit(X, y)
    expected = clf.set_params(training__validation_fraction=fraction).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert (found.history_.best_epoch is None) == (fraction == 0)


def test_backbones_that_start_fitted_are_known_by_name_class_and_part():
    assert all(
        map(
            starts_fitted,
            [
                "rocket",
                "rocket-quant",
                "mixed",
                "hybrid",
                Rocket,
                TINY,
                partial(TINY),
                Rocket(1, 9),
            ],
        )
    )
    assert not any(map(starts_fitted, ["fcn", "no such name", torch.nn.Linear(2, 2), len]))


def test_a_series_alone_gets_what_it_gets_in_company(gunpoint):
    clf = PrefixClassifier("rocket", earliness=0.3, max_epochs=1, random_state=0)
    clf.fit(gunpoint.X, gunpoint.y)
    together = clf.predict_proba(gunpoint.X_test[:40])
    for n in (1, 2, 7, 15):
        np.testing.assert_allclose(
            clf.predict_proba(gunpoint.X_test[:n]), together[:n], rtol=0, atol=1e-7
        )


@pytest.mark.parametrize("student", ["rocket", "mixed"])
def test_no_epochs_leave_the_closed_form(student):
    X, y = make_bumps(30, 20, random_state=0)
    untrained = PrefixClassifier(student, max_epochs=0, random_state=0).fit(X, y)
    still = PrefixClassifier(student, max_epochs=1, lr=1e-12, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        untrained.predict_proba(X), still.predict_proba(X), rtol=1e-5, atol=1e-6
    )
    assert untrained.history_.n_epochs == 0
    assert untrained.score(X, y) > 0.8


def test_no_epochs_in_a_search_are_the_closed_form():
    X, y = make_bumps(30, 20, random_state=0)
    clf = PrefixClassifier("rocket", random_state=0)
    search = GridSearchCV(clf, {"max_epochs": [0, 1]}, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("earliness", [0.5, [0.5, 1.0]])
def test_no_epochs_are_refused_where_there_is_no_closed_form(earliness):
    X, y = make_bumps(30, 20, random_state=0)
    with pytest.raises(ValueError, match=r"max_epochs=0 .* student='fcn'"):
        PrefixClassifier("fcn", earliness=earliness, max_epochs=0).fit(X, y)
    with pytest.raises(ValueError, match="max_epochs"):
        DistilledPrefixClassifier(max_epochs=0).fit(X, y)


def test_no_epochs_hold_no_series_out():
    X, y = make_bumps(30, 20, random_state=0)
    options = TrainingOptions(early_stopping=2)
    with pytest.warns(UserWarning, match="early_stopping=2 has no effect"):
        clf = PrefixClassifier("rocket", max_epochs=0, training=options).fit(X, y)
    assert clf.history_.n_labeled == 30
