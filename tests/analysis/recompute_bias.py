"""Recompute bias.csv from the histories of the runs, sharing no code with the package.

Levels of leading progress are searched one after another, paths are straight lines between recorded
points, the theorem is f(p) f(q) / f(p q) with f(a) = 1 - (1 - a)^r. The drawn pairs of directions
are read from the bias store; their counts are not.
"""

import math

import netCDF4
import numpy as np

NAN = float("nan")
LEVELS = 101
STOP = 0.9
BANDS = {"2 to 9": (2, 9), "10 to 60": (10, 60), "beyond 60": (61, math.inf)}
PAIRS = 15
PAIR_LEVELS = [(10 + i) / 100 for i in range(81)]


def bias_setting(runs, spec, interval, store):
    """Return numbers by layer, and rows by key.

    ``interval`` takes values of shape (seed, sample) and returns mean, low, high.
    Keys: (layer, seed, compared, against, rank, band, statistic); rows: (value, low, high, seeds,
    eigenvalue).
    """
    layers, rows = {}, {}
    for layer in spec["layers"]:
        numbers = _layer(runs, spec, layer)
        if "pairs" in spec:
            numbers["pairs"] = _pairs(runs, spec, layer, store)
        layers[layer] = numbers
        for key, row in _rows(numbers, spec["seeds"], interval):
            rows[layer, *key] = row
    return layers, rows


def _layer(runs, spec, layer):
    """Return {model: {statistic: array over seeds first}} and the spectrum."""
    stores = {
        model: [_history(runs / id / "history.nc", layer) for id in ids]
        for model, ids in spec["runs"].items()
        if model != "teacher"
    }
    # Seeds may have bases of their own: the ranks of all of them, and the mean of their spectra.
    references = stores["reference"]
    ranks = [r for r in references[0]["rank"] if all(r in other["rank"] for other in references)]
    for histories in stores.values():
        for history in histories:
            kept = [list(history["rank"]).index(rank) for rank in ranks]
            history["progress"] = history["progress"][:, kept]
            history["eigenvalue"] = history["eigenvalue"][kept]
    eigenvalue = sum(reference["eigenvalue"] for reference in references) / len(references)
    numbers = {"rank": ranks, "eigenvalue": eigenvalue, "models": {}}
    for model, histories in stores.items():
        if model != "reference":
            pairs = zip(histories, stores["reference"], strict=True)
            found = [_pair(one, other, spec["range"]) for one, other in pairs]
            numbers["models"][model] = {
                name: np.array([f[name] for f in found]) for name in found[0]
            }
    students = stores["student"]
    numbers["differences"] = {
        model: [_pair(*pair, spec["range"]) for pair in zip(students, histories, strict=True)]
        for model, histories in stores.items()
        if model not in ("reference", "student")
    }
    numbers["theorem"] = _theorem(eigenvalue, spec["range"])
    return numbers


def _history(path, layer):
    with netCDF4.Dataset(path) as file:
        group = file["progress"][layer]
        return {
            name: np.array(group[name][:]) for name in ("step", "progress", "rank", "eigenvalue")
        }


def _pair(compared, reference, matched):
    """Return log ratio per direction, overall, trend and steps of one pair of runs."""
    tops = [history["progress"][:, 0].max() for history in (compared, reference)]
    shares = [matched[0] + (matched[1] - matched[0]) * i / (LEVELS - 1) for i in range(LEVELS)]
    logs, steps = [], []
    for share in shares:
        here = [_at(history, share * min(tops)) for history in (compared, reference)]
        # a row: steps, then progress along all directions
        logs.append([math.log(c / r) for c, r in zip(here[0][1:], here[1][1:], strict=True)])
        steps.append([here[0][0], here[1][0]])
    logs = np.array(logs)
    change = logs[-1] - logs[0]
    return {
        "log_ratio": logs.sum(0) / LEVELS,
        "overall": sum(logs[:, k].mean() for k in range(1, logs.shape[1])) / (logs.shape[1] - 1),
        "trend": sum(change[1:]) / len(change[1:]),
        "steps": np.array([steps[0], steps[-1]]).T,  # side, end
    }


def _at(history, level):
    """Walk along the path until leading progress first reaches ``level``."""
    before = np.zeros(1 + history["progress"].shape[1])
    for step, progress in zip(history["step"], history["progress"], strict=True):
        here = np.array([step, *progress])
        if here[1] >= level:
            part = (level - before[1]) / (here[1] - before[1])
            return (1 - part) * before + part * here
        before = here
    raise AssertionError("a level of the common range must be reached")


def _theorem(eigenvalue, matched):
    shares = np.linspace(matched[0], matched[1], LEVELS)[:, None]
    r = np.maximum(eigenvalue, 0) / eigenvalue[0]

    def learnt(a):
        return 1 - (1 - a) ** r

    with np.errstate(invalid="ignore"):
        logs = np.log(learnt(shares) * learnt(STOP) / learnt(STOP * shares))
    change = logs[-1] - logs[0]
    return {"log_ratio": logs.mean(0), "overall": logs[:, 1:].mean(), "trend": change[1:].mean()}


def _rows(numbers, seeds, interval):
    for (model, name), counts in numbers.get("pairs", {}).items():
        key = (model, "teacher", "", "", name)
        for seed, value in zip(seeds, counts, strict=True):
            yield (str(seed), *key), (value, NAN, NAN, 1, NAN)
        mean, low, high = interval(counts[:, None])
        yield ("mean", *key), (mean, max(low, 0), min(high, PAIRS), len(seeds), NAN)
    for model, found in numbers["models"].items():
        yield from _of_pair(numbers, found, (model, "reference"), seeds, interval, "")
        for side, name in enumerate(("compared", "against")):
            for end, where in enumerate(("begin", "end")):
                values = found["steps"][:, side, end]
                key = (model, "reference", "", "", f"steps_{name}_{where}")
                for seed, value in zip(seeds, values, strict=True):
                    yield (str(seed), *key), (value, NAN, NAN, 1, NAN)
                yield ("mean", *key), (values.mean(), NAN, NAN, len(seeds), NAN)
        if model == "student":
            continue
        paired = {
            name: np.array([f[name] for f in numbers["differences"][model]])
            for name in ("log_ratio", "overall")
        }
        yield from _of_pair(numbers, paired, ("student", model), seeds, interval, "_difference")
    pair = ("linear regression", "reference")
    theorem = numbers["theorem"]
    for k, value in enumerate(theorem["log_ratio"]):
        eigenvalue = numbers["eigenvalue"][k]
        key = ("mean", *pair, str(numbers["rank"][k]), "", "log_ratio")
        yield key, (value, NAN, NAN, 0, eigenvalue)
    for name in ("overall", "trend"):
        yield ("mean", *pair, "", "", name), (theorem[name], NAN, NAN, 0, NAN)


def _of_pair(numbers, found, pair, seeds, interval, suffix):
    """Yield the rows per seed and over seeds of all statistics except steps."""
    table = [
        (str(rank), "", "log_ratio", numbers["eigenvalue"][k], found["log_ratio"][:, k])
        for k, rank in enumerate(numbers["rank"])
    ]
    table += [("", "", name, NAN, found[name]) for name in ("overall", "trend") if name in found]
    bands = in_bands(numbers["rank"], found["log_ratio"])
    table += [("", band, "overall", NAN, values) for band, values in bands.items()]
    for rank, band, name, eigenvalue, values in table:
        key = (*pair, rank, band, name + suffix)
        for seed, value in zip(seeds, values, strict=True):
            yield (str(seed), *key), (value, NAN, NAN, 1, eigenvalue)
        yield ("mean", *key), (*interval(values[:, None]), len(seeds), eigenvalue)


def in_bands(ranks, log_ratio):
    """Return {band: mean over its directions, per seed} of the bands that have any."""
    columns = {
        band: [k for k, rank in enumerate(ranks) if first <= rank <= last]
        for band, (first, last) in BANDS.items()
    }
    return {band: log_ratio[:, ks].sum(1) / len(ks) for band, ks in columns.items() if ks}


# --- pairs -----------------------------------------------------------------------------------


def _pairs(runs, spec, layer, store):
    """Return {(model, statistic): count of pairs per seed}; norms where all starts are one."""
    with netCDF4.Dataset(store) as file:
        drawn = [np.array(file[layer][f"pair_{end}"][:]) for end in ("top", "bottom")]
    paths, starts = {}, set()
    for model, ids in spec["runs"].items():
        for index, id in enumerate(ids):
            ranks, norms, ways, start = _paths(runs / id / "history.nc", layer)
            paths[model, index] = ranks, {"": ways, "norm_": norms}
            starts.add((index, start))
    same = len(starts) == len(spec["seeds"])
    found = {}
    for model in (m for m in spec["runs"] if m != "teacher"):
        for prefix in ("", "norm_") if same else ("",):
            counts = [
                _count(paths[model, index], paths["teacher", index], prefix, spec["pairs"], drawn)
                for index in range(len(spec["seeds"]))
            ]
            for name, values in zip(("expected", "drawn"), np.array(counts).T, strict=True):
                found[model, f"{prefix}pairs_{name}"] = values
    return found


def _paths(path, layer):
    """Return ranks, and paths of norms and of progress (point, direction) with their beginnings."""
    with netCDF4.Dataset(path) as file:
        group = file["progress"][layer]
        ranks = list(map(int, group["rank"][:]))
        norms = np.vstack([np.array(group["norm_start"][:]), np.array(group["norm"][:])])
        progress = np.array(group["progress"][:])
        ways = np.vstack([np.zeros(len(ranks)), progress])
        return ranks, norms, ways, group.initialisation


def _count(compared, teacher, prefix, pairs, drawn):
    """Return the mean over all pairs times their number, and the count of those drawn."""
    ranks = teacher[0]
    one, other = compared[1][prefix], teacher[1][prefix]
    tops = range(1, pairs["top"] + 1)
    bottoms = range(pairs["bottom"][0], pairs["bottom"][1] + 1)
    lags = {}
    for top in tops:
        way = other[-1, ranks.index(top)] - other[0, ranks.index(top)]
        levels = [other[0, ranks.index(top)] + share * way for share in PAIR_LEVELS]
        logs = [_log_at(one, other, level, ranks.index(top)) for level in levels]
        logs = [log for log in logs if log is not None]
        for bottom in bottoms:
            mean = sum(log[ranks.index(bottom)] for log in logs) if logs else 0
            lags[top, bottom] = 1 if mean < 0 else 0 if mean > 0 else 0.5
    expected = PAIRS * sum(lags.values()) / len(lags)
    return expected, sum(lags[int(t), int(b)] for t, b in zip(*drawn, strict=True))


def _log_at(one, other, level, top):
    """Return ln(one / other) along all directions where both first pass a level; None if not."""
    there = []
    for path in (one, other):
        after = np.flatnonzero(path[:, top] >= level)
        if not len(after) or after[0] == 0:
            return None
        before = path[after[0] - 1]
        part = (level - before[top]) / (path[after[0], top] - before[top])
        there.append((1 - part) * before + part * path[after[0]])
    return np.log(there[0]) - np.log(there[1])
