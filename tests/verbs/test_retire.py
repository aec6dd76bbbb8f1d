"""Retire: tombstones by pull requests; what is needed stays, and running it again opens nothing new."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from output_schemas import validate
from shop import GROCER, Shop, cooc, git, popularity

from pointsman.cli import retire as command
from pointsman.cli.pr import render_shown
from pointsman.errors import MovedFirst, Problem
from pointsman.forge.local import LocalForge
from pointsman.gate import blob_cache
from pointsman.outcome import Outcome
from pointsman.state.names import Pattern, Target
from pointsman.verbs import pr, retire
from pointsman.verbs.retire_plan import Request
from pointsman.workspace import Workspace

BAKERY = Target("bakery", "home")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop", "[retention]\nkeep_days = 0\nkeep_ships = 1\n")


def recorded(shop: Shop, tmp_path: Path, day: int, *, tenant: str = "grocer", **how: Any) -> str:
    """A new version of popularity; its name."""
    made = popularity(tmp_path / f"{tenant}-{day}.json", 10 + day, tenant=tenant, day=day)
    shop.publish(made, **{"record_only": True, **how})
    return str(json.loads(made.read_text())["build"]["version"])


def run(shop: Shop, *versions: str, **more: Any) -> Outcome[Any]:
    with shop.open() as repo:
        made = retire.retire(Workspace(repo), Request(versions=versions, **more))
    validate("retire", made.document)
    assert command.render(made.value)
    return made


def outcomes(made: Outcome[Any]) -> list[tuple[str, str, list[str]]]:
    return [
        (each["target"], each["outcome"], [version["version"] for version in each["versions"]])
        for each in made.document["targets"]
    ]


def test_a_version_is_retired_by_a_pull_request_that_passes_the_gate(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    made = run(shop, version[:8], reason="built from test data")
    assert made.exit_code == 0
    assert outcomes(made) == [("grocer/home", "opened", [version])]
    pull = made.document["targets"][0]["pull_request"]
    assert pull["branch"] == f"retire/{pull['id']}"
    assert shop.check("main", f"origin/{pull['branch']}") == []
    assert [each["branch"] for each in shop.pulls()] == [pull["branch"]]
    with shop.open() as repo:
        shown = pr.show(Workspace(repo), pull["id"])
    validate("pr-show", shown.document)
    assert shown.document["retires"] == [{"target": "grocer/home", "type": "popularity", "version": version}]
    assert f"  retires grocer/home popularity {version}" in render_shown(shown.value)
    assert "Reason: built from test data" in git(shop.origin, "log", "-1", "--format=%B", pull["branch"])
    shop.merge(pull["id"])
    path = GROCER.tombstone_path("popularity", version)
    assert json.loads(git(shop.origin, "show", f"main:{path}")) == {
        "v": 1, "tenant": "grocer", "surface": "home", "type": "popularity", "version": version,
        "reason": "built from test data", "erase": False,
    }  # fmt: skip
    assert git(shop.origin, "diff", "--name-only", "main~1", "main") == path
    assert outcomes(run(shop, version)) == [("grocer/home", "unchanged", [version])]


@pytest.mark.slow
def test_running_it_again_opens_nothing_new_and_a_longer_list_only_the_rest(shop: Shop, tmp_path: Path) -> None:
    first, second = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 2)
    opened = run(shop, first).document["targets"][0]["pull_request"]
    before = shop.everything()
    again = run(shop, first, reason="for another reason")
    assert outcomes(again) == [("grocer/home", "unchanged", [first])]
    assert again.document["targets"][0]["pull_request"] == opened
    assert shop.everything() == before
    more = run(shop, first, second)
    assert sorted(outcomes(more)) == [("grocer/home", "opened", [second]), ("grocer/home", "unchanged", [first])]
    shop.merge(opened["id"])
    shop.merge(next(each["pull_request"]["id"] for each in more.document["targets"] if each["outcome"] == "opened"))
    assert outcomes(run(shop, first, second)) == [("grocer/home", "unchanged", [first, second])]


@pytest.mark.slow
def test_an_erasure_that_is_open_beside_what_only_retires_the_version_is_found_again(
    shop: Shop, tmp_path: Path
) -> None:
    for day in (1, 2, 3):  # their branches come in any order
        version = recorded(shop, tmp_path, day)
        run(shop, version)
        opened = run(shop, version, erase=True).document["targets"][0]["pull_request"]
        before = shop.everything()
        again = run(shop, version, erase=True)
        assert outcomes(again) == [("grocer/home", "unchanged", [version])]
        assert again.document["targets"][0]["pull_request"] == opened
        assert shop.everything() == before


@pytest.mark.slow
def test_to_merge_what_is_named_merges_no_pull_request_that_retires_more(shop: Shop, tmp_path: Path) -> None:
    first, second, third = (recorded(shop, tmp_path, day) for day in (1, 2, 3))
    pull = run(shop, first, second, erase=True).document["targets"][0]["pull_request"]
    made = run(shop, first, third, erase=True, merge=True)
    assert sorted(outcomes(made)) == [("grocer/home", "merged", [third]), ("grocer/home", "unchanged", [first])]
    assert (made.exit_code, len(made.notes)) == (5, 1)
    assert f"{pull['branch']} retires 1 more that were not named, so it was not merged" in made.notes[0]
    assert [each["id"] for each in shop.pulls()] == [pull["id"]]
    both = run(shop, second, first, erase=True, merge=True)
    assert (both.exit_code, sorted(outcomes(both)[0][2])) == (0, sorted([first, second]))
    assert shop.pulls() == []


@pytest.mark.slow
def test_an_erasure_that_was_open_when_the_version_was_only_retired_is_built_again(shop: Shop, tmp_path: Path) -> None:
    first, second = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 2)
    retired = run(shop, first).document["targets"][0]["pull_request"]
    opened = run(shop, first, second, erase=True).document["targets"][0]["pull_request"]
    shop.merge(retired["id"])
    with pytest.raises(MovedFirst, match="was built: run what opened it again"):
        shop.merge(opened["id"])
    assert outcomes(run(shop, first, second, erase=True, dry_run=True)) == [
        ("grocer/home", "dry-run", [first, second])
    ], "nobody can merge it, so it retires nothing"
    again = run(shop, first, second, erase=True)
    assert outcomes(again) == [("grocer/home", "opened", [first, second])]
    assert again.document["targets"][0]["pull_request"] == opened
    assert len(shop.pulls()) == 1
    shop.merge(opened["id"])
    assert outcomes(run(shop, first, second, erase=True)) == [("grocer/home", "unchanged", [first, second])]


@pytest.mark.slow
def test_a_branch_that_no_retire_pushed_is_told_and_left(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    pull = run(shop, version).document["targets"][0]["pull_request"]
    git(shop.origin, "update-ref", f"refs/heads/{pull['branch']}", "main")
    with pytest.raises(Problem, match=f"{pull['branch']} was not pushed by a retire"):
        run(shop, version)
    assert git(shop.origin, "rev-parse", pull["branch"]) == shop.main


@pytest.mark.slow
def test_a_branch_that_a_killed_merge_left_goes_with_the_next_and_one_that_main_has_half_of_stays(
    shop: Shop, tmp_path: Path
) -> None:
    first, second, third = (recorded(shop, tmp_path, day) for day in (1, 2, 3))
    half = run(shop, first, second).document["targets"][0]["pull_request"]["branch"]
    whole = run(shop, third).document["targets"][0]["pull_request"]["branch"]
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", f"origin/{whole}", "--", GROCER.tombstone_path("popularity", third))
    git(shop.desk, "checkout", "-q", f"origin/{half}", "--", GROCER.tombstone_path("popularity", first))
    shop.push("what a merge had done when it was killed")
    alone = git(shop.desk, "commit-tree", "-m", "of another history", git(shop.desk, "rev-parse", "HEAD^{tree}"))
    git(shop.desk, "push", "-q", "origin", f"{alone}:refs/heads/retire/alone")
    assert outcomes(run(shop, third, merge=True)) == [("grocer/home", "unchanged", [third])]
    left = git(shop.origin, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/retire").split()
    assert left == sorted([half, "retire/alone"])
    rest = run(shop, first, second, merge=True)
    assert (rest.exit_code, sorted(outcomes(rest))) == (
        0, [("grocer/home", "merged", [second]), ("grocer/home", "unchanged", [first])]
    )  # fmt: skip


@pytest.mark.slow
def test_what_holds_an_id_and_is_in_the_trash_or_has_no_record_is_named_apart(shop: Shop, tmp_path: Path) -> None:
    placed, trashed = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 2)
    blobs, trash = (shop.store / f"{top}grocer/home/popularity" for top in ("", ".pointsman/trash/2026-03-01/"))
    data = (blobs / f"{placed}.json").read_bytes()
    (tmp_path / "ids").write_text(json.loads(data)["items"][0]["item_id"])
    loose = hashlib.sha256(data + b"\n").hexdigest()
    (blobs / f"{loose}.json").write_bytes(data + b"\n")
    trash.mkdir(parents=True)
    (blobs / f"{trashed}.json").rename(trash / f"{trashed}.json")
    made = run(shop, holding=str(tmp_path / "ids"), erase=True)
    ((_, outcome, versions),) = outcomes(made)
    assert (outcome, set(versions)) == ("opened", {placed, trashed}), "what has a record"
    elsewhere = {(each["version"], each["state"]) for each in made.document["elsewhere"]}
    assert elsewhere == {(trashed, "trash"), (loose, "unrecorded")}
    told, no_trash = command.render(made.value), "pointsman gc --delete --no-trash"
    assert f"{trashed[:12]} is in the trash; once its tombstone is merged: {no_trash} {trashed[:12]}" in told
    assert f"{loose[:12]} has no record, which no tombstone is for: {no_trash} {loose[:12]}" in told


@pytest.mark.slow
def test_to_erase_what_holds_an_id_ends_with_5_where_some_could_not_be_read(shop: Shop, tmp_path: Path) -> None:
    first, second = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 2)
    blobs = {version: shop.store / f"grocer/home/popularity/{version}.json" for version in (first, second)}
    (tmp_path / "ids").write_text(json.loads(blobs[first].read_bytes())["items"][0]["item_id"])
    blobs[second].unlink()
    blobs[second].write_bytes(b"cut off")
    made = run(shop, holding=str(tmp_path / "ids"), erase=True)
    assert (made.exit_code, outcomes(made)) == (5, [("grocer/home", "opened", [first])])
    assert [each["uri"] for each in made.document["unread"]] == [f"file://{blobs[second]}"]


@pytest.mark.slow
def test_what_is_needed_is_refused_apart_and_the_rest_goes_on(shop: Shop, tmp_path: Path) -> None:
    unused, current = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 2, record_only=False, merge=True)
    made = run(shop, unused, current)
    assert made.exit_code == 5
    assert outcomes(made) == [("grocer/home", "opened", [unused]), ("grocer/home", "refused", [current])]
    (refused,) = (each for each in made.document["targets"] if each["outcome"] == "refused")
    assert [fault["rule"] for fault in refused["faults"]] == ["still-needed"]
    assert "pointsman publish --drop grocer/home:popularity" in command.render(made.value)
    second = popularity(tmp_path / "g.json", 5, surface="detail")
    shop.publish(second, cooc(tmp_path / "c.json", 4, surface="detail"), merge=True)
    slots = {kind: next((shop.store / "grocer" / "detail" / kind).iterdir()).stem for kind in ("cooc", "popularity")}
    both = run(shop, *slots.values(), erase=True)
    assert [(each[0], each[1], set(each[2])) for each in outcomes(both)] == [
        ("grocer/detail", "refused", set(slots.values()))
    ], "once for a target"
    assert len(both.document["targets"][0]["faults"]) == len(both.document["targets"][0]["instead"]) == 2
    alone = run(shop, current)
    assert (alone.exit_code, outcomes(alone)) == (1, [("grocer/home", "refused", [current])])


@pytest.mark.slow
def test_to_erase_only_what_is_current_is_needed_and_the_way_to_ship_without_it_is_told(
    shop: Shop, tmp_path: Path
) -> None:
    old, middle, new = (recorded(shop, tmp_path, day, record_only=False, merge=True) for day in (1, 2, 3))
    assert run(shop, middle, new).exit_code == 5, "of the last ship, and the one before by the clock"
    made = run(shop, middle, new, erase=True)
    assert sorted(outcomes(made), key=lambda each: each[1]) == [
        ("grocer/home", "opened", [middle]),
        ("grocer/home", "refused", [new]),
    ]
    (refused,) = (each for each in made.document["targets"] if each["outcome"] == "refused")
    assert refused["instead"][0].startswith(f"pointsman rollback grocer/home --type popularity --to {old[:12]}")
    shop.roll_back(GROCER, slot="popularity", to=old[:12], now=True, reason="erased")
    assert outcomes(run(shop, new, erase=True, merge=True)) == [("grocer/home", "merged", [new])]
    run(shop, middle, erase=True, merge=True)
    (refused,) = run(shop, old, erase=True).document["targets"]
    assert refused["instead"] == ["pointsman publish --drop grocer/home:popularity"], "all others are retired"


@pytest.mark.slow
def test_to_erase_again_on_another_machine_drops_its_copy_and_a_dry_run_does_not(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    version = recorded(shop, tmp_path, 1)
    run(shop, version, erase=True, merge=True)
    blob_cache.cache(version, b"")
    begun = tmp_path / "cache" / "pointsman" / f".{version}.89abcdef"
    begun.write_text("a process was killed")
    for how in ({"erase": True, "dry_run": True}, {}):
        run(shop, version, **how)
        assert list(blob_cache.versions()) == [version]
    assert begun.exists()
    run(shop, version, erase=True)
    assert list(begun.parent.iterdir()) == []


def test_a_retired_version_can_be_erased_afterwards(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    run(shop, version, merge=True)
    made = run(shop, version, erase=True, merge=True, reason="asked for")
    assert outcomes(made) == [("grocer/home", "merged", [version])]
    tombstone = json.loads(git(shop.origin, "show", f"main:{GROCER.tombstone_path('popularity', version)}"))
    assert (tombstone["erase"], tombstone["reason"]) == (True, "asked for")
    assert outcomes(run(shop, version)) == [("grocer/home", "unchanged", [version])]


@pytest.mark.slow
def test_the_old_versions_of_a_target_are_retired_but_the_newest_and_the_needed(shop: Shop, tmp_path: Path) -> None:
    for day in (1, 2, 3, 4):
        recorded(shop, tmp_path, day)
    current = recorded(shop, tmp_path, 5, record_only=False, merge=True)
    shop.publish(cooc(tmp_path / "c1.json", 5), record_only=True)
    other = recorded(shop, tmp_path, 1, tenant="bakery")

    def old(days: int, target: Target | Pattern = GROCER, **more: Any) -> Outcome[Any]:
        clock = clock_at(time.time() + days * 86400)
        with shop.open() as repo:
            made = retire.retire(
                Workspace(repo, clock=clock), Request(targets=(target,), older_than="180d", dry_run=True, **more)
            )
        validate("retire", made.document)
        return made

    assert outcomes(old(179)) == []
    assert command.render(old(179).value) == "nothing to retire"
    everything = old(181)
    ((target, outcome, versions),) = outcomes(everything)
    assert (target, outcome, len(versions)) == ("grocer/home", "dry-run", 5)
    assert everything.document["kept"] == 1, "the current one, which nobody named"
    assert not {current, other}.intersection(versions)
    kept = old(181, keep=2)
    assert (len(outcomes(kept)[0][2]), kept.document["kept"]) == (3, 3)
    assert outcomes(old(181, keep=9)) == []
    assert (old(181, keep=9).document["kept"], old(179, keep=9).document["kept"]) == (6, 0), "only of those so old"
    of_all = [(target, len(versions)) for target, _, versions in outcomes(old(181, Pattern("*", "home")))]
    assert of_all == [("bakery/home", 1), ("grocer/home", 5)], "bakery has records and never had a manifest"
    assert [target for target, _, _ in outcomes(old(181, Pattern("grocer", "*"), keep=2))] == ["grocer/home"]
    with pytest.raises(Problem, match="no target on main matches bakery/cart"):
        old(181, Pattern("bakery", "cart"))
    assert shop.pulls() == []


@pytest.mark.slow
def test_of_old_versions_those_that_are_retired_or_have_a_damaged_record_are_left(shop: Shop, tmp_path: Path) -> None:
    first, second, third = (recorded(shop, tmp_path, day) for day in (1, 2, 3))
    run(shop, first, merge=True)
    shop.pull()
    (shop.desk / GROCER.record_path("popularity", second)).write_text("{")
    shop.push("damage a record")
    with shop.open() as repo:
        workspace = Workspace(repo, clock=clock_at(time.time() + 200 * 86400))
        made = retire.retire(workspace, Request(targets=(GROCER,), older_than="180d", dry_run=True))
    assert outcomes(made) == [("grocer/home", "dry-run", [third])]


@pytest.mark.slow
def test_versions_of_several_targets_come_in_one_pull_request(shop: Shop, tmp_path: Path) -> None:
    ours, theirs = recorded(shop, tmp_path, 1), recorded(shop, tmp_path, 1, tenant="bakery")
    made = run(shop, ours, theirs)
    assert outcomes(made) == [("bakery/home", "opened", [theirs]), ("grocer/home", "opened", [ours])]
    assert len({each["pull_request"]["branch"] for each in made.document["targets"]}) == 1


@pytest.mark.slow
def test_what_is_refused_of_many_targets_costs_what_each_of_them_costs(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [popularity(tmp_path / f"{place}.json", 10, surface=f"s{place}") for place in range(32)]
    shop.publish(*files, merge=True)
    current = [str(json.loads(file.read_text())["build"]["version"]) for file in files]
    plain, told = Target.__str__, 0

    def counted(target: Target) -> str:
        nonlocal told
        told += 1
        return plain(target)

    monkeypatch.setattr(Target, "__str__", counted)
    costs = []
    for many in (8, 32):
        told = 0
        assert len(run(shop, *current[:many], erase=True).document["targets"]) == many
        costs.append(told)
    assert costs[1] < 5 * costs[0], costs


@pytest.mark.slow
def test_more_than_a_pull_request_may_have_come_in_several(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retire, "_MOST", 2)
    versions = [recorded(shop, tmp_path, day) for day in (1, 2, 3)]
    made = run(shop, *versions)
    assert [len(each) for _, _, each in outcomes(made)] == [2, 1]
    for pull in shop.pulls():
        shop.merge(pull["id"])
    assert outcomes(run(shop, *versions)) == [("grocer/home", "unchanged", versions)]


def test_a_dry_run_writes_nothing(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    before = shop.everything()
    assert outcomes(run(shop, version, dry_run=True)) == [("grocer/home", "dry-run", [version])]
    assert shop.everything() == before
    run(shop, version)
    before = shop.everything()
    assert outcomes(run(shop, version, dry_run=True, merge=True)) == [("grocer/home", "unchanged", [version])]
    assert shop.everything() == before, "what is open is not merged"


@pytest.mark.parametrize(
    "more, says",
    [
        ({}, "name versions, or targets"),
        ({"versions": ("3f2a",), "holding": "ids"}, "one of these"),
        ({"targets": (GROCER,)}, "--older-than 180d"),
        ({"targets": (GROCER,), "older_than": "180"}, "--older-than 180 is no length of time"),
        ({"versions": ("3f2a",), "older_than": "180d"}, "choose among the versions of targets"),
        ({"versions": ("3f2a",), "keep": 3}, "choose among the versions of targets"),
        ({"versions": ("3f2a",), "reason": "a\nb"}, "--reason"),
    ],
)
def test_what_does_not_fit_together_is_told_in_a_sentence(more: dict[str, Any], says: str) -> None:
    with pytest.raises(Problem, match=says):
        Request(**more)


@pytest.mark.slow
def test_what_is_not_recorded_is_told_with_the_nearest(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    with pytest.raises(Problem, match=f"no version {'0' * 12} is recorded here: pointsman log --records"):
        run(shop, "0" * 12)
    with pytest.raises(Problem, match=f"is recorded here: did you mean {version[:12]}"):
        run(shop, version[:6] + "0" * 6)
    with pytest.raises(Problem, match="bakery/home was never shipped here: did you mean"), shop.open() as repo:
        retire.retire(Workspace(repo), Request(targets=(BAKERY,), older_than="1d"))


@pytest.mark.slow
def test_a_pull_request_of_tombstones_is_shown_and_closed_like_any_other(shop: Shop, tmp_path: Path) -> None:
    version = recorded(shop, tmp_path, 1)
    pull = run(shop, version).document["targets"][0]["pull_request"]
    with shop.open() as repo:
        assert pr.show(Workspace(repo), pull["id"]).exit_code == 0
    with shop.open() as repo:
        pr.close(Workspace(repo), pull["id"])
    assert outcomes(run(shop, version)) == [("grocer/home", "opened", [version])]


@pytest.mark.slow
def test_the_page_of_the_pull_request_says_why_and_names_what_fits_into_it(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[tuple[Any, str, str]] = []
    opens = LocalForge.open

    def keep(self: LocalForge, branch: str, head: Any, page: Any) -> Any:
        body = page.body()
        monkeypatch.setattr(retire, "BODY_LIMIT", len(body) + 10)
        pages.append((page, body, page.body()))
        return opens(self, branch, head, page)

    monkeypatch.setattr(LocalForge, "open", keep)
    versions = [recorded(shop, tmp_path, day) for day in (1, 2)]
    run(shop, *versions, erase=True, reason="<b>for @ann</b>")
    ((page, body, short),) = pages
    assert page.labels == ("erase",)
    assert page.title.startswith("erase: grocer/home popularity ")
    assert all(f"grocer/home popularity {version}" in body for version in versions)
    assert "<b>" not in body
    assert "Nothing takes this back." in body
    assert len(short) <= len(body) + 10
    assert (versions[0] in short, versions[1] in short) == (True, False)
    assert "… and more: see the files" in short
