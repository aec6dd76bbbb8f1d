"""Ship: recorded versions become current without their files, and only if they are there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clocks import clock_at
from shop import GROCER, Kept, Shop, git, refused

from pointsman.cli.main import main
from pointsman.errors import Refused
from pointsman.outcome import Outcome
from pointsman.repo.snapshot import Snapshot, versions_in
from pointsman.verbs import refresh, review, ship
from pointsman.workspace import Workspace


@pytest.fixture
def shop(two_ships: Kept) -> Shop:
    return two_ships.fresh()


def make_current(shop: Shop, **more: Any) -> Outcome[Any]:
    """Roll forward to the first day's popularity and cooc, named by their first digits."""
    wanted = tuple((slot, versions(shop, "first")[slot][:8]) for slot in ("popularity", "cooc"))
    with shop.open() as repo:
        return ship.ship(Workspace(repo), ship.Request(GROCER, wanted, **more))


def versions(shop: Shop, when: str = "now") -> dict[str, str]:
    shipped = git(shop.origin, "log", "--format=%H", "main", "--", GROCER.manifest_path).split()
    with shop.open() as repo:
        repo.refresh()
        commit = shipped[-1] if when == "first" else shipped[0]
        return dict(versions_in(repo, Snapshot(repo, repo.resolve(commit)).entry(GROCER.manifest_path)))


@pytest.mark.slow
def test_recorded_versions_are_opened_merged_and_then_unchanged(shop: Shop) -> None:
    was, first = versions(shop), versions(shop, "first")
    opened = make_current(shop)
    assert opened.document["targets"][0]["outcome"] == "opened"
    assert opened.document["versions"] == {slot: first[slot] for slot in ("popularity", "cooc")}
    assert make_current(shop).document["targets"][0]["outcome"] == "unchanged"
    assert make_current(shop, merge=True, run="https://ci.example/9").document["targets"][0]["outcome"] == "merged"
    assert versions(shop) == {**was, "popularity": first["popularity"], "cooc": first["cooc"]}
    assert make_current(shop).document["targets"][0]["pull_request"] is None
    assert shop.sync().document["targets"][0]["outcome"] == "written"
    assert shop.check(base="main~1", head="main") == []
    assert git(shop.origin, "ls-tree", "-r", "--name-only", "main~1") == git(
        shop.origin, "ls-tree", "-r", "--name-only", "main"
    )


def test_what_main_has_can_be_shipped_again(shop: Shop) -> None:
    """The same versions and a new time: for a ring it is another state, and a git revert of it changes no version."""
    was, before = shop.main, json.loads(shop.manifest)
    with shop.open() as repo:
        shipped = ship.ship(Workspace(repo), ship.Request(GROCER, again=True, merge=True)).document
    assert shipped["targets"][0]["outcome"] == "merged"
    after = json.loads(shop.manifest)
    assert after["updated_at"] > before["updated_at"]
    assert {**after, "updated_at": 0} == {**before, "updated_at": 0}
    assert git(shop.origin, "log", "-1", "--format=%s", "main") == "ship: grocer/home again"
    assert shop.check(base=was, head="main") == []
    assert shop.sync().document["targets"][0]["outcome"] == "written"
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    assert json.loads(shop.manifest) == before
    assert shop.sync().document["targets"][0]["outcome"] == "written"


@pytest.mark.slow
def test_an_open_pull_request_that_ships_again_is_adopted_and_closed_when_main_moves(shop: Shop) -> None:
    def again() -> str:
        with shop.open() as repo:
            outcome = ship.ship(Workspace(repo), ship.Request(GROCER, again=True)).document["targets"][0]["outcome"]
            return str(outcome)

    assert [again(), again()] == ["opened", "unchanged"]
    make_current(shop, merge=True)
    with shop.open() as repo:
        done = refresh.refresh(Workspace(repo)).document["pull_requests"]
    assert [each["outcome"] for each in done] == ["closed"]
    assert shop.pulls() == []


@pytest.mark.slow
def test_a_ship_that_goes_to_every_ring_at_once_says_so_and_the_review_shows_it(shop: Shop) -> None:
    settings = shop.desk / "pointsman.toml"
    shop.pull()
    canary = f'[[ring]]\nname = "canary"\nserving = "file://{shop.root}/canary/{{tenant}}/{{surface}}/manifest.json"\n'
    settings.write_text(settings.read_text() + canary + '[[ring]]\nname = "prod"\nafter = "2h"\n')
    shop.push()
    with shop.open() as repo:
        workspace = Workspace(repo)
        asked = ship.Request(GROCER, again=True, accept=("not-soaked",), reason="it fixes prod")
        pull = ship.ship(workspace, asked).document["targets"][0]["pull_request"]
        shown = review.review(workspace.again(), pull["branch"]).document["targets"][0]
    assert [(each["rule"], each["accepted"], each["reason"]) for each in shown["faults"]] == [
        ("not-soaked", True, "it fixes prod")
    ]
    assert "every ring at once" in shown["faults"][0]["says"]
    shop.merge()
    with shop.open() as repo:
        repo.refresh()
        lineage = Workspace(repo).gate.lineage(repo.main, GROCER)
        assert [step.skips_rings for step in lineage] == [True, False, False]
        assert lineage.last is not None
        assert lineage.last.is_good


@pytest.mark.slow
def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    before = shop.everything()
    assert make_current(shop, dry_run=True).document["targets"][0]["outcome"] == "dry-run"
    assert shop.everything() == before


@pytest.mark.slow
def test_what_a_rollback_took_out_rolls_forward_only_by_name(shop: Shop) -> None:
    bad = versions(shop)
    shop.roll_back(now=True, reason="a bad feed")
    words = ["-C", str(shop.desk), "ship", "grocer/home", f"cooc@{bad['cooc'][:12]}", "--merge"]
    assert main(words) == 1
    assert main([*words, "--reship"]) == 0
    assert versions(shop)["cooc"] == bad["cooc"]


@pytest.mark.parametrize("spoil", [pytest.param("missing", marks=pytest.mark.slow), "altered"])
def test_a_blob_that_is_gone_or_altered_stops_it_before_anything_is_written(shop: Shop, spoil: str) -> None:
    blob = shop.store / GROCER.blob_key("cooc", versions(shop, "first")["cooc"])
    blob.chmod(0o644)
    blob.unlink() if spoil == "missing" else blob.write_bytes(blob.read_bytes() + b" ")
    before = shop.everything()
    with pytest.raises(Refused) as error:
        make_current(shop, merge=True)
    assert refused(error.value) == {"blob-missing"} | ({"blob-altered"} if spoil == "altered" else set())
    assert shop.everything() == before


@pytest.mark.slow
def test_a_hold_stops_it(shop: Shop) -> None:
    from pointsman.verbs import hold

    with shop.open() as repo:
        hold.change_hold(
            Workspace(repo, clock=clock_at(0)),
            hold.Request("all", "2999-01-01", "closed", now=True),
        )
    with pytest.raises(Refused) as error:
        make_current(shop)
    assert refused(error.value) == {"on-hold"}


@pytest.mark.slow
def test_what_is_wrongly_asked_is_one_sentence_with_what_was_meant(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    cooc, popularity = (versions(shop)[slot] for slot in ("cooc", "popularity"))
    other = ("0" if cooc[8] != "0" else "1").join((cooc[:8], cooc[9:]))
    for words, says in (
        (["grocer/home"], "name versions, such as popularity@3f2a91c0, or give --again"),
        (["grocer/home", f"cooc@{cooc}", "--again"], "--again ships what main has: leave the versions out"),
        (["grocer/hoem", "--again"], "grocer/hoem was never shipped here: did you mean grocer/home?"),
        (["grocer/home", "--again", "--accept", "not-soaked", "--reason", "x"], "pointsman.toml has no [[ring]]"),
        (["grocer/home", "cooc"], "'cooc' is not TYPE@VERSION"),
        (["grocer/home", "cooc@xyz"], "'cooc@xyz' is not TYPE@VERSION"),
        (["grocer/hoem", f"cooc@{cooc}"], "no version of grocer/hoem is recorded: did you mean grocer/home"),
        (["grocer/home", f"coc@{cooc}"], "no coc of grocer/home is recorded: did you mean cooc?"),
        (["grocer/home", f"cooc@{other}"], f"of grocer/home cooc is recorded: did you mean {cooc[:12]}"),
        (["grocer/home", f"cooc@{popularity}"], "is a version of grocer/home popularity, not of grocer/home cooc"),
        (["grocer/home", f"cooc@{cooc}", f"cooc@{cooc[:9]}"], "cooc is named twice"),
        (["grocer/home", f"cooc@{cooc}", "--accept", "items-drop"], "--accept needs --reason"),
    ):
        assert main(["-C", str(shop.desk), "ship", *words]) == 2, words
        said = capsys.readouterr().err
        assert says in said
        assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_an_ambiguous_prefix_names_the_versions_that_it_begins(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    cooc = versions(shop)["cooc"]
    shop.pull()
    twin = f"{cooc[:-1]}{'0' if cooc[-1] != '0' else '1'}"
    record = shop.desk / GROCER.record_path("cooc", cooc)
    record.with_name(f"{twin}.json").write_text(record.read_text().replace(cooc, twin))
    shop.push()
    assert main(["-C", str(shop.desk), "ship", "grocer/home", f"cooc@{cooc[:9]}"]) == 2
    said = capsys.readouterr().err
    assert f"2 versions begin with {cooc[:9]}" in said
    assert "give more digits" in said
