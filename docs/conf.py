"""The site: ``make docs`` builds it into docs/_build, where every warning is an error.

Why these tools. numpy, scipy and pandas write docstrings in numpydoc's form and render them with
numpydoc, and so do we: its field lists take "array_like, shape (example, class)" as the words that
they are, where napoleon would look for a class of that name. Pages are Markdown, by MyST, since
they are read on a git host too. Those projects' theme, pydata-sphinx-theme, spreads sections over a
header and wants an index page for each; this site is some twenty pages, and furo shows them all in
one sidebar, under four captions. It loads no font and no script from anywhere, and neither do we.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

import disobey  # noqa: E402 - found by the line above

project = "disobey"
author = "The disobey developers"
release = disobey.__version__

extensions = [
    "myst_nb",  # MyST, and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",  # for its role autolink
    "numpydoc",
    "disobey_docs",
]
exclude_patterns = ["_build", "_ext"]

# --- Markdown ---------------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 4  # as git hosts make them, so that a link works on both
highlight_language = "text"  # of indented blocks: shell, YAML, or neither

# --- the notebook -----------------------------------------------------------------------------

# `make docs` has just run it (docs/run_notebook.py) and compared what it prints with what it holds.
nb_execution_mode = "off"
nb_merge_streams = True

# --- docstrings -------------------------------------------------------------------------------

default_role = "autolink"  # `name` is a link where there is something of that name, as in numpy
autodoc_typehints = "none"  # docstrings say more: shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False

nitpicky = True

# --- HTML -------------------------------------------------------------------------------------

html_theme = "furo"
html_math_renderer = "mathml"  # ours
html_title = f"disobey {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
