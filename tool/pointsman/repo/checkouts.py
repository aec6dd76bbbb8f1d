"""The worktrees of a repository that is its own origin: those that have main checked out follow it.

Git leaves that to whoever moves a branch. A worktree that stays old shows what is new as deleted, and the next commit
there would delete it.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from pointsman.repo.git import Git
from pointsman.repo.moves import Move
from pointsman.state.names import short

STAYS_OLD = "has changes of its own and stays old"


class Checkouts:
    """The worktrees that have a branch checked out before it moves, linked ones too.

    `move`: None, or one that begins or ends a branch, is followed by none.
    """

    def __init__(self, git: Git, git_dir: Path, worktree: Path | None, move: Move | None) -> None:
        self._git = git
        self._worktree = worktree
        self._ref = move.ref if move is not None else ""
        self._move = (move.was, move.new) if move is not None and move.was and move.new else None
        paths = self._on_it(git_dir) if self._move is not None else ()
        self._clean: Mapping[Path, bool] = {path: self._is_clean(path) for path in paths}

    def follow(self) -> Iterator[str]:
        """Bring those along in which nothing was changed, after the move, and tell of each that stays as it is."""
        if self._move is None:
            return
        for path, clean in self._clean.items():
            with self._at(path) as git:
                if not self._is_on_it(git) or (clean and git.run("read-tree", "-m", "-u", *self._move).code == 0):
                    continue
            there = "" if path == self._worktree else f"-C {shlex.quote(str(path))} "
            yield (
                f"main moved to {short(self._move[1])}, but the checkout in {path} {STAYS_OLD}; discard them with "
                f"git {there}restore --source=HEAD --staged --worktree manifests registry"
            )

    def _on_it(self, git_dir: Path) -> list[Path]:
        if not (git_dir / "worktrees").is_dir():  # there are no linked ones, so git need not list them
            return [self._worktree] if self._worktree is not None and self._is_on_it(self._git) else []
        listed = self._git.ask("worktree", "list", "--porcelain", "-z").split("\0\0")
        found = (entry.split("\0") for entry in listed)
        paths = (Path(lines[0].removeprefix("worktree ")) for lines in found if f"branch {self._ref}" in lines)
        return [path for path in paths if path.is_dir()]

    def _is_on_it(self, git: Git) -> bool:
        return git.run("symbolic-ref", "--quiet", "HEAD").out.decode().strip() == self._ref

    def _is_clean(self, path: Path) -> bool:
        with self._at(path) as git:
            ran = git.run("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
        return ran.code == 0 and not ran.out

    @contextlib.contextmanager
    def _at(self, path: Path) -> Iterator[Git]:
        if path == self._worktree:
            yield self._git
            return
        with contextlib.closing(Git(str(path))) as git:
            yield git
