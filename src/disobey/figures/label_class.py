"""The paper's plot at the label's class, where its underfitting on test may vanish."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import BY_REPLICATE, LABEL_GAP
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.panels import RIGHT, grid, say
from disobey.figures.sheet import Sheet

NO_GAP = 0.0
# Who ranks the examples, by the ending of the statistic's name.
ORDERS = {"": "by teacher", BY_REPLICATE: "by replicate"}
FEWEST_COLUMNS, MOST_COLUMNS = 2, 4
LEFT, BELOW, BELOW_LAST = 0.3, 0.14, 0.27
Panel = tuple[Analysis, str]


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the confidence logit in the label's class, student and reference against the teacher.

    Parameters
    ----------
    analyses : dict of str to Analysis
        A column each, four side by side at most; train above, test below.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide for one setting or two, else two.
    """
    settings = list(analyses.values())
    columns = min(max(len(settings), FEWEST_COLUMNS), MOST_COLUMNS)
    sheet = Sheet(style.COLUMN_WIDTH if columns == FEWEST_COLUMNS else style.TWO_COLUMNS)
    sheet.title("Confidence in the label's class")
    sheet.legend(cells.legend(analyses))
    sheet.write("Numbers: mean gap to the teacher in the lowest decile")
    for start in range(0, len(settings), columns):
        _band(sheet, settings[start : start + columns], columns)
    return sheet.finish()


def _band(sheet: Sheet, settings: Sequence[Analysis], columns: int) -> None:
    """Draw some settings side by side, a row for each split; a single one's splits in one row."""
    splits = [split for split in SPLITS if any(split in one.splits for one in settings)]
    rows = [[(one, split) for one in settings] for split in splits]
    if len(settings) == 1:
        rows = [[panel for row in rows for panel in row]]
    side = sheet.width / columns - LEFT - RIGHT
    for row in rows:
        heads = [_head(*panel, name=row is rows[0] and panel[1] == splits[0]) for panel in row]
        below = BELOW_LAST if row is rows[-1] else BELOW
        made = grid(sheet, heads, columns, height=side, left=LEFT, below=below)
        for axes, panel in zip(made, row, strict=True):
            _draw_panel(axes, *panel)
            if row is rows[-1]:
                axes.set_xlabel("teacher (logit)", size=style.SMALL_SIZE)
        made[0].set_ylabel("model (logit)", size=style.SMALL_SIZE)


def _head(analysis: Analysis, split: str, *, name: bool) -> str:
    """Return the lines above a panel: what it shows, and the gaps in either order."""
    lines = [analysis.setting] if name else []
    if split not in analysis.splits:
        return "\n".join(lines)
    gaps = [
        f"{order} {cells.printed(analysis, f'{LABEL_GAP}{ending}', model, split, NO_GAP)}"
        for ending, order in ORDERS.items()
        for model in cells.models_of(analysis.splits[split])
    ]
    return "\n".join([*lines, cells.head(analysis, split, *gaps)])


def _draw_panel(axes: Axes, analysis: Analysis, split: str) -> None:
    data = analysis.splits.get(split)
    if data is None or "label_density" not in data:
        say(axes, "no labels" if data is not None else f"no {split} split")
        return
    edges = data.label_confidence_edge.values
    counts = {m: data.label_density.sel(compared=m).values for m in cells.models_of(data)}
    models = list(counts)
    if not cells.draw_cells(axes, edges, counts[models[0]], models[0]):
        return
    for model in reversed(models):
        here = data.sel(compared=model)
        across, up = here.label_binned_teacher.values, here.label_binned_model.values
        cells.draw_means(axes, across, up, model)
    limits = cells.limits_of(edges, list(counts.values()))
    cells.square_scale(axes, limits, left=True, below=True)
