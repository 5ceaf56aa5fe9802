"""A run of the tests ends with an error, whatever a worker of pytest-xdist dies of."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DEATHS = {"dies": "import os; os._exit(3)", "hangs": "import time; time.sleep(300)"}


@pytest.mark.parametrize("how", DEATHS)
def test_a_run_whose_worker_dies_or_hangs_ends_with_an_error(tmp_path, how):
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    leaves = options["faulthandler_exit_on_timeout"]
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {DEATHS[how]}\n")
    words = ["-n", "1", "-o", f"faulthandler_exit_on_timeout={leaves}"]
    words += ["-o", "faulthandler_timeout=1", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(tmp_path)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 1 and "crashed while running 'test_it.py::test_it'" in run.stdout
    assert run.stdout.count("crashed while running") <= 2  # the report and the summary of one
