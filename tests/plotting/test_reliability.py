"""ReliabilityDisplay: bins against a count by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from skgdpd import PrefixClassifier
from skgdpd.metrics import expected_calibration_error
from skgdpd.plotting import ReliabilityDisplay
from skgdpd.plotting.reliability import wilson

# Sure 0.9 (right), 0.85 (wrong), 0.6 (right), 0.5 (right, an edge: of the bin above), 1 (right).
PROBA = np.array([[0.9, 0.1], [0.85, 0.15], [0.4, 0.6], [0.5, 0.5], [0.0, 1.0]])
LABELS = np.array(["a", "b", "b", "a", "b"])


def test_bins_are_those_counted_by_hand():
    display = ReliabilityDisplay.from_predictions(LABELS, {"m": PROBA}, n_bins=5)
    result = display.results_["m"]
    np.testing.assert_array_equal(result.counts, [0, 0, 1, 1, 3])
    np.testing.assert_allclose(result.sure[2:], [0.5, 0.6, (0.9 + 0.85 + 1) / 3])
    np.testing.assert_allclose(result.right[2:], [1, 1, 2 / 3])
    assert np.isnan(result.sure[:2]).all()
    gaps = abs(1 - 0.5) + abs(1 - 0.6) + abs(2 - 2.75)
    assert result.error == pytest.approx(gaps / 5)


def test_lines_and_bars_are_the_results():
    other = np.tile([0.7, 0.3], (5, 1))
    display = ReliabilityDisplay.from_predictions(LABELS, {"m": PROBA, "n": other}, n_bins=5)
    result = display.results_["m"]
    lines = {line.get_label(): line for line in display.ax_.lines}
    line = lines[f"m (ECE {result.error:.2f})"]
    np.testing.assert_array_equal(line.get_xdata(), result.sure[2:])
    np.testing.assert_array_equal(line.get_ydata(), result.right[2:])
    assert len(lines[f"n (ECE {display.results_['n'].error:.2f})"].get_xdata()) == 1
    for bars, (name, bin_width) in zip(
        display.counts_ax_.containers, [("m", 0.2), ("n", 0.2)], strict=True
    ):
        heights = [bar.get_height() for bar in bars]
        np.testing.assert_array_equal(heights, display.results_[name].counts)
        for i, bar in enumerate(bars):  # inside its bin
            assert bin_width * i <= bar.get_x()
            assert bar.get_x() + bar.get_width() <= bin_width * (i + 1)
    assert lines["as sure as right"].get_xydata().tolist() == [[0, 0], [1, 1]]


@given(st.integers(0, 100), st.integers(1, 20), st.integers(2, 5))
def test_the_error_is_the_metric_and_the_counts_are_all(seed, n_bins, n_classes):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), size=30)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=30 - n_classes)])
    display = ReliabilityDisplay(y, {"m": proba}, n_bins=n_bins)
    from matplotlib.figure import Figure

    result = display.plot(Figure().subplots()).results_["m"]
    assert result.counts.sum() == 30
    assert result.error == pytest.approx(expected_calibration_error(y, proba, n_bins=n_bins))
    there = result.counts > 0
    right = (proba.argmax(1) == y).mean()
    assert (result.right[there] * result.counts[there]).sum() / 30 == pytest.approx(right)


def test_nothing_that_is_there_is_cut_off():
    proba = np.full((6, 6), 1 / 6) + 0.05 * (np.eye(6) - 1 / 6)
    display = ReliabilityDisplay.from_predictions(np.arange(6), {"m": proba})
    low, high = display.ax_.get_xlim()
    sure = display.results_["m"].sure
    assert low <= np.nanmin(sure) <= np.nanmax(sure) <= high == 1


def test_classifiers_are_asked(bumps, base):
    X, y = bumps
    display = ReliabilityDisplay.from_estimators({"base": base}, X[:30], y[:30])
    expected = expected_calibration_error(y[:30], base.predict_proba(X[:30]), base.classes_)
    assert display.results_["base"].error == pytest.approx(expected)


def test_labels_that_are_not_in_the_sample_are_known_from_the_classifier(bumps, base):
    X, y = bumps
    only = y == "no"
    display = ReliabilityDisplay.from_estimators({"base": base}, X[only], y[only])
    assert display.results_["base"].counts.sum() == only.sum()


def test_the_probabilities_of_one_class_are_in_bins_of_equal_size():
    """All but a few series are surely "well": bins of equal width would be one."""
    rng = np.random.default_rng(0)
    ill = np.concatenate([rng.uniform(0, 0.05, 950), rng.uniform(0.05, 0.9, 50)])
    y = np.where(rng.random(1000) < ill, "ill", "well")
    proba = np.stack([ill, 1 - ill], 1)
    display = ReliabilityDisplay.from_predictions(y, {"m": proba}, n_bins=10, pos_label="ill")
    result = display.results_["m"]
    assert result.counts.tolist() == [100] * 10
    order = np.argsort(ill).reshape(10, 100)
    np.testing.assert_allclose(result.sure, ill[order].mean(1))
    np.testing.assert_allclose(result.right, (y == "ill")[order].mean(1))
    assert result.error == pytest.approx(np.abs(result.sure - result.right).mean())
    assert (result.low <= result.right).all()
    assert (result.right <= result.high).all()
    inside = (result.low <= result.sure) & (result.sure <= result.high)
    assert inside.sum() >= 8, "the probabilities are the true ones"
    assert display.ax_.get_xlabel() == "probability of ill"
    assert display.ax_.get_ylabel() == "share of ill"
    low, high = display.ax_.get_xlim()
    assert low <= result.sure.min() <= result.sure.max() <= high
    assert sum(bar.get_height() for bar in display.counts_ax_.containers[0]) == 1000


def test_equal_probabilities_share_a_bin():
    proba = np.repeat([[0.2, 0.8], [0.7, 0.3]], [6, 4], axis=0)
    display = ReliabilityDisplay.from_predictions(
        ["a", "b"] * 5, {"m": proba}, n_bins=5, pos_label="a"
    )
    assert display.results_["m"].counts.tolist() == [6, 4, 0, 0, 0]


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 7), (40, 40), (1, 1)])
def test_intervals_are_those_of_wilson(k, n):
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    low, high = wilson(np.array([k]), np.array([n]))
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_bad_input_is_refused(bumps, base):
    X, y = bumps
    other = PrefixClassifier("fcn", max_epochs=1, random_state=0).fit(X, y == "no")
    with pytest.raises(ValueError, match=r"estimators\['b'\] has the classes \[False, True\]"):
        ReliabilityDisplay.from_estimators({"a": base, "b": other}, X, y)
    with pytest.raises(ValueError, match=r"pos_label='c' must be one of .* \['a', 'b'\]"):
        ReliabilityDisplay.from_predictions(LABELS, {"m": PROBA}, pos_label="c")
    with pytest.raises(ValueError, match="n_bins == 0"):
        ReliabilityDisplay.from_predictions(LABELS, {"m": PROBA}, n_bins=0)
    with pytest.raises(ValueError, match=r"proba has shape \(5, 2\)"):
        ReliabilityDisplay.from_predictions(LABELS[:4], {"m": PROBA})
    with pytest.raises(ValueError, match="probas is empty"):
        ReliabilityDisplay.from_predictions(LABELS, {})
