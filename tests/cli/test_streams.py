"""Standard input, output and error that are full, closed or away: of every command, and nothing it did is denied."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from shop import STAGING, Shop, popularity
from test_output_schemas import names

from pointsman import streams
from pointsman.cli.main import cli, main

# The words of each command. Many end with a problem: it is told on stdout with --json, and is lost there all the same.
WORDS = {
    "approve": "--list", "at": "now", "attest": "grocer/home --name x --predicate none.json", "completion": "bash",
    "demo": "/dev/null/x", "find": "-", "get": "abcd -o x", "hash": str(STAGING),
    "hold": "grocer/home --until 2d --reason why", "init": "new",
    "pr-close": "grocer/home", "pr-merge": "grocer/home", "pr-show": "grocer/home",
    "publish": f"{STAGING} --window 2026-03-01_2026-03-02", "release": "grocer/home", "retire": "abcd --reason why",
    "rollback": "grocer/home", "seen": os.devnull, "ship": "grocer/home cooc@abcd", "show": "abcd", "site": "pages",
    "stamp": "none.json", "type-new": "mine --from none.json", "adopt": "--from file:///nowhere --blobs file:///nowhere",
}  # fmt: skip
EVERY = sorted(names(cli))
SLOW = [pytest.param(each, marks=() if each == "log" else pytest.mark.slow) for each in EVERY]


def words_of(name: str) -> list[str]:
    return [*name.split("-", 1), *WORDS.get(name, "").split()]


def made(root: Path) -> Shop:
    shop = Shop(root / "shop")
    shop.publish(popularity(root / "p.json", 10), merge=True)
    return shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return made(tmp_path)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One for all of those who only look at what is said."""
    return made(tmp_path_factory.mktemp("busy"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command writes to where it is called has a place of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def run(shop: Shop, *words: str, how: str) -> subprocess.CompletedProcess[bytes]:
    """A command line in a process of its own, its streams as `how` says in the shell's words."""
    command = [sys.executable, "-P", "-m", "pointsman", "-C", str(shop.desk), *words]
    return subprocess.run(
        ["sh", "-c", f'"$@" {how}', "sh", *command], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", SLOW)
def test_where_stdout_is_full_every_command_says_so_and_ends_with_3(
    busy: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, form: tuple[str, ...]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with open(os.devnull) as nothing, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", nothing)
        patch.setattr(sys, "stdout", streams.output(full))
        code = main(["-C", str(busy.desk), *words_of(name), *form])
    said = capsys.readouterr().err
    os.close(full)
    lost = "pointsman: standard output could not be written (No space left on device): the answer is lost"
    if form or lost in said:
        assert (code, said.count(lost)) == (3, 1), said
        assert f"pointsman -C {busy.desk} status" in said
    else:  # nothing was due there
        assert code in (1, 2, 3), said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_with_all_three_closed_no_command_has_a_bug(busy: Shop, name: str) -> None:
    assert run(busy, *words_of(name), "--json", how="<&- >&- 2>&-").returncode == 3


@pytest.mark.slow
def test_a_publish_that_is_done_is_never_told_as_refused(shop: Shop, tmp_path: Path) -> None:
    before = shop.main
    words = ("publish", str(popularity(tmp_path / "p2.json", 11, day=2)), "--merge", "--json")
    ran = run(shop, *words, how=">/dev/full")
    assert ran.returncode == 3
    assert b"what the command did stands" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert shop.main != before
    ran = run(shop, *words, how="")
    assert json.loads(ran.stdout)["targets"][0]["outcome"] == "unchanged"


@pytest.mark.slow
@pytest.mark.parametrize("how, code", [("<&-", 0), (">&-", 3), ("2>&-", 0), ("2>/dev/full", 0)])
def test_what_is_closed_is_opened_and_the_work_is_done(shop: Shop, tmp_path: Path, how: str, code: int) -> None:
    before = shop.main
    ran = run(shop, "-v", "publish", str(popularity(tmp_path / "p2.json", 11, day=2)), "--merge", how=how)
    assert ran.returncode == code, ran
    assert (b"(it is closed)" in ran.stderr) == (code == 3)
    assert shop.main != before
    assert shop.sync().document["targets"][0]["outcome"] == "written"  # no word of the command went into a file


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--help",), ("--version",), ("nonsense",), ("publish", "--help")])
def test_help_is_output_too(busy: Shop, words: tuple[str, ...]) -> None:
    ran = run(busy, *words, how=">/dev/full")
    assert ran.returncode == (2 if words == ("nonsense",) else 3)
    assert b"Traceback" not in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash_complete", "bash_source"])
def test_a_completion_that_is_lost_is_no_traceback(busy: Shop, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    for name, value in (("_POINTSMAN_COMPLETE", shell), ("COMP_WORDS", "pointsman st"), ("COMP_CWORD", "1")):
        monkeypatch.setenv(name, value)
    ran = run(busy, how=">/dev/full")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1)


@pytest.mark.slow
def test_standard_input_that_is_closed_is_an_empty_one(busy: Shop) -> None:
    ran = run(busy, "find", "-", how="<&-")
    assert (ran.returncode, ran.stderr) == (2, b"pointsman: no id is in standard input\n")


def test_a_pipe_that_does_not_wait_gets_all_of_it() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    whole = "x" * (1 << 20)
    found: list[bytes] = []
    with open(read, "rb") as reader:
        thread = threading.Thread(target=lambda: found.append(reader.read()))
        stream = streams.output(write)
        thread.start()
        try:
            stream.write(whole)
            stream.flush()
        finally:
            os.close(write)
            thread.join()
    assert found == [whole.encode()]


def test_what_is_lost_says_why() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = streams.output(write)
    stream.write("x")
    with pytest.raises(streams.NotWritten) as lost:
        stream.flush()
    assert lost.value.errno == errno.EPIPE
    os.dup2(os.open(os.devnull, os.O_WRONLY), write)
    stream.close()
    os.close(write)
