"""Synthetic curves: histories that no training made, analysed as the stage does."""

from dataclasses import replace

import numpy as np
from synthetic_analyses import make_analyses
from synthetic_families import make_switching, member

from disobey.analysis.curves import Curves, Recorded, analyse
from disobey.analysis.names import REFERENCE, STUDENT, TEACHER

LAST = 4000
STEP = np.unique(np.geomspace(1, LAST, 40).astype(int))


def recorded(rng, seeds, rate=1.0, gain=0.0, best=0.97) -> Recorded:
    time = rate * STEP / 500
    train = 0.1 + (best - 0.1) * (1 - np.exp(-time)) + 0.006 * rng.normal(size=(seeds, len(STEP)))
    test = 0.1 + 0.8 * (train - 0.1) + gain * (train - 0.1)
    test = test + 0.006 * rng.normal(size=train.shape) + 0.003 * rng.normal(size=(seeds, 1))
    return Recorded(STEP, np.clip(train, 0, 1), np.clip(test, 0, 1))


def make_curves(setting, about, seeds=3, salt=0, gain=0.03, placebos=("half_lr",)) -> Curves:
    """Curves of a setting; the student is better by ``gain`` times its train accuracy."""
    rng = np.random.default_rng(salt)
    models = {
        TEACHER: recorded(rng, seeds),
        REFERENCE: recorded(rng, seeds),
        STUDENT: recorded(rng, seeds, 0.7, gain, 0.9),
        **{placebo: recorded(rng, seeds, 0.5) for placebo in placebos},
    }
    data = analyse(models, range(seeds)).assign_attrs(train_examples=1000, test_examples=500)
    switch = about.get("switch")
    if switch is not None:
        around = switch.get("ramp", 0) / 2
        steps = [round(LAST * (switch["at"] + part)) for part in (-around, around)]
        data = data.assign_attrs(switch_steps=steps)
    return Curves(setting, about, data)


def with_curves(analyses, seeds=3, **options):
    """Give each analysis curves, of gains that grow with the switch point."""
    found = {}
    for salt, (name, analysis) in enumerate(analyses.items()):
        at = analysis.about.get("switch", {}).get("at", 1)
        curves = make_curves(name, analysis.about, seeds, salt, gain=0.06 * at, **options)
        found[name] = replace(analysis, curves=curves)
    return found


def make_evaluated(count=1, seeds=3, **options):
    return with_curves(make_analyses(count, seeds), seeds, **options)


def make_switched(points=(0.5,), seeds=3, **options):
    return with_curves(make_switching(points, kinds=(None,), seeds=seeds, **options), seeds)


def make_snapshots(epochs=(1, 5), switches=(), seeds=3):
    """A setting without a switch and one per switch, each with snapshots, of 20 epochs."""
    abouts = {"plain": {}}
    abouts |= {f"{order}-{at}": {"switch": {"order": order, "at": at}} for order, at in switches}
    found = {}
    for name, about in abouts.items():
        for epoch in epochs:
            snapshot = f"{name}@{epoch}"
            found[snapshot] = member(snapshot, about | {"epoch": epoch}, seeds)
        found[name] = member(name, about, seeds)
    return found
