"""Promises that tests make about the package, gathered into a table of a page.

A test says with the fixture ``promise`` what it promises, how often that was tried, and what came.
``--write-promises PAGE`` writes these into the table of a page. Tests of one promise share a row.
"""

import os
import platform
import re
from collections import Counter
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest

BEGIN, END = "<!-- promises: begin -->", "<!-- promises: end -->"
HEAD = ["| what is promised | how often it was tried, and what came | test |", "|---|---|---|"]
PACKAGES = ["numpy", "scipy", "torch", "numba", "scikit-learn"]
PROPERTY = "promise"


@pytest.fixture
def promise(record_property):
    """Function that notes a promise, what was tried, and what came of it.

    ``came`` is a text, or a dict of numbers by outcome. Numbers of several tests are added.
    """

    def note(what, tried, came):
        # Workers send plain objects only.
        plain = came if isinstance(came, str) else {name: int(n) for name, n in came.items()}
        record_property(PROPERTY, [what, tried, plain])

    return note


def counted(tried, counts):
    """Return numbers by outcome as a text."""
    total = sum(counts.values())
    parts = [f"{grouped(n)} {outcome}" for outcome, n in counts.items() if n]
    if len(parts) == 1:
        parts = [f"all {outcome}" for outcome, n in counts.items() if n]
    return f"{grouped(total)} {tried}: {', '.join(parts)}"


def grouped(n):
    return f"{n:,}".replace(",", " ")


def row(what, noted):
    """Return the row of a promise from what its tests noted: (test, tried, came) each."""
    texts, sums = [], {}
    for _, tried, came in noted:
        if isinstance(came, str):
            texts.append(f"{tried}: {came}")
        else:
            sums.setdefault(tried, Counter()).update(came)
    texts += [counted(tried, counts) for tried, counts in sums.items()]
    tests = dict.fromkeys(f"`{test}`" for test, _, _ in noted)
    return f"| {what} | {'; '.join(dict.fromkeys(texts))} | {', '.join(tests)} |"


def table_with(text, rows, failed, made_with):
    """Return a page's text with rows of promises put in place of those of the same tests.

    Other rows are kept, but for those of tests that failed.
    """
    ran = {*failed, *(test for line in rows for test in re.findall(r"`([^`]+::[^`]+)`", line))}
    before, found = text.split(BEGIN)
    found, after = found.split(END)
    kept = [
        line
        for line in found.splitlines()
        if line.startswith("| ")
        and line not in HEAD
        and not any(f"`{test}`" in line for test in ran)
    ]
    lines = {line.split(" | ")[0]: line for line in [*kept, *rows]}
    told = f"{len(rows)} of these {len(lines)} rows are of the last run: {made_with}."
    return "\n".join([f"{before}{BEGIN}", *HEAD, *sorted(lines.values()), "", told, END + after])


def machine():
    """Return when and on what a run was made."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{date.today()}, {platform.system()} on {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {packages}"
    )


class Gathering:
    """Promises of a run, by their words, and the tests that failed."""

    def __init__(self, config):
        self.page = config.getoption("write_promises")
        self.noted = {}
        self.failed = set()

    def pytest_runtest_logreport(self, report):
        test = re.sub(r"\[.*", "", report.nodeid)
        if report.failed:
            self.failed.add(test)
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == PROPERTY:
                    what, *rest = value
                    self.noted.setdefault(what, []).append((test, *rest))

    def pytest_terminal_summary(self, terminalreporter):
        rows = [
            row(what, noted)
            for what, noted in self.noted.items()
            if self.failed.isdisjoint(test for test, *_ in noted)
        ]
        if self.page:
            page = Path(self.page)
            page.write_text(table_with(page.read_text(), rows, self.failed, machine()))
            terminalreporter.write_line(f"{len(rows)} promises written into {page}")
        elif rows and terminalreporter.verbosity >= 0:
            terminalreporter.write_sep("-", "promises")
            for line in rows:
                terminalreporter.write_line(" | ".join(line.strip("| ").split(" | ")[:2]))


def pytest_addoption(parser):
    parser.addoption(
        "--write-promises", metavar="PAGE", help="write promises into the table of this page"
    )


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # workers send their reports
        config.pluginmanager.register(Gathering(config))
