"""No screen, and no figure or setting left behind."""

import matplotlib
import pytest

matplotlib.use("agg")

from matplotlib import pyplot as plt

from skgdpd import DiffusionFeaturePrior, EarlyClassifier, GDPDClassifier, PrefixClassifier


@pytest.fixture(autouse=True)
def nothing_left_behind():
    settings, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == settings
    assert matplotlib.get_backend() == backend


def taught(bumps, degradation="linear-gaussian", **params):
    prior = DiffusionFeaturePrior(encoder="pca", degradation=degradation, max_epochs=20)
    params = {"student": "fcn", "max_epochs": 6, "random_state": 0, "prior": prior, **params}
    return GDPDClassifier(**params).fit(*bumps)


@pytest.fixture(scope="session")
def base(bumps):
    return PrefixClassifier("fcn", max_epochs=4, random_state=0).fit(*bumps)


@pytest.fixture(scope="session")
def gdpd(bumps):
    return taught(bumps)


@pytest.fixture
def fit_gdpd(bumps):
    return lambda *args, **params: taught(bumps, *args, **params)


@pytest.fixture(scope="session")
def early(bumps):
    return EarlyClassifier(earliness=[0.2, 0.5, 0.7, 1.0], random_state=0).fit(*bumps)
