"""Runs, reports and the methods in them."""

import csv
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

from skgdpd.benchmarking.cells import Cell, make_cells
from skgdpd.benchmarking.commands import main
from skgdpd.benchmarking.evaluation import run_cell, score
from skgdpd.benchmarking.kinds import DISTILLERS
from skgdpd.benchmarking.methods import make_method
from skgdpd.benchmarking.names import drawn_names, drawn_setting
from skgdpd.benchmarking.paper import PUBLISHED, paper_table
from skgdpd.benchmarking.report import write_report
from skgdpd.benchmarking.run import missing_cells, run
from skgdpd.benchmarking.scenario import load_data, make_scenario
from skgdpd.benchmarking.store import Record, Store
from skgdpd.benchmarking.tables import Results, by_problem, markdown, overview
from skgdpd.datasets import make_bumps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of 30 + 40 series in a file."""
    path = tmp_path_factory.mktemp("data")
    X, y = make_bumps(70, 20, random_state=0)
    np.savez(path / "Bumps.npz", X_train=X[:30], y_train=y[:30], X_test=X[30:], y_test=y[30:])
    return str(path)


def made(cell):
    """The only candidate of a cell."""
    ((_, model),) = make_method(cell, None, "cpu")
    return model


def test_scenarios_divide_what_there_is_and_never_score_what_teaches(folder):
    parts = load_data("Bumps", folder)

    def rows(*arrays):
        return {x.tobytes() for X in arrays if X is not None for x in X}

    for setting, n_labeled, n_unlabelled, n_scored in [
        ("labels", 30, 0, 40),
        ("unlabelled", 30, 20, 20),
        ("ceiling", 50, 0, 20),
        ("share:0.2", 6, 24, 40),
    ]:
        found = make_scenario(parts, Cell("Bumps", "base", 0.5, setting=setting))
        taught = rows(found.X, found.X_unlabeled)
        assert len(found.X) == len(found.y) == n_labeled
        assert len(taught) == n_labeled + n_unlabelled
        assert len(found.X_test) == len(found.y_test) == n_scored
        assert not taught & rows(found.X_test)
        assert taught | rows(found.X_test) <= rows(parts.X, parts.X_test)
        assert set(found.y) == set(found.y_test) == {0, 1}


def test_unlabelled_and_ceiling_of_a_seed_score_the_same_series(folder):
    parts = load_data("Bumps", folder)
    unlabelled, ceiling, other = (
        make_scenario(parts, Cell("Bumps", "base", 0.5, setting=setting, seed=seed))
        for setting, seed in [("unlabelled", 3), ("ceiling", 3), ("unlabelled", 4)]
    )
    np.testing.assert_array_equal(unlabelled.X_test, ceiling.X_test)
    assert not np.array_equal(unlabelled.X_test, other.X_test)


def test_data_are_found_by_stem_or_bundled_name(folder):
    assert load_data("sktime:gunpoint", None).X.shape == (50, 1, 150)
    with pytest.raises(FileNotFoundError, match=r"no data set 'Nothing': there is no Nothing.npz"):
        load_data("Nothing", folder)
    with pytest.raises(ValueError, match="allowed are gunpoint"):
        load_data("sktime:Coffee", None)


def test_scores_of_a_perfect_and_of_an_ignorant_model():
    y = np.array(["a", "b", "c", "a"])
    classes = np.array(["a", "b", "c", "d"])  # d does not occur
    perfect = score(y, np.eye(4)[[0, 1, 2, 0]], classes)
    for name in ("accuracy", "auc_prc", "average_precision", "roc_auc"):
        assert perfect[name] == 1, name
    assert perfect["log_loss"] == pytest.approx(0, abs=1e-6)
    assert perfect["calibration_error"] == 0
    ignorant = score(y, np.full((4, 4), 0.25), classes)
    assert ignorant["accuracy"] == 0.5  # the first class
    assert ignorant["roc_auc"] == 0.5
    assert ignorant["log_loss"] == pytest.approx(np.log(4))


def test_a_label_of_no_class_is_not_scored():
    y, classes = np.array(["a", "b", "c"]), np.array(["a", "c"])
    with pytest.raises(ValueError, match=r"labels that the training part lacks: \['b'\]"):
        score(y, np.full((3, 2), 0.5), classes)


@pytest.mark.parametrize("normalize", ["train", "prefix"])
@pytest.mark.parametrize("method", ["logistic", "extra-trees", "self-training", "label-spreading"])
def test_competitors_see_no_future(folder, method, normalize):
    parts = load_data("Bumps", folder)
    model = made(Cell("Bumps", method, 0.5, normalize))
    model.fit(parts.X, parts.y, parts.X_test[:10])
    expected = model.predict_proba(parts.X_test)
    np.testing.assert_allclose(expected.sum(1), 1)
    changed = parts.X_test.copy()
    changed[:, :, 10:] = 1e6
    np.testing.assert_array_equal(model.predict_proba(changed), expected)
    moved = model.predict_proba(3 * parts.X_test + 5)
    if normalize == "prefix":
        np.testing.assert_allclose(moved, expected, atol=1e-4)
    else:
        assert not np.allclose(moved, expected, atol=1e-4)


def test_rounding_tells_competitors_nothing_of_the_level_that_normalisation_takes_away():
    # Sums in single precision leave a mean of some 1e-6, the larger the higher the level was: a
    # forest on spectra finds it.
    X = np.random.default_rng(0).integers(-999, 999, (40, 1, 28)) / 1024
    seen = []
    for level in (0, 64):
        model = made(Cell("Levels", "logistic", 1.0, "prefix"))
        model.clf = SimpleNamespace(fit=lambda views, numbers: seen.append(views.astype(float)))
        model.fit(X + level, np.arange(40) % 2, None)
    low, high = seen
    np.testing.assert_allclose(high.mean(2), 0, atol=1e-7)
    np.testing.assert_allclose(low, high, rtol=0, atol=3e-7)


def test_a_dotted_name_is_a_competitor(folder):
    cell = Cell("Bumps", "sklearn.neighbors.KNeighborsClassifier", 0.9)
    record = run_cell(cell, folder, None, "cpu")
    assert record.error is None
    assert record.chosen()["metrics"]["accuracy"] > 0.9
    for name, words in [
        ("sklearn.nothing.At", "can't be imported"),
        ("gpdd", "'gpdd' is not a method"),
    ]:
        with pytest.raises(ValueError, match=words):
            made(Cell("Bumps", name, 0.9))


@pytest.mark.slow  # sktime compiles it anew in each process
def test_minirocket_takes_any_prefix(folder):
    pytest.importorskip("sktime")
    rng = np.random.default_rng(0)
    for n_channels, length in [(1, 4), (2, 12)]:
        y = np.arange(16) % 2
        X = rng.normal(size=(16, n_channels, length)) + 3 * y[:, None, None]
        model = made(Cell("a", "minirocket", 0.9, "none"))
        model.fit(X, y, None)
        assert (model.predict_proba(X).argmax(1) == y).mean() > 0.9


def test_every_method_has_the_same_number_of_tries():
    for kind in ("base", "gdpd", "gendd", "gendd-head", "hinton", "fitnets"):
        cell = Cell("a", kind, 0.2, search=True)
        searched = [params for params, _ in make_method(cell, None, "cpu")]
        assert len(searched) == 3
        assert len({str(params) for params in searched}) == 3
        assert [params for params, _ in make_method(Cell("a", kind, 0.2), None, "cpu")] == [{}]
    assert {"hinton", "fitnets"} <= set(DISTILLERS)


@pytest.mark.parametrize("protocol", ["paper", "reference"])
def test_by_the_papers_protocol_the_papers_penalty_is_one_of_the_tries(protocol):
    cell = Cell("a", "base", 0.2, protocol=protocol, search=True)
    tries = [model.clf.training.weight_decay for _, model in make_method(cell, None, "cpu")]
    assert len(tries) == 3
    assert 1e-5 in tries


def test_backbones_and_protocol_reach_the_classifier():
    def made(*args, **kwargs):
        return next(iter(make_method(Cell("a", *args, **kwargs), None, "cpu")))[1].clf

    clf = made("hinton:fcn:resnet", 0.2, "prefix", seed=3)
    assert (clf.student, clf.teacher, clf.random_state) == ("fcn", "resnet", 3)
    assert (clf.earliness, clf.normalize) == (0.2, "prefix")
    paper = made("gdpd:lstm2-32", 0.2, "none", protocol="paper")
    assert (paper.max_epochs, paper.series.resample_length, paper.teacher) == (600, 100, None)
    assert made("gendd:fcn", 0.2).deploy == "sampled"
    assert made("gendd-head:fcn", 0.2).deploy == "student_head"
    options = made("gendd-unsupervised:fcn", 0.2).generator
    assert (options.labels, options.contraction) == ("teacher", 0)
    assert made("base", 0.2, protocol="reference").training.lr_schedule == "halving-per-batch"


OWN_DISTILLER = """
from skgdpd.distillers import Hinton


class Own(Hinton):
    pass
"""


def test_a_distiller_from_elsewhere_takes_part_by_its_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "own_method.py").write_text(OWN_DISTILLER)
    monkeypatch.syspath_prepend(tmp_path)
    cell = Cell("a", "own_method.Own:fcn:rocket", 0.2)
    ((params, model),) = make_method(cell, None, "cpu")
    assert (params, type(model.clf.distiller).__name__) == ({}, "Own")
    assert (model.clf.student, model.clf.teacher) == ("fcn", "rocket")
    tries = list(make_method(replace(cell, search=True), None, "cpu"))
    assert [params["distiller__lambda_kd"] for params, _ in tries] == [0.1, 1.0, 10.0]
    with pytest.raises(ValueError, match=r"'own_method.None' can't be imported"):
        next(make_method(Cell("a", "own_method.None:fcn", 0.2), None, "cpu"))
    assert drawn_names([cell.method]) == {cell.method: "fcn, Own by rocket"}


OWN_PARTS = """
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

class Teacher(KNeighborsClassifier):
    pass

class NoProba(RidgeClassifier):
    pass

class NeedsMore(KNeighborsClassifier):
    def __init__(self, more):
        self.more = more

class Network(nn.Module):
    def __init__(self, n_channels, n_timepoints):
        super().__init__()
        self.layer = nn.Conv1d(n_channels, 4, 3, padding=1)

    def forward(self, x):
        return self.layer(x).relu().mean(2)

number = 3
"""


@pytest.fixture
def own_parts(tmp_path, monkeypatch):
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    import own_parts

    yield own_parts
    sys.modules.pop("own_parts")


def test_students_and_teachers_from_elsewhere_take_part_by_their_dotted_names(own_parts):
    ((_, model),) = make_method(
        Cell("a", "hinton:own_parts.Network:own_parts.Teacher", 0.2), None, "cpu"
    )
    assert model.clf.student is own_parts.Network
    assert type(model.clf.teacher) is own_parts.Teacher
    ((_, model),) = make_method(Cell("a", "gdpd:fcn:own_parts.Network", 0.2), None, "cpu")
    assert (model.clf.student, model.clf.teacher) == ("fcn", own_parts.Network)


def test_a_student_from_elsewhere_is_trained(folder, own_parts, monkeypatch):
    import skgdpd.benchmarking.methods as methods

    original = methods._classifier
    monkeypatch.setattr(
        methods, "_classifier", lambda *args: original(*args).set_params(max_epochs=2)
    )
    record = run_cell(Cell("Bumps", "base:own_parts.Network", 0.5), folder, None, "cpu")
    assert record.error is None
    assert record.chosen()["n_parameters"] == 26  # 4 filters of 3 and their biases, 2 x 4 + 2


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("base:own_parts.None", "student='own_parts.None' can't be imported"),
        ("base:own_parts.number", "student='own_parts.number' must be a network, or a callable"),
        ("base:own_parts.Teacher", "student='own_parts.Teacher' is a classifier; only a teacher"),
        ("hinton:fcn:own_parts.number", "teacher='own_parts.number' must be"),
        ("hinton:fcn:own_parts.NoProba", "teacher='own_parts.NoProba' has no predict_proba"),
        (
            "hinton:fcn:own_parts.NeedsMore",
            "teacher='own_parts.NeedsMore' can't be made without arguments",
        ),
        ("base:fccn", "unknown backbone 'fccn'; the names are .*, or a dotted name"),
        ("base:fcn:rocket", r"method='base:fcn:rocket'; it must be base\[:STUDENT\]"),
    ],
)
def test_students_and_teachers_that_are_none_are_refused_before_any_fit(own_parts, method, words):
    with pytest.raises(ValueError, match=words):
        next(make_method(Cell("a", method, 0.2), None, "cpu"))


def test_a_run_goes_on_where_it_was_and_retries_failures_on_request(folder, tmp_path):
    store = Store(tmp_path / "store")
    cells = make_cells(
        ["Bumps", "Missing"], ["logistic", "extra-trees"], [0.5], ["train"], ["labels"], 2
    )
    assert run(cells[:4], store, folder=folder, verbose=False) == 2
    assert missing_cells(cells, store) == cells[4:]
    assert run(cells[4:], store, folder=folder, verbose=False) == 2
    assert len(list(store)) == len(cells)
    failed = [r for r in store if r.error]
    assert {r.cell.data for r in failed} == {"Missing"}
    assert len(failed) == 4
    assert "FileNotFoundError: no data set 'Missing'" in failed[0].error
    assert missing_cells(cells, store) == []
    assert set(missing_cells(cells, store, retry=True)) == {r.cell for r in failed}


def test_interruptions_reach_the_caller(folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skgdpd.benchmarking.evaluation.make_scenario", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_cell(Cell("Bumps", "logistic", 0.5), folder, None, "cpu")


def test_our_methods_leave_whole_records(folder, tmp_path, monkeypatch):
    # Everything as in a real run but for the number of epochs.
    import skgdpd.benchmarking.methods as methods

    def short(*args):
        return original(*args).set_params(max_epochs=4)

    original = methods._classifier
    monkeypatch.setattr(methods, "_classifier", short)
    memory = str(tmp_path / "memory")
    for method in ("base:fcn", "hinton:lstm1-8:fcn"):
        cell = Cell("Bumps", method, 0.5, setting="unlabelled", search=True)
        record = run_cell(cell, folder, memory, "cpu")
        assert record.error is None, record.error
        assert len(record.candidates) == 3
        assert Record.from_json(record.to_json()) == record
        chosen = record.chosen()
        assert chosen["valid_loss"] == min(c["valid_loss"] for c in record.candidates)
        assert chosen["n_parameters"] > 300
        assert ("agreement" in chosen["metrics"]) == (method != "base:fcn")


def made_up(method, data, seed, auc, seconds=1.0, earliness=0.2):
    candidate = {
        "params": {}, "valid_loss": None, "n_parameters": None,
        "metrics": {"auc_prc": auc, "accuracy": auc, "log_loss": 1 - auc},
        "seconds": {"fit": seconds, "predict": 0.1},
    }  # fmt: skip
    return Record(Cell(data, method, earliness, seed=seed), [candidate])


def test_tables_compare_on_shared_problems_only():
    records = [
        made_up(method, data, seed, auc)
        for method, data, seed, auc in [
            ("a", "X", 0, 0.5), ("a", "X", 1, 0.7), ("b", "X", 0, 0.8), ("b", "X", 1, 0.9),
            ("a", "Y", 0, 0.1), ("b", "Y", 1, 1.0),  # other seeds: no problem of both
            ("a", "Z", 0, 0.0),
        ]
    ]  # fmt: skip
    results = Results.from_records(records)
    assert [p[0] for p in results.problems()] == ["X"]
    rows = overview(results, ["a", "b"], ["auc_prc", "agreement"])
    assert rows[1:] == [["a", "0.600", "-"], ["b", "0.850", "-"]]
    table = by_problem(results, ["a", "b"], "auc_prc")
    assert table[1] == ["X", "20%", "train", "labels", "0.600 ± 0.100", "**0.850 ± 0.050**"]
    assert table[2][-2:] == ["0.600", "0.850"]
    losses = by_problem(results, ["a", "b"], "log_loss")
    assert losses[1][-1].startswith("**0.15")
    assert markdown(table).splitlines()[1] == "|---|---|---|---|---|---|"


def test_pictures_name_methods_by_words_unless_two_are_alike():
    methods = ["base:rocket", "hinton:fcn:rocket", "gdpd:fcn:fcn, searched (paper)", "minirocket"]
    assert drawn_names([*methods, "aeon.x.QUANT", "a.C, searched", "b.C, searched"]) == {
        "base:rocket": "rocket, no teacher",
        "hinton:fcn:rocket": "fcn, Hinton by rocket",
        "gdpd:fcn:fcn, searched (paper)": "fcn, GDPD, searched (paper)",
        "minirocket": "MiniRocket + ridge",
        "aeon.x.QUANT": "QUANT",
        "a.C, searched": "a.C, searched",
        "b.C, searched": "b.C, searched",
    }


def test_pictures_name_every_setting():
    for setting in ("labels", "unlabelled", "unlabelled:30", "ceiling:30", "share:0.2"):
        Cell("X", "base", 0.5, setting=setting)
        words, _, number = drawn_setting(setting).partition(": ")
        assert " " in words
        assert number == setting.partition(":")[2]


def test_a_report_has_tables_pictures_and_every_row(tmp_path, capsys):
    store = Store(tmp_path / "store")
    rng = np.random.default_rng(0)
    for i in range(8):
        for earliness in (0.2, 0.4):
            level = rng.uniform(0.5, 0.8)
            store.write(made_up("good", f"D{i}", 0, level + 0.1, earliness=earliness))
            store.write(made_up("bad", f"D{i}", 0, level, earliness=earliness))
    store.write(Record(Cell("D0", "broken", 0.2), error="Traceback\nValueError: no"))
    out = tmp_path / "out"
    assert main(["report", "--store", str(store.folder), "--out", str(out)]) == 0
    text = (out / "report.md").read_text()
    assert "16 problems" in text
    assert "| bad | 16 | 0 | 0 |" in text or "| good | 0 | 0 | 16 |" in text
    assert "D0, broken, 0.2, train, labels, seed 0: ValueError: no" in text
    with (out / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 32
    for name in ("critical-difference-auc_prc.png", "auc_prc-train-labels.png"):
        assert (out / name).stat().st_size > 5000
        assert name in text
    arguments = ["report", "--store", str(store.folder), "--out", str(out)]
    main([*arguments, "--methods", "good", "bad"])
    assert "broken" not in (out / "report.md").read_text()
    with pytest.raises(ValueError, match="no finished record"):
        write_report(store, str(out), settings=["unlabelled"])
    capsys.readouterr()
    arguments += ["--methods", "goood"]
    assert main(arguments) == 2
    assert "no record of ['goood']; the methods are" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["report", "--store", str(tmp_path / "no"), "--out", str(out)])


def test_the_test_selection_says_what_it_is(tmp_path):
    store = Store(tmp_path / "store")
    for method in ("base", "gdpd"):
        store.write(made_up(method, "D", 0, 0.5))
    out = str(tmp_path / "out")
    main(["report", "--store", str(store.folder), "--out", out, "--selection", "test"])
    assert "chosen on the test part" in (tmp_path / "out" / "report.md").read_text()


def by_the_paper(data, method, seed=0, aucs=(0.5,), losses=(0.1,), **cell):
    """A record by the paper's protocol, with a candidate for each AUC-PRC."""
    candidates = [
        {
            "params": {"lambda_kd": k}, "valid_loss": loss, "n_parameters": 1,
            "metrics": {"auc_prc": auc, "accuracy": auc}, "seconds": {"fit": 1.0},
        }
        for k, (auc, loss) in enumerate(zip(aucs, losses, strict=True))
    ]  # fmt: skip
    settings = {"earliness": 0.2, "normalize": "none", "protocol": "paper", "search": True, **cell}
    return Record(Cell(data, method, seed=seed, **settings), candidates)


def test_the_papers_table_stands_beside_the_published_figures(tmp_path):
    store = Store(tmp_path)
    for seed, aucs in enumerate([(0.5, 0.9), (0.6, 0.8)]):
        store.write(by_the_paper("CBF", "gdpd:lstm3-100", seed, aucs, (0.1, 0.2)))
    cells = [record.cell for record in store]
    honest = paper_table(store, cells, "validation")
    assert "55.0 ± 5.0 (69.0)" in honest
    assert "validation part" in honest
    optimistic = paper_table(store, cells, "test")
    assert "85.0 ± 5.0 (69.0)" in optimistic
    assert "TEST" in optimistic
    assert len(PUBLISHED) == 5


def test_the_papers_table_shows_no_deviation_of_one_seed(tmp_path):
    store = Store(tmp_path)
    store.write(by_the_paper("CBF", "gdpd:lstm3-100"))
    table = paper_table(store, [record.cell for record in store], "validation")
    assert "50.0 (69.0)" in table
    assert "±" not in table


def test_the_papers_table_has_the_cells_that_were_asked_for_and_no_others(tmp_path):
    store = Store(tmp_path)
    asked = by_the_paper("CBF", "gdpd:lstm3-100")
    store.write(asked)
    others = [
        by_the_paper("CBF", "gdpd:lstm1-8", aucs=(0.1,)),
        by_the_paper("CBF", "gdpd:lstm3-100", seed=1, aucs=(0.2,)),
        by_the_paper("CBF", "gdpd:lstm3-100", aucs=(0.3,), earliness=0.1),
        by_the_paper("CBF", "gdpd:lstm3-100", aucs=(0.4,), search=False),
    ]
    for record in others:
        store.write(record)
    table = paper_table(store, [asked.cell], "validation")
    assert "| CBF | - (64.1) | - (69.2) | - (68.4) | 50.0 (69.0) |" in table
    assert "ECG200" not in table


def test_no_published_figure_stands_beside_another_student_or_set(tmp_path):
    store = Store(tmp_path)
    records = by_the_paper("CBF", "gdpd:lstm1-8"), by_the_paper("Mine", "gdpd:lstm3-100")
    for record in records:
        store.write(record)
    small, own = (paper_table(store, [record.cell], "validation") for record in records)
    assert "| CBF | - | - | - | 50.0 |" in small
    assert "student and teacher lstm1-8" in small
    assert "| Mine | - | - | - | 50.0 |" in own


def test_the_command_line_runs_packs_and_says_what_is_wrong(folder, tmp_path, capsys):
    store = str(tmp_path / "store")
    arguments = ["run", "--store", store, "--data", folder, "--sets", "Bumps"]
    arguments += ["--methods", "logistic", "--earliness", "0.5", "--seeds", "2"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err.startswith("cells to run: 2; there already: 0\n")
    assert "cells run: 2 (failed: 0); there already: 0" in out
    assert main([*arguments, "--methods", "logistic", "logistic"]) == 0
    assert "cells run: 0 (failed: 0); there already: 2" in capsys.readouterr().out
    assert main(["pack", "--store", store]) == 0
    assert capsys.readouterr().out == "2 records\n"
    with pytest.raises(SystemExit) as stop:
        main([*arguments[:-4], "--earliness", "1.5"])
    assert stop.value.code == 2
    assert "argument --earliness: '1.5' is not a fraction" in capsys.readouterr().err


def test_roc_auc_is_the_binary_one_for_two_classes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50)
    p = rng.uniform(size=50)
    expected = roc_auc_score(y, p)
    found = score(y, np.stack([1 - p, p], 1), np.array([0, 1]))["roc_auc"]
    assert found == pytest.approx(expected)


class Greedy(DummyClassifier):
    """Changes torch's threads, as numba does that some classifiers use."""

    def fit(self, X, y):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return super().fit(X, y)


def test_a_competitor_leaves_torchs_threads_to_the_next(folder, monkeypatch):
    monkeypatch.setattr("sklearn.dummy.Greedy", Greedy, raising=False)
    before = torch.get_num_threads()
    try:
        record = run_cell(Cell("Bumps", "sklearn.dummy.Greedy", 0.9), folder, None, "cpu")
        assert record.error is None
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


def test_a_competitor_without_a_word_on_a_series_says_nothing_of_it(folder):
    model = made(Cell("Bumps", "label-spreading", 0.9))
    parts = load_data("Bumps", folder)
    model.fit(parts.X, parts.y, None)
    model.clf = SimpleNamespace(predict_proba=lambda X: np.array([[np.nan, np.nan], [0.2, 0.8]]))
    np.testing.assert_array_equal(model.predict_proba(parts.X_test[:2]), [[0.5, 0.5], [0.2, 0.8]])


class Answering:
    """A classifier with given answers."""

    def __init__(self, classes, proba):
        self.classes_, self.proba = np.asarray(classes), np.asarray(proba)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.proba


def competitor_that_answers(folder, *answers):
    model = made(Cell("Bumps", "sklearn.dummy.DummyClassifier", 0.9))
    parts = load_data("Bumps", folder)
    model.clf = Answering(*answers)
    model.fit(parts.X, parts.y, None)
    return model, parts.X_test[:2]


def test_a_competitors_columns_are_in_the_order_of_its_classes(folder):
    model, X = competitor_that_answers(folder, [1, 0], [[0.1, 0.9], [0.8, 0.2]])
    np.testing.assert_array_equal(model.predict_proba(X), [[0.9, 0.1], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("classes", "proba", "words"),
    [
        ([0, 1], [[np.nan, np.nan], [0.5, 0.5]], "row 0 of 2 is"),
        ([0, 1], [[3.0, 3.0], [0.5, 0.5]], "row 0 of 2 is"),
        ([0, 1], [[0.5, 0.5]], r"gave the shape \(1, 2\) for 2 series"),
        ([0], [[1.0], [1.0]], r"classes_ of Answering are \[0\]"),
    ],
)
def test_a_competitor_that_gives_no_probabilities_is_not_scored(folder, classes, proba, words):
    model, X = competitor_that_answers(folder, classes, proba)
    with pytest.raises(ValueError, match=words):
        model.predict_proba(X)


def test_searched_candidates_have_validation_losses_whatever_the_student(folder):
    cell = Cell("Bumps", "base:rocket", 0.9, search=True)
    for _, model in make_method(cell, None, "cpu"):
        assert model.clf.training.validation_fraction == 0.2
    _, model = next(make_method(replace(cell, search=False), None, "cpu"))
    assert model.clf.get_params()["training__validation_fraction"] == "auto"


def control(name, folder):
    """A control's classifier, fitted on a small set."""
    ((_, model),) = make_method(Cell("Bumps", f"{name}:lstm1-8:lstm1-8", 0.5), None, "cpu")
    model.clf.set_params(max_epochs=4)
    parts = load_data("Bumps", folder)
    model.fit(parts.X, parts.y, parts.X_test)
    assert model.predict_proba(parts.X_test).shape == (len(parts.X_test), 2)
    return model.clf


def test_some_unlabelled_series_are_a_part_of_more(folder):
    parts = load_data("Bumps", folder)

    def made(setting):
        return make_scenario(parts, Cell("Bumps", "base", 0.5, setting=setting))

    everything, many, few = (made(f"unlabelled{n}") for n in ("", ":9", ":4"))
    assert (len(many.X_unlabeled), len(few.X_unlabeled)) == (9, 4)
    np.testing.assert_array_equal(few.X_unlabeled, many.X_unlabeled[:4])
    for series in many.X_unlabeled:
        assert (everything.X_unlabeled == series).all((1, 2)).sum() == 1
    np.testing.assert_array_equal(few.X_test, everything.X_test)
    assert len(made("ceiling:4").X) == len(parts.X) + 4
    with pytest.raises(ValueError, match="ask for no more"):
        made("unlabelled:100000")
    with pytest.raises(ValueError, match="unlabelled:N"):
        Cell("Bumps", "base", 0.5, setting="unlabelled:0")


@pytest.mark.slow
def test_a_control_lacks_what_its_name_says(folder):
    assert "hinton" not in control("gdpd-alone", folder).history_
    assert control("gdpd-gmm", folder).distillation_.prior.denoiser == "gmm"
    drawn = control("gdpd-unconditional", folder).distillation_.degradation
    a, b = (drawn.draw(z, 1, torch.Generator().manual_seed(0)) for z in torch.randn(2, 3, 8))
    torch.testing.assert_close(a, b)
    untrained = control("gdpd-untrained", folder).distillation_.prior.latent_.denoiser
    assert untrained.leave.weight.abs().max() < 1e-10, "the prior has learned"
    learned = control("gdpd-mlp", folder).distillation_.degradation.latent.denoiser
    assert learned.leave.weight.abs().max() > 1e-6, "the network hasn't learned"


def test_the_start_is_not_trained():
    X, y = make_bumps(40, 20, random_state=0)
    found = []
    for lr in (None, 1e-12):
        ((_, model),) = make_method(Cell("a", "start:rocket", 0.5), None, "cpu")
        model.clf.set_params(**({} if lr is None else {"max_epochs": 5, "lr": lr}))
        model.fit(X, y, X[:10])
        found.append(model.predict_proba(X))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_hinton_s_control_has_more_epochs():
    ((_, long),) = make_method(Cell("a", "hinton-long", 0.5), None, "cpu")
    ((_, plain),) = make_method(Cell("a", "hinton", 0.5), None, "cpu")
    assert long.clf.max_epochs == 4 * plain.clf.max_epochs
    with pytest.raises(ValueError, match="gdpd-unconditional"):
        next(make_method(Cell("a", "nothing", 0.5), None, "cpu"))
