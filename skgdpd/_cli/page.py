"""Parts of a page: tables and pictures within one file, which needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .._runtime.extras import require

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.table { overflow-x: auto; }
.table::-webkit-scrollbar { height: 8px; }
.table::-webkit-scrollbar-thumb { background: #8c8c8c; border-radius: 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #d0d0d0; text-align: right;
  vertical-align: top; }
th:first-child, td:first-child, .words { text-align: left; }
td { white-space: nowrap; }
td.words { min-width: 12rem; white-space: normal; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
@media (max-width: 30rem) { table { font-size: .8rem; } th, td { padding-right: .35rem; }
  td { white-space: normal; } td.words { min-width: 8rem; } .words { overflow-wrap: anywhere; } }
.side { display: flex; flex-wrap: wrap; gap: 0 2rem; }
"""
CLASS_OF_WORDS = ' class="words"'


def document(title: str, parts: Sequence[str]) -> str:
    """Return a page of parts in HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def paragraphs(sentences: Iterable[str]) -> list[str]:
    """Return a paragraph for each sentence."""
    return [f"<p>{escape(words)}</p>" for words in sentences]


def table(rows: Sequence[tuple[str, ...]], words: int | None = None) -> str:
    """Return a table; the first row is its head, and column ``words`` holds sentences."""

    def line(row: tuple[str, ...], tag: str) -> str:
        cells = (
            f"<{tag}{CLASS_OF_WORDS if i == words else ''}>{escape(c)}</{tag}>"
            for i, c in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    head, *body = rows
    lines = "\n".join(line(row, "td") for row in body)
    return (
        f'<div class="table"><table>\n<thead>{line(head, "th")}</thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def figure_of(figure: Any, words: str, name: str) -> str:
    """Return a picture within the page, and close its figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=144, format="png")
    require("matplotlib.pyplot", "plot", "to draw").close(figure)
    content = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_figwidth() * 80)
    return (
        f'<figure style="max-width: {width}px"><img src="data:image/png;base64,{content}" '
        f'alt="{escape(name)}" width="{width}"><figcaption>{escape(words)}</figcaption></figure>'
    )


def new_figure(size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a new figure and its axes."""
    pyplot = require("matplotlib.pyplot", "plot", "to draw")
    figure, ax = pyplot.subplots(figsize=size, layout="constrained")
    return figure, ax
