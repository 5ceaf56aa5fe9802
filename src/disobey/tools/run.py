"""``python -m disobey run JOB``: run one job of a study in this process.

The job is looked up by its name as ``why`` prints it, or by any part of it that no other job has.
It writes what Snakemake would make it write, so the study goes on from there; what it reads must
have been made.
"""

import json
import pdb
import sys
import traceback
from collections.abc import Sequence

from disobey.errors import UserError, nearest
from disobey.stages.command import main as run_stage
from disobey.study.jobs import Plan, PlannedJob
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests
from disobey.tools import argument_parser, tool

SHOWN = 10  # names in an error


@tool
def main(arguments: Sequence[str]) -> int:
    """Run the stage of a job; return its exit status, 2 where the call cannot be used."""
    parser = argument_parser("run", __doc__)
    parser.add_argument("job", nargs="+", help="part of the job's name, for example: train digits")
    parser.add_argument("--study", default="config.yaml", help="the study file")
    parser.add_argument("--pdb", action="store_true", help="debug where an exception is raised")
    parser.add_argument("--threads", type=int, default=1)
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
    """Return the one job of ``plan`` whose name holds all ``parts``, or raise UserError."""
    names = {" ".join(name): name for name in plan.jobs}
    whole = " ".join(parts)
    if whole in names:
        return plan.jobs[names[whole]]
    found = [name for name in names if all(part in name for part in parts)]
    if not found:
        raise UserError(f"study '{plan.study}' has no job '{whole}'; {nearest(whole, list(names))}")
    if len(found) > 1:
        more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        listed = "".join(f"\n  {name}" for name in found[:SHOWN])
        raise UserError(
            f"'{whole}' is part of {len(found)} names; write more of one:{listed}{more}"
        )
    return plan.jobs[names[found[0]]]


def command(plan: Plan, job: PlannedJob, digests: CodeDigests) -> list[str]:
    """Return the words of a job's command that do not depend on the machine."""
    words = ["--spec", job.spec, "--code", digests.of(job), "--output", job.manifest]
    words += ["--inputs", *job.inputs] if job.inputs else []
    if job.key in plan.files:
        words += ["--files", json.dumps(plan.files[job.key])]
    if job.key in plan.pretrained or job.key in plan.classifiers:
        words += ["--source", str(plan.source_of(job.key))]
    return words
