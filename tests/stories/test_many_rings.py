"""Many at once with rings: dozens of rings, one of them broken; many processes; two syncs whose clocks differ."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rings import HOUR, RingShop, rings_of
from shop import git, popularity

from pointsman.serving.seen import Seen

pytestmark = pytest.mark.slow

MANY = 32  # rings
TOGETHER = 64  # processes
MINUTE = 60


def ship(shop: RingShop, items: int) -> bytes:
    shop.publish(popularity(shop.root / f"{items}.json", items), merge=True)
    return shop.manifest


def test_of_dozens_of_rings_a_broken_one_in_the_middle_holds_back_only_what_comes_after_it(tmp_path: Path) -> None:
    names = [f"r{place}" for place in range(MANY)]
    shop = RingShop(tmp_path / "shop", rings={name: 'after = "1m"' if name != "r0" else "" for name in names})
    first = ship(shop, 10)
    shop.pass_over()
    second = ship(shop, 11)
    middle = shop.root / names[MANY // 2]
    kept = middle.rename(shop.root / "kept")
    middle.symlink_to(middle.name)
    for _ in range(MANY // 2 + 1):
        assert shop.pass_over(later=MINUTE).exit_code == 3
    assert [shop.serves(name) for name in names[: MANY // 2]] == [second] * (MANY // 2)
    assert [shop.serves(name) for name in names[MANY // 2 + 1 :]] == [first] * (MANY // 2 - 1)
    middle.unlink()
    kept.rename(middle)
    for _ in range(MANY // 2 + 1):
        assert shop.pass_over(later=MINUTE).exit_code == 0
    assert [shop.serves(name) for name in names] == [second] * MANY


def test_a_ring_whose_store_takes_calls_and_never_answers_costs_the_others_its_limit_once_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "0.3")
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    hangs = f'region = "us-east-1"\nendpoint = "http://127.0.0.1:{silent.getsockname()[1]}"\nallow_http = true'
    places = {"canary": "", "middle": hangs, "prod": 'after = "1h"'}
    with silent:
        shop = RingShop(tmp_path / "shop", rings=dict.fromkeys(("canary", "prod"), ""))
        first = ship(shop, 10)
        shop.pass_over()
        settings = rings_of(shop.root, **places).replace(f"file://{shop.root}/middle", "s3://blobs/middle")
        shop.set_rings(settings)
        second = ship(shop, 11)
        seen = Seen(HOUR)
        outcome = shop.pass_over(seen=seen)
        assert outcome.exit_code == 3
        assert [each["place"] for each in outcome.document["places"] if each["says"]] == ["middle"]
        assert (shop.serves("canary"), shop.serves("prod")) == (second, first)
        assert shop.pass_over(seen=seen, later=9 * HOUR).exit_code == 3
        assert shop.serves("prod") == first, "nobody knows how long the ring before had it"
        shop.roll_back(now=True, reason="bad")
        assert shop.pass_over(seen=seen, later=HOUR).exit_code == 3
        assert (shop.serves("canary"), shop.serves("prod")) == (first, first)


def test_two_syncs_whose_clocks_are_ten_minutes_apart_agree_and_move_no_ring_backwards(
    tmp_path: Path, dice: random.Random
) -> None:
    shop = RingShop(tmp_path / "shop", rings={"a": "", "b": 'after = "30m"', "c": 'after = "1h"'})
    states = [ship(shop, 10)]
    shop.pass_over()
    had = dict.fromkeys("abc", 0)
    for turn in range(20):
        if dice.random() < 0.3:
            states.append(ship(shop, 11 + turn))
        skew = dice.choice([0, 10 * MINUTE])
        shop.now += skew
        shop.pass_over(later=dice.choice([MINUTE, 10 * MINUTE, 40 * MINUTE]))
        shop.now -= skew
        for ring, place in had.items():
            had[ring] = states.index(shop.serves(ring) or b"")
            assert had[ring] >= place, f"ring {ring} went back"
        assert had["a"] >= had["b"] >= had["c"]
    for skew in (0, 10 * MINUTE) * 3:
        shop.now += skew
        shop.pass_over(later=2 * HOUR)
        shop.now -= skew
    assert {shop.serves(ring) for ring in "abc"} == {states[-1]}
    outcomes = {at["outcome"] for target in shop.pass_over().document["targets"] for at in target["places"]}
    assert outcomes == {"unchanged"}


def test_sixty_four_syncs_and_rollouts_at_once_all_end_well(tmp_path: Path) -> None:
    shop = RingShop(tmp_path / "shop", rings={"a": "", "b": 'after = "1s"', "c": 'after = "1h"'})
    first = ship(shop, 10)
    shop.sync()
    clones = [tmp_path / "clones" / str(each) for each in range(8)]
    for clone in clones:
        git(tmp_path, "clone", "-q", str(shop.origin), str(clone))
    second = ship(shop, 11)

    def one(place: int) -> subprocess.CompletedProcess[str]:
        verb = "rollout" if place % 3 == 2 else "sync"
        words = [sys.executable, "-m", "pointsman", "-C", str(clones[place % len(clones)]), verb, "--json"]
        return subprocess.run(words, check=False, capture_output=True, text=True)

    with ThreadPoolExecutor(TOGETHER) as pool:
        ended = list(pool.map(one, range(TOGETHER)))
    assert {each.returncode for each in ended} == {0}, [each.stderr for each in ended if each.returncode]
    shop.sync()
    assert (shop.serves("a"), shop.serves("b"), shop.serves("c")) == (second, second, first)
