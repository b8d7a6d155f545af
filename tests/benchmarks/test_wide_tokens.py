"""The world in which wide features are generated, and what is measured there."""

import numpy as np
import pytest
import torch

import wide_tokens


@pytest.fixture(scope="module")
def world():
    return wide_tokens.World(256, seed=0)


def test_conditions_are_the_true_probabilities_of_classes(world):
    p = world.conditions(3)
    drawn = np.array([world.classes(np.repeat(row[None], 20_000, 0)) for row in p])
    shares = np.stack([(drawn == k).mean(1) for k in range(wide_tokens.N_CLASSES)], 1)
    np.testing.assert_allclose(shares, p, atol=0.02)


def test_features_of_a_class_have_its_centre_and_variance_one(world):
    z = world.features(np.full(5000, 2))
    np.testing.assert_allclose(z.mean(0), world.centres[2], atol=0.08)
    np.testing.assert_allclose(z.var(0).mean(), 1, atol=0.05)
    # Noise that coordinates have in common: the first components have most of the variance.
    power = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
    assert power[: wide_tokens.N_COMMON].sum() > 0.4 * power.sum()


def test_the_classifier_knows_the_centres(world):
    logits = world.head(torch.from_numpy(world.centres).float()).detach()
    torch.testing.assert_close(logits.diagonal(), torch.full((5,), wide_tokens.LOGIT))
    assert (logits.argmax(1) == torch.arange(5)).all()


def test_the_distance_of_a_shift_is_its_length_on_the_directions():
    a = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert wide_tokens.sliced_distance(a, a.flip(0), 0) == 0
    shift = torch.tensor([0.3, -1.0, 2.0])
    found = [wide_tokens.sliced_distance(a, (a + k * shift).flip(0), 0) for k in (1, 2)]
    assert found[1] == pytest.approx(2 * found[0], rel=1e-4)
    assert wide_tokens.sliced_distance(a[:, :1], a[:, :1] - 3, 0) == pytest.approx(3, rel=1e-5)


def test_mixtures_of_two_classes_are_not_near_a_centre(world):
    centres = world.centres
    true = centres[:, None] + 0.01 * np.random.default_rng(0).normal(size=(5, 4, 256))
    assert wide_tokens._near(true, centres, true) > 0.9
    halves = (centres[:1, None] + centres[1:2, None]) / 2
    assert wide_tokens._near(halves, centres, true) == 0


def test_the_answer_to_true_features_is_nearly_the_condition(world):
    p = world.conditions(100)
    y = world.classes(np.repeat(p, 200, 0))
    moved = world.centres[y].reshape(100, 200, 256)
    answers = wide_tokens._answers(world.head, moved, p)
    assert answers["accuracy"] == pytest.approx(p.max(1).mean(), abs=0.02)
    entropy = -(p * np.log(p)).sum(1).mean()
    assert entropy <= answers["log_loss"] < entropy + 0.1


def test_a_generator_is_trained_and_compared():
    found = wide_tokens.run(64, "split", "v", 0.9, 16, 1, 20, seed=0)
    assert set(found) == {"draws", wide_tokens.TRUE}
    assert found[wide_tokens.TRUE]["near"] > 0.9
    assert found["draws"]["distance"] > found[wide_tokens.TRUE]["distance"]


def test_the_spread_of_two_seeds_divides_by_one():
    assert wide_tokens.mean_and_spread([1.0, 3.0], 2) == "2.00 ± 1.41"
    assert wide_tokens.mean_and_spread([2.0], 1) == "2.0"
    assert wide_tokens.mean_and_spread([], 1) == ""
