"""Holds: they stop ships, not restores, from the commit on that sets them until their time or their release."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import GROCER, Kept, Shop, git, popularity, refused

from pointsman.cli.main import main
from pointsman.errors import MovedFirst, Problem, Refused
from pointsman.outcome import Outcome
from pointsman.verbs import hold as holds
from pointsman.workspace import Workspace

NOON = 1772625600  # 2026-03-04T12:00:00Z
FOREVER = "2999-01-01"


@pytest.fixture
def shop(two_ships: Kept) -> Shop:
    return two_ships.fresh()


def ask(
    shop: Shop, target: str = "grocer/home", *, clock: int = NOON, where: Path | None = None, **more: Any
) -> dict[str, Any]:
    with shop.open(where) as repo:
        return dict(holds.change_hold(Workspace(repo, clock=clock_at(clock)), holds.Request(target, **more)).document)


def hold(shop: Shop, target: str = "grocer/home", **more: Any) -> dict[str, Any]:
    return ask(shop, target, **{"until": FOREVER, "reason": "the feed is broken", "now": True, **more})


def third(shop: Shop, **more: Any) -> Outcome[Any]:
    """The day of a clearance sale."""
    return shop.publish(day=3, accept=("items-drop",), reason="a sale", **more)


def release(shop: Shop, target: str = "grocer/home", **more: Any) -> dict[str, Any]:
    return ask(shop, target, **{"reason": "mended", "now": True, **more})


@pytest.mark.parametrize("target", ["grocer/home", pytest.param("all", marks=pytest.mark.slow)])
def test_a_hold_stops_ships_open_ones_too_and_lets_restores_pass_until_it_is_released(shop: Shop, target: str) -> None:
    third(shop)
    assert hold(shop, target)["outcome"] == "merged"
    with pytest.raises(Refused, match=r"on hold until 2999-01-01T00:00:00Z \(the feed is broken\)") as error:
        third(shop, merge=True)
    assert refused(error.value) == {"on-hold"}
    assert f"pointsman release {target}" in str(error.value)
    with pytest.raises(Refused) as error:
        shop.merge()
    assert refused(error.value) == {"on-hold"}
    shop.roll_back(now=True, reason="a bad day")
    assert shop.sync().document["targets"][0]["outcome"] == "written"
    assert release(shop, target)["outcome"] == "merged"
    assert third(shop, merge=True).document["targets"][0]["outcome"] == "merged"
    assert not git(shop.origin, "ls-tree", "-r", "main", "holds/")


@pytest.mark.slow
def test_a_stopped_ship_lets_ships_pass_and_a_hold_beside_it_leaves_it_stopped(shop: Shop) -> None:
    """One file says both, and each ends only by its time or by a release."""
    bad = shop.main
    stop: dict[str, Any] = {"until": None, "rollout": bad, "reason": "empty results"}
    assert hold(shop, **stop)["hold"] == {"until": None, "reason": "empty results", "rollout": bad}
    assert hold(shop, **stop)["outcome"] == "unchanged"
    assert git(shop.origin, "log", "-1", "--format=%s", "main") == (
        f"hold: grocer/home to keep {bad[:12]} from further rings"
    )
    assert third(shop, merge=True).document["targets"][0]["outcome"] == "merged"
    beside = {"until": "2999-01-01T00:00:00Z", "reason": "the feed is broken", "rollout": bad}
    assert hold(shop)["hold"] == beside
    with pytest.raises(Refused, match="on hold until 2999"):
        shop.publish(day=1, merge=True)
    newer = {**stop, "rollout": shop.main}
    assert hold(shop, **newer)["hold"] == {
        **beside, "rollout": newer["rollout"], "reason": "the feed is broken; empty results"
    }  # fmt: skip
    assert release(shop)["hold"] is None
    assert shop.check(base="main~1", head="main") == []


@pytest.mark.slow
def test_a_hold_is_a_pull_request_unless_it_is_wanted_now_and_binds_once_merged(shop: Shop) -> None:
    opened = hold(shop, now=False)
    assert opened["outcome"] == "opened"
    assert hold(shop, now=False)["outcome"] == "unchanged"
    assert [pull["title"] for pull in shop.pulls()] == ["hold: grocer/home until 2999-01-01T00:00:00Z"]
    third(shop)
    shop.merge(opened["pull_request"]["id"])
    again = hold(shop, now=False)
    assert (again["outcome"], again["pull_request"]) == ("unchanged", None)
    with pytest.raises(Refused, match="on hold"):
        shop.merge("grocer/home")
    assert release(shop, now=False, reason="")["outcome"] == "opened"
    with pytest.raises(Refused, match="on hold"):
        shop.merge("grocer/home")
    shop.merge(opened["pull_request"]["id"])
    shop.merge("grocer/home")
    shop.pull()
    assert (shop.desk / "holds").exists() is False
    assert shop.check() == []


@pytest.mark.slow
def test_what_is_asked_last_takes_the_place_of_the_pull_request_and_of_the_hold(shop: Shop) -> None:
    hold(shop, now=False)
    longer = hold(shop, now=False, reason="worse than we thought")
    assert longer["outcome"] == "updated"
    assert len(shop.pulls()) == 1
    done = hold(shop, reason="at once")
    assert (done["outcome"], done["was"]) == ("merged", None)
    assert shop.pulls() == []
    shorter = hold(shop, until="2998-01-01")
    assert shorter["was"] == {"until": "2999-01-01T00:00:00Z", "reason": "at once"}
    assert json.loads(git(shop.origin, "show", f"main:{GROCER.hold_path}")) == {
        "v": 1, "target": "grocer/home", "until": "2998-01-01T00:00:00Z", "reason": "the feed is broken"
    }  # fmt: skip


@pytest.mark.slow
def test_a_pull_request_that_main_has_overtaken_is_built_anew(shop: Shop) -> None:
    hold(shop)
    stale = release(shop, now=False)
    shop.pull()
    path = shop.desk / GROCER.hold_path
    path.write_text(path.read_text().replace("2999", "2998"))
    shop.push()
    with pytest.raises(MovedFirst):
        shop.merge(stale["pull_request"]["id"])
    assert release(shop, now=False)["outcome"] == "updated"
    shop.merge(stale["pull_request"]["id"])
    assert not git(shop.origin, "ls-tree", "-r", "main", "holds/")


@pytest.mark.slow
def test_a_branch_with_the_work_of_others_is_left_alone(shop: Shop) -> None:
    opened = hold(shop, now=False)
    branch = opened["pull_request"]["branch"]
    git(shop.desk, "fetch", "-q", "origin")
    git(shop.desk, "checkout", "-q", "--detach", f"origin/{branch}")
    (shop.desk / "README.md").write_text("mine")
    git(shop.desk, "add", "-A")
    git(shop.desk, "commit", "-qm", "mine")
    git(shop.desk, "push", "-q", "origin", f"HEAD:{branch}")
    with pytest.raises(Problem, match="pointsman pr close"):
        hold(shop, now=False, reason="another")


@pytest.mark.slow
def test_relative_times_asked_again_within_the_minute_are_the_same_hold(shop: Shop) -> None:
    assert hold(shop, until="2h", clock=NOON + 1)["hold"]["until"] == "2026-03-04T14:01:00Z"
    before = shop.main
    assert hold(shop, until="2h", clock=NOON + 75)["outcome"] == "unchanged"
    assert shop.main == before
    assert hold(shop, until="2h", clock=NOON + 200)["outcome"] == "merged"


@pytest.mark.slow
def test_a_hold_that_has_ended_stops_nothing_and_can_be_set_anew(shop: Shop) -> None:
    hold(shop, until="1h")
    assert third(shop, merge=True).document["targets"][0]["outcome"] == "merged"
    assert hold(shop)["was"]["until"] == "2026-03-04T13:00:00Z"


@pytest.mark.slow
def test_the_review_of_a_hold_says_on_what_until_when_and_why(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    opened = hold(shop, now=False, reason="<b>bad</b> feed")["pull_request"]["id"]
    for kind, reason in (
        ("terminal", "<b>bad</b> feed"),
        ("markdown", "&#60;b&#62;bad&#60;/b&#62; feed"),
        ("html", "&lt;b&gt;bad&lt;/b&gt; feed"),
    ):
        assert main(["-C", str(shop.desk), "review", opened, "--format", kind]) == 0
        said = capsys.readouterr().out
        assert re.search(r"hold on grocer/home until 2999-01-01", said)
        assert reason in said
    shop.merge(opened)
    release(shop, now=False)
    assert main(["-C", str(shop.desk), "review", opened]) == 0
    assert "The release of grocer/home\nends the hold on grocer/home (it was until 2999" in capsys.readouterr().out


def test_releasing_nothing_is_a_sentence_that_names_the_hold_on_everything(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release(shop)["outcome"] == "unchanged"
    hold(shop, "all")
    assert main(["-C", str(shop.desk), "release", "grocer/home"]) == 0
    said = capsys.readouterr().out
    assert said == (
        "grocer/home: unchanged, no hold on main; everything is on hold until 2999-01-01T00:00:00Z "
        f"(the feed is broken): pointsman -C {shlex.quote(str(shop.desk))} release all\n"
    )


@pytest.mark.slow
def test_a_release_says_what_else_holds(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    hold(shop, "all")
    hold(shop)
    assert "everything is on hold" in release(shop)["says"]
    hold(shop)
    words = ["-C", str(shop.desk), "release", "all"]
    assert main(words) == 0
    assert "released once it is merged; it was on hold until 2999" in capsys.readouterr().out
    assert main([*words, "--now", "--reason", "x"]) == 0
    said = capsys.readouterr().out
    assert "1 target has a hold of its own: grocer/home" in said
    assert "ships pass again" not in said
    assert main(["-C", str(shop.desk), "release", "grocer/home", "--now", "--reason", "x"]) == 0
    assert "ships pass again" in capsys.readouterr().out


@pytest.mark.slow
def test_a_hold_that_has_ended_is_not_told_as_one_that_still_stops_ships(shop: Shop) -> None:
    later = NOON + 7200
    hold(shop, "all", until="1h")
    assert release(shop, clock=NOON)["says"].startswith("everything is on hold until ")
    assert release(shop, clock=later).get("says") is None
    hold(shop, until="1h")
    assert release(shop, "all", clock=later).get("says") is None


@pytest.mark.slow
def test_a_target_that_is_only_recorded_can_be_held_before_its_first_ship(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "p.json", 9, surface="search"), record_only=True)
    assert hold(shop, "grocer/search")["outcome"] == "merged"


@pytest.mark.parametrize("verb", [hold, release])
def test_a_target_that_never_was_names_the_nearest_and_changes_nothing(shop: Shop, verb: Any) -> None:
    before = shop.everything()
    with pytest.raises(Problem, match=r"grocer/hoem was never shipped here: did you mean grocer/home\?"):
        verb(shop, "grocer/hoem")
    assert shop.everything() == before


def test_what_is_wrongly_said_is_one_sentence(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["hold", "grocer/home", "--until", "3d"],
        ["hold", "grocer/home", "--reason", "x"],
        ["hold", "grocer", "--until", "3d", "--reason", "x"],
        ["hold", "grocer/home", "--until", "3d", "--reason", "a\nSupersedes: x"],
        ["release", "grocer/home", "--now"],
        ["release", "grocer/home", "--reason", "a\nSupersedes: x"],
    ):
        assert main(["-C", str(shop.desk), *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(Problem, match="--reason"):  # whoever asks, of a release, too
        holds.Request("all", reason="a\nSupersedes: x")


@pytest.mark.slow
def test_a_hold_that_a_hand_made_unreadable_can_be_replaced(shop: Shop) -> None:
    (shop.desk / "holds/grocer").mkdir(parents=True)
    (shop.desk / GROCER.hold_path).write_text("{}")
    shop.push()
    with pytest.raises(Refused, match="cannot be read"):
        third(shop)
    assert hold(shop)["outcome"] == "merged"
    with pytest.raises(Refused, match="the feed is broken"):
        third(shop)


@pytest.mark.slow
def test_two_who_hold_the_same_at_the_same_moment_leave_one_hold_and_are_both_right(shop: Shop, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(shop.origin), "second")
    words = ["hold", "grocer/home", "--until", FOREVER, "--reason", "the feed is broken", "--now", "--json"]
    began = git(shop.origin, "rev-list", "--count", "main")
    processes = [
        subprocess.Popen([sys.executable, "-m", "pointsman", "-C", str(where), *words], stdout=subprocess.PIPE)
        for where in (shop.desk, tmp_path / "second")
    ]
    told = [json.loads(process.communicate()[0]) for process in processes]
    # Made within one second by one person, both commits are one.
    assert {each["outcome"] for each in told} <= {"merged", "unchanged"}
    assert {each["commit"] for each in told} <= {None, git(shop.origin, "rev-parse", "main")}
    assert int(git(shop.origin, "rev-list", "--count", "main")) == int(began) + 1


@pytest.mark.slow
def test_the_log_tells_holds_and_releases(shop: Shop) -> None:
    from pointsman.verbs import log

    hold(shop, now=False)
    shop.merge("grocer/home")
    release(shop)
    hold(shop, "all", now=False)
    shop.merge("all")
    release(shop, "all")
    hold(shop)
    release(shop)
    shop.roll_back(now=True, hold=True, reason="bad feed")
    with shop.open() as repo:
        told = log.log(Workspace(repo), log.Query(targets=(GROCER,))).document["events"]
    assert [(event["kind"], event["reason"], "now" in event) for event in told[:8]] == [
        ("hold", "bad feed", True),
        ("restore", "bad feed", True),
        ("release", "mended", True),
        ("hold", "the feed is broken", True),
        ("release", "mended", True),
        ("hold", "the feed is broken", False),
        ("release", "mended", True),
        ("hold", "the feed is broken", False),
    ]
