"""Progress along eigendirections: paths of all models, and ratios of their progress."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.bias import (
    OF_NORMS,
    PAIR_LOG_RATIO,
    PAIRS_DRAWN,
    PAIRS_EXPECTED,
    Bias,
)
from disobey.analysis.names import PAIRS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.cells import only
from disobey.figures.series import (
    MOST_BARS,
    NO_CHANGE,
    Series,
    draw_lines,
    numbers_of,
    progress_ratio,
)
from disobey.figures.sheet import (
    RIGHT,
    ROOM,
    Sheet,
    columns_of,
    even_ticks,
    grid,
    put_ticks,
    say,
    scale,
    short,
)
from disobey.numbers import NBSP, interval, number

# A setting and one of its layers.
Unit = tuple[Bias, str]

PATHS = (REFERENCE, STUDENT)
MOST_PATHS, MOST_RATIOS = 5, 4
# Inches. Ratios share their vertical scale, which is labelled only in the first panel of a row.
LEFT, BELOW, HEIGHT = 0.4, 0.26, 1.2
SHARED_LEFT, INDENT = 0.12, 0.28
# Any: matplotlib's options are of all types.
THEOREM_STYLE: dict[str, Any] = {
    "color": style.INK, "linewidth": style.MEDIUM, "linestyle": (0, (1, 1)),
}  # fmt: skip
# The models at a rank are spread over this share of the distance to the next rank.
SPREAD = 0.6


def printed_ratio(bias: Bias, layer: str) -> str:
    """Return the student's `progress_ratio` and its interval as printed."""
    return interval(*progress_ratio(bias, layer), NO_CHANGE)


def units(analyses: dict[str, Analysis]) -> list[Unit]:
    """Return the settings and layers that have a bias analysis, in the order of the study."""
    found = [analysis.bias for analysis in analyses.values() if analysis.bias is not None]
    return [(bias, layer) for bias in found for layer in bias.layers]


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw paths in the plane of two eigendirections, and the ratio of progress by rank.

    Settings without a bias analysis are left out.
    """
    chosen = units(analyses)
    if not chosen:
        raise ValueError("the figure bias needs a setting with a bias analysis, got none")
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Progress along eigendirections of the input")
    sheet.legend([style.handle(REFERENCE), *ratio_handles(chosen)])
    _draw_planes(sheet, chosen)
    _ratios(sheet, chosen)
    return sheet.finish()


def ratio_handles(chosen: list[Unit]) -> list[Line2D]:
    """Return the legend of the ratios: the models that any panel shows, and the theorem."""
    found = {STUDENT: None} | {p: None for bias, layer in chosen for p in bias.placebos(layer)}
    theorem = Line2D([], [], label="linear theory", **THEOREM_STYLE)
    return [*(style.handle(model) for model in found), theorem]


def _draw_planes(sheet: Sheet, chosen: list[Unit]) -> None:
    """Draw one panel for the linear model and one for each setting and layer."""
    datasets = [bias.layers[layer] for bias, layer in chosen]
    heads = ["linear model, closed form", *(f"{bias.setting}, {layer}" for bias, layer in chosen)]
    columns = max(columns_of(len(heads), MOST_PATHS), 3)
    made = grid(sheet, heads, columns, height=HEIGHT, left=LEFT, below=BELOW)
    _linear(made[0], datasets[0])
    for axes, (bias, layer), data in zip(made[1:], chosen, datasets, strict=True):
        for model in PATHS:
            progress = data.progress.sel(model=model).transpose("seed", "point", "direction")
            for seed in progress.values:
                _path(axes, seed, model, f"{model}/{bias.setting}/{layer}")
    width = sheet.width / columns - LEFT - RIGHT
    for axes, data in zip(made, [datasets[0], *datasets], strict=True):
        last = int(data["rank"][-1])
        axes.set(xlabel="progress, rank 1", ylabel=f"progress, rank {last}")
        drawn = np.concatenate([np.asarray(line.get_xydata())[1:] for line in axes.lines])
        if np.isfinite(drawn).any():
            scale(axes, "x", [0, *drawn[:, 0]], width=width)
            scale(axes, "y", [0, *drawn[:, 1]])
        else:
            say(axes)


def _linear(axes: Axes, data: xr.Dataset) -> None:
    """Draw the linear model's paths up to the student's progress along the leading direction."""
    paths = {
        model: data.linear.sel(linear_model=model).transpose("linear_point", "direction").values
        for model in PATHS
    }
    reached = paths[STUDENT][:, 0].max()
    for model, path in paths.items():
        _path(axes, path[path[:, 0] <= reached], model, f"{model}/linear")


def _path(axes: Axes, path: np.ndarray, model: str, name: str) -> None:
    """Draw a path (point, direction) in the plane of the leading and the last direction."""
    role = style.ROLES[model]
    # Paths begin before the first step, which the histories do not contain.
    leading, last = (np.concatenate([[0.0], path[:, index]]) for index in (0, -1))
    (line,) = axes.plot(leading, last, color=role.colour, gid=f"path/{name}")
    line.set(marker=role.marker, markevery=[-1], markersize=style.BINNED_SIZE)
    line.set(linewidth=style.MEDIUM)


def _ratios(sheet: Sheet, chosen: list[Unit]) -> None:
    """Draw one panel for each setting and layer, on a common vertical scale."""
    columns = max(columns_of(len(chosen), MOST_RATIOS), 2)
    heads = [
        f"{bias.setting}, {layer}, n{NBSP}={NBSP}{bias.seeds(layer)}\nall k{NBSP}>{NBSP}1: "
        + printed_ratio(bias, layer)
        for bias, layer in chosen
    ]
    width = (sheet.width - INDENT) / columns - SHARED_LEFT - RIGHT
    made = grid(sheet, heads, columns, height=HEIGHT, left=SHARED_LEFT, below=BELOW, indent=INDENT)
    lines = [_ratio_lines(*unit) for unit in chosen]
    known = [value for of_unit in lines for value in numbers_of(of_unit) if math.isfinite(value)]
    for place, (axes, (bias, layer), of_unit) in enumerate(zip(made, chosen, lines, strict=True)):
        axes.set_xlabel("rank k of the eigendirection")
        if any(map(math.isfinite, numbers_of(of_unit))):
            _draw_ratios(axes, of_unit, width)
            scale(axes, "y", [*known, NO_CHANGE], log=True)
            theorem = np.exp(bias.layers[layer].theorem.values[1:])
            gid = f"theorem/{bias.setting}/{layer}"
            axes.plot(of_unit[0].places, theorem, gid=gid, zorder=2, **THEOREM_STYLE)
        else:
            say(axes)
        axes.tick_params(labelleft=place % columns == 0)
        if place % columns == 0:
            axes.set_ylabel("progress / reference's")


def _ratio_lines(bias: Bias, layer: str) -> list[Series]:
    """Return the ratio of progress of student and placebos at each rank except the leading one."""
    data, lines = bias.layers[layer], []
    ranks = tuple(int(rank) for rank in data["rank"].values[1:])
    for model in (STUDENT, *bias.placebos(layer)):
        here = data.sel(compared=model).isel(direction=slice(1, None))
        ends = np.exp([here[end].values for end in ("estimate", "low", "high")])
        numbers = tuple(zip(*ends.tolist(), strict=True))
        name = f"ratio/{model}/{bias.setting}/{layer}"
        lines.append(Series(name, style.role_of(model), ranks, numbers))
    return lines


def _draw_ratios(axes: Axes, lines: Sequence[Series], width: float) -> None:
    """Draw the lines of one panel, ``width`` inches wide, side by side at each rank."""
    style.null_line(axes, "y", NO_CHANGE)
    ranks = lines[0].places
    # Beyond the first and the last rank there is only the scale's own margin.
    spread = min(SPREAD / max(len(ranks), 2), 2 * ROOM / (1 + 2 * ROOM))
    draw_lines(axes, lines[::-1], -spread * width / len(lines))
    scale(axes, "x", ranks, log=True)
    if len(ranks) <= MOST_BARS:
        put_ticks(axes, "x", ranks, [short(rank) for rank in ranks], width)


# --- trajectories in the planes of 15 pairs of eigendirections --------------------------------

# In drawing order, from back to front.
MODELS = (TEACHER, REFERENCE, STUDENT)
# Pairs are counted only if teacher and student are the same kind of model, so the reference is a
# second seed of the teacher.
LABELS = {TEACHER: "teacher", REFERENCE: "second seed", STUDENT: "distilled student"}
COLUMNS, PAIR_HEIGHT, PAIR_LEFT, PAIR_BELOW = 5, 0.78, 0.34, 0.13
# Margin for the labels of the axes, left of the first column and below the last row.
FIRST, LAST = 0.13, 0.12
# Distance between two numbers, in inches.
APART = 0.05
WHAT = {"": f"‖(W{NBSP}−{NBSP}W(0))v‖", OF_NORMS: "‖Wv‖"}
STAR: dict[str, Any] = {"marker": "*", "markeredgewidth": 0}
# Widths of lines and stars. The teacher's are wider, to be visible below a second seed's.
WIDTHS = {TEACHER: (1.5, 6.5), REFERENCE: (0.6, 4.5), STUDENT: (0.8, 5.0)}
MAX_TICKS = 3  # for numbers with many digits
OTHER_SEEDS: dict[str, Any] = {"linewidth": 0.35, "alpha": 0.3}


@style.styled
def draw_trajectories(analyses: dict[str, Analysis]) -> Figure:
    """Draw the pairs of eigendirections of a setting's first tracked layer and first seed.

    If all models start at the teacher's initial weights, the norm of the weights is shown, as in
    the paper. Otherwise progress is shown, the norm of their change, with the other seeds fainter;
    norms of other seeds start elsewhere. Counts and ratios are always of progress.
    """
    setting, bias = (one := only("trajectories", analyses)).setting, one.bias
    if bias is None or PAIRS_DRAWN not in bias.layers[bias.first]:
        raise ValueError(
            f"the figure trajectories needs a bias analysis with pairs; {setting} has none"
        )
    data, prefix = pairs_of(bias)
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title(f"Trajectories along pairs of eigendirections: {setting}, {bias.first}")
    sheet.legend(_handles(data, prefix))
    sheet.write(_expected(bias))
    ranks = zip(data.pair_top.values, data.pair_bottom.values, strict=True)
    heads = [f"ranks {top}, {bottom}" for top, bottom in ranks]
    made = grid(
        sheet, heads, COLUMNS, height=PAIR_HEIGHT, left=PAIR_LEFT, below=PAIR_BELOW, indent=FIRST,
        lettered=False,
    )  # fmt: skip
    for pair, axes in enumerate(made):
        draw_pair(axes, data, prefix, pair)
    _name_axes(made, WHAT[prefix])
    sheet.top += LAST
    return sheet.finish()


def pairs_of(bias: Bias) -> tuple[xr.Dataset, str]:
    """Return the first layer, and `OF_NORMS` if its pairs show norms of weights, else ``""``."""
    data = bias.layers[bias.first]
    return data, OF_NORMS if OF_NORMS + PAIRS_DRAWN in data else ""


def _handles(data: xr.Dataset, prefix: str) -> list[Line2D]:
    """Return the legend: each model with its count over the drawn pairs, and the star."""
    found = []
    for model in MODELS:
        label = LABELS[model]
        if model != TEACHER:
            count = float(data[PAIRS_DRAWN].sel(model=model).isel(seed=0))
            label += f": lags in {count:g} of {PAIRS}"
        width, star = WIDTHS[model]
        found.append(style.handle(model, label=label, linewidth=width, markersize=star, **STAR))
    if prefix != OF_NORMS and data.sizes["seed"] > 1:
        found.append(Line2D([], [], color=style.FAINT, label="other seeds", linewidth=0.35))
    return found


def _expected(bias: Bias) -> str:
    """Return a line with the counts over all pairs and seeds: student, second seed, placebos."""
    layer = bias.first
    labels = [(model, LABELS[model].removeprefix("distilled ")) for model in (STUDENT, REFERENCE)]
    labels += [(name, style.role_of(name).label) for name in bias.placebos(layer)]
    counts = [
        f"{label.replace(' ', NBSP)}{NBSP}"
        + interval(*bias.number(layer, PAIRS_EXPECTED, model=model))
        for model, label in labels
    ]
    seeds = f"{bias.seeds(layer)}{NBSP}seeds"
    return f"Of {PAIRS} by {WHAT['']}, mean over all pairs and {seeds}: {', '.join(counts)}"


def draw_pair(axes: Axes, data: xr.Dataset, prefix: str, pair: int) -> None:
    """Draw the paths in the plane of one pair, and the ratios of the first seed above it."""
    ranks = [int(data[end][pair]) for end in ("pair_top", "pair_bottom")]
    draw_paths(axes, data, prefix, ranks, f"{pair}")
    _write_ratios(axes, data[PAIR_LOG_RATIO].isel(pair=pair, seed=0))


def draw_paths(axes: Axes, data: xr.Dataset, prefix: str, ranks: list[int], name: str) -> None:
    """Draw the paths of all models in the plane of two directions, each ending in a star.

    ``ranks`` are the horizontal and the vertical direction. With the prefix `OF_NORMS`, norms of
    weights are drawn, otherwise progress; ``name`` is part of the gids of the paths.
    """
    shown: list[np.ndarray] = []
    for model in (known for known in MODELS if known in data.model.values):
        for seed, path in enumerate(_paths(data, prefix, model, ranks)):
            (width, star), colour = WIDTHS[model], style.ROLES[model].colour
            look = OTHER_SEEDS if seed else {"linewidth": width, "zorder": 3}
            gid = f"path/{model}/{name}/{seed}"
            axes.plot(*path, color=colour, solid_joinstyle="round", gid=gid, **look)
            shown.append(path)
            if seed == 0:
                end: dict[str, Any] = {"zorder": 4, "linestyle": "", "markersize": star, **STAR}
                axes.plot(*path[:, -1:], color=colour, **end)
    for which, values in zip("xy", np.concatenate(shown, axis=1), strict=True):
        scale(axes, which, values)
        low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
        put_ticks(axes, which, even_ticks(low, high, MAX_TICKS))


def _paths(data: xr.Dataset, prefix: str, model: str, ranks: list[int]) -> np.ndarray:
    """Return the paths along two directions from the start of training, (seed, 2, point)."""
    along = [list(data["rank"].values).index(rank) for rank in ranks]
    of_model = data.sel(model=model).isel(direction=along)
    recorded = of_model[prefix.removesuffix("_") or "progress"]
    later = recorded.transpose("seed", "direction", "point").values
    start = np.zeros_like(later[..., :1])
    if prefix == OF_NORMS:
        start = of_model.norm_start.transpose("seed", "direction").values[..., None]
        start, later = start[:1], later[:1]
    return np.concatenate([start, later], axis=2)


def _write_ratios(axes: Axes, log_ratio: xr.DataArray) -> None:
    """Write the ratios to the teacher along the bottom direction above a panel, on the right."""
    right = 0.0
    for model in (REFERENCE, STUDENT):
        role = style.ROLES[model]
        ratio = math.exp(float(log_ratio.sel(model=model)))
        # A model that does not reach the first level has no ratio.
        text = f"{role.glyph}{NBSP}{'–' if math.isnan(ratio) else number(ratio)}"
        style.write(axes, text, (1, 1), (-right, 2), color=role.colour, ha="right")
        right += (style.text_width(text, style.SMALL_SIZE) + APART) / style.POINT


def _name_axes(made: list[Axes], what: str) -> None:
    """Label the axes once, in the middle of the grid's edges."""
    rows = len(made) // COLUMNS
    below, beside = made[(rows - 1) * COLUMNS + COLUMNS // 2], made[rows // 2 * COLUMNS]
    below.set_xlabel(f"{what} along the top direction (first rank)")
    left = -(FIRST + PAIR_LEFT) / style.POINT
    text = f"{what} along the bottom direction (second rank)"
    style.write(beside, text, (0, 0.5), (left, 0), rotation=90, ha="left", va="center")
