"""The only module that runs git: one way to run it, one reader of objects, one writer.

All calls go through GitPython's `Git`, with constant verbs, object ids and full ref names. A value from outside is
never in a place where git would read an option. Objects are written as one pack with `git unpack-objects`, so that git
itself takes care of permissions, hashes and fsync.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from pointsman.errors import Problem, Unreachable
from pointsman.repo.encoding import (
    COMMIT_FORMAT,
    changes_of,
    commits_of,
    nul_separated,
    pack_entry,
    parse_tree,
)
from pointsman.repo.object_reader import AT_ONCE, Ran, Reader, pause_for_interrupt
from pointsman.state.objects import PLAIN_FILE, Change, Commit, Entry, Oid, hasher, object_id

if TYPE_CHECKING:
    from git import Git as GitPython


OLDEST_GIT = (2, 38)
_MOST_TREES = 1 << 16  # in the cache; a watch runs for days
_MOST_AHEAD = 1 << 25  # bytes in the cache of `read_ahead`

# Variables of git that stay: who commits, and how a remote is reached. The others could name another repository.
_KEPT = re.compile(
    r"GIT_((AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)|SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_\w+|HTTP_\w+|PROXY_\w+"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|PARAMETERS|KEY_\d+|VALUE_\d+))"
)
# What git tells a hook to judge: another index for `git commit -a`, and objects of a push that are not accepted yet.
_JUDGED = ("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
# Milliseconds that git waits for another git to unlock a ref. A lock older than that is left over from a killed git.
LOCK_PATIENCE = ("core.filesRefLockTimeout=1000", "core.packedRefsTimeout=1000")
# Settings that the configuration of a user or a repository must not change.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=loose-object,pack,pack-metadata,reference",
    *LOCK_PATIENCE,
    "core.quotePath=false",
    "diff.orderFile=/dev/null",
    "protocol.ext.allow=never",
    "maintenance.auto=false",
    "gc.auto=0",
    "log.showSignature=false",
    "log.follow=false",
    "log.showRoot=true",
    "i18n.commitEncoding=UTF-8",
    "push.recurseSubmodules=no",
    "remote.origin.mirror=false",
    "advice.detachedHead=false",
    "advice.graftFileDeprecated=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
_RAW = ("-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
_COMMAND = ["git", *(word for setting in _SETTINGS for word in ("-c", setting))]
_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}


def _gitpython(*, judging: bool) -> type[GitPython]:
    """GitPython's Git, imported late (it costs 80 ms). Removes from the environment what SECURITY.md lists."""
    for name in list(os.environ):
        if name.startswith("GIT_") and not _KEPT.fullmatch(name) and not (judging and name in _JUDGED):
            del os.environ[name]
    if judging and (index := os.environ.get("GIT_INDEX_FILE")):
        os.environ["GIT_INDEX_FILE"] = os.path.abspath(index)  # a hook's is relative to where the hook was started
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    from git import Git

    return Git


@cache
def require_git() -> str:
    """Git's version; Problem if git is missing or older than 2.38 (the first with `merge-tree --write-tree`)."""
    try:
        text = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Problem("git cannot be run: install git 2.38 or newer and put it on the PATH") from error
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise Problem(f"{text.strip()} is too old: install git 2.38 or newer")
    return text.strip()


class OddTree(Problem):
    """A tree that git would not write: two programs could read two different things in it."""


class Git:
    """Git in one repository. `bare`: `directory` is the git directory itself, and git does not search for one."""

    def __init__(self, directory: str, *, bare: bool = False, judging: bool = False) -> None:
        require_git()
        self._git = _gitpython(judging=judging)(directory)
        self._command = [*_COMMAND, "--git-dir=."] if bare else _COMMAND
        self.credentials: Callable[[], Mapping[str, str]] = dict  # environment with the credentials for the remote
        self._reader = Reader(lambda: self.start("cat-file", "--batch"))
        self._trees: dict[Oid, dict[str, Entry]] = {}
        self._kept: dict[Oid, bytes] = {}
        self._ahead: dict[Oid, bytes] = {}  # oldest first
        self._ahead_bytes = 0

    def close(self) -> None:
        self._reader.close()

    # running

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Git with `words` as a process with open pipes; the caller ends it."""
        return self._git.execute(  # type: ignore[return-value]  # AutoInterrupt passes everything on to its Popen
            [*self._command, *words],
            as_process=True,
            istream=subprocess.PIPE,
            env={**_ENVIRONMENT, **self.credentials(), **(env or {})},
        )

    def run(
        self,
        *words: str,
        given: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Ran:
        """Run git to its end and return the result, whatever its exit code.

        Unreachable after `timeout` seconds, and if a signal ended it: that is no answer.
        """
        process = self.start(*words, env=env)
        try:
            out, err = process.communicate(given, timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)  # git's own children may hold its output open for longer
            raise Unreachable(
                f"git {words[0]} did not end within {timeout:g} s: check the network and the remote"
            ) from error
        ran = Ran(process.returncode, out, err.decode(errors="replace"))
        if ran.killed:
            pause_for_interrupt(ran)
            raise Unreachable(f"git {words[0]} gave no answer: {ran.reason}")
        return ran

    def ask(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        """The output of a git command that must succeed; Problem with git's error if it does not."""
        ran = self.run(*words, given=given, env=env)
        if ran.code != 0:
            raise Problem(f"git {words[0]} failed: {ran.reason}")
        return ran.out.decode(errors="surrogateescape").removesuffix("\n")

    # reading

    def object(self, oid: Oid) -> tuple[str, bytes] | None:
        """Kind and content of one object; None if there is no such object. Unreachable if git cannot tell."""
        return self._reader.read([oid])[0]

    def commit(self, oid: Oid) -> bytes:
        """The content of a commit."""
        found = self.object(oid)
        if found is None or found[0] != "commit":
            raise Problem(f"{oid} is not a commit of this repository")
        return found[1]

    def read_ahead(self, oids: Iterable[Oid]) -> None:
        """Read these file contents together, at a tenth of the cost of single reads. Caches the last 32 MiB."""
        wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._ahead]
        for start in range(0, len(wanted), AT_ONCE):
            ids = wanted[start : start + AT_ONCE]
            for oid, found in zip(ids, self._reader.read(ids), strict=True):
                if found is not None and found[0] == "blob":
                    self._ahead[oid] = found[1]
                    self._ahead_bytes += len(found[1])
        while self._ahead_bytes > _MOST_AHEAD:
            self._ahead_bytes -= len(self._ahead.pop(next(iter(self._ahead))))

    def keep(self, content: bytes) -> Entry:
        """The entry of a plain file that is not in the repository. This object can read it by its id."""
        entry = Entry(PLAIN_FILE, object_id("blob", content))
        self._kept[entry.oid] = content
        return entry

    def blob(self, oid: Oid) -> bytes:
        if oid in self._kept:
            return self._kept[oid]
        if oid in self._ahead:
            return self._ahead[oid]
        found = self.object(oid)
        if found is None or found[0] != "blob":
            raise Problem(f"git has no file content {oid}: the repository is damaged or its remote does not answer")
        return found[1]

    def tree(self, oid: Oid) -> dict[str, Entry]:
        """The entries of one tree, in git's order. Names that are not UTF-8 keep their bytes as surrogates."""
        known = self._trees.get(oid)
        if known is None:
            found = self.object(oid)
            if found is None or found[0] != "tree":
                raise Problem(f"git has no tree {oid}: the repository is damaged or its remote does not answer")
            parsed = parse_tree(found[1], len(oid) // 2)
            if parsed is None:
                raise OddTree(
                    f"tree {oid} has a form that git does not write: find out who made it, and rebuild main without it"
                )
            if len(self._trees) >= _MOST_TREES:
                self._trees.clear()
            known = self._trees[oid] = parsed
        return known

    def first_parents(
        self, tip: Oid, *paths: str, no_older_than: Oid | None = None, saying: str = ""
    ) -> Iterator[Commit]:
        """The first-parent commits from `tip`, newest first, that changed one of `paths` (no paths: all commits).

        Streamed: git stops when the caller stops. Left out are `no_older_than` and all commits before it, and, with
        `saying`, commits without this text in a line of their message.
        """
        words = ["log", "-z", "--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames"]
        words += ["--ignore-submodules=none", "--encoding=UTF-8", COMMIT_FORMAT, tip]
        if no_older_than is not None:
            words.append(f"^{no_older_than}")
        if saying:
            words[1:1] = ["--fixed-strings", f"--grep={saying}"]
        process = self.start(*words, "--", *(f":(literal){path}" for path in paths))
        assert process.stdout is not None
        tokens = _to_its_end(process)
        try:
            # A commit changes each file once: when all are seen we can yield without reading the next commit.
            most = len(paths) if all(path.endswith(".json") for path in paths) else 0
            yield from commits_of(tokens, most, self.commit)
        finally:
            tokens.close()
            # If the garbage collector was here first, GitPython has ended git already and has no process any more.
            if getattr(process, "proc", process) is not None and process.poll() is None:
                process.kill()
                process.communicate()

    def commits(self, tip: Oid, beyond: Oid) -> list[Commit]:
        """The commits of `tip` that `beyond` does not have, merged ones included, oldest first, without changes."""
        ran = self.run("log", "-z", "--reverse", "--encoding=UTF-8", COMMIT_FORMAT, tip, f"^{beyond}")
        if ran.code != 0:
            raise Problem(f"git log failed: {ran.reason}")
        return list(commits_of(iter(ran.out.split(b"\0")[:-1]), 0, self.commit))

    def saying(self, tip: Oid, text: str) -> list[Oid]:
        """All commits up to `tip`, merged branches included, with this text in a line of their message."""
        return [
            Oid(line)
            for line in self.ask("rev-list", "--encoding=none", "--fixed-strings", f"--grep={text}", tip).split()
        ]

    def clocks(self, tip: Oid) -> bytes:
        """Lines "<committer's clock> <commit>" of the first-parent chain from `tip`, newest first."""
        ran = self.run("rev-list", "--first-parent", "--timestamp", tip, env={"GIT_FLUSH": "0"})
        if ran.code != 0:
            raise Problem(f"git rev-list failed: {ran.reason}")
        return ran.out

    def differences(self, old: Oid, new: Oid) -> list[Change]:
        """Every path that differs between two trees or commits. Ignores .gitattributes."""
        ran = self.run("diff-tree", "-r", *_RAW, old, new)
        if ran.code != 0:
            raise Problem(f"git diff-tree failed: {ran.reason}")
        return changes_of(iter(ran.out.split(b"\0")[:-1]))

    def staged(self, head: Oid | None) -> list[Change]:
        """Every path that differs between `head` (None: an empty tree) and the index."""
        old = head or object_id("tree", b"")
        ran = self.run("diff-index", "--cached", *_RAW, old, "--")
        if ran.code != 0:
            raise Problem(f"git diff-index failed: {ran.reason}")
        return changes_of(iter(ran.out.split(b"\0")[:-1]))

    # writing

    def write(self, objects: Iterable[tuple[str, bytes]], length: int) -> list[Oid]:
        """Write (kind, content) objects, return ids of `length` hex digits. Files are durable, their names not yet."""
        ids: list[Oid] = []
        pack = bytearray()
        for kind, content in objects:
            ids.append(object_id(kind, content, length))
            pack += pack_entry(kind, content)
        if not ids:
            return ids
        whole = b"PACK" + struct.pack(">II", 2, len(ids)) + pack
        ran = self.run("unpack-objects", "-q", given=whole + hasher(length)(whole).digest())
        if ran.code != 0:
            raise Problem(f"git could not write objects: {ran.reason}")
        return ids


def _to_its_end(process: subprocess.Popen[bytes]) -> Generator[bytes, None, None]:
    """What git says between NULs. Problem in the place of its end if it failed: what came before may be cut off."""
    assert process.stdout is not None
    yield from nul_separated(process.stdout)
    err = process.communicate()[1]
    ran = Ran(process.returncode, b"", err.decode(errors="replace"))
    if ran.code != 0:
        pause_for_interrupt(ran)
        raise (Unreachable if ran.killed else Problem)(f"git log failed: {ran.reason}")
