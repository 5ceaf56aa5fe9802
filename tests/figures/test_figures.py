"""All figures draw any study at column width, and are reproducible."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses, make_analysis
from synthetic_families import make_rounds, make_switching, make_temperatures

from disobey.analysis.names import COMPARED, EFFECT, GAPS, REFERENCE, STUDENT, TEACHER
from disobey.analysis.tables import paper
from disobey.figures import drawer, style

pytestmark = pytest.mark.slow

STUDY_FIGURES = ("calibrated", "inheritance", "accuracy", "fidelity")
# Settings and seeds.
SIZES = ((1, 1), (1, 3), (6, 1), (30, 3))
MEGABYTE = 1_000_000


def draw(figure, analyses):
    return drawer(figure)(analyses)


@pytest.mark.parametrize(("count", "seeds"), SIZES)
@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_no_text_overlaps_or_leaves_the_page(figure, count, seeds, drawn_texts):
    drawn = draw(figure, make_analyses(count, seeds))
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(17 / 2.54)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_tick_labels_keep_apart_on_scales_of_any_size(figure, scale, drawn_texts):
    analyses = make_analyses(2)
    for data in (analysis.splits["test"] for analysis in analyses.values()):
        for name in ("value", "estimate", "low", "high"):
            data[name] *= scale
    drawn = draw(figure, analyses)
    drawn.set_dpi(style.DPI)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_missing_numbers_are_said_not_drawn(figure, count, drawn_texts):
    analyses = make_analyses(count)
    for analysis in analyses.values():
        blank(analysis)
    drawn = draw(figure, analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert any("no" in text.get_text() and "estimate" in text.get_text() for text in texts)


@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_one_setting_without_numbers_does_not_hide_the_others(figure):
    analyses = make_analyses(2)
    first, second = analyses
    blank(analyses[first])
    drawn = draw(figure, analyses)
    estimates = artists(drawn, "estimate/")
    assert not any(gid.endswith(first) for gid in estimates)
    assert any(gid.endswith(second) for gid in estimates)


@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_files_are_small_and_the_same_bytes_each_time(figure, tmp_path):
    for name in ("one", "two"):
        drawn = draw(figure, make_analyses(2))
        style.save(drawn, tmp_path / f"{name}.pdf.tmp", tmp_path / f"{name}.png.tmp")
    for suffix, magic in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        one, two = ((tmp_path / f"{name}.{suffix}.tmp").read_bytes() for name in ("one", "two"))
        assert one.startswith(magic)
        assert one == two
        assert len(one) < MEGABYTE
    assert b"CreationDate" not in (tmp_path / "one.pdf.tmp").read_bytes()


@pytest.mark.parametrize(
    ("kind", "made"),
    [("rounds", make_rounds), ("temperature", make_temperatures), ("switching", make_switching)],
)
def test_figures_of_several_settings_have_the_same_bytes_each_time(kind, made, tmp_path):
    for name in ("one", "two"):
        style.save(drawer(kind)(made()), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for suffix in ("pdf", "png"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_another_process_writes_the_same_bytes(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from synthetic_analyses import make_analyses\n"
        "from disobey.figures import confidence, style\n"
        "here = Path(sys.argv[2])\n"
        "style.save(confidence.draw(make_analyses()), here / 'a.pdf', here / 'a.png')"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "1"})  # not that of this process
    style.save(draw("confidence", make_analyses()), tmp_path / "b.pdf", tmp_path / "b.png")
    for suffix in ("pdf", "png"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert one == two


def test_forest_draws_the_estimates_of_the_store():
    analyses = make_analyses(6)
    drawn = draw("accuracy", analyses)
    estimates, intervals = artists(drawn, "estimate/"), artists(drawn, "interval/")
    dots = artists(drawn, "seeds/")
    for setting, analysis in analyses.items():
        for model in (TEACHER, REFERENCE, STUDENT, EFFECT):
            name = f"accuracy/{model}/{setting}"
            estimate, low, high = analysis.number("accuracy", model)
            assert list(estimates[f"estimate/{name}"].get_xdata()) == [estimate]
            assert list(intervals[f"interval/{name}"].get_xdata()) == [low, high]
            np.testing.assert_array_equal(
                dots[f"seeds/{name}"].get_xdata(), analysis.seeds("accuracy", model)
            )


def test_accuracy_shows_both_splits_and_where_the_paper_is():
    reported = {"train": [99.9, 99.9, 95.6], "test": [69.8, 69.8, 72.7]}
    analysis = replace(make_analysis(), paper=reported)
    drawn = draw("accuracy", {"a": analysis})
    estimates, crosses = artists(drawn, "estimate/"), artists(drawn, "paper/")
    where = {"train": "accuracy (train)", "test": "accuracy"}
    for split, numbers in reported.items():
        shares = [number / 100 for number in numbers]
        shares.append(shares[2] - shares[1])
        for model, share in zip((TEACHER, REFERENCE, STUDENT, EFFECT), shares, strict=True):
            name = f"{where[split]}/{model}/{analysis.setting}"
            (estimate,) = estimates[f"estimate/{name}"].get_xdata()
            assert estimate == analysis.number("accuracy", model, split)[0]
            cross = crosses[f"paper/{name}"]
            assert cross.get_xdata() == pytest.approx([share])
            low, high = cross.axes.get_xlim()
            assert low < share < high
    assert not artists(draw("accuracy", make_analyses(1)), "paper/")


def test_the_table_paper_has_what_is_reported_beside_the_mean_over_seeds():
    one, other = make_analysis("one"), make_analysis("other")
    analyses = {"one": replace(one, paper={"test": [72.52, 72.52, 74.55]}), "other": other}
    rows = paper("s", analyses)
    by_paper = {TEACHER: 0.7252, REFERENCE: 0.7252, STUDENT: 0.7455, EFFECT: 0.0203}
    assert dict(zip(rows.model, rows.paper, strict=True)) == pytest.approx(by_paper)
    for row in rows.itertuples():
        of_seeds = one.splits["test"].value.sel(statistic="accuracy", model=row.model, subset="all")
        assert (row.setting, row.split, row.seeds, row.n) == ("one", "test", 3, 10_000)
        assert row.value == pytest.approx(float(of_seeds.sum()) / 3)
        assert row.low < row.value < row.high


def test_accuracy_of_one_split_leaves_the_other_empty(drawn_texts):
    analysis = make_analysis()
    del analysis.splits["train"]
    drawn = draw("accuracy", {"a": analysis})
    assert not any("(train)" in gid for gid in artists(drawn, "estimate/"))
    assert len([text for text in drawn_texts(drawn) if text.get_text() == "no estimate"]) == 2


def test_every_number_lies_inside_its_panel():
    drawn = draw("accuracy", make_analyses(6))
    for artist in artists(drawn, ("interval/")).values():
        low, high = artist.axes.get_xlim()
        assert low <= min(artist.get_xdata()) <= max(artist.get_xdata()) <= high


def test_the_gradient_view_is_of_a_setting_with_true_directions():
    with pytest.raises(ValueError, match="needs data with true directions; mnist-noisy-T4 has no"):
        draw("gradients", make_analyses(1))


def test_gaps_are_those_of_the_store():
    analyses = make_analyses(2)
    drawn = artists(draw("calibrated", analyses), "gap/")
    for setting, analysis in analyses.items():
        for model in COMPARED:
            expected = [analysis.number(gap, model)[0] for gap in GAPS]
            assert list(drawn[f"gap/{model}/{setting}"].get_ydata()) == expected


@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_a_role_has_one_colour_everywhere(figure):
    drawn = artists(draw(figure, make_analyses(2)), ("estimate/", "interval/", "seeds/"))
    assert drawn
    for gid, artist in drawn.items():
        model = gid.split("/")[2]
        assert to_hex(artist.get_color()).upper() == style.ROLES[model].colour


def test_estimate_without_interval_is_hollow():
    for seeds, filled in ((1, False), (3, True)):
        for gid, artist in artists(draw("fidelity", make_analyses(1, seeds)), "estimate/").items():
            own = style.ROLES[gid.split("/")[2]].colour
            if np.isfinite(artist.get_xdata()[0]):
                assert (artist.get_markerfacecolor() == own) is filled


def test_number_of_seeds_and_examples_is_printed(drawn_texts):
    for figure in STUDY_FIGURES:
        drawn = draw(figure, make_analyses(1, 4))
        texts = [text.get_text().replace("\u00a0", " ") for text in drawn_texts(drawn)]
        printed = "4 × (20,000 + 10,000)" if figure == "accuracy" else "4 × 10,000"
        assert any(printed in text for text in texts)
