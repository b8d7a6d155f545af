"""Equations as MathML, which browsers draw themselves: no script, no download, no LaTeX."""

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(translate(node, as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, in a box that scrolls on narrow screens."""
    writer.body.append(f'<div class="math">{translate(node, as_block=True)}</div>')
    raise nodes.SkipNode


def translate(node: nodes.Element, as_block: bool) -> str:
    """Turn a node's LaTeX into MathML; what can't be turned is a warning."""
    try:
        return latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except Exception as error:
        logger.warning("formula %r: %s", node.astext(), error, location=node)
        return ""
