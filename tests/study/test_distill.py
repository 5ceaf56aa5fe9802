"""The loss of a setting reaches specs, ids and figures from the study file."""

import json
import subprocess
import sys

import pytest

from disobey.errors import UserError
from disobey.figures.series import families
from disobey.study.plan import make_plan
from disobey.tools.plan import in_words
from disobey.training.losses import losses

DISTILL = "distill: {temperature: 4, weight: 0.5}"
TWO_CLASSES = (
    "digits: {source: builtin, name: digits}",
    "digits: {source: builtin, name: digits}\n"
    "  two: {source: hub, path: ylecun/mnist, columns: {image: image}, first_classes: 2}",
)


def planned(study, distill, *more):
    """Return a study, its plan, and the specs of the trainings of setting ``self`` by role."""
    read = study((DISTILL, f"distill: {distill}"), *more)
    plan = make_plan(read)
    runs = plan.settings["self"]
    specs = {
        role: json.loads(plan.jobs["train", ids[0]].spec)
        for role, ids in (("reference", runs.references), ("student", runs.students))
    }
    return read, plan, specs


@pytest.mark.parametrize(
    ("distill", "where", "what"),
    [
        ("{loss: dk, temperature: 4}", "loss", ["did you mean 'dkd'?"]),
        ("{loss: 3, temperature: 4}", "loss", ["must be one of", "got 3"]),
        ("{los: dkd, temperature: 4}", "los", ["did you mean 'loss'?"]),
        ("{loss: dkd, temperature: 4, alhpa: 2}", "alhpa", ["did you mean 'alpha'?"]),
        ("{loss: dkd, temperature: 4, alpha: -1}", "alpha", ["at least 0", "got -1"]),
        ("{loss: dkd}", "temperature", ["is missing"]),
        ("{loss: reverse_kl, temperature: 4, beta: 2}", "beta", ["unknown key"]),
        ("{loss: squared_error, temperature: 4}", "temperature", ["unknown key"]),
        ("{loss: label_smoothing}", "", ["needs labels", "write weight: 0.1"]),
        ("{loss: confidence_penalty, weight: 0.1, teacher: live}", "", ["remove it"]),
    ],
)
def test_a_bad_loss_is_refused_with_what_to_write(study, distill, where, what):
    with pytest.raises(UserError) as error:
        study((DISTILL, f"distill: {distill}"))
    (message,) = str(error.value).splitlines()
    assert f":27: settings.self.distill{where and '.'}{where}: " in message
    assert all(words in message for words in what)


def test_a_loss_of_three_classes_is_refused_where_the_data_have_two(study):
    with pytest.raises(UserError, match=r":28: settings\.self\.distill\.loss: .* needs 3 .* has 2"):
        planned(
            study,
            "{loss: dkd, temperature: 4}",
            TWO_CLASSES,
            ("  self:\n    dataset: noisy", "  self:\n    dataset: two"),
        )


def test_the_default_loss_named_is_the_default_loss(study):
    _, unnamed, specs = planned(study, "{temperature: 4}")
    _, named, _ = planned(study, "{loss: kl, temperature: 4.0, weight: 1}")
    assert named.settings["self"] == unnamed.settings["self"]
    assert set(specs["student"]["distill"]) == {"teacher", "temperature", "weight"}


def test_the_id_of_a_student_changes_with_every_number_and_its_reference_with_none(study):
    found = {
        distill: planned(study, distill)[1].settings["self"]
        for distill in (
            "{temperature: 4}",
            "{loss: dkd, temperature: 4}",
            "{loss: dkd, temperature: 4, alpha: 1, beta: 8.0}",
            "{loss: dkd, temperature: 4, beta: 4}",
            "{loss: dkd, temperature: 4, weight: 0.5}",
            "{loss: squared_error}",
        )
    }
    students = [runs.students[0] for runs in found.values()]
    assert students[1] == students[2]
    assert len(set(students)) == len(students) - 1
    assert len({runs.references for runs in found.values()}) == 1
    assert "-dkd-T4-s" in students[1] and "-squared-error-s" in students[-1]


def test_a_loss_says_all_its_numbers_in_the_spec(study):
    _, plan, specs = planned(study, "{loss: dkd, temperature: 4, beta: 2}")
    student = specs["student"]["distill"]
    assert student == {"loss": "dkd", "temperature": 4.0, "weight": 1.0, "alpha": 1.0, "beta": 2.0,
                       "teacher": plan.settings["self"].teachers[0]}  # fmt: skip


def test_a_student_without_a_teacher_reads_nothing_of_it(study):
    read, plan, specs = planned(study, "{loss: label_smoothing, weight: 0.1}")
    assert specs["student"]["distill"] == {"loss": "label_smoothing", "weight": 0.1}
    runs = plan.settings["self"]
    inputs = plan.jobs["train", runs.students[0]].inputs
    assert inputs == plan.jobs["train", runs.references[0]].inputs
    assert "loss label smoothing, weight = 0.1" in in_words(read, "self")


@pytest.mark.parametrize("name", losses())
def test_every_loss_can_be_planned_with_its_defaults(study, name):
    required = {
        key: 3.0
        for key, parameter in losses()[name].parameters.items()
        if parameter.default is parameter.empty
    }
    read, _, specs = planned(study, json.dumps({"loss": name, "weight": 0.5} | required))
    assert specs["student"]["distill"].keys() >= losses()[name].parameters.keys()
    assert (losses()[name].words in in_words(read, "self")) == (name != "kl")


def test_settings_that_differ_in_the_loss_are_different_families(study):
    class Planned:
        def __init__(self, about):
            self.about = about

    given = [
        "{temperature: 4}",
        "{loss: dkd, temperature: 4}",
        "{loss: dkd, temperature: 4, beta: 2}",
    ]
    abouts = []
    for distill in given:
        _, plan, _ = planned(study, distill)
        abouts.append(json.loads(plan.jobs["confidence", "small/self"].spec)["about"])
    assert "loss" not in abouts[0]
    found = families([Planned(about) for about in abouts], ["temperature"])
    assert [family.name.partition("mlp, ")[2] for family in found] == [
        "", "loss DKD", "loss DKD, beta 2"
    ]  # fmt: skip


def test_the_loss_and_its_parameters_can_be_swept(study):
    sweep = "sweeps:\n  L: {base: self, vary: {distill.loss: [reverse_kl, jensen_shannon]}}\n"
    sweep += "  B: {base: by-dkd, vary: {distill.beta: [2, 4]}}\nanalysis:"
    base = "langid:\n    dataset: words"
    second = (
        "by-dkd: {dataset: noisy, teacher: mlp, student: mlp, recipe: image, "
        "distill: {loss: dkd, temperature: 4}}\n  "
    )
    read = study(("analysis:", sweep), (base, second + base))
    words = [setting.distill.words for name, setting in read.settings.items() if "-" in name[:2]]
    assert words == ["reverse KL", "Jensen-Shannon", "DKD, beta 2", "DKD, beta 4"]


def test_planning_needs_no_torch():
    code = "import sys, disobey.study.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
