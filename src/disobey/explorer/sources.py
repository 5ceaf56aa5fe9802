"""What a page of examples is made of: settings with their models, and the stores of both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disobey.explorer.deviations import SeedRuns, seeds_of
from disobey.stores.layout import store_and_variable
from disobey.stores.reader import read_columns

if TYPE_CHECKING:
    from disobey.job import Job
    from disobey.stores.manifest import Manifest

SPLITS = ("test", "train")  # the first one is shown first
OF_LOGITS = ("dump", "compared", "classify")  # stages that make stores of logits


@dataclass(frozen=True)
class Setting:
    """One setting, or comparison, as its analysis recorded it.

    Attributes
    ----------
    about : dict
        What figures and tables say of it.
    data : str
        The id of the store that says which examples there are.
    labels : str or None
        The id of the store its labels come from: of noisy ones, or ``data``; None without labels.
    seeds : list of SeedRuns
    splits : sequence of str
    teachers : int
        Different ones, of all seeds, replicates included.
    """

    about: Mapping[str, Any]
    data: str
    labels: str | None
    seeds: Sequence[SeedRuns]
    splits: Sequence[str] = SPLITS
    teachers: int = 1

    def runs(self) -> Iterable[str]:
        """Return every run once."""
        return dict.fromkeys(run for of_seed in self.seeds for run in of_seed.all)


@dataclass(frozen=True)
class Sources:
    """What a page is made of.

    Attributes
    ----------
    settings : dict of Setting, by name
    logits : dict of (Path, str), by run
        A store and its variable.
    data : dict of Path, by id
        The stores that say which examples there are, and what can be shown of them.
    """

    settings: Mapping[str, Setting]
    logits: Mapping[str, tuple[Path, str]]
    data: Mapping[str, Path]


def sources_of(job: "Job") -> Sources:
    """Return the settings that a job's spec names, in its order, with their stores, verified."""
    analyses = {name: job.input(name, "confidence").spec for name in job.spec["settings"]}
    seeds = {name: seeds_of(analysis) for name, analysis in analyses.items()}
    runs = dict.fromkeys(run for of in seeds.values() for of_seed in of for run in of_seed.all)
    addresses = {run: store_and_variable(run) for run in runs}
    stores = {id: _of_logits(job, id) for id in dict.fromkeys(id for id, _ in addresses.values())}
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


def _of_logits(job: "Job", id: str) -> "Manifest":
    """Return the manifest of a store of logits, whichever stage made it."""
    made = {m.id: m for m in job.inputs if m.record["stage"] in OF_LOGITS}
    return made.get(id) or job.input(id)  # which says what is not there


def _examples_of(logits: "Manifest") -> tuple[str, str]:
    """Return the ids of the stores of the examples of some logits, and of their labels."""
    spec = logits.spec.get("dataset", {}) if logits.record["stage"] == "compared" else logits.spec
    data = spec.get("data", logits.id)
    return data, spec.get("labels", data)
