"""Command line of ``python -m skgdpd.benchmarking``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from .._runtime import option_types as types
from .._runtime.device import resolve_device
from .._runtime.program import PARTLY_FAILED, exit_status
from .cells import PROTOCOLS, Cell, make_cells
from .early.cells import MODELS, SETS, make_early_cells
from .early.models import check_model
from .early.report import write_early_report
from .early.run import load_compiled_parts, missing_early_cells, run_early
from .early.store import EarlyStore
from .kinds import list_kinds
from .methods import check_method
from .paper import METHODS, PUBLISHED, PUBLISHED_STUDENT, paper_table
from .report import write_report
from .run import missing_cells, run
from .scenario import load_data
from .store import Store
from .tables import METRICS, described

MOST_NAMED = 10
"""Maximum number of failed cells that are named."""
EXAMPLES = """examples:
  python -m skgdpd.benchmarking run --store results --sets sktime:gunpoint \\
      --methods base gdpd minirocket --earliness 0.2 0.4 --seeds 3 --jobs 2
  python -m skgdpd.benchmarking report --store results --out report
  python -m skgdpd.benchmarking paper --store results --data FOLDER --seeds 3

exit status: 0 for success, 1 if cells failed, now or before, 2 for bad arguments or data,
130 if interrupted, 141 if what reads the output has gone
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The command and its options. None means the arguments of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 1 if cells failed, 2 for invalid options or data, 130
        after an interrupt, and 141 if the pipe of the output was closed.

    Raises
    ------
    SystemExit
        If options can't be parsed, with status 2, or if they request help, with status 0.
    """

    def work() -> int:
        options = make_parser().parse_args(arguments)
        return int(options.run(options))

    return exit_status(work)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m skgdpd.benchmarking",
        description="Compare methods on data sets.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    cells = commands.add_parser(
        "run",
        help="methods x data sets x parts seen x seeds",
        epilog=list_kinds(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cells.add_argument("--sets", nargs="+", required=True, metavar="NAME",
                       help="files' stems in --data, or sktime:NAME")  # fmt: skip
    cells.add_argument("--methods", nargs="+", required=True, metavar="METHOD",
                       help="one of the kinds below, with its names of backbones if wanted; a "
                       "distiller in lower case, such as hinton; or the dotted name of a "
                       "classifier or distiller")  # fmt: skip
    cells.add_argument("--earliness", nargs="+", type=types.fraction, default=[0.2],
                       metavar="F", help="parts of the series seen, in (0, 1]")  # fmt: skip
    cells.add_argument("--normalize", nargs="+", default=["train"],
                       choices=["train", "prefix", "none"],
                       help="by the training part, each prefix by itself, or not")  # fmt: skip
    cells.add_argument("--settings", nargs="+", default=["labels"], metavar="SETTING",
                       help="labels, unlabelled[:N], ceiling[:N], share:F")  # fmt: skip
    cells.add_argument("--protocol", default="default", choices=PROTOCOLS,
                       help="parameters of the package, the paper, or its program")  # fmt: skip
    cells.add_argument(
        "--search",
        action="store_true",
        help="three values of each method's weight, chosen on validation",
    )
    _add_running_options(cells)
    cells.set_defaults(run=_run)

    report = commands.add_parser("report", help="tables and pictures of a store")
    report.add_argument("--store", required=True, type=types.folder, metavar="FOLDER",
                        help="folder of the results")  # fmt: skip
    report.add_argument("--out", required=True, type=types.new_folder, metavar="FOLDER",
                        help="folder of the report")  # fmt: skip
    report.add_argument("--methods", nargs="+", metavar="METHOD",
                        help="methods to compare, by their names in the report")  # fmt: skip
    report.add_argument("--settings", nargs="+", metavar="SETTING", help="by default all")
    report.add_argument("--reference", metavar="METHOD", help="the method whose wins are counted")
    report.add_argument("--metric", default="auc_prc", choices=METRICS,
                        help="the metric of the comparison")  # fmt: skip
    report.add_argument("--selection", default="validation", choices=["validation", "test"],
                        help="part on which the candidates of a search are chosen")  # fmt: skip
    report.set_defaults(run=_report)

    paper = commands.add_parser("paper", help="the GDPD paper's protocol and tables")
    paper.add_argument("--sets", nargs="+", default=list(PUBLISHED), metavar="NAME",
                       help="files' stems in --data; by default the paper's five")  # fmt: skip
    paper.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS,
                       help="by default all")  # fmt: skip
    paper.add_argument("--student", default=PUBLISHED_STUDENT, metavar="BACKBONE",
                       help="backbone of student and teacher")  # fmt: skip
    paper.add_argument("--protocol", default="paper", choices=["paper", "reference"],
                       help="parameters of the paper's text, or of its program")  # fmt: skip
    _add_running_options(paper)
    paper.set_defaults(run=_paper)

    early = commands.add_parser("early", help="classifiers that choose their moment")
    early.add_argument("--sets", nargs="+", default=list(SETS), metavar="NAME")
    early.add_argument("--models", nargs="+", default=["ours", "clones"], choices=MODELS)
    early.add_argument("--normalize", nargs="+", default=["train", "prefix"],
                       choices=["train", "prefix"])  # fmt: skip
    early.add_argument("--seeds", type=types.count, default=3, help="repetitions: seeds 0, 1, ...")
    early.add_argument("--store", required=True, type=types.new_folder, metavar="FOLDER",
                       help="folder of the results, from which a killed run goes on")  # fmt: skip
    early.add_argument(
        "--data", type=types.folder, metavar="FOLDER", help="folder of the data sets"
    )
    early.add_argument("--max-train", type=types.count, default=300, metavar="N",
                       help="training series of a set at most, drawn by class")  # fmt: skip
    early.add_argument("--retry", action="store_true", help="run failed fits again")
    early.add_argument("--rescore", action="store_true", help="fit the rules again")
    early.add_argument("--quiet", action="store_true", help="no progress")
    early.set_defaults(run=_early)

    early_report = commands.add_parser("early-report", help="tables and pictures of early")
    early_report.add_argument("--store", required=True, type=types.folder, metavar="FOLDER")
    early_report.add_argument("--out", required=True, type=types.new_folder, metavar="FOLDER")
    early_report.add_argument("--models", nargs="+", choices=MODELS)
    early_report.add_argument("--seeds", nargs="+", type=types.seed, metavar="SEED")
    early_report.set_defaults(run=_early_report)

    pack = commands.add_parser("pack", help="put a store's records into one file")
    pack.add_argument("--store", required=True, type=types.folder, metavar="FOLDER")
    pack.set_defaults(run=_pack)
    return parser


def _add_running_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", required=True, type=types.new_folder, metavar="FOLDER",
                        help="folder of the results, from which a killed run goes on")  # fmt: skip
    parser.add_argument(
        "--data", type=types.folder, metavar="FOLDER", help="folder of the data sets"
    )
    parser.add_argument(
        "--seeds", type=types.count, default=3, help="repetitions: seeds 0, 1, ..."
    )
    parser.add_argument("--jobs", type=types.jobs, default=1, help="cells at once")
    parser.add_argument("--memory", type=types.new_folder, metavar="FOLDER",
                        help="cache of teachers and priors")  # fmt: skip
    parser.add_argument("--device", default="auto", help="device of the networks")
    parser.add_argument("--retry", action="store_true", help="run failed cells again")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _run(options: argparse.Namespace) -> int:
    cells = make_cells(
        options.sets, options.methods, options.earliness, options.normalize, options.settings,
        options.seeds, options.protocol, options.search,
    )  # fmt: skip
    return _fill(cells, options)


def _paper(options: argparse.Namespace) -> int:
    methods = [f"{method}:{options.student}" for method in options.methods]
    cells = make_cells(
        options.sets, methods, [0.2], ["none"], ["labels"], options.seeds, options.protocol, True
    )
    status = _fill(cells, options)
    for selection in ("validation", "test"):
        print(f"\n{paper_table(Store(options.store), cells, selection)}")
    return status


def _fill(cells: Sequence[Cell], options: argparse.Namespace) -> int:
    """Run cells and report those that failed; return the exit status."""
    store = Store(options.store)
    missing = missing_cells(cells, store, options.retry)
    resolve_device(options.device)
    for cell in {cell.method: cell for cell in missing}.values():
        check_method(cell)
    _check_sets((cell.data for cell in missing), options.data)
    n_there = len(cells) - len(missing)
    if not options.quiet:
        words = f"cells to run: {len(missing)}; there already: {n_there}"
        print(words, file=sys.stderr, flush=True)
    n_failed = run(
        missing, store, folder=options.data, memory=options.memory, device=options.device,
        n_jobs=options.jobs, verbose=not options.quiet,
    )  # fmt: skip
    print(
        f"cells run: {len(missing)} (failed: {n_failed}); there already: {n_there}; "
        f"store: {options.store}"
    )
    asked = set(cells)
    return _status([(described(r.cell), r.error) for r in store if r.error and r.cell in asked])


def _early(options: argparse.Namespace) -> int:
    cells = make_early_cells(options.sets, options.models, options.normalize, range(options.seeds))
    store = EarlyStore(options.store)
    missing = missing_early_cells(cells, store, retry=options.retry, rescore=options.rescore)
    to_fit = [cell for cell in missing if store.fit(cell) is None]
    for model in dict.fromkeys(cell.model for cell in to_fit):
        check_model(model)
    _check_sets((cell.data for cell in to_fit), options.data)
    if missing:
        load_compiled_parts()
    n_fits, n_failed = run_early(
        missing, store, folder=options.data, max_train=options.max_train,
        verbose=not options.quiet,
    )  # fmt: skip
    print(f"{n_fits} fits, {n_failed} failed; {store.pack()} records in {options.store}")
    errors = [(cell, store.error(cell)) for cell in cells]
    return _status(
        [
            (f"{cell.data}, {cell.model}, {cell.normalize}, seed {cell.seed}", error)
            for cell, error in errors
            if error is not None
        ]
    )


def _report(options: argparse.Namespace) -> int:
    path = write_report(
        Store(options.store), options.out, methods=options.methods, settings=options.settings,
        reference=options.reference, metric=options.metric, selection=options.selection,
    )  # fmt: skip
    print(path)
    return 0


def _early_report(options: argparse.Namespace) -> int:
    store = EarlyStore(options.store)
    print(write_early_report(store, options.out, models=options.models, seeds=options.seeds))
    return 0


def _pack(options: argparse.Namespace) -> int:
    store = Store(options.store)
    if next(iter(store), None) is None:
        raise ValueError(f"--store {options.store}: there is no record in it")
    print(f"{store.pack()} records")
    return 0


def _check_sets(names: Iterable[str], folder: str | None) -> None:
    """Read all data sets once, so that an unreadable one is found before hours of work."""
    for name in dict.fromkeys(names):
        try:
            load_data(name, folder)
        except (ValueError, OSError, ImportError) as error:
            raise ValueError(f"--sets {name}: {error}") from error


def _status(failed: Sequence[tuple[str, str]]) -> int:
    """Report the cells that failed, with the reasons; return the exit status."""
    if not failed:
        return 0
    counted = "1 cell" if len(failed) == 1 else f"{len(failed)} cells"
    lines = [
        f"skgdpd: {counted} failed, now or before; --retry runs them again; the tracebacks are in "
        f"the store"
    ]
    lines += [f"  {name}: {error.strip().splitlines()[-1]}" for name, error in failed[:MOST_NAMED]]
    if len(failed) > MOST_NAMED:
        lines.append(f"  and {len(failed) - MOST_NAMED} more")
    print("\n".join(lines), file=sys.stderr)
    return PARTLY_FAILED
