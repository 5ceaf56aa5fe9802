"""From files or arrays to a comparison: read, align, analyse, split by split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disobey.analysis.store import Analysis
from disobey.comparison.alignment import Aligned, Source, align
from disobey.comparison.checks import Place
from disobey.comparison.files import LABEL, LOGITS, SPLITS, TEST, UNNAMED, Splits, named, read_file
from disobey.comparison.pairs import Pair, analyse_pairs, with_each_other
from disobey.comparison.result import Comparison
from disobey.errors import UserError

SMALLEST_PAIR, LARGEST_PAIR = 2, 3  # teacher and student; and a reference


def compare_models(
    pairs: Sequence[Sequence[Any]],
    replicates: Sequence[Any],
    labels: Any = None,  # noqa: ANN401 - an array, a mapping or a path
    probabilities: bool = False,
    split: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare students with their teachers; arguments as in `disobey.compare`.

    Parameters
    ----------
    pairs : sequence of (teacher, student) or (teacher, student, reference)

    Raises
    ------
    UserError
        For what cannot be read or cannot be right.
    """
    _check_call(pairs, split)
    single = len(pairs) == 1
    models = {
        _name(model, role, "" if single else f" of pair {k}"): model
        for k, pair in enumerate(pairs, 1)
        for role, model in zip(("teacher", "student", "reference"), pair, strict=False)
    } | {_name(model, f"replicate {k}"): model for k, model in enumerate(replicates, 1)}
    if len(models) != sum(map(len, pairs)) + len(replicates):
        raise UserError("a file is given twice: " + ", ".join(_given_twice(pairs, replicates)))
    read = {name: _read(model, name, LOGITS) for name, model in models.items()}
    of = _name(labels, "labels")
    of_labels = {} if labels is None else _read(labels, of, LABEL)
    splits = _named_splits([*read.values(), of_labels], split)
    *of_models, of_labels = splits
    read = dict(zip(read, of_models, strict=True))
    _check_splits(read, of_labels, of)
    aligned = {
        name: _align(read, of_labels, name, of, probabilities)
        for name in SPLITS
        if name in of_models[0]
    }
    sizes = [len(pair) for pair in pairs]
    analyses = {
        name: analyse_pairs(_pairs(found, sizes), resamples if name == TEST else 0, seed)
        for name, found in aligned.items()
    }
    names = list(models)
    setting = f"{names[0]} -> {names[1]}" + ("" if single else f" and {len(pairs) - 1} more")
    about = {"teacher": names[0], "student": names[1]}
    notes = dict.fromkeys(found.note for found in aligned.values())
    others = len(pairs) - 1 + len(replicates)
    return Comparison(Analysis(setting, about, analyses), others, tuple(notes))


def _check_call(pairs: Sequence[Sequence[Any]], split: str | None) -> None:
    if split not in (None, *SPLITS):
        raise UserError(f"split: {split!r} is not train or test")
    for pair in pairs:
        if not SMALLEST_PAIR <= len(pair) <= LARGEST_PAIR:
            raise UserError(
                f"a pair has {len(pair)} models; give teacher and student, or teacher, student and "
                f"reference"
            )
    if len({len(pair) for pair in pairs}) > 1:
        raise UserError(
            "some pairs have a reference and some have none; give one in each, or in none"
        )


def _given_twice(pairs: Sequence[Sequence[Any]], replicates: Sequence[Any]) -> list[str]:
    names = [str(model) for models in (*pairs, replicates) for model in models if _is_path(model)]
    return sorted({name for name in names if names.count(name) > 1})


def _is_path(model: Any) -> bool:  # noqa: ANN401
    return isinstance(model, str | Path)


def _name(model: Any, role: str, of: str = "") -> str:  # noqa: ANN401
    """Return what a model is called in messages: its file, or its role."""
    return str(model) if _is_path(model) else role + of


def _read(model: Any, name: str, main: str) -> Splits:  # noqa: ANN401
    """Return the splits of a model or of labels, as their arrays call them."""
    if _is_path(model):
        return read_file(Path(model), main)
    if isinstance(model, Mapping):
        return named(name, {str(key): np.asarray(array) for key, array in model.items()}, main)
    return {UNNAMED: {main: np.asarray(model)}}


def _named_splits(read: Sequence[Splits], split: str | None) -> list[Splits]:
    """Let arrays that do not say of which split they are be of ``split``, or else of test."""
    if split is not None and not any(UNNAMED in splits for splits in read):
        raise UserError(f"split {split}: every array says of which split it is; leave it out")
    return [
        {known or split or TEST: columns for known, columns in splits.items()} for splits in read
    ]


def _check_splits(read: Mapping[str, Splits], labels: Splits, name: str) -> None:
    """Refuse models of other splits than the first, and labels of a split that no model has."""
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


def _listed(splits: Any) -> str:  # noqa: ANN401 - any iterable of names
    return " and ".join(split for split in SPLITS if split in splits)


def _align(
    read: Mapping[str, Splits], labels: Splits, split: str, name: str, probabilities: bool
) -> Aligned:
    def source(of: str, splits: Splits) -> Source:
        return Source(Place(of, split if len(splits) > 1 else ""), splits[split])

    models = [source(of, splits) for of, splits in read.items()]
    return align(models, source(name, labels) if split in labels else None, probabilities)


def _pairs(aligned: Aligned, sizes: Sequence[int]) -> list[Pair]:
    """Return the pairs, the first ``sum(sizes)`` of the models, with all that are replicates."""
    logits = iter(aligned.logits)
    models = [[next(logits) for _ in range(size)] for size in sizes]
    replicates = list(logits)
    label, clean_label = aligned.label, aligned.clean_label
    pairs = []
    for teacher, student, *rest in models:
        reference = rest[0] if rest else None
        pairs.append(Pair(teacher, student, replicates, reference, label, clean_label))
    return with_each_other(pairs)
