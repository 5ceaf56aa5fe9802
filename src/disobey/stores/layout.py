"""The paths of all stores: the only module with paths below ``results/``.

The patterns are Snakemake's: rules use them for ``output:``, and the plan formats them.
The path of a store's manifest is the store's path followed by ``.json``.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

# The captions of figures, one for each kind.
CAPTIONS = Path(__file__).parents[1] / "figures" / "captions"

ROOT = "results"
DATA = f"{ROOT}/data/{{data}}.nc"
PRETRAINED = f"{ROOT}/pretrained/{{pretrained}}"
LABELS = f"{ROOT}/labels/{{labels}}.nc"
RUN = f"{ROOT}/runs/{{run}}"
LOGITS = f"{ROOT}/logits/{{run}}.nc"
COMPARED = f"{ROOT}/compared/{{compared}}.nc"
CLASSIFIED = f"{ROOT}/classified/{{run}}.nc"
VIEWS = f"{ROOT}/views/{{run}}/{{block}}.nc"
BASIS = f"{ROOT}/basis/{{basis}}.nc"
ANALYSIS = f"{ROOT}/{{study}}/analysis/{{setting}}.nc"
BIAS = f"{ROOT}/{{study}}/bias/{{setting}}.nc"
CURVES = f"{ROOT}/{{study}}/curves/{{setting}}.nc"
GRADIENTS = f"{ROOT}/{{study}}/gradients/{{setting}}.nc"
TABLE = f"{ROOT}/{{study}}/tables/{{table}}.csv"
FIGURE = f"{ROOT}/{{study}}/figures/{{figure}}"
EXPLORER = f"{ROOT}/{{study}}/explorer.html"
REPORT = f"{ROOT}/{{study}}/report.html"

# Optional stores that a setting has in addition to its analysis, by their stage. The stage is also
# their name in the specs of tables and figures, and as an attribute of `Analysis`.
BESIDE = {"bias": BIAS, "curves": CURVES, "gradients": GRADIENTS}

# The store of each stage. The values of its wildcards, joined by "/", are the job's key.
STORES = {
    "pretrained": PRETRAINED,
    "prepare": DATA,
    "labels": LABELS,
    "basis": BASIS,
    "train": RUN,
    "dump": LOGITS,
    "compared": COMPARED,
    "classify": CLASSIFIED,
    "views": VIEWS,
    "confidence": ANALYSIS,
    **BESIDE,
    "table": TABLE,
    "figure": FIGURE,
    "explorer": EXPLORER,
    "report": REPORT,
}
# Inputs and output of each stage, in the order of the graph.
STAGES = {
    "pretrained": "a public checkpoint -> results/pretrained/<pretrained>/",
    "prepare": "a data source -> results/data/<data>.nc",
    "labels": "data -> the same labels with noise, results/labels/<labels>.nc",
    "basis": "data [and a trained teacher] -> eigendirections, results/basis/<basis>.nc",
    "train": "data [and the teacher's logits] -> results/runs/<run>/",
    "dump": "a run and its data -> results/logits/<run>.nc",
    "compared": "files of logits, from any framework -> results/compared/<compared>.nc",
    "classify": "a checkpoint of a classifier and data -> results/classified/<run>.nc",
    "views": "a teacher and its data -> results/views/<run>/<block>.nc",
    "confidence": "logits of all models of a setting -> results/<study>/analysis/<setting>.nc",
    "bias": "histories of a setting and its placebos -> results/<study>/bias/<setting>.nc",
    "curves": "histories of a setting -> results/<study>/curves/<setting>.nc",
    "gradients": "data with true directions and weights -> results/<study>/gradients/<setting>.nc",
    "table": "analyses -> results/<study>/tables/<table>.csv",
    "figure": "analyses -> results/<study>/figures/<figure>.pdf and .png",
    "explorer": "logits and data of all settings -> results/<study>/explorer.html",
    "report": "tables, figures, manifests -> results/<study>/report.html",
}

# No rule declares this folder, since Snakemake would delete it with a failed job's outputs.
CHECKPOINTS = f"{ROOT}/checkpoints"
# Cached hashes of files outside of results/; not a store, since they can be computed again.
CONTENTS = f"{ROOT}/contents.json"

# Folders of results/, whose names are not allowed for studies.
OF_ALL_STUDIES = [store.split("/")[1] for store in STORES.values() if "{study}" not in store]
SHARED_FOLDERS = ("logs", "checkpoints", *OF_ALL_STUDIES)

WEIGHTS = "model.safetensors"
HISTORY = "history.nc"
# Files of a pretrained model beside its weights, with the names of public checkpoints.
CONFIG, TOKENIZER, TOKENS = "config.json", "tokenizer.json", "tokenizer_config.json"
SNAPSHOT = "snapshot-{epoch}.safetensors"
FIGURE_FORMATS = (".pdf", ".png")


def snapshot_of(run: str, epoch: int) -> str:
    """Return the id of a run's snapshot after an epoch."""
    return f"{run}@{epoch}"


def logits_address(store: str, role: str, seed: int) -> str:
    """Return a model's address in a store of several models' logits, such as ``<id>:teacher_0``."""
    return f"{store}:{role}_{seed}"


def store_and_variable(address: str) -> tuple[str, str]:
    """Return the store's id and the variable of an address; the default variable is ``logits``."""
    id, _, variable = address.partition(":")
    return id, variable or "logits"


def manifest_of(store: str) -> str:
    """Return the path of the manifest of ``store``."""
    return f"{store}.json"


def store_of(manifest: str) -> str:
    """Return the store of ``manifest``; the inverse of `manifest_of`."""
    return manifest.removesuffix(".json")


def id_of(manifest: str | Path) -> str:
    """Return the id of a manifest's store: its file name without the suffix of a file format."""
    store = Path(store_of(str(manifest)))
    return store.stem if store.suffix in (".nc", ".csv", ".html") else store.name


def key_in(pattern: str) -> str:
    """Return the wildcards of a store's pattern, which name its job, as ``{study}/{setting}``."""
    return "/".join(re.findall(r"{\w+}", pattern))


def log_of(stage: str, key: str) -> str:
    """Return the path of a job's log; ``key`` joins the values of the wildcards, see `key_in`."""
    return f"{ROOT}/logs/{stage}/{key}.log"


def lock_of(manifest: str | Path) -> Path:
    """Return the file that a job locks while it makes the store of ``manifest``."""
    path = Path(manifest)
    return path.with_name(f".{path.name}.lock")


def states_of(run: str, code: str, torch: str, contents: Iterable[str]) -> Path:
    """Return the folder of a training's saved states, named by all that could affect the results.

    Parameters
    ----------
    run : str
        The run's id, which identifies its spec.
    code, torch : str
        The digest of the code and the version of torch.
    contents : iterable of str
        The hashes of the input stores.
    """
    made_of = "\n".join([code, torch, *sorted(contents)])
    return Path(CHECKPOINTS) / f"{run}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
