"""Conditions for the notebook to print its stored output."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from run_notebook import NOTEBOOK, differences, same


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("A 1.01 [0.98, 1.04]", "A 1.02  [0.97, 1.03]"),  # blanks follow the width of numbers
        ("G −0.004", "G 0.003"),
        ("n 1,797", "n 1,796"),
    ],
)
def test_numbers_may_differ_a_little(before, now):
    assert same(before, now)


@pytest.mark.parametrize(
    ("before", "now"),
    [("holds 1.01", "undecided 1.01"), ("1.01", "1.10"), ("−0.5", "0.5"), ("1 2", "1")],
)
def test_words_and_numbers_that_differ_are_seen(before, now):
    assert not same(before, now)


def test_a_drawing_that_is_gone_is_seen():
    drawn = new_output("display_data", {"image/png": "iVBO", "text/plain": "<Figure>"})
    told = new_output("display_data", {"text/plain": "<Figure>"})
    kept, fresh = (new_notebook(cells=[new_code_cell("", outputs=[o])]) for o in (drawn, told))
    assert "code cell 1" in differences(kept, fresh)[0]
    assert not differences(kept, kept)


def test_the_notebook_is_kept_with_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kinds = [kind for cell in notebook.cells for output in cell.get("outputs", [])
             for kind in output.get("data", {})]  # fmt: skip
    assert kinds.count("image/png") == 2
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
