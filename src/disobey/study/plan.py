"""From a study to its jobs: settings, analyses, tables, figures and the report. Pure.

Nothing that `disobey.study.runs` plans knows a setting's name; everything here is made per setting
or per study.
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
from disobey.stores.layout import BESIDE, manifest_of
from disobey.strict import spec_of
from disobey.study.datasets import Builtin
from disobey.study.external_models import ExternalModels
from disobey.study.figures import FIGURES_BESIDE, figures_of
from disobey.study.jobs import Plan, SettingRuns
from disobey.study.models import SMOOTHING, External, Setting, StudentOf, Study, name_of
from disobey.study.recipes import Recipe
from disobey.study.runs import STUDENT_DRAW, Runs, seen_teacher
from disobey.study.sizes import SPLITS, sizes_of
from disobey.training.losses import DEFAULT, TEMPERATURE
from disobey.training.schedules import steps_per_epoch

# A student of seed s must not start like the teacher of seed s: with the same initialisation and
# batch order the reference of a self-distillation would *be* the teacher.
STUDENT_SEEDS_FROM = 1_000_000
# The placebo of another batch order: an order that no run of the study has.
PLACEBO_ORDERS_FROM = 1_000_000_000
# By what a placebo multiplies the learning rate.
RATES = {"quarter_lr": 0.25, "half_lr": 0.5, "double_lr": 2.0}
# Shares of the common range of leading progress over which ratios are averaged [our choice]:
# beyond is a plateau where even two one-hot models differ.
MATCHED_RANGE = (0.2, 0.7)

TABLES = ("accuracy", "confidence", "claims", "summary", "all")
# The accuracies that the paper reports beside ours, where a study gives any; and figures with them.
PAPER_TABLE, PAPER_FIGURES = "paper", ("accuracy",)
# Tables that also read the stores beside the analyses; each kind of these has a table of its own.
TABLES_BESIDE = {table: tuple(BESIDE) for table in ("claims", "summary", "all")} | {
    kind: (kind,) for kind in BESIDE
}


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
        self.external = ExternalModels(study, plan, self.runs.sources)
        # Stores of each setting that the page of examples reads.
        self.shown: dict[str, tuple[str, ...]] = {}
        # Manifests by the name of the setting, or of a setting's snapshot.
        self.analyses: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        # The same of stores beside an analysis, by their stage.
        self.beside: dict[str, dict[str, str]] = {stage: {} for stage in BESIDE}

    # --- what is made per setting -------------------------------------------------------------

    def setting(self, name: str) -> SettingRuns:
        """Plan teachers, references, students and placebos of a setting, and their analyses."""
        if name in self.plan.settings:
            return self.plan.settings[name]
        per_seed = [self._runs_of(name, i, seed) for i, seed in enumerate(self.study.seeds)]
        by_role = {role: tuple(runs[role] for runs in per_seed) for role in per_seed[0]}
        placebos = {role: by_role[role] for role in by_role if role in CONTROLS}
        teachers = (*by_role[TEACHER], *self._replicates(name))
        runs = SettingRuns(teachers, by_role[REFERENCE], by_role[STUDENT], placebos)
        self.plan.settings[name] = runs
        self.analyses[name] = self._confidence(name)
        setting = self.study.settings[name]
        if setting.over_training:
            for epoch in self.study.recipes[setting.recipe].snapshots or []:
                self.snapshots[layout.snapshot_of(name, epoch)] = self._confidence(name, epoch)
        self._along_training(name, by_role)
        return runs

    def _along_training(self, name: str, runs: Mapping[str, Sequence[str]]) -> None:
        """Plan the analyses of what a setting's runs, given by role, recorded in training."""
        setting = self.study.settings[name]
        if setting.bias is not None:
            more: dict[str, Any] = {
                "layers": list(setting.bias.layers),
                "range": list(MATCHED_RANGE),
            }
            of_bias = {role: ids for role, ids in runs.items() if role != TEACHER}
            if setting.bias.pairs is not None:
                more["pairs"], of_bias = spec_of(setting.bias.pairs), dict(runs)
            self._of_histories("bias", name, of_bias, more)
        if self.study.recipes[setting.recipe].evaluate is not None:
            of_curves = {
                role: ids for role, ids in runs.items() if all(map(self._is_evaluated, ids))
            }
            self._of_histories("curves", name, of_curves, {})
        if self.study.has_directions(setting):
            self._gradients(name, runs)

    def _runs_of(self, name: str, index: int, seed: int) -> dict[str, str]:
        """Plan the runs of one seed of a setting; return their ids by role."""
        setting = self.study.settings[name]
        teacher = self._teacher(setting, index, seed)
        other = STUDENT_SEEDS_FROM * self.round(name) + seed
        seeds = self._seeds(setting, other, STUDENT_DRAW)
        if setting.initialisation == "teacher":
            seeds["initialisation"] = seed  # that of `_teacher`; the batch order stays another one
        recipe = spec_of(self.study.recipes[setting.recipe])
        progress = None if setting.bias is None else self.runs.basis(setting, teacher)

        def one_hot(recipe: Mapping[str, Any] = recipe, **changed: int) -> str:
            of_student = (setting.dataset, setting.student, recipe, seeds | changed)
            return self.runs.run(*of_student, progress=progress, share=setting.student_share)

        runs = {TEACHER: teacher, REFERENCE: one_hot()}
        distill = spec_of(setting.distill)
        if setting.distill.registered.needs_teacher:
            distill["teacher"] = self._logits(teacher)
        distill |= seen_teacher(self.study, setting).spec
        for control in setting.placebos:
            if control == STUDENT_AT_1:
                at_1 = distill | {"temperature": 1.0}
                run = self._student(setting, _without_snapshots(recipe), seeds, at_1, progress)
                runs[control] = run or runs[REFERENCE]
            else:
                changed_recipe, changed_seeds = _placebo(control, recipe, setting, other)
                runs[control] = one_hot(changed_recipe, **changed_seeds)
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
        return self.runs.run(*of_student, distill, progress, setting.student_share)

    def _teacher(self, setting: Setting, index: int, seed: int) -> str:
        """Plan the teacher of a seed; return its run, or the address of its external logits."""
        if isinstance(setting.teacher, StudentOf):
            return self.setting(setting.teacher.setting).students[index]
        if isinstance(setting.teacher, External):
            teachers, _ = self.external.teachers(setting.teacher.external, setting.dataset)
            return teachers[index]
        recipe = spec_of(self._recipe_of_teacher(setting))
        seeds = self._seeds(setting, seed, STUDENT_DRAW + 1 + seed)
        of_teacher = (setting.dataset, setting.teacher, _without_snapshots(recipe), seeds)
        return self.runs.run(*of_teacher, progress=self._followed(setting))

    def _followed(self, setting: Setting) -> dict[str, Any] | None:
        """Return how to track a teacher's progress: as the first setting with it asks for.

        A setting that counts pairs needs its teacher's way. Others that have the same teacher take
        the tracked one, so that it is trained once.
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
        """Return all that a teacher's training depends on, apart from seeds and tracking."""
        model = setting.teacher if isinstance(setting.teacher, str) else ""
        return (
            self.study.datasets[setting.dataset],
            self.study.models.get(model),
            _without_snapshots(spec_of(self._recipe_of_teacher(setting))),
        )

    def _recipe_of_teacher(self, setting: Setting) -> Recipe:
        return self.study.recipes[setting.teacher_recipe or setting.recipe]

    def _is_evaluated(self, run: str) -> bool:
        """Return whether a run records accuracies along its training."""
        job = self.plan.jobs.get(("train", run))
        return job is not None and "evaluate" in json.loads(job.spec)["recipe"]

    def _replicates(self, name: str) -> tuple[str, ...]:
        """Return the addresses of the logits of a setting's replicate teachers."""
        setting = self.study.settings[name]
        if not isinstance(setting.teacher, External):
            return ()
        return self.external.teachers(setting.teacher.external, setting.dataset)[1]

    def _logits(self, teacher: str) -> str:
        """Return the address of a teacher's logits; plan their dump if it is trained here."""
        return self.runs.logits(teacher) if ("train", teacher) in self.plan.jobs else teacher

    def _seeds(self, setting: Setting, seed: int, draw: int) -> dict[str, int]:
        """Return the seeds of a run's streams; those of views only where there are any."""
        seeds = {"initialisation": seed, "order": seed}
        if self.study.datasets[setting.dataset].augment is None:
            return seeds
        return seeds | {"views": seed, "draw": draw}

    def round(self, name: str) -> int:
        """Return the number of distillations between a setting's student and one-hot labels."""
        teacher = self.study.settings[name].teacher
        return 1 + (self.round(teacher.setting) if isinstance(teacher, StudentOf) else 0)

    def _confidence(self, name: str, epoch: int | None = None) -> str:
        runs = self.plan.settings[name]
        teachers = [self._logits(teacher) for teacher in runs.teachers]
        references = [self.runs.logits(run, epoch) for run in runs.references]
        students = [self.runs.logits(run, epoch) for run in runs.students]
        about = self.about(name) | ({} if epoch is None else {"epoch": epoch})
        models = {"teachers": teachers, "references": references, "students": students}
        if self.study.settings[name].student_share is not None:
            models["splits"] = [*SPLITS, HELD_OUT]
        stores = self._stores((*teachers, *references, *students))
        if epoch is None:
            data = self.runs.sources.stores(self.study.settings[name].dataset, labels=False)
            self.shown[name] = (*stores, *data)
        called = name if epoch is None else layout.snapshot_of(name, epoch)
        return self._analysis(called, about, models, stores)

    def comparison(self, name: str) -> None:
        """Plan the models of a comparison, and its analysis."""
        compared = self.external.comparison(name)
        runs = self.plan.settings[name] = compared.runs
        models: dict[str, Any] = {
            "teachers": list(runs.teachers),
            "references": list(runs.references),
            "students": list(runs.students),
        }
        if len(compared.splits) == 1:
            models["splits"] = list(compared.splits)
        stores = self._stores(runs.all())
        self.analyses[name] = self._analysis(name, compared.about, models, stores)
        dataset = self.study.comparisons[name].dataset
        data = [] if dataset is None else self.runs.sources.stores(dataset, labels=False)
        self.shown[name] = (*stores, *data)

    def _stores(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the stores of the logits of some models, each once."""
        return tuple(dict.fromkeys(map(self.plan.logits_store, addresses)))

    def _analysis(
        self,
        called: str,
        about: Mapping[str, Any],
        models: Mapping[str, Any],
        stores: Sequence[str],
    ) -> str:
        spec = {
            "about": dict(about),
            "seeds": list(self.study.seeds),
            **models,
            "analysis": spec_of(self.study.analysis),
        }
        upstream = tuple(map(manifest_of, stores))
        store = layout.ANALYSIS.format(study=self.study.study, setting=called)
        return self.plan.add("confidence", f"{self.study.study}/{called}", spec, store, upstream)

    def _of_histories(
        self,
        stage: str,
        name: str,
        runs: Mapping[str, Sequence[str]],
        more: Mapping[str, Any],
    ) -> None:
        """Plan an analysis of the histories of some runs of a setting, given by role."""
        spec = {
            "about": self.about(name),
            "seeds": list(self.study.seeds),
            "runs": {role: list(ids) for role, ids in runs.items()},
            **more,
        }
        ids = dict.fromkeys(id for ids in runs.values() for id in ids)
        upstream = tuple(manifest_of(layout.RUN.format(run=id)) for id in ids)
        store = BESIDE[stage].format(study=self.study.study, setting=name)
        key = f"{self.study.study}/{name}"
        self.beside[stage][name] = self.plan.add(stage, key, spec, store, upstream)

    def _gradients(self, name: str, runs: Mapping[str, Sequence[str]]) -> None:
        """Plan the comparison with the true directions of a setting's data."""
        setting = self.study.settings[name]
        teachers = [self._logits(teacher) for teacher in runs[TEACHER]]
        spec = self.runs.sources.on_data(setting.dataset) | {
            "about": self.about(name),
            "seeds": list(self.study.seeds),
            "runs": {role: list(ids) for role, ids in runs.items()},
            "teachers": teachers,
            "temperature": setting.distill.softening,
        }
        upstream = [*self.runs.sources.stores(setting.dataset), *self._stores(teachers)]
        upstream += [layout.RUN.format(run=id) for ids in runs.values() for id in ids]
        inputs = tuple(map(manifest_of, dict.fromkeys(upstream)))
        store = layout.GRADIENTS.format(study=self.study.study, setting=name)
        key = f"{self.study.study}/{name}"
        self.beside["gradients"][name] = self.plan.add("gradients", key, spec, store, inputs)

    def about(self, name: str) -> dict[str, Any]:
        """Return the words that figures and tables say of a setting."""
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
        if dataset.augment is not None:
            about["augment"] = spec_of(dataset.augment)
        if isinstance(dataset, Builtin) and dataset.draw is not None:
            about["draw"] = spec_of(dataset.draw)
        if dataset.features is not None:
            about["features"] = spec_of(dataset.features)
        if dataset.centre is not None:
            about["centre"] = dataset.centre
        if setting.distill.switch is not None:
            about["switch"] = spec_of(setting.distill.switch)
        for key in ("student_share", "initialisation", "teacher_fits"):
            if getattr(setting, key) is not None:
                about[key] = getattr(setting, key)
        return about | ({"round": self.round(name)} if isinstance(teacher, StudentOf) else {})

    def _of_loss(self, setting: Setting) -> dict[str, Any]:
        """Return the loss of a setting and its temperature; the default loss is not named."""
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
        # The position of the last weights on the axis of the snapshots' epochs.
        data = sizes_of(self.study.datasets[setting.dataset], self.study.data_root)
        examples = number_seen(setting.student_share, data.train)
        epochs = recipe.steps / steps_per_epoch(examples, recipe.batch)
        return {"steps": recipe.steps, "epochs": round(epochs, 3)}

    # --- what is made per study ---------------------------------------------------------------

    def results(self) -> None:
        """Plan tables, figures and the report."""
        study, everything = self.study.study, tuple(self.analyses.values())
        common = {"study": study, "settings": list(self.analyses)}
        named, beside = self._read_beside(BESIDE, self.analyses)
        reported = [PAPER_TABLE] if self._paper(self.analyses) else []
        tables = [self._table(table, common) for table in (*TABLES, *named, *reported)]
        drawn = figures_of(self.study)
        figures = [self._figure(*figure) for figure in drawn]
        spec = common | named | {"seeds": list(self.study.seeds)}
        explorer = self._explorer(spec)
        store = layout.REPORT.format(study=study)
        upstream = (*tables, *figures, *everything, *beside, explorer)
        texts = tuple(dict.fromkeys(figure.kind for figure in drawn))
        self.plan.add("report", study, spec, store, upstream, texts=texts)

    def _explorer(self, common: Mapping[str, Any]) -> str:
        """Plan the page of examples: it reads logits and data of every setting."""
        stores = dict.fromkeys(store for name in self.analyses for store in self.shown[name])
        upstream = (*self.analyses.values(), *map(manifest_of, stores))
        spec = {key: common[key] for key in ("study", "settings", "seeds")}
        store = layout.EXPLORER.format(study=self.study.study)
        return self.plan.add("explorer", self.study.study, spec, store, upstream)

    def _table(self, table: str, common: Mapping[str, Any]) -> str:
        study = self.study.study
        named, beside = self._read_beside(TABLES_BESIDE.get(table, ()), self.analyses)
        spec = {**common, "table": table, **named}
        if table == PAPER_TABLE:
            spec |= self._paper(self.analyses)
        store = layout.TABLE.format(study=study, table=table)
        upstream = (*self.analyses.values(), *beside)
        return self.plan.add("table", f"{study}/{table}", spec, store, upstream)

    def _figure(self, kind: str, name: str, settings: Sequence[str]) -> str:
        """Plan one figure of the analyses of ``settings``, and of what it reads beside them."""
        study = self.study.study
        named, beside = self._read_beside(FIGURES_BESIDE.get(kind, ()), settings)
        known = self.analyses | self.snapshots
        upstream = [known[setting] for setting in settings]
        spec = {"study": study, "figure": kind, "settings": list(settings), **named}
        if kind in PAPER_FIGURES:
            spec |= self._paper(settings)
        return self.plan.add(
            "figure",
            f"{study}/{name}",
            spec,
            layout.FIGURE.format(study=study, figure=name),
            (*upstream, *beside),
            (module_of(kind),),
        )

    def _paper(self, settings: Iterable[str]) -> dict[str, Any]:
        """Return the part of a spec that holds the paper's accuracies; empty without any."""
        known = self.study.settings
        given = {name: known[name].paper for name in settings if name in known}
        reported = {name: spec_of(paper) for name, paper in given.items() if paper is not None}
        return {"paper": reported} if reported else {}

    def _read_beside(
        self, stages: Iterable[str], settings: Iterable[str]
    ) -> tuple[dict[str, list[str]], list[str]]:
        """Return, by stage, the settings that have a store of it, and the stores' manifests."""
        every = list(settings)
        having = {stage: [name for name in every if name in self.beside[stage]] for stage in stages}
        named = {stage: names for stage, names in having.items() if names}
        return named, [self.beside[stage][name] for stage in named for name in named[stage]]


def _placebo(
    placebo: str, recipe: Mapping[str, Any], setting: Setting, seed: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return recipe and changed seeds of a one-hot run that differs from the reference."""
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
    """Return the recipe of a run whose earlier weights nobody analyses."""
    return {key: value for key, value in recipe.items() if key != "snapshots"}
