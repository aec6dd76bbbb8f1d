"""Whatever writes has a dry run, or writes only when it is told to, or has a reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from shop import STAGING, Kept, Shop, git, popularity, twice_shipped

from pointsman.cli.main import cli, main

READS = {
    "at", "audit", "check", "completion", "config", "find", "hash", "log", "pr list", "pr show", "review", "show",
    "status",
}  # fmt: skip
BY_DEFAULT = {"gc": ("gc", "--grace", "0s")}  # it writes only with --delete, --restore or --no-trash
WITHOUT: Mapping[str, str] = {
    "demo": "makes a directory of its own, and refuses one that is there",
    "get": "writes the one file that -o names",
    "init": "makes a directory of its own, and refuses one that is there",
    "pr refresh": "rebuilds what pr list and status call out of date; a rebuilt pull request waits for approval again",
    "rollout": "without --check it only reads; the next check of a failure would say the same",
    "seen": "keeps what it heard beside the pointers, which nothing depends on but status",
    "site": "writes pages into a directory of their own",
    "verify": "reads, but for --repair, which puts back bytes that have the hash of their name",
}


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield name, command
        return
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from leaves(found, f"{name} {each}".strip())


def has_dry_run(command: click.Command) -> bool:
    return any("--dry-run" in param.opts for param in command.params)


DRY = {name for name, command in leaves(cli) if has_dry_run(command)}
# What each would write; all of them find something to do in the repository below.
WORDS: Mapping[str, tuple[str, ...]] = {
    "doctor": ("--fix",),
    "hold": ("grocer/home", "--until", "2h", "--reason", "x", "--now"),
    "pr close": ("grocer/home",),
    "pr merge": ("grocer/home",),
    "publish": ("{staging}/bookshop", "--merge"),
    "release": ("all", "--reason", "x", "--now"),
    "retire": ("--erase", "--merge", "{version}"),
    "rollback": ("grocer/home", "--now", "--reason", "x"),
    "ship": ("grocer/home", "popularity@{version}", "--reship"),
    "stamp": ("{artifact}",),
    "sync": ("--prune",),
    "type new": ("cards", "--from", "{json}"),
    "upgrade": (),
}


# They need a repository of another kind.
ELSEWHERE = {
    "adopt": ("verbs/test_adopt.py", "test_a_dry_run_says_what_would_be_done_and_writes_nothing"),
    "approve": ("verbs/test_approve.py", "test_a_dry_run_tries_the_key_and_lands_nothing"),
    "attest": ("verbs/test_attest.py", "test_a_dry_run_checks_and_signs_and_lands_nothing"),
}


def test_each_command_that_writes_has_a_dry_run_or_a_reason_why_not() -> None:
    names = {name for name, _ in leaves(cli)}
    assert names == READS | DRY | {*BY_DEFAULT} | {*WITHOUT}
    assert not DRY & (READS | {*BY_DEFAULT} | {*WITHOUT})
    assert {*WORDS} | {*ELSEWHERE} == DRY
    for path, test in ELSEWHERE.values():
        assert f"def {test}(" in (Path(__file__).parents[1] / path).read_text()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("dry"), twice_shipped)


@pytest.mark.parametrize("name", [*sorted(WORDS), "gc"])
@pytest.mark.slow
def test_no_dry_run_changes_a_ref_a_stored_file_or_serving(
    name: str, kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = kept.fresh()
    (shop.store / "orphan").mkdir()
    shop.publish(popularity(shop.root / "p.json", 45))
    if name == "release":
        assert main(["-C", str(shop.desk), "hold", "all", "--until", "2h", "--reason", "x", "--now"]) == 0
    (shop.store / "registry/current/grocer/home/manifest.json").unlink()
    json = shop.root / "a.json"
    json.write_text('{"a": 1}')
    artifact = next((STAGING / "grocer").rglob("*.json"))
    path = git(shop.origin, "log", "--format=", "--name-only", "main", "--", "registry/grocer/home/popularity")
    version = path.split()[-1].rpartition("/")[2].removesuffix(".json")
    given = {
        "json": json, "staging": STAGING, "artifact": artifact, "version": version,
    }  # fmt: skip
    words = BY_DEFAULT.get(name) or (*name.split(), *(each.format(**given) for each in WORDS[name]), "--dry-run")
    before, desk = shop.everything(), _files(shop)
    code = main(["-C", str(shop.desk), *words])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "usage" not in said.err.lower(), said.err
    assert "No such option" not in said.err
    assert shop.everything() == before
    assert _files(shop) == desk


def _files(shop: Shop) -> dict[str, bytes]:
    """The checkout, as the person has it."""
    return {
        str(path): path.read_bytes()
        for path in shop.desk.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(shop.desk).parts
    }
