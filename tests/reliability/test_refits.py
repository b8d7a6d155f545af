"""A fit gives the same bits again: here, in other processes, and in workers."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from small_fits import FITS, probabilities

FEW = ["lstm1-8", "rocket"]


def in_spawned_process(names):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return list(pool.map(probabilities, names))


def in_loky_workers(names):
    with joblib.parallel_config(backend="loky", n_jobs=2):
        return joblib.Parallel()(joblib.delayed(probabilities)(name) for name in names)


WAYS = {
    "in the same process": lambda names: [probabilities(name) for name in names],
    "in a process of its own": in_spawned_process,
    "in joblib's workers": in_loky_workers,
}


@pytest.fixture
def threads_of_torch():
    """Threads of torch, on which a forked process would wait for ever."""
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.ones(500, 500) @ torch.ones(500, 500)
    torch.set_num_threads(found)


@pytest.mark.usefixtures("threads_of_torch")
@pytest.mark.parametrize("names", [FEW, pytest.param(sorted(FITS), marks=pytest.mark.slow)])
def test_a_fit_with_a_seed_gives_the_same_bits_anywhere(promise, names):
    first = [probabilities(name) for name in names]
    for way, run in WAYS.items():
        for told, found in zip(first, run(names), strict=True):
            np.testing.assert_array_equal(found, told)
        promise(
            "A fit with a number as its seed gives the same bits again on the same machine: in "
            "the same process, in another one, and in a worker, for every backbone and "
            "classifier.",
            "fits",
            {f"equal {way}": len(names)},
        )
    promise(
        "Processes that spawn or loky starts can fit and predict, also after their parent has "
        "used several threads of torch.",
        "fits",
        {"done": 2 * len(names)},
    )
