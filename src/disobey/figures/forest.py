"""Forest plots: one row per setting, one panel per statistic, one lane per model.

`FORESTS` lists these figures; one function draws them all.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.curves import EQUAL_ACCURACY
from disobey.analysis.names import (
    ALL,
    CLEAN,
    COMPARED,
    DECILES,
    EFFECT,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    MISLABELLED,
    REFERENCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.statistics import statistic_of
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import cells, style
from disobey.figures.sheet import (
    GAP,
    LETTER,
    MARGIN,
    Sheet,
    columns_of,
    grid,
    put_ticks,
    say,
    scale,
    write_head,
)
from disobey.numbers import NBSP

# In inches.
LANE, BODY_PADDING, ROW_GAP, PANEL_GAP, TICKS = 0.078, 0.02, 0.03, 0.2, 0.13
NAMES, SEED_OFFSET = 1.75, 0.03
# Share of a scale without ticks at either end: a label would extend into the next panel.
INSET = 0.05
# With more settings than this the lower axis is out of sight, so there are ticks at both ends.
TALL = 12
# Markers of the paper's accuracies. Any: matplotlib's options have various types.
PAPER_MARK: dict[str, Any] = {
    "color": style.INK, "marker": "x", "linestyle": "", "markersize": 2.6,
    "markeredgewidth": style.MEDIUM, "zorder": 5,
}  # fmt: skip
BELIEF_GIVEN, BELIEF_CLEAN = "given_label_confidence", "clean_label_confidence"
# The grid of gaps. Gaps up to the threshold (logits) have a linear scale, larger ones a log scale.
GAP_COLUMNS, GAP_HEIGHT, GAP_LEFT, GAP_INDENT, GAP_BELOW = 6, 0.75, 0.06, 0.3, 0.13
LINEAR_UP_TO, DODGE = 0.1, 0.12


@dataclass(frozen=True)
class Panel:
    """One column of a forest plot.

    Attributes
    ----------
    statistic : str
        A name of `disobey.analysis.names`; its record has the value without a deviation, which is
        marked by a line.
    label : str
        The label of the axis, with its unit; by default the label of the record.
    models : tuple of str
        The models, one lane each, from top to bottom.
    seeds : bool
        True if each seed is shown as a dot.
    paper : bool
        True if a cross shows the accuracy reported in the paper.
    split, subset : str
    """

    statistic: str
    label: str = ""
    models: tuple[str, ...] = COMPARED
    seeds: bool = False
    paper: bool = False
    split: str = "test"
    subset: str = ALL

    @property
    def words(self) -> str:
        """The label of the axis."""
        of = style.ROLES[EFFECT].label if EFFECT in self.models else ""
        return self.label or statistic_of(self.statistic).axis(of)

    @property
    def marked(self) -> float:
        """The value without a deviation, which is marked by a line; NaN if there is none."""
        return statistic_of(self.statistic).null_of(self.models[0])

    @property
    def name(self) -> str:
        """The statistic and the subset, as used in the names of drawn elements."""
        of = self.subset if self.subset != ALL else self.split
        return self.statistic + ("" if of == "test" else f" ({of})")

    def number(self, analysis: Analysis, model: str) -> tuple[float, float, float]:
        """Return estimate, low and high; NaN if the split or the recording is missing."""
        if self.statistic == EQUAL_ACCURACY and analysis.curves is not None:
            return analysis.curves.number(EQUAL_ACCURACY, compared=STUDENT)
        if self.statistic == EQUAL_ACCURACY or self.split not in analysis.splits:
            return (math.nan,) * 3
        return analysis.number(self.statistic, model, self.split, self.subset)

    def beside(self, analysis: Analysis, model: str) -> tuple[list[float], float]:
        """Return the statistic of each seed and the paper's accuracy; ``[]`` and NaN if hidden."""
        each: list[float] = []
        if self.seeds and self.split in analysis.splits:
            each = analysis.seeds(self.statistic, model, self.split, self.subset).tolist()
        return each, analysis.paper_accuracy(model, self.split) if self.paper else math.nan


@dataclass(frozen=True)
class Forest:
    """A forest figure: its title, and its panels from left to right.

    ``counted`` returns the number of examples behind a setting's row, as printed; ``gaps``
    is True if the gap in each decile of confidence is drawn below.
    """

    title: str
    panels: tuple[Panel, ...]
    counted: Callable[[Analysis], str] = cells.examples
    gaps: bool = False


def _splits(analysis: Analysis) -> str:
    return _sum(cells.examples(analysis, split) for split in SPLITS if split in analysis.splits)


def _subsets(analysis: Analysis) -> str:
    return _sum(cells.examples(analysis, "train", subset) for subset in (MISLABELLED, CLEAN))


def _sum(counts: Iterable[str]) -> str:
    return f"({f'{NBSP}+{NBSP}'.join(counts)})"


_ALL = (TEACHER, REFERENCE, STUDENT)
_MISLABELLED: dict[str, Any] = {"split": "train", "subset": MISLABELLED}

FORESTS = {
    # The effect has its own panel: it is small on a scale that fits all data sets.
    "accuracy": Forest(
        "Accuracy (share of the examples, given labels)",
        tuple(
            Panel("accuracy", label, models, seeds=True, paper=True, split=split)
            for split in SPLITS
            for label, models in (
                (f"{split} accuracy", _ALL), (f"{split}: student\n− reference", (EFFECT,)),
            )
        ),
        _splits,
    ),
    "calibrated": Forest(
        "Confidence against a teacher of another seed",
        (Panel(EXAGGERATION), Panel(EXAGGERATION, models=(EFFECT,))),
        gaps=True,
    ),
    "inheritance": Forest(
        "Shared signal and idiosyncrasy of teachers", (Panel(SIGNAL_SCALE), Panel(INHERITANCE))
    ),
    "fidelity": Forest(
        "Agreement with the teacher, and calibration",
        (Panel("agreement"), Panel("kl_from_teacher"), Panel("ece", models=_ALL)),
    ),
    # Both labels are the same at clean points: one panel is enough.
    "noise": Forest(
        "Belief in given and clean labels (mean probability, training points)",
        (
            Panel(BELIEF_GIVEN, "mislabelled: given,\nwrong label", _ALL, **_MISLABELLED),
            Panel(BELIEF_GIVEN, "wrong label:\nstudent − reference", (EFFECT,), **_MISLABELLED),
            Panel(BELIEF_CLEAN, "mislabelled:\nclean label", _ALL, **_MISLABELLED),
            Panel(BELIEF_GIVEN, "clean points:\ntheir label", _ALL, split="train", subset=CLEAN),
        ),
        _subsets,
    ),
    "losses": Forest(
        "Students by different losses",
        (
            Panel(EXAGGERATION, "exaggeration A\n(ratio)"),
            Panel(INHERITANCE, "idiosyncrasy, B\n(ratio)"),
            Panel("brier_payoff", "pay-off\n(Brier, ratio)"),
            Panel("accuracy", "accuracy gain\n(share)", (EFFECT,)),
            Panel(EQUAL_ACCURACY, "gain at equal\ntrain accuracy", (EFFECT,)),
        ),
    ),
}  # fmt: skip


@style.styled
def draw(kind: str, analyses: dict[str, Analysis]) -> Figure:
    """Draw one of `FORESTS`: one row for each setting, from top to bottom."""
    return draw_forest(FORESTS[kind], analyses)


def draw_forest(forest: Forest, analyses: dict[str, Analysis]) -> Figure:
    """Draw a forest figure: title, legend, a row per setting, and optionally the grid of gaps."""
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title(forest.title)
    models = dict.fromkeys(model for panel in forest.panels for model in panel.models)
    handles = [style.handle(model) for model in style.ROLES if model in models]
    if any(panel.paper for panel in forest.panels) and any(a.paper for a in analyses.values()):
        handles.append(Line2D([], [], label="reported by the paper", **PAPER_MARK))
    sheet.legend(handles)
    _panels(sheet, forest, analyses)
    if forest.gaps:
        _gap_grid(sheet, analyses)
    return sheet.finish()


class Row:
    """The vertical position of a setting, in inches below the top of the plot.

    It has ``lanes`` lanes, one per model, and begins below ``top``; ``counted`` is its number of
    examples.
    """

    def __init__(self, analysis: Analysis, counted: str, lanes: int, top: float) -> None:
        self.analysis = analysis
        seeds = cells.seeds(analysis, next(iter(analysis.splits)))
        self.size = f"{seeds}{NBSP}×{NBSP}{counted}"
        room = NAMES - style.text_width(self.size, style.SMALL_SIZE) - 3 * GAP
        self.name = style.wrap(analysis.setting, room, style.SMALL_SIZE)
        self.top = top + ROW_GAP
        text = style.line_height(style.SMALL_SIZE, self.name.count("\n") + 1)
        self.bottom = self.top + max(lanes * LANE + BODY_PADDING, text)
        self.middle = (self.top + self.bottom) / 2


def _panels(sheet: Sheet, forest: Forest, analyses: dict[str, Analysis]) -> None:
    panels = forest.panels
    lanes = max(len(panel.models) for panel in panels)
    rows: list[Row] = []
    for analysis in analyses.values():
        top = rows[-1].bottom if rows else 0.0
        rows.append(Row(analysis, forest.counted(analysis), lanes, top))
    height = rows[-1].bottom
    width = (sheet.width - NAMES - PANEL_GAP * (len(panels) - 1)) / len(panels)
    labels = [style.wrap(panel.words, width - LETTER, style.SMALL_SIZE) for panel in panels]
    lines = max(label.count("\n") + 1 for label in labels)
    ticks_above = TICKS * (len(rows) > TALL)
    sheet.top += style.line_height(style.SMALL_SIZE, lines) + ticks_above
    _names(sheet, rows, height)
    left = MARGIN + NAMES
    for panel, label in zip(panels, labels, strict=True):
        axes = sheet.axes(left, width, height)
        axes.set_ylim(height, 0)
        # Labels with one and with two lines begin at the same height.
        head = label + "\n " * (lines - 1 - label.count("\n"))
        write_head(axes, head, 0.0, next(sheet.letters), ticks_above)
        _panel(axes, panel, rows, width)
        axes.tick_params(top=bool(ticks_above), labeltop=bool(ticks_above))
        left += width + PANEL_GAP
    sheet.top += height + TICKS + GAP


def _names(sheet: Sheet, rows: list[Row], height: float) -> None:
    axes = sheet.axes(MARGIN, NAMES - GAP, height)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(height, 0))
    for row in rows:
        for text in (
            axes.text(0, row.middle, row.name),
            axes.text(1, row.middle, row.size, ha="right", color=style.FAINT),
        ):
            text.set(va="center", size=style.SMALL_SIZE, linespacing=style.LINE_SPACING)


def _panel(axes: Axes, panel: Panel, rows: list[Row], width: float) -> None:
    axes.patch.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set(xticks=[], yticks=[])
    shown = [panel.marked]
    for row in rows:
        lanes = {m: (panel.number(row.analysis, m), *panel.beside(row.analysis, m))
                 for m in panel.models}  # fmt: skip
        for three, each, reported in lanes.values():
            shown += [*three, *each, reported]
        axes.axhspan(row.top, row.bottom, color=style.BAND, linewidth=0, zorder=0)
        if not any(math.isfinite(three[0]) for three, _, _ in lanes.values()):
            say(axes, at=(0.5, 1 - row.middle / rows[-1].bottom))
            continue
        if math.isfinite(panel.marked):
            axes.vlines(panel.marked, row.top, row.bottom, style.INK, linewidth=style.MEDIUM)
        for index, (model, numbers) in enumerate(lanes.items()):
            height = row.middle + (index - (len(lanes) - 1) / 2) * LANE
            name = f"{panel.name}/{model}/{row.analysis.setting}"
            _lane(axes, name, style.ROLES[model], height, *numbers)
    # Margins around all numbers; no ticks near either end.
    scale(axes, "x", shown, width=width, inset=INSET)


def _lane(
    axes: Axes,
    name: str,
    role: style.Role,
    height: float,
    numbers: tuple[float, float, float],
    each: Sequence[float],
    reported: float,
) -> None:
    estimate, low, high = numbers
    if each:
        below = np.full(len(each), height + SEED_OFFSET)
        dots: dict[str, Any] = {"markersize": style.SEED_SIZE, "markeredgewidth": 0, "alpha": 0.7}
        axes.plot(each, below, "o", color=role.colour, gid=f"seeds/{name}", **dots)
    axes.plot([low, high], [height, height], color=role.colour, gid=f"interval/{name}")
    decided = math.isfinite(low) and math.isfinite(high)
    style.estimate(axes, estimate, height, role, f"estimate/{name}", filled=decided)
    if math.isfinite(reported):
        axes.plot([reported], [height], **PAPER_MARK, gid=f"paper/{name}")


def _gap_grid(sheet: Sheet, analyses: dict[str, Analysis]) -> None:
    """Draw the gap in each decile of confidence, a small panel per setting, on shared axes."""
    sheet.write(
        "Gap G to the teacher (logits; log scale beyond ±"
        f"{LINEAR_UP_TO:g}) by decile of the confidence of a teacher of another seed",
        letter=True,
    )
    columns = max(columns_of(len(analyses), GAP_COLUMNS), 2)
    made = grid(
        sheet, list(analyses), columns, height=GAP_HEIGHT, left=GAP_LEFT, below=GAP_BELOW,
        indent=GAP_INDENT, lettered=False,
    )  # fmt: skip
    numbers = {
        name: np.array([[one.number(gap, model) for gap in GAPS] for model in COMPARED])
        for name, one in analyses.items()
    }
    known = np.concatenate([each.ravel() for each in numbers.values()])
    ends = np.abs(known[np.isfinite(known)]).max(initial=LINEAR_UP_TO)
    for place, (axes, (name, each)) in enumerate(zip(made, numbers.items(), strict=True)):
        axes.tick_params(labelleft=place % columns == 0)
        _gaps(axes, name, each)
        if not np.isfinite(each[..., 0]).any():
            say(axes)
            continue
        axes.set_yscale("symlog", linthresh=LINEAR_UP_TO, linscale=0.7)
        axes.set_ylim(-1.15 * ends, 1.15 * ends)
        decades = [10.0**power for power in range(-1, 9) if 10.0**power < 1.1 * ends]
        tops = decades if len(decades) <= 2 else decades[-1:]
        put_ticks(axes, "y", [*(-tick for tick in reversed(tops)), 0.0, *tops])
        put_ticks(axes, "x", [1, DECILES // 2, DECILES], ["1", str(DECILES // 2), str(DECILES)])
        axes.set_xlim(0.5, DECILES + 0.5)


def _gaps(axes: Axes, setting: str, numbers: np.ndarray) -> None:
    """Draw the gaps ``numbers`` (model, decile, 3) of one setting."""
    axes.axhline(0, color=style.INK, linewidth=style.MEDIUM)
    for index, (model, each) in enumerate(zip(COMPARED, numbers, strict=True)):
        role, (estimate, low, high) = style.ROLES[model], each.T
        # Side by side, not on top of each other.
        shifted = np.arange(1, DECILES + 1) + DODGE * (2 * index - 1)
        axes.vlines(shifted, low, high, role.colour, linewidth=style.MEDIUM)
        (line,) = axes.plot(shifted, estimate, gid=f"gap/{model}/{setting}")
        line.set(color=role.colour, marker=role.marker, linewidth=style.THIN)
        face = role.colour if np.isfinite(low).any() else style.HOLLOW
        line.set(markersize=style.SEED_SIZE, markerfacecolor=face)
