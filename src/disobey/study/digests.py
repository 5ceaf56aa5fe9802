"""The code that a planned job depends on, as one digest: the ``code`` param of every rule."""

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from disobey import code_digest
from disobey.stores.layout import CAPTIONS
from disobey.study.jobs import PlannedJob

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

PACKAGE_FOLDER = Path(code_digest.__file__).parent
# What a stage's page is made of beside modules, below the package's folder.
PAGES = {
    "report": ("stages/*.jinja",),
    "explorer": ("explorer/*.jinja", "explorer/*.js", "explorer/*.css", "explorer/vendor/*"),
}


class CodeDigests:
    """Digests of modules and of the texts that a page is made of."""

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
        names += [f"{name} (new)" for name in now if name not in before]
        return names or ["captions, templates or scripts"]

    def _digest_texts(self, stage: str, captions: tuple[str, ...]) -> str:
        digest = hashlib.sha256()
        paths = [CAPTIONS / f"{name}.rst" for name in captions]
        for pattern in PAGES[stage]:
            paths += sorted(PACKAGE_FOLDER.glob(pattern))
        for path in paths:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]
