"""The public checks: sound classifiers pass them, and each finds out what it is for."""

import os
import re
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
import torch
from broken_classifiers import BROKEN, NearestMean
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sktime.classification.distance_based import KNeighborsTimeSeriesClassifier
from sktime.dists_kernels import FlatDist, ScipyDist

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
)
from skgdpd.testing import (
    check_names,
    check_prefix_classifier,
    example_series,
    on_prefix,
    parametrize_with_prefix_checks,
    prefix_classifier_checks,
)
from skgdpd.testing.commands import main, make_classifier
from skgdpd.testing.subject import Subject

SMALL = {"student": "lstm1-8", "max_epochs": 2}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
NAMES = check_names()


def statuses(estimator, **options):
    results = check_prefix_classifier(estimator, on_fail=None, **options)
    assert [result.check for result in results] == NAMES
    return {result.check: result.status for result in results}


def names_with(status, found):
    return [name for name, other in found.items() if other == status]


def test_there_are_many_checks_and_each_says_what_it_is_for():
    assert len(NAMES) >= 60
    summaries = [c.summary for _, c in prefix_classifier_checks(NearestMean())]
    assert len(set(summaries)) == len(NAMES)
    assert all(summary.endswith(".") for summary in summaries)


@parametrize_with_prefix_checks(
    [
        PrefixClassifier(**SMALL),
        DistilledPrefixClassifier(**SMALL),
        GDPDClassifier(**SMALL, prior=PRIOR),
        GenDDClassifier(
            **SMALL, generator=GeneratorOptions(hidden=16, max_epochs=2), n_sampling_steps=4
        ),
    ]
)
def test_our_classifiers(estimator, check):
    try:
        check(estimator)
    except SkipTest as skip:  # none may be left out
        raise AssertionError(str(skip)) from skip


def test_a_sound_classifier_passes_every_check():
    assert names_with("passed", statuses(NearestMean())) == NAMES


def test_for_every_check_there_is_a_classifier_that_fails_it():
    assert sorted(BROKEN) == sorted(NAMES)


@pytest.mark.parametrize(
    ("check", "cls"),
    [(check, cls) for check, classes in BROKEN.items() for cls in classes],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_classifier_fails_just_the_check_that_is_for_it(check, cls):
    results = check_prefix_classifier(cls(), on_fail=None)
    failed = {r.check: r.reason for r in results if r.status == "failed"}
    assert list(failed) == [check], failed


def test_what_one_broken_check_leaves_behind_does_not_reach_the_next():
    before = dict(os.environ), torch.is_grad_enabled(), np.geterr()
    for check in (name for name in NAMES if "untouched" in name):
        for cls in BROKEN[check]:
            check_prefix_classifier(cls(), on_fail=None)
    assert (dict(os.environ), torch.is_grad_enabled(), np.geterr()) == before


def test_failures_are_raised_together_warned_of_or_only_returned():
    broken = BROKEN["check_silence"][0]()
    with pytest.raises(AssertionError, match=r"Talks failed 1 of \d+ .*\n  check_silence: print"):
        check_prefix_classifier(broken)
    with pytest.warns(UserWarning, match="check_silence: printed: 'fitted"):
        check_prefix_classifier(broken, on_fail="warn")
    seen = []
    results = check_prefix_classifier(broken, on_fail=None, callback=seen.append)
    assert seen == results
    (failed,) = (result for result in results if result.status == "failed")
    assert isinstance(failed.exception, AssertionError)


def test_expected_failures_do_not_raise_and_keep_their_reason():
    reason = {"check_silence": "it is talkative", "check_clone": "but this one holds"}
    results = check_prefix_classifier(BROKEN["check_silence"][0](), expected_failed_checks=reason)
    by_name = {result.check: result for result in results}
    assert by_name["check_silence"].status == "expected"
    assert by_name["check_silence"].reason == "it is talkative"
    assert by_name["check_clone"].status == "passed"


@pytest.mark.parametrize(
    "run", [check_prefix_classifier, lambda e, **o: parametrize_with_prefix_checks([e], **o)]
)
def test_unknown_names_of_checks_are_refused(run):
    with pytest.raises(ValueError, match=r"names \['check_speling'\]"):
        run(NearestMean(), expected_failed_checks={"check_speling": "no"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_fail": "ignore"}, "on_fail='ignore' must be"),
        ({"X": np.zeros((4, 1, 9))}, "give both X and y"),
        ({"X": np.zeros((4, 1, 9)), "y": [0, 1, 0]}, "4 series and y 3 labels"),
        ({"X": np.zeros(4), "y": [0, 1, 0, 1]}, "1 dimensions"),
        ({"prefix_length": 41}, "prefix_length=41 must be between 1 and the 40"),
    ],
)
def test_bad_arguments_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        check_prefix_classifier(NearestMean(), **options)


def test_a_class_is_no_estimator():
    with pytest.raises(TypeError, match="is a class; give an instance"):
        check_prefix_classifier(NearestMean)


def test_expected_failures_are_strict_marks_in_pytest():
    mark = parametrize_with_prefix_checks(
        [NearestMean(), BROKEN["check_silence"][0]()],
        expected_failed_checks=lambda e: (
            {} if type(e) is NearestMean else {"check_silence": "it is talkative"}
        ),
    ).mark
    names, cases = mark.args
    assert names == ("estimator", "check")
    assert len(cases) == 2 * len(NAMES)
    assert len({case.id for case in cases}) == len(cases)
    marked = [case for case in cases if case.marks]
    assert [case.id for case in marked] == ["Talks1-check_silence"]
    assert marked[0].marks[0].kwargs == {"reason": "it is talkative", "strict": True}


def test_without_a_prefix_checks_of_it_are_skipped_with_the_reason():
    X, y = example_series()
    results = check_prefix_classifier(KNeighborsClassifier(1), X=X[:, 0], y=y, on_fail=None)
    skipped = {r.check: r.reason for r in results if r.status == "skipped"}
    for name in ("check_future_random", "check_future_missing", "check_future_huge"):
        assert "whole series" in skipped[name]
    assert "earliness" in skipped["check_bad_earliness_refused"]
    assert "table" in skipped["check_several_channels"]


@pytest.mark.parametrize(
    "estimator",
    [
        on_prefix(NearestMean(earliness=1.0), 12),
        make_pipeline(PrefixTruncator(0.3), NearestMean(earliness=1.0)),
        make_pipeline(PrefixTruncator(0.5), NearestMean(earliness=12)),
        GridSearchCV(NearestMean(), {"earliness": [0.3]}, cv=2),
    ],
    ids=lambda e: type(e).__name__,
)
def test_the_prefix_is_found_in_compositions(estimator):
    X, y = example_series()
    assert Subject(estimator).prefix(clone(estimator).fit(X, y)) == 12
    found = statuses(estimator)
    assert names_with("failed", found) == []
    assert {n for n, s in found.items() if s == "passed"} >= {
        "check_future_random",
        "check_future_missing",
        "check_future_huge",
    }


def test_a_composition_that_looks_further_than_it_says_is_found_out():
    scaled = make_pipeline(
        FunctionTransformer(lambda X: X - X.mean(-1, keepdims=True)), NearestMean()
    )
    found = statuses(scaled)
    assert found["check_future_random"] == "failed"


def test_own_data_are_used():
    rng = np.random.default_rng(0)
    y = np.repeat(["b", "a"], 8)
    X = rng.normal(size=(16, 2, 30)) + (y == "a")[:, None, None]
    assert names_with("passed", statuses(NearestMean(), X=X, y=y)) == NAMES


def sktime_nearest(length):
    return on_prefix(KNeighborsTimeSeriesClassifier(1, distance=FlatDist(ScipyDist())), length)


def test_checks_run_on_sktime_classifiers():
    wanted = {"check_future_random": True, "check_a_series_alone": True, "check_clone": True}
    wanted["check_bad_earliness_refused"] = False
    for estimator, check in prefix_classifier_checks(sktime_nearest(12), prefix_length=12):
        if check.name in wanted:
            if wanted[check.name]:
                check(estimator)
            else:
                with pytest.raises(SkipTest, match="no parameter earliness"):
                    check(estimator)


def test_a_wrong_prefix_length_of_a_sktime_classifier_is_found_out():
    _, check = next(prefix_classifier_checks(sktime_nearest(30), prefix_length=12))
    with pytest.raises(AssertionError, match="other numbers after the prefix"):
        check(sktime_nearest(30))


@pytest.mark.slow
def test_every_check_runs_on_a_sktime_classifier():
    found = statuses(sktime_nearest(12), prefix_length=12)
    assert len(names_with("passed", found)) >= 55


def test_the_tag_of_missing_values_tells_what_is_taken():
    for missing, taken in (("error", False), ("mask", True), ("interpolate", True)):
        clf = PrefixClassifier(**SMALL, series=SeriesOptions(missing_values=missing))
        assert get_tags(clf).input_tags.allow_nan is taken


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["mask", "interpolate"])
def test_missing_values_that_are_taken_need_not_be_refused(missing):
    found = statuses(PrefixClassifier(**SMALL, series=SeriesOptions(missing_values=missing)))
    assert names_with("failed", found) == []
    assert names_with("skipped", found) == [
        "check_unequal_prefixes_refused",
        "check_nan_refused_at_fit",
        "check_nan_refused_at_predict",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"student": "inception"},
        {"student": "resnet"},
        {"student": "fcn", "normalize": "prefix"},
        {"series__resample_length": 20},
        {"earliness": 10},
        {"training__validation_fraction": 0.0, "class_weight": "balanced"},
        {"max_epochs": 4, "training__early_stopping": 1},
        {"earliness": PrefixTruncator(0.3)},
    ],
    ids=str,
)
def test_other_settings_of_ours(params):
    found = statuses(PrefixClassifier().set_params(**{**SMALL, **params}))
    assert names_with("passed", found) == NAMES


@pytest.mark.slow
def test_checks_run_on_aeon_classifiers():
    aeon = pytest.importorskip("aeon.classification.distance_based")
    nearest = on_prefix(aeon.KNeighborsTimeSeriesClassifier("euclidean"), 12)
    found = statuses(nearest)
    assert len(names_with("passed", found)) >= 55
    assert found["check_future_missing"] == "passed"


def test_the_guide_counts_right():
    text = (Path(__file__).parents[1] / "docs" / "testing.md").read_text()
    assert f"holds {len(NAMES)} checks" in text
    rows = re.findall(
        r"^\| (?:sktime|aeon) \w+ \| (\d+) \| (\d+) \| (\d+) \| (.*) \|$", text, re.M
    )
    assert len(rows) == 10
    for *counts, failed in rows:
        assert sum(map(int, counts)) == len(NAMES)
        names = [f"check_{name}" for name in re.findall(r"`(\w+)`", failed)]
        assert len(names) == int(counts[1])
        assert set(names) <= set(NAMES)


# --- the command


def test_the_command_prints_a_line_a_check(capsys):
    assert main(["broken_classifiers.NearestMean"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["passed", name] for name in NAMES]
    assert last == f"{len(NAMES)} passed, 0 failed, 0 do not apply"


def test_the_command_prints_a_table_of_several(capsys):
    assert main(["broken_classifiers.NearestMean(earliness=0.5)", "broken_classifiers.Warns"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert rows[2] == f"| broken_classifiers NearestMean | {len(NAMES)} | 0 | 0 | none |"
    assert (
        rows[3]
        == f"| broken_classifiers Warns | {len(NAMES) - 1} | 1 | 0 | `no_nuisance_warnings` |"
    )


def test_the_command_lists_the_checks(capsys):
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == NAMES


@pytest.mark.parametrize(
    "text",
    [
        "nowhere.Class",
        "broken_classifiers.Nothing",
        "broken_classifiers.shifted",
        "NearestMean",
        "broken_classifiers.NearestMean(0.3)",
        "broken_classifiers.NearestMean(earliness=open('x'))",
        "broken_classifiers.NearestMean(colour=1)",
        "not python",
    ],
)
def test_the_command_says_what_it_cannot_make(text, capsys):
    assert main([text]) == 2
    assert capsys.readouterr().err.startswith("skgdpd: ")


def test_names_are_made_into_instances():
    made = make_classifier("broken_classifiers.NearestMean(earliness=0.5)")
    assert (type(made), made.earliness) == (NearestMean, 0.5)
    sktime_made = make_classifier("sktime.classification.dummy.DummyClassifier")
    assert type(sktime_made).__name__ == "DummyClassifier"
