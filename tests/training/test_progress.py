"""The progress bar: silent unless asked, on standard error, closed in the end."""

import os
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from skgdpd.training import Progress
from skgdpd.training import progress as module
from skgdpd.training.progress import SILENT, PartOfProgress


def on_a_terminal(monkeypatch, work):
    """What work shows on a terminal."""
    termios = pytest.importorskip("termios")
    outer, inner = os.openpty()
    termios.tcsetwinsize(inner, (24, 120))
    with os.fdopen(inner, "w") as stderr, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stderr)
        work()
    shown = b""
    with suppress(OSError):  # at the end, on Linux
        while part := os.read(outer, 1 << 16):
            shown += part
    os.close(outer)
    return shown.decode()


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def monotonic(self):
        return self.now


class Stopped(Exception):
    """End of a fit that fails."""


def work(progress, n=3):
    progress.stage("student")
    for epoch in range(n):
        progress.advance(1, {"epoch": epoch + 1, "loss": 0.25})


def test_it_shows_nothing_unless_asked(capfd):
    with Progress(3, visible=False) as progress:
        work(progress)
    work(SILENT)
    assert capfd.readouterr() == ("", "")


def test_a_visible_bar_writes_to_standard_error_alone(capfd):
    with Progress(3, visible=True) as progress:
        work(progress)
    out, err = capfd.readouterr()
    assert out == ""
    last = err.split("\r")[-1]
    for part in ("student", "100%", "epoch 3", "loss 0.25"):
        assert part in last
    assert err.endswith("\n")


def test_the_bar_is_one_line(capfd):
    with Progress(30, visible=True) as progress:
        work(progress, 30)
    assert capfd.readouterr().err.count("\n") == 1


def test_large_epochs_are_shown_in_full(capfd):
    with Progress(2000, visible=True) as progress:
        progress.advance(2000, {"epoch": 1234, "loss": 1234.5})
    assert "epoch 1234" in capfd.readouterr().err


def test_units_are_counted_whether_visible_or_not(capfd):
    for visible in (False, True):
        with Progress(10, visible=visible) as progress:
            progress.advance(2.5)
            progress.advance(1, {"loss": 1.0})
            assert progress.done == 3.5


def test_shares_that_do_not_add_up_exactly_are_a_whole(capfd):
    with Progress(1, visible=True) as progress:
        for _ in range(10):
            progress.advance(0.1)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "100%" in last


def test_the_bar_is_closed_when_work_fails(capfd):
    def interrupt(progress):
        progress.advance(1)
        raise KeyboardInterrupt

    progress = Progress(3, visible=True)
    with pytest.raises(KeyboardInterrupt), progress:
        interrupt(progress)
    shown = capfd.readouterr().err
    assert shown.endswith("\n")
    progress.stage("after")
    assert capfd.readouterr().err == ""


def test_a_part_counts_its_own_units_and_scales_them_on_the_whole():
    with Progress(10, visible=False) as whole:
        part = PartOfProgress(whole, scale=4)
        part.advance(0.25)
        assert (part.done, whole.done) == (0.25, 1)
        part.advance(0.75, {"loss": 1.0})
        assert (part.done, whole.done) == (1, 4)
        whole.advance(1)
        assert (part.done, whole.done) == (1, 5)


def test_parts_of_parts_multiply():
    whole = Progress(10, visible=False)
    PartOfProgress(PartOfProgress(whole, 4), 0.5).advance(1)
    assert whole.done == 2


def test_a_part_shows_its_stage_and_numbers_on_the_whole(capfd):
    with Progress(2, visible=True) as whole:
        part = PartOfProgress(whole, scale=2)
        part.stage("prior")
        part.advance(1, {"diffusion": 0.5})
    last = capfd.readouterr().err.split("\r")[-1]
    for shown in ("prior", "100%", "diffusion 0.5"):
        assert shown in last


def test_a_part_of_a_silent_whole_is_silent(capfd):
    work(PartOfProgress(Progress(3, visible=False), 2.0))
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_it_is_one_bar(monkeypatch):
    def show():
        with Progress(30, visible=True) as progress:
            work(progress, 30)

    shown = on_a_terminal(monkeypatch, show)
    assert shown.count("\n") == 1
    last = [part for part in shown.split("\r") if part.strip()][-1]
    for part in ("student", "100%|", "<", "epoch 30", "loss 0.25"):
        assert part in last


def test_without_a_terminal_there_is_a_line_now_and_then(capfd, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    with Progress(60, visible=True) as progress:
        progress.stage("teacher")
        for epoch in range(60):
            clock.now += 1
            progress.advance(1, {"epoch": epoch + 1, "loss": 0.5})
    out, err = capfd.readouterr()
    assert out == ""
    assert "\r" not in err
    assert err.splitlines() == [
        f"teacher {100 * n / 60:.0f}%, {clock}, epoch {n}, loss 0.5"
        for n, clock in [
            (10, "00:10<00:50"),
            (20, "00:20<00:40"),
            (30, "00:30<00:30"),
            (40, "00:40<00:20"),
            (50, "00:50<00:10"),
            (60, "01:00<00:00"),
        ]
    ]


def test_hours_are_shown_and_what_is_not_known_is_not_guessed(capfd, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)

    def stop(progress, n):
        progress.stage("student")
        for _ in range(n):
            clock.now += 3725
            progress.advance(0.5)
        raise Stopped

    for n in (2, 0):
        with pytest.raises(Stopped), Progress(2, visible=True) as progress:
            stop(progress, n)
        clock.now = 0
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        "student 25%, 1:02:05<?",
        "student 50%, 2:04:10<2:04:10",
        "student 0%, 00:00<?",
    ]


def test_the_first_units_are_no_ground_for_an_estimate(capfd, monkeypatch):
    """They take the time of all that comes before the training."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    with Progress(50, visible=True) as progress:
        progress.stage("student")
        clock.now += 20
        progress.advance(1)
        clock.now += 10
        progress.advance(10)
        clock.now += 1
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        "student 2%, 00:20<?",
        "student 22%, 00:30<00:39",
        "student 100%, 00:31<00:00",
    ]


def test_a_fit_that_needs_fewer_units_ends_complete(capfd, monkeypatch):
    with Progress(60, visible=True) as progress:
        progress.stage("student")
    assert capfd.readouterr().err == "student 100%, 00:00<00:00\n"

    def show():
        with Progress(30, visible=True) as progress:
            progress.stage("student")
            work(progress, 3)

    last = [part for part in on_a_terminal(monkeypatch, show).split("\r") if part.strip()][-1]
    assert "100%|" in last


def test_in_a_notebook_it_is_a_bar(capfd, monkeypatch):
    pretended = SimpleNamespace(config={"IPKernelApp": {}})
    ipython = SimpleNamespace(get_ipython=lambda: pretended)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with Progress(3, visible=True) as progress:
        work(progress)
    assert "100%|" in capfd.readouterr().err


def test_importing_the_package_asks_for_no_widgets():
    code = "import sys, skgdpd; print('tqdm.auto' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
