"""Synthetic analyses: every dimension and variable of the analysis store, no stored file."""

import numpy as np
import xarray as xr

from disobey.analysis.names import (
    COMPARED,
    EFFECT,
    GAPS,
    MODELS,
    REFERENCE,
    STUDENT,
    SUBSETS,
    TEACHER,
)
from disobey.analysis.statistics import FIDELITY, STATISTICS
from disobey.analysis.store import SPLITS, Analysis

BINS = 100
QUANTILES = 20
CENTRES = {
    ("exaggeration", STUDENT): 1.1,
    ("exaggeration", REFERENCE): 1.0,
    ("exaggeration", EFFECT): 0.1,
    ("signal_scale", STUDENT): 0.9,
    ("signal_scale", REFERENCE): 1.0,
    ("inheritance", STUDENT): 0.3,
    ("inheritance", REFERENCE): 0.0,
    ("accuracy", TEACHER): 0.72,
    ("accuracy", REFERENCE): 0.69,
    ("accuracy", STUDENT): 0.71,
    ("accuracy", EFFECT): 0.02,
    ("agreement", REFERENCE): 0.75,
    ("agreement", STUDENT): 0.85,
    ("agreement", EFFECT): 0.1,
    ("plot_slope", STUDENT): 1.08,
    ("plot_slope", REFERENCE): 0.87,
    ("plot_intercept", STUDENT): -0.8,
    ("plot_intercept", REFERENCE): 0.2,
    ("plot_gap_bottom_decile", STUDENT): -0.9,
    ("plot_gap_bottom_decile", REFERENCE): 0.1,
}


def _values(rng: np.random.Generator, seeds: int) -> np.ndarray:
    """Return (statistic, model, subset, seed), with NaN where a store has NaN."""
    shape = (len(STATISTICS), len(MODELS), len(SUBSETS), seeds)
    values = 0.5 + 0.01 * rng.standard_normal(shape)
    for index, name in enumerate(GAPS):
        values[list(STATISTICS).index(name)] += 0.15 * (index - 5) - 0.5
    for (statistic, model), centre in CENTRES.items():
        place = list(STATISTICS).index(statistic), MODELS.index(model)
        values[place] = centre + 0.01 * rng.standard_normal((len(SUBSETS), seeds))
    for name in FIDELITY:
        values[list(STATISTICS).index(name), MODELS.index(TEACHER)] = np.nan
    values[:, :, SUBSETS.index("mislabelled")] = np.nan
    return values


def _density(rng: np.random.Generator, edges: np.ndarray, examples: int) -> dict:
    teacher = 4 + 4 * rng.standard_normal(examples)
    quantiles = np.quantile(teacher, np.linspace(0, 1, QUANTILES + 1))
    cells, binned_teacher, binned_model = [], [], []
    for slope, shift in ((0.87, 0.2), (1.08, -0.8)):
        model = shift + slope * teacher + 1.5 * rng.standard_normal(examples)
        cells.append(np.histogram2d(teacher, model, [edges, edges])[0])
        bins = np.clip(np.searchsorted(quantiles, teacher) - 1, 0, QUANTILES - 1)
        binned_teacher.append([teacher[bins == k].mean() for k in range(QUANTILES)])
        binned_model.append([model[bins == k].mean() for k in range(QUANTILES)])
    counts = np.array(cells, dtype=np.int64)
    return {
        "density": (("compared", "teacher_bin", "model_bin"), counts),
        "density_outside": (("compared",), examples - counts.sum(axis=(1, 2))),
        "binned_teacher": (("compared", "quantile"), np.array(binned_teacher)),
        "binned_model": (("compared", "quantile"), np.array(binned_model)),
    }


def _split(rng: np.random.Generator, seeds: int, examples: int) -> xr.Dataset:
    value = _values(rng, seeds)
    estimate = value.mean(axis=-1)
    half = np.full_like(estimate, 0.03) if seeds > 1 else np.full_like(estimate, np.nan)
    edges = np.linspace(-20, 30, BINS + 1)
    dims = ("statistic", "model", "subset")
    counts = np.full((len(SUBSETS), seeds), examples)
    counts[SUBSETS.index("mislabelled")] = 0
    return xr.Dataset(
        {
            "value": ((*dims, "seed"), value),
            "estimate": (dims, estimate),
            "low": (dims, estimate - half),
            "high": (dims, estimate + half),
            "example_variance": (dims, np.full_like(estimate, 1e-4)),
            "examples": (("subset", "seed"), counts),
            "most_frequent_class": 0.1,
            **_density(rng, edges, examples),
        },
        coords={
            "statistic": list(STATISTICS),
            "model": list(MODELS),
            "subset": list(SUBSETS),
            "seed": np.arange(seeds),
            "compared": list(COMPARED),
            "confidence_edge": edges,
        },
    )


def make_analysis(setting: str = "mnist-noisy-T4", seeds: int = 3, salt: int = 0) -> Analysis:
    rng = np.random.default_rng(salt)
    about = {
        "dataset": "mnist",
        "label_noise": 0.2,
        "teacher": "mlp",
        "student": "mlp",
        "temperature": 4.0,
        "weight": 1.0,
    }
    sizes = dict(zip(SPLITS, (20_000, 10_000), strict=True))
    return Analysis(setting, about, {name: _split(rng, seeds, n) for name, n in sizes.items()})


def make_analyses(count: int = 1, seeds: int = 3) -> dict[str, Analysis]:
    """Settings whose names are as long as a study allows, where there are several."""
    long = "tiny-imagenet-resnet50-to-mobilenetv2-second-recipe-T4-w0.9"
    short = ("cifar100-R56-R20", "mnist-noisy-T4")
    names = [f"{(long, *short)[k % 3]}"[:57] + f"-{k}" for k in range(count)]
    names = ["mnist-noisy-T4"] if count == 1 else names
    return {name: make_analysis(name, seeds, salt) for salt, name in enumerate(names)}


def put(
    analysis: Analysis,
    statistic: str,
    model: str,
    numbers: tuple[float, float, float],
    split: str = "test",
) -> None:
    """Overwrite estimate, low and high of one statistic, in all subsets."""
    place = {"statistic": statistic, "model": model}
    for name, number in zip(("estimate", "low", "high"), numbers, strict=True):
        analysis.splits[split][name].loc[place] = number


def blank(analysis: Analysis) -> None:
    """Make every number NaN, as in a setting whose statistics are all missing."""
    for data in analysis.splits.values():
        for name in ("value", "estimate", "low", "high", "binned_teacher", "binned_model"):
            data[name][:] = np.nan
        data["density"][:] = 0
