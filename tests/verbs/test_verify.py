"""Verify: every chosen blob is read, whole, and what is not what its name says is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bucketshop import BucketShop
from planted import spoil
from seaweed import Server
from shop import GROCER, Shop, git, popularity

from pointsman.cli import verify as verify_command
from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.state.names import Pattern, Target
from pointsman.verbs.verify import Choice, read_shard, verify
from pointsman.workspace import Workspace


def verified(shop: Shop, *targets: Target | Pattern, **choice: Any) -> Outcome[Any]:
    with shop.open() as repo:
        return verify(Workspace(repo), targets, Choice(**choice))


def rules(outcome: Outcome[Any]) -> list[str]:
    return [fault["rule"] for fault in outcome.document["faults"]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "bucket"])
def test_what_is_current_or_everything_is_hashed_and_what_is_wrong_is_told(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    server: Server | None = request.getfixturevalue("s3") if kind == "bucket" else None
    shop = BucketShop(tmp_path / "shop", server) if server is not None else Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.publish(day=2, merge=True)
    current = verified(shop)
    assert (current.exit_code, current.document["blobs"], rules(current)) == (0, 5, [])
    every = verified(shop, GROCER, every=True)
    assert (every.exit_code, every.document["blobs"], rules(every)) == (0, 10, [])
    assert every.document["bytes"] > current.document["bytes"] > 0

    altered, gone = "grocer/home/popularity/ece550b7fe36", "grocer/home/cooc/ef91235eb522"  # both of day 1
    if isinstance(shop, BucketShop):
        keys = sorted(shop.objects())
        shop.put(next(key for key in keys if key.startswith(altered)), b"altered")
        shop.take(next(key for key in keys if key.startswith(gone)))
    else:
        next(shop.store.glob(f"{altered}*")).write_bytes(b"altered")
        next(shop.store.glob(f"{gone}*")).unlink()
    assert verified(shop).exit_code == 0, "what is current is as it was"
    found = verified(shop, every=True)
    assert found.exit_code == 1
    told = {fault["rule"]: fault["path"] for fault in found.document["faults"]}
    assert len(found.document["faults"]) == len(told) == 2
    assert told["blob-altered"].startswith(f"registry/{altered}")
    assert told["blob-missing"].startswith(f"registry/{gone}")


@pytest.mark.slow
def test_a_record_that_says_nothing_of_its_blob_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pull()
    broken, elsewhere, other, *_ = sorted((shop.desk / "registry" / "grocer" / "home").glob("*/*.json"))
    record = json.loads(elsewhere.read_text())
    elsewhere.write_text(json.dumps({**record, "uri": "file:///elsewhere.json"}))
    other.write_text(json.dumps({**json.loads(other.read_text()), "uri": record["uri"]}))
    for text in ("{", '{"uri": 1, "size": 2}', "[]"):
        broken.write_text(text)
        shop.push()
        found = verified(shop)
        assert found.document["blobs"] == 5
        assert rules(found) == ["record-not-landed", "foreign-uri", "foreign-uri"]
        assert found.document["faults"][0]["path"] == str(broken.relative_to(shop.desk))


@pytest.mark.slow
def test_a_record_with_another_size_is_told_and_what_stands_beside_records_is_no_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.verbs.verify._BATCH", 1)
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pull()
    path, beside, *_ = sorted((shop.desk / "registry" / "grocer" / "home").glob("*/*.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "size": record["size"] + 1}))
    for ending in ("retired", "evidence.0123456789ab"):
        beside.with_suffix(f".{ending}.json").write_text("{}")
    shop.push()
    found = verified(shop, every=True)
    assert (found.document["blobs"], rules(found)) == (5, ["blob-missing"])
    assert (
        f"has {record['size']} bytes, but the record says {record['size'] + 1}" in found.document["faults"][0]["says"]
    )


@pytest.mark.slow
def test_shards_are_everything_once_and_a_sample_is_as_large_as_asked(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", '[forge]\ngroup = "run"\n')
    shop.publish(*(popularity(tmp_path / f"{n}.json", 3, surface=f"s{n}") for n in range(9)), merge=True)
    assert sum(verified(shop, every=True, shard=(i, 3)).document["blobs"] for i in (1, 2, 3)) == 9
    assert verified(shop, sample=4).document["blobs"] == 4
    assert verified(shop, sample=40).document["blobs"] == 9
    assert verified(shop, Target("grocer", "s3")).document["blobs"] == 1
    with pytest.raises(Problem, match="grocer/s33 was never shipped here"):
        verified(shop, Target("grocer", "s33"))


def test_a_shard_is_one_of_so_many() -> None:
    assert read_shard("2/4") == (2, 4)
    for text in ("0/4", "5/4", "1", "a/b", "1/0"):
        with pytest.raises(Problem, match="not a shard"):
            read_shard(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "bucket"])
def test_several_processes_tell_what_one_does(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    server: Server | None = request.getfixturevalue("s3") if kind == "bucket" else None
    shop = BucketShop(tmp_path / "shop", server) if server is not None else Shop(tmp_path / "shop")
    for day in (1, 2):
        shop.publish(day=day, merge=True)
    for key in ("grocer/home/popularity/ece550b7fe36", "grocer/home/cooc/ef91235eb522"):
        if isinstance(shop, BucketShop):
            shop.put(next(each for each in sorted(shop.objects()) if each.startswith(key)), b"altered")
        else:
            next(shop.store.glob(f"{key}*")).write_bytes(b"altered")
    program = (
        "import sys; from pointsman.verbs import verify; verify._MANY = int(sys.argv.pop(1));"
        "verify.cores = lambda: 3; from pointsman.__main__ import run; run()"
    )
    command = [sys.executable, "-c", program]
    one, three, shard = (
        subprocess.run(
            [*command, many, "-C", str(shop.desk), "--json", "verify", "--all", *more],
            capture_output=True,
            text=True,
            check=False,
        )
        for many, more in (("1000", ()), ("1", ()), ("1", ("--shard", "1/2")))
    )
    assert one.returncode == three.returncode == 1, three.stderr
    assert json.loads(one.stdout) == json.loads(three.stdout)
    assert json.loads(three.stdout)["blobs"] == 10
    assert len(json.loads(three.stdout)["faults"]) == 2
    assert 0 < json.loads(shard.stdout)["blobs"] < 10


def test_a_pattern_names_the_targets_that_it_matches(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    assert verified(shop, Pattern.parse("gro*/*"), GROCER).document["blobs"] == 5
    with pytest.raises(Problem, match=r"no target on main matches baker/\*"):
        verified(shop, GROCER, Pattern.parse("baker/*"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut off", "executable", "a symlink", "a directory"])
def test_a_manifest_that_cannot_be_read_is_told_because_nothing_of_it_was_verified(tmp_path: Path, how: str) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pull()
    spoil(shop.desk / GROCER.manifest_path, how)
    shop.push("trick")
    found = verified(shop)
    [fault] = found.document["faults"]
    assert (found.exit_code, found.document["blobs"]) == (1, 0)
    assert (fault["rule"], fault["path"]) == (
        "bad-json" if how == "cut off" else "not-a-plain-file",
        GROCER.manifest_path,
    )
    assert "was not verified: run pointsman rollback grocer/home" in fault["says"]
    assert verify_command.render(found.value).endswith(
        "\n0 blobs, 0 bytes: all as they should be, but 1 manifest cannot be read"
    )
    assert verified(shop, every=True).exit_code == 0, "records say what every version is"


@pytest.mark.slow
def test_what_a_manifest_points_to_is_told_though_no_record_was_ever_landed(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(day=1, merge=True)
    shop.pull()
    git(shop.desk, "rm", "-rq", "registry")
    shop.push("trick")
    found = verified(shop)
    assert found.exit_code == 1
    assert rules(found) == ["record-not-landed"] * 5
