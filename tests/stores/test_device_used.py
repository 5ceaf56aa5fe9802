"""The device that a manifest records."""

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from disobey.provenance import device_used, machine, peak_memory
from disobey.stores.manifest import describe


def described():
    nothing = {"files": [], "base": Path(), "inputs": [], "started": 0.0}
    return describe(stage="train", id="t", spec={}, code="c", **nothing)


@pytest.mark.parametrize(("initialized", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_the_one_used_not_the_one_that_is_there(monkeypatch, initialized, device):
    cuda = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: initialized)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert device_used() == device


def test_the_record_of_a_job_on_the_cpu_is_not_what_uses_the_gpu(monkeypatch):
    """To ask for a GPU's name is to use it: the record would say that the job did."""
    used = []

    def name():
        used.append("cuda")
        return "a GPU"

    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: bool(used),
        get_device_name=name,
        max_memory_reserved=lambda: 3_000_000_000,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    machine.cache_clear()
    record = described()
    assert (record["device"], used) == ("cpu", [])
    assert "a GPU" not in record["machine"] and "card_mb" not in record["measured"]
    used.append("the job")
    machine.cache_clear()
    record = described()
    machine.cache_clear()
    assert record["device"] == "cuda" and "a GPU" in record["machine"]
    assert record["measured"]["card_mb"] == 3000


def test_the_memory_that_a_process_took_at_the_most_is_recorded():
    """The peak is its own: Linux starts a process with the peak of its parent."""
    code = (
        "import json, sys; from disobey.provenance import peak_memory; before = peak_memory();"
        "held = bytearray(b'x') * 300_000_000; del held; print(json.dumps([before, peak_memory()]))"
    )
    held = bytearray(b"x") * 400_000_000
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    del held
    before, after = json.loads(done)
    assert before["host_mb"] < 200
    assert 290 < after["host_mb"] - before["host_mb"] < 400


@pytest.mark.parametrize(("system", "expected"), [("darwin", 3.1), ("linux", 3221.2)])
def test_a_machine_without_proc_is_described_as_far_as_it_can_be(system, expected, monkeypatch):
    """The peak is in bytes on macOS and in kB elsewhere."""

    def read_text(path, **options):
        raise FileNotFoundError(path)

    used = SimpleNamespace(ru_maxrss=3 * 2**20)
    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda who: used)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert peak_memory() == {"host_mb": expected}
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    machine.cache_clear()
    assert machine() == "arm, 8 cores"
    machine.cache_clear()


def test_a_stage_without_torch_has_no_device(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert device_used() is None
