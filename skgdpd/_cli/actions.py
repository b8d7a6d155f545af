"""Calls of the commands with the options of the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from . import commands
from .check import check
from .demo import run_demo
from .predictions import Unfinished
from .series_files import Columns
from .stream import stream


def _demo(options: Namespace) -> str:
    return run_demo(
        options.data,
        _columns(options),
        options.earliness,
        options.out,
        verbose=not options.quiet,
    )


def _check(options: Namespace) -> str | int:
    return check(options.data, _columns(options), unlabeled=options.unlabeled, model=options.model)


def _fit(options: Namespace) -> str:
    parts = options.earliness
    return commands.fit(
        options.data,
        options.out,
        method=options.method,
        teacher=options.teacher,
        unlabeled=options.unlabeled,
        earliness=parts[0] if len(parts) == 1 else parts,
        delay_cost=options.delay_cost,
        error_cost=options.error_cost,
        class_weight=options.class_weight,
        student=options.student,
        max_epochs=options.epochs,
        missing_values=options.missing,
        columns=_columns(options),
        random_state=options.seed,
        device=options.device,
        verbose=0 if options.quiet else 1,
    )


def _predict(options: Namespace) -> str:
    return commands.predict(
        options.model,
        options.data,
        options.out,
        _columns(options),
        options.threshold,
        Unfinished(options.short, options.open),
    )


def _evaluate(options: Namespace) -> str:
    return commands.evaluate(
        options.model,
        options.data,
        _columns(options),
        options.threshold,
        options.report,
        options.cost,
        options.short,
    )


def _export(options: Namespace) -> str:
    return commands.export(options.model, options.out)


def _stream(options: Namespace) -> int:
    return stream(
        options.model,
        state=options.state,
        save_every=options.save_every,
        wait=options.open,
        format=options.format,
        id=options.id,
        time=options.time,
        values=options.values,
        separator="," if options.separator is None else options.separator,
        decimal=options.decimal,
        after_answer=options.after_answer,
        max_open=options.max_open,
        idle_timeout=options.idle_timeout,
        remember=options.remember,
    )


def _columns(options: Namespace) -> Columns:
    return Columns(
        id=options.id,
        time=options.time,
        values=options.values,
        label=options.label,
        step=options.step,
        header=not options.no_header,
        separator=options.separator,
        decimal=options.decimal,
        labels=options.labels,
    )


ACTIONS: dict[str, Callable[[Namespace], str | int]] = {
    "demo": _demo,
    "check": _check,
    "fit": _fit,
    "predict": _predict,
    "evaluate": _evaluate,
    "export": _export,
    "stream": _stream,
}
"""Function of each command, which returns a report to print, or an exit status."""
