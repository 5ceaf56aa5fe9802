"""After kills of every kind at random times, the normal command finishes with equal tables.

Signals, their targets and their times are drawn from a seed (DISOBEY_TEST_SEED, printed). The jobs
that a kill hits still depend on the machine, so a failure prints every kill and the running jobs.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from .conftest import PATIENCE, SMALL, Workflow, wait_until

pytestmark = pytest.mark.workflow

SEED = int(os.environ.get("DISOBEY_TEST_SEED", "0"))
DEADLOCK = 60  # seconds without a job after SIGTERM: then Snakemake will never end
DRAWN = re.compile(r"figures/(bias|accuracy)\.")
# Signal, and whether Snakemake and a job receive it. SLURM sends SIGUSR1 to trainings.
KINDS = [
    (number, *whom)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
    for whom in ((True, False), (False, True), (True, True))
] + [(signal.SIGUSR1, False, True)]


@dataclass(frozen=True)
class Kill:
    """A kill, drawn before anything runs.

    Attributes
    ----------
    starts : int
        The number of jobs that must start first.
    delay : float
        The time after that, in units of the duration of a job's start on this machine.
    choice : float
        The position of the target among the running jobs, from 0 to 1.
    """

    number: signal.Signals
    of_snakemake: bool
    of_job: bool
    starts: int
    delay: float
    choice: float


def drawn(seed: int) -> list[Kill]:
    """Draw one kill of each kind."""
    rng = random.Random(seed)
    kinds = rng.sample(KINDS, len(KINDS))
    # A training imports for one start, and for as long again before its first step.
    return [Kill(*kind, rng.randrange(1, 3), rng.uniform(0, 3), rng.random()) for kind in kinds]


def seconds_of_a_start() -> float:
    """Return the seconds that a training spends on imports before its first step."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import disobey.stages.train"], check=True)
    return time.monotonic() - started


def write_study(folder: Path, epochs: int = 150) -> None:
    """Write the small study with trainings of a few seconds and an early snapshot."""
    text = SMALL.read_text()
    assert "epochs: 3" in text
    (folder / "study.yaml").write_text(text.replace("epochs: 3", f"epochs: {epochs}"))


def jobs_at_work(folder: Path) -> dict[int, str]:
    """Return pid, stage and store of the stages that run in ``folder`` now, including orphans.

    Shells around jobs have other command lines, and zombies have none.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
            if words[1:3] == ["-m", "disobey"] and (process / "cwd").resolve() == folder:
                store = words[words.index("--output") + 1]
                found[int(process.name)] = f"{words[3]} {Path(store).name}"
        except (OSError, ValueError):
            continue  # it has just ended
    return found


@dataclass
class Ordeal:
    """A study that is killed again and again."""

    workflow: Workflow
    events: list[str] = field(default_factory=list)
    targets: tuple[str, ...] = ()
    log: Path = Path()
    save_every: str = "0.2"  # seconds between two saved states of a training
    start: float = 0.0
    calls: int = 0
    snakemake: subprocess.Popen[str] | None = None
    terminated: int = 0  # pid of the Snakemake that received SIGTERM
    at_work: float = 0.0  # time when a job was last seen, or when waiting began

    @property
    def output(self) -> Path:
        return self.workflow.folder / f"call-{self.calls}.txt"

    def call(self) -> None:
        """Call the normal command, unless it is still running."""
        if self.snakemake is not None and self.snakemake.poll() is None:
            return
        self.calls += 1
        with open(self.output, "w") as output:
            self.snakemake = subprocess.Popen(
                self.workflow.command(*self.targets), stdout=output, stderr=subprocess.STDOUT,
                text=True, cwd=self.workflow.folder, start_new_session=True,
                env=self.workflow.environment | {"DISOBEY_SAVE_EVERY": self.save_every},
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip

    @property
    def done(self) -> bool:
        return self.snakemake is not None and self.snakemake.poll() == 0

    def suffer(self, kill: Kill) -> bool:
        """Kill once while jobs run; return False if the study finished before."""
        self.call()
        if not self.wait_for_starts(kill.starts):
            return False
        time.sleep(kill.delay * self.start)
        jobs = jobs_at_work(self.workflow.folder)
        if self.done:
            return False
        hit = []
        if kill.of_snakemake and self.snakemake.poll() is None:
            hit.append(self.snakemake.pid)
        if kill.of_job and jobs:
            hit.append(sorted(jobs)[int(kill.choice * len(jobs))])
        for pid in hit:
            try:
                os.kill(pid, kill.number)
            except ProcessLookupError:
                hit = [other for other in hit if other != pid]
        names = [jobs.get(pid, "snakemake") for pid in hit]
        self.events.append(f"{kill.number.name} of {names} while {sorted(jobs.values())}")
        if kill.of_snakemake and kill.number == signal.SIGKILL:
            self.snakemake.wait()
        if kill.number == signal.SIGTERM and self.snakemake.pid in hit:
            self.terminated, self.at_work = self.snakemake.pid, time.monotonic()
        return bool(hit)

    def end_a_deadlock(self) -> None:
        """Kill a Snakemake that received SIGTERM, runs no job and does not end.

        Its signal handler takes the lock of the scheduler. If the signal arrives while the
        scheduler holds that lock, as during the selection of jobs, Snakemake 9.27 waits forever.
        """
        if self.terminated != self.snakemake.pid or jobs_at_work(self.workflow.folder):
            self.at_work = time.monotonic()
        elif self.snakemake.poll() is None and time.monotonic() > self.at_work + DEADLOCK:
            self.snakemake.kill()
            self.snakemake.wait()
            self.events[-1] += "; deadlocked, so killed"

    def wait_for_starts(self, number: int) -> bool:
        """Wait for ``number`` new jobs to start; return False if Snakemake succeeds before."""
        seen = set(jobs_at_work(self.workflow.folder))
        deadline = time.monotonic() + PATIENCE
        while number > 0:
            assert time.monotonic() < deadline, self.story("no job starts")
            self.end_a_deadlock()
            if self.snakemake.poll() is not None:
                if self.done:
                    return False
                self.call()  # an earlier kill ended it late
            now = set(jobs_at_work(self.workflow.folder))
            number -= len(now - seen)
            seen |= now
            time.sleep(0.05)
        return True

    def finish(self) -> None:
        """Wait for the killed Snakemake to end in any way; then the normal command must succeed."""
        deadline = time.monotonic() + PATIENCE
        while self.snakemake.poll() is None:
            assert time.monotonic() < deadline, self.story("Snakemake does not end")
            self.end_a_deadlock()
            time.sleep(0.05)
        if not self.done:
            self.call()
            self.snakemake.wait(timeout=PATIENCE)
        assert self.done, self.story("the normal command fails")

    def story(self, what: str) -> str:
        calls = sorted(self.workflow.folder.glob("call-*.txt"))
        said = "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in calls[-3:])
        return "\n".join([f"{what}; seed {SEED}", *self.events, said])


def new_ordeal(folder: Path, start: float = 0.0) -> Ordeal:
    """Return a study in a new folder in which every stage must run, with only two figures."""
    folder.mkdir()
    write_study(folder)
    workflow = Workflow(folder.resolve())
    figures = [path for path in workflow.planned("figure") if DRAWN.search(path)]
    return Ordeal(workflow, targets=(*workflow.planned("table"), *figures), start=start)


@pytest.fixture(scope="module")
def ordeals(tmp_path_factory):
    """The same study undisturbed, with forked jobs, and with a kill of each kind."""
    root = tmp_path_factory.mktemp("recovery")
    killed = [new_ordeal(root / "killed-0", seconds_of_a_start())]
    undisturbed = new_ordeal(root / "undisturbed")
    done = undisturbed.workflow.snakemake(*undisturbed.targets)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        kills = drawn(SEED)
        for kill in kills:
            while not killed[-1].suffer(kill):
                if killed[-1].done:
                    folder = root / f"killed-{len(killed)}"
                    # Measured again, because the machine may have been busy before.
                    killed.append(new_ordeal(folder, seconds_of_a_start()))
        killed[-1].finish()
        yield undisturbed, killed
    finally:
        for ordeal in killed:
            left = [*jobs_at_work(ordeal.workflow.folder)]
            if ordeal.snakemake is not None and ordeal.snakemake.poll() is None:
                left.insert(0, ordeal.snakemake.pid)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
                    os.kill(pid, signal.SIGKILL)


def test_every_kill_hit_something_at_work(ordeals):
    _, killed = ordeals
    events = [event for ordeal in killed for event in ordeal.events if " of [] " not in event]
    print(f"seed {SEED}", *events, sep="\n")
    assert len(events) == len(KINDS)
    # The number of studies depends on the machine, but each study is killed several times.
    assert len(killed) < len(events), "the studies are too short to be killed twice"


def test_tables_and_weights_are_those_of_an_undisturbed_run(ordeals):
    undisturbed, killed = ordeals
    kinds = ("results/*/tables/*.csv", "results/runs/*/*.safetensors")
    expected = {
        path.relative_to(undisturbed.workflow.folder): path.read_bytes()
        for kind in kinds
        for path in undisturbed.workflow.folder.glob(kind)
    }
    assert {path.name for path in expected} >= {"bias.csv", "snapshot-1.safetensors"}
    for ordeal in killed:
        for name, content in expected.items():
            assert (ordeal.workflow.folder / name).read_bytes() == content, ordeal.story(str(name))


def test_nothing_is_left_of_the_kills(ordeals):
    _, killed = ordeals
    for ordeal in killed:
        results = ordeal.workflow.folder / "results"
        left = [path for path in results.rglob(".*") if path.suffix in (".tmp", ".lock")]
        assert left == [], ordeal.story(str(left))
        assert list(results.glob("checkpoints/*")) == []
        again = ordeal.workflow.snakemake("--dry-run", *ordeal.targets)
        assert "Nothing to be done" in again.stdout + again.stderr


@pytest.fixture
def one_training(tmp_path):
    """A Snakemake that runs one training, which is stopped once its first state is saved."""
    write_study(tmp_path, epochs=30)
    workflow = Workflow(tmp_path.resolve())
    run = make_plan(load_study(workflow.study)).settings["self"].teachers[0]
    # A state after each step, so that much remains to be done, on any machine, after the first.
    ordeal = Ordeal(workflow, targets=(f"results/runs/{run}.json",), save_every="0")
    ordeal.log = tmp_path / f"results/logs/train/{run}.log"
    ordeal.call()
    try:
        wait_until(lambda: list(tmp_path.glob("results/checkpoints/*/*.pt")), "no state is saved")
        (training,) = jobs_at_work(workflow.folder)
        os.kill(training, signal.SIGSTOP)  # otherwise its progress would depend on the machine
        yield ordeal
    finally:
        ordeal.snakemake.kill()  # does nothing if it has ended
        for pid in jobs_at_work(workflow.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_killed_training_goes_on_from_its_state(one_training):
    """Without this, equal tables would only show that training is repeatable."""
    for pid in (one_training.snakemake.pid, *jobs_at_work(one_training.workflow.folder)):
        os.kill(pid, signal.SIGKILL)
    one_training.snakemake.wait()
    one_training.call()
    assert one_training.snakemake.wait(timeout=PATIENCE) == 0, one_training.story("it fails")
    assert re.search(r"resumed at step [1-9]", one_training.log.read_text())


def test_a_job_waits_for_an_orphan_and_takes_over_what_it_made(one_training):
    """After kill -9 of only Snakemake, work that the orphan finishes is not repeated."""
    ordeal, workflow = one_training, one_training.workflow
    os.kill(ordeal.snakemake.pid, signal.SIGKILL)
    ordeal.snakemake.wait()
    (orphan,) = jobs_at_work(workflow.folder)
    # The next shell empties the log, so the orphan's own lines go elsewhere.
    log = ordeal.log.rename(workflow.folder / "orphan.log")
    ordeal.call()
    wait_until(lambda: ordeal.log.exists() and "waiting for that" in ordeal.log.read_text())
    assert f"process {orphan} on " in ordeal.output.read_text()  # named before the job begins
    assert f"process {orphan} on " in ordeal.log.read_text()
    os.kill(orphan, signal.SIGCONT)
    assert ordeal.snakemake.wait(timeout=PATIENCE) == 0, ordeal.story("the normal command fails")
    said = ordeal.log.read_text()
    assert "is there already, of the same spec, code and inputs" in said
    assert "step/s" in log.read_text() and "step/s" not in said  # one trained, the other did not
    again = workflow.snakemake("--dry-run", *ordeal.targets)
    assert "Nothing to be done" in again.stdout + again.stderr
