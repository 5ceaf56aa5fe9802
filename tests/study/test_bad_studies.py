"""Bad study files, each a small change of a good one, and the message that each must give."""

import subprocess
import sys

import pytest

from disobey.__main__ import main

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
        "2: workers: unknown key 'workers'; known: analysis, datasets, device, models, recipes, "
        "seeds, settings, study, sweeps, views",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, labelnoise: {rate: 0.1}}",
        "4: datasets.digits.labelnoise: unknown key 'labelnoise'; did you mean 'label_noise'?",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digits, tokenizer: {}}",
        "4: datasets.digits.tokenizer: unknown key 'tokenizer'; known: augment, centre, "
        "label_noise, name, source",
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
        "12: datasets.words.augment: unknown key 'augment'; known: label_noise, name, source, "
        "tokenizer",
    ),
    (
        "{family: small_resnet, stem: 4, widths: [8]}",
        "{family: cifar_resnet, depth: 18}",
        "16: models.resnet: depth must be 6n + 2, got 18; write depth: 20",
    ),
]

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
        "19: recipes.image.lr: must be a number, got a list",
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
        "4: datasets.digits.name: must be one of cldr-langid, digits, mnist5k; got a list",
    ),
    (
        NOISE,
        "label_noise: 0.2",
        "8: datasets.noisy.label_noise: must be a mapping of keys to values, got 0.2",
    ),
    (
        DISTILL,
        "distill: 4",
        "27: settings.self.distill: must be a mapping of keys to values, got 4",
    ),
    (
        DISTILL,
        "distill: {temperature: [1, 2, 4]}",
        "27: settings.self.distill.temperature: must be a number, got a list",
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
        "14: models.mlp.family: unknown value 'vgg'; known: cifar_resnet, mlp, "
        "mobilenet_v2, pretrained, resnet, roberta, small_resnet",
    ),
    (
        "family: small_resnet",
        "family: smallresnet",
        "16: models.resnet.family: unknown value 'smallresnet'; did you mean 'small_resnet'? "
        "(known: cifar_resnet, mlp, mobilenet_v2, pretrained, resnet, roberta, small_resnet)",
    ),
    (
        DIGITS,
        "digits: {source: hub, name: digits}",
        "4: datasets.digits.source: unknown value 'hub'; known: builtin",
    ),
    (
        DIGITS,
        "digits: {source: builtin, name: digit}",
        "4: datasets.digits.name: unknown value 'digit'; did you mean 'digits'? "
        "(known: cldr-langid, digits, mnist5k)",
    ),
    (
        "optimizer: sgd",
        "optimizer: SGD",
        "19: recipes.image.optimizer: unknown value 'SGD'; did you mean 'sgd'? (known: adamw, sgd)",
    ),
    (
        "optimizer: sgd",
        "optimizer: rmsprop",
        "19: recipes.image.optimizer: unknown value 'rmsprop'; known: adamw, sgd",
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
    ("hidden: [8]", "hidden: []", "14: models.mlp.hidden: must not be empty"),
    ("rate: 0.2", "rate: 0", "8: datasets.noisy.label_noise.rate: must be above 0, got 0"),
    ("rate: 0.2", "rate: 1", "8: datasets.noisy.label_noise.rate: must be below 1, got 1"),
    ("rate: 0.2", "rate: 1.5", "8: datasets.noisy.label_noise.rate: must be below 1, got 1.5"),
    (
        "vocabulary: 300",
        "vocabulary: 256",
        "12: datasets.words.tokenizer.vocabulary: must be at least 261, got 256",
    ),
]

MISFITS = [
    (
        "    dataset: words\n    teacher: roberta",
        "    dataset: words\n    teacher: mlp",
        "30: settings.langid.teacher: model 'mlp' reads images, but data set 'words' holds text; "
        "models that read text: roberta",
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
    (
        "heads: 2",
        "heads: 3",
        "17: models.roberta: hidden (16) must be a multiple of heads (3); write hidden: 15",
    ),
]

MISSING = [
    ("study: small\n", "", "1: study: is missing"),
    ("seeds: [0, 1]\n", "", "1: seeds: is missing"),
    ("    recipe: image\n", "", "22: settings.self.recipe: is missing"),
    (f"    {DISTILL}\n", "", "22: settings.self.distill: is missing"),
    (DISTILL, "distill: {weight: 0.5}", "27: settings.self.distill.temperature: is missing"),
    (MLP, "mlp: {hidden: [8]}", "14: models.mlp.family: is missing"),
    ("source: builtin, name: digits", "name: digits", "4: datasets.digits.source: is missing"),
    (SGD, "{lr: 0.05, epochs: 2}", "19: recipes.image.optimizer: is missing"),
    (NOISE, "label_noise: {seed: 7}", "8: datasets.noisy.label_noise.rate: is missing"),
]

EDITS = [*UNKNOWN_KEYS, *VIEWS, *WRONG_TYPES, *KEYS, *NAMES, *VALUES, *MISFITS, *MISSING]

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
