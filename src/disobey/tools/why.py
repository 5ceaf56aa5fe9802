"""``python -m disobey why [STUDY]``: list the jobs that would run now, with reasons."""

import contextlib
import getpass
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from disobey import provenance
from disobey.errors import UserError
from disobey.lease import looking_around
from disobey.stores.layout import ROOT
from disobey.stores.manifest import Manifest, manifest_for, upstream, write_manifest
from disobey.study.jobs import Name, Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, Manifests, stale_by_code, why
from disobey.tools import STUDY, argument_parser, tool

# Most reasons printed per job: a report has an input for each table, figure and analysis.
SHOWN = 5


@tool
def main(arguments: Sequence[str]) -> int:
    """Print one line per stale job; return 2 if the study file cannot be used."""
    parser = argument_parser("why", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml", help=STUDY)
    parser.add_argument("--strict", action="store_true", help="ignore accepted edits of the code")
    options = parser.parse_args(arguments)
    plan = make_plan(load_study(options.study))
    reasons = why(plan, CodeDigests(), strict=options.strict)
    for (stage, key), words in reasons.items():
        more = f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        print(f"{stage} {key}: {'; '.join(words[:SHOWN])}{more}")
    print(f"{len(reasons)} of {len(plan.jobs)} jobs would run" if reasons else "nothing to be done")
    return 0


ACCEPT = """\
``python -m disobey accept STUDY [JOB ...]``: record that an edit of the code changes no number.

The command lists the finished jobs whose code has changed. After confirmation it writes today's
digest into their manifests, so that they do not run again. A manifest records who accepted the
edit, when, at which commit, and the previous digest; ``explain`` shows this record, and
``why --strict`` ignores it.
"""


@tool
def accept_main(arguments: Sequence[str]) -> int:
    """List stale jobs, ask, and accept their code; return 1 after a no, 2 after a mistake."""
    parser = argument_parser("accept", ACCEPT)
    parser.add_argument("study", help="the study file")
    parser.add_argument(
        "job", nargs="*", help="part of a job's name as printed by why (default: all jobs)"
    )
    parser.add_argument("--yes", action="store_true", help="accept without asking")
    options = parser.parse_intermixed_args(arguments)
    plan = make_plan(load_study(options.study))
    digests, manifests = CodeDigests(), Manifests()
    with looking_around() as nobody_works:
        if not nobody_works:
            raise UserError("another snakemake works in this folder; wait until it has finished")
        stale = _chosen(stale_by_code(plan, digests, manifests), options.job)
        if not stale:
            print("no finished job is stale for its code alone; nothing to accept")
            return 0
        print("\n".join(_listed(stale)))
        if not options.yes and not _agreed(len(stale)):
            print("nothing was accepted")
            return 1
        accept(plan, stale, digests, manifests)
    print(f"accepted {len(stale)} jobs")
    return 0


def accept(plan: Plan, names: Iterable[Name], digests: CodeDigests, manifests: Manifests) -> None:
    """Record the digests of the current code in the manifests of finished jobs."""
    signature = {
        "by": _who(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **provenance.git_state(),
    }
    for name in names:
        job = plan.jobs[name]
        manifest = manifests.get(job.manifest)
        assert isinstance(manifest, Manifest), job.manifest
        code = digests.of(job)
        change = {"from": manifest.record["code"], "to": code, **signature}
        record = manifest.record | {
            "code": code,
            "modules": digests.modules(job),
            "accepted": [*manifest.record.get("accepted", []), change],
        }
        rewrite(manifest, manifest.path, record)


def rewrite(manifest: Manifest, path: Path, record: dict[str, Any]) -> None:
    """Write a manifest's new record to ``path``, keeping the modification time of the manifest."""
    kept = manifest.path.stat()  # Snakemake takes a later modification time for a new input
    write_manifest(path, record)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def _chosen(stale: dict[Name, list[str]], parts: Sequence[str]) -> dict[Name, list[str]]:
    """Return the stale jobs whose names contain any of ``parts``; all jobs if it is empty."""
    for part in parts:
        if not any(part in " ".join(name) for name in stale):
            raise UserError(
                f"{part}: no job of this name is stale for its code alone; "
                f"`python -m disobey why` names the stale jobs"
            )
    return {
        name: modules
        for name, modules in stale.items()
        if not parts or any(part in " ".join(name) for part in parts)
    }


def _listed(stale: dict[Name, list[str]]) -> list[str]:
    """Return a line for each stage and set of changed modules, with the number of jobs."""
    counts: dict[tuple[str, str], list[str]] = {}
    for (stage, key), modules in stale.items():
        counts.setdefault((stage, ", ".join(modules)), []).append(key)
    lines = []
    for (stage, changed), keys in counts.items():
        jobs = keys[0] if len(keys) == 1 else f"{len(keys)} jobs"
        lines.append(f"{stage}: {jobs}, changed: {changed}")
    return lines


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UserError("standard input is not a terminal: add --yes to accept without a question")
    question = f"Do these edits change no number of these {count} jobs? [y/N] "
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def _who() -> str:
    """Return the user's name in git, or else the login name, or else the numeric user id."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "config", "user.name"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        if done.stdout.strip():
            return done.stdout.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # KeyError before Python 3.13
        return f"user {os.getuid()}"


# --- explain -------------------------------------------------------------------------------------

EXPLAIN = (
    "``python -m disobey explain FILE``: describe a store, table or figure, and how it was made."
)


@tool
def explain_main(arguments: Sequence[str]) -> int:
    """Print the provenance of one file; return 2 if it has none."""
    parser = argument_parser("explain", EXPLAIN)
    parser.add_argument("file", type=Path, help="any file below results/")
    print("\n".join(explain(parser.parse_args(arguments).file)))
    return 0


def explain(file: Path) -> list[str]:
    """Return the lines that describe ``file`` and the stores that it was made from."""
    manifest = manifest_for(file)
    about = [f"{manifest.store}", *(f"  {line}" for line in _own(manifest))]
    lines = []
    folders = manifest.path.absolute().parents
    root = next((folder.parent for folder in folders if folder.name == ROOT), Path())
    for depth, path, found in upstream(manifest, root):  # records give inputs relative to it
        indent = "  " * depth
        if found is None:
            lines.append(f"{indent}{path}: is gone or cannot be read")
        else:
            recorded = manifest.record["inputs"].get(path, found.content)
            changed = "" if recorded == found.content else "  (made again since)"
            lines.append(f"{indent}{_as_typed(found.store)}  {_when(found)}{changed}")
    return [*about, "made from:", *lines] if lines else [*about, "made from: nothing upstream"]


def _as_typed(store: Path) -> Path:
    """Return a path as a user would write it in the working directory."""
    here = Path.cwd()
    return store.relative_to(here) if store.is_relative_to(here) else store


def _own(manifest: Manifest) -> list[str]:
    record = manifest.record
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        f"stage     {record['stage']}",
        f"spec      {json.dumps(record['spec'], indent=2)}".replace("\n", "\n            "),
        f"code      {record['code']}",
        *(
            f"accepted  {change['when']} by {change['by']} at {_git(change)}: the code was "
            f"{change['from']}"
            for change in record.get("accepted", [])
        ),
        f"git       {_git(record['git'])}",
        f"made      {_when(manifest)}, {record['cpu_seconds']} s of CPU",
        f"versions  Python {record['python']}, {versions}",
        *(
            f"file      {name}, {entry['bytes']} bytes, SHA-256 {entry['sha256']}"
            for name, entry in record["files"].items()
        ),
    ]


def _git(state: dict[str, object]) -> str:
    if state["commit"] is None:
        return "not a git checkout"
    return f"{state['commit']}{', with uncommitted changes' if state['dirty'] else ''}"


def _when(manifest: Manifest) -> str:
    record = manifest.record
    return f"{record['written']} on {record['host']} in {record['seconds']} s"
