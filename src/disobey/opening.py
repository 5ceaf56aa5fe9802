"""Access to results in a notebook: a study as one tree of data sets, a run as a model.

``from disobey import open_study, load_run, load_inputs``.
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from disobey.errors import UserError, nearest
from disobey.models.checkpoint import read_config
from disobey.stores.layout import BESIDE, ROOT, RUN, STORES, manifest_of
from disobey.stores.manifest import Manifest, manifest_for, read_manifest

if TYPE_CHECKING:
    import torch
    import xarray as xr

    from disobey.data.prepared import Prepared

# Stages whose stores of logits an analysis of confidence reads.
OF_LOGITS = ("dump", "compared", "classify")
ROLES = ("teachers", "references", "students")


def open_study(folder: str | Path) -> "xr.DataTree":
    """Open the results of a study as one tree; logits are read on first access.

    Use it in a ``with`` statement, or close it before its files are written again.

    Parameters
    ----------
    folder : str or Path
        ``results/<study>``.

    Returns
    -------
    xarray.DataTree
        ``tables/<table>``, along ``row``; ``analysis/<setting>``, with ``bias``, ``curves`` and
        ``gradients`` if the study has them; ``logits/<id>`` of all models. The attributes
        ``teachers``, ``references`` and ``students`` of an analysis are the ids of its logits.

    Raises
    ------
    UserError
        If the folder has no finished analysis.
    """
    import pandas as pd
    import xarray as xr

    folder = Path(folder)
    opened = contextlib.ExitStack()
    nodes: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs={"title": f"Study {folder.name}"})}
    stores: dict[str, Path] = {}
    for kind in ("analysis", *BESIDE):
        for manifest in sorted(folder.glob(f"{kind}/*.nc.json")):
            found = read_manifest(manifest)
            with _tree(found.store) as tree:
                nodes |= _nodes(f"{kind}/{found.id}", tree.load())
            if kind == "analysis":
                given = {role: found.spec[role] for role in ROLES}
                nodes[f"{kind}/{found.id}"].attrs |= given
                stores |= {one.id: one.store for one in _inputs(found, *OF_LOGITS)}
    if len(nodes) == 1:
        raise UserError(
            f"{folder}: holds no finished analysis; name the folder of a study, {ROOT}/<study>"
        )
    for id, store in stores.items():
        nodes |= _nodes(f"logits/{id}", opened.enter_context(_tree(store)))
    for table in sorted(folder.glob("tables/*.csv")):
        rows = pd.read_csv(table, low_memory=False).rename_axis(index="row")
        nodes[f"tables/{table.stem}"] = rows.to_xarray()
    study = xr.DataTree.from_dict(nodes, name=folder.name)
    study.set_close(opened.close)
    return study


def _tree(store: Path) -> "xr.DataTree":
    """Open a netCDF store."""
    import xarray as xr

    import disobey.stores.writer  # noqa: F401 - before netCDF4: it sets how files are locked

    return xr.open_datatree(store, engine="netcdf4")


def _nodes(name: str, tree: "xr.DataTree") -> dict[str, "xr.Dataset"]:
    """Return the groups of a store by their paths below ``name``."""
    return {
        f"{name}{node.path}".rstrip("/"): node.to_dataset(inherit=False) for node in tree.subtree
    }


def load_run(
    run: str | Path, *, epoch: int | None = None, results: str | Path = ROOT
) -> "torch.nn.Module":
    """Return the trained model of a run, in evaluation mode, on the CPU.

    Parameters
    ----------
    run : str or Path
        The run's id, as ``python -m disobey plan`` prints it, its folder, or a folder that
        ``python -m disobey export`` wrote and transformers cannot load.
    epoch : int, optional
        Load the snapshot after this epoch instead of the final weights.
    results : str or Path
        The folder of the results.

    Returns
    -------
    torch.nn.Module
        Maps what `load_inputs` returns to logits, (example, class).

    Raises
    ------
    UserError
        If there is no such run, or its weights or data have changed.
    """
    import torch

    from disobey.training.predictions import trained_model

    if (read_config(Path(run)) or {}).get("disobey"):
        from disobey.models.exported import load

        return load(Path(run))[0]
    manifest = manifest_of_run(run, results)
    data, inputs = data_of_run(manifest)
    return trained_model(manifest, data, torch.device("cpu"), inputs, epoch)


def load_inputs(
    run: str | Path, split: str = "test", *, results: str | Path = ROOT
) -> "torch.Tensor":
    """Return the examples of a split as a run's model reads them: normalised, or as tokens.

    Parameters
    ----------
    run : str or Path
        See `load_run`.
    split : str
        ``train`` or ``test``.
    results : str or Path
        The folder of the results.

    Returns
    -------
    torch.Tensor
        Images (example, channel, y, x), features (example, component), both float32, or tokens
        (example, position), int64, in the order of the stores. Augmented views of images are not
        included.
    """
    import torch

    from disobey.training.inputs import device_inputs

    manifest = manifest_of_run(run, results)
    data, _ = data_of_run(manifest)
    centre = manifest.spec.get("centre")
    inputs = device_inputs(data.split(split), data, torch.device("cpu"), centre)
    return inputs.batch(torch.arange(len(data.split(split))))


def manifest_of_run(run: str | Path, results: str | Path = ROOT) -> Manifest:
    """Return the manifest of a run, by its id or its folder; an error names the nearest run."""
    if Path(run).is_dir():
        return manifest_for(Path(run).absolute())
    path = Path(results) / manifest_of(RUN.format(run=run)).removeprefix(f"{ROOT}/")
    if not path.is_file():
        hint = nearest(str(run), (one.stem for one in path.parent.glob("*.json")))
        if not hint.startswith("did you mean"):
            hint = "python -m disobey plan STUDY prints the ids"
        raise UserError(f"{path.parent}: there is no finished run {run}; {hint}")
    return read_manifest(path)


def data_of_run(run: Manifest) -> tuple["Prepared", list[Manifest]]:
    """Return the data that a run was trained on, and the stores that its model is made from."""
    from disobey.data.prepared import read_prepared

    made_from = {one.record["stage"]: one for one in _inputs(run, "prepare", "labels")}
    labels = made_from.get("labels")
    data = read_prepared(made_from["prepare"].file(), None if labels is None else labels.file())
    return data, _inputs(run, "pretrained")


def _inputs(manifest: Manifest, *stages: str) -> list[Manifest]:
    """Return the current manifests of a store's inputs that come from some stages."""
    # Records give inputs relative to the folder of results/, which may have another name here.
    results = manifest.path.absolute().parents[STORES[manifest.record["stage"]].count("/") - 1]
    paths = [results / Path(path).relative_to(ROOT) for path in manifest.record["inputs"]]
    found = [read_manifest(path) for path in paths if path.is_file()]
    return [one for one in found if one.record["stage"] in stages]
