"""Promises of tests reach the table of a page, whichever way the tests are run."""

import os
import subprocess
import sys
from pathlib import Path

from promises import BEGIN, END, HEAD, row, table_with

TESTS = """
import pytest

@pytest.mark.parametrize("n", [2, 3])
def test_counts(promise, n):
    promise("Numbers are added.", "tries", {"good": n, "bad": 0})

def test_mixed(promise):
    promise("Outcomes are told.", "tries", {"refused": 9_968, "read": 32})

def test_text(promise):
    promise("Texts are kept.", "tries", "1.5 s")

def test_broken(promise):
    promise("Broken promises are not written.", "tries", {"good": 1})
    assert False
"""
OLD = [
    "| Kept. | 1 | `a` |",
    "| Texts are kept. | 1 | `b` |",
    "| This was kept once. | 1 | `test_some.py::test_broken` |",
]
PAGE = "\n".join(["before", BEGIN, *HEAD, *OLD, END])


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith("| ") and line not in HEAD]


def test_a_run_writes_its_rows_and_keeps_the_others(tmp_path):
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "page.md").write_text(PAGE + "\nafter\n")
    command = [sys.executable, "-m", "pytest", "-p", "promises", "-n", "2", "."]
    options = ["-p", "no:cacheprovider", "--write-promises", "page.md"]
    done = subprocess.run(
        [*command, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert "1 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert rows_of(text) == [
        "| Kept. | 1 | `a` |",
        "| Numbers are added. | 5 tries: all good | `test_some.py::test_counts` |",
        "| Outcomes are told. | 10 000 tries: 9 968 refused, 32 read | "
        "`test_some.py::test_mixed` |",
        "| Texts are kept. | tries: 1.5 s | `test_some.py::test_text` |",
    ]
    assert "3 of these 4 rows are of the last run: 20" in text


def test_a_table_written_twice_is_the_same():
    new = [row("One.", [("t", "tries", {"good": 2})])]
    once = table_with(PAGE, new, set(), "today")
    assert table_with(once, new, set(), "today") == once


def test_a_promise_with_new_words_takes_the_place_of_the_old():
    old, new, other = (
        row(what, [(f"file.py::{test}", "tries", {"good": 2})])
        for what, test in (("Old.", "test_a"), ("New.", "test_a"), ("Other.", "test_b"))
    )
    text = table_with(table_with(PAGE, [old, other], set(), "then"), [new], set(), "today")
    rows = rows_of(text)
    assert old not in rows
    assert {new, other} < set(rows)
