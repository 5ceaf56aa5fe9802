"""One call of a stage: its spec, its inputs, and the manifest that it writes at the end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disobey import code_digest, provenance
from disobey.errors import UserError
from disobey.gpus import take_card
from disobey.stores.layout import STAGES, id_of, store_of
from disobey.stores.manifest import Manifest, describe, write_manifest
from disobey.stores.writer import NetcdfWriter, atomic, remove_temporary_files, title_of

if TYPE_CHECKING:
    from disobey.training.ranks import Ranks

BY_HAND = "by-hand"  # stands in for a digest of code that was not given


@dataclass
class Job:
    """One call of one stage.

    Attributes
    ----------
    spec : dict
        All that the stage depends on, and nothing else.
    code : str
        Digest of the stage's code; recorded, not used.
    inputs, output : tuple of Manifest, Path
        The manifests of the upstream stores, and the one to write.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    threads : int
        Number of threads of a training; results are equal bit by bit only for equal numbers.
    files, source : dict, str or None
        Paths of the user's own files by split, and of a checkpoint; the spec has their content.
    study_file : Path or None
        The study file, which the report links to.
    locked : bool
        Whether a lock keeps every other process away from the store.
    take_card : callable
        Waits for a GPU, given the names of those that torch sees, and returns its position.
    ranks : Ranks or None
        The processes that train together; None for a single one.
    measured, states : dict, Path or None
        A training's measurements for the manifest, and the folder of its saved states.
    """

    stage: str
    spec: dict[str, Any]
    code: str
    inputs: tuple[Manifest, ...]
    output: Path
    device: str = "auto"
    threads: int = 1
    files: dict[str, list[str]] = field(default_factory=dict)
    source: str | None = None
    study_file: Path | None = None
    locked: bool = False
    take_card: Callable[[Sequence[str]], int] = take_card
    ranks: "Ranks | None" = None
    written: list[Path] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    states: Path | None = None

    @property
    def writes(self) -> bool:
        """True if this process writes the store: the only one, or rank 0."""
        return self.ranks is None or self.ranks.rank == 0

    @property
    def by_hand(self) -> bool:
        """True if the digest of the code is unknown, so that no earlier store can be reused."""
        return self.code == BY_HAND

    def known_code(self) -> str:
        """Return the digest of the code; if it was not given, that of all loaded modules."""
        return provenance.spec_hash(code_digest.loaded_modules()) if self.by_hand else self.code

    @property
    def store(self) -> Path:
        """The store to write: a file or a folder."""
        return Path(store_of(str(self.output)))

    @property
    def id(self) -> str:
        """The id of the store."""
        return id_of(self.output)

    def input(self, id: str, stage: str | None = None) -> Manifest:
        """Return the manifest of the upstream store ``id``, or raise UserError.

        ``stage`` distinguishes two inputs of the same id.
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
        if self.locked:
            remove_temporary_files(path)
        return atomic(path)

    @contextmanager
    def netcdf(
        self, attributes: Mapping[str, Any] | None = None, path: Path | None = None
    ) -> Iterator[NetcdfWriter]:
        """Open a netCDF file of the store, by default the store itself, for writing.

        Its attributes describe the content. They contain no time and no versions, so that equal
        jobs write equal bytes.
        """
        made_from = STAGES[self.stage].partition(" -> ")[0]
        about = {
            "title": f"{title_of(self.stage)} {self.id}",
            "source": f"disobey {self.stage}, from {made_from}",
            "history": f"spec, inputs, code, versions and time are in {self.output.name}",
        }
        with (
            self.write(path or self.store) as temporary,
            NetcdfWriter(temporary, about | dict(attributes or {}), self.stage) as writer,
        ):
            yield writer

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
            measured=self.measured,
        )
        if self.locked:
            remove_temporary_files(self.output)
        write_manifest(self.output, record)
