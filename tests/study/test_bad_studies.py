"""Invalid study files, each a small change of a valid one, are refused with a helpful message.

Each case states the place (line and key) and the value to write instead. The full sentences are
in messages.txt, which ``pytest tests/study/test_bad_studies.py --update-messages`` rewrites.
"""

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from disobey.__main__ import main
from disobey.models.options import ModelOptions
from disobey.study.loader import load_study

DIGITS = "digits: {source: builtin, name: digits}"
NOISE = "label_noise: {rate: 0.2, seed: 7}"
TOKENIZER = "tokenizer: {vocabulary: 300, max_tokens: 16}"
MLP = "mlp: {family: mlp, hidden: [8]}"
RESNET = "stem: 4, widths: [8]"
ROBERTA = "hidden: 16, layers: 1, heads: 2"
SGD = "{optimizer: sgd, lr: 0.05, momentum: 0.9, epochs: 2}"
SELF = "  self:\n    dataset: noisy\n    teacher: mlp\n    student: mlp\n    recipe: image\n"
DISTILL = "distill: {temperature: 4, weight: 0.5}"
ANALYSIS = "analysis: {resamples: 100, seed: 0}"
FAMILIES = ", ".join(
    sorted(
        name
        for options in get_args(get_args(ModelOptions)[0])
        for name in get_args(options.model_fields["family"].annotation)
    )
)
COMPARED = (
    "{source: huggingface, dataset: digits, teachers: [{checkpoint: a/t}, {checkpoint: a/u}], "
    "students: [{checkpoint: a/r}, {checkpoint: a/s}]"
)

UNKNOWN_KEYS = [
    ("study: small", "study: small\nsedes: [0]", "2: sedes", "seeds"),
    ("study: small", "study: small\nworkers: 3", "2: workers", "seeds, settings, study, sweeps"),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, labelnoise: {rate: 0.1}}",
        "4: datasets.digits.labelnoise",
        "label_noise",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, tokenizer: {}}",
        "4: datasets.digits",
        "tokenizer",
    ),
    (DIGITS, "digits: {source: builtin, nmae: digits}", "4: datasets.digits.nmae", "name"),
    (NOISE, "label_noise: {rat: 0.2}", "8: datasets.noisy.label_noise.rat", "rate"),
    (
        TOKENIZER,
        "tokenizer:\n      vocabulary: 300\n      max_token: 16",
        "14: datasets.words.tokenizer.max_token",
        "max_tokens",
    ),
    (MLP, "mlp: {family: mlp, hiden: [8]}", "14: models.mlp.hiden", "hidden"),
    (MLP, "mlp: {familly: mlp, hidden: [8]}", "14: models.mlp.familly", "family"),
    (RESNET, "stem: 4, width: [8]", "16: models.resnet.width", "widths"),
    (ROBERTA, "hidden: 16, layers: 1, head: 2", "17: models.roberta.head", "heads"),
    (SGD, "{optimizer: sgd, lr: 0.05, epocs: 2}", "19: recipes.image.epocs", "epochs"),
    ("    dataset: noisy", "    datset: noisy", "23: settings.self.datset", "dataset"),
    (
        DISTILL,
        "distill: {temperature: 4, weigth: 0.5}",
        "27: settings.self.distill.weigth",
        "weight",
    ),
    (ANALYSIS, "analysis: {resample: 100}", "34: analysis.resample", "resamples"),
]

VIEWS = [
    (
        "digits: {source: builtin, name: digits}",
        "digits: {source: builtin, name: digits, augment: {}}",
        "4: datasets.digits.augment",
        "crop_padding: 4",
    ),
    (
        "distill: {temperature: 4, weight: 0.5}",
        "distill: {temperature: 4, weight: 0.5, teacher: views}",
        "27: settings.self.distill.teacher",
        "teacher",
    ),
    (
        "distill: {temperature: 4, weight: 0.5}",
        "distill: {temperature: 4, weight: 0.5, teacher: alive}",
        "27: settings.self.distill.teacher",
        "live",
    ),
    (ANALYSIS, "views: {dtype: float16}", "34: views", "views"),
    (
        "  words:\n    source: builtin\n    name: cldr-langid\n",
        "  words:\n    source: builtin\n    name: cldr-langid\n    augment: {flip: true}\n",
        "9: datasets.words",
        "augment",
    ),
    (
        "{family: small_resnet, stem: 4, widths: [8]}",
        "{family: cifar_resnet, depth: 18}",
        "16: models.resnet",
        "depth: 20",
    ),
]

HABITS = [
    ("weight: 0.5", "alpha: 0.5", "27: settings.self.distill.alpha", "weight"),
    ("temperature: 4", "T: 4", "27: settings.self.distill.T", "temperature"),
    ("lr: 0.05", "learning_rate: 0.05", "19: recipes.image.learning_rate", "lr"),
    ("lr: 0.05", "lr: 0.05, batch_size: 8", "19: recipes.image.batch_size", "batch"),
    ("rate: 0.2", "rate: 0.2, alpha: 1", "8: datasets.noisy.label_noise.alpha", "rate, seed"),
    ("seeds: [0, 1]", "seeds: 3", "2: seeds", "[0, 1, 2]"),
    ("seeds: [0, 1]", "seeds: 0", "2: seeds", "[0]"),
    ("seeds: [0, 1]", "seeds: 50", "2: seeds", "[0, 1, ..., 49]"),
    (NOISE, "label_noise: 0.4", "8: datasets.noisy.label_noise", "{rate: 0.4}"),
    (NOISE, "label_noise: true", "8: datasets.noisy.label_noise", "{rate: 0.2}"),
    (NOISE, "subset: 0.1", "8: datasets.noisy.subset", "{train: 5000}"),
    (NOISE, "subset: 100", "8: datasets.noisy.subset", "{train: 100}"),
    (NOISE, "subset: {train: 0.1}", "8: datasets.noisy.subset.train", "5000"),
    (NOISE, "augment: true", "8: datasets.noisy.augment", "{crop_padding: 4, flip: true}"),
    ("rate: 0.2", "rate: 20", "8: datasets.noisy.label_noise.rate", "0.2"),
    (DISTILL, "distill: -4", "27: settings.self.distill", "{temperature: 4}"),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: true}",
        "19: recipes.image.evaluate",
        "{points: 20}",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: {points: 1}}",
        "19: recipes.image.evaluate.points",
        "2",
    ),
    (DISTILL, "distill:", "27: settings.self.distill", "{temperature: 4}"),
    (
        "optimizer: sgd",
        "optimizer: [sgd, adamw]",
        "19: recipes.image.optimizer",
        "adam, adamw, sgd",
    ),
    (
        "    student: mlp",
        "    student: [mlp, wide]",
        "25: settings.self.student",
        "{student: ['mlp', 'wide']}",
    ),
    (MLP, "mlp: {family: mlp, hidden: [8, [16]]}", "14: models.mlp.hidden[1]", "16"),
    ("study: small", "study: [a, b]", "1: study", ""),
    (
        DIGITS,
        "digits: {source: builtin, name: cifar10}",
        "4: datasets.digits.name",
        "cldr-langid, digits, mnist5k, similar-classes",
    ),
]

WRONG_TYPES = [
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: two}", "19: recipes.image.epochs", ""),
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2.0}", "19: recipes.image.epochs", "2"),
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: 1.5}", "19: recipes.image.epochs", ""),
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: true}", "19: recipes.image.epochs", ""),
    (SGD, "{optimizer: sgd, lr: '0.05', epochs: 2}", "19: recipes.image.lr", ""),
    (SGD, "{optimizer: sgd, lr: fast, epochs: 2}", "19: recipes.image.lr", ""),
    (SGD, "{optimizer: sgd, lr: , epochs: 2}", "19: recipes.image.lr", ""),
    (SGD, "{optimizer: sgd, lr: [0.1, 0.2], epochs: 2}", "19: recipes.image.lr", ""),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, momentum: 0.9, epochs: 2, nesterov: 1}",
        "19: recipes.image.nesterov",
        "",
    ),
    (MLP, "mlp: {family: mlp, hidden: 8}", "14: models.mlp.hidden", "[8]"),
    (MLP, "mlp: {family: mlp, hidden: [8, wide]}", "14: models.mlp.hidden[1]", ""),
    (MLP, "mlp: {family: mlp, hidden: {first: 8}}", "14: models.mlp.hidden", ""),
    (MLP, "mlp: mlp", "14: models.mlp", ""),
    (DIGITS, "digits: [builtin, digits]", "4: datasets.digits", ""),
    (
        DIGITS,
        "digits: {source: builtin, name: [digits]}",
        "4: datasets.digits.name",
        "cldr-langid, digits, mnist5k, similar-classes",
    ),
    (NOISE, "label_noise: 0.2", "8: datasets.noisy.label_noise", "{rate: 0.2}"),
    (DISTILL, "distill: 4", "27: settings.self.distill", "{temperature: 4}"),
    (
        DISTILL,
        "distill: {temperature: [1, 2, 4]}",
        "27: settings.self.distill.temperature",
        "{distill.temperature: [1, 2, 4]}",
    ),
    ("    teacher: mlp", "    teacher: 3", "24: settings.self.teacher", ""),
    ("    teacher: mlp", "    teacher:", "24: settings.self.teacher", ""),
    ("study: small", "study: no", "1: study", ""),
    (ANALYSIS, "analysis: [100, 0]", "34: analysis", ""),
    (ANALYSIS, "analysis: {resamples: 1e3}", "34: analysis.resamples", "1000"),
]

KEYS = [
    ("seeds: [0, 1]", "seeds: [0, 1]\nseeds: [2]", "3: seeds", "line 2"),
    (
        "    recipe: image",
        "    recipe: image\n    recipe: text",
        "27: settings.self.recipe",
        "line 26",
    ),
    (
        DISTILL,
        "distill: {temperature: 4, temperature: 2}",
        "27: settings.self.distill.temperature",
        "line 27",
    ),
    (SGD, "{optimizer: sgd, lr: 0,05, epochs: 2}", "19: recipes.image.05", ""),
    ("  self:\n", "  no:\n", "22: settings.no", ""),
    ("  self:\n", "  [a, b]:\n", "22: settings", ""),
]

NAMES = [
    ("    dataset: noisy", "    dataset: nosy", "23: settings.self.dataset", "noisy"),
    (
        "    dataset: noisy",
        "    dataset: cifar100",
        "23: settings.self.dataset",
        "digits, noisy, words",
    ),
    ("    teacher: mlp", "    teacher: mpl", "24: settings.self.teacher", "mlp"),
    (
        "    student: mlp",
        "    student: vit",
        "25: settings.self.student",
        "mlp, resnet, roberta, wide",
    ),
    ("    recipe: image", "    recipe: images", "26: settings.self.recipe", "image"),
    (
        "    recipe: image",
        "    recipe: image\n    teacher_recipe: txt",
        "27: settings.self.teacher_recipe",
        "text",
    ),
    ("family: mlp, hidden: [8]", "family: vgg", "14: models.mlp.family", ""),
    ("family: small_resnet", "family: smallresnet", "16: models.resnet.family", "small_resnet"),
    (DIGITS, "digits: {source: hubs, name: digits}", "4: datasets.digits.source", "hub"),
    (
        DIGITS,
        "digits: {source: hub, path: digits, columns: {image: image}}",
        "4: datasets.digits.path",
        "",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: image, text: text}}",
        "4: datasets.digits.columns",
        "text: sentence",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {label: label}}",
        "4: datasets.digits.columns",
        "text: sentence",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a, text_pair: b}}",
        "4: datasets.digits.columns",
        "text: and",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a, label: a}}",
        "4: datasets.digits.columns",
        "",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a}, drop_empty: true}",
        "4: datasets.digits",
        "drop_empty",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a}, classes: [cat, cat]}",
        "4: datasets.digits",
        "",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: a}, classes: [cat, dog], "
        "first_classes: 3}",
        "4: datasets.digits",
        "up to 2",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: a}, size: 224, centre: pixel}",
        "4: datasets.digits",
        "centre",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: a}, size: 224, "
        "augment: {crop_padding: 17}}",
        "4: datasets.digits",
        "crop_padding: 16",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, subset: {seed: 1}}",
        "4: datasets.digits.subset",
        "train: 10000",
    ),
    ("study: small", "study: small\ndata_root: data", "2: data_root", ""),
    (DIGITS, "digits: {source: builtin, name: digit}", "4: datasets.digits.name", "digits"),
    ("optimizer: sgd", "optimizer: SGD", "19: recipes.image.optimizer", "sgd"),
    ("optimizer: sgd", "optimizer: rmsprop", "19: recipes.image.optimizer", "adam, adamw, sgd"),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 2, schedule: cosin}",
        "19: recipes.image.schedule",
        "cosine",
    ),
    (
        "study: small",
        "study: small\ndevice: gpu",  # the hint must not suggest the CPU to a user of a GPU
        "2: device",
        "auto, cpu, cuda",
    ),
    ("study: small", "study: small\ndevice: cpu\ngpus: 2", "3: gpus", "device: cuda"),
    ("study: small", "study: small\ngpus: 0", "2: gpus", "0"),
    ("study: small", "study: small\njobs_per_gpu: 3", "2: jobs_per_gpu", "1, 2, 4, 8"),
    (
        "study: small",
        "study: small\ndevice: cpu\njobs_per_gpu: 2",
        "3: jobs_per_gpu",
        "device: auto",
    ),
    ("study: small", "study: my study", "1: study", ""),
    ("study: small", "study: ../small", "1: study", ""),
    ("  self:\n", "  self/T4:\n", "22: settings.self/T4", ""),
    ("  self:\n", "  self T4:\n", "22: settings.self T4", ""),
    ("  wide: {", "  wi/de: {", "15: models.wi/de", ""),
    ("study: small", "study: " + 61 * "a", "1: study", "it"),
    ("study: small", "study: runs", "1: study", ""),
    (ANALYSIS, f"comparisons:\n  self: {COMPARED}}}\n{ANALYSIS}", "35: comparisons.self", "rename"),
    (
        ANALYSIS,
        f"comparisons:\n  new: {COMPARED}, splits: [test, test]}}\n{ANALYSIS}",
        "35: comparisons.new",
        "test, test",
    ),
]

VALUES = [
    ("temperature: 4", "temperature: 0", "27: settings.self.distill.temperature", "0"),
    ("temperature: 4", "temperature: -1", "27: settings.self.distill.temperature", "0"),
    ("temperature: 4", "temperature: .inf", "27: settings.self.distill.temperature", ""),
    ("temperature: 4", "temperature: .nan", "27: settings.self.distill.temperature", ""),
    ("weight: 0.5", "weight: 1.5", "27: settings.self.distill.weight", "1"),
    ("weight: 0.5", "weight: -0.1", "27: settings.self.distill.weight", "0"),
    ("seeds: [0, 1]", "seeds: []", "2: seeds", ""),
    ("seeds: [0, 1]", "seeds: [0, 1, 0]", "2: seeds", ""),
    ("seeds: [0, 1]", "seeds: [0, -1]", "2: seeds[1]", "0"),
    ("seeds: [0, 1]", "seeds:\n  - 0\n  - -1", "4: seeds[1]", "0"),
    ("seeds: [0, 1]", "seeds: '0'", "2: seeds", "[0]"),
    ("seeds: [0, 1]", "seeds: 0, 1", "2: seeds", "[0, 1]"),
    ("seeds: [0, 1]", "seeds: ['0']", "2: seeds[0]", ""),
    ("seeds: [0, 1]", "seeds: [0.5]", "2: seeds[0]", ""),
    ("seeds: [0, 1]", "seeds: [1000000]", "2: seeds[0]", "1000000"),
    ("epochs: 2", "epochs: 0", "19: recipes.image.epochs", "0"),
    ("lr: 0.05", "lr: 0", "19: recipes.image.lr", "0"),
    ("momentum: 0.9", "momentum: 1.5", "19: recipes.image.momentum", "1"),
    ("hidden: [8]", "hidden: [0]", "14: models.mlp.hidden[0]", "0"),
    ("widths: [8]", "widths: []", "16: models.resnet.widths", ""),
    ("rate: 0.2", "rate: 0", "8: datasets.noisy.label_noise.rate", "0"),
    ("rate: 0.2", "rate: 1", "8: datasets.noisy.label_noise.rate", "1"),
    ("rate: 0.2", "rate: 1.5", "8: datasets.noisy.label_noise.rate", "1"),
    ("vocabulary: 300", "vocabulary: 256", "12: datasets.words.tokenizer.vocabulary", "261"),
]


def lasts(words, key, value):
    """Return a recipe with these words for its length, and the key and value in its message."""
    return SGD, f"{{optimizer: sgd, lr: 0.05, {words}}}", f"19: recipes.image{key}", value


DURATIONS = [
    lasts("epochs: 2, steps: 25", "", "both epochs and steps"),
    lasts("batch: 8", "", "epochs: 200"),
    lasts("steps: 0", ".steps", "0"),
    lasts("steps: 25e3", ".steps", "25000"),
    lasts("epochs: 9, warmup: {epochs: 1, steps: 3}", ".warmup", "both epochs and steps"),
    lasts("epochs: 9, warmup: {}", ".warmup", "{epochs: 15}"),
    lasts("epochs: 9, warmup: {epoch: 1}", ".warmup.epoch", "epochs"),
    lasts("epochs: 9, warmup: {epochs: 0}", ".warmup.epochs", "0"),
    lasts("epochs: 9, warmup: {epochs: 0.5}", ".warmup.epochs", ""),
    lasts("epochs: 9, warmup: 15", ".warmup", "{epochs: 15}"),
    lasts("epochs: 9, warmup: 1.0", ".warmup", "1"),
    lasts("epochs: 9, warmup: long", ".warmup", ""),
    lasts("epochs: 9, warmup: '0.1'", ".warmup", ""),
    lasts("epochs: 9, warmup: [0.1]", ".warmup", "0.1"),
    lasts("epochs: 9, warmup: {epochs: 9}", "", "warmup"),
    lasts("steps: 1, warmup: {steps: 1000}", "", "warmup"),
    lasts("epochs: 9, schedule: one_cycle, warmup: {epochs: 2}", "", "warmup"),
    lasts("epochs: 9, milestones: {epochs: [2]}", "", "schedule: steps"),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [5], steps: [100]}",
        ".milestones",
        "both epochs and steps",
    ),
    lasts("epochs: 9, schedule: steps, milestones: {}", ".milestones", "{epochs: [100, 150]}"),
    lasts("epochs: 9, schedule: steps, milestones: {epochs: []}", ".milestones.epochs", ""),
    lasts("epochs: 9, schedule: steps, milestones: {epochs: 5}", ".milestones.epochs", "[5]"),
    lasts("epochs: 9, schedule: steps, milestones: [5, 7]", ".milestones", "{epochs: [5, 7]}"),
    lasts("epochs: 9, schedule: steps, milestones: [0.5, 7]", ".milestones[1]", "1"),
    lasts("epochs: 9, schedule: steps, milestones: [0.5, {epochs: 7}]", ".milestones[1]", ""),
    lasts("epochs: 9, schedule: steps, milestones: {epochs: [7, 5]}", "", ""),
    lasts("epochs: 9, schedule: steps, milestones: {steps: [500, 500]}", "", ""),
    lasts("epochs: 9, schedule: steps, milestones: {epochs: [5, 9]}", "", ""),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [2]}, warmup: {epochs: 2}", "", "warmup"
    ),
    lasts("epochs: 9, schedule: steps, milestones: [0.2], warmup: {epochs: 2}", "", "warmup"),
    lasts(
        "epochs: 9, schedule: steps, milestones: {steps: [500]}, warmup: {steps: 1000}",
        "",
        "warmup",
    ),
    lasts("steps: 90, schedule: steps, milestones: {steps: [20]}, warmup: 0.5", "", "warmup"),
]

SYNTHETIC = [
    (
        DIGITS,
        "digits: {source: builtin, name: digits, draw: {seed: 1}}",
        "4: datasets.digits",
        "draw",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: similar-classes, centre: pixel}",
        "4: datasets.digits",
        "centre",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: similar-classes, draw: {scaling: none}}",
        "4: datasets.digits.draw.scaling",
        "plain, relative",
    ),
    (
        DISTILL,
        f"{DISTILL}\n    controls: [half_lr]",
        "28: settings.self.controls",
        "evaluate: {points: 20}",
    ),
]

SWITCH = "distill: {temperature: 4, switch: {order: one_hot_first, "
HERE = "27: settings.self.distill.switch"
SWITCHES = [
    (DISTILL, f"{SWITCH}at: 0.9, ramp: 0.3}}}}", "27: settings.self.distill.switch", "ramp: 0.2"),
    (
        DISTILL,
        f"{SWITCH}at: 0.1, ramp: 0.3, unit: steps}}}}",
        "27: settings.self.distill.switch",
        "ramp: 0.2",
    ),
    (DISTILL, f"{SWITCH}at: 1, ramp: 0.3}}}}", "27: settings.self.distill.switch", "at: 0.85"),
    (DISTILL, f"{SWITCH}at: 15000, unit: steps}}}}", "27: settings.self.distill.switch.at", ""),
    (DISTILL, f"{SWITCH}at: 0.5, ramp: 600}}}}", "27: settings.self.distill.switch.ramp", ""),
    (
        DISTILL,
        f"{SWITCH}at: 0.5, unit: epochs}}}}",
        "27: settings.self.distill.switch.unit",
        "steps",
    ),
]

RELU = "features: {kind: random_relu}"
FEATURES = [
    (TOKENIZER, f"{TOKENIZER}\n    {RELU}", "9: datasets.words", "features"),
    (NOISE, f"{NOISE}\n    {RELU}\n    augment: {{flip: true}}", "5: datasets.noisy", "augment"),
    (NOISE, f"{NOISE}\n    {RELU}\n    centre: pixel", "5: datasets.noisy", "centre"),
    (NOISE, f"{NOISE}\n    features: {{number: 50}}", "9: datasets.noisy.features.kind", ""),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: image}, size: 224, "
        "features: {kind: random_relu}}",
        "4: datasets.digits",
        "size: 96",
    ),
    (
        NOISE,
        f"{NOISE}\n    features: {{kind: random_relu, number: 0}}",
        "9: datasets.noisy.features.number",
        "0",
    ),
]

MISFITS = [
    *SYNTHETIC,
    *FEATURES,
    *SWITCHES,
    (
        "    student: mlp",
        "    student: wide\n    initialisation: teacher",
        "26: settings.self.initialisation",
        "initialisation",
    ),
    (
        "analysis: {",
        "  next:\n    dataset: noisy\n    teacher: {setting: self}\n    student: mlp\n"
        "    recipe: image\n    initialisation: teacher\n    distill: {temperature: 4}\n"
        "analysis: {",
        "39: settings.next.initialisation",
        "initialisation",
    ),
    (
        "    student: mlp",
        "    student: mlp\n    initialisation: student",
        "26: settings.self.initialisation",
        "teacher",
    ),
    *(
        (
            "    student: mlp",
            f"    student: mlp\n    student_share: {share}",
            "26: settings.self.student_share",
            remedy,
        )
        for share, remedy in ((70, "0.7"), (0, "above 0"), (0.001, "0.01"), (0.9999, "0.99"))
    ),
    (
        "    distill: {temperature: 2}\n",
        "    distill: {temperature: 2}\n    student_share: 0.5\n  next:\n    dataset: words\n"
        "    teacher: {setting: langid}\n    student: roberta\n    recipe: text\n"
        "    distill: {temperature: 4}\n",
        "37: settings.next.teacher",
        "all examples",
    ),
    (
        "    dataset: words\n    teacher: roberta",
        "    dataset: words\n    teacher: mlp",
        "30: settings.langid.teacher",
        "roberta",
    ),
    ("    student: mlp", "    student: roberta", "25: settings.self.student", "mlp, wide, resnet"),
    (
        SGD,
        "{optimizer: adamw, lr: 0.05, momentum: 0.9, epochs: 2}",
        "19: recipes.image",
        "optimizer: sgd",
    ),
    (
        SGD,
        "{optimizer: adam, lr: 0.05, momentum: 0.9, nesterov: true, epochs: 2}",
        "19: recipes.image",
        "optimizer: sgd",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, nesterov: true, epochs: 2}",
        "19: recipes.image",
        "momentum: 0.9",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, milestones: [0.5], epochs: 2}",
        "19: recipes.image",
        "schedule: steps",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, epochs: 2}",
        "19: recipes.image",
        "milestones: [0.5, 0.75]",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [], epochs: 2}",
        "19: recipes.image.milestones",
        "",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [0.5, 1.0], epochs: 2}",
        "19: recipes.image.milestones[1]",
        "1",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [0.75, 0.5], epochs: 2}",
        "19: recipes.image",
        "",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: one_cycle, warmup: 0.1, epochs: 2}",
        "19: recipes.image",
        "warmup",
    ),
    *DURATIONS,
    ("heads: 2", "heads: 3", "17: models.roberta", "hidden: 15"),
    (
        "recipes:\n",
        "recipes:\n  worse: 5\n  odd: {base: worse, optimizer: sgd, lr: 0.1, epochs: 2}\n",
        "19: recipes.worse",
        "mapping",
    ),
]

MISSING = [
    ("study: small\n", "", "1: study", "study: first"),
    ("seeds: [0, 1]\n", "", "1: seeds", "seeds: [0, 1, 2]"),
    ("    recipe: image\n", "", "22: settings.self.recipe", ""),
    (f"    {DISTILL}\n", "", "22: settings.self.distill", "distill: {temperature: 4}"),
    (DISTILL, "distill: {weight: 0.5}", "27: settings.self.distill.temperature", "temperature: 4"),
    (MLP, "mlp: {hidden: [8]}", "14: models.mlp.family", ""),
    ("source: builtin, name: digits", "name: digits", "4: datasets.digits.source", ""),
    (SGD, "{lr: 0.05, epochs: 2}", "19: recipes.image.optimizer", "optimizer: sgd"),
    (NOISE, "label_noise: {seed: 7}", "8: datasets.noisy.label_noise.rate", "rate: 0.2"),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits}",
        "4: datasets.digits.columns",
        "columns: {image: img, label: label}",
    ),
]

EDITS = [*UNKNOWN_KEYS, *HABITS, *VIEWS, *WRONG_TYPES, *KEYS, *NAMES, *VALUES, *MISFITS, *MISSING]

NOT_STUDIES = [
    ("", "1", ""),
    ("# nothing yet\n", "1", ""),
    ("- a\n", "1", ""),
    ("hello\n", "1", ""),
    ("study: a\n\tseeds: [0]\n", "2", ""),
    ("study: a\nseeds:\n\t- 0\n", "3", ""),
    ("study: a\n  seeds: [0]\n", "2", ""),
    ("study: [a\nseeds: [0]\n", "2", ""),
    ("study: 'a\nseeds: [0]\n", "3", ""),
    ("study: @a\n", "1", ""),
    ("study: a\n---\nstudy: b\n", "2", ""),
    ("study: !!python/name:os.system x\n", "1", ""),
    ("study: a\nseeds: !!int x\n", "2: seeds", ""),
    ("study: *a\n", "1", ""),
    ("study: a\nseeds: \x00\n", "2", ""),
]


def names_of(cases, edited=1):
    """Return an id for each case: its wrong or its missing text."""
    return [" ".join((case[edited] or f"without {case[0]}").split()) for case in cases]


@pytest.fixture
def refused(capsys, message):
    """Return a function that checks the place, the suggested value and the message of a refusal."""

    def check(path, place, value):
        said = refusal(path, capsys).removeprefix(f"{path}:")
        assert said.startswith(f"{place}: " if place else " ")
        assert value in said
        message(said)

    return check


def refusal(path, capsys):
    """Return the message of ``python -m disobey plan`` for a file that it must refuse."""
    assert main(["plan", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.rstrip("\n")


@pytest.mark.parametrize(("old", "new", "place", "value"), EDITS, ids=names_of(EDITS))
def test_mistake_is_refused_with_place_and_remedy(study_file, refused, old, new, place, value):
    refused(study_file((old, new)), place, value)


def test_models_of_channels_need_features(study_file, refused):
    model = f"{MLP}\n  channels: {{family: channel_linear}}"
    path = study_file((MLP, model), ("    student: mlp", "    student: channels"))
    refused(path, "26: settings.self.student", "mlp, wide, resnet")


def test_a_model_of_channels_has_no_layer_to_track(study_file, refused):
    """The weights of different classes read different channels."""
    edits = [
        (DIGITS, "digits: {source: builtin, name: similar-classes}"),
        (MLP, f"{MLP}\n  channels: {{family: channel_linear}}"),
        (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2}"),
        (
            f"{SELF}    {DISTILL}",
            SELF.replace("noisy", "digits").replace("mlp", "channels")
            + f"    {DISTILL}\n    bias: {{layers: [classifier]}}",
        ),
    ]
    refused(study_file(*edits), "29: settings.self.bias.layers[0]", "there are none")


def test_random_features_need_a_model_of_features(study_file, refused):
    features, model = f"{NOISE}\n    {RELU}", f"{MLP}\n  channels: {{family: channel_linear}}"
    path = study_file((NOISE, features), ("    student: mlp", "    student: resnet"))
    refused(path, "26: settings.self.student", "mlp, wide")
    change = "    student: mlp", "    student: channels"
    path = study_file((NOISE, features), (MLP, model), change)
    refused(path, "27: settings.self.student", "")


def test_a_control_that_is_the_student_itself_is_refused(study_file, refused):
    recipe = "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: {points: 2}}"
    setting = "distill: {temperature: 1}\n    controls: [student_at_1]"
    path = study_file((SGD, recipe), (DISTILL, setting))
    refused(path, "28: settings.self.controls", "")


@pytest.mark.parametrize(
    ("option", "control"),
    [("label_smoothing: 0.1", "label_smoothing"), ("one_hot_temperature: 2", "one_hot_at_T")],
)
def test_a_control_that_the_recipe_is_already_is_refused(study_file, refused, option, control):
    recipe = f"{{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: {{points: 2}}, {option}}}"
    path = study_file((SGD, recipe), (DISTILL, f"{DISTILL}\n    controls: [half_lr, {control}]"))
    refused(path, "28: settings.self.controls", f"remove {control}")


def test_a_bias_has_placebos_of_its_own(study_file, refused):
    more = "\n    bias: {layers: [hidden_1], placebos: [half_lr]}\n    controls: [half_lr]"
    path = study_file(
        (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2}"),
        (NOISE, f"{NOISE}\n    centre: pixel"),
        (DISTILL, f"{DISTILL}{more}"),
    )
    refused(path, "30: settings.self.controls", "controls")


@pytest.mark.parametrize("large", ["family: mobilenet_v2", "family: resnet, depth: 18"])
def test_images_too_small_for_a_model_are_refused_before_they_are_read(study_file, refused, large):
    def edited(options):
        model = f"{MLP}\n  large: {{{options}}}"
        return study_file((MLP, model), ("    student: mlp", "    student: large"))

    path = edited(large)
    refused(path, "26: settings.self.student", "small_images: true")
    load_study(edited(f"{large}, small_images: true"))


@pytest.mark.parametrize(("text", "place", "value"), NOT_STUDIES, ids=names_of(NOT_STUDIES, 0))
def test_file_that_is_no_study_is_refused(study_file, refused, text, place, value):
    refused(study_file(text=text), place, value)


def test_anchor_that_holds_itself_is_refused(study_file, refused):
    refused(study_file(text="study: &a [*a]\n"), "", "(*name)")


def test_missing_file_is_named(tmp_path, refused):
    refused(tmp_path / "none.yaml", "", "No such file or directory")


def test_folder_is_no_study(tmp_path, refused):
    refused(tmp_path, "", "Is a directory")


def test_text_of_another_encoding_is_refused_with_its_line(tmp_path, refused):
    path = tmp_path / "latin1.yaml"
    path.write_bytes("# first\nstudy: café\n".encode("latin-1"))
    refused(path, "2", "")


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(study_file, capsys):
    path = study_file(
        ("temperature: 4", "temperature: 0"),
        (SGD, "{optimizer: sgd, lr: -1, epocs: 0, batch: 1.5}"),
        ("seeds: [0, 1]", "sedes: [0, 1]\nworkers: 3"),
        (ANALYSIS, "analysis: {resamples: 1}\ndevice: gpu"),
    )
    lines = refusal(path, capsys).splitlines()
    assert [line.removeprefix(f"{path}:").split(": ")[:2] for line in lines] == [
        ["2", "sedes"],
        ["3", "workers"],
        ["20", "recipes.image.epocs"],
        ["20", "recipes.image.lr"],
        ["20", "recipes.image.batch"],
        ["28", "settings.self.distill.temperature"],
        ["35", "analysis.resamples"],
        ["36", "device"],
    ]


@pytest.mark.parametrize(
    ("option", "value"), [("batch: 1", "gpus: 2"), ("compile: true", "gpus: 1")]
)
def test_a_recipe_that_two_gpus_cannot_share_is_refused(study_file, refused, option, value):
    path = study_file(
        ("study: small", "study: small\ngpus: 2"), ("lr: 1e-3", f"lr: 1e-3, {option}")
    )
    refused(path, f"21: recipes.text.{option.partition(':')[0]}", value)


GRAPH = "{optimizer: sgd, lr: 0.05, epochs: 2, cuda_graph: true}"
LARGE = "    source: hub\n    path: a/b\n    columns: {image: a}\n    size: 224\n"


@pytest.mark.parametrize(
    ("edits", "place", "value"),
    [
        (
            [(SGD, GRAPH), ("study: small", "study: small\ndevice: cpu")],
            "20: recipes.image.cuda_graph",
            "device: auto",
        ),
        (
            [(SGD, GRAPH), ("study: small", "study: small\ngpus: 2")],
            "20: recipes.image.cuda_graph",
            "gpus: 1",
        ),
        ([(SGD, GRAPH.replace("}", ", compile: true}"))], "19: recipes.image", "compile"),
        ([("lr: 1e-3", "lr: 1e-3, cuda_graph: true")], "32: settings.langid.recipe", "recipe"),
        (
            [
                (SGD, GRAPH),
                ("    source: builtin\n    name: digits\n    label", f"{LARGE}    label"),
            ],
            "28: settings.self.recipe",
            "recipe",
        ),
    ],
    ids=["cpu", "gpus", "compile", "text", "encoded"],
)
def test_a_cuda_graph_is_refused_where_it_cannot_be(refused, study_file, edits, place, value):
    refused(study_file(*edits), place, value)


def test_both_misfits_of_a_setting_are_named(study_file, capsys):
    path = study_file(("    dataset: noisy", "    dataset: words"))
    lines = refusal(path, capsys).splitlines()
    assert [line.removeprefix(f"{path}:").split(": ")[:2] for line in lines] == [
        ["24", "settings.self.teacher"],
        ["25", "settings.self.student"],
    ]


def test_command_line_exits_2_without_a_traceback(study_file):
    path = study_file(("epochs: 2", "epocs: 2"))
    done = subprocess.run(
        [sys.executable, "-m", "disobey", "plan", path], capture_output=True, text=True
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{path}:19: recipes.image.epocs: ") and "'epochs'" in line


@pytest.mark.parametrize(
    ("train", "value"),
    [
        ("none.csv", "/none.csv"),
        ("no*.csv", "/no*.csv"),
        ("some.txt", ".parquet, .csv, .jsonl, .json, .npz"),
        ("[some.csv, some.npz]", "csv and npz"),
        ("[some.csv, s*.csv]", "given twice"),
        ("empty", "empty"),
        ("[empty, other]", "one folder"),
        ("''", "must not be empty"),
    ],
)
def test_files_that_are_not_there_or_of_no_known_format_are_refused(
    train, value, tmp_path, monkeypatch, study_file, capsys, message
):
    monkeypatch.chdir(tmp_path)
    for name in ("some.csv", "some.npz", "some.txt"):
        (tmp_path / name).touch()
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    files = f"mine: {{source: files, name: w, train: {train}, test: {train}, columns: "
    edits = (
        ("study: small", "study: small\ndata_root: ."),
        (DIGITS, f"{DIGITS}\n  {files}{{text: a}}}}"),
    )
    path = study_file(*edits)
    lines = refusal(path, capsys).splitlines()
    said = lines[0].replace(str(tmp_path), "FOLDER")
    assert said.startswith("FOLDER/study.yaml:6: datasets.mine.train: ") and value in said
    message(said)


def test_steps_where_only_the_data_tell_the_number_of_epochs_are_refused(study_file, refused):
    unknown = "{source: hub, path: a/b, columns: {image: a}, augment: {flip: true}}"
    steps = "{optimizer: sgd, lr: 0.1, steps: 40}"
    setting = "{dataset: unknown, teacher: mlp, student: mlp, recipe: steps, distill: "
    edits = [
        (DIGITS, f"{DIGITS}\n  unknown: {unknown}"),
        ("recipes:\n", f"recipes:\n  steps: {steps}\n"),
        ("settings:\n", f"settings:\n  new: {setting}{{temperature: 4}}}}\n"),
    ]
    refused(study_file(*edits), "24: settings.new.recipe", "subset: {train: ...}")
    drawn = unknown.replace("augment", "subset: {train: 100}, augment")
    assert load_study(study_file((DIGITS, f"{DIGITS}\n  unknown: {drawn}"), *edits[1:]))


@pytest.mark.parametrize("more", ["", "classes: [a, b, c]", "subset: {train: 2000}"])
def test_a_share_is_not_refused_by_a_guess(study_file, refused, more):
    """Guessed numbers of rows or classes do not count; numbers given in the study do."""

    def file(more):
        hub = f"hub: {{source: hub, path: a/b, columns: {{image: a}}, {more}}}"
        new = (
            "new: {dataset: hub, teacher: mlp, student: mlp, recipe: image, student_share: 0.00001"
        )
        setting = f"settings:\n  {new}, distill: {{temperature: 4}}}}\n"
        return study_file((DIGITS, f"{DIGITS}\n  {hub}"), ("settings:\n", setting))

    assert load_study(file(more))
    both = file("classes: [a, b, c], subset: {train: 2000}")
    refused(both, "23: settings.new.student_share", "write 0.01 or more")


def test_arrays_cannot_be_cut_to_a_size_that_stays_encoded(
    tmp_path, monkeypatch, study_file, capsys
):
    monkeypatch.chdir(tmp_path)
    np.savez("some.npz", image=np.zeros((4, 8, 8), np.uint8), label=[0, 1, 0, 1])
    files = "source: files, name: m, train: some.npz, test: some.npz, columns: {image: image}"

    def file(size):
        return study_file((DIGITS, f"{DIGITS}\n  mine: {{{files}, size: {size}}}"))

    assert "datasets.mine.size: images above 96 pixels" in refusal(file(224), capsys)
    assert load_study(file(64))


@pytest.mark.parametrize("name", ["some.npz", "some.parquet"])
def test_a_damaged_file_is_refused_in_words(name, tmp_path, monkeypatch, study_file, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"PAR1xx")
    mine = f"{{source: files, name: m, train: {name}, test: {name}, columns: {{text: a}}}}"
    lines = refusal(study_file((DIGITS, f"{DIGITS}\n  mine: {mine}")), capsys)
    assert f"datasets.mine.train: {name}: cannot be read as {name[5:]}: " in lines
