"""What a result was made from: specs and their ids, code digests, versions, the state of git."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = "disobey"
NOT_MEANING = ("ctx", "kind", "type_comment", "type_ignores")  # fields of syntax trees
VERSIONED = (
    "disobey", "torch", "numpy", "scipy", "xarray", "netCDF4", "transformers", "tokenizers",
    "datasets", "pillow", "matplotlib", "snakemake", "scikit-learn", "mlxtend", "Babel",
)  # fmt: skip


def canonical(spec: Mapping[str, Any]) -> str:
    """Return the one JSON text that stands for ``spec``, whatever the order of its keys.

    Raises
    ------
    ValueError
        For NaN or infinity, which JSON cannot say.
    """
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of ``spec``, in hex."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


def spec_id(prefix: str, spec: Mapping[str, Any]) -> str:
    """Return ``prefix`` and eight hex digits of the spec.

    Upstream stores stand in a spec by their ids, so the digits chain through the whole graph.
    """
    return f"{prefix}-{spec_hash(spec)[:8]}"


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- code digests --------------------------------------------------------------------------


def code_digest(modules: Iterable[str]) -> str:
    """Digest the meaning of ``modules`` and of all they import inside this package.

    Comments, docstrings and formatting do not count, and the digest is the same on every
    supported Python.

    Parameters
    ----------
    modules : iterable of str
        Dotted names: the stage's module and the registry members that its spec names.

    Returns
    -------
    str
        16 hex digits.
    """
    digest = hashlib.sha256()
    for module, own in module_digests(modules).items():
        digest.update(f"{module}:{own}\n".encode())
    return digest.hexdigest()[:16]


def module_digests(modules: Iterable[str]) -> dict[str, str]:
    """Return the digest of each of ``modules`` and of all they import inside this package."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(_module(module)[1])
    return {module: _module(module)[0] for module in sorted(reached)}


def loaded_modules() -> dict[str, str]:
    """Return the digest of every module of this package that the process has imported."""
    names = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    return {name: _module(name)[0] for name in sorted(names) if _file_of(name) is not None}


@functools.cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a module's own digest and the modules of this package that it imports."""
    file = _file_of(name)
    if file is None:
        raise ModuleNotFoundError(f"no module {name}: a registry member's file must bear its name")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return source_digest(tree), tuple(sorted(set(_imports(tree, name)) - {name}))


def source_digest(tree: ast.AST) -> str:
    """Digest a syntax tree without docstrings and positions.

    Written out here since ``ast.dump`` and ``ast.unparse`` differ between Pythons; fields that are
    empty are skipped, so a field that a later Python adds changes nothing.
    """
    digest = hashlib.sha256()
    for token in _tokens(tree):
        digest.update(token.encode() + b"\0")
    return digest.hexdigest()


def _tokens(node: object) -> Iterator[str]:
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for field, value in ast.iter_fields(node):
            if isinstance(node, ast.JoinedStr):
                value = [piece for piece in value if not _is_empty_text(piece)]
            if field in NOT_MEANING or value in (None, []):
                continue
            if field == "body" and _has_docstring(node):
                value = value[1:]
            yield f".{field}"
            yield from _tokens(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _tokens(item)
        yield "]"
    else:  # ascii: what repr escapes depends on the Unicode version of a Python
        yield f"{type(node).__name__} {node!a}"


def _is_empty_text(node: ast.AST) -> bool:
    """Tell the empty pieces that Python 3.12.0 and 3.12.1 put into f-strings."""
    return isinstance(node, ast.Constant) and node.value == ""


def _has_docstring(node: ast.AST) -> bool:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None


def _imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Yield the package's modules named by any import statement, at any depth of the file."""
    for node in _walk_runtime(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module}: relative import; write it as {PACKAGE}.… instead")
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.startswith(f"{PACKAGE}.") and _file_of(name) is not None:
                yield name


def _walk_runtime(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without ``if TYPE_CHECKING:`` blocks, which never run."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


@functools.cache
def _file_of(module: str) -> Path | None:
    """Return a module's file, or None if there is none; imports nothing, torch least of all."""
    package, *rest = module.split(".")
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        place = Path(folder, *rest)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


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
    """Return in words what the process runs on: processor, its cores, memory and GPU."""
    names = re.findall(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.M)
    memory = re.search(r"MemTotal:\s+(\d+) kB", _text("/proc/meminfo"))
    words = [names[0] if names else platform.processor() or platform.machine()]
    words.append(f"{os.cpu_count()} cores")
    words += [f"{round(int(memory[1]) / 2**20)} GiB"] if memory else []
    if device_used() == "cuda":  # asking for a name is a use, and takes memory of the GPU
        words.append(sys.modules["torch"].cuda.get_device_name())
    return ", ".join(words)


def device_used() -> str | None:
    """Return ``cuda`` where this process has used a GPU, ``cpu`` where not, None without torch.

    What a study asks for does not tell: ``auto`` takes what is there.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return "cuda" if torch.cuda.is_initialized() else "cpu"


def peak_memory() -> dict[str, float]:
    """Return the most memory that this process has taken, in MB: ``host_mb``, ``card_mb``.

    ``card_mb`` is what torch has reserved on the GPU; absent where none was used.
    """
    # Linux counts in kB, and lets a process begin with the peak of the one that started it:
    # of its own memory alone speaks /proc.
    own = re.search(r"VmHWM:\s+(\d+) kB", _text("/proc/self/status"))
    kilobytes = int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = {"host_mb": round(1024 * kilobytes / 1e6, 1)}
    if device_used() == "cuda":
        peak["card_mb"] = round(sys.modules["torch"].cuda.max_memory_reserved() / 1e6, 1)
    return peak


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def git_state() -> dict[str, Any]:
    """Return ``{"commit": str, "dirty": bool}`` of the checkout; None where there is none."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        dirty = bool(git("status", "--porcelain", "--", str(here)))
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": dirty}
