"""The page on serving: its file ``service.py``, with and without the web application."""

import importlib
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

import serving
from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps

X, y = make_bumps(50, 40, random_state=0)
TEXT = serving.PAGE.read_text()
COMMANDS = [
    command
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for command in block.replace("\\\n", " ").splitlines()
]


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
def make_service(models, tmp_path):
    made = serving.service_class(serving.write_service(tmp_path))
    return lambda **options: made(models[2] / "model.zip", models[2] / "early.zip", **options)


@pytest.fixture
def service(make_service):
    return make_service()


@pytest.fixture
def in_its_folder(models, tmp_path, monkeypatch):
    """The working folder and the environment of the page's command."""
    serving.write_service(tmp_path)
    monkeypatch.chdir(models[2])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MODEL", "model.zip")
    monkeypatch.setenv("EARLY", "early.zip")
    monkeypatch.delitem(sys.modules, "service", raising=False)
    yield
    sys.modules.pop("service", None)


@pytest.fixture
def client(in_its_folder):
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    from fastapi.testclient import TestClient

    return TestClient(importlib.import_module("service").application())


def push_all(service, id_, x):
    return [service.push(id_, x[:, t : t + 1].tolist()) for t in range(x.shape[1])]


def test_answers_are_those_of_the_classifiers(service, models):
    clf, early, _ = models
    answer = service.predict(X[:5].tolist())
    assert answer["labels"] == clf.predict(X[:5]).tolist()
    np.testing.assert_array_equal(answer["probabilities"], clf.predict_proba(X[:5]))
    expected = early.decide(X[:1])
    answers = push_all(service, "a", X[0])
    n_seen = expected.n_seen[0]
    assert answers[: n_seen - 1] == [None] * (n_seen - 1)
    assert answers[n_seen - 1]["label"] == expected.labels[0]
    assert answers[n_seen - 1]["n_seen"] == n_seen


def test_an_answered_stream_is_dropped_and_its_answer_returned_again(service):
    answer = push_all(service, "a", X[0])[-1]
    assert answer is not None
    assert service.session.ids == []
    assert service.push("a", X[0, :, -1:].tolist()) == answer
    assert service.session.ids == []
    service.close("a")
    assert service.push("a", X[1, :, :1].tolist()) is None
    service.close("a")
    with pytest.raises(KeyError):
        service.close("a")


def test_memory_does_not_grow_with_streams_that_nobody_closes(make_service):
    service = make_service(remember=3)
    for i in range(8):
        push_all(service, f"{i}", X[i])
        service.push(f"half-{i}", X[i, :, :1].tolist())
    assert list(service.answered) == ["5", "6", "7"]
    assert len(service.session.ids) == 8
    service.now += 3601
    service.push("new", X[0, :, :1].tolist())
    assert service.session.ids == ["new"]


def test_a_clock_that_is_set_back_refuses_no_push(service, monkeypatch):
    service.push("a", X[0, :, :1].tolist())
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert service.push("a", X[0, :, 1:2].tolist()) is None


def test_threads_get_the_answers_of_their_own_streams(service, models):
    expected = models[1].decide(X[:8]).labels.tolist()

    def run(i):
        return push_all(service, f"{i}", X[i])[-1]["label"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(8))) == expected


def test_the_web_application(client, models):
    answer = client.post("/predict", json=X[:3, :, :12].tolist())
    assert answer.status_code == 200
    assert answer.json()["labels"] == models[0].predict(X[:3]).tolist()
    short = client.post("/predict", json=[[[1.0, 2.0]]])
    assert short.status_code == 422
    assert "series of 2 time points" in short.json()["detail"]
    found = [client.post("/stream/a", json=X[0, :, t : t + 1].tolist()) for t in range(40)]
    assert found[0].json() is None
    assert found[-1].json()["label"] == models[1].predict(X[:1]).item()
    assert client.delete("/stream/a").status_code == 200
    assert client.delete("/stream/a").status_code == 404


def test_the_requests_of_the_page_have_responses(client):
    requests = [shlex.split(command) for command in COMMANDS if command.startswith("curl ")]
    assert len(requests) >= 3
    for words in requests:
        options = dict(pairwise(words))
        (url,) = [word for word in words if word.startswith("localhost:8000/")]
        data = options.get("-d")
        method = options.get("-X", "GET" if data is None else "POST")
        headers = dict([options["-H"].split(": ")]) if "-H" in options else {}
        path = url.removeprefix("localhost:8000")
        response = client.request(method, path, content=data, headers=headers)
        assert response.status_code == 200, (words, response.text)


def test_uvicorn_finds_the_application_that_the_command_names(in_its_folder):
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    (command,) = [command for command in COMMANDS if " uvicorn " in command]
    words = shlex.split(command.partition(" uvicorn ")[2])
    assert words[0] == "--factory"
    config = uvicorn.Config(words[1], factory=True, log_config=None)
    config.load()
    assert config.loaded
