"""Problems and faults. A problem stops a command. A fault is a broken rule in the data.

Exit codes: 0 done · 1 a rule is broken · 2 wrong usage or settings · 3 the store or the forge cannot be reached ·
4 someone moved first, run again · 5 some targets done, some refused · 70 a fault of pointsman itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from unicodedata import category

from pointsman.patterns import pattern

# RFC 3986, 3.2.1: what stands before the last "@" of an authority.
_USER_INFO = pattern(r"(https?://)[^/\s\"'<>]*@", re.IGNORECASE)
# A password that was not encoded may have a slash: what stands after the colon is then no port. Of bounded length,
# for else a text of many colons would take time by its square.
_ODD_PASSWORD = pattern(
    r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^/\s\"'<>:@\[]{0,100}:(?![0-9{}]*(?:[/?#\s\"'<>,;)]|$))[^\s\"'<>]{1,300}@"
)
_PASSWORD = pattern(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^/\s\"'<>:@]*):[^/\s\"'<>]*@")
_SHOWN_OF_A_BUG = 300  # characters
# Printable by their category and not seen all the same (Unicode, Default_Ignorable_Code_Point).
_UNSEEN = pattern("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One broken rule: its name, the path, and a sentence that says what is wrong and how to fix it.

    `found`: only what is wrong, of a rule whose faults a change may accept: whoever accepted it needs no advice.
    """

    path: str
    rule: str
    says: str
    found: str = field(default="", compare=False, repr=False)

    def once_accepted(self) -> Fault:
        """The same without how to fix it."""
        return Fault(self.path, self.rule, self.found or self.says)

    def in_order(self) -> tuple[str, str, list[int | str]]:
        """For sorting: what is said is ordered by its numbers, as `$.items[2]` before `$.items[10]`."""
        parts = re.split("([0-9]{1,18})", self.says)  # every second one is a number
        return self.path, self.rule, [int(part) if place % 2 else part for place, part in enumerate(parts)]

    def __str__(self) -> str:
        return f"{one_line(self.path)}: {self.rule}: {one_line(self.says)}"


def one_line(text: str, kept: str = "") -> str:
    """`text` with what cannot be seen escaped, but for `kept`, because text from outside may try to fool its reader.

    That is line breaks, control characters, writing directions, characters of no width and those of no meaning.
    """
    if text.isprintable() and (text.isascii() or not _UNSEEN.search(text)):
        return text
    return "".join(_escaped(each) if each not in kept and _is_unseen(each) else each for each in text)


def lines(text: str, kept: str = "\t") -> str:
    """The same for text of several lines, with tabs."""
    return "\n".join(one_line(line, kept) for line in text.split("\n"))


def _is_unseen(each: str) -> bool:
    return (not each.isprintable() and category(each) != "Zs") or _UNSEEN.match(each) is not None


def _escaped(each: str) -> str:
    return f"\\u{ord(each):04x}" if ord(each) < 1 << 16 else f"\\U{ord(each):08x}"


def without_secrets(text: str) -> str:
    """`text` with no credentials in its URLs: no user and password of http(s), no password of other schemes."""
    return _ODD_PASSWORD.sub(r"\1", _PASSWORD.sub(r"\1\2@", _USER_INFO.sub(r"\1", text)))


class Problem(Exception):
    """One sentence about something that stops a command and that the user can fix. It shows no credentials of a URL."""

    exit_code = 2

    def __init__(self, says: str) -> None:
        super().__init__(without_secrets(says))

    def __reduce__(self) -> tuple[object, ...]:
        """As it is raised again in another process: what some kinds are made of is no longer at hand."""
        return _raised_again, (type(self), self.args, self.__dict__)


def _raised_again(kind: type[Problem], words: tuple[str, ...], more: Mapping[str, object]) -> Problem:
    made = kind.__new__(kind, *words)
    made.__dict__.update(more)
    return made


class Refused(Problem):
    """Rules are broken; `faults` says which. Nothing was written."""

    exit_code = 1

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = sorted(set(faults), key=Fault.in_order)
        super().__init__("\n".join(map(str, self.faults)))


class Unreachable(Problem):
    """The store, the remote or the forge did not answer, or said no. As far as is known, nothing has changed."""

    exit_code = 3


class OriginAway(Unreachable):
    """The origin could not be read."""


class NotAllowed(Unreachable):
    """The origin answered, and does not let this user move a ref."""


class Blocked(Unreachable):
    """Something is in the way of one object alone. The others of the store may be reached."""


BLOCKED = "blocked"  # in the place of a rule: something is in the way of a target's objects


class NoAnswer(Unreachable):
    """A store had no answer for one key, and answers for another. It may be so of this one alone, and may pass.

    Whoever cannot do without the answer takes it for Unreachable. Whoever loops over many may go on.
    """


class MovedFirst(Problem):
    """A compare-and-swap failed because someone else moved first. Read again and retry."""

    exit_code = 4


class Bug(Problem):
    """A fault of pointsman itself, told in one sentence, where `of` names what was raised."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h

    @classmethod
    def of(cls, error: Exception, what: str = "this is a bug in pointsman") -> Bug:
        return cls(f"{what} ({type(error).__name__}: {one_line(str(error))[:_SHOWN_OF_A_BUG]})")


def trouble_of(error: Exception) -> Problem:
    """What whoever goes on after `error` tells of it: of many items, the trouble of one stops no other."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError):
        name = error.filename
        name = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
        return Unreachable(f"{f'{name}: ' if isinstance(name, str) else ''}{error.strerror or error}")
    return Bug.of(error)
