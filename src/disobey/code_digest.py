"""Digests of the code of this package that a stage can run.

A *definition* is a function, a class or an assigned name at the top level of a module. A digest
covers the definitions that a stage reaches from its roots by name, through the imports of this
package. An edit therefore makes stale only the jobs that can run it. Any other statement at the top
level of a module counts wherever the module is imported.

Names are looked up in the source; no module is imported. Names that Python resolves only at run
time are missed; the plan of a study lists such members of registries among the roots.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "disobey"
NOT_MEANING = ("ctx", "kind", "type_comment", "type_ignores")  # fields of syntax trees
LOOSE = ""  # name for a module's statements that belong to no definition
LOGS = ("log", "logger", "logging", "warnings")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(roots: Iterable[str]) -> str:
    """Digest the definitions that ``roots`` reach inside this package.

    Comments, docstrings, formatting and the text of errors and log messages do not count, and the
    digest is the same on every supported Python.

    Parameters
    ----------
    roots : iterable of str
        ``module:name`` for one definition, ``module`` for all of a module.

    Returns
    -------
    str
        16 hex digits.

    Raises
    ------
    ModuleNotFoundError, AttributeError
        If a root does not exist.
    ValueError
        For a relative import or a star import, which are not followed.
    """
    digest = hashlib.sha256()
    for name, own in definition_digests(roots).items():
        digest.update(f"{name}:{own}\n".encode())
    return digest.hexdigest()[:16]


def definition_digests(roots: Iterable[str]) -> dict[str, str]:
    """Return the digest of each definition that ``roots`` reach, by ``module:name``."""
    reached: set[tuple[str, str]] = set()
    waiting = [key for root in roots for key in _of_root(root)]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting.extend(_definition(*key).reaches)
    return {
        f"{module}:{name}": _definition(module, name).digest for module, name in sorted(reached)
    }


def modules_reached(roots: Iterable[str]) -> list[str]:
    """Return the modules of all definitions that ``roots`` reach, and the modules they import."""
    return sorted({name.partition(":")[0] for name in definition_digests(roots)})


def loaded_modules() -> dict[str, str]:
    """Return the digest of every module of this package that the process has imported."""
    names = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
    return {name: module_digest(name) for name in sorted(names) if _file_of(name) is not None}


@functools.cache
def module_digest(module: str) -> str:
    """Return the digest of a whole module, including code that no stage reaches."""
    return source_digest(_tree(module))


def source_digest(tree: ast.AST) -> str:
    """Digest a syntax tree without docstrings, positions and the text of messages.

    ``ast.dump`` and ``ast.unparse`` differ between versions of Python, so neither is used. Empty
    fields are skipped, so a field that a later Python adds changes nothing.
    """
    tokens: list[str] = []
    _write_tokens(tree, tokens)
    return hashlib.sha256("\0".join([*tokens, ""]).encode()).hexdigest()


# --- what a definition reaches ---------------------------------------------------------------


@dataclass(frozen=True)
class Definition:
    """The digest of one definition, and the definitions that it names."""

    digest: str
    reaches: frozenset[tuple[str, str]]


@dataclass
class Source:
    """The top level of a module.

    Attributes
    ----------
    definitions : dict of list of ast.stmt
        By name; a name can be defined more than once.
    loose : list of ast.stmt
        Statements that neither define a name nor import one.
    bindings : dict of set of str
        Dotted paths that a name may refer to, from the import statements at any depth.
    imported : set of str
        Modules of this package that run when this one is imported.
    """

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)
    bindings: dict[str, set[str]] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)


def _of_root(root: str) -> list[tuple[str, str]]:
    module, _, name = root.partition(":")
    if not name:
        return _whole(module)
    if name not in _source(module).definitions:
        raise AttributeError(f"{module} defines no {name}, which a plan names as code of a job")
    return [(module, name)]


def _whole(module: str) -> list[tuple[str, str]]:
    return [(module, name) for name in (LOOSE, *_source(module).definitions)]


@functools.cache
def _definition(module: str, name: str) -> Definition:
    source = _source(module)
    statements = source.definitions[name] if name else source.loose
    reaches = {(module, LOOSE)} if name else {(other, LOOSE) for other in source.imported}
    digest = hashlib.sha256()
    outside = set()
    for statement in statements:
        digest.update(source_digest(statement).encode())
        for path in _paths(statement):
            first, *rest = path.split(".")
            if first in source.definitions:
                reaches.add((module, first))
            for target in source.bindings.get(first, ()):
                found = _resolve(".".join([target, *rest]))
                reaches.update(found)
                outside.update([] if found else [f"{first}={target}"])
        for imported in _imports(statement, module):  # everything that running the module imports
            reaches.add((imported, LOOSE))
    for line in sorted(outside):
        digest.update(line.encode())
    return Definition(digest.hexdigest(), frozenset(reaches - {(module, name)}))


def _resolve(path: str) -> list[tuple[str, str]]:
    """Return the definitions that a dotted path refers to; empty outside this package."""
    if path != PACKAGE and not path.startswith(f"{PACKAGE}."):
        return []
    module = path
    rest: list[str] = []
    while _file_of(module) is None:
        module, _, name = module.rpartition(".")
        rest.insert(0, name)
    source = _source(module)
    if not rest:
        return _whole(module)
    if rest[0] in source.definitions:
        return [(module, rest[0])]
    if rest[0] in source.bindings:
        targets = source.bindings[rest[0]]
        found = [key for target in targets for key in _resolve(".".join([target, *rest[1:]]))]
        return [(module, LOOSE), *found]
    return _whole(module)  # made at run time


def _paths(node: ast.AST, *, wordless: bool = False) -> set[str]:
    """Return the dotted paths that a statement reads, except those in the text of messages."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return {".".join([node.id, *names])}
    wordless = wordless or _is_message(node)
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if not (wordless and isinstance(child, ast.JoinedStr)):
            found |= _paths(child, wordless=wordless)
    return found


@functools.cache
def _source(module: str) -> Source:
    source = Source()
    tree = _tree(module)
    for statement in _at_runtime(tree.body):
        names = _defined(statement)
        for name in names:
            source.definitions.setdefault(name, []).append(statement)
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
                pass
            case _ if not names:
                source.loose.append(statement)
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            source.imported.update(_imports(statement, module))
    for name, target in _bound(tree, module):
        source.bindings.setdefault(name, set()).add(target)
    return source


def _defined(statement: ast.stmt) -> list[str]:
    """Return the names that a statement defines; empty if the statement does anything else."""
    match statement:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return [name]
        case ast.Assign(targets):
            pass
        case ast.AnnAssign(target):
            targets = [target]
        case _:
            return []
    parts = [x for t in targets for x in (t.elts if isinstance(t, ast.Tuple) else [t])]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return names if len(names) == len(parts) else []


def _bound(tree: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    """Yield the names that import statements bind, each with its dotted path."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (first, first)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module}: relative import; write it as {PACKAGE}.… instead")
            for alias in node.names:
                if alias.name == "*":
                    raise ValueError(f"{module}: import *; name what you import")
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Yield the modules of this package that running ``tree`` imports."""
    for node in _statements(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith(f"{PACKAGE}.") and name != module and _file_of(name) is not None:
                yield name


# --- syntax trees ----------------------------------------------------------------------------


def _write_tokens(node: object, tokens: list[str], wordless: bool = False) -> None:
    """Append a syntax tree as text; ``wordless`` replaces strings by empty ones."""
    if isinstance(node, ast.AST):
        wordless = wordless or _is_message(node)
        match node:
            case ast.JoinedStr() | ast.Constant(str()) if wordless:
                node = ast.Constant("")
            case ast.JoinedStr(pieces):  # Python 3.12.0 and 3.12.1 insert empty pieces
                node = ast.JoinedStr([one for one in pieces if getattr(one, "value", None) != ""])
        tokens.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in NOT_MEANING:
                continue
            match value:
                case [ast.Expr(ast.Constant(str())), *rest] if isinstance(node, DOCUMENTED):
                    value = rest
            tokens.append(f".{name}")
            _write_tokens(value, tokens, wordless)
        tokens.append(")")
    elif isinstance(node, list):
        tokens.append("[")
        for item in node:
            _write_tokens(item, tokens, wordless)
        tokens.append("]")
    else:  # ascii: what repr escapes depends on the Unicode version of a Python
        tokens.append(f"{type(node).__name__} {node!a}")


def _is_message(node: ast.AST) -> bool:
    """Return whether a statement's strings are messages: ``raise``, ``print`` and log calls."""
    match node:
        case ast.Raise() | ast.Expr(ast.Call(ast.Name("print"))):
            return True
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name)))):
            return name in LOGS
    return False


def _at_runtime(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements without ``if TYPE_CHECKING:`` blocks, which never run."""
    for statement in statements:
        match statement:
            case ast.If(ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from _at_runtime(statement.orelse)
            case _:
                yield statement


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a module or a statement, and all statements inside it that run; see `_at_runtime`."""
    yield tree
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in _at_runtime(getattr(tree, name, [])):
            yield from _statements(statement)


@functools.cache
def _tree(module: str) -> ast.Module:
    file = _file_of(module)
    if file is None:
        raise ModuleNotFoundError(
            f"no module {module}: the file of a registry's member must bear its name"
        )
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def _file_of(module: str) -> Path | None:
    """Return a module's file, or None if there is none, without importing anything."""
    package, *rest = module.split(".")
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        place = Path(folder, *rest)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None
