"""The place where a repository's state moves: the remote `origin` where there is one, else the repository itself.

Refs move only by compare-and-swap, all of one move or none. A worktree, index or HEAD of the user's is never touched,
with one exception: a repository that is its own origin and has a clean `main` checked out is brought along.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pointsman.durable import sync_directories
from pointsman.errors import MovedFirst, Problem, Unreachable
from pointsman.repo.git import LOCK_PATIENCE, Git
from pointsman.state.objects import Oid
from pointsman.timeouts import remote_timeout

MAIN = "refs/heads/main"
PULL_BRANCHES = ("refs/heads/ship/", "refs/heads/rollback/", "refs/heads/hold/")
RECORD_BRANCHES = "refs/heads/records/"  # pull requests of records, which merge by themselves
REVERT_BRANCHES = "refs/heads/revert-"  # what a forge's Revert button makes
_BRANCHES = (*PULL_BRANCHES, RECORD_BRANCHES, REVERT_BRANCHES)
_TRACKED = "refs/remotes/origin/"
_HEADS = "refs/heads/"
_TRIES = 8
_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")


@dataclass(frozen=True, slots=True)
class Move:
    """One ref's step from `was` to `new`; None stands for a ref that is not there."""

    ref: str
    new: Oid | None
    was: Oid | None


class Origin:
    """Main and the pull request branches of one repository, where they are kept. `url` is None for its own origin."""

    def __init__(self, git: Git, git_dir: Path, worktree: Path | None, url: str | None) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.url = url
        self.notes: list[str] = []

    def heads(self) -> dict[str, Oid]:
        """The refs as they are now, what is new being fetched; Unreachable if the origin is silent."""
        if self.url is None:
            return self._refs(*_wanted(_HEADS))
        for again in range(_TRIES):
            heads = self._ls_remote()
            known = self._refs(*_wanted(_TRACKED))
            if all(known.get(_tracking(ref)) == oid for ref, oid in heads.items()):
                return heads
            ran = self._fetch("--prune")
            if ran is not None and "mismatched algorithms" in ran:
                raise Problem(f"origin ({self.url}) has SHA-256 ids: work in a clone of it instead of on its URL")
            if ran is not None:
                # Two processes that share a clone get in each other's way here; the loser looks again.
                dead = (lock := _LOCK.search(ran)) is not None and not lock[1].endswith("/shallow.lock")
                if dead or again == _TRIES - 1 or not re.search(r"lock|unable to update|File exists", ran):
                    raise self._unreachable(f"cannot fetch from origin ({self.url}): {ran}")
                _pause(again)
        raise MovedFirst(f"origin ({self.url}) moved at every look: run the command again")

    def _ls_remote(self) -> dict[str, Oid]:
        patterns = (MAIN, *(f"{branch}*" for branch in _BRANCHES))
        ran = self.git.run("ls-remote", "--refs", "origin", *patterns, timeout=remote_timeout())
        if ran.code != 0:
            raise Unreachable(f"cannot read origin ({self.url}): {ran.reason}")
        wanted = (MAIN, *_BRANCHES)
        found = _parse_refs(ran.out.decode(errors="surrogateescape"))
        return {ref: oid for ref, oid in found.items() if ref.startswith(wanted)}

    def _refs(self, *patterns: str) -> dict[str, Oid]:
        return _parse_refs(self.git.ask("for-each-ref", "--format=%(objectname)%09%(refname)", *patterns))

    def deepen(self, depth: int) -> None:
        """Fetch so many commits more into a shallow clone; Unreachable if the origin gives none."""
        said = self._fetch(f"--deepen={depth}")
        if said is not None:
            raise self._unreachable(f"cannot deepen this shallow clone from origin ({self.url}): {said}")

    def fetch_objects(self, oids: Sequence[Oid]) -> None:
        """Fetch objects into a partial clone together, as git does one at a time. If it fails, git will do that."""
        words = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        words += ["--no-recurse-submodules", "--no-auto-maintenance", "--filter=blob:none", "--stdin", "origin"]
        self.git.run(*words, given="".join(f"{oid}\n" for oid in oids).encode(), timeout=remote_timeout())

    def _fetch(self, *words: str) -> str | None:
        """Fetch the origin's heads into the tracking refs; what git said if it failed."""
        specs = [f"+{MAIN}:{_tracking(MAIN)}", *(f"+{branch}*:{_tracking(branch)}*" for branch in _BRANCHES)]
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        ran = self.git.run("fetch", *quiet, *words, "origin", *specs, timeout=remote_timeout())
        return ran.reason if ran.code != 0 else None

    def move(self, moves: Sequence[Move], written: set[Oid]) -> None:
        """Make all moves or none, each only if its ref is still where it was; MovedFirst if not. Durable on return.

        So are the objects `written` since the last move.
        """
        if self.url is None:
            _settle(self.git_dir, written)
            clean, there = self._clean_main(moves), _standing(self.git_dir, moves)
            self._move_here(moves)
            _settle_refs(self.git_dir, moves, there)
            self._bring_along(moves, clean)
        else:
            self._push(moves, written)

    def _move_here(self, moves: Sequence[Move]) -> None:
        nothing = "0" * max(len(oid) for move in moves for oid in (move.new, move.was) if oid is not None)
        script = b"".join(
            f"update {move.ref}\0{move.new or nothing}\0{move.was or nothing}\0".encode(errors="surrogateescape")
            for move in moves
        )
        ran = self.git.run("update-ref", "--no-deref", "-z", "--stdin", given=script)
        if ran.code != 0:
            now = self._refs(*(move.ref for move in moves))
            if all(now.get(move.ref) == move.new for move in moves):
                return
            if any(now.get(move.ref) != move.was for move in moves) or re.search(
                r"but expected|already exists", ran.err
            ):
                raise MovedFirst(f"{moves[0].ref} could not move: {ran.reason}")
            raise self._unreachable(f"cannot move {moves[0].ref}: {ran.reason}")

    def _push(self, moves: Sequence[Move], written: set[Oid]) -> None:
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
                raise self._unreachable(f"origin ({self.url}) did not take the push of {moves[0].ref}: {ran.reason}")
        if there is not None:
            _settle(there, written)
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

    def _remote_directory(self) -> Path | None:
        """The git directory of the origin where it lies on this machine."""
        url = self.url or ""
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
                self.notes[:] = [note]


# Durability: git fsyncs files (core.fsync), we fsync the directories that name them.


def _settle(git_dir: Path, written: set[Oid]) -> None:
    """Make the directory entries of objects durable, and forget them."""
    objects = git_dir / "objects"
    if written:
        sync_directories([*{objects / oid[:2] for oid in written}, objects / "pack"])
        sync_directories([objects])
        written.clear()


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


def _wanted(prefix: str) -> list[str]:
    """Patterns of for-each-ref, whose asterisk stops at a slash, for the refs below a prefix."""
    names = [branch.removeprefix(_HEADS) for branch in (MAIN, *_BRANCHES)]
    return [
        prefix + pattern
        for name in names
        for pattern in ((f"{name}*", f"{name}*/**") if name.endswith("-") else (name,))
    ]


def _parse_refs(text: str) -> dict[str, Oid]:
    pairs = (line.split("\t", 1) for line in text.splitlines())
    return {ref: Oid(oid) for oid, ref in pairs}


def _pause(again: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2**again))
