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

import obstore
import pytest
import reader
from broken_glass import below, break_it, manifests, outcome_of, shipped
from bucketshop import BucketShop
from seaweed import BUCKET, Seaweed, Server
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


# a region with a server of its own


def regions(prefix: str, eu: Server) -> str:
    """Two places with the same prefix: one on the server of `[store]`, and one on another, with blobs of its own."""
    manifest = f"s3://{BUCKET}/{prefix}/{{tenant}}/{{surface}}/manifest.json"
    return (
        f'[[serving]]\nname = "us"\nmanifest = "{manifest}"\n'
        f'[[serving]]\nname = "eu"\nmanifest = "{manifest}"\nstore = "s3://{BUCKET}/{prefix}-blobs"\n'
        f'endpoint = "{eu.endpoint}"\nallow_http = true\n'
    )


def objects_of(client: obstore.store.S3Store) -> dict[str, bytes]:
    listed = [meta["path"] for page in obstore.list(client) for meta in page]
    return {key: bytes(obstore.get(client, key).bytes()) for key in listed}


@pytest.mark.slow
def test_a_region_whose_blobs_come_late_is_never_pointed_to_one_that_it_lacks(
    tmp_path: Path, s3: Server, dice: random.Random, rounds: int
) -> None:
    elsewhere = Seaweed(tmp_path / "eu")
    elsewhere.start()
    try:
        prefix = f"region-{dice.randrange(10**12)}"
        shop = BucketShop(tmp_path / "shop", s3, settings=regions(prefix, elsewhere.server))
        us, eu = (server.client(prefix) for server in (s3, elsewhere.server))
        replica = elsewhere.server.client(f"{prefix}-blobs")
        pointer = "grocer/home/manifest.json"

        def arrive(count: int) -> None:
            has = objects_of(replica)
            blobs = {key: data for key, data in shop.objects().items() if "/popularity/" in key}
            for key in [key for key in sorted(blobs) if key not in has][:count]:
                obstore.put(replica, key, blobs[key])

        def synced(expected: set[int]) -> None:
            assert shop.sync().exit_code in expected
            assert objects_of(us)[pointer] == shop.manifest
            if (there := objects_of(eu).get(pointer)) is not None:
                key = json.loads(there)["current"]["popularity"].removeprefix(f"{shop.url}/")
                assert key in objects_of(replica)

        for day in range(1, 4 + 2 * rounds):
            shop.publish(popularity(tmp_path / f"p{day}.json", 10 + day, day=day), merge=True)
            for _ in range(dice.randrange(3)):
                synced({0, 5})
            arrive(dice.randrange(3))
        arrive(1_000)
        synced({0})
        last = objects_of(eu)[pointer]
        assert last == shop.manifest
        elsewhere.kill()
        shop.publish(popularity(tmp_path / "p.json", 30, day=20), merge=True)
        assert shop.sync().exit_code == 3
        assert objects_of(us)[pointer] == shop.manifest
        elsewhere.start()
        assert objects_of(eu)[pointer] == last
        synced({5})
        assert objects_of(eu)[pointer] == last
        arrive(1_000)
        synced({0})
        assert objects_of(eu)[pointer] == shop.manifest
    finally:
        elsewhere.kill()


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
