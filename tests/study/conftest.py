"""A small valid study, which tests change by replacing pieces of its text."""

import re
from pathlib import Path

import pytest

from disobey.study.loader import load_study

BASE = """\
study: small
seeds: [0, 1]
datasets:
  digits: {source: builtin, name: digits}
  noisy:
    source: builtin
    name: digits
    label_noise: {rate: 0.2, seed: 7}
  words:
    source: builtin
    name: cldr-langid
    tokenizer: {vocabulary: 300, max_tokens: 16}
models:
  mlp: {family: mlp, hidden: [8]}
  wide: {family: mlp, hidden: [16]}
  resnet: {family: small_resnet, stem: 4, widths: [8]}
  roberta: {family: roberta, hidden: 16, layers: 1, heads: 2}
recipes:
  image: {optimizer: sgd, lr: 0.05, momentum: 0.9, epochs: 2}
  text: {optimizer: adamw, lr: 1e-3, epochs: 1}
settings:
  self:
    dataset: noisy
    teacher: mlp
    student: mlp
    recipe: image
    distill: {temperature: 4, weight: 0.5}
  langid:
    dataset: words
    teacher: roberta
    student: roberta
    recipe: text
    distill: {temperature: 2}
analysis: {resamples: 100, seed: 0}
"""


MESSAGES = Path(__file__).with_name("messages.txt")


@pytest.fixture(scope="session")
def messages(request):
    """The golden messages by case; ``--update-messages`` rewrites them at the end."""
    update = request.config.getoption("update_messages")
    text = "" if update else MESSAGES.read_text(encoding="utf-8")
    golden = dict(re.findall(r"^# (.+)\n((?:(?!# ).+\n)+)", text, re.M))
    yield golden
    if update:
        blocks = (f"# {name}\n{golden[name]}" for name in sorted(golden))
        MESSAGES.write_text("\n".join(blocks), encoding="utf-8")


@pytest.fixture
def message(request, messages):
    """Return a function that checks a message against the golden one of this test and case."""
    called = 0

    def check(said):
        nonlocal called
        called += 1
        case = request.node.callspec.id if hasattr(request.node, "callspec") else ""
        name = " ".join([request.node.originalname, case, f"({called})" * (called > 1)])
        name = " ".join(name.split())
        if request.config.getoption("update_messages"):
            messages[name] = f"{said}\n"
        assert messages.get(name) == f"{said}\n", "pytest --update-messages rewrites messages.txt"

    return check


@pytest.fixture
def base():
    """The text of the study."""
    return BASE


@pytest.fixture
def study_file(tmp_path):
    """Return a function that writes the study with pieces of its text replaced."""

    def write(*edits, text=BASE):
        for old, new in edits:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the study"
            text = text.replace(old, new)
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def study(study_file):
    """Return a function that loads the study with pieces of its text replaced."""
    return lambda *edits: load_study(study_file(*edits))
