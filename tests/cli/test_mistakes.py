"""Common mistakes on the command line get errors that say what to type."""

import pytest

from skgdpd._cli.main import main

LONG = ["--id", "run", "--time", "when", "--label", "ill"]
QUICK = ["--student", "rocket", "--epochs", "0", "--quiet"]


def write_points(path, X, labels):
    """Write a row for each point of series (n, 1, t)."""
    rows = [
        f"N{i},{t},{value!r},{label}"
        for i, (series, label) in enumerate(zip(X[:, 0].tolist(), labels, strict=True))
        for t, value in enumerate(series)
    ]
    path.write_text("\n".join(["run,when,heat,ill", *rows]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def points(tmp_path_factory, bumps):
    X, y = bumps
    return write_points(tmp_path_factory.mktemp("mistakes") / "points.csv", X[:20], y[:20])


@pytest.fixture(scope="module")
def model(points):
    out = points.replace("points.csv", "model.zip")
    assert main(["fit", points, *LONG, "--out", out, *QUICK]) == 0
    return out


def error_of(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 2
    return " ".join(capsys.readouterr().err.split())


def test_no_command_shows_the_help(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "`evaluate` scores the model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("--earlyness", "--earliness"), ("--ids", "--id"), ("--delay_cost", "--delay-cost")],
)
def test_an_option_that_is_typed_wrong_is_named_right(typed, meant, capsys):
    with pytest.raises(SystemExit) as end:
        main(["fit", "a.csv", "--out", "m.zip", typed, "0.3"])
    assert end.value.code == 2
    assert f"unrecognized arguments: {typed} 0.3; did you mean {meant}?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_file_of_series_in_place_of_the_model(points, model, command, capsys):
    err = error_of(capsys, command, points, model, *LONG)
    assert "points.csv is not a model of skgdpd but a table; the model comes first" in err


def test_a_channel_of_the_model_is_no_column_of_labels(points, model, capsys):
    err = error_of(capsys, "evaluate", model, points, *LONG[:-1], "heat")
    assert "'heat' is a column of values in the fit; --id, --time and --label can't name it" in err


def test_labels_that_are_measured_values(tmp_path, points, bumps, capsys):
    X, _ = bumps
    path = write_points(tmp_path / "b.csv", X[:20], X[:20, 0, 0].tolist())
    err = error_of(capsys, "fit", path, *LONG, "--out", str(tmp_path / "m.zip"), *QUICK)
    assert "the labels are 20 different numbers in 20 series" in err
    assert main(["check", path, *LONG]) == 1
    assert "the labels are 20 different numbers in 20 series" in capsys.readouterr().out


def test_the_error_without_options_names_those_of_points(points, capsys):
    err = error_of(capsys, "check", points)
    assert "--label must name the column of labels of" in err
    assert "If each row is a point of a series, name --id and --time, too" in err
