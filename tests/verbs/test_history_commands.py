"""What auditors ask of history: log by filter and in CSV, log --explain, at and show."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import GROCER, Shop, cooc, git, popularity

from pointsman.cli import at as at_command
from pointsman.cli import log as log_command
from pointsman.cli import show as show_command
from pointsman.errors import Problem
from pointsman.history.times import CommitTimes, read_time
from pointsman.repo.commit_graph import WRITE, has_path_filters
from pointsman.state.names import Target
from pointsman.verbs import at, explain, log, show
from pointsman.workspace import Workspace

NOW = 4102444800  # 2100


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def events(shop: Shop, *targets: Target, **query: Any) -> list[dict[str, Any]]:
    with shop.open() as repo:
        found: list[dict[str, Any]] = log.log(Workspace(repo), log.Query(targets, **query)).document["events"]
        return found


def looked_at(shop: Shop, when: str, target: Target = GROCER, now: int = NOW) -> dict[str, Any]:
    with shop.open() as repo:
        return dict(at.at(Workspace(repo, clock=clock_at(now)), when, target).document)


def said_of(shop: Shop, revision: str) -> str:
    with shop.open() as repo:
        return str(explain.explain(Workspace(repo), revision).document["explanation"])


def shown(shop: Shop, version: str, **how: Any) -> dict[str, Any]:
    with shop.open() as repo:
        return dict(show.show(Workspace(repo, **how), version).document)


def by_hand(shop: Shop, count: int, when: str, says: str = "by hand") -> str:
    """A manifest that nothing vouches for, committed at a moment."""
    path = shop.desk / GROCER.manifest_path
    manifest = json.loads(path.read_text())
    manifest["updated_at"] = f"2026-03-01T00:00:{count:02}Z"
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    git(shop.desk, "commit", "-q", "-a", "-m", says, env={"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when})
    return git(shop.desk, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, list[str]]:
    """A target shipped now and edited in 2050, in one second of 2051 twice, by a clock of 2020, and in 2052."""
    shop = Shop(tmp_path_factory.mktemp("dated") / "shop")
    files = popularity(shop.desk.parent / "p.json", 10), popularity(shop.desk.parent / "b.json", 10, tenant="baker")
    shop.publish(*files, merge=True, run="https://ci.example/7")
    shop.pull()
    moments = (
        "2050-01-01T12:00:00+02:00",
        "2051-01-01T00:00:00Z",
        "2051-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z",
        "2052-06-01T00:00:00Z",
    )
    commits = [by_hand(shop, place, moment) for place, moment in enumerate(moments)]
    git(shop.desk, "push", "-q", "origin", "main")
    return shop, commits


def test_at_a_moment_counts_what_came_in_that_very_second_and_nothing_later(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    assert looked_at(shop, "2050-01-01T10:00:00Z")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T09:59:59Z")["until"]["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T12:00:00+02:00")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01 11:00:00+01:00")["commit"] == commits[0]
    assert looked_at(shop, "2050-01-01T10:00:00.5Z")["commit"] == commits[0]


def test_of_several_commits_in_one_second_and_by_a_clock_that_ran_backwards_ancestry_decides(
    dated: tuple[Shop, list[str]],
) -> None:
    shop, commits = dated
    found = looked_at(shop, "2051-01-01")
    assert (found["commit"], found["at"]) == (commits[3], "2051-01-01T00:00:00Z")
    assert found["until"]["commit"] == commits[4]
    assert looked_at(shop, "2050-12-31")["commit"] == commits[0]
    assert looked_at(shop, "2099-01-01")["until"] is None


def test_at_answers_with_the_manifest_of_that_commit_and_for_any_commit_of_main(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    for commit in commits:
        found = looked_at(shop, commit)
        assert (found["commit"], found["main"]) == (commit, commit)
        assert found["manifest"] == json.loads(git(shop.origin, "show", f"{commit}:{GROCER.manifest_path}"))


def test_a_commit_of_another_target_is_answered_by_what_this_one_had_then(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    mine = shop.main
    shop.publish(popularity(tmp_path / "b.json", 10, tenant="baker"), merge=True)
    found = looked_at(shop, shop.main)
    assert (found["main"], found["commit"], found["until"]) == (shop.main, mine, None)


def test_what_was_taken_out_by_then_has_no_manifest(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    gone = shop.push("gone")
    found = looked_at(shop, "main")
    assert (found["manifest"], found["commit"]) == (None, gone)
    with shop.open() as repo:
        assert "took it out" in at_command.render(at.at(Workspace(repo), "main", GROCER).value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "when, target, says",
    [
        ("1999-12-31", "grocer/home", "before the first commit of main (20"),
        ("main~1", "grocer/home", "not shipped yet at main~1: [0-9a-f]{12} shipped it first, 20"),
        ("main", "grocer/hom", "did you mean grocer/home"),
        ("2026-02-30", "grocer/home", "2026-02-30 is not a date or time: day is out of range"),
        ("2026-02-03T25:00", "grocer/home", "is not a date or time: hour must be in"),
        ("yesterday", "grocer/home", "no such revision: yesterday .* a time is written 2026-03-01"),
    ],
)
def test_at_says_what_is_wrong_and_what_is_near(shop: Shop, tmp_path: Path, when: str, target: str, says: str) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    with pytest.raises(Problem, match=says):
        looked_at(shop, when, Target.parse(target))


@pytest.mark.slow
def test_a_commit_that_a_merge_brought_in_was_never_current(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    shop.pull()
    git(shop.desk, "checkout", "-q", "-b", "side")
    git(shop.desk, "commit", "-q", "--allow-empty", "-m", "side")
    side = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "push", "-q", "origin", "side")
    with pytest.raises(Problem, match="not a commit of main"):
        looked_at(shop, side)
    git(shop.desk, "checkout", "-q", "main")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "merge", "side")
    git(shop.desk, "push", "-q", "origin", "main")
    merge = git(shop.desk, "rev-parse", "HEAD")
    for look in (looked_at, said_of):
        with pytest.raises(Problem, match=f"{side} was never the tip of main: the merge {merge[:12]} brought it in"):
            look(shop, side)


def test_a_moment_to_come_is_answered_and_said_to_be_so(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10), merge=True)
    with shop.open() as repo:
        assert "still to come" in at.at(Workspace(repo, clock=clock_at(0)), "2099-01-01", GROCER).notes[0]
        assert at.at(Workspace(repo, clock=clock_at(NOW)), "2099-01-01", GROCER).notes == ()


def test_at_answers_from_a_shallow_clone_too(dated: tuple[Shop, list[str]], tmp_path: Path) -> None:
    shop, commits = dated
    git(tmp_path, "clone", "-q", "--depth", "1", shop.origin.as_uri(), "shallow")
    from pointsman.repo.open import open_repository

    with open_repository(str(tmp_path / "shallow")) as repo:
        assert (
            at.at(Workspace(repo, clock=clock_at(NOW)), "2050-01-01T10:00:00Z", GROCER).document["commit"] == commits[0]
        )


def test_times_are_read_with_zones_and_a_day_alone_in_utc() -> None:
    assert read_time("2026-03-01") == read_time("2026-03-01T00:00:00Z") == read_time("2026-03-01T01:00+01:00")
    assert read_time("2026-03-01", whole_day=True) == read_time("2026-03-01T23:59:59Z")
    assert read_time("2026-03-01T05:00Z", whole_day=True) == read_time("2026-03-01T05:00Z")
    for text in ("20260301", "main", "2026-03", "2026-03-01T", "1234567", ""):
        assert read_time(text) is None


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
    assert events(shop, by="nobody") == []
    assert len(events(shop, GROCER, by="ANN")) == len(commits)
    with pytest.raises(Problem, match="--since 2027-01-02 is after --until 2027-01-01"):
        events(shop, since="2027-01-02", until="2027-01-01")
    with pytest.raises(Problem, match="--until soon is not a date or time"):
        events(shop, until="soon")


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


def test_a_ship_that_plain_git_merged_is_a_ship_by_what_the_side_says(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 10))
    (pull,) = shop.pulls()
    shop.pull()
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "merge", "-q", "--no-ff", "-m", "merged by hand", f"origin/{pull['branch']}")
    git(shop.desk, "push", "-q", "origin", "main")
    assert [event["kind"] for event in events(shop)] == ["ship"]


def test_a_table_has_a_row_for_each_type_and_no_cell_is_a_formula(shop: Shop, tmp_path: Path) -> None:
    files = popularity(tmp_path / "p.json", 10), cooc(tmp_path / "c.json", 5)
    shop.publish(*files, merge=True, run='=HYPERLINK("https://evil.example")')
    with shop.open() as repo:
        found = log.log(Workspace(repo), log.Query()).value
    rows = list(csv.DictReader(io.StringIO(log_command.render_csv(found))))
    assert [(row["type"], row["from"]) for row in rows] == [("cooc", ""), ("popularity", "")]
    assert {row["to"] for row in rows} == {new for _, new in found.events[0].changes.values()}
    assert {row["run"] for row in rows} == {'\'=HYPERLINK("https://evil.example")'}


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


def test_a_version_is_shown_with_every_time_that_it_was_current(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10), merge=True)
    first = shop.main
    version = events(shop)[0]["changes"]["popularity"][1]
    shop.publish(popularity(tmp_path / "p2.json", 12, day=2), merge=True)
    second = shop.main
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    back = git(shop.desk, "rev-parse", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    found = shown(shop, version[:10])
    assert found["version"] == version
    assert found["record"] == json.loads(git(shop.origin, "show", f"main:{GROCER.record_path('popularity', version)}"))
    assert [(each["from"]["commit"], each["to"] and each["to"]["commit"]) for each in found["current"]] == [
        (back, None),
        (first, second),
    ]
    assert found["recorded"]["commit"] == git(shop.origin, "rev-parse", f"{first}~1")
    assert found["blob"] == "present"
    assert shown(shop, version, offline=True)["blob"] == "not asked"


def test_the_blob_of_a_version_is_told_to_be_missing_or_altered(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p1.json", 10))
    (blob,) = (path for path in shop.store.rglob("*.json") if path.parent.name == "popularity")
    assert shown(shop, blob.stem)["current"] == []
    with shop.open() as repo:
        assert "never current on main" in show_command.render(show.show(Workspace(repo), blob.stem).value)
    blob.chmod(0o644)
    blob.write_bytes(b"{}")
    assert shown(shop, blob.stem)["blob"] == "altered"
    blob.unlink()
    assert shown(shop, blob.stem)["blob"] == "missing"


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


def test_moments_never_run_backwards(dated: tuple[Shop, list[str]]) -> None:
    shop, commits = dated
    with shop.open() as repo:
        moments = CommitTimes(repo, repo.refresh())
        clocks = [moments.of(each) for each in map(type(repo.main), commits)]
    assert clocks == sorted(clocks)
    assert len(set(clocks)) == 3
