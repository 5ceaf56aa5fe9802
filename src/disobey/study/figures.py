"""Plan of the figures of a study: each is drawn if the study has the data for it. Pure."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from disobey.stores import layout
from disobey.strict import spec_of
from disobey.study.external_models import noise_of
from disobey.study.models import External, Setting, StudentOf, Study


class Planned(NamedTuple):
    """A figure: its kind, its name, and the settings (or snapshots of them) that it shows."""

    kind: str
    name: str
    settings: tuple[str, ...]


Choose = Callable[[Study], Iterable[str]]
PlanFigures = Callable[[str, Study], Iterator[Planned]]


def figures_of(study: Study) -> list[Planned]:
    """Return all figures of a study, those of the whole study first."""
    return [figure for kind, plan in FIGURES.items() for figure in plan(kind, study)]


# --- one figure of all chosen settings, or one per setting ---------------------------------------


def _one(choose: Choose, least: int = 1, most: int | None = None) -> PlanFigures:
    """Plan a figure if at least ``least`` settings are chosen, split into parts above ``most``.

    The parts are as even as possible: five settings become two and three.
    """

    def plan(kind: str, study: Study) -> Iterator[Planned]:
        names = tuple(choose(study))
        number = 1 if most is None else -(-len(names) // most)
        starts = [len(names) * part // number for part in range(number + 1)] if names else []
        for part, (start, end) in enumerate(itertools.pairwise(starts), 1):
            ending = f"-{part}" if number > 1 else ""
            if len(names) >= least:
                yield Planned(kind, f"{kind}{ending}", names[start:end])

    return plan


def _each(choose: Choose) -> PlanFigures:
    def plan(kind: str, study: Study) -> Iterator[Planned]:
        for name in choose(study):
            yield Planned(kind, f"{kind}-{name}", (name,))

    return plan


def _where(holds: Callable[[Study, Setting], object]) -> Choose:
    """Return a function that chooses the settings for which ``holds`` is true."""
    return lambda study: [name for name, one in study.settings.items() if holds(study, one)]


def _throughout(study: Study, setting: Setting) -> bool:
    """Return whether a setting has no switch; settings with one have figures of their own."""
    return setting.distill.switch is None


def _is_noisy(study: Study, setting: Setting) -> bool:
    return _throughout(study, setting) and study.datasets[setting.dataset].label_noise is not None


def _is_evaluated(study: Study, setting: Setting) -> bool:
    """Return whether a setting's models record accuracies along training."""
    return study.recipes[setting.recipe].evaluate is not None


def _distilled(study: Study) -> list[str]:
    return [*_where(_throughout)(study), *study.comparisons]


def _noisy(study: Study) -> list[str]:
    return [*_where(_is_noisy)(study), *(n for n in study.comparisons if noise_of(study, n))]


_biased = _where(lambda _, setting: setting.bias is not None)
_paired = _where(lambda _, setting: setting.bias is not None and setting.bias.pairs is not None)
_equal_accuracy = _where(lambda study, one: _is_evaluated(study, one) and _throughout(study, one))
# Settings whose students see only a share of noisily labelled examples.
_leaking = _where(lambda study, one: one.student_share is not None and _is_noisy(study, one))


def _switched(study: Study) -> list[str]:
    """Choose settings with a switch, and equal ones without a switch: the ends of the axis."""
    switched = {n for n, setting in study.settings.items() if setting.distill.switch is not None}
    alike = {_but(study, name, "switch") for name in switched}
    return [n for n in study.settings if n in switched or _but(study, n, "switch") in alike]


def _varied(
    study: Study,
    key: Callable[[Setting], Sequence[str]],
    value: Callable[[Setting], object],
    among: Callable[[Setting], bool] = lambda _: True,
) -> list[str]:
    """Choose the settings that differ only in some keys, if these have more than one value."""
    groups: dict[str, list[str]] = {}
    for name, setting in study.settings.items():
        if _throughout(study, setting) and among(setting):
            groups.setdefault(_but(study, name, *key(setting)), []).append(name)
    differ = [
        names for names in groups.values() if len({value(study.settings[n]) for n in names}) > 1
    ]
    return [name for names in differ for name in names]


def _temperatures(study: Study) -> list[str]:
    """Choose settings that differ in temperature, and possibly in learning rate."""
    return _varied(
        study,
        lambda _: ("temperature", "lr"),
        lambda setting: setting.distill.softening,
        lambda setting: not isinstance(setting.teacher, StudentOf),
    )


def _losses(study: Study) -> list[str]:
    """Choose settings that differ only in ``distill``, if they have more than one loss."""
    return _varied(
        study,
        lambda setting: tuple(spec_of(setting.distill)),
        lambda setting: setting.distill.registered.name,
    )


def _rounds(study: Study) -> list[str]:
    """Choose chains of settings, where each teacher is the student of the setting before."""
    teachers = {n: s.teacher.setting for n, s in study.settings.items()
                if isinstance(s.teacher, StudentOf)}  # fmt: skip
    return [name for name in study.settings if name in {*teachers, *teachers.values()}]


# --- figures of snapshots ------------------------------------------------------------------------


def _snapshots(study: Study, name: str) -> list[str]:
    epochs = study.recipes[study.settings[name].recipe].snapshots or []
    return [layout.snapshot_of(name, epoch) for epoch in epochs]


_over_trained = _where(lambda _, setting: setting.over_training)


def _over_training(kind: str, study: Study) -> Iterator[Planned]:
    for name in _over_trained(study):
        yield Planned(kind, f"{kind}-{name}", (*_snapshots(study, name), name))


def _steps(kind: str, study: Study) -> Iterator[Planned]:
    """Plan a figure per group of settings that have snapshots and differ only in the switch."""
    groups: dict[tuple[object, ...], dict[str, str]] = {}
    for name in _over_trained(study):
        epochs = study.recipes[study.settings[name].recipe].snapshots or []
        group = groups.setdefault((_but(study, name, "switch"), *epochs), {})
        group.setdefault(_but(study, name), name)  # a point of a sweep may be another setting
    for distinct in groups.values():
        names = list(distinct.values())
        shown = [snapshot for name in names for snapshot in _snapshots(study, name)]
        yield Planned(kind, f"{kind}-{names[0]}", (*shown, *names))


def _but(study: Study, name: str, *left_out: str) -> str:
    """Return a setting as text, without the keys that a figure varies, for comparison."""
    setting = study.settings[name]
    distill: dict[str, Any] = spec_of(setting.distill)
    recipe: dict[str, Any] = spec_of(study.recipes[setting.recipe])
    for key in (*left_out, "snapshots"):
        distill.pop(key, None)
        recipe.pop(key, None)
    trained = isinstance(setting.teacher, External)  # it has no recipe in the study
    teacher = setting.teacher, None if trained else setting.teacher_recipe or setting.recipe
    return repr((setting.dataset, teacher, setting.student, setting.student_share, distill, recipe))


# In the order of the page: first the paper's figures, then those that the paper does not have.
FIGURES: dict[str, PlanFigures] = {
    "overview": _one(_distilled),
    "confidence": _one(_distilled, most=4),
    "training-curves": _one(_where(_is_evaluated)),
    "switching": _one(_switched),
    "trajectories": _each(_paired),
    "bias": _one(_biased),
    "steps": _steps,
    "mislabelled": _one(_noisy, most=4),
    "noise": _one(_noisy),
    "label-class": _one(_distilled, most=4),
    "dissection": _one(_distilled, most=6),
    "measures": _one(_distilled, most=5),
    "equal-accuracy": _one(_equal_accuracy),
    "gradients": _each(_where(Study.has_directions)),
    "accuracy": _one(_distilled),
    "calibrated": _one(_distilled),
    "inheritance": _one(_distilled),
    "fidelity": _one(_distilled),
    "pay-off": _one(_distilled),
    "losses": _one(_losses),
    "leak": _one(_leaking),
    "link": _one(_biased, least=2),
    "temperature": _one(_temperatures),
    "rounds": _one(_rounds),
    "over-training": _over_training,
}
# Stores that they read besides analyses of confidence; see `disobey.stores.layout.BESIDE`.
FIGURES_BESIDE: Mapping[str, Sequence[str]] = (
    dict.fromkeys(
        ("overview", "bias", "trajectories", "link", "temperature", "rounds", "over-training"),
        ("bias",),
    )
    | dict.fromkeys(("training-curves", "equal-accuracy", "losses"), ("curves",))
    | {"gradients": ("curves", "gradients")}
)
