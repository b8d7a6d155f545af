"""Programs of the package: exit statuses, interrupts, bad arguments and damaged files."""

import os
import signal
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

import skgdpd
from skgdpd import PrefixClassifier, _public
from skgdpd._cli import commands as actions
from skgdpd._cli.main import main
from skgdpd._runtime import program
from skgdpd.benchmarking import commands as benchmark
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.early.cells import EarlyCell
from skgdpd.benchmarking.early.store import EarlyStore
from skgdpd.benchmarking.store import Record, Store
from skgdpd.datasets import make_bumps
from skgdpd.testing import commands as checks

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


def run_benchmark(arguments):
    return main(["benchmark", *arguments])


def status_of(entry, arguments):
    """Exit status of a program that may end while it reads its options."""
    try:
        return entry(arguments)
    except SystemExit as stop:
        return stop.code


# Start


@posix
@pytest.mark.parametrize(
    "program",
    ["skgdpd export none.zip none.onnx", "skgdpd benchmark --help", "skgdpd.benchmarking --help"],
)
@pytest.mark.parametrize("imported", ["numpy", "torch"])
def test_an_interrupt_during_the_imports_ends_a_program_at_once(program, imported):
    # Python reports each module that it has imported, so that it is known how far it is.
    command = [sys.executable, "-X", "importtime", "-m", *program.split()]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        seen = ""
        while seen.split("|")[-1].strip() != imported:
            seen = process.stderr.readline()
            assert seen, f"{imported} is not imported"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == -signal.SIGINT  # which shells report as 130
    assert all(line.startswith("import time:") for line in rest.splitlines())


def test_the_package_itself_imports_nothing_that_takes_long():
    code = "import sys, skgdpd; print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_all_public_names_are_there_when_they_are_first_used():
    assert set(skgdpd.__all__) == {*_public.__all__, "__version__"}
    for name in skgdpd.__all__:
        assert getattr(skgdpd, name) is not None
        assert name in dir(skgdpd)
    for name in ("diffusion", "distillers", "metrics", "nets", "training"):
        assert getattr(skgdpd, name) is sys.modules[f"skgdpd.{name}"]
    with pytest.raises(AttributeError, match="module 'skgdpd' has no attribute 'nothing'"):
        skgdpd.nothing  # noqa: B018


@posix
@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_the_handler_of_a_program_is_pythons_unless_interrupts_are_ignored(monkeypatch, handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        found = []
        module = SimpleNamespace(main=lambda: found.append(signal.getsignal(signal.SIGINT)) or 0)
        monkeypatch.setitem(sys.modules, "made_up_program", module)
        assert program.start("made_up_program") == 0
        assert found == [handler]
    finally:
        signal.signal(signal.SIGINT, before)


# Exit statuses


@pytest.mark.parametrize("entry", [main, benchmark.main, checks.main])
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("x must be y"), 2, "skgdpd: x must be y\n"),
        (FileNotFoundError("no file"), 2, "skgdpd: no file\n"),
        (ImportError("no module"), 2, "skgdpd: no module\n"),
        (FloatingPointError("diverged"), 2, "skgdpd: diverged\n"),
        (KeyboardInterrupt(), 130, "skgdpd: interrupted\n"),
    ],
)
def test_all_programs_end_alike(monkeypatch, capsys, tmp_path, entry, error, status, words):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(actions, "predict", fail)
    monkeypatch.setattr(benchmark, "write_report", fail)
    monkeypatch.setattr(checks, "check_prefix_classifier", fail)
    arguments = {
        main: ["predict", "m", "d"],
        benchmark.main: ["report", "--store", str(tmp_path), "--out", str(tmp_path)],
        checks.main: ["skgdpd.PrefixClassifier"],
    }[entry]
    assert entry(arguments) == status
    assert capsys.readouterr().err == words


@posix
@pytest.mark.parametrize("module", ["skgdpd", "skgdpd.benchmarking", "skgdpd.testing"])
def test_a_reader_that_has_gone_is_a_status_and_no_message(module):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as stdout:
        command = [sys.executable, "-m", module, "--help"]
        # Without a buffer, argparse itself passes over the error.
        env = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env)
    assert done.returncode == 141
    assert done.stderr == ""


# The benchmark's arguments


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a data set, a store of one record, an empty one, and a file."""
    monkeypatch.chdir(tmp_path)
    X, y = make_bumps(40, 12, random_state=0)
    np.savez("Set.npz", X_train=X[:20], y_train=y[:20], X_test=X[20:], y_test=y[20:])
    (tmp_path / "nothing").mkdir()
    (tmp_path / "file").write_text("text")
    return tmp_path


COMMANDS = {
    "run": {"sets": "Set", "methods": "logistic", "earliness": "0.5"},
    "paper": {"sets": "Set", "methods": "base", "student": "lstm1-8"},
    "early": {"sets": "Set", "models": "clones", "normalize": "train"},
}


def command_of(name, **changed):
    options = {**COMMANDS[name], "store": "store", "data": ".", "seeds": "1"} | changed
    words = [(f"--{key.replace('_', '-')}", value) for key, value in options.items()]
    return [name, *(word for pair in words for word in pair)]


@pytest.mark.parametrize("entry", [run_benchmark, benchmark.main])
@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        *((name, {"sets": "No"}, ["--sets", "'No'"]) for name in COMMANDS),
        ("run", {"sets": "sktime:no"}, ["--sets", "'no'", "allowed are gunpoint"]),
        ("run", {"methods": "gpdd"}, ["method='gpdd'", "allowed are base, hinton-chosen, gdpd"]),
        ("run", {"methods": "gdpd:fcn:gpt"}, ["method='gdpd:fcn:gpt'", "'gpt'", "lstm"]),
        ("run", {"methods": "a.b"}, ["method='a.b'", "No module named 'a'"]),
        ("run", {"methods": "os.path"}, ["method='os.path'"]),
        ("run", {"methods": "sklearn.pipeline.Pipeline"}, ["sklearn.pipeline.Pipeline", "steps"]),
        ("run", {"methods": "."}, ["method='.'"]),
        (
            "run",
            {"methods": "sklearn.linear_model.Ridge"},
            ["makes Ridge, which is not a classifier"],
        ),
        ("run", {"settings": "lables"}, ["setting='lables'", "allowed are labels"]),
        ("run", {"device": "abacus"}, ["device='abacus'", "allowed are 'auto'"]),
        ("paper", {"student": "gpt"}, ["'gpt'", "the names are fcn"]),
        ("early", {"models": "gpt"}, ["--models", "'gpt'", "ours"]),
        *((name, {"seeds": "0"}, ["--seeds", "'0'", "above 0"]) for name in COMMANDS),
        *((name, {"seeds": "-2"}, ["--seeds", "'-2'", "above 0"]) for name in COMMANDS),
        *((n, {"store": "file"}, ["--store", "'file'", "must be a folder"]) for n in COMMANDS),
        *((n, {"data": "none"}, ["--data", "'none' is not there"]) for n in COMMANDS),
        *((n, {"data": "file"}, ["--data", "'file' is a file"]) for n in COMMANDS),
        ("run", {"jobs": "0"}, ["--jobs", "'0'", "above 0"]),
        ("run", {"memory": "file/x"}, ["--memory", "'file' is a file"]),
        ("early", {"max_train": "0"}, ["--max-train", "'0'", "above 0"]),
        *(
            ("run", {"earliness": value}, ["--earliness", f"'{value}'", "above 0 and at most 1"])
            for value in ("0", "1.5", "nan", "half")
        ),
    ],
)
def test_bad_arguments_end_a_benchmark_before_any_cell(
    folder, monkeypatch, capsys, entry, name, changed, words
):
    for work in ("run", "run_early", "load_compiled_parts"):
        monkeypatch.setattr(benchmark, work, lambda *a, **k: pytest.fail("a cell ran"))
    assert status_of(entry, command_of(name, **changed)) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert all(word in last for word in words), last
    assert out == ""
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "--store", "nothing", "--out", "r"], "nothing has no finished record"),
        (["report", "--store", "none", "--out", "r"], "--store: 'none' is not there"),
        (["report", "--store", "nothing", "--out", "file"], "--out: 'file' is a file"),
        (["early-report", "--store", "nothing", "--out", "r"], "nothing has no scores"),
        (["early-report", "--store", "none", "--out", "r"], "--store: 'none' is not there"),
        (["early-report", "--store", "nothing", "--out", "file"], "--out: 'file' is a file"),
        (["early-report", "--store", "nothing", "--out", "r", "--seeds", "-1"], "--seeds: "),
        (["report", "--store", "nothing", "--out", "r", "--settings", "x"], "settings=['x']"),
        (["early-report", "--store", "nothing", "--out", "r", "--seeds", "7"], "seeds=[7]"),
        (["pack", "--store", "nothing"], "--store nothing: there is no record"),
        (["pack", "--store", "none"], "--store: 'none' is not there"),
        (["early-report", "--store", "harmed", "--out", "r"], "harmed has no scores"),
        (["early-report", "--store", "odd", "--out", "r"], "odd has no scores"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* is not a complete record and is left out")
def test_an_empty_or_harmed_report_is_refused_and_leaves_nothing(folder, capsys, arguments, words):
    for name, content in (("harmed/scores.jsonl", '{"a": 1}'), ("odd/scores/what.json", "{}")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content)
    before = sorted(folder.rglob("*"))
    assert status_of(run_benchmark, arguments) == 2
    out, err = capsys.readouterr()
    assert words in err.splitlines()[-1]
    assert out == ""
    assert sorted(folder.rglob("*")) == before


# Cells that fail

FAILED = ", now or before; --retry runs them again; the tracebacks are in the store"


def test_failed_cells_are_named_and_end_a_run_with_1(folder, capsys):
    X, y = make_bumps(40, 12, random_state=0)
    np.savez("One.npz", X_train=X[:20], y_train=0 * y[:20], X_test=X[20:], y_test=y[20:])
    arguments = [*command_of("run", seeds="6"), "--quiet", "--sets", "One", "Set"]
    arguments += ["--methods", "logistic", "minirocket"]
    for n_failed in (12, 0):  # they are missing still when nothing is left to run
        assert run_benchmark(arguments) == 1
        out, err = capsys.readouterr()
        assert f"(failed: {n_failed})" in out
        first, *lines, last = err.splitlines()
        assert first == f"skgdpd: 12 cells failed{FAILED}"
        assert len(lines) == 10
        assert all(line.startswith("  One, ") and "Error: " in line for line in lines)
        assert last == "  and 2 more"
    assert run_benchmark([*command_of("run", seeds="6"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_failed_fit_ends_the_comparison_of_early_classifiers_with_1(folder, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "load_compiled_parts", lambda: None)
    X, y = make_bumps(40, 12, random_state=0)
    np.savez("Odd.npz", X_train=X[:20], y_train=y[:20], X_test=X[20:], y_test=y[20:] + 1)
    arguments = [*command_of("early"), "--quiet", "--sets", "Odd"]
    for _ in range(2):  # the second time, with the records that the first has packed
        assert run_benchmark(arguments) == 1
        head, line = capsys.readouterr().err.splitlines()
        assert head == f"skgdpd: 1 cell failed{FAILED}"
        assert line.startswith("  Odd, clones, train, seed 0: ")
    assert EarlyStore("store").error(EarlyCell("Odd", "clones"))


def test_a_model_whose_package_is_not_there_is_refused_before_any_fit(folder, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "load_compiled_parts", lambda: pytest.fail("it began"))
    monkeypatch.setitem(sys.modules, "aeon.classification.early_classification", None)
    arguments = [*command_of("early"), "--models", "clones", "aeon-teaser", "--sets", "One"]
    assert run_benchmark(arguments) == 2
    error = capsys.readouterr().err
    assert "aeon is needed for model='aeon-teaser'" in error
    assert "pip install 'skgdpd[aeon]'" in error
    assert not list(EarlyStore("store").records())


def test_the_papers_tables_are_printed_whatever_failed(folder, monkeypatch, capsys):
    cell = Cell("Set", "base:lstm1-8", 0.2, "none", protocol="paper", search=True)
    Store("store").write(Record(cell, error="Traceback\nRuntimeError: oh"))
    monkeypatch.setattr(benchmark, "load_data", lambda *a: pytest.fail("nothing is to be run"))
    assert run_benchmark([*command_of("paper"), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out.count("AUC-PRC in percent") == 2
    name, why = err.splitlines()[-1].rsplit(": ", 1)
    assert why == "oh"
    assert name.startswith("  Set, base:lstm1-8, ")
    assert name.endswith("0.2, none, labels, seed 0: RuntimeError")


@pytest.mark.parametrize("name", ["run", "early"])
def test_progress_is_a_plain_line_unless_quiet(folder, monkeypatch, capsys, name):
    monkeypatch.setattr(benchmark, "load_compiled_parts", lambda: None)
    assert run_benchmark(command_of(name)) == 0
    err = capsys.readouterr().err
    assert "100%" in err.splitlines()[-1]
    assert "\r" not in err
    assert run_benchmark([*command_of(name, store="other"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


# Damaged files


def damaged(path, kind):
    X, y = make_bumps(20, 12, random_state=0)
    np.savez(path, X=X, y=y)
    whole = path.read_bytes()
    path.unlink()
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("These are no series.\n")
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "tail":
            path.write_bytes(whole[len(whole) // 2 :])
        case "without headers":
            with zipfile.ZipFile(path, "w") as file:
                for name in ("X.npy", "y.npy"):
                    file.writestr(name, b"abc")
        case "without members":
            zipfile.ZipFile(path, "w").close()
        case "objects":
            np.savez(path, X=np.array([{}], object), y=y[:1])
        case "one class":
            np.savez(path, X=X, y=0 * y)
        case "no series":
            np.savez(path, X=X[:0], y=y[:0])
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link to nothing":
            path.symlink_to("nothing-there.npz")
        case "locked":
            path.write_bytes(whole)
            path.chmod(0)


KINDS = [
    "empty", "text", "cut", "tail", "without headers", "without members", "objects", "no series",
    "folder", "pipe", "link to nothing",
    pytest.param(
        "locked",
        marks=pytest.mark.skipif(
            getattr(os, "geteuid", lambda: 0)() == 0, reason="the superuser may read all"
        ),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    X, y = make_bumps(20, 12, random_state=0)
    path = tmp_path_factory.mktemp("model") / "model.zip"
    PrefixClassifier(student="lstm1-8", max_epochs=1, earliness=0.5).fit(X, y).save(path)
    return str(path)


@posix
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["fit", "predict", "evaluate", "demo", *COMMANDS])
def test_a_damaged_file_is_an_error_that_names_it(folder, model, capsys, command, kind):
    path = folder / "bad.npz"
    damaged(path, kind)
    data = path.name
    arguments = {
        "fit": ["fit", data, "--out", "m", "--method", "prefix", "--quiet"],
        "predict": ["predict", model, data],
        "evaluate": ["evaluate", model, data],
        "demo": ["demo", "--data", data, "--out", "d", "--quiet"],
    }.get(command) or ["benchmark", *command_of(command, sets="bad"), "--quiet"]
    before = sorted(folder.rglob("*"))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("skgdpd: ")
    assert len(err.splitlines()) == 1
    assert "bad" in err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("out", "words"),
    [("nothing", "'nothing' is a folder"), ("no/x", "there is no folder 'no'"), ("", "''")],
)
@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_place_that_can_t_be_written_is_refused_before_the_work(
    folder, capsys, command, out, words
):
    arguments = {"predict": ["m", "d", "--out", out], "export": ["m", out]}[command]
    assert status_of(main, [command, *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert words in last
    assert {"predict": "--out", "export": "OUT.onnx"}[command] in last


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--seed", "-1", "from 0 to 4294967295"),
        ("--seed", "4294967296", "from 0 to 4294967295"),
        ("--epochs", "-3", "not a whole number, 0 or above"),
        ("--epochs", "1e3", "not a whole number, 0 or above"),
    ],
)
def test_an_option_of_fit_is_named_with_what_is_allowed(capsys, option, value, words):
    assert status_of(main, ["fit", "d", "--out", "m", option, value]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: '{value}'" in last
    assert words in last


def test_a_training_that_diverges_is_an_error(folder, monkeypatch, capsys):
    def diverge(*args, **kwargs):
        raise FloatingPointError("the training of the student diverged")

    monkeypatch.setattr(PrefixClassifier, "fit", diverge)
    assert main(["fit", "Set.npz", "--out", "m", "--method", "prefix"]) == 2
    assert capsys.readouterr().err == "skgdpd: the training of the student diverged\n"


def test_the_packed_records_of_no_scores_can_be_read(folder):
    store = EarlyStore("store")
    assert store.pack() == 0
    assert store.records() == []
