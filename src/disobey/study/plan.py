"""From a study to its jobs: which stores are made, out of what, by which code. Pure.

A store's id is a readable prefix and eight hex digits of its spec, in which the stores that it is
made from stand by their ids. Nothing here knows a setting's name except what is made per setting.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from disobey.errors import UserError
from disobey.members import member
from disobey.provenance import canonical, spec_id
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.strict import spec_of
from disobey.study.models import Setting, Study

# A student of seed s must not start like the teacher of seed s: with the same initialisation and
# batch order the reference of a self-distillation would *be* the teacher.
STUDENT_SEEDS_FROM = 1_000_000

SETTING_FIGURES = ("exaggeration",)
STUDY_FIGURES = ("calibrated", "inheritance", "accuracy", "fidelity")
TABLES = ("accuracy", "confidence", "claims", "summary")

# A shell line carries the spec; Linux refuses one argument above 128 KiB.
LONGEST_SPEC = 64 * 1024
# A network of many layers must still give a file name that file systems take (255 bytes).
LONGEST_LABEL = 60


@dataclass(frozen=True)
class PlannedJob:
    """One job of the workflow.

    Attributes
    ----------
    stage : str
        Which command makes it.
    key : str
        The values of the rule's wildcards, joined by ``/``.
    spec : str
        Canonical JSON of all that the job depends on.
    modules : tuple of str
        The stage's module and the registry members that the spec names.
    inputs : tuple of str
        Manifests of the upstream stores.
    manifest : str
        The manifest that it writes.
    texts : tuple of str
        Names of captions that the job reads: part of its code.
    """

    stage: str
    key: str
    spec: str
    modules: tuple[str, ...]
    inputs: tuple[str, ...]
    manifest: str
    texts: tuple[str, ...] = ()

    @property
    def spec_hash(self) -> str:
        """The hash that the manifest of an up-to-date store has."""
        return hashlib.sha256(self.spec.encode()).hexdigest()


@dataclass(frozen=True)
class SettingRuns:
    """The runs of one setting, in the order of the study's seeds."""

    teachers: tuple[str, ...]
    references: tuple[str, ...]
    students: tuple[str, ...]

    def all(self) -> tuple[str, ...]:
        """Return every run once."""
        return tuple(dict.fromkeys((*self.teachers, *self.references, *self.students)))


@dataclass
class Plan:
    """All jobs of a study, by stage and key; equal jobs are one."""

    study: str
    jobs: dict[tuple[str, str], PlannedJob] = field(default_factory=dict)
    settings: dict[str, SettingRuns] = field(default_factory=dict)

    def manifests(self) -> list[str]:
        """Return every manifest, upstream before downstream."""
        return [job.manifest for job in self.jobs.values()]

    def add(
        self,
        stage: str,
        key: str,
        spec: Mapping[str, Any],
        store: str,
        inputs: tuple[str, ...] = (),
        members: tuple[str, ...] = (),
        texts: tuple[str, ...] = (),
    ) -> str:
        """Add a job unless it is there already; return its manifest."""
        text = canonical(spec)
        if len(text) > LONGEST_SPEC:
            raise UserError(
                f"{store}: its spec has {len(text)} bytes, over {LONGEST_SPEC}; split the study "
                f"into two files, or shorten the names of its settings"
            )
        modules = (f"disobey.stages.{stage}", *members)
        job = PlannedJob(stage, key, text, modules, inputs, manifest_of(store), texts)
        known = self.jobs.setdefault((stage, key), job)
        if known != job:
            raise UserError(
                f"two different jobs are both called {stage} {key}: eight hex digits collided; "
                f"change any value of one of them"
            )
        return job.manifest


def make_plan(study: Study) -> Plan:
    """Return all jobs that ``study`` asks for.

    Examples
    --------
    >>> plan = make_plan(load_study("config.yaml"))  # doctest: +SKIP
    >>> [job.stage for job in plan.jobs.values()]  # doctest: +SKIP
    """
    planner = _Planner(study, Plan(study.study))
    for name, setting in study.settings.items():
        planner.setting(name, setting)
    planner.results()
    return planner.plan


class _Planner:
    """Adds jobs to a plan, from the data down to the report."""

    def __init__(self, study: Study, plan: Plan) -> None:
        self.study = study
        self.plan = plan
        self.analyses: dict[str, str] = {}

    # --- data -------------------------------------------------------------------------------

    def data(self, dataset: str) -> str:
        """Plan the prepared data; return its id."""
        spec = spec_of(self.study.datasets[dataset])
        spec.pop("label_noise", None)
        id = spec_id(spec["name"], spec)
        members = (member("data.sources", spec["name"]),)
        self.plan.add("prepare", id, spec, layout.DATA.format(data=id), members=members)
        return id

    def labels(self, dataset: str) -> str | None:
        """Plan the noisy labels; return their id, or None where labels are clean."""
        noise = self.study.datasets[dataset].label_noise
        if noise is None:
            return None
        data = self.data(dataset)
        spec = {"data": data, "label_noise": spec_of(noise)}
        name = self.study.datasets[dataset].name
        id = spec_id(f"{name}-noise{noise.rate:g}", spec)
        upstream = (manifest_of(layout.DATA.format(data=data)),)
        self.plan.add("labels", id, spec, layout.LABELS.format(labels=id), upstream)
        return id

    # --- runs -------------------------------------------------------------------------------

    def run(
        self,
        dataset: str,
        model: str,
        recipe: str,
        seed: int,
        distill: Mapping[str, Any] | None = None,
    ) -> str:
        """Plan the training of one model and the dump of its logits; return the run's id."""
        options, data, labels = self.study.models[model], self.data(dataset), self.labels(dataset)
        spec: dict[str, Any] = {
            "data": data,
            "model": spec_of(options),
            "recipe": spec_of(self.study.recipes[recipe]),
            "seeds": {"initialisation": seed, "order": seed},
        }
        upstream = [layout.DATA.format(data=data)]
        loss, how = "one_hot", "onehot"
        if labels is not None:
            spec["labels"] = labels
            upstream.append(layout.LABELS.format(labels=labels))
        if distill is not None:
            spec["distill"] = dict(distill)
            upstream.append(layout.LOGITS.format(run=distill["teacher"]))
            loss, how = "distillation", f"kd-T{distill['temperature']:g}"
        noisy = data if labels is None else labels
        shape = options.label()[:LONGEST_LABEL]
        id = spec_id(f"{noisy.rpartition('-')[0]}-{shape}-{how}-s{seed}", spec)
        self.plan.add(
            "train",
            id,
            spec,
            layout.RUN.format(run=id),
            tuple(map(manifest_of, upstream)),
            (member("models", options.family), member("training.losses", loss)),
        )
        self._dump(id, data, labels, options.family)
        return id

    def _dump(self, run: str, data: str, labels: str | None, family: str) -> None:
        spec = {"run": run, "data": data} | ({} if labels is None else {"labels": labels})
        upstream = [layout.RUN.format(run=run), layout.DATA.format(data=data)]
        if labels is not None:
            upstream.append(layout.LABELS.format(labels=labels))
        self.plan.add(
            "dump",
            run,
            spec,
            layout.LOGITS.format(run=run),
            tuple(map(manifest_of, upstream)),
            (member("models", family),),
        )

    # --- what is made per setting -------------------------------------------------------------

    def setting(self, name: str, setting: Setting) -> None:
        """Plan teachers, references and students of a setting, and their analysis."""
        teachers, references, students = [], [], []
        for seed in self.study.seeds:
            teacher_recipe = setting.teacher_recipe or setting.recipe
            teacher = self.run(setting.dataset, setting.teacher, teacher_recipe, seed)
            other = STUDENT_SEEDS_FROM + seed
            of_student = (setting.dataset, setting.student, setting.recipe, other)
            distill = spec_of(setting.distill) | {"teacher": teacher}
            teachers.append(teacher)
            references.append(self.run(*of_student))
            students.append(self.run(*of_student, distill))
        runs = SettingRuns(tuple(teachers), tuple(references), tuple(students))
        self.plan.settings[name] = runs
        spec = {
            "about": self._about(setting),
            "seeds": list(self.study.seeds),
            "teachers": teachers,
            "references": references,
            "students": students,
            "analysis": spec_of(self.study.analysis),
        }
        upstream = tuple(manifest_of(layout.LOGITS.format(run=run)) for run in runs.all())
        store = layout.ANALYSIS.format(study=self.study.study, setting=name)
        key = f"{self.study.study}/{name}"
        self.analyses[name] = self.plan.add("confidence", key, spec, store, upstream)

    def _about(self, setting: Setting) -> dict[str, Any]:
        """Return the words that figures and tables say of a setting."""
        dataset = self.study.datasets[setting.dataset]
        return {
            "dataset": dataset.name,
            "label_noise": dataset.label_noise.rate if dataset.label_noise else 0.0,
            "teacher": setting.teacher,
            "student": setting.student,
            "temperature": setting.distill.temperature,
            "weight": setting.distill.weight,
        }

    # --- what is made per study ---------------------------------------------------------------

    def results(self) -> None:
        """Plan tables, figures and the report."""
        study, everything = self.study.study, tuple(self.analyses.values())
        common = {"study": study, "settings": list(self.analyses)}
        tables = tuple(
            self.plan.add(
                "table",
                f"{study}/{table}",
                common | {"table": table},
                layout.TABLE.format(study=study, table=table),
                everything,
                (member("analysis.tables", table),),
            )
            for table in TABLES
        )
        figures = [
            self._figure(figure, f"{figure}-{name}", [name], (analysis,))
            for figure in SETTING_FIGURES
            for name, analysis in self.analyses.items()
        ]
        figures += [
            self._figure(figure, figure, list(self.analyses), everything)
            for figure in STUDY_FIGURES
        ]
        spec = common | {"seeds": list(self.study.seeds)}
        store = layout.REPORT.format(study=study)
        upstream = (*tables, *figures, *everything)
        texts = (*SETTING_FIGURES, *STUDY_FIGURES)
        self.plan.add("report", study, spec, store, upstream, texts=texts)

    def _figure(
        self, figure: str, name: str, settings: list[str], analyses: tuple[str, ...]
    ) -> str:
        study = self.study.study
        return self.plan.add(
            "figure",
            f"{study}/{name}",
            {"study": study, "figure": figure, "settings": settings},
            layout.FIGURE.format(study=study, figure=name),
            analyses,
            (member("figures", figure),),
        )
