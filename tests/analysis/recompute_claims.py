"""Recompute every row of claims.csv from recomputed numbers, sharing no code with the package.

A setting is a namespace: ``about``, ``values[split, subset, model, statistic]`` of shape (seed,
sample), ``counts[split, subset]`` (mean number of examples), ``constant`` (share of the most
frequent class of test), ``bias`` (numbers by layer, or None).
"""

from functools import cache

import numpy as np
import recompute_payoff
import recompute_readings
from recompute_bias import PAIRS, in_bands
from scipy import optimize, stats

NAN = float("nan")
EFFECT = "student - reference"
# claim: statistic of the plot, the same conditioned on a replicate, null of both, side
CONFIDENCE = {
    "low_confidence_underfitting": ("plot_gap_bottom_decile", "gap_decile_1", 0, "below"),
    "high_confidence_overfitting": ("plot_gap_top_decile", "gap_decile_10", 0, "above"),
    "exaggeration": ("plot_slope", "exaggeration", 1, "above"),
    "label_underfitting": (
        "label_gap_bottom_decile", "label_gap_bottom_decile_by_replicate", 0, "below",
    ),
    "mislabelled": ("plot_mislabelled_auc", "mislabelled_auc", 0.5, "above"),
}  # fmt: skip
OF_NOISE = ("denoising", "mislabelled")
# (claim, split, reading): statistic, model, null, side, subset, control
STORED = {
    ("accuracy_gain", "test", ""): ("accuracy", EFFECT, 0, "above", "all", ""),
    ("disobedience_pays", "test", ""): ("brier_gain", "student", 0, "above", "all", "reference"),
    ("payoff", "test", "second seed"): (
        "brier_payoff", EFFECT, 0, "above", "all", "reference",
    ),
    ("denoising", "train", ""): (
        "given_label_confidence", EFFECT, 0, "below", "mislabelled", "clean points",
    ),
}  # fmt: skip
for split in ("train", "test"):
    for claim, (plotted, conditioned, null, side) in CONFIDENCE.items():
        for reading, how in {
            "paper": (plotted, "student", null),
            "second seed": (plotted, EFFECT, 0),
            "replicate": (conditioned, "student", null),
        }.items():
            if (claim, split) != ("mislabelled", "test"):
                STORED[claim, split, reading] = (*how, side, "all", "reference")
    effect, copies = ("exaggeration", EFFECT), ("inheritance", "student")
    for claim, how in {"distillation_exaggerates": effect, "inheritance": copies}.items():
        STORED[claim, split, "replicate"] = (*how, 0, "above", "all", "reference")
# Shares have intervals within 0 and 1, differences of two within -1 and 1, of four within -2 and 2.
SHARES = {
    "accuracy", "clean_accuracy", "agreement", "total_variation", "plot_share_below_diagonal",
    "ece", "saturated", "given_label_confidence", "clean_label_confidence", "leak", "leak_top1",
    *recompute_readings.SHARES, *recompute_payoff.SHARES,
}  # fmt: skip
FEWEST = 200
NAMES = ("value", "low", "high", "null", "control", "seeds", "n", "p")


def claims(settings):
    """Return {(claim, split, reading, setting, layer, placebo, control name, band): row}.

    A row is (numbers, side, verdict, counted), with numbers in the order of `NAMES`.
    """
    # Most are of no band of ranks.
    rows = {key if len(key) == 8 else (*key, ""): row for key, row in _all_rows(settings)}
    for key, (numbers, side, _, counted) in rows.items():
        if degenerate(settings[key[3]]):
            rows[key] = (*numbers[:-1], NAN), side, "withheld", counted
    return rows


def degenerate(setting):
    """True if there are few test examples, or a teacher is no more accurate than a constant."""
    right = setting.values["test", "all", "teacher", "clean_accuracy"][:, 0]
    return setting.counts["test", "all"] < FEWEST or right.min() <= setting.constant


def within(statistic, model):
    """Return the bounds of an interval."""
    if statistic not in SHARES:
        return -np.inf, np.inf
    return (-1, 1) if model == EFFECT else (0, 1)


def _all_rows(settings):
    final = {name: s for name, s in settings.items() if not _is_an_end(s, settings)}
    for name, setting in final.items():
        for claim, how in STORED.items():
            throughout = "switch" not in setting.about
            if throughout and (claim[0] not in OF_NOISE or setting.about.get("label_noise")):
                yield (*claim, name, "", "", how[-1]), _stored(setting, claim[1], how)
        for index, layer in enumerate(setting.bias or ()):
            for key, row in _bias(setting.bias[layer], index == 0):
                yield (key[0], "", "", name, layer, *key[1:]), row
            for reading, key, row in _pairs(setting.bias[layer], index == 0):
                yield ("pairs", "", reading, name, layer, *key), row
        if "switch" in setting.about:
            control, row = _switching(setting, final)
            yield ("switching", "test", "", name, "", "", control), row
        for claim, control, row in _teachers(setting, final):
            yield (claim, "test", "", name, "", "", control), row


# --- deciding --------------------------------------------------------------------------------


def spread(values):
    """Return s^2 over seeds and v over resamples of their mean."""
    seeds, samples = values.shape
    s2 = values[:, 0].var(ddof=1) if seeds > 1 else NAN
    v = 0.0
    if samples > 1:
        means = values[:, 1:].mean(0)
        means = means[np.isfinite(means)]
        v = means.var(ddof=1) if len(means) > 1 else NAN
    return s2, v


@cache
def quantiles(level, seeds):
    """Return the quantiles of Student's t and of the normal distribution."""
    q = (1 + level) / 2
    return stats.t.ppf(q, seeds - 1), stats.norm.ppf(q)


def half_width(values, level=0.95):
    """Return sqrt(t^2 s^2 / S + z^2 v)."""
    s2, v = spread(values)
    if len(values) < 2:
        return NAN
    t, z = quantiles(level, len(values))
    return np.sqrt(t**2 * s2 / len(values) + z**2 * v)


def p_above(values, null):
    """Return half of the level at which the interval touches ``null``, by Brent's method."""
    distance, seeds = values[:, 0].mean() - null, len(values)
    s2, v = spread(values)
    if seeds < 2 or not np.isfinite([distance, s2, v]).all():
        return NAN

    def reach(log_p):
        t, z = stats.t.isf(np.exp(log_p), seeds - 1), stats.norm.isf(np.exp(log_p))
        return np.sqrt(t**2 * s2 / seeds + z**2 * v) - abs(distance)

    lowest = np.log(1e-16)
    if distance == 0:
        p = 0.5
    elif reach(lowest) <= 0:
        p = 0.0
    else:
        p = np.exp(optimize.brentq(reach, lowest, np.log(0.5), xtol=1e-12))
    return p if distance > 0 else 1 - p


def decide(values, null, side, ends=(-np.inf, np.inf)):
    """Return value, low, high, p, verdict."""
    mean, half = values[:, 0].mean(), half_width(values)
    low, high = (
        sorted((end, *ends))[1] if end == end else end for end in (mean - half, mean + half)
    )
    p = p_above(values, null)
    where = "above" if low > null else "below" if high < null else ""
    if side == "clear of":
        return mean, low, high, 2 * min(p, 1 - p), "holds" if where else "undecided"
    verdict = {"": "undecided", side: "holds"}.get(where, "contrary")
    return mean, low, high, p if side == "above" else 1 - p, verdict


def _row(values, null, side, control, n, counted=True, withheld=False, ends=(-np.inf, np.inf)):
    value, low, high, p, verdict = decide(values, null, side, ends)
    if withheld:
        p, verdict = NAN, "withheld"
    return (value, low, high, null, control, len(values), n, p), side, verdict, counted


# --- one setting -----------------------------------------------------------------------------


def _stored(setting, split, how):
    statistic, model, null, side, subset, beside = how
    control = NAN
    if beside == "reference":
        control = setting.values[split, subset, beside, statistic][:, 0].mean()
    elif beside:
        control = setting.values[split, "clean", model, statistic][:, 0].mean()
    values = setting.values[split, subset, model, statistic]
    n, ends = setting.counts[split, subset], within(statistic, model)
    return _row(values, null, side, control, n, ends=ends)


def _bias(numbers, first):
    """Yield ((claim, placebo, control name), row)."""
    models = numbers["models"]
    student, placebos = models["student"], [name for name in models if name != "student"]
    trends = [models[name]["trend"].mean() for name in placebos]
    named = "mean of placebos" if placebos else ""
    control = np.mean(trends) if placebos else NAN
    trend = student["trend"][:, None]
    yield ("bias_trend", "", named), _row(trend, 0, "above", control, NAN, first)
    if not placebos:
        row = _row(student["overall"][:, None], 0, "below", NAN, NAN, first, withheld=True)
        yield ("bias", "", ""), row
        return
    each = {}
    for name in placebos:
        values = np.array([pair["overall"] for pair in numbers["differences"][name]])[:, None]
        each[name] = _row(values, 0, "below", models[name]["overall"].mean(), NAN, False)
        yield ("bias", name, f"log ratio of {name}"), each[name]
    name = "mean log ratio of placebos"
    yield ("bias", "all", name), _over_all(each.values(), "below", first)
    alike = {model: found["log_ratio"] for model, found in models.items()}
    apart = {
        model: np.array([pair["log_ratio"] for pair in numbers["differences"][model]])
        for model in placebos
    }
    for band in in_bands(numbers["rank"], alike["student"]):
        rows = [
            _row(in_bands(numbers["rank"], apart[model])[band][:, None], 0, "below",
                 in_bands(numbers["rank"], alike[model])[band].mean(), NAN)
            for model in placebos
        ]  # fmt: skip
        yield ("bias", "all", name, band), _over_all(rows, "below", False)


def _pairs(numbers, first):
    """Yield (reading, (placebo, control name), row)."""
    if "pairs" not in numbers:
        return
    counts = {model: found for (model, name), found in numbers["pairs"].items()
              if name == "pairs_expected"}  # fmt: skip
    student, reference = counts.pop("student")[:, None], counts["reference"]
    row = _row(student, PAIRS / 2, "above", reference.mean(), NAN, first, ends=(0, PAIRS))
    yield "paper", ("", "reference"), row
    each = {
        model: _row(student - found[:, None], 0, "above", found.mean(), NAN, False,
                    ends=(-PAIRS, PAIRS))
        for model, found in counts.items()
    }  # fmt: skip
    for model, row in each.items():
        yield "second seed", (model, f"pairs of {model}"), row
    row = _over_all(each.values(), "above", first)
    yield "second seed", ("all", "mean pairs of placebos"), row


def _over_all(rows, side, counted):
    """Combine the rows against each control."""
    table, verdicts = np.array([row[0] for row in rows]), {row[2] for row in rows}
    p_values = table[:, 7]
    p = next((edge for edge, there in (
        (p_values.max(), p_values.max() < 0.5), (p_values.min(), p_values.min() > 0.5),
        (NAN, np.isnan(p_values).any()),
    ) if there), 0.5)  # fmt: skip
    numbers = (
        table[:, 0].mean(), table[:, 1].min(), table[:, 2].max(), table[0, 3], table[:, 4].mean(),
        table[0, 5], NAN, p,
    )  # fmt: skip
    verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    return numbers, side, verdict, counted


# --- several settings ------------------------------------------------------------------------


def _accuracy(setting, model="student"):
    return setting.values["test", "all", model, "accuracy"]


def _misses(setting):
    fits = setting.about.get("teacher_fits")
    if fits is None:
        return False
    fitted = setting.values["train", "all", "teacher", "accuracy"][:, 0] >= 0.995
    return not fitted.all() if fits == "interpolating" else fitted.any()


def _same(one, other, *but):
    keys = (one.about.keys() | other.about.keys()) - set(but)
    missing = object()
    return all(one.about.get(key, missing) == other.about.get(key, missing) for key in keys)


def _is_an_end(setting, settings):
    """Nothing is distilled, or no less than in another setting."""
    switch = setting.about.get("switch")
    if switch is None or "ramp" in switch or switch["at"] not in (0, 1):
        return False
    if (switch["order"], switch["at"]) in (("distillation_first", 0), ("one_hot_first", 1)):
        return True
    return any("switch" not in o.about and _same(setting, o, "switch") for o in settings.values())


def _unswitched(setting, settings):
    found = [
        (name, other)
        for name, other in settings.items()
        if "switch" not in other.about and _same(setting, other, "switch")
    ]
    return found[0] if len(found) == 1 else ("", None)


def _switching(setting, settings):
    name, base = _unswitched(setting, settings)
    n = setting.counts["test", "all"]
    if base is None:
        numbers = (NAN, NAN, NAN, 0, NAN, len(_accuracy(setting)), n, NAN)
        return "", (numbers, "above", "withheld", True)
    effect = _accuracy(setting) - _accuracy(base)
    control = _accuracy(base)[:, 0].mean()
    row = _row(effect, 0, "above", control, n, withheld=_misses(setting), ends=(-1, 1))
    return f"accuracy of {name}", row


def _teachers(setting, settings):
    """Yield (claim, control name, row) if the teacher does not interpolate and another one does."""
    if setting.about.get("teacher_fits") != "non_interpolating":
        return
    pairs = [
        (name, other)
        for name, other in settings.items()
        if other.about.get("teacher_fits") == "interpolating"
        and _same(setting, other, "teacher_fits", "teacher", "teacher_recipe", "trained")
    ]
    twins = [pair for pair in pairs if pair[1].about.get("teacher") == setting.about.get("teacher")]
    for index, (name, other) in enumerate(twins or pairs):
        claim, effects = "gain_depends_on_teacher", []
        for one in (setting, other):
            if "switch" in setting.about:
                claim, base = "switching_depends_on_teacher", _unswitched(one, settings)[1]
                effects.append(None if base is None else _accuracy(one) - _accuracy(base))
            else:
                effects.append(_accuracy(one, EFFECT))
        if any(effect is None for effect in effects):
            continue
        withheld = _misses(setting) or _misses(other) or degenerate(other)
        control, n = effects[1][:, 0].mean(), setting.counts["test", "all"]
        values = effects[0] - effects[1]
        yield claim, name, _row(values, 0, "clear of", control, n, index == 0, withheld, (-2, 2))
