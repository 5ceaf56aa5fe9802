"""The store of several models over the same examples, which analyses and explorers read.

The store has groups ``train`` and ``test``, or one of them. Each has the logits of the models,
float32 ``(example, class)``, named by role and seed: ``teacher_0``, ``student_0`` and so on, and
``reference_0`` if there are references; teachers beyond the number of students are replicates. It
also has ``example_id``, ``label`` and ``clean_label`` if they are known, and ``class``, the names
of the classes, which are also the attribute ``class_names``, as JSON. If ids are text, ``text``
contains them and ``example_id`` counts them. If a teacher's file has only its top classes, the
attributes ``missing_mass_mean`` and ``missing_mass_max`` of a group are the probability that was
spread evenly over the other classes.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from disobey.analysis.names import REFERENCE, STUDENT, TEACHER
from disobey.comparison.alignment import Aligned
from disobey.stores.writer import NetcdfWriter

# In the order of a pair.
ROLES = (TEACHER, STUDENT, REFERENCE)


def by_role(aligned: Aligned, pairs: int, each: int) -> dict[str, list[np.ndarray]]:
    """Return the logits of all models, (example, class), by role.

    ``aligned`` has ``pairs`` times ``each`` models pair by pair, then the replicates, which are
    appended to the teachers; ``each`` is 2, or 3 with a reference.
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
    """Write the store's groups, one per split, and its attribute ``class_names``.

    See `by_role` for ``pairs`` and ``each``; ``class_names`` defaults to the files' own.
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
