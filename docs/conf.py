"""Settings of Sphinx: `python -m sphinx -W -b html docs docs/_build` (extra `docs`)."""

import sys
from pathlib import Path

import fastcnn

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project, author = "fastcnn", "The fastcnn developers"
project_copyright = author
version = release = fastcnn.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "source_pages", "plain_docstrings"]
exclude_patterns = ["_build", "jupyter_execute", "README.md"]  # README: the pages, for a code-hosting site

# Markdown
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
nb_execution_mode = "force"  # notebooks are stored without results
nb_execution_timeout = 300
nb_execution_raise_on_error = True

html_math_renderer = "mathml"

# Reference
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True

# Appearance
html_theme = "furo"
html_title = f"fastcnn {release}"
html_static_path = ["_static"]
html_css_files = ["fastcnn.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style, pygments_dark_style = "friendly", "monokai"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7fb2ea", "color-brand-content": "#7fb2ea"},
}


def add_other_pages(app, docname, source):
    """In the last list of index.md, put the pages that no list names in the place of its star."""
    if docname == "index":
        pages = sorted(path.stem for path in Path(__file__).parent.glob("*.md") if path.stem not in ("README", "index"))
        known = source[0].splitlines()
        others = [name for name in pages if name not in known and not name.startswith("coming-from-")]
        source[0] = source[0].replace("\n*\n", "\n" + "\n".join(others) + "\n")


def setup(app):
    """Let index.md list all pages."""
    app.connect("source-read", add_other_pages)
