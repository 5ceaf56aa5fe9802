"""Teachers that were trained elsewhere: students that learn from their logits, up to the pages."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from disobey.analysis.store import read_analysis
from disobey.errors import UserError
from disobey.figures import sweeps
from disobey.stores.layout import store_of
from disobey.stores.manifest import read_manifest
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools.plan import main as plan_of
from disobey.tools.prune import main as prune
from disobey.tools.status import main as status

from .test_comparisons import claims_of, save_image_model
from .test_slices import STAGES, run_in_process

pytestmark = pytest.mark.slow

EVERYTHING = (*STAGES, "table", "figure", "explorer", "report")
PARTS = """
datasets: {digits: {source: builtin, name: digits, subset: {train: 200, test: 200}NOISE}}
models: {big: {family: mlp, hidden: [32]}, small: {family: mlp, hidden: [8]}}
recipes:
  short: {optimizer: sgd, lr: 0.1, batch: 20, epochs: 3}
  slow: {optimizer: sgd, lr: 0.05, batch: 20, epochs: 3}
"""
SETTING = "{dataset: digits, student: small, recipe: short, distill: {temperature: 4}, teacher: "
OWN = "settings:\n  own: " + SETTING + "big}\n"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan_with(text, seeds="[0, 1]", noise=""):
    parts = PARTS.replace("NOISE", noise)
    Path("study.yaml").write_text(f"study: own\nseeds: {seeds}\n{parts}{text}")
    return make_plan(load_study("study.yaml"))


def taught(teachers, teacher="t", **more):
    """Return a study with one setting that a trained teacher teaches."""
    words = "".join(f", {key}: {value}" for key, value in more.items())
    entry = f"  {teacher}: {{source: logits, files: {teachers}{words}}}\n"
    return f"teachers:\n{entry}settings:\n  it: {SETTING}{{external: {teacher}}}}}\n"


def save_teachers(noise=""):
    """Train two teachers and their students here; write the teachers as anybody's, shuffled."""
    plan = plan_with(OWN, noise=noise)
    run_in_process(plan)
    for seed, teacher in enumerate(plan.settings["own"].teachers):
        rng, arrays = np.random.default_rng(seed), {}
        with netCDF4.Dataset(f"results/logits/{teacher}.nc") as file:
            for split in ("train", "test"):
                order = rng.permutation(len(file[split]["example_id"]))
                arrays[split] = file[split]["logits"][...].data[order]
                arrays[f"{split}_example_id"] = file[split]["example_id"][...].data[order]
        np.savez(f"t{seed}.npz", **arrays)
    return plan


def analysis_of(plan, name):
    return read_analysis(read_manifest(Path(plan.jobs["confidence", f"own/{name}"].manifest)))


def weights_of(run):
    return load_file(f"results/runs/{run}/model.safetensors")


def assert_same_students(one, other):
    for a, b in zip(one, other, strict=True):
        first, second = weights_of(a), weights_of(b)
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("noise", ["", ", label_noise: {rate: 0.2}"])
def test_a_student_learns_the_same_whether_its_teacher_was_trained_here_or_elsewhere(noise):
    own = save_teachers(noise)
    theirs = plan_with(taught("[t0.npz, t1.npz]"), noise=noise)
    run_in_process(theirs)
    assert_same_students(own.settings["own"].students, theirs.settings["it"].students)
    # So all that is said of them is the same too.
    here, there = analysis_of(own, "own"), analysis_of(theirs, "it")
    for split in ("train", "test"):
        for number in ("value", "estimate", "low", "high", "examples"):
            np.testing.assert_allclose(
                here.splits[split][number], there.splits[split][number], rtol=1e-12
            )


def test_one_teacher_of_all_seeds_is_no_replicate_of_itself():
    save_teachers()
    plan = plan_with(taught("[t0.npz]"), "[0, 1, 2]")
    run_in_process(plan, EVERYTHING)
    claims = claims_of("test")
    for claim in ("exaggeration", "inheritance", "low_confidence_underfitting"):
        found = claims.loc[claim, "replicate"]
        assert found.remark == "there is no replicate"
        assert found.verdict == "undecided" and np.isnan(found.value)
    gain = claims.loc["accuracy_gain", ""]
    assert gain.seeds == 3 and np.isfinite(gain.low)
    assert len(set(plan.settings["it"].students)) == 3
    explorer = Path("results/own/explorer.html").read_text()
    assert '"replicate": null' in explorer or '"replicate":null' in explorer


def test_replicates_stand_beside_one_teacher_as_the_next_seed_does():
    """Seed 0 of two teachers, with one more: what is conditioned on the other one is the same."""
    own = save_teachers()
    plan = plan_with(taught("[t0.npz]", replicates="[t1.npz]"))
    run_in_process(plan)
    here, there = analysis_of(own, "own").splits, analysis_of(plan, "it").splits
    for split in ("train", "test"):
        first = here[split].value.sel(seed=0), there[split].value.sel(seed=0)
        np.testing.assert_allclose(*first, rtol=1e-12)
        # The student of seed 1 has teacher 0 too, so it is compared with teacher 1.
        other = there[split].value.sel(seed=1, statistic="exaggeration", model="student")
        assert np.isfinite(other.sel(subset="all"))


def test_names_of_teachers_and_places_of_files_are_in_no_id_and_bytes_are():
    save_teachers()
    before = plan_with(taught("[t0.npz, t1.npz]")).settings["it"].students
    assert plan_with(taught("[t0.npz, t1.npz]", "other")).settings["it"].students == before
    Path("moved").mkdir()
    for name in ("t0.npz", "t1.npz"):
        Path(name).rename(Path("moved", name))
    moved = "data_root: moved\n" + taught("[t0.npz, t1.npz]")
    assert plan_with(moved).settings["it"].students == before
    with np.load("moved/t1.npz") as arrays:
        np.savez("moved/t1.npz", **{**arrays, "train": arrays["train"] + 1})
    first, second = plan_with(moved).settings["it"].students
    assert first == before[0] and second != before[1]  # a student is of its own teacher alone
    assert plan_with("data_root: moved\n" + taught("[t0.npz]")).settings["it"].students[0] == first


def test_a_chain_may_begin_with_a_trained_teacher():
    save_teachers()
    chain = taught("[t0.npz, t1.npz]") + "  next: " + SETTING + "{setting: it}}\n"
    plan = plan_with(chain)
    assert plan.settings["next"].teachers == plan.settings["it"].students
    run_in_process(plan)
    about = analysis_of(plan, "next").about
    assert about["teacher"] == "student of it"
    # The figure of rounds joins both: they differ in nothing but the round and its teacher.
    (chain,) = sweeps._chains([analysis_of(plan, "it"), analysis_of(plan, "next")])
    assert [analysis.setting for analysis in chain.analyses] == ["it", "next"]


def test_a_sweep_may_vary_who_teaches():
    save_teachers()
    text = taught(TWO).replace("teachers:\n", "teachers:\n  u: {source: logits, files: [t1.npz]}\n")
    plan = plan_with(text + "sweeps:\n  by: {base: it, vary: {teacher.external: [t, u]}}\n")
    assert len(plan.settings) == 3
    (other,) = (name for name in plan.settings if name.endswith("u"))
    assert plan.settings[other].teachers == (plan.settings["it"].teachers[1],) * 2
    assert plan.settings[other].students[1] == plan.settings["it"].students[1]


def test_students_of_one_trained_teacher_at_several_temperatures_and_recipes_are_one_figure():
    save_teachers()
    other = SETTING.replace("temperature: 4", "temperature: 1").replace("short", "slow")
    plan = plan_with(taught(TWO) + f"  cold: {other}{{external: t}}}}\n")
    assert ("figure", "own/temperature") in plan.jobs


def test_every_page_and_command_says_that_the_teacher_was_trained_elsewhere(capsys):
    save_teachers()
    plan = plan_with(taught("[t0.npz, t1.npz]"))
    run_in_process(plan, EVERYTHING)
    assert ("train", plan.settings["it"].teachers[0]) not in plan.jobs
    report = Path("results/own/report.html").read_text()
    assert "<td>t (trained elsewhere)</td>" in report
    assert plan_of(["study.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "  it: t -> small on digits, T = 4, weight = 1\n" in printed
    assert "digits-teacher-" in printed
    assert status(["study.yaml"]) == 0
    assert prune(["study.yaml"]) == 0
    assert "results/compared/" not in capsys.readouterr().out


def test_a_classifier_in_a_folder_teaches():
    for seed in range(2):
        save_image_model(f"m{seed}", seed)
    plan = plan_with(
        "teachers:\n  hub: {source: huggingface, checkpoints: [{folder: m0}, {folder: m1}]}\n"
        f"settings:\n  it: {SETTING}{{external: hub}}}}\n"
    )
    run_in_process(plan)
    ids = plan.settings["it"].teachers
    assert [id.rpartition("-")[0] for id in ids] == ["digits-resnet"] * 2
    (spec,) = {
        json.loads(job.spec)["distill"]["teacher"]
        for (stage, key), job in plan.jobs.items()
        if stage == "train" and key == plan.settings["it"].students[0]
    }
    assert spec == ids[0]
    assert np.isfinite(analysis_of(plan, "it").number("agreement", "student")[0])


TWO = "[t0.npz, t1.npz]"
REFUSED = {
    "has 2, but seeds has 3 .*name one per seed, or one for all seeds": (
        taught(TWO), {"seeds": "[0, 1, 2]"},
    ),
    "there is no file": (taught("[t0.npz, t9.npz]"), {}),
    "t0.npz is named twice": (taught(TWO, replicates="[t0.npz]"), {}),
    "copy.npz has the same content as t0.npz": (taught("[t0.npz, copy.npz]"), {}),
    "test.npz contains test; a student learns": (taught("[test.npz]"), {}),
    "is also the name of a model": (taught(TWO, "small"), {}),
    "half.npz has 100 rows of train, but data set 'digits' has 200": (taught("[half.npz]"), {}),
    "there is no teacher 'y'; add it below teachers": (
        f"settings:\n  it: {SETTING}{{external: y}}}}\n", {},
    ),
    "a mapping cannot be varied as a whole": (
        taught(TWO) + "sweeps: {by: {base: it, vary: {teacher: [big, {external: t}]}}}\n", {},
    ),
    "has the same content as m0; name each model": (
        "teachers: {h: {source: huggingface, checkpoints: [{folder: m0}, {folder: m1}]}}\n"
        f"settings:\n  it: {SETTING}{{external: h}}}}\n", {},
    ),
    "nan.npz, train logits, row 0, class 0: is nan": (taught("[nan.npz]"), {}),
    "words.npz, train logits: holds <U1, where floating-point": (taught("[words.npz]"), {}),
    r"single.npz, train logits: has shape \(200,\), where": (taught("[single.npz]"), {}),
    "short.npz has 199 rows of train": (taught("[t0.npz, short.npz]"), {}),
    "there is no teacher 'x'; did you mean 't'|there is no teacher 'x'; known: t": (
        taught(TWO).replace("external: t}", "external: x}"), {},
    ),
    "there is no model 't'; for the one of teachers write {external: t}": (
        taught(TWO).replace("{external: t}", "t"), {},
    ),
    "is trained already; remove teacher_recipe": (
        taught(TWO).replace("recipe: short,", "recipe: short, teacher_recipe: short,"), {},
    ),
    "was trained elsewhere; write a model as teacher, or remove initialisation": (
        taught(TWO).replace("recipe: short,", "recipe: short, initialisation: teacher,"), {},
    ),
    "no network to run": (
        taught(TWO).replace("{temperature: 4}", "{temperature: 4, teacher: live}"), {},
    ),
    "is augmented, but the logits": (taught(TWO), {"noise": ", augment: {crop_padding: 1}"}),
    "has label noise, which checkpoints": (
        "teachers: {h: {source: huggingface, checkpoints: [{checkpoint: a/b}]}}\n"
        f"settings:\n  it: {SETTING}{{external: h}}}}\n",
        {"noise": ", label_noise: {rate: 0.1}"},
    ),
    "must be the same model; track a layer": (
        taught(TWO).replace("{external: t}}", "{external: t}, bias: {layers: [classifier]}}"),
        {"noise": ", centre: pixel"},
    ),
    "unknown key 'file'; did you mean 'files'": (taught(TWO).replace("files:", "file:"), {}),
    "it.teacher.trained: unknown key 'trained'; did you mean 'external'": (
        taught(TWO).replace("{external: t}", "{trained: t}"), {},
    ),
    "unknown key 'name'": (taught(TWO).replace("external: t}", "external: t, name: b}"), {}),
}  # fmt: skip


@pytest.fixture
def files():
    """Return logits as files hold them, of as many examples as the study has."""
    rng = np.random.default_rng(0)
    return [
        {split: rng.normal(size=(number, 10)) for split, number in (("train", 200), ("test", 200))}
        for _ in range(2)
    ]


@pytest.mark.parametrize("said", REFUSED)
def test_mistakes_are_named_before_anything_runs(said, files):
    for seed, arrays in enumerate(files):
        np.savez(f"t{seed}.npz", **arrays)
    for folder in ("m0", "m1"):
        save_image_model(folder, 0)
    np.savez("half.npz", **{split: array[:100] for split, array in files[0].items()})
    train = files[0]["train"]
    others = {"short": train[1:], "nan": train * np.nan, "words": np.full(train.shape, "a"),
              "single": train[:, 0]}  # fmt: skip
    for name, other in others.items():
        np.savez(f"{name}.npz", **files[0] | {"train": other})
    Path("copy.npz").write_bytes(Path("t0.npz").read_bytes())
    np.savez("test.npz", test=files[0]["test"])
    text, options = REFUSED[said]
    with pytest.raises(UserError, match=said) as refused:
        plan_with(text, **options)
    assert "study.yaml:" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: {k: v[:, :9] for k, v in a.items()}, "9 classes"),
        (lambda a: a | {"train_label": np.zeros(200, int)}, "differ"),
        (lambda a: a | {"train": a["train"] * np.nan}, "finite"),
    ],
)
def test_logits_that_do_not_fit_the_data_set_are_refused(change, said, files):
    np.savez("t0.npz", **change(files[0]))
    with pytest.raises(UserError, match=said):
        run_in_process(plan_with(taught("[t0.npz]")))


def test_one_teacher_under_other_bytes_is_refused():
    """It would be its own replicate; whatever the order of its rows, and however it is saved."""
    save_teachers()
    with np.load("t0.npz") as arrays:
        order = np.random.default_rng(5).permutation(200)
        again = {name: arrays[name][order if "train" in name else slice(None)] for name in arrays}
    np.savez_compressed("c0.npz", **again)
    for text in (taught("[t0.npz, c0.npz]"), taught("[t0.npz]", replicates="[c0.npz]")):
        with pytest.raises(UserError, match=r"hold the same train logits, so they are one teacher"):
            run_in_process(plan_with(text))


def test_rows_that_only_reading_can_count_are_refused_by_the_file_s_name():
    """If the data set drops rows, their number is known once it is read."""
    rng = np.random.default_rng(0)
    words = [f"{word} {k}" for k, word in enumerate(["no", "yes"] * 20)]
    for split, texts in (("train", ["", *words]), ("test", words)):
        label = [k % 2 for k in range(len(texts))]
        pd.DataFrame({"text": texts, "label": label}).to_csv(f"{split}.csv", index=False)
    np.savez("t0.npz", train=rng.normal(size=(41, 2)), test=rng.normal(size=(40, 2)))
    Path("study.yaml").write_text(
        "study: own\nseeds: [0]\ndatasets:\n  d: {source: files, name: d, train: train.csv, "
        "test: test.csv, columns: {text: text}, drop_empty: true, "
        "tokenizer: {vocabulary: 300, max_tokens: 8}}\n"
        "models: {m: {family: roberta, hidden: 8, layers: 1, heads: 1}}\n"
        "recipes: {r: {optimizer: adamw, lr: 1e-3, batch: 8, epochs: 1}}\n"
        "teachers: {t: {source: logits, files: [t0.npz]}}\n"
        "settings: {it: {dataset: d, teacher: {external: t}, student: m, recipe: r, "
        "distill: {temperature: 1}}}\n"
    )
    plan = make_plan(load_study("study.yaml"))
    with pytest.raises(UserError, match=r"t0\.npz, train logits: 41 examples, but d-\w+, .*has 40"):
        run_in_process(plan)


def test_rows_without_ids_are_taken_in_the_data_set_s_order_and_the_log_says_so(files, capsys):
    np.savez("t0.npz", **files[0])
    plan = plan_with(taught("[t0.npz]"))
    run_in_process(plan)
    assert "without ids, taken to be in the order of digits-" in capsys.readouterr().err
    store = next(store_of(job.manifest) for job in plan.jobs.values() if job.stage == "compared")
    with netCDF4.Dataset(store) as file:
        found = file["train"]["teacher_0"][...].data
    np.testing.assert_array_equal(found, files[0]["train"].astype(np.float32))
