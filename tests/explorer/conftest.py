"""A tiny study of images and of texts, made in this process, and its pages in a browser."""

import json
from pathlib import Path

import numpy as np
import pytest

from disobey.explorer.page import render
from disobey.explorer.study import content
from disobey.job import Job
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import read_arrays
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from ..test_slices import run_in_process
from .browser import CHROMIUM, Browser

STUDY = """\
study: looked-at
seeds: [0, 1]
datasets:
  digits:
    source: builtin
    name: digits
    label_noise: {rate: 0.25, seed: 7}
    subset: {train: 160, test: 90}
  words:
    source: builtin
    name: cldr-langid
    tokenizer: {vocabulary: 300, max_tokens: 16}
    subset: {train: 120, test: 60}
models:
  big: {family: mlp, hidden: [24]}
  small: {family: mlp, hidden: [6]}
  roberta: {family: roberta, hidden: 8, layers: 1, heads: 2}
recipes:
  image: {optimizer: sgd, lr: 0.05, momentum: 0.9, batch: 32, epochs: 6}
  text: {optimizer: adamw, lr: 1e-2, batch: 32, epochs: 8}
settings:
  self: {dataset: digits, teacher: big, student: big, recipe: image, distill: {temperature: 4}}
  smaller: {dataset: digits, teacher: big, student: small, recipe: image, distill: {temperature: 1}}
  langid:
    dataset: words
    teacher: roberta
    student: roberta
    recipe: text
    distill: {temperature: 2}
analysis: {resamples: 100, seed: 0}
"""


class Looked:
    """The finished study and the contents of its stores, read without the code under test."""

    def __init__(self, folder):
        self.folder = folder
        Path("study.yaml").write_text(STUDY)
        self.plan = make_plan(load_study("study.yaml"))
        run_in_process(self.plan)
        self.planned = next(job for job in self.plan.jobs.values() if job.stage == "explorer")

    def job(self, **spec):
        """Return the job that the workflow would run, with some of its spec changed."""
        inputs = tuple(read_manifest(self.folder / path) for path in self.planned.inputs)
        output = self.folder / self.planned.manifest
        return Job("explorer", json.loads(self.planned.spec) | spec, "looked", inputs, output)

    def page(self, name, **limits):
        """Write a page; return its path."""
        path = self.folder / name
        path.write_text(render(*content(self.job(), **limits)), encoding="utf-8")
        return path

    def runs(self, setting, seed=0):
        """Return the runs of one seed, by their roles; the replicate is the other teacher."""
        of = self.plan.settings[setting]
        return {
            "teacher": of.teachers[seed],
            "reference": of.references[seed],
            "student": of.students[seed],
            "replicate": of.teachers[1 - seed],
        }

    def logits(self, run, split):
        """Return logits, labels and ids of one split of one run."""
        return read_arrays(self.folder / f"results/logits/{run}.nc", split)

    def data(self, setting, split, *names):
        """Return variables of the data store of a setting."""
        dump = self.plan.jobs["dump", self.plan.settings[setting].teachers[0]]
        path = self.folder / f"results/data/{json.loads(dump.spec)['data']}.nc"
        return read_arrays(path, split, *names)

    def phi(self, setting, role, chosen_by, split, seed=0):
        """Return ln(p / (1 - p)) of the class that a run predicts, by its definition."""
        runs = self.runs(setting, seed)
        chosen = self.logits(runs[chosen_by], split)["logits"].argmax(1)
        z = self.logits(runs[role], split)["logits"].astype(np.float64)
        p = np.exp(z - z.max(1, keepdims=True))
        rows = np.arange(len(z)), chosen
        own = p[rows]
        p[rows] = 0
        return np.log(own) - np.log(p.sum(1))


@pytest.fixture(scope="session")
def looked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return Looked(folder)


@pytest.fixture(scope="session")
def page(looked):
    """The page as the stage writes it."""
    return looked.page("explorer.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt install chromium)")
    made = Browser(tmp_path_factory.mktemp("profile"))
    made.size(1280)
    yield made
    made.close()
