"""The tables of a study, computed from the analyses of its settings.

Each table is a function of the study's name and its analyses; `TABLES` lists them all. A column
``seed`` contains a seed, or ``mean`` with the 95 % interval ``low`` to ``high``; ``seeds`` is
the number of seeds.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from disobey.analysis import bias as of_bias
from disobey.analysis.bias import LOG_RATIO, OVERALL, TREND, Bias
from disobey.analysis.claims.registry import findings, summaries
from disobey.analysis.curves import (
    EQUAL_ACCURACY,
    FINAL_TEST,
    FINAL_TRAIN,
    LOG_STEPS_RATIO,
    Curves,
)
from disobey.analysis.gradients import COSINE, MEAN_COSINE, ONE_HOT, SHARES, Gradients
from disobey.analysis.intervals import ENDS, names_along
from disobey.analysis.names import ALL, MODELS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.statistics import QUALITY, STATISTICS
from disobey.analysis.store import SPLITS, Analysis

Analyses = Mapping[str, Analysis]
Row = tuple[Any, ...]
NUMBER = ("value", "low", "high", "seeds")
# Low, high and number of seeds for the value of a single seed.
ONE_SEED = (np.nan, np.nan, 1)
DIFFERENCE = "_difference"  # suffix of the student's value minus a control's


# --- confidence and accuracy -----------------------------------------------------------------


def accuracy(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return the table of the statistics of quality; see `tidy`."""
    return tidy(study, analyses, QUALITY)


def confidence(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return the table of all statistics except those of quality; see `tidy`."""
    return tidy(study, analyses, [name for name in STATISTICS if name not in QUALITY])


def tidy(study: str, analyses: Analyses, statistics: Sequence[str]) -> pd.DataFrame:
    """Return every value of ``statistics``, per seed and over seeds.

    ``n`` is the number of examples in the subset, which may depend on the student's own teacher;
    rows over seeds contain its mean. Statistics without a value are left out.
    """
    rows = [
        (study, setting, *row[:2], split, *row[2:])
        for setting, analysis in analyses.items()
        for split, dataset in analysis.splits.items()
        for row in _cells(dataset.sel(statistic=list(statistics)))
    ]
    columns = ("study", "setting", "model", "seed", "split", "subset", "statistic", *NUMBER, "n")
    return pd.DataFrame(rows, columns=list(columns))


def _cells(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield the rows of a split, without the columns study, setting and split."""
    order = ("subset", "statistic", "model")
    seeds, examples = dataset.seed.values, dataset.examples.values
    axes = [list(dataset[name].values) for name in order]
    value = dataset.value.transpose(*order, "seed").values
    estimate, low, high = (dataset[end].transpose(*order).values for end in ENDS)
    for cell in zip(*np.nonzero(np.isfinite(estimate)), strict=True):
        subset, statistic, model = (names[i] for names, i in zip(axes, cell, strict=True))
        n = examples[cell[0]]
        for i, seed in enumerate(seeds):
            yield model, str(seed), subset, statistic, value[cell][i], *ONE_SEED, int(n[i])
        pooled = (estimate[cell], low[cell], high[cell], len(seeds), round(float(n.mean())))
        yield model, "mean", subset, statistic, *pooled


def paper(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return the paper's accuracies and ours, as shares.

    ``paper`` is the reported accuracy, mostly of a single run; ``value`` is our mean over seeds.
    Settings and splits for which the paper reports nothing are left out.
    """
    rows = []
    for name, analysis in analyses.items():
        for split in filter(analysis.splits.__contains__, SPLITS):
            examples = analysis.splits[split].examples.sel(subset=ALL)
            count = examples.sizes["seed"], round(float(examples.mean()))
            for model in MODELS:
                reported = analysis.paper_accuracy(model, split)
                if not math.isnan(reported):
                    ours = (*analysis.number("accuracy", model, split), *count)
                    rows.append((study, name, model, split, "accuracy", reported, *ours))
    columns = ("study", "setting", "model", "split", "statistic", "paper", *NUMBER, "n")
    return pd.DataFrame(rows, columns=list(columns))


# --- claims ----------------------------------------------------------------------------------


# Attributes of a finding in the order of their columns, which are named by the last part.
OF_FINDING = (
    "claim.name", "claim.text", "claim.source", "claim.paper", "setting", "layer", "placebo",
    "band", "claim.statistic", "claim.model", "claim.split", "claim.subset", "claim.reading",
    "claim.null", "claim.side", "number.estimate", "number.low", "number.high", "control_name",
    "control", "seeds", "examples", "p", "verdict", "counted", "remark",
)  # fmt: skip
OF_SUMMARY = (
    "claim.name", "claim.text", "claim.source", "claim.paper", "claim.split", "claim.reading",
    "settings", "holds", "contrary", "undecided", "withheld", "holds_after_holm",
    "contrary_after_holm", "expected_by_chance",
)  # fmt: skip
OTHER_NAMES = {"name": "claim", "estimate": "value", "examples": "n"}


def claims(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per claim, split, reading and setting.

    Claims on the bias have one row per layer, placebo and band. Rows that are not ``counted``
    accompany the row on which the verdict for the setting is based.
    """
    return _attributes(study, findings(analyses), OF_FINDING)


def summary(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per claim, split and reading that applies to a setting of the study."""
    return _attributes(study, summaries(findings(analyses)), OF_SUMMARY)


def _attributes(study: str, found: Sequence[object], paths: Sequence[str]) -> pd.DataFrame:
    columns = [path.rpartition(".")[2] for path in paths]
    table = pd.DataFrame(map(attrgetter(*paths), found), columns=columns)
    table = table.rename(columns=OTHER_NAMES)
    table.insert(0, "study", study)
    return table


# --- analyses beside confidence --------------------------------------------------------------


def curves(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every setting with curves.

    Intervals are over trainings that are evaluated on one test set. ``against`` is the reference or
    a placebo where two models are compared, and empty elsewhere; ``step`` and ``level`` (of train
    accuracy) are the point in training at which a number was taken.
    """
    columns = ("seed", "compared", "against", "step", "level")
    return _beside(study, analyses, "curves", _curves, columns, "step")


def gradients(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every setting whose data have true directions.

    ``of`` is a target for shares and a model for cosines; ``against`` is the target or model that
    is subtracted, if any; ``class`` is empty for numbers over all classes.
    """
    columns = ("seed", "of", "against", "class")
    return _beside(study, analyses, "gradients", _gradients, columns, "class")


def bias(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every bias analysis.

    ``compared`` is compared with ``against``: the reference, or a placebo for ``*_difference``.
    Rows of ``linear regression`` contain its theory for the layer's spectrum. ``rank`` and
    ``eigenvalue`` are empty for numbers over several directions, ``band`` for all but means over a
    band of ranks. Steps are those that both models had taken at the ends of the matched range.
    Pairs, out of 15, are counted against the teacher; see `disobey.analysis.pairs`.
    """
    columns = ("layer", "seed", "compared", "against", "rank", "eigenvalue", "band")
    return _beside(study, analyses, "bias", _bias, columns, "rank")


def _beside(
    study: str,
    analyses: Analyses,
    stage: str,
    rows: Callable[[Any], Iterator[Row]],
    columns: Sequence[str],
    whole: str,
) -> pd.DataFrame:
    """Return the table of all settings with an analysis; column ``whole`` is a nullable integer."""
    found = {one.setting: getattr(one, stage) for one in analyses.values()}
    everything = [
        (study, setting, *row)
        for setting, one in found.items()
        if one is not None
        for row in rows(one)
    ]
    columns = ["study", "setting", *columns, "statistic", *NUMBER]
    return pd.DataFrame(everything, columns=columns).astype({whole: "Int64"})


def _over_seeds(here: xr.Dataset, variable: str, *place: object) -> Iterator[Row]:
    """Yield the rows of each seed and of their mean, with ``place`` between seed and value."""
    seeds = here.seed.values
    for seed, value in zip(seeds, here[variable].values, strict=True):
        yield (str(seed), *place, float(value), *ONE_SEED)
    prefix = "" if variable == LOG_RATIO else f"{variable}_"
    numbers = (float(here[f"{prefix}{end}"]) for end in ENDS)
    yield ("mean", *place, *numbers, len(seeds))


def _compared(
    data: xr.Dataset, one: str, against: str, control: str
) -> Iterator[tuple[xr.Dataset, str, tuple[str, str]]]:
    """Yield each model along ``one``, then the student compared with each ``control``.

    Each item contains the data, the suffix of its variables, and the names of the two models.
    """
    for name in names_along(data, one):
        yield data.sel({one: name}), "", (name, against)
    for name in names_along(data, control):
        yield data.sel({control: name}), DIFFERENCE, (STUDENT, name)


def _curves(found: Curves) -> Iterator[Row]:
    nowhere = (None, np.nan)  # step and level
    for model in names_along(found.data, "model"):
        here = found.data.sel(model=model)
        yield from _along(here, model)
        for name in (FINAL_TRAIN, FINAL_TEST):
            yield from _over_seeds(here, name, model, "", *nowhere, name)
    for here, ending, pair in _compared(found.data, "compared", REFERENCE, "placebo"):
        for name in (EQUAL_ACCURACY, LOG_STEPS_RATIO):
            yield from _over_seeds(here, name + ending, *pair, *nowhere, name)


def _along(here: xr.Dataset, model: str) -> Iterator[Row]:
    """Yield, by seed, accuracies at each recorded step, then values at each level reached."""
    for seed in here.seed.values:
        one = here.sel(seed=seed)
        for name in ("train_accuracy", "test_accuracy"):
            for step, value in zip(one.step.values, one[name].values, strict=True):
                if np.isfinite(step):
                    at = (int(step), np.nan)
                    yield (str(seed), model, "", *at, name, float(value), *ONE_SEED)
        for name in ("test_at_level", "steps_at_level"):
            for level, value in zip(one.level.values, one[name].values, strict=True):
                if np.isfinite(value):
                    yield (str(seed), model, "", None, level, name, float(value), *ONE_SEED)


def _gradients(found: Gradients) -> Iterator[Row]:
    data = found.data
    for share in SHARES:
        for target in names_along(data, "target"):
            yield from _over_seeds(data.sel(target=target), share, target, "", None, share)
        yield from _over_seeds(data, share + DIFFERENCE, TEACHER, ONE_HOT, None, share)
    for here, ending, pair in _compared(data, "model", "", "control"):
        yield from _over_seeds(here, MEAN_COSINE + ending, *pair, None, MEAN_COSINE)
        for k in range(here.sizes["class"]):
            yield from _over_seeds(here.isel({"class": k}), COSINE + ending, *pair, k, COSINE)


# --- bias ------------------------------------------------------------------------------------

# Rank, eigenvalue and band of a number over all directions.
NOWHERE = (None, np.nan, "")
THEOREM = "linear regression"


def _bias(found: Bias) -> Iterator[Row]:
    for layer, dataset in found.layers.items():
        for rows in (_ratios(dataset), _pairs(dataset), _theorem(dataset)):
            yield from ((layer, *row) for row in rows)


def _ratios(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield log ratios by direction, over all directions, and over bands that were tracked."""
    for here, ending, pair in _compared(dataset, "compared", REFERENCE, "placebo"):
        by_direction = ending.removeprefix("_") or LOG_RATIO
        for direction, where in _directions(here):
            yield from _over_seeds(direction, by_direction, *pair, *where, LOG_RATIO + ending)
        for name in (OVERALL + ending, *([] if ending else [TREND])):
            yield from _over_seeds(here, name, *pair, *NOWHERE, name)
        by_band = of_bias.BAND_DIFFERENCE if ending else of_bias.BAND_OVERALL
        for band in names_along(here, "band"):
            one = here.sel(band=band)
            if one[by_band].notnull().all():
                yield from _over_seeds(one, by_band, *pair, None, np.nan, band, OVERALL + ending)
        if not ending:
            yield from _steps(here, pair)


def _directions(here: xr.Dataset) -> Iterator[tuple[xr.Dataset, Row]]:
    """Yield each direction with its rank, its eigenvalue and an empty band."""
    for k in range(here.sizes["direction"]):
        one = here.isel(direction=k)
        yield one, (int(one["rank"]), float(one.eigenvalue), "")


def _pairs(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield the number of pairs in which each model has learnt less than the teacher."""
    for prefix in ("", of_bias.OF_NORMS):
        for name in (prefix + of_bias.PAIRS_EXPECTED, prefix + of_bias.PAIRS_DRAWN):
            for model in names_along(dataset, "model") if name in dataset else ():
                if model != TEACHER:
                    here = dataset.sel(model=model)
                    yield from _over_seeds(here, name, model, TEACHER, *NOWHERE, name)


def _steps(here: xr.Dataset, pair: tuple[str, str]) -> Iterator[Row]:
    """Yield steps by seed, and their mean without an interval, since no claim depends on it."""
    seeds = here.seed.values
    for i, side in enumerate(("compared", "against")):
        for j, end in enumerate(("begin", "end")):
            place = (*pair, *NOWHERE, f"steps_{side}_{end}")
            values = here.steps.isel(side=i, end=j).values
            for seed, value in zip(seeds, values, strict=True):
                yield (str(seed), *place, float(value), *ONE_SEED)
            yield ("mean", *place, float(values.mean()), np.nan, np.nan, len(seeds))


def _theorem(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield the log ratios of linear regression, which have neither seeds nor intervals."""
    head, nothing = ("mean", THEOREM, REFERENCE), (np.nan, np.nan, 0)
    for direction, where in _directions(dataset):
        yield (*head, *where, LOG_RATIO, float(direction.theorem), *nothing)
    for name in (OVERALL, TREND):
        yield (*head, *NOWHERE, name, float(dataset[f"theorem_{name}"]), *nothing)


# --- one table of every number ---------------------------------------------------------------

# Columns of the table of every number; a cell is empty where its column does not apply.
COLUMNS = (
    "study", "table", "setting", "model", "against", "layer", "seed", "split", "subset",
    "statistic", "claim", "reading", "rank", "eigenvalue", "band", "step", "level", "class",
    "estimate", "low", "high", "seeds", "n", "null", "side", "control", "p", "verdict",
)  # fmt: skip
WHOLE = ("rank", "step", "class", "seeds", "n")
REAL = ("eigenvalue", "level", "estimate", "low", "high", "null", "control", "p")
# Columns that have other names in the individual tables.
RENAMED = {"value": "estimate", "compared": "model", "of": "model"}


def everything(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number: the concatenation of the tables in `IN_ALL`.

    ``table`` is the name of the original table. Rows of ``claims`` contain the numbers on which a
    claim is decided, with ``claim``, ``reading`` and ``verdict``; ``against`` is the placebo.
    """
    return pd.concat(in_parts("all", study, analyses), ignore_index=True)


def _as_everything(table: str, part: pd.DataFrame) -> pd.DataFrame:
    """Return rows of another table in the columns of the table of every number."""
    if table == "claims":
        part = part.assign(seed="mean").rename(columns={"placebo": "against"})
    whole = part.rename(columns=RENAMED).assign(table=table).reindex(columns=list(COLUMNS))
    return whole.astype(dict.fromkeys(WHOLE, "Int64") | dict.fromkeys(REAL, "float64"))


# --- all of them -----------------------------------------------------------------------------


class Table(NamedTuple):
    """A table: a description of its content, and the function that computes it."""

    words: str
    make: Callable[[str, Analyses], pd.DataFrame]


TABLES = {
    "accuracy": Table(
        "accuracy, NLL, Brier score and ECE of teachers, references and students", accuracy
    ),
    "confidence": Table(
        "exaggeration, gaps, inheritance, the plot's fits, other readings, fidelity, pay-off",
        confidence,
    ),
    "claims": Table("each claim in each setting, with interval, control and verdict", claims),
    "summary": Table(
        "each claim over all settings, k of n, with Holm and what chance would give", summary
    ),
    "paper": Table("the accuracies that the paper reports beside ours", paper),
    "bias": Table(
        "matched-progress ratios of students and placebos, and what linear regression gives", bias
    ),
    "curves": Table(
        "accuracies along training, and students compared where train accuracies are equal", curves
    ),
    "gradients": Table(
        "signs of either target, and cosines of weights with the true directions", gradients
    ),
    "all": Table("every number of a study, tidy: the other tables below each other", everything),
}
# Tables in which each row belongs to one setting.
BY_SETTING = ("accuracy", "confidence", "paper", "bias", "curves", "gradients")
IN_ALL = ("accuracy", "confidence", "bias", "curves", "gradients", "claims")


def in_parts(name: str, study: str, analyses: Analyses) -> Iterator[pd.DataFrame]:
    """Yield a table in parts, one per setting if each of its rows belongs to one setting.

    A thousand settings have ten million numbers, which would not fit into the memory of a job as
    one data frame.
    """
    if name == "all":
        for table in IN_ALL:
            for part in in_parts(table, study, analyses):
                yield _as_everything(table, part)
    elif name in BY_SETTING:
        for setting, analysis in analyses.items():
            yield TABLES[name].make(study, {setting: analysis})
    else:
        yield TABLES[name].make(study, analyses)
