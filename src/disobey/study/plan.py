"""From a study to its jobs: which stores are made, out of what, by which code. Pure.

A store's id is a readable prefix and eight hex digits of its spec, in which the stores that it is
made from stand by their ids. Nothing here knows a setting's name except what is made per setting.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from disobey.analysis.names import PLACEBOS, REFERENCE, STUDENT, TEACHER
from disobey.errors import UserError
from disobey.members import member
from disobey.provenance import canonical, spec_id
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.strict import spec_of
from disobey.study.figures import BIAS_FIGURES, figures_of
from disobey.study.models import Setting, StudentOf, Study
from disobey.training.parts import modules_of

# A student of seed s must not start like the teacher of seed s: with the same initialisation and
# batch order the reference of a self-distillation would *be* the teacher.
STUDENT_SEEDS_FROM = 1_000_000
# The placebo of another batch order: an order that no run of the study has.
PLACEBO_ORDERS_FROM = 1_000_000_000
# Shares of the common range of leading progress over which ratios are averaged [our choice]:
# beyond lies a plateau where even two one-hot models differ.
MATCHED_RANGE = (0.2, 0.7)

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
    placebos: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self) -> tuple[str, ...]:
        """Return every run once."""
        placebos = (run for runs in self.placebos.values() for run in runs)
        return tuple(dict.fromkeys((*self.teachers, *self.references, *self.students, *placebos)))


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
    for name in study.settings:
        planner.setting(name)
    planner.results()
    return planner.plan


class _Planner:
    """Adds jobs to a plan, from the data down to the report."""

    def __init__(self, study: Study, plan: Plan) -> None:
        self.study = study
        self.plan = plan
        # Manifests by the name of the setting, or of a setting's snapshot.
        self.analyses: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        self.biases: dict[str, str] = {}
        # Data set and model of each run, by their names in the study.
        self.made_of: dict[str, tuple[str, str]] = {}

    # --- data -------------------------------------------------------------------------------

    def data(self, dataset: str) -> str:
        """Plan the prepared data; return its id."""
        spec = spec_of(self.study.datasets[dataset])
        for of_runs in ("label_noise", "centre"):  # the store is the same with and without
            spec.pop(of_runs, None)
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
        recipe: Mapping[str, Any],
        seeds: Mapping[str, int],
        distill: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> str:
        """Plan the training of one model; return the run's id.

        Parameters
        ----------
        dataset, model : str
            Their names in the study.
        recipe, seeds, distill, progress : mapping
            As they stand in a run's spec.
        """
        options, labels = self.study.models[model], self.labels(dataset)
        spec = self._on_data(dataset) | {"model": spec_of(options), "recipe": dict(recipe)}
        spec["seeds"] = dict(seeds)
        upstream = self._data_stores(dataset)
        how = "onehot"
        if distill is not None:
            spec["distill"] = dict(distill)
            upstream.append(layout.LOGITS.format(run=distill["teacher"]))
            how = f"kd-T{distill['temperature']:g}"
        if progress is not None:
            spec["progress"] = dict(progress)
            upstream.append(layout.BASIS.format(basis=progress["basis"]))
        noisy = spec["data"] if labels is None else labels
        shape = options.label()[:LONGEST_LABEL]
        number = seeds["initialisation"]
        id = spec_id(f"{noisy.rpartition('-')[0]}-{shape}-{how}-s{number}", spec)
        self.plan.add(
            "train",
            id,
            spec,
            layout.RUN.format(run=id),
            tuple(map(manifest_of, upstream)),
            (member("models", options.family), *modules_of(spec)),
        )
        self.made_of[id] = (dataset, model)
        return id

    def logits(self, run: str, epoch: int | None = None) -> str:
        """Plan the dump of a run's logits, or of a snapshot's; return the id of the store."""
        dataset, model = self.made_of[run]
        spec: dict[str, Any] = {"run": run, "data": self.data(dataset)}
        labels = self.labels(dataset)
        if labels is not None:
            spec["labels"] = labels
        id = run
        if epoch is not None:
            spec["epoch"], id = epoch, layout.snapshot_of(run, epoch)
        upstream = [layout.RUN.format(run=run), *self._data_stores(dataset)]
        self.plan.add(
            "dump",
            id,
            spec,
            layout.LOGITS.format(run=id),
            tuple(map(manifest_of, upstream)),
            (member("models", self.study.models[model].family),),
        )
        return id

    def basis(self, setting: Setting, teacher: str) -> dict[str, Any]:
        """Plan the eigendirections of a setting's tracked layers.

        Returns
        -------
        dict
            ``progress`` of the specs of the runs that are tracked.
        """
        bias, options = setting.bias, self.study.models[setting.student]
        assert bias is not None
        known = options.trackable()
        spec = self._on_data(setting.dataset, labels=False) | {
            "model": spec_of(options),
            "layers": sorted(bias.layers),
        }
        upstream = self._data_stores(setting.dataset, labels=False)
        if not all(known[layer].first for layer in bias.layers):
            spec["run"] = teacher
            upstream.append(layout.RUN.format(run=teacher))
        prefix = spec["data"].rpartition("-")[0]
        id = spec_id(f"{prefix}-{options.label()[:LONGEST_LABEL]}", spec)
        self.plan.add(
            "basis",
            id,
            spec,
            layout.BASIS.format(basis=id),
            tuple(map(manifest_of, upstream)),
            (member("models", options.family),),
        )
        layers = {
            name: {"unit_norm": True} if known[name].unit_norm else {} for name in bias.layers
        }
        progress: dict[str, Any] = {"basis": id, "layers": layers}
        return progress | ({"directions": bias.directions} if bias.directions else {})

    def _on_data(self, dataset: str, *, labels: bool = True) -> dict[str, Any]:
        """Return what a spec says of the data that a model sees."""
        spec: dict[str, Any] = {"data": self.data(dataset)}
        noisy = self.labels(dataset) if labels else None
        centre = getattr(self.study.datasets[dataset], "centre", None)
        given = {"labels": noisy, "centre": centre}
        return spec | {key: value for key, value in given.items() if value is not None}

    def _data_stores(self, dataset: str, *, labels: bool = True) -> list[str]:
        noisy = self.labels(dataset) if labels else None
        stores = [layout.DATA.format(data=self.data(dataset))]
        return stores if noisy is None else [*stores, layout.LABELS.format(labels=noisy)]

    # --- what is made per setting -------------------------------------------------------------

    def setting(self, name: str) -> SettingRuns:
        """Plan teachers, references, students and placebos of a setting, and their analyses."""
        if name in self.plan.settings:
            return self.plan.settings[name]
        per_seed = [self._runs_of(name, i, seed) for i, seed in enumerate(self.study.seeds)]
        by_role = {role: tuple(runs[role] for runs in per_seed) for role in per_seed[0]}
        placebos = {role: by_role[role] for role in by_role if role in PLACEBOS}
        runs = SettingRuns(by_role[TEACHER], by_role[REFERENCE], by_role[STUDENT], placebos)
        self.plan.settings[name] = runs
        self.analyses[name] = self._confidence(name)
        setting = self.study.settings[name]
        if setting.over_training:
            for epoch in self.study.recipes[setting.recipe].snapshots or []:
                self.snapshots[layout.snapshot_of(name, epoch)] = self._confidence(name, epoch)
        if setting.bias is not None:
            self.biases[name] = self._bias(name)
        return runs

    def _runs_of(self, name: str, index: int, seed: int) -> dict[str, str]:
        """Plan the runs of one seed of a setting; return their ids by role."""
        setting = self.study.settings[name]
        teacher = self._teacher(setting, index, seed)
        other = STUDENT_SEEDS_FROM * self.round(name) + seed
        seeds = {"initialisation": other, "order": other}
        recipe = spec_of(self.study.recipes[setting.recipe])
        progress = None if setting.bias is None else self.basis(setting, teacher)

        def one_hot(recipe: Mapping[str, Any] = recipe, **changed: int) -> str:
            of_student = (setting.dataset, setting.student, recipe, seeds | changed)
            return self.run(*of_student, progress=progress)

        runs = {TEACHER: teacher, REFERENCE: one_hot()}
        for placebo in setting.bias.placebos if setting.bias else ():
            changed_recipe, changed_seeds = _placebo(placebo, recipe, setting, other)
            runs[placebo] = one_hot(changed_recipe, **changed_seeds)
        distill = spec_of(setting.distill) | {"teacher": self.logits(teacher)}
        runs[STUDENT] = self._student(setting, recipe, seeds, distill, progress) or runs[REFERENCE]
        return runs

    def _student(
        self,
        setting: Setting,
        recipe: Mapping[str, Any],
        seeds: Mapping[str, int],
        distill: dict[str, Any],
        progress: Mapping[str, Any] | None,
    ) -> str | None:
        """Plan a distilled student; None where its switch leaves only one-hot labels."""
        switch = setting.distill.switch
        if switch is not None and not switch.ramp and switch.at in (0, 1):
            if (switch.order == "distillation_first") == (switch.at == 0):
                return None
            del distill["switch"]
        of_student = (setting.dataset, setting.student, recipe, seeds)
        return self.run(*of_student, distill, progress)

    def _teacher(self, setting: Setting, index: int, seed: int) -> str:
        if isinstance(setting.teacher, StudentOf):
            return self.setting(setting.teacher.setting).students[index]
        recipe = spec_of(self.study.recipes[setting.teacher_recipe or setting.recipe])
        seeds = {"initialisation": seed, "order": seed}
        return self.run(setting.dataset, setting.teacher, _without_snapshots(recipe), seeds)

    def round(self, name: str) -> int:
        """Return how many distillations lie between a setting's student and one-hot labels."""
        teacher = self.study.settings[name].teacher
        return 1 + (self.round(teacher.setting) if isinstance(teacher, StudentOf) else 0)

    def _confidence(self, name: str, epoch: int | None = None) -> str:
        runs = self.plan.settings[name]
        teachers = [self.logits(run) for run in runs.teachers]
        references = [self.logits(run, epoch) for run in runs.references]
        students = [self.logits(run, epoch) for run in runs.students]
        about = self.about(name) | ({} if epoch is None else {"epoch": epoch})
        spec = {
            "about": about,
            "seeds": list(self.study.seeds),
            "teachers": teachers,
            "references": references,
            "students": students,
            "analysis": spec_of(self.study.analysis),
        }
        stores = dict.fromkeys((*teachers, *references, *students))
        upstream = tuple(manifest_of(layout.LOGITS.format(run=id)) for id in stores)
        called = name if epoch is None else layout.snapshot_of(name, epoch)
        store = layout.ANALYSIS.format(study=self.study.study, setting=called)
        return self.plan.add("confidence", f"{self.study.study}/{called}", spec, store, upstream)

    def _bias(self, name: str) -> str:
        runs, bias = self.plan.settings[name], self.study.settings[name].bias
        assert bias is not None
        by_role = {REFERENCE: runs.references, STUDENT: runs.students, **runs.placebos}
        spec = {
            "about": self.about(name),
            "seeds": list(self.study.seeds),
            "runs": {role: list(ids) for role, ids in by_role.items()},
            "layers": list(bias.layers),
            "range": list(MATCHED_RANGE),
        }
        ids = dict.fromkeys(id for ids in by_role.values() for id in ids)
        upstream = tuple(manifest_of(layout.RUN.format(run=id)) for id in ids)
        store = layout.BIAS.format(study=self.study.study, setting=name)
        return self.plan.add("bias", f"{self.study.study}/{name}", spec, store, upstream)

    def about(self, name: str) -> dict[str, Any]:
        """Return the words that figures and tables say of a setting."""
        setting = self.study.settings[name]
        dataset, recipe = self.study.datasets[setting.dataset], self.study.recipes[setting.recipe]
        teacher = setting.teacher
        about: dict[str, Any] = {
            "dataset": dataset.name,
            "label_noise": dataset.label_noise.rate if dataset.label_noise else 0.0,
            "teacher": f"student of {teacher.setting}"
            if isinstance(teacher, StudentOf)
            else teacher,
            "student": setting.student,
            "temperature": setting.distill.temperature,
            "weight": setting.distill.weight,
            "recipe": setting.recipe,
            "lr": recipe.lr,
            "epochs": recipe.epochs,
        }
        if not isinstance(teacher, StudentOf):
            about["teacher_recipe"] = setting.teacher_recipe or setting.recipe
        centre = getattr(dataset, "centre", None)
        about |= {} if centre is None else {"centre": centre}
        if setting.distill.switch is not None:
            about["switch"] = spec_of(setting.distill.switch)
        if setting.teacher_fits is not None:
            about["teacher_fits"] = setting.teacher_fits
        return about | ({"round": self.round(name)} if isinstance(teacher, StudentOf) else {})

    # --- what is made per study ---------------------------------------------------------------

    def results(self) -> None:
        """Plan tables, figures and the report."""
        study, everything = self.study.study, tuple(self.analyses.values())
        biases = tuple(self.biases.values())
        common = {"study": study, "settings": list(self.analyses)}
        if biases:
            common["biases"] = list(self.biases)
        tables = tuple(
            self.plan.add(
                "table",
                f"{study}/{table}",
                common | {"table": table},
                layout.TABLE.format(study=study, table=table),
                everything + biases,
                (member("analysis.tables", table),),
            )
            for table in (*TABLES, *(["bias"] if biases else []))
        )
        drawn = figures_of(self.study)
        figures = [self._figure(*figure) for figure in drawn]
        spec = common | {"seeds": list(self.study.seeds)}
        store = layout.REPORT.format(study=study)
        upstream = (*tables, *figures, *everything, *biases)
        texts = tuple(dict.fromkeys(figure.kind for figure in drawn))
        self.plan.add("report", study, spec, store, upstream, texts=texts)

    def _figure(self, kind: str, name: str, settings: Sequence[str]) -> str:
        """Plan one figure of the analyses, and of the biases where there are, of ``settings``."""
        study = self.study.study
        spec: dict[str, Any] = {"study": study, "figure": kind, "settings": list(settings)}
        known = self.analyses | self.snapshots
        upstream = [known[setting] for setting in settings]
        if kind in BIAS_FIGURES:
            biases = [setting for setting in settings if setting in self.biases]
            upstream += [self.biases[setting] for setting in biases]
            spec |= {"biases": biases} if biases else {}
        return self.plan.add(
            "figure",
            f"{study}/{name}",
            spec,
            layout.FIGURE.format(study=study, figure=name),
            tuple(upstream),
            (member("figures", kind),),
        )


def _placebo(
    placebo: str, recipe: Mapping[str, Any], setting: Setting, seed: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return recipe and changed seeds of a one-hot run that differs in what is no distillation."""
    plain = _without_snapshots(recipe)
    if placebo == "batch_order":
        return plain, {"order": PLACEBO_ORDERS_FROM + seed}
    if placebo == "label_smoothing":
        assert setting.bias is not None
        return plain | {"label_smoothing": setting.bias.smoothing}, {}
    return plain | {"lr": plain["lr"] * {"half_lr": 0.5, "double_lr": 2.0}[placebo]}, {}


def _without_snapshots(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of a run whose earlier weights nobody analyses."""
    return {key: value for key, value in recipe.items() if key != "snapshots"}
