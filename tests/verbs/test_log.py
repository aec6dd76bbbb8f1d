"""Log: its events, its filters, its table, and `--explain`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from auditing import by_hand, dated_shop, events, looked_at, said_of
from clocks import clock_at
from shop import GROCER, Kept, Shop, cooc, git, popularity

from pointsman.cli import log as log_command
from pointsman.errors import Problem
from pointsman.repo import chain, chain_file
from pointsman.repo.commit_graph import WRITE, has_path_filters
from pointsman.state.documents import Tombstone
from pointsman.state.names import Pattern, Target
from pointsman.verbs import explain, log
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


@pytest.mark.slow
def test_the_records_that_land_in_one_commit_are_one_event_of_their_target(shop: Shop, tmp_path: Path) -> None:
    files = popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 5)
    shop.publish(*files, popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    found = [event for event in events(shop, records=True) if event["kind"] == "record"]
    assert {event["target"]: set(event["changes"]) for event in found} == {
        "baker/home": {"popularity"},
        "grocer/home": {"popularity", "cooc"},
    }
    assert len(found) == 2


@pytest.mark.slow
def test_what_was_retired_and_taken_back_is_told_with_the_records(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 5), record_only=True)
    shop.pull()
    records = {path.parent.name: path for path in (shop.desk / "registry").rglob("*.json")}
    for slot, record in records.items():
        stone = Tombstone("grocer", "home", slot, record.stem, "a test", erase=False)
        (shop.desk / stone.path).write_bytes(stone.render())
    shop.push("retire: two")
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "HEAD:main")
    back, gone, came = events(shop, records=True)
    assert [each["kind"] for each in (back, gone, came)] == ["record", "retire", "record"]
    assert gone["changes"] == {slot: [record.stem, None] for slot, record in records.items()}
    assert back["changes"] == came["changes"] == {slot: [None, record.stem] for slot, record in records.items()}
    with shop.open() as repo:
        told = explain.explain(Workspace(repo), gone["commit"]).value.explanation
    assert told is not None
    assert "retired versions of grocer/home" in told


@pytest.mark.slow
def test_two_versions_of_one_type_that_land_in_one_commit_are_both_told(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10))
    shop.pull()
    (record,) = (shop.desk / "registry").rglob("*.json")
    for version in ("a" * 64, "b" * 64):
        record.with_name(f"{version}.json").write_text(record.read_text().replace(record.stem, version))
    both = shop.push("two by hand")
    versions = [event["changes"]["popularity"][1] for event in events(shop, records=True) if event["commit"] == both]
    assert sorted(versions) == ["a" * 64, "b" * 64]


@pytest.mark.slow
def test_a_moment_is_never_before_that_of_any_earlier_commit_of_main(shop: Shop, tmp_path: Path) -> None:
    """A commit that touches no manifest moves time on all the same."""
    env = {"GIT_COMMITTER_DATE": "2091-01-01T00:00:00Z"}
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "from the future", env=env)
    git(shop.desk, "push", "-q", "origin", "main")
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    assert [event["at"] for event in events(shop)] == ["2091-01-01T00:00:00Z"]


@pytest.mark.slow
def test_a_manifest_that_only_became_executable_is_an_edit_not_a_restore(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    (shop.desk / GROCER.manifest_path).chmod(0o755)
    shop.push("chmod")
    assert [event["kind"] for event in events(shop)] == ["edit", "ship"]


@pytest.mark.slow
def test_a_change_that_restores_one_slot_and_ships_another_is_a_ship(shop: Shop, tmp_path: Path) -> None:
    """As the gate judges it: a Restores: line speaks for its own slot alone."""
    shop.publish(popularity(tmp_path / "p1.json", 10), cooc(tmp_path / "c1.json", 5), merge=True)
    old = json.loads(shop.manifest)["current"]
    shop.publish(popularity(tmp_path / "p2.json", 11), merge=True)
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    manifest = json.loads(path.read_text())
    manifest["current"] = {"popularity": old["popularity"], "cooc": old["cooc"].replace(old["cooc"][-69:-5], "c" * 64)}
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    restored = f"Restores: grocer/home popularity@{old['popularity'][-69:-5]}"
    shop.push(f"both\n\nManifest: grocer/home sha256:{sha}\n{restored}")
    newest = events(shop)[0]
    assert newest["kind"] == "ship"
    assert set(newest["changes"]) == {"popularity", "cooc"}


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, list[str]]:
    return dated_shop(tmp_path_factory.mktemp("dated"))


@pytest.mark.slow
def test_log_is_told_by_time_person_and_run(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    assert [event["commit"] for event in events(shop, GROCER, since="2051-01-01", until="2051-12-31")] == [
        commits[3],
        commits[2],
        commits[1],
    ]
    assert next(event["commit"] for event in events(shop, until="2050-01-01")) == commits[0]
    assert {event["target"] for event in events(shop, run="https://ci.example/7")} == {"baker/home", "grocer/home"}
    assert events(shop, run="https://ci.example/") == []
    with shop.open() as repo:
        asked = [log.log(Workspace(repo), log.Query(run=f"https://ci.example/{run}", until=until))
                 for run, until in (("77", None), ("7", "2020-01-01"))]  # fmt: skip
    says = "no ship on main is from the run https://ci.example/77: did you mean https://ci.example/7?"
    assert [each.notes for each in asked] == [(says,), ()]
    assert events(shop, by="nobody") == []
    assert len(events(shop, GROCER, by="ANN")) == len(commits)
    with pytest.raises(Problem, match="--since 2027-01-02 is after --until 2027-01-01"):
        events(shop, since="2027-01-02", until="2027-01-01")
    with pytest.raises(Problem, match="--until soon is not a date or time"):
        events(shop, until="soon")


@pytest.mark.slow
def test_log_names_who_merged_where_that_is_another(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    env = {"GIT_COMMITTER_NAME": "Mel", "GIT_COMMITTER_EMAIL": "mel@example.org"}
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    git(shop.desk, "commit", "-q", "-m", "gone", env=env)
    git(shop.desk, "push", "-q", "origin", "main")
    (newest, *_) = events(shop)
    assert (newest["by"], newest["committer"]) == ("Ann Ops <ann@example.org>", "Mel <mel@example.org>")
    assert "by Ann Ops <ann@example.org>, merged by Mel <mel@example.org>, took out of serving grocer/home" in said_of(
        shop, "main"
    )
    assert [event["kind"] for event in events(shop, by="mel@")] == ["removal"]


@pytest.mark.slow
def test_holds_and_releases_are_events_of_their_target_and_a_hold_on_everything_of_each(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), popularity(tmp_path / "b.json", 9, tenant="baker"), merge=True)
    shop.pull()
    for name, target in (("grocer/home", "grocer/home"), ("all", "all"), ("baker/home", "baker/home")):
        path = shop.desk / "holds" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        hold = {"v": 1, "target": target, "until": "2099-01-01T00:00:00Z", "reason": f"{name} is broken"}
        path.write_text(json.dumps(hold, indent=2) + "\n")
        git(shop.desk, "add", "holds")
        shop.push(f"hold {name}")
    git(shop.desk, "rm", "-q", "holds/grocer/home.json")
    shop.push("release")
    told = [(event["kind"], event["target"], event["reason"], event.get("until")) for event in events(shop, GROCER)][:3]
    assert told == [
        ("release", "grocer/home", "", None),
        ("hold", "all", "all is broken", "2099-01-01T00:00:00Z"),
        ("hold", "grocer/home", "grocer/home is broken", "2099-01-01T00:00:00Z"),
    ]
    assert "put a hold on all. Ships are stopped until 2099-01-01T00:00:00Z." in said_of(shop, "main~2")
    (shop.desk / "holds/all.json").write_text("{")
    shop.push("by hand")
    newest = events(shop, GROCER)[0]
    assert (newest["kind"], newest["target"], newest.get("until")) == ("hold", "all", None)
    assert newest["reason"] == "holds/all.json cannot be read, and stops ships until it is corrected or removed"


@pytest.mark.slow
def test_what_stood_at_the_commit_that_settings_trust_is_restored_and_an_edit_before_it_is_not(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    by_hand(shop, 1, "2050-01-01T00:00:00Z")
    trusted = by_hand(shop, 2, "2050-01-02T00:00:00Z")
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text() + f'\n[audit]\nsince = "{trusted}"\n')
    git(shop.desk, "commit", "-q", "-a", "-m", "trust")
    by_hand(shop, 1, "2050-01-03T00:00:00Z")
    by_hand(shop, 2, "2050-01-04T00:00:00Z")
    git(shop.desk, "push", "-q", "origin", "main")
    assert [event["kind"] for event in events(shop)] == ["restore", "edit", "edit", "edit", "ship"]


@pytest.mark.slow
def test_what_goes_back_to_one_type_put_back_is_a_restore(shop: Shop, tmp_path: Path) -> None:
    for day in (1, 2):
        files = popularity(tmp_path / "p.json", 9 + day, day=day), cooc(tmp_path / "c.json", 9 + day, day=day)
        shop.publish(*files, merge=True)
    shop.roll_back(slot="cooc", now=True, reason="only this")
    put_back = shop.manifest
    shop.publish(popularity(tmp_path / "p.json", 12, day=3), merge=True)
    shop.roll_back(now=True, reason="and that")
    assert shop.manifest == put_back
    assert [event["kind"] for event in events(shop, GROCER)] == ["restore", "ship", "restore", "ship", "ship"]
    assert "put back an earlier state of grocer/home" in said_of(shop, "main")


@pytest.mark.slow
def test_a_ship_that_plain_git_merged_is_a_ship_by_what_the_side_says(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10))
    (pull,) = shop.pulls()
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "merged by hand", f"origin/{pull['branch']}")
    git(shop.desk, "push", "-q", "origin", "main")
    assert [event["kind"] for event in events(shop)] == ["ship"]


@pytest.mark.slow
def test_a_table_has_a_row_for_each_type_and_no_cell_is_a_formula(shop: Shop, tmp_path: Path) -> None:
    files = popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 5)
    shop.publish(*files, merge=True, run='=HYPERLINK("https://evil.example")')
    with shop.open() as repo:
        found = log.log(Workspace(repo), log.Query()).value
    rows = list(csv.DictReader(io.StringIO(log_command.render_csv(found))))
    assert [(row["type"], row["from"]) for row in rows] == [("cooc", ""), ("popularity", "")]
    assert {row["to"] for row in rows} == {new for _, new in found.events[0].changes.values()}
    assert {row["run"] for row in rows} == {'\'=HYPERLINK("https://evil.example")'}


@pytest.mark.slow
def test_a_commit_is_explained_in_one_paragraph_that_says_what_became_of_it(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True, run="https://ci.example/1")
    first = shop.main
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), cooc(tmp_path / "c.json", 5, day=2), merge=True)
    second = shop.main
    versions = [each["changes"]["popularity"][1][:12] for each in events(shop)[::-1]]
    text = said_of(shop, second)
    assert "\n" not in text
    assert git(shop.desk, "rev-parse", "main") != second, "a checkout that has not pulled for a while"
    assert said_of(shop, "main") == text
    assert looked_at(shop, "main^")["commit"] == looked_at(shop, f"{second}^")["commit"]
    assert re.search(rf"It added cooc [0-9a-f]{{12}}; changed popularity from {versions[0]} to {versions[1]}\.", text)
    assert text.endswith("It is what main has now.")
    assert f"It stood until {second[:12]} (ship, " in said_of(shop, first)
    assert "It came from the run https://ci.example/1." in said_of(shop, first)
    assert "recorded versions of grocer/home" in said_of(shop, f"{first}~1")
    assert "changes no manifest, hold or record" in said_of(shop, f"{first}~2")


@pytest.mark.slow
def test_in_a_fresh_clone_git_walks_for_the_named_target_and_the_second_log_reads_all(
    dated: tuple[Shop, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, _ = dated
    monkeypatch.setattr(chain, "_WORTH_KEEPING", 1)
    (shop.desk / ".git" / chain.KEPT).unlink(missing_ok=True)
    told, read, commits = [], [], 0
    for _ in range(3):
        told.append(events(shop, GROCER))
        file = chain_file.read(shop.desk / ".git" / chain.KEPT, 20)
        assert file is not None
        read.append(file.known)
        commits = len(file.commits)
    assert told[0] == told[1] == told[2]
    assert told[0]
    assert read == [0, commits, commits]


@pytest.mark.slow
def test_the_same_history_is_told_with_and_without_the_filters_of_a_commit_graph(
    dated: tuple[Shop, list[str]],
) -> None:
    shop, _ = dated
    plain = events(shop, GROCER, records=True)
    assert not has_path_filters(shop.origin)
    git(shop.origin, *WRITE.split()[1:])
    assert has_path_filters(shop.origin)
    assert events(shop, GROCER, records=True) == plain
    git(shop.origin, "commit-graph", "write", "--reachable", "--split=replace", "--changed-paths")
    assert has_path_filters(shop.origin)
    git(shop.origin, "commit-graph", "write", "--reachable", "--split=replace", "--no-changed-paths")
    assert not has_path_filters(shop.origin)


@pytest.fixture
def shipped(one_ship: Kept) -> Shop:
    return one_ship.fresh()


def test_log_names_ships_restores_edits_and_removals_newest_first(shipped: Shop, tmp_path: Path) -> None:
    shipped.publish(popularity(tmp_path / "p2.json", 11), merge=True, run="https://ci.example/2")
    shipped.pull()
    git(shipped.desk, "revert", "--no-edit", "HEAD")
    path = shipped.desk / GROCER.manifest_path
    path.write_text(path.read_text().replace('"updated_at": "2', '"updated_at": "3'))
    shipped.push("edit")
    git(shipped.desk, "rm", "-q", GROCER.manifest_path)
    shipped.push("gone")
    found = events(shipped)
    assert [event["kind"] for event in found] == ["removal", "edit", "restore", "ship", "ship"]
    assert [event["run"] for event in found][-2:] == ["https://ci.example/2", "https://ci.example/1"]
    ship, restore = found[3], found[2]
    assert restore["changes"]["popularity"] == ship["changes"]["popularity"][::-1]
    assert found[0]["changes"]["popularity"][1] is None
    assert found[-1]["changes"]["popularity"][0] is None
    assert restore["by"] == "Ann Ops <ann@example.org>"


@pytest.mark.slow
def test_moments_never_run_backwards_although_a_clock_did(shipped: Shop) -> None:
    shipped.pull()
    git(shipped.desk, "rm", "-q", GROCER.manifest_path)
    env = {"GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}
    git(shipped.desk, "commit", "-q", "-m", "from the past", env=env)
    git(shipped.desk, "push", "-q", "origin", "main")
    found = events(shipped)
    assert found[0]["at"] == found[1]["at"]


def test_records_are_events_only_if_asked(shipped: Shop) -> None:
    assert {event["kind"] for event in events(shipped)} == {"ship"}
    assert {event["kind"] for event in events(shipped, GROCER, records=True)} == {"ship", "record"}


def test_a_target_that_never_was_names_the_nearest(shipped: Shop) -> None:
    with pytest.raises(Problem, match="did you mean grocer/home"):
        events(shipped, Target("grocer", "hom"))


@pytest.mark.slow
def test_a_length_of_time_is_ago_and_a_pattern_is_every_target_that_ever_shipped(shop: Shop, tmp_path: Path) -> None:
    for tenant in ("baker", "grocer"):
        shop.publish(popularity(tmp_path / f"{tenant}.json", 10, tenant=tenant), merge=True)
    git(shop.desk, "pull", "-q")
    git(shop.desk, "rm", "-q", "manifests/baker/home/manifest.json")
    shop.push("gone")

    def targets(*named: Target | Pattern, **more: Any) -> list[str]:
        with shop.open() as repo:
            found = log.log(Workspace(repo, clock=clock_at(time.time() + 7200)), log.Query(named, **more))
        return [event.target for event in found.value.events]

    assert targets(Pattern.parse("b*/*")) == ["baker/home", "baker/home"]
    assert targets(since="3h") == ["baker/home", "grocer/home", "baker/home"]
    assert targets(since="1h") == targets(until="3h") == []
    assert targets(until="now", most=1) == ["baker/home"]
    with pytest.raises(Problem, match="no target on main matches x"):
        targets(Pattern.parse("x*/*"))
    with pytest.raises(Problem, match=r"--since soon is not a date or time: a time is written 30m, 2h or 3d \(ago\)"):
        targets(since="soon")


@pytest.mark.slow
def test_a_line_for_each_event_in_columns(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.publish(popularity(tmp_path / "q.json", 11, tenant="a-long-tenant"), merge=True)
    with shop.open() as repo:
        lines = log_command.render_oneline(log.log(Workspace(repo), log.Query()).value).splitlines()
    assert len(lines) == 2
    one, other = (re.fullmatch(r"(\S+  ship  \S+ +)[0-9a-f]{12}  \S.*", line) for line in lines)
    assert one is not None
    assert other is not None
    assert len(one[1]) == len(other[1])
    assert log_command.render_oneline(log.Log([])) == "no events"
