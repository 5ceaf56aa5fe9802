"""Both exaggerations over training: of confidence by epoch, of the bias by matched progress."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disobey.analysis.bias import Bias
from disobey.analysis.names import COMPARED, EXAGGERATION, GAPS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.bias import THEOREM_STYLE, ratio_handles
from disobey.figures.panels import LEFT, RIGHT, grid, say, scale
from disobey.figures.ratios import first_layer, units
from disobey.figures.series import Across, Series, SeriesPanel, draw_panel
from disobey.figures.sheet import Sheet
from disobey.figures.sizes import size
from disobey.numbers import NBSP

# Between a setting's name and the epoch of a snapshot.
AT = "@"
HEIGHT = 1.1
# Epochs that reach over so many times the first one are spread logarithmically.
LOG_FROM = 10


@dataclass(frozen=True)
class Training:
    """A setting, analysed at several epochs.

    Attributes
    ----------
    setting : str
        Its name.
    analyses : tuple of Analysis
        In order of epoch.
    epochs : tuple of float
        Of each analysis.
    bias : Bias or None
        Of the whole training.
    """

    setting: str
    analyses: tuple[Analysis, ...]
    epochs: tuple[float, ...]
    bias: Bias | None

    @property
    def across(self) -> Across:
        """The axis of epochs."""
        first, last = self.epochs[0], self.epochs[-1]
        return Across("epoch", log=first > 0 and last >= LOG_FROM * first)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw A, gap and accuracy against the epoch, and the ratio of progress against progress.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Snapshots, named ``<setting>@<epoch>``, and their settings; other settings are left out.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide; a row of panels per setting.

    Raises
    ------
    ValueError
        When there is no snapshot.
    """
    trainings = _trainings(analyses)
    if not trainings:
        raise ValueError(
            f"the figure over-training needs snapshots, named <setting>{AT}<epoch>, got none among "
            f"{', '.join(analyses) or 'no setting'}"
        )
    tracked = units({each.setting: each.analyses[-1] for each in trainings})
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Confidence, accuracy and bias over training")
    handles = [style.handle(model) for model in (TEACHER, *COMPARED)]
    if tracked:
        _, *others = ratio_handles(tracked)
        handles += others
    sheet.legend(handles)
    for training in trainings:
        _training(sheet, training)
    return sheet.finish()


def _trainings(analyses: dict[str, Analysis]) -> list[Training]:
    """Group snapshots by setting, in order of epoch; the setting itself is the last."""
    snapshots: dict[str, list[tuple[float, Analysis]]] = {}
    for name, analysis in analyses.items():
        setting, at, _ = name.rpartition(AT)
        if at:
            snapshots.setdefault(setting, []).append((float(analysis.about["epoch"]), analysis))
    found = []
    for setting, dated in snapshots.items():
        whole = analyses.get(setting)
        if whole is not None:
            dated.append((float(whole.about["epochs"]), whole))
        epochs, ordered = zip(*sorted(dated, key=lambda pair: pair[0]), strict=True)
        found.append(Training(setting, ordered, epochs, whole.bias if whole else None))
    return found


def _training(sheet: Sheet, training: Training) -> None:
    """Draw the panels of one setting under its name."""
    last = training.analyses[-1]
    sheet.write(f"{training.setting}, n{NBSP}={NBSP}{size(last)}")
    panels = [
        _panel(training, "exaggeration A (ratio)", EXAGGERATION, null=1.0),
        _panel(training, "G, bottom decile (logits)", GAPS[0], null=0.0),
        _panel(
            training,
            "test accuracy (share)",
            "accuracy",
            models=(TEACHER, REFERENCE, STUDENT),
        ),
    ]
    heads = [panel.head for panel in panels]
    if training.bias is not None:
        data = training.bias.layers[first_layer(training.bias)]
        heads.append(f"progress ratio, rank {int(data['rank'][-1])}")
    width = sheet.width / len(heads) - LEFT - RIGHT
    made = grid(sheet, heads, len(heads), height=HEIGHT)
    for axes, panel in zip(made, panels, strict=False):
        draw_panel(axes, panel, width)
    if training.bias is not None:
        _curves(made[-1], training.bias, width)


def _panel(
    training: Training,
    head: str,
    statistic: str,
    models: Sequence[str] = COMPARED,
    null: float | None = None,
) -> SeriesPanel:
    lines = [
        Series(
            f"{statistic}/{model}/{training.setting}",
            style.ROLES[model],
            training.epochs,
            tuple(analysis.number(statistic, model) for analysis in training.analyses),
        )
        for model in models
    ]
    return SeriesPanel(head, tuple(lines), training.across, null=null)


def _curves(axes: Axes, bias: Bias, width: float) -> None:
    """Draw the ratio of every seed along the last direction, against matched progress."""
    layer = first_layer(bias)
    data = bias.layers[layer].isel(direction=-1)
    shares = data.share.values
    axes.set_xlabel("share of progress along rank 1", size=style.SMALL_SIZE)
    curves = {
        model: np.exp(data.log_ratio_curve.sel(compared=model).transpose("seed", "share").values)
        for model in (STUDENT, *bias.placebos(layer))
    }
    if not any(np.isfinite(curve).any() for curve in curves.values()):
        say(axes)
        return
    low, high = data.attrs["range"]
    axes.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
    axes.axhline(1, color=style.INK, linewidth=style.MEDIUM, linestyle=(0, (3, 2)), zorder=1)
    for model, curve in reversed(curves.items()):
        for seed in curve:
            axes.plot(
                shares,
                seed,
                color=style.role_of(model).colour,
                linewidth=style.THIN if model != STUDENT else style.MEDIUM,
                gid=f"curve/{model}/{bias.setting}",
            )
    scale(axes, "x", [0.0, *shares], width=width)
    # Beyond the range lies the plateau, where ratios run away: they must not squeeze the others.
    kept = [curve[:, shares <= high].ravel() for curve in curves.values()]
    scale(axes, "y", [*np.concatenate(kept), 1.0], log=True)
    theorem = np.exp(data.theorem_log_ratio.values)
    axes.plot(shares, theorem, gid=f"theorem/{bias.setting}", zorder=2, **THEOREM_STYLE)
