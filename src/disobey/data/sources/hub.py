"""A data set of the Hugging Face hub, downloaded once into the hub's own cache."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.data.raw import RawData
from disobey.data.table_rows import raw_data
from disobey.data.tables import Table, features_table
from disobey.errors import UserError


def load(spec: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> RawData:
    """Return the data of a repository; the rows are on disk, and memory holds a block of them.

    Parameters
    ----------
    spec : mapping
        ``path``, ``columns``, the names of the splits, and ``config`` and ``revision`` if given.
    files : mapping
        Not used.

    Raises
    ------
    UserError
        If the repository cannot be reached, requires a login or does not have the split.
    """
    place = Path(spec["path"])
    if place.exists() and not place.is_absolute():  # `datasets` would read this folder instead
        raise UserError(
            f"{spec['path']}: there is a folder of this name here; rename it, or read it with "
            f"source: files"
        )
    return raw_data(spec, _table(spec, "train"), _table(spec, "test"))


def _table(spec: Mapping[str, Any], split: str) -> Table:
    path, config = spec["path"], spec.get("config")
    where = f"{path}{f' ({config})' if config else ''}, split {spec[split]}"
    try:
        return features_table(
            where,
            path,
            by_path=True,  # image files of a repository are in the hub's cache
            name=config,
            split=spec[split],
            revision=spec.get("revision"),
        )
    except ConnectionError as error:
        raise UserError(
            f"{where}: the hub cannot be reached from here ({error}). Where there is a network, on "
            f"a cluster its login node, call: snakemake --cores 1 --until prepare --configfile "
            f"YOUR.yaml"
        ) from None
    except FileNotFoundError as error:  # no repository, or no readable files in it
        raise UserError(
            f"{where}: {error}. Correct the path; for a gated data set accept its terms on its "
            f"page, then log in with: hf auth login"
        ) from None
    except ValueError as error:  # an unknown split or configuration; the message lists those known
        raise UserError(f"{where}: {error}") from None
    except RuntimeError as error:  # a repository that is a script
        raise UserError(
            f"{where}: {error}. Code of a repository never runs here: convert it to parquet, or "
            f"name a revision that holds parquet files, such as refs/convert/parquet"
        ) from None
