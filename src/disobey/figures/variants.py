"""Variants of the paper's plot: who is right, the label's class, wrong labels, other measures."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.names import (
    BY_REPLICATE,
    CLEAN,
    CURVES,
    LABEL_GAP,
    MEASURES,
    MISLABELLED,
    MISLABELLED_AUC,
    PANELS,
    PERCENT,
    PLOT_MISLABELLED_AUC,
)
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.cells import X, Y, printed, with_glyph
from disobey.figures.sheet import RIGHT, Sheet, grid, say, scale
from disobey.numbers import NBSP, number

TRAIN = "train"
# The model that ranks the examples, by statistic.
AUCS = {PLOT_MISLABELLED_AUC: "by teacher", MISLABELLED_AUC: "at the label, by replicate"}
LABEL_GAPS = {LABEL_GAP: "by teacher", f"{LABEL_GAP}{BY_REPLICATE}": "by replicate"}
KL = "KL from teacher (nats)"
MEASURED = {
    "probability": ("probability", "teacher's (probability)"),
    "entropy": ("entropy (nats)", "teacher's (nats)"),
    "kl_by_confidence_logit": (KL, "teacher's logit"),
    "kl_by_probability": (KL, "teacher's probability"),
    "kl_by_entropy": (KL, "teacher's entropy (nats)"),
}
LEFT, BELOW, BELOW_LAST = 0.3, 0.13, 0.27
FEWEST_COLUMNS, MOST_COLUMNS = 2, 4
# The heading of a panel, and the function that draws it.
Panel = tuple[str, Callable[[Axes], None]]


def _rows(
    title: str,
    analyses: dict[str, Analysis],
    about: Callable[[Analysis], str],
    panels: Callable[[Analysis, Sequence[str]], list[Panel]],
    labels: tuple[str, str] = (X, Y),
) -> Figure:
    """Draw a row of squares per setting, below a line about it; only outer squares have labels.

    Letters name the rows, or the squares if there is a single row.
    """
    models = cells.shown_in(analyses.values())
    wide = len(models) > 1 or not all(labels)
    sheet = Sheet(style.TWO_COLUMNS if wide else style.COLUMN_WIDTH)
    sheet.title(title)
    sheet.legend(cells.legend(analyses))
    for analysis in analyses.values():
        sheet.write(about(analysis), letter=len(analyses) > 1)
        row = panels(analysis, models)
        last = analysis is list(analyses.values())[-1]
        side = sheet.width / len(row) - LEFT - RIGHT
        below = BELOW_LAST if last or not all(labels) else BELOW
        made = grid(
            sheet, [heading for heading, _ in row], len(row),
            height=side, left=LEFT, below=below, lettered=len(analyses) == 1,
        )  # fmt: skip
        for axes, (_, draw) in zip(made, row, strict=True):
            draw(axes)
            if last and labels[0]:
                axes.set_xlabel(labels[0])
        made[0].set_ylabel(labels[1])
    return sheet.finish()


def _name(analysis: Analysis, split: str) -> str:
    return f"{analysis.setting}: {cells.head(analysis, split)}"


# --- by who predicts the label ----------------------------------------------------------------


@style.styled
def draw_dissection(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot in four panels, on test if there is a test split.

    The panels contain the examples whose label is predicted by both models, only by the student or
    reference, only by the teacher, or by neither.
    """
    return _rows(
        "Confidence logits, by who predicts the label",
        analyses,
        lambda analysis: _name(analysis, _dissected_split(analysis)),
        lambda analysis, models: [
            (_dissected_head(analysis, m, p), partial(_dissected, analysis, m, p))
            for m in models
            for p in PANELS
        ],
        ("teacher", "model"),
    )


def _dissected_split(analysis: Analysis) -> str:
    return [name for name in SPLITS if name in analysis.splits][-1]


def _dissected_head(analysis: Analysis, model: str, panel: str) -> str:
    """Return the lines above a panel: share of the examples, mean gap, share below."""
    split = _dissected_split(analysis)
    lines = [f"{style.ROLES[model].glyph} {panel.replace('_', ' ').removesuffix(' right')}"]
    shares = (analysis.number(f"{panel}_{of}", model, split)[0]
              for of in ("share", "share_below_diagonal"))  # fmt: skip
    share, below = (
        f"{number(PERCENT * of, 1)}{NBSP}%" if not math.isnan(of) else "" for of in shares
    )
    lines += [f"{share} of all"] if share else []
    if share and below:
        lines += [f"gap {printed(analysis, f'{panel}_gap', model, split)}", f"{below} below"]
    return "\n".join(lines)


def _dissected(analysis: Analysis, model: str, panel: str, axes: Axes) -> None:
    data = analysis.splits[_dissected_split(analysis)]
    if "dissected_density" not in data or model not in data.compared.values:
        say(axes, "no labels" if model in data.compared.values else "none")
        return
    edges, density = data.confidence_edge.values, data.dissected_density
    if cells.draw_cells(axes, edges, density.sel(compared=model, panel=panel).values, model):
        limits = cells.limits_of(edges, list(density.values))
        cells.square_scale(axes, limits, left=panel == PANELS[0])


# --- clean and mislabelled points -------------------------------------------------------------


@style.styled
def draw_mislabelled(analyses: dict[str, Analysis]) -> Figure:
    """Draw the plot for clean and mislabelled training points of settings with label noise."""
    return _rows(
        "Clean and mislabelled training points",
        analyses,
        _noise_about,
        lambda analysis, models: [
            (_noise_head(analysis, m, kind), partial(_noise, analysis, m, kind))
            for m in models
            for kind in (CLEAN, MISLABELLED)
        ],
    )


def _noise_about(analysis: Analysis) -> str:
    """Return a setting's name and the AUC of its models in either order."""
    if TRAIN not in analysis.splits:
        return f"{analysis.setting}: no train split"
    models = cells.models_of(analysis.splits[TRAIN])
    lines = [_name(analysis, TRAIN)]
    for auc, order in AUCS.items():
        found = [with_glyph(m, printed(analysis, auc, m, TRAIN)) for m in models]
        lines.append(f"AUC {order}: {', '.join(found)}")
    return "\n".join(lines)


def _noise_head(analysis: Analysis, model: str, kind: str) -> str:
    """Return the lines above a panel: model, kind and number of points, mean gap in a decile."""
    head = f"{style.ROLES[model].glyph} {kind}"
    if TRAIN not in analysis.splits:
        return head
    gap = printed(analysis, "plot_gap_bottom_decile", model, TRAIN, kind)
    return f"{head}, {cells.examples(analysis, TRAIN, kind)}\ngap {gap}"


def _noise(analysis: Analysis, model: str, kind: str, axes: Axes) -> None:
    data = analysis.splits.get(TRAIN)
    if data is None or "noise_density" not in data or model not in data.compared.values:
        say(axes, "none")
        return
    here, edges = data.sel(compared=model, noise=kind), data.confidence_edge.values
    if cells.draw_cells(axes, edges, here.noise_density.values, model):
        across, up = here.noise_binned_teacher.values, here.noise_binned_model.values
        cells.draw_means(axes, across, up, model, f"binned/{kind}")
        cells.square_scale(axes, cells.limits_of(edges, list(data.noise_density.values)))


# --- other measures ---------------------------------------------------------------------------


@style.styled
def draw_measures(analyses: dict[str, Analysis]) -> Figure:
    """Draw probability and entropy against the teacher's, and KL against three of its measures.

    The split is train, or test where there is no train split.
    """

    def split(analysis: Analysis) -> str:
        return next(name for name in SPLITS if name in analysis.splits)

    return _rows(
        "Other measures of the same deviations",
        analyses,
        lambda analysis: _name(analysis, split(analysis)),
        lambda analysis, _: [
            (MEASURED[curve][0], partial(_measure, analysis.splits[split(analysis)], curve))
            for curve in CURVES
        ],
        ("", ""),
    )


def _measure(data: xr.Dataset, curve: str, axes: Axes) -> None:
    models, shown = cells.models_of(data), data.sel(curve=curve)
    axes.set_xlabel(MEASURED[curve][1])
    if not np.isfinite(shown.curve_estimate).any():
        say(axes)
        return
    if curve in MEASURES:
        here = data.sel(measure=curve)
        edges = here.measure_edge.values
        cells.draw_cells(
            axes, edges, here.measure_density.sel(compared=models[0]).values, models[0]
        )
    across = shown.curve_teacher.mean("seed").values
    for model in reversed(models):
        of = shown.sel(compared=model)
        cells.draw_means(axes, across, of.curve_estimate.values, model, curve)
        if np.isfinite(of.curve_low).any():
            look = {"alpha": 0.25, "zorder": 2, "gid": f"band/{curve}/{model}"}
            low, high = of.curve_low.values, of.curve_high.values
            style.band(axes, across, low, high, style.ROLES[model].colour, **look)
    if curve in MEASURES:
        cells.square_scale(axes, cells.limits_of(edges, list(here.measure_density.values)))
        return
    ends = [shown[name].values.ravel() for name in ("curve_low", "curve_high", "curve_estimate")]
    scale(axes, "x", across)
    scale(axes, "y", [0.0, *np.concatenate(ends).clip(0)])


# --- the label's class ------------------------------------------------------------------------


@style.styled
def draw_label_class(analyses: dict[str, Analysis]) -> Figure:
    """Draw confidence in the label's class: a column per setting, train above, test below."""
    settings = list(analyses.values())
    columns = min(max(len(settings), FEWEST_COLUMNS), MOST_COLUMNS)
    sheet = Sheet(style.COLUMN_WIDTH if columns == FEWEST_COLUMNS else style.TWO_COLUMNS)
    sheet.title("Confidence in the label's class")
    sheet.legend(cells.legend(analyses))
    sheet.write("Numbers: mean gap to the teacher in the lowest decile")
    for start in range(0, len(settings), columns):
        _label_band(sheet, settings[start : start + columns], columns)
    return sheet.finish()


def _label_band(sheet: Sheet, settings: Sequence[Analysis], columns: int) -> None:
    """Draw settings side by side, with a row per split, or the splits of one setting in a row."""
    splits = [split for split in SPLITS if any(split in one.splits for one in settings)]
    rows = [[(one, split) for one in settings] for split in splits]
    if len(settings) == 1:
        rows = [[panel for row in rows for panel in row]]
    side = sheet.width / columns - LEFT - RIGHT
    for row in rows:
        heads = [_label_head(*panel, name=row is rows[0] and panel[1] == splits[0])
                 for panel in row]  # fmt: skip
        below = BELOW_LAST if row is rows[-1] else BELOW
        made = grid(sheet, heads, columns, height=side, left=LEFT, below=below)
        for axes, (analysis, split) in zip(made, row, strict=True):
            data = analysis.splits.get(split)
            if data is None or "label_density" not in data:
                say(axes, f"no {split} split" if data is None else "no labels")
            else:
                cells.draw_models(axes, data, "label_")
            if row is rows[-1]:
                axes.set_xlabel(X)
        made[0].set_ylabel(Y)


def _label_head(analysis: Analysis, split: str, *, name: bool) -> str:
    """Return the lines above a panel: setting, split, and the gaps in either order."""
    lines = [analysis.setting] if name else []
    if split in analysis.splits:
        gaps = [
            f"{order} {with_glyph(model, printed(analysis, gap, model, split))}"
            for gap, order in LABEL_GAPS.items()
            for model in cells.models_of(analysis.splits[split])
        ]
        lines.append(cells.head(analysis, split, *gaps))
    return "\n".join(lines)
