"""Provenance of a result: its spec and id, library versions, the machine, the state of git."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

# With eight digits, two of 20,000 specs collide with probability 5 %; with twelve, 7e-7.
_digits: ContextVar[int] = ContextVar("digits", default=12)
VERSIONED = (
    "disobey", "torch", "numpy", "scipy", "xarray", "netCDF4", "transformers", "tokenizers",
    "datasets", "pillow", "matplotlib", "snakemake", "scikit-learn", "mlxtend", "Babel", "timm",
)  # fmt: skip


def canonical(spec: Mapping[str, Any]) -> str:
    """Return ``spec`` as canonical JSON, independent of the order of its keys; NaN is refused."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of ``spec``, in hex."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


def spec_id(prefix: str, spec: Mapping[str, Any]) -> str:
    """Return an id: ``prefix`` and twelve hex digits of the hash of the spec.

    Specs name upstream stores by their ids, so a change of one spec changes all ids downstream.
    """
    return f"{prefix}-{spec_digits(spec)}"


def spec_digits(spec: Mapping[str, Any]) -> str:
    """Return the hex digits with which the id of a spec ends."""
    return spec_hash(spec)[: _digits.get()]


@contextlib.contextmanager
def eight_digits() -> Iterator[None]:
    """Use ids with eight digits, as earlier versions did, inside the ``with`` block."""
    token = _digits.set(8)
    try:
        yield
    finally:
        _digits.reset(token)


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- the machine and the checkout -----------------------------------------------------------


def versions() -> dict[str, str]:
    """Return the installed versions of the libraries that can change a number."""
    installed = {}
    for name in VERSIONED:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


@functools.cache
def machine() -> str:
    """Describe the machine: processor, its cores, memory and GPU."""
    names = re.findall(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.M)
    memory = re.search(r"MemTotal:\s+(\d+) kB", _text("/proc/meminfo"))
    words = [names[0] if names else platform.processor() or platform.machine()]
    words.append(f"{os.cpu_count()} cores")
    words += [f"{round(int(memory[1]) / 2**20)} GiB"] if memory else []
    if device_used() == "cuda":  # a query for the name uses the GPU and its memory
        words.append(sys.modules["torch"].cuda.get_device_name())
    return ", ".join(words)


def device_used() -> str | None:
    """Return ``cuda`` if this process has used a GPU, else ``cpu``; None if torch is not loaded.

    The device in the study is not enough, since ``auto`` uses whatever is available.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return "cuda" if torch.cuda.is_initialized() else "cpu"


def peak_memory() -> dict[str, float]:
    """Return the peak memory of this process in MB: ``host_mb`` and ``card_mb``.

    ``card_mb`` is the memory that torch has reserved on the GPU; absent if no GPU was used.
    """
    # Linux counts in kB, and a process inherits the peak of its parent: only /proc has the
    # process's own peak.
    own = re.search(r"VmHWM:\s+(\d+) kB", _text("/proc/self/status"))
    most = int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes
    peak = {"host_mb": round(unit * most / 1e6, 1)}
    if device_used() == "cuda":
        peak["card_mb"] = round(sys.modules["torch"].cuda.max_memory_reserved() / 1e6, 1)
    return peak


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def git_state() -> dict[str, Any]:
    """Return ``{"commit": str, "dirty": bool}`` of the checkout; values are None without one.

    A package installed into an environment inside another repository has no checkout.
    """
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        if not git("ls-files", "--", str(here)):
            return {"commit": None, "dirty": None}
        commit = git("rev-parse", "HEAD")
        dirty = bool(git("status", "--porcelain", "--", str(here)))
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": dirty}
