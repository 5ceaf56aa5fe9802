"""Jobs that all studies share: data, labels, trainings, logits, eigendirections.

Nothing is read but the user's own data files, since ids stand on what they hold. A store's id is a
readable prefix and eight hex digits of its spec, in which the stores that it is made from stand by
their ids: never by the name of a setting.
"""

from collections.abc import Mapping
from typing import Any

from disobey.data.views import blocks_of
from disobey.members import member
from disobey.models.checkpoint import checkpoint_files
from disobey.models.options.pretrained import Pretrained
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.layout import manifest_of
from disobey.strict import spec_of
from disobey.study.contents import content_of
from disobey.study.datasets import Builtin, Files
from disobey.study.jobs import Plan
from disobey.study.models import Setting, Study
from disobey.study.sizes import sizes_of
from disobey.study.user_files import SPLITS, content_of_split, format_of, given_files
from disobey.training.durations import number_of_epochs
from disobey.training.parts import encoded_module, modules_of

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
        # Data set and model of each run, by their names in the study.
        self._made_of: dict[str, tuple[str, str]] = {}
        self._prepared: dict[str, str] = {}
        # Stores of checkpoints, by the models' names in the study.
        self._pretrained: dict[str, str] = {}

    # --- checkpoints ------------------------------------------------------------------------

    def pretrained(self, model: str) -> str | None:
        """Plan the store of a model's checkpoint; return its id, None for a model from scratch."""
        options = self.study.models[model]
        if not isinstance(options, Pretrained):
            return None
        if model in self._pretrained:
            return self._pretrained[model]
        place, spec = options.place(), options.hub_spec()
        if place is not None:
            spec = {"content": content_of(checkpoint_files(place))}
        id = self._pretrained[model] = options.store(spec)
        self.plan.add("pretrained", id, spec, layout.PRETRAINED.format(pretrained=id))
        self.plan.pretrained.setdefault(id, options)
        return id

    def _model_spec(self, model: str) -> dict[str, Any]:
        """Return a model as it stands in specs: a checkpoint by its store, not by its place."""
        spec, pretrained = spec_of(self.study.models[model]), self.pretrained(model)
        if pretrained is None:
            return spec
        for of_source in ("checkpoint", "revision", "folder", "package", "tokenizer"):
            spec.pop(of_source, None)
        return spec | {"pretrained": pretrained}

    def _model_stores(self, model: str) -> list[str]:
        """Return what the architecture of a model is read from."""
        pretrained = self.pretrained(model)
        return [] if pretrained is None else [layout.PRETRAINED.format(pretrained=pretrained)]

    # --- data -------------------------------------------------------------------------------

    def data(self, dataset: str) -> str:
        """Plan the prepared data; return its id."""
        if dataset in self._prepared:
            return self._prepared[dataset]
        options, root = self.study.datasets[dataset], self.study.data_root
        spec = options.prepare_spec()
        if isinstance(options, Files):
            spec |= {split: content_of_split(options, root, split) for split in SPLITS}
            spec["format"] = format_of(options, root)
        inputs = tuple(map(manifest_of, self._borrow_tokenizer(spec)))
        id = self._prepared[dataset] = spec_id(options.name, spec)
        source = options.name if isinstance(options, Builtin) else options.source
        members = (member("data.sources", source),)
        self.plan.add("prepare", id, spec, layout.DATA.format(data=id), inputs, members)
        self.plan.sizes[id] = sizes_of(options, root)
        if isinstance(options, Files):
            given = {split: given_files(options, root, split) for split in SPLITS}
            self.plan.files[id] = {split: list(map(str, given[split])) for split in SPLITS}
        return id

    def _borrow_tokenizer(self, spec: dict[str, Any]) -> list[str]:
        """Name the store of a checkpoint whose tokenizer a data set has; return what is read."""
        tokenizer = spec.get("tokenizer", {})
        if "of" not in tokenizer:
            return []
        pretrained = self.pretrained(tokenizer["of"])
        spec["tokenizer"] = {"pretrained": pretrained, "max_tokens": tokenizer["max_tokens"]}
        return self._model_stores(tokenizer["of"])

    def labels(self, dataset: str) -> str | None:
        """Plan the noisy labels; return their id, or None where labels are clean."""
        noise = self.study.datasets[dataset].label_noise
        if noise is None:
            return None
        data = self.data(dataset)
        spec = {"data": data, "label_noise": spec_of(noise)}
        name = self.study.datasets[dataset].name
        id = spec_id(f"{name}-noise{noise.rate:g}", spec)
        upstream = (manifest_of(layout.DATA.format(data=data)),)
        members = self._decoding(dataset)
        self.plan.add("labels", id, spec, layout.LABELS.format(labels=id), upstream, members)
        return id

    # --- runs -------------------------------------------------------------------------------

    def run(
        self,
        dataset: str,
        model: str,
        recipe: Mapping[str, Any],
        seeds: Mapping[str, int],
        distill: Mapping[str, Any] | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> str:
        """Plan the training of one model; return the run's id.

        Parameters
        ----------
        dataset, model : str
            Their names in the study.
        recipe, seeds, distill, progress : mapping
            As they stand in a run's spec.
        """
        options, labels = self.study.models[model], self.labels(dataset)
        spec = self._on_data(dataset)
        spec |= {"model": self._model_spec(model), "recipe": dict(recipe)}
        augment = self.study.datasets[dataset].augment
        spec |= {} if augment is None else {"augment": spec_of(augment)}
        spec["seeds"] = dict(seeds)
        upstream = [*self._data_stores(dataset), *self._model_stores(model)]
        members = list(self._modules(dataset, model))
        how = "onehot"
        if distill is not None:
            spec["distill"] = dict(distill)
            upstream += self._teacher_stores(spec)
            if distill.get("live"):
                members.append(self._family(self._made_of[distill["teacher"]][1]))
            how = f"kd-T{distill['temperature']:g}"
        if progress is not None:
            spec["progress"] = dict(progress)
            upstream.append(layout.BASIS.format(basis=progress["basis"]))
        noisy = spec["data"] if labels is None else labels
        shape = options.label()[:LONGEST_LABEL]
        number = seeds["initialisation"]
        id = spec_id(f"{noisy.rpartition('-')[0]}-{shape}-{how}-s{number}", spec)
        inputs = tuple(map(manifest_of, dict.fromkeys(upstream)))
        modules = (*dict.fromkeys(members), *modules_of(spec))
        self.plan.add("train", id, spec, layout.RUN.format(run=id), inputs, modules)
        self._made_of[id] = (dataset, model)
        return id

    def _teacher_stores(self, spec: Mapping[str, Any]) -> list[str]:
        """Return what a student reads of its teacher; plan the views that it is shown."""
        distill = spec["distill"]
        if distill.get("live"):
            model = self._made_of[distill["teacher"]][1]
            return [layout.RUN.format(run=distill["teacher"]), *self._model_stores(model)]
        if "augment" not in spec:
            return [layout.LOGITS.format(run=distill["teacher"])]
        examples = self.plan.sizes[spec["data"]].train
        blocks = blocks_of(spec["augment"], number_of_epochs(spec["recipe"], examples))
        return [self.views(distill["teacher"], block, distill) for block in blocks]

    def logits(self, run: str, epoch: int | None = None) -> str:
        """Plan the dump of a run's logits, or of a snapshot's; return the id of the store."""
        dataset, model = self._made_of[run]
        spec: dict[str, Any] = {"run": run, "data": self.data(dataset)}
        labels = self.labels(dataset)
        if labels is not None:
            spec["labels"] = labels
        id = run
        if epoch is not None:
            spec["epoch"], id = epoch, layout.snapshot_of(run, epoch)
        upstream = [layout.RUN.format(run=run), *self._data_stores(dataset)]
        upstream += self._model_stores(model)
        self.plan.add(
            "dump",
            id,
            spec,
            layout.LOGITS.format(run=id),
            tuple(map(manifest_of, upstream)),
            self._modules(dataset, model),
        )
        return id

    def views(self, run: str, block: int, distill: Mapping[str, Any]) -> str:
        """Plan the dump of a run's logits on a block of its students' views; return the store."""
        dataset, model = self._made_of[run]
        augment, dtype = self.study.datasets[dataset].augment, distill.get("views")
        assert augment is not None
        spec = {"run": run, "data": self.data(dataset), "augment": spec_of(augment)}
        spec |= {"draw": STUDENT_DRAW, "block": block} | ({"dtype": dtype} if dtype else {})
        called = f"{block}-{dtype}" if dtype else str(block)
        store = layout.VIEWS.format(run=run, block=called)
        upstream = [layout.RUN.format(run=run), layout.DATA.format(data=spec["data"])]
        upstream += self._model_stores(model)
        self.plan.add(
            "views",
            f"{run}/{called}",
            spec,
            store,
            tuple(map(manifest_of, upstream)),
            self._modules(dataset, model),
        )
        return store

    def _modules(self, dataset: str, model: str) -> tuple[str, ...]:
        """Return the modules that are needed to run a model on a data set."""
        return (self._family(model), *self._decoding(dataset))

    def _decoding(self, dataset: str) -> tuple[str, ...]:
        """Return the modules that read large images; none for other data sets."""
        if not self.study.datasets[dataset].encoded:
            return ()
        return member("data", "encoded"), encoded_module()

    def _family(self, model: str) -> str:
        """Return the module of a model."""
        return member("models", self.study.models[model].family)

    def basis(self, setting: Setting, teacher: str) -> dict[str, Any]:
        """Plan the eigendirections of a setting's tracked layers.

        Returns
        -------
        dict
            ``progress`` of the specs of the runs that are tracked.
        """
        bias, options = setting.bias, self.study.models[setting.student]
        assert bias is not None
        known = options.trackable()
        spec = self._on_data(setting.dataset, labels=False) | {
            "model": self._model_spec(setting.student),
            "layers": sorted(bias.layers),
        }
        upstream = self._data_stores(setting.dataset, labels=False)
        upstream += self._model_stores(setting.student)
        if not all(known[layer].first for layer in bias.layers):
            spec["run"] = teacher
            upstream.append(layout.RUN.format(run=teacher))
        prefix = spec["data"].rpartition("-")[0]
        id = spec_id(f"{prefix}-{options.label()[:LONGEST_LABEL]}", spec)
        self.plan.add(
            "basis",
            id,
            spec,
            layout.BASIS.format(basis=id),
            tuple(map(manifest_of, upstream)),
            self._modules(setting.dataset, setting.student),
        )
        layers = {
            name: {"unit_norm": True} if known[name].unit_norm else {} for name in bias.layers
        }
        progress: dict[str, Any] = {"basis": id, "layers": layers}
        return progress | ({"directions": bias.directions} if bias.directions else {})

    def _on_data(self, dataset: str, *, labels: bool = True) -> dict[str, Any]:
        """Return what a spec says of the data that a model sees."""
        spec: dict[str, Any] = {"data": self.data(dataset)}
        noisy = self.labels(dataset) if labels else None
        given = {"labels": noisy, "centre": self.study.datasets[dataset].centre}
        return spec | {key: value for key, value in given.items() if value is not None}

    def _data_stores(self, dataset: str, *, labels: bool = True) -> list[str]:
        noisy = self.labels(dataset) if labels else None
        stores = [layout.DATA.format(data=self.data(dataset))]
        return stores if noisy is None else [*stores, layout.LABELS.format(labels=noisy)]
