"""``python -m disobey rename STUDY``: rename the results of an earlier version.

Earlier versions ended the ids of stores with eight hex digits; this version uses twelve. The
command renames the stores of a study and their manifests, and computes no result. It removes a
store's old name after the store of the new name is complete. The next run makes the pages again,
because they print ids.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disobey import provenance
from disobey.errors import UserError
from disobey.lease import looking_around
from disobey.stores.layout import id_of
from disobey.stores.manifest import Manifest
from disobey.study.jobs import PlannedJob
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import Manifests
from disobey.tools import argument_parser, tool
from disobey.tools.why import rewrite

PAGES = ("explorer", "report")


@tool
def main(arguments: Sequence[str]) -> int:
    """Rename the results of a study; return 2 after a user's mistake."""
    parser = argument_parser("rename", __doc__)
    parser.add_argument("study", nargs="+", help="study files whose results are in this folder")
    options = parser.parse_args(arguments)
    with looking_around() as nobody_works:
        if not nobody_works:
            raise UserError("another snakemake works in this folder; wait until it ends")
        print(f"renamed {rename(options.study)} stores")
    return 0


def rename(studies: Sequence[str]) -> int:
    """Rename the stores of some studies; return the number of renamed stores."""
    renamed: dict[str, tuple[str, str]] = {}  # old manifest to new manifest and content
    left: list[Manifest] = []
    for study in map(load_study, studies):
        with provenance.eight_digits():
            before = make_plan(study)
        manifests = Manifests()
        for old, new in zip(before.jobs.values(), make_plan(study).jobs.values(), strict=True):
            found = manifests.get(old.manifest)
            done = manifests.get(new.manifest)
            if old.stage in PAGES or old.manifest in renamed:
                continue
            if isinstance(done, Manifest) and done.record["spec_hash"] == new.spec_hash:
                renamed[old.manifest] = (new.manifest, done.content)  # by an earlier call
                continue
            if not isinstance(found, Manifest) or found.record["spec_hash"] != old.spec_hash:
                continue
            record = _named_anew(found, old, new, renamed)
            renamed[old.manifest] = (new.manifest, record["content"])
            rewrite(found, Path(new.manifest), record)
            if old.manifest != new.manifest:
                left.append(found)
    for manifest in left:
        _remove(manifest)
    return len(left)


def _named_anew(
    manifest: Manifest, old: PlannedJob, new: PlannedJob, renamed: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    """Link a store's files under the new name; return the record of its new manifest."""
    names = (id_of(old.manifest), id_of(new.manifest))
    files = {name.replace(*names, 1): entry for name, entry in manifest.record["files"].items()}
    for name, moved in zip(manifest.record["files"], files, strict=True):
        source, target = manifest.path.parent / name, Path(new.manifest).parent / moved
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    hashes = {name: entry["sha256"] for name, entry in files.items()}
    inputs = manifest.record["inputs"]
    return manifest.record | {
        "id": names[1],
        "spec": json.loads(new.spec),
        "spec_hash": new.spec_hash,
        "files": files,
        "content": provenance.spec_hash(hashes),
        "inputs": dict(renamed.get(path, (path, content)) for path, content in inputs.items()),
    }


def _remove(manifest: Manifest) -> None:
    """Remove the old names of a store, first the manifest, since it vouches for the files."""
    manifest.path.unlink()
    for name in manifest.record["files"]:
        path = manifest.path.parent / name
        path.unlink()
        if path.parent != manifest.path.parent and not any(path.parent.iterdir()):
            path.parent.rmdir()
