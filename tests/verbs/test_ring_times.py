"""Log and audit by ring: when a ring was due what a commit made, and given it; what nobody knows is said to be so."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from rings import HOUR, START, RingShop, at_start, rings_of, shipped
from shop import GROCER, Kept, git, popularity

from pointsman.cli import log as log_words
from pointsman.errors import Problem
from pointsman.report.audit import html
from pointsman.state.documents import Hold, rfc3339
from pointsman.state.ring import given_key
from pointsman.verbs import audit, log

ZERO = "2030-03-17T17:46:40Z"  # START


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("times"), shipped)


@pytest.fixture
def shop(kept: Kept) -> RingShop:
    return at_start(kept)


def ship(shop: RingShop, items: int, **more: Any) -> None:
    shop.publish(popularity(shop.root / f"p{items}.json", items), merge=True, **more)


def asked(shop: RingShop, ring: str = "prod", **more: Any) -> Any:
    with shop.open() as repo:
        return log.log(shop.workspace(repo), log.Query((GROCER,), ring=ring, **more))


def times(shop: RingShop, ring: str = "prod") -> list[tuple[str, str | None, str | None, str]]:
    """Of each state of main, newest first: what was done, when it was due and given, and why."""
    return [
        (event["kind"], each["due_at"], each["given_at"], each["says"])
        for event in asked(shop, ring).document["events"]
        for each in event.get("rings", ())
    ]


def after(seconds: int) -> str:
    return rfc3339(START + seconds)


@pytest.mark.slow
def test_log_tells_when_a_ring_was_due_each_state_and_given_it(shop: RingShop) -> None:
    ship(shop, 11)
    shop.pass_over(later=HOUR)
    shop.pass_over(later=3 * HOUR)
    first = ("ship", None, ZERO, "the ring had nothing, so it got what the others had")
    assert times(shop) == [("ship", after(3 * HOUR), after(4 * HOUR), "2.0 hours after canary"), first]
    made = [event["at"] for event in asked(shop, "canary").document["events"]]
    assert times(shop, "canary")[0] == ("ship", made[0], after(HOUR), "")
    outcome = asked(shop)
    text = log_words.render(outcome.value)
    line = f"    prod: due {after(3 * HOUR)}, given {after(4 * HOUR)} (2.0 hours after canary)\n"
    assert line in text
    assert f"    prod: given {ZERO} (the ring had nothing, so it got what the others had)" in text
    rows = list(csv.DictReader(io.StringIO(log_words.render_csv(outcome.value))))
    assert [(row["ring"], row["due_at"], row["given_at"]) for row in rows] == [
        ("prod", after(3 * HOUR), after(4 * HOUR)),
        ("prod", "", ZERO),
    ]
    with shop.open() as repo:
        found = audit.audit(shop.workspace(repo))
    assert [[each["ring"] for each in event["rings"]] for event in found.document["events"]] == [["canary", "prod"]] * 2
    assert found.document["events"][1]["rings"][1]["given_at"] == after(4 * HOUR)
    assert line.strip() in html.render(found.value)
    with pytest.raises(Problem, match="there is no ring pord: did you mean prod"):
        asked(shop, "pord")


@pytest.mark.slow
def test_what_was_taken_out_before_its_turn_is_told_as_such_and_a_restore_is_due_at_once(shop: RingShop) -> None:
    first = shop.main
    ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    ship(shop, 12)
    shop.pass_over()
    shop.roll_back(now=True, reason="bad")
    shop.pass_over(later=60)
    restore, taken, *_ = times(shop)
    by = git(shop.origin, "rev-parse", "main")[:12]
    assert taken == ("ship", None, None, f"{by} took it out before its turn came")
    assert restore == ("restore", None, None, "the ring had the same")
    shop.roll_back(now=True, reason="worse", to=first)
    shop.pass_over(later=60)
    restore, *_ = times(shop)
    assert (restore[2], restore[3]) == (after(2 * HOUR + 120), "at once: it takes out what the ring had")


@pytest.mark.slow
@pytest.mark.parametrize("readable", [True, False])
def test_a_hold_that_stops_a_rollout_and_its_release_are_counted(shop: RingShop, readable: bool) -> None:
    ship(shop, 11)
    oid = shop.main
    shop.pass_over()
    shop.pull()
    hold = shop.desk / GROCER.hold_path
    hold.parent.mkdir(parents=True)
    hold.write_bytes(Hold(str(GROCER), "", "looks bad", oid).render() if readable else b"no hold\n")
    shop.push("stop")
    shop.pass_over(later=9 * HOUR)
    assert times(shop)[0] == ("ship", None, None, "a hold stops it")
    assert "prod: not due so far (a hold stops it)" in log_words.render(asked(shop).value)
    hold.unlink()
    released = shop.push("release")
    at = git(shop.origin, "show", "-s", "--format=%ct", released)
    shop.pass_over()
    # What git's clocks say of a release is held against what sync wrote down of canary, by its own clock.
    due = max(int(at), START + 2 * HOUR)
    assert times(shop)[0] == ("ship", rfc3339(due), after(9 * HOUR), "2.0 hours after canary")


@pytest.mark.slow
def test_what_nobody_wrote_down_is_said_to_be_unknown(shop: RingShop) -> None:
    ship(shop, 11)
    shop.pass_over()
    shop.pass_over(later=2 * HOUR)
    (shop.root / "canary" / given_key("canary", GROCER)).unlink()
    assert times(shop)[0] == ("ship", None, after(2 * HOUR), "nobody wrote down that canary was given it")
    (shop.root / "prod").rename(shop.root / "away")
    (shop.root / "prod").symlink_to(shop.root / "prod")
    outcome = asked(shop)
    assert outcome.exit_code == 0
    assert "what prod was given is not known: " in " ".join(outcome.notes)
    assert times(shop)[0][3].endswith("; what it was given is not known")
    with shop.open() as repo:
        assert "what prod was given is not known: " in " ".join(audit.audit(shop.workspace(repo)).notes)


@pytest.mark.slow
def test_each_time_is_by_the_settings_that_stood_then(shop: RingShop) -> None:
    ship(shop, 11)
    shop.pass_over()
    shop.set_rings(rings_of(shop.root, canary="", prod='after = "4h"\n'))
    shop.pass_over(later=3 * HOUR)
    shop.pass_over(later=HOUR)
    assert times(shop)[0] == ("ship", after(4 * HOUR), after(4 * HOUR), "4.0 hours after canary")
    shop.set_rings(rings_of(shop.root, canary="", third="", prod=""))
    shop.pass_over()
    ship(shop, 12, accept=("not-soaked",), reason="urgent")
    shop.pass_over()
    (newest, *_), (third, *_) = times(shop), times(shop, "third")
    assert (newest[3], third[3]) == ("at once: the ship accepts not-soaked",) * 2
    shop.pull()
    (shop.desk / "manifests/grocer/home/manifest.json").write_text("{}")
    shop.push("by hand")
    assert times(shop)[0] == ("edit", None, None, "it broke a rule")
