"""Write the page of a study: verdicts, figures, tables and what they were made from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from disobey.analysis.intervals import LEVEL
from disobey.report.gallery import gallery
from disobey.report.history import by_stage, stage, versions, walk
from disobey.report.numbers import duration
from disobey.report.settings import settings
from disobey.report.verdicts import accuracies, claims, read_table
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from disobey.stages.command import Job

TEMPLATE = "report.html.jinja"
TABLES = ("summary", "claims", "accuracy")


def run(job: "Job") -> None:
    """Put the page together; it computes nothing, and needs neither network nor other files."""
    html = render(content(job))
    with job.write(job.store) as path:
        path.write_text(html, encoding="utf-8")


def content(job: "Job") -> dict[str, Any]:
    """Return all that the template prints."""
    spec = job.spec
    # By path: a table and a figure may have the same id, and of these job.inputs knows only one.
    tables = {name: _table(spec["study"], name) for name in TABLES}
    rows = {name: read_table(manifest) for name, manifest in tables.items()}
    figures = [m for m in job.inputs.values() if m.record["stage"] == "figure"]
    analyses = [job.input(name) for name in spec["settings"]]
    direct = {manifest.path: manifest for manifest in (*job.inputs.values(), *tables.values())}
    found, missing = walk(direct.values(), Path())
    held = claims(rows["claims"], rows["summary"])
    return {
        "spec": spec,
        "claims": held,
        "one_seed": [f.setting for f in held[0].findings if f.seeds == 1] if held else [],
        "figures": gallery(figures, job.captions, job.store),
        "accuracies": accuracies(rows["accuracy"], spec["settings"]),
        "settings": settings(analyses, found),
        "resamples": sorted({m.spec["analysis"]["resamples"] for m in analyses}),
        "stages": by_stage(found),
        "total": stage("total", [manifest.record for manifest in found]),
        "versions": versions(found),
        "missing": missing,
        "level": f"{LEVEL:.0%}".replace("%", "\u00a0%"),
    }


def _table(study: str, name: str) -> Manifest:
    return read_manifest(manifest_of(layout.TABLE.format(study=study, table=name)))


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
