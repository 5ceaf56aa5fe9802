"""Figures of 50,000 points: the points are an image, text and axes stay vectors, files small."""

import re
import zlib

import numpy as np
import pytest
import synthetic_bias
from matplotlib.figure import Figure
from synthetic_analyses import _split, make_analyses, make_analysis
from synthetic_bias import with_bias

from disobey.analysis.names import MODELS
from disobey.analysis.store import SPLITS
from disobey.figures import drawer, style

pytestmark = pytest.mark.slow

POINTS = 50_000
MEGABYTE = 1_000_000


def saved(figure, folder):
    pdf, png = folder / "figure.pdf", folder / "figure.png"
    style.save(figure, pdf, png)
    return pdf.read_bytes()


def images(pdf):
    return pdf.count(b"/Subtype /Image")


def operators(pdf):
    """Every word of the page's instructions, images and fonts left out."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    pages = []
    for stream in streams:
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        if b" Tf" in text:  # chooses a font: the page
            pages.append(text)
    (page,) = pages
    return page.split()


def plotted(points, kind):
    figure = Figure(figsize=(3, 3))
    axes = figure.add_subplot()
    x, y = np.random.default_rng(0).normal(size=(2, points))
    if kind == "scatter":
        axes.scatter(x, y, s=2)
    elif kind == "markers":
        axes.plot(x, y, "o", markersize=2)
    elif kind == "line":
        axes.plot(np.sort(x), y)
    else:
        axes.vlines(x, y, y + 1)
    axes.set(title="a title", xlabel="across", ylabel="up", xlim=(-5, 5), ylim=(-5, 5))
    return figure


@pytest.mark.parametrize("kind", ["scatter", "markers", "line", "intervals"])
def test_a_crowd_is_an_image_and_text_and_axes_stay_vectors(kind, tmp_path):
    crowd = saved(plotted(POINTS, kind), tmp_path)
    assert len(crowd) < MEGABYTE
    few = saved(plotted(50, kind), tmp_path)
    assert images(crowd) > images(few) == 0
    for shows_text in (b"Tj", b"TJ"):
        assert operators(crowd).count(shows_text) == operators(few).count(shows_text)
    assert operators(crowd).count(b"Tj") + operators(crowd).count(b"TJ") > 10
    assert operators(crowd).count(b"S") >= 4  # strokes: the spines


def test_the_paper_s_plot_of_many_examples(tmp_path):
    rng, analysis = np.random.default_rng(0), make_analysis()
    analysis.splits.update({name: _split(rng, 3, POINTS) for name in SPLITS})
    pdf = saved(drawer("confidence")({"a": analysis}), tmp_path)
    assert len(pdf) < MEGABYTE
    assert images(pdf)
    assert operators(pdf).count(b"Tj") + operators(pdf).count(b"TJ") > 30


@pytest.mark.parametrize("figure", ["calibrated", "inheritance", "accuracy", "fidelity"])
def test_figures_of_many_seeds(figure, tmp_path):
    settings = 5
    analyses = make_analyses(settings, POINTS // settings // len(MODELS))
    drawn = drawer(figure)(analyses)
    assert len(saved(drawn, tmp_path)) < MEGABYTE


@pytest.mark.parametrize("figure", ["bias", "overview"])
def test_paths_of_many_recorded_steps(figure, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic_bias, "POINTS", POINTS)
    drawn = drawer(figure)(with_bias(1))
    assert len(saved(drawn, tmp_path)) < MEGABYTE


@pytest.mark.parametrize("figure", ["calibrated", "inheritance", "accuracy", "fidelity", "bias"])
def test_figures_of_few_points_hold_no_image(figure, tmp_path):
    drawn = drawer(figure)(with_bias(2))
    assert images(saved(drawn, tmp_path)) == 0
