"""When each commit of main took effect. The clocks of committers may run backwards; these times never do."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.repo.repository import Repository
from pointsman.state.documents import rfc3339
from pointsman.state.names import short
from pointsman.state.objects import Commit, Oid
from pointsman.state.times import duration
from pointsman.values import Step

_TIME = pattern(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?)?")
_DAY = len("2026-03-01")
_SHORTEST_COMMIT = 5  # digits: 12345d may be one
HOW_TO_WRITE = "a time is written 30m, 2h or 3d (ago), 2026-03-01 or 2026-03-01T05:10:00Z"
_AHEAD = 3600  # seconds: clocks that somebody sets do not differ so much


class Window(Struct, frozen=True):
    """A part of the past, both ends included, in seconds since 1970. None: without an end."""

    since: int | None = None
    until: int | None = None

    @classmethod
    def read(cls, since: str | None, until: str | None, now: int) -> Window:
        """What --since and --until mean, a date alone its whole day; Problem for what is no time, or if they cross."""
        first, last = _moment(since, "--since", now), _moment(until, "--until", now, whole_day=True)
        if first is not None and last is not None and first > last:
            raise Problem(f"--since {since} is after --until {until}")
        return cls(first, last)

    def has(self, time: int) -> bool:
        """Whether a moment lies in it."""
        return (self.since is None or self.since <= time) and (self.until is None or time <= self.until)


class CommitTimes:
    """The times of main. A commit takes effect at the latest committer time among itself and its predecessors."""

    def __init__(self, repo: Repository, main: Oid) -> None:
        self._repo = repo
        self._main = main
        repo.deepen_to_first()
        self._commits = repo.clocks(main)
        self._clocks = list(itertools.accumulate(reversed(self._commits.clocks), max))  # oldest first
        self._first = self._commits.height - len(self._commits) + 1

    def place(self, commit: Oid) -> int | None:
        """How many commits of main came before this one; None if it was never the tip of main."""
        height = self._commits.find(commit)
        return height - self._first if height is not None else None

    def of(self, commit: Oid) -> int:
        """When a commit of main took effect, in seconds since 1970."""
        place = self.place(commit)
        assert place is not None
        return self._clocks[place]

    def step(self, commit: Commit) -> Step:
        """A commit of main as documents show it."""
        return Step(commit.oid, rfc3339(self.of(commit.oid)), commit.author)

    def commit_at(self, when: str, now: int) -> Oid:
        """The tip of main at a time, changes of that second included, or the commit that a revision names.

        Problem for a time before the first commit, and for a commit that was never the tip of main.
        """
        time = read_past(when, now)
        if time is None:
            return on_main(self._repo, self._main, when).oid
        place = bisect_right(self._clocks, time)
        if not place:
            raise Problem(f"{when} is before the first commit of main ({rfc3339(self._clocks[0])})")
        return self._commits.at(self._first + place - 1)


def clock_ahead(clocks: Iterable[tuple[Oid, int]], now: int) -> str:
    """What the furthest clock of some commits of main means, if it is an hour or more ahead of `now`; otherwise ""."""
    commit, time = max(clocks, key=lambda each: each[1], default=("", 0))
    if time - now < _AHEAD:
        return ""
    days, hours = divmod((time - now) // 3600, 24)
    far = f"{days} days" if days > 1 else f"{days * 24 + hours} hours"
    return (
        f"the clock of {short(commit)} on main is {far} ahead: until {rfc3339(time)} no time names what came since; "
        "name that by its commit or version, and set the clock of the machine that made it"
    )


def furthest_clock(repo: Repository, now: int) -> str:
    """The same of all commits of main."""
    commits = repo.clocks(repo.main)
    places = range(len(commits))
    last = max(places, key=lambda place: commits.clocks[place])
    return clock_ahead([(commits.at(commits.height - last), commits.clocks[last])], now)


def on_main(repo: Repository, main: Oid, revision: str) -> Commit:
    """The commit of main that a revision names, with all its changes. Problem if it was never the tip of main.

    A "main" in the revision means `main`, not the branch of a clone, which may be behind.
    """
    try:
        oid = repo.resolve(re.sub(r"^main(?=[~^]|$)", main, revision))
    except Problem as problem:
        raise Problem(f"{problem}; {HOW_TO_WRITE}") from problem
    commit = next(repo.git.first_parents(oid), None) if repo.is_ancestor(oid, main) else None
    if commit is None:
        raise Problem(f"{revision} is not a commit of main: git log --first-parent main lists them")
    if not repo.grew_from(oid, main):
        brought = repo.git.ask("rev-list", "--first-parent", "--ancestry-path", main, f"^{oid}").splitlines()[-1]
        raise Problem(f"{revision} was never the tip of main: the merge {short(brought)} brought it in")
    return commit


def read_past(text: str, now: int, *, whole_day: bool = False) -> int | None:
    """Like `read_time`, but "now" and lengths of time count, too: 2h is two hours before `now`, seconds since 1970."""
    ago = 0 if text == "now" else duration(text) if len(text) < _SHORTEST_COMMIT else None
    return read_time(text, whole_day=whole_day) if ago is None else now - ago


def _moment(text: str | None, option: str, now: int, *, whole_day: bool = False) -> int | None:
    if text is None:
        return None
    found = read_past(text, now, whole_day=whole_day)
    if found is None:
        raise Problem(f"{option} {text} is not a date or time: {HOW_TO_WRITE}")
    return found


def read_time(text: str, *, whole_day: bool = False) -> int | None:
    """Seconds since 1970 of a date or a time; None for any other text. Without a zone it is UTC.

    A date alone means its first second, with `whole_day` its last. Problem for a date or time that does not exist.
    """
    if not _TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise Problem(f"{text} is not a date or time: {error}") from error
    if whole_day and len(text) == _DAY:
        time += timedelta(days=1, seconds=-1)
    return int((time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp())
