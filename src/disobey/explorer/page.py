"""Rendering of the page: its template, and numbers as compressed typed arrays in base64."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.names import COMPARED, TEACHER
from disobey.figures.style import ROLES

FOLDER = Path(__file__).parent
TEMPLATE = "explorer.html.jinja"
# Files to embed in the page, by their names in the template.
PARTS = {
    "library": "vendor/uPlot.iife.min.js", "library_style": "vendor/uPlot.min.css",
    "script": "explorer.js", "style": "explorer.css",
}  # fmt: skip
LICENCE = "vendor/uPlot.LICENSE"
# Typed arrays in a browser must start at a multiple of their item size.
ALIGNED = 8
# A scaled number is stored as an integer: number = middle + integer * step. LARGEST is the largest
# integer, NOT_FINITE marks numbers that are not finite.
LARGEST, NOT_FINITE = 32767, -32768
ARRAYS = {
    "uint8": "Uint8Array",
    "uint16": "Uint16Array",
    "int16": "Int16Array",
    "int32": "Int32Array",
    "float64": "Float64Array",
    "int64": "BigInt64Array",
}


class Columns:
    """Named arrays that a page unpacks.

    ``index`` contains, for each name, ``[array type, offset in bytes, number of values]`` and, for
    scaled columns, also step and middle: a value is middle + integer * step.
    """

    def __init__(self) -> None:
        self.index: dict[str, list[Any]] = {}
        self._parts: list[bytes] = []
        self._end = 0

    def __contains__(self, name: str) -> bool:
        return name in self.index

    def add(
        self, name: str, values: np.ndarray, step: float | None = None, middle: float = 0.0
    ) -> None:
        """Add a column unchanged, or its integers if ``step`` is given; see `ARRAYS` for types."""
        kept = np.ascontiguousarray(values).reshape(-1)
        kept = kept.astype(kept.dtype.newbyteorder("<"))
        scaled = [] if step is None else [step, middle]
        self.index[name] = [ARRAYS[kept.dtype.name], self._end, kept.size, *scaled]
        data = kept.tobytes()
        data += bytes(-len(data) % ALIGNED)
        self._parts.append(data)
        self._end += len(data)

    def add_scaled(self, name: str, values: np.ndarray) -> None:
        """Add floats in 16 bits each, with an error of at most 1/131,068 of their range."""
        finite = np.isfinite(values)
        inside = values[finite].astype(np.float64)
        low, high = (inside.min(), inside.max()) if inside.size else (0.0, 0.0)
        middle, step = float(low + high) / 2, float(high - low) / (2 * LARGEST) or 1.0
        integers = np.full(values.shape, NOT_FINITE, np.int16)
        integers[finite] = np.rint((inside - middle) / step).astype(np.int16)
        self.add(name, integers, step, middle)

    def add_integers(self, name: str, values: np.ndarray) -> None:
        """Add integers in the smallest type that fits; 64-bit integers are BigInts in the page."""
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        for dtype in (np.uint8, np.uint16, np.int32):
            limits = np.iinfo(dtype)
            if limits.min <= low and high <= limits.max:
                return self.add(name, values.astype(dtype))
        return self.add(name, values.astype(np.int64))

    def packed(self) -> str:
        """Return all columns as a zlib stream in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), 9)).decode("ascii")


def render(told: dict[str, Any], columns: Columns) -> str:
    """Return the HTML page for the index and columns from `disobey.explorer.study.content_of`."""
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
    values: dict[str, str] = {name: Markup(_text(file)) for name, file in PARTS.items()}
    values |= {"index": Markup(_json(index)), "numbers": Markup(columns.packed())}
    values |= {"name": told["name"], "report": told["report"], "licence": _text(LICENCE)}
    return environment.get_template(TEMPLATE).render(values) + "\n"


def _text(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """Return JSON that cannot end the script element around it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
