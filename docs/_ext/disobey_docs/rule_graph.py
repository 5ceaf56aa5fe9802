"""The graph of stages of the default study, drawn from its plan: what each is made from."""

from collections.abc import Mapping
from pathlib import Path

from disobey.study.loader import load_study
from disobey.study.plan import make_plan

WIDTH, HEIGHT, GAP_X, GAP_Y = 92, 26, 34, 14  # pixels of a box, and between boxes


def page() -> str:
    """Return the drawing as a block of raw HTML."""
    study = Path(__file__).parents[3] / "config.yaml"
    return "\n".join(("```{raw} html", svg(upstream_of(study)), "```"))


def upstream_of(study: Path) -> dict[str, set[str]]:
    """Return the stages that each stage of a study reads."""
    plan = make_plan(load_study(study))
    stage_of = {job.manifest: job.stage for job in plan.jobs.values()}
    read: dict[str, set[str]] = {}
    for job in plan.jobs.values():
        stages = {stage_of[manifest] for manifest in job.inputs} - {job.stage}
        read.setdefault(job.stage, set()).update(stages)
    # A student reads logits, which are made from trainings: that arrow would go backwards.
    read["train"].discard("dump")
    return read


def svg(read: Mapping[str, set[str]]) -> str:
    """Return stages as boxes, each left of all that read it, without needless lines."""

    def column(stage: str) -> int:
        return min((column(other) - 1 for other in read if stage in read[other]), default=0)

    def above(stage: str) -> set[str]:
        return read[stage].union(*map(above, read[stage]))

    columns: dict[int, list[str]] = {}
    for stage in sorted(read):
        columns.setdefault(column(stage), []).append(stage)
    most, first = max(map(len, columns.values())), min(columns)
    place = {
        stage: (
            (number - first) * (WIDTH + GAP_X),
            (row + (most - len(stages)) / 2) * (HEIGHT + GAP_Y),
        )
        for number, stages in columns.items()
        for row, stage in enumerate(stages)
    }
    drawn = []
    for stage, stages in read.items():
        x, y = place[stage]
        for one in stages - set().union(*map(above, stages)):
            left, top = place[one]
            start, end, middle = left + WIDTH, x, HEIGHT / 2
            drawn.append(
                f'<path d="M{start} {top + middle}C{start + GAP_X / 2} {top + middle} '
                f'{end - GAP_X / 2} {y + middle} {end} {y + middle}"/>'
            )
    for stage, (x, y) in place.items():
        drawn.append(f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>')
        drawn.append(f'<text x="{x + WIDTH / 2}" y="{y + HEIGHT / 2 + 4}">{stage}</text>')
    size = (
        f"-1 -1 {len(columns) * (WIDTH + GAP_X) - GAP_X + 2} {most * (HEIGHT + GAP_Y) - GAP_Y + 2}"
    )
    style = (
        "path{fill:none;stroke:currentColor}"
        "rect{fill:var(--color-background-primary,white);stroke:currentColor}"
        "text{font:12px sans-serif;text-anchor:middle;fill:currentColor}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="{size}" '
        f'style="width:100%"><title>Which stage reads which</title><style>{style}</style>'
        f"{''.join(drawn)}</svg>"
    )
