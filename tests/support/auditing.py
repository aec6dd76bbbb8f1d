"""What auditors ask of a shop, and a shop whose commits have dates of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clocks import clock_at
from shop import GROCER, Shop, git, popularity

from pointsman.state.names import Target
from pointsman.verbs import at, explain, log
from pointsman.workspace import Workspace

NOW = 4102444800  # 2100


def events(shop: Shop, *targets: Target, **query: Any) -> list[dict[str, Any]]:
    with shop.open() as repo:
        found: list[dict[str, Any]] = log.log(Workspace(repo), log.Query(targets, **query)).document["events"]
        return found


def looked_at(shop: Shop, when: str, target: Target = GROCER, now: int = NOW) -> dict[str, Any]:
    with shop.open() as repo:
        return dict(at.at(Workspace(repo, clock=clock_at(now)), when, target).document)


def said_of(shop: Shop, revision: str) -> str:
    with shop.open() as repo:
        return str(explain.explain(Workspace(repo), revision).document["explanation"])


def by_hand(shop: Shop, count: int, when: str, says: str = "by hand") -> str:
    """A manifest that nothing vouches for, committed at a moment."""
    path = shop.desk / GROCER.manifest_path
    manifest = json.loads(path.read_text())
    manifest["updated_at"] = f"2026-03-01T00:00:{count:02}Z"
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    git(shop.desk, "commit", "-q", "-a", "-m", says, env={"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when})
    return git(shop.desk, "rev-parse", "HEAD")


def dated_shop(root: Path) -> tuple[Shop, list[str]]:
    """A target shipped now and edited in 2050, in one second of 2051 twice, by a clock of 2020, and in 2052."""
    shop = Shop(root / "shop")
    files = popularity(shop.desk.parent / "p.json", 10), popularity(shop.desk.parent / "b.json", 10, tenant="baker")
    shop.publish(*files, merge=True, run="https://ci.example/7")
    shop.pull()
    moments = (
        "2050-01-01T12:00:00+02:00",
        "2051-01-01T00:00:00Z",
        "2051-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z",
        "2052-06-01T00:00:00Z",
    )
    commits = [by_hand(shop, place, moment) for place, moment in enumerate(moments)]
    git(shop.desk, "push", "-q", "origin", "main")
    return shop, commits
