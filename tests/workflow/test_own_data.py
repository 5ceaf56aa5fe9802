"""User files in the real workflow: their contents, not their paths, decide which jobs run."""

import json

import pytest

from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from .conftest import Workflow

pytestmark = pytest.mark.workflow

STUDY = """\
study: mine
seeds: [0]
device: cpu
data_root: here
datasets:
  mine:
    source: files
    name: mine
    train: "train 1.jsonl"
    test: test.jsonl
    columns: {text: words}
    tokenizer: {vocabulary: 270, max_tokens: 8}
models:
  roberta: {family: roberta, hidden: 8, layers: 1, heads: 2}
recipes:
  short: {optimizer: adamw, lr: 1e-3, batch: 8, epochs: 1}
settings:
  self:
    {dataset: mine, teacher: roberta, student: roberta, recipe: short, distill: {temperature: 2}}
"""


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a study of two small files, and these files."""
    monkeypatch.chdir(tmp_path)
    workflow = Workflow(tmp_path)
    workflow.study.write_text(STUDY)
    rows = [{"words": f'it\'s {{{i}}} of $HOME "quoted"', "label": i % 2} for i in range(16)]
    write(tmp_path / "here/train 1.jsonl", rows)
    write(tmp_path / "here/test.jsonl", rows[:6])
    return workflow


def prepared(workflow):
    (id,) = make_plan(load_study(workflow.study)).sizes
    return f"results/data/{id}.nc.json"


def test_files_that_move_make_nothing_stale_and_a_changed_byte_does(mine):
    target = prepared(mine)
    result = mine.snakemake(target)
    assert result.returncode == 0, result.stdout + result.stderr
    assert mine.would_run(target) == set()

    (mine.folder / "here").rename(mine.folder / "it's there")
    mine.edit("data_root: here", 'data_root: "it\'s there"')
    assert prepared(mine) == target and mine.would_run(target) == set()
    (mine.folder / target).unlink()  # the path reaches the job, including quotes
    result = mine.snakemake(target)
    assert result.returncode == 0, result.stdout + result.stderr

    place = mine.folder / "it's there/train 1.jsonl"
    place.write_text(place.read_text().replace("it's {0}", "it's {9}"))
    other = prepared(mine)
    assert other != target
    assert {job.partition(" ")[0] for job in mine.would_run(other)} == {"prepare"}
