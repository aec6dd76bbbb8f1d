"""Parts of the docs are written from the code: rules and settings of guardrails. Run as a program, this writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pointsman.guardrails.guardrail import Guardrail
from pointsman.guardrails.limits import Jump, on_or_off
from pointsman.guardrails.table import GUARDRAILS
from pointsman.rules.evidence import Checkpoint
from pointsman.rules.table import RULES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rules() -> str:
    rows = [
        f"| `{rule.name}` | {rule.stops} | {rule.mend} | "
        f"{', '.join(each.value for each in Checkpoint if each in rule.at)} | {'yes' if rule.acceptable else ''} |\n"
        for rule in RULES
    ]
    head = "| rule | stops | how to fix it | judged at | may be accepted |\n|---|---|---|---|---|\n"
    return head + "".join(rows)


def guardrails() -> str:
    rows = [f"| `{each.setting}` | {default(each)} | {each.stopped_if} |\n" for each in GUARDRAILS.values()]
    return "| key | default | a ship is stopped if |\n|---|---|---|\n" + "".join(rows)


def default(guardrail: Guardrail) -> str:
    match guardrail.default:
        case bool() as on:
            return f"`{str(on).lower()}`" if guardrail.reads is on_or_off else "off"
        case Jump() as jump:
            return f"`{{ shrink = {jump.shrink:g}, grow = {jump.grow:g} }}`"
        case tuple() as types:
            return f"`[{', '.join(types)}]`"
        case other:
            return str(other)


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = {
    "rules": ("rules.md", rules),
    "guardrails": ("settings.md", guardrails),
}


def around(part: str) -> tuple[str, str]:
    return f"<!-- {part}: written by make docs -->\n", f"<!-- end of {part} -->\n"


@pytest.mark.parametrize("part", PARTS)
def test_the_page_has_what_the_code_has(part: str) -> None:
    page, written = PARTS[part]
    begin, end = around(part)
    assert (DOCS / page).read_text("utf-8").partition(begin)[2].partition(end)[0] == written(), "run make docs"


def test_one_word_says_how_to_put_things_right() -> None:
    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), *root.glob("*.md"), *(root / "tool" / "pointsman" / "schemas").rglob("*.json")]
    wrong = [page.name for page in pages if re.search(r"\bmend(s|ed|ing)?\b", page.read_text())]
    assert not wrong, "write fix"


if __name__ == "__main__":
    for name, (file, write) in PARTS.items():
        start, stop = around(name)
        before, _, rest = (DOCS / file).read_text("utf-8").partition(start)
        (DOCS / file).write_text(before + start + write() + stop + rest.partition(stop)[2], "utf-8")
