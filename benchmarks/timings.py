"""Time the package against plain torch, and compare its own alternatives.

Examples, to run in the root of the repository::

    python benchmarks/timings.py --help
    python benchmarks/timings.py step --backbones fcn lstm --device cuda
    python benchmarks/timings.py run
    python benchmarks/timings.py run step search --device cuda

Each command prints a Markdown table. Its figures are ratios of programs that alternate, because
single times mean little on a machine with other load.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from convolutions import convolution_tables
from grid_search import search_table
from prediction import prediction_table
from scale import scale_table
from sharing import sharing_table
from skgdpd.nets import available_backbones
from threads import thread_table
from training_steps import training_step_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The command and its options. None means the arguments of the program.
    """
    options = make_parser().parse_args(arguments)
    options.run(options)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and their options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, backbones: Sequence[str] = ()) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=text)
        if backbones:
            command.add_argument("--backbones", nargs="+", default=backbones, metavar="NAME")
        return command

    every = available_backbones()

    step = add("step", "training steps against a plain torch loop", every)
    step.add_argument(
        "--repeats", type=int, default=7, help="number of pairs of runs, for a median"
    )
    step.add_argument("--device", default="cpu")
    step.set_defaults(run=lambda o: print(training_step_table(o.backbones, o.repeats, o.device)))

    some = ["inception", "inception55-32", "resnet", "fcn"]
    convolutions = add("convolutions", "ways to compute a convolution", some)
    convolutions.add_argument(
        "--repeats", type=int, default=9, help="number of rounds, for a median"
    )
    convolutions.set_defaults(run=lambda o: print(convolution_tables(o.backbones, o.repeats)))

    threads = add("threads", "one thread, two, all, and the chosen number", every)
    threads.add_argument("--repeats", type=int, default=9, help="number of rounds, for a median")
    threads.set_defaults(run=lambda o: print(thread_table(o.backbones, o.repeats)))

    sharing = add("sharing", "a grid whose fits share what they can", ["inception", "fcn"])
    sharing.add_argument("--max-epochs", type=int, default=60)
    sharing.add_argument("--device", default="cpu")
    sharing.set_defaults(run=lambda o: print(sharing_table(o.backbones, o.max_epochs, o.device)))

    search = add("search", "students together against one after the other", every)
    search.add_argument("--members", nargs="+", type=int, default=[2, 6, 30])
    search.add_argument("--batch-sizes", nargs="+", type=int, default=[16, 64])
    search.add_argument(
        "--repeats", type=int, default=3, help="number of pairs of runs, for a median"
    )
    search.add_argument("--device", default="cpu")
    search.set_defaults(
        run=lambda o: print(
            search_table(o.backbones, o.members, o.batch_sizes, o.repeats, o.device)
        )
    )

    prediction = add("prediction", "predict_proba against the plain module", every)
    prediction.add_argument(
        "--repeats", type=int, default=300, help="number of series, for a median"
    )
    prediction.add_argument("--device", default="cpu")
    prediction.set_defaults(
        run=lambda o: print(prediction_table(o.backbones, o.repeats, o.device))
    )

    scale = add("scale", "fits from memory-mapped files of growing size")
    scale.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    scale.add_argument("--methods", nargs="+", default=["prefix", "stream", "gdpd"])
    scale.add_argument("--epochs", type=int, default=1)
    scale.add_argument(
        "--folder", default=".", help="folder of data files, 400 MB for a million series"
    )
    scale.set_defaults(run=lambda o: print(scale_table(o.sizes, o.methods, o.epochs, o.folder)))

    parts = list(commands.choices)
    together = add("run", "several of these with their default options, or all")
    together.add_argument("parts", nargs="*", metavar="COMMAND", help=", ".join(parts))
    together.add_argument(
        "--device", default="cpu", help="device of the commands with this option"
    )
    together.set_defaults(run=lambda o: run_all(commands, o.parts or parts, parts, o.device))
    return parser


def run_all(commands: Any, chosen: Sequence[str], allowed: Sequence[str], device: str) -> None:
    """Run commands with their default options.

    Parameters
    ----------
    commands : argparse subparsers
        All commands.
    chosen, allowed : sequence of str
        The names of those that are run, and of all that may be.
    device : str
        The device of the commands that have such an option.

    Raises
    ------
    ValueError
        If a name is not allowed.
    """
    unknown = sorted(set(chosen) - set(allowed))
    if unknown:
        raise ValueError(f"no command {unknown}; allowed are {', '.join(allowed)}")
    for name in chosen:
        print(f"## {name}\n")
        options = commands.choices[name].parse_args([])
        if hasattr(options, "device"):
            options.device = device
        options.run(options)
        print(flush=True)


if __name__ == "__main__":
    main()
