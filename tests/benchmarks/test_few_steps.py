"""Distances and records by which priors of few steps are compared."""

import json
from itertools import count, product

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import few_steps
from skgdpd.diffusion import FiLMDenoiser, FlowNetwork, MixtureDenoiser

NETWORKS = FiLMDenoiser, FlowNetwork, MixtureDenoiser


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


PRIORS = [*few_steps.CHAINS, *few_steps.FLOWS]


def write(records, rows):
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))


def known_draws():
    """Records of two widths, three seeds and all priors."""
    return [
        {"features": d, "seed": seed, "epochs": 2, "prior": name}
        | {"distances": [d + seed / 10] * 6, "fit": 3.0}
        for d, seed, name in product((3, 4), (0, 1, 2), [*few_steps.CONTROLS, *PRIORS])
    ]


def known_times():
    """Records of two widths and all priors, each with two rounds."""
    rounds = [[1.0, 2.0, 4.0, 5.0, 8.0, 16.0], [3.0, 4.0, 6.0, 7.0, 10.0, 18.0]]
    return [{"features": d, "prior": p, "microseconds": rounds} for d in (3, 4) for p in PRIORS]


def test_what_the_records_have_is_not_measured_again(tmp_path, capsys):
    draws, times = tmp_path / "draws.jsonl", tmp_path / "times.jsonl"
    write(draws, known_draws())
    write(times, known_times())
    before = draws.read_bytes(), times.read_bytes()
    found = {
        d: few_steps.by_prior(
            few_steps.compare_draws(d, [0, 2], 2, draws), few_steps.compare_times(d, 9, times)
        )
        for d in (3, 4)
    }
    assert (draws.read_bytes(), times.read_bytes()) == before
    assert list(found[4]) == [*few_steps.CONTROLS, *PRIORS]
    for name, own in found[4].items():
        np.testing.assert_allclose(own.distances, [[4.0] * 6, [4.2] * 6])
        np.testing.assert_allclose(own.fits, [3.0, 3.0])
        assert own.times.shape == (2 if name in PRIORS else 0, 6)
    few_steps.print_draws(4, found[4])
    table = capsys.readouterr().out
    assert "| flow map | " + "4.100 | " * 6 + "4.000 to 4.200 | 2.0 | 6.0 | 3.0 |" in table
    assert "| one Gaussian | " + "4.100 | " * 6 + "4.000 to 4.200 |  |  | 3.0 |" in table
    few_steps.draw_picture(found, tmp_path)
    assert (tmp_path / "steps.png").stat().st_size > 10_000


def test_the_picture_has_a_line_of_each_sampler_against_steps_and_against_times():
    found = few_steps.by_prior(
        [row for row in known_draws() if row["features"] == 4],
        [row for row in known_times() if row["features"] == 4],
    )
    figure = Figure()
    of_steps, of_times = figure.subplots(1, 2)
    few_steps.draw_lines(of_steps, of_times, found)
    for ax in (of_steps, of_times):
        labels = ax.get_legend_handles_labels()[1]
        assert len(set(labels)) == 10
        assert {"diffusion, ancestral sampling", "flow", "flow map, optimal transport"} < {*labels}
    for container in of_times.containers:
        np.testing.assert_allclose(container.lines[0].get_xdata(), [2, 3, 5, 6, 9, 17])


def test_times_are_of_one_draw(tmp_path, monkeypatch):
    monkeypatch.setattr(few_steps, "N_DRAWN", 50)
    ticks = count(step=0.002)
    monkeypatch.setattr(few_steps.time, "process_time", lambda: next(ticks))
    rows = few_steps.compare_times(3, 2, tmp_path / "times.jsonl")
    assert [row["prior"] for row in rows] == PRIORS
    for row in rows:
        # Each clocked call is one tick, of 2000 microseconds for 50 draws.
        np.testing.assert_allclose(row["microseconds"], np.full((2, 6), 40.0))


def test_draws_take_as_many_evaluations_as_steps():
    calls = []
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for name, draw in few_steps.untrained_draws(3).items():
        del calls[:]
        hook = torch.nn.modules.module.register_module_forward_hook(
            lambda module, *_: calls.append(module) if type(module) in NETWORKS else None
        )
        with hook, torch.no_grad():
            assert draw(noise, 4).shape == (4, 3)
        assert len(calls) == 4, name


def test_training_steps_have_times_and_ratios_with_quartiles(monkeypatch):
    seconds = {"DDIM": [0.8, 1.6, 0.8], "flow map": [0.4, 0.8, 0.4], None: [0.2, 0.4, 0.2]}
    given = []

    def package_program(student, prior, device, graph):
        given.append((student, prior and (prior.dynamics, prior.n_sampling_steps)))

    monkeypatch.setattr(few_steps, "package_program", package_program)
    monkeypatch.setattr(few_steps, "alternate", lambda *_, **__: list(seconds.values()))
    table = few_steps.training_table(["fcn24"], 3).splitlines()
    assert given == [("fcn24", ("diffusion", 5)), ("fcn24", ("flow-map", 1)), ("fcn24", None)]
    cells = table[-1].strip("| ").split(" | ")
    assert cells[1:3] == ["100.0 (100.0 to 150.0)", "50.0 (50.0 to 75.0)"]
    assert cells[4:] == ["0.50 (0.50 to 0.50)", "0.25 (0.25 to 0.25)", "0.33 (0.33 to 0.33)"]
    assert table[0].count("|") == table[-1].count("|")


def test_another_number_of_epochs_is_another_record(tmp_path):
    row = {"features": 3, "seed": 0, "epochs": 2, "prior": "DDIM"}
    write(tmp_path / "draws.jsonl", [row])
    wanted = {"features": 3, "seed": 0}
    assert few_steps.read(tmp_path / "draws.jsonl", [{**wanted, "epochs": 2}]) == [row]
    assert few_steps.read(tmp_path / "draws.jsonl", [{**wanted, "epochs": 60}]) == []
