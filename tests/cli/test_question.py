"""The question before many targets change at once, on a real terminal: yes, no, Ctrl-C, and no answer at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from shop import Kept, Shop, popularity, twice_shipped
from terminal import Terminal

COMMANDS = {
    "rollback": (("rollback", "*/*", "--now", "--reason", "x"), "roll back 2 targets on main at once"),
    "hold": (("hold", "*/*", "--until", "2h", "--reason", "x", "--now"), "hold 2 targets on main at once"),
}
ANSWERS = {"yes": ("y\r", 0), "no": ("n\r", 2), "Ctrl-C": ("\x03", 130), "end of input": ("\x04", 130)}


def two_shipped(root: Path) -> Shop:
    shop = twice_shipped(root)
    for items in (40, 44):
        shop.publish(popularity(shop.root / "cart.json", items, surface="cart"), merge=True)
    shop.pull()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("asked"), two_shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def asked(shop: Shop, *words: str) -> Terminal:
    return Terminal([sys.executable, "-m", "pointsman", *words], shop.desk, {**os.environ, "TERM": "dumb"})


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_only_a_yes_changes_anything(command: str, answer: str, shop: Shop) -> None:
    words, question = COMMANDS[command]
    keys, code = ANSWERS[answer]
    before = shop.everything()
    terminal = asked(shop, *words)
    shown = terminal.until(r"\[y/N\]: ")
    assert question in shown
    assert "grocer/cart, grocer/home" in shown
    terminal.answer(keys)
    assert terminal.ends() == code, terminal.seen
    assert "Traceback" not in terminal.seen
    assert (shop.everything() == before) == (answer != "yes")


@pytest.mark.slow
def test_who_said_yes_before_is_not_asked(shop: Shop) -> None:
    terminal = asked(shop, *COMMANDS["rollback"][0], "--yes")
    assert terminal.ends() == 0, terminal.seen
    assert "[y/N]" not in terminal.seen
