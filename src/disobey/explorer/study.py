"""The content of an explorer page: settings with their models, and columns of their examples."""

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.errors import UserError
from disobey.explorer.deviations import (
    CELLS,
    TOP,
    Confidences,
    SeedRuns,
    SplitDeviations,
    plots_of,
    seeds_of,
    worst,
)
from disobey.explorer.examples import Examples, sample
from disobey.explorer.page import Columns, render
from disobey.job import Job
from disobey.stores.layout import store_and_variable
from disobey.stores.manifest import Manifest
from disobey.stores.reader import read_columns

if TYPE_CHECKING:
    from disobey.comparison.result import Comparison

SPLITS = ("test", "train")  # the first one is shown first
OF_LOGITS = ("dump", "compared", "classify")  # stages that make stores of logits
# Most examples of a split that are shown; larger splits show a sample, over the density of all.
MOST_EXAMPLES = 2000
# Largest share of these that are chosen because they deviate most, instead of at random.
ADDED_SHARE = 1 / 4
# Most bytes for all examples: the page should be small enough for e-mail and a phone.
BUDGET = 8_000_000
BASE64 = 4 / 3
# A density is mostly empty: compression reduced it to a sixth of its size in the default study.
DEFLATED_DENSITY = 1 / 3


@dataclass(frozen=True)
class Setting:
    """One setting, or comparison, as its analysis recorded it.

    ``data`` is the id of the store of examples; ``labels`` is the id of the store of labels, or
    None without labels. ``teachers`` is the number of distinct teachers over all seeds, including
    replicates.
    """

    about: Mapping[str, Any]
    data: str
    labels: str | None
    seeds: Sequence[SeedRuns]
    splits: Sequence[str]
    teachers: int

    def runs(self) -> Iterable[str]:
        """Return the ids of all runs, without duplicates."""
        return dict.fromkeys(run for of_seed in self.seeds for run in of_seed.all)

    def told(self) -> dict[str, Any]:
        """Return the setting's entry in the page's index."""
        told = {key: getattr(self, key) for key in ("data", "labels", "teachers")}
        seeds = [vars(runs) for runs in self.seeds]
        return told | {"about": dict(self.about), "seeds": seeds, "splits": list(self.splits)}


@dataclass(frozen=True)
class Sources:
    """Settings and stores of a page.

    ``settings`` are by name; ``logits`` contains the store and the variable of each run's logits;
    ``data`` contains the stores of examples by id.
    """

    settings: Mapping[str, Setting]
    logits: Mapping[str, tuple[Path, str]]
    data: Mapping[str, Path]


def sources_of(job: "Job") -> Sources:
    """Return the settings in a job's spec, in their order, with their verified stores."""
    analyses = {name: job.input(name, "confidence").spec for name in job.spec["settings"]}
    seeds = {name: seeds_of(analysis) for name, analysis in analyses.items()}
    runs = dict.fromkeys(run for of in seeds.values() for of_seed in of for run in of_seed.all)
    addresses = {run: store_and_variable(run) for run in runs}
    made = {m.id: m for m in job.inputs if m.record["stage"] in OF_LOGITS}
    # If there is no such store, job.input raises an error.
    stores = {id: made.get(id) or job.input(id) for id, _ in addresses.values()}
    paths = {id: store.file() for id, store in stores.items()}  # verified once
    settings = {}
    for name, analysis in analyses.items():
        splits = [split for split in SPLITS if split in analysis.get("splits", SPLITS)]
        first, _ = addresses[seeds[name][0].teacher]
        data, labels = _examples_of(stores[first])
        labelled = "label" in read_columns(paths[first], splits[0])
        settings[name] = Setting(
            analysis["about"],
            data,
            labels if labelled else None,
            seeds[name],
            splits,
            len(set(analysis["teachers"])),
        )
    logits = {run: (paths[id], variable) for run, (id, variable) in addresses.items()}
    ids = dict.fromkeys(setting.data for setting in settings.values())
    data_stores = {id: paths.get(id) or job.input(id).file() for id in ids}
    return Sources(settings, logits, data_stores)


def _examples_of(logits: Manifest) -> tuple[str, str]:
    """Return the ids of the stores of examples and of labels that belong to some logits."""
    spec = logits.spec.get("dataset", {}) if logits.record["stage"] == "compared" else logits.spec
    data = spec.get("data", logits.id)
    return data, spec.get("labels", data)


def content(
    job: "Job", most: int = MOST_EXAMPLES, budget: float = BUDGET
) -> tuple[dict[str, Any], Columns]:
    """Return the index and the columns of a study's page; see `content_of`."""
    spec = job.spec
    told, columns = content_of(sources_of(job), spec["study"], spec["seeds"], most, budget)
    return told | {"report": "report.html"}, columns


def content_of(
    sources: Sources,
    name: str,
    seeds: Sequence[int],
    most: int = MOST_EXAMPLES,
    budget: float = BUDGET,
) -> tuple[dict[str, Any], Columns]:
    """Return the index of a page as a JSON-compatible dict, and its numbers as columns.

    Parameters
    ----------
    sources : Sources
    name : str
        The study's name.
    seeds : sequence of int
    most : int
        Most examples to show of each split.
    budget : float
        Most bytes for the examples; fewer examples are shown if they would exceed it.

    Raises
    ------
    UserError
        If logits do not belong to the examples in the data store, or the budget is too small for a
        single example.
    """
    settings = sources.settings
    examples = {
        (data, split): Examples(path, split)
        for data, path in sources.data.items()
        for split in SPLITS
        if _over(settings.values(), data, split)
    }
    numbers = _numbers_to_show(settings.values(), examples, most, budget)
    columns = Columns()
    shown: dict[str, Any] = {}
    densities: dict[str, Any] = {}
    for (data, split), all_of_split in examples.items():
        here = _over(settings.values(), data, split)
        confidences = Confidences(sources.logits, split)
        chosen = _choose(here, confidences, len(all_of_split), numbers[data, split])
        densities |= _add_split(columns, here, confidences, all_of_split, chosen)
        entry = shown.setdefault(data, {"classes": all_of_split.class_names, "splits": {}})
        entry["splits"][split] = {
            "examples": len(all_of_split),
            "sampled": len(chosen.sampled),
            "added": len(chosen.added),
            "depth": chosen.depth,
        } | all_of_split.shown(chosen.positions)
    told = {
        "name": name,
        "seeds": list(seeds),
        "data": shown,
        "settings": {name: setting.told() for name, setting in settings.items()},
        "densities": densities,
        "report": "",
    }
    return told, columns


def _over(settings: Iterable[Setting], data: str, split: str) -> list[Setting]:
    """Return the settings over one split of one data store."""
    return [setting for setting in settings if setting.data == data and split in setting.splits]


@dataclass(frozen=True)
class Chosen:
    """The examples of a split that are shown.

    ``sampled`` are the sorted positions of a random sample, or of all examples; ``added`` are the
    sorted positions of further examples that deviate most from a teacher. ``depth`` is the number
    of most deviating examples in each plot that are certain to be shown.
    """

    sampled: np.ndarray
    added: np.ndarray
    depth: int

    @property
    def positions(self) -> np.ndarray:
        """The sorted positions of all examples that are shown."""
        return np.sort(np.concatenate([self.sampled, self.added]))


def _choose(
    settings: Iterable[Setting], confidences: Confidences, examples: int, number: int
) -> Chosen:
    """Choose ``number`` examples: a random sample, and those that deviate most; see `Chosen`."""
    if number >= examples:
        return Chosen(np.arange(examples), np.array([], np.int64), examples)
    reserved = int(ADDED_SHARE * number)
    sampled = sample(examples, number - reserved)
    seeds = [runs for setting in settings for runs in setting.seeds]
    return Chosen(sampled, *worst(confidences, seeds, sampled, reserved))


def _numbers_to_show(
    settings: Collection[Setting],
    examples: Mapping[tuple[str, str], Examples],
    most: int,
    budget: float,
) -> dict[tuple[str, str], int]:
    """Return the number of examples to show of each split: ``most``, or fewer within the budget."""
    numbers = {key: min(most, len(split)) for key, split in examples.items()}
    needed, fixed = 0.0, 0.0
    for (data, name), split in examples.items():
        of_example, of_densities = _bytes_of_columns(_over(settings, data, name), split)
        needed += numbers[data, name] * (split.bytes_each() + BASE64 * of_example)
        if numbers[data, name] < len(split):
            fixed += BASE64 * DEFLATED_DENSITY * of_densities
    share = min(1.0, (budget - fixed) / needed)
    if share * min(numbers.values()) < 1:
        raise UserError(
            f"the explorer's page has {budget / 1e6:g} MB for {len(settings)} settings, too little "
            f"for one example of each; split the study into several files"
        )
    return {key: int(share * number) for key, number in numbers.items()}


def _bytes_of_columns(settings: Collection[Setting], examples: Examples) -> tuple[int, int]:
    """Return the uncompressed bytes of one example in all columns, and of all densities."""
    plots = plots_of(runs for setting in settings for runs in setting.seeds)
    drawn = {(of.teacher, model, chosen_by) for of, model, chosen_by in plots}
    phis = {(run, chosen_by) for *models, chosen_by in drawn for run in models}
    runs = {run for setting in settings for run in setting.runs()}
    scores = {(run, s.labels) for s in settings if s.labels is not None for run in s.runs()}
    of_class = 1 if len(examples.class_names) <= 1 << 8 else 2
    labels = 1 + len({setting.labels for setting in settings})
    of_id, of_added = 8, 1
    top = len(runs) * TOP * (of_class + 2)
    of_example = top + 2 * (len(phis) + len(scores)) + labels * of_class + of_id + of_added
    return of_example, len(drawn) * CELLS**2


def _add_split(
    columns: Columns,
    settings: Sequence[Setting],
    confidences: Confidences,
    examples: Examples,
    chosen: Chosen,
) -> dict[str, Any]:
    """Add the columns of one split of one data store; return its densities by column name."""
    split, positions = examples.split, chosen.positions
    densities: dict[str, Any] = {}
    found = SplitDeviations(columns, confidences, positions, len(examples))
    columns.add(
        f"added/{settings[0].data}/{split}", np.isin(positions, chosen.added).astype(np.uint8)
    )
    for setting in settings:
        path, _ = confidences.paths[setting.seeds[0].teacher]
        said = read_columns(path, split)
        examples.check_ids(said["example_id"], path)
        for name, column in (
            (f"label/{setting.labels}/{split}", "label"),
            (f"clean/{setting.data}/{split}", "clean_label"),
            (f"id/{setting.data}/{split}", "example_id"),
        ):
            if name not in columns and column in said:
                columns.add_integers(name, said[column][positions])
        label = None if setting.labels is None else said["label"][positions]
        for runs in setting.seeds:
            for density in found.add(runs, setting.labels, label):
                densities[density.pop("column")] = density
    return densities


# --- the page of a comparison ------------------------------------------------------------------

STORE = "examples"


def page_of(found: "Comparison", beside: str = "") -> str:
    """Return the self-contained HTML page of a comparison, which shows its examples.

    The page links to the file ``beside``, with verdicts and intervals, unless it is empty.
    """
    from disobey.comparison.store import by_role, write_models
    from disobey.stores.writer import NetcdfWriter

    each = 3 if found.has_reference else 2
    roles = by_role(next(iter(found.models.values())), found.pairs, each)
    runs = {role: [f"{role}_{seed}" for seed in range(len(of))] for role, of in roles.items()}
    seeds = seeds_of({f"{role}s": runs.get(role, []) for role in (TEACHER, REFERENCE, STUDENT)})
    labelled = all(of_split.label is not None for of_split in found.models.values())
    splits = [split for split in SPLITS if split in found.models]
    labels = STORE if labelled else None
    name, about = found.analysis.setting, {"dataset": "", **found.analysis.about}
    setting = Setting(about, STORE, labels, seeds, splits, len(runs[TEACHER]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "models.nc")
        with NetcdfWriter(path) as writer:
            write_models(writer, found.models, found.pairs, each)
        logits = {run: (path, run) for of_role in runs.values() for run in of_role}
        sources = Sources({name: setting}, logits, {STORE: path})
        told, columns = content_of(sources, name, range(found.pairs))
    return render(told | {"report": beside}, columns)
