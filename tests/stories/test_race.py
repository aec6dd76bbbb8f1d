"""Real processes that publish at the same moment: never a lost update, never a manifest that nobody built."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import world
from world import DAYS, HOME, SAMPLES, SHAPES, Child, Ended, World, git, objects

KINDS = ("popularity", "cooc")


class Start:
    """Holds forked processes back until all are there, then lets them go at once."""

    def __init__(self, count: int) -> None:
        self._ready = os.pipe()
        self._go = os.pipe()
        self._count = count

    def wait(self) -> None:
        """In a child."""
        os.close(self._go[1])
        os.write(self._ready[1], b".")
        os.read(self._go[0], 1)

    def go(self) -> None:
        os.close(self._ready[1])
        for _ in range(self._count):
            assert os.read(self._ready[0], 1), "a process ended before the start"
        for end in (self._ready[0], *self._go):
            os.close(end)


def at_once(verbs: list[tuple[Path, world.Verb]]) -> list[Ended]:
    start = Start(len(verbs))

    def runs(where: Path, verb: world.Verb) -> Callable[[], Ended]:
        def action() -> Ended:
            start.wait()
            return world.perform(where, verb)

        return action

    children = [Child(runs(where, verb)) for where, verb in verbs]
    start.go()
    return [child.wait() for child in children]


def day(directory: Path, dice: random.Random, kind: str) -> Path:
    """An artifact that nobody has published yet: the sample with other counts."""
    document = json.loads(next((SAMPLES / kind / DAYS[0]).glob("*.json")).read_text())
    rows = document["items"] if kind == "popularity" else document["neighbors"]
    counted = rows if kind == "popularity" else [item for row in rows for item in row["items"]]
    for row in counted:
        row["count"] += dice.randrange(1, 1_000_000)
    for items in [rows] if kind == "popularity" else [row["items"] for row in rows]:
        items.sort(key=lambda item: (-item["count"], item["item_id"]))
    canonical = {**document, "build": {"built_at": "", "version": ""}}
    text = json.dumps(canonical, ensure_ascii=False, separators=(",", ":")).replace("&", r"\u0026")
    document["build"] = {"built_at": "2026-03-02T01:00:00Z", "version": hashlib.sha256(text.encode()).hexdigest()}
    path = directory / f"{kind}.json"
    path.write_text(json.dumps(document))
    return path


def version(ended: Ended) -> str:
    return str(ended.document["artifacts"][0]["version"])


def outcome(ended: Ended) -> dict[str, Any]:
    return dict(ended.document["targets"][0])


def current(there: World) -> dict[str, str]:
    """Type → version in the manifest on main."""
    manifest = json.loads(there.main_files()[HOME.manifest_path])
    return {kind: uri.rpartition("/")[2].removesuffix(".json") for kind, uri in manifest["current"].items()}


def judge_history(there: World) -> None:
    """Every manifest that main ever had is the one before it with exactly the slots changed that its message names."""
    words = ["rev-list", "--reverse", "--first-parent", "refs/heads/main", "--", HOME.manifest_path]
    ids = git(there.origin, *words).split()
    messages = objects(there.origin, ids)
    manifests = objects(there.origin, [f"{commit}:{HOME.manifest_path}" for commit in ids])
    before: dict[str, str] = {}
    replaced = "none"
    for commit, message, manifest in zip(ids, messages, manifests, strict=True):
        text = message.decode()
        assert f"\nManifest: {HOME} sha256:{hashlib.sha256(manifest).hexdigest()}\n" in text, f"nobody built {commit}"
        assert f"\nSupersedes: {HOME} {replaced}\n" in text, f"{commit} was built on another manifest than it replaced"
        shipped = dict(re.findall(rf"\nRecord: {HOME} (\w+)@([0-9a-f]{{64}})(?=\n)", text))
        uris = json.loads(manifest)["current"]
        after = {kind: uri.rpartition("/")[2].removesuffix(".json") for kind, uri in uris.items()}
        assert after == {**before, **shipped}, f"{commit} lost or blended what was there"
        before, replaced = after, commit


def started(tmp_path: Path, shape: str) -> tuple[World, list[Path]]:
    """A world with nothing in it yet, and the repositories from which the two publish."""
    there = World(tmp_path / "world", shape)
    there.make()
    return there, [there.where, there.where if shape == SHAPES[0] else there.clone("second clone")]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_of_two_that_publish_different_types_at_the_same_moment_none_is_lost(
    tmp_path: Path, shape: str, dice: random.Random, request: pytest.FixtureRequest
) -> None:
    there, places = started(tmp_path, shape)
    ends = {0: 0, 4: 0}
    for turn in range(world.how_many(4)):
        verbs = [world.publishing(str(day(tmp_path, dice, kind)), merge=True) for kind in KINDS]
        dice.shuffle(verbs)
        ended = at_once(list(zip(places, verbs, strict=True)))
        for place, verb, each in zip(places, verbs, ended, strict=True):
            assert each.code in ends, f"turn {turn}: {each}"
            ends[each.code] += 1
            if each.code == 4:
                said = each.sentence or outcome(each)["says"]
                assert re.search(r"run |again", said), f"turn {turn}: no word about what to do next: {said}"
                assert at_once([(place, verb)])[0].code == 0
            else:
                assert outcome(each)["outcome"] == "merged", f"turn {turn}: {each}"
        wanted = {each.document["artifacts"][0]["type"]: version(each) for each in ended if each.document}
        assert wanted.items() <= current(there).items(), f"turn {turn}: lost"
        assert git(there.origin, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"], f"turn {turn}"
    request.node.user_properties.append(("ended 0", ends[0]))
    request.node.user_properties.append(("ended 4", ends[4]))
    judge_history(there)
    there.check()


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_many_that_publish_the_same_files_at_the_same_moment_leave_one_record_and_one_pull_request(
    tmp_path: Path, shape: str, dice: random.Random
) -> None:
    there, places = started(tmp_path, shape)
    for turn in range(1, 1 + world.how_many(1, 4)):
        verb = world.publishing(*(str(day(tmp_path, dice, kind)) for kind in KINDS))
        ended = at_once([(place, verb) for place in (*places, *places)])
        assert [each.code for each in ended] == [0] * 4, f"turn {turn}: {ended}"
        outcomes = [outcome(each) for each in ended]
        assert sorted(each["outcome"] for each in outcomes) == ["opened", *["unchanged"] * 3], f"turn {turn}"
        assert len({each["pull_request"]["branch"] for each in outcomes}) == 1
        assert len({each["manifest_sha256"] for each in outcomes}) == 1
        branches = git(there.origin, "for-each-ref", "--format=%(refname)", "refs/heads/ship/").split()
        assert len(branches) == 1, f"turn {turn}"
        commits = git(there.origin, "rev-list", "refs/heads/main").split()
        assert len(commits) == 1 + turn, f"turn {turn}: the records of one publish are one commit"
        blobs = [artifact["blob"] for each in ended for artifact in each.document["artifacts"]]
        assert sorted(blobs) == ["created"] * 2 + ["present"] * 6
        git(there.origin, "update-ref", "-d", branches[0])
    there.check()


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_no_ship_comes_after_a_hold_that_was_set_while_others_published(
    tmp_path: Path, shape: str, dice: random.Random
) -> None:
    there, places = started(tmp_path, shape)
    first = world.publishing(*(str(day(tmp_path, dice, kind)) for kind in KINDS), merge=True)
    assert there.run(first).code == 0
    for turn in range(world.how_many(2, 4)):
        ships = [world.publishing(str(day(tmp_path, dice, kind)), merge=True) for kind in KINDS]
        verbs = [*zip(places, ships, strict=True), (places[0], world.holding(world.FOREVER, now=True))]
        dice.shuffle(verbs)
        ended = at_once(verbs)
        assert {each.code for each in ended} <= {0, 1, 4}, f"turn {turn}: {ended}"
        changed = git(there.origin, "log", "--first-parent", "--format=", "--name-only", "refs/heads/main").split()
        assert changed.index(f"holds/{HOME}.json") < changed.index(HOME.manifest_path), f"turn {turn}: shipped on hold"
        assert there.run(ships[0]).code in (0, 1)  # 0: it was shipped before
        assert there.run(world.holding(None, now=True)).code == 0
        for branch in git(there.origin, "for-each-ref", "--format=%(refname)", "refs/heads/ship/").split():
            git(there.origin, "update-ref", "-d", branch)
    judge_history(there)
    there.check()
