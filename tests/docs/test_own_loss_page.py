"""docs/own-loss.md: its table is the registry's, and its loss works where it says to put it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import disobey
from disobey.training.losses import losses

PACKAGE = Path(disobey.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "own-loss.md"
TRY = """
import torch
from disobey.tools.plan import main
assert main(["skewed.yaml"]) == 0
from disobey.training.losses import losses
z = torch.tensor([[1e4, 0, -1e4], [1.0, 2, 3]], requires_grad=True)
found = losses()["skew_kl"].function(z, z.detach().flip(1), temperature=2.0)
found.sum().backward()
assert found.shape == (2,) and torch.isfinite(z.grad).all()
p, q = (torch.softmax(one[1].detach().double() / 2, 0) for one in (z.flip(1), z))
expected = (p * (p / (0.1 * p + 0.9 * q)).log()).sum()
assert abs(found[1].item() - expected.item()) < 1e-6
"""


def row(loss):
    told = [
        f"`{name}`" if parameter.default is parameter.empty else f"`{name}: {parameter.default:g}`"
        for name, parameter in loss.parameters.items()
    ]
    return f"| `{loss.name}` | {loss.formula} | {', '.join(told)} | {loss.source} |"


def test_the_table_is_the_registry_s():
    rows = re.findall(r"^\| `.*$", PAGE.read_text(encoding="utf-8"), re.M)
    assert rows[1:] == [row(one) for one in losses().values()]


def test_the_page_s_loss_can_be_planned_and_computed(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    blocks = {kind: re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("python", "yaml")}
    (code,), (study,) = blocks.values()
    copy = tmp_path / "disobey"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    with (copy / "training" / "losses.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + code)
    (tmp_path / "skewed.yaml").write_text(study, encoding="utf-8")
    surroundings = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", TRY], cwd=tmp_path, env=surroundings, text=True, capture_output=True
    )
    assert found.returncode == 0, found.stderr
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.S)
    assert found.stdout.startswith(shown)
