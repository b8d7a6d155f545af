"""Methods that compare activations over time: which steps, whose, and when nobody has any."""

import pickle

import numpy as np
import pytest
import torch
from contexts import MAPS, make_output, make_rows, prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import skgdpd._series.storage as storage
from skgdpd import DistilledPrefixClassifier, SeriesOptions, TrainingOptions, load
from skgdpd._series.panel import Panel
from skgdpd._teachers.maps import taught_maps
from skgdpd.benchmarking.kinds import DISTILLERS
from skgdpd.distillers import AT, PACED, Hinton, SoftDTW, TeKAP
from skgdpd.distillers.maps import attention
from skgdpd.distillers.time_steps import own_steps, resampled_beginning, window_means
from skgdpd.nets import available_backbones, has_maps, make_backbone
from skgdpd.nets.student import SeriesOutput

QUICK = {"student": "fcn24", "max_epochs": 2, "random_state": 0, "earliness": 0.5, "device": "cpu"}
SEEDS = st.integers(0, 10**6)


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def ragged(X):
    return [x[:, : 20 + i % 20] for i, x in enumerate(X)]


class Strided(nn.Module):
    """A backbone of one's own: every other step, pooled by the maximum."""

    def __init__(self, n_channels, n_timepoints):
        super().__init__()
        self.convolution = nn.Conv1d(n_channels, 6, 3, stride=2, padding=1)

    def maps(self, x):
        return self.convolution(x).relu()

    def features_from_maps(self, maps):
        return maps.amax(2)

    def forward(self, x):
        return self.features_from_maps(self.maps(x))


class WrongMaps(Strided):
    def forward(self, x):
        return super().forward(x)[:, :4]


def flat(X):
    return np.reshape(X, (len(X), -1))


# --- steps -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(2, 12), st.data())
def test_at_the_same_rate_the_beginning_is_only_cut(seed, n_teacher, data):
    n_own = data.draw(st.integers(1, n_teacher))
    values = normal(seed, 2, n_teacher)
    reach = torch.full((2,), (n_own - 1) / (n_teacher - 1))
    found = resampled_beginning(values, reach, torch.full((2,), n_own), n_own + 2)
    torch.testing.assert_close(found[:, :n_own], values[:, :n_own], atol=1e-5, rtol=0)
    assert (found[:, n_own:] == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(2, 12), st.floats(0, 1))
def test_interpolation_of_a_line_is_a_line_to_its_reach(n_teacher, n_steps, reach):
    line = torch.arange(n_teacher, dtype=torch.float64)[None]
    found = resampled_beginning(line, torch.tensor([reach]), torch.tensor([n_steps]), n_steps)
    expected = torch.linspace(0, reach * (n_teacher - 1), n_steps, dtype=torch.float64)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)


def test_windows_are_means_of_what_is_there():
    maps = normal(0, 2, 3, 7)
    found = window_means(maps, 3, torch.tensor([7, 4]))
    torch.testing.assert_close(found[0, 2], maps[0, :, 6])
    torch.testing.assert_close(found[1, 1], maps[1, :, 3])
    assert (found[1, 2] == 0).all()
    torch.testing.assert_close(window_means(maps, 3)[0], found[0])
    torch.testing.assert_close(window_means(maps, 1), maps.transpose(1, 2))


def test_own_steps_are_those_that_a_series_reaches():
    batch = {"x": torch.zeros(4, 1, 10), "lengths": torch.tensor([10, 5, 6, 1])}
    assert own_steps(batch, 10).tolist() == [10, 5, 6, 1]
    assert own_steps(batch, 5).tolist() == [5, 3, 3, 1]
    assert own_steps({"x": batch["x"]}, 5) is None


# --- attention ---------------------------------------------------------------------------------


def test_equal_attention_costs_nothing_whatever_its_scale_and_its_channels():
    output, rows = make_output(), make_rows()
    batch = rows.tensors | {"teacher_attention": 7 * attention(output.maps.detach())}
    assert AT().loss(output, batch).item() == pytest.approx(0, abs=1e-12)
    turn = torch.linalg.qr(normal(1, 4, 4)).Q
    turned = output._replace(maps=3 * turn @ output.maps)
    torch.testing.assert_close(AT().loss(turned, rows.tensors), AT().loss(output, rows.tensors))


def test_attention_at_other_times_costs_two():
    maps = torch.eye(3, dtype=torch.float64)[:, None]
    output = SeriesOutput(maps[:, 0], maps[:, 0], maps)
    batch = {"teacher_attention": maps[[1, 2, 0], 0]}
    assert AT().loss(output, batch).item() == pytest.approx(2)


def test_what_the_student_makes_of_padding_is_not_looked_at():
    output, rows = make_output(), make_rows()
    lengths = torch.tensor([5, 4, 3, 2, 1, 5, 4, 3])
    batch = rows.tensors | {"lengths": lengths}
    beyond = torch.arange(5) >= lengths[:, None]
    other = output._replace(maps=torch.where(beyond[:, None], 9.0, output.maps))
    for distiller in (AT(), SoftDTW()):
        distillation = prepared(distiller, rows)
        losses = [
            next(iter(distillation.terms(None, o, batch, None).values())) for o in (output, other)
        ]
        torch.testing.assert_close(*losses)
        plain = next(iter(distillation.terms(None, output, rows.tensors, None).values()))
        assert abs(plain - losses[0]) > 1e-6


# --- soft-DTW ----------------------------------------------------------------------------------


def test_a_student_that_is_the_teachers_beginning_has_no_divergence():
    rows = make_rows()
    distillation = prepared(SoftDTW(), rows)
    distillation.regressor = nn.Linear(3, 3).double()
    with torch.no_grad():
        distillation.regressor.weight.copy_(torch.eye(3) / distillation.scale)
        distillation.regressor.bias.copy_(-distillation.mean / distillation.scale)
    beginning = rows.tensors["teacher_steps"][:, :5].transpose(1, 2)
    output = make_output()._replace(maps=beginning)
    assert distillation.divergences(output, rows.tensors).abs().max() < 1e-9


def test_the_teachers_scale_and_offset_do_not_matter():
    rows = make_rows()
    other = make_rows()
    other.tensors["teacher_steps"] = 100 * rows.tensors["teacher_steps"] + 5
    losses = [
        prepared(SoftDTW(), known).divergences(make_output(), known.tensors)
        for known in (rows, other)
    ]
    torch.testing.assert_close(*losses)


def test_a_step_of_the_students_takes_as_long_as_one_of_the_teachers():
    for n_steps in (1, 2, 3, 7, 32):
        width = prepared(SoftDTW(n_steps=n_steps), make_rows()).width
        assert width == -(-MAPS.n_teacher_steps // n_steps)


# --- what is kept of the teacher ----------------------------------------------------------------


@pytest.mark.parametrize("teacher", ["fcn24", "lstm1-8", Strided])
@pytest.mark.parametrize(
    ("params", "is_ragged"),
    [
        ({}, False),
        ({}, True),
        ({"earliness_of": "own"}, True),
        ({"resample_length": 24}, False),
        ({"resample_length": 24}, True),
        ({"missing_values": "mask"}, True),
    ],
)
def test_each_row_has_the_attention_of_its_own_series(bumps, teacher, params, is_ragged):
    X, y = bumps
    series = ragged(X) if is_ragged else X
    if teacher is Strided and is_ragged and "resample_length" not in params:
        pytest.skip("takes no lengths")
    options = SeriesOptions(predict_batch_size=7, **params)
    clf = DistilledPrefixClassifier(AT(), teacher=teacher, **QUICK, series=options)
    clf.fit(series, y)
    view, network = clf.network_.view, clf.teacher_.network_
    panel = Panel(np.stack([np.pad(x, ((0, 0), (0, 40 - x.shape[1])), constant_values=np.nan)
                            for x in series]).astype(np.float32))  # fmt: skip
    shapes, constants = taught_maps(
        clf.distillation_, clf.module_, view, clf.teacher_, lambda: (panel, panel)
    )
    found = constants["teacher_attention"]
    assert found.shape == (len(series), shapes.n_student_steps)
    for i in range(0, len(series), 5):
        length = series[i].shape[1]
        whole = Panel(series[i][None].astype(np.float32))
        values = network.view(whole).values
        own = values[:, :, :length] if "resample_length" not in params else values
        with torch.no_grad():
            maps = network.module.backbone.maps(torch.from_numpy(own))
        seen = view(whole)
        n_seen = max(len(x[0]) for x in series) // 2
        if params.get("earliness_of") == "own":
            n_seen = length // 2
        n_seen = min(n_seen, length)
        n_own = shapes.n_student_steps
        if is_ragged and "resample_length" not in params:
            assert seen.lengths.tolist() == [n_seen]
            n_own = n_seen
        reach = (n_seen - 1) / (length - 1) * (maps.shape[2] - 1)
        curve = maps[0].square().mean(0).numpy()
        expected = np.interp(np.linspace(0, reach, n_own), np.arange(len(curve)), curve)
        np.testing.assert_allclose(found[i, :n_own], expected, rtol=1e-3, atol=1e-5)
        assert (found[i, n_own:] == 0).all()


class Seen(AT):
    """Attention transfer that notes which rows it was given."""

    pairs = []

    def loss(self, output, batch):
        self.pairs.append((batch["x"][:, 0].clone(), batch["teacher_attention"].clone()))
        return super().loss(output, batch)


def test_batches_hold_their_own_rows_labelled_and_not(bumps):
    X, y = bumps
    Seen.pairs = []
    clf = DistilledPrefixClassifier(Seen(), **QUICK | {"normalize": None}, batch_size=7)
    clf.fit(X[:24], y[:24], X_unlabeled=X[24:])
    panel = Panel(X.astype(np.float32))
    _, constants = taught_maps(
        clf.distillation_, clf.module_, clf.network_.view, clf.teacher_, lambda: (panel, panel)
    )
    numbers = {x[0, :20].astype(np.float32).tobytes(): i for i, x in enumerate(X)}
    met = set()
    for series, kept in Seen.pairs:
        rows = [numbers[row.numpy().tobytes()] for row in series]
        np.testing.assert_allclose(kept, constants["teacher_attention"][rows], rtol=1e-4)
        met |= set(rows)
    assert met >= set(range(24, len(X)))


@pytest.mark.parametrize("distiller", [AT(), SoftDTW()], ids=repr)
def test_series_that_stay_in_their_file_give_the_same(bumps, distiller, tmp_path, monkeypatch):
    X, y = bumps
    X = X.astype(np.float32)
    params = QUICK | {"normalize": None, "distiller": distiller}
    plain = DistilledPrefixClassifier(**params).fit(X[:30], y[:30], X_unlabeled=X[30:])
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(storage, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(storage, "CHUNK_BYTES", 7 * 40 * 4)
    clf = DistilledPrefixClassifier(**params, series=SeriesOptions(predict_batch_size=9))
    clf.fit(stored[:30], y[:30], X_unlabeled=stored[30:])
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-5)


def test_whole_series_may_come_apart(bumps):
    X, y = bumps
    apart = DistilledPrefixClassifier(AT(), **QUICK).fit(X[:, :, :20], y, X_teacher=X)
    plain = DistilledPrefixClassifier(AT(), **QUICK).fit(X, y)
    np.testing.assert_array_equal(apart.predict_proba(X[:, :, :20]), plain.predict_proba(X))


# --- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "distiller", [AT(), SoftDTW(), TeKAP(AT()), TeKAP(SoftDTW()), PACED(SoftDTW())], ids=repr
)
def test_a_seed_gives_the_same_bits_and_pickles_and_files_predict_alike(
    bumps, distiller, tmp_path
):
    X, y = bumps
    clfs = [DistilledPrefixClassifier(distiller, **QUICK).fit(X, y) for _ in range(2)]
    expected = clfs[0].predict_proba(X)
    np.testing.assert_array_equal(clfs[1].predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clfs[0])).predict_proba(X), expected)
    clfs[0].save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), expected)
    without = DistilledPrefixClassifier(clone(distiller).set_params(lambda_kd=0.0), **QUICK).fit(
        X, y
    )
    assert (without.predict_proba(X) != expected).any()


@pytest.mark.parametrize("distiller", [AT(), SoftDTW(gamma=0.5, n_steps=8)], ids=repr)
@pytest.mark.parametrize(
    ("student", "teacher"),
    [("lstm1-8", "fcn24"), (Strided, None), ("fcn24", Strided(1, 40)), ("inception", "lstm1-8")],
    ids=str,
)
@pytest.mark.parametrize(
    "params", [{}, {"training": TrainingOptions(precision="bf16")}, {"earliness": 1.0}], ids=str
)
def test_students_and_teachers_of_any_widths_and_rates(bumps, distiller, student, teacher, params):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        distiller, teacher=teacher, **QUICK | {"student": student} | params
    ).fit(X, y)
    term = clf.history_[type(distiller).__name__.lower()]
    assert np.isfinite(term).all()
    assert np.isfinite(clf.predict_proba(X)).all()


def test_the_students_maps_cost_no_second_pass_and_others_do_not_ask(bumps):
    class Counting(Strided):
        calls = 0

        def maps(self, x):
            type(self).calls += self.training
            return super().maps(x)

    X, y = bumps
    calls = []
    for distiller in (Hinton(), AT()):
        Counting.calls = 0
        DistilledPrefixClassifier(
            distiller, teacher=Strided, **QUICK | {"student": Counting}, batch_size=8
        ).fit(X, y)
        calls.append(Counting.calls)
    assert calls[0] == calls[1] > 0


def test_the_loss_falls(bumps):
    X, y = bumps
    for distiller in (AT(), SoftDTW()):
        clf = DistilledPrefixClassifier(distiller, **QUICK | {"max_epochs": 30}).fit(X, y)
        term = clf.history_[type(distiller).__name__.lower()]
        assert term[-5:].mean() < 0.7 * term[:3].mean()


@pytest.mark.parametrize("distiller", [AT(), SoftDTW(), PACED(AT())], ids=repr)
@pytest.mark.parametrize("is_ragged", [False, True])
def test_streams_are_learned_from(bumps, distiller, is_ragged):
    X, y = bumps
    series = ragged(X) if is_ragged else list(X)
    clf = DistilledPrefixClassifier(distiller, **QUICK)
    clf.partial_fit(series[:30], y[:30], classes=np.unique(y))
    before = clf.predict_proba(series)
    # The second chunk's series are shorter than the first's longest.
    later = sorted(series[30:], key=lambda x: x.shape[1])[: 8 if is_ragged else 10]
    clf.partial_fit(later, y[30:][: len(later)])
    assert np.isfinite(clf.history_[type(distiller).__name__.lower()]).all()
    assert (clf.predict_proba(series) != before).any()


def test_a_grid_search_varies_its_parameters(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(SoftDTW(), **QUICK)
    grid = {"distiller__gamma": [0.1, 1.2], "distiller__n_steps": [4]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 2


def test_benchmarks_know_them_by_name():
    assert {"at", "softdtw"} <= set(DISTILLERS)


# --- refusals ----------------------------------------------------------------------------------


class Late(LogisticRegression):
    def fit(self, X, y):
        raise AssertionError("the teacher was fitted first")


def fitted_late():
    late = Late()
    late.classes_ = np.array(["no", "yes"])
    return late


@pytest.mark.parametrize("distiller", [AT(), SoftDTW(), TeKAP(AT()), PACED(SoftDTW())], ids=repr)
@pytest.mark.parametrize("student", ["rocket", "mixed", "hybrid", nn.Flatten()], ids=str)
def test_a_student_without_activations_is_refused_first(bumps, distiller, student):
    clf = DistilledPrefixClassifier(distiller, **QUICK | {"student": student}, teacher=Late())
    words = r"over time, which student=.*doesn't have; allowed are 'fcn', 'fcn24', 'incep"
    with pytest.raises(ValueError, match=words):
        clf.fit(*bumps)


@pytest.mark.parametrize(
    "teacher",
    [
        "rocket",
        Late(),
        FrozenEstimator(fitted_late()),
        ["fcn", "fcn24"],
        [None, Late()],
        nn.Flatten(),
    ],
    ids=str,
)
def test_a_teacher_without_activations_is_refused(bumps, teacher):
    clf = DistilledPrefixClassifier(AT(), **QUICK, teacher=teacher)
    words = r"over time, which teacher=.*doesn't have; allowed are None \(the student's arch"
    with pytest.raises(ValueError, match=words):
        clf.fit(*bumps)


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_activations_that_do_not_give_the_features_are_refused(bumps, name):
    clf = DistilledPrefixClassifier(AT(), **QUICK | {name: WrongMaps})
    with pytest.raises(ValueError, match=rf"{name}: WrongMaps.maps must map \(n, 1, \d+\) to"):
        clf.fit(*bumps)


def test_other_methods_need_no_activations(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        TeKAP(), teacher=make_pipeline(FunctionTransformer(flat), LogisticRegression()),
        **QUICK | {"student": nn.Flatten()},
    ).fit(X, y)  # fmt: skip
    assert np.isfinite(clf.predict_proba(X)).all()


def test_names_without_activations_are_those_with_a_fixed_part():
    without = {n for n in available_backbones() if not has_maps(make_backbone(n, 1, 40))}
    assert without == {"rocket", "rocket-quant", "mixed", "hybrid"}
    assert not has_maps(nn.Flatten())
