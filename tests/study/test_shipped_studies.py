"""Every shipped study resolves, and its claims find the settings that they compare."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey.analysis.claims import switching
from disobey.strict import spec_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.resources import need_of
from disobey.workflow import gpus_of_a_job

REPOSITORY = Path(__file__).parents[2]
SHIPPED = [REPOSITORY / "config.yaml", *sorted(REPOSITORY.glob("workflow/studies/*.yaml"))]


@pytest.fixture(params=SHIPPED, ids=lambda path: path.stem)
def study(request, monkeypatch):
    """A shipped study."""
    monkeypatch.chdir(REPOSITORY)  # relative data_root
    if "data_root" in request.param.read_text():
        request.getfixturevalue("real_data")
    return load_study(request.param)


@pytest.fixture
def plan(study):
    """The plan of a shipped study."""
    return make_plan(study)


@pytest.fixture
def settings(plan):
    """The ``about`` of each setting of a shipped study, as stored in its analyses."""
    specs = {k: json.loads(j.spec) for (s, k), j in plan.jobs.items() if s == "confidence"}
    return [
        SimpleNamespace(setting=key.split("/")[1], about=spec["about"])
        for key, spec in specs.items()
        if "epoch" not in spec["about"]
    ]


def test_no_job_asks_for_more_than_a_day_64_gb_or_a_command_of_100_kb(study, plan):
    """Only trainings may need longer, because they can continue in another job."""
    gpu = bool(gpus_of_a_job(study.device, on_cluster=True))
    for stage, key in plan.jobs:
        need = need_of(plan, stage, key, gpu=gpu, processes=max(1, gpu * study.gpus))
        assert need.memory_mb <= 64_000 and need.minutes <= 24 * 60, (stage, key, need)
        if stage != "train":
            assert need_of(plan, stage, key, gpu=gpu, longest=10**9).minutes <= 24 * 60, (
                stage,
                key,
            )
        assert plan.jobs[stage, key].command_bytes <= 100_000, (stage, key)


def test_most_trainings_of_the_paper_fit_into_a_day_of_a_gpu():
    """One ImageNet training needs eight jobs of a day; on a slow core it would need years."""
    plan = make_plan(load_study(REPOSITORY / "workflow/studies/paper.yaml"))
    runs = [key for stage, key in plan.jobs if stage == "train"]
    days = {
        gpu: [need_of(plan, "train", run, gpu=gpu, longest=10**9).minutes / 1440 for run in runs]
        for gpu in (False, True)
    }
    assert sum(day > 1 for day in days[True]) < len(runs) / 4 and max(days[True]) < 15
    assert max(days[False]) > 365


def test_every_switched_setting_has_one_that_is_the_same_without_the_switch(settings):
    for setting in settings:
        if "switch" in setting.about and not switching.is_an_end(setting, settings):
            assert len(switching._unswitched(setting, settings)) == 1, setting.setting


def test_every_teacher_that_does_not_interpolate_has_one_that_does_beside_it(settings):
    for setting in settings:
        if setting.about.get("teacher_fits") == "non_interpolating":
            beside = switching._beside_another_teacher(setting, settings)
            assert len(beside) == 1, setting.setting


def test_no_setting_is_there_twice_under_two_names(settings):
    said = [json.dumps(setting.about, sort_keys=True) for setting in settings]
    twice = [s.setting for s, text in zip(settings, said, strict=True) if said.count(text) > 1]
    assert not twice


def test_the_papers_matrix_is_whole_and_trains_each_teacher_once():
    study = load_study(REPOSITORY / "workflow/studies/paper.yaml")
    table_2 = [setting for setting in study.settings.values() if setting.paper is not None]
    kinds = [study.datasets[setting.dataset].kind for setting in table_2]
    assert (kinds.count("image"), kinds.count("text"), len(study.seeds)) == (14, 8, 5)
    plan = make_plan(study)
    # A teacher is defined by a data set, a model and a recipe, with one run per seed.
    taught_by = {
        name: (setting.dataset, setting.teacher, setting.teacher_recipe or setting.recipe)
        for name, setting in study.settings.items()
    }
    said = {of: plan.settings[name].teachers for name, of in taught_by.items()}
    teachers = [run for runs in said.values() for run in runs]
    assert len(set(teachers)) == len(teachers) == 5 * len(said)
    for name, of in taught_by.items():
        assert plan.settings[name].teachers == said[of]


def test_the_papers_one_hot_student_of_a_self_distillation_is_its_teacher():
    study = load_study(REPOSITORY / "workflow/studies/paper.yaml")
    for name, setting in study.settings.items():
        if setting.paper is not None and setting.teacher == setting.student:
            for teacher, one_hot, _ in spec_of(setting.paper).values():
                assert teacher == one_hot, name
