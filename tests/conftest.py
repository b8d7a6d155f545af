"""Shared data, small enough for tests, and one thread a worker."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # else sktime's use of numba undoes that

import numpy as np
import pytest
import torch
from hypothesis import settings

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import (
    load_basic_motions,
    load_file,
    load_gunpoint,
    load_italy_power_demand,
    make_bumps,
)

pytest_plugins = ["promises"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ARCHIVE = Path(__file__).parents[2] / "shared" / "data"
"""More data sets, which not every checkout has."""

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(scope="session")
def gunpoint():
    return load_gunpoint()


@pytest.fixture(scope="session")
def italy():
    return load_italy_power_demand()


@pytest.fixture(scope="session")
def basic_motions():
    return load_basic_motions()


@pytest.fixture(scope="session")
def archive():
    """Loader of more data sets; tests that need it are skipped where there are none."""
    if not ARCHIVE.is_dir():
        pytest.skip(f"no data sets in {ARCHIVE}")
    return lambda name: load_file(ARCHIVE / f"{name}.npz")


@pytest.fixture(scope="session")
def early_file(tmp_path_factory):
    """Path of a saved early classifier of series of 60 points, with five moments."""
    X, y = make_bumps(n_samples=60, random_state=0)
    classifier = PrefixClassifier(
        "rocket", earliness=[0.2, 0.4, 0.6, 0.8, 1.0], max_epochs=2, random_state=0
    )
    path = tmp_path_factory.mktemp("early") / "early.zip"
    EarlyClassifier(classifier, delay_cost=0.5, random_state=0).fit(X, y).save(path)
    return str(path)


@pytest.fixture(scope="session")
def bumps():
    """60 series of two classes, 40 time points, easy."""
    X, y = make_bumps(60, 40, noise=0.3, random_state=0)
    return X, np.array(["no", "yes"])[y]
