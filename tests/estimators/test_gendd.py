"""GenDDClassifier: predictions from generated features of the teacher."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgdpd import (
    DistilledPrefixClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    SharedGridSearchCV,
    load,
)
from skgdpd._fitting import cross_fitting
from skgdpd._fitting.cross_fitting import fold_numbers
from skgdpd._teachers.linear_head import linear_head
from skgdpd._teachers.teacher import TeacherOutputs
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GenDD, Hinton, TeKAP
from skgdpd.distillers.gendd import GenDDDistillation, drawn_classes
from skgdpd.nets.student import SeriesNet
from skgdpd.training import checkpoint
from skgdpd.training.net import TermNet

SMALL = {
    "student": "lstm1-8",
    "max_epochs": 6,
    "random_state": 0,
    "generator": GeneratorOptions(condition="features", hidden=16, max_epochs=10),
    "n_posterior_samples": 5,
    "n_sampling_steps": 4,
    "student_share": 0.0,
}


def small(teacher=None, **params):
    return GenDDClassifier(teacher, **SMALL).set_params(**params)


def flat(classifier):
    return make_pipeline(FunctionTransformer(np.squeeze, kw_args={"axis": 1}), classifier)


@pytest.fixture(scope="module")
def fitted(bumps):
    return small().fit(*bumps)


# Learning


def test_it_learns(bumps):
    X, y = bumps
    clf = small(student="fcn", max_epochs=12, n_sampling_steps=16, earliness=0.7)
    options = GeneratorOptions(condition="features", hidden=32, max_epochs=100)
    clf.set_params(generator=options).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.set_params(deploy="student_head").score(X, y) > 0.9
    assert clf.history_["gendd"][0] > 0.9  # it starts at 1
    assert clf.predictor_.history["gendd"][-1] < 0.6
    assert set(clf.fit_seconds_) == {"teacher", "preparation", "student", "generator"}


def test_draws_of_full_contraction_are_centres(bumps):
    X, y = bumps
    generator = GeneratorOptions(condition="features", contraction=1.0, hidden=32, max_epochs=300)
    clf = small(generator=generator, n_sampling_steps=16).fit(X, y)
    draws = clf.sample_features(X).reshape(-1, 8)
    centres = clf.distillation_.centroids.numpy()
    gap = np.linalg.norm(centres[0] - centres[1])
    nearest = np.linalg.norm(draws[:, None] - centres, axis=2).min(1)
    assert np.median(nearest) < 0.1 * gap


def test_the_student_learns_from_the_generator(bumps):
    X, y = bumps
    taught, alone = (
        small(deploy="student_head", lambda_kd=value).fit(X, y) for value in (1.0, 0.0)
    )
    assert "gendd" not in alone.history_
    assert not np.array_equal(taught.embed(X), alone.embed(X))
    # Without it, the student is the one that has no teacher.
    few = {name: SMALL[name] for name in ("student", "max_epochs", "random_state")}
    plain = PrefixClassifier(**few).fit(X, y)
    assert alone.history_["ce"][0] == pytest.approx(plain.history_["ce"][0], rel=1e-6)


def test_the_student_is_the_same_however_it_is_deployed(bumps, fitted):
    X, y = bumps
    head = clone(fitted).set_params(deploy="student_head").fit(X, y)
    np.testing.assert_array_equal(head.embed(X), fitted.embed(X))
    both = [head, clone(fitted).fit(X, y).set_params(deploy="student_head")]
    np.testing.assert_array_equal(*(clf.predict_proba(X) for clf in both))
    assert head.predictor_ is None


@pytest.mark.parametrize("deploy", ["sampled", "student_head"])
def test_the_distiller_in_another_classifier_predicts_the_same(bumps, fitted, deploy):
    X, y = bumps
    draws = {"n_posterior_samples": 5, "n_sampling_steps": 4, "student_share": 0.0}
    distiller = GenDD(generator=SMALL["generator"], deploy=deploy, **draws)
    few = {name: SMALL[name] for name in ("student", "max_epochs", "random_state")}
    same = DistilledPrefixClassifier(distiller, **few).fit(X, y)
    clf = clone_fitted(fitted, deploy=deploy)
    np.testing.assert_array_equal(same.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(same.predict(X), clf.predict(X))
    np.testing.assert_array_equal(same.embed(X), clf.embed(X))
    assert (same.predictor_ is None) == (deploy == "student_head")


def test_what_was_fitted_for_its_head_has_no_generator(bumps, fitted):
    X, y = bumps
    clf = clone(fitted).set_params(deploy="student_head").fit(X, y).set_params(deploy="sampled")
    for method in (clf.predict, clf.predict_proba, clf.sample_features):
        with pytest.raises(ValueError, match="needs a generator, and this classifier"):
            method(X)
    # And a second fit leaves none of the first.
    again = clone(fitted).fit(X, y).set_params(deploy="student_head").fit(X, y)
    assert again.predictor_ is None


# Predicting


def test_probabilities_are_the_mean_of_the_teachers_classifier_over_draws(bumps, fitted):
    X, _ = bumps
    draws = fitted.sample_features(X)
    assert draws.shape == (60, 5, 8)
    head = fitted.teacher_.network_.module.head
    logits = torch.from_numpy(draws) @ head.weight.T.double() + head.bias.double()
    expected = torch.softmax(logits, -1).mean(1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected.numpy(), atol=1e-12)


def test_a_series_gets_the_same_probabilities_in_every_company(bumps, fitted):
    X, _ = bumps
    together = fitted.predict_proba(X)
    np.testing.assert_array_equal(together, fitted.predict_proba(X))
    alone = np.concatenate([fitted.predict_proba(X[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(alone, together[:10], rtol=0, atol=1e-6)
    small = clone_fitted(fitted, series__predict_batch_size=7)
    np.testing.assert_allclose(small.predict_proba(X), together, rtol=0, atol=1e-6)


def clone_fitted(clf, **params):
    other = clone(clf)
    vars(other).update(vars(clf))
    return other.set_params(**params)


def test_drawing_in_parts_changes_nothing(bumps, fitted, monkeypatch):
    X, _ = bumps
    whole = fitted.predict_proba(X)
    monkeypatch.setattr("skgdpd.distillers.generator.MAX_NUMBERS", 500)
    np.testing.assert_allclose(fitted.predict_proba(X), whole, rtol=0, atol=1e-12)


def test_what_may_be_set_after_the_fit(bumps, fitted):
    X, _ = bumps
    plain = fitted.predict_proba(X)
    for params in (
        {"n_posterior_samples": 2},
        {"n_sampling_steps": 8},
        {"guidance": 2.0},
        {"guidance": 0.0},
    ):
        clf = clone_fitted(fitted, **params)
        assert not np.array_equal(clf.predict_proba(X), plain)
    # Without guidance all series are drawn alike.
    free = clone_fitted(fitted, guidance=0.0).predict_proba(X)
    np.testing.assert_allclose(free, np.repeat(free[:1], 60, 0), atol=1e-12)
    with pytest.raises(ValueError, match="'guidance' parameter"):
        clone_fitted(fitted, guidance=-1).predict(X)


def test_one_draw_is_among_five(bumps, fitted):
    X, _ = bumps
    several = clone_fitted(fitted, n_posterior_samples=3).sample_features(X)
    assert several.std(1).mean() > 0


def test_the_same_seed_gives_the_same_bits(bumps, fitted):
    X, y = bumps
    state = torch.get_rng_state()
    again = clone(fitted).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(again.sample_features(X), fitted.sample_features(X))
    assert torch.equal(torch.get_rng_state(), state)
    other = clone(fitted).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), fitted.predict_proba(X))


# Teachers


@pytest.mark.parametrize(
    "teacher",
    [
        "fcn",
        flat(LogisticRegression()),
        flat(RandomForestClassifier(20)),
        make_pipeline(FunctionTransformer(np.squeeze, kw_args={"axis": 1}),
                      StandardScaler(), LogisticRegression()),
        ["lstm1-8", flat(LogisticRegression())],
    ],
    ids=["network", "linear", "forest", "scaled", "ensemble"],
)  # fmt: skip
def test_every_kind_of_teacher_has_a_classifier_of_its_features(bumps, teacher):
    X, y = bumps
    clf = small(teacher).fit(X, y)
    features = torch.from_numpy(np.asarray(clf.teacher_.embed(X), dtype=np.float64))
    guess = clf.classes_[clf.predictor_.head(features).argmax(1).numpy()]
    own = clf.teacher_.classes_[clf.teacher_.predict_proba(X).argmax(1)]
    assert (guess == own).mean() > 0.9
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)


def test_the_classifier_of_linear_teachers_is_recovered():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)).astype(np.float32)
    weight = rng.normal(size=(3, 6))
    logits = features @ weight.T + [0.3, -0.2, 0.0]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    for known, wanted in [(features, logits), (log_p.astype(np.float32), log_p)]:
        head = linear_head(TeacherOutputs(None, known, log_p))
        found = torch.softmax(head(torch.from_numpy(known).double()), 1).numpy()
        expected = np.exp(wanted) / np.exp(wanted).sum(1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_classifier_of_ours_as_frozen_teacher(bumps):
    X, y = bumps
    teacher = PrefixClassifier("lstm1-8", earliness=1.0, max_epochs=8, random_state=0).fit(X, y)
    clf = small(FrozenEstimator(teacher)).fit(X, y)
    assert clf.sample_features(X[:2]).shape == (2, 5, 8)


@pytest.mark.parametrize(
    "params",
    [
        {"generator__centroid": "classifier_weight"},
        {"generator__mixup": True},
        {"generator__prediction": "eps"},
        {"generator__joint": True},
        {"generator__token_width": 2},
        {"generator__encoder": "pca"},
        {"generator__contraction": 0.0},
        {"class_weight": "balanced"},
        {"training__validation_fraction": 0.0},
        {"student": "rocket", "teacher": "lstm1-8"},
        {"generator__condition": "predictions"},
        {"generator__condition": "predictions", "generator__mixup": True},
        {"generator__condition": "predictions", "student": "rocket", "teacher": "lstm1-8"},
    ],
    ids=lambda p: "-".join(p),
)
def test_every_setting_trains_and_predicts(bumps, params):
    X, y = bumps
    clf = small(**params).fit(X, y)
    assert np.isfinite(clf.history_["loss"]).all()
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)


# Series without a label


def test_unlabelled_series_teach(bumps):
    X, y = bumps
    few, pool = slice(0, 20), slice(20, 60)
    clf = small().fit(X[few], y[few], X_unlabeled=X[pool])
    assert (clf.history_.n_labeled, clf.history_.n_unlabeled) == (16, 40)
    alone = small().fit(X[few], y[few])
    assert not np.array_equal(alone.predict_proba(X), clf.predict_proba(X))
    marked = y.astype(object)
    marked[pool] = "?"
    same = small(unlabeled="?").fit(X, marked)
    np.testing.assert_array_equal(same.predict_proba(X), clf.predict_proba(X))


# Labels for the teacher alone

TO_TEACHER = {"generator__labels": "teacher"}


@pytest.fixture(scope="module")
def own_teacher(bumps):
    teacher = PrefixClassifier("lstm1-8", earliness=1.0, max_epochs=4, random_state=0)
    return FrozenEstimator(teacher.fit(*bumps))


def told_nothing(teacher, **params):
    return small(teacher, max_epochs=2, generator__max_epochs=2, **TO_TEACHER).set_params(**params)


@pytest.mark.parametrize("condition", ["features", "predictions"])
@pytest.mark.parametrize("student", ["lstm1-8", "rocket"])
def test_no_label_reaches_student_or_generator(bumps, own_teacher, student, condition):
    X, y = bumps
    clf = told_nothing(own_teacher, student=student, generator__condition=condition)
    clf.fit(X, y)
    other = clone(clf).fit(X, np.random.default_rng(0).permutation(y))
    np.testing.assert_array_equal(other.embed(X), clf.embed(X))
    np.testing.assert_array_equal(other.sample_features(X), clf.sample_features(X))
    np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert "ce" not in clf.history_
    assert (clf.history_.n_labeled, clf.history_.n_unlabeled) == (0, 60)
    assert clf.history_.n_validation == 0


@pytest.mark.parametrize("condition", ["features", "predictions"])
def test_a_series_may_as_well_have_no_label(bumps, own_teacher, condition):
    X, y = bumps
    # The statistics of normalize="train" are those of labelled series.
    clf = told_nothing(own_teacher, generator__condition=condition, normalize="prefix").fit(X, y)
    fewer = y.astype(object)
    fewer[20:] = None
    assert set(fewer[:20]) == set(y)
    other = clone(clf).fit(X, fewer)
    np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))


def test_labels_for_all_do_reach_the_student(bumps, own_teacher):
    X, y = bumps
    clf = told_nothing(own_teacher, student="rocket").set_params(generator__labels="all").fit(X, y)
    other = clone(clf).fit(X, np.random.default_rng(0).permutation(y))
    assert not np.array_equal(other.embed(X), clf.embed(X))
    assert clf.history_.n_labeled == 60


@pytest.mark.parametrize("around", [lambda inner: inner, TeKAP], ids=["alone", "wrapped"])
def test_a_distiller_that_hides_labels_does_so_in_another_classifier(bumps, own_teacher, around):
    X, y = bumps
    inner = GenDD(generator=GeneratorOptions(labels="teacher", hidden=8, max_epochs=2))
    few = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0}
    clf = DistilledPrefixClassifier(around(inner), teacher=own_teacher, **few).fit(X, y)
    other = clone(clf).fit(X, np.random.default_rng(0).permutation(y))
    np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert clf.history_.n_labeled == 0


def test_a_student_without_labels_learns_from_its_teacher(bumps):
    X, y = bumps
    clf = small(student="fcn", max_epochs=12, earliness=0.7, **TO_TEACHER).fit(X, y)
    assert clf.set_params(deploy="student_head").score(X, y) > 0.9


def test_an_epoch_is_chosen_by_labels_only_if_that_is_asked_for(bumps, own_teacher):
    X, y = bumps
    clf = told_nothing(own_teacher, training__validation_fraction=0.2).fit(X, y)
    assert clf.history_.n_validation == 12


@pytest.mark.parametrize("weights", [{"class_weight": "balanced"}, {}])
def test_weights_of_classes_and_series_beside_hidden_labels(bumps, weights):
    X, y = bumps
    clf = told_nothing(None, generator__condition="predictions", **weights)
    clf.fit(X, y, sample_weight=None if weights else np.arange(1.0, 61))
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)


def test_what_a_student_without_labels_can_not_do_is_named(bumps):
    X, y = bumps
    with pytest.raises(ValueError, match=r"lambda_kd=0.0 with generator__labels='teacher'"):
        small(lambda_kd=0.0, **TO_TEACHER).fit(X, y)
    with pytest.raises(ValueError, match="labels='teacher' keeps labels from the student"):
        small(**TO_TEACHER).partial_fit(X, y, classes=["no", "yes"])
    with pytest.raises(ValueError, match="'labels' parameter"):
        small(generator__labels="none").fit(X, y)


# Left-out predictions as the condition


@pytest.fixture(scope="module")
def noisy():
    return make_bumps(120, 20, noise=0.8, random_state=0)


@pytest.fixture(scope="module")
def by_predictions(noisy):
    return small(student="rocket", teacher="lstm1-8", generator=None).fit(*noisy)


def test_the_student_is_then_that_of_labels_alone(noisy, by_predictions):
    X, y = noisy
    few = {name: SMALL[name] for name in ("max_epochs", "random_state")}
    alone = DistilledPrefixClassifier(Hinton(lambda_kd=0.0), student="rocket", **few)
    clf = copy.deepcopy(by_predictions).set_params(deploy="student_head")
    alone.set_params(teacher="lstm1-8").fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), alone.predict_proba(X))


def test_draws_of_no_label_repeat_the_student(noisy):
    X, y = noisy
    generator = GeneratorOptions(label_share=0.0, contraction=1.0)
    clf = small(student="rocket", teacher="lstm1-8", generator=generator, max_epochs=1, lr=1e-9)
    clf.set_params(earliness=0.9, n_posterior_samples=200, n_sampling_steps=16).fit(X, y)
    new, _ = make_bumps(40, 20, noise=0.8, random_state=1)
    centres = clf.distillation_.centroids.numpy()
    draws = clf.sample_features(new)
    nearest = np.linalg.norm(draws[:, :, None] - centres, axis=3).argmin(2)
    drawn = nearest.mean(1)
    clf.set_params(deploy="student_head")
    own = clf.predict_proba(new)[:, 1]
    assert np.abs(drawn - own).mean() < 0.1
    assert np.corrcoef(drawn, own)[0, 1] > 0.95


def test_draws_are_less_sure_than_those_of_a_student_that_remembers(noisy, by_predictions):
    X, y = noisy
    new, truth = make_bumps(100, 20, noise=0.8, random_state=1)
    remembers = clone(by_predictions).set_params(generator__condition="features").fit(X, y)
    losses = [log_loss(truth, clf.predict_proba(new)) for clf in (by_predictions, remembers)]
    assert losses[0] < losses[1]


def test_the_answer_is_between_the_draws_and_the_student(noisy, by_predictions):
    X = noisy[0][:20]
    clf = copy.deepcopy(by_predictions)
    drawn, own, both = (
        clf.set_params(student_share=share).predict_proba(X) for share in (0.0, 1.0, 0.25)
    )
    np.testing.assert_allclose(both, 0.75 * drawn + 0.25 * own, atol=1e-12)
    np.testing.assert_allclose(
        own, clf.set_params(deploy="student_head").predict_proba(X), atol=1e-6
    )


def test_a_second_fit_and_chunks_of_a_stream(noisy, by_predictions):
    X, y = noisy
    again = clone(by_predictions).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), by_predictions.predict_proba(X))
    clf = small(student="lstm1-8", generator=GeneratorOptions(hidden=16, max_epochs=10))
    clf.partial_fit(X[:40], y[:40], classes=np.unique(y))
    before = clf.predict_proba(X)
    for rows in (slice(40, 120), slice(20, 30)):
        clf.partial_fit(X[rows], y[rows])
    assert np.isfinite(clf.predict_proba(X)).all()
    assert not np.array_equal(clf.predict_proba(X), before)
    assert np.isfinite(clf.history_["ce"]).all()


def test_it_comes_back_from_a_file(noisy, by_predictions, tmp_path):
    by_predictions.save(tmp_path / "model.zip")
    opened = load(tmp_path / "model.zip")
    X = noisy[0][:5]
    np.testing.assert_array_equal(opened.predict_proba(X), by_predictions.predict_proba(X))


def test_unlabelled_series_teach_the_student_too(noisy):
    X, y = noisy
    clf = small(student="lstm1-8", generator=GeneratorOptions(hidden=16, max_epochs=10))
    clf.fit(X[:40], y[:40], X_unlabeled=X[40:])
    assert (clf.history_["gendd"] > 0).all()
    assert np.isfinite(clf.predict_proba(X)).all()


@given(st.lists(st.integers(0, 3), min_size=8, max_size=60), st.integers(2, 5), st.integers(0, 9))
@settings(max_examples=30)
def test_folds_share_out_each_class_evenly(classes, n_folds, seed):
    numbers = np.array(classes)
    folds = fold_numbers(numbers, n_folds, seed)
    np.testing.assert_array_equal(folds, fold_numbers(numbers, n_folds, seed))
    for chosen in (folds, *(folds[numbers == k] for k in np.unique(numbers))):
        counts = np.bincount(chosen, minlength=n_folds)
        assert counts.max() - counts.min() <= 1 + (chosen is not folds)


@pytest.mark.parametrize("student", ["lstm1-8", "rocket"])
def test_a_left_out_prediction_does_not_know_its_own_label(noisy, student):
    X, y = noisy
    other = y.copy()
    other[7] = y[y != y[7]][0]
    options = {"student": student, "teacher": "lstm1-8", "training__validation_fraction": 0.0}
    found = []
    for labels in (y, other):
        clf, known = small(generator__condition="predictions", **options), []
        monitor = GenDDDistillation.predictor

        def predictor(self, module, context, known=known, monitor=monitor):
            known.append(context.left_out())
            return monitor(self, module, context)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GenDDDistillation, "predictor", predictor)
            patch.setattr(cross_fitting, "fold_numbers", lambda c, k, s: np.arange(len(c)) % k)
            clf.fit(X, labels)
        found.append(known[0])
    mine, theirs = (proba[7] for proba in found)
    if student == "lstm1-8":
        np.testing.assert_array_equal(mine, theirs)
    else:  # one penalty and one scale serve all rows, and these depend on every label
        np.testing.assert_allclose(mine, theirs, atol=0.05)
    assert not np.array_equal(*found)


def test_classes_are_drawn_from_label_and_left_out_prediction():
    left_out = torch.tensor([[0.5, 0.3, 0.2]]).repeat(20_000, 1)
    batch = {"left_out": left_out, "y": torch.zeros(20_000, dtype=torch.int64)}
    generator = torch.Generator().manual_seed(0)
    for share in (0.0, 0.5, 1.0):
        drawn = drawn_classes(batch, share, generator)
        wanted = (1 - share) * left_out[0] + share * torch.tensor([1.0, 0.0, 0.0])
        found = torch.bincount(drawn, minlength=3) / len(drawn)
        torch.testing.assert_close(found, wanted, atol=0.015, rtol=0)


# Errors


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"generator__contraction": 1.1}, "'contraction' parameter.*1.1"),
        ({"generator__centroid": "median"}, "'centroid' parameter"),
        ({"generator__condition": "labels"}, "'condition' parameter"),
        ({"generator__label_share": 2.0}, "'label_share' parameter"),
        ({"deploy": "both"}, "'deploy' parameter"),
        ({"generator__prediction": "x"}, "'prediction' parameter"),
        ({"n_sampling_steps": 0}, "'n_sampling_steps' parameter"),
        ({"generator__max_epochs": "long"}, "'max_epochs' parameter of GeneratorOptions"),
        ({"generator__token_width": 3}, "token_width=3 doesn't divide the 8 features"),
        ({"generator__token_width": 4, "generator__joint": True}, "token_width=4 with joint=True"),
    ],
)
def test_bad_parameters_are_named_before_the_student_is_trained(bumps, params, words):
    with pytest.raises(ValueError, match=words):
        small(**params).fit(*bumps)


def test_options_of_the_generator_are_reached_by_their_nested_names(bumps):
    distiller = GenDD()
    assert distiller.get_params()["generator__contraction"] == 0.9
    given = GeneratorOptions(hidden=16)
    one, two = (GenDD(generator=given) for _ in range(2))
    assert one.set_params(generator__hidden=8) is one
    assert (one.options.hidden, two.options.hidden) == (8, 16)
    assert distiller.set_params(generator__depth=1).options.depth == 1
    clf = DistilledPrefixClassifier(GenDD(), student="lstm1-8")
    assert clf.get_params()["distiller__generator__contraction"] == 0.9
    clf.set_params(distiller__generator__contraction=1.5)
    with pytest.raises(ValueError, match=r"'contraction' parameter.*1\.5"):
        clf.fit(*bumps)


def test_a_graph_makes_no_draws(fitted, tmp_path):
    with pytest.raises(ValueError, match="a graph makes no draws"):
        fitted.export_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_graph_of_the_students_own_classifier(bumps, fitted, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    clf = clone_fitted(fitted, deploy="student_head")
    path = tmp_path / "model.onnx"
    clf.export_onnx(path)
    prefix = bumps[0][:, :, : clf.prefix_length_].astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(["probabilities"], {"prefix": prefix})[0]
    np.testing.assert_allclose(found, clf.predict_proba(bumps[0]), atol=1e-5)


# Among others


def test_in_a_pipeline_and_a_grid(bumps, tmp_path):
    X, y = bumps
    clf = small(memory=str(tmp_path))
    pipeline = make_pipeline(FunctionTransformer(np.negative), clf)
    grid = {
        "genddclassifier__lambda_kd": [0.1, 1.0],
        "genddclassifier__generator__contraction": [0.7, 0.9],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.predict_proba(X).shape == (60, 2)
    assert np.isfinite(cross_val_score(clf, X, y, cv=2)).all()
    assert (
        len(list(tmp_path.glob("joblib/skgdpd/_teachers/teacher/_fit_and_ask/*/output.pkl"))) == 5
    )


def test_in_our_own_search(bumps, tmp_path):
    X, y = bumps
    search = SharedGridSearchCV(small(), {"lambda_kd": [0.1, 1.0]}, cv=2, together=True)
    search.fit(X, y)
    assert search.n_together_ == 0
    best = clone(search.best_estimator_).fit(X, y)
    best.save(tmp_path / "best.zip")
    assert type(load(tmp_path / "best.zip")) is GenDDClassifier  # not the search's own
    np.testing.assert_array_equal(search.predict_proba(X), best.predict_proba(X))


@pytest.mark.parametrize("include", [(), ("teacher",)])
@pytest.mark.parametrize("encoder", ["identity", "pca"])
def test_there_and_back(bumps, tmp_path, include, encoder):
    X, y = bumps
    clf = small(generator__encoder=encoder).fit(X, y)
    clf.save(tmp_path / "model.zip", include=include)
    opened = load(tmp_path / "model.zip")
    np.testing.assert_array_equal(opened.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(opened.sample_features(X), clf.sample_features(X))
    np.testing.assert_array_equal(opened.embed(X), clf.embed(X))
    assert hasattr(opened, "teacher_") == bool(include)
    for clf_ in (clf, opened):
        clf_.set_params(deploy="student_head")
    np.testing.assert_array_equal(opened.predict_proba(X), clf.predict_proba(X))


def test_a_model_without_a_generator_is_saved_without(bumps, tmp_path, fitted):
    head = clone(fitted).set_params(deploy="student_head").fit(*bumps)
    head.save(tmp_path / "head.zip")
    fitted.save(tmp_path / "sampled.zip")
    sizes = [(tmp_path / f"{name}.zip").stat().st_size for name in ("head", "sampled")]
    assert sizes[0] < sizes[1]
    np.testing.assert_array_equal(
        load(tmp_path / "head.zip").predict_proba(bumps[0]), head.predict_proba(bumps[0])
    )


class Killed(Exception):
    pass


def test_a_fit_killed_while_the_generator_is_finished_goes_on_there(
    bumps, tmp_path, monkeypatch, fitted
):
    X, y = bumps
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    original = TermNet.train_step
    trained = []

    def step(net, batch, **kwargs):
        own = not isinstance(net.module_, SeriesNet)
        if own and trained.count(True) == 15 and "dead" not in trained:
            trained.append("dead")
            raise Killed
        trained.append(own)
        return original(net, batch, **kwargs)

    monkeypatch.setattr(TermNet, "train_step", step)
    clf = clone(fitted).set_params(training__checkpoint_dir=tmp_path)
    with pytest.raises(Killed):
        clf.fit(X, y)
    before = len(trained)
    clf.fit(X, y)
    assert False not in trained[before:]  # neither teacher nor student was trained again
    np.testing.assert_array_equal(clf.predict_proba(X), fitted.predict_proba(X))
    assert list(tmp_path.iterdir()) == []
