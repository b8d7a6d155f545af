"""Entry point of ``python -m skgdpd.benchmarking``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .cells import PROTOCOLS, Cell, make_cells
from .controls import CONTROLS
from .early.cells import MODELS, SETS, make_early_cells
from .early.report import write_early_report
from .early.run import load_compiled_parts, run_early
from .early.store import EarlyStore
from .paper import METHODS, PUBLISHED, paper_table
from .report import write_report
from .run import run
from .store import Store
from .tables import METRICS

EXAMPLES = """examples:
  python -m skgdpd.benchmarking run --store results --sets sktime:gunpoint \\
      --methods base gdpd minirocket --earliness 0.2 0.4 --seeds 3 --jobs 2
  python -m skgdpd.benchmarking report --store results --out report
  python -m skgdpd.benchmarking paper --store results --data FOLDER --seeds 3
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The command and its options. None stands for those that the program was called with.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for a mistake in the options or the data.
    """
    options = make_parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m skgdpd.benchmarking",
        description="Compare methods on data sets.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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
    _add_running_options(cells)
    cells.set_defaults(run=_run)

    report = commands.add_parser("report", help="tables and pictures of a store")
    report.add_argument("--store", required=True, metavar="FOLDER")
    report.add_argument("--out", required=True, metavar="FOLDER")
    report.add_argument("--methods", nargs="+", metavar="METHOD")
    report.add_argument("--settings", nargs="+", metavar="SETTING")
    report.add_argument("--reference", metavar="METHOD", help="the method whose wins are counted")
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
    _add_running_options(paper)
    paper.set_defaults(run=_paper)

    early = commands.add_parser("early", help="classifiers that choose their moment")
    early.add_argument("--sets", nargs="+", default=list(SETS), metavar="NAME")
    early.add_argument("--models", nargs="+", default=["ours", "clones"], choices=MODELS)
    early.add_argument("--normalize", nargs="+", default=["train", "prefix"],
                       choices=["train", "prefix"])  # fmt: skip
    early.add_argument("--seeds", type=int, default=3, help="repetitions: seeds 0, 1, ...")
    early.add_argument("--store", required=True, metavar="FOLDER",
                       help="folder of the results, from which a killed run goes on")  # fmt: skip
    early.add_argument("--data", metavar="FOLDER", help="folder of the data sets")
    early.add_argument("--max-train", type=int, default=300, metavar="N",
                       help="training series of a set at most, drawn by class")  # fmt: skip
    early.add_argument("--retry", action="store_true", help="run failed fits again")
    early.add_argument("--rescore", action="store_true", help="fit the rules again")
    early.set_defaults(run=_early)

    early_report = commands.add_parser("early-report", help="tables and pictures of early")
    early_report.add_argument("--store", required=True, metavar="FOLDER")
    early_report.add_argument("--out", required=True, metavar="FOLDER")
    early_report.add_argument("--models", nargs="+", choices=MODELS)
    early_report.add_argument("--seeds", nargs="+", type=int, metavar="SEED")
    early_report.set_defaults(
        run=lambda o: print(
            write_early_report(EarlyStore(o.store), o.out, models=o.models, seeds=o.seeds)
        )
    )

    pack = commands.add_parser("pack", help="put a store's records into one file")
    pack.add_argument("--store", required=True, metavar="FOLDER")
    pack.set_defaults(run=lambda o: print(f"{Store(o.store).pack()} records"))
    return parser


def _add_running_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, metavar="FOLDER",
                        help="folder of the results, from which a killed run goes on")  # fmt: skip
    parser.add_argument("--data", metavar="FOLDER", help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions: seeds 0, 1, ...")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--memory", metavar="FOLDER", help="cache of teachers and priors")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--retry", action="store_true", help="run failed cells again")


def _run(options: argparse.Namespace) -> None:
    cells = make_cells(
        options.sets, options.methods, options.earliness, options.normalize, options.settings,
        options.seeds, options.protocol, options.search,
    )  # fmt: skip
    _fill(cells, options)


def _paper(options: argparse.Namespace) -> None:
    methods = [f"{method}:{options.student}" for method in options.methods]
    cells = make_cells(
        options.sets, methods, [0.2], ["none"], ["labels"], options.seeds, options.protocol, True
    )
    _fill(cells, options)
    for selection in ("validation", "test"):
        print(f"\n{paper_table(Store(options.store), options.protocol, selection)}")


def _early(options: argparse.Namespace) -> None:
    cells = make_early_cells(options.sets, options.models, options.normalize, range(options.seeds))
    store = EarlyStore(options.store)
    load_compiled_parts()
    n_fits, n_failed = run_early(
        cells, store, folder=options.data, max_train=options.max_train,
        retry=options.retry, rescore=options.rescore,
    )  # fmt: skip
    print(f"{n_fits} fits, {n_failed} failed; {store.pack()} records in {options.store}")


def _fill(cells: Sequence[Cell], options: argparse.Namespace) -> None:
    n_run, n_failed = run(
        cells, Store(options.store), folder=options.data, memory=options.memory,
        device=options.device, n_jobs=options.jobs, retry=options.retry,
    )  # fmt: skip
    there = len(cells) - n_run
    print(f"{n_run} cells run, {there} there already, {n_failed} failed; store: {options.store}")


if __name__ == "__main__":
    sys.exit(main())
