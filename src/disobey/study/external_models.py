"""Plans of the jobs that store the logits of external models, for comparisons and as teachers.

Planning reads only the user's own files, since ids depend on their content.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from disobey.analysis.names import TEACHER
from disobey.comparison.files import SPLITS, TEST, TRAIN, UNNAMED, labels_facts, logits_facts
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files
from disobey.models.options import Checkpoint
from disobey.models.shapes import Shape
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.contents import content_of, facts_of
from disobey.study.comparisons import (
    ComparedCheckpoints,
    ComparedLogits,
    ExternalCheckpoints,
    ExternalTeacher,
)
from disobey.study.jobs import Plan, SettingRuns, data_stores
from disobey.study.models import Study
from disobey.study.runs import Runs
from disobey.study.sizes import FLOAT, Data

# Rows, classes and label noise of each split of a file.
Facts = Mapping[str, Mapping[str, Any]]


class ExternalModels:
    """Adds the jobs to a plan, equal jobs once; ``runs`` adds the jobs of the data sets."""

    def __init__(self, study: Study, plan: Plan, runs: Runs) -> None:
        self.study, self.plan, self.runs = study, plan, runs
        self.teachers = functools.cache(self._teachers)  # called for every seed of a setting

    def _teachers(self, name: str, dataset: str) -> tuple[str, ...]:
        """Plan an entry of ``teachers`` for a data set; return the addresses of their logits.

        The teachers of the seeds come first, in the order of the seeds, then the replicates.
        """
        options = self.study.teachers[name]
        taught, replicates = (
            tuple(self._teacher(options, model, dataset) for model in models)
            for models in options.models().values()
        )
        # A single teacher teaches every seed, and is never a replicate.
        return (taught * len(self.study.seeds) if len(taught) == 1 else taught) + replicates

    def _teacher(self, options: ExternalTeacher, model: str | Checkpoint, dataset: str) -> str:
        """Plan the store of one teacher; return the address of its logits.

        Each teacher has its own store, so that a changed file retrains only its own students. The
        id contains no name of an entry of the study.
        """
        if isinstance(options, ExternalCheckpoints):
            assert isinstance(model, Checkpoint)
            return self._classified(dataset, model, SPLITS, options.max_tokens)
        assert isinstance(model, str)
        facts = facts_of(Path(self.study.data_root or "", model), logits_facts)
        called = f"{self.study.datasets[dataset].name}-teacher"
        given = {"probabilities": options.probabilities}
        id, _ = self._files(called, {"teachers": [model]}, dataset, facts, given)
        return layout.logits_address(id, TEACHER, 0)

    def _files(
        self,
        name: str,
        files: Mapping[str, Sequence[str]],
        dataset: str | None,
        facts: Facts,
        given: Mapping[str, Any],
    ) -> tuple[str, tuple[str, ...]]:
        """Plan one store of the models in some files; return its id and its splits.

        ``name`` is the readable part of the id. ``files`` maps the keys of a comparison, and
        ``labels`` with at most one file, to paths. ``dataset`` is the data set of the examples, if
        known. ``given`` holds the study's other options for the files; empty ones are left out.
        """
        root = self.study.data_root or ""
        paths = {
            key: [Path(root, file) for file in of_key] for key, of_key in files.items() if of_key
        }
        spec: dict[str, Any] = {
            key: [content_of([path]) for path in of_key] for key, of_key in paths.items()
        }
        if "labels" in spec:
            (spec["labels"],) = spec["labels"]
        spec |= {key: value for key, value in given.items() if value}
        if dataset is not None:
            spec["dataset"] = self.runs.on_data(dataset)
            spec["dataset"].pop("centre", None)
        spec["splits"] = [split for split in SPLITS if split in facts]
        id = spec_id(name, spec)
        self.plan.add("compared", id, spec, data_stores(spec.get("dataset", {})))
        self.plan.files[id] = {key: list(map(str, of_key)) for key, of_key in paths.items()}
        self.plan.sizes[id] = _sizes(facts)
        return id, tuple(spec["splits"])

    def _classified(
        self, dataset: str, checkpoint: Checkpoint, splits: Sequence[str], max_tokens: int | None
    ) -> str:
        """Plan the inference of a checkpoint on a data set; return the id of the store."""
        options, place = self.study.datasets[dataset], checkpoint.place()
        spec: dict[str, Any] = {
            "data": self.runs.data(dataset), "splits": list(splits), "kind": options.rows,
        }  # fmt: skip
        if place is None:
            spec |= checkpoint.hub_spec()
        else:
            spec["content"] = content_of(checkpoint_files(place, CLASSIFIER_FILES))
        for key, given in (("max_tokens", max_tokens), ("outputs", checkpoint.outputs)):
            spec |= {} if given is None else {key: given}
        id = spec_id(f"{options.name}-{checkpoint.label()}", spec)
        self.plan.add("classify", id, spec, data_stores(spec), _exported(checkpoint))
        self.plan.classifiers[id] = checkpoint
        return id

    def comparison(self, name: str) -> tuple[SettingRuns, tuple[str, ...], dict[str, Any]]:
        """Plan the stores of a comparison's models.

        Returns
        -------
        runs : SettingRuns
            Addresses of logits, see `disobey.stores.layout.logits_address`.
        splits : tuple of str
        about : dict
            Descriptions for tables and figures.
        """
        options = self.study.comparisons[name]
        about: dict[str, Any] = {"dataset": name, "source": options.source}
        if options.dataset is not None:
            about["dataset"] = self.study.datasets[options.dataset].name
        if options.temperature is not None:
            about["temperature"] = options.temperature
        about["label_noise"] = noise_of(self.study, name)
        if isinstance(options, ComparedLogits):
            runs, splits = self._of_files(name, options)
            teacher, student = (Path(of[0]).stem for of in (options.teachers, options.students))
        else:
            runs, splits = self._of_checkpoints(options)
            teacher, student = options.teachers[0].label(), options.students[0].label()
        return runs, splits, about | {"teacher": teacher, "student": student}

    def _of_files(self, name: str, options: ComparedLogits) -> tuple[SettingRuns, tuple[str, ...]]:
        given = {key: getattr(options, key) for key in ("classes", "probabilities", "split")}
        labels = [] if options.labels is None else [options.labels]
        files = options.models() | {"labels": labels}
        facts = facts_of_files(options, self.study.data_root)
        id, splits = self._files(name, files, options.dataset, facts, given)
        number = {key: len(of_key) for key, of_key in options.models().items()}
        number["teachers"] += number.pop("replicates")  # replicates are further teachers
        addresses = {
            key: tuple(layout.logits_address(id, key.removesuffix("s"), k) for k in range(count))
            for key, count in number.items()
        }
        runs = SettingRuns(addresses["teachers"], addresses["references"], addresses["students"])
        return runs, splits

    def _of_checkpoints(self, options: ComparedCheckpoints) -> tuple[SettingRuns, tuple[str, ...]]:
        splits = tuple(split for split in SPLITS if split in options.splits)
        ids = {
            key: tuple(
                self._classified(options.dataset, one, splits, options.max_tokens) for one in of_key
            )
            for key, of_key in options.models().items()
        }
        ids["teachers"] += ids.pop("replicates")
        runs = SettingRuns(ids["teachers"], ids["references"], ids["students"])
        return runs, splits


def _exported(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the modules that load a model which this package exported under its own type."""
    model = checkpoint.config().get("disobey")
    if not model:
        return ()
    return "disobey.models.exported", f"disobey.models.{model['model']['family']}"


def _sizes(facts: Facts) -> Data:
    rows = {split: facts.get(split, {"rows": 0})["rows"] for split in SPLITS}
    classes = max(of_split["classes"] for of_split in facts.values())
    return Data(rows["train"], rows["test"], Shape((1,), classes), FLOAT)


def facts_of_files(options: ComparedLogits, root: str | None) -> dict[str, dict[str, Any]]:
    """Return rows, classes and label noise of each split in the first teacher's file."""
    files = [Path(root or "", file) for of_key in options.models().values() for file in of_key]
    all_facts = [facts_of(path, logits_facts) for path in files]
    unnamed = options.split or TEST
    by_split = {split or unnamed: dict(facts) for split, facts in all_facts[0].items()}
    if options.labels is not None:
        all_facts.append(facts_of(Path(root or "", options.labels), labels_facts))
    for split, first in by_split.items():
        told = [facts.get(split, facts.get(UNNAMED, {})).get("noise") for facts in all_facts]
        first["noise"] = next((noise for noise in told if noise is not None), None)
    return by_split


def noise_of(study: Study, name: str) -> float:
    """Return the share of wrong training labels in a comparison; 0 if unknown."""
    options = study.comparisons[name]
    if not isinstance(options, ComparedLogits):
        return 0.0
    facts = facts_of_files(options, study.data_root)
    if TRAIN not in facts:
        return 0.0
    noise = None if options.dataset is None else study.datasets[options.dataset].label_noise
    return noise.rate if noise is not None else float(facts[TRAIN]["noise"] or 0.0)
