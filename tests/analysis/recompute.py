"""Recompute every row of the tables, sharing no code with the package.

``recompute(folder)`` reads the tables confidence, accuracy, bias and claims, the specs in the
manifests of the analyses, the logits, the histories, and the variables for plots of the analyses;
it returns descriptions of all mismatches. Usage, in the folder that contains results/:

    python tests/analysis/recompute.py .

Resamples are physical here: rows are repeated as often as they were drawn, and each statistic is
computed on those rows by ordinary formulas.
"""

import csv
import json
import sys
import warnings
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import netCDF4
import numpy as np
import recompute_claims
import recompute_payoff
import recompute_readings
from recompute_bias import bias_setting
from recompute_claims import half_width

SUBSETS = ("all", "teacher right", "teacher wrong", "clean", "mislabelled")
TABLES = ("confidence", "accuracy")
EFFECT = "student - reference"
QUALITY = (
    "accuracy", "clean_accuracy", "nll", "brier", "ece", "saturated",
    "given_label_confidence", "clean_label_confidence",
)  # fmt: skip
STATISTICS = (
    "exaggeration", *(f"gap_decile_{k}" for k in range(1, 11)), "signal_scale", "inheritance",
    "plot_slope", "plot_intercept", "plot_slope_bottom_quartile", "plot_gap_bottom_decile",
    "plot_gap_top_decile", "plot_share_below_diagonal", "plot_sd_ratio",
    *recompute_readings.NAMES, "agreement",
    "kl_from_teacher", "total_variation", *QUALITY, *recompute_payoff.NAMES,
    "leak", "leak_top1", "leak_excess", "memory", "memory_top1",
)  # fmt: skip
TOLERANCE = 1e-6
# Counts that may differ, in all cells of a variable.
MOVED = 4
NAN = float("nan")


def recompute(folder):
    """Return a list of mismatches, empty if all tables below ``folder``/results are right."""
    results = Path(folder) / "results"
    tables = sorted(results.glob("*/tables/confidence.csv"))
    if not tables:
        return [f"{results}: there is no confidence.csv to check"]
    return [line for table in tables for line in _study(results, table.parent.parent)]


def _study(results, study):
    expected, settings, bias, mismatches = {}, {}, {}, []
    for manifest in sorted((study / "analysis").glob("*.nc.json")):
        record = json.loads(manifest.read_text())
        spec, name = record["spec"], record["id"]
        if "epoch" in spec["about"]:
            continue  # a snapshot: figures show it, tables do not
        about = spec.pop("about")
        rows, found = _setting((results / "logits").resolve(), json.dumps(spec))
        expected |= {(name, *key): row for key, row in rows.items()}
        for split, plots in found["plots"].items():
            mismatches += _plots(manifest.with_suffix(""), split, plots)
        settings[name] = SimpleNamespace(**found, about=about, bias=None)
    for manifest in sorted((study / "bias").glob("*.nc.json")):
        record = json.loads(manifest.read_text())
        name = record["id"]
        layers, rows = bias_setting(
            results / "runs", record["spec"], _interval, manifest.with_suffix("")
        )
        settings[name].bias = layers
        bias |= {(name, *key): row for key, row in rows.items()}
    for table in TABLES:
        path = study / "tables" / f"{table}.csv"
        if path.exists():
            here = {k: row for k, row in expected.items() if _table_of(k) == table}
            found = _read(path, study.name, CONFIDENCE_KEY, NUMBERS)
            mismatches += [f"{path}: {line}" for line in _compare(found, here, NUMBERS)]
    mismatches += _bias_table(study, bias)
    return mismatches + _claims_table(study, settings)


def _plots(path, split, expected):
    """Yield errors in an analysis's variables for plots; rounding may move some points."""
    with netCDF4.Dataset(path) as file:
        group = file[split]
        for name, should in expected.items():
            was = (
                np.ma.filled(group[name][:].astype(float), NAN) if name in group.variables else NAN
            )
            if np.shape(was) != should.shape:
                yield f"{path}: {split}/{name} is missing or of another shape"
                continue
            if should.dtype.kind == "i":
                same = np.abs(was - should).sum() <= MOVED
            else:
                same = np.allclose(was, should, TOLERANCE, TOLERANCE, equal_nan=True)
            if not same:
                yield f"{path}: {split}/{name} differs from what is recomputed"


def _bias_table(study, expected):
    path = study / "tables" / "bias.csv"
    if not path.exists():
        return [f"{path}: is missing"] if expected else []
    names = ("value", "low", "high", "seeds", "eigenvalue")
    found = _read(path, study.name, BIAS_KEY, names)
    return [f"{path}: {line}" for line in _compare(found, expected, names)]


def _claims_table(study, settings):
    path = study / "tables" / "claims.csv"
    if not path.exists():
        return []
    names, words = recompute_claims.NAMES, ("side", "verdict", "counted")
    rows = recompute_claims.claims(settings)
    found, said = (
        {key: row for key, row in read.items() if key[0] not in ELSEWHERE}
        for read in (
            _read(path, study.name, CLAIMS_KEY, names),
            _read(path, study.name, CLAIMS_KEY, words, str),
        )
    )
    lines = list(_compare(found, {key: row[0] for key, row in rows.items()}, names))
    for key in rows.keys() & said.keys():
        if said[key] != [str(word) for word in rows[key][1:]]:
            lines.append(f"{key}: says {said[key]}, recomputed {rows[key][1:]}")
    return [f"{path}: {line}" for line in lines]


def _table_of(key):
    return "accuracy" if key[-1] in QUALITY else "confidence"


# --- comparing -------------------------------------------------------------------------------

NUMBERS = ("value", "low", "high", "seeds", "n")
CONFIDENCE_KEY = ("setting", "model", "seed", "split", "subset", "statistic")
BIAS_KEY = ("setting", "layer", "seed", "compared", "against", "rank", "band", "statistic")
# What is recomputed beside the stores that it is of: see test_curves.py and test_gradients.py.
ELSEWHERE = {"equal_accuracy", "gradient_signs", "class_directions"}
CLAIMS_KEY = (
    "claim", "split", "reading", "setting", "layer", "placebo", "control_name",
    "band",
)  # fmt: skip


def _number(text):
    return float(text or "nan")


def _read(path, study, key_names, names, kind=_number):
    """Return {key: numbers} of a table."""
    found = {}
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            key = tuple(row[name] for name in key_names)
            if row["study"] != study:
                key = (f"study {row['study']}", *key)
            if key in found:
                key = (*key, "again")
            found[key] = [kind(row[name]) for name in names]
    return found


def _compare(found, expected, names):
    for key in expected.keys() - found.keys():
        yield f"{key}: the row is missing, its value is {expected[key][0]}"
    for key in found.keys() - expected.keys():
        yield f"{key}: the row should not be there"
    both = sorted(expected.keys() & found.keys(), key=str)
    was, should = (
        np.array([of[key] for key in both], float).reshape(len(both), len(names))
        for of in (found, expected)
    )
    wrong = ~np.isclose(was, should, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    for row, column in np.argwhere(wrong):
        numbers = was[row, column], should[row, column]
        yield f"{both[row]}: {names[column]} is {numbers[0]}, recomputed {numbers[1]}"


# --- one setting and split -------------------------------------------------------------------


def _load(path, split):
    names = ("logits", "label", "clean_label", "seen")
    with netCDF4.Dataset(path) as file:
        group = file["test" if split == "test" else "train"]
        return {name: np.array(group[name][:]) for name in names if name in group.variables}


@cache
def _setting(folder, spec):
    """Return the rows of a setting, and the values that claims and plots need.

    The spec is JSON without ``about``: settings of the same runs are computed once.

    Rows are {(model, seed, split, subset, statistic): (value, low, high, seeds, n)}.
    """
    spec = json.loads(spec)
    setting = SimpleNamespace(values={}, counts={}, plots={})
    rows = {}
    held_out = [split for split in spec.get("splits", ()) if split == "held_out"]
    for split in ("train", "test", *held_out):
        rows |= _split(folder, spec, split, setting)
    return rows, vars(setting)


def _split(folder, spec, split, setting):
    """Return the rows of a split; put values by seed and sample, and the rest, into ``setting``."""
    stores = {
        role: [_load(folder / f"{run}.nc", split) for run in spec[f"{role}s"]]
        for role in ("teacher", "reference", "student")
    }
    for mask in {
        store["seen"].tobytes(): store["seen"] for store in stores["student"] if "seen" in store
    }.values():
        kept = [i for i, seen in enumerate(mask) if bool(seen) == (split == "train")]
        stores = {
            role: [{name: values[kept] for name, values in store.items()} for store in per]
            for role, per in stores.items()
        }
    label, clean = (stores["teacher"][0][name] for name in ("label", "clean_label"))
    logits = {role: [s["logits"].astype(float) for s in per] for role, per in stores.items()}
    n, seeds = len(label), spec["seeds"]
    samples = [np.arange(n)]
    if split == "test":
        setting.constant = max((clean == k).mean() for k in set(clean))
    if split != "train":
        rng = np.random.default_rng(
            np.random.SeedSequence([spec["analysis"]["seed"], *b"resamples"])
        )
        samples += [rng.integers(n, size=n) for _ in range(spec["analysis"]["resamples"])]

    def member(subset, judge):
        right = logits["teacher"][judge].argmax(1) == label
        return [
            np.ones(n, bool), right, ~right, label == clean, label != clean
        ][SUBSETS.index(subset)]  # fmt: skip

    setting.plots[split] = recompute_readings.plots(logits, label, clean, len(seeds))
    rows = {}
    for subset in SUBSETS:
        per_model = {
            role: [
                _model(logits, label, clean, role, i, lambda j, s=subset: member(s, j), samples)
                | _other_readings(logits, label, clean, role, i, member(subset, i), subset, samples)
                for i in range(len(seeds))
            ]
            for role in logits
        }
        recompute_payoff.add_copied(per_model)
        if split == "held_out":
            _remember(per_model, setting, subset, logits["teacher"][0].shape[1])
        per_model[EFFECT] = [
            {
                name: values - reference[name]
                for name, values in student.items()
                if name in reference
            }
            for student, reference in zip(per_model["student"], per_model["reference"], strict=True)
        ]
        counts = [int(member(subset, i).sum()) for i in range(len(seeds))]
        setting.counts[split, subset] = round(sum(counts) / len(counts))
        for model, per_seed in per_model.items():
            for name in STATISTICS:
                one = [found.get(name, np.full(len(samples), NAN)) for found in per_seed]
                setting.values[split, subset, model, name] = np.array(one)  # (seed, sample)
        for key, row in _rows(setting.values, split, subset, seeds, counts):
            rows[key[0], key[1], split, subset, key[2]] = row
    return rows


def _remember(per_model, setting, subset, classes):
    """Add leak and memory of both compared models on the held-out examples of a subset."""
    top1, p = "accuracy", "given_label_confidence"
    for role in ("reference", "student"):
        for i, found in enumerate(per_model[role]):
            if subset == "mislabelled":
                wrong = 1 - found["clean_label_confidence"]
                found |= {"leak": found[p], "leak_top1": found[top1]}
                found["leak_excess"] = found[p] - wrong / (classes - 1)
            if not subset.startswith("teacher"):
                for name, of in (("memory", p), ("memory_top1", top1)):
                    seen = setting.values["train", subset, role, of][i, 0]
                    found[name] = seen - found[of]


def _other_readings(logits, label, clean, role, i, where, subset, samples):
    """Return pay-off and other readings of a model that is compared with its teacher."""
    if role == "teacher":
        return {}
    teachers = logits["teacher"]
    others = [z for j, z in enumerate(teachers) if j != i]
    pair = logits[role][i], teachers[i], others, label
    found = recompute_payoff.payoff(*pair, where, samples, subset)
    if not subset.startswith("teacher"):  # the rest is on subsets that no model decides
        found |= recompute_readings.readings(*pair, clean, where, samples, subset == "all")
    return found


def _rows(by_place, split, subset, seeds, counts):
    """Yield rows per seed and over all seeds, with the interval."""
    for model in ("teacher", "reference", "student", EFFECT):
        for name in STATISTICS:
            values = by_place[split, subset, model, name]
            full = values[:, 0]
            if not np.isfinite(full).all():
                continue
            for i, seed in enumerate(seeds):
                yield (model, str(seed), name), (full[i], NAN, NAN, 1, counts[i])
            number = round(sum(counts) / len(counts))
            mean, *ends = _interval(values)
            ends = np.clip(ends, *recompute_claims.within(name, model))
            yield (model, "mean", name), (mean, *ends, len(seeds), number)


def _interval(values):
    """Return mean, low and high of values of shape (seed, sample)."""
    mean, half = sum(values[:, 0]) / len(values), half_width(values)
    return mean, mean - half, mean + half


def _model(logits, label, clean, role, i, member, samples):
    """Return {statistic: value on each sample} of one model of seed ``i``."""
    model, teacher = logits[role][i], logits["teacher"][i]
    where = member(i)
    found = _quality(model, label, clean, samples, where)
    if role == "teacher":
        return found
    found |= _fidelity(model, teacher, samples, where)
    found |= _plot(model, teacher, samples, where)
    replicated = [
        _replicate(model, teacher, logits["teacher"][j], samples, member(j))
        for j in range(len(logits["teacher"]))
        if j != i
    ]
    if replicated:
        found |= {
            name: sum(one[name] for one in replicated) / len(replicated) for name in replicated[0]
        }
    return found


# --- the statistics --------------------------------------------------------------------------


def _phi(logits, chosen):
    """ln(p / (1 - p)) of the chosen class of each example."""
    own = np.eye(logits.shape[1], dtype=bool)[chosen]
    return logits[own] - np.logaddexp.reduce(np.where(own, -np.inf, logits), axis=1)


def _over(samples, where, statistics):
    """Evaluate ``statistics(rows) -> dict`` on the rows of the subset in every sample."""
    found = [statistics(sample[where[sample]]) for sample in samples]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _mean(values):
    return values.mean() if len(values) else NAN


def _distinct(rows):
    return len(rows) > 1 and (rows != rows[0]).any()


def _covariance(x, y):
    return ((x - x.mean()) * (y - y.mean())).sum() / len(x)


def _slope(x, y, rows):
    """Least squares of y on x; none for a single distinct example."""
    return _covariance(x[rows], y[rows]) / _covariance(x[rows], x[rows]) if _distinct(rows) else NAN


def _probabilities(logits):
    powers = np.exp(logits - logits.max(1)[:, None])
    return powers / powers.sum(1)[:, None]


def _log_probabilities(logits):
    return logits - np.logaddexp.reduce(logits, axis=1)[:, None]


def _quality(model, label, clean, samples, where):
    p, n = _probabilities(model), len(label)
    predicted = np.array([int(np.argmax(z)) for z in model])
    log_p = _log_probabilities(model)
    nll = np.array([-log_p[i, label[i]] for i in range(n)])
    one_hot = np.eye(p.shape[1])[label]
    brier = ((p - one_hot) ** 2).sum(1)
    correct, confidence = predicted == label, p.max(1)
    saturated = _phi(model, predicted) > 24 * np.log(2)
    bins = [(confidence >= k / 15) & ((confidence < (k + 1) / 15) | (k == 14)) for k in range(15)]

    def calibration(rows):
        if not len(rows):
            return NAN
        error = 0.0
        for inside in bins:
            chosen = rows[inside[rows]]
            if len(chosen):
                gap = abs(correct[chosen].mean() - confidence[chosen].mean())
                error += len(chosen) / len(rows) * gap
        return error

    return _over(
        samples,
        where,
        lambda rows: {
            "accuracy": _mean(correct[rows]),
            "clean_accuracy": _mean((predicted == clean)[rows]),
            "nll": _mean(nll[rows]),
            "brier": _mean(brier[rows]),
            "ece": calibration(rows),
            "saturated": _mean(saturated[rows]),
            "given_label_confidence": _mean(p[rows, label[rows]]),
            "clean_label_confidence": _mean(p[rows, clean[rows]]),
        },
    )


def _fidelity(model, teacher, samples, where):
    p, q = _probabilities(teacher), _probabilities(model)
    agree = p.argmax(1) == q.argmax(1)
    kl = (p * (_log_probabilities(teacher) - _log_probabilities(model))).sum(1)
    distance = np.maximum(p - q, 0).sum(1)
    return _over(
        samples,
        where,
        lambda rows: {
            "agreement": _mean(agree[rows]),
            "kl_from_teacher": _mean(kl[rows]),
            "total_variation": _mean(distance[rows]),
        },
    )


def _plot(model, teacher, samples, where):
    """Return the paper's plot; class and quantiles by the teacher, quantiles of the full sample."""
    chosen = teacher.argmax(1)
    m, t = _phi(model, chosen), _phi(teacher, chosen)
    empty = not where.any()
    quarter, tenth, top = (
        NAN if empty else np.quantile(t[where], share) for share in (0.25, 0.1, 0.9)
    )

    def fits(rows):
        low = rows[t[rows] <= quarter]
        slope = _slope(t, m, rows)
        ratio = NAN
        if _distinct(rows):
            ratio = m[rows].std() / t[rows].std()
        return {
            "plot_slope": slope,
            "plot_intercept": _mean(m[rows]) - slope * _mean(t[rows]),
            "plot_slope_bottom_quartile": _slope(t, m, low),
            "plot_gap_bottom_decile": _mean((m - t)[rows[t[rows] <= tenth]]),
            "plot_gap_top_decile": _mean((m - t)[rows[t[rows] >= top]]),
            "plot_share_below_diagonal": _mean((m < t)[low]),
            "plot_sd_ratio": ratio,
        }

    return _over(samples, where, fits)


def _centred(logits, where):
    logits = logits - logits.mean(1)[:, None]
    return logits - logits[where].mean(0) if where.any() else logits


def _replicate(model, teacher, replicate, samples, where):
    """Return A, G(q), A_z and B given one replicate; deciles and class means are the sample's."""
    chosen = replicate.argmax(1)
    m, t, r = (_phi(z, chosen) for z in (model, teacher, replicate))
    edges = [np.quantile(r[where], k / 10) for k in range(1, 10)] if where.any() else []
    decile = np.array([sum(value >= edge for edge in edges) for value in r])
    zm, zt, zr = (_centred(z, where) for z in (model, teacher, replicate))
    inner = {
        name: (a * b).sum(1)
        for name, a, b in zip(
            ("mr", "tr", "mt", "tt", "rr"), (zm, zt, zm, zt, zr), (zr, zr, zt, zt, zr), strict=True
        )
    }

    def primary(rows):
        found = {"exaggeration": NAN}
        if _distinct(rows):
            above, below = _covariance(m[rows], r[rows]), _covariance(t[rows], r[rows])
            found["exaggeration"] = above / below
        for k in range(10):
            found[f"gap_decile_{k + 1}"] = _mean((m - t)[rows[decile[rows] == k]])
        mr, tr, mt, tt, rr = (_mean(inner[name][rows]) for name in ("mr", "tr", "mt", "tt", "rr"))
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found["signal_scale"] = np.divide(mr, tr)
            # of a replicate as long as the teacher, which leaves of <t, t - r'> what cosines say
            cosine_mt, cosine_mr = np.divide(mt, tt), np.divide(mr, np.sqrt(tt * rr))
            cosine_tr = np.divide(tr, np.sqrt(tt * rr))
            apart = 1 - cosine_tr > 1e-12
            found["inheritance"] = (cosine_mt - cosine_mr) / (1 - cosine_tr) if apart else NAN
        return found

    return _over(samples, where, primary)


if __name__ == "__main__":
    lines = recompute(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(lines) or "every row agrees")
    sys.exit(bool(lines))
