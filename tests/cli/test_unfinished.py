"""Series that may go on, or are too short, on the command line."""

import csv
import io

import numpy as np
import pytest

from skgdpd import PrefixClassifier, SeriesOptions, load
from skgdpd._cli.lengths import least_length
from skgdpd._cli.main import main
from skgdpd._cli.notes import forced_note
from skgdpd.datasets import make_bumps

QUICK = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]
LONG = ["--id", "machine", "--time", "second"]


def write_points(path, X, y=None):
    """Write a row for each point of series that end in NaN."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["machine", "second", "vibration", *([] if y is None else ["ill"])])
        for i, series in enumerate(X):
            for t in range(series.shape[1]):
                if not np.isnan(series[0, t]):
                    label = [] if y is None else [y[i]]
                    writer.writerow([f"N{i:02d}", t, repr(float(series[0, t])), *label])
    return str(path)


def cut(X, lengths):
    X = X.astype(float)
    for series, length in zip(X, lengths, strict=True):
        series[:, length:] = np.nan
    return X


@pytest.fixture(scope="module")
def running():
    """Series of which some are whole, some have passed a moment, and some have passed none."""
    X, _ = make_bumps(n_samples=24, random_state=3)
    return cut(X, [60, 59, 30, 13, 12, 11, 7, 2] * 3)


@pytest.fixture(scope="module")
def ragged(tmp_path_factory, bumps):
    """A model of one moment, 12 points, fitted to series of which the shortest has 9."""
    X, y = bumps
    folder = tmp_path_factory.mktemp("ragged")
    data = write_points(folder / "points.csv", cut(X, [40, 30, 20, 9] * 15), y)
    out = str(folder / "model.zip")
    assert main(["fit", data, *LONG, "--label", "ill", "--out", out, *QUICK]) == 0
    return out


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_forced_answers_are_marked_and_counted(tmp_path, early_file, running, capsys):
    reached = running[~np.isnan(running[:, 0, 11])]
    data = write_points(tmp_path / "running.csv", reached)
    assert main(["predict", early_file, data, *LONG]) == 0
    out, err = capsys.readouterr()
    found = load(early_file).decide(reached)
    assert found.forced.any()
    assert [row["forced"] == "true" for row in rows_of(out)] == found.forced.tolist()
    assert forced_note(int(found.forced.sum()), len(reached)) in err
    assert "--open" in err


def test_one_answer_is_said_in_the_singular():
    assert forced_note(1, 40).startswith("1 of 40 answers was forced: this series ended")
    assert forced_note(2, 40).startswith("2 of 40 answers were forced: these series ended")


def test_no_note_if_no_answer_is_forced(tmp_path, early_file, capsys):
    whole = make_bumps(n_samples=10, random_state=3)[0]
    data = write_points(tmp_path / "whole.csv", whole)
    assert not load(early_file).decide(whole).forced.any()
    assert main(["predict", early_file, data, *LONG, "--open"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(row["label"] for row in rows_of(out))


def test_open_series_are_answered_as_by_a_stream(tmp_path, early_file, running, capsys):
    """An answer is given exactly where a session that reads the points has given one."""
    data = write_points(tmp_path / "running.csv", running)
    assert main(["predict", early_file, data, *LONG, "--open"]) == 0
    out, err = capsys.readouterr()
    early = load(early_file)
    session = early.start(join=True)
    answers = {}
    for i, series in enumerate(running):
        points = series[:, ~np.isnan(series[0])]
        answers |= {decision.id: decision for decision in session.push({f"N{i:02d}": points})}
    rows = rows_of(out)
    assert len(rows) == len(running)
    assert 0 < len(answers) < len(running)
    for row in rows:
        decision = answers.get(row["id"])
        assert row["label"] == ("" if decision is None else str(decision.label))
        assert row["forced"] in ("false", "")
        if decision is not None:
            assert int(row["n_seen"]) == decision.n_seen
    assert f"{len(running) - len(answers)} of {len(running)} series wait" in err


def test_one_short_series_is_named_by_its_id_with_a_way_out(tmp_path, ragged, bumps, capsys):
    X = cut(bumps[0][:6], [40, 5, 9, 40, 4, 40])
    data = write_points(tmp_path / "running.csv", X)
    assert main(["predict", ragged, data, *LONG]) == 2
    err = capsys.readouterr().err
    assert "2 of 6 series have fewer than the 9 time points" in err
    assert "series 'N01' has 5, series 'N04' has 4" in err
    assert "--short skip" in err
    assert "series__" not in err
    assert main(["predict", ragged, data, *LONG, "--short", "skip"]) == 0
    out, err = capsys.readouterr()
    assert "2 of 6 series are too short, and have no answer" in err
    proba = load(ragged).predict_proba(X[[0, 2, 3, 5]])
    rows = rows_of(out)
    assert [row["label"] == "" for row in rows] == [i in (1, 4) for i in range(6)]
    assert all(row["p_yes"] == "" for row in rows if row["label"] == "")
    shown = [float(row["p_yes"]) for row in rows if row["label"]]
    np.testing.assert_allclose(shown, proba[:, 1], rtol=1e-4)


def test_a_rule_skips_series_before_the_first_moment(tmp_path, early_file, running, capsys):
    data = write_points(tmp_path / "running.csv", running)
    assert main(["predict", early_file, data, *LONG]) == 2
    assert "9 of 24 series have fewer than the 12 time points" in capsys.readouterr().err
    assert main(["predict", early_file, data, *LONG, "--short", "skip"]) == 0
    out, err = capsys.readouterr()
    assert "9 of 24 series are too short" in err
    assert sum(row["label"] == "" for row in rows_of(out)) == 9


def test_all_series_may_be_too_short(tmp_path, ragged, bumps, capsys):
    data = write_points(tmp_path / "running.csv", cut(bumps[0][:3], [4, 5, 6]))
    assert main(["predict", ragged, data, *LONG, "--short", "skip"]) == 0
    assert [row["label"] for row in rows_of(capsys.readouterr().out)] == ["", "", ""]


def test_only_a_rule_lets_series_wait(tmp_path, ragged, bumps, capsys):
    data = write_points(tmp_path / "points.csv", bumps[0][:3])
    assert main(["predict", ragged, data, *LONG, "--open"]) == 2
    assert "--open needs a model with a stopping rule" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--short", "skip"]])
def test_a_wrong_threshold_is_not_blamed_on_short_series(tmp_path, ragged, bumps, capsys, more):
    data = write_points(tmp_path / "running.csv", cut(bumps[0][:3], [40, 5, 40]), ["no"] * 3)
    given = [ragged, data, *LONG, "--threshold", "foo=0.3"]
    commands = [["predict", *given, *more]]
    if not more:
        commands.append(["evaluate", *given, "--label", "ill"])
    for command in commands:
        assert main(command) == 2
        assert "foo=0.3 names no class of the model" in capsys.readouterr().err


def test_series_that_were_skipped_explain_no_error(tmp_path, ragged, bumps, capsys):
    """The gaps of the series that were read do, and gaps of skipped series don't count."""
    X = cut(bumps[0][:4], [5, 40, 5, 40])
    path = tmp_path / "running.csv"
    write_points(path, X)
    lines = path.read_text().splitlines()
    gaps = [i for i, line in enumerate(lines) if line.startswith(("N00,1,", "N03,4,"))]
    for i in gaps:
        lines[i] = lines[i].rpartition(",")[0] + ","
    path.write_text("\n".join(lines) + "\n")
    assert main(["predict", ragged, str(path), *LONG, "--short", "skip"]) == 2
    err = capsys.readouterr().err
    assert "1 value is missing in 1 of 4 series, the first in series 'N03'" in err
    assert "--short skip" not in err


def test_scores_leave_short_series_out_and_name_them(tmp_path, early_file, running, capsys):
    y, data = np.arange(len(running)) % 2, str(tmp_path / "running.npz")
    np.savez(data, X=running, y=y)
    assert main(["evaluate", early_file, data]) == 2
    err = capsys.readouterr().err
    assert "9 of 24 series have fewer than the 12 time points" in err
    assert "--short skip" in err
    assert main(["evaluate", early_file, data, "--short", "skip"]) == 0
    text = capsys.readouterr().out
    short = np.isnan(running[:, 0, 11])
    names = ", ".join(map(str, np.flatnonzero(short)))
    line = (
        "Left out: 9 of 24 series have fewer than the 12 time points that this model needs: "
        f"{names}."
    )
    assert line in text.splitlines()
    kept = tmp_path / "kept.npz"
    np.savez(kept, X=running[~short], y=y[~short])
    assert main(["evaluate", early_file, str(kept)]) == 0
    assert (
        capsys.readouterr().out
        == "\n".join(line for line in text.splitlines() if not line.startswith("Left out")) + "\n"
    )


def test_series_that_are_left_out_are_in_the_report(tmp_path, ragged, bumps, capsys):
    pytest.importorskip("matplotlib")
    X = cut(bumps[0][:6], [40, 5, 9, 40, 4, 40])
    np.savez(tmp_path / "running.npz", X=X, y=np.where(bumps[1][:6] == "yes", "no", "yes"))
    out = tmp_path / "page.html"
    given = [ragged, str(tmp_path / "running.npz"), "--short", "skip", "--report", str(out)]
    assert main(["evaluate", *given]) == 0
    page = out.read_text()
    assert "Left out: 2 of 6 series" in page
    assert "needs: 1, 4." in page
    # Errors have the numbers of the file.
    wrong = load(ragged).predict(X[[0, 2, 3, 5]]) != np.load(given[1])["y"][[0, 2, 3, 5]]
    errors = page.partition("<h2>Errors</h2>")[2]
    found = [int(part.partition("<")[0]) for part in errors.split("<tr><td>")[1:]]
    assert sorted(found) == np.array([0, 2, 3, 5])[wrong].tolist()


def test_no_score_without_a_series_that_is_long_enough(tmp_path, ragged, bumps, capsys):
    data = write_points(tmp_path / "running.csv", cut(bumps[0][:3], [4, 5, 6]), ["no"] * 3)
    given = ["--label", "ill", "--short", "skip"]
    assert main(["evaluate", ragged, data, *LONG, *given]) == 2
    assert "all 3 series have fewer than the 9 time points" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "15 of 60 series are shorter than the part that is seen, 12 time points"),
        (
            ["--earliness", "0.5", "1.0", "--delay-cost", "0.5"],
            "30 of 60 series are shorter than the first moment, 20 time points. The classifier "
            "learned them as series that ended there, and the stopping rule was fitted without "
            "them. New series are answered from 20 time points on.",
        ),
    ],
)
def test_a_fit_counts_its_short_series(tmp_path, bumps, capsys, more, words):
    X, y = bumps
    lengths = [40, 30, 20, 9] * 15 if not more else [40, 30, 19, 9] * 15
    data = write_points(tmp_path / "points.csv", cut(X, lengths), y)
    out = str(tmp_path / "model.zip")
    assert main(["fit", data, *LONG, "--label", "ill", "--out", out, *QUICK, *more]) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lengths", "options"),
    [
        (None, {}),
        ([40, 30, 20, 9], {}),
        ([40, 30, 20, 9], {"earliness": [0.5, 1.0]}),
        (None, {"earliness": [0.5, 1.0]}),
        ([40, 30, 20, 9], {"series": SeriesOptions(short_series="ended")}),
    ],
)
def test_the_least_length_is_where_a_model_begins_to_answer(bumps, lengths, options):
    X, y = bumps
    if lengths is not None:
        X = cut(X, lengths * 15)
    model = PrefixClassifier("rocket", max_epochs=0, random_state=0, **options).fit(X, y)
    least = least_length(model)
    model.predict(X[:1, :, :least])
    with pytest.raises(ValueError, match="time point"):
        model.predict(X[:1, :, : least - 1])
