"""Rings and a real Prometheus: a bad day stays in canary, an ordinary one reaches prod without anyone's hand.

Three services, one in canary and two in prod, load the pointer of their ring as recsys-service does. Their metrics are
scraped, and the check is the example of docs/checks.md, with shorter times.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loader import Instance
from metrics import Service, prometheus
from rings import RING
from shop import Shop, git, popularity

from pointsman.verbs import sync
from pointsman.workspace import Workspace

PAGES = Path(__file__).parents[2] / "docs" / "checks.md"
PATIENCE = 120.0  # seconds for what takes a few


def example() -> str:
    """The query of the example, over seconds in place of minutes."""
    (query,) = re.findall(r"^query = '''\n(.*?)'''", PAGES.read_text(), re.DOTALL | re.MULTILINE)
    assert "[5m]" in query
    return str(query.replace("[5m]", "[4s]"))


class Story:
    """The shop, its rings, and the passes of a `rollout --check --watch` that runs beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.services = [
            Service(Instance(root / "shop" / ring, root / f"{ring}{number}.log", time.time, ttl=0))
            for ring, number in (("canary", 1), ("prod", 1), ("prod", 2))
        ]
        self.shop: Shop
        self.prod: set[bytes] = set()  # every manifest that prod ever had

    def begin(self, url: str) -> None:
        where = self.root / "shop"
        check = (
            f"[check.empty-results]\nprometheus = \"{url}\"\nquery = '''{example()}'''\nbelow = 0.02\nfor = \"3s\"\n"
        )
        prod = f'after = "8s"\nchecks = ["empty-results"]\n{check}'
        rings = RING.format(name="canary", root=where, more="") + RING.format(name="prod", root=where, more=prod)
        self.shop = Shop(where, rings)

    def ship(self, items: int) -> bytes:
        accept: dict[str, Any] = {"accept": ("items-drop",), "reason": "a sale"} if items < 50 else {}
        self.shop.publish(popularity(self.root / f"p{items}.json", items, salt=str(items)), merge=True, **accept)
        self.sync()
        return self.shop.manifest

    def sync(self) -> None:
        with self.shop.open() as repo:
            sync.sync(Workspace(repo))
        self.prod.add((self.root / "shop/prod/grocer/home/manifest.json").read_bytes())

    def passes(self) -> Iterator[dict[str, Any]]:
        """What each pass of a watching rollout tells, after a sync for each."""
        command = [sys.executable, "-m", "pointsman", "-C", str(self.shop.desk), "rollout", "--check", "--watch", "1"]
        process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, env=os.environ)
        until = time.monotonic() + PATIENCE
        try:
            assert process.stdout is not None
            for line in process.stdout:
                assert time.monotonic() < until, line
                self.sync()
                yield json.loads(line)["targets"][0]
        finally:
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def said(target: dict[str, Any]) -> str:
    """What the check says of what waits for prod; "" if nothing waits, or nothing could be judged yet."""
    (check,) = target["rings"][1]["checks"] or [{"verdict": "", "says": ""}]
    return "" if "not enough time" in check["says"] else f"{check['verdict']}: {check['says']}".strip(": ")


@pytest.mark.slow
def test_a_bad_day_stays_in_canary_and_an_ordinary_one_reaches_prod(tmp_path: Path) -> None:
    story = Story(tmp_path)
    canary, *prod = story.services
    with prometheus(tmp_path, {"canary": [canary], "prod": prod}) as url:
        story.begin(url)
        story.ship(100)

        canary.has_traffic = False
        ordinary = story.ship(101)
        for told in story.passes():
            if not canary.has_traffic and "not enough data" in said(told):
                canary.has_traffic = True  # without traffic nothing is decided; there is no empty result yet, either
            if story.shop.manifest in story.prod:
                break
        assert ordinary in story.prod
        assert canary.has_traffic
        assert not canary.counted["empty"]

        bad = story.ship(2)
        judged = 0
        for told in story.passes():
            judged += said(told) != ""
            if told.get("acted"):
                break
        assert judged <= 2
        assert told["acted"][0]["outcome"] == "stopped"
        assert canary.counted["empty"] > 0
        stopped = git(story.shop.origin, "show", "main:holds/grocer/home.json")
        assert json.loads(stopped)["rollout"] == told["acted"][0]["state"]
        for count, told in enumerate(story.passes()):
            assert told["rings"][1]["waits_for"] == "stop"
            if count == 3:  # longer than prod would have waited
                break
        assert bad not in story.prod
        assert all(not each.counted["empty"] for each in prod)
