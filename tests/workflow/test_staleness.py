"""Each edit reruns exactly the jobs that depend on it.

For each edit the directly affected jobs are listed by hand, and their dependents follow from the
inputs in the plan; Snakemake's dry run and ``why`` must both give the same jobs.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.plan import make_plan

from .conftest import TINY, Workflow, copy_repository, in_dry_run

pytestmark = pytest.mark.workflow


@dataclass
class Scene:
    """A finished study and a fresh checkout of the code, both editable."""

    workflow: Workflow

    @property
    def plan(self) -> Plan:
        return make_plan(load_study(self.workflow.study))

    def code(self, module: str, old: str, new: str) -> None:
        path = self.workflow.repository / "src/disobey" / module
        text = path.read_text()
        assert old in text, f"{old!r} is not in {module}"
        path.write_text(text.replace(old, new, 1))

    def line(self, name: str) -> str:
        """Return the line of the study that defines ``name``."""
        lines = self.workflow.study.read_text().splitlines()
        (found,) = (line for line in lines if line.startswith(f"  {name}:"))
        return found

    def results(self, pattern: str) -> list[Path]:
        found = sorted(self.workflow.folder.glob(pattern))
        assert found, f"nothing matches {pattern}"
        return found


@pytest.fixture
def scene(copy: Workflow, tmp_path: Path) -> Scene:
    return Scene(Workflow(copy.folder, copy_repository(tmp_path / "checkout")))


def with_downstream(plan: Plan, touched: Iterable[tuple[str, str]]) -> set[str]:
    stale = set(touched)
    assert stale <= set(plan.jobs), stale - set(plan.jobs)
    manifests = {plan.jobs[name].manifest for name in stale}
    for name, job in plan.jobs.items():  # upstream first
        if manifests & set(job.inputs):
            stale.add(name)
            manifests.add(job.manifest)
    return {in_dry_run(*name) for name in stale}


def of_stage(plan: Plan, *stages: str) -> set[tuple[str, str]]:
    return {name for name in plan.jobs if name[0] in stages}


def of_digits(plan: Plan, *stages: str) -> set[tuple[str, str]]:
    """Return the jobs of these stages except those of the synthetic data and its network."""
    return {name for name in of_stage(plan, *stages) if not name[1].startswith("similar-classes")}


RUN_A_MODEL = ("train", "dump", "views", "basis")
NOISY = ("noisy-self", "noisy-small", "switch-distillation_first-0.5")
BIASED = ("clean-self", "clean-T1")
# Figures of all settings of a study.
OF_ALL = (
    "overview", "confidence", "calibrated", "inheritance", "accuracy", "fidelity", "label-class",
    "dissection", "measures", "pay-off",
)  # fmt: skip
# Figures of the settings that record accuracies, which are those with a bias.
OF_CURVES = ("training-curves", "equal-accuracy")
PAGES = ("explorer", "report")


def trained(plan: Plan, *settings: str, role: str | None = None) -> set[tuple[str, str]]:
    """Return the trainings of the given settings (default all) and role (default all)."""
    runs = [plan.settings[name] for name in settings or plan.settings]
    return {("train", id) for of in runs for id in (getattr(of, role) if role else of.all())}


def students(plan: Plan, *settings: str) -> set[tuple[str, str]]:
    return trained(plan, *settings, role="students")


def teachers(plan: Plan, *settings: str) -> set[tuple[str, str]]:
    return trained(plan, *settings, role="teachers")


def references(plan: Plan, *settings: str) -> set[tuple[str, str]]:
    return trained(plan, *settings, role="references")


def placebos(plan: Plan, setting: str, *names: str) -> set[tuple[str, str]]:
    of = plan.settings[setting].placebos
    return {("train", id) for name in names or of for id in of[name]}


def analyses(plan: Plan, stage: str, *names: str) -> set[tuple[str, str]]:
    return {(stage, f"{plan.study}/{name}") for name in names}


def figures(plan: Plan, *kinds: str) -> set[tuple[str, str]]:
    """Return the figures of these kinds; a figure of many settings has several parts."""
    return {
        name
        for name, job in plan.jobs.items()
        if name[0] == "figure" and json.loads(job.spec)["figure"] in kinds
    }


def per_study(plan: Plan) -> set[tuple[str, str]]:
    """Return the jobs that depend on the list of settings: tables, figures of all, both pages.

    Of a figure in several parts, these are the parts whose settings change.
    """
    before = make_plan(load_study(TINY)).jobs
    shown = {
        name
        for name in figures(plan, *OF_ALL, *OF_CURVES)
        if name not in before or before[name].spec != plan.jobs[name].spec
    }
    return of_stage(plan, "table", *PAGES) | shown


def lists_of_switches(plan: Plan) -> set[tuple[str, str]]:
    """Return the jobs that depend on the list of switched settings, which other figures omit."""
    return of_stage(plan, "table", *PAGES) | analyses(plan, "figure", "switching")


Edit = Callable[[Scene], None]
Touched = Callable[[Plan], set[tuple[str, str]]]
NOTHING: Touched = lambda plan: set()  # noqa: E731
MATRIX: dict[str, tuple[Edit, Touched]] = {}
# Rows that the real Snakemake is checked on, too: at least one for each way of becoming stale.
IN_SNAKEMAKE: list[str] = []


def row(
    name: str, touched: Touched = NOTHING, *, snakemake: bool = False
) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        MATRIX[name] = (edit, touched)
        IN_SNAKEMAKE.extend([name] if snakemake else [])
        return edit

    return register


@row("nothing", snakemake=True)
def _(scene):
    pass


@row("touch every file", snakemake=True)
def _(scene):
    for root in (scene.workflow.folder, scene.workflow.repository):
        for path in root.rglob("*"):
            if ".snakemake" not in path.parts:
                os.utime(path)


@row("a comment in a module")
def _(scene):
    scene.code("training/loop.py", "class Training:", "# why not\nclass Training:")


@row("a docstring in a module")
def _(scene):
    scene.code("analysis/confidence.py", '"""An array-like object of shape', '"""A thing of shape')


@row("formatting of a module")
def _(scene):
    wrapped = "[\n            seed,\n            *position, *name.encode(),\n        ]"
    scene.code("seeds.py", "[seed, *position, *name.encode()]", wrapped)


@row("the colour of figures", lambda plan: of_stage(plan, "figure", "explorer"))
def _(scene):
    scene.code("figures/style.py", "#D55E00", "#D55E01")


@row("the place of the study file, which the report links to")
def _(scene):
    before = scene.workflow.study
    scene.workflow.named = "kept/mine.yaml"
    scene.workflow.study.parent.mkdir()
    before.rename(scene.workflow.study)


@row("a log, which the report links to", snakemake=True)
def _(scene):
    for log in scene.results("results/logs/train/*.log"):
        log.write_text("another attempt")


@row("a caption", lambda plan: of_stage(plan, "report"), snakemake=True)
def _(scene):
    path = scene.workflow.repository / "src/disobey/figures/captions/accuracy.rst"
    path.write_text(path.read_text() + "\nOne more sentence.\n")


@row("the page's template", lambda plan: of_stage(plan, "report"))
def _(scene):
    path = scene.workflow.repository / "src/disobey/stages/report.html.jinja"
    path.write_text(path.read_text() + "<!-- one more -->\n")


@row("the explorer's script", lambda plan: of_stage(plan, "explorer"))
def _(scene):
    path = scene.workflow.repository / "src/disobey/explorer/explorer.js"
    path.write_text(path.read_text() + "// one more\n")


@row("the bootstrap count", lambda plan: of_stage(plan, "confidence"))
def _(scene):
    scene.workflow.edit("resamples: 100", "resamples: 101")


@row("phi's definition", lambda plan: of_stage(plan, "confidence"))
def _(scene):
    scene.code("analysis/confidence.py", "= own - others", "= 1.0 * (own - others)")


@row("the distillation loss", students, snakemake=True)
def _(scene):
    scene.code("training/losses.py", "* (one - other)", "* 1.0 * (one - other)")


@row("the label's loss", lambda plan: of_stage(plan, "train"))
def _(scene):
    scene.code("training/objective.py", "label_smoothing=smoothing", "label_smoothing=-smoothing")


# --- definitions -----------------------------------------------------------------------------


@row("the words of an error in a module that every training runs")
def _(scene):
    scene.code("training/schedules.py", 'f"recipe: {wrong}"', 'f"the recipe: {wrong}; mend it"')


@row("a definition that no stage of the study reaches, in a module of every training")
def _(scene):
    scene.code(
        "training/schedules.py", "def _one_cycle", "def unused():\n    pass\n\n\ndef _one_cycle"
    )


@row("a constant of a shared module", lambda plan: of_stage(plan, "figure"))
def _(scene):
    scene.code("figures/style.py", "DPI = 300", "DPI = 301")


@row("a decorator", lambda plan: of_stage(plan, "figure"))
def _(scene):
    scene.code("figures/style.py", '"axes.unicode_minus": True', '"axes.unicode_minus": False')


@row("a base class", lambda plan: of_stage(plan, *RUN_A_MODEL))
def _(scene):
    old = "return self.normalise(self._images["
    scene.code("training/inputs.py", old, old.replace("return ", "return +"))


@row("a default argument", lambda plan: of_stage(plan, "confidence", "bias", "curves", "gradients"))
def _(scene):
    scene.code("analysis/intervals.py", "level: float = LEVEL", "level: float = 1 * LEVEL")


@row("another model's module")
def _(scene):
    scene.code("models/roberta.py", "type_vocab_size=1", "type_vocab_size=2")


@row("this model's module", lambda plan: of_digits(plan, "train", "dump", "views", "basis"))
def _(scene):
    scene.code("models/mlp.py", "nn.ReLU()", "nn.GELU()")


@row("a new optional field of the study file")
def _(scene):
    scene.code(
        "study/recipes.py",
        "    batch: PositiveInt",
        "    news: int | None = None\n    batch: PositiveInt",
    )
    scene.code(
        "models/options.py",
        "    initialisation: Literal",
        "    news: bool = False\n    initialisation: Literal",
    )


@row("a data source that is not in use")
def _(scene):
    scene.code("data/sources/mnist5k.py", "28, 28, 1", "14, 56, 1")


@row("the data source in use", lambda plan: of_digits(plan, "prepare"))
def _(scene):
    scene.code("data/sources/digits.py", "LEVEL = 15", "LEVEL = 14")


@row("the command line of all stages")
def _(scene):
    scene.code("stages/command.py", "specification of the job, as JSON", "what to make (JSON)")


@row(
    "one setting's temperature",
    lambda plan: students(plan, *NOISY),  # the switched one is a copy, the small one's teacher is
)
def _(scene):
    scene.workflow.edit(
        "student: big, recipe: short, distill: {temperature: 4}",
        "student: big, recipe: short, distill: {temperature: 3}",
    )


@row(
    "temperature and weight swapped",
    lambda plan: students(plan, "noisy-small"),
)
def _(scene):
    scene.workflow.edit("temperature: 0.9, weight: 0.5", "temperature: 0.5, weight: 0.9")


@row(
    "a setting renamed",
    lambda plan: (
        analyses(plan, "confidence", "renamed", "renamed@1")
        | analyses(plan, "bias", "renamed")
        | analyses(plan, "curves", "renamed")
        | per_study(plan)
    ),
)
def _(scene):
    scene.workflow.edit("clean-self:", "renamed:")


@row(
    "a setting added, whose runs are there",
    lambda plan: (
        analyses(plan, "confidence", "again")
        | analyses(plan, "bias", "again")
        | analyses(plan, "curves", "again")
        | per_study(plan)
    ),
    snakemake=True,
)
def _(scene):
    line = scene.line("clean-T1")
    scene.workflow.edit(line, f"{line}\n{line.replace('clean-T1', 'again')}")


# Temperatures are no longer compared, and there is no second bias to link.
@row("a setting removed", lambda plan: per_study(plan) | analyses(plan, "figure", "bias"))
def _(scene):
    scene.workflow.edit(scene.line("clean-T1") + "\n", "")


@row("the recipe of one data set", lambda plan: trained(plan, *BIASED))
def _(scene):
    line = scene.line("descent")
    scene.workflow.edit(line, line.replace("epochs: 3", "epochs: 4"))


@row(
    "a new seed",
    lambda plan: (
        {
            ("train", runs[2])
            for of in plan.settings.values()
            for runs in (of.teachers, of.references, of.students, *of.placebos.values())
        }
        | of_stage(plan, "confidence", "bias", "curves", *PAGES)
    ),
    snakemake=True,
)
def _(scene):
    scene.workflow.edit("seeds: [0, 1]", "seeds: [0, 1, 2]")


@row("the label noise's seed", lambda plan: of_stage(plan, "labels"))
def _(scene):
    scene.workflow.edit("seed: 3", "seed: 4")


@row("the order of keys")
def _(scene):
    scene.workflow.edit("optimizer: sgd, lr: 0.1,", "lr: 0.1, optimizer: sgd,")
    text = scene.workflow.study.read_text()
    scene.workflow.study.write_text(text.replace("device: cpu\n", "") + "device: cpu\n")


@row(
    "the student's width",
    lambda plan: references(plan, "noisy-small") | students(plan, "noisy-small"),
)
def _(scene):
    scene.workflow.edit("hidden: [8]", "hidden: [9]")


@row(
    "the teacher's width",
    lambda plan: of_digits(plan, "train", "basis") - references(plan, "noisy-small"),
)
def _(scene):
    scene.workflow.edit("hidden: [32]", "hidden: [33]")


# An analysis records the recipe of its models; no model is trained again.
@row("the name of a recipe", lambda plan: analyses(plan, "confidence", *NOISY))
def _(scene):
    text = scene.workflow.study.read_text()
    scene.workflow.study.write_text(
        text.replace("recipe: short", "recipe: brief").replace("short:", "brief:")
    )


@row("a model that no setting uses")
def _(scene):
    scene.workflow.edit("  small: {", "  spare: {family: mlp, hidden: [4]}\n  small: {")


@row("a store deleted", lambda plan: {("dump", plan.settings["clean-self"].teachers[0])})
def _(scene):
    (
        scene.workflow.folder / f"results/logits/{scene.plan.settings['clean-self'].teachers[0]}.nc"
    ).unlink()


@row(
    "a store cut short",
    lambda plan: {("train", plan.settings["clean-self"].teachers[0])},
    snakemake=True,
)
def _(scene):
    run = scene.plan.settings["clean-self"].teachers[0]
    path = scene.workflow.folder / f"results/runs/{run}/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@row("a figure deleted", lambda plan: {("figure", "tiny/accuracy")}, snakemake=True)
def _(scene):
    (scene.workflow.folder / "results/tiny/figures/accuracy.pdf").unlink()


@row(
    "a second study over the same runs",
    lambda plan: of_stage(plan, "confidence", "bias", "curves", "gradients"),
    snakemake=True,
)
def _(scene):
    scene.workflow.edit("study: tiny", "study: second")


# --- switches, chains and sweeps -------------------------------------------------------------


@row(
    "when a switched student listens",
    lambda plan: students(plan, NOISY[2]) | of_stage(plan, "curves"),
)
def _(scene):
    scene.code("training/schedules.py", "passed >= switch", "passed > switch")


@row(
    "the switch point",
    lambda plan: (
        students(plan, "switch-distillation_first-0.4")
        | analyses(plan, "confidence", "switch-distillation_first-0.4")
        | lists_of_switches(plan)
    ),
    snakemake=True,
)
def _(scene):
    scene.workflow.edit("at: [0.5]", "at: [0.4]")


@row(
    "a value of a sweep added",
    lambda plan: (
        students(plan, "switch-distillation_first-0.4")
        | analyses(plan, "confidence", "switch-distillation_first-0.4")
        | lists_of_switches(plan)
    ),
)
def _(scene):
    scene.workflow.edit("at: [0.5]", "at: [0.5, 0.4]")


@row(
    "what a sweep is called",
    lambda plan: (
        analyses(plan, "confidence", "when-distillation_first-0.5") | lists_of_switches(plan)
    ),
)
def _(scene):
    scene.workflow.edit("  switch: {base", "  when: {base")


@row(
    "the teacher of a chain",  # the reference knows its round, not its teacher
    lambda plan: students(plan, "noisy-small") | analyses(plan, "figure", "rounds"),
    snakemake=True,
)
def _(scene):
    scene.workflow.edit("{setting: noisy-self}", f"{{setting: {NOISY[2]}}}")


@row(
    "a chain cut short",  # one round less: other seeds
    lambda plan: references(plan, "noisy-small") | students(plan, "noisy-small"),
)
def _(scene):
    scene.workflow.edit("{setting: noisy-self}", "big")


@row("what a teacher must turn out to be", lambda plan: analyses(plan, "confidence", *NOISY[::2]))
def _(scene):
    scene.workflow.edit("teacher_fits: non_interpolating, ", "")


# --- views of augmented images -----------------------------------------------------------------


@row("how far a crop may move", lambda plan: trained(plan, "cropped"))
def _(scene):
    scene.workflow.edit("crop_padding: 1", "crop_padding: 2")


@row("how a teacher's views are stored", lambda plan: of_stage(plan, "views"))
def _(scene):
    scene.code("stages/views.py", "shape = (len(slabs),", "shape = (1 * len(slabs),")


# --- bias --------------------------------------------------------------------------------------


@row("the levels of the matched range", lambda plan: of_stage(plan, "bias"))
def _(scene):
    scene.code("analysis/bias.py", "LEVELS = 101", "LEVELS = 51")


@row("the matched range", lambda plan: of_stage(plan, "bias"))
def _(scene):
    scene.code("study/plan.py", "MATCHED_RANGE = (0.2, 0.7)", "MATCHED_RANGE = (0.2, 0.6)")


@row("the clock", lambda plan: of_stage(plan, "bias", "curves"))
def _(scene):
    scene.code("analysis/bias.py", "np.maximum.accumulate(", "+np.maximum.accumulate(")


@row("how progress is recorded", lambda plan: trained(plan, *BIASED))
def _(scene):
    scene.code("training/progress.py", "POINTS = 120", "POINTS = 121")


@row("how eigendirections are found", lambda plan: of_stage(plan, "basis"))
def _(scene):
    scene.code("training/eigenbasis.py", "RANK_TOLERANCE = 1e-9", "RANK_TOLERANCE = 1e-8")


@row("which directions are tracked", lambda plan: trained(plan, "clean-T1"))
def _(scene):
    line = scene.line("clean-T1")
    scene.workflow.edit(line, line.replace("bottom: [20, 40]", "bottom: [20, 41]"))


@row(
    "a placebo added",
    lambda plan: (
        placebos(plan, "clean-T1", "batch_order")
        | analyses(plan, "bias", "clean-T1")
        | analyses(plan, "curves", "clean-T1")
    ),
)
def _(scene):
    line = scene.line("clean-T1")
    scene.workflow.edit(line, line.replace("[half_lr]", "[half_lr, batch_order]"))


@row(
    "a placebo removed",
    lambda plan: analyses(plan, "bias", "clean-T1") | analyses(plan, "curves", "clean-T1"),
)
def _(scene):
    line = scene.line("clean-T1")
    scene.workflow.edit(line, line.replace("[half_lr]", "[]"))


@row(
    "a setting's bias no longer measured",  # its runs become untracked ones; teachers are as before
    lambda plan: (
        references(plan, "clean-T1")
        | students(plan, "clean-T1")
        | per_study(plan)
        | analyses(plan, "figure", "bias")
    ),
)
def _(scene):
    line = scene.line("clean-T1")
    scene.workflow.edit(line, line.partition(", bias:")[0] + "}")


# --- accuracies along training -----------------------------------------------------------------


@row("how accuracies are recorded", lambda plan: trained(plan, *BIASED))
def _(scene):
    scene.code("training/evaluation.py", "right = 0", "right = 0 + 0")


@row("how many points are evaluated", lambda plan: trained(plan, *BIASED))
def _(scene):
    line = scene.line("descent")
    scene.workflow.edit(line, line.replace("evaluate: {}", "evaluate: {points: 9}"))


@row("how many levels suffice", lambda plan: of_stage(plan, "curves"))
def _(scene):
    scene.code("analysis/curves.py", "LEAST_LEVELS = 3", "LEAST_LEVELS = 4")


# --- snapshots and centring --------------------------------------------------------------------


def with_snapshots(plan: Plan) -> set[tuple[str, str]]:
    """Return the trainings that keep snapshots: all except teachers and placebos."""
    return references(plan, *BIASED) | students(plan, *BIASED)


@row("how snapshots are kept", with_snapshots)
def _(scene):
    scene.code("training/checkpoint.py", "and not begun", "and begun == 0")


# Intermediate weights are not stored: each run of the recipe is trained again.
@row(
    "one more snapshot",
    lambda plan: with_snapshots(plan) | analyses(plan, "confidence", "clean-self@2"),
)
def _(scene):
    scene.workflow.edit("snapshots: [1]", "snapshots: [1, 2]")


@row("a snapshot deleted", lambda plan: {("train", plan.settings["clean-self"].students[0])})
def _(scene):
    run = scene.plan.settings["clean-self"].students[0]
    (scene.workflow.folder / f"results/runs/{run}/snapshot-1.safetensors").unlink()


@row("snapshots no longer analysed", lambda plan: of_stage(plan, "report"))
def _(scene):
    scene.workflow.edit(", over_training: true", "")


@row("the mean image subtracted", lambda plan: trained(plan, *NOISY))
def _(scene):
    scene.workflow.edit("seed: 3}", "seed: 3}, centre: pixel")


# --- the matrix --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MATRIX)
def test_exactly_what_depends_on_it_runs_again(name, scene):
    edit, touched = MATRIX[name]
    edit(scene)
    plan = scene.plan
    expected = with_downstream(plan, touched(plan))
    assert scene.workflow.why() == expected
    if name in IN_SNAKEMAKE:
        assert scene.workflow.would_run() == expected


def test_a_target_of_its_own_runs_only_what_it_needs(scene):
    scene.code("analysis/confidence.py", "= own - others", "= 1.0 * (own - others)")
    target = "results/tiny/analysis/clean-T1.nc.json"
    assert scene.workflow.would_run(target) == {"confidence tiny clean-T1"}


def test_results_without_snakemakes_records_are_as_stale(scene):
    shutil.rmtree(scene.workflow.folder / ".snakemake")
    assert scene.workflow.would_run() == set()
    scene.code("training/losses.py", "* (one - other)", "* 1.0 * (one - other)")
    plan = scene.plan
    assert scene.workflow.would_run() == with_downstream(plan, students(plan))


# --- accepted changes --------------------------------------------------------------------------


def accept(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "disobey", "accept", str(scene.workflow.study), *words],
        cwd=scene.workflow.folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(scene.workflow.repository / "src")},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_an_accepted_change_of_the_code_runs_nothing_again(scene):
    scene.code("training/losses.py", "* (one - other)", "* 1.0 * (one - other)")
    count = len(students(scene.plan))
    refused = accept(scene)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    done = accept(scene, "--yes")
    assert f"accepted {count} jobs" in done.stdout, done.stdout + done.stderr
    assert "disobey.training.losses" in done.stdout
    assert scene.workflow.would_run() == scene.workflow.why() == set()
    plan = scene.plan
    assert scene.workflow.why("--strict") == with_downstream(plan, students(plan))


def test_only_the_named_jobs_are_accepted_and_only_for_their_code(scene):
    scene.code("training/losses.py", "* (one - other)", "* 1.0 * (one - other)")
    scene.workflow.edit("resamples: 100", "resamples: 101")
    plan = scene.plan
    one, *others = sorted(students(plan))
    done = accept(scene, "--yes", one[1])
    assert "accepted 1 jobs" in done.stdout, done.stdout + done.stderr
    expected = {*others, *of_stage(plan, "confidence")}
    assert scene.workflow.why() == with_downstream(plan, expected)
    unknown = accept(scene, "--yes", "confidence")
    assert unknown.returncode == 2 and "confidence" in unknown.stderr


@pytest.mark.reruns
def test_back_to_the_old_value_trains_nothing(scene):
    old = "student: big, recipe: short, distill: {temperature: 4}"
    new = old.replace("4", "3")
    scene.workflow.edit(old, new)
    done = scene.workflow.snakemake("--until", "confidence")
    assert done.returncode == 0, done.stdout + done.stderr
    scene.workflow.edit(new, old)
    plan = scene.plan
    expected = with_downstream(plan, analyses(plan, "confidence", *NOISY))
    assert scene.workflow.would_run() == scene.workflow.why() == expected


@pytest.mark.reruns
def test_a_second_study_and_back_runs_nothing_of_the_first(scene):
    scene.workflow.edit("study: tiny", "study: second")
    done = scene.workflow.snakemake("--until", "table")
    assert done.returncode == 0, done.stdout + done.stderr
    scene.workflow.edit("study: second", "study: tiny")
    assert scene.workflow.would_run() == scene.workflow.why() == set()


@pytest.mark.reruns
def test_a_result_made_again_is_the_same_bit_for_bit(scene):
    """A rerun makes the same bytes, which depend only on seeds and threads."""
    run = scene.plan.settings["noisy-small"].students[0]
    logits = scene.workflow.folder / f"results/logits/{run}.nc"
    before = logits.read_bytes()
    shutil.rmtree(scene.workflow.folder / f"results/runs/{run}")
    made = logits.stat().st_mtime_ns
    done = scene.workflow.snakemake("--until", "dump")
    assert done.returncode == 0, done.stdout + done.stderr
    assert logits.stat().st_mtime_ns > made
    assert logits.read_bytes() == before
