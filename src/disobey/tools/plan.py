"""``python -m disobey plan [STUDY]``: check a study file; list its runs, pairs and jobs."""

import json
import pdb
import sys
import traceback
from collections import Counter
from collections.abc import Sequence

from disobey.analysis.intervals import TWO_SEEDS
from disobey.errors import UserError, nearest
from disobey.stages.command import main as run_stage
from disobey.study.comparisons import ComparedCheckpoints, ComparedLogits
from disobey.study.jobs import Plan, PlannedJob
from disobey.study.loader import load_study
from disobey.study.models import Study, name_of
from disobey.study.plan import make_plan
from disobey.study.resources import RUN_A_MODEL, Need, need_of
from disobey.study.runs import seen_teacher
from disobey.study.staleness import CodeDigests
from disobey.tools import STUDY, argument_parser, tool, whole_number
from disobey.training.losses import DEFAULT, TEMPERATURE

LISTED = 10  # most names in an error


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the plan of a study file; return 2 if the file cannot be used."""
    parser = argument_parser("plan", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml", help=STUDY)
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    plan = make_plan(study)
    print(f"study {study.study}: seeds {', '.join(map(str, study.seeds))}")
    for name, runs in plan.settings.items():
        print(f"  {name}: {in_words(study, name)}")
        roles = {
            "teacher": runs.teachers, "reference": runs.references, "student": runs.students,
            **runs.placebos,
        }  # fmt: skip
        roles = {role: ids for role, ids in roles.items() if ids}  # comparisons may lack some roles
        width = max(map(len, roles))
        for role, ids in roles.items():
            print(f"    {role:<{width}} {'  '.join(ids)}")
    for stage, count in Counter(stage for stage, _ in plan.jobs).items():
        print(f"  {count:>5} {stage}")
    if study.device != "cpu":
        print(on_a_gpu(study, plan))
    if len(study.seeds) == 2:
        print(f"  warning: {TWO_SEEDS}")
    return 0


def on_a_gpu(study: Study, plan: Plan) -> str:
    """Return one line with the estimated use of a GPU by the jobs of a plan."""
    most: dict[str, Need] = {}
    for stage, key in plan.jobs:
        if stage in RUN_A_MODEL:
            need = need_of(plan, stage, key, gpu=True, processes=study.gpus)
            most[stage] = max(most.get(stage, need), need, key=lambda need: need.card_mb)
    parts = ", ".join(f"{stage} {need.card_mb / 1000:.1f} GB" for stage, need in most.items())
    return f"  memory of a GPU, if there is one, at the most and about: {parts}"


def in_words(study: Study, name: str) -> str:
    """Return a one-line description of a setting or a comparison."""
    if name in study.comparisons:
        return _compared(study.comparisons[name])
    setting = study.settings[name]
    distill, loss = setting.distill, setting.distill.registered
    words = [
        f"{name_of(setting.teacher)} -> {setting.student} on {setting.dataset}",
        *([] if loss.name == DEFAULT else [f"loss {distill.words}"]),
        *([f"T = {distill.softening:g}"] if TEMPERATURE in loss.parameters else []),
        f"weight = {distill.weight:g}",
    ]
    if distill.switch is not None:
        order = distill.switch.order.replace("_", " ")
        unit = distill.switch.unit or "learning rate"
        words.append(f"{order}, switch at {distill.switch.at:g} of the {unit}")
    if setting.student_share is not None:
        words.append(f"student and reference see {setting.student_share:g} of the examples")
    if setting.initialisation is not None:
        words.append("all start from the teacher's first weights")
    words += filter(None, [seen_teacher(study, setting).why])
    if setting.bias is not None:
        words.append(f"bias of {', '.join(setting.bias.layers)}")
    return ", ".join(words)


def _compared(comparison: ComparedLogits | ComparedCheckpoints) -> str:
    words = {"logits": "files of logits", "huggingface": "trained classifiers"}[comparison.source]
    if comparison.dataset is not None:
        words += f" on {comparison.dataset}"
    return words + (f", T = {comparison.temperature:g}" if comparison.temperature else "")


# --- run one job

RUN = """``python -m disobey run JOB``: run one job of a study in this process.

JOB is the job's name as printed by ``why``, or any part of it that no other job has. The job writes
the same files as under Snakemake, and the study continues from there. Its inputs must exist.
"""


@tool
def run_main(arguments: Sequence[str]) -> int:
    """Run the stage of a job; return its exit status, or 2 if the arguments cannot be used."""
    parser = argument_parser("run", RUN)
    parser.add_argument("job", nargs="+", help="part of the job's name, for example: train digits")
    parser.add_argument("--study", default="config.yaml", help=STUDY)
    parser.add_argument("--pdb", action="store_true", help="debug an exception where it is raised")
    parser.add_argument(
        "--threads", type=whole_number(1, 1024), default=1, help="threads of the job (default: 1)"
    )
    options = parser.parse_intermixed_args(arguments)
    study = load_study(options.study)
    plan = make_plan(study)
    job = find_job(plan, options.job)
    words = [
        *command(plan, job, CodeDigests()),
        *("--device", study.device, "--threads", str(options.threads)),
        *("--study-file", str(options.study)),
    ]
    try:
        return run_stage(job.stage, words)
    except Exception:
        if not options.pdb:
            raise
        traceback.print_exc()
        pdb.post_mortem(sys.exc_info()[2])
        return 1


def find_job(plan: Plan, parts: Sequence[str]) -> PlannedJob:
    """Return the only job of ``plan`` whose name contains all ``parts``, or raise UserError."""
    names = {" ".join(name): name for name in plan.jobs}
    whole = " ".join(parts)
    if whole in names:
        return plan.jobs[names[whole]]
    found = [name for name in names if all(part in name for part in parts)]
    if not found:
        hint = nearest(whole, names)
        if not hint.startswith("did you mean"):  # a study has hundreds of jobs
            hint = "`python -m disobey why` names the jobs that would run, `status --json` all"
        raise UserError(f"study '{plan.study}' has no job '{whole}'; {hint}")
    if len(found) > 1:
        more = f"\n  and {len(found) - LISTED} more" if len(found) > LISTED else ""
        listed = "".join(f"\n  {name}" for name in found[:LISTED])
        raise UserError(f"'{whole}' fits {len(found)} names; write more of one:{listed}{more}")
    return plan.jobs[names[found[0]]]


def command(plan: Plan, job: PlannedJob, digests: CodeDigests) -> list[str]:
    """Return the arguments of a job's command that do not depend on the machine."""
    words = ["--spec", job.spec, "--code", digests.of(job), "--output", job.manifest]
    words += ["--inputs", *job.inputs] if job.inputs else []
    if job.key in plan.files:
        words += ["--files", json.dumps(plan.files[job.key])]
    if job.key in plan.pretrained or job.key in plan.classifiers:
        words += ["--source", str(plan.source_of(job.key))]
    return words


# --- the schema

SCHEMA = "``python -m disobey schema``: print the JSON schema of study files, for editors."


def schema() -> str:
    """Return the JSON schema, generated from the pydantic models."""
    content = Study.model_json_schema()
    for table in content["properties"].values():
        if "patternProperties" in table:  # or entries with an invalid name would pass unchecked
            table["additionalProperties"] = False
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | content, indent=1) + "\n"


def schema_main(arguments: Sequence[str]) -> int:
    """Print the schema."""
    argument_parser("schema", SCHEMA).parse_args(arguments)
    print(schema(), end="")
    return 0
