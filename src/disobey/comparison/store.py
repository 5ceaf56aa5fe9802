"""The store of several models over the same examples, which analyses and explorers read.

Groups ``train`` and ``test``, of which one may be missing, each with ``teacher_0``, ``student_0``
and so on ``(example, class)`` float32, by role and seed, ``reference_...`` where there are any;
teachers beyond the number of students are replicates. ``example_id``, and ``label`` and
``clean_label`` where they are known; ``class``, the names of the classes, which the attribute
``class_names`` holds too, as JSON. If ids are text, ``text`` has them and ``example_id`` counts
them. Where a teacher's file has its top classes only, the attributes ``missing_mass_mean`` and
``missing_mass_max`` of a group say how much was spread evenly over the others.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.comparison.alignment import Aligned
from disobey.stores.writer import NetcdfWriter

# In the order in which a pair is given.
ROLES = (TEACHER, STUDENT, REFERENCE)


def by_role(aligned: Aligned, pairs: int, each: int) -> dict[str, list[np.ndarray]]:
    """Return the logits of all models, (example, class), by their roles.

    ``aligned`` has ``pairs`` times ``each`` models pair by pair, then the replicates, which are
    returned as teachers beyond the number of pairs; ``each`` is 2, or 3 with a reference.
    """
    models = aligned.logits
    roles = {role: models[k : pairs * each : each] for k, role in enumerate(ROLES[:each])}
    roles[TEACHER] = [*roles[TEACHER], *models[pairs * each :]]
    return roles


def write_models(
    writer: NetcdfWriter,
    aligned: Mapping[str, Aligned],
    pairs: int,
    each: int,
    class_names: Sequence[str] | None = None,
) -> None:
    """Write the store's groups, one for each split, and its attribute ``class_names``.

    See `by_role` for ``pairs`` and ``each``; without ``class_names`` the files' own are taken.
    """
    names = list(class_names or next(iter(aligned.values())).class_names)
    writer.annotate("/", class_names=json.dumps(names))
    for split, of_split in aligned.items():
        writer.write(split, "class", ("class",), names)
        for role, models in by_role(of_split, pairs, each).items():
            for seed, logits in enumerate(models):
                values = np.asarray(logits, np.float32)
                writer.write(split, f"{role}_{seed}", ("example", "class"), values)
        _write_columns(writer, split, of_split)
        mass = of_split.missing_mass
        if mass is not None:
            about = {"missing_mass_mean": mass.mean(), "missing_mass_max": mass.max()}
            writer.annotate(split, **about)


def _write_columns(writer: NetcdfWriter, split: str, aligned: Aligned) -> None:
    columns = {"label": aligned.label, "clean_label": aligned.clean_label}
    ids = aligned.example_id
    if ids.dtype.kind in "iu":
        columns["example_id"] = ids.astype(np.int64)
    else:
        columns["example_id"], columns["text"] = np.arange(len(ids)), ids
    for name, values in columns.items():
        if values is not None:
            writer.write(split, name, ("example",), values)
