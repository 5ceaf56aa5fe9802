"""Square panels of a model against its teacher: cell counts, binned means, split sizes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D

from disobey.analysis.names import ALL, REFERENCE, STUDENT
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.sheet import even_ticks, put_ticks, say
from disobey.numbers import NBSP, interval

# The labels of the axes.
X, Y = "teacher (logit)", "model (logit)"
# The student first: the reference is its control.
MODELS = (STUDENT, REFERENCE)
# Share of the examples beyond either end of a scale, and the margin on either side of the others.
TAIL, ROOM = 0.001, 0.03
# The scale of a panel without examples.
FALLBACK = (-1.0, 1.0)
MAX_TICKS = 3
# Share of a scale without ticks at either end: a label would extend into the next panel.
INSET = 0.08
CASING = 1.8


def seeds(analysis: Analysis, split: str = "test") -> int:
    """Return the number of seeds."""
    return int(analysis.splits[split].sizes["seed"])


def examples(analysis: Analysis, split: str = "test", subset: str = ALL) -> str:
    """Return the number of examples, or its range over seeds."""
    counts = analysis.splits[split].examples.sel(subset=subset).values
    few, many = int(counts.min()), int(counts.max())
    return f"{few:,}" if few == many else f"{few:,}–{many:,}"


def size(analysis: Analysis, split: str = "test", subset: str = ALL) -> str:
    """Return the numbers of seeds and examples of a split, ``5 × 10,000``."""
    return f"{seeds(analysis, split)}{NBSP}×{NBSP}{examples(analysis, split, subset)}"


def only(kind: str, analyses: Mapping[str, Analysis]) -> Analysis:
    """Return the only setting of a figure; raise a ValueError if there are several."""
    if len(analyses) != 1:
        raise ValueError(
            f"the figure {kind} shows one setting, got {len(analyses)}; draw one figure each"
        )
    return next(iter(analyses.values()))


def models_of(data: xr.Dataset) -> list[str]:
    """Return the models that are compared with the teacher in a split, the student first."""
    return [model for model in MODELS if model in data.compared.values]


def shown_in(analyses: Iterable[Analysis]) -> list[str]:
    """Return the models that are compared with the teacher in any split of any setting."""
    shown = {model for one in analyses for data in one.splits.values() for model in models_of(data)}
    return [model for model in MODELS if model in shown]


def legend(analyses: Mapping[str, Analysis]) -> list[Line2D]:
    """Return the legend entries of the models and of the diagonal."""
    models = shown_in(analyses.values())
    return [*(style.handle(model) for model in models), diagonal_handle("as the teacher")]


def diagonal_handle(label: str) -> Line2D:
    """Return the legend entry of the line on which both models are equally confident."""
    look: dict[str, Any] = {"color": style.INK, "linestyle": style.DASHED, "label": label}
    return Line2D([], [], linewidth=style.MEDIUM, **look)


def head(analysis: Analysis, split: str, *lines: str) -> str:
    """Return the heading of a panel: split, size and ``lines``."""
    return "\n".join([f"{split}, n{NBSP}={NBSP}{size(analysis, split)}", *lines])


def printed(analysis: Analysis, statistic: str, model: str, split: str, subset: str = ALL) -> str:
    """Return estimate and interval of a statistic as text, which may break between them."""
    null = statistic_of(statistic).null_of(model)
    numbers = interval(*analysis.number(statistic, model, split, subset), null)
    return numbers.replace(f"{NBSP}[", " [")


def with_glyph(model: str, text: str) -> str:
    """Return a text preceded by the glyph of a model."""
    return f"{style.ROLES[model].glyph}{NBSP}{text}"


def draw_cells(axes: Axes, edges: np.ndarray, cells: np.ndarray, model: str) -> bool:
    """Draw the number of examples in each cell (teacher_bin, model_bin), and the diagonal.

    Returns
    -------
    bool
        True if there was any example.
    """
    if not cells.any():
        say(axes)
        return False
    counts = np.ma.masked_less_equal(cells.T, 0)
    norm = LogNorm(1, max(float(cells.max()), 2.0))
    axes.pcolormesh(edges, edges, counts, norm=norm, cmap=style.DENSITY[model], rasterized=True)
    axes.axline((0, 0), slope=1, color=style.INK, linewidth=style.MEDIUM, linestyle=style.DASHED)
    return True


def draw_means(
    axes: Axes, across: np.ndarray, up: np.ndarray, model: str, gid: str = "binned"
) -> None:
    """Draw a model's means within quantile bins as a line with markers, outlined in white."""
    role = style.ROLES[model]
    axes.plot(across, up, color=style.HOLLOW, linewidth=CASING, zorder=3)
    (line,) = axes.plot(across, up, zorder=4, gid=f"{gid}/{model}")
    line.set(color=role.colour, linewidth=style.MEDIUM, marker=role.marker)
    line.set(markersize=style.SEED_SIZE, markeredgewidth=0)


def draw_models(axes: Axes, data: xr.Dataset, prefix: str = "") -> None:
    """Draw a split: cells of its first model and means of all models, on a scale that fits them.

    Names of variables begin with ``prefix``; see `disobey.analysis.store`.
    """
    edges = data[f"{prefix}confidence_edge"].values
    models = models_of(data)
    density = data[f"{prefix}density"].transpose("compared", "teacher_bin", "model_bin")
    counts = [density.sel(compared=model).values for model in models]
    if not draw_cells(axes, edges, counts[0], models[0]):
        return
    for model in reversed(models):
        here = data.sel(compared=model)
        across, up = (here[f"{prefix}binned_{of}"].values for of in ("teacher", "model"))
        draw_means(axes, across, up, model)
    square_scale(axes, limits_of(edges, counts))


def limits_of(edges: np.ndarray, cells: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return limits, the same for both axes, that contain all examples except the tails.

    ``cells`` are (..., teacher_bin, model_bin) of all panels that share the scale.
    """
    ends: list[float] = []
    for counts in cells:
        for axis in (-1, -2):
            along = counts.sum(axis).reshape(-1, counts.shape[-1]).sum(0)
            beyond = TAIL * along.sum()
            upto = along.cumsum()
            inside = np.flatnonzero((upto > beyond) & (along[::-1].cumsum()[::-1] > beyond))
            if inside.size:
                ends += [float(edges[inside[0]]), float(edges[inside[-1] + 1])]
    low, high = (min(ends), max(ends)) if ends else FALLBACK
    margin = ROOM * (high - low)
    return low - margin, high + margin


def square_scale(axes: Axes, limits: tuple[float, float], *, left: bool = True) -> None:
    """Give both axes the same limits and few ticks, labelled on the ``left`` or only below."""
    margin = INSET * (limits[1] - limits[0])
    ticks = even_ticks(limits[0] + margin, limits[1] - margin, MAX_TICKS)
    axes.set(xlim=limits, ylim=limits)
    for which in "xy":
        put_ticks(axes, which, ticks)
    axes.tick_params(labelleft=left)
