"""Labels in a file of their own, and European files, on the command line."""

import csv

import numpy as np
import pytest

from skgdpd._cli.main import main
from skgdpd._cli.series_files import Columns, read_series
from skgdpd.datasets import make_bumps

COLUMNS = {"id": "run", "time": "second", "label": "ill"}
N, T = 6, 5


@pytest.fixture
def series():
    X, y = make_bumps(N, T, n_channels=2, random_state=0)
    return X.astype(float), np.array(["no", "yes"])[y]


def write(path, rows, separator=",", decimal="."):
    def text(value):
        return repr(value).replace(".", decimal) if isinstance(value, float) else str(value)

    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([list(map(text, row)) for row in rows])
    return str(path)


def points(X, y=None, ids=None):
    """Rows of a table with a row for each point."""
    ids = [f"r{i}" for i in range(len(X))] if ids is None else ids
    yield ["run", "second", "a", "b", *([] if y is None else ["ill"])]
    for i, id_ in enumerate(ids):
        for t in range(X.shape[2]):
            yield [id_, 0.5 * t, *X[i, :, t].tolist(), *([] if y is None else [y[i]])]


def table_of_labels(y, order):
    return [["remark", "ill", "run"], *(["x", y[i], f"r{i}"] for i in order)]


@pytest.mark.parametrize("form", ["a row a point", "a row a series"])
def test_labels_may_have_a_file_of_their_own(tmp_path, series, form):
    X, y = series
    order = np.random.default_rng(0).permutation(N)
    labels = write(tmp_path / "labels.csv", table_of_labels(y, order))
    if form == "a row a point":
        path = write(tmp_path / "points.csv", points(X))
        columns = Columns(**COLUMNS, labels=labels)
    else:
        rows = [["run", *range(T)], *([f"r{i}", *X[i, 0].tolist()] for i in range(N))]
        path = write(tmp_path / "wide.csv", rows)
        columns = Columns(id="run", label="ill", labels=labels)
    found = read_series(path, columns)
    assert found.y.tolist() == y.tolist()
    # Other series of the file of labels are those of other files, as after a split.
    part = write(tmp_path / "part.csv", points(X[2:4], ids=["r2", "r3"]))
    found = read_series(part, Columns(**COLUMNS, labels=labels))
    assert found.y.tolist() == y[2:4].tolist()


def test_labels_are_not_read_where_none_are_needed(tmp_path, series):
    path = write(tmp_path / "points.csv", points(series[0]))
    columns = Columns(**COLUMNS, labels="none.csv")
    assert read_series(path, columns, labelled=False).y is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["run", "ill"], ["r0", "no"], ["r3", "no"]], "no line for 4 of the 6 series of"),
        ([["run", "ill"], ["r0", "no"], ["r0", "no"]], "the id 'r0' twice, in line 3"),
        ([["run", "kind"], ["r0", "no"]], "--label names 'ill', which is not a column of"),
    ],
)
def test_a_file_of_labels_must_name_each_series_once(tmp_path, series, capsys, rows, words):
    path = write(tmp_path / "points.csv", points(series[0]))
    labels = write(tmp_path / "labels.csv", rows)
    given = ["--id", "run", "--time", "second", "--label", "ill", "--labels", labels]
    assert main(["fit", path, "--out", str(tmp_path / "m"), *given]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "labels.csv" in err


def test_labels_in_both_files_are_ambiguous(tmp_path, series, capsys):
    path = write(tmp_path / "points.csv", points(*series))
    labels = write(tmp_path / "labels.csv", table_of_labels(series[1], range(N)))
    given = ["--id", "run", "--time", "second", "--label", "ill", "--labels", labels]
    assert main(["fit", path, "--out", str(tmp_path / "m"), *given]) == 2
    assert "has a column 'ill', too; leave out --labels" in capsys.readouterr().err


def test_a_file_with_decimal_commas(tmp_path, series, capsys):
    X, y = series
    path = write(tmp_path / "points.csv", points(X, y), separator=";", decimal=",")
    found = read_series(path, Columns(**COLUMNS, separator=";", decimal=","))
    np.testing.assert_array_equal(found.X, X)
    given = ["--id", "run", "--time", "second", "--label", "ill", "--separator", ";"]
    assert main(["fit", path, "--out", str(tmp_path / "m"), *given]) == 2
    assert "say so: --decimal ," in capsys.readouterr().err
    given = [*given[:-1], ",", "--decimal", ","]
    assert main(["fit", path, "--out", str(tmp_path / "m"), *given]) == 2
    assert "name the separator, such as --separator ';'" in capsys.readouterr().err


def test_a_column_of_ids_that_is_not_named(tmp_path, series, capsys):
    rows = [["run", "ill", *range(T)]]
    rows += [[f"r{i}", series[1][i], *series[0][i, 0].tolist()] for i in range(N)]
    path = write(tmp_path / "wide.csv", rows)
    assert main(["fit", path, "--out", str(tmp_path / "m"), "--label", "ill"]) == 2
    err = capsys.readouterr().err
    assert "'r0' of column 'run' is not a number; if the column has ids, name it: --id run" in err


def test_a_column_of_times_that_is_not_named(tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text("run,when,x,ill\na,2026-01-31 12:00,1,no\n")
    given = ["--id", "run", "--label", "ill"]
    assert main(["fit", str(path), "--out", str(tmp_path / "m"), *given]) == 2
    assert "if the column has times, name it: --time when" in capsys.readouterr().err


def test_a_separator_that_is_not_named(tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text("run;when;x\na;1;1\n")
    assert main(["fit", str(path), "--out", str(tmp_path / "m"), "--label", "ill"]) == 2
    assert "name it, such as --separator ';'" in capsys.readouterr().err


def test_dates_that_begin_with_the_day_are_refused_with_a_way(tmp_path, series, capsys):
    rows = list(points(*series))
    for row in rows[1:]:
        row[1] = f"01.03.2025 12:00:{int(2 * row[1]):02d}"
    path = write(tmp_path / "points.csv", rows)
    given = ["--id", "run", "--time", "second", "--label", "ill"]
    assert main(["fit", path, "--out", str(tmp_path / "m"), *given]) == 2
    assert "pandas.to_datetime(frame['second'], dayfirst=True)" in capsys.readouterr().err
