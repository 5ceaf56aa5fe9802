"""Jobs that all studies share: trainings, logits, views, eigendirections. Pure.

A store's id is a readable prefix and twelve hex digits of its spec, in which the stores that it is
made from appear by their ids: never by the name of a setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from disobey.data.label_noise import number_seen
from disobey.data.views import blocks_of, number_of_slabs
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.strict import spec_of
from disobey.study.jobs import Plan
from disobey.study.models import Setting, Study
from disobey.study.sizes import sizes_of
from disobey.study.sources import Sources
from disobey.training.components import components
from disobey.training.losses import DEFAULT, TEMPERATURE, loss_of
from disobey.training.schedules import number_of_epochs

BYTES = {"float32": 4, "float16": 2}
GB = 1e9


@dataclass(frozen=True)
class Seen:
    """The part of ``distill`` in a run's spec on how it sees its teacher, and why, in words."""

    spec: dict[str, Any]
    why: str


def seen_teacher(study: Study, setting: Setting) -> Seen:
    """Return how a setting's students see their teachers: as asked for, or by size."""
    if not setting.distill.registered.needs_teacher:
        return Seen({}, "")
    augment, asked = study.datasets[setting.dataset].augment, setting.distill.teacher
    if augment is None:
        live = asked == "live"
        return Seen({"live": True} if live else {}, "teacher live, as asked for" if live else "")
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    examples = number_seen(setting.student_share, data.train)
    epochs = number_of_epochs(spec_of(study.recipes[setting.recipe]), examples)
    slabs = number_of_slabs(spec_of(augment), epochs)
    dtype, limit = study.views.dtype, study.views.limit_gb
    size = slabs * data.train * data.shape.classes * BYTES[dtype] / GB
    stored = f"{slabs} views of each image, {size:.3g} GB of {dtype} a teacher"
    live = asked == "live" or (asked is None and size > limit)
    reason = f"limit_gb is {limit:g}" if asked is None else "as asked for"
    if live:
        return Seen({"live": True}, f"teacher live instead of {stored} ({reason})")
    return Seen({} if dtype == "float32" else {"views": dtype}, f"teacher from {stored} ({reason})")


# A network of many layers must still give a file name that file systems take (255 bytes).
LONGEST_LABEL = 60
# All students of a study are shown their views in permutations of one draw, so that a teacher's
# logits on them are stored once for all; a teacher of seed s is trained on draw s + 1.
STUDENT_DRAW = 0


class Runs:
    """Adds the jobs that make shared stores; equal ones are one job.

    Parameters
    ----------
    study : Study
        Names data sets and models.
    plan : Plan
        Grows by the jobs.
    """

    def __init__(self, study: Study, plan: Plan) -> None:
        self.study = study
        self.plan = plan
        self.sources = Sources(study, plan)
        # Data set and model of each run, by their names in the study, and the share that it sees.
        self._made_of: dict[str, tuple[str, str, float | None]] = {}

    # --- runs -------------------------------------------------------------------------------

    def run(
        self,
        dataset: str,
        model: str,
        recipe: Mapping[str, Any],
        seeds: Mapping[str, int],
        distill: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
        share: float | None = None,
    ) -> str:
        """Plan the training of one model; return the run's id.

        Parameters
        ----------
        dataset, model : str
            Their names in the study.
        recipe, seeds, distill, progress : mapping
            As in a run's spec.
        share : float, optional
            Of the training examples: the run sees no others.
        """
        spec = self.sources.on_data(dataset, share)
        spec |= {"model": self.sources.model_spec(model), "recipe": dict(recipe)}
        augment = self.study.datasets[dataset].augment
        spec |= {} if augment is None else {"augment": spec_of(augment)}
        spec["seeds"] = dict(seeds)
        upstream = [*self.sources.stores(dataset, share), *self.sources.model_stores(model)]
        members = [self._family(model)]
        if distill is not None:
            spec["distill"] = dict(distill)
            upstream += self._teacher_stores(spec)
            if distill.get("live"):
                members.append(self._family(self._made_of[distill["teacher"]][1]))
        if progress is not None:
            spec["progress"] = dict(progress)
            upstream.append(layout.BASIS.format(basis=progress["basis"]))
        id = spec_id(self._prefix(model, spec), spec)
        inputs = tuple(map(manifest_of, dict.fromkeys(upstream)))
        roots = (*dict.fromkeys(members), *components(spec).values())
        self.plan.add("train", id, spec, layout.RUN.format(run=id), inputs, roots)
        self._made_of[id] = (dataset, model, share)
        return id

    def _prefix(self, model: str, spec: Mapping[str, Any]) -> str:
        """Return the readable part of a run's id."""
        data = spec.get("labels", spec["data"]).rpartition("-")[0]
        shape = self.study.models[model].label()[:LONGEST_LABEL]
        how = _loss_label(spec["distill"]) if "distill" in spec else "onehot"
        return f"{data}-{shape}-{how}-s{spec['seeds']['initialisation']}"

    def _teacher_stores(self, spec: Mapping[str, Any]) -> list[str]:
        """Return the stores of its teacher that a student reads; plan those of views."""
        distill = spec["distill"]
        if "teacher" not in distill:
            return []
        if distill.get("live"):
            model = self._made_of[distill["teacher"]][1]
            return [layout.RUN.format(run=distill["teacher"]), *self.sources.model_stores(model)]
        if "augment" not in spec:
            return [self.plan.logits_store(distill["teacher"])]
        epochs = number_of_epochs(spec["recipe"], self.plan.trained_on(spec))
        blocks = blocks_of(spec["augment"], epochs)
        return [self.views(distill["teacher"], block, distill) for block in blocks]

    def logits(self, run: str, epoch: int | None = None) -> str:
        """Plan the dump of a run's logits, or of a snapshot's; return the id of the store."""
        dataset, model, share = self._made_of[run]
        spec: dict[str, Any] = {"run": run, "data": self.sources.data(dataset)}
        labels = self.sources.labels(dataset, share)
        if labels is not None:
            spec["labels"] = labels
        id = run
        if epoch is not None:
            spec["epoch"], id = epoch, layout.snapshot_of(run, epoch)
        upstream = [layout.RUN.format(run=run), *self.sources.stores(dataset, share)]
        upstream += self.sources.model_stores(model)
        inputs, store = tuple(map(manifest_of, upstream)), layout.LOGITS.format(run=id)
        self.plan.add("dump", id, spec, store, inputs, (self._family(model),))
        return id

    def views(self, run: str, block: int, distill: Mapping[str, Any]) -> str:
        """Plan the dump of a run's logits on a block of its students' views; return the store."""
        dataset, model, _ = self._made_of[run]
        augment, dtype = self.study.datasets[dataset].augment, distill.get("views")
        assert augment is not None
        spec = {"run": run, "data": self.sources.data(dataset), "augment": spec_of(augment)}
        spec |= {"draw": STUDENT_DRAW, "block": block} | ({"dtype": dtype} if dtype else {})
        called = f"{block}-{dtype}" if dtype else str(block)
        store = layout.VIEWS.format(run=run, block=called)
        upstream = [layout.RUN.format(run=run), layout.DATA.format(data=spec["data"])]
        upstream += self.sources.model_stores(model)
        inputs = tuple(map(manifest_of, upstream))
        self.plan.add("views", f"{run}/{called}", spec, store, inputs, (self._family(model),))
        return store

    def _family(self, model: str) -> str:
        """Return the module of a model."""
        return f"disobey.models.{self.study.models[model].family}"

    def basis(self, setting: Setting, teacher: str | None = None) -> dict[str, Any]:
        """Plan the eigendirections of a setting's tracked layers.

        Parameters
        ----------
        setting : Setting
            With a bias.
        teacher : str, optional
            The run whose activations deeper layers read; first layers need none.

        Returns
        -------
        dict
            ``progress`` of the specs of the runs that are tracked.
        """
        bias, options = setting.bias, self.study.models[setting.student]
        assert bias is not None
        known = options.trackable()
        spec = self.sources.on_data(setting.dataset, labels=False) | {
            "model": self.sources.model_spec(setting.student),
            "layers": sorted(bias.layers),
        }
        first = sorted(layer for layer in bias.layers if known[layer].first)
        if first and self.study.includes_mean(setting):
            spec["mean_included"] = first
        upstream = self.sources.stores(setting.dataset, labels=False)
        upstream += self.sources.model_stores(setting.student)
        if not all(known[layer].first for layer in bias.layers):
            assert teacher is not None
            spec["run"] = teacher
            upstream.append(layout.RUN.format(run=teacher))
        prefix = spec["data"].rpartition("-")[0]
        id = spec_id(f"{prefix}-{options.label()[:LONGEST_LABEL]}", spec)
        inputs, store = tuple(map(manifest_of, upstream)), layout.BASIS.format(basis=id)
        self.plan.add("basis", id, spec, store, inputs, (self._family(setting.student),))
        layers = {
            name: {"unit_norm": True} if known[name].unit_norm else {} for name in bias.layers
        }
        progress: dict[str, Any] = {"basis": id, "layers": layers}
        directions = bias.tracked()
        return progress | ({"directions": directions} if directions else {})


def _loss_label(distill: Mapping[str, Any]) -> str:
    """Return the readable part of an id for a loss: ``kd-T4``, ``dkd-T4``."""
    name = "kd" if loss_of(distill).name == DEFAULT else distill["loss"].replace("_", "-")
    return f"{name}-T{distill[TEMPERATURE]:g}" if TEMPERATURE in distill else name
