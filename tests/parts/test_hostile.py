"""What is small to write and costly to read is refused with a sentence: nothing hangs, and no process dies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import hostile
import pytest

# The nearest innocent neighbours of what is refused, and what is only long.
READ = {
    "type: stack within", "type: unique of many", "type: unique of many objects", "type: huge bound", "type: deep not",
    "type: many objections", "type: list of lists",
    "type: many names of a place", "read_exactly: lists", "read_exactly: names", "read_exactly: text",
    "read_exactly: one at the end",
}  # fmt: skip


def played() -> dict[str, dict[str, Any]]:
    """What became of every case: each is read in a process with a limit of processor time and of memory."""
    done = subprocess.run([sys.executable, hostile.__file__], check=True, capture_output=True, text=True)
    return {each["name"]: each for each in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
def test_nothing_that_is_costly_to_read_hangs_or_kills_and_each_says_why() -> None:
    found = played()
    assert len(found) > 80
    assert {name: each["exit"] for name, each in found.items() if each["exit"]} == {}
    assert {name for name, each in found.items() if each["says"] == "read"} == READ
    for name, each in found.items():
        if "doubling" in name:
            assert re.search(r"needs more than [0-9,]+ evaluations of schemas", each["says"]), name
        if name not in READ:
            assert re.match(r"fault (schema|bad-json): \S.*: .+|problem: pointsman\.toml: .+", each["says"]), name
            assert len(each["says"]) < 8000, name
