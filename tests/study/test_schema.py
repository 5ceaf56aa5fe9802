"""The schema for editors agrees with the models, and is equally strict."""

import json
from pathlib import Path

import jsonschema
import pytest

from disobey.study.loader import load_study, load_with_lines
from disobey.tools.plan import schema

ROOT = Path(__file__).parents[2]
FILE = ROOT / "workflow" / "schemas" / "study.schema.json"


@pytest.fixture(scope="module")
def validator():
    content = json.loads(schema())
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


def test_schema_in_the_repository_is_the_models():
    assert FILE.read_text(encoding="utf-8") == schema(), (
        f"out of date; call: python -m disobey schema > {FILE.relative_to(ROOT)}"
    )


def test_default_study_names_the_schema_and_fits_it(validator):
    config = ROOT / "config.yaml"
    first = config.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={FILE.relative_to(ROOT)}"
    validator.validate(load_with_lines(config)[0])


def test_small_study_fits_the_schema(validator, study_file):
    validator.validate(load_with_lines(study_file())[0])


@pytest.mark.parametrize(
    "words",
    [
        "steps: 25",
        "steps: 25, warmup: {steps: 3}",
        "epochs: 2, warmup: {epochs: 1}",
        "epochs: 2, warmup: 0.1",
        "epochs: 9, schedule: steps, milestones: {epochs: [4, 8]}",
        "epochs: 9, schedule: steps, milestones: [0.5, 0.75]",
    ],
)
def test_every_way_to_write_a_duration_fits_the_schema_and_the_models(validator, study_file, words):
    path = study_file(("epochs: 2", words))
    validator.validate(load_with_lines(path)[0])
    load_study(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds: [0, 1]", "seeds: [0, 1]\nsedes: [0]"),
        ("source: builtin, name: digits", "source: builtin, name: digits, augment: {shear: 3}"),
        ("rate: 0.2", "rat: 0.2"),
        ("max_tokens: 16", "max_token: 16"),
        ("family: mlp, hidden: [8]", "family: mlp, hiden: [8]"),
        ("family: mlp, hidden: [8]", "family: vgg"),
        ("heads: 2", "head: 2"),
        ("epochs: 2", "epocs: 2"),
        ("epochs: 2", "epochs: 0"),
        ("epochs: 2", "epochs: '2'"),
        ("epochs: 2", "epochs: 2, steps: 25"),
        ("epochs: 2", "batch: 8"),
        ("epochs: 2", "epochs: 2, warmup: {epochs: 1, steps: 3}"),
        ("epochs: 2", "epochs: 2, warmup: 1.0"),
        ("epochs: 2", "epochs: 2, schedule: steps, milestones: {}"),
        ("    student: mlp\n", ""),
        ("weight: 0.5", "weigth: 0.5"),
        ("temperature: 4", "temperature: 0"),
        ("resamples: 100", "resample: 100"),
        ("  self:\n", "  self/T4:\n"),
        ("seeds: [0, 1]", "seeds: []"),
    ],
)
def test_bad_study_does_not_fit_the_schema(validator, study_file, old, new):
    value, _ = load_with_lines(study_file((old, new)))
    assert not validator.is_valid(value)
