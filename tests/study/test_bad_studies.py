"""Bad study files, each a small change of a good one, and the message that each must give."""

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
NAME = "may hold only letters, digits, '_', '.' and '-', a letter or digit first; rename it"

UNKNOWN_KEYS = [
    (
        "study: small",
        "study: small\nsedes: [0]",
        "2: sedes: unknown key 'sedes'; did you mean 'seeds'?",
    ),
    (
        "study: small",
        "study: small\nworkers: 3",
        "2: workers: unknown key 'workers'; known: analysis, comparisons, data_root, datasets, "
        "device, gpus, jobs_per_gpu, models, recipes, seeds, settings, study, sweeps, teachers, "
        "views",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, labelnoise: {rate: 0.1}}",
        "4: datasets.digits.labelnoise: unknown key 'labelnoise'; did you mean 'label_noise'?",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, tokenizer: {}}",
        "4: datasets.digits: holds no text: tokenizer would have no effect; remove it",
    ),
    (
        DIGITS,
        "digits: {source: builtin, nmae: digits}",
        "4: datasets.digits.nmae: unknown key 'nmae'; did you mean 'name'?",
    ),
    (
        NOISE,
        "label_noise: {rat: 0.2}",
        "8: datasets.noisy.label_noise.rat: unknown key 'rat'; did you mean 'rate'?",
    ),
    (
        TOKENIZER,
        "tokenizer:\n      vocabulary: 300\n      max_token: 16",
        "14: datasets.words.tokenizer.max_token: unknown key 'max_token'; "
        "did you mean 'max_tokens'?",
    ),
    (
        MLP,
        "mlp: {family: mlp, hiden: [8]}",
        "14: models.mlp.hiden: unknown key 'hiden'; did you mean 'hidden'?",
    ),
    (
        MLP,
        "mlp: {familly: mlp, hidden: [8]}",
        "14: models.mlp.familly: unknown key 'familly'; did you mean 'family'?",
    ),
    (
        RESNET,
        "stem: 4, width: [8]",
        "16: models.resnet.width: unknown key 'width'; did you mean 'widths'?",
    ),
    (
        ROBERTA,
        "hidden: 16, layers: 1, head: 2",
        "17: models.roberta.head: unknown key 'head'; did you mean 'heads'?",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epocs: 2}",
        "19: recipes.image.epocs: unknown key 'epocs'; did you mean 'epochs'?",
    ),
    (
        "    dataset: noisy",
        "    datset: noisy",
        "23: settings.self.datset: unknown key 'datset'; did you mean 'dataset'?",
    ),
    (
        DISTILL,
        "distill: {temperature: 4, weigth: 0.5}",
        "27: settings.self.distill.weigth: unknown key 'weigth'; did you mean 'weight'?",
    ),
    (
        ANALYSIS,
        "analysis: {resample: 100}",
        "34: analysis.resample: unknown key 'resample'; did you mean 'resamples'?",
    ),
]

VIEWS = [
    (
        "digits: {source: builtin, name: digits}",
        "digits: {source: builtin, name: digits, augment: {}}",
        "4: datasets.digits.augment: has no effect; write crop_padding: 4, or flip: true, or "
        "remove it",
    ),
    (
        "distill: {temperature: 4, weight: 0.5}",
        "distill: {temperature: 4, weight: 0.5, teacher: views}",
        "27: settings.self.distill.teacher: data set 'noisy' is not augmented: the teacher's "
        "logits on its one view are stored anyway; remove teacher, or add augment to the data set",
    ),
    (
        "distill: {temperature: 4, weight: 0.5}",
        "distill: {temperature: 4, weight: 0.5, teacher: alive}",
        "27: settings.self.distill.teacher: unknown value 'alive'; did you mean 'live'? (known: "
        "auto, live, views)",
    ),
    (
        ANALYSIS,
        "views: {dtype: float16}",
        "34: views: has no effect: no data set of this file has augment; remove views, or add "
        "augment",
    ),
    (
        "  words:\n    source: builtin\n    name: cldr-langid\n",
        "  words:\n    source: builtin\n    name: cldr-langid\n    augment: {flip: true}\n",
        "9: datasets.words: holds no images: augment would have no effect; remove it",
    ),
    (
        "{family: small_resnet, stem: 4, widths: [8]}",
        "{family: cifar_resnet, depth: 18}",
        "16: models.resnet: depth must be 6n + 2, got 18; write depth: 20",
    ),
]

HABITS = [
    ("weight: 0.5", "alpha: 0.5", "27: settings.self.distill.alpha: unknown key 'alpha'; "
     "did you mean 'weight'?"),
    ("temperature: 4", "T: 4", "27: settings.self.distill.T: unknown key 'T'; "
     "did you mean 'temperature'?"),
    ("lr: 0.05", "learning_rate: 0.05", "19: recipes.image.learning_rate: unknown key "
     "'learning_rate'; did you mean 'lr'?"),
    ("lr: 0.05", "lr: 0.05, batch_size: 8", "19: recipes.image.batch_size: unknown key "
     "'batch_size'; did you mean 'batch'?"),
    ("rate: 0.2", "rate: 0.2, alpha: 1", "8: datasets.noisy.label_noise.alpha: unknown key "
     "'alpha'; known: rate, seed"),  # where no weight is known, none is offered
    ("seeds: [0, 1]", "seeds: 3", "2: seeds: must be a list, got 3; write [0, 1, 2]"),
    ("seeds: [0, 1]", "seeds: 0", "2: seeds: must be a list, got 0; write [0]"),
    ("seeds: [0, 1]", "seeds: 50", "2: seeds: must be a list, got 50; write [0, 1, ..., 49]"),
    (NOISE, "label_noise: 0.4", "8: datasets.noisy.label_noise: must be a mapping of keys to "
     "values, got 0.4; write {rate: 0.4}"),
    (NOISE, "label_noise: true", "8: datasets.noisy.label_noise: must be a mapping of keys to "
     "values, got true; write {rate: 0.2}"),
    (NOISE, "subset: 0.1", "8: datasets.noisy.subset: must be a mapping of keys to values, "
     "got 0.1; write a number of rows: {train: 5000}"),
    (NOISE, "subset: 100", "8: datasets.noisy.subset: must be a mapping of keys to values, "
     "got 100; write a number of rows: {train: 100}"),
    (NOISE, "subset: {train: 0.1}", "8: datasets.noisy.subset.train: must be a whole number, "
     "got 0.1; write a number of rows: 5000"),
    (NOISE, "augment: true", "8: datasets.noisy.augment: must be a mapping of keys to values, "
     "got true; write {crop_padding: 4, flip: true}"),
    ("rate: 0.2", "rate: 20", "8: datasets.noisy.label_noise.rate: must be below 1, got 20; "
     "write 20 % as a share: 0.2"),
    (DISTILL, "distill: -4", "27: settings.self.distill: must be a mapping of keys to values, "
     "got -4; write {temperature: 4}"),
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: true}", "19: recipes.image.evaluate: "
     "must be a mapping of keys to values, got true; write {points: 20}"),
    (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: {points: 1}}", "19: recipes.image."
     "evaluate.points: must be at least 2, got 1"),
    (DISTILL, "distill:", "27: settings.self.distill: must be a mapping of keys to values, "
     "got nothing; write {temperature: 4}"),
    ("optimizer: sgd", "optimizer: [sgd, adamw]", "19: recipes.image.optimizer: must be one of "
     "adam, adamw, sgd; got a list; to compare several, add a second recipe and use sweeps"),
    ("    student: mlp", "    student: [mlp, wide]", "25: settings.self.student: must be a word, "
     "got a list; to compare several, use sweeps, with vary: {student: ['mlp', 'wide']}"),
    (MLP, "mlp: {family: mlp, hidden: [8, [16]]}", "14: models.mlp.hidden[1]: must be a whole "
     "number, got a list; write 16"),
    ("study: small", "study: [a, b]", "1: study: must be a word, got a list"),
    (DIGITS, "digits: {source: builtin, name: cifar10}", "4: datasets.digits.name: unknown value "
     "'cifar10'; known: cldr-langid, digits, mnist5k, similar-classes; for others: source: hub"),
]  # fmt: skip

WRONG_TYPES = [
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: two}",
        "19: recipes.image.epochs: must be a whole number, got 'two'",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 2.0}",
        "19: recipes.image.epochs: must be a whole number, got 2.0; write 2",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 1.5}",
        "19: recipes.image.epochs: must be a whole number, got 1.5",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: true}",
        "19: recipes.image.epochs: must be a whole number, got true",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: '0.05', epochs: 2}",
        "19: recipes.image.lr: must be a number, got '0.05'; remove the quotes",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: fast, epochs: 2}",
        "19: recipes.image.lr: must be a number, got 'fast'",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: , epochs: 2}",
        "19: recipes.image.lr: must be a number, got nothing",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: [0.1, 0.2], epochs: 2}",
        "19: recipes.image.lr: must be a number, got a list; to compare several, add a second "
        "recipe and use sweeps",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, momentum: 0.9, epochs: 2, nesterov: 1}",
        "19: recipes.image.nesterov: must be true or false, got 1",
    ),
    (
        MLP,
        "mlp: {family: mlp, hidden: 8}",
        "14: models.mlp.hidden: must be a list, got 8; write [8]",
    ),
    (
        MLP,
        "mlp: {family: mlp, hidden: [8, wide]}",
        "14: models.mlp.hidden[1]: must be a whole number, got 'wide'",
    ),
    (
        MLP,
        "mlp: {family: mlp, hidden: {first: 8}}",
        "14: models.mlp.hidden: must be a list, got a mapping",
    ),
    (MLP, "mlp: mlp", "14: models.mlp: must be a mapping of keys to values, got 'mlp'"),
    (
        DIGITS,
        "digits: [builtin, digits]",
        "4: datasets.digits: must be a mapping of keys to values, got a list",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: [digits]}",
        "4: datasets.digits.name: must be one of cldr-langid, digits, mnist5k, similar-classes; "
        "got a list; write 'digits'",
    ),
    (
        NOISE,
        "label_noise: 0.2",
        "8: datasets.noisy.label_noise: must be a mapping of keys to values, got 0.2; "
        "write {rate: 0.2}",
    ),
    (
        DISTILL,
        "distill: 4",
        "27: settings.self.distill: must be a mapping of keys to values, got 4; "
        "write {temperature: 4}",
    ),
    (
        DISTILL,
        "distill: {temperature: [1, 2, 4]}",
        "27: settings.self.distill.temperature: must be a number, got a list; to compare several, "
        "use sweeps, with vary: {distill.temperature: [1, 2, 4]}",
    ),
    (
        "    teacher: mlp",
        "    teacher: 3",
        "24: settings.self.teacher: must be a word, got 3; put it in quotes",
    ),
    ("    teacher: mlp", "    teacher:", "24: settings.self.teacher: must be a word, got nothing"),
    ("study: small", "study: no", "1: study: must be a word, got false; put it in quotes"),
    (
        ANALYSIS,
        "analysis: [100, 0]",
        "34: analysis: must be a mapping of keys to values, got a list",
    ),
    (
        ANALYSIS,
        "analysis: {resamples: 1e3}",
        "34: analysis.resamples: must be a whole number, got 1000.0; write 1000",
    ),
]

KEYS = [
    (
        "seeds: [0, 1]",
        "seeds: [0, 1]\nseeds: [2]",
        "3: seeds: is given twice, first on line 2; remove or rename one of them",
    ),
    (
        "    recipe: image",
        "    recipe: image\n    recipe: text",
        "27: settings.self.recipe: is given twice, first on line 26; remove or rename one of them",
    ),
    (
        DISTILL,
        "distill: {temperature: 4, temperature: 2}",
        "27: settings.self.distill.temperature: is given twice, first on line 27; "
        "remove or rename one of them",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0,05, epochs: 2}",
        "19: recipes.image.05: the key 05 is read as a number, not as a word; "
        "put it in quotes, or write decimals with a point",
    ),
    (
        "  self:\n",
        "  no:\n",
        "22: settings.no: the key no is read as true or false, not as a word; put it in quotes",
    ),
    ("  self:\n", "  [a, b]:\n", "22: settings: a key must be a plain word"),
]

NAMES = [
    (
        "    dataset: noisy",
        "    dataset: nosy",
        "23: settings.self.dataset: there is no dataset 'nosy'; did you mean 'noisy'?",
    ),
    (
        "    dataset: noisy",
        "    dataset: cifar100",
        "23: settings.self.dataset: there is no dataset 'cifar100'; known: digits, noisy, words",
    ),
    (
        "    teacher: mlp",
        "    teacher: mpl",
        "24: settings.self.teacher: there is no model 'mpl'; did you mean 'mlp'?",
    ),
    (
        "    student: mlp",
        "    student: vit",
        "25: settings.self.student: there is no model 'vit'; known: mlp, resnet, roberta, wide",
    ),
    (
        "    recipe: image",
        "    recipe: images",
        "26: settings.self.recipe: there is no recipe 'images'; did you mean 'image'?",
    ),
    (
        "    recipe: image",
        "    recipe: image\n    teacher_recipe: txt",
        "27: settings.self.teacher_recipe: there is no recipe 'txt'; did you mean 'text'?",
    ),
    (
        "family: mlp, hidden: [8]",
        "family: vgg",
        f"14: models.mlp.family: unknown value 'vgg'; known: {FAMILIES}",
    ),
    (
        "family: small_resnet",
        "family: smallresnet",
        "16: models.resnet.family: unknown value 'smallresnet'; did you mean 'small_resnet'? "
        f"(known: {FAMILIES})",
    ),
    (
        DIGITS,
        "digits: {source: hubs, name: digits}",
        "4: datasets.digits.source: unknown value 'hubs'; did you mean 'hub'? (known: builtin, "
        "files, hub)",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: digits, columns: {image: image}}",
        "4: datasets.digits.path: 'digits' is no repository; write owner/name",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: image, text: text}}",
        "4: datasets.digits.columns: must name one of image and text; for example text: sentence",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {label: label}}",
        "4: datasets.digits.columns: must name one of image and text; for example text: sentence",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a, text_pair: b}}",
        "4: datasets.digits.columns: text_pair stands beside text; add text: and the first "
        "sentence's",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a, label: a}}",
        "4: datasets.digits.columns: column 'a' is named twice; each column has one meaning",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a}, drop_empty: true}",
        "4: datasets.digits: holds no text: drop_empty would have no effect; remove it",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits, columns: {image: a}, classes: [cat, cat]}",
        "4: datasets.digits: classes must differ, got cat, cat",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: a}, size: 224, centre: pixel}",
        "4: datasets.digits: centre: pixel needs all images in memory, those of more than 96 "
        "pixels stay encoded; remove centre, or write size: 64",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: a}, size: 224, "
        "augment: {crop_padding: 17}}",
        "4: datasets.digits: crop_padding: 17 is more than the margin of these images, 16 pixels; "
        "write crop_padding: 16",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, subset: {seed: 1}}",
        "4: datasets.digits.subset: has no effect; write train: 10000, or test: 1000, or remove it",
    ),
    (
        "study: small",
        "study: small\ndata_root: data",
        "2: data_root: has no effect: no data set has source: files, no comparison or teacher "
        "source: logits; remove it",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digit}",
        "4: datasets.digits.name: unknown value 'digit'; did you mean 'digits'? "
        "(known: cldr-langid, digits, mnist5k, similar-classes); for others: source: hub",
    ),
    (
        "optimizer: sgd",
        "optimizer: SGD",
        "19: recipes.image.optimizer: unknown value 'SGD'; did you mean 'sgd'? (known: adam, "
        "adamw, sgd)",
    ),
    (
        "optimizer: sgd",
        "optimizer: rmsprop",
        "19: recipes.image.optimizer: unknown value 'rmsprop'; known: adam, adamw, sgd",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, epochs: 2, schedule: cosin}",
        "19: recipes.image.schedule: unknown value 'cosin'; did you mean 'cosine'? "
        "(known: constant, cosine, linear, one_cycle, steps)",
    ),
    (
        "study: small",
        "study: small\ndevice: gpu",  # the hint must not send a GPU's user to the CPU
        "2: device: unknown value 'gpu'; known: auto, cpu, cuda",
    ),
    (
        "study: small",
        "study: small\ndevice: cpu\ngpus: 2",
        "3: gpus: 2, but device is cpu: a training on the CPU is one process; remove gpus, or "
        "write device: cuda",
    ),
    ("study: small", "study: small\ngpus: 0", "2: gpus: must be above 0, got 0"),
    (
        "study: small",
        "study: small\njobs_per_gpu: 3",
        "2: jobs_per_gpu: must be one of 1, 2, 4, 8; got 3",
    ),
    (
        "study: small",
        "study: small\ndevice: cpu\njobs_per_gpu: 2",
        "3: jobs_per_gpu: has no effect on the CPU; remove it, or write device: auto",
    ),
    ("study: small", "study: my study", f"1: study: 'my study' {NAME}"),
    ("study: small", "study: ../small", f"1: study: '../small' {NAME}"),
    ("  self:\n", "  self/T4:\n", f"22: settings.self/T4: 'self/T4' {NAME}"),
    ("  self:\n", "  self T4:\n", f"22: settings.self T4: 'self T4' {NAME}"),
    ("  wide: {", "  wi/de: {", f"15: models.wi/de: 'wi/de' {NAME}"),
    ("study: small", "study: " + 61 * "a", "1: study: is longer than 60 characters; shorten it"),
    (
        "study: small",
        "study: runs",
        "1: study: 'runs' is a folder of results/ already; choose another name",
    ),
]

VALUES = [
    (
        "temperature: 4",
        "temperature: 0",
        "27: settings.self.distill.temperature: must be above 0, got 0",
    ),
    (
        "temperature: 4",
        "temperature: -1",
        "27: settings.self.distill.temperature: must be above 0, got -1",
    ),
    (
        "temperature: 4",
        "temperature: .inf",
        "27: settings.self.distill.temperature: must be a finite number, got .inf",
    ),
    (
        "temperature: 4",
        "temperature: .nan",
        "27: settings.self.distill.temperature: must be a finite number, got .nan",
    ),
    ("weight: 0.5", "weight: 1.5", "27: settings.self.distill.weight: must be at most 1, got 1.5"),
    (
        "weight: 0.5",
        "weight: -0.1",
        "27: settings.self.distill.weight: must be at least 0, got -0.1",
    ),
    ("seeds: [0, 1]", "seeds: []", "2: seeds: must not be empty"),
    ("seeds: [0, 1]", "seeds: [0, 1, 0]", "2: seeds: 0 is repeated; each seed once"),
    ("seeds: [0, 1]", "seeds: [0, -1]", "2: seeds[1]: must be at least 0, got -1"),
    ("seeds: [0, 1]", "seeds:\n  - 0\n  - -1", "4: seeds[1]: must be at least 0, got -1"),
    ("seeds: [0, 1]", "seeds: '0'", "2: seeds: must be a list, got '0'; write [0]"),
    ("seeds: [0, 1]", "seeds: 0, 1", "2: seeds: must be a list, got '0, 1'; write [0, 1]"),
    (
        "seeds: [0, 1]",
        "seeds: ['0']",
        "2: seeds[0]: must be a whole number, got '0'; remove the quotes",
    ),
    ("seeds: [0, 1]", "seeds: [0.5]", "2: seeds[0]: must be a whole number, got 0.5"),
    ("seeds: [0, 1]", "seeds: [1000000]", "2: seeds[0]: must be below 1000000, got 1000000"),
    ("epochs: 2", "epochs: 0", "19: recipes.image.epochs: must be above 0, got 0"),
    ("lr: 0.05", "lr: 0", "19: recipes.image.lr: must be above 0, got 0"),
    ("momentum: 0.9", "momentum: 1.5", "19: recipes.image.momentum: must be at most 1, got 1.5"),
    ("hidden: [8]", "hidden: [0]", "14: models.mlp.hidden[0]: must be above 0, got 0"),
    ("widths: [8]", "widths: []", "16: models.resnet.widths: must not be empty"),
    ("rate: 0.2", "rate: 0", "8: datasets.noisy.label_noise.rate: must be above 0, got 0"),
    ("rate: 0.2", "rate: 1", "8: datasets.noisy.label_noise.rate: must be below 1, got 1"),
    ("rate: 0.2", "rate: 1.5", "8: datasets.noisy.label_noise.rate: must be below 1, got 1.5"),
    (
        "vocabulary: 300",
        "vocabulary: 256",
        "12: datasets.words.tokenizer.vocabulary: must be at least 261, got 256",
    ),
]


def lasts(words, message, image="19: recipes.image"):
    """Return a recipe that lasts so long, and what is said of it."""
    return SGD, f"{{optimizer: sgd, lr: 0.05, {words}}}", f"{image}{message}"


DURATIONS = [
    lasts("epochs: 2, steps: 25", ": both epochs and steps are given; remove one of them"),
    lasts(
        "batch: 8",
        ": neither epochs nor steps are given; write epochs: 200, or steps: 25000",
    ),
    lasts("steps: 0", ".steps: must be above 0, got 0"),
    lasts("steps: 25e3", ".steps: must be a whole number, got 25000.0; write 25000"),
    lasts(
        "epochs: 9, warmup: {epochs: 1, steps: 3}",
        ".warmup: both epochs and steps are given; remove one of them",
    ),
    lasts(
        "epochs: 9, warmup: {}",
        ".warmup: neither epochs nor steps are given; write {epochs: 15}, or {steps: 1000}",
    ),
    lasts(
        "epochs: 9, warmup: {epoch: 1}",
        ".warmup.epoch: unknown key 'epoch'; did you mean 'epochs'?",
    ),
    lasts("epochs: 9, warmup: {epochs: 0}", ".warmup.epochs: must be above 0, got 0"),
    lasts("epochs: 9, warmup: {epochs: 0.5}", ".warmup.epochs: must be a whole number, got 0.5"),
    lasts(
        "epochs: 9, warmup: 15",
        ".warmup: without a unit it is a share of all steps, below 1; got 15: write "
        "{epochs: 15}, or {steps: 15}",
    ),
    lasts("epochs: 9, warmup: 1.0", ".warmup: must be below 1, got 1.0"),
    lasts("epochs: 9, warmup: long", ".warmup: must be a number, got 'long'"),
    lasts("epochs: 9, warmup: '0.1'", ".warmup: must be a number, got '0.1'; remove the quotes"),
    lasts("epochs: 9, warmup: [0.1]", ".warmup: must be a number, got a list; write 0.1"),
    lasts(
        "epochs: 9, warmup: {epochs: 9}",
        ": a warm-up of 9 epochs leaves nothing of a training of 9 epochs; shorten warmup, or "
        "write more epochs",
    ),
    lasts(
        "steps: 1, warmup: {steps: 1000}",
        ": a warm-up of 1000 steps leaves nothing of a training of 1 step; shorten warmup, or "
        "write more steps",
    ),
    lasts(
        "epochs: 9, schedule: one_cycle, warmup: {epochs: 2}",
        ": schedule one_cycle has its own warm-up; remove warmup",
    ),
    lasts(
        "epochs: 9, milestones: {epochs: [2]}",
        ": schedule cosine has no milestones; remove milestones, or write schedule: steps",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [5], steps: [100]}",
        ".milestones: both epochs and steps are given; remove one of them",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {}",
        ".milestones: neither epochs nor steps are given; write {epochs: [100, 150]}, or "
        "{steps: [10000, 15000]}",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: []}",
        ".milestones.epochs: must not be empty",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: 5}",
        ".milestones.epochs: must be a list, got 5; write [5]",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: [5, 7]",
        ".milestones: without a unit it is a share of all steps, below 1; got [5, 7]: write "
        "{epochs: [5, 7]}, or {steps: [5, 7]}",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: [0.5, 7]",
        ".milestones[1]: must be below 1, got 7",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: [0.5, {epochs: 7}]",
        ".milestones[1]: must be a number, got a mapping",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [7, 5]}",
        ": milestones must rise, got [7, 5]",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {steps: [500, 500]}",
        ": milestones must rise, got [500, 500]",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [5, 9]}",
        ": the milestone at 9 epochs does not lie inside of a training of 9 epochs; remove it, or "
        "write more epochs",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {epochs: [2]}, warmup: {epochs: 2}",
        ": the milestone at 2 epochs does not lie behind the warm-up of 2 epochs; write a later "
        "one, or shorten warmup",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: [0.2], warmup: {epochs: 2}",
        ": the milestone at 0.2 of all steps does not lie behind the warm-up of 2 epochs; write a "
        "later one, or shorten warmup",
    ),
    lasts(
        "epochs: 9, schedule: steps, milestones: {steps: [500]}, warmup: {steps: 1000}",
        ": the milestone at 500 steps does not lie behind the warm-up of 1000 steps; write a "
        "later one, or shorten warmup",
    ),
    lasts(
        "steps: 90, schedule: steps, milestones: {steps: [20]}, warmup: 0.5",
        ": the milestone at 20 steps does not lie behind the warm-up of 0.5 of all steps; write a "
        "later one, or shorten warmup",
    ),
]

SYNTHETIC = [
    (
        DIGITS,
        "digits: {source: builtin, name: digits, draw: {seed: 1}}",
        "4: datasets.digits: digits is not drawn: draw would have no effect; remove it",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: similar-classes, centre: pixel}",
        "4: datasets.digits: holds no images: centre would have no effect; remove it",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: similar-classes, draw: {scaling: none}}",
        "4: datasets.digits.draw.scaling: unknown value 'none'; known: plain, relative",
    ),
    (
        DISTILL,
        f"{DISTILL}\n    controls: [half_lr]",
        "28: settings.self.controls: nothing is measured that they could be held against; add "
        "evaluate: {points: 20} to recipe 'image', or remove controls",
    ),
]

SWITCH = "distill: {temperature: 4, switch: {order: one_hot_first, "
HERE = "27: settings.self.distill.switch"
SWITCHES = [
    (
        DISTILL,
        f"{SWITCH}at: 0.9, ramp: 0.3}}}}",
        f"{HERE}: a change from 0.75 to 1.05 is not inside the training, 0 to 1; write ramp: 0.2, "
        "or less",
    ),
    (
        DISTILL,
        f"{SWITCH}at: 0.1, ramp: 0.3, unit: steps}}}}",
        f"{HERE}: a change from -0.05 to 0.25 is not inside the training, 0 to 1; write ramp: 0.2, "
        "or less",
    ),
    (
        DISTILL,
        f"{SWITCH}at: 1, ramp: 0.3}}}}",
        f"{HERE}: a change from 0.85 to 1.15 is not inside the training, 0 to 1; write at: 0.85, "
        "or less, or remove ramp",
    ),
    (
        DISTILL,
        f"{SWITCH}at: 15000, unit: steps}}}}",
        f"{HERE}.at: is a share of the training, 0 to 1, got 15000; for a step write its share "
        "of all steps, such as 0.5, and unit: steps",
    ),
    (
        DISTILL,
        f"{SWITCH}at: 0.5, ramp: 600}}}}",
        f"{HERE}.ramp: is a share of the training, 0 to 1, got 600; for a step write its share "
        "of all steps, such as 0.5, and unit: steps",
    ),
    (
        DISTILL,
        f"{SWITCH}at: 0.5, unit: epochs}}}}",
        f"{HERE}.unit: unknown value 'epochs'; known: steps",
    ),
]

RELU = "features: {kind: random_relu}"
FEATURES = [
    (
        TOKENIZER,
        f"{TOKENIZER}\n    {RELU}",
        "9: datasets.words: holds text, and random features are of numbers; remove features",
    ),
    (
        NOISE,
        f"{NOISE}\n    {RELU}\n    augment: {{flip: true}}",
        "5: datasets.noisy: features are computed once, of each image as it is: remove augment, "
        "or features",
    ),
    (
        NOISE,
        f"{NOISE}\n    {RELU}\n    centre: pixel",
        "5: datasets.noisy: features are of images that are not centred: remove centre, or "
        "features",
    ),
    (
        NOISE,
        f"{NOISE}\n    features: {{number: 50}}",
        "9: datasets.noisy.features.kind: is missing",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/b, columns: {image: image}, size: 224, "
        "features: {kind: random_relu}}",
        "4: datasets.digits: features are of images up to 96 pixels; write size: 96, or less",
    ),
    (
        NOISE,
        f"{NOISE}\n    features: {{kind: random_relu, number: 0}}",
        "9: datasets.noisy.features.number: must be above 0, got 0",
    ),
]

MISFITS = [
    *SYNTHETIC,
    *FEATURES,
    *SWITCHES,
    (
        "    student: mlp",
        "    student: wide\n    initialisation: teacher",
        "26: settings.self.initialisation: teacher 'mlp' and student 'wide' differ in their "
        "weights; write teacher: wide, or remove initialisation",
    ),
    (
        "analysis: {",
        "  next:\n    dataset: noisy\n    teacher: {setting: self}\n    student: mlp\n"
        "    recipe: image\n    initialisation: teacher\n    distill: {temperature: 4}\n"
        "analysis: {",
        "39: settings.next.initialisation: the teacher is the student of setting 'self', with "
        "its own start; write a model as teacher, or remove initialisation",
    ),
    (
        "    student: mlp",
        "    student: mlp\n    initialisation: student",
        "26: settings.self.initialisation: unknown value 'student'; known: teacher",
    ),
    (
        "    dataset: words\n    teacher: roberta",
        "    dataset: words\n    teacher: mlp",
        "30: settings.langid.teacher: model 'mlp' reads images or features, but data set 'words' "
        "holds text; models that read text: roberta",
    ),
    (
        "    student: mlp",
        "    student: roberta",
        "25: settings.self.student: model 'roberta' reads text, but data set 'noisy' holds images; "
        "models that read images: mlp, wide, resnet",
    ),
    (
        SGD,
        "{optimizer: adamw, lr: 0.05, momentum: 0.9, epochs: 2}",
        "19: recipes.image: optimizer adamw has no momentum; "
        "remove momentum, or write optimizer: sgd",
    ),
    (
        SGD,
        "{optimizer: adam, lr: 0.05, momentum: 0.9, nesterov: true, epochs: 2}",
        "19: recipes.image: optimizer adam has no momentum and no nesterov; "
        "remove momentum and nesterov, or write optimizer: sgd",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, nesterov: true, epochs: 2}",
        "19: recipes.image: nesterov needs momentum above 0; add momentum: 0.9",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, milestones: [0.5], epochs: 2}",
        "19: recipes.image: schedule cosine has no milestones; "
        "remove milestones, or write schedule: steps",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, epochs: 2}",
        "19: recipes.image: schedule steps needs milestones; add milestones: [0.5, 0.75]",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [], epochs: 2}",
        "19: recipes.image.milestones: must not be empty",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [0.5, 1.0], epochs: 2}",
        "19: recipes.image.milestones[1]: must be below 1, got 1.0",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: steps, milestones: [0.75, 0.5], epochs: 2}",
        "19: recipes.image: milestones must rise, got [0.75, 0.5]",
    ),
    (
        SGD,
        "{optimizer: sgd, lr: 0.05, schedule: one_cycle, warmup: 0.1, epochs: 2}",
        "19: recipes.image: schedule one_cycle has its own warm-up; remove warmup",
    ),
    *DURATIONS,
    (
        "heads: 2",
        "heads: 3",
        "17: models.roberta: hidden (16) must be a multiple of heads (3); write hidden: 15",
    ),
]

MISSING = [
    ("study: small\n", "", "1: study: is missing; for example study: first"),
    ("seeds: [0, 1]\n", "", "1: seeds: is missing; for example seeds: [0, 1, 2]"),
    ("    recipe: image\n", "", "22: settings.self.recipe: is missing"),
    (
        f"    {DISTILL}\n",
        "",
        "22: settings.self.distill: is missing; for example distill: {temperature: 4}",
    ),
    (
        DISTILL,
        "distill: {weight: 0.5}",
        "27: settings.self.distill.temperature: is missing; for example temperature: 4",
    ),
    (MLP, "mlp: {hidden: [8]}", "14: models.mlp.family: is missing"),
    ("source: builtin, name: digits", "name: digits", "4: datasets.digits.source: is missing"),
    (
        SGD,
        "{lr: 0.05, epochs: 2}",
        "19: recipes.image.optimizer: is missing; for example optimizer: sgd",
    ),
    (
        NOISE,
        "label_noise: {seed: 7}",
        "8: datasets.noisy.label_noise.rate: is missing; for example rate: 0.2",
    ),
    (
        DIGITS,
        "digits: {source: hub, path: a/digits}",
        "4: datasets.digits.columns: is missing; for example columns: {image: img, label: label}",
    ),
]

EDITS = [*UNKNOWN_KEYS, *HABITS, *VIEWS, *WRONG_TYPES, *KEYS, *NAMES, *VALUES, *MISFITS, *MISSING]

NOT_STUDIES = [
    ("", "1: is empty; start from a copy of config.yaml"),
    ("# nothing yet\n", "1: is empty; start from a copy of config.yaml"),
    (
        "- a\n",
        "1: a study file must be a mapping of keys to values, got a list; "
        "start from a copy of config.yaml",
    ),
    (
        "hello\n",
        "1: a study file must be a mapping of keys to values, got 'hello'; "
        "start from a copy of config.yaml",
    ),
    ("study: a\n\tseeds: [0]\n", "2: is not YAML: a tab; indent with spaces"),
    ("study: a\nseeds:\n\t- 0\n", "3: is not YAML: a tab; indent with spaces"),
    (
        "study: a\n  seeds: [0]\n",
        "2: is not YAML: a ':' too many; check the indentation, or put the text in quotes",
    ),
    (
        "study: [a\nseeds: [0]\n",
        "2: is not YAML: a comma, or the bracket or brace that closes the one above, is missing",
    ),
    (
        "study: 'a\nseeds: [0]\n",
        "3: is not YAML: a quote, a bracket or a brace is opened and never closed",
    ),
    (
        "study: @a\n",
        "1: is not YAML: a word may not begin with this character; put it in quotes",
    ),
    (
        "study: a\n---\nstudy: b\n",
        "2: is not YAML: a second document begins with '---'; one file is one study",
    ),
    (
        "study: !!python/name:os.system x\n",
        "1: is not YAML: a tag (a word that begins with '!'); remove it",
    ),
    ("study: a\nseeds: !!int x\n", "2: seeds: 'x' is no int; remove the tag !!int"),
    ("study: *a\n", "1: is not YAML: an alias (*name) needs its anchor (&name) further up"),
    ("study: a\nseeds: \x00\n", "2: is not text: holds the control character 0x00; delete it"),
]


def refusal(path, capsys):
    """Return what ``python -m disobey plan`` says of a file that it must refuse."""
    assert main(["plan", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.rstrip("\n")


@pytest.mark.parametrize(("old", "new", "message"), EDITS)
def test_mistake_is_refused_with_place_and_remedy(study_file, capsys, old, new, message):
    path = study_file((old, new))
    assert refusal(path, capsys) == f"{path}:{message}"


def test_models_of_channels_need_features(study_file, capsys):
    model = f"{MLP}\n  channels: {{family: channel_linear}}"
    path = study_file((MLP, model), ("    student: mlp", "    student: channels"))
    assert refusal(path, capsys) == (
        f"{path}:26: settings.self.student: model 'channels' reads features, but data set 'noisy' "
        f"holds images; models that read images: mlp, wide, resnet"
    )


def test_random_features_need_a_model_of_features(study_file, capsys):
    features, model = f"{NOISE}\n    {RELU}", f"{MLP}\n  channels: {{family: channel_linear}}"
    path = study_file((NOISE, features), ("    student: mlp", "    student: resnet"))
    assert refusal(path, capsys) == (
        f"{path}:26: settings.self.student: model 'resnet' reads images, but data set 'noisy' "
        f"holds features; models that read features: mlp, wide"
    )
    change = "    student: mlp", "    student: channels"
    path = study_file((NOISE, features), (MLP, model), change)
    assert refusal(path, capsys) == (
        f"{path}:27: settings.self.student: model 'channels' reads a channel of each class, which "
        f"random features of data set 'noisy' do not have; write a model of family mlp, with "
        f"hidden: []"
    )


def test_a_control_that_is_the_student_itself_is_refused(study_file, capsys):
    recipe = "{optimizer: sgd, lr: 0.05, epochs: 2, evaluate: {points: 2}}"
    setting = "distill: {temperature: 1}\n    controls: [student_at_1]"
    path = study_file((SGD, recipe), (DISTILL, setting))
    assert refusal(path, capsys) == (
        f"{path}:28: settings.self.controls: the student is at temperature 1 itself; remove "
        f"student_at_1"
    )


def test_a_bias_has_placebos_of_its_own(study_file, capsys):
    more = "\n    bias: {layers: [hidden_1], placebos: [half_lr]}\n    controls: [half_lr]"
    path = study_file(
        (SGD, "{optimizer: sgd, lr: 0.05, epochs: 2}"),
        (NOISE, f"{NOISE}\n    centre: pixel"),
        (DISTILL, f"{DISTILL}{more}"),
    )
    assert refusal(path, capsys) == (
        f"{path}:30: settings.self.controls: has a bias, whose own placebos are its controls; name "
        f"them in bias: {{placebos: []}}, and remove controls"
    )


@pytest.mark.parametrize("large", ["family: mobilenet_v2", "family: resnet, depth: 18"])
def test_images_too_small_for_a_model_are_refused_before_they_are_read(study_file, capsys, large):
    def edited(options):
        model = f"{MLP}\n  large: {{{options}}}"
        return study_file((MLP, model), ("    student: mlp", "    student: large"))

    path = edited(large)
    assert refusal(path, capsys) == (
        f"{path}:26: settings.self.student: model 'large', data set 'noisy': images of 8 x 8 "
        f"pixels shrink to a single one before its last stage; write small_images: true in the "
        f"model"
    )
    load_study(edited(f"{large}, small_images: true"))


@pytest.mark.parametrize(("text", "message"), NOT_STUDIES)
def test_file_that_is_no_study_is_refused(study_file, capsys, text, message):
    path = study_file(text=text)
    assert refusal(path, capsys) == f"{path}:{message}"


def test_anchor_that_holds_itself_is_refused(study_file, capsys):
    path = study_file(text="study: &a [*a]\n")
    assert refusal(path, capsys) == (
        f"{path}: is nested too deeply; does an anchor (&name) hold its own alias (*name)?"
    )


def test_missing_file_is_named(tmp_path, capsys):
    path = tmp_path / "none.yaml"
    assert refusal(path, capsys) == f"{path}: cannot be read: No such file or directory"


def test_folder_is_no_study(tmp_path, capsys):
    assert refusal(tmp_path, capsys) == f"{tmp_path}: cannot be read: Is a directory"


def test_text_of_another_encoding_is_refused_with_its_line(tmp_path, capsys):
    path = tmp_path / "latin1.yaml"
    path.write_bytes("# first\nstudy: café\n".encode("latin-1"))
    assert refusal(path, capsys) == f"{path}:2: is not UTF-8 text; save the file in UTF-8"


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
    ("option", "message"),
    [
        ("batch: 1", "batch: 1 cannot be shared out to gpus: 2; write a larger one"),
        (
            "compile: true",
            "compile: is of a training on one GPU; remove it, or write gpus: 1 (now 2)",
        ),
    ],
)
def test_a_recipe_that_two_gpus_cannot_share_is_refused(study_file, capsys, option, message):
    path = study_file(
        ("study: small", "study: small\ngpus: 2"), ("lr: 1e-3", f"lr: 1e-3, {option}")
    )
    assert refusal(path, capsys) == f"{path}:21: recipes.text.{message}"


GRAPH = "{optimizer: sgd, lr: 0.05, epochs: 2, cuda_graph: true}"
LARGE = "    source: hub\n    path: a/b\n    columns: {image: a}\n    size: 224\n"


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            [(SGD, GRAPH), ("study: small", "study: small\ndevice: cpu")],
            "20: recipes.image.cuda_graph: has no effect on the CPU; remove it, or write "
            "device: auto",
        ),
        (
            [(SGD, GRAPH), ("study: small", "study: small\ngpus: 2")],
            "20: recipes.image.cuda_graph: is of a training on one GPU; remove it, or write "
            "gpus: 1 (now 2)",
        ),
        (
            [(SGD, GRAPH.replace("}", ", compile: true}"))],
            "19: recipes.image: compile and cuda_graph do not go together; remove one of them",
        ),
        (
            [("lr: 1e-3", "lr: 1e-3, cuda_graph: true")],
            "32: settings.langid.recipe: has cuda_graph, but batches of text are made by the host; "
            "write a recipe without it",
        ),
        (
            [
                (SGD, GRAPH),
                ("    source: builtin\n    name: digits\n    label", f"{LARGE}    label"),
            ],
            "28: settings.self.recipe: has cuda_graph, but batches of images that stay encoded are "
            "made by the host; write a recipe without it",
        ),
    ],
    ids=["cpu", "gpus", "compile", "text", "encoded"],
)
def test_a_cuda_graph_is_refused_where_it_cannot_be(study_file, capsys, edits, message):
    path = study_file(*edits)
    assert f"{path}:{message}" in refusal(path, capsys).splitlines()


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
    assert done.stderr == (
        f"{path}:19: recipes.image.epocs: unknown key 'epocs'; did you mean 'epochs'?\n"
    )


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("none.csv", "there is no file {folder}/none.csv (data_root is .); correct the path"),
        ("no*.csv", "there is no file {folder}/no*.csv (data_root is .); correct the path"),
        (
            "some.txt",
            "some.txt: what format is this? Files end in .parquet, .csv, .jsonl, .json, .npz, or "
            "name a folder of images",
        ),
        ("[some.csv, some.npz]", "files of one format are needed, got csv and npz"),
        ("empty", "empty holds no images in folders, one for each class"),
    ],
)
def test_files_that_are_not_there_or_of_no_known_format_are_refused(
    train, message, tmp_path, monkeypatch, study_file, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("some.csv", "some.npz", "some.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    files = f"mine: {{source: files, name: w, train: {train}, test: {train}, columns: "
    edits = (
        ("study: small", "study: small\ndata_root: ."),
        (DIGITS, f"{DIGITS}\n  {files}{{text: a}}}}"),
    )
    path = study_file(*edits)
    lines = refusal(path, capsys).splitlines()
    wanted = message.format(folder=tmp_path)
    assert lines[0] == f"{path}:6: datasets.mine.train: {wanted}"


def test_steps_where_only_the_data_tell_the_number_of_epochs_are_refused(study_file, capsys):
    unknown = "{source: hub, path: a/b, columns: {image: a}, augment: {flip: true}}"
    steps = "{optimizer: sgd, lr: 0.1, steps: 40}"
    setting = "{dataset: unknown, teacher: mlp, student: mlp, recipe: steps, distill: "
    edits = [
        (DIGITS, f"{DIGITS}\n  unknown: {unknown}"),
        ("recipes:\n", f"recipes:\n  steps: {steps}\n"),
        ("settings:\n", f"settings:\n  new: {setting}{{temperature: 4}}}}\n"),
    ]
    line = refusal(study_file(*edits), capsys).partition(": ")[2]
    assert line == (
        "settings.new.recipe: recipe 'steps' says steps, and how many epochs they are (views of "
        "the teacher) is known only once data set 'unknown' is read; write epochs, or give the "
        "data set subset: {train: ...}"
    )
    drawn = unknown.replace("augment", "subset: {train: 100}, augment")
    assert load_study(study_file((DIGITS, f"{DIGITS}\n  unknown: {drawn}"), *edits[1:]))


def test_arrays_cannot_be_cut_to_a_size_that_stays_encoded(
    tmp_path, monkeypatch, study_file, capsys
):
    monkeypatch.chdir(tmp_path)
    np.savez("some.npz", image=np.zeros((4, 8, 8), np.uint8), label=[0, 1, 0, 1])
    files = "source: files, name: m, train: some.npz, test: some.npz, columns: {image: image}"

    def file(size):
        return study_file((DIGITS, f"{DIGITS}\n  mine: {{{files}, size: {size}}}"))

    assert "datasets.mine.size: is of images that stay encoded" in refusal(file(224), capsys)
    assert load_study(file(64))


@pytest.mark.parametrize("name", ["some.npz", "some.parquet"])
def test_a_damaged_file_is_refused_in_words(name, tmp_path, monkeypatch, study_file, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"PAR1xx")
    mine = f"{{source: files, name: m, train: {name}, test: {name}, columns: {{text: a}}}}"
    lines = refusal(study_file((DIGITS, f"{DIGITS}\n  mine: {mine}")), capsys)
    assert f"datasets.mine.train: {name}: cannot be read as {name[5:]}: " in lines
