"""Which jobs belong to which setting and column of the table. Pure."""

from collections.abc import Iterator

from disobey.stores.layout import BESIDE, snapshot_of
from disobey.study.jobs import Plan, PlannedJob

# The columns of a setting, and the rows of what is made for the whole study.
COLUMNS = ("data", "teachers", "students", "logits", "views", "analysis")
OF_STUDY = {"table": "tables", "figure": "figures", "explorer": "explorer", "report": "report"}
OF_LOGITS = ("dump", "compared", "classify")
OF_DATA = ("prepare", "labels", "pretrained", "basis")

Name = tuple[str, str]


def jobs_of_settings(plan: Plan) -> dict[str, dict[str, list[Name]]]:
    """Return the jobs of each setting by column; one that several settings share is in each.

    The students' column holds references and placebos too; data stands for everything before a
    training: sources, noisy labels, checkpoints and eigendirections.
    """
    by_manifest = {job.manifest: name for name, job in plan.jobs.items()}
    return {setting: _of_setting(plan, setting, by_manifest) for setting in plan.settings}


def _of_setting(plan: Plan, setting: str, by_manifest: dict[str, Name]) -> dict[str, list[Name]]:
    runs = plan.settings[setting]
    trained = [run for run in runs.all() if ("train", run) in plan.jobs]  # not those of comparisons
    found: dict[str, list[Name]] = {column: [] for column in COLUMNS}
    found["teachers"] = [("train", run) for run in trained if run in runs.teachers]
    found["students"] = [("train", run) for run in trained if run not in runs.teachers]
    found["analysis"] = list(_analyses(plan, setting))
    read = {
        by_manifest[path]
        for name in found["analysis"] + found["students"]
        for path in plan.jobs[name].inputs
    }
    found["logits"] = [name for name in plan.jobs if name[0] in OF_LOGITS and name in read]
    found["views"] = [name for name in plan.jobs if name[0] == "views" and name in read]
    models = found["teachers"] + found["students"] + found["logits"]
    before = {name for run in models for name in _before(plan, plan.jobs[run], by_manifest)}
    found["data"] = [name for name in plan.jobs if name in before]
    return found


def _analyses(plan: Plan, setting: str) -> Iterator[Name]:
    """Yield the analyses of a setting and of its snapshots."""
    key = f"{plan.study}/{setting}"
    snapshot = f"{plan.study}/{snapshot_of(setting, 0)[:-1]}"
    for stage, name in plan.jobs:
        if stage in ("confidence", *BESIDE) and (name == key or name.startswith(snapshot)):
            yield stage, name


def _before(plan: Plan, job: PlannedJob, by_manifest: dict[str, Name]) -> Iterator[Name]:
    for path in job.inputs:
        name = by_manifest[path]
        if name[0] in OF_DATA:
            yield name
            yield from _before(plan, plan.jobs[name], by_manifest)
