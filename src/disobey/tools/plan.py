"""``python -m disobey plan [study.yaml]``: what a study asks for, or the first mistake in it."""

from collections import Counter
from collections.abc import Sequence

from disobey.analysis.intervals import TWO_SEEDS
from disobey.study.comparisons import ComparedCheckpoints, ComparedLogits
from disobey.study.jobs import Plan
from disobey.study.loader import load_study
from disobey.study.models import Study, name_of
from disobey.study.plan import make_plan
from disobey.study.resources import RUN_A_MODEL, Need, need_of
from disobey.study.runs import seen_teacher
from disobey.tools import argument_parser, tool
from disobey.training.losses import DEFAULT, TEMPERATURE


@tool
def main(arguments: Sequence[str]) -> int:
    """Print the plan of a study file; 2 where the file cannot be used."""
    parser = argument_parser("plan", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml")
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    plan = make_plan(study)
    print(f"study {study.study}: seeds {', '.join(map(str, study.seeds))}")
    for name, runs in plan.settings.items():
        print(f"  {name}: {in_words(study, name)}")
        roles = {
            "teacher": runs.teachers, "reference": runs.references, "student": runs.students,
            **runs.placebos,
        }  # fmt: skip
        roles = {role: ids for role, ids in roles.items() if ids}  # of comparisons some are empty
        width = max(map(len, roles))
        for role, ids in roles.items():
            print(f"    {role:<{width}} {'  '.join(ids)}")
    for stage, count in Counter(stage for stage, _ in plan.jobs).items():
        print(f"  {count:>5} {stage}")
    if study.device != "cpu":
        print(on_a_gpu(study, plan))
    if len(study.seeds) == 2:
        print(f"  warning: {TWO_SEEDS}")
    return 0


def on_a_gpu(study: Study, plan: Plan) -> str:
    """Return one line on what the jobs of a plan take of a GPU: an estimate."""
    most: dict[str, Need] = {}
    for stage, key in plan.jobs:
        if stage in RUN_A_MODEL:
            need = need_of(plan, stage, key, gpu=True, processes=study.gpus)
            most[stage] = max(most.get(stage, need), need, key=lambda need: need.card_mb)
    parts = ", ".join(f"{stage} {need.card_mb / 1000:.1f} GB" for stage, need in most.items())
    return f"  memory of a GPU, if there is one, at the most and about: {parts}"


def in_words(study: Study, name: str) -> str:
    """Return one line that says what a setting or a comparison is."""
    if name in study.comparisons:
        return _compared(study.comparisons[name])
    setting = study.settings[name]
    distill, loss = setting.distill, setting.distill.registered
    words = [
        f"{name_of(setting.teacher)} -> {setting.student} on {setting.dataset}",
        *([] if loss.name == DEFAULT else [f"loss {distill.words}"]),
        *([f"T = {distill.softening:g}"] if TEMPERATURE in loss.parameters else []),
        f"weight = {distill.weight:g}",
    ]
    if distill.switch is not None:
        order = distill.switch.order.replace("_", " ")
        unit = distill.switch.unit or "learning rate"
        words.append(f"{order}, switch at {distill.switch.at:g} of the {unit}")
    if setting.student_share is not None:
        words.append(f"student and reference see {setting.student_share:g} of the examples")
    if setting.initialisation is not None:
        words.append("all start from the teacher's first weights")
    words += filter(None, [seen_teacher(study, setting).why])
    if setting.bias is not None:
        words.append(f"bias of {', '.join(setting.bias.layers)}")
    return ", ".join(words)


def _compared(comparison: ComparedLogits | ComparedCheckpoints) -> str:
    words = {"logits": "files of logits", "huggingface": "trained classifiers"}[comparison.source]
    if comparison.dataset is not None:
        words += f" on {comparison.dataset}"
    return words + (f", T = {comparison.temperature:g}" if comparison.temperature else "")
