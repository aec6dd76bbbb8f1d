"""Rollout: what waits is asked about, a bad state stays where it is or goes back, and an outage decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from metrics import Metrics, metrics
from output_schemas import validate
from rings import RingShop
from shop import git, popularity

from pointsman.cli import rollout as command
from pointsman.cli.main import main
from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.verbs import hold, rollout

MINUTE = 60
CHECK = """[check.empty]
prometheus = "{url}"
query = 'rate(empty{{tenant="{{tenant}}",surface="{{surface}}",ring="{{ring}}"}}[5m])'
below = 0.02
for = "10m"
{more}
"""


class Rolling(RingShop):
    """Two rings; prod waits for half an hour, and for a check of a server that the test answers for."""

    def __init__(self, root: Path, metrics: Metrics, more: str = "", after: str = "30m") -> None:
        self.metrics = metrics
        check = CHECK.format(url=metrics.url, more=more)
        super().__init__(root, rings={"canary": "", "prod": f'after = "{after}"\nchecks = ["empty"]\n{check}'})

    def roll(self, *targets: Any, check: bool = True, later: int = 0, dry_run: bool = False) -> Outcome[Any]:
        self.now += later
        with self.open() as repo:
            found = rollout.rollout(self.workspace(repo), rollout.Request(targets, check, dry_run))
        validate("rollout", found.document)
        return found

    def told_before(self, *, later: int) -> list[tuple[str, str]]:
        """What a dry run says would be done, and it writes nothing."""
        before = self.everything()
        found = self.roll(later=later, dry_run=True)
        assert (found.exit_code, found.document["dry_run"]) == (1, True)
        assert self.everything() == before
        acted = found.document["targets"][0]["acted"]
        assert [(each["commit"], each["pull_request"]) for each in acted] == [(None, None)]
        assert "nothing was written" in command.render(found.value)
        return [(each["outcome"], each["state"]) for each in acted]

    def prod(self, found: Outcome[Any], target: int = 0) -> dict[str, Any]:
        ring: dict[str, Any] = found.document["targets"][target]["rings"][1]
        return ring

    def day(self, number: int) -> str:
        """Ship a day, and let a sync give it to canary."""
        self.publish(day=number, merge=True)
        self.pass_over()
        return self.main


@pytest.fixture(scope="module")
def server() -> Iterator[Metrics]:
    with metrics() as made:
        yield made


@pytest.fixture
def shop(tmp_path: Path, server: Metrics) -> Rolling:
    server.always(0.01)
    server.asked.clear()
    made = Rolling(tmp_path / "shop", server)
    made.day(1)
    made.pass_over()
    return made


@pytest.mark.slow
def test_an_ordinary_day_reaches_prod_after_its_time_and_a_pass_of_its_check(shop: Rolling) -> None:
    first = shop.serves("prod")
    assert first is not None
    second = shop.day(2)
    assert (shop.serves("canary") == shop.manifest, shop.serves("prod")) == (True, first)
    waits = shop.prod(shop.roll())
    assert waits["waits_for"] == "time"
    assert waits["due"]["commit"] == second
    assert waits["checks"][0]["verdict"] == "undecided"
    assert "not enough time yet: its values are only about this state from" in waits["checks"][0]["says"]
    assert "not enough time yet" in shop.prod(shop.roll(later=12 * MINUTE))["checks"][0]["says"]
    assert shop.metrics.asked == []  # it would not be about this state
    shop.pass_over(later=31 * MINUTE)
    assert shop.serves("prod") == first  # no check has passed
    assert shop.prod(shop.roll(check=False))["waits_for"] == "check"
    found = shop.roll()
    assert (found.exit_code, shop.prod(found)["waits_for"], shop.prod(found)["checks"][0]["verdict"]) == (
        *(0, "nothing", "pass"),
    )
    assert shop.metrics.asked == ['rate(empty{tenant="grocer",surface="home",ring="canary"}[5m])']
    shop.pass_over(later=14 * MINUTE)
    assert shop.serves("prod") == shop.manifest
    assert shop.roll().exit_code == 0
    assert len(shop.metrics.asked) == 1  # nothing waits


@pytest.mark.slow
def test_a_pass_that_is_too_old_lets_nothing_go_on(shop: Rolling) -> None:
    first = shop.serves("prod")
    shop.day(2)
    shop.roll(later=31 * MINUTE)
    shop.pass_over(later=16 * MINUTE)
    assert shop.serves("prod") == first
    assert shop.prod(shop.roll(check=False))["waits_for"] == "check"


@pytest.mark.slow
def test_a_bad_day_is_stopped_on_main_and_a_newer_one_starts_anew(shop: Rolling) -> None:
    first, bad = shop.serves("prod"), shop.day(2)
    shop.metrics.always(0.4)
    assert shop.told_before(later=16 * MINUTE) == [("stopped", bad)]
    found = shop.roll()
    assert found.exit_code == 1
    (acted,) = found.document["targets"][0]["acted"]
    assert (acted["outcome"], acted["state"], acted["commit"], acted["pull_request"]) == (
        *("stopped", bad, shop.main, None),
    )
    assert git(shop.origin, "log", "-1", "--format=%s", "main") == (
        f"hold: grocer/home to keep {bad[:12]} from further rings"
    )
    assert "check empty fails: 0.4, and it must be below 0.02 in canary" in git(shop.origin, "log", "-1", "main")
    shop.metrics.always(0.0)
    for _ in range(3):
        again = shop.roll(later=20 * MINUTE)
        assert (again.exit_code, shop.prod(again)["waits_for"]) == (0, "stop")
        shop.pass_over()
        assert shop.serves("prod") == first
    newer = shop.day(1)  # ships pass
    assert newer != bad
    shop.roll(later=31 * MINUTE)
    shop.pass_over()
    assert shop.serves("prod") == shop.manifest != first


@pytest.mark.slow
def test_a_release_lets_a_stopped_day_go_on_and_a_failure_stops_it_again(shop: Rolling) -> None:
    first = shop.serves("prod")
    shop.day(2)
    shop.metrics.always(0.4)
    shop.roll(later=16 * MINUTE)
    for value, served in ((0.4, first), (0.0, shop.manifest)):
        shop.metrics.always(value)
        with shop.open() as repo:
            hold.change_hold(shop.workspace(repo), hold.Request("grocer/home", now=True, reason="it was the load"))
        assert shop.roll(later=20 * MINUTE).exit_code == 0  # main had the hold: what failed then counts no more
        found = shop.roll()
        assert found.exit_code == (1 if value else 0)
        shop.pass_over()
        assert shop.serves("prod") == served


@pytest.mark.slow
def test_a_failing_verdict_stops_until_its_hold_is_on_main_whatever_passes_later(shop: Rolling) -> None:
    """The bot may not push main: the hold waits in a pull request."""
    first = shop.serves("prod")
    shop.day(2)
    protect(shop)
    shop.metrics.always(0.4)
    found = shop.roll(later=16 * MINUTE)
    (acted,) = found.document["targets"][0]["acted"]
    assert acted["pull_request"]["branch"].startswith("hold/grocer/home/")
    shop.metrics.always(0.0)
    again = shop.roll(later=20 * MINUTE)
    assert (again.exit_code, shop.prod(again)["waits_for"]) == (0, "stop")
    assert again.document["targets"][0]["acted"][0]["pull_request"] == acted["pull_request"]
    shop.pass_over()
    assert shop.serves("prod") == first
    (shop.origin / "hooks" / "update").unlink()
    shop.merge(acted["pull_request"]["branch"])
    assert shop.prod(shop.roll())["waits_for"] == "stop"
    shop.pass_over()
    assert shop.serves("prod") == first


def protect(shop: Rolling) -> None:
    """Let nobody push main."""
    hook = shop.origin / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "protected branch" >&2; exit 1; }\n')
    hook.chmod(0o755)


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_check_that_tells_nothing_decides_nothing_and_is_told(shop: Rolling, value: float | None) -> None:
    first = shop.serves("prod")
    shop.day(2)
    shop.metrics.always(value)
    found = shop.roll(later=31 * MINUTE)
    assert found.exit_code == 3
    assert shop.prod(found)["checks"][0]["verdict"] == "undecided"
    assert "not enough data" in shop.prod(found)["checks"][0]["says"]
    shop.pass_over()
    assert shop.serves("prod") == first
    assert shop.main == git(shop.origin, "rev-parse", "main")


@pytest.mark.slow
def test_what_failed_goes_back_where_the_check_passed_before_it(tmp_path: Path, server: Metrics) -> None:
    server.always(0.0)
    shop = Rolling(tmp_path / "shop", server, 'on_failure = "rollback"')
    shop.day(1)
    shop.pass_over()
    first = shop.serves("prod")
    shop.now += 3600
    bad, given = shop.day(2), shop.now
    server.value = lambda query, at: 0.4 if at > given else 0.01
    assert shop.told_before(later=16 * MINUTE) == [("rolled-back", bad)]
    found = shop.roll()
    assert found.exit_code == 1
    assert [each["outcome"] for each in found.document["targets"][0]["acted"]] == ["rolled-back"]
    assert shop.manifest == first
    assert "Rollback-Now: grocer/home" in git(shop.origin, "log", "-1", "main")
    shop.pass_over()
    assert shop.serves("canary") == shop.serves("prod") == first
    assert "acted" not in shop.roll().document["targets"][0]
    assert not git(shop.origin, "ls-tree", "-r", "main", "holds/")


@pytest.mark.slow
def test_what_was_wrong_before_it_is_no_reason_to_go_back(tmp_path: Path, server: Metrics) -> None:
    server.always(0.4)
    shop = Rolling(tmp_path / "shop", server, 'on_failure = "rollback"')
    shop.day(1)
    shop.now += 3600
    bad = shop.day(2)
    found = shop.roll(later=16 * MINUTE)
    assert [each["outcome"] for each in found.document["targets"][0]["acted"]] == ["stopped"]
    why = f"check empty failed before ring canary was given {bad[:12]}, too"
    assert f"grocer/home is stopped and not rolled back: {why}" in found.notes


@pytest.mark.slow
def test_what_is_wrongly_asked_is_one_sentence(shop: Rolling, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (
        (["grocer/hoem"], "grocer/hoem was never shipped here: did you mean grocer/home?"),
        (["nobody/*"], "no target on main matches nobody/*"),
    ):
        assert main(["-C", str(shop.desk), "rollout", *words]) == 2
        assert says in "".join(capsys.readouterr())
    shop.set_rings("")
    with pytest.raises(Problem, match=r"pointsman\.toml has no \[\[ring\]\]"):
        shop.roll()
    assert main(["-C", str(shop.desk), "rollout", "grocer/hoem"]) == 2
    assert "grocer/hoem was never shipped here" in capsys.readouterr().err, "the wrong name is told first"


@pytest.mark.slow
def test_of_many_a_fifth_goes_back_in_one_run_and_where_more_fail_at_once_none_does(
    tmp_path: Path, server: Metrics
) -> None:
    server.always(0.0)
    shop = Rolling(tmp_path / "shop", server, 'on_failure = "rollback"')

    def day(number: int) -> None:
        files = [
            popularity(tmp_path / str(number) / f"{each}.json", 5, surface=f"s{each}", day=number) for each in range(15)
        ]
        shop.publish(*files, merge=True)
        shop.pass_over()

    def failing(count: int) -> dict[str, int]:
        bad, given = [f'surface="s{each}"' for each in range(count)], shop.now
        server.value = lambda query, at: 0.4 if at > given and any(each in query for each in bad) else 0.01
        found = shop.roll(later=16 * MINUTE)
        assert found.exit_code == 1
        acted = Counter(each["outcome"] for target in found.document["targets"] for each in target.get("acted") or ())
        several = "fail a check at once, so it may be none of them"
        assert any(several in note for note in found.notes) is (count > 3)
        return dict(acted)

    day(1)
    shop.now += 3600
    day(2)
    assert failing(3) == {"rolled-back": 3}
    shop.now += 7200
    server.always(0.01)
    day(3)
    assert failing(4) == {"stopped": 4}
