"""The tables of a study, each made of the analyses of its settings.

A table is a function of the study's name and its analyses; `TABLES` names them all. A column
``seed`` holds a seed, or ``mean`` with the 95 % interval ``low`` to ``high``; ``seeds`` is
the number of seeds.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from disobey.analysis.bias import (
    BAND_DIFFERENCE,
    BAND_OVERALL,
    LOG_RATIO,
    OF_NORMS,
    OVERALL,
    OVERALL_DIFFERENCE,
    PAIRS_DRAWN,
    PAIRS_EXPECTED,
    TREND,
    Bias,
)
from disobey.analysis.claims.registry import findings, summaries
from disobey.analysis.curves import (
    EQUAL_ACCURACY,
    FINAL_TEST,
    FINAL_TRAIN,
    LOG_STEPS_RATIO,
    Curves,
)
from disobey.analysis.gradients import COSINE, MEAN_COSINE, ONE_HOT, SHARES, Gradients
from disobey.analysis.intervals import ENDS
from disobey.analysis.names import ALL, MODELS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.statistics import QUALITY, STATISTICS
from disobey.analysis.store import SPLITS, Analysis

Analyses = Mapping[str, Analysis]
Row = tuple[Any, ...]
NUMBER = ("value", "low", "high", "seeds")
# Interval and number of seeds of a single seed's value.
ONE_SEED = (np.nan, np.nan, 1)


# --- confidence and accuracy -----------------------------------------------------------------


def accuracy(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return the table `tidy` of the statistics of quality."""
    return tidy(study, analyses, QUALITY)


def confidence(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return the table `tidy` of all other statistics."""
    return tidy(study, analyses, [name for name in STATISTICS if name not in QUALITY])


def tidy(study: str, analyses: Analyses, statistics: Sequence[str]) -> pd.DataFrame:
    """Return every value of ``statistics``, per seed and over seeds.

    ``n`` is the number of examples, averaged over seeds; the student's own teacher cuts subsets.
    Statistics without a value are left out.
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
    """Yield the rows of a split, but for study, setting and split."""
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
    """Return accuracies as shares, the paper's and ours.

    ``paper`` is as reported there, mostly of single runs; ``value`` our mean over seeds. Settings
    and splits of which the paper reports nothing are left out.
    """
    rows = [
        (study, name, model, split, "accuracy", reported, *_ours(analysis, model, split))
        for name, analysis in analyses.items()
        for split in SPLITS
        if split in analysis.splits
        for model in MODELS
        if not math.isnan(reported := analysis.paper_accuracy(model, split))
    ]
    columns = ("study", "setting", "model", "split", "statistic", "paper", *NUMBER, "n")
    return pd.DataFrame(rows, columns=list(columns))


def _ours(analysis: Analysis, model: str, split: str) -> tuple[float, float, float, int, int]:
    examples = analysis.splits[split].examples.sel(subset=ALL)
    numbers = analysis.number("accuracy", model, split)
    return (*numbers, examples.sizes["seed"], round(float(examples.mean())))


# --- claims ----------------------------------------------------------------------------------


# Attributes of a finding in the order of their columns, which have the last part as name.
OF_FINDING = (
    "claim.name", "claim.text", "claim.source", "claim.paper", "setting", "layer", "placebo",
    "band", "claim.statistic", "claim.model", "claim.split", "claim.subset", "claim.reading",
    "claim.null", "claim.side", "number.estimate", "number.low", "number.high", "control_name",
    "control", "seeds", "examples", "p", "verdict", "counted", "remark",
)  # fmt: skip
OTHER_NAMES = {"name": "claim", "estimate": "value", "examples": "n"}


def claims(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per claim, split, reading, setting; of the bias per layer, placebo and band.

    Rows that are not ``counted`` accompany the one that decides their setting.
    """
    found = map(attrgetter(*OF_FINDING), findings(analyses))
    columns = [path.rpartition(".")[2] for path in OF_FINDING]
    table = pd.DataFrame(found, columns=columns).rename(columns=OTHER_NAMES)
    table.insert(0, "study", study)
    return table


def summary(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per claim, split and reading that is about a setting of the study."""
    told = ("name", "text", "source", "paper", "split", "reading")
    counts = (
        "settings", "holds", "contrary", "undecided", "withheld", "holds_after_holm",
        "contrary_after_holm", "expected_by_chance",
    )  # fmt: skip
    rows = (
        [study, *(getattr(one.claim, name) for name in told), *(getattr(one, n) for n in counts)]
        for one in summaries(findings(analyses))
    )
    return pd.DataFrame(rows, columns=["study", "claim", *told[1:], *counts])


# --- analyses beside confidence --------------------------------------------------------------


def _beside(
    study: str,
    found: Mapping[str, Any],
    rows: Callable[[Any], Iterator[Row]],
    columns: Sequence[str],
    whole: str,
) -> pd.DataFrame:
    """Return the table of all settings that have an analysis; ``whole`` may be an empty integer."""
    everything = [
        (study, setting, *row)
        for setting, one in found.items()
        if one is not None
        for row in rows(one)
    ]
    columns = ["study", "setting", *columns, "statistic", *NUMBER]
    return pd.DataFrame(everything, columns=columns).astype({whole: "Int64"})


def _over_seeds(here: xr.Dataset, variable: str, *place: object) -> Iterator[Row]:
    """Yield the rows of each seed and of their mean, ``place`` between seed and value."""
    seeds = here.seed.values
    for seed, value in zip(seeds, here[variable].values, strict=True):
        yield (str(seed), *place, float(value), *ONE_SEED)
    prefix = "" if variable == LOG_RATIO else f"{variable}_"
    numbers = (float(here[f"{prefix}{end}"]) for end in ENDS)
    yield ("mean", *place, *numbers, len(seeds))


def curves(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every setting with curves.

    Intervals are of trainings judged by one test set. ``against`` is the reference or a placebo
    where two models are compared, and empty elsewhere; ``step`` and ``level`` (of train accuracy)
    say where along the training a number was taken.
    """
    columns = ("seed", "compared", "against", "step", "level")
    found = {one.setting: one.curves for one in analyses.values()}
    return _beside(study, found, _curves, columns, "step")


def _curves(found: Curves) -> Iterator[Row]:
    data, nowhere = found.data, (None, np.nan)
    paired = (EQUAL_ACCURACY, LOG_STEPS_RATIO)
    for model in map(str, data.model.values):
        here = data.sel(model=model)
        yield from _along(here, model)
        for name in (FINAL_TRAIN, FINAL_TEST):
            yield from _over_seeds(here, name, model, "", *nowhere, name)
    for model in map(str, data.compared.values):
        for name in paired:
            here = data.sel(compared=model)
            yield from _over_seeds(here, name, model, REFERENCE, *nowhere, name)
    for placebo in found.placebos:
        for name in paired:
            here, variable = data.sel(placebo=placebo), f"{name}_difference"
            yield from _over_seeds(here, variable, STUDENT, placebo, *nowhere, name)


def _along(here: xr.Dataset, model: str) -> Iterator[Row]:
    """Yield what each seed was at each recorded step, then at each level that it reaches."""
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


def gradients(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every setting whose data have true directions.

    Shares are ``of`` a target, cosines of a model; ``against`` says what is subtracted where two
    are compared, and ``class`` is empty where a number is over all classes.
    """
    found = {one.setting: one.gradients for one in analyses.values()}
    return _beside(study, found, _gradients, ("seed", "of", "against", "class"), "class")


def _gradients(found: Gradients) -> Iterator[Row]:
    data = found.data
    for share in SHARES:
        for target in map(str, data.target.values):
            yield from _over_seeds(data.sel(target=target), share, target, "", None, share)
        yield from _over_seeds(data, f"{share}_difference", TEACHER, ONE_HOT, None, share)
    for model in map(str, data.model.values):
        yield from _cosines(data.sel(model=model), "", model, "")
    for control in found.controls:
        yield from _cosines(data.sel(control=control), "_difference", STUDENT, control)


def _cosines(here: xr.Dataset, suffix: str, of: str, against: str) -> Iterator[Row]:
    yield from _over_seeds(here, f"{MEAN_COSINE}{suffix}", of, against, None, MEAN_COSINE)
    for k in range(here.sizes["class"]):
        yield from _over_seeds(here.isel({"class": k}), f"{COSINE}{suffix}", of, against, k, COSINE)


# --- bias ------------------------------------------------------------------------------------

# Rank, eigenvalue and band of a number over all directions.
NOWHERE = (None, np.nan, "")
THEOREM = "linear regression"


def bias(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number of every bias analysis.

    What ``compared`` is held ``against`` is the reference, or for ``*_difference`` a placebo; the
    statistics of ``linear regression`` are its theory with the layer's spectrum. ``rank`` and
    ``eigenvalue`` are empty where a number is not of one direction, ``band`` where it is not a mean
    over a band of ranks. Steps are those that both had taken at the ends of the matched range.
    Pairs are counted against the teacher, of 15; see `disobey.analysis.pairs`.
    """
    columns = ("layer", "seed", "compared", "against", "rank", "eigenvalue", "band")
    found = {one.setting: one.bias for one in analyses.values()}
    return _beside(study, found, _bias, columns, "rank")


def _bias(found: Bias) -> Iterator[Row]:
    for layer, dataset in found.layers.items():
        for rows in (
            *(_against_reference(dataset, model) for model in map(str, dataset.compared.values)),
            *(_against_placebo(dataset, placebo) for placebo in found.placebos(layer)),
            _pairs(dataset),
            _theorem(dataset),
        ):
            yield from ((layer, *row) for row in rows)


def _against_reference(dataset: xr.Dataset, model: str) -> Iterator[Row]:
    here, pair = dataset.sel(compared=model), (model, REFERENCE)
    for direction in _directions(here):
        place = (*pair, *_rank(direction), LOG_RATIO)
        yield from _over_seeds(direction, LOG_RATIO, *place)
    for name in (OVERALL, TREND):
        yield from _over_seeds(here, name, *pair, *NOWHERE, name)
    yield from _bands(here, BAND_OVERALL, *pair, OVERALL)
    yield from _steps(here, pair)


def _against_placebo(dataset: xr.Dataset, placebo: str) -> Iterator[Row]:
    here, pair = dataset.sel(placebo=placebo), (STUDENT, placebo)
    for direction in _directions(here):
        place = (*pair, *_rank(direction), "log_ratio_difference")
        yield from _over_seeds(direction, "difference", *place)
    yield from _over_seeds(here, OVERALL_DIFFERENCE, *pair, *NOWHERE, OVERALL_DIFFERENCE)
    yield from _bands(here, BAND_DIFFERENCE, *pair, OVERALL_DIFFERENCE)


def _directions(here: xr.Dataset) -> Iterator[xr.Dataset]:
    return (here.isel(direction=k) for k in range(here.sizes["direction"]))


def _rank(direction: xr.Dataset) -> tuple[int, float, str]:
    """Return rank, eigenvalue and no band."""
    return int(direction["rank"]), float(direction.eigenvalue), ""


def _bands(here: xr.Dataset, variable: str, *place: str) -> Iterator[Row]:
    """Yield the means over bands of ranks in which any direction was tracked."""
    *pair, name = place
    for band in map(str, here.band.values):
        one = here.sel(band=band)
        if one[variable].notnull().all():
            yield from _over_seeds(one, variable, *pair, None, np.nan, band, name)


def _pairs(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield in how many pairs each model has learnt less than the teacher."""
    for name in (PAIRS_EXPECTED, PAIRS_DRAWN, OF_NORMS + PAIRS_EXPECTED, OF_NORMS + PAIRS_DRAWN):
        if name in dataset:
            for model in map(str, dataset.model.values):
                if model != TEACHER:
                    here = dataset.sel(model=model)
                    yield from _over_seeds(here, name, model, TEACHER, *NOWHERE, name)


def _steps(here: xr.Dataset, pair: tuple[str, str]) -> Iterator[Row]:
    """Yield steps seed by seed; their mean has no interval, since nothing is claimed of it."""
    seeds = here.seed.values
    for i, side in enumerate(("compared", "against")):
        for j, end in enumerate(("begin", "end")):
            place = (*pair, *NOWHERE, f"steps_{side}_{end}")
            values = here.steps.isel(side=i, end=j).values
            for seed, value in zip(seeds, values, strict=True):
                yield (str(seed), *place, float(value), *ONE_SEED)
            yield ("mean", *place, float(values.mean()), np.nan, np.nan, len(seeds))


def _theorem(dataset: xr.Dataset) -> Iterator[Row]:
    """Yield what linear regression gives; it has neither seeds nor an interval."""
    head, nothing = ("mean", THEOREM, REFERENCE), (np.nan, np.nan, 0)
    for direction in _directions(dataset):
        yield (*head, *_rank(direction), LOG_RATIO, float(direction.theorem), *nothing)
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
# One name for what the tables call differently.
RENAMED = {"value": "estimate", "compared": "model", "of": "model"}


def everything(study: str, analyses: Analyses) -> pd.DataFrame:
    """Return one row per number: the other tables below each other.

    ``table`` names the table with the same row. Rows of ``claims`` hold the numbers that decide a
    claim, with ``claim``, ``reading`` and ``verdict``; ``against`` is their placebo.
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
    """A table: what it holds, in words, and the function that makes it."""

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
# Tables whose rows are each of one setting.
BY_SETTING = ("accuracy", "confidence", "paper", "bias", "curves", "gradients")
IN_ALL = ("accuracy", "confidence", "bias", "curves", "gradients", "claims")


def in_parts(name: str, study: str, analyses: Analyses) -> Iterator[pd.DataFrame]:
    """Yield a table part by part, of one setting each where its rows allow that.

    A thousand settings have ten million numbers, which as one data frame would not fit into the
    memory of a job.
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
