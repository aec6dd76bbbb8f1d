"""The whole loop on a bucket; and when its store fails on the way, nothing is left by halves, and again converges."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proxy
import pytest
import world
from bucketshop import FENCE, POINTER, BucketShop
from proxy import FAULTS, Call, Proxy
from seaweed import Seaweed, Server
from shop import DAYS, GROCER, STAGING, cooc, git, popularity, refused

import pointsman
from pointsman.errors import MovedFirst, Problem, Refused, Unreachable
from pointsman.outcome import Outcome
from pointsman.store.bucket import Bucket
from pointsman.verbs import status
from pointsman.workspace import Workspace


@pytest.fixture
def shop(tmp_path: Path, s3: Server) -> BucketShop:
    return BucketShop(tmp_path / "shop", s3)


def outcomes(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["target"]: each["outcome"] for each in outcome.document["targets"]}


def serving(shop: BucketShop) -> str:
    with shop.open() as repo:
        document = status.status(Workspace(repo), [GROCER]).document
    return str(document["targets"][0]["serving"])


# the loop


@pytest.mark.slow
def test_publish_merge_sync_rollback_and_status_work_as_on_a_disk(shop: BucketShop) -> None:
    published = shop.publish(day=1)
    assert {each["blob"] for each in published.document["artifacts"]} == {"created"}
    assert all(each["uri"].startswith(f"{shop.url}/grocer/home/") for each in published.document["artifacts"])
    assert (
        shop.check(base="origin/main", head=f"origin/{published.document['targets'][0]['pull_request']['branch']}")
        == []
    )
    shop.merge()
    assert serving(shop) == "absent"
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    assert shop.serving == shop.manifest
    assert serving(shop) == "in-sync"
    assert json.loads(shop.objects()[FENCE])["commit"] == shop.main
    first = shop.manifest

    assert outcomes(shop.publish(day=2, merge=True)) == {"grocer/home": "merged"}
    assert serving(shop) == "behind"
    shop.sync()
    before = shop.objects()
    again = shop.publish(day=2, merge=True)
    assert outcomes(again) == {"grocer/home": "unchanged"}
    assert {each["blob"] for each in again.document["artifacts"]} == {"present"}
    assert outcomes(shop.sync()) == {"grocer/home": "unchanged"}
    assert shop.objects() == before

    assert outcomes(shop.roll_back(now=True, reason="half the items are gone")) == {"grocer/home": "merged"}
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    assert shop.serving == first == shop.manifest
    shop.put(POINTER, b"{}")
    assert serving(shop) == "drifted"
    assert outcomes(shop.sync()) == {"grocer/home": "healed"}
    shop.sound()


@pytest.mark.slow
def test_a_pointer_whose_target_is_gone_is_pruned_when_asked(shop: BucketShop) -> None:
    shop.publish(day=1, merge=True)
    shop.sync()
    shop.pull()
    git(shop.desk, "rm", "-q", GROCER.manifest_path)
    shop.push("gone\n\nAccept: grocer/home manifest-removed the shop closed")
    assert outcomes(shop.sync()) == {"grocer/home": "kept"}
    assert outcomes(shop.sync(prune=True)) == {"grocer/home": "pruned"}
    assert POINTER not in shop.objects()


@pytest.mark.slow
def test_blobs_and_pointers_may_stand_in_stores_of_different_kinds(tmp_path: Path, s3: Server) -> None:
    served = f'[serving]\nmanifest = "file://{tmp_path}/served/{{tenant}}/{{surface}}.json"\n'
    shop = BucketShop(tmp_path / "shop", s3, settings=served)
    shop.publish(day=1, merge=True)
    assert outcomes(shop.sync()) == {"grocer/home": "written"}
    assert (tmp_path / "served" / "grocer" / "home.json").read_bytes() == shop.manifest
    assert all(key.startswith(("grocer/home/", ".pointsman/owners/")) for key in shop.objects())


@pytest.mark.slow
def test_an_altered_and_a_missing_blob_are_found_by_publish_check_and_sync(shop: BucketShop) -> None:
    shop.publish(day=1, merge=True)
    uri = json.loads(shop.manifest)["current"]["popularity"]
    key = uri.removeprefix(f"{shop.url}/")
    good = shop.objects()[key]
    shop.put(key, b"altered")
    with pytest.raises(Refused) as error:
        shop.publish(day=1)
    assert refused(error.value) == {"blob-altered"}
    assert shop.objects()[key] == b"altered"
    shop.pull()
    assert "blob-altered" in shop.check()
    shop.take(key)
    outcome = shop.sync()
    assert outcome.exit_code == 5
    assert [fault["rule"] for fault in outcome.document["targets"][0]["faults"]] == ["blob-missing"]
    assert shop.serving is None
    shop.publish(day=1)  # puts it again
    assert shop.objects()[key] == good
    assert outcomes(shop.sync()) == {"grocer/home": "written"}


@pytest.mark.slow
def test_status_says_unknown_of_a_store_that_does_not_answer(shop: BucketShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.publish(day=1, merge=True)
    shop.pull()
    settings = shop.desk / "pointsman.toml"
    settings.write_text(re.sub(r'endpoint = ".*"', 'endpoint = "http://127.0.0.1:1"', settings.read_text()))
    shop.push("a dead endpoint")
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.1")
    assert serving(shop) == "unknown"
    with pytest.raises(Unreachable, match=r"at http://127\.0\.0\.1:1: nothing answers there: check \[store\] endpoint"):
        shop.sync()


# no lock, and yet nobody's write is lost


@pytest.mark.slow
@pytest.mark.parametrize("at", [FENCE.rpartition("/")[2], POINTER.rpartition("/")[2]])
@pytest.mark.parametrize("then", ["ships", "rolls back"])
def test_a_sync_that_is_overtaken_starts_over_and_serving_ends_as_main_is(
    shop: BucketShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, then: str
) -> None:
    """Between what it read and its write of the fence or a pointer, main moves on and another sync runs to its end."""
    shop.publish(popularity(tmp_path / "1.json", 10), merge=True)
    shop.sync()
    shop.publish(popularity(tmp_path / "2.json", 11), merge=True)
    replace = Bucket.replace
    lost: list[str] = []
    others: list[str] = []

    def late(bucket: Bucket, key: str, data: bytes, *, was: str | None) -> None:
        if key.endswith(at) and not others:
            others.append(key)
            if then == "ships":
                shop.publish(popularity(tmp_path / "3.json", 12), merge=True)
            else:
                shop.roll_back(now=True, reason="the day is broken")
            others.append(shop.sync(where=shop.origin).document["commit"])
        try:
            replace(bucket, key, data, was=was)
        except MovedFirst:
            lost.append(key)
            raise

    monkeypatch.setattr(Bucket, "replace", late)
    outcome = shop.sync()
    assert len(others) == 2
    assert outcome.document["commit"] == shop.main
    assert json.loads(shop.objects()[FENCE])["commit"] == shop.main
    assert shop.serving == shop.manifest
    assert bool(lost) == (at == "sync.json" or then == "ships")  # a restored pointer has its earlier tag again


@pytest.mark.slow
def test_a_pointer_that_was_as_main_has_it_and_is_overwritten_meanwhile_is_written_anew(
    shop: BucketShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync of an older main writes its pointer late, after this sync has read that nothing differs."""
    shop.publish(popularity(tmp_path / "1.json", 10), merge=True)
    shop.sync()
    older = shop.objects()[POINTER]
    shop.publish(popularity(tmp_path / "2.json", 11), merge=True)
    shop.sync()
    shop.pull()
    shop.push("a commit that touches no manifest")
    replace = Bucket.replace
    late: list[str] = []

    def overtaken(bucket: Bucket, key: str, data: bytes, *, was: str | None) -> None:
        replace(bucket, key, data, was=was)
        if key == FENCE.removeprefix("registry/current/") and not late:
            late.append(key)
            shop.put(POINTER, older)

    monkeypatch.setattr(Bucket, "replace", overtaken)
    shop.sync()
    assert late
    assert shop.serving == shop.manifest != older


@pytest.mark.slow
def test_syncs_that_run_at_once_leave_serving_as_main_is(shop: BucketShop, tmp_path: Path, rounds: int) -> None:
    command = [sys.executable, "-m", "pointsman", "-C", str(shop.origin), "sync"]
    env = {**os.environ, "PYTHONPATH": str(Path(pointsman.__file__).parent.parent)}
    for number in range(max(1, rounds // 4)):
        shop.publish(popularity(tmp_path / f"{number}.json", 10 + number), merge=True)
        running = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(3)]
        codes = [each.wait() for each in running]
        assert 0 in codes
        assert set(codes) <= {0, 4}
        assert shop.serving == shop.manifest
        assert json.loads(shop.objects()[FENCE])["commit"] == shop.main


# secrets


def pointsman_says(shop: BucketShop, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = str(Path(pointsman.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": path, **environment}
    command = [sys.executable, "-m", "pointsman", "-C", str(shop.desk), "--json", "-v", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.slow
def test_credentials_are_never_said_nor_written_down(shop: BucketShop, s3: Server, tmp_path: Path) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "AKIDTHATISWRONG", "AWS_SECRET_ACCESS_KEY": "a-secret-that-is-wrong"}
    token = {"AWS_SESSION_TOKEN": "a-token-that-is-a-secret"}
    day = ("publish", str(STAGING / "grocer"), "--window", DAYS[1], "--merge")
    said = ""
    for words, more, code in (
        (day, wrong, 3),
        (day, token, 3),
        (day, {}, 0),
        (("sync",), {}, 0),
    ):
        ran = pointsman_says(shop, *words, **more)
        assert ran.returncode == code, ran.stderr
        assert "Traceback" not in ran.stderr
        said += ran.stdout + ran.stderr
    for path in shop.root.rglob("*"):
        said += path.read_bytes().decode("latin-1") if path.is_file() else ""
    said += "".join(git(shop.origin, "log", "--all", "-p", "--format=%B").splitlines(keepends=True))
    said += "".join(data.decode() for data in shop.objects().values())
    for secret in (s3.key, s3.secret, *wrong.values(), *token.values()):
        assert secret not in said


# a store that fails


def publishing(shop: BucketShop) -> Outcome[Any]:
    return shop.publish(day=2, merge=True, where=shop.origin)


def syncing(shop: BucketShop) -> Outcome[Any]:
    return shop.sync(where=shop.origin)


VERBS: dict[str, Callable[[BucketShop], Outcome[Any]]] = {"publish --merge": publishing, "sync": syncing}


@pytest.fixture
def between(s3: Server) -> Iterator[Proxy]:
    with proxy.running(s3.host) as running:
        yield running


def ended(verb: Callable[[BucketShop], Outcome[Any]], shop: BucketShop) -> int:
    try:
        return verb(shop).exit_code
    except Problem as problem:
        return problem.exit_code


def left(shop: BucketShop) -> dict[str, Any]:
    """What two runs that did the same have in common."""
    timeless = re.compile(rb'"(updated_at|recorded_at|commit|at)": "[^"]*"')
    files = git(shop.origin, "ls-tree", "-r", "--name-only", "main").splitlines()
    return {
        "objects": {key: timeless.sub(b"", data) for key, data in shop.objects().items()},
        "main": {path: timeless.sub(b"", git(shop.origin, "show", f"main:{path}").encode()) for path in files},
        "refs": git(shop.origin, "for-each-ref", "--format=%(refname)"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_whatever_fault_any_call_meets_nothing_is_left_by_halves_and_running_again_converges(
    tmp_path: Path, s3: Server, between: Proxy, name: str, dice: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint)
    shop.publish(day=1, merge=True)
    shop.sync()
    if name == "sync":
        shop.publish(day=2, merge=True)
    begin, verb = shop.keep("begin"), VERBS[name]
    before = shop.serving
    between.forget()
    assert verb(shop).exit_code == 0
    wanted, served = left(shop), {before, shop.manifest if name == "sync" else before}
    calls = list(dict.fromkeys(between.calls))
    assert {call.method for call in calls} >= {"GET", "HEAD", "PUT"}

    points = [(call, fault, once) for fault in FAULTS for once in (True, False) for call in calls]
    for call, fault, once in dice.sample(points, world.how_many_points(3, len(points), 1)):
        shop.put_back(begin)

        def rule(met: Call, call: Call = call, fault: str = fault, once: bool = once) -> str | None:
            return fault if met == call and not (once and between.spoilt) else None

        between.forget(rule)
        monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.3" if not once else "3" if fault == "hang" else "8")
        try:
            code = ended(verb, shop)
            assert between.spoilt
            # One key that never answers stops its own target, so what else the command does is done: 5.
            assert code == 0 if once else code in (0, 3, 4, 5), code
            assert shop.serving in served
            shop.sound()
            between.forget()
            monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "8")
            assert ended(verb, shop) == 0
            assert left(shop) == wanted
        except AssertionError as error:
            error.add_note(f"{name}: {fault} {'once' if once else 'always'} for {call}")
            raise


@pytest.mark.slow
def test_other_bytes_that_appear_under_the_name_of_a_blob_are_told_and_never_overwritten(
    tmp_path: Path, s3: Server, between: Proxy
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, between.endpoint)
    taken: list[str] = []

    def someone_else(call: Call) -> None:
        if call.method == "PUT" and "/popularity/" in call.path and not taken:
            taken.append(call.path.partition(f"{shop.prefix}/")[2])
            shop.put(taken[0], b"someone else's")

    between.forget(someone_else)
    main = shop.main
    ended = shop.publish(day=1, merge=True)
    (target,) = ended.value.targets
    assert (ended.exit_code, target.outcome) == (1, "waits")
    assert {fault.rule for fault in target.faults} == {"blob-altered"}
    assert shop.objects()[taken[0]] == b"someone else's"
    assert shop.main == main, "nothing is recorded"


@pytest.mark.slow
def test_a_store_that_is_killed_in_the_middle_of_a_publish_and_comes_back_lets_the_next_run_finish(
    tmp_path: Path, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Seaweed(tmp_path / "weed")
    own.start()
    try:
        with proxy.running(own.server.host) as between:
            shop = BucketShop(tmp_path / "shop", own.server, between.endpoint, '[forge]\ngroup = "run"\n')
            files = [popularity(tmp_path / f"p{number}.json", 3, surface=f"s{number}") for number in range(50)]
            files += [cooc(tmp_path / f"c{number}.json", 3, surface=f"s{number}") for number in range(50)]

            def kill(call: Call) -> None:
                if sum(each.method == "PUT" for each in between.calls) == 50 and own.process and not own.process.poll():
                    own.kill()

            between.forget(kill)
            monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "1.5")
            with pytest.raises(Unreachable, match=re.escape(between.endpoint)):
                shop.publish(*files)
            assert own.process is not None
            assert own.process.returncode is not None
            assert shop.pulls() == []
            own.start()
            there = {key for key in shop.objects() if key.startswith("grocer/")}
            assert 0 < len(there) < 100
            shop.sound()
            between.forget()
            monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "8")
            done = shop.publish(*files)
            assert [len(each["targets"]) for each in shop.pulls()] == [len(done.document["targets"])] == [50]
            records = git(shop.origin, "ls-tree", "-r", "--name-only", "main", "registry").splitlines()
            assert len(records) == 100
            shop.sound()
    finally:
        own.kill()
