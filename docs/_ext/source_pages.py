"""Pages for the files of the repository that the documentation links to, and the links to them.

On a code-hosting site `[loops](../kernels/loops.py)` leads to the file; in what Sphinx builds, to a page that shows it.
"""

import os.path
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
LANGUAGES = {".py": "python", ".md": "markdown", ".toml": "toml"}


def source_at(page, target):
    """Return the file that a link on a page leads to, a package's __init__.py for its folder; None inside docs/."""
    path = Path(os.path.normpath(page.parent / target.partition("#")[0]))
    for found in (path / "__init__.py", path.with_name(path.name + ".md")):  # MyST calls README.md README
        path = found if found.exists() else path
    return path if path.is_file() and REPOSITORY in path.parents and DOCS not in path.parents else None


def page_of(path):
    """Return the name of the page of a file."""
    return f"source/{path.relative_to(REPOSITORY).as_posix()}"


class SourceLinks(SphinxTransform):
    """Lets links to files outside docs/ lead to their pages."""

    default_priority = 10

    def apply(self):
        """Replace what MyST made of such links: downloads, and references that it could not resolve."""
        page = Path(self.env.doc2path(self.env.docname))
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for node in list(self.document.findall(kind)):
                path = source_at(page, node["reftarget"]) if node.get("reftarget") else None
                if path is not None:
                    address = os.path.relpath(page_of(path), os.path.dirname(self.env.docname)).replace(os.sep, "/")
                    link = nodes.reference("", "", *node.children, internal=True, refuri=f"{address}.html")
                    node.replace_self(link)


def linked(app):
    """Return all files that pages link to."""
    pages = [Path(app.env.doc2path(name)) for name in app.env.found_docs]
    links = [(page, target) for page in pages if page.suffix == ".md"
             for target in re.findall(r"\]\((\.\./[^)\s]+)\)", page.read_text(encoding="utf-8"))]
    return {path for page, target in links if (path := source_at(page, target)) is not None}


def source_pages(app):
    """Give name, contents and template of each page."""
    for path in sorted(linked(app)):
        text, language = path.read_text(encoding="utf-8"), LANGUAGES.get(path.suffix, "text")
        title = path.relative_to(REPOSITORY).as_posix()
        shown = app.builder.highlighter.highlight_block(text, language)
        yield page_of(path), {"title": title, "body": f"<h1>{title}</h1>{shown}"}, "page.html"


def setup(app):
    """Add the links and the pages."""
    app.add_transform(SourceLinks)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": True}
