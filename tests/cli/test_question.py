"""The question before many targets change at once, on a real terminal: yes, no, Ctrl-C, and no answer at all."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from clocks import clock_at
from gitlab import conftest as gitlab
from gitlab.team import Team
from shop import Kept, Shop, popularity, twice_shipped
from terminal import Terminal

from pointsman.verbs import publish
from pointsman.verbs.hold import Request, change_hold
from pointsman.workspace import Workspace

NAMES = "grocer/cart, grocer/home"
COMMANDS = {
    "rollback": (("rollback", "*/*", "--now", "--reason", "x"), f"roll back 2 targets on main at once ({NAMES})?"),
    "hold": (("hold", "*/*", "--until", "2h", "--reason", "x", "--now"), f"hold 2 targets on main at once ({NAMES})?"),
    "release": (("release", "*/*", "--reason", "x", "--now"), f"release 2 targets on main at once ({NAMES})?"),
    "retire": (
        ("retire", "*/*", "--older-than", "1h", "--merge"),
        f"retire versions of 2 targets on main at once ({NAMES})?",
    ),
    "pr merge": (("pr", "merge", "grocer/*"), f"merge 2 pull requests ({NAMES})?"),
}
ANSWERS = {"yes": ("y\r", 0), "no": ("n\r", 2), "Ctrl-C": ("\x03", 130), "end of input": ("\x04", 130)}


def two_shipped(root: Path) -> Shop:
    shop = twice_shipped(root)
    unused = [popularity(shop.root / f"{name}.json", 9, surface=name, salt="unused") for name in ("cart", "home")]
    yesterday = clock_at(time.time() - 86400)
    with shop.open() as repo:
        publish.publish(Workspace(repo, clock=yesterday), publish.Request(tuple(map(str, unused)), record_only=True))
    for items in (40, 44):
        shop.publish(popularity(shop.root / "cart.json", items, surface="cart"), merge=True)
    for surface in ("cart", "home"):
        shop.publish(popularity(shop.root / f"{surface}.json", 46, surface=surface))
    shop.pull()
    return shop


def hold_both(shop: Shop) -> None:
    for target in ("grocer/cart", "grocer/home"):
        with shop.open() as repo:
            change_hold(Workspace(repo), Request(target, "2h", "x", now=True))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("asked"), two_shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def asked(desk: Path, *words: str) -> Terminal:
    return Terminal([sys.executable, "-m", "pointsman", *words], desk, {**os.environ, "TERM": "dumb"})


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_only_a_yes_changes_anything(command: str, answer: str, shop: Shop) -> None:
    words, question = COMMANDS[command]
    keys, code = ANSWERS[answer]
    if command == "release":
        hold_both(shop)
    before = shop.everything()
    terminal = asked(shop.desk, *words)
    assert question in terminal.until(r"\[y/N\]: ")
    terminal.answer(keys)
    assert terminal.ends() == code, terminal.seen
    assert "Traceback" not in terminal.seen
    assert (shop.everything() == before) == (answer != "yes")


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
def test_only_a_yes_sets_up_the_forge(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, code = ANSWERS[answer]
    with gitlab.standing(tmp_path / "hub", monkeypatch) as hub:
        team = Team(tmp_path, hub)
        hub.settings["squash_option"] = "default_off"
        calls = len(hub.calls)
        terminal = asked(team.desk, "doctor", "--fix")
        shown = terminal.until(r"set it so\? \[y/N\]: ")
        assert "squash_option is default_off, should be always" in shown
        terminal.answer(keys)
        assert terminal.ends() == code, terminal.seen
        assert "Traceback" not in terminal.seen
        assert ("by hand, where it is not done yet:" in terminal.seen) == (answer in ("yes", "no"))
        assert ({method for method, _ in hub.calls[calls:]} == {"GET"}) == (answer != "yes")
        assert (hub.settings["squash_option"] == "always") == (answer == "yes")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_who_said_yes_before_is_not_asked(command: str, shop: Shop) -> None:
    if command == "release":
        hold_both(shop)
    terminal = asked(shop.desk, *COMMANDS[command][0], "--yes")
    assert terminal.ends() == 0, terminal.seen
    assert "[y/N]" not in terminal.seen
