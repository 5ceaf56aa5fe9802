"""Distribution of tests among the workers of pytest-xdist (``make test``); real data."""

import gc
import os
from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[2] / "shared/data"
WORKER = "PYTEST_XDIST_WORKER" in os.environ
# Each worker starts workflows of two jobs; more workers than this only wait for the longest test.
MOST_WORKERS = 4
# One worker gets a file as a whole, for its fixtures, but for these: long, and one fixture for all.
ONE_BY_ONE = ("tests/workflow/test_end_to_end.py", "tests/workflow/test_staleness.py")

# Before a library looks: no test waits for a network.
os.environ["HF_HUB_OFFLINE"] = "1"
# The hundreds of processes that tests start compile the package once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if WORKER:  # before numpy and torch look: workers and the jobs they start share the cores
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


def pytest_addoption(parser):
    parser.addoption(
        "--update-messages", action="store_true",
        help="rewrite tests/study/messages.txt; without -n",
    )  # fmt: skip


def pytest_configure(config):
    """End a run with an error if a worker dies: runs have hung after its replacement."""
    if getattr(config.option, "maxworkerrestart", "") is None:
        config.option.maxworkerrestart = "0"


def pytest_collection_finish():
    """Exclude the libraries and the collected tests from repeated garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return the workers of ``-n auto``: the cores available to this process, not all cores."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out files, in the order of the workers' `pytest_collection_modifyitems`."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.partition("::")[0]
            return nodeid if path in ONE_BY_ONE else path

    config.option.loadscopereorder = False  # else those of the most tests would come first
    return Files(config, log)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Put long tests first, and those of the finished study last, as it is made meanwhile."""
    for item in items:
        if "finished" in item.fixturenames:
            item.add_marker(pytest.mark.workflow)
    if WORKER:
        items.sort(key=turn)


def turn(item):
    if item.path.name == "test_recovery.py":
        return 0
    if item.get_closest_marker("reruns"):
        return 1
    return 3 if "finished" in item.fixturenames else 2


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of data sets beside the project that some shipped studies use."""
    if not REAL_DATA.is_dir():
        assert not os.environ.get("CI"), f"no real data at {REAL_DATA}"
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA
