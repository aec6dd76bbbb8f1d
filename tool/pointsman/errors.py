"""The two kinds of trouble: a problem stops a command, a fault is a finding about the data.

Exit codes: 0 done · 1 a rule is broken · 2 wrong usage or settings · 3 the store or the forge cannot be reached ·
4 someone moved first, run again · 5 some targets done, some refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category

_OBEYED = ("Cc", "Cf", "Zl", "Zp")  # controls, directions of writing, separators of lines


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One broken rule: which, where, and what is wrong with how to mend it."""

    path: str
    rule: str
    says: str

    def __str__(self) -> str:
        return f"{one_line(self.path)}: {self.rule}: {one_line(self.says)}"


def one_line(text: str) -> str:
    """Text with line breaks and what else a screen obeys shown, not obeyed: it may name something from outside."""
    return "".join(f"\\u{ord(each):04x}" if category(each) in _OBEYED else each for each in text)


class Problem(Exception):
    """Something its reader can mend, said in one sentence."""

    exit_code = 2


class Refused(Problem):
    """Rules are broken; `faults` says which. Nothing was written."""

    exit_code = 1

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))


class Unreachable(Problem):
    """The store or the remote did not answer, or said no; nothing is known to have changed."""

    exit_code = 3


class MovedFirst(Problem):
    """A compare-and-swap was lost; reading again and retrying is right."""

    exit_code = 4
