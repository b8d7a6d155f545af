"""Settings of the computation: where they hold, and how they reach joblib's workers."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import sklearn
from noting import OTHERS, make_classifier, note, without
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    PrefixClassifier,
    config_context,
    get_config,
    load,
    set_config,
)
from skgdpd._runtime.config import ALLOWED, FACTORY
from skgdpd._runtime.worker_config import IN_PICKLES

WRONG = {
    "choose_threads": ["yes", 1, 0.0],
    "convolution_method": ["fft", True, ("auto",)],
    "cuda_graphs": ["on", 1, 1.5, "True"],
    "data_parallel": ["all", 2],
    "fused_adam": ["no", 0],
}


@pytest.fixture(autouse=True)
def restored():
    yield
    set_config(**FACTORY)


# Where settings hold


def test_a_process_starts_with_the_documented_values():
    assert get_config() == FACTORY
    for name, value in FACTORY.items():
        assert value in ALLOWED[name]


def test_get_config_gives_a_copy():
    get_config()["fused_adam"] = False
    assert get_config()["fused_adam"] is True


@pytest.mark.parametrize("name", OTHERS)
def test_a_context_changes_its_settings_and_restores_them(name):
    with config_context(**{name: OTHERS[name]}):
        assert get_config() == {**FACTORY, name: OTHERS[name]}
    assert get_config() == FACTORY
    with pytest.raises(KeyboardInterrupt), config_context(**{name: OTHERS[name]}):
        raise KeyboardInterrupt
    assert get_config() == FACTORY


def test_contexts_nest_and_none_leaves_a_setting_as_it_is():
    with config_context(fused_adam=False, cuda_graphs=True):
        with config_context(cuda_graphs=False, fused_adam=None):
            assert get_config() == {**FACTORY, "fused_adam": False, "cuda_graphs": False}
        assert get_config() == {**FACTORY, "fused_adam": False, "cuda_graphs": True}


def test_a_context_decorates_functions():
    decorated = config_context(fused_adam=False)(get_config)
    assert get_config() == FACTORY
    assert [decorated()["fused_adam"] for _ in range(2)] == [False, False]


def test_the_process_has_settings_and_a_context_comes_before_them():
    set_config(fused_adam=False)
    with config_context(cuda_graphs=True):
        set_config(cuda_graphs=False, choose_threads=False)
        assert get_config()["cuda_graphs"] is True
        assert get_config()["choose_threads"] is False
    assert get_config() == {
        **FACTORY,
        "fused_adam": False,
        "cuda_graphs": False,
        "choose_threads": False,
    }


def test_other_threads_have_the_settings_of_the_process_and_not_those_of_a_context():
    set_config(fused_adam=False)
    with config_context(cuda_graphs=True), ThreadPoolExecutor(1) as pool:
        assert pool.submit(get_config).result() == {**FACTORY, "fused_adam": False}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_at_once(name, value):
    for change in (set_config, config_context):
        with pytest.raises(ValueError, match=rf"{name} must be .*got ") as error:
            change(**{name: value})
        assert str(error.value).endswith(f"got {value!r}")
        for allowed in ALLOWED[name]:
            assert repr(allowed) in str(error.value)


def test_nothing_is_set_if_one_value_is_wrong():
    with pytest.raises(ValueError, match="cuda_graphs must be 'auto', True or False, got 'x'"):
        set_config(fused_adam=False, cuda_graphs="x")
    assert get_config() == FACTORY


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'color'"):
        set_config(color=True)


def test_numpys_bools_are_bools():
    set_config(fused_adam=np.bool_(False))
    assert get_config()["fused_adam"] is False


def test_they_are_exported():
    assert {"config_context", "get_config", "set_config"} <= set(skgdpd.__all__)


# Joblib's workers


def seen(backend, X, y):
    with joblib.parallel_config(backend, n_jobs=2):
        found = cross_validate(
            make_classifier(), X, y, cv=2, return_estimator=True, error_score="raise"
        )
    return [clf.module_.backbone.seen["fit"] for clf in found["estimator"]]


@pytest.mark.parametrize(
    "backend",
    [
        "sequential",
        "threading",
        "loky",
        pytest.param("multiprocessing", marks=pytest.mark.slow),
    ],
)
def test_a_search_takes_a_contexts_settings_to_its_workers(bumps, backend):
    X, y = bumps
    search = GridSearchCV(
        # More candidates than joblib hands out at once: the rest is cloned in its own threads.
        make_classifier(),
        {"lr": [1e-3] * 4},
        cv=2,
        scoring=note,
        error_score="raise",
    )
    with config_context(**OTHERS), joblib.parallel_config(backend, n_jobs=2):
        search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], 1.0)
    with joblib.parallel_config(backend, n_jobs=2):
        search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], 0.0)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_process_settings_reach_workers(bumps, backend):
    set_config(**OTHERS)
    assert [without(s) for s in seen(backend, *bumps)] == [OTHERS] * 2
    set_config(**FACTORY)
    assert seen(backend, *bumps) == [FACTORY] * 2


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_context_takes_back_to_workers_what_the_process_has_changed(bumps, backend):
    set_config(fused_adam=False)
    with config_context(fused_adam=True):
        assert seen(backend, *bumps) == [FACTORY] * 2


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_what_a_block_has_left_behind_holds_no_more(bumps, backend):
    X, y = bumps
    with config_context(**OTHERS):
        with joblib.parallel_config(backend, n_jobs=2):
            found = cross_validate(make_classifier(), X, y, cv=2, return_estimator=True)
        left = [clone(make_classifier()), copy.deepcopy(make_classifier()), *found["estimator"]]
        left.append(pickle.loads(pickle.dumps(make_classifier())))
    for clf in left:
        with joblib.parallel_config(backend, n_jobs=2):
            again = cross_validate(clf, X, y, cv=2, return_estimator=True)
        for fitted in again["estimator"]:
            assert fitted.module_.backbone.seen["fit"] == FACTORY


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_search_within_a_search_has_the_settings(bumps, backend):
    X, y = bumps
    inner = GridSearchCV(make_classifier(), {"lr": [1e-3] * 6}, cv=2, scoring=note, n_jobs=2)
    with config_context(**OTHERS), joblib.parallel_config(backend, n_jobs=2):
        found = cross_validate(inner, X, y, cv=2, return_estimator=True, error_score="raise")
    for search in found["estimator"]:
        np.testing.assert_array_equal(search.cv_results_["mean_test_score"], 1.0)


def fitted_under(clf, X, y, **settings):
    with config_context(**settings):
        return without(clf.fit(X, y).module_.backbone.seen["fit"])


def test_a_block_within_a_worker_comes_first(bumps):
    with config_context(**OTHERS):
        clf = clone(make_classifier())
        run = joblib.Parallel(n_jobs=2, backend="threading")
        tasks = [joblib.delayed(fitted_under)(clf, *bumps, cuda_graphs="auto")]
        assert run(tasks) == [{**OTHERS, "cuda_graphs": "auto"}]


def test_outside_workers_the_callers_settings_hold(bumps):
    with config_context(**OTHERS):
        clf = clone(make_classifier())
        with ThreadPoolExecutor(1) as pool:
            pool.submit(clf.fit, *bumps).result()
    assert clf.module_.backbone.seen["fit"] == FACTORY


def test_priors_take_settings_along(monkeypatch):
    found = []
    monkeypatch.setattr(
        "skgdpd._estimators.prior.fit_prior_model",
        lambda *args: found.append(get_config()) or 1 / 0,
    )
    Z = np.random.default_rng(0).normal(size=(30, 3))
    run = joblib.Parallel(n_jobs=2, backend="threading")
    with config_context(**OTHERS):
        prior = clone(DiffusionFeaturePrior())
        with pytest.raises(ZeroDivisionError):
            run([joblib.delayed(prior.fit)(Z)])
    assert without(found[0]) == OTHERS


# Pickles and files


def keys(clf):
    return set(clf.__reduce_ex__(4)[2])


def test_pickles_hold_settings_only_where_some_were_changed(bumps):
    clf = make_classifier().fit(*bumps)
    assert keys(clf) == set(vars(clf))
    with config_context(**OTHERS):
        assert keys(clf) == {*vars(clf), IN_PICKLES}
        assert clf.__getstate__()[IN_PICKLES] == OTHERS
        opened = pickle.loads(pickle.dumps(clf))
        cloned = clone(clf)
    assert set(vars(opened)) == set(vars(clf))
    for other in (clf, cloned, clone(opened)):
        assert IN_PICKLES not in keys(other)
    set_config(fused_adam=False)
    assert clf.__getstate__()[IN_PICKLES] == {**without(FACTORY), "fused_adam": False}


def passed_on(clf):
    return pickle.loads(pickle.dumps(clf))


def test_whoever_passes_a_pickle_on_keeps_its_settings(bumps):
    """dask's scheduler does."""
    with config_context(**OTHERS):
        clf = passed_on(clone(make_classifier()))
    run = joblib.Parallel(n_jobs=2, backend="threading")
    (fitted,) = run([joblib.delayed(passed_on(passed_on(clf)).fit)(*bumps)])
    assert without(fitted.module_.backbone.seen["fit"]) == OTHERS
    assert IN_PICKLES not in keys(fitted), "results hold none"


def test_a_context_that_changes_nothing_is_in_no_pickle():
    with config_context(**FACTORY):
        assert IN_PICKLES not in keys(clone(make_classifier()))


def test_a_pickle_of_another_version_may_hold_settings_of_its_own():
    clf = make_classifier()
    state = {**vars(clf), IN_PICKLES: {"fused_adam": False, "of_the_future": 1}}
    opened = PrefixClassifier.__new__(PrefixClassifier)
    opened.__setstate__(state)
    assert opened.max_epochs == 1
    assert IN_PICKLES in state


def test_hashes_are_those_of_the_settings():
    """A cache tells fits under other settings apart, and knows those under the same."""
    clf = PrefixClassifier("fcn")
    usual = joblib.hash(clf)
    with config_context(**OTHERS):
        changed = {joblib.hash(clf), joblib.hash(clone(clf)), joblib.hash(copy.deepcopy(clf))}
    assert len(changed) == 1
    assert changed != {usual}
    assert joblib.hash(clone(clf)) == usual


def test_model_files_hold_no_settings(bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier("lstm1-8", max_epochs=1, random_state=0).fit(X, y)
    clf.save(tmp_path / "plain")
    set_config(**OTHERS)
    with config_context(**OTHERS):
        other = clone(clf)
        other.__dict__.update(vars(clf))
        other.save(tmp_path / "changed")
    plain, changed = ((tmp_path / name).read_bytes() for name in ("plain", "changed"))
    assert b"fused_adam" not in changed
    assert len(plain) == len(changed)
    np.testing.assert_array_equal(load(tmp_path / "changed").predict(X), clf.predict(X))


def test_metadata_routing_is_left_as_it_is():
    stream = io.BytesIO()
    with sklearn.config_context(enable_metadata_routing=True), config_context(**OTHERS):
        clf = clone(PrefixClassifier().set_fit_request(sample_weight=True))
        joblib.dump(clf, stream)
    stream.seek(0)
    for other in (clf, joblib.load(stream)):
        assert other.get_metadata_routing().fit.requests["sample_weight"] is True
