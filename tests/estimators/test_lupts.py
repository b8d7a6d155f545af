"""LuPTS: maps from moment to moment, and the classifier that is made of them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score

from skgdpd import LuPTSClassifier, load
from skgdpd._fitting.chain import LinearMap, chain_map, ridge_map

SEEDS = st.integers(0, 1000)


def linear_system(rng, n, transition, beta, noise=1.0, label_noise=1.0):
    """States of a linear Gaussian system at each moment, and the target."""
    states = [rng.normal(size=(n, len(beta)))]
    for matrix in transition:
        states.append(states[-1] @ matrix + noise * rng.normal(size=(n, len(beta))))
    y = states[-1] @ beta + label_noise * rng.normal(size=(n, 1))
    return states, y


# Maps


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.floats(1e-3, 10))
def test_a_ridge_map_is_that_of_scikit_learn(seed, penalty):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, 4)) + 3, rng.normal(size=(12, 2))
    found = ridge_map(x, y, [penalty])
    expected = Ridge(alpha=penalty).fit(x, y)
    np.testing.assert_allclose(found.weight, expected.coef_.T, atol=1e-8)
    np.testing.assert_allclose(found(x), expected.predict(x), atol=1e-8)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_the_penalty_is_that_of_the_least_left_out_error(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(15, 5))
    y = x @ rng.normal(size=(5, 2)) + rng.normal(size=(15, 2))
    penalties = [0.01, 1.0, 100.0]
    found = ridge_map(x, y, penalties)
    errors = []
    for penalty in penalties:
        rows = np.arange(15)
        left = [ridge_map(x[rows != i], y[rows != i], [penalty])(x[i : i + 1]) for i in rows]
        errors.append(np.mean((np.concatenate(left) - y) ** 2))
    expected = RidgeCV([penalties[int(np.argmin(errors))]]).fit(x, y)
    np.testing.assert_allclose(found.weight, expected.coef_.T, atol=1e-8)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_maps_compose(seed):
    rng = np.random.default_rng(seed)
    first, second = (LinearMap(rng.normal(size=(3, 3)), rng.normal(size=3)) for _ in range(2))
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(first.then(second)(x), second(first(x)))


def test_a_chain_of_one_moment_is_the_direct_fit():
    rng = np.random.default_rng(0)
    states, y = linear_system(rng, 20, [], np.ones((3, 1)))
    chain, direct = chain_map(states, y, np.arange(20), [1.0]), ridge_map(states[0], y, [1.0])
    np.testing.assert_array_equal(chain.weight, direct.weight)


def test_a_system_without_noise_is_recovered():
    rng = np.random.default_rng(0)
    transition = [rng.normal(size=(3, 3)) for _ in range(3)]
    beta = rng.normal(size=(3, 1))
    states, y = linear_system(rng, 20, transition, beta, noise=0.0, label_noise=0.0)
    # Six labelled series and fourteen others.
    found = chain_map(states, y[:6], np.arange(6), [0.0])
    np.testing.assert_allclose(found.weight, np.linalg.multi_dot([*transition, beta]), atol=1e-8)


def excess_risks(n, n_unlabelled, n_repeats, seed):
    """Excess risks of the direct fit, of the chain, and of the chain with unlabelled series."""
    rng = np.random.default_rng(seed)
    transition = [0.7 * np.eye(4) + 0.2 * rng.normal(size=(4, 4)) for _ in range(2)]
    beta = rng.normal(size=(4, 1))
    truth = np.linalg.multi_dot([*transition, beta])
    risks = []
    for _ in range(n_repeats):
        states, y = linear_system(rng, n + n_unlabelled, transition, beta)
        own = [state[:n] for state in states]
        known = np.arange(n)
        found = [
            ridge_map(own[0], y[:n], [0.0]),
            chain_map(own, y[:n], known, [0.0]),
            chain_map(states, y[:n], known, [0.0]),
        ]
        # For inputs of unit covariance the excess risk is the squared error of the map.
        risks.append([np.sum((m.weight - truth) ** 2) + np.sum(m.bias**2) for m in found])
    return np.array(risks)


@pytest.mark.parametrize("n", [12, 40])
def test_the_expected_risk_in_linear_gaussian_systems_is_not_worse_than_the_direct_fits(n):
    direct, chain, more = excess_risks(n, n_unlabelled=100, n_repeats=600, seed=n).T
    for better, worse in ((chain, direct), (more, chain)):
        gap = worse - better
        assert gap.mean() > 2 * gap.std() / np.sqrt(len(gap))


# The classifier


def noisy_series(n, seed=0):
    """Series that follow a random walk, whose end decides on the class."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2, 12)).cumsum(2)
    y = np.where(X[:, 0, -1] - X[:, 1, -1] + 0.3 * rng.normal(size=n) > 0, "up", "down")
    return X, y


@pytest.mark.parametrize("penalty", [0.1, "left-out"])
def test_with_one_moment_all_shares_are_the_direct_fit(penalty):
    X, y = noisy_series(60)
    settings = {"n_moments": 1, "earliness": 0.5, "penalty": penalty, "random_state": 0}
    direct, chain, blend = (
        LuPTSClassifier(share=share, **settings).fit(X, y).predict_proba(X)
        for share in (0.0, 1.0, "left-out")
    )
    np.testing.assert_allclose(direct, chain)
    np.testing.assert_allclose(direct, blend)


@pytest.mark.parametrize("features", ["values", "rocket"])
def test_it_predicts_from_first_parts_alone_and_learns(features):
    X, y = noisy_series(300)
    clf = LuPTSClassifier(0.5, features=features, random_state=0).fit(X[:200], y[:200])
    assert clf.time_points_.tolist() == [6, 8, 10, 12]
    proba = clf.predict_proba(X[200:])
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(proba, clf.predict_proba(X[200:, :, :6]))
    changed = X[200:].copy()
    changed[:, :, 6:] = 7.0
    np.testing.assert_array_equal(proba, clf.predict_proba(changed))
    # At best three of four are right: the walk is half-way.
    assert clf.score(X[:200], y[:200]) > 0.6
    if features == "values":
        assert clf.score(X[200:], y[200:]) > 0.6
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[clf.predict_proba(X).argmax(1)])


def test_unlabelled_series_move_the_chain_and_not_the_direct_fit():
    X, y = noisy_series(150)
    for share in (0.0, 1.0):
        clf = LuPTSClassifier(0.5, share=share, penalty=0.01, random_state=0)
        alone = clone(clf).fit(X[:40], y[:40])
        more = clone(clf).fit(X[:40], y[:40], X_unlabeled=X[40:])
        # Labels alone decide on directions: the features are standardised by all series.
        a, b = alone.predict_proba(X), more.predict_proba(X)
        assert np.abs(a - b).max() < (0.2 if share == 0 else 1.0)
        assert not np.allclose(a, b) if share else True


def test_the_share_is_the_one_of_the_least_left_out_loss():
    # At the end nothing is left of what the prefix tells, so the chain is lost.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1, 12))
    y = (X[:, 0, :4].sum(1) > 0).astype(int)
    clf = LuPTSClassifier(4 / 12, random_state=0).fit(X[:100], y[:100])
    assert clf.share_ <= 0.2
    assert clf.score(X[100:], y[100:]) > 0.85


def test_the_same_seed_gives_the_same_bits_and_pickles_predict():
    X, y = noisy_series(60)
    first, again = (LuPTSClassifier(random_state=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    opened = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(first.predict_proba(X), opened.predict_proba(X))


@pytest.mark.parametrize("features", ["values", "rocket"])
@pytest.mark.parametrize("n", [20, 60])  # fewer series than values of a prefix, and more
def test_model_files_keep_it_to_the_last_bit(features, n, tmp_path):
    X, y = noisy_series(60)
    first = LuPTSClassifier(1.0, 1, features=features, random_state=3).fit(X[:n], y[:n])
    first.save(tmp_path / "model")
    opened = load(tmp_path / "model")
    np.testing.assert_array_equal(first.decision_function(X), opened.decision_function(X))
    np.testing.assert_array_equal(first.predict(X), opened.predict(X))
    assert opened.get_params() == first.get_params()
    opened.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
    again = opened.fit(X[:n], y[:n])
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


def test_scores_of_two_classes_are_a_column_and_of_more_a_matrix():
    X, y = noisy_series(60)
    clf = LuPTSClassifier(0.5, random_state=0).fit(X, y)
    scores = clf.decision_function(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), clf.predict_proba(X)[:, 1])
    found = cross_val_score(clf, X, y, scoring="roc_auc", cv=2)
    assert np.isfinite(found).all()
    three = clf.fit(X, np.arange(60) % 3).decision_function(X)
    assert three.shape == (60, 3)


def test_columns_are_counted_and_named():
    pandas = pytest.importorskip("pandas")
    X, y = noisy_series(40)
    assert LuPTSClassifier().fit(X, y).n_features_in_ == 2
    frame = pandas.DataFrame(X[:, 0], columns=[f"t{i}" for i in range(12)])
    clf = LuPTSClassifier(0.5).fit(frame, y)
    assert clf.n_features_in_ == 12
    assert clf.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="X has 13 features"):
        clf.predict(np.ones((2, 13)))
    with pytest.raises(ValueError, match=r"feature names|columns"):
        clf.predict(frame.iloc[:, ::-1])


def test_scores_that_are_not_finite_are_refused():
    X, y = noisy_series(30)
    clf = LuPTSClassifier(0.5).fit(X, y)
    clf._scores.linear.weight[:] = 1e308
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="series 0, whose scores"):
        clf.predict_proba(1e6 * X)


def test_it_is_searched():
    X, y = noisy_series(60)
    search = GridSearchCV(LuPTSClassifier(random_state=0), {"n_moments": [1, 3]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.4


def holed(X):
    X = X.copy()
    X[0, 0, 3] = np.nan
    return X


def ended(X):
    X = X.copy()
    X[0, :, 8:] = np.nan
    return X


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda X, y: (holed(X), y), "missing|NaN"),
        (lambda X, y: (ended(X), y), "unequal length"),
        (lambda X, y: (X, y[:-1]), "equally many"),
        (lambda X, y: (X, np.array(["a"] * len(y))), "two classes"),
        (lambda X, y: (X, np.array(["a"] * (len(y) - 1) + ["b"])), r"\['b'\] have one series"),
        (lambda X, y: (X, np.array([None, *y[1:]], dtype=object)), "X_unlabeled"),
        (lambda X, y: (X, np.array([np.inf, *np.arange(len(y) - 1) % 2])), "y contains infinity"),
    ],
)
def test_what_it_can_t_learn_from_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        LuPTSClassifier().fit(*change(*noisy_series(20)))


def test_refused_gaps_and_labels_are_told_in_its_own_terms():
    X, y = noisy_series(20)
    clf = LuPTSClassifier(0.5).fit(X, y)
    calls = {
        "X": (lambda: clone(clf).fit(holed(X), y), lambda: clf.predict(holed(X))),
        "X_unlabeled": (lambda: clone(clf).fit(X, y, X_unlabeled=holed(X)),),
    }
    for name, of_name in calls.items():
        for call in of_name:
            with pytest.raises(ValueError, match=f"^{name} contains NaN.* series 0") as caught:
                call()
            assert "series__missing_values" not in str(caught.value)  # it has no such parameter
    with pytest.raises(ValueError, match=r"^y: Unknown label type: continuous"):
        clone(clf).fit(X, np.linspace(0.1, 0.9, 20))
    with pytest.raises(ValueError, match="requires y to be passed"):
        clone(clf).fit(X, None)


@pytest.mark.parametrize("features", ["values", "rocket"])
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_unit_of_the_values_does_not_matter(features, scale):
    X, y = noisy_series(24)
    clf = LuPTSClassifier(0.5, features=features, random_state=0)
    expected = clone(clf).fit(X, y).predict_proba(X)
    found = clf.fit(scale * X, y).predict_proba(scale * X)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("features", ["values", "rocket"])
def test_constant_series_teach_the_shares_of_the_classes_alone(features):
    X, y = np.ones((40, 1, 20)), np.repeat(["a", "b"], 20)
    proba = LuPTSClassifier(features=features, random_state=0).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(proba, 0.5, atol=1e-6)


def test_series_of_another_shape_are_refused():
    X, y = noisy_series(30)
    clf = LuPTSClassifier(0.5).fit(X, y)
    short = X[:2].copy()
    short[:, :, 4:] = np.nan
    one_short = X[:2].copy()
    one_short[0, :, 4:] = np.nan
    for other, text in (
        (X[:, :1], "channels"),
        (X[:, :, :4], "the first 6 are needed"),
        (short, "fewer than 6"),
        (one_short, "fewer than 6"),
    ):
        with pytest.raises(ValueError, match=text):
            clf.predict_proba(other)
    with pytest.raises(ValueError, match="X_unlabeled"):
        clf.fit(X, y, X_unlabeled=X[:, :, :8])
