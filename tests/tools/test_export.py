"""Exported models give the stored logits in other programs, and can be a study's teacher."""

import csv
import json
import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.special import ndtri

import disobey
from disobey.__main__ import main
from disobey.errors import UserError
from disobey.models.exported import MEAN, SCALE, classifier, load
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from tests.checkpoints import WORDS, save_checkpoint
from tests.test_slices import run_in_process

STUDY = """\
study: exported
seeds: [0]
device: cpu
datasets:
  digits: {source: builtin, name: digits, subset: {train: 20, test: 40}, centre: pixel}
  pairs: {source: files, name: pairs, train: train.csv, test: test.csv, columns: {text: one, text_pair: two, label: kind}, tokenizer: {of: bert, max_tokens: 12}}
  colours: {source: files, name: colours, train: train.npz, test: train.npz, columns: {image: image}}
  centred: {source: files, name: colours, train: train.npz, test: train.npz, columns: {image: image}, centre: pixel}
  grey: {source: files, name: grey, train: grey.npz, test: grey.npz, columns: {image: image}}
  features: {source: builtin, name: digits, subset: {train: 20, test: 40}, features: {kind: random_relu, number: 6}}
models:
  mlp: {family: mlp, hidden: [8]}
  bert: {family: pretrained, folder: checkpoint, layers: 1}
  resnet: {family: resnet, depth: 18}
recipes:
  image: {optimizer: sgd, lr: 0.1, batch: 20, epochs: 1}
  text: {optimizer: adamw, lr: 1e-2, batch: 16, epochs: 1}
settings:
  digits: {dataset: digits, teacher: mlp, student: mlp, recipe: image, distill: {temperature: 4}}
  pairs: {dataset: pairs, teacher: bert, student: bert, recipe: text, distill: {temperature: 4}}
  colours: {dataset: colours, teacher: resnet, student: resnet, recipe: image, distill: {temperature: 4}}
  centred: {dataset: centred, teacher: resnet, student: resnet, recipe: image, distill: {temperature: 4}}
  grey: {dataset: grey, teacher: resnet, student: resnet, recipe: image, distill: {temperature: 4}}
  features: {dataset: features, teacher: mlp, student: mlp, recipe: image, distill: {temperature: 4}}
  share: {dataset: digits, teacher: mlp, student: mlp, recipe: image, distill: {temperature: 4}, student_share: 0.6}
"""  # noqa: E501
SHARE = "share"  # of this setting the student is exported, of the others the teacher
TAUGHT = """\
teachers:
  theirs: {source: huggingface, checkpoints: [{folder: digits}]}
settings:
  it: {dataset: digits, teacher: {external: theirs}, student: mlp, recipe: image, distill: {temperature: 4}}
"""  # noqa: E501


def write_data():
    rng = np.random.default_rng(0)
    for split, examples in (("train", 40), ("test", 30)):
        with open(f"{split}.csv", "w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["one", "two", "kind"])
            for row in range(examples):
                one, two = (" ".join(rng.choice(WORDS, size)) for size in rng.integers(1, 9, 2))
                writer.writerow([one + (" [SEP]" if row == 3 else ""), two, "ab"[row % 2]])
    image = rng.integers(0, 256, (6, 36, 36, 3)).astype(np.uint8)
    np.savez("train.npz", image=image, label=np.arange(6) % 2)
    np.savez("grey.npz", image=image[..., :1], label=np.arange(6) % 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Ids by setting of exported models of a study of images, texts and features."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("exported")
    os.chdir(folder)
    write_data()
    save_checkpoint(Path("checkpoint"))
    Path("study.yaml").write_text(STUDY)
    plan = make_plan(load_study("study.yaml"))
    exported = {name: runs.teachers[0] for name, runs in plan.settings.items()}
    exported[SHARE] = plan.settings[SHARE].students[0]
    needed = {*exported.values(), plan.settings[SHARE].teachers[0]}
    unused = [job for job in plan.jobs if job[0] in ("train", "dump") and job[1] not in needed]
    for job in unused:
        del plan.jobs[job]
    run_in_process(plan, ("prepare", "labels", "pretrained", "train", "dump"))
    for name, run in exported.items():
        assert main(["export", run, name]) == 0
    yield folder, exported
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(runs, monkeypatch):
    monkeypatch.chdir(runs[0])


def stored(run, split="test"):
    with netCDF4.Dataset(f"results/logits/{run}.nc") as file:
        return {name: file[split][name][...].data for name in ("logits", "label")}


def test_transformers_loads_a_text_model_with_its_tokenizer_and_its_logits(runs):
    run = runs[1]["pairs"]
    tokenizer = transformers.AutoTokenizer.from_pretrained("pairs")
    model = transformers.AutoModelForSequenceClassification.from_pretrained("pairs")
    assert model.config.id2label == {0: "a", 1: "b"}
    with open("train.csv", newline="") as stream:
        one, two, _ = zip(*list(csv.reader(stream))[1:], strict=True)
    batch = tokenizer(
        list(one), list(two), truncation=True, padding="max_length", return_tensors="pt"
    )
    with torch.inference_mode():
        logits = model(**batch).logits.numpy()
    np.testing.assert_allclose(logits, stored(run, "train")["logits"], rtol=0, atol=1e-5)


def test_transformers_loads_an_image_model_that_it_knows_with_its_logits(runs):
    run = runs[1]["colours"]
    model = transformers.AutoModelForImageClassification.from_pretrained("colours")
    processor = transformers.AutoImageProcessor.from_pretrained("colours")
    with np.load("train.npz") as arrays:
        batch = processor(images=list(arrays["image"]), return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits.numpy()
    np.testing.assert_allclose(logits, stored(run)["logits"], rtol=0, atol=1e-4)


def test_a_model_that_transformers_does_not_know_is_loaded_here_from_its_folder_alone(runs):
    run = runs[1]["digits"]
    with torch.inference_mode():
        logits = disobey.load_run("digits")(disobey.load_inputs(run)).numpy()
    np.testing.assert_array_equal(logits, stored(run)["logits"])
    with safe_open("digits/model.safetensors", "numpy") as file:
        assert file.metadata()["run"] == run and file.metadata()["format"] == "pt"
        assert file.get_tensor(MEAN).shape == (8, 8, 1)  # the mean image


@pytest.mark.parametrize("name", ["centred", "grey"])
def test_an_image_model_whose_images_transformers_cannot_prepare_is_loaded_here(runs, name):
    run = runs[1][name]
    assert json.loads(Path(name, "config.json").read_text())["model_type"] == "disobey_resnet"
    assert not Path(name, "preprocessor_config.json").exists()
    with torch.inference_mode():
        logits = disobey.load_run(name)(disobey.load_inputs(run)).numpy()
    np.testing.assert_allclose(logits, stored(run)["logits"], rtol=0, atol=1e-5)
    assert 'model = disobey.load_run("FOLDER")' in Path(name, "README.md").read_text("utf-8")


def test_a_model_of_features_is_loaded_here_and_takes_them_as_they_are(runs):
    run = runs[1]["features"]
    with torch.inference_mode():
        logits = disobey.load_run("features")(disobey.load_inputs(run)).numpy()
    np.testing.assert_array_equal(logits, stored(run)["logits"])
    with safe_open("features/model.safetensors", "numpy") as file:
        assert MEAN not in file.keys() and SCALE not in file.keys()  # noqa: SIM118
    assert "pipeline_tag: tabular-classification\n" in Path("features/README.md").read_text("utf-8")


def test_a_run_is_loaded_from_a_folder_of_results_of_any_name(runs, tmp_path, monkeypatch):
    Path("results").rename(tmp_path / "kept")
    try:
        monkeypatch.chdir(tmp_path)
        run = runs[1]["digits"]
        model = disobey.load_run(run, results="kept")
        assert len(model(disobey.load_inputs(run, results="kept"))) > 0
        assert main(["export", run, "again", "--results", "kept"]) == 0
    finally:
        (tmp_path / "kept").rename(runs[0] / "results")


def test_a_study_has_an_exported_model_as_teacher_with_equal_logits(runs):
    study = STUDY[: STUDY.index("settings:")].replace("study: exported", "study: taught") + TAUGHT
    Path("taught.yaml").write_text(study)
    plan = make_plan(load_study("taught.yaml"))
    run_in_process(plan, ("classify", "train"))
    (teacher,) = plan.settings["it"].teachers
    with netCDF4.Dataset(f"results/classified/{teacher}.nc") as file:
        logits = file["test"]["logits"][...].data
        np.testing.assert_allclose(logits, stored(runs[1]["digits"])["logits"], rtol=0, atol=1e-6)
        assert list(file["test"]["class"][...]) == [str(digit) for digit in range(10)]
    assert "disobey.models.mlp" in plan.jobs["classify", teacher].roots


def test_a_model_of_images_is_refused_as_teacher_on_texts(runs):
    study = STUDY[: STUDY.index("settings:")].replace("study: exported", "study: mixed")
    taught = TAUGHT.replace("dataset: digits", "dataset: pairs")
    taught = taught.replace("student: mlp, recipe: image", "student: bert, recipe: text")
    Path("mixed.yaml").write_text(study + taught)
    with pytest.raises(UserError) as refused:
        run_in_process(make_plan(load_study("mixed.yaml")), ("classify",))
    assert str(refused.value) == (
        "digits: is a model of images or features (shape [8, 8, 1]), but the data set has texts; "
        "name a classifier of texts"
    )


def test_weights_that_are_cut_off_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"model.safetensors: cannot be read: .*; export it again"):
        load(tmp_path)


def test_weights_of_another_model_are_refused(runs, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(Path("digits", name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["disobey"]["model"]["hidden"] = [9]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"its weights do not fit config.json: .*(?s:.*)hidden_1"):
        load(tmp_path)


def test_images_of_another_shape_are_refused_with_both_shapes(runs):
    _, classify = classifier(Path("digits"), torch.device("cpu"), 2)
    images = [np.zeros((8, 8, 1), np.uint8)] * 3
    assert classify(images).shape == (3, 10)
    with pytest.raises(UserError) as refused:
        classify([*images[:2], np.zeros((28, 28, 1), np.uint8)])
    said = str(refused.value)
    assert "digits: reads images of (8, 8, 1) (y, x, channel), the data has (28, 28, 1); " in said


def test_a_model_of_features_cannot_be_shown_images(runs, tmp_path):
    """Only this package can compute its features."""
    config = json.loads(Path("digits/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = load_file("digits/model.safetensors")
    kept = {name: one for name, one in weights.items() if not name.startswith("normalise.")}
    save_file(kept, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="reads features of this package, so it cannot read images"):
        classifier(tmp_path, torch.device("cpu"), 2)


def test_the_card_says_what_made_the_model_and_its_accuracy_with_wilson_s_interval(runs):
    run = runs[1]["digits"]
    card = Path("digits/README.md").read_text(encoding="utf-8")
    spec = json.loads(Path(f"results/runs/{run}.json").read_text())["spec"]
    for words in (run, spec["data"], "lr 0.1", "initialisation 0", "family mlp", "cross-entropy"):
        assert words in card
    test = stored(run)
    n, right = len(test["label"]), (test["logits"].argmax(1) == test["label"]).sum()
    z, share = ndtri(0.975), right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    words = (
        f"{share:.2%} of {n:,} examples (95 % interval {middle - half:.2%} to {middle + half:.2%}"
    )
    assert f"| test accuracy | {words}" in card


def test_the_card_counts_of_a_students_share_alone(runs):
    with netCDF4.Dataset(f"results/logits/{runs[1][SHARE]}.nc") as file:
        logits, label, seen = (
            file["train"][name][...].data for name in ("logits", "label", "seen")
        )
    right = logits.argmax(1) == label
    assert seen.sum() == 12 and right[seen == 1].mean() != right.mean()
    words = f"| train accuracy | {right[seen == 1].mean():.2%} of 12 examples |"
    assert words in Path(SHARE, "README.md").read_text("utf-8")


def test_the_card_says_so_where_the_accuracy_was_not_measured(runs, tmp_path):
    run = runs[1]["digits"]
    manifest = Path(f"results/logits/{run}.nc.json")
    manifest.rename(tmp_path / "kept")
    try:
        assert main(["export", run, str(tmp_path / "new")]) == 0
    finally:
        (tmp_path / "kept").rename(manifest)
    card = (tmp_path / "new/README.md").read_text("utf-8")
    assert "| accuracy | not measured: its logits were not stored |" in card
    assert "test accuracy" not in card


@pytest.mark.parametrize(
    ("run", "folder", "message"),
    [
        (
            "digits-mlp9",
            "new",
            "there is no finished run digits-mlp9; python -m disobey plan",
        ),
        (
            "dgits-mlp8-onehot-s0",
            "new",
            "there is no finished run dgits-mlp8-onehot-s0; did you mean 'digits-mlp8-onehot-s0-",
        ),
        (None, "digits", "digits: is not empty; name a new folder"),
    ],
)
def test_what_cannot_be_exported_is_refused(runs, capsys, run, folder, message):
    assert main(["export", run or runs[1]["digits"], folder]) == 2
    assert message in capsys.readouterr().err
