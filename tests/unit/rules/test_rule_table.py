"""The table of the rules."""

from __future__ import annotations

import re

from pointsman.rules.table import BY_NAME, RULES


def test_every_rule_has_a_name_a_sentence_and_a_gate() -> None:
    assert len(BY_NAME) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert rule.stops
        assert rule.at


def test_every_rule_has_a_name_of_its_own_and_says_how_to_mend_it() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.stops and rule.mend and rule.at for rule in RULES)
