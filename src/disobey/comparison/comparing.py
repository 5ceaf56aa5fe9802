"""Compare files or arrays: read, align and analyse them split by split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import Analysis
from disobey.comparison.alignment import Aligned, Source, align
from disobey.comparison.files import (
    CLASS_NAME,
    LABEL,
    LOGITS,
    ONLY_TEACHERS,
    SPLIT,
    SPLITS,
    TEST,
    TOP_CLASS,
    UNNAMED,
    Splits,
    examples_first,
    named,
    of_coordinates,
    read_file,
    table_splits,
    table_values,
    whole,
)
from disobey.comparison.result import Comparison
from disobey.comparison.store import ROLES, by_role
from disobey.errors import UserError

SMALLEST_PAIR = 2  # a pair without a reference


def compare_models(
    pairs: Sequence[Sequence[Any]],
    replicates: Sequence[Any],
    labels: Any = None,
    probabilities: bool = False,
    split: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare students with their teachers; arguments as in `disobey.compare`.

    ``pairs`` are (teacher, student) or (teacher, student, reference). A `UserError` refuses
    unreadable or invalid input.
    """
    _check_pairs(pairs)
    if _is_path(replicates):
        raise UserError(f"replicates: is one model, {replicates}; write a list: [{replicates!r}]")
    for name, number in (("resamples", resamples), ("seed", seed)):
        if number < 0:
            raise UserError(f"{name}: must be at least 0, got {number}")
    models = _named_models(pairs, replicates)
    analyses, notes = {}, []
    aligned = align_models(pairs, replicates, labels, probabilities, split)
    for name, of_split in aligned.items():
        # On the training set the examples are the population: nothing to resample.
        drawn = resamples if name == TEST else 0
        roles = by_role(of_split, len(pairs), len(pairs[0]))
        found = analyse(SplitLogits(roles, of_split.label, of_split.clean_label), drawn, seed)
        analyses[name] = found.assign_coords(seed=np.arange(len(pairs)))
        notes.append(of_split.note)
    teacher, student, *_ = models
    setting = f"{teacher} -> {student}" + (f" and {len(pairs) - 1} more" if pairs[1:] else "")
    analysis = Analysis(setting, {"teacher": teacher, "student": student}, analyses)
    count = len(pairs) - 1 + len(replicates)
    return Comparison(analysis, count, tuple(dict.fromkeys(notes)), aligned)


def align_models(
    pairs: Sequence[Sequence[Any]],
    replicates: Sequence[Any],
    labels: Any = None,
    probabilities: bool = False,
    split: str | None = None,
    labels_are_of: str = "labels",
    class_names: Sequence[str] | None = None,
    top_classes: bool = False,
) -> dict[str, Aligned]:
    """Read all models and bring their rows into one order, split by split.

    Within a split, models are ordered pair by pair, followed by the replicates.

    Parameters
    ----------
    pairs : sequence of (teacher, student) or (teacher, student, reference)
        Or sequence of (teacher,), for students that do not exist yet.
    labels_are_of : str
        The name in messages of labels that do not come from a file.
    class_names : sequence of str, optional
        The names of the classes; files with other class names are refused.
    top_classes : bool
        True if files may contain only the top classes; see `disobey.comparison.files.completed`.

    Raises
    ------
    UserError
        For unreadable or invalid input.
    """
    if split not in (None, *SPLITS):
        raise UserError(f"split: {split!r} is not train or test")
    models = _named_models(pairs, replicates)
    of = str(labels) if _is_path(labels) else labels_are_of
    read = [_read(model, name, LOGITS) for name, model in models.items()]
    read.append({} if labels is None else _read(labels, of, LABEL))
    *of_models, of_labels = _named_splits(read, split)
    by_name = dict(zip(models, of_models, strict=True))
    _check_splits(by_name, of_labels, of)
    for name, splits in by_name.items():
        if not top_classes and any(TOP_CLASS in columns for columns in splits.values()):
            raise UserError(f"{name}: {ONLY_TEACHERS}")
    if class_names is not None:
        _hold_against(class_names, by_name, of)

    def source(file: str, splits: Splits, name: str) -> Source:
        return Source(file, splits[name], name if len(splits) > 1 else "")

    aligned = {}
    for name in filter(of_models[0].__contains__, SPLITS):
        given = [source(file, splits, name) for file, splits in by_name.items()]
        told = source(of, of_labels, name) if name in of_labels else None
        aligned[name] = align(given, told, probabilities)
    return aligned


def _hold_against(class_names: Sequence[str], models: Mapping[str, Splits], of: str) -> None:
    """Refuse models with other classes; if no class names are shared, compare only their number."""
    for name, splits in models.items():
        for columns in splits.values():
            classes = columns[LOGITS].shape[1:]
            if classes and classes != (len(class_names),):
                raise UserError(
                    f"{name}: has {classes[0]} classes, but {of} has {len(class_names)}: "
                    f"{', '.join(class_names)}"
                )
            own = list(map(str, columns.pop(CLASS_NAME, ())))
            if set(own) & set(class_names) and own != list(class_names):
                raise UserError(
                    f"{name}, classes: {', '.join(own)}, but those of {of} are "
                    f"{', '.join(class_names)}; classes must be the same and in the same order"
                )


def _named_models(pairs: Sequence[Sequence[Any]], replicates: Sequence[Any]) -> dict[str, Any]:
    """Return all models by file or role, pair by pair, followed by the replicates."""
    roles = [
        (f"{role} of pair {k}" if pairs[1:] else role, model)
        for k, pair in enumerate(pairs, 1)
        for role, model in zip(ROLES, pair, strict=False)  # the last may be missing
    ]
    roles += [(f"replicate {k}", model) for k, model in enumerate(replicates, 1)]
    names = [str(model) if _is_path(model) else role for role, model in roles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"a file is given twice: {', '.join(twice)}")
    return dict(zip(names, (model for _, model in roles), strict=True))


def _check_pairs(pairs: Sequence[Sequence[Any]]) -> None:
    sizes = {len(pair) for pair in pairs}
    for size in sorted(sizes - {SMALLEST_PAIR, len(ROLES)}):
        raise UserError(
            f"a pair has {size} models; give teacher and student, or teacher, student and reference"
        )
    if len(sizes) > 1:
        raise UserError(
            "some pairs have a reference and some have none; give one in each, or in none"
        )


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)


def _read(model: Any, name: str, main: str) -> Splits:
    """Return the splits of a model or of labels, by the names that their arrays give them."""
    if _is_path(model):
        return read_file(Path(model), main)
    if not isinstance(model, Mapping):
        return _splits_of(model, name, f"{name}, {main}", main)
    arrays, beside = {}, {}
    for key, given in ((str(key), given) for key, given in model.items()):
        where = f"{name}, {key}"
        if key in (main, *SPLITS):
            read = _splits_of(given, where, where, main)
            if UNNAMED not in read:
                raise UserError(f"{where}: has a column {SPLIT}; remove it, or give it alone")
            beside[key] = read[UNNAMED]
            arrays[key] = beside[key].pop(main)
        else:
            arrays[key] = _array(where, given)
    splits = named(name, arrays, main)
    for key, columns in beside.items():
        split = key if key in SPLITS else UNNAMED
        splits[split] = columns | splits[split]
    return splits


def _splits_of(model: Any, name: str, where: str, main: str) -> Splits:
    """Return the splits of a table or an array, with its ids and class names."""
    if hasattr(model, "iloc"):  # of pandas
        splits = table_splits(name, model.to_frame(main) if model.ndim == 1 else model, main)
        if not any(main in columns for columns in splits.values()):
            raise UserError(f"{name}: holds no {main}")
        return splits
    dims = getattr(model, "dims", ())  # of xarray
    beside = {dim: model.coords[dim].to_numpy() for dim in dims if dim in model.coords}
    return {UNNAMED: of_coordinates(dims, beside) | {main: _array(where, model)}}


def _array(where: str, given: Any) -> np.ndarray:
    """Return the given data as an array, (example, class); refuse masked values."""
    if hasattr(given, "iloc"):  # of pandas
        return table_values(where, given)
    try:
        values = np.asanyarray(given) if np.ma.isMaskedArray(given) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{where}: cannot be read as an array ({error}); give one of numpy, or of torch "
            f"tensor.detach().float().cpu()"
        ) from None
    return whole(where, examples_first(values, getattr(given, "dims", ())))


def _named_splits(read: Sequence[Splits], split: str | None) -> list[Splits]:
    """Assign arrays without the name of a split to ``split``, by default to test."""
    if split is not None and not any(UNNAMED in splits for splits in read):
        raise UserError(f"split {split}: every array says of which split it is; leave it out")
    return [
        {known or split or TEST: columns for known, columns in splits.items()} for splits in read
    ]


def _check_splits(read: Mapping[str, Splits], labels: Splits, name: str) -> None:
    """Refuse models with other splits than the first, and labels of a split that no model has."""
    first, *rest = read
    splits = read[first]
    for other in rest:
        if set(read[other]) != set(splits):
            raise UserError(
                f"{other}: holds the splits {_listed(read[other])}, but {first} holds "
                f"{_listed(splits)}; give the same of every model"
            )
    if any(split not in splits for split in labels):
        raise UserError(
            f"{name}: labels of {_listed(labels)}, but the models hold {_listed(splits)}; call the "
            f"arrays {_listed(splits)}, or say --split"
        )


def _listed(splits: Any) -> str:
    return " and ".join(split for split in SPLITS if split in splits)
