"""How a setting's student sees its teacher: from stored logits, or live. Pure."""

from dataclasses import dataclass
from typing import Any

from disobey.data.views import number_of_slabs
from disobey.strict import spec_of
from disobey.study.models import Setting, Study
from disobey.study.sizes import sizes_of
from disobey.training.schedules import number_of_epochs

BYTES = {"float32": 4, "float16": 2}
GB = 1e9


@dataclass(frozen=True)
class Seen:
    """How a student sees its teacher.

    Attributes
    ----------
    spec : dict
        What ``distill`` of a run's spec says of it.
    why : str
        In words, for the plan; empty where there is no augmentation and nothing was asked for.
    """

    spec: dict[str, Any]
    why: str


def seen_teacher(study: Study, setting: Setting) -> Seen:
    """Return how the students of a setting see their teachers, as asked for or by size."""
    if not setting.distill.registered.needs_teacher:
        return Seen({}, "")
    augment, asked = study.datasets[setting.dataset].augment, setting.distill.teacher
    if augment is None:
        live = asked == "live"
        return Seen({"live": True} if live else {}, "teacher live, as asked for" if live else "")
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    epochs = number_of_epochs(spec_of(study.recipes[setting.recipe]), data.train)
    slabs = number_of_slabs(spec_of(augment), epochs)
    dtype, limit = study.views.dtype, study.views.limit_gb
    size = slabs * data.train * data.shape.classes * BYTES[dtype] / GB
    stored = f"{slabs} views of each image, {size:.3g} GB of {dtype} a teacher"
    live = asked == "live" or (asked is None and size > limit)
    reason = f"limit_gb is {limit:g}" if asked is None else "as asked for"
    if live:
        return Seen({"live": True}, f"teacher live instead of {stored} ({reason})")
    return Seen({} if dtype == "float32" else {"views": dtype}, f"teacher from {stored} ({reason})")
