"""Recipe for Bytewax on the page of streams: one answer for each series, even after a crash."""

import re
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from skgdpd import EarlyClassifier
from skgdpd.datasets import make_bumps

pytest.importorskip("bytewax")

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

PAGE = Path(__file__).parents[2] / "docs" / "streams.md"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The names that the page's code defines, and the classifier that it loads."""
    X, y = make_bumps(40, 24, random_state=0)
    early = EarlyClassifier(delay_cost=0.5, random_state=0).fit(X, y)
    early.save(tmp_path / "early.zip")
    monkeypatch.chdir(tmp_path)
    section = PAGE.read_text().split("### Bytewax")[1]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names = {}
    exec(code, names)
    return names, early


def test_a_flow_that_is_aborted_goes_on_and_answers_all_series_once(recipe, tmp_path):
    names, early = recipe
    X, _ = make_bumps(30, 24, random_state=1)
    ids = [f"series {i}" for i in range(len(X))]
    cuts = [(first, first + 6) for first in range(0, 24, 6)]
    items = [(name, X[i, :, a:b]) for a, b in cuts for i, name in enumerate(ids)]
    middle = len(items) // 2
    items.insert(middle, TestingSource.ABORT())
    found = []
    flow = Dataflow("early")
    points = op.input("points", flow, TestingSource(items))
    op.output("answers", names["answers_of"](flow, points), TestingSink(found))
    states = tmp_path / "states"
    states.mkdir()
    init_db_dir(states, 1)
    settings = {
        "epoch_interval": timedelta(0),
        "recovery_config": RecoveryConfig(str(states)),
    }
    run_main(flow, **settings)
    n_first = len(found)
    run_main(flow, **settings)
    assert 0 < n_first < len(found)

    expected = early.decide(X)
    answers = defaultdict(list)
    for answer in found:
        answers[answer["id"]].append(answer)
    assert sorted(answers) == sorted(ids)
    for i, name in enumerate(ids):
        for answer in answers[name]:
            assert answer["label"] == expected.labels[i]
            assert answer["n_seen"] == expected.n_seen[i]
            np.testing.assert_array_equal(answer["probabilities"], expected.probabilities[i])
