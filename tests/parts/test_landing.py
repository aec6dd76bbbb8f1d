"""Whoever moves main in its turn lands what waits: on a real origin, with tickets of every kind behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from shop import GROCER, Shop, git, popularity

from pointsman.errors import MovedFirst
from pointsman.forge.base import Opened
from pointsman.intake.staging import read_sources
from pointsman.repo.moves import Move
from pointsman.repo.origin import MAIN
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.repo.turns import TICKETS
from pointsman.shipping import landing
from pointsman.shipping.additions import of_records
from pointsman.shipping.landing import push_together
from pointsman.shipping.pulls import Pull, read_pull
from pointsman.shipping.records import Recording, record_of
from pointsman.state.documents import Record
from pointsman.state.objects import Oid
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.publish(day=1, merge=True)
    shop.pull()
    return shop


def commit_of(repo: Repository, records: Sequence[Record], *, run: str, note: str) -> Oid:
    return of_records(records, run=run, note=note).commit(repo, records)


def record(shop: Shop, tenant: str) -> Record:
    """A record of which main knows nothing yet, and its blob in the store."""
    file = popularity(shop.root / f"{tenant}.json", 30, tenant=tenant)
    with shop.open() as repo:
        settings = Snapshot(repo, repo.refresh()).settings()
        (source,) = read_sources([str(file)], (), {}, settings.artifact_bytes).sources
        Recording(Workspace(repo), settings).put([source], [None])
        return record_of(source, settings, "", "2026-03-02T00:00:00.000000Z")


def files(repo: Repository, files: dict[str, bytes | None], said: str = "by hand") -> Oid:
    return repo.commit(repo.tree_with(repo.tree_of(repo.main), files), [repo.main], said)


def in_turn(shop: Shop, *waiting: Callable[[Repository], Oid]) -> list[str]:
    """What main gets, oldest first, when a publisher moves it in its turn before these commits; no ticket is left."""
    clones = [shop.root / "desk"]
    for number, make in enumerate(waiting):
        clones.append(
            Path(git(shop.root, "clone", "-q", str(shop.origin), f"other{number}") or shop.root / f"other{number}")
        )
        with shop.open(clones[-1]) as other:
            other.refresh()
            other._origin.change_ref(f"{TICKETS}{number + 2:06}-5-{number:06x}", make(other), None)
    before = shop.main
    with shop.open() as repo:
        main = repo.refresh()
        repo._origin.change_ref(f"{TICKETS}000001-5-aaaaaa", main, None)
        repo.refresh()
        with repo.turns.taken():
            repo.turns.held, *others = repo.turns.waiting
            repo.turns.waiting = tuple(others)
            mine = commit_of(repo, [record(shop, "mine")], run="", note="")
            push_together(Workspace(repo), mine)
            assert repo.turns.held is None
    said = git(shop.origin, "log", "--reverse", "--format=%an %s", f"{before}..main").splitlines()
    assert git(shop.origin, "rev-list", "--count", "--min-parents=2", "main") == "0"
    return said


def left(shop: Shop) -> int:
    return len(git(shop.origin, "for-each-ref", TICKETS).splitlines())


@pytest.mark.slow
def test_the_records_of_all_that_wait_land_in_one_push_each_as_its_own_commit(shop: Shop) -> None:
    def waits(tenant: str) -> Callable[[Repository], Oid]:
        return lambda repo: commit_of(repo, [record(shop, tenant)], run="https://ci.example/7", note="")

    said = in_turn(shop, waits("one"), waits("two"), waits("three"))
    assert [line.partition("record: ")[2].split("/")[0] for line in said] == ["mine", "one", "two", "three"]
    assert "Run: https://ci.example/7" in git(shop.origin, "log", "-1", "--format=%B", "main")
    assert left(shop) == 0
    assert shop.check() == []


@pytest.mark.slow
def test_a_record_keeps_the_author_that_its_publisher_gave_it(shop: Shop) -> None:
    def theirs(repo: Repository) -> Oid:
        commit = commit_of(repo, [record(shop, "bookshop")], run="", note="")
        return repo.commit(repo.tree_of(commit), [repo.main], "record: theirs", author="Bea Bot <bea@example.org>")

    assert in_turn(shop, theirs)[1] == "Bea Bot record: theirs"


@pytest.mark.slow
def test_records_that_main_has_already_are_no_commit_and_do_not_wait_on(shop: Shop) -> None:
    same = record(shop, "mine")
    assert len(in_turn(shop, lambda repo: commit_of(repo, [same], run="https://ci.example/7", note=""))) == 1
    assert left(shop) == 0


HOSTILE = (
    "a manifest", "a removal", "a record and a manifest", "a record elsewhere", "a record that is none",
    "a file outside", "a path in another case", "nothing", "another history", "no commit",
)  # fmt: skip


def hostile(shop: Shop) -> dict[str, Callable[[Repository], Oid]]:
    manifest = GROCER.manifest_path
    good = record(shop, "bookshop")

    def twin(repo: Repository) -> Oid:
        return commit_of(repo, [record(shop, "Mine")], run="", note="")

    return {
        "a manifest": lambda repo: files(repo, {manifest: (Snapshot(repo, repo.main).read(manifest) or b"") + b" "}),
        "a removal": lambda repo: files(repo, {manifest: None}),
        "a record and a manifest": lambda repo: files(repo, {good.path: good.render(), manifest: None}),
        "a record elsewhere": lambda repo: files(repo, {record(shop, "x").path: good.render()}),
        "a record that is none": lambda repo: files(repo, {good.path: b"{}\n"}),
        "a file outside": lambda repo: files(repo, {"CODEOWNERS": b"* @me\n"}),
        "a path in another case": twin,
        "nothing": lambda repo: repo.main,
        "another history": lambda repo: repo.commit(repo.tree_of(repo.main), [], "root"),
        "no commit": lambda repo: Oid(git(repo.git_dir, "hash-object", "-w", "--stdin", given="x")),
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
def test_anything_else_that_waits_stays_with_its_owner_and_stops_nobody_behind_it(shop: Shop, what: str) -> None:
    behind = record(shop, "behind")
    said = in_turn(shop, hostile(shop)[what], lambda repo: commit_of(repo, [behind], run="", note=""))
    assert [line.partition("record: ")[2].split("/")[0] for line in said] == ["mine", "behind"]
    assert left(shop) == 1


@pytest.mark.slow
def test_a_bug_that_one_ticket_brings_out_stops_nobody_behind_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    odd, behind = record(shop, "odd"), record(shop, "behind")

    def broken(repo: Repository, opened: Opened) -> Pull:
        found = read_pull(repo, opened)
        if "odd" in found.text:
            raise RecursionError
        return found

    monkeypatch.setattr(landing, "read_pull", broken)
    said = in_turn(shop, *(lambda repo, each=each: commit_of(repo, [each], run="", note="") for each in (odd, behind)))
    assert [line.partition("record: ")[2].split("/")[0] for line in said] == ["mine", "behind"]
    assert left(shop) == 1


@pytest.mark.slow
def test_without_a_turn_nothing_of_others_is_landed(shop: Shop) -> None:
    with shop.open() as repo:
        main = repo.refresh()
        repo._origin.change_ref(
            f"{TICKETS}000001-5-aaaaaa", commit_of(repo, [record(shop, "a")], run="", note=""), None
        )
        repo.refresh()
        assert push_together(Workspace(repo), commit_of(repo, [record(shop, "mine")], run="", note="")) == 0
        assert git(shop.origin, "rev-list", "--count", f"{main}..main") == "1"
    assert left(shop) == 1


@pytest.mark.slow
def test_a_turn_that_others_gave_up_on_moves_nothing(shop: Shop) -> None:
    with shop.open() as repo:
        main = repo.refresh()
        repo._origin.change_ref(f"{TICKETS}000001-5-aaaaaa", main, None)
        repo.refresh()
        (repo.turns.held,) = repo.turns.waiting
        git(shop.origin, "update-ref", "-d", repo.turns.held.ref)
        with pytest.raises(MovedFirst):
            repo.move([Move(MAIN, commit_of(repo, [record(shop, "mine")], run="", note=""), main)])
    assert shop.main == main


@pytest.mark.slow
def test_a_publish_stands_in_a_line_that_is_there_and_takes_away_a_ticket_of_the_dead(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(shop.origin, "update-ref", f"{TICKETS}000001-0-abc", shop.main)
    ended = shop.publish(popularity(shop.root / "a.json", 30, tenant="bookshop"), merge=True)
    assert ended.document["targets"][0]["outcome"] == "merged"
    assert left(shop) == 0


@pytest.mark.slow
def test_one_push_looks_at_a_bounded_number_of_those_that_wait(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_MOST", 1)
    one, two = record(shop, "one"), record(shop, "two")
    waiting = [lambda repo, each=each: commit_of(repo, [each], run="", note="") for each in (one, two)]
    assert len(in_turn(shop, *waiting)) == 2
    assert left(shop) == 1
