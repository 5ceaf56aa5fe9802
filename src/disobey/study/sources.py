"""Jobs that make the inputs of runs: checkpoints, prepared data, noisy labels.

Only the user's own files are read, since ids depend on their content.
"""

import json
from typing import Any

from disobey.data.sources import module_of
from disobey.errors import UserError
from disobey.models.checkpoint import checkpoint_files
from disobey.models.options import Pretrained
from disobey.provenance import spec_id
from disobey.stores import layout
from disobey.stores.contents import content_of
from disobey.stores.layout import manifest_of
from disobey.strict import spec_of
from disobey.study.datasets import Builtin, Files
from disobey.study.jobs import LONGEST_COMMAND, Plan
from disobey.study.models import Study
from disobey.study.sizes import SPLITS, content_of_split, format_of, given_files, sizes_of


class Sources:
    """Adds the jobs that make the inputs of runs; equal ones are one job.

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
        # Ids by the names in the study.
        self._prepared: dict[str, str] = {}
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

    def model_spec(self, model: str) -> dict[str, Any]:
        """Return the spec of a model: a checkpoint appears by its store, not by its place."""
        spec, pretrained = spec_of(self.study.models[model]), self.pretrained(model)
        if pretrained is None:
            return spec
        for of_source in ("checkpoint", "revision", "folder", "package", "tokenizer"):
            spec.pop(of_source, None)
        return spec | {"pretrained": pretrained}

    def model_stores(self, model: str) -> list[str]:
        """Return the stores that a model's architecture is read from."""
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
        members = [module_of(source)]
        members += [] if options.features is None else ["disobey.data.random_features"]
        self.plan.add("prepare", id, spec, layout.DATA.format(data=id), inputs, tuple(members))
        self.plan.sizes[id] = sizes_of(options, root)
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
        """Name the store of a checkpoint whose tokenizer a data set has; return what is read."""
        tokenizer = spec.get("tokenizer", {})
        if "of" not in tokenizer:
            return []
        pretrained = self.pretrained(tokenizer["of"])
        spec["tokenizer"] = {"pretrained": pretrained, "max_tokens": tokenizer["max_tokens"]}
        return self.model_stores(tokenizer["of"])

    def labels(self, dataset: str, share: float | None = None) -> str | None:
        """Plan given labels, and the share of the examples that students see; return their id.

        None where labels are clean and all examples are seen.
        """
        noise = self.study.datasets[dataset].label_noise
        if noise is None and share is None:
            return None
        data = self.data(dataset)
        spec: dict[str, Any] = {"data": data}
        prefix = self.study.datasets[dataset].name
        if noise is not None:
            spec["label_noise"] = spec_of(noise)
            prefix += f"-noise{noise.rate:g}"
        if share is not None:
            spec["student_share"] = share
            prefix += f"-share{share:g}"
        id = spec_id(prefix, spec)
        upstream = (manifest_of(layout.DATA.format(data=data)),)
        self.plan.add("labels", id, spec, layout.LABELS.format(labels=id), upstream)
        return id

    # --- what is said of them in the specs of runs ------------------------------------------

    def on_data(
        self, dataset: str, share: float | None = None, *, labels: bool = True
    ) -> dict[str, Any]:
        """Return the part of a spec that describes a model's data."""
        spec: dict[str, Any] = {"data": self.data(dataset)}
        of_labels = self.labels(dataset, share) if labels else None
        given = {"labels": of_labels, "centre": self.study.datasets[dataset].centre}
        return spec | {key: value for key, value in given.items() if value is not None}

    def stores(self, dataset: str, share: float | None = None, *, labels: bool = True) -> list[str]:
        """Return the stores of a data set."""
        given = self.labels(dataset, share) if labels else None
        stores = [layout.DATA.format(data=self.data(dataset))]
        return stores if given is None else [*stores, layout.LABELS.format(labels=given)]
