"""What `doctor` tells about gc of a store: whose it is, what it keeps, when gc ran, and whether trash is due.

All of it only reads. What is refused is one check, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Literal

from pointsman.errors import Problem
from pointsman.repo.repository import Repository
from pointsman.retention.owners import OWNERS, require_sole_owner
from pointsman.retention.summary import SUMMARY, read_summary
from pointsman.retention.trash import TRASH, is_over
from pointsman.store.base import Store

_KEEPING: Mapping[Literal["yes", "no", "unknown"], str] = {
    "yes": "the store keeps what is deleted as an earlier version: after an erasure the bytes stay until a lifecycle "
    "rule ends noncurrent versions (docs/gc.md)",
    "no": "a directory keeps nothing that is deleted; snapshots and backups of it may",
    "unknown": "the store does not tell whether it keeps what is deleted: look at its versioning, object lock and soft "
    "delete before you rely on an erasure (docs/gc.md)",
}
Told = tuple[str, bool, str]  # the check's name, whether all is well, and a sentence


def condition(store: Store, repo: Repository, trash_days: int, now: float) -> Iterator[Told]:
    """The checks of one store. `now`: seconds since 1970."""
    looks: Mapping[str, Callable[[], str]] = {
        "owner": lambda: _owner(store, repo),
        "versions": lambda: _KEEPING[store.keeps_versions(next(iter(store.keys(OWNERS, 1)), SUMMARY))],
        "gc": lambda: _last_run(store),
        "trash": lambda: _trash(store, trash_days, now),
    }
    for name, look in looks.items():
        try:
            yield name, True, look()
        except Problem as problem:
            yield name, False, str(problem)


def _owner(store: Store, repo: Repository) -> str:
    require_sole_owner(store, [repo])
    return "no other repository keeps its blobs there"


def _last_run(store: Store) -> str:
    last = read_summary(store)
    if last is None:
        return "gc has never deleted anything there: pointsman gc says what it would take"
    return f"it ran at {last.at} and left {last.orphans} orphans and {last.retired} retired blobs"


def _trash(store: Store, days: int, now: float) -> str:
    due = []
    for name in store.folders(TRASH):
        try:
            day = date.fromisoformat(name)
        except ValueError:  # somebody else's
            continue
        if is_over(day, 0, days, now):
            due.append(name)
    if not due:
        return f"nothing in it is older than {days} days"
    return f"what was taken on {due[0]} may be due to be purged: pointsman gc --delete purges it"
