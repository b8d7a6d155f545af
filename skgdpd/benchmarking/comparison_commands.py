"""Commands that compare methods on data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .cells import PROTOCOLS, Cell, make_cells
from .controls import CONTROLS
from .main_job import main_job_table
from .paper import METHODS, PUBLISHED, paper_table
from .report import write_report
from .run import run
from .store import Store
from .tables import METRICS


def add_comparisons(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    job = commands.add_parser("main-job", help="default classifiers beside plain baselines")
    job.add_argument("--seeds", type=int, default=5, help="repetitions")
    job.add_argument("--data", nargs="*", default=[], metavar="FILE", help="more .ts, .tsv, .npz")
    job.set_defaults(run=lambda o: print(main_job_table(o.seeds, o.data)))

    cells = commands.add_parser("run", help="methods x data sets x parts seen x seeds")
    cells.add_argument("--sets", nargs="+", required=True, metavar="NAME",
                       help="files' stems in --data, or sktime:NAME")  # fmt: skip
    cells.add_argument("--methods", nargs="+", required=True, metavar="METHOD",
                       help="base, gdpd, gendd, gendd-head, a distiller, each with "
                       ":STUDENT:TEACHER if wanted; "
                       f"controls ({', '.join(CONTROLS)}); "
                       "minirocket, logistic, extra-trees, self-training, label-spreading; "
                       "a dotted name")  # fmt: skip
    cells.add_argument("--earliness", nargs="+", type=float, default=[0.2], metavar="F")
    cells.add_argument("--normalize", nargs="+", default=["train"],
                       choices=["train", "prefix", "none"])  # fmt: skip
    cells.add_argument("--settings", nargs="+", default=["labels"], metavar="SETTING",
                       help="labels, recordings[:N], ceiling[:N], share:F")  # fmt: skip
    cells.add_argument("--protocol", default="default", choices=PROTOCOLS)
    cells.add_argument(
        "--search",
        action="store_true",
        help="three values of each method's weight, chosen on validation",
    )
    _running(cells)
    cells.set_defaults(run=_run)

    report = commands.add_parser("report", help="tables and pictures of a store")
    report.add_argument("--store", required=True, metavar="FOLDER")
    report.add_argument("--out", required=True, metavar="FOLDER")
    report.add_argument("--methods", nargs="+", metavar="METHOD")
    report.add_argument("--settings", nargs="+", metavar="SETTING")
    report.add_argument("--reference", metavar="METHOD", help="whose wins are counted")
    report.add_argument("--metric", default="auc_prc", choices=METRICS)
    report.add_argument("--selection", default="validation", choices=["validation", "test"])
    report.set_defaults(
        run=lambda o: print(
            write_report(
                Store(o.store), o.out, methods=o.methods, settings=o.settings,
                reference=o.reference, metric=o.metric, selection=o.selection,
            )
        )
    )  # fmt: skip

    paper = commands.add_parser("paper", help="the GDPD paper's protocol and tables")
    paper.add_argument("--sets", nargs="+", default=list(PUBLISHED), metavar="NAME")
    paper.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    paper.add_argument("--student", default="lstm3-100")
    paper.add_argument("--protocol", default="paper", choices=["paper", "reference"])
    _running(paper)
    paper.set_defaults(run=_paper)

    pack = commands.add_parser("pack", help="put a store's records into one file")
    pack.add_argument("--store", required=True, metavar="FOLDER")
    pack.set_defaults(run=lambda o: print(f"{Store(o.store).pack()} records"))


def _running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, metavar="FOLDER",
                        help="where results are, and where a killed run goes on")  # fmt: skip
    parser.add_argument("--data", metavar="FOLDER", help="where data sets are")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions: seeds 0, 1, ...")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--memory", metavar="FOLDER", help="where teachers and priors are kept")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--retry", action="store_true", help="run failed cells again")


def _run(options: argparse.Namespace) -> None:
    cells = make_cells(
        options.sets, options.methods, options.earliness, options.normalize, options.settings,
        options.seeds, options.protocol, options.search,
    )  # fmt: skip
    _fill(cells, options)


def _fill(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    n_run, n_failed = run(
        cells, Store(options.store), folder=options.data, memory=options.memory,
        device=options.device, n_jobs=options.jobs, retry=options.retry,
    )  # fmt: skip
    there = len(cells) - n_run
    print(f"{n_run} cells run, {there} there already, {n_failed} failed; store: {options.store}")


def _paper(options: argparse.Namespace) -> None:
    methods = [f"{method}:{options.student}" for method in options.methods]
    cells = make_cells(
        options.sets, methods, [0.2], ["none"], ["labels"], options.seeds, options.protocol, True
    )
    _fill(cells, options)
    for selection in ("validation", "test"):
        print(f"\n{paper_table(Store(options.store), options.protocol, selection)}")
