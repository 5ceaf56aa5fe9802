"""``explain`` names the kind of a file and everything that it was made from."""

import json

import pytest

from disobey.__main__ import main
from disobey.stages.command import main as run_stage
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

STUDY = """
study: small
seeds: [0]
device: cpu
datasets: {d: {source: builtin, name: digits, label_noise: {rate: 0.1}}}
models: {m: {family: mlp, hidden: [4]}}
recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}
settings: {s: {dataset: d, teacher: m, student: m, recipe: r, distill: {temperature: 2}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, labels, one teacher and its logits, made by the stages themselves."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = make_plan(load_study("study.yaml"))
        teacher = plan.settings["s"].teachers[0]
        wanted = {("train", teacher), ("dump", teacher)}
        for (stage, key), job in plan.jobs.items():
            if stage in ("prepare", "labels") or (stage, key) in wanted:
                words = ["--spec", job.spec, "--code", "0123", "--output", job.manifest]
                assert run_stage(stage, [*words, "--inputs", *job.inputs]) == 0
    return folder, plan, teacher


def explained(folder, capsys, file, code=0):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["explain", str(file)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


@pytest.mark.parametrize("file", ["logits/{}.nc", "logits/{}.nc.json"])
def test_a_store_is_explained_down_to_its_data(folder, capsys, file):
    root, plan, teacher = folder
    text = explained(root, capsys, f"results/{file.format(teacher)}")
    for (stage, _), job in plan.jobs.items():
        if stage in ("prepare", "labels"):
            # a relative path, as a user would type it
            assert f"\n  {job.manifest.removesuffix('.json')}  " in text
    assert f"results/runs/{teacher}" in text
    assert "stage     dump" in text and "code      0123" in text and "torch 2" in text


def test_one_file_of_a_run_is_explained_by_the_run(folder, capsys):
    root, _, teacher = folder
    text = explained(root, capsys, f"results/runs/{teacher}/model.safetensors")
    assert text.startswith(f"results/runs/{teacher}\n") and "stage     train" in text


@pytest.mark.parametrize(
    ("git", "said"),
    [
        ({"commit": None, "dirty": False}, "git       not a git checkout\n"),
        ({"commit": "abc", "dirty": False}, "git       abc\n"),
        ({"commit": "abc", "dirty": True}, "git       abc, with uncommitted changes\n"),
    ],
)
def test_the_commit_is_named_where_there_was_one(folder, capsys, git, said):
    root, plan, _ = folder
    data = next(job for job in plan.jobs.values() if job.stage == "prepare")
    path = root / data.manifest
    kept = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(kept) | {"git": git}))
        assert f"\n  {said}" in explained(root, capsys, data.manifest)
    finally:
        path.write_text(kept)


def test_a_store_without_upstream_says_so(folder, capsys):
    root, plan, _ = folder
    data = next(job for job in plan.jobs.values() if job.stage == "prepare")
    text = explained(root, capsys, data.manifest.removesuffix(".json"))
    assert "made from: nothing upstream" in text


def test_upstream_that_was_made_again_or_is_gone_is_marked(folder, capsys, tmp_path):
    root, plan, teacher = folder
    labels = next(job for job in plan.jobs.values() if job.stage == "labels")
    path = root / labels.manifest
    kept = path.read_text()
    try:
        path.write_text(kept.replace('"content": "', '"content": "00'))
        text = explained(root, capsys, f"results/runs/{teacher}")
        assert "(made again since)" in text
        path.unlink()
        text = explained(root, capsys, f"results/runs/{teacher}")
        assert f"{labels.manifest}: is gone or cannot be read" in text
    finally:
        path.write_text(kept)


def test_a_file_that_nothing_vouches_for_is_refused(folder, capsys):
    root, *_ = folder
    (root / "results/data/other.nc").touch()
    text = explained(root, capsys, "results/data/other.nc", code=2)
    assert text.startswith("results/data/other.nc: no manifest vouches for it")


def test_a_result_whose_manifest_is_broken_is_refused_with_what_to_do(folder, capsys):
    root, _, teacher = folder
    manifest = root / f"results/logits/{teacher}.nc.json"
    kept = manifest.read_text()
    try:
        manifest.write_text(kept[:-9])
        text = explained(root, capsys, f"results/logits/{teacher}.nc", code=2)
    finally:
        manifest.write_text(kept)
    assert text.startswith(f"results/logits/{teacher}.nc.json: is not a manifest (")
    assert text.endswith("); delete it and call snakemake again\n")


def test_a_manifest_vouches_only_for_the_files_that_it_names(folder, capsys):
    """A foreign file in the folder of a run is not explained."""
    root, _, teacher = folder
    file = root / f"results/runs/{teacher}/notes.txt"
    file.touch()
    text = explained(root, capsys, f"results/runs/{teacher}/notes.txt", code=2)
    file.unlink()
    assert text.startswith(f"results/runs/{teacher}/notes.txt: no manifest vouches for it; looked ")
    assert f"results/runs/{teacher}.json" in text


def test_what_was_not_made_yet_is_called_so(folder, capsys):
    root, *_ = folder
    file = "results/small/figures/calibrated.pdf"
    assert explained(root, capsys, file, code=2) == (
        f"{file}: is not made yet, or its name is misspelt; make figures makes all that a study "
        f"asks for, snakemake --cores all {file} this alone\n"
    )


@pytest.mark.parametrize("file", ["study.yaml", ".", "", "/", "results", "none.json", "own.json"])
def test_what_is_no_result_is_refused_in_words(folder, capsys, file):
    root, *_ = folder
    (root / "own.json").write_text("{}")
    text = explained(root, capsys, file, code=2)
    assert text == f"{file or '.'}: is not a result; name a file below results/\n"


def test_a_store_is_explained_from_within_its_folder(folder, capsys):
    root, _, teacher = folder
    text = explained(root / "results/runs" / teacher, capsys, "model.safetensors")
    assert "stage     train" in text and "is gone" not in text
