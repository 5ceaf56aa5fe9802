"""Jobs that a killed Snakemake left to SLURM."""

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
    jobs = [line.split("|", 2) for line in listed.splitlines()]
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


def _output(*words: str) -> str:
    return subprocess.run(
        words, check=True, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ).stdout
