"""``python -m disobey prune [STUDY ...]``: list the files in results/ that no study uses.

``--delete`` deletes them. The command keeps the files of all studies that Snakemake was called with
in this folder, and of those that you name; if you name none, also those of config.yaml and
workflow/studies/*.yaml. It keeps the folder of any other study, with everything that its stores
were made from; to remove these, first delete results/<study>. It lists only files that jobs of
disobey can have made: names that end with hex digits in the shared folders, and stores with a
manifest in the folder of a study.
"""

import argparse
import ast
import contextlib
import itertools
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from disobey.errors import UserError
from disobey.lease import working
from disobey.locks import Lock, look_at
from disobey.stores import layout
from disobey.stores.layout import STORES, lock_of, manifest_of, states_of, store_of
from disobey.stores.manifest import read_manifest
from disobey.study.jobs import Plan, store_at
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests
from disobey.tools import argument_parser, tool

WILDCARD = re.compile(r"\{(\w+)\}")
ID = r"[^/]+-[0-9a-f]{8}(?:[0-9a-f]{4})?(?:@[0-9]+)?"
NAME = r"[^/]+"
# Patterns of the values of wildcards; the values of all others are ids.
VALUES = {
    "study": NAME, "setting": NAME, "table": NAME, "figure": NAME, "block": r"[0-9]+(?:-\w+)?",
}  # fmt: skip
STATES = re.compile(rf"(?P<run>{ID})-[0-9a-f]{{12}}")
# Files next to a store: unfinished output of a killed process, and the lock that it held.
LEFT = re.compile(r"\.(?P<store>.+?)(?:\.json)?(?:\.[0-9]+\.tmp|\.lock)")


@dataclass(frozen=True)
class Orphan:
    """A store, a log or a folder of saved states that no study needs.

    ``files`` are its existing files: a store and its manifest, a figure's files, leftovers of
    killed processes. A job that makes the store holds ``lock``.
    """

    what: str
    path: Path
    files: tuple[Path, ...]
    lock: Path

    def bytes(self) -> int:
        """Return its bytes on disk, without following links."""
        return sum(map(_size, self.files))

    def delete(self) -> bool:
        """Delete it unless a job holds the lock of its store; return whether it was deleted."""
        lock, was_there = Lock(self.lock), self.lock.exists()
        if not lock.try_take():
            return False
        if not lock.real:
            if not was_there:
                self.lock.unlink(missing_ok=True)
            raise UserError(
                f"{self.path.parent}: this file system has no locks, so nobody can tell which jobs "
                f"run; delete by hand what is listed"
            )
        try:
            for path in self.files:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != self.lock:
                    path.unlink(missing_ok=True)
        finally:
            lock.release(remove=True)
        for folder in {self.path.parent, self.lock.parent}:  # the lock may have created its own
            with contextlib.suppress(OSError):  # stops at the first folder that is not empty
                os.removedirs(folder)
        return True


def orphans(
    kept: Collection[str], states: Mapping[str, Collection[Path]], others: Collection[str]
) -> Iterator[Orphan]:
    """Yield the orphans, stage by stage.

    Parameters
    ----------
    kept : collection of str
        Manifests of all needed stores.
    states : mapping
        For each id of a kept run, the folders of saved states from which it could still resume. All
        states of a kept run that is not listed here are kept.
    others : collection of str
        Names of studies whose folders, including logs, are kept unchanged.
    """
    for what, found_of in (("store", _stores), ("log", _logs)):
        for manifest, files in itertools.chain.from_iterable(map(found_of, STORES)):
            if manifest not in kept and Path(manifest).parts[1] not in others:
                path = Path(store_of(manifest)) if what == "store" else files[0]
                yield Orphan(what, path, tuple(files), lock_of(manifest))
    for folder in sorted(Path(layout.CHECKPOINTS).glob("*")):
        named = STATES.fullmatch(folder.name)
        if named:
            manifest = manifest_of(store_at("train", named["run"]))
            if manifest not in kept or folder not in states.get(named["run"], [folder]):
                yield Orphan("states", folder, (folder,), lock_of(manifest))


def upstream_of(manifests: Iterable[str]) -> set[str]:
    """Return ``manifests`` and all manifests upstream of them, as far as they exist."""
    reached: set[str] = set()
    waiting = list(manifests)
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting.extend(_inputs(path))
    return reached


def studies_in_results() -> dict[str, list[str]]:
    """Return the manifests in the folder of each study, by the study's name."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(layout.ROOT).glob("*/**/*.json")):
        if path.parts[1] not in layout.SHARED_FOLDERS and _inputs(str(path)):
            found.setdefault(path.parts[1], []).append(str(path))
    return found


def _inputs(manifest: str) -> list[str]:
    """Return the inputs of a manifest; none if it cannot be read."""
    try:
        return list(json.loads(Path(manifest).read_text(encoding="utf-8"))["inputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _stores(stage: str) -> list[tuple[str, list[Path]]]:
    """Return the manifest of each existing store of a stage, and the store's existing files."""
    pattern = STORES[stage]
    matches = _matcher(pattern)
    found: dict[str, list[Path]] = {}
    for path in sorted(Path().glob(f"{WILDCARD.sub('*', str(Path(pattern).parent))}/*")):
        left = LEFT.fullmatch(path.name)
        store = str(path.with_name(left["store"])) if left else store_of(str(path))
        if stage == "figure" and store.endswith(layout.FIGURE_FORMATS):
            store = store.rpartition(".")[0]
        if matches(store):
            found.setdefault(manifest_of(store), []).append(path)
    of_study = "{study}" in pattern  # there, a file without a manifest may be the user's
    return sorted(one for one in found.items() if not of_study or Path(one[0]) in one[1])


def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Return a function that matches paths against a pattern with wildcards."""
    parts = WILDCARD.split(pattern)  # text, name, text, name, ..., text
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (VALUES.get(name, ID) for name in parts[1::2])
    return re.compile("".join(parts)).fullmatch


def _logs(stage: str) -> Iterator[tuple[str, list[Path]]]:
    """Yield the manifest and the log of each of a stage's jobs that has a log."""
    pattern = layout.log_of(stage, layout.key_in(STORES[stage]))
    folder, matches = Path(layout.ROOT, "logs", stage), _matcher(pattern)
    for log in sorted(Path().glob(WILDCARD.sub("*", pattern))):
        if matches(str(log)):
            key = str(log.relative_to(folder)).removesuffix(".log")
            yield manifest_of(store_at(stage, key)), [log]


def _size(path: Path) -> int:
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(_size(Path(entry.path)) for entry in os.scandir(path))
        return path.lstat().st_size
    except OSError:
        return 0


HEAD = 8 << 10  # first characters of a log, where Snakemake records its arguments
CONFIG = re.compile(r"^  Config file\(s\): \[(.+)\]$", re.M)
PATH = re.compile(r"""Path\(('(?:[^'\\]|\\.)+'|"(?:[^"\\]|\\.)+")\)""")  # as repr writes it
UNITS = ("B", "kB", "MB", "GB", "TB")


@tool
def main(arguments: Sequence[str]) -> int:
    """List or delete orphans; return 2 if the needs of the studies cannot be determined."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argument_parser("prune", __doc__, formatter_class=form)
    parser.add_argument("studies", nargs="*", metavar="STUDY", type=Path, help="study files")
    parser.add_argument("--delete", action="store_true", help="delete the listed files")
    options = parser.parse_args(arguments)
    files, gone = studies(options.studies)
    asked = {path.resolve() for path in (*options.studies, *configfiles())}
    others = [path for path in files if path.resolve() not in asked]
    plans = plans_of(files, () if options.delete else others)
    with working() if options.delete else contextlib.nullcontext():  # no Snakemake may start
        found, other_studies = find(plans)
        for path in gone:
            print(
                f"{path}: Snakemake was called with it here, and it is gone; nothing is kept for it"
            )
        for name, stores in other_studies.items():
            print(f"results/{name}: its study was not given; kept, with {stores:,} stores")
        _list(found, files)
        return _delete(found) if options.delete else 0


def studies(named: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the study files to keep results of, and those that no longer exist.

    A study that is still being trained has no folder in results/ yet, so it is found only in the
    logs of Snakemake.
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
    """Return the study files named in Snakemake's logs, newest first, including missing files."""
    found: dict[Path, None] = {}
    for log in sorted(Path(".snakemake/log").glob("*.snakemake.log"), reverse=True):
        with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
            told = CONFIG.search(stream.read(HEAD))
            if told:
                names = map(ast.literal_eval, PATH.findall(told[1]))
                found |= dict.fromkeys(map(Path, names))
    return list(found)


def plans_of(files: Sequence[Path], may_skip: Collection[Path] = ()) -> list[Plan]:
    """Return the plans of all studies.

    An invalid study is refused, since its results would count as orphans. Invalid studies in
    ``may_skip`` are skipped with a printed line.
    """
    plans: list[Plan] = []
    mistakes: list[str] = []
    usable: list[str] = []
    for path in files:
        try:
            plans.append(make_plan(load_study(path)))
            usable.append(str(path))
        except UserError as error:
            if path not in may_skip:
                mistakes.append(str(error))
            else:
                print(error)
                print(
                    "  nothing is kept for it: Snakemake was not called with it here; "
                    "--delete refuses"
                )
    if mistakes:
        hint = f"python -m disobey prune {shlex.join(usable)}" if usable else "name others"
        raise UserError(
            "\n".join(mistakes) + "\nprune: what these studies ask for is unknown, so nothing is "
            f"called an orphan. Correct them, or leave them out: {hint}"
        )
    return plans


def find(plans: Sequence[Plan]) -> tuple[list[Orphan], dict[str, int]]:
    """Return the orphans, which neither the plans nor the folders of other studies need.

    Also returns, for each other study, the number of stores that are kept only for its folder.
    """
    asked = {manifest for plan in plans for manifest in plan.manifests()}
    given = {plan.study for plan in plans}
    others = {name: paths for name, paths in studies_in_results().items() if name not in given}
    kept = {name: upstream_of(paths) for name, paths in others.items()}
    found = list(orphans(asked.union(*kept.values()), _states(plans), others))
    return found, {name: len(paths - asked) for name, paths in kept.items()}


def _states(plans: Sequence[Plan]) -> dict[str, set[Path]]:
    """Return, by run, the folders of saved states from which trainings of the plans would resume.

    Trainings with missing inputs are left out, since their folders are not known yet.
    """
    torch, digests = version("torch"), CodeDigests()
    found: dict[str, set[Path]] = {}
    for job in (job for plan in plans for job in plan.jobs.values() if job.stage == "train"):
        with contextlib.suppress(UserError):
            contents = [read_manifest(path).content for path in job.inputs]
            folder = states_of(job.key, digests.of(job), torch, contents)
            found.setdefault(job.key, set()).add(folder)
    return found


def _list(orphans: Sequence[Orphan], files: Sequence[Path]) -> None:
    for orphan in orphans:
        print(f"{orphan.what:<6}  {size(orphan.bytes()):>9}  {orphan.path}")
    total = size(sum(orphan.bytes() for orphan in orphans))
    names = ", ".join(map(str, files))
    print(f"{len(orphans):,} orphans, {total}; looked for in: {names}")
    held = [orphan for orphan in orphans if look_at(orphan.lock).held]
    if held:
        print(f"{len(held):,} of them are in use by a running job")


def _delete(orphans: Sequence[Orphan]) -> int:
    """Delete orphans; return 1 if some could not be deleted."""
    left = 0
    for orphan in orphans:
        if not orphan.delete():
            left += 1
            print(f"{orphan.path}: a running job holds it; it stays")
    print(f"{len(orphans) - left:,} deleted")
    return 1 if left else 0


def size(number: float) -> str:
    """Format a number of bytes as ``12.3 MB``."""
    for unit in UNITS[:-1]:
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} {UNITS[-1]}"
