"""The figures of a study: each is drawn if the study has its content. Pure."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from disobey.stores import layout
from disobey.strict import spec_of
from disobey.study.external_models import noise_of
from disobey.study.models import External, StudentOf, Study

# Settings in one figure of the kind confidence, a pair of panels each.
SETTINGS_A_FIGURE = 4


class Planned(NamedTuple):
    """A figure: its kind, its name, and the settings (or snapshots of them) that it shows."""

    kind: str
    name: str
    settings: tuple[str, ...]


def figures_of(study: Study) -> list[Planned]:
    """Return all figures of a study, those of the whole study first."""
    return [figure for kind, plan in FIGURES.items() for figure in plan(kind, study)]


def _distilled(kind: str, study: Study) -> Iterator[Planned]:
    """Settings that are distilled throughout: the others have a figure of their own."""
    names = [n for n, setting in study.settings.items() if setting.distill.switch is None]
    names += study.comparisons
    if names:
        yield Planned(kind, kind, tuple(names))


def _biased(least: int) -> "PlanFigures":
    def plan(kind: str, study: Study) -> Iterator[Planned]:
        names = tuple(name for name, setting in study.settings.items() if setting.bias is not None)
        if len(names) >= least:
            yield Planned(kind, kind, names)

    return plan


def _trajectories(kind: str, study: Study) -> Iterator[Planned]:
    for name, setting in study.settings.items():
        if setting.bias is not None and setting.bias.pairs is not None:
            yield Planned(kind, f"{kind}-{name}", (name,))


def _noise(kind: str, study: Study) -> Iterator[Planned]:
    noisy = tuple(
        name
        for name, setting in study.settings.items()
        if study.datasets[setting.dataset].label_noise is not None
        and setting.distill.switch is None
    )
    noisy += tuple(name for name in study.comparisons if noise_of(study, name))
    if noisy:
        yield Planned(kind, kind, noisy)


def _parts(plan: "PlanFigures", most: int) -> "PlanFigures":
    """Split each figure of a plan so that none shows more than so many settings."""

    def parts(kind: str, study: Study) -> Iterator[Planned]:
        for _, name, settings in plan(kind, study):
            number = -(-len(settings) // most)
            # As even as can be: five settings are two and three.
            starts = [len(settings) * part // number for part in range(number + 1)]
            for part, (start, end) in enumerate(itertools.pairwise(starts), 1):
                ending = f"-{part}" if number > 1 else ""
                yield Planned(kind, f"{name}{ending}", settings[start:end])

    return parts


def _switching(kind: str, study: Study) -> Iterator[Planned]:
    """Settings with a switch, and those that are the same without one: the ends of the axis."""
    switched = {n for n, setting in study.settings.items() if setting.distill.switch is not None}
    alike = {_but(study, name, "switch") for name in switched}
    names = tuple(
        name for name in study.settings if name in switched or _but(study, name, "switch") in alike
    )
    if switched:
        yield Planned(kind, kind, names)


def _over_training(kind: str, study: Study) -> Iterator[Planned]:
    for name, setting in study.settings.items():
        if setting.over_training:
            epochs = study.recipes[setting.recipe].snapshots or []
            snapshots = [layout.snapshot_of(name, epoch) for epoch in epochs]
            yield Planned(kind, f"{kind}-{name}", (*snapshots, name))


def _evaluated(study: Study) -> list[str]:
    """Return the settings whose models record accuracies along training."""
    recipes = {name: study.recipes[setting.recipe] for name, setting in study.settings.items()}
    return [name for name, recipe in recipes.items() if recipe.evaluate is not None]


def _training_curves(kind: str, study: Study) -> Iterator[Planned]:
    names = _evaluated(study)
    if names:
        yield Planned(kind, kind, tuple(names))


def _equal_accuracy(kind: str, study: Study) -> Iterator[Planned]:
    names = [n for n in _evaluated(study) if study.settings[n].distill.switch is None]
    if names:
        yield Planned(kind, kind, tuple(names))


def _steps(kind: str, study: Study) -> Iterator[Planned]:
    """Settings with snapshots that differ in the switch alone, each group by itself."""
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name, setting in study.settings.items():
        if setting.over_training:
            snapshots = [str(epoch) for epoch in study.recipes[setting.recipe].snapshots or []]
            group = groups.setdefault((_but(study, name, "switch"), *snapshots), {})
            group.setdefault(_but(study, name), name)  # a point of a sweep may be another setting
    for (_, *snapshots), distinct in groups.items():
        names = list(distinct.values())
        shown = [layout.snapshot_of(name, int(epoch)) for name in names for epoch in snapshots]
        yield Planned(kind, f"{kind}-{names[0]}", (*shown, *names))


def _gradients(kind: str, study: Study) -> Iterator[Planned]:
    for name, setting in study.settings.items():
        if study.has_directions(setting):
            yield Planned(kind, f"{kind}-{name}", (name,))


def _temperature(kind: str, study: Study) -> Iterator[Planned]:
    """Settings that differ in temperature, and maybe in learning rate."""
    groups: dict[str, list[str]] = {}
    for name, setting in study.settings.items():
        if setting.distill.switch is None and not isinstance(setting.teacher, StudentOf):
            groups.setdefault(_but(study, name, "temperature", "lr"), []).append(name)
    shown = [
        name
        for names in groups.values()
        if len({study.settings[name].distill.softening for name in names}) > 1
        for name in names
    ]
    if shown:
        yield Planned(kind, kind, tuple(shown))


def _losses(kind: str, study: Study) -> Iterator[Planned]:
    """Settings that differ in how their students are distilled, by more than one loss."""
    groups: dict[str, list[str]] = {}
    for name, setting in study.settings.items():
        if setting.distill.switch is None:
            groups.setdefault(_but(study, name, *spec_of(setting.distill)), []).append(name)
    shown = [
        name
        for names in groups.values()
        if len({study.settings[name].distill.registered.name for name in names}) > 1
        for name in names
    ]
    if shown:
        yield Planned(kind, kind, tuple(shown))


def _leak(kind: str, study: Study) -> Iterator[Planned]:
    """Settings whose students see a share of noisy examples, distilled throughout."""
    shown = tuple(
        name
        for name, setting in study.settings.items()
        if setting.student_share is not None
        and setting.distill.switch is None
        and study.datasets[setting.dataset].label_noise is not None
    )
    if shown:
        yield Planned(kind, kind, shown)


def _rounds(kind: str, study: Study) -> Iterator[Planned]:
    """Chains of settings: each one's teacher is the student of the one before."""
    teachers = {n: s.teacher.setting for n, s in study.settings.items()
                if isinstance(s.teacher, StudentOf)}  # fmt: skip
    shown = tuple(name for name in study.settings if name in {*teachers, *teachers.values()})
    if shown:
        yield Planned(kind, kind, shown)


def _but(study: Study, name: str, *left_out: str) -> str:
    """Return a setting as text without what a figure varies, for comparing."""
    setting = study.settings[name]
    distill: dict[str, Any] = spec_of(setting.distill)
    recipe: dict[str, Any] = spec_of(study.recipes[setting.recipe])
    for key in (*left_out, "snapshots"):
        distill.pop(key, None)
        recipe.pop(key, None)
    trained = isinstance(setting.teacher, External)  # elsewhere: by no recipe of the study
    teacher_recipe = None if trained else setting.teacher_recipe or setting.recipe
    return repr(
        (
            setting.dataset,
            setting.teacher,
            teacher_recipe,
            setting.student,
            setting.student_share,
            distill,
            recipe,
        )
    )


PlanFigures = Callable[[str, Study], Iterator[Planned]]

# In the order of the paper's figures, then those that the paper does not have: the page's order.
FIGURES: dict[str, PlanFigures] = {
    "overview": _distilled,
    "confidence": _parts(_distilled, SETTINGS_A_FIGURE),
    "training-curves": _training_curves,
    "switching": _switching,
    "trajectories": _trajectories,
    "bias": _biased(1),
    "steps": _steps,
    "mislabelled": _parts(_noise, 4),
    "noise": _noise,
    "label-class": _parts(_distilled, 4),
    "dissection": _parts(_distilled, 6),
    "measures": _parts(_distilled, 5),
    "equal-accuracy": _equal_accuracy,
    "gradients": _gradients,
    "accuracy": _distilled,
    "calibrated": _distilled,
    "inheritance": _distilled,
    "fidelity": _distilled,
    "pay-off": _distilled,
    "losses": _losses,
    "leak": _leak,
    "link": _biased(2),
    "temperature": _temperature,
    "rounds": _rounds,
    "over-training": _over_training,
}
# Stores that they read beside analyses of confidence: see `disobey.stores.layout.BESIDE`.
FIGURES_BESIDE: Mapping[str, Sequence[str]] = (
    dict.fromkeys(
        ("overview", "bias", "trajectories", "link", "temperature", "rounds", "over-training"),
        ("bias",),
    )
    | dict.fromkeys(("training-curves", "equal-accuracy", "losses"), ("curves",))
    | {"gradients": ("curves", "gradients")}
)
