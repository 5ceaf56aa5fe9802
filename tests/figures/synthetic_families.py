"""Synthetic settings that differ in one thing: round, temperature or switch point."""

from dataclasses import replace

import numpy as np
from synthetic_analyses import make_analysis, put
from synthetic_bias import make_bias, put_bias, put_difference

from disobey.analysis.names import EFFECT, EXAGGERATION, REFERENCE, STUDENT, TEACHER
from disobey.analysis.store import Analysis

LONG = "tiny-imagenet-resnet50-to-mobilenetv2-second-recipe"
HALF, HALF_LOG = 0.01, 0.05


def member(name: str, about: dict, seeds: int = 3, gain: float = 0.02, a: float = 1.1) -> Analysis:
    """A setting with a known accuracy gain and a known A of the student."""
    found = make_analysis(name, seeds)
    analysis = replace(found, about=found.about | {"lr": 0.1, "epochs": 20} | about)
    half = HALF if seeds > 1 else np.nan
    for statistic, model, middle in (
        ("accuracy", REFERENCE, 0.69),
        ("accuracy", STUDENT, 0.69 + gain),
        ("accuracy", EFFECT, gain),
        (EXAGGERATION, REFERENCE, 1.0),
        (EXAGGERATION, STUDENT, a),
        (EXAGGERATION, EFFECT, a - 1),
    ):
        put(analysis, statistic, model, (middle, middle - half, middle + half))
    return analysis


def with_bias(analysis: Analysis, ratio: float = 0.8, layer: str = "hidden_1") -> Analysis:
    """The same setting with a bias analysis in which the student's progress has this ratio."""
    seeds = analysis.splits["test"].sizes["seed"]
    bias = make_bias(analysis.setting, (layer,), seeds)
    half = HALF_LOG if seeds > 1 else np.nan
    middle = np.log(ratio)
    put_bias(bias, layer, "overall", STUDENT, (middle, middle - half, middle + half))
    for placebo in bias.placebos(layer):
        put_difference(bias, layer, placebo, (middle, middle - half, middle + half))
    return replace(analysis, bias=bias)


def make_rounds(chains: int = 1, seeds: int = 3, rounds: int = 3, bias: bool = True) -> dict:
    found = {}
    for chain in range(chains):
        for k in range(1, rounds + 1):
            about = {"round": k} if k > 1 else {}
            about["student"] = f"resnet{chain}"
            about["teacher"] = about["student"] if k == 1 else f"{about['student']}-round{k - 1}"
            name = f"{LONG}-{chain}-round{k}"
            made = member(name, about, seeds, 0.02 / k, 1 + 0.1 * k)
            found[name] = with_bias(made, 0.9**k) if bias else made
    return found


def make_temperatures(
    groups: int = 1,
    seeds: int = 3,
    temperatures: tuple = (1, 2, 4, 8, 16),
    rates: tuple = (0.5, 2),
    bias: bool = True,
) -> dict:
    """Temperatures at one learning rate, and the first and third at others too."""
    found = {}
    for group in range(groups):
        recipes = [(t, 1) for t in temperatures]
        recipes += [(t, rate) for t in temperatures[:3:2] for rate in rates]
        for t, rate in recipes:
            about = {"temperature": float(t), "lr": 0.1 * rate, "student": f"mlp{group}"}
            name = f"{LONG}-{group}-T{t}-lr{rate}"
            shift = np.log2(t) + (rate - 1) / 2
            made = member(name, about, seeds, 0.03 - 0.01 * shift, 1 + 0.05 * (shift - 1))
            found[name] = with_bias(made, 0.7 + 0.04 * np.log2(t)) if bias else made
    return found


def make_shares(
    shares: tuple = (0.5, 0.7), temperatures: tuple = (1, 4, 16), seeds: int = 3
) -> dict:
    """Students that see a share of the examples, with known leak and memory."""
    found = {}
    for share in shares:
        for t in temperatures:
            about = {"temperature": float(t), "student_share": share}
            analysis = member(f"{LONG}-{share}-T{t}", about, seeds)
            analysis.splits["held_out"] = analysis.splits["train"].copy(deep=True)
            half = HALF if seeds > 1 else np.nan
            leak = 0.05 * np.log2(t) * share
            for statistic, reference in (("leak", 0.02), ("memory", 0.9)):
                numbers = {REFERENCE: reference, STUDENT: reference + leak, EFFECT: leak}
                for model, middle in numbers.items():
                    ends = (middle, middle - half, middle + half)
                    put(analysis, statistic, model, ends, "held_out")
            found[analysis.setting] = analysis
    return found


def make_switching(
    points: tuple = (0.25, 0.5, 0.75),
    ramps: tuple = (None,),
    kinds: tuple = ("interpolating", "non_interpolating"),
    seeds: int = 3,
    plain: bool = True,
    fits: dict | None = None,
    groups: int = 1,
) -> dict:
    """Both orders at each switch point, and the student distilled throughout."""
    measured = {"interpolating": 0.999, "non_interpolating": 0.93, None: 0.97} | (fits or {})
    found = {}
    for group in range(groups):
        for kind in kinds:
            about = {"student": f"mlp{group}"} | ({} if kind is None else {"teacher_fits": kind})
            stem = f"{LONG}-{group}-{kind}"
            made = [member(f"{stem}-plain", about, seeds, 0.02)] if plain else []
            for at in points:
                for ramp in ramps:
                    for order, gain in (("distillation_first", at), ("one_hot_first", 1 - at)):
                        switch = {"order": order, "at": at} | (
                            {} if ramp is None else {"ramp": ramp}
                        )
                        name = f"{stem}-{order}-{at}-{ramp}"
                        gain = 0.04 * gain - (0.03 if kind == "non_interpolating" else 0)
                        made.append(member(name, about | {"switch": switch}, seeds, gain))
            for analysis in made:
                train = analysis.splits["train"]
                train["value"].loc[{"statistic": "accuracy", "model": TEACHER}] = measured[kind]
            found |= {analysis.setting: analysis for analysis in made}
    return found
