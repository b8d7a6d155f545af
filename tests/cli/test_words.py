"""Errors of the command line name options, ids and columns, not parameters of Python."""

import re

import numpy as np
import pytest

from skgdpd._cli.main import _parser, main
from skgdpd._cli.words import OPTIONS, in_options

QUICK = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]
LONG = ["--id", "run", "--time", "second", "--label", "ill"]
PYTHON = re.compile(r"\b[a-z_]+=['\[\d]|series__|y_true|proba\b|\bX\b")
"""Parameters and arguments of Python."""


def write_points(path, X, y, names=("vibration", "heat"), without=(), empty=()):
    """Write a row for each point, without some rows and with some empty values."""
    rows = ["run,second," + ",".join(names) + ",ill"]
    for i, series in enumerate(X):
        for t in range(series.shape[1]):
            if (i, t) in without:
                continue
            values = [repr(float(value)) for value in series[:, t]]
            if (i, t) in empty:
                values[0] = ""
            rows.append(f"N{i},{t},{','.join(values)},{y[i]}")
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def two(bumps):
    X, y = bumps
    return np.concatenate([X, 2 - X], axis=1), y


@pytest.fixture(scope="module")
def model(tmp_path_factory, two):
    folder = tmp_path_factory.mktemp("words")
    data = write_points(folder / "train.csv", *two)
    assert main(["fit", data, *LONG, "--out", str(folder / "model.zip"), *QUICK]) == 0
    return str(folder / "model.zip")


def error_of(capsys, arguments):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert not PYTHON.search(err)
    return err


def test_missing_values_are_told_by_id_and_column(tmp_path, two, model, capsys):
    X, y = two[0][:8], two[1][:8]
    data = write_points(tmp_path / "gaps.csv", X, y, empty=[(5, 3), (5, 4), (6, 2)])
    for command in (["fit", data, "--out", str(tmp_path / "m"), *QUICK], ["predict", model, data]):
        err = error_of(capsys, [*command, *LONG])
        assert "3 values are missing in 2 of 8 series" in err
        assert "the first in series 'N5', column 'vibration', at point 4" in err
        assert "--missing interpolate" in err
    without = write_points(tmp_path / "rows.csv", X, y, without=[(5, 3)])
    err = error_of(capsys, ["evaluate", model, without, *LONG])
    assert "2 values are missing in 1 of 8 series" in err


def test_values_after_the_last_moment_may_be_missing(tmp_path, two, model):
    X, y = two[0][:8], two[1][:8]
    data = write_points(tmp_path / "gaps.csv", X, y, empty=[(5, 30)])
    assert main(["predict", model, data, *LONG]) == 0


def test_labels_that_the_model_does_not_know_are_counted(tmp_path, two, model, capsys):
    X, y = two[0][:8], ["no", "maybe", "no", "no", "yes", "maybe", "no", "no"]
    err = error_of(capsys, ["evaluate", model, write_points(tmp_path / "a.csv", X, y), *LONG])
    assert "'maybe' (2 series); its classes are 'no', 'yes'" in err
    y[2] = ""
    err = error_of(capsys, ["evaluate", model, write_points(tmp_path / "a.csv", X, y), *LONG])
    assert "1 of 8 series of" in err
    assert "has no label: series 'N2'. Only labelled series can be scored" in err


def test_a_channel_of_the_model_that_is_not_there(tmp_path, two, model, capsys):
    data = write_points(tmp_path / "a.csv", *two, names=("shaking", "heat"))
    err = error_of(capsys, ["predict", model, data, *LONG])
    assert "no column 'vibration', which the model was fitted to" in err
    assert "shaking" in err
    assert "--values" not in err


@pytest.mark.parametrize("option", ["--id", "--time", "--label", "--values"])
def test_an_option_that_names_no_column(tmp_path, two, model, capsys, option):
    data = write_points(tmp_path / "a.csv", *two)
    err = error_of(capsys, ["evaluate", model, data, *LONG, option, "nothing"])
    assert f"{option} names 'nothing', which is not a column of" in err
    assert "vibration" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--earliness", "99"], "--earliness 99"),
        (["--student", "lstm1-8", "--epochs", "1", "--device", "abacus"], "--device abacus"),
        (["--student", "lstm1-8"], "--epochs 0 needs a student"),
    ],
)
def test_parameters_are_told_as_options(tmp_path, two, capsys, arguments, words):
    data = write_points(tmp_path / "a.csv", *two)
    given = ["fit", data, *LONG, "--out", str(tmp_path / "m"), *QUICK, *arguments]
    assert main(given) == 2
    assert words in capsys.readouterr().err


def test_options_of_words_are_there():
    fit = next(a for a in _parser(["fit"])._actions if a.choices).choices["fit"]
    known = {option for action in fit._actions for option in action.option_strings}
    assert set(OPTIONS.values()) <= known


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("set step=9.96 or so", "set --step 9.96 or so"),
        ("time='when': table has", "--time when: table has"),
        ("missing_values='mask', please", "--missing mask, please"),
        ("The 'max_epochs' parameter of A must be 1", "The option --epochs must be 1"),
        ("pandas.Timedelta(unit='s')", "pandas.Timedelta(unit='s')"),
        ("there is no file data/id=5/a.csv", "there is no file data/id=5/a.csv"),
        ("shape (3, 4) of X", "shape (3, 4) of X"),
        ("read(header=False, --no-header)", "read(header=False, --no-header)"),
        ("earliness=99 must", "--earliness 99 must"),
        ("earliness=[0.5, 500] must ascend", "--earliness 0.5 500 must ascend"),
        ("student: unknown backbone 'x'", "--student: unknown backbone 'x'"),
        ("values names 'v', which", "--values names 'v', which"),
        ("misclassification_cost gives no", "--error-cost gives no"),
        ("class_weight leaves no series", "--class-weight leaves no series"),
        ("time is short, values are many", "time is short, values are many"),
        ('separator="\'" must', "--separator ''\"'\"'' must"),
    ],
)
def test_only_parameters_with_values_are_translated(message, words):
    assert in_options(message) == words


@pytest.mark.parametrize(
    "message",
    [
        "misclassification_cost={'a': 1} names ['a']",
        "label=('a', 'b') names two columns",
        "id=3/train.csv: a line has 4 cells",
        "time=5.csv: a line has 4 cells",
        "id=3,5 of the table",
        "values=\\d+ of the table",
        "the value 'time=5' is not a number",
        "the value 'at time=5 or so' is not a number",
        'the value "it\'s time=5" is not a number',
        "id='a\\'b' of the table",
    ],
)
def test_lists_and_the_text_of_users_stay_as_they_are(message):
    assert in_options(message) == message


def test_a_list_of_moments_is_told_in_one_piece(tmp_path, two, capsys):
    data = write_points(tmp_path / "a.csv", *two)
    given = ["fit", data, *LONG, "--out", str(tmp_path / "m"), *QUICK, "--delay-cost", "0.2"]
    assert main([*given, "--earliness", "0.5", "500"]) == 2
    assert "--earliness 0.5 500 must be an ascending list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--separator", ";"], "name it, such as --separator ,"),
        (["--decimal", ","], "name the separator, such as --separator ';'"),
        (["--class-weight", "no=0", "yes=0"], "--class-weight leaves every series"),
        (["--student", "nothing"], "--student: unknown backbone 'nothing'"),
        (["--values", "heat", "heat"], "--values names 'heat', which is named twice"),
        (
            ["--delay-cost", "1", "--earliness", "0.2", "0.5", "--error-cost", "no=0", "yes=0"],
            "--error-cost gives no error a cost",
        ),
    ],
)
def test_errors_of_a_fit_name_no_parameter_of_python(tmp_path, two, capsys, arguments, words):
    data = write_points(tmp_path / "a.csv", *two)
    given = ["fit", data, *LONG, "--out", str(tmp_path / "m"), *QUICK]
    assert words in error_of(capsys, [*given, *arguments])


def test_dates_that_can_t_be_read(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("run,second,v,ill\na,31/01/2026,1,no\na,01/02/2026,2,no\n")
    err = error_of(capsys, ["fit", str(tmp_path / "a.csv"), *LONG, "--out", str(tmp_path / "m")])
    assert "--time second: " in err
    assert "allowed are numbers and texts of ISO 8601" in err
    assert "isoformat" not in err


def test_a_model_that_is_not_there_and_costs_that_are_none(tmp_path, two, model, capsys):
    data = write_points(tmp_path / "a.csv", *two)
    assert "saved model" in error_of(capsys, ["predict", str(tmp_path / "no"), data, *LONG])
    err = error_of(capsys, ["evaluate", model, data, *LONG, "--cost", "no=0", "yes=0"])
    assert "--cost gives no error a cost" in err
