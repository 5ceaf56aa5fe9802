"""How faithfully a student follows its teacher, and how well each model is calibrated."""

from matplotlib.figure import Figure

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.forest import NOTE, Panel, draw_forest
from disobey.figures.sheet import Sheet

MODELS = (TEACHER, REFERENCE, STUDENT)
PANELS = (
    Panel("agreement", "agreement\n(share of test\nexamples)"),
    Panel("kl_from_teacher", "KL divergence\nfrom teacher\n(nats)"),
    Panel("ece", "calibration\nerror, ECE\n(probability)", MODELS),
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw agreement, divergence from the teacher and calibration error per setting.

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
    sheet.title("Agreement with the teacher, and calibration")
    sheet.legend([style.handle(model) for model in MODELS])
    draw_forest(sheet, analyses, PANELS)
    sheet.write(NOTE)
    return sheet.finish()
