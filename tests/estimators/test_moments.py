"""One model for several moments: ``earliness`` as a list."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    PrefixClassifier,
    SeriesOptions,
    SharedGridSearchCV,
    load,
)
from skgdpd.distillers import AT, FitNets, GenDD
from skgdpd.testing import check_prefix_classifier

MOMENTS = [0.1, 0.25, 0.5, 1.0]
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
SMALL = {"earliness": MOMENTS, "max_epochs": 2, "random_state": 0}
CLASSIFIERS = {
    "closed form": PrefixClassifier(**SMALL),
    "by prefix": PrefixClassifier(**SMALL, normalize="prefix"),
    "tcn": PrefixClassifier("tcn", **SMALL),
    "lstm": PrefixClassifier("lstm1-8", **SMALL),
    "fcn": PrefixClassifier("fcn24", **SMALL, normalize="prefix"),
    "taught": DistilledPrefixClassifier(**SMALL, teacher="lstm1-8"),
    "fitnets": DistilledPrefixClassifier(FitNets(), student="lstm1-8", **SMALL),
    "gdpd": GDPDClassifier(**SMALL, teacher="lstm1-8", prior=PRIOR),
}
HALF = 20  # of 40 time points


@pytest.fixture(scope="module", params=CLASSIFIERS)
def fitted(request, bumps):
    return clone(CLASSIFIERS[request.param]).fit(*bumps)


@pytest.fixture
def ragged(bumps):
    X = bumps[0].copy()
    for i, row in enumerate(X):
        row[:, 8 + i % 33 :] = np.nan
    return X


def ends(X):
    return (~np.isnan(X)).all(1).sum(1)


# The moments


def test_moments_are_shares_of_the_longest_series(fitted, bumps):
    assert fitted.time_points_.tolist() == [4, 10, 20, 40]
    assert fitted.prefix_length_ == 4
    assert fitted.predict_proba_path(bumps[0]).shape == (60, 4, 2)


def test_moments_that_coincide_are_one(bumps):
    X, y = bumps
    shares = (np.arange(1, 21) / 20).tolist()
    clf = PrefixClassifier(earliness=shares, random_state=0).fit(X[:, :, :24], y)
    assert clf.time_points_.tolist() == sorted({max(2, int(k * 24 / 20)) for k in range(1, 21)})
    assert len(clf.time_points_) == 19


@pytest.mark.parametrize("student", ["rocket", "rocket-quant", "mixed", "lstm1-8"])
@pytest.mark.parametrize("part", [0.5, 20])
def test_a_list_of_one_is_that_part_to_the_same_bits(bumps, student, part):
    X, y = bumps
    settings = {"max_epochs": 2, "random_state": 0}
    one = PrefixClassifier(student, earliness=[part], **settings).fit(X, y)
    plain = PrefixClassifier(student, earliness=part, **settings).fit(X, y)
    assert np.array_equal(one.predict_proba(X), plain.predict_proba(X))
    assert one.time_points_.tolist() == plain.time_points_.tolist() == [20]
    assert np.array_equal(plain.predict_proba_path(X)[:, 0], plain.predict_proba(X))


def test_shares_that_fall_together_are_one_moment(bumps):
    X, y = bumps
    both = PrefixClassifier("lstm1-8", earliness=[0.5, 0.51], max_epochs=2, random_state=0)
    one = clone(both).set_params(earliness=0.5)
    assert np.array_equal(both.fit(X, y).predict_proba(X), one.fit(X, y).predict_proba(X))


@pytest.mark.parametrize("student", ["lstm1-8", "tcn"])
def test_every_point_may_be_a_moment(student, bumps):
    X, y = bumps
    clf = PrefixClassifier(student, earliness="every", max_epochs=2, random_state=0).fit(X, y)
    assert clf.time_points_.tolist() == list(range(2, 41))
    assert clf.predict_proba(X[:, :, :17]) == pytest.approx(
        clf.predict_proba_path(X)[:, 15], abs=1e-6
    )


@pytest.mark.parametrize("student", ["rocket-quant", "fcn24"])
def test_every_point_needs_a_state(student, bumps):
    with pytest.raises(ValueError, match="'every' needs a student with a state per point"):
        PrefixClassifier(student, earliness="every").fit(*bumps)


# Answers


def test_the_answer_is_that_of_the_latest_moment_reached(fitted, bumps):
    X = bumps[0]
    path = fitted.predict_proba_path(X)
    for n_points, moment in [(4, 0), (9, 0), (10, 1), (39, 2), (40, 3)]:
        answer = fitted.predict_proba(X[:, :, :n_points])
        assert answer == pytest.approx(path[:, moment], abs=1e-6)
        assert answer.sum(1) == pytest.approx(1)
        labels = fitted.predict(X[:, :, :n_points])
        assert (labels == fitted.classes_[answer.argmax(1)]).all()


def test_no_moment_sees_later_points(fitted, bumps):
    X = bumps[0]
    path = fitted.predict_proba_path(X)
    for m, length in enumerate(fitted.time_points_):
        for later in (np.nan, 1e9, -3.0):
            changed = X.copy()
            changed[:, :, length:] = later
            assert np.array_equal(fitted.predict_proba_path(changed)[:, : m + 1], path[:, : m + 1])


def test_points_after_the_last_moment_are_not_used(bumps):
    X, y = bumps
    clf = PrefixClassifier(earliness=[5, 20], random_state=0).fit(X, y)
    longer = np.concatenate([X, np.ones((60, 1, 9))], 2)
    assert np.array_equal(clf.predict_proba(longer), clf.predict_proba(X[:, :, :20]))


def test_a_series_does_not_depend_on_those_beside_it(fitted, bumps):
    X = bumps[0]
    path = fitted.predict_proba_path(X)
    alone = np.concatenate([fitted.predict_proba_path(X[i : i + 1]) for i in range(5)])
    assert alone == pytest.approx(path[:5], abs=1e-6)


def test_a_path_ends_with_its_series(fitted, ragged):
    path = fitted.predict_proba_path(ragged)
    reached = fitted.time_points_ <= ends(ragged)[:, None]
    assert (np.isnan(path).any(2) == ~reached).all()
    answers = fitted.predict_proba(ragged)
    last = reached.sum(1) - 1
    assert answers == pytest.approx(path[np.arange(60), last], abs=1e-6)


@pytest.mark.parametrize("name", ["closed form", "by prefix", "lstm", "taught"])
def test_ragged_series_are_learned_from(name, bumps, ragged):
    clf = clone(CLASSIFIERS[name]).fit(ragged, bumps[1])
    assert np.isfinite(clf.predict_proba(ragged)).all()
    whole, cut = bumps[0][:1, :, :25], [bumps[0][0, :, :25]]
    assert np.array_equal(clf.predict_proba(whole), clf.predict_proba(cut))


@pytest.mark.parametrize("missing_values", ["interpolate", "mask"])
@pytest.mark.parametrize("name", ["closed form", "by prefix", "lstm"])
def test_gaps_do_not_look_ahead(name, missing_values, bumps):
    X, y = bumps
    X = X.copy()
    X[::3, :, 8:13] = np.nan  # a moment, 10, lies within
    X[1::3, :, 15] = np.nan
    series = SeriesOptions(missing_values=missing_values)
    clf = clone(CLASSIFIERS[name]).set_params(series=series).fit(X, y)
    path = clf.predict_proba_path(X)
    assert np.isfinite(path).all()
    for m, length in enumerate(clf.time_points_):
        changed = X.copy()
        changed[:, :, length:] = 7.0
        assert np.array_equal(clf.predict_proba_path(changed)[:, m], path[:, m])
    # 8 known points and 2 missing ones are as much as is known after 10.
    cut = X[::3, :, :10]
    assert clf.predict_proba_path(np.pad(cut, ((0, 0), (0, 0), (0, 30))))[:, 1] == pytest.approx(
        path[::3, 1], abs=1e-6
    )


def test_a_gap_takes_the_last_value():
    from skgdpd._series.views import last_values

    nan = np.nan
    X = np.array([[[nan, 1, nan, nan, 2, nan]]])
    assert np.array_equal(last_values(X, None), [[[nan, 1, 1, 1, 2, 2]]], equal_nan=True)
    cut = last_values(X, np.array([5]))
    assert np.array_equal(cut, [[[nan, 1, 1, 1, 2, nan]]], equal_nan=True)


# Left-out paths


def test_left_out_paths_know_nothing_of_random_labels():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1, 30)), rng.integers(2, size=200)
    clf = PrefixClassifier(earliness=[0.3, 1.0], random_state=0).fit(X, y)
    fitted = (clf.predict_proba_path(X).argmax(2) == y[:, None]).mean(0)
    left_out = (clf.left_out_path_.argmax(2) == y[:, None]).mean(0)
    assert (abs(left_out - 0.5) < 0.12).all()
    assert (fitted > left_out).all()
    assert clf.left_out_path_.sum(2) == pytest.approx(1)


def test_left_out_paths_end_with_their_series(bumps, ragged):
    clf = PrefixClassifier(earliness=MOMENTS, random_state=0).fit(ragged, bumps[1])
    reached = clf.time_points_ <= ends(ragged)[:, None]
    assert (np.isnan(clf.left_out_path_).any(2) == ~reached).all()


# Life with scikit-learn


def test_classifiers_are_saved_and_pickled(fitted, bumps, tmp_path):
    X = bumps[0]
    path = fitted.predict_proba_path(X)
    fitted.save(tmp_path / "model.skgdpd")
    opened = load(tmp_path / "model.skgdpd")
    for copy in (opened, pickle.loads(pickle.dumps(fitted))):
        assert np.array_equal(copy.predict_proba_path(X), path)
        assert copy.time_points_.tolist() == fitted.time_points_.tolist()
    assert opened.get_params()["earliness"] == MOMENTS


@pytest.mark.parametrize("name", ["closed form", "lstm", "taught", "gdpd"])
def test_fits_are_repeated_to_the_same_bits(name, bumps):
    X, y = bumps
    first, second = (clone(CLASSIFIERS[name]).fit(X, y) for _ in range(2))
    assert np.array_equal(first.predict_proba_path(X), second.predict_proba_path(X))


@pytest.mark.parametrize("search", [GridSearchCV, SharedGridSearchCV])
def test_lists_are_searched(search, bumps):
    clf = PrefixClassifier("lstm1-8", max_epochs=2, random_state=0)
    found = search(clf, {"earliness": [[0.2, 0.5], 0.5, [5, 20, 40]]}, cv=2).fit(*bumps)
    assert len(found.cv_results_["params"]) == 3
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


def test_a_pipeline_takes_it(bumps):
    X, y = bumps
    pipeline = make_pipeline(FunctionTransformer(), PrefixClassifier(**SMALL)).fit(X, y)
    plain = PrefixClassifier(**SMALL).fit(X, y)
    assert np.array_equal(pipeline.predict_proba(X), plain.predict_proba(X))


def test_flat_series_may_have_any_length(bumps):
    X, y = bumps[0][:, 0], bumps[1]
    clf = PrefixClassifier(**SMALL).fit(X, y)
    assert clf.n_features_in_ == 40
    assert np.array_equal(clf.predict_proba(X[:, :25]), clf.predict_proba(X[:, None, :25]))


def test_a_network_learns_from_chunks(bumps):
    X, y = bumps
    clf = PrefixClassifier("lstm1-8", earliness=MOMENTS, random_state=0)
    for start in (0, 30):
        clf.partial_fit(X[start : start + 30], y[start : start + 30], classes=["no", "yes"])
    assert clf.time_points_.tolist() == [4, 10, 20, 40]
    assert np.isfinite(clf.predict_proba_path(X)).all()


def test_validation_rows_are_seen_at_every_moment(bumps):
    clf = PrefixClassifier("fcn24", earliness=MOMENTS, max_epochs=4, random_state=0).fit(*bumps)
    assert clf.history_.n_validation == 12
    assert np.isfinite(clf.history_["valid_loss"]).all()


def test_unlabelled_series_teach_at_every_moment(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(**SMALL, teacher="lstm1-8")
    clf.fit(X[:20], y[:20], X_unlabeled=X[20:])
    assert clf.history_.n_unlabeled == 40
    assert np.isfinite(clf.predict_proba_path(X)).all()


def test_weights_move_the_answers_at_every_moment():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 1, 30)), np.arange(80) % 2
    heavy = PrefixClassifier(earliness=[10, 30], random_state=0, class_weight={1: 50.0})
    share = heavy.fit(X, y).left_out_path_[:, :, 1].mean(0)
    assert (share > 0.8).all()


@pytest.mark.parametrize("name", ["lstm", "fcn"])
def test_a_graph_answers_at_one_moment(name, bumps, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    clf = clone(CLASSIFIERS[name]).fit(*bumps)
    X = bumps[0][:5, :, :20]
    with pytest.raises(ValueError, match=r"time_point must be given.*\[4, 10, 20, 40\]"):
        clf.export_onnx(tmp_path / "graph.onnx")
    with pytest.raises(ValueError, match="time_point=11 is not a moment"):
        clf.export_onnx(tmp_path / "graph.onnx", time_point=11)
    clf.export_onnx(tmp_path / "graph.onnx", time_point=20)
    session = runtime.InferenceSession(tmp_path / "graph.onnx")
    (proba,) = session.run(None, {"prefix": X.astype(np.float32)})
    assert proba == pytest.approx(clf.predict_proba(X), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["rocket", "mixed"])
def test_a_graph_of_one_moment_is_a_closed_form_s(student, bumps, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    X, y = bumps
    clf = PrefixClassifier(student, earliness=[12, 40], random_state=0).fit(X, y)
    for m, t in enumerate(clf.time_points_):
        clf.export_onnx(tmp_path / "graph.onnx", time_point=t)
        session = runtime.InferenceSession(tmp_path / "graph.onnx")
        (proba,) = session.run(None, {"prefix": X[:, :, :t].astype(np.float32)})
        assert proba == pytest.approx(clf.predict_proba_path(X)[:, m], abs=1e-5)


# Refusals


@pytest.mark.parametrize(
    "earliness",
    [[], [0.5, 0.2], [0.2, 0.2], [0.1, 5], [0.0, 0.5], [0.5, 1.5], [1, 5], [True, 5], ["a", "b"]],
    ids=str,
)
def test_bad_lists_are_refused(earliness, bumps):
    with pytest.raises(ValueError, match="earliness"):
        PrefixClassifier(earliness=earliness).fit(*bumps)


def test_moments_beyond_the_series_are_refused(bumps):
    with pytest.raises(ValueError, match=r"earliness=\[10, 41\] leaves 41 time points of 40"):
        PrefixClassifier(earliness=[10, 41]).fit(*bumps)


@pytest.mark.parametrize("option", [{"earliness_of": "own"}, {"resample_length": 10}], ids=str)
def test_options_without_meaning_are_refused(option, bumps):
    clf = PrefixClassifier(earliness=MOMENTS, series=SeriesOptions(**option))
    with pytest.raises(ValueError, match=f"series__{next(iter(option))}"):
        clf.fit(*bumps)


def test_students_of_one_moment_are_refused(bumps):
    with pytest.raises(ValueError, match="student: 'hybrid' is fitted at one moment"):
        PrefixClassifier("hybrid", earliness=MOMENTS).fit(*bumps)


@pytest.mark.parametrize("distiller", [AT(), GenDD()], ids=lambda d: type(d).__name__)
def test_methods_of_one_moment_are_refused(distiller, bumps):
    clf = DistilledPrefixClassifier(distiller, student="fcn24", earliness=MOMENTS)
    with pytest.raises(ValueError, match=r"earliness=.* one moment"):
        clf.fit(*bumps)


def test_gendd_is_of_one_moment(bumps):
    with pytest.raises(ValueError, match=r"earliness=.* one moment"):
        GenDDClassifier(student="fcn24", earliness=MOMENTS).fit(*bumps)


def test_series_that_end_before_the_first_moment_are_refused(fitted, bumps):
    X = bumps[0].copy()
    X[7, :, 3:] = np.nan
    for ask in (fitted.predict, fitted.predict_proba, fitted.predict_proba_path):
        with pytest.raises(ValueError, match=r"3 time points, series 7.*from 4 time points on"):
            ask(X)


# The public suite of checks


@pytest.mark.parametrize("name", [pytest.param("closed form", marks=pytest.mark.slow), "lstm"])
def test_public_checks_pass(name, bumps):
    results = check_prefix_classifier(CLASSIFIERS[name])
    assert not [result for result in results if result.status == "failed"]
