"""Surroundings that must not change a result: matplotlib's settings, terminals, umasks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from disobey import workflow as bridge
from disobey.stores.writer import atomic
from disobey.training.weights import save_weights

REPOSITORY = Path(__file__).parents[1]
# Draws with one of our decorators, saves as a figure job does, and prints a minus sign.
DRAW = """
from matplotlib.figure import Figure
from disobey.figures import style
@style.styled
def draw():
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([-1, 2], [3, 4], label="a")
    axes.legend()
    return figure
from pathlib import Path
style.save(draw(), Path("f.pdf"), Path("f.png"))
"""


def run(folder, *words, **environment):
    own = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")} | environment
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=own, capture_output=True, check=False
    )


def drawn(folder, **environment):
    done = run(folder, "-c", DRAW, **environment)
    assert done.returncode == 0, done.stderr.decode()
    return (folder / "f.pdf").read_bytes(), (folder / "f.png").read_bytes()


def test_the_users_matplotlibrc_changes_no_figure(tmp_path):
    plain = drawn(tmp_path)
    rc = "savefig.bbox: tight\nlegend.loc: lower left\ntext.usetex: True\nfigure.dpi: 20\n"
    (tmp_path / "matplotlibrc").write_text(rc)
    assert drawn(tmp_path) == plain


def test_a_backend_that_is_not_there_is_not_asked_for(tmp_path):
    """Jupyter and Colab name theirs to every command."""
    code = "import disobey.__main__ as m; m.main = lambda words: print(__import__('matplotlib'));"
    code += " m._to_the_end([])"
    done = run(tmp_path, "-c", code, MPLBACKEND="nonsense")
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode()


def test_what_a_terminal_cannot_show_is_replaced(tmp_path):
    code = (
        "import sys, disobey.__main__ as m; m.main = lambda words: print('\\u22121');"
        " m._to_the_end([])"
    )
    done = run(tmp_path, "-c", code, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (0, b"?1\n"), done.stderr.decode()


def test_jobs_look_for_no_modules_in_the_folder_of_the_study(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONSAFEPATH", "HDF5_USE_FILE_LOCKING", *bridge.OF_TORCHRUN):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    bridge._prepare_children(SimpleNamespace(remote_exec=False, basedir=str(REPOSITORY)))
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    done = subprocess.run(
        [sys.executable, "-m", "disobey", "schema"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)


@pytest.mark.parametrize(("mask", "mode"), [(0o002, 0o664), (0o077, 0o600), (0o022, 0o644)])
def test_weights_and_all_else_get_the_mode_that_the_umask_says(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        with atomic(tmp_path / "model.safetensors") as path:
            save_weights(nn.Linear(2, 2), path)
        with atomic(tmp_path / "state.pt") as path:
            torch.save({}, path)
    finally:
        assert os.umask(before) == mask
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("model.safetensors", "state.pt")]
    assert modes == [mode, mode]
