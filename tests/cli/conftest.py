"""A model that answers early, fitted once."""

import pytest

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps


@pytest.fixture(scope="session")
def early_file(tmp_path_factory):
    """Path of a saved classifier of series of 60 points with five moments."""
    X, y = make_bumps(n_samples=60, random_state=0)
    classifier = PrefixClassifier(
        "rocket", earliness=[0.2, 0.4, 0.6, 0.8, 1.0], max_epochs=2, random_state=0
    )
    path = tmp_path_factory.mktemp("early") / "early.zip"
    EarlyClassifier(classifier, delay_cost=0.5, random_state=0).fit(X, y).save(path)
    return str(path)
