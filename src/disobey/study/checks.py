"""Checks of a study beyond types: names that exist, parts that fit together."""

import importlib.util
import math
from collections.abc import Iterator

from disobey.analysis.names import ONE_HOT_AT_T, PAIRS, STUDENT_AT_1
from disobey.data.label_noise import number_seen
from disobey.errors import nearest
from disobey.models.options import ChannelLinear, Layer, Timm
from disobey.study.comparisons import ComparedLogits, ExternalLogits
from disobey.study.datasets import PLURAL, Files
from disobey.study.external_checks import (
    comparison_mistakes,
    external_mistakes,
    foreign_names,
    taught_mistakes,
    tokens_of_another,
    unusable_checkpoints,
)
from disobey.study.models import NAMING, External, Setting, StudentOf, Study, Views
from disobey.study.sizes import SPLITS, format_of, mistake_in
from disobey.study.wording import Location, Mistake

USELESS = "has no effect on the CPU; remove it, or write device: auto"


def cross_checks(study: Study) -> list[Mistake]:
    """Return the mistakes that involve several parts of the file."""
    mistakes = list(_whole(study))
    missing = [*_files(study), *unusable_checkpoints(study), *_packages(study)]
    if missing:
        return mistakes + missing  # other checks mean nothing for files that cannot be read
    mistakes += comparison_mistakes(study)
    mistakes += external_mistakes(study)
    mistakes += foreign_names(study)
    unknown = {name: list(_unknown_names(study, one)) for name, one in study.settings.items()}
    for name, found in unknown.items():
        chain = _chain(study, name)
        if not any(unknown[one] for one in chain):  # a chain with a wrong name cannot be checked
            found = _in_setting(study, study.settings[name], chain)
        mistakes += [(("settings", name, *place), words) for place, words in found]
    return mistakes


def _in_setting(study: Study, setting: Setting, chain: list[str]) -> list[Mistake]:
    """Return the mistakes in one setting, with locations relative to the setting."""
    teacher = study.settings[chain[-1]].teacher
    if isinstance(teacher, StudentOf) and teacher.setting in chain:
        circle = " -> ".join([*chain, teacher.setting])
        words = "give one of these settings a model as its teacher"
        return [(("teacher",), f"is part of a circle of teachers ({circle}); {words}")]
    found = [mistake for check in OF_A_SETTING for mistake in check(study, setting)]
    return found + list(_share(study, setting, chain[1:]))


def _whole(study: Study) -> Iterator[Mistake]:
    """Check the keys that apply to the whole study."""
    repeated = {seed for seed in study.seeds if study.seeds.count(seed) > 1}
    if repeated:
        yield ("seeds",), f"{min(repeated)} is repeated; list each seed once"
    if study.views != Views() and not any(data.augment for data in study.datasets.values()):
        words = "has no effect, because no data set of this file has augment"
        yield ("views",), f"{words}; remove views, or add augment"
    if study.device == "cpu" and study.jobs_per_gpu is not None:
        yield ("jobs_per_gpu",), USELESS
    yield from _recipes_on_gpus(study)
    yield from _replayed_steps(study)


def _recipes_on_gpus(study: Study) -> Iterator[Mistake]:
    """Check that the GPU options of recipes fit the study's device."""
    on_cpu = study.device == "cpu"
    if on_cpu and study.gpus > 1:  # there, more threads do the same, with the sums of one process
        words = "device is cpu, where a training is one process; remove gpus, or write device: cuda"
        yield ("gpus",), f"is {study.gpus}, but {words}"
    for name, recipe in study.recipes.items():
        for key in ("compile", "cuda_graph"):
            if study.gpus > 1 and getattr(recipe, key):
                remedy = f"remove it, or write gpus: 1 (now {study.gpus})"
                yield ("recipes", name, key), f"works on one GPU only; {remedy}"
        if recipe.batch < study.gpus:
            words = f"a batch of {recipe.batch} is too small for gpus: {study.gpus}"
            yield ("recipes", name, "batch"), f"{words}; write batch: {study.gpus}, or more"
        if recipe.cuda_graph and on_cpu:
            yield ("recipes", name, "cuda_graph"), USELESS


def _replayed_steps(study: Study) -> Iterator[Mistake]:
    """Check that no training step replayed as a CUDA graph needs the host."""
    for name, setting in study.settings.items():
        data = study.datasets.get(setting.dataset)
        if data is None or (data.kind != "text" and not data.encoded):
            continue
        kind = "text" if data.kind == "text" else "encoded images"
        for key in ("recipe", "teacher_recipe"):
            replayed = study.recipes.get(getattr(setting, key) or "")
            if replayed is not None and replayed.cuda_graph:
                words = f"this recipe has cuda_graph, but the CPU makes the batches of {kind}"
                yield ("settings", name, key), f"{words}; name a recipe without it"


def _files(study: Study) -> Iterator[Mistake]:
    """Check that the user's files exist; their content is checked when they are read."""
    of_files = {name: data for name, data in study.datasets.items() if isinstance(data, Files)}
    given = [*study.comparisons.values(), *study.teachers.values()]
    elsewhere = any(isinstance(one, ComparedLogits | ExternalLogits) for one in given)
    if study.data_root is not None and not of_files and not elsewhere:
        yield (
            ("data_root",),
            "has no effect, because no data set has source: files, and no comparison or teacher "
            "has source: logits; remove it",
        )
    for name, dataset in of_files.items():
        wrong = [(split, mistake_in(dataset, study.data_root, split)) for split in SPLITS]
        split, mistake = next((one for one in wrong if one[1] is not None), ("", None))
        if mistake is not None:
            yield ("datasets", name, split), mistake
        elif dataset.encoded and format_of(dataset, study.data_root) == "npz":
            words = "images above 96 pixels must be encoded, but arrays are not; write 96 or less"
            yield ("datasets", name, "size"), words


def _packages(study: Study) -> Iterator[Mistake]:
    """Check that the packages that build the models are installed."""
    for name, options in study.models.items():
        if isinstance(options, Timm) and importlib.util.find_spec("timm") is None:
            words = "the package timm is not installed; pip install 'disobey[timm]'"
            yield ("models", name, "family"), words


def _chain(study: Study, name: str) -> list[str]:
    """Return a setting, then the setting whose student is its teacher, and so on.

    The chain ends before a name that is repeated or does not exist.
    """
    found = [name]
    while True:
        teacher = study.settings[found[-1]].teacher
        earlier = teacher.setting if isinstance(teacher, StudentOf) else ""
        if earlier not in study.settings or earlier in found:
            return found
        found.append(earlier)


def _unknown_names(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Yield the names in a setting for which the file has no entry."""
    for key, table in NAMING.items():
        place: Location = (key,)
        given = getattr(setting, key)
        if isinstance(given, StudentOf):
            place, given, table = (key, "setting"), given.setting, "settings"
        elif isinstance(given, External):
            place, given, table = (key, "external"), given.external, "teachers"
        known = getattr(study, table)
        if given is None or given in known:
            continue
        hint = nearest(given, known)
        if place == ("teacher",) and given in study.teachers:
            hint = f"for the one of teachers write {{external: {given}}}"
        if table == "teachers" and not known:
            hint = "add it below teachers:, see docs/own-teacher.md"
        yield place, f"there is no {table.removesuffix('s')} '{given}'; {hint}"


def _inputs(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check that the models accept the data set's inputs, and that images are large enough."""
    data = study.datasets[setting.dataset]
    for role in ("teacher", "student"):
        model = getattr(setting, role)
        if not isinstance(model, str):
            continue
        options = study.models[model]
        if data.features is not None and isinstance(options, ChannelLinear):
            words = f"model '{model}' reads one channel per class, which the random features of"
            remedy = "name a model of family mlp, with hidden: []"
            yield (role,), f"{words} data set '{setting.dataset}' do not have; {remedy}"
        if data.kind not in options.inputs:
            fitting = [other for other, one in study.models.items() if data.kind in one.inputs]
            read, held = " or ".join(PLURAL[one] for one in options.inputs), PLURAL[data.kind]
            words = f"model '{model}' reads {read}, but data set '{setting.dataset}' has {held}"
            known = ", ".join(fitting) or "none in this file"
            yield (role,), f"{words}; models that read {held}: {known}"
        elif hasattr(options, "refusal"):  # only networks for large images have it
            wrong = options.refusal(study.sizes(setting.dataset).shape)
            if wrong is not None:
                yield (role,), f"model '{model}', data set '{setting.dataset}': {wrong}"


def _chained(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check a setting whose teacher is another setting's student."""
    if not isinstance(setting.teacher, StudentOf):
        return
    other = setting.teacher.setting
    learnt = study.settings[other].dataset
    if learnt != setting.dataset:
        yield (
            ("teacher", "setting"),
            f"the student of '{other}' learnt '{learnt}', this setting is about "
            f"'{setting.dataset}'; both must be of one data set",
        )
    if setting.teacher_recipe is not None:
        words = f"the teacher is trained by the recipe of setting '{other}'; remove teacher_recipe"
        yield ("teacher_recipe",), words


def _share(study: Study, setting: Setting, earlier: list[str]) -> Iterator[Mistake]:
    """Check that a student's share keeps every class, omits some rows, and is the only share."""
    for name in earlier:
        if study.settings[name].student_share is not None:
            words = f"the teacher is the student of setting '{name}', which has a student_share"
            yield (
                ("teacher",),
                f"{words}, but a teacher must have seen all examples; remove student_share there, "
                f"or name another teacher",
            )
    share = setting.student_share
    if share is None:
        return
    if setting.bias is not None and setting.bias.pairs is not None:
        words = "compares the student with its teacher's own way, on all examples"
        yield ("bias", "pairs"), f"{words}; remove pairs, or student_share"
    data = study.sizes(setting.dataset)
    seen, classes = number_seen(share, data.train), data.shape.classes
    given = f"{share:g} of {data.train:,} training examples"
    if not data.exact:
        return  # the draw itself refuses too small a share
    if data.named and seen < classes:
        least = math.ceil(100 * classes / data.train) / 100
        words = f"fewer than the {classes} classes; write {least:g} or more"
        yield ("student_share",), f"{given} is {seen}, {words}"
    if seen == data.train:
        most = math.floor(100 * (data.train - 1) / data.train) / 100
        yield ("student_share",), f"{given} is all of them; write {most:g} or less, or remove it"


def _start(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check that a student can start from the weights that its teacher started from."""
    if setting.initialisation is None:
        return
    teacher, write = setting.teacher, "a model as teacher"
    if isinstance(teacher, StudentOf):
        words = f"the teacher is the student of '{teacher.setting}' and began with other weights"
    elif isinstance(teacher, External):
        words = f"the initial weights of teacher '{teacher.external}' are unknown, because it was "
        words += "trained elsewhere"
    elif not _same_model(study, setting):
        words = f"the weights of '{teacher}' and '{setting.student}' have different shapes"
        write = f"teacher: {setting.student}"
    else:
        return
    yield ("initialisation",), f"{words}; write {write}, or remove initialisation"


def _distillation(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check that the teacher's views, the loss and snapshots fit the data and the recipe."""
    called, data = setting.dataset, study.sizes(setting.dataset)
    augmented = study.datasets[called].augment is not None
    recipe, loss = study.recipes[setting.recipe], setting.distill.registered
    if setting.distill.teacher == "views" and not augmented:
        yield (
            ("distill", "teacher"),
            f"data set '{called}' is not augmented, so the teacher's logits are stored anyway; "
            f"remove teacher, or add augment to the data set",
        )
    if data.shape.classes < loss.least_classes:
        yield (
            ("distill", "loss"),
            f"loss {loss.name} needs {loss.least_classes} classes, but data set '{called}' has "
            f"{data.shape.classes}; write another loss, or remove loss",
        )
    views = augmented and setting.distill.teacher != "live"
    if recipe.steps is not None and not data.exact and (views or setting.over_training):
        needs = "over_training needs" if setting.over_training else "the teacher's views need"
        yield (
            ("recipe",),
            f"recipe '{setting.recipe}' has steps, but {needs} the number of epochs, which is "
            f"unknown until data set '{called}' is read; write epochs, or give the data set "
            f"subset: {{train: ...}}",
        )
    if setting.over_training and not recipe.snapshots:
        words = f"recipe '{setting.recipe}' keeps no snapshots"
        remedy = "add to it, for example, snapshots: [1, 2, 5, 10]"
        yield ("over_training",), f"{words}; {remedy}"


# --- bias ------------------------------------------------------------------------------------


def _bias(study: Study, setting: Setting) -> Iterator[Mistake]:
    if setting.bias is None:
        return
    yield from _layers(study, setting)
    recipe, called = study.recipes[setting.recipe], f"recipe '{setting.recipe}'"
    spoilt = [key for key in ("momentum", "weight_decay") if getattr(recipe, key)]
    if recipe.optimizer == "adamw" or spoilt:
        what = "optimizer adamw" if recipe.optimizer == "adamw" else " and ".join(spoilt)
        yield (
            ("bias",),
            f"{called} has {what}, under which progress along eigendirections is not gradient "
            f"descent's; use a recipe with optimizer: sgd or adam and without momentum and "
            f"weight_decay",
        )
    yield from _pairs(study, setting)
    if recipe.one_hot_temperature and ONE_HOT_AT_T in setting.placebos:
        words = "has a one_hot_temperature already; remove it, or name placebos without"
        yield ("bias", "placebos"), f"{called} {words} {ONE_HOT_AT_T}"
    if recipe.label_smoothing and "label_smoothing" in setting.placebos:
        words = "has a label_smoothing already; remove it, or name placebos without"
        yield ("bias", "placebos"), f"{called} {words} label_smoothing"


def _controls(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check that an analysis uses each of a setting's controls, and that each is a new run."""
    if setting.controls is None:
        return
    here, recipe = ("controls",), study.recipes[setting.recipe]
    if setting.bias is not None:
        words = "a setting with bias has the placebos of its bias as controls"
        yield here, f"{words}; name them in bias: {{placebos: [...]}}, and remove controls"
    elif not study.has_directions(setting) and recipe.evaluate is None:
        yield (
            here,
            f"have no effect, because recipe '{setting.recipe}' records no accuracies along "
            f"training; add evaluate: {{points: 20}} to it, or remove controls",
        )
    if STUDENT_AT_1 in setting.controls and setting.distill.softening == 1:
        yield here, f"the student already has temperature 1; remove {STUDENT_AT_1}"
    for name, given in (
        ("label_smoothing", recipe.label_smoothing),
        (ONE_HOT_AT_T, recipe.one_hot_temperature),
    ):
        if given and name in setting.placebos:
            yield here, f"recipe '{setting.recipe}' has what {name} would change; remove {name}"


def _layers(study: Study, setting: Setting) -> Iterator[Mistake]:
    assert setting.bias is not None
    known = study.models[setting.student].trackable()
    centred = study.datasets[setting.dataset].centre == "pixel" or study.includes_mean(setting)
    for index, layer in enumerate(setting.bias.layers):
        here = ("bias", "layers", index)
        if layer not in known:
            hint = nearest(layer, known)
            listed = f" (known: {', '.join(known)})" if hint.startswith("did you mean") else ""
            words = f"model '{setting.student}' has no layer '{layer}' with a matrix of weights"
            yield here, f"{words}; {hint}{listed}"
        elif known[layer].first and not centred:
            words = f"'{layer}' reads the images, whose mean would be the leading direction"
            yield here, f"{words}; add centre: pixel to data set '{setting.dataset}'"
        elif not known[layer].first and not _same_model(study, setting):
            yield (
                here,
                f"'{layer}' reads activations, whose eigendirections are the trained teacher's: "
                f"teacher and student must be the same model; track a layer that reads the data",
            )


def _pairs(study: Study, setting: Setting) -> Iterator[Mistake]:
    """Check that pairs of eigendirections can be counted, which needs a tracked teacher."""
    bias, here = setting.bias, ("bias", "pairs")
    if bias is None or bias.pairs is None:
        return
    if not isinstance(setting.teacher, str) or not _same_model(study, setting):
        yield (
            here,
            f"pairs compare the student with its teacher's own way, so both must be the same model "
            f"of this file, trained on labels; write teacher: {setting.student}, or remove pairs",
        )
    if setting.teacher_recipe not in (None, setting.recipe):
        words = "pairs compare the student with a teacher of the same recipe"
        yield here, f"{words}; remove teacher_recipe, or pairs"
    known, last = study.models[setting.student].trackable(), bias.pairs.bottom[1]
    for index, layer in enumerate(bias.layers):
        if layer not in known:
            continue  # reported already
        if not known[layer].first:
            yield (
                ("bias", "layers", index),
                f"'{layer}' reads activations of the trained teacher, whose own way along them "
                f"cannot be tracked; track a layer that reads the data, or remove pairs",
            )
        elif (rank := _largest_rank(study, setting, known[layer])) < last:
            remedy = f"write a last rank up to {rank} (now {last}), or pairs of another layer"
            if rank < 2 * PAIRS:  # no valid ranks of both ends exist
                remedy = f"pairs need {2 * PAIRS}; track another layer, or remove pairs"
            words = f"the input of '{layer}' has {rank} directions at most"
            yield (*here, "bottom"), f"{words}; {remedy}"


def _largest_rank(study: Study, setting: Setting, layer: Layer) -> int:
    """Return the largest possible number of eigendirections of a layer's inputs."""
    data = study.sizes(setting.dataset)
    if layer.kernel is not None:
        return layer.kernel**2 * data.shape.inputs[-1]
    return min(math.prod(data.shape.inputs), data.train - 1)


def _same_model(study: Study, setting: Setting) -> bool:
    teacher = study.model_of_teacher(setting)
    return teacher is not None and study.models[teacher] == study.models[setting.student]


OF_A_SETTING = (
    _inputs, tokens_of_another, _chained, _start, taught_mistakes, _bias, _controls, _distillation,
)  # fmt: skip
