"""Pretrained models in a study: refusals, and dependencies of their jobs."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import disobey
from disobey.code_digest import modules_reached
from disobey.errors import UserError
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.resources import MODEL, need_of

MODELS = "  mlp: {family: mlp, hidden: [8]}\n"
BASE = "  base: {family: pretrained, checkpoint: a/roberta-base}\n"
OWN = "tokenizer: {vocabulary: 300, max_tokens: 16}"
SETTING = "    teacher: roberta\n    student: roberta\n    recipe: text"
CONFIG = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 4, "vocab_size": 30,
          "intermediate_size": 32, "num_attention_heads": 2,
          "max_position_embeddings": 20}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with the file names of two checkpoints: planning reads no more."""
    monkeypatch.chdir(tmp_path)
    for name, bytes in (("bert", b"weights"), ("other", b"other weights")):
        made = tmp_path / name
        made.mkdir()
        (made / "config.json").write_text(json.dumps(CONFIG))
        (made / "model.safetensors").write_bytes(bytes)
        (made / "tokenizer.json").write_text("{}")
        (made / "README.md").write_text("not read")
    return tmp_path


def model(name, **keys):
    words = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return f"  {name}: {{family: pretrained, {words}}}\n"


def using(*models, tokenizer="{of: base, max_tokens: 16}", teacher="base", student="base"):
    """Return edits that give the text setting of the small study other models and a tokenizer."""
    return [
        (MODELS, MODELS + "".join(models)),
        (OWN, f"tokenizer: {tokenizer}"),
        (SETTING, f"    teacher: {teacher}\n    student: {student}\n    recipe: text"),
    ]


def jobs(plan, stage):
    return {key: job for (kind, key), job in plan.jobs.items() if kind == stage}


def spec(job):
    return json.loads(job.spec)


# --- what is refused -------------------------------------------------------------------------

OTHER = model("other", checkpoint="b/bert")
FOLDER = model("base", folder="bert")
REFUSED = {
    "no kind": (
        using(model("base", layers=3)),
        "models.base: needs exactly one of checkpoint (a name on the hub), folder, and package "
        "with folder; got none",
    ),
    "two kinds": (
        using(model("base", checkpoint="a/b", folder="bert")),
        "models.base: needs exactly one of checkpoint (a name on the hub), folder, and package "
        "with folder; got checkpoint and folder",
    ),
    "package alone": (
        using(model("base", package="yaml")),
        "models.base: needs exactly one of checkpoint (a name on the hub), folder, and package "
        "with folder; got package",
    ),
    "revision of a folder": (
        using(model("base", folder="bert", revision="main")),
        "models.base: revision is of a checkpoint on the hub; remove it",
    ),
    "no package": (
        using(model("base", package="no_such_package", folder="model")),
        "models.base.package: the package 'no_such_package' is not installed; "
        "pip install no-such-package",
    ),
    "no folder": (
        using(model("base", folder="brt")),
        "models.base.folder: brt: there is no such folder",
    ),
    "a name too long": (
        using(model("base", folder="bert" * 100)),
        f"models.base.folder: {'bert' * 100}: there is no such folder",
    ),
    "too many layers": (
        using(model("base", folder="bert", layers=5)),
        "models.base.layers: must be at most 4, as many as the checkpoint has; got 5",
    ),
    "tokenizer of nobody": (
        using(BASE, tokenizer="{of: bse}"),
        "datasets.words.tokenizer.of: 'bse' is not a model of this file; it must be one of family "
        "pretrained; did you mean 'base'?",
    ),
    "tokenizer of a model from scratch": (
        using(BASE, tokenizer="{of: roberta}"),
        "datasets.words.tokenizer.of: 'roberta' is trained from scratch; it must be one of family "
        "pretrained; known: base",
    ),
    "declared after nobody": (
        using(BASE, model("medium", checkpoint="a/m", tokenizer="bas")),
        "models.medium.tokenizer: 'bas' is not a model of this file; it must be one of family "
        "pretrained; did you mean 'base'?",
    ),
    "trained tokens": (
        using(BASE, tokenizer="{vocabulary: 300, max_tokens: 16}"),
        "settings.langid.teacher: model 'base' reads the tokens of its own tokenizer, but data set "
        "'words' has one trained on its rows; give the data set tokenizer: {of: base, max_tokens: "
        "128}",
    ),
    "another's tokens": (
        using(BASE, OTHER, student="other"),
        "settings.langid.student: model 'other' reads the tokens of its own tokenizer, but data "
        "set 'words' has that of 'base'; let it be of 'other', or, where both are known to be the "
        "same, add tokenizer: base to model 'other'",
    ),
    "too long": (
        using(FOLDER, tokenizer="{of: base, max_tokens: 21}"),
        "datasets.words.tokenizer: max_tokens (21) of data set 'words' is more than the 20 "
        "positions that model 'base' has; write max_tokens: 20",
    ),
    "both tokenizers": (
        using(BASE, tokenizer="{of: base, vocabulary: 300}"),
        "datasets.words.tokenizer.vocabulary: unknown key 'vocabulary'; known: max_tokens, of",
    ),
}


@pytest.mark.parametrize(("edits", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_refused_with_place_and_remedy(study_file, edits, message):
    path = study_file(*edits)
    with pytest.raises(UserError) as error:
        load_study(path)
    place = message.partition(":")[0].split(".")
    key = "  base:" if place[1] == "base" else f"{place[-1]}:"
    first, *more = str(error.value).splitlines()
    file, line, said = first.split(":", 2)
    assert (file, said.strip()) == (str(path), message)
    assert key.strip() in path.read_text().splitlines()[int(line) - 1]
    assert all("student" in line for line in more)  # teacher and student use the same model


def test_weights_in_a_pickle_are_refused_with_how_to_convert_them(study_file, folder):
    (folder / "bert/model.safetensors").rename(folder / "bert/pytorch_model.bin")
    with pytest.raises(UserError) as error:
        load_study(study_file(*using(FOLDER)))
    assert "bert: holds its weights only as pytorch_model.bin, a pickle" in str(error.value)
    assert "save_pretrained('converted')" in str(error.value)


def test_a_folder_without_a_configuration_is_no_checkpoint(study_file, folder):
    (folder / "bert/config.json").unlink()
    with pytest.raises(UserError, match=r"models.base.folder: bert: holds no config.json, so it"):
        load_study(study_file(*using(FOLDER)))


def test_a_checkpoint_without_positions_takes_texts_of_any_length(study, folder):
    """The attention of T5 and BLOOM, for example, only uses distances."""
    without = {key: value for key, value in CONFIG.items() if "position" not in key}
    (folder / "bert/config.json").write_text(json.dumps(without))
    long = "{of: base, max_tokens: 5000}"
    assert study(*using(FOLDER, tokenizer=long)).models["base"].config() == without


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"\xff\xfe{\0}\0", "/config.json: is not a JSON object in UTF-8"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_files_that_hold_something_else_are_refused(study_file, folder, name, content, message):
    (folder / "bert" / name).write_bytes(content)
    with pytest.raises(UserError, match=f"models.base.folder: bert.*{message}"):
        load_study(study_file(*using(FOLDER)))


def test_the_same_tokenizer_may_be_declared(study):
    medium = model("medium", checkpoint="a/distilroberta", tokenizer="base")
    plan = make_plan(study(*using(BASE, medium, student="medium")))
    assert len(jobs(plan, "pretrained")) == 2


def test_models_from_scratch_read_the_tokens_of_a_checkpoint(study):
    plan = make_plan(study(*using(BASE, teacher="roberta", student="roberta")))
    (text,) = [spec(job) for job in jobs(plan, "prepare").values() if "tokenizer" in job.spec]
    (pretrained,) = jobs(plan, "pretrained")
    assert text["tokenizer"] == {"pretrained": pretrained, "max_tokens": 16}
    trained = [job for job in jobs(plan, "train").values() if "roberta" in job.spec]
    inputs = {path for job in trained for path in job.inputs}
    assert trained and not any("results/pretrained" in path for path in inputs)


def test_runs_from_scratch_do_not_depend_on_the_code_of_pretrained_ones(study):
    plan = make_plan(study(*using(BASE, teacher="roberta", student="roberta")))
    own = {"disobey.models.pretrained"}
    for job in plan.jobs.values():
        assert own.isdisjoint(modules_reached(job.roots)), job.key
    pretrained = make_plan(study(*using(BASE)))
    runs = [job for job in jobs(pretrained, "train").values() if '"pretrained"' in job.spec]
    assert runs and all(own <= set(modules_reached(job.roots)) for job in runs)


# --- what a plan depends on ------------------------------------------------------------------


def test_one_store_serves_all_that_is_cut_from_a_checkpoint(study):
    small = model("small", checkpoint="a/roberta-base", layers=3, dropout=0.2)
    plan = make_plan(study(*using(BASE, small, student="small")))
    ((id, job),) = jobs(plan, "pretrained").items()
    assert spec(job) == {"checkpoint": "a/roberta-base"} and id.startswith("roberta-base-")
    models = [spec(run)["model"] for run in jobs(plan, "train").values()]
    found = {json.dumps(m, sort_keys=True) for m in models if m["family"] == "pretrained"}
    assert found == {
        json.dumps(m, sort_keys=True)
        for m in (
            {"family": "pretrained", "pretrained": id},
            {"family": "pretrained", "pretrained": id, "layers": 3, "dropout": 0.2},
        )
    }
    assert any("roberta-base-first3-kd" in run for run in jobs(plan, "train"))


def test_a_revision_is_part_of_what_a_store_is(study):
    one, two = (
        make_plan(study(*using(model("base", checkpoint="a/b", **more))))
        for more in ({}, {"revision": "abc"})
    )
    assert set(jobs(one, "pretrained")).isdisjoint(jobs(two, "pretrained"))


def test_every_job_that_builds_the_model_reads_its_store(study):
    plan = make_plan(study(*using(BASE)))
    (id,) = jobs(plan, "pretrained")
    manifest = f"results/pretrained/{id}.json"
    texts = [job for job in plan.jobs.values() if "langid" in job.key or "langid" in job.manifest]
    of_stage = {job.stage for job in texts if manifest in job.inputs}
    assert of_stage == {"prepare", "train", "dump"}
    assert all(manifest in job.inputs for job in texts if job.stage in ("train", "dump"))
    assert list(plan.jobs).index(("pretrained", id)) < min(
        index for index, job in enumerate(plan.jobs.values()) if manifest in job.inputs
    )


def test_a_student_of_a_live_teacher_reads_the_teachers_checkpoint(study):
    live = ("distill: {temperature: 2}", "distill: {temperature: 2, teacher: live}")
    plan = make_plan(study(*using(BASE, student="roberta"), live))
    (id,) = jobs(plan, "pretrained")
    for run in plan.settings["langid"].students:
        job = plan.jobs["train", run]
        assert spec(job)["distill"]["live"] and spec(job)["model"]["family"] == "roberta"
        assert f"results/pretrained/{id}.json" in job.inputs


def test_eigendirections_read_the_architecture_of_the_checkpoint(study):
    bias = "{layers: [network.bert.encoder.layer.0.output.dense]}"
    edits = using(FOLDER)
    text = "optimizer: adamw, lr: 1e-3, epochs: 1"
    edits += [
        (text, "optimizer: sgd, lr: 1e-3, epochs: 1"),
        ("    distill: {temperature: 2}", f"    distill: {{temperature: 2}}\n    bias: {bias}"),
    ]
    plan = make_plan(study(*edits))
    (id,) = jobs(plan, "pretrained")
    for job in jobs(plan, "basis").values():
        assert f"results/pretrained/{id}.json" in job.inputs
        assert spec(job)["model"] == {"family": "pretrained", "pretrained": id}


def ids(plan):
    return [job.manifest for job in plan.jobs.values()]


def test_moving_a_folder_changes_no_id_and_a_byte_does(study, folder):
    before = make_plan(study(*using(FOLDER)))
    assert any("cldr-langid-bert16x4-" in id for id in ids(before))
    shutil.move(folder / "bert", folder / "moved")
    moved = make_plan(study(*using(model("base", folder="moved"))))
    assert ids(moved) == ids(before)
    assert ids(make_plan(study(*using(model("base", folder=folder / "moved"))))) == ids(before)
    (folder / "moved/README.md").write_text("still not read")
    assert ids(make_plan(study(*using(model("base", folder="moved"))))) == ids(before)
    (folder / "moved/model.safetensors").write_bytes(b"weightz")
    assert ids(make_plan(study(*using(model("base", folder="moved"))))) != ids(before)


def test_a_package_is_found_without_importing_it(study, folder, monkeypatch):
    package = folder / "packages/weights_in_a_package"
    shutil.copytree(folder / "bert", package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()
    plan = make_plan(study(*using(model("base", package=package.name, folder="model"))))
    assert ids(plan) == ids(make_plan(study(*using(FOLDER))))
    (options,) = plan.pretrained.values()
    assert options.place() == package / "model" and package.name not in sys.modules


def test_sizes_are_read_where_they_can_be_and_roberta_bases_elsewhere(study):
    needs = {}
    for name, made in {"small": FOLDER, "unread": BASE}.items():
        plan = make_plan(study(*using(made)))
        run = plan.settings["langid"].teachers[0]
        (id,) = jobs(plan, "pretrained")
        needs[name] = need_of(plan, "train", run)
        assert need_of(plan, "pretrained", id).memory_mb >= 1500
        store = Path(f"results/pretrained/{id}")
    # 124 million parameters, seven times in float32
    assert needs["unread"].memory_mb > 1500 + 7 * 4 * 124 > needs["small"].memory_mb
    store.mkdir(parents=True)  # once the hub's checkpoint is fetched, it is read too
    (store / "config.json").write_text(json.dumps(CONFIG))
    assert need_of(plan, "train", run) == needs["small"]


def test_a_dump_of_a_large_checkpoint_holds_one_layer_at_a_time(study):
    edits = using(BASE, tokenizer="{of: base, max_tokens: 128}")
    plan = make_plan(study(*edits))
    run = plan.settings["langid"].teachers[0]
    # 512 texts of 128 tokens: about ten numbers per hidden unit, and the heads' attention
    numbers = 512 * (128 * (10 * 768 + 2 * 3072) + 3 * 12 * 128**2)
    memory = need_of(plan, "dump", run).memory_mb
    assert 4 * numbers / 1e6 < memory < 2 * 4 * numbers / 1e6


def test_options_survive_the_way_through_json():
    options = MODEL.validate_python({"family": "pretrained", "checkpoint": "a/b", "layers": 2})
    assert MODEL.validate_json(options.model_dump_json()) == options


def test_planning_starts_without_the_libraries_of_the_jobs(study_file):
    code = (
        "import sys; from disobey.study.loader import load_study; from disobey.study.plan import "
        "make_plan; make_plan(load_study(sys.argv[1])); "
        "print(*{'torch', 'transformers', 'huggingface_hub', 'tokenizers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(study_file(*using(FOLDER)))],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(disobey.__file__).parents[1])},
    )  # fmt: skip
    assert done.stdout.strip() == ""
