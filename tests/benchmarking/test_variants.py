"""Kinds of methods of a benchmark: those with other parameters than the defaults, and LuPTS."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from skgdpd import LuPTSClassifier
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.commands import make_parser
from skgdpd.benchmarking.evaluation import run_cell
from skgdpd.benchmarking.kinds import FORMS, KINDS, LISTED, find_kind
from skgdpd.benchmarking.methods import make_method
from skgdpd.benchmarking.teacher_choice import FOLDS, TEACHERS
from skgdpd.datasets import make_bumps
from skgdpd.distillers import Distiller

PAGE = Path(__file__).parents[2] / "docs" / "reproducing.md"
X, Y = make_bumps(70, 20, random_state=0)
LUPTS = [name for name, kind in LISTED.items() if kind.make is LuPTSClassifier]
VARIANTS = [
    name
    for name, kind in FORMS["[:STUDENT[:TEACHER]]"].items()
    if issubclass(kind.make, Distiller) and kind.settings
]
CHOICE = "hinton-chosen"


def made(method, **kwargs):
    ((_, model),) = make_method(Cell("a", method, 0.5, **kwargs), None, "cpu")
    return model


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_is_its_class_with_its_settings(kind):
    clf = made(f"{kind}:fcn:rocket").clf
    _, cls, settings, written = KINDS[kind]
    assert written == f"`{clf.distiller!r}`".replace("'", '"')
    assert (clf.student, clf.teacher, type(clf.distiller)) == ("fcn", "rocket", cls)
    clf.distiller._validate_params()
    own, default = clf.distiller.get_params(deep=False), cls().get_params(deep=False)
    assert {name for name in own if own[name] != default[name]} == set(settings)


def test_a_search_leaves_the_settings_of_a_variant():
    cell = Cell("a", "hinton-js:fcn:rocket", 0.5, search=True)
    tries = list(make_method(cell, None, "cpu"))
    assert [params for params, _ in tries] == [
        {"distiller__lambda_kd": value} for value in (0.1, 1.0, 10.0)
    ]
    assert {model.clf.distiller.divergence for _, model in tries} == {"js"}
    assert made("hinton-js").clf.distiller.lambda_kd == 1


def test_help_and_error_name_each_kind(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["run", "--help"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for name, kind in LISTED.items():
        assert f"{name:21} {kind.words}" in lines
    with pytest.raises(ValueError, match="'nothing' is not a method") as error:
        made("nothing")
    assert ", ".join(LISTED) in str(error.value)


def test_each_kind_has_its_own_words():
    assert sum(map(len, FORMS.values())) == len(KINDS)
    assert len({kind.words for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("name", [*LISTED, "hinton", "skgdpd.distillers.Hinton"])
def test_a_method_has_no_more_parts_than_its_kind_takes(name):
    _, form = find_kind(name)
    backbones = ["rocket"] * form.count(":")
    next(make_method(Cell("a", ":".join([name, *backbones]), 0.5), None, "cpu"))
    method = ":".join([name, *backbones, "rocket"])
    with pytest.raises(ValueError, match=re.escape(f"{method}'; it must be {name}{form}") + "$"):
        made(method)


@pytest.mark.parametrize("normalize", ["train", "prefix", "none"])
@pytest.mark.parametrize("kind", LUPTS)
def test_lupts_sees_no_future(kind, normalize):
    model = made(kind, normalize=normalize)
    model.fit(X[:30], Y[:30], X[30:50])
    expected = model.predict_proba(X[50:])
    np.testing.assert_allclose(expected.sum(1), 1)
    changed = X[50:].copy()
    changed[:, :, 10:] = 1e6
    np.testing.assert_array_equal(model.predict_proba(changed), expected)


@pytest.mark.parametrize("normalize", ["train", "prefix"])
@pytest.mark.parametrize("kind", LUPTS)
def test_level_and_scale_have_no_effect_on_lupts_after_normalisation(kind, normalize):
    found = []
    for own in (X, 4 * X + 8):
        model = made(kind, normalize=normalize)
        model.fit(own[:30], Y[:30], own[30:50])
        found.append(model.predict_proba(own[50:]))
    np.testing.assert_allclose(*found, atol=1e-3)


def test_only_the_chain_learns_from_what_follows_the_prefix():
    later = X.copy()
    later[:, :, 10:] = np.random.default_rng(0).normal(size=later[:, :, 10:].shape)
    for kind, equal in [("lupts-direct", True), ("lupts-rocket-direct", True), ("lupts", False)]:
        found = []
        for own in (X, later):
            model = made(kind, normalize="none")
            model.clf.set_params(share=1.0)
            model.fit(own[:30], Y[:30], own[30:50])
            found.append(model.predict_proba(X[50:]))
        assert np.array_equal(*found) == equal, kind


@pytest.mark.parametrize("normalize", ["train", "prefix", "none"])
@pytest.mark.parametrize("kind", LUPTS)
def test_lupts_takes_gaps_and_series_that_end(kind, normalize):
    gappy = X.astype(np.float32)
    gappy[::2, :, 5] = np.nan
    gappy[1::2, :, 9:13] = np.nan  # on both sides of the end of the prefix
    gappy[::3, :, 15:] = np.nan
    gappy[7] = np.nan
    model = made(kind, normalize=normalize)
    model.fit(gappy[:30], Y[:30], gappy[30:50])
    proba = model.predict_proba(gappy[50:])
    assert np.isfinite(proba).all()
    changed = gappy[50:].copy()
    changed[:, :, 10:] = 1e6
    np.testing.assert_array_equal(model.predict_proba(changed), proba)


def test_lupts_leaves_a_whole_record(tmp_path):
    np.savez(tmp_path / "B.npz", X_train=X[:30], y_train=Y[:30], X_test=X[30:], y_test=Y[30:])
    cell = Cell("B", "lupts", 0.9, setting="unlabelled", search=True)
    record = run_cell(cell, str(tmp_path), None, "cpu")
    assert record.error is None, record.error
    (found,) = record.candidates
    assert found["params"] == {}
    assert found["metrics"]["accuracy"] > 0.9


def by_hand(X_unlabeled):
    """Return the teacher with the lowest log loss over folds, and its student's probabilities."""
    losses = {name: [] for name in TEACHERS}
    for train, left_out in StratifiedKFold(FOLDS).split(X[:60], Y[:60]):
        for name in TEACHERS:
            clf = made(f"hinton:fcn:{name}", seed=3).clf.set_params(max_epochs=2)
            clf.fit(X[:60][train], Y[:60][train], X_unlabeled=X_unlabeled)
            proba = clf.predict_proba(X[:60][left_out])
            losses[name].append(log_loss(Y[:60][left_out], proba, labels=[0, 1]))
    best = min(TEACHERS, key=lambda name: np.mean(losses[name]))
    clf = made(f"hinton:fcn:{best}", seed=3).clf.set_params(max_epochs=2)
    return best, clf.fit(X[:60], Y[:60], X_unlabeled=X_unlabeled).predict_proba(X[60:])


@pytest.mark.parametrize("X_unlabeled", [None, X[60:]], ids=["labels", "unlabelled"])
def test_the_chosen_teacher_has_students_with_the_lowest_left_out_loss(X_unlabeled):
    model = made(f"{CHOICE}:fcn", seed=3)
    model.clf.set_params(max_epochs=2)
    names = np.array(["no", "yes"])
    model.fit(X[:60], names[Y[:60]], X_unlabeled)
    best, expected = by_hand(X_unlabeled)
    assert model.chosen == {"teacher": best}
    assert list(model.classes) == ["no", "yes"]
    np.testing.assert_allclose(model.predict_proba(X[60:]), expected, atol=1e-5)
    assert model.teacher_proba(X[60:]).shape == (10, 2)


def test_a_record_names_the_chosen_teacher(tmp_path):
    np.savez(tmp_path / "B.npz", X_train=X[:30], y_train=Y[:30], X_test=X[30:], y_test=Y[30:])
    cell = Cell("B", f"{CHOICE}:rocket", 0.5, setting="unlabelled", search=True)
    record = run_cell(cell, str(tmp_path), None, "cpu")
    assert record.error is None, record.error
    (found,) = record.candidates
    assert found["params"]["teacher"] in TEACHERS
    assert found["metrics"]["teacher_accuracy"] > 0.5


def test_the_page_on_benchmarks_has_each_kind():
    rows = PAGE.read_text().split("| method | what it is |")[1].split("\n\n")[0]
    assert set(LISTED) <= set(re.findall(r"`([a-z0-9-]+)`", rows))
