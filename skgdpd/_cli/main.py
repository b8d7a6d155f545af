"""Parser and entry point of the command line, ``skgdpd`` or ``python -m skgdpd``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .._runtime.program import exit_status, import_promptly
from .._version import __version__
from . import options
from .words import in_options, meant

DESCRIPTION = """\
Early classification of time series (ECTS): predict the class of a series from its first part, and
decide when enough has been seen. Unlabelled series can help, through a teacher of whole series
(semi-supervised knowledge distillation).

Begin with a file of labelled series. `check` prints what it contains. `fit` fits a model to it.
`evaluate` scores the model on other series. `predict` classifies new series. `demo` shows all of
this on bundled data.
"""
EXAMPLES = """examples:
  skgdpd demo
  skgdpd check GunPoint_TRAIN.ts
  skgdpd fit GunPoint_TRAIN.ts --out gun.zip --earliness 0.3 --seed 0
  skgdpd evaluate gun.zip GunPoint_TEST.ts --report gun.html
  skgdpd predict gun.zip GunPoint_TEST.ts --out predictions.csv
  skgdpd export gun.zip gun.onnx
  skgdpd stream early.zip < points.jsonl > answers.jsonl
  skgdpd benchmark --help

`skgdpd COMMAND --help` lists the options of a command, with examples.

exit status: 0 for success, 1 if lines of a stream were refused, cells of a benchmark failed or
`check` found a problem, 2 for bad arguments or data, 130 if interrupted, 141 if the reader of the
output has gone
"""
COMMANDS = {
    "demo": ("show early classification on bundled data or your own", options.add_demo),
    "check": ("print what a file contains, and what fit would refuse", options.add_check),
    "fit": ("fit a classifier to a file of labelled series, and save it", options.add_fit),
    "predict": ("predict classes and probabilities of series, as CSV", options.add_predict),
    "evaluate": (
        "score a saved model: tables, and a page with plots",
        options.add_evaluate,
    ),
    "export": ("write a saved model as an ONNX file", options.add_export),
    "stream": (
        "classify series while their points arrive on standard input",
        options.add_stream,
    ),
}
"""What each command does, and the function that adds its options to a parser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments of the command line. The default is the arguments of the process.

    Returns
    -------
    int
        Exit status: 0 for success, 1 if lines of a stream were refused, cells of a benchmark
        failed or a check found what would be refused, 2 for bad arguments or data, 130 if
        interrupted, and 141 if the reader of the output is gone.

    Raises
    ------
    SystemExit
        If options can't be parsed, with status 2, or if they ask for help, with status 0.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    return exit_status(lambda: _run(given))


def _run(arguments: list[str]) -> int:
    # Networks take seconds to import. Help and wrong options need none.
    if arguments[:1] == ["benchmark"]:
        return int(import_promptly("skgdpd.benchmarking.commands").main(arguments[1:]))
    given = _parsed(arguments)
    actions = import_promptly("skgdpd._cli.actions").ACTIONS
    try:
        result = actions[given.action](given)
    except ValueError as error:
        raise ValueError(in_options(str(error))) from error
    if isinstance(result, int):
        return result
    print(result)
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options; an unknown one is an error of its command, whose usage is shown."""
    parser = _parser(arguments)
    if not arguments:
        parser.exit(2, parser.format_help())
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        near = meant(unknown, given.command._option_string_actions)
        given.command.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
    return given


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Formatter of help that keeps the lines of examples, and adds defaults that are values."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, words = action.default, action.help
        silent = default is None or default is False or default == argparse.SUPPRESS
        if silent or words is None or "%(default)" in words:
            return words
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        return f"{words} (default: {shown})".replace("%", "%%")


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Return a parser in which only the commands among the arguments have their options."""
    parser = argparse.ArgumentParser(
        prog="skgdpd",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (words, add_options) in COMMANDS.items():
        command = commands.add_parser(name, help=words, formatter_class=_Formatter)
        command.set_defaults(command=command, action=name)
        if name in arguments:
            add_options(command)
    # Listed for --help only; main passes its arguments on.
    commands.add_parser("benchmark", help="compare methods, and time them", add_help=False)
    return parser
