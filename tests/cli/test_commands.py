"""Fitting, predicting and scoring from the command line."""

import csv
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    log_loss,
    precision_score,
    recall_score,
)

import skgdpd._cli.commands
import skgdpd._fitting.prior_model
from skgdpd import DiffusionFeaturePrior, GDPDClassifier, GenDDClassifier, PrefixClassifier, load
from skgdpd._cli.main import main
from skgdpd.metrics import expected_calibration_error, macro_auc_prc, macro_average_precision

TINY = ["--student", "lstm1-8", "--epochs", "2", "--quiet"]


@pytest.fixture(autouse=True)
def quick_prior(monkeypatch):
    monkeypatch.setattr(skgdpd._fitting.prior_model, "AUTO_STEPS_TO_TEACH", 2)
    monkeypatch.setattr(skgdpd._fitting.prior_model, "AUTO_MIN_EPOCHS", 1)


@pytest.fixture
def data(tmp_path, bumps):
    X, y = bumps
    np.savez(tmp_path / "data.npz", X=X, y=y)
    return str(tmp_path / "data.npz")


@pytest.fixture
def model(tmp_path, data, capsys):
    path = str(tmp_path / "model.zip")
    assert main(["fit", data, "--out", path, "--method", "prefix", *TINY]) == 0
    capsys.readouterr()
    return path


def split_last(line):
    return line.rsplit(maxsplit=1)


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("given", "cls"),
    [
        ([], PrefixClassifier),
        (["--teacher", "fcn"], GDPDClassifier),
        (["--unlabeled"], GDPDClassifier),
    ],
)
def test_a_teacher_is_fitted_where_it_has_something_to_add(tmp_path, data, given, cls):
    if given == ["--unlabeled"]:
        given = [*given, data]
    out = tmp_path / "model.zip"
    assert main(["fit", data, "--out", str(out), *given, *TINY]) == 0
    assert type(load(out)) is cls


@pytest.mark.parametrize("method", ["gdpd", "gendd", "gendd-head", "prefix"])
def test_fit_is_the_estimators_own(tmp_path, bumps, data, capsys, method):
    out = tmp_path / "model.zip"
    given = ["--method", method, "--seed", "3", "--earliness", "0.5"]
    assert main(["fit", data, "--out", str(out), *given, *TINY]) == 0
    text, progress = capsys.readouterr()
    assert "of 2 classes, fitted to 60 series; it sees 20 time points of 40, the length" in text
    assert progress == ""
    cls, more = {
        "gdpd": (GDPDClassifier, {}),
        "gendd": (GenDDClassifier, {}),
        "gendd-head": (GenDDClassifier, {"deploy": "student_head"}),
        "prefix": (PrefixClassifier, {}),
    }[method]
    own = cls(student="lstm1-8", max_epochs=2, earliness=0.5, random_state=3, **more).fit(*bumps)
    opened = load(out)
    assert type(opened) is cls
    np.testing.assert_array_equal(opened.predict_proba(bumps[0]), own.predict_proba(bumps[0]))


def test_fit_with_teachers_and_unlabelled_series(tmp_path, bumps, data, capsys):
    np.savez(tmp_path / "pool.npz", X=bumps[0][:10])
    out = str(tmp_path / "model")
    more = ["--teacher", "lstm1-8", "fcn", "--unlabeled", str(tmp_path / "pool.npz")]
    assert main(["fit", data, "--out", out, "--earliness", "12", *more, *TINY]) == 0
    assert (
        "60 series and 10 without a label; it sees 12 time points of 40" in capsys.readouterr().out
    )
    opened = load(out)
    assert opened.teacher == ["lstm1-8", "fcn"]
    assert opened.history_.n_unlabeled == 10


def test_a_progress_bar_unless_quiet(tmp_path, data, capsys):
    out = str(tmp_path / "model")
    assert main(["fit", data, "--out", out, "--method", "prefix", *TINY[:-1]]) == 0
    assert "100%" in capsys.readouterr().err


def test_predictions_are_csv(tmp_path, bumps, data, model, capsys):
    assert main(["predict", model, data]) == 0
    text = capsys.readouterr().out
    head, *rows = rows_of(text)
    assert head == ["index", "label", "p_no", "p_yes"]
    opened = load(model)
    assert [int(row[0]) for row in rows] == list(range(60))
    assert [row[1] for row in rows] == opened.predict(bumps[0]).tolist()
    proba = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_allclose(proba, opened.predict_proba(bumps[0]), rtol=1e-5)
    assert main(["predict", model, data, "--out", str(tmp_path / "out.csv")]) == 0
    assert "predictions of 60 series" in capsys.readouterr().out
    assert (tmp_path / "out.csv").read_text() == text


@pytest.mark.parametrize("form", ["npz", "ts", "tsv"])
def test_predictions_need_no_labels(tmp_path, bumps, model, capsys, form):
    X = bumps[0][:3]
    path = tmp_path / f"series.{form}"
    lines = [",".join(map(str, series[0])) for series in X.tolist()]
    if form == "npz":
        np.savez(path, X=X)
    elif form == "ts":
        path.write_text("@classLabel false\n@data\n" + "\n".join(lines) + "\n")
    else:  # where the first field is always a label
        path.write_text("".join("?\t" + line.replace(",", "\t") + "\n" for line in lines))
    assert main(["predict", model, str(path)]) == 0
    rows = rows_of(capsys.readouterr().out)[1:]
    proba = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_allclose(proba, load(model).predict_proba(X), atol=1e-6)
    if form != "tsv":
        assert main(["evaluate", model, str(path)]) == 2


def test_scores_are_those_of_the_metrics(tmp_path, bumps, data, model, capsys):
    assert main(["evaluate", model, data]) == 0
    overall, known, of_classes, thresholds, matrix = capsys.readouterr().out.split("\n\n")
    assert known.startswith("60 of these 60 series were in the fit")
    assert thresholds.startswith("thresholds: ")
    shown = {name.strip(): value for name, value in map(split_last, overall.splitlines())}
    X, y = bumps
    opened = load(model)
    proba = opened.predict_proba(X)
    expected = {
        "accuracy": accuracy_score(y, opened.predict(X)),
        "AUC-PRC": macro_auc_prc(y, proba),
        "average precision": macro_average_precision(y, proba),
        "log loss": log_loss(y, proba),
        "calibration error": expected_calibration_error(y, proba),
    }
    for name, value in expected.items():
        assert float(shown[name]) == pytest.approx(value, abs=6e-5)
    assert shown["series"] == "60"
    recall = recall_score(y, opened.predict(X), average=None)
    precision = precision_score(y, opened.predict(X), average=None)
    for line, label, of_class, own in zip(
        of_classes.splitlines()[1:3], ["no", "yes"], recall, precision, strict=True
    ):
        average = average_precision_score(y == label, proba[:, int(label == "yes")])
        name, n, found, _, *scores = line.split()
        assert (name, int(n)) == (label, (y == label).sum())
        false = (opened.predict(X)[y != label] == label).mean()
        assert float(scores.pop(1)) == pytest.approx(false, abs=6e-5)
        shown = list(map(float, [found, *scores]))
        np.testing.assert_allclose(shown, [of_class, own, average], atol=6e-5)
    counts = [list(map(int, line.split()[1:])) for line in matrix.splitlines()[2:]]
    np.testing.assert_array_equal(counts, confusion_matrix(y, opened.predict(X)))


def test_a_file_of_two_parts_is_fitted_to_one_and_scored_on_the_other(tmp_path, bumps, capsys):
    X, y = bumps
    path = str(tmp_path / "both.npz")
    np.savez(path, X_train=X[:40], y_train=y[:40], X_test=X[40:], y_test=y[40:])
    out = str(tmp_path / "model")
    assert main(["fit", path, "--out", out, "--method", "prefix", *TINY]) == 0
    assert "fitted to 40 series" in capsys.readouterr().out
    assert main(["evaluate", out, path]) == 0
    assert "series                      20" in capsys.readouterr().out
    assert main(["predict", out, path]) == 0
    assert len(rows_of(capsys.readouterr().out)) == 21


def write_points(path, X, y=None, names=("a", "b"), seed=0):
    """Write a row for each point, in random order, with an id, a time and a remark."""
    rows = [
        [f"s{i}", 0.5 * t, *(repr(float(value)) for value in X[i, :, t]), "?"]
        + ([] if y is None else [y[i]])
        for i in range(len(X))
        for t in range(X.shape[2])
    ]
    order = np.random.default_rng(seed).permutation(len(rows))
    head = ["who", "when", *names, "remark", *([] if y is None else ["kind"])]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *(rows[i] for i in order)])
    return str(path)


LONG = ["--id", "who", "--time", "when", "--label", "kind"]


def test_tables_of_points_are_fitted_predicted_and_scored(tmp_path, bumps, capsys):
    X, y = bumps
    X = np.concatenate([X, X[:, :, ::-1]], axis=1)
    data = write_points(tmp_path / "points.csv", X, y)
    out = str(tmp_path / "model.zip")
    given = ["--out", out, "--method", "prefix", "--values", "a", "b", *LONG, *TINY]
    assert main(["fit", data, *given]) == 0
    capsys.readouterr()
    model = load(out)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    proba = model.predict_proba(X)
    # Channels are found by their names, whatever else there is.
    other = write_points(tmp_path / "other.csv", X[:, ::-1], names=("b", "a"), seed=1)
    assert main(["predict", out, other, *LONG]) == 0
    head, *rows = rows_of(capsys.readouterr().out)
    assert head == ["id", "label", "p_no", "p_yes"]
    found = {row[0]: list(map(float, row[2:])) for row in rows}
    np.testing.assert_allclose([found[f"s{i}"] for i in range(60)], proba, atol=1e-6)
    assert main(["evaluate", out, data, *LONG]) == 0
    assert f"accuracy{model.score(X, y):>22.4f}" in capsys.readouterr().out
    for values, words in ((["b", "a"], "same in another order"), (["a"], "the model has")):
        assert main(["predict", out, other, *LONG, "--values", *values]) == 2
        assert words in capsys.readouterr().err
    missing = write_points(tmp_path / "missing.csv", X, names=("a", "c"))
    assert main(["predict", out, missing, *LONG]) == 2
    assert "has no column 'b', which the model was fitted to" in capsys.readouterr().err


def test_tables_of_series_and_of_unlabelled_points(tmp_path, bumps, capsys):
    X, y = bumps
    path = tmp_path / "wide.tsv"
    lines = ["\t".join([f"s{i}", y[i], *map(repr, X[i, 0].tolist())]) for i in range(60)]
    path.write_text("\n".join(["\t".join(["who", "kind", *map(str, range(40))]), *lines]) + "\n")
    out = str(tmp_path / "model.zip")
    columns = ["--id", "who", "--label", "kind"]
    more = ["--unlabeled", str(path), "--out", out]
    assert main(["fit", str(path), *columns, *more, *TINY]) == 0
    assert "60 series and 60 without a label" in capsys.readouterr().out
    assert main(["predict", out, str(path), *columns]) == 0
    rows = rows_of(capsys.readouterr().out)[1:]
    proba = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_allclose(proba, load(out).predict_proba(X), atol=1e-6)
    assert [row[0] for row in rows] == [f"s{i}" for i in range(60)]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("data.npz", ["--id", "who"], "--id is for .csv, .tsv and .parquet files"),
        ("data.npz", ["--no-header"], "--no-header is for .csv"),
        ("points.csv", [], "--label must name the column of labels of"),
        ("points.csv", ["--label", "kind", "--time", "when"], "--time needs --id"),
        ("points.csv", ["--label", "kind", "--step", "1"], "--step needs --time"),
        ("points.csv", ["--label", "no"], "--label names 'no', which is not a column of"),
        ("points.csv", [*LONG], "column 'remark' of .*points.csv has no value in any row"),
        ("points.csv", [*LONG, "--values", "a", "--step", "0.2"], "is not sampled evenly"),
    ],
)
def test_options_that_do_not_fit_a_table_are_refused(
    tmp_path, data, bumps, capsys, name, options, words
):
    write_points(tmp_path / "points.csv", bumps[0], bumps[1], names=("a",))
    out = str(tmp_path / "model.zip")
    status = main(["fit", str(tmp_path / name), "--out", out, "--method", "prefix", *options])
    assert status == 2
    assert re.search(words, capsys.readouterr().err)


def test_export_hands_on_to_the_classifier(tmp_path, model, monkeypatch, capsys):
    out = str(tmp_path / "model.onnx")
    written = []
    monkeypatch.setattr(PrefixClassifier, "export_onnx", lambda self, path: written.append(path))
    assert main(["export", model, out]) == 0
    assert written == [out]
    assert out in capsys.readouterr().out
    assert main(["export", model, str(tmp_path / "model.pt")]) == 2
    assert "must end in .onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_an_exported_network_predicts_the_same(tmp_path, bumps, model):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = str(tmp_path / "model.onnx")
    assert main(["export", model, out]) == 0
    opened = load(model)
    X = bumps[0][:, :, : opened.prefix_length_]
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    proba = session.run(["probabilities"], {"prefix": X})[0]
    np.testing.assert_allclose(proba, opened.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "none.ts", "--out", "m"], "there is no file none.ts"),
        (["fit", "DATA", "--out", "no/such/m"], "there is no folder"),
        (["fit", "DATA", "--out", "m", "--student", "gpt"], "unknown backbone 'gpt'"),
        (["fit", "DATA", "--out", "m", "--teacher", "gpt"], "--teacher gpt is not a backbone"),
        (
            ["fit", "DATA", "--out", "m", "--earliness", "99", "--method", "prefix"],
            "--earliness 99",
        ),
        (
            ["fit", "DATA", "--out", "m", "--method", "gdpd", "--epochs", "0"],
            "--epochs 0 trains nothing, and --method gdpd needs 1 at least",
        ),
        (
            ["fit", "DATA", "--out", "m", "--unlabeled", "DATA", "--epochs", "0"],
            "--method gdpd, the default because of --unlabeled, needs 1 at least",
        ),
        (["fit", "DATA", "--out", "m", "--device", "abacus"], "--device abacus"),
        (
            ["fit", "DATA", "--out", "m", "--method", "prefix", "--teacher", "fcn"],
            "--teacher needs --method gdpd",
        ),
        (["predict", "none", "DATA"], "there is no model file none"),
        (["predict", "DATA", "DATA"], "is not a model of skgdpd"),
        (["predict", "new.csv", "MODEL"], "new.csv is not a model of skgdpd but a table"),
        (["predict", "MODEL", "none.npz"], "there is no file none.npz"),
        (["predict", "MODEL", "SHORT"], "60 of 60 series have fewer than the 12 time points"),
        (
            ["evaluate", "MODEL", "STRANGE"],
            "labels that the model doesn't know: 'maybe' (30 series)",
        ),
        (["evaluate", "PRIOR", "DATA"], "DiffusionFeaturePrior, not a classifier of series"),
        (["benchmark", "report", "--store", ".", "--out", "r"], "no finished record"),
    ],
)
def test_a_mistake_is_a_message_not_a_traceback(
    tmp_path, bumps, data, model, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    X, y = bumps
    np.savez("short.npz", X=X[:, :, :7], y=y)
    np.savez("strange.npz", X=X, y=np.where(y == "no", "maybe", y))
    DiffusionFeaturePrior("gmm", n_diffusion_steps=5).fit(np.eye(4)).save("prior")
    names = {
        "DATA": data, "MODEL": model, "SHORT": "short.npz", "STRANGE": "strange.npz",
        "PRIOR": "prior",
    }  # fmt: skip
    before = sorted(tmp_path.iterdir())
    assert main([names.get(argument, argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert out == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["fit"], ["fit", "x.ts"], ["predict", "m"], ["fit", "x", "--earliness", "0"]],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "predict", "evaluate", "export"])
def test_an_interrupt_exits_with_130(monkeypatch, capsys, command):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(skgdpd._cli.commands, command, interrupt)
    more = {"fit": ["--out", "m"], "evaluate": ["d"], "predict": ["d"], "export": ["o"]}[command]
    assert main([command, "x", *more]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["demo", "fit", "predict", "evaluate", "export"])
def test_help_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "(default: None)" not in text
    # An example that goes on is indented further.
    examples = text.partition("examples:\n")[2].replace("\n   " + 21 * " ", " ")
    lines = [line.partition("skgdpd ")[2] for line in examples.splitlines() if "skgdpd " in line]
    assert lines
    for line in lines:
        assert line.split()[0] == command
        skgdpd._cli.main._parsed(line.split(" <")[0].split())


def test_help_names_all_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for command in ("demo", "fit", "predict", "evaluate", "export", "benchmark"):
        assert f"  skgdpd {command}" in text
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "--help"])
    assert stop.value.code == 0
    assert "python -m skgdpd.benchmarking" in capsys.readouterr().out


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(data, model):
    command = f"{sys.executable} -m skgdpd predict {model} {data}; echo $? >&2"
    closed = ["sh", "-c", f"{{ {command}; }} | exec 0<&-"]
    assert subprocess.run(closed, capture_output=True, text=True).stderr == "141\n"


def blank_labels(tmp_path, bumps):
    """Return the path of a table of which three series have no label."""
    X, y = bumps
    path = tmp_path / "blank.csv"
    labels = ["" if i < 3 else f"c{label}" for i, label in enumerate(y)]
    rows = [[*map(str, series), label] for series, label in zip(X[:, 0], labels, strict=True)]
    names = [*(f"t{i}" for i in range(X.shape[-1])), "kind"]
    path.write_text("\n".join(",".join(row) for row in [names, *rows]))
    return str(path)


def test_series_without_a_label_in_the_file_teach_and_have_no_class_of_their_own(
    tmp_path, bumps, capsys
):
    data, out = blank_labels(tmp_path, bumps), str(tmp_path / "model.zip")
    given = ["--label", "kind", "--class-weight", "cno=2", *TINY]
    assert main(["fit", data, "--out", out, *given]) == 0
    out_text, err = capsys.readouterr()
    assert "fitted to 57 series and 3 without a label" in out_text
    assert f"3 of 60 series of {data} have no label" in err
    assert "learned as unlabelled series, by --method gdpd" in err
    model = load(out)
    assert type(model) is GDPDClassifier
    assert model.classes_.tolist() == ["cno", "cyes"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "prefix"], "--method prefix has no teacher, and learns from labelled"),
        (["--epochs", "0"], "--method gdpd, the default because of missing labels, needs 1"),
    ],
)
def test_series_without_a_label_need_a_teacher(tmp_path, bumps, capsys, more, words):
    data, out = blank_labels(tmp_path, bumps), tmp_path / "model.zip"
    assert main(["fit", data, "--out", str(out), "--label", "kind", *TINY, *more]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_series_without_a_label_are_not_scored(tmp_path, bumps, data, model, capsys):
    blank = blank_labels(tmp_path, bumps)
    assert main(["evaluate", model, blank, "--label", "kind"]) == 2
    err = capsys.readouterr().err
    assert f"3 of 60 series of {blank} have no label: series 0, series 1, series 2" in err


def test_the_demonstration_refuses_series_without_a_label(tmp_path, bumps, capsys):
    data = blank_labels(tmp_path, bumps)
    given = ["demo", "--data", data, "--label", "kind", "--out", str(tmp_path), "--quiet"]
    assert main(given) == 2
    assert f"3 of 60 series of {data} have no label" in capsys.readouterr().err
