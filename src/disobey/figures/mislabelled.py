"""Under label noise: the paper's plot with clean and mislabelled points apart."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import CLEAN, MISLABELLED, MISLABELLED_AUC, PLOT_MISLABELLED_AUC
from disobey.analysis.store import Analysis
from disobey.figures import cells, style
from disobey.figures.panels import RIGHT, grid, say
from disobey.figures.sheet import Sheet
from disobey.figures.sizes import examples
from disobey.numbers import NBSP

TRAIN = "train"
KINDS = (CLEAN, MISLABELLED)
CHANCE = 0.5
AUCS = {PLOT_MISLABELLED_AUC: "by teacher", MISLABELLED_AUC: "at the label, by replicate"}
LEFT, BELOW, BELOW_LAST = 0.3, 0.13, 0.26


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw student and reference against the teacher at clean and at mislabelled train points.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with label noise, a row each.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide; one where no setting has a reference.
    """
    models = cells.shown_in(analyses.values())
    sheet = Sheet(style.TWO_COLUMNS if len(models) > 1 else style.COLUMN_WIDTH)
    sheet.title("Clean and mislabelled training points")
    sheet.legend(cells.legend(analyses))
    columns = len(KINDS) * len(models)
    side = sheet.width / columns - LEFT - RIGHT
    places = [(model, kind) for model in models for kind in KINDS]
    for analysis in analyses.values():
        sheet.write(_about(analysis))
        heads = [_head(analysis, *place) for place in places]
        last = analysis is list(analyses.values())[-1]
        below = BELOW_LAST if last else BELOW
        made = grid(sheet, heads, columns, height=side, left=LEFT, below=below)
        for axes, place in zip(made, places, strict=True):
            _draw_panel(axes, analysis, *place)
            if last:
                axes.set_xlabel("teacher (logit)", size=style.SMALL_SIZE)
        made[0].set_ylabel("model (logit)", size=style.SMALL_SIZE)
    return sheet.finish()


def _about(analysis: Analysis) -> str:
    """Return a setting's name and the AUC of its models in either order."""
    if TRAIN not in analysis.splits:
        return f"{analysis.setting}: no train split"
    lines = [f"{analysis.setting}: {cells.head(analysis, TRAIN)}"]
    for statistic, order in AUCS.items():
        found = [
            cells.printed(analysis, statistic, model, TRAIN, CHANCE)
            for model in cells.models_of(analysis.splits[TRAIN])
        ]
        lines.append(f"AUC {order}: {', '.join(found)}")
    return "\n".join(lines)


def _head(analysis: Analysis, model: str, kind: str) -> str:
    """Return the lines above a panel: model and kind, how many, and the mean gap in a decile."""
    glyph = style.ROLES[model].glyph
    if TRAIN not in analysis.splits:
        return f"{glyph} {kind}"
    gap = cells.printed(analysis, "plot_gap_bottom_decile", model, TRAIN, 0.0, kind)
    number = examples(analysis, TRAIN, kind)
    return f"{glyph} {kind}, {number}\ngap {gap.partition(NBSP)[2]}"


def _draw_panel(axes: Axes, analysis: Analysis, model: str, kind: str) -> None:
    data = analysis.splits.get(TRAIN)
    if data is None or "noise_density" not in data or model not in data.compared.values:
        say(axes, "none")
        return
    here = data.sel(compared=model, noise=kind)
    edges = data.confidence_edge.values
    if cells.draw_cells(axes, edges, here.noise_density.values, model):
        across, up = here.noise_binned_teacher.values, here.noise_binned_model.values
        cells.draw_means(axes, across, up, model, f"binned/{kind}")
        limits = cells.limits_of(edges, list(data.noise_density.values))
        cells.square_scale(axes, limits, left=True, below=True)
