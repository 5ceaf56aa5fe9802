"""The jobs of a study, and the changes that change their ids."""

import json
import re
from pathlib import Path

import pytest

from disobey.errors import UserError
from disobey.stores.layout import store_of
from disobey.strict import spec_of
from disobey.study import jobs
from disobey.study import runs as shared_runs
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.recipes import DISTILL, Recipe

SHARED_STAGES = ("prepare", "labels", "train", "dump")


@pytest.fixture
def plan(study):
    return lambda *edits: make_plan(study(*edits))


@pytest.fixture
def runs(plan):
    """Return the runs of the setting ``self`` in a changed study."""

    def of(*edits, setting="self"):
        return plan(*edits).settings[setting]

    return of


def specs(planned, stage):
    """Return all specs of a stage by their keys."""
    return {key: json.loads(job.spec) for (kind, key), job in planned.jobs.items() if kind == stage}


TO_IMAGES = (
    ("    teacher: roberta", "    teacher: wide"),
    ("    student: roberta", "    student: wide"),
)

# --- what an id is made of ------------------------------------------------------------------


@pytest.mark.parametrize("words", ["gpus: 2", "gpus: 1", "device: cuda"])
def test_where_and_by_how_many_a_study_is_trained_changes_no_job(plan, words):
    assert plan(("study: small", f"study: small\n{words}")).jobs == plan().jobs


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{optimizer: sgd, lr: 0.05, momentum: 0.9,", "{lr: 0.05, momentum: 0.9, optimizer: sgd,"),
        ("    teacher: mlp\n    student: mlp\n", "    student: mlp\n    teacher: mlp\n"),
        ("{temperature: 4, weight: 0.5}", "{weight: 0.5, temperature: 4}"),
        ("lr: 0.05", "lr: 5e-2"),
        ("temperature: 4", "temperature: 4.0"),
        ("mlp, hidden: [8]", "mlp, hidden: [8], initialisation: null"),
        ("epochs: 2", "epochs: 2, nesterov: false"),
        ("epochs: 2", "epochs: 2, batch: 128"),  # the default
        ("epochs: 2", "epochs: 2, label_smoothing: null"),
        ("epochs: 2", "epochs: 2, weight_decay: 0"),
        ("epochs: 2", "epochs: 2, steps: null, warmup: 0, milestones: null"),
        ("recipe: image", "recipe: image\n    teacher_recipe: image"),
        ("study: small", "study: other\ndevice: cpu"),
        ("resamples: 100", "resamples: 200"),
    ],
)
def test_id_is_the_same_however_the_same_run_is_written(runs, old, new):
    assert runs((old, new)) == runs()


def test_id_does_not_know_the_names_in_the_study(base, study_file):
    renamed = base
    for old, new in [("noisy", "dirty"), ("mlp", "net"), ("image", "quick"), ("self", "twin")]:
        renamed = re.sub(rf"(?<!family: )\b{old}\b", new, renamed)
    assert "  net: {family: mlp" in renamed
    assert "dataset: dirty\n    teacher: net\n    student: net\n    recipe: quick" in renamed
    before = make_plan(load_study(study_file()))
    after = make_plan(load_study(study_file(text=renamed)))
    assert after.settings["twin"] == before.settings["self"]


TEACHERS, REFERENCES, STUDENTS = "teachers", "references", "students"
ALL = {TEACHERS, REFERENCES, STUDENTS}


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("temperature: 4", "temperature: 2", {STUDENTS}),
        ("weight: 0.5", "weight: 0.25", {STUDENTS}),
        ("lr: 0.05", "lr: 0.1", ALL),
        ("epochs: 2", "epochs: 3", ALL),
        ("epochs: 2", "steps: 24", ALL),
        ("epochs: 2", "epochs: 2, warmup: {epochs: 1}", ALL),
        ("epochs: 2", "epochs: 2, warmup: {steps: 1}", ALL),
        ("epochs: 2", "epochs: 2, batch: 64", ALL),
        ("epochs: 2", "epochs: 2, nesterov: true", ALL),
        ("mlp, hidden: [8]", "mlp, hidden: [9]", ALL),
        ("mlp, hidden: [8]", "mlp, hidden: [8, 8]", ALL),
        ("mlp, hidden: [8]", "mlp, hidden: []", ALL),
        ("mlp, hidden: [8]", "mlp, hidden: [8], initialisation: glorot_uniform", ALL),
        ("rate: 0.2", "rate: 0.3", ALL),
        ("seed: 7", "seed: 8", ALL),
        ("    label_noise: {rate: 0.2, seed: 7}\n", "", ALL),
        ("    teacher: mlp", "    teacher: wide", {TEACHERS, STUDENTS}),
        ("    student: mlp", "    student: wide", {REFERENCES, STUDENTS}),
        (
            "recipe: image",
            "recipe: image\n    teacher_recipe: text",
            {TEACHERS, STUDENTS},
        ),
        ("seeds: [0, 1]", "seeds: [2, 3]", ALL),
    ],
)
def test_a_change_moves_the_ids_of_what_it_changes(runs, old, new, moved):
    before, after = runs(), runs((old, new))
    for role in ALL:
        shared = set(getattr(before, role)) & set(getattr(after, role))
        assert not shared if role in moved else len(shared) == 2, role


def test_two_values_that_change_places_move_the_id(runs):
    # Snakemake compares params as a set without names; an id of only values would not change either
    one = runs(("temperature: 4, weight: 0.5", "temperature: 1.0, weight: 0.5"))
    other = runs(("temperature: 4, weight: 0.5", "temperature: 0.5, weight: 1.0"))
    assert not set(one.students) & set(other.students)
    assert one.references == other.references


def test_tokenizer_moves_data_and_runs(plan):
    before, after = plan(), plan(("max_tokens: 16", "max_tokens: 8"))
    moved = {key for stage, key in before.jobs.keys() - after.jobs.keys() if stage == "prepare"}
    assert len(moved) == 1
    assert moved.pop().startswith("cldr-langid-")
    assert not set(before.settings["langid"].all()) & set(after.settings["langid"].all())
    assert before.settings["self"] == after.settings["self"]


def test_a_new_seed_leaves_the_runs_of_the_old_seeds(runs):
    before, after = runs(), runs(("seeds: [0, 1]", "seeds: [1, 2, 0]"))
    for role in ALL:
        assert set(getattr(before, role)) < set(getattr(after, role))


def test_id_ends_with_the_hash_of_its_own_spec(plan):
    from hashlib import sha256

    for job in plan().jobs.values():
        if job.stage in ("prepare", "labels", "train"):
            assert job.key.endswith("-" + sha256(job.spec.encode()).hexdigest()[:12])


def test_a_new_option_that_is_off_changes_no_spec():
    class Later(Recipe):
        x: int | None = None
        y: bool = False

    values = {"optimizer": "sgd", "lr": 0.1, "epochs": 1}
    assert spec_of(Later(**values)) == spec_of(Recipe(**values))
    assert spec_of(Later(**values, x=3)) == spec_of(Recipe(**values)) | {"x": 3}


def test_a_recipe_in_epochs_and_shares_has_the_spec_that_it_always_had():
    """The spec is written out, because existing ids were made from it."""
    given = {
        "optimizer": "sgd", "lr": 0.1, "epochs": 40, "batch": 64, "schedule": "steps",
        "warmup": 0.1, "milestones": [0.5, 0.75],
    }  # fmt: skip
    assert spec_of(Recipe(**given)) == given


def test_a_recipe_in_other_units_has_them_in_its_spec():
    given = {
        "optimizer": "sgd", "lr": 0.1, "steps": 25000, "batch": 64, "schedule": "steps",
        "warmup": {"steps": 1000}, "milestones": {"epochs": [3, 5]},
    }  # fmt: skip
    assert spec_of(Recipe.model_validate(given)) == given


def test_figures_are_told_how_long_a_training_is_as_its_recipe_says_it(plan):
    planned = plan(("epochs: 2", "steps: 25"))
    about = specs(planned, "confidence")["small/self"]["about"]
    assert about["steps"] == 25 and "epochs" not in about
    assert specs(plan(), "confidence")["small/self"]["about"]["epochs"] == 2


def test_the_last_weights_of_a_training_in_steps_have_a_place_among_its_snapshots(plan):
    """1,442 training images in batches of 128 are 12 steps."""
    planned = plan(
        ("epochs: 2", "steps: 25, snapshots: [1, 2]"),
        ("distill: {temperature: 4", "over_training: true\n    distill: {temperature: 4"),
    )
    found = {key: spec["about"] for key, spec in specs(planned, "confidence").items()}
    assert [found[f"small/self@{epoch}"]["epoch"] for epoch in (1, 2)] == [1, 2]
    assert found["small/self"]["epochs"] == pytest.approx(25 / 12, abs=1e-3)


def test_zero_is_not_off():
    class Later(DISTILL["kl"]):
        switch_point: float | None = None

    assert spec_of(Later(temperature=1, weight=0.0, switch_point=0.0)) == {
        "temperature": 1.0,
        "weight": 0.0,
        "switch_point": 0.0,
    }


def test_name_of_a_deep_network_fits_a_file_name(plan):
    deep = ", ".join(100 * ["256"])
    planned = plan(("mlp, hidden: [8]", f"mlp, hidden: [{deep}]"))
    temporary = [
        f".{store_of(name).rpartition('/')[2]}.json.4194304.tmp" for name in planned.manifests()
    ]
    assert max(map(len, temporary)) <= 255


def test_noisy_and_clean_labels_share_their_data(plan):
    planned = plan(("    dataset: words", "    dataset: digits"), *TO_IMAGES)
    assert [key.partition("-")[0] for key in specs(planned, "prepare")] == ["digits"]
    assert len(specs(planned, "labels")) == 1


def test_random_features_are_made_once_for_all_that_read_them(plan):
    features = "    label_noise: {rate: 0.2, seed: 7}\n"
    with_features = f"{features}    features: {{kind: random_relu, number: 20}}\n"
    before, after = plan(), plan((features, with_features))
    (made,) = specs(after, "prepare").keys() - specs(before, "prepare").keys()
    assert specs(after, "prepare")[made]["features"] == {
        "kind": "random_relu", "number": 20, "seed": 0, "scale": 0.3,
    }  # fmt: skip
    assert "disobey.data.random_features" in after.jobs["prepare", made].roots
    assert not any("random_features" in str(job.roots) for job in before.jobs.values())
    train, runs = specs(after, "train"), after.settings["self"].all()
    assert {train[run]["data"] for run in runs} == {made}
    assert after.sizes[made].shape.inputs == (20,)
    assert after.sizes[made].input_bytes == (1442 + 355) * 20 * 4
    assert specs(after, "confidence")["small/self"]["about"]["features"]["number"] == 20


# --- seeds ----------------------------------------------------------------------------------


def test_students_never_share_a_seed_with_a_teacher(plan):
    planned = plan(("seeds: [0, 1]", "seeds: [0, 1, 999999]"))
    train = specs(planned, "train")

    def seeds(role):
        return {
            train[run]["seeds"]["initialisation"]
            for setting in planned.settings.values()
            for run in getattr(setting, role)
        }

    assert len(seeds(TEACHERS)) == 3
    assert not seeds(TEACHERS) & seeds(STUDENTS)
    assert seeds(REFERENCES) == seeds(STUDENTS)


def test_reference_is_its_student_without_the_teacher(plan):
    planned = plan()
    train = specs(planned, "train")
    for setting in planned.settings.values():
        for reference, student in zip(setting.references, setting.students, strict=True):
            without = {key: value for key, value in train[student].items() if key != "distill"}
            assert train[reference] == without


def test_student_reads_the_teacher_of_its_own_seed(plan):
    planned = plan()
    train = specs(planned, "train")
    for setting in planned.settings.values():
        assert [train[run]["distill"]["teacher"] for run in setting.students] == list(
            setting.teachers
        )


def test_a_student_may_start_where_its_teacher_started_and_so_do_its_controls(plan):
    bias = "bias: {layers: [hidden_1], pairs: {}}"
    more = f"    initialisation: teacher\n    {bias}\n    distill: {{temperature: 4, weight: 0.5}}"
    still = "{optimizer: sgd, lr: 0.05, epochs: 2}"
    sgd = "{optimizer: sgd, lr: 0.05, momentum: 0.9, epochs: 2}"
    planned = plan(("    distill: {temperature: 4, weight: 0.5}", more), (sgd, still))
    train, chosen = specs(planned, "train"), planned.settings["self"]
    assert specs(planned, "confidence")["small/self"]["about"]["initialisation"] == "teacher"
    others = [chosen.references, chosen.students, *chosen.placebos.values()]
    assert len(others) > 4
    orders = set()
    for index, teacher in enumerate(chosen.teachers):
        begun = train[teacher]["seeds"]
        for runs_of_role in others:
            run = train[runs_of_role[index]]
            assert run["model"] == train[teacher]["model"]
            assert run["seeds"]["initialisation"] == begun["initialisation"]
            assert run["seeds"]["order"] not in (begun["order"], *orders)
        orders |= {train[ids[index]]["seeds"]["order"] for ids in others}
    assert not set(chosen.teachers) & set(chosen.references)


def test_no_reference_of_a_self_distillation_is_its_teacher(runs):
    chosen = runs()
    assert not set(chosen.teachers) & set(chosen.references)


# --- jobs and their inputs ------------------------------------------------------------------

COLDER = """\
  colder:
    dataset: noisy
    teacher: mlp
    student: mlp
    recipe: image
    distill: {temperature: 1}
"""


def test_equal_runs_are_one_job_however_many_settings_use_them(plan):
    planned = plan(("settings:\n", f"settings:\n{COLDER}"))
    one, other = planned.settings["self"], planned.settings["colder"]
    assert one.teachers == other.teachers
    assert one.references == other.references
    assert not set(one.students) & set(other.students)
    # two seeds of teacher, reference, two students; two of teacher, reference, student
    assert len(specs(planned, "train")) == len(specs(planned, "dump")) == 2 * 4 + 2 * 3


def test_adding_a_setting_leaves_all_other_jobs_as_they_were(plan):
    before, after = plan(), plan(("settings:\n", f"settings:\n{COLDER}"))
    everything = json.dumps({"settings": list(before.settings)}, separators=(",", ":")).strip("{}")
    # of all settings, or of all noisy ones: every figure of this study
    aggregates = {key for key, job in before.jobs.items() if everything in job.spec}
    aggregates |= {("figure", "small/noise"), ("figure", "small/mislabelled")}
    kept = {key: job for key, job in before.jobs.items() if key not in aggregates}
    assert {job.stage for job in kept.values()} == {*SHARED_STAGES, "confidence"}
    assert {key: after.jobs.get(key) for key in kept} == kept


def test_only_tables_that_read_biases_depend_on_them():
    planned = make_plan(load_study(Path(__file__).parents[2] / "config.yaml"))
    tables = {key.split("/")[1]: job for (stage, key), job in planned.jobs.items()
              if stage == "table"}  # fmt: skip
    depending = {name for name, job in tables.items() if any("/bias/" in i for i in job.inputs)}
    assert depending == {"bias", "claims", "summary", "all"}
    assert {name for name, job in tables.items() if "bias" in json.loads(job.spec)} == depending


def test_every_input_is_made_by_an_earlier_job(plan):
    made = set()
    for job in plan().jobs.values():
        assert set(job.inputs) <= made, f"{job.stage} {job.key}"
        made.add(job.manifest)


def test_no_two_jobs_write_the_same_manifest(plan):
    manifests = plan().manifests()
    assert len(set(manifests)) == len(manifests)


def test_every_job_leads_to_the_report(plan):
    jobs = {job.manifest: job for job in plan().jobs.values()}
    waiting = [job.manifest for job in jobs.values() if job.stage == "report"]
    reached = set()
    while waiting:
        manifest = waiting.pop()
        reached.add(manifest)
        waiting += jobs[manifest].inputs
    assert reached == jobs.keys()


def test_the_explorer_reads_logits_and_data_of_the_settings_and_nothing_else(plan):
    planned = plan()
    job = next(job for job in planned.jobs.values() if job.stage == "explorer")
    runs = {
        run
        for of in planned.settings.values()
        for run in (*of.teachers, *of.references, *of.students)
    }
    data = {key for stage, key in planned.jobs if stage == "prepare"}
    analyses = {job.manifest for job in planned.jobs.values() if job.stage == "confidence"}
    expected = {f"results/logits/{run}.nc.json" for run in runs} | analyses
    assert set(job.inputs) == expected | {f"results/data/{name}.nc.json" for name in data}
    assert json.loads(job.spec).keys() == {"study", "settings", "seeds"}


def test_every_store_that_a_spec_names_is_an_input(plan):
    planned = plan()
    shared = {key for stage, key in planned.jobs if stage in SHARED_STAGES}
    for job in planned.jobs.values():
        if job.stage in SHARED_STAGES:
            named = {key for key in shared if f'"{key}"' in job.spec}
            given = {store_of(path).rpartition("/")[2].removesuffix(".nc") for path in job.inputs}
            assert named == given, f"{job.stage} {job.key}"


def test_a_job_counts_only_the_code_that_its_spec_names(plan):
    planned = plan()
    jobs = planned.jobs
    for run in planned.settings["self"].students:
        assert jobs["train", run].roots == (
            "disobey.stages.train:run",
            "disobey.models.mlp",
            "disobey.training.losses:kl",
            "disobey.training.teachers:stored_logits",
        )
        assert jobs["dump", run].roots == ("disobey.stages.dump:run", "disobey.models.mlp")
    for run in planned.settings["langid"].references:
        assert jobs["train", run].roots == (
            "disobey.stages.train:run",
            "disobey.models.roberta",
        )


def test_a_job_whose_command_would_be_too_long_is_refused(plan, monkeypatch):
    longest = max(job.command_bytes for job in plan().jobs.values())
    monkeypatch.setattr(jobs, "LONGEST_COMMAND", longest)
    plan()
    monkeypatch.setattr(jobs, "LONGEST_COMMAND", longest - 1)
    with pytest.raises(UserError, match=rf"{longest} bytes, over {longest - 1}; split the study"):
        plan()


def test_a_thousand_settings_of_five_seeds_fit_into_their_commands(study):
    """Commands that read all of them get 400 kB by standard input."""
    temperatures = ", ".join(f"{1 + i / 100:g}" for i in range(1000))
    sweep = f"sweeps:\n  t: {{base: self, vary: {{distill.temperature: [{temperatures}]}}}}\n"
    planned = make_plan(
        study(("seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]"), ("analysis:", f"{sweep}analysis:"))
    )
    assert len(planned.settings) >= 1000
    read = {stage: 0 for stage, _ in planned.jobs}
    for job in planned.jobs.values():
        read[job.stage] = max(read[job.stage], len(" ".join((job.spec, *job.inputs))))
    assert read["explorer"] > 400_000 and read["report"] > 80_000
    others = set(read) - {"table", "figure", "explorer", "report"}
    assert max(read[stage] for stage in others) < 4000


def test_more_files_than_a_command_line_names_are_refused(plan, tmp_path):
    """Hundreds of files with long names for one data set would be too long for a rule's command."""
    mine = "mine: {source: files, name: m, train: '%s', test: '%s', columns: {text: a}}"
    for number in range(250):
        (tmp_path / f"{number:0200}.csv").write_text("a,label\nword,0\n")
    edits = [("datasets:\n", f"datasets:\n  {mine % (2 * ('*.csv',))}\n"), *TO_IMAGES]
    root = ("study: small", f"study: small\ndata_root: {tmp_path}")
    text = ("    dataset: words", "    dataset: mine")
    with pytest.raises(UserError, match=r"'mine' is 500 files, .* command line .*; join them"):
        plan(root, edits[0], text)


def test_two_specs_of_one_id_are_refused(plan, monkeypatch):
    two = ("settings:\n", f"settings:\n{COLDER}"), ("temperature: 1", "temperature: 4")
    assert plan(*two)
    monkeypatch.setattr(shared_runs, "spec_id", lambda prefix, spec: f"{prefix}-00000000")
    with pytest.raises(UserError, match="two different jobs are both called train"):
        plan(*two)
