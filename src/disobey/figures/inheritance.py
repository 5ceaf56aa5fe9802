"""Whether a student scales the signal that teachers share, or copies its own teacher's quirks."""

from matplotlib.figure import Figure

from disobey.analysis.names import COMPARED, INHERITANCE, SIGNAL_SCALE
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.forest import NOTE, Panel, draw_forest
from disobey.figures.sheet import Sheet

PANELS = (
    Panel(SIGNAL_SCALE, "shared signal, $A_z$\n(1: as another teacher)", null=1.0),
    Panel(INHERITANCE, "idiosyncrasy, B\n(0: as another teacher)", null=0.0),
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the scale of the shared signal and the inheritance of idiosyncrasy per setting.

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
    sheet.title("Shared signal and idiosyncrasy of teachers")
    sheet.legend([style.handle(model) for model in COMPARED])
    draw_forest(sheet, analyses, PANELS)
    sheet.write(
        f"{NOTE} Lines: what a teacher of another seed would give. Both are ratios, without unit."
    )
    return sheet.finish()
