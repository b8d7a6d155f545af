"""Files with a row for each series: a model finds the columns of its time points in them."""

import numpy as np
import pytest

from skgdpd._cli.main import main

QUICK = ["--student", "rocket", "--epochs", "0", "--quiet"]


@pytest.fixture(scope="module")
def series(bumps):
    X, y = bumps
    return X[:20, 0], np.unique(y[:20], return_inverse=True)[1]


def write(path, X, y=None, ids=None, header=True, names=None):
    """Write a row for each series (n, t), with its id and its label if there are any."""
    first = {"pump": ids, "bad": y}
    kept = {name: values for name, values in first.items() if values is not None}
    names = [f"t{t}" for t in range(X.shape[1])] if names is None else names
    lines = [",".join([*kept, *names])] if header else []
    for i, values in enumerate(X.tolist()):
        lines.append(",".join([*(str(own[i]) for own in kept.values()), *map(repr, values)]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory, series):
    folder = tmp_path_factory.mktemp("wide")
    data, path = write(folder / "train.csv", *series), str(folder / "model.zip")
    assert main(["fit", data, "--label", "bad", "--out", path, *QUICK]) == 0
    return path


@pytest.fixture(scope="module")
def headless(tmp_path_factory, series):
    folder = tmp_path_factory.mktemp("headless")
    data = write(folder / "train.csv", *series, header=False)
    path = str(folder / "model.zip")
    assert main(["fit", data, "--label", "0", "--no-header", "--out", path, *QUICK]) == 0
    return path


def predicted(capsys, *arguments):
    capsys.readouterr()
    assert main(["predict", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("others", [{"y": True}, {"ids": True}, {"y": True, "ids": True}])
def test_columns_that_are_no_time_points_of_the_fit_are_not_read(
    tmp_path, series, model, others, capsys
):
    X, y = series
    columns = {"y": y, "ids": 7 * np.arange(len(X)) + 3}
    more = {name: columns[name] for name in others}
    plain = write(tmp_path / "plain.csv", X)
    data = write(tmp_path / "more.csv", X, **more)
    assert predicted(capsys, model, data) == predicted(capsys, model, plain)


def test_first_parts_of_series_are_enough(tmp_path, series, model, capsys):
    X, y = series
    whole = write(tmp_path / "whole.csv", X)
    part = write(tmp_path / "part.csv", X[:, :20], y)
    assert predicted(capsys, model, part) == predicted(capsys, model, whole)


def test_evaluate_and_check_find_the_columns_too(tmp_path, series, model, capsys):
    X, y = series
    data = write(tmp_path / "a.csv", X, y, ids=7 * np.arange(len(X)) + 3)
    assert main(["evaluate", model, data, "--label", "bad"]) == 0
    own = capsys.readouterr().out
    named = write(tmp_path / "a.csv", X, y)
    assert main(["evaluate", model, named, "--label", "bad"]) == 0
    assert capsys.readouterr().out == own
    assert main(["check", data, "--model", model]) == 0
    assert "time points     40 in each series" in capsys.readouterr().out


def test_unlabelled_series_have_the_columns_of_the_labelled_ones(tmp_path, series, capsys):
    X, y = series
    train = write(tmp_path / "train.csv", X, y)
    more = write(tmp_path / "more.csv", X, ids=7 * np.arange(len(X)) + 3)
    assert main(["check", train, "--label", "bad", "--unlabeled", more]) == 0
    assert capsys.readouterr().out.count("time points     40 in each series") == 2


def test_a_file_without_a_column_of_the_fit_is_refused(tmp_path, series, model, capsys):
    X, _ = series
    other = write(tmp_path / "other.csv", X, names=[f"u{t}" for t in range(40)])
    assert main(["predict", model, other]) == 2
    assert "has no column 't0', which the model was fitted to" in capsys.readouterr().err
    names = [f"t{t}" for t in range(40) if t != 5]
    gap = write(tmp_path / "gap.csv", X[:, 1:], names=names)
    assert main(["predict", model, gap]) == 2
    assert "has no column 't5', which the model was fitted to" in capsys.readouterr().err


def test_values_that_are_named_are_read(tmp_path, series, model, capsys):
    X, _ = series
    names = [f"u{t}" for t in range(40)]
    other, plain = (
        write(tmp_path / "other.csv", X, names=names),
        write(tmp_path / "plain.csv", X),
    )
    assert predicted(capsys, model, other, "--values", *names) == predicted(capsys, model, plain)


def test_more_columns_than_time_points_are_refused_without_a_header(
    tmp_path, series, headless, model, capsys
):
    X, y = series
    data = write(tmp_path / "a.csv", X, y, header=False)
    for path in (headless, model):
        assert main(["predict", path, data, "--no-header"]) == 2
        err = " ".join(capsys.readouterr().err.split())
        assert "a.csv has 41 columns of time points, and the series of the fit had 40" in err
        assert "--label" in err
        own = predicted(capsys, path, data, "--no-header", "--label", "0")
        bare = write(tmp_path / "b.csv", X, header=False)
        assert own == predicted(capsys, path, bare, "--no-header")


def test_check_and_fit_name_the_columns_of_time_points(tmp_path, series, capsys):
    X, y = series
    data = write(tmp_path / "a.csv", X, y, ids=7 * np.arange(len(X)) + 3)
    assert main(["check", data, "--label", "bad"]) == 0
    assert "a row for each series, time points from pump, t0, t1, t2" in capsys.readouterr().out
    out = str(tmp_path / "model.zip")
    assert main(["fit", data, "--label", "bad", "--out", out, *QUICK]) == 0
    assert "a row for each series, time points from pump, t0, t1, t2" in capsys.readouterr().out


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_rows_are_no_time_point(tmp_path, series, first, capsys):
    X, y = series
    data = write(tmp_path / "a.csv", X, y, ids=np.arange(first, first + len(X)))
    assert main(["fit", data, "--label", "bad", "--out", str(tmp_path / "m.zip"), *QUICK]) == 2
    assert "a column 'pump', which looks like numbers of rows" in capsys.readouterr().err


def test_a_word_beside_ids_that_are_named_is_no_other_column_of_ids(tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text("run,when,state,heat\na,0,on,1\na,1,on,2\nb,0,off,3\nb,1,off,4\n")
    options = ["--id", "run", "--time", "when", "--label", "heat"]
    assert main(["check", str(path), *options]) == 2
    err = capsys.readouterr().err
    assert "the value 'on' of column 'state' is not a number" in err
    assert "--id state" not in err
    assert "name the columns of values, without this one" in err
