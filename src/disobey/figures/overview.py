"""The finding on one page: the paper's plot on train and test, and paths of the weights."""

import numpy as np
from matplotlib.figure import Figure

from disobey.analysis.bias import PAIRS_DRAWN, Bias
from disobey.analysis.names import EFFECT, PAIRS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import bias as paths
from disobey.figures import confidence as plot
from disobey.figures import style
from disobey.figures.sheet import MARGIN, Sheet, grid, say

# Inches: distances between the upper pairs of panels, and dimensions of the lower panels.
BETWEEN = 0.34
COLUMNS, HEIGHT, PATH_LEFT, BELOW = 4, 1.05, 0.42, 0.26


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot of one setting on train and on test, and paths of the weights in another.

    The plot shows the setting of `telling`. The paths are those of the first setting with recorded
    trajectories along pairs of eigendirections, else of the first with a bias analysis; they are
    left out if there is neither.
    """
    shown = telling(analyses)
    biases = [analysis.bias for analysis in analyses.values() if analysis.bias is not None]
    paired = [bias for bias in biases if PAIRS_DRAWN in bias.layers[bias.first]]
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("How students differ from their teachers")
    handles = plot.legend([shown])
    if biases:
        _, star = paths.WIDTHS[TEACHER]
        handles.append(style.handle(TEACHER, label="teacher", markersize=star, **paths.STAR))
    sheet.legend(handles)
    _plots(sheet, shown)
    if paired:
        _pairs(sheet, paired[0])
    elif biases:
        _directions(sheet, biases[0])
    return sheet.finish()


def telling(analyses: dict[str, Analysis]) -> Analysis:
    """Return the setting whose student underfits its teacher's least confident examples most.

    In it the student's gap in the teacher's lowest decile, on train, is furthest below the second
    seed's. If any settings have label noise, only those are considered.
    """
    noisy = [analysis for analysis in analyses.values() if analysis.about.get("label_noise")]
    candidates = noisy or list(analyses.values())
    effects = np.array(
        [one.number(plot.BOTTOM_GAP, EFFECT, next(iter(one.splits)))[0] for one in candidates]
    )
    return candidates[int(np.nanargmin(effects)) if np.isfinite(effects).any() else 0]


def _plots(sheet: Sheet, analysis: Analysis) -> None:
    """Draw the pairs of panels of both splits side by side."""
    step = (sheet.width - plot.LEFT + BETWEEN) / 2
    side = min((step - BETWEEN - plot.WITHIN_PAIR) / 2, plot.LONGEST)
    pairs = []
    for place, split in enumerate(split for split in SPLITS if split in analysis.splits):
        name = f"{next(sheet.letters)}   {analysis.setting}"
        pairs.append(plot.Pair(analysis, split, side, MARGIN + plot.LEFT + place * step, name))
    plot.draw_row(sheet, pairs, last=True)


def _pairs(sheet: Sheet, bias: Bias) -> None:
    """Draw the first pairs of eigendirections of the trajectories."""
    data, prefix = paths.pairs_of(bias)
    counts = [
        f"{paths.LABELS[model]} lags in {float(data[PAIRS_DRAWN].sel(model=model).isel(seed=0)):g}"
        for model in (STUDENT, REFERENCE)
    ]
    sheet.write(
        f"{bias.setting}, {bias.first}: weights along pairs of eigendirections; "
        f"{', '.join(counts)} of {PAIRS} pairs",
        letter=True,
    )
    ranks = list(zip(data.pair_top.values, data.pair_bottom.values, strict=True))[:COLUMNS]
    heads = [f"ranks {top}, {bottom}" for top, bottom in ranks]
    made = grid(sheet, heads, COLUMNS, height=HEIGHT, left=PATH_LEFT, below=BELOW, lettered=False)
    for pair, axes in enumerate(made):
        paths.draw_pair(axes, data, prefix, pair)
        axes.set_xlabel(f"{paths.WHAT[prefix]}, top direction")
    made[0].set_ylabel(f"{paths.WHAT[prefix]}, bottom direction")


def _directions(sheet: Sheet, bias: Bias) -> None:
    """Draw paths in planes of the leading direction and another one, including the last."""
    data = bias.layers[bias.first]
    sheet.write(
        f"{bias.setting}, {bias.first}: weights along eigendirections; student over second seed at "
        f"equal progress along the first, all others: {paths.printed_ratio(bias, bias.first)}",
        letter=True,
    )
    ranks = [int(rank) for rank in data["rank"].values]
    chosen = sorted({ranks[int(i)] for i in np.linspace(0, len(ranks) - 1, COLUMNS + 1)[1:]})
    heads = [f"rank {rank} against {ranks[0]}" for rank in chosen]
    made = grid(sheet, heads, COLUMNS, height=HEIGHT, left=PATH_LEFT, below=BELOW, lettered=False)
    for axes, rank in zip(made, chosen, strict=True):
        if np.isfinite(data.progress.values).any():
            paths.draw_paths(axes, data, "", [ranks[0], rank], str(rank))
        else:
            say(axes)
        axes.set_xlabel(f"progress, rank {ranks[0]}")
    made[0].set_ylabel("progress")
