"""Status: how old, how far behind, by whose hand; waiting, watching, and what Prometheus is told."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import clock_at
from prometheus_client.parser import text_string_to_metric_families
from shop import GROCER, Kept, Shop, git, popularity

from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.history.times import read_time
from pointsman.outcome import Outcome
from pointsman.report import status as status_text
from pointsman.report.target_state import Status
from pointsman.state.names import Pattern, Target
from pointsman.verbs import status, watch
from pointsman.workspace import Workspace

CART = Target("grocer", "cart")


def shipped(root: Path) -> Shop:
    shop = Shop(root, '[policy]\nwindow_stale = "2d"\n[policy."grocer/cart"]\nwindow_stale = false\n')
    files = popularity(root / "p1.json", 10), popularity(root / "c.json", 10, surface="cart")
    accept = ("window-stale",)
    shop.publish(*files, merge=True, run="https://ci.example/1", accept=accept, reason="old samples")
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def pointer(shop: Shop, target: Target = GROCER) -> Path:
    return shop.store / "registry" / "current" / str(target) / "manifest.json"


def ship(shop: Shop, file: Path) -> None:
    shop.publish(file, merge=True, accept=("window-stale",), reason="old samples")


def looked(shop: Shop, *named: Target | Pattern, clock: str | None = None, **more: Any) -> Outcome[Any]:
    with shop.open() as repo:
        return status.status(
            Workspace(repo, clock=clock_at(read_time(clock) if clock else None)),
            named,
            **more,
        )


def state(shop: Shop, clock: str | None = None) -> dict[str, Any]:
    (found,) = looked(shop, GROCER, clock=clock).document["targets"]
    return dict(found)


@pytest.mark.slow
def test_the_age_of_a_window_is_told_and_held_against_the_policy_of_its_target(shop: Shop) -> None:
    for clock, stale in (("2026-03-04T00:00:00Z", []), ("2026-03-04T00:00:01Z", ["popularity"])):
        window = state(shop, clock)["window"]
        assert window["age_seconds"] == 2 * 86400 + bool(stale)
        assert (window["stale"], window["limit_seconds"]) == (stale, 2 * 86400)
        assert looked(shop, clock=clock, fail_on=("stale",)).exit_code == int(bool(stale))
        assert looked(shop, CART, clock="2099-01-01", fail_on=("stale",)).exit_code == 0
    assert "older than 2.0 days: popularity" in status_text.render(looked(shop, GROCER).value)


@pytest.mark.slow
def test_behind_counts_from_the_first_commit_that_serving_lacks(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    served = pointer(shop).read_bytes()
    ship(shop, popularity(tmp_path / "p2.json", 11, day=2))
    first = shop.main
    ship(shop, popularity(tmp_path / "p3.json", 12, day=3))
    behind = state(shop, "2099-01-01")["behind"]
    assert (behind["commits"], behind["since"]["commit"]) == (2, first)
    moment = read_time(behind["since"]["at"])
    assert moment is not None
    assert behind["seconds"] == (read_time("2099-01-01") or 0) - moment
    shop.roll_back(now=True, reason="back", to=first)
    shop.sync()
    assert state(shop)["serving"] == "in-sync"
    pointer(shop).write_bytes(served)
    assert state(shop)["behind"]["commits"] == 3
    pointer(shop).unlink()
    absent = state(shop)
    assert (absent["serving"], absent["behind"]["since"]["commit"]) == ("absent", shop.main)


@pytest.mark.slow
def test_drift_names_the_difference_the_time_and_the_hand(shop: Shop) -> None:
    shop.sync()
    manifest = json.loads(pointer(shop).read_text())
    mine = manifest["current"]["popularity"][-69:-5]
    here = manifest["current"]["popularity"]
    manifest["current"] = {"popularity": here.replace(mine, "f" * 64)}
    pointer(shop).write_text(json.dumps(manifest))
    os.utime(pointer(shop), (1772323200, 1772323200))
    drift = state(shop)["drift"]
    assert drift == {
        "by": pwd.getpwuid(os.getuid()).pw_name,
        "at": "2026-03-01T00:00:00Z",
        "readable": True,
        "says": "",
        "changes": {"popularity": [mine, "f" * 64]},
        "uris": {"popularity": [here, here.replace(mine, "f" * 64)]},
    }
    pointer(shop).write_text("gone")
    assert "it cannot be read as a manifest" in status_text.render(looked(shop, GROCER).value)
    shop.sync()
    assert state(shop)["drift"] is None


@pytest.mark.slow
def test_what_sync_refuses_and_the_hold_that_stands_are_told(shop: Shop) -> None:
    shop.sync()
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.write_text(path.read_text().replace('"updated_at": "2', '"updated_at": "3'))
    hold = shop.desk / GROCER.hold_path
    hold.parent.mkdir(parents=True)
    for until, binds in (("2031-01-01T00:00:00Z", True), ("2030-12-31T23:59:59Z", False)):
        words = {"v": 1, "target": str(GROCER), "until": until, "reason": "no more"}
        hold.write_text(json.dumps(words, indent=2) + "\n")
        git(shop.desk, "add", ".")
        shop.push("by hand")
        told = state(shop, "2031-01-01" if not binds else "2030-12-31T23:59:59Z")
        assert [each["reason"] for each in told["holds"]] == ["no more"] * binds
    assert told["serving"] == "behind"
    assert [fault["rule"] for fault in told["refused"]] == ["unvouched-manifest"]


def test_who_merged_and_the_run_that_shipped_are_told(shop: Shop) -> None:
    shipped = state(shop)["shipped"]
    assert shipped["run"] == "https://ci.example/1"
    assert shipped["committer"] == shipped["by"]


@pytest.mark.slow
def test_patterns_name_targets_of_main_and_of_serving_and_each_is_shown_once(shop: Shop) -> None:
    def names(*named: Target | Pattern) -> list[str]:
        return [each["target"] for each in looked(shop, *named).document["targets"]]

    assert names(Pattern.parse("gro*/*"), GROCER) == ["grocer/cart", "grocer/home"]
    served = shop.store / "registry" / "current" / "grocer" / "gone" / "manifest.json"
    served.parent.mkdir(parents=True)
    served.write_text("{}")
    assert names(Pattern.parse("gro*/*"), GROCER) == ["grocer/cart", "grocer/gone", "grocer/home"]
    with pytest.raises(Problem, match=r"no target on main matches baker/\*: did you mean grocer/"):
        names(Pattern.parse("baker/*"))


@pytest.mark.slow
def test_one_target_is_looked_up_without_listing_serving(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sync()
    pointer(shop, CART).unlink()
    pointer(shop, CART).mkdir()  # whoever lists, trips
    assert state(shop)["serving"] == "in-sync"
    assert looked(shop, GROCER, fail_on=("drift", "behind")).exit_code == 0
    assert looked(shop, CART, fail_on=("drift",)).exit_code == 3


def test_waiting_ends_as_soon_as_serving_has_what_main_has(shop: Shop) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            shop.sync()

    with shop.open() as repo:
        outcome = watch.wait(Workspace(repo), (), 100, pause=pause, clock=lambda: sum(pauses))
    assert outcome.exit_code == 0
    assert {each["serving"] for each in outcome.document["targets"]} == {"in-sync"}
    assert pauses == [0.25, 0.5, 1.0]


@pytest.mark.slow
def test_waiting_in_vain_ends_with_4_and_names_who_lacks_what(shop: Shop) -> None:
    shop.sync()
    pointer(shop).write_text("{}")
    pauses: list[float] = []
    with shop.open() as repo:
        outcome = watch.wait(Workspace(repo), (), 30, pause=pauses.append, clock=lambda: sum(pauses))
    assert outcome.exit_code == MovedFirst.exit_code == 4
    assert outcome.notes == ("after 30 s serving does not have what main has: grocer/home (drifted)",)
    assert sum(pauses) == 30
    assert max(pauses) == watch.EVERY
    pointer(shop).unlink()
    pointer(shop).mkdir()
    with shop.open() as repo:
        assert watch.wait(Workspace(repo), (GROCER,), 0).exit_code == 3


@pytest.mark.slow
def test_waiting_goes_on_while_the_origin_is_silent_and_ends_with_its_words(shop: Shop) -> None:
    shop.sync()
    away = shop.origin.with_name("away.git")
    shop.origin.rename(away)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            away.rename(shop.origin)

    with shop.open(shop.desk) as repo:
        assert watch.wait(Workspace(repo), (), 60, pause=pause, clock=lambda: sum(pauses)).exit_code == 0
    shop.origin.rename(away)
    with shop.open(shop.desk) as repo, pytest.raises(Unreachable):
        watch.wait(Workspace(repo), (), 0)


@pytest.mark.slow
def test_watching_shows_every_look_goes_on_after_trouble_and_stops_when_told(shop: Shop) -> None:
    shop.sync()
    away = shop.origin.with_name("away.git")
    seen: list[str] = []
    missed: list[str] = []
    stop = threading.Event()

    def see(found: Status) -> None:
        (each,) = found.targets
        seen.append(each.serving)
        match len(seen):
            case 1:
                pointer(shop).write_text("{}")
            case 2:
                shop.origin.rename(away)
            case 3:
                stop.set()

    def miss(why: str) -> None:
        missed.append(why)
        away.rename(shop.origin)
        shop.sync()

    with shop.open(shop.desk) as repo:
        watch.watch(Workspace(repo), (GROCER,), see, miss, stop, every=0)
    assert seen == ["in-sync", "drifted", "in-sync"]
    assert len(missed) == 1


@pytest.mark.slow
@pytest.mark.parametrize("by", ["SIGTERM", "an interrupt of all, git too"])
def test_the_command_watches_says_what_is_new_serves_metrics_and_ends_with_0(shop: Shop, by: str) -> None:
    shop.sync()
    command = [sys.executable, "-m", "pointsman", "-C", str(shop.origin), "status", "--watch", "--listen", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    where = process.stderr.readline()
    lines = [process.stdout.readline() for _ in range(2)]
    metrics = httpx.get(where.split()[-1], timeout=60).text
    if by == "SIGTERM":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert [line.split("  ")[1].split(":")[0] for line in lines] == ["grocer/cart", "grocer/home"]
    assert 'pointsman_serving{state="in-sync",target="grocer/home"} 1.0' in metrics


@pytest.mark.slow
def test_prometheus_reads_what_it_is_told(shop: Shop, tmp_path: Path) -> None:
    shop.sync()
    ship(shop, popularity(tmp_path / "p2.json", 11, day=2))
    found_by = looked(shop, clock="2026-03-10").value
    families = {
        family.name: family for family in text_string_to_metric_families(status_text.render_prometheus(found_by))
    }
    found = {
        (name, tuple(sorted(sample.labels.items()))): sample.value
        for name, family in families.items()
        for sample in family.samples
    }
    home = ("target", "grocer/home")
    assert found["pointsman_serving", (("state", "behind"), home)] == 1
    assert found["pointsman_serving", (("state", "in-sync"), home)] == 0
    assert found["pointsman_window_age_seconds", (home,)] == 7 * 86400
    assert found["pointsman_window_stale_types", (home,)] == 1
    assert found["pointsman_window_stale_types", (("target", "grocer/cart"),)] == 0
    assert found["pointsman_shipped_timestamp_seconds", (home,)] > 1.7e9
    assert found["pointsman_status_timestamp_seconds", ()] == read_time("2026-03-10")


@pytest.mark.slow
def test_a_moment_is_that_of_log_although_the_clock_ran_backwards(shop: Shop) -> None:
    shop.pull()
    path = shop.desk / GROCER.manifest_path
    path.write_text(path.read_text().replace('"updated_at": "2', '"updated_at": "3'))
    git(shop.desk, "commit", "-q", "-a", "-m", "old clock", env={"GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"})
    git(shop.desk, "push", "-q", "origin", "main")
    assert state(shop)["shipped"]["at"] > "2026"
