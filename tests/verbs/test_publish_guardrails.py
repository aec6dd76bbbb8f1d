"""Guardrails on real days: what publish, check and a rollback say of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, STAGING, Kept, Shop, artifact, cooc, git, popularity, refused

from pointsman import artifact as reader
from pointsman.cli import check as check_command
from pointsman.cli import pr as pr_command
from pointsman.errors import Problem, Refused
from pointsman.gate.gate import Gate
from pointsman.gate.payloads import Contents, Missing
from pointsman.guardrails.table import GUARDRAILS
from pointsman.outcome import Outcome
from pointsman.settings import Settings
from pointsman.shipping.draft import Waiting, Want
from pointsman.shipping.options import bind
from pointsman.shipping.ship import Shipping
from pointsman.state.documents import Record
from pointsman.state.names import Target
from pointsman.verbs import check, log, pr, publish, rollback, ship
from pointsman.workspace import Workspace

STRICT = "[policy]\ntype_dropped = true\n"  # in a shop: all the defaults


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
    for fault in error.value.faults:
        target = "/".join(fault.path.split("/")[1:3])
        assert (
            fault.rule not in GUARDRAILS
            or f"publish or ship with --accept {target}:{fault.rule} --reason" in fault.says
        )
    return refused(error.value)


@pytest.mark.slow
def test_ordinary_days_of_the_bookshop_pass(shop: Shop) -> None:
    for day in (1, 2, 3):
        window = f"2026-03-0{day}_2026-03-0{day + 1}"
        document = shop.publish(STAGING / "bookshop", windows=(window,), merge=True).document
        assert {each["outcome"] for each in document["targets"]} == {"merged"}


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert f"popularity not measured: {words[wrong]}" in notes(document)["kept-low"]
    if wrong != "offline":
        outcome = shop.publish(popularity(tmp_path / "3.json", 100, salt="y"))
        assert any("kept-low: popularity not measured" in note for note in outcome.notes)


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
        current = Path(json.loads(shop.manifest)["current"]["popularity"]).stem
        assert current not in reads(shop, "origin/main", head), "only what a ship brings is read, to prove it"


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
    assert len(set(reads(shop, "origin/main", f"origin/{shop.pulls()[0]['branch']}"))) == 2


@pytest.mark.slow
def test_a_rollback_waits_for_no_contents_and_a_revert_is_judged_by_them(grocer: Kept) -> None:
    shop = grocer.fresh()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    assert reads(shop, "origin/main", "HEAD", notes=False) == []
    assert len(reads(shop, "origin/main", "HEAD")) == 10


@pytest.mark.slow
def test_consent_for_one_target_lets_no_other_one_through(shop: Shop, tmp_path: Path) -> None:
    surfaces = ("home", "search", "kids")
    first = [popularity(tmp_path / f"{each}1.json", 40, surface=each) for each in surfaces]
    shop.publish(*first, merge=True)
    before = shop.main
    fewer = [popularity(tmp_path / f"{each}2.json", 8, surface=each) for each in surfaces]
    with pytest.raises(Problem, match=r"would accept it for 3 targets \(grocer/home, grocer/kids, grocer/search\)"):
        shop.publish(*fewer, accept=BROKEN, reason="a sale", merge=True)
    named = [f"grocer/home:{rule}" for rule in BROKEN]
    assert stopped(shop, *fewer, accept=named, reason="a sale", all_or_nothing=True) <= set(BROKEN)
    assert shop.main == before
    seen = shop.publish(*fewer, accept=named, reason="a sale", dry_run=True).document["targets"]
    assert [each["outcome"] for each in seen] == ["dry-run", "waits", "waits"]
    accept = ("grocer/[", "grocer/home:nothing", "home:items-drop")
    for each in accept:
        with pytest.raises(Problem):
            shop.publish(fewer[0], accept=(each,), reason="a sale")
    done = shop.publish(*fewer, accept=[f"grocer/*:{rule}" for rule in BROKEN], reason="a sale", merge=True)
    assert {each["outcome"] for each in done.document["targets"]} == {"merged"}
    assert stopped(shop, popularity(tmp_path / "3.json", 2)) <= set(BROKEN)
    shop.publish(popularity(tmp_path / "3.json", 2), accept=BROKEN, reason="one alone needs no name", merge=True)


def test_a_consent_for_none_of_the_targets_is_noted(shop: Shop, tmp_path: Path) -> None:
    accept = ("grocer/hme:items-drop", "x/*:items-drop", "grocer/*:items-drop")
    file = str(popularity(tmp_path / "1.json", 3))
    asked = (
        lambda workspace: publish.publish(workspace, publish.Request((file,), merge=True, accept=accept, reason="why")),
        lambda workspace: ship.ship(workspace, ship.Request(GROCER, again=True, accept=accept, reason="why")),
        lambda workspace: rollback.roll_back(workspace, rollback.Request((GROCER,), accept=accept, reason="why")),
    )
    for each in asked:
        with shop.open() as repo:
            with contextlib.suppress(Problem):  # nothing to ship or to put back
                each(Workspace(repo))
            assert repo.notes[:2] == [
                "--accept grocer/hme:items-drop is for no target of this command: did you mean grocer/home?",
                "--accept x/*:items-drop is for no target of this command",
            ]
            assert not any("grocer/*" in note for note in repo.notes)


def test_consent_without_a_target_is_bound_to_what_was_seen(shop: Shop) -> None:
    home, search = Target("grocer", "home"), Target("grocer", "search")
    assert bind(["items-drop"], {home: {"items-drop"}, search: set()}) == ["grocer/home:items-drop"]
    assert bind(["items-drop"], {home: set()}) == ["grocer/home:items-drop"]
    assert bind(["items-drop"], {home: set(), search: set()}) == []
    assert bind(["*/home:items-drop", "items-drop"], {home: {"items-drop"}, search: {"items-drop"}}) == [
        "*/home:items-drop",
        "grocer/search:items-drop",
    ]


@pytest.mark.slow
def test_consent_without_a_target_reaches_no_target_that_breaks_only_after_main_moved(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish(
        popularity(tmp_path / "home1.json", 40), popularity(tmp_path / "search1.json", 8, surface="search"), merge=True
    )
    judge = Shipping.judge

    def judge_then_main_moves(shipping: Shipping, wants: Sequence[Want]) -> Waiting:
        waiting = judge(shipping, wants)
        monkeypatch.setattr(Shipping, "judge", judge)
        shop.publish(popularity(tmp_path / "search2.json", 40, surface="search"), merge=True)
        return waiting

    monkeypatch.setattr(Shipping, "judge", judge_then_main_moves)
    mine = (popularity(tmp_path / "home3.json", 8), popularity(tmp_path / "search3.json", 9, surface="search"))
    done = shop.publish(*mine, accept=BROKEN, reason="a sale", merge=True)
    assert {each["target"]: each["outcome"] for each in done.document["targets"]} == {
        "grocer/home": "merged",
        "grocer/search": "waits",
    }
