"""Configuration of the site. ``make docs`` builds it in docs/_build; every warning is an error.

- numpydoc renders the docstrings, as for numpy, scipy and pandas. It accepts "array_like, shape
  (example, class)" as a type, where napoleon would look for a class of that name.
- MyST renders Markdown pages, which git hosts show too.
- furo shows all pages, some twenty, in one sidebar. pydata-sphinx-theme would need a header and an
  index page per section. furo loads no font or script from elsewhere.
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
myst_heading_anchors = 4  # the same anchors as on git hosts
highlight_language = "text"  # of indented blocks: shell, YAML, or neither

# --- the notebook -----------------------------------------------------------------------------

# `make docs` runs the notebook before (docs/run_notebook.py) and compares the outputs.
nb_execution_mode = "off"
nb_merge_streams = True

# --- docstrings -------------------------------------------------------------------------------

default_role = "autolink"  # `name` is a link if an object of that name exists, as in numpy
autodoc_typehints = "none"  # docstrings give shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False

nitpicky = True

# --- HTML -------------------------------------------------------------------------------------

html_theme = "furo"
html_math_renderer = "mathml"  # from disobey_docs
html_title = f"disobey {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
