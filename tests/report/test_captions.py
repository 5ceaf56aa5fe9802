"""Captions: one for every figure, rendered alike on our page and by ``snakemake --report``."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from docutils.writers.html4css1 import Writer  # the one that Snakemake's "html" stands for
from finished_study import SETTING_FIGURES, STUDY_FIGURES
from jinja2 import Environment
from markupsafe import escape

from disobey.analysis.claims.registry import CLAIMS
from disobey.report.gallery import to_html
from disobey.stores.layout import CAPTIONS
from disobey.study.figures import FIGURES

# Figures without a counterpart in the paper.
OURS = {"inheritance", "rounds", "pay-off", "losses", "leak"}
# Counts and accuracies; not the 56 in ResNet-56.
NUMBER = re.compile(r"(?<![\w-])\d+(?:\.\d+)?(?= |$|,|;|\.)")
FIGURES_OF_THE_PAPER = re.compile(r"Figures? \d+(?:, \d+)*(?:\s+and\s+\d+)?")
REPORT = Path(__file__).parents[2] / "workflow" / "report"
# What Snakemake appends to every caption.
LINKS = "\n.. _fig.png: javascript:app.showResultInfo('fig.png')\n"


@pytest.mark.parametrize("kind", [*FIGURES, "workflow", "explorer"])
def test_caption_renders_as_snakemake_renders_it(kind, capsys):
    wildcards = SimpleNamespace(study="small", figure=f"{kind}-noisy-self")
    snakemake = SimpleNamespace(wildcards=wildcards, params={}, config={"study": "small"})
    folder = CAPTIONS if kind in FIGURES else REPORT
    text = (folder / f"{kind}.rst").read_text() + LINKS
    filled = Environment().from_string(text).render(snakemake=snakemake, categories={}, files={})
    body = publish_parts(filled, writer=Writer())["html_body"]
    assert "system-message" not in body and "{{" not in body
    assert capsys.readouterr().err == ""


def paragraphs(kind):
    """Return the paragraphs of a caption as plain text."""
    caption = to_html((CAPTIONS / f"{kind}.rst").read_text(), CAPTIONS)
    html = caption.shown + caption.folded
    found = re.findall(r"<p>(.*?)</p>", html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", "", text).split()) for text in found]


@pytest.mark.parametrize("kind", [*SETTING_FIGURES, *STUDY_FIGURES])
def test_caption_stands_on_the_page(kind, page):
    caption = to_html((CAPTIONS / f"{kind}.rst").read_text(), CAPTIONS)
    assert caption.title and str(escape(caption.title)) in page
    assert caption.shown in page and caption.folded in page and "system-message" not in page


@pytest.mark.parametrize("kind", FIGURES)
def test_caption_is_two_sentences_then_the_paper_then_our_choice(kind):
    shown, paper, ours = paragraphs(kind)
    assert len(re.findall(r"[.](?=\s|$)", shown)) == 2 and shown.endswith(".")
    wanted = "Ours: the paper has no counterpart." if kind in OURS else "The paper: "
    assert paper.startswith(wanted) and ours.startswith("Our choice: ")


@pytest.mark.parametrize("kind", FIGURES)
def test_what_a_caption_says_the_paper_reports_is_what_the_claims_say(kind):
    known = {number for claim in CLAIMS for number in NUMBER.findall(claim.paper)}
    _, paper, _ = paragraphs(kind)
    found = set(NUMBER.findall(FIGURES_OF_THE_PAPER.sub("", paper)))
    assert found <= known, f"{found - known} of {kind}.rst is in no claim's paper"
    assert found or kind in OURS or "no number" in paper


def test_each_kind_of_figure_has_one_caption_and_no_caption_is_left_over():
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == set(FIGURES)


def test_figures_with_one_caption_share_it(page):
    caption = to_html((CAPTIONS / "confidence.rst").read_text(), CAPTIONS)
    assert page.count(caption.shown) == page.count(caption.folded) == 1
