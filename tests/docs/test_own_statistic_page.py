"""docs/own-statistic.md: its record, put where the page says, is in stores, tables and compare."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "own-statistic.md"
USED = """
import numpy as np
from scipy.special import softmax
from disobey import compare
from disobey.analysis.tables import TABLES

rng = np.random.default_rng(0)
teacher, student = rng.normal(size=(2, 60, 4))
found = compare(teacher, student, labels=teacher.argmax(1), resamples=20)
first, second = np.sort(softmax(student, 1), 1)[:, :-3:-1].T
assert abs(found.value("margin") - (first - second).mean()) < 1e-12
assert "\\n  margin " in str(found)
table = TABLES["accuracy"].make("s", {"one": found.analysis})
assert set(table.statistic[table.model == "student"]) >= {"margin", "nll"}
"""


def test_the_record_of_the_page_is_all_that_a_new_statistic_needs(tmp_path):
    (record,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    shutil.copytree(REPOSITORY / "src", tmp_path / "src")
    module = tmp_path / "src" / "disobey" / "analysis" / "quality.py"
    code = module.read_text(encoding="utf-8")
    assert code.count("\nQUALITY = (\n") == 1
    module.write_text(code.replace("\nQUALITY = (\n", f"\nQUALITY = (\n{record},\n"))
    # Isolated but for the path: an installed package would be another one.
    use = f"import sys; sys.path.insert(0, {str(tmp_path / 'src')!r})\n{USED}"
    subprocess.run([sys.executable, "-I", "-c", use], check=True)
