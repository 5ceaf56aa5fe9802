"""Checks of a study beyond types: names that exist, parts that fit together."""

import importlib.util
import math
from collections.abc import Iterator

from disobey.analysis.names import ONE_HOT_AT_T, STUDENT_AT_1
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
from disobey.study.models import External, Setting, StudentOf, Study, Views
from disobey.study.recipes import Recipe
from disobey.study.sizes import SPLITS, format_of, mistake_in, sizes_of
from disobey.study.wording import Location, Mistake


def cross_checks(study: Study) -> list[Mistake]:
    """Return the mistakes between two parts of the file."""
    mistakes: list[Mistake] = []
    repeated = {seed for seed in study.seeds if study.seeds.count(seed) > 1}
    if repeated:
        mistakes.append((("seeds",), f"{sorted(repeated)[0]} is repeated; each seed once"))
    if study.views != Views() and not any(data.augment for data in study.datasets.values()):
        words = "has no effect: no data set of this file has augment; remove views, or add augment"
        mistakes.append((("views",), words))
    mistakes += [*_gpus(study), *_graphs(study)]
    missing = [*_files(study), *unusable_checkpoints(study), *_packages(study)]
    if missing:
        return mistakes + missing  # what is said of what cannot be read tells nothing
    mistakes += comparison_mistakes(study)
    mistakes += external_mistakes(study)
    mistakes += foreign_names(study)
    unknown = {name: list(_unknown_names(study, name)) for name in study.settings}
    mistakes += [mistake for found in unknown.values() for mistake in found]
    for name, found in unknown.items():
        if found or any(unknown[earlier] for earlier in chain(study, name)[1:]):
            continue  # settings with a wrong name cannot be checked
        circle = circular(study, name)
        if circle is not None:
            mistakes.append((("settings", name, "teacher"), circle))
            continue
        wrong_kind = list(_kinds(study, name))
        mistakes += wrong_kind or _too_small(study, name)
        for check in OF_A_SETTING:
            mistakes += check(study, name)
    return mistakes


def _files(study: Study) -> Iterator[Mistake]:
    """Check that the user's files are there; what they hold is checked where they are read."""
    of_files = {name: data for name, data in study.datasets.items() if isinstance(data, Files)}
    of_logits = (ComparedLogits, ExternalLogits)
    given = [*study.comparisons.values(), *study.teachers.values()]
    elsewhere = any(isinstance(one, of_logits) for one in given)
    if study.data_root is not None and not of_files and not elsewhere:
        words = (
            "has no effect: no data set has source: files, no comparison or teacher source: logits"
        )
        yield ("data_root",), f"{words}; remove it"
    for name, dataset in of_files.items():
        for split in SPLITS:
            mistake = mistake_in(dataset, study.data_root, split)
            if mistake is not None:
                yield ("datasets", name, split), mistake
                break
        else:
            if dataset.encoded and format_of(dataset, study.data_root) == "npz":
                words = "is of images that stay encoded, arrays are not; write 96 or less"
                yield ("datasets", name, "size"), words


def _packages(study: Study) -> Iterator[Mistake]:
    """Check that the package is there that makes a model."""
    for name, options in study.models.items():
        if isinstance(options, Timm) and importlib.util.find_spec("timm") is None:
            words = "the package timm is not installed; pip install 'disobey[timm]'"
            yield ("models", name, "family"), words


def _gpus(study: Study) -> Iterator[Mistake]:
    """Check that what the file says of GPUs has an effect."""
    if study.device == "cpu" and study.jobs_per_gpu is not None:
        yield ("jobs_per_gpu",), "has no effect on the CPU; remove it, or write device: auto"
    if study.gpus == 1:
        return
    if study.device == "cpu":  # more threads do the same there, and sum as one process does
        words = "a training on the CPU is one process; remove gpus, or write device: cuda"
        yield ("gpus",), f"{study.gpus}, but device is cpu: {words}"
    for name, recipe in study.recipes.items():
        for key in ("compile", "cuda_graph"):
            if getattr(recipe, key):
                remedy = f"remove it, or write gpus: 1 (now {study.gpus})"
                yield ("recipes", name, key), f"needs a training on one GPU; {remedy}"
        if recipe.batch < study.gpus:
            words = f"{recipe.batch} cannot be shared out to gpus: {study.gpus}; write a larger one"
            yield ("recipes", name, "batch"), words


def _graphs(study: Study) -> Iterator[Mistake]:
    """Check that steps that are replayed as a CUDA graph run on a GPU, without the host."""
    for name, recipe in study.recipes.items():
        if recipe.cuda_graph and study.device == "cpu":
            words = "has no effect on the CPU; remove it, or write device: auto"
            yield ("recipes", name, "cuda_graph"), words
    for name, setting in study.settings.items():
        data = study.datasets.get(setting.dataset)
        if data is None or (data.kind != "text" and not data.encoded):
            continue
        for key in ("recipe", "teacher_recipe"):
            recipe_of_setting = study.recipes.get(getattr(setting, key) or "")
            if recipe_of_setting is not None and recipe_of_setting.cuda_graph:
                kind = "text" if data.kind == "text" else "images that stay encoded"
                words = f"has cuda_graph, but batches of {kind} are made by the host"
                yield ("settings", name, key), f"{words}; write a recipe without it"


def chain(study: Study, name: str) -> list[str]:
    """Return a setting and those whose students are its teacher, its teacher's teacher, ...

    Ends before a name that comes twice or does not exist.
    """
    found = [name]
    while True:
        teacher = study.settings[found[-1]].teacher
        if not isinstance(teacher, StudentOf) or teacher.setting not in study.settings:
            return found
        if teacher.setting in found:
            return found
        found.append(teacher.setting)


def circular(study: Study, name: str) -> str | None:
    """Return in words the circle that a chain of teachers ends in, or None."""
    found = chain(study, name)
    teacher = study.settings[found[-1]].teacher
    if isinstance(teacher, StudentOf) and teacher.setting in found:
        circle = " -> ".join([*found, teacher.setting])
        words = "give one of these settings a model as its teacher"
        return f"is part of a circle of teachers ({circle}); {words}"
    return None


def _unknown_names(study: Study, name: str) -> Iterator[Mistake]:
    setting = study.settings[name]
    teacher = setting.teacher
    for key, given, table, known in (
        ("dataset", setting.dataset, "dataset", study.datasets),
        ("teacher", teacher if isinstance(teacher, str) else None, "model", study.models),
        ("student", setting.student, "model", study.models),
        ("recipe", setting.recipe, "recipe", study.recipes),
        ("teacher_recipe", setting.teacher_recipe, "recipe", study.recipes),
    ):
        if given is not None and given not in known:
            hint = nearest(str(given), known)
            if key == "teacher" and given in study.teachers:
                hint = f"for the one of teachers write {{external: {given}}}"
            words = f"there is no {table} '{given}'; {hint}"
            yield ("settings", name, key), words
    if isinstance(teacher, StudentOf) and teacher.setting not in study.settings:
        words = f"there is no setting '{teacher.setting}'; "
        yield (
            ("settings", name, "teacher", "setting"),
            words + nearest(teacher.setting, study.settings),
        )
    if isinstance(teacher, External) and teacher.external not in study.teachers:
        hint = nearest(teacher.external, study.teachers)
        hint = hint if study.teachers else "add it below teachers:, see docs/own-teacher.md"
        words = f"there is no teacher '{teacher.external}'; {hint}"
        yield ("settings", name, "teacher", "external"), words


def _models_of(study: Study, name: str) -> Iterator[tuple[str, str]]:
    """Yield the roles of a setting that name a model, and the names."""
    for role in ("teacher", "student"):
        model = getattr(study.settings[name], role)
        if isinstance(model, str):
            yield role, model


def _kinds(study: Study, name: str) -> Iterator[Mistake]:
    """Check that the models read what the data set holds."""
    dataset = study.settings[name].dataset
    data = study.datasets[dataset]
    for role, model in _models_of(study, name):
        options, here = study.models[model], ("settings", name, role)
        if data.features is not None and isinstance(options, ChannelLinear):
            words = f"model '{model}' reads a channel of each class, which random features of data"
            remedy = "write a model of family mlp, with hidden: []"
            yield here, f"{words} set '{dataset}' do not have; {remedy}"
        if data.kind not in options.inputs:
            fitting = [other for other, one in study.models.items() if data.kind in one.inputs]
            read, held = " or ".join(PLURAL[one] for one in options.inputs), PLURAL[data.kind]
            words = f"model '{model}' reads {read}, but data set '{dataset}' holds {held}"
            known = ", ".join(fitting) or "none in this file"
            yield here, f"{words}; models that read {held}: {known}"


def _too_small(study: Study, name: str) -> Iterator[Mistake]:
    """Check that the examples suit the models, where their size is known before they are read."""
    dataset = study.settings[name].dataset
    for role, model in _models_of(study, name):
        refusal = getattr(study.models[model], "refusal", None)  # networks for large images have it
        wrong = refusal and refusal(sizes_of(study.datasets[dataset], study.data_root).shape)
        if wrong is not None:
            yield ("settings", name, role), f"model '{model}', data set '{dataset}': {wrong}"


def _chained(study: Study, name: str) -> Iterator[Mistake]:
    """Check a setting whose teacher is another setting's student."""
    setting, here = study.settings[name], ("settings", name)
    if not isinstance(setting.teacher, StudentOf):
        return
    teacher = study.settings[setting.teacher.setting]
    if teacher.dataset != setting.dataset:
        yield (
            (*here, "teacher", "setting"),
            f"the student of '{setting.teacher.setting}' learnt '{teacher.dataset}', this setting "
            f"is about '{setting.dataset}'; both must be of one data set",
        )
    if setting.teacher_recipe is not None:
        yield (
            (*here, "teacher_recipe"),
            f"the teacher is trained by the recipe of setting '{setting.teacher.setting}'; "
            f"remove teacher_recipe",
        )


def _share(study: Study, name: str) -> Iterator[Mistake]:
    """Check that a student's share keeps every class, holds something out, and is of its own."""
    setting, here = study.settings[name], ("settings", name, "student_share")
    for earlier in chain(study, name)[1:]:
        if study.settings[earlier].student_share is not None:
            words = f"the teacher is the student of setting '{earlier}', which has a student_share"
            yield ("settings", name, "teacher"), f"{words}, but must have seen all examples"
    share = setting.student_share
    if share is None:
        return
    if setting.bias is not None and setting.bias.pairs is not None:
        words = "compares the student with its teacher's own way, on all examples"
        yield (*here[:2], "bias", "pairs"), f"{words}; remove pairs, or student_share"
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    seen, classes = number_seen(share, data.train), data.shape.classes
    if not data.exact:
        return  # the draw itself refuses what is too small
    if seen < classes:
        least = math.ceil(100 * classes / data.train) / 100
        yield (
            here,
            f"{share:g} of {data.train:,} training examples are {seen}, which leaves out some of "
            f"{classes} classes; write {least:g} or more",
        )
    if seen == data.train:
        most = math.floor(100 * (data.train - 1) / data.train) / 100
        words = f"{share:g} of {data.train:,} training examples are all of them"
        yield here, f"{words}; write {most:g} or less, or remove it"


def _start(study: Study, name: str) -> Iterator[Mistake]:
    """Check that a student can start from the weights that its teacher started from."""
    setting, here = study.settings[name], ("settings", name, "initialisation")
    if setting.initialisation is None:
        return
    teacher = setting.teacher
    if isinstance(teacher, StudentOf):
        words = f"the teacher is the student of setting '{teacher.setting}', with its own start"
        yield here, f"{words}; write a model as teacher, or remove initialisation"
    elif isinstance(teacher, External):
        words = f"what teacher '{teacher.external}' started from is not known: it was trained"
        yield here, f"{words} elsewhere; write a model as teacher, or remove initialisation"
    elif not _same_model(study, setting):
        words = f"teacher '{teacher}' and student '{setting.student}' differ in their weights"
        yield here, f"{words}; write teacher: {setting.student}, or remove initialisation"


def _teacher_seen(study: Study, name: str) -> Iterator[Mistake]:
    """Check that what is said of a teacher's views has an effect."""
    setting = study.settings[name]
    if setting.distill.teacher == "views" and study.datasets[setting.dataset].augment is None:
        yield (
            ("settings", name, "distill", "teacher"),
            f"data set '{setting.dataset}' is not augmented: the teacher's logits on its one view "
            f"are stored anyway; remove teacher, or add augment to the data set",
        )


def _classes_of_loss(study: Study, name: str) -> Iterator[Mistake]:
    """Check that a loss is defined for the classes of the data, where their number is known."""
    setting = study.settings[name]
    loss = setting.distill.registered
    classes = sizes_of(study.datasets[setting.dataset], study.data_root).shape.classes
    if classes < loss.least_classes:
        yield (
            ("settings", name, "distill", "loss"),
            f"loss {loss.name} needs {loss.least_classes} classes, data set '{setting.dataset}' "
            f"has {classes}; write another loss, or remove loss",
        )


def _epochs_known(study: Study, name: str) -> Iterator[Mistake]:
    """Check that where the plan needs a number of epochs, it does not rest on an estimate."""
    setting, recipe = study.settings[name], _recipe(study, name)
    dataset = study.datasets[setting.dataset]
    if recipe.steps is None or sizes_of(dataset, study.data_root).exact:
        return
    views = dataset.augment is not None and setting.distill.teacher != "live"
    if views or setting.over_training:
        needs = "over_training" if setting.over_training else "views of the teacher"
        yield (
            ("settings", name, "recipe"),
            f"recipe '{setting.recipe}' says steps, and how many epochs they are ({needs}) is "
            f"known only once data set '{setting.dataset}' is read; write epochs, or give the data "
            f"set subset: {{train: ...}}",
        )


def _over_training(study: Study, name: str) -> Iterator[Mistake]:
    """Check that there are snapshots where a setting is analysed over training."""
    setting = study.settings[name]
    if setting.over_training and not _recipe(study, name).snapshots:
        words = f"recipe '{setting.recipe}' keeps no snapshots"
        remedy = "add to it, for example, snapshots: [1, 2, 5, 10]"
        yield ("settings", name, "over_training"), f"{words}; {remedy}"


# --- bias ------------------------------------------------------------------------------------


def _bias(study: Study, name: str) -> Iterator[Mistake]:
    setting, here = study.settings[name], ("settings", name, "bias")
    if setting.bias is None:
        return
    yield from _layers(study, setting, here)
    recipe = _recipe(study, name)
    spoilt = [key for key in ("momentum", "weight_decay") if getattr(recipe, key)]
    if recipe.optimizer == "adamw" or spoilt:
        what = "optimizer adamw" if recipe.optimizer == "adamw" else " and ".join(spoilt)
        yield (
            here,
            f"recipe '{setting.recipe}' has {what}, under which progress along eigendirections is "
            f"not gradient descent's; use a recipe with optimizer: sgd or adam and without "
            f"momentum and weight_decay",
        )
    yield from _pairs(study, name)
    if recipe.one_hot_temperature and ONE_HOT_AT_T in setting.placebos:
        yield (
            (*here, "placebos"),
            f"recipe '{setting.recipe}' has a one_hot_temperature already; remove it, or name "
            f"placebos without {ONE_HOT_AT_T}",
        )
    if recipe.label_smoothing and "label_smoothing" in setting.placebos:
        yield (
            (*here, "placebos"),
            f"recipe '{setting.recipe}' smooths labels already; remove label_smoothing from one",
        )


def _controls(study: Study, name: str) -> Iterator[Mistake]:
    """Check that a setting's controls are read by something, and differ from what is there."""
    setting, here = study.settings[name], ("settings", name, "controls")
    if setting.controls is None:
        return
    recipe = _recipe(study, name)
    if setting.bias is not None:
        words = "has a bias, whose own placebos are its controls; name them in bias: {placebos: []}"
        yield here, f"{words}, and remove controls"
    elif not study.has_directions(setting) and recipe.evaluate is None:
        yield (
            here,
            f"nothing is measured that they could be held against; add evaluate: {{points: 20}} to "
            f"recipe '{setting.recipe}', or remove controls",
        )
    if STUDENT_AT_1 in setting.controls and setting.distill.softening == 1:
        yield here, f"the student is at temperature 1 itself; remove {STUDENT_AT_1}"
    for name, given in (
        ("label_smoothing", recipe.label_smoothing),
        (ONE_HOT_AT_T, recipe.one_hot_temperature),
    ):
        if given and name in setting.placebos:
            yield here, f"recipe '{setting.recipe}' has what {name} would change; remove {name}"


def _layers(study: Study, setting: Setting, here: Location) -> Iterator[Mistake]:
    bias = setting.bias
    assert bias is not None
    known = study.models[setting.student].trackable()
    for index, layer in enumerate(bias.layers):
        if layer not in known:
            hint = nearest(layer, known)
            listed = f" (known: {', '.join(known)})" if hint.startswith("did you mean") else ""
            words = f"model '{setting.student}' has no layer '{layer}' with a matrix of weights"
            yield (*here, "layers", index), f"{words}; {hint}{listed}"
            continue
        centred = study.datasets[setting.dataset].centre == "pixel"
        if known[layer].first and not centred and not study.includes_mean(setting):
            yield (
                (*here, "layers", index),
                f"'{layer}' reads the images, whose mean would be the leading direction; "
                f"add centre: pixel to data set '{setting.dataset}'",
            )
        if not known[layer].first and not _same_model(study, setting):
            yield (
                (*here, "layers", index),
                f"'{layer}' reads activations, whose eigendirections are the trained teacher's: "
                f"teacher and student must be the same model; track a layer that reads the data",
            )


def _pairs(study: Study, name: str) -> Iterator[Mistake]:
    """Check that pairs can be counted against a tracked teacher."""
    setting, here = study.settings[name], ("settings", name, "bias", "pairs")
    bias = setting.bias
    assert bias is not None
    if bias.pairs is None:
        return
    if not isinstance(setting.teacher, str) or not _same_model(study, setting):
        yield (
            here,
            f"pairs compare the student with its teacher's own way, so both must be the same model "
            f"of this file, trained on labels; write teacher: {setting.student}, or remove pairs",
        )
    if setting.teacher_recipe not in (None, setting.recipe):
        yield (
            here,
            "pairs compare the student with a teacher of the same recipe; remove teacher_recipe, "
            "or pairs",
        )
    known, last = study.models[setting.student].trackable(), bias.pairs.bottom[1]
    for index, layer in enumerate(bias.layers):
        if layer not in known:
            continue  # said already
        if not known[layer].first:
            yield (
                ("settings", name, "bias", "layers", index),
                f"'{layer}' reads activations of the trained teacher, whose own way along them "
                f"cannot be tracked; track a layer that reads the data, or remove pairs",
            )
        elif (rank := _largest_rank(study, setting, known[layer])) < last:
            yield (
                (*here, "bottom"),
                f"the input of '{layer}' has {rank} directions at most; write a last rank up to "
                f"{rank} (now {last}), or pairs of another layer",
            )


def _largest_rank(study: Study, setting: Setting, layer: Layer) -> int:
    """Return the largest possible number of eigendirections of a layer's data."""
    data = sizes_of(study.datasets[setting.dataset], study.data_root)
    if layer.kernel is not None:
        return layer.kernel**2 * data.shape.inputs[-1]
    return min(math.prod(data.shape.inputs), data.train - 1)


def _same_model(study: Study, setting: Setting) -> bool:
    teacher = study.model_of_teacher(setting)
    return teacher is not None and study.models[teacher] == study.models[setting.student]


def _recipe(study: Study, name: str) -> Recipe:
    return study.recipes[study.settings[name].recipe]


OF_A_SETTING = (
    tokens_of_another, _chained, _share, _start, taught_mistakes, _bias, _controls, _teacher_seen,
    _classes_of_loss, _epochs_known, _over_training,
)  # fmt: skip
