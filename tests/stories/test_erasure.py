"""An erasure, from the request to the proof: the id is nowhere any more, and what happened is still known."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from bucketshop import BucketShop
from clocks import clock_at
from seaweed import Server
from shop import GROCER, Shop, artifact, git, popularity

from pointsman.errors import Problem, Refused
from pointsman.gate import blob_cache
from pointsman.outcome import Outcome
from pointsman.verbs import find, gc, pr, retire, review, show
from pointsman.verbs.find import Request as Wanted
from pointsman.verbs.retire_plan import Request
from pointsman.verbs.verify import Choice, verify
from pointsman.workspace import Workspace

USER = "user-7f3e9b2a"
SETTINGS = "[retention]\nwait_days = 7\ntrash_days = 7\n"


def implicit(path: Path, *users: str, day: int) -> Path:
    rows = [{"user_id": user, "items": [{"item_id": "item-1", "score": 0.5}]} for user in users]
    return artifact(path, "implicit", tenant="grocer", surface="home", day=day, users=rows)


def version_of(path: Path) -> str:
    return str(json.loads(path.read_text())["build"]["version"])


class Erasure:
    """A shop whose clock can be put forward."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.days = 0.0

    def run(self, verb: Any, *words: Any, **more: Any) -> Outcome[Any]:
        with self.shop.open() as repo:
            made: Outcome[Any] = verb(Workspace(repo, clock=clock_at(time.time() + self.days * 86400)), *words, **more)
            return made

    def states(self, ids: Path) -> set[tuple[str, str]]:
        """What find says: versions and states."""
        found = self.run(find.find, Wanted(files=(str(ids),))).document
        return {(each["version"], "current" if each["current"] else each["state"]) for each in found["found"]}


def objects_of(repository: Path) -> bytes:
    """Every object, ref, reflog and note of a repository, in plain bytes."""
    listed = git(repository, "cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
    contents = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=repository, input=listed.encode(), capture_output=True, check=True
    ).stdout
    plain = [path.read_bytes() for path in repository.rglob("*") if path.is_file() and "objects" not in path.parts]
    return contents + b"".join(plain) + git(repository, "for-each-ref").encode()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", pytest.param("bucket", marks=pytest.mark.slow)])
def test_after_an_erasure_the_id_is_nowhere_and_what_happened_is_known(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server: Server | None = request.getfixturevalue("s3") if kind == "bucket" else None
    where = tmp_path / "shop"
    shop = BucketShop(where, server, settings=SETTINGS) if server is not None else Shop(where, SETTINGS)
    told = Erasure(shop)
    old, new = implicit(tmp_path / "1.json", USER, "u2", day=1), implicit(tmp_path / "2.json", "u2", "u3", day=2)
    shop.publish(old, popularity(tmp_path / "p.json", 10), merge=True)
    shop.sync()
    ids = tmp_path / "ids"
    ids.write_text(f"{USER}\n")
    version = version_of(old)
    assert told.states(ids) == {(version, "current")}

    first = told.run(retire.retire, Request(holding=str(ids), erase=True))
    assert (first.exit_code, [each["outcome"] for each in first.document["targets"]]) == (1, ["refused"])
    shop.publish(new)
    told.run(review.review, "grocer/home")  # compares the two, and keeps what it read
    shop.merge()
    shop.sync()
    assert (version in list(blob_cache.versions())) == (server is not None)
    for reason in (f"for {USER}, who asked", f"erase {USER}.", f"user/{USER}", f"<{USER}>'s"):
        with pytest.raises(Problem, match="would stand in git for ever"):
            told.run(retire.retire, Request(holding=str(ids), erase=True, reason=reason))
    opened = told.run(retire.retire, Request(holding=str(ids), erase=True, reason="request 17"))
    assert [each["outcome"] for each in opened.document["targets"]] == ["opened"]
    told.run(pr.merge, opened.document["targets"][0]["pull_request"]["id"])
    assert told.states(ids) == {(version, "retired")}

    told.days = 8
    assert told.run(gc.gc, gc.Request(delete=True)).document["taken"] == 1
    assert told.states(ids) == {(version, "trash")}
    with pytest.raises(Refused):
        shop.publish(old, record_only=True)
    with pytest.raises(Problem):
        told.run(gc.restore, (version,))
    assert shop.sync().exit_code == 0
    assert told.states(ids) == {(version, "trash")}, "nothing puts it back"
    told.days = 16
    assert told.run(gc.gc, gc.Request(delete=True)).document["purged"] == 1

    assert told.states(ids) == set()
    verified = told.run(verify, (), Choice(every=True))
    assert (verified.exit_code, [each["version"] for each in verified.document["retired"]]) == (0, [version])
    stored = shop.objects().values() if isinstance(shop, BucketShop) else map(Path.read_bytes, files(shop.store))
    assert not any(USER.encode() in data for data in stored)
    assert not any(USER.encode() in path.read_bytes() for path in files(tmp_path / "cache"))
    for repository in (shop.origin, shop.desk / ".git"):
        assert USER.encode() not in objects_of(repository)
    shown = told.run(show.show, version[:12]).document
    assert (shown["version"], shown["blob"], shown["retired"]["reason"]) == (version, "missing", "request 17")
    assert shown["retired_by"]["by"] == shop_author(shop)
    assert len(shown["current"]) == 1
    assert GROCER.record_path("implicit", version) in git(shop.origin, "ls-tree", "-r", "--name-only", "main")


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def shop_author(shop: Shop) -> str:
    return git(shop.origin, "log", "-1", "--format=%an <%ae>", "main")
