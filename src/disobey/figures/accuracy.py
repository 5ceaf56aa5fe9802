"""Accuracy of teacher, reference and student, every seed, and distillation's own effect."""

from matplotlib.figure import Figure

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.forest import NOTE, Panel, draw_forest
from disobey.figures.message import Claim, headline
from disobey.figures.sheet import Sheet

STATISTIC = "accuracy"
MODELS = (TEACHER, REFERENCE, STUDENT)
CLAIM = Claim(
    subject="test accuracy",
    above="raised by distillation",
    below="lowered",
    symbol="student − reference".replace(" ", "\u00a0"),
    statistic=STATISTIC,
    null=0.0,
    model=EFFECT,
)
PANELS = (
    Panel(STATISTIC, "accuracy\n(share of test examples)", MODELS, seeds=True, share=1.25),
    Panel(STATISTIC, "student − reference\n(share)", (EFFECT,), null=0.0, seeds=True),
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw test accuracy per setting: seeds as dots, means with intervals.

    The effect has a panel of its own, because it is small on the scale on which data sets differ.

    Parameters
    ----------
    analyses : dict of str to Analysis
        By setting, in the order of the study.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.
    """
    sheet = Sheet()
    sheet.title(headline(analyses, CLAIM))
    sheet.legend([style.handle(model) for model in MODELS])
    draw_forest(sheet, analyses, PANELS)
    sheet.write(f"{NOTE} Dots: seeds.")
    return sheet.finish()
