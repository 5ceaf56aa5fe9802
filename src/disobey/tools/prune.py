"""``python -m disobey prune [STUDY ...]``: what lies in results/ and no study asks for.

It lists; only ``--delete`` deletes. Every study file that Snakemake was called with in this folder
counts, and those that are named; where none is, config.yaml and workflow/studies/*.yaml. The folder
of any other study is kept, with all that its stores were made from: delete results/<study> first to
be rid of it.
"""

import argparse
import contextlib
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from disobey.errors import UserError
from disobey.lease import working
from disobey.locks import look_at
from disobey.stores.layout import states_of
from disobey.stores.manifest import read_manifest
from disobey.stores.orphans import Orphan, orphans, studies_in_results, upstream_of
from disobey.study.digests import CodeDigests
from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools import described

HEAD = 8 << 10  # characters of a log: Snakemake says there what it was called with
CONFIG = re.compile(r"^  Config file\(s\): \[(.+)\]$", re.M)
UNITS = ("B", "kB", "MB", "GB", "TB")


def main(arguments: Sequence[str]) -> int:
    """List orphans, or delete them; 2 where it is unknown what the studies ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m disobey prune", description=described(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("studies", nargs="*", metavar="STUDY", type=Path)
    parser.add_argument("--delete", action="store_true", help="delete what is listed")
    options = parser.parse_args(arguments)
    try:
        files, gone = studies(options.studies)
        if not options.delete:
            asked = {path.resolve() for path in (*options.studies, *configfiles())}
            plans = plans_of(files, [path for path in files if path.resolve() not in asked])
            found = find(plans)
            _list(found, files, gone)
            return 0
        plans = plans_of(files)
        with working():  # no Snakemake begins meanwhile
            found = find(plans)
            _list(found, files, gone)
            return _delete(found)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def studies(named: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the study files that count, and those that did and are no longer there.

    A study that is still being trained has no folder in results/ yet: that Snakemake was called
    with it here is all that tells of it.
    """
    shipped = [Path("config.yaml"), *sorted(Path("workflow/studies").glob("*.yaml"))]
    known = named or [path for path in shipped if path.is_file()]
    files = {path.resolve(): path for path in known}
    gone = []
    for path in configfiles():
        if path.is_file():
            files.setdefault(path.resolve(), path)
        else:
            gone.append(path)
    if not files:
        raise UserError(
            "prune: there is no config.yaml here and Snakemake was not called here with any study; "
            "name the studies whose results are to be kept"
        )
    return list(files.values()), gone


def configfiles() -> list[Path]:
    """Return the study files that Snakemake's logs name, newest first, existing or not."""
    found: dict[Path, None] = {}
    for log in sorted(Path(".snakemake/log").glob("*.snakemake.log"), reverse=True):
        with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
            told = CONFIG.search(stream.read(HEAD))
            if told:
                found |= dict.fromkeys(map(Path, re.findall(r"Path\('([^']+)'\)", told[1])))
    return list(found)


def plans_of(files: Sequence[Path], may_skip: Collection[Path] = ()) -> list[Plan]:
    """Return what all studies ask for.

    Parameters
    ----------
    files : sequence of Path
    may_skip : collection of Path
        Those that are left out, with a line that says so, if they cannot be used.

    Raises
    ------
    UserError
        When one cannot be used: what it asks for is unknown, and would count as orphans.
    """
    plans: list[Plan] = []
    mistakes: list[str] = []
    skipped: list[str] = []
    usable: list[str] = []
    for path in files:
        try:
            plans.append(make_plan(load_study(path)))
            usable.append(str(path))
        except UserError as error:
            (skipped if path in may_skip else mistakes).append(str(error))
    for mistake in () if mistakes else skipped:
        print(mistake)
        print("  nothing is kept for it: Snakemake was not called with it here; --delete refuses")
    if mistakes:
        hint = f"python -m disobey prune {shlex.join(usable)}" if usable else "name others"
        raise UserError(
            "\n".join(mistakes) + "\nprune: what these studies ask for is unknown, so nothing is "
            f"called an orphan. Correct them, or leave them out: {hint}"
        )
    return plans


class Found:
    """Orphans, and what was kept though no study that was given asks for it.

    Attributes
    ----------
    orphans : list of Orphan
    other_studies : dict of int, by the name of a study
        How many stores are kept for its folder's sake.
    """

    def __init__(self, found: Iterable[Orphan], other_studies: dict[str, int]) -> None:
        self.orphans = list(found)
        self.other_studies = other_studies


def find(plans: Sequence[Plan]) -> Found:
    """Return what none of the plans asks for and no other study's folder stands on."""
    asked = {manifest for plan in plans for manifest in plan.manifests()}
    given = {plan.study for plan in plans}
    others = {name: paths for name, paths in studies_in_results().items() if name not in given}
    kept = {name: upstream_of(paths) for name, paths in others.items()}
    all_kept = asked.union(*kept.values())
    found = orphans(all_kept, _states(plans, CodeDigests()), set(others))
    return Found(found, {name: len(paths - asked) for name, paths in kept.items()})


def _states(plans: Sequence[Plan], digests: CodeDigests) -> dict[str, set[Path]]:
    """Return by run the folders of states that a training of the plans would go on from.

    Only of trainings whose inputs are all there: of others nobody knows yet.
    """
    torch = version("torch")
    found: dict[str, set[Path]] = {}
    for plan in plans:
        for (stage, run), job in plan.jobs.items():
            if stage != "train":
                continue
            try:
                contents = [read_manifest(path).content for path in job.inputs]
            except UserError:
                continue
            folder = states_of(run, digests.of(job), torch, contents)
            found.setdefault(run, set()).add(folder)
    return found


def _list(found: Found, files: Sequence[Path], gone: Sequence[Path]) -> None:
    for path in gone:
        print(f"{path}: Snakemake was called with it here, and it is gone; nothing is kept for it")
    for name, stores in found.other_studies.items():
        print(f"results/{name}: its study was not given; kept, with {stores:,} stores")
    for orphan in found.orphans:
        print(f"{orphan.what:<6}  {size(orphan.bytes()):>9}  {orphan.path}")
    total = size(sum(orphan.bytes() for orphan in found.orphans))
    names = ", ".join(map(str, files))
    print(f"{len(found.orphans):,} orphans, {total}; looked for in: {names}")
    held = [orphan for orphan in found.orphans if look_at(orphan.lock).held]
    if held:
        print(f"{len(held):,} of them are in use by a running job")


def _delete(found: Found) -> int:
    """Delete orphans; 1 where some had to stay."""
    left = []
    for orphan in found.orphans:
        if not look_at(orphan.lock).real:
            raise UserError(
                f"{orphan.path.parent}: this file system has no locks, so nobody can tell which "
                f"jobs run; delete by hand what is listed"
            )
        if not orphan.delete():
            left.append(orphan)
            print(f"{orphan.path}: a running job holds it; it stays")
    print(f"{len(found.orphans) - len(left):,} deleted")
    return 1 if left else 0


def size(number: float) -> str:
    """Return bytes as ``12.3 MB``."""
    for unit in UNITS[:-1]:
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} {UNITS[-1]}"
