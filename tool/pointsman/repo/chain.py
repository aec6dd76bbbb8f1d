"""The chain of main: its first-parent commits, and what each of them changed outside of `registry`.

All questions about the past of main are answered from here, by one `git log` that is read only as far as needed. What
was read is kept in the git directory, in a directory of our own, so that the next command reads only what came since.
Records are left out: there are many, and whoever asks for one knows its path.
"""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.repo import chain_file
from pointsman.repo.chain_file import MOST_PARENTS, ChainFile, Commits, Touch, place_from
from pointsman.repo.differences import differences
from pointsman.repo.git import Git
from pointsman.state.objects import Change, Commit, Oid

WITHOUT = "registry"
KEPT = Path("pointsman") / "chain"  # in the git directory
_FEW = 16  # newer commits are read one by one, without a git process of their own
_MOST_ON_TOP = 16  # commits of a branch, read one by one
_WORTH_KEEPING = 64  # commits
_NEVER = -(1 << 31)  # below every height


class Fork(Struct, frozen=True):
    """Where a branch left the chain, and its commits since, newest first; None if these were not read."""

    oid: Oid
    on_top: list[Commit] | None


class Chain:
    """The chain from `tip` down. `cut`: the commits at which a shallow clone ends now; `deepen` fetches more.

    `kept`: begin with what an earlier command kept, if `tip` goes on from it.
    """

    def __init__(
        self,
        git: Git,
        git_dir: Path,
        tip: Oid,
        cut: Callable[[], frozenset[Oid]],
        deepen: Callable[[], None],
        *,
        kept: bool = True,
    ) -> None:
        self._git = git
        self._file_path = git_dir / KEPT
        self._cut = cut
        self._deepen = deepen
        self._reading: Generator[Commit, None, None] | None = None
        file = chain_file.read(self._file_path, len(tip) // 2) if kept else None
        self._start(tip, file)
        if file is not None and not self.grow(tip):
            self._start(tip, None)

    def _start(self, tip: Oid, file: ChainFile | None) -> None:
        self._file = file
        self._commits = file.commits if file is not None else Commits(len(tip) // 2)
        self._known = file.known if file is not None else 0  # of _commits, from the newest on, with their changes
        self._complete = file is not None and file.complete  # _commits ends at the first commit of main
        self._newer: list[Commit] = []  # oldest first, above _commits, without messages
        self._heights: dict[Oid, int] = {} if file is not None else {tip: self._commits.height}
        self._of_newer: dict[str, list[Touch]] = {}  # oldest first
        self._of_older: dict[str, list[Touch]] = {}  # newest first, beyond the file
        self._of_file: dict[str, list[Touch]] = {}
        self._next: Oid | None = tip if file is None else None  # to read next
        self._streamed: list[tuple[Change, ...]] = []  # of each commit below the file's, newest first
        self._first_streamed = self._commits.height - self._known
        self._unread = 0  # commits that were read since the file

    @property
    def was_kept(self) -> bool:
        """Whether it begins with what an earlier command kept."""
        return self._file is not None

    @property
    def top(self) -> Oid | None:
        """The newest commit; None if nothing was read yet."""
        return self._newer[-1].oid if self._newer else self._commits.at(self._commits.height) if self._commits else None

    def height(self, oid: Oid) -> int | None:
        """The height of a commit; None if it is not on the chain, as far as that was read."""
        found = self._heights.get(oid)
        if found is None and (found := self._commits.find(oid)) is not None:
            self._heights[oid] = found
        return found

    # newer commits

    def grow(self, tip: Oid) -> bool:
        """Add the commits up to `tip`. False, with nothing added, if its chain does not go through the top."""
        if self.height(tip) is not None:
            return True
        if (top := self.top) is None:
            return False
        newer = self._walk(tip, top)
        if newer is None:
            return False
        for commit in reversed(newer):
            self._newer.append(replace(commit, changes=(), message=""))
            height = self._commits.height + len(self._newer)
            self._heights[commit.oid] = height
            for change in commit.changes:
                self._of_newer.setdefault(change.path, []).append((height, change.old, change.new))
        return True

    def _walk(self, tip: Oid, top: Oid) -> list[Commit] | None:
        """The commits from `tip` down to above `top`, newest first; None if `top` is not on their chain."""
        cut = self._cut()
        found: list[Commit] = []
        oid = tip
        while len(found) < _FEW:
            commit = self._git.commit_at(oid)
            if commit is None or oid in cut or not commit.parents or self.height(oid) is not None:
                return None
            changes = differences(self._git, commit.parents[0], oid, without=WITHOUT)
            if changes is None:
                break
            found.append(replace(commit, changes=tuple(changes)))
            oid = commit.parents[0]
            if oid == top:
                return found
        if self._git.object(top) is None:
            return None
        found = list(self._git.chain(tip, above=top, without=WITHOUT))
        return found if found and found[-1].parents[:1] == (top,) else None

    # older commits

    def _more(self) -> bool:
        """Read one more commit. False if there is none."""
        if self._known == len(self._commits) and self._complete:
            return False
        if self._reading is None:
            start = self._next or (self._commits.at(self._bottom - 1) if self._known < len(self._commits) else None)
            start = start or self._parent_of(self._commits.at(self._bottom))
            if start is None:
                self._complete = True
                return False
            self._reading = self._git.chain(start, without=WITHOUT)
        commit = next(self._reading, None)
        while commit is not None and not commit.parents and commit.oid in self._cut():
            self._reading.close()
            self._deepen()
            self._reading = self._git.chain(commit.oid, without=WITHOUT)
            commit = next(self._reading, None)
        if commit is None:
            self._reading, self._complete = None, True
            return False
        self._next = None
        height = self._commits.height - self._known
        if self._known < len(self._commits):
            assert self._commits.at(height) == commit.oid
        else:
            self._commits.add(commit.oid, commit.time, len(commit.parents))
        self._heights[commit.oid] = height
        self._known += 1
        self._unread += 1
        self._streamed.append(commit.changes)
        for change in commit.changes:
            self._of_older.setdefault(change.path, []).append((height, change.old, change.new))
        if not commit.parents:
            self._complete = True
        return True

    @property
    def _bottom(self) -> int:
        """The height of the oldest commit whose changes are known."""
        return self._commits.height - self._known + 1

    def _parent_of(self, oid: Oid) -> Oid | None:
        commit = self._git.commit_at(oid)
        return commit.parents[0] if commit is not None and commit.parents else None

    # questions

    def history(self, tip: Oid, paths: Iterable[str], no_older_than: Oid | None = None) -> Iterator[Commit]:
        """The commits from `tip` that changed one of `paths`, newest first, with only these changes.

        `tip` and `no_older_than` must be on the chain: ask for their `height` before.
        """
        wanted = set(paths)
        height, end = self.height(tip), _NEVER if no_older_than is None else self.height(no_older_than)
        assert height is not None
        assert end is not None
        unknown = self._bottom - 1
        known = heapq.merge(*(self._known_touches(path, height) for path in wanted), key=itemgetter(0), reverse=True)
        for at, touches in itertools.groupby(known, key=itemgetter(0)):
            if at <= end:
                return
            yield self._commit(at, [Change(path, touch[1], touch[2]) for _, path, touch in touches])
        for at in range(min(height, unknown), end, -1):
            while self._bottom > at:
                if not self._more():
                    return
            changes = [change for change in self._streamed[self._first_streamed - at] if change.path in wanted]
            if changes:
                yield self._commit(at, changes)

    def _known_touches(self, path: str, height: int) -> Iterator[tuple[int, str, Touch]]:
        """The changes of a path that are known now, newest first, from a height on."""
        if self._file is not None and path not in self._of_file:
            self._of_file[path] = self._file.touches(path)
        of_older = self._of_older.get(path, [])
        parts = (self._of_newer.get(path, [])[::-1], self._of_file.get(path, []), of_older[: len(of_older)])
        for touches in parts:
            for place in range(place_from(touches, height), len(touches)):
                yield touches[place][0], path, touches[place]

    def _commit(self, height: int, changes: list[Change]) -> Commit:
        above = height - self._commits.height
        oid = self._newer[above - 1].oid if above > 0 else self._commits.at(height)
        commit = self._git.commit_at(oid)
        if commit is None:
            raise Problem(f"git has no commit {oid}: the repository is damaged")
        return replace(commit, changes=tuple(sorted(changes, key=_as_git_sorts)))

    def has_merge(self, newest: int, oldest: int) -> bool:
        """Whether one of the commits between these heights, both included, merged a branch."""
        top = self._commits.height
        if any(len(commit.parents) > 1 for commit in self._newer[max(oldest - top - 1, 0) : max(newest - top, 0)]):
            return True
        while top - len(self._commits) >= oldest and self._more():
            pass
        return oldest <= top and self._commits.has_merge(min(newest, top), oldest)

    def clocks(self, tip: Oid) -> Commits:
        """All commits from `tip`, which must be on the chain, down to the first of main."""
        self._read_clocks()
        whole, height = self._whole(), self.height(tip)
        assert height is not None
        above, size = whole.height - height, whole.size
        return Commits(size, height, whole.ids[above * size :], whole.clocks[above:], whole.parents[above:])

    def _whole(self) -> Commits:
        """All commits that were read, the newer ones included."""
        newest, known = self._newer[::-1], self._commits
        ids = b"".join(bytes.fromhex(each.oid) for each in newest) + bytes(known.ids)
        clocks = array("q", [each.time for each in newest]) + known.clocks
        parents = bytes(min(len(each.parents), MOST_PARENTS) for each in newest) + bytes(known.parents)
        return Commits(known.size, known.height + len(newest), ids, clocks, parents)

    def _read_clocks(self) -> None:
        """Read the ids and clocks of all commits, without their changes, at a seventh of the cost."""
        if self._complete:
            return
        last = self._commits.at(self._commits.height - len(self._commits) + 1) if self._commits else None
        start = self._parent_of(last) if last is not None else self._next
        if start is not None:
            older = self._git.clocks(start)
            self._commits.add_all(older)
            self._unread += len(older)
        self._complete = True

    # keeping

    def close(self) -> None:
        """End the reading git process."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def keep(self, *, mark: bool) -> None:
        """Write what was read into the git directory, if it is worth it.

        `mark`: if there is no file yet, write one all the same, so that the next command does not walk for one path.
        """
        if self._unread + len(self._newer) < _WORTH_KEEPING and not (mark and self._file is None):
            return
        if not self._commits and not _begin(self._commits, self._git, self._next):
            return
        known = self._known + len(self._newer)
        chain_file.write(
            self._file_path,
            self._whole(),
            known,
            complete=self._complete,
            touched=_every(self._of_newer, self._file, self._of_older),
        )


def _begin(commits: Commits, git: Git, tip: Oid | None) -> bool:
    """Add the first of the commits. What is kept can be read again, so nothing fails where git was ended by now."""
    try:
        if tip is not None and (found := git.commit_at(tip)) is not None:
            commits.add(found.oid, found.time, len(found.parents))
    except Problem:
        return False
    return True


def fork(chain: Chain, git: Git, one: Oid, other: Oid) -> Fork | None:
    """Where `other` left the chain of `one`, if it is a plain branch of a few commits; None: git must say."""
    top = chain.height(one)
    assert top is not None
    on_top: list[Commit] = []
    oid = other
    while (left := chain.height(oid)) is None:
        commit = git.commit_at(oid)
        if commit is None or len(commit.parents) != 1 or len(on_top) >= _MOST_ON_TOP:
            return None
        on_top.append(commit)
        oid = commit.parents[0]
    if left >= top:  # `other` has all of `one`
        return Fork(one, on_top if left == top else None)
    # A merge above could have brought in commits of the branch.
    return None if chain.has_merge(top, left + 1) else Fork(oid, on_top)


def _as_git_sorts(change: Change) -> bytes:
    return change.path.encode(errors="surrogateescape")


def _every(
    newer: Mapping[str, list[Touch]], file: ChainFile | None, older: Mapping[str, list[Touch]]
) -> Iterator[tuple[str, list[Touch]]]:
    """Each path with all its known changes, newest first."""
    of_file = dict(file.every()) if file is not None else {}
    for path in {**newer, **of_file, **older}:
        yield path, [*newer.get(path, [])[::-1], *of_file.get(path, ()), *older.get(path, ())]
