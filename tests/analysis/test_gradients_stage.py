"""From a study of similar classes to its gradient store and table, all jobs in this process."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

from disobey.analysis.claims.registry import findings
from disobey.analysis.store import read_analyses
from disobey.figures import drawer
from disobey.stages.command import main
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

STUDY = """
study: tiny
seeds: [0, 1]
device: cpu
datasets:
  similar: {source: builtin, name: similar-classes, subset: {train: 100, test: 300}}
models:
  channels: {family: channel_linear}
recipes:
  adam:
    {optimizer: adam, lr: 0.1, batch: 32, epochs: 2, schedule: constant, evaluate: {points: 4}}
settings:
  self:
    dataset: similar
    teacher: channels
    student: channels
    recipe: adam
    distill: {temperature: 5}
    controls: [double_length, student_at_1]
analysis: {resamples: 100}
"""
STAGES = ("prepare", "train", "dump", "confidence", "curves", "gradients", "explorer")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Run all jobs of the study except figures and report in a new folder."""
    folder = tmp_path_factory.mktemp("gradients")
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = make_plan(load_study("study.yaml"))
        for (stage, key), job in made.jobs.items():
            if stage in STAGES or key == "tiny/gradients":
                call = ["--spec", job.spec, "--inputs", *job.inputs, "--output", job.manifest]
                assert main(stage, call) == 0
        yield made


def read(plan, stage, key, **options):
    path = plan.jobs[stage, key].manifest.removesuffix(".json")
    return xr.load_dataset(path, engine="netcdf4", **options)


def test_runs_of_a_setting_with_directions_have_their_controls(plan):
    runs = json.loads(plan.jobs["gradients", "tiny/self"].spec)["runs"]
    recipes = {role: json.loads(plan.jobs["train", ids[0]].spec) for role, ids in runs.items()}
    assert recipes["double_length"]["recipe"]["epochs"] == 4
    assert recipes["student_at_1"]["distill"]["temperature"] == 1
    seeds = [recipes[role]["seeds"] for role in ("reference", "double_length", "student_at_1")]
    assert seeds == [recipes["student"]["seeds"]] * 3


def test_the_store_is_what_autograd_and_weights_say(plan):
    found = read(plan, "gradients", "tiny/self")
    spec = json.loads(plan.jobs["gradients", "tiny/self"].spec)
    data = read(plan, "prepare", spec["data"], group="train")
    direction = torch.tensor(read(plan, "prepare", spec["data"]).direction.values)
    channels = torch.tensor(data.feature.values, dtype=torch.float64).reshape(100, 10, 100)
    margin = (channels * direction).sum(-1)
    for s, (id, address) in enumerate(zip(spec["runs"]["student"], spec["teachers"], strict=True)):
        teacher = torch.tensor(read(plan, "dump", address, group="train").logits.values).double()
        up = (teacher > 0) & (margin != 0)
        share = found.right_signs.sel(target="teacher").values[s]
        assert share == pytest.approx((up == (margin > 0)).double().mean().item())
        start = torch.zeros(10, 100, dtype=torch.float64, requires_grad=True)
        right = 0
        for x, q in zip(channels, (teacher / 5).softmax(-1), strict=True):
            loss = torch.nn.functional.cross_entropy((x * start).sum(-1) / 5, q)
            (gradient,) = torch.autograd.grad(loss, start)
            right += int((-(gradient * direction).sum(-1) >= 0).sum())
        assert found.right_first_gradients.sel(target="teacher").values[s] == right / 1000
        weights = load_file(f"results/runs/{id}/model.safetensors")["weight"].double()
        cosine = torch.nn.functional.cosine_similarity(weights, direction).numpy()
        assert found.cosine.sel(model="student").values[s] == pytest.approx(cosine)
    assert list(found.model.values) == ["teacher", "reference", "student", "double_length",
                                        "student_at_1"]  # fmt: skip


def test_the_table_has_every_number(plan):
    found = read(plan, "gradients", "tiny/self")
    table = pd.read_csv("results/tiny/tables/gradients.csv")
    (row,) = table[(table.of == "student") & (table.against == "double_length")
                   & (table["class"] == 3) & (table.seed == "mean")].itertuples()  # fmt: skip
    here = found.sel(control="double_length").isel({"class": 3})
    ends = [float(here[f"cosine_difference_{end}"]) for end in ("estimate", "low", "high")]
    assert (row.value, row.low, row.high) == pytest.approx(ends, abs=1e-5)
    models, pairs, rows = 5, 3, 3  # two seeds and their mean
    assert len(table) == rows * (2 * 3 + 11 * (models + pairs))


def test_claims_stand_on_the_store(plan):
    inputs = [*plan.jobs["table", "tiny/gradients"].inputs]
    found = findings(read_analyses(map(read_manifest, inputs), ["self"]))
    store = read(plan, "gradients", "tiny/self")
    (signs,) = (one for one in found if one.claim.name == "gradient_signs")
    share = store.right_signs.values
    assert signs.number.estimate == pytest.approx((share[1] - share[0]).mean())
    assert signs.control == pytest.approx(share[0].mean())
    of = {one.placebo: one for one in found if one.claim.name == "class_directions"}
    assert set(of) == {"all", "reference", "double_length", "student_at_1"}
    difference = store.mean_cosine_difference.sel(control="student_at_1").values
    half = 12.706204736432095 * difference.std(ddof=1) / np.sqrt(2)  # t of one degree of freedom
    assert of["student_at_1"].number.low == pytest.approx(difference.mean() - half)
    assert [one.counted for one in of.values()] == [True, False, False, False]


def test_the_figure_shows_the_steps_of_the_drawn_models(plan):
    """A control that trains twice as long is in the curves but not drawn."""
    job = plan.jobs["figure", "tiny/gradients-self"]
    figure = drawer("gradients")(read_analyses(map(read_manifest, job.inputs), ["self"]))
    (axes,) = [axes for axes in figure.axes if axes.get_xlabel() == "step"]
    drawn = {line.get_gid(): line.get_xdata().max() for line in axes.lines}
    steps = read(plan, "curves", "tiny/self").step
    last = float(steps.sel(model="student").max())
    assert float(steps.max()) == 2 * last and drawn["curve/test/student"] == last
    assert last < axes.get_xlim()[1] < 1.2 * last


def test_the_page_of_examples_needs_no_pictures(plan):
    data = json.loads(plan.jobs["gradients", "tiny/self"].spec)["data"]
    first = int(read(plan, "prepare", data, group="test").example_id[0])
    page = Path("results/tiny/explorer.html").read_text(encoding="utf-8")
    assert f"example {first}" in page


def test_logits_of_other_examples_are_refused(plan, capsys):
    Path("fewer.yaml").write_text(STUDY.replace("train: 100", "train: 90").replace("tiny", "fewer"))
    fewer = make_plan(load_study("fewer.yaml"))
    ((_, data), prepare) = next(item for item in fewer.jobs.items() if item[0][0] == "prepare")
    call = ["--spec", prepare.spec, "--inputs", "--output", prepare.manifest]
    assert main("prepare", call) == 0
    job = plan.jobs["gradients", "tiny/self"]
    spec = json.loads(job.spec) | {"data": data}
    call = ["--spec", json.dumps(spec), "--inputs", *job.inputs, prepare.manifest]
    assert main("gradients", [*call, "--output", job.manifest]) == 2
    assert (
        f"{spec['teachers'][0]}: its logits are not those of the training examples of {data}; name"
    ) in capsys.readouterr().err


def test_a_teacher_that_is_not_given_is_refused(plan, capsys):
    job = plan.jobs["gradients", "tiny/self"]
    spec = json.loads(job.spec)
    other = json.loads(job.spec) | {"teachers": ["elsewhere"] * 2}
    inputs = [path for path in job.inputs if spec["teachers"][0] not in path or "runs" in path]
    call = ["--spec", json.dumps(other), "--inputs", *inputs, "--output", job.manifest]
    assert main("gradients", call) == 2
    assert "the spec names elsewhere" in capsys.readouterr().err
