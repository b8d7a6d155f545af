"""Seeds by name: the same name gives the same seed, and one name knows nothing of another."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd._runtime import random as _random
from skgdpd._runtime.random import Seeds

ROOTS = st.integers(0, 2**32 - 1)
NAMES = st.text(max_size=20)


@settings(deadline=None, max_examples=50)
@given(ROOTS, NAMES)
def test_the_same_root_and_name_give_the_same_seed_in_range(root, name):
    seed = Seeds(root)(name)
    assert seed == Seeds(np.int64(root))(name)
    assert isinstance(seed, int)
    assert 0 <= seed < 2**31


@settings(deadline=None, max_examples=25)
@given(ROOTS, st.lists(NAMES, max_size=5), NAMES)
def test_seeds_drawn_before_change_nothing(root, others, name):
    seeds = Seeds(root)
    for other in others:
        seeds(other)
    assert seeds(name) == Seeds(root)(name)


def test_names_and_roots_give_different_seeds():
    names = ["split", "teacher", "student", "shuffle", "noise", "prior", "distiller", "training"]
    seeds = [Seeds(root)(name) for root in range(20) for name in names]
    assert len(set(seeds)) == len(seeds)


def test_seeds_of_many_names_are_spread_evenly():
    seeds = np.array([Seeds(0)(f"name {i}") for i in range(2000)]) / 2**31
    # Mean and deviation of uniform numbers; five standard errors.
    assert abs(seeds.mean() - 0.5) < 5 / np.sqrt(12 * 2000)
    assert abs((seeds < 0.1).mean() - 0.1) < 5 * np.sqrt(0.09 / 2000)


def test_a_generator_is_drawn_from_once_so_that_a_second_fit_differs():
    generator = np.random.RandomState(3)
    first, second = Seeds(generator), Seeds(generator)
    assert first("split") != second("split")
    twin = np.random.RandomState(3)
    assert [first("split"), second("split")] == [Seeds(twin)("split"), Seeds(twin)("split")]


def test_none_follows_numpys_global_seed():
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(5)  # noqa: NPY002
        first = Seeds(None)("split")
        second = Seeds(None)("split")
        np.random.seed(5)  # noqa: NPY002
        assert Seeds(None)("split") == first
        assert first != second
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_an_int_leaves_numpys_global_state_alone():
    before = str(np.random.get_state())  # noqa: NPY002
    Seeds(0)("split")
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_seeds_do_not_depend_on_the_hash_seed_of_the_process():
    path = Path(_random.__file__)
    code = f"import runpy; print(runpy.run_path({str(path)!r})['Seeds'](7)('split'))"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(answer.stdout) == Seeds(7)("split")
