"""A study's jobs and plan as plain data. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disobey.data.label_noise import number_seen
from disobey.errors import UserError
from disobey.models.options import Checkpoint, Pretrained
from disobey.provenance import canonical
from disobey.stores.layout import STORES, manifest_of, store_and_variable, store_of
from disobey.study.sizes import Data

Name = tuple[str, str]  # of a job: stage and key
# Stages with many inputs: their rules pass the spec and the inputs on standard input.
BY_STDIN = ("table", "figure", "explorer", "report")
# Most bytes of a command's arguments for other stages: Linux refuses arguments above 128 KiB.
LONGEST_COMMAND = 100_000


def store_at(stage: str, key: str) -> str:
    """Return the store that a stage's job writes, by the job's key."""
    values = iter(key.split("/"))
    return re.sub(r"{\w+}", lambda _: next(values), STORES[stage])


def data_stores(spec: Mapping[str, Any]) -> list[str]:
    """Return the stores of data that a spec names, and of the labels if they are separate."""
    named = {"prepare": "data", "labels": "labels"}
    return [store_at(stage, spec[key]) for stage, key in named.items() if key in spec]


@dataclass(frozen=True)
class PlannedJob:
    """One job of the workflow.

    ``key`` joins the values of the rule's wildcards by ``/``, ``spec`` is the canonical JSON of
    everything that the job depends on, ``inputs`` are the manifests of the upstream stores, and
    ``manifest`` is the manifest that it writes. ``roots`` name the entry points of its code: the
    stage's ``run``, and the members of registries that the spec names (see
    `disobey.code_digest.code_digest`). ``texts`` are the names of the captions that it reads, which
    count as code.
    """

    stage: str
    key: str
    spec: str
    roots: tuple[str, ...]
    inputs: tuple[str, ...]
    manifest: str
    texts: tuple[str, ...] = ()

    @property
    def command_bytes(self) -> int:
        """The size in bytes of those arguments of its command that grow with the study."""
        if self.stage in BY_STDIN:
            return 0
        # each word is quoted; the quotes inside the spec stay one byte each
        return sum(len(word.encode()) + 3 for word in (self.spec, *self.inputs))

    @property
    def spec_hash(self) -> str:
        """The hash of the spec, as in the manifest of an up-to-date store."""
        return hashlib.sha256(self.spec.encode()).hexdigest()


@dataclass(frozen=True)
class SettingRuns:
    """The runs of one setting, in the order of the study's seeds.

    Teachers beyond the number of students serve only as replicates.
    """

    teachers: tuple[str, ...]
    references: tuple[str, ...]
    students: tuple[str, ...]
    placebos: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self) -> tuple[str, ...]:
        """Return every run once."""
        placebos = (run for runs in self.placebos.values() for run in runs)
        return tuple(dict.fromkeys((*self.teachers, *self.references, *self.students, *placebos)))


@dataclass
class Plan:
    """All jobs of a study by stage and key, equal jobs once.

    ``sizes`` and ``files`` map the id of a data store to its sizes and to the user's own files.
    ``pretrained`` and ``classifiers`` map ids of stores of weights and of logits to the options of
    their checkpoints, since the place and size of a checkpoint are not part of a spec.
    """

    study: str
    jobs: dict[tuple[str, str], PlannedJob] = field(default_factory=dict)
    settings: dict[str, SettingRuns] = field(default_factory=dict)
    sizes: dict[str, Data] = field(default_factory=dict)
    files: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    pretrained: dict[str, Pretrained] = field(default_factory=dict)
    classifiers: dict[str, Checkpoint] = field(default_factory=dict)

    def manifests(self) -> list[str]:
        """Return every manifest, upstream before downstream."""
        return [job.manifest for job in self.jobs.values()]

    def source_of(self, key: str) -> Path | str:
        """Return the source of a job's checkpoint: a folder, or a name on the hub."""
        options = (self.pretrained | self.classifiers)[key]
        return options.place() or str(options.checkpoint)

    def trained_on(self, spec: Mapping[str, Any]) -> int:
        """Return the number of training examples of the run with a spec."""
        examples = self.sizes[spec["data"]].train
        if "labels" not in spec:
            return examples
        labels = json.loads(self.jobs["labels", spec["labels"]].spec)
        return number_seen(labels.get("student_share"), examples)

    def examples_of(self, address: str) -> str:
        """Return the key of ``sizes`` for the examples of a model's logits, by their address."""
        job = self._of_logits(address)
        # files of logits have sizes of their own
        return job.key if job.stage == "compared" else str(json.loads(job.spec)["data"])

    def logits_store(self, address: str) -> str:
        """Return the store that contains a model's logits, by their address."""
        return store_of(self._of_logits(address).manifest)

    def _of_logits(self, address: str) -> PlannedJob:
        id, _ = store_and_variable(address)
        stages = ("dump", "classify", "compared")
        return next(self.jobs[stage, id] for stage in stages if (stage, id) in self.jobs)

    def add(
        self,
        stage: str,
        key: str,
        spec: Mapping[str, Any],
        upstream: Iterable[str] = (),
        members: Iterable[str] = (),
        texts: tuple[str, ...] = (),
    ) -> str:
        """Add a job that reads the ``upstream`` stores, unless already added; return its store."""
        roots, store = (f"disobey.stages.{stage}:run", *members), store_at(stage, key)
        inputs = tuple(map(manifest_of, dict.fromkeys(upstream)))
        job = PlannedJob(stage, key, canonical(spec), roots, inputs, manifest_of(store), texts)
        if job.command_bytes > LONGEST_COMMAND:
            raise UserError(
                f"{store}: its command would have {job.command_bytes} bytes, over "
                f"{LONGEST_COMMAND}; split the study into two files, with fewer seeds or settings"
            )
        known = self.jobs.setdefault((stage, key), job)
        if known != job:
            raise UserError(
                f"two different jobs are both called {stage} {key}: twelve hex digits collided; "
                f"change any value of one of them"
            )
        return store
