"""Contents of an installation: the core without torch, extras by name, files of the package."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from disobey import errors, workflow
from disobey.errors import UserError

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
# What a distribution is imported as, where that is another name.
IMPORTED = {
    "scikit-learn": "sklearn", "pillow": "PIL", "pyyaml": "yaml", "netcdf4": "netCDF4",
}  # fmt: skip
PART_OF = {"markupsafe": "jinja2", "pydantic_core": "pydantic"}  # which bring them


def distributions(requirements):
    return {re.match(r"[\w-]+", words)[0].lower() for words in requirements}


def modules(requirements):
    return {IMPORTED.get(name, name) for name in distributions(requirements)}


def imports_of_the_package():
    """Return the modules from elsewhere that any file of the package imports."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            yield from (name.partition(".")[0] for name in names)


def test_each_package_that_is_imported_is_of_the_core_or_of_the_extra_that_an_error_names():
    core = modules(PROJECT["project"]["dependencies"])
    elsewhere = set(imports_of_the_package()) - set(sys.stdlib_module_names) - {"disobey"}
    assert {PART_OF.get(name, name) for name in elsewhere} - core == set(errors.EXTRA)
    by_extra = defaultdict(set)
    for module, extra in errors.EXTRA.items():
        by_extra[extra].add(module)
    assert all(found <= modules(EXTRAS[extra]) for extra, found in by_extra.items())


def test_no_requirement_pins_a_version():
    every = chain(PROJECT["project"]["dependencies"], *EXTRAS.values())
    assert not [words for words in every if "==" in words]


WITHOUT_EXTRAS = """
import sys
class Hide:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
import numpy as np
draw = np.random.default_rng(0)
shared = 3 * draw.normal(size=(300, 3))
for name in "tsru":
    np.savez(name, test=shared + draw.normal(size=shared.shape), test_label=shared.argmax(1))
from disobey.__main__ import _to_the_end as disobey
assert disobey(["compare", "t.npz", "s.npz", "--pair", "r.npz", "u.npz"]) == 0
assert disobey(["plan", {study!r}]) == 0 and disobey(["why", {study!r}]) == 0
assert disobey(["train", "--spec", "{{}}", "--output", "x.json"]) == 2
"""


def test_compare_plan_and_why_need_the_core_alone_and_a_stage_names_its_extra(tmp_path):
    hidden = {*errors.EXTRA, "scipy"} - {"PIL"}  # which comes with matplotlib
    script = WITHOUT_EXTRAS.format(hidden=hidden, study=str(ROOT / "tests/workflow/small.yaml"))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "comparison/explorer.html").exists()
    assert done.stderr == "disobey train: torch is not installed; pip install 'disobey[train]'\n"


def test_a_study_is_refused_before_any_job_where_a_package_is_missing(monkeypatch):
    plan = SimpleNamespace(jobs={("train", "a"): 0}, pretrained={}, classifiers={"x": 0})
    workflow.check_installed(plan)
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'disobey\[train\]'\ntransformers .*'disobey\[hub\]'"):
        workflow.check_installed(plan)


def test_every_file_of_the_package_is_in_the_wheel():
    package = ROOT / "src/disobey"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["disobey"]
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in package.rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} <= shipped


def test_the_console_script_is_there():
    module, _, name = PROJECT["project"]["scripts"]["disobey"].partition(":")
    assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_conda_environment_has_what_jobs_import_in_the_tested_versions():
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    (pip,) = (each["pip"] for each in yaml.safe_load((ROOT / "envs/cpu.yaml").read_text())
              ["dependencies"] if isinstance(each, dict))  # fmt: skip
    assert {pin.lower() for pin in pip} <= set(lines)
    needed = [*PROJECT["project"]["dependencies"], *EXTRAS["train"], *EXTRAS["hub"]]
    assert distributions(pip) == distributions(needed) | {"docutils"}


def test_oldest_versions_are_the_lower_bounds():
    oldest = dict(
        re.findall(r"^([\w-]+)==(.+)$", (ROOT / "constraints-oldest.txt").read_text(), re.M)
    )
    lowest = {
        re.match(r"[\w-]+", words)[0]: re.search(r">=([\d.]+)", words)[1]
        for words in (*PROJECT["project"]["dependencies"], *EXTRAS["train"], *EXTRAS["workflow"])
        if ">=" in words
    }
    assert {name: oldest[name] for name in lowest if name in oldest} == {
        name: version for name, version in lowest.items() if name in oldest
    }
    assert distributions(PROJECT["project"]["dependencies"]) <= distributions(oldest)


# --- what surrounds the package ----------------------------------------------------------------


def test_pre_commit_runs_what_make_lint_runs():
    makefile = (ROOT / "Makefile").read_text()
    lint = re.search(r"^lint:.*\n((?:\t.+\n)+)", makefile, re.M)[1].replace("$(BIN)", ".venv/bin")
    commands = {line.strip().removesuffix(" .") for line in lint.splitlines()}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert commands == {hook["entry"].replace(" --force-exclude", "") for hook in hooks}


def test_the_forge_runs_targets_of_the_makefile():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    made = {words.split()[1] for words in runs if words.startswith("make ")}
    assert {"lint", "test", "figures", "docs", "wheel-check"} <= made <= targets
    assert len(jobs["test"]["strategy"]["matrix"]["python"]) == 2


def test_the_workflow_catalog_finds_what_it_asks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert (ROOT / "config/README.md").exists() and (ROOT / "workflow/Snakefile").exists()
    assert (ROOT / "config/config.yaml").read_text() == (ROOT / "config.yaml").read_text()
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme


def test_the_container_copies_what_the_workflow_reads():
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    files = {name for words in copied for name in words.split()}
    assert all((ROOT / name).exists() for name in files)
    assert {"pyproject.toml", "constraints.txt", "src", "profiles"} <= files
    read = {ROOT / "Snakefile", ROOT / "config.yaml"}
    for source in (ROOT / "Snakefile", *ROOT.glob("rules/*.smk")):
        quoted = re.findall(r'"([^"\n{}]+/[^"\n{}]+)"', source.read_text())
        read |= {path for name in quoted if (path := (source.parent / name).resolve()).exists()}
    assert ROOT / "envs/cpu.yaml" in read
    assert {path.relative_to(ROOT).parts[0] for path in read} <= files
