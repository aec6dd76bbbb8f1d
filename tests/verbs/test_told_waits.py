"""Whoever waits for more than a second for the other side of something says so, and for what; and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from answering import answering, plain
from shop import Shop, git, popularity

from pointsman.progress import telling
from pointsman.repo.open import open_repository
from pointsman.repo.snapshot import Snapshot
from pointsman.web import Line


@pytest.fixture
def gate(tmp_path: Path) -> Callable[[], None]:
    """Lets through who waits in `at_the_gate`, and whoever comes later."""
    os.mkfifo(tmp_path / "gate")

    def let_through() -> None:
        if not (tmp_path / "open").exists():
            (tmp_path / "open").touch()
            os.close(os.open(tmp_path / "gate", os.O_WRONLY))

    return let_through


def at_the_gate(root: Path, then: str, who: str = "*") -> Path:
    """A program that waits until the gate is opened, if its last word is like `who`, and then becomes another one."""
    program = root / "waits"
    program.write_text(
        f"""#!/bin/sh
for last; do :; done
case "$last" in {who}) [ -e "{root}/open" ] || read -r _ <"{root}/gate";; esac
exec {then}
"""
    )
    program.chmod(0o755)
    return program


def told(shop: Shop, then: Callable[[], None], words: str, why: str) -> bool:
    """Run a command, open the gate when it says that it waits for `why`, see that it ends well; whether it said so."""
    command = [sys.executable, "-P", "-m", "pointsman", "-C", str(shop.desk), *words.split()]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    said = False
    with subprocess.Popen(command, **pipes, text=True) as ran:  # type: ignore[call-overload]
        for line in ran.stderr:
            if line.startswith("pointsman: waiting until ") and line.endswith(f" UTC at the latest: {why}\n"):
                said = True
                then()
    return said and ran.returncode == 0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p.json", 3), merge=True)
    return shop


@pytest.mark.slow
@pytest.mark.parametrize(
    "who, words, verb",
    [
        ("git-upload-pack*", "status", "ls-remote"),
        ("git-receive-pack*", "hold grocer/home --until 2h --now --reason freeze", "push"),
    ],
)
def test_a_git_that_talks_to_a_slow_origin(
    who: str,
    words: str,
    verb: str,
    shop: Shop,
    gate: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"ssh://far.example{shop.origin}"
    git(shop.desk, "remote", "set-url", "origin", url)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(at_the_gate(tmp_path, 'sh -c "$last"', who)))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    assert told(shop, gate, words, f"git {verb} is talking to {url}")


@pytest.mark.slow
def test_contents_that_a_partial_clone_fetches_when_they_are_read(
    shop: Shop, gate: Callable[[], None], tmp_path: Path
) -> None:
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(shop.origin, "config", name, "true")
    clone = tmp_path / "partial.git"
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{shop.origin}", str(clone))
    said = []

    def tell(why: str, seconds: float) -> None:
        said.append(why)
        gate()

    with open_repository(str(clone)) as repo, telling(tell):
        main = repo.refresh()
        git(clone, "config", "remote.origin.uploadpack", str(at_the_gate(tmp_path, 'git-upload-pack "$@"')))
        assert Snapshot(repo, main).settings().store == f"file://{shop.store}"
    assert said == ["git fetches contents that this clone lacks"]


@pytest.mark.slow
def test_a_program_that_is_told_of_a_change(shop: Shop, gate: Callable[[], None], tmp_path: Path) -> None:
    program = at_the_gate(tmp_path, "true")
    shop.pull()
    with (shop.desk / "pointsman.toml").open("a") as settings:
        settings.write(f'[notify]\ncommand = "{program}"\n')
    shop.push("notify")
    assert told(shop, gate, "sync", f"{program} has not ended")


@pytest.mark.slow
def test_a_server_that_takes_its_time_and_one_that_does_not() -> None:
    free = threading.Event()
    said = []

    def slow(to: BaseHTTPRequestHandler) -> None:
        if to.path == "/slow":
            free.wait()
        plain(200)(to)

    def tell(why: str, seconds: float) -> None:
        said.append(why)
        free.set()

    with answering(slow) as (url, _), httpx.Client() as client, telling(tell):
        line = Line(client)
        assert line.ask(client.build_request("GET", f"{url}/quick"), 60, 10).status_code == 200
        assert said == []
        assert line.ask(client.build_request("GET", f"{url}/slow"), 60, 10).status_code == 200
    assert said == [f"{url.removeprefix('http://')} has not answered"]
