"""Recompute other readings of the logits: label's class, dissection, AUC, plots and curves.

Shares no code with the package. ``samples`` are row numbers, repeated as often as drawn; the first
sample has every row once.
"""

import numpy as np

NAN = float("nan")
PANELS = ("both_right", "only_model_right", "only_teacher_right", "neither_right")
LABEL = (
    "label_slope", "label_gap_bottom_decile", "label_gap_top_decile", "label_share_below_diagonal",
)  # fmt: skip
NAMES = (
    *LABEL, *(f"{name}_by_replicate" for name in LABEL), "mislabelled_auc", "plot_mislabelled_auc",
    *(f"{panel}_{name}" for panel in PANELS for name in ("share", "gap", "share_below_diagonal")),
)  # fmt: skip
SHARES = {name for name in NAMES if "share" in name or "auc" in name}


def phi(logits, chosen):
    """ln(p / (1 - p)) of the chosen class, from the logits of the others."""
    others = logits.astype(float)
    np.put_along_axis(others, chosen[:, None], -np.inf, 1)
    own = np.take_along_axis(logits, chosen[:, None], 1)[:, 0]
    return own - np.logaddexp.reduce(others, axis=1)


def _mean(values):
    return values.mean() if len(values) else NAN


def readings(model, teacher, replicates, label, clean, where, samples, whole):
    """Return {statistic: value on each sample} of one model; ``whole``: all examples."""
    m, t = phi(model, label), phi(teacher, label)
    others = [phi(replicate, label) for replicate in replicates]
    found = _at_label(m, t, t, where, samples)
    chosen = teacher.argmax(1)
    pm, pt = phi(model, chosen), phi(teacher, chosen)
    right = teacher.argmax(1) == label, model.argmax(1) == label
    found |= _dissected(pm - pt, *right, where, samples)
    by_replicate = [_at_label(m, t, r, where, samples) for r in others]
    for name in LABEL if others else ():
        found[f"{name}_by_replicate"] = sum(one[name] for one in by_replicate) / len(others)
    wrong = label != clean
    if whole and wrong.any():
        found["plot_mislabelled_auc"] = _auc(pm - pt, pt, wrong, samples)
        each = [_auc(m - t, r, wrong, samples) for r in others]
        if each:
            found["mislabelled_auc"] = sum(each) / len(each)
    return found


def _at_label(m, t, order, where, samples):
    if not where.any():
        return {name: np.full(len(samples), NAN) for name in LABEL}
    low, high = np.quantile(order[where], [0.1, 0.9])
    quarter = np.quantile(order, 0.25)
    found = {name: [] for name in LABEL}
    for sample in samples:
        rows = sample[where[sample]]
        slope = NAN
        if len(rows) and (rows != rows[0]).any():
            cross = [np.cov(x[rows], order[rows])[0, 1] for x in (m, t)]
            slope = cross[0] / cross[1]
        found["label_slope"].append(slope)
        gap, at = (m - t)[rows], order[rows]
        found["label_gap_bottom_decile"].append(_mean(gap[at <= low]))
        found["label_gap_top_decile"].append(_mean(gap[at >= high]))
        found["label_share_below_diagonal"].append(_mean(gap[at <= quarter] < 0))
    return {name: np.array(values) for name, values in found.items()}


def _dissected(gap, teacher_right, model_right, where, samples):
    members = (
        teacher_right & model_right, ~teacher_right & model_right,
        teacher_right & ~model_right, ~(teacher_right | model_right),
    )  # fmt: skip
    found = {}
    for panel, inside in zip(PANELS, members, strict=True):
        rows = [sample[where[sample]] for sample in samples]
        found[f"{panel}_share"] = np.array([_mean(inside[r]) for r in rows])
        chosen = [r[inside[r]] for r in rows]
        found[f"{panel}_gap"] = np.array([_mean(gap[r]) for r in chosen])
        found[f"{panel}_share_below_diagonal"] = np.array([_mean(gap[r] < 0) for r in chosen])
    return found


def _auc(gap, order, wrong, samples):
    """By all pairs; in a resample the mean placements of what was drawn, about the AUC."""
    unsure = order <= np.quantile(order, 0.25)
    bad, good = np.flatnonzero(unsure & wrong), np.flatnonzero(unsure & ~wrong)
    if not len(bad) or not len(good):
        return np.full(len(samples), NAN)
    lower = (np.sign(gap[good][None, :] - gap[bad][:, None]) + 1) / 2
    above, below = np.full(len(gap), NAN), np.full(len(gap), NAN)
    above[bad], below[good] = lower.mean(1), lower.mean(0)
    placed = [
        _mean(above[s][np.isfinite(above[s])]) + _mean(below[s][np.isfinite(below[s])])
        for s in samples
    ]
    return np.array(placed) - lower.mean()


# --- what is plotted -------------------------------------------------------------------------


def plots(logits, label, clean, seeds):
    """Return {variable: array}, dimensions in the order that `disobey.analysis.store` gives."""
    chosen = [logits["teacher"][i].argmax(1) for i in range(seeds)]
    at = {role: [phi(z[i], chosen[i]) for i in range(seeds)] for role, z in logits.items()}
    compared = [role for role in ("reference", "student") if logits.get(role)]
    x, ys = np.concatenate(at["teacher"]), [np.concatenate(at[role]) for role in compared]
    found = _plot(x, ys)
    labelled = {
        role: np.concatenate([phi(z[i], label) for i in range(seeds)]) for role, z in logits.items()
    }
    at_label = _plot(labelled["teacher"], [labelled[role] for role in compared])
    found |= {f"label_{name}": values for name, values in at_label.items()}
    edges = found["confidence_edge"]
    right = {
        role: np.concatenate([z[i].argmax(1) == label for i in range(seeds)])
        for role, z in logits.items()
    }
    found["dissected_density"] = np.array([
        [_cells(x[inside], y[inside], edges) for inside in (
            right["teacher"] & right[role], ~right["teacher"] & right[role],
            right["teacher"] & ~right[role], ~right["teacher"] & ~right[role],
        )]
        for role, y in zip(compared, ys, strict=True)
    ])  # fmt: skip
    wrong = np.tile(label != clean, seeds)
    if wrong.any():
        kinds = (~wrong, wrong)
        found["noise_density"] = np.array(
            [[_cells(x[kind], y[kind], edges) for kind in kinds] for y in ys]
        )
        found["noise_binned_teacher"] = np.array(
            [[_binned(x[kind], x[kind]) for kind in kinds] for _ in ys]
        )
        found["noise_binned_model"] = np.array(
            [[_binned(x[kind], y[kind]) for kind in kinds] for y in ys]
        )
    return found | _measures(logits, at, compared, seeds)


def _cells(x, y, edges):
    return np.histogram2d(x, y, [edges, edges])[0].astype(int)


def _binned(order, values):
    ends = np.quantile(order, np.arange(1, 20) / 20)
    bins = (order[:, None] >= ends).sum(1)
    return np.array([_mean(values[bins == k]) for k in range(20)])


def _plot(x, ys):
    low, high = np.quantile(np.concatenate([x, *ys]), [0.001, 0.999])
    margin = 0.02 * (high - low)
    edges = np.linspace(low - margin, high + margin, 61)
    density = np.array([_cells(x, y, edges) for y in ys])
    return {
        "confidence_edge": edges,
        "density": density,
        "density_outside": len(x) - density.sum((1, 2)),
        "binned_teacher": np.array([_binned(x, x) for _ in ys]),
        "binned_model": np.array([_binned(x, y) for y in ys]),
    }


def _measures(logits, at, compared, seeds):
    log_p = {
        role: [z - np.logaddexp.reduce(z, axis=1)[:, None] for z in zs[:seeds]]
        for role, zs in logits.items()
    }
    p = {role: [1 / (1 + np.exp(-each)) for each in per] for role, per in at.items()}
    entropy = {role: [-(np.exp(z) * z).sum(1) for z in per] for role, per in log_p.items()}
    top = np.log(logits["teacher"][0].shape[1])
    ends = np.linspace(0, 1, 61), np.linspace(0, top, 61)
    density = [
        [_cells(np.concatenate(of["teacher"]), np.concatenate(of[role]), edges)
         for role in compared]
        for of, edges in zip((p, entropy), ends, strict=True)
    ]  # fmt: skip
    across = np.empty((5, 20, seeds))
    up = np.empty((5, len(compared), 20, seeds))
    for i in range(seeds):
        t, h = at["teacher"][i], entropy["teacher"][i]
        orders = t, h, t, t, h
        for k, shown in enumerate((p["teacher"][i], h, t, p["teacher"][i], h)):
            across[k, :, i] = _binned(orders[k], shown)
        for j, role in enumerate(compared):
            z = log_p["teacher"][i]
            kl = (np.exp(z) * (z - log_p[role][i])).sum(1)
            for k, values in enumerate((p[role][i], entropy[role][i], kl, kl, kl)):
                up[k, j, :, i] = _binned(orders[k], values)
    return {
        "measure_density": np.array(density),
        "measure_edge": np.array(ends),
        "curve_teacher": across,
        "curve_model": up,
        "curve_estimate": up.mean(-1),
    }
