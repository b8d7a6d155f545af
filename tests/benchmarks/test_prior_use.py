"""Uses of a prior: parts are disjoint, gains are paired, and a store is not run twice."""

import json
import warnings

import numpy as np
import pytest
import torch

import prior_use
from conditional_prior import ConditionalPrior
from left_out_pairs import FoldFeatures, LeftOutPairs, fold_features, turned
from prior_use import (
    LabelledPrior,
    SharedPrior,
    adjusted_p,
    collect,
    default_prior,
    divide,
    noise_table,
    paired_gains,
    read_store,
    scores,
    table,
    wanted,
)
from skgdpd import DistilledPrefixClassifier, TrainingOptions
from skgdpd.datasets import TrainTest
from skgdpd.diffusion import LinearMeasurement
from skgdpd.distillers import GDPD, Hinton


def parts(n=24):
    X = np.arange(n * 6, dtype=np.float32).reshape(n, 1, 6)
    y = np.array(["a", "b"])[np.arange(n) % 2]
    return TrainTest(X, y, np.full((3, 1, 6), np.nan, dtype=np.float32), np.array(["a"] * 3))


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_disjoint_and_cover_the_training_part(seed):
    whole = parts()
    few, all_labels = (divide(whole, s, seed) for s in ("unlabelled", "labels"))
    np.testing.assert_array_equal(few.X_scored, all_labels.X_scored)
    assert all_labels.pool is None
    assert len(few.pool) == len(few.X) == 8
    used = np.concatenate([few.X, few.pool, few.X_scored])
    np.testing.assert_array_equal(np.sort(used[:, 0, 0]), whole.X[:, 0, 0])


def test_certain_and_right_probabilities_have_the_best_scores():
    y, classes = np.array(["a", "b", "a", "b"]), np.array(["a", "b"])
    right = scores(y, np.eye(2)[[0, 1, 0, 1]], classes)
    assert right == {"auc_prc": 1.0, "accuracy": 1.0, "log_loss": 0.0}
    even = scores(y, np.full((4, 2), 0.5), classes)
    assert even["log_loss"] == pytest.approx(np.log(2))


def known():
    def of(gain):
        return {"auc_prc": 0.5 + gain, "accuracy": 0.5, "log_loss": 1.0}

    where = ("labels", "fcn24")
    return {
        ("A", *where, "hinton", 0): of(0.0),
        ("A", *where, "hinton", 1): of(0.1),
        ("A", *where, "gdpd", 0): of(0.2),
        ("A", *where, "gdpd", 1): of(0.1),
        ("B", *where, "hinton", 0): of(0.3),
        ("B", *where, "gdpd", 0): of(0.0),
        ("C", *where, "gdpd", 0): of(0.4),
    }


def test_gains_are_paired_by_set_and_seed():
    gains = paired_gains(known(), "labels", ["fcn24"], "gdpd", "auc_prc")
    np.testing.assert_allclose(gains, [0.1, -0.3])  # no Hinton of C to pair with
    shown = table(known(), "labels", ["fcn24"])
    assert "-0.1000 ± 0.2000" in shown
    assert "| gdpd | 3 | 4 |" in shown


def test_a_set_counts_once_however_many_students_it_has():
    both = known()
    for seed, gain in [(0, 0.6), (1, 0.8)]:
        of_hinton = both["A", "labels", "fcn24", "hinton", seed]
        own = {**of_hinton, "auc_prc": of_hinton["auc_prc"] + gain}
        both["A", "labels", "mixed", "hinton", seed] = of_hinton
        both["A", "labels", "mixed", "gdpd", seed] = own
    gains = paired_gains(both, "labels", ["fcn24", "mixed"], "gdpd", "auc_prc")
    np.testing.assert_allclose(gains, [(0.1 + 0.7) / 2, -0.3])
    shown = table(both, "labels", ["fcn24", "mixed"])
    assert shown.splitlines()[1] == "fcn24, mixed, labels:"
    assert "+0.0500 ± 0.3500" in shown


def test_gains_are_against_the_variant_asked_for():
    gains = paired_gains(known(), "labels", ["fcn24"], "hinton", "auc_prc", "gdpd")
    np.testing.assert_allclose(gains, [-0.1, 0.3])
    assert "less gdpd's" in table(known(), "labels", ["fcn24"], "gdpd")


def test_p_values_are_adjusted_for_the_number_of_variants():
    scores_of = {"auc_prc": 0.5, "accuracy": 0.5, "log_loss": 1.0}
    alone = {}
    for i in range(8):
        alone[str(i), "labels", "fcn24", "hinton", 0] = scores_of
        better = {**scores_of, "auc_prc": 0.6 + 0.01 * i}
        alone[str(i), "labels", "fcn24", "gdpd", 0] = better
    first = adjusted_p(alone, "labels", ["fcn24"], "hinton")["gdpd", "auc_prc"]
    assert first == pytest.approx(2 / 2**8)  # all signs are equal
    none = {(*k[:3], "none", 0): scores_of for k in alone}
    found = adjusted_p(alone | none, "labels", ["fcn24"], "hinton")
    assert found["gdpd", "auc_prc"] == pytest.approx(2 * first)
    assert found["none", "auc_prc"] == 1


def test_noise_is_shown_by_kinds_of_pairs():
    own = known()
    assert noise_table(own, "labels", ["fcn24"]) == ""
    shares = {"own": 1.0, "turned": 0.5, "left_out": 0.25}
    for name, factor in (("A", 1), ("B", 2), ("C", 4)):
        own[name, "labels", "fcn24", "gdpd", 0] |= {
            f"{kind}_{pairs}": factor * share
            for kind in ("noise", "variance")
            for pairs, share in shares.items()
        }
    lines = noise_table(own, "labels", ["fcn24"]).splitlines()
    assert lines[1] == "Noise of 3 fits, fcn24, labels:"
    assert lines[-1] == "| left_out | 0.50 (0.25 to 1.00) | 0.50 (0.25 to 1.00) |"


def test_what_equals_the_default_is_not_run_with_labels_only():
    variants = ["gdpd", "labelled-prior", "gdpd-alone"]
    assert list(wanted("labels", variants, [])) == ["gdpd"]
    assert list(wanted("unlabelled", variants, [])) == variants
    assert wanted("labels", ["gdpd"], ["gdpd"]) == {"gdpd": ["gdpd", "gdpd, restored"]}


def test_a_store_is_gone_on_with_and_not_run_twice(tmp_path, monkeypatch):
    folder, store = tmp_path / "sets", tmp_path / "store.jsonl"
    folder.mkdir()
    whole = parts()
    names = ("X_train", "y_train", "X_test", "y_test")
    np.savez(folder / "A.npz", **dict(zip(names, whole, strict=True)))
    store.write_text(
        json.dumps(
            {
                "set": "A",
                "setting": "labels",
                "student": "fcn24",
                "variant": "none",
                "seed": 0,
                "scores": {"auc_prc": 1.0},
            }
        )
        + "\n"
    )
    asked = []

    def run_one(parts, setting, student, variant, seed, memory, restore):
        asked.append((setting, variant, seed, restore))
        return {variant: {"auc_prc": 0.5}, variant + ", restored": {"auc_prc": 0.4}}

    monkeypatch.setattr(prior_use, "run_one", run_one)
    case = ("A", "labels", "fcn24", 0)
    for _ in range(2):
        collect(folder, [case], ["none", "hinton"], [], store)
    assert asked == [("labels", "hinton", 0, False)]
    for restored in ([], ["gdpd"], ["gdpd"]):
        collect(folder, [case], ["gdpd"], restored, store)
    assert asked[1:] == [("labels", "gdpd", 0, False), ("labels", "gdpd", 0, True)]
    assert len(store.read_text().splitlines()) == 4  # none, hinton, gdpd, and gdpd, restored
    assert read_store(store)["A", "labels", "fcn24", "none", 0] == {"auc_prc": 1.0}


def bumps(n=24):
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"])[np.arange(n) % 2]
    X = rng.normal(size=(n, 1, 20)).astype(np.float32) + (y == "b")[:, None, None]
    return X, y


SETTINGS = {
    "student": "fcn24",
    "max_epochs": 2,
    "training": TrainingOptions(validation_fraction=0),
    "random_state": 0,
}


@pytest.mark.parametrize("distiller", [GDPD(default_prior(max_epochs=2)), ConditionalPrior()])
def test_restored_features_give_probabilities(distiller):
    X, y = bumps()
    clf = DistilledPrefixClassifier(distiller, **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, y)
    proba = prior_use.restored_proba(clf, X[:5])
    np.testing.assert_allclose(proba.sum(1), 1)
    # Noise is shared between series, so a series has the same answer in any company.
    np.testing.assert_allclose(prior_use.restored_proba(clf, X[:2]), proba[:2], atol=1e-5)


def test_a_prior_of_labelled_series_is_the_default_without_others_and_differs_with_some():
    X, y = bumps(36)
    prior = default_prior(max_epochs=2)

    def fitted(distiller, pool):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return DistilledPrefixClassifier(distiller, **SETTINGS).fit(X[:24], y[:24], pool)

    alone, own = fitted(GDPD(prior), None), fitted(LabelledPrior(prior), None)
    np.testing.assert_array_equal(alone.predict_proba(X), own.predict_proba(X))
    fewer, every = (
        fitted(cls(prior), X[24:]).distillation_.prior for cls in (LabelledPrior, GDPD)
    )
    # The prior of the labelled series does not depend on the others.
    states = [p.latent_.state_dict() for p in (fewer, alone.distillation_.prior, every)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


@pytest.mark.parametrize("degradation", ["matched-noise", "none"])
def test_a_shared_prior_gives_the_bits_of_its_own(degradation, tmp_path):
    X, y = bumps()
    tmp_path.chmod(0o700)
    prior = default_prior(max_epochs=2, degradation=degradation)
    other = default_prior(max_epochs=2, degradation="linear-gaussian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        DistilledPrefixClassifier(SharedPrior(other), memory=tmp_path, **SETTINGS).fit(X, y)
        shared, own = (
            DistilledPrefixClassifier(cls(prior), memory=tmp_path, **SETTINGS).fit(X, y)
            for cls in (SharedPrior, GDPD)
        )
    assert shared.distillation_.prior.degradation == degradation
    np.testing.assert_array_equal(shared.predict_proba(X), own.predict_proba(X))


def rotation(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def linear_networks(n=3000, n_folds=5):
    """Linear students and teachers that have each memorised their training rows.

    Left out, a student has the noise R. On its training rows the noise is ten times smaller. The
    networks of a fold are the final ones in coordinates of their own.
    """
    rng = np.random.default_rng(0)
    A, root = rng.normal(size=(3, 4)), 0.5 * rng.normal(size=(3, 3))
    z, noise = rng.normal(size=(n, 4)), rng.normal(size=(n, 3)) @ root.T
    unseen, own = z @ A.T + noise, z @ A.T + 0.1 * noise
    numbers = np.arange(n) % n_folds
    student, teacher = [], []
    for k in range(n_folds):
        known = np.where((numbers == k)[:, None], unseen, own)
        student.append((known + rng.normal(size=3)) @ rotation(rng, 3))
        teacher.append((z + rng.normal(size=4)) @ rotation(rng, 4))
    return z, own, unseen, FoldFeatures(numbers, np.stack(student), np.stack(teacher)), A, root


def test_pairs_of_left_out_features_have_the_noise_of_new_series():
    z, own, unseen, folds, A, root = linear_networks()
    codes = turned(folds.teacher, folds.numbers, z)
    features = turned(folds.student, folds.numbers, own)
    np.testing.assert_allclose(codes, z, atol=1e-9)
    np.testing.assert_allclose(features, unseen, atol=1e-9)
    found = LinearMeasurement(codes).fit(features)
    np.testing.assert_allclose(found.A, A, atol=0.05)
    np.testing.assert_allclose(found.R, root @ root.T, atol=0.05)
    memorised = LinearMeasurement(z).fit(own)
    np.testing.assert_allclose(memorised.R, 0.01 * root @ root.T, atol=0.001)


def test_without_the_turn_the_pairs_of_several_networks_have_too_much_noise():
    z, _, _, folds, _, root = linear_networks()
    rows = np.arange(len(z))
    mixed = (own[folds.numbers, rows] for own in (folds.teacher, folds.student))
    found = LinearMeasurement(next(mixed)).fit(next(mixed))
    assert np.trace(found.R) > 2 * np.trace(root @ root.T)


def warm(distiller, **changed):
    return DistilledPrefixClassifier(distiller, **{**SETTINGS, **changed})


def test_networks_without_a_fold_do_not_depend_on_its_series():
    X, y = bumps()
    pool = X[:7] + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = fold_features(warm(Hinton(lambda_kd=0.0)), X, y, pool, 0)
        out = first.numbers == 2
        changed = np.concatenate([X, pool])
        changed[out] += 5
        second = fold_features(warm(Hinton(lambda_kd=0.0)), changed[:-7], y, changed[-7:], 0)
    assert first.numbers.shape == (len(y) + 7,)
    np.testing.assert_array_equal(first.numbers, second.numbers)
    assert np.bincount(first.numbers).max() - np.bincount(first.numbers).min() <= 1
    for a, b in ((first.student, second.student), (first.teacher, second.teacher)):
        np.testing.assert_allclose(a[2][~out], b[2][~out], atol=1e-6)
        assert not np.allclose(a[1][~out], b[1][~out], atol=1e-6)


@pytest.mark.parametrize("pool", [None, bumps()[0][:7] + 1])
def test_pairs_of_networks_that_equal_the_final_ones_are_those_of_gdpd(pool):
    X, y = bumps(48)
    prior = default_prior(max_epochs=2, degradation="linear-gaussian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = warm(GDPD(prior)).fit(X, y, pool)
        every = X if pool is None else np.concatenate([X, pool])
        z, own = plain.teacher_.embed(every), plain.embed(every)
        folds = FoldFeatures(np.arange(len(every)) % 5, np.stack([own] * 5), np.stack([z] * 5))
        clf = warm(LeftOutPairs(prior, folds=folds)).fit(X, y, pool)
    distillation = clf.distillation_
    np.testing.assert_allclose(distillation.teacher_features, z, atol=1e-5)
    calibrated = distillation.calibrated.double().numpy()
    measured = distillation.degradation.measurement
    np.testing.assert_allclose(measured.R, distillation.measure(calibrated).R)
    distillation.folds = FoldFeatures(folds.numbers, np.stack([calibrated] * 5), np.stack([z] * 5))
    noise = distillation.noise()
    assert noise["variance_own"] == 1
    for name in ("noise", "variance"):
        assert noise[f"{name}_turned"] == pytest.approx(noise[f"{name}_left_out"])
        assert noise[f"{name}_left_out"] == pytest.approx(noise[f"{name}_own"], rel=1e-3)


def test_features_of_other_rows_are_refused():
    X, y = bumps()
    prior = default_prior(max_epochs=2, degradation="linear-gaussian")
    few = FoldFeatures(np.arange(3), np.zeros((3, 3, 2)), np.zeros((3, 3, 2)))
    for folds, given in ((None, "folds=None"), (few, "folds=features of 3 rows")):
        with pytest.raises(ValueError, match=f"{given}, and the training has 24 rows"):
            warm(LeftOutPairs(prior, folds=folds)).fit(X, y)
