"""The origin, where main and the pull requests are: the remote `origin`, or the repository itself without one.

Refs move only by compare-and-swap, all refs of one call or none. The user's worktree, index and HEAD are never touched,
with one exception: if a repository is its own origin and has a clean `main` checked out, the checkout follows.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from pointsman.errors import MovedFirst, NotAllowed, OriginAway, Problem, Unreachable
from pointsman.patterns import pattern
from pointsman.repo.checkouts import STAYS_OLD, Checkouts
from pointsman.repo.damaged import fetch_apart, is_damage, left_out, not_taken
from pointsman.repo.git import Git
from pointsman.repo.moves import Move, existing_directories, rest_of, sync_objects, sync_refs
from pointsman.repo.object_reader import Ran, said
from pointsman.repo.process import LOCK_PATIENCE
from pointsman.repo.turns import TICKETS
from pointsman.state.objects import Oid

MAIN = "refs/heads/main"
RETIRE_BRANCHES = "refs/heads/retire/"
PULL_BRANCHES = ("refs/heads/ship/", "refs/heads/rollback/", "refs/heads/hold/", RETIRE_BRANCHES)
RECORD_BRANCHES = "refs/heads/records/"  # pull requests of records, which merge by themselves
REVERT_BRANCHES = "refs/heads/revert-"  # from the Revert button of a forge
UPGRADE_BRANCHES = "refs/heads/upgrade/"
CLOSED = "refs/pointsman/closed/"  # and the branch that a person closed: a commit that says who and why
_BRANCHES = (*PULL_BRANCHES, RECORD_BRANCHES, REVERT_BRANCHES, UPGRADE_BRANCHES)
_TRACKED = "refs/remotes/origin/"
_HEADS = "refs/heads/"
_FETCH_TRIES = 8
_MOST_OF_REFS = 1 << 26  # bytes: half a million branches
# What git says of a ref that it could not move. Whatever else is "[remote rejected]" the origin does not allow.
_FAILED = pattern(r"unpack|failed to|cannot |missing|unable|atomic|checked out|shallow|transaction|error")
# What is left of "unexpected line: 'filter blob:none'", which the server keeps to itself over HTTP.
_REFUSES_FILTER = pattern(r"expected 'packfile'|'filter |filtering capability|hung up unexpectedly")
_LOCK = pattern(r"Unable to create '([^']+\.lock)': File exists")


class Origin:
    """Main and the pull request branches of one repository. `url` is None if it is its own origin."""

    def __init__(self, git: Git, git_dir: Path, worktree: Path | None, url: str | None) -> None:
        self.git = git
        self.git_dir = git_dir
        self.worktree = worktree
        self.url = url
        self.notes: list[str] = []
        self._whole: tuple[str, ...] = ()  # the option of fetch for an origin that cannot leave out contents
        self.tickets: dict[str, Oid] = {}  # of those who wait to move main, as `heads` last saw them
        self.closed: dict[str, Oid] = {}  # what people closed, likewise
        self._has_pushed = False
        self._damaged: dict[str, Oid] = {}  # branches that the origin cannot give

    def heads(self, before: Mapping[str, Oid]) -> dict[str, Oid]:
        """The refs as they are now; `before`: as they were, and fetched. Unreachable if the origin does not answer."""
        if self.url is None:
            return self._branches(self._refs(*_wanted(_HEADS), TICKETS, CLOSED))
        for again in range(_FETCH_TRIES):
            heads = self._branches(self._ls_remote(MAIN, *(f"{each}*" for each in (*_BRANCHES, TICKETS, CLOSED))))
            heads = {ref: oid for ref, oid in heads.items() if self._damaged.get(ref) != oid}
            if heads == before:
                return heads
            known = self._refs(*_wanted(_TRACKED))
            if all(known.get(_tracking(ref)) == oid for ref, oid in heads.items()):
                return heads
            ran = self._fetch("--prune")
            if ran is None:
                # They are as the origin told this fetch, or newer: git lets no older fetch put them back.
                tracked = self._refs(*_wanted(_TRACKED))
                return {_HEADS + ref.removeprefix(_TRACKED): oid for ref, oid in tracked.items()}
            if "mismatched algorithms" in ran:
                raise Problem(f"origin ({self.url}) has SHA-256 ids: work in a clone of it instead of on its URL")
            if is_damage(ran):
                return self._without_damaged(heads, [ref for ref in heads if known.get(_tracking(ref)) != heads[ref]])
            # Two processes that share a clone can block each other here. The loser tries again.
            dead = (lock := _LOCK.search(ran)) is not None and not lock[1].endswith("/shallow.lock")
            if dead or again == _FETCH_TRIES - 1 or not re.search(r"lock|unable to update|File exists", ran):
                raise self._unreachable(f"cannot fetch from origin ({self.url}): {ran}")
            _pause(again)
        raise AssertionError("unreachable")

    def _without_damaged(self, heads: Mapping[str, Oid], new: Sequence[str]) -> dict[str, Oid]:
        """The heads but for those that cannot be fetched, which a note names; Unreachable if main is one of them."""
        for ref, says in fetch_apart(self._fetch_these, sorted(new)).items():
            if ref == MAIN:
                raise Unreachable(f"cannot fetch main from origin ({self.url}): {says}")
            self._damaged[ref] = heads[ref]
            self.notes.append(f"{ref.removeprefix(_HEADS)} {left_out(says)}")
        tracked = self._refs(*_wanted(_TRACKED))
        return {ref: tracked[_tracking(ref)] for ref in heads if ref not in self._damaged and _tracking(ref) in tracked}

    def _fetch_these(self, refs: Sequence[str]) -> str:
        """Fetch some heads. What git says if objects of them are damaged, "" if not; Unreachable for other trouble."""
        error = self._fetch("--stdin", given="".join(f"+{ref}:{_tracking(ref)}\n" for ref in refs))
        if error is not None and not is_damage(error):
            raise self._unreachable(f"cannot fetch from origin ({self.url}): {error}")
        return error or ""

    def look(self) -> dict[str, Oid]:
        """Main and the tickets of those who wait to move it, as they are now. Fetches nothing."""
        return self._refs(MAIN, TICKETS) if self.url is None else self._ls_remote(MAIN, f"{TICKETS}*")

    def change_ref(self, ref: str, new: Oid | None, was: Oid | None) -> None:
        """Make or delete a ref that need not outlast a crash."""
        move = self._move_here if self.url is None else self._push
        move([Move(ref, new, was)])

    def saw(self, move: Move) -> None:
        """Remember the move of a ref that is no branch."""
        if move.new is not None:
            self.closed[move.ref] = move.new
        else:
            self.closed.pop(move.ref, None)

    def _branches(self, refs: dict[str, Oid]) -> dict[str, Oid]:
        """Those of the refs that are branches; the others are kept."""
        self.tickets = {ref: oid for ref, oid in refs.items() if ref.startswith(TICKETS)}
        self.closed = {ref: oid for ref, oid in refs.items() if ref.startswith(CLOSED)}
        return {ref: oid for ref, oid in refs.items() if ref.startswith(_HEADS)}

    def _ls_remote(self, *patterns: str) -> dict[str, Oid]:
        ran = self.git.talk(self.url, "ls-remote", "--refs", "origin", *patterns, most=_MOST_OF_REFS)
        if ran.code != 0:
            raise OriginAway(f"cannot read origin ({self.url}): {ran.reason}")
        wanted = tuple(pattern.removesuffix("*") for pattern in patterns)
        found = _parse_refs(ran.out.decode(errors="surrogateescape"))
        return {ref: oid for ref, oid in found.items() if ref.startswith(wanted)}

    def _refs(self, *patterns: str) -> dict[str, Oid]:
        return _parse_refs(self.git.ask("for-each-ref", "--format=%(objectname)%09%(refname)", *patterns))

    def deepen(self, depth: int) -> None:
        """Fetch `depth` more commits into a shallow clone; Unreachable if the fetch fails."""
        error = self._fetch(f"--deepen={depth}")
        if error is not None:
            raise self._unreachable(f"cannot deepen this shallow clone from origin ({self.url}): {error}")

    def fetch_objects(self, oids: Sequence[Oid], *, whole: bool = False) -> str | None:
        """Fetch objects in one request: contents into a partial clone, or `whole` commits. Git's error if it failed.

        In a partial clone git fetches each again when it is read.
        """
        words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        words += ["--no-recurse-submodules", "--no-auto-maintenance", "--stdin", "origin"]
        if not whole:
            words = ["-c", "fetch.negotiationAlgorithm=noop", *words, "--filter=blob:none"]
        ran = self.git.talk(self.url, *words, given="".join(f"{oid}\n" for oid in oids).encode())
        return ran.reason if ran.code != 0 else None

    def _fetch(self, *words: str, given: str = "") -> str | None:
        """Fetch the origin's heads, or those `given`, into the tracking refs. Git's error if it failed, else None."""
        specs = [f"+{MAIN}:{_tracking(MAIN)}", *(f"+{branch}*:{_tracking(branch)}*" for branch in _BRANCHES)]
        specs = [] if given else specs
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
        ran = self.git.talk(
            self.url,
            "fetch",
            *quiet,
            *words,
            *self._whole,
            "origin",
            *specs,
            given=given.encode(errors="surrogateescape"),
        )
        if ran.code != 0 and not self._whole and _REFUSES_FILTER.search(ran.err):
            # Some servers offer to leave out contents and then refuse to (Gitea before 1.16.1).
            self._whole = ("--no-filter",)
            return self._fetch(*words, given=given)
        return ran.reason if ran.code != 0 else None

    def move(self, moves: Sequence[Move], written: set[Oid], instead: str = "", *, passing: bool = False) -> None:
        """Make all moves or none, each only if its ref is still at `was`; MovedFirst if not. Durable on return.

        The objects in `written` are then durable too, and the set is empty. `instead`: what to do if the origin does
        not allow it, which is then Unreachable. `passing`: the refs themselves need not outlast a crash.
        """
        if self.url is None:
            sync_objects(self.git_dir, written)
            main = next((move for move in moves if move.ref == MAIN), None)
            checkouts = Checkouts(self.git, self.git_dir, self.worktree, main)
            before = existing_directories(self.git_dir, moves)
            self._move_here(moves)
            if not passing:
                sync_refs(self.git_dir, moves, before)
            if notes := [*checkouts.follow()]:
                self.notes[:] = [*(each for each in self.notes if STAYS_OLD not in each), *notes]
        else:
            local = self._remote_directory()
            before = existing_directories(local, moves) if local is not None else set()
            self._push(moves, instead)
            if local is not None:
                sync_objects(local, written)
                if not passing:
                    sync_refs(local, moves, before)

    def sync(self, refs: Iterable[str]) -> None:
        """Make refs durable that were moved in passing."""
        git_dir = self.git_dir if self.url is None else self._remote_directory()
        if git_dir is not None:
            sync_refs(git_dir, [Move(ref, Oid(""), None) for ref in refs], set())

    def _move_here(self, moves: Sequence[Move]) -> None:
        nothing = "0" * max(len(oid) for move in moves for oid in (move.new, move.was) if oid is not None)
        script = b"".join(
            f"update {move.ref}\0{move.new or nothing}\0{move.was or nothing}\0".encode(errors="surrogateescape")
            for move in moves
        )
        ran = _answered(lambda: self.git.run("update-ref", "--no-deref", "-z", "--stdin", given=script))
        if ran.code != 0:
            now = self._refs(*(move.ref for move in moves))
            rest = rest_of(moves, now)
            if rest is not None:
                if rest:
                    self._move_here(rest)
                return
            if any(now.get(move.ref) != move.was for move in moves) or re.search(
                r"but expected|already exists", ran.err
            ):
                raise MovedFirst(f"someone else moved {moves[0].ref} first ({ran.reason}): run the command again")
            raise self._unreachable(f"cannot move {moves[0].ref}: {ran.reason}")

    def _push(self, moves: Sequence[Move], instead: str = "") -> None:
        words = ["push", "--porcelain", "--no-verify", "--quiet", "--no-signed"]
        if len(moves) > 1:
            words.append("--atomic")
        words += [f"--force-with-lease={move.ref}:{move.was or ''}" for move in moves]
        if self._remote_directory() is not None:
            patience = "".join(f"-c {setting} " for setting in LOCK_PATIENCE)
            # One look whether the origin should be packed is enough for all pushes of a command.
            upkeep = "-c receive.autoGC=false " if self._has_pushed else ""
            words.append(
                "--receive-pack=git -c core.fsync=loose-object,pack,pack-metadata,reference "
                f"{patience}{upkeep}receive-pack"
            )
            self._has_pushed = True
        words += ["origin", *(f"{move.new or ''}:{move.ref}" for move in moves)]
        ran = _answered(lambda: self.git.talk(self.url, *words))
        if ran.code != 0:
            # The push may have happened although its answer was lost, so the refs are read back.
            now = self._ls_remote(*(move.ref for move in moves))
            rest = rest_of(moves, now)
            if rest:
                self._push(rest, instead)
            elif rest is None:
                lines = [line for line in ran.out.decode(errors="replace").split("\n") if line.startswith("!")]
                rejected = said("; ".join(lines))
                if says := not_taken(said("; ".join([*lines, ran.reason])), moves, now):
                    raise Unreachable(f"origin ({self.url}) did not take the push of {moves[0].ref}: {says}")
                if any(now.get(move.ref) != move.was for move in moves) or re.search(
                    r"stale info|cannot lock ref", rejected
                ):
                    raise MovedFirst(
                        f"someone else moved {moves[0].ref} first ({rejected or ran.reason}): run the command again"
                    )
                if forbids := [why for line in lines if (why := _forbids(line))]:
                    branch = moves[0].ref.removeprefix(_HEADS)
                    instead = instead or f"let this user push {branch.partition('/')[0]}/*, or ask who looks after it"
                    told = said("; ".join(dict.fromkeys([*forbids, ran.reason])))
                    raise NotAllowed(f"origin ({self.url}) does not allow the push of {branch} ({told}): {instead}")
                raise self._unreachable(f"origin ({self.url}) did not take the push of {moves[0].ref}: {ran.reason}")

    def _unreachable(self, says: str) -> Unreachable:
        """Unreachable with git's error. If a lock stopped git: with all lock files there and how to go on."""
        lock = _LOCK.search(says)
        if lock is None:
            return Unreachable(says)
        locks = {os.path.normpath(lock[1])}
        for git_dir in (self.git_dir, self._remote_directory()):
            if git_dir is not None and Path(lock[1]).is_relative_to(git_dir):
                locks |= {str(path) for path in (*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock"))}
        verb, files = ("is", "that file") if len(locks) == 1 else ("are", "those files")
        return Unreachable(
            f"{', '.join(sorted(locks))} {verb} in the way: another git is running there, or one was killed; "
            f"if none is running, delete {files} and run the command again"
        )

    def _remote_directory(self) -> Path | None:
        """The git directory of the origin, if it is on this machine."""
        url = self.url or ""
        path = Path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)
        if self.worktree is not None and not path.is_absolute():
            path = self.worktree / path
        if "://" in str(path) or not path.is_dir():
            return None
        return path / ".git" if (path / ".git").is_dir() else path


def _answered(move: Callable[[], Ran]) -> Ran:
    """What a git that moves refs ended with. One that gave no answer may have moved them: they are then read back."""
    try:
        return move()
    except Unreachable as error:
        return Ran(-1, b"", str(error))


def _tracking(ref: str) -> str:
    return _TRACKED + ref.removeprefix(_HEADS)


def _wanted(prefix: str) -> list[str]:
    """Patterns of for-each-ref for our refs below a prefix. In them an asterisk does not match a slash."""
    names = [branch.removeprefix(_HEADS) for branch in (MAIN, *_BRANCHES)]
    return [
        prefix + pattern
        for name in names
        for pattern in ((f"{name}*", f"{name}*/**") if name.endswith("-") else (name,))
    ]


def _parse_refs(text: str) -> dict[str, Oid]:
    pairs = (line.split("\t", 1) for line in text.split("\n") if line)
    return {ref: Oid(oid) for oid, ref in pairs}


def _forbids(line: str) -> str:
    """Why an origin does not allow the move of a ref, by the line of git push about it; "" if that is not the case."""
    found = re.search(r"\t\[remote rejected\] \((.*)\)$", line)
    return found[1] if found is not None and not _FAILED.search(found[1]) else ""


def _pause(again: int) -> None:
    import random

    time.sleep(random.uniform(0, 0.02 * 2**again))
