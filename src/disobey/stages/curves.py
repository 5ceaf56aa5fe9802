"""Collect accuracies along training, and compare models that fit their labels equally well."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.curves import Recorded, analyse
from disobey.analysis.histories import check_same_data
from disobey.analysis.names import CONTROLS, REFERENCE, STUDENT, TEACHER
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import HISTORY
from disobey.stores.reader import read_arrays, read_attributes, read_groups
from disobey.training.schedules import distillation_weights, learning_rates

EVALUATE = "evaluate"
ACCURACIES = ("train_accuracy", "test_accuracy")
EXAMPLES = ("train_examples", "test_examples")
MODELS = (TEACHER, REFERENCE, STUDENT, *CONTROLS)


def run(job: "Job") -> None:
    """Read the histories of all runs; write the store of curves."""
    runs, seeds = job.spec["runs"], job.spec["seeds"]
    check_same_data([job.input(id) for ids in runs.values() for id in ids])
    models = {name: read_model(job, runs[name]) for name in MODELS if name in runs}
    first = runs[REFERENCE][0]
    counts = read_attributes(job.input(first).file(f"{first}/{HISTORY}"), EVALUATE)
    print(f"{', '.join(models)}, {len(seeds)} seeds", file=sys.stderr)
    found = analyse(models, seeds).assign_attrs({name: counts[name] for name in EXAMPLES})
    switch = switch_steps(job.input(runs[STUDENT][0]).spec, int(models[STUDENT].step[-1]))
    if switch is not None:
        found.attrs["switch_steps"] = switch
    attributes = {"about": json.dumps(job.spec["about"]), "setting": job.id}
    with job.netcdf(attributes) as writer:
        writer.write_dataset("/", found)


def read_model(job: "Job", ids: Sequence[str]) -> Recorded:
    """Read the recordings of one model's runs of all seeds.

    Raises
    ------
    UserError
        If a run recorded nothing, or at other steps than the first run; the message names it.
    """
    found = [read_accuracies(job.input(id).file(f"{id}/{HISTORY}"), id) for id in ids]
    step = found[0]["step"]
    for id, other in zip(ids, found, strict=True):
        if not np.array_equal(other["step"], step):
            raise UserError(
                f"{id} and {ids[0]}: were evaluated at different steps; train all seeds of a model "
                f"by one recipe"
            )
    return Recorded(step, *(np.stack([one[name] for one in found]) for name in ACCURACIES))


def read_accuracies(history: Path, run: str) -> dict[str, np.ndarray]:
    """Read steps, train and test accuracies of one run, each of shape (point,)."""
    if EVALUATE not in read_groups(history):
        raise UserError(
            f"{run}: recorded no accuracies in training; train it by a recipe with "
            f"evaluate: {{points: 20}}"
        )
    return read_arrays(history, EVALUATE, "step", *ACCURACIES)


def switch_steps(run: Mapping[str, Any], steps: int) -> list[int] | None:
    """Return the range of steps in which the weight of distillation changes.

    Parameters
    ----------
    run : mapping
        The spec of a training.
    steps : int
        The number of steps of the training.

    Returns
    -------
    list of int or None
        The first step of the change and the first step after it. None if nothing is switched, or if
        a recipe in steps has parts in epochs, whose length is not recorded.
    """
    recipe, switch = run["recipe"], run.get("distill", {}).get("switch")
    if switch is None:
        return None
    rates = np.ones(steps)  # a switch in steps does not depend on the actual rates
    if "unit" not in switch:
        if "epochs" not in recipe and _in_epochs(recipe):
            return None
        rates = learning_rates(recipe, steps // recipe.get("epochs", 1))
    weight = distillation_weights({"weight": 1.0, "switch": switch}, rates)
    return [int((weight != weight[0]).argmax()), int((weight == weight[-1]).argmax())]


def _in_epochs(recipe: Mapping[str, Any]) -> bool:
    parts = (recipe.get("warmup"), recipe.get("milestones"))
    return any(isinstance(part, Mapping) and "epochs" in part for part in parts)
