"""Optional components of a training: each is used only by the runs whose specs request it.

A training imports them by their places, and the plan lists these places among the roots of the
job's code. So an edit of a component makes only the trainings that use it stale. Torch is not
imported here, because the plan reads this module.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from disobey.training.losses import loss_of

PACKAGE = "disobey.training"


def components(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the place, ``module:definition``, of each component that a run's spec requests."""
    recipe, distill = spec["recipe"], spec.get("distill", {})
    loss = loss_of(distill).function
    stored = "stored_views" if "augment" in spec else "stored_logits"
    places = {
        "loss": (f"{loss.__module__}:{loss.__name__}", bool(distill)),
        "switch": (f"{PACKAGE}.schedules:switched_weights", "switch" in distill),
        "progress": (f"{PACKAGE}.progress:make_tracker", "progress" in spec),
        "evaluate": (f"{PACKAGE}.evaluation:make_evaluation", recipe.get("evaluate")),
        "snapshots": (f"{PACKAGE}.checkpoint:Snapshots", recipe.get("snapshots")),
        "augment": (f"{PACKAGE}.inputs:augmented_training_inputs", "augment" in spec),
        "views": (f"{PACKAGE}.inputs:show_views", "augment" in spec),
        "compile": (f"{PACKAGE}.compiled:compiled_forward", recipe.get("compile")),
        "cuda_graph": (f"{PACKAGE}.compiled:graphed_training", recipe.get("cuda_graph")),
        "start": (
            "disobey.models.pretrained:load_checkpoint",
            "pretrained" in spec.get("model", ()),
        ),
        "teacher": (
            f"{PACKAGE}.teachers:{'live_teacher' if distill.get('live') else stored}",
            "teacher" in distill,
        ),
    }
    return {name: place for name, (place, asked) in places.items() if asked}


def component(spec: Mapping[str, Any], name: str) -> Any:
    """Import a component by its key in `components`; None if the spec does not request it."""
    module, _, definition = components(spec).get(name, "").partition(":")
    return getattr(importlib.import_module(module), definition) if module else None
