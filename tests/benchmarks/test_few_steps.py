"""Distances and records by which priors of few steps are compared."""

import json

import numpy as np
import pytest

import few_steps


def test_the_sliced_distance_of_a_shift_is_its_length_on_the_lines():
    a = np.random.default_rng(0).normal(size=(50, 3))
    shift = np.array([0.3, -1.0, 2.0])
    lines = np.random.default_rng(0).normal(size=(3, 200))
    lines /= np.linalg.norm(lines, axis=0)
    expected = np.sqrt(np.square(shift @ lines).mean())
    found = few_steps.sliced_wasserstein(a, np.random.default_rng(1).permutation(a + shift))
    assert found == pytest.approx(expected)


def test_draws_of_the_mixture_have_its_moments():
    mixture = few_steps.Mixture(3, seed=0)
    Z = mixture.draw(100_000, np.random.default_rng(0))
    mean = mixture.weights @ mixture.means
    spread = mixture.means - mean
    covariance = np.einsum("k,ki,kj->ij", mixture.weights, spread, spread)
    covariance += np.einsum("k,kij->ij", mixture.weights, mixture.covariances)
    np.testing.assert_allclose(Z.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(Z.T), covariance, atol=0.1)


def test_what_the_records_have_is_not_measured_again(tmp_path):
    names = [*few_steps.CONTROLS, *few_steps.CHAINS, *few_steps.FLOWS]
    own = {"epochs": 2, "step": 0.5, "fit": 3.0}
    rows = [
        {**own, "features": d, "seed": seed, "prior": name, "distances": [d + seed / 10] * 6}
        for d in (3, 4)
        for seed in (0, 1, 2)
        for name in names
    ]
    records = tmp_path / "draws.jsonl"
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = records.read_bytes()
    found = {d: few_steps.by_prior(few_steps.compare_draws(d, [0, 2], 2, records)) for d in (3, 4)}
    assert records.read_bytes() == before
    assert set(found[4]) == set(names)
    for table in found[4].values():
        np.testing.assert_allclose(table, [[4.0] * 6 + [0.5, 3.0], [4.2] * 6 + [0.5, 3.0]])
    few_steps.draw_picture(found, tmp_path)
    assert (tmp_path / "steps.png").stat().st_size > 10_000


def test_another_number_of_epochs_is_another_record(tmp_path):
    row = {"features": 3, "seed": 0, "epochs": 2, "prior": "DDIM"}
    (tmp_path / "draws.jsonl").write_text(json.dumps(row) + "\n")
    assert few_steps.read(tmp_path / "draws.jsonl", [(3, 0, 2)]) == [row]
    assert few_steps.read(tmp_path / "draws.jsonl", [(3, 0, 60)]) == []
