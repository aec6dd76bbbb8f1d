"""Every option of every command reaches its verb as what it says."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from msgspec.inspect import is_struct
from msgspec.structs import asdict
from shop import Shop

from pointsman.cli.main import cli, main
from pointsman.errors import Problem
from pointsman.state.log_line import FIELDS
from pointsman.state.names import Target
from pointsman.workspace import Workspace

RUN = "https://ci.example/1"
VERSION = "f" * 64
TERMS = {"targets": ("grocer/home",)}
FORMS = ("--json", "--format", "--output", "--oneline", "--help")  # how an answer is told: the verb knows nothing of it
# Their own tests start them.
ELSEWHERE = {
    "status --watch", "status --listen", "sync --listen", "gc --also", "approve --list", "demo --rings", "doctor --fix",
    "doctor --dry-run", "doctor --yes",
}  # fmt: skip


class Row(NamedTuple):
    """An option with its value, the words it needs beside it, and what it changes for the verb."""

    option: str
    value: str | None
    changes: Mapping[str, object]
    beside: str = ""


class Of(NamedTuple):
    """A command: the words it needs, and the verb that it calls."""

    words: str
    verb: str
    rows: tuple[Row, ...]


SHIPS = (
    Row("--run", RUN, {"run": RUN}),
    Row("--merge", None, {"merge": True}),
    Row("--reship", None, {"reship": True}),
    Row("--accept", "items-drop", {"accept": ("items-drop",)}, "--reason why"),
    Row("--reason", "why", {"reason": "why"}),
    Row("--dry-run", None, {"dry_run": True}),
)
OFFLINE = Row("--offline", None, {"offline": True})
COMMANDS: Mapping[str, Of] = {
    "attest": Of("grocer/home --name eval --predicate found.json", "attest.attest", (
        Row("--name", "other", {"name": "other"}),
        Row("--predicate", "else.json", {"predicate": "else.json"}),
        Row("--key", "~/.ssh/id", {"key": "~/.ssh/id"}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "attest --recsys-eval": Of("--recsys-eval report.json --decision decision.json", "attest.attest", (
        Row("--recsys-eval", "other.json", {"report": "other.json"}),
        Row("--decision", "other.json", {"decision": "other.json"}),
    )),
    "approve": Of("grocer/home", "approve.approve", (
        Row("--key", "~/.ssh/id", {"2": "~/.ssh/id"}),
        Row("--dry-run", None, {"dry_run": True}),
    )),

    "at": Of("now grocer/home", "at.at", (Row("--ring", "prod", {"3": "prod"}),)),
    "adopt": Of("", "adopt.adopt", (
        Row("--from", "file:///old", {"registry": "file:///old"}),
        Row("--blobs", "file:///blobs", {"blobs": "file:///blobs"}),
        Row("--run", RUN, {"run": RUN}),
        Row("--reship", None, {"reship": True}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "audit": Of("", "audit.audit", (
        Row("--accept-rewrite", None, {"accept_rewrite": True}),
        Row("--bundle", "main.tar", {"bundle": "main.tar"}),
        Row("--since", "2h", {"since": "2h"}),
        Row("--until", "2026-03-02", {"until": "2026-03-02"}),
    )),
    "audit --verify-bundle": Of("--verify-bundle main.tar", "audit.verify_bundle", (
        Row("--verify-bundle", "other.tar", {"0": "other.tar"}),
    )),
    "check": Of("", "check.check", (
        Row("--base", "main~1", {"base": "main~1"}),
        Row("--head", "topic", {"head": "topic"}),
        Row("--staged", None, {"staged": True}),
        OFFLINE,
    )),
    "demo": Of("", "demo.demo", (
        Row("--store", "s3://b/p", {"store": "s3://b/p"}),
        Row("--endpoint", "http://h", {"endpoint": "http://h"}, "--store s3://b/p"),
    )),
    "find": Of("someone", "find.find", (
        Row("--from", "ids", {"files": ("ids",)}),
        Row("--shard", "2/4", {"shard": (2, 4)}),
    )),
    "config": Of("", "config.config", ()),
    "gc": Of("", "gc.gc", (
        Row("--delete", None, {"delete": True}),
        Row("--grace", "2d", {"grace": "2d"}),
        Row("--max-share", "0.5", {"max_share": 0.5}),
        Row("--no-trash", VERSION, {"no_trash": (VERSION,)}),
        Row("--dry-run", None, {"delete": False}, "--delete"),
    )),
    "gc --restore": Of("--restore aaaa", "gc.restore", (
        Row("--restore", VERSION, {"1": (VERSION,)}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "get": Of(VERSION, "get.get", (Row("-o", "file", {"2": "file"}), OFFLINE)),
    "hold": Of("grocer/home --until 2h --reason why", "hold.change_hold", (
        Row("--until", "3d", {"until": "3d"}),
        Row("--reason", "because", {"reason": "because"}),
        Row("--now", None, {"now": True}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "hold of many": Of("grocer/* --until 2h --reason why", "holds.change_holds", (Row("--yes", None, {}),)),
    "init": Of("there", "init.init", (
        Row("--store", "file:///s", {"store": "file:///s"}),
        Row("--serving", "file:///v/{tenant}/{surface}", {"serving": "file:///v/{tenant}/{surface}"}),
        Row("--forge", "github", {"forge": "github"}),
        Row("--set", "forge.group=run", {"sets": (("forge.group", "run"),)}),
        Row("--with", "systemd", {"extras": ("systemd",)}),
        Row("--ring", "canary", {"rings": ("canary",)}),
        Row("--cloud", "aws", {"cloud": "aws"}),
    )),
    "log": Of("", "log.log", (
        Row("--records", None, {"records": True}),
        Row("--most", "3", {"most": 3}),
        Row("--since", "2026-03-01", {"since": "2026-03-01"}),
        Row("--until", "2026-03-02", {"until": "2026-03-02"}),
        Row("--by", "Ann", {"by": "Ann"}),
        Row("--run", RUN, {"run": RUN}),
        Row("--ring", "prod", {"ring": "prod"}),
        Row("--approvals", None, {"approvals": True}),
    )),
    "log --explain": Of("--explain main", "explain.explain", (
        Row("--explain", "main~1", {"1": "main~1"}),
        Row("--approvals", None, {"approvals": True}),
    )),
    "pr close": Of("grocer/home", "pr.close", (
        Row("--reason", "too few", {"reason": "too few"}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "pr merge": Of("grocer/home", "pr.merge", (Row("--dry-run", None, {"dry_run": True}),)),
    "pr refresh": Of("", "refresh.refresh", (Row("--dry-run", None, {"dry_run": True}),)),
    "pr merge of many": Of("grocer/*", "pr.merge_many", (Row("--yes", None, {}),)),
    "publish": Of("file.json", "publish.publish", (
        *SHIPS,
        Row("--window", "all", {"windows": ("all",)}),
        Row("--drop", "grocer/home:cooc", {"drops": (("grocer/home", "cooc"),)}),
        Row("--record-only", None, {"record_only": True}),
        Row("--all-or-nothing", None, {"all_or_nothing": True}),
    )),
    "release": Of("grocer/home --reason why", "hold.change_hold", (
        Row("--reason", "because", {"reason": "because"}),
        Row("--now", None, {"now": True}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "release of many": Of("grocer/*", "holds.change_holds", (
        Row("--run", RUN, {"3": RUN}),
        Row("--yes", None, {}),
    )),
    "retire": Of(VERSION, "retire.retire", (
        Row("--erase", None, {"erase": True}),
        Row("--reason", "why", {"reason": "why"}),
        Row("--merge", None, {"merge": True}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "retire TARGET": Of("grocer/home --older-than 180d", "retire.retire", (
        Row("--older-than", "26w", {"older_than": "26w"}),
        Row("--keep", "10", {"keep": 10}),
    )),
    "retire of many": Of("grocer/* --older-than 180d", "retire.retire", (Row("--yes", None, {}),)),
    "retire --holding": Of("--holding ids", "retire.retire", (Row("--holding", "others", {"holding": "others"}),)),
    "review": Of("", "review.review", (
        Row("--base", "main~1", {"base": "main~1"}),
        Row("--head", "topic", {"head": "topic"}),
        OFFLINE,
    )),
    "rollback": Of("grocer/home --reason why", "rollback.roll_back", (
        Row("--to", "main~1", {"to": "main~1"}),
        Row("--type", "cooc", {"slot": "cooc"}),
        Row("--run", RUN, {"run": RUN}),
        Row("--now", None, {"now": True}),
        Row("--dry-run", None, {"dry_run": True}),
        Row("--yes", None, {}),
        Row("--hold", None, {"hold": True}),
        Row("--until", "2d", {"until": "2d"}, "--hold"),
        Row("--accept", "items-drop", {"accept": ("items-drop",)}),
        Row("--reason", "because", {"reason": "because"}),
    )),
    "rollback --break-glass": Of("grocer/home --reason why --break-glass", "break_glass.break_glass", (
        Row("--break-glass", None, {}),
        Row("--dry-run", None, {"dry_run": True}),
        Row("--to", "main~1", {"to": "main~1"}),
        Row("--reason", "because", {"reason": "because"}),
        Row("--key", "id", {"key": "id"}),
        Row("--store", "file:///s", {"store": "file:///s"}),
        Row("--serving", "file:///v/{tenant}/{surface}", {"serving": "file:///v/{tenant}/{surface}"}),
    )),
    "rollback --ratify": Of("--ratify", "ratify.ratify", (
        Row("--ratify", None, {}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "ship": Of("grocer/home cooc@0123", "ship.ship", SHIPS),
    "ship --again": Of("grocer/home --again", "ship.ship", (Row("--again", None, {}),)),
    "show": Of(VERSION, "show.show", (OFFLINE,)),
    "seen": Of("log", "seen.seen", (
        Row("--follow", None, {"follow": True}),
        Row("--field", "instance=pod", {"paths": str({**FIELDS, "instance": "pod"})}, "--instance here"),
        Row("--instance", "web-1", {"instance": "web-1"}),
        Row("--place", "eu", {"place": "eu"}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "stamp": Of("there.json", "own_types.stamp", (Row("--dry-run", None, {"dry_run": True}),)),
    "status": Of("", "status.status", (Row("--fail-on", "drift,stale", {"fail_on": ("drift", "stale")}),)),
    "status --wait": Of("--wait 5", "watch.wait", (
        Row("--wait", "7", {"2": 7.0}),
        Row("--instances", "3", {"instances": 3}),
        Row("--fail-on", "behind", {"fail_on": ("behind",)}),
    )),
    "rollout": Of("", "rollout.rollout", (
        Row("--check", None, {"check": True}),
        Row("--dry-run", None, {"dry_run": True}, "--check"),
    )),
    "rollout --watch": Of("--watch 5", "watch.keep_rolling_out", (
        Row("--watch", "7", {"2": 7.0}),
        Row("--check", None, {"check": True}),
    )),
    "sync": Of("", "sync.sync", (
        Row("--dry-run", None, {"dry_run": True}),
        Row("--no-heal", None, {"heal": False}),
        Row("--prune", None, {"prune": True}),
        Row("--accept-rewrite", None, {"accept_rewrite": True}),
    )),
    "sync --watch": Of("--watch 5", "watch.keep_syncing", (
        Row("--watch", "7", {"2": 7.0}),
        Row("--verify-every", "9", {"verify_every": 9.0}),
        Row("--no-heal", None, {"heal": False}),
        Row("--prune", None, {"prune": True}),
    )),
    "type new": Of("cards --from a.json", "own_types.new_type", (
        Row("--from", "b.json", {"2": ("b.json",)}),
        Row("--dry-run", None, {"dry_run": True}),
    )),
    "upgrade": Of("", "upgrade.upgrade", (Row("--dry-run", None, {"dry_run": True}),)),
    "verify": Of("", "verify.verify", (
        Row("--all", None, {"every": True}),
        Row("--sample", "3", {"sample": 3}),
        Row("--shard", "2/4", {"shard": (2, 4)}),
        Row("--repair-from", "backup", {"repair_from": "backup"}),
        Row("--dry-run", None, {"dry_run": True}, "--repair-from backup"),
    )),
}  # fmt: skip


def command_of(name: str) -> list[str]:
    """The command's words in a name of the table."""
    first, *rest = name.split()
    return [first, *rest[:1]] if first in ("type", "pr") else [first]


def options(command: click.Command, name: str = "") -> Iterator[str]:
    """Every option of a command and of those below it, with the command's name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from options(found, f"{name} {below}".strip())
        return
    for each in command.params:
        if isinstance(each, click.Option):
            yield f"{name} {each.opts[-1]}"


def test_no_option_is_left_out_of_the_table() -> None:
    told = {f"{' '.join(command_of(name))} {row.option}" for name, of in COMMANDS.items() for row in of.rows}
    known = {each for each in options(cli) if not each.endswith(FORMS)}
    assert known - ELSEWHERE == told


def plain(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value if isinstance(value, str | int | float | None) else str(value)


def flat(arguments: Mapping[str, object]) -> dict[str, object]:
    """What a verb was given, by name: the fields of a request are told each."""
    found: dict[str, object] = {}
    for name, value in arguments.items():
        if isinstance(value, Workspace):
            found["offline"] = value.gate.blobs.offline
        elif is_struct(value) and not isinstance(value, Target):
            found |= flat(asdict(value))
        elif (type(value).__module__ == "builtins" and not callable(value)) or isinstance(value, Target):
            found[name] = plain(value)
    return found


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Shop(tmp_path_factory.mktemp("options") / "shop").desk


@pytest.fixture
def asked(there: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """What the verb of a command is given for these words."""

    def ask(verb: str, *words: str) -> dict[str, object]:
        given: list[dict[str, object]] = []

        def reached(*arguments: Any, **named: Any) -> None:
            given.append(flat({**{str(place): each for place, each in enumerate(arguments)}, **named}))
            raise Problem("reached")

        module, _, name = verb.rpartition(".")
        with monkeypatch.context() as patch:
            patch.setattr(importlib.import_module(f"pointsman.verbs.{module}"), name, reached)
            assert main(["-C", str(there), *words]) == 2
        assert len(given) == 1, "the verb was not reached"
        return given[0]

    return ask


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_changes_for_its_verb_what_it_says_and_nothing_else(
    name: str, asked: Callable[..., dict[str, object]]
) -> None:
    command, of = command_of(name), COMMANDS[name]
    known: dict[str, dict[str, object]] = {}
    for row in of.rows:
        beside = f"{of.words} {row.beside}".split()
        without = known.setdefault(row.beside, {}) or asked(of.verb, *command, *beside)
        known[row.beside] = without
        if (taken := row.option) in beside:  # given anew: the last one counts
            place = beside.index(taken)
            beside = beside[:place] + beside[place + 2 :]
        value = [row.value] if row.value is not None else []
        with_it = asked(of.verb, *command, *beside, row.option, *value)
        changed = {key: each for key, each in with_it.items() if without.get(key, ...) != each}
        assert changed == row.changes, row.option
