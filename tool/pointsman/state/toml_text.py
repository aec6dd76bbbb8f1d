"""TOML as people read it: values written as they would stand in a file, and the line where each key stands."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.patterns import pattern

_BARE_KEY = pattern(r"[A-Za-z0-9_-]+")
_LONGEST = 200  # lines of one statement
_MOST_LINES = 20_000  # of a file

Path = tuple[str | int, ...]  # names of tables and keys, and the place in a list of tables


def key_text(name: str) -> str:
    """A key as TOML writes it."""
    return name if _BARE_KEY.fullmatch(name) else value_text(name)


def value_text(value: object) -> str:
    """A value as TOML writes it, in one line."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return f"[{', '.join(map(value_text, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key_text(key)} = {value_text(each)}' for key, each in value.items())} }}"
        case _:
            return str(value)


def table_text(name: str, table: object) -> str:
    """A table as TOML, the tables in it after its values; a list of tables with double brackets."""
    if isinstance(table, list) and all(isinstance(each, dict) for each in table):
        rows = ((f"{key_text(key)} = {value_text(value)}\n" for key, value in each.items()) for each in table)
        return "".join(f"\n[[{key_text(name)}]]\n{''.join(each)}" for each in rows)
    if not isinstance(table, dict):
        return f"\n{key_text(name)} = {value_text(table)}\n"
    return "".join(_tables((name,), table))


def _tables(names: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    if len(inner) < len(table) or not inner:
        yield f"\n[{'.'.join(map(key_text, names))}]\n"
    yield from (f"{key_text(key)} = {value_text(value)}\n" for key, value in table.items() if key not in inner)
    for key, value in inner.items():
        yield from _tables((*names, key), value)


def lines_of(text: str) -> Mapping[Path, int]:
    """The line, from 1 on, of each key and table in a TOML file that is valid. A very long statement has none."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    head: Path = ()
    lines = text.split("\n")[:_MOST_LINES]
    at = 0
    while at < len(lines):
        first, statement = at, None
        for last in range(first + 1, min(first + _LONGEST, len(lines)) + 1):
            try:
                statement = tomllib.loads("\n".join(lines[first:last]))
                at = last
                break
            except (tomllib.TOMLDecodeError, RecursionError, ValueError):
                continue
        else:
            at = first + 1
        if not statement:
            continue
        if lines[first].lstrip().startswith("["):
            head = _head(statement, counts)
            found.setdefault(head, first + 1)
        else:
            for path in _paths(statement, head):
                found.setdefault(path, first + 1)
    return found


def _head(statement: Mapping[str, Any], counts: dict[Path, int]) -> Path:
    """The path of the table that a header begins."""
    path: Path = ()
    value: object = statement
    while isinstance(value, dict) and value:
        ((name, value),) = value.items()
        path = (*path, name)
    if isinstance(value, list):
        counts[path] = counts.get(path, -1) + 1
        return (*path, counts[path])
    return next(((*path[:n], counts[path[:n]], *path[n:]) for n in range(1, len(path)) if path[:n] in counts), path)


def _paths(value: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for name, each in value.items():
        yield (*above, name)
        if isinstance(each, dict):
            yield from _paths(each, (*above, name))
