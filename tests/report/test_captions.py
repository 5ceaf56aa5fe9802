"""Captions: one for every figure, rendered alike on our page and by ``snakemake --report``."""

import re
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from docutils.writers.html4css1 import Writer  # the one that Snakemake's "html" stands for
from finished_study import CAPTIONS
from jinja2 import Environment
from markupsafe import escape

from disobey.report.captions import to_html

SETTING_FIGURES = ("exaggeration",)
STUDY_FIGURES = ("calibrated", "inheritance", "accuracy", "fidelity")

FIGURES = (*SETTING_FIGURES, *STUDY_FIGURES)
# What Snakemake appends to every caption.
LINKS = "\n.. _fig.png: javascript:app.showResultInfo('fig.png')\n"


@pytest.mark.parametrize("kind", [*FIGURES, "workflow"])
def test_caption_renders_as_snakemake_renders_it(kind, capsys):
    wildcards = SimpleNamespace(study="small", figure=f"{kind}-noisy-self")
    snakemake = SimpleNamespace(wildcards=wildcards, params={}, config={"study": "small"})
    text = (CAPTIONS / f"{kind}.rst").read_text() + LINKS
    filled = Environment().from_string(text).render(snakemake=snakemake, categories={}, files={})
    body = publish_parts(filled, writer=Writer())["html_body"]
    assert "system-message" not in body and "{{" not in body
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", FIGURES)
def test_caption_stands_on_the_page(kind, page):
    caption = to_html((CAPTIONS / f"{kind}.rst").read_text(), CAPTIONS)
    assert caption.title and str(escape(caption.title)) in page
    assert caption.html in page and "system-message" not in page


@pytest.mark.parametrize("kind", FIGURES)
def test_caption_says_what_is_our_choice_in_two_to_four_sentences(kind):
    caption = to_html((CAPTIONS / f"{kind}.rst").read_text(), CAPTIONS)
    text = re.sub(r"<[^>]+>", "", caption.html)
    assert "Our choice" in text
    assert 2 <= len(re.findall(r"\.(?:\s|$)", text)) <= 4


def test_figures_with_one_caption_share_it(page):
    caption = to_html((CAPTIONS / "exaggeration.rst").read_text(), CAPTIONS)
    assert page.count(caption.html) == 1
