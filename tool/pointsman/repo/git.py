"""Git in one repository: one reader of objects, one writer.

Objects are handed to git as one pack, so that git itself takes care of permissions, hashes and fsync. It keeps them as
that pack, which costs a few fsyncs, or as files of their own, which cost two each.
"""

from __future__ import annotations

import struct
import subprocess
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from pointsman.errors import Problem, Unreachable
from pointsman.repo.chain_file import MOST_PARENTS, Commits
from pointsman.repo.encoding import (
    COMMIT_FORMAT,
    bare_commits_of,
    changes_of,
    clock,
    commits_of,
    nul_separated,
    nul_terminated,
    pack_entry,
    parse_tree,
    read_commit,
)
from pointsman.repo.object_reader import AT_ONCE, Ran, Reader, pause_for_interrupt
from pointsman.repo.process import Runner
from pointsman.state.objects import PLAIN_FILE, Change, Commit, Entry, Oid, hasher, object_id

_MANY = 100  # objects: as for git itself (fetch.unpackLimit)
_LINES = 1 << 12  # of git's answer, at once
_MOST_COMMITS = 1 << 12  # in the cache
_MOST_TREES = 1 << 16  # in the cache; a watch runs for days
_MOST_KNOWN = 1 << 25  # bytes of files in the cache
_MOST_OF_ONE = 1 << 20  # bytes: a larger file is read again
_RAW = ("-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
_FIRST_PARENT = ("-z", "--first-parent", "--diff-merges=first-parent", *_RAW[1:], "--encoding=UTF-8")


class OddTree(Problem):
    """A tree that git would not write: two programs could read two different things in it."""


class Git(Runner):
    """Reads and writes objects of one repository."""

    def __init__(self, directory: str, *, bare: bool = False, judging: bool = False, lasting: bool = True) -> None:
        super().__init__(directory, bare=bare, judging=judging, lasting=lasting)
        self._reader = Reader(lambda: self.start("cat-file", "--batch"))
        self._trees: dict[Oid, dict[str, Entry]] = {}
        self._commits: dict[Oid, Commit] = {}
        self._kept: dict[Oid, bytes] = {}
        self._known: dict[Oid, bytes] = {}  # contents of files, oldest first
        self._known_bytes = 0
        self._tree_of: dict[Oid, Oid] = {}  # commit → its tree

    def wait_at_most(self, seconds: Callable[[], float]) -> None:
        """How long one object may take, in a clone that fetches it from a remote when it is read."""
        self._reader.patience = seconds

    def close(self) -> None:
        self._reader.close()

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

    def commit_at(self, oid: Oid) -> Commit | None:
        """One commit without its changes; None if there is no such commit."""
        if oid not in self._commits:
            found = self.object(oid)
            if found is None or found[0] != "commit":
                return None
            if len(self._commits) >= _MOST_COMMITS:
                self._commits.clear()
            self._commits[oid] = read_commit(oid, found[1])
        return self._commits[oid]

    def commit_tree(self, oid: Oid) -> Oid:
        """The tree of a commit."""
        if oid not in self._tree_of:
            tree = self.commit(oid).partition(b"\n")[0].removeprefix(b"tree ").decode(errors="replace")
            if len(self._tree_of) >= _MOST_COMMITS:
                self._tree_of.clear()
            self._tree_of[oid] = Oid(tree)
        return self._tree_of[oid]

    def read_ahead(self, oids: Iterable[Oid]) -> None:
        """Read these file contents together, at a tenth of the cost of single reads. Caches the last 32 MiB."""
        wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._known]
        for start in range(0, len(wanted), AT_ONCE):
            ids = wanted[start : start + AT_ONCE]
            for oid, found in zip(ids, self._reader.read(ids), strict=True):
                if found is not None and found[0] == "blob":
                    self._remember(oid, found[1])

    def _remember(self, oid: Oid, content: bytes) -> None:
        if len(content) > _MOST_OF_ONE or oid in self._known:
            return
        self._known[oid] = content
        self._known_bytes += len(content)
        while self._known_bytes > _MOST_KNOWN:
            self._known_bytes -= len(self._known.pop(next(iter(self._known))))

    def keep(self, content: bytes) -> Entry:
        """The entry of a plain file that is not in the repository. This object can read it by its id."""
        entry = Entry(PLAIN_FILE, object_id("blob", content))
        self._kept[entry.oid] = content
        return entry

    def blob(self, oid: Oid) -> bytes:
        if oid in self._kept:
            return self._kept[oid]
        if oid in self._known:
            return self._known[oid]
        found = self.object(oid)
        if found is None or found[0] != "blob":
            raise Problem(f"git has no file content {oid}: the repository is damaged or its remote does not answer")
        self._remember(oid, found[1])
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
    ) -> Generator[Commit, None, None]:
        """The first-parent commits from `tip`, newest first, that changed one of `paths` (no paths: all commits).

        Streamed: git stops when the caller stops. Left out are `no_older_than` and all commits before it, and, with
        `saying`, commits without this text in a line of their message.
        """
        words = [COMMIT_FORMAT, tip]
        if no_older_than is not None:
            words.append(f"^{no_older_than}")
        if saying:
            words[:0] = ["--fixed-strings", f"--grep={saying}"]
        # A commit changes each file once: when all are seen we can yield without reading the next commit.
        most = len(paths) if all(path.endswith(".json") for path in paths) else 0
        words += ["--", *(f":(literal){path}" for path in paths)]
        return self._log(words, lambda tokens: commits_of(tokens, most, self.commit))

    def chain(self, tip: Oid, *, without: str, above: Oid | None = None) -> Generator[Commit, None, None]:
        """All first-parent commits from `tip` down to above `above`, with all changes but those below `without`.

        Without messages and names. Streamed, as `first_parents` is.
        """
        words = ["--sparse", "--format=%H %ct %P", tip]
        if above is not None:
            words.append(f"^{above}")
        return self._log([*words, "--", ":/", f":(top,exclude,literal){without}"], bare_commits_of)

    def _log(
        self, words: Sequence[str], read: Callable[[Iterator[bytes]], Iterator[Commit]]
    ) -> Generator[Commit, None, None]:
        """Commits as git log tells them."""
        process = self.start("log", *_FIRST_PARENT, *words)
        blocks = _to_its_end(process)
        try:
            yield from read(nul_separated(blocks))
        finally:
            _stop(process, blocks)

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

    def clocks(self, tip: Oid) -> Commits:
        """Id, committer's clock and number of parents of each commit of the first-parent chain from `tip`."""
        ran = self.run("rev-list", "--first-parent", "--timestamp", "--parents", tip, env={"GIT_FLUSH": "0"})
        if ran.code != 0:
            raise Problem(f"git rev-list failed: {ran.reason}")
        lines, found = ran.out.decode().splitlines(), Commits(len(tip) // 2)
        for start in range(0, len(lines), _LINES):  # there may be a million
            rows = [line.split(" ") for line in lines[start : start + _LINES]]
            ids, parents = "".join([row[1] for row in rows]), bytes([min(len(row) - 2, MOST_PARENTS) for row in rows])
            clocks = array("q", [clock(int(row[0])) for row in rows])
            found.add_all(Commits(found.size, 0, bytes.fromhex(ids), clocks, parents))
        return found

    def paths(self, commit: Oid, directory: str) -> Generator[bytes, None, None]:
        """The path of each file below a directory of a commit, in the order of their bytes, each with a NUL.

        Streamed, many in a block.
        """
        process = self.start("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, f"{directory}/")
        blocks = _to_its_end(process, "ls-tree")
        try:
            yield from blocks
        finally:
            _stop(process, blocks)

    def added(self, base: Oid, heads: Sequence[Oid], *directories: str) -> dict[bytes, set[Oid]]:
        """Path → contents that one of the `heads` (trees) has there and the tree `base` has not."""
        pairs = "".join(f"{base} {head}\n" for head in heads)
        ran = self.run(
            "diff-tree", "--stdin", "-r", *_RAW, "--diff-filter=AM", "--", *directories, given=pairs.encode()
        )
        if ran.code != 0:
            raise Problem(f"git diff-tree failed: {ran.reason}")
        found: dict[bytes, set[Oid]] = {}
        read = 0
        # The line that names the two trees ends with a line feed, in the same token as the first change.
        tokens = iter(ran.out.split(b"\0"))
        for token in tokens:
            lines, colon, told = token.rpartition(b":")
            read += (lines or told).count(b"\n")
            if colon:
                found.setdefault(next(tokens), set()).add(Oid(told.split(b" ")[3].decode()))
        if read != len(heads):  # git passes over a tree that is missing
            raise Problem(f"git cannot read a tree ({ran.reason}): the repository is damaged")
        return found

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

    def write(self, objects: Iterable[tuple[str, bytes]], length: int, *, packed: bool = False) -> list[Oid]:
        """Write (kind, content) objects, return ids of `length` hex digits. Files are durable, their names not yet.

        `packed`: they stay together in a pack, as very many always do.
        """
        ids: list[Oid] = []
        pack = bytearray()
        for kind, content in objects:
            ids.append(object_id(kind, content, length))
            pack += pack_entry(kind, content)
        if not ids:
            return ids
        whole = b"PACK" + struct.pack(">II", 2, len(ids)) + pack
        words = ["index-pack", "--stdin"] if packed or len(ids) >= _MANY else ["unpack-objects", "-q"]
        ran = self.run(*words, given=whole + hasher(length)(whole).digest())
        if ran.code != 0:
            raise Unreachable(f"git could not write objects: {ran.reason}")
        return ids


def _stop(process: subprocess.Popen[bytes], blocks: Generator[bytes, None, None]) -> None:
    """End a git whose reader has stopped."""
    blocks.close()
    # If the garbage collector was here first, GitPython has ended git already and has no process any more.
    if getattr(process, "proc", process) is not None and process.poll() is None:
        process.kill()
        process.communicate()


def _to_its_end(process: subprocess.Popen[bytes], verb: str = "log") -> Generator[bytes, None, None]:
    """Blocks of what git says, with a NUL after each text. Problem at its end if it failed: it may be cut off."""
    assert process.stdout is not None
    yield from nul_terminated(process.stdout)
    err = process.communicate()[1]
    ran = Ran(process.returncode, b"", err.decode(errors="replace"))
    if ran.code != 0:
        pause_for_interrupt(ran)
        raise (Unreachable if ran.says_nothing else Problem)(f"git {verb} failed: {ran.reason}")
