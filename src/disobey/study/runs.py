"""Plan of the jobs that all studies share: checkpoints, data, labels, trainings, logits, views.

A store's id is a readable prefix and twelve hex digits of its spec's hash. The spec names the
store's inputs by their ids and never contains the name of a setting. Planning is pure but for
reading the user's own files, since ids depend on their content.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from disobey.data.label_noise import number_seen
from disobey.data.sources import module_of
from disobey.data.views import blocks_of, number_of_slabs
from disobey.errors import UserError
from disobey.models.checkpoint import checkpoint_files
from disobey.models.options import Pretrained
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.contents import content_of
from disobey.strict import spec_of
from disobey.study.datasets import Builtin, Files
from disobey.study.jobs import LONGEST_COMMAND, Plan, data_stores, store_at
from disobey.study.models import Setting, Study
from disobey.study.sizes import SPLITS, content_of_split, format_of, given_files
from disobey.training.components import components
from disobey.training.losses import DEFAULT, TEMPERATURE, loss_of
from disobey.training.schedules import number_of_epochs

BYTES = {"float32": 4, "float16": 2}
GB = 1e9
# Even a network of many layers must give a file name that file systems accept (255 bytes).
LONGEST_LABEL = 60
# All students of a study see the views of one draw, in different permutations, so that a teacher's
# logits on them are stored only once; a teacher of seed s is trained on draw s + 1.
STUDENT_DRAW = 0
# Options that locate a checkpoint, replaced in a spec by the id of the checkpoint's store.
OF_PLACE = ("checkpoint", "revision", "folder", "package", "tokenizer")


@dataclass(frozen=True)
class Seen:
    """How a run sees its teacher: this part of ``distill`` in its spec, and the reason in words."""

    spec: dict[str, Any]
    why: str


def seen_teacher(study: Study, setting: Setting) -> Seen:
    """Return the way in which a setting's students see their teachers: as given, or by size."""
    if not setting.distill.registered.needs_teacher:
        return Seen({}, "")
    augment, asked = study.datasets[setting.dataset].augment, setting.distill.teacher
    if augment is None:
        live = asked == "live"
        return Seen({"live": True} if live else {}, "teacher live, as asked for" if live else "")
    data = study.sizes(setting.dataset)
    examples = number_seen(setting.student_share, data.train)
    epochs = number_of_epochs(spec_of(study.recipes[setting.recipe]), examples)
    slabs = number_of_slabs(spec_of(augment), epochs)
    dtype, limit = study.views.dtype, study.views.limit_gb
    size = slabs * data.train * data.shape.classes * BYTES[dtype] / GB
    stored = f"{slabs} views of each image, {size:.3g} GB of {dtype} a teacher"
    reason = f"limit_gb is {limit:g}" if asked is None else "as asked for"
    if asked == "live" or (asked is None and size > limit):
        return Seen({"live": True}, f"teacher live instead of {stored} ({reason})")
    return Seen({} if dtype == "float32" else {"views": dtype}, f"teacher from {stored} ({reason})")


class Runs:
    """Adds the jobs that make shared stores to a study's plan, equal jobs once."""

    def __init__(self, study: Study, plan: Plan) -> None:
        self.study = study
        self.plan = plan
        # Each is planned once, although many runs need it.
        self.data = functools.cache(self._data)
        self.pretrained = functools.cache(self._pretrained)
        # Names in the study of each run's data set and model, and the share of examples it sees.
        self._made_of: dict[str, tuple[str, str, float | None]] = {}

    # --- checkpoints ------------------------------------------------------------------------

    def _pretrained(self, model: str) -> str | None:
        """Plan the store of a model's checkpoint; return its id, or None without a checkpoint."""
        options = self.study.models[model]
        if not isinstance(options, Pretrained):
            return None
        place, spec = options.place(), options.hub_spec()
        if place is not None:
            spec = {"content": content_of(checkpoint_files(place))}
        id = options.store(spec)
        self.plan.add("pretrained", id, spec)
        self.plan.pretrained.setdefault(id, options)
        return id

    def _model_spec(self, model: str) -> dict[str, Any]:
        """Return the spec of a model, which names the store of a checkpoint, not its location."""
        spec, pretrained = spec_of(self.study.models[model]), self.pretrained(model)
        if pretrained is None:
            return spec
        kept = {key: value for key, value in spec.items() if key not in OF_PLACE}
        return kept | {"pretrained": pretrained}

    def _model_stores(self, model: str) -> list[str]:
        """Return the stores from which a model's architecture is read."""
        pretrained = self.pretrained(model)
        return [] if pretrained is None else [store_at("pretrained", pretrained)]

    def _family(self, model: str) -> str:
        """Return the name of the module that defines a model."""
        return f"disobey.models.{self.study.models[model].family}"

    # --- data -------------------------------------------------------------------------------

    def _data(self, dataset: str) -> str:
        """Plan the prepared data; return its id."""
        options, root = self.study.datasets[dataset], self.study.data_root
        spec = options.prepare_spec()
        if isinstance(options, Files):
            spec |= {split: content_of_split(options, root, split) for split in SPLITS}
            spec["format"] = format_of(options, root)
        upstream = self._borrow_tokenizer(spec)
        id = spec_id(options.name, spec)
        source = options.name if isinstance(options, Builtin) else options.source
        members = [module_of(source)]
        members += [] if options.features is None else ["disobey.data.random_features"]
        self.plan.add("prepare", id, spec, upstream, members)
        self.plan.sizes[id] = self.study.sizes(dataset)
        if isinstance(options, Files):
            given = {split: given_files(options, root, split) for split in SPLITS}
            self.plan.files[id] = {split: list(map(str, given[split])) for split in SPLITS}
            if len(json.dumps(self.plan.files[id])) > LONGEST_COMMAND // 2:
                raise UserError(
                    f"data set '{dataset}' is {sum(map(len, given.values())):,} files, more than a "
                    f"command line can name; join them into fewer"
                )
        return id

    def _borrow_tokenizer(self, spec: dict[str, Any]) -> list[str]:
        """Add a borrowed tokenizer's checkpoint to a data set's spec; return the stores to read."""
        tokenizer = spec.get("tokenizer", {})
        if "of" not in tokenizer:
            return []
        pretrained = self.pretrained(tokenizer["of"])
        spec["tokenizer"] = {"pretrained": pretrained, "max_tokens": tokenizer["max_tokens"]}
        return self._model_stores(tokenizer["of"])

    def labels(self, dataset: str, share: float | None = None) -> str | None:
        """Plan the noisy labels and the share of examples that students see; return the store's id.

        Returns None if the labels are clean and all examples are seen.
        """
        options = self.study.datasets[dataset]
        noise, prefix = options.label_noise, options.name
        if noise is None and share is None:
            return None
        data = self.data(dataset)
        spec: dict[str, Any] = {"data": data}
        if noise is not None:
            spec["label_noise"] = spec_of(noise)
            prefix += f"-noise{noise.rate:g}"
        if share is not None:
            spec["student_share"] = share
            prefix += f"-share{share:g}"
        id = spec_id(prefix, spec)
        self.plan.add("labels", id, spec, [store_at("prepare", data)])
        return id

    def on_data(
        self, dataset: str, share: float | None = None, *, labels: bool = True
    ) -> dict[str, Any]:
        """Return the part of a spec that describes a model's data."""
        given = {
            "data": self.data(dataset),
            "labels": self.labels(dataset, share) if labels else None,
            "centre": self.study.datasets[dataset].centre,
        }
        return {key: value for key, value in given.items() if value is not None}

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
            Share of the training examples that the run sees.
        """
        spec = self.on_data(dataset, share)
        spec |= {"model": self._model_spec(model), "recipe": dict(recipe)}
        augment = self.study.datasets[dataset].augment
        spec |= {} if augment is None else {"augment": spec_of(augment)}
        spec["seeds"] = dict(seeds)
        upstream = [*data_stores(spec), *self._model_stores(model)]
        members = [self._family(model)]
        if distill is not None:
            spec["distill"] = dict(distill)
            upstream += self._teacher_stores(spec)
            if distill.get("live"):
                members.append(self._family(self._made_of[distill["teacher"]][1]))
        if progress is not None:
            spec["progress"] = dict(progress)
            upstream.append(store_at("basis", progress["basis"]))
        data = spec.get("labels", spec["data"]).rpartition("-")[0]
        how = "onehot" if distill is None else _loss_label(distill)
        id = spec_id(f"{data}-{self._label(model)}-{how}-s{seeds['initialisation']}", spec)
        roots = [*dict.fromkeys(members), *components(spec).values()]
        self.plan.add("train", id, spec, upstream, roots)
        self._made_of[id] = (dataset, model, share)
        return id

    def _label(self, model: str) -> str:
        return self.study.models[model].label()[:LONGEST_LABEL]

    def _teacher_stores(self, spec: Mapping[str, Any]) -> list[str]:
        """Return the stores of the teacher's logits that a student reads; plan those of views."""
        distill = spec["distill"]
        if "teacher" not in distill:
            return []
        if distill.get("live"):
            model = self._made_of[distill["teacher"]][1]
            return [store_at("train", distill["teacher"]), *self._model_stores(model)]
        if "augment" not in spec:
            return [self.plan.logits_store(distill["teacher"])]
        epochs = number_of_epochs(spec["recipe"], self.plan.trained_on(spec))
        blocks = blocks_of(spec["augment"], epochs)
        return [self._views(distill["teacher"], block, distill) for block in blocks]

    def logits(self, run: str, epoch: int | None = None) -> str:
        """Plan the dump of the logits of a run or of a snapshot; return the id of the store."""
        dataset, model, share = self._made_of[run]
        spec = {"run": run, **self.on_data(dataset, share)}
        spec.pop("centre", None)
        id = run
        if epoch is not None:
            spec["epoch"], id = epoch, layout.snapshot_of(run, epoch)
        upstream = [store_at("train", run), *data_stores(spec), *self._model_stores(model)]
        self.plan.add("dump", id, spec, upstream, [self._family(model)])
        return id

    def _views(self, run: str, block: int, distill: Mapping[str, Any]) -> str:
        """Plan the dump of a run's logits on a block of its students' views; return the store."""
        dataset, model, _ = self._made_of[run]
        augment, dtype = self.study.datasets[dataset].augment, distill.get("views")
        assert augment is not None
        spec = {"run": run, "data": self.data(dataset), "augment": spec_of(augment)}
        spec |= {"draw": STUDENT_DRAW, "block": block} | ({"dtype": dtype} if dtype else {})
        called = f"{block}-{dtype}" if dtype else str(block)
        upstream = [store_at("train", run), *data_stores(spec), *self._model_stores(model)]
        return self.plan.add("views", f"{run}/{called}", spec, upstream, [self._family(model)])

    def basis(self, setting: Setting, teacher: str | None = None) -> dict[str, Any]:
        """Plan the eigendirections of the inputs of the layers that a setting's ``bias`` tracks.

        Parameters
        ----------
        setting : Setting
        teacher : str, optional
            The run whose activations are the inputs of deeper layers; first layers need none.

        Returns
        -------
        dict
            The entry ``progress`` in the specs of tracked runs.
        """
        bias, dataset, model = setting.bias, setting.dataset, setting.student
        assert bias is not None
        known = self.study.models[model].trackable()
        spec = self.on_data(dataset, labels=False)
        spec |= {"model": self._model_spec(model), "layers": sorted(bias.layers)}
        first = sorted(layer for layer in bias.layers if known[layer].first)
        if first and self.study.includes_mean(setting):
            spec["mean_included"] = first
        upstream = [*data_stores(spec), *self._model_stores(model)]
        if len(first) < len(bias.layers):
            assert teacher is not None
            spec["run"] = teacher
            upstream.append(store_at("train", teacher))
        id = spec_id(f"{spec['data'].rpartition('-')[0]}-{self._label(model)}", spec)
        self.plan.add("basis", id, spec, upstream, [self._family(model)])
        layers = {
            name: {"unit_norm": True} if known[name].unit_norm else {} for name in bias.layers
        }
        directions = bias.tracked()
        progress = {"basis": id, "layers": layers}
        return progress | ({"directions": directions} if directions else {})


def _loss_label(distill: Mapping[str, Any]) -> str:
    """Return the part of an id that names a loss, such as ``kd-T4`` or ``dkd-T4``."""
    name = "kd" if loss_of(distill).name == DEFAULT else distill["loss"].replace("_", "-")
    return f"{name}-T{distill[TEMPERATURE]:g}" if TEMPERATURE in distill else name
