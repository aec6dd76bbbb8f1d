"""Commits of main that are judged one after the other, what they need of git read many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.repo.repository import Repository
from pointsman.state.objects import PLAIN_FILE, Commit, Entry
from pointsman.state.paths import DOCUMENTS, path_kind

_TOGETHER = 512  # commits whose documents are read at once


def in_batches(repo: Repository, commits: Sequence[Commit]) -> Iterator[Sequence[Commit]]:
    """Commits to judge, some at a time, what they leave of state documents read ahead."""
    for place in range(0, len(commits), _TOGETHER):
        some = commits[place : place + _TOGETHER]
        repo.fetch_ahead(_documents(some))
        repo.git.read_ahead(entry.oid for entry in _documents(some))
        yield some


def _documents(commits: Sequence[Commit]) -> Iterator[Entry]:
    """The contents of the state documents that these commits leave."""
    for change in (change for commit in commits for change in commit.changes):
        if change.new is not None and change.new.mode == PLAIN_FILE and path_kind(change.path) in DOCUMENTS:
            yield change.new
