"""Adopt: what recsys-pipelines wrote, taken over without serving noticing; and all that must be left alone."""

from __future__ import annotations

import hashlib
import json
import random
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import world
from bucketshop import POINTER, BucketShop
from output_schemas import validate
from pipelines import Pipelines, below, recommendations, staged
from seaweed import BUCKET, Server
from shop import Shop, artifact, cooc, git, popularity
from world import SHAPES, World

from pointsman.cli import adopt as adopt_command
from pointsman.cli.main import main
from pointsman.errors import Problem, Unreachable
from pointsman.outcome import Outcome
from pointsman.repo.repository import Repository
from pointsman.shipping.records import Recording
from pointsman.state.documents import Tombstone
from pointsman.verbs import adopt, audit
from pointsman.workspace import Workspace

REAL = ("grocer/home", "bookshop/home", "bookshop/detail")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Old(Shop):
    """A shop whose serving reads what recsys-pipelines wrote below `out`, and whose own store is empty yet."""

    def __init__(self, root: Path, settings: str = "", **more: Any) -> None:
        self.out = root / "out"
        serving = f'[serving]\nmanifest = "file://{self.out}/registry/current/{{tenant}}/{{surface}}/manifest.json"\n'
        super().__init__(root, serving + settings, **more)
        self.pipelines = Pipelines(below(self.out), f"file://{self.out}/objectstore")

    def adopt(self, **more: Any) -> Outcome[Any]:
        with self.open() as repo:
            outcome = adopt.adopt(Workspace(repo), adopt.Request(**more))
        validate("adopt", outcome.document)
        assert adopt_command.render(outcome.value)
        return outcome

    def pointer(self, target: str) -> bytes:
        return (self.out / "registry/current" / target / "manifest.json").read_bytes()

    def recommends(self, target: str) -> dict[str, Any]:
        return recommendations(lambda uri: Path(uri.removeprefix("file://")).read_bytes(), self.pointer(target))


@pytest.fixture
def shop(tmp_path: Path) -> Old:
    return Old(tmp_path / "shop")


def outcomes(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in outcome.document["targets"]}


def rules(faults: list[dict[str, Any]]) -> set[str]:
    return {fault["rule"] for fault in faults}


# the whole path


@pytest.mark.slow
def test_serving_has_the_same_recommendations_before_and_after(shop: Old) -> None:
    for day in (1, 2):
        shop.pipelines.publish(*staged("grocer/home", day))
    for target in REAL[1:]:
        shop.pipelines.publish(*staged(target, 1))
    before, old = {target: shop.recommends(target) for target in REAL}, files(shop.out)
    recorded = {key for key in old if key.startswith("registry/records/")}

    done = shop.adopt(run="https://ci.example/runs/7")
    assert done.exit_code == 0
    assert outcomes(done) == dict.fromkeys(REAL, "opened")
    assert len({each["pull_request"]["branch"] for each in done.document["targets"]}) == 1
    assert {each["blob"] for each in done.document["artifacts"]} == {"created"}
    assert len(done.document["artifacts"]) == len(recorded) > sum(len(each) for each in before.values())
    assert all(each["recorded"] for each in done.document["artifacts"])
    blobs = {path.name: path for path in shop.store.rglob("*.json") if ".pointsman" not in path.parts}
    assert len(list(shop.store.glob(".pointsman/owners/*.json"))) == 1
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == f"{name[:-5]}" for name, path in blobs.items())

    [pull] = shop.pulls()
    assert pull["branch"].startswith("ship/run/")
    assert sorted(pull["targets"]) == sorted(REAL)
    assert shop.check("origin/main", f"origin/{pull['branch']}") == []
    for prune in (False, True):  # nothing that main never had is taken away, whatever sync is told
        assert outcomes(shop.sync(prune=prune)) == dict.fromkeys(REAL, "kept")
    assert files(shop.out / "registry/current").keys() - {".pointsman/sync.json", ".pointsman/lock"} == {
        f"{target}/manifest.json" for target in REAL
    }
    assert {target: shop.recommends(target) for target in REAL} == before

    head = git(shop.origin, "rev-parse", pull["branch"])
    shop.merge(pull["id"])
    git(shop.origin, "branch", pull["branch"], head)  # as a merge leaves it whose git was killed half way
    assert outcomes(shop.sync()) == dict.fromkeys(REAL, "healed")
    assert {target: shop.recommends(target) for target in REAL} == before
    for target in REAL:
        assert all(
            uri.startswith(f"file://{shop.store}/") for uri in json.loads(shop.pointer(target))["current"].values()
        )
    now = files(shop.out)
    assert all(now[key] == data for key, data in old.items() if not key.startswith("registry/current/"))
    assert shop.check() == []
    with shop.open() as repo:
        assert audit.audit(Workspace(repo)).exit_code == 0
    assert "Adopted from file://" in git(shop.origin, "log", "-1", "--format=%B", "main")

    assert outcomes(shop.adopt()) == dict.fromkeys(REAL, "unchanged")
    assert shop.pulls() == []
    state = shop.everything()
    again = shop.adopt()
    assert outcomes(again) == dict.fromkeys(REAL, "unchanged")
    assert again.exit_code == 0
    assert {each["blob"] for each in again.document["artifacts"]} == {"present"}
    assert shop.everything() == state


@pytest.mark.slow
def test_a_version_that_was_retired_is_not_taken_over_again(shop: Old) -> None:
    for day in (1, 2):
        shop.pipelines.publish(*staged("grocer/home", day))
    shop.adopt()
    shop.merge()
    shop.pull()
    current = shop.manifest.decode()
    records = sorted((shop.desk / "registry/grocer/home").rglob("*.json"))
    old = next(record for record in records if record.stem not in current)
    stone = Tombstone("grocer", "home", old.parent.name, old.stem, "it is not needed")
    (shop.desk / stone.path).write_bytes(stone.render())
    shop.push("retire it")
    blob = shop.store / "grocer/home" / old.parent.name / old.name
    blob.unlink()
    refused = shop.adopt()
    assert "was retired" in json.dumps(refused.document)
    assert (refused.exit_code, blob.exists()) == (5, False)


def test_nothing_is_stored_where_no_pull_request_can_be_opened(tmp_path: Path) -> None:
    shop = Old(tmp_path / "shop", '[forge]\nkind = "github"\n')
    shop.pipelines.publish(*staged("grocer/home", 1))
    before = shop.everything()
    with pytest.raises(Problem, match="origin is not"):
        shop.adopt()
    assert shop.everything() == before


@pytest.mark.slow
def test_an_earlier_version_can_be_published_or_rolled_back_to_without_its_old_blob(shop: Old, tmp_path: Path) -> None:
    for day in (1, 2):
        shop.pipelines.publish(*staged("grocer/home", day))
    shop.adopt()
    shop.merge()
    shop.sync()
    shutil.rmtree(shop.out / "objectstore")
    published = shop.publish(day=1, merge=True)
    assert {each["blob"] for each in published.document["artifacts"]} == {"present"}
    assert shop.roll_back(now=True, reason="the day after was right").document["targets"][0]["outcome"] == "merged"


@pytest.mark.slow
def test_a_registry_on_a_bucket_is_taken_over_as_one_on_a_disk(tmp_path: Path, s3: Server) -> None:
    old = f"s3://{BUCKET}/out-{tmp_path.name}-{random.randrange(10**9)}"
    template = f'[serving]\nmanifest = "{old}/registry/current/{{tenant}}/{{surface}}/manifest.json"\n'
    shop = BucketShop(tmp_path / "shop", s3, settings=template)
    there = s3.client(old.removeprefix(f"s3://{BUCKET}/"))

    def read(uri: str) -> bytes:
        import obstore

        url = next(url for url in (shop.url, old) if uri.startswith(f"{url}/"))
        return bytes(obstore.get(shop.client if url == shop.url else there, uri[len(url) + 1 :]).bytes())

    def put(key: str, data: bytes) -> None:
        import obstore

        obstore.put(there, key, data)

    pipelines = Pipelines(put, f"{old}/objectstore")
    for day in (1, 2):
        pipelines.publish(*staged("grocer/home", day))
    before = recommendations(read, read(f"{old}/{POINTER}"))
    for expected in ("opened", "unchanged"):
        with shop.open() as repo:
            done = adopt.adopt(Workspace(repo), adopt.Request())
        assert (outcomes(done), done.exit_code) == ({"grocer/home": expected}, 0)
    assert outcomes(shop.sync()) == {"grocer/home": "kept"}
    shop.merge()
    assert outcomes(shop.sync()) == {"grocer/home": "healed"}
    assert read(f"{old}/{POINTER}") == shop.manifest
    assert recommendations(read, shop.manifest) == before
    shop.sound()


# what is left


def said_by(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def key(tenant: str, **instead: str) -> dict[str, str]:
    return {"Tenant": tenant, "Surface": "home", "Segment": "default", "Type": "popularity", **instead}


def damage(shop: Old, tmp_path: Path) -> dict[str, set[str]]:
    """One good target and one of each kind that does not verify; target → the rules that it breaks."""
    expected: dict[str, set[str]] = {"good/home": set()}
    made = (tmp_path / f"{place}.json" for place in range(99))
    out, pipelines = shop.out, shop.pipelines

    def publish(tenant: str, rule: str, **more: Any) -> Path:
        """Two types of a target, of which the first is to be broken; the path of that one's blob."""
        pipelines.publish(first := popularity(next(made), 5, tenant=tenant, **more), cooc(next(made), 5, tenant=tenant))
        expected[f"{tenant}/home"] = {rule}
        return out / "objectstore" / tenant / "home/popularity" / f"{said_by(first)['build']['version']}.json"

    pipelines.publish(popularity(next(made), 5, tenant="good"))
    publish("missing", "blob-missing").unlink()
    publish("no-json", "bad-json").write_text("[")
    changed = publish("altered", "version-mismatch")
    changed.write_text(changed.read_text().replace('"count": 5', '"count": 6'))
    other = publish("other", "version-mismatch")
    popularity(other, 6, tenant="other")
    popularity(publish("lost", "wrong-place"), 5, tenant="good")
    kind = publish("kind", "wrong-place")
    kind.write_bytes(next(kind.parents[1].glob("cooc/*.json")).read_bytes())
    records: list[tuple[str, str, Any]] = [
        ("segment", "wrong-place", {"Key": key("segment", Segment="vip")}),
        ("window", "wrong-place", {"Window": {"Start": "2026-01-01T00:00:00Z", "End": ""}}),
        ("record", "wrong-place", {"Key": key("other")}),
        ("named", "version-mismatch", {"Version": "0" * 64}),
        ("points", "version-mismatch", {"URI": f"{pipelines.blobs}/points/home/popularity/{'0' * 64}.json"}),
        ("torn", "schema", {"Key": "torn"}),
    ]
    for tenant, rule, instead in records:
        pipelines.record(said_by(publish(tenant, rule)), instead)
    publish("large", "too-large", salt="x" * 3000)
    padded = publish("padded", "too-large")
    padded.write_bytes(padded.read_bytes() + b" " * 16 * 8000)
    unbuilt = publish("unbuilt", "version-mismatch")
    unbuilt.write_text(json.dumps({**said_by(unbuilt), "build": {"built_at": "now", "version": ""}}))

    publish("blend", "segment-changed")
    pipelines.publish(popularity(next(made), 5, tenant="blend", segment="vip"))
    manifests: list[tuple[str, str, Any]] = [
        ("moved", "wrong-place", {"tenant": "good"}),
        ("empty", "schema", {"current": {}}),
        ("newer", "schema", {"v": 2}),
        ("elsewhere", "foreign-uri", {"current": {"popularity": "file:///srv/latest.json"}}),
        ("secret", "foreign-uri", {"current": {"popularity": "s3://me:hush@bucket/latest.json"}}),
        ("odd", "bad-path", {"current": {"a b": f"file:///x/odd/home/a b/{'0' * 64}.json"}}),
        ("relative", "foreign-uri", {"current": {"cooc": f"file://.out/x/relative/home/cooc/{'0' * 64}.json"}}),
        ("gopher", "foreign-uri", {"current": {"cooc": f"gopher://x/gopher/home/cooc/{'0' * 64}.json"}}),
        ("dotted", "foreign-uri", {"current": {"cooc": f"file:///x/../dotted/home/cooc/{'0' * 64}.json"}}),
    ]
    for tenant, rule, instead in manifests:
        pipelines.swap(tenant, "home", instead)
        expected[f"{tenant}/home"] = {rule}
    (out / "registry/current/no-manifest/home").mkdir(parents=True)
    below(out)("registry/current/cut/home/manifest.json", b'{"v": 1')
    below(out)("registry/current/huge/home/manifest.json", b" " * (1 << 20) + b"{}")
    for tenant in ("lost", "kind"):
        expected[f"{tenant}/home"] |= {"version-mismatch"}
    expected |= {"cut/home": {"bad-json"}, "huge/home": {"too-large"}}
    return expected


@pytest.mark.slow
def test_what_does_not_verify_is_listed_with_its_reason_and_left_and_the_rest_goes_on(tmp_path: Path) -> None:
    shop = Old(tmp_path / "shop", "[limits]\nartifact_bytes = 8000\n")
    expected = damage(shop, tmp_path)
    put = below(shop.out)
    put("registry/current/b d/home/manifest.json", b"{}")
    put("registry/current/registry/home/manifest.json", b"{}")
    put("registry/records/good/home/popularity/latest.json", b"{}")
    put(f"registry/records/good/home/popularity/{'1' * 64}.json", b"{}")
    old = files(shop.out)

    done = shop.adopt()
    found = {each["target"]: rules(each["faults"]) for each in done.document["targets"]}
    assert found == expected
    assert outcomes(done) == {target: "left" if expected[target] else "opened" for target in expected}
    assert rules(done.document["faults"]) == {"bad-path", "schema"}
    assert len(done.document["faults"]) == 4
    assert "hush" not in json.dumps(done.document)
    assert done.exit_code == 5
    assert files(shop.out) == old
    kept = {each["target"]: each["type"] for each in done.document["artifacts"] if each["target"] != "good/home"}
    assert set(kept.values()) == {"cooc", "popularity"}, "what verifies is on record, although its target is left"
    shop.merge("good/home")
    assert set(outcomes(shop.sync()).values()) == {"healed", "kept"}
    assert {key for key, data in files(shop.out).items() if old.get(key) != data and ".pointsman" not in key} == {
        "registry/current/good/home/manifest.json"
    }
    again = shop.adopt()
    assert outcomes(again) == {target: "left" if expected[target] else "unchanged" for target in expected}


@pytest.mark.slow
def test_documents_are_read_as_go_reads_them_whatever_their_form(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(popularity(tmp_path / "a.json", 5), cooc(tmp_path / "c.json", 5))
    for path in (shop.out / "registry").rglob("*.json"):
        members = json.loads(path.read_text())
        members |= {"Updated_At": "2026-03-04T6:00:07,5+01:00"} if "updated_at" in members else {"builtat": 1.5}
        twice = json.dumps({"URI": "file:///x", "V": 1, **dict(reversed(members.items()))}, separators=(",", ":"))
        path.write_text(twice.replace('"Key":', '"more":{"a":1,"A":2},"KEY":') + "\n")
    done = shop.adopt()
    assert outcomes(done) == {"grocer/home": "opened"}
    assert done.exit_code == 0
    assert len(done.document["artifacts"]) == 2


@pytest.mark.slow
def test_a_name_that_cannot_be_adopted_is_listed_once_however_many_files_have_it(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(popularity(tmp_path / "a.json", 5))
    put = below(shop.out)
    for place in range(3):
        put(f"registry/records/b d/home/cooc/{place:064}.json", b"{}")
        put(f"registry/records/good/ho:me/cooc/{place:064}.json", b"{}")
        shop.pipelines.publish(cooc(tmp_path / f"{place}.json", place + 1, tenant="odd", segment="a b"))
    put("registry/current/b d/home/manifest.json", b"{}")
    done = shop.adopt()
    says = [fault["says"] for fault in done.document["faults"]]
    assert [(name in said, count in said) for said, name, count in zip(
        says, ("segment", "b d", "ho:me"), ("1 more file has", "3 more files have", "2 more files have"), strict=True
    )] == [(True, True)] * 3  # fmt: skip
    assert outcomes(done) == {"grocer/home": "opened", "odd/home": "left"}
    assert done.exit_code == 5


def test_where_nothing_verifies_nothing_is_written_and_it_ends_with_1(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(popularity(tmp_path / "a.json", 5))
    shutil.rmtree(shop.out / "objectstore")
    before = shop.everything()
    done = shop.adopt()
    assert (done.exit_code, outcomes(done)) == (1, {"grocer/home": "left"})
    assert shop.everything() == before


@pytest.mark.slow
def test_two_spellings_of_a_name_are_not_both_taken_over(shop: Old, tmp_path: Path) -> None:
    for tenant, surface in (("Acme", "home"), ("acme", "cart"), ("shop", "Home"), ("shop", "home")):
        shop.pipelines.publish(popularity(tmp_path / f"{tenant}{surface}.json", 5, tenant=tenant, surface=surface))
    done = shop.adopt()
    assert outcomes(done) == {"Acme/home": "opened", "acme/cart": "left", "shop/Home": "opened", "shop/home": "left"}
    assert rules([fault for each in done.document["targets"] for fault in each["faults"]]) == {"case-collision"}
    assert {each["target"] for each in done.document["artifacts"]} == {"Acme/home", "shop/Home"}
    shop.merge("Acme/home")
    assert shop.check() == []


def test_a_blob_of_ours_that_was_altered_is_left(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(file := popularity(tmp_path / "a.json", 5), cooc(tmp_path / "b.json", 5, surface="cart"))
    version = json.loads(file.read_text())["build"]["version"]
    below(shop.store)(f"grocer/home/popularity/{version}.json", b"altered")
    done = shop.adopt()
    assert outcomes(done) == {"grocer/home": "left", "grocer/cart": "opened"}
    assert rules(done.document["targets"][1]["faults"]) == {"blob-altered"}


@pytest.mark.slow
def test_what_the_rules_do_not_let_ship_is_left(shop: Old, tmp_path: Path) -> None:
    for surface in ("home", "cart", "held"):
        shop.pipelines.publish(popularity(tmp_path / f"{surface}.json", 9, surface=surface))
    shop.publish(popularity(tmp_path / "many.json", 90), merge=True)
    shop.pull()
    hold = {"v": 1, "target": "grocer/held", "until": "2999-01-01T00:00:00Z", "reason": "stocktaking"}
    below(shop.desk)("holds/grocer/held.json", (json.dumps(hold, indent=2) + "\n").encode())
    shop.push()
    done = shop.adopt()
    assert outcomes(done) == {"grocer/home": "left", "grocer/cart": "opened", "grocer/held": "left"}
    found = {each["target"]: rules(each["faults"]) for each in done.document["targets"]}
    assert (found["grocer/home"], found["grocer/held"]) == ({"items-drop"}, {"on-hold"})


# again, and on the way


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(shop: Old) -> None:
    shop.pipelines.publish(*staged("grocer/home", 1))
    before, old = shop.everything(), files(shop.out)
    done = shop.adopt(dry_run=True)
    assert (done.exit_code, outcomes(done)) == (0, {"grocer/home": "dry-run"})
    assert {(each["blob"], each["recorded"]) for each in done.document["artifacts"]} == {(None, False)}
    assert done.document["targets"][0]["pull_request"] is None
    assert (shop.everything(), files(shop.out)) == (before, old)


@pytest.mark.slow
def test_adopting_again_never_goes_back_behind_what_main_has_shipped_since(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(popularity(tmp_path / "1.json", 50))
    shop.adopt()
    assert outcomes(shop.adopt()) == {"grocer/home": "unchanged"}, "its pull request is open"
    shop.pipelines.publish(popularity(tmp_path / "late.json", 55))
    assert outcomes(shop.adopt()) == {"grocer/home": "opened"}
    assert len(shop.pulls()) == 1, "the one with what is not current any more is closed"
    shop.merge()
    shop.publish(popularity(tmp_path / "2.json", 60), merge=True)
    assert outcomes(shop.adopt()) == {"grocer/home": "unchanged"}, "the old pointer is one that main had"
    assert shop.pulls() == []
    shop.pipelines.publish(popularity(tmp_path / "3.json", 70))
    assert outcomes(shop.adopt()) == {"grocer/home": "opened"}, "the old pipeline is still at work"


@pytest.mark.slow
def test_an_adoption_that_was_reverted_comes_back_only_when_asked(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(popularity(tmp_path / "1.json", 50))
    shop.adopt()
    shop.merge()
    shop.pull()
    git(shop.desk, "revert", "--no-edit", "HEAD")
    git(shop.desk, "push", "-q", "origin", "main")
    done = shop.adopt()
    assert (outcomes(done), done.exit_code) == ({"grocer/home": "left"}, 5)
    assert rules(done.document["targets"][0]["faults"]) == {"rolled-back"}
    assert outcomes(shop.adopt(reship=True)) == {"grocer/home": "opened"}


@pytest.mark.slow
def test_a_main_that_moves_meanwhile_is_adopted_on(shop: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for surface in ("home", "cart"):
        shop.pipelines.publish(popularity(tmp_path / f"{surface}.json", 9, surface=surface))
    records = Recording.records

    def overtaken(*words: Any, **more: Any) -> None:
        monkeypatch.undo()
        shop.publish(popularity(tmp_path / "many.json", 90), merge=True)
        records(*words, **more)

    monkeypatch.setattr(Recording, "records", overtaken)
    done = shop.adopt()
    assert outcomes(done) == {"grocer/home": "left", "grocer/cart": "opened"}, "home lost 90 % of its items meanwhile"
    assert [pull["targets"] for pull in shop.pulls()] == [["grocer/cart"]]


class Ruin(World):
    """A world whose serving reads what recsys-pipelines wrote."""

    def make(self) -> None:
        super().make()
        there = self.clone("settings")
        template = f"file://{self.root}/out/registry/current/{{tenant}}/{{surface}}/manifest.json"
        (there / "pointsman.toml").write_text(
            f'[store]\nurl = "file://{self.store}"\n[serving]\nmanifest = "{template}"\n'
        )
        world.git(there, "commit", "--quiet", "--all", "--message=serving")
        world.git(there, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        shutil.rmtree(there)
        pipelines = Pipelines(below(self.root / "out"), f"file://{self.root}/out/objectstore")
        for day in world.DAYS:
            pipelines.publish(*map(Path, world.artifact_files(day)))

    def serving(self) -> bytes | None:
        return (self.root / "out/registry/current/grocer/home/manifest.json").read_bytes()


def adopting(repo: Repository) -> Outcome[Any]:
    return adopt.adopt(Workspace(repo), adopt.Request(run="https://ci.example/run/7"))


@pytest.mark.slow
def test_killed_before_any_step_serving_is_as_it_was_and_adopting_again_finishes(
    tmp_path: Path, dice: random.Random
) -> None:
    there = Ruin(tmp_path / "now", SHAPES[0])
    there.make()
    shutil.copytree(there.root, tmp_path / "kept", symlinks=True)
    old = there.serving()
    undisturbed = world.record(there, adopting)
    assert undisturbed.code == 0, undisturbed
    there.check()
    wanted, steps = there.digest(), (*undisturbed.steps, "the end")
    points = range(len(steps))
    for place in sorted(dice.sample(points, world.how_many_points(6, len(points), 2))):
        shutil.rmtree(there.root)
        shutil.copytree(tmp_path / "kept", there.root, symlinks=True)
        assert world.kill(there, adopting, place, group=True).signal == signal.SIGKILL
        try:
            assert there.serving() == old
            there.check()
            for path in [*there.origin.rglob("*.lock")]:  # what the message of a run in their way says to do
                path.unlink()
            assert there.run(adopting).code == 0
            assert there.digest() == wanted
        except AssertionError as error:
            error.add_note(f"killed before step {place}, {steps[place]}")
            raise


# where it is, and where it goes


@pytest.mark.slow
def test_the_canonical_blobs_need_a_place_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    for url in (f"file://{root}/out/objectstore", f"file://{root}/link"):
        shutil.rmtree(root, ignore_errors=True)
        shop = Old(root, url=url)
        (root / "link").symlink_to(shop.out / "objectstore")
        shop.pipelines.publish(popularity(tmp_path / "1.json", 5))
        before, old = shop.everything(), files(shop.out)
        with pytest.raises(Problem, match=r"give \[store\] url in pointsman.toml another place") as error:
            shop.adopt()
        assert error.value.exit_code == 2
        assert (shop.everything(), files(shop.out)) == (before, old)


@pytest.mark.slow
def test_blobs_whose_uris_are_relative_or_gone_are_read_where_blobs_says(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.blobs = "file://.out/objectstore"
    shop.pipelines.publish(popularity(tmp_path / "1.json", 5))
    says = shop.adopt().document["targets"][0]["faults"][0]["says"]
    assert "which is relative to the directory of the pipeline: say where the blobs are with --blobs URL" in says
    assert outcomes(shop.adopt(blobs=f"file://{shop.out}/objectstore/")) == {"grocer/home": "opened"}


@pytest.mark.slow
def test_a_registry_elsewhere_is_named_and_one_without_records_will_do(tmp_path: Path) -> None:
    shop = Old(tmp_path / "shop")
    shop.pipelines.publish(popularity(tmp_path / "1.json", 5))
    shutil.rmtree(shop.out / "registry/records")
    shutil.move(shop.out / "registry", tmp_path / "copied")
    with pytest.raises(Problem, match="is not a registry of recsys-pipelines"):
        shop.adopt()
    for wrong in ("ftp://x/y", "file:///", "file:///a/../b", f"file://{tmp_path}//copied"):
        with pytest.raises(Problem, match="--from: "):
            shop.adopt(registry=wrong)
    assert outcomes(shop.adopt(registry=f"file://{tmp_path}/copied")) == {"grocer/home": "opened"}


@pytest.mark.slow
def test_a_store_moves_by_naming_the_former_one_and_adopting_from_it(shop: Old, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "own")  # type: ignore[assignment]
    shop.publish(day=1, merge=True)
    shop.publish(day=2, merge=True)
    shop.sync()
    read: Callable[[str], bytes] = lambda uri: Path(uri.removeprefix("file://")).read_bytes()  # noqa: E731
    before, first = recommendations(read, shop.manifest), git(shop.origin, "rev-list", "--max-count=2", "main").split()
    new = tmp_path / "new"
    shop.pull()
    (shop.desk / "pointsman.toml").write_text(
        f'[store]\nurl = "file://{new}"\nformer = ["file://{shop.store}"]\n'
        f'[serving]\nmanifest = "file://{shop.store}/registry/current/{{tenant}}/{{surface}}/manifest.json"\n'
    )
    shop.push("the store moves")
    records = git(shop.desk, "ls-files", "-s", "registry")
    with shop.open() as repo:
        done = adopt.adopt(Workspace(repo), adopt.Request())
    assert (outcomes(done), done.exit_code) == ({"grocer/home": "opened"}, 0)
    assert {each["blob"] for each in done.document["artifacts"]} == {"created"}
    shop.merge()
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    assert shop.serving == shop.manifest
    assert all(uri.startswith(f"file://{new}/") for uri in json.loads(shop.manifest)["current"].values())
    assert recommendations(read, shop.manifest) == before
    shop.pull()
    assert git(shop.desk, "ls-files", "-s", "registry") == records, "versions are recorded once, where they stood first"
    assert shop.check() == []
    with shop.open() as repo:
        assert outcomes(adopt.adopt(Workspace(repo), adopt.Request())) == {"grocer/home": "unchanged"}
    assert shop.roll_back(to=first[1], now=True, reason="back to the old store").exit_code == 0, "former URIs stay good"


def test_a_serving_template_of_another_form_needs_from(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", f'[serving]\nmanifest = "file://{tmp_path}/{{tenant}}/{{surface}}.json"\n')
    with shop.open() as repo, pytest.raises(Problem, match="--from URL"):
        adopt.adopt(Workspace(repo), adopt.Request())


def test_a_store_that_cannot_be_read_stops_it_before_anything_is_written(
    shop: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.pipelines.publish(popularity(tmp_path / "1.json", 5))
    before = shop.everything()

    def gone(*words: Any) -> None:
        raise Unreachable("cannot read file:///x: the disk is gone")

    monkeypatch.setattr("pointsman.store.directory.FileStore.read", gone)
    with pytest.raises(Unreachable):
        shop.adopt()
    assert shop.everything() == before


@pytest.mark.slow
def test_an_artifact_type_of_the_repository_s_own_is_taken_over_too(shop: Old, tmp_path: Path) -> None:
    shop.pipelines.publish(
        artifact(tmp_path / "1.json", "rows", tenant="grocer", surface="home", day=1, rows=[{"n": 1}])
    )
    done = shop.adopt()
    assert "unknown artifact type" in done.document["targets"][0]["faults"][0]["says"]
    shop.pull()
    row = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": row}}}
    below(shop.desk)("registry/schemas/rows.schema.json", json.dumps(schema).encode())
    shop.push("a type of our own")
    assert outcomes(shop.adopt()) == {"grocer/home": "opened"}


# the command line


def test_the_command_says_what_is_next(shop: Old, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop.pipelines.publish(popularity(tmp_path / "1.json", 5), popularity(tmp_path / "2.json", 5, surface="cart"))
    shutil.rmtree(shop.out / "objectstore/grocer/cart")
    assert main(["-C", str(shop.desk), "adopt"]) == 5
    said = capsys.readouterr().out
    pull = shop.pulls()[0]["id"]
    here = f"pointsman -C {shlex.quote(str(shop.desk))}"
    assert f"next: {here} pr show {pull}; {here} pr merge {pull}, then {here} sync" in said
    assert "grocer/cart: left as it is\n  file://" in said
    assert "1 versions verified, 1 blobs stored" in said
    assert main(["-C", str(shop.desk), "adopt", "--json"]) == 5
    document = json.loads(capsys.readouterr().out)
    validate("adopt", document)
    assert main(["-C", str(shop.desk), "adopt", "--from", "nowhere", "--json"]) == 2
    assert "as a store" in json.loads(capsys.readouterr().out)["problem"]
