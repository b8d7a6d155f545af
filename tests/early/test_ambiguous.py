"""What could mean two things is refused, and what may happen in any order gives one answer."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps

MOMENTS = [0.1, 0.3, 0.6, 1.0]
X, Y = make_bumps(n_samples=60, n_timepoints=40, random_state=0)


def early_of(classifier=None, **settings):
    classifier = LogisticRegression() if classifier is None else classifier
    given = {"earliness": MOMENTS, "rule": "threshold", "random_state": 0, **settings}
    if isinstance(classifier, PrefixClassifier | DistilledPrefixClassifier):
        given.pop("earliness")
    return EarlyClassifier(classifier, **given)


@pytest.fixture(scope="module")
def early():
    return early_of().fit(X, Y)


def short(decisions):
    return [(d.id, d.label, d.n_seen) for d in decisions]


# Order


def test_series_that_begin_anew_keep_their_places(early):
    arrays, mappings = (early.start(["A", "B"], after_answer="restart") for _ in range(2))
    first, second = X[0, 0], X[1, 0]
    from_arrays, from_mappings = [], []
    for t in range(200):
        points = [first[t % 40], second[t % 40]]
        from_arrays += arrays.push(points)
        from_mappings += mappings.push(dict(zip("AB", points, strict=True)))
        assert arrays.ids == ["A", "B"]
    assert short(from_arrays) == short(from_mappings)
    assert len(from_arrays) > 4


@pytest.mark.parametrize("n_classes", [2, 3, 5, 6, 7, 9, 10])
def test_a_series_alone_has_the_bits_of_a_batch(n_classes):
    rng = np.random.default_rng(0)
    y = np.arange(60) % n_classes
    waves = np.sin(np.linspace(0, 1, 40) * (1 + y)[:, None] * 3)[:, None]
    series = waves + 0.5 * rng.normal(size=(60, 1, 40))
    clf = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    early = early_of(clf, rule="fixed").fit(series, y)
    together = early.decide(series).probabilities
    for i in range(0, 60, 7):
        assert np.array_equal(early.decide(series[i : i + 1]).probabilities[0], together[i])
        (answer,) = early.start(["one"]).push({"one": series[i]})
        assert np.array_equal(answer.probabilities, together[i])
    order = rng.permutation(60)
    assert np.array_equal(early.decide(series[order]).probabilities, together[order])


def test_a_gap_at_the_begin_stops_no_other_series():
    clf = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    clf.set_params(series__missing_values="interpolate")
    early = early_of(clf, rule="fixed", delay_cost=0).fit(X, Y)
    gap = X[:1].copy()
    gap[0, :, :5] = np.nan
    session = early.start(["pump", "other"])
    session.push({"pump": gap[0, :, :4], "other": X[1, :, :4]})
    (answer,) = session.push({"pump": gap[0, :, 4:]})
    assert np.array_equal(answer.probabilities, early.decide(gap).probabilities[0])


def test_idle_series_make_room(early):
    session = early.start(["a"], idle_timeout=5, max_open=1, join=True)
    session.push({"a": X[0, 0, :3]}, time=0)
    session.push({"b": X[0, 0, :3]}, time=100)
    assert session.ids == ["b"]


def test_a_later_fit_changes_no_open_session():
    early = early_of(rule="fixed", delay_cost=0).fit(X, np.array(["b", "a"])[Y])
    session = early.start(2)
    session.push(X[:2, :, :8])
    expected = early.decide(X[:2]).labels
    early.fit(X, np.array(["x", "y"])[Y])
    assert [d.label for d in session.push(X[:2, :, 8:])] == expected.tolist()


# Two meanings


@pytest.mark.parametrize("ids", ["abc", -3, True, 3.0, None, [[1]]], ids=str)
def test_ids_are_a_number_or_a_list(ids, early):
    with pytest.raises(ValueError, match="id"):
        early.start(ids)


def test_numbers_of_numpy_are_numbers(early, tmp_path):
    assert early.start(np.int64(2)).ids == [0, 1]
    session = early.start(np.arange(2))
    session.save(tmp_path / "session")
    assert early.resume(tmp_path / "session").ids == [0, 1]


@pytest.mark.parametrize("time", [5, float("nan"), "5", [12.0], np.datetime64("2020"), True])
def test_time_is_a_number_that_does_not_fall(time, early):
    session = early.start(1, idle_timeout=10)
    session.push({0: [1.0]}, time=1000)
    with pytest.raises(ValueError, match="time="):
        session.push({0: [1.0]}, time=time)
    with pytest.raises(ValueError, match="time="):
        session.expire(time)
    assert session.n_seen.tolist() == [1]


def test_without_a_timeout_nothing_is_idle(early):
    with pytest.raises(ValueError, match="no idle_timeout"):
        early.start(1).expire(5)


@pytest.mark.parametrize(
    "points", [["1"], [b"1"], [True], np.ma.masked_array([1.0, 9.0], [0, 1])], ids=repr
)
def test_points_are_numbers(points, early):
    with pytest.raises(ValueError, match="points of id 0"):
        early.start(1).push({0: points})


def test_a_session_belongs_to_its_estimator(early, tmp_path):
    session = early.start(3)
    session.push(X[:3, :, :4])
    session.save(tmp_path / "session")
    others = [
        early_of().fit(X, np.array(["x", "y"])[Y]),
        early_of(misclassification_cost={0: 50}).fit(X, Y),
        early_of(delay_cost=3.0).fit(X, Y),
        early_of(rule="fixed").fit(X, Y),
        early_of(rule="teaser").fit(X, Y),
    ]
    for other in others:
        with pytest.raises(ValueError, match="session of another classifier"):
            other.resume(tmp_path / "session")
    assert early.resume(tmp_path / "session").ids == [0, 1, 2]


@pytest.mark.parametrize("earliness", [["a"], ["every"], [[0.1, 0.5]]], ids=str)
def test_moments_are_a_list_of_numbers(earliness):
    with pytest.raises(ValueError, match="earliness"):
        PrefixClassifier("lstm1-8", earliness=earliness).fit(X, Y)


def test_frames_of_costs_are_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[0, 1], [5, 0]], index=[1, 0], columns=[1, 0])
    with pytest.raises(ValueError, match="misclassification_cost is a frame"):
        early_of(misclassification_cost=frame).fit(X, Y)


@pytest.mark.parametrize(
    "cv", [ShuffleSplit(3), RepeatedStratifiedKFold(n_splits=2, n_repeats=2)], ids=repr
)
def test_each_series_is_left_out_once(cv):
    with pytest.raises(ValueError, match="each must be left out once"):
        early_of(cv=cv).fit(X, Y)


def test_groups_are_given_for_all():
    groups = np.arange(60.0)
    groups[3] = np.nan
    with pytest.raises(ValueError, match="groups is missing for 1 series"):
        early_of().fit(X, Y, groups=groups)
    with pytest.raises(ValueError, match="several types"):
        early_of().fit(X, Y, groups=np.array([1, "a"] * 30, dtype=object))


@pytest.mark.parametrize(
    "weight", [-np.ones(60), np.full(60, np.nan), np.zeros(60)], ids=["negative", "nan", "zero"]
)
def test_weights_of_a_score_are_checked(weight, early):
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        early.score(X, Y, sample_weight=weight)


# Failures


def test_nothing_of_an_earlier_fit_answers():
    class Failing(LogisticRegression):
        def fit(self, X, y):
            raise KeyboardInterrupt

    early = early_of().fit(X, Y)
    early.set_params(classifier=Failing())
    with pytest.raises(KeyboardInterrupt):
        early.fit(X, Y)
    with pytest.raises(NotFittedError):
        early.decide(X)
    assert not hasattr(early, "left_out_path_")


@pytest.mark.parametrize(
    "labels", [Y.astype(float), Y.astype(object), Y.astype(bool)], ids=["float", "object", "bool"]
)
def test_labels_of_any_kind_may_be_missing(labels):
    some = labels.astype(object) if labels.dtype == bool else labels.copy()
    some[:20] = np.nan if labels.dtype == float else None
    taught = DistilledPrefixClassifier(
        earliness=[0.1, 1.0], student="lstm1-8", max_epochs=1, random_state=0
    )
    early = early_of(taught, cv=2).fit(X, some)
    assert np.isnan(early.left_out_path_[:20]).all()
    assert set(early.predict(X)) <= set(labels.tolist())


def test_weights_of_a_pipeline_s_step_go_through():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    early = early_of(pipeline)
    early.fit(X, Y, logisticregression__sample_weight=np.ones(60))
    assert np.isfinite(early.left_out_path_).all()


def test_a_rare_class_is_refused_before_the_fit():
    class Watched(LogisticRegression):
        def fit(self, X, y):
            raise AssertionError("fitted")

    y = Y.copy()
    y[0] = 7
    with pytest.raises(ValueError, match="one series of the class"):
        early_of(Watched()).fit(X, y)
