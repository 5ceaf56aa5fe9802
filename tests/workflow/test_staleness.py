"""Each edit reruns exactly what depends on it: none needless, none missed.

What must run is derived by hand for each edit (which jobs the edit touches itself), and closed
downstream over the plan's inputs; Snakemake's dry run and ``why`` must both say the same.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from disobey.study.loader import load_study
from disobey.study.plan import Plan, make_plan

from .conftest import Workflow, copy_repository

pytestmark = pytest.mark.workflow


@dataclass
class Scene:
    """A finished study beside a fresh checkout of the code, both free to be edited."""

    workflow: Workflow

    @property
    def plan(self) -> Plan:
        return make_plan(load_study(self.workflow.study))

    def code(self, module: str, old: str, new: str) -> None:
        path = self.workflow.repository / "src/disobey" / module
        text = path.read_text()
        assert old in text, f"{old!r} is not in {module}"
        path.write_text(text.replace(old, new, 1))

    def results(self, pattern: str) -> list[Path]:
        found = sorted(self.workflow.folder.glob(pattern))
        assert found, f"nothing matches {pattern}"
        return found


@pytest.fixture
def scene(copy: Workflow, tmp_path: Path) -> Scene:
    return Scene(Workflow(copy.folder, copy_repository(tmp_path / "checkout")))


def named(plan: Plan, jobs: Iterable[tuple[str, str]]) -> set[str]:
    """Return jobs as the dry run names them."""
    names = set()
    for stage, key in jobs:
        rule = stage
        if stage == "figure":
            rule = "figure_" + key.split("/")[1].split("-")[0]
        names.add(" ".join([rule, *key.split("/")]))
    return names


def with_downstream(plan: Plan, touched: Iterable[tuple[str, str]]) -> set[str]:
    stale = set(touched)
    assert stale <= set(plan.jobs), stale - set(plan.jobs)
    manifests = {plan.jobs[name].manifest for name in stale}
    for name, job in plan.jobs.items():  # upstream first
        if manifests & set(job.inputs):
            stale.add(name)
            manifests.add(job.manifest)
    return named(plan, stale)


def of_stage(plan: Plan, *stages: str) -> set[tuple[str, str]]:
    return {name for name in plan.jobs if name[0] in stages}


def students(plan: Plan, *settings: str) -> set[tuple[str, str]]:
    return {("train", run) for s in settings or plan.settings for run in plan.settings[s].students}


def per_study(plan: Plan) -> set[tuple[str, str]]:
    """Tables, figures over all settings and the report: they change with the list of settings."""
    alone = {("figure", f"{plan.study}/exaggeration-{name}") for name in plan.settings}
    return of_stage(plan, "table", "figure", "report") - alone


Edit = Callable[[Scene], None]
Touched = Callable[[Plan], set[tuple[str, str]]]
NOTHING: Touched = lambda plan: set()  # noqa: E731
MATRIX: dict[str, tuple[Edit, Touched]] = {}


def row(name: str, touched: Touched = NOTHING) -> Callable[[Edit], Edit]:
    def register(edit: Edit) -> Edit:
        MATRIX[name] = (edit, touched)
        return edit

    return register


@row("nothing")
def _(scene):
    pass


@row("touch every file")
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
    scene.code("analysis/confidence.py", '"""Return A and G(q)', '"""Return both A and G(q)')


@row("formatting of a module")
def _(scene):
    wrapped = "[\n            seed,\n            *position, *name.encode(),\n        ]"
    scene.code("training/seeds.py", "[seed, *position, *name.encode()]", wrapped)


@row("the colour of figures", lambda plan: of_stage(plan, "figure"))
def _(scene):
    scene.code("figures/style.py", "#D55E00", "#D55E01")


@row("a caption", lambda plan: of_stage(plan, "report"))
def _(scene):
    path = scene.workflow.repository / "workflow/report/accuracy.rst"
    path.write_text(path.read_text() + "\nOne more sentence.\n")


@row("the page's template", lambda plan: of_stage(plan, "report"))
def _(scene):
    path = scene.workflow.repository / "src/disobey/stages/report.html.jinja"
    path.write_text(path.read_text() + "<!-- one more -->\n")


@row("the bootstrap count", lambda plan: of_stage(plan, "confidence"))
def _(scene):
    scene.workflow.edit("resamples: 100", "resamples: 101")


@row("phi's definition", lambda plan: of_stage(plan, "confidence"))
def _(scene):
    scene.code("analysis/confidence.py", "= own - others", "= 1.0 * (own - others)")


@row("the distillation loss", students)
def _(scene):
    scene.code("training/losses/distillation.py", "temperature**2 *", "temperature**2.0 *")


@row("the one-hot loss", lambda plan: of_stage(plan, "train") - students(plan))
def _(scene):
    scene.code(
        "training/losses/one_hot.py", "label_smoothing=smoothing", "label_smoothing=-smoothing"
    )


@row("another model's module")
def _(scene):
    scene.code("models/roberta.py", "type_vocab_size=1", "type_vocab_size=2")


@row("this model's module", lambda plan: of_stage(plan, "train", "dump"))
def _(scene):
    scene.code("models/mlp.py", "nn.ReLU()", "nn.GELU()")


@row("a new optional field of the study file")
def _(scene):
    scene.code(
        "study/models.py",
        "    batch: PositiveInt",
        "    news: int | None = None\n    batch: PositiveInt",
    )
    scene.code(
        "models/options.py", "    hidden: Widths", "    news: bool = False\n    hidden: Widths"
    )


@row("a data source that is not in use")
def _(scene):
    scene.code("data/sources/mnist5k.py", "28, 28, 1", "14, 56, 1")


@row("the data source in use", lambda plan: of_stage(plan, "prepare"))
def _(scene):
    scene.code("data/sources/digits.py", "LEVEL = 15", "LEVEL = 14")


@row("the command line of all stages")
def _(scene):
    scene.code("stages/command.py", "what to make, as JSON", "what to make (JSON)")


@row(
    "one setting's temperature",
    lambda plan: students(plan, "noisy-self") | {("confidence", "tiny/noisy-self")},
)
def _(scene):
    scene.workflow.edit(
        "student: big, recipe: short, distill: {temperature: 4}}\n  noisy-small",
        "student: big, recipe: short, distill: {temperature: 3}}\n  noisy-small",
    )


@row(
    "temperature and weight swapped",
    lambda plan: students(plan, "noisy-small") | {("confidence", "tiny/noisy-small")},
)
def _(scene):
    scene.workflow.edit("temperature: 0.9, weight: 0.5", "temperature: 0.5, weight: 0.9")


@row("a setting renamed", lambda plan: {("confidence", "tiny/renamed")} | per_study(plan))
def _(scene):
    scene.workflow.edit("clean-self:", "renamed:")


@row(
    "a setting added, whose runs are there",
    lambda plan: {("confidence", "tiny/again")} | per_study(plan),
)
def _(scene):
    text = scene.workflow.study.read_text()
    line = next(line for line in text.splitlines() if line.startswith("  clean-self:"))
    scene.workflow.edit(line, f"{line}\n{line.replace('clean-self', 'again')}")


@row("a setting removed", per_study)
def _(scene):
    text = scene.workflow.study.read_text()
    line = next(line for line in text.splitlines() if line.startswith("  clean-self:"))
    scene.workflow.edit(line + "\n", "")


@row(
    "the recipe of one data set",
    lambda plan: (
        {("train", run) for run in plan.settings["clean-self"].all()}
        | {("confidence", "tiny/clean-self")}
    ),
)
def _(scene):
    text = scene.workflow.study.read_text()
    short = next(line for line in text.splitlines() if line.startswith("  short:"))
    scene.workflow.edit(
        short, short + "\n" + short.replace("short:", "long:").replace("epochs: 3", "epochs: 4")
    )
    line = next(line for line in text.splitlines() if line.startswith("  clean-self:"))
    scene.workflow.edit(line, line.replace("recipe: short", "recipe: long"))


@row(
    "a new seed",
    lambda plan: (
        {
            ("train", runs[2])
            for setting in plan.settings.values()
            for runs in (setting.teachers, setting.references, setting.students)
        }
        | of_stage(plan, "confidence", "report")
    ),
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
    lambda plan: (
        {
            ("train", run)
            for run in (
                *plan.settings["noisy-small"].references,
                *plan.settings["noisy-small"].students,
            )
        }
        | {("confidence", "tiny/noisy-small")}
    ),
)
def _(scene):
    scene.workflow.edit("hidden: [8]", "hidden: [9]")


@row(
    "the teacher's width",
    lambda plan: (
        (
            of_stage(plan, "train")
            - {("train", run) for run in plan.settings["noisy-small"].references}
        )
        | of_stage(plan, "confidence")
    ),
)
def _(scene):
    scene.workflow.edit("hidden: [32]", "hidden: [33]")


@row("the names of model, recipe and data set")
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


@row("a store cut short", lambda plan: {("train", plan.settings["clean-self"].teachers[0])})
def _(scene):
    run = scene.plan.settings["clean-self"].teachers[0]
    path = scene.workflow.folder / f"results/runs/{run}/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@row("a figure deleted", lambda plan: {("figure", "tiny/accuracy")})
def _(scene):
    (scene.workflow.folder / "results/tiny/figures/accuracy.pdf").unlink()


@row("a second study over the same runs", lambda plan: of_stage(plan, "confidence"))
def _(scene):
    scene.workflow.edit("study: tiny", "study: second")


@pytest.mark.parametrize("name", MATRIX)
def test_exactly_what_depends_on_it_runs_again(name, scene):
    edit, touched = MATRIX[name]
    edit(scene)
    plan = scene.plan
    expected = with_downstream(plan, touched(plan))
    assert scene.workflow.why() == expected
    assert scene.workflow.would_run() == expected


def test_back_to_the_old_value_trains_nothing(scene):
    old = "student: big, recipe: short, distill: {temperature: 4}}\n  noisy-small"
    new = old.replace("4", "3")
    scene.workflow.edit(old, new)
    done = scene.workflow.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    scene.workflow.edit(new, old)
    plan = scene.plan
    expected = with_downstream(plan, {("confidence", "tiny/noisy-self")})
    assert scene.workflow.would_run() == scene.workflow.why() == expected


def test_a_second_study_and_back_runs_nothing_of_the_first(scene):
    scene.workflow.edit("study: tiny", "study: second")
    done = scene.workflow.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    scene.workflow.edit("study: second", "study: tiny")
    assert scene.workflow.would_run() == scene.workflow.why() == set()


def test_a_result_made_again_is_the_same_bit_for_bit(scene):
    """What a rerun makes is what was there: seeds and threads decide, not chance."""
    run = scene.plan.settings["noisy-small"].students[0]
    logits = scene.workflow.folder / f"results/logits/{run}.nc"
    before = logits.read_bytes()
    shutil.rmtree(scene.workflow.folder / f"results/runs/{run}")
    done = scene.workflow.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    assert logits.read_bytes() == before
