"""Write the page of a study: findings, claims, figures and provenance."""

from pathlib import Path
from typing import Any

from disobey.analysis.claims.claim import FEWEST_TEST_EXAMPLES
from disobey.analysis.intervals import LEVEL, TWO_SEEDS
from disobey.analysis.names import READINGS
from disobey.analysis.store import SPLITS
from disobey.errors import UserError
from disobey.job import Job
from disobey.numbers import duration
from disobey.report.gallery import gallery, relative
from disobey.report.history import add_up, by_machine, by_stage, elapsed, versions, walk
from disobey.report.lead import IN_WORDS, sentences
from disobey.report.verdicts import accuracies, claims, read_table
from disobey.stores.layout import CAPTIONS, STAGES

TEMPLATE = "report.html.jinja"
TABLES = ("summary", "claims", "accuracy")
# The first screen shows a figure and this many sentences; the matrix below has all claims.
LEAD, SENTENCES = "overview", 4
# A table, a figure and a setting may share a name; the stage that made them differs.
STAGES_READ = ("table", "figure", "confidence", "explorer")


def run(job: "Job") -> None:
    """Write the page; it computes nothing and needs neither a network nor other files."""
    html = render(content(job))
    with job.write(job.store) as path:
        path.write_text(html, encoding="utf-8")


def content(job: "Job") -> dict[str, Any]:
    """Return all values that the template prints."""
    spec = job.spec
    made = {which: [m for m in job.inputs if m.record["stage"] == which] for which in STAGES_READ}
    tables = {manifest.id: manifest for manifest in made["table"]}
    rows = {name: read_table(tables[name]) for name in TABLES}
    figures = made["figure"]
    analysed = {manifest.id: manifest for manifest in made["confidence"]}
    analyses = [analysed[name] for name in spec["settings"]]
    found, missing = walk(job.inputs, Path())
    records = [manifest.record for manifest in found]
    held = claims(rows["claims"], rows["summary"])
    every = [row for claim in held for row in claim.rows]
    groups = gallery(figures, CAPTIONS, job.store)
    return {
        "spec": spec,
        "claims": held,
        "sentences": sentences(rows["summary"])[:SENTENCES],
        "splits": SPLITS,
        "readings": READINGS,
        "in_words": IN_WORDS,
        "one_seed": list(dict.fromkeys(row.setting for row in every if row.seeds == 1)),
        "two_seeds": TWO_SEEDS if any(row.seeds == 2 for row in every) else "",
        "lead": next((group for group in groups if group.kind == LEAD), None),
        "figures": [group for group in groups if group.kind != LEAD],
        "accuracies": accuracies(rows["accuracy"], spec["settings"]),
        "settings": [(manifest.id, manifest.spec["about"]) for manifest in analyses],
        "resamples": sorted({m.spec["analysis"]["resamples"] for m in analyses}),
        "makes": STAGES,
        "stages": by_stage(found),
        "total": add_up("total", records),
        "elapsed": elapsed(records),
        "machines": by_machine(found),
        "study_file": study_file(job),
        "versions": versions(found),
        "missing": missing,
        "explorers": [next(iter(manifest.record["files"])) for manifest in made["explorer"]],
        "tables": [relative(manifest.file(), job.store) for manifest in made["table"]],
        "fewest": FEWEST_TEST_EXAMPLES,
        "level": f"{LEVEL:.0%}".replace("%", "\u00a0%"),
    }


def study_file(job: "Job") -> tuple[str, str, str] | None:
    """Return the study file's name, address and text; None if the job has no study file.

    The page contains the text, so it stays complete if the file changes or moves.
    """
    path = job.study_file
    if path is None:
        return None
    try:
        return path.name, relative(path, job.store), path.read_text(encoding="utf-8")
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
