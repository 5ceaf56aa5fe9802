"""The bridge between Snakemake and the plan: what a rule asks for, by the values of its wildcards.

The Snakefile calls `open_workflow` once; rules hand `Jobs.inputs`, `Jobs.spec` and `Jobs.code` to
Snakemake as functions of wildcards.
"""

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from disobey.errors import UserError, nearest
from disobey.provenance import code_digest
from disobey.stores.manifest import remove_broken_manifests
from disobey.study.loader import load_study
from disobey.study.models import Study
from disobey.study.plan import Plan, PlannedJob, make_plan

ByWildcards = Callable[[Any], Any]


class Jobs:
    """The plan, in the form that rules need.

    Parameters
    ----------
    plan : Plan
        All jobs of the study.
    captions : Path
        The folder of the figures' captions.
    """

    def __init__(self, study: Study, plan: Plan, captions: Path) -> None:
        self.study = study
        self.plan = plan
        self.captions = captions

    def inputs(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's upstream manifests."""
        return lambda wildcards: list(self._job(stage, wildcards).inputs)

    def spec(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's spec: canonical JSON, one string."""
        return lambda wildcards: self._job(stage, wildcards).spec

    def code(self, stage: str) -> ByWildcards:
        """Return the function that gives the digest of the code that a job depends on."""
        return lambda wildcards: self.digest(self._job(stage, wildcards))

    def digest(self, job: PlannedJob) -> str:
        """Return the digest of the modules and texts that ``job`` depends on."""
        code = self._modules(job.modules)
        if not job.texts:
            return code
        texts = hashlib.sha256()
        for name in job.texts:
            texts.update((self.captions / f"{name}.rst").read_bytes())
        for template in sorted(Path(__file__).parent.glob("stages/*.jinja")):
            texts.update(template.read_bytes())
        return f"{code}+{texts.hexdigest()[:16]}"

    @functools.cached_property
    def _modules(self) -> Callable[[tuple[str, ...]], str]:
        return functools.cache(code_digest)

    def _job(self, stage: str, wildcards: Mapping[str, str]) -> PlannedJob:
        key = "/".join(wildcards.values())
        try:
            return self.plan.jobs[stage, key]
        except KeyError:
            known = [other for kind, other in self.plan.jobs if kind == stage]
            raise UserError(
                f"study '{self.plan.study}' has no {stage} job '{key}'; {nearest(key, known[:200])}"
            ) from None


def open_workflow(workflow: Any, default: str = "config.yaml") -> Jobs:  # noqa: ANN401
    """Load the study, plan its jobs and tidy up after broken stores.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        What a Snakefile knows as ``workflow``.
    default : str
        The study file where the command line names none.

    Raises
    ------
    snakemake.exceptions.WorkflowError
        With the user's mistake in words, so that Snakemake prints it without a traceback.
    """
    from snakemake.exceptions import WorkflowError

    try:
        study = load_study(_study_file(workflow, default))
        jobs = Jobs(study, make_plan(study), Path(workflow.basedir) / "workflow" / "report")
    except UserError as error:
        raise WorkflowError(f"the study file cannot be used.\n{error}") from None
    if workflow.is_main_process:
        for line in remove_broken_manifests(jobs.plan.manifests()):
            print(f"disobey: will be made again: {line}", file=sys.stderr)
    return jobs


def _study_file(workflow: Any, default: str) -> Path:  # noqa: ANN401
    """Return the one study file; Snakemake would merge several without a word."""
    if workflow.config_settings.config:
        keys = ", ".join(workflow.config_settings.config)
        raise UserError(
            f"--config {keys}: a study is one file; copy config.yaml, change it there and call "
            f"snakemake --configfile YOUR.yaml"
        )
    files = list(workflow.config_settings.configfiles or [])
    if len(files) > 1:
        raise UserError(
            f"--configfile {' '.join(map(str, files))}: a study is one file; name one of them"
        )
    return Path(files[0]) if files else Path(workflow.basedir) / default
