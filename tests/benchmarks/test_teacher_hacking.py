"""Teacher hacking: what is compared with what, when it counts as hacking, and a tiny run."""

from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

import teacher_hacking
from skgdpd import GDPDClassifier

ROOT = Path(__file__).parents[2]
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


def test_the_best_and_the_end_of_a_training():
    rows = [[1, 5.0, 3.0], [2, 4.0, 2.0], [4, 3.0, 6.0], [8, 1.0, 8.0]]
    np.testing.assert_allclose(teacher_hacking.summary(rows, 2), [2, 4, 2, 2, 7])
    np.testing.assert_allclose(teacher_hacking.summary(rows, 1), [2, 4, 2, 1, 8])
    assert teacher_hacking.is_hacking(rows, 1, n_last=2)
    assert not teacher_hacking.is_hacking(rows, 1, n_last=3)  # its best moment is in the end
    assert teacher_hacking.left_truth(rows, 1, n_last=3)


@pytest.mark.parametrize(("steps", "max_epochs"), [(4, 150), (13, 46), (66, 9), (1, 2), (30, 2)])
def test_draws_are_measured_after_ascending_lengths_up_to_the_whole_training(steps, max_epochs):
    lengths = teacher_hacking.draw_lengths(steps, max_epochs)
    assert lengths == sorted(set(lengths))
    assert 1 <= lengths[0]
    assert lengths[-1] == max_epochs
    assert len(lengths) <= teacher_hacking.N_LENGTHS


@needs_callbacks
def test_a_run_measures_students_after_equal_numbers_of_steps(world):
    for n_unlabelled in (0, 50):
        found = teacher_hacking.run(world, "Hinton", n_unlabelled, seed=0, n_steps=8)
        steps, *distances = np.array(found["rows"]).T
        assert (np.diff(steps) > 0).all()
        assert abs(steps[-1] - 8) <= 3
        assert np.isfinite(distances).all()
        assert (np.array(distances) >= 0).all()


@needs_callbacks
@pytest.mark.parametrize("method", teacher_hacking.ANSWERS)
def test_a_shorter_training_is_the_start_of_a_longer_one(world, method, monkeypatch):
    make = teacher_hacking.make_student
    head = {"deploy": "student_head"}
    monkeypatch.setattr(teacher_hacking, "make_student", lambda *a: make(*a).set_params(**head))
    more = world.unlabelled[:20]
    heard = teacher_hacking.Distances(world, world.X, [2])
    teacher_hacking.fit_student(world, method, more, 0, 3, heard)
    short = teacher_hacking.fit_student(world, method, more, 0, 2)
    ((_, _, *expected),) = heard.rows
    assert teacher_hacking.measure(world, short) == expected


def test_the_default_of_gdpd_with_unlabelled_series_has_the_term_of_hinton(world):
    student = teacher_hacking.make_student("GDPD and Hinton", world.teacher, 50)
    own = student._make_distiller(has_unlabelled=True)
    default = GDPDClassifier(prior=student.prior)._make_distiller(has_unlabelled=True)
    assert repr(own) == repr(default)
    assert default.hinton_weight == own.hinton_weight == 1


@pytest.mark.slow
@needs_callbacks
@pytest.mark.parametrize("method", teacher_hacking.ANSWERS)
def test_a_run_of_gendd_measures_its_draws_after_several_lengths(world, method, monkeypatch):
    monkeypatch.setattr("skgdpd.distillers.generator.AUTO_MIN_EPOCHS", 1)
    monkeypatch.setattr("skgdpd.distillers.generator.AUTO_STEPS", 1)
    found = teacher_hacking.run(world, method, 0, seed=0, n_steps=100)
    assert set(found["answers"]) == set(teacher_hacking.ANSWERS[method])
    for rows in found["answers"].values():
        assert [row[0] for row in rows] == [20, 45, 100]


@needs_callbacks
def test_the_program_goes_on_where_it_was_and_draws(world, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.setattr(teacher_hacking, "METHODS", ("no teacher", "Hinton"))
    monkeypatch.setattr(teacher_hacking, "FAMILIES", {"both": ("no teacher", "Hinton")})
    monkeypatch.setattr(teacher_hacking, "N_UNLABELLED", (0, 40))
    monkeypatch.setattr(teacher_hacking, "make_world", lambda seed: world)
    store = tmp_path / "store.jsonl"
    arguments = [str(store), "--seeds", "0", "--steps", "4", "--picture", str(tmp_path)]
    teacher_hacking.main(arguments)
    first = capsys.readouterr().out
    found = teacher_hacking.read_store(store)
    assert found.facts == {0: world.facts}
    assert set(found.runs) == {(0, 0, "no teacher"), (0, 0, "Hinton"), (0, 40, "Hinton")}
    assert (tmp_path / "curves.png").stat().st_size
    monkeypatch.delattr(teacher_hacking, "run")
    teacher_hacking.main(arguments)
    again = capsys.readouterr().out
    assert again == first[first.index("accuracy of") :]


def test_the_table_of_the_page_is_that_of_the_stored_records(capsys):
    results = ROOT / "docs" / "results"
    teacher_hacking.main([str(results / "teacher-hacking" / "records.jsonl"), "--report"])
    page = (results / "teacher-hacking.md").read_text()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 30
    assert [row for row in rows if row not in page] == []


def test_a_report_of_an_interrupted_store_says_how_many_seeds_there_are(tmp_path, capsys):
    store = tmp_path / "store.jsonl"
    rows = [[1, 0.2, 0.2, 0.4], [2, 0.1, 0.1, 0.3]]
    own = {"rows": rows, "answers": {}, "seconds": 60.0}
    for seed in (0, 1):
        teacher_hacking.append(store, {"seed": seed, "facts": {"accuracy": 0.5}})
    teacher_hacking.append(store, {"seed": 0, "unlabelled": 0, "method": "Hinton", **own})
    teacher_hacking.main([str(store), "--report", "--seeds", "0", "1"])
    table = capsys.readouterr().out
    assert "| 0 | Hinton (1 of 2 seeds) | 2 | 0.10 | 0.10 | 0.30 |" in table
    assert "0 of 1 trainings" in table
    assert "GDPD" not in table
