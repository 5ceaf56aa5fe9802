"""Plan of the jobs of a study: settings, analyses, tables, figures and the report. Pure.

`disobey.study.runs` plans the jobs that do not depend on a setting's name; this module plans those
that belong to one setting or to the whole study.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from disobey.analysis.names import (
    CONTROLS,
    DOUBLE_LENGTH,
    HELD_OUT,
    ONE_HOT_AT_T,
    REFERENCE,
    STUDENT,
    STUDENT_AT_1,
    TEACHER,
)
from disobey.data.label_noise import number_seen
from disobey.figures import module_of
from disobey.stores import layout
from disobey.stores.layout import BESIDE
from disobey.strict import spec_of
from disobey.study.datasets import Builtin
from disobey.study.external_models import ExternalModels
from disobey.study.figures import FIGURES_BESIDE, figures_of
from disobey.study.jobs import Plan, SettingRuns, data_stores, store_at
from disobey.study.models import SMOOTHING, External, Setting, StudentOf, Study, name_of
from disobey.study.runs import STUDENT_DRAW, Runs, seen_teacher
from disobey.study.sizes import SPLITS
from disobey.training.losses import DEFAULT, TEMPERATURE
from disobey.training.schedules import steps_per_epoch

# A student of seed s must not start like the teacher of seed s: with the same initialisation and
# batch order, the reference of a self-distillation would *be* the teacher.
STUDENT_SEEDS_FROM = 1_000_000
# Offset of the placebo with another batch order, an order that no other run of the study has.
PLACEBO_ORDERS_FROM = 1_000_000_000
# Factor of the learning rate in a placebo.
RATES = {"quarter_lr": 0.25, "half_lr": 0.5, "double_lr": 2.0}
# Shares of the common range of leading progress over which ratios are averaged [our choice]:
# beyond it is a plateau where even two one-hot models differ.
MATCHED_RANGE = (0.2, 0.7)

TABLES = ("accuracy", "confidence", "claims", "summary", "all")
# The table that compares the paper's accuracies with ours, if a study gives any, and its figures.
PAPER_TABLE, PAPER_FIGURES = "paper", ("accuracy",)
# Tables that also read stores other than analyses of confidence; each kind has its own table.
TABLES_BESIDE = {table: tuple(BESIDE) for table in ("claims", "summary", "all")} | {
    kind: (kind,) for kind in BESIDE
}
# Keys of a setting whose values, if given, describe it unchanged in tables and figures.
OF_SETTING = ("student_share", "initialisation", "teacher_fits")


def make_plan(study: Study) -> Plan:
    """Return the plan of all jobs of ``study``.

    Examples
    --------
    >>> plan = make_plan(load_study("config.yaml"))  # doctest: +SKIP
    >>> [job.stage for job in plan.jobs.values()]  # doctest: +SKIP
    """
    planner = _Planner(study, Plan(study.study))
    for name in study.settings:
        planner.setting(name)
    for name in study.comparisons:
        planner.comparison(name)
    planner.results()
    return planner.plan


class _Planner:
    """Adds jobs to a plan: setting by setting, then those that read all settings."""

    def __init__(self, study: Study, plan: Plan) -> None:
        self.study = study
        self.plan = plan
        self.runs = Runs(study, plan)
        self.external = ExternalModels(study, plan, self.runs)
        # Stores of each setting that the page of examples reads.
        self.shown: dict[str, tuple[str, ...]] = {}
        # Stores of analyses, by the name of the setting or of a setting's snapshot.
        self.analyses: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        # The same for stores other than analyses of confidence, by their stage.
        self.beside: dict[str, dict[str, str]] = {stage: {} for stage in BESIDE}

    # --- jobs per setting ---------------------------------------------------------------------

    def setting(self, name: str) -> SettingRuns:
        """Plan teachers, references, students and placebos of a setting, and their analyses."""
        if name in self.plan.settings:
            return self.plan.settings[name]
        setting = self.study.settings[name]
        per_seed = [self._runs_of(name, i, seed) for i, seed in enumerate(self.study.seeds)]
        by_role = {role: tuple(runs[role] for runs in per_seed) for role in per_seed[0]}
        placebos = {role: by_role[role] for role in by_role if role in CONTROLS}
        teachers = by_role[TEACHER]
        if isinstance(setting.teacher, External):
            teachers = self.external.teachers(setting.teacher.external, setting.dataset)
        runs = SettingRuns(teachers, by_role[REFERENCE], by_role[STUDENT], placebos)
        self.plan.settings[name] = runs
        self.analyses[name] = self._confidence(name)
        if setting.over_training:
            for epoch in self.study.recipes[setting.recipe].snapshots or []:
                self.snapshots[layout.snapshot_of(name, epoch)] = self._confidence(name, epoch)
        self._along_training(name, by_role)
        return runs

    def _along_training(self, name: str, runs: Mapping[str, Sequence[str]]) -> None:
        """Plan the analyses of the training histories of a setting's runs, given by role."""
        setting = self.study.settings[name]
        bias = setting.bias
        if bias is not None:
            more: dict[str, Any] = {"layers": list(bias.layers), "range": list(MATCHED_RANGE)}
            of_bias = {role: ids for role, ids in runs.items() if role != TEACHER}
            if bias.pairs is not None:
                more["pairs"], of_bias = spec_of(bias.pairs), dict(runs)
            self._of_histories("bias", name, of_bias, more)
        if self.study.recipes[setting.recipe].evaluate is not None:
            of_curves = {
                role: ids for role, ids in runs.items() if all(map(self._is_evaluated, ids))
            }
            self._of_histories("curves", name, of_curves, {})
        if self.study.has_directions(setting):  # the true ones of its data
            teachers = [self._logits(teacher) for teacher in runs[TEACHER]]
            more = {"teachers": teachers, "temperature": setting.distill.softening}
            more |= self.runs.on_data(setting.dataset)
            read = [*data_stores(more), *self._stores(teachers)]
            self._of_histories("gradients", name, runs, more, read)

    def _runs_of(self, name: str, index: int, seed: int) -> dict[str, str]:
        """Plan the runs of one seed of a setting; return their ids by role."""
        setting = self.study.settings[name]
        teacher = self._teacher(setting, index, seed)
        other = STUDENT_SEEDS_FROM * self.round(name) + seed
        seeds = self._seeds(setting, other, STUDENT_DRAW)
        if setting.initialisation == "teacher":
            seeds["initialisation"] = seed  # as in `_teacher`; the batch order differs
        recipe = spec_of(self.study.recipes[setting.recipe])
        progress = None if setting.bias is None else self.runs.basis(setting, teacher)

        def student(
            recipe: Mapping[str, Any],
            distill: Mapping[str, Any] | None = None,
            changed: Mapping[str, int] | None = None,
        ) -> str:
            of_student = (setting.dataset, setting.student, recipe, seeds | dict(changed or {}))
            return self.runs.run(*of_student, distill, progress, setting.student_share)

        runs = {TEACHER: teacher, REFERENCE: student(recipe)}
        distill = spec_of(setting.distill)
        if setting.distill.registered.needs_teacher:
            distill["teacher"] = self._logits(teacher)
        distill |= seen_teacher(self.study, setting).spec
        switch, taught = setting.distill.switch, True
        if switch is not None and not switch.ramp and switch.at in (0, 1):
            # The switch leaves only one-hot labels, or only the teacher.
            taught = (switch.order == "distillation_first") != (switch.at == 0)
            del distill["switch"]
        for control in setting.placebos:
            if control == STUDENT_AT_1:
                at_1 = distill | {"temperature": 1.0}
                runs[control] = (
                    student(_without_snapshots(recipe), at_1) if taught else runs[REFERENCE]
                )
            else:
                changed_recipe, changed = _placebo(control, recipe, setting, other)
                runs[control] = student(changed_recipe, None, changed)
        runs[STUDENT] = student(recipe, distill) if taught else runs[REFERENCE]
        return runs

    def _teacher(self, setting: Setting, index: int, seed: int) -> str:
        """Plan the teacher of a seed; return its run, or the address of its external logits."""
        if isinstance(setting.teacher, StudentOf):
            return self.setting(setting.teacher.setting).students[index]
        if isinstance(setting.teacher, External):
            return self.external.teachers(setting.teacher.external, setting.dataset)[index]
        seeds = self._seeds(setting, seed, STUDENT_DRAW + 1 + seed)
        of_teacher = (setting.dataset, setting.teacher, self._recipe_of_teacher(setting), seeds)
        return self.runs.run(*of_teacher, progress=self._followed(setting))

    def _followed(self, setting: Setting) -> dict[str, Any] | None:
        """Return the options that track a teacher's progress; None if it is not tracked.

        A setting that counts pairs needs the progress of its teacher. Other settings with the same
        teacher share the tracked run, so that it is trained once. The options are the setting's
        own if it counts pairs, or else those of the first setting that does.
        """
        of_one_teacher = [
            other
            for other in self.study.settings.values()
            if other.bias is not None
            and other.bias.pairs is not None
            and self._taught_by(other) == self._taught_by(setting)
        ]
        if not of_one_teacher:
            return None
        return self.runs.basis(setting if setting in of_one_teacher else of_one_teacher[0])

    def _taught_by(self, setting: Setting) -> tuple[object, ...]:
        """Return everything that a teacher's training depends on, except seeds and tracking."""
        model = setting.teacher if isinstance(setting.teacher, str) else ""
        data, options = self.study.datasets[setting.dataset], self.study.models.get(model)
        return data, options, self._recipe_of_teacher(setting)

    def _recipe_of_teacher(self, setting: Setting) -> dict[str, Any]:
        recipe = self.study.recipes[setting.teacher_recipe or setting.recipe]
        return _without_snapshots(spec_of(recipe))

    def _is_evaluated(self, run: str) -> bool:
        """Return whether a run records accuracies during its training."""
        job = self.plan.jobs.get(("train", run))
        return job is not None and "evaluate" in json.loads(job.spec)["recipe"]

    def _logits(self, teacher: str) -> str:
        """Return the address of a teacher's logits; plan their dump if it is trained here."""
        return self.runs.logits(teacher) if ("train", teacher) in self.plan.jobs else teacher

    def _seeds(self, setting: Setting, seed: int, draw: int) -> dict[str, int]:
        """Return the seeds of a run's random streams; views have one only if they are used."""
        seeds = {"initialisation": seed, "order": seed}
        if self.study.datasets[setting.dataset].augment is None:
            return seeds
        return seeds | {"views": seed, "draw": draw}

    def round(self, name: str) -> int:
        """Return the number of successive distillations that lead to a setting's student."""
        teacher = self.study.settings[name].teacher
        return 1 + (self.round(teacher.setting) if isinstance(teacher, StudentOf) else 0)

    def _confidence(self, name: str, epoch: int | None = None) -> str:
        runs, setting = self.plan.settings[name], self.study.settings[name]
        logits = SettingRuns(
            tuple(self._logits(teacher) for teacher in runs.teachers),
            tuple(self.runs.logits(run, epoch) for run in runs.references),
            tuple(self.runs.logits(run, epoch) for run in runs.students),
        )
        splits = None if setting.student_share is None else [*SPLITS, HELD_OUT]
        about = self.about(name)
        if epoch is None:
            return self._analysis(name, about, logits, splits, setting.dataset)
        called = layout.snapshot_of(name, epoch)
        return self._analysis(called, about | {"epoch": epoch}, logits, splits)

    def comparison(self, name: str) -> None:
        """Plan the models of a comparison, and its analysis."""
        runs, splits, about = self.external.comparison(name)
        self.plan.settings[name] = runs
        only = list(splits) if len(splits) == 1 else None
        dataset = self.study.comparisons[name].dataset
        self.analyses[name] = self._analysis(name, about, runs, only, dataset)

    def _stores(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the stores of the logits of some models, without duplicates."""
        return tuple(dict.fromkeys(map(self.plan.logits_store, addresses)))

    def _analysis(
        self,
        called: str,
        about: Mapping[str, Any],
        logits: SettingRuns,
        splits: list[str] | None,
        dataset: str | None = None,
    ) -> str:
        """Plan the analysis of some models' confidence; return its store."""
        roles = ("teachers", "references", "students")
        spec = {
            "about": dict(about),
            "seeds": list(self.study.seeds),
            **{role: list(getattr(logits, role)) for role in roles},
            **({} if splits is None else {"splits": splits}),
            "analysis": spec_of(self.study.analysis),
        }
        stores = self._stores(logits.all())
        data = [] if dataset is None else [store_at("prepare", self.runs.data(dataset))]
        self.shown.setdefault(called, (*stores, *data))
        return self.plan.add("confidence", f"{self.study.study}/{called}", spec, stores)

    def _of_histories(
        self,
        stage: str,
        name: str,
        runs: Mapping[str, Sequence[str]],
        more: Mapping[str, Any],
        read: Sequence[str] = (),
    ) -> None:
        """Plan an analysis of other stores and of the histories of a setting's runs, by role."""
        by_role = {role: list(ids) for role, ids in runs.items()}
        seeds = list(self.study.seeds)
        spec = {"about": self.about(name), "seeds": seeds, "runs": by_role, **more}
        upstream = [*read, *(store_at("train", id) for ids in by_role.values() for id in ids)]
        key = f"{self.study.study}/{name}"
        self.beside[stage][name] = self.plan.add(stage, key, spec, upstream)

    def about(self, name: str) -> dict[str, Any]:
        """Return the description of a setting in figures and tables."""
        setting = self.study.settings[name]
        dataset, recipe = self.study.datasets[setting.dataset], self.study.recipes[setting.recipe]
        teacher = setting.teacher
        about: dict[str, Any] = {
            "dataset": dataset.name,
            "label_noise": dataset.label_noise.rate if dataset.label_noise else 0.0,
            "teacher": name_of(teacher),
            "student": setting.student,
            **self._of_loss(setting),
            "weight": setting.distill.weight,
            "recipe": setting.recipe,
            "lr": recipe.lr,
        } | self._length(setting)
        if isinstance(teacher, External):
            about["trained"] = self.study.teachers[teacher.external].source
        elif not isinstance(teacher, StudentOf):
            about["teacher_recipe"] = setting.teacher_recipe or setting.recipe
        draw = dataset.draw if isinstance(dataset, Builtin) else None
        for key, options in (
            ("augment", dataset.augment), ("draw", draw), ("features", dataset.features),
            ("switch", setting.distill.switch),
        ):  # fmt: skip
            about |= {} if options is None else {key: spec_of(options)}
        given = {"centre": dataset.centre} | {key: getattr(setting, key) for key in OF_SETTING}
        about |= {key: value for key, value in given.items() if value is not None}
        return about | ({"round": self.round(name)} if isinstance(teacher, StudentOf) else {})

    def _of_loss(self, setting: Setting) -> dict[str, Any]:
        """Return the loss of a setting, unless it is the default, and its temperature."""
        distill = setting.distill
        told = {} if distill.registered.name == DEFAULT else {"loss": distill.words}
        if not distill.registered.needs_teacher:
            told["control"] = "no teacher"
        has_temperature = TEMPERATURE in distill.registered.parameters
        return told | ({"temperature": distill.softening} if has_temperature else {})

    def _length(self, setting: Setting) -> dict[str, Any]:
        """Return the length of a setting's recipe, in the recipe's unit."""
        recipe = self.study.recipes[setting.recipe]
        if recipe.steps is None:
            return {"epochs": recipe.epochs}
        if not setting.over_training:
            return {"steps": recipe.steps}
        # The position of the final weights on the axis of the snapshots' epochs.
        train = self.study.sizes(setting.dataset).train
        examples = number_seen(setting.student_share, train)
        epochs = recipe.steps / steps_per_epoch(examples, recipe.batch)
        return {"steps": recipe.steps, "epochs": round(epochs, 3)}

    # --- jobs per study -----------------------------------------------------------------------

    def results(self) -> None:
        """Plan tables, figures, the page of examples and the report."""
        study, everything = self.study.study, tuple(self.analyses.values())
        common: dict[str, Any] = {"study": study, "settings": list(self.analyses)}
        named, beside = self._read_beside(BESIDE, self.analyses)
        reported = [PAPER_TABLE] if self._paper(self.analyses) else []
        tables = [self._table(table, common) for table in (*TABLES, *named, *reported)]
        drawn = figures_of(self.study)
        figures = [self._figure(*figure) for figure in drawn]
        common["seeds"] = list(self.study.seeds)
        shown = [store for name in self.analyses for store in self.shown[name]]
        explorer = self.plan.add("explorer", study, common, (*everything, *shown))
        upstream = (*tables, *figures, *everything, *beside, explorer)
        texts = tuple(dict.fromkeys(figure.kind for figure in drawn))
        self.plan.add("report", study, common | named, upstream, texts=texts)

    def _table(self, table: str, common: Mapping[str, Any]) -> str:
        named, beside = self._read_beside(TABLES_BESIDE.get(table, ()), self.analyses)
        spec = {**common, "table": table, **named}
        if table == PAPER_TABLE:
            spec |= self._paper(self.analyses)
        key = f"{self.study.study}/{table}"
        return self.plan.add("table", key, spec, (*self.analyses.values(), *beside))

    def _figure(self, kind: str, name: str, settings: Sequence[str]) -> str:
        """Plan one figure from the analyses of ``settings`` and the other stores that it reads."""
        study, known = self.study.study, self.analyses | self.snapshots
        named, beside = self._read_beside(FIGURES_BESIDE.get(kind, ()), settings)
        spec = {"study": study, "figure": kind, "settings": list(settings), **named}
        if kind in PAPER_FIGURES:
            spec |= self._paper(settings)
        upstream = (*(known[setting] for setting in settings), *beside)
        return self.plan.add("figure", f"{study}/{name}", spec, upstream, [module_of(kind)])

    def _paper(self, settings: Iterable[str]) -> dict[str, Any]:
        """Return the part of a spec with the paper's accuracies; empty if there are none."""
        known = self.study.settings
        given = {name: known[name].paper for name in settings if name in known}
        reported = {name: spec_of(paper) for name, paper in given.items() if paper is not None}
        return {"paper": reported} if reported else {}

    def _read_beside(
        self, stages: Iterable[str], settings: Iterable[str]
    ) -> tuple[dict[str, list[str]], list[str]]:
        """Return the settings that have a store of each stage, by stage, and these stores."""
        every = list(settings)
        having = {stage: [name for name in every if name in self.beside[stage]] for stage in stages}
        named = {stage: names for stage, names in having.items() if names}
        return named, [self.beside[stage][name] for stage in named for name in named[stage]]


def _placebo(
    placebo: str, recipe: Mapping[str, Any], setting: Setting, seed: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the recipe and the changed seeds of a placebo, a variation of the reference."""
    plain = _without_snapshots(recipe)
    if placebo == "batch_order":
        return plain, {"order": PLACEBO_ORDERS_FROM + seed}
    if placebo == "label_smoothing":
        smoothing = setting.bias.smoothing if setting.bias else SMOOTHING
        return plain | {"label_smoothing": smoothing}, {}
    if placebo == DOUBLE_LENGTH:
        unit = "epochs" if "epochs" in plain else "steps"
        return plain | {unit: 2 * plain[unit]}, {}
    if placebo == ONE_HOT_AT_T:
        return plain | {"one_hot_temperature": setting.distill.softening}, {}
    return plain | {"lr": plain["lr"] * RATES[placebo]}, {}


def _without_snapshots(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe without snapshots, for runs of which only the final weights are analysed."""
    return {key: value for key, value in recipe.items() if key != "snapshots"}
