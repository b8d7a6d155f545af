"""Command line of ``python -m skgdpd.testing``."""

from __future__ import annotations

import argparse
import ast
import warnings
from typing import Any

from .._runtime.dotted import load_dotted
from .._runtime.program import PARTLY_FAILED, exit_status
from .compose import on_prefix
from .runner import CheckResult, PrefixCheck, check_names, check_prefix_classifier


def main(arguments: list[str] | None = None) -> int:
    """Run the checks on classes given by name.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments of the command line; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 if all checks passed, 1 if some failed, 2 if a class can't be instantiated,
        130 after an interrupt, and 141 if the pipe of the output was closed.
    """
    return exit_status(lambda: _check(arguments))


def _check(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m skgdpd.testing",
        description="Check early classifiers. For one classifier, the output has a line for each "
        "check; for several, it is a Markdown table with a row for each classifier.",
        epilog="example: python -m skgdpd.testing 'skgdpd.PrefixClassifier(max_epochs=2)'",
    )
    parser.add_argument(
        "classifiers",
        nargs="*",
        metavar="CLASSIFIER",
        help="module.Class, or module.Class(name=value, ...); without parameters, classes of "
        "sktime and aeon get the test parameters of their library",
    )
    parser.add_argument(
        "--prefix", type=int, metavar="K", help="cut the series to their first K of 40 points"
    )
    parser.add_argument("--list", action="store_true", help="list the checks and what they check")
    options = parser.parse_args(arguments)
    if options.list:
        for name in check_names():
            print(f"{name}: {PrefixCheck(name).summary}")
        return 0
    if not options.classifiers:
        parser.error("give the name of a classifier, or --list")
    try:
        makers = [(text, make_classifier(text)) for text in options.classifiers]
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error
    alone = len(makers) == 1
    failed = False
    if not alone:
        print("| classifier | passed | failed | do not apply | failed checks |")
        print("|---|---|---|---|---|", flush=True)
    for text, classifier in makers:
        if options.prefix is not None:
            classifier = on_prefix(classifier, options.prefix)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_prefix_classifier(
                classifier,
                prefix_length=options.prefix,
                on_fail=None,
                callback=_print_line if alone else None,
            )
        counts, failures = _summary(results)
        failed = failed or bool(failures)
        if alone:
            print(
                f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} do "
                f"not apply"
            )
        else:
            path = text.partition("(")[0].split(".")
            name = f"{path[0]} {path[-1]}"
            short = ", ".join(f"`{check.removeprefix('check_')}`" for check in failures) or "none"
            row = (name, counts["passed"], counts["failed"], counts["skipped"], short)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    return PARTLY_FAILED if failed else 0


def make_classifier(text: str) -> Any:
    """Make an instance of ``module.Class`` or ``module.Class(name=literal, ...)``.

    Parameters
    ----------
    text : str
        Full name of a class, with or without parameters.

    Returns
    -------
    classifier
        New, unfitted instance.

    Raises
    ------
    ValueError
        If the text has another form, if a parameter isn't a literal, or if the name isn't a
        class.
    """
    try:
        tree = ast.parse(text, mode="eval").body
        called = isinstance(tree, ast.Call)
        name = ast.unparse(tree.func if isinstance(tree, ast.Call) else tree)
        if isinstance(tree, ast.Call) and tree.args:
            raise ValueError("parameters must have names")
        keywords = tree.keywords if isinstance(tree, ast.Call) else []
        params = {str(word.arg): ast.literal_eval(word.value) for word in keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"{text!r} must have the form module.Class or module.Class(name=value): {error}"
        ) from error
    try:
        found = load_dotted(name) if "." in name else None
    except ImportError as error:
        raise ImportError(f"{name} can't be imported: {error}") from error
    if not isinstance(found, type):
        raise ValueError(f"{name!r} isn't a class; give module.Class")
    if not called:
        for maker in ("create_test_instance", "_create_test_instance"):
            if hasattr(found, maker):
                return getattr(found, maker)()
    return found(**params)


def _print_line(result: CheckResult) -> None:
    reason = f": {result.reason}" if result.reason else ""
    print(f"{result.status:8} {result.check}{reason}", flush=True)


def _summary(results: list[CheckResult]) -> tuple[dict[str, int], list[str]]:
    counts = {
        status: sum(result.status == status for result in results)
        for status in ("passed", "failed", "skipped")
    }
    return counts, [result.check for result in results if result.status == "failed"]
