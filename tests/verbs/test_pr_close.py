"""A person closes a pull request: whoever publishes the same again is told of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from output_schemas import validate
from shop import GROCER, Shop, git, popularity

from pointsman.cli.main import main
from pointsman.verbs import hold, pr
from pointsman.verbs.hold import Request as Holding
from pointsman.workspace import Workspace

CLOSED = "refs/pointsman/closed/"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Ann Ops")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "ann@example.org")
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "first.json", 5), merge=True)
    return shop


def close(shop: Shop, what: str = "grocer/home", reason: str = "") -> None:
    with shop.open() as repo:
        pr.close(Workspace(repo), what, reason=reason)


def kept(shop: Shop) -> str:
    return git(shop.origin, "for-each-ref", "--format=%(refname)", CLOSED)


@pytest.mark.parametrize("merges", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_whoever_publishes_again_what_somebody_closed_is_told_by_whom_and_why(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], merges: bool
) -> None:
    path = popularity(tmp_path / "next.json", 5, salt="n")
    (opened,) = shop.publish(path).document["targets"]
    branch = opened["pull_request"]["branch"]
    assert main(["-C", str(shop.desk), "pr", "close", "grocer/home", "--reason", "too few items"]) == 0
    assert kept(shop) == f"{CLOSED}{branch}"
    elsewhere = tmp_path / "bot"  # which has never seen it
    git(tmp_path, "clone", "-q", str(shop.origin), str(elsewhere))
    (told,) = shop.publish(path, where=elsewhere, merge=merges).document["targets"]
    assert told["outcome"] == ("merged" if merges else "opened")
    assert told["reopens"].startswith("Ann Ops <ann@example.org>, 20")
    assert told["reopens"].endswith("Z: too few items")
    assert kept(shop) == ""
    (again,) = shop.publish(path, merge=merges).document["targets"]
    assert "reopens" not in again, "it is told once"


@pytest.mark.slow
def test_it_is_told_in_words_and_in_the_document(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(popularity(tmp_path / "next.json", 5, salt="n"))
    words = ["-C", str(shop.desk), "publish", path]
    for more, begins in (([], "opened ship/grocer/home/"), (["--merge"], "merged as ")):
        assert main(words) == 0
        close(shop)
        capsys.readouterr()
        assert main([*words, *more]) == 0
        told = capsys.readouterr().out.splitlines()[-1]
        assert told.startswith(f"grocer/home: {begins}")
        assert ", which was closed before (Ann Ops <ann@example.org>, 20" in told
        assert told.endswith("pr merge " + shop.pulls()[0]["id"] if not more else "sync")
    other = str(popularity(tmp_path / "other.json", 5, salt="o"))
    assert main([*words[:-1], other]) == 0
    close(shop)
    capsys.readouterr()
    assert main([*words[:-1], other, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate("publish", document)
    assert document["targets"][0]["reopens"]


@pytest.mark.slow
def test_a_superseded_one_was_not_closed_by_a_person(shop: Shop, tmp_path: Path) -> None:
    older, newer = popularity(tmp_path / "o.json", 5, salt="o"), popularity(tmp_path / "n.json", 5, salt="n", day=3)
    shop.publish(older)
    shop.publish(newer)
    assert kept(shop) == ""
    shop.merge()
    (told,) = shop.publish(older).document["targets"]
    assert (told["outcome"], "reopens" in told) == ("opened", False)


@pytest.mark.slow
def test_a_rollback_and_a_hold_that_somebody_closed_say_so_too(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "next.json", 5, salt="n"), merge=True)
    for act in ("rollback", "hold"):
        for again in (False, True):
            with shop.open() as repo:
                if act == "hold":
                    hold.change_hold(Workspace(repo), Holding(str(GROCER), "2h", reason="bad"))
                else:
                    from pointsman.verbs import rollback

                    rollback.roll_back(Workspace(repo), rollback.Request((GROCER,)))
                notes = [note for note in repo.notes if "is open again, which was closed before (Ann" in note]
            assert len(notes) == again, act
            assert [pull["targets"] for pull in shop.pulls()] == [["grocer/home"]], act
            close(shop, reason="not that")


@pytest.mark.slow
def test_an_origin_that_takes_no_such_refs_is_closed_all_the_same(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "next.json", 5, salt="n"))
    hook = shop.origin / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/*) exit 0;; esac\necho no such refs >&2\nexit 1\n')
    hook.chmod(0o755)
    close(shop, reason="too few items")
    assert (shop.pulls(), kept(shop)) == ([], "")


@pytest.mark.slow
def test_a_repository_that_is_its_own_origin_tells_it_too(shop: Shop, tmp_path: Path) -> None:
    path = popularity(tmp_path / "next.json", 5, salt="n")
    for _ in range(2):
        (told,) = shop.publish(path, where=shop.origin).document["targets"]
        with shop.open(shop.origin) as repo:
            pr.close(Workspace(repo), "grocer/home", reason="too few items")
    assert told["reopens"].endswith(": too few items")
