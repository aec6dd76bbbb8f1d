"""Rollback of runs, of patterns, of one type, with a hold, and what is wrongly asked of it. test_loop has the rest."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import Kept, Shop, cooc, git, popularity, refused

from pointsman.cli.main import main
from pointsman.errors import Problem, Refused
from pointsman.history.events import events
from pointsman.outcome import Outcome
from pointsman.state.names import Pattern, Target
from pointsman.verbs import rollback
from pointsman.workspace import Workspace

NOON = 1772625600  # 2026-03-04T12:00:00Z
BOOKS, KIDS, GROCER = Target("bookshop", "home"), Target("bookshop", "kids"), Target("grocer", "home")
RUNS = [f"https://ci.example/runs/{number}" for number in range(4)]
BOOKSHOP = Pattern("bookshop", "*")


def ship(shop: Shop, day: int, *targets: Target, run: str, only: str = "", merge: bool = True) -> None:
    makers = [make for make in (popularity, cooc) if only in ("", make.__name__)]
    files = [
        make(
            shop.root / f"{each.tenant}-{each.surface}-{make.__name__}.json",
            20 + day,
            tenant=each.tenant,
            surface=each.surface,
            day=day,
        )
        for each in targets
        for make in makers
    ]
    outcome = shop.publish(*files, run=run, merge=merge)
    assert outcome.exit_code == 0, outcome.document


def two_runs(root: Path) -> Shop:
    shop = Shop(root)
    ship(shop, 1, BOOKS, KIDS, GROCER, run=RUNS[1])
    ship(shop, 2, BOOKS, KIDS, GROCER, run=RUNS[2])
    shop.sync()
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("rollback"), two_runs)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def back(
    shop: Shop, *targets: Target | Pattern, where: Path | None = None, at: int = NOON, **more: Any
) -> Outcome[Any]:
    with shop.open(where) as repo:
        return rollback.roll_back(Workspace(repo, clock=clock_at(at)), rollback.Request(targets, **more))


def now(shop: Shop, *targets: Target | Pattern, where: Path | None = None, **more: Any) -> Outcome[Any]:
    return back(shop, *targets, where=where, now=True, reason="a bad feed", **more)


def outcomes(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in outcome.document["targets"]}


def bytes_of(shop: Shop, target: Target, at: str = "main") -> str:
    return git(shop.origin, "show", f"{at}:{target.manifest_path}")


def versions(shop: Shop, target: Target, at: str = "main") -> dict[str, str]:
    return {slot: uri[-69:-5] for slot, uri in json.loads(bytes_of(shop, target, at))["current"].items()}


def first(shop: Shop, target: Target) -> str:
    """The commit that shipped it first."""
    return git(shop.origin, "log", "--format=%H", "main", "--", target.manifest_path).split()[-1]


# a run


@pytest.mark.slow
def test_all_that_a_run_shipped_goes_back_in_one_commit_byte_for_byte(shop: Shop) -> None:
    before = shop.main
    done = now(shop, run=RUNS[2])
    assert outcomes(done) == {"bookshop/home": "merged", "bookshop/kids": "merged", "grocer/home": "merged"}
    assert git(shop.origin, "rev-list", f"{before}..main") == shop.main
    for target in (BOOKS, KIDS, GROCER):
        assert bytes_of(shop, target) == bytes_of(shop, target, first(shop, target))
    text = git(shop.origin, "log", "-1", "--format=%B", "main")
    assert f"Back to what stood before the run {RUNS[2]}\n" in text
    assert text.count("\nRollback-Now: ") == 3
    assert "\nReason: a bad feed" in text
    assert {each["outcome"] for each in shop.sync().document["targets"]} == {"written"}
    assert shop.check(base=before, head="main") == []
    again = now(shop, run=RUNS[2])
    assert set(outcomes(again).values()) == {"unchanged"}
    assert "nothing that this run shipped" in again.document["targets"][0]["says"]


@pytest.mark.slow
def test_a_run_goes_back_in_one_pull_request_of_which_there_is_one(shop: Shop) -> None:
    done = back(shop, run=RUNS[2])
    assert set(outcomes(done).values()) == {"opened"}
    assert set(outcomes(back(shop, run=RUNS[2])).values()) == {"unchanged"}
    (pull,) = shop.pulls()
    assert pull["targets"] == ["bookshop/home", "bookshop/kids", "grocer/home"]
    assert pull["branch"].startswith("rollback/run/")
    shop.merge(pull["id"])
    assert bytes_of(shop, KIDS) == bytes_of(shop, KIDS, first(shop, KIDS))


@pytest.mark.slow
def test_what_others_shipped_since_a_run_stays(shop: Shop) -> None:
    ship(shop, 3, KIDS, run=RUNS[3])
    ship(shop, 3, GROCER, run=RUNS[3], only="cooc")
    theirs = bytes_of(shop, KIDS)
    done = now(shop, run=RUNS[2])
    assert outcomes(done) == {"bookshop/home": "merged", "bookshop/kids": "unchanged", "grocer/home": "merged"}
    assert bytes_of(shop, KIDS) == theirs
    assert versions(shop, GROCER) == {
        "popularity": versions(shop, GROCER, first(shop, GROCER))["popularity"],
        "cooc": versions(shop, GROCER, "main~1")["cooc"],
    }
    assert shop.sync().exit_code == 0


@pytest.mark.slow
def test_of_a_run_those_with_nothing_earlier_are_left_and_said(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    new = Target("bakery", "home")
    ship(shop, 3, KIDS, new, run=RUNS[3])
    words = ["-C", str(shop.desk), "rollback", "--run", RUNS[3], "--now", "--reason", "a bad feed"]
    assert main(words) == 5
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("bakery/home: left as it is: bakery/home was first shipped by this run")
    assert said[1].startswith("bookshop/kids: rolled back on main")
    assert main([*words[:3], "bakery/*", *words[3:]]) == 2
    assert "nothing earlier" in capsys.readouterr().err


@pytest.mark.slow
def test_a_target_that_is_named_and_has_nothing_earlier_stops_all(shop: Shop) -> None:
    new = Target("bakery", "home")
    ship(shop, 3, KIDS, new, run=RUNS[3])
    before = shop.main
    with pytest.raises(Problem, match="bakery/home was first shipped by this run"):
        now(shop, KIDS, new, run=RUNS[3])
    assert shop.main == before


@pytest.mark.slow
def test_of_a_run_only_the_targets_that_are_named_go_back(shop: Shop) -> None:
    done = now(shop, BOOKSHOP, run=RUNS[2])
    assert outcomes(done) == {"bookshop/home": "merged", "bookshop/kids": "merged"}
    assert versions(shop, GROCER) != versions(shop, GROCER, first(shop, GROCER))


def test_every_blob_of_a_run_is_proven_before_anything_moves(shop: Shop) -> None:
    for target, spoil in ((KIDS, "missing"), (GROCER, "altered")):
        version = versions(shop, target, first(shop, target))["popularity"]
        blob = shop.store / target.blob_key("popularity", version)
        blob.chmod(0o644)
        blob.unlink() if spoil == "missing" else blob.write_bytes(b"x" + blob.read_bytes()[1:])
    before = shop.everything()
    with pytest.raises(Refused) as error:
        now(shop, run=RUNS[2])
    assert refused(error.value) == {"blob-missing", "blob-altered"}
    assert shop.everything() == before


@pytest.mark.slow
def test_a_blob_is_read_once_for_a_rollback(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from pointsman.store.directory import FileStore

    read: list[str] = []
    really = FileStore.digest

    def digest(store: FileStore, key: str, *most: int) -> tuple[int, str] | None:
        read.append(key)
        return really(store, key, *most)

    monkeypatch.setattr(FileStore, "digest", digest)
    now(shop, run=RUNS[2])
    assert len(read) == len(set(read)) == 6


@pytest.mark.slow
def test_a_run_whose_ship_a_merge_brought_in_is_found(shop: Shop) -> None:
    ship(shop, 3, KIDS, run=RUNS[3], merge=False)
    shop.pull()
    (pull,) = shop.pulls()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "a merge", f"origin/{pull['branch']}")
    git(shop.desk, "push", "-q", "origin", "HEAD:main", f":{pull['branch']}")
    was = bytes_of(shop, KIDS, "main~1")
    assert outcomes(now(shop, run=RUNS[3])) == {"bookshop/kids": "merged"}
    assert bytes_of(shop, KIDS) == was


# patterns


@pytest.mark.slow
def test_a_pattern_is_every_target_that_it_matches(shop: Shop) -> None:
    done = now(shop, BOOKSHOP)
    assert outcomes(done) == {"bookshop/home": "merged", "bookshop/kids": "merged"}
    assert bytes_of(shop, BOOKS) == bytes_of(shop, BOOKS, first(shop, BOOKS))


@pytest.mark.slow
def test_a_dry_run_tells_what_would_change_and_changes_nothing(shop: Shop) -> None:
    before = shop.everything()
    done = now(shop, BOOKSHOP, dry_run=True)
    assert outcomes(done) == {"bookshop/home": "dry-run", "bookshop/kids": "dry-run"}
    assert shop.everything() == before


@pytest.mark.slow
@pytest.mark.parametrize("answer, merged", [("n", False), ("y", True), ("", True)])
def test_on_a_terminal_many_targets_at_once_are_asked_for(shop: Shop, answer: str, merged: bool) -> None:
    """Without an answer: --yes was given."""
    before = shop.main
    here, there = pty.openpty()
    words = ["rollback", "*/*", "--now", "--reason", "a bad day", *([] if answer else ["--yes"])]
    program = [sys.executable, "-P", "-m", "pointsman", "-C", str(shop.desk), *words]
    with subprocess.Popen(program, stdin=there, stdout=there, stderr=there) as ran:
        os.close(there)
        shown = b""
        try:
            while some := os.read(here, 1 << 16):
                shown += some
                if b"[y/N]" in shown and answer:
                    os.write(here, f"{answer}\n".encode())
                    answer = ""
        except OSError:  # EIO: nobody has the terminal open any more
            pass
    os.close(here)
    assert (shop.main != before, ran.returncode == 0) == (merged, merged), shown
    assert (b"roll back 3 targets on main at once" in shown) == ("--yes" not in words)
    assert (b"you did not say yes" in shown) != merged


@pytest.mark.slow
def test_a_partial_clone_fetches_what_it_needs_together(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\nkind = "local"\ngroup = "run"\n')
    shelves = [Target("library", f"shelf-{number}") for number in range(20)]
    ship(shop, 1, *shelves, run=RUNS[1], only="popularity")
    ship(shop, 2, *shelves, run=RUNS[3], only="popularity")
    git(shop.origin, "config", "uploadpack.allowFilter", "true")
    git(shop.origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    trace = tmp_path / "trace"
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "git-upload-pack"
    shim.write_text(f'#!/bin/sh\necho x >>"{trace}"\nexec git upload-pack "$@"\n')
    shim.chmod(0o755)
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{shop.origin}", "clone")
    git(tmp_path / "clone", "config", "remote.origin.uploadpack", f"'{shim}'")
    git(tmp_path / "clone", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    done = now(shop, run=RUNS[3], where=tmp_path / "clone")
    assert set(outcomes(done).values()) == {"merged"}
    assert len(trace.read_text().split()) < 12


# one type


@pytest.mark.slow
def test_one_type_goes_back_and_the_others_stay(shop: Shop) -> None:
    was, old = versions(shop, GROCER), versions(shop, GROCER, first(shop, GROCER))
    later = int(time.time()) + 60  # than the last ship, so that it would build other bytes
    opened, again = (back(shop, GROCER, slot="cooc", at=at) for at in (NOON, later))
    assert [outcomes(each) for each in (opened, again)] == [{"grocer/home": "opened"}, {"grocer/home": "unchanged"}]
    shop.merge("grocer/home")
    assert versions(shop, GROCER) == {"popularity": was["popularity"], "cooc": old["cooc"]}
    text = git(shop.origin, "log", "-1", "--format=%B", "main")
    digest = hashlib.sha256(bytes_of(shop, GROCER).encode() + b"\n").hexdigest()
    assert f"Manifest: grocer/home sha256:{digest}\n" in text
    assert [each.document["targets"][0]["to"] for each in (opened, again)] == [digest, digest]
    assert f"Restores: grocer/home cooc@{old['cooc']}" in text
    assert shop.sync().document["targets"][2]["outcome"] == "written"
    with pytest.raises(Refused) as error:
        ship(shop, 2, GROCER, run=RUNS[3], only="cooc")
    assert refused(error.value) == {"rolled-back"}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["version", "commit", "time"])
def test_one_type_goes_to_a_version_a_commit_or_a_moment(shop: Shop, what: str) -> None:
    ship(shop, 3, GROCER, run=RUNS[3])
    commit = first(shop, GROCER)
    to = {
        "version": versions(shop, GROCER, commit)["cooc"][:12],
        "commit": commit,
        "time": git(shop.origin, "log", "-1", "--format=%cI", commit),
    }[what]
    was = versions(shop, GROCER)
    now(shop, GROCER, slot="cooc", to=to)
    if what == "time":  # of one second there may be several ships
        assert versions(shop, GROCER)["popularity"] == was["popularity"]
    else:
        assert versions(shop, GROCER) == {**was, "cooc": versions(shop, GROCER, commit)["cooc"]}
    assert set(outcomes(now(shop, GROCER, slot="cooc", to=to)).values()) == {"unchanged"}


@pytest.mark.slow
def test_a_type_that_was_dropped_comes_back(shop: Shop) -> None:
    was = versions(shop, GROCER)
    drop(shop, "cooc")
    assert "cooc" not in versions(shop, GROCER)
    now(shop, GROCER, slot="cooc")
    assert versions(shop, GROCER) == was


def drop(shop: Shop, slot: str) -> None:
    from pointsman.verbs import publish

    with shop.open() as repo:
        request = publish.Request(drops=((GROCER, slot),), merge=True, accept=("type-dropped",), reason="tried")
        publish.publish(Workspace(repo), request)


@pytest.mark.slow
def test_a_type_that_was_dropped_comes_back_though_the_target_once_had_none(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "late")
    ship(shop, 1, GROCER, run=RUNS[1], only="popularity")
    ship(shop, 2, GROCER, run=RUNS[2])
    was = versions(shop, GROCER)
    drop(shop, "cooc")
    assert outcomes(now(shop, GROCER, slot="cooc")) == {"grocer/home": "merged"}
    assert versions(shop, GROCER) == was


@pytest.mark.slow
def test_a_type_that_a_rollback_took_out_is_named_to_be_put_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "late")
    ship(shop, 1, GROCER, run=RUNS[1], only="popularity")
    commit = shop.main
    ship(shop, 2, GROCER, run=RUNS[2])
    ship(shop, 3, GROCER, run=RUNS[3], only="cooc")
    last = versions(shop, GROCER)["cooc"][:12]
    now(shop, GROCER, to=commit)
    says = f"to put back the last one that it had, run pointsman rollback grocer/home --type cooc --to {last}; it also"
    for to in (None, commit):
        with pytest.raises(Problem, match=f"grocer/home has no cooc any more: {says}|had no cooc at .*: {says}"):
            now(shop, GROCER, slot="cooc", to=to)
    with pytest.raises(Problem, match=r"had no embedding at .*, and never had one: did you mean"):
        now(shop, GROCER, slot="embedding", to=commit)
    now(shop, GROCER, slot="cooc", to=last)
    assert versions(shop, GROCER)["cooc"][:12] == last


@pytest.mark.slow
def test_a_type_that_was_shipped_once_more_goes_back_to_what_stood_between(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "again")
    ship(shop, 1, GROCER, run=RUNS[1])
    one = versions(shop, GROCER)["cooc"]
    ship(shop, 2, GROCER, run=RUNS[2])
    two = versions(shop, GROCER)["cooc"]
    ship(shop, 1, GROCER, run=RUNS[3], only="cooc")
    assert versions(shop, GROCER)["cooc"] == one
    assert outcomes(now(shop, GROCER, slot="cooc")) == {"grocer/home": "merged"}
    assert versions(shop, GROCER)["cooc"] == two
    assert outcomes(now(shop, GROCER, slot="cooc")) == {"grocer/home": "unchanged"}


@pytest.mark.slow
def test_one_type_of_what_a_run_shipped_goes_back(shop: Shop) -> None:
    was = versions(shop, KIDS)
    now(shop, BOOKSHOP, run=RUNS[2], slot="popularity")
    assert versions(shop, KIDS) == {**was, "popularity": versions(shop, KIDS, first(shop, KIDS))["popularity"]}
    assert versions(shop, GROCER)["popularity"] != versions(shop, GROCER, first(shop, GROCER))["popularity"]


# what it is called, and what it accepts


@pytest.mark.slow
def test_one_target_and_several_have_branches_of_their_own_and_each_accepts_what_was_said_of_it(shop: Shop) -> None:
    accept = ("grocer/home:items-drop", "bookshop/*:size-jump")
    back(shop, GROCER, BOOKS, accept=accept, reason="a bad feed")
    back(shop, KIDS, accept=("items-drop",), reason="a worse feed")
    refs = git(shop.origin, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/rollback").splitlines()
    of_one, of_two = sorted(refs)
    assert of_one.startswith("rollback/bookshop/kids/")
    assert of_two.startswith("rollback/run/")
    consents = {ref: git(shop.origin, "log", "-1", "--format=%B", ref).splitlines() for ref in refs}
    assert [line for line in consents[of_one] if line.startswith("Accept:")] == [
        "Accept: bookshop/kids items-drop a worse feed"
    ]
    assert [line for line in consents[of_two] if line.startswith("Accept:")] == [
        "Accept: grocer/home items-drop a bad feed",
        "Accept: bookshop/home size-jump a bad feed",
    ]
    with pytest.raises(Problem, match="--accept items-drop would accept it for 2 targets"):
        back(shop, GROCER, BOOKS, accept=("items-drop",), reason="a bad feed")


@pytest.mark.slow
def test_who_has_nothing_earlier_is_a_problem_if_it_was_named_and_left_if_a_pattern_found_it(shop: Shop) -> None:
    begun = first(shop, BOOKS)  # the first of all ships
    with pytest.raises(Problem, match=f"bookshop/kids was not shipped yet at {begun}: pointsman log bookshop/kids"):
        back(shop, BOOKS, KIDS, to=begun)
    found = back(shop, BOOKSHOP, to=begun)
    assert found.exit_code == 5
    home, kids = found.document["targets"]
    assert (home["outcome"], kids["outcome"]) == ("opened", "left")
    assert kids["says"].startswith("bookshop/kids was not shipped yet at")


# with a hold


def test_a_hold_is_set_by_the_same_commit_for_a_day(shop: Shop) -> None:
    before = shop.main
    done = now(shop, BOOKSHOP, hold=True)
    until = {"until": "2026-03-05T12:00:00Z", "reason": "a bad feed"}
    assert [each["hold"] for each in done.document["targets"]] == [until, until]
    assert git(shop.origin, "rev-list", f"{before}..main") == shop.main
    assert json.loads(git(shop.origin, "show", f"main:{KIDS.hold_path}")) == {
        "v": 1, "target": "bookshop/kids", **until
    }  # fmt: skip
    assert set(outcomes(now(shop, BOOKSHOP, hold=True)).values()) == {"unchanged"}


@pytest.mark.slow
def test_a_hold_that_moves_no_manifest_is_told_as_that_and_no_more(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "-C",
        str(shop.origin),
        "rollback",
        "--run",
        RUNS[1],
        "--hold",
        "--until",
        "2999-01-01",
        "--reason",
        "a bad feed",
    ]
    assert main([*words, "--now"]) == 0
    text = git(shop.origin, "log", "-1", "--format=%B", "main")
    assert capsys.readouterr().out.splitlines() == [
        f"{target}: on hold until 2999-01-01T00:00:00Z, on main as {shop.main[:12]}; "
        "the manifest stays: nothing that this run shipped is current any more"
        for target in (BOOKS, KIDS, GROCER)
    ]
    assert text.startswith("hold: 3 targets, bookshop/home, bookshop/kids, grocer/home\n")
    assert text.count("\nBack to what stood before the run ") == 1  # `release --run` finds the hold by it
    assert "Rollback-Now: " not in text
    assert text.count("\nHold-Now: ") == 3
    assert main(["-C", str(shop.origin), "log", "--explain", "main"]) == 0
    assert (told := capsys.readouterr().out).count("Ships are stopped until") == 1
    assert "It went straight to main, without a review." in told
    assert main([*words, "--now"]) == 0
    assert "current any more, on hold until 2999-01-01T00:00:00Z\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_hold_beside_a_rollback_says_for_itself_that_nobody_reviewed_it(shop: Shop) -> None:
    now(shop, GROCER)
    done = now(shop, GROCER, KIDS, hold=True)
    assert outcomes(done) == {"grocer/home": "merged", "bookshop/kids": "merged"}
    text = git(shop.origin, "log", "-1", "--format=%B", "main")
    assert text.startswith("rollback: bookshop/kids to ")
    assert "\nHold-Now: grocer/home\n" in text
    assert "\nRollback-Now: bookshop/kids\n" in text
    with shop.open() as repo:
        repo.refresh()
        told = [event for event in events(repo) if event.commit.oid == shop.main]
    assert sorted((event.target, event.kind, event.now) for event in told) == [
        ("bookshop/kids", "hold", True),
        ("bookshop/kids", "restore", True),
        ("grocer/home", "hold", True),
    ]


@pytest.mark.slow
def test_ships_are_refused_after_a_rollback_with_a_hold(shop: Shop) -> None:
    now(shop, GROCER, hold=True, until="2999-01-01")
    with pytest.raises(Refused) as error:
        ship(shop, 3, GROCER, run=RUNS[3])
    assert refused(error.value) == {"on-hold"}
    now(shop, GROCER, to=first(shop, GROCER))
    assert shop.sync().exit_code == 0


@pytest.mark.slow
def test_a_hold_rides_in_the_pull_request_too_and_a_longer_one_stays(shop: Shop) -> None:
    back(shop, GROCER, hold=True, until="2999-01-01", reason="a bad feed")
    shop.merge("grocer/home")
    assert json.loads(git(shop.origin, "show", f"main:{GROCER.hold_path}"))["until"] == "2999-01-01T00:00:00Z"
    assert outcomes(back(shop, GROCER, hold=True, reason="again")) == {"grocer/home": "unchanged"}


# what is wrongly asked


@pytest.mark.slow
def test_what_is_wrongly_asked_is_one_sentence_with_what_was_meant(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    version = versions(shop, GROCER)["cooc"]
    before = shop.everything()
    for words, says in (
        (["grocer/hoem"], "grocer/hoem was never shipped, there is nothing to roll back: did you mean"),
        (["grocery/*"], "no target on main matches grocery/*: did you mean"),
        (["gro*"], "not a pattern of targets: 'gro*'"),
        (["grocer/home", "--type", "coc"], "grocer/home never had a coc: did you mean"),
        (["grocer/home", "--to", version[:-1] + ("0" if version[-1] != "0" else "1")], f"cooc {version[:12]}"),
        (["grocer/home", "--to", "abcdef0"], "abcdef0 is neither a commit of main nor a version that grocer/home had"),
        (["grocer/home", "--to", "1999-01-01"], "1999-01-01 is before the first commit of main"),
        (["--run", RUNS[0]], f"no ship on main is from the run {RUNS[0]}: did you mean {RUNS[2]}"),
        (["grocer/home", "--run", RUNS[2], "--to", "main"], "leave --to out"),
        (["grocer/home", "--until", "3d"], "--until is when a hold ends: it needs --hold"),
        (["grocer/home", "--hold"], "--hold needs --reason"),
        (["grocer/home", "--hold", "--reason", "x", "--until", "2001-01-01"], "--until 2001-01-01 is past"),
        ([], "name the target to roll back"),
    ):
        assert main(["-C", str(shop.desk), "rollback", *words]) == 2, words
        said = capsys.readouterr().err
        assert says in said
        assert len(said.splitlines()) == 1
    assert shop.everything() == before


@pytest.mark.slow
def test_a_run_that_shipped_only_other_targets_says_which(shop: Shop) -> None:
    ship(shop, 3, KIDS, run=RUNS[3])
    with pytest.raises(Problem, match="shipped none of these targets, but bookshop/kids"):
        back(shop, GROCER, run=RUNS[3])


# at once


@pytest.mark.slow
def test_two_on_call_roll_back_at_the_same_moment_and_one_finds_it_done(shop: Shop, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(shop.origin), "second")
    began = shop.main
    words = ["rollback", "--run", RUNS[2], "--now", "--json", "--reason"]
    processes = [
        subprocess.Popen([sys.executable, "-m", "pointsman", "-C", str(where), *words, who], stdout=subprocess.PIPE)
        for who, where in (("ann", shop.desk), ("ben", tmp_path / "second"))
    ]
    told = [json.loads(process.communicate()[0]) for process in processes]
    assert sorted(" ".join({target["outcome"] for target in one["targets"]}) for one in told) == ["merged", "unchanged"]
    assert git(shop.origin, "rev-list", "--count", f"{began}..main") == "1"


@pytest.mark.slow
def test_a_plain_rollback_after_one_never_goes_forward(shop: Shop) -> None:
    at_first = first(shop, GROCER)
    now(shop, GROCER, to=at_first)
    before = shop.main
    assert outcomes(now(shop, GROCER)) == {"grocer/home": "unchanged"}
    assert outcomes(now(shop, GROCER, slot="popularity")) == {"grocer/home": "unchanged"}
    assert shop.main == before
