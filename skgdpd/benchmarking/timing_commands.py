"""Commands that time the package against plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nets import available_backbones
from .convolutions import convolution_tables
from .prediction import prediction_table
from .scale import scale_table
from .search import search_table
from .sharing import sharing_table
from .speed import training_step_table
from .threads import thread_table


def add_timings(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    step = commands.add_parser("step", help="training steps against a plain torch loop")
    step.add_argument("--backbones", nargs="+", default=available_backbones(), metavar="NAME")
    step.add_argument("--repeats", type=int, default=7, help="pairs of runs; the median counts")
    step.add_argument("--device", default="cpu")
    step.set_defaults(run=lambda o: print(training_step_table(o.backbones, o.repeats, o.device)))

    convolutions = commands.add_parser("convolutions", help="ways to compute a convolution")
    convolutions.add_argument(
        "--backbones", nargs="*", default=["inception", "inception55-32", "resnet", "fcn"]
    )
    convolutions.add_argument("--repeats", type=int, default=9, help="rounds; the median counts")
    convolutions.set_defaults(run=lambda o: print(convolution_tables(o.backbones, o.repeats)))

    threads = commands.add_parser("threads", help="one thread, two, all, and the chosen number")
    threads.add_argument("--backbones", nargs="+", default=available_backbones(), metavar="NAME")
    threads.add_argument("--repeats", type=int, default=9, help="rounds; the median counts")
    threads.set_defaults(run=lambda o: print(thread_table(o.backbones, o.repeats)))

    sharing = commands.add_parser("sharing", help="a grid whose fits share what they can")
    sharing.add_argument("--backbones", nargs="+", default=["inception", "fcn"], metavar="NAME")
    sharing.add_argument("--max-epochs", type=int, default=60)
    sharing.add_argument("--device", default="cpu")
    sharing.set_defaults(run=lambda o: print(sharing_table(o.backbones, o.max_epochs, o.device)))

    prediction = commands.add_parser("prediction", help="predict_proba against the plain module")
    prediction.add_argument("--backbones", nargs="+", default=available_backbones())
    prediction.add_argument("--repeats", type=int, default=300, help="series; the median counts")
    prediction.add_argument("--device", default="cpu")
    prediction.set_defaults(
        run=lambda o: print(prediction_table(o.backbones, o.repeats, o.device))
    )

    scale = commands.add_parser("scale", help="fits from memory-mapped files of growing size")
    scale.add_argument("--sizes", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    scale.add_argument("--methods", nargs="+", default=["prefix", "stream", "gdpd"])
    scale.add_argument("--epochs", type=int, default=1)
    scale.add_argument("--folder", default=".", help="for the files: 400 MB for a million series")
    scale.set_defaults(run=lambda o: print(scale_table(o.sizes, o.methods, o.epochs, o.folder)))

    search = commands.add_parser("search", help="students together against one after the other")
    search.add_argument("--backbones", nargs="+", default=available_backbones(), metavar="NAME")
    search.add_argument("--members", nargs="+", type=int, default=[2, 6, 30])
    search.add_argument("--batch-sizes", nargs="+", type=int, default=[16, 64])
    search.add_argument("--repeats", type=int, default=3, help="pairs of runs; the median counts")
    search.add_argument("--device", default="cpu")
    search.set_defaults(
        run=lambda o: print(
            search_table(o.backbones, o.members, o.batch_sizes, o.repeats, o.device)
        )
    )

    parts = ("step", "convolutions", "threads", "sharing", "search", "prediction", "scale")
    speed = commands.add_parser("speed", help="all of " + ", ".join(parts))
    speed.add_argument("parts", nargs="*", metavar="PART", help="some of them only")
    speed.add_argument("--device", default="cpu", help="for the parts that can run on others")
    speed.set_defaults(run=lambda o: _run_all(commands, o.parts or parts, parts, o.device))


def _run_all(commands: Any, chosen: Sequence[str], allowed: Sequence[str], device: str) -> None:
    unknown = sorted(set(chosen) - set(allowed))
    if unknown:
        raise ValueError(f"speed has no part {unknown}; allowed are {', '.join(allowed)}")
    for name in chosen:
        parser = commands.choices[name]
        print(f"## {name}\n")
        options = parser.parse_args([])
        if hasattr(options, "device"):
            options.device = device
        options.run(options)
        print(flush=True)
