"""An origin that never answers, or without end: git is given up in time, and at a most of bytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from shop import Shop, git, popularity

from pointsman.errors import Unreachable
from pointsman.repo import origin
from pointsman.repo.open import open_repository
from pointsman.repo.pipes import exchange
from pointsman.repo.snapshot import Snapshot

NEVER = "#!/bin/sh\nexec cat >/dev/null\n"
FLOOD = "#!/bin/sh\nexec yes 'remote: many words' >&2\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.publish(popularity(tmp_path / "p.json", 3), merge=True)
    for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(shop.origin, "config", name, "true")
    return shop


def answer(clone: Path, script: str) -> None:
    """From now on the other side of the clone's conversations is this program."""
    shim = clone.parent / "other-side"
    shim.write_text(script)
    shim.chmod(0o755)
    for name in ("uploadpack", "receivepack"):
        git(clone, "config", f"remote.origin.{name}", f"'{shim}'")


def running(clone: Path) -> list[str]:
    """The command lines of all processes that work in a clone."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == clone and (words := (process / "cmdline").read_bytes()):
                found.append(words.replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("script", [NEVER, FLOOD], ids=["never", "floods"])
def test_a_remote_that_gives_no_answer_is_given_up_and_not_kept_in_memory(
    script: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(shop.desk, script)
    with shop.open() as repo:
        monkeypatch.setenv("POINTSMAN_REMOTE_TIMEOUT", "0.3")
        with pytest.raises(Unreachable, match=r"did not end within 0\.3 s") as error:
            repo.refresh()
        assert len(str(error.value)) < 2000


@pytest.mark.slow
def test_contents_that_a_partial_clone_lacks_are_given_up_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = shop.root / "partial.git"
    git(shop.root, "clone", "-q", "--bare", "--filter=blob:none", f"file://{shop.origin}", str(clone))
    with open_repository(str(clone)) as repo:
        main = repo.refresh()
        answer(clone, NEVER)
        monkeypatch.setenv("POINTSMAN_REMOTE_TIMEOUT", "0.3")
        with pytest.raises(Unreachable, match="its remote did not answer in time"):
            Snapshot(repo, main).settings()
        assert not running(clone), "what git started is ended, too"
        git(clone, "config", "--unset", "remote.origin.uploadpack")
        assert Snapshot(repo, main).settings().store == f"file://{shop.store}"  # by a new reader


@pytest.mark.slow
def test_a_list_of_branches_has_a_most_of_bytes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    main = shop.main
    given = "".join(f"create refs/heads/ship/t{count}/s/0123456789ab {main}\n" for count in range(200))
    git(shop.origin, "update-ref", "--stdin", given=given)
    with shop.open() as repo:
        monkeypatch.setattr(origin, "_MOST_OF_REFS", 2000)
        with pytest.raises(Unreachable, match="git ls-remote gave more than 2000 bytes: look at what the remote has"):
            repo.refresh()
        monkeypatch.undo()
        assert repo.refresh() == main


def test_all_that_is_sent_and_said_comes_through_and_of_endless_words_both_ends() -> None:
    data = os.urandom(1 << 20)
    script = "cat; head -c 1000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 3"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(["/bin/sh", "-c", script], **pipes)  # type: ignore[call-overload]
    out, err = exchange(process, data, 60, None)
    assert (out == data, process.returncode) == (True, 3)
    assert len(err) == 1 << 16
    assert err.endswith(b"xthe end\n")
    process = subprocess.Popen(["/bin/sh", "-c", "exec <&-; echo done"], **pipes)  # type: ignore[call-overload]
    assert exchange(process, data, 60, None)[0] == b"done\n"  # nobody reads what is sent
