"""Comparisons: which models they hold against each other, and where these lie. Pure."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disobey.comparison.files import (
    SPLITS,
    TEST,
    TRAIN,
    UNNAMED,
    labels_facts,
    logits_facts,
)
from disobey.stores import layout
from disobey.stores.contents import facts_of
from disobey.study.comparisons import ROLE_KEYS, ComparedCheckpoints, ComparedLogits, Comparison
from disobey.study.external_models import ExternalModels
from disobey.study.jobs import SettingRuns
from disobey.study.models import Study


@dataclass(frozen=True)
class ComparedRuns:
    """The models of a comparison.

    Attributes
    ----------
    runs : SettingRuns
        Addresses of logits, see `disobey.stores.layout.logits_address`; teachers beyond the number
        of students are replicates.
    splits : tuple of str
    about : dict
        What tables and figures say of them.
    """

    runs: SettingRuns
    splits: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)


class Comparisons:
    """Plans the stores of comparisons.

    Parameters
    ----------
    study : Study
    external : ExternalModels
        Adds the jobs.
    """

    def __init__(self, study: Study, external: ExternalModels) -> None:
        self.study = study
        self.external = external

    def plan_models(self, name: str) -> ComparedRuns:
        """Plan the stores of a comparison's models."""
        options = self.study.comparisons[name]
        if isinstance(options, ComparedLogits):
            return self._of_files(name, options)
        return self._of_checkpoints(options)

    def _of_files(self, name: str, options: ComparedLogits) -> ComparedRuns:
        given = {key: getattr(options, key) for key in ("classes", "probabilities", "split")}
        files = options.files() | ({} if options.labels is None else {"labels": [options.labels]})
        facts = facts_of_files(options, self.study.data_root)
        id, splits = self.external.files(name, files, options.dataset, facts, given)
        about = self._about(options, name) | {"label_noise": noise_of(self.study, name)}
        teacher, student = (Path(of[0]).stem for of in (options.teachers, options.students))
        about |= {"teacher": teacher, "student": student}
        return ComparedRuns(_addresses(id, options), splits, about)

    def _of_checkpoints(self, options: ComparedCheckpoints) -> ComparedRuns:
        splits = tuple(split for split in SPLITS if split in options.splits)
        ids = {
            key: tuple(
                self.external.classified(options.dataset, one, splits, options.max_tokens)
                for one in given
            )
            for key in ROLE_KEYS
            if (given := getattr(options, key)) is not None
        }
        teachers = (*ids["teachers"], *ids.get("replicates", ()))
        runs = SettingRuns(teachers, ids.get("references", ()), ids["students"])
        about = self._about(options, "") | {"label_noise": 0.0}
        about |= {"teacher": options.teachers[0].label(), "student": options.students[0].label()}
        return ComparedRuns(runs, splits, about)

    def _about(self, options: Comparison, name: str) -> dict[str, Any]:
        """Return what tables and figures say of the data and the distillation."""
        about: dict[str, Any] = {"dataset": name, "source": options.source}
        if options.dataset is not None:
            about["dataset"] = self.study.datasets[options.dataset].name
        if options.temperature is not None:
            about["temperature"] = options.temperature
        return about


def _addresses(id: str, options: ComparedLogits) -> SettingRuns:
    """Return where each model's logits are in the store; replicates are further teachers."""
    numbers = {key: len(files) for key, files in options.files().items()}

    def of(role: str, number: int) -> tuple[str, ...]:
        return tuple(layout.logits_address(id, role, k) for k in range(number))

    teachers = numbers["teachers"] + numbers.get("replicates", 0)
    references, students = numbers.get("references", 0), numbers["students"]
    return SettingRuns(
        of("teacher", teachers), of("reference", references), of("student", students)
    )


def facts_of_files(options: ComparedLogits, root: str | None) -> dict[str, dict[str, Any]]:
    """Return rows, classes and label noise of each split, as the first teacher's file has them.

    Raises
    ------
    UserError
        When a file cannot be read.
    """
    named = [
        (key, Path(root or "", file)) for key, files in options.files().items() for file in files
    ]
    all_facts = [facts_of(path, logits_facts) for _, path in named]
    unnamed = options.split or TEST
    by_split = {split or unnamed: dict(facts) for split, facts in all_facts[0].items()}
    if options.labels is not None:
        all_facts.append(facts_of(Path(root or "", options.labels), labels_facts))
    for split, first in by_split.items():
        told = [facts.get(split, facts.get(UNNAMED, {})).get("noise") for facts in all_facts]
        first["noise"] = next((noise for noise in told if noise is not None), None)
    return by_split


def noise_of(study: Study, name: str) -> float:
    """Return the share of a comparison's training labels that are wrong; 0 where nobody says so."""
    options = study.comparisons[name]
    if not isinstance(options, ComparedLogits):
        return 0.0
    facts = facts_of_files(options, study.data_root)
    if TRAIN not in facts:
        return 0.0
    noise = None if options.dataset is None else study.datasets[options.dataset].label_noise
    return noise.rate if noise is not None else float(facts[TRAIN]["noise"] or 0.0)
