"""What a study file says of teachers that were trained elsewhere, and of settings they teach."""

from collections.abc import Iterator
from pathlib import Path

from disobey.comparison.files import SPLITS
from disobey.stores.contents import content_of
from disobey.study.elsewhere_checks import checkpoint_mistakes, differences, listed, read_facts
from disobey.study.external_teachers import TrainedLogits
from disobey.study.models import Study, Trained
from disobey.study.sizes import sizes_of
from disobey.study.yaml_lines import Location, Mistake


def trained_mistakes(study: Study) -> Iterator[Mistake]:
    """Yield what is wrong with the trained teachers of a study by themselves."""
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
        if isinstance(options, TrainedLogits):
            yield from _files(options, study.data_root, here)
        else:
            yield from checkpoint_mistakes(options.models(), here)


def _files(options: TrainedLogits, root: str | None, here: Location) -> Iterator[Mistake]:
    known, mistakes = read_facts(options.models(), root, here)
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
    yield from differences(known, here)


def taught_mistakes(study: Study, name: str) -> Iterator[Mistake]:
    """Yield what a setting asks of a trained teacher that it cannot do."""
    setting, here = study.settings[name], ("settings", name)
    if not isinstance(setting.teacher, Trained):
        return
    dataset = study.datasets[setting.dataset]
    if dataset.augment is not None:
        yield (
            (*here, "dataset"),
            f"data set '{setting.dataset}' is augmented, but the logits of a trained teacher are "
            f"of its images as they are; name a data set without augment",
        )
    checkpoints = not isinstance(study.teachers[setting.teacher.trained], TrainedLogits)
    if checkpoints and dataset.label_noise is not None:
        yield (
            (*here, "dataset"),
            f"data set '{setting.dataset}' has label noise, which checkpoints were not trained on; "
            f"name one without",
        )
    yield from _other_rows(study, name)
    if setting.teacher_recipe is not None:
        yield (*here, "teacher_recipe"), "its teacher is trained already; remove teacher_recipe"
    if setting.distill.teacher == "live":
        words = "of a trained teacher there are only logits, no network to be run; remove teacher"
        yield (*here, "distill", "teacher"), words


def _other_rows(study: Study, name: str) -> Iterator[Mistake]:
    """Check that logits are of the data set's examples, where their number is known."""
    setting = study.settings[name]
    assert isinstance(setting.teacher, Trained)
    options = study.teachers[setting.teacher.trained]
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    if not isinstance(options, TrainedLogits) or not data.exact:
        return
    known, mistakes = read_facts(options.models(), study.data_root, ())
    for file, facts in () if mistakes else known.items():
        for split, rows in zip(SPLITS, (data.train, data.test), strict=True):
            found = facts.get(split, {"rows": rows})["rows"]
            if found != rows:
                yield (
                    ("settings", name, "teacher", "trained"),
                    f"{file} has {found:,} rows of {split}, but data set '{setting.dataset}' has "
                    f"{rows:,}; write the logits of just its examples (docs/own-teacher.md says "
                    f"how to tell which)",
                )
                return
