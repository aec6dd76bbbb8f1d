"""A file of a store that its disk cannot read stops its own target alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shop import Shop
from test_blocked import both
from world import tracer


def ran(shop: Shop, bad: Path, *words: str) -> tuple[int, Any]:
    """Exit code and document of a command to which the kernel gives EIO where it opens or asks about one file."""
    calls = "openat,openat2,statx,newfstatat"
    strace = [tracer(), "-f", "-qq", "-o", "/dev/null", "-P", str(bad), "-e", f"trace={calls}"]
    command = [sys.executable, "-P", "-m", "pointsman", "-C", str(shop.desk), "--json", *words]
    done = subprocess.run([*strace, "-e", f"inject={calls}:error=EIO", *command], capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_sync_status_and_verify_go_on_with_the_others(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.publish(*both(tmp_path, 10), merge=True)
    shop.sync()
    shop.publish(*both(tmp_path, 11, "b"), merge=True)

    pointer = shop.store / "registry" / "current" / "bookshop" / "home" / "manifest.json"
    code, synced = ran(shop, pointer, "sync")
    assert {each["target"]: each["outcome"] for each in synced["targets"]} == {
        "bookshop/home": "refused",
        "grocer/home": "written",
    }
    (fault,) = [fault for each in synced["targets"] for fault in each.get("faults") or ()]
    assert "the disk has an error there" in fault["says"]
    assert str(pointer) in fault["says"]
    assert code == 5

    code, seen = ran(shop, pointer, "status", "--fail-on", "drift")
    assert {each["target"]: each["serving"] for each in seen["targets"]} == {
        "bookshop/home": "unknown",
        "grocer/home": "in-sync",
    }
    assert code == 3

    blob = min((shop.store / "bookshop").rglob("*.json"))
    code, verified = ran(shop, blob, "verify", "--all")
    assert [(fault["rule"], "/bookshop/" in fault["path"]) for fault in verified["faults"]] == [("blocked", True)]
    assert code == 1
