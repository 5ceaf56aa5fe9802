"""Jobs of comparisons: models that were made elsewhere become stores of logits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disobey.comparison.facts import labels_facts, logits_facts
from disobey.comparison.files import SPLITS, TEST, TRAIN, UNNAMED
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files
from disobey.models.cost import Shape
from disobey.models.options.checkpoint import Checkpoint
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.contents import content_of, facts_of
from disobey.stores.layout import manifest_of
from disobey.study.comparisons import ROLE_KEYS, ComparedCheckpoints, ComparedLogits, Comparison
from disobey.study.jobs import Plan, SettingRuns
from disobey.study.models import Study
from disobey.study.sizes import FLOAT, Data
from disobey.study.sources import Sources


@dataclass(frozen=True)
class ComparedRuns:
    """The models of a comparison.

    Attributes
    ----------
    runs : SettingRuns
        Addresses of logits, see `disobey.stores.rows.logits_at`; teachers beyond the number of
        students are replicates.
    stores : tuple of str
        What they lie in.
    splits : tuple of str
    about : dict
        What tables and figures say of them.
    """

    runs: SettingRuns
    stores: tuple[str, ...]
    splits: tuple[str, ...]
    about: dict[str, Any] = field(default_factory=dict)


class Comparisons:
    """Adds the jobs of comparisons.

    Parameters
    ----------
    study : Study
    plan : Plan
        Grows by the jobs.
    sources : Sources
        Of the data sets.
    """

    def __init__(self, study: Study, plan: Plan, sources: Sources) -> None:
        self.study = study
        self.plan = plan
        self.sources = sources

    def plan_models(self, name: str) -> ComparedRuns:
        """Plan the stores of a comparison's models."""
        options = self.study.comparisons[name]
        if isinstance(options, ComparedLogits):
            return self._of_files(name, options)
        return self._of_checkpoints(options)

    # --- files of logits --------------------------------------------------------------------

    def _of_files(self, name: str, options: ComparedLogits) -> ComparedRuns:
        root, by_key = self.study.data_root, options.files()
        paths = {key: [Path(root or "", file) for file in given] for key, given in by_key.items()}
        spec: dict[str, Any] = {
            key: [content_of([path]) for path in of_key] for key, of_key in paths.items()
        }
        for key in ("classes", "probabilities", "split"):
            if given := getattr(options, key):
                spec[key] = given
        files = {key: list(map(str, of_key)) for key, of_key in paths.items()}
        if options.labels is not None:
            place = Path(root or "", options.labels)
            spec["labels"], files["labels"] = content_of([place]), [str(place)]
        upstream: list[str] = []
        if options.dataset is not None:
            spec["dataset"] = self.sources.on_data(options.dataset)
            spec["dataset"].pop("centre", None)
            upstream = self.sources.stores(options.dataset)
        facts = facts_of_files(options, root)
        spec["splits"] = [split for split in SPLITS if split in facts]
        id = spec_id(name, spec)
        store = layout.COMPARED.format(compared=id)
        self.plan.add("compared", id, spec, store, tuple(map(manifest_of, upstream)))
        self.plan.files[id] = files
        self.plan.sizes[id] = _sizes(facts)
        about = self._about(options, name) | {"label_noise": noise_of(self.study, name)}
        about |= {"teacher": paths["teachers"][0].stem, "student": paths["students"][0].stem}
        return ComparedRuns(_addresses(id, options), (store,), tuple(spec["splits"]), about)

    # --- checkpoints ------------------------------------------------------------------------

    def _of_checkpoints(self, options: ComparedCheckpoints) -> ComparedRuns:
        ids = {
            key: tuple(self._classified(options, checkpoint) for checkpoint in given)
            for key in ROLE_KEYS
            if (given := getattr(options, key)) is not None
        }
        teachers = (*ids["teachers"], *ids.get("replicates", ()))
        runs = SettingRuns(teachers, ids.get("references", ()), ids["students"])
        stores = tuple(layout.CLASSIFIED.format(run=id) for of in ids.values() for id in of)
        splits = tuple(split for split in SPLITS if split in options.splits)
        about = self._about(options, "") | {"label_noise": 0.0}
        about |= {"teacher": options.teachers[0].label(), "student": options.students[0].label()}
        return ComparedRuns(runs, tuple(dict.fromkeys(stores)), splits, about)

    def _classified(self, options: ComparedCheckpoints, checkpoint: Checkpoint) -> str:
        """Plan one checkpoint's run over the data; return the id of its logits."""
        data = self.sources.data(options.dataset)
        spec: dict[str, Any] = {
            "data": data,
            "splits": [split for split in SPLITS if split in options.splits],
            "kind": self.study.datasets[options.dataset].kind,
        }
        place = checkpoint.place()
        spec |= (
            checkpoint.hub_spec()
            if place is None
            else {"content": content_of(checkpoint_files(place, CLASSIFIER_FILES))}
        )
        for key, given in (("max_tokens", options.max_tokens), ("outputs", checkpoint.outputs)):
            spec |= {} if given is None else {key: given}
        id = spec_id(f"{self.study.datasets[options.dataset].name}-{checkpoint.label()}", spec)
        upstream = tuple(map(manifest_of, self.sources.stores(options.dataset, labels=False)))
        members = self.sources.decoding(options.dataset)
        self.plan.add("classify", id, spec, layout.CLASSIFIED.format(run=id), upstream, members)
        self.plan.classifiers[id] = checkpoint
        return id

    # --- both -------------------------------------------------------------------------------

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


def _sizes(facts: dict[str, dict[str, Any]]) -> Data:
    rows = {split: facts.get(split, {"rows": 0})["rows"] for split in SPLITS}
    classes = max(of_split["classes"] for of_split in facts.values())
    return Data(rows["train"], rows["test"], Shape((1,), classes), FLOAT)
