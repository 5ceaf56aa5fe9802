"""Stored teacher views of augmented images, and the students that use them."""

import json

import pytest

from disobey.study.plan import make_plan
from disobey.study.resources import need_of
from disobey.study.runs import seen_teacher

NOISE = "    label_noise: {rate: 0.2, seed: 7}\n"
AUGMENT = (NOISE, NOISE + "    augment: {crop_padding: 1, flip: true}\n")  # 18 views
EPOCHS = "epochs: 2}"
LONG = (EPOCHS, "epochs: 15}")
DISTILL = "distill: {temperature: 4, weight: 0.5}"
LIVE = (DISTILL, "distill: {temperature: 4, weight: 0.5, teacher: live}")
SECOND = """
  again:
    dataset: noisy
    teacher: mlp
    student: wide
    recipe: image
    distill: {temperature: 1}
  langid:
"""


@pytest.fixture
def planned(study):
    return lambda *edits: make_plan(study(AUGMENT, *edits))


def stage(plan, name):
    return {key: job for (kind, key), job in plan.jobs.items() if kind == name}


def spec(plan, name, key):
    return json.loads(plan.jobs[name, key].spec)


def test_each_teacher_has_as_many_blocks_as_its_students_read(planned):
    plan = planned(LONG)
    teachers = plan.settings["self"].teachers
    assert set(stage(plan, "views")) == {f"{t}/{block}" for t in teachers for block in (0, 1)}
    for student, teacher in zip(plan.settings["self"].students, teachers, strict=True):
        read = [path for path in plan.jobs["train", student].inputs if "/views/" in path]
        assert read == [f"results/views/{teacher}/{block}.nc.json" for block in (0, 1)]


def test_a_longer_study_adds_blocks_and_keeps_those_there_are(planned):
    """The teacher's own recipe stays; the students show more views."""
    recipes = (
        "  text:",
        "  long: {optimizer: sgd, lr: 0.05, epochs: 15}\n  text:",
    )
    use = ("recipe: image", "recipe: long\n    teacher_recipe: image")
    short, long = planned(), planned(recipes, use)
    for key, job in stage(short, "views").items():
        assert long.jobs["views", key] == job
    assert len(stage(long, "views")) == 2 * len(stage(short, "views"))


def test_all_students_of_a_teacher_share_its_views(planned):
    alone, together = planned(), planned(("\n  langid:\n", SECOND))
    assert stage(alone, "views") == stage(together, "views")
    assert len(stage(together, "train")) > len(stage(alone, "train"))


def test_temperature_weight_seed_and_switch_take_the_same_views(planned):
    stored = stage(planned(), "views")
    for change in (
        "distill: {temperature: 2, weight: 1.0}",
        "distill: {temperature: 4, weight: 0.5, switch: {order: one_hot_first, at: 0.5}}",
    ):
        assert stage(planned((DISTILL, change)), "views") == stored


def test_teacher_reference_and_student_are_shown_what_they_should(planned):
    """Student and reference are shown the same views, the teacher its own permutations."""
    plan = planned()
    runs = plan.settings["self"]
    seeds = {
        role: [spec(plan, "train", run)["seeds"] for run in ids]
        for role, ids in (
            ("teacher", runs.teachers), ("reference", runs.references), ("student", runs.students),
        )
    }  # fmt: skip
    assert seeds["reference"] == seeds["student"]
    draws = {role: {seed["draw"] for seed in found} for role, found in seeds.items()}
    assert draws["student"] == {0} and 0 not in draws["teacher"] and len(draws["teacher"]) == 2
    assert len({seed["views"] for seed in seeds["student"]}) == 2
    assert all(json.loads(job.spec)["draw"] == 0 for job in stage(plan, "views").values())


def test_without_augmentation_nothing_of_views_stands_in_any_spec(study):
    plan = make_plan(study())
    assert not stage(plan, "views")
    for job in plan.jobs.values():
        assert not {"augment", "draw"} & set(json.loads(job.spec))
        assert not {"views", "draw"} & set(json.loads(job.spec).get("seeds") or {})


def test_the_prepared_data_are_the_same_with_and_without(study):
    assert stage(make_plan(study()), "prepare") == stage(make_plan(study(AUGMENT)), "prepare")


def test_a_live_teacher_is_read_as_weights_and_its_code_counts(planned):
    plan = planned(LIVE, ("student: mlp", "student: resnet"))
    runs = plan.settings["self"]
    assert not stage(plan, "views")
    for student, teacher in zip(runs.students, runs.teachers, strict=True):
        job = plan.jobs["train", student]
        assert f"results/runs/{teacher}.json" in job.inputs
        assert {"disobey.models.mlp", "disobey.models.small_resnet"} <= set(job.roots)
        assert "disobey.training.teachers:live_teacher" in job.roots
    stored = planned(("student: mlp", "student: resnet"))
    job = stored.jobs["train", stored.settings["self"].students[0]]
    assert "disobey.models.mlp" not in job.roots


AUTO = {
    "small enough": ((), {}, "teacher from 2 views of each image, 0.000115 GB"),
    "too large": (
        [("analysis:", "views: {limit_gb: 1e-6}\nanalysis:")],
        {"live": True},
        "teacher live instead of 2 views of each image, 0.000115 GB of float32 a teacher "
        "(limit_gb is 1e-06)",
    ),
    "asked for": ([LIVE], {"live": True}, "(as asked for)"),
    "too large, but asked for": (
        [
            ("analysis:", "views: {limit_gb: 1e-6}\nanalysis:"),
            (DISTILL, DISTILL.replace("}", ", teacher: views}")),
        ],
        {},
        "teacher from 2 views of each image",
    ),
    "half the bytes": (
        [("analysis:", "views: {dtype: float16}\nanalysis:")],
        {"views": "float16"},
        "0.0000577 GB of float16",
    ),
}


@pytest.mark.parametrize("edits, expected, words", AUTO.values(), ids=AUTO)
def test_auto_decides_by_bytes_and_says_why(study, edits, expected, words):
    """2 epochs x 1,442 images x 10 classes x 4 bytes."""
    found = study(AUGMENT, *edits)
    seen = seen_teacher(found, found.settings["self"])
    assert seen.spec == expected
    assert words.replace("0.0000577", "5.77e-05") in seen.why


@pytest.mark.parametrize(("steps", "epochs"), [(23, 1), (24, 2), (230, 10), (231, 11)])
def test_a_training_in_steps_takes_the_views_of_every_epoch_that_it_begins(study, steps, epochs):
    """1,442 images in batches of 64 are 23 steps."""
    found = study(AUGMENT, (EPOCHS, f"steps: {steps}, batch: 64}}"))
    seen = seen_teacher(found, found.settings["self"])
    assert seen.why.startswith(f"teacher from {epochs} views of each image")
    plan = make_plan(found)
    for student, teacher in zip(*(getattr(plan.settings["self"], role) for role in
                                  ("students", "teachers")), strict=True):  # fmt: skip
        read = [path for path in plan.jobs["train", student].inputs if "/views/" in path]
        blocks = range(1 if epochs <= 10 else 2)
        assert read == [f"results/views/{teacher}/{block}.nc.json" for block in blocks]


def test_auto_is_the_default_and_changes_no_id(planned):
    auto = (DISTILL, DISTILL.replace("}", ", teacher: auto}"))
    assert planned(auto).jobs == planned().jobs


def test_views_of_float16_lie_beside_those_of_float32(planned):
    half = planned(("analysis:", "views: {dtype: float16}\nanalysis:"))
    assert all(key.endswith("/0-float16") for key in stage(half, "views"))
    assert not set(half.settings["self"].students) & set(planned().settings["self"].students)


def test_views_ask_for_memory_and_time(planned):
    plan = planned(LONG)
    (key, *_) = stage(plan, "views")
    need = need_of(plan, "views", key)
    assert need.memory_mb >= 1500 and need.minutes >= 15
