"""The command line and the demonstration."""

import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import skgdpd._cli.demo
from skgdpd import GDPDClassifier, PrefixClassifier
from skgdpd._cli.main import main
from skgdpd._cli.series_files import Columns
from skgdpd.datasets import TrainTest, make_bumps


@pytest.fixture
def quick(monkeypatch):
    """Estimators of the demonstration, with little training."""

    def shortened(cls):
        def make(**params):
            return cls(**{"student": "lstm1-8", "max_epochs": 2} | params)

        return make

    for cls in (GDPDClassifier, PrefixClassifier):
        monkeypatch.setattr(skgdpd._cli.demo, cls.__name__, shortened(cls))
    monkeypatch.setattr(skgdpd._cli.demo, "SEEDS", (0, 1))
    monkeypatch.setattr(skgdpd._cli.demo, "CURVE", (0.5,))
    monkeypatch.setattr(skgdpd._cli.demo, "UNLABELLED_CURVE", (0.5,))
    monkeypatch.setattr(skgdpd._cli.demo, "UNLABELLED_TABLE", (0.5,))
    monkeypatch.setattr(skgdpd._cli.demo, "MOMENTS", [0.3, 0.6])


def write_npz(path, X, y, **more):
    np.savez(path, X=X, y=y, **more)
    return str(path)


def test_the_demonstration_prints_tables_and_writes_pictures(quick, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "out"), "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "20 labelled series, 514 without a label, 515 to predict" in text
    lines = [line.split() for line in text.splitlines()]
    seen = [line[0] for line in lines if line and line[0].endswith("%")]
    assert seen == ["100%", "50%", "50%"]
    for line in lines:
        if line and line[0].endswith("%"):
            assert line[-7] == line[-4] == "±"
            accuracy, _, spread, auc, _, _, agreement, seconds = line[-8:]
            assert 0 <= float(accuracy) <= 1
            assert 0 <= float(spread) <= 1
            assert 0 <= float(auc) <= 1
            assert 0 <= float(agreement) <= 1
            assert float(seconds) >= 0
    answers = [line for line in lines if len(line) == 5 and line[0].isdecimal()]
    assert [int(line[0]) for line in answers] == sorted(int(line[0]) for line in answers)
    assert len({line[1] for line in answers}) == len(answers) == skgdpd._cli.demo.N_STREAMED
    assert "seeds 0 to 1, each with other" in text
    assert "unlabelled series change the accuracy by" in text
    assert "hidden" not in text
    for name in ("unlabelled-series.png", "decision.png"):
        assert str(tmp_path / "out" / name) in text
        assert (tmp_path / "out" / name).stat().st_size > 10_000


def test_the_demonstration_runs_on_a_file_of_the_users_own(quick, tmp_path, bumps, capsys):
    path = write_npz(tmp_path / "mine.npz", *bumps)
    assert main(["demo", "--data", path, "--earliness", "0.2", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "mine: all 30 series of the fit have labels" in out
    assert "the labels of 16 are hidden" in out
    assert "mine: 14 labelled series, 16 without a label, 30 to predict" in out
    assert [line.split()[1:3] for line in out.splitlines() if line.startswith("  20%")] == [
        ["labels", "only"], ["GDPD,", "unlabelled"], ["all", "labels"]
    ]  # fmt: skip
    assert "If all your series have labels, fit on all of them" in out
    assert "mine as a stream" in out
    assert "ItalyPowerDemand" not in out
    assert "100%" in err  # the progress bar
    assert f"-m skgdpd fit {path} --out early.zip" in out


def test_the_demonstration_reads_a_table_and_repeats_its_columns(quick, tmp_path, bumps, capsys):
    X, y = bumps
    path = tmp_path / "mine.csv"
    lines = [",".join([f"t{i}" for i in range(X.shape[-1])] + ["my class"])]
    lines += [
        ",".join([*map(str, row), f"c{label}"]) for row, label in zip(X[:, 0], y, strict=True)
    ]
    path.write_text("\n".join(lines))
    arguments = ["demo", "--data", str(path), "--label", "my class", "--earliness", "0.2"]
    assert main([*arguments, "--out", str(tmp_path), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "mine: 14 labelled series, 16 without a label, 30 to predict" in out
    assert f"fit {path} --label 'my class' --out early.zip" in out
    assert "predict early.zip new.csv --label 'my class'" in out


@pytest.mark.parametrize(("n", "shown"), [(8, 4), (40, 20), (60, 20), (100, 25), (1000, 250)])
def test_a_quarter_of_the_labels_of_a_file_stays_and_20_where_there_are_40(n, shown):
    y = np.arange(n) % 2
    X = np.arange(n, dtype=np.float32)[:, None, None]
    problem = skgdpd._cli.demo._hidden(TrainTest(X, y, X, y), 0)
    few, hidden = problem.parts.X.ravel(), problem.unlabelled.ravel()
    assert len(few) == pytest.approx(shown, abs=1)
    assert sorted([*few, *hidden]) == list(range(n))
    np.testing.assert_array_equal(problem.parts.y, few % 2)
    np.testing.assert_array_equal(problem.parts.X_test, X)
    other = skgdpd._cli.demo._hidden(TrainTest(X, y, X, y), 1)
    assert set(other.parts.X.ravel()) != set(few)


def test_a_row_has_mean_and_deviation_of_seeds():
    row = skgdpd._cli.demo.Row(0.2, "x", [(0.5, 0.6, 0.9), (0.7, 0.6, 0.7)], [1.0, 2.0])
    assert str(row).split() == "20% x 0.600 ± 0.141 0.600 ± 0.000 0.800 1.5".split()
    words = skgdpd._cli.demo._gain([[0.5, 0.5], [0.6, 0.6]], [[0.4, 0.5], [0.6, 0.9]])
    assert "by +0.050" in words
    assert "(-0.050 to +0.150 by seed)" in words


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (None, Columns()),
        ("own.csv", Columns(id="a b", time="t", label="y", values=["u", "v"], header=False)),
    ],
)
def test_what_is_printed_to_do_next_can_be_parsed(data, columns):
    found = []
    for line in skgdpd._cli.demo._next(data, columns):
        command, _, rest = line.partition(" -m skgdpd ")
        if command.startswith("  ") and rest:
            found.append(skgdpd._cli.main._parsed(shlex.split(rest.split(" <")[0])))
    assert len(found) == 4 + (data is None)
    assert all(skgdpd._cli.actions._columns(o) == columns for o in found if hasattr(o, "label"))


def test_the_program_is_named_as_briefly_as_it_can_be_started(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/skgdpd"])
    assert skgdpd._cli.demo._program() == "skgdpd"
    monkeypatch.setattr("sys.argv", ["/somewhere/__main__.py"])
    monkeypatch.setattr("sys.executable", str(tmp_path / "env" / "bin" / "python"))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert skgdpd._cli.demo._program() == f"{tmp_path}/env/bin/python -m skgdpd"
    monkeypatch.chdir(tmp_path)
    assert skgdpd._cli.demo._program() == "env/bin/python -m skgdpd"
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / "env" / "bin" / "python"))
    assert skgdpd._cli.demo._program() == "python -m skgdpd"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.ts", None, "there is no file"),
        ("empty.ts", b"", "is empty"),
        ("prose.ts", b"Once upon a time\n", "no @data line"),
        ("broken.ts", b"@problemName x\n@data\n1,2,oops:a\n", "line 3: could not convert string"),
        ("unlabelled.ts", b"@data\n1,2,3\n", "line 2: no colon"),
        (
            "ragged.ts",
            b"@equalLength true\n@data\n1,2,3:a\n1,2:b\n",
            "line 4: 2 values, in line 3 3",
        ),
        ("text.tsv", b"a\tb\tc\n", "line 1: could not convert string"),
        ("odd.tsv", b"1\t2\t3\n1\t2\n", "line 2: 1 values, in line 1 2"),
        ("zip.npz", b"PK not really", "can't be read as an .npz file"),
        ("data.csv", b"1,2,3\n", "has no line after its header"),
        ("data.txt", b"1,2,3\n", "not a .ts, .tsv or .npz file"),
    ],
)
def test_a_bad_file_is_a_message_not_a_traceback(tmp_path, capsys, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["demo", "--data", str(path), "--out", str(tmp_path), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert str(path) in err


def test_bad_options_are_explained(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--earliness", "1.5"])
    assert stop.value.code == 2
    assert "'1.5' is not a fraction of a series, above 0 and at most 1" in capsys.readouterr().err


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skgdpd._cli.actions.run_demo", interrupt)
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_help_works_from_the_shell():
    done = subprocess.run(
        [sys.executable, "-m", "skgdpd", "demo", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "skgdpd demo --data" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["predict", "--help"], 0), (["stream", "--speed", "2", "m"], 2), ([], 2)],
)
def test_help_and_wrong_options_need_no_network(arguments, status):
    program = (
        "import sys\nfrom skgdpd._cli.main import main\n"
        f"try:\n    main({arguments})\n"
        f"except SystemExit as stop:\n    assert stop.code == {status}\n"
        "    assert 'torch' not in sys.modules and 'sklearn' not in sys.modules\n"
        "else:\n    assert False\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_console_command_is_the_modules_own(monkeypatch, capsys):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["skgdpd"].partition(":")
    monkeypatch.setattr(sys, "argv", ["skgdpd", "--version"])
    with pytest.raises(SystemExit) as stop:
        getattr(import_module(module), name)()
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == skgdpd.__version__


@pytest.mark.parametrize("command", ["fit", "predict", "stream"])
def test_an_unknown_option_shows_the_usage_of_its_command(command, capsys):
    given = {"fit": ["a.ts", "--out", "m"], "predict": ["m", "a.ts"], "stream": ["m"]}[command]
    with pytest.raises(SystemExit) as caught:
        main([command, *given, "--colour", "red"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"usage: skgdpd {command} ")
    assert f"skgdpd {command}: error: unrecognized arguments: --colour" in err


def test_a_demonstration_of_too_few_series_is_refused_by_name(tmp_path, capsys):
    X, y = make_bumps(4, 20, random_state=0)
    np.savez(tmp_path / "few.npz", X=X, y=y)
    where = ["--data", str(tmp_path / "few.npz"), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["demo", *where]) == 2
    assert "--data has 2 series for the fit, too few to hide" in capsys.readouterr().err
