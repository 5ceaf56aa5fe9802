"""The paper's plot in four panels: who of teacher and model predicts the label."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import PANELS
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.panels import RIGHT, grid, say
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP, number

TITLES = {
    "both_right": "both right",
    "only_model_right": "only model right",
    "only_teacher_right": "only teacher right",
    "neither_right": "neither right",
}
NO_GAP = 0.0
LEFT, BELOW, BELOW_LAST = 0.29, 0.13, 0.26
PERCENT = 100


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the student's, and the reference's, confidence logit in four panels.

    Parameters
    ----------
    analyses : dict of str to Analysis
        A row each: on test, or on train where there is no test split.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide; one where no setting has a reference.
    """
    models = cells.shown_in(analyses.values())
    sheet = Sheet(style.TWO_COLUMNS if len(models) > 1 else style.COLUMN_WIDTH)
    sheet.title("Confidence logits, by who predicts the label")
    sheet.legend(cells.legend(analyses))
    columns = len(PANELS) * len(models)
    side = sheet.width / columns - LEFT - RIGHT
    for analysis in analyses.values():
        split = [name for name in SPLITS if name in analysis.splits][-1]
        sheet.write(f"{analysis.setting}: {cells.head(analysis, split)}")
        places = [(model, panel) for model in models for panel in PANELS]
        heads = [_head(analysis, split, *place) for place in places]
        last = analysis is list(analyses.values())[-1]
        made = grid(
            sheet, heads, columns, height=side, left=LEFT, below=BELOW_LAST if last else BELOW
        )
        for axes, place in zip(made, places, strict=True):
            _draw_panel(axes, analysis, split, *place)
            if last:
                axes.set_xlabel("teacher", size=style.SMALL_SIZE)
        made[0].set_ylabel("model", size=style.SMALL_SIZE)
    return sheet.finish()


def _head(analysis: Analysis, split: str, model: str, panel: str) -> str:
    """Return the lines above a panel: share of the examples, mean gap, share below."""
    title = f"{style.ROLES[model].glyph} {TITLES[panel]}"
    share, _, _ = analysis.number(f"{panel}_share", model, split)
    gap = cells.printed(analysis, f"{panel}_gap", model, split, NO_GAP).partition(NBSP)[2]
    below, _, _ = analysis.number(f"{panel}_share_below_diagonal", model, split)
    if math.isnan(share):
        return title
    lines = [title, f"{_percent(share)} of all"]
    if not math.isnan(below):
        lines += [f"gap {gap}", f"{_percent(below)} below"]
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{number(PERCENT * share, 1)}{NBSP}%"


def _draw_panel(axes: Axes, analysis: Analysis, split: str, model: str, panel: str) -> None:
    data = analysis.splits[split]
    if "dissected_density" not in data or model not in data.compared.values:
        say(axes, "no labels" if model in data.compared.values else "none")
        return
    edges, density = data.confidence_edge.values, data.dissected_density
    if cells.draw_cells(axes, edges, density.sel(compared=model, panel=panel).values, model):
        limits = cells.limits_of(edges, list(density.values))
        first = panel == PANELS[0]
        cells.square_scale(axes, limits, left=first, below=True)
