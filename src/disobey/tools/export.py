"""``python -m disobey export RUN FOLDER``: export a model in the format of the Hugging Face hub.

Writes config.json, model.safetensors, the tokenizer of a text model, the preprocessing of images,
and README.md, a model card made from the run's manifest. transformers loads text models and ResNets
for colour images; ``disobey.load_run(FOLDER)`` loads the other families. Each can be a teacher:
``teachers: {mine: {source: huggingface, checkpoints: [{folder: FOLDER}]}}``.
"""

import json
import math
import shutil
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import strptime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from disobey.analysis.intervals import LEVEL, normal_quantile
from disobey.errors import UserError
from disobey.models.checkpoint import PREPROCESSOR
from disobey.opening import data_of_run, load_run, manifest_of_run
from disobey.stores import layout
from disobey.stores.manifest import Manifest, read_manifest
from disobey.stores.reader import read_arrays, read_groups
from disobey.stores.writer import atomic
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.tools import STUDY, argument_parser, tool

if TYPE_CHECKING:
    import torch
    from torch import nn

    from disobey.data.prepared import Prepared

# Families whose network is transformers' own, and the attribute of our model that contains it.
OF_TRANSFORMERS = {"roberta": "roberta", "pretrained": "network", "resnet": "resnet"}
CARD = "README.md"


@tool
def main(arguments: Sequence[str]) -> int:
    """Write the folder; return 2 if the run cannot be exported."""
    parser = argument_parser("export", __doc__)
    parser.add_argument("run", help="id of the run as printed by plan, or its folder")
    parser.add_argument("folder", type=Path, help="output folder; must be empty or not exist")
    parser.add_argument("--epoch", type=int, help="export the snapshot after this epoch")
    parser.add_argument("--results", type=Path, default=layout.ROOT, help="folder of results")
    options = parser.parse_args(arguments)
    written = export(options.run, options.folder, options.epoch, options.results)
    print(f"written: {', '.join(map(str, written))}")
    return 0


def export(
    run: str | Path, folder: str | Path, epoch: int | None = None, results: str | Path = layout.ROOT
) -> list[Path]:
    """Write a trained model to a folder; return the files.

    Parameters
    ----------
    run : str or Path
        The run's id or folder.
    folder : str or Path
    epoch : int, optional
        Export the snapshot after this epoch instead of the final weights.
    results : str or Path
        The folder of the results.

    Raises
    ------
    UserError
        If there is no such run, or the folder is not empty.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; name a new folder")
    manifest = manifest_of_run(run, results)
    data, _ = data_of_run(manifest)
    model = load_run(manifest.store, epoch=epoch)
    files = dict(_files(manifest, model, data, epoch))
    metadata = {"format": "pt", "run": manifest.id, "spec_hash": manifest.record["spec_hash"]}
    with atomic(folder / layout.WEIGHTS) as path:
        weights = _weights(manifest, model, data)
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path, metadata)
    for name, text in files.items():
        with atomic(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    return [folder / name for name in (layout.WEIGHTS, *files)]


def _inner(manifest: Manifest, model: "nn.Module", data: "Prepared") -> Any:
    """Return transformers' own network inside a model; None if transformers could not load it.

    transformers does not support a stem for small images, a single channel or a mean image.
    """
    spec = manifest.spec["model"]
    name = OF_TRANSFORMERS.get(spec["family"])
    if name is None or spec.get("small_images"):
        return None
    images = data.kind in ("image", "encoded")
    if images and (data.train.inputs.shape[-1] != 3 or manifest.spec.get("centre")):
        return None
    return getattr(model, name)


def _weights(manifest: Manifest, model: "nn.Module", data: "Prepared") -> "dict[str, torch.Tensor]":
    inner = _inner(manifest, model, data)
    if inner is not None:
        return dict(inner.state_dict())
    weights = dict(model.state_dict())
    if data.kind in ("image", "encoded"):
        import torch

        from disobey.models.exported import MEAN, SCALE
        from disobey.training.inputs import Normalise

        normalise = Normalise(data, torch.device("cpu"), manifest.spec.get("centre"))
        weights |= {MEAN: normalise.mean, SCALE: normalise.scale}
    return weights


def _files(
    manifest: Manifest, model: "nn.Module", data: "Prepared", epoch: int | None
) -> Iterator[tuple[str, str]]:
    """Yield the names and contents of all files except the weights."""
    inner = _inner(manifest, model, data)
    names = dict(enumerate(data.class_names))
    labels: dict[str, Any] = {"id2label": names, "label2id": {v: k for k, v in names.items()}}
    if inner is not None:
        config = inner.config.to_dict() | labels | {"architectures": [type(inner).__name__]}
    else:
        family = manifest.spec["model"]["family"]
        kept = {k: data.attributes[k] for k in ("pad", "vocabulary") if k in data.attributes}
        config = {
            "model_type": f"disobey_{family}",
            "num_labels": len(names),
            **labels,
            "disobey": {
                "model": manifest.spec["model"],
                "shape": list(data.train.inputs.shape[1:]),
                "attributes": {key: int(value) for key, value in kept.items()},
            },
        }
    yield layout.CONFIG, _json(config)
    if data.kind == "text":
        yield from _tokenizer(data, config)
    elif inner is not None:
        yield PREPROCESSOR, _json(_image_processor(data))
    yield CARD, "\n".join(_card(manifest, data, epoch, of_transformers=inner is not None)) + "\n"


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, default=str) + "\n"


def _tokenizer(data: "Prepared", config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the tokenizer's files; names of special tokens in a text remain plain text."""
    import tokenizers

    text = data.attributes["tokenizer"]
    known = tokenizers.Tokenizer.from_str(text)
    pad, separator = (known.id_to_token(int(data.attributes[k])) for k in ("pad", "separator"))
    typed = config.get("type_vocab_size", 0) > 1
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pad,
        "sep_token": separator,
        "model_max_length": data.train.inputs.shape[1],
        "model_input_names": [
            "input_ids",
            *(["token_type_ids"] if typed else []),
            "attention_mask",
        ],
        "split_special_tokens": True,
    }
    yield layout.TOKENIZER, text
    yield layout.TOKENS, _json(about)


def _image_processor(data: "Prepared") -> dict[str, Any]:
    """Return the configuration of transformers' preprocessing of images."""
    std = np.atleast_1d(data.attributes["channel_std"])
    large = data.kind == "encoded"
    side = data.train.inputs.shape[1]
    return {
        "image_processor_type": "BitImageProcessor",
        "do_resize": large,
        "size": {"shortest_edge": data.train.inputs.scaled if large else side},
        "resample": 2,  # bilinear
        "do_center_crop": large,
        "crop_size": {"height": side, "width": data.train.inputs.shape[2]},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": np.atleast_1d(data.attributes["channel_mean"]).tolist(),
        "image_std": np.where(std > 0, std, 1.0).tolist(),
    }


# --- the model card --------------------------------------------------------------------------


def _card(
    manifest: Manifest, data: "Prepared", epoch: int | None, *, of_transformers: bool
) -> Iterator[str]:
    spec, record = manifest.spec, manifest.record
    kind = {"text": "text-classification", "feature": "tabular-classification"}.get(
        data.kind, "image-classification"
    )
    library = "transformers" if of_transformers else "disobey"
    yield from ("---", f"library_name: {library}", f"pipeline_tag: {kind}", "tags: [disobey]")
    yield from ("---", "", f"# {manifest.id}" + ("" if epoch is None else f", epoch {epoch}"), "")
    distill = spec.get("distill")
    how = "A student, distilled from its teacher's logits" if distill else "Trained on labels"
    yield f"{how} by disobey, a reproduction of *On student-teacher deviations in"
    yield from ("distillation: does it pay to disobey?* (Nagarajan et al., NeurIPS 2023).", "")
    git = record["git"]
    commit = "unknown" if git["commit"] is None else git["commit"]
    rows = {
        "data": f"{spec['data']}, {len(data.train):,} training examples",
        "labels": spec.get("labels", "as they are"),
        "model": _listed(spec["model"]),
        "recipe": _listed(spec["recipe"]),
        "seeds": _listed(spec["seeds"]),
        "teacher": (distill or {}).get("teacher", "none"),
        "loss": _listed({k: v for k, v in (distill or {}).items() if k != "teacher"})
        or "cross-entropy",
        "commit": commit + (", with uncommitted changes" if git["dirty"] else ""),
        "versions": _listed(record["versions"]),
        "spec": f"SHA-256 {record['spec_hash']}",
        **dict(_accuracies(manifest, epoch)),
    }
    yield from ("| | |", "| --- | --- |", *(f"| {key} | {words} |" for key, words in rows.items()))
    yield from ("", "## Load it", "", "```python")
    if of_transformers:
        auto = "SequenceClassification" if data.kind == "text" else "ImageClassification"
        yield from (f"from transformers import AutoModelFor{auto}", "")
        yield f'model = AutoModelFor{auto}.from_pretrained("FOLDER")'
    else:
        yield from ("import disobey", "", 'model = disobey.load_run("FOLDER")')
    yield from ("```", "", "In a disobey study it is a teacher:")
    yield "`teachers: {mine: {source: huggingface, checkpoints: [{folder: FOLDER}]}}`."


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


def _accuracies(manifest: Manifest, epoch: int | None) -> Iterator[tuple[str, str]]:
    """Yield accuracies on the given labels, with Wilson's 95 % interval over test examples."""
    id = manifest.id if epoch is None else layout.snapshot_of(manifest.id, epoch)
    stored = manifest.path.parents[1] / Path(layout.LOGITS.format(run=id)).relative_to(layout.ROOT)
    if not Path(f"{stored}.json").is_file():
        yield "accuracy", "not measured: its logits were not stored"
        return
    for split in ("train", "test"):
        arrays = read_arrays(stored, split)
        right = arrays["logits"].argmax(1) == arrays["label"]
        if "seen" in arrays:  # only for a student's share of the examples
            right = right[arrays["seen"] == 1]
        words = f"{right.mean():.2%} of {len(right):,} examples"
        if split == "test":
            low, high = _wilson(float(right.mean()), len(right))
            words += f" (95 % interval {low:.2%} to {high:.2%}, of this one run)"
        yield f"{split} accuracy", words


def _wilson(share: float, examples: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for a share of examples (Wilson 1927)."""
    z2 = normal_quantile(LEVEL) ** 2 / examples
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return middle - half, middle + half


# --- curves of trainings

CURVES = """\
``python -m disobey curves STUDY --to csv|tensorboard``: export the training curves of a study.

The curves are the loss, accuracy, learning rate and seconds of every finished training by epoch,
and accuracies along training if the recipe has evaluate. csv writes one tidy table,
results/<study>/curves.csv; tensorboard writes event files, one folder per run, below
results/<study>/tensorboard/.
"""

EVALUATE = "evaluate"  # the group of accuracies along training


@tool
def curves_main(arguments: Sequence[str]) -> int:
    """Write the curves; return 2 if the study cannot be used or no training has finished."""
    parser = argument_parser("curves", CURVES)
    parser.add_argument("study", nargs="?", default="config.yaml", help=STUDY)
    parser.add_argument("--to", choices=tuple(WRITERS), default="csv", help="default: csv")
    parser.add_argument("--output", type=Path, help="output file (csv) or folder (tensorboard)")
    options = parser.parse_args(arguments)
    study = load_study(options.study)
    jobs = [job for job in make_plan(study).jobs.values() if job.stage == "train"]
    made = [read_manifest(job.manifest) for job in jobs if Path(job.manifest).is_file()]
    if not made:
        raise UserError(f"{options.study}: no training has finished yet")
    found = pd.concat(map(points_of, made))
    written = WRITERS[options.to](found, Path(layout.ROOT, study.study), options.output)
    print(f"{len(made)} trainings: {written}")
    return 0


def points_of(run: Manifest) -> pd.DataFrame:
    """Return the recorded values of a training from its verified history, one per row.

    ``name`` is the variable in the history; ``unit`` is the unit of ``at``, ``epoch`` or ``step``;
    ``time`` is in seconds since 1970, and NaN for accuracies along training, whose times are not
    recorded.
    """
    history = run.file(f"{run.id}/{layout.HISTORY}")
    epochs = pd.DataFrame(read_arrays(history))
    ended = timegm(strptime(run.record["written"], "%Y-%m-%dT%H:%M:%SZ"))
    times = ended - epochs["seconds"].sum() + epochs["seconds"].cumsum()
    epochs["epoch"] = range(1, len(epochs) + 1)  # earlier versions did not write it
    tables = [epochs.rename(columns={"epoch": "at"}).assign(unit="epoch", time=times)]
    if EVALUATE in read_groups(history):
        along = pd.DataFrame(read_arrays(history, EVALUATE))
        tables.append(along.rename(columns={"step": "at"}).assign(unit="step", time=math.nan))
    numbers = pd.concat(table.melt(["unit", "at", "time"], var_name="name") for table in tables)
    return numbers.assign(run=run.id)[["run", "name", "unit", "at", "time", "value"]]


def _to_csv(found: pd.DataFrame, folder: Path, output: Path | None) -> Path:
    path = output or folder / "curves.csv"
    with atomic(path) as temporary:
        found.to_csv(temporary, index=False)
    return path


def _to_tensorboard(found: pd.DataFrame, folder: Path, output: Path | None) -> Path:
    """Write event files for TensorBoard, replacing existing files of the same runs."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(
            "tensorboard is not installed; pip install 'disobey[tensorboard]', or write --to csv"
        ) from None
    path = output or folder / "tensorboard"
    for run, points in found.groupby("run"):
        shutil.rmtree(path / str(run), ignore_errors=True)
        with SummaryWriter(str(path / str(run))) as writer:
            for _, name, unit, at, time, value in points.itertuples(index=False):
                when = None if np.isnan(time) else time
                writer.add_scalar(f"{unit}/{name}", value, at, when)
    return path


WRITERS = {"csv": _to_csv, "tensorboard": _to_tensorboard}
