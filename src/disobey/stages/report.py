"""Write the page of a study: verdicts, figures, tables and what they were made from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from disobey.analysis.claims.claim import FEWEST_TEST_EXAMPLES
from disobey.analysis.intervals import LEVEL, TWO_SEEDS
from disobey.errors import UserError
from disobey.numbers import duration
from disobey.report.gallery import gallery
from disobey.report.history import by_stage, elapsed, epochs, machines, stage, versions, walk
from disobey.report.lead import matrix, sentences
from disobey.report.links import Link, link
from disobey.report.made import made_from
from disobey.report.settings import settings
from disobey.report.verdicts import accuracies, claims, read_table

if TYPE_CHECKING:
    from disobey.job import Job

TEMPLATE = "report.html.jinja"
TABLES = ("summary", "claims", "accuracy")
# A table, a figure and a setting may bear the same name: told apart by the stage that made them.
STAGES_READ = ("table", "figure", "confidence", "explorer")


def run(job: "Job") -> None:
    """Put the page together; it computes nothing, and needs neither network nor other files."""
    html = render(content(job))
    with job.write(job.store) as path:
        path.write_text(html, encoding="utf-8")


def content(job: "Job") -> dict[str, Any]:
    """Return all that the template prints."""
    spec = job.spec
    made = {which: [m for m in job.inputs if m.record["stage"] == which] for which in STAGES_READ}
    tables = {manifest.id: manifest for manifest in made["table"]}
    rows = {name: read_table(tables[name]) for name in TABLES}
    figures = made["figure"]
    analysed = {manifest.id: manifest for manifest in made["confidence"]}
    analyses = [analysed[name] for name in spec["settings"]]
    found, missing = walk(job.inputs, Path())
    records = [manifest.record for manifest in found]
    trained = epochs(found)
    held = claims(rows["claims"], rows["summary"])
    every = [row for claim in held for row in claim.rows]
    return {
        "spec": spec,
        "claims": held,
        "sentences": sentences(rows["summary"]),
        "matrix": matrix(rows["summary"]),
        "one_seed": list(dict.fromkeys(row.setting for row in every if row.seeds == 1)),
        "two_seeds": TWO_SEEDS if any(row.seeds == 2 for row in every) else "",
        "figures": gallery(figures, job.captions, job.store),
        "accuracies": accuracies(rows["accuracy"], spec["settings"]),
        "settings": settings(analyses, found),
        "resamples": sorted({m.spec["analysis"]["resamples"] for m in analyses}),
        "stages": by_stage(found),
        "total": stage("total", records),
        "elapsed": elapsed(records),
        "machines": machines(found),
        "trainings": sum(record["stage"] == "train" for record in records),
        "epochs": trained,
        "made": made_from(analyses, found, trained, job.store),
        "study_file": study_file(job),
        "versions": versions(found),
        "missing": missing,
        "explorers": [next(iter(manifest.record["files"])) for manifest in made["explorer"]],
        "fewest": FEWEST_TEST_EXAMPLES,
        "level": f"{LEVEL:.0%}".replace("%", "\u00a0%"),
    }


def study_file(job: "Job") -> tuple[Link, str] | None:
    """Return a link to the study file and what it says; None where the job was told of none.

    The text stands in the page: the file may be changed or moved, the page then still says what
    it was made from.
    """
    path = job.study_file
    if path is None:
        return None
    try:
        return link(path.name, path, job.store), path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--study-file {path}: cannot be read ({error.strerror}); name the file that the "
            f"study was read from"
        ) from None


def render(values: dict[str, Any]) -> str:
    """Fill the template; every value is escaped unless it is markup already."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    return environment.get_template(TEMPLATE).render(values) + "\n"
