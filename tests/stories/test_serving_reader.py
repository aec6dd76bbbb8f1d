"""What serving reads is whole and one of main's states at every moment, whoever ships, mirrors or dies meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import reader
from bucketshop import BucketShop
from seaweed import Server
from shop import CALM, GROCER, STAGING, Shop, git, popularity

from pointsman.state.names import Target

Make = Callable[..., Shop]


def template(shop: Shop) -> str:
    root = shop.url if isinstance(shop, BucketShop) else f"file://{shop.store}"
    return f"{root}/registry/current/{{tenant}}/{{surface}}/manifest.json"


@pytest.fixture(params=["files", "a bucket"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "files":
        return lambda **more: Shop(tmp_path / "shop", **more)
    server = request.getfixturevalue("s3")
    return lambda **more: BucketShop(tmp_path / "shop", server, **more)


def endpoint(request: pytest.FixtureRequest, shop: Shop) -> str:
    if not isinstance(shop, BucketShop):
        return ""
    server: Server = request.getfixturevalue("s3")
    return server.endpoint


@pytest.mark.slow
def test_everything_that_is_mirrored_can_be_served(make: Make, request: pytest.FixtureRequest) -> None:
    shop = make(settings=f"{CALM}items_drop = false\n")
    fetch = reader.from_bucket(endpoint(request, shop))

    def served() -> dict[str, list[str]]:
        """What serving gets for each target of main."""
        found = {}
        for path in git(shop.origin, "ls-tree", "-r", "--name-only", "main", "manifests/").splitlines():
            target = Target(*path.split("/")[1:3])
            pointer, artifacts = reader.read(fetch, template(shop), target.tenant, target.surface)
            assert pointer == f"{git(shop.origin, 'show', f'main:{path}')}\n".encode()
            found[str(target)] = sorted(artifacts)
        return found

    shop.publish(STAGING, windows=("2026-03-01_2026-03-02",), merge=True)
    shop.sync()
    first = served()
    assert {"bookshop/detail", "bookshop/home", "grocer/home"} == set(first)
    shop.publish(STAGING, windows=("2026-03-02_2026-03-03",), merge=True)
    shop.publish(drops=((GROCER, "cooc"),), merge=True, accept=("type-dropped",), reason="no baskets")
    shop.sync()
    assert served()[str(GROCER)] == [slot for slot in first[str(GROCER)] if slot != "cooc"]
    for _ in range(2):
        shop.roll_back(now=True, reason="back")
        shop.sync()
        served()


class Serving:
    """A process that reads all the time."""

    def __init__(self, shop: Shop, where: str) -> None:
        command = [sys.executable, reader.__file__, where, template(shop), GROCER.tenant, GROCER.surface]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._said: list[dict[str, Any]] = []
        self._hear()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the reader is gone or waited in vain, after {self._said[-3:]}"
        self._said.append(json.loads(line))

    def until(self, sha256: str) -> None:
        """Wait until it reads this pointer, which somebody has yet to write: a minute at most."""
        late = threading.Timer(60, self._process.kill)
        late.start()
        while self._said[-1].get("sha256") != sha256:
            self._hear()
        late.cancel()

    def end(self) -> tuple[list[str], list[str], int]:
        """The pointers that it got, in order, what was wrong, and how often it read."""
        out, _ = self._process.communicate()
        assert self._process.returncode == 0
        lines = [*self._said, *map(json.loads, out.splitlines())]
        wrong = [each["wrong"] for each in lines if "wrong" in each]
        return [each["sha256"] for each in lines if "sha256" in each], wrong, lines[-1]["reads"]


class Mirrors:
    """Processes that follow main, each of which may be killed at any moment and is there again."""

    def __init__(self, shop: Shop, count: int) -> None:
        self._command = [sys.executable, "-m", "pointsman", "-C", str(shop.origin), "sync", "--watch", "0.02"]
        self._running = deque(self._start() for _ in range(count))

    def _start(self) -> subprocess.Popen[bytes]:
        null = subprocess.DEVNULL
        return subprocess.Popen(self._command, stdout=null, stderr=null, start_new_session=True)

    def kill_one(self, *, again: bool = True) -> None:
        """With all that it started: what is left of git holds nothing."""
        process = self._running.popleft()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if again:
            self._running.append(self._start())

    def kill_all(self) -> None:
        while self._running:
            self.kill_one(again=False)


def had(shop: Shop) -> list[str]:
    """The SHA-256 of the manifest at each commit of main, oldest first, equal neighbours once."""
    found: list[str] = []
    for commit in git(shop.origin, "rev-list", "--reverse", "--first-parent", "main").splitlines():
        listed = git(shop.origin, "ls-tree", commit, GROCER.manifest_path)
        if listed:
            data = git(shop.origin, "show", f"{commit}:{GROCER.manifest_path}").encode() + b"\n"
            found.append(hashlib.sha256(data).hexdigest())
    return [each for place, each in enumerate(found) if place == 0 or found[place - 1] != each]


def is_in_order(seen: list[str], line: list[str]) -> bool:
    left: Iterator[str] = iter(line)
    return all(any(each == one for one in left) for each in seen)


@pytest.mark.slow
def test_a_reader_sees_main_s_states_whole_and_in_order_while_mirrors_race_and_die(
    make: Make, request: pytest.FixtureRequest, tmp_path: Path, dice: random.Random, rounds: int
) -> None:
    shop = make()
    files = [popularity(tmp_path / f"p{day}.json", 10 + day, day=day) for day in range(1, 6)]
    shop.publish(files[0], merge=True)
    shop.sync()
    serving, mirrors = Serving(shop, endpoint(request, shop)), Mirrors(shop, 3)
    try:
        for _ in range(rounds * 8):
            match dice.choice(("ship", "ship", "roll back", "kill", "rest")):
                case "ship":
                    shop.publish(dice.choice(files), merge=True, reship=True, reason="again")
                case "roll back" if len(had(shop)) > 1:
                    shop.roll_back(now=True, reason="back")
                case "kill":
                    mirrors.kill_one()
                case "rest":  # nobody ships: the mirrors alone bring serving to where main is
                    serving.until(had(shop)[-1])
        serving.until(had(shop)[-1])
    finally:
        mirrors.kill_all()
        shop.sync()
        seen, wrong, reads = serving.end()
    line = had(shop)
    assert wrong == []
    assert set(seen) <= set(line)
    assert seen[-1] == line[-1] == hashlib.sha256(shop.serving or b"").hexdigest()
    assert reads >= len(seen) > 1
    if not isinstance(shop, BucketShop):  # one lock: no sync writes for a main that another has left behind
        assert is_in_order(seen, line)
