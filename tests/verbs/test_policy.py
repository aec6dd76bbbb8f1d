"""Guardrails: what each stops and by a hair does not, on records, on real days, and through the verbs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import GROCER, STAGING, Kept, Shop, artifact, cooc, git, popularity, refused

from pointsman import artifact as reader
from pointsman.cli import check as check_command
from pointsman.cli import pr as pr_command
from pointsman.errors import Refused
from pointsman.gate.gate import Gate
from pointsman.gate.payloads import Contents, Missing
from pointsman.guardrails.comparison import Finding, Likeness, Step
from pointsman.guardrails.limits import Age, Jump, Limit
from pointsman.guardrails.table import DEFAULTS, GUARDRAILS, judge, sentence
from pointsman.outcome import Outcome
from pointsman.settings import Settings, read_settings
from pointsman.state.documents import Record
from pointsman.state.names import Target
from pointsman.verbs import check, log, pr, rollback
from pointsman.workspace import Workspace

STRICT = "[policy]\ntype_dropped = true\n"  # in a shop: all the defaults
NOON_ON_2_MARCH = 1772452800
RECORD = Record(
    tenant="grocer", surface="home", segment="default", type="popularity", version="a" * 64,
    window_start="2026-03-01T00:00:00Z", window_end="2026-03-02T00:00:00Z", uri="file:///x", size=1000, built_at="",
    source_hash="", summary={"items": 100}, recorded_at="2026-03-02T00:00:00.000000Z", run="", commit="", tool="",
)  # fmt: skip


def record(kind: str = "popularity", version: str = "b", **more: Any) -> Record:
    return replace(RECORD, type=kind, version=version * 64, **more)


def step(
    before: Sequence[Record],
    after: Sequence[Record],
    *,
    drops: Sequence[str] = (),
    kept: float | None = 1,
    overlap: float | None = 1,
    why: str = "",
    clock: int = NOON_ON_2_MARCH,
) -> Step:
    """A ship from some records to others, whose contents are all as alike as told."""
    old, new = ({each.type: each for each in side} for side in (before, after))
    changed = [slot for slot in new if slot not in old or old[slot] != new[slot]]
    likeness = {(old[slot].version, new[slot].version): Likeness(kept, overlap, why) for slot in changed if slot in old}
    return Step(old, new, changed, tuple(new), drops, clock, likeness)


def found(rule: str, *steps: Step, limit: Limit | None = None) -> list[Finding]:
    return judge(GUARDRAILS[rule], GUARDRAILS[rule].default if limit is None else limit, steps)


def says(rule: str, *steps: Step, limit: Limit | None = None) -> str:
    """What a guardrail objects to, "" for nothing."""
    return sentence(each for each in found(rule, *steps, limit=limit) if each.broken)


# one by one: what is just too much, and what is not


@pytest.mark.parametrize(
    "rule,limit,wrong,right,words",
    [
        ("type-dropped", True, step([RECORD, record("cooc")], [RECORD]),
         step([RECORD, record("cooc")], [RECORD], drops=["cooc"]), "cooc disappeared"),
        ("type-missing", ("cooc",), step([], [RECORD]), step([], [RECORD, record("cooc")]), "cooc not in the manifest"),
        ("items-drop", 0.5, step([RECORD], [record(summary={"items": 49})]),
         step([RECORD], [record(summary={"items": 50})]), "falls from 100 to 49 items (51% less, the limit is 50%)"),
        ("items-floor", 20, step([], [record(summary={"items": 19})]), step([], [record(summary={"items": 20})]),
         "has 19 items, the floor is 20"),
        ("kept-low", 0.3, step([RECORD], [record()], kept=0.29), step([RECORD], [record()], kept=0.3), "keeps 29%"),
        ("overlap-low", 0.3, step([RECORD], [record()], overlap=0.29), step([RECORD], [record()], overlap=0.3), "29%"),
        ("size-jump", Jump(3, 10), step([RECORD], [record(size=333)]), step([RECORD], [record(size=334)]),
         "from 1000 to 333 bytes"),
        ("size-jump", Jump(3, 10), step([RECORD], [record(size=10001)]), step([RECORD], [record(size=10000)]),
         "times larger (the limit is 10)"),
        ("too-large-to-serve", 10_000_000, step([], [record(size=10_000_001)]), step([], [record(size=10_000_000)]),
         "has 10000001 bytes, serving loads at most 10000000"),
        ("window-regressed", True, step([RECORD], [record(window_end="2026-03-01T23:59:59.999999999Z")]),
         step([RECORD], [record(window_end="2026-03-02T01:00:00+01:00")]), "went back"),
        ("window-regressed", True, step([RECORD], [record(window_end="2026-02-29T00:00:00Z")]),
         step([record(version="c", window_end="2026-02-29T00:00:00Z")], [record()]), "went back"),
        ("window-stale", Age(43200, "12h"), step([], [RECORD], clock=NOON_ON_2_MARCH + 1), step([], [RECORD]),
         "ended 12.0 hours ago"),
        ("window-stale", Age(43200, "12h"), step([], [record(window_end="2026-02-29T00:00:00Z")]),
         step([], [record(window_end="2026-03-09T00:00:00Z")]), "with an end that is not a valid date"),
        ("windows-differ", True, step([], [RECORD, record("cooc", window_start="2026-02-28T00:00:00Z")]),
         step([], [RECORD, record("cooc", window_start="2026-03-01T01:00:00+01:00")]), "from different windows"),
        ("segment-changed", True, step([RECORD], [record(segment="night")]), step([], [record(segment="night")]),
         "went from the segment default to the segment night"),
        ("segment-changed", True, step([RECORD], [record(segment="")]), step([RECORD], [record()]),
         "to the segment without a name"),
        ("segment-changed", True, step([record(version="c", segment="")], [record()]), step([RECORD], [record()]),
         "from the segment without a name to the segment default"),
    ],
)  # fmt: skip
def test_a_guardrail_stops_what_is_just_too_much_and_nothing_when_it_is_off(
    rule: str, limit: Limit, wrong: Step, right: Step, words: str
) -> None:
    assert words in says(rule, wrong, limit=limit)
    assert says(rule, right, limit=limit) == ""
    assert found(rule, wrong, limit=False) == []


MEASURES = {
    "popularity": "items", "cooc": "rows", "implicit": "users", "session_seq": "users", "content_sim": "items",
    "bundles": "packs",
}  # fmt: skip


@pytest.mark.parametrize("kind", MEASURES)
def test_a_type_is_counted_in_what_it_is_made_of(kind: str) -> None:
    def told(before: Mapping[str, int], after: Mapping[str, int]) -> str:
        return says("items-drop", step([record(kind, "c", summary=before)], [record(kind, summary=after)]))

    measure = MEASURES[kind]
    assert f"from 100 to 10 {measure}" in told({measure: 100, "inside": 9}, {measure: 10, "inside": 9})
    fallen = told({measure: 100, "inside": 900}, {measure: 100})
    # What is inside of rows may fall; a user's own type counts all of its lists.
    assert fallen == "" if kind != "bundles" else "from 900 to 0 inside" in fallen


def test_the_floor_is_for_popularity_alone() -> None:
    assert says("items-floor", step([], [record("cooc", summary={"rows": 1, "items": 1})]), limit=20) == ""


def test_what_had_nothing_in_it_can_lose_nothing() -> None:
    empty = record(version="c", summary={"items": 0}, size=200)
    for rule in ("items-drop", "size-jump"):
        assert says(rule, step([empty], [record(size=200_000)])) == ""


def test_counts_beyond_every_double_are_judged_too() -> None:
    huge = record(version="c", summary={"items": 2**63 - 1}, size=2**63 - 1)
    for rule in ("items-drop", "size-jump"):
        assert says(rule, step([huge], [RECORD]))
    assert says("items-drop", step([huge], [record(summary={"items": 2**62})])) == ""


def test_a_slot_that_the_ship_leaves_alone_is_not_judged_again() -> None:
    old = record("cooc", size=20_000_000, window_end="2020-01-01T00:00:00Z")
    ship = step([RECORD, old], [record(), old])
    assert says("too-large-to-serve", ship) == ""
    assert says("window-stale", ship, limit=Age(86400, "1d")) == ""


def test_whatever_is_new_has_nothing_to_be_compared_with() -> None:
    ship = step([record("cooc")], [record("cooc"), record(segment="night", size=1, summary={"items": 0})])
    assert [rule for rule in GUARDRAILS if says(rule, ship)] == []


# against the current state, or the last one shipped without Accept:


def test_a_ship_passes_that_is_within_limits_of_either_state() -> None:
    small = record(version="c", summary={"items": 10}, size=100)
    good = record(version="d", summary={"items": 101})
    repair, back = record(version="e", summary={"items": 102}), record(version="e", summary={"items": 9})
    assert says("size-jump", step([small], [repair]), step([good], [repair]), limit=Jump(3, 9)) == ""
    assert says("items-drop", step([small], [back]), step([good], [back])) == ""
    nothing = record(version="f", summary={"items": 4})
    both = says("items-drop", step([small], [nothing]), step([good], [nothing]))
    assert "from 10 to 4" in both, "what is told is of the current state"
    assert "101" not in both


def test_a_state_without_the_type_is_none_to_compare_with() -> None:
    fallen = record(version="e", summary={"items": 9})
    assert says("items-drop", step([RECORD], [fallen]), step([record("cooc")], [fallen, record("cooc")]))
    cooc_gone = step([RECORD, record("cooc")], [record()])
    assert says("type-dropped", cooc_gone, step([RECORD], [record()]))


def test_what_cannot_be_looked_at_is_said_and_stops_nothing() -> None:
    dark = step([RECORD], [record()], kept=None, overlap=None, why="no blob at s3://x")
    for rule in ("kept-low", "overlap-low"):
        finding = found(rule, dark, limit=0.3)[0]
        assert (finding.figure, finding.broken) == (None, False)
        assert "popularity not judged: no blob at s3://x" in finding.says
        bright = step([RECORD], [record()], kept=0.1, overlap=0.1)
        assert says(rule, bright, dark, limit=0.3), "an earlier state that cannot be read excuses nothing"


def test_what_holds_for_several_types_is_said_once() -> None:
    later = {"window_end": "2026-03-03T00:00:00Z"}
    last_year = {"window_end": "2025-03-03T00:00:00Z"}
    night = [RECORD, record("cooc"), record("implicit", **last_year), record("session_seq")]
    before = [record(each.type, "c", **later) for each in night[:3]] + [record("session_seq", "c")]
    told = says("window-regressed", step(before, night))
    start = "went back from the window that ends 2026-03-03T00:00:00Z to the one that ends"
    assert told == f"cooc, popularity {start} 2026-03-02T00:00:00Z; implicit {start} 2025-03-03T00:00:00Z"
    differ = Finding(None, 2, True, "they differ")
    assert sentence([differ, Finding("cooc", 2, True, "cooc, too")]) == "they differ; cooc, too"


def test_a_share_is_told_with_enough_digits_to_see_that_it_is_beyond_its_limit() -> None:
    less = step([record(version="c", summary={"items": 1000})], [record(summary={"items": 497})])
    assert "(50.3% less, the limit is 50.0%)" in says("items-drop", less)
    assert "keeps 29.996% of its ids, the floor is 30.000%" in says(
        "kept-low", step([RECORD], [record()], kept=0.29996)
    )


# properties

counts = st.integers(0, 10**6)
records = st.builds(
    lambda kind, count, size, segment: record(
        kind, summary={"items": count, "rows": count, "users": count}, size=size, segment=segment
    ),
    st.sampled_from(["popularity", "cooc", "implicit", "bundles"]),
    counts,
    st.integers(1, 10**7),
    st.sampled_from(["", "default", "night"]),
)
states = st.lists(records, unique_by=lambda each: each.type, min_size=1)


@given(states, st.floats(0, 1))
def test_an_artifact_against_itself_breaks_nothing(state: list[Record], share: float) -> None:
    ship = step(state, [replace(each, version="c" * 64) for each in state])
    limits: dict[str, Limit] = {**DEFAULTS, "items_drop": share, "kept_low": share, "overlap_low": share}
    limits |= {"windows_differ": True, "window_stale": Age(43200, "12h"), "type_missing": (state[0].type,)}
    assert [rule for rule in GUARDRAILS if says(rule, ship, limit=limits[GUARDRAILS[rule].setting])] == []


@given(st.integers(1, 10**6), counts, st.integers(1, 1000), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_scaling_both_counts_or_both_sizes_changes_nothing(was: int, now: int, factor: int, share: float) -> None:
    def told(times: int) -> tuple[bool, bool]:
        before = record(version="c", summary={"items": was * times}, size=was * times)
        after = record(summary={"items": now * times}, size=max(now, 1) * times)
        ship = step([before], [after])
        return bool(says("items-drop", ship, limit=share)), bool(says("size-jump", ship))

    assert told(factor) == told(1)


@given(counts, counts, st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_share_lets_nothing_more_through(was: int, now: int, one: float, other: float) -> None:
    ship = step([record(version="c", summary={"items": was})], [record(summary={"items": now})])
    strict, lax = sorted((one, other))
    assert bool(says("items-drop", ship, limit=strict)) >= bool(says("items-drop", ship, limit=lax))


@pytest.mark.slow
@given(states, states, states)
def test_one_more_state_to_compare_with_never_stops_a_ship(
    current: list[Record], earlier: list[Record], new: list[Record]
) -> None:
    after = [replace(each, version="d" * 64) for each in new]
    earlier = [replace(each, version="e" * 64) for each in earlier]
    for rule in GUARDRAILS:
        alone = says(rule, step(current, after))
        assert says(rule, step(current, after), step(earlier, after)) in ("", alone)


# settings


def test_the_defaults_are_those_of_the_contract() -> None:
    assert {
        "type_dropped": True, "type_missing": (), "items_drop": 0.5, "items_floor": False, "kept_low": 0.3,
        "size_jump": Jump(3, 10), "too_large_to_serve": 10_000_000, "window_regressed": True, "window_stale": False,
        "windows_differ": False, "segment_changed": True, "overlap_low": False,
    } == DEFAULTS  # fmt: skip
    assert {each.setting for each in GUARDRAILS.values()} == set(DEFAULTS)


@pytest.mark.parametrize(
    "key,text,value",
    [
        ("type_missing", '["popularity", "bundles"]', ("popularity", "bundles")), ("items_drop", "1", 1.0),
        ("items_floor", "20", 20), ("size_jump", "{ shrink = 2 }", Jump(2, 10)),
        ("size_jump", "{ grow = 2.5 }", Jump(3, 2.5)), ("too_large_to_serve", "1", 1), ("overlap_low", "0.25", 0.25),
        ("window_stale", '"90m"', Age(5400, "90m")), ("window_stale", '"36h"', Age(129600, "36h")),
        ("window_stale", '"3d"', Age(259200, "3d")), ("window_stale", '"2w"', Age(1209600, "2w")),
        ("windows_differ", "true", True), ("kept_low", "0", False), ("overlap_low", "0.0", False),
    ],
)  # fmt: skip
def test_every_limit_can_be_set_for_all_and_for_one_target(key: str, text: str, value: Limit) -> None:
    store = '[store]\nurl = "file:///srv"\n'
    for_all = read_settings(f"{store}[policy]\n{key} = {text}\n".encode()).limit(GROCER, key)
    assert (for_all, type(for_all)) == (value, type(value))
    for_one = read_settings(f'{store}[policy."grocer/home"]\n{key} = {text}\n'.encode())
    assert for_one.limit(GROCER, key) == value
    assert for_one.limit(Target("grocer", "cart"), key) == DEFAULTS[key]


@pytest.mark.parametrize("key", list(DEFAULTS))
def test_every_guardrail_can_be_switched_off_for_all_and_for_one_target(key: str) -> None:
    for table in ("[policy]", '[policy."grocer/home"]'):
        settings = read_settings(f'[store]\nurl = "file:///srv"\n{table}\n{key} = false\n'.encode())
        assert settings.limit(GROCER, key) in (False, ())


# real days


@pytest.fixture(scope="module")
def grocer(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def make(root: Path) -> Shop:
        shop = Shop(root, STRICT)
        for day in (1, 2):
            assert [each["outcome"] for each in shop.publish(day=day, merge=True).document["targets"]] == ["merged"]
        return shop

    return Kept(tmp_path_factory.mktemp("grocer"), make)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("empty"), lambda root: Shop(root, STRICT))


@pytest.fixture
def shop(empty: Kept) -> Shop:
    return empty.fresh()


BROKEN = ("items-drop", "kept-low", "size-jump")


def stopped(shop: Shop, *paths: Path, **more: Any) -> set[str]:
    with pytest.raises(Refused) as error:
        shop.publish(*paths, **more)
    return refused(error.value)


def test_ordinary_days_of_the_bookshop_pass(shop: Shop) -> None:
    for day in (1, 2, 3):
        window = f"2026-03-0{day}_2026-03-0{day + 1}"
        document = shop.publish(STAGING / "bookshop", window=window, merge=True).document
        assert {each["outcome"] for each in document["targets"]} == {"merged"}


def test_the_broken_day_is_stopped_by_three_names_and_its_repair_passes(grocer: Kept, tmp_path: Path) -> None:
    shop = grocer.fresh()
    assert stopped(shop, day=3) == set(BROKEN)
    assert stopped(shop, day=3, accept=BROKEN[:2], reason="a sale") == {"size-jump"}
    shop.publish(day=3, accept=(*BROKEN, "window-regressed"), reason="a sale", merge=True)
    message = git(shop.origin, "log", "-1", "--format=%B", "main")
    lines = [line for line in message.splitlines() if line.startswith("Accept: ")]
    assert lines == [f"Accept: grocer/home {rule} a sale" for rule in BROKEN], "only what was broken is accepted"
    with shop.open() as repo:
        assert log.log(Workspace(repo), log.Query((GROCER,))).document["events"][0]["accepts"] == dict.fromkeys(
            BROKEN, "a sale"
        )
    shop.publish(day=2, dry_run=True)  # what was good before is as good a repair
    repaired = [later(path, tmp_path) for path in sorted(STAGING.glob("grocer/home/*/*/2026-03-02_*/*.json"))]
    shop.publish(*repaired, merge=True)


def later(path: Path, into: Path) -> Path:
    """The artifact of 2 March, made again for 4 March."""
    document = json.loads(path.read_text())
    document["window"] = {"start": "2026-03-04T00:00:00Z", "end": "2026-03-05T00:00:00Z"}
    document["build"] = {"built_at": "", "version": ""}
    into.joinpath(f"{document['artifact_type']}.json").write_text(json.dumps(document))
    return into / f"{document['artifact_type']}.json"


def test_a_swap_of_segments_a_window_that_goes_back_and_an_exchanged_catalogue_are_stopped(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(popularity(tmp_path / "1.json", 100, day=5), cooc(tmp_path / "c.json", 100, day=5), merge=True)
    assert stopped(shop, popularity(tmp_path / "2.json", 100, day=5, segment="night")) == {"segment-changed"}
    assert stopped(shop, popularity(tmp_path / "3.json", 100, day=4)) == {"window-regressed"}
    assert stopped(shop, popularity(tmp_path / "4.json", 100, day=6, salt="x")) == {"kept-low"}
    assert stopped(shop, cooc(tmp_path / "5.json", 100, day=6, salt="x")) == {"kept-low"}
    assert stopped(shop, popularity(tmp_path / "6.json", 100, day=4, segment="night")) == {
        "segment-changed",
        "window-regressed",
    }
    shop.publish(popularity(tmp_path / "7.json", 100, day=6), merge=True)


@pytest.mark.slow
def test_limits_of_a_target_stop_what_those_of_the_repository_let_pass(tmp_path: Path) -> None:
    policy = 'windows_differ = true\nitems_floor = 90\noverlap_low = 0.9\ntype_missing = ["cooc"]\nkept_low = false\n'
    shop = Shop(tmp_path / "shop", f'[policy."grocer/home"]\n{policy}')
    one = popularity(tmp_path / "1.json", 100)
    assert stopped(shop, one) == {"type-missing"}
    assert stopped(shop, one, cooc(tmp_path / "c2.json", 9, day=2)) == {"windows-differ"}
    assert stopped(shop, popularity(tmp_path / "2.json", 89), cooc(tmp_path / "c1.json", 9)) == {"items-floor"}
    shop.publish(one, tmp_path / "c1.json", merge=True)
    assert stopped(shop, popularity(tmp_path / "3.json", 100, salt="x")) == {"overlap-low"}
    shop.publish(popularity(tmp_path / "4.json", 80, surface="cart"), merge=True)
    shop.publish(popularity(tmp_path / "5.json", 80, surface="cart", salt="x"), accept=("kept-low",), reason="new")


@pytest.mark.slow
@pytest.mark.parametrize("size,rules", [(10_000_000, set()), (10_000_001, {"too-large-to-serve"})])
def test_a_blob_of_one_byte_more_than_serving_loads_is_stopped(tmp_path: Path, size: int, rules: set[str]) -> None:
    shop = Shop(tmp_path / "shop", f"[limits]\nartifact_bytes = 11000000\n{STRICT}")
    ids = ["x" * 1000 + f"{place:05}" for place in range(9_600)]
    for _ in range(2):  # the first for its size, the second padded to what is asked
        items = [{"item_id": each, "count": 1} for each in ids]
        file = artifact(tmp_path / "big.json", "popularity", tenant="grocer", surface="home", day=1, items=items)
        read = reader.read(file.read_bytes(), "big.json")
        assert isinstance(read, reader.Artifact)
        ids[0] += "x" * (size - len(read.canonical))
        length = len(read.canonical)
    assert length == size
    if rules:
        assert stopped(shop, file, dry_run=True) == rules
    else:
        shop.publish(file, dry_run=True)


@pytest.mark.slow
def test_a_users_own_type_is_guarded_by_the_ids_and_lists_that_it_has(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", STRICT)
    pack = {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"packs": {"type": "array", "items": pack}}}
    path = shop.desk / "registry" / "schemas" / "bundles.schema.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(schema))
    shop.push("declare bundles")

    def bundles(name: str, ids: range) -> Path:
        packs = [{"id": f"pack-{each:03}", "n": 1} for each in ids]
        return artifact(tmp_path / name, "bundles", tenant="grocer", surface="home", day=1, packs=packs)

    shop.publish(bundles("1.json", range(100)), merge=True)
    assert stopped(shop, bundles("2.json", range(71, 171))) == {"kept-low"}
    assert stopped(shop, bundles("3.json", range(49))) == {"items-drop"}
    shop.publish(bundles("4.json", range(70, 170)), merge=True)


# what is said and stops nothing


def checked(shop: Shop, base: str, head: str, **how: Any) -> Outcome[check.Checked]:
    with shop.open() as repo:
        return check.check(Workspace(repo, **how), base=base, head=head)


def judged(shop: Shop, base: str, head: str, **how: Any) -> Mapping[str, Any]:
    return checked(shop, base, head, **how).document


def notes(document: Mapping[str, Any]) -> dict[str, str]:
    return {note["rule"]: note["says"] for note in document["notes"]}


@pytest.mark.slow
def test_a_revert_is_told_what_is_unusual_about_it_and_passes(grocer: Kept) -> None:
    shop = grocer.fresh()
    shop.publish(day=3, accept=BROKEN, reason="a sale", merge=True)
    shop.publish(drops=((GROCER, "cooc"),), merge=True)
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD~1..")  # the drop
    assert notes(judged(shop, "origin/main", "HEAD")) == {}
    git(shop.desk, "push", "-q", "origin", "main")
    with shop.open() as repo:
        main = git(shop.origin, "rev-list", "-4", "main", "--", GROCER.manifest_path).splitlines()
        rollback.roll_back(Workspace(repo), rollback.Request((GROCER,), to=main[3]))
        shown = pr.show(Workspace(repo), "grocer/home")
    assert shown.value.faults == []
    assert set(notes(shown.document)) == {"window-regressed", "size-jump"}
    assert f"note: {GROCER.manifest_path}: window-regressed: " in pr_command.render_shown(shown.value)
    assert "the gate passes it" in pr_command.render_shown(shown.value)


def test_a_restore_of_a_bad_day_is_told_by_contents_too(grocer: Kept) -> None:
    shop = grocer.fresh()
    shop.publish(day=3, accept=BROKEN, reason="a sale", merge=True)
    shop.pull()
    for _ in range(2):  # the second revert brings the bad day back
        git(shop.desk, "revert", "--no-edit", "HEAD")
        git(shop.desk, "push", "-q", "origin", "main")
    outcome = checked(shop, "HEAD~1", "HEAD")
    assert outcome.value.faults == []
    assert set(notes(outcome.document)) == set(BROKEN)
    text, annotated, table = (
        check_command.render(outcome.value),
        check_command.github(outcome.value),
        check_command.summary(outcome.value),
    )
    assert "note: manifests/grocer/home/manifest.json: kept-low: " in text
    assert "::notice file=manifests/grocer/home/manifest.json,line=" in annotated
    assert "| note | `kept-low` | " in table


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["offline", "gone", "altered"])
def test_contents_that_cannot_be_had_are_told_and_stop_nothing(shop: Shop, tmp_path: Path, wrong: str) -> None:
    shop.publish(popularity(tmp_path / "1.json", 100), merge=True)
    [blob] = shop.store.glob("grocer/home/popularity/*.json")
    shop.publish(popularity(tmp_path / "2.json", 100, salt="x"), accept=("kept-low",), reason="new")
    git(shop.desk, "fetch", "-q", "origin")
    head = f"origin/{shop.pulls()[0]['branch']}"
    assert [each["rule"] for each in judged(shop, "origin/main", head)["faults"]] == ["kept-low"]
    if wrong == "gone":
        blob.unlink()
    elif wrong == "altered":
        blob.chmod(0o644)
        blob.write_bytes(b"{}")
    document = judged(shop, "origin/main", head, offline=wrong == "offline")
    assert document["faults"] == []
    words = {"offline": "the store was not asked", "gone": "no blob at", "altered": "the bytes at"}
    assert f"popularity not judged: {words[wrong]}" in notes(document)["kept-low"]
    if wrong != "offline":
        outcome = shop.publish(popularity(tmp_path / "3.json", 100, salt="y"))
        assert any("kept-low: popularity not judged" in note for note in outcome.notes)


class Counted(Contents):
    """Contents that remember what was read."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.asked: list[str] = []

    def payload(self, settings: Settings, record: Record) -> bytes | Missing:
        self.asked.append(record.version)
        return super().payload(settings, record)


def reads(shop: Shop, base: str, head: str, **more: Any) -> list[str]:
    """The versions whose contents the gate reads of a change."""
    contents = Counted()
    with shop.open() as repo:
        Gate(repo, contents=contents).judge_change(repo.resolve(base), repo.resolve(head), **more)
    return contents.asked


@pytest.mark.slow
def test_no_contents_are_read_that_no_limit_asks_for(tmp_path: Path) -> None:
    for number, policy in enumerate(("kept_low = false", "kept_low = 0\noverlap_low = 0", "items_drop = 0.5")):
        shop = Shop(tmp_path / f"shop{number}", f"[policy]\n{policy}\n")
        shop.publish(popularity(tmp_path / "1.json", 100), merge=True)
        shop.publish(popularity(tmp_path / "2.json", 100, salt="x" if number < 2 else ""), cooc(tmp_path / "c.json", 9))
        git(shop.desk, "fetch", "-q", "origin")
        head = f"origin/{shop.pulls()[0]['branch']}"
        assert reads(shop, "origin/main", head) == []


@pytest.mark.slow
def test_an_earlier_state_is_read_only_where_the_current_one_is_too_different(shop: Shop, tmp_path: Path) -> None:
    shop.publish(popularity(tmp_path / "1.json", 100), merge=True)
    shop.publish(popularity(tmp_path / "2.json", 100, salt="x"), accept=("kept-low",), reason="new", merge=True)
    shop.publish(popularity(tmp_path / "3.json", 99))
    shop.publish(popularity(tmp_path / "4.json", 99, salt="x", surface="home"), dry_run=True)
    git(shop.desk, "fetch", "-q", "origin")
    head = f"origin/{shop.pulls()[0]['branch']}"
    assert len(set(reads(shop, "origin/main", head))) == 3, "the first version is like this one, and lets it pass"
    shop.merge()
    shop.publish(popularity(tmp_path / "5.json", 98))
    git(shop.desk, "fetch", "-q", "origin")
    assert len(reads(shop, "origin/main", f"origin/{shop.pulls()[0]['branch']}")) == 2


def test_a_rollback_waits_for_no_contents_and_a_revert_is_judged_by_them(grocer: Kept) -> None:
    shop = grocer.fresh()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert reads(shop, "origin/main", "HEAD", notes=False) == []
    assert len(reads(shop, "origin/main", "HEAD")) == 10
