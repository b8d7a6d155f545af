"""The service of the page on serving, with and without FastAPI."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps

PAGE = Path(__file__).parents[2] / "docs" / "howto-serving.md"
CODE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
X, y = make_bumps(50, 24, random_state=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    clf = PrefixClassifier("rocket", random_state=0).fit(X, y)
    path = PrefixClassifier("rocket", earliness=[0.25, 0.5, 1.0], random_state=0)
    early = EarlyClassifier(path, rule="fixed", cv=2, random_state=0).fit(X, y)
    clf.save(folder / "model.zip")
    early.save(folder / "early.zip")
    return clf, early, folder


@pytest.fixture
def names(models):
    found = {"__name__": "service"}
    exec(compile(CODE[0], PAGE.name, "exec"), found)
    return found


@pytest.fixture
def service(names, models):
    return names["Service"](models[2] / "model.zip", models[2] / "early.zip")


def test_answers_are_those_of_the_classifiers(service, models):
    clf, early, _ = models
    answer = service.predict(X[:5].tolist())
    assert answer["labels"] == clf.predict(X[:5]).tolist()
    np.testing.assert_array_equal(answer["probabilities"], clf.predict_proba(X[:5]))
    expected = early.decide(X[:1])
    answers = [service.push("a", X[0, :, t : t + 1].tolist()) for t in range(24)]
    (found,) = [answer for answer in answers if answer is not None]
    assert found["label"] == expected.labels[0]
    assert found["n_seen"] == expected.n_seen[0]


def test_threads_get_the_answers_of_their_own_streams(service, models):
    expected = models[1].decide(X[:8]).labels.tolist()

    def run(i):
        found = [service.push(f"{i}", X[i, :, t : t + 1].tolist()) for t in range(24)]
        return next(answer["label"] for answer in found if answer is not None)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(8))) == expected


def test_the_web_application(names, service, models):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    from fastapi.testclient import TestClient

    block = next(code for code in CODE if "import fastapi" in code)
    exec(compile(block, PAGE.name, "exec"), names)
    client = TestClient(names["make_app"](service))
    answer = client.post("/predict", json=X[:3, :, :12].tolist())
    assert answer.status_code == 200
    assert answer.json()["labels"] == models[0].predict(X[:3]).tolist()
    short = client.post("/predict", json=[[[1.0, 2.0]]])
    assert short.status_code == 422
    assert "series of 2 time points" in short.json()["detail"]
    found = [client.post("/stream/a", json=X[0, :, t : t + 1].tolist()) for t in range(24)]
    answers = [one.json() for one in found if one.json() is not None]
    assert [one["label"] for one in answers] == models[1].predict(X[:1]).tolist()
    assert client.delete("/stream/a").status_code == 200
    assert client.delete("/stream/a").status_code == 404
