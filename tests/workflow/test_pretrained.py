"""A checkpoint in the real workflow: one job stores it, and its bytes decide which jobs run."""

import shutil

import pytest

from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from tests.checkpoints import save_checkpoint

from .conftest import Workflow

pytestmark = pytest.mark.workflow

STUDY = """\
study: texts
seeds: [0]
device: cpu
datasets:
  langid: {source: builtin, name: cldr-langid, tokenizer: {of: bert, max_tokens: 8}}
models:
  bert: {family: pretrained, folder: bert, layers: 1}
recipes:
  short: {optimizer: adamw, lr: 1e-3, batch: 512, epochs: 1, schedule: linear}
settings:
  self: {dataset: langid, teacher: bert, student: bert, recipe: short, distill: {temperature: 2}}
"""


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A folder with a study of a tiny checkpoint, and the checkpoint."""
    monkeypatch.chdir(tmp_path)
    workflow = Workflow(tmp_path)
    workflow.study.write_text(STUDY)
    save_checkpoint(tmp_path / "bert")
    return workflow


def logits_of_the_teacher(workflow):
    plan = make_plan(load_study(workflow.study))
    (teacher,) = plan.settings["self"].teachers
    return plan.jobs["dump", teacher].manifest


def stages(jobs):
    return sorted(job.partition(" ")[0] for job in jobs)


CHAIN = ["dump", "prepare", "pretrained", "train"]


def test_a_checkpoint_that_moves_makes_nothing_stale_and_one_that_changes_does(texts):
    target = logits_of_the_teacher(texts)
    assert stages(texts.would_run(target)) == CHAIN
    result = texts.snakemake(target)
    assert result.returncode == 0, result.stdout + result.stderr
    assert texts.would_run(target) == set()

    shutil.move(texts.folder / "bert", texts.folder / "moved")
    texts.edit("folder: bert", "folder: moved")
    assert logits_of_the_teacher(texts) == target
    assert texts.would_run(target) == set()

    shutil.rmtree(texts.folder / "moved")
    save_checkpoint(texts.folder / "moved", seed=1)
    other = logits_of_the_teacher(texts)
    assert other != target and stages(texts.would_run(other)) == CHAIN
