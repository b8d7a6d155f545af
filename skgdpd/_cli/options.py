"""Options of the commands, and what runs when they are given."""

from __future__ import annotations

import argparse

from .._runtime import option_types as types

DEMO_EXAMPLES = """examples:
  bundled data:       skgdpd demo
  your own series:    skgdpd demo --data Coffee_TRAIN.ts --earliness 0.2 0.4
  a table:            skgdpd demo --data points.csv --id patient --time hour --label ill
"""
CHECK_EXAMPLES = """examples:
  before a fit:       skgdpd check points.csv --id patient --time hour --label ill
  with unlabelled:    skgdpd check few.ts --unlabeled many.ts
  for a model:        skgdpd check new.csv --id patient --time hour --model ill.zip
"""
FIT_EXAMPLES = """examples:
  one moment:         skgdpd fit GunPoint_TRAIN.ts --out gun.zip --earliness 0.3
  a teacher:          skgdpd fit GunPoint_TRAIN.ts --out gun.zip --method gdpd
  unlabelled series:  skgdpd fit few.ts --unlabeled many.ts --out model.zip
  a row a point:      skgdpd fit points.csv --id patient --time hour --label ill --out ill.zip
  a rare class:       skgdpd fit points.csv --id patient --time hour --label ill --out ill.zip
                        --class-weight balanced
  when to answer:     skgdpd fit GunPoint_TRAIN.ts --out early.zip
                        --earliness 0.1 0.2 0.3 0.5 1.0 --delay-cost 0.3
  misses cost more:   skgdpd fit points.csv --id patient --time hour --label ill --out early.zip
                        --earliness 0.1 0.2 0.3 0.5 1.0 --delay-cost 0.3 --error-cost yes=20
"""
PREDICT_EXAMPLES = """examples:
  to the screen:      skgdpd predict gun.zip GunPoint_TEST.ts
  into a file:        skgdpd predict gun.zip GunPoint_TEST.ts --out predictions.csv
  fewer misses:       skgdpd predict ill.zip new.csv --id patient --time hour --threshold yes=0.2
  still running:      skgdpd predict early.zip running.csv --id machine --time hour --open
"""
EVALUATE_EXAMPLES = """examples:
  tables:             skgdpd evaluate gun.zip GunPoint_TEST.ts
  and pictures:       skgdpd evaluate gun.zip GunPoint_TEST.ts --report gun.html
  fewer misses:       skgdpd evaluate ill.zip test.csv --id patient --time hour --label ill
                        --threshold yes=0.2
  what misses cost:   skgdpd evaluate ill.zip test.csv --id patient --time hour --label ill
                        --cost yes=20

A threshold that was chosen on these series is scored too well on them. Choose it on others.
"""
STREAM_EXAMPLES = """examples:
  lines of JSON:      echo '{"id": "a", "values": [0.5]}' | skgdpd stream early.zip
  a growing table:    tail -n +1 -F live.csv | skgdpd stream early.zip --format csv
                        --id machine --time when --state stream.zip >> answers.csv
"""
TABLES = "a .ts, .tsv, .npz, .csv or .parquet file"


def add_demo(command: argparse.ArgumentParser) -> None:
    """Add the options of ``demo`` to its parser."""
    command.description = (
        "Fit models with and without a teacher and unlabelled series, and print a "
        "table of their\nscores. Answer a stream of series point by point. Draw pictures, and "
        "print what to do next."
    )
    command.epilog = DEMO_EXAMPLES
    command.add_argument(
        "--data",
        metavar="PATH",
        help=f"{TABLES}; scores are of the _TEST file beside a _TRAIN file, or else of half of "
        "the series, as with tables; labels of half to three quarters of the other series are "
        "hidden, to show what unlabelled series add; the default is ItalyPowerDemand and GunPoint",
    )
    command.add_argument(
        "--earliness",
        type=types.fraction,
        nargs="+",
        default=[0.2, 0.3],
        metavar="PART",
        help="with --data: fractions of the series seen, in (0, 1]",
    )
    command.add_argument(
        "--out",
        type=types.new_folder,
        default="demo-output",
        metavar="FOLDER",
        help="folder for the plots",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_columns(command)


def add_check(command: argparse.ArgumentParser) -> None:
    """Add the options of ``check`` to its parser."""
    command.description = (
        "Say what is in a file of series: their number, channels, lengths, step, "
        "missing values and\nclasses. Say what a fit, or a model, would refuse there, and which "
        "option mends it. Nothing is\nfitted."
    )
    command.epilog = CHECK_EXAMPLES
    command.add_argument("data", metavar="DATA", help=f"{TABLES} of series")
    command.add_argument(
        "--unlabeled", metavar="FILE", help=f"{TABLES} of unlabelled series for the same fit"
    )
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="saved model that shall answer the series; DATA needs no labels then",
    )
    _add_columns(command)


def add_fit(command: argparse.ArgumentParser) -> None:
    """Add the options of ``fit`` to its parser."""
    command.description = (
        "Fit a classifier to a file of labelled whole series, and save it. It answers "
        "new series from\ntheir first part. The defaults are a good beginning; only DATA and "
        "--out are needed."
    )
    command.epilog = FIT_EXAMPLES
    from ..nets import available_backbones  # here, as no other command's help needs networks

    names = ", ".join(available_backbones())
    command.add_argument("data", metavar="DATA", help=f"{TABLES} of labelled series")
    command.add_argument("--out", required=True, metavar="MODEL", help="file to save the model to")
    command.add_argument(
        "--method",
        choices=("gdpd", "gendd", "gendd-head", "prefix"),
        help="gdpd, gendd and gendd-head have a teacher, prefix has none; gendd predicts from "
        "generated features, gendd-head by the student's own classifier; by default gdpd with "
        "--unlabeled or --teacher, and prefix otherwise, since a teacher adds nothing where all "
        "series have labels",
    )
    command.add_argument(
        "--earliness",
        type=types.part,
        nargs="+",
        default=[0.3],
        metavar="PART",
        help="fraction of the longest training series that is seen, in (0, 1], or number of time "
        "points, at least 2; "
        "several make one model that answers at several moments",
    )
    command.add_argument(
        "--delay-cost",
        type=types.positive,
        metavar="COST",
        help="cost of waiting to the end of a series, where an error costs 1; with it a stopping "
        "rule is fitted, too, which chooses the moment of each answer, and the model can answer "
        "streams. It needs several --earliness, the moments",
    )
    command.add_argument(
        "--error-cost",
        type=types.class_and_cost,
        nargs="+",
        metavar="CLASS=COST",
        help="with --delay-cost: cost of an error on a series of CLASS, as in yes=20 if a missed "
        "fault costs as much as 20 false alarms; that of other classes is 1",
    )
    command.add_argument(
        "--class-weight",
        type=types.class_weight,
        nargs="+",
        metavar="WEIGHT",
        help="balanced, so that each class counts as often as any other; or CLASS=WEIGHT ..., "
        "where classes without a weight have 1; by default each series counts the same",
    )
    command.add_argument("--student", default="mixed", metavar="NAME", help=f"one of {names}")
    command.add_argument(
        "--teacher",
        nargs="+",
        metavar="NAME",
        help="backbones of the teacher, of the same names; several make an ensemble; by default "
        "the student's backbone",
    )
    command.add_argument(
        "--unlabeled", metavar="FILE", help=f"{TABLES} of unlabelled whole series"
    )
    command.add_argument(
        "--epochs", type=types.whole, default=60, metavar="N", help="length of the training"
    )
    command.add_argument(
        "--missing",
        choices=("error", "interpolate", "mask"),
        default="error",
        help="treatment of missing values in series",
    )
    command.add_argument(
        "--seed", type=types.seed, default=0, help="the same seed gives the same model"
    )
    command.add_argument("--device", default="auto", help="auto is cuda if available, else cpu")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_columns(command)


def add_predict(command: argparse.ArgumentParser) -> None:
    """Add the options of ``predict`` to its parser."""
    command.description = (
        "Predict series with a saved model. Each line has the index of a series "
        "from 0, or its id,\nits label, and the probability of each class. A model with a "
        "stopping rule adds the number\nof time points seen, and whether the answer was forced: "
        "the series ended before the rule was\nsatisfied."
    )
    command.epilog = PREDICT_EXAMPLES
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"{TABLES}; labels are ignored")
    command.add_argument(
        "--out",
        type=types.new_file,
        metavar="FILE",
        help="file to write instead of standard output",
    )
    command.add_argument(
        "--short",
        choices=("refuse", "skip"),
        default="refuse",
        help="treatment of series that are too short for any answer; skip leaves their label "
        "empty",
    )
    command.add_argument(
        "--open",
        action="store_true",
        help="series may go on: where the stopping rule needs more points than there are, the "
        "label is empty, instead of a forced answer",
    )
    _add_threshold(command)
    _add_columns(command)


def add_evaluate(command: argparse.ArgumentParser) -> None:
    """Add the options of ``evaluate`` to its parser."""
    command.description = (
        "Score a saved model on labelled series: accuracy, area under the "
        "precision-recall curve,\naverage precision, log loss, calibration error; recall, "
        "precision, false positive rate and\naverage precision of each class; the confusion "
        "matrix. For two classes also what each threshold\nwould have given; for a model with a "
        "stopping rule the mean cost, the earliness, the harmonic\nmean of accuracy and 1 - "
        "earliness, and what one moment for all series would have cost.\n\n"
        "Take series that the model was not fitted to. Those that it was fitted to score too "
        "well. A\nmodel of `fit` knows its training series. evaluate says how many of them are "
        "scored."
    )
    command.epilog = EVALUATE_EXAMPLES
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"{TABLES} of labelled series")
    command.add_argument(
        "--report",
        type=types.new_file,
        metavar="PAGE.html",
        help="page to write, with tables and pictures in one file: scores, confusion matrix, "
        "reliability, accuracy against the part seen, decisions; it needs matplotlib",
    )
    command.add_argument(
        "--cost",
        type=types.class_and_cost,
        nargs="+",
        metavar="CLASS=COST",
        help="cost of an error on a series of CLASS, as in yes=20 if a missed fault costs as much "
        "as 20 false alarms; that of other classes is 1. Scores have the mean cost of errors, "
        "then, and answers stay as they are. By default the costs of a model with a stopping rule "
        "are its own",
    )
    command.add_argument(
        "--short",
        choices=("refuse", "skip"),
        default="refuse",
        help="treatment of series that are too short for any answer; skip leaves them out of the "
        "scores, and names them",
    )
    _add_threshold(command)
    _add_columns(command)


def add_export(command: argparse.ArgumentParser) -> None:
    """Add the options of ``export`` to its parser."""
    command.description = "Write a saved model's network as ONNX, for use in other programs."
    command.epilog = "examples:\n  skgdpd export gun.zip gun.onnx"
    _add_model(command)
    command.add_argument("out", type=types.new_file, metavar="OUT.onnx", help="file to write")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="saved by fit, or by save in Python")


def _add_threshold(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threshold",
        type=types.class_and_number,
        metavar="CLASS=P",
        help="for models of two classes: answer CLASS from the probability P on, instead of "
        "the more probable class",
    )


def _add_columns(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "files with named columns",
        "for .csv, .tsv and .parquet files. With --time, each row is a point of a series;\n"
        "  without, each row is a series",
    )
    for name, words in (
        ("--id", "ids of series"),
        ("--time", "times: numbers, or dates as in 2026-01-31 12:00"),
        ("--label", "labels"),
    ):
        group.add_argument(name, metavar="COLUMN", help=f"column of {words}")
    group.add_argument(
        "--values",
        nargs="+",
        metavar="COLUMN",
        help="columns of values: channels, or without --time the time points in their order; by "
        "default the model's channels, or else all other columns",
    )
    group.add_argument(
        "--step",
        type=types.positive,
        metavar="STEP",
        help="time from point to point, in seconds if times are dates; by default the median",
    )
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="table with the labels, a row for each series; --id and --label are its columns",
    )
    group.add_argument(
        "--no-header",
        action="store_true",
        help="the first line is no header; columns are named 0, 1, 2, ...",
    )
    _add_signs(group, tabs=", in .tsv files a tab")


def _add_signs(group: argparse._ActionsContainer, where: str = "", tabs: str = "") -> None:
    group.add_argument(
        "--separator",
        metavar="CHARACTER",
        help=f"{where}character between fields; by default a comma{tabs}",
    )
    group.add_argument(
        "--decimal",
        choices=(".", ","),
        default=".",
        metavar="MARK",
        help=f"{where}character before decimals, . or ,",
    )


def add_stream(command: argparse.ArgumentParser) -> None:
    """Add the options of ``stream`` to its parser."""
    command.description = (
        "Read points of series from standard input, line by line, and write the "
        "answer to each series\nto standard output as soon as it is decided. A new id begins a "
        "series. Lines that can't be read\nare reported on standard error, and skipped."
    )
    command.epilog = (
        STREAM_EXAMPLES
        + "\nkeys of a JSON line: id; values, a number for each channel, or points, a list of "
        "these;\nt, the index of the first point within its series, by which repeats are ignored "
        "and gaps\nrefused; time, which is carried through, and gives the place of the point if "
        "there is no t and\nthe model was fitted with --time; end, true for the last line of a "
        "series.\nfields of a CSV line: id, value, ...; or those that a header names"
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        help="early classifier: of fit --delay-cost, or an EarlyClassifier saved in Python",
    )
    command.add_argument(
        "--format", choices=("jsonl", "csv"), default="jsonl", help="form of lines (%(default)s)"
    )
    for name, words in (
        ("--id", "ids of series; it is named in a header, which the first line must be then"),
        ("--time", "times: numbers, or dates as in 2026-01-31 12:00"),
    ):
        command.add_argument(name, metavar="COLUMN", help=f"with --format csv: column of {words}")
    command.add_argument(
        "--values",
        nargs="+",
        metavar="COLUMN",
        help="with --format csv: columns of values, a channel each in the order of the fit; "
        "columns that no option and no name of its own gives a meaning are left out",
    )
    _add_signs(command, "with --format csv: ")
    command.add_argument(
        "--state",
        metavar="FILE",
        help="file to keep open series in when the input ends or the program is stopped; if it "
        "exists, the stream goes on from it. Without it, series that are open at the end of the "
        "input are answered, unless --open is given",
    )
    command.add_argument(
        "--open",
        action="store_true",
        help="series may go on: where the stopping rule needs more points than there are at the "
        "end of the input, there is no answer, instead of a forced one",
    )
    command.add_argument(
        "--save-every",
        type=types.positive,
        default=60.0,
        metavar="SECONDS",
        help="time after which the state is saved anew (%(default)s)",
    )
    command.add_argument(
        "--after-answer",
        choices=("ignore", "refuse", "restart"),
        default="ignore",
        help="treatment of points after the answer; restart begins a new series (%(default)s)",
    )
    command.add_argument(
        "--max-open", type=types.count, metavar="N", help="most series that are open at a time"
    )
    command.add_argument(
        "--idle-timeout",
        type=types.positive,
        metavar="TIME",
        help="give up series without points for longer than this, in the unit of time in the "
        "lines, which it needs; in seconds if times are dates",
    )
    command.add_argument(
        "--remember",
        type=types.count,
        default=100_000,
        metavar="N",
        help="series that are remembered when they need no more points (%(default)s)",
    )
