"""Files of logits from any framework: npz, npy, parquet, and netCDF as this package writes it.

Every format is read into splits with columns: ``logits``, and ``label``, ``clean_label``,
``example_id`` and ``class_name`` if the file has them. Readers check that the columns are
unambiguous and that no value is missing; `check_numbers` refuses values that cannot be logits.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disobey.analysis.names import SPLITS, TEST, TRAIN
from disobey.analysis.quality import softened
from disobey.errors import UNREADABLE_ARRAYS, UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

# The split of arrays whose names contain no split.
UNNAMED = ""
LOGITS, LABEL, CLEAN_LABEL, ID, CLASS_NAME = (
    "logits", "label", "clean_label", "example_id", "class_name",
)  # fmt: skip
OF_EXAMPLES = (LOGITS, LABEL, CLEAN_LABEL, ID)
SPLIT = "split"  # the column of a table with the split of each row
NUMBERED = re.compile(r"(.*?)(\d+)")  # a column with the logits of one class: 3, c3, logit_3
TOP_CLASS, TOP_LOGIT, MISSING_MASS, CLASSES = "top_class", "top_logit", "missing_mass", "classes"
# The valid kinds of numpy dtypes of each column.
OF_TOP = {TOP_CLASS: "iu", TOP_LOGIT: "iuf", MISSING_MASS: "f"}
# The largest logit of a store, which uses this type: a larger number becomes infinite.
LARGEST = np.finfo(np.float32).max
# Largest share of spread probability in a student's targets, mean over examples [our choice].
LARGEST_SPREAD = 0.1
ONLY_TEACHERS = (
    "holds the top classes alone, and what was spread over the others would be compared as if it "
    "were the model's; give logits of all classes"
)
ROUNDING = 1e-3
ZERO = (
    "is not between 0 and 1; where it was rounded to 0, sum the other classes' probabilities "
    "themselves, or give fewer top classes"
)
ROWS = "rows are counted from 0"

Columns = dict[str, np.ndarray]
Splits = dict[str, Columns]


def read_file(path: Path, main: str = LOGITS) -> Splits:
    """Read a file of logits, or with ``main="label"`` one of labels.

    The suffix of its name determines the format, see `READERS`. ``main`` is the column of an array
    that is named after its split only, or has no name. The result maps ``train`` and ``test``, or
    the one split without a name, to their columns.

    Raises
    ------
    UserError
        If the file is missing, unreadable or ambiguous.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    if path.suffix.lower() not in READERS:
        raise UserError(
            f"{path}: has an unknown format; name a file that ends in {', '.join(READERS)}. Any "
            f"framework can write numpy.savez('model.npz', test=logits), an array (example, class)"
        )
    splits = READERS[path.suffix.lower()](path, main)
    for split, columns in splits.items():
        _complete(f"{path}, {split}" if split else str(path), columns)
    if not any(main in columns for columns in splits.values()):
        raise UserError(f"{path}: holds no {main}")
    return splits


def _complete(where: str, columns: Columns) -> None:
    """Add logits of all classes if a split has only the top classes, which are kept."""
    known = columns.pop(CLASSES, None)
    if TOP_CLASS not in columns and TOP_LOGIT not in columns:
        return
    if LOGITS in columns:
        raise UserError(f"{where}: holds logits of all classes and of the top ones; remove one")
    classes = np.asarray(len(columns[CLASS_NAME]) if CLASS_NAME in columns else known).ravel()
    number = classes.size == 1 and classes.dtype.kind in "iuf"
    if not number or classes[0] < 2 or classes[0] % 1:
        raise UserError(
            f"{where}: of how many classes are these the top ones? Add an array {CLASSES}, their "
            f"number, or {CLASS_NAME}, their names"
        )
    columns[LOGITS] = completed(where, columns, int(classes[0]))


def refuse_rows(where: str, wrong: np.ndarray, what: str, values: np.ndarray | None = None) -> None:
    """Refuse an array with ``wrong`` rows, (row,); name the first, its value and their number."""
    rows = np.flatnonzero(wrong)
    if rows.size:
        value = "" if values is None else f"{values[rows[0]]} "
        raise UserError(
            f"{where}, row {rows[0]}: {value}{what} ({rows.size} of {len(wrong)} rows; {ROWS})"
        )


def whole(where: str, values: np.ndarray) -> np.ndarray:
    """Return an array without its mask; a `UserError` names the row of a masked value."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    missing = np.atleast_1d(np.ma.getmaskarray(values))
    what = "is missing (masked, marked as missing, or never written); give all of them"
    refuse_rows(where, np.asarray(missing.reshape(len(missing), -1).any(1)), what)
    return np.asarray(values.data)


def examples_first(values: np.ndarray, dims: Sequence[object]) -> np.ndarray:
    """Return an array as (example, class), transposed if its dimensions are named in reverse."""
    return values.T if _are_turned(dims) else values


def _are_turned(dims: Sequence[object]) -> bool:
    names = [str(name).lower() for name in dims]
    return len(names) == 2 and (names[0].startswith("class") or names[1].startswith("example"))


def of_coordinates(dims: Sequence[object], values: Mapping[object, np.ndarray]) -> Columns:
    """Return the ids, (example,), and class names, (class,), of the coordinates, if any.

    ``dims`` are the names of the logits' dimensions, ``values`` the coordinates by these names. Ids
    are unique whole numbers or text; class names that merely count the classes are ignored.
    """
    in_order = reversed(dims) if _are_turned(dims) else dims
    found = {
        column: values[name]
        for column, name in zip((ID, CLASS_NAME), in_order, strict=False)
        if name in values
    }
    ids = found.get(ID, np.zeros(0))
    if ids.dtype.kind not in "iuSUO" or len(set(ids.tolist())) < len(ids):
        found.pop(ID, None)
    if _count_only(found.get(CLASS_NAME, ())):
        found.pop(CLASS_NAME, None)
    return found


def _count_only(names: Sequence[object] | np.ndarray) -> bool:
    """Return True if class names are merely the numbers of the classes."""
    return list(map(str, names)) == list(map(str, range(len(names))))


# --- numpy -----------------------------------------------------------------------------------


def _numpy(path: Path, main: str) -> Splits:
    """Read one array (npy), or several with names (npz)."""
    try:
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            return {UNNAMED: {main: opened}}
        with opened:
            arrays = {name: opened[name] for name in opened.files}
    except UNREADABLE_ARRAYS as error:
        kind = path.suffix[1:].lower()
        raise UserError(
            f"{path}: cannot be read as {kind} ({error}); save arrays of numbers with "
            f"numpy.{'savez' if kind == 'npz' else 'save'}, no objects"
        ) from None
    return named(str(path), arrays, main)


def named(where: str, arrays: Mapping[str, np.ndarray], main: str = LOGITS) -> Splits:
    """Sort arrays by their names: ``test``, ``logits``, ``test_label``, ``label``, ...

    ``where`` is the name of their source in messages; ``main`` is as in `read_file`. A `UserError`
    refuses a name that is unknown, given twice, or ambiguous as to its split.
    """
    roles = _roles(main)
    splits: Splits = {}
    for name, array in arrays.items():
        if name not in roles:
            raise UserError(
                f"{where}: array {name}: is not known here; {nearest(name, roles)}; rename it, or "
                f"leave it out"
            )
        split, column = roles[name]
        if column in splits.setdefault(split, {}):
            raise UserError(f"{where}: array {name}: the {split} {column} are there twice")
        splits[split][column] = _names(array) if column == CLASS_NAME else array
    return _with_names_for_all(where, splits, main)


def _names(array: np.ndarray) -> np.ndarray:
    """Return names of classes as text, (class,), even a single name."""
    text = np.char.decode(array, errors="replace") if array.dtype.kind == "S" else array
    return np.atleast_1d(text)


def _roles(main: str) -> dict[str, tuple[str, str]]:
    """Return split and column of every name that an array may have."""
    of_examples = (*OF_EXAMPLES, *OF_TOP) if main == LOGITS else OF_EXAMPLES
    roles = {column: (UNNAMED, column) for column in (*of_examples, CLASS_NAME, CLASSES)}
    for split in SPLITS:
        roles[split] = split, main
        roles |= {f"{split}_{column}": (split, column) for column in of_examples}
    return roles


def _with_names_for_all(where: str, splits: Splits, main: str) -> Splits:
    """Assign columns without a split to the only split, and class names to every split."""
    others = [split for split in splits if split != UNNAMED]
    if not others or UNNAMED not in splits:
        return splits
    loose = splits.pop(UNNAMED)
    for column, array in loose.items():
        if column not in (CLASS_NAME, CLASSES) and (len(others) > 1 or column in splits[others[0]]):
            raise UserError(
                f"{where}: array {column}: is it of the training or of the test split? Call it "
                f"{TRAIN}_{column} or {TEST}_{column}"
            )
        for split in others:
            splits[split][column] = array
    return splits


# --- parquet ---------------------------------------------------------------------------------


def _parquet(path: Path, main: str) -> Splits:
    """Read a table: a column per class or one column of lists, and labels, ids, split."""
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise UserError(f"{path}: cannot be read as parquet ({error})") from None
    return table_splits(str(path), table, main)


def table_splits(where: str, table: "pd.DataFrame", main: str = LOGITS) -> Splits:
    """Return the splits of a table, see `read_file`; ``where`` is its name in messages."""
    if table.columns.nlevels > 1:
        raise UserError(f"{where}: its columns have names of several parts; give each one name")
    table = _with_index(table)
    known = [name for name in (LABEL, CLEAN_LABEL, ID) if name in table]
    columns: Columns = {name: table_values(f"{where}, {name}", table[name]) for name in known}
    rest = table.columns.difference([*known, SPLIT], sort=False)
    if main == LOGITS:
        columns |= _logits_of(where, table, list(rest))
    if SPLIT not in table:
        return {UNNAMED: columns}
    return _by_split(where, table_values(f"{where}, {SPLIT}", table[SPLIT]), columns)


def _with_index(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table whose index has become columns if it is informative.

    An index without the name of a column becomes the ids, unless it only counts the rows or repeats
    itself, as after a concatenation of batches.
    """
    known = [name for name in table.index.names if name in (*OF_EXAMPLES, SPLIT)]
    if known:
        return table.reset_index(level=known)
    counts = type(table.index).__name__ == "RangeIndex" or table.index.nlevels > 1
    if ID in table or counts or not table.index.is_unique:
        return table
    return table.rename_axis(ID).reset_index()


def table_values(where: str, table: Any) -> np.ndarray:
    """Return pandas data as a numpy array, even if pandas stores missing values separately."""
    if table.ndim > 1:
        parts = [table_values(where, table.iloc[:, k]) for k in range(table.shape[1])]
        return np.stack(parts, axis=1) if parts else np.empty(table.shape)
    dtype = getattr(table.dtype, "numpy_dtype", table.dtype)
    if dtype.kind == "f":  # a missing number is NaN, and refused as such
        return table.to_numpy(dtype, na_value=np.nan)
    missing = table.isna().to_numpy()
    if missing.any():
        return whole(where, np.ma.masked_array(np.zeros(len(table)), missing))
    return table.to_numpy(dtype if dtype.kind in "iub" else None)


def _logits_of(where: str, table: "pd.DataFrame", names: list[str]) -> Columns:
    if LOGITS in names and len(names) == 1:
        return {LOGITS: _stacked(where, table[LOGITS])}
    names = _in_order(where, names)
    for name in names:
        if table[name].dtype.kind != "f":
            raise UserError(
                f"{where}: column {name}: is {table[name].dtype}, no logits; besides "
                f"{LABEL}, {CLEAN_LABEL}, {ID} and {SPLIT} a table has one floating-point column "
                f"for each class, or one column {LOGITS} of lists"
            )
    if not names:
        return {}
    logits = table_values(f"{where}, {LOGITS}", table[names])
    words = {} if _count_only(names) else {CLASS_NAME: np.array([str(name) for name in names])}
    return {LOGITS: logits} | words


def _in_order(where: str, names: list[str]) -> list[str]:
    """Return the columns of the classes, ordered by their numbers if most have one."""
    parts = {name: NUMBERED.fullmatch(str(name)) for name in names}
    prefixes = Counter(part[1] for part in parts.values() if part)
    prefix, count = next(iter(prefixes.most_common(1)), ("", 0))
    if 2 * count <= len(names):
        return names
    numbers = {name: int(part[2]) for name, part in parts.items() if part and part[1] == prefix}
    for name in names:
        if name not in numbers:
            first = next(iter(numbers))
            raise UserError(
                f"{where}: column {name}: is it a class, as {first} is? Leave it out, or call it "
                f"as the others"
            )
    return sorted(names, key=numbers.__getitem__)


def _stacked(where: str, lists: Iterable[np.ndarray]) -> np.ndarray:
    rows = [np.asarray(row) for row in lists]
    first = rows[0].shape if rows else (0,)
    for number, row in enumerate(rows):
        if row.shape != first or row.ndim != 1 or row.dtype.kind != "f":
            raise UserError(
                f"{where}: column {LOGITS}, row {number}: {row.size} values of {row.dtype}; every "
                f"row must be a list of as many floating-point numbers as row 0, which has "
                f"{first[0] if first else 1}"
            )
    return np.stack(rows) if rows else np.empty((0, 0))


def _by_split(where: str, split: np.ndarray, columns: Columns) -> Splits:
    for number, name in enumerate(split):
        if name not in SPLITS:
            raise UserError(f"{where}: column {SPLIT}, row {number}: {name!r} is not train or test")
    return {
        name: {
            column: values if column == CLASS_NAME else values[split == name]
            for column, values in columns.items()
        }
        for name in SPLITS
        if (split == name).any()
    }


# --- netCDF ----------------------------------------------------------------------------------


def _netcdf(path: Path, main: str) -> Splits:
    """Read a store of this package, with a group per split, or variables without a group."""
    import disobey.stores.reader  # noqa: F401 - before netCDF4: it configures file locking

    import netCDF4  # isort: skip

    try:
        with netCDF4.Dataset(path, "r") as file:
            groups = {split: file[split] for split in SPLITS if split in file.groups}
            groups = groups or {UNNAMED: file}
            return {split: _group(path, split, group, main) for split, group in groups.items()}
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as netCDF ({error})") from None


def _group(path: Path, split: str, group: Any, main: str) -> Columns:
    """Return the variables of a group that have known names."""
    variables = group.variables
    if main not in variables:
        raise UserError(
            f"{path}: {'group ' + split if split else 'its root'} has no variable {main}; "
            f"found: {', '.join(variables) or 'none'}"
        )
    columns = {}
    for name in filter(variables.__contains__, OF_EXAMPLES):
        values = examples_first(variables[name][...], variables[name].dimensions)
        columns[name] = whole(f"{path}, {split} {name}" if split else f"{path}, {name}", values)
    dims = variables[main].dimensions
    known = [name for name in dims if name in variables and variables[name].ndim == 1]
    beside = {name: np.asarray(variables[name][...]) for name in known}
    return of_coordinates(dims, beside) | columns


READERS: Mapping[str, Callable[[Path, str], Splits]] = {
    ".npz": _numpy,
    ".npy": _numpy,
    ".parquet": _parquet,
    ".nc": _netcdf,
}


# --- a teacher's top classes only ------------------------------------------------------------

# An API, or a file that must stay small, has only the k largest of a teacher's log-probabilities.
# How the other classes share their probability, the *missing mass* m, is unknown. It is spread
# evenly [our choice]: this completion has the largest entropy of all and invents no
# ranking. So ln p is ln(p_i) for a given class i and ln(m / (K - k)) for each of the others.
#
# At temperature 1 the probabilities of the given classes, and the teacher's confidence in its own
# prediction, are exact. At a higher temperature the even tail grows, and a student would learn it
# instead of its teacher: `spread_share` measures it.


def completed(where: str, columns: Mapping[str, np.ndarray], classes: int) -> np.ndarray:
    """Return logits ln p of all classes, float64 (example, class); missing mass is spread evenly.

    ``columns`` are ``top_class``, whole numbers, and ``top_logit``, logits or log-probabilities,
    both (example, k), and ``missing_mass``, the probability outside of the top, (example,).

    Raises
    ------
    UserError
        For arrays that are missing or do not fit, classes that do not exist or are repeated, a
        missing mass that is not between 0 and 1, and one so large that each of the other classes
        would be more probable than the least probable top class. The message names the row.
    """
    lacking = [name for name in OF_TOP if name not in columns]
    if lacking:
        raise UserError(
            f"{where}: has no {lacking[0]}; top classes are {TOP_CLASS} and {TOP_LOGIT} (example, "
            f"k) and {MISSING_MASS} (example,), 1 minus the sum of the top probabilities"
        )
    top, logit, missing = (np.asarray(columns[name]) for name in OF_TOP)
    if top.ndim != 2 or logit.shape != top.shape or missing.shape != top.shape[:1]:
        raise UserError(
            f"{where}: {TOP_CLASS} {top.shape}, {TOP_LOGIT} {logit.shape} and {MISSING_MASS} "
            f"{missing.shape} must be (example, k), (example, k) and (example,)"
        )
    for name, array in zip(OF_TOP, (top, logit, missing), strict=True):
        if array.dtype.kind not in OF_TOP[name]:
            what = "class numbers" if name == TOP_CLASS else "floating-point numbers"
            raise UserError(f"{where} {name}: holds {array.dtype}, where {what} are needed")
    if not 1 <= top.shape[1] < classes:
        raise UserError(
            f"{where}: {top.shape[1]} top classes of {classes}; give fewer, or logits of all"
        )
    ordered = np.sort(top, 1)
    outside = (ordered[:, 0] < 0) | (ordered[:, -1] >= classes)
    wrong = outside | (np.diff(ordered, axis=1) == 0).any(1)
    refuse_rows(f"{where} {TOP_CLASS}", wrong, "names a class twice or one that is not")
    refuse_rows(f"{where} {TOP_LOGIT}", ~np.isfinite(logit).all(1), "is not finite")
    refuse_rows(f"{where} {MISSING_MASS}", ~((missing > 0) & (missing < 1)), ZERO)
    given = np.asarray(logit, np.float64)
    given = given - given.max(1, keepdims=True)
    given += np.log((1 - missing) / np.exp(given).sum(1))[:, None]
    others = np.log(missing / (classes - top.shape[1]))
    above = others > given.min(1) + ROUNDING
    what = "gives each other class more than the least of the top"
    refuse_rows(f"{where} {MISSING_MASS}", above, what)
    logits = np.repeat(others[:, None], classes, 1)
    np.put_along_axis(logits, top.astype(np.int64), given, 1)
    return logits


def spread_share(logits: np.ndarray, given: np.ndarray, temperature: float) -> float:
    """Return the share of the softened probability that was spread evenly, mean over examples.

    ``logits`` are those of `completed`, ``given`` the top classes, (example, k).
    """
    p = softened(logits, temperature)
    return float(1 - np.take_along_axis(p, given.astype(np.int64), 1).sum(1).mean())


# --- checks and facts for planning, before any run -------------------------------------------


def check_numbers(values: np.ndarray, where: str) -> None:
    """Refuse values that cannot be logits or probabilities of shape (example, class).

    Raises
    ------
    UserError
        For another shape, and numbers that are not floating-point or not finite in float32.
    """
    if values.ndim != 2 or values.shape[1] < 2:
        raise UserError(
            f"{where}: has shape {values.shape}, where (example, class) with two classes at least "
            f"is needed; write a binary model's single logit z as the two columns (0, z)"
        )
    if values.dtype.kind != "f":
        raise UserError(
            f"{where}: holds {values.dtype}, where floating-point logits are needed (the scores "
            f"before softmax, not predicted classes)"
        )
    rows, columns = np.nonzero(~(np.abs(values) <= LARGEST))
    if rows.size:
        raise UserError(
            f"{where}, row {rows[0]}, class {columns[0]}: is {values[rows[0], columns[0]]}; "
            f"{len(np.unique(rows))} of {len(values)} rows are not finite in float32 ({ROWS})"
        )


def logits_facts(path: Path) -> dict[str, Any]:
    """Return sizes and label noise of each split of a file of logits, by `read_file`'s names.

    These are ``rows``, ``classes``, and ``noise``, the share of given labels that differ from the
    clean ones, None unless both exist. If the file has only top classes, ``top`` is their number.

    Raises
    ------
    UserError
        For an unreadable file, and for values that cannot be logits.
    """
    found = {}
    for split, columns in read_file(path).items():
        where = f"{path}, {f'{split} {LOGITS}'.strip()}"
        check_has_logits(columns, where, split)
        check_numbers(columns[LOGITS], where)
        rows, classes = columns[LOGITS].shape
        found[split] = {"rows": rows, "classes": classes, "noise": _noise(columns)}
        if TOP_CLASS in columns:
            found[split]["top"] = columns[TOP_CLASS].shape[1]
    return found


def check_has_logits(columns: Mapping[str, np.ndarray], where: str, split: str) -> None:
    """Refuse a split that has labels or ids but no logits, while the other split has some."""
    if LOGITS not in columns:
        found = f"{split} {', '.join(columns)}".strip()
        raise UserError(
            f"{where}: there are none; add an array {split or LOGITS}, or remove the {found}"
        )


def labels_facts(path: Path) -> dict[str, Any]:
    """Return label noise of each split of a file of labels, as `logits_facts` does."""
    return {split: {"noise": _noise(columns)} for split, columns in read_file(path, LABEL).items()}


def spread_at(temperature: float, split: str) -> Callable[[Path], dict[str, Any]]:
    """Return a function that measures `spread_share`, for `disobey.stores.contents.facts_of`."""

    def spread(path: Path) -> dict[str, Any]:
        columns = read_file(path)[split]
        share = spread_share(columns[LOGITS], columns[TOP_CLASS], temperature)
        return {"share": share, "k": columns[TOP_CLASS].shape[1]}

    spread.__name__ = f"spread_at_{temperature:g}_{split}"
    return spread


def _noise(columns: Columns) -> float | None:
    if LABEL not in columns or CLEAN_LABEL not in columns:
        return None
    given, clean = columns[LABEL], columns[CLEAN_LABEL]
    return float((given != clean).mean()) if given.shape == clean.shape and given.size else None
