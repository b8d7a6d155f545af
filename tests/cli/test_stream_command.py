"""Streams: lines in, answers out, whatever way the lines are divided."""

import json
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skgdpd._cli.stream
from skgdpd import load
from skgdpd._cli.lines import CsvLines, CsvOptions, HeaderError, JsonLines
from skgdpd._cli.main import main
from skgdpd._cli.notes import forced_note
from skgdpd._cli.stream import Stream, StreamOptions, ready
from skgdpd._persistence.archive import read_model, write_model
from skgdpd.datasets import make_bumps

N = 6
FIRST = 12
"""First moment of the model."""


@pytest.fixture(scope="module")
def early(early_file):
    return load(early_file)


@pytest.fixture(scope="module")
def X():
    return make_bumps(n_samples=N, random_state=5)[0]


def line(id, value, **more):
    values = value if isinstance(value, list) else [value]
    return json.dumps({"id": id, "values": values, **more}).encode()


def lines_of(X, ids=None, **more):
    """Lines of one point each, in order of time."""
    ids = range(len(X)) if ids is None else ids
    return [
        line(id_, float(own[0, t]), t=t, **more)
        for t in range(X.shape[2])
        for id_, own in zip(ids, X, strict=True)
    ]


def answers(stream):
    """Answers that are to be written, which are then taken as written."""
    found = [json.loads(text) for text in stream.unwritten]
    stream.unwritten = []
    return found


def fed(early, lines, **options):
    stream = Stream(early, StreamOptions(**options))
    stream.handle(lines)
    return stream


def same_as_decide(found, early, X):
    expected = early.decide(X)
    by_id = {answer["id"]: answer for answer in found}
    assert len(found) == len(by_id) == len(X)
    for i in range(len(X)):
        answer = by_id[i]
        assert answer["label"] == expected.labels[i]
        assert list(answer["probabilities"].values()) == expected.probabilities[i].tolist()
        assert answer["n_seen"] == expected.n_seen[i]
        assert answer["share_seen"] == expected.share_seen[i]
        assert answer["forced"] == expected.forced[i]


# Answers


def test_answers_are_those_of_decide(early, X):
    stream = fed(early, lines_of(X))
    same_as_decide(answers(stream), early, X)
    assert stream.counts["refused"] == 0


def test_several_points_in_a_line_are_the_same(early, X):
    lines = [
        json.dumps({"id": i, "points": X[i, :, t : t + 7].T.tolist(), "t": t}).encode()
        for t in range(0, 60, 7)
        for i in range(N)
    ]
    same_as_decide(answers(fed(early, lines)), early, X)


def test_an_end_forces_the_answer_of_the_latest_moment(early, X):
    t = 20
    stream = fed(early, lines_of(X[:, :, :t]))
    stream.unwritten = []
    waiting = list(stream.series.open)
    assert waiting
    stream.handle([json.dumps({"id": i, "end": True, "time": 3}).encode() for i in waiting])
    found = answers(stream)
    assert [answer["id"] for answer in found] == waiting
    assert all(answer["forced"] and answer["n_seen"] <= t for answer in found)
    assert all(answer["time"] == 3 for answer in found)
    said = forced_note(len(waiting), stream.counts["answers"])
    assert said in skgdpd._cli.stream._report(stream, None)
    assert not stream.series.open
    assert len(stream.session) == 0


def test_a_series_that_ends_before_the_first_moment_has_no_answer(early):
    stream = fed(early, [line("a", 0.5), line("b", 0.5, end=True)])
    assert stream.counts["unanswered"] == 1
    stream.end()
    assert stream.counts["unanswered"] == 2
    assert answers(stream) == []


def test_an_answer_has_the_time_of_the_line_that_led_to_it(early, X):
    lines = [line(0, float(X[0, 0, t]), time=100 + t) for t in range(60)]
    (found,) = answers(fed(early, lines))
    assert found["time"] == 99 + found["n_seen"]


def test_times_may_be_dates(early, X):
    values = [float(value) for value in X[0, 0]]
    clocks = [f"2026-01-31 12:{t:02d}:00" for t in range(60)]
    texts = [f"0,{value!r},{clock}".encode() for value, clock in zip(values, clocks, strict=True)]
    stream = fed(early, [b"id,x,when", *texts], format="csv", time="when")
    _, row = (text.strip().split(",") for text in stream.unwritten)
    assert row[5] == clocks[int(row[2]) - 1]
    lines = [line(0, value, time=clock) for value, clock in zip(values, clocks, strict=True)]
    (found,) = answers(fed(early, lines))
    assert found["time"] == row[5]


def test_idle_series_are_given_up_after_seconds_if_times_are_dates(early, X, tmp_path):
    path = str(tmp_path / "state.zip")
    dates = [f"2026-01-31T12:00:{t:02d}+01:00" for t in range(FIRST)]
    stream = fed(
        early,
        [line(0, float(X[0, 0, t]), time=date) for t, date in enumerate(dates)],
        idle_timeout=60,
    )
    before = len(answers(stream))
    stream.handle([line(1, 0.5, time="2026-01-31T12:01:11+01:00")])
    assert 0 in stream.series.open or before
    stream.save(path)
    later = Stream(early, StreamOptions(idle_timeout=60))
    later.resume(path)
    later.handle([line(2, 0.5, time="2026-01-31T11:01:12+00:00")])
    assert 0 not in later.series.open
    found = answers(later)
    assert len(found) == 1 - before
    assert all(re.fullmatch(r"2026-01-31 11:0\d:\d\d\+00:00", a["time"]) for a in found)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (3, "2026-01-31", "is of the kind dates; lines before had numbers"),
        ("2026-01-31", 3, "is of the kind numbers; lines before had dates"),
        ("2026-01-31", "2026-01-31T12:00Z", "dates with a time zone; lines before had dates"),
    ],
)
def test_times_are_of_one_kind(early, capsys, first, second, words):
    stream = fed(early, [line(0, 0.5, time=first), line(0, 0.5, time=second)])
    assert stream.counts["refused"] == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "date",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-05:00", "9999-12-31T23:59:59.999999"],
)
def test_a_date_that_could_not_be_written_is_refused_alone(early, X, capsys, date):
    points = X[0].T.tolist()
    texts = [
        json.dumps({"id": id_, "points": points, "time": time}).encode()
        for id_, time in (("a", date), (0, "2026-01-31 12:00:00"))
    ]
    stream = fed(early, texts)
    assert stream.counts["refused"] == 1
    assert f"line 1: time={date!r} must be a finite number, or a date" in capsys.readouterr().err
    found = answers(stream)
    same_as_decide(found, early, X[:1])
    assert found[0]["time"] == "2026-01-31 12:00:00"


@pytest.mark.parametrize(
    "date", ["0001-01-01 00:00:00", "0001-01-01 14:00:00+14:00", "9999-12-31 23:59:59"]
)
def test_the_first_and_last_dates_are_read(early, X, date):
    text = json.dumps({"id": 0, "points": X[0].T.tolist(), "time": date})
    (found,) = answers(fed(early, [text.encode()]))
    assert found["time"] == date.replace("14:00:00+14:00", "00:00:00+00:00")


@pytest.mark.parametrize(
    ("before", "refused", "options"),
    [
        ([], {"id": "a", "t": 5}, {}),
        ([], {"id": "a", "t": 5}, {"idle_timeout": 1000}),
        ([("b", 1)], {"id": "a"}, {"max_open": 1}),
        ([("b", 60)], {"id": "b"}, {"after_answer": "refuse"}),
    ],
    ids=["gap", "gap-idle", "turned-away", "late"],
)
def test_a_refused_line_leaves_the_kind_of_times_open(
    early, X, tmp_path, before, refused, options
):
    path = str(tmp_path / "state.zip")
    known = [
        json.dumps({"id": id_, "points": X[0, :, :n].T.tolist()}).encode() for id_, n in before
    ]
    stream = fed(early, [*known, line(value=0.5, time="2026-01-31", **refused)], **options)
    assert stream.counts["refused"] == 1
    if options.get("max_open"):
        stream.handle([json.dumps({"id": "b", "end": True}).encode()])
    stream.unwritten = []
    stream.save(path)
    later = Stream(early, StreamOptions(**options))
    later.resume(path)
    points = X[1].T.tolist()
    for each in (stream, later):
        n_refused = each.counts["refused"]
        each.handle([json.dumps({"id": 1, "points": points, "time": 3}).encode()])
        (found,) = answers(each)
        assert found["time"] == 3
        each.handle([line(2, 0.5, time="2026-01-31")])
        assert each.counts["refused"] == n_refused + 1  # the line before settled the kind


def test_a_date_among_the_values_is_told_from_other_text(early, capsys):
    fed(early, [b"a,2026-01-31 12:00:00"], format="csv")
    assert "if it is a time, name its column in a header by --time" in capsys.readouterr().err


@pytest.mark.parametrize("after", ["ignore", "refuse"])
def test_points_after_the_answer(early, X, after):
    stream = fed(early, [*lines_of(X[:1]), line(0, 0.5)], after_answer=after)
    n_late = 61 - answers(stream)[0]["n_seen"]
    assert stream.counts["late" if after == "ignore" else "refused"] == n_late
    assert stream.counts["refused" if after == "ignore" else "late"] == 0


def test_restart_reads_one_series_after_the_other(early, X):
    seen = [int(n) for n in early.decide(X[:3]).n_seen]
    values = [float(v) for i in range(3) for v in X[i, 0, : seen[i]]]
    lines = [line("a", value, t=t) for t, value in enumerate(values)]
    stream = fed(early, lines, after_answer="restart")
    found = answers(stream)
    assert [answer["n_seen"] for answer in found] == seen
    assert [answer["label"] for answer in found] == early.decide(X[:3]).labels.tolist()
    stream.handle(lines)
    assert stream.counts["repeated"] == len(lines)
    stream.end()
    assert answers(stream) == []


# Repeats, gaps, ends


def test_repeats_are_ignored(early, X):
    lines = lines_of(X)
    stream = fed(early, lines[:100])
    stream.handle(lines[:150])
    stream.handle(lines[50:])
    same_as_decide(answers(stream), early, X)
    assert stream.counts["refused"] == 0


def test_a_line_that_repeats_a_part_is_read_from_there_on(early, X):
    lines = [
        json.dumps({"id": 0, "points": X[0, :, t : t + 20].T.tolist(), "t": t}).encode()
        for t in range(0, 60, 10)
    ]
    same_as_decide(answers(fed(early, lines)), early, X[:1])


def test_a_gap_is_refused_until_its_points_come(early, X, capsys):
    lines = lines_of(X[:1])
    stream = fed(early, [*lines[:5], *lines[6:10]])
    assert stream.counts["refused"] == 4
    assert "line 6: t=6 of id 0 leaves a gap: 5 points were read" in capsys.readouterr().err
    stream.handle(lines[5:])
    same_as_decide(answers(stream), early, X[:1])


def test_repeats_of_a_series_that_ended_are_ignored(early, X):
    lines = lines_of(X[:1])
    lines[-1] = lines[-1][:-1] + b', "end": true}'
    stream = fed(early, lines)
    assert len(answers(stream)) == 1
    stream.handle(lines)
    assert answers(stream) == []
    assert stream.counts["repeated"] == 60
    stream.handle([line(0, 0.5, t=60)])
    assert stream.counts["refused"] == 1


def test_an_id_may_be_used_again_without_t(early, X):
    first = [line("a", float(v)) for v in X[0, 0]]
    second = [line("a", float(v)) for v in X[1, 0]]
    end = json.dumps({"id": "a", "end": True}).encode()
    found = answers(fed(early, [*first, end, *second, end]))
    assert [answer["label"] for answer in found] == early.decide(X[:2]).labels.tolist()


def test_what_is_remembered_is_bounded(early, X):
    stream = fed(early, lines_of(X), remember=2)
    assert len(stream.series.past) == 2
    stream.handle([line(i, 0.0, t=60) for i in range(N)])
    assert stream.counts["refused"] > 0  # a gap to a series of which nothing is known


def test_too_many_series_are_turned_away(early, X):
    lines = lines_of(X[:3])
    stream = fed(early, lines, max_open=2)
    assert {answer["id"] for answer in answers(stream)} == {0, 1}
    assert stream.counts["refused"] == 60
    stream.handle([line(2, 0.5, end=True), line(2, 0.5)])  # the first one lets the id go
    assert 2 in stream.series.open


def test_idle_series_are_given_up(early, X):
    lines = [line(0, float(v), time=t) for t, v in enumerate(X[0, 0, :FIRST])]
    n_before = len(answers(fed(early, lines, idle_timeout=10)))
    stream = fed(early, [*lines, line(1, 0.5, time=12), line(2, 0.5, time=40)], idle_timeout=10)
    (found,) = answers(stream)
    assert found["forced"] == (n_before == 0)
    assert found["n_seen"] == FIRST
    assert found["time"] == FIRST - 1
    assert list(stream.series.open) == [2]
    assert stream.counts["unanswered"] == 1


def test_idle_series_need_times_that_do_not_fall(early, capsys):
    fed(early, [line(0, 0.5), line(0, 0.5, time=2), line(1, 0.5, time=1)], idle_timeout=10)
    err = capsys.readouterr().err
    assert "line 1: time must be given, because of --idle-timeout" in err
    assert "line 3: time=1.0 is before 2.0" in err


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_division_of_the_lines_gives_the_same_answers(early, X, data):
    draw = data.draw
    idle = draw(st.sampled_from([None, 5.0]))
    options = {
        "after_answer": draw(st.sampled_from(["ignore", "refuse", "restart"])),
        "max_open": draw(st.sampled_from([None, 2])),
        "idle_timeout": idle,
    }
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    lines, at, time = [], dict.fromkeys(range(4), 0), 0.0
    for _ in range(150):
        i, k = int(rng.integers(4)), int(rng.integers(1, 9))
        time += float(rng.choice([0, 0, 0, 1, 6]))
        first = at[i] + int(rng.choice([0, 0, 0, 0, 0, -2, 3]))
        fields = {"id": i, "points": X[i, 0, np.arange(k)].reshape(-1, 1).tolist(), "time": time}
        if rng.random() < 0.9 and first >= 0:
            fields["t"] = first
        if rng.random() < 0.05:
            fields["end"] = True
        at[i] += k
        lines.append(json.dumps(fields).encode())
    alone, divided = (Stream(early, StreamOptions(**options)) for _ in range(2))
    for content in lines:
        alone.handle([content])
    cuts = sorted({0, len(lines), *rng.integers(len(lines), size=draw(st.integers(0, 5)))})
    for first, last in pairwise(cuts):
        divided.handle(lines[first:last])
    assert divided.unwritten == alone.unwritten
    assert divided.counts == alone.counts
    assert divided.series.open == alone.series.open
    assert divided.series.past == alone.series.past
    alone.end()
    divided.end()
    assert divided.unwritten == alone.unwritten


# State


@pytest.mark.parametrize("after", ["ignore", "restart"])
def test_a_saved_stream_goes_on(early, X, tmp_path, after):
    lines = lines_of(X)
    whole = fed(early, lines, after_answer=after)
    stream = fed(early, lines[:200], after_answer=after)
    found = answers(stream)
    path = str(tmp_path / "state.zip")
    stream.save(path)
    other = Stream(early, StreamOptions(after_answer=after))
    other.resume(path)
    other.handle(lines)
    assert found + answers(other) == answers(whole)
    assert other.counts["refused"] == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "state.zip"]


def test_answers_that_were_not_written_are_saved(early, X, tmp_path):
    stream = fed(early, lines_of(X))
    path = str(tmp_path / "state.zip")
    stream.save(path)
    other = Stream(early, StreamOptions())
    other.resume(path)
    same_as_decide(answers(other), early, X)


def test_a_state_of_other_options_is_refused(early, tmp_path):
    path = str(tmp_path / "state.zip")
    Stream(early, StreamOptions()).save(path)
    with pytest.raises(ValueError, match=r"stream with max_open=None; now it is max_open=3"):
        Stream(early, StreamOptions(max_open=3)).resume(path)
    early.start(2).save(path)
    with pytest.raises(ValueError, match="holds no stream but 'early-session'"):
        Stream(early, StreamOptions()).resume(path)


# Lines


def test_a_byte_order_mark_is_no_part_of_an_id(early):
    """Excel begins files with one, and a header with it would not be known as one."""
    mark = b"\xef\xbb\xbf"
    for options, lines in (
        ({"format": "csv"}, [mark + b"id,t,x", b"a,0,0.5"]),
        ({"format": "csv"}, [mark + b"a,0.5"]),
        ({}, [mark + line("a", 0.5)]),
    ):
        stream = fed(early, lines, **options)
        assert stream.series.open == {"a": [1, 0]}
        assert not stream.counts["refused"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the line is not JSON"),
        ("a,1,2", "lines of CSV need --format csv"),
        ("[1, 2]", "not a JSON object"),
        ('{"values": [1, 2]}', "id=None must be a string or a whole number"),
        ('{"id": true, "values": [1, 2]}', "id=True"),
        ('{"id": 1.5, "values": [1, 2]}', "id=1.5"),
        ('{"id": "a", "id": "b", "values": [1, 2]}', "the line names the key 'id' twice"),
        (
            '{"id": "a", "values": [1, 2], "values": [1, 2]}',
            "the line names the key 'values' twice",
        ),
        ('{"id": "a", "values": [{"x": 1, "x": 2}, 2]}', "'x' twice"),
        ('{"id": "a"}', "neither values nor points"),
        ('{"id": "a", "values": [1]}', "1 values; the model has 2 channels"),
        ('{"id": "a", "values": 1}', "1 must be a list"),
        ('{"id": "a", "points": []}', "must be a list of points"),
        ('{"id": "a", "points": [[1, 2], [3]]}', "1 values; the model has 2 channels"),
        ('{"id": "a", "values": [1, 2], "points": [[1, 2]]}', "both given"),
        ('{"id": "a", "values": ["1", 2]}', "'1' is not a number"),
        ('{"id": "a", "values": [true, 2]}', "True is not a number"),
        ('{"id": "a", "values": [null, 2]}', "missing"),
        ('{"id": "a", "values": [NaN, 2]}', "missing"),
        ('{"id": "a", "values": [Infinity, 2]}', "not finite"),
        ('{"id": "a", "values": [1e39, 2]}', "largest allowed"),
        ('{"id": "a", "values": [1' + "0" * 400 + ", 2]}", "largest allowed"),
        ('{"id": "a", "values": [1, 2], "t": -1}', "t=-1"),
        ('{"id": "a", "values": [1, 2], "t": 1.0}', "t=1.0"),
        ('{"id": "a", "values": [1, 2], "time": "now"}', "time='now'"),
        ('{"id": "a", "values": [1, 2], "time": NaN}', "time=nan"),
        ('{"id": "a", "values": [1, 2], "time": 1' + "0" * 400 + "}", "time="),
        ('{"id": "a", "values": [1, 2], "end": 1}', "end=1"),
        ('{"id": "a", "values": [1, 2], "ends": true}', "unknown keys ends"),
    ],
)
def test_a_bad_line_of_json_is_refused(text, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        JsonLines(2, False, ["a", "b"]).read(text)


def test_a_missing_value_is_read_where_the_model_allows_it():
    (point,) = JsonLines(2, True, []).read('{"id": "a", "values": [null, 2]}').points
    assert np.isnan(point[0])
    (point,) = CsvLines(2, True, []).read("a,,2").points
    assert np.isnan(point[0])


def test_a_line_of_csv_without_a_header():
    form = CsvLines(2, False, [])
    assert form.read("a,1,2.5\r\n") == ("a", [[1.0, 2.5]], None, None, False, None)
    assert form.read('"a,b",1,2') == ("a,b", [[1.0, 2.0]], None, None, False, None)
    assert form.read("  ") is None
    for text, words in (
        ("a,1", "2 fields, not the 3 of id,value1,value2"),
        ("a,1,2,3", "4 fields"),
        ("a,1,x", "'x' is not a number"),
        ("a,1,", "missing"),
        (",1,2", "the id is empty"),
        ('"a,1,2', "not CSV"),
    ):
        with pytest.raises(ValueError, match=words):
            form.read(text)


def test_a_header_names_the_columns():
    form = CsvLines(2, False, [])
    assert form.read("time,id,x,t,y,end") is None
    assert form.read("7.5,a,1,3,2,") == ("a", [[1.0, 2.0]], 3, 7.5, False, "number")
    assert form.read(",a,1,,2,true") == ("a", [[1.0, 2.0]], None, None, True, None)
    assert form.read(",a,,,,1") == ("a", [], None, None, True, None)
    for text, words in ((",a,1,x,2,", "t='x'"), (",a,1,,2,yes", "end='yes'")):
        with pytest.raises(ValueError, match=words):
            form.read(text)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("id,1.5", "the field id, as a header has, and the number 1.5"),
        ("id,x,y", "2 columns of values, x, y; the model has 1 channels"),
        ("id,x,x", "twice"),
    ],
)
def test_an_ambiguous_header_ends_the_stream(header, words):
    with pytest.raises(HeaderError, match=words):
        CsvLines(1, False, []).read(header)


def test_a_header_whose_columns_are_not_named_is_refused_with_a_way():
    words = "no number: who, x, y; if it is a header, name its columns, such as --id who"
    form = CsvLines(2, False, [])
    with pytest.raises(ValueError, match=words):
        form.read("who,x,y")
    assert form.read("a,1,2").points == [[1.0, 2.0]]


NAMED = CsvOptions(id="who", time="hour", values=["y", "x"])


def test_columns_of_csv_may_have_other_names():
    form = CsvLines(2, False, [], NAMED)
    assert form.read("who,hour,x,remark,y,t") is None
    found = form.read("a,7.5,1,?,2,3")
    assert found == ("a", [[2.0, 1.0]], 3, 7.5, False, "number")
    assert form.read("a,8,1,,2,4").points == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("names", "header", "words"),
    [
        (NAMED, "id,x,y", "first line must be a header with the column 'who', because of --id"),
        (NAMED, "who,x,y", "the header has no column 'hour'"),
        (NAMED, "who;hour;x;y", "between fields, such as --separator ';'"),
        (NAMED, "who,hour,x", "the header has no column 'y'"),
        (CsvOptions(values=["x"]), "id,x", "1 columns of values, x; the model has 2 channels"),
        (CsvOptions(channels=("x", "y")), "id,y,x", "the model was fitted to x, y"),
    ],
)
def test_headers_without_the_named_columns_end_the_stream(names, header, words):
    with pytest.raises(HeaderError, match=words):
        CsvLines(2, False, [], names).read(header)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"values": ["x"]}, "values"),
        ({"separator": ";"}, "separator"),
        ({"decimal": ","}, "decimal"),
    ],
)
def test_options_of_csv_are_for_csv(early, options, name):
    more = {} if name != "decimal" else {"separator": "\t"}
    with pytest.raises(ValueError, match="needs --format csv"):
        Stream(early, StreamOptions(**options, **more))


def test_csv_may_have_other_separators_and_decimals():
    form = CsvLines(2, True, [], CsvOptions(time="hour", separator=";", decimal=","))
    assert form.read("id;hour;x;y") is None
    assert form.read('a;7,5;1,25;"2"') == ("a", [[1.25, 2.0]], None, 7.5, False, "number")
    with pytest.raises(ValueError, match=r"'1\.5' is not a number"):
        form.read("a;8;1.5;2")
    with pytest.raises(ValueError, match="'1,5' is not a number; if numbers have a decimal comma"):
        CsvLines(1, False, [], CsvOptions(separator=";")).read("a;1,5")
    with pytest.raises(ValueError, match=r"1 fields, .*; if another character separates"):
        CsvLines(1, False, []).read("a;1.5")


@pytest.mark.parametrize("signs", [(",", ","), ("", "."), (";;", ".")])
def test_separators_that_separate_nothing_are_refused(signs):
    separator, decimal = signs
    with pytest.raises(ValueError, match="separat"):
        CsvLines(1, False, [], CsvOptions(separator=separator, decimal=decimal))


def test_a_state_without_names_of_columns_goes_on(early, tmp_path):
    path = str(tmp_path / "state.zip")
    Stream(early, StreamOptions()).save(path)
    header, tensors = read_model(path)
    for name in ("id", "time", "values"):
        del header["stream"]["options"][name]
    write_model(path, header, tensors)
    Stream(early, StreamOptions()).resume(path)
    with pytest.raises(ValueError, match=r"of a stream with .*id=None; now it is .*id=who"):
        Stream(early, StreamOptions(format="csv", id="who")).resume(path)


def test_csv_gives_the_same_answers(early, X):
    lines = [f"{i},{X[i, 0, t]!r}".encode() for t in range(60) for i in range(N)]
    lines = [content.replace(b"np.float32(", b"").replace(b")", b"") for content in lines]
    stream = fed(early, lines, format="csv")
    head, *rows = (text.strip().split(",") for text in stream.unwritten)
    assert head == ["id", "label", "n_seen", "share_seen", "forced", "time", "p_0", "p_1"]
    expected = early.decide(X)
    assert len(rows) == N
    for row in rows:
        i = int(row[0])
        assert row[1] == str(expected.labels[i])
        assert row[2] == str(expected.n_seen[i])
        assert [float(p) for p in row[6:]] == expected.probabilities[i].tolist()


# The command


def test_bad_arguments_are_explained(early_file, tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit):
        main(["stream", early_file, "--max-open", "0"])
    assert "'0' is not a whole number above 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["stream", early_file, "--idle-timeout", "inf"])
    assert "'inf' is not a number above 0" in capsys.readouterr().err
    assert main(["stream", str(tmp_path / "none.zip")]) == 2
    assert "there is no model file" in capsys.readouterr().err
    assert main(["stream", early_file, "--state", str(tmp_path / "no" / "state.zip")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    monkeypatch.setattr(skgdpd._cli.stream, "load", lambda path: object())
    assert main(["stream", early_file]) == 2
    assert "a stream needs an EarlyClassifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("times", "shown"),
    [([5], "5"), ([5, 9, 14], "5, 9, 14"), (range(2, 22, 2), "2, 4, 6, ..., 20")],
    ids=str,
)
def test_a_terminal_is_told_when_answers_come(times, shown):
    early = SimpleNamespace(time_points_=np.array(times))
    assert ready(early) == f"skgdpd: ready; answers come after {shown} points"
