"""Inputs and parameters of Snakemake's rules, taken from the plan by wildcards.

The Snakefile calls `open_workflow` once; rules hand `Jobs.inputs`, `Jobs.spec` and `Jobs.code` to
Snakemake as functions of wildcards.
"""

import functools
import glob
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from disobey.cluster import SECONDS_TO_START, groups_of, manifests_to_make, run_groups
from disobey.errors import UserError, missing, nearest
from disobey.gpus import NVIDIA, PLACES, Listing, listing
from disobey.lease import looking_around, work_alone
from disobey.progress import Durations, ProgressLine
from disobey.stores.manifest import remove_broken_manifests
from disobey.study.jobs import Name, Plan, PlannedJob
from disobey.study.loader import load_study
from disobey.study.models import Study
from disobey.study.plan import make_plan
from disobey.study.resources import (
    DECODERS,
    LONGEST_MINUTES,
    RUN_A_MODEL,
    Need,
    minutes_for,
    need_of,
)
from disobey.study.staleness import CodeDigests, Manifests, stale_by_themselves

ByWildcards = Callable[[Any], Any]
ByAttempt = Callable[[Any, int], int]

LONGEST = "longest_runtime"  # key in the default-resources of a site profile
DEFAULT_STUDY = "config.yaml"
REASONS = 5  # most lines printed on why finished jobs run again
# Starts several processes on this machine, which connect through localhost, since the machine's
# name may not resolve. All print to the log, so torchrun needs no log folder, which it would leave
# behind in the temporary folder.
TORCHRUN = (
    "-m torch.distributed.run --standalone --local-addr localhost --log-dir /dev/null"
    " --nproc-per-node {processes}"
)
# Makes torchrun forward SIGUSR1, which SLURM sends before a time limit, to them like SIGTERM. An
# environment variable, since older versions of torch refuse the option --signals-to-handle.
OF_TORCHRUN = {"PET_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"}


class Jobs:
    """The plan of a study, in the form that rules need.

    Rules take ``python``, the interpreter of all jobs, as a resource, so that another virtual
    environment makes nothing stale. ``gpu`` is 1 if models run on a GPU, and ``longest`` is the
    largest time limit in minutes. On a cluster, where small jobs are grouped, ``to_make`` returns
    the manifests that this call of Snakemake makes.

    Attributes
    ----------
    processes, launcher : int, str
        Number of processes of a training, one per GPU, and the command that starts several.
    cards : Listing or None
        The GPUs of this machine, once `count_cards` has counted them; None on a cluster.
    """

    def __init__(
        self,
        study: Study,
        plan: Plan,
        python: str,
        gpu: int = 0,
        study_file: Path = Path(DEFAULT_STUDY),
        longest: int = LONGEST_MINUTES,
        to_make: Callable[[], set[str]] | None = None,
    ) -> None:
        self.study, self.plan, self.study_file = study, plan, study_file
        self.python, self.gpu, self.longest = python, gpu, longest
        self.processes = max(1, gpu * study.gpus)
        self.launcher = TORCHRUN.format(processes=self.processes) if self.processes > 1 else ""
        self.cards: Listing | None = None
        self._to_make = to_make
        self._durations = Durations(plan, "cuda" if gpu else "cpu")
        self._digests = CodeDigests()
        self._need = functools.cache(self._estimated_need)

    def stale(self) -> dict[str, list[str]]:
        """The reasons why finished jobs are stale, by manifest, regardless of upstream jobs."""
        manifests = Manifests()
        reasons = stale_by_themselves(self.plan, self._digests, manifests)
        found = ((self.plan.jobs[name].manifest, words) for name, words in reasons.items())
        return {path: words for path, words in found if manifests.get(path) is not None}

    # --- inputs and specs of jobs -----------------------------------------------------------

    def inputs(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's upstream manifests."""
        return lambda wildcards: list(self._job(stage, wildcards).inputs)

    def spec(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's spec: canonical JSON, one string."""
        return lambda wildcards: self._job(stage, wildcards).spec

    def code(self, stage: str) -> ByWildcards:
        """Return the function that gives the digest of the code that a job depends on."""
        return lambda wildcards: self._digests.of(self._job(stage, wildcards))

    def labels(self, wildcards: Iterable[str]) -> dict[str, str]:
        """Return a figure's labels in Snakemake's report: its kind and its setting."""
        kind = json.loads(self._job("figure", wildcards).spec)["figure"]
        _, name = wildcards
        shown = name.removeprefix(kind).removeprefix("-")
        return {"kind": kind, "setting": shown or "all"}

    def files(self, wildcards: Iterable[str]) -> str:
        """Return the paths of the user's files of a data store, as JSON.

        They are a resource, since moving files must make nothing stale; the spec has their content.
        Label stores return the files of their data, since all resources of a group must be equal.
        """
        key = "/".join(wildcards)
        if ("labels", key) in self.plan.jobs:
            key = json.loads(self.plan.jobs["labels", key].spec)["data"]
        return json.dumps(self.plan.files.get(key, {}))

    def source(self, wildcards: Iterable[str]) -> str:
        """Return the source of a job's checkpoint: a folder, or a name on the hub."""
        return str(self.plan.source_of("/".join(wildcards)))

    # --- resources of jobs ------------------------------------------------------------------

    def threads(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's threads: one per process, more to decode."""
        processes = self.processes if stage == "train" else 1

        def count(wildcards: Iterable[str]) -> int:
            data = json.loads(self._job(stage, wildcards).spec)["data"]
            return processes * (DECODERS if self.plan.sizes[data].encoded else 1)

        return count

    def gpus(self, stage: str) -> ByWildcards:
        """Return the function that gives a job's GPUs.

        On a cluster the unit is a whole GPU; on this machine it is a place, `PLACES` per GPU.
        """
        whole = self.gpu * (self.processes if stage == "train" else 1)

        def count(wildcards: Iterable[str]) -> int:
            if self.cards is None:
                return whole
            sharing = 1
            if whole == 1 and self.cards.shareable:
                need = self._need(self._job(stage, wildcards))
                sharing = self.study.jobs_per_gpu or need.sharing(self.cards.memory_mb)
            return PLACES * whole // sharing

        return count

    def memory(self, stage: str) -> ByAttempt:
        """Return the function that gives a job's memory in MB, more with each attempt."""
        return lambda wildcards, attempt: (
            attempt * self._need(self._job(stage, wildcards)).memory_mb
        )

    def runtime(self, stage: str) -> ByAttempt:
        """Return the function that gives a job's time limit in minutes.

        It grows with each attempt up to the site's limit. Snakemake adds up the times of a group's
        members, so the first member to run requests the time of all, and the others none.
        """

        def minutes(wildcards: Iterable[str], attempt: int) -> int:
            job = self._job(stage, wildcards)
            name, asked = (stage, job.key), self._need(job).minutes
            members = self._by_group.get(self.groups.get(name, ""), [])
            if name in members:
                if members[0] != name:
                    return 0
                needs = [self._need(self.plan.jobs[member]) for member in members]
                asked = minutes_for(sum(need.seconds + SECONDS_TO_START for need in needs))
            return min(self.longest, attempt * asked)

        return minutes

    # --- groups on a cluster ----------------------------------------------------------------

    @functools.cached_property
    def groups(self) -> dict[Name, str]:
        """The groups of jobs that a cluster runs as one job; empty elsewhere."""
        if self._to_make is None:
            return {}

        def seconds(stage: str, key: str) -> float:  # not from measurements: groups stay stable
            gpu, processes = bool(self.gpu), self.processes
            return need_of(self.plan, stage, key, gpu=gpu, processes=processes).seconds

        return groups_of(self.plan, seconds)

    @property
    def turn(self) -> int | None:
        """The share of a group's "turn" resource that a member takes, 1; None without groups."""
        return None if self._to_make is None else 1

    def group(self, stage: str) -> ByWildcards | None:
        """Return the function that gives a job's group; None where jobs are not grouped."""
        if self._to_make is None:
            return None
        return lambda wildcards: self.groups.get((stage, "/".join(wildcards)))

    @functools.cached_property
    def _by_group(self) -> dict[str, list[Name]]:
        """The jobs of each group that this call of Snakemake runs."""
        to_make = set() if self._to_make is None else self._to_make()
        found: dict[str, list[Name]] = {}
        for name, group in self.groups.items():
            if self.plan.jobs[name].manifest in to_make:
                found.setdefault(group, []).append(name)
        return found

    def _estimated_need(self, job: PlannedJob) -> Need:
        return need_of(
            self.plan,
            job.stage,
            job.key,
            gpu=bool(self.gpu),
            processes=self.processes,
            longest=self.longest,
            measured=self._durations.of(job) if job.stage == "train" else None,
        )

    def _job(self, stage: str, wildcards: Iterable[str]) -> PlannedJob:
        key = "/".join(wildcards)  # in the order of the output's pattern
        try:
            return self.plan.jobs[stage, key]
        except KeyError:
            known = [other for kind, other in self.plan.jobs if kind == stage]
            raise UserError(
                f"study '{self.plan.study}' has no {stage} job '{key}'; {nearest(key, known, 0)}"
            ) from None


def open_workflow(workflow: Any, config: Mapping[str, Any]) -> Jobs:
    """Load the study, plan its jobs, tidy up and keep other runs out of the folder.

    The Snakefile calls it with its ``workflow`` and ``config``. Snakemake reads the Snakefile of a
    module once for each ``use rule``, and all calls but the first return the jobs of the first. A
    user's mistake becomes a WorkflowError, which Snakemake prints without a traceback.
    """
    from snakemake.exceptions import WorkflowError

    try:
        study_file = study_file_of(workflow, config)
        opened: dict[Path, Jobs] = workflow.__dict__.setdefault("disobey", {})
        if study_file in opened:
            return opened[study_file]
        if opened:
            (other,) = opened
            raise UserError(f"{study_file}: a workflow runs one study, and {other} is it")
        jobs = _jobs_of(workflow, study_file)
    except UserError as error:
        raise WorkflowError(f"the study file cannot be used.\n{error}") from None
    _prepare_children(workflow)
    if jobs.groups:
        run_groups(workflow, jobs.groups)
    if workflow.is_main_process:
        with looking_around() as nobody_works:
            for line in remove_broken_manifests(jobs.plan.manifests()) if nobody_works else ():
                print(f"disobey: will be made again: {line}", file=sys.stderr)
        _rerun_stale(workflow, jobs, alone=not _is_module(workflow))
        _tell_progress(workflow, jobs.plan)
        work_alone(workflow, jobs.plan.manifests())
    opened[study_file] = jobs
    return jobs


def _jobs_of(workflow: Any, study_file: Path) -> Jobs:
    """Return the jobs of a study, after checking that they can run here."""
    study, on_cluster = load_study(study_file), _on_cluster(workflow)
    gpu = gpus_of_a_job(study.device, on_cluster=on_cluster)
    python, longest = _python(workflow), longest_minutes(workflow)
    to_make = functools.partial(manifests_to_make, workflow) if on_cluster else None
    plan = make_plan(study)
    if workflow.check_envvars:  # False for --lint, which the workflow catalog runs without torch
        check_installed(plan)
    jobs = Jobs(study, plan, python, gpu, study_file, longest, to_make)
    count_cards(workflow, jobs)
    return jobs


def _rerun_stale(workflow: Any, jobs: Jobs, *, alone: bool) -> None:
    """Let Snakemake rerun exactly those finished jobs whose manifests show that they are stale.

    Its own triggers are off, because its records below ``.snakemake`` are not copied with results
    and do not contain accepted changes. They stay on if this workflow is not ``alone`` but a module
    of another workflow, whose rules need them. Jobs are forced when the graph of jobs is built,
    after the Snakefile has been read.
    """
    make_graph = workflow._prepare_dag

    @functools.wraps(make_graph)
    def make_graph_with_stale(*rest: Any, **named: Any) -> None:
        make_graph(*rest, **named)
        if alone:
            workflow.dag_settings.rerun_triggers = frozenset()
        stale = jobs.stale()
        workflow.dag.forcefiles.update(stale)
        for line in _reasons(stale.values()):
            print(f"disobey: {line}", file=sys.stderr)

    workflow._prepare_dag = make_graph_with_stale


def _reasons(stale: Iterable[list[str]]) -> list[str]:
    """Return a line for each reason why finished jobs run again, most frequent first."""
    counts = Counter(words[0] for words in stale)
    lines = [
        f"{count} finished {'job runs' if count == 1 else 'jobs run'} again: {reason}"
        for reason, count in counts.most_common(REASONS)
    ]
    rest = counts.total() - sum(count for _, count in counts.most_common(REASONS))
    return [*lines, f"{rest} more; `make why` lists all"] if rest else lines


def _tell_progress(workflow: Any, plan: Plan) -> None:
    """Print the time left while ``workflow`` runs, unless ``--quiet`` hides the progress."""
    from snakemake.logging import is_quiet_about, logger

    execute = workflow.execute

    @functools.wraps(execute)
    def execute_and_tell(executor_plugin: Any, *rest: Any, **named: Any) -> Any:
        settings = executor_plugin.common_settings
        quiet = workflow.output_settings.quiet or ()
        if settings.dryrun_exec or is_quiet_about(quiet, "progress"):
            return execute(executor_plugin, *rest, **named)

        to_make = functools.partial(manifests_to_make, workflow, left=True)
        line = ProgressLine(plan, to_make, local=settings.local_exec)
        logger.addHandler(line)
        try:
            return execute(executor_plugin, *rest, **named)
        finally:
            logger.removeHandler(line)

    workflow.execute = execute_and_tell


def _python(workflow: Any) -> str:
    """Return the path of this interpreter, or ``python`` if Snakemake deploys conda."""
    methods = {str(method).rpartition(".")[2].lower() for method in
               workflow.deployment_settings.deployment_method}  # fmt: skip
    return "python" if "conda" in methods else sys.executable


def longest_minutes(workflow: Any) -> int:
    """Return the largest time limit in minutes that the site's profile allows."""
    given = dict(workflow.resource_settings.default_resources or {})
    if LONGEST not in given:
        return LONGEST_MINUTES
    resource = given[LONGEST]
    text = str(resource.raw if resource.is_evaluable() else resource.value)
    if not text.isdecimal() or int(text) < 1:
        raise UserError(
            f"{LONGEST}: {text} among the profile's default-resources: is not a number of minutes; "
            f"write {LONGEST}: 720 for twelve hours"
        )
    return int(text)


def gpus_of_a_job(device: str, *, on_cluster: bool) -> int:
    """Return the number of GPUs of a job that runs a model.

    With ``auto`` it is one on a cluster, since the submitting machine does not know the nodes. On
    this machine it is one only if there is a GPU, so that a cap on GPUs never delays jobs on the
    CPU.
    """
    if device == "auto":
        return int(on_cluster or _sees_gpu())
    return int(device == "cuda")


def check_gpus(wanted: int, seen: int | None) -> None:
    """Refuse a training on more GPUs than this machine has, if that number is known."""
    if wanted > 1 and seen is not None and seen < wanted:
        raise UserError(
            f"gpus: {wanted}, but a job sees {seen} here; write gpus: {max(1, seen)}, let it see "
            f"more (CUDA_VISIBLE_DEVICES), or submit the jobs to a cluster"
        )


def count_cards(workflow: Any, jobs: Jobs) -> None:
    """Limit the jobs that Snakemake runs on GPUs to the places on this machine's GPUs.

    ``--resources gpu=N`` lets it use N GPUs; otherwise all are used. A cluster counts its own.
    Sharing a GPU is refused if the driver allows only one process per GPU.
    """
    if not jobs.gpu or _on_cluster(workflow):
        return
    jobs.cards = listing()
    check_gpus(jobs.study.gpus, jobs.cards.count)
    if (jobs.study.jobs_per_gpu or 1) > 1 and not jobs.cards.shareable:
        raise UserError(
            f"jobs_per_gpu: {jobs.study.jobs_per_gpu}, but the driver gives a GPU to one process "
            f"(compute mode Exclusive_Process); start NVIDIA's MPS, or write jobs_per_gpu: 1"
        )
    # If only torch could determine the number, as many as one training takes.
    seen = jobs.cards.count or jobs.processes
    given = workflow.global_resources.get("gpu")
    if given.raw is None:
        used = seen
    elif isinstance(given.raw, int) and 1 <= given.raw <= (jobs.cards.count or given.raw):
        used = given.raw
    else:
        raise UserError(
            f"--resources gpu={given.raw}: this machine shows {seen} GPUs; write gpu={seen}, or "
            f"leave it out, since they are counted"
        )
    if used < jobs.processes:  # Snakemake would start it nevertheless
        raise UserError(
            f"gpus: {jobs.processes}, but --resources gpu={used} lets a training use {used}; write "
            f"gpus: {used}, or a larger gpu="
        )
    workflow.register_resource("gpu", PLACES * used)


def _sees_gpu() -> bool:
    """Return whether this machine has a GPU, without importing torch."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return False
    # NVIDIA's, AMD's, and the device of the Windows Subsystem for Linux
    return any(map(glob.glob, (NVIDIA, "/dev/kfd", "/dev/dxg")))


def _on_cluster(workflow: Any) -> bool:
    """Return whether jobs run on a cluster, the only case in which Snakemake counts nodes."""
    return workflow.remote_exec or workflow.resource_settings.nodes is not None


def _prepare_children(workflow: Any) -> None:
    """Let jobs import this package, but nothing from their folder; turn HDF5's locks off."""
    if workflow.remote_exec:
        os.environ["HF_HUB_OFFLINE"] = "1"
        _outlive_signals()
    os.environ.update(OF_TORCHRUN)
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    os.environ["PYTHONSAFEPATH"] = "1"  # otherwise a user's datasets.py would hide the library
    source = Path(__file__).parents[1]
    if source.name == "src":  # a checkout; an installed package is found without it
        paths = [str(source), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def _outlive_signals() -> None:
    """Let a training save its state when SLURM signals its job.

    The signal reaches all processes of the job. The Snakemake and the shell around a training must
    survive it, because the training is killed when they end.
    """
    from snakemake.shell import shell

    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # before the time limit; children inherit this
    shell.prefix("set -euo pipefail; trap : TERM; ")  # sent at the time limit and by scancel


def check_installed(plan: Plan) -> None:
    """Refuse a plan whose jobs need packages that are not installed."""
    stages = {stage for stage, _ in plan.jobs}
    packages = ["docutils"] if "report" in stages else []
    packages += ["torch"] if stages & set(RUN_A_MODEL) else []
    packages += ["transformers"] if plan.pretrained or plan.classifiers else []
    if lacking := missing(*packages):
        raise UserError("\n".join(lacking))


def _is_module(workflow: Any) -> bool:
    """Return whether another workflow's Snakefile uses this Snakefile as a ``module``."""
    return not workflow.modifier.is_main_snakefile()


def default_study(workflow: Any) -> str:
    """Return the study file of this folder, or else the one beside the Snakefile."""
    if Path(DEFAULT_STUDY).exists():
        return DEFAULT_STUDY
    return str(workflow.current_basedir.join(DEFAULT_STUDY).get_path_or_uri(secret_free=False))


def study_file_of(workflow: Any, config: Mapping[str, Any]) -> Path:
    """Return the only study file; several are refused, since Snakemake would silently merge them.

    If this workflow is a module, ``config`` comes from the ``module`` statement: it is
    ``{"study_file": PATH}``, or the unchanged content of that workflow's only config file.
    """
    files = list(workflow.config_settings.configfiles or workflow.configfiles)
    if not _is_module(workflow):
        if workflow.config_settings.config:
            keys = ", ".join(workflow.config_settings.config)
            raise UserError(
                f"--config {keys}: a study is one file; copy config.yaml, change it there and call "
                f"snakemake --configfile YOUR.yaml"
            )
    elif set(config) == {"study_file"}:
        return Path(config["study_file"])
    elif len(files) != 1 or not _holds(files[0], config):
        raise UserError(
            "a module's study is one file, with its lines; write in the module statement "
            'config: {"study_file": "my-study.yaml"}, or pass the one config file as it is'
        )
    if len(files) > 1:
        raise UserError(
            f"--configfile {' '.join(map(str, files))}: a study is one file; name one of them"
        )
    return Path(files[0])


def _holds(file: Path | str, config: Mapping[str, Any]) -> bool:
    """Return whether a config file, read as by Snakemake, has the content ``config``."""
    from snakemake.common.configfile import load_configfile

    return bool(load_configfile(file) == config)
