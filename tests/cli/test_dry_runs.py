"""Whatever writes has a dry run, or a reason why not; and a dry run writes nothing where the same without it does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pytest
from broken_glass import SETTINGS as SIGNERS
from broken_glass import break_it, let_ann_sign, outcome_of
from shop import STAGING, Kept, Shop, cooc, git, popularity

from pointsman.cli.main import cli, main
from pointsman.verbs.hold import Request, change_hold
from pointsman.workspace import Workspace

READS = {
    "at", "check", "completion", "config", "find", "hash", "log", "pr list", "pr show", "review", "show", "status",
}  # fmt: skip
WITHOUT: Mapping[str, str] = {
    "audit": "keeps how far it came, which only the next audit reads; --bundle writes the one file that it names",
    "demo": "makes a directory of its own, and refuses one that is there",
    "get": "writes the one file that -o names",
    "init": "makes a directory of its own, and refuses one that is there",
    "site": "writes pages into a directory of their own",
}
# They need a repository of another kind.
ELSEWHERE = {
    "adopt": ("verbs/test_adopt.py", "test_a_dry_run_says_what_would_be_done_and_writes_nothing"),
    "approve": ("verbs/test_approve.py", "test_a_dry_run_tries_the_key_and_lands_nothing"),
    "attest": ("verbs/test_attest.py", "test_a_dry_run_checks_and_signs_and_lands_nothing"),
    "rollout": ("verbs/test_rollout.py", "test_a_bad_day_is_stopped_on_main_and_a_newer_one_starts_anew"),
}
ANOTHER = "f" * 64  # a version that nobody recorded


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield name, command
        return
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from leaves(found, f"{name} {each}".strip())


DRY: Mapping[str, Callable[[Shop], tuple[str, ...]]] = {
    "hold": lambda shop: ("hold", "grocer/home", "--until", "2h", "--reason", "x"),
    "hold --now": lambda shop: ("hold", "all", "--until", "2h", "--reason", "x", "--now"),
    "release": lambda shop: ("release", "grocer/home", "--reason", "x", "--now"),
    "pr merge": lambda shop: ("pr", "merge", "grocer/home"),
    "pr close": lambda shop: ("pr", "close", "grocer/home"),
    "publish": lambda shop: ("publish", str(popularity(shop.root / "p.json", 45))),
    "publish of something new": lambda shop: ("publish", str(STAGING / "bookshop"), "--merge"),
    "publish --record-only": lambda shop: ("publish", str(popularity(shop.root / "p.json", 45)), "--record-only"),
    "publish --drop": lambda shop: (
        *("publish", "--drop", "grocer/home:cooc", "--accept", "type-dropped", "--reason", "x"),
    ),
    "retire": lambda shop: ("retire", "--erase", "--merge", first(shop)),
    "rollback": lambda shop: ("rollback", "grocer/home", "--now", "--reason", "x"),
    "ship": lambda shop: ("ship", "grocer/home", f"popularity@{first(shop)}", "--reship"),
    "sync": lambda shop: ("sync", "--prune"),
    "pr refresh": lambda shop: ("pr", "refresh"),
    "rollback --break-glass": lambda shop: ("rollback", "grocer/home", "--break-glass", "--reason", "x"),
    "rollback --ratify": lambda shop: ("rollback", "--ratify"),
    "gc --delete": lambda shop: ("gc", "--delete", "--grace", "0s", "--max-share", "1"),
    "gc --restore": lambda shop: ("gc", "--restore", first(shop)),
    "verify --repair-from": lambda shop: ("verify", "--all", "--repair-from", str(shop.root / "backup")),
    "seen of a log": lambda shop: ("seen", str(shop.root / "web.log"), "--instance", "web"),
    "stamp of a file": lambda shop: ("stamp", str(shop.desk / "a.json")),
    "type new": lambda shop: ("type", "new", "cards", "--from", str(shop.desk / "a.json")),
    "doctor --fix": lambda shop: ("doctor", "--fix"),
    "upgrade of nothing": lambda shop: ("upgrade",),
}
EVERY_DAY = ("hold", "publish", "ship", "sync")  # the others are slow
NOTHING_TO_DO = ("doctor --fix", "upgrade of nothing")  # in this repository


def test_each_command_that_writes_has_a_dry_run_or_a_reason_why_not() -> None:
    names = dict(leaves(cli))
    dry = {name for name, command in names.items() if any("--dry-run" in param.opts for param in command.params)}
    assert {*names} == READS | {*WITHOUT} | dry
    assert not dry & (READS | {*WITHOUT})
    tried = {name for name in names for what in DRY if f"{what} ".startswith(f"{name} ")}
    assert tried | {*ELSEWHERE} == dry
    for path, test in ELSEWHERE.values():
        assert f"def {test}(" in (Path(__file__).parents[1] / path).read_text()


def one_is_stale(shop: Shop) -> None:
    shop.publish(cooc(shop.root / "c.json", 44, day=2))
    shop.publish(popularity(shop.root / "p.json", 45), merge=True)


def ann_has_claimed(shop: Shop) -> None:
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text() + SIGNERS)
    let_ann_sign(shop)
    shop.publish(popularity(shop.root / "p.json", 45), merge=True)
    shop.sync()
    assert outcome_of(break_it(shop)) == "claimed"


def in_the_trash(shop: Shop) -> None:
    key = f"grocer/home/popularity/{first(shop)}.json"
    there = shop.store / ".pointsman/trash/2026-03-01" / key
    there.parent.mkdir(parents=True)
    (shop.store / key).rename(there)


def gone_but_for_a_backup(shop: Shop) -> None:
    (shop.root / "backup").mkdir()
    (shop.store / f"grocer/home/popularity/{first(shop)}.json").rename(shop.root / "backup" / f"{first(shop)}.json")


def loaded(shop: Shop) -> None:
    line = {"ts": time.time(), "msg": "artifact manifest loaded", "tenant": "grocer", "surface": "home"}
    (shop.root / "web.log").write_text(json.dumps({**line, "hash": "ab" * 32}))


def unstamped(shop: Shop) -> None:
    text = popularity(shop.desk / "a.json", 45).read_text()
    (shop.desk / "a.json").write_text(re.sub('"version": *"[0-9a-f]{64}"', '"version": ""', text))


def held(shop: Shop) -> None:
    with shop.open() as repo:
        change_hold(Workspace(repo), Request("grocer/home", "2h", "x", now=True))


BEFORE: Mapping[str, Callable[[Shop], object]] = {
    "sync": lambda shop: (shop.store / "registry/current/grocer/home/manifest.json").unlink(),
    "release": held,
    "pr close": lambda shop: shop.publish(popularity(shop.root / "p.json", 45)),
    "pr merge": lambda shop: shop.publish(popularity(shop.root / "p.json", 45)),
    "pr refresh": one_is_stale,
    "rollback --ratify": ann_has_claimed,
    "gc --delete": lambda shop: (shop.store / f"grocer/home/cooc/{ANOTHER}.json").write_bytes(b"x"),
    "gc --restore": in_the_trash,
    "verify --repair-from": gone_but_for_a_backup,
    "seen of a log": loaded,
    "stamp of a file": unstamped,
    "type new": lambda shop: (shop.desk / "a.json").write_text('{"a": 1}'),
}


def first(shop: Shop) -> str:
    """The version of popularity that was shipped first."""

    path = git(
        shop.origin, "log", "--reverse", "--format=", "--name-only", "main", "--", "registry/grocer/home/popularity"
    )
    return path.split()[0].rpartition("/")[2].removesuffix(".json")


def state(shop: Shop) -> dict[str, str]:
    """What origin, store and serving have, and the checkout as the person has it."""
    checkout = {
        str(path): path.read_text()
        for path in shop.desk.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(shop.desk).parts
    }
    return {**shop.everything(), **checkout, "HEAD": git(shop.desk, "rev-parse", "HEAD")}


@pytest.mark.parametrize(
    "what", [pytest.param(each, marks=() if each in EVERY_DAY else pytest.mark.slow) for each in DRY]
)
def test_a_dry_run_writes_nothing_where_the_same_without_it_does(what: str, two_ships: Kept) -> None:
    shop = two_ships.fresh()
    if what in BEFORE:
        BEFORE[what](shop)
    words = ("-C", str(shop.desk), *DRY[what](shop))
    before = state(shop)
    assert main([*words, "--dry-run"]) == 0
    assert state(shop) == before
    if what not in NOTHING_TO_DO:
        assert main(words) == 0
        assert state(shop) != before
