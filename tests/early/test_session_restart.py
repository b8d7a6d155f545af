"""Sessions whose series begin anew under the same id."""

import numpy as np
import pytest

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.stopping import FixedTime


@pytest.fixture(scope="module")
def early():
    X, y = make_bumps(n_samples=40, random_state=0)
    classifier = PrefixClassifier("lstm1-8", earliness=[10, 20], max_epochs=1, random_state=0)
    return EarlyClassifier(classifier, rule=FixedTime(0), cv=2, random_state=0).fit(X, y)


def test_series_that_begin_within_a_push_have_its_time(early):
    session = early.start(["a"], after_answer="restart", idle_timeout=5)
    found = session.push({"a": np.zeros(25)}, time=7.0)
    assert [answer.time for answer in found] == [7.0, 7.0]
    assert session.expire(100.0) == []  # too short for an answer, but given up
    assert session.ids == []
