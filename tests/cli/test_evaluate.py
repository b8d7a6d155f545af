"""Weights of classes, thresholds, early classifiers and reports on the command line."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import skgdpd._cli.commands
from skgdpd import EarlyClassifier, PrefixClassifier, load
from skgdpd._cli.main import main
from skgdpd._cli.score_text import as_text
from skgdpd._cli.scores import Answers, class_scores
from skgdpd.datasets import make_bumps

MOMENTS = ["--earliness", "0.3", "0.6", "1.0", "--delay-cost", "0.4"]
QUICK = ["--method", "prefix", "--student", "rocket", "--epochs", "0", "--quiet"]


@pytest.fixture(scope="module")
def data(tmp_path_factory, bumps):
    X, y = bumps
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, X=X, y=y)
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    path = str(tmp_path_factory.mktemp("model") / "model.zip")
    assert main(["fit", data, "--out", path, *QUICK]) == 0
    return path


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """File of series for the early classifier that all tests share."""
    X, y = make_bumps(n_samples=40, random_state=1)
    path = tmp_path_factory.mktemp("points") / "points.npz"
    np.savez(path, X=X, y=y)
    return str(path)


class Page(HTMLParser):
    """What a page refers to, and its tags that are open."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("given", "weight"), [(["balanced"], "balanced"), (["yes=3", "no=0.5"], {"yes": 3, "no": 0.5})]
)
def test_class_weights_are_the_estimators_own(tmp_path, bumps, data, given, weight):
    out = str(tmp_path / "model.zip")
    assert main(["fit", data, "--out", out, "--class-weight", *given, *QUICK]) == 0
    own = PrefixClassifier("rocket", earliness=0.3, max_epochs=0, class_weight=weight)
    own.set_params(random_state=0).fit(*bumps)
    np.testing.assert_array_equal(load(out).predict_proba(bumps[0]), own.predict_proba(bumps[0]))


def test_labels_that_are_numbers_are_named_as_they_are_printed(tmp_path, bumps):
    X, y = bumps
    np.savez(tmp_path / "numbers.npz", X=X, y=(y == "yes").astype(int))
    out, data = str(tmp_path / "model.zip"), str(tmp_path / "numbers.npz")
    assert main(["fit", data, "--out", out, "--class-weight", "1=3", *QUICK]) == 0
    assert load(out).class_weight == {1: 3.0}


def test_a_threshold_moves_answers_and_no_probability(bumps, data, model, capsys):
    proba = load(model).predict_proba(bumps[0])
    for value in (0.05, 0.5, 0.95):
        assert main(["predict", model, data, "--threshold", f"yes={value}"]) == 0
        rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
        expected = np.where(proba[:, 1] >= value, "yes", "no")
        assert [row[1] for row in rows] == expected.tolist()
        found = np.array([row[2:] for row in rows], dtype=float)
        np.testing.assert_allclose(found, proba, rtol=1e-5)
        assert main(["evaluate", model, data, "--threshold", f"yes={value}"]) == 0
        text = capsys.readouterr().out
        assert f"accuracy{(expected == bumps[1]).mean():>22.4f}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "MODEL", "DATA", "--threshold", "maybe=0.2"], "its classes are ['no', 'yes"),
        (["evaluate", "MODEL", "DATA", "--threshold", "yes=1.5"], "between 0 and 1"),
        (["predict", "EARLY", "POINTS", "--threshold", "1=0.2"], "follow its costs of errors"),
        (["predict", "EARLY", "POINTS", "--threshold", "1=0.2"], "as in --error-cost 1=20"),
        (["evaluate", "MODEL", "DATA", "--cost", "maybe=2"], "names no class of the model"),
        (["fit", "DATA", "--out", "m", "--error-cost", "yes=20"], "needs --delay-cost"),
        (
            ["fit", "DATA", "--out", "m", *MOMENTS, "--error-cost", "maybe=20"],
            "--error-cost maybe=20 names no class of the data; the classes are ['no', 'yes']",
        ),
        (["evaluate", "MODEL", "DATA", "--report", "page.pdf"], "must end in .html"),
        (["fit", "DATA", "--out", "m", "--class-weight", "maybe=2"], "names no class of the data"),
        (["fit", "DATA", "--out", "m", "--class-weight", "yes=2", "yes=3"], "twice"),
        (["fit", "DATA", "--out", "m", "--class-weight", "balanced", "yes=3"], "not both"),
        (["fit", "DATA", "--out", "m", "--delay-cost", "0.2"], "needs several --earliness"),
        (["export", "EARLY", "e.onnx"], "is an EarlyClassifier"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path, data, model, points, early_file, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    names = {"DATA": data, "MODEL": model, "EARLY": early_file, "POINTS": points}
    assert main([names.get(argument, argument) for argument in arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["yes", "=0.2", "yes=", "yes=nan", "yes=much"])
def test_a_threshold_is_a_class_and_a_number(value, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "model", "data", "--threshold", value])
    assert "is not CLASS=NUMBER" in capsys.readouterr().err


def test_a_threshold_needs_two_classes(tmp_path, bumps, capsys):
    np.savez(tmp_path / "three.npz", X=bumps[0], y=np.arange(60) % 3)
    out, data = str(tmp_path / "model.zip"), str(tmp_path / "three.npz")
    assert main(["fit", data, "--out", out, *QUICK]) == 0
    assert main(["evaluate", out, data, "--threshold", "1=0.2"]) == 2
    assert "needs a model of two classes; this one has 3" in capsys.readouterr().err


def test_an_early_classifier_is_scored_by_its_costs(points, early_file, capsys):
    with np.load(points) as file:
        X, y = file["X"], file["y"]
    found = load(early_file).decide(X, y)
    assert main(["evaluate", early_file, points]) == 0
    text = capsys.readouterr().out
    assert f"mean cost{found.cost.mean():>21.4f}" in text
    assert f"earliness{found.share_seen.mean():>21.4f}" in text
    assert f"forced answers{found.forced.sum():>16}" in text
    assert main(["predict", early_file, points]) == 0
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head[:4] == ["index", "label", "n_seen", "forced"]
    assert [int(row[2]) for row in rows] == found.n_seen.tolist()
    assert [row[3] for row in rows] == [str(forced).lower() for forced in found.forced.tolist()]
    assert [row[1] for row in rows] == list(map(str, found.labels.tolist()))


def test_a_cost_of_waiting_fits_a_stopping_rule(tmp_path, bumps, data):
    out = str(tmp_path / "early.zip")
    assert main(["fit", data, "--out", out, *MOMENTS, *QUICK]) == 0
    classifier = PrefixClassifier("rocket", earliness=[0.3, 0.6, 1.0], max_epochs=0)
    classifier.set_params(random_state=0)
    own = EarlyClassifier(classifier, delay_cost=0.4, random_state=0).fit(*bumps)
    found, expected = load(out).decide(bumps[0]), own.decide(bumps[0])
    np.testing.assert_array_equal(found.n_seen, expected.n_seen)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_costs_of_errors_are_those_of_the_stopping_rule(tmp_path, bumps, data):
    out = str(tmp_path / "early.zip")
    assert main(["fit", data, "--out", out, *MOMENTS, "--error-cost", "yes=20", *QUICK]) == 0
    cost = load(out).cost_
    np.testing.assert_array_equal(cost.misclassification, [[0, 1], [20, 0]])
    # A class is answered from the probability on at which missing it costs as much as naming it.
    proba = np.array([0.04, 0.06])
    assert cost.labels(np.stack([1 - proba, proba], 1)).tolist() == [0, 1]


@pytest.mark.parametrize("value", ["yes", "yes=-1"])
def test_a_cost_is_no_less_than_0(value, capsys):
    with pytest.raises(SystemExit):
        main(["fit", "data", "--out", "m", "--error-cost", value])
    assert f"'{value}'" in capsys.readouterr().err


def test_a_class_without_series_or_answers_has_no_recall_or_precision():
    classes = np.array(["a", "b", "c"])
    proba = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2]])
    y, labels = np.array(["a", "b"]), np.array(["a", "a"])
    answers = Answers(labels, proba, classes, np.array([3, 3]), 10)
    rows = class_scores(y, answers)
    assert rows[1] == ("a", "1", "1.0000", "0.21-1.00", "0.5000", "100.0", "1.0000")
    assert rows[2] == ("b", "1", "0.0000", "0.00-0.79", "-", "0.0", "1.0000")
    assert rows[3] == ("c", "0", "-", "-", "-", "0.0", "-")
    assert as_text(y, answers).endswith("a  1  0  0\nb  1  0  0\nc  0  0  0")


@pytest.mark.parametrize("kind", ["early", "one moment"])
def test_costs_of_errors_are_scored_and_change_no_answer(
    data, model, points, early_file, capsys, kind
):
    given = [early_file, points] if kind == "early" else [model, data]
    assert main(["evaluate", *given]) == 0
    before = capsys.readouterr().out
    assert main(["evaluate", *given, "--cost", "1=20" if kind == "early" else "yes=20"]) == 0
    text = capsys.readouterr().out
    assert "cost of errors" in text
    assert "cost of errors" not in before
    assert text.rpartition("confusion")[2] == before.rpartition("confusion")[2]
    assert "mean cost" in text
    assert ("thresholds" in text) == (kind != "early")


@pytest.mark.parametrize("kind", ["early", "one moment"])
def test_a_report_is_one_page_that_needs_nothing_else(
    tmp_path, data, model, points, early_file, capsys, kind
):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    given = [early_file, points] if kind == "early" else [model, data]
    out = tmp_path / "page.html"
    assert main(["evaluate", *given, "--report", str(out)]) == 0
    text = capsys.readouterr().out
    page = out.read_text()
    parsed = Page(page)
    assert parsed.open == []
    assert len(parsed.sources) >= (4 if kind == "early" else 3)
    assert ("<h2>Thresholds</h2>" in page) == (kind != "early")
    assert all(source.startswith("data:image/png;base64,") for source in parsed.sources)
    assert not re.search(r"https?://|<script|url\(", page)
    for line in text.split("\n\n")[0].splitlines():
        name, value = line[:18].strip(), line[18:].strip()
        assert f"<td>{name}</td><td>{value}</td>" in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert pyplot.get_fignums() == before
    assert main(["evaluate", *given, "--report", str(out)]) == 0
    assert out.read_text() == page


def test_names_in_a_report_are_text(tmp_path, bumps):
    pytest.importorskip("matplotlib")
    X, y = bumps
    np.savez(tmp_path / "a<b>.npz", X=X, y=np.where(y == "yes", "<i>yes", "no & never"))
    out, data = str(tmp_path / "model.zip"), str(tmp_path / "a<b>.npz")
    assert main(["fit", data, "--out", out, *QUICK]) == 0
    assert main(["evaluate", out, data, "--report", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert Page(page).open == []
    assert "&lt;i&gt;yes" in page
    assert "<i>" not in page
    assert "no &amp; never" in page


def test_a_report_without_matplotlib_says_what_to_install(data, model, monkeypatch, capsys):
    def missing(module, extra, purpose):
        raise ImportError(f"{module} is needed {purpose}; install it with: skgdpd[{extra}]")

    monkeypatch.setattr(skgdpd._cli.commands, "require", missing)
    assert main(["evaluate", model, data, "--report", "page.html"]) == 2
    assert "matplotlib is needed for the report's pictures" in capsys.readouterr().err
