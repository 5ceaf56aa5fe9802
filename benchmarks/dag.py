"""(g): time that Snakemake takes to plan a study, as its number of jobs grows.

    python -m benchmarks.dag [jobs ...]

``snakemake --dry-run`` on generated studies in an empty folder: reading the study, planning,
building the graph of jobs and printing it. A study has three seeds and settings at eight
temperatures for each learning rate, so that teachers and references are shared as in a real sweep.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

JOBS = (100, 300, 1_000, 3_000, 10_000)
TEMPERATURES = 8
ENOUGH = 1_000  # jobs to estimate how seconds grow
REPOSITORY = Path(__file__).parents[1]

HEAD = """study: generated
seeds: [0, 1, 2]
datasets:
  mnist: {source: builtin, name: mnist5k, label_noise: {rate: 0.2, seed: 7}}
models:
  mlp: {family: mlp, hidden: [256]}
analysis: {resamples: 1000, seed: 0}
"""
RECIPE = "  recipe-{k}: {{optimizer: sgd, lr: {lr:.6g}, batch: 128, epochs: 20, schedule: cosine}}"
SETTING = (
    "  setting-{i}: {{dataset: mnist, teacher: mlp, student: mlp, recipe: recipe-{k},"
    " distill: {{temperature: {temperature}}}}}"
)


def study_text(settings: int) -> str:
    """Return the text of a study file with this number of settings."""
    recipes = -(-settings // TEMPERATURES)
    lines = [RECIPE.format(k=k, lr=0.01 * (1 + k / recipes)) for k in range(recipes)]
    lines.append("settings:")
    for i in range(settings):
        k, place = divmod(i, TEMPERATURES)
        lines.append(SETTING.format(i=i, k=k, temperature=1 + place))
    return "\n".join([HEAD + "recipes:", *lines]) + "\n"


def number_of_jobs(path: Path, settings: int) -> int:
    """Write a study with this number of settings; return its number of jobs in the plan."""
    path.write_text(study_text(settings))
    return len(make_plan(load_study(path)).jobs)


def write_study(path: Path, jobs: int) -> int:
    """Write a study of at least ``jobs`` jobs, and few more; return its number of jobs."""
    one, two = (number_of_jobs(path, TEMPERATURES * recipes) for recipes in (1, 2))
    settings = max(1, TEMPERATURES * (jobs - one) // (two - one))
    while number_of_jobs(path, settings) < jobs:
        settings += 1
    return number_of_jobs(path, settings)


def dry_run(study: Path) -> tuple[float, float]:
    """Return wall and user CPU seconds of Snakemake's dry run in the study's folder."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(study.parent), "--configfile", str(study), "--cores", "2", "--dry-run",
    ]  # fmt: skip
    # The SLURM plugin contacts SLURM at every start, and waits ten seconds if it is down.
    no_slurm = study.parent / "bin" / "scontrol"
    no_slurm.parent.mkdir()
    no_slurm.write_text("#!/bin/sh\nexit 1\n")
    no_slurm.chmod(0o755)
    path = os.pathsep.join([str(no_slurm.parent), os.environ["PATH"]])
    before = os.times()
    with open(study.with_suffix(".log"), "w") as log:
        subprocess.run(
            command, check=True, stdout=log, stderr=log, cwd=study.parent,
            env=os.environ | {"PATH": path},
        )  # fmt: skip
    after = os.times()
    return after.elapsed - before.elapsed, after.children_user - before.children_user


def exponent(rows: Sequence[Mapping[str, float]]) -> float:
    """Return p of seconds ~ jobs^p by least squares, for the seconds beyond the smallest study.

    The smallest study measures Snakemake's start, which does not grow. Studies of few jobs take
    hardly longer and are left out if there are larger ones. p = 1 is linear. Seconds are user CPU
    time, which other processes of the machine disturb least.
    """
    first, *others = rows
    larger = [row for row in others if row["jobs"] >= ENOUGH]
    others = larger if len(larger) > 1 else others
    jobs = [np.log(row["jobs"] - first["jobs"]) for row in others]
    seconds = [np.log(max(row["user s"] - first["user s"], 1e-3)) for row in others]
    return float(np.polyfit(jobs, seconds, 1)[0])


def main(numbers: Sequence[int]) -> None:
    """Print one table: a row per study."""
    rows = []
    for wanted in numbers:
        with tempfile.TemporaryDirectory() as folder:
            study = Path(folder) / "study.yaml"
            jobs = write_study(study, wanted)
            wall, user = dry_run(study)
        rows.append(
            {"jobs": jobs, "wall s": wall, "user s": user, "wall ms per job": 1000 * wall / jobs}
        )
    growth = exponent(rows)
    title = f"snakemake --dry-run of generated studies; user s grow as jobs to the {growth:.2f}"
    report("dag", title, rows, exponent=growth)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]] or JOBS)
