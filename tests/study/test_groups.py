"""Jobs that a cluster runs as one group, in every shipped study."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from disobey import workflow as bridge
from disobey.cluster import LEAST_SECONDS, SECONDS_TO_START, groups_of
from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.resources import need_of
from disobey.workflow import gpus_of_a_job

REPOSITORY = Path(__file__).parents[2]
HERE = {"table", "figure", "report", "pretrained"}  # made by the submitting machine
SHIPPED = [REPOSITORY / "config.yaml", *sorted(REPOSITORY.glob("workflow/studies/*.yaml"))]


class Grouped:
    """A study on a cluster: its jobs, some of them grouped, with their resources."""

    def __init__(self, study):
        gpu = gpus_of_a_job(study.device, on_cluster=True)
        self.study, self.plan = study, (plan := make_plan(study))
        everything = set(plan.manifests())
        self.jobs = bridge.Jobs(study, plan, "python", gpu, to_make=lambda: everything)
        self.seconds = {
            name: need_of(plan, *name, gpu=bool(gpu)).seconds + SECONDS_TO_START
            for name in plan.jobs
        }
        self.members = defaultdict(list)
        for stage, key in plan.jobs:
            group = (self.jobs.group(stage) or (lambda _: None))(key.split("/"))
            self.members[group or (stage, key)].append((stage, key))
        self.of = {name: group for group, names in self.members.items() for name in names}

    def minutes(self, group, attempt=1):
        """Return Snakemake's request for a group whose members take turns, the sum of times."""
        return sum(self.jobs.runtime(s)(k.split("/"), attempt) for s, k in self.members[group])

    def waits_for_itself(self):
        """Return a group that depends on itself through jobs outside of it, or None."""
        makers = {job.manifest: self.of[name] for name, job in self.plan.jobs.items()}
        above = defaultdict(set)
        for name, job in self.plan.jobs.items():
            above[self.of[name]] |= {makers[path] for path in job.inputs} - {self.of[name]}
        ready = set()
        while new := {group for group in above.keys() - ready if above[group] <= ready}:
            ready |= new
        return next(iter(above.keys() - ready), None)


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda path: path.stem)
def grouped(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)  # relative data_root
        if "data_root" in request.param.read_text() and not (
            REPOSITORY.parent / "shared/data"
        ).is_dir():  # fmt: skip
            assert not os.environ.get("CI"), "no real data beside the project"
            pytest.skip("no real data beside the project")
        yield Grouped(load_study(request.param))


@pytest.fixture(scope="module")
def default():
    return Grouped(load_study(REPOSITORY / "config.yaml"))


def test_the_page_says_how_many_jobs_the_default_study_submits():
    study = load_study(REPOSITORY / "config.yaml").model_copy(update={"device": "cpu"})
    found = Grouped(study)
    submitted = [
        group for group, names in found.members.items() if not {s for s, _ in names} & HERE
    ]
    alone = sum(stage not in HERE for stage, _ in found.plan.jobs)
    page = (REPOSITORY / "docs/cluster.md").read_text(encoding="utf-8")
    said = f"the default study makes {len(submitted)} submissions instead of {alone}"
    assert said in " ".join(page.split())
    assert len(submitted) <= 12


def test_no_group_waits_for_itself(grouped):
    assert grouped.waits_for_itself() is None


def test_a_cycle_would_be_seen(default, monkeypatch):
    stages = {stage: name for name in default.plan.jobs for stage in [name[0]]}
    monkeypatch.setitem(default.of, stages["report"], default.of[stages["prepare"]])
    assert default.waits_for_itself() is not None


def test_every_group_is_worth_ten_minutes_or_is_the_only_one_of_its_round(grouped):
    rounds = defaultdict(list)
    for group, names in grouped.members.items():
        if isinstance(group, str):
            rounds[group.rpartition("-")[0]].append(sum(map(grouped.seconds.get, names)))
    for round_, seconds in rounds.items():
        assert len(seconds) == 1 or min(seconds) >= LEAST_SECONDS, (round_, seconds)


def test_no_group_asks_for_more_than_a_day_or_64_gb_and_start_up_counts_once(grouped):
    for group, names in grouped.members.items():
        memory = max(grouped.jobs.memory(stage)(key.split("/"), 1) for stage, key in names)
        minutes = grouped.minutes(group)
        assert memory <= 64_000 and 0 < minutes <= 24 * 60, group
        if isinstance(group, str):
            work = 3 * sum(map(grouped.seconds.get, names)) / 60
            assert minutes == min(24 * 60, 15 - int(-work // 1)), group


def test_what_has_a_group_asks_for_the_same_words(grouped):
    """Snakemake refuses a group whose members differ in a resource that is not a number."""
    for names in grouped.members.values():
        stages = {stage for stage, _ in names}
        assert len({grouped.jobs.files(key.split("/")) for _, key in names}) == 1
        assert any(
            stages <= alike
            for alike in (
                {"prepare", "labels"},
                {"train", "dump"},
                {"views", "basis"},
                {"confidence", "bias", "curves", "gradients"},
                *({stage} for stage in stages),
            )
        )


def test_views_of_a_teacher_stay_together_and_so_do_a_run_and_its_logits(grouped):
    groups = defaultdict(set)
    for (stage, key), job in grouped.plan.jobs.items():
        if stage in ("train", "dump", "views"):
            run = key if stage == "train" else json.loads(job.spec)["run"]
            groups[stage == "views", run].add(grouped.of[stage, key])
    assert set(map(len, groups.values())) == {1}


def chunks_of(*minutes):
    """Return the groups that analyses of these durations form."""
    plan = Plan("made-up")
    seconds = {}
    for number, length in enumerate(minutes):
        plan.add("confidence", f"made-up/{number}", {"n": number})
        seconds["confidence", f"made-up/{number}"] = 60 * length - SECONDS_TO_START
    groups = groups_of(plan, lambda *name: seconds[name])
    found = defaultdict(list)
    for (_, key), group in groups.items():
        found[group].append(minutes[int(key.rpartition("/")[2])])
    return sorted(found.values())


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((1, 2), [[1, 2]]),
        ((6, 6, 6, 6), [[6, 6], [6, 6]]),
        ((6, 6, 6), [[6, 6, 6]]),  # the remaining jobs go to the shortest group
        ((1, 30, 20), [[1, 20], [30]]),
        ((30, 20), [[20], [30]]),
    ],
)
def test_chunks_hold_ten_minutes_and_what_is_longer_has_its_own(minutes, expected):
    assert [sorted(chunk) for chunk in chunks_of(*minutes)] == expected


def test_only_what_this_call_makes_counts(default):
    group = next(group for group in default.members if group == "teachers-1")
    one = stage, key = default.members[group][-1]
    to_make = {default.plan.jobs[one].manifest}
    jobs = bridge.Jobs(
        default.study, default.plan, "python", default.jobs.gpu, to_make=lambda: to_make
    )
    minutes = 15 - int(-3 * default.seconds[one] / 60 // 1)
    assert jobs.runtime(stage)(key.split("/"), 1) == minutes < default.minutes(group)
    assert jobs.runtime(stage)(key.split("/"), 2) == 2 * minutes


def test_one_machine_has_no_groups(default):
    jobs = bridge.Jobs(default.study, default.plan, "python")
    assert jobs.groups == {} and jobs.turn is None
    assert all(jobs.group(stage) is None for stage, _ in default.plan.jobs)
