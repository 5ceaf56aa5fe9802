"""Stale jobs of a plan, and why they are stale: digests of code, and the manifests on disk."""

import functools
import hashlib
import json
from pathlib import Path

from disobey import code_digest
from disobey.errors import UserError
from disobey.stores.layout import CAPTIONS
from disobey.stores.manifest import Manifest, broken_store, read_manifest
from disobey.study.jobs import Plan, PlannedJob

PACKAGE_FOLDER = Path(code_digest.__file__).parent
# Files other than modules from which a stage makes its page, below the package's folder.
PAGES = {
    "report": ("stages/*.jinja",),
    "explorer": ("explorer/*.jinja", "explorer/*.js", "explorer/*.css", "explorer/vendor/*"),
}


class CodeDigests:
    """Computes digests of a job's code and of the texts of a page."""

    def __init__(self) -> None:
        self._code = functools.cache(code_digest.code_digest)
        self._texts = functools.cache(self._digest_texts)

    def of(self, job: PlannedJob) -> str:
        """Return the digest of everything that ``job`` runs or reads of this package."""
        code = self._code(job.roots)
        return f"{code}+{self._texts(job.stage, job.texts)}" if job.stage in PAGES else code

    def modules(self, job: PlannedJob) -> dict[str, str]:
        """Return the digest of each module that holds a definition which ``job`` reaches."""
        names = code_digest.modules_reached(job.roots)
        return {name: code_digest.module_digest(name) for name in names}

    def changed(self, job: PlannedJob, manifest: "Manifest") -> list[str]:
        """Return the modules of ``job`` that differ from those that made ``manifest``."""
        before = manifest.record.get("modules", {})
        now = self.modules(job)
        names = [name for name in now if name in before and now[name] != before[name]]
        # A job on one GPU reaches the code for several GPUs, but does not load it.
        names = names or [f"{name} (new, or not loaded then)" for name in now if name not in before]
        return names or ["captions, templates or scripts"]

    def _digest_texts(self, stage: str, captions: tuple[str, ...]) -> str:
        digest = hashlib.sha256()
        paths = [CAPTIONS / f"{name}.rst" for name in captions]
        for pattern in PAGES[stage]:
            paths += sorted(PACKAGE_FOLDER.glob(pattern))
        for path in paths:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


NOT_MADE = "has not been made"


class Manifests:
    """The manifests on disk, each read only once, although several jobs may need it."""

    def __init__(self) -> None:
        self.get = functools.cache(_manifest_at)


def _manifest_at(path: str) -> Manifest | str | None:
    """Return a manifest, the reason why its store is broken, or None if there is none."""
    manifest = Path(path)
    if not manifest.exists():
        return None
    try:
        return broken_store(manifest) or read_manifest(manifest)
    except UserError as error:
        reason = str(error).partition(";")[0]  # without advice, since the job runs again
        return reason if manifest.exists() else None  # a job has started and removed it


def why(
    plan: Plan, digests: CodeDigests, manifests: Manifests | None = None, *, strict: bool = False
) -> dict[tuple[str, str], list[str]]:
    """Return every job that would run and the reasons, upstream jobs first.

    ``manifests`` are those read so far. ``strict`` ignores accepted changes of code; see
    `disobey.tools.why.accept`.
    """
    own = stale_by_themselves(plan, digests, manifests or Manifests(), strict=strict)
    stale: dict[tuple[str, str], list[str]] = {}
    runs: dict[str, str] = {}
    for name, job in plan.jobs.items():
        upstream = [f"{runs[path]} runs again" for path in job.inputs if path in runs]
        words = [*own.get(name, ()), *upstream]
        if words:
            stale[name] = words
            runs[job.manifest] = " ".join(name)
    return stale


def stale_by_themselves(
    plan: Plan, digests: CodeDigests, manifests: Manifests, *, strict: bool = False
) -> dict[tuple[str, str], list[str]]:
    """Return the jobs that are stale regardless of upstream jobs, and the reasons."""
    reasons = {
        name: _own_reasons(job, digests, manifests, strict=strict)
        for name, job in plan.jobs.items()
    }
    return {name: words for name, words in reasons.items() if words}


def stale_by_code(
    plan: Plan, digests: CodeDigests, manifests: Manifests
) -> dict[tuple[str, str], list[str]]:
    """Return the jobs that would run only because of their code, and the changed modules."""
    stale = {}
    for name, job in plan.jobs.items():
        manifest = manifests.get(job.manifest)
        if not isinstance(manifest, Manifest) or not _code_changed(job, manifest, digests):
            continue
        same_spec = manifest.record["spec_hash"] == job.spec_hash
        if same_spec and not _changed_inputs(job, manifest, manifests):
            stale[name] = digests.changed(job, manifest)
    return stale


def _own_reasons(
    job: PlannedJob, digests: CodeDigests, manifests: Manifests, *, strict: bool
) -> list[str]:
    """Return the reasons why a job is stale regardless of upstream jobs."""
    manifest = manifests.get(job.manifest)
    if manifest is None:
        return [NOT_MADE]
    if isinstance(manifest, str):
        return [manifest]
    reasons = []
    if manifest.record["spec_hash"] != job.spec_hash:
        reasons.append("its spec changed: " + _changed(manifest, job))
    if _code_changed(job, manifest, digests):
        reasons.append("its code changed: " + ", ".join(digests.changed(job, manifest)))
    elif strict and _accepted(manifest):
        reasons.append("a change of its code was accepted")
    return reasons + _changed_inputs(job, manifest, manifests)


def _code_changed(job: PlannedJob, manifest: Manifest, digests: CodeDigests) -> bool:
    return bool(manifest.record["code"] != digests.of(job))


def _accepted(manifest: Manifest) -> bool:
    """Return whether the code that made a store differs from the accepted code in its manifest."""
    accepted = manifest.record.get("accepted", [])
    return bool(accepted and accepted[0]["from"] != manifest.record["code"])


def _changed_inputs(job: PlannedJob, manifest: Manifest, manifests: Manifests) -> list[str]:
    recorded = manifest.record["inputs"]
    reasons = [f"{path} is a new input" for path in job.inputs if path not in recorded]
    for path in job.inputs:
        found = manifests.get(path)  # a broken or missing input makes its own job stale
        if path in recorded and isinstance(found, Manifest) and found.content != recorded[path]:
            reasons.append(f"{path} was made again since")
    return reasons


def _changed(manifest: Manifest, job: PlannedJob) -> str:
    """Describe the entries of a spec that differ from the manifest's spec."""
    before, now = _flat(manifest.spec), _flat(json.loads(job.spec))
    keys = [key for key in (before | now) if before.get(key) != now.get(key)]
    return ", ".join(f"{key} {before.get(key, 'unset')} -> {now.get(key, 'unset')}" for key in keys)


def _flat(value: object, key: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {
            k: v for name, item in value.items() for k, v in _flat(item, f"{key}.{name}").items()
        }
    return {key.removeprefix("."): value}
