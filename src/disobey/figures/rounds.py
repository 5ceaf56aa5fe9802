"""Repeated self-distillation: the student of one round is the teacher of the next."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from disobey.analysis.names import COMPARED, EXAGGERATION, STUDENT
from disobey.analysis.store import Analysis
from disobey.figures import style
from disobey.figures.families import (
    BIAS,
    Family,
    bias_panel,
    families,
    line,
    named,
)
from disobey.figures.series import Across, SeriesPanel, draw_series
from disobey.figures.sheet import Sheet

ACROSS = "round"
# Rounds beside the first and the last one are free for markers that stand side by side.
ROOM = 0.4


@style.styled
def draw(analyses: dict[str, Analysis]) -> Figure:
    """Draw accuracy, exaggeration and bias of student and reference in each round.

    Parameters
    ----------
    analyses : dict of str to Analysis
        Settings whose ``about`` says of which ``round`` they are; the first, where it does not.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide.
    """
    chains = _chains(list(analyses.values()))
    with_bias = any(analysis.bias is not None for analysis in analyses.values())
    sheet = Sheet()
    sheet.title("Rounds of distillation")
    sheet.legend([style.handle(model) for model in COMPARED])
    for chain in chains:
        sheet.write(chain.head)
        panels = _panels(chain, with_bias=with_bias)
        rounds = [round_of(analysis) for analysis in chain.analyses]
        for axes in draw_series(sheet, panels, columns=len(panels)):
            axes.set_xlim(min(rounds) - ROOM, max(rounds) + ROOM)
    return sheet.finish()


def round_of(analysis: Analysis) -> int:
    """Return how many distillations the student is away from a model trained on labels."""
    return int(analysis.about.get("round", 1))


def _chains(analyses: Sequence[Analysis]) -> list[Family]:
    """Group settings into chains; a teacher of another name may be the student of a round before.

    Where this puts two settings into one round, chains of different teachers are kept apart.
    """
    groups: list[tuple[Analysis, ...]] = []
    for family in families(analyses, ("round", "teacher", "teacher_recipe", "trained")):
        rounds = [round_of(analysis) for analysis in family.analyses]
        if len(set(rounds)) == len(rounds):
            groups.append(tuple(sorted(family.analyses, key=round_of)))
        else:
            groups += [
                tuple(sorted(chain.analyses, key=round_of))
                for chain in families(family.analyses, ("round", "teacher_recipe", "trained"))
            ]
    return named(groups, ("round",))


def _panels(chain: Family, *, with_bias: bool) -> list[SeriesPanel]:
    members = [(float(round_of(analysis)), analysis) for analysis in chain.analyses]
    across = Across(ACROSS)
    accurate, exaggerating = (
        tuple(line(statistic, model, chain, members) for model in COMPARED)
        for statistic in ("accuracy", EXAGGERATION)
    )
    panels = [
        SeriesPanel("accuracy (share of test examples)", accurate, across),
        SeriesPanel("exaggeration A (ratio)", exaggerating, across, 1.0),
    ]
    return panels + [bias_panel([line(BIAS, STUDENT, chain, members)], across)] * with_bias
