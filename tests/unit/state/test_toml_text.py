"""TOML as people read it: the line of every key, whatever the file looks like, and values that read back."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.state.toml_text import lines_of, table_text, value_text

TEXT = '''# a comment = 1
title = """
fake = 1
[fake]
"""
a.b = 1

[one."x/y".two]   # with = a comment
list = [
  1, # two
  2,
]
table = { in = 1, "q r" = 2 }
[[many]]
name = "first"
[[many]]
name = "second"
[many.inner]
deep = 3
'''


def test_every_key_has_its_line_and_nothing_in_a_text_is_one() -> None:
    found = {path: TEXT.split("\n")[line - 1] for path, line in lines_of(TEXT).items()}
    assert found == {
        ("title",): 'title = """',
        ("a",): "a.b = 1",
        ("a", "b"): "a.b = 1",
        ("one", "x/y", "two"): '[one."x/y".two]   # with = a comment',
        ("one", "x/y", "two", "list"): "list = [",
        ("one", "x/y", "two", "table"): 'table = { in = 1, "q r" = 2 }',
        ("one", "x/y", "two", "table", "in"): 'table = { in = 1, "q r" = 2 }',
        ("one", "x/y", "two", "table", "q r"): 'table = { in = 1, "q r" = 2 }',
        ("many", 0): "[[many]]",
        ("many", 0, "name"): 'name = "first"',
        ("many", 1): "[[many]]",
        ("many", 1, "name"): 'name = "second"',
        ("many", 1, "inner"): "[many.inner]",
        ("many", 1, "inner", "deep"): "deep = 3",
    }


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.dictionaries(NAMES, VALUES, max_size=3))
def test_what_is_written_is_read_back(value: Any, table: dict[str, Any]) -> None:
    assert tomllib.loads(f"x = {value_text(value)}") == {"x": value}
    assert tomllib.loads(table_text("t", table)) == {"t": table}
