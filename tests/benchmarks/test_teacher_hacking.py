"""Teacher hacking: what is compared with what, when it counts as hacking, and a tiny run."""

import json

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import teacher_hacking

needs_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn before 1.9"
)


class Fixed:
    def __init__(self, proba):
        self.proba = proba

    def predict_proba(self, X):
        return self.proba


@pytest.fixture(scope="module")
def world():
    return teacher_hacking.make_world(0, n_labelled=30, n_test=12)


def test_a_student_like_the_teacher_is_as_far_from_the_truth_as_the_teacher(world):
    near, far = teacher_hacking.measure(world, Fixed(world.taught))
    assert near == 0
    assert far == pytest.approx(world.facts["teacher to truth, first part"])
    assert far > 0


def test_the_truth_is_at_no_distance_from_itself(world):
    assert teacher_hacking.measure(world, Fixed(world.truth))[1] == 0
    seen = world.prefixes.shape[2]
    exact = teacher_hacking.make_classes().predict_proba(world.prefixes)
    np.testing.assert_allclose(world.truth, exact[:, seen - 1])


def test_what_the_teacher_says_of_first_parts_is_its_mean_over_whole_series(world):
    classes = teacher_hacking.make_classes()
    for i in range(3):
        many, _ = classes.complete(np.repeat(world.prefixes[i : i + 1], 4000, 0), random_state=i)
        expected = world.teacher.predict_proba(many).mean(0)
        error = 5 * 0.5 / teacher_hacking.N_COMPLETIONS**0.5
        np.testing.assert_allclose(world.taught[i], expected, atol=error)


@pytest.mark.parametrize(
    ("near", "far", "hacked"),
    [
        ([5, 3, 1, 1, 1], [5, 2, 3, 3, 3], True),
        ([5, 3, 4, 4, 4], [5, 2, 3, 3, 3], False),  # overfitted: farther from both
        ([5, 3, 1, 1, 1], [5, 4, 2, 2, 2], False),  # nearer to both
        ([5, 3, 2, 2, 1], [5, 4, 4, 4, 2], False),  # best at the end: nothing came after
    ],
)
def test_hacking_is_nearer_to_the_teacher_and_farther_from_the_truth(near, far, hacked):
    rows = [[i, a, 9.0, b] for i, (a, b) in enumerate(zip(near, far, strict=True))]
    assert teacher_hacking.is_hacking(rows, 1) == hacked
    assert not teacher_hacking.is_hacking(rows, 2)  # that distance is the same throughout


@needs_callbacks
def test_a_run_measures_students_after_equal_numbers_of_steps(world):
    for n_unlabelled in (0, 50):
        found = teacher_hacking.run(world, "Hinton", n_unlabelled, seed=0, n_steps=8)
        steps, *distances = np.array(found["rows"]).T
        assert (np.diff(steps) > 0).all()
        assert abs(steps[-1] - 8) <= 3
        assert np.isfinite(distances).all()
        assert (np.array(distances) >= 0).all()


@pytest.mark.slow
@needs_callbacks
def test_a_run_of_gendd_measures_its_draws_too(world):
    found = teacher_hacking.run(world, "GenDD's head", 0, seed=0, n_steps=2)
    assert set(found["sampled"]) == set(teacher_hacking.SAMPLED)


@needs_callbacks
def test_the_program_goes_on_where_it_was_and_draws(world, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.setattr(teacher_hacking, "METHODS", ("no teacher", "Hinton"))
    monkeypatch.setattr(teacher_hacking, "N_UNLABELLED", (0, 40))
    monkeypatch.setattr(teacher_hacking, "make_world", lambda seed: world)
    store = tmp_path / "store.json"
    arguments = [str(store), "--seeds", "0", "--steps", "4", "--picture", str(tmp_path)]
    teacher_hacking.main(arguments)
    first = capsys.readouterr().out
    assert set(json.loads(store.read_text())) == {
        "0 teacher", "0 0 no teacher", "0 0 Hinton", "0 40 Hinton",
    }  # fmt: skip
    assert (tmp_path / "curves.png").stat().st_size
    monkeypatch.delattr(teacher_hacking, "run")
    teacher_hacking.main(arguments)
    again = capsys.readouterr().out
    assert again == first[first.index("accuracy of") :]
