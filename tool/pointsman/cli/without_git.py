"""What to type while the origin is away: where what is served, and what this clone knows of main, can be seen."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pointsman.errors import OriginAway
from pointsman.state.names import Target, short

if TYPE_CHECKING:
    from pointsman.repo.last_known import LastMain
    from pointsman.repo.repository import Repository
    from pointsman.state.names import Pattern

_PAGE = "docs/oncall/git-is-down.md says how to see what is served"


@contextlib.contextmanager
def told_without_git(repo: Repository, look: Callable[[LastMain], str] | None, page: str = _PAGE) -> Iterator[None]:
    """While the origin is away: up to where this clone knows main, and the words for git with which `look` sees it."""
    try:
        yield
    except OriginAway as away:
        from pointsman.repo.last_known import last_main

        known = last_main(repo.git) if look is not None else None
        says = f"serving goes on with what it has, and {page}"
        if look is not None and known is not None:
            says += f". This clone has main up to {short(known.oid)} of {known.at}; to see it there, run: {look(known)}"
        raise OriginAway(f"{str(away).rstrip('.')}; {says}") from away


def look_at_log(targets: Sequence[Target | Pattern]) -> Callable[[LastMain], str]:
    """Git's words for the commits of some targets, or of all."""
    manifests, holds = (
        [f":/{top}/{each}{end}" for each in targets]
        for top, end in (("manifests", "/manifest.json"), ("holds", ".json"))
    )
    paths = shlex.join([*manifests, *holds] or [":/manifests", ":/holds"])
    return lambda known: f"git log --first-parent {known.name} -- {paths}"


def look_at_commit(commit: str) -> Callable[[LastMain], str]:
    """Git's words for one commit."""
    return lambda known: f"git show {shlex.quote(commit)}"


def look_at_moment(when: str, now: int, target: Target) -> Callable[[LastMain], str]:
    """Git's words for the manifest of a target at a time, or at a commit."""
    from pointsman.history.times import read_past

    since_the_first = look_at_log((target,))

    def words(known: LastMain) -> str:
        time = read_past(when, now)
        commit = when if time is None else known.before(time)
        return f"git show {shlex.quote(f'{commit}:{target.manifest_path}')}" if commit else since_the_first(known)

    return words


def look_at_version(version: str) -> Callable[[LastMain], str]:
    """Git's words for the record of a version."""
    path = shlex.quote(f":/registry/*/{version.rpartition('@')[2]}*")
    return lambda known: f"git log -p {known.name} -- {path}"
