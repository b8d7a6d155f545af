"""FeatureSpaceDisplay: coordinates against scikit-learn's, restoration against the prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier
from skgdpd.diffusion import LinearGaussian
from skgdpd.distillers import GDPD, TeKAP
from skgdpd.plotting import FeatureSpaceDisplay
from skgdpd.plotting.restoration import least_squares, restore

RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.normal(size=(2, 12, 4))
DRAWS = RNG.normal(size=(12, 5, 4))


def offsets(display, name):
    (line,) = [line for line in display.ax_.lines if line.get_label() == name]
    return np.column_stack(line.get_data())


def test_the_plane_is_that_of_the_teachers_principal_components():
    y = np.array(["b", "a", "b"] * 4)
    display = FeatureSpaceDisplay.from_features(TEACHER, STUDENT, DRAWS, y)
    pca = PCA(2).fit(TEACHER)
    np.testing.assert_allclose(display.teacher_, pca.transform(TEACHER))
    np.testing.assert_allclose(display.student_, pca.transform(STUDENT))
    for i in range(12):
        np.testing.assert_allclose(display.draws_[i], pca.transform(DRAWS[i]))
    for label in ("a", "b"):
        rows = y == label
        np.testing.assert_array_equal(
            offsets(display, f"{label}: teacher"), display.teacher_[rows]
        )
        np.testing.assert_array_equal(
            offsets(display, f"{label}: student"), display.student_[rows]
        )
        drawn = offsets(display, f"{label}: draws")
        np.testing.assert_array_equal(drawn, display.draws_[rows].reshape(-1, 2))
    (arrows,) = display.ax_.collections
    np.testing.assert_array_equal(arrows.get_offsets(), display.student_)
    ends = arrows.get_offsets() + np.column_stack([arrows.U, arrows.V])
    np.testing.assert_allclose(ends, display.draws_.mean(1))
    share = 100 * pca.explained_variance_ratio_
    assert f"({share[0]:.0f} %)" in display.ax_.get_xlabel()
    assert f"({share[1]:.0f} %)" in display.ax_.get_ylabel()


def test_classes_differ_in_markers_and_roles_in_filling():
    display = FeatureSpaceDisplay.from_features(TEACHER, STUDENT, DRAWS, np.arange(12) % 3)
    by_label = {line.get_label(): line for line in display.ax_.lines}
    assert len({by_label[f"{k}: teacher"].get_marker() for k in range(3)}) == 3
    for k in range(3):
        teacher, student = by_label[f"{k}: teacher"], by_label[f"{k}: student"]
        assert teacher.get_marker() == student.get_marker()
        assert student.get_markerfacecolor() == "white"
        assert teacher.get_markerfacecolor() != "white"
    plain = FeatureSpaceDisplay.from_features(TEACHER, STUDENT, DRAWS)
    assert {line.get_label() for line in plain.ax_.lines} == {"teacher", "student", "draws"}


def test_tsne_places_everything_the_same_each_time():
    displays = [
        FeatureSpaceDisplay.from_features(TEACHER, STUDENT, DRAWS, projection="tsne")
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(display.draws_ for display in displays))
    assert displays[0].teacher_.shape == displays[0].student_.shape == (12, 2)
    assert np.isfinite(displays[0].draws_).all()


def test_what_is_shown_of_a_classifier_is_what_its_parts_say(bumps, gdpd):
    X, y = bumps
    display = FeatureSpaceDisplay.from_estimator(gdpd, X[:20], y[:20], n_draws=7, random_state=3)
    codes = gdpd.prior_.encode(gdpd.teacher_.embed(X[:20]))
    np.testing.assert_array_equal(display.teacher, codes)
    assert display.draws.shape == (20, 7, codes.shape[1])
    again = FeatureSpaceDisplay.from_estimator(gdpd, X[:20], y[:20], n_draws=7, random_state=3)
    np.testing.assert_array_equal(display.draws, again.draws)
    other = restore(gdpd, X[:20], n_draws=7, random_state=4)
    assert not np.array_equal(display.draws, other.draws)
    known = gdpd.distillation_.degradation.measurement
    observed = gdpd.embed(X[:20]).astype(float)
    # The place is the likeliest one in the directions that are measured.
    latent = gdpd.distillation_.degradation.latent
    moments = latent.mean.double().numpy(), latent.covariance.double().numpy()
    np.testing.assert_allclose(display.student, least_squares(observed, known, *moments))


def test_drawing_changes_nothing(bumps, gdpd):
    X, _ = bumps
    before = {k: v.clone() for k, v in gdpd.distillation_.state_dict().items()}
    proba = gdpd.predict_proba(X)
    restore(gdpd, X)
    for name, tensor in gdpd.distillation_.state_dict().items():
        assert (tensor == before[name]).all()
    np.testing.assert_array_equal(gdpd.predict_proba(X), proba)


def test_the_papers_place_is_that_from_which_its_chain_starts(bumps, fit_gdpd):
    import torch

    clf = fit_gdpd("learned-alpha")
    X, _ = bumps
    seen = restore(clf, X)
    mapped = clf.distillation_.degradation.map(torch.from_numpy(clf.embed(X))).detach()
    np.testing.assert_allclose(seen.student, mapped, atol=1e-6)


def test_a_prior_that_is_told_nothing_leaves_the_student_at_the_mean(bumps, fit_gdpd):
    clf = fit_gdpd("none")
    seen = restore(clf, bumps[0])
    mean = clf.distillation_.degradation.latent.mean.numpy()
    np.testing.assert_allclose(seen.student, np.tile(mean, (len(bumps[0]), 1)), rtol=1e-6)


@given(st.integers(0, 50))
def test_a_measurement_without_noise_is_undone(seed):
    rng = np.random.default_rng(seed)
    z, A, b = rng.normal(size=(6, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    known = LinearGaussian(A, b, 1e-10 * np.eye(5))
    found = least_squares(z @ A.T + b, known, np.ones(3), np.eye(3))
    np.testing.assert_allclose(found, z, atol=1e-3)


def test_directions_that_are_not_measured_stay_at_the_mean():
    known = LinearGaussian(np.array([[1.0, 0.0]]), np.zeros(1), 0.01 * np.eye(1))
    found = least_squares(np.array([[5.0]]), known, np.array([1.0, 2.0]), np.eye(2))
    np.testing.assert_allclose(found, [[5.0, 2.0]])


def test_priors_inside_other_distillers_and_searches_are_found(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(encoder="pca", max_epochs=3)
    clf = DistilledPrefixClassifier(
        TeKAP(GDPD(prior)), student="fcn", max_epochs=3, random_state=0
    )
    search = GridSearchCV(clf, {"earliness": [0.5]}, cv=2).fit(X, y)
    assert restore(search, X[:4], n_draws=2).draws.shape[:2] == (4, 2)


def test_pairs_of_parts_and_wholes(bumps, gdpd):
    X, y = bumps
    part = X[:, :, :15]
    clf = clone(gdpd).fit(part, y, X_teacher=X)
    seen = restore(clf, part, X)
    np.testing.assert_array_equal(seen.teacher, clf.prior_.encode(clf.teacher_.embed(X)))


def test_a_classifier_without_a_prior_is_refused(bumps, base):
    with pytest.raises(ValueError, match="estimator=PrefixClassifier has no diffusion prior"):
        FeatureSpaceDisplay.from_estimator(base, *bumps)


def test_on_every_device(bumps, fit_gdpd, device):
    clf = fit_gdpd(device=device)
    assert np.isfinite(restore(clf, bumps[0]).draws).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"student": STUDENT[:, :3]}, r"student \(12, 3\) and draws"),
        ({"draws": DRAWS[:5]}, r"draws \(5, 5, 4\)"),
        ({"draws": TEACHER}, r"draws has shape \(12, 4\); it must have shape \(n, n_draws, d\)"),
        ({"teacher": TEACHER * np.nan}, "teacher holds NaN or infinity"),
        ({"y": [1, 2]}, r"y has shape \(2,\); with 12 series it must be \(12,\)"),
        ({"projection": "umap"}, "projection='umap'; allowed are 'pca' and 'tsne'"),
    ],
)
def test_bad_features_are_refused(change, words):
    given = {"teacher": TEACHER, "student": STUDENT, "draws": DRAWS, **change}
    with pytest.raises(ValueError, match=words):
        FeatureSpaceDisplay(**given)


def test_a_plane_takes_two_features():
    with pytest.raises(ValueError, match="two series and two features"):
        FeatureSpaceDisplay(TEACHER[:, :1], STUDENT[:, :1], DRAWS[:, :, :1])
    with pytest.raises(ValueError, match="n_draws == 0"):
        restore(GDPD, TEACHER, n_draws=0)
