"""scikit-learn's callbacks: what they hear of a fit, and that hearing changes nothing."""

import io
import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.fixes import parse_version

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd.distillers import Hinton

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn before 1.9")

SMALL = {"student": "fcn", "max_epochs": 4, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=3)

CLASSIFIERS = [
    PrefixClassifier(**SMALL),
    DistilledPrefixClassifier(Hinton(), **SMALL),
    GDPDClassifier(**SMALL, prior=PRIOR),
    GenDDClassifier(**SMALL, generator=GeneratorOptions(max_epochs=2)),
]


class Recorder:
    """Notes what it is told, and stops a training if asked to."""

    def __init__(self, stop=None):
        self.events, self.scores, self.stop = [], [], stop
        self.n_setup = self.n_teardown = 0

    def setup(self, estimator, context):
        self.n_setup += 1

    def teardown(self, estimator, context):
        self.n_teardown += 1

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.scores.append(accuracy_score(y, fitted_estimator.predict(X)))
            self.last = fitted_estimator
        return self.stop is not None and context.task_id == self.stop

    def ended(self, name):
        return [place for what, task, place in self.events if (what, task) == ("end", name)]


def test_before_1_9_there_are_none_and_nobody_minds(bumps):
    assert hasattr(PrefixClassifier(), "set_callbacks") == HAS_CALLBACKS
    clf = PrefixClassifier(**SMALL).fit(*bumps)
    assert not [name for name in vars(clf) if "callback" in name]


@needs_callbacks
@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
def test_tasks_begin_and_end_in_order_and_change_nothing(bumps, clf):
    X, y = bumps
    heard = Recorder()
    fitted = clone(clf).set_callbacks(heard).fit(X, y)
    plain = clone(clf).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), plain.predict_proba(X))
    assert (heard.n_setup, heard.n_teardown) == (1, 1)
    open_tasks = []
    for what, *task in heard.events:
        if what == "begin":
            open_tasks.append(task)
        else:
            assert open_tasks.pop() == task
    assert not open_tasks
    assert heard.events[0][:2] == ("begin", "fit")
    if isinstance(clf, PrefixClassifier):
        assert heard.ended("epoch") == [0, 1, 2, 3]
    else:
        stages = [task for what, task, _ in heard.events if what == "end" and task != "epoch"]
        prior = ["prior"] if isinstance(clf, GDPDClassifier) else []
        generator = ["generator"] if isinstance(clf, GenDDClassifier) else []
        assert stages == ["teacher", *prior, "student", *generator, "fit"]
        if not generator:
            assert len(heard.ended("epoch")) == 4 + 3 * len(prior) + 4
    # Each of the student's epochs, and the whole.
    assert len(heard.scores) == 5
    assert heard.scores[-1] == accuracy_score(y, plain.predict(X))


@needs_callbacks
def test_an_epoch_s_classifier_is_that_of_a_fit_that_ended_there(bumps):
    X, y = bumps
    # Without a schedule and validation the first epochs don't know how many will follow.
    training = TrainingOptions(lr_schedule="constant", validation_fraction=0)
    params = {**SMALL, "training": training}

    class Kept(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            self.events.append(fitted_estimator)

    kept = Kept()
    PrefixClassifier(**params).set_callbacks(kept).fit(X, y)
    fits = [event for event in kept.events if not isinstance(event, tuple)]
    for n, of_epoch in enumerate(fits[:-1], 1):
        alone = PrefixClassifier(**{**params, "max_epochs": n}).fit(X, y)
        np.testing.assert_array_equal(of_epoch.predict_proba(X), alone.predict_proba(X))


@needs_callbacks
def test_a_callback_may_end_the_students_training_and_not_the_teachers(bumps):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, prior=PRIOR).set_callbacks(Recorder(stop=1)).fit(X, y)
    assert clf.history_.n_epochs == 2
    assert clf.teacher_.history_.n_epochs == 4


@needs_callbacks
def test_what_is_cached_is_not_cut_short_by_a_callback(bumps, tmp_path):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "max_epochs": 8}, prior=PRIOR, memory=str(tmp_path))
    stopped = clone(clf).set_callbacks(Recorder(stop=1)).fit(X, y)
    assert stopped.history_.n_epochs >= 4  # the warm-up, which the next one starts from
    after = clone(clf).fit(X, y)
    alone = clone(clf).set_params(memory=None).fit(X, y)
    np.testing.assert_array_equal(after.predict_proba(X), alone.predict_proba(X))


@needs_callbacks
def test_epochs_that_another_fit_has_done_keep_their_numbers(bumps, tmp_path):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "max_epochs": 8}, prior=PRIOR, memory=str(tmp_path))
    clone(clf).fit(X, y)
    heard = Recorder()
    clone(clf).set_params(lambda_kd=0.5).set_callbacks(heard).fit(X, y)
    assert heard.ended("epoch") == [4, 5, 6, 7]
    assert heard.ended("teacher") == [0]


@needs_callbacks
def test_a_teacher_that_is_no_network_is_one_task(bumps):
    teacher = make_pipeline(
        FunctionTransformer(np.squeeze, kw_args={"axis": 1}),
        LogisticRegression(max_iter=500),
    )
    heard = Recorder()
    DistilledPrefixClassifier(Hinton(), teacher=teacher, **SMALL).set_callbacks(heard).fit(*bumps)
    assert [task for what, task, _ in heard.events if what == "end" and task != "epoch"] == [
        "teacher",
        "student",
        "fit",
    ]


@needs_callbacks
@pytest.mark.parametrize("marker", ["?", None])
def test_callbacks_are_given_the_labelled_series_and_their_weights(bumps, marker):
    X, y = bumps
    marked = np.where(np.arange(60) % 3 == 0, marker, y.astype(object))
    weight = np.arange(60.0)
    seen = []

    class Data(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, metadata):
            seen.append((X, y, metadata["sample_weight"]))

    clf = DistilledPrefixClassifier(Hinton(), **SMALL, unlabeled=marker).set_callbacks(Data())
    clf.fit(X, marked, sample_weight=weight)
    assert seen
    labelled = np.arange(60) % 3 > 0
    for found in seen:
        for got, given in zip(found, (X, y, weight), strict=True):
            np.testing.assert_array_equal(got, given[labelled])


@needs_callbacks
def test_what_is_raised_tears_down_and_leaves_nothing(bumps):
    X, y = bumps

    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    heard = Failing()
    clf = PrefixClassifier(**SMALL).set_callbacks(heard)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert (heard.n_setup, heard.n_teardown) == (1, 1)
    clf.set_callbacks()
    assert not [name for name in vars(clf) if "callback" in name]
    clf.fit(X, y)


@needs_callbacks
def test_the_score_of_each_epoch_through_searches_and_pipelines(bumps):
    from sklearn.callback import ScoringMonitor

    X, y = bumps
    monitor = ScoringMonitor(scoring="accuracy")
    clf = PrefixClassifier(**SMALL).set_callbacks(monitor)
    grid = {"prefixclassifier__lr": [1e-3, 1e-2]}
    pipe = make_pipeline(FunctionTransformer(np.tanh), clf)
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 4
    whole = max(
        (row for row in rows if row["task_name"] == "fit"), key=lambda r: r["task_id_path"]
    )
    assert whole["accuracy"] == search.score(X, y)
    assert not hasattr(search.best_estimator_[-1], "_parent_callback_ctx")


@needs_callbacks
def test_the_tasks_of_a_search_of_ours(bumps):
    heard = Recorder()
    search = SharedGridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3, 1e-2]}, cv=2)
    search.set_callbacks(heard).fit(*bumps)
    assert [task for what, task, _ in heard.events if what == "end"] == [
        *["prepare-fold"] * 2,
        "train-students",
        "score-and-refit",
        "fit",
    ]
    assert (heard.n_setup, heard.n_teardown) == (1, 1)


@pytest.mark.slow
@needs_callbacks
def test_searches_in_processes(bumps):
    from sklearn.callback import ScoringMonitor

    X, y = bumps
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    clf = GDPDClassifier(**SMALL, prior=PRIOR).set_callbacks(monitor)
    GridSearchCV(clf, {"lambda_kd": [0.5, 1]}, cv=2, n_jobs=2, refit=False).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 4 * 4
    assert all(row["neg_log_loss"] < 0 <= row["accuracy"] for row in rows)


@needs_callbacks
@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
def test_progress_bars(bumps, clf, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    clone(clf).set_callbacks(ProgressBar()).fit(*bumps)
    shown = capsys.readouterr().out
    name = type(clf).__name__
    assert f"{name} - fit" in shown
    assert (f"{name} - student" in shown) == (not isinstance(clf, PrefixClassifier))
    assert shown.count("100%") >= 1


@needs_callbacks
def test_progress_bars_of_a_search(bumps, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(*bumps)
    assert "PrefixClassifier - fit" in capsys.readouterr().out


@needs_callbacks
def test_a_classifier_with_callbacks_is_saved_without_them(bumps, tmp_path):
    from sklearn.callback import ScoringMonitor

    X, y = bumps
    clf = PrefixClassifier(**SMALL).set_callbacks(ScoringMonitor(scoring="accuracy")).fit(X, y)
    clf.save(tmp_path / "model")
    opened = skgdpd.load(tmp_path / "model")
    assert not hasattr(opened, "_skl_callbacks")
    np.testing.assert_array_equal(opened.predict_proba(X), clf.predict_proba(X))
    again = pickle.load(io.BytesIO(pickle.dumps(clf)))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
