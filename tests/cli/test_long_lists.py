"""Lists that may be as long as a store have a limit in text, and none with -v or in a document."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from shop import Kept

from pointsman.cli import adopt, find, publish, retire, verify
from pointsman.cli.console import MOST_LINES
from pointsman.cli.main import main
from pointsman.values import ToldFault
from pointsman.verbs.adopt import Adopted
from pointsman.verbs.find import Finding, NotRead
from pointsman.verbs.publish import Published
from pointsman.verbs.retire import Retired
from pointsman.verbs.verify import Verified

MANY = MOST_LINES + 3
UNREAD = [NotRead(f"file:///s/{number}", "gone") for number in range(MANY)]
FAULTS = [ToldFault("a rule", f"file-{number}", "says") for number in range(MANY)]
TEXTS: dict[str, Callable[[bool], str]] = {
    "find": lambda every: find.render(Finding(0, 0, [], UNREAD, 0), every=every),
    "retire": lambda every: retire.render(Retired([], False, 0, [], UNREAD), every=every),
    "verify": lambda every: verify.render(Verified(0, 0, FAULTS), every=every),
    "adopt": lambda every: adopt.render(Adopted("file:///r", [], [], FAULTS), every=every),
    "publish": lambda every: publish.render(Published([], [], FAULTS), every=every),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_first_are_told_and_how_many_more_there_are(text: Callable[[bool], str]) -> None:
    short, whole = text(False).splitlines(), text(True).splitlines()
    assert len(whole) - len(short) == 3 - 1
    assert [line for line in short if line not in whole] == ["… and 3 more: -v or --json tells all"]


def test_with_v_and_in_a_document_all_are_told(two_ships: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    shop = two_ships.fresh()
    for number in range(MANY):
        (shop.store / "grocer" / "home" / "cooc" / f"{number:064x}.json").write_text("no JSON")

    def said(*words: str) -> str:
        assert main(["-C", str(shop.desk), *words]) == 5
        return capsys.readouterr().out

    assert said("find", "an-id").count("not read: ") == MOST_LINES
    assert said("-v", "find", "an-id").count("not read: ") == MANY
    assert len(json.loads(said("find", "an-id", "--json"))["unread"]) == MANY


def test_check_tells_the_first_faults_and_with_v_all(two_ships: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    shop = two_ships.fresh()
    for number in range(MANY):
        (shop.desk / "manifests" / f"stray-{number}.txt").write_text("x\n")
    shop.push("stray files")

    def said(*words: str) -> int:
        assert main(["-C", str(shop.desk), *words, "check", "--base", "HEAD~1", "--head", "HEAD"]) == 1
        return capsys.readouterr().out.count("bad-path")

    assert said() < said("-v")
