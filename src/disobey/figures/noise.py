"""Under label noise: how much of the given and of the clean label each model believes."""

from matplotlib.figure import Figure

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.forest import Panel, draw_forest
from disobey.figures.sheet import Sheet
from disobey.figures.sizes import examples, seeds
from disobey.numbers import NBSP

GIVEN, BEFORE_NOISE = "given_label_confidence", "clean_label_confidence"
TRAIN, CLEAN, MISLABELLED = "train", "clean", "mislabelled"
MODELS = (TEACHER, REFERENCE, STUDENT)


def _panel(statistic: str, label: str, subset: str, models: tuple[str, ...] = MODELS) -> Panel:
    null = 0.0 if models == (EFFECT,) else None
    return Panel(statistic, label, models, null=null, split=TRAIN, subset=subset)


# On clean points both labels are the same: one panel.
PANELS = (
    _panel(GIVEN, "mislabelled:\nin the given,\nwrong label", MISLABELLED),
    _panel(GIVEN, "the same:\nstudent −\nreference", MISLABELLED, (EFFECT,)),
    _panel(BEFORE_NOISE, "mislabelled:\nin the\nclean label", MISLABELLED),
    _panel(GIVEN, "clean ones:\nin their\nlabel", CLEAN),
)


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw the mean probability of given and clean labels of mislabelled and clean points.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings with label noise, in the order of the study.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.
    """
    sheet = Sheet()
    sheet.title("Belief in given and in clean labels")
    sheet.legend([style.handle(model) for model in MODELS])
    sheet.write("Mean probability on training points:", colour=style.INK)
    draw_forest(sheet, analyses, PANELS, _size)
    sheet.write(
        "Right of a name: seeds × (mislabelled + clean training points). Bars: "
        f"95{NBSP}% intervals over seeds, each setting by itself (not adjusted for their "
        "number). Hollow: no interval. Scales differ."
    )
    return sheet.finish()


def _size(analysis: Analysis) -> str:
    counts = f"{NBSP}+{NBSP}".join(
        examples(analysis, TRAIN, subset) for subset in (MISLABELLED, CLEAN)
    )
    return f"{seeds(analysis, TRAIN)}{NBSP}×{NBSP}({counts})"
