"""Profiles match the rules; Snakemake would silently ignore misspelt names in them."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from disobey import workflow as bridge
from disobey.errors import UserError
from disobey.gpus import PLACES, Listing
from disobey.study.resources import RUN_A_MODEL

from . import forked
from .conftest import NO_SLURM, PATIENCE, REPOSITORY

SHIPPED = {name: REPOSITORY / f"profiles/{name}/profile.yaml" for name in ("default", "slurm")}
SITE = REPOSITORY / "profiles/slurm/site.example.yaml"
# Every resource of a rule: those of Snakemake, of the SLURM plugin, and of our shell lines.
RESOURCES = {
    "mem_mb", "runtime", "turn", "gpu", "nodes", "slurm_extra", "python", "launcher", "device",
    "files", "source", "study_file",
}  # fmt: skip
OF_A_SITE = {
    "longest_runtime",
    "slurm_account",
    "slurm_partition",
    "gpu_model",
    "gres",
    "qos",
    "constraint",
    "clusters",
}


def read(path):
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def options():
    """Every long option of Snakemake and its plugins; the SLURM plugin calls SLURM on import."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NO_SLURM.items():
            patch.setenv(name, value)
        from snakemake.cli import get_argument_parser

        parser = get_argument_parser()
    return {
        word.removeprefix("--")
        for action in parser._actions
        for word in action.option_strings
        if word.startswith("--")
    }


def dry_run_of(study, profile, *words, **environment):
    """Dry-run a study in its own folder, without submitting jobs and without SLURM."""
    with tempfile.TemporaryDirectory() as folder:
        return forked.run(
            "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
            "--dry-run", "--configfile", str(study),
            "--workflow-profile", str(REPOSITORY / "profiles" / profile), *words,
            folder=Path(folder), environment=os.environ | NO_SLURM | environment, timeout=PATIENCE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def dry_run():
    """Return the output of a dry run on SLURM."""
    done = dry_run_of(REPOSITORY / "config.yaml", "slurm")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules_of(printed):
    """Return ``(rule, resources)`` of every job that a dry run prints."""
    blocks = re.findall(r"^ *rule (\w+):\n((?: +\w+: .*\n)+)", printed, re.M)  # some in groups
    return [
        (rule, dict(re.findall(r"(\w+)=([^,\n]+)", found[1])))
        for rule, text in blocks
        if (found := re.search(r"resources: (.+)", text))
    ]


@pytest.mark.parametrize("path", [*SHIPPED.values(), SITE], ids=lambda path: path.parent.name)
def test_every_key_is_an_option_of_snakemake(path, options):
    assert set(read(path)) <= options


@pytest.mark.parametrize(("given", "minutes"), [(None, 24 * 60), ("720", 720), ("12h", None)])
def test_the_site_says_how_long_a_job_may_be(given, minutes):
    from snakemake.resources import Resources

    words = ["slurm_partition=gpu", *([] if given is None else [f"longest_runtime={given}"])]
    settings = SimpleNamespace(default_resources=Resources.parse(words, allow_expressions=True))
    site = SimpleNamespace(resource_settings=settings)
    if minutes is None:
        with pytest.raises(UserError, match=r"longest_runtime: 12h .*write longest_runtime: 720"):
            bridge.longest_minutes(site)
    else:
        assert bridge.longest_minutes(site) == minutes
    nothing = SimpleNamespace(resource_settings=SimpleNamespace(default_resources=None))
    assert bridge.longest_minutes(nothing) == 24 * 60


def test_what_the_default_profile_says_stands_in_the_slurm_profile_too():
    default, slurm = read(SHIPPED["default"]), read(SHIPPED["slurm"])
    assert {key: slurm.get(key) for key in default} == default


@pytest.mark.parametrize("name", SHIPPED)
def test_rules_that_a_profile_names_exist(name, dry_run):
    profile, rules = read(SHIPPED[name]), {rule for rule, _ in rules_of(dry_run)}
    for key in ("set-threads", "set-resources", "groups"):
        assert set(profile.get(key, {})) <= rules
    for resources in profile.get("set-resources", {}).values():
        assert set(resources) <= RESOURCES | OF_A_SITE


def test_the_shipped_slurm_profile_holds_nothing_of_a_site_and_no_cap_on_gpus():
    text = SHIPPED["slurm"].read_text()
    keys = "\n".join(line.partition("#")[0] for line in text.splitlines())
    assert not re.search(r"account|partition|qos|constraint", keys)
    assert not {"resources", "slurm-efficiency-report"} & set(read(SHIPPED["slurm"]))


def test_the_example_names_what_a_site_fills_in_and_all_of_it_is_known():
    text = SITE.read_text()
    named = set(re.findall(r"^[ #]+(\w+): \"'", text, re.M))
    assert {"slurm_account", "slurm_partition", "gpu_model", "gres"} <= named <= OF_A_SITE
    commented = text[text.index("# set-resources:") :].partition("\n\n")[0]
    by_rule = yaml.safe_load(re.sub("^# ", "", commented, flags=re.M))["set-resources"]
    assert set(by_rule) == set(RUN_A_MODEL)
    # As a default resource it would request a GPU for jobs without one.
    assert "gpu_model" not in read(SITE)["default-resources"]


def test_each_job_asks_for_known_resources_alone(dry_run):
    jobs = rules_of(dry_run)
    assert len(jobs) > 50
    from_snakemake = {"tmpdir", "mem", "mem_mib", "disk", "disk_mb", "disk_mib"}
    for rule, resources in jobs:
        assert set(resources) <= RESOURCES | from_snakemake, rule
        if rule != "all":
            assert {"mem_mb", "runtime", "python"} <= set(resources), rule


def test_gpus_nodes_and_the_signal_are_asked_for_where_models_run(dry_run):
    for rule, resources in rules_of(dry_run):
        runs_a_model = rule in ("basis", "train", "dump", "views")
        assert (resources.get("gpu"), resources.get("nodes")) == (
            ("1", "1") if runs_a_model else (None, None)
        ), rule
        assert resources.get("slurm_extra") == (
            "--signal=USR1@60" if rule in ("train", "dump") else None  # which share a group
        )


@pytest.mark.parametrize(
    ("device", "on_cluster", "seen", "expected"),
    [
        ("cpu", True, True, 0),
        ("cpu", False, True, 0),
        ("cuda", True, False, 1),
        ("cuda", False, False, 1),
        ("auto", True, False, 1),
        ("auto", False, True, 1),
        ("auto", False, False, 0),
    ],
)
def test_how_many_gpus_a_job_asks_for(device, on_cluster, seen, expected, monkeypatch):
    monkeypatch.setattr(bridge, "_sees_gpu", lambda: seen)
    assert bridge.gpus_of_a_job(device, on_cluster=on_cluster) == expected


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_gpu_that_is_hidden_is_not_asked_for(hidden, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(bridge.glob, "glob", lambda pattern: ["/dev/nvidia0"])
    assert not bridge._sees_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert bridge._sees_gpu()


def test_more_gpus_than_there_are_are_refused_with_what_to_write():
    for wanted, seen in ((1, 1), (1, 0), (2, 2), (2, 4), (2, None)):
        bridge.check_gpus(wanted, seen)
    for seen, instead in ((0, 1), (1, 1), (3, 3)):
        words = f"gpus: 4, but a job sees {seen} here; write gpus: {instead}, let it see more"
        with pytest.raises(UserError, match=words):
            bridge.check_gpus(4, seen)


SMALL = {"optimizer": "sgd", "lr": 0.1, "epochs": 1, "batch": 128}


def counted(monkeypatch, tmp_path, *, cards, given=None, gpus=1, jobs_per_gpu=None, batch=128):
    """Return the jobs of a study of a small network, and Snakemake's value of ``gpu``."""
    from snakemake.resources import Resources

    from disobey.study.models import Study
    from disobey.study.plan import make_plan

    sides = {"dataset": "d", "teacher": "m", "student": "m", "recipe": "r"}
    study = Study.model_validate({
        "study": "s", "seeds": [0], "device": "cuda", "gpus": gpus, "jobs_per_gpu": jobs_per_gpu,
        "datasets": {"d": {"source": "builtin", "name": "mnist5k"}},
        "models": {"m": {"family": "cifar_resnet", "depth": 20}},
        "recipes": {"r": SMALL | {"batch": batch}},
        "settings": {"a": sides | {"distill": {"temperature": 4}}},
    })  # fmt: skip
    monkeypatch.setattr(bridge, "listing", lambda: cards)
    resources = Resources.from_mapping({} if given is None else {"gpu": given})
    workflow = SimpleNamespace(
        remote_exec=False,
        resource_settings=SimpleNamespace(nodes=None),
        global_resources=resources,
        register_resource=resources.__setitem__,
    )
    jobs = bridge.Jobs(study, make_plan(study), "python", gpu=1)
    bridge.count_cards(workflow, jobs)
    return jobs, resources["gpu"].value


def places_of(jobs, stage="train"):
    key = next(key for kind, key in jobs.plan.jobs if kind == stage)
    return jobs.gpus(stage)(key.split("/"))


@pytest.mark.parametrize(
    ("cards", "given", "expected"),
    [
        (Listing(8, 81559), None, 8),
        (Listing(8, 81559), 2, 2),
        (Listing(None), None, 1),  # only torch could count them
        (Listing(None), 4, 4),
    ],
)
def test_gpus_are_counted_unless_the_command_line_says_how_many_to_use(
    cards, given, expected, monkeypatch, tmp_path
):
    assert counted(monkeypatch, tmp_path, cards=cards, given=given)[1] == PLACES * expected


@pytest.mark.parametrize("given", [0, -1, 3, "two"])
def test_more_gpus_than_there_are_or_none_at_all_are_refused(given, monkeypatch, tmp_path):
    words = f"--resources gpu={given}: this machine shows 2 GPUs; write gpu=2, or leave it out"
    with pytest.raises(UserError, match=words):
        counted(monkeypatch, tmp_path, cards=Listing(2, 81559), given=given)


def test_a_cap_below_what_a_training_takes_is_refused(monkeypatch, tmp_path):
    """Snakemake would reduce the request of the training, but still start it on two GPUs."""
    words = "gpus: 2, but --resources gpu=1 lets a training use 1; write gpus: 1, or a larger gpu="
    with pytest.raises(UserError, match=words):
        counted(monkeypatch, tmp_path, cards=Listing(4, 81559), gpus=2, given=1)


@pytest.mark.parametrize(
    ("changes", "sharing"),
    [
        ({}, 4),
        ({"batch": 2048}, 1),  # one training keeps the GPU busy
        ({"cards": Listing(1, 5000)}, 2),
        ({"cards": Listing(1, 2000)}, 1),
        ({"cards": Listing(1, 81559, shareable=False)}, 1),
        ({"jobs_per_gpu": 1}, 1),
        ({"jobs_per_gpu": 8, "batch": 2048}, 8),
    ],
)
def test_small_trainings_share_a_gpu(changes, sharing, monkeypatch, tmp_path):
    jobs, _ = counted(monkeypatch, tmp_path, **{"cards": Listing(1, 81559)} | changes)
    assert places_of(jobs) == PLACES // sharing


def test_a_training_on_two_gpus_takes_them_whole(monkeypatch, tmp_path):
    jobs, _ = counted(monkeypatch, tmp_path, cards=Listing(4, 81559), gpus=2)
    assert (places_of(jobs), places_of(jobs, "dump")) == (2 * PLACES, PLACES // 4)


def test_sharing_is_refused_where_the_driver_gives_a_gpu_to_one_process(monkeypatch, tmp_path):
    cards = Listing(1, 81559, shareable=False)
    with pytest.raises(UserError, match="start NVIDIA's MPS, or write jobs_per_gpu: 1"):
        counted(monkeypatch, tmp_path, cards=cards, jobs_per_gpu=4)


def test_rules_hand_a_job_its_places(tmp_path):
    path = tmp_path / "study.yaml"
    text = (REPOSITORY / "tests/workflow/tiny.yaml").read_text()
    path.write_text(re.sub("^device: cpu", "device: cuda\njobs_per_gpu: 1", text, flags=re.M))
    words = ("--cores", "8", "--printshellcmds")
    done = dry_run_of(path, "default", *words, CUDA_VISIBLE_DEVICES="0,1")
    assert done.returncode == 0, done.stdout + done.stderr
    trainings = [resources for rule, resources in rules_of(done.stdout) if rule == "train"]
    assert {resources["gpu"] for resources in trainings} == {str(PLACES)}
    lines = re.findall(r"^Shell command: .+ -m disobey train .+$", done.stdout, re.M)
    assert len(lines) == len(trainings)
    assert all(f" --places {PLACES} " in line for line in lines)


@pytest.fixture
def study_of_two_gpus(tmp_path):
    path = tmp_path / "study.yaml"
    text = (REPOSITORY / "tests/workflow/tiny.yaml").read_text()
    path.write_text(re.sub("^device: cpu", "device: cuda\ngpus: 2", text, flags=re.M))
    return path


def test_a_training_asks_for_the_gpus_the_study_says_and_starts_as_many_processes(
    study_of_two_gpus,
):
    done = dry_run_of(study_of_two_gpus, "slurm", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    gpus = {(rule, resources["gpu"]) for rule, resources in rules_of(done.stdout)
            if "gpu" in resources}  # fmt: skip
    assert gpus == {("train", "2"), ("dump", "1"), ("views", "1"), ("basis", "1")}
    lines = re.findall(r"^Shell command: (.+ -m disobey (\w+) .+)$", done.stdout, re.M)
    assert len(lines) > 10
    for line, stage in lines:
        started = re.search(r"-m torch.distributed.run --standalone .*--nproc-per-node (\d) ", line)
        assert (started and started[1]) == ("2" if stage == "train" else None)


def test_a_machine_that_shows_one_gpu_refuses_a_training_on_two(study_of_two_gpus):
    done = dry_run_of(study_of_two_gpus, "default", CUDA_VISIBLE_DEVICES="0")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "gpus: 2, but a job sees 1 here; write gpus: 1" in said and "Traceback" not in said


def test_a_training_on_two_gpus_asks_for_twice_the_memory(study_of_two_gpus, tmp_path):
    from disobey.study.loader import load_study
    from disobey.study.plan import make_plan

    two = load_study(study_of_two_gpus)
    one = two.model_copy(update={"gpus": 1})
    plan = make_plan(two)
    for stage, key in plan.jobs:
        asked = [
            bridge.Jobs(study, plan, "python", gpu=1).memory(stage)(key.split("/"), 1)
            for study in (one, two)
        ]
        assert asked[1] == (2 if stage == "train" else 1) * asked[0]


@pytest.mark.parametrize(("gpu", "gpus", "processes"), [(0, 2, 1), (1, 1, 1), (1, 2, 2)])
def test_a_launcher_is_there_for_several_processes_only(gpu, gpus, processes, tmp_path):
    jobs = bridge.Jobs(SimpleNamespace(gpus=gpus), None, "python", gpu=gpu)
    assert (jobs.processes, jobs.gpus("train")(())) == (processes, gpu * gpus)
    assert bool(jobs.launcher) == (processes > 1)


def test_processes_meet_where_the_name_of_the_machine_has_no_address(tmp_path):
    """Otherwise they would wait for each other until the time limit."""
    code = "import socket; socket.getfqdn = lambda name='': 'node.invalid'"
    (tmp_path / "sitecustomize.py").write_text(code)
    (tmp_path / "where.py").write_text("import os; print(os.environ['MASTER_ADDR'])")
    launcher = bridge.TORCHRUN.format(processes=1).split()
    done = subprocess.run(
        [sys.executable, *launcher, tmp_path / "where.py"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "localhost\n"), done.stderr


def test_torchrun_is_given_only_options_that_the_oldest_torch_knows():
    options = set(re.findall(r"--[\w-]+", bridge.TORCHRUN))
    assert options == {"--standalone", "--local-addr", "--log-dir", "--nproc-per-node"}


def test_memory_and_time_grow_with_the_attempt(tmp_path):
    from disobey.study.loader import load_study
    from disobey.study.plan import make_plan

    study = load_study(REPOSITORY / "tests/workflow/tiny.yaml")
    jobs = bridge.Jobs(study, make_plan(study), "python", gpu=1)
    for stage, key in jobs.plan.jobs:
        wildcards = key.split("/")
        memory = [jobs.memory(stage)(wildcards, attempt) for attempt in (1, 2, 3)]
        minutes = [jobs.runtime(stage)(wildcards, attempt) for attempt in (1, 2, 3)]
        assert memory == [memory[0], 2 * memory[0], 3 * memory[0]]
        assert minutes == [minutes[0], 2 * minutes[0], 3 * minutes[0]]


@pytest.fixture
def process(monkeypatch):
    """Restore the environment, the signals and the shell of the process after a test."""
    from snakemake.shell import shell

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("PYTHONPATH", "PYTHONSAFEPATH", "HDF5_USE_FILE_LOCKING", *bridge.OF_TORCHRUN):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(shell, "_process_prefix", shell._process_prefix)
    handler = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, handler)
    os.environ.pop("HF_HUB_OFFLINE", None)


def test_jobs_of_a_cluster_stay_off_the_hub(process):
    bridge._prepare_children(SimpleNamespace(remote_exec=False, basedir=str(REPOSITORY)))
    assert "HF_HUB_OFFLINE" not in os.environ
    bridge._prepare_children(SimpleNamespace(remote_exec=True, basedir=str(REPOSITORY)))
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("name", ["TERM", "USR1"])
def test_the_shell_around_a_training_outlives_the_signals_of_a_cluster(name, process, tmp_path):
    """It continues after the signals, and a failing command still ends it."""
    from snakemake.shell import shell

    bridge._prepare_children(SimpleNamespace(remote_exec=True))
    shell(f"kill -{name} $$; touch {tmp_path}/lived")
    assert (tmp_path / "lived").exists()
    with pytest.raises(subprocess.CalledProcessError):
        shell(f"false | cat; touch {tmp_path}/after")
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize(("folder", "expected"), [("src", "{0}/src:before"), ("lib", "before")])
def test_jobs_find_the_package_of_a_checkout(folder, expected, process, monkeypatch, tmp_path):
    """For an installed package nothing is added, as its folder would hide other packages."""
    monkeypatch.setenv("PYTHONPATH", "before")
    monkeypatch.setattr(bridge, "__file__", str(tmp_path / folder / "disobey/workflow.py"))
    bridge._prepare_children(SimpleNamespace(remote_exec=False))
    assert os.environ["PYTHONPATH"] == expected.format(tmp_path)


def test_an_unknown_job_is_refused_with_the_nearest_name():
    from disobey.study.loader import load_study
    from disobey.study.plan import make_plan

    study = load_study(REPOSITORY / "tests/workflow/tiny.yaml")
    jobs = bridge.Jobs(study, make_plan(study), "python")
    *_, last = (key for stage, key in jobs.plan.jobs if stage == "train")
    for function in (jobs.inputs, jobs.spec, jobs.code):
        words = f"study 'tiny' has no train job '{last}x'; did you mean '{last}'?"
        with pytest.raises(UserError, match=re.escape(words)):
            function("train")([f"{last}x"])
    with pytest.raises(UserError, match=r"no dump job 'runs/mlp'; did you mean '\S+'\?$"):
        jobs.inputs("dump")(["runs", "mlp"])
