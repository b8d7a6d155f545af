"""Uses of a prior: parts are disjoint, gains are paired, and a store is not run twice."""

import json
import warnings

import numpy as np
import pytest

import prior_use
from prior_use import collect, divide, paired_gains, read_store, scores, table
from skgdpd import GDPDClassifier, TrainingOptions
from skgdpd.datasets import TrainTest


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
    gains = paired_gains(known(), "labels", "fcn24", "gdpd", "auc_prc")
    np.testing.assert_allclose(gains, [0.1, -0.3])  # no Hinton of C to pair with
    shown = table(known(), "labels", "fcn24")
    assert "-0.1000 ± 0.2000" in shown
    assert "| gdpd | 3 |" in shown


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

    def run_one(parts, setting, student, variant, seed, memory):
        asked.append((setting, variant, seed))
        return {variant: {"auc_prc": 0.5}}

    monkeypatch.setattr(prior_use, "run_one", run_one)
    for _ in range(2):
        collect(folder, [("A", "labels", "fcn24", 0)], ["none", "hinton"], store)
    assert asked == [("labels", "hinton", 0)]
    assert read_store(store)["A", "labels", "fcn24", "none", 0] == {"auc_prc": 1.0}


def test_restored_features_give_probabilities():
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"])[np.arange(24) % 2]
    X = rng.normal(size=(24, 1, 20)).astype(np.float32) + (y == "b")[:, None, None]
    clf = GDPDClassifier(
        student="fcn24",
        prior=prior_use.default_prior(max_epochs=2),
        max_epochs=2,
        training=TrainingOptions(validation_fraction=0),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, y)
    proba = prior_use.restored_proba(clf, X[:5])
    np.testing.assert_allclose(proba.sum(1), 1)
    # Noise is shared between series, so a series has the same answer in any company.
    np.testing.assert_allclose(prior_use.restored_proba(clf, X[:2]), proba[:2], atol=1e-5)
