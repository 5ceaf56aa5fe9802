"""The studies that come with the project: each resolves, and its claims find what they compare."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey.analysis.claims import switching
from disobey.strict import spec_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

REPOSITORY = Path(__file__).parents[2]
SHIPPED = [REPOSITORY / "config.yaml", *sorted(REPOSITORY.glob("workflow/studies/*.yaml"))]


@pytest.fixture(params=SHIPPED, ids=lambda path: path.stem)
def plan(request, monkeypatch):
    """The plan of a shipped study."""
    monkeypatch.chdir(REPOSITORY)  # where data_root starts
    if (
        not (REPOSITORY.parent / "shared/data").is_dir()
        and "data_root" in request.param.read_text()
    ):
        assert not os.environ.get("CI"), "no real data beside the project"
        pytest.skip("no real data beside the project")
    return make_plan(load_study(request.param))


@pytest.fixture
def settings(plan):
    """What is said of each setting of a shipped study, as its analyses will hold it."""
    specs = {k: json.loads(j.spec) for (s, k), j in plan.jobs.items() if s == "confidence"}
    return [
        SimpleNamespace(setting=key.split("/")[1], about=spec["about"])
        for key, spec in specs.items()
        if "epoch" not in spec["about"]
    ]


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
    # A teacher is a data set, a model and a recipe; a seed each.
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
