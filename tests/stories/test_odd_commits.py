"""Commits that git takes and that few programs expect, on main and on a pull request: every command goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from odd_commits import ODD, commit, odd, write
from shop import Kept, Shop, git, popularity

from pointsman.cli import main

READ = (
    ("audit",), ("log",), ("status",), ("at", "main", "grocer/home"), ("sync",), ("pr", "list"),
    ("log", "--json"), ("check",),
)  # fmt: skip
VERBS = (
    *READ, ("audit", "--format", "html"), ("audit", "--format", "markdown"), ("log", "grocer/home", "--records"),
    ("at", "2999-01-01", "grocer/home"), ("check", "--base", "main~1", "--head", "main"), ("doctor",),
    ("sync", "--dry-run", "--json"), ("review", "grocer/home"), ("publish", "{root}/p3.json"),
    ("pr", "list"), ("pr", "show", "grocer/home"), ("pr", "refresh"), ("pr", "merge", "grocer/home"), ("sync",),
    ("rollback", "grocer/home", "--now", "--reason", "odd"), ("sync", "--json"), ("log", "grocer/home"),
    ("hold", "grocer/home", "--until", "2h", "--reason", "odd"), ("status", "--json"),
)  # fmt: skip
REFUSED = {"no UTF-8", "EBCDIC", "UTF-7", "UTF-16", "NUL in the message", "no message", "line ends of all kinds"}
REFUSED |= {"what a terminal obeys", "a long line"}  # their message is another


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), twice_shipped)


def twice_shipped(root: Path) -> Shop:
    shop = Shop(root)
    for day in (1, 2, 3):
        popularity(root / f"p{day}.json", 10 + day, day=day)
    shop.publish(root / "p1.json", merge=True)
    shop.publish(root / "p2.json", merge=True)
    shop.sync()
    shop.pull()
    return shop


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def tree(shop: Shop, revision: str = "origin/main") -> str:
    return git(shop.desk, "rev-parse", f"{revision}^{{tree}}")


def push(shop: Shop, oid: str, branch: str = "main") -> None:
    git(shop.desk, "push", "-q", "-f", "origin", f"{oid}:refs/heads/{branch}")


def play(shop: Shop, verbs: Iterable[tuple[str, ...]], capsys: pytest.CaptureFixture[str]) -> str:
    """What the commands said, each of which must have done what it was asked for."""
    said = ""
    for words in verbs:
        code = main(["-C", str(shop.desk), *(word.format(root=shop.root) for word in words)])
        out, err = capsys.readouterr()
        assert code == 0, (words, out, err)
        said += out + err
    return said


def shipped_as(shop: Shop, name: str) -> str:
    """The next ship of grocer/home, squashed onto main as an odd commit."""
    shop.publish(shop.root / "p3.json")
    git(shop.desk, "fetch", "-q", "--prune")
    branch = git(shop.desk, "for-each-ref", "--format=%(refname)", "refs/remotes/origin/ship")
    message = git(shop.desk, "log", "-1", "--format=%B", branch).encode() + b"\n"
    return odd(shop.desk, name, shop.main, tree(shop, branch), message)


@pytest.mark.slow
@pytest.mark.parametrize("verbs", [READ, pytest.param(VERBS, marks=pytest.mark.slow)], ids=["some", "every"])
def test_a_history_of_odd_commits_stops_no_command(
    shop: Shop, capsys: pytest.CaptureFixture[str], verbs: tuple[tuple[str, ...], ...]
) -> None:
    tip = shop.main
    for name in ODD:
        tip = odd(shop.desk, name, tip, tree(shop))
    push(shop, tip)
    said = play(shop, verbs, capsys)
    assert "Jörg <j@example.org>" in said
    assert "(no name)" in said
    assert f"at {tip[:12]}" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_an_odd_commit_that_ships_is_judged_by_its_lines(
    shop: Shop, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    push(shop, shipped_as(shop, name))
    code = main(["-C", str(shop.desk), "sync"])
    assert (code, shop.serving == shop.manifest) == ((5, False) if name in REFUSED else (0, True))
    assert ("unvouched-manifest" in capsys.readouterr().out) is (name in REFUSED)
    if name not in REFUSED:
        play(shop, READ, capsys)
    assert main(["-C", str(shop.desk), "rollback", "grocer/home", "--now", "--reason", "odd"]) == 0
    capsys.readouterr()
    play(shop, (("sync",), ("status",), ("log",)), capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_an_odd_commit_on_a_pull_request_stops_nobody(
    shop: Shop, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shop.publish(shop.root / "p3.json")
    git(shop.desk, "fetch", "-q", "--prune")
    branch = git(shop.desk, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin/ship")
    message = git(shop.desk, "log", "-1", "--format=%B", f"origin/{branch}").encode() + b"\n"
    push(shop, odd(shop.desk, name, shop.main, tree(shop, f"origin/{branch}"), message), branch)
    play(shop, (("pr", "list"), ("pr", "show", branch), ("review", branch), ("status",), ("pr", "refresh")), capsys)
    if name not in REFUSED:
        play(shop, (("pr", "merge", branch), ("sync",), ("audit",)), capsys)
        assert shop.serving == shop.manifest


HIDING: Mapping[str, tuple[bytes, Callable[[str], bytes]]] = {
    "line ends": (b"UTF-7", lambda text: text.replace("\n", "+AAo-").encode()),
    "a letter": (b"UTF-7", lambda text: text.replace("Manifest", "+AE0-anifest").encode()),
    "every letter": (b"IBM037", lambda text: text.encode("cp037")),
    "two bytes a letter": (b"UTF-16LE", lambda text: text.encode("utf-16-le")),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[] if how == "every letter" else pytest.mark.slow) for how in HIDING]
)
def test_a_line_that_only_an_encoding_brings_out_counts_for_nothing(
    shop: Shop, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    tip = shipped_as(shop, "no date")
    encoding, hide = HIDING[how]
    message = hide(git(shop.desk, "log", "-1", "--format=%B", tip).replace("→", "to") + "\n")
    hidden = commit(tree(shop, tip), shop.main, message, more=b"encoding " + encoding + b"\n")
    push(shop, write(shop.desk, hidden))
    assert main(["-C", str(shop.desk), "sync"]) == 5
    assert "unvouched-manifest" in capsys.readouterr().out
    assert main(["-C", str(shop.desk), "audit"]) == 1


@pytest.mark.slow
def test_nothing_unseen_is_shown_whatever_carries_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    unseen = "\u202ea\u200bb\u2066\u00ad\U000e0041\u3164"
    person = f"Eve {unseen} <e{unseen}@example.org> 1773000000 +0000".encode()
    message = f"ship: {unseen}\n\nRun: https://x.example/{unseen}\nReason: {unseen}\n".encode()
    (shop.desk / "holds").mkdir()
    (shop.desk / "holds" / "all.json").write_text(
        '{\n  "v": 1,\n  "until": "2999-01-01T00:00:00Z",\n  "reason": "' + unseen + '",\n  "by": "' + unseen + '"\n}\n'
    )
    (shop.desk / f"{unseen}.json").write_text("{}")
    for name in ("manifests", "registry"):
        (shop.desk / name / unseen).write_text(unseen)
    shop.push()
    tip = write(shop.desk, commit(tree(shop, "HEAD"), shop.main, message, author=person, committer=person))
    push(shop, tip)
    push(shop, tip, f"ship/grocer/home/{unseen}")
    words = (
        ("log",), ("audit",), ("audit", "--format", "markdown"), ("audit", "--format", "html"), ("status",),
        ("at", "main", "grocer/home"), ("check",), ("check", "--base", "main~2"), ("pr", "list"), ("sync",),
        ("pr", "show", f"ship/grocer/home/{unseen}"), ("pr", "merge", unseen),
        ("publish", str(shop.desk / f"{unseen}.json")),
        ("publish", "a.json", "--reason", unseen), ("rollback", "grocer/home", "--to", unseen), ("review", unseen),
        ("review", f"ship/grocer/home/{unseen}"), ("-C", str(shop.root / unseen), "log"), (unseen,),
        ("log", f"--{unseen}"),
        ("hash", str(shop.desk / f"{unseen}.json")), ("doctor",),
    )  # fmt: skip
    settings = f'[store]\nurl = "file://{shop.root}/{unseen}"\n'
    for more in ("", settings, f"{settings}[{unseen}]\n", f'{settings}"{unseen}" = "{unseen}"\n', f"{unseen} ="):
        if more:
            (shop.desk / "pointsman.toml").write_text(more)
            (shop.root / unseen).write_text("a file where the store is a directory")
            git(shop.desk, "fetch", "-q")
            git(shop.desk, "reset", "-q", "--soft", "origin/main")
            shop.push(unseen)
        for each in words:
            main(["-C", str(shop.desk), *each])
            out, err = capsys.readouterr()
            assert not set(out + err) & set(unseen) - {"a", "b"}, each
            assert not re.search("Traceback|bug in pointsman", out + err), (each, err)
