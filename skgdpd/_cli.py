"""The command line, ``python -m skgdpd``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ._demo import run_demo
from ._version import __version__

USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0 for success, 2 for a mistake in what was asked or given, 130 if interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        print(options.run(options))
    except (ValueError, OSError, ImportError) as error:
        print(f"skgdpd: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("skgdpd: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skgdpd", description="Early classification of time series."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="show what a teacher of whole series adds, on bundled data or your own",
        description="Fit a teacher, a student without it and a student taught by it; print a "
        "table and draw accuracy against the part seen.",
        epilog="example: python -m skgdpd demo --data Coffee_TRAIN.ts --earliness 0.2 0.4",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--data",
        metavar="PATH",
        help="a .ts, .tsv or .npz file; the _TEST file beside a _TRAIN file is used to score, "
        "else half of the series; without it, GunPoint and ItalyPowerDemand",
    )
    demo.add_argument(
        "--earliness",
        type=_fraction,
        nargs="+",
        default=[0.2, 0.3],
        metavar="PART",
        help="parts of the series seen, in (0, 1]",
    )
    demo.add_argument("--out", default="demo-output", metavar="FOLDER", help="for the pictures")
    demo.add_argument("--quiet", action="store_true", help="no progress bar")
    demo.set_defaults(run=lambda o: run_demo(o.data, o.earliness, o.out, verbose=not o.quiet))
    return parser


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of a series, in (0, 1]")
    return value
