"""Patterns that are compiled late are those that `re` would have compiled early."""

from __future__ import annotations

import re

import pytest

from pointsman.patterns import pattern


def test_a_pattern_answers_as_a_compiled_one() -> None:
    late, early = pattern(r"(?P<word>[a-z]+)-(\d)", re.IGNORECASE), re.compile(r"(?P<word>[a-z]+)-(\d)", re.IGNORECASE)
    for text in ("ab-1", "AB-2 cd-3", "", "-"):
        assert [found.groups() for found in late.finditer(text)] == [found.groups() for found in early.finditer(text)]
        assert bool(late.fullmatch(text)) == bool(early.fullmatch(text))
        assert late.sub(r"\2", text) == early.sub(r"\2", text)
    assert (late.pattern, late.flags, late.groupindex) == (early.pattern, early.flags, early.groupindex)
    assert pattern(rb"\xff+").fullmatch(b"\xff\xff")


def test_what_is_no_pattern_fails_at_its_first_use() -> None:
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.search("")
