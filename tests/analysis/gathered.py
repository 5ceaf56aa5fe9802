"""Statistics of arrays in memory, passed to the package's code as one block."""

import numpy as np

from disobey.analysis import confidence
from disobey.analysis import quality as of_quality
from disobey.analysis.confidence import CentredLogits
from disobey.analysis.resampling import Means, gather


def means(resamples, features, where):
    """Means of ``features`` (example, feature) over ``where`` in every resample."""
    found = Means()
    for rows, counts in resamples.blocks():
        found.add(counts, features[rows], where[rows, None])
    return found.values()[:, 0]


def primary(resamples, *args):
    found = confidence.primary(*args)
    gather(resamples, [found])
    return found.statistics()


def plotted(resamples, *args):
    found = confidence.plotted(*args)
    gather(resamples, [found])
    return found.statistics()


def inheritance(resamples, model, teacher, replicate, where):
    trio = ("model", "teacher", "replicate")
    logits = dict(zip(trio, map(CentredLogits, (model, teacher, replicate)), strict=True))
    inside = np.flatnonzero(where)
    mean = {
        name: z[slice(None)][inside].mean(0) if inside.size else np.zeros(model.shape[1])
        for name, z in logits.items()
    }
    found = confidence.inheritance(logits, mean, [trio], where)
    gather(resamples, [found])
    return found.statistics()[trio]


def quality(resamples, logits, label, clean_label, where):
    means, ece = of_quality.example_means(of_quality.QUALITY), of_quality.calibration()
    for rows, counts in resamples.blocks():
        outputs = of_quality.Outputs(logits[rows])
        block = of_quality.Block(outputs, outputs, np.empty(0), label[rows], clean_label[rows])
        for found in (means, ece):
            found.add(counts, block, where[rows, None])
    return means.statistics()[0] | ece.statistics()[0]


def fidelity(resamples, logits, teacher, where):
    found = of_quality.example_means(of_quality.FIDELITY)
    unknown = np.empty(0, int)
    for rows, counts in resamples.blocks():
        outputs = [of_quality.Outputs(z[rows]) for z in (logits, teacher)]
        kl = of_quality.kl_divergence(outputs[1], outputs[0])
        found.add(counts, of_quality.Block(*outputs, kl, unknown, unknown), where[rows, None])
    (statistics,) = found.statistics()
    return statistics


def counts_of(resamples):
    """All counts at once, (1 + resample, example)."""
    return np.hstack([counts for _, counts in resamples.blocks()])
