"""Sessions: the answers of arrays, while points arrive."""

import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import EarlyClassifier, PrefixClassifier, SeriesOptions, load
from skgdpd._persistence import ModelFileError
from skgdpd.datasets import make_bumps
from skgdpd.stopping import ProbabilityThreshold

MOMENTS = [0.2, 0.3, 0.5, 0.75, 1.0]
X, Y = make_bumps(100, 40, noise=0.8, random_state=0)
NEW, _ = make_bumps(20, 40, noise=0.8, random_state=1)
N = len(NEW)
N_WAYS = 12
RULE = ProbabilityThreshold()
PROMISE = (
    "A session's answers are those of `decide` on whole series, to the bit, however points are "
    "divided into pushes."
)


def early_of(classifier, series=X, **more):
    return EarlyClassifier(classifier, rule=RULE, random_state=0, **more).fit(series, Y)


MAKERS = {
    "counts": lambda: early_of(PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)),
    "by prefix": lambda: early_of(
        PrefixClassifier("rocket", earliness=MOMENTS, normalize="prefix", random_state=0)
    ),
    "lstm": lambda: early_of(
        PrefixClassifier("lstm1-8", earliness=MOMENTS, max_epochs=2, random_state=0), cv=2
    ),
    "default": lambda: early_of(PrefixClassifier(earliness=MOMENTS, random_state=0)),
}
_MADE = {}


def made(name):
    if name not in _MADE:
        _MADE[name] = MAKERS[name]()
    return _MADE[name]


@pytest.fixture
def early():
    return made("counts")


def told(decisions):
    return {
        d.id: (d.label, d.n_seen, d.share_seen, d.forced, d.probabilities.tobytes())
        for d in decisions
    }


def expected(early, series=NEW, ids=None):
    answers = early.decide(series)
    columns = (answers.labels, answers.n_seen, answers.share_seen, answers.forced)
    rows = zip(*columns, (p.tobytes() for p in answers.probabilities), strict=True)
    return dict(zip(range(len(series)) if ids is None else ids, rows, strict=True))


# What is shown


def test_a_session_tells_how_many_series_it_has(early):
    session = early.start(["a", "b"], after_answer="refuse")
    assert repr(session) == "EarlySession(2 series, 0 answered, after_answer='refuse')"
    answers = session.push({"a": NEW[0]})
    assert repr(session) == "EarlySession(2 series, 1 answered, after_answer='refuse')"
    assert type(answers[0].label) in (str, int)
    assert session.close("a").label == answers[0].label


def test_a_file_of_a_session_is_no_model(early, tmp_path):
    early.start(1).save(tmp_path / "session.zip")
    with pytest.raises(ModelFileError, match=r"a session of an EarlyClassifier.*early\.resume\("):
        load(tmp_path / "session.zip")


# The answers of arrays


@pytest.mark.parametrize("name", MAKERS)
def test_answers_are_those_of_arrays_however_points_arrive(name, promise):
    check_answers_in_any_pushes(made(name))
    promise(PROMISE, f"ways to push {N} series", {"with equal answers": N_WAYS})


@settings(max_examples=N_WAYS, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([1, 3, 11, 40]))
def check_answers_in_any_pushes(early, seed, most):
    rng = np.random.default_rng(seed)
    session = early.start(N)
    read = np.zeros(N, dtype=int)
    decisions = []
    while (read < 40).any():
        some = rng.permutation(N)[: rng.integers(1, N + 1)].tolist()
        sizes = {i: int(rng.integers(0, most + 1)) for i in some}
        decisions += session.push({i: NEW[i, :, read[i] : read[i] + sizes[i]] for i in some})
        read += [sizes.get(i, 0) for i in range(N)]
    assert told(decisions) == expected(early)
    assert session.decided.all()


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.parametrize("name", MAKERS)
def test_all_series_at_once(name, size, promise):
    early = made(name)
    session = early.start(N)
    decisions = []
    for start in range(0, 40, size):
        decisions += session.push(NEW[:, :, start : start + size])
    assert told(decisions) == expected(early)
    answers = early.decide(NEW)
    assert np.array_equal(session.probabilities, answers.probabilities)
    assert (session.labels == answers.labels).all()
    assert np.array_equal(session.n_seen, answers.n_seen)
    promise(PROMISE, f"ways to push {N} series", {"with equal answers": 1})


@pytest.mark.parametrize("missing_values", ["interpolate", "mask"])
def test_gaps_are_read_as_in_arrays(missing_values):
    rng = np.random.default_rng(0)
    series, new = X.copy(), NEW.copy()
    for values in (series, new):
        values[rng.random(values.shape) < 0.2] = np.nan
        values[::4, :, 5:17] = np.nan
        values[:, :, [0, -1]] = 0.0
    classifier = PrefixClassifier(
        "rocket",
        earliness=MOMENTS,
        random_state=0,
        series=SeriesOptions(missing_values=missing_values),
    )
    early = early_of(classifier, series)
    session, decisions = early.start(N), []
    for t in range(40):
        decisions += session.push(new[:, :, t])
    assert told(decisions) == expected(early, new)


def test_several_channels():
    rng = np.random.default_rng(0)
    series = np.concatenate([X, rng.normal(size=X.shape)], 1)
    new = np.concatenate([NEW, rng.normal(size=NEW.shape)], 1)
    early = early_of(PrefixClassifier("rocket", earliness=MOMENTS, random_state=0), series)
    session, decisions = early.start(N), []
    for t in range(40):
        decisions += session.push({i: new[i, :, t] for i in range(N)})
    assert told(decisions) == expected(early, new)


def test_sessions_in_threads_do_not_touch_one_another(early):
    found = {}

    def run(number):
        session, decisions = early.start(N), []
        for t in range(40):
            decisions += session.push(NEW[:, :, t : t + 1])
        found[number] = told(decisions)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(4)] == [expected(early)] * 4


# Life of a series


def test_nothing_is_answered_before_the_first_moment(early):
    session = early.start(["a"])
    assert session.push({"a": NEW[0, 0, :7]}) == []
    assert np.isnan(session.probabilities).all()
    assert session.labels.tolist() == [None]
    assert session.n_seen.tolist() == [7]
    with pytest.raises(ValueError, match=r"id='a' has 7 points, and there is no answer before 8"):
        session.close("a")
    session.drop("a")
    assert session.ids == []


def test_a_series_that_is_closed_is_answered_as_one_that_ends(early):
    session = early.start(N)
    decisions = session.push(NEW[:, :, :25])
    decisions += [session.close(i) for i in np.flatnonzero(~session.decided).tolist()]
    assert told(decisions) == expected(early, NEW[:, :, :25])
    assert all(d.forced for d in decisions[-1:])


def test_an_answer_is_given_again_when_its_series_is_closed(early):
    session = early.start(["a"])
    (first,) = session.push({"a": NEW[0, 0]})
    assert told([session.close("a")]) == told([first])
    with pytest.raises(KeyError, match="'a' is unknown"):
        session.close("a")


def test_series_may_join(early):
    session = early.start(["a"], join=True)
    session.push({"a": NEW[0, 0], "b": NEW[1, 0, :3]})
    session.open("c")
    assert session.ids == ["a", "b", "c"]
    decisions = session.push({"b": NEW[1, 0, 3:], "c": NEW[2, 0]})
    assert told(decisions) == {name: expected(early)[i] for i, name in ((1, "b"), (2, "c"))}


def test_ids_are_free_again(early):
    session = early.start(["sensor"], after_answer="restart")
    endless = np.concatenate(list(NEW[:, 0]))
    seen, start = [], 0
    for decision in session.push({"sensor": endless}):
        series = endless[None, None, start : start + 40]
        (alone,) = expected(early, series).values()
        assert told([decision])["sensor"] == alone
        start += decision.n_seen
        seen.append(decision)
    assert len(seen) >= N


def test_points_after_an_answer(early):
    whole = NEW[:1]
    ignoring, refusing = early.start(1), early.start(1, after_answer="refuse")
    (answer,) = ignoring.push(whole)
    assert ignoring.n_ignored == 40 - answer.n_seen
    assert ignoring.push(whole) == []
    assert ignoring.n_ignored == 80 - answer.n_seen
    refusing.push(whole)
    with pytest.raises(ValueError, match=r"ids 0 have their answers.*after_answer='ignore'"):
        refusing.push(whole)


@pytest.mark.parametrize("after_answer", ["ignore", "refuse"])
def test_more_points_than_a_series_has_are_warned_of(early, after_answer):
    session = early.start(["a", "b"], after_answer=after_answer)
    endless = np.tile(NEW[0, 0], 5)
    with pytest.warns(UserWarning, match="ids 'a' have more than 40 points.*'restart'"):
        (answer,) = session.push({"a": endless, "b": NEW[1, 0, :3]})
    assert session.n_ignored == 200 - answer.n_seen
    with pytest.raises(UserWarning):  # tests turn warnings into errors
        session.push({"b": endless})
    assert session.n_seen[1] == 3  # a push that fails changes nothing


@pytest.mark.parametrize("frame", [pd.Series, pd.DataFrame])
def test_frames_are_refused(early, frame):
    session = early.start(["a", "b"])
    points = (
        frame({"a": [1.0, 2.0], "b": [3.0, 4.0]}) if frame is pd.DataFrame else frame([1.0, 2])
    )
    with pytest.raises(ValueError, match=f"points is a pandas {frame.__name__}.*dict"):
        session.push(points)


def test_idle_series_are_given_up(early):
    session = early.start(["a", "b", "c"], idle_timeout=10.0)
    session.push({"a": NEW[0, 0, :8], "b": NEW[1, 0, :3], "c": NEW[2, 0, :8]}, time=0.0)
    waiting = [i for i, done in zip(session.ids, session.decided, strict=True) if not done]
    assert session.push({"c": NEW[2, 0, 8:9]}, time=10.0) == []
    decisions = session.push({"c": NEW[2, 0, 9:10]}, time=10.5)
    assert [d.id for d in decisions] == [i for i in waiting if i == "a"]
    assert all(d.forced and d.time == 0.0 for d in decisions)
    assert "b" not in session.ids  # before the first moment there is no answer
    assert "c" in session.ids
    with pytest.raises(ValueError, match="time must be given"):
        session.push({"c": [1.0]})


def test_a_series_of_which_no_point_comes_is_given_up(early):
    session = early.start(["a", "b"], idle_timeout=10.0)
    session.push({"a": NEW[0, 0, :1]}, time=0.0)  # the first time that is known
    session.push({"a": NEW[0, 0, 1:2]}, time=10.0)
    assert session.ids == ["a", "b"]
    session.open("c")  # at the time of the last push
    assert session.push({"a": NEW[0, 0, 2:3]}, time=10.5) == []
    assert session.ids == ["a", "c"]
    session.push({"a": NEW[0, 0, 3:4]}, time=20.0)
    assert session.ids == ["a", "c"]
    assert session.expire(20.5) == []
    assert session.ids == ["a"]


def test_a_push_that_fails_starts_no_waiting(early):
    session = early.start(["a", "b"], idle_timeout=10.0)
    with pytest.raises(ValueError, match="finite"):
        session.push({"a": [np.nan]}, time=0.0)
    session.push({"a": NEW[0, 0, :1]}, time=5.0)
    session.push({"a": NEW[0, 0, 1:2]}, time=14.0)
    assert session.ids == ["a", "b"]
    session.push({"a": NEW[0, 0, 2:3]}, time=15.5)
    assert session.ids == ["a"]


def test_waiting_goes_on_in_a_file(early, tmp_path):
    session = early.start(["a", "b"], idle_timeout=10.0)
    session.push({"a": NEW[0, 0, :1]}, time=0.0)
    session.save(tmp_path / "session")
    opened = early.resume(tmp_path / "session")
    opened.push({"a": NEW[0, 0, 1:2]}, time=9.5)
    assert opened.ids == ["a", "b"]
    opened.push({"a": NEW[0, 0, 2:3]}, time=10.5)
    assert opened.ids == ["a"]


def test_times_are_carried_through(early):
    session = early.start(1)
    (answer,) = session.push(NEW[:1], time=12.5)
    assert answer.time == 12.5
    assert early.start(1).push(NEW[:1])[0].time is None


def test_so_many_series_and_no_more(early):
    session = early.start(2, max_open=3)
    session.open(2)
    with pytest.raises(
        ValueError, match="4 series would wait for an answer, more than max_open=3"
    ):
        session.open(3)
    session.push({0: NEW[0]})
    session.open(3)


# A push is applied whole, or not at all


BAD = {
    "unknown": ({0: [1.0], "other": [1.0]}, KeyError, "'other' are unknown"),
    "shape": ({0: [1.0], 1: np.zeros((2, 3))}, ValueError, r"must be \(1, k\)"),
    "words": ({0: [1.0], 1: ["a"]}, ValueError, "array of numbers"),
    "nan": ({0: [1.0], 1: [np.nan]}, ValueError, "id 1 must be finite; there is nan"),
    "inf": ({0: [1.0], 1: [np.inf]}, ValueError, "id 1 must be finite; there is inf"),
    "huge": ({0: [1.0], 1: [1e39]}, ValueError, "beyond"),
    "all": (np.zeros((3, 1, 1)), ValueError, rf"must be \({N}, 1, k\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_push_changes_nothing(name, early):
    points, error, message = BAD[name]
    session, decisions = early.start(N), []
    for t in range(40):
        with pytest.raises(error, match=message):
            session.push(points)
        decisions += session.push(NEW[:, :, t])
    assert told(decisions) == expected(early)


class Interrupting(ProbabilityThreshold):
    """A rule that is interrupted in its k-th step."""

    left = None

    def _step(self, state, moment, probabilities):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise KeyboardInterrupt
        return super()._step(state, moment, probabilities)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupt_undoes_the_push(after):
    classifier = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)
    early = EarlyClassifier(classifier, rule=Interrupting(), random_state=0).fit(X, Y)
    session = early.start(N, after_answer="restart")
    session.push(NEW[:, :, :10])
    before = (session.probabilities, session.n_seen, session.ids)
    early.rule_.left = after
    with pytest.raises(KeyboardInterrupt):
        session.push(np.concatenate([NEW[:, :, 10:], NEW], 2))
    early.rule_.left = None
    assert np.array_equal(session.probabilities, before[0], equal_nan=True)
    assert np.array_equal(session.n_seen, before[1])
    assert session.ids == before[2]
    again = early.start(N, after_answer="restart")
    again.push(NEW[:, :, :10])
    assert told(session.push(NEW[:, :, 10:])) == told(again.push(NEW[:, :, 10:]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"after_answer": "stop"}, "after_answer='stop' must be"),
        ({"on_idle": "wait"}, "on_idle='wait' must be"),
        ({"max_open": 0}, "max_open=0 must be"),
        ({"idle_timeout": -1}, "idle_timeout=-1 must be"),
        ({"ids": ["a", "a"]}, "twice"),
    ],
    ids=str,
)
def test_bad_options_are_refused(settings, message, early):
    with pytest.raises(ValueError, match=message):
        early.start(**settings)


# Files


@pytest.mark.parametrize("name", ["counts", "by prefix"])
@pytest.mark.parametrize("stop", [3, 10, 25])
def test_a_session_goes_on_from_its_save(name, stop, tmp_path):
    early = made(name)
    ids = [f"series {i}" for i in range(N)]
    session = early.start(ids)
    decisions = session.push(NEW[:, :, :stop])
    session.save(tmp_path / "session")
    session.push(NEW[:, :, stop:])  # lost with the process
    early.save(tmp_path / "early.skgdpd")
    resumed = load(tmp_path / "early.skgdpd").resume(tmp_path / "session")
    assert resumed.ids == ids
    decisions += resumed.push(NEW[:, :, stop:])
    assert told(decisions) == expected(early, ids=ids)


def test_a_session_of_another_classifier_is_refused(early, tmp_path):
    session = early.start(2)
    session.save(tmp_path / "session")
    with pytest.raises(ValueError, match=r"session of another classifier|can't be opened"):
        made("by prefix").resume(tmp_path / "session")
    early.save(tmp_path / "early.skgdpd")
    with pytest.raises(ValueError, match="holds no session"):
        early.resume(tmp_path / "early.skgdpd")


def test_ids_of_other_types_can_t_be_saved(early, tmp_path):
    session = early.start([("a", 1)])
    with pytest.raises(ValueError, match=r"id \('a', 1\) can't be saved"):
        session.save(tmp_path / "session")
