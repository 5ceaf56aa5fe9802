"""What a study file says of comparisons: that files, checkpoints and data sets fit together."""

from collections.abc import Iterator
from pathlib import Path

from disobey.comparison.files import UNNAMED
from disobey.errors import nearest
from disobey.study.comparisons import ROLE_KEYS, ComparedCheckpoints, ComparedLogits
from disobey.study.external_checks import checkpoint_mistakes, differences, facts_in, read_facts
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


def _files(options: ComparedLogits, root: str | None, here: Location) -> Iterator[Mistake]:
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


def _checkpoints(study: Study, options: ComparedCheckpoints, here: Location) -> Iterator[Mistake]:
    if study.datasets[options.dataset].label_noise is not None:
        words = "has label noise, which checkpoints were not trained on; name one without"
        yield (*here, "dataset"), f"data set '{options.dataset}' {words}"
    given = {key: getattr(options, key) or () for key in ROLE_KEYS}
    yield from checkpoint_mistakes(given, here)
