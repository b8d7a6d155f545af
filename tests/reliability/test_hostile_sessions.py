"""Files of sessions that are damaged or crafted."""

import crafting
import numpy as np
import pytest

from skgdpd import EarlyClassifier, ModelFileError, PrefixClassifier
from skgdpd.datasets import make_bumps

MOMENTS = [0.5, 0.75, 1.0]
X, Y = make_bumps(30, 24, noise=0.5, random_state=0)
HOSTILE = (
    "A file of a session that was damaged or altered is refused, or opens as a session that reads "
    "no points beyond its own."
)


@pytest.fixture(scope="module")
def early():
    classifier = PrefixClassifier("mixed", earliness=MOMENTS, random_state=0)
    return EarlyClassifier(classifier, cv=2, random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def saved(early, tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "session"
    session = early.start(["a", "b", 3], idle_timeout=100)
    session.push({"a": X[0, :, :18], "b": X[1, :, :7], 3: X[2, :, :4]}, time=1.0)
    session.save(path)
    assert points(session)[2] == 4
    return path


def rest_of(session):
    """Push the rest of all series; a session of a crafted file may refuse to."""
    known = zip(session.ids, points(session), strict=True)
    new = {id_: X[0, :, : 24 - n] for id_, n in known if n < 24}
    try:
        with np.errstate(all="ignore"):
            found = session.push(new, time=2.0)
    except MemoryError:
        raise
    except Exception:
        return "opened, refuses"
    assert all(0 <= decision.n_seen <= 24 for decision in found)
    return "opened, answers"


def points(session):
    return session._slots["n_points"][session._slots.rows].tolist()


def test_a_session_that_is_whole_goes_on(early, saved):
    session = early.resume(saved)
    assert rest_of(session) == "opened, answers"
    assert all(session.decided)


def test_damage_is_refused_or_changes_nothing(early, saved, tmp_path, promise):
    whole = early.resume(saved)

    def check(session):
        assert session.ids == whole.ids
        assert points(session) == points(whole)
        return "opened, equal"

    contents = crafting.damages(saved.read_bytes(), 40, np.random.default_rng(0))
    found = crafting.outcomes(contents, tmp_path / "session", early.resume, check)
    assert found["refused"] > 25
    promise(HOSTILE, "flips, cuts and lost parts", found)


@pytest.mark.parametrize("n", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_crafted_sessions_are_refused_or_harmless(early, saved, tmp_path, promise, n):
    header, tensors = crafting.unpacked(saved)
    rng = np.random.default_rng(n)
    contents = crafting.packed(crafting.crafted(header, tensors, rng) for _ in range(n))
    with crafting.limited_memory():
        found = crafting.outcomes(contents, tmp_path / "session", early.resume, rest_of)
    assert sum(found.values()) == n
    promise(HOSTILE, "crafted files", found)


def session_of(header):
    return dict(header["model"]["items"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("n_points", lambda t: t + 10**6),
        ("n_points", lambda t: t - 100),
        ("moment", lambda t: t + 1),
        ("moment", lambda t: t * 0 - 1),
        ("memory0", lambda t: t + 10**6),
        ("memory0", lambda t: t - 1000),
        ("memory", lambda t: t[..., :-1].clone()),
        ("memory", lambda t: t.double()),
        ("points", lambda t: t[:, :, :-1].clone()),
        ("probabilities", lambda t: t[:1].clone()),
        ("answered", lambda t: t.int()),
    ],
)
def test_arrays_that_compiled_code_would_follow_are_refused(early, saved, tmp_path, name, change):
    header, tensors = crafting.unpacked(saved)
    key = max(
        (key for key in tensors if key.startswith(f"session.arrays.{name}")),
        key=lambda key: tensors[key].numel(),
    )
    crafting.pack(tmp_path / "session", header, {**tensors, key: change(tensors[key])})
    with pytest.raises(ModelFileError, match="don't fit together"):
        early.resume(tmp_path / "session")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ids", 10**9),
        ("ids", ["a", "a", 3]),
        ("ids", ["a"]),
        ("ids", [["a"], "b", 3]),
        ("options", {"type": "dict", "items": [["join", 3]]}),
        ("options", {"type": "dict", "items": [["colour", "red"]]}),
        ("options", []),
        ("n_ignored", -1),
        ("now", "yesterday"),
        ("now", {"type": "float", "value": "nan"}),
        ("arrays", []),
        ("estimator", {"type": "dict", "items": []}),
        ("probe", 3),
    ],
)
def test_facts_that_no_session_writes_are_refused(early, saved, tmp_path, name, value):
    header, tensors = crafting.unpacked(saved)
    for item in header["model"]["items"]:
        if item[0] == name:
            item[1] = value
    crafting.pack(tmp_path / "session", header, tensors)
    with crafting.limited_memory(2**28), pytest.raises(ModelFileError, match="session"):
        early.resume(tmp_path / "session")
