"""A disk that took no write ends a command in 3, whatever it was writing: who runs again with room gets through.

Kubernetes and CI try 3 again, and take 2 for a mistake of whoever typed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shop import Shop, popularity
from world import own_mounts

from pointsman.cli.main import main

# $1: where a small file system is mounted, $2: a clone, $3: an artifact, $4: a version.
_FULL = """
set -u
mount -t tmpfs -o size=16m none "$1"
cp -a "$2" "$1/desk"
dd if=/dev/zero of="$1/ballast" bs=4096 2>/dev/null
told() { "$PYTHON" -m pointsman "$@" >/dev/null 2>"$SAYS"; echo "$? $(tail -n 1 "$SAYS")"; }
told -C "$1/desk" publish "$3"
told -C "$1/desk" rollback grocer/home --now --reason x
told -C "$1/desk" hold grocer/home --until 2d --now --reason x
told -C "$1/desk" site "$1/site"
told -C "$1/desk" get "$4" -o "$1/blob.json"
told init "$1/new"
rm "$1/ballast"
told -C "$1/desk" publish "$3"
told -C "$1/desk" site "$1/site"
"""


@pytest.mark.slow
def test_every_command_says_that_the_disk_is_full_and_ends_in_3(tmp_path: Path) -> None:
    shop, small = Shop(tmp_path / "shop"), tmp_path / "small"
    shop.publish(popularity(tmp_path / "first.json", 10), merge=True)
    shop.publish(popularity(tmp_path / "second.json", 11), merge=True)
    shop.pull()
    version = next((shop.store / "grocer/home/popularity").iterdir()).stem
    more = popularity(tmp_path / "third.json", 12)
    small.mkdir()
    ran = subprocess.run(
        [*own_mounts(), "sh", "-c", _FULL, "sh", str(small), str(shop.desk), str(more), version],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHON": sys.executable, "SAYS": str(tmp_path / "says")},
    )
    *full, published, written = ran.stdout.splitlines()
    assert len(full) == 6
    for each in full:
        assert each.startswith("3 pointsman: "), each
        assert "No space left on device" in each or "the disk is full: make room and run again" in each, each
    assert (published[0], written[0]) == ("0", "0")


def test_a_current_directory_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["status"]) == 2
    assert capsys.readouterr().err == "pointsman: the current directory was deleted: change to another one\n"
