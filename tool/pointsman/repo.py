"""A manifest repository as `-C` names it, and the place where its state moves.

State moves on the remote `origin` where there is one; else the repository is its own origin. Refs move only by
compare-and-swap. A worktree, index or HEAD of the user's is never touched, with one exception: a repository that is its
own origin and has a clean `main` checked out is brought along.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import re
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pointsman.durable import sync_directories
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.history import Index, Walk
from pointsman.plumbing import (
    LOCK_PATIENCE,
    PLAIN_FILE,
    TREE,
    Change,
    Commit,
    Entry,
    Git,
    Oid,
    encode_tree,
    object_id,
    remote_timeout,
)

MAIN = "refs/heads/main"
PULL_BRANCHES = ("refs/heads/ship/", "refs/heads/rollback/")
_TRACKED = "refs/remotes/origin/"
_HEADS = "refs/heads/"
_TRIES = 8
_OPEN_WALKS = 16  # each is a git process with three pipes


@dataclass(frozen=True, slots=True)
class Move:
    """One ref's step from `was` to `new`; None stands for a ref that is not there."""

    ref: str
    new: Oid | None
    was: Oid | None


class Repository:
    """An open repository. `heads` holds main and the pull request branches of the origin as `refresh` last saw them."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.heads: dict[str, Oid] = {}
        self.notes: list[str] = []
        self._settings = settings
        self._written: set[Oid] = set()
        self.index: Index | None = None
        self._walks: dict[str, Walk] = {}
        self._open_walks: deque[Walk] = deque()
        self.remote = settings.get("remote.origin.url")

    # refs

    @property
    def main(self) -> Oid:
        """The commit of main that `refresh` last saw; Problem if there is none."""
        if MAIN not in self.heads:
            raise Problem(
                f"{self.remote or self.git_dir} has no branch main: push a first commit (pointsman init makes one)"
            )
        return self.heads[MAIN]

    def refresh(self) -> Oid:
        """Learn the origin's heads as they are now, fetch what is new, return main; Unreachable if it is silent."""
        if self.remote is None:
            self.heads = self._list_refs("for-each-ref", "--format=%(objectname)%09%(refname)", *_wanted("", "/"))
            return self.main
        for again in range(_TRIES):
            heads = self._ls_remote()
            known = self._list_refs("for-each-ref", "--format=%(objectname)%09%(refname)", *_wanted(_TRACKED, "/"))
            if all(known.get(_tracking(ref)) == oid for ref, oid in heads.items()):
                self.heads = heads
                return self.main
            ran = self._fetch("--prune")
            if ran is not None:
                # Two processes that share a clone get in each other's way here; the loser looks again.
                dead = (lock := _LOCK.search(ran)) is not None and not lock[1].endswith("/shallow.lock")
                if dead or again == _TRIES - 1 or not re.search(r"lock|unable to update|File exists", ran):
                    raise self._unreachable(f"cannot fetch from origin ({self.remote}): {ran}")
                _pause(again)
        raise MovedFirst(f"origin ({self.remote}) moved at every look: run the command again")

    def _ls_remote(self) -> dict[str, Oid]:
        ran = self.git.run("ls-remote", "--refs", "origin", *_wanted("", "/*"), timeout=remote_timeout())
        if ran.code != 0:
            raise Unreachable(f"cannot read origin ({self.remote}): {ran.reason}")
        wanted = (MAIN, *PULL_BRANCHES)
        found = _parse_refs(ran.out.decode(errors="surrogateescape"))
        return {ref: oid for ref, oid in found.items() if ref.startswith(wanted)}

    def _list_refs(self, *words: str) -> dict[str, Oid]:
        return _parse_refs(self.git.ask(*words))

    def _fetch(self, *words: str) -> str | None:
        """Fetch the origin's heads into the tracking refs; what git said if it failed."""
        specs = [f"+{MAIN}:{_tracking(MAIN)}", *(f"+{branch}*:{_tracking(branch)}*" for branch in PULL_BRANCHES)]
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        ran = self.git.run("fetch", *quiet, *words, "origin", *specs, timeout=remote_timeout())
        return ran.reason if ran.code != 0 else None

    def move(self, moves: Sequence[Move]) -> None:
        """Make all moves or none, each only if its ref is still where it was; MovedFirst if not. Durable on return."""
        if self.remote is None:
            self._settle(self.git_dir)
            clean, there = self._clean_main(moves), _standing(self.git_dir, moves)
            self._move_here(moves)
            _settle_refs(self.git_dir, moves, there)
            self._bring_along(moves, clean)
        else:
            self._push(moves)
        for move in moves:
            if move.new is None:
                self.heads.pop(move.ref, None)
            else:
                self.heads[move.ref] = move.new

    def _move_here(self, moves: Sequence[Move]) -> None:
        nothing = "0" * len(self.heads.get(MAIN, "0" * 40))
        script = b"".join(
            f"update {move.ref}\0{move.new or nothing}\0{move.was or nothing}\0".encode(errors="surrogateescape")
            for move in moves
        )
        ran = self.git.run("update-ref", "--no-deref", "-z", "--stdin", given=script)
        if ran.code != 0:
            now = self._list_refs("for-each-ref", "--format=%(objectname)%09%(refname)", *(move.ref for move in moves))
            if all(now.get(move.ref) == move.new for move in moves):
                return
            if any(now.get(move.ref) != move.was for move in moves) or re.search(
                r"but expected|already exists", ran.err
            ):
                raise MovedFirst(f"{moves[0].ref} could not move: {ran.reason}")
            raise self._unreachable(f"cannot move {moves[0].ref}: {ran.reason}")

    def _push(self, moves: Sequence[Move]) -> None:
        words = ["push", "--porcelain", "--no-verify", "--quiet", "--no-signed"]
        if len(moves) > 1:
            words.append("--atomic")
        words += [f"--force-with-lease={move.ref}:{move.was or ''}" for move in moves]
        there = self._remote_directory()
        standing = _standing(there, moves) if there is not None else set()
        if there is not None:
            patience = "".join(f"-c {setting} " for setting in LOCK_PATIENCE)
            words.append(
                f"--receive-pack=git -c core.fsync=loose-object,pack,pack-metadata,reference {patience}receive-pack"
            )
        ran = self.git.run(
            *words, "origin", *(f"{move.new or ''}:{move.ref}" for move in moves), timeout=remote_timeout()
        )
        if ran.code != 0:
            # The push may have landed although its answer was lost: only the refs themselves can tell.
            now = self._ls_remote()
            if not all(now.get(move.ref) == move.new for move in moves):
                told = "; ".join(line for line in ran.out.decode(errors="replace").splitlines() if line.startswith("!"))
                if any(now.get(move.ref) != move.was for move in moves) or re.search(
                    r"stale info|cannot lock ref", told
                ):
                    raise MovedFirst(f"{moves[0].ref} on origin moved first: {told or ran.reason}")
                raise self._unreachable(f"origin ({self.remote}) did not take the push of {moves[0].ref}: {ran.reason}")
        if there is not None:
            self._settle(there)
            _settle_refs(there, moves, standing)

    def _unreachable(self, says: str) -> Unreachable:
        """What git said; where it stood before a lock that nobody let go of, which files those are and how to go on."""
        lock = _LOCK.search(says)
        if lock is None:
            return Unreachable(says)
        locks = {os.path.normpath(lock[1])}
        for git_dir in (self.git_dir, self._remote_directory()):
            if git_dir is not None and Path(lock[1]).is_relative_to(git_dir):
                locks |= {str(path) for path in (*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock"))}
        are, those = ("is", "that file") if len(locks) == 1 else ("are", "those files")
        return Unreachable(
            f"{', '.join(sorted(locks))} {are} in the way: another git is at work there, or one was killed; "
            f"if none is running, delete {those} and run the command again"
        )

    # durability: git fsyncs files (core.fsync), we fsync the directories that name them

    def _settle(self, git_dir: Path) -> None:
        """Make the directory entries of all objects that were written since the last move durable."""
        objects = git_dir / "objects"
        if self._written:
            sync_directories([*{objects / oid[:2] for oid in self._written}, objects / "pack"])
            sync_directories([objects])
            self._written.clear()

    def _remote_directory(self) -> Path | None:
        """The git directory of the origin where it lies on this machine."""
        url = self.remote or ""
        path = Path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)
        if self.worktree is not None and not path.is_absolute():
            path = self.worktree / path
        if "://" in str(path) or not path.is_dir():
            return None
        return path / ".git" if (path / ".git").is_dir() else path

    # a checked-out main

    def _clean_main(self, moves: Sequence[Move]) -> bool:
        if self.worktree is None or not any(move.ref == MAIN for move in moves):
            return False
        ran = self.git.run("symbolic-ref", "--quiet", "HEAD")
        if ran.out.decode().strip() != MAIN:
            return False
        return not self.git.ask("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")

    def _bring_along(self, moves: Sequence[Move], clean: bool) -> None:
        for move in moves:
            if move.ref != MAIN or self.worktree is None or move.new is None or move.was is None:
                continue
            if self.git.run("symbolic-ref", "--quiet", "HEAD").out.decode().strip() != MAIN:
                continue
            if not clean or self.git.run("read-tree", "-m", "-u", move.was, move.new).code != 0:
                note = (
                    f"main moved to {move.new[:12]}, but the checkout in {self.worktree} has changes of its own and "
                    "was left as it is; mend it with git restore --source=HEAD --staged --worktree manifests registry"
                )
                self.notes = [note]

    # commits

    def tree_of(self, commit: Oid) -> Oid:
        found = self.git.object(commit)
        if found is None or found[0] != "commit":
            raise Problem(f"{commit} is no commit of this repository")
        return Oid(found[1][5 : found[1].index(b"\n")].decode())

    def content(self, entry: Entry | None) -> bytes | None:
        """The bytes of a plain file; None for nothing and for anything else (a symlink's target is not content)."""
        return self.git.blob(entry.oid) if entry is not None and entry.mode == PLAIN_FILE else None

    def tree_with(self, tree: Oid | None, files: Mapping[str, bytes | Entry | None]) -> Oid:
        """`tree` with each path set to its content or entry, or taken away (None). Rebuilt only along those paths."""
        length = len(tree) if tree is not None else 40
        objects: list[tuple[str, bytes]] = []
        root = self._tree_with(tree, {tuple(path.split("/")): new for path, new in files.items()}, objects, length)
        if root is None:
            objects.append(("tree", b""))
            root = object_id("tree", b"", length)
        self._written.update(self.git.write(objects, length))
        return root

    def _tree_with(
        self,
        tree: Oid | None,
        files: Mapping[tuple[str, ...], bytes | Entry | None],
        objects: list[tuple[str, bytes]],
        length: int,
    ) -> Oid | None:
        entries = dict(self.git.tree(tree)) if tree is not None else {}
        below: dict[str, dict[tuple[str, ...], bytes | Entry | None]] = {}
        for path, new in files.items():
            if len(path) > 1:
                below.setdefault(path[0], {})[path[1:]] = new
            elif new is None:
                entries.pop(path[0], None)
            elif isinstance(new, Entry):
                entries[path[0]] = new
            else:
                objects.append(("blob", new))
                entries[path[0]] = Entry(PLAIN_FILE, object_id("blob", new, length))
        for name, inner in below.items():
            there = entries.get(name)
            if there is not None and there.mode != TREE:
                raise Problem(f"{name} on main is no directory, but state belongs below it: remove it by a commit")
            child = self._tree_with(there.oid if there and there.mode == TREE else None, inner, objects, length)
            if child is None:
                entries.pop(name, None)
            else:
                entries[name] = Entry(TREE, child)
        if not entries:
            return None
        content = encode_tree(entries)
        objects.append(("tree", content))
        return object_id("tree", content, length)

    def commit(self, tree: Oid, parents: Sequence[Oid], message: str, *, author: str | None = None) -> Oid:
        """A new commit, signed if commit.gpgSign asks. `author` is "Name <email>", the committer unless given."""
        name, email = self.identity()
        env = {
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
        }
        if author is not None and (found := re.fullmatch(r"(.*) <(.*)>", author)):
            env |= {"GIT_AUTHOR_NAME": found[1] or name, "GIT_AUTHOR_EMAIL": found[2]}
        words = [
            "commit-tree",
            *(["-S"] if self._settings.get("commit.gpgsign", "false").lower() in _TRUE else []),
            tree,
        ]
        for parent in parents:
            words += ["-p", parent]
        oid = Oid(self.git.ask(*words, given=message.encode(errors="surrogateescape"), env=env))
        self._written.add(oid)
        return oid

    def identity(self) -> tuple[str, str]:
        """Name and email to commit with: git's own, and where none is set up, the login and the host, saying so."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = f"uid{os.getuid()}"
        name = os.environ.get("GIT_COMMITTER_NAME") or self._settings.get("user.name")
        email = os.environ.get("GIT_COMMITTER_EMAIL") or self._settings.get("user.email")
        return name or f"{user} (no git user.name set)", email or f"{user}@{socket.gethostname()}"

    # history

    def resolve(self, revision: str) -> Oid:
        """The commit that a user's words name; branches come before tags. Problem if there is none."""
        if revision.startswith("-") or "\0" in revision or "\n" in revision:
            raise Problem(f"not a revision: {revision!r}")
        name, rest = re.fullmatch(r"([^~^@]*)(.*)", revision, re.DOTALL).groups()  # type: ignore[union-attr]
        tries = [revision]
        if name and not name.startswith("refs/"):
            tries = [f"{_HEADS}{name}{rest}", f"refs/remotes/{name}{rest}", revision]
            if self.remote is not None and self.worktree is None:
                tries.insert(0, f"{_TRACKED}{name}{rest}")
        for text in tries:
            ran = self.git.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{text}^{{commit}}")
            if ran.code == 0:
                return Oid(ran.out.decode().strip())
        raise Problem(f"no such revision: {revision} (a branch, a commit id or git's own words such as main~2)")

    def history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        """First-parent commits from `tip` that changed a path, newest first; deepens a shallow clone as it is read.

        One path is walked once: asked again from a later tip, only what is new is walked.
        """
        if self.index is not None and tip in self.index and paths:
            return self.index.history(tip, *paths, no_older_than=no_older_than)
        if len(paths) != 1 or no_older_than is not None:
            return self._history(tip, *paths, no_older_than=no_older_than)
        known = self._walks.get(paths[0])
        if known is None or known.tip != tip:
            known = self._walks[paths[0]] = self._walk_from(tip, paths[0], known)
            self._open_walks.append(known)
            if len(self._open_walks) > _OPEN_WALKS:
                self._open_walks.popleft().pause()
        return iter(known)

    def _walk_from(self, tip: Oid, path: str, known: Walk | None) -> Walk:
        newer = list(self._history(tip, no_older_than=known.tip)) if known is not None else []
        if known is not None and newer and newer[-1].parents[:1] == (known.tip,):
            return known.from_later(tip, newer, path)
        return Walk(tip, [], lambda start: self._history(start, path) if start is not None else iter(()))

    def read_history(self) -> Index:
        """Read all of main's history at once; from now on it answers what `history` is asked."""
        self.index = Index(self._history(self.main))
        return self.index

    def _history(self, tip: Oid, *paths: str, no_older_than: Oid | None = None) -> Iterator[Commit]:
        told = 0
        depth = 100
        while True:
            cut = self._shallow()
            for place, commit in enumerate(self.git.first_parents(tip, *paths, no_older_than=no_older_than)):
                if commit.oid in cut:
                    break
                if place >= told:
                    told += 1
                    yield commit
            else:
                if not cut:
                    return
            if not self._deepen(depth):
                raise Problem(f"the history of main ends at {min(cut)[:12]}: origin is a shallow clone itself")
            depth *= 4

    def merge_base(self, one: Oid, other: Oid) -> Oid | None:
        """The best common ancestor, None if the two share no history."""
        while True:
            ran = self.git.run("merge-base", one, other)
            if ran.code == 0:
                return Oid(ran.out.decode().strip())
            if not self._shallow() or not self._deepen(1 << 30):
                return None

    def time_of(self, commit: Oid) -> int:
        """The committer's clock of a commit, seconds since 1970."""
        found = self.git.object(commit)
        committed = re.search(rb"^committer .* (\d+) [+-]\d{4}$", found[1], re.MULTILINE) if found else None
        return int(committed[1]) if committed else 0

    def messages(self, base: Oid, head: Oid) -> str:
        """The messages of all commits of `head` that `base` has not, oldest first."""
        return self.git.ask("log", "--reverse", "--encoding=UTF-8", "--format=%B", head, f"^{base}")

    def is_ancestor(self, old: Oid, new: Oid) -> bool:
        depth = 100
        while (found := self.git.object(old)) is None and self._shallow() and self._deepen(depth):
            depth *= 4
        return found is not None and found[0] == "commit" and self.merge_base(old, new) == old

    def _shallow(self) -> frozenset[Oid]:
        try:
            return frozenset(Oid(line) for line in (self.git_dir / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    def _deepen(self, depth: int) -> bool:
        """Fetch so many commits more; whether there were any."""
        before = self._shallow()
        if self.remote is None:
            raise Problem("this shallow repository has no origin to deepen it from: use a full clone")
        said = self._fetch(f"--deepen={depth}")
        if said is not None:
            raise self._unreachable(f"cannot deepen this shallow clone from origin ({self.remote}): {said}")
        return self._shallow() != before

    def staged(self) -> tuple[Oid | None, list[Change]]:
        """HEAD and what the index changes against it."""
        if self.worktree is None:
            raise Problem("--staged needs a checkout: this repository has no index")
        ran = self.git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        head = Oid(ran.out.decode().strip()) if ran.code == 0 else None
        return head, self.git.staged(head)


_TRUE = ("true", "yes", "on", "1")


_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")


def _directories(git_dir: Path, moves: Sequence[Move]) -> set[Path]:
    """Every directory that the refs of some moves stand in, up to the repository itself."""
    return {git_dir / parent for move in moves for parent in Path(move.ref).parents}


def _standing(git_dir: Path, moves: Sequence[Move]) -> set[Path]:
    """Those of them that are there now."""
    return {directory for directory in _directories(git_dir, moves) if directory.is_dir()}


def _settle_refs(git_dir: Path, moves: Sequence[Move], before: set[Path]) -> None:
    """Make the moved refs durable: the names in their directories, and the directories that came or went with them."""
    changed = {git_dir / os.path.dirname(move.ref) for move in moves}
    changed |= {directory.parent for directory in before ^ _standing(git_dir, moves)}
    if any(move.new is None for move in moves):
        changed.add(git_dir)  # packed-refs is written anew
    sync_directories(changed)


def _tracking(ref: str) -> str:
    return _TRACKED + ref.removeprefix(_HEADS)


def _wanted(prefix: str, ending: str) -> list[str]:
    refs = [MAIN, *(branch.rstrip("/") + ending for branch in PULL_BRANCHES)]
    return [prefix + ref.removeprefix(_HEADS) if prefix else ref for ref in refs]


def _parse_refs(text: str) -> dict[str, Oid]:
    pairs = (line.split("\t", 1) for line in text.splitlines())
    return {ref: Oid(oid) for oid, ref in pairs}


def _pause(again: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2**again))


@contextlib.contextmanager
def open_repository(spec: str) -> Iterator[Repository]:
    """The repository at a path, or a bare partial clone of a URL that lives as long as the context."""
    with contextlib.ExitStack() as stack:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]+@[^/]+:", spec) and not os.path.isdir(spec):
            directory = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="pointsman-", ignore_cleanup_errors=True)
            )
            git = Git(directory)
            git.ask("init", "--quiet", "--bare", "--initial-branch=main", "--template=", ".")
            for name, value in (("url", spec), ("promisor", "true"), ("partialclonefilter", "blob:none")):
                git.ask("config", f"remote.origin.{name}", value)
        else:
            if not os.path.isdir(spec):
                raise Problem(f"there is no directory {spec}")
            git = Git(os.path.abspath(spec))
        stack.callback(git.close)
        ran = git.run("rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository")
        if ran.code != 0:
            reason = f": {ran.reason}" if "dubious" in ran.err else ""
            raise Problem(
                f"{spec} is no git repository{reason}" + ("" if reason else " (pointsman init DIR makes one)")
            )
        git_dir, bare = ran.out.decode(errors="surrogateescape").splitlines()
        worktree = None
        if bare == "false":
            top = git.run("rev-parse", "--path-format=absolute", "--show-toplevel")
            worktree = Path(top.out.decode(errors="surrogateescape").removesuffix("\n")) if top.code == 0 else None
        if worktree is not None:
            git.directory = str(worktree)
        lines = git.ask("config", "--list", "-z").split("\0")
        settings = dict(line.partition("\n")[::2] for line in lines if line)
        yield Repository(git, Path(git_dir), worktree=worktree, settings=settings)
