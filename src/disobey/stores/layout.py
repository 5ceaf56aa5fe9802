"""Where every store lies: the one place that knows a path below ``results/``.

The patterns are Snakemake's: rules use them for ``output:``, the plan formats them.
The manifest of a store is the store's path with ``.json`` after it.
"""

ROOT = "results"
DATA = f"{ROOT}/data/{{data}}.nc"
LABELS = f"{ROOT}/labels/{{labels}}.nc"
RUN = f"{ROOT}/runs/{{run}}"
LOGITS = f"{ROOT}/logits/{{run}}.nc"
ANALYSIS = f"{ROOT}/{{study}}/analysis/{{setting}}.nc"
TABLE = f"{ROOT}/{{study}}/tables/{{table}}.csv"
FIGURE = f"{ROOT}/{{study}}/figures/{{figure}}"
REPORT = f"{ROOT}/{{study}}/report.html"

# No rule declares it: Snakemake would delete it with the other outputs of a failed job.
CHECKPOINTS = f"{ROOT}/checkpoints"

# Folders of results/ that no study may be called like.
SHARED_FOLDERS = ("data", "labels", "runs", "logits", "logs", "views", "basis", "checkpoints")

WEIGHTS = "model.safetensors"
HISTORY = "history.nc"
FIGURE_FORMATS = (".pdf", ".png")


def manifest_of(store: str) -> str:
    """Return the path of the manifest that vouches for ``store``."""
    return f"{store}.json"


def store_of(manifest: str) -> str:
    """Return the store that ``manifest`` vouches for; inverse of `manifest_of`."""
    return manifest.removesuffix(".json")
