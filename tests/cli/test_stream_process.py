"""The stream as a process: pipes, signals and restarts."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from skgdpd import load
from skgdpd._cli.main import main
from skgdpd.datasets import make_bumps

N = 1000


@pytest.fixture(scope="module")
def early(early_file):
    return load(early_file)


@pytest.fixture(scope="module")
def X():
    return make_bumps(n_samples=N, random_state=5)[0]


@pytest.fixture(scope="module")
def lines(X):
    """Points of all series, one a line, in order of time."""
    return [
        json.dumps({"id": i, "t": t, "values": [float(X[i, 0, t])]}).encode() + b"\n"
        for t in range(X.shape[2])
        for i in range(N)
    ]


@contextmanager
def running(*arguments, **pipes):
    pipes = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    } | pipes
    process = subprocess.Popen([sys.executable, "-m", "skgdpd", "stream", *arguments], **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()


def feed(process, content):
    process.stdin.write(content)
    process.stdin.flush()


def wait_for(process, condition):
    for _ in range(600):
        assert process.poll() is None
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("nothing came in a minute")


def same_as_decide(answers, early, X):
    expected = early.decide(X)
    found = {answer["id"]: answer for answer in answers}
    assert len(found) == len(answers) == len(X)
    for i in range(len(X)):
        assert found[i]["label"] == expected.labels[i]
        assert list(found[i]["probabilities"].values()) == expected.probabilities[i].tolist()
        assert found[i]["n_seen"] == expected.n_seen[i]
        assert found[i]["forced"] == expected.forced[i]


def test_a_thousand_series_get_the_answers_of_decide(early_file, early, X, lines):
    with running(early_file) as process:
        out, err = process.communicate(b"".join(lines), timeout=120)
    assert process.returncode == 0, err
    same_as_decide([json.loads(line) for line in out.splitlines()], early, X)


def test_an_answer_is_written_as_soon_as_it_falls(early_file, early, X):
    n_seen = int(early.decide(X[:1]).n_seen[0])
    with running(early_file) as process:
        for t in range(n_seen):
            feed(process, json.dumps({"id": "a", "values": [float(X[0, 0, t])]}).encode() + b"\n")
        answer = json.loads(process.stdout.readline())  # the input is still open
        assert answer["id"] == "a"
        assert answer["n_seen"] == n_seen
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
def test_what_is_stopped_goes_on_with_repeated_lines(early_file, early, X, lines, tmp_path):
    state, middle = str(tmp_path / "state.zip"), len(lines) // 2
    path = tmp_path / "answers.jsonl"
    with path.open("wb") as file, running(early_file, "--state", state, stdout=file) as process:
        feed(process, b"".join(lines[:middle]) + lines[middle][:10])  # cut off in a line
        wait_for(process, lambda: path.stat().st_size)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"kept in" in err
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert 0 < len(found) < N
    with running(early_file, "--state", state) as process:
        out, err = process.communicate(b"".join(lines), timeout=120)
    assert process.returncode == 0, err
    assert b"repeated" in err
    same_as_decide(found + [json.loads(line) for line in out.splitlines()], early, X)


def test_an_interrupt_saves_and_says_so(early_file, lines, tmp_path):
    state = str(tmp_path / "state.zip")
    with running(early_file, "--state", state, "--save-every", "0.001") as process:
        feed(process, lines[0])
        wait_for(process, lambda: os.path.exists(state))  # it waits for input now
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert b"1 open series is kept in" in err


@pytest.mark.slow
def test_a_closed_pipe_ends_it_and_its_answers_are_written_at_the_next_start(
    early_file, early, X, lines, tmp_path
):
    state = str(tmp_path / "state.zip")
    with running(early_file, "--state", state) as process:
        process.stdout.close()
        err = process.communicate(b"".join(lines), timeout=60)[1]
    assert process.returncode == 141
    assert err == b""
    with running(early_file, "--state", state) as process:
        out, err = process.communicate(b"".join(lines), timeout=60)
    assert process.returncode == 0, err
    same_as_decide([json.loads(line) for line in out.splitlines()], early, X)


@pytest.fixture
def run(monkeypatch, tmp_path, capfd):
    """Function that runs the command in this process; it returns status and outputs."""

    def run(content, *arguments):
        (tmp_path / "in").write_bytes(content)
        out = tmp_path / "out"
        with (
            (tmp_path / "in").open() as stdin,
            out.open("w") as stdout,
            monkeypatch.context() as m,
        ):
            m.setattr(sys, "stdin", stdin)
            m.setattr(sys, "stdout", stdout)
            status = main(["stream", *arguments])
        return status, out.read_text(), capfd.readouterr().err

    return run


def test_bad_lines_are_reported_and_survived(run, early_file, early, X, lines):
    own = [line for i, line in enumerate(lines) if i % N == 0]
    bad = [b"{oops\n", b'{"id": 0, "t": 12, "values": [1, 2]}\n', b"\xff\xfe\n", b"\n"]
    handler = signal.getsignal(signal.SIGTERM)
    status, out, err = run(b"".join([*own[:12], *bad, *own[12:]]), early_file)
    assert status == 1
    text = err.splitlines()
    assert [words.split(":")[1] for words in text[:3]] == [" line 13", " line 14", " line 15"]
    assert text[3].startswith("skgdpd: 64 lines; 3 refused")
    same_as_decide([json.loads(line) for line in out.splitlines()], early, X[:1])
    assert signal.getsignal(signal.SIGTERM) is handler


def test_csv_from_a_file(run, early_file, early, X):
    rows = [f"{t},s{i},{X[i, 0, t]}" for t in range(60) for i in range(5)]
    content = "\n".join(["time,id,value", *rows]).encode()  # without a line end
    status, out, err = run(content, early_file, "--format", "csv")
    assert status == 0, err
    head, *answers = (line.split(",") for line in out.splitlines())
    assert head[:6] == ["id", "label", "n_seen", "share_seen", "forced", "time"]
    expected = early.decide(X[:5])
    assert len(answers) == 5
    for answer in answers:
        i = int(answer[0][1:])
        assert answer[1:3] == [str(expected.labels[i]), str(expected.n_seen[i])]
        assert float(answer[5]) == expected.n_seen[i] - 1


def test_an_ambiguous_header_is_an_error(run, early_file):
    status, out, err = run(b"id,3\n", early_file, "--format", "csv")
    assert status == 2
    assert "as a header has" in err
    assert out == ""


@pytest.mark.parametrize("options", [[], ["--open"]])
def test_a_csv_without_points_has_a_header_alone(run, early_file, options):
    status, out, err = run(b"", early_file, "--format", "csv", *options)
    assert status == 0, err
    assert out.splitlines() == ["id,label,n_seen,share_seen,forced,time,p_0,p_1"]


def test_a_csv_that_goes_on_has_one_header(run, early_file, X, tmp_path):
    rows = [f"{i},{t},{X[i, 0, t]}" for t in range(60) for i in range(5)]
    options = [early_file, "--format", "csv", "--state", str(tmp_path / "state.zip")]
    first = run("\n".join(["id,t,value", *rows[:150]]).encode(), *options)
    second = run("\n".join(rows[150:]).encode(), *options)  # without a header
    assert first[0] == second[0] == 0
    answers = (first[1] + second[1]).splitlines()
    assert [line[:3] for line in answers].count("id,") == 1
    assert sorted(line.split(",")[0] for line in answers[1:]) == list("01234")


def test_without_a_state_open_series_are_answered_at_the_end(run, early_file, early, X, lines):
    n_points = 20
    status, out, _ = run(b"".join(lines[: n_points * N]), early_file)
    assert status == 0
    answers = [json.loads(line) for line in out.splitlines()]
    assert any(answer["forced"] for answer in answers)
    same_as_decide(answers, early, X[:, :, :n_points])


def test_open_series_wait_if_this_is_said(run, early_file, early, X, lines):
    n_points = 20
    content = b"".join(lines[: n_points * N])
    status, out, err = run(content, early_file, "--open")
    assert status == 0
    found = {answer["id"] for answer in map(json.loads, out.splitlines())}
    waiting = early.decide(X[:, :, :n_points]).forced
    assert found == set(np.flatnonzero(~waiting).tolist())
    assert f"{waiting.sum()} open series wait: the rule needs more points" in err
    assert "forced" not in err
