"""Accuracy of teacher, reference and student on train and test, beside the paper's."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import SPLITS, Analysis
from disobey.figures import style
from disobey.figures.forest import PAPER_MARK, Panel, draw_forest
from disobey.figures.sheet import Sheet
from disobey.figures.sizes import examples, seeds
from disobey.numbers import NBSP

MODELS = (TEACHER, REFERENCE, STUDENT)
# The effect has a panel of its own: it is small on the scale on which data sets differ.
PANELS = tuple(
    Panel("accuracy", label, models, null, seeds=True, paper=True, split=split)
    for split in SPLITS
    for label, models, null in (
        (f"{split} accuracy", MODELS, None),
        (f"{split}: student\n− reference", (EFFECT,), 0.0),
    )
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw accuracy and distillation's effect on it per setting, on train and on test.

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study. Crosses are where the paper reports an accuracy.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide.
    """
    sheet = Sheet(style.TWO_COLUMNS)
    sheet.title("Accuracy (share of the examples, given labels)")
    handles = [style.handle(model) for model in (*MODELS, EFFECT)]
    if any(analysis.paper for analysis in analyses.values()):
        handles.append(Line2D([], [], label="reported by the paper", **PAPER_MARK))
    sheet.legend(handles)
    draw_forest(sheet, analyses, PANELS, _size)
    return sheet.finish()


def _size(analysis: Analysis) -> str:
    counts = f"{NBSP}+{NBSP}".join(
        examples(analysis, split) for split in SPLITS if split in analysis.splits
    )
    return f"{seeds(analysis, next(iter(analysis.splits)))}{NBSP}×{NBSP}({counts})"
