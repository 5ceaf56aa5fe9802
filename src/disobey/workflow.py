"""The bridge between Snakemake and the plan: what a rule asks for, by the values of its wildcards.

The Snakefile calls `open_workflow` once; rules hand `Jobs.inputs`, `Jobs.spec` and `Jobs.code` to
Snakemake as functions of wildcards.
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from disobey.errors import UserError, nearest
from disobey.stores.manifest import remove_broken_manifests
from disobey.study.digests import CodeDigests
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
    python : str
        The interpreter of all jobs. Rules take it as a resource: the one thing that a shell line
        may name and whose change, say to another virtual environment, makes nothing stale.
    """

    def __init__(self, study: Study, plan: Plan, captions: Path, python: str) -> None:
        self.study = study
        self.plan = plan
        self.captions = captions
        self.python = python
        self._digests = CodeDigests(captions)

    def inputs(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's upstream manifests."""
        return lambda wildcards: list(self._job(stage, wildcards).inputs)

    def spec(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's spec: canonical JSON, one string."""
        return lambda wildcards: self._job(stage, wildcards).spec

    def code(self, stage: str) -> ByWildcards:
        """Return the function that gives the digest of the code that a job depends on."""
        return lambda wildcards: self._digests.of(self._job(stage, wildcards))

    def _job(self, stage: str, wildcards: Iterable[str]) -> PlannedJob:
        key = "/".join(wildcards)  # in the order of the output's pattern
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
        captions = Path(workflow.basedir) / "workflow" / "report"
        jobs = Jobs(study, make_plan(study), captions, _python(workflow))
    except UserError as error:
        raise WorkflowError(f"the study file cannot be used.\n{error}") from None
    _prepare_children(workflow)
    if workflow.is_main_process:
        for line in remove_broken_manifests(jobs.plan.manifests()):
            print(f"disobey: will be made again: {line}", file=sys.stderr)
    return jobs


def _python(workflow: Any) -> str:  # noqa: ANN401
    """Return this very interpreter, or the environment's own where Snakemake deploys conda."""
    methods = {str(method).rpartition(".")[2].lower() for method in
               workflow.deployment_settings.deployment_method}  # fmt: skip
    return "python" if "conda" in methods else sys.executable


def _prepare_children(workflow: Any) -> None:  # noqa: ANN401
    """Let jobs find this very package, and keep HDF5 from locking on cluster file systems."""
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    paths = [str(Path(workflow.basedir) / "src"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


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
