"""Studies of models trained elsewhere work from files and checkpoints to the pages."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from disobey import compare
from disobey.errors import UserError
from disobey.stages.classify import columns_of, longest_input, share_padding
from disobey.stores.layout import store_of
from disobey.stores.manifest import read_manifest
from disobey.stores.reader import read_columns
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools.plan import main as plan_of
from disobey.tools.prune import main as prune
from disobey.tools.status import main as status

from .checkpoints import save_checkpoint
from .test_slices import STAGES, run_in_process

pytestmark = pytest.mark.slow

EVERYTHING = (*STAGES, "table", "figure", "explorer", "report")
CLASSES, TRAIN, TEST = 4, 60, 200


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def models(number, examples=TEST, seed=0, noise=0.7):
    """Return logits of models that share a signal."""
    rng = np.random.default_rng(seed)
    signal = 2 * rng.normal(size=(examples, CLASSES))
    return [
        (signal + noise * rng.normal(size=signal.shape)).astype(np.float32) for _ in range(number)
    ]


def write(text):
    """Write a study file with two seeds; return its plan."""
    Path("study.yaml").write_text(f"study: own\nseeds: [0, 1]\n{text}")
    return make_plan(load_study("study.yaml"))


def claims_of(split):
    """Return claims.csv by claim and reading."""
    table = pd.read_csv("results/own/tables/claims.csv")
    table = table.fillna({"reading": "", "remark": "", "split": ""})
    return table[table.split == split].set_index(["claim", "reading"])


def analysis_of(plan, name):
    """Return the analysis of a comparison by split, as xarray reads it."""
    from disobey.analysis.store import read_analysis

    return read_analysis(read_manifest(Path(plan.jobs["confidence", f"own/{name}"].manifest)))


FILES = """
comparisons:
  both:
    source: logits
    teachers: [t0.npz, t1.npz]
    students: [s0.npz, s1.npz]
    references: [r0.npz, r1.npz]
    replicates: [t2.npz]
    temperature: 4
"""


def save_files():
    """Write three teachers, two students and two references of both splits; return their arrays."""
    label = {"train": np.arange(TRAIN) % CLASSES, "test": np.arange(TEST) % CLASSES}
    given = label["train"].copy()
    given[:15] = (given[:15] + 1) % CLASSES
    splits = {"train": models(7, TRAIN, 1), "test": models(7, TEST, 2)}
    names = ["t0", "t1", "t2", "s0", "s1", "r0", "r1"]
    for k, name in enumerate(names):
        np.savez(
            f"{name}.npz",
            train=splits["train"][k], train_label=given, train_clean_label=label["train"],
            test=splits["test"][k], test_label=label["test"],
        )  # fmt: skip
    return names


def test_files_of_logits_are_analysed_as_compare_does_and_shown_on_every_page():
    save_files()
    plan = write(FILES)
    run_in_process(plan, EVERYTHING)
    found = analysis_of(plan, "both")
    alone = compare(
        "t0.npz", "s0.npz", reference="r0.npz", replicates=["t2.npz"],
        pairs=[("t1.npz", "s1.npz", "r1.npz")],
    )  # fmt: skip
    for split in ("train", "test"):
        for variable in ("value", "estimate", "low", "high", "examples", "density"):
            np.testing.assert_allclose(
                found.splits[split][variable], alone.analysis.splits[split][variable], rtol=1e-6
            )
    assert found.about["label_noise"] == 15 / TRAIN  # so there is a figure of it
    assert ("figure", "own/noise") in plan.jobs
    report = Path("results/own/report.html").read_text()
    assert "trained elsewhere" in report
    assert "explorer.html" in report
    assert "replicate" in Path("results/own/explorer.html").read_text()


def test_status_and_prune_know_what_a_comparison_is_made_of(capsys):
    save_files()
    run_in_process(write(FILES))
    assert status(["study.yaml"]) == 0
    assert re.search(r"done of all +logits +analysis\nboth +\S+ +\S+\n", capsys.readouterr().out)
    assert prune(["study.yaml"]) == 0
    assert "0 orphans" in capsys.readouterr().out
    np.savez("s1.npz", test=models(1)[0], train=models(1, TRAIN)[0])
    assert prune(["study.yaml"]) == 0
    assert "results/compared/both-" in capsys.readouterr().out


def test_plan_says_what_a_comparison_is_made_of(capsys):
    save_files()
    write(
        FILES + "  bare: {source: logits, teachers: [t0.npz, t1.npz], students: [s0.npz, s1.npz]}\n"
    )
    assert plan_of(["study.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "  both: files of logits, T = 4\n" in printed
    assert len(re.findall(r"^    (teacher|reference|student) +\S", printed, re.M)) == 5
    assert re.search(r"^ +2 compared$", printed, re.M)


@pytest.mark.parametrize(
    ("limits", "longest"),
    [((None, None, 10**30), None), ((None, 512, 10**30), 512), ((128, 512, 256), 128)],
)
def test_the_longest_text_is_what_the_first_of_all_limits_allows(limits, longest):
    assert longest_input(*limits) == longest


def test_a_model_pads_as_its_tokenizer_does_and_one_that_cannot_is_refused():
    for own, expected in ((None, 7), (3, 3)):
        config = SimpleNamespace(pad_token_id=own)
        share_padding(Path("m0"), config, SimpleNamespace(pad_token_id=7))
        assert config.pad_token_id == expected
    with pytest.raises(UserError, match="m0: its tokenizer has no padding token"):
        share_padding(Path("m0"), config, SimpleNamespace(pad_token_id=None))


def test_classifiers_whose_configuration_names_no_padding_give_the_same_logits():
    for seed in range(4):
        save_checkpoint(
            Path(f"m{seed}"), "bert", "AutoModelForSequenceClassification", seed=seed, num_labels=20
        )
    found = []
    for changed in ({}, {"pad_token_id": None}):
        path = Path("m0/config.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
        plan = write(CHECKPOINTS.replace("NAME", "cldr-langid"))
        run_in_process(plan)
        with netCDF4.Dataset(logits_of(plan)[0][0]) as file:
            found.append(file["test"]["logits"][...].data)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_bare_arrays_have_verdicts_on_what_can_be_told_and_reasons_for_the_rest():
    for k, name in enumerate(("t0", "t1", "s0", "s1")):
        np.save(f"{name}.npy", models(4)[k])
    plan = write(
        "comparisons:\n  bare: {source: logits, teachers: [t0.npy, t1.npy], "
        "students: [s0.npy, s1.npy]}\n"
    )
    run_in_process(plan, EVERYTHING)
    claims = claims_of("test")
    assert claims.verdict["exaggeration", "paper"] in ("holds", "contrary", "undecided")
    assert claims.verdict["exaggeration", "replicate"] in ("holds", "contrary", "undecided")
    for claim in (
        ("accuracy_gain", ""), ("exaggeration", "second seed"),
        ("distillation_exaggerates", "replicate"),
    ):  # fmt: skip
        assert claims.verdict[claim] == "withheld"
        assert claims.remark[claim] == "there is no reference"
    # There is no training split to be silent about.
    assert claims_of("train").empty
    assert list(analysis_of(plan, "bare").splits) == ["test"]
    assert pd.read_csv("results/own/tables/accuracy.csv").empty
    assert ("figure", "own/noise") not in plan.jobs


BARE = (
    "comparisons:\n  bare: {source: logits, teachers: [t0.npy, t1.npy], "
    "students: [s0.npy, s1.npy], labels: labels.npz, split: train}\n"
)


def test_labels_of_a_file_are_those_of_bare_arrays_and_say_which_are_wrong():
    for k, name in enumerate(("t0", "t1", "s0", "s1")):
        np.save(f"{name}.npy", models(4)[k])
    clean = np.arange(TEST) % CLASSES
    given = np.where(np.arange(TEST) < 50, (clean + 1) % CLASSES, clean)
    np.savez("labels.npz", label=given, clean_label=clean)
    plan = write(BARE)
    run_in_process(plan)
    (job,) = (job for job in plan.jobs.values() if job.stage == "compared")
    found = read_columns(Path(store_of(job.manifest)), "train")
    assert np.array_equal(found["label"], given)
    assert np.array_equal(found["clean_label"], clean)
    analysis = analysis_of(plan, "bare")
    assert analysis.about["label_noise"] == 50 / TEST
    assert analysis.splits["train"].examples.sel(subset="mislabelled").values.tolist() == [50, 50]
    before = list(plan.jobs)
    Path("labels.npz").rename("moved.npz")
    assert list(write(BARE.replace("labels.npz", "moved.npz")).jobs) == before
    np.savez("labels.npz", label=clean, clean_label=clean)
    assert list(write(BARE).jobs) != before


def test_one_pair_without_a_replicate_says_what_is_missing():
    for k, name in enumerate(("t0", "s0")):
        np.save(f"{name}.npy", models(2)[k])
    Path("study.yaml").write_text(
        "study: own\nseeds: [0]\ncomparisons:\n"
        "  bare: {source: logits, teachers: [t0.npy], students: [s0.npy]}\n"
    )
    run_in_process(make_plan(load_study("study.yaml")), EVERYTHING)
    claims = claims_of("test")
    for claim in ("exaggeration", "inheritance"):
        assert claims.remark[claim, "replicate"] == "there is no replicate"
        assert claims.verdict[claim, "replicate"] == "undecided"  # as of a study with one seed
    assert np.isfinite(claims.value["exaggeration", "paper"])


def test_verdicts_on_few_test_examples_are_withheld():
    for k, name in enumerate(("t0", "t1", "s0", "s1")):
        np.save(f"{name}.npy", models(4, examples=199)[k])
    plan = write(
        "comparisons:\n  bare: {source: logits, teachers: [t0.npy, t1.npy], "
        "students: [s0.npy, s1.npy]}\n"
    )
    run_in_process(plan, EVERYTHING)
    claims = claims_of("test")
    assert set(claims.verdict) == {"withheld"}
    assert claims.remark.str.contains("test has 199 examples, fewer than 200").all()


DIGITS = """
datasets:
  digits: {source: builtin, name: digits, subset: {train: 60, test: 50}, label_noise: {rate: 0.25}}
comparisons:
  own: {source: logits, dataset: digits, teachers: [t0.npz, t1.npz], students: [s0.npz, s1.npz]}
"""


def digits_models(change=lambda name, arrays: arrays):
    """Write models over the digits' test examples, in an order of their own; return both."""
    Path("data.yaml").write_text(
        "study: prepared\nseeds: [0]\n" + DIGITS.partition("comparisons")[0] + "models: "
        "{m: {family: mlp, hidden: [4]}}\n"
        "recipes: {r: {optimizer: sgd, lr: 0.1, batch: 8, epochs: 1}}\n"
        "settings: {s: {dataset: digits, teacher: m, student: m, recipe: r, "
        "distill: {temperature: 1}}}\n"
    )
    plan = make_plan(load_study("data.yaml"))
    run_in_process(plan, ("prepare",))
    data = next(store_of(job.manifest) for job in plan.jobs.values() if job.stage == "prepare")
    columns = read_columns(Path(data), "test")
    order = np.random.default_rng(3).permutation(len(columns["example_id"]))
    saved = {}
    for k, name in enumerate(("t0", "t1", "s0", "s1")):
        rng = np.random.default_rng(k)
        saved[name] = rng.normal(size=(len(order), 10)).astype(np.float32)
        arrays = {"test": saved[name][order], "test_example_id": columns["example_id"][order]}
        np.savez(f"{name}.npz", **change(name, arrays))
    return saved, columns


def test_rows_and_labels_are_those_of_the_data_set():
    saved, columns = digits_models()
    plan = write(DIGITS)
    run_in_process(plan, (*STAGES, "explorer"))
    store = next(store_of(job.manifest) for job in plan.jobs.values() if job.stage == "compared")
    found = read_columns(Path(store), "test")
    assert np.array_equal(found["example_id"], columns["example_id"])
    assert np.array_equal(found["label"], columns["label"])
    with netCDF4.Dataset(store) as file:
        np.testing.assert_array_equal(file["test"]["student_1"][...], saved["s1"])
        assert json.loads(file.class_names) == [str(digit) for digit in range(10)]
    assert "data:image/webp" in Path("results/own/explorer.html").read_text()  # the digits


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a | {"test": a["test"][:, :9]}, "9 classes"),
        (lambda a: a | {"test_example_id": a["test_example_id"] + 1000}, "has no"),
        (lambda a: a | {"test_label": np.full(50, 3)}, "differ"),
    ],
)
def test_models_that_do_not_fit_their_data_set_are_refused(change, said):
    digits_models(lambda name, arrays: change(arrays))
    with pytest.raises(UserError, match=said):
        run_in_process(write(DIGITS))


def test_a_file_that_changed_since_planning_is_refused():
    save_files()
    plan = write(FILES)
    np.savez("s1.npz", test=models(1)[0], train=models(1, TRAIN)[0])
    with pytest.raises(UserError, match=r"s1\.npz: has changed since the study was planned"):
        run_in_process(plan)


def test_moving_files_changes_no_id_and_another_byte_does():
    save_files()
    before = list(write(FILES).jobs)
    Path("moved").mkdir()
    for path in Path().glob("*.npz"):
        path.rename(Path("moved") / path.name)
    assert list(write("data_root: moved\n" + FILES).jobs) == before
    np.savez("moved/r0.npz", test=models(1, seed=9)[0], train=models(1, TRAIN, seed=9)[0])
    assert list(write("data_root: moved\n" + FILES).jobs) != before


REFUSED = {
    "has 1, but seeds has 2": FILES.replace("[s0.npz, s1.npz]", "[s0.npz]"),
    "there is no file": FILES.replace("r1.npz", "r9.npz"),
    "r0.npz is named twice": FILES.replace("r1.npz", "r0.npz"),
    "there is no dataset 'digit'; did you mean 'digits'": FILES.replace(
        "temperature: 4", "dataset: digit"
    )
    + "datasets: {digits: {source: builtin, name: digits}}\n",
    "says the classes": FILES.replace("temperature: 4", "dataset: digits\n    classes: [a, b]"),
    "already name their splits; remove split": FILES + "    split: test\n",
    "other.npz contains test, but t0.npz contains": FILES.replace("s1.npz", "other.npz"),
    "short.npz has 59 rows of train": FILES.replace("s1.npz", "short.npz"),
    "broken.npz: cannot be read as npz": FILES.replace("s1.npz", "broken.npz"),
    "neither settings nor comparisons": "",
    "must be one of huggingface, logits|unknown value": FILES.replace("logits", "logit"),
    "there is no such folder": "datasets: {d: {source: builtin, name: digits}}\ncomparisons:\n"
    "  c: {source: huggingface, dataset: d, teachers: [{folder: a}, {folder: b}], "
    "students: [{folder: c}, {folder: d}]}\n",
    "is not installed": "datasets: {d: {source: builtin, name: digits}}\ncomparisons:\n"
    "  c: {source: huggingface, dataset: d, teachers: [{package: nothing_here, folder: a}, "
    "{checkpoint: a/b}], students: [{checkpoint: a/c}, {checkpoint: a/d}]}\n",
    "students: top.npz holds the top classes alone": FILES.replace("s1.npz", "top.npz"),
    "both.labels: there is no file": FILES + "    labels: none.npz\n",
    "both.labels: labels.npz: holds no label": FILES + "    labels: labels.npz\n",
    "named twice": "datasets: {d: {source: builtin, name: digits}}\ncomparisons:\n"
    "  c: {source: huggingface, dataset: d, teachers: [{checkpoint: a/b}, {checkpoint: a/b}], "
    "students: [{checkpoint: a/c}, {checkpoint: a/d}]}\n",
    "has label noise": "datasets: {d: {source: builtin, name: digits, label_noise: {rate: 0.1}}}\n"
    "comparisons:\n  c: {source: huggingface, dataset: d, teachers: [{checkpoint: a/a}, "
    "{checkpoint: a/b}], students: [{checkpoint: a/c}, {checkpoint: a/d}]}\n",
}


@pytest.mark.parametrize("said", REFUSED)
def test_mistakes_are_named_before_anything_runs(said):
    save_files()
    np.savez("other.npz", test=models(1)[0])
    np.savez("short.npz", test=models(1)[0], train=models(1, TRAIN - 1)[0])
    Path("broken.npz").write_bytes(b"no archive")
    np.savez("labels.npz", test_clean_label=np.zeros(TEST, int))
    top = {"class": np.zeros((TEST, 1), int), "logit": np.zeros((TEST, 1))}
    mass = {"test_missing_mass": np.full(TEST, 0.5), "classes": np.array(CLASSES)}
    np.savez("top.npz", **{f"test_top_{name}": values for name, values in top.items()}, **mass)
    with pytest.raises(UserError, match=said) as refused:
        write(REFUSED[said])
    assert "study.yaml:" in str(refused.value)


# --- checkpoints -----------------------------------------------------------------------------


def save_image_model(folder, seed, names=None):
    """Write a small image classifier with random weights, and how it wants its images."""
    torch.manual_seed(seed)
    named = {} if names is None else {"id2label": dict(enumerate(names))}
    config = transformers.ResNetConfig(
        num_labels=10, embedding_size=16, hidden_sizes=[16] * 4, depths=[1] * 4, **named
    )
    model = transformers.ResNetForImageClassification(config)
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return model.eval()


CHECKPOINTS = """
datasets:
  d: {source: builtin, name: NAME, subset: {train: 40, test: 70}}
comparisons:
  c:
    source: huggingface
    dataset: d
    teachers: [{folder: m0}, {folder: m1}]
    students: [{folder: m2}, {folder: m3}]
    splits: [test]
"""


def logits_of(plan):
    """Return the store of each checkpoint's logits, in their order, and the data store."""
    made = [job for job in plan.jobs.values() if job.stage == "classify"]
    data = next(job for job in plan.jobs.values() if job.stage == "prepare")
    return [Path(store_of(job.manifest)) for job in made], Path(store_of(data.manifest))


def test_image_classifiers_give_the_logits_that_transformers_gives_in_the_classes_of_the_data():
    backwards = [str(digit) for digit in reversed(range(10))]
    networks = [
        save_image_model(f"m{seed}", seed, backwards if seed == 3 else None) for seed in range(4)
    ]
    plan = write(CHECKPOINTS.replace("NAME", "digits"))
    run_in_process(plan, (*STAGES, "explorer"))
    stores, data = logits_of(plan)
    processor = transformers.AutoImageProcessor.from_pretrained("m0")
    with netCDF4.Dataset(data) as file:
        images = file["test"]["image"][...].data
    batch = processor(images=[np.repeat(one, 3, -1) for one in images], return_tensors="pt")
    for seed, network in enumerate(networks):
        with torch.no_grad():
            expected = network(**batch).logits.numpy()
        with netCDF4.Dataset(stores[seed]) as file:
            found = file["test"]["logits"][...].data
            assert "train" not in file.groups
        np.testing.assert_allclose(found, expected[:, ::-1] if seed == 3 else expected, atol=1e-5)


def test_text_classifiers_give_the_logits_of_each_text_whatever_the_batches():
    for seed in range(4):
        save_checkpoint(
            Path(f"m{seed}"), "bert", "AutoModelForSequenceClassification", seed=seed, num_labels=20
        )
    plan = write(CHECKPOINTS.replace("NAME", "cldr-langid"))
    run_in_process(plan)
    stores, data = logits_of(plan)
    network = transformers.AutoModelForSequenceClassification.from_pretrained("m2").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained("m2")
    with netCDF4.Dataset(data) as file:
        texts = [str(text) for text in file["test"]["text"][...]]
    with netCDF4.Dataset(stores[2]) as file:
        found = file["test"]["logits"][...].data
    for row in (0, 33, 69):
        tokens = tokenizer(texts[row], truncation=True, max_length=40, return_tensors="pt")
        with torch.no_grad():
            expected = network(**tokens).logits[0].numpy()
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_a_classifier_of_logits_that_are_not_finite_is_refused_with_the_row():
    for seed in range(4):
        model = save_image_model(f"m{seed}", seed)
    torch.nn.init.constant_(model.classifier[1].bias, torch.inf)
    model.save_pretrained("m3")
    with pytest.raises(UserError, match=r"^test, row 0: the classifier's logits are not finite; n"):
        run_in_process(write(CHECKPOINTS.replace("NAME", "digits")))


def test_a_checkpoint_without_a_trained_head_is_refused():
    for seed in range(4):
        save_checkpoint(Path(f"m{seed}"), "bert", seed=seed, num_labels=20)
    with pytest.raises(UserError, match=r"lack classifier\.\w+ .*it is not a trained classifier"):
        run_in_process(write(CHECKPOINTS.replace("NAME", "cldr-langid")))


class Config:
    """The names that a checkpoint gives its outputs."""

    def __init__(self, *names):
        self.num_labels, self.id2label = len(names), dict(enumerate(names))


def test_outputs_are_matched_with_classes_by_name_and_never_guessed():
    data = ["entailment", "neutral", "contradiction"]
    assert columns_of(Config("CONTRADICTION", "Neutral", "entailment"), data, None, "m") == [
        2,
        1,
        0,
    ]
    assert columns_of(Config("LABEL_0", "LABEL_1", "LABEL_2"), data, None, "m") == [0, 1, 2]
    outputs = ["neutral", "contradiction", "entailment"]
    assert columns_of(Config("LABEL_0", "LABEL_1", "LABEL_2"), data, outputs, "m") == [2, 0, 1]
    with pytest.raises(UserError, match="add to the checkpoint outputs"):
        columns_of(Config("yes", "maybe", "no"), data, None, "m")
    with pytest.raises(UserError, match="has 2 outputs, but the data has 3 classes"):
        columns_of(Config("a", "b"), data, None, "m")
