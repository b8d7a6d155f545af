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
  a row per point:    skgdpd fit points.csv --id patient --time hour --label ill --out ill.zip
  a rare class:       skgdpd fit points.csv --id patient --time hour --label ill --out ill.zip
                        --class-weight balanced
  a stopping rule:    skgdpd fit GunPoint_TRAIN.ts --out early.zip
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

Scores of a threshold that was chosen on these series are optimistic. Choose it on other series.
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
        "Compare models with and without a teacher and unlabelled series, and print a "
        "table of their\nscores. Classify the series of a stream point by point. Draw plots, and "
        "print the next commands\nto try."
    )
    command.epilog = DEMO_EXAMPLES
    command.add_argument(
        "--data",
        metavar="PATH",
        help=f"{TABLES}. The scores are computed on the _TEST file beside a _TRAIN file, or else "
        "on half of the series. Labels of half to three quarters of the other series are "
        "hidden, to show the gain by unlabelled series. The default is ItalyPowerDemand and "
        "GunPoint",
    )
    command.add_argument(
        "--earliness",
        type=types.fraction,
        nargs="+",
        default=[0.2, 0.3],
        metavar="PART",
        help="with --data: fractions of each series that are seen, in (0, 1]",
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
        "Print what a file of series contains: number of series, channels, lengths, time "
        "step, missing\nvalues and classes. List everything that `fit`, or a saved model, would "
        "refuse, with the option\nthat solves it. Nothing is fitted."
    )
    command.epilog = CHECK_EXAMPLES
    command.add_argument("data", metavar="DATA", help=f"{TABLES} of series")
    command.add_argument(
        "--unlabeled", metavar="FILE", help=f"{TABLES} of unlabelled series for the same fit"
    )
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="list what this saved model would refuse. DATA then needs no labels",
    )
    _add_columns(command)


def add_fit(command: argparse.ArgumentParser) -> None:
    """Add the options of ``fit`` to its parser."""
    command.description = (
        "Fit an early classifier to a file of labelled whole series, and save it. The "
        "classifier predicts\nthe classes of new series from their first part. Only DATA and "
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
        help="prefix learns from labels only. gdpd, gendd and gendd-head use knowledge "
        "distillation from a teacher of whole series. gendd predicts from generated features, "
        "and gendd-head by the student's own classifier. The default is gdpd with --teacher, "
        "--unlabeled or missing labels, and prefix otherwise",
    )
    command.add_argument(
        "--earliness",
        type=types.part,
        nargs="+",
        default=[0.3],
        metavar="PART",
        help="fraction of the longest training series that is seen, in (0, 1], or number of time "
        "points, at least 2. Several values make one model that can predict at several moments",
    )
    command.add_argument(
        "--delay-cost",
        type=types.positive,
        metavar="COST",
        help="also fit a stopping rule, which chooses the moment of each prediction. COST is the "
        "cost of waiting to the end of a series, and an error costs 1. The model can classify "
        "streams. This needs several values of --earliness: the moments",
    )
    command.add_argument(
        "--error-cost",
        type=types.class_and_cost,
        nargs="+",
        metavar="CLASS=COST",
        help="with --delay-cost: cost of an error on a series of CLASS. Take yes=20 if a missed "
        "yes costs as much as 20 false alarms. The cost of other classes is 1",
    )
    command.add_argument(
        "--class-weight",
        type=types.class_weight,
        nargs="+",
        metavar="WEIGHT",
        help="for imbalanced classes: balanced gives each class the same total weight. "
        "CLASS=WEIGHT ... sets the weight of a series of each class; classes that are not named "
        "have 1. By default all series have the same weight",
    )
    command.add_argument(
        "--student",
        default="mixed",
        metavar="NAME",
        help=f"backbone of the student: one of {names}",
    )
    command.add_argument(
        "--teacher",
        nargs="+",
        metavar="NAME",
        help="backbone of the teacher, one of the same names. Several names make an ensemble. "
        "The default is the student's backbone",
    )
    command.add_argument(
        "--unlabeled",
        metavar="FILE",
        help=f"{TABLES} of unlabelled whole series. The student learns from the teacher's "
        "pseudo-labels for them (semi-supervised learning)",
    )
    command.add_argument(
        "--epochs", type=types.whole, default=60, metavar="N", help="number of training epochs"
    )
    command.add_argument(
        "--missing",
        choices=("error", "interpolate", "mask"),
        default="error",
        help="treatment of missing values: error refuses them, interpolate fills them, mask "
        "fills them and adds a mask channel for each channel",
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
        "Predict the classes of series with a saved model. Each line of output has the "
        "id of a series, or\nits index from 0, its predicted label, and the probability of each "
        "class. A model with a stopping\nrule adds the number of time points seen, and whether "
        "the prediction was forced: the series ended\nbefore the rule was satisfied."
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
        help="treatment of series that are too short for a prediction: refuse is an error, skip "
        "leaves their label empty",
    )
    command.add_argument(
        "--open",
        action="store_true",
        help="the series may still grow. If the stopping rule needs more points, the label stays "
        "empty. Without this option, the prediction is forced",
    )
    _add_threshold(command)
    _add_columns(command)


def add_evaluate(command: argparse.ArgumentParser) -> None:
    """Add the options of ``evaluate`` to its parser."""
    command.description = (
        "Score a saved model on labelled series. The scores are accuracy, area under the "
        "precision-recall\ncurve, average precision, log loss and calibration error. Each class "
        "has its recall, precision,\nfalse positive rate and average precision. The confusion "
        "matrix follows. For two classes, there is\na table of thresholds. For a model with a "
        "stopping rule, there are the mean cost, the earliness,\nthe harmonic mean of accuracy "
        "and 1 - earliness, and the cost of one fixed moment for all series.\n\n"
        "Give series that the model was not fitted to. Scores on training series are optimistic. "
        "A model of\n`fit` keeps digests of its training series, and evaluate prints how many of "
        "them are scored."
    )
    command.epilog = EVALUATE_EXAMPLES
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"{TABLES} of labelled series")
    command.add_argument(
        "--report",
        type=types.new_file,
        metavar="PAGE.html",
        help="also write a page with tables and plots: scores, confusion matrix, reliability "
        "diagram, accuracy against the part seen, decisions. This needs matplotlib",
    )
    command.add_argument(
        "--cost",
        type=types.class_and_cost,
        nargs="+",
        metavar="CLASS=COST",
        help="cost of an error on a series of CLASS. Take yes=20 if a missed yes costs as much as "
        "20 false alarms. The cost of other classes is 1. The scores then have the mean cost of "
        "errors; the predictions do not change. The default is the model's own costs, if it has "
        "a stopping rule",
    )
    command.add_argument(
        "--short",
        choices=("refuse", "skip"),
        default="refuse",
        help="treatment of series that are too short for a prediction: refuse is an error, skip "
        "leaves them out of the scores and prints their ids",
    )
    _add_threshold(command)
    _add_columns(command)


def add_export(command: argparse.ArgumentParser) -> None:
    """Add the options of ``export`` to its parser."""
    command.description = "Write a saved model as an ONNX file, for ONNX Runtime and others."
    command.epilog = "examples:\n  skgdpd export gun.zip gun.onnx"
    _add_model(command)
    command.add_argument("out", type=types.new_file, metavar="OUT.onnx", help="file to write")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="model file of fit, or of save in Python")


def _add_threshold(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threshold",
        type=types.class_and_number,
        metavar="CLASS=P",
        help="for models of two classes: predict CLASS if its probability is at least P. The "
        "default is the more probable class",
    )


def _add_columns(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "files with named columns",
        "for .csv, .tsv and .parquet files. With --time, each row is one point of a series.\n"
        "  Without --time, each row is one series",
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
        help="columns of values: the channels, or without --time the time points in order. The "
        "default is the columns that the model was fitted to, or else all other columns",
    )
    group.add_argument(
        "--step",
        type=types.positive,
        metavar="STEP",
        help="time step from point to point, in seconds if times are dates. The default is the "
        "median difference",
    )
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="separate table of labels, with a row for each series and the columns of --id and "
        "--label",
    )
    group.add_argument(
        "--no-header",
        action="store_true",
        help="use if the file has no header; columns are then 0, 1, 2, ...",
    )
    _add_signs(group, tabs=", in .tsv files a tab")


def _add_signs(group: argparse._ActionsContainer, where: str = "", tabs: str = "") -> None:
    group.add_argument(
        "--separator",
        metavar="CHARACTER",
        help=f"{where}character between fields. The default is a comma{tabs}",
    )
    group.add_argument(
        "--decimal",
        choices=(".", ","),
        default=".",
        metavar="MARK",
        help=f"{where}decimal mark, . or ,",
    )


def add_stream(command: argparse.ArgumentParser) -> None:
    """Add the options of ``stream`` to its parser."""
    command.description = (
        "Read points of series from standard input, line by line. Write the prediction "
        "for each series to\nstandard output as soon as the stopping rule is satisfied. A new id "
        "begins a series. Lines that\ncan't be read are reported on standard error, and skipped."
    )
    command.epilog = (
        STREAM_EXAMPLES + "\nkeys of a JSON line:\n"
        "  id      id of the series\n"
        "  values  one point: a number for each channel\n"
        "  points  several points: a list of such lists, in place of values\n"
        "  t       optional index of the first point; repeats are ignored, and gaps refused\n"
        "  time    optional time of the first point, which the prediction carries. It gives the "
        "place of the\n          point if the line has no t and the model was fitted with "
        "--time\n"
        "  end     optional: true for the last line of a series\n"
        "fields of a CSV line: id, value, ...; or the fields that a header names"
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        help="model with a stopping rule: of fit --delay-cost, or an EarlyClassifier saved in "
        "Python",
    )
    command.add_argument(
        "--format", choices=("jsonl", "csv"), default="jsonl", help="format of the lines"
    )
    for name, words in (
        ("--id", "ids of series. The first line must then be a header"),
        ("--time", "times: numbers, or dates as in 2026-01-31 12:00"),
    ):
        command.add_argument(name, metavar="COLUMN", help=f"with --format csv: column of {words}")
    command.add_argument(
        "--values",
        nargs="+",
        metavar="COLUMN",
        help="with --format csv: columns of values, one for each channel, in the order of the "
        "fit. Other columns are ignored",
    )
    _add_signs(command, "with --format csv: ")
    command.add_argument(
        "--state",
        metavar="FILE",
        help="file for the open series when the input ends or the program is stopped. If it "
        "exists, the stream resumes from it. Without --state, series that are open at the end of "
        "the input get a forced prediction, unless --open is given",
    )
    command.add_argument(
        "--open",
        action="store_true",
        help="the series may still grow. Series that are open at the end of the input get no "
        "prediction. Without this option, their predictions are forced",
    )
    command.add_argument(
        "--save-every",
        type=types.positive,
        default=60.0,
        metavar="SECONDS",
        help="time between two saves of the state",
    )
    command.add_argument(
        "--after-answer",
        choices=("ignore", "refuse", "restart"),
        default="ignore",
        help="treatment of further points of a series after its prediction: restart begins a new "
        "series under the same id",
    )
    command.add_argument(
        "--max-open",
        type=types.count,
        metavar="N",
        help="largest number of series that wait for a prediction. Lines of further series are "
        "refused",
    )
    command.add_argument(
        "--idle-timeout",
        type=types.positive,
        metavar="TIME",
        help="end series that have had no points for longer than this. Each line then needs a "
        "time, and TIME has the same unit, or seconds if times are dates",
    )
    command.add_argument(
        "--remember",
        type=types.count,
        default=100_000,
        metavar="N",
        help="number of finished series that are remembered, to recognise repeated lines",
    )
