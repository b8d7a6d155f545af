"""Streams of a model that knows its step: times give points their places."""

import csv
import io
import json
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import EarlyClassifier, PrefixClassifier, SeriesOptions, load
from skgdpd._cli.main import main
from skgdpd._cli.series_files import Columns, read_series
from skgdpd._cli.stream import Stream, StreamOptions, _report
from skgdpd.datasets import make_bumps

N = 4
START = datetime(2026, 1, 31, 12)
MOMENTS = [0.2, 0.4, 0.6, 0.8, 1.0]
STEPS = {"dates": (60.0, True), "numbers": (0.1, False)}


@pytest.fixture(scope="module")
def X():
    return make_bumps(n_samples=N, random_state=5)[0].astype(float)


@pytest.fixture(scope="module")
def strict(early_file):
    """A model of dates, a minute apart, that allows no missing values."""
    early = load(early_file)
    early.sampling_step_ = STEPS["dates"]
    return early


@pytest.fixture(scope="module", params=["interpolate", "mask"])
def tolerant(request):
    X, y = make_bumps(n_samples=60, random_state=0)
    options = SeriesOptions(missing_values=request.param)
    classifier = PrefixClassifier(
        "rocket", earliness=MOMENTS, max_epochs=2, series=options, random_state=0
    )
    early = EarlyClassifier(classifier, delay_cost=0.5, random_state=0).fit(X, y)
    early.sampling_step_ = STEPS["dates"]
    return early


def time_of(t, kind="dates"):
    return str(START + timedelta(minutes=int(t))) if kind == "dates" else float(t * 0.1)


def line(id_, points, at, kind="dates", **more):
    fields = {"id": id_, "points": np.reshape(points, (-1, 1)).tolist()}
    if at is not None:
        fields["time"] = time_of(at, kind)
    return json.dumps({**fields, **more}).encode()


def one_by_one(id_, series, times=None):
    times = range(len(series)) if times is None else times
    return [line(id_, series[t], t) for t in times]


def fed(early, lines, **options):
    stream = Stream(early, StreamOptions(**options))
    stream.handle(lines)
    return stream


def answers(stream):
    found = {answer["id"]: answer for answer in map(json.loads, stream.unwritten)}
    assert len(found) == len(stream.unwritten)
    return found


def same_as_decide(found, early, X, ids):
    expected = early.decide(X)
    assert sorted(found) == sorted(ids)
    for i, id_ in enumerate(ids):
        answer = found[id_]
        assert answer["label"] == expected.labels[i]
        assert list(answer["probabilities"].values()) == expected.probabilities[i].tolist()
        assert answer["n_seen"] == expected.n_seen[i]
        assert answer["forced"] == expected.forced[i]


def kept_rows(draw, rng, n):
    """Times of the points of a series that are there: at least 12 from the first to the last."""
    share = draw(st.sampled_from([0.0, 0.1, 0.4]))
    kept = np.flatnonzero(rng.random(n) >= share)
    length = int(rng.integers(12, n + 1))
    kept = kept[kept < kept[0] + length]
    return kept if kept[-1] - kept[0] >= 11 else np.arange(n)


def grouped(rng, times):
    """Divide times into lines: of points without a gap between them."""
    groups = [[times[0]]]
    for before, time in pairwise(times):
        if time - before == 1 and rng.random() < 0.3:
            groups[-1].append(time)
        else:
            groups.append([time])
    return groups


def merged(rng, own):
    """Lines of several series, in an order that keeps that of each series."""
    left = {id_: list(lines) for id_, lines in own.items()}
    lines = []
    while left:
        id_ = str(rng.choice(sorted(left)))
        lines.append(left[id_].pop(0))
        if not left[id_]:
            del left[id_]
    return lines


def divided(stream, draw, rng, lines):
    cuts = sorted({0, len(lines), *rng.integers(len(lines), size=draw(st.integers(0, 8)))})
    for first, last in pairwise(cuts):
        stream.handle(lines[first:last])


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_answers_are_those_of_predict_on_the_same_points(tolerant, X, tmp_path_factory, data):
    draw = data.draw
    kind = draw(st.sampled_from(["dates", "numbers"]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    path = tmp_path_factory.mktemp("points") / "points.csv"
    own, rows = {}, []
    for i in range(N):
        times = kept_rows(draw, rng, X.shape[2])
        rows += [[f"m{i}", time_of(t, kind), repr(float(X[i, 0, t]))] for t in times]
        own[f"m{i}"] = [line(f"m{i}", X[i, 0, g], g[0], kind) for g in grouped(rng, times)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["who", "when", "x"], *rows])
    tolerant.sampling_step_ = STEPS[kind]
    stream = Stream(tolerant, StreamOptions())
    divided(stream, draw, rng, merged(rng, own))
    stream.end()
    columns = Columns(id="who", time="when", step=STEPS[kind][0])
    series = read_series(str(path), columns, labelled=False)
    assert stream.counts["refused"] == 0
    same_as_decide(answers(stream), tolerant, series.X, series.ids.tolist())


@pytest.mark.parametrize("after", ["ignore", "refuse", "restart"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_division_of_the_lines_gives_the_same_answers(tolerant, strict, X, after, data):
    draw = data.draw
    early = draw(st.sampled_from([tolerant, strict]))
    tolerant.sampling_step_ = STEPS["dates"]
    options = {"after_answer": after, "idle_timeout": draw(st.sampled_from([None, 1200.0]))}
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    lines, now = [], dict.fromkeys(range(3), 0)
    clock = 0
    for _ in range(120):
        i, k = int(rng.integers(3)), int(rng.choice([1, 1, 1, 4]))
        if options["idle_timeout"] is None:
            t = now[i] = now[i] + int(rng.choice([1, 1, 1, 1, 0, -1, 3, 30]))
        else:
            t = clock = clock + int(rng.choice([0, 0, 1, 2, 9]))
        more = {"end": True} if rng.random() < 0.05 else {}
        points = X[i, 0, np.arange(k)]
        lines.append(line(i, points, max(t, 0) if rng.random() < 0.97 else None, **more))
        now[i] += k - 1
    alone, together = (Stream(early, StreamOptions(**options)) for _ in range(2))
    for content in lines:
        alone.handle([content])
    divided(together, draw, rng, lines)
    for stream in (alone, together):
        stream.end()
    assert together.unwritten == alone.unwritten
    assert together.counts == alone.counts
    assert vars(together.series) == vars(alone.series)
    assert set(alone.series.last) <= {*alone.series.open, *alone.series.past}


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_stream_that_is_stopped_goes_on_with_all_lines_again(
    tolerant, X, tmp_path_factory, data
):
    draw = data.draw
    tolerant.sampling_step_ = STEPS["dates"]
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    own = {}
    for i in range(N):
        groups = grouped(rng, kept_rows(draw, rng, X.shape[2]))
        own[f"m{i}"] = [line(f"m{i}", X[i, 0, group], group[0]) for group in groups]
    lines = merged(rng, own)
    whole = fed(tolerant, lines)
    whole.end()
    path = str(tmp_path_factory.mktemp("state") / "state.zip")
    middle = int(rng.integers(1, len(lines)))
    fed(tolerant, lines[:middle]).save(path)
    stream = Stream(tolerant, StreamOptions())
    stream.resume(path)
    stream.handle(lines[int(rng.integers(0, middle + 1)) :])
    stream.end()
    assert stream.counts["refused"] == 0
    assert answers(stream) == answers(whole)


# Without missing values


def test_a_gap_is_refused_until_its_points_come(strict, X, capsys):
    lines = one_by_one("a", X[0, 0])
    stream = fed(strict, [*lines[:5], *lines[7:9]])
    assert stream.counts["refused"] == 2
    err = capsys.readouterr().err
    assert "line 6: 2 points are missing between 2026-01-31 12:04:00 and" in err
    assert "times of id 'a', which this model does not allow" in err
    assert "--missing interpolate" in err
    stream.handle(lines[5:])
    same_as_decide(answers(stream), strict, X[:1], ["a"])


def test_points_after_the_answer_may_have_gaps(strict, X):
    n_seen = int(strict.decide(X[:1]).n_seen[0])
    lines = one_by_one("a", X[0, 0])
    together = fed(strict, [*lines[:n_seen], line("a", [0.5], n_seen + 9)])
    assert together.counts["refused"] == 0
    assert together.counts["late"] == 1


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (line("a", [0.5], 0), "time=2026-01-31 12:00:00 of id 'a' repeats the time"),
        (line("a", [0.5], -3), "is before 2026-01-31 12:00:00, the time of the point before"),
        (
            json.dumps({"id": "a", "values": [0.5], "time": "2026-01-31 12:01:30"}).encode(),
            "is 1.5 steps after 2026-01-31 12:00:00; it must be a whole number of steps of 1 min",
        ),
        (
            json.dumps({"id": "a", "values": [0.5], "time": "2026-01-31 12:00:20"}).encode(),
            "is 0.3333 steps after",
        ),
        (line("a", [0.5], None), "lines before of id 'a' had times and no t"),
        (line("a", [0.5], 1, t=1), "lines before of id 'a' had times and no t"),
    ],
)
def test_times_that_give_no_place_are_refused(strict, tolerant, capsys, second, words):
    tolerant.sampling_step_ = STEPS["dates"]
    for early in (strict, tolerant):
        stream = fed(early, [line("a", [0.5], 0), second])
        assert stream.counts["refused"] == 1
        assert words in capsys.readouterr().err
        stream.handle([line("a", [0.5], 1)])  # which follows
        assert stream.series.open == {"a": [2, 0]}


@pytest.mark.parametrize("first", [line("a", [0.5], None), line("a", [0.5], 0, t=0)])
def test_a_series_without_places_by_time_gets_none_later(strict, capsys, first):
    stream = fed(strict, [first, line("a", [0.5], 1)])
    assert stream.counts["refused"] == 1
    assert "lines before of id 'a' had t, or no times" in capsys.readouterr().err


def test_times_are_of_the_kind_of_the_fit(strict, capsys):
    stream = fed(strict, [line("a", [0.5], 0, "numbers"), line("b", [0.5], 0, "numbers", t=0)])
    assert stream.counts["refused"] == 1
    err = capsys.readouterr().err
    assert "the time of id 'a' is a number, and the times of the fit were dates" in err


def test_inexact_times_are_read_as_those_of_a_file(strict, X):
    """Each time is compared with the one before, so that small errors may add up."""
    lines = [
        json.dumps(
            {"id": 0, "values": [value], "time": str(START + timedelta(seconds=60.3 * t))}
        ).encode()
        for t, value in enumerate(X[0, 0].tolist())
    ]
    same_as_decide(answers(fed(strict, lines)), strict, X[:1], [0])


def test_a_model_without_a_step_takes_points_as_they_come(early_file, X):
    early = load(early_file)
    lines = [line("a", own, 2 * t) for t, own in enumerate(X[0, 0])]
    same_as_decide(answers(fed(early, lines)), early, X[:1], ["a"])


def test_a_later_series_of_an_id_begins_at_its_own_time(strict, X):
    first = one_by_one("a", X[0, 0])
    first[-1] = line("a", X[0, 0, -1], 59, end=True)
    second = [line("a", own, 1000 + t) for t, own in enumerate(X[1, 0])]
    stream = fed(strict, [*first, *second])
    assert stream.counts["refused"] == 0
    assert [json.loads(text)["label"] for text in stream.unwritten] == strict.decide(
        X[:2]
    ).labels.tolist()
    stream.handle([line("a", [0.5], 100)])
    assert stream.counts["refused"] == 1


def test_a_sensor_that_never_ends_may_pause_between_series(strict, X):
    """The next series begins with the first line after the answer, without a gap."""
    seen = [int(n) for n in strict.decide(X[:2]).n_seen]
    lines = [line("a", own, t) for t, own in enumerate(X[0, 0, : seen[0]])]
    lines += [line("a", own, 100 + t) for t, own in enumerate(X[1, 0, : seen[1]])]
    stream = fed(strict, lines, after_answer="restart")
    assert stream.counts["refused"] == 0
    assert [json.loads(text)["n_seen"] for text in stream.unwritten] == seen


def test_a_long_gap_is_missing_values_up_to_the_answer_only(tolerant, X):
    tolerant.sampling_step_ = STEPS["dates"]
    lines = [*one_by_one("a", X[0, 0, :3]), line("a", [0.5], 500_000)]
    stream = fed(tolerant, lines)
    (found,) = answers(stream).values()
    assert found["time"] == time_of(500_000)
    assert stream.counts["late"] == 1
    assert stream.series.past["a"][0] <= 61


# The commands


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of points of whole series, a model fitted to them, and every second of its points."""
    folder = tmp_path_factory.mktemp("step")
    X, y = make_bumps(30, 40, noise=0.3, random_state=0)

    def write(name, every=1, when=time_of, length=40):
        with open(folder / name, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["who", "when", "x", "ill"])
            for i in range(30):
                for t in range(0, length, every):
                    writer.writerow([f"m{i}", when(t), repr(float(X[i, 0, t])), y[i]])
        return str(folder / name)

    paths = {
        "all": write("all.csv"),
        "half": write("half.csv", every=2),
        "numbers": write("numbers.csv", when=float),
        "single": write("single.csv", length=1),
        "model": str(folder / "model.zip"),
    }
    quick = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]
    more = ["--earliness", "0.2", "0.6", "1.0", "--delay-cost", "0.3", "--missing", "interpolate"]
    assert main(["fit", paths["all"], *LONG, "--out", paths["model"], *quick, *more]) == 0
    return paths


LONG = ["--id", "who", "--time", "when", "--label", "ill"]


def test_the_step_is_kept_in_the_model_file(files):
    assert load(files["model"]).sampling_step_ == (60.0, True)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("half", [], "is 2 minutes in"),
        ("half", [], "and 1 minute in the series of the fit"),
        ("half", [], "say so by --step 60"),
        ("all", ["--step", "30"], "is 30 seconds in"),
        ("numbers", [], "are numbers, and those of the series of the fit are dates"),
    ],
)
def test_another_step_is_refused(files, capsys, command, name, more, words):
    assert main([command, files["model"], files[name], *LONG, *more]) == 2
    assert words in capsys.readouterr().err


def test_points_may_be_missing_if_the_step_is_said(files):
    assert main(["predict", files["model"], files["half"], *LONG, "--step", "60"]) == 0


def test_series_of_one_point_have_no_step_to_be_refused(files, capsys):
    given = ["predict", files["model"], files["single"], *LONG, "--short", "skip"]
    assert main(given) == 0
    assert "30 of 30 series are too short" in capsys.readouterr().err


def test_unlabelled_series_have_the_step_of_the_labelled_ones(files, tmp_path, capsys):
    given = ["fit", files["all"], *LONG, "--unlabeled", files["half"]]
    assert main([*given, "--out", str(tmp_path / "model.zip"), "--quiet"]) == 2
    assert f"and 1 minute in {files['all']}" in capsys.readouterr().err


def test_stream_and_predict_agree_on_a_file(files, capsys, tmp_path, monkeypatch):
    """Rows are missing, and numbers have a comma; the columns of answers have the same names."""
    with open(files["all"]) as file:
        rows = [row for i, row in enumerate(csv.reader(file)) if i % 7 != 3]
    path = tmp_path / "points.csv"
    lines = [";".join(row).replace(".", ",") for row in rows]
    path.write_text("\n".join(lines) + "\n")
    form = ["--id", "who", "--time", "when", "--separator", ";", "--decimal", ","]
    assert main(["predict", files["model"], str(path), *form, "--label", "ill"]) == 0
    predicted = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    out = tmp_path / "out.csv"
    with path.open() as stdin, out.open("w") as stdout, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        patch.setattr("sys.stdout", stdout)
        given = ["stream", files["model"], "--format", "csv", *form, "--values", "x"]
        assert main(given) == 0
    streamed = {row["id"]: row for row in csv.DictReader(io.StringIO(out.read_text()))}
    assert len(predicted) == len(streamed) == 30
    for row in predicted:
        other = streamed[row["id"]]
        for name in ("label", "n_seen", "forced"):
            assert row[name] == other[name]
        assert float(row["p_1"]) == pytest.approx(float(other["p_1"]), rel=1e-5)


def test_missing_points_are_counted(tolerant, X):
    first = int(tolerant.time_points_[0])
    whole = fed(tolerant, one_by_one("a", X[0].T[:first]))
    assert whole.counts["missing"] == 0
    gaps = fed(tolerant, one_by_one("a", X[0].T[:first], times=[0, 2, 5]))
    assert gaps.counts["missing"] == 3
    assert "3 points before answers were missing" in _report(gaps, "state.zip")


def test_a_timeout_below_the_step_is_refused(strict, X, capsys):
    lines = one_by_one("a", X[0].T[:3])
    assert fed(strict, lines, idle_timeout=59).counts["refused"] == 3
    assert "--idle-timeout 59 is less than 60, the time from point to point" in (
        capsys.readouterr().err
    )
    assert fed(strict, lines, idle_timeout=60).counts["refused"] == 0
