"""docs/rules.md has one entry per rule, as the engine has it. Run as a program, this writes them there."""

from __future__ import annotations

from pathlib import Path

from pointsman.rules.evidence import Checkpoint
from pointsman.rules.table import RULES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "rules.md"
BEGIN, END = "<!-- rules: written by tests/test_rules_doc.py -->\n", "<!-- end of rules -->\n"


def entries() -> str:
    rows = [
        f"| `{rule.name}` | {rule.stops} | {rule.mend} | "
        f"{', '.join(gate.value for gate in Checkpoint if gate in rule.at)} | {'yes' if rule.acceptable else ''} |\n"
        for rule in RULES
    ]
    head = "| rule | stops | how to mend it | judged at | may be accepted |\n|---|---|---|---|---|\n"
    return head + "".join(rows)


def test_the_page_has_one_entry_per_rule_as_the_engine_has_it() -> None:
    page = PAGE.read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == entries()


def test_every_rule_has_a_name_of_its_own_and_says_how_to_mend_it() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.stops and rule.mend and rule.at for rule in RULES)


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + entries() + END + rest.partition(END)[2], "utf-8")
