"""The command line, ``python -m skgdpd``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import _commands
from ._demo import run_demo
from ._version import __version__
from .nets import available_backbones

USAGE_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

EXAMPLES = """examples:
  python -m skgdpd demo
  python -m skgdpd fit GunPoint_TRAIN.ts --out gun.zip --earliness 0.3 --seed 0
  python -m skgdpd evaluate gun.zip GunPoint_TEST.ts
  python -m skgdpd predict gun.zip GunPoint_TEST.ts --out predictions.csv
  python -m skgdpd export gun.zip gun.onnx
  python -m skgdpd benchmark --help

exit status: 0 for success, 2 for a mistake in what was asked or given, 130 if interrupted
"""
FILES = "a .ts, .tsv or .npz file"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0 for success, 2 for a mistake in what was asked or given, 130 if interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if arguments[:1] == ["benchmark"]:
            from .benchmarking.__main__ import main as run_benchmark

            return run_benchmark(arguments[1:])
        options = _parser().parse_args(arguments)
        print(options.run(options), flush=True)
    except BrokenPipeError:
        # As after "| head". Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, OSError, ImportError) as error:
        print(f"skgdpd: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("skgdpd: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skgdpd",
        description="Early classification of time series.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_fit(commands)
    _add_uses(commands)
    # Never parsed: main hands its arguments on.
    commands.add_parser("benchmark", help="compare methods, and time them", add_help=False)
    return parser


def _add_demo(commands: argparse._SubParsersAction) -> None:
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
        help=f"{FILES}; the _TEST file beside a _TRAIN file is used to score, "
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


def _add_fit(commands: argparse._SubParsersAction) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a classifier to a file of series, and save it",
        description="Fit a classifier to a file of labelled whole series, and save it.",
        epilog="example: python -m skgdpd fit GunPoint_TRAIN.ts --out gun.zip --earliness 0.3",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = ", ".join(available_backbones())
    fit.add_argument("data", metavar="DATA", help=f"{FILES} of labelled series")
    fit.add_argument("--out", required=True, metavar="MODEL", help="file to save the model to")
    fit.add_argument(
        "--method",
        choices=("gdpd", "gendd", "gendd-head", "prefix"),
        default="gdpd",
        help="gendd predicts from generated features, gendd-head by the student's own "
        "classifier; prefix has no teacher",
    )
    fit.add_argument(
        "--earliness",
        type=_part,
        default=0.3,
        metavar="PART",
        help="part of the series seen, in (0, 1], or number of time points from 2",
    )
    fit.add_argument("--student", default="rocket-quant", metavar="NAME", help=f"one of {names}")
    fit.add_argument(
        "--teacher",
        nargs="+",
        metavar="NAME",
        help="of the same names; several are an ensemble, none is the student's",
    )
    fit.add_argument(
        "--unlabeled", metavar="FILE", help=f"{FILES} of series for the teacher to label"
    )
    fit.add_argument("--epochs", type=int, default=60, metavar="N", help="length of the training")
    fit.add_argument(
        "--missing",
        choices=("error", "interpolate", "mask"),
        default="error",
        help="what to do with gaps in series",
    )
    fit.add_argument("--seed", type=int, default=0, help="the same one gives the same model")
    fit.add_argument("--device", default="auto", help="auto is cuda where there is one")
    fit.add_argument("--quiet", action="store_true", help="no progress bar")
    fit.set_defaults(
        run=lambda o: _commands.fit(
            o.data,
            o.out,
            method=o.method,
            teacher=o.teacher,
            unlabeled=o.unlabeled,
            earliness=o.earliness,
            student=o.student,
            max_epochs=o.epochs,
            missing=o.missing,
            random_state=o.seed,
            device=o.device,
            verbose=0 if o.quiet else 1,
        )
    )


def _add_uses(commands: argparse._SubParsersAction) -> None:
    predict = commands.add_parser(
        "predict",
        help="classes and probabilities of series, as CSV",
        description="Predict series with a saved model: a line each, with the series' number "
        "from 0, its class, and the probability of every class.",
        epilog="example: python -m skgdpd predict gun.zip GunPoint_TEST.ts > predictions.csv",
    )
    evaluate = commands.add_parser(
        "evaluate",
        help="accuracy and other scores of a saved model",
        description="Score a saved model on labelled series: accuracy, area under the "
        "precision-recall curve (mean over classes), log loss and expected calibration error.",
        epilog="example: python -m skgdpd evaluate gun.zip GunPoint_TEST.ts",
    )
    export = commands.add_parser(
        "export",
        help="write a saved model's network as ONNX",
        description="Write a saved model's network for other programs, as ONNX.",
        epilog="example: python -m skgdpd export gun.zip gun.onnx",
    )
    for command in (predict, evaluate, export):
        command.add_argument("model", metavar="MODEL", help="saved by fit, or by save in Python")
    predict.add_argument("data", metavar="DATA", help=f"{FILES}; labels are not looked at")
    predict.add_argument("--out", metavar="FILE", help="write there, and not to standard output")
    evaluate.add_argument("data", metavar="DATA", help=f"{FILES} of labelled series")
    export.add_argument("out", metavar="OUT.onnx", help="the file to write")
    predict.set_defaults(run=lambda o: _commands.predict(o.model, o.data, o.out))
    evaluate.set_defaults(run=lambda o: _commands.evaluate(o.model, o.data))
    export.set_defaults(run=lambda o: _commands.export(o.model, o.out))


def _part(text: str) -> float:
    """A number of time points, or a part of a series."""
    return int(text) if text.isdecimal() and int(text) > 1 else _fraction(text)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of a series, in (0, 1]")
    return value
