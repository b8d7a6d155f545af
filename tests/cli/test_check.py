"""The command that says what is in a file, and what would be refused there."""

import numpy as np
import pytest

from skgdpd._cli.main import main

LONG = ["--id", "run", "--time", "when", "--label", "ill"]
QUICK = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]


def write(path, X, y, empty=(), names=("pulse", "heat"), minutes=60):
    """Write a row for each point of series (n, 2, t), without the values of some points."""
    rows = ["run,when," + ",".join(names) + ",ill"]
    for i, series in enumerate(X):
        for t in range(series.shape[1]):
            hour, minute = divmod(t * minutes, 60)
            values = ["" if (i, t) in empty else f"{value:.6g}" for value in series[:, t]]
            rows.append(
                f"N{i},2026-01-{1 + hour // 24:02} {hour % 24:02}:{minute:02},"
                f"{','.join(values)},{y[i]}"
            )
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def two(bumps):
    X, _ = bumps
    return np.concatenate([X, 2 - X], axis=1)[:12], np.array(["no", "yes"] * 6)


@pytest.fixture(scope="module")
def model(tmp_path_factory, two):
    folder = tmp_path_factory.mktemp("check")
    data = write(folder / "train.csv", *two)
    assert main(["fit", data, *LONG, "--out", str(folder / "model.zip"), *QUICK]) == 0
    return str(folder / "model.zip")


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_what_is_in_a_file(tmp_path, two, capsys):
    X, y = two
    series = [x[:, : 30 + i % 3] for i, x in enumerate(X)]
    data = write(tmp_path / "a.csv", series, [*y[:10], "", ""], empty=[(0, 1)])
    assert main(["check", data, *LONG]) == 1
    out = said(capsys)
    assert "series 12 channels 2: pulse, heat time points 30 to 32, median 31 step 1 hour" in out
    assert "missing values 2, 0.27 % of all, in 1 of 12 series" in out
    assert "classes 2: no (5 series), yes (5 series); without a label 2 series" in out
    assert "Refused by fit: - " in out
    assert "the first in series 'N0', column 'pulse', at point 2" in out
    assert "--missing interpolate" in out


def test_a_file_that_fit_takes(tmp_path, two, capsys):
    assert main(["check", write(tmp_path / "a.csv", *two), *LONG]) == 0
    out = said(capsys)
    assert "time points 40 in each series" in out
    assert "missing values none" in out
    assert out.endswith("No problems found.")


def test_all_faults_are_said_at_once_and_fit_refuses_each(tmp_path, two, capsys):
    X = two[0].copy()
    X[1, 0, 3], X[2, 1, 4] = np.nan, np.inf
    X[3, :, 1:] = np.nan
    data = write(tmp_path / "a.csv", X, ["no"] * 12)
    assert main(["check", data, *LONG]) == 1
    out = capsys.readouterr().out
    faults = [
        "all labelled series are of one class, 'no'",
        "1 of 12 series have fewer than the 2 time points that a fit needs: series 'N3' has 1",
        "1 value is infinite or too large for single precision in 1 of 12 series",
        "1 value is missing in 1 of 12 series, the first in series 'N1', column 'pulse'",
    ]
    assert all(fault in out for fault in faults)
    for fault, mended in zip(faults, (None, 3, 2, 1), strict=True):
        assert main(["fit", data, *LONG, "--out", str(tmp_path / "m"), *QUICK]) == 2
        assert fault in capsys.readouterr().err
        if mended is not None:
            X[mended] = two[0][0]
        write(tmp_path / "a.csv", X, two[1])
    assert main(["check", data, *LONG]) == 0


def test_unlabelled_series_for_the_same_fit(tmp_path, two, capsys):
    X, y = two
    np.savez(tmp_path / "few.npz", X=X, y=y)
    np.savez(tmp_path / "many.npz", X=X[:, :, :30])
    given = [str(tmp_path / "few.npz"), "--unlabeled", str(tmp_path / "many.npz")]
    assert main(["check", *given]) == 1
    fault = "many.npz has series of 30 time points, and"
    assert fault in capsys.readouterr().out
    assert main(["fit", *given, "--out", str(tmp_path / "m"), *QUICK[2:-1], "--epochs", "1"]) == 2
    assert fault in capsys.readouterr().err


def test_series_for_a_model(tmp_path, two, model, capsys):
    X, y = two
    data = write(tmp_path / "a.csv", X, y)
    assert main(["check", data, *LONG[:4], "--model", model]) == 0
    assert "No problems found." in capsys.readouterr().out
    data = write(tmp_path / "b.csv", [X[0][:, :5], *X[1:]], ["maybe", *y[1:]], empty=[(2, 1)])
    assert main(["check", data, *LONG, "--model", model]) == 1
    out = capsys.readouterr().out
    assert "1 of 12 series have fewer than the 12 time points that this model needs" in out
    assert "2 values are missing in 1 of 12 series, the first in series 'N2'" in out
    assert "labels that the model doesn't know: 'maybe' (1 series)" in out


def test_a_model_of_another_step_or_other_channels(tmp_path, two, model, capsys):
    data = write(tmp_path / "a.csv", *two, minutes=30)
    assert main(["check", data, *LONG, "--model", model]) == 2
    assert "is 30 minutes in" in capsys.readouterr().err
    np.savez(tmp_path / "one.npz", X=two[0][:, :1])
    for command in (
        ["check", str(tmp_path / "one.npz"), "--model", model],
        ["predict", model, str(tmp_path / "one.npz")],
    ):
        assert main(command) in (1, 2)
        text = "".join(capsys.readouterr())
        assert "has series of 1 channel, and the model was fitted to 2 channels" in text
