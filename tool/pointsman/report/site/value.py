"""What stands on the pages of a site. Texts come from outside: whoever draws a page escapes them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pointsman.report.audit.value import LandedFault
from pointsman.values import PullRequest


class Place(Struct, frozen=True):
    """What all pages have in common: the repository, and where its forge shows a commit ("" where nobody can tell)."""

    name: str
    commits: str
    tool: str


class Fact(Struct, frozen=True):
    """A label and what is told under it, with the page that it leads to, or ""."""

    label: str
    text: str
    leads: str = ""


class Waiting(Struct, frozen=True):
    """An open pull request, and why it is not merged."""

    reference: PullRequest
    title: str
    targets: Sequence[str]
    author: str
    opened_at: str
    why: Sequence[str]


class Moment(Struct, frozen=True):
    """One event of a target. `back`: the command that goes back to it, "" where there is none, as `stands` says."""

    at: str
    what: Sequence[str]
    by: str
    why: Sequence[str]
    run: str
    commit: str
    back: str
    stands: str


class TargetNow(Struct, frozen=True):
    """What a target's page says of now. It changes only where something has happened."""

    target: str
    headline: str
    mood: str  # fine, wait or bad
    to_know: Sequence[str]
    facts: Sequence[Fact]
    current: Sequence[tuple[str, str]]  # artifact type, version
    pulls: Sequence[Waiting]


class Calm(Struct, frozen=True, array_like=True):
    """Of a target of which nothing is to be told but what main has: what it depends on besides main."""

    until: int  # seconds since 1970: from then on it may show something else, if nothing else happens
    tags: Sequence[str]  # of its pointers, place by place
    heard: str  # what instances said of it, "" where none was ever seen


class Row(Struct, frozen=True, array_like=True):
    """A target on the overview. `line`: its row, drawn; `says`: what to know of one that is to be looked at."""

    target: str
    line: str
    serving: str
    mood: str
    says: str


class Judged(Struct, frozen=True):
    """What audit finds in the commits of main, up to one of them. `by`: the settings, signers and tool that judged."""

    by: str
    main: str
    commits: int
    faults: Sequence[LandedFault]

    @property
    def broken(self) -> Sequence[LandedFault]:
        return [each for each in self.faults if not each.accepted]

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        count = len(self.broken)
        what = f"{count:,} fault{'' if count == 1 else 's'}" if count else "no rule was broken"
        return f"{self.commits:,} commit{'' if self.commits == 1 else 's'} of main judged: {what}"
