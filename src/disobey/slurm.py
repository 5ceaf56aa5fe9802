"""What is asked of SLURM itself: to cancel jobs that were left to it, and to start one again."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Snakemake calls all jobs of a run by the run's random number, perhaps after a prefix.
NAME_OF_A_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def cancel_left_jobs(folder: Path) -> None:
    """Cancel this user's jobs of ``folder``, running or not, that a Snakemake submitted; say which.

    Call it only while the lease shows that no other Snakemake works there. One that still waits
    in the queue would, when its turn comes, delete and make again what this run has made by then.
    """
    try:
        listed = _output("squeue", "--me", "--noheader", "--format", "%i|%j|%Z")
    except (OSError, subprocess.SubprocessError) as error:
        print(f"disobey: jobs left in the queue are not looked for ({error})", file=sys.stderr)
        return
    # A banner, or the name of a cluster, has no such columns.
    jobs = [line.split("|", 2) for line in listed.splitlines() if line.count("|") >= 2]
    left = [
        job for job, name, place in jobs if NAME_OF_A_RUN.search(name) and Path(place) == folder
    ]
    if left:
        print(
            f"disobey: cancelling SLURM jobs {', '.join(left)} that an earlier run left; "
            f"training saves its state",
            file=sys.stderr,
        )
        cancel(left)


def cancel(jobs: Sequence[str]) -> None:
    """Call ``scancel``; where that fails say so, since whoever needs the jobs gone waits for it."""
    try:
        _output("scancel", *jobs)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"scancel failed ({error}); waiting for the job to end by itself", file=sys.stderr)


def start_again() -> bool:
    """Let SLURM put the job of this process back into its queue; return whether it does.

    The job keeps its number, so that the Snakemake that submitted it goes on waiting for it and
    counts no failure. Only a job that Snakemake submitted is put back.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return False
    try:  # by squeue: SLURM_JOB_NAME is the name of a step there
        name = _output("squeue", "--jobs", job, "--noheader", "--format", "%j").strip()
        if not NAME_OF_A_RUN.search(name):
            return False
        _output("scontrol", "requeue", job)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"scontrol requeue failed ({error})", file=sys.stderr)
        return False
    print(f"SLURM starts job {job} again; it goes on from the saved state", file=sys.stderr)
    return True


def _output(*words: str) -> str:
    return subprocess.run(
        words, check=True, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ).stdout
