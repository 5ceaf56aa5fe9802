"""``plan`` says in words what each setting is, and names its runs by role."""

import pytest

from disobey.__main__ import main
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

STUDY = """
study: small
seeds: [0, 1]
datasets: {d: {source: builtin, name: digits, centre: pixel}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings:
  plain: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2, weight: 0.5}}
  again: {dataset: d, teacher: {setting: plain}, student: m, recipe: r, distill: {temperature: 2}}
  late:
    dataset: d
    teacher: m
    student: m
    recipe: r
    distill: {temperature: 2, switch: {order: one_hot_first, at: 0.25}}
  biased:
    dataset: d
    teacher: m
    student: m
    recipe: r
    distill: {temperature: 2}
    bias: {layers: [hidden_1], placebos: [half_lr, label_smoothing]}
sweeps: {hot: {base: plain, vary: {distill.temperature: [8]}}}
"""


@pytest.fixture
def shown(tmp_path, capsys):
    """Return the printed lines of each setting, and the settings' runs."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    assert main(["plan", str(path)]) == 0
    blocks, lines = {}, capsys.readouterr().out.splitlines()
    for line in lines:
        if line.startswith("  ") and line[2] != " ":
            name, _, words = line.strip().partition(": ")
            blocks[name] = [words]
        elif blocks:
            blocks[name].append(line.split())
    return blocks, make_plan(load_study(path)).settings


def test_a_setting_is_said_in_words(shown):
    blocks, _ = shown
    plain = "m -> m on d, T = 2, weight = 0.5"
    assert blocks["plain"][0] == plain
    assert blocks["hot-8"][0] == plain.replace("T = 2", "T = 8")
    assert blocks["again"][0] == "student of plain -> m on d, T = 2, weight = 1"
    assert blocks["late"][0].endswith("one hot first, switch at 0.25 of the learning rate")
    assert blocks["biased"][0].endswith("bias of hidden_1")


def test_the_teacher_of_a_chain_is_the_student_of_the_setting_before(shown):
    blocks, settings = shown
    assert ["teacher", *settings["plain"].students] in blocks["again"]


def test_placebos_are_listed_beside_the_other_runs_where_bias_is_measured(shown):
    blocks, settings = shown
    roles = ["teacher", "reference", "student", "half_lr", "label_smoothing"]
    assert [line[0] for line in blocks["biased"][1:6]] == roles
    for placebo in roles[3:]:
        assert [placebo, *settings["biased"].placebos[placebo]] in blocks["biased"]
    assert not {"half_lr", "label_smoothing"} & {line[0] for line in blocks["late"][1:]}


@pytest.mark.parametrize("seeds, warned", [("[0, 1]", True), ("[0, 1, 2]", False), ("[0]", False)])
def test_two_seeds_are_warned_of(tmp_path, capsys, seeds, warned):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("[0, 1]", seeds))
    assert main(["plan", str(path)]) == 0
    warning = "  warning: two seeds: an interval is 12.7 standard errors wide to either side"
    assert (warning in capsys.readouterr().out) == warned
