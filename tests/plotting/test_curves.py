"""HistoryDisplay, EarlinessDisplay, CriticalDifferenceDisplay: artists against data."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

from skgdpd import EarlyClassifier, PrefixClassifier, TrainingOptions
from skgdpd.plotting import CriticalDifferenceDisplay, EarlinessDisplay, HistoryDisplay
from skgdpd.training import History


def lines(display):
    return {line.get_label(): line for line in display.ax_.lines}


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_every_term_is_drawn_with_warm_up_and_best_epoch(gdpd):
    display = HistoryDisplay.from_estimator(gdpd)
    drawn, history = lines(display), gdpd.history_
    assert history.warmup_epochs == 3
    for name in history:
        (label,) = [label for label in drawn if label.endswith(f"({name})")]
        x, y = drawn[label].get_data()
        np.testing.assert_array_equal(x, np.arange(1, 7))
        off = history[name] == 0
        assert np.isnan(y[off]).all()
        np.testing.assert_array_equal(y[~off], history[name][~off])
    kept = drawn[f"kept: epoch {history.best_epoch + 1}"]
    assert set(kept.get_xdata()) == {history.best_epoch + 1}
    (warmup,) = display.ax_.patches
    assert warmup.get_label() == "warm-up"
    # A polygon with matplotlib 3.8, a rectangle later.
    corners = warmup.get_patch_transform().transform(warmup.get_path().vertices)
    assert (corners[:, 0].min(), corners[:, 0].max()) == (1, 3.5)


def test_without_warm_up_and_validation_there_is_nothing_to_mark(bumps):
    clf = PrefixClassifier(
        "fcn", max_epochs=2, training=TrainingOptions(validation_fraction=0), random_state=0
    ).fit(*bumps)
    display = HistoryDisplay.from_estimator(clf)
    assert not display.ax_.patches
    assert list(lines(display)) == ["labels (ce)"]


@pytest.mark.parametrize(("values", "scale"), [([1.0, 0.1], "log"), ([1.0, -0.1], "linear")])
def test_losses_below_zero_are_shown(values, scale):
    display = HistoryDisplay(History({"own": np.array(values)})).plot()
    assert display.ax_.get_yscale() == scale
    low, high = display.ax_.get_ylim()
    assert low < min(values) < max(values) < high


def test_epochs_are_whole_numbers():
    display = HistoryDisplay(History({"ce": np.array([1.0, 0.5, 0.2])})).plot()
    display.figure_.canvas.draw()
    assert all(tick == round(tick) for tick in display.ax_.get_xticks())


def test_a_history_of_one_epoch_can_be_seen():
    display = HistoryDisplay(History({"ce": np.array([1.0])})).plot()
    (line,) = display.ax_.lines
    assert line.get_marker() == "o"
    assert line.get_markevery() == (0, 1)


def test_scores_are_means_with_bands_from_the_worst_to_the_best_seed():
    earliness = [0.5, 0.1, 0.9]
    scores = {"many": np.array([[0.6, 0.8], [0.2, 0.3], [0.9, 1.0]]), "one": [0.5, 0.4, 0.6]}
    display = EarlinessDisplay.from_results(earliness, scores, reference=("teacher", 0.97))
    drawn = lines(display)
    x, y = drawn["many"].get_data()
    np.testing.assert_allclose(x, [10, 50, 90])
    np.testing.assert_allclose(y, [0.25, 0.7, 0.95])
    np.testing.assert_allclose(drawn["one"].get_ydata(), [0.4, 0.5, 0.6])
    (band,) = display.ax_.collections
    corners = {(round(a), round(b, 6)) for a, b in band.get_paths()[0].vertices}
    assert corners == {(10, 0.2), (10, 0.3), (50, 0.6), (50, 0.8), (90, 0.9), (90, 1.0)}
    assert set(drawn["teacher"].get_ydata()) == {0.97}
    assert texts(display.ax_.get_legend()) == ["many", "one", "teacher"]


@pytest.mark.parametrize("values", [np.zeros((2, 3)), [0.5], np.zeros((3, 2, 1)), 0.5])
def test_scores_of_another_shape_are_refused(values):
    with pytest.raises(ValueError, match=r"scores\['a'\] has shape .* must be \(3,\) or \(3, n_"):
        EarlinessDisplay([0.1, 0.2, 0.3], {"a": values})


def test_fitted_classifiers_are_scored(bumps):
    X, y = bumps
    fits = [
        PrefixClassifier("fcn", earliness=e, max_epochs=2, random_state=seed).fit(X, y)
        for e in (0.8, 0.2)
        for seed in (0, 1)
    ]
    display = EarlinessDisplay.from_estimators({"base": fits}, X, y)
    scores = [accuracy_score(y, clf.predict(X)) for clf in fits]
    x, shown = lines(display)["base"].get_data()
    np.testing.assert_allclose(x, [20, 80])
    np.testing.assert_allclose(shown, [np.mean(scores[2:]), np.mean(scores[:2])])
    assert display.ax_.get_ylabel() == "accuracy"
    other = EarlinessDisplay.from_estimators({"base": fits[:1]}, X, y, scoring="f1_macro")
    expected = f1_score(y, fits[0].predict(X), average="macro")
    np.testing.assert_allclose(lines(other)["base"].get_ydata(), [expected])
    assert other.ax_.get_ylabel() == "f1 macro"
    with pytest.raises(ValueError, match=r"\['b'\] has, by fraction of the .*, {'0.8': 2}"):
        EarlinessDisplay.from_estimators({"a": fits, "b": fits[:2]}, X, y)
    with pytest.raises(ValueError, match=r"\['a'\] has, by fraction of the .*, {'0.2': 1, '0.8'"):
        EarlinessDisplay.from_estimators({"a": fits[:3]}, X, y)


def test_ranks_are_on_their_axis_and_groups_under_a_bar():
    names, ranks = ["c", "a", "b"], [2.9, 1.2, 1.9]
    display = CriticalDifferenceDisplay.from_results(
        names, ranks, groups=[["a", "b"], ["c"]], n_problems=20
    )
    stems = [line for line in display.ax_.lines if len(line.get_xdata()) == 3]
    assert [line.get_xdata()[0] for line in stems] == sorted(ranks)
    (bar,) = [line for line in display.ax_.lines if len(line.get_xdata()) == 2]
    low, high = bar.get_xdata()
    assert 1 < low < 1.2 < 1.9 < high < 2.9
    shown = {text.get_text() for text in display.ax_.texts}
    assert shown == {"a  1.20", "b  1.90", "2.90  c"}
    assert "over 20 problems" in display.ax_.get_xlabel()


def test_names_without_ranks_are_refused():
    with pytest.raises(ValueError, match="names has 3 entries and ranks 2"):
        CriticalDifferenceDisplay.from_results(["a", "b", "c"], [1.0, 2.0])


def test_a_history_without_epochs_has_no_picture():
    with pytest.raises(ValueError, match="no epochs to plot"):
        HistoryDisplay(History({})).plot()


def test_earliness_display_wants_lists_of_classifiers_of_fixed_parts():
    X, y = np.random.default_rng(0).normal(size=(20, 1, 10)), np.arange(20) % 2
    early = EarlyClassifier(LogisticRegression(), rule="fixed", earliness=[0.5, 1.0]).fit(X, y)
    with pytest.raises(TypeError, match=r"estimators\['a'\] is one EarlyClassifier; give a list"):
        EarlinessDisplay.from_estimators({"a": early}, X, y)
    with pytest.raises(TypeError, match=r"estimators\['a'\] holds EarlyClassifier.*CostDisplay"):
        EarlinessDisplay.from_estimators({"a": [early]}, X, y)
