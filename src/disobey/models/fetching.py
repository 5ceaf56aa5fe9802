"""Find a checkpoint for a job: in a folder that still holds what was planned, or on the hub."""

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from disobey.errors import UserError
from disobey.models.checkpoint import FILES, checkpoint_files, convert, without_weights
from disobey.stores.contents import read_content

if TYPE_CHECKING:
    from disobey.job import Job

# How anything of a checkpoint is loaded: no code of its repository runs, no network is asked.
SAFELY = {"trust_remote_code": False, "local_files_only": True}
# Short enough to be typed, and no more weights than needed.
ROUGHLY = ("*.json", "*.txt", "*.model", "model*.safetensors")


def fetched(job: "Job", files: Sequence[str] = FILES) -> Path:
    """Return the folder of the checkpoint that a job's spec names by content or by its hub name.

    Parameters
    ----------
    job : Job
    files : sequence of str
        Patterns of the files that are read.

    Raises
    ------
    UserError
        When the folder has changed since the study was planned, or the hub has no such checkpoint
        or cannot be reached.
    """
    return _on_the_hub(job, files) if "checkpoint" in job.spec else _on_disk(job, files)


def _on_disk(job: "Job", files: Sequence[str]) -> Path:
    """Return the folder of a checkpoint that holds what the study was planned with."""
    if job.source is None:
        raise UserError("the spec names a content, not a place; add --source FOLDER")
    folder = Path(job.source)
    found = read_content(checkpoint_files(folder, files))
    if found != job.spec["content"]:
        raise UserError(
            f"{folder}: has changed since the study was planned (content {found[:12]}…, planned "
            f"{job.spec['content'][:12]}…); call snakemake again"
        )
    return folder


def _on_the_hub(job: "Job", files: Sequence[str]) -> Path:
    """Return the folder of the hub's cache that holds the checkpoint; fetch what is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, revision = job.spec["checkpoint"], job.spec.get("revision")
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except RevisionNotFoundError:
        raise UserError(f"{name} has no revision '{revision}' on the hub; correct it") from None
    except GatedRepoError:
        raise UserError(f"{name}: its terms must be accepted on the hub first") from None
    except RepositoryNotFoundError:
        raise UserError(f"{name}: the hub has no such checkpoint; correct the name") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError) as error:
        raise UserError(_offline(job, name, revision, error)) from None
    print(f"{name} is at commit {folder.name}")
    try:
        checkpoint_files(folder)
    except UserError:
        raise UserError(f"{name} holds {without_weights([])}; {convert(name, folder)}") from None
    return folder


def _offline(job: "Job", name: str, revision: str | None, error: Exception) -> str:
    """Return in words how to bring a checkpoint to a machine without a network."""
    at = f" --revision {revision}" if revision else ""
    wanted = " ".join(f"--include '{form}'" for form in ROUGHLY)
    return (
        f"{name} is not in the hub's cache of this machine and cannot be fetched "
        f"({type(error).__name__}). Where there is a network and the same home folder, call\n"
        f"  hf download {name}{at} {wanted}\n"
        f"or make the store itself there, in this folder:\n"
        f"  python -m disobey {job.stage} --spec '{json.dumps(job.spec)}' --code {job.code} "
        f"--output {job.output}"
    )


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn what `transformers` says of a checkpoint that it cannot read into one line."""
    from safetensors import SafetensorError
    from transformers.utils import logging as its_logging

    logging.getLogger("transformers").setLevel(logging.ERROR)
    its_logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{folder}: transformers cannot read it as a sequence classifier: {first}"
        ) from error
