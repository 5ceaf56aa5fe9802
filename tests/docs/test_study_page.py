"""The reference of the study file is complete."""

import json
import re

import pytest
from disobey_docs.study_file import StudyPage, page
from pydantic import BaseModel, Field

from disobey.tools.plan import schema

SCHEMA = json.loads(schema())
MODELS = {"study": SCHEMA, **SCHEMA["$defs"]}


class Inner(BaseModel):
    """What is inside."""

    share: float = Field(0.5, gt=0, le=1, description="a share, as <s>")


class Outer(BaseModel):
    """What is outside."""

    count: int = Field(ge=3, description="how many")
    word: str | None = Field(None, description="a word")
    pair: list[int] = Field([1, 2], min_length=2, max_length=2, description="two numbers")
    inner: dict[str, Inner] = Field(description="what is inside")


@pytest.fixture(scope="module")
def lines():
    return list(StudyPage(Outer.model_json_schema()).lines())


@pytest.mark.parametrize(("name", "model"), MODELS.items(), ids=str)
def test_every_key_of_a_study_file_says_what_it_is(name, model):
    silent = [key for key, value in model["properties"].items() if not value.get("description")]
    assert not silent, f"give them Field(description=...): {name}.{', '.join(silent)}"


def test_every_key_stands_on_the_page_once():
    text = page()
    anchors = re.findall(r"\{#(key-[^}]+)\}", text)
    keys = sum(len(model["properties"]) for model in MODELS.values())
    assert len(anchors) == len(set(anchors)) == keys


def test_links_of_the_page_lead_to_its_anchors():
    text = page()
    targets = re.findall(r"^\((key-[^)]+)\)=$", text, re.M)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(targets)


@pytest.mark.parametrize(
    ("term", "meaning"),
    [
        ("`count`{#key-study-count} whole number at least 3, **required**", ": how many"),
        ("`word`{#key-study-word} text, optional", ": a word"),
        (
            "`pair`{#key-study-pair} list of whole numbers, 2 of them, default `[1, 2]`",
            ": two numbers",
        ),
        (
            "`share`{#key-inner-share} number above 0 and at most 1, default `0.5`",
            r": a share, as \<s>",
        ),
    ],
)
def test_a_key_has_type_bounds_default_and_meaning(lines, term, meaning):
    assert lines[lines.index(term) + 1] == meaning


def test_what_stands_below_a_key_has_a_heading_that_says_where(lines):
    at = lines.index("### `inner.NAME`")
    assert lines[at - 1] == "(key-inner)=" and lines[at + 2] == "What is inside."
