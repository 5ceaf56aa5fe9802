# ruff: noqa: E501 - pieces of the study's text, and messages, stand whole
"""Settings made by sweeps, chains of teachers, and measurements of the bias."""

import json
import re
from pathlib import Path

import pytest

from disobey.errors import UserError
from disobey.study.figures import figures_of
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

BIASED = """\
study: biased
seeds: [0, 1]
datasets:
  noisy: {source: builtin, name: digits, centre: pixel, label_noise: {rate: 0.2, seed: 7}}
  clean: {source: builtin, name: digits, centre: pixel}
  plain: {source: builtin, name: digits}
models:
  mlp: {family: mlp, hidden: [8]}
  deep: {family: mlp, hidden: [8, 8]}
  conv: {family: small_resnet, stem: 4, widths: [6]}
recipes:
  bias: {optimizer: sgd, lr: 0.1, epochs: 5, snapshots: [1, 3]}
  faster: {optimizer: sgd, lr: 0.2, epochs: 5, snapshots: [1, 3]}
  short: {optimizer: sgd, lr: 0.1, momentum: 0.9, epochs: 2}
settings:
  self:
    dataset: noisy
    teacher: mlp
    student: mlp
    recipe: bias
    teacher_recipe: bias
    distill: {temperature: 4}
    bias: {layers: [hidden_1], placebos: [batch_order, half_lr]}
    over_training: true
  switch:
    dataset: noisy
    teacher: mlp
    student: mlp
    recipe: bias
    distill: {temperature: 4, switch: {order: distillation_first, at: 0.5}}
  again: {dataset: noisy, teacher: {setting: self}, student: mlp, recipe: bias, distill: {temperature: 4}}
sweeps:
  temperature: {base: self, vary: {distill.temperature: [1, 4, 8]}}
  lr: {base: self, vary: {distill.temperature: [1], recipe: [faster]}}
  point: {base: switch, vary: {distill.switch.order: [distillation_first, one_hot_first], distill.switch.at: [0, 0.5, 1]}}
"""


@pytest.fixture
def load(study_file):
    return lambda *edits: load_study(study_file(*edits, text=BIASED))


@pytest.fixture
def plan(load):
    return lambda *edits: make_plan(load(*edits))


def specs(plan, stage):
    return [json.loads(job.spec) for job in plan.jobs.values() if job.stage == stage]


def refusal(load, *edits):
    with pytest.raises(UserError) as caught:
        load(*edits)
    return str(caught.value).partition("study.yaml:")[2]


# --- sweeps ------------------------------------------------------------------------------------


def test_a_sweep_makes_a_setting_of_every_combination(load):
    study = load()
    assert [name for name in study.settings if name.startswith(("temperature", "lr", "point"))] == [
        "temperature-1", "temperature-4", "temperature-8", "lr-1-faster",
        "point-distillation_first-0", "point-distillation_first-0.5", "point-distillation_first-1",
        "point-one_hot_first-0", "point-one_hot_first-0.5", "point-one_hot_first-1",
    ]  # fmt: skip
    assert study.settings["temperature-8"].distill.temperature == 8
    changed = study.settings["lr-1-faster"]
    assert changed == study.settings["self"].model_copy(
        update={"recipe": "faster", "distill": changed.distill}
    )


def test_a_large_number_has_no_plus_sign_in_the_name_of_its_setting(load):
    assert load(("[1, 4, 8]", "[1.0e+6]")).settings["temperature-1e06"].distill.temperature == 1e6


def test_a_setting_of_a_sweep_that_equals_its_base_trains_nothing_new(plan):
    settings = plan().settings
    assert settings["temperature-4"] == settings["self"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("base: self, vary: {distill.temperature: [1, 4", "base: sef, vary: {distill.temperature: [1, 4"),
         "33: sweeps.temperature.base: there is no setting 'sef'; did you mean 'self'?"),
        (("[1, 4, 8]", "[1, 4, -8]"),
         "33: sweeps.temperature.vary: setting 'temperature--8': distill.temperature: "
         "must be above 0, got -8"),
        (("[1, 4, 8]", "[[1]]"),
         "33: sweeps.temperature.vary.distill.temperature[0]: must be a word, a number, true or false"),
        (("[1, 4, 8]}}\n  lr", "[1], recipe.lr: [-1]}}\n  lr"),
         "33: sweeps.temperature.vary: setting 'temperature-1--1': recipe.lr: must be above 0, got -1"),
        (("vary: {distill.temperature: [1, 4", "vary: {recipe.lrr: [1, 4"),
         "33: sweeps.temperature.vary: setting 'temperature-1': recipe.lrr: unknown key 'lrr'; did "
         "you mean 'lr'?"),
        (("vary: {distill.temperature: [1, 4, 8]", "vary: {recipe.momentum: [0.9]"),
         "33: sweeps.temperature: its setting temperature-0.9.bias: recipe 'bias with momentum 0.9' "
         "has momentum, under which progress along eigendirections is not gradient descent's; use "
         "a recipe with optimizer: sgd or adam and without momentum and weight_decay"),
        (("vary: {distill.temperature: [1, 4", "vary: {recipe.base: [1, 4"),
         "33: sweeps.temperature.vary: 'recipe.base' is no key that a run has; write vary: {recipe: "
         "[a, b]}"),
        (("vary: {distill.temperature: [1, 4", "vary: {dataset.label_noise.rate: [1, 4"),
         "33: sweeps.temperature.vary: 'dataset' names an entry of datasets, whose keys cannot be "
         "varied; add a second entry to datasets and write vary: {dataset: [a, b]}"),
        (("vary: {distill.temperature: [1, 4, 8]", "vary: {student.hidden: [[32], [64]]"),
         "33: sweeps.temperature.vary: 'student' names an entry of models, whose keys cannot be "
         "varied; add a second entry to models and write vary: {student: [a, b]}"),
        (("vary: {distill.temperature: [1, 4", "vary: {distill.temperature.x: [1, 4"),
         "33: sweeps.temperature.vary: 'distill.temperature' has no part 'x'; write a value"),
        (("vary: {distill.temperature: [1, 4", "vary: {over_training.x: [1, 4"),
         "33: sweeps.temperature.vary: 'over_training' has no part 'x'; write a value"),
        (("vary: {distill.temperature: [1, 4", "vary: {distill: [1, 4"),
         "33: sweeps.temperature.vary: 'distill' has parts; vary these one by one, for example "
         "distill.temperature"),
        (("vary: {distill.temperature: [1, 4, 8]", "vary: {teacher.setting: [a]"),
         "33: sweeps.temperature: its setting temperature-a.teacher.setting: there is no setting 'a'; "
         "known: again, lr-1-faster, point-distillation_first-0, point-distillation_first-0.5, "
         "point-distillation_first-1, point-one_hot_first-0, point-one_hot_first-0.5, "
         "point-one_hot_first-1, self, switch, temperature-a"),
        (("vary: {distill.temperature: [1, 4, 8]", "vary: {teacher: [mlp], teacher.setting: [self]"),
         "33: sweeps.temperature.vary: 'teacher' is varied as a whole and in parts; remove one of "
         "them"),
        (("vary: {distill.temperature: [1, 4, 8]", "vary: {distill.weight: [20]"),
         "33: sweeps.temperature.vary: setting 'temperature-20': distill.weight: "
         "must be at most 1, got 20; write 20 % as a share: 0.2"),
        (("[1, 4, 8]", "[1, 1]"),
         "33: sweeps.temperature.vary: setting 'temperature-1': there is one of this name already; "
         "rename the sweep, or give each value once"),
        (("recipe: [faster]", "recipe: ['a b']"),
         "34: sweeps.lr.vary: setting 'lr-1-a b': its name may have letters, digits, _, . and - only; "
         "vary numbers and plain words, or write the setting out"),
        (("  lr: {", f"  {'l' * 60}: {{"),
         f"34: sweeps.{'l' * 60}.vary: setting '{'l' * 60}-1-faster': its name would be too long; "
         "give the sweep a shorter one"),
        (("recipe: [faster]", "recipe: [fastr]"),
         "34: sweeps.lr: its setting lr-1-fastr.recipe: there is no recipe 'fastr'; "
         "did you mean 'faster'?"),
        (("vary: {distill.temperature: [1, 4", "vary: {distill.temprature: [1, 4"),
         "33: sweeps.temperature.vary: setting 'temperature-1': distill.temprature: "
         "unknown key 'temprature'; did you mean 'temperature'?"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_is_refused_at_its_line(load, edit, message):
    assert refusal(load, edit).splitlines()[0] == message


def test_a_sweep_over_teachers_that_are_students_begins_at_a_model(load):
    old = "base: self, vary: {distill.temperature: [1, 4, 8]"
    study = load((old, "base: switch, vary: {teacher.setting: [self]"))
    assert study.settings["switch"].teacher == "mlp"
    assert study.settings["temperature-self"].teacher == study.settings["again"].teacher


def test_a_sweep_over_a_part_that_the_base_has_off_gives_it(load):
    study = load(("switch: {order: distillation_first, at: 0.5}}", "switch: null}"))
    assert study.settings["point-one_hot_first-0.5"].distill.switch.order == "one_hot_first"


# --- varied recipes, and recipes made of others -----------------------------------------------------

FASTER = "  faster: {optimizer: sgd, lr: 0.2, epochs: 5, snapshots: [1, 3]}"


def recipes_of(planned, name):
    """Return the recipes of a setting's first teacher and first student."""
    runs = planned.settings[name]
    ids = (runs.teachers[0], runs.students[0])
    return [json.loads(planned.jobs["train", id].spec)["recipe"] for id in ids]


def test_a_sweep_varies_keys_of_the_student_s_recipe_alone_where_the_teacher_has_its_own(plan):
    planned = plan(("vary: {distill.temperature: [1, 4, 8]", "vary: {recipe.lr: [0.1, 0.3]"))
    teacher, student = recipes_of(planned, "temperature-0.3")
    assert (teacher["lr"], student["lr"]) == (0.1, 0.3)
    assert planned.settings["temperature-0.1"] == planned.settings["self"]


def test_a_sweep_varies_the_teacher_s_recipe_too_unless_it_has_its_own(plan):
    planned = plan(("vary: {distill.switch.order: [distillation_first, one_hot_first], "
                    "distill.switch.at: [0, 0.5, 1]", "vary: {recipe.batch: [32]"))  # fmt: skip
    assert [recipe["batch"] for recipe in recipes_of(planned, "point-32")] == [32, 32]


def test_varied_steps_replace_epochs_and_what_lies_inside_a_key_is_made(load):
    study = load(("vary: {distill.temperature: [1, 4, 8]", "vary: {recipe.evaluate.points: [3]"),
                 ("recipe: [faster]", "recipe.steps: [70]"))  # fmt: skip
    assert study.recipes["bias with evaluate.points 3"].evaluate.points == 3
    longer = study.recipes["bias with steps 70"]
    assert (longer.steps, longer.epochs, longer.lr) == (70, None, 0.1)


def test_a_recipe_has_the_keys_of_its_base_and_equal_runs_stay_one(load, plan):
    heir = (FASTER, "  faster: {base: heir, lr: 0.2}\n  heir: {base: bias, batch: 32}")
    assert load(heir).recipes["faster"] == load().recipes["faster"].model_copy(update={"batch": 32})
    same = (FASTER, "  faster: {base: bias, lr: 0.2}")
    assert plan(same).jobs == plan().jobs


def test_null_switches_a_key_of_the_base_off_and_another_unit_replaces_its_own(load):
    edits = (FASTER, "  faster: {base: short, steps: 9, momentum: null, snapshots: [1]}")
    faster = load(edits, ("    over_training: true\n", "")).recipes["faster"]
    assert (faster.steps, faster.epochs, faster.momentum) == (9, None, None)


@pytest.mark.parametrize(
    ("recipes", "messages"),
    [
        ("  faster: {base: bais, lr: 0.2}",
         ["13: recipes.faster.base: there is no recipe 'bais'; did you mean 'bias'?"]),
        ("  faster: {base: heir}\n  heir: {base: faster}",
         ["13: recipes.faster.base: is its own base in the end (faster -> heir -> faster); remove one base",
          "14: recipes.heir.base: is its own base in the end (heir -> faster -> heir); remove one base"]),
        ("  faster: {base: heir, epochs: 2}\n  heir:\n    base: bias\n    batch: 0",
         ["16: recipes.faster.batch: must be above 0, got 0", "16: recipes.heir.batch: must be above 0, got 0"]),
        ("  faster: {base: [bias], optimizer: sgd, lr: 0.2, epochs: 5}",
         ["13: recipes.faster.base: must be a word, got a list; write 'bias'"]),
    ],
    ids=["unknown", "circle", "line of the base", "list"],
)  # fmt: skip
def test_bad_bases_are_refused(load, recipes, messages):
    with pytest.raises(UserError) as caught:
        load((FASTER, recipes))
    assert [line.partition("study.yaml:")[2] for line in str(caught.value).splitlines()] == messages


def test_the_reference_s_examples_are_right(study_file):
    page = (Path(__file__).parents[2] / "docs/reference/study-file.md").read_text(encoding="utf-8")
    recipes, of_recipes, of_shares = re.findall(r"```yaml\n(.*?)```", page, re.S)
    parts = (
        "study: s\nseeds: [0]\nmodels: {mlp: {family: mlp}}\ndatasets:\n"
        "  digits: {source: builtin, name: digits}\n"
        "  noisy: {source: builtin, name: digits, label_noise: {rate: 0.2, seed: 0}}\n"
    )
    shared = load_study(study_file(text=parts + recipes + of_shares)).settings
    assert {setting.student_share for setting in shared.values()} == {0.5, 0.3, 0.7}
    study = load_study(study_file(text=parts + recipes + of_recipes))
    assert study.recipes["plain"].momentum is None and study.recipes["plain"].epochs == 20
    made = study.settings["lr-0.05-64"]
    assert (study.recipes[made.recipe].lr, study.recipes[made.recipe].batch) == (0.05, 64)


# --- switching ---------------------------------------------------------------------------------


def test_a_switch_at_an_end_is_no_switch(plan):
    settings = plan().settings
    plain, switched = settings["self"], settings["switch"]
    assert settings["point-distillation_first-0"].students == switched.references
    assert settings["point-one_hot_first-1"].students == switched.references
    throughout = settings["point-distillation_first-1"].students
    assert settings["point-one_hot_first-0"].students == throughout
    # the bias of `self` is tracked: its runs have another spec, but the same training
    assert not set(throughout) & set(plain.students)


# --- chains --------------------------------------------------------------------------------------


def test_a_student_of_a_student_has_seeds_of_its_own(plan):
    planned = plan()
    first, second = planned.settings["self"], planned.settings["again"]
    assert second.teachers == first.students
    seeds = {spec["seeds"]["initialisation"] for spec in specs(planned, "train")}
    assert seeds == {0, 1, 1_000_000, 1_000_001, 2_000_000, 2_000_001}
    about = specs(planned, "confidence")
    assert {spec["about"].get("round", 1) for spec in about} == {1, 2}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("{setting: self}", "{setting: again}"),
         "31: settings.again.teacher: is part of a circle of teachers (again -> again); "
         "give one of these settings a model as its teacher"),
        (("{setting: self}", "{setting: selv}"),
         "31: settings.again.teacher.setting: there is no setting 'selv'; did you mean 'self'?"),
        (("again: {dataset: noisy", "again: {dataset: clean"),
         "31: settings.again.teacher.setting: the student of 'self' learnt 'noisy', this setting is "
         "about 'clean'; both must be of one data set"),
        (("student: mlp, recipe: bias", "student: mlp, teacher_recipe: short, recipe: bias"),
         "31: settings.again.teacher_recipe: the teacher is trained by the recipe of setting "
         "'self'; remove teacher_recipe"),
    ],
)  # fmt: skip
def test_a_wrong_chain_is_refused(load, edit, message):
    assert refusal(load, edit).splitlines()[0] == message


# --- bias ----------------------------------------------------------------------------------------


def test_placebos_start_like_the_reference_and_differ_in_one_thing(plan):
    planned = plan()
    runs = planned.settings["self"]
    made = {json.loads(job.spec)["seeds"]["initialisation"]: job for job in planned.jobs.values()
            if job.stage == "train"}  # fmt: skip
    assert made
    spec = {key[1]: json.loads(job.spec) for key, job in planned.jobs.items() if key[0] == "train"}
    reference = spec[runs.references[0]]
    order, slower = (spec[runs.placebos[name][0]] for name in ("batch_order", "half_lr"))
    assert order["seeds"]["initialisation"] == reference["seeds"]["initialisation"]
    assert order["seeds"]["order"] != reference["seeds"]["order"]
    assert slower["seeds"] == reference["seeds"]
    assert slower["recipe"]["lr"] == reference["recipe"]["lr"] / 2
    assert {s["progress"]["basis"] for s in (reference, order, slower)} == {
        reference["progress"]["basis"]
    }


def test_all_placebos_are_trained_where_none_is_named(plan):
    """They have other rates, smoothed labels, or the label loss at the student's temperature."""
    planned = plan((", placebos: [batch_order, half_lr]}", "}"))
    recipes = {
        name: json.loads(planned.jobs["train", ids[0]].spec)["recipe"]
        for name, ids in planned.settings["self"].placebos.items()
    }
    plain = recipes.pop("batch_order")
    changes = {name: recipe.items() - plain.items() for name, recipe in recipes.items()}
    assert changes == {
        "quarter_lr": {("lr", 0.025)}, "half_lr": {("lr", 0.05)}, "double_lr": {("lr", 0.2)},
        "label_smoothing": {("label_smoothing", 0.1)}, "one_hot_at_T": {("one_hot_temperature", 4)},
    }  # fmt: skip


def test_one_hot_at_a_temperature_of_one_is_the_reference_and_no_placebo(plan):
    planned = plan(("placebos: [batch_order, half_lr]", "placebos: [half_lr, one_hot_at_T]"))
    assert list(planned.settings["temperature-4"].placebos) == ["half_lr", "one_hot_at_T"]
    assert list(planned.settings["temperature-1"].placebos) == ["half_lr"]


def test_logits_of_placebos_are_not_asked_for(plan):
    planned = plan()
    dumped = {key for stage, key in planned.jobs if stage == "dump"}
    assert not dumped & {run for runs in planned.settings["self"].placebos.values() for run in runs}


def test_deeper_layers_are_measured_in_the_basis_of_each_seed_s_teacher(plan):
    planned = plan(("    teacher: mlp\n    student: mlp\n    recipe: bias\n    teacher_recipe: bias",
                    "    teacher: deep\n    student: deep\n    recipe: bias\n    teacher_recipe: bias"),
                   ("[hidden_1]", "[hidden_1, hidden_2]"))  # fmt: skip
    bases = [spec for spec in specs(planned, "basis") if "run" in spec]
    assert {spec["run"] for spec in bases} == set(planned.settings["self"].teachers)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("[hidden_1]", "[hiden_1]"),
         "23: settings.self.bias.layers[0]: model 'mlp' has no layer 'hiden_1' with a matrix of "
         "weights; did you mean 'hidden_1'? (known: hidden_1, classifier)"),
        (("[hidden_1]", "[conv]"),
         "23: settings.self.bias.layers[0]: model 'mlp' has no layer 'conv' with a matrix of "
         "weights; known: classifier, hidden_1"),
        (("    dataset: noisy\n    teacher: mlp\n    student: mlp\n    recipe: bias\n    teacher_recipe",
          "    dataset: plain\n    teacher: mlp\n    student: mlp\n    recipe: bias\n    teacher_recipe"),
         "23: settings.self.bias.layers[0]: 'hidden_1' reads the images, whose mean would be the "
         "leading direction; add centre: pixel to data set 'plain'"),
        (("    recipe: bias\n    teacher_recipe", "    recipe: short\n    teacher_recipe"),
         "23: settings.self.bias: recipe 'short' has momentum, under which progress along "
         "eigendirections is not gradient descent's; use a recipe with optimizer: sgd or adam and "
         "without momentum and weight_decay"),
        (("placebos: [batch_order, half_lr]", "directions: [2, 3]"),
         "23: settings.self.bias.directions: directions must rise from 1, got [2, 3]"),
        (("snapshots: [1, 3]}\n  faster", "snapshots: [1, 5]}\n  faster"),
         "12: recipes.bias: snapshots must be before the last epoch, 5, which is kept anyway; got 5"),
    ],
)  # fmt: skip
def test_a_bias_that_cannot_be_measured_is_refused(load, edit, message):
    assert refusal(load, edit).splitlines()[0] == message


PAIRS = ("placebos: [batch_order, half_lr]}", "placebos: [half_lr], pairs: {}}")


def paired(options):
    return PAIRS[0], PAIRS[1].replace("pairs: {}", f"pairs: {{{options}}}")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([paired("bottom: [20, 70]")],
         "23: settings.self.bias.pairs.bottom: the input of 'hidden_1' has 64 directions at most; write a "
         "last rank up to 64 (now 70), or pairs of another layer"),
        ([PAIRS, ("centre: pixel, label_noise", "centre: pixel, subset: {train: 50}, label_noise")],
         "23: settings.self.bias.pairs.bottom: the input of 'hidden_1' has 49 directions at most; write a "
         "last rank up to 49 (now 60), or pairs of another layer"),
        ([paired("bottom: [20, 33]")],
         "23: settings.self.bias.pairs: bottom: 20 to 33 are 14 directions for 15 pairs; write [20, 34], "
         "or more"),
        ([paired("bottom: [10, 60]")],
         "23: settings.self.bias.pairs: bottom: 10 begins among the top directions; write 16 or more, or "
         "a smaller top (15 at least)"),
        ([paired("top: 8")],
         "23: settings.self.bias.pairs.top: must be at least 15, got 8"),
        ([(PAIRS[0], "pairs: {}, directions: [1, 2, 3]}")],
         "23: settings.self.bias: directions have no rank 4, of which pairs are made; add it, or leave "
         "directions out"),
        ([PAIRS, ("    teacher: mlp\n    student: mlp\n    recipe: bias\n    teacher_recipe: bias",
                  "    teacher: deep\n    student: mlp\n    recipe: bias\n    teacher_recipe: bias")],
         "23: settings.self.bias.pairs: pairs compare the student with its teacher's own way, so both "
         "must be the same model of this file, trained on labels; write teacher: mlp, or remove pairs"),
        ([PAIRS, ("teacher_recipe: bias", "teacher_recipe: faster")],
         "23: settings.self.bias.pairs: pairs compare the student with a teacher of the same recipe; "
         "remove teacher_recipe, or pairs"),
        ([PAIRS, ("teacher: mlp\n    student: mlp\n    recipe: bias\n    teacher_recipe: bias",
                  "teacher: conv\n    student: conv\n    recipe: bias\n    teacher_recipe: bias"),
          ("[hidden_1]", "[stem.convolution]")],
         "23: settings.self.bias.pairs.bottom: the input of 'stem.convolution' has 9 directions at most; "
         "pairs need 30; track another layer, or remove pairs"),
        ([PAIRS, ("centre: pixel, label_noise", "centre: pixel, subset: {train: 31}, label_noise")],
         "23: settings.self.bias.pairs.bottom: the input of 'hidden_1' has 30 directions at most; write a "
         "last rank up to 30 (now 60), or pairs of another layer"),
        ([PAIRS, ("layers: [hidden_1]", "layers: [hiden_1]")],
         "23: settings.self.bias.layers[0]: model 'mlp' has no layer 'hiden_1' with a matrix of weights; "
         "did you mean 'hidden_1'? (known: hidden_1, classifier)"),
        ([PAIRS, ("layers: [hidden_1]", "layers: [classifier]")],
         "23: settings.self.bias.layers[0]: 'classifier' reads activations of the trained teacher, whose "
         "own way along them cannot be tracked; track a layer that reads the data, or remove pairs"),
    ],
)  # fmt: skip
def test_pairs_that_cannot_be_counted_are_refused(load, edits, message):
    assert refusal(load, *edits).splitlines()[0] == message


def test_pairs_need_no_centred_images_and_their_mean_is_then_no_direction_apart(plan, load):
    """This is as in the paper's experiments. Such a setting has its own figure."""
    uncentred = ("digits, centre: pixel, label_noise", "digits, label_noise")
    # Its recipe differs from the teacher's.
    sweep = ("  lr: {base: self, vary: {distill.temperature: [1], recipe: [faster]}}\n", "")
    planned = plan(PAIRS, sweep, uncentred)
    teacher = planned.settings["self"].teachers[0]
    progress = json.loads(planned.jobs["train", teacher].spec)["progress"]
    assert progress["directions"] == list(range(1, 61))
    basis = json.loads(planned.jobs["basis", progress["basis"]].spec)
    assert basis["mean_included"] == ["hidden_1"]
    (centred,) = specs(plan(PAIRS, sweep), "basis")
    assert "mean_included" not in centred
    drawn = {f.name: f.settings for f in figures_of(load(PAIRS, sweep)) if f.kind == "trajectories"}
    assert drawn["trajectories-self"] == ("self",)
    assert not [f for f in figures_of(load()) if f.kind == "trajectories"]


@pytest.mark.parametrize(
    ("option", "placebo"),
    [("one_hot_temperature: 2", "one_hot_at_T"), ("label_smoothing: 0.1", "label_smoothing")],
)
def test_a_recipe_that_is_a_placebo_already_has_none_of_its_kind(load, option, placebo):
    with_one = (
        "  bias: {optimizer: sgd, lr: 0.1, epochs: 5",
        f"  bias: {{optimizer: sgd, lr: 0.1, {option}, epochs: 5",
    )
    named = ("placebos: [batch_order, half_lr]", f"placebos: [half_lr, {placebo}]")
    key = option.partition(":")[0]
    assert refusal(load, with_one, named).splitlines()[0] == (
        f"23: settings.self.bias.placebos: recipe 'bias' has a {key} already; remove it, or name "
        f"placebos without {placebo}"
    )


def test_directions_that_are_named_are_tracked_whatever_pairs_need(plan):
    """If the teacher were tracked only along the pairs, it could not be drawn with its student."""
    named = [*range(1, 61), 64]
    sweep = ("  lr: {base: self, vary: {distill.temperature: [1], recipe: [faster]}}\n", "")
    options = (PAIRS[0], f"placebos: [half_lr], pairs: {{}}, directions: {named}}}")
    planned = plan(options, sweep)
    for run in (planned.settings["self"].teachers[0], planned.settings["self"].students[0]):
        assert json.loads(planned.jobs["train", run].spec)["progress"]["directions"] == named


def test_over_training_needs_snapshots(load):
    without = ("lr: 0.1, epochs: 5, snapshots: [1, 3]", "lr: 0.1, epochs: 5")
    assert refusal(load, without).splitlines()[0] == (
        "24: settings.self.over_training: recipe 'bias' keeps no snapshots; "
        "add to it, for example, snapshots: [1, 2, 5, 10]"
    )


# --- a share of the examples -----------------------------------------------------------------------

SHARE = (
    "sweeps:\n",
    "  share: {dataset: noisy, teacher: mlp, student: mlp, recipe: short, student_share: 0.5, distill: {temperature: 4}}\n"
    "sweeps:\n"
    "  shares: {base: share, vary: {student_share: [0.7, 1], distill.temperature: [2, 4]}}\n",
)


def test_students_and_references_see_a_share_and_teachers_all(plan):
    planned = plan(SHARE)
    train, dump = ({json.loads(job.spec)["labels"]: 0 for job in planned.jobs.values()
                    if job.stage == stage} for stage in ("train", "dump"))  # fmt: skip
    assert set(train) == set(dump)
    labels = {key: json.loads(planned.jobs["labels", key].spec) for key in train}
    shares = {key: spec.get("student_share") for key, spec in labels.items()}
    assert sorted(shares.values(), key=str) == [0.5, 0.7, None]
    noises = [spec["label_noise"] for spec in labels.values()]
    assert noises == [noises[0]] * 3
    half, most, all_of_them = (planned.settings[n] for n in ("share", "shares-0.7-4", "shares-1-4"))
    assert half.teachers == most.teachers == all_of_them.teachers
    assert most.references == planned.settings["shares-0.7-2"].references
    for chosen, share in ((half, 0.5), (most, 0.7), (all_of_them, None)):
        for run in (*chosen.references, *chosen.students):
            spec = json.loads(planned.jobs["train", run].spec)
            assert shares[spec["labels"]] == share
            read = json.loads(planned.jobs["dump", run].spec)
            assert read["labels"] == spec["labels"]
        for run in chosen.teachers:
            assert shares[json.loads(planned.jobs["train", run].spec)["labels"]] is None


def test_held_out_examples_are_a_split_of_the_settings_that_have_any(plan, load):
    planned = plan(SHARE)
    analyses = {key: json.loads(job.spec) for (stage, key), job in planned.jobs.items()
                if stage == "confidence"}  # fmt: skip
    assert analyses["biased/share"]["splits"] == ["train", "test", "held_out"]
    assert analyses["biased/share"]["about"]["student_share"] == 0.5
    assert "splits" not in analyses["biased/shares-1-4"]
    drawn = {figure.kind: figure.settings for figure in figures_of(load(SHARE))}
    assert drawn["leak"] == ("share", "shares-0.7-2", "shares-0.7-4")
    assert "leak" not in {figure.kind for figure in figures_of(load())}


def test_steps_are_more_epochs_of_a_share_and_so_more_views(plan):
    """15 batches of 100 are one epoch of 1,442 images, and two of half of them."""
    edits = (
        (
            "datasets:\n",
            "datasets:\n  views: {source: builtin, name: digits, augment: {crop_padding: 4}}\n",
        ),
        ("recipes:\n", "recipes:\n  steps: {optimizer: sgd, lr: 0.1, steps: 525, batch: 100}\n"),
    )
    setting = "  share: {dataset: views, teacher: mlp, student: mlp, recipe: steps, distill: {temperature: 4}%s}\nsweeps:\n"
    blocks = [
        sum(stage == "views" for stage, _ in plan(*edits, ("sweeps:\n", setting % more)).jobs)
        for more in ("", ", student_share: 0.5")
    ]
    assert blocks[1] > blocks[0]


def test_pairs_need_a_student_of_all_examples(load):
    bias = "bias: {layers: [hidden_1], placebos: [batch_order, half_lr]"
    said = refusal(load, (f"    {bias}}}", f"    student_share: 0.5\n    {bias}, pairs: {{}}}}"))
    assert "settings.self.bias.pairs: compares the student with its teacher's own way" in said


# --- figures ---------------------------------------------------------------------------------------


def test_figures_are_drawn_where_the_study_holds_what_they_show(load):
    drawn = {figure.name: figure.settings for figure in figures_of(load())}
    assert drawn["overview"] == (
        "self", "again", "temperature-1", "temperature-4", "temperature-8", "lr-1-faster"
    )  # fmt: skip
    assert drawn["rounds"] == ("self", "again")
    assert drawn["over-training-self"] == ("self@1", "self@3", "self")
    assert set(drawn["temperature"]) == {
        "self", "temperature-1", "temperature-4", "temperature-8", "lr-1-faster"
    }  # fmt: skip
    assert {"switch", "self", "point-one_hot_first-0.5"} <= set(drawn["switching"])
    assert "temperature-1" not in drawn["switching"]
    assert not [name for name in drawn["calibrated"] if name.startswith(("switch", "point"))]


def test_a_study_without_them_has_only_the_figures_of_confidence(study_file):
    study = load_study(study_file(("    label_noise: {rate: 0.2, seed: 7}\n", "")))
    assert {figure.kind for figure in figures_of(study)} == {
        "calibrated", "inheritance", "accuracy", "fidelity", "label-class", "dissection",
        "measures", "confidence", "overview", "pay-off",
    }  # fmt: skip


def test_losses_beside_each_other_are_a_figure_of_the_settings_that_differ_in_them(load):
    other = (
        "distill: {temperature: 4}\n    bias",
        "distill: {loss: reverse_kl, temperature: 4}\n    bias",
    )
    edits = (other, ("base: self, vary: {distill.temperature: [1, 4, 8]}",
                     "base: self, vary: {distill.loss: [kl, reverse_kl], distill.weight: [0.5]}"),
             ("  lr: {base: self, vary: {distill.temperature: [1], recipe: [faster]}}\n", ""))  # fmt: skip
    drawn = {figure.kind: figure.settings for figure in figures_of(load(*edits))}
    assert set(drawn["losses"]) == {"self", "temperature-kl-0.5", "temperature-reverse_kl-0.5"}
    assert "losses" not in {figure.kind for figure in figures_of(load())}


def test_snapshots_are_analysed_and_dumped_but_not_trained_again(plan):
    planned = plan()
    assert ("confidence", "biased/self@1") in planned.jobs
    student = planned.settings["self"].students[0]
    assert ("dump", f"{student}@3") in planned.jobs
    assert ("train", f"{student}@3") not in planned.jobs


def test_only_what_is_analysed_keeps_snapshots(plan):
    """Otherwise one more snapshot would needlessly train teachers and placebos again."""
    planned = plan()
    runs = planned.settings["self"]

    def keep(*ids):
        specs = [json.loads(planned.jobs["train", id].spec) for id in ids]
        return {"snapshots" in spec["recipe"] for spec in specs}

    assert keep(*runs.references, *runs.students) == {True}
    assert keep(*runs.teachers, *(id for ids in runs.placebos.values() for id in ids)) == {False}


def test_every_run_of_a_recipe_that_evaluates_does(plan):
    """Curves of teachers, references and placebos are drawn with the student's."""
    planned = plan(("snapshots: [1, 3]}\n  faster", "evaluate: {}, snapshots: [1, 3]}\n  faster"))
    runs = planned.settings["self"]
    ids = [id for ids in (runs.teachers, runs.references, runs.students) for id in ids]
    ids += [id for ids in runs.placebos.values() for id in ids]
    recipes = [json.loads(planned.jobs["train", id].spec)["recipe"] for id in ids]
    assert [recipe["evaluate"] for recipe in recipes] == [{"examples": 300, "points": 20}] * len(
        ids
    )


# --- along training --------------------------------------------------------------------------------

EVALUATED = ("bias: {optimizer: sgd, lr: 0.1, epochs: 5, snapshots: [1, 3]}",
             "bias: {optimizer: sgd, lr: 0.1, epochs: 5, snapshots: [1, 3], evaluate: {points: 9}}")  # fmt: skip


def test_curves_are_of_settings_whose_recipe_evaluates(plan):
    found = {key: job for (stage, key), job in plan(EVALUATED).jobs.items() if stage == "curves"}
    assert {"biased/self", "biased/switch", "biased/again"} <= set(found)
    assert "biased/lr-1-faster" not in found
    runs = json.loads(found["biased/self"].spec)["runs"]
    assert set(runs) == {"teacher", "reference", "student", "batch_order", "half_lr"}
    names = {f"results/runs/{id}.json" for ids in runs.values() for id in ids}
    assert set(found["biased/self"].inputs) == names


def test_a_teacher_that_is_not_evaluated_is_left_out_of_curves(plan):
    planned = plan(EVALUATED, ("teacher_recipe: bias", "teacher_recipe: short"),
                   ("    over_training: true\n", ""))  # fmt: skip
    spec = json.loads(planned.jobs["curves", "biased/self"].spec)
    assert "teacher" not in spec["runs"] and "reference" in spec["runs"]


def test_only_a_study_with_curves_has_their_table_and_figures(plan, load):
    kinds = {"training-curves", "equal-accuracy"}
    for edits, there in (((), False), ((EVALUATED,), True)):
        planned = plan(*edits)
        assert (("table", "biased/curves") in planned.jobs) == there
        assert any(stage == "curves" for stage, _ in planned.jobs) == there
        drawn = {figure.kind for figure in figures_of(load(*edits))}
        assert drawn & kinds == (kinds if there else set())
        for table in ("claims", "summary"):
            assert ("curves" in json.loads(planned.jobs["table", f"biased/{table}"].spec)) == there


def test_figures_of_curves_show_the_settings_that_have_them(plan, load):
    drawn = {figure.name: figure.settings for figure in figures_of(load(EVALUATED))}
    assert "switch" in drawn["training-curves"] and "switch" not in drawn["equal-accuracy"]
    assert not {"lr-1-faster"} & {*drawn["training-curves"], *drawn["equal-accuracy"]}
    job = plan(EVALUATED).jobs["figure", "biased/equal-accuracy"]
    assert json.loads(job.spec)["curves"] == list(drawn["equal-accuracy"])


def test_steps_show_settings_that_differ_in_the_switch_together(load):
    over = ("distill: {temperature: 4, switch: {order: distillation_first, at: 0.5}}",
            "distill: {temperature: 4, switch: {order: distillation_first, at: 0.5}}\n    over_training: true")  # fmt: skip
    alone = {figure.name: figure.settings for figure in figures_of(load())}
    assert alone["steps-self"] == ("self@1", "self@3", "self")
    drawn = {figure.name: figure.settings for figure in figures_of(load(over))}
    assert {"self", "switch", "switch@3", "point-one_hot_first-0.5@1"} <= set(drawn["steps-self"])
    assert "steps-switch" not in drawn
    assert drawn["steps-temperature-8"] == ("temperature-8@1", "temperature-8@3", "temperature-8")
