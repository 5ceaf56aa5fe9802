"""Test accuracy against training accuracy, along training: who is better at equal fit."""

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.curves import EQUAL_ACCURACY, EQUAL_ACCURACY_DIFFERENCE, Curves
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.panels import grid, page_of, say, scale
from disobey.figures.sheet import Sheet
from disobey.numbers import NBSP, interval

# From the back to the front.
MODELS = (TEACHER, REFERENCE, STUDENT)
NO_DIFFERENCE = 0.0


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy when training accuracy first reaches each level, a panel per setting.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with curves; others are left out.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        When no setting has curves.
    """
    known = [analysis.curves for analysis in analyses.values() if analysis.curves is not None]
    if not known:
        raise ValueError(
            f"the figure equal-accuracy needs settings with curves, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    columns, page, height = page_of(len(known))
    sheet = Sheet(page)
    sheet.title("Test accuracy at equal training accuracy")
    shown = [model for model in MODELS if any(model in one.data.model.values for one in known)]
    sheet.legend([style.handle(model) for model in shown])
    made = grid(sheet, [_head(curves) for curves in known], columns, height=height)
    for index, (axes, curves) in enumerate(zip(made, known, strict=True)):
        _draw_panel(axes, curves)
        axes.set_xlabel("training accuracy (%)", size=style.SMALL_SIZE)
        if index % columns == 0:
            axes.set_ylabel("test accuracy (%)", size=style.SMALL_SIZE)
    return sheet.finish()


def _head(curves: Curves) -> str:
    """Return setting and size, and below the differences of the student in points."""
    n = f"{curves.data.sizes['seed']}{NBSP}×{NBSP}{curves.test_examples:,}"
    return "\n".join([f"{curves.setting}, n{NBSP}={NBSP}{n}", *_differences(curves)])


def _draw_panel(axes: Axes, curves: Curves) -> None:
    """Draw each model's mean over seeds with its interval."""
    ends = [f"test_at_level_{end}" for end in ("estimate", "low", "high")]
    level, shown, reached = 100 * curves.data.level.values, [], []
    for model in MODELS:
        if model not in curves.data.model.values:
            continue
        here = curves.data.sel(model=model)
        estimate, low, high = (100 * here[end].values for end in ends)
        role = style.ROLES[model]
        axes.fill_between(level, low, high, color=role.colour, alpha=style.SHADE, linewidth=0)
        axes.plot(
            level,
            estimate,
            color=role.colour,
            linewidth=style.MEDIUM,
            marker=role.marker,
            markersize=style.SEED_SIZE,
            gid=f"curve/{model}/{curves.setting}",
        )
        shown += estimate.tolist()
        reached += level[np.isfinite(estimate)].tolist()
    if not reached:
        say(axes, "no level is reached")
        return
    scale(axes, "x", reached)
    scale(axes, "y", shown)


def _differences(curves: Curves) -> Iterator[str]:
    """Yield the student's difference to the reference and to the placebo that is closest to it."""
    yield f"vs{NBSP}reference {_points(curves.number(EQUAL_ACCURACY, compared=STUDENT))}"
    numbers = {
        placebo: curves.number(EQUAL_ACCURACY_DIFFERENCE, placebo=placebo)
        for placebo in curves.placebos
    }
    known = {placebo: number for placebo, number in numbers.items() if not math.isnan(number[0])}
    if known:
        closest = min(known, key=lambda placebo: known[placebo][0])
        label = style.role_of(closest).label.replace(" ", NBSP)
        yield f"vs{NBSP}{label} {_points(known[closest])}"


def _points(shares: tuple[float, float, float]) -> str:
    estimate, low, high = (100 * share for share in shares)
    return interval(estimate, low, high, NO_DIFFERENCE)
