"""Fake finished stores: manifests as jobs write them, with files of a few bytes."""

import json
from pathlib import Path

from disobey import provenance
from disobey.stores.layout import store_of

SECONDS = 8.0


def make(job, digests, seconds=SECONDS, written="2026-01-01T00:00:00Z"):
    """Write the store of a planned job, whose inputs must already exist."""
    manifest = Path(job.manifest)
    store = Path(store_of(job.manifest))
    file = store / "made" if "." not in store.name[-6:] else store
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("made")
    name = str(file.relative_to(manifest.parent))
    record = {
        "stage": job.stage,
        "id": store.name.removesuffix(".nc"),
        "spec": json.loads(job.spec),
        "spec_hash": job.spec_hash,
        "code": digests.of(job),
        "files": {name: {"bytes": 4, "sha256": "0"}},
        "content": provenance.spec_hash({name: "0"}),
        "inputs": {path: json.loads(Path(path).read_text())["content"] for path in job.inputs},
        "seconds": seconds,
        "written": written,
    }
    manifest.write_text(json.dumps(record))


def everything(folder):
    """Return every file below a folder with its bytes and times, to check that nothing changed."""
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in Path(folder).rglob("*")
    }
