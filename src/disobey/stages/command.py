"""What all stages share: the command line, the inputs, and the manifest at the end."""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disobey import provenance
from disobey.cards import take_card
from disobey.errors import UserError
from disobey.stages.alone import alone, drop_states, made_meanwhile
from disobey.stores.layout import store_of
from disobey.stores.manifest import Manifest, describe, read_manifest, write_manifest
from disobey.stores.writer import FULL, atomic, sweep

BY_HAND = "by-hand"
# Who knows how several processes share a job: named, not imported, since a process alone shall
# neither load it nor depend on its code.
TOGETHER = "disobey.stages.together"


@dataclass
class Job:
    """One call of one stage.

    Attributes
    ----------
    stage : str
        The stage's name.
    spec : dict
        What the stage depends on, and nothing else.
    code : str
        Digest of the code that the stage depends on; recorded, not used.
    inputs : tuple of Manifest
        The manifests of the upstream stores.
    output : Path
        The manifest to write.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    threads : int
        How many a training job may use; part of what makes a result equal bit for bit.
    captions : Path
        The folder of the figures' captions.
    files : dict
        The user's own files by split, where the spec says what they hold.
    source : str or None
        Where the files lie whose content the spec names: the place is no part of what is made.
    alone : bool
        Whether a lock keeps every other process away from the store.
    take_card : callable
        Given the names of the GPUs that torch sees, returns the position of one that is this
        process's own, after waiting for one.
    """

    stage: str
    spec: dict[str, Any]
    code: str
    inputs: tuple[Manifest, ...]
    output: Path
    device: str = "auto"
    threads: int = 1
    captions: Path = Path("workflow/report")
    files: dict[str, list[str]] = field(default_factory=dict)
    source: str | None = None
    alone: bool = False
    take_card: Callable[[Sequence[str]], int] = take_card
    written: list[Path] = field(default_factory=list)

    @property
    def by_hand(self) -> bool:
        """Whether the digest of the code is unknown, so that no earlier store can be equal."""
        return self.code == BY_HAND

    @property
    def store(self) -> Path:
        """The store to write: a file or a folder."""
        return Path(store_of(str(self.output)))

    @property
    def id(self) -> str:
        """The id of the store: its file name without the suffix of a file format."""
        store = self.store
        return store.stem if store.suffix in (".nc", ".csv", ".html") else store.name

    def input(self, id: str, stage: str | None = None) -> Manifest:
        """Return the manifest of the upstream store ``id``.

        Parameters
        ----------
        id : str
        stage : str, optional
            Which stage made it, where two stores of one id are among the inputs.

        Raises
        ------
        UserError
            When the job was called without it.
        """
        for manifest in self.inputs:
            if manifest.id == id and stage in (None, manifest.record["stage"]):
                return manifest
        given = ", ".join(manifest.id for manifest in self.inputs)
        raise UserError(
            f"{self.stage}: the spec names {id}, which is not among --inputs ({given or 'none'})"
        )

    def write(self, path: Path) -> AbstractContextManager[Path]:
        """Open a temporary name for ``path``, which becomes a file of the store on success."""
        self.written.append(path)
        if self.alone:
            sweep(path)
        return atomic(path)

    def record(self, started: float) -> None:
        """Write the manifest of the finished store."""
        record = describe(
            stage=self.stage,
            id=self.id,
            spec=self.spec,
            code=self.code,
            files=self.written,
            base=self.output.parent,
            inputs=self.inputs,
            started=started,
        )
        if self.alone:
            sweep(self.output)
        write_manifest(self.output, record)


def parser(stage: str, summary: str) -> argparse.ArgumentParser:
    """Return the command line that every stage has."""
    made = argparse.ArgumentParser(prog=f"python -m disobey {stage}", description=summary)
    made.add_argument("--spec", required=True, type=_json, help="what to make, as JSON")
    made.add_argument("--code", default=BY_HAND, help="digest of the code, for the manifest")
    made.add_argument("--files", type=_json, default={}, help="the user's files by split, as JSON")
    made.add_argument("--inputs", nargs="*", default=[], help="manifests of the upstream stores")
    made.add_argument("--output", required=True, type=Path, help="the manifest to write")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument(
        "--captions", type=Path, default=Path("workflow/report"), help="figures' captions (.rst)"
    )
    made.add_argument("--source", help="where the files lie whose content the spec names")
    return made


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("is not a JSON object")
    return value


def main(stage: str, arguments: Sequence[str]) -> int:
    """Run one stage; return its exit status (2 when the user has to change something)."""
    module = importlib.import_module(f"disobey.stages.{stage}")
    options = parser(stage, module.__doc__ or "").parse_args(arguments)
    try:
        job = Job(
            stage,
            options.spec,
            options.code,
            tuple(read_manifest(path) for path in options.inputs),
            options.output,
            options.device,
            options.threads,
            options.captions,
            options.files,
            options.source,
        )
        _check_id(job)
        if _several_processes():
            importlib.import_module(TOGETHER).make_together(job)
        else:
            make(job, module.run)
    except UserError as error:
        print(f"disobey {stage}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # where nothing of the store was being written
        if error.errno not in FULL:
            raise
        print(f"disobey {stage}: {error}; free some space and call again", file=sys.stderr)
        return 2
    return 0


def _several_processes() -> bool:
    """Return whether torchrun has started this one among others; some clusters set WORLD_SIZE."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ["WORLD_SIZE"] != "1"


def make(job: Job, run: Callable[[Job], None]) -> None:
    """Make the store of a job, unless another process has made it meanwhile."""
    with alone(job):
        started = time.time()
        if not made_meanwhile(job):
            run(job)
            job.record(started)
    drop_states(job.inputs)


def _check_id(job: Job) -> None:
    """Refuse to write one spec under another spec's id."""
    digits = provenance.spec_hash(job.spec)[:8]
    named = job.stage in ("pretrained", "prepare", "labels", "train", "basis")
    if named and not job.id.endswith(f"-{digits}"):
        raise UserError(
            f"--output {job.output}: the id of this spec ends with -{digits}; another spec may "
            f"not be stored under the name {job.id}"
        )
