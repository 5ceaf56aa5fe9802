"""Count gradients with the right sign, and measure how near weights come to true directions."""

import json
import sys
from collections.abc import Sequence

import numpy as np
from safetensors.numpy import load_file

from disobey.analysis.gradients import Learnt, analyse
from disobey.analysis.names import CONTROLS, REFERENCE, STUDENT, TEACHER
from disobey.data.prepared import prepared_data
from disobey.errors import UserError
from disobey.job import Job
from disobey.stores.layout import WEIGHTS, store_and_variable
from disobey.stores.reader import read_arrays

MODELS = (TEACHER, REFERENCE, STUDENT, *CONTROLS)


def run(job: "Job") -> None:
    """Read data, the teachers' logits and the weights of all models; write the gradient store."""
    learnt, seeds = read_learnt(job), job.spec["seeds"]
    print(f"{', '.join(learnt.weights)}, {len(seeds)} seeds", file=sys.stderr)
    found = analyse(learnt, seeds)
    attributes = {"about": json.dumps(job.spec["about"]), "setting": job.id}
    with job.netcdf(attributes) as writer:
        writer.write_dataset("/", found)


def read_learnt(job: "Job") -> Learnt:
    """Read the data, the targets and the weights of a setting's models."""
    spec, runs, train = job.spec, job.spec["runs"], prepared_data(job).train
    stored = read_arrays(job.input(spec["data"], "prepare").file(), "/", "direction")
    direction = stored["direction"]
    logits = [_logits(job, address, train.example_id) for address in spec["teachers"]]
    return Learnt(
        train.inputs.reshape(len(train), *direction.shape),
        train.label,
        direction,
        np.stack(logits),
        spec["temperature"],
        {role: _weights(job, runs[role]) for role in MODELS if role in runs},
    )


def _logits(job: "Job", address: str, example_id: np.ndarray) -> np.ndarray:
    id, variable = store_and_variable(address)
    stored = read_arrays(job.input(id, "dump").file(), "train", variable, "example_id")
    if not np.array_equal(stored["example_id"], example_id):
        raise UserError(
            f"{id}: its logits are not those of the training examples of {job.spec['data']}; name "
            f"a teacher that was trained on this data set"
        )
    return stored[variable]


def _weights(job: "Job", ids: Sequence[str]) -> np.ndarray:
    """Return the weights of the runs of all seeds, (seed, class, dimension)."""
    files = [job.input(id, "train").file(f"{id}/{WEIGHTS}") for id in ids]
    return np.stack([load_file(file)["weight"] for file in files])
