"""Break-glass killed at every step, raced and read all the while; a region whose blobs come late, on a bucket."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import reader
from broken_glass import below, break_it, manifests, outcome_of, shipped
from bucketshop import BucketShop
from seaweed import BUCKET, Server
from shop import GROCER, Kept, Shop, popularity

from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.serving.states import state_key
from pointsman.store.directory import FileStore
from pointsman.verbs import ratify
from pointsman.workspace import Workspace

_WRITES = 2  # of break-glass: its claim and the pointer


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("glass-story"), shipped)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


class Killed(BaseException):
    """What a kill looks like from inside."""


@contextmanager
def killed_at(step: int, *, after: bool) -> Iterator[None]:
    """The write of this number does not happen, or is the last thing that happens."""
    replace, count = FileStore.replace, iter(range(100))

    def dies(store: FileStore, key: str, data: bytes, *, was: str | None) -> None:
        mine = next(count) == step
        if mine and not after:
            raise Killed
        replace(store, key, data, was=was)
        if mine:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileStore, "replace", dies)
        yield


def ratified(shop: Shop) -> Outcome[Any]:
    with shop.open() as repo:
        return ratify.ratify(Workspace(repo))


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(_WRITES))
@pytest.mark.parametrize("synced", [False, True])
def test_killed_at_any_write_serving_is_whole_and_running_it_again_finishes(
    shop: Shop, step: int, after: bool, synced: bool
) -> None:
    third, second, _ = manifests(shop)
    with killed_at(step, after=after), pytest.raises(Killed):
        break_it(shop)
    assert shop.serving == (second if (step, after) == (1, True) else third)
    if synced:
        before = shop.serving
        shop.sync()
        assert shop.serving == before  # neither a claim alone nor what it put there is touched
    assert outcome_of(break_it(shop)) in ("claimed", "unchanged")
    assert (shop.serving, outcome_of(shop.sync())) == (second, "claimed")
    ratified(shop)
    assert (outcome_of(shop.sync()), shop.serving, shop.manifest) == ("unchanged", second, second)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(3))
def test_a_sync_that_is_killed_while_it_leaves_states_leaves_serving_whole(shop: Shop, step: int, after: bool) -> None:
    third = manifests(shop)[0]
    shop.publish(popularity(shop.root / "p4.json", 20, day=4), merge=True)
    with killed_at(step, after=after), pytest.raises(Killed):
        shop.sync()
    assert shop.serving in (third, shop.manifest)
    below(shop, state_key(GROCER)).read_bytes()
    assert shop.sync().exit_code == 0
    assert shop.serving == shop.manifest
    assert outcome_of(break_it(shop)) == "claimed"
    assert shop.serving == third


@pytest.mark.slow
def test_twice_at_once_and_against_syncs_it_ends_with_the_state_that_was_asked_for(kept: Kept, rounds: int) -> None:
    pointsman = str(Path(sys.executable).with_name("pointsman"))
    for _ in range(rounds):
        shop = kept.fresh()
        second = manifests(shop)[1]
        glass = ["rollback", "grocer/home", "--break-glass", "--reason", "broken", "--key", str(shop.root / "ann")]
        commands = [[pointsman, "-C", str(shop.desk), *words] for words in (glass, ["sync"], glass, ["sync"])]
        running = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for each in commands]
        for process in running:
            output = process.communicate()[0].decode()
            assert process.returncode in (0, 4, 5), output
        break_it(shop)
        assert (outcome_of(shop.sync()), shop.serving) == ("claimed", second)


@pytest.mark.slow
def test_ten_thousand_reads_see_whole_manifests_and_nothing_that_was_taken_out(shop: Shop) -> None:
    third, second, _ = manifests(shop)
    seen: list[bytes] = []
    reads, over = [0], threading.Event()

    def look() -> None:
        while not over.is_set():
            data = shop.serving
            reads[0] += 1
            if data is not None and (not seen or seen[-1] != data):
                seen.append(data)

    def until(count: int) -> None:
        while reads[0] < count:
            pass

    thread = threading.Thread(target=look)
    thread.start()
    steps: list[Callable[[], Any]] = [
        shop.sync,
        lambda: break_it(shop),
        shop.sync,
        shop.sync,
        lambda: break_it(shop),
        lambda: ratified(shop),
        shop.sync,
        shop.sync,
    ]
    for place, step in enumerate(steps):
        step()
        until((place + 1) * 1_250)
    over.set()
    thread.join()
    assert reads[0] >= 10_000
    assert seen == [third, second]


# a region on a bucket


def region(prefix: str) -> str:
    """Two places: the default one, and one with blobs of its own elsewhere in the bucket."""
    us = f"s3://{BUCKET}/{prefix}/us/{{tenant}}/{{surface}}/manifest.json"
    eu = f"s3://{BUCKET}/{prefix}/eu/{{tenant}}/{{surface}}/manifest.json"
    store = f's3://{BUCKET}/{prefix}/eu-blobs"'
    return (
        f'[[serving]]\nname = "us"\nmanifest = "{us}"\n[[serving]]\nname = "eu"\nmanifest = "{eu}"\nstore = "{store}\n'
    )


@pytest.mark.slow
def test_a_region_whose_blobs_come_late_is_never_pointed_to_one_that_it_lacks(
    tmp_path: Path, s3: Server, dice: random.Random, rounds: int
) -> None:
    shop = BucketShop(tmp_path / "shop", s3, settings=region(f"region-{dice.randrange(10**12)}"))
    prefix = (shop.desk / "pointsman.toml").read_text().partition(f"s3://{BUCKET}/region-")[2].partition("/")[0]
    there = s3.client(f"region-{prefix}")

    def objects() -> dict[str, bytes]:
        import obstore

        listed = [meta["path"] for page in obstore.list(there) for meta in page]
        return {key: bytes(obstore.get(there, key).bytes()) for key in listed}

    def arrive(count: int) -> None:
        import obstore

        has = objects()
        blobs = {key: data for key, data in shop.objects().items() if "/popularity/" in key and "registry" not in key}
        lacking = [key for key in sorted(blobs) if f"eu-blobs/{key}" not in has]
        for key in lacking[:count]:
            obstore.put(there, f"eu-blobs/{key}", blobs[key])

    for day in range(1, 4 + 2 * rounds):
        shop.publish(popularity(tmp_path / f"p{day}.json", 10 + day, day=day), merge=True)
        for _ in range(dice.randrange(3)):
            shop.sync()
            has = objects()
            assert has["us/grocer/home/manifest.json"] == shop.manifest
            if (pointer := has.get("eu/grocer/home/manifest.json")) is not None:
                key = json.loads(pointer)["current"]["popularity"].removeprefix(f"{shop.url}/")
                assert f"eu-blobs/{key}" in has
        arrive(dice.randrange(3))
    arrive(1_000)
    assert shop.sync().exit_code == 0
    assert objects()["eu/grocer/home/manifest.json"] == shop.manifest


@pytest.mark.slow
def test_break_glass_on_a_bucket_is_held_and_found_by_its_store_alone(
    tmp_path: Path, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = BucketShop(tmp_path / "shop", s3)
    for day in (1, 2):
        shop.publish(popularity(tmp_path / f"p{day}.json", 10 + day, day=day), merge=True)
        shop.sync()
    first = manifests(shop)[1]
    assert outcome_of(break_it(shop, signed=False)) == "claimed"
    assert shop.serving == first
    assert (outcome_of(shop.sync()), shop.serving) == ("healed", shop.manifest)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    assert outcome_of(break_it(shop, signed=False, store=shop.url)) == "claimed"
    assert shop.serving == first
    with pytest.raises(Problem, match="no sync was ever at"):
        break_it(shop, signed=False, store=f"{shop.url}/elsewhere")


@pytest.mark.slow
def test_what_is_read_is_what_recsys_service_can_serve(shop: Shop) -> None:
    break_it(shop)
    template = f"file://{shop.store}/registry/current/{{tenant}}/{{surface}}/manifest.json"
    pointer, artifacts = reader.read(reader.from_bucket(""), template, "grocer", "home")
    assert (pointer, list(artifacts)) == (manifests(shop)[1], ["popularity"])
