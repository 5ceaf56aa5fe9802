"""Write the logits of models trained elsewhere into one store, with their rows aligned."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from disobey.comparison.comparing import align_models
from disobey.comparison.store import write_models
from disobey.data.prepared import read_labels
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.contents import read_content
from disobey.stores.reader import read_attributes

PAIR = ("teachers", "students", "references")


def run(job: "Job") -> None:
    """Read, check and align the files named in the spec; write their store."""
    spec, files = job.spec, job.files
    _check_contents(spec, files)
    for key, places in files.items():
        print(f"{key}: {', '.join(places)}", file=sys.stderr)
    given = [files[key] for key in PAIR if key in files]
    pairs = list(zip(*given, strict=True))
    classes, told = _examples(job)
    labels = next(iter(files.get("labels", [])), None) or told
    of = spec.get("dataset", {}).get("data", "labels")
    aligned = align_models(
        pairs,
        files.get("replicates", []),
        labels,
        spec.get("probabilities", False),
        spec.get("split"),
        labels_are_of=of,
        class_names=classes,
        top_classes=len(given) == 1,  # a teacher without students
    )
    for split, of_split in aligned.items():
        if of_split.missing_mass is not None:
            mass = of_split.missing_mass
            print(
                f"{split}: top classes alone; the probability outside of them, {mass.mean():.4f} "
                f"on average and {mass.max():.4f} at most, is spread evenly over the others",
                file=sys.stderr,
            )
    for note in dict.fromkeys(of_split.note for of_split in aligned.values()):
        print(note, file=sys.stderr)
    with job.netcdf() as writer:
        write_models(writer, aligned, len(pairs), len(given), classes)


def _check_contents(spec: Mapping[str, Any], files: Mapping[str, list[str]]) -> None:
    """Refuse files that have changed since the study was planned."""
    for key, places in files.items():
        planned = spec[key] if isinstance(spec[key], list) else [spec[key]]
        for place, content in zip(places, planned, strict=True):
            if read_content([Path(place)]) != content:
                raise UserError(
                    f"{place}: has changed since the study was planned; call snakemake again"
                )


def _examples(job: "Job") -> tuple[list[str] | None, dict[str, np.ndarray] | None]:
    """Return class names, and the labels and ids of the data set, or None without a data set."""
    if "dataset" not in job.spec:
        return job.spec.get("classes"), None
    data = job.input(job.spec["dataset"]["data"]).file()
    noisy = job.spec["dataset"].get("labels")
    told: dict[str, np.ndarray] = {}
    labels = None if noisy is None else job.input(noisy).file()
    for split in job.spec["splits"]:
        given, clean, ids = read_labels(data, labels, split)
        told |= {f"{split}_label": given, f"{split}_clean_label": clean}
        told[f"{split}_example_id"] = ids
    return json.loads(read_attributes(data)["class_names"]), told
