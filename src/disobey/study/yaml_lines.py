"""YAML with line numbers, without duplicate keys, and with 5e-4 as a number."""

import re
from pathlib import Path
from typing import Any

import yaml

from disobey.errors import UserError

Location = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_with_lines(path: Path) -> tuple[Any, dict[Location, int]]:
    """Read a YAML file.

    Returns
    -------
    value : Any
        The document.
    lines : dict
        The line (from 1) of every key and list item, by its path of keys and indices.

    Raises
    ------
    UserError
        For a missing file, broken YAML or a key given twice, with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error.reason})") from None
    loader = _Loader(text)
    lines: dict[Location, int] = {}
    try:
        node = loader.get_single_node()
        value = None if node is None else _construct(loader, node, (), lines, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML: {error}") from None
    finally:
        loader.dispose()
    return value, lines


def _construct(
    loader: _Loader, node: yaml.Node, here: Location, lines: dict[Location, int], path: Path
) -> Any:  # noqa: ANN401 - any YAML value
    lines.setdefault(here, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        _refuse_duplicates(loader, node, here, path)
        loader.flatten_mapping(node)  # anchors merged by <<; the mapping's own keys come last
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            lines[(*here, key)] = key_node.start_mark.line + 1
            mapping[key] = _construct(loader, value_node, (*here, key), lines, path)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*here, index), lines, path)
            for index, item in enumerate(node.value)
        ]
    return loader.construct_object(node, deep=True)


def _refuse_duplicates(
    loader: _Loader, node: yaml.MappingNode, here: Location, path: Path
) -> None:
    first: dict[Any, int] = {}
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{path}:{line}: a key must be a plain word")
        key = loader.construct_object(key_node, deep=True)
        if key in first:
            where = ".".join(map(str, (*here, key)))
            raise UserError(
                f"{path}:{line}: {where}: is given twice, first on line {first[key]}; "
                f"remove or rename one of them"
            )
        first[key] = line
