"""Weights of classes, thresholds, early classifiers and reports on the command line."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import skgdpd._cli.commands
from skgdpd import EarlyClassifier, PrefixClassifier, load
from skgdpd._cli.classes import by_text
from skgdpd._cli.costs import cost_words
from skgdpd._cli.fixed_moments import (
    RuleFacts,
    fixed_moments,
    moment_table,
    moment_words,
    rule_facts,
)
from skgdpd._cli.main import main
from skgdpd._cli.score_text import as_text
from skgdpd._cli.scores import Answers, Moments, ScoreOptions, answers_of, class_scores
from skgdpd.datasets import make_bumps
from skgdpd.stopping import DecisionCost

MOMENTS = ["--earliness", "0.3", "0.6", "1.0", "--delay-cost", "0.4"]
CLASSES = np.array(["no", "yes"])
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
        (["export", "EARLY", "e.onnx"], "has a stopping rule"),
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
    assert rows[1] == ("a", "1", "1.0000", "0.21-1.00", "0.5000", "1.0000", "1.0000")
    assert rows[2] == ("b", "1", "0.0000", "0.00-0.79", "-", "0.0000", "1.0000")
    assert rows[3] == ("c", "0", "-", "-", "-", "0.0000", "-")
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
    assert ("cost of errors" in before) == (kind == "early")
    assert text.rpartition("confusion")[2] == before.rpartition("confusion")[2]
    assert ("thresholds" in text) == (kind != "early")
    other = "0" if kind == "early" else "no"
    own = "1" if kind == "early" else "yes"
    assert f"Costs of errors (--cost): 1 on {other}, 20 on {own}." in text
    assert ("The predictions use the model's costs: 1 each." in text) == (kind == "early")


def test_the_costs_of_a_model_are_said_and_add_up(points, early_file, capsys):
    with np.load(points) as file:
        X, y = file["X"], file["y"]
    early = load(early_file)
    found = early.decide(X, y)
    assert main(["evaluate", early_file, points]) == 0
    text = capsys.readouterr().out
    wrong = float((found.labels != y).mean())
    assert f"cost of errors{wrong:>16.4f}" in text
    assert f"cost of waiting{found.cost.mean() - wrong:>15.4f}" in text
    assert f"Stopping rule: {type(early.rule_).__name__}. It cost the least on the " in text
    assert "training series, of FixedTime, ProbabilityThreshold, " in text
    assert "Costs of errors (of the model): 1 each." in text
    assert "Cost of waiting to the end, 60 points (of the model): 0.5." in text
    assert main(["evaluate", early_file, points, "--cost", "1=20"]) == 0
    by_class = 20 * (wrong_of(found, y, 1)) + wrong_of(found, y, 0)
    assert f"cost of errors{by_class:>16.4f}" in capsys.readouterr().out


def wrong_of(found, y, label):
    """Share of the series that are of a class and answered with another one."""
    return float(((found.labels != y) & (y == label)).mean())


def test_each_cost_of_an_error_is_in_the_words():
    errors = np.array([[0, 2, 20], [1, 0, 1], [1, 1, 0.5]])
    cost = DecisionCost(np.array([0.1, 0.4]), errors)
    (words, waiting) = cost_words(answers_at([[0, 0]] * 3, cost, classes="abc"), ScoreOptions())
    assert "on a 2 if answered b, 20 if answered c, 1 on b" in words
    assert "0.5 for a right answer to c" in words
    assert waiting == "Cost of waiting to point 20 of 40 (of the model): 0.4."


def answers_at(numbers, cost, moment=0, last=None, classes=("no", "yes")):
    """Answers with given numbers of classes at the moments of 10 and 20 of 40 points."""
    numbers = np.array(numbers)
    classes = np.array(list(classes))
    proba = np.full((*numbers.shape, len(classes)), 1 / len(classes))
    if last is not None:
        proba[np.arange(2) > np.array(last)[:, None]] = np.nan
    moments = Moments(np.array([10, 20]), proba, numbers)
    at = np.minimum(moment, moments.last)
    rows = np.arange(len(numbers))
    forced = np.zeros(len(numbers), dtype=bool)
    labels, seen = classes[numbers[rows, at]], moments.time_points[at]
    return Answers(labels, proba[rows, at], classes, seen, 40, forced, cost, moments)


COST = DecisionCost(np.array([0.1, 0.3]), 1 - np.eye(2))


def test_fixed_moments_cost_what_all_series_answered_at_them_cost(points, early_file):
    with np.load(points) as file:
        X, y = file["X"], file["y"]
    early = load(early_file)
    for series in X[:20]:
        series[:, 30:] = np.nan
    fixed = fixed_moments(y, answers_of(early, X), ScoreOptions())
    path = early.predict_proba_path(X)
    assert [moment.n_points for moment in fixed] == early.time_points_.tolist()
    for index, moment in enumerate(fixed):
        at = np.where(np.arange(len(X)) < 20, min(index, 1), index)
        assert moment.paid.total.mean() == pytest.approx(early.cost_.average(path, y, at))
        assert moment.share_seen.mean() == pytest.approx(early.time_points_[at].mean() / 60)


def test_the_table_of_moments_ends_with_the_rule():
    y = np.array(["no", "yes", "yes", "no"])
    answers = answers_at([[0, 0], [0, 1], [0, 1], [0, 0]], COST, moment=1)
    rule = RuleFacts("Calimera", (), 0)
    fixed = fixed_moments(y, answers, ScoreOptions())
    head, *rows = moment_table(fixed, y, answers, ScoreOptions(), rule)
    assert head[0] == "answer at"
    assert rows[0][:6] == ("10 points *", "0.5000", "25.0 %", "0.5000", "0.1000", "0.6000")
    # Nothing varies, so there is no interval.
    expected = ("1.0000", "50.0 %", "0.0000", "0.3000", "0.3000", "-")
    assert rows[1:] == [("20 points", *expected), ("stopping rule", *expected)]
    text = as_text(y, answers, ScoreOptions(), rule)
    assert "\n- means no value: all series cost the same.\n" in text


def test_a_rule_that_is_worse_than_a_moment_is_said_to_be():
    y = np.array(["no", "yes", "yes", "no"])
    numbers = [[0, 0], [0, 1], [0, 1], [0, 0]]
    early = answers_at(numbers, COST, moment=0)
    words = moment_words(
        fixed_moments(y, early, ScoreOptions()),
        y,
        early,
        ScoreOptions(),
        RuleFacts("Calimera", (), 1),
    )
    assert words[0].startswith("The stopping rule is worse than a fixed moment on these series.")
    assert "costs 0.6000" in words[0]
    assert "20 points (*), costs 0.3000" in words[0]
    assert len(words) == 1
    # The moment that training chooses is no better, but another one is.
    words = moment_words(
        fixed_moments(y, early, ScoreOptions()),
        y,
        early,
        ScoreOptions(),
        RuleFacts("Calimera", (), 0),
    )
    assert words[0].startswith("The stopping rule costs as much as a fixed moment")
    assert words[1].startswith("The stopping rule is worse than the best fixed moment")
    assert "found on the series that are scored" in words[1]
    late = answers_at(numbers, COST, moment=1)
    words = moment_words(
        fixed_moments(y, late, ScoreOptions()),
        y,
        late,
        ScoreOptions(),
        RuleFacts("Calimera", (), 0),
    )
    assert words[0].startswith("The stopping rule is better than a fixed moment")
    assert words[1] == "No fixed moment costs less than the rule on these series."


def test_the_fixed_moment_is_chosen_on_the_training_series(early_file):
    early = load(early_file)
    rule = rule_facts(early)
    costs = [
        early.cost_.average(early.left_out_path_, early.left_out_y_, np.full(60, moment))
        for moment in range(5)
    ]
    assert rule.fixed == int(np.argmin(costs))
    assert rule.name == type(early.rule_).__name__


def test_a_model_of_many_moments_has_a_table_of_some():
    y, times = np.array(["no", "yes"] * 3), np.arange(1, 41)
    rng = np.random.default_rng(0)
    numbers, proba = rng.integers(2, size=(6, 40)), np.full((6, 40, 2), 0.5)
    cost = DecisionCost(times / 40, 1 - np.eye(2))
    labels = CLASSES[numbers[:, 0]]
    answers = Answers(
        labels, proba[:, 0], CLASSES, np.ones(6, dtype=int), 40, np.zeros(6, dtype=bool), cost,
        Moments(times, proba, numbers),
    )  # fmt: skip
    _, *rows = moment_table(
        fixed_moments(y, answers, ScoreOptions()),
        y,
        answers,
        ScoreOptions(),
        RuleFacts("Calimera", (), 17),
    )
    names = [row[0] for row in rows]
    assert names[0] == "1 points"
    assert "18 points *" in names
    assert names[-2:] == ["40 points", "stopping rule"]
    words = moment_words(
        fixed_moments(y, answers, ScoreOptions()),
        y,
        answers,
        ScoreOptions(),
        RuleFacts("Calimera", (), 17),
    )
    assert words[0] == f"The table has {len(rows) - 1} of the 40 moments."


def test_what_reliability_shows_is_said_where_answers_go_by_cost():
    pytest.importorskip("matplotlib")
    from skgdpd._cli.report import _reliability_picture

    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    y = np.array(["no", "yes", "yes"])
    cost = DecisionCost(np.array([0.1]), np.array([[0.0, 1.0], [20.0, 0.0]]))
    by_cost = Answers(CLASSES[cost.labels(proba)], proba, CLASSES, np.full(3, 5), 10, cost=cost)
    words = _reliability_picture(y, by_cost)
    assert "the most probable class is the true one" in words
    assert "2 of 3 answers are another class than the most probable one, by the costs" in words
    plain = Answers(CLASSES[proba.argmax(1)], proba, CLASSES, np.full(3, 5), 10)
    assert "another class" not in _reliability_picture(y, plain)


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


@pytest.fixture(scope="module")
def numbers(tmp_path_factory, bumps):
    """Path of a model of the classes 0 and 1, and of its training series."""
    X, y = bumps
    folder = tmp_path_factory.mktemp("numbers")
    data, path = str(folder / "data.npz"), str(folder / "model.zip")
    np.savez(data, X=X, y=np.unique(y, return_inverse=True)[1])
    assert main(["fit", data, "--out", path, *QUICK]) == 0
    return path, data


def as_wide(path, X, y):
    rows = [
        ",".join([str(label), *map(repr, x[0].tolist())]) for x, label in zip(X, y, strict=True)
    ]
    path.write_text("\n".join([f"ill,{','.join(map(str, range(X.shape[2])))}", *rows]) + "\n")
    return [str(path), "--label", "ill"]


def test_texts_of_a_table_are_classes_of_numbers(tmp_path, numbers, bumps, capsys):
    model, data = numbers
    y = np.load(data)["y"]
    more = ["--threshold", "1=0.3", "--cost", "1=5"]
    assert main(["evaluate", model, data, *more]) == 0
    own = capsys.readouterr().out
    assert main(["evaluate", model, *as_wide(tmp_path / "a.csv", bumps[0], y), *more]) == 0
    assert capsys.readouterr().out == own


def test_numbers_of_a_file_are_classes_of_texts(tmp_path, numbers, bumps, capsys):
    table = as_wide(tmp_path / "a.csv", bumps[0], np.load(numbers[1])["y"])
    model = str(tmp_path / "model.zip")
    assert main(["fit", *table, "--out", model, *QUICK]) == 0
    capsys.readouterr()
    assert main(["evaluate", model, *table]) == 0
    own = capsys.readouterr().out
    assert main(["evaluate", model, numbers[1]]) == 0
    assert capsys.readouterr().out == own


def test_texts_that_differ_from_those_of_the_classes(tmp_path, numbers, bumps, capsys):
    y = [f"{label}.0" for label in np.load(numbers[1])["y"]]
    assert main(["evaluate", numbers[0], *as_wide(tmp_path / "a.csv", bumps[0], y)]) == 2
    err = capsys.readouterr().err
    assert "'0.0' (30 series), '1.0' (30 series); its classes are 0, 1." in err
    assert "compared by their text: it must be the same" in err


def test_classes_of_the_same_text_are_refused():
    with pytest.raises(ValueError, match="1 and '1' can't be told apart"):
        by_text([1, "1"])
