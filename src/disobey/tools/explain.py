"""``python -m disobey explain FILE``: what a store, table or figure is and what it came from."""

import json
from collections.abc import Sequence
from pathlib import Path

from disobey.stores.layout import ROOT
from disobey.stores.manifest import Manifest, manifest_for, upstream
from disobey.tools import argument_parser, tool


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the provenance of one file; 2 when there is none."""
    parser = argument_parser("explain", __doc__)
    parser.add_argument("file", type=Path, help="any file below results/")
    print("\n".join(explain(parser.parse_args(arguments).file)))
    return 0


def explain(file: Path) -> list[str]:
    """Return the lines that say what ``file`` is and what it came from."""
    manifest = manifest_for(file)
    lines = [f"{manifest.store}", *(f"  {line}" for line in _own(manifest)), "made from:"]
    root = _root(manifest)
    for depth, path, found in upstream(manifest, root):
        indent = "  " * depth
        if found is None:
            lines.append(f"{indent}{path}: is gone or cannot be read")
        else:
            recorded = manifest.record["inputs"].get(path, found.content)
            changed = "" if recorded == found.content else "  (made again since)"
            lines.append(f"{indent}{_as_typed(found.store)}  {_when(found)}{changed}")
    if len(lines) and lines[-1] == "made from:":
        lines[-1] = "made from: nothing upstream"
    return lines


def _as_typed(store: Path) -> Path:
    """Return a path as one would write it in the working directory."""
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


def _root(manifest: Manifest) -> Path:
    """Return the folder that holds ``results/``; manifests name their inputs from there."""
    for parent in manifest.path.absolute().parents:
        if parent.name == ROOT:
            return parent.parent
    return Path()
