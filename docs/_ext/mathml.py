"""Formulas as MathML, which browsers draw by themselves: no script, no font and no network."""

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError


def _inline(writer, node):
    writer.body.append(_mathml(node, as_block=False))
    raise SkipNode


def _block(writer, node):
    writer.body.append(_mathml(node, as_block=True))
    raise SkipNode


def _mathml(node, *, as_block):
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        raise ExtensionError(f"{node.source}:{node.line}: {error} in {node.astext()!r}") from error


def setup(app):
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
