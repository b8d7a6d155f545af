"""The progress bar: silent unless asked, on standard error, closed in the end."""

import pytest

from skgdpd.training import SILENT, PartOfProgress, Progress


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
    assert "35%" in capfd.readouterr().err


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
