"""Put a page together: one HTML file that needs neither network nor other files."""

import json
from pathlib import Path
from typing import Any

from disobey.analysis.names import COMPARED, TEACHER
from disobey.explorer.columns import Columns
from disobey.figures.style import ROLES

FOLDER = Path(__file__).parent
TEMPLATE = "explorer.html.jinja"
# What is put into the page as it is, by the template's names.
SCRIPTS = {"library": "vendor/uPlot.iife.min.js", "script": "explorer.js"}
STYLES = {"library_style": "vendor/uPlot.min.css", "style": "explorer.css"}
LICENCE = "vendor/uPlot.LICENSE"


def render(told: dict[str, Any], columns: Columns) -> str:
    """Return the page.

    Parameters
    ----------
    told : dict
        What `disobey.explorer.study.content` says of the study.
    columns : Columns
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    roles = {
        role: {"label": ROLES[role].label, "colour": ROLES[role].colour}
        for role in (TEACHER, *COMPARED)
    }
    index = told | {"columns": columns.index, "roles": roles}
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    parts = {name: _text(file) for name, file in (SCRIPTS | STYLES).items()}
    values = {name: Markup(text) for name, text in parts.items()}  # our own files
    values |= {"index": Markup(_json(index)), "numbers": Markup(columns.packed())}
    html = environment.get_template(TEMPLATE).render(
        values, name=told["name"], report=told["report"], licence=_text(LICENCE)
    )
    return html + "\n"


def _text(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
