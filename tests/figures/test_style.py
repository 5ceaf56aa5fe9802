"""The look: wrapped text, colours that everybody can tell apart, a quick and headless import."""

import subprocess
import sys
from itertools import combinations

import pytest
from matplotlib.colors import to_rgb

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.figures import style
from disobey.numbers import interval


def test_wrapped_lines_are_not_wider_than_asked():
    text = "Distilled students exaggerate tiny-imagenet-resnet50-to-mobilenetv2_second.recipe " * 3
    lines = style.wrap(text, 1.0, 7).split("\n")
    assert all(style.text_width(line, 7) <= 1.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_word_without_hyphens_is_broken_as_a_last_resort():
    lines = style.wrap("x" * 60, 0.5, 7).split("\n")
    assert len(lines) > 1
    assert "".join(lines) == "x" * 60


def test_a_number_stays_with_its_interval():
    lines = style.wrap("one two three " + interval(0.93, 0.9, 0.96), 1.2, 7).split("\n")
    assert lines[-1] == "0.93\u00a0[0.90,\u00a00.96]"


def test_an_interval_wider_than_a_line_breaks_between_its_numbers():
    lines = style.wrap("gap " + interval(-0.034, -0.048, -0.021), 0.45, 7).split("\n")
    assert lines == ["gap", "−0.034", "[−0.048,", "−0.021]"]


# Viénot, Brettel and Mollon (1999), on linear RGB: what a person without red or green cones sees.
BLIND = {
    "protan": ((0.1124, 0.8876, 0.0), (0.1124, 0.8876, 0.0), (0.0040, -0.0040, 1.0)),
    "deutan": ((0.2928, 0.7072, 0.0), (0.2928, 0.7072, 0.0), (-0.0223, 0.0223, 1.0)),
}


def least_distance(roles, kind):
    seen = []
    for role in roles:
        linear = [channel**2.2 for channel in to_rgb(role.colour)]
        mixed = [sum(w * c for w, c in zip(row, linear, strict=True)) for row in BLIND[kind]]
        seen.append([max(channel, 0) ** (1 / 2.2) for channel in mixed])
    return min(
        sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        for one, other in combinations(seen, 2)
    )


@pytest.mark.parametrize("kind", BLIND)
def test_roles_can_be_told_apart_without_red_or_green_cones(kind):
    assert least_distance(style.ROLES.values(), kind) > 0.2


@pytest.mark.parametrize("kind", BLIND)
def test_placebos_can_be_told_from_each_other_and_from_whom_they_stand_beside(kind):
    assert least_distance(style.PLACEBO_ROLES.values(), kind) > 0.15
    for placebo in style.PLACEBO_ROLES.values():
        for model in (REFERENCE, STUDENT):
            assert least_distance([placebo, style.ROLES[model]], kind) > 0.2


def test_roles_differ_in_marker_too():
    roles = [*style.ROLES.values(), *style.PLACEBO_ROLES.values()]
    assert len({role.marker for role in roles}) == len(roles)
    assert len({role.glyph for role in roles}) == len(roles)


def test_figures_need_no_window_system():
    script = (
        "import sys\n"
        "from disobey.figures import bias, confidence, curves, forest, gradients, overview\n"
        "from disobey.figures import planes, sweeps, variants\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
