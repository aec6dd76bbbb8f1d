"""The narrowest table of `[policy]` that names a guardrail decides, type by type."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from test_guardrails import record
from test_guardrails import step as ship

from pointsman.errors import Problem
from pointsman.guardrails.policy import table_name
from pointsman.guardrails.table import DEFAULTS, GUARDRAILS, judge
from pointsman.settings import Settings, read_settings
from pointsman.state.names import Target

HOME, CART = Target("grocer", "home"), Target("grocer", "cart")
STORE = b'[store]\nurl = "file:///srv/recsys"\n'


def settings(text: str) -> Settings:
    return read_settings(STORE + text.encode())


def test_the_narrowest_table_that_names_a_guardrail_decides() -> None:
    text = """
[policy]
items_drop = 0.5
[policy.types.popularity]
items_drop = 0.4
size_jump = { shrink = 2 }
[policy."grocer/home"]
items_drop = 0.3
[policy."grocer/home".popularity]
items_drop = 0.2
"""
    found = settings(text)

    def limits(target: Target) -> list[Any]:
        return [found.limit(target, "items_drop", slot) for slot in ("popularity", "cooc", None)]

    assert limits(HOME) == [0.2, 0.3, 0.3]
    assert limits(CART) == [0.4, 0.5, 0.5]
    assert found.limit(HOME, "size_jump", "popularity") != DEFAULTS["size_jump"]
    assert found.limit(HOME, "size_jump", "cooc") == DEFAULTS["size_jump"]
    places = [found.policy.source(HOME, name, "popularity")[0] for name in ("items_drop", "size_jump", "kept_low")]
    assert places == ["grocer/home|popularity", "types|popularity", None]
    assert table_name("grocer/home|popularity") == '[policy."grocer/home".popularity]'
    assert table_name("types|popularity") == "[policy.types.popularity]"


def test_each_type_is_judged_by_its_own_limit_and_zero_is_not_off() -> None:
    """Both lose a tenth of what they had."""
    before = [record("popularity", summary={"items": 100}), record("cooc", summary={"rows": 100})]
    after = [replace(each, version="f" * 64, summary=dict.fromkeys(each.summary, 90)) for each in before]
    step = ship(before, after)

    def broken(limits: dict[str | None, Any]) -> list[str | None]:
        guardrail = GUARDRAILS["items-drop"]
        return [each.slot for each in judge(guardrail, lambda slot: limits.get(slot, 0.5), [step]) if each.broken]

    assert broken({}) == []
    assert broken({"cooc": 0.05}) == ["cooc"]
    assert broken({"cooc": 0.0, "popularity": False}) == ["cooc"]
    assert broken({"cooc": 0.05, "popularity": 0.05}) == ["cooc", "popularity"]
    figures = judge(GUARDRAILS["items-drop"], lambda slot: slot == "cooc" and 0.5, [step])
    assert [each.slot for each in figures] == ["cooc"]


@pytest.mark.parametrize(
    "text, says",
    [
        ("[policy.types.cooc]\nitms_drop = 1", r"key itms_drop in \[policy.types.cooc\]: did you mean items_drop"),
        ("[policy.types]\nitems_drop = 1", r"unknown key items_drop in \[policy.types\]: it has a table for each type"),
        ("[policy.cooc]\nitems_drop = 1", r"unknown table \[policy.cooc\]: a type is \[policy.types.cooc\], a target"),
        ('[policy."a/b"]\nitms_drop = 1', r'unknown key itms_drop in \[policy."a/b"\]: did you mean items_drop'),
        ('[policy."a/b".szie]\ngrow = 1', r'unknown key grow in \[policy."a/b".szie\]'),
        ("[policy.types.cooc]\nwindows_differ = true", "windows_differ looks at all types together: set it in"),
        ('[policy."a/b".cooc]\ntype_missing = []', "type_missing looks at all types together"),
        ('[policy.types."-"]\nitems_drop = 1', "not a name"),
        ("[policy]\ntypes = 3", r"\[policy.types\] must be a table"),
        ('[policy]\n"a/b" = 3', r'\[policy."a/b"\] must be a table'),
        ("[policy.types.cooc]\nitems_drop = 3", r"items_drop in \[policy.types.cooc\] must be a share"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_with_its_table(text: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        settings(text)
