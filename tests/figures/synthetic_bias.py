"""Synthetic bias analyses: every dimension and variable of the bias store, no stored file."""

from dataclasses import replace

import numpy as np
import xarray as xr
from synthetic_analyses import make_analyses

from disobey.analysis.bias import BANDS, Bias, by_band
from disobey.analysis.linear import filters, log_ratio_at
from disobey.analysis.names import PLACEBOS, REFERENCE, STUDENT
from disobey.analysis.store import Analysis

RANKS = np.array([1, 2, 3, 5, 9, 17, 33, 65, 129, 257])
SHARES = np.linspace(0.02, 1, 50)
BEGIN, END = 0.2, 0.7
TEACHER_STOP = 0.9
POINTS = 24
HALF = 0.03


def _interval(name, dims, values, half):
    ends = {"estimate": values, "low": values - half, "high": values + half}
    prefix = f"{name}_" if name else ""
    return {f"{prefix}{end}": (dims, numbers) for end, numbers in ends.items()}


def _progress(rng, models, seeds, ratios):
    """Paths that end slower along later directions; a model lags by its ratio."""
    time = np.logspace(-2, 1, POINTS)[:, None]
    shape = 3 * RANKS**-0.3 * (1 - np.exp(-time * RANKS**-0.5))
    lag = np.ones((len(models), 1, 1, len(RANKS)))
    lag[1:, 0, 0] = np.exp(ratios)
    wobble = 1 + 0.03 * rng.standard_normal((len(models), seeds, 1, len(RANKS)))
    return shape * lag * wobble


def _theory():
    eigenvalues = 1 / RANKS
    stop = -np.log1p(-TEACHER_STOP)
    log_ratio = log_ratio_at(-np.log1p(-np.minimum(SHARES, 1 - 1e-9)), eigenvalues, stop)
    times = np.logspace(-2, 2, 40)
    one_hot = filters(eigenvalues, times)
    inside = (SHARES >= BEGIN) & (SHARES <= END)
    return {
        "theorem_log_ratio": (("direction", "share"), log_ratio.T),
        "theorem": (("direction",), log_ratio[inside].mean(0)),
        "theorem_overall": log_ratio[inside, 1:].mean(),
        "theorem_trend": np.ptp(log_ratio[inside, 1:].mean(1)),
        "linear": (
            ("linear_model", "linear_point", "direction"),
            np.stack([one_hot, one_hot * filters(eigenvalues, [stop])]),
        ),
    }


def make_layer(seeds=3, salt=0, placebos=PLACEBOS, student=-0.35, placebo=0.0) -> xr.Dataset:
    """One group; ``student`` and ``placebo`` are log ratios at the last direction."""
    rng = np.random.default_rng(salt)
    compared = (STUDENT, *placebos)
    slope = np.log(RANKS) / np.log(RANKS[-1])
    centre = np.where(np.arange(len(compared))[:, None] == 0, student, placebo) * slope
    by_seed = centre[:, None] + 0.02 * rng.standard_normal((len(compared), seeds, len(RANKS)))
    by_seed[..., 0] = 0
    curve = by_seed[..., None] * (0.6 + 0.8 * SHARES)
    half = HALF if seeds > 1 else np.nan
    overall = by_seed[..., 1:].mean(-1)
    trend = 0.4 * overall
    banded = by_band(by_seed, RANKS)
    numbers = {
        **_interval("", ("compared", "direction"), by_seed.mean(1), half),
        **_interval("overall", ("compared",), overall.mean(1), half),
        **_interval("trend", ("compared",), trend.mean(1), half),
        **_interval("band_overall", ("compared", "band"), banded.mean(1), half),
    }
    if placebos:
        difference = by_seed[:1] - by_seed[1:]
        whole = overall[:1] - overall[1:]
        numbers |= {
            **_interval("difference", ("placebo", "direction"), difference.mean(1), half),
            **_interval("overall_difference", ("placebo",), whole.mean(1), half),
            **_interval(
                "band_difference",
                ("placebo", "band"),
                banded[:1].mean(1) - banded[1:].mean(1),
                half,
            ),
            "difference": (("placebo", "seed", "direction"), difference),
            "band_difference": (("placebo", "seed", "band"), banded[:1] - banded[1:]),
            "overall_difference": (("placebo", "seed"), whole),
        }
    models = (REFERENCE, *compared)
    return xr.Dataset(
        {
            "step": (("point",), np.arange(1, POINTS + 1) ** 2),
            "eigenvalue": (("direction",), 1 / RANKS),
            "progress": (
                ("model", "seed", "point", "direction"),
                _progress(rng, models, seeds, centre),
            ),
            "log_ratio_curve": (("compared", "seed", "direction", "share"), curve),
            "log_ratio": (("compared", "seed", "direction"), by_seed),
            "overall": (("compared", "seed"), overall),
            "band_overall": (("compared", "seed", "band"), banded),
            "trend": (("compared", "seed"), trend),
            "steps": (
                ("compared", "seed", "side", "end"),
                np.ones((len(compared), seeds, 2, 2), dtype=int),
            ),
            **numbers,
            **_theory(),
        },
        coords={
            "model": list(models),
            "compared": list(compared),
            "band": list(BANDS),
            "seed": np.arange(seeds),
            "rank": ("direction", RANKS),
            "share": SHARES,
            "linear_model": [REFERENCE, STUDENT],
            **({"placebo": list(placebos)} if placebos else {}),
        },
        attrs={"range": [BEGIN, END], "total_variance": 12.0},
    )


def make_bias(setting="mnist-noisy-T4", layers=("hidden_1",), seeds=3, salt=0, **options) -> Bias:
    about = {"dataset": "mnist", "teacher": "mlp", "student": "mlp", "temperature": 4.0}
    made = {name: make_layer(seeds, salt + k, **options) for k, name in enumerate(layers)}
    return Bias(setting, about, made)


def with_bias(count=1, seeds=3, layers=("hidden_1",), **options) -> dict[str, Analysis]:
    """Settings as of `make_analyses`, each with a bias analysis."""
    return {
        name: replace(analysis, bias=make_bias(name, layers, seeds, salt, **options))
        for salt, (name, analysis) in enumerate(make_analyses(count, seeds).items())
    }


def put_bias(bias, layer, what, model, numbers) -> None:
    """Overwrite estimate, low and high of ``overall`` or ``trend`` (logarithms) of one model."""
    for end, number in zip(("estimate", "low", "high"), numbers, strict=True):
        bias.layers[layer][f"{what}_{end}"].loc[{"compared": model}] = number


def put_difference(bias, layer, placebo, numbers) -> None:
    """Overwrite estimate, low and high of the student's overall log ratio minus a placebo's."""
    for end, number in zip(("estimate", "low", "high"), numbers, strict=True):
        bias.layers[layer][f"overall_difference_{end}"].loc[{"placebo": placebo}] = number


def blank_bias(bias) -> None:
    """Make every computed number NaN."""
    for data in bias.layers.values():
        for name, values in data.items():
            if name.endswith(("estimate", "low", "high")) or name.startswith(("log_", "overall")):
                values[:] = np.nan
