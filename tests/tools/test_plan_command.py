"""``plan`` describes each setting and names its runs; ``run`` runs one of its jobs."""

import json
import pdb
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from disobey.__main__ import main
from disobey.models.options import Checkpoint, Pretrained
from disobey.stores.manifest import read_manifest
from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, why
from disobey.tools.plan import command, find_job, in_words

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
  shared:
    dataset: d
    teacher: m
    student: m
    recipe: r
    distill: {temperature: 2}
    student_share: 0.7
    initialisation: teacher
sweeps: {hot: {base: plain, vary: {distill.temperature: [8]}}}
"""


@pytest.fixture
def shown(tmp_path, capsys):
    """Return the printed lines of each setting, and the runs of the settings."""
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
    share, start = (words.strip() for words in blocks["shared"][0].split(",")[-2:])
    assert share == "student and reference see 0.7 of the examples"
    assert start == "all start from the teacher's first weights"


COMPARISONS = """
study: own
seeds: [0, 1]
datasets: {d: {source: builtin, name: digits}}
comparisons:
  theirs:
    source: huggingface
    dataset: d
    teachers: [{checkpoint: a/b}, {checkpoint: a/c}]
    students: [{checkpoint: a/d}, {checkpoint: a/e}]
  files:
    source: logits
    dataset: d
    teachers: [t0.npz, t1.npz]
    students: [s0.npz, s1.npz]
    temperature: 4
  alone: {source: logits, teachers: [t0.npz, t1.npz], students: [s0.npz, s1.npz]}
"""


def test_a_comparison_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("t0", "t1", "s0", "s1"):
        np.savez(name, test=np.eye(10), test_label=np.arange(10))
    Path("study.yaml").write_text(COMPARISONS)
    study = load_study("study.yaml")
    assert in_words(study, "theirs") == "trained classifiers on d"
    assert in_words(study, "files") == "files of logits on d, T = 4"
    assert in_words(study, "alone") == "files of logits"


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


# --- run one job

SMALL = """
study: small
seeds: [0]
device: cpu
datasets: {d: {source: builtin, name: digits, subset: {train: 20, test: 20}}}
models: {m: {family: mlp, hidden: [4]}, mm: {family: mlp, hidden: [4, 4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings:
  s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}
  ss: {dataset: d, teacher: mm, student: m, recipe: r, distill: {temperature: 2}}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The plan of a study in this folder, in which nothing has been made."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(SMALL)
    return make_plan(load_study("config.yaml"))


def test_a_job_is_run_as_snakemake_would_run_it(small):
    teacher = small.settings["s"].teachers[0]
    assert main(["run", "prepare digits"]) == 0
    assert main(["run", "train", "--threads", "1", teacher]) == 0  # words in several arguments
    left = why(small, CodeDigests())
    assert ("train", teacher) not in left and "prepare" not in {stage for stage, _ in left}
    assert ("dump", teacher) in left
    manifest = read_manifest(small.jobs["train", teacher].manifest)
    assert {Path(name).name for name in manifest.record["files"]} == {
        "history.nc", "model.safetensors",
    }  # fmt: skip
    assert all(manifest.file(name).is_file() for name in manifest.record["files"])
    assert not list(Path("results").rglob("*.lock"))


def test_what_a_job_reads_and_was_not_made_is_named(small, capsys):
    teacher = small.settings["s"].teachers[0]
    (data,) = small.jobs["train", teacher].inputs
    assert main(["run", "train", teacher]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"disobey train: {data}: no such manifest")
    assert said.endswith("call snakemake to make it\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "STUDENT"], "has no job 'trian STUDENT'; did you mean 'train STUDENT'?\n"),
        (
            ["xyz"],
            "has no job 'xyz'; `python -m disobey why` names the jobs that would run, "
            "`status --json` all\n",
        ),
        (
            ["train", "kd", "s1000000"],
            "'train kd s1000000' fits 2 names; write more of one:\n"
            "  train STUDENT\n  train OTHER\n",
        ),
    ],
)
def test_a_name_of_no_job_or_of_several_is_refused_with_what_to_write(small, capsys, words, said):
    (student,), (other,) = (small.settings[name].students for name in ("s", "ss"))
    assert main(["run", *(word.replace("STUDENT", student) for word in words)]) == 2
    said = said.replace("STUDENT", student).replace("OTHER", other)
    assert capsys.readouterr().err.endswith(said)


def test_of_many_jobs_that_fit_ten_are_listed(small, capsys):
    names = [" ".join(name) for name in small.jobs if "small" in name[1]]
    assert len(names) > 11
    assert main(["run", "small"]) == 2
    fits, *listed, more = capsys.readouterr().err.splitlines()
    assert fits.startswith(f"'small' fits {len(names)} names")
    assert [line.strip() for line in listed] == names[:10]
    assert more == f"  and {len(names) - 10} more"


def test_a_whole_name_is_found_though_it_is_part_of_others(small):
    names = {("confidence", "small/s"), ("confidence", "small/ss")}
    assert names <= set(small.jobs)
    for words in (["confidence small/s"], ["confidence", "small/s"]):
        assert find_job(small, words) is small.jobs["confidence", "small/s"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [("teacher: mm", "teacher: mmm", "config.yaml:10:"), ("settings:", "setings:", "config.yaml:")],
)
def test_a_study_file_with_a_mistake_runs_nothing(small, capsys, old, new, where):
    Path("config.yaml").write_text(SMALL.replace(old, new))
    assert main(["run", "prepare"]) == 2
    assert where in capsys.readouterr().err
    assert main(["run", "prepare", "--study", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_number_of_threads_that_cannot_be_is_refused(small, capsys):
    with pytest.raises(SystemExit) as left:
        main(["run", "prepare", "--threads", "0"])
    assert left.value.code == 2
    assert "'0' is not a whole number from 1 to 1,024" in capsys.readouterr().err


def raising(job):
    raise ZeroDivisionError(job.id)


def test_with_pdb_the_debugger_stands_where_the_exception_was_raised(small, capsys, monkeypatch):
    frames = []
    monkeypatch.setattr("disobey.stages.prepare.run", raising)
    monkeypatch.setattr(pdb, "post_mortem", frames.append)
    assert main(["run", "prepare", "--pdb"]) == 1
    (trace,) = frames
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_code is raising.__code__
    assert "ZeroDivisionError: digits-" in capsys.readouterr().err


def test_without_pdb_the_exception_ends_the_call_as_that_of_a_stage(small, monkeypatch):
    monkeypatch.setattr("disobey.stages.prepare.run", raising)
    monkeypatch.setattr(pdb, "post_mortem", lambda *_: pytest.fail("the debugger was entered"))
    with pytest.raises(ZeroDivisionError):
        main(["run", "prepare"])


def given(plan, job):
    """Return the options of a job's command by their names."""
    words = command(plan, job, CodeDigests())
    return dict(pairwise(words))


def test_the_command_says_where_files_and_checkpoints_of_the_user_are():
    plan = Plan("s")
    for stage, key in (("prepare", "d"), ("pretrained", "p"), ("classify", "c"), ("dump", "r")):
        plan.add(stage, key, {"a": stage})
    files = {"train": ["/here/a b.csv"], "test": ["/here/c.csv"]}
    plan.files["d"] = files
    plan.pretrained["p"] = Pretrained(family="pretrained", folder="/models/p")
    plan.classifiers["c"] = Checkpoint(checkpoint="google/c")
    jobs = {stage: given(plan, job) for (stage, _), job in plan.jobs.items()}
    assert json.loads(jobs["prepare"]["--files"]) == files
    assert "--source" not in jobs["prepare"]
    assert jobs["pretrained"]["--source"] == "/models/p"
    assert jobs["classify"]["--source"] == "google/c"
    assert not {"--files", "--source"} & set(jobs["dump"])
