"""Trajectories in the planes of 15 pairs of eigendirections: teacher, student, second seed."""

import math
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
from disobey.figures.panels import even_ticks, grid, put_ticks, scale, short_labels
from disobey.figures.ratios import bias_seeds, first_layer
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP, interval, number

# From the back to the front.
MODELS = (TEACHER, REFERENCE, STUDENT)
# Pairs are counted where teacher and student are the same model, so the reference is a second seed
# of the teacher.
LABELS = {TEACHER: "teacher", REFERENCE: "second seed", STUDENT: "distilled student"}
COLUMNS, HEIGHT, LEFT, BELOW = 5, 0.78, 0.34, 0.13
# What the names of the axes need, at the left of the first column and below the last row.
FIRST, LAST = 0.13, 0.12
# Between two numbers, in inches.
APART = 0.05
WHAT = {"": f"‖(W{NBSP}−{NBSP}W(0))v‖", OF_NORMS: "‖Wv‖"}
STAR: dict[str, Any] = {"marker": "*", "markeredgewidth": 0}
# Of lines and stars. The teacher's are wider, to be seen below a second seed that goes its way.
WIDTHS = {TEACHER: (1.5, 6.5), REFERENCE: (0.6, 4.5), STUDENT: (0.8, 5.0)}
MAX_TICKS = 3  # of numbers with many digits
OTHER_SEEDS: dict[str, Any] = {"linewidth": 0.35, "alpha": 0.3}


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the drawn pairs of one setting's first tracked layer and first seed.

    Where all models start where the teacher does the norm of the weights is shown, as in the paper;
    else progress, the norm of what they have moved, and the other seeds fainter: of norms, each
    seed starts elsewhere. Counts and ratios are of progress either way.

    Parameters
    ----------
    analyses : dict of str to Analysis
        One setting, with a bias analysis that counts pairs.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.

    Raises
    ------
    ValueError
        When there is not exactly one setting, or its bias analysis counts no pairs.
    """
    if len(analyses) != 1:
        raise ValueError(
            f"the figure trajectories shows one setting, got {len(analyses)}; draw one figure each"
        )
    (analysis,) = analyses.values()
    bias = analysis.bias
    if bias is None or PAIRS_DRAWN not in bias.layers[first_layer(bias)]:
        raise ValueError(
            f"the figure trajectories needs a bias analysis with pairs; {analysis.setting} has none"
        )
    layer = first_layer(bias)
    data = bias.layers[layer]
    prefix = OF_NORMS if OF_NORMS + PAIRS_DRAWN in data else ""
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title(f"Trajectories along pairs of eigendirections: {analysis.setting}, {layer}")
    sheet.legend(_handles(data, prefix))
    sheet.write(_expected(bias, layer))
    ranks = zip(data.pair_top.values, data.pair_bottom.values, strict=True)
    heads = [f"ranks {top}, {bottom}" for top, bottom in ranks]
    made = grid(
        sheet, heads, COLUMNS, height=HEIGHT, left=LEFT, below=BELOW, indent=FIRST, lettered=False
    )  # fmt: skip
    for pair, axes in enumerate(made):
        draw_pair(axes, data, prefix, pair)
    _name_axes(made, WHAT[prefix])
    sheet.top += LAST
    return sheet.finish()


def _handles(data: xr.Dataset, prefix: str) -> list[Line2D]:
    """Return the legend: each model with the count of the pairs that are drawn, and the star."""
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


def _expected(bias: Bias, layer: str) -> str:
    """Return the count over all pairs and seeds, of student, second seed and placebos."""
    labels = [(model, LABELS[model].removeprefix("distilled ")) for model in (STUDENT, REFERENCE)]
    labels += [(name, style.role_of(name).label) for name in bias.placebos(layer)]
    counts = [
        f"{label.replace(' ', NBSP)}{NBSP}{interval(*bias.pairs(layer, PAIRS_EXPECTED, model))}"
        for model, label in labels
    ]
    seeds = f"{bias_seeds(bias, layer)}{NBSP}seeds"
    return f"Of {PAIRS} by {WHAT['']}, mean over all pairs and {seeds}: {', '.join(counts)}"


def draw_pair(axes: Axes, data: xr.Dataset, prefix: str, pair: int) -> None:
    """Draw the paths in the plane of one pair, and the ratios of the first seed above it."""
    ranks = [int(data[end][pair]) for end in ("pair_top", "pair_bottom")]
    draw_paths(axes, data, prefix, ranks, f"{pair}")
    _write_ratios(axes, data[PAIR_LOG_RATIO].isel(pair=pair, seed=0))


def draw_paths(axes: Axes, data: xr.Dataset, prefix: str, ranks: list[int], name: str) -> None:
    """Draw the paths of all models in the plane of two directions, to a star at their ends.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    data : xarray.Dataset
        A layer of a bias analysis.
    prefix : str
        Whether progress is drawn (empty) or the norm of the weights (`OF_NORMS`).
    ranks : list of int
        Of the direction across and of the one up.
    name : str
        What the gids of paths contain.
    """
    shown: list[np.ndarray] = []
    for model in (known for known in MODELS if known in data.model.values):
        for seed, path in enumerate(_paths(data, prefix, model, ranks)):
            width, star = WIDTHS[model]
            look = OTHER_SEEDS if seed else {"linewidth": width, "zorder": 3}
            gid = f"path/{model}/{name}/{seed}"
            colour = style.ROLES[model].colour
            axes.plot(*path, color=colour, solid_joinstyle="round", gid=gid, **look)
            shown.append(path)
            if seed == 0:
                axes.plot(
                    *path[:, -1:], color=colour, zorder=4, linestyle="", markersize=star, **STAR
                )
    for which, values in zip("xy", np.concatenate(shown, axis=1), strict=True):
        scale(axes, which, values)
        low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
        ticks = even_ticks(low, high, MAX_TICKS)
        put_ticks(axes, which, ticks, short_labels(ticks))


def _paths(data: xr.Dataset, prefix: str, model: str, ranks: list[int]) -> np.ndarray:
    """Return the shown ways along two directions from the start of training, (seed, 2, point)."""
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
    """Write the ratios to the teacher along the bottom direction at the right, above a panel."""
    right = 0.0
    for model in (REFERENCE, STUDENT):
        role = style.ROLES[model]
        ratio = math.exp(float(log_ratio.sel(model=model)))
        # A model that ends before the first level has no ratio.
        text = f"{role.glyph}{NBSP}{'–' if math.isnan(ratio) else number(ratio)}"
        axes.annotate(
            text, xy=(1, 1), xycoords="axes fraction", xytext=(-right, 2),
            textcoords="offset points", size=style.SMALL_SIZE, color=role.colour, ha="right",
            va="bottom",
        )  # fmt: skip
        right += (style.text_width(text, style.SMALL_SIZE) + APART) / style.POINT


def _name_axes(made: list[Axes], what: str) -> None:
    """Name the axes once, in the middle of the grid's edges."""
    rows = len(made) // COLUMNS
    below, beside = made[(rows - 1) * COLUMNS + COLUMNS // 2], made[rows // 2 * COLUMNS]
    below.set_xlabel(f"{what} along the top direction (first rank)", size=style.SMALL_SIZE)
    beside.annotate(
        f"{what} along the bottom direction (second rank)", xy=(0, 0.5), xycoords="axes fraction",
        xytext=(-(FIRST + LEFT) / style.POINT, 0), textcoords="offset points", rotation=90,
        size=style.SMALL_SIZE, ha="left", va="center",
    )  # fmt: skip
