"""Series from tables: a row for each point or for each series."""

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import PrefixClassifier
from skgdpd._series.panel import read_panel
from skgdpd._series.sampling import plain_step
from skgdpd.datasets import from_long, load_table, make_bumps

NAMES = {"id": "id", "time": "time"}


def rows_of(X, times=None, order=None, labels=None):
    """Columns of a table with a row for each point that has a value."""
    _, n_channels, n_timepoints = X.shape
    times = np.arange(n_timepoints) if times is None else times
    there = ~np.isnan(X).all(1)
    series, time = np.nonzero(there)
    table = {"id": np.array([f"s{i}" for i in series]), "time": np.asarray(times)[time]}
    table |= {f"c{j}": X[series, j, time] for j in range(n_channels)}
    if labels is not None:
        table["label"] = np.asarray(labels)[series]
    order = np.arange(len(series)) if order is None else order(len(series))
    return {name: values[order] for name, values in table.items()}


def small():
    return {"id": ["a", "a", "b", "b"], "time": [0, 1, 0, 1], "x": [1.0, 2.0, 3.0, 4.0]}


# A row for each point


@settings(max_examples=25)
@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 8), st.integers(0, 2**16),
    st.sampled_from([0.1, 1, 1 / 3, 250]), st.sampled_from([0, -7.3, 1e6]),
)  # fmt: skip
def test_shuffled_rows_give_the_series_back(n, n_channels, n_timepoints, seed, step, begin):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_channels, n_timepoints))
    for series, length in zip(X, rng.integers(1, n_timepoints + 1, size=n), strict=True):
        series[:, length:] = np.nan
    table = rows_of(X, begin + step * np.arange(n_timepoints), rng.permutation)
    found, y, ids = from_long(table, **NAMES)
    assert y is None
    order = [int(id_[1:]) for id_ in ids]
    longest = int((~np.isnan(X).all(1)).sum(1).max())
    np.testing.assert_array_equal(found, X[order, :, :longest])
    assert order == [int(id_[1:]) for id_ in dict.fromkeys(table["id"].tolist())]


@settings(max_examples=15)
@given(st.integers(0, 2**16), st.integers(-50, 50))
def test_labels_follow_their_ids_and_beginnings_do_not_matter(seed, shift):
    X, labels = make_bumps(6, 5, random_state=seed)
    rng = np.random.default_rng(seed)
    table = rows_of(X, order=rng.permutation, labels=labels)
    table["time"] = table["time"] + shift * (table["id"] == "s2")
    found, y, ids = from_long(table, label="label", **NAMES)
    order = [int(id_[1:]) for id_ in ids]
    np.testing.assert_array_equal(found, X[order])
    np.testing.assert_array_equal(y, labels[order])
    by_id = {f"s{i}": label for i, label in enumerate(labels.tolist())}
    del table["label"]
    np.testing.assert_array_equal(from_long(table, label=by_id, **NAMES).y, y)


def test_missing_points_are_nan_in_all_channels():
    X = np.arange(24.0).reshape(2, 2, 6)
    X[0, :, 2] = np.nan
    X[1, 0, 3] = np.nan
    found = from_long(rows_of(X), **NAMES).X
    np.testing.assert_array_equal(found, X)


def test_values_are_channels_in_the_order_that_is_given():
    table = rows_of(np.arange(12.0).reshape(2, 2, 3))
    table["remark"] = np.array(["x"] * 6)
    found = from_long(table, values=["c1", "c0"], **NAMES).X
    np.testing.assert_array_equal(found, np.arange(12.0).reshape(2, 2, 3)[:, ::-1])
    with pytest.raises(ValueError, match="column 'remark' of frame has values of the type <U1"):
        from_long(table, **NAMES)


DAY = datetime(2026, 3, 28, 12)


@pytest.mark.parametrize(
    "times",
    [
        np.arange("2026-03-28T12", "2026-03-28T18", dtype="datetime64[h]"),
        np.arange("2026-03-28T12", "2026-03-28T18", dtype="datetime64[h]").astype("M8[ns]"),
        np.arange("2026-01", "2026-07", dtype="datetime64[M]"),
        np.arange(6).astype("m8[ms]"),
        [DAY + timedelta(hours=i) for i in range(6)],
        [(DAY + timedelta(hours=i)).isoformat(" ") for i in range(6)],
        [f"2026-03-28T{12 + i}:00:00Z" for i in range(6)],
        [f"2026-03-2{8 + (i > 11)}T{i:02d}:30+02:00" for i in range(6)],
        [str(i) for i in range(6)],
        [f"{i / 10:.1f}" for i in range(6)],
        np.arange(6, dtype=np.uint8),
        np.arange(6, dtype=np.float32) / 10,
    ],
    ids=str,
)
def test_times_may_be_numbers_dates_or_texts(times):
    X = np.arange(12.0).reshape(2, 1, 6)
    found = from_long(rows_of(X, np.array(times), np.random.default_rng(0).permutation), **NAMES)
    np.testing.assert_array_equal(found.X[np.argsort(found.ids)], X)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["soon", "later"], "neither numbers nor dates"),
        (["2026-01-01", "2026-01-02T00:00+01:00"], "some have a time zone, and some have none"),
        ([0.0, np.inf], "time has values that are not finite"),
        ([0.0, np.nan], "frame has no time in row 1"),
        (np.array(["2026-01-01", "NaT"], dtype="M8[D]"), "frame has no time in row 1"),
        ([1 + 2j, 2], "neither numbers nor dates"),
        ([None, 1], "frame has no time in row 0"),
    ],
)
def test_times_that_are_none_are_refused(times, words):
    with pytest.raises(ValueError, match=words):
        from_long({"id": ["a", "a"], "time": times, "x": [1, 2]}, **NAMES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": ["a", None, "b", "b"]}, "frame has no id in row 1"),
        ({"time": [0, 0, 0, 1]}, "frame has the time 0 of series 'a' twice"),
        ({"x": ["1", "2", "3", "4"]}, "column 'x' of frame has values of the type <U1"),
        ({"x": [1, "2", None, 4]}, "frame has columns|row|type"),
        ({"x": [1.0, 2.0]}, "columns of different lengths"),
        ({"x": np.zeros((4, 2))}, r"column 'x' of frame has shape \(4, 2\)"),
        ({"y": [0, 0, 1, 1]}, "'y', which looks like labels, not values"),
        ({"": [0, 0, 1, 1]}, "'', which looks like numbers of rows"),
        ({"id": [], "time": [], "x": []}, "frame has no rows"),
    ],
)
def test_tables_that_can_not_be_read_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        from_long(small() | change, **NAMES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"id": "who"}, r"'who' is not a column of frame, which has \['id', 'time', 'x'\]"),
        ({"values": "x"}, "values='x' must be a list of names"),
        ({"values": ["z"]}, "values='z' is not a column of frame"),
        ({"values": ["x", "x"]}, "values names 'x', which is named twice"),
        ({"values": ["time"]}, "values names 'time'"),
        ({"values": []}, "has no column of values"),
        ({"label": "id"}, "must be different columns"),
        ({"label": {"a": 1}}, r"label is matched with the ids, and lacks \['b'\]"),
        ({"label": {"a": b"x", "b": b"y"}}, "label has labels of bytes"),
        ({"step": 0}, "step=0 must be a number above 0"),
        ({"step": "1s"}, "step='1s' must be a number above 0"),
    ],
)
def test_names_and_labels_that_do_not_fit_are_refused(given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        from_long(small(), **(NAMES | given))


def test_labels_of_series_that_are_not_there_are_ignored():
    labels = from_long(small(), **NAMES, label={"c": 2, "b": 1, "a": 0})[1]
    assert labels.tolist() == [0, 1]


def test_a_label_that_changes_within_a_series_is_refused():
    table = small() | {"label": ["u", "u", "v", "u"]}
    with pytest.raises(
        ValueError, match="label 'v' of series 'b' in row 2 and 'u' in row 3; the label must be"
    ):
        from_long(table, label="label", **NAMES)
    table["label"] = ["u", None, "v", "v"]
    with pytest.raises(ValueError, match="label 'u' of series 'a' in row 0 and None in row 1"):
        from_long(
            {**table, "label": np.array(table["label"], dtype=object)}, label="label", **NAMES
        )


def test_series_without_a_label_are_unlabelled():
    X, labels = make_bumps(8, 5, random_state=0)
    for marks, kind in ((labels.astype(float), float), (labels.astype(object), object)):
        marks[3] = np.nan if kind is float else None
        y = from_long(rows_of(X, labels=marks), label="label", **NAMES).y
        assert (y[3] is None) if kind is object else np.isnan(y[3])
        np.testing.assert_array_equal(np.delete(y, 3).astype(int), np.delete(labels, 3))


def test_columns_that_come_twice_are_refused():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.zeros((2, 4)), columns=["id", "time", "x", "x"])
    with pytest.raises(ValueError, match="frame has the column 'x' twice"):
        from_long(frame, **NAMES)


# Even sampling


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([0, 1, 2, 3, 4.5], "the time 3.0 is followed by 4.5 .row 4., and that is 1.5 times"),
        ([0, 1, 2, 3, 3.25], "that is 0.25 times the step of 1"),
        (
            [0, 7, 8, 15, 31],
            "the time 7 is followed by 8 .row 2., and that is 0.1429 times the step of 7",
        ),
        ([0, 1, 2, 3, 100], "96 points would be missing beside the 5 that are there"),
        ([20260129, 20260130, 20260131, 20260201, 20260202], "69 points would be missing"),
        ([0, 1, 3, 5, 7, 8], "3 points would be missing|times the step of 2"),
    ],
)
def test_uneven_times_are_refused(times, words):
    n = len(times)
    table = {"id": ["a"] * n, "time": times, "x": np.arange(n)}
    with pytest.raises(ValueError, match=f"frame is not sampled evenly: in series 'a'.*{words}"):
        from_long(table, **NAMES)


def test_a_series_of_another_step_is_refused_unless_points_are_said_to_be_missing():
    table = {"id": ["a"] * 4 + ["b"] * 3, "time": [0, 1, 2, 3, 0, 2, 4], "x": np.arange(7)}
    with pytest.raises(ValueError, match=r"in series 'b' .* 2 points .* if they are, set step=1"):
        from_long(table, **NAMES)
    found = from_long(table, step=1, **NAMES).X
    np.testing.assert_array_equal(found[1, 0], [4, np.nan, 5, np.nan, 6])
    with pytest.raises(ValueError, match=r"that is 0.5 times the step of 2"):
        from_long(table, step=2, **NAMES)


def test_a_step_of_dates_is_in_seconds_or_a_timedelta():
    dates = np.array(["2026-01-01T00:00", "2026-01-01T00:02", "2026-01-01T00:03"], dtype="M8[s]")
    table = {"id": ["a"] * 3, "time": dates, "x": [1.0, 2.0, 3.0]}
    for step in (60, timedelta(minutes=1), np.timedelta64(1, "m")):
        np.testing.assert_array_equal(
            from_long(table, step=step, **NAMES).X, [[[1, np.nan, 2, 3]]]
        )


def test_an_outlier_of_time_does_not_fill_the_memory():
    table = {"id": ["a"] * 3, "time": [0, 1, 10**12], "x": [1.0, 2.0, 3.0]}
    with pytest.raises(ValueError, match="most of it padding"):
        from_long(table, step=1, **NAMES)


@pytest.mark.parametrize("dates", [False, True])
def test_the_way_to_resample_in_the_error_works(dates):
    pd = pytest.importorskip("pandas")
    pandas = pd
    rng = np.random.default_rng(0)
    n = 40
    seconds = np.sort(rng.uniform(0, 20, size=n))
    frame = pd.DataFrame({"who": ["a"] * n + ["b"] * n, "when": [*seconds, *seconds]})
    if dates:
        frame["when"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["when"], unit="s")
    frame["x"], frame["label"] = 3.0, ["u"] * n + ["v"] * n
    names = {"id": "who", "time": "when", "label": "label"}
    with pytest.raises(ValueError, match="is not sampled evenly") as caught:
        from_long(frame, **names)
    advice = str(caught.value).partition("as times: ")[2]
    rest, _, resample = advice.partition(". Else resample, by pandas for example: ")
    even = eval(resample, {"frame": frame, "pandas": pandas})
    X, y, ids = from_long(even, **names, step=even["when"].diff().median())
    assert X.shape[:2] == (2, 1)
    assert set(X[~np.isnan(X)]) == {3.0}
    assert (y.tolist(), ids.tolist()) == (["u", "v"], ["a", "b"])
    frame["when"] = eval(rest, {"frame": frame})
    assert from_long(frame, **names).X.shape == (2, 1, n)


# Frames of packages


def test_a_frame_of_pandas_gives_what_its_long_panel_gives():
    pd = pytest.importorskip("pandas")
    X, labels = make_bumps(6, 8, n_channels=2, random_state=0)
    frame = pd.DataFrame(rows_of(X, order=np.random.default_rng(0).permutation, labels=labels))
    found, y, ids = from_long(frame, label="label", **NAMES)
    panel = frame.set_index(["id", "time"])[["c0", "c1"]]
    np.testing.assert_array_equal(found, read_panel(panel).values)
    by_id = frame.groupby("id")["label"].first()
    np.testing.assert_array_equal(y, by_id[ids])
    one = from_long(frame.drop(columns="label"), label=by_id, **NAMES)
    np.testing.assert_array_equal(one.y, y)
    with pytest.raises(ValueError, match="names some twice"):
        from_long(panel.reset_index(), label=pd.concat([by_id, by_id[:1]]), **NAMES)


def test_types_of_pandas_are_read():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(small())
    frame["id"] = frame["id"].astype("category")
    frame["time"] = pd.date_range("2026-03-28", periods=4, freq="h", tz="Europe/Berlin")
    frame["x"] = pd.array([1, None, 3, 4], dtype="Int64")
    frame["label"] = pd.array(["u", "u", "v", "v"], dtype="string")
    X, y, ids = from_long(frame, label="label", **NAMES)
    np.testing.assert_array_equal(X, [[[1, np.nan]], [[3, 4]]])
    assert y.tolist() == ["u", "v"]
    assert ids.tolist() == ["a", "b"]


@pytest.mark.parametrize(("package", "make"), [("polars", "DataFrame"), ("pyarrow", "table")])
def test_frames_of_other_packages_are_read(package, make):
    frame = getattr(pytest.importorskip(package), make)(small())
    np.testing.assert_array_equal(from_long(frame, **NAMES).X, [[[1, 2]], [[3, 4]]])


class Frame:
    """A frame like those of polars: names of columns, and columns that become arrays."""

    def __init__(self, columns):
        self._columns = columns

    @property
    def columns(self):
        return list(self._columns)

    def __getitem__(self, name):
        return np.asarray(self._columns[name])


class LazyFrame(Frame):
    def collect(self):
        return Frame(self._columns)


def test_anything_with_named_columns_is_read():
    array = np.array(
        list(zip(*small().values(), strict=True)),
        dtype=[("id", "U1"), ("time", int), ("x", float)],
    )
    for table in (small(), Frame(small()), array):
        np.testing.assert_array_equal(from_long(table, **NAMES).X, [[[1, 2]], [[3, 4]]])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((3, 3)), "frame is a numpy.ndarray; it must have named columns"),
        ("data.csv", "frame is a builtins.str"),
        (None, "frame is a builtins.NoneType"),
        (LazyFrame(small()), r"whose rows are not read yet; give frame.collect\(\)"),
    ],
    ids=["array", "name", "none", "lazy"],
)
def test_what_has_no_named_columns_is_refused_by_name(frame, words):
    with pytest.raises(TypeError, match=words):
        from_long(frame, **NAMES)


# Files


def write_long(path, X, labels, order, separator=","):
    table = rows_of(X, order=order, labels=labels)
    lines = [separator.join(table)]
    lines += [separator.join(map(str, row)) for row in zip(*table.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_a_long_file_is_read_as_its_table(suffix, separator, tmp_path):
    X, labels = make_bumps(6, 5, n_channels=2, random_state=0)
    X = X.astype(float)
    X[2, 0, 3] = np.nan
    X[4, :, 3:] = np.nan
    path = tmp_path / f"data{suffix}"
    write_long(path, X, labels, np.random.default_rng(0).permutation, separator)
    given = {} if separator != ";" else {"separator": ";"}
    found, y, ids = load_table(path, label="label", **NAMES, **given)
    order = [int(id_[1:]) for id_ in ids]
    np.testing.assert_array_equal(found, X[order])
    assert y.tolist() == [str(label) for label in labels[order]]


def write_wide(path, X, labels, header=True, separator=","):
    names = ["label", *(f"t{i}" for i in range(X.shape[2]))]
    lines = [separator.join(names)] if header else []
    for series, label in zip(X[:, 0].tolist(), labels, strict=True):
        fields = ["" if np.isnan(value) else repr(value) for value in series]
        lines.append(separator.join([str(label), *fields]))
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig", newline="")
    return path


def test_a_wide_file_has_a_row_for_each_series(tmp_path):
    X, labels = make_bumps(6, 12, random_state=0)
    X = X.astype(float)
    X[2, 0, 9:] = np.nan
    for name, header, label in (("a.csv", True, "label"), ("b.csv", False, "0")):
        path = write_wide(tmp_path / name, X, labels, header)
        found, y, ids = load_table(path, label=label, header=header)
        np.testing.assert_array_equal(found, X)
        assert y.tolist() == [str(each) for each in labels]
        assert ids is None
    np.testing.assert_array_equal(
        load_table(tmp_path / "a.csv", label="label", values=["t3", "t1"]).X, X[:, :, [3, 1]]
    )


MALFORMED = {
    "shorter line": ("a,b\n1,2\n\n3\n", {}, "line 4: 1 fields, in line 1 2"),
    "a word": ("a,b\n1,2\n3,x\n", {}, "line 3: the value 'x' of column 'b' is not a number"),
    "underscore": ("a,b\n1,1_0\n", {}, "line 2: the value '1_0'"),
    "twice": ("a,a\n1,2\n", {}, "line 1 has the column 'a' twice"),
    "no header": ("1,0.5,0.3\n2,0.1,0.2\n", {"label": "1"}, "line 1: .* are numbers"),
    "no row": ("a,b\n", {}, "no line after its header"),
    "blank": ("\n \n", {}, "is empty"),
    "semicolons": ("a;b\n1;2\n", {}, "line 1: there is no ',', so there is one column only"),
    "labels unnamed": ("class,t0\nu,2\n", {}, "a column 'class', which looks like labels"),
    "index": (",t0\n0,2\n", {}, "a column '', which looks like numbers of rows"),
    "quotes": ('a,b\n1,"2\n', {}, "line 2: unexpected end of data"),
    "order": ("t1,t10,t2\n1,2,3\n", {}, "'t1' and 't10' follow one another|'t10' and 't2'"),
    "falling": ("2,1,0\n1,2,3\n", {}, "are numbers, as a series has"),
    "id twice": ("id,t0\na,2\nb,3\na,4\n", {"id": "id"}, "id 'a' in line 2 and in line 4"),
    "no such": ("id,t0\na,2\n", {"id": "name"}, "'name' is not a column of"),
    "time alone": ("t,x\n0,2\n", {"time": "t"}, "time='t' needs id"),
    "step alone": ("t,x\n0,2\n", {"step": 1}, "step=1 needs time"),
    "separator": ("t,x\n0,2\n", {"separator": ", "}, "separator=', ' must be one character"),
    "no id": ("i,t,x\n,0,2\n", {"id": "i", "time": "t"}, "has no id in line 2"),
    "no time": ("i,t,x\na,?,2\n", {"id": "i", "time": "t"}, "has no time in line 2"),
    "two labels": (
        "i,t,x,l\na,0,2,u\na,1,2,v\n",
        {"id": "i", "time": "t", "label": "l"},
        "label 'u' of series 'a' in line 2 and 'v' in line 3",
    ),
    "uneven": (
        "i,t,x\na,0,2\na,1,2\na,2.5,2\n",
        {"id": "i", "time": "t"},
        "is followed by 2.5 .line 4.",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_file_that_can_not_be_read_is_refused_with_its_line(name, tmp_path):
    text, given, words = MALFORMED[name]
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        load_table(path, **given)
    assert "data.csv" in str(caught.value) or "needs" in words or "must be one" in words


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("data.csv", "grün".encode("latin-1"), "is not text in UTF-8"),
        ("data.csv", b"", "is empty"),
        ("data.xlsx", b"x", "is not a .csv, .tsv or .parquet file"),
    ],
)
def test_other_files_are_refused(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        load_table(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_table(tmp_path / "none.csv")


def test_a_parquet_file_needs_what_reads_it(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas pyarrow"):
        load_table(path)


def test_a_parquet_file_is_read(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X, labels = make_bumps(6, 5, random_state=0)
    path = tmp_path / "data.parquet"
    pd.DataFrame(rows_of(X, labels=labels)).to_parquet(path)
    found = load_table(path, label="label", **NAMES)
    np.testing.assert_array_equal(found.X, X)
    np.testing.assert_array_equal(found.y, labels)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="can't be read as"):
        load_table(path)


def test_series_of_a_table_are_fitted_and_predicted():
    X, labels = make_bumps(20, 20, random_state=0)
    found = from_long(rows_of(X, labels=labels), label="label", **NAMES)
    model = PrefixClassifier("rocket", max_epochs=0, random_state=0)
    one = model.fit(found.X, found.y).predict_proba(found.X)
    np.testing.assert_array_equal(one, model.fit(X, labels).predict_proba(X))


def test_dates_in_zones_are_compared_in_utc():
    times = [datetime(2026, 3, 29, hour, tzinfo=UTC) for hour in range(3)]
    local = [time.astimezone(tz=None) for time in times]
    table = {"id": ["a"] * 3, "time": local, "x": [1.0, 2.0, 3.0]}
    np.testing.assert_array_equal(from_long(table, **NAMES).X, [[[1, 2, 3]]])


@pytest.mark.parametrize(
    ("measured", "plain"),
    [
        (9.96059, 10), (0.7, 0.7), (86400, 86400), (3600.4, 3600), (59.7, 60), (0.0333, 0.033),
        (1234.5, 1230), (7, 7), (1.0049, 1),
    ],
)  # fmt: skip
def test_a_measured_step_is_advised_in_plain_numbers(measured, plain):
    found = plain_step(measured)
    assert found == plain
    assert abs(found - measured) <= 0.01 * measured + 1e-12


def test_decimal_commas_are_read_where_they_are_said(tmp_path):
    path = tmp_path / "european.csv"
    path.write_text("id;time;x\na;0,5;1,25\na;1,0;\na;1,5;-2\n")
    found = load_table(path, separator=";", decimal=",", **NAMES)
    np.testing.assert_array_equal(found.X, [[[1.25, np.nan, -2]]])
    path.write_text("id;time;x\na;0,5;1.250,5\na;1,0;2\n")
    with pytest.raises(ValueError, match=r"the value '1.250,5' of column 'x' is not a number"):
        load_table(path, separator=";", decimal=",", **NAMES)
    with pytest.raises(ValueError, match="decimal=';' must be"):
        load_table(path, decimal=";", **NAMES)


def test_labels_that_are_no_column_are_told_what_to_give(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"run": [0, 0, 1, 1], "t": [0, 1, 0, 1], "v": [1.0, 2, 3, 4]})
    columns = {"id": "run", "time": "t", "values": ["v"]}
    labels = pandas.DataFrame({"run": [0, 1], "fault": ["a", "b"]})
    with pytest.raises(ValueError, match=r"label is a list.*Give a dict by id"):
        from_long(frame, **columns, label=["a", "b"])
    with pytest.raises(ValueError, match=r"label is a frame.*'fault'.*frame.set_index"):
        from_long(frame, **columns, label=labels)
    assert from_long(frame, **columns, label=labels.set_index("run")["fault"])[1].tolist() == [
        "a",
        "b",
    ]
    frame.to_csv(tmp_path / "wide.csv", index=False)
    with pytest.raises(ValueError, match=r"label is a list; it must be the name of a column$"):
        load_table(tmp_path / "wide.csv", label=["a", "b"])
