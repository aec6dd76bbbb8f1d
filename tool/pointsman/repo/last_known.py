"""What a checkout knows without its origin: for the day on which git cannot be reached, or hangs.

Each question has a limit of time. What git does not answer is read from the files of the checkout, or not known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.files import read_file
from pointsman.repo.git import Git
from pointsman.state.documents import rfc3339
from pointsman.state.objects import Oid

_SECONDS = 3.0
_MAIN = ("refs/remotes/origin/main", "refs/heads/main")
_SHORT = 12  # digits of an id
_MOST = 1_000_000  # bytes of a file


class LastMain(Struct, frozen=True):
    """Main as this clone fetched it last: under which name, its commit, and the time of that (RFC 3339, UTC)."""

    git: Git
    name: str
    oid: Oid
    at: str

    def before(self, time: int) -> str:
        """Short, the last commit of it until `time`, seconds since 1970; "" if there is none."""
        ran = self.git.run("rev-list", "-1", "--first-parent", f"--before={time}", self.oid, timeout=_SECONDS)
        return ran.out.decode().strip()[:_SHORT] if ran.code == 0 else ""


def last_main(git: Git) -> LastMain | None:
    """Main as this clone has it; None if it has none."""
    form = "--format=%(refname) %(objectname) %(committerdate:unix)"
    with contextlib.suppress(Problem):
        ran = git.run("for-each-ref", form, *_MAIN, timeout=_SECONDS)
        found = {words[0]: words for line in ran.out.decode(errors="replace").splitlines() if (words := line.split())}
        for ref in _MAIN:
            if ref in found:
                _, oid, time = found[ref]
                name = ref.removeprefix("refs/remotes/").removeprefix("refs/heads/")
                return LastMain(git, name, Oid(oid), rfc3339(int(time)))
    return None


class LastKnown:
    """A directory that may be a checkout, a bare repository, or neither."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._git: Git | None = None
        self._answers = directory.is_dir()

    def __enter__(self) -> LastKnown:
        if self._answers:
            with contextlib.suppress(Problem):  # no git, or one that hangs
                self._git = Git(str(self._directory.absolute()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._git is not None:
            self._git.close()

    def file(self, path: str) -> bytes | None:
        """A file of main as it was fetched last; without git, that of the checkout. None if there is none."""
        for ref in _MAIN:
            if (data := self._ask("cat-file", "blob", f"{ref}:{path}")) is not None:
                return data
        with contextlib.suppress(OSError):
            return read_file(str(self._directory / path), _MOST)
        return None

    def setting(self, name: str) -> str:
        """A setting of git, of this repository or of this user; "" if there is none."""
        return (self._ask("config", "--get", name) or b"").decode(errors="replace").strip()

    def identity(self) -> Iterator[str]:
        """The name and the e-mail of this user, as far as git knows them."""
        if name := os.environ.get("GIT_COMMITTER_NAME") or self.setting("user.name"):
            yield name
        if email := os.environ.get("GIT_COMMITTER_EMAIL") or self.setting("user.email"):
            yield f"<{email}>"

    def _ask(self, *words: str) -> bytes | None:
        """What git prints; None if it fails. One that does not answer in time is not asked again."""
        if self._git is None or not self._answers:
            return None
        try:
            ran = self._git.run(*words, timeout=_SECONDS)
        except Problem:
            self._answers = False
            return None
        return ran.out if ran.code == 0 else None
