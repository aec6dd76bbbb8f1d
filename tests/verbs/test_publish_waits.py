"""One target stops nobody else: what is sound is shipped, and what is not waits and says why."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from clocks import clock_at
from shop import Kept, Shop, git, popularity

from pointsman import artifact
from pointsman.cli.main import main
from pointsman.errors import Fault, Problem, Refused, Unreachable
from pointsman.forge.local import LocalForge
from pointsman.shipping.draft import Drafts
from pointsman.shipping.records import Recording
from pointsman.shipping.ship import Shipping
from pointsman.state.names import Target
from pointsman.verbs import hold
from pointsman.workspace import Workspace

WAITS = {
    "held": "on-hold",
    "shrunk": "items-drop",
    "taken-out": "rolled-back",
    "edited": "unvouched-manifest",
    "altered": "blob-altered",
    "torn": "bad-json",
    "own": "schema",
    "twice": "duplicate-slot",
    "pipe": "unreadable",
    "dangling": "version-mismatch",
    "Sound": "case-collision",
    "misplaced": "wrong-place",
}
TWO = ("acme", "grocer")
SOUND = ("also-sound", "sound")
BEFORE = [name for name in (*WAITS, *SOUND) if name != "Sound"]


def stage(root: Path, tenant: str, items: int, day: int, **more: Any) -> Path:
    """An artifact where recsys-pipelines would stage it."""
    made = popularity(root / "made.json", items, tenant=tenant, day=day, **more)
    version = json.loads(made.read_text())["build"]["version"]
    window = root / tenant / "home" / "default" / "popularity" / f"2026-03-0{day}_2026-03-0{day + 1}"
    window.mkdir(parents=True, exist_ok=True)
    (window / "current.version").write_text(version)
    return made.rename(window / f"{version}.json")


def trouble(shop: Shop) -> Path:
    """A staging directory of day 2 in which each tenant but two has a trouble of its own."""
    staged = shop.root / "staged"
    for tenant in (*SOUND, *WAITS):
        stage(staged, tenant, 8 if tenant == "shrunk" else 41, 2)
    paths = {tenant: next(staged.glob(f"{tenant}/home/default/popularity/*/*.json")) for tenant in WAITS}
    paths["torn"].write_text("{")
    paths["own"].write_text(paths["own"].read_text().replace('"popularity"', '"odd"'))
    twin = staged / "twice" / "home" / "eu" / "popularity"
    shutil.copytree(paths["twice"].parents[1], twin)
    popularity(made := staged / "made.json", 42, tenant="twice", day=2, segment="eu")
    version = json.loads(made.read_text())["build"]["version"]
    [window] = twin.iterdir()
    (window / "current.version").write_text(version)
    made.rename(window / f"{version}.json")
    paths["dangling"].unlink()
    other = staged / "sound-elsewhere.json"
    popularity(other, 41, tenant="somebody", day=2)
    version = json.loads(other.read_text())["build"]["version"]
    (paths["misplaced"].parent / "current.version").write_text(version)
    other.rename(paths["misplaced"].parent / f"{version}.json")
    return staged


def make(root: Path) -> Shop:
    """A shop in which every tenant is on day 1, and the troubles are there that are no files."""
    shop = Shop(root, '[forge]\ngroup = "run"\n')
    shop.publish(*(stage(shop.root / "day1", tenant, 40, 1) for tenant in BEFORE), merge=True)
    bad = stage(shop.root / "bad", "taken-out", 41, 2)
    shop.publish(bad, merge=True)
    shop.roll_back(Target("taken-out", "home"), now=True, reason="a bad feed")
    with shop.open() as repo:
        hold.change_hold(
            Workspace(repo, clock=clock_at(0)), hold.Request("held/home", "2999-01-01", "closed", now=True)
        )
    shop.pull()
    edited = shop.desk / "manifests/edited/home/manifest.json"
    edited.write_text(edited.read_text().replace('"updated_at": "20', '"updated_at": "21'))
    (shop.desk / "registry/schemas").mkdir(parents=True)
    (shop.desk / "registry/schemas/odd.schema.json").write_text('{"type": 3}')
    shop.push()
    staged = trouble(shop)
    [blob] = (staged / "altered").rglob("*.json")
    put = shop.store / "altered/home/popularity" / blob.name
    put.write_bytes(b"{}")
    return shop


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("waits"), make)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    fresh = kept.fresh()
    [file] = (fresh.root / "staged/pipe").rglob("*.json")
    file.unlink()
    os.mkfifo(file)
    return fresh


def told(document: Mapping[str, Any]) -> dict[str, str]:
    """Tenant → its outcome, or the rule for which it waits."""
    found = {}
    for each in document["targets"]:
        [rule] = {fault["rule"] for fault in each["faults"]} if each["outcome"] == "waits" else {each["outcome"]}
        found[each["target"].partition("/")[0]] = rule
    return found


def shipped(shop: Shop) -> list[str]:
    """The tenants of the newest ships, newest first, until the change by hand."""
    subjects = git(shop.origin, "log", "--format=%s", "main").partition("by hand")[0].splitlines()
    return [subject.split()[1].partition("/")[0] for subject in subjects if subject.startswith("ship: ")]


@pytest.mark.parametrize("dry", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_is_sound_is_shipped_whatever_is_wrong_with_the_others(shop: Shop, dry: bool) -> None:
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.write_text(settings.read_text().replace('group = "run"', 'group = "target"'))
    shop.push("one for a target")
    before = shop.everything()
    (shop.root / "loose.json").write_text("{")
    done = shop.publish(shop.root / "staged", shop.root / "loose.json", merge=True, dry_run=dry)
    assert done.exit_code == 5
    assert told(done.document) == WAITS | dict.fromkeys(SOUND, "dry-run" if dry else "merged")
    assert [fault["path"] for fault in done.document["faults"]] == [str(shop.root / "loose.json")]
    assert [each["target"] for each in done.document["artifacts"]] == [f"{tenant}/home" for tenant in SOUND]
    if dry:
        assert shop.everything() == before
        return
    assert sorted(shipped(shop)) == sorted(SOUND)
    records = git(shop.origin, "log", "-1", "--grep=^record:", "--name-only", "--format=", "main").split()
    assert {path.split("/")[1] for path in records} == set(SOUND), "what waits is not recorded"
    assert shop.publish(shop.root / "staged", merge=True).exit_code == 5
    assert shop.check() == ["schema", "unvouched-manifest"], "these were there before"


@pytest.mark.slow
def test_one_pull_request_for_a_run_has_all_that_is_sound(shop: Shop) -> None:
    done = shop.publish(shop.root / "staged")
    assert told(done.document) == WAITS | dict.fromkeys(SOUND, "opened")
    [pull] = shop.pulls()
    assert pull["targets"] == [f"{tenant}/home" for tenant in SOUND]
    assert done.exit_code == 5


@pytest.mark.slow
def test_all_or_nothing_writes_nothing_if_one_has_to_wait(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shop.everything()
    sound, held = (next((shop.root / "staged" / name).rglob("*.json")) for name in ("sound", "held"))
    (tmp_path / "loose.json").write_text("{")
    for other in (held, tmp_path / "loose.json"):
        words = ["-C", str(shop.desk), "publish", str(sound), str(other), "--all-or-nothing"]
        assert main(words) == 1
        assert "refused, nothing was written" in capsys.readouterr().err
    assert shop.everything() == before


@pytest.mark.slow
def test_where_nothing_is_sound_all_is_refused_and_the_text_says_what_waits_and_why(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shop.everything()
    with pytest.raises(Refused):
        shop.publish(*((shop.root / "staged" / name) for name in ("held", "shrunk")))
    assert shop.everything() == before
    staged = (str(shop.root / "staged" / name) for name in ("sound", "held"))
    assert main(["-C", str(shop.desk), "publish", *staged, "--dry-run"]) == 5
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == "sound/home: would be shipped (dry run, nothing written)"
    assert said[-1].startswith("held/home: waits: manifests/held/home/manifest.json: on-hold: ")


# what goes wrong later


@pytest.fixture
def two(tmp_path: Path) -> tuple[Shop, list[Path]]:
    shop = Shop(tmp_path / "shop")
    return shop, [popularity(tmp_path / f"{tenant}.json", 5, tenant=tenant) for tenant in ("acme", "grocer", "toys")]


def outcomes(document: Mapping[str, Any]) -> list[str]:
    return [each["outcome"] for each in document["targets"]]


@pytest.mark.slow
def test_a_file_that_names_no_target_is_left_out_and_is_no_success(
    two: tuple[Shop, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop, paths = two
    (tmp_path / "loose.json").write_text("[]")
    words = ["-C", str(shop.desk), "publish", str(paths[0]), str(tmp_path / "loose.json")]
    assert main(words) == 5
    *_, opened, left_out = capsys.readouterr().out.splitlines()
    assert opened.startswith("acme/home: opened ship/acme/home/")
    assert left_out.startswith(f"left out: {tmp_path / 'loose.json'}: schema: ")


@pytest.mark.slow
def test_a_drop_from_a_manifest_that_cannot_be_read_stops_its_target_alone(two: tuple[Shop, list[Path]]) -> None:
    shop, paths = two
    shop.publish(paths[0], merge=True)
    shop.pull()
    (shop.desk / "manifests/acme/home/manifest.json").write_text("{")
    shop.push()
    done = shop.publish(paths[1], drops=((Target("acme", "home"), "popularity"),))
    assert [(each["target"], each["outcome"]) for each in done.document["targets"]] == [
        ("acme/home", "waits"),
        ("grocer/home", "opened"),
    ]


@pytest.mark.slow
def test_one_merge_that_fails_stops_no_other(two: tuple[Shop, list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    shop, paths = two
    merge = LocalForge.merge

    def refuse(forge: LocalForge, opened: Any, *words: Any) -> Any:
        if "grocer" in opened.branch:
            raise Unreachable("the forge says no")
        return merge(forge, opened, *words)

    monkeypatch.setattr(LocalForge, "merge", refuse)
    done = shop.publish(*paths, merge=True)
    assert (done.exit_code, outcomes(done.document)) == (5, ["merged", "waits", "merged"])
    waits = done.document["targets"][1]
    assert waits["says"] == "the forge says no"
    assert waits["pull_request"]["branch"].startswith("ship/grocer/home/")
    monkeypatch.undo()
    again = shop.publish(*paths, merge=True)
    assert (again.exit_code, outcomes(again.document)) == (0, ["unchanged", "merged", "unchanged"])


STEPS = {"read": (artifact, "read"), "judge": (Drafts, "_current_and_next"), "ship": (Shipping, "_open")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["read", *(pytest.param(step, marks=pytest.mark.slow) for step in STEPS if step != "read")]
)
def test_a_bug_that_one_target_brings_out_stops_no_other(
    two: tuple[Shop, list[Path]], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, paths = two
    real = getattr(*STEPS[step])

    def broken(*words: Any, **more: Any) -> Any:
        if any("grocer" in str(word)[:500] for word in words):
            raise RecursionError("\x1b[31m")
        return real(*words, **more)

    monkeypatch.setattr(*STEPS[step], broken)
    done = shop.publish(*paths, merge=True)
    says = "this is a bug in pointsman (RecursionError: \\u001b[31m)"
    assert (done.exit_code, outcomes(done.document)) == (5, ["merged", "waits", "merged"])
    waits = done.document["targets"][1]
    assert waits["says"] == says if step == "ship" else waits["faults"][0]["says"] == says
    with pytest.raises(Problem, match="this is a bug in pointsman") as alone:
        shop.publish(paths[1], merge=True)
    assert alone.value.exit_code == (70 if step == "ship" else 1)


@pytest.mark.slow
def test_dropping_the_last_type_stops_its_target_alone(two: tuple[Shop, list[Path]]) -> None:
    shop, paths = two
    shop.publish(paths[0], merge=True)
    last = ((Target("acme", "home"), "popularity"),)
    done = shop.publish(paths[1], drops=last)
    assert (done.exit_code, outcomes(done.document)) == (5, ["waits", "opened"])
    [fault] = done.document["targets"][0]["faults"]
    assert fault["rule"] == "manifest-removed"
    assert "delete its manifest in a commit" in fault["says"]
    with pytest.raises(Refused, match="would have no type left"):
        shop.publish(drops=last)


@pytest.mark.slow
def test_a_forge_that_answers_nobody_is_asked_three_times_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "shop")
    paths = [popularity(tmp_path / f"{tenant}.json", 5, tenant=f"t{tenant}") for tenant in range(6)]
    asked = []

    def down(forge: LocalForge, opened: Any, *words: Any) -> Any:
        asked.append(opened.branch)
        if len(asked) > 1:
            raise Unreachable("the forge does not answer")
        return merge(forge, opened, *words)

    merge = LocalForge.merge
    monkeypatch.setattr(LocalForge, "merge", down)
    done = shop.publish(*paths, merge=True)
    assert (done.exit_code, outcomes(done.document)) == (5, ["merged", *["waits"] * 5])
    assert len(asked) == 4
    assert [each["says"].startswith("not tried") for each in done.document["targets"][1:]] == [False] * 3 + [True] * 2
    with pytest.raises(Unreachable):
        shop.publish(*paths[1:], merge=True)


@pytest.mark.slow
def test_a_blob_that_is_altered_while_it_is_put_stops_its_target_alone(
    two: tuple[Shop, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, paths = two
    put, missing = Recording._put, Recording.put_missing
    wrong = Fault("grocer", "blob-altered", "someone changed the store")

    def altered(recording: Recording, each: Any) -> Any:
        return wrong if each[0].artifact.tenant == "grocer" else put(recording, each)

    monkeypatch.setattr(Recording, "_put", altered)
    done = shop.publish(*paths)
    assert (done.exit_code, outcomes(done.document)) == (5, ["opened", "waits", "opened"])
    assert not git(shop.origin, "ls-tree", "-r", "--name-only", "main", "registry/grocer")
    monkeypatch.undo()

    def lost(recording: Recording, sources: Any) -> Any:
        return [*missing(recording, sources), *((each, wrong) for each in sources if each.artifact.tenant == "toys")]

    monkeypatch.setattr(Recording, "put_missing", lost)
    done = shop.publish(*paths)
    assert (done.exit_code, outcomes(done.document)) == (5, ["unchanged", "opened", "waits"])


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_published_stops_its_target_alone(
    two: tuple[Shop, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, paths = two
    monkeypatch.setattr("pointsman.intake.staging._BYTES_IN_MEMORY", 0)
    stored = Recording.stored

    def then_changed(recording: Recording, sources: Any) -> Any:
        popularity(paths[1], 6, tenant="grocer")
        paths[2].unlink()
        return stored(recording, sources)

    monkeypatch.setattr(Recording, "stored", then_changed)
    done = shop.publish(*paths)
    assert (done.exit_code, outcomes(done.document)) == (5, ["opened", "waits", "waits"])
    rules = [fault["rule"] for each in done.document["targets"][1:] for fault in each["faults"]]
    assert rules == ["version-mismatch", "unreadable"]


@pytest.mark.slow
def test_main_that_moves_after_the_judging_stops_one_target_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\ngroup = "run"\n')
    shop.publish(*(popularity(tmp_path / f"{tenant}1.json", 5, tenant=tenant) for tenant in TWO), merge=True)
    put = Recording.put

    def then_edited(recording: Recording, *words: Any) -> Any:
        shop.pull()
        manifest = shop.desk / "manifests/grocer/home/manifest.json"
        manifest.write_text(manifest.read_text().replace('"updated_at": "20', '"updated_at": "21'))
        shop.push()
        return put(recording, *words)

    monkeypatch.setattr(Recording, "put", then_edited)
    done = shop.publish(*(popularity(tmp_path / f"{tenant}2.json", 6, tenant=tenant) for tenant in TWO))
    assert told(done.document) == {"acme": "opened", "grocer": "unvouched-manifest"}
    assert [pull["targets"] for pull in shop.pulls()] == [["acme/home"]]
