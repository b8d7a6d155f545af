"""The comparison of models and rules that choose their moment."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.benchmarking.commands import main
from skgdpd.benchmarking.early.cells import EarlyCell, make_early_cells
from skgdpd.benchmarking.early.clones import MiniRocketRidge
from skgdpd.benchmarking.early.costs import ALPHAS, REGIMES, survey_cost
from skgdpd.benchmarking.early.models import Fit, bounded, carried_forward, fit_model
from skgdpd.benchmarking.early.report import write_early_report
from skgdpd.benchmarking.early.run import missing_early_cells, run_early
from skgdpd.benchmarking.early.scores import AUTO, FLOOR, OWN, RULES, score_fit
from skgdpd.benchmarking.early.store import EarlyStore
from skgdpd.benchmarking.early.tables import REFERENCE, EarlyResults, overview, ratios
from skgdpd.benchmarking.scenario import load_data
from skgdpd.benchmarking.statistics import mean_ratio
from skgdpd.datasets import make_bumps

MODELS = ("ours", "clones")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two data sets of 30 + 20 series in files."""
    path = tmp_path_factory.mktemp("data")
    for name, seed in (("Bumps", 0), ("Others", 1)):
        X, y = make_bumps(50, 12, random_state=seed)
        np.savez(path / name, X_train=X[:30], y_train=y[:30], X_test=X[30:], y_test=y[30:])
    return str(path)


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    """A store with both models on both sets."""
    found = EarlyStore(tmp_path_factory.mktemp("store"))
    cells = make_early_cells(["Bumps", "Others"], MODELS, ["train"], [0])
    assert run_early(cells, found, folder=folder, verbose=False) == (4, 0)
    return found


def sure_fit(n=12, n_moments=5, right_from=2):
    """A model that is right and sure from a moment on, and says nothing before."""
    y = np.arange(n) % 3
    path = np.full((n, n_moments, 3), 1 / 3)
    path[:, right_from:] = np.eye(3)[y][:, None]
    points = 2 * np.arange(1, n_moments + 1)
    last = np.full(n, n_moments - 1)
    return Fit(points, 2 * n_moments, y, y, last, left_out=path, path=path)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_linear_costs_are_those_of_the_survey(alpha):
    cost = survey_cost("linear", alpha, np.array([1, 5, 10]), 10, np.array([4, 2, 9]))
    np.testing.assert_allclose(cost.delay, (1 - alpha) * np.array([0.1, 0.5, 1]))
    np.testing.assert_allclose(cost.misclassification, alpha * (1 - np.eye(3)))


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.sampled_from(ALPHAS))
def test_dear_errors_are_those_on_the_smallest_class_alone(sizes, alpha):
    cost = survey_cost("rare", alpha, np.array([5, 10]), 10, np.array(sizes))
    dear = np.flatnonzero(cost.misclassification.max(1) > 1)
    assert dear.tolist() == [sizes.index(min(sizes))]
    assert cost.misclassification.max() == pytest.approx(100 * alpha)
    assert not cost.misclassification.diagonal().any()
    np.testing.assert_allclose(cost.delay, (1 - alpha) * np.array([10, 100]))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="allowed are linear, rare"):
        survey_cost("cheap", 0.5, np.array([1]), 1, np.array([1, 1]))
    with pytest.raises(ValueError, match="allowed are ours, clones"):
        EarlyCell("Bumps", "theirs")
    with pytest.raises(ValueError, match="allowed are train and prefix"):
        EarlyCell("Bumps", "ours", "none")


def test_where_the_best_moment_is_plain_rules_find_it():
    rows = score_fit(sure_fit(), 0)
    assert len(rows) == len(REGIMES) * len(ALPHAS) * (len(RULES) + 2)
    for row in rows:
        if (row["regime"], row["alpha"]) != ("linear", 0.9):
            continue
        if row["rule"] in (AUTO, FLOOR, "fixed", "threshold", "calimera", "economy"):
            assert row["accuracy"] == 1
            # A guess of the first class is right for a third of the series, at no wait.
            if row["rule"] != FLOOR:
                assert row["earliness"] == pytest.approx(0.6)
                assert row["cost"] == pytest.approx(0.1 * 0.6)


def test_no_rule_costs_less_than_the_floor(store):
    for record in store.records():
        for regime in REGIMES:
            for alpha in ALPHAS:
                own = [
                    row
                    for row in record.scores
                    if (row["regime"], row["alpha"]) == (regime, alpha)
                ]
                floor = next(row["cost"] for row in own if row["rule"] == FLOOR)
                assert all(row["cost"] >= floor - 1e-12 for row in own)


def test_answers_of_an_own_rule_are_costed_as_they_are():
    fit = sure_fit()
    fit.left_out = fit.path = None
    fit.moments, fit.answers = np.full(12, 4), (fit.y_test + (np.arange(12) < 3)) % 3
    rows = score_fit(fit, 0)
    assert {row["rule"] for row in rows} == {OWN}
    for row in rows:
        assert (row["accuracy"], row["earliness"]) == (0.75, 1.0)
        if row["regime"] == "linear":
            assert row["cost"] == pytest.approx(0.25 * row["alpha"] + 1 - row["alpha"])


def test_clones_see_no_future_and_judge_no_row_that_they_were_fitted_on(folder):
    parts = load_data("Bumps", folder)
    expected = fit_model(EarlyCell("Bumps", "clones"), parts)
    t = expected.time_points[5]
    changed = parts.X_test.copy()
    changed[:, :, t - 1 :] = 1e3
    found = fit_model(EarlyCell("Bumps", "clones"), parts._replace(X_test=changed))
    np.testing.assert_array_equal(found.path[:, :5], expected.path[:, :5])
    np.testing.assert_allclose(expected.path.sum(2), 1)
    np.testing.assert_allclose(expected.left_out.sum(2), 1)
    # Labels that nothing tells are known of rows that were fitted on, but not of rows left out.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 1, 30)), rng.integers(0, 2, 60)
    clone = MiniRocketRidge().fit(X, y)
    assert (clone.left_out_proba_.argmax(1) == y).mean() < 0.8


def test_series_that_have_ended_have_no_later_probabilities(folder):
    parts = load_data("Bumps", folder)
    X_test = parts.X_test.copy()
    X_test[0, :, 6:] = np.nan
    for model in MODELS:
        fit = fit_model(EarlyCell("Bumps", model), parts._replace(X_test=X_test))
        assert fit.time_points[fit.last[0]] == 6
        ended = np.isnan(fit.path[:, :, 0])
        np.testing.assert_array_equal(ended[0], fit.time_points > 6)
        assert not ended[1:].any()


def test_series_that_have_not_begun_are_left_out_for_all(folder):
    parts = load_data("Bumps", folder)
    X_test = parts.X_test.copy()
    X_test[3, :, :5] = np.nan
    fit = fit_model(EarlyCell("Bumps", "clones"), parts._replace(X_test=X_test))
    np.testing.assert_array_equal(fit.y_test, np.delete(parts.y_test, 3))
    assert len(fit.path) == len(fit.last) == len(X_test) - 1


def test_large_training_parts_are_drawn_by_class(folder):
    parts = load_data("Bumps", folder)
    few = bounded(parts, 10, 0)
    assert len(few.y) == len(few.X) == 10
    shares = [np.bincount(p.y).tolist() for p in (parts, few)]
    np.testing.assert_allclose(np.array(shares[1]) / 10, np.array(shares[0]) / 30, atol=0.06)
    assert few.X_test is parts.X_test
    assert bounded(parts, 30, 0) is bounded(parts, None, 0) is parts


def test_gaps_are_filled_from_before():
    X = np.array([[[np.nan, 1, np.nan, np.nan, 2, np.nan]]])
    np.testing.assert_array_equal(carried_forward(X), [[[0, 1, 1, 1, 2, 2]]])


@pytest.mark.slow
def test_a_third_of_the_labels_is_the_same_third_with_and_without_the_others(folder):
    parts = load_data("Bumps", folder)
    fits = [
        fit_model(EarlyCell("Bumps", model, seed=3), parts)
        for model in ("labels-third", "unlabeled-third")
    ]
    np.testing.assert_array_equal(fits[0].y, fits[1].y)
    for fit in fits:
        assert len(fit.y) == len(fit.left_out) == 10
        assert np.isfinite(fit.left_out).all()


@pytest.mark.parametrize("model", ["aeon-teaser", "aeon-threshold"])
def test_early_classifiers_of_aeon_answer_every_series(folder, model):
    pytest.importorskip("aeon")
    parts = load_data("Bumps", folder)
    fit = fit_model(EarlyCell("Bumps", model), parts)
    assert fit.moments.shape == fit.answers.shape == fit.y_test.shape
    assert ((fit.moments >= 0) & (fit.moments < len(fit.time_points))).all()
    assert (fit.answers == fit.y_test).mean() > 0.6


def test_fits_come_back_from_the_store(store, tmp_path):
    cell = EarlyCell("Bumps", "ours")
    fit = store.fit(cell)
    other = EarlyStore(tmp_path)
    other.write_fit(cell, fit)
    again = other.fit(cell)
    assert again.seconds == fit.seconds
    for name in ("time_points", "y", "y_test", "last", "left_out", "path"):
        np.testing.assert_allclose(getattr(again, name), getattr(fit, name), atol=1e-7)
    assert again.moments is None


def test_a_run_goes_on_and_errors_are_kept(folder, tmp_path):
    store = EarlyStore(tmp_path)
    cells = make_early_cells(["Bumps", "Missing"], ["clones"], ["prefix"], [0])
    assert run_early(cells, store, folder=folder, verbose=False) == (2, 1)
    assert "no data set 'Missing'" in store.error(cells[1])
    assert missing_early_cells(cells, store) == []
    assert missing_early_cells(cells, store, retry=True) == cells[1:]
    before = store.scores(cells[0])
    store.write_scores(cells[0], [])
    assert missing_early_cells(cells, store, rescore=True) == cells[:1]
    assert run_early(cells[:1], store, folder=folder, verbose=False) == (0, 0)
    assert [row["cost"] for row in store.scores(cells[0])] == [row["cost"] for row in before]


def test_a_damaged_fit_is_made_again(folder, tmp_path):
    store = EarlyStore(tmp_path)
    cells = make_early_cells(["Bumps"], ["clones"], ["prefix"], [0])
    run_early(cells, store, folder=folder, verbose=False)
    before = store.records()
    (fit,) = (tmp_path / "fits").iterdir()
    (scores,) = (tmp_path / "scores").iterdir()
    for path in (fit, scores):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.warns(UserWarning, match="is not a complete record and is left out"):
        missing = missing_early_cells(cells, store)
    with pytest.warns(UserWarning, match="is not a complete record and is left out"):
        assert run_early(missing, store, folder=folder, verbose=False) == (1, 0)
    (after,) = store.records()
    assert [row["cost"] for row in after.scores] == [row["cost"] for row in before[0].scores]


def test_a_store_survives_any_byte(store, tmp_path):
    packed = EarlyStore(tmp_path)
    store.pack()
    content = (store.folder / "scores.jsonl").read_bytes()
    records = {r.cell: r for r in packed_records(packed, content)}
    rng = np.random.default_rng(0)
    for _ in range(300):
        place, byte = rng.integers(len(content)), rng.integers(256)
        harmed = bytearray(content)
        harmed[place] = byte
        found = {r.cell: r for r in packed_records(packed, bytes(harmed))}
        assert len(found) >= len(records) - 2  # a harmed end of a line takes two of them
        assert all(records[cell] == record for cell, record in found.items())


def packed_records(store, content):
    (store.folder / "scores.jsonl").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return store.records()


def test_packed_scores_are_not_computed_again(store, folder, tmp_path):
    packed = EarlyStore(tmp_path)
    store.pack()
    (tmp_path / "scores.jsonl").write_bytes((store.folder / "scores.jsonl").read_bytes())
    done = [record.cell for record in store.records()]
    assert missing_early_cells(done, packed) == []
    assert missing_early_cells(done, packed, rescore=True) == done
    assert packed.fit(done[0]) is None
    assert run_early(done[:1], packed, folder=folder, verbose=False) == (1, 0)
    assert packed.fit(done[0]) is not None


def test_packed_scores_are_enough_for_the_report(store, tmp_path):
    pytest.importorskip("matplotlib")
    assert store.pack() == 4
    packed = EarlyStore(tmp_path / "packed")
    packed.folder.mkdir()
    (packed.folder / "scores.jsonl").write_bytes((store.folder / "scores.jsonl").read_bytes())
    text = write_early_report(packed, tmp_path / "report").read_text()
    assert "2 sets, seeds [0]: Bumps, Others." in text
    assert (tmp_path / "report" / "accuracy-train.png").stat().st_size > 1000
    assert (tmp_path / "report" / "ratios.png").stat().st_size > 1000
    for record, other in zip(store.records(), packed.records(), strict=True):
        assert record.cell == other.cell
        costs, others = ([row["cost"] for row in r.scores] for r in (record, other))
        np.testing.assert_allclose(costs, others, rtol=1e-5)
        np.testing.assert_allclose(record.accuracy, other.accuracy, rtol=1e-5)
    for data, shared in (("Bumps", "1 sets, seeds [0, 1]: Others."), ("Others", None)):
        cell, other = EarlyCell(data, "clones", seed=1), EarlyCell(data, "clones")
        packed.write_fit(cell, store.fit(other))
        packed.write_scores(cell, store.scores(other))
        if shared:
            assert shared in write_early_report(packed, tmp_path / "report").read_text()
    with pytest.raises(ValueError, match="ours, clones have no data set with the same seeds"):
        write_early_report(packed, tmp_path / "report")
    with pytest.raises(ValueError, match="no scores of aeon-teaser"):
        write_early_report(packed, tmp_path / "report", models=["aeon-teaser"])


def test_tables_agree_with_the_scores(store):
    results = EarlyResults(store.records())
    setting = ("train", "linear")
    methods = [REFERENCE, "clones: auto"]
    assert results.sets(setting, methods) == ["Bumps", "Others"]
    costs = [results.values(setting, m, ["Bumps", "Others"], "cost") for m in methods]
    by_seed = results.seed_means(setting, REFERENCE, ["Bumps", "Others"], "cost")
    assert by_seed.shape == (len(results.seeds), len(ALPHAS))
    np.testing.assert_allclose(by_seed.mean(0), costs[0].mean(0))
    head, first, _ = overview(results, setting, methods)
    shown = [float(cell.strip("*")) for cell in first[1 : 1 + len(ALPHAS)]]
    np.testing.assert_allclose(shown, costs[0].mean(0), atol=6e-4)
    assert len(head) == len(first)
    _, row = ratios(results, setting, ["clones: auto"])
    expected = np.exp(np.log(costs[0] / costs[1]).mean())
    assert float(row[2].split()[0]) == pytest.approx(expected, abs=6e-4)


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8), st.floats(0.1, 10))
def test_a_mean_ratio_scales_and_turns(values, factor):
    a = np.array(values)
    b = np.roll(a, 1) * np.linspace(1, 2, len(a))
    ratio, low, high = mean_ratio(a, b)
    assert low <= ratio <= high
    np.testing.assert_allclose(mean_ratio(factor * a, b), np.multiply(factor, (ratio, low, high)))
    np.testing.assert_allclose(mean_ratio(b, a), (1 / ratio, 1 / high, 1 / low))


def test_the_commands_run_and_report(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = ["--sets", "Bumps", "--models", "clones", "--normalize", "train", "--seeds", "1"]
    store = ["--store", str(tmp_path / "store")]
    assert main(["early", *options, *store, "--data", folder]) == 0
    assert "1 fits, 0 failed; 1 records" in capsys.readouterr().out
    assert main(["early-report", *store, "--out", str(tmp_path / "report")]) == 0
    assert (tmp_path / "report" / "report.md").is_file()
